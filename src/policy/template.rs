//! Templates in rule paths: whether they are well formed, and which requests they might reach.

use std::collections::BTreeMap;

use super::PolicyPath;

/// What is known of the identity of a login: the values of templates, by what stands between their braces.
#[derive(Clone, Debug, Default)]
pub struct Identity(BTreeMap<String, String>);

impl Identity {
    /// Takes a value for known. One that a server might read as more than a name is not: some refuse it, others don't.
    pub fn know(&mut self, parameter: impl Into<String>, value: &str) {
        if !value.is_empty() && !value.contains(['/', '*', '+', '{', '}']) && !value.contains(char::is_control) {
            self.0.insert(parameter.into(), value.to_owned());
        }
    }

    /// A rule's path with its templates filled in; `None` where it has none, or one whose value isn't known.
    pub(super) fn fill(&self, path: &PolicyPath) -> Option<PolicyPath> {
        let mut pieces = path.as_str().split("{{");
        let mut filled = pieces.next()?.to_owned();
        let mut any = false;
        for piece in pieces {
            let (parameter, text) = piece.split_once("}}")?;
            filled = filled + self.0.get(parameter.trim())? + text;
            any = true;
        }
        PolicyPath::new(&filled).ok().filter(|_| any)
    }
}

/// Whether `{{` and `}}` pair up, as `PopulateString` in `sdk/helper/identitytpl` of the server wants it: no nesting,
/// nothing left over.
pub(super) fn balanced(path: &str) -> bool {
    let mut pieces = path.split("{{");
    let literal = pieces.next().unwrap_or_default();
    !literal.contains("}}") && pieces.all(|piece| piece.matches("}}").count() == 1)
}

/// Whether a rule with this path could match the request for some value of its templates.
///
/// Generous on purpose, since its only use is to admit that the answer isn't known: a template may become any text,
/// slashes included, as Vault and older OpenBao allow.
pub(super) fn may_match(pattern: &str, request: &str) -> bool {
    let parts = parts(pattern);
    // `reached[i]`: some reading of the parts so far ends before byte `i` of the request.
    let request = request.as_bytes();
    let mut reached = vec![false; request.len() + 1];
    reached[0] = true;
    for part in parts {
        let mut next = vec![false; request.len() + 1];
        match part {
            Part::Text(text) => {
                for at in (0..reached.len()).filter(|at| reached[*at]) {
                    if request[at..].starts_with(text.as_bytes()) {
                        next[at + text.len()] = true;
                    }
                }
            }
            Part::Anything => {
                let first = reached.iter().position(|here| *here).unwrap_or(reached.len());
                next[first..].fill(true);
            }
            Part::Segment => {
                let mut open = false;
                for at in 0..reached.len() {
                    open |= reached[at];
                    next[at] = open;
                    open &= request.get(at) != Some(&b'/');
                }
            }
        }
        reached = next;
    }
    reached.last() == Some(&true)
}

enum Part<'a> {
    Text(&'a str),
    /// Up to the next slash.
    Segment,
    Anything,
}

fn parts(pattern: &str) -> Vec<Part<'_>> {
    let (stem, glob) = match pattern.strip_suffix('*') {
        Some(stem) => (stem, true),
        None => (pattern, false),
    };
    let mut parts = Vec::new();
    let pieces = stem.split("{{").count();
    for (place, piece) in stem.split("{{").enumerate() {
        let text = match piece.split_once("}}") {
            Some((_, text)) if place > 0 => {
                parts.push(Part::Anything);
                text
            }
            _ => piece,
        };
        let (mut rest, first, last) = (text, place == 0, place + 1 == pieces);
        while let Some(at) = whole_plus(rest, first && rest.len() == text.len(), last) {
            parts.extend([Part::Text(&rest[..at]), Part::Segment]);
            rest = &rest[at + 1..];
        }
        parts.push(Part::Text(rest));
    }
    if glob {
        parts.push(Part::Anything);
    }
    parts
}

/// Where the first `+` is that is a whole segment: within one it stands for itself. `first` and `last` say whether the path begins and
/// ends with this text.
fn whole_plus(text: &str, first: bool, last: bool) -> Option<usize> {
    text.match_indices('+').map(|(at, _)| at).find(|at| {
        let (before, after) = (&text[..*at], &text[at + 1..]);
        (before.ends_with('/') || (first && before.is_empty()))
            && (after.starts_with('/') || (last && after.is_empty()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_in_where_all_of_it_is_known() {
        let mut identity = Identity::default();
        identity.know("identity.entity.id", "e-1");
        identity.know("identity.entity.name", "a/b");
        let fill = |path: &str| identity.fill(&PolicyPath::new(path).unwrap()).map(|path| path.to_string());
        assert_eq!(fill("a/{{identity.entity.id}}/*").as_deref(), Some("a/e-1/*"));
        assert_eq!(fill("a/{{ identity.entity.id }}x").as_deref(), Some("a/e-1x"));
        for unknown in ["a/b", "a/{{identity.entity.name}}", "a/{{identity.entity.id}}/{{other}}"] {
            assert_eq!(fill(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn reach_of_a_template() {
        let cases = [
            ("a/{{x}}", "a/b", true),
            ("a/{{x}}", "a/b/c", true),
            ("a/{{x}}", "a/", true),
            ("a/{{x}}", "b/a", false),
            ("a/{{x}}/c", "a/b/d", false),
            ("a/{{x}}/c", "a/b/x/c", true),
            ("a/{{x}}/*", "a/b/c/d", true),
            ("a/{{x}}/*", "a/b", false),
            ("{{x}}-{{y}}", "a-b", true),
            ("{{x}}-{{y}}", "ab", false),
            ("+/{{x}}/b", "s/y/b", true),
            ("+/{{x}}/b", "s/y/c", false),
            ("a/b", "a/b", true),
            ("a/+/c", "a/b/c", true),
            ("a/+/c", "a/b/b/c", false),
            ("a/*", "a", false),
            ("a+b/{{x}}", "a+b/y", true),
            ("a+b/{{x}}", "acb/y", false),
            ("{{x}}/c++", "y/c++", true),
            ("{{x}}/c++", "y/cab", false),
            ("{{x}}/+", "y/c", true),
            ("+", "a", true),
        ];
        for (pattern, request, expected) in cases {
            assert_eq!(may_match(pattern, request), expected, "{pattern} {request}");
        }
    }
}
