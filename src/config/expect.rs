//! `expect:`: what must hold whatever the policies and roles come to.

use super::clusters::Clusters;
use super::diagnostic::Problems;
use super::entry::{Entry, Located};
use super::expand::{Expansion, Instance};
use super::kv_path::{kv_mount, kv_path};
use super::policies::{Policies, VERBS};
use super::suggest::{listed, nearest};
use super::template::Template;
use super::{ClusterAccount, Expectation, Expected, Verb};
use crate::names::{InvalidName, KvPath, MountPath};

/// Reads the expectations: one for each verb and path, with all accounts that an entry names for it.
pub(super) fn read_expectations(
    file: &Entry,
    clusters: &Clusters,
    policies: &Policies,
    kv: &Located<Template>,
    problems: &mut Problems,
) -> Vec<Expectation> {
    let entries = file.sections("expect").iter();
    entries
        .flat_map(|entry| ExpectationTemplates::read(entry, clusters, problems).expectations(policies, kv, problems))
        .collect()
}

/// An entry whose templates are read.
struct ExpectationTemplates<'a> {
    entry: &'a Entry,
    expansion: Expansion<'a>,
    /// What the accounts of one of its expectations come to; `None` where the entry doesn't say.
    kind: Option<fn(Vec<ClusterAccount>) -> Expected>,
    accounts: Vec<Located<Template>>,
    verbs: Vec<Verb>,
    kv: Option<Located<Template>>,
    paths: Vec<Located<Template>>,
}

impl<'a> ExpectationTemplates<'a> {
    fn read(entry: &'a Entry, clusters: &'a Clusters, problems: &mut Problems) -> Self {
        let expansion = Expansion::unnamed(entry, clusters, problems);
        let who = one_of(
            entry,
            ["serviceAccounts", "nobodyBut"],
            "say whom it is about: `serviceAccounts: [namespace/name]`, or `nobodyBut: [namespace/name]` for everybody else",
            problems,
        );
        let what = one_of(entry, ["can", "cannot"], "say what they can or can't do: `can: read`", problems);
        let kind: Option<fn(Vec<ClusterAccount>) -> Expected> = match (who, what) {
            (Some("serviceAccounts"), Some("can")) => Some(Expected::Can),
            (Some("serviceAccounts"), Some("cannot")) => Some(Expected::Cannot),
            (Some("nobodyBut"), Some("can")) => Some(Expected::NobodyBut),
            (Some("nobodyBut"), Some("cannot")) => {
                problems.add(
                    entry.key("cannot").unwrap_or(entry.at),
                    "`nobodyBut` goes with `can`: nobody but these can do it",
                    "write `can`; for accounts that must be refused write `serviceAccounts` and `cannot`",
                );
                None
            }
            _ => None,
        };
        let mut filled = |field: &str, remedy: &str| {
            let texts = entry.texts(field);
            if texts.is_some_and(Vec::is_empty) {
                let at = entry.key(field).unwrap_or(entry.at);
                problems.add(at, format!("`{field}` is empty: this would expect nothing"), remedy);
            }
            texts
        };
        if who == Some("serviceAccounts") {
            filled(
                "serviceAccounts",
                "name accounts as `namespace/name`; `nobodyBut: []` is what says that nobody can",
            );
        }
        let words = what.and_then(|field| filled(field, "write verbs, such as `[read, list]`"));
        filled("paths", "write KV paths, such as `k8s/prod/*`");
        entry.require("paths", problems);
        Self {
            kind,
            accounts: who.map(|field| expansion.templates(entry.texts(field), problems)).unwrap_or_default(),
            verbs: words.into_iter().flatten().filter_map(|word| verb(word, problems)).collect(),
            kv: entry.text("kv").and_then(|kv| Template::read(kv, expansion.scope, problems)),
            paths: expansion.templates(entry.texts("paths"), problems),
            entry,
            expansion,
        }
    }

    /// What the entry stands for. One path in several clusters is one expectation, about the accounts of them all.
    fn expectations(&self, policies: &Policies, kv: &Located<Template>, problems: &mut Problems) -> Vec<Expectation> {
        let mut grouped: Vec<((Verb, MountPath, KvPath), Vec<ClusterAccount>)> = Vec::new();
        for instance in self.expansion.instances() {
            let accounts = self.fill_accounts(instance, problems);
            for (mount, path) in self.fill_paths(instance, policies, kv, problems) {
                for verb in &self.verbs {
                    let about = (*verb, mount.clone(), path.clone());
                    let at = grouped.iter().position(|(known, _)| *known == about).unwrap_or(grouped.len());
                    if at == grouped.len() {
                        grouped.push((about, Vec::new()));
                    }
                    let known = &mut grouped[at].1;
                    known.extend(
                        accounts.iter().filter(|account| !known.contains(account)).cloned().collect::<Vec<_>>(),
                    );
                }
            }
        }
        let Some(kind) = self.kind else { return Vec::new() };
        let position = self.entry.at;
        let one =
            |((verb, mount, path), accounts)| Expectation { position, expected: kind(accounts), verb, mount, path };
        grouped.into_iter().map(one).collect()
    }

    fn fill_accounts(&self, instance: Instance<'_>, problems: &mut Problems) -> Vec<ClusterAccount> {
        let parsed = self.accounts.iter().filter_map(|template| {
            let account = instance.fill(&template.value).parse().map_err(|error: InvalidName| {
                if !error.value.contains('*') {
                    return error;
                }
                let problem = "it contains a wildcard".to_owned();
                InvalidName { problem, remedy: "name each service account that this is about".to_owned(), ..error }
            });
            problems.accept(template.at, account)
        });
        parsed.map(|account| ClusterAccount { cluster: instance.slot.name.clone(), account }).collect()
    }

    fn fill_paths(
        &self,
        instance: Instance<'_>,
        policies: &Policies,
        kv: &Located<Template>,
        problems: &mut Problems,
    ) -> Vec<(MountPath, KvPath)> {
        let kv = self.kv.as_ref().unwrap_or(kv);
        let Some(mount) = kv_mount(kv.at, &instance.fill(&kv.value), problems) else { return Vec::new() };
        let mut paths = Vec::new();
        for template in &self.paths {
            match kv_path(&instance.fill(&template.value), &mount, &policies.mounts) {
                Ok(path) if path.as_str().contains("{{") => problems.add(
                    template.at,
                    format!("{:?} is filled in by Vault, so that nothing can be expected of it", path.as_str()),
                    "write the path that it becomes",
                ),
                Ok(path) if path.is_folder() && self.verbs.iter().any(|verb| *verb != Verb::List) => problems.add(
                    template.at,
                    format!(
                        "{:?} ends in a slash, and so does no secret: this would hold whatever anybody may do",
                        path.as_str()
                    ),
                    format!("write `{path}*` for all that is in the folder, or the path of one secret"),
                ),
                Ok(path) => paths.push((mount.clone(), path)),
                Err(error) => {
                    // What the remedy for a policy ends with is for policies.
                    let remedy = error.remedy();
                    let remedy = remedy.split_once("; for a secret").map_or(remedy.as_str(), |(own, _)| own);
                    problems.add(template.at, error.to_string(), remedy);
                }
            }
        }
        paths
    }
}

/// Which of two fields the entry has; both or none is reported.
fn one_of(
    entry: &Entry,
    [one, other]: [&'static str; 2],
    remedy: &str,
    problems: &mut Problems,
) -> Option<&'static str> {
    match (entry.has(one), entry.has(other)) {
        (true, false) => Some(one),
        (false, true) => Some(other),
        (false, false) => {
            problems.add(entry.at, format!("this expectation has neither `{one}` nor `{other}`"), remedy);
            None
        }
        (true, true) => {
            let at = entry.key(other).unwrap_or(entry.at);
            problems.add(at, format!("`{one}` and `{other}` are two expectations"), "write an entry for each");
            None
        }
    }
}

fn verb(word: &Located<String>, problems: &mut Problems) -> Option<Verb> {
    let names = || VERBS.iter().map(|(name, _)| *name);
    let found = VERBS.iter().find(|(name, _)| *name == word.value).map(|(_, verb)| *verb);
    if found.is_none() {
        let meant = nearest(&word.value, names()).map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
        let remedy = format!("{meant}the verbs are: {}", listed(names()));
        problems.add(word.at, format!("{:?} is nothing that can be expected", word.value), remedy);
    }
    found
}
