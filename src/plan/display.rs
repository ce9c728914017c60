//! A plan as a person reads it before saying yes.

use std::io::{self, Write as Out};

use anstyle::Style;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::{Action, Change, FieldChange, Object, Plan};
use crate::ui::{BAD, BOLD, DIM, GOOD, NOTE, Report};

impl Report for Plan {
    const KIND: &'static str = "Plan";

    fn text(&self, out: &mut dyn Out) -> io::Result<()> {
        if self.is_empty() {
            writeln!(
                out,
                "{GOOD}No changes.{GOOD:#} {} holds all {} objects as the configuration says.",
                self.address, self.unchanged
            )?;
            return self.notices.iter().try_for_each(|notice| writeln!(out, "{DIM}note: {notice}.{DIM:#}"));
        }
        writeln!(out, "{BOLD}Changes to {}{BOLD:#}\n", self.address)?;
        for change in &self.changes {
            write_change(out, change)?;
            writeln!(out)?;
        }
        for notice in &self.notices {
            writeln!(out, "  {NOTE}note:{NOTE:#} {notice}.\n")?;
        }
        writeln!(out, "{BOLD}Plan:{BOLD:#} {}.", self.summary())
    }
}

impl Plan {
    /// `2 to create, 1 to change, 4 in order`.
    pub fn summary(&self) -> String {
        let created = self.changes.iter().filter(|change| change.action == Action::Create).count();
        format!("{created} to create, {} to change, {} in order", self.changes.len() - created, self.unchanged)
    }
}

impl Action {
    /// The sign in front of a line.
    pub(crate) fn sign(self) -> (&'static str, Style) {
        match self {
            Self::Create => ("+", GOOD),
            Self::Update => ("~", NOTE),
        }
    }
}

fn write_change(out: &mut dyn Out, change: &Change) -> io::Result<()> {
    let (sign, style) = change.action.sign();
    writeln!(out, "  {style}{sign}{style:#} {BOLD}{}{BOLD:#}", change.object)?;
    if let Some(replaced) = &change.replaces_trust {
        writeln!(out, "      {BAD}! this replaces what the mount trusts:{BAD:#} {replaced}")?;
    }
    let policy = matches!(change.object, Object::Policy { .. });
    let width = change.fields.iter().map(|field| field.field.len()).max().unwrap_or(0);
    for field in &change.fields {
        if policy {
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
        for gone in before.iter().filter(|value| !after.contains(value)) {
            writeln!(out, "        {BAD}-{BAD:#} {}", plain(gone))?;
        }
        for new in after.iter().filter(|value| !before.contains(value)) {
            writeln!(out, "        {GOOD}+{GOOD:#} {}", plain(new))?;
        }
        return Ok(());
    }
    match &field.before {
        None => writeln!(out, "      {name:width$}  {}", plain(&field.after)),
        Some(before) => writeln!(out, "      {name:width$}  {} {DIM}->{DIM:#} {}", plain(before), plain(&field.after)),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Array(list) => format!("[{}]", list.iter().map(plain).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

fn write_text(out: &mut dyn Out, field: &FieldChange) -> io::Result<()> {
    let before = field.before.as_ref().and_then(Value::as_str).unwrap_or_default();
    let after = field.after.as_str().unwrap_or_default();
    for line in TextDiff::from_lines(before, after).iter_all_changes() {
        let text = line.value().trim_end_matches('\n');
        match line.tag() {
            ChangeTag::Delete => writeln!(out, "      {BAD}- {text}{BAD:#}")?,
            ChangeTag::Insert => writeln!(out, "      {GOOD}+ {text}{GOOD:#}")?,
            ChangeTag::Equal => writeln!(out, "        {text}")?,
        }
    }
    Ok(())
}
