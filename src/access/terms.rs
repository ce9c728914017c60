//! What decides, beside names and policies, who is let in: audiences, further claims, addresses, lifetimes, and whom a mount
//! trusts.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::who::let_in;
use crate::config::{
    AliasNameSource, Auth, Cluster, ClusterSource, Config, KeySource, Method, Reviewer, ReviewerToken, Role, TokenType,
    written_duration,
};
use crate::names::{ClusterName, cidr, glob};

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
    New {
        /// Its terms, each with its field.
        terms: Vec<String>,
    },
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
    /// Whether a reviewer must not overlook it: it lets in more, or for longer, than before, or others are trusted.
    pub fn is_notable(&self) -> bool {
        match &self.change {
            TermChange::Field { effect: Effect::Looser, .. } => true,
            TermChange::Field { .. } => self.about != About::Role,
            TermChange::New { .. } => true,
            TermChange::Gone => false,
        }
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
            TermChange::New { terms } => write!(f, " {are} new: {}", terms.join("; ")),
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
    /// One of these; none is anything.
    OneOf(BTreeSet<String>, Covers),
    /// Other is other.
    Text,
}

/// Whether the first value takes all that the second one takes.
type Covers = fn(&str, &str) -> bool;

impl Scope {
    fn effect(&self, after: &Self) -> Effect {
        let compared = match (self, after) {
            (Self::Amount(before), Self::Amount(after)) => before.partial_cmp(after),
            (Self::OneOf(before, covers), Self::OneOf(after, _)) => {
                let all = |wide: &BTreeSet<String>, narrow: &BTreeSet<String>| {
                    let covered = |value: &String| wide.iter().any(|wide| covers(wide, value));
                    wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(covered))
                };
                match (all(after, before), all(before, after)) {
                    (true, false) => Some(Ordering::Less),
                    (false, true) => Some(Ordering::Greater),
                    _ => None,
                }
            }
            _ => None,
        };
        match compared {
            Some(Ordering::Less) => Effect::Looser,
            Some(Ordering::Greater) => Effect::Tighter,
            _ => Effect::Other,
        }
    }
}

/// What is otherwise in two versions of a configuration; what lets in more comes first.
pub(super) fn terms_changes(before: &Config, after: &Config) -> Vec<TermsChange> {
    let mut changes = Changes::default();
    changes.compare(About::Vault, None, None, &vault(before), &vault(after));
    let find = |config: &Config, name: &ClusterName| config.clusters.iter().position(|other| other.name == *name);
    let new = |cluster: &Cluster| find(before, &cluster.name).is_none();
    for cluster in &after.clusters {
        let name = &cluster.name;
        // Under another name, it stands for the one that is gone in its place.
        let was = match find(before, name) {
            Some(at) => Some(&before.clusters[at]),
            None => only(before.clusters.iter().filter(|was| find(after, &was.name).is_none()))
                .filter(|_| after.clusters.iter().filter(|cluster| new(cluster)).count() == 1),
        };
        if was.is_none_or(|was| was.name != *name) {
            changes.add(About::Cluster, Some(name.as_str()), None, TermChange::New { terms: shown(&trust(cluster)) });
        }
        let Some(was) = was else {
            for role in &cluster.roles {
                changes.new_role(role, name);
            }
            continue;
        };
        changes.compare(About::Mount, Some(cluster.auth.mount.as_str()), Some(name), &trust(was), &trust(cluster));
        changes.roles(name, was, cluster);
    }
    for gone in before.clusters.iter().filter(|cluster| find(after, &cluster.name).is_none()) {
        changes.add(About::Cluster, Some(gone.name.as_str()), None, TermChange::Gone);
    }
    let mut changes = changes.0;
    changes.sort_by_key(|change| !change.is_notable());
    changes
}

/// The one thing that there is, if it is one.
fn only<T>(mut things: impl Iterator<Item = T>) -> Option<T> {
    let first = things.next();
    if things.next().is_none() { first } else { None }
}

/// Terms in words, without those that are left to the server.
fn shown(terms: &[Term]) -> Vec<String> {
    let unsaid = |term: &&Term| {
        let left =
            ["none", "the server's", "the API server's own", "false", "unset", "without limit", "default", "sub"];
        left.contains(&term.shown.as_str())
    };
    terms.iter().filter(|term| !unsaid(term)).map(|term| format!("{} {}", term.field, term.shown)).collect()
}

/// What was found so far.
#[derive(Default)]
struct Changes(Vec<TermsChange>);

impl Changes {
    /// Compares the roles of a cluster. A role that is new stands for one that is gone where they let in the same for the same.
    fn roles(&mut self, cluster: &ClusterName, before: &Cluster, after: &Cluster) {
        let there = |roles: &[Role], role: &Role| roles.iter().any(|other| other.name == role.name);
        let gone: Vec<&Role> = before.roles.iter().filter(|role| !there(&after.roles, role)).collect();
        for role in &after.roles {
            let same = before.roles.iter().find(|was| was.name == role.name);
            if same.is_none() {
                self.new_role(role, cluster);
            }
            let alike = |was: &&&Role| let_in(was) == let_in(role) && was.policies == role.policies;
            let Some(was) = same.or_else(|| gone.iter().find(alike).copied()) else { continue };
            let claims: BTreeSet<&String> = was.bound_claims.keys().chain(role.bound_claims.keys()).collect();
            let [before, after] = [was, role].map(|role| conditions(role, &claims));
            self.compare(About::Role, Some(role.name.as_str()), Some(cluster), &before, &after);
        }
        for role in gone {
            self.add(About::Role, Some(role.name.as_str()), Some(cluster), TermChange::Gone);
        }
    }

    fn new_role(&mut self, role: &Role, cluster: &ClusterName) {
        let terms = shown(&conditions(role, &role.bound_claims.keys().collect()));
        self.add(About::Role, Some(role.name.as_str()), Some(cluster), TermChange::New { terms });
    }

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

fn one_of(field: &str, values: &[String], covers: Covers) -> Term {
    let values: BTreeSet<String> = values.iter().cloned().collect();
    let shown = values.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    Term {
        field: field.to_owned(),
        shown: if values.is_empty() { "any".to_owned() } else { shown },
        scope: Scope::OneOf(values, covers),
    }
}

fn same(one: &str, other: &str) -> bool {
    one == other
}

/// How long a server lets tokens live unasked, in seconds: 32 days.
const SERVERS_TTL: u64 = 768 * 3600;

/// Zero means what the server does unasked.
fn amount(field: &str, value: u64, shown: fn(u64) -> String, (unset, most): (&str, u64)) -> Term {
    let (shown, amount) = if value == 0 { (unset.to_owned(), most) } else { (shown(value), value) };
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
        one_of("audience", &audience, same),
        text("tokenAudiences", if asked.is_empty() { "the API server's own".to_owned() } else { asked.join(", ") }),
        one_of("boundCidrs", &token.bound_cidrs, cidr::covers),
        amount("ttl", token.ttl, written_duration, ("the server's", SERVERS_TTL)),
        amount("maxTtl", token.max_ttl, written_duration, ("the server's", SERVERS_TTL)),
        amount("explicitMaxTtl", token.explicit_max_ttl, written_duration, ("none", u64::MAX)),
        Term {
            scope: Scope::Amount(token.period),
            ..amount("period", token.period, written_duration, ("none", u64::MAX))
        },
        amount("numUses", token.num_uses, |uses| uses.to_string(), ("without limit", u64::MAX)),
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
    let covers: Covers = if role.allow_globs { glob::matches } else { same };
    let bound = |claim: &String| role.bound_claims.get(claim).map_or(&[][..], Vec::as_slice);
    terms.extend(claims.iter().map(|claim| one_of(&format!("boundClaims {claim}"), bound(claim), covers)));
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
            let Reviewer { service_account, secret_name, binding_name, lifetime, .. } = &auth.reviewer;
            terms.push(text("reviewer", format!("{service_account} ({kind})")));
            terms.push(text("reviewer.secretName", secret_name.as_str()));
            terms.push(text("reviewer.bindingName", binding_name.as_str()));
            terms.push(amount("reviewer.lifetime", lifetime.unwrap_or_default(), written_duration, ("unset", 3600)));
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
