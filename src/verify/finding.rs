//! What a check found, apart from how it found it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::iter;

use serde::Serialize;

use super::catalogue::Check;
use crate::error::Error;
use crate::fix::Command;
use crate::text::cut;

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// It is as it should be.
    Passed,
    /// It should be looked at.
    Warning,
    /// It is not as it should be.
    Failed,
    /// There is nothing to try, or it was not to be tried.
    Skipped,
    /// These credentials may not look.
    Unseen,
    /// What it needs has failed.
    NotReached,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How it went.
    pub status: Status,
    /// What was found, in a sentence without a full stop.
    pub detail: String,
    /// The values that were compared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// Why it matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What to do, the best first: each on its own will do, but where several faults are told as one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remedies: Vec<Remedy>,
    /// What it is worth beside a login.
    #[serde(skip)]
    pub weight: Weight,
    /// What was found all the same behind something that is in the way: it counts once a login shows that nothing is.
    #[serde(skip)]
    pub behind: Option<Box<Finding>>,
}

/// What a finding is worth beside a login: that is the proof, and what was read from outside may be wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Weight {
    /// It was read: a login that works outranks it.
    #[default]
    Read,
    /// Something is open that should not be, which a login that works doesn't refute.
    Stands,
    /// Vault took the token: this is what outranks the others.
    Accepted,
}

/// A value, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Whose, such as `the token's iss`.
    pub what: String,
    /// The value.
    pub value: String,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// In words.
    pub text: String,
    /// As a command for a shell, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
}

/// The result of one check.
#[derive(Debug, Clone, Serialize)]
pub struct CheckResult {
    /// Which check.
    #[serde(flatten)]
    pub check: Check,
    /// What it found.
    #[serde(flatten)]
    pub finding: Finding,
    /// Where the documentation explains it.
    pub docs: String,
}

impl CheckResult {
    /// What a check found.
    ///
    /// A command that can't be copied as it stands is not printed: whatever is in it would do something else.
    pub fn new(check: Check, mut finding: Finding) -> Self {
        // What a server says stands in a finding, and may be of any length.
        let texts =
            iter::once(&mut finding.detail).chain(finding.evidence.iter_mut().map(|evidence| &mut evidence.value));
        for text in texts.chain(finding.remedies.iter_mut().map(|remedy| &mut remedy.text)) {
            if let Cow::Owned(cut) = cut(text) {
                *text = cut;
            }
        }
        for remedy in &mut finding.remedies {
            if remedy.command.take_if(|command| !command.can_be_copied()).is_some() {
                remedy
                    .text
                    .push_str(" (by hand: a name in the command for it has characters that no shell can hand on)");
            }
        }
        Self { check, finding, docs: check.anchor() }
    }
}

impl Finding {
    fn new(status: Status, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            evidence: Vec::new(),
            why: None,
            remedies: Vec::new(),
            weight: Weight::Read,
            behind: None,
        }
    }

    /// It is as it should be.
    pub fn passed(detail: impl Into<String>) -> Self {
        Self::new(Status::Passed, detail)
    }

    /// It should be looked at.
    pub fn warning(detail: impl Into<String>) -> Self {
        Self::new(Status::Warning, detail)
    }

    /// It is not as it should be.
    pub fn failed(detail: impl Into<String>) -> Self {
        Self::new(Status::Failed, detail)
    }

    /// There is nothing to try, or it was not to be tried.
    pub fn skipped(detail: impl Into<String>) -> Self {
        Self::new(Status::Skipped, detail)
    }

    /// These credentials may not look.
    pub fn unseen(detail: impl Into<String>) -> Self {
        Self::new(Status::Unseen, detail)
    }

    /// What it needs has failed.
    pub fn not_reached(detail: impl Into<String>) -> Self {
        Self::new(Status::NotReached, detail)
    }

    /// An error of the pipeline as a failure, with its causes and remedies.
    pub fn error(error: &Error) -> Self {
        error.remedies().into_iter().fold(Self::failed(sentence(error)), Self::to_do)
    }

    /// An error of the pipeline as something that could not be looked at.
    pub fn unseen_because(error: &Error) -> Self {
        error.remedies().into_iter().fold(Self::unseen(sentence(error)), Self::to_do)
    }

    /// Several faults of one check as one, `None` where there is none; what is said of each in the same words is said once.
    /// Where each is mended by a command of its own, one command mends them all.
    pub fn all(faults: Vec<Self>) -> Option<Self> {
        let commands: Option<BTreeSet<&Command>> =
            faults.iter().map(|fault| fault.remedies.first()?.command.as_ref()).collect();
        let commands = commands.filter(|commands| commands.len() > 1);
        let command = commands.and_then(|commands| Command::all(commands.into_iter().cloned()));
        let mut all = faults.into_iter().reduce(|mut all, fault| {
            all.detail = format!("{}; {}", all.detail, fault.detail);
            all.why = match (all.why, fault.why) {
                (Some(all), Some(why)) if !all.contains(&why) => Some(format!("{all}; {why}")),
                (all, why) => all.or(why),
            };
            all.evidence.extend(fault.evidence);
            let new: Vec<_> = fault.remedies.into_iter().filter(|remedy| !all.remedies.contains(remedy)).collect();
            all.mend(new)
        })?;
        if let (Some(_), Some(first)) = (&command, all.remedies.first()) {
            all.remedies = vec![Remedy { text: first.text.clone(), command }];
        }
        Some(all)
    }

    /// Adds a value that was compared.
    #[must_use]
    pub fn with(mut self, what: impl Into<String>, value: impl Into<String>) -> Self {
        self.evidence.push(Evidence { what: what.into(), value: value.into() });
        self
    }

    /// Adds why it matters.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// Says what it is worth beside a login.
    #[must_use]
    pub fn weighing(mut self, weight: Weight) -> Self {
        self.weight = weight;
        self
    }

    /// Adds something to do, in words.
    #[must_use]
    pub fn to_do(mut self, text: impl Into<String>) -> Self {
        self.remedies.push(Remedy { text: text.into(), command: None });
        self
    }

    /// Keeps what was found all the same.
    #[must_use]
    pub fn hiding(mut self, found: Self) -> Self {
        self.behind = Some(Box::new(found));
        self
    }

    /// Adds a command that mends it.
    #[must_use]
    pub fn run(mut self, text: impl Into<String>, command: Command) -> Self {
        self.remedies.push(Remedy { text: text.into(), command: Some(command) });
        self
    }

    /// Adds what mends it.
    #[must_use]
    pub fn mend(mut self, remedies: impl IntoIterator<Item = Remedy>) -> Self {
        self.remedies.extend(remedies);
        self
    }
}

/// An error and its causes on one line.
pub(super) fn sentence(error: &Error) -> String {
    error.causes().into_iter().fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Names on one line; `none` where there are none.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The first of many names on one line, and how many more there are.
pub(super) fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let more = if names.len() > SHOWN { format!(", and {} more", names.len() - SHOWN) } else { String::new() };
    list(names.iter().take(SHOWN).map(String::as_str)) + &more
}

/// `1 key`, `2 keys`.
pub(in crate::verify) fn plural(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}
