//! `assay spec`: the official suite on subjects.

use std::path::PathBuf;
use std::time::Duration;

use assay_spec_tests::{suite, suite_run};
use clap::Args;

use super::fuzz::parse_time;
use super::wast::{Output, run_files};
use crate::exit::{Exit, Failure};

/// Arguments of `assay spec`.
#[derive(Args)]
pub(crate) struct SpecArguments {
    /// Subjects [default: interp, jit with each collector and opt none and speed, and gc-stress for the GC files].
    #[arg(long = "subject", value_name = "SUBJECT")]
    subjects: Vec<String>,
    /// Only files whose DIR/NAME matches, e.g. 'core/gc/*'.
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
    let all = run_files(
        files.clone(),
        &arguments.subjects,
        &arguments.filters,
        arguments.jobs,
        arguments.file_limit,
        &arguments.output,
    )?;
    if !arguments.subjects.is_empty() || arguments.output.is_machine() {
        return Ok(all);
    }
    // Without a choice of subjects: the files that mention a GC type again, with a collection at every allocation.
    let stressed = files.into_iter().filter(|file| file.dir.ends_with("gc")).collect();
    let Ok(stressed) = suite_run::filter(stressed, &arguments.filters) else {
        // The filters leave none of them; what is wrong with a filter itself has ended the first run.
        return Ok(all);
    };
    println!("\nwith a collection at every allocation:");
    let subjects: Vec<String> =
        ["jit:copying,gc-stress", "jit:copying,opt=none,gc-stress"].map(str::to_owned).to_vec();
    let stressed =
        run_files(stressed, &subjects, &arguments.filters, arguments.jobs, arguments.file_limit, &arguments.output)?;
    Ok(if all == Exit::Fine { stressed } else { all })
}
