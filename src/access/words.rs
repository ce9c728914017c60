//! Rules of policies in the words of the configuration: `read secret/k8s/prod/*` in place of the API's
//! `read secret/data/k8s/prod/*`.

use std::collections::BTreeSet;

use crate::desired::KvVersions;
use crate::model::KvVersion;
use crate::policy::Capability;

/// What may be done on a path, in words, and the path as the configuration writes it.
pub(crate) fn told(kv: &KvVersions, path: &str, capabilities: &BTreeSet<Capability>) -> (Vec<String>, String) {
    let plain = || (capabilities.iter().map(ToString::to_string).collect(), path.to_owned());
    // Of two mounts where one begins with the other, the longer is what the path names.
    let inside = |mount: &str| path.strip_prefix(mount).and_then(|rest| rest.strip_prefix('/')).map(str::to_owned);
    let mounts = kv.iter().filter_map(|(mount, version)| Some((mount.as_str(), *version, inside(mount.as_str())?)));
    let Some((mount, version, rest)) = mounts.max_by_key(|(mount, ..)| mount.len()) else { return plain() };
    let (usual, secret): (&[Capability], &str) = match version {
        KvVersion::V1 => {
            let all = [Capability::Create, Capability::Read, Capability::Update, Capability::Delete, Capability::List];
            return (verbs(capabilities, &all), path.to_owned());
        }
        KvVersion::V2 => match rest.split_once('/') {
            Some(("data", secret)) => {
                (&[Capability::Create, Capability::Read, Capability::Update, Capability::Delete], secret)
            }
            Some(("metadata", secret)) => (&[Capability::List], secret),
            _ => return plain(),
        },
    };
    // What no verb of the configuration means, such as `delete` on metadata, which destroys every version.
    if !capabilities.iter().all(|capability| usual.contains(capability)) {
        return plain();
    }
    (verbs(capabilities, usual), format!("{mount}/{secret}"))
}

/// `create` and `update` together are `write`.
fn verbs(capabilities: &BTreeSet<Capability>, usual: &[Capability]) -> Vec<String> {
    let writes = [Capability::Create, Capability::Update];
    let write = writes.iter().all(|capability| capabilities.contains(capability) && usual.contains(capability));
    let word = |capability: &Capability| match capability {
        Capability::Create if write => Some("write".to_owned()),
        Capability::Update if write => None,
        other => Some(other.to_string()),
    };
    capabilities.iter().filter_map(word).collect()
}

#[cfg(test)]
mod tests {
    use Capability::{Create, Delete, List, Read, Update};

    use super::*;

    #[test]
    fn a_rule_is_told_as_the_configuration_would_write_it() {
        let kv: KvVersions = [("secret", KvVersion::V2), ("secret/team", KvVersion::V2), ("old", KvVersion::V1)]
            .map(|(mount, version)| (mount.parse().unwrap(), version))
            .into();
        let told = |path: &str, capabilities: &[Capability]| {
            let (verbs, path) = told(&kv, path, &capabilities.iter().copied().collect());
            format!("{} {path}", verbs.join(", "))
        };
        assert_eq!(told("secret/data/k8s/*", &[Read]), "read secret/k8s/*");
        assert_eq!(told("secret/data/a", &[Create, Update, Read]), "write, read secret/a");
        assert_eq!(told("secret/data/a", &[Update]), "update secret/a");
        assert_eq!(told("secret/metadata/a/*", &[List]), "list secret/a/*");
        assert_eq!(told("secret/metadata/a/*", &[Delete, List]), "delete, list secret/metadata/a/*");
        assert_eq!(told("secret/team/data/x", &[Read]), "read secret/team/x");
        assert_eq!(told("old/a", &[Read, List]), "read, list old/a");
        assert_eq!(told("sys/mounts", &[Read]), "read sys/mounts");
        assert_eq!(told("secretly/data/x", &[Read]), "read secretly/data/x");
    }
}
