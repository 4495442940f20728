//! Results for people (a table per subject), for programs (JSON) and for CI servers (JUnit).
//!
//! All three show the same: per directory and subject the assertions by column, each failure with its line, and each file
//! that was not run with the reason.

use std::fmt::Write as _;
use std::time::Duration;

use assay_harness::observe::Counters;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::run::{Counts, Failure, FileResult, FileState};
use crate::suite_run::{SubjectResult, SuiteResult};

/// Failures shown per file before "and … more". JSON and JUnit show all.
const SHOWN_FAILURES: usize = 10;

/// One directory on one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryResult {
    /// Directory label.
    pub dir: String,
    /// Files that ran.
    pub files: usize,
    /// Files that are not in order.
    pub failed_files: usize,
    /// Files that were not run.
    pub out_of_scope: usize,
    /// Assertions of the files that ran.
    pub counts: Counts,
}

/// The directories of `result`, in order of first appearance.
pub fn directories(result: &SubjectResult) -> Vec<DirectoryResult> {
    let mut rows: Vec<DirectoryResult> = Vec::new();
    for file in &result.files {
        let index = match rows.iter().position(|row| row.dir == file.dir) {
            Some(index) => index,
            None => {
                rows.push(DirectoryResult {
                    dir: file.dir.clone(),
                    files: 0,
                    failed_files: 0,
                    out_of_scope: 0,
                    counts: Counts::default(),
                });
                rows.len() - 1
            }
        };
        let row = &mut rows[index];
        if matches!(file.state, FileState::OutOfScope(_)) {
            row.out_of_scope += 1;
        } else {
            row.files += 1;
            row.failed_files += usize::from(!file.ok());
            row.counts += file.counts;
        }
    }
    rows
}

/// Tables, failures, and what was not run, for each subject.
pub fn human(result: &SuiteResult) -> String {
    let mut out = String::new();
    for subject in &result.subjects {
        subject_table(&mut out, subject);
        failures(&mut out, subject);
        out_of_scope(&mut out, subject);
        if let Err(idle) = subject.check_stress() {
            line(&mut out, format_args!("FAIL {}: {idle}", subject.subject));
        }
        out.push('\n');
    }
    summary(&mut out, result);
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
    out.push('\n');
}

fn subject_table(out: &mut String, subject: &SubjectResult) {
    let heads = [
        subject.subject.as_str(),
        "files",
        "assertions",
        "pass",
        "fail",
        "unchecked",
        "text",
        "unsupported",
        "out of scope",
    ];
    let mut rows: Vec<Vec<String>> = vec![heads.map(str::to_owned).to_vec()];
    let mut files = 0;
    for row in directories(subject) {
        files += row.files;
        let dir = if row.dir.is_empty() { "." } else { row.dir.as_str() };
        rows.push(cells(dir, row.files, &row.counts, row.out_of_scope));
    }
    rows.push(cells("total", files, &subject.counts, subject.out_of_scope()));
    let widths: Vec<usize> = (0..heads.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let last = rows.len() - 1;
    for (index, row) in rows.iter().enumerate() {
        if index == 1 || index == last {
            let rule: usize = widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
            line(out, format_args!("{}", "-".repeat(rule)));
        }
        let mut text = format!("{:<width$}", row[0], width = widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            let _ = write!(text, "  {cell:>width$}");
        }
        line(out, format_args!("{text}"));
    }
}

fn cells(dir: &str, files: usize, counts: &Counts, out_of_scope: usize) -> Vec<String> {
    vec![
        dir.to_owned(),
        files.to_string(),
        counts.assertions.to_string(),
        counts.pass.to_string(),
        counts.fail.to_string(),
        counts.unchecked.to_string(),
        counts.text.to_string(),
        counts.unsupported.to_string(),
        out_of_scope.to_string(),
    ]
}

fn failures(out: &mut String, subject: &SubjectResult) {
    for file in subject.files.iter().filter(|file| !file.ok()) {
        for failure in file.failures.iter().take(SHOWN_FAILURES) {
            line(out, format_args!("FAIL {} [{}]", shown(file, failure), subject.subject));
        }
        if file.failures.len() > SHOWN_FAILURES {
            let more = file.failures.len() - SHOWN_FAILURES;
            line(out, format_args!("FAIL {}: and {more} more [{}]", file.label(), subject.subject));
        }
        if file.counts.unsupported > 0 {
            let (label, count) = (file.label(), file.counts.unsupported);
            let name = &subject.subject;
            line(
                out,
                format_args!("FAIL {label}: {count} assertions unsupported, though it is in scope [{name}]"),
            );
        }
    }
}

fn shown(file: &FileResult, failure: &Failure) -> String {
    match failure.line {
        0 => format!("{}: {}", file.label(), failure.text),
        number => format!("{}:{number}: {}", file.label(), failure.text),
    }
}

/// Lists files that were not run: whole directories with one reason on one line, single files by name.
fn out_of_scope(out: &mut String, subject: &SubjectResult) {
    for dir in directories(subject).iter().filter(|dir| dir.out_of_scope > 0) {
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for file in subject.files.iter().filter(|file| file.dir == dir.dir) {
            if let FileState::OutOfScope(reason) = &file.state {
                match reasons.iter_mut().find(|(known, _)| known == reason) {
                    Some((_, names)) => names.push(&file.name),
                    None => reasons.push((reason, vec![&file.name])),
                }
            }
        }
        let whole = dir.files == 0 && reasons.len() == 1;
        for (reason, names) in reasons {
            let which = if whole { format!("{} files", names.len()) } else { names.join(" ") };
            line(out, format_args!("out of scope: {}: {which}: {reason}", dir.dir));
        }
    }
}

fn summary(out: &mut String, result: &SuiteResult) {
    let width = result.subjects.iter().map(|subject| subject.subject.chars().count()).max().unwrap_or(0);
    for subject in &result.subjects {
        let verdict = if subject.ok() { "ok" } else { "FAILED" };
        let Counts { assertions, pass, fail, unchecked, text, unsupported } = subject.counts;
        let Counters { allocations, collections, .. } = &subject.counters;
        line(
            out,
            format_args!(
                "{:<width$}  {verdict}: {assertions} assertions, {pass} passed, {fail} failed, {unchecked} unchecked, \
                 {text} text, {unsupported} unsupported; {} files out of scope; {allocations} allocations, \
                 {collections} collections",
                subject.subject,
                subject.out_of_scope(),
            ),
        );
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Json<'a> {
    ok: bool,
    subjects: Vec<JsonSubject<'a>>,
}

#[derive(Debug, Serialize)]
struct JsonSubject<'a> {
    subject: &'a str,
    ok: bool,
    counts: Counts,
    counters: &'a Counters,
    directories: Vec<DirectoryResult>,
    files: &'a [FileResult],
}

/// One JSON object: `ok`, and per subject totals, directories and files with their failures.
///
/// # Errors
/// None that a result can cause.
pub fn json(result: &SuiteResult) -> Result<String, Error> {
    let subjects = result.subjects.iter().map(|subject| JsonSubject {
        subject: &subject.subject,
        ok: subject.ok(),
        counts: subject.counts,
        counters: &subject.counters,
        directories: directories(subject),
        files: &subject.files,
    });
    let whole = Json { ok: result.ok(), subjects: subjects.collect() };
    serde_json::to_string_pretty(&whole).map_err(|e| Error::report("JSON", e))
}

/// JUnit XML: a test suite per subject, a test case per file (class = directory), files out of scope as skipped.
///
/// # Errors
/// The XML writer refuses.
pub fn junit(result: &SuiteResult) -> Result<String, Error> {
    let mut report = Report::new("assay-spec");
    for subject in &result.subjects {
        let mut suite = TestSuite::new(subject.subject.as_str());
        for file in &subject.files {
            suite.add_test_case(junit_case(file));
        }
        if let Err(idle) = subject.check_stress() {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(idle.to_string());
            suite.add_test_case(TestCase::new("stress collects", status));
        }
        report.add_test_suite(suite);
    }
    report.to_string().map_err(|e| Error::report("JUnit", e))
}

fn junit_case(file: &FileResult) -> TestCase {
    let mut status = match &file.state {
        FileState::OutOfScope(reason) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(format!("out of scope: {reason}"));
            status
        }
        FileState::Unreadable(why) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(why.as_str());
            status
        }
        FileState::Ran if file.ok() => TestCaseStatus::success(),
        FileState::Ran => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let (fail, unsupported) = (file.failures.len(), file.counts.unsupported);
            status.set_message(format!("{fail} directives failed, {unsupported} unsupported"));
            status
        }
    };
    if !file.failures.is_empty() {
        let lines: Vec<String> = file.failures.iter().map(|failure| shown(file, failure)).collect();
        status.set_description(lines.join("\n"));
    }
    let mut case = TestCase::new(file.name.as_str(), status);
    case.set_classname(file.dir.as_str());
    case.set_assertions(usize::try_from(file.counts.assertions).unwrap_or(usize::MAX));
    case.set_time(Duration::from_millis(file.millis));
    case
}
