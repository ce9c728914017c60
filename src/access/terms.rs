//! What decides, beside names and policies, who is let in: audiences, further claims, addresses, lifetimes, and whom a mount
//! trusts.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::config::{
    AliasNameSource, Auth, Cluster, ClusterSource, Config, KeySource, Method, ReviewerToken, Role, TokenType,
    written_duration,
};
use crate::names::ClusterName;

/// Something that decides who is let in, and is otherwise than before.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TermsChange {
    /// What it is about.
    pub about: About,
    /// The names of those: several roles where all change alike.
    pub names: Vec<String>,
    /// Their cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterName>,
    /// What became of it.
    #[serde(flatten)]
    pub change: TermChange,
}

/// What a term is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum About {
    /// Which Vault the file is for.
    Vault,
    /// A cluster.
    Cluster,
    /// The auth mount of a cluster, and whom it trusts.
    Mount,
    /// A role.
    Role,
}

/// What became of a term, or of what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "change")]
pub enum TermChange {
    /// It was not there. What that gives to whom is told with the access.
    New,
    /// It is no longer there.
    Gone,
    /// A field is otherwise.
    #[serde(rename_all = "camelCase")]
    Field {
        /// The field of the configuration.
        field: String,
        /// What it was.
        before: String,
        /// What it is.
        after: String,
        /// Whether it lets in more than before.
        effect: Effect,
    },
}

/// What a changed term does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// It lets in more, or for longer.
    Looser,
    /// It lets in less, or not as long.
    Tighter,
    /// It lets in others, or otherwise.
    Other,
}

impl TermsChange {
    /// Whether it lets in more, or for longer, than before.
    pub fn is_looser(&self) -> bool {
        matches!(self.change, TermChange::Field { effect: Effect::Looser, .. })
    }
}

impl fmt::Display for TermsChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = self.names.len() > 1;
        f.write_str(match (self.about, plural) {
            (About::Vault, _) => "Vault",
            (About::Cluster, _) => "cluster ",
            (About::Mount, _) => "mount ",
            (About::Role, false) => "role ",
            (About::Role, true) => "roles ",
        })?;
        f.write_str(&self.names.join(", "))?;
        if let Some(cluster) = &self.cluster {
            write!(f, " of {cluster}")?;
        }
        let are = if plural { "are" } else { "is" };
        match &self.change {
            TermChange::New => write!(f, " {are} new"),
            TermChange::Gone => write!(f, " {are} gone"),
            TermChange::Field { field, before, after, effect } => {
                write!(f, ": {field} is {after}, and was {before}")?;
                f.write_str(match effect {
                    Effect::Looser => ": looser",
                    Effect::Tighter => ": tighter",
                    Effect::Other => "",
                })
            }
        }
    }
}

/// One term as it stands.
struct Term {
    field: String,
    shown: String,
    scope: Scope,
}

/// How far a term reaches.
enum Scope {
    /// The more, the looser.
    Amount(u64),
    /// One of these; `None` is anything.
    OneOf(Option<BTreeSet<String>>),
    /// Other is other.
    Text,
}

impl Scope {
    fn effect(&self, after: &Self) -> Effect {
        let compared = match (self, after) {
            (Self::Amount(before), Self::Amount(after)) => before.partial_cmp(after),
            (Self::OneOf(None), Self::OneOf(_)) => Some(std::cmp::Ordering::Greater),
            (Self::OneOf(_), Self::OneOf(None)) => Some(std::cmp::Ordering::Less),
            (Self::OneOf(Some(before)), Self::OneOf(Some(after))) => match before.is_subset(after) {
                true => Some(std::cmp::Ordering::Less),
                false if after.is_subset(before) => Some(std::cmp::Ordering::Greater),
                false => None,
            },
            _ => None,
        };
        match compared {
            Some(std::cmp::Ordering::Less) => Effect::Looser,
            Some(std::cmp::Ordering::Greater) => Effect::Tighter,
            _ => Effect::Other,
        }
    }
}

/// What is otherwise in two versions of a configuration; what lets in more comes first.
pub(super) fn terms_changes(before: &Config, after: &Config) -> Vec<TermsChange> {
    let mut changes = Changes::default();
    changes.compare(About::Vault, None, None, &vault(before), &vault(after));
    let find = |config: &Config, name: &ClusterName| config.clusters.iter().position(|other| other.name == *name);
    for cluster in &after.clusters {
        let name = &cluster.name;
        let Some(was) = find(before, name).map(|at| &before.clusters[at]) else {
            changes.add(About::Cluster, Some(name.as_str()), None, TermChange::New);
            continue;
        };
        let mount = Some(cluster.auth.mount.as_str());
        changes.compare(About::Mount, mount, Some(name), &trust(was), &trust(cluster));
        for role in &cluster.roles {
            let role_name = Some(role.name.as_str());
            match was.roles.iter().find(|other| other.name == role.name) {
                Some(was) => {
                    let claims: BTreeSet<&String> = was.bound_claims.keys().chain(role.bound_claims.keys()).collect();
                    let [was, is] = [was, role].map(|role| conditions(role, &claims));
                    changes.compare(About::Role, role_name, Some(name), &was, &is);
                }
                None => changes.add(About::Role, role_name, Some(name), TermChange::New),
            }
        }
        for gone in was.roles.iter().filter(|was| cluster.roles.iter().all(|role| role.name != was.name)) {
            changes.add(About::Role, Some(gone.name.as_str()), Some(name), TermChange::Gone);
        }
    }
    for gone in before.clusters.iter().filter(|cluster| find(after, &cluster.name).is_none()) {
        changes.add(About::Cluster, Some(gone.name.as_str()), None, TermChange::Gone);
    }
    let mut changes = changes.0;
    changes.sort_by_key(|change| !change.is_looser());
    changes
}

/// What was found so far.
#[derive(Default)]
struct Changes(Vec<TermsChange>);

impl Changes {
    /// Adds a change, to another one's names where it is just the same.
    fn add(&mut self, about: About, name: Option<&str>, cluster: Option<&ClusterName>, change: TermChange) {
        let name = name.map(str::to_owned);
        let same = |other: &&mut TermsChange| {
            other.about == About::Role
                && about == About::Role
                && other.cluster.as_ref() == cluster
                && other.change == change
        };
        if let Some(other) = self.0.iter_mut().find(same) {
            other.names.extend(name);
        } else {
            let (names, cluster) = (name.into_iter().collect(), cluster.cloned());
            self.0.push(TermsChange { about, names, cluster, change });
        }
    }

    /// Adds those terms that differ. What only one side has is none on the other, as with two methods.
    fn compare(
        &mut self,
        about: About,
        name: Option<&str>,
        cluster: Option<&ClusterName>,
        before: &[Term],
        after: &[Term],
    ) {
        let find = |terms: &[Term], field: &str| terms.iter().position(|term| term.field == field);
        let gone = before.iter().filter(|term| find(after, &term.field).is_none()).map(|was| (Some(was), None));
        let there = after.iter().map(|is| (find(before, &is.field).map(|at| &before[at]), Some(is)));
        for (was, is) in there.chain(gone) {
            let field = was.or(is).map_or("", |term| term.field.as_str());
            let absent = text(field, "none");
            let (was, is) = (was.unwrap_or(&absent), is.unwrap_or(&absent));
            if was.shown != is.shown {
                let (field, effect) = (field.to_owned(), was.scope.effect(&is.scope));
                let (before, after) = (was.shown.clone(), is.shown.clone());
                self.add(about, name, cluster, TermChange::Field { field, before, after, effect });
            }
        }
    }
}

fn text(field: &str, shown: impl Into<String>) -> Term {
    Term { field: field.to_owned(), shown: shown.into(), scope: Scope::Text }
}

fn flag(field: &str, set: bool, loose_when_set: bool) -> Term {
    Term {
        field: field.to_owned(),
        shown: if set { "true" } else { "false" }.to_owned(),
        scope: Scope::Amount(u64::from(set == loose_when_set)),
    }
}

fn one_of(field: &str, values: &[String]) -> Term {
    Term {
        field: field.to_owned(),
        shown: if values.is_empty() { "any".to_owned() } else { values.join(", ") },
        scope: Scope::OneOf((!values.is_empty()).then(|| values.iter().cloned().collect())),
    }
}

/// Zero means what the server does unasked, which is more than anybody writes.
fn amount(field: &str, value: u64, shown: fn(u64) -> String, unset: &str) -> Term {
    let (shown, amount) = if value == 0 { (unset.to_owned(), u64::MAX) } else { (shown(value), value) };
    Term { field: field.to_owned(), shown, scope: Scope::Amount(amount) }
}

/// What decides who is let in by a role, beside the names of service accounts; `claims` are those that it may bind.
fn conditions(role: &Role, claims: &BTreeSet<&String>) -> Vec<Term> {
    let token = &role.token;
    let audience: Vec<String> = role.audience.iter().map(ToString::to_string).collect();
    let asked: Vec<String> = role.token_audiences.iter().map(ToString::to_string).collect();
    let leeway = |field: &str, leeway: Option<i64>| {
        let shown = leeway.map_or_else(|| "the server's".to_owned(), |seconds| format!("{seconds}s"));
        let known = leeway.filter(|seconds| *seconds != 0).map(|seconds| u64::try_from(seconds).unwrap_or_default());
        let scope = known.map_or(Scope::Text, Scope::Amount);
        Term { field: field.to_owned(), shown, scope }
    };
    let mut terms = vec![
        one_of("audience", &audience),
        text("tokenAudiences", if asked.is_empty() { "the API server's own".to_owned() } else { asked.join(", ") }),
        one_of("boundCidrs", &token.bound_cidrs),
        amount("ttl", token.ttl, written_duration, "the server's"),
        amount("maxTtl", token.max_ttl, written_duration, "the server's"),
        amount("explicitMaxTtl", token.explicit_max_ttl, written_duration, "none"),
        Term { scope: Scope::Amount(token.period), ..amount("period", token.period, written_duration, "none") },
        amount("numUses", token.num_uses, |uses| uses.to_string(), "without limit"),
        flag("noDefaultPolicy", token.no_default_policy, false),
        flag("allowGlobs", role.allow_globs, true),
        text(
            "tokenType",
            match token.token_type {
                TokenType::Default => "default",
                TokenType::Service => "service",
                TokenType::Batch => "batch",
            },
        ),
        text("userClaim", role.user_claim.as_str()),
        text(
            "aliasNameSource",
            match role.alias_name_source {
                None => "the server's",
                Some(AliasNameSource::ServiceAccountUid) => "serviceaccount_uid",
                Some(AliasNameSource::ServiceAccountName) => "serviceaccount_name",
            },
        ),
        leeway("expirationLeeway", role.leeways.expiration),
        leeway("notBeforeLeeway", role.leeways.not_before),
        leeway("clockSkewLeeway", role.leeways.clock_skew),
    ];
    let bound = |claim: &String| role.bound_claims.get(claim).map_or(&[][..], Vec::as_slice);
    terms.extend(claims.iter().map(|claim| one_of(&format!("boundClaims {claim}"), bound(claim))));
    terms
}

/// Whom a mount trusts.
fn trust(cluster: &Cluster) -> Vec<Term> {
    let Auth { mount, exclusive, issuer, keys_ca_cert, method, .. } = &cluster.auth;
    let unset = || "as discovered".to_owned();
    let mut terms = vec![
        text("mount", mount.as_str()),
        text(
            "cluster",
            match &cluster.source {
                ClusterSource::Context(Some(context)) => format!("context {context}"),
                ClusterSource::Context(None) => "the current context".to_owned(),
                ClusterSource::InCluster => "the pod's own".to_owned(),
                ClusterSource::Files { issuer, jwks_file } => {
                    format!("issuer {issuer}, keys in {}", jwks_file.display())
                }
            },
        ),
        text("issuer", issuer.clone().unwrap_or_else(unset)),
        flag("exclusive", *exclusive, false),
    ];
    match method {
        Method::Jwt(keys) => {
            terms.push(text("method", "jwt"));
            terms.push(text(
                "keys",
                match keys {
                    KeySource::Pinned { .. } => "pinned".to_owned(),
                    KeySource::JwksUrl { url } => format!("from {}", url.clone().unwrap_or_else(unset)),
                    KeySource::OidcDiscovery => "oidcDiscovery".to_owned(),
                },
            ));
            if let KeySource::Pinned { retention } = keys {
                let field = "keyRetention".to_owned();
                terms.push(Term { field, shown: written_duration(*retention), scope: Scope::Amount(*retention) });
            }
            let ca =
                keys_ca_cert.as_ref().map_or_else(|| "the kubeconfig's".to_owned(), |file| file.display().to_string());
            terms.push(text("caCert", ca));
        }
        Method::Kubernetes(auth) => {
            let theirs = || "the kubeconfig's".to_owned();
            terms.push(text("method", "kubernetes"));
            terms.push(text("host", auth.host.as_ref().map_or_else(theirs, ToString::to_string)));
            terms.push(text("caCert", auth.ca_cert.as_ref().map_or_else(theirs, |file| file.display().to_string())));
            let kind = match auth.reviewer.token {
                ReviewerToken::Secret => "secret",
                ReviewerToken::Bound => "bound",
                ReviewerToken::Client => "client",
            };
            terms.push(text("reviewer", format!("{} ({kind})", auth.reviewer.service_account)));
        }
    }
    terms
}

/// Which Vault it is for.
fn vault(config: &Config) -> Vec<Term> {
    let section = &config.vault;
    let environment = || "the environment's".to_owned();
    vec![
        text("address", section.address.as_ref().map_or_else(environment, ToString::to_string)),
        text(
            "namespace",
            section.namespace.clone().filter(|namespace| !namespace.is_empty()).unwrap_or_else(environment),
        ),
        text("caCert", section.ca_cert.as_ref().map_or_else(environment, |file| file.display().to_string())),
    ]
}
