//! The segment that stands for any name where a rule has a wildcard: one that no rule singles out.

use super::PolicyPath;

/// What it is called, where no rule objects.
pub const SEGMENT: &str = "vaultk8s-probe";

/// The segment that stands for any name among these rules.
///
/// A denial of `team/v*` is about the usual one, so that nothing that is asked about it says anything of all other names.
pub fn stand_in<'a>(rules: impl IntoIterator<Item = &'a PolicyPath>) -> String {
    apart(SEGMENT, rules)
}

/// This name, or one that ends in it: the first that none of the rules tells from others.
pub(super) fn apart<'a>(name: &str, rules: impl IntoIterator<Item = &'a PolicyPath>) -> String {
    let rules: Vec<&PolicyPath> = rules.into_iter().collect();
    let firsts = ('a'..='z').chain('0'..='9').chain('A'..='Z').chain("_~!$".chars()).chain('\u{e0}'..='\u{24f}');
    let others = firsts.map(|first| format!("{first}-{name}"));
    let mut names = std::iter::once(name.to_owned()).chain(others);
    names.find(|name| !rules.iter().any(|rule| singles_out(rule, name))).unwrap_or_else(|| name.to_owned())
}

/// Whether a rule is about a name, or about names that begin as it does, also where it follows the beginning of a segment that another
/// rule has before its `*`.
fn singles_out(rule: &PolicyPath, name: &str) -> bool {
    let beginning = rule.before_glob().and_then(|stem| stem.rsplit('/').next()).unwrap_or_default();
    let begins = beginning.char_indices().any(|(at, _)| name.starts_with(&beginning[at..]));
    begins || rule.as_str().split('/').any(|segment| segment.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(rules: &[&str]) -> String {
        let rules: Vec<PolicyPath> = rules.iter().map(|rule| PolicyPath::new(rule).unwrap()).collect();
        stand_in(&rules)
    }

    #[test]
    fn the_usual_name_stands_in_where_no_rule_is_about_it() {
        for rules in [&[][..], &["*", "a/*", "+/+/*", "a/+"], &["v/x", "a/vault", "a/vx*", "a/w*", "vault/*"]] {
            assert_eq!(among(rules), SEGMENT, "{rules:?}");
        }
    }

    #[test]
    fn a_rule_that_is_about_the_name_makes_it_another() {
        for rule in [
            "v*",
            "a/v*",
            "a/vault*",
            "a/vaultk8s-probe",
            "a/vaultk8s-probe/*",
            "a/vaultk8s-probe-x/b",
            "a/+/vaultk8s-p*",
            // After another rule's `a/tea*`.
            "a/teav*",
            "a/teavaultk8s-probe/b",
        ] {
            assert_eq!(among(&[rule]), "a-vaultk8s-probe", "{rule}");
        }
        assert_eq!(among(&["x/v*", "x/a*", "x/b-*", "y/c-vaultk8s-probe"]), "d-vaultk8s-probe");
    }

    #[test]
    fn rules_for_every_letter_leave_a_name() {
        let rules: Vec<String> = ('a'..='z').chain('0'..='9').map(|first| format!("a/{first}*")).collect();
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        assert_eq!(among(&rules), "A-vaultk8s-probe");
    }
}
