//! Rules that deny something on a mount that doesn't exist, and so nothing: a mistyped name looks like any other.

use std::fmt;

use crate::config::{Config, Diagnostic, Grant, nearest};
use crate::fix::either_shows;
use crate::model::MountTable;
use crate::policy::{Capability, Pattern, Policy, PolicyPath};

/// A mount that a rule is about and that isn't there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Absent {
    /// Its path.
    mount: String,
    /// The one that is there and most likely meant.
    nearest: Option<String>,
}

impl Absent {
    /// Of a rule's path, where it is about one mount and that isn't there. Where it isn't known which namespaces there are, only
    /// where another mount is called almost like that.
    pub(crate) fn of(path: &PolicyPath, there: &MountTable) -> Option<Self> {
        let literal = path.literal();
        let (first, rest) = literal.split_once('/')?;
        let (mounts, mount): (Vec<String>, String) = if first == "auth" {
            let (method, _) = rest.split_once('/')?;
            (there.auth.iter().flatten().map(|mount| format!("auth/{mount}")).collect(), format!("auth/{method}"))
        } else {
            (there.secrets.iter().cloned().collect(), first.to_owned())
        };
        let pattern = Pattern::of(path)?;
        let met = |mount: &String| {
            let all = PolicyPath::new(&format!("{mount}/*")).ok().as_ref().and_then(Pattern::of);
            all.is_none_or(|all| all.meet(&pattern).is_some())
        };
        let own = ["sys", "identity", "cubbyhole"].contains(&first) || (first == "auth" && there.auth.is_none());
        let is_namespace = there.namespaces.iter().flatten().any(|namespace| namespace == first);
        if own || is_namespace || mounts.iter().any(met) {
            return None;
        }
        let nearest = nearest(&mount, mounts.iter().map(String::as_str)).map(str::to_owned);
        (nearest.is_some() || there.namespaces.is_some()).then_some(Self { mount, nearest })
    }

    /// What to do about it.
    pub(crate) fn remedy(&self) -> String {
        match &self.nearest {
            Some(nearest) => format!("write {nearest}/ in place of {}/, if that is meant", self.mount),
            None => format!(
                "name a mount that is there: {} and {} show them",
                either_shows("secrets list"),
                either_shows("auth list")
            ),
        }
    }
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no mount {}/", self.mount)?;
        match &self.nearest {
            Some(nearest) => write!(f, ", the nearest is {nearest}/"),
            None => Ok(()),
        }
    }
}

/// The denials of some policies that are about a mount which isn't there.
pub(crate) fn absent<'a>(
    policies: impl IntoIterator<Item = &'a Policy>,
    there: &MountTable,
) -> Vec<(PolicyPath, Absent)> {
    let denying = policies.into_iter().flat_map(Policy::rules).filter(|rule| rule.denies());
    denying.filter_map(|rule| Some((rule.path.clone(), Absent::of(&rule.path, there)?))).collect()
}

/// Whether a configuration has rules that deny, so that it is worth asking which mounts there are.
pub(crate) fn denies(config: &Config) -> bool {
    denials(config).next().is_some()
}

fn denials(config: &Config) -> impl Iterator<Item = (crate::config::Position, &PolicyPath)> {
    let grants = config.policies.iter().flat_map(|policy| &policy.grants);
    grants.filter_map(|grant| match grant {
        Grant::Rule { position, path, capabilities, .. } if capabilities.contains(&Capability::Deny) => {
            Some((*position, path))
        }
        Grant::Rule { .. } | Grant::Kv { .. } => None,
    })
}

/// The mounts that a configuration itself names, which is all that a rehearsal knows.
pub(crate) fn named(config: &Config) -> MountTable {
    let mut auth: std::collections::BTreeSet<String> =
        config.clusters.iter().map(|cluster| cluster.auth.mount.to_string()).collect();
    auth.insert("token".to_owned());
    let secrets = config.kv_mounts.iter().map(ToString::to_string).collect();
    MountTable { secrets, auth: Some(auth), namespaces: None }
}

/// The same with the place of each. What the configuration itself will make is as good as there.
pub(crate) fn lint_absent(config: &Config, there: &MountTable) -> Vec<Diagnostic> {
    let mut there = there.clone();
    there.secrets.extend(config.made_kv_mounts.iter().map(ToString::to_string));
    let own = config.clusters.iter().map(|cluster| cluster.auth.mount.to_string());
    if let Some(auth) = &mut there.auth {
        auth.extend(own);
    }
    let found = denials(config).filter_map(|(at, path)| {
        let absent = Absent::of(path, &there)?;
        Some(Diagnostic::new(at, format!("this denies nothing: {absent}"), absent.remedy()))
    });
    let found: std::collections::BTreeSet<Diagnostic> = found.collect();
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_that_is_not_there_is_told_with_the_nearest() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let there = MountTable {
            secrets: set(&["secret", "team/kv", "cubbyhole", "sys", "identity"]),
            auth: Some(set(&["jwt-prod", "token"])),
            namespaces: Some(set(&["child"])),
        };
        let unsure = MountTable { namespaces: None, auth: None, ..there.clone() };
        let of = |path: &str, there: &MountTable| {
            Absent::of(&PolicyPath::new(path).unwrap(), there).map(|absent| absent.to_string())
        };
        let near = Some("there is no mount secrets/, the nearest is secret/".to_owned());
        for table in [&there, &unsure] {
            assert_eq!(of("secrets/data/team/*", table), near);
            assert_eq!(of("secrets/+/team/*", table), near);
        }
        assert_eq!(of("payroll/data/x", &there).as_deref(), Some("there is no mount payroll/"));
        assert_eq!(of("payroll/data/x", &unsure), None, "it may be a namespace");
        let auth = "there is no mount auth/jwt-prd/, the nearest is auth/jwt-prod/";
        assert_eq!(of("auth/jwt-prd/config", &there).as_deref(), Some(auth));
        assert_eq!(of("auth/jwt-prd/config", &unsure), None);
        for present in [
            "secret/data/x",
            "secret/*",
            "secrets",
            "secr*",
            "*",
            "+/data/x",
            "team/*",
            "team/kv/data/x",
            "team/+/data/x",
            "child/secrets/data/x",
            "sys/policies/acl/*",
            "identity/*",
            "auth/token/create",
            "auth/jwt-prod/config",
            "auth/+/config",
            "auth/*",
            "{{identity.entity.name}}/x",
        ] {
            assert_eq!(of(present, &there), None, "{present}");
        }
    }
}
