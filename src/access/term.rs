//! The terms of roles, mounts and Vault as they stand, each with how far it reaches.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use serde::Serialize;

use crate::claims::width;
use crate::config::{
    AliasNameSource, Allowance, Auth, Cluster, ClusterSource, Config, KeySource, Labelled, Method, Reviewer,
    ReviewerToken, Role, TrustFile, Tune, written_duration,
};
use crate::names::{Owner, RoleName, cidr, glob};

/// One term as it stands.
pub(super) struct Term {
    pub(super) field: String,
    pub(super) shown: String,
    reach: Reach,
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

/// How far a term reaches.
enum Reach {
    /// The more, the looser.
    Amount(u64),
    /// One of these; none is anything.
    OneOf(BTreeSet<String>, Covers),
    /// All of these: the more of them, the looser; others are other.
    AllOf(BTreeSet<String>),
    /// Accounts in namespaces with labels, beside those that are named.
    Labelled(Option<Labelled>),
    /// Other is other.
    Text,
}

/// Whether the first value takes all that the second one takes.
type Covers = fn(&str, &str) -> bool;

impl Term {
    /// What it does that it became another one.
    pub(super) fn effect(&self, after: &Self) -> Effect {
        self.reach.effect(&after.reach)
    }
}

impl Reach {
    fn effect(&self, after: &Self) -> Effect {
        let compared = match (self, after) {
            (Self::Amount(before), Self::Amount(after)) => before.partial_cmp(after),
            (Self::AllOf(before), Self::AllOf(after)) => match (before.is_subset(after), after.is_subset(before)) {
                (true, false) => Some(Ordering::Less),
                (false, true) => Some(Ordering::Greater),
                _ => None,
            },
            (Self::OneOf(before, old), Self::OneOf(after, new)) => {
                // Each with its own notion: where one is a pattern to the newer version, the older one compared texts.
                let all = |covers: Covers, wide: &BTreeSet<String>, narrow: &BTreeSet<String>| {
                    let covered = |value: &String| wide.iter().any(|wide| covers(wide, value));
                    wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(covered))
                };
                match (all(*new, after, before), all(*old, before, after)) {
                    (true, false) => Some(Ordering::Less),
                    (false, true) => Some(Ordering::Greater),
                    _ => None,
                }
            }
            (Self::Labelled(before), Self::Labelled(after)) => {
                let covers = |wide: &Option<Labelled>, narrow: &Option<Labelled>| match (wide, narrow) {
                    (_, None) => true,
                    (None, Some(_)) => false,
                    (Some(wide), Some(narrow)) => wide.covers(narrow),
                };
                match (covers(after, before), covers(before, after)) {
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

pub(super) fn text(field: &str, shown: impl Into<String>) -> Term {
    Term { field: field.to_owned(), shown: shown.into(), reach: Reach::Text }
}

fn flag(field: &str, set: bool, loose_when_set: bool) -> Term {
    Term {
        field: field.to_owned(),
        shown: if set { "true" } else { "false" }.to_owned(),
        reach: Reach::Amount(u64::from(set == loose_when_set)),
    }
}

fn one_of(field: &str, values: &[String], covers: Covers) -> Term {
    let values: BTreeSet<String> = values.iter().cloned().collect();
    let shown = values.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    Term {
        field: field.to_owned(),
        shown: if values.is_empty() { "any".to_owned() } else { shown },
        reach: Reach::OneOf(values, covers),
    }
}

fn all_of(field: &str, values: BTreeSet<String>) -> Term {
    let shown = values.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let shown = if values.is_empty() { "none".to_owned() } else { shown };
    Term { field: field.to_owned(), shown, reach: Reach::AllOf(values) }
}

fn same(one: &str, other: &str) -> bool {
    one == other
}

/// How long a server lets tokens live unasked, in seconds: 32 days.
const SERVERS_TTL: u64 = 768 * 3600;

/// Zero means what the server does unasked.
fn amount(field: &str, value: u64, shown: fn(u64) -> String, (unset, most): (&str, u64)) -> Term {
    let (shown, amount) = if value == 0 { (unset.to_owned(), most) } else { (shown(value), value) };
    Term { field: field.to_owned(), shown, reach: Reach::Amount(amount) }
}

/// What a server gives unasked, in seconds: `DefaultLeewaySeconds` of hashicorp/cap for `exp` and `nbf`, and `DefaultLeeway` of its JWT
/// library for all claims.
const CLAIM_LEEWAY: u64 = 150;
const CLOCK_SKEW_LEEWAY: u64 = 60;

/// Zero means what the server does unasked; less than zero is no leeway at all.
fn leeway(field: &str, leeway: Option<i64>, unasked: u64) -> Term {
    let asked = leeway.filter(|seconds| *seconds != 0);
    let amount = asked.map_or(unasked, |seconds| u64::try_from(seconds).unwrap_or_default());
    let shown = match asked {
        None => "the server's".to_owned(),
        Some(seconds @ 1..) => format!("{seconds}s"),
        Some(_) => "none at all".to_owned(),
    };
    Term { field: field.to_owned(), shown, reach: Reach::Amount(amount) }
}

/// What decides who is let in by a role, beside the names of service accounts; `claims` are those that it may bind.
pub(super) fn conditions(role: &Role, claims: &BTreeSet<&String>) -> Vec<Term> {
    let token = &role.token;
    let audience: Vec<String> = role.audiences.iter().map(ToString::to_string).collect();
    let asked: Vec<String> = role.token_audiences.iter().map(ToString::to_string).collect();
    // A periodic token lives for its period in place of its `ttl`.
    let unset_ttl = match token.period {
        0 => ("the server's", SERVERS_TTL),
        period => ("its period", period),
    };
    let anywhere = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)]
        .iter()
        .all(|any| token.bound_cidrs.iter().any(|cidr| cidr::covers(cidr, &format!("{any}/0"))));
    let bound_cidrs = if anywhere { &[][..] } else { &token.bound_cidrs };
    let mut terms = vec![
        one_of("audience", &audience, same),
        text("tokenAudiences", if asked.is_empty() { "the API server's own".to_owned() } else { asked.join(", ") }),
        one_of("boundCidrs", bound_cidrs, cidr::covers),
        amount("ttl", token.ttl, written_duration, unset_ttl),
        amount("maxTtl", token.max_ttl, written_duration, ("the server's", SERVERS_TTL)),
        amount("explicitMaxTtl", token.explicit_max_ttl, written_duration, ("none", u64::MAX)),
        Term {
            reach: Reach::Amount(token.period),
            ..amount("period", token.period, written_duration, ("none", u64::MAX))
        },
        amount("numUses", token.num_uses, |uses| uses.to_string(), ("without limit", u64::MAX)),
        flag("noDefaultPolicy", token.no_default_policy, false),
        flag("allowGlobs", role.allow_globs, true),
        text("tokenType", token.token_type.as_str()),
        // Accounts with the same value are one identity, and have what that is given.
        Term { reach: Reach::Amount(width(&role.user_claim)), ..text("userClaim", role.user_claim.as_str()) },
        // The more labels a namespace needs, the fewer have them.
        namespaces(role),
        text(
            "aliasNameSource",
            match role.alias_name_source {
                None => "the server's",
                Some(AliasNameSource::ServiceAccountUid) => "serviceaccount_uid",
                Some(AliasNameSource::ServiceAccountName) => "serviceaccount_name",
            },
        ),
        // Policies of groups, and those that are filled in from metadata, are beside what the role's own say.
        all_of("claimMappings", role.claim_mappings.iter().map(|(claim, name)| format!("{claim} as {name}")).collect()),
        all_of("groupsClaim", role.groups_claim.iter().cloned().collect()),
        leeway("expirationLeeway", role.leeways.expiration, CLAIM_LEEWAY),
        leeway("notBeforeLeeway", role.leeways.not_before, CLAIM_LEEWAY),
        leeway("clockSkewLeeway", role.leeways.clock_skew, CLOCK_SKEW_LEEWAY),
    ];
    let covers: Covers = if role.allow_globs { glob::matches } else { same };
    let bound = |claim: &String| role.bound_claims.get(claim).map_or(&[][..], Vec::as_slice);
    terms.extend(claims.iter().map(|claim| one_of(&format!("boundClaims {claim}"), bound(claim), covers)));
    terms
}

/// The labels of namespaces that let in: none of them lets in by name alone.
fn namespaces(role: &Role) -> Term {
    let shown = role.labelled.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
    Term { field: "namespaceSelector".to_owned(), shown, reach: Reach::Labelled(role.labelled.clone()) }
}

/// Whom a mount trusts; files are named as the configuration in this folder names them.
pub(super) fn trust(cluster: &Cluster, folder: &Path) -> Vec<Term> {
    let Auth {
        mount, managed, tune, exclusive, issuer, keys_ca_cert, provider_config, cert_extensions, method, ..
    } = &cluster.auth;
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
                    format!("issuer {issuer}, keys in {}", named(jwks_file, folder))
                }
                ClusterSource::Issuer { issuer } => format!("issuer {issuer}"),
            },
        ),
        text("issuer", issuer.clone().unwrap_or_else(unset)),
        text("manage", managed.to_string()),
        flag("exclusive", *exclusive, false),
    ];
    terms.extend(settings(tune));
    match method {
        Method::Jwt(keys) => {
            terms.push(text("method", "jwt"));
            terms.push(text(
                "keys",
                match keys {
                    KeySource::Pinned { .. } => "pinned".to_owned(),
                    KeySource::JwksUrl { url } => format!("from {}", url.clone().unwrap_or_else(unset)),
                    KeySource::OidcDiscovery => "oidcDiscovery".to_owned(),
                    KeySource::Authenticated => "those of OpenBao's own cluster".to_owned(),
                },
            ));
            if let KeySource::Pinned { retention } = keys {
                let field = "keyRetention".to_owned();
                terms.push(Term { field, shown: written_duration(*retention), reach: Reach::Amount(*retention) });
            }
            let ca = keys_ca_cert.as_ref().map_or_else(|| "the kubeconfig's".to_owned(), |file| named(file, folder));
            terms.push(text("caCert", ca));
            terms.push(text("defaultRole", cluster.auth.default_role.as_ref().map_or("none", RoleName::as_str)));
            let extensions =
                all_of("unsupportedCriticalCertExtensions", cert_extensions.iter().flatten().cloned().collect());
            let unsaid = || Term { shown: "as they are".to_owned(), ..text(&extensions.field, "") };
            terms.push(if cert_extensions.is_none() { unsaid() } else { extensions });
            let provider = match provider_config {
                None => "as it is".to_owned(),
                Some(config) => {
                    let settings = config.iter().map(|(name, value)| format!("{name}: {value}"));
                    settings.collect::<Vec<_>>().join(", ")
                }
            };
            terms.push(text("providerConfig", provider));
        }
        Method::Kubernetes(auth) => {
            let theirs = || "the kubeconfig's".to_owned();
            terms.push(text("method", "kubernetes"));
            terms.push(text("host", auth.host.as_ref().map_or_else(theirs, ToString::to_string)));
            terms.push(text("caCert", auth.ca_cert.as_ref().map_or_else(theirs, |file| named(file, folder))));
            let kind = match &auth.reviewer.token {
                ReviewerToken::Secret => "secret".to_owned(),
                ReviewerToken::Bound => "bound".to_owned(),
                ReviewerToken::Client => "client".to_owned(),
                ReviewerToken::Local => "local".to_owned(),
                ReviewerToken::File(file) => format!("from {}", named(file, folder)),
                ReviewerToken::Environment(name) => format!("from ${name}"),
            };
            let Reviewer { service_account, secret_name, binding_name, lifetime, .. } = &auth.reviewer;
            terms.push(text("annotationsAsMetadata", auth.annotations_as_metadata.to_string()));
            terms.push(text("reviewer", format!("{service_account} ({kind})")));
            terms.push(text("reviewer.secretName", secret_name.as_str()));
            terms.push(text("reviewer.bindingName", binding_name.as_str()));
            terms.push(amount("reviewer.lifetime", lifetime.unwrap_or_default(), written_duration, ("unset", 3600)));
        }
    }
    terms
}

/// A file as a configuration in this folder names it.
fn named(file: &Path, folder: &Path) -> String {
    file.strip_prefix(folder).unwrap_or(file).display().to_string()
}

/// What is in a file that decides whom a mount trusts: the more, the looser.
pub(super) fn content(file: TrustFile<'_>, content: &[String]) -> Term {
    one_of(file.field(), content, same)
}

/// The settings of a mount that the file names.
fn settings(tune: &Tune) -> Vec<Term> {
    let unset = || "unset".to_owned();
    let list = |field: &str, names: &Option<Vec<String>>| {
        let term = all_of(field, names.iter().flatten().cloned().collect());
        if names.is_none() { Term { shown: unset(), ..term } } else { term }
    };
    let seconds = |field: &str, seconds: Option<u64>| match seconds {
        None => amount(field, 0, written_duration, ("unset", SERVERS_TTL)),
        Some(seconds) => amount(field, seconds, written_duration, ("the server's", SERVERS_TTL)),
    };
    let chosen = |field: &str, set: Option<bool>| text(field, set.map_or_else(unset, |set| set.to_string()));
    let shows = tune.listing_visibility.as_deref() == Some("unauth");
    vec![
        text("tune.tokenType", tune.token_type.clone().unwrap_or_else(unset)),
        seconds("tune.defaultLeaseTtl", tune.default_lease_ttl),
        seconds("tune.maxLeaseTtl", tune.max_lease_ttl),
        Term {
            shown: tune.listing_visibility.clone().unwrap_or_else(unset),
            ..flag("tune.listingVisibility", shows, true)
        },
        list("tune.auditNonHmacRequestKeys", &tune.audit_non_hmac_request_keys),
        list("tune.auditNonHmacResponseKeys", &tune.audit_non_hmac_response_keys),
        list("tune.passthroughRequestHeaders", &tune.passthrough_request_headers),
        list("tune.allowedResponseHeaders", &tune.allowed_response_headers),
        chosen("tune.local", tune.local),
        chosen("tune.sealWrap", tune.seal_wrap),
    ]
}

/// Which Vault it is for.
pub(super) fn vault(config: &Config) -> Vec<Term> {
    let section = &config.vault;
    let environment = || "the environment's".to_owned();
    let allow: Vec<String> = config.allow.iter().map(shown_allowance).collect();
    vec![
        text("owner", config.owner.as_ref().map_or("none", Owner::as_str)),
        text("address", section.address.as_ref().map_or_else(environment, ToString::to_string)),
        text(
            "namespace",
            section.namespace.clone().filter(|namespace| !namespace.is_empty()).unwrap_or_else(environment),
        ),
        text("caCert", section.ca_cert.as_ref().map_or_else(environment, |file| named(file, config.folder()))),
        text("allow", if allow.is_empty() { "none".to_owned() } else { allow.join("; ") }),
    ]
}

/// `read on secret/data/shared/*`.
fn shown_allowance(entry: &Allowance) -> String {
    let words: Vec<&str> = entry.capabilities.iter().map(|capability| capability.as_str()).collect();
    format!("{} on {}", words.join(", "), entry.path)
}
