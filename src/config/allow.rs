//! `allow:`: what logins may do beyond their policies.

use std::fmt;

use super::Allowance;
use super::clusters::Clusters;
use super::diagnostic::Problems;
use super::entry::{Entry, Located};
use super::policies::read_capabilities;
use super::template::{Placeholders, Template};
use crate::names::MountPath;
use crate::policy::{Capability, Pattern, PolicyPath};

/// Reads what is allowed: one for each entry, or for each cluster where its path names that. `mounts` are the KV mounts that the file names.
pub(super) fn read_allowances(
    file: &Entry,
    clusters: &Clusters,
    mounts: &[MountPath],
    problems: &mut Problems,
) -> Vec<Allowance> {
    file.sections("allow").iter().flat_map(|entry| read(entry, clusters, mounts, problems)).collect()
}

fn read(entry: &Entry, clusters: &Clusters, mounts: &[MountPath], problems: &mut Problems) -> Vec<Allowance> {
    let path = entry.required("path", problems).and_then(|path| Template::read(path, Placeholders::Cluster, problems));
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
            path: policy_path(&text, &path, mounts, problems)?,
            capabilities: capabilities.iter().map(|capability| capability.value).collect(),
            why: why.value.clone(),
        })
    };
    of_clusters.into_iter().filter_map(one).collect()
}

fn policy_path(
    text: &str,
    path: &Located<Template>,
    mounts: &[MountPath],
    problems: &mut Problems,
) -> Option<PolicyPath> {
    let found = PolicyPath::new(text).map_err(|error| {
        let remedy = error.remedy().unwrap_or("write the API path in one line, such as `secret/data/shared/*`");
        problems.add(path.at, error.to_string(), remedy);
    });
    let found = found.ok()?;
    if let Some(width) = Width::of(&found, mounts) {
        problems.warn(path.at, width.to_string(), "name the paths that are meant");
    }
    Some(found)
}

/// How much an entry allows that leaves a check nothing to find.
#[derive(Debug, PartialEq, Eq)]
enum Width {
    /// In every mount there is.
    Everywhere,
    /// All of what is in one.
    Mount(String),
}

impl Width {
    /// That of a path, however it is written: `+/+` is as wide as `*`. None for one that leaves something out, or for a template, which
    /// is about what belongs to somebody.
    fn of(path: &PolicyPath, mounts: &[MountPath]) -> Option<Self> {
        let pattern = Pattern::of(path)?;
        if pattern.is_wild_after(0) {
            return Some(Self::Everywhere);
        }
        // The values of a version 2 KV mount are below a segment of its own.
        let all_of = |mount: &&MountPath| {
            let values = PolicyPath::new(&format!("{mount}/data/*")).ok();
            values.and_then(|values| Pattern::of(&values)).is_some_and(|values| pattern.covers(&values))
        };
        let known = mounts.iter().find(all_of).map(ToString::to_string);
        let first =
            || path.as_str().split_once('/').filter(|_| pattern.is_wild_after(1)).map(|(first, _)| first.to_owned());
        known.or_else(first).map(Self::Mount)
    }
}

impl fmt::Display for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everywhere => f.write_str("this allows it everywhere, so that nothing will ever be too much"),
            Self::Mount(mount) => {
                write!(f, "this allows it on all of {mount}/, so that nothing there will ever be too much")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_wide_by_what_it_allows() {
        let mounts: Vec<MountPath> = ["secret", "team/kv"].map(|mount| mount.parse().unwrap()).into();
        let width = |path: &str| Width::of(&PolicyPath::new(path).unwrap(), &mounts);
        for everywhere in ["*", "+/*", "+/+", "+/+/*", "+", "+/+/+/*"] {
            assert_eq!(width(everywhere), Some(Width::Everywhere), "{everywhere}");
        }
        for (path, mount) in [
            ("secret/*", "secret"),
            ("secret*", "secret"),
            ("s*", "secret"),
            ("secret/+/*", "secret"),
            ("secret/data/*", "secret"),
            ("secret/d*", "secret"),
            ("+/data/*", "secret"),
            ("team/*", "team/kv"),
            ("team/kv/+/*", "team/kv"),
            ("+/kv/data/*", "team/kv"),
            ("other/+/*", "other"),
            ("sys/*", "sys"),
            ("auth/+/*", "auth"),
            ("identity/+/+", "identity"),
        ] {
            assert_eq!(width(path), Some(Width::Mount(mount.to_owned())), "{path}");
        }
        for narrow in [
            "secret/data/shared/*",
            "secret/+/shared/*",
            "secret/metadata/*",
            "secret/data/+/db",
            "team/kv/data/a*",
            "auth/token/*",
            "sys/tools/hash",
            "identity/lookup/entity",
            "+/+/db",
            "secret",
            "other/shared*",
            "secret/{{identity.entity.id}}/*",
            "kv/data/{{identity.entity.name}}",
        ] {
            assert_eq!(width(narrow), None, "{narrow}");
        }
    }
}
