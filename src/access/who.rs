//! Whom a role lets in.

use std::fmt;

use crate::config::Role;
use crate::names::{ServiceAccountPattern, ServiceAccountRef, glob};

/// Somebody whom a role lets in, as the configuration names them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// A service account.
    Account(ServiceAccountRef),
    /// Whoever matches a pattern of service accounts.
    Pattern(ServiceAccountPattern),
    /// Whoever has claims, as a sentence says them.
    Claims(String),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(account) => write!(f, "{account}"),
            Self::Pattern(pattern) => write!(f, "whatever matches {pattern}"),
            Self::Claims(claims) => write!(f, "whoever has {claims}"),
        }
    }
}

/// All whom a role lets in.
pub(crate) fn let_in(role: &Role) -> Vec<Who> {
    let accounts = role.service_accounts.iter().cloned().map(Who::Account);
    let patterns = role.account_patterns.iter().cloned().map(Who::Pattern);
    let mut all: Vec<Who> = accounts.chain(patterns).collect();
    if all.is_empty() {
        all.push(Who::Claims(claims(role)));
    }
    all
}

/// The claims that a role binds beside the service account: `/kubernetes.io/namespace team-a`.
pub(crate) fn claims(role: &Role) -> String {
    let one = |(claim, values): (&String, &Vec<String>)| format!("{claim} {}", values.join(" or "));
    role.bound_claims.iter().map(one).collect::<Vec<_>>().join(" and ")
}

/// Whether a role surely lets somebody in.
pub(crate) fn surely_lets_in(role: &Role, who: &Who) -> bool {
    match who {
        Who::Account(account) => lets_in(role, account) == LetsIn::Yes,
        Who::Pattern(pattern) => role.account_patterns.iter().any(|own| own.covers(pattern)),
        Who::Claims(_) => let_in(role).contains(who),
    }
}

/// Whether a role lets a service account in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LetsIn {
    Yes,
    No,
    /// It binds claims whose values only the cluster knows.
    Perhaps,
}

/// Whether a role lets a service account of its cluster in.
pub(crate) fn lets_in(role: &Role, account: &ServiceAccountRef) -> LetsIn {
    if role.service_accounts.contains(account) || role.account_patterns.iter().any(|pattern| pattern.matches(account)) {
        return LetsIn::Yes;
    }
    if !role.service_accounts.is_empty() || !role.account_patterns.is_empty() {
        return LetsIn::No;
    }
    let mut answer = LetsIn::Yes;
    for (claim, values) in &role.bound_claims {
        let has = match claim.as_str() {
            "sub" => account.subject(),
            "/kubernetes.io/namespace" => account.namespace.clone(),
            "/kubernetes.io/serviceaccount/name" => account.name.clone(),
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
    }
}
