//! What bound claims mean: whose tokens have them, and which of them no token has that is asked for from outside.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Role;
use crate::model::{JwtRole, RoleDocument};
use crate::names::{ServiceAccountRef, glob};

use super::SEGMENT;
use super::who::bound_values;

/// The claims of a service account's token that say who it is, beside `sub`.
pub(super) const NAMESPACE: &str = "/kubernetes.io/namespace";
pub(super) const NAME: &str = "/kubernetes.io/serviceaccount/name";

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
pub(super) fn width(claim: &str) -> u64 {
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
pub(super) type Values = BTreeMap<String, BTreeSet<String>>;

/// The values of those claims that say this and take no patterns. Alternatives are as wide as the widest of them.
fn exact(claims: &Values, globs: bool, says_it: Says) -> impl Iterator<Item = &BTreeSet<String>> {
    let of = claims.iter().filter(move |(claim, _)| says(claim) == says_it).map(|(_, values)| values);
    of.filter(move |values| !(globs && values.iter().any(|value| value.contains('*'))))
}

/// Whether one account alone has such claims, or one pod or token.
pub(super) fn name_one(claims: &Values, globs: bool) -> bool {
    let one = |says_it| exact(claims, globs, says_it).any(|values| values.len() == 1);
    one(Says::One) || (one(Says::Namespace) && one(Says::Name))
}

/// Whether the token of every service account has a claim with such a value, or can have it for the asking.
pub(super) fn is_everybodys<'a>(claim: &str, values: impl IntoIterator<Item = &'a String>, globs: bool) -> bool {
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

/// The claims that a role of the configuration wants and that no such token has, each with a value that it takes.
pub(crate) fn of_a_pod(role: &Role) -> BTreeMap<String, String> {
    let one = |(claim, values): (&String, &Vec<String>)| {
        let value = values.first()?;
        let value = if role.allow_globs { value.replace('*', "x") } else { value.clone() };
        Some((claim.clone(), value))
    };
    let named = [(role.user_claim.clone(), SEGMENT.to_owned())];
    named.into_iter().chain(role.bound_claims.iter().filter_map(one)).filter(|(claim, _)| is_of_a_pod(claim)).collect()
}

/// The claim that names an account by what only its cluster knows.
const UID: &str = "/kubernetes.io/serviceaccount/uid";

/// The uid that the account which a role names as its `nth` has to have, where the role binds that: each has its own.
pub(crate) fn bound_uid(role: &Role, nth: usize) -> Option<(String, String)> {
    let value = role.bound_claims.get(UID)?.get(nth)?;
    Some((UID.to_owned(), if role.allow_globs { value.replace('*', "x") } else { value.clone() }))
}

/// The issuers that a role takes tokens of, whatever its mount does; `None` where it doesn't say.
fn bound_issuers(role: &Role) -> Option<&Vec<String>> {
    role.bound_claims.iter().find(|(claim, _)| plain(claim) == "iss").map(|(_, values)| values)
}

/// Whether a role takes tokens of an issuer, as far as its claims say.
pub(crate) fn takes_issuer(role: &Role, issuer: &str) -> bool {
    let takes = |own: &String| if role.allow_globs { glob::matches(own, issuer) } else { own == issuer };
    bound_issuers(role).is_none_or(|own| own.iter().any(takes))
}

/// The issuer that roles of one cluster bind: that which most of them take. A cluster has one.
pub(crate) fn bound_issuer(roles: &[Role]) -> Option<String> {
    let filled = |role: &Role| {
        let own = bound_issuers(role).into_iter().flatten().cloned();
        own.map(|own| if role.allow_globs { own.replace('*', "x") } else { own }).collect::<Vec<_>>()
    };
    let all: BTreeSet<String> = roles.iter().flat_map(filled).collect();
    all.into_iter().max_by_key(|issuer| roles.iter().filter(|role| takes_issuer(role, issuer)).count())
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
    /// That of a role of the configuration.
    pub(crate) fn of(role: &Role) -> Self {
        if !role.service_accounts.is_empty() || !role.account_patterns.is_empty() || role.bound_claims.is_empty() {
            return Self::Named;
        }
        let audiences = role.audience.iter().map(ToString::to_string).collect::<Vec<_>>();
        let one =
            |(claim, values): (&String, &Vec<String>)| (plain(claim).to_owned(), values.iter().cloned().collect());
        Self::judge(&role.bound_claims.iter().map(one).collect(), role.allow_globs, &audiences)
    }

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

    fn judge(claims: &Values, globs: bool, audiences: &[String]) -> Self {
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
