//! Whether an expectation holds, by what everybody may do. One that would hold whatever the policies say does not.

use std::collections::BTreeSet;

use super::evidence::Evidence;
use super::{AskedExpectation, ExpectationResult, Holding, Tried};
use crate::access::who::{LetsIn, Who, lets_in};
use crate::config::{ClusterAccount, Expected, Position, Role};
use crate::names::{ClusterName, RoleName};
use crate::policy::Pattern;

/// What was found for and against an expectation.
#[derive(Default)]
struct Findings {
    failures: Evidence,
    notes: Evidence,
}

impl AskedExpectation<'_> {
    /// Says whether it holds, by what everybody may do.
    pub(crate) fn judge(&self, holdings: &[Holding<'_>]) -> ExpectationResult {
        let mut found = Findings::default();
        match &self.expectation.expected {
            Expected::Can(accounts) => {
                for account in accounts {
                    if let Some(why) = self.cannot(account, holdings) {
                        found.failures.add(&account.to_string(), format!("can't: {why}"));
                    }
                }
            }
            Expected::Cannot(accounts) => {
                for account in accounts {
                    self.can_through(account, holdings, &mut found);
                }
                nobody_tried(accounts, holdings, &mut found);
                self.allowed(&mut found, |cluster| accounts.iter().any(|account| account.cluster == *cluster));
                self.untouched(&mut found);
            }
            Expected::NobodyBut(accounts) => {
                let expected = |holding: &Holding<'_>| {
                    matches!(&holding.who, Who::Account(account)
                        if accounts.iter().any(|but| but.cluster == *holding.cluster && but.account == *account))
                };
                for holding in holdings.iter().filter(|holding| !expected(holding)) {
                    self.can(holding, &format!("{} of {}", holding.who, holding.cluster), false, &mut found);
                }
                if holdings.is_empty() {
                    found.failures.add("nothing", "was tried: no role of the file lets anybody log in".to_owned());
                }
                for account in accounts.iter().filter(|account| !is_known_anywhere(account, accounts, holdings)) {
                    found
                        .notes
                        .add(&account.to_string(), "can't log in through any role: nobody is excepted".to_owned());
                }
                self.allowed(&mut found, |_| true);
                self.untouched(&mut found);
            }
        }
        let (failures, notes) = (found.failures.told(), found.notes.told());
        let line = self.expectation.position.line;
        ExpectationResult {
            expectation: self.expectation.to_string(),
            file: None,
            line,
            holds: failures.is_empty(),
            failures,
            notes,
        }
    }

    /// Where its entry is.
    pub(crate) fn position(&self) -> Position {
        self.expectation.position
    }

    /// What the file allows every login breaks what it expects of nobody: who has it is no fault for any check.
    fn allowed(&self, found: &mut Findings, is_about: impl Fn(&ClusterName) -> bool) {
        for entry in self.allowed.iter().filter(|entry| entry.cluster.as_ref().is_none_or(&is_about)) {
            let (path, line) = (&entry.path, self.files.line_of(entry.position));
            let why =
                format!("may, from elsewhere than its policies: `allow` of {path} ({line}) says that this is meant");
            if self.denied {
                found.notes.add("any login", why + ", as far as no policy denies it");
            } else {
                found.failures.add("any login", why);
            }
        }
    }

    /// A path that no policy is about may be a guard, or mistyped: only its author knows.
    fn untouched(&self, found: &mut Findings) {
        if !self.touched {
            let why = "of the file is about this path: it holds whatever they allow, unless the path is mistyped";
            found.notes.add("no policy", why.to_owned());
        }
    }

    /// Why an account can't do it through any role; `None` where it can.
    fn cannot(&self, account: &ClusterAccount, holdings: &[Holding<'_>]) -> Option<String> {
        let mut lacking = Vec::new();
        for holding in of_account(account, holdings) {
            let role = &holding.role.name;
            let itself = holding.who == Who::Account(account.account.clone());
            match lets_in(holding.role, &account.account) {
                LetsIn::No => continue,
                _ if holding.tried == Tried::Refused => {
                    lacking.push(format!("its login through {role} was refused"));
                    continue;
                }
                // A login that was tried with its token is proof enough.
                LetsIn::Perhaps if !(holding.tried == Tried::Worked && itself) => {
                    lacking.push(format!("whether {role} lets it in is for {} to say", deciding(holding.role).whose));
                    continue;
                }
                LetsIn::Perhaps | LetsIn::Yes => {}
            }
            match self.demands.iter().find_map(|demand| demand.lacking(holding)) {
                None => return None,
                Some(path) => lacking.push(format!("{role} does not give it on {path}")),
            }
        }
        lacking.dedup();
        Some(if lacking.is_empty() { "no role lets it log in".to_owned() } else { lacking.join(", ") })
    }

    /// Through which roles an account can do it, or may.
    fn can_through(&self, account: &ClusterAccount, holdings: &[Holding<'_>], found: &mut Findings) {
        for holding in of_account(account, holdings) {
            match lets_in(holding.role, &account.account) {
                LetsIn::No => {}
                LetsIn::Perhaps => self.can(holding, &account.to_string(), true, found),
                LetsIn::Yes => self.can(holding, &account.to_string(), false, found),
            }
        }
    }

    /// How somebody can do it through a role, if so.
    fn can(&self, holding: &Holding<'_>, who: &str, perhaps: bool, found: &mut Findings) {
        let role = &holding.role.name;
        let can = if perhaps { format!("may, if {},", deciding(holding.role).are_those) } else { "can,".to_owned() };
        let granted =
            self.demands.iter().filter(|demand| demand.tells.is_none()).find_map(|demand| demand.granted(holding));
        if let Some(path) = granted {
            found.failures.add(who, format!("{can} through {role}, on {path}"));
            return;
        }
        let mut strict = self.demands.iter().filter(|demand| demand.tells.is_none());
        if let Some(elsewhere) = strict.find_map(|demand| demand.elsewhere.granted(holding)) {
            found.failures.add(who, format!("{can} through {role}, on {elsewhere}"));
            return;
        }
        let unforeseen = holding.unforeseen.iter().find(|rule| {
            let about = Pattern::with_templates(&rule.path);
            self.demands.iter().filter(|demand| demand.tells.is_none()).any(|demand| {
                let meets = Pattern::of(&demand.rule.path).is_some_and(|pattern| pattern.meet(&about).is_some());
                meets && demand.rule.capabilities.iter().any(|capability| rule.capabilities.contains(capability))
            })
        });
        if let Some(rule) = unforeseen {
            let what = format!("may, through {role}, where the server makes it so of {}", rule.path);
            found.failures.add(who, what);
            return;
        }
        for demand in &self.demands {
            if let Some((tells, path)) = demand.tells.zip(demand.granted(holding)) {
                found.notes.add(who, format!("can't {}, but sees {tells} through {role}, on {path}", self.word()));
            }
        }
    }
}

/// What decides whether a role lets in somebody of whom that can't be told.
struct Deciding {
    whose: &'static str,
    are_those: &'static str,
}

/// A role has labels of namespaces or claims that decide it, and not both.
fn deciding(role: &Role) -> Deciding {
    if role.labelled.is_some() {
        Deciding { whose: "the labels of its namespace", are_those: "the labels of its namespace are those" }
    } else {
        Deciding { whose: "its claims", are_those: "its claims are those" }
    }
}

/// What is known of what an account may do, in its cluster. Where policies are filled in, those whom one role lets in may do different
/// things: what was found of the account itself counts, and not what was found of others.
fn of_account<'h, 'a>(
    account: &'h ClusterAccount,
    holdings: &'h [Holding<'a>],
) -> impl Iterator<Item = &'h Holding<'a>> {
    let is_itself = |holding: &Holding<'_>| holding.who == Who::Account(account.account.clone());
    let of_cluster = || holdings.iter().filter(|holding| holding.cluster == &account.cluster);
    let own: BTreeSet<&RoleName> =
        of_cluster().filter(|holding| is_itself(holding)).map(|holding| &holding.role.name).collect();
    of_cluster().filter(move |holding| is_itself(holding) || !own.contains(&holding.role.name))
}

/// Whether some role lets an account in.
fn is_known(account: &ClusterAccount, holdings: &[Holding<'_>]) -> bool {
    let of_cluster = holdings.iter().filter(|holding| *holding.cluster == account.cluster);
    of_cluster.map(|holding| lets_in(holding.role, &account.account)).any(|lets_in| lets_in != LetsIn::No)
}

/// Whether some role lets in an account of this name, in one of the clusters that are meant.
fn is_known_anywhere(account: &ClusterAccount, all: &[ClusterAccount], holdings: &[Holding<'_>]) -> bool {
    all.iter().filter(|other| other.account == account.account).any(|other| is_known(other, holdings))
}

/// Accounts that no role lets in can't do anything, and so can't break what is expected of them: nothing is tried.
fn nobody_tried(accounts: &[ClusterAccount], holdings: &[Holding<'_>], found: &mut Findings) {
    for account in accounts.iter().filter(|account| !is_known(account, holdings)) {
        // An entry for all clusters is about those where the account logs in.
        if is_known_anywhere(account, accounts, holdings) {
            found.notes.add(&account.to_string(), "can't log in there through any role: nothing was tried".to_owned());
        } else {
            let why = "can't log in through any role, so nothing was tried: name accounts of roles, or write `nobodyBut` for all others";
            found.failures.add(&account.to_string(), why.to_owned());
        }
    }
}
