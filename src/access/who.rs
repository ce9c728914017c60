//! Whom a role lets in.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use crate::claims::{NAME, NAMESPACE, Values, bound_values, is_everybodys, name_one, plain};
use crate::config::{Labelled, Role};
use crate::model::{JwtRole, RoleDocument};
use crate::names::{NamespaceSelector, ServiceAccountPattern, ServiceAccountRef, glob};

/// Somebody whom a role lets in, as the configuration names them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// A service account.
    Account(ServiceAccountRef),
    /// Whoever matches a pattern of service accounts.
    Pattern(ServiceAccountPattern),
    /// Whoever has claims.
    Claims(Claims),
    /// Every service account of the cluster. No configuration can say so, but a role in Vault may.
    Anyone,
    /// Service accounts of the namespaces that have labels.
    Labelled(Labelled),
    /// Service accounts of namespaces that a role in Vault selects in a way that nobody understands, who may be anybody.
    Selected {
        /// Their names.
        names: Vec<String>,
        /// The selector, as it stands in the role.
        selector: String,
    },
}

impl Who {
    /// Whether it is, or may be, more than one account.
    fn is_several(&self) -> bool {
        match self {
            Self::Account(_) => false,
            Self::Claims(claims) => !name_one(&claims.values, claims.globs),
            Self::Pattern(_) | Self::Anyone | Self::Labelled(_) | Self::Selected { .. } => true,
        }
    }
}

/// Claims and the values that each may have, which are patterns where the role says so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claims {
    values: Values,
    globs: bool,
}

impl Claims {
    fn of(role: &Role) -> Self {
        let one =
            |(claim, values): (&String, &Vec<String>)| (plain(claim).to_owned(), values.iter().cloned().collect());
        Self { values: role.bound_claims.iter().map(one).collect(), globs: role.allow_globs }
    }

    /// Those that a role in Vault binds; `None` where they contradict each other, so that nobody has them.
    fn held(role: &JwtRole) -> Option<Self> {
        let one =
            |(claim, bound): (&String, &Value)| (plain(claim).to_owned(), bound_values(bound).into_iter().collect());
        let mut values: Values = role.bound_claims.iter().map(one).collect();
        let globs = role.bound_claims_type == "glob";
        if !role.bound_subject.is_empty() {
            let subject = &role.bound_subject;
            let takes = |own: &String| own == subject || (globs && glob::matches(own, subject));
            if values.get("sub").is_some_and(|own| !own.iter().any(takes)) {
                return None;
            }
            values.insert("sub".to_owned(), [subject.clone()].into());
        }
        values.values().all(|values| !values.is_empty()).then_some(Self { values, globs })
    }

    /// Whether every account's token has them, or can have them for the asking. What the issuer is, only the mount says.
    fn everybody_has(&self) -> bool {
        self.values.iter().all(|(claim, values)| is_everybodys(claim, values, self.globs))
    }

    /// Whether whoever has the other claims has these.
    fn cover(&self, other: &Self) -> bool {
        let takes = |own: &BTreeSet<String>, value: &String| {
            own.contains(value) || (self.globs && own.iter().any(|own| glob::matches(own, value)))
        };
        self.values.iter().all(|(claim, own)| {
            other.values.get(claim).is_some_and(|values| values.iter().all(|value| takes(own, value)))
        })
    }

    /// The service accounts that alone can have them.
    fn accounts(&self) -> Option<Vec<ServiceAccountRef>> {
        let exact = |claim: &str| {
            let values = self.values.get(claim)?;
            (!self.globs || values.iter().all(|value| !value.contains('*'))).then_some(values)
        };
        if let Some(subjects) = exact("sub") {
            return subjects.iter().map(|subject| ServiceAccountRef::from_subject(subject)).collect();
        }
        let (namespaces, names) = (exact(NAMESPACE)?, exact(NAME)?);
        let pairs = |namespace: &String| -> Vec<Option<ServiceAccountRef>> {
            names.iter().map(|name| format!("{namespace}/{name}").parse().ok()).collect()
        };
        namespaces.iter().flat_map(pairs).collect()
    }
}

impl fmt::Display for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (claim, values)) in self.values.iter().enumerate() {
            let and = if at > 0 { " and " } else { "" };
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            write!(f, "{and}{claim} {}", values.join(" or "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(account) => write!(f, "{account}"),
            Self::Pattern(pattern) => write!(f, "whatever matches {pattern}"),
            Self::Claims(claims) => write!(f, "whoever has {claims}"),
            Self::Anyone => f.write_str("any service account of the cluster"),
            Self::Labelled(labelled) => labelled.fmt(f),
            Self::Selected { names, selector } => {
                write!(f, "{} in namespaces with the labels {selector}", names.join(" or "))
            }
        }
    }
}

/// All whom a role lets in.
pub(crate) fn let_in(role: &Role) -> Vec<Who> {
    let accounts = role.service_accounts.iter().cloned().map(Who::Account);
    let patterns = role.account_patterns.iter().cloned().map(Who::Pattern);
    let labelled = role.labelled.iter().flat_map(Labelled::each).map(Who::Labelled);
    let all: Vec<Who> = accounts.chain(patterns).chain(labelled).collect();
    if !all.is_empty() {
        return all;
    }
    let claims = Claims::of(role);
    match claims.accounts() {
        Some(accounts) => accounts.into_iter().map(Who::Account).collect(),
        None => vec![Who::Claims(claims)],
    }
}

/// All whom a role in Vault lets in, as its document says it.
pub(crate) fn let_in_by(role: &RoleDocument) -> Vec<Who> {
    match role {
        RoleDocument::Jwt(jwt) => match Claims::held(jwt) {
            None => Vec::new(),
            Some(claims) if claims.everybody_has() => vec![Who::Anyone],
            Some(claims) => match claims.accounts() {
                Some(accounts) => accounts.into_iter().map(Who::Account).collect(),
                None => vec![Who::Claims(claims)],
            },
        },
        RoleDocument::Kubernetes(role) => {
            let names = &role.bound_service_account_names;
            let each = |namespace: &String| names.iter().map(|name| named(namespace, name)).collect::<Vec<_>>();
            let mut all: Vec<Who> = role.bound_service_account_namespaces.iter().flat_map(each).collect();
            // One of blanks selects every namespace.
            let selector = &role.bound_service_account_namespace_selector;
            match NamespaceSelector::held(selector) {
                _ if selector.is_empty() => {}
                Some(selector) if selector.is_everybodys() => all.extend(each(&"*".to_owned())),
                Some(selector) => all.extend(Labelled { names: names.clone(), selector }.each().map(Who::Labelled)),
                None => all.push(Who::Selected { names: names.clone(), selector: selector.clone() }),
            }
            all
        }
    }
}

/// Whom a kubernetes role means by a namespace and a name, either of which may be a pattern.
fn named(namespace: &str, name: &str) -> Who {
    let (namespace, name) = (namespace.to_owned(), name.to_owned());
    match (namespace.as_str(), name.as_str()) {
        ("*", "*") => Who::Anyone,
        _ if namespace.contains('*') || name.contains('*') => Who::Pattern(ServiceAccountPattern { namespace, name }),
        _ => Who::Account(ServiceAccountRef { namespace, name }),
    }
}

/// Whether a role in Vault lets in, or may let in, more than one account.
pub(crate) fn lets_in_several(who: &[Who]) -> bool {
    who.len() > 1 || who.iter().any(Who::is_several)
}

/// Whether a role surely lets somebody in, of those whom it or another one names.
pub(crate) fn surely_lets_in(role: &Role, who: &Who) -> bool {
    match who {
        Who::Account(account) => match lets_in(role, account) {
            LetsIn::Yes => true,
            // Whom it names it means, whatever else their tokens must say.
            LetsIn::Perhaps => names(role, account),
            LetsIn::No => false,
        },
        Who::Pattern(pattern) => role.account_patterns.iter().any(|own| own.covers(pattern)),
        Who::Claims(claims) => names_nobody(role) && Claims::of(role).cover(claims),
        Who::Labelled(labelled) => role.labelled.as_ref().is_some_and(|own| own.covers(labelled)),
        // A configuration names neither.
        Who::Anyone | Who::Selected { .. } => false,
    }
}

/// Whether a role lets a service account in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LetsIn {
    Yes,
    No,
    /// It binds claims, or labels of namespaces, whose values only the cluster knows.
    Perhaps,
}

fn names(role: &Role, account: &ServiceAccountRef) -> bool {
    role.service_accounts.contains(account) || role.account_patterns.iter().any(|pattern| pattern.matches(account))
}

fn names_nobody(role: &Role) -> bool {
    role.service_accounts.is_empty() && role.account_patterns.is_empty() && role.labelled.is_none()
}

/// Whether a role lets a service account of its cluster in.
pub(crate) fn lets_in(role: &Role, account: &ServiceAccountRef) -> LetsIn {
    if !names(role, account) && !names_nobody(role) {
        // Which labels its namespace has is for the cluster to say.
        let may_be = role.labelled.as_ref().is_some_and(|labelled| labelled.has_name(&account.name));
        return if may_be { LetsIn::Perhaps } else { LetsIn::No };
    }
    let mut answer = LetsIn::Yes;
    for (claim, values) in &role.bound_claims {
        let has = match plain(claim) {
            "sub" => account.subject(),
            NAMESPACE => account.namespace.clone(),
            NAME => account.name.clone(),
            claim if is_everybodys(claim, values, role.allow_globs) => continue,
            _ => {
                answer = LetsIn::Perhaps;
                continue;
            }
        };
        let matches = |value: &String| if role.allow_globs { glob::matches(value, &has) } else { *value == has };
        if !values.iter().any(matches) {
            return LetsIn::No;
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::config::Config;

    fn role(fields: &str) -> Role {
        let text = format!(
            "clusters: [{{ name: c, context: c, auth: {{ method: jwt, audience: vault }} }}]
policies: [{{ name: p, read: [a] }}]
roles: [{{ name: r, policies: p, ttl: 1h, {fields} }}]"
        );
        Config::parse(&text, Path::new("test.yaml")).unwrap().clusters[0].roles[0].clone()
    }

    #[test]
    fn who_is_let_in_is_told_from_names_and_known_claims() {
        let app: ServiceAccountRef = "team-a/app".parse().unwrap();
        for (fields, expected) in [
            ("serviceAccounts: team-a/app", LetsIn::Yes),
            ("serviceAccounts: team-a/other", LetsIn::No),
            ("boundClaims: { /kubernetes.io/namespace: team-a }", LetsIn::Yes),
            ("boundClaims: { /kubernetes.io/namespace: [team-b, team-c] }", LetsIn::No),
            ("boundClaims: { sub: 'system:serviceaccount:team-*:app' }, allowGlobs: true", LetsIn::Yes),
            ("boundClaims: { /kubernetes.io/node/name: n1 }", LetsIn::Perhaps),
            ("boundClaims: { /kubernetes.io/node/name: n1, /kubernetes.io/namespace: b }", LetsIn::No),
        ] {
            assert_eq!(lets_in(&role(fields), &app), expected, "{fields}");
        }
    }

    #[test]
    fn who_is_told_in_words() {
        let words = |fields: &str| let_in(&role(fields)).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(words("serviceAccounts: [a/b, c/d]"), ["a/b", "c/d"]);
        assert_eq!(
            words("boundClaims: { /kubernetes.io/namespace: [a, b], iss: x }"),
            ["whoever has /kubernetes.io/namespace a or b and iss x"]
        );
        assert_eq!(words("boundClaims: { sub: 'system:serviceaccount:a:b' }"), ["a/b"]);
        let both = "boundClaims: { /kubernetes.io/namespace: a, /kubernetes.io/serviceaccount/name: [x, y] }";
        assert_eq!(words(both), ["a/x", "a/y"]);
    }

    #[test]
    fn claims_are_compared_as_what_they_take() {
        let who = |fields: &str| let_in(&role(fields)).remove(0);
        let (one, two) = ("boundClaims: { iss: a }", "boundClaims: { iss: [b, a] }");
        assert!(surely_lets_in(&role(two), &who(one)) && !surely_lets_in(&role(one), &who(two)));
        assert!(surely_lets_in(&role("boundClaims: { iss: '*' }, allowGlobs: true"), &who(two)));
        assert_eq!(who(two), who("boundClaims: { iss: [a, b] }"));
        // A role that names somebody whose claims it refuses lets nobody in.
        let mismatch = "serviceAccounts: a/b, boundClaims: { /kubernetes.io/namespace: c }";
        assert!(!surely_lets_in(&role(mismatch), &Who::Account("a/b".parse().unwrap())));
    }

    fn held(kind: &str, fields: Value) -> RoleDocument {
        match kind {
            "jwt" => RoleDocument::Jwt(serde_json::from_value(fields).unwrap()),
            _ => RoleDocument::Kubernetes(serde_json::from_value(fields).unwrap()),
        }
    }

    #[test]
    fn whom_a_role_in_vault_lets_in_is_told_from_its_document() {
        let kubernetes = |names: &[&str], namespaces: &[&str]| {
            let fields =
                json!({ "bound_service_account_names": names, "bound_service_account_namespaces": namespaces });
            held("kubernetes", fields)
        };
        let subject = |namespace: &str| format!("system:serviceaccount:{namespace}:app");
        let by = |claim: &str, value: Value, kind: &str| {
            held("jwt", json!({ "bound_claims": { claim: value }, "bound_claims_type": kind }))
        };
        let by_labels = json!({
            "bound_service_account_names": ["app"],
            "bound_service_account_namespace_selector": "{\"matchLabels\":{\"team\":\"a\"}}",
        });
        for (role, words, several) in [
            (held("jwt", json!({})), vec!["any service account of the cluster"], true),
            (held("jwt", json!({ "bound_subject": subject("a") })), vec!["a/app"], false),
            (held("jwt", json!({ "bound_subject": "somebody" })), vec!["whoever has sub somebody"], false),
            (
                held("jwt", json!({ "bound_claims": { "sub": [subject("a"), subject("b")] } })),
                vec!["a/app", "b/app"],
                true,
            ),
            (
                held(
                    "jwt",
                    json!({ "bound_claims": { "sub": "system:serviceaccount:*" }, "bound_claims_type": "glob" }),
                ),
                vec!["whoever has sub system:serviceaccount:*"],
                true,
            ),
            // Without the type a star is a character like any other, and nobody's.
            (held("jwt", json!({ "bound_claims": { "sub": "x*" } })), vec!["whoever has sub x*"], false),
            (held("jwt", json!({ "bound_claims": { "a": 1 } })), vec!["whoever has a 1"], true),
            // One account, one pod, one token.
            (
                by("/kubernetes.io/serviceaccount/uid", json!("u"), "string"),
                vec!["whoever has /kubernetes.io/serviceaccount/uid u"],
                false,
            ),
            (
                by("/kubernetes.io/serviceaccount/uid", json!("u"), "glob"),
                vec!["whoever has /kubernetes.io/serviceaccount/uid u"],
                false,
            ),
            (
                by("/kubernetes.io/serviceaccount/uid", json!("u*"), "glob"),
                vec!["whoever has /kubernetes.io/serviceaccount/uid u*"],
                true,
            ),
            (
                by("/kubernetes.io/serviceaccount/uid", json!(["u", "v"]), "string"),
                vec!["whoever has /kubernetes.io/serviceaccount/uid u or v"],
                true,
            ),
            (by("/kubernetes.io/pod/uid", json!("u"), "string"), vec!["whoever has /kubernetes.io/pod/uid u"], false),
            (by("/jti", json!(["u"]), "string"), vec!["whoever has jti u"], false),
            (
                by("/kubernetes.io/serviceaccount/name", json!("app"), "string"),
                vec!["whoever has /kubernetes.io/serviceaccount/name app"],
                true,
            ),
            (held("jwt", json!({ "bound_subject": "x", "bound_claims": { "sub": "y" } })), vec![], false),
            (kubernetes(&["app"], &["a"]), vec!["a/app"], false),
            (kubernetes(&["app", "b"], &["a"]), vec!["a/app", "a/b"], true),
            (kubernetes(&["*"], &["a"]), vec!["whatever matches a/*"], true),
            (kubernetes(&["*"], &["*"]), vec!["any service account of the cluster"], true),
            (held("kubernetes", by_labels), vec!["app in namespaces with the labels team=a"], true),
            // It names no label, which is every namespace.
            (
                held(
                    "kubernetes",
                    json!({ "bound_service_account_names": ["app"], "bound_service_account_namespace_selector": "team: a" }),
                ),
                vec!["whatever matches */app"],
                true,
            ),
            (
                held(
                    "kubernetes",
                    json!({ "bound_service_account_names": ["app"], "bound_service_account_namespace_selector": "team=a" }),
                ),
                vec!["app in namespaces with the labels team=a"],
                true,
            ),
        ] {
            let who = let_in_by(&role);
            assert_eq!(who.iter().map(ToString::to_string).collect::<Vec<_>>(), words);
            assert_eq!(lets_in_several(&who), several, "{words:?}");
        }
    }
}
