//! `allow:`: what logins may do beyond their policies.

use super::Allowance;
use super::clusters::Clusters;
use super::diagnostic::Problems;
use super::entry::{Entry, Located};
use super::policies::read_capabilities;
use super::template::{Scope, Template};
use crate::policy::{Capability, PolicyPath};

/// Reads what is allowed: one for each entry, or for each cluster where its path names that.
pub(super) fn read_allowances(file: &Entry, clusters: &Clusters, problems: &mut Problems) -> Vec<Allowance> {
    file.sections("allow").iter().flat_map(|entry| read(entry, clusters, problems)).collect()
}

fn read(entry: &Entry, clusters: &Clusters, problems: &mut Problems) -> Vec<Allowance> {
    let path = entry.required("path", problems).and_then(|path| Template::read(path, Scope::Cluster, problems));
    let capabilities = read_capabilities(entry, "write what may be done there, such as `[read]`", problems);
    let why = entry.required("why", problems).is_some().then(|| entry.filled("why", problems)).flatten();
    let (Some(path), Some(capabilities), Some(why)) = (path, capabilities, why) else { return Vec::new() };
    if let Some(deny) = capabilities.iter().find(|capability| capability.value == Capability::Deny) {
        let remedy = "remove it: `allow` says what logins may do; what they may not do, a rule of a policy denies";
        problems.add(deny.at, "`deny` allows nothing", remedy);
        return Vec::new();
    }
    let slots = || clusters.slots.iter().map(|slot| Some(&slot.name));
    let of_clusters: Vec<_> = if path.value.uses_cluster() { slots().collect() } else { vec![None] };
    let one = |cluster: Option<&_>| {
        let text = path.value.fill(cluster.map_or("", crate::names::ClusterName::as_str), None);
        Some(Allowance {
            position: entry.at,
            cluster: cluster.cloned(),
            path: policy_path(&text, &path, problems)?,
            capabilities: capabilities.iter().map(|capability| capability.value).collect(),
            why: why.value.clone(),
        })
    };
    of_clusters.into_iter().filter_map(one).collect()
}

fn policy_path(text: &str, path: &Located<Template>, problems: &mut Problems) -> Option<PolicyPath> {
    let found = PolicyPath::new(text).map_err(|error| {
        let remedy = error.remedy().unwrap_or("write the API path in one line, such as `secret/data/shared/*`");
        problems.add(path.at, error.to_string(), remedy);
    });
    if matches!(&found, Ok(all) if all.as_str() == "*") {
        problems.warn(
            path.at,
            "this allows it everywhere, so that nothing will ever be too much",
            "name the paths that are meant",
        );
    }
    found.ok()
}
