//! What the YAML reader refuses, in the words of somebody who edits a file.

use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Error, Location};

use super::{Diagnostic, Position};

/// Turns the reader's error into a diagnostic; `text` is what it read, with its placeholders hidden.
pub(super) fn explain(error: &Error, text: &str) -> Diagnostic {
    let at = error.location().map_or(Position::START, position);
    if let Some(diagnostic) = limit(error, at) {
        return diagnostic;
    }
    let reason = match error {
        Error::ExternalMessage { msg, .. } => msg.clone(),
        other => reason(other),
    };
    if let Some(at) = tab(text, at.line, reason.contains("tab")) {
        return Diagnostic::new(
            at,
            format!("line {} is indented with a tab, which YAML forbids", at.line),
            "indent with spaces; `expand -t 2` turns the tabs of a file into spaces",
        );
    }
    if matches!(error, Error::UnknownAnchor { .. }) {
        return Diagnostic::new(
            at,
            "this alias has no anchor: `*name` repeats what `&name` marks above it",
            "mark the value with `&name`; or put it in quotes, such as `'*'`, if it is text",
        );
    }
    if reason.contains("anchor") {
        return Diagnostic::new(
            at,
            "a value begins with `*` or `&`, which YAML takes for an alias or an anchor",
            "put it in quotes, such as `read: ['*']`",
        );
    }
    if let Some(at) = open_placeholder(text, at.line) {
        return Diagnostic::new(
            at,
            "a placeholder is not closed",
            "write placeholders as `{cluster}` and `{each}`, and Vault's own as `{{identity.entity.id}}`",
        );
    }
    if reason.contains("quote") {
        return Diagnostic::new(at, "a quote is opened and not closed", "close the quote, or remove it");
    }
    if reason.contains("mapping values are not allowed") || reason.contains("illegal placement of ':'") {
        return Diagnostic::new(
            at,
            "a `:` stands where YAML doesn't allow one",
            "close the brackets before it; put a value that contains `: ` in quotes; indent the fields of one entry alike",
        );
    }
    Diagnostic::new(
        at,
        format!("this is not valid YAML: {reason}"),
        "check indentation, quotes and brackets on this line and on the one above",
    )
}

/// What bounds the cost of a file.
fn limit(error: &Error, at: Position) -> Option<Diagnostic> {
    let (message, remedy) = match error {
        Error::MultipleDocuments { .. } => (
            "a second YAML document begins here",
            "keep one document in the file: remove the `---`, or move what follows it to a file of its own",
        ),
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => (
            "the file is nested deeper than any configuration",
            "check the brackets: no place of a real file is more than six levels deep",
        ),
        Error::Budget { .. } => (
            "the file has more than 250,000 values: it is larger than any configuration should be",
            "say what is alike once, with `each`, or split the file: each can be applied by itself with `-f`",
        ),
        Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            ("the aliases (`*name`) of this file unfold to more than a configuration can be", "write the values out")
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            ("an anchor (`&name`) contains itself", "write the values out")
        }
        Error::AliasError { error, .. } => return limit(error, at),
        _ => return None,
    };
    Some(Diagnostic::new(at, message, remedy))
}

fn reason(error: &Error) -> String {
    match error {
        Error::UnknownAnchor { .. } => "an alias names an anchor that doesn't exist".to_owned(),
        Error::Eof { .. } => "the file ends too early".to_owned(),
        Error::UnsupportedTag { .. } => "tags (`!name`) mean nothing here".to_owned(),
        Error::Unexpected { .. } | Error::NullIntoString { .. } => "the name of a field must be text".to_owned(),
        Error::MergeValueNotMapOrSeqOfMaps { .. } => "`<<` takes a map".to_owned(),
        Error::AliasError { error, .. } => reason(error),
        other => other.to_string().split(" at line ").next().unwrap_or_default().to_owned(),
    }
}

fn line_at(text: &str, line: u64) -> &str {
    usize::try_from(line).ok().and_then(|line| text.lines().nth(line.saturating_sub(1))).unwrap_or_default()
}

/// The first tab in the indentation of the given line or the next one or, when the reader speaks of a tab, of any line.
fn tab(text: &str, line: u64, spoken_of: bool) -> Option<Position> {
    text.lines().zip(1_u64..).find_map(|(content, number)| {
        let near = spoken_of || number == line || number == line + 1;
        let indentation = content.chars().take_while(|c| c.is_whitespace());
        let column = indentation.zip(1_u64..).find(|(c, _)| *c == '\t')?.1;
        let something_follows = !content.trim().is_empty();
        (near && something_follows).then_some(Position { file: 0, line: number, column })
    })
}

/// A placeholder without its end, on the given line or the one above it: whole ones are hidden in this text.
fn open_placeholder(text: &str, line: u64) -> Option<Position> {
    let lines = [line, line.saturating_sub(1)];
    lines.into_iter().filter(|line| *line > 0).find_map(|number| {
        let line = line_at(text, number);
        let begin = ["{cluster", "{each", "{{"].iter().find_map(|placeholder| line.find(placeholder))?;
        let column = u64::try_from(line[..begin].chars().count()).ok()? + 1;
        Some(Position { file: 0, line: number, column })
    })
}

/// A place as the reader knows it.
pub(super) fn position(location: Location) -> Position {
    if location == Location::UNKNOWN {
        return Position::START;
    }
    Position { file: 0, line: location.line(), column: location.column() }
}
