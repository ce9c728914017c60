//! What a verification tells first: a check that did not pass, with every place where that is so.

use serde::Serialize;

use super::catalogue::CheckId;
use super::finding::{CheckResult, Evidence, Finding};
use super::section::About;

/// A check that did not pass, and where. One fault may stand in the way of many roles.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// Where.
    pub about: About,
    /// Where else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also_about: Vec<About>,
    /// The check of which it is a consequence: it is told under that cause, and goes away with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consequence_of: Option<CheckId>,
    /// What, with the evidence of the first few places.
    #[serde(flatten)]
    pub result: CheckResult,
}

impl Cause {
    /// How many places are shown, and have their evidence told.
    const SHOWN: usize = 3;

    pub(super) fn new(about: &About, result: &CheckResult) -> Self {
        Self { about: about.clone(), also_about: Vec::new(), consequence_of: None, result: result.clone() }
    }

    /// Whether something found elsewhere is the same: told in the same words, and mended in the same way.
    pub(super) fn is_of(&self, other: &CheckResult) -> bool {
        let (own, other_finding) = (&self.result.finding, &other.finding);
        self.result.check.id == other.check.id
            && (own.status, &own.detail, &own.remedies)
                == (other_finding.status, &other_finding.detail, &other_finding.remedies)
    }

    /// Takes in what is the same elsewhere.
    pub(super) fn take(&mut self, about: &About, finding: &Finding) {
        self.also_about.push(about.clone());
        if self.also_about.len() < Self::SHOWN {
            let known = &self.result.finding.evidence;
            let new = finding.evidence.iter().filter(|evidence| !known.contains(evidence));
            let of_there = |Evidence { what, value }: &Evidence| Evidence {
                what: format!("{about}: {what}"),
                value: value.clone(),
            };
            let new: Vec<_> = new.map(of_there).collect();
            self.result.finding.evidence.extend(new);
        }
    }

    /// Every place.
    pub(super) fn all_about(&self) -> impl Iterator<Item = &About> {
        std::iter::once(&self.about).chain(&self.also_about)
    }

    /// The places, or the first of many.
    pub(crate) fn places(&self) -> String {
        let all: Vec<String> = std::iter::once(&self.about).chain(&self.also_about).map(ToString::to_string).collect();
        let more =
            all.len().checked_sub(Self::SHOWN + 1).map_or(String::new(), |more| format!(", and {} more", more + 1));
        all.iter().take(Self::SHOWN).cloned().collect::<Vec<_>>().join(", ") + &more
    }
}
