//! The one place that everything passes on its way to a terminal or a pipe: it knows what is ours, and makes visible whatever else
//! would act on a terminal or on the eye of a reader.
//!
//! Text of servers, files and tokens stands among our own sentences, and nobody can be asked to wrap each piece of it. So it
//! is turned around: our own styling is written as marks that carry a number of this process, which no other text can know,
//! and here the marks become escapes. What looks like an escape before that is somebody else's, and is written out.

use std::fmt;
use std::sync::LazyLock;

use anstyle::{AnsiColor, Style};

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

/// Whether a character acts on a terminal, reorders what stands around it, or isn't seen at all.
pub fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Shown as nothing, or only at the end of a line.
            '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
            // Other directions of writing.
            | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Other ends of lines.
            | '\u{2028}' | '\u{2029}'
            // No characters at all, our own mark among them.
            | '\u{fdd0}'..='\u{fdef}')
        || u32::from(c) & 0xfffe == 0xfffe
}

/// Text of others as it can be shown: what would move the cursor, change colours or turn the direction of writing, and so
/// hide what a person is about to agree to, is written out. Lines stay lines.
pub fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if c != '\n' && hides(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
        shown
    })
}

/// Text of others as it can be shown on one line.
pub fn printable_line(text: &str) -> String {
    printable(text).replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_hide_a_text_is_written_out() {
        assert_eq!(printable("a\u{1b}[2Jb\r\u{202e}c\nd"), "a\\u{1b}[2Jb\\u{d}\\u{202e}c\nd");
        for c in
            ['\0', '\t', '\u{7f}', '\u{9b}', '\u{ad}', '\u{200b}', '\u{2066}', '\u{e0041}', '\u{fdd0}', '\u{10ffff}']
        {
            assert_eq!(printable(&c.to_string()), c.escape_unicode().to_string());
        }
        for c in [' ', '\n', 'é', '✓', '…', '\u{a0}', '漢', '🔀'] {
            assert_eq!(printable(&c.to_string()), c.to_string());
        }
    }

    #[test]
    fn our_own_styling_alone_becomes_escapes() {
        let (bad, mark) = (Ink::Bad, MARK);
        let text = format!("{bad}✗{bad:#} x\u{1b}[32m✓\u{1b}[0m {mark}0123456789abcdefr {mark}");
        let escaped = "x\\u{1b}[32m✓\\u{1b}[0m \\u{fdd0}0123456789abcdefr \\u{fdd0}";
        assert_eq!(shown(&text), format!("\u{1b}[31m✗\u{1b}[0m {escaped}"));
        assert_eq!(shown("plain\n"), "plain\n");
    }
}
