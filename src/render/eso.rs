//! `vaultk8s render eso`: the stores of External Secrets, the Secrets that it makes, and the CA that it knows Vault by.
//!
//! Source: the CRDs of External Secrets, `external-secrets.io/v1`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::files::Rendered;
use super::manifest::{Data, Manifest, Spec};
use crate::config::{Cluster, Config, FileSecret, FileStore, Method, Role, StoreProvider, StoreTrust, go_duration};
use crate::error::{Error, Result};
use crate::keys::Authorities;
use crate::names::RoleName;

/// The versions of External Secrets' API that can be written.
pub const API_VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// Renders everything of all clusters of a configuration, a folder for each. `read` gives the text of a PEM file.
///
/// # Errors
/// When a server isn't known, a file can't be read or has no certificates, or two stores want different things in one place.
pub fn eso(config: &Config, version: &str, read: &dyn Fn(&Path) -> Result<String>) -> Result<Rendered> {
    let mut rendered = Rendered::new("eso");
    let all = config.all_stores();
    for cluster in &config.clusters {
        let roles = cluster.roles.iter().map(|role| (&role.name, role)).collect();
        let form = Form { config, cluster, roles, api: format!("external-secrets.io/{version}"), read };
        let stores: Vec<&FileStore> = all.iter().filter(|store| store.cluster == cluster.name).collect();
        form.authorities(&stores, &mut rendered)?;
        for store in &stores {
            form.store(store, &mut rendered)?;
        }
        for secret in config.secrets.iter().filter(|secret| secret.cluster == cluster.name) {
            form.secret(secret, &mut rendered)?;
        }
        if config.stores.is_none() {
            rendered.warnings.extend(left_out(cluster, &stores));
        }
    }
    Ok(rendered)
}

/// The roles for which no store is implied.
fn left_out<'c>(cluster: &'c Cluster, stores: &[&'c FileStore]) -> impl Iterator<Item = (String, String)> {
    let having: BTreeSet<&RoleName> = stores.iter().map(|store| &store.role).collect();
    cluster.roles.iter().filter(move |role| !having.contains(&role.name)).map(|role| {
        let one_account = role.service_accounts.len() == 1;
        let why = if one_account {
            "its name makes none for a store, or that of another one".to_owned()
        } else {
            format!("it lets in {} service accounts by name", role.service_accounts.len())
        };
        let remedy = if one_account {
            "write `stores:`, where each has a name"
        } else {
            "write `stores:`, where one says its `serviceAccount`"
        };
        (
            format!("no store is written for the role {} of cluster {}: {why}", role.name, cluster.name),
            remedy.to_owned(),
        )
    })
}

/// What the manifests of one cluster are made from.
struct Form<'a> {
    config: &'a Config,
    cluster: &'a Cluster,
    roles: BTreeMap<&'a RoleName, &'a Role>,
    api: String,
    read: &'a dyn Fn(&Path) -> Result<String>,
}

impl Form<'_> {
    /// The `ConfigMap`s that stores take Vault's CA from, where the file has that.
    fn authorities(&self, stores: &[&FileStore], rendered: &mut Rendered) -> Result<()> {
        let Some(file) = &self.config.vault.ca_cert else { return Ok(()) };
        let mut maps: BTreeMap<(&str, &str), BTreeMap<String, String>> = BTreeMap::new();
        for store in stores {
            if let Some(StoreTrust::Object { is_secret: false, name, namespace, key }) = &store.trust {
                maps.entry((namespace.as_str(), name.as_str())).or_default().insert(key.clone(), String::new());
            }
        }
        if maps.is_empty() {
            return Ok(());
        }
        let pem = self.certificates(file)?.to_pem();
        for ((namespace, name), keys) in maps {
            let data = keys.into_keys().map(|key| (key, pem.clone())).collect();
            rendered
                .add(&self.cluster.name, &Manifest::new("v1", "ConfigMap", name, Some(namespace), Data { data }))?;
        }
        Ok(())
    }

    /// The certificates of a PEM file.
    fn certificates(&self, file: &Path) -> Result<Authorities> {
        Authorities::parse(&(self.read)(file)?).ok_or_else(|| {
            Error::usage(format!("{} has no certificates in PEM form", file.display()))
                .remedy("name a file with -----BEGIN CERTIFICATE----- in it")
        })
    }

    fn store(&self, store: &FileStore, rendered: &mut Rendered) -> Result<()> {
        if store.provider == StoreProvider::OpenBao {
            return Err(Error::usage(format!(
                "{}: External Secrets' provider `openBao` has no login with a token of a service account",
                self.config.files.place(store.position)
            ))
            .remedy("write `provider: vault`, or leave it away: that speaks to OpenBao as well"));
        }
        let server = store.server.as_ref().or(self.config.vault.address.as_ref()).ok_or_else(|| {
            Error::usage(format!(
                "{}: nothing says where the store {} finds Vault",
                self.config.files.place(store.position),
                store.name
            ))
            .remedy("set `vault.address`, or `server` of the store")
        })?;
        let (bundle, provider) = match &store.trust {
            None => (None, None),
            Some(StoreTrust::Bundle(file)) => (Some(STANDARD.encode(self.certificates(file)?.to_pem())), None),
            Some(StoreTrust::Object { is_secret, name, namespace, key }) => (
                None,
                Some(CaProvider {
                    kind: if *is_secret { "Secret" } else { "ConfigMap" },
                    name: name.to_string(),
                    // A SecretStore may not say what is its own namespace.
                    namespace: store.namespace.is_none().then(|| namespace.to_string()),
                    key: key.clone(),
                }),
            ),
        };
        let vault = Vault {
            server: server.as_str().trim_end_matches('/').to_owned(),
            namespace: self.config.vault.namespace.clone().filter(|namespace| !namespace.is_empty()),
            path: store.kv.to_string(),
            version: if store.is_version_1 { "v1" } else { "v2" },
            ca_bundle: bundle,
            ca_provider: provider,
            auth: self.auth(store)?,
        };
        let kind = if store.namespace.is_some() { "SecretStore" } else { "ClusterSecretStore" };
        let spec = Spec { spec: Store { provider: Provider { vault } } };
        let namespace = store.namespace.as_ref().map(crate::names::NamespaceName::as_str);
        rendered.add(&self.cluster.name, &Manifest::new(&self.api, kind, store.name.as_str(), namespace, spec))
    }

    fn auth(&self, store: &FileStore) -> Result<Auth> {
        let role = self
            .roles
            .get(&store.role)
            .ok_or_else(|| Error::failed(format!("the cluster {} has no role {}", self.cluster.name, store.role)))?;
        // Of several audiences that a mount takes each is enough, and a token for one alone is good nowhere else.
        let audiences: Vec<String> = if role.each_audience_alone {
            role.token_audiences.iter().take(1).map(ToString::to_string).collect()
        } else {
            role.token_audiences.iter().map(ToString::to_string).collect()
        };
        let account = |audiences: Vec<String>| AccountRef {
            name: store.account.name.clone(),
            namespace: store.namespace.is_none().then(|| store.account.namespace.clone()),
            audiences,
        };
        let (mount, role) = (self.cluster.auth.mount.to_string(), role.name.to_string());
        Ok(match &self.cluster.auth.method {
            Method::Jwt(_) => Auth::Jwt {
                path: mount,
                role,
                kubernetes_service_account_token: AccountToken {
                    service_account_ref: account(Vec::new()),
                    audiences,
                    expiration_seconds: store.expiration,
                },
            },
            Method::Kubernetes(_) => {
                Auth::Kubernetes { mount_path: mount, role, service_account_ref: account(audiences) }
            }
        })
    }

    fn secret(&self, secret: &FileSecret, rendered: &mut Rendered) -> Result<()> {
        let name = secret.name.as_str();
        let spec = ExternalSecret {
            refresh_interval: secret.refresh_interval.map(go_duration),
            secret_store_ref: StoreRef {
                name: secret.store.to_string(),
                kind: if secret.store_is_namespaced { "SecretStore" } else { "ClusterSecretStore" },
            },
            target: Target {
                name: name.to_owned(),
                creation_policy: "Owner",
                deletion_policy: secret.deletion_policy.clone(),
            },
            data: secret
                .data
                .iter()
                .map(|key| Datum {
                    secret_key: key.key.clone(),
                    remote_ref: RemoteRef { key: key.path.to_string(), property: key.property.clone() },
                })
                .collect(),
        };
        let manifest = Manifest::new(&self.api, "ExternalSecret", name, Some(secret.namespace.as_str()), Spec { spec });
        rendered.add(&self.cluster.name, &manifest)
    }
}

#[derive(Debug, Serialize)]
struct Store {
    provider: Provider,
}

#[derive(Debug, Serialize)]
struct Provider {
    vault: Vault,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Vault {
    server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    path: String,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_bundle: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_provider: Option<CaProvider>,
    auth: Auth,
}

#[derive(Debug, Serialize)]
struct CaProvider {
    #[serde(rename = "type")]
    kind: &'static str,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    key: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Auth {
    Jwt { path: String, role: String, kubernetes_service_account_token: AccountToken },
    Kubernetes { mount_path: String, role: String, service_account_ref: AccountRef },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AccountToken {
    service_account_ref: AccountRef,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    audiences: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_seconds: Option<u64>,
}

#[derive(Debug, Serialize)]
struct AccountRef {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    audiences: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalSecret {
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_interval: Option<String>,
    secret_store_ref: StoreRef,
    target: Target,
    data: Vec<Datum>,
}

#[derive(Debug, Serialize)]
struct StoreRef {
    name: String,
    kind: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    name: String,
    creation_policy: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_policy: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Datum {
    secret_key: String,
    remote_ref: RemoteRef,
}

#[derive(Debug, Serialize)]
struct RemoteRef {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    property: Option<String>,
}
