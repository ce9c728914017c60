//! What `verify-role` found, for people: a line for each check, and then each cause with its evidence and remedies.

use std::io::{self, Write as Out};

use crate::document::Report;
use crate::text::{aligned, printable_line};
use crate::ui::{BAD, BOLD, DIM, GOOD, Ink, NOTE};
use crate::verify::{About, Cause, CheckResult, Diagnosis, Finding, Remedy, Section, Severity, Status, worst};

/// How many sections of roles are shown in full; of more, those that are in order have a line each.
const IN_FULL: usize = 1;

impl Report for Diagnosis {
    const KIND: &'static str = "RoleVerification";

    fn text(&self, out: &mut dyn Out) -> io::Result<()> {
        let roles = self.sections.iter().filter(|section| matches!(section.about, About::Role { .. })).count();
        for section in &self.sections {
            write_section(out, section, roles <= IN_FULL)?;
        }
        let mut number = 0;
        for cause in &self.causes {
            if cause.consequence_of.is_some() {
                write_consequence(out, cause)?;
                continue;
            }
            number += 1;
            write_cause(out, cause, number)?;
        }
        rules(out, self)?;
        if self.interrupted {
            return writeln!(out, "\n{BOLD}interrupted: the rest was not looked at.{BOLD:#}");
        }
        if let Some(nothing) = self.nothing() {
            writeln!(out, "\n{BAD}✗{BAD:#} {BOLD}{nothing}.{BOLD:#}")?;
        }
        let parts: Vec<String> = [
            (Status::Passed, "in order"),
            (Status::Failed, "failed"),
            (Status::Warning, "to look at"),
            (Status::Unseen, "not seen with these credentials"),
            (Status::Skipped, "not tried"),
            (Status::NotReached, "not reached"),
        ]
        .into_iter()
        .map(|(status, words)| (self.count(status), words))
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| format!("{count} {words}"))
        .collect();
        writeln!(out, "\n{BOLD}{}.{BOLD:#}", parts.join(", "))
    }
}

/// What would show what these credentials may not see.
fn rules(out: &mut dyn Out, diagnosis: &Diagnosis) -> io::Result<()> {
    let unseen = diagnosis.sections.iter().flat_map(|section| &section.checks);
    let unseen = unseen.filter(|result| result.finding.status == Status::Unseen);
    let mut rules: Vec<&Remedy> = Vec::new();
    for remedy in unseen.flat_map(|result| &result.finding.remedies) {
        if !rules.contains(&remedy) {
            rules.push(remedy);
        }
    }
    if !rules.is_empty() {
        writeln!(out, "\n{BOLD}to see what these credentials may not:{BOLD:#}")?;
    }
    rules.into_iter().try_for_each(|rule| to_do(rule, out, ""))
}

fn write_section(out: &mut dyn Out, section: &Section, in_full: bool) -> io::Result<()> {
    if section.checks.is_empty() {
        return Ok(());
    }
    let (sign, style) = sign_of(worst(&section.checks));
    let passed = section.checks.iter().all(|result| matches!(result.finding.status, Status::Passed | Status::Skipped));
    let about = printable_line(&section.about.to_string());
    if passed && !in_full && matches!(section.about, About::Role { .. } | About::Store { .. }) {
        let count = section.checks.iter().filter(|result| result.finding.status == Status::Passed).count();
        if count == 0 {
            return writeln!(out, "{DIM}–{DIM:#} {BOLD}{about}{BOLD:#} {DIM}nothing could be tried{DIM:#}");
        }
        return writeln!(out, "{style}{sign}{style:#} {BOLD}{about}{BOLD:#} {DIM}{count} checks in order{DIM:#}");
    }
    writeln!(out, "{BOLD}{about}{BOLD:#}")?;
    let (unreached, rest): (Vec<_>, Vec<_>) =
        section.checks.iter().partition(|result| result.finding.status == Status::NotReached);
    for result in &rest {
        let alike: Vec<_> = rest.iter().copied().filter(|other| are_untold_alike(result, other)).collect();
        match alike.as_slice() {
            [] | [_] => write_line(out, result)?,
            [first, ..] if std::ptr::eq(*first, *result) => {
                writeln!(out, "  {DIM}– {}: {}{DIM:#}", ids(&alike), printable_line(&result.finding.detail))?;
            }
            // Told with the first.
            _ => {}
        }
    }
    if !unreached.is_empty() {
        writeln!(out, "  {DIM}– not reached: {}{DIM:#}", ids(&unreached))?;
    }
    Ok(())
}

fn ids(results: &[&CheckResult]) -> String {
    results.iter().map(|result| result.check.id.as_str()).collect::<Vec<_>>().join(", ")
}

/// What comes of the cause above it, and goes away with that.
fn write_consequence(out: &mut dyn Out, cause: &Cause) -> io::Result<()> {
    let CheckResult { check, finding, .. } = &cause.result;
    writeln!(
        out,
        "   {DIM}and so:{DIM:#} {} {DIM}({}, {}){DIM:#}",
        printable_line(&finding.detail),
        check.id,
        printable_line(&cause.places())
    )
}

fn write_cause(out: &mut dyn Out, cause: &Cause, number: usize) -> io::Result<()> {
    let CheckResult { check, finding, docs } = &cause.result;
    let (_, style) = sign_of(finding.status);
    let heading = match (finding.status, check.severity) {
        (Status::Warning, _) => "to look at",
        (_, Severity::Exposes) => "too much is let in",
        _ => "broken",
    };
    writeln!(
        out,
        "\n{BOLD}{number}.{BOLD:#} {style}{heading}{style:#}: {} {DIM}({}, {}){DIM:#}",
        printable_line(&finding.detail),
        check.id,
        printable_line(&cause.places())
    )?;
    details(finding, out, "   ")?;
    writeln!(out, "   {DIM}see {docs}{DIM:#}")
}

/// The evidence, why it matters, and what to do.
pub(super) fn details(finding: &Finding, out: &mut dyn Out, indent: &str) -> io::Result<()> {
    let whose: Vec<String> = finding.evidence.iter().map(|evidence| printable_line(&evidence.what)).collect();
    let width = aligned(whose.iter().map(|what| what.chars().count()));
    for (what, evidence) in whose.iter().zip(&finding.evidence) {
        writeln!(out, "{indent}  {DIM}{what:width$}{DIM:#}  {}", printable_line(&evidence.value))?;
    }
    if let Some(why) = &finding.why {
        writeln!(out, "{indent}{DIM}why it matters:{DIM:#} {}", printable_line(why))?;
    }
    finding.remedies.iter().try_for_each(|remedy| to_do(remedy, out, indent))
}

fn to_do(remedy: &Remedy, out: &mut dyn Out, indent: &str) -> io::Result<()> {
    writeln!(out, "{indent}{GOOD}to do:{GOOD:#} {}", remedy.text.replace('\n', &format!("\n{indent}  ")))?;
    remedy.command.iter().try_for_each(|command| writeln!(out, "{indent}    $ {command}"))
}

/// Whether neither of two found anything out, for one reason.
fn are_untold_alike(one: &CheckResult, other: &CheckResult) -> bool {
    let nothing = |result: &CheckResult| matches!(result.finding.status, Status::Skipped | Status::Unseen);
    nothing(one) && nothing(other) && one.finding.detail == other.finding.detail
}

fn write_line(out: &mut dyn Out, result: &CheckResult) -> io::Result<()> {
    let (sign, style) = sign_of(result.finding.status);
    writeln!(
        out,
        "  {style}{sign}{style:#} {DIM}{}{DIM:#} {}{DIM}: {}{DIM:#}",
        result.check.id,
        result.check.title,
        printable_line(&result.finding.detail)
    )
}

/// The sign in front of a line.
pub(super) fn sign_of(status: Status) -> (&'static str, Ink) {
    match status {
        Status::Passed => ("✓", GOOD),
        Status::Warning => ("!", NOTE),
        Status::Failed => ("✗", BAD),
        Status::Skipped | Status::Unseen | Status::NotReached => ("–", DIM),
    }
}
