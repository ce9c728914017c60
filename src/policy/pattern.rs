//! The paths of rules as patterns: which paths one matches, whether it covers another, and where two meet.
//!
//! A pattern is read segment by segment, as the server does for rules with a `+`; for all others that is the same as comparing texts.

use std::fmt;

use super::PolicyPath;

/// What a path must look like.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern {
    segments: Vec<Segment>,
    /// Whether anything may follow; the last segment is a beginning then.
    open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(String),
    Any,
    /// Whatever begins so.
    Beginning(String),
}

/// What follows a slash at the end.
const EMPTY: Segment = Segment::Literal(String::new());

impl Segment {
    fn matches(&self, segment: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == segment,
            Self::Any => true,
            Self::Beginning(beginning) => segment.starts_with(beginning),
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (_, Self::Literal(literal)) => self.matches(literal),
            (Self::Beginning(own), Self::Beginning(other)) => other.starts_with(own),
            (Self::Beginning(own), Self::Any) => own.is_empty(),
            (Self::Literal(_), _) => false,
        }
    }

    fn meet(&self, other: &Self) -> Option<Self> {
        let narrower = if self.covers(other) { other } else { self };
        (self.covers(other) || other.covers(self)).then(|| narrower.clone())
    }

    fn sample(&self, token: &str) -> String {
        match self {
            Self::Literal(literal) => literal.clone(),
            Self::Any => token.to_owned(),
            Self::Beginning(beginning) => format!("{beginning}{token}"),
        }
    }
}

impl Pattern {
    /// The pattern of a rule's path; none for a template, whose value only the server knows.
    pub fn of(path: &PolicyPath) -> Option<Self> {
        (!path.is_template()).then(|| Self::with_templates(path))
    }

    /// The pattern of any rule's path: of a template, every `{{…}}` stands for any text within its segment.
    pub fn with_templates(path: &PolicyPath) -> Self {
        let (stem, open) = path.before_glob().map_or((path.as_str(), false), |stem| (stem, true));
        let read = |segment: &str| match segment.split_once("{{") {
            _ if segment == "+" => Segment::Any,
            Some((beginning, _)) => Segment::Beginning(beginning.to_owned()),
            None => Segment::Literal(segment.to_owned()),
        };
        let mut segments: Vec<Segment> = stem.split('/').map(read).collect();
        if open
            && let Some(last) = segments.last_mut()
            && let Segment::Literal(text) = &*last
        {
            *last = Segment::Beginning(text.clone());
        }
        Self { segments, open }
    }

    /// How many segments a path must have at least.
    pub(super) fn length(&self) -> usize {
        self.segments.len()
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Whether it matches more than one path.
    pub(super) fn has_wildcards(&self) -> bool {
        self.segments.iter().any(|segment| !matches!(segment, Segment::Literal(_)))
    }

    /// What every path that it matches begins with.
    pub(super) fn literal(&self) -> String {
        let mut literal = String::new();
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => {
                    literal.push_str(text);
                    literal.push('/');
                }
                Segment::Beginning(text) => return literal + text,
                Segment::Any => return literal,
            }
        }
        literal.pop();
        literal
    }

    /// Whether a path looks like this.
    pub fn matches(&self, path: &str) -> bool {
        let given: Vec<&str> = path.split('/').collect();
        let lengths = if self.open { given.len() >= self.length() } else { given.len() == self.length() };
        lengths && self.segments.iter().zip(given).all(|(segment, given)| segment.matches(given))
    }

    /// Whether it says nothing about what comes after so many segments, but how much of it there may be.
    pub fn is_wild_after(&self, segments: usize) -> bool {
        let after = self.segments.get(segments..).unwrap_or_default();
        let wild = |segment: &Segment| {
            matches!(segment, Segment::Any) || matches!(segment, Segment::Beginning(text) if text.is_empty())
        };
        !after.is_empty() && after.iter().all(wild)
    }

    /// Whether it matches every path that the other one matches.
    pub fn covers(&self, other: &Self) -> bool {
        let lengths =
            if self.open { other.length() >= self.length() } else { !other.open && other.length() == self.length() };
        lengths && self.segments.iter().zip(&other.segments).all(|(own, other)| own.covers(other))
    }

    /// What both match.
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let (short, long) = if self.length() <= other.length() { (self, other) } else { (other, self) };
        if !short.open && short.length() != long.length() {
            return None;
        }
        let mut segments = Vec::with_capacity(long.length());
        for (one, other) in short.segments.iter().zip(&long.segments) {
            segments.push(one.meet(other)?);
        }
        segments.extend(long.segments[short.length()..].iter().cloned());
        Some(Self { segments, open: short.open && long.open })
    }

    /// Those of its paths that have just so many segments.
    pub(super) fn of_length(&self, length: usize) -> Self {
        let more = length.saturating_sub(self.length());
        let segments = self.segments.iter().cloned().chain(std::iter::repeat_n(Segment::Any, more)).collect();
        Self { segments, open: false }
    }

    /// The kinds of folders that a rule of this pattern may let somebody list, with a slash at their end: its paths of so many segments,
    /// and where the last of them may be empty, what stands before it.
    pub(super) fn folders(&self, length: usize) -> Vec<Self> {
        let closed = |mut segments: Vec<Segment>| {
            if segments.last() != Some(&EMPTY) {
                segments.push(EMPTY);
            }
            Self { segments, open: false }
        };
        let mut folders = vec![closed(self.of_length(length).segments)];
        if let [before @ .., last] = &self.segments[..]
            && !before.is_empty()
            && last.matches("")
            && *last != EMPTY
        {
            folders.push(closed(before.to_vec()));
        }
        folders
    }

    /// Whether a rule of this pattern may let somebody list a folder, which is written with its slash: a server looks for the rules
    /// of the path with it, and of the path without.
    pub fn lists(&self, folder: &str) -> bool {
        self.matches(folder) || folder.strip_suffix('/').is_some_and(|folder| self.matches(folder))
    }

    /// The pattern of its paths as they are where a server lists them, with a slash at the end; none where anything may follow, so that
    /// it matches those itself.
    pub fn folder(&self) -> Option<Self> {
        (!self.open && self.segments.last() != Some(&EMPTY)).then(|| {
            let segments = self.segments.iter().cloned().chain([EMPTY]).collect();
            Self { segments, open: false }
        })
    }

    /// A path that it matches and, of the patterns that don't cover it, as few as can be: with `token`, which should be in no
    /// pattern, in place of every wildcard, and of `length` segments where anything may follow.
    pub(super) fn sample(&self, token: &str, length: usize) -> String {
        let mut segments: Vec<String> = self.segments.iter().map(|segment| segment.sample(token)).collect();
        if self.open {
            segments.resize(length.max(self.length()), token.to_owned());
        }
        segments.join("/")
    }
}

impl fmt::Display for Pattern {
    /// As a rule would write it, and with a `*` also within a path, where no rule can say so.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.segments.iter().enumerate() {
            if at > 0 {
                f.write_str("/")?;
            }
            match segment {
                Segment::Literal(text) => f.write_str(text)?,
                Segment::Any => f.write_str("+")?,
                Segment::Beginning(text) if text.is_empty() && !(self.open && at + 1 == self.length()) => {
                    f.write_str("+")?;
                }
                Segment::Beginning(text) => write!(f, "{text}*")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::{Acl, Capability, Policy, Rule};

    fn pattern(path: &str) -> Pattern {
        Pattern::of(&PolicyPath::new(path).unwrap()).unwrap()
    }

    #[test]
    fn where_patterns_meet_and_what_they_cover() {
        for (one, other, meet) in [
            ("a/*", "a/+", Some("a/+")),
            ("a/*", "a/+/*", Some("a/+/*")),
            ("a/+/c", "a/b/*", Some("a/b/c")),
            ("a/+/c", "a/b*", Some("a/b*/c")),
            ("a/b*", "a/bc*", Some("a/bc*")),
            ("+/db", "prod/*", Some("prod/db")),
            ("+/db", "prod/+", Some("prod/db")),
            ("a/+", "b/*", None),
            ("a/b", "a/b/*", None),
            ("a/b*", "a/c", None),
        ] {
            for (one, other) in [(one, other), (other, one)] {
                let met = pattern(one).meet(&pattern(other));
                assert_eq!(met.map(|met| met.to_string()).as_deref(), meet, "{one} {other}");
            }
        }
        for (wide, narrow) in [("a/*", "a/+/*"), ("a/*", "a/+"), ("*", "a/b"), ("a/+/c", "a/b/c"), ("a/b*", "a/bc/d")] {
            assert!(pattern(wide).covers(&pattern(narrow)), "{wide} {narrow}");
            assert!(!pattern(narrow).covers(&pattern(wide)), "{narrow} {wide}");
        }
    }

    fn path() -> impl Strategy<Value = PolicyPath> {
        let segment = prop_oneof![3 => "[ab]{1,2}", 1 => Just("+".to_owned())];
        (proptest::collection::vec(segment, 1..4), prop::sample::select(vec!["", "*", "/*"]))
            .prop_filter_map("no path of a rule", |(segments, end)| PolicyPath::new(&(segments.join("/") + end)).ok())
    }

    proptest! {
        #[test]
        fn it_matches_what_the_server_matches(rule in path(), path in "[ab]{1,2}(/[ab]{1,2}){0,3}") {
            let acl = Acl::new([&Policy::new([Rule::new(rule.clone(), [Capability::Read])])]);
            let allowed = acl.capabilities(&path).allows(Capability::Read) == Some(true);
            prop_assert_eq!(Pattern::of(&rule).unwrap().matches(&path), allowed);
        }

        #[test]
        fn a_meeting_matches_what_both_match(one in path(), other in path(), path in "[ab]{1,2}(/[ab]{1,2}){0,3}") {
            let (one, other) = (Pattern::of(&one).unwrap(), Pattern::of(&other).unwrap());
            let met = one.meet(&other).is_some_and(|met| met.matches(&path));
            prop_assert_eq!(met, one.matches(&path) && other.matches(&path));
            if one.covers(&other) && other.matches(&path) {
                prop_assert!(one.matches(&path));
            }
        }
    }
}
