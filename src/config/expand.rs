//! One entry for several clusters and several values of `each`.

use std::str::FromStr;

use super::Position;
use super::clusters::{Clusters, Slot};
use super::diagnostic::Problems;
use super::entry::{Entry, Located};
use super::suggest::{listed, nearest};
use super::template::{Placeholders, Template};
use crate::names::InvalidName;
use crate::policy::accessor_symbol;

/// What an entry of the file stands for, as far as it could be read.
pub(super) struct Expansion<'a> {
    /// Where the name stands, or the entry where it has none.
    pub(super) at: Position,
    name: Option<Template>,
    /// What the templates of this entry may have.
    pub(super) scope: Placeholders,
    slots: Vec<(usize, &'a Slot)>,
    each: Option<Vec<&'a str>>,
    /// Whether this is all that the entry stands for.
    pub(super) complete: bool,
}

/// One of the policies or roles that an entry stands for.
#[derive(Clone, Copy)]
pub(super) struct Instance<'a> {
    /// The cluster's index in [`Clusters::slots`].
    pub(super) index: usize,
    pub(super) slot: &'a Slot,
    pub(super) each: Option<&'a str>,
}

impl Instance<'_> {
    pub(super) fn fill(&self, template: &Template) -> String {
        template.fill(self.slot.name.as_str(), self.each)
    }

    /// Fills in a policy's path, where a symbol stands for the accessor of the cluster's mount.
    pub(super) fn fill_path(&self, template: &Template) -> String {
        let mount = self.slot.cluster.as_ref().map(|cluster| accessor_symbol(&cluster.auth.mount));
        // What is wrong with a cluster was reported; what is made of it isn't used.
        template.fill_path(self.slot.name.as_str(), self.each, mount.as_deref().unwrap_or("accessor"))
    }
}

impl<'a> Expansion<'a> {
    /// Reads `clusters` and `each` of an entry without a name.
    pub(super) fn unnamed(entry: &'a Entry, clusters: &'a Clusters, problems: &mut Problems) -> Self {
        let scope = if entry.has("each") { Placeholders::EntryWithEach } else { Placeholders::Entry };
        let (each, each_complete) = each(entry, problems);
        let (slots, slots_complete) = slots(entry, clusters, problems);
        Self { at: entry.at, name: None, scope, slots, each, complete: each_complete && slots_complete }
    }

    /// Reads `name`, `clusters` and `each`.
    pub(super) fn read(entry: &'a Entry, clusters: &'a Clusters, problems: &mut Problems) -> Self {
        let unnamed = Self::unnamed(entry, clusters, problems);
        let written = entry.required("name", problems);
        let mut name = written.and_then(|name| Template::read(name, unnamed.scope, problems)).map(|name| name.value);
        let several = unnamed.each.as_ref().is_some_and(|values| values.len() > 1);
        if let (Some(written), true, Some(false)) = (written, several, name.as_ref().map(Template::uses_each)) {
            problems.add(
                written.at,
                format!("{:?} would be the name for every value of `each`", written.value),
                "put `{each}` into the name",
            );
            name = None;
        }
        let complete = name.is_some() && unnamed.complete;
        Self { at: written.map_or(entry.at, |name| name.at), name, complete, ..unnamed }
    }

    /// The name of one of the policies or roles, unless it has been reported.
    pub(super) fn name<T>(&self, instance: Instance<'_>, problems: &mut Problems) -> Option<T>
    where
        T: FromStr<Err = InvalidName>,
    {
        problems.accept(self.at, instance.fill(self.name.as_ref()?).parse())
    }

    /// All that the entry stands for: cluster by cluster, value by value.
    pub(super) fn instances(&self) -> Vec<Instance<'a>> {
        let each: Vec<Option<&str>> = match &self.each {
            Some(values) => values.iter().copied().map(Some).collect(),
            None => vec![None],
        };
        self.slots
            .iter()
            .flat_map(|&(index, slot)| each.iter().map(move |&each| Instance { index, slot, each }))
            .collect()
    }

    /// The templates of a list of texts; those that are none are reported and left out.
    pub(super) fn templates(
        &self,
        texts: Option<&Vec<Located<String>>>,
        problems: &mut Problems,
    ) -> Vec<Located<Template>> {
        read_all(texts, self.scope, problems)
    }

    /// The templates of a list of paths of a policy.
    pub(super) fn paths(
        &self,
        texts: Option<&Vec<Located<String>>>,
        problems: &mut Problems,
    ) -> Vec<Located<Template>> {
        read_all(texts, self.scope.of_paths(), problems)
    }
}

fn read_all(
    texts: Option<&Vec<Located<String>>>,
    scope: Placeholders,
    problems: &mut Problems,
) -> Vec<Located<Template>> {
    texts.into_iter().flatten().filter_map(|text| Template::read(text, scope, problems)).collect()
}

/// The values of `each`, if the entry has any, and whether all are usable.
fn each<'a>(entry: &'a Entry, problems: &mut Problems) -> (Option<Vec<&'a str>>, bool) {
    let Some(values) = entry.texts("each") else {
        return (None, !entry.has("each"));
    };
    if values.is_empty() {
        problems.add(
            entry.key("each").unwrap_or(entry.at),
            "`each` is empty: the entry would stand for nothing",
            "write values, or remove the entry",
        );
        return (Some(Vec::new()), false);
    }
    let mut usable: Vec<&str> = Vec::with_capacity(values.len());
    for value in values {
        let text = value.value.as_str();
        if text.is_empty() || text.contains(['{', '}']) {
            problems.add(
                value.at,
                format!("{text:?} can't be a value of `each`"),
                "write plain values; `{cluster}` goes where `{each}` is used",
            );
        } else if usable.contains(&text) {
            problems.add(value.at, format!("{text:?} is twice in `each`"), "remove one of the two");
        } else {
            usable.push(text);
        }
    }
    let complete = usable.len() == values.len();
    (Some(usable), complete)
}

/// The clusters that the entry names, else all; and whether each name is one.
fn slots<'a>(entry: &Entry, clusters: &'a Clusters, problems: &mut Problems) -> (Vec<(usize, &'a Slot)>, bool) {
    let all = || clusters.slots.iter().enumerate();
    let Some(names) = entry.texts("clusters") else {
        return if entry.has("clusters") { (Vec::new(), false) } else { (all().collect(), !clusters.incomplete) };
    };
    if names.is_empty() {
        problems.add(
            entry.key("clusters").unwrap_or(entry.at),
            "`clusters` is empty: the entry would stand for nothing",
            "name clusters, or remove the line to mean all of them",
        );
        return (Vec::new(), false);
    }
    let known = || clusters.slots.iter().filter(|slot| slot.named).map(|slot| slot.name.as_str());
    let mut slots: Vec<(usize, &Slot)> = Vec::new();
    for name in names {
        match all().find(|(_, slot)| slot.named && slot.name.as_str() == name.value) {
            Some(slot) if slots.iter().any(|(index, _)| *index == slot.0) => {
                problems.add(name.at, format!("the cluster {:?} is named twice", name.value), "remove one of the two");
            }
            Some(slot) => slots.push(slot),
            None if clusters.incomplete => {}
            None => {
                let meant =
                    nearest(&name.value, known()).map(|name| format!("did you mean {name:?}? ")).unwrap_or_default();
                problems.add(
                    name.at,
                    format!("there is no cluster {:?}", name.value),
                    format!("{meant}the clusters of this file are: {}", listed(known())),
                );
            }
        }
    }
    let complete = slots.len() == names.len();
    (slots, complete)
}
