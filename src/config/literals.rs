//! Rules whose path is no pattern, though it looks like one: a server takes it as it stands, so that the rule is about no path
//! that anybody asks for.

use super::Position;
use super::diagnostic::Problems;
use crate::policy::{Capability, PolicyPath};

/// Warns of a path of a rule that stands for itself, or for a folder alone.
pub(super) fn lint(path: &PolicyPath, capabilities: &[Capability], at: Position, problems: &mut Problems) {
    if let Some((why, remedy)) = literal(path.as_str(), capabilities) {
        problems.warn(at, format!("the rule {path} is about no path that anybody asks for: {why}"), remedy);
    }
}

fn literal(path: &str, capabilities: &[Capability]) -> Option<(&'static str, &'static str)> {
    let path = without_templates(path);
    let (body, segments) = (path.strip_suffix('*').unwrap_or(&path), path.split('/'));
    if body.contains('*') {
        return Some((
            "a `*` counts at its end alone",
            "write `+` for one whole segment, or `*` at the end for any rest",
        ));
    }
    // Within a segment it is part of a name.
    if segments.clone().any(|segment| segment != "+" && (segment.starts_with('+') || segment.ends_with('+'))) {
        return Some(("a `+` is one whole segment", "write `+` between slashes, or `*` at the end for any rest"));
    }
    if path.contains("//") {
        return Some(("requests have no empty segments", "write one slash"));
    }
    if path.starts_with("v1/") {
        return Some(("the `v1/` of a URL is no part of it", "leave `v1/` away"));
    }
    // The path of a LIST ends so, whatever is listed.
    let lists = |capability: &Capability| matches!(capability, Capability::List | Capability::Scan);
    if path.ends_with('/') && !capabilities.iter().any(lists) {
        return Some((
            "it ends in a slash, as a LIST alone does",
            "leave the slash away, or add `*` for all that is below",
        ));
    }
    None
}

/// A path whose templates stand for something plain.
fn without_templates(path: &str) -> String {
    let mut parts = path.split("{{");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| plain + "x" + part.split_once("}}").map_or("", |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_literal(path: &str) -> bool {
        literal(path, &[Capability::Deny]).is_some()
    }

    #[test]
    fn what_only_looks_like_a_pattern_is_told() {
        for path in [
            "secret/data/team/*/private",
            "secret/data/t*m/x",
            "secret/data/team/adm+",
            "secret/data/+x/y",
            "secret/data//team",
            "v1/secret/data/team",
            "secret/data/team/admins/",
        ] {
            assert!(is_literal(path), "{path}");
        }
    }

    #[test]
    fn patterns_and_plain_paths_are_not() {
        for path in [
            "*",
            "+/*",
            "secret/data/team/*",
            "secret/data/team/a*",
            "secret/+/team",
            "auth/token/lookup-self",
            "secret/data/a+b/c",
            "v1x/a",
        ] {
            assert!(!is_literal(path), "{path}");
        }
        assert!(!is_literal("secret/data/{{identity.entity.metadata.a+b*}}/x"));
        assert!(literal("secret/metadata/team/", &[Capability::List]).is_none());
    }
}
