//! A plan as a person reads it before saying yes.

use std::io::{self, Write as Out};

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::{Action, Change, FieldChange, Orphan, Plan, RetainedKey};
use crate::access::Entrance;
use crate::keys::Authorities;
use crate::ui::{BAD, BOLD, DIM, GOOD, Ink, NOTE, aligned, printable, printable_line, write_failure};

impl Plan {
    /// Writes it for people.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn text(&self, out: &mut dyn Out) -> io::Result<()> {
        let strangers = self.strangers().count();
        if self.is_empty() {
            let (sign, style) = match (strangers, self.beyond_changes_in_order()) {
                (0, true) => ("No changes.", GOOD),
                (0, false) => ("No changes.", NOTE),
                _ => ("Drift.", NOTE),
            };
            let held = format!("{} holds all {} objects as the configuration says", self.target(), self.unchanged);
            match strangers {
                0 => writeln!(out, "{style}{sign}{style:#} {held}.")?,
                _ => writeln!(out, "{style}{sign}{style:#} {held}, and {}.", strangers_in_words(strangers))?,
            }
        } else {
            writeln!(out, "{BOLD}Changes to {}{BOLD:#}\n", self.target())?;
            for change in &self.changes {
                write_change(out, change, self.renamed(change))?;
                writeln!(out)?;
            }
            writeln!(out, "{BOLD}Plan:{BOLD:#} {}.", self.summary())?;
        }
        self.write_beyond(out)
    }

    /// `2 to create, 1 to change, 4 in order`.
    pub fn summary(&self) -> String {
        let count = |action| self.changes.iter().filter(|change| change.action == action).count();
        let deleted = match count(Action::Delete) {
            0 => String::new(),
            some => format!("{some} to delete, "),
        };
        let (created, changed) = (count(Action::Create), count(Action::Update));
        format!("{created} to create, {changed} to change, {deleted}{} in order", self.unchanged)
    }

    /// What a change is of a rename, if it is of one.
    fn renamed(&self, change: &Change) -> Option<String> {
        self.renames.iter().find_map(|rename| {
            if rename.to == change.object {
                Some(format!(" renamed from {}", rename.from))
            } else {
                (rename.from == change.object).then(|| format!(" renamed to {}", rename.to))
            }
        })
    }

    /// The Vault that it is for, and its namespace.
    pub fn target(&self) -> String {
        match self.namespace.as_str() {
            "" => self.address.clone(),
            namespace => format!("{} (namespace {namespace})", self.address),
        }
    }

    /// What is there beyond the configuration, and the clusters that are missing in the plan.
    fn write_beyond(&self, out: &mut dyn Out) -> io::Result<()> {
        if !self.retained_keys.is_empty() {
            let what = "no longer published, and still trusted; --forget-key KID removes one at once";
            writeln!(out, "\n{BOLD}Keys kept{BOLD:#} {DIM}({what}){DIM:#}")?;
        }
        for key in &self.retained_keys {
            let RetainedKey { mount, key, kid, gone_since, until, .. } = key;
            let kid = printable(kid);
            writeln!(
                out,
                "  {NOTE}·{NOTE:#} auth/{mount} {key} kid {kid}, gone since {gone_since}, kept until {until}"
            )?;
        }
        if !self.orphans.is_empty() {
            // Some are kept even so, and each of those says why.
            let what = match (self.prune, self.orphans.iter().filter(|orphan| orphan.kept.is_some()).count()) {
                (true, _) => "kept",
                (false, 0) => "not in the configuration; --prune deletes them",
                (false, kept) if kept == self.orphans.len() => "not in the configuration, and kept",
                (false, _) => "not in the configuration; --prune deletes those that don't say why they stay",
            };
            writeln!(out, "\n{BOLD}Orphans{BOLD:#} {DIM}({what}){DIM:#}")?;
            write_found(out, &self.orphans)?;
        }
        if self.strangers().next().is_some() {
            writeln!(out, "  {GOOD}to do:{GOOD:#} {}", strangers_remedy(self.strangers()))?;
        }
        if !self.unmanaged.is_empty() {
            writeln!(out, "\n{BOLD}Unmanaged roles{BOLD:#} {DIM}(not in the configuration, and left alone){DIM:#}")?;
            write_found(out, &self.unmanaged)?;
        }
        super::write_fetched(out, &self.fetched_keys)?;
        super::write_logged(out, self)?;
        for warning in &self.warnings {
            writeln!(out, "{NOTE}warning:{NOTE:#} {}.", printable_line(warning))?;
        }
        for note in &self.notes {
            writeln!(out, "{DIM}note: {}{DIM:#}", printable_line(note))?;
        }
        if !self.failed_clusters.is_empty() {
            writeln!(out, "\n{BOLD}Clusters left out{BOLD:#}")?;
        }
        for failed in &self.failed_clusters {
            let cluster = format!("cluster {}", failed.cluster);
            write_failure(out, &cluster, &failed.error, &failed.causes, &failed.remedies)?;
        }
        Ok(())
    }
}

/// How roles are told that an exclusive mount should not hold.
pub(crate) fn strangers_in_words(count: usize) -> String {
    let roles = if count == 1 { "role" } else { "roles" };
    format!("{count} unmanaged {roles} on an exclusive mount")
}

/// What ends that.
pub(crate) fn strangers_remedy<'a>(strangers: impl Iterator<Item = &'a Orphan>) -> &'static str {
    let is_anothers = |orphan: &&Orphan| orphan.entrance.as_ref().is_some_and(|entrance| entrance.owner.is_some());
    let strangers: Vec<&Orphan> = strangers.collect();
    if strangers.iter().any(is_anothers) {
        "a bootstrap with `--prune` deletes those that no other owner has, whose file has to let theirs go; or set `exclusive: false`"
    } else if strangers.iter().any(|orphan| orphan.kept.is_some()) {
        "a bootstrap with `--prune` deletes those that don't say why they stay; delete the others by hand where nobody needs them, or \
         set `exclusive: false`"
    } else {
        "a bootstrap with `--prune` deletes these roles; or take them into the file, or set `exclusive: false`"
    }
}

/// How many of many are shown.
const SHOWN: usize = 30;

/// What was found beside the configuration: the widest first, and of many the first.
pub(crate) fn write_found(out: &mut dyn Out, found: &[Orphan]) -> io::Result<()> {
    let wide = |orphan: &&Orphan| orphan.entrance.as_ref().is_some_and(Entrance::is_conspicuous);
    let (first, rest): (Vec<&Orphan>, Vec<&Orphan>) = found.iter().partition(wide);
    for orphan in first.iter().chain(&rest).take(SHOWN) {
        let (sign, style) = if wide(orphan) { ("!", BAD) } else { ("?", NOTE) };
        write!(out, "  {style}{sign}{style:#} {}", orphan.object)?;
        let told = [orphan.kept.clone(), orphan.entrance.as_ref().map(ToString::to_string)];
        let told: Vec<String> = told.into_iter().flatten().collect();
        if told.is_empty() {
            writeln!(out)?;
        } else {
            writeln!(out, " {DIM}{}{DIM:#}", printable_line(&told.join("; ")))?;
        }
    }
    match found.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "  {DIM}and {more} more; `-o json` shows all{DIM:#}"),
    }
}

impl Action {
    /// The sign in front of a line.
    pub(crate) fn sign(self) -> (&'static str, Ink) {
        match self {
            Self::Create => ("+", GOOD),
            Self::Update => ("~", NOTE),
            Self::Delete => ("-", BAD),
        }
    }
}

fn write_change(out: &mut dyn Out, change: &Change, renamed: Option<String>) -> io::Result<()> {
    let (sign, style) = change.action.sign();
    let renamed = renamed.unwrap_or_default();
    writeln!(out, "  {style}{sign}{style:#} {BOLD}{}{BOLD:#}{DIM}{renamed}{DIM:#}", change.object)?;
    if let Some(replaced) = &change.replaces_trust {
        writeln!(out, "      {BAD}! this replaces what the mount trusts:{BAD:#} {}", printable_line(replaced))?;
    }
    if let Some(whose) = &change.takes_over {
        writeln!(out, "      {BAD}! this takes over what somebody else wrote:{BAD:#} {}", printable_line(whose))?;
    }
    let width = aligned(change.fields.iter().map(|field| field.field.len()));
    for field in &change.fields {
        if field.field == "policy" {
            write_text(out, field)?;
        } else {
            write_field(out, field, width)?;
        }
    }
    Ok(())
}

fn write_field(out: &mut dyn Out, field: &FieldChange, width: usize) -> io::Result<()> {
    let name = &field.field;
    // Of a list, what comes and what goes is the news; of anything else, both values.
    if let (Some(Value::Array(before)), Value::Array(after)) = (&field.before, &field.after) {
        writeln!(out, "      {name}")?;
        let (gone, new): (Vec<_>, Vec<_>) = (missing(before, after), missing(after, before));
        let stays = |one: &Value, others: &[&Value]| {
            matches!(name.as_str(), "jwt_validation_pubkeys" | super::keys::SEEN_KEYS)
                && others.iter().any(|other| is_same_key(one, other))
        };
        for gone in gone.iter().filter(|gone| !stays(gone, &new)) {
            writeln!(out, "        {BAD}-{BAD:#} {}", plain(gone))?;
        }
        for new in &new {
            if stays(new, &gone) {
                writeln!(out, "        {NOTE}~{NOTE:#} {}", plain(new))?;
            } else {
                writeln!(out, "        {GOOD}+{GOOD:#} {}", plain(new))?;
            }
        }
        return Ok(());
    }
    match &field.before {
        Some(before) if field.after.is_null() => writeln!(out, "      {name:width$}  {}", plain(before)),
        None => writeln!(out, "      {name:width$}  {}", plain(&field.after)),
        Some(before) => writeln!(out, "      {name:width$}  {} {DIM}->{DIM:#} {}", plain(before), plain(&field.after)),
    }
}

/// The items of one list that the other doesn't have.
fn missing<'a>(list: &'a [Value], other: &[Value]) -> Vec<&'a Value> {
    list.iter().filter(|value| !other.contains(value)).collect()
}

/// Whether two descriptions are of one key, of which something else is told after the comma: that it is gone.
fn is_same_key(one: &Value, other: &Value) -> bool {
    let name = |value: &Value| value.as_str().and_then(|text| text.split(',').next()).map(str::to_owned);
    name(one).is_some_and(|one| name(other) == Some(one))
}

fn plain(value: &Value) -> String {
    match value {
        Value::Array(list) => format!("[{}]", list.iter().map(plain).collect::<Vec<_>>().join(", ")),
        Value::String(text) if text.contains("-----BEGIN CERTIFICATE-----") => match Authorities::parse(text) {
            Some(authorities) => certificates(&authorities.describe()),
            None => printable(&value.to_string()),
        },
        other => printable(&other.to_string()),
    }
}

/// Certificates by their subjects and fingerprints, of many the first: a bundle of a system has hundreds.
fn certificates(described: &[String]) -> String {
    const SHOWN: usize = 3;
    let count = described.len();
    let more = if count > SHOWN { format!(", and {} more", count - SHOWN) } else { String::new() };
    let first = described.iter().take(SHOWN).map(|one| printable(one)).collect::<Vec<_>>().join(", ");
    format!("{count} certificate{}: {first}{more}", if count == 1 { "" } else { "s" })
}

fn write_text(out: &mut dyn Out, field: &FieldChange) -> io::Result<()> {
    let before = field.before.as_ref().and_then(Value::as_str).unwrap_or_default();
    let after = field.after.as_str().unwrap_or_default();
    for line in TextDiff::from_lines(before, after).iter_all_changes() {
        let text = printable(line.value().trim_end_matches('\n'));
        match line.tag() {
            ChangeTag::Delete => writeln!(out, "      {BAD}- {text}{BAD:#}")?,
            ChangeTag::Insert => writeln!(out, "      {GOOD}+ {text}{GOOD:#}")?,
            ChangeTag::Equal => writeln!(out, "        {text}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_of_certificates_is_told_by_its_first() {
        let one = include_str!("../../testdata/jwks/p256-certificate.pem");
        assert!(plain(&one.into()).starts_with("1 certificate: "), "{}", plain(&one.into()));
        let all: Vec<String> = (0..200).map(|at| format!("CN=ca-{at} sha256:{at:012x}…")).collect();
        let many = certificates(&all);
        assert!(many.starts_with("200 certificates: CN=ca-0 ") && many.ends_with(", and 197 more"), "{many}");
        assert_eq!(many.matches("sha256:").count(), 3, "{many}");
        // What is none is shown as it is.
        let none = "-----BEGIN CERTIFICATE-----";
        assert_eq!(plain(&none.into()), format!("{none:?}"));
    }
}
