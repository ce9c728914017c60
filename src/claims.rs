//! What bound claims mean: whose tokens have them, and which of them no token has that is asked for from outside.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::{JwtRole, RoleDocument};
use crate::names::ServiceAccountRef;

/// The claims of a service account's token that say who it is, beside `sub`.
pub(crate) const NAMESPACE: &str = "/kubernetes.io/namespace";
pub(crate) const NAME: &str = "/kubernetes.io/serviceaccount/name";

/// The one name of a claim: a pointer to one at the top is its name.
pub(crate) fn plain(claim: &str) -> &str {
    match claim.strip_prefix('/') {
        Some(name) if !name.contains(['/', '~']) => name,
        _ => claim,
    }
}

/// What the value of a claim says about whose token it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// It is of one account, pod or token alone.
    One,
    /// It is of one name in each namespace.
    Name,
    /// It is of one namespace.
    Namespace,
    /// Nothing: accounts of every namespace have the same.
    Nothing,
    /// Nobody knows: no cluster puts it into tokens by itself.
    Unknown,
}

fn says(claim: &str) -> Says {
    match claim {
        "sub" | "jti" => Says::One,
        "iss" | "aud" | "exp" | "iat" | "nbf" | "/kubernetes.io/warnafter" => Says::Nothing,
        NAMESPACE | "kubernetes.io/serviceaccount/namespace" => Says::Namespace,
        NAME
        | "/kubernetes.io/pod/name"
        | "/kubernetes.io/secret/name"
        | "kubernetes.io/serviceaccount/service-account.name"
        | "kubernetes.io/serviceaccount/secret.name" => Says::Name,
        "/kubernetes.io/serviceaccount/uid"
        | "/kubernetes.io/pod/uid"
        | "/kubernetes.io/secret/uid"
        | "kubernetes.io/serviceaccount/service-account.uid" => Says::One,
        _ if claim.starts_with("/aud/") || claim.starts_with("/kubernetes.io/node/") => Says::Nothing,
        _ => Says::Unknown,
    }
}

/// How many may share a value of a claim: nobody; the accounts of a name or of a namespace; all.
pub(crate) fn width(claim: &str) -> u64 {
    match says(plain(claim)) {
        Says::One => 0,
        Says::Name | Says::Namespace | Says::Unknown => 1,
        Says::Nothing => 2,
    }
}

/// Whether accounts may share a value of a claim, so that they are one identity where a role names them by it (`userClaim`).
pub(crate) fn is_shared(claim: &str) -> bool {
    width(claim) > 0
}

/// Claims, each with the values that it may have.
pub(crate) type Values = BTreeMap<String, BTreeSet<String>>;

/// The values of those claims that say this and take no patterns. Alternatives are as wide as the widest of them.
fn exact(claims: &Values, globs: bool, says_it: Says) -> impl Iterator<Item = &BTreeSet<String>> {
    let of = claims.iter().filter(move |(claim, _)| says(claim) == says_it).map(|(_, values)| values);
    of.filter(move |values| !(globs && values.iter().any(|value| value.contains('*'))))
}

/// Whether one account alone has such claims, or one pod or token.
pub(crate) fn name_one(claims: &Values, globs: bool) -> bool {
    let one = |says_it| exact(claims, globs, says_it).any(|values| values.len() == 1);
    one(Says::One) || (one(Says::Namespace) && one(Says::Name))
}

/// Whether the token of every service account has a claim with such a value, or can have it for the asking.
pub(crate) fn is_everybodys<'a>(claim: &str, values: impl IntoIterator<Item = &'a String>, globs: bool) -> bool {
    const OF_ALL: [&str; 6] = ["sub", "iss", "jti", NAMESPACE, NAME, "/kubernetes.io/serviceaccount/uid"];
    claim == "aud" || (OF_ALL.contains(&claim) && globs && values.into_iter().any(|value| is_open(value)))
}

/// Whether a pattern takes whatever there is.
fn is_open(value: &str) -> bool {
    !value.is_empty() && value.chars().all(|c| c == '*')
}

/// Whether no token has a claim that is asked for by `TokenRequest` alone: only those that a node asks for, for a pod, and those that
/// stand in a Secret.
pub(crate) fn is_of_a_pod(claim: &str) -> bool {
    let own = ["/kubernetes.io/pod", "/kubernetes.io/node", "/kubernetes.io/secret", "/kubernetes.io/warnafter"];
    let below = |own: &&str| claim.strip_prefix(*own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    own.iter().any(below) || claim.starts_with("kubernetes.io/serviceaccount/")
}

/// The claims that a role wants and that no token has that is asked for from here, by their names.
pub(crate) fn wanted_of_a_pod(role: &JwtRole) -> Vec<String> {
    let named = [&role.user_claim, &role.groups_claim];
    role.bound_claims.keys().chain(named).filter(|claim| is_of_a_pod(claim)).cloned().collect()
}

/// How far a role ties its logins to accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tie {
    /// To accounts that are named one by one, or to what only somebody else than the cluster knows.
    Named,
    /// To more than those.
    Loose {
        /// Whom it lets in, in words.
        whom: String,
        /// Whether that is accounts of any namespace.
        anywhere: bool,
    },
}

impl Tie {
    /// That of a role in Vault; kubernetes roles have no claims.
    pub(crate) fn held(role: &RoleDocument) -> Self {
        let RoleDocument::Jwt(role) = role else { return Self::Named };
        if !role.bound_subject.is_empty() {
            return Self::Named;
        }
        let claims = role
            .bound_claims
            .iter()
            .map(|(claim, bound)| (plain(claim).to_owned(), bound_values(bound).into_iter().collect()));
        Self::judge(&claims.collect(), role.bound_claims_type == "glob", &role.bound_audiences)
    }

    pub(crate) fn judge(claims: &Values, globs: bool, audiences: &[String]) -> Self {
        let exact = |says_it: Says| exact(claims, globs, says_it);
        if claims.keys().any(|claim| says(claim) == Says::Unknown) || exact(Says::One).next().is_some() {
            return Self::Named;
        }
        let namespaces: BTreeSet<&str> = exact(Says::Namespace).flatten().map(String::as_str).collect();
        if !namespaces.is_empty() && exact(Says::Name).next().is_some() {
            return Self::Named;
        }
        let patterns = |says_it: &[Says]| -> Vec<String> {
            let of = claims.iter().filter(|(claim, _)| says_it.contains(&says(claim)));
            let narrow = of.filter(|(_, values)| !(globs && values.iter().any(|value| is_open(value))));
            let told = |(claim, values): (&String, &BTreeSet<String>)| {
                let values: Vec<&str> = values.iter().map(String::as_str).collect();
                format!("{claim} {}", values.join(" or "))
            };
            narrow.map(told).collect()
        };
        let with = |narrowed: Vec<String>| {
            if narrowed.is_empty() { String::new() } else { format!(" with {}", narrowed.join(" and ")) }
        };
        if !namespaces.is_empty() {
            let many = if namespaces.len() > 1 { "s" } else { "" };
            let namespaces = Vec::from_iter(namespaces).join(", ");
            let whom = format!(
                "every service account of the namespace{many} {namespaces}{}",
                with(patterns(&[Says::One, Says::Name]))
            );
            return Self::Loose { whom, anywhere: false };
        }
        let subjects = claims.get("sub").into_iter().flatten();
        let anywhere = claims.get("sub").is_none_or(BTreeSet::is_empty)
            || subjects.clone().any(|subject| {
                ServiceAccountRef::from_subject(subject).is_none_or(|account| account.namespace.contains('*'))
            });
        let audience = match audiences {
            [] => String::new(),
            audiences => format!(", of those that get a token for the audience {}", audiences.join(" or ")),
        };
        let narrowed = with(patterns(&[Says::One, Says::Name, Says::Namespace]));
        Self::Loose { whom: format!("every service account of the cluster{narrowed}{audience}"), anywhere }
    }
}

/// The values of a bound claim, as Vault's documents hold them.
pub(crate) fn bound_values(claim: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match claim {
        Value::Array(values) => values.iter().map(text).collect(),
        value => vec![text(value)],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn tie(claims: &Value, globs: bool) -> Tie {
        let kind = if globs { "glob" } else { "string" };
        let role = json!({ "bound_claims": claims, "bound_claims_type": kind, "bound_audiences": ["vault"] });
        Tie::held(&RoleDocument::Jwt(serde_json::from_value(role).unwrap()))
    }

    #[test]
    fn what_names_one_account_ties_a_role_to_it() {
        let subject = "system:serviceaccount:a:b";
        for claims in [
            json!({ "sub": subject }),
            json!({ "/sub": [subject] }),
            json!({ "sub": subject, "aud": "vault" }),
            json!({ "/kubernetes.io/namespace": "a", "/kubernetes.io/serviceaccount/name": "b" }),
            json!({ "/kubernetes.io/namespace": "a", "/kubernetes.io/pod/name": "web-0" }),
            json!({ "/kubernetes.io/serviceaccount/uid": "x" }),
            json!({ "/kubernetes.io/pod/uid": "x" }),
            // Of somebody else than a cluster, who alone knows what it means.
            json!({ "project_id": "7" }),
        ] {
            for globs in [false, true] {
                assert_eq!(tie(&claims, globs), Tie::Named, "{claims}");
                let values = |(claim, value): (&String, &Value)| {
                    (plain(claim).to_owned(), bound_values(value).into_iter().collect())
                };
                let all: Values = claims.as_object().unwrap().iter().map(values).collect();
                assert_eq!(name_one(&all, globs), !all.contains_key("project_id"), "{claims}");
            }
        }
        // A star is a character like any other where the role takes no patterns.
        assert_eq!(tie(&json!({ "sub": "system:serviceaccount:*" }), false), Tie::Named);
    }

    #[test]
    fn what_everybody_has_ties_a_role_to_nobody() {
        for (claims, globs, words, expected) in [
            (json!({}), false, "every service account of the cluster, of those that get", true),
            (json!({ "aud": "vault" }), false, "audience vault", true),
            (json!({ "/aud/0": "vault" }), false, "audience vault", true),
            (json!({ "iss": "*" }), true, "every service account of the cluster,", true),
            (json!({ "iss": "https://c", "/kubernetes.io/node/name": "n" }), false, "cluster,", true),
            (json!({ "/sub": "*" }), true, "every service account of the cluster,", true),
            (json!({ "/sub": "system:serviceaccount:*" }), true, "with sub system:serviceaccount:*", true),
            (json!({ "sub": "system:serviceaccount:*:app" }), true, "with sub", true),
            (json!({ "sub": "system:serviceaccount:a:*" }), true, "with sub", false),
            (json!({ "/kubernetes.io/serviceaccount/name": "app" }), false, "serviceaccount/name app", true),
            (json!({ "/kubernetes.io/serviceaccount/name": "a*" }), true, "serviceaccount/name a*", true),
            (json!({ "/kubernetes.io/serviceaccount/uid": "*" }), true, "cluster,", true),
            (json!({ "/kubernetes.io/pod/name": "web-0" }), false, "pod/name web-0", true),
            (json!({ "/kubernetes.io/namespace": "*" }), true, "cluster,", true),
            (json!({ "/kubernetes.io/namespace": "team-*" }), true, "namespace team-*", true),
            (json!({ "/kubernetes.io/namespace": "a" }), false, "of the namespace a", false),
            (json!({ "/kubernetes.io/namespace": ["a", "b"], "aud": "x" }), false, "of the namespaces a, b", false),
            (
                json!({ "/kubernetes.io/namespace": "a", "/kubernetes.io/serviceaccount/name": "*" }),
                true,
                "of the namespace a",
                false,
            ),
        ] {
            let Tie::Loose { whom, anywhere } = tie(&claims, globs) else { panic!("{claims} is tied") };
            assert!(whom.contains(words), "{claims}: {whom}");
            assert_eq!(anywhere, expected, "{claims}");
        }
    }

    #[test]
    fn what_only_a_pods_own_token_has_is_known() {
        for (claim, expected) in [
            ("/kubernetes.io/pod/name", true),
            ("/kubernetes.io/node/uid", true),
            ("/kubernetes.io/secret/name", true),
            ("kubernetes.io/serviceaccount/secret.name", true),
            ("/kubernetes.io/podium", false),
            ("/kubernetes.io/serviceaccount/uid", false),
            ("team", false),
        ] {
            assert_eq!(is_of_a_pod(claim), expected, "{claim}");
        }
    }
}
