//! Strings of HCL 1: where they end (`hcl/scanner`), what they mean (`hcl/strconv`, `hcl/token`).

/// Bytes from the opening quote to the closing one, both included. None when it doesn't end or an escape is unknown.
///
/// Within `${…}` quotes don't end the string, and newlines are allowed.
pub(super) fn literal_length(text: &str) -> Option<usize> {
    let mut braces = 0_usize;
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '\n' if braces == 0 => return None,
            '"' if braces == 0 => return Some(at + 1),
            '$' if braces == 0 && characters.next_if(|(_, next)| *next == '{').is_some() => braces = 1,
            '{' if braces > 0 => braces += 1,
            '}' if braces > 0 => braces -= 1,
            '\\' => {
                let (escape_at, _) = characters.next()?;
                for _ in 1..escape_length(&text[escape_at..])? {
                    characters.next();
                }
            }
            _ => {}
        }
    }
    None
}

/// Characters of an escape after its backslash. None if there is no such escape.
fn escape_length(escape: &str) -> Option<usize> {
    let (digits, base, skip) = match escape.chars().next()? {
        'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' | '"' => return Some(1),
        '0'..='7' => (3, 8, 0),
        'x' => (2, 16, 1),
        'u' => (4, 16, 1),
        'U' => (8, 16, 1),
        _ => return None,
    };
    let length = skip + digits;
    let code = escape.get(skip..length)?;
    code.chars().all(|c| c.is_digit(base)).then_some(length)
}

/// What stands between the quotes. None for an escape that means nothing, or bytes that are no UTF-8.
pub(super) fn unquote(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if rest.starts_with("${") {
            let length = interpolation_length(rest)?;
            let (verbatim, next) = rest.split_at(length);
            // The server gives up at a replacement character here, thinking that decoding failed.
            if verbatim.contains(char::REPLACEMENT_CHARACTER) {
                return None;
            }
            bytes.extend_from_slice(verbatim.as_bytes());
            rest = next;
        } else if character == '\\' {
            let escape = &rest[1..];
            let length = escape_length(escape)?;
            unescape(&escape[..length], &mut bytes)?;
            rest = &escape[length..];
        } else if character == '\n' {
            return None;
        } else {
            let (verbatim, next) = rest.split_at(character.len_utf8());
            bytes.extend_from_slice(verbatim.as_bytes());
            rest = next;
        }
    }
    String::from_utf8(bytes).ok()
}

/// Bytes from `${` to the brace that closes it.
fn interpolation_length(text: &str) -> Option<usize> {
    let mut braces = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => braces += 1,
            b'}' => {
                braces -= 1;
                if braces == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

fn unescape(escape: &str, bytes: &mut Vec<u8>) -> Option<()> {
    let byte = match escape.as_bytes()[0] {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'x' => u8::from_str_radix(&escape[1..], 16).ok()?,
        b'0'..=b'7' => u8::from_str_radix(escape, 8).ok()?,
        b'u' | b'U' => {
            let code = u32::from_str_radix(&escape[1..], 16).ok().filter(|code| *code <= 0x0010_ffff)?;
            // Go writes half a surrogate pair as a replacement character.
            let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(());
        }
        other => other,
    };
    bytes.push(byte);
    Some(())
}

/// The heredoc at the start of the text: its length with the closing line's newline, and its content.
pub(super) fn heredoc(text: &str) -> Option<(usize, String)> {
    let (opening, _) = text.split_once('\n')?;
    let anchor = opening.strip_prefix("<<")?;
    let (indented, name) = match anchor.strip_prefix('-') {
        Some(name) => (true, name),
        None => (false, anchor),
    };
    if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let start = opening.len() + 1;
    let mut lines = Vec::new();
    let mut length = start;
    for line in text[start..].split_inclusive('\n') {
        // The closing line needs its newline.
        let line = line.strip_suffix('\n')?;
        length += line.len() + 1;
        let blank: &[char] = &[' ', '\t', '\u{b}', '\u{c}', '\r'];
        if line.trim_start_matches(blank).trim_end_matches('\r') == name {
            // The server cuts the name off the end, so what stands before it belongs to the content.
            let indentation = line.strip_suffix(name)?;
            return Some((length, content(&lines, indentation, indented)));
        }
        lines.push(line);
    }
    None
}

fn content(lines: &[&str], indentation: &str, indented: bool) -> String {
    let unindented: Option<Vec<&str>> = lines.iter().map(|line| line.strip_prefix(indentation)).collect();
    match unindented {
        Some(lines) if indented => joined(&lines),
        None if indented => (joined(lines) + indentation).trim_end_matches([' ', '\t']).to_owned(),
        _ => joined(lines) + indentation,
    }
}

/// The lines, each with its newline.
fn joined(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(literal: &str) -> Option<String> {
        let length = literal_length(literal)?;
        assert_eq!(length, literal.len(), "{literal} ends early");
        unquote(&literal[1..length - 1])
    }

    #[test]
    fn escapes_mean_what_go_says() {
        let cases = [
            (r#""a\"b\\c""#, Some("a\"b\\c")),
            (r#""\u0024{x}""#, Some("${x}")),
            (r#""\x41\101\U0001f600""#, Some("AA😀")),
            (r#""${a"b\nc}""#, Some(r#"${a"b\nc}"#)),
            (r#""${a{b}"c"}\n""#, Some("${a{b}\"c\"}\n")),
            (r#""\xc3\xa9""#, Some("é")),
            (r#""\xff""#, None),
            (r#""\'""#, None),
            (r#""\u12""#, None),
            (r#""$""#, Some("$")),
            (r#""%{x}""#, Some("%{x}")),
        ];
        for (literal, expected) in cases {
            assert_eq!(read(literal).as_deref(), expected, "{literal}");
        }
        assert_eq!(literal_length(r#""a"b""#), Some(3));
        assert_eq!(literal_length("\"a\nb\""), None);
        assert_eq!(literal_length(r#""${a""#), None);
    }

    #[test]
    fn heredocs() {
        assert_eq!(heredoc("<<EOF\na\nb\nEOF\nrest"), Some((14, "a\nb\n".into())));
        assert_eq!(heredoc("<<-EOF\n  a\n   b\n  EOF\n"), Some((22, "a\n b\n".into())));
        assert_eq!(heredoc("<<-X\n a\n  X\n"), Some((12, " a\n".into())));
        assert_eq!(heredoc("<<EOF\nEOF\n"), Some((10, String::new())));
        for bad in ["<<EOF\na\nEOF", "<EOF\nEOF\n", "<<\n\n", "<<-\nx\n", "<<A B\nA B\n"] {
            assert_eq!(heredoc(bad), None, "{bad:?}");
        }
    }
}
