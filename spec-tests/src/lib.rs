//! Runner of `.wast` scripts over any [`Subject`](assay_harness::Subject), with the official suite.
//!
//! The way of the data: [`suite`] (embedded files or a directory) → [`needs`] (which features a file needs: is it in
//! scope for a subject?) → [`run()`] (case → observation → a verdict per directive) → [`suite_run`] (all files on all
//! subjects, in parallel) → [`report`] (table, JSON, JUnit).
//!
//! Invariant: nothing is skipped in silence. Each file of the suite ends as run or as *out of scope* with a reason, each
//! assertion of a file that ran ends in exactly one of the columns pass, fail, unchecked, text, unsupported.

#![forbid(unsafe_code)]

mod error;
pub mod legacy_text;
pub mod needs;
pub mod report;
pub mod run;
pub mod stress;
pub mod suite;
pub mod suite_run;

pub use error::{Error, ErrorKind};
pub use needs::{Need, Scope};
pub use run::{Counts, Failure, FileResult, FileState, run, run_case};
pub use stress::{IdleStress, check_stress};
pub use suite::TestFile;
pub use suite_run::{Options, Progress, SubjectSpec, SuiteResult, run_suite};
