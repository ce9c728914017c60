//! The words of a command, and commands put together.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::text::shell::{assignment, can_be_copied, quoted};

/// A command for a person's shell: whatever is in it reaches the program as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Command(String);

impl Command {
    /// The beginning: a program of those that the builders know, with what stands before it.
    pub(super) fn of(program: String) -> Self {
        Self(program)
    }

    /// Lines, as the input of what follows.
    pub fn lines(text: &str) -> Self {
        Self("printf '%s\\n'".to_owned()).arg(text)
    }

    /// A text without a line break at its end, as the input of what follows.
    pub fn text(text: &str) -> Self {
        Self("printf %s".to_owned()).arg(text)
    }

    /// What a command prints, kept by the shell under a name.
    pub(super) fn kept_as(name: &'static str, command: &Self) -> Self {
        Self(format!("{name}=$({})", command.0))
    }

    fn append(&mut self, text: &str) {
        self.0.push_str(text);
    }

    /// What was kept under a name as the first of several lines, as the input of what follows.
    pub(super) fn kept(name: &'static str) -> Self {
        Self(format!("printf '%s\\n' \"${name}\""))
    }

    /// What this one prints is what the next one reads, unless this one fails: then nothing is run, where a pipe would have it read nothing.
    #[must_use]
    pub fn hand_over(self, next: &Self) -> Self {
        Self::kept_as("token", &self).then(&Self("printf %s \"$token\"".to_owned()).pipe(next))
    }

    /// A field with what was kept under a name.
    #[must_use]
    pub(super) fn kept_field(mut self, field: &'static str, name: &'static str) -> Self {
        self.append(&format!(" {field}=\"${name}\""));
        self
    }

    /// A word with what a file holds in the middle of it, in base64 on one line. Without the file's name a person puts it there first.
    pub(super) fn around_file(mut self, before: &str, file: Option<&Path>, after: &str) -> Self {
        let [before, after] = [before, after].map(|part| part.replace('\'', r"'\''"));
        let file = super::ca_file(file);
        self.append(&format!(" '{before}'\"$(base64 < {file} | tr -d '\\n')\"'{after}'"));
        self
    }

    /// Words that are written in this program, some of them perhaps blanks for a person to fill in.
    #[must_use]
    pub fn fixed(mut self, words: &'static str) -> Self {
        self.0.push(' ');
        self.0.push_str(words);
        self
    }

    /// A word.
    #[must_use]
    pub fn arg(mut self, word: &str) -> Self {
        self.0.push(' ');
        self.0.push_str(&quoted(word));
        self
    }

    /// Words.
    #[must_use]
    pub fn args<'a>(self, words: impl IntoIterator<Item = &'a str>) -> Self {
        words.into_iter().fold(self, Self::arg)
    }

    /// A name that somebody else chose: one that begins like a flag is not taken for one.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        if name.starts_with('-') { self.fixed("--").arg(name) } else { self.arg(name) }
    }

    /// A name that somebody else chose, with flags after it: where it begins like one, they go before it.
    #[must_use]
    pub fn name_with(self, name: &str, flags: impl FnOnce(Self) -> Self) -> Self {
        if name.starts_with('-') { flags(self).name(name) } else { flags(self.arg(name)) }
    }

    /// A flag with its value, in two words unless the value would be taken for a flag.
    #[must_use]
    pub fn flag(self, name: &'static str, value: &str) -> Self {
        if value.starts_with('-') || name.ends_with('=') {
            let name = name.trim_end_matches('=');
            let mut all = self;
            all.append(&format!(" {name}={}", quoted(value)));
            all
        } else {
            self.fixed(name).arg(value)
        }
    }

    /// A field as Vault's CLI takes it, which reads a file where the value begins with `@`.
    #[must_use]
    pub fn field(self, name: &str, value: &str) -> Self {
        self.arg(&assignment(name, value))
    }

    /// The flag that puts the file of Vault's CA under a key of what is made. Without the file's name a person puts it there first.
    #[must_use]
    pub fn from_ca_file(mut self, key: &str, file: Option<&Path>) -> Self {
        self.append(&format!(" --from-file={}={}", quoted(key), super::ca_file(file)));
        self
    }

    /// This one, and where it succeeds the next.
    #[must_use]
    pub fn then(self, next: &Self) -> Self {
        Self(format!("{} && {}", self.0, next.0))
    }

    /// What this one prints is what the next one reads.
    #[must_use]
    pub fn pipe(self, next: &Self) -> Self {
        Self(format!("{} | {}", self.0, next.0))
    }

    /// With what another one prints as a word: `"$(…)"`.
    #[must_use]
    pub fn output_of(mut self, other: &Self) -> Self {
        self.append(&format!(" \"$({})\"", other.0));
        self
    }

    /// Several, one after the other.
    pub fn all(commands: impl IntoIterator<Item = Self>) -> Option<Self> {
        commands.into_iter().reduce(|all, next| all.then(&next))
    }

    /// Whether it can be copied as it stands.
    pub fn can_be_copied(&self) -> bool {
        can_be_copied(&self.0)
    }

    /// As it stands.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As it stands in a sentence.
    pub fn shown(&self) -> String {
        format!("`{}`", self.0)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use crate::fix::{Kubectl, Program, VaultCli, curl_version, openssl, vaultk8s, vaultk8s_with};

    #[test]
    fn names_of_others_are_words_and_no_flags() {
        let cli = VaultCli::new(Program::Bao).told("ADDR", "https://v it".to_owned());
        let flags = ["--context".to_owned(), "c".to_owned()];
        for (command, shown) in [
            (cli.read("auth/a b/config"), "BAO_ADDR='https://v it' bao read 'auth/a b/config'"),
            (
                VaultCli::default().write_policy("-x", &["a".to_owned()]),
                r"printf '%s\n' a | vault policy write -- -x -",
            ),
            (
                VaultCli::default().add_to_policy("p", &["a".to_owned()]),
                r#"p=$(vault policy read p) && printf '%s\n' "$p" a | vault policy write p -"#,
            ),
            (vaultk8s("auth jwt").flag("--mount", "-x"), "vaultk8s auth jwt --mount=-x"),
            (
                Kubectl::default().bind("-x", "r", &"n/a".parse().unwrap()),
                "kubectl create clusterrolebinding --clusterrole=r --serviceaccount=n:a -- -x",
            ),
            (
                Kubectl::default().bind("x", "r", &"n/a".parse().unwrap()),
                "kubectl create clusterrolebinding x --clusterrole=r --serviceaccount=n:a",
            ),
            (
                vaultk8s("policy").name_with("-x", |policy| policy.fixed("--read PATH")),
                "vaultk8s policy --read PATH -- -x",
            ),
            (
                vaultk8s_with("bootstrap", &["a b".into(), "c".into()], &flags),
                "vaultk8s bootstrap -f 'a b' -f c --context c",
            ),
            (
                Kubectl::in_context("c;d").within("n").merge("secretstore", "s", &json!({ "a": "it's" })),
                r#"kubectl --context 'c;d' -n n patch secretstore s --type merge -p '{"a":"it'\''s"}'"#,
            ),
            (
                Kubectl::default().merge_file("k", "n", &json!({ "a": "CA" }), "CA", Some(Path::new("ca.pem"))),
                r#"kubectl patch k n --type merge -p '{"a":"'"$(base64 < ca.pem | tr -d '\n')"'"}'"#,
            ),
            (openssl("https://vault.example"), "openssl s_client -connect vault.example:443"),
            (curl_version("https://k/; rm x"), "curl --cacert ca.crt 'https://k/; rm x/version'"),
        ] {
            assert_eq!(command.as_str(), shown);
        }
    }

    #[test]
    fn what_a_mount_has_is_kept_without_being_printed() {
        let cli = VaultCli::default();
        let write = cli.write("auth/k/config").field("kubernetes_host", "@h");
        let command = cli.rewrite("auth/k/config", "kubernetes_ca_cert", Kubectl::default().token("r"), write);
        let parts = [
            "kept=$(vault read -field=kubernetes_ca_cert auth/k/config)",
            r#"token=$(kubectl create token r --duration=24h) && printf %s "$token""#,
        ];
        let write = r#"vault write auth/k/config 'kubernetes_host=\@h' kubernetes_ca_cert="$kept""#;
        assert_eq!(command.as_str(), format!("{} && {} | {write}", parts[0], parts[1]));
    }
}
