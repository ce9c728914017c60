//! What a rehearsal found, for people at a terminal.

use std::collections::BTreeMap;
use std::io::{self, Write as Out};

use super::{Access, ClusterReport, GrantedPath, NotTried, Refusal, RefusalStatus, Rehearsal, is_empty};
use crate::access::{AccessShift, Comparison, ExpectationResult};
use crate::document::Report;
use crate::names::{PolicyName, ServiceAccountRef};
use crate::show;
use crate::text::printable_line;
use crate::ui::{BAD, BOLD, DIM, GOOD, NOTE};

impl Report for Rehearsal {
    const KIND: &'static str = "Rehearsal";

    fn text(&self, out: &mut dyn Out) -> io::Result<()> {
        if !is_empty(&self.refused_changes) {
            writeln!(out, "{BOLD}What the server refused{BOLD:#}")?;
            show::applied(out, &self.refused_changes)?;
        }
        for change in &self.unkept {
            writeln!(out, "  {BAD}✗{BAD:#} {}: the server accepted it and yet holds something else", change.object)?;
        }
        self.clusters.iter().try_for_each(|cluster| cluster.text(out))?;
        if !self.expectations.is_empty() {
            writeln!(out, "\n{BOLD}Expectations{BOLD:#}")?;
        }
        for result in &self.expectations {
            expectation(result, out)?;
        }
        if let Some(comparison) = &self.comparison {
            compared(comparison, out)?;
        }
        for rule in &self.unforeseen {
            writeln!(
                out,
                "\n  {NOTE}!{NOTE:#} {rule}: not tried, because only a server knows what fills its template"
            )?;
        }
        for note in &self.notes {
            writeln!(out, "\n  {DIM}note: {note}{DIM:#}")?;
        }
        if !self.assumptions.is_empty() {
            writeln!(out, "\n{BOLD}Taken for granted{BOLD:#}")?;
        }
        for assumption in &self.assumptions {
            writeln!(out, "  {DIM}{assumption}{DIM:#}")?;
        }
        let (sign, style) = if self.success { ("✓", GOOD) } else { ("✗", BAD) };
        writeln!(
            out,
            "\n{style}{sign}{style:#} {BOLD}{}.{BOLD:#} {DIM}Rehearsed {} on {}.{DIM:#}",
            self.summary(),
            self.configuration,
            self.server
        )
    }
}

impl ClusterReport {
    fn text(&self, out: &mut dyn Out) -> io::Result<()> {
        let made_up = if self.synthetic_issuer { ", made up" } else { "" };
        let Self { cluster, mount, method, issuer, .. } = self;
        writeln!(
            out,
            "\n{BOLD}Cluster {cluster}{BOLD:#} {DIM}{method} method at auth/{mount}, issuer {issuer}{made_up}{DIM:#}"
        )?;
        let mut refusals: BTreeMap<&str, Vec<&Refusal>> = BTreeMap::new();
        for refusal in &self.refusals {
            refusals.entry(refusal.role.as_str()).or_default().push(refusal);
        }
        let mut accounts: Vec<&ServiceAccountRef> = Vec::new();
        let mut by_account: BTreeMap<&ServiceAccountRef, Vec<&Access>> = BTreeMap::new();
        for access in &self.access {
            let entries = by_account.entry(&access.service_account).or_default();
            if entries.is_empty() {
                accounts.push(&access.service_account);
            }
            entries.push(access);
        }
        for account in accounts {
            writeln!(out, "  {BOLD}{account}{BOLD:#}")?;
            for access in &by_account[account] {
                // Once for each role: they were tried once.
                access.text(out, &refusals.remove(access.role.as_str()).unwrap_or_default())?;
            }
        }
        for NotTried { role, because } in &self.not_tried {
            writeln!(out, "  {DIM}–{DIM:#} {role} {DIM}not tried: {because}{DIM:#}")?;
        }
        Ok(())
    }
}

impl Access {
    fn text(&self, out: &mut dyn Out, refusals: &[&Refusal]) -> io::Result<()> {
        let failed = !self.failures.is_empty() || refusals.iter().any(|refusal| !refusal.passed());
        let (sign, style) = if failed { ("✗", BAD) } else { ("✓", GOOD) };
        write!(out, "    {style}{sign}{style:#} {}", self.role)?;
        match &self.example_of {
            Some(pattern) => writeln!(out, " {DIM}which lets in {pattern}{DIM:#}")?,
            None => writeln!(out)?,
        }
        let width =
            |text: fn(&GrantedPath) -> String| self.grants.iter().map(|grant| text(grant).len()).max().unwrap_or(0);
        let (verbs, paths) = (width(|grant| grant.capabilities.join("+")), width(|grant| grant.path.clone()));
        for grant in &self.grants {
            let (capabilities, by) = (grant.capabilities.join("+"), grant.policies.join(", "));
            write!(out, "        {capabilities:verbs$}  {:paths$}  {DIM}by {by}{DIM:#}", grant.path)?;
            if grant.named_by.is_empty() {
                writeln!(out)?;
            } else {
                let named: Vec<&str> = grant.named_by.iter().map(PolicyName::as_str).collect();
                writeln!(out, " {NOTE}the path of {}{NOTE:#}", named.join(", "))?;
            }
        }
        for failure in &self.failures {
            writeln!(out, "        {BAD}{failure}{BAD:#}")?;
        }
        for refusal in refusals {
            match refusal.status {
                RefusalStatus::Refused => {}
                RefusalStatus::NotTried => {
                    writeln!(out, "        {DIM}– {} was not tried: {}{DIM:#}", refusal.who, refusal.detail)?;
                }
                RefusalStatus::LetInAsStated => {
                    writeln!(out, "        {NOTE}lets in {}: {}{NOTE:#}", refusal.who, refusal.detail)?;
                }
                RefusalStatus::LetIn | RefusalStatus::Unclear => {
                    writeln!(out, "        {BAD}{}: {}{BAD:#}", refusal.who, refusal.detail)?;
                }
            }
        }
        let refused: Vec<&str> =
            refusals.iter().filter(|r| r.status == RefusalStatus::Refused).map(|r| r.who).collect();
        let mut parts = Vec::new();
        if self.refused_paths > 0 {
            parts.push(format!("nothing on {} other paths", self.refused_paths));
        }
        if self.paths_left_out > 0 {
            parts.push(format!("not tried on {} more", self.paths_left_out));
        }
        if !refused.is_empty() {
            parts.push(format!("refused: {}", refused.join(", ")));
        }
        if !parts.is_empty() {
            writeln!(out, "        {DIM}{}{DIM:#}", parts.join("; "))?;
        }
        Ok(())
    }
}

fn expectation(result: &ExpectationResult, out: &mut dyn Out) -> io::Result<()> {
    let (sign, style) = if result.holds { ("✓", GOOD) } else { ("✗", BAD) };
    writeln!(out, "  {style}{sign}{style:#} {} {DIM}{}{DIM:#}", result.expectation, result.place())?;
    result.failures.iter().try_for_each(|failure| writeln!(out, "      {BAD}{failure}{BAD:#}"))?;
    result.notes.iter().try_for_each(|note| writeln!(out, "      {NOTE}! {note}{NOTE:#}"))
}

fn compared(comparison: &Comparison, out: &mut dyn Out) -> io::Result<()> {
    writeln!(out, "\n{BOLD}Compared with {}{BOLD:#}", comparison.with)?;
    if comparison.access.is_empty() {
        writeln!(out, "  no service account gains or loses access by a policy")?;
    }
    let mut last = None;
    for change in &comparison.access {
        let who = (&change.cluster, &change.who);
        if last.replace(who) != Some(who) {
            writeln!(out, "  {BOLD}{}{BOLD:#} of {}", change.who, change.cluster)?;
        }
        let (sign, style) = match change.change {
            AccessShift::Gained => ("+", NOTE),
            AccessShift::Lost => ("-", BOLD),
            AccessShift::OtherRoles => ("~", DIM),
        };
        let (verbs, path) = (change.verbs.join(", "), &change.path);
        writeln!(out, "    {style}{sign} {} {verbs} {path}{style:#} {}", change.change, change.through())?;
        if let Some(extent) = change.extent() {
            writeln!(out, "        {DIM}{extent}{DIM:#}")?;
        }
    }
    for change in &comparison.terms {
        let (sign, style) = if change.is_notable() { ("!", NOTE) } else { ("~", DIM) };
        writeln!(out, "  {style}{sign}{style:#} {}", printable_line(&change.to_string()))?;
    }
    for gone in &comparison.expectations_gone {
        writeln!(out, "  {NOTE}!{NOTE:#} no longer expected: {gone}")?;
    }
    for new in &comparison.expectations_new {
        writeln!(out, "  {DIM}~{DIM:#} newly expected: {new}")?;
    }
    Ok(())
}
