//! The ways in which something can be done: beside the usual one, the other parts of a version 2 KV mount.

use super::Demand;
use crate::config::{Act, Verb};
use crate::desired::{self, KvVersions};
use crate::error::{Error, Result};
use crate::model::KvVersion;
use crate::names::{KvPath, MountPath};
use crate::policy::{Capability, PolicyPath, Rule};
use Capability::{Create, Delete, List, Patch, Read, Recover, Scan, Update};

/// Another way than the usual one, in a KV mount of version 2.
struct Way {
    /// The part of the mount.
    part: &'static str,
    capabilities: &'static [Capability],
    /// Where it does something else: what it tells of a secret all the same.
    tells: Option<&'static str>,
}

const fn way(part: &'static str, capabilities: &'static [Capability]) -> Way {
    Way { part, capabilities, tells: None }
}

const fn tells(part: &'static str, capabilities: &'static [Capability], what: &'static str) -> Way {
    Way { part, capabilities, tells: Some(what) }
}

/// What the other parts let somebody do.
fn ways(verb: Verb) -> &'static [Way] {
    match verb {
        Verb::Read => {
            const { &[tells("subkeys", &[Read], "names of properties"), tells("metadata", &[Read], "metadata")] }
        }
        Verb::List => const { &[way("detailed-metadata", &[List, Scan])] },
        Verb::Find => const { &[way("detailed-metadata", &[List, Scan]), tells("metadata", &[Read], "metadata")] },
        // Metadata say how many versions are kept, and for how long: who writes them lets versions go.
        Verb::Write | Verb::Push => {
            const { &[way("undelete", &[Create, Update]), way("metadata", &[Create, Update, Patch])] }
        }
        Verb::Delete => {
            const {
                &[
                    way("delete", &[Create, Update]),
                    way("destroy", &[Create, Update]),
                    way("undelete", &[Create, Update]),
                    way("metadata", &[Delete, Create, Update, Patch]),
                ]
            }
        }
    }
}

/// What somebody must be allowed who can do it.
pub(super) fn usual_way(act: &Act, kv: &KvVersions) -> Result<Vec<Demand>> {
    let rules = match act {
        Act::Kv { verb, mount, path } => desired::kv_rules(mount, *verb, path, kv)?,
        Act::Api { capabilities, path, .. } => vec![Rule::new(path.clone(), capabilities.iter().copied())],
    };
    Ok(rules.into_iter().map(Demand::of).collect())
}

/// All that lets somebody do what is expected of nobody.
pub(super) fn every_way(act: &Act, kv: &KvVersions) -> Result<Vec<Demand>> {
    match act {
        Act::Kv { verb, mount, path } => every_way_in_kv(*verb, mount, path, kv),
        Act::Api { capabilities, path, .. } => {
            let mut rule = Rule::new(path.clone(), capabilities.iter().copied());
            if capabilities.contains(&Update) {
                rule.capabilities.extend([Create, Patch]);
            }
            if capabilities.contains(&List) {
                rule.capabilities.insert(Scan);
            }
            Ok(vec![Demand::of(rule)])
        }
    }
}

/// Whoever may look a secret up, or compare it, doesn't find or push it: what counts is to list, and to write.
fn what_counts(verb: Verb) -> Verb {
    match verb {
        Verb::Find => Verb::List,
        Verb::Push => Verb::Write,
        verb => verb,
    }
}

fn every_way_in_kv(verb: Verb, mount: &MountPath, path: &KvPath, kv: &KvVersions) -> Result<Vec<Demand>> {
    let also = match what_counts(verb) {
        Verb::List => &[Scan][..],
        Verb::Write => &[Patch, Recover],
        _ => &[],
    };
    let mut demands = Vec::new();
    for mut main in desired::kv_rules(mount, what_counts(verb), path, kv)? {
        main.capabilities.extend(also);
        demands.push(Demand::of(main));
    }
    if verb == Verb::Delete {
        // With its mount everything is gone.
        demands.push(Demand::of(Rule::new(rule_path(&format!("sys/mounts/{mount}"))?, [Delete])));
    }
    if kv.get(mount) == Some(&KvVersion::V2) {
        for Way { part, capabilities, tells } in ways(verb) {
            let rule = Rule::new(rule_path(&format!("{mount}/{part}/{path}"))?, capabilities.iter().copied());
            demands.push(Demand { tells: *tells, ..Demand::of(rule) });
        }
        if verb == Verb::Delete {
            // What it says of the life of versions is for all secrets of the mount.
            demands.push(Demand::of(Rule::new(rule_path(&format!("{mount}/config"))?, [Create, Update])));
        }
    }
    Ok(demands)
}

/// The paths that are about the same, in whichever part of a mount.
pub(super) fn all_parts(act: &Act, kv: &KvVersions) -> Result<Vec<PolicyPath>> {
    let (anywhere, lists): (String, bool) = match act {
        Act::Kv { verb, mount, path } if kv.get(mount) == Some(&KvVersion::V2) => {
            (format!("{mount}/+/{path}"), verb.is_of_folders())
        }
        Act::Kv { verb, mount, path } => (format!("{mount}/{path}"), verb.is_of_folders()),
        Act::Api { capabilities, path, .. } => (path.to_string(), capabilities.contains(&List)),
    };
    let mut paths = vec![rule_path(&anywhere)?];
    if lists && !anywhere.ends_with(['/', '*']) {
        paths.push(rule_path(&format!("{anywhere}/"))?);
    }
    Ok(paths)
}

fn rule_path(path: &str) -> Result<PolicyPath> {
    PolicyPath::new(path).map_err(|error| Error::usage("an expectation's path can't be that of a rule").because(error))
}
