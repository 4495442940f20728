//! `assay wast`: scripts on subjects; the runs and reports that `assay spec` shares.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use assay_harness::Subject;
use assay_harness::campaign::IsolatedSubject;
use assay_spec_tests::report;
use assay_spec_tests::suite::{self, TestFile};
use assay_spec_tests::suite_run::{self, Options, SubjectSpec, SuiteResult};
use clap::Args;
use indicatif::ProgressBar;

use super::fuzz::parse_time;
use crate::exit::{Exit, Failure};
use crate::subjects;

/// How results are shown.
#[derive(Args)]
pub(crate) struct Output {
    /// Print results as JSON.
    #[arg(long)]
    json: bool,
    /// Write results as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Arguments of `assay wast`.
#[derive(Args)]
pub(crate) struct WastArguments {
    /// Scripts (.wast), or folders of them.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Subjects [default: interp, and jit with each collector and opt none and speed].
    #[arg(long = "subject", value_name = "SUBJECT")]
    subjects: Vec<String>,
    /// Files at a time [default: one per core].
    #[arg(long)]
    jobs: Option<usize>,
    /// Limit for one file on one subject.
    #[arg(long, default_value = "120s", value_parser = parse_time)]
    file_limit: Duration,
    #[command(flatten)]
    output: Output,
}

/// Runs scripts.
pub(crate) fn run(arguments: &WastArguments) -> Result<Exit, Failure> {
    let mut files = Vec::new();
    for path in &arguments.paths {
        if path.is_dir() {
            files.extend(suite::directory(path).map_err(Failure::bad_input)?);
        } else {
            files.push(suite::file(path).map_err(Failure::bad_input)?);
        }
    }
    let result = results(files, &arguments.subjects, &[], arguments.jobs, arguments.file_limit)?;
    show(&result, &arguments.output)
}

/// Runs `files` on the subjects, each in a child process.
pub(crate) fn results(
    files: Vec<TestFile>,
    subjects: &[String],
    filters: &[String],
    jobs: Option<usize>,
    limit: Duration,
) -> Result<SuiteResult, Failure> {
    let specs = isolated_specs(subjects, limit)?;
    let options = Options { jobs: jobs.unwrap_or(0), filters: filters.to_vec() };
    let bar = ProgressBar::new(0);
    let result = suite_run::run_suite(files, &specs, &options, &|progress| {
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
    })
    .map_err(Failure::bad_input)?;
    bar.finish_and_clear();
    if result.subjects.iter().all(|subject| subject.files.is_empty()) {
        return Err(Failure::bad_input("no file matches"));
    }
    Ok(result)
}

/// Shows results as `output` says.
pub(crate) fn show(result: &SuiteResult, output: &Output) -> Result<Exit, Failure> {
    if let Some(path) = &output.junit {
        let text = report::junit(result).map_err(Failure::internal)?;
        fs::write(path, text).map_err(|error| Failure::bad_input(format!("{}: {error}", path.display())))?;
    }
    if output.json {
        println!("{}", report::json(result).map_err(Failure::internal)?);
    } else {
        print!("{}", report::human(result));
    }
    Ok(if result.ok() { Exit::Fine } else { Exit::Finding })
}

fn isolated_specs(asked: &[String], limit: Duration) -> Result<Vec<SubjectSpec>, Failure> {
    let parsed = subjects::parse(asked)?;
    parsed
        .iter()
        .map(|inner| {
            let (name, features) = (inner.name().to_owned(), inner.supports());
            let command = subjects::worker_command(std::slice::from_ref(&name), None, 0)?;
            let again = name.clone();
            Ok(SubjectSpec::new(&name, features, move || {
                IsolatedSubject::new(&again, features, command.clone(), limit)
                    .map(|subject| Box::new(subject) as Box<dyn Subject>)
                    .map_err(|error| error.to_string())
            }))
        })
        .collect()
}
