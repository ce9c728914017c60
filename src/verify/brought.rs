//! A token that whoever runs this brought along: whose logins it proves, and why not those of others.
//!
//! It is presented where it meets the bounds of a role as the file has them, and nowhere else: a `kubernetes` mount would show it to
//! another cluster, and a refusal that is meant to be proves nothing.

use std::sync::Arc;

use crate::cluster::{ServiceAccountToken, TokenClaims};
use crate::config::{self, ClusterSource, Config, Method};
use crate::desired::{self, DesiredMount};
use crate::error::{Error, Result};
use crate::model::{AuthMethod, RoleDocument};
use crate::names::{Audience, ServiceAccountRef};
use crate::verify::binding::{matches, takes, values};
use crate::verify::facts::Knows;
use crate::verify::finding::list;
use crate::verify::scene::{MountScene, RoleCase, RoleScene, TokenFrom};

/// A login of a role of the file: as the account or pattern, and with the audiences, that come at that place.
#[derive(Clone, Copy)]
pub(super) struct Trial<'a> {
    pub(super) cluster: &'a config::Cluster,
    /// What the cluster's mount should hold, where that is known.
    pub(super) mount: Option<&'a DesiredMount>,
    pub(super) role: &'a config::Role,
    /// Its place among the role's logins ([`RoleCase::login_at`]).
    pub(super) at: usize,
}

/// What becomes of a token at a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Use {
    /// It is presented.
    Presented,
    /// It isn't, and this is why.
    NotFor(String),
}

impl Trial<'_> {
    /// Why the token isn't one for this login, by what its claims say of themselves.
    fn unfit(&self, claims: &TokenClaims) -> Option<String> {
        let issuer = self.issuer().filter(|issuer| *issuer != claims.issuer);
        if let Some(issuer) = issuer {
            return Some(format!("its iss is {:?}, and the mount takes {issuer:?}", claims.issuer));
        }
        let (subject, role) = (&claims.subject, self.role);
        let (who, asked) = RoleCase::login_at(role, self.at);
        let is_who = match (role.service_accounts.get(who), who.checked_sub(role.service_accounts.len())) {
            (Some(account), _) => account.subject() == *subject,
            (None, Some(at)) => match role.account_patterns.get(at) {
                Some(pattern) => account_of(subject).is_some_and(|account| pattern.matches(&account)),
                // Which labels its namespace has, the login shows.
                None => role.labelled.as_ref().is_none_or(|labelled| {
                    let own = labelled.each().nth(at - role.account_patterns.len());
                    account_of(subject).zip(own).is_some_and(|(account, own)| own.has_name(&account.name))
                }),
            },
            (None, None) => true,
        };
        if !is_who {
            return Some(format!("its sub is {subject:?}"));
        }
        unmet(&desired::role(self.method(), role).document, claims).or_else(|| elsewhere(&asked, claims))
    }

    fn method(&self) -> AuthMethod {
        match self.cluster.auth.method {
            Method::Jwt(_) => AuthMethod::Jwt,
            Method::Kubernetes(_) => AuthMethod::Kubernetes,
        }
    }

    /// The issuer whose tokens the mount takes, as far as that is known.
    fn issuer(&self) -> Option<&str> {
        if self.method() != AuthMethod::Jwt {
            return self.cluster.auth.issuer.as_deref();
        }
        let trusts = self.mount.and_then(|mount| Some(mount.config.as_ref()?.jwt()?.bound_issuer.as_str()));
        trusts.or(self.cluster.auth.issuer.as_deref()).or(match &self.cluster.source {
            ClusterSource::Files { issuer, .. } | ClusterSource::Issuer { issuer } => Some(issuer.as_str()),
            ClusterSource::Context(_) | ClusterSource::InCluster => None,
        })
    }
}

/// What of a role's bounds the claims of a token don't meet, beside whose it is.
fn unmet(document: &RoleDocument, claims: &TokenClaims) -> Option<String> {
    let audiences = &claims.audiences.0;
    let wanted = document.audiences();
    let is_any = wanted.is_empty() && matches!(document, RoleDocument::Kubernetes(_));
    if !is_any && !audiences.iter().any(|audience| wanted.contains(audience)) {
        let (has, wants) = (list(audiences.iter().map(String::as_str)), list(wanted.iter().map(String::as_str)));
        return Some(format!("its aud is {has}, and the role takes {wants}"));
    }
    if takes(document, &claims.subject).is_err() {
        return Some(format!("its sub is {:?}", claims.subject));
    }
    let role = document.jwt()?;
    let differs = role.bound_claims.iter().find(|(claim, bound)| {
        let has = claims.value(claim).and_then(|has| serde_json::from_str(&has).ok());
        let (has, bound) = (values(has.as_ref()), values(Some(*bound)));
        !has.iter().any(|has| bound.iter().any(|bound| matches(role, bound, has)))
    });
    differs.map(|(claim, _)| match claims.value(claim) {
        Some(has) => format!("its {claim} is {has}"),
        None => format!("it has no {claim}"),
    })
}

/// What a login's consumer asks for and the token isn't for, where that is said: it would prove the login with another audience.
fn elsewhere(asked: &[Audience], claims: &TokenClaims) -> Option<String> {
    let audiences = &claims.audiences.0;
    if asked.is_empty() || asked.iter().any(|asked| audiences.iter().any(|audience| audience == asked.as_str())) {
        return None;
    }
    let (has, wants) = (list(audiences.iter().map(String::as_str)), list(asked.iter().map(Audience::as_str)));
    Some(format!("its aud is {has}, and this login is for {wants}"))
}

/// Where the token is presented. With `named`, somebody asks why roles that are named don't take it: where it is for none of them, each
/// gets it once, so that the checks can tell.
pub(super) fn assigned(claims: &TokenClaims, trials: &[Trial<'_>], named: bool) -> Vec<Use> {
    let mut uses: Vec<Use> =
        trials.iter().map(|trial| trial.unfit(claims).map_or(Use::Presented, Use::NotFor)).collect();
    let of_kubernetes = |trial: &Trial<'_>| trial.method() == AuthMethod::Kubernetes;
    let fits = |at: usize, uses: &[Use]| uses[at] == Use::Presented;
    let places: Vec<usize> = (0..trials.len()).filter(|at| fits(*at, &uses) && of_kubernetes(&trials[*at])).collect();
    // Whoever reviews it sees it: of several clusters, only its own may.
    let first = places.first().map(|at| &trials[*at].cluster.name);
    let by_issuer = (0..trials.len()).any(|at| fits(at, &uses) && !of_kubernetes(&trials[at]));
    if by_issuer || places.iter().any(|at| Some(&trials[*at].cluster.name) != first) {
        for at in places {
            uses[at] = Use::NotFor(
                "of which cluster it is, is not known: name that with --cluster, or `auth.issuer`".to_owned(),
            );
        }
    }
    if named && !uses.contains(&Use::Presented) {
        for (at, trial) in trials.iter().enumerate() {
            let is_elsewhere = trials.iter().any(|other| other.cluster.name != trial.cluster.name);
            // A `kubernetes` mount among several would show it to another cluster.
            if trial.at == 0 && !(is_elsewhere && of_kubernetes(trial)) {
                uses[at] = Use::Presented;
            }
        }
    }
    uses
}

/// Sees to it that a token proves something.
///
/// # Errors
/// When it is for no login of the file.
pub fn check_brought(claims: &TokenClaims, config: &Config, mounts: &[DesiredMount]) -> Result<()> {
    let trials = trials(config, |cluster| mounts.iter().find(|mount| mount.cluster == cluster.name));
    proves_something(&trials, &assigned(claims, &trials, false))
}

/// Sees to it that a token is presented somewhere.
///
/// # Errors
/// When it is for none of these logins.
pub(super) fn proves_something(trials: &[Trial<'_>], uses: &[Use]) -> Result<()> {
    const SHOWN: usize = 8;
    let mut reasons = Vec::new();
    for (trial, used) in trials.iter().zip(uses) {
        match used {
            Use::Presented => return Ok(()),
            Use::NotFor(why) => reasons.push(format!("{} ({}): {why}", trial.role.name, trial.cluster.name)),
        }
    }
    let more = reasons.len().saturating_sub(SHOWN);
    reasons.truncate(SHOWN);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    Err(Error::failed(
        "the token that was brought along (--jwt-file) is one for no role of the file, so that it would prove nothing",
    )
    .because(Error::failed(format!("{}{more}", reasons.join("; "))))
    .remedy("bring a token that the mount's issuer made for a consumer of one of the roles, or leave --jwt-file away"))
}

/// The logins of a configuration, in its order.
pub(super) fn trials<'a>(
    config: &'a Config,
    mount: impl Fn(&config::Cluster) -> Option<&'a DesiredMount>,
) -> Vec<Trial<'a>> {
    let of_cluster = |cluster: &'a config::Cluster| {
        let mount = mount(cluster);
        cluster
            .roles
            .iter()
            .flat_map(move |role| (0..RoleCase::logins_of(role)).map(move |at| Trial { cluster, mount, role, at }))
    };
    config.clusters.iter().flat_map(of_cluster).collect()
}

/// The scene of a role, with what becomes there of a token that was brought along.
pub(super) fn scene(
    mount: &Arc<MountScene>,
    case: RoleCase,
    brought: Option<(&ServiceAccountToken, Use)>,
) -> RoleScene {
    let Some((token, used)) = brought else { return RoleScene::of(Arc::clone(mount), case) };
    let scene = RoleScene::of(Arc::clone(mount), case.with(&token.claims, used));
    if let (true, Some(servers)) = (scene.is_presented(), scene.facts().servers()) {
        servers.present(&scene.consumer(), token.clone());
    }
    scene
}

impl RoleCase {
    /// The same, with what becomes of a token that was brought along.
    fn with(self, claims: &TokenClaims, used: Use) -> Self {
        match used {
            Use::Presented => {
                Self { token: TokenFrom::Whoever, account: account_of(&claims.subject), pattern: None, ..self }
            }
            Use::NotFor(why) => Self { not_for_it: Some(why), ..self },
        }
    }
}

/// The account of a subject, where it names one and is no pattern.
pub(super) fn account_of(subject: &str) -> Option<ServiceAccountRef> {
    ServiceAccountRef::from_subject(subject)?.to_string().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    const FILE: &str = "
clusters:
  - name: pub
    issuer: https://issuer.example
    auth: { method: jwt, keys: oidcDiscovery, mount: jwt-pub, audience: vault }
  - { name: one, context: one, auth: { method: kubernetes, mount: k-one, audience: vault } }
  - { name: two, context: two, auth: { method: kubernetes, mount: k-two, audience: vault } }
policies: [{ name: p, read: [a/*] }]
roles:
  - { name: app, clusters: [pub], serviceAccounts: [shop/app, shop/other], policies: [p], ttl: 1h }
  - { name: claims, clusters: [pub], boundClaims: { repository: shop/app }, policies: [p], ttl: 1h }
  - { name: elsewhere, clusters: [one, two], serviceAccounts: [shop/app], policies: [p], ttl: 1h }
";

    fn claims(text: serde_json::Value) -> TokenClaims {
        serde_json::from_value(text).unwrap()
    }

    /// The roles that a token is presented to, and the reasons of the others.
    fn presented(token: serde_json::Value, named: bool) -> (Vec<String>, Vec<String>) {
        let config = Config::parse(FILE, Path::new("vaultk8s.yaml")).unwrap();
        let trials = trials(&config, |_| None);
        let (mut to, mut reasons) = (Vec::new(), Vec::new());
        for (trial, used) in trials.iter().zip(assigned(&claims(token), &trials, named)) {
            match used {
                Use::Presented => to.push(format!("{}/{}", trial.cluster.name, trial.role.name)),
                Use::NotFor(why) => reasons.push(why),
            }
        }
        (to, reasons)
    }

    #[test]
    fn a_token_is_presented_where_it_meets_the_bounds_and_nowhere_else() {
        let app = json!({ "iss": "https://issuer.example", "sub": "system:serviceaccount:shop:app", "aud": ["vault"] });
        let (to, reasons) = presented(app.clone(), false);
        assert_eq!(to, ["pub/app"]);
        let said = reasons.join("\n");
        for words in ["its sub is", "it has no repository", "of which cluster it is"] {
            assert!(said.contains(words), "{words}: {said}");
        }
        let with = |name: &str, value: serde_json::Value| {
            let mut token = app.clone();
            token[name] = value;
            token
        };
        assert_eq!(presented(with("repository", json!("shop/app")), false).0, ["pub/app", "pub/claims"]);
        assert_eq!(presented(with("aud", json!("sts")), false).0, [] as [&str; 0]);
        // Of which of the two clusters it is, nobody knows: neither is shown it.
        assert_eq!(presented(with("iss", json!("https://other.example")), false).0, [] as [&str; 0]);
        // Whoever names roles wants to know what is wrong, but for what another cluster would be shown.
        assert_eq!(presented(with("aud", json!("sts")), true).0, ["pub/app", "pub/claims"]);
    }

    #[test]
    fn a_token_proves_the_login_of_its_own_account_with_its_own_audience_alone() {
        const FILE: &str = "
clusters:
  - { name: pub, issuer: https://issuer.example, auth: { method: jwt, keys: oidcDiscovery, mount: jwt-pub } }
policies: [{ name: p, read: [a/*] }]
roles:
  - { name: one, serviceAccounts: [shop/a], audience: [x, y], policies: [p], ttl: 1h }
  - { name: two, serviceAccounts: [shop/a, shop/b], audience: [x, y], policies: [p], ttl: 1h }
  - { name: any, serviceAccounts: [shop/b, shop/a], audience: [x, y], policies: [p], ttl: 1h }
";
        let config = Config::parse(FILE, Path::new("vaultk8s.yaml")).unwrap();
        let trials = trials(&config, |_| None);
        assert_eq!(trials.len(), 10);
        let of = |name: &str, audience: &str| {
            let subject = format!("system:serviceaccount:shop:{name}");
            let token = claims(json!({ "iss": "https://issuer.example", "sub": subject, "aud": [audience] }));
            let uses = assigned(&token, &trials, false);
            let fits = trials.iter().zip(&uses).filter(|(_, used)| **used == Use::Presented);
            let fits: Vec<String> = fits.map(|(trial, _)| format!("{}/{}", trial.role.name, trial.at)).collect();
            (fits, uses)
        };
        // Each account with x and then with y.
        let (fits, uses) = of("a", "x");
        assert_eq!(fits, ["one/0", "two/0", "any/2"]);
        let Use::NotFor(why) = &uses[1] else { panic!("{:?}", uses[1]) };
        assert!(why.contains("its aud is") && why.contains("this login is for"), "{why}");
        assert_eq!(of("a", "y").0, ["one/1", "two/1", "any/3"]);
        assert_eq!(of("b", "x").0, ["two/2", "any/0"]);
        assert_eq!(of("b", "y").0, ["two/3", "any/1"]);
        assert!(of("c", "y").0.is_empty());
    }

    #[test]
    fn a_token_for_no_role_is_refused_with_the_reasons() {
        let config = Config::parse(FILE, Path::new("vaultk8s.yaml")).unwrap();
        let token = claims(json!({ "iss": "https://issuer.example", "sub": "repo:x", "aud": "vault" }));
        let error = check_brought(&token, &config, &[]).unwrap_err();
        assert!(error.causes().concat().contains("app (pub): its sub is \"repo:x\""), "{:?}", error.causes());
    }
}
