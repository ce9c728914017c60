//! `expect:`: what must hold whatever the policies and roles come to.

use super::clusters::Clusters;
use super::diagnostic::Problems;
use super::entry::{Entry, Located};
use super::expand::{Expansion, Instance};
use super::kv_path::{kv_mount, kv_path};
use super::policies::Policies;
use super::suggest::{listed, nearest};
use super::template::Template;
use super::{Act, ClusterAccount, Expectation, Expected, Task, Verb};
use crate::names::InvalidName;
use crate::policy::{Capability, PolicyPath};

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
    words: Vec<Word>,
    kv: Option<Located<Template>>,
    paths: Vec<Located<Template>>,
    api_paths: Vec<Located<Template>>,
}

/// What can be expected.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    OnSecrets(Verb),
    Task(Task),
}

impl Word {
    fn all() -> impl Iterator<Item = Self> {
        Verb::ALL.into_iter().map(Self::OnSecrets).chain(Task::ALL.into_iter().map(Self::Task))
    }

    fn text(self) -> &'static str {
        match self {
            Self::OnSecrets(verb) => verb.word(),
            Self::Task(task) => task.word(),
        }
    }

    /// What it takes on a path of the API; `None` for what is about secrets alone, or has paths of a form of its own.
    fn of_api(self) -> Option<&'static [Capability]> {
        match self {
            Self::OnSecrets(Verb::Read) => Some(&[Capability::Read]),
            Self::OnSecrets(Verb::List) => Some(&[Capability::List]),
            Self::OnSecrets(Verb::Write) => Some(&[Capability::Create, Capability::Update]),
            Self::OnSecrets(Verb::Delete) => Some(&[Capability::Delete]),
            Self::OnSecrets(Verb::Find | Verb::Push) | Self::Task(_) => None,
        }
    }
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
        filled("apiPaths", "write API paths, such as `sys/health`");
        if !entry.has("paths") && !entry.has("apiPaths") {
            problems.add(
                entry.at,
                "this expectation has neither `paths` nor `apiPaths`",
                "say where: `paths: k8s/prod/*` for secrets, `apiPaths: sys/health` for anything else",
            );
        }
        Self {
            kind,
            accounts: who.map(|field| expansion.templates(entry.texts(field), problems)).unwrap_or_default(),
            words: words.into_iter().flatten().filter_map(|text| word(text, problems)).collect(),
            kv: entry.text("kv").and_then(|kv| Template::read(kv, expansion.scope, problems)),
            paths: expansion.templates(entry.texts("paths"), problems),
            api_paths: expansion.templates(entry.texts("apiPaths"), problems),
            entry,
            expansion,
        }
    }

    /// What the entry stands for. One path in several clusters is one expectation, about the accounts of them all.
    fn expectations(&self, policies: &Policies, kv: &Located<Template>, problems: &mut Problems) -> Vec<Expectation> {
        let mut grouped: Vec<(Act, Vec<ClusterAccount>)> = Vec::new();
        for instance in self.expansion.instances() {
            let accounts = self.fill_accounts(instance, problems);
            for act in self.acts(instance, policies, kv, problems) {
                let at = grouped.iter().position(|(known, _)| *known == act).unwrap_or(grouped.len());
                if at == grouped.len() {
                    grouped.push((act, Vec::new()));
                }
                let known = &mut grouped[at].1;
                known.extend(accounts.iter().filter(|account| !known.contains(account)).cloned().collect::<Vec<_>>());
            }
        }
        let Some(kind) = self.kind else { return Vec::new() };
        let position = self.entry.at;
        let one = |(act, accounts)| Expectation { position, expected: kind(accounts), act };
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

    /// What is done, and where: each word on each path.
    fn acts(
        &self,
        instance: Instance<'_>,
        policies: &Policies,
        kv: &Located<Template>,
        problems: &mut Problems,
    ) -> Vec<Act> {
        let mut acts = Vec::new();
        for template in &self.paths {
            let text = instance.fill(&template.value);
            let (mut verbs, mut tasks) = (Vec::new(), Vec::new());
            for word in &self.words {
                match word {
                    Word::OnSecrets(verb) => verbs.push(*verb),
                    Word::Task(task) => tasks.push(*task),
                }
            }
            if !verbs.is_empty() {
                acts.extend(self.on_secrets(&verbs, instance, policies, kv, template, problems));
            }
            for task in tasks {
                let path = problems.accept(template.at, task.path(&text));
                acts.extend(path.map(|path| api(task.word(), &[task.capability()], path)));
            }
        }
        for template in &self.api_paths {
            let path = match PolicyPath::new(&instance.fill(&template.value)) {
                Ok(path) => path,
                Err(error) => {
                    let remedy = error.remedy().unwrap_or("write the API path in one line, such as `sys/health`");
                    problems.add(template.at, error.to_string(), remedy);
                    continue;
                }
            };
            for word in &self.words {
                match word.of_api() {
                    Some(capabilities) => acts.push(api(word.text(), capabilities, path.clone())),
                    None => problems.add(
                        template.at,
                        format!("`{}` has paths of its own", word.text()),
                        "write them under `paths`; with `apiPaths` go `read`, `list`, `write` and `delete`",
                    ),
                }
            }
        }
        let filled_in_by_vault = |act: &Act| matches!(act, Act::Api { path, .. } if path.is_template());
        if let Some(Act::Api { path, .. }) = acts.iter().find(|act| filled_in_by_vault(act)) {
            problems.add(self.entry.at, of_vault(path.as_str()), THE_PATH_IT_BECOMES);
        }
        acts
    }

    fn on_secrets(
        &self,
        verbs: &[Verb],
        instance: Instance<'_>,
        policies: &Policies,
        kv: &Located<Template>,
        template: &Located<Template>,
        problems: &mut Problems,
    ) -> Vec<Act> {
        let kv = self.kv.as_ref().unwrap_or(kv);
        let Some(mount) = kv_mount(kv.at, &instance.fill(&kv.value), problems) else { return Vec::new() };
        match kv_path(&instance.fill(&template.value), &mount, &policies.mounts) {
            Ok(path) if path.as_str().contains("{{") => {
                problems.add(template.at, of_vault(path.as_str()), THE_PATH_IT_BECOMES);
            }
            Ok(path) if path.is_folder() && !verbs.iter().all(|verb| verb.is_of_folders()) => problems.add(
                template.at,
                format!(
                    "{:?} ends in a slash, and so does no secret: this would hold whatever anybody may do",
                    path.as_str()
                ),
                format!("write `{path}*` for all that is in the folder, or the path of one secret"),
            ),
            Ok(path) => {
                let on = |verb: &Verb| Act::Kv { verb: *verb, mount: mount.clone(), path: path.clone() };
                return verbs.iter().map(on).collect();
            }
            Err(error) => {
                // What the remedy for a policy ends with is for policies.
                let remedy = error.remedy();
                let remedy = remedy.split_once("; for a secret").map_or(remedy.as_str(), |(own, _)| own);
                problems.add(template.at, error.to_string(), remedy);
            }
        }
        Vec::new()
    }
}

fn api(word: &'static str, capabilities: &[Capability], path: PolicyPath) -> Act {
    Act::Api { word, capabilities: capabilities.to_vec(), path }
}

const THE_PATH_IT_BECOMES: &str = "write the path that it becomes";

fn of_vault(path: &str) -> String {
    format!("{path:?} is filled in by Vault, so that nothing can be expected of it")
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

fn word(word: &Located<String>, problems: &mut Problems) -> Option<Word> {
    let names = || Word::all().map(Word::text);
    let found = Word::all().find(|known| known.text() == word.value);
    if found.is_none() {
        let meant = nearest(&word.value, names()).map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
        let remedy = format!("{meant}the verbs are: {}", listed(names()));
        problems.add(word.at, format!("{:?} is nothing that can be expected", word.value), remedy);
    }
    found
}
