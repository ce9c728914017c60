//! `policies:`.

use std::collections::{BTreeMap, BTreeSet};

use super::clusters::Clusters;
use super::diagnostic::Problems;
use super::entry::{Entry, Located};
use super::expand::{Expansion, Instance};
use super::kv_path::{kv_mount, kv_path, written_mount};
use super::literals;
use super::policy_lint;
use super::suggest::{listed, nearest};
use super::template::Template;
use super::{FilePolicy, Grant, Position, Role, Task, Verb};
use crate::names::{MountPath, PolicyName};
use crate::policy::{Capability, PolicyPath};

/// The policies as far as they could be read, for the roles that name them.
pub(super) struct Policies {
    /// Each once, in the order of the file.
    pub(super) list: Vec<Built>,
    /// Every KV mount that they and the file name: what a path may begin with.
    pub(super) mounts: Vec<MountPath>,
    /// Those of them that are made where they aren't there.
    pub(super) made: Vec<MountPath>,
    /// The names of an entry could not be read: one that isn't known may be among them.
    pub(super) incomplete: bool,
    /// Where each is in the list.
    places: BTreeMap<String, usize>,
}

/// A policy and the entry that it comes from.
pub(super) struct Built {
    pub(super) policy: FilePolicy,
    /// The entry's name as written, placeholders and all.
    pub(super) written: String,
    cluster: String,
    each: Option<String>,
    /// Whether its grants are all there; without, the file is refused anyhow, but its name is known.
    sound: bool,
}

impl Policies {
    /// Reads them. `kv` is the file's mount, and whether it is made.
    pub(super) fn read(
        file: &Entry,
        clusters: &Clusters,
        (kv, makes_kv): (&Located<Template>, bool),
        problems: &mut Problems,
    ) -> Self {
        let mut incomplete = clusters.incomplete || !file.is_complete("policies");
        let mut prepared = Vec::new();
        for entry in file.sections("policies") {
            let expansion = Expansion::read(entry, clusters, problems);
            incomplete |= !expansion.complete;
            prepared.push(PolicyTemplates::read(entry, expansion, problems));
        }
        let (mounts, made) = kv_mounts(&prepared, clusters, (kv, makes_kv));
        refuse_one_in_another(&made, problems);
        let made = made.into_keys().collect();
        let mut policies = Self { list: Vec::new(), mounts, made, incomplete, places: BTreeMap::new() };
        for prepared in prepared {
            for instance in prepared.expansion.instances() {
                match prepared.build(instance, kv, &policies.mounts, problems) {
                    Some(built) => policies.add(built, prepared.expansion.at, problems),
                    None => policies.incomplete = true,
                }
            }
        }
        policies
    }

    /// Adds a policy, unless it is there already for another cluster and just the same.
    fn add(&mut self, built: Built, at: Position, problems: &mut Problems) {
        let name = built.policy.name.clone();
        let Some(first) = self.named(name.as_str()) else {
            self.places.insert(name.as_str().to_owned(), self.list.len());
            self.list.push(built);
            return;
        };
        if first.policy.position != built.policy.position {
            problems.add(
                at,
                format!(
                    "two policies are named {:?}: here and on {}",
                    name.as_str(),
                    problems.line(first.policy.position, at)
                ),
                "give one of them another name, or make them one entry; Vault stores names in lower case",
            );
        } else if first.each != built.each {
            let values = [&first.each, &built.each].map(|each| format!("{:?}", each.as_deref().unwrap_or_default()));
            problems.add(
                at,
                format!(
                    "the policy {:?} comes out twice, for the values {} and {} of `each`",
                    name.as_str(),
                    values[0],
                    values[1]
                ),
                "choose values that give different names; Vault stores names in lower case",
            );
        } else if first.sound && built.sound && first.policy.grants != built.policy.grants {
            problems.add(
                at,
                format!(
                    "the policy {:?} comes out differently for the clusters {:?} and {:?}",
                    name.as_str(),
                    first.cluster,
                    built.cluster
                ),
                "put `{cluster}` into its name, so that each cluster has its own",
            );
        }
    }

    /// The policy of that name, which is in lower case.
    pub(super) fn named(&self, name: &str) -> Option<&Built> {
        self.places.get(name).and_then(|place| self.list.get(*place))
    }

    /// The policies of a role, in the order of the file.
    pub(super) fn of<'p>(&'p self, role: &Role) -> impl Iterator<Item = &'p FilePolicy> + use<'p> {
        let places = role.policies.iter().filter_map(|name| self.places.get(name.as_str()).copied());
        let places: BTreeSet<usize> = places.collect();
        places.into_iter().filter_map(|place| Some(&self.list.get(place)?.policy))
    }

    /// What the policy of that name grants.
    pub(super) fn grants(&self, name: &PolicyName) -> Option<&[Grant]> {
        self.named(name.as_str()).map(|built| built.policy.grants.as_slice())
    }

    /// Finds the policy that a role names, or reports that there is none.
    pub(super) fn find(&self, name: &Located<String>, problems: &mut Problems) -> Option<PolicyName> {
        let lower = name.value.to_ascii_lowercase();
        match lower.as_str() {
            "default" => {
                problems.add(
                    name.at,
                    "`default` is not listed: Vault adds it by itself",
                    "remove it; `noDefaultPolicy: true` is what leaves it out",
                );
                return None;
            }
            "root" => {
                problems.add(
                    name.at,
                    "no role may give the policy `root`, which allows everything",
                    "write a policy with the paths that the role needs",
                );
                return None;
            }
            _ => {}
        }
        if let Some(built) = self.named(&lower) {
            return Some(built.policy.name.clone());
        }
        if !self.incomplete {
            let known = || self.list.iter().map(|built| built.policy.name.as_str());
            let meant =
                nearest(&name.value, known()).map(|name| format!("did you mean {name:?}? ")).unwrap_or_default();
            let list = if self.list.is_empty() { "none".to_owned() } else { listed(known()) };
            problems.add(
                name.at,
                format!("there is no policy {:?} in this file", name.value),
                format!("{meant}the policies of this file are: {list}"),
            );
        }
        None
    }
}

/// Reports mounts to be made of which one lies in another: a server makes the first, and refuses the second.
fn refuse_one_in_another(made: &BTreeMap<MountPath, Position>, problems: &mut Problems) {
    for (mount, at) in made {
        let path = mount.as_str();
        let above = path.match_indices('/').filter_map(|(end, _)| path[..end].parse::<MountPath>().ok());
        for above in above.filter(|above| made.contains_key(above)) {
            problems.add(
                *at,
                format!(
                    "the KV mounts {:?} and {path:?} can't both be made: one lies inside the other",
                    above.as_str()
                ),
                "choose mounts of which none begins with another and a slash",
            );
        }
    }
}

/// Every KV mount that the file names, which is what a path may begin with; and those of them that are made, with where that is said.
fn kv_mounts(
    prepared: &[PolicyTemplates<'_>],
    clusters: &Clusters,
    (kv, makes_kv): (&Located<Template>, bool),
) -> (Vec<MountPath>, BTreeMap<MountPath, Position>) {
    let of_file = clusters.slots.iter().map(|slot| (kv.value.fill(slot.name.as_str(), None), makes_kv, kv.at));
    let of_policies = prepared.iter().flat_map(|prepared| {
        let filled = |(kv, makes): &(Located<Template>, bool)| {
            let instances = prepared.expansion.instances();
            instances.iter().map(|instance| (instance.fill(&kv.value), *makes, kv.at)).collect::<Vec<_>>()
        };
        prepared.kv.as_ref().map(filled).unwrap_or_default()
    });
    let (mut mounts, mut made) = (BTreeSet::new(), BTreeMap::new());
    for (text, makes, at) in of_file.chain(of_policies) {
        let Ok(mount) = text.parse::<MountPath>() else { continue };
        if makes {
            made.entry(mount.clone()).or_insert(at);
        }
        mounts.insert(mount);
    }
    (mounts.into_iter().collect(), made)
}

/// An entry whose templates are read.
struct PolicyTemplates<'a> {
    entry: &'a Entry,
    expansion: Expansion<'a>,
    /// Its own mount, and whether that is made.
    kv: Option<(Located<Template>, bool)>,
    paths: Vec<(Verb, Located<Template>)>,
    tasks: Vec<(Task, Located<Template>)>,
    rules: Vec<(Located<Template>, Vec<Capability>)>,
    sound: bool,
}

impl<'a> PolicyTemplates<'a> {
    fn read(entry: &'a Entry, expansion: Expansion<'a>, problems: &mut Problems) -> Self {
        let before = problems.count();
        let kv = written_mount(entry, problems)
            .and_then(|(kv, makes)| Some((Template::read(kv, expansion.scope, problems)?, makes)));
        let mut templates = |field: &str| expansion.paths(entry.texts(field), problems);
        let paths = Verb::ALL.into_iter().flat_map(|verb| templates(verb.word()).into_iter().map(move |at| (verb, at)));
        let paths = paths.collect();
        let tasks = Task::ALL.into_iter().flat_map(|task| templates(task.word()).into_iter().map(move |at| (task, at)));
        let tasks = tasks.collect();
        let rules = entry.sections("rules").iter().filter_map(|rule| read_rule(rule, &expansion, problems)).collect();
        let granted = |field: &str| entry.texts(field).is_some_and(|texts| !texts.is_empty());
        let broken = |field: &str| entry.has(field) && entry.texts(field).is_none();
        let fields = || Verb::ALL.iter().map(|verb| verb.word()).chain(Task::ALL.iter().map(|task| task.word()));
        let nothing = fields().all(|field| !granted(field) && !broken(field))
            && entry.sections("rules").is_empty()
            && entry.is_complete("rules");
        if nothing {
            problems.add(
                entry.at,
                "this policy allows nothing",
                format!("add paths under {}, or `rules` for anything else", listed(fields())),
            );
        }
        Self { entry, expansion, kv, paths, tasks, rules, sound: problems.count() == before }
    }

    fn build(
        &self,
        instance: Instance<'_>,
        kv: &Located<Template>,
        mounts: &[MountPath],
        problems: &mut Problems,
    ) -> Option<Built> {
        let before = problems.count();
        let name = self.expansion.name(instance, problems);
        let kv = self.kv.as_ref().map_or(kv, |(kv, _)| kv);
        let mount = kv_mount(kv.at, &instance.fill(&kv.value), problems);
        let mut grants: Vec<Grant> = Vec::new();
        let mut add = |grant: Grant| {
            if !grants.contains(&grant) {
                grants.push(grant);
            }
        };
        for (verb, path) in &self.paths {
            let Some(mount) = &mount else { break };
            match kv_path(&instance.fill_path(&path.value), mount, mounts) {
                Ok(kv_path) => {
                    policy_lint::whole_mount(&kv_path, mount, *verb, path.at, problems);
                    policy_lint::folder(&kv_path, *verb, path.at, problems);
                    policy_lint::plain_plus(&kv_path, path.at, problems);
                    policy_lint::open_template(kv_path.as_str(), path.at, problems);
                    add(Grant::Kv { mount: mount.clone(), verb: *verb, path: kv_path });
                }
                Err(error) => problems.add(path.at, error.to_string(), error.remedy()),
            }
        }
        for (task, path) in &self.tasks {
            let api_path = task.path(&instance.fill_path(&path.value));
            if let Some(api_path) = problems.accept(path.at, api_path) {
                let capabilities = vec![task.capability()];
                literals::lint(&api_path, &capabilities, path.at, problems);
                policy_lint::whole_engine(&api_path, *task, path.at, problems);
                add(Grant::Rule { position: path.at, path: api_path, capabilities, task: Some(*task) });
            }
        }
        for (path, capabilities) in &self.rules {
            match PolicyPath::new(&instance.fill_path(&path.value)) {
                Ok(api_path) => {
                    if let Some(mount) = &mount {
                        policy_lint::rule_in_kv(&api_path, capabilities, mount, path.at, problems);
                    }
                    policy_lint::whole_mount_by_rule(&api_path, capabilities, mounts, path.at, problems);
                    if !capabilities.contains(&Capability::Deny) {
                        policy_lint::open_template(api_path.as_str(), path.at, problems);
                    }
                    literals::lint(&api_path, capabilities, path.at, problems);
                    add(Grant::Rule {
                        position: path.at,
                        path: api_path,
                        capabilities: capabilities.clone(),
                        task: None,
                    });
                }
                Err(error) => {
                    let remedy =
                        error.remedy().unwrap_or("write the API path in one line, such as `auth/token/lookup-self`");
                    problems.add(path.at, error.to_string(), remedy);
                }
            }
        }
        let policy = FilePolicy { name: name?, position: self.entry.at, grants };
        policy_lint::one_permission(&policy, self.expansion.at, problems);
        Some(Built {
            policy,
            written: self.entry.text("name").map(|name| name.value.clone()).unwrap_or_default(),
            cluster: instance.slot.name.to_string(),
            each: instance.each.map(str::to_owned),
            sound: self.sound && mount.is_some() && problems.count() == before,
        })
    }
}

fn read_rule(
    rule: &Entry,
    expansion: &Expansion<'_>,
    problems: &mut Problems,
) -> Option<(Located<Template>, Vec<Capability>)> {
    let scope = expansion.scope.of_paths();
    let path = rule.required("path", problems).and_then(|path| Template::read(path, scope, problems));
    let remedy = "write what it allows, such as `[read]`; `[deny]` forbids what other rules allow";
    let capabilities = read_capabilities(rule, remedy, problems)?;
    Some((path?, capabilities.into_iter().map(|capability| capability.value).collect()))
}

/// The capabilities of a rule, each once; `remedy` is for one that has none.
pub(super) fn read_capabilities(
    rule: &Entry,
    remedy: &str,
    problems: &mut Problems,
) -> Option<Vec<Located<Capability>>> {
    rule.require("capabilities", problems);
    let words = rule.texts("capabilities")?;
    if words.is_empty() {
        let at = rule.key("capabilities").unwrap_or(rule.at);
        problems.add(at, "this rule has no capabilities", remedy);
        return None;
    }
    let mut capabilities: Vec<Located<Capability>> = Vec::with_capacity(words.len());
    for word in words {
        match word.value.parse::<Capability>() {
            Ok(capability) if capabilities.iter().any(|known| known.value == capability) => {}
            Ok(value) => capabilities.push(Located { at: word.at, value }),
            Err(error) => problems.add(word.at, error.to_string(), error.remedy()),
        }
    }
    Some(capabilities)
}
