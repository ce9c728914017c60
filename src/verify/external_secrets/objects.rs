//! External Secrets' objects, as far as they matter here. What is of another shape than expected counts as not there: its
//! own API server has judged it already.

use kube::api::DynamicObject;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::names::ServiceAccountRef;
use crate::vault::AuthMethod;

/// The audience that External Secrets' jwt auth asks for where the store names none.
const DEFAULT_AUDIENCE: &str = "vault";

/// A `ClusterSecretStore` or `SecretStore` of the provider `vault` that logs in with a service account.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    /// The namespace of a `SecretStore`; `None` of a `ClusterSecretStore`.
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    pub(crate) vault: VaultProvider,
    pub(crate) auth: StoreAuth,
    /// Its condition `Ready`, where the operator has looked at it.
    pub(crate) ready: Option<Condition>,
}

/// How a store logs in.
#[derive(Debug, Clone)]
pub(crate) struct StoreAuth {
    pub(crate) method: AuthMethod,
    pub(crate) mount: String,
    pub(crate) role: String,
    pub(crate) account: StoreAccount,
    /// What is asked of `TokenRequest`.
    pub(crate) audiences: Vec<String>,
}

/// As whom a store logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, Default, Deserialize)]
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
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct CaProvider {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) namespace: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Auth {
    /// Where the login itself goes, if not where the secrets are.
    namespace: Option<String>,
    jwt: Option<JwtAuth>,
    kubernetes: Option<KubernetesAuth>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct JwtAuth {
    path: Option<String>,
    role: String,
    kubernetes_service_account_token: Option<RequestedToken>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RequestedToken {
    service_account_ref: AccountSelector,
    audiences: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct KubernetesAuth {
    mount_path: Option<String>,
    role: String,
    service_account_ref: Option<AccountSelector>,
    secret_ref: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct AccountSelector {
    name: String,
    namespace: Option<String>,
    audiences: Vec<String>,
}

/// A condition of an object's status.
#[derive(Debug, Clone, Default, Deserialize)]
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
fn ready(object: &DynamicObject) -> Option<Condition> {
    let conditions: Vec<Condition> = at(object, "/status/conditions")?;
    conditions.into_iter().find(|condition| condition.kind == "Ready")
}

/// What is at a place of an object, if it is of that shape.
fn at<T: DeserializeOwned>(object: &DynamicObject, pointer: &str) -> Option<T> {
    T::deserialize(object.data.pointer(pointer)?).ok()
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
        let auth = match (&vault.auth.jwt, &vault.auth.kubernetes) {
            (Some(jwt), _) => {
                let (account, audiences) = match &jwt.kubernetes_service_account_token {
                    None => (StoreAccount::Token, Vec::new()),
                    Some(token) => {
                        let mut audiences =
                            token.audiences.clone().unwrap_or_else(|| vec![DEFAULT_AUDIENCE.to_owned()]);
                        audiences.extend(token.service_account_ref.audiences.iter().cloned());
                        (named(&token.service_account_ref), audiences)
                    }
                };
                let mount = jwt.path.clone().unwrap_or_else(|| "jwt".to_owned());
                StoreAuth { method: AuthMethod::Jwt, mount, role: jwt.role.clone(), account, audiences }
            }
            (None, Some(kubernetes)) => {
                let (account, audiences) = match &kubernetes.service_account_ref {
                    Some(selector) => (named(selector), selector.audiences.clone()),
                    None if kubernetes.secret_ref.is_some() => (StoreAccount::Token, Vec::new()),
                    None => (StoreAccount::Operator, Vec::new()),
                };
                let mount = kubernetes.mount_path.clone().unwrap_or_else(|| "kubernetes".to_owned());
                StoreAuth { method: AuthMethod::Kubernetes, mount, role: kubernetes.role.clone(), account, audiences }
            }
            (None, None) => return None,
        };
        let auth = StoreAuth { mount: auth.mount.trim_matches('/').to_owned(), ..auth };
        Some(Self { namespace, name: object.metadata.name.clone()?, vault, auth, ready: ready(object) })
    }

    /// Its kind.
    pub(crate) fn kind(&self) -> &'static str {
        if self.namespace.is_some() { "SecretStore" } else { "ClusterSecretStore" }
    }

    /// The namespace of Vault that it logs in to; `None` is the root namespace.
    pub(crate) fn login_namespace(&self) -> Option<&str> {
        let named = self.vault.auth.namespace.as_deref().or(self.vault.namespace.as_deref());
        named.map(|name| name.trim_matches('/')).filter(|name| !name.is_empty() && *name != "root")
    }

    /// Whether the login has a namespace of its own.
    pub(crate) fn has_login_namespace(&self) -> bool {
        self.vault.auth.namespace.is_some()
    }

    /// Whether an `ExternalSecret` refers to it, by default or in one of its entries.
    fn is(&self, reference: &StoreRef, namespace: &str) -> bool {
        let cluster_wide = reference.kind == "ClusterSecretStore";
        reference.name == self.name
            && match &self.namespace {
                None => cluster_wide,
                Some(own) => !cluster_wide && own == namespace,
            }
    }
}

/// An `ExternalSecret`.
#[derive(Debug, Clone)]
pub(crate) struct ExternalSecret {
    pub(crate) namespace: String,
    pub(crate) name: String,
    spec: ExternalSecretSpec,
    pub(crate) ready: Option<Condition>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ExternalSecretSpec {
    secret_store_ref: StoreRef,
    refresh_interval: Option<String>,
    target: Target,
    data: Vec<Entry>,
    data_from: Vec<EntriesFrom>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct StoreRef {
    kind: String,
    name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Target {
    name: Option<String>,
    creation_policy: Option<String>,
    template: Option<serde::de::IgnoredAny>,
    manifest: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Entry {
    secret_key: String,
    remote_ref: RemoteRef,
    source_ref: Option<SourceRef>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct EntriesFrom {
    extract: Option<RemoteRef>,
    source_ref: Option<SourceRef>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SourceRef {
    store_ref: Option<StoreRef>,
}

/// What is asked of Vault: `remoteRef`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct RemoteRef {
    pub(crate) key: String,
    pub(crate) property: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) metadata_policy: Option<String>,
}

impl ExternalSecret {
    /// Reads one.
    pub(crate) fn read(object: &DynamicObject) -> Option<Self> {
        let metadata = &object.metadata;
        Some(Self {
            namespace: metadata.namespace.clone()?,
            name: metadata.name.clone()?,
            spec: at(object, "/spec")?,
            ready: ready(object),
        })
    }

    /// What it asks of a store, with the field that each answer goes by.
    pub(crate) fn asks<'a>(&'a self, store: &'a Store) -> impl Iterator<Item = (String, &'a RemoteRef)> {
        let from = move |source: Option<&SourceRef>| match source {
            Some(source) => source.store_ref.as_ref().is_some_and(|store_ref| store.is(store_ref, &self.namespace)),
            None => store.is(&self.spec.secret_store_ref, &self.namespace),
        };
        let data = self.spec.data.iter().enumerate().filter(move |(_, entry)| from(entry.source_ref.as_ref()));
        let all = self.spec.data_from.iter().enumerate().filter(move |(_, entry)| from(entry.source_ref.as_ref()));
        data.map(|(at, entry)| (format!("data[{at}]"), &entry.remote_ref))
            .chain(all.filter_map(|(at, entry)| Some((format!("dataFrom[{at}].extract"), entry.extract.as_ref()?))))
    }

    /// Whether it asks anything of a store.
    pub(crate) fn uses(&self, store: &Store) -> bool {
        store.is(&self.spec.secret_store_ref, &self.namespace) || self.asks(store).next().is_some()
    }

    /// The Secret that it makes or fills; `None` where it makes none.
    pub(crate) fn target(&self) -> Option<&str> {
        let target = &self.spec.target;
        let none = target.creation_policy.as_deref() == Some("None") || target.manifest.is_some();
        (!none).then(|| target.name.as_deref().unwrap_or(&self.name))
    }

    /// The keys that its Secret should have, as far as it says them: a template names them itself.
    pub(crate) fn target_keys(&self) -> Vec<&str> {
        if self.spec.target.template.is_some() {
            return Vec::new();
        }
        self.spec.data.iter().map(|entry| entry.secret_key.as_str()).collect()
    }

    /// How often it is refreshed, in seconds, where it is.
    pub(crate) fn refresh(&self) -> Option<u64> {
        seconds(self.spec.refresh_interval.as_deref()?).filter(|seconds| *seconds > 0)
    }
}

/// A duration as Go writes it (`1h0m0s`), in whole seconds.
fn seconds(text: &str) -> Option<u64> {
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let unit = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(unit);
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let factor = match &tail[..end] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        rest = &tail[end..];
    }
    std::time::Duration::try_from_secs_f64(total).ok().map(|total| total.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, expected) in
            [("1h0m0s", Some(3600)), ("15s", Some(15)), ("1.5h", Some(5400)), ("0", None), ("5x", None)]
        {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
