//! `assay spec`: the official suite on subjects.

use std::path::PathBuf;
use std::time::Duration;

use assay_spec_tests::{suite, suite_run};
use clap::Args;

use super::fuzz::parse_time;
use super::wast::{Output, results, show};
use crate::exit::{Exit, Failure};

/// Arguments of `assay spec`.
#[derive(Args)]
pub(crate) struct SpecArguments {
    /// Subjects [default: interp, and jit with each collector, optimisation level and register allocator, and all of them
    /// with gc-stress on the files that mention a reference type].
    #[arg(long = "subject", value_name = "SUBJECT")]
    subjects: Vec<String>,
    /// Only files whose DIR/NAME matches, e.g. 'core/gc/*'; again for more.
    #[arg(long = "filter", value_name = "GLOB")]
    filters: Vec<String>,
    /// A checkout's test folder instead of the embedded files.
    #[arg(long, value_name = "DIR")]
    suite: Option<PathBuf>,
    /// Files at a time [default: one per core].
    #[arg(long)]
    jobs: Option<usize>,
    /// Limit for one file on one subject.
    #[arg(long, default_value = "120s", value_parser = parse_time)]
    file_limit: Duration,
    #[command(flatten)]
    output: Output,
}

/// Runs the suite.
pub(crate) fn run(arguments: &SpecArguments) -> Result<Exit, Failure> {
    let files = match &arguments.suite {
        Some(dir) => suite::directory(dir).map_err(Failure::bad_input)?,
        None => suite::embedded(),
    };
    let run = |files, subjects: &[String]| {
        results(files, subjects, &arguments.filters, arguments.jobs, arguments.file_limit)
    };
    let everything = ["interp", "jit:*,regalloc=*"].map(str::to_owned);
    let subjects = if arguments.subjects.is_empty() { &everything[..] } else { &arguments.subjects };
    let mut result = run(files.clone(), subjects)?;
    if arguments.subjects.is_empty() {
        // Without a choice of subjects: what a collector can spoil again, with a collection at every allocation.
        let stressed = files.into_iter().filter(suite::TestFile::mentions_references).collect();
        // The filters may leave none of them; what is wrong with a filter itself has ended the first run.
        if let Ok(stressed) = suite_run::filter(stressed, &arguments.filters) {
            let subjects = ["jit:*,regalloc=*,gc-stress".to_owned()];
            result.subjects.extend(run(stressed, &subjects)?.subjects);
        }
    }
    show(&result, &arguments.output)
}
