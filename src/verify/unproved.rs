//! A run that was to log in, and in which no login could be tried, proved nothing: it is not in order.
//!
//! What may not be seen is nobody's fault, and one role among many that can't be tried is told and left at that. But of a run in which not one
//! login was proved, though some could have been with other credentials, nobody may believe that the roles work. Those that nobody can try from
//! here (patterns, claims, other addresses, tokens of pods, clusters known from files) are not counted: they are skipped, not unseen.

use super::catalogue::LOGIN;
use super::finding::{Finding, Status};
use super::outrank::took_the_token;
use super::section::Section;

/// Lets logins that these credentials could not try fail, where none was proved.
pub(super) fn fail_where_nothing_was_proved(sections: &mut [Section]) {
    if sections.iter().any(|section| took_the_token(&section.checks)) {
        return;
    }
    let checks = sections.iter_mut().flat_map(|section| &mut section.checks);
    for result in checks.filter(|result| result.check.id == LOGIN.id && result.finding.status == Status::Unseen) {
        let finding = &mut result.finding;
        let detail = format!("no login could be tried, so that nothing is proved: {}", finding.detail);
        let failed = Finding { status: Status::Failed, detail, ..finding.clone() };
        *finding = failed
            .why("whether anybody can log in is not known; a run that only looks is asked for with --no-login")
            .to_do("or bring a token of the consumer along: --jwt-file");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::finding::{CheckResult, Weight};
    use crate::verify::report::Diagnosis;
    use crate::verify::section::About;

    fn role(login: Finding) -> Section {
        let about = About::Role {
            cluster: "lab".parse().unwrap(),
            mount: "jwt".parse().unwrap(),
            role: "r".parse().unwrap(),
            service_account: None,
            audience: None,
        };
        Section { about, checks: vec![CheckResult::new(LOGIN, login)] }
    }

    #[test]
    fn a_run_without_any_proved_login_is_in_order_only_where_none_could_be_tried() {
        let (unseen, skipped) = (|| Finding::unseen("no right to ask"), || Finding::skipped("a pattern"));
        let worked = || Finding::passed("a token").weighing(Weight::Accepted);
        for (logins, success) in [
            (vec![unseen()], false),
            (vec![unseen(), unseen(), skipped()], false),
            (vec![unseen(), worked()], true),
            (vec![skipped(), skipped()], true),
            (vec![worked()], true),
            (vec![], true),
        ] {
            let count = logins.len();
            let diagnosis = Diagnosis::new(logins.into_iter().map(role).collect());
            assert_eq!(diagnosis.success, success, "{count}: {diagnosis:?}");
            assert_eq!(diagnosis.causes.is_empty(), success, "{diagnosis:?}");
        }
        // Who ended it knows that not all was tried.
        assert!(Diagnosis::interrupted(vec![role(unseen())]).causes.is_empty());
    }
}
