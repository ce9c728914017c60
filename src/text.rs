//! Text of others as it is shown: so that nothing in it hides anything, in an order of magnitude that a person reads.

pub mod shell;

use std::borrow::Cow;

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

/// The longest text that an error is told in: what is quoted in it may be of any length.
const LONGEST: usize = 16_000;

/// A text that isn't too long.
pub fn cut(text: &str) -> Cow<'_, str> {
    let Some((end, _)) = text.char_indices().nth(LONGEST) else { return text.into() };
    format!("{}… ({} bytes more)", &text[..end], text.len() - end).into()
}

/// The width of a column of labels of these widths: one that is longer than others by far stands out, and moves none of them.
pub fn aligned(widths: impl Iterator<Item = usize>) -> usize {
    const WIDEST: usize = 48;
    widths.filter(|width| *width <= WIDEST).max().unwrap_or_default()
}

/// The first of many names on one line, and how many more there are.
pub(crate) fn first(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    names[..names.len().min(SHOWN)].join(", ") + &more
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
}
