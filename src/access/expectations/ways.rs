//! The ways in which a verb of the configuration can be done: beside the usual one, the other parts of a version 2 KV mount.

use super::Demand;
use crate::config::{Expectation, Verb};
use crate::desired::KvVersions;
use crate::error::{Error, Result};
use crate::model::KvVersion;
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
        // Metadata say how many versions are kept, and for how long: who writes them lets versions go.
        Verb::Write => const { &[way("undelete", &[Create, Update]), way("metadata", &[Create, Update, Patch])] },
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

/// All that lets somebody do what is expected of nobody; `main` is the usual way.
pub(super) fn every_way(mut main: Rule, expectation: &Expectation, kv: &KvVersions) -> Result<Vec<Demand>> {
    let Expectation { verb, mount, path, .. } = expectation;
    main.capabilities.extend(match verb {
        Verb::Read | Verb::Delete => &[][..],
        Verb::List => &[Scan],
        Verb::Write => &[Patch, Recover],
    });
    let mut demands = vec![Demand::of(main)];
    if *verb == Verb::Delete {
        // With its mount everything is gone.
        demands.push(Demand::of(Rule::new(rule_path(&format!("sys/mounts/{mount}"))?, [Delete])));
    }
    if kv.get(mount) == Some(&KvVersion::V2) {
        for Way { part, capabilities, tells } in ways(*verb) {
            let rule = Rule::new(rule_path(&format!("{mount}/{part}/{path}"))?, capabilities.iter().copied());
            demands.push(Demand { tells: *tells, ..Demand::of(rule) });
        }
        if *verb == Verb::Delete {
            // What it says of the life of versions is for all secrets of the mount.
            demands.push(Demand::of(Rule::new(rule_path(&format!("{mount}/config"))?, [Create, Update])));
        }
    }
    Ok(demands)
}

/// The paths that are about the same secrets, in whichever part of the mount.
pub(super) fn all_parts(expectation: &Expectation, kv: &KvVersions) -> Result<Vec<PolicyPath>> {
    let Expectation { verb, mount, path, .. } = expectation;
    let anywhere = match kv.get(mount) {
        Some(KvVersion::V2) => format!("{mount}/+/{path}"),
        _ => format!("{mount}/{path}"),
    };
    let mut paths = vec![rule_path(&anywhere)?];
    if *verb == Verb::List && !anywhere.ends_with(['/', '*']) {
        paths.push(rule_path(&format!("{anywhere}/"))?);
    }
    Ok(paths)
}

fn rule_path(path: &str) -> Result<PolicyPath> {
    PolicyPath::new(path).map_err(|error| Error::usage("an expectation's path can't be that of a rule").because(error))
}
