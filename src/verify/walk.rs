//! Going through the checks of a section in order: each is run unless what it needs has failed, or it was left out.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::catalogue::{CATALOGUE, Check, CheckId, LOGIN, Link, Severity};
use super::facts::{Known, Knows};
use super::finding::{CheckResult, Finding, Status, Weight};
use super::outrank::{is_before_login, is_the_ground};
use super::scene::RoleScene;
use crate::error::{Error, Result};
use crate::fix::vaultk8s;

/// A check, and how it is made of what `S` holds.
pub(super) struct Row<S: 'static> {
    pub(super) check: Check,
    pub(super) run: fn(&S) -> Known<Finding>,
}

/// Declares the rows of a section: `row!(CHECK, function)`, and `row!(CHECK, function, without facts)` for one that needs none.
macro_rules! row {
    ($check:expr, $function:path) => {
        $crate::verify::walk::Row { check: $check, run: $function }
    };
    ($check:expr, $function:path, without facts) => {
        $crate::verify::walk::Row { check: $check, run: |scene| Ok($function(scene)) }
    };
}
pub(super) use row;

/// A check of a role that takes note of what the others found.
pub(super) struct Afterwards {
    pub(super) check: Check,
    pub(super) look: fn(&RoleScene, &[CheckResult]) -> Known<Finding>,
}

/// Makes these checks after the others, and puts each where it belongs.
pub(super) async fn afterwards(
    all: &[Afterwards],
    scene: &RoleScene,
    selection: &Selection,
    standing: &mut Standing,
    checks: &mut Vec<CheckResult>,
) {
    for Afterwards { check, look } in all.iter().filter(|after| selection.includes(&after.check)) {
        let finding = match standing.in_the_way(check) {
            Some(id) => Finding::not_reached(format!("{id} has to hold first")),
            None => settled(scene, || look(scene, checks)).await,
        };
        let result = CheckResult::new(*check, finding);
        standing.note(&result);
        let order = |check: &Check| CATALOGUE.iter().position(|of| of.id == check.id);
        let place = checks.iter().position(|other| order(&other.check) > order(check)).unwrap_or(checks.len());
        checks.insert(place, result);
    }
}

/// Which checks are made.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    only: BTreeSet<String>,
    skip: BTreeSet<String>,
}

impl Selection {
    /// `--only` and `--skip`: ids, or the beginnings of ids such as `VK9`.
    ///
    /// # Errors
    /// When no check has such an id.
    pub fn new(only: &[String], skip: &[String]) -> Result<Self> {
        let ids = |words: &[String]| -> Result<BTreeSet<String>> {
            let upper = words.iter().map(|word| word.to_ascii_uppercase());
            upper
                .map(|word| {
                    if word.len() > 2 && CATALOGUE.iter().any(|check| check.id.as_str().starts_with(&word)) {
                        return Ok(word);
                    }
                    Err(Error::usage(format!("there is no check {word:?}"))
                        .remedy("name one as the output does, such as VK312, or the beginning of several, such as VK3"))
                })
                .collect()
        };
        let selection = Self { only: ids(only)?, skip: ids(skip)? };
        if !CATALOGUE.iter().any(|check| selection.includes(check)) {
            return Err(Error::usage("--skip leaves out all that --only names").remedy("leave some check to be made"));
        }
        Ok(selection)
    }

    /// Just these checks.
    pub(super) fn of(checks: &[Check]) -> Self {
        Self { only: checks.iter().map(|check| check.id.to_string()).collect(), skip: BTreeSet::new() }
    }

    /// All checks but the tries that must fail.
    pub(super) fn strangers_apart() -> Self {
        let strangers = CATALOGUE.iter().filter(|check| check.link == Link::Strangers);
        Self { only: BTreeSet::new(), skip: strangers.map(|check| check.id.to_string()).collect() }
    }

    /// Whether some check of a link is made.
    pub(super) fn includes_some_of(&self, link: Link) -> bool {
        CATALOGUE.iter().any(|check| check.link == link && self.includes(check))
    }

    /// Whether a check is made.
    pub fn includes(&self, check: &Check) -> bool {
        let named = |words: &BTreeSet<String>| words.iter().any(|word| check.id.as_str().starts_with(word.as_str()));
        (self.only.is_empty() || named(&self.only)) && !named(&self.skip)
    }
}

/// How the checks so far went, those of the sections that this one stands on included.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing(BTreeMap<CheckId, Status>);

impl Standing {
    /// The check that stands in the way of this one, if any does.
    pub(super) fn in_the_way(&self, check: &Check) -> Option<CheckId> {
        let broken = |id: &&CheckId| matches!(self.0.get(*id), Some(Status::Failed | Status::NotReached));
        let mut in_the_way = check.needs.iter().filter(|need| broken(need));
        let failed = check.needs.iter().find(|need| self.0.get(*need) == Some(&Status::Failed));
        failed.or_else(|| in_the_way.next()).copied()
    }

    /// Whether a login that works would outrank all that stands in the way of a check.
    fn may_be_outranked(&self, check: &Check) -> bool {
        let broken = CATALOGUE.iter().filter(|other| check.needs.contains(&other.id) && !self.not_broken(other));
        self.has_ground() && broken.into_iter().all(is_before_login)
    }

    /// Whether a check passed, or was not looked at.
    pub(super) fn not_broken(&self, check: &Check) -> bool {
        !matches!(self.0.get(&check.id), Some(Status::Failed | Status::NotReached))
    }

    /// Whether there is something to log in at, whatever else was found.
    fn has_ground(&self) -> bool {
        CATALOGUE.iter().filter(|check| is_the_ground(check)).all(|check| self.not_broken(check))
    }

    /// What was read of the way to a login that works is in nobody's way any more.
    fn outrank(&mut self) {
        for check in CATALOGUE.iter().filter(|check| is_before_login(check)) {
            if let Some(status @ (Status::Failed | Status::NotReached)) = self.0.get_mut(&check.id) {
                *status = Status::Warning;
            }
        }
    }

    /// Takes note of a result. Of several, the worst counts.
    pub(super) fn note(&mut self, result: &CheckResult) {
        let status = result.finding.status;
        let known = self.0.entry(result.check.id).or_insert(status);
        if !matches!(known, Status::Failed | Status::NotReached) {
            *known = status;
        }
    }
}

/// Makes a check, and has asked whatever it needs to know.
async fn made<S: Knows>(row: &Row<S>, scene: &S) -> Finding {
    settled(scene, || (row.run)(scene)).await
}

/// What a look at a scene finds; where a capture lacks what it needs to know, that.
pub(super) async fn settled<S: Knows>(scene: &S, look: impl Fn() -> Known<Finding>) -> Finding {
    scene.facts().settle(look).await.unwrap_or_else(|unanswered| {
        Finding::unseen(unanswered.to_string()).to_do(format!(
            "make the capture anew, with all checks that are to be made: {}",
            vaultk8s("verify-role … --capture FILE").shown()
        ))
    })
}

/// Makes the checks of a section, in order.
pub(super) async fn walk<S: Knows>(
    rows: &[Row<S>],
    scene: &S,
    selection: &Selection,
    standing: &mut Standing,
) -> Vec<CheckResult> {
    let mut results = Vec::new();
    for row in rows.iter().filter(|row| selection.includes(&row.check)) {
        let not_reached = |id| Finding::not_reached(format!("{id} has to hold first"));
        let finding = match standing.in_the_way(&row.check) {
            // What was read may be wrong, and the login is the proof; where it fails, what was read says why.
            Some(id) if row.check.id == LOGIN.id && standing.has_ground() => {
                let tried = made(row, scene).await;
                if tried.weight == Weight::Accepted { tried } else { not_reached(id) }
            }
            // Who gets in is looked at even so: were the login to outrank what is in the way, nobody would have.
            Some(id) if row.check.severity == Severity::Exposes && standing.may_be_outranked(&row.check) => {
                not_reached(id).hiding(made(row, scene).await)
            }
            Some(id) => not_reached(id),
            None => made(row, scene).await,
        };
        if finding.weight == Weight::Accepted {
            standing.outrank();
        }
        let result = CheckResult::new(row.check, finding);
        standing.note(&result);
        results.push(result);
    }
    results
}
