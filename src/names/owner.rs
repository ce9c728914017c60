//! Whose a configuration file is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::InvalidName;

name! {
    /// The name of whoever a configuration file belongs to: `platform`, `team-a`.
    ///
    /// It becomes part of the name of a policy, which servers lower: an upper-case letter is refused, so that two owners
    /// which differ only in case can't become one.
    Owner
}

/// The longest that there is, as a label of DNS and of Kubernetes.
const LONGEST: usize = 63;

impl FromStr for Owner {
    type Err = InvalidName;

    fn from_str(value: &str) -> Result<Self, InvalidName> {
        const REMEDY: &str = "use at most 63 lower-case letters, digits, '-', '_' and '.', beginning and ending with a letter or a digit, such as `platform`";
        let refuse = |problem: String, remedy: &str| Err(InvalidName::new("owner", value, problem, remedy));
        let Some(problem) = problem(value) else { return Ok(Self(value.to_owned())) };
        let lower = value.to_ascii_lowercase();
        if lower != value && self::problem(&lower).is_none() {
            return refuse(
                "it has upper-case letters, which Vault lowers in the names of policies".to_owned(),
                &format!("write `{lower}`"),
            );
        }
        refuse(problem, REMEDY)
    }
}

/// What is wrong with it, if anything.
fn problem(value: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if value.is_empty() {
        return Some("it is empty".to_owned());
    }
    if let Some(bad) = value.chars().find(|c| !plain(*c) && !matches!(c, '.' | '_' | '-')) {
        return Some(match bad {
            '{' | '}' => "it contains a template, and the file has one owner".to_owned(),
            _ => format!("it contains {bad:?}"),
        });
    }
    if value.len() > LONGEST {
        return Some(format!("it is {} characters long; {LONGEST} is the most", value.len()));
    }
    (!value.starts_with(plain) || !value.ends_with(plain))
        .then(|| "it begins or ends with a punctuation mark".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_a_short_lower_case_word() {
        for value in ["a", "7", "platform", "team-a", "a.b_c-d", "2024", "a..b", &"x".repeat(63)] {
            let owner: Owner = value.parse().unwrap();
            assert_eq!(owner.as_str(), value);
            assert_eq!(owner.to_string(), value);
        }
    }

    #[test]
    fn what_it_can_not_be_is_told_with_what_is_wrong() {
        let long = "x".repeat(64);
        for (value, problem) in [
            ("", "it is empty"),
            (long.as_str(), "it is 64 characters long; 63 is the most"),
            ("team a", "it contains ' '"),
            ("team/a", "it contains '/'"),
            ("équipe", "it contains 'é'"),
            ("team-{cluster}", "it contains a template, and the file has one owner"),
            ("-team", "it begins or ends with a punctuation mark"),
            ("team.", "it begins or ends with a punctuation mark"),
            ("_team", "it begins or ends with a punctuation mark"),
            ("Team A", "it contains 'T'"),
        ] {
            let error = value.parse::<Owner>().unwrap_err();
            assert_eq!(error.problem, problem, "{value:?}");
            assert!(error.to_string().contains(&format!("{value:?}")), "{error}");
            assert!(error.remedy.contains("`platform`"), "{}", error.remedy);
        }
    }

    #[test]
    fn one_that_is_wrong_only_in_case_is_offered_in_lower_case() {
        let error = "Team-A".parse::<Owner>().unwrap_err();
        assert_eq!(error.remedy, "write `team-a`");
        assert!(error.problem.contains("upper-case"), "{}", error.problem);
    }

    #[test]
    fn a_saved_one_is_parsed_like_any() {
        let owner: Owner = serde_json::from_str(r#""platform""#).unwrap();
        assert_eq!(serde_json::to_string(&owner).unwrap(), r#""platform""#);
        assert!(serde_json::from_str::<Owner>(r#""Platform""#).is_err());
    }
}
