//! `assay worker`: the child's side of a campaign.

use std::io::{self, BufReader};
use std::path::PathBuf;

use assay_harness::campaign::worker::{self, WorkerConfig};
use clap::Args;

use crate::exit::{Exit, Failure};
use crate::subjects;

/// Arguments of the hidden worker command.
#[derive(Args)]
pub(crate) struct WorkerArguments {
    /// Subjects.
    #[arg(long = "subject")]
    subjects: Vec<String>,
    /// Folder of findings.
    #[arg(long)]
    findings: Option<PathBuf>,
    /// Limit of writable memory, 0 = none.
    #[arg(long, default_value_t = 0)]
    memory_mib: u64,
    /// Generated cases take their self-checking form.
    #[arg(long)]
    self_checking: bool,
}

/// Serves until standard input ends.
pub(crate) fn run(arguments: &WorkerArguments) -> Result<Exit, Failure> {
    let mut subjects = subjects::parse(&arguments.subjects)?;
    let options = subjects::options()?;
    let config = WorkerConfig {
        findings: arguments.findings.clone(),
        memory_limit: arguments.memory_mib << 20,
        self_checking: arguments.self_checking,
        garbage: options.garbage,
        warm_up: options.warm_up,
    };
    worker::serve(&mut subjects, &config, BufReader::new(io::stdin()), io::stdout())
        .map_err(|error| Failure::internal(format!("worker pipe: {error}")))?;
    Ok(Exit::Fine)
}
