//! What decides, beside names and policies, who is let in: audiences, further claims, addresses, lifetimes, and whom a mount
//! trusts.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::term::{Effect, Term, conditions, content, text, trust, vault};
use super::who::let_in;
use crate::config::{Cluster, Config, Role, TrustFile};
use crate::model::TrustFiles;
use crate::names::ClusterName;

/// Something that decides who is let in, and is otherwise than before.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TermsChange {
    /// What it is about.
    pub about: TermsAbout,
    /// The names of those: several roles where all change alike.
    pub names: Vec<String>,
    /// Their cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterName>,
    /// What became of it.
    #[serde(flatten)]
    pub change: TermChange,
}

/// What a term is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum TermsAbout {
    /// Which Vault the file is for.
    Vault,
    /// A cluster.
    Cluster,
    /// The auth mount of a cluster, and whom it trusts.
    Mount,
    /// A role.
    Role,
}

/// What became of a term, or of what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "change")]
pub enum TermChange {
    /// It was not there. What that gives to whom is told with the access.
    New {
        /// Its terms, each with its field.
        terms: Vec<String>,
    },
    /// It is no longer there.
    Gone,
    /// A field is otherwise.
    #[serde(rename_all = "camelCase")]
    Field {
        /// The field of the configuration.
        field: String,
        /// What it was.
        before: String,
        /// What it is.
        after: String,
        /// Whether it lets in more than before.
        effect: Effect,
    },
}

impl TermsChange {
    /// Whether a reviewer must not overlook it: it lets in more, or for longer, than before, or others are trusted.
    pub fn is_notable(&self) -> bool {
        match &self.change {
            TermChange::Field { effect: Effect::Looser, .. } | TermChange::New { .. } => true,
            TermChange::Field { .. } => self.about != TermsAbout::Role,
            TermChange::Gone => false,
        }
    }
}

impl fmt::Display for TermsChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = self.names.len() > 1;
        f.write_str(match (self.about, plural) {
            (TermsAbout::Vault, _) => "Vault",
            (TermsAbout::Cluster, _) => "cluster ",
            (TermsAbout::Mount, _) => "mount ",
            (TermsAbout::Role, false) => "role ",
            (TermsAbout::Role, true) => "roles ",
        })?;
        f.write_str(&self.names.join(", "))?;
        if let Some(cluster) = &self.cluster {
            write!(f, " of {cluster}")?;
        }
        let are = if plural { "are" } else { "is" };
        match &self.change {
            TermChange::New { terms } => write!(f, " {are} new: {}", terms.join("; ")),
            TermChange::Gone => write!(f, " {are} gone"),
            TermChange::Field { field, before, after, effect } => {
                write!(f, ": {field} is {after}, and was {before}")?;
                f.write_str(match effect {
                    Effect::Looser => ": looser",
                    Effect::Tighter => ": tighter",
                    Effect::Other => "",
                })
            }
        }
    }
}

/// What is otherwise in two versions of a configuration; what lets in more comes first.
pub(super) fn terms_changes(before: &Config, after: &Config, files: [&TrustFiles; 2]) -> Vec<TermsChange> {
    let mut changes = Changes::default();
    let vaults = [before, after].map(|config| config.vault.ca_cert.as_deref().map(TrustFile::Authorities));
    let [mut old, mut new] = contents(vaults.each_ref().map(Option::as_slice), files);
    old.extend(vault(before));
    new.extend(vault(after));
    changes.compare(TermsAbout::Vault, None, None, &old, &new);
    let find = |config: &Config, name: &ClusterName| config.clusters.iter().position(|other| other.name == *name);
    let new = |cluster: &Cluster| find(before, &cluster.name).is_none();
    for cluster in &after.clusters {
        let name = &cluster.name;
        // Under another name, it stands for the one that is gone in its place.
        let was = match find(before, name) {
            Some(at) => Some(&before.clusters[at]),
            None => only(before.clusters.iter().filter(|was| find(after, &was.name).is_none()))
                .filter(|_| after.clusters.iter().filter(|cluster| new(cluster)).count() == 1),
        };
        if was.is_none_or(|was| was.name != *name) {
            changes.add(
                TermsAbout::Cluster,
                Some(name.as_str()),
                None,
                TermChange::New { terms: shown(&trust(cluster, after.folder())) },
            );
        }
        let Some(was) = was else {
            for role in &cluster.roles {
                changes.new_role(role, name);
            }
            continue;
        };
        let beside = [was, cluster].map(Cluster::trust_files);
        let [mut old, mut new] = contents(beside.each_ref().map(Vec::as_slice), files);
        old.extend(trust(was, before.folder()));
        new.extend(trust(cluster, after.folder()));
        changes.compare(TermsAbout::Mount, Some(cluster.auth.mount.as_str()), Some(name), &old, &new);
        changes.roles(name, was, cluster);
    }
    for gone in before.clusters.iter().filter(|cluster| find(after, &cluster.name).is_none()) {
        changes.add(TermsAbout::Cluster, Some(gone.name.as_str()), None, TermChange::Gone);
    }
    let mut changes = changes.0;
    changes.sort_by_key(|change| !change.is_notable());
    changes
}

/// What is in the files of two versions. Of a file that wasn't seen in one of them nothing can be said, which is told elsewhere.
fn contents(beside: [&[TrustFile<'_>]; 2], files: [&TrustFiles; 2]) -> [Vec<Term>; 2] {
    let seen = |side: usize, file: &TrustFile<'_>| files[side].get(file.path());
    let unseen = |field: &str| {
        (0..2).any(|side| beside[side].iter().any(|file| file.field() == field && seen(side, file).is_none()))
    };
    [0, 1].map(|side| {
        let told = beside[side].iter().filter(|file| !unseen(file.field()));
        told.filter_map(|file| Some(content(*file, seen(side, file)?))).collect()
    })
}

/// The one thing that there is, if it is one.
fn only<T>(mut things: impl Iterator<Item = T>) -> Option<T> {
    let first = things.next();
    if things.next().is_none() { first } else { None }
}

/// Terms in words, without those that are left to the server.
fn shown(terms: &[Term]) -> Vec<String> {
    let unsaid = |term: &&Term| {
        let left =
            ["none", "the server's", "the API server's own", "false", "unset", "without limit", "default", "sub"];
        left.contains(&term.shown.as_str())
    };
    terms.iter().filter(|term| !unsaid(term)).map(|term| format!("{} {}", term.field, term.shown)).collect()
}

/// What was found so far.
#[derive(Default)]
struct Changes(Vec<TermsChange>);

impl Changes {
    /// Compares the roles of a cluster. A role that is new stands for one that is gone where they let in the same for the same.
    fn roles(&mut self, cluster: &ClusterName, before: &Cluster, after: &Cluster) {
        let there = |roles: &[Role], role: &Role| roles.iter().any(|other| other.name == role.name);
        let gone: Vec<&Role> = before.roles.iter().filter(|role| !there(&after.roles, role)).collect();
        for role in &after.roles {
            let same = before.roles.iter().find(|was| was.name == role.name);
            if same.is_none() {
                self.new_role(role, cluster);
            }
            let alike = |was: &&&Role| let_in(was) == let_in(role) && was.policies == role.policies;
            let Some(was) = same.or_else(|| gone.iter().find(alike).copied()) else { continue };
            let claims: BTreeSet<&String> = was.bound_claims.keys().chain(role.bound_claims.keys()).collect();
            let [before, after] = [was, role].map(|role| conditions(role, &claims));
            self.compare(TermsAbout::Role, Some(role.name.as_str()), Some(cluster), &before, &after);
        }
        for role in gone {
            self.add(TermsAbout::Role, Some(role.name.as_str()), Some(cluster), TermChange::Gone);
        }
    }

    fn new_role(&mut self, role: &Role, cluster: &ClusterName) {
        let terms = shown(&conditions(role, &role.bound_claims.keys().collect()));
        self.add(TermsAbout::Role, Some(role.name.as_str()), Some(cluster), TermChange::New { terms });
    }

    /// Adds a change, to another one's names where it is just the same.
    fn add(&mut self, about: TermsAbout, name: Option<&str>, cluster: Option<&ClusterName>, change: TermChange) {
        let name = name.map(str::to_owned);
        let same = |other: &&mut TermsChange| {
            other.about == TermsAbout::Role
                && about == TermsAbout::Role
                && other.cluster.as_ref() == cluster
                && other.change == change
        };
        if let Some(other) = self.0.iter_mut().find(same) {
            other.names.extend(name);
        } else {
            let (names, cluster) = (name.into_iter().collect(), cluster.cloned());
            self.0.push(TermsChange { about, names, cluster, change });
        }
    }

    /// Adds those terms that differ. What only one side has is none on the other, as with two methods.
    fn compare(
        &mut self,
        about: TermsAbout,
        name: Option<&str>,
        cluster: Option<&ClusterName>,
        before: &[Term],
        after: &[Term],
    ) {
        let find = |terms: &[Term], field: &str| terms.iter().position(|term| term.field == field);
        let gone = before.iter().filter(|term| find(after, &term.field).is_none()).map(|was| (Some(was), None));
        let there = after.iter().map(|is| (find(before, &is.field).map(|at| &before[at]), Some(is)));
        for (was, is) in there.chain(gone) {
            let field = was.or(is).map_or("", |term| term.field.as_str());
            let absent = text(field, "none");
            let (was, is) = (was.unwrap_or(&absent), is.unwrap_or(&absent));
            if was.shown != is.shown {
                let (field, effect) = (field.to_owned(), was.effect(is));
                let (before, after) = (was.shown.clone(), is.shown.clone());
                self.add(about, name, cluster, TermChange::Field { field, before, after, effect });
            }
        }
    }
}
