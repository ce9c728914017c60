//! Rules that deny: which paths to ask a server about to see that they do, and which rule outranks one that doesn't.
//!
//! Of the rules that match a path only the most specific one counts, so that a denial may deny nothing: where another rule comes
//! before it, or where its path is none that anybody asks for.

use std::collections::BTreeSet;

use super::SEGMENT;
use crate::desired::KvVersions;
use crate::model::KvVersion;
use crate::names::MountPath;
use crate::policy::{Acl, Capability, Pattern, Places, Policy, PolicyPath, Rule, SlashOrder};

/// A path on which a rule has to deny.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Denial {
    /// The rule's path.
    pub(crate) rule: PolicyPath,
    /// A path that it is about.
    pub(crate) path: String,
    /// How it is about it.
    pub(crate) how: How,
}

/// How a rule is about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum How {
    /// By its own path.
    AsWritten,
    /// When names are listed: the server adds a slash to the path.
    Listed,
    /// As whoever wrote it must have meant it, where the KV mount keeps its secrets elsewhere.
    Misplaced(KvVersion),
    /// When somebody scans the folder of this path, which is above it: OpenBao tells all names that are below, and looks at no rule of
    /// theirs.
    Scanned,
}

impl Denial {
    /// Those of the capabilities on the path that the rule should have taken away.
    pub(crate) fn left<'a>(&self, has: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
        let counts = |word: &&str| match self.how {
            How::Listed => matches!(*word, "list" | "scan" | "root"),
            How::Scanned => matches!(*word, "scan" | "root"),
            How::AsWritten | How::Misplaced(_) => *word != "deny",
        };
        has.into_iter().filter(counts).collect()
    }

    /// The rule of these policies that decides in place of the denial, and what it allows there: as one server or the other reads
    /// a slash at the end.
    pub(crate) fn outranked(&self, policies: &[&Policy]) -> Option<(String, BTreeSet<Capability>)> {
        let acl = Acl::new(policies.iter().copied());
        let mut by_order = [SlashOrder::WithFirst, SlashOrder::WithoutFirst].map(|order| {
            let acl = acl.clone().with_slash_order(order);
            let (rule, allowed) = acl.decides(&self.path)?;
            let left = self.left(allowed.iter().map(|capability| capability.as_str()));
            // Of rules for the same path a denial wins.
            (!left.is_empty() && !allowed.contains(&Capability::Deny)).then(|| (rule, allowed.clone()))
        });
        // OpenBao alone knows scans.
        if self.how == How::Scanned {
            by_order[1] = None;
        }
        // Where other rules alone give a path its slash, a denial that one kind of server heeds is no mistake.
        if self.how == How::AsWritten && self.path.ends_with('/') && by_order.contains(&None) {
            return None;
        }
        by_order.iter_mut().find_map(Option::take)
    }
}

/// Where the rules that deny in these policies have to deny, as far as they are known for sure; `others` are the policies that the
/// login has beside them.
///
/// Where a narrower rule allows something within a denial, that is an exception and meant.
pub(crate) fn denials<'a>(policies: &[&'a Policy], others: &[&'a Policy], kv: &KvVersions) -> BTreeSet<Denial> {
    let rules = || policies.iter().flat_map(|policy| policy.rules());
    let denying: Vec<&Rule> = rules().filter(|rule| rule.denies() && !rule.is_uncertain()).collect();
    let mut denials = BTreeSet::new();
    if denying.is_empty() {
        return denials;
    }
    let paths: Vec<(&PolicyPath, PolicyPath, How)> = denying
        .iter()
        .flat_map(|rule| {
            let meant = misplaced(&rule.path, kv).into_iter().map(|(path, version)| (path, How::Misplaced(version)));
            let written = std::iter::once((rule.path.clone(), How::AsWritten));
            written.chain(meant).map(|(path, how)| (&rule.path, path, how))
        })
        .collect();
    let acl = Acl::new(policies.iter().copied());
    let everybodys = || rules().chain(others.iter().flat_map(|policy| policy.rules()));
    let scans = everybodys().any(|rule| rule.capabilities.contains(&Capability::Scan));
    let all = everybodys().map(|rule| rule.path.clone());
    let all: BTreeSet<PolicyPath> = all.chain(paths.iter().map(|(_, path, _)| path.clone())).collect();
    let places = Places::of(&all, SEGMENT);
    for (rule, path, how) in &paths {
        let Some(pattern) = Pattern::of(path) else { continue };
        let excepted = |path: &str| {
            let Some((deciding, _)) = acl.decides(path) else { return false };
            let deciding = PolicyPath::new(&deciding).ok().as_ref().and_then(Pattern::of);
            deciding.is_some_and(|deciding| pattern.covers(&deciding) && !deciding.covers(&pattern))
        };
        let about = |path: String, how| Denial { rule: (*rule).clone(), path, how };
        for path in places.near(path).filter(|path| pattern.matches(path) && !excepted(path)) {
            denials.insert(about(path.clone(), *how));
            if *how == How::AsWritten && may_be_listed(path, kv) {
                denials.insert(about(format!("{path}/"), How::Listed));
            }
            if *how == How::AsWritten && scans {
                denials.extend(folders_above(path, kv).into_iter().map(|folder| about(folder, How::Scanned)));
            }
        }
    }
    denials
}

/// Whether names are listed on a path: in a KV mount of version 2 only in its metadata.
fn may_be_listed(path: &str, kv: &KvVersions) -> bool {
    !path.ends_with('/')
        && match within(path, kv) {
            Some((_, KvVersion::V2, inside)) => LISTED.iter().any(|part| inside.starts_with(part)),
            _ => true,
        }
}

const LISTED: [&str; 2] = ["metadata/", "detailed-metadata/"];

/// The folders of a KV mount from which names on a path can be scanned, each with its slash.
pub(super) fn folders_above(path: &str, kv: &KvVersions) -> Vec<String> {
    let Some((mount, version, inside)) = within(path, kv) else { return Vec::new() };
    let part = match version {
        KvVersion::V1 => "",
        KvVersion::V2 => match LISTED.iter().find(|part| inside.starts_with(**part)) {
            Some(part) => part,
            None => return Vec::new(),
        },
    };
    let floor = mount.as_str().len() + 1 + part.len();
    let slashes = path.match_indices('/').map(|(at, _)| at + 1);
    slashes.filter(|end| *end >= floor && *end < path.len()).map(|end| path[..end].to_owned()).collect()
}

/// The KV mount that a path is in, its version, and what follows.
pub(super) fn within<'p, 'k>(path: &'p str, kv: &'k KvVersions) -> Option<(&'k MountPath, KvVersion, &'p str)> {
    let inside = |mount: &MountPath| path.strip_prefix(mount.as_str())?.strip_prefix('/');
    let found = kv.iter().filter_map(|(mount, version)| Some((mount, *version, inside(mount)?)));
    found.max_by_key(|(mount, ..)| mount.as_str().len())
}

/// The parts of a KV mount of version 2.
const PARTS: [&str; 8] =
    ["data", "metadata", "detailed-metadata", "delete", "undelete", "destroy", "subkeys", "config"];

/// Where a rule's path must have been meant to be, where its KV mount has no such path: below `data/` and `metadata/` in one of
/// version 2, and without these in one of version 1.
pub(crate) fn misplaced(path: &PolicyPath, kv: &KvVersions) -> Vec<(PolicyPath, KvVersion)> {
    let Some((mount, version, inside)) = within(path.as_str(), kv) else { return Vec::new() };
    let (first, rest) = inside.split_once('/').map_or((inside, None), |(first, rest)| (first, Some(rest)));
    let meant: Vec<String> = match version {
        KvVersion::V2 if !inside.is_empty() && !PARTS.iter().any(|part| may_be(first, rest.is_none(), part)) => {
            ["data", "metadata"].map(|part| format!("{mount}/{part}/{inside}")).into()
        }
        KvVersion::V1 if matches!(first, "data" | "metadata") => {
            rest.filter(|rest| !rest.is_empty()).map(|rest| format!("{mount}/{rest}")).into_iter().collect()
        }
        _ => Vec::new(),
    };
    meant.iter().filter_map(|path| Some((PolicyPath::new(path).ok()?, version))).collect()
}

/// Whether a segment of a rule may stand for a part of the mount.
fn may_be(segment: &str, last: bool, part: &str) -> bool {
    let start = segment.find("{{").map(|at| &segment[..at]);
    let start = start.or_else(|| segment.strip_suffix('*').filter(|_| last));
    segment == "+" || segment == part || start.is_some_and(|start| part.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kv() -> KvVersions {
        let mount = |name: &str| name.parse().unwrap();
        [(mount("secret"), KvVersion::V2), (mount("kv1"), KvVersion::V1), (mount("team/kv"), KvVersion::V2)].into()
    }

    /// One rule per line: a path, and its capability.
    fn policy(rules: &[(&str, &str)]) -> Policy {
        let rule = |(path, word): &(&str, &str)| format!("path \"{path}\" {{ capabilities = [\"{word}\"] }}\n");
        Policy::parse(&rules.iter().map(rule).collect::<String>()).unwrap()
    }

    /// The rules that outrank a denial, each with the path where it does.
    fn outranking(rules: &[(&str, &str)]) -> BTreeSet<String> {
        let policy = policy(rules);
        let denials = denials(&[&policy], &[], &kv());
        let told = |denial: &Denial| {
            let (rule, _) = denial.outranked(&[&policy])?;
            Some(format!("{rule} at {}", denial.path.replace(SEGMENT, "x")))
        };
        denials.iter().filter_map(told).collect()
    }

    #[test]
    fn a_denial_that_works_is_outranked_nowhere() {
        let team = ("secret/data/team/*", "read");
        let names = ("secret/metadata/team/*", "list");
        for rules in [
            [team, ("secret/data/team/admins", "deny")],
            [team, ("secret/data/team/admins/*", "deny")],
            [team, ("secret/*", "deny")],
            [names, ("secret/metadata/team/a", "deny")],
            [names, ("secret/metadata/team/a/", "deny")],
            [names, ("secret/metadata/team/a/*", "deny")],
            [("secret/data/+/*", "read"), ("secret/data/+/private/*", "deny")],
            // Of rules for the same path the denial wins, and where another rule has a slash, on OpenBao too.
            [("secret/data/w/*", "read"), ("secret/data/w/*", "deny")],
            [("secret/metadata/a/+/", "list"), ("secret/metadata/a/x/*", "deny")],
            // Nobody scans what isn't above it.
            [("secret/metadata/team/other/*", "scan"), ("secret/metadata/team/admins/*", "deny")],
            [("secret/metadata/team/*", "scan"), ("secret/data/team/admins/*", "deny")],
            // An exception within a denial.
            [("secret/data/team/*", "deny"), ("secret/data/team/ops/*", "read")],
            [("secret/team/*", "deny"), ("secret/data/team/ops/*", "read")],
        ] {
            assert_eq!(outranking(&rules), BTreeSet::new(), "{rules:?}");
        }
    }

    #[test]
    fn a_denial_that_denies_nothing_is_outranked() {
        let (team, app) = (("secret/data/team/*", "read"), ("kv1/team/*", "read"));
        for (grant, denial, expected) in [
            (team, "secret/data/team/+/private/*", "secret/data/team/* at secret/data/team/x/private/x/x"),
            (team, "secret/data/+/admins", "secret/data/team/* at secret/data/team/admins"),
            (team, "secret/+/team/admins", "secret/data/team/* at secret/data/team/admins"),
            (team, "secret/team/admins", "secret/data/team/* at secret/data/team/admins"),
            (app, "kv1/data/team/admins", "kv1/team/* at kv1/team/admins"),
            (("team/kv/data/a/*", "read"), "team/kv/a/b", "team/kv/data/a/* at team/kv/data/a/b"),
            // OpenBao reads the slash that a list has first, where the `+` doesn't match.
            (
                ("secret/metadata/team/*", "list"),
                "secret/metadata/team/+",
                "secret/metadata/team/* at secret/metadata/team/x/",
            ),
        ] {
            let found = outranking(&[grant, (denial, "deny")]);
            assert!(found.contains(expected), "{denial}: {found:?}");
        }
    }

    #[test]
    fn a_list_denial_beside_a_rule_with_a_slash_is_no_alarm() {
        let rules =
            [("secret/metadata/a/+/", "list"), ("secret/metadata/*", "list"), ("secret/metadata/a/x/*", "deny")];
        assert_eq!(outranking(&rules), BTreeSet::new());
    }

    #[test]
    fn a_scan_of_a_folder_above_passes_by_a_denial() {
        for (grant, denial, expected) in [
            ("secret/metadata/scn/*", "secret/metadata/scn/admins", "secret/metadata/scn/* at secret/metadata/scn/"),
            ("secret/metadata/scn/*", "secret/metadata/scn/admins/*", "secret/metadata/scn/* at secret/metadata/scn/"),
            ("secret/metadata/", "secret/metadata/scn/*", "secret/metadata/ at secret/metadata/"),
            (
                "secret/detailed-metadata/*",
                "secret/detailed-metadata/x",
                "secret/detailed-metadata/* at secret/detailed-metadata/",
            ),
            ("kv1/*", "kv1/team/*", "kv1/* at kv1/"),
        ] {
            let found = outranking(&[(grant, "scan"), (denial, "deny")]);
            assert!(found.contains(expected), "{denial}: {found:?}");
        }
        // Denied as well where it is scanned.
        let closed =
            [("secret/metadata/scn/*", "scan"), ("secret/metadata/scn/a/*", "deny"), ("secret/metadata/scn/", "deny")];
        assert_eq!(outranking(&closed), BTreeSet::new());
    }

    #[test]
    fn a_rule_about_some_names_hides_no_denial_that_denies_nothing() {
        for named in ["v*", "vault*", "vaultk8s-probe/*"] {
            let named = format!("secret/data/team/{named}");
            let found = outranking(&[
                ("secret/data/team/*", "read"),
                ("secret/data/team/+/private/*", "deny"),
                (&named, "deny"),
            ]);
            let place = "secret/data/team/* at secret/data/team/a-x/private/";
            assert!(found.iter().any(|found| found.starts_with(place)), "{named}: {found:?}");
        }
    }

    #[test]
    fn a_path_is_misplaced_only_where_the_mount_has_none_like_it() {
        let meant = |path: &str| -> Vec<String> {
            let path = PolicyPath::new(path).unwrap();
            misplaced(&path, &kv()).iter().map(|(path, _)| path.to_string()).collect()
        };
        assert_eq!(meant("secret/team/admins"), ["secret/data/team/admins", "secret/metadata/team/admins"]);
        assert_eq!(meant("secret/team*"), ["secret/data/team*", "secret/metadata/team*"]);
        assert_eq!(meant("team/kv/x"), ["team/kv/data/x", "team/kv/metadata/x"]);
        assert_eq!(meant("kv1/data/x/*"), ["kv1/x/*"]);
        for fine in [
            "secret/*",
            "secret/d*",
            "secret/data",
            "secret/data/x",
            "secret/+/x",
            "secret/config",
            "secret/subkeys/x",
            "secret/{{identity.entity.id}}/x",
            "kv1/x",
            "other/x",
            "secretive/x",
            "kv1/data",
        ] {
            assert_eq!(meant(fine), Vec::<String>::new(), "{fine}");
        }
    }
}
