//! Paths that a login should not reach: beside those of its policies, and those of Vault itself.

use crate::names::MountPath;

/// The neighbours of a path: under another name in each of its folders, and in the other parts of a version 2 KV mount.
pub(crate) fn beside(path: &str) -> Vec<String> {
    let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let with = |at: usize, name: &str| {
        let mut other = segments.clone();
        other[at] = name;
        other.join("/")
    };
    let mut neighbours: Vec<String> = (1..segments.len()).map(|at| with(at, &format!("{}-x", segments[at]))).collect();
    if let Some(at) = segments.iter().position(|segment| matches!(*segment, "data" | "metadata")) {
        neighbours.extend(["data", "metadata", "delete", "undelete", "destroy"].map(|part| with(at, part)));
    }
    neighbours
}

/// Paths that no consumer of secrets has any business with. `segment` is a name that nothing else has.
pub(crate) fn off_limits(kv: &[MountPath], auth: &MountPath, segment: &str) -> Vec<String> {
    let secrets = kv.iter().flat_map(|kv| [format!("{kv}/{segment}"), format!("{kv}/data/{segment}")]);
    let own = [
        format!("auth/{auth}/config"),
        format!("auth/{auth}/role/{segment}"),
        format!("sys/auth/{segment}"),
        format!("sys/policies/acl/{segment}"),
        "auth/token/create".to_owned(),
    ];
    secrets.chain(own).collect()
}
