//! Subjects from their spellings on the command line, and how to start a worker that serves them.

use std::path::PathBuf;
use std::time::Duration;

use assay_harness::campaign::IsolatedSubject;
use assay_harness::campaign::pool::WorkerCommand;
use assay_harness::subject::{self, Shelf, Subject};

use crate::exit::Failure;

/// The subjects that `specs` spell, the fuzzing defaults when there is none.
pub(crate) fn parse(specs: &[String]) -> Result<Vec<Box<dyn Subject>>, Failure> {
    let defaults = subject::defaults();
    let specs = if specs.is_empty() { &defaults } else { specs };
    let shelf = Shelf::default();
    let mut subjects = Vec::new();
    for spec in specs {
        subjects.extend(subject::parse_on(&shelf, spec).map_err(Failure::bad_input)?);
    }
    Ok(subjects)
}

/// A comparison needs two different subjects.
pub(crate) fn at_least_two(names: &[String]) -> Result<(), Failure> {
    if names.iter().any(|name| *name != names[0]) {
        return Ok(());
    }
    Err(Failure::bad_input(format!("a comparison needs two different subjects; given: {}", names.join(", "))))
}

/// The same, each in a child process of its own.
pub(crate) fn isolated(specs: &[String], limit: Duration) -> Result<Vec<Box<dyn Subject>>, Failure> {
    parse(specs)?
        .into_iter()
        .map(|inner| {
            let command = worker_command(&[inner.name().to_owned()], None, 0)?;
            let isolated = IsolatedSubject::new(inner.name(), inner.supports(), command, limit)
                .map_err(|error| Failure::internal(format!("temporary folder: {error}")))?;
            Ok(Box::new(isolated) as Box<dyn Subject>)
        })
        .collect()
}

/// How to start a worker with these subjects (their spellings), findings folder and memory limit in MiB.
pub(crate) fn worker_command(
    specs: &[String],
    findings: Option<PathBuf>,
    memory_mib: u64,
) -> Result<WorkerCommand, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::internal(format!("cannot tell the program's own path: {error}")))?;
    let mut args = vec!["worker".to_owned()];
    for spec in specs {
        args.extend(["--subject".to_owned(), spec.clone()]);
    }
    if let Some(dir) = findings {
        args.extend(["--findings".to_owned(), dir.display().to_string()]);
    }
    args.extend(["--memory-mib".to_owned(), memory_mib.to_string()]);
    Ok(WorkerCommand { program, args })
}
