//! Text that a shell reads back as it is meant.

/// One word for a POSIX shell.
pub(crate) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_stay_and_others_are_quoted() {
        assert_eq!(quote("https://127.0.0.1:8200"), "https://127.0.0.1:8200");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("$HOME"), "'$HOME'");
        assert_eq!(quote("~/x"), "'~/x'");
        assert_eq!(quote("it's"), r"'it'\''s'");
    }

    #[test]
    fn a_shell_agrees() {
        for word in ["", "plain", "a b", "$HOME `id` \"x\"", "it's", "new\nline", "~", "!x", "\\"] {
            let script = format!("printf %s {}", quote(word));
            let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }
}
