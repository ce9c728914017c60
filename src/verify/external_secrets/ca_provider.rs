//! What a store's `caProvider` refers to: a ConfigMap or Secret that holds Vault's CA, and may hold what others need.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Client;
use kube::api::{Api, ListParams};
use serde_json::json;

use super::store_object::CaProvider;
use super::uses::StoreScene;
use crate::cluster::{ClusterError, refused_by};
use crate::error::Error;
use crate::keys::Authorities;
use crate::verify::finding::{Finding, list, quoted};

/// What a ConfigMap or Secret holds.
struct Holder {
    namespace: Option<String>,
    data: BTreeMap<String, Vec<u8>>,
    /// Of a Secret.
    kind: Option<String>,
}

impl From<ConfigMap> for Holder {
    fn from(map: ConfigMap) -> Self {
        let data = map.data.unwrap_or_default().into_iter().map(|(key, text)| (key, text.into_bytes()));
        Self { namespace: map.metadata.namespace, data: data.collect(), kind: None }
    }
}

impl From<Secret> for Holder {
    fn from(secret: Secret) -> Self {
        let data = secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0));
        Self { namespace: secret.metadata.namespace, data: data.collect(), kind: secret.type_ }
    }
}

impl Holder {
    /// The certificates under a key.
    fn authorities(&self, key: &str) -> Option<Authorities> {
        Authorities::parse(&String::from_utf8_lossy(self.data.get(key)?))
    }

    /// The only key that has certificates.
    fn only_key(&self) -> Option<&str> {
        let mut keys = self.data.keys().filter(|key| self.authorities(key).is_some());
        keys.next().filter(|_| keys.next().is_none()).map(String::as_str)
    }
}

impl CaProvider {
    fn is_config_map(&self) -> bool {
        self.kind == "ConfigMap"
    }

    async fn get(&self, client: Client, namespace: &str) -> Result<Option<Holder>, kube::Error> {
        Ok(if self.is_config_map() {
            Api::<ConfigMap>::namespaced(client, namespace).get_opt(&self.name).await?.map(Holder::from)
        } else {
            Api::<Secret>::namespaced(client, namespace).get_opt(&self.name).await?.map(Holder::from)
        })
    }

    /// Those of its name, in all namespaces.
    async fn list(&self, client: Client) -> Result<Vec<Holder>, kube::Error> {
        let named = ListParams::default().fields(&format!("metadata.name={}", self.name));
        Ok(if self.is_config_map() {
            Api::<ConfigMap>::all(client).list(&named).await?.items.into_iter().map(Holder::from).collect()
        } else {
            Api::<Secret>::all(client).list(&named).await?.items.into_iter().map(Holder::from).collect()
        })
    }
}

/// The certificates that a `caProvider` refers to; else what keeps External Secrets from them.
pub(super) async fn authorities(scene: &StoreScene, provider: &CaProvider) -> Result<Authorities, Finding> {
    let Some(connection) = scene.role.mount.cluster.connected() else {
        return Err(Finding::skipped("the cluster can't be reached from here"));
    };
    let CaProvider { kind, name, key, .. } = provider;
    let namespace = namespace(scene, provider, connection.client()).await?;
    let what = format!("{kind} {namespace}/{name}");
    let held = match provider.get(connection.client(), &namespace).await {
        Ok(held) => held,
        Err(error) => {
            return Err(match refused_by(connection.server(), &what, error) {
                error @ ClusterError::Forbidden { .. } => {
                    Finding::unseen(error.to_string()).to_do("allow `get` of it to whoever runs this")
                }
                error => Finding::unseen_because(&Error::from(error)),
            });
        }
    };
    if key.is_empty() {
        return Err(without_key(scene, &what, held.as_ref()));
    }
    let failed = |detail: String, found: &str| {
        let refers = format!("{what}, key {key:?}");
        scene.failed(detail, [("the store's caProvider", refers), ("there is", found.to_owned())])
    };
    let commands = Commands { scene, provider, namespace: &namespace };
    let Some(held) = held else {
        return Err(failed(format!("the store's caProvider is not there: {what}"), "none")
            .why(if provider.is_config_map() {
                "External Secrets says `failed to get cert from configmap: failed to get caProvider secret`"
            } else {
                "External Secrets says `failed to get cert from secret: failed to resolve secret key ref: cannot get Kubernetes secret`"
            })
            .run(scene.with_ca("make it of Vault's CA"), commands.create()));
    };
    if !held.data.contains_key(key) {
        return Err(failed(format!("{what} has no key {key:?}"), "no such key")
            .why(if provider.is_config_map() {
                "External Secrets says `failed to get cert from configmap: failed to get caProvider configMap`"
            } else {
                "External Secrets says `failed to get cert from secret: failed to resolve secret key ref: cannot find secret data for key`"
            })
            .run(scene.with_ca("put Vault's CA under that key"), commands.put(&held))
            .to_do("or correct `caProvider.key`"));
    }
    held.authorities(key).ok_or_else(|| {
        failed(format!("{what} holds no certificate under {key:?}"), "no PEM of a certificate")
            .why("External Secrets says `cannot set Vault CA certificate: failed to parse certificates from CertPool`")
            .run(scene.with_ca("put Vault's CA there"), commands.put(&held))
    })
}

/// The namespace in which External Secrets looks for it.
async fn namespace(scene: &StoreScene, provider: &CaProvider, client: Client) -> Result<String, Finding> {
    let CaProvider { kind, name, namespace, .. } = provider;
    match (&scene.store.namespace, namespace) {
        (Some(own), Some(other)) if own != other => {
            let values =
                [("the store's caProvider", format!("{kind} {other}/{name}")), ("the store is in", own.clone())];
            Err(scene
                .failed("the caProvider of a SecretStore names another namespace than the store's", values)
                .why("External Secrets says `namespace should either be empty or match the namespace of the SecretStore for a namespaced SecretStore`")
                .run("let it be of the store's own namespace, and have it there", scene.patch(&json!({ "caProvider": { "namespace": null } }))))
        }
        (Some(namespace), _) | (None, Some(namespace)) => Ok(namespace.clone()),
        (None, None) => {
            let values =
                [("the store's caProvider", format!("{kind} {name}")), ("it should be", "NAMESPACE/NAME".to_owned())];
            let finding = scene
                .failed("the store's caProvider names no namespace", values)
                .why("a ClusterSecretStore has no namespace of its own: External Secrets says `missing namespace on caProvider secret`");
            Err(match only_holder(client, provider).await {
                Some(namespace) => {
                    let command = scene.patch(&json!({ "caProvider": { "namespace": namespace } }));
                    finding.run(format!("name {namespace}, the only namespace that has it"), command)
                }
                None => finding.to_do("set `caProvider.namespace`"),
            })
        }
    }
}

/// The one namespace that has what a `caProvider` names; `None` where none has it, several have, or they can't be seen.
async fn only_holder(client: Client, provider: &CaProvider) -> Option<String> {
    let all = provider.list(client).await.ok()?.into_iter();
    let holding = all.filter(|held| held.data.contains_key(&provider.key)).map(|held| held.namespace);
    let [only] = <[_; 1]>::try_from(holding.collect::<Vec<_>>()).ok()?;
    only
}

/// A `caProvider` without a key: the object alone doesn't say which of its values is the CA.
fn without_key(scene: &StoreScene, what: &str, held: Option<&Holder>) -> Finding {
    let keys = held.map_or_else(|| "no such object".to_owned(), |held| list(held.data.keys().map(String::as_str)));
    let finding = scene
        .failed(
            "the store's caProvider names no key",
            [("the store's caProvider", what.to_owned()), ("its keys", keys)],
        )
        .why("External Secrets takes one value of it, and looks for one without a name");
    match held.and_then(Holder::only_key) {
        Some(key) => {
            let command = scene.patch(&json!({ "caProvider": { "key": key } }));
            finding.run(format!("name {key}, the only key that has a certificate"), command)
        }
        None => finding.to_do("set `caProvider.key` to the key that has, or is to have, Vault's CA"),
    }
}

/// The commands that put Vault's CA where a `caProvider` refers to.
struct Commands<'a> {
    scene: &'a StoreScene,
    provider: &'a CaProvider,
    namespace: &'a str,
}

impl Commands<'_> {
    fn kubectl(&self) -> String {
        format!("{} -n {}", self.scene.role.mount.cluster.kubectl(), quoted(self.namespace))
    }

    /// Makes an object with the CA alone.
    fn create(&self) -> String {
        let CaProvider { name, key, .. } = self.provider;
        let create = if self.provider.is_config_map() { "create configmap" } else { "create secret generic" };
        let file = self.scene.ca_file();
        format!("{} {create} {} --from-file={}={file}", self.kubectl(), quoted(name), quoted(key))
    }

    /// Puts the CA under its key of an object that is there: a merge patch leaves whatever else it holds.
    fn put(&self, held: &Holder) -> String {
        let resource = if self.provider.is_config_map() { "configmap" } else { "secret" };
        // The type of a Secret can't be changed, and kubectl would name its own.
        let kind = held.kind.as_ref().map(|kind| format!(" --type={}", quoted(kind))).unwrap_or_default();
        let (kubectl, name, create) = (self.kubectl(), quoted(&self.provider.name), self.create());
        format!(r#"{kubectl} patch {resource} {name} --type merge -p "$({create}{kind} --dry-run=client -o json)""#)
    }
}
