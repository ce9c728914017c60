//! A plan as a person reads it before saying yes.

use std::io::{self, Write as Out};

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::applied::write_failure;
use crate::access::Entrance;
use crate::document::Report;
use crate::keys::Authorities;
use crate::plan::{
    Action, Change, FetchedKeys, FieldChange, LoggedSecrets, Orphan, PLAN_KIND, Plan, PlanDocument, RetainedKey,
    SEEN_KEYS, strangers_in_words, strangers_remedy,
};
use crate::text::{aligned, printable, printable_line};
use crate::ui::{BAD, BOLD, DIM, GOOD, Ink, NOTE};

impl Report for PlanDocument<'_> {
    const KIND: &'static str = PLAN_KIND;

    fn text(&self, out: &mut dyn Out) -> io::Result<()> {
        plan(out, self.plan)
    }
}

/// Writes a plan.
///
/// # Errors
/// Those of the writer.
pub fn plan(out: &mut dyn Out, plan: &Plan) -> io::Result<()> {
    let strangers = plan.strangers().count();
    if plan.is_empty() {
        let (sign, style) = match (strangers, plan.beyond_changes_in_order()) {
            (0, true) => ("No changes.", GOOD),
            (0, false) => ("No changes.", NOTE),
            _ => ("Drift.", NOTE),
        };
        let held = format!("{} holds all {} objects as the configuration says", plan.target(), plan.unchanged);
        match strangers {
            0 => writeln!(out, "{style}{sign}{style:#} {held}.")?,
            _ => writeln!(out, "{style}{sign}{style:#} {held}, and {}.", strangers_in_words(strangers))?,
        }
    } else {
        writeln!(out, "{BOLD}Changes to {}{BOLD:#}\n", plan.target())?;
        for change in &plan.changes {
            write_change(out, change, renamed(plan, change))?;
            writeln!(out)?;
        }
        writeln!(out, "{BOLD}Plan:{BOLD:#} {}.", plan.summary())?;
    }
    write_beyond(out, plan)
}

/// What a change is of a rename, if it is of one.
fn renamed(plan: &Plan, change: &Change) -> Option<String> {
    plan.renames.iter().find_map(|rename| {
        if rename.to == change.object {
            Some(format!(" renamed from {}", rename.from))
        } else {
            (rename.from == change.object).then(|| format!(" renamed to {}", rename.to))
        }
    })
}

/// What is there beyond the configuration, and the clusters that are missing in the plan.
fn write_beyond(out: &mut dyn Out, plan: &Plan) -> io::Result<()> {
    if !plan.retained_keys.is_empty() {
        let what = "no longer published, and still trusted; --forget-key KID removes one at once";
        writeln!(out, "\n{BOLD}Keys kept{BOLD:#} {DIM}({what}){DIM:#}")?;
    }
    for key in &plan.retained_keys {
        let RetainedKey { mount, key, kid, gone_since, until, .. } = key;
        let kid = printable(kid);
        writeln!(out, "  {NOTE}·{NOTE:#} auth/{mount} {key} kid {kid}, gone since {gone_since}, kept until {until}")?;
    }
    if !plan.orphans.is_empty() {
        // Some are kept even so, and each of those says why.
        let what = match (plan.prune, plan.orphans.iter().filter(|orphan| orphan.kept.is_some()).count()) {
            (true, _) => "kept",
            (false, 0) => "not in the configuration; --prune deletes them",
            (false, kept) if kept == plan.orphans.len() => "not in the configuration, and kept",
            (false, _) => "not in the configuration; --prune deletes those that don't say why they stay",
        };
        writeln!(out, "\n{BOLD}Orphans{BOLD:#} {DIM}({what}){DIM:#}")?;
        found(out, &plan.orphans)?;
    }
    if plan.strangers().next().is_some() {
        writeln!(out, "  {GOOD}to do:{GOOD:#} {}", strangers_remedy(plan.strangers()))?;
    }
    if !plan.unmanaged.is_empty() {
        writeln!(out, "\n{BOLD}Unmanaged roles{BOLD:#} {DIM}(not in the configuration, and left alone){DIM:#}")?;
        found(out, &plan.unmanaged)?;
    }
    fetched(out, &plan.fetched_keys)?;
    logged(out, &plan.logged_secrets)?;
    for warning in &plan.warnings {
        writeln!(out, "{NOTE}warning:{NOTE:#} {}.", printable_line(warning))?;
    }
    for note in &plan.notes {
        writeln!(out, "{DIM}note: {}{DIM:#}", printable_line(note))?;
    }
    if !plan.failed_clusters.is_empty() {
        writeln!(out, "\n{BOLD}Clusters left out{BOLD:#}")?;
    }
    for failed in &plan.failed_clusters {
        let cluster = format!("cluster {}", failed.cluster);
        write_failure(out, &cluster, &failed.failure)?;
    }
    Ok(())
}

/// Says whose tokens Vault takes for the cluster's.
pub(crate) fn fetched(out: &mut dyn Out, keys: &[FetchedKeys]) -> io::Result<()> {
    for fetched in keys {
        writeln!(out, "\n{BAD}Not in order: auth/{} trusts {}{BAD:#}", fetched.mount, fetched.in_words())?;
        for key in &fetched.keys {
            writeln!(out, "  {BAD}!{BAD:#} {}", printable(key))?;
        }
        writeln!(out, "  whoever has such a key signs tokens that Vault takes for the cluster's")?;
        for remedy in fetched.remedies() {
            writeln!(out, "  {GOOD}to do:{GOOD:#} {remedy}")?;
        }
    }
    Ok(())
}

/// Says at the end what no bootstrap changes.
pub(crate) fn logged(out: &mut dyn Out, secrets: &[LoggedSecrets]) -> io::Result<()> {
    for logged in secrets {
        writeln!(out, "\n{BAD}Not in order: {}{BAD:#}", logged.in_words())?;
    }
    Ok(())
}

/// How many of many are shown.
const SHOWN: usize = 30;

/// What was found beside the configuration: the widest first, and of many the first.
pub(crate) fn found(out: &mut dyn Out, orphans: &[Orphan]) -> io::Result<()> {
    let wide = |orphan: &&Orphan| orphan.entrance.as_ref().is_some_and(Entrance::is_conspicuous);
    let (first, rest): (Vec<&Orphan>, Vec<&Orphan>) = orphans.iter().partition(wide);
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
    match orphans.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "  {DIM}and {more} more; `-o json` shows all{DIM:#}"),
    }
}

/// The sign in front of a line.
fn sign_of(action: Action) -> (&'static str, Ink) {
    match action {
        Action::Create => ("+", GOOD),
        Action::Update => ("~", NOTE),
        Action::Delete => ("-", BAD),
    }
}

fn write_change(out: &mut dyn Out, change: &Change, renamed: Option<String>) -> io::Result<()> {
    let (sign, style) = sign_of(change.action);
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
            matches!(name.as_str(), "jwt_validation_pubkeys" | SEEN_KEYS)
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
