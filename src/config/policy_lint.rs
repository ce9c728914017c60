//! What a policy may say but should be looked at.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostic::Problems;
use super::suggest::listed;
use super::{FilePolicy, Grant, Position, Task, Verb};
use crate::names::{KvPath, MountPath};
use crate::policy::{Capability, Pattern, PolicyPath};

/// The paths by which External Secrets looks at its token and gives it back.
pub(super) const OWN_TOKEN: [(&str, Capability); 2] =
    [("auth/token/lookup-self", Capability::Read), ("auth/token/revoke-self", Capability::Update)];

/// A path that is the whole mount.
pub(super) fn whole_mount(path: &KvPath, mount: &MountPath, verb: Verb, at: Position, problems: &mut Problems) {
    if path.is_all_wildcards() {
        let what = match verb {
            Verb::Read => "reads every secret",
            Verb::List => "lists every name",
            Verb::Write => "writes every secret",
            Verb::Delete => "deletes every secret",
            Verb::Find => "looks for secrets by every name",
            Verb::Push => "writes every secret and its metadata",
        };
        // `+/+` names no secret either.
        let deep = path.as_str().split('/').count();
        let deep = match (deep, path.as_str().ends_with('*')) {
            (1, true) => String::new(),
            (deep, more) => format!(" that is {deep} deep{}", if more { " or more" } else { "" }),
        };
        problems.warn(
            at,
            format!("this {what} of the KV mount {:?}{deep}", mount.as_str()),
            "name the paths that are needed",
        );
    }
}

/// A template with a `*` right behind it: whose name begins like another's has that one's as well.
pub(super) fn open_template(path: &str, at: Position, problems: &mut Problems) {
    if path.ends_with("}}*") {
        problems.warn(
            at,
            "what stands for `{{…}}` may be the beginning of another name: this is about `team-ab` as well, for `team-a`",
            "write a slash before the `*`: `{{…}}/*`",
        );
    }
}

/// A task of all roles or keys of an engine.
pub(super) fn whole_engine(path: &PolicyPath, task: Task, at: Position, problems: &mut Problems) {
    let last = path.as_str().rsplit('/').next().unwrap_or_default();
    if matches!(last, "*" | "+") {
        let whose = if matches!(task, Task::Encrypt | Task::Decrypt) { "key" } else { "role" };
        problems.warn(
            at,
            format!("this is `{}` with every {whose} of the engine", task.word()),
            format!("name each {whose} that is needed"),
        );
    }
}

/// A rule that is about all secrets of a KV mount, however it is written.
pub(super) fn whole_mount_by_rule(
    path: &PolicyPath,
    capabilities: &[Capability],
    mounts: &[MountPath],
    at: Position,
    problems: &mut Problems,
) {
    if capabilities.iter().all(|capability| *capability == Capability::Deny) {
        return;
    }
    let Some(rule) = Pattern::of(path) else { return };
    let all_of = |mount: &&MountPath| {
        let depth = mount.as_str().split('/').count();
        let parts = [("", 0), ("data/", 1), ("metadata/", 1)];
        parts.iter().any(|(part, more)| {
            let all = PolicyPath::new(&format!("{mount}/{part}*")).ok().and_then(|all| Pattern::of(&all));
            all.and_then(|all| rule.meet(&all)).is_some_and(|met| met.is_wild_after(depth + more))
        })
    };
    if let Some(mount) = mounts.iter().find(all_of) {
        problems.warn(
            at,
            format!("this rule is about every secret of the KV mount {:?}", mount.as_str()),
            "name the paths that are needed",
        );
    }
}

/// A `+` at an end of a segment: it looks like a wildcard, and is a plain plus.
pub(super) fn plain_plus(path: &KvPath, at: Position, problems: &mut Problems) {
    let looks_wild = |segment: &&str| *segment != "+" && (segment.starts_with('+') || segment.ends_with('+'));
    if let Some(segment) = path.segments().find(looks_wild) {
        problems.warn(
            at,
            format!("the `+` of {segment:?} stands for itself: Vault takes it for a wildcard only as a whole segment"),
            "write `/+/` for one segment of any name, or `*` at the end for any rest; leave it if the name has a plus",
        );
    }
}

/// A path of a folder, where something is done with secrets.
pub(super) fn folder(path: &KvPath, verb: Verb, at: Position, problems: &mut Problems) {
    if path.is_folder() && !verb.is_of_folders() {
        problems.warn(
            at,
            format!("{:?} ends in a slash, and so does no secret: this allows nothing", path.as_str()),
            format!("write `{path}*` for all that is in the folder, or the path of one secret"),
        );
    }
}

/// A rule for what the verbs are there for. What they can't say is left alone: denials, and
/// versions or metadata that are destroyed.
pub(super) fn rule_in_kv(
    path: &PolicyPath,
    capabilities: &[Capability],
    mount: &MountPath,
    at: Position,
    problems: &mut Problems,
) {
    use Capability::{Create, Delete, List, Read, Update};
    let Some(inside) = path.as_str().strip_prefix(mount.as_str()).and_then(|rest| rest.strip_prefix('/')) else {
        return;
    };
    let sayable: &[Capability] = match inside.split('/').next() {
        Some("metadata") if capabilities.contains(&List) => &[List, Read],
        Some("destroy" | "undelete" | "delete" | "config" | "metadata") => &[],
        _ => &[Create, Read, Update, Delete, List],
    };
    if capabilities.iter().all(|capability| sayable.contains(capability)) {
        problems.warn(
            at,
            format!("this rule is about the KV mount {:?}", mount.as_str()),
            "use `read`, `list`, `find`, `write` or `delete`, which know the version of the mount",
        );
    }
}

/// What one permission does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Does {
    OnSecrets(Verb),
    Task(Task),
    Other,
}

impl Does {
    fn word(self) -> &'static str {
        match self {
            Self::OnSecrets(verb) => verb.word(),
            Self::Task(task) => task.word(),
            Self::Other => "other",
        }
    }
}

/// One permission per policy: one verb on one set of paths, where `list` or `find` may come with a `read` of the same
/// paths.
pub(super) fn one_permission(policy: &FilePolicy, at: Position, problems: &mut Problems) {
    let mut verbs: BTreeMap<Does, BTreeSet<String>> = BTreeMap::new();
    for grant in &policy.grants {
        match grant {
            Grant::Kv { verb, path, .. } => {
                verbs.entry(Does::OnSecrets(*verb)).or_default().insert(path.to_string());
            }
            // A token's care for itself is one permission, though it takes two paths.
            Grant::Rule { path, .. } if OWN_TOKEN.iter().any(|(own, _)| *own == path.as_str()) => {
                verbs.entry(Does::Other).or_default().insert("auth/token".to_owned());
            }
            Grant::Rule { path, task: Some(task), .. } => {
                verbs.entry(Does::Task(*task)).or_default().insert(path.to_string());
            }
            Grant::Rule { path, capabilities, .. } => {
                for capability in capabilities {
                    let does = match capability {
                        Capability::Read => Does::OnSecrets(Verb::Read),
                        Capability::List | Capability::Scan => Does::OnSecrets(Verb::List),
                        Capability::Create | Capability::Update | Capability::Patch => Does::OnSecrets(Verb::Write),
                        Capability::Delete => Does::OnSecrets(Verb::Delete),
                        // They change how the others are allowed, and are no permission by themselves.
                        Capability::Sudo | Capability::Deny => continue,
                        _ => Does::Other,
                    };
                    verbs.entry(does).or_default().insert(path.to_string());
                }
            }
        }
    }
    let read = verbs.get(&Does::OnSecrets(Verb::Read)).cloned();
    for names in [Verb::List, Verb::Find].map(Does::OnSecrets) {
        if read.is_some() && verbs.get(&names) == read.as_ref() {
            verbs.remove(&names);
        }
    }
    if verbs.len() > 1 {
        problems.warn(
            at,
            format!("this policy gives more than one permission: {}", listed(verbs.keys().map(|does| does.word()))),
            "split it into policies with one permission each, and list them in the role",
        );
    }
}
