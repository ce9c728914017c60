//! Commands that a person copies into a shell: each word reaches the program as it is, and shows what is in it.

use std::fmt::Write as _;

use super::hides;

/// Words as they go on in a command, each with a space before it.
pub fn words(words: &[String]) -> String {
    words.iter().fold(String::new(), |text, word| text + " " + &quoted(word))
}

/// A field and its value as Vault's CLI takes them, which reads a file where a value begins with `@`.
pub fn assignment(field: &str, value: &str) -> String {
    let escape = if value.starts_with('@') { "\\" } else { "" };
    format!("{field}={escape}{value}")
}

/// A word as a shell takes it for itself. One with characters that aren't seen is written as bytes in `$'…'`.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else if word.contains(hides) && !word.contains('\0') {
        in_bytes(word)
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Whether a command can be copied as it stands. No shell can hand on a NUL, and what stands in a command unseen was put
/// there by somebody else.
pub fn can_be_copied(command: &str) -> bool {
    !command.contains(|c: char| c != '\n' && hides(c))
}

fn in_bytes(word: &str) -> String {
    let mut quoted = String::from("$'");
    for c in word.chars() {
        match c {
            '\'' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            // Always three digits, so that one that follows isn't taken for part of it.
            c if hides(c) => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    // Writing to a String can't fail.
                    let _infallible = write!(quoted, "\\{byte:03o}");
                }
            }
            c => quoted.push(c),
        }
    }
    quoted + "'"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_begins_like_a_file_is_none_to_vault_s_cli() {
        for (value, written) in [("vault", "f=vault"), ("@token", "f=\\@token"), ("a@b", "f=a@b")] {
            assert_eq!(assignment("f", value), written);
        }
    }

    #[test]
    fn a_shell_takes_a_quoted_word_for_itself() {
        for (word, shell) in [("a/b", "a/b"), ("k8s/*", "'k8s/*'"), ("it's", r"'it'\''s'"), ("", "''"), ("$x", "'$x'")]
        {
            assert_eq!(quoted(word), shell);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_gets_what_is_not_seen_too() {
        for word in ["a\u{1b}]0;x\u{7}", "\u{202e}7'b", "\\\t\u{9b}'$x`y`\"\n", "é\u{200b}\u{e0041}8"] {
            let shown = quoted(word);
            assert!(can_be_copied(&shown) && !shown.contains('\n'), "{shown:?}");
            let run = std::process::Command::new("bash").args(["-c", &format!("printf %s {shown}")]).output();
            assert_eq!(run.unwrap().stdout, word.as_bytes(), "{shown}");
        }
        assert!(!can_be_copied(&quoted("a\0b")));
    }
}
