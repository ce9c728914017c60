//! What a store's `caProvider` refers to: a ConfigMap or Secret that holds Vault's CA, and may hold what others need.

use serde_json::json;

use super::store_object::CaProvider;
use crate::fix::{Command, Kubectl};
use crate::keys::Authorities;
use crate::verify::external_secrets::store_scene::StoreScene;
use crate::verify::facts::stores::{Held, HeldAnywhere, Holder, HolderKind};
use crate::verify::facts::{Known, Knows, some};
use crate::verify::finding::{Finding, list};

/// The certificates under a key.
fn authorities_under(held: &Holder, key: &str) -> Option<Authorities> {
    Authorities::parse(held.keys.get(key)?.as_ref()?)
}

/// The only key that has certificates.
fn only_key(held: &Holder) -> Option<&str> {
    let mut keys = held.keys.iter().filter(|(_, certificate)| certificate.is_some());
    keys.next().filter(|_| keys.next().is_none()).map(|(key, _)| key.as_str())
}

impl CaProvider {
    fn is_config_map(&self) -> bool {
        self.kind == "ConfigMap"
    }

    fn holder(&self) -> HolderKind {
        if self.is_config_map() { HolderKind::ConfigMap } else { HolderKind::Secret }
    }
}

/// The certificates that a `caProvider` refers to; else what keeps External Secrets from them.
pub(super) fn authorities(scene: &StoreScene, provider: &CaProvider) -> Known<Result<Authorities, Finding>> {
    if scene.role.mount.cluster.connected().is_none() {
        return Ok(Err(Finding::skipped("the cluster can't be reached from here")));
    }
    let CaProvider { kind, name, key, .. } = provider;
    let namespace = match namespace(scene, provider)? {
        Ok(namespace) => namespace,
        Err(finding) => return Ok(Err(finding)),
    };
    let what = format!("{kind} {namespace}/{name}");
    let cluster = scene.role.mount.cluster.name.clone();
    let asked = Held { cluster, kind: provider.holder(), namespace: namespace.clone(), name: name.clone() };
    let held = match scene.facts().get(&asked)? {
        Ok(held) => held.as_ref(),
        Err(error) if error.is_forbidden() => {
            return Ok(Err(Finding::unseen(error.to_string()).to_do("allow `get` of it to whoever runs this")));
        }
        Err(error) => return Ok(Err(Finding::unseen_because(error))),
    };
    if key.is_empty() {
        return Ok(Err(without_key(scene, &what, held)));
    }
    let failed = |detail: String, found: &str| {
        let refers = format!("{what}, key {key:?}");
        scene.failed(detail, [("the store's caProvider", refers), ("there is", found.to_owned())])
    };
    let commands = Commands { scene, provider, namespace: &namespace };
    let Some(held) = held else {
        return Ok(Err(failed(format!("the store's caProvider is not there: {what}"), "none")
            .why(if provider.is_config_map() {
                "External Secrets says `failed to get cert from configmap: failed to get caProvider secret`"
            } else {
                "External Secrets says `failed to get cert from secret: failed to resolve secret key ref: cannot get Kubernetes secret`"
            })
            .run(scene.with_ca("make it of Vault's CA"), commands.create())));
    };
    if !held.keys.contains_key(key) {
        return Ok(Err(failed(format!("{what} has no key {key:?}"), "no such key")
            .why(if provider.is_config_map() {
                "External Secrets says `failed to get cert from configmap: failed to get caProvider configMap`"
            } else {
                "External Secrets says `failed to get cert from secret: failed to resolve secret key ref: cannot find secret data for key`"
            })
            .run(scene.with_ca("put Vault's CA under that key"), commands.put(held))
            .to_do("or correct `caProvider.key`")));
    }
    Ok(authorities_under(held, key).ok_or_else(|| {
        failed(format!("{what} holds no certificate under {key:?}"), "no PEM of a certificate")
            .why("External Secrets says `cannot set Vault CA certificate: failed to parse certificates from CertPool`")
            .run(scene.with_ca("put Vault's CA there"), commands.put(held))
    }))
}

/// The namespace in which External Secrets looks for it.
fn namespace(scene: &StoreScene, provider: &CaProvider) -> Known<Result<String, Finding>> {
    let CaProvider { kind, name, namespace, .. } = provider;
    Ok(match (&scene.store.namespace, namespace) {
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
            Err(match only_holder(scene, provider)? {
                Some(namespace) => {
                    let command = scene.patch(&json!({ "caProvider": { "namespace": namespace } }));
                    finding.run(format!("name {namespace}, the only namespace that has it"), command)
                }
                None => finding.to_do("set `caProvider.namespace`"),
            })
        }
    })
}

/// The one namespace that has what a `caProvider` names; `None` where none has it, several have, or they can't be seen.
fn only_holder(scene: &StoreScene, provider: &CaProvider) -> Known<Option<String>> {
    let (cluster, name) = (scene.role.mount.cluster.name.clone(), provider.name.clone());
    let all = some!(scene.facts().get(&HeldAnywhere { cluster, kind: provider.holder(), name })?);
    let mut holding = all.iter().filter(|held| held.keys.contains_key(&provider.key));
    let only = holding.next().filter(|_| holding.next().is_none());
    Ok(only.and_then(|held| held.namespace.clone()))
}

/// A `caProvider` without a key: the object alone doesn't say which of its values is the CA.
fn without_key(scene: &StoreScene, what: &str, held: Option<&Holder>) -> Finding {
    let keys = held.map_or_else(|| "no such object".to_owned(), |held| list(held.keys.keys().map(String::as_str)));
    let finding = scene
        .failed(
            "the store's caProvider names no key",
            [("the store's caProvider", what.to_owned()), ("its keys", keys)],
        )
        .why("External Secrets takes one value of it, and looks for one without a name");
    match held.and_then(only_key) {
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
    fn kubectl(&self) -> Kubectl {
        self.scene.role.mount.cluster.kubectl().within(self.namespace)
    }

    /// Makes an object with the CA alone.
    fn create(&self) -> Command {
        let CaProvider { name, key, .. } = self.provider;
        let create = if self.provider.is_config_map() { "create configmap" } else { "create secret generic" };
        self.kubectl().run(create).name(name).from_ca_file(key, self.scene.role.mount.vault.ca_file())
    }

    /// Puts the CA under its key of an object that is there: a merge patch leaves whatever else it holds.
    fn put(&self, held: &Holder) -> Command {
        let resource = if self.provider.is_config_map() { "configmap" } else { "secret" };
        // The type of a Secret can't be changed, and kubectl would name its own.
        let create = held.kind.iter().fold(self.create(), |create, kind| create.flag("--type=", kind));
        let patch = self.kubectl().run("patch").fixed(resource).name(&self.provider.name).fixed("--type merge -p");
        patch.output_of(&create.fixed("--dry-run=client -o json"))
    }
}
