//! The path of a rule, with its wildcards.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::template;

/// The path of a rule as the server understands it: without its leading slash, with `+` for one segment, `*` at the end
/// for any rest, and `{{…}}` for what the server fills in from the token's identity.
///
/// Any path can be printed into a policy without breaking out of its string, because none holds control characters and
/// [`Policy::print`](super::Policy::print) escapes the rest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PolicyPath(String);

/// Why a text can't be the path of a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyPathError {
    /// Nothing, or a slash alone.
    #[error("a policy path can't be empty")]
    Empty,
    /// A newline, a tab, NUL …
    #[error("the policy path {0:?} holds a control character")]
    Control(String),
    /// The server strips one slash of a rule and every slash of a request.
    #[error("the policy path {0:?} begins with two slashes, so no request can match it")]
    LeadingSlashes(String),
    /// `policy.go`: `invalid use of wildcards ('+*' is forbidden)`.
    #[error("the policy path {0:?} uses `+*`, which the server refuses")]
    PlusStar(String),
    /// `identitytpl`: `unbalanced templating characters`.
    #[error("the braces of a template in the policy path {0:?} don't match")]
    Template(String),
}

impl PolicyPathError {
    /// What to do about it, where there is something.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::PlusStar(_) => Some("use `+` for one segment, or `*` at the end for any rest"),
            Self::LeadingSlashes(_) => Some("write the path without leading slashes"),
            Self::Template(_) => Some("write templates as {{identity.entity.id}}"),
            Self::Empty | Self::Control(_) => None,
        }
    }
}

impl PolicyPath {
    /// Takes a path as it is written in a policy, unescaped.
    ///
    /// # Errors
    /// When the server would refuse the path, could never match it, or when it holds a control character.
    pub fn new(path: &str) -> Result<Self, PolicyPathError> {
        let fault = |error: fn(String) -> PolicyPathError| Err(error(path.to_owned()));
        let stripped = path.strip_prefix('/').unwrap_or(path);
        if stripped.is_empty() {
            return Err(PolicyPathError::Empty);
        }
        if path.contains(char::is_control) {
            return fault(PolicyPathError::Control);
        }
        if stripped.starts_with('/') {
            return fault(PolicyPathError::LeadingSlashes);
        }
        if stripped.contains("+*") {
            return fault(PolicyPathError::PlusStar);
        }
        if !template::balanced(stripped) {
            return fault(PolicyPathError::Template);
        }
        Ok(Self(stripped.to_owned()))
    }

    /// The path, without a leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the server fills in parts of it from the token's identity (`{{…}}`).
    pub fn is_template(&self) -> bool {
        self.0.contains("{{")
    }

    /// Whether `+` stands for a segment somewhere. As in `policy.go`, where `/+` is enough: in `a/+b` the plus is
    /// literal, but a `*` at the end then matches by segments too.
    pub(super) fn has_segment_wildcards(&self) -> bool {
        self.0 == "+" || self.0.contains("/+") || self.0.starts_with("+/")
    }

    /// What every path that it matches begins with: all that stands before the first wildcard or template.
    pub fn literal(&self) -> &str {
        let ends = ["+", "*", "{{"].iter().filter_map(|special| self.0.find(special)).min();
        &self.0[..ends.unwrap_or(self.0.len())]
    }

    /// What stands before the `*` at the end.
    pub(super) fn before_glob(&self) -> Option<&str> {
        self.0.strip_suffix('*')
    }

    /// A request path that this rule's path matches, with `token` in place of every wildcard: something to ask
    /// `sys/capabilities-self` about. None for a template, whose value only the server knows.
    ///
    /// `token` should be a name that nothing else has, without slashes.
    pub fn sample(&self, token: &str) -> Option<String> {
        if self.is_template() {
            return None;
        }
        let (stem, rest) = match self.before_glob() {
            Some(stem) => (stem, token),
            None => (self.as_str(), ""),
        };
        if !self.has_segment_wildcards() {
            return Some(format!("{stem}{rest}"));
        }
        let segments: Vec<&str> = stem.split('/').map(|segment| if segment == "+" { token } else { segment }).collect();
        Some(segments.join("/") + rest)
    }
}

impl fmt::Display for PolicyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for PolicyPath {
    type Error = PolicyPathError;

    fn try_from(path: String) -> Result<Self, Self::Error> {
        Self::new(&path)
    }
}

impl From<PolicyPath> for String {
    fn from(path: PolicyPath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_checked_as_the_server_checks_them() {
        for path in ["secret/data/a", "/secret/*", "+", "a/+/b", "a b\"\\${x}", "a/{{identity.entity.id}}/*", "ü/%{x}"]
        {
            let expected = path.strip_prefix('/').unwrap_or(path);
            assert_eq!(PolicyPath::new(path).unwrap().as_str(), expected);
        }
        let refused = ["", "/", "//a", "a\nb", "a\0", "\u{85}", "a/+*", "a/{{x", "x}}", "{{a}}b}}", "{{a{{b}}"];
        for path in refused {
            assert!(PolicyPath::new(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn what_a_path_matches_begins_with_its_literal() {
        for (path, literal) in [
            ("a/b", "a/b"),
            ("a/b*", "a/b"),
            ("a/+/b*", "a/"),
            ("a/{{identity.entity.id}}/+", "a/"),
            ("*", ""),
            ("a+b", "a"),
        ] {
            assert_eq!(PolicyPath::new(path).unwrap().literal(), literal, "{path}");
        }
    }

    #[test]
    fn a_sample_fills_every_wildcard() {
        let cases = [
            ("secret/data/k8s/*", Some("secret/data/k8s/T")),
            ("secret/data/k8s*", Some("secret/data/k8sT")),
            ("a/+/b", Some("a/T/b")),
            ("+/a/+/b*", Some("T/a/T/bT")),
            ("+", Some("T")),
            ("a+b/c", Some("a+b/c")),
            ("a/+b", Some("a/+b")),
            ("*", Some("T")),
            ("auth/token/lookup-self", Some("auth/token/lookup-self")),
            ("a/{{identity.entity.id}}", None),
        ];
        for (path, expected) in cases {
            assert_eq!(PolicyPath::new(path).unwrap().sample("T").as_deref(), expected, "{path}");
        }
    }
}
