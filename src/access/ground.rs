//! What two versions of a configuration are compared on: the rules of both, and the kinds of paths that they tell apart.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::SEGMENT;
use crate::policy::{Pattern, Places, PolicyPath};

/// The number of a rule, and that of a place.
pub(super) type RuleNumber = usize;
pub(super) type Place = usize;

/// The rules of both versions, and the places where they can differ.
pub(super) struct Ground<'a> {
    rules: Vec<Rule<'a>>,
    places: Places,
    /// The examples of places, and after them those of folders, and what stands for rules that only a server can judge: their own
    /// text.
    names: Vec<String>,
    folders: Range<Place>,
    numbers: BTreeMap<String, Place>,
    /// For each place, the rules that it is one of the own places of.
    owners: Vec<Vec<RuleNumber>>,
}

/// A rule's path, as far as versions are compared on it.
struct Rule<'a> {
    path: &'a PolicyPath,
    pattern: Option<Pattern>,
    /// The places that show it alone.
    own: BTreeSet<Place>,
    /// The rules that are about a part of what it is about.
    below: Vec<RuleNumber>,
}

impl<'a> Ground<'a> {
    pub(super) fn new(paths: BTreeSet<&'a PolicyPath>) -> Self {
        let places = Places::of(paths.iter().copied(), SEGMENT);
        let mut names: Vec<String> = places.all().keys().cloned().collect();
        let first = names.len();
        names.extend(places.folders().keys().filter(|folder| !places.all().contains_key(*folder)).cloned());
        let folders = first..names.len();
        names.extend(paths.iter().map(|path| as_written(path)));
        let numbers: BTreeMap<String, Place> = names.iter().cloned().enumerate().map(|(at, name)| (name, at)).collect();
        let rules: Vec<Rule<'_>> = paths
            .into_iter()
            .map(|path| {
                let mut own: BTreeSet<Place> = places.own(path).iter().map(|example| numbers[example]).collect();
                if own.is_empty() {
                    own.insert(numbers[&as_written(path)]);
                }
                Rule { path, pattern: Pattern::of(path), own, below: Vec::new() }
            })
            .collect();
        let mut owners = vec![Vec::new(); names.len()];
        for (number, rule) in rules.iter().enumerate() {
            let written = numbers.get(&as_written(rule.path));
            rule.own.iter().chain(written).for_each(|place| owners[*place].push(number));
        }
        let mut ground = Self { rules, places, names, folders, numbers, owners };
        let below: Vec<Vec<RuleNumber>> = (0..ground.rules.len()).map(|at| ground.strictly_inside(at)).collect();
        for (rule, below) in ground.rules.iter_mut().zip(below) {
            rule.below = below;
        }
        ground
    }

    /// The rules are in the order of their paths, so that those which begin alike are together.
    fn strictly_inside(&self, at: RuleNumber) -> Vec<RuleNumber> {
        let Rule { path, pattern: Some(pattern), .. } = &self.rules[at] else { return Vec::new() };
        let literal = path.literal();
        let from = self.rules.partition_point(|rule| rule.path.as_str() < literal);
        let near = (from..self.rules.len()).take_while(|other| self.rules[*other].path.as_str().starts_with(literal));
        near.filter(|other| {
            let inside = self.rules[*other].pattern.as_ref();
            inside.is_some_and(|inside| pattern.covers(inside) && !inside.covers(pattern))
        })
        .collect()
    }

    /// The examples that a rule may match, with their places.
    pub(super) fn near<'s>(&'s self, rule: &'s PolicyPath) -> impl Iterator<Item = (&'s str, Place)> {
        let examples = self.places.near(rule).chain(self.places.folders_near(rule));
        examples.map(|example| (example.as_str(), self.numbers[example]))
    }

    /// Whether a place is a folder, in which nothing can be done but to list it.
    pub(super) fn is_folder(&self, place: Place) -> bool {
        self.folders.contains(&place)
    }

    /// The place of a rule that only a server can judge.
    pub(super) fn unforeseen(&self, rule: &PolicyPath) -> Option<Place> {
        self.numbers.get(&as_written(rule)).copied()
    }

    /// The rules of whose own places these are all.
    pub(super) fn rules_on(&self, places: &BTreeSet<Place>) -> BTreeSet<RuleNumber> {
        let whole = |rule: &RuleNumber| {
            let rule = &self.rules[*rule];
            rule.own.is_subset(places) || self.unforeseen(rule.path).is_some_and(|at| places.contains(&at))
        };
        places.iter().flat_map(|place| &self.owners[*place]).copied().filter(whole).collect()
    }

    /// The rules that are about a part of what one is about.
    pub(super) fn below(&self, rule: RuleNumber) -> &[RuleNumber] {
        &self.rules[rule].below
    }

    /// The places that show a rule alone.
    pub(super) fn own(&self, rule: RuleNumber) -> &BTreeSet<Place> {
        &self.rules[rule].own
    }

    pub(super) fn path(&self, rule: RuleNumber) -> &str {
        self.rules[rule].path.as_str()
    }

    /// Whether a rule is about a place.
    pub(super) fn matches(&self, rule: RuleNumber, place: Place) -> bool {
        self.rules[rule].own.contains(&place)
            || self.unforeseen(self.rules[rule].path) == Some(place)
            || self.rules[rule].pattern.as_ref().is_some_and(|pattern| match &self.names[place] {
                folder if self.is_folder(place) => pattern.lists(folder),
                example => pattern.matches(example),
            })
    }

    /// Whether a folder is where a path would be, but for its slash.
    pub(super) fn is_folder_of(&self, folder: Place, place: Place) -> bool {
        self.names[folder].strip_suffix('/') == Some(&self.names[place])
    }

    /// A place as a rule would write it.
    pub(super) fn shown(&self, place: Place) -> String {
        let name = &self.names[place];
        let pattern = self.places.all().get(name).or_else(|| self.places.folders().get(name));
        pattern.map_or_else(|| name.trim_start_matches('\0').to_owned(), ToString::to_string)
    }
}

/// What no path is called.
fn as_written(rule: &PolicyPath) -> String {
    format!("\0{rule}")
}
