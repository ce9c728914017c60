//! What is agreed to before anything is changed: at a terminal, or beforehand on the command line.
//!
//! A wrong kubeconfig context must not take over a mount in silence, a line that fell out of the file must not delete
//! anything in silence, and what somebody else wrote is theirs. Each of these is a row of [`KINDS`].

use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::plan::{ForeignKey, Plan};
use crate::text::printable_line;
use crate::ui::Ui;

/// What can be allowed beforehand, by its word after `--approve`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Approval {
    /// Replace or widen what a mount trusts: another issuer, host or CA, or other keys
    ReplaceTrust,
    /// Delete policies and roles
    Delete,
    /// Change what another configuration, or somebody else, wrote
    TakeOver,
}

impl Approval {
    /// Its word.
    fn word(self) -> &'static str {
        match self {
            Self::ReplaceTrust => "replace-trust",
            Self::Delete => "delete",
            Self::TakeOver => "take-over",
        }
    }

    /// Whether `--yes` is enough. It is about what is one's own: a job that says it every night has asked nobody else.
    fn in_yes(self) -> bool {
        self != Self::TakeOver
    }
}

/// What was agreed to beforehand.
#[derive(Debug, Clone, Default)]
pub struct Consent {
    /// `--yes`: to all that changes what is one's own.
    pub yes: bool,
    /// `--approve`: to these kinds.
    pub approved: Vec<Approval>,
}

impl Consent {
    fn gives(&self, approval: Approval) -> bool {
        self.approved.contains(&approval) || self.yes && approval.in_yes()
    }
}

/// What is to be agreed to.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The plan, which was shown.
    pub(super) plan: &'a Plan,
    /// The keys that are kept because a file says so.
    pub(super) vouched: &'a [String],
    /// What was agreed to beforehand.
    pub(super) consent: &'a Consent,
    /// Whether any change is asked about where somebody is at a terminal.
    pub(super) every_change: bool,
}

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Agreed {
    /// It may be done: nothing was to be asked, or all was agreed to beforehand.
    Yes,
    /// Somebody said so, after a time in which others may have changed something.
    Answered,
    /// A signal came in place of an answer.
    Interrupted,
}

/// A kind of change that isn't made because a file says so alone.
struct Kind {
    approval: Approval,
    /// What of this kind is to be done, a line each.
    found: fn(&Asked<'_>) -> Vec<String>,
    /// What stands above these lines in the question.
    question: &'static str,
    /// What follows from it, where that isn't plain.
    consequence: &'static str,
    /// What needs the approval, after "approval required to".
    reason: &'static str,
}

/// Every kind, in the order of asking.
const KINDS: [Kind; 5] = [
    Kind {
        approval: Approval::ReplaceTrust,
        found: |asked| asked.plan.trust_replaced().map(|(change, why)| format!("{}: {why}", change.object)).collect(),
        question: "This replaces what Vault trusts:",
        consequence: "Tokens that work now will be refused.",
        reason: "replace what Vault trusts",
    },
    Kind {
        approval: Approval::ReplaceTrust,
        found: |asked| {
            asked.plan.trust_widened().map(|found| format!("auth/{} {}", found.mount, found.in_words())).collect()
        },
        question: "This makes Vault trust more than the cluster's keys:",
        consequence: "",
        reason: "trust keys that the cluster doesn't publish",
    },
    Kind {
        approval: Approval::ReplaceTrust,
        found: |asked| asked.vouched.to_vec(),
        question: "The saved plan vouches for keys that nobody was seen to publish:",
        consequence: "",
        reason: "keep trusting keys that only the saved plan vouches for",
    },
    Kind {
        approval: Approval::TakeOver,
        found: |asked| asked.plan.taken_over().map(|(change, whose)| format!("{}: {whose}", change.object)).collect(),
        question: "This takes over what somebody else wrote:",
        consequence: "Whoever wrote it may write it again.",
        reason: "take over what somebody else wrote",
    },
    Kind {
        approval: Approval::Delete,
        found: |asked| asked.plan.deletions().map(|change| change.object.to_string()).collect(),
        question: "This deletes:",
        consequence: "",
        reason: "delete",
    },
];

/// A kind of which there is something, and nobody agreed to it beforehand.
struct Open {
    kind: &'static Kind,
    found: Vec<String>,
}

impl Open {
    /// What is to be done, a line each; of many, the first.
    fn lines(&self) -> String {
        const SHOWN: usize = 30;
        let mut lines: Vec<String> =
            self.found.iter().take(SHOWN).map(|found| format!("\n  {}", printable_line(found))).collect();
        if self.found.len() > SHOWN {
            lines.push(format!("\n  and {} more, which the plan shows", self.found.len() - SHOWN));
        }
        lines.concat()
    }

    fn question(&self) -> String {
        let Kind { question, consequence, .. } = self.kind;
        let end = if consequence.is_empty() { String::new() } else { format!("\n{consequence}") };
        format!("{question}{}{end}", self.lines())
    }
}

/// Gets the consent to a plan that was shown: from the command line, or else from whoever is at the terminal.
///
/// # Errors
/// When it is denied, or nobody can be asked: the error names what is missing. Nothing was changed then.
pub(super) async fn ask(ui: &Ui, asked: Asked<'_>, interrupt: &Interrupt) -> Result<Agreed> {
    let Asked { plan, consent, .. } = asked;
    refuse_a_general_yes(plan, consent)?;
    let open = open(&asked);
    let every_change = asked.every_change && !consent.yes && !plan.is_empty() && ui.is_interactive();
    if open.is_empty() && !every_change {
        return Ok(Agreed::Yes);
    }
    if let Some(why) = ui.cannot_ask() {
        return Err(name_the_keys(missing(&open, every_change).because(why), &plan.foreign_keys));
    }
    let mut questions: Vec<String> = open.iter().map(Open::question).collect();
    questions.push(match plan.changes.len() {
        1 => format!("Make this change to {}?", plan.target()),
        all => format!("Make these {all} changes to {}?", plan.target()),
    });
    // Nothing is under way that an interrupt would have to wait for.
    interrupt.watch(|| Ui::interject("\nNo changes made."));
    let question = questions.join("\n");
    let answer = tokio::select! {
        biased;
        () = interrupt.came() => return Ok(Agreed::Interrupted),
        answer = ui.confirm(&question) => answer?,
    };
    if answer {
        Ok(Agreed::Answered)
    } else {
        Err(name_the_keys(Error::failed("No changes made: not confirmed"), &plan.foreign_keys))
    }
}

/// What there is of each kind that nobody agreed to beforehand.
fn open(asked: &Asked<'_>) -> Vec<Open> {
    let kinds = KINDS.iter().filter(|kind| !asked.consent.gives(kind.approval));
    kinds.map(|kind| Open { kind, found: (kind.found)(asked) }).filter(|open| !open.found.is_empty()).collect()
}

/// The error that names what nobody agreed to, and how somebody would.
fn missing(open: &[Open], every_change: bool) -> Error {
    let mut reasons: Vec<String> = Vec::new();
    for one in open {
        let Kind { approval, reason, .. } = one.kind;
        reasons.push(format!("to {reason} (--approve {}):{}", approval.word(), one.lines()));
    }
    let mut approvals: Vec<Approval> = open.iter().map(|open| open.kind.approval).collect();
    approvals.sort_unstable();
    approvals.dedup();
    let in_yes = approvals.iter().all(|approval| approval.in_yes());
    if every_change {
        approvals.retain(|approval| !approval.in_yes());
    }
    let mut flags: Vec<String> = approvals.iter().map(|approval| format!("--approve {}", approval.word())).collect();
    if every_change {
        flags.insert(0, "--yes".to_owned());
    }
    let or_yes = if in_yes && !every_change { ", or with --yes, which approves all but taking over" } else { "" };
    let said = if reasons.is_empty() { "to change anything".to_owned() } else { reasons.join("\nand ") };
    Error::failed(format!("No changes made: approval required {said}"))
        .remedy(format!("if that is meant, run again with {}{or_yes}", flags.join(" ")))
}

/// Said beforehand, a yes can't tell a key that was rotated out from one that somebody put in.
fn refuse_a_general_yes(plan: &Plan, consent: &Consent) -> Result<()> {
    let undecided: Vec<&ForeignKey> = plan.foreign_keys.iter().filter(|key| key.undecided).collect();
    if undecided.is_empty() || !consent.gives(Approval::ReplaceTrust) {
        return Ok(());
    }
    let said = if consent.yes { "--yes" } else { "--approve replace-trust" };
    let keys: Vec<String> = undecided.iter().map(|key| format!("auth/{} {}", key.mount, key.key)).collect();
    Err(name_the_keys(
        Error::failed(format!(
            "No changes made: {said} doesn't decide about pinned keys that no cluster publishes where nothing is recorded \
             yet, or only what can't be true: {}",
            keys.join(", ")
        )),
        undecided,
    ))
}

/// Says how the operator decides about keys one by one.
fn name_the_keys<'a>(error: Error, keys: impl IntoIterator<Item = &'a ForeignKey>) -> Error {
    keys.into_iter().filter_map(|key| Some((key, key.kid.as_ref()?))).fold(error, |error, (key, kid)| {
        error.remedy(format!(
            "if {} was a key of cluster {} and its tokens may still live: --keep-key {kid}; else: --forget-key {kid}",
            key.key, key.cluster
        ))
    })
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;
    use crate::plan::{Action, Change, Object, Write};

    /// A plan that replaces trust, deletes and takes over.
    fn plan() -> Plan {
        let change = |action, name: &str, takes_over: Option<&str>, replaces_trust: Option<&str>| Change {
            replaces_trust: replaces_trust.map(str::to_owned),
            takes_over: takes_over.map(str::to_owned),
            ..Change::new(
                action,
                Object::Policy { name: crate::names::StoredName::new(name) },
                Write::DeletePolicy { name: crate::names::StoredName::new(name), was: String::new() },
            )
        };
        let changes = vec![
            change(Action::Create, "plain", None, None),
            change(Action::Update, "trust", None, Some("the issuer is another")),
            change(Action::Update, "theirs", Some("it belongs to them, and would to us"), None),
            change(Action::Delete, "gone", None, None),
        ];
        Plan { changes, ..Plan::default() }
    }

    /// What is missing: the message, and the remedy.
    fn missing_for(yes: bool, approved: &[Approval], every_change: bool) -> (String, String) {
        let (plan, consent) = (plan(), Consent { yes, approved: approved.to_vec() });
        let asked = Asked { plan: &plan, vouched: &[], consent: &consent, every_change };
        let error = missing(&open(&asked), every_change);
        (error.to_string(), error.remedies().concat())
    }

    #[test]
    fn a_word_is_what_the_command_line_takes() {
        for approval in Approval::value_variants() {
            assert_eq!(approval.to_possible_value().unwrap().get_name(), approval.word());
            assert!(KINDS.iter().any(|kind| kind.approval == *approval));
        }
    }

    #[test]
    fn what_is_missing_is_named_with_the_objects_and_the_flags() {
        let (said, remedy) = missing_for(false, &[], false);
        assert_eq!(
            said,
            "No changes made: approval required to replace what Vault trusts (--approve replace-trust):\n  policy trust: \
             the issuer is another\nand to take over what somebody else wrote (--approve take-over):\n  policy theirs: it \
             belongs to them, and would to us\nand to delete (--approve delete):\n  policy gone"
        );
        assert!(
            remedy.ends_with("again with --approve replace-trust --approve delete --approve take-over"),
            "{remedy}"
        );
        let (said, remedy) = missing_for(true, &[], false);
        assert!(
            !said.contains("policy gone") && !said.contains("policy trust") && said.contains("policy theirs"),
            "{said}"
        );
        assert!(remedy.ends_with("run again with --approve take-over"), "{remedy}");
        let (said, remedy) = missing_for(false, &[Approval::TakeOver, Approval::ReplaceTrust], false);
        assert!(said.ends_with("to delete (--approve delete):\n  policy gone"), "{said}");
        assert!(remedy.contains("--approve delete, or with --yes"), "{remedy}");
        // Where any change has to be approved, a yes is what does it.
        assert!(missing_for(false, &[], true).1.ends_with("again with --yes --approve take-over"));
    }

    #[test]
    fn what_is_approved_is_no_question() {
        let (plan, vouched) = (plan(), ["kid".to_owned()]);
        let open =
            |consent: &Consent| open(&Asked { plan: &plan, vouched: &vouched, consent, every_change: false }).len();
        assert_eq!(open(&Consent::default()), 4);
        assert_eq!(open(&Consent { yes: true, approved: Vec::new() }), 1);
        assert_eq!(open(&Consent { yes: false, approved: vec![Approval::ReplaceTrust] }), 2);
        assert_eq!(open(&Consent { yes: true, approved: vec![Approval::TakeOver] }), 0);
    }

    #[test]
    fn of_many_the_first_are_shown() {
        let found = (0..40).map(|at| format!("role {at}")).collect();
        let lines = Open { kind: &KINDS[4], found }.question();
        assert!(
            lines.starts_with("This deletes:\n  role 0\n") && lines.ends_with("\n  and 10 more, which the plan shows")
        );
    }
}
