//! What a rule's path is about: the namespace that its policy stands in, or a child of it.
//!
//! A policy reaches into child namespaces by their paths: `team/sys/policies/acl/*` lets the policies of `team` be written, and
//! `+/sys/…` those of every child. A secret may be called like that, so what is below a KV mount is nothing of the kind.

use crate::names::MountPath;
use crate::policy::{Pattern, PolicyPath};

/// What a namespace has of its own, and what none can be called.
const OWN: [&str; 3] = ["sys", "auth", "identity"];

/// The parts of a version 2 KV mount.
const KV_PARTS: [&str; 6] = ["data", "metadata", "delete", "undelete", "destroy", "subkeys"];

/// How deep namespaces are looked for.
const DEEPEST: usize = 4;

/// A rule, and what it is about in one namespace.
#[derive(Debug)]
pub(super) struct About<'r> {
    pub(super) rule: &'r PolicyPath,
    /// The segments of the namespace's path; none for that of the policy.
    pub(super) namespace: Vec<&'r str>,
    /// The rule as it is written there.
    pub(super) within: Pattern,
}

impl<'r> About<'r> {
    /// All that a rule may be about, where these are KV mounts.
    pub(super) fn all(rule: &'r PolicyPath, kv: &[MountPath]) -> Vec<Self> {
        let segments: Vec<&str> = rule.as_str().split('/').collect();
        let children = (1..segments.len().min(DEEPEST + 1)).filter_map(|depth| {
            let (namespace, within) = segments.split_at(depth);
            if !is_child(namespace, within, kv) {
                return None;
            }
            let within = Pattern::with_templates(&PolicyPath::new(&within.join("/")).ok()?);
            Some(Self { rule, namespace: namespace.to_vec(), within })
        });
        let own = Self { rule, namespace: Vec::new(), within: Pattern::with_templates(rule) };
        std::iter::once(own).chain(children).collect()
    }
}

/// Whether the beginning of a path may be that of a child namespace.
fn is_child(namespace: &[&str], within: &[&str], kv: &[MountPath]) -> bool {
    let named = |segment: &&str| OWN.contains(segment) || *segment == "cubbyhole";
    let odd = |segment: &&str| segment.contains("{{") || segment.ends_with('*');
    if namespace.iter().any(|segment| named(segment) || odd(segment)) {
        return false;
    }
    let path = namespace.join("/");
    let below = |mount: &MountPath| {
        path.strip_prefix(mount.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if kv.iter().any(below) || namespace.iter().skip(1).any(|segment| KV_PARTS.contains(segment)) {
        return false;
    }
    // Where nothing is named it may be about any mount; then only what is about everybody's is about namespaces as well.
    let first = within.first().map_or("", |segment| segment.trim_end_matches('*'));
    let wild = within.iter().all(|segment| matches!(*segment, "+" | "*"));
    OWN.contains(&first) || (first == "+" && !wild && namespace.iter().all(|segment| *segment == "+"))
}
