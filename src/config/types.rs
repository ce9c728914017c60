//! The configuration once it is parsed, filled in and checked: what the rest of the crate works with.
//!
//! Templates are gone: a policy with `each: [a, b]` is two [`FilePolicy`]s here, and every role is listed under its
//! cluster. Nothing in here needs the file any more, but [`Position`]s remember where things were written.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::consumer::{FileSecret, FileStore};
use super::files::ConfigFiles;
use super::position::Position;
use super::role::Role;
use super::verb::{Task, Verb};
use crate::model::AuthMethod;
use crate::names::{ClusterName, KvPath, MountPath, Owner, PolicyName, RoleName, ServiceAccountRef};
use crate::policy::{Capability, PolicyPath};

/// A whole configuration file.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Where it was read; none where it was made of flags.
    pub files: ConfigFiles,
    /// Whose it is (`owner`).
    pub owner: Option<Owner>,
    /// Where Vault is, as far as the file says so.
    pub vault: VaultSection,
    /// The clusters, in the order of the file.
    pub clusters: Vec<Cluster>,
    /// The policies, in the order of the file, each once.
    pub policies: Vec<FilePolicy>,
    /// What must hold whatever the policies and roles come to, in the order of the file.
    pub expectations: Vec<Expectation>,
    /// What logins may do beyond their policies (`allow`), in the order of the file.
    pub allow: Vec<Allowance>,
    /// The stores of External Secrets, where the file says any: see [`Config::all_stores`].
    pub stores: Option<Vec<FileStore>>,
    /// The Secrets that are made from them.
    pub secrets: Vec<FileSecret>,
    /// The KV mounts that the file names: by `kv`, or in front of a path.
    pub kv_mounts: Vec<MountPath>,
    /// Those of them that are made where they aren't there (`create`).
    pub made_kv_mounts: Vec<MountPath>,
    /// What is allowed but should be looked at.
    pub warnings: Vec<super::Diagnostic>,
}

/// The `vault:` section.
#[derive(Debug, Clone, Default)]
pub struct VaultSection {
    /// The file that it is in, or would be.
    pub file: PathBuf,
    /// `address`; without it the environment decides.
    pub address: Option<Url>,
    /// `caCert`, relative to the directory of the file.
    pub ca_cert: Option<PathBuf>,
    /// `namespace`; without it, or where it is empty, the environment decides.
    pub namespace: Option<String>,
}

/// One cluster, its auth mount and the roles on it.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Its name, as `{cluster}` gives it.
    pub name: ClusterName,
    /// Where its entry begins.
    pub position: Position,
    /// Where its issuer and keys come from.
    pub source: ClusterSource,
    /// The file's KV mount (`kv`), filled in: what a path means for this cluster where nothing else is said.
    pub kv: MountPath,
    /// Its auth mount.
    pub auth: Auth,
    /// The roles of its mount, in the order of the file.
    pub roles: Vec<Role>,
}

/// Where a cluster's facts come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterSource {
    /// A context of the kubeconfig; `None` is the current one.
    Context(Option<String>),
    /// The service account of the pod that this runs in.
    InCluster,
    /// A cluster that can't be reached from here: its issuer and a file with its JWKS.
    Files {
        /// The issuer, byte for byte as its tokens have it.
        issuer: String,
        /// The JWKS file, relative to the directory of the configuration file.
        jwks_file: PathBuf,
    },
    /// An issuer from which Vault fetches the keys by itself: no cluster is asked.
    Issuer {
        /// The issuer, byte for byte as its tokens have it.
        issuer: String,
    },
}

/// An auth mount and its configuration.
#[derive(Debug, Clone)]
pub struct Auth {
    /// The mount's path, filled in.
    pub mount: MountPath,
    /// Where `auth` stands in the file.
    pub position: Position,
    /// Whether this file keeps the mount (`manage`); else another one does, and this one only has roles on it.
    pub managed: bool,
    /// The mount's description.
    pub description: Option<String>,
    /// Its settings, as far as the file names them (`tune`).
    pub tune: Tune,
    /// Whether the file names every role that the mount may hold (`exclusive`).
    pub exclusive: bool,
    /// `issuer`: overrides what discovery says.
    pub issuer: Option<String>,
    /// `caCert` under jwt: the CA of the server that Vault fetches keys from (never with pinned keys), relative to the
    /// directory of the file.
    pub keys_ca_cert: Option<PathBuf>,
    /// `providerConfig` (jwt); `None` leaves what is there.
    pub provider_config: Option<BTreeMap<String, Value>>,
    /// `unsupportedCriticalCertExtensions` (jwt); `None` leaves what is there.
    pub cert_extensions: Option<Vec<String>>,
    /// `defaultRole` (jwt): the role of a login that names none.
    pub default_role: Option<RoleName>,
    /// Whether what is left out of the mount's configuration is the server's default, as in a file; flags leave what is there.
    pub whole: bool,
    /// The method, with what only it needs.
    pub method: Method,
}

/// The settings of an auth mount; `None` leaves what is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tune {
    /// `tokenType`, as the API has it.
    pub token_type: Option<String>,
    /// `defaultLeaseTtl`, seconds; 0 is the server's.
    pub default_lease_ttl: Option<u64>,
    /// `maxLeaseTtl`, seconds; 0 is the server's.
    pub max_lease_ttl: Option<u64>,
    /// `listingVisibility`: `hidden` or `unauth`.
    pub listing_visibility: Option<String>,
    /// `auditNonHmacRequestKeys`.
    pub audit_non_hmac_request_keys: Option<Vec<String>>,
    /// `auditNonHmacResponseKeys`.
    pub audit_non_hmac_response_keys: Option<Vec<String>>,
    /// `passthroughRequestHeaders`.
    pub passthrough_request_headers: Option<Vec<String>>,
    /// `allowedResponseHeaders`.
    pub allowed_response_headers: Option<Vec<String>>,
    /// `local`, which only enabling decides.
    pub local: Option<bool>,
    /// `sealWrap`, which only enabling decides.
    pub seal_wrap: Option<bool>,
}

/// An auth method.
#[derive(Debug, Clone)]
pub enum Method {
    /// Vault checks signatures itself, with keys that it knows.
    Jwt(KeySource),
    /// Vault asks the cluster's `TokenReview` API.
    Kubernetes(Box<KubernetesAuth>),
}

impl Method {
    /// Which one it is.
    pub fn kind(&self) -> AuthMethod {
        match self {
            Self::Jwt(_) => AuthMethod::Jwt,
            Self::Kubernetes(_) => AuthMethod::Kubernetes,
        }
    }
}

/// Where a `jwt` mount takes the cluster's keys from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// Written into the mount (`jwt_validation_pubkeys`).
    Pinned {
        /// `keyRetention`, seconds: how long a key that the cluster no longer publishes stays pinned.
        retention: u64,
    },
    /// Fetched by Vault (`jwks_url`).
    JwksUrl {
        /// `jwksUrl`, as written; without it the `jwks_uri` of the cluster's discovery document.
        url: Option<String>,
    },
    /// Fetched by Vault, with the issuer (`oidc_discovery_url`).
    OidcDiscovery,
    /// Fetched by OpenBao from the cluster that it runs in, with the credentials of its own pod (`providerConfig`).
    Authenticated,
}

/// What only the `kubernetes` method has.
#[derive(Debug, Clone)]
pub struct KubernetesAuth {
    /// `host`; without it the kubeconfig's server.
    pub host: Option<Url>,
    /// `caCert`, relative to the directory of the file; without it the kubeconfig's.
    pub ca_cert: Option<PathBuf>,
    /// Who reviews tokens for Vault.
    pub reviewer: Reviewer,
    /// Whether the file says so; else it is who a bootstrap makes.
    pub reviewer_is_named: bool,
    /// `annotationsAsMetadata`: whether an identity gets what annotations of its service account say.
    pub annotations_as_metadata: bool,
}

impl Auth {
    /// Who reviews tokens for the mount, as far as that is known: of one that another file keeps, this one has to say it.
    pub fn known_reviewer(&self) -> Option<&Reviewer> {
        match &self.method {
            Method::Kubernetes(auth) if self.managed || auth.reviewer_is_named => Some(&auth.reviewer),
            Method::Kubernetes(_) | Method::Jwt(_) => None,
        }
    }
}

/// The account whose token Vault presents to the `TokenReview` API.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reviewer {
    /// Its service account.
    pub service_account: ServiceAccountRef,
    /// What kind of token it has.
    pub token: ReviewerToken,
    /// The Secret that holds a long-lived token.
    pub secret_name: String,
    /// The `ClusterRoleBinding` to `system:auth-delegator`.
    pub binding_name: String,
    /// How long a bound token is asked for, in seconds.
    pub lifetime: Option<u64>,
    /// Whether Vault reads labels of namespaces with its token: a role of the mount selects them.
    #[serde(default)]
    pub reads_namespaces: bool,
}

/// `auth.reviewer.token`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum ReviewerToken {
    /// The long-lived token of a Secret
    #[default]
    Secret,
    /// A token from `TokenRequest`, which expires and is renewed by the next run
    Bound,
    /// None: the token that logs in reviews itself
    Client,
    /// That of Vault's own pod, in the cluster that it serves
    Local,
    /// What this file holds: any token that the mount's host takes
    #[value(skip)]
    File(PathBuf),
    /// What this variable of the environment holds, likewise
    #[value(skip)]
    Environment(String),
}

impl ReviewerToken {
    /// Whether it is one of the reviewer's account, which this tool then looks after in the cluster.
    pub fn is_of_the_account(&self) -> bool {
        matches!(self, Self::Secret | Self::Bound)
    }

    /// Whether it comes from a file or a variable.
    pub fn is_elsewhere(&self) -> bool {
        matches!(self, Self::File(_) | Self::Environment(_))
    }

    /// Whether the mount is given one.
    pub fn is_given(&self) -> bool {
        !matches!(self, Self::Client | Self::Local)
    }
}

/// One policy, filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePolicy {
    /// Its name in Vault.
    pub name: PolicyName,
    /// Where its entry begins.
    pub position: Position,
    /// What it grants: on secrets, as tasks, and by rules.
    pub grants: Vec<Grant>,
}

/// One thing that a policy grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grant {
    /// A verb on a path of a KV mount; the API path depends on the mount's version.
    Kv {
        /// The KV mount.
        mount: MountPath,
        /// What may be done.
        verb: Verb,
        /// On which secrets.
        path: KvPath,
    },
    /// A rule, for anything that isn't KV.
    Rule {
        /// Where it stands in the file.
        position: Position,
        /// The API path, as in a Vault policy.
        path: PolicyPath,
        /// The capabilities.
        capabilities: Vec<Capability>,
        /// The field that says it in one word, where one does.
        #[serde(default)]
        task: Option<Task>,
    },
}

impl Grant {
    /// Its path as the file has it: of a secret, or of the API.
    pub fn path(&self) -> &str {
        match self {
            Self::Kv { path, .. } => path.as_str(),
            Self::Rule { path, .. } => path.as_str(),
        }
    }
}

/// Something that logins may do beyond their policies, wherever they have it from (`allow`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// Where its entry begins.
    pub position: Position,
    /// The cluster whose logins it is for; all of them unless its path has `{cluster}`.
    pub cluster: Option<ClusterName>,
    /// The API path, as in a Vault policy.
    pub path: PolicyPath,
    /// What may be done there.
    pub capabilities: Vec<Capability>,
    /// Why it is meant.
    pub why: String,
}

/// What must hold whatever the policies and roles come to (`expect`): a verb on a path, and who can do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// Where its entry begins.
    pub position: Position,
    /// Who can, or can't.
    pub expected: Expected,
    /// What is done.
    pub act: Act,
}

/// What is done where: on each path that this one matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Something with secrets.
    Kv {
        /// What it is.
        verb: Verb,
        /// In which KV mount.
        mount: MountPath,
        /// On which secrets.
        path: KvPath,
    },
    /// Something else.
    Api {
        /// What it is, in the word of the file.
        word: &'static str,
        /// What a policy must allow for it.
        capabilities: Vec<Capability>,
        /// The API path.
        path: PolicyPath,
    },
}

impl Act {
    /// What it is, in the word of the file.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Kv { verb, .. } => verb.word(),
            Self::Api { word, .. } => word,
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kv { verb, mount, path } => write!(f, "{} {mount}/{path}", verb.word()),
            Self::Api { word, path, .. } => write!(f, "{word} {path}"),
        }
    }
}

/// Who can do something, or can't.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Each of these can, through some role.
    Can(Vec<ClusterAccount>),
    /// None of these can, through any role.
    Cannot(Vec<ClusterAccount>),
    /// Nobody can but these, who need not.
    NobodyBut(Vec<ClusterAccount>),
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named =
            |accounts: &[ClusterAccount]| accounts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
        let (who, can) = match &self.expected {
            Expected::Can(accounts) => (named(accounts), "can"),
            Expected::Cannot(accounts) => (named(accounts), "cannot"),
            Expected::NobodyBut(accounts) if accounts.is_empty() => ("nobody".to_owned(), "can"),
            Expected::NobodyBut(accounts) => (format!("nobody but {}", named(accounts)), "can"),
        };
        write!(f, "{who} {can} {}", self.act)
    }
}

/// A service account of one of the clusters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClusterAccount {
    /// The cluster.
    pub cluster: ClusterName,
    /// Its service account.
    pub account: ServiceAccountRef,
}

impl fmt::Display for ClusterAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.account, self.cluster)
    }
}
