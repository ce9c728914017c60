//! Paths of secrets, as the configuration writes them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::InvalidName;
use crate::text::hides;

name! {
    /// A path pattern inside a KV mount, without the mount and without `data/` or `metadata/`: `k8s/taloslmn/*`.
    ///
    /// As in Vault policies, a trailing `*` stands for any rest and `+` for one whole segment, and within one for itself; `{{…}}` is
    /// a template that Vault fills in. All else is a name as Vault takes it, with whatever quotes, signs and scripts.
    KvPath
}

impl FromStr for KvPath {
    type Err = InvalidName;

    fn from_str(value: &str) -> Result<Self, InvalidName> {
        const WHAT: &str = "KV path";
        let refuse = |problem: &str, remedy: &str| Err(InvalidName::new(WHAT, value, problem, remedy));
        if value.is_empty() {
            return refuse(
                "it is empty",
                "name a path below the KV mount, such as `k8s/prod/*`; `*` alone is the whole mount",
            );
        }
        if value.starts_with('/') {
            return refuse("it begins with a slash", "leave the first slash away");
        }
        if value.chars().any(char::is_control) {
            return refuse("it contains a control character or a line break", "a path is one line of printable text");
        }
        if let Some(unseen) = value.chars().find(|c| is_unprintable(*c)) {
            return refuse(
                &format!("it contains {unseen:?}, and Vault refuses what isn't printable"),
                "write the character that was meant, such as a plain space or hyphen",
            );
        }
        if value.trim() != value {
            return refuse("it begins or ends with white space", "remove the white space");
        }
        let first = value.split('/').next().unwrap_or_default();
        if matches!(first, "data" | "metadata") {
            return refuse(
                &format!("it begins with `{first}/`, which is added for you where the mount is KV version 2"),
                &format!("leave `{first}/` away; for a secret that is really called that, use `rules:`"),
            );
        }
        let plain = outside_templates(value).ok_or_else(|| {
            InvalidName::new(WHAT, value, "a `{{` has no `}}`", "close the template, such as `{{identity.entity.id}}`")
        })?;
        if plain.contains("}}") {
            return refuse("a `}}` has no `{{`", "open the template, such as `{{identity.entity.id}}`");
        }
        if plain.contains("+*") {
            return refuse(
                "Vault refuses `+*`",
                "write `/+/` for one segment of any name, and `*` alone at the end for any rest",
            );
        }
        if plain.trim_end_matches('*').contains('*') || plain.ends_with("**") {
            return refuse(
                "Vault knows `*` only as the last character; elsewhere it is a plain asterisk",
                "use `+` for one segment, and `*` at the very end",
            );
        }
        let segments: Vec<&str> = plain.strip_suffix('/').unwrap_or(&plain).split('/').collect();
        for segment in segments {
            match segment {
                "" => return refuse("it has an empty segment", "write one slash between segments"),
                "." | ".." => return refuse("it has a relative segment", "write the path in full"),
                _ => {}
            }
        }
        Ok(Self(value.to_owned()))
    }
}

impl KvPath {
    /// Whether it is that of a folder, which can be listed and holds no value.
    pub fn is_folder(&self) -> bool {
        self.as_str().ends_with('/')
    }

    /// Whether it stands for more than one path.
    pub fn is_pattern(&self) -> bool {
        self.as_str().ends_with('*') || self.as_str().contains("{{") || self.segments().any(|segment| segment == "+")
    }

    /// Its segments.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.as_str().split('/')
    }

    /// Whether it says nothing about names, such as `*`, `+/+` and `+/*`: all secrets, or all that lie so deep.
    pub fn is_all_wildcards(&self) -> bool {
        self.as_str().split('/').all(|segment| matches!(segment, "+" | "*"))
    }
}

/// What isn't seen, blanks that are no plain space, and what nobody gave a meaning to: servers refuse it.
fn is_unprintable(c: char) -> bool {
    hides(c) || (c.is_whitespace() && c != ' ') || matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..)
}

/// The text with each `{{…}}` replaced by one letter, so that what stands inside is not taken for pattern or path;
/// `None` where a template does not end.
fn outside_templates(value: &str) -> Option<String> {
    let mut plain = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("{{") {
        let (_, after) = after.split_once("}}")?;
        plain.push_str(before);
        plain.push('t');
        rest = after;
    }
    plain.push_str(rest);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kv_paths_as_vault_understands_them() {
        for value in [
            "*",
            "k8s/prod/*",
            "k8s/+/db",
            "k8s/+",
            "k8s/{{identity.entity.id}}/*",
            "folder/",
            "a b",
            "a%b",
            "a%20b",
            "a+b/c",
            "c++",
            "+a/b",
            "ü/日本 x",
            "a\"b",
            "it's",
            "a\\b",
            "a/${b}",
            "a`b",
            "a?b#c",
            "~/$x",
        ] {
            assert!(value.parse::<KvPath>().is_ok(), "{value}");
        }
        for value in [
            "",
            "/a",
            "a//b",
            "a/../b",
            "../a",
            "a/.",
            "a*b",
            "a/**",
            "a/+*",
            "data/a",
            "metadata/a",
            "a\nb",
            " a",
            "a\t",
            "{{a",
            "a}}b",
            "a+*",
            "a\u{200b}b",
            "a\u{a0}b",
            "a\u{e123}b",
        ] {
            assert!(value.parse::<KvPath>().is_err_and(|error| !error.remedy.is_empty()), "{value:?}");
        }
    }
}
