//! Stores, as far as they matter here. What is of another shape than expected counts as not there: its
//! own API server has judged it already.

use kube::api::DynamicObject;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize, Serializer};

use super::store_condition::StoreCondition;
use crate::model::AuthMethod;
use crate::names::ServiceAccountRef;

/// Of a store whose secrets are in another namespace of Vault than its role.
pub(super) const ELSEWHERE: &str = "the store's secrets are in another namespace of Vault than its login";

/// The audience that External Secrets' jwt auth asks for where the store names none.
const DEFAULT_AUDIENCE: &str = "vault";

/// A `ClusterSecretStore` or `SecretStore` of the provider `vault` that logs in with a service account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Store {
    /// The namespace of a `SecretStore`; `None` of a `ClusterSecretStore`.
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    pub(crate) vault: VaultProvider,
    pub(crate) auth: StoreAuth,
    /// Which namespaces a `ClusterSecretStore` lets in: all, where it has none.
    pub(crate) conditions: Vec<StoreCondition>,
    /// Its condition `Ready`, where the operator has looked at it.
    pub(crate) ready: Option<Condition>,
}

/// How a store logs in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoreAuth {
    pub(crate) method: AuthMethod,
    pub(crate) mount: String,
    pub(crate) role: String,
    pub(crate) account: StoreAccount,
    /// The namespace that its `serviceAccountRef` names, which a `SecretStore` has no use for.
    pub(crate) account_namespace: Option<String>,
    /// What is asked of `TokenRequest`.
    pub(crate) audiences: Vec<String>,
}

/// As whom a store logs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StoreAccount {
    /// As this one.
    Named(ServiceAccountRef),
    /// As the one of this name in the namespace of each `ExternalSecret`.
    OfEach(String),
    /// As the operator itself.
    Operator,
    /// With a token in a Secret.
    Token,
}

/// `spec.provider.vault`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct VaultProvider {
    pub(crate) server: String,
    pub(crate) namespace: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) ca_bundle: Option<String>,
    pub(crate) ca_provider: Option<CaProvider>,
    auth: Auth,
}

/// `caProvider`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct CaProvider {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) namespace: Option<String>,
}

/// Whether there is something, whatever it is.
#[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
pub(super) fn whether<S: Serializer>(it: &Option<IgnoredAny>, serializer: S) -> Result<S::Ok, S::Error> {
    if it.is_some() { serializer.serialize_bool(true) } else { serializer.serialize_none() }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Auth {
    /// Where the login itself goes, if not where the secrets are.
    namespace: Option<String>,
    #[serde(serialize_with = "whether")]
    token_secret_ref: Option<IgnoredAny>,
    #[serde(serialize_with = "whether")]
    app_role: Option<IgnoredAny>,
    kubernetes: Option<KubernetesAuth>,
    jwt: Option<JwtAuth>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct JwtAuth {
    path: Option<String>,
    role: String,
    #[serde(serialize_with = "whether")]
    secret_ref: Option<IgnoredAny>,
    kubernetes_service_account_token: Option<RequestedToken>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RequestedToken {
    service_account_ref: AccountSelector,
    audiences: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct KubernetesAuth {
    mount_path: Option<String>,
    role: String,
    service_account_ref: Option<AccountSelector>,
    #[serde(serialize_with = "whether")]
    secret_ref: Option<IgnoredAny>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct AccountSelector {
    name: String,
    namespace: Option<String>,
    audiences: Vec<String>,
}

/// A condition of an object's status.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Condition {
    #[serde(rename = "type")]
    kind: String,
    pub(crate) status: String,
    pub(crate) reason: String,
    pub(crate) message: String,
}

impl Condition {
    /// Whether it says no.
    pub(crate) fn denies(&self) -> bool {
        self.status == "False"
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.kind, self.status)?;
        [&self.reason, &self.message]
            .into_iter()
            .filter(|text| !text.is_empty())
            .try_for_each(|text| write!(f, ", {text}"))
    }
}

/// The condition `Ready` of an object.
pub(super) fn ready(object: &DynamicObject) -> Option<Condition> {
    let conditions: Vec<Condition> = at(object, "/status/conditions")?;
    conditions.into_iter().find(|condition| condition.kind == "Ready")
}

/// What is at a place of an object, if it is of that shape.
pub(super) fn at<T: DeserializeOwned>(object: &DynamicObject, pointer: &str) -> Option<T> {
    T::deserialize(object.data.pointer(pointer)?).ok()
}

/// A namespace of Vault as one writes it; `None` is the root namespace.
pub(super) fn plain_namespace(name: Option<&str>) -> Option<&str> {
    name.map(|name| name.trim_matches('/')).filter(|name| !name.is_empty() && *name != "root")
}

impl Store {
    /// Reads a store; `None` of those of other providers or ways to log in.
    pub(crate) fn read(object: &DynamicObject) -> Option<Self> {
        let vault: VaultProvider = at(object, "/spec/provider/vault")?;
        let namespace = object.metadata.namespace.clone();
        let named = |selector: &AccountSelector| {
            // A SecretStore takes accounts of its own namespace alone.
            let namespace = namespace.clone().or_else(|| selector.namespace.clone());
            namespace.map_or_else(
                || StoreAccount::OfEach(selector.name.clone()),
                |namespace| StoreAccount::Named(ServiceAccountRef { namespace, name: selector.name.clone() }),
            )
        };
        // Of several ways to log in, in the order in which External Secrets looks for them.
        let auth = match (&vault.auth.kubernetes, &vault.auth.jwt) {
            _ if vault.auth.token_secret_ref.is_some() || vault.auth.app_role.is_some() => return None,
            (None, Some(jwt)) => {
                let (account, audiences) = match &jwt.kubernetes_service_account_token {
                    Some(token) if jwt.secret_ref.is_none() => {
                        let mut audiences =
                            token.audiences.clone().unwrap_or_else(|| vec![DEFAULT_AUDIENCE.to_owned()]);
                        audiences.extend(token.service_account_ref.audiences.iter().cloned());
                        (named(&token.service_account_ref), audiences)
                    }
                    _ => (StoreAccount::Token, Vec::new()),
                };
                let mount = jwt.path.clone().unwrap_or_else(|| "jwt".to_owned());
                let token = jwt.kubernetes_service_account_token.as_ref();
                let account_namespace = token.and_then(|token| token.service_account_ref.namespace.clone());
                let (method, role) = (AuthMethod::Jwt, jwt.role.trim().to_owned());
                StoreAuth { method, mount, role, account, account_namespace, audiences }
            }
            (Some(kubernetes), _) => {
                let (account, audiences) = match &kubernetes.service_account_ref {
                    Some(selector) => (named(selector), selector.audiences.clone()),
                    None if kubernetes.secret_ref.is_some() => (StoreAccount::Token, Vec::new()),
                    None => (StoreAccount::Operator, Vec::new()),
                };
                let mount = kubernetes.mount_path.clone().unwrap_or_else(|| "kubernetes".to_owned());
                let selector = kubernetes.service_account_ref.as_ref();
                let account_namespace = selector.and_then(|selector| selector.namespace.clone());
                let (method, role) = (AuthMethod::Kubernetes, kubernetes.role.clone());
                StoreAuth { method, mount, role, account, account_namespace, audiences }
            }
            (None, None) => return None,
        };
        let auth = StoreAuth { mount: auth.mount.trim_matches('/').to_owned(), ..auth };
        let conditions = at(object, "/spec/conditions").filter(|_| namespace.is_none()).unwrap_or_default();
        Some(Self { namespace, name: object.metadata.name.clone()?, vault, auth, conditions, ready: ready(object) })
    }

    /// Its kind.
    pub(crate) fn kind(&self) -> &'static str {
        if self.namespace.is_some() { "SecretStore" } else { "ClusterSecretStore" }
    }

    /// Its kind and name, for people.
    pub(crate) fn shown(&self) -> String {
        let namespace = self.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        format!("{} {namespace}{}", self.kind(), self.name)
    }

    /// Whether it says that it is ready: then somebody logged in with it.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.as_ref().is_some_and(|ready| ready.status == "True")
    }

    /// The namespace of Vault that it logs in to; `None` is the root namespace.
    pub(crate) fn login_namespace(&self) -> Option<&str> {
        plain_namespace(self.vault.auth.namespace.as_deref().or(self.vault.namespace.as_deref()))
    }

    /// Whether the login has a namespace of its own.
    pub(crate) fn has_login_namespace(&self) -> bool {
        self.vault.auth.namespace.is_some()
    }

    /// Whether it takes its KV mount for one of version 2.
    pub(crate) fn is_versioned(&self) -> bool {
        self.vault.version.as_deref() != Some("v1")
    }

    /// Whether the secrets are in another namespace of Vault than the login.
    pub(crate) fn reads_elsewhere(&self) -> bool {
        plain_namespace(self.vault.namespace.as_deref()) != self.login_namespace()
    }
}
