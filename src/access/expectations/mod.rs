//! What a configuration expects of its own outcome (`expect:`), held against what logins may do.

mod elsewhere;
mod evidence;
mod judge;
mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Serialize;

use self::elsewhere::Elsewhere;
use super::who::Who;
use crate::config::{Allowance, ClusterAccount, Config, ConfigFiles, Expectation, Expected, Grant, Role};
use crate::desired::KvVersions;
use crate::error::Result;
use crate::names::ClusterName;
use crate::policy::{Acl, Capability, Pattern, Places, PolicyPath, Rule};

/// What came of an expectation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpectationResult {
    /// What is expected, in words.
    pub expectation: String,
    /// The file of its entry, where the configuration has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The line of its entry in the file.
    pub line: u64,
    /// Whether it holds.
    pub holds: bool,
    /// Why it doesn't.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<String>,
    /// What may make it mean less than it says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl ExpectationResult {
    /// Where its entry is: `line 5`, or `team.yaml:5` of several files.
    pub(crate) fn place(&self) -> String {
        match &self.file {
            Some(file) => format!("{}:{}", file.display(), self.line),
            None => format!("line {}", self.line),
        }
    }
}

/// An expectation as it is asked about.
pub(crate) struct AskedExpectation<'a> {
    expectation: &'a Expectation,
    demands: Vec<Demand>,
    /// The paths of all parts of its KV mount that are about the same secrets.
    about: Vec<PolicyPath>,
    /// Whether a policy has a rule about them, whatever that allows.
    touched: bool,
    /// The versions of KV mounts.
    kv: KvVersions,
    /// What the file allows every login, from wherever it has that, of what is expected of nobody.
    allowed: Vec<&'a Allowance>,
    /// Whether the file's policies deny some of it, so that what is allowed may come to nothing.
    denied: bool,
    /// By which its places are named.
    files: &'a ConfigFiles,
}

/// What may be done where: all of it for who can, none of it for who can't.
struct Demand {
    rule: Rule,
    /// What it tells about a secret where that is not what is expected of nobody: a remark, and no failure.
    tells: Option<&'static str>,
    /// The paths of its kind on which something may be otherwise.
    paths: Vec<String>,
    /// Other paths by which a server lets somebody do it all the same.
    elsewhere: Elsewhere,
}

/// What somebody may do through a role, on the paths that expectations are about.
pub(crate) struct Holding<'a> {
    pub(crate) cluster: &'a ClusterName,
    pub(crate) role: &'a Role,
    /// Who it is that the role names.
    pub(crate) who: Who,
    /// What may be done on each path; nothing on those that are left out.
    pub(crate) allowed: BTreeMap<String, BTreeSet<String>>,
    /// The rules of the role that only a server can judge.
    pub(crate) unforeseen: Vec<Rule>,
    /// What its policies say of a request that no question about capabilities is the same as.
    pub(crate) acl: Acl,
    /// Whether what may be done was found, or is as policies say.
    pub(crate) tried: Tried,
}

/// What came of a login whose rights are to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tried {
    /// It worked.
    Worked,
    /// It was refused, though the role names who tried.
    Refused,
    /// Nobody could try it.
    Not,
}

/// The expectations of a configuration, as the rules of what they are about.
///
/// # Errors
/// When the version of a KV mount is missing, or a path can't be that of a rule.
pub(crate) fn asked<'a>(config: &'a Config, kv: &KvVersions) -> Result<Vec<AskedExpectation<'a>>> {
    let one = |expectation: &'a Expectation| {
        let Expectation { act, expected, .. } = expectation;
        // Who can do it can do it as everybody does; who can't must not be able to in any other way.
        let demands = match expected {
            Expected::Can(_) => ways::usual_way(act, kv)?,
            Expected::Cannot(_) | Expected::NobodyBut(_) => ways::every_way(act, kv)?,
        };
        let about = ways::all_parts(act, kv)?;
        let of_nobody = !matches!(expected, Expected::Can(_));
        let allowed = config.allow.iter().filter(|entry| {
            of_nobody && demands.iter().any(|demand| demand.is_part_of(&entry.path, &entry.capabilities))
        });
        let denials = config.policies.iter().flat_map(|policy| &policy.grants).filter_map(|grant| match grant {
            Grant::Rule { path, capabilities, .. } if capabilities.contains(&Capability::Deny) => Some(path),
            Grant::Rule { .. } | Grant::Kv { .. } => None,
        });
        let denied = denials.into_iter().any(|path| demands.iter().any(|demand| demand.meets(path)));
        let allowed = allowed.collect();
        Ok(AskedExpectation {
            expectation,
            allowed,
            denied,
            files: &config.files,
            demands,
            about,
            touched: false,
            kv: kv.clone(),
        })
    };
    config.expectations.iter().map(one).collect()
}

impl Demand {
    fn of(rule: Rule) -> Self {
        Self { rule, tells: None, paths: Vec::new(), elsewhere: Elsewhere::default() }
    }

    /// Whether a rule may be about some of its paths.
    fn meets(&self, path: &PolicyPath) -> bool {
        let rule = Pattern::with_templates(path);
        let own = |path: &PolicyPath| Pattern::with_templates(path).meet(&rule).is_some();
        let path = &self.rule.path;
        // A server appends a slash to a folder that is listed.
        let folder = || PolicyPath::new(&format!("{path}/")).is_ok_and(|folder| own(&folder));
        own(path) || (self.lists() && !path.as_str().ends_with(['/', '*']) && folder())
    }

    /// Whether a rule may allow some of what breaks what is expected.
    fn is_part_of(&self, path: &PolicyPath, capabilities: &[Capability]) -> bool {
        self.tells.is_none()
            && self.rule.capabilities.iter().any(|capability| capabilities.contains(capability))
            && self.meets(path)
    }

    /// Whether it is about listing folders, which a server asks for with a slash.
    fn lists(&self) -> bool {
        self.rule.capabilities.iter().all(|capability| matches!(capability, Capability::List | Capability::Scan))
    }

    fn has<'s>(&'s self, holding: &'s Holding<'_>, path: &str) -> impl Iterator<Item = bool> + 's {
        let allowed = holding.allowed.get(path);
        let capabilities = self.rule.capabilities.iter();
        capabilities.map(move |capability| allowed.is_some_and(|allowed| allowed.contains(capability.as_str())))
    }

    /// A path on which somebody can do some of it.
    fn granted(&self, holding: &Holding<'_>) -> Option<&str> {
        self.paths.iter().find(|path| self.has(holding, path).any(|has| has)).map(String::as_str)
    }

    /// A path on which somebody can't do all of it.
    fn lacking(&self, holding: &Holding<'_>) -> Option<&str> {
        self.paths.iter().find(|path| !self.has(holding, path).all(|has| has)).map(String::as_str)
    }
}

impl AskedExpectation<'_> {
    /// The paths of its rules.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &PolicyPath> {
        self.demands.iter().map(|demand| &demand.rule.path)
    }

    /// Takes those of the places that it is about. `written` are the paths of the rules that policies have.
    pub(crate) fn settle<'p>(&mut self, places: &Places, mut written: impl Iterator<Item = &'p PolicyPath>) {
        for demand in &mut self.demands {
            let (lists, path) = (demand.lists(), &demand.rule.path);
            let Some(pattern) = Pattern::of(path) else { continue };
            demand.paths = if lists {
                places.folders_near(path).filter(|folder| pattern.lists(folder)).cloned().collect()
            } else {
                places.near(path).filter(|path| pattern.matches(path)).cloned().collect()
            };
            demand.elsewhere = Elsewhere::of(&demand.rule, &demand.paths, &self.kv);
        }
        let about: Vec<Pattern> = self.about.iter().filter_map(Pattern::of).collect();
        self.touched = written.any(|rule| {
            let rule = Pattern::with_templates(rule);
            about.iter().any(|about| about.meet(&rule).is_some())
        });
    }

    /// The paths that it is about.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.demands.iter().flat_map(|demand| &demand.paths).map(String::as_str)
    }

    /// The accounts that it is about.
    pub(crate) fn accounts(&self) -> &[ClusterAccount] {
        match &self.expectation.expected {
            Expected::Can(accounts) | Expected::Cannot(accounts) | Expected::NobodyBut(accounts) => accounts,
        }
    }

    fn word(&self) -> &'static str {
        self.expectation.act.word()
    }
}

#[cfg(test)]
mod tests;
