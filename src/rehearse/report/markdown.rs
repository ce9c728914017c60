//! What a rehearsal found as Markdown, for the summary of a CI step or a comment on a pull request: what a reviewer decides by
//! comes first, what they may want to look up is folded.

use std::fmt::Write as _;
use std::iter;

use super::{Access, ClusterReport, NOTHING_VERIFIED, NotTried, RefusalStatus, Rehearsal, is_empty};
use crate::access::{AccessShift, Comparison};
use crate::text::{hides, printable_line};

impl Rehearsal {
    /// The report as GitHub's and GitLab's Markdown.
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        let sign = if self.success { "✅" } else { "❌" };
        line(&mut out, &format!("## {sign} Rehearsal of {}", plain(&self.configuration)));
        line(&mut out, &format!("{}. Rehearsed on {}.", plain(&self.summary()), plain(&self.server)));
        self.failures(&mut out);
        if let Some(comparison) = &self.comparison {
            compared(comparison, &mut out);
        }
        self.expected(&mut out);
        self.access(&mut out);
        let unforeseen = self.unforeseen.iter().map(|rule| format!("{} was not tried: a template decides", code(rule)));
        let granted: Vec<String> =
            self.assumptions.iter().chain(&self.notes).map(|assumption| plain(assumption)).chain(unforeseen).collect();
        folded(&mut out, "Taken for granted", &list(&granted));
        out
    }

    /// What is otherwise than the configuration says.
    fn failures(&self, out: &mut String) {
        let mut failures: Vec<String> = self.nothing_verified.then(|| plain(NOTHING_VERIFIED)).into_iter().collect();
        if !is_empty(&self.refused_changes) {
            let objects =
                self.refused_changes.unfinished().map(|object| format!("not applied: {}", plain(&object.to_string())));
            failures.extend(objects);
        }
        failures.extend(
            self.unkept.iter().map(|change| format!("not kept by the server: {}", plain(&change.object.to_string()))),
        );
        for cluster in &self.clusters {
            for access in &cluster.access {
                let who = format!("{} through {}", who(access, cluster), code(access.role.as_str()));
                failures.extend(access.failures.iter().map(|failure| format!("{who}: {}", plain(failure))));
            }
            for refusal in cluster.refusals.iter().filter(|refusal| !refusal.passed()) {
                failures.push(format!(
                    "{} of {} and {}: {}",
                    code(refusal.role.as_str()),
                    cluster.cluster,
                    refusal.who,
                    plain(&refusal.detail)
                ));
            }
        }
        if !failures.is_empty() {
            line(out, "### What is wrong");
            line(out, &list(&failures));
        }
    }

    fn expected(&self, out: &mut String) {
        let one = |result: &crate::access::ExpectationResult| {
            let sign = if result.holds { "✅" } else { "❌" };
            let told = format!("{sign} {} ({})", plain(&result.expectation), plain(&result.place()));
            let why = result.failures.iter().map(|failure| plain(failure));
            let notes = result.notes.iter().map(|note| format!("⚠️ {}", plain(note)));
            iter::once(told).chain(why).chain(notes).collect::<Vec<_>>().join("<br>")
        };
        let results: Vec<String> = self.expectations.iter().map(one).collect();
        if !results.is_empty() {
            line(out, "### Expectations");
            line(out, &list(&results));
        }
    }

    fn access(&self, out: &mut String) {
        let (mut rows, mut notes) = (Vec::new(), Vec::new());
        for cluster in &self.clusters {
            for access in &cluster.access {
                let who = who(access, cluster);
                for grant in &access.grants {
                    let named_by: Vec<String> = grant.named_by.iter().map(|policy| code(policy.as_str())).collect();
                    let of = if named_by.is_empty() {
                        String::new()
                    } else {
                        format!(", the path of {}", named_by.join(", "))
                    };
                    rows.push([
                        who.clone(),
                        code(access.role.as_str()),
                        format!("{} {}{of}", grant.capabilities.join(", "), code(&grant.path)),
                        grant.policies.iter().map(|policy| code(policy)).collect::<Vec<_>>().join(", "),
                    ]);
                }
            }
            let stated = cluster.refusals.iter().filter(|refusal| refusal.status == RefusalStatus::LetInAsStated);
            notes.extend(stated.map(|refusal| {
                let role = code(refusal.role.as_str());
                format!("⚠️ {role} of {} lets in {}: {}", cluster.cluster, refusal.who, plain(&refusal.detail))
            }));
            let not_tried = cluster.not_tried.iter();
            notes.extend(not_tried.map(|NotTried { role, because }| {
                format!("{} of {} was not tried: {}", code(role.as_str()), cluster.cluster, plain(because))
            }));
        }
        line(out, &list(&notes));
        folded(out, "Who may do what", &table(["Service account", "Role", "May", "By"], &rows));
    }
}

/// Who it was, and for whom it stands.
fn who(access: &Access, cluster: &ClusterReport) -> String {
    let account = format!("{} of {}", code(&access.service_account.to_string()), cluster.cluster);
    match &access.example_of {
        Some(pattern) => format!("{account}, an example of {}", code(pattern)),
        None => account,
    }
}

fn compared(comparison: &Comparison, out: &mut String) {
    line(out, &format!("### Compared with {}", plain(&comparison.with)));
    if comparison.access.is_empty() {
        line(out, "No service account gains or loses access by a policy.");
    } else {
        let rows: Vec<[String; 4]> = comparison
            .access
            .iter()
            .map(|change| {
                let sign = match change.change {
                    AccessShift::Gained => "➕",
                    AccessShift::Lost => "➖",
                    AccessShift::OtherRoles => "🔀",
                };
                let extent = change.extent().map(|extent| format!("<br>{}", plain(&extent))).unwrap_or_default();
                [
                    format!("{sign} {}", change.change),
                    format!("{} of {}", code(&change.who), change.cluster),
                    format!("{} {}{extent}", change.verbs.join(", "), code(&change.path)),
                    plain(&change.through()),
                ]
            })
            .collect();
        line(out, &table(["", "Who", "What", "Through"], &rows));
    }
    let gone = comparison.expectations_gone.iter().map(|gone| format!("⚠️ no longer expected: {}", plain(gone)));
    let new = comparison.expectations_new.iter().map(|new| format!("newly expected: {}", plain(new)));
    let terms = comparison.terms.iter().map(|change| {
        let sign = if change.is_notable() { "⚠️ " } else { "" };
        format!("{sign}{}", plain(&change.to_string()))
    });
    let terms: Vec<String> = terms.chain(gone).chain(new).collect();
    if !terms.is_empty() {
        line(out, &list(&terms));
    }
}

/// A block, and the empty line after it.
fn line(out: &mut String, text: &str) {
    if text.is_empty() {
        return;
    }
    // A String takes all that is written.
    let _infallible = writeln!(out, "{}\n", text.trim_end());
}

fn list(items: &[String]) -> String {
    items.iter().flat_map(|item| ["- ", item, "\n"]).collect()
}

fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let row = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let heads = row(&heads.map(str::to_owned)) + &row(&vec!["---".to_owned(); N]);
    heads + &rows.iter().map(|cells| row(cells)).collect::<String>()
}

fn folded(out: &mut String, title: &str, text: &str) {
    if !text.is_empty() {
        line(out, &format!("<details><summary>{title}</summary>\n\n{text}\n</details>"));
    }
}

/// Text of others that stays text: in a table, in a list, and without markup.
fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => shown.push_str("&lt;"),
            '&' => shown.push_str("&amp;"),
            '\n' => shown.push_str("<br>"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '~' | '@' | '$' => shown.extend(['\\', character]),
            other if hides(other) => shown.extend(other.escape_unicode()),
            other => shown.push(other),
        }
    }
    shown
}

/// Text as code, also where it has backticks.
fn code(text: &str) -> String {
    let text = printable_line(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    if longest == 0 {
        return format!("`{text}`");
    }
    let fence = "`".repeat(longest + 1);
    format!("{fence} {text} {fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_stays_text() {
        assert_eq!(plain("a|b <script> *x* @team\nc"), "a|b &lt;script> \\*x\\* \\@team<br>c");
        assert_eq!(code("secret/*"), "`secret/*`");
        assert_eq!(code("a|b``c"), "``` a|b``c ```");
    }

    #[test]
    fn a_table_has_a_row_for_each() {
        let rows = [["a".to_owned(), "b|c".to_owned()]];
        assert_eq!(table(["x", "y"], &rows), "| x | y |\n| --- | --- |\n| a | b\\|c |\n");
        assert_eq!(table(["x"], &[]), "");
    }
}
