//! What a rehearsal found as a `JUnit` report, which CI systems show: a suite for each cluster, a case for each login and each
//! stranger, and one for each expectation.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{NOTHING_VERIFIED, RefusalStatus, Rehearsal};
use crate::error::{Error, Result};
use crate::text::{printable, printable_line};

impl Rehearsal {
    /// The report as XML.
    ///
    /// # Errors
    /// When it has no XML form.
    pub fn junit(&self) -> Result<String> {
        let mut report = Report::new("vaultk8s rehearse");
        let mut applied = TestSuite::new("the configuration");
        let refused = self.refused_changes.unfinished().map(|object| format!("not applied: {object}"));
        let unkept = self.unkept.iter().map(|change| format!("not kept: {}", change.object));
        let problems: Vec<String> = refused.chain(unkept).collect();
        applied.add_test_case(case("can be applied", &problems));
        report.add_test_suite(applied);
        if self.nothing_verified {
            let mut suite = TestSuite::new("the rehearsal");
            suite.add_test_case(case("there are roles", &[NOTHING_VERIFIED.to_owned()]));
            report.add_test_suite(suite);
        }
        for cluster in &self.clusters {
            let mut suite = TestSuite::new(format!("cluster {}", cluster.cluster));
            for access in &cluster.access {
                let example = access.example_of.as_ref().map(|pattern| format!(", an example of {pattern},"));
                let who = format!("{}{}", access.service_account, example.unwrap_or_default());
                let name = format!("{who} through {} may do what the file says", access.role);
                suite.add_test_case(case(name, &access.failures));
            }
            for refusal in &cluster.refusals {
                let name = format!("{} refuses {}", refusal.role, refusal.who);
                suite.add_test_case(match refusal.status {
                    RefusalStatus::NotTried => skipped(&name, &refusal.detail),
                    _ if refusal.passed() => case(name, &[]),
                    _ => case(name, std::slice::from_ref(&refusal.detail)),
                });
            }
            for role in &cluster.not_tried {
                suite.add_test_case(skipped(&format!("{} is tried", role.role), &role.because));
            }
            report.add_test_suite(suite);
        }
        if !self.expectations.is_empty() {
            let mut suite = TestSuite::new("expectations");
            let cases = self.expectations.iter().map(|result| {
                let mut case = case(result.expectation.as_str(), &result.failures);
                if !result.notes.is_empty() {
                    case.set_system_out(printable(&result.notes.join("\n")));
                }
                case
            });
            suite.add_test_cases(cases);
            report.add_test_suite(suite);
        }
        let text = report.to_string();
        text.map(|text| printable(&text)).map_err(|error| Error::failed("the result has no XML form").because(error))
    }
}

/// A case that fails with all that is wrong, or succeeds.
fn case(name: impl Into<String>, failures: &[String]) -> TestCase {
    let name = printable_line(&name.into());
    let failures: Vec<String> = failures.iter().map(|failure| printable(failure)).collect();
    let Some(first) = failures.first() else { return TestCase::new(name, TestCaseStatus::success()) };
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_message(first.clone());
    status.set_description(failures.join("\n"));
    TestCase::new(name, status)
}

fn skipped(name: &str, because: &str) -> TestCase {
    let mut status = TestCaseStatus::skipped();
    status.set_message(printable(because));
    TestCase::new(printable_line(name), status)
}
