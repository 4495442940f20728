//! One file on one subject: the case's steps become an observation, the observation a verdict per directive, the verdicts
//! counts and failures.
//!
//! Assertions (`assert_*` directives) are what is counted. A directive that asserts nothing (a module, a registration, a
//! bare invocation) must still succeed: its failure is listed like any other and makes the file fail, but stands in no
//! column. Invariant: `pass + fail + unchecked + text + unsupported == assertions`.

use std::ops::AddAssign;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use assay_harness::compare::{Verdict, check_expectations};
use assay_harness::observe::Counters;
use assay_harness::{Case, Expect, Observation, RejectStage, Step, Subject};
use serde::{Deserialize, Serialize};

use crate::suite::TestFile;

/// What became of the assertions of a file, a directory or a suite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// `assert_*` directives.
    pub assertions: u64,
    /// Held.
    pub pass: u64,
    /// Did not hold.
    pub fail: u64,
    /// The subject does not judge validity.
    pub unchecked: u64,
    /// Quoted text that the text parser refused, as the script wants: no subject saw it.
    pub text: u64,
    /// The subject said that it lacks a feature; in a file that is in scope this makes the file fail.
    pub unsupported: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.assertions += other.assertions;
        self.pass += other.pass;
        self.fail += other.fail;
        self.unchecked += other.unchecked;
        self.text += other.text;
        self.unsupported += other.unsupported;
    }
}

/// A directive that did not do what the script says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Line in the file; 0 for the file as a whole.
    pub line: u32,
    /// What was expected and what came.
    pub text: String,
    /// Whether the directive is an assertion (else a module, a registration, an invocation, or the file itself).
    pub assertion: bool,
}

/// Whether a file was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileState {
    /// It was.
    Ran,
    /// It was not, for this reason.
    OutOfScope(String),
    /// It could not be made a case.
    Unreadable(String),
}

/// One file on one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileResult {
    /// Directory label.
    pub dir: String,
    /// File name.
    pub name: String,
    /// The subject.
    pub subject: String,
    /// Whether it was run.
    pub state: FileState,
    /// The assertions.
    pub counts: Counts,
    /// What failed, in the file's order.
    pub failures: Vec<Failure>,
    /// What the run did.
    pub counters: Counters,
    /// Wall clock.
    pub millis: u64,
    /// Whether the subject panicked: it should be made anew.
    pub poisoned: bool,
}

impl FileResult {
    /// Whether nothing is wrong: out of scope, or run without failure and without a directive that the subject
    /// declined.
    pub fn ok(&self) -> bool {
        match self.state {
            FileState::Ran => self.failures.is_empty() && self.counts.unsupported == 0,
            FileState::OutOfScope(_) => true,
            FileState::Unreadable(_) => false,
        }
    }

    /// `dir/name`.
    pub fn label(&self) -> String {
        if self.dir.is_empty() { self.name.clone() } else { format!("{}/{}", self.dir, self.name) }
    }

    fn new(file: &TestFile, subject: &str, state: FileState) -> FileResult {
        FileResult {
            dir: file.dir.clone(),
            name: file.name.clone(),
            subject: subject.to_owned(),
            state,
            counts: Counts::default(),
            failures: Vec::new(),
            counters: Counters::default(),
            millis: 0,
            poisoned: false,
        }
    }

    pub(crate) fn out_of_scope(file: &TestFile, subject: &str, reason: String) -> FileResult {
        FileResult::new(file, subject, FileState::OutOfScope(reason))
    }

    pub(crate) fn unreadable(file: &TestFile, subject: &str, why: String) -> FileResult {
        let failures = vec![Failure { line: 0, text: why.clone(), assertion: false }];
        FileResult { failures, ..FileResult::new(file, subject, FileState::Unreadable(why)) }
    }
}

/// Runs `file` on `subject`, unless it is out of scope for it.
pub fn run(file: &TestFile, subject: &mut dyn Subject) -> FileResult {
    if let Some(reason) = file.scope(&subject.supports()).reason() {
        return FileResult::out_of_scope(file, subject.name(), reason);
    }
    match file.case() {
        Ok(case) => run_case(file, &case, subject),
        Err(error) => FileResult::unreadable(file, subject.name(), error.to_string()),
    }
}

/// Runs `case`, made from `file`, on `subject`, whatever the file needs.
pub fn run_case(file: &TestFile, case: &Case, subject: &mut dyn Subject) -> FileResult {
    let name = subject.name().to_owned();
    let mut result = FileResult::new(file, &name, FileState::Ran);
    let start = Instant::now();
    let observed = catch_unwind(AssertUnwindSafe(|| subject.observe(case)));
    result.millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    match observed {
        Ok(observation) => {
            judge(case, &name, subject.supports().validates, &observation, &mut result);
            result.counters = observation.counters;
        }
        Err(panic) => {
            let what = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("a panic without text");
            result.poisoned = true;
            result.counts.assertions = case.steps.iter().filter(|step| is_assertion(step)).count() as u64;
            result.counts.fail = result.counts.assertions;
            result.failures.push(Failure {
                line: 0,
                text: format!("the subject panicked: {what}"),
                assertion: false,
            });
        }
    }
    result
}

/// Turns an observation into counts and failures.
fn judge(case: &Case, subject: &str, validates: bool, observation: &Observation, result: &mut FileResult) {
    let verdicts = check_expectations(case, subject, observation);
    let unseen = Verdict::Fail("the subject shows no outcome for this directive".to_owned());
    let evaded = Verdict::Fail("the subject did not judge, though it must".to_owned());
    for (index, step) in case.steps.iter().enumerate() {
        let assertion = is_assertion(step);
        let verdict = match verdicts.get(index) {
            None => &unseen,
            Some(Verdict::Unchecked) if validates || !is_about_validity(step) => &evaded,
            Some(verdict) => verdict,
        };
        let column = match verdict {
            Verdict::Pass => &mut result.counts.pass,
            Verdict::Fail(text) => {
                result.failures.push(Failure { line: step.line, text: text.clone(), assertion });
                &mut result.counts.fail
            }
            Verdict::Unchecked => &mut result.counts.unchecked,
            Verdict::Text => &mut result.counts.text,
            Verdict::Unsupported if assertion => &mut result.counts.unsupported,
            Verdict::Unsupported => {
                let text = "the subject lacks a feature that this directive needs".to_owned();
                result.failures.push(Failure { line: step.line, text, assertion });
                continue;
            }
        };
        if assertion {
            *column += 1;
            result.counts.assertions += 1;
        }
    }
}

/// Whether the step comes from an `assert_*` directive.
fn is_assertion(step: &Step) -> bool {
    match step.expect {
        Expect::Any | Expect::Success => false,
        Expect::Return(_)
        | Expect::Trap(_)
        | Expect::Exhaustion(_)
        | Expect::Exception
        | Expect::Reject(_) => true,
    }
}

/// Whether the step comes from `assert_malformed` or `assert_invalid`: the only ones that a subject may leave unjudged.
fn is_about_validity(step: &Step) -> bool {
    matches!(step.expect, Expect::Reject(RejectStage::Malformed | RejectStage::Invalid))
}
