//! A policy of the configuration → the rules that Vault needs.

use super::{DesiredPolicy, KvVersions};
use crate::config::{self, Grant, Verb};
use crate::error::{Error, Result};
use crate::model::KvVersion;
use crate::names::{KvPath, MountPath};
use crate::policy::{Capability, Policy, PolicyPath, Rule};

/// The rules of one policy.
pub(super) fn desired(policy: &config::FilePolicy, kv: &KvVersions) -> Result<DesiredPolicy> {
    let rules = policy.grants.iter().map(|grant| {
        Ok(match grant {
            Grant::Kv { mount, verb, path } => kv_rule(mount, *verb, path, kv)?,
            Grant::Rule { path, capabilities, .. } => Rule::new(path.clone(), capabilities.iter().copied()),
        })
    });
    Ok(DesiredPolicy { name: policy.name.clone(), policy: Policy::new(rules.collect::<Result<Vec<_>>>()?) })
}

/// The rule that grants a verb on a KV path.
pub(super) fn kv_rule(mount: &MountPath, verb: Verb, path: &KvPath, kv: &KvVersions) -> Result<Rule> {
    let version =
        kv.get(mount).ok_or_else(|| Error::failed(format!("the version of the KV mount {mount}/ was not read")))?;
    Ok(Rule::new(api_path(mount, *version, verb, path)?, capabilities(verb).iter().copied()))
}

/// Where a verb on a KV path happens in the API: version 2 keeps values below `data/` and names below `metadata/`.
fn api_path(mount: &MountPath, version: KvVersion, verb: Verb, path: &KvPath) -> Result<PolicyPath> {
    let text = match (version, verb) {
        (KvVersion::V1, _) => format!("{mount}/{path}"),
        (KvVersion::V2, Verb::List) => format!("{mount}/metadata/{path}"),
        (KvVersion::V2, _) => format!("{mount}/data/{path}"),
    };
    PolicyPath::new(&text).map_err(|error| {
        let remedy = error.remedy().map(str::to_owned);
        Error::usage(format!("{text:?} can't be the path of a policy rule")).because(error).maybe_remedy(remedy)
    })
}

fn capabilities(verb: Verb) -> &'static [Capability] {
    match verb {
        Verb::Read => &[Capability::Read],
        Verb::List => &[Capability::List],
        Verb::Write => &[Capability::Create, Capability::Update],
        Verb::Delete => &[Capability::Delete],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(version: KvVersion) -> String {
        let mount: MountPath = "secret".parse().unwrap();
        let path: KvPath = "k8s/taloslmn/*".parse().unwrap();
        let grant = |verb| Grant::Kv { mount: mount.clone(), verb, path: path.clone() };
        let policy = config::FilePolicy {
            name: "p".parse().unwrap(),
            position: config::Position::default(),
            grants: vec![grant(Verb::Read), grant(Verb::List)],
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
}
