//! What was found as a `JUnit` report, which CI systems show: a suite for each section, a case for each check.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::error::{Error, Result};
use crate::text::{printable, printable_line};
use crate::verify::{CheckResult, Diagnosis, Status};

/// The report as XML.
///
/// # Errors
/// When it has no XML form.
pub fn junit(diagnosis: &Diagnosis) -> Result<String> {
    let mut report = Report::new("vaultk8s verify-role");
    for section in &diagnosis.sections {
        let mut suite = TestSuite::new(printable_line(&section.about.to_string()));
        suite.add_test_cases(section.checks.iter().map(case));
        report.add_test_suite(suite);
    }
    if let Some(nothing) = diagnosis.nothing() {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message(nothing);
        let mut suite = TestSuite::new("the run");
        suite.add_test_case(TestCase::new("something was verified", status));
        report.add_test_suite(suite);
    }
    if diagnosis.interrupted {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message("interrupted: the rest was not looked at");
        let mut suite = TestSuite::new("the run");
        suite.add_test_case(TestCase::new("everything was looked at", status));
        report.add_test_suite(suite);
    }
    report.to_string().map_err(|error| Error::failed("the result has no XML form").because(error))
}

fn case(result: &CheckResult) -> TestCase {
    let finding = &result.finding;
    let mut status = match finding.status {
        Status::Passed | Status::Warning => TestCaseStatus::success(),
        Status::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Status::Skipped | Status::Unseen | Status::NotReached => TestCaseStatus::skipped(),
    };
    status.set_message(printable(&finding.detail));
    if finding.status == Status::Failed {
        status.set_description(description(result));
    }
    let mut case = TestCase::new(format!("{} {}", result.check.id, result.check.title), status);
    if finding.status == Status::Warning {
        case.set_system_out(description(result));
    }
    case
}

fn description(result: &CheckResult) -> String {
    let finding = &result.finding;
    let mut lines = vec![finding.detail.clone()];
    let evidence = finding.evidence.iter();
    lines.extend(evidence.map(|evidence| format!("{}: {}", evidence.what, printable_line(&evidence.value))));
    lines.extend(finding.why.iter().map(|why| format!("why it matters: {why}")));
    for remedy in &finding.remedies {
        lines.push(format!("to do: {}", remedy.text));
        lines.extend(remedy.command.iter().map(|command| format!("  $ {command}")));
    }
    lines.push(format!("see {}", result.docs));
    printable(&lines.join("\n"))
}
