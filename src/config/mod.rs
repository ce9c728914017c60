//! The configuration file: `vaultk8s.yaml`.
//!
//! Text becomes a tree that knows its places (`yaml`), the tree is checked against the table of fields (`shape`,
//! `fields`), and its entries are filled in and checked against one another (`clusters`, `policies`, `roles`, `expect`). No step
//! stops at the first problem: a [`ConfigError`] has all of them. Nothing here reads a file or the environment.

mod accounts;
mod alias_keys;
mod alias_metadata;
mod allow;
mod ascents;
mod braces;
mod clusters;
mod compose;
mod consumer;
mod diagnostic;
mod duration;
mod entry;
mod expand;
mod expect;
mod fields;
mod files;
mod key_source;
mod kv_path;
mod lint;
mod literals;
mod merge;
mod policies;
mod policy_lint;
mod position;
mod provider;
mod reviewer;
mod role;
mod roles;
mod schema;
mod secrets;
mod select;
mod selector;
mod shape;
mod starter;
mod stores;
mod suggest;
mod syntax;
mod template;
mod tie;
mod tokens;
mod trust_files;
mod tune;
mod types;
mod verb;
mod web_address;
mod yaml;

use std::path::Path;

pub use accounts::let_in_unlisted;
pub use compose::{
    NewCluster, ReviewerFlags, cluster_named_after, jwt_cluster, kubernetes_cluster, kv_grants, one_role, rule,
    task_grants,
};
pub use consumer::{FileSecret, FileStore, SecretKey, StoreProvider, StoreTrust};
pub use diagnostic::{ConfigError, Diagnostic};
pub use duration::{InvalidDuration, go_duration, parse_duration, written_duration};
pub use files::ConfigFiles;
pub(crate) use key_source::DEFAULT_RETENTION;
pub use kv_path::{KvPathError, kv_path};
pub use position::Position;
pub use role::{AliasNameSource, Labelled, Leeways, Role, TokenSettings, TokenType};
pub use schema::schema;
pub use starter::{KeysFor, starter};
pub(crate) use suggest::nearest;
pub use trust_files::TrustFile;
pub(crate) use tune::SECRET_KEYS;
pub use types::*;
pub use verb::{Task, Verb};
pub use web_address::server_url;

use clusters::Clusters;
use diagnostic::Problems;
use entry::{Entry, Located};
use kv_path::written_mount;
use policies::Policies;
use template::{Placeholders, Template};
use web_address::web_address;

/// The KV mount where the file names none.
pub const DEFAULT_KV: &str = "secret";

impl Config {
    /// Reads a configuration. `file` is where the text comes from: errors name it, and the paths in the text are relative to
    /// its directory.
    ///
    /// # Errors
    /// Everything that is wrong with the text, each with its place and its remedy.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        Self::parse_all(&[text], ConfigFiles::from(file))
    }

    /// Reads a configuration of several files, whose texts these are.
    ///
    /// # Errors
    /// Everything that is wrong with the texts, each with its file, place and remedy.
    pub fn parse_all<T: AsRef<str>>(texts: &[T], files: ConfigFiles) -> Result<Self, ConfigError> {
        let mut problems = Problems::of(files.clone());
        let (mut entries, mut nodes) = (Vec::new(), 0);
        for (file, text) in (0..).zip(texts) {
            match yaml::read(text.as_ref()) {
                Ok(mut tree) => {
                    nodes += tree.in_file(file);
                    entries.extend(shape::entry(tree, &fields::FILE, &mut problems));
                }
                Err(problem) => problems.add(Position { file, ..problem.position }, problem.message, problem.remedy),
            }
        }
        // Of one file the reader has counted them.
        if texts.len() > 1 && nodes > yaml::MAX_NODES {
            problems.add(
                Position::START,
                format!("the files have {nodes} values together, and {} is the most", yaml::MAX_NODES),
                "split them into configurations of their own, each with an `owner`",
            );
        }
        // What is missing may be in the one that could not be read.
        let whole = entries.len() == texts.len();
        let merged = merge::merged(entries, &files, &mut problems).filter(|_| whole);
        let config = merged.map(|entry| Self::build(&entry, &files, &mut problems));
        match (problems.into_result(), config) {
            (Ok(warnings), Some(config)) => Ok(Self { files, warnings, ..config }),
            (Ok(_), None) => Err(ConfigError {
                files,
                problems: vec![Diagnostic::new(
                    Position::START,
                    "the file could not be read",
                    "this is a fault of vaultk8s: please report it with the file",
                )],
            }),
            (Err(problems), _) => Err(ConfigError { files, problems }),
        }
    }

    /// Builds what can be built; problems tell whether it is to be used.
    fn build(entry: &Entry, files: &ConfigFiles, problems: &mut Problems) -> Self {
        let owner = entry.text("owner").and_then(|owner| problems.accept(owner.at, owner.value.parse()));
        let vault = vault(entry, files, problems);
        let (kv, makes_kv) = kv(entry, problems);
        if entry.require("clusters", problems) && entry.is_complete("clusters") && entry.sections("clusters").is_empty()
        {
            problems.add(
                entry.key("clusters").unwrap_or(entry.at),
                "`clusters` has no entries",
                "add a cluster: `- name: prod` with its `auth`",
            );
        }
        let mut clusters = Clusters::read(entry, &kv, files, problems);
        let policies = Policies::read(entry, &clusters, (&kv, makes_kv), problems);
        let expectations = expect::read_expectations(entry, &clusters, &policies, &kv, problems);
        let allow = allow::read_allowances(entry, &clusters, &policies.mounts, problems);
        let roles = roles::read_roles(entry.sections("roles"), &clusters, &policies, problems);
        for (index, role) in roles {
            if let Some(cluster) = clusters.slots.get_mut(index).and_then(|slot| slot.cluster.as_mut()) {
                cluster.roles.push(role);
            }
        }
        let before = problems.count();
        let stores = entry.has("stores").then(|| stores::read_stores(entry, &clusters, &policies, files, problems));
        let incomplete = problems.count() > before || !entry.is_complete("stores");
        let secrets = if entry.has("secrets") {
            let unsaid = stores.is_none().then(|| stores::unsaid(&clusters, &policies));
            let known = stores.as_ref().or(unsaid.as_ref()).map_or(&[][..], Vec::as_slice);
            secrets::read_secrets(entry, &clusters, &policies, (known, incomplete), problems)
        } else {
            Vec::new()
        };
        let mut clusters: Vec<Cluster> = clusters.slots.into_iter().filter_map(|slot| slot.cluster).collect();
        for cluster in &mut clusters {
            if let Method::Kubernetes(auth) = &mut cluster.auth.method {
                auth.reviewer.reads_namespaces = cluster.roles.iter().any(|role| role.labelled.is_some());
                if auth.reviewer.reads_namespaces && auth.reviewer.token.is_of_the_account() {
                    reviewer::check_namespaces_name(&auth.reviewer, cluster.auth.position, problems);
                }
            }
        }
        lint::unused_policies(&policies, &clusters, problems);
        lint::roles(&clusters, &policies, problems);
        alias_keys::check(&clusters, &policies, problems);
        alias_metadata::check(&clusters, &policies, problems);
        lint::unmarked(owner.is_some(), &clusters, &policies, problems);
        lint::nobody(&clusters, entry.key("roles").unwrap_or(entry.at), problems);
        tune::lint_roles(&clusters, problems);
        ascents::lint(&policies, &clusters, &allow, problems);
        let Policies { list, mounts: kv_mounts, made: made_kv_mounts, .. } = policies;
        let policies = list.into_iter().map(|built| built.policy).collect();
        Self {
            owner,
            vault,
            clusters,
            policies,
            expectations,
            allow,
            stores,
            secrets,
            kv_mounts,
            made_kv_mounts,
            ..Self::default()
        }
    }
}

fn vault(entry: &Entry, files: &ConfigFiles, problems: &mut Problems) -> VaultSection {
    let Some(vault) = entry.section("vault") else {
        return VaultSection { file: files.of(entry.at).to_owned(), ..VaultSection::default() };
    };
    let directory = files.folder_of(vault.at);
    VaultSection {
        file: files.of(vault.at).to_owned(),
        address: vault
            .text("address")
            .and_then(|address| web_address("address", address, "https://vault.example.internal:8200", problems)),
        ca_cert: vault.filled("caCert", problems).map(|file| directory.join(&file.value)),
        namespace: vault.text("namespace").and_then(|namespace| {
            let path = namespace.value.trim_matches('/');
            let plain = !path.contains(|c: char| c.is_whitespace() || c.is_control());
            let segments = path.is_empty() || path.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
            if plain && segments {
                return Some(path.to_owned());
            }
            problems.add(
                namespace.at,
                format!("{:?} is not the path of a namespace", namespace.value),
                "write it as Vault's CLI lists it, such as `team-a`; \"\" leaves it to VAULT_NAMESPACE",
            );
            None
        }),
    }
}

/// The file's KV mount, a template, since each cluster may have its own; and whether it is made where it isn't there.
fn kv(entry: &Entry, problems: &mut Problems) -> (Located<Template>, bool) {
    let written = written_mount(entry, problems);
    let template = written.and_then(|(kv, _)| Template::read(kv, Placeholders::Cluster, problems));
    let template = template.unwrap_or_else(|| Located { at: entry.at, value: Template::plain(DEFAULT_KV) });
    (template, written.is_some_and(|(_, makes)| makes))
}
