//! `clusters:` and the auth mount of each.

use std::collections::BTreeMap;
use std::path::Path;

use super::accounts::without_repeats;
use super::diagnostic::Problems;
use super::entry::{Entry, Located};
use super::files::ConfigFiles;
use super::key_source::key_source;
use super::kv_path::kv_mount;
use super::provider::{is_kubernetes, names_kubernetes, provider_config};
use super::reviewer::kubernetes_auth;
use super::template::{Template, filled_for};
use super::tune::tune;
use super::web_address::{is_in_between, server_url};
use super::{Auth, Cluster, ClusterSource, KeySource, Method, Position};
use crate::names::{Audience, ClusterName};

/// The clusters as far as they could be read, for the policies and roles that name them.
pub(super) struct Clusters {
    pub(super) slots: Vec<Slot>,
    /// A cluster has no usable name: a name that isn't known may be that one.
    pub(super) incomplete: bool,
}

/// A cluster, usable or not.
pub(super) struct Slot {
    pub(super) name: ClusterName,
    /// Whether the file gives the name; else it is a stand-in, so that what depends on the cluster can be read.
    pub(super) named: bool,
    /// `None` where its entry has problems.
    pub(super) cluster: Option<Cluster>,
    /// What its roles have where they say nothing themselves.
    pub(super) defaults: RoleDefaults,
}

/// What `auth` says for the roles of its mount.
#[derive(Debug, Default)]
pub(super) struct RoleDefaults {
    /// Where `auth` is, for what it lacks.
    pub(super) auth: Position,
    /// `audience`, and whether the field is there, usable or not.
    pub(super) audience: Option<Audience>,
    pub(super) has_audience: bool,
    pub(super) token_audiences: Option<Vec<Audience>>,
}

impl Clusters {
    pub(super) fn read(file: &Entry, kv: &Located<Template>, files: &ConfigFiles, problems: &mut Problems) -> Self {
        let mut clusters = Self { slots: Vec::new(), incomplete: !file.is_complete("clusters") };
        let mut names: BTreeMap<ClusterName, Position> = BTreeMap::new();
        for entry in file.sections("clusters") {
            let name = entry.required("name", problems).and_then(|name| problems.accept(name.at, name.value.parse()));
            let Some(name) = name else {
                clusters.incomplete = true;
                if let Ok(name) = "unnamed".parse() {
                    let (cluster, defaults) = read_cluster(entry, &name, kv, files.folder_of(entry.at), problems);
                    clusters.slots.push(Slot { name, named: false, cluster, defaults });
                }
                continue;
            };
            if let Some(first) = names.get(&name) {
                let at = entry.text("name").map_or(entry.at, |name| name.at);
                let line = problems.line(*first, at);
                problems.add(
                    at,
                    format!("the cluster {:?} is there twice: here and on {line}", name.as_str()),
                    "give one of the two another name",
                );
                continue;
            }
            names.insert(name.clone(), entry.at);
            let (cluster, defaults) = read_cluster(entry, &name, kv, files.folder_of(entry.at), problems);
            clusters.slots.push(Slot { name, named: true, cluster, defaults });
        }
        clusters.refuse_shared_mounts(problems);
        clusters
    }

    /// A role's name says nothing about its cluster, and a mount knows one set of keys: each cluster has its own.
    fn refuse_shared_mounts(&self, problems: &mut Problems) {
        let clusters: Vec<&Cluster> =
            self.slots.iter().filter(|slot| slot.named).filter_map(|slot| slot.cluster.as_ref()).collect();
        for (index, cluster) in clusters.iter().enumerate() {
            for other in &clusters[..index] {
                let (mine, others) = (cluster.auth.mount.as_str(), other.auth.mount.as_str());
                let line = problems.line(other.position, cluster.auth.position);
                if mine == others {
                    problems.add(
                        cluster.auth.position,
                        format!(
                            "the clusters {:?} and {:?} ({line}) have the same mount {mine:?}",
                            cluster.name.as_str(),
                            other.name.as_str()
                        ),
                        "give each cluster a mount of its own, such as `mount: jwt-{cluster}`",
                    );
                } else if inside(mine, others) || inside(others, mine) {
                    problems.add(
                        cluster.auth.position,
                        format!(
                            "the mount {mine:?} is in the way of {others:?}, the mount of {:?} ({line}): one lies inside the other",
                            other.name.as_str()
                        ),
                        "choose mounts of which none begins with another and a slash, such as `mount: jwt-{cluster}`",
                    );
                }
            }
        }
    }
}

fn inside(path: &str, mount: &str) -> bool {
    path.strip_prefix(mount).is_some_and(|rest| rest.starts_with('/'))
}

/// Reads one cluster; without a result something about it has been reported.
fn read_cluster(
    entry: &Entry,
    name: &ClusterName,
    kv: &Located<Template>,
    directory: &Path,
    problems: &mut Problems,
) -> (Option<Cluster>, RoleDefaults) {
    let source = source(entry, name, directory, problems);
    let kv = kv_mount(kv.at, &kv.value.fill(name.as_str(), None), problems);
    if !entry.require("auth", problems) {
        let defaults = RoleDefaults { auth: entry.at, has_audience: true, ..RoleDefaults::default() };
        return (None, defaults);
    }
    let Some(auth_entry) = entry.section("auth") else {
        return (None, RoleDefaults { auth: entry.at, has_audience: true, ..RoleDefaults::default() });
    };
    let at = entry.key("auth").unwrap_or(auth_entry.at);
    let defaults = RoleDefaults {
        auth: at,
        audience: filled_for(auth_entry.text("audience"), name, problems)
            .and_then(|audience| problems.accept(audience.at, audience.value.parse())),
        has_audience: auth_entry.has("audience"),
        token_audiences: auth_entry.texts("tokenAudiences").map(|audiences| {
            audiences
                .iter()
                .filter_map(|audience| {
                    let audience = filled_for(Some(audience), name, problems)?;
                    problems.accept(audience.at, audience.value.parse())
                })
                .collect()
        }),
    };
    let auth = auth(auth_entry, at, name, directory, problems);
    if let (Some(file), Some(method)) = (entry.key("jwksFile"), auth.as_ref().map(|auth| &auth.method))
        && matches!(method, Method::Kubernetes(_))
    {
        problems.add(
            file,
            "`jwksFile` can't be used with the kubernetes method, whose reviewer account is made in the cluster itself",
            "name a `context` instead, or use `method: jwt`, which needs nothing but the cluster's keys",
        );
        return (None, defaults);
    }
    if let (Some(file), Some(Method::Jwt(keys))) = (entry.key("jwksFile"), auth.as_ref().map(|auth| &auth.method))
        && !matches!(keys, KeySource::Pinned { .. })
    {
        // Both could be given sense, but one of the two would be ignored, and which decides who is trusted.
        problems.add(
            file,
            "`jwksFile` can't be used where Vault fetches the keys by itself: the file's keys would trust nobody",
            "write `keys: pinned` to trust the keys of the file, or name a `context` instead of `issuer` and `jwksFile`",
        );
        return (None, defaults);
    }
    let (Some(source), Some(kv), Some(auth)) = (source, kv, auth) else { return (None, defaults) };
    let cluster = Cluster { name: name.clone(), position: entry.at, source, kv, auth, roles: Vec::new() };
    (Some(cluster), defaults)
}

/// Where the cluster's facts come from: exactly one of the four ways.
fn source(entry: &Entry, name: &ClusterName, directory: &Path, problems: &mut Problems) -> Option<ClusterSource> {
    let in_cluster = entry.is_set("inCluster");
    if in_cluster {
        if let Some(field) = ["context", "issuer", "jwksFile"].into_iter().find(|field| entry.has(field)) {
            problems.add(
                entry.key(field).unwrap_or(entry.at),
                format!("`inCluster: true` and `{field}` exclude each other"),
                "keep the one that says where the cluster's facts come from",
            );
            return None;
        }
        return Some(ClusterSource::InCluster);
    }
    if entry.has("issuer") && !entry.has("jwksFile") && vault_fetches(entry) {
        if let Some(at) = entry.key("context") {
            problems.add(
                at,
                "`context` and `issuer` exclude each other",
                "keep `issuer` where Vault fetches the keys and no cluster is to be asked; to replace the issuer that a reachable one \
                 announces, write `issuer` under `auth`",
            );
            return None;
        }
        let issuer = issuer(entry, name, problems)?;
        let at = entry.key("issuer").unwrap_or(entry.at);
        if is_discovered(entry) && !is_web_address(&issuer) {
            problems.add(
                at,
                "`issuer` is no https URL, from which Vault could fetch the keys",
                "write the issuer as tokens have it (`iss`); if that is no URL, say where the keys are with `keys: jwksUrl` and `jwksUrl`",
            );
            return None;
        }
        if issuer.contains("/.well-known/") {
            problems.add(
                at,
                "`issuer` contains `.well-known`, which Vault appends by itself",
                "write the issuer alone, as `vaultk8s issuer` prints it",
            );
            return None;
        }
        return Some(ClusterSource::Issuer { issuer });
    }
    if entry.has("issuer") || entry.has("jwksFile") {
        for (field, other) in [("issuer", "jwksFile"), ("jwksFile", "issuer")] {
            if let (Some(at), false) = (entry.key(field), entry.has(other)) {
                problems.add(
                    at,
                    format!("`{field}` needs `{other}` beside it"),
                    "write both for a cluster that can't be reached from here, or let Vault fetch the keys of a public issuer, with \
                     `keys: oidcDiscovery` under `auth`; to replace the issuer that a reachable one announces, write `issuer` under \
                     `auth`",
                );
                return None;
            }
        }
        if let Some(at) = entry.key("context") {
            problems.add(
                at,
                "`context` and `jwksFile` exclude each other",
                "keep `context` for a cluster that can be reached, `issuer` and `jwksFile` for one that can't",
            );
            return None;
        }
        let issuer = issuer(entry, name, problems);
        let file = filled_for(entry.filled("jwksFile", problems), name, problems);
        return Some(ClusterSource::Files { issuer: issuer?, jwks_file: directory.join(&file?.value) });
    }
    match filled_for(entry.filled("context", problems), name, problems) {
        Some(context) => Some(ClusterSource::Context(Some(context.value))),
        None if entry.has("context") => None,
        None => Some(ClusterSource::Context(None)),
    }
}

/// Whether Vault is to fetch the keys by itself, so that nobody here needs them.
fn vault_fetches(entry: &Entry) -> bool {
    entry.section("auth").is_some_and(|auth| {
        let fetched = |keys: &str| matches!(keys, "jwksUrl" | "oidcDiscovery");
        let by_provider = auth.settings("providerConfig").is_some_and(|settings| names_kubernetes(settings));
        auth.text("keys").is_some_and(|keys| fetched(&keys.value)) || auth.has("jwksUrl") || by_provider
    })
}

/// Whether the issuer itself is asked where the keys are.
fn is_discovered(entry: &Entry) -> bool {
    entry
        .section("auth")
        .is_some_and(|auth| !auth.has("jwksUrl") && auth.text("keys").is_some_and(|keys| keys.value != "pinned"))
}

/// Whether something can be fetched from there, with a certificate that vouches for it, or from this machine.
fn is_web_address(text: &str) -> bool {
    server_url(text).is_ok_and(|url| !is_in_between(&url))
}

/// An issuer: any text in one word, compared byte for byte by Vault.
fn issuer(entry: &Entry, name: &ClusterName, problems: &mut Problems) -> Option<String> {
    let issuer = filled_for(entry.filled("issuer", problems), name, problems)?;
    if issuer.value.contains(char::is_whitespace) {
        problems.add(
            issuer.at,
            "`issuer` contains white space",
            "write it byte for byte as `vaultk8s issuer` prints it, such as `https://kubernetes.default.svc.cluster.local`",
        );
        return None;
    }
    Some(issuer.value)
}

fn auth(entry: &Entry, at: Position, name: &ClusterName, directory: &Path, problems: &mut Problems) -> Option<Auth> {
    let method = entry.required("method", problems).map(|method| method.value.as_str());
    let (other, fields): (&str, &[&str]) = match method {
        Some("kubernetes") => (
            "jwt",
            &["keys", "jwksUrl", "keyRetention", "providerConfig", "defaultRole", "unsupportedCriticalCertExtensions"],
        ),
        Some(_) => ("kubernetes", &["host", "reviewer", "annotationsAsMetadata"]),
        None => ("", &[]),
    };
    for field in fields {
        if let Some(at) = entry.key(field) {
            problems.add(
                at,
                format!(
                    "`{field}` belongs to the {other} method; the mount of {:?} uses {}",
                    name.as_str(),
                    method.unwrap_or_default()
                ),
                format!("remove `{field}`, or write `method: {other}`"),
            );
        }
    }
    let mount = match filled_for(entry.text("mount"), name, problems) {
        Some(mount) => problems.accept(mount.at, mount.value.parse()),
        None if entry.has("mount") => None,
        None => format!("{}-{name}", method.unwrap_or("jwt")).parse().ok(),
    };
    let description = filled_for(entry.text("description"), name, problems).map(|description| description.value);
    let issuer = issuer(entry, name, problems);
    let ca_cert = filled_for(entry.filled("caCert", problems), name, problems).map(|file| directory.join(&file.value));
    let provider_config = provider_config(entry, problems);
    let cert_extensions = cert_extensions(entry, problems);
    let default_role = filled_for(entry.filled("defaultRole", problems), name, problems)
        .and_then(|role| problems.accept(role.at, role.value.parse()));
    let (method, keys_ca_cert) = if method? == "kubernetes" {
        (Method::Kubernetes(Box::new(kubernetes_auth(entry, name, ca_cert, directory, problems)?)), None)
    } else {
        let by_provider = is_kubernetes(provider_config.as_ref());
        (Method::Jwt(key_source(entry, name, by_provider, problems)), ca_cert)
    };
    let exclusive = entry.is_set("exclusive");
    let tune = tune(entry, problems);
    let managed = managed(entry, problems);
    Some(Auth {
        mount: mount?,
        position: at,
        managed,
        description,
        tune,
        exclusive,
        issuer,
        keys_ca_cert,
        provider_config,
        cert_extensions,
        default_role,
        whole: true,
        method,
    })
}

/// Reads `unsupportedCriticalCertExtensions`; `None` where the file says nothing of them.
fn cert_extensions(entry: &Entry, problems: &mut Problems) -> Option<Vec<String>> {
    let written = entry.texts("unsupportedCriticalCertExtensions")?;
    let is_oid = |text: &str| {
        let mut parts = text.split('.');
        matches!(parts.next(), Some("0" | "1" | "2"))
            && text.contains('.')
            && parts.all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    for oid in written.iter().filter(|oid| !is_oid(&oid.value)) {
        problems.add(
            oid.at,
            format!("{:?} is not the OID of an extension", oid.value),
            "write its numbers with dots between them, such as `'1.3.6.1.4.1.311.21.10'`, in quotes",
        );
    }
    Some(without_repeats(written.iter().map(|oid| oid.value.clone())))
}

/// Whether this file keeps the mount; what only its keeper can say is refused elsewhere.
fn managed(entry: &Entry, problems: &mut Problems) -> bool {
    let Some(manage) = entry.flag("manage").filter(|manage| !manage.value) else { return true };
    let keepers = [
        ("exclusive", entry.is_set("exclusive"), "only the file that keeps a mount can name all of its roles"),
        ("description", entry.has("description"), "the file that keeps a mount describes it"),
        ("tune", entry.has("tune"), "the file that keeps a mount has its settings"),
    ];
    for (field, is_there, why) in keepers {
        if let (true, Some(at)) = (is_there, entry.key(field)) {
            problems.add(
                at,
                format!("`{field}` and `manage: false` (line {}) exclude each other: {why}", manage.at.line),
                format!(
                    "write `{field}` in the file that keeps the mount, or remove `manage: false` if that is this one"
                ),
            );
        }
    }
    false
}
