//! `stores:`, and those that a file without them has.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use super::clusters::{Clusters, Slot};
use super::diagnostic::Problems;
use super::entry::{Entry, Located};
use super::expand::{Expansion, Instance};
use super::kv_path::kv_mount;
use super::policies::Policies;
use super::suggest::{listed, nearest};
use super::template::Template;
use super::web_address::web_address;
use super::{Cluster, Config, ConfigFiles, FileStore, Grant, Position, Role, StoreProvider, StoreTrust};
use crate::names::{MountPath, NamespaceName, ObjectName, PolicyName, RoleName, ServiceAccountRef};

/// The shortest time that a cluster gives a token for, in seconds.
const SHORTEST_TOKEN: u64 = 600;
/// The key of a CA in an object, unless the file says another.
const CA_KEY: &str = "ca.crt";

impl Config {
    /// The stores of External Secrets: those of the file, else one for each role that can have one.
    pub fn all_stores(&self) -> Cow<'_, [FileStore]> {
        if let Some(stores) = &self.stores {
            return Cow::Borrowed(stores);
        }
        let grants: BTreeMap<&str, &[Grant]> =
            self.policies.iter().map(|policy| (policy.name.as_str(), policy.grants.as_slice())).collect();
        Cow::Owned(implied(&self.clusters, &|name| grants.get(name.as_str()).copied()))
    }
}

/// Those of a file without `stores`, while it is read.
pub(super) fn unsaid(clusters: &Clusters, policies: &Policies) -> Vec<FileStore> {
    implied(clusters.slots.iter().filter_map(|slot| slot.cluster.as_ref()), &|name| policies.grants(name))
}

/// Reads the stores.
pub(super) fn read_stores(
    file: &Entry,
    clusters: &Clusters,
    policies: &Policies,
    files: &ConfigFiles,
    problems: &mut Problems,
) -> Vec<FileStore> {
    let roles = RolesByName::of(clusters);
    let mut stores: Vec<FileStore> = Vec::new();
    let mut places = BTreeMap::new();
    for entry in file.sections("stores") {
        let expansion = Expansion::read(entry, clusters, problems);
        let prepared = StoreTemplates::read(entry, expansion, files.folder_of(entry.at), problems);
        for instance in prepared.expansion.instances() {
            let Some(store) = prepared.build(instance, &roles, policies, problems) else { continue };
            let key = (store.cluster.clone(), store.namespace.clone(), store.name.clone());
            if let Some(first) = places.insert(key, store.position) {
                problems.add(
                    prepared.expansion.at,
                    format!(
                        "two stores of the cluster {:?} are named {:?}: here and on {}",
                        store.cluster.as_str(),
                        store.name.as_str(),
                        problems.line(first, store.position)
                    ),
                    "give one of them another name, or name their `clusters`",
                );
            } else {
                stores.push(store);
            }
        }
    }
    stores
}

/// The roles of all clusters, by the place of the cluster and their names.
pub(super) struct RolesByName<'a>(BTreeMap<(usize, &'a str), &'a Role>);

impl<'a> RolesByName<'a> {
    pub(super) fn of(clusters: &'a Clusters) -> Self {
        let all = clusters.slots.iter().enumerate().filter_map(|(at, slot)| Some((at, slot.cluster.as_ref()?)));
        Self(
            all.flat_map(|(at, cluster)| cluster.roles.iter().map(move |role| ((at, role.name.as_str()), role)))
                .collect(),
        )
    }

    pub(super) fn get(&self, instance: Instance<'_>, name: &RoleName) -> Option<&'a Role> {
        self.0.get(&(instance.index, name.as_str())).copied()
    }
}

/// One `ClusterSecretStore` for each role that lets in one service account, named like the role. Of others the file has to say more, and
/// of those that would have one name.
fn implied<'a>(clusters: impl IntoIterator<Item = &'a Cluster>, grants: GrantsOf<'_, 'a>) -> Vec<FileStore> {
    clusters.into_iter().flat_map(|cluster| implied_in(cluster, grants)).collect()
}

/// What a policy grants, by its name.
type GrantsOf<'f, 'a> = &'f dyn Fn(&PolicyName) -> Option<&'a [Grant]>;

fn implied_in(cluster: &Cluster, grants: GrantsOf<'_, '_>) -> Vec<FileStore> {
    let store = |role: &Role| {
        let [account] = role.service_accounts.as_slice() else { return None };
        Some(FileStore {
            position: role.position,
            cluster: cluster.name.clone(),
            name: role.name.as_str().replace('_', "-").trim_matches(['-', '.']).parse().ok()?,
            namespace: None,
            role: role.name.clone(),
            account: account.clone(),
            provider: StoreProvider::Vault,
            server: None,
            trust: None,
            kv: kv_of(role, grants).unwrap_or_else(|| cluster.kv.clone()),
            is_version_1: false,
            expiration: None,
        })
    };
    let mut stores: Vec<FileStore> = cluster.roles.iter().filter_map(store).collect();
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for store in &stores {
        *count.entry(store.name.to_string()).or_default() += 1;
    }
    stores.retain(|store| count.get(store.name.as_str()) == Some(&1));
    stores
}

/// The KV mount of a role's policies, where it is one.
fn kv_of(role: &Role, grants: GrantsOf<'_, '_>) -> Option<MountPath> {
    let given = role.policies.iter().filter_map(grants);
    let mut mounts = given.flatten().filter_map(|grant| match grant {
        Grant::Kv { mount, .. } => Some(mount),
        Grant::Rule { .. } => None,
    });
    let first = mounts.next()?;
    mounts.all(|mount| mount == first).then(|| first.clone())
}

/// An entry whose templates are read and whose settings are the same for all that it stands for.
struct StoreTemplates<'a> {
    entry: &'a Entry,
    expansion: Expansion<'a>,
    role: Option<Located<Template>>,
    namespace: Option<Located<Template>>,
    account: Option<Located<Template>>,
    kv: Option<Located<Template>>,
    server: Option<url::Url>,
    trust: Option<TrustTemplates>,
    expiration: Option<u64>,
}

/// Whom it takes for Vault.
enum TrustTemplates {
    Object {
        at: Position,
        is_secret: bool,
        name: Option<Located<Template>>,
        namespace: Option<Located<Template>>,
        key: String,
    },
    Bundle(std::path::PathBuf),
}

impl<'a> StoreTemplates<'a> {
    fn read(entry: &'a Entry, expansion: Expansion<'a>, directory: &Path, problems: &mut Problems) -> Self {
        let role = entry.required("role", problems).and_then(|role| Template::read(role, expansion.scope, problems));
        let template = |field: &str, problems: &mut Problems| {
            entry.filled(field, problems).and_then(|text| Template::read(text, expansion.scope, problems))
        };
        let namespaced = entry.text("kind").is_some_and(|kind| kind.value == "SecretStore");
        match (namespaced, entry.key("namespace")) {
            (true, None) => {
                problems.add(entry.at, "a SecretStore needs a `namespace`", "add `namespace`, or leave `kind` away");
            }
            (false, Some(at)) => {
                problems.add(
                    at,
                    "a ClusterSecretStore is in no namespace",
                    "remove `namespace`, or write `kind: SecretStore`",
                );
            }
            _ => {}
        }
        let expiration = entry.number("expirationSeconds").and_then(|seconds| {
            let given = u64::try_from(seconds.value).unwrap_or_default();
            if given < SHORTEST_TOKEN {
                problems.add(
                    seconds.at,
                    format!(
                        "`expirationSeconds` is {given}, and no cluster gives a token for less than {SHORTEST_TOKEN} s"
                    ),
                    "write 600 or more",
                );
            }
            Some(given).filter(|given| *given >= SHORTEST_TOKEN)
        });
        Self {
            role,
            namespace: template("namespace", problems),
            account: template("serviceAccount", problems),
            kv: template("kv", problems),
            server: entry
                .text("server")
                .and_then(|server| web_address("server", server, "https://vault.example.internal:8200", problems)),
            trust: trust(entry, &expansion, directory, problems),
            expiration,
            entry,
            expansion,
        }
    }

    fn build(
        &self,
        instance: Instance<'_>,
        roles: &RolesByName<'_>,
        policies: &Policies,
        problems: &mut Problems,
    ) -> Option<FileStore> {
        let before = problems.count();
        let name: Option<ObjectName> = self.expansion.name(instance, problems);
        let namespace =
            self.namespace.as_ref().and_then(|template| fill::<NamespaceName>(template, instance, problems));
        let role = self.role.as_ref().and_then(|template| role_of(template, instance, roles, problems))?;
        let account = self.account(role, instance, problems);
        if let (Some(namespace), Some(account)) = (&namespace, &account)
            && namespace.as_str() != account.namespace
        {
            problems.add(
                self.entry.at,
                format!("a SecretStore of the namespace {namespace} can't log in as {account}: External Secrets takes accounts of its own namespace alone"),
                "write `kind: ClusterSecretStore`, or bind the role to an account of that namespace",
            );
        }
        let cluster = instance.slot.cluster.as_ref()?;
        if let (Some(at), super::Method::Kubernetes(_)) = (self.entry.key("expirationSeconds"), &cluster.auth.method) {
            problems.add(
                at,
                format!(
                    "`expirationSeconds` belongs to the jwt method; the mount of {:?} uses kubernetes",
                    cluster.name.as_str()
                ),
                "remove it, or name under `clusters` those that use jwt",
            );
        }
        let kv = if let Some(template) = &self.kv {
            kv_mount(template.at, &instance.fill(&template.value), problems)
        } else {
            Some(kv_of(role, &|name| policies.grants(name)).unwrap_or_else(|| cluster.kv.clone()))
        };
        let trust = match &self.trust {
            None => None,
            Some(TrustTemplates::Bundle(file)) => Some(StoreTrust::Bundle(file.clone())),
            Some(TrustTemplates::Object { at, is_secret, name, namespace: own, key }) => {
                let name = name.as_ref().and_then(|template| fill(template, instance, problems));
                let own = own.as_ref().and_then(|template| fill::<NamespaceName>(template, instance, problems));
                let of_object = match (&namespace, own) {
                    (Some(store), Some(own)) if *store != own => {
                        problems.add(
                            *at,
                            "a SecretStore takes a CA of its own namespace alone",
                            "remove the `namespace` of `caProvider`",
                        );
                        None
                    }
                    (Some(store), _) => Some(store.clone()),
                    (None, own) => own,
                };
                name.zip(of_object).map(|(name, namespace)| StoreTrust::Object {
                    is_secret: *is_secret,
                    name,
                    namespace,
                    key: key.clone(),
                })
            }
        };
        if problems.count() > before {
            return None;
        }
        Some(FileStore {
            position: self.entry.at,
            cluster: cluster.name.clone(),
            name: name?,
            namespace,
            role: role.name.clone(),
            account: account?,
            provider: match self.entry.text("provider").map(|provider| provider.value.as_str()) {
                Some("openBao") => StoreProvider::OpenBao,
                _ => StoreProvider::Vault,
            },
            server: self.server.clone(),
            trust,
            kv: kv?,
            is_version_1: self.entry.text("version").is_some_and(|version| version.value == "v1"),
            expiration: self.expiration,
        })
    }

    /// The account that it logs in with: the role's only one, or one of them.
    fn account(&self, role: &Role, instance: Instance<'_>, problems: &mut Problems) -> Option<ServiceAccountRef> {
        let Some(template) = &self.account else {
            if let [only] = role.service_accounts.as_slice() {
                return Some(only.clone());
            }
            problems.add(
                self.entry.at,
                format!("the role {} lets in {} service accounts by name: this doesn't say which one the store logs in with", role.name, role.service_accounts.len()),
                "add `serviceAccount: namespace/name`",
            );
            return None;
        };
        let account: ServiceAccountRef = fill(template, instance, problems)?;
        let by_labels = role.labelled.as_ref();
        let is_named = role.service_accounts.contains(&account)
            || role.account_patterns.iter().any(|pattern| pattern.matches(&account))
            || by_labels.is_some_and(|labelled| labelled.has_name(&account.name));
        let names_any = !role.service_accounts.is_empty() || !role.account_patterns.is_empty() || by_labels.is_some();
        // Whom claims let in, only their tokens say.
        if names_any && !is_named {
            problems.add(
                template.at,
                format!("the role {} does not let in {account}", role.name),
                format!(
                    "it lets in: {}",
                    listed(
                        role.service_accounts
                            .iter()
                            .map(ToString::to_string)
                            .collect::<Vec<_>>()
                            .iter()
                            .map(String::as_str)
                    )
                ),
            );
            return None;
        }
        Some(account)
    }
}

/// Fills in a name and reads it.
pub(super) fn fill<T: std::str::FromStr<Err = crate::names::InvalidName>>(
    template: &Located<Template>,
    instance: Instance<'_>,
    problems: &mut Problems,
) -> Option<T> {
    problems.accept(template.at, instance.fill(&template.value).parse())
}

/// The role of that name on the cluster's mount.
fn role_of<'r>(
    template: &Located<Template>,
    instance: Instance<'_>,
    roles: &RolesByName<'r>,
    problems: &mut Problems,
) -> Option<&'r Role> {
    let name: RoleName = fill(template, instance, problems)?;
    let Slot { cluster: Some(cluster), .. } = instance.slot else { return None };
    let found = roles.get(instance, &name);
    if found.is_none() {
        let known = || cluster.roles.iter().map(|role| role.name.as_str());
        let meant = nearest(name.as_str(), known()).map(|name| format!("did you mean {name:?}? ")).unwrap_or_default();
        problems.add(
            template.at,
            format!("the cluster {:?} has no role {:?} in this file", cluster.name.as_str(), name.as_str()),
            format!("{meant}its roles are: {}", listed(known())),
        );
    }
    found
}

fn trust(
    entry: &Entry,
    expansion: &Expansion<'_>,
    directory: &Path,
    problems: &mut Problems,
) -> Option<TrustTemplates> {
    let bundle = entry.filled("caBundle", problems);
    if let (Some(_), Some(at)) = (entry.section("caProvider"), entry.key("caBundle")) {
        problems.add(at, "`caProvider` and `caBundle` both say whom to take for Vault", "keep one of the two");
    }
    if let Some(bundle) = bundle {
        return Some(TrustTemplates::Bundle(directory.join(&bundle.value)));
    }
    let object = entry.section("caProvider")?;
    let name = object.required("name", problems).and_then(|name| Template::read(name, expansion.scope, problems));
    let namespace =
        object.filled("namespace", problems).and_then(|text| Template::read(text, expansion.scope, problems));
    if namespace.is_none() && !object.has("namespace") && !entry.has("namespace") {
        problems.add(
            object.at,
            "the `caProvider` of a ClusterSecretStore has no `namespace`",
            "add the namespace that the object is in",
        );
    }
    let key = object.filled("key", problems).map_or(CA_KEY, |key| key.value.as_str()).to_owned();
    let is_secret = object.text("kind").is_some_and(|kind| kind.value == "Secret");
    Some(TrustTemplates::Object { at: object.at, is_secret, name, namespace, key })
}
