//! A role once it is parsed and filled in, and what it says of the tokens that its logins give.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::position::Position;
use crate::names::{
    Audience, Labels, NamespaceSelector, PolicyName, RoleName, ServiceAccountPattern, ServiceAccountRef, glob,
};

/// One role, filled in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Role {
    /// Its name on the mount.
    pub name: RoleName,
    /// Where its entry begins.
    pub position: Position,
    /// Who may log in; empty only where `bound_claims` or `account_patterns` say who.
    pub service_accounts: Vec<ServiceAccountRef>,
    /// Who else may log in (kubernetes, with `allowGlobs`): whoever matches.
    pub account_patterns: Vec<ServiceAccountPattern>,
    /// Who else may log in (kubernetes, with `namespaceSelector`): accounts of these names in namespaces with labels.
    #[serde(default)]
    pub labelled: Option<Labelled>,
    /// What the login's token may do.
    pub policies: Vec<PolicyName>,
    /// The audiences, one of which a token must have: its own, else that of `auth`. None at all is `anyAudience` (kubernetes).
    // Captures had one of them, or none.
    #[serde(alias = "audience", deserialize_with = "one_or_more")]
    pub audiences: Vec<Audience>,
    /// What the consumer asks `TokenRequest` for; empty is the API server's default.
    pub token_audiences: Vec<Audience>,
    /// Whether nothing says who asks for which of several audiences.
    #[serde(default)]
    pub each_audience_alone: bool,
    /// `userClaim` (jwt): the claim that names the identity; `sub` unless set.
    pub user_claim: String,
    /// `boundClaims` (jwt): further claims and the values they may have.
    pub bound_claims: BTreeMap<String, Vec<String>>,
    /// `claimMappings` (jwt): claims that become metadata of the identity, each with the name that it gets.
    #[serde(default)]
    pub claim_mappings: BTreeMap<String, String>,
    /// `groupsClaim` (jwt): the claim that names groups.
    #[serde(default)]
    pub groups_claim: Option<String>,
    /// Whether there may be patterns (`allowGlobs`): values of `bound_claims` under jwt, accounts under kubernetes.
    pub allow_globs: bool,
    /// `aliasNameSource` (kubernetes).
    pub alias_name_source: Option<AliasNameSource>,
    /// Properties of the token that a login gives.
    pub token: TokenSettings,
    /// Leeways for the clocks (jwt).
    pub leeways: Leeways,
}

impl Role {
    /// What consumers ask `TokenRequest` for. Where a role takes several audiences and nothing says who asks for which, each is asked
    /// for alone: a token for all of them would hide that one of them isn't taken.
    pub fn consumers(&self) -> Vec<Vec<Audience>> {
        if self.each_audience_alone {
            return self.audiences.iter().map(|audience| vec![audience.clone()]).collect();
        }
        vec![self.token_audiences.clone()]
    }
}

fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Audience>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        More(Vec<Audience>),
        One(Option<Audience>),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::More(audiences) => audiences,
        Written::One(audience) => audience.into_iter().collect(),
    })
}

/// Accounts that are named without their namespace: any that is selected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Labelled {
    /// Their names; patterns where the role has `allowGlobs`.
    pub names: Vec<String>,
    /// Which namespaces.
    pub selector: NamespaceSelector,
}

impl Labelled {
    /// Whether an account of a namespace with these labels is among them.
    pub fn takes(&self, name: &str, labels: &Labels) -> bool {
        self.has_name(name) && self.selector.matches(labels)
    }

    /// Whether they are all that others are.
    pub fn covers(&self, other: &Self) -> bool {
        self.selector.covers(&other.selector) && other.names.iter().all(|name| self.has_name(name))
    }

    /// The same, name by name.
    pub fn each(&self) -> impl Iterator<Item = Self> + use<> {
        let Self { names, selector } = self.clone();
        names.into_iter().map(move |name| Self { names: vec![name], selector: selector.clone() })
    }

    /// Whether accounts of this name are among them, in namespaces that have the labels.
    pub fn has_name(&self, name: &str) -> bool {
        self.names.iter().any(|own| glob::matches(own, name))
    }
}

impl fmt::Display for Labelled {
    /// As part of a sentence, after "it lets in".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in namespaces with the labels {}", self.names.join(" or "), self.selector)
    }
}

/// `aliasNameSource`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AliasNameSource {
    /// `serviceaccount_uid`, the server's default.
    ServiceAccountUid,
    /// `serviceaccount_name`.
    ServiceAccountName,
}

/// Properties of the token that a login gives; `None` and `0` leave them to the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenSettings {
    /// `ttl`, seconds.
    pub ttl: u64,
    /// `maxTtl`, seconds.
    pub max_ttl: u64,
    /// `explicitMaxTtl`, seconds.
    pub explicit_max_ttl: u64,
    /// `period`, seconds.
    pub period: u64,
    /// `numUses`; 0 is without limit.
    pub num_uses: u64,
    /// `noDefaultPolicy`.
    pub no_default_policy: bool,
    /// `boundCidrs`, as written.
    pub bound_cidrs: Vec<String>,
    /// `tokenType`.
    pub token_type: TokenType,
}

/// `tokenType`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenType {
    /// As the mount says.
    #[default]
    Default,
    /// A service token, with a lease.
    Service,
    /// A batch token.
    Batch,
}

impl TokenType {
    /// As the file and the API have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Service => "service",
            Self::Batch => "batch",
        }
    }
}

/// Leeways for the clocks, in seconds; `None` leaves them to the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leeways {
    /// `expirationLeeway`.
    pub expiration: Option<i64>,
    /// `notBeforeLeeway`.
    pub not_before: Option<i64>,
    /// `clockSkewLeeway`.
    pub clock_skew: Option<i64>,
}
