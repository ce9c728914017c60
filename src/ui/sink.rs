//! The one place that everything passes on its way to a terminal or a pipe: it knows what is ours, and makes visible whatever else
//! would act on a terminal or on the eye of a reader.
//!
//! Text of servers, files and tokens stands among our own sentences, and nobody can be asked to wrap each piece of it. So it
//! is turned around: our own styling is written as marks that carry a number of this process, which no other text can know,
//! and here the marks become escapes. What looks like an escape before that is somebody else's, and is written out.

use std::fmt;
use std::sync::LazyLock;

use anstyle::{AnsiColor, Style};

use crate::text::hides;

/// A style of our own. Shown, it is a mark that the sink turns into the escape; with `{:#}` that of its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Headings and names.
    Bold,
    /// Details that matter less.
    Dim,
    /// Things added, and checks passed.
    Good,
    /// Things changed, and warnings.
    Note,
    /// Things removed, and failures.
    Bad,
}

/// What begins a mark: a noncharacter, which Unicode keeps for use inside of a process.
const MARK: char = '\u{fdd0}';

/// What tells our marks from the same character in a text of others.
static OURS: LazyLock<String> = LazyLock::new(|| format!("{:016x}", rand::random::<u64>()));

/// Each ink's letter in a mark. `/` ends them all.
const INKS: [(Ink, char, Style); 5] = [
    (Ink::Bold, 'b', Style::new().bold()),
    (Ink::Dim, 'd', Style::new().dimmed()),
    (Ink::Good, 'g', AnsiColor::Green.on_default()),
    (Ink::Note, 'n', AnsiColor::Yellow.on_default()),
    (Ink::Bad, 'r', AnsiColor::Red.on_default()),
];

impl fmt::Display for Ink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = INKS.iter().find(|(ink, ..)| ink == self).map_or('/', |(_, letter, _)| *letter);
        write!(f, "{MARK}{}{}", *OURS, if f.alternate() { '/' } else { letter })
    }
}

/// The escape of a mark that is ours, and what follows it.
fn styled(after_mark: &str) -> Option<(String, &str)> {
    let rest = after_mark.strip_prefix(OURS.as_str())?;
    let letter = rest.chars().next()?;
    let escape = if letter == '/' {
        format!("{:#}", Style::new().bold())
    } else {
        INKS.iter().find(|(_, own, _)| *own == letter)?.2.to_string()
    };
    Some((escape, &rest[letter.len_utf8()..]))
}

/// Text as a terminal gets it: our styling as escapes, and nothing else that isn't seen.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c != '\n' && hides(c)) {
        shown.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some(first) = rest.chars().next() else { break };
        let after = &rest[first.len_utf8()..];
        if let Some((escape, after)) = styled(after).filter(|_| first == MARK) {
            shown.push_str(&escape);
            rest = after;
        } else {
            shown.extend(first.escape_unicode());
            rest = after;
        }
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_styling_alone_becomes_escapes() {
        let (bad, mark) = (Ink::Bad, MARK);
        let text = format!("{bad}✗{bad:#} x\u{1b}[32m✓\u{1b}[0m {mark}0123456789abcdefr {mark}");
        let escaped = "x\\u{1b}[32m✓\\u{1b}[0m \\u{fdd0}0123456789abcdefr \\u{fdd0}";
        assert_eq!(shown(&text), format!("\u{1b}[31m✗\u{1b}[0m {escaped}"));
        assert_eq!(shown("plain\n"), "plain\n");
    }
}
