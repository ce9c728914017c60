//! A policy of the configuration → the rules that Vault needs.

use super::{DesiredPolicy, KvVersions};
use crate::config::{self, Grant, Verb};
use crate::error::{Error, Result};
use crate::model::KvVersion;
use crate::names::{KvPath, MountPath};
use crate::policy::{Capability, Policy, PolicyPath, Rule};
use Capability::{Create, Delete, List, Read, Update};

/// The rules of one policy.
pub(super) fn desired(policy: &config::FilePolicy, kv: &KvVersions) -> Result<DesiredPolicy> {
    let mut rules = Vec::new();
    for grant in &policy.grants {
        rules.extend(self::rules(grant, kv)?);
    }
    Ok(DesiredPolicy { name: policy.name.clone(), policy: Policy::new(rules) })
}

/// The rules of one grant.
pub(super) fn rules(grant: &Grant, kv: &KvVersions) -> Result<Vec<Rule>> {
    match grant {
        Grant::Kv { mount, verb, path } => kv_rules(mount, *verb, path, kv),
        Grant::Rule { path, capabilities, .. } => Ok(vec![Rule::new(path.clone(), capabilities.iter().copied())]),
    }
}

/// The rules that grant a verb on a KV path.
pub(super) fn kv_rules(mount: &MountPath, verb: Verb, path: &KvPath, kv: &KvVersions) -> Result<Vec<Rule>> {
    let version =
        kv.get(mount).ok_or_else(|| Error::failed(format!("the version of the KV mount {mount}/ was not read")))?;
    let parts = match version {
        KvVersion::V1 => vec![("", in_version_1(verb))],
        KvVersion::V2 => in_version_2(verb).to_vec(),
    };
    let rule = |(part, capabilities): (&str, &[Capability])| {
        let text = format!("{mount}/{part}{path}");
        let path = PolicyPath::new(&text).map_err(|error| {
            let remedy = error.remedy().map(str::to_owned);
            Error::usage(format!("{text:?} can't be the path of a policy rule")).because(error).maybe_remedy(remedy)
        })?;
        Ok(Rule::new(path, capabilities.iter().copied()))
    };
    parts.into_iter().map(rule).collect()
}

/// Version 1 has one path for a secret, and no metadata.
fn in_version_1(verb: Verb) -> &'static [Capability] {
    match verb {
        Verb::Read => &[Read],
        Verb::List | Verb::Find => &[List],
        Verb::Write => &[Create, Update],
        Verb::Delete => &[Delete],
        Verb::Push => &[Create, Read, Update],
    }
}

/// Version 2 keeps values below `data/`, and names with their metadata below `metadata/`.
fn in_version_2(verb: Verb) -> &'static [(&'static str, &'static [Capability])] {
    match verb {
        Verb::Read => &[("data/", &[Read])],
        Verb::List => &[("metadata/", &[List])],
        Verb::Write => &[("data/", &[Create, Update])],
        Verb::Delete => &[("data/", &[Delete])],
        // Folders are listed, and secrets have metadata: two questions, though the rule is one.
        Verb::Find => &[("metadata/", &[List]), ("metadata/", &[Read])],
        Verb::Push => &[("data/", &[Create, Read, Update]), ("metadata/", &[Create, Read, Update])],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(version: KvVersion) -> String {
        grants_of(version, &[Verb::Read, Verb::List])
    }

    fn grants_of(version: KvVersion, verbs: &[Verb]) -> String {
        let mount: MountPath = "secret".parse().unwrap();
        let path: KvPath = "k8s/taloslmn/*".parse().unwrap();
        let grant = |verb| Grant::Kv { mount: mount.clone(), verb, path: path.clone() };
        let policy = config::FilePolicy {
            name: "p".parse().unwrap(),
            position: config::Position::default(),
            grants: verbs.iter().copied().map(grant).collect(),
        };
        desired(&policy, &[(mount.clone(), version)].into()).unwrap().policy.print(&[])
    }

    #[test]
    fn version_2_reads_data_and_lists_metadata() {
        snapbox::assert_data_eq!(
            grants(KvVersion::V2),
            snapbox::str![[r#"
path "secret/data/k8s/taloslmn/*" {
  capabilities = ["read"]
}

path "secret/metadata/k8s/taloslmn/*" {
  capabilities = ["list"]
}

"#]]
        );
    }

    #[test]
    fn version_1_has_one_path_for_both() {
        snapbox::assert_data_eq!(
            grants(KvVersion::V1),
            snapbox::str![[r#"
path "secret/k8s/taloslmn/*" {
  capabilities = ["read", "list"]
}

"#]]
        );
    }

    #[test]
    fn a_push_and_a_search_need_the_metadata() {
        snapbox::assert_data_eq!(
            grants_of(KvVersion::V2, &[Verb::Push]),
            snapbox::str![[r#"
path "secret/data/k8s/taloslmn/*" {
  capabilities = ["create", "read", "update"]
}

path "secret/metadata/k8s/taloslmn/*" {
  capabilities = ["create", "read", "update"]
}

"#]]
        );
        snapbox::assert_data_eq!(
            grants_of(KvVersion::V2, &[Verb::Find]),
            snapbox::str![[r#"
path "secret/metadata/k8s/taloslmn/*" {
  capabilities = ["read", "list"]
}

"#]]
        );
        snapbox::assert_data_eq!(
            grants_of(KvVersion::V1, &[Verb::Find]),
            snapbox::str![[r#"
path "secret/k8s/taloslmn/*" {
  capabilities = ["list"]
}

"#]]
        );
    }
}
