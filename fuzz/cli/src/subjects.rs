//! Subjects from their spellings on the command line, and how to start a worker that serves them.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use assay_harness::campaign::IsolatedSubject;
use assay_harness::peer::{self, PeerSettings, Presets};
use assay_harness::process::WorkerCommand;
use assay_harness::selfcheck;
use assay_harness::subject::{self, Shelf, Subject};
use clap::Args;

use crate::commands::fuzz::parse_time;
use crate::exit::Failure;

/// What concerns peers, of any command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Peers (other engines)")]
pub(crate) struct PeerOptions {
    /// More presets, in the form of `assay peers list --toml`.
    #[arg(long = "peers", value_name = "FILE", global = true)]
    presets: Vec<PathBuf>,
    /// Limit for one call of a peer, or one run of a command.
    #[arg(long, default_value = "10s", value_parser = parse_time, value_name = "TIME", global = true)]
    pub(crate) peer_limit: Duration,
    /// Writable memory of a peer in MiB, 0 = no limit.
    #[arg(long, default_value_t = 4096, value_name = "MIB", global = true)]
    peer_memory_mib: u64,
    /// Dead arrays of 1,000 bytes that stand for a collection in cases for peers.
    #[arg(long, default_value_t = selfcheck::GARBAGE, value_name = "N", global = true)]
    pub(crate) garbage: u32,
}

/// Those of this process.
static OPTIONS: OnceLock<PeerOptions> = OnceLock::new();

/// Sets what concerns peers, once.
pub(crate) fn configure(options: PeerOptions) {
    // There is one command line.
    let _ = OPTIONS.set(options);
}

/// What the command line says of peers.
pub(crate) fn options() -> Result<&'static PeerOptions, Failure> {
    OPTIONS.get().ok_or_else(|| Failure::internal("no options of peers"))
}

/// Ours, and those of the files given.
pub(crate) fn presets() -> Result<Presets, Failure> {
    let mut presets = Presets::built_in().map_err(Failure::internal)?;
    for path in &options()?.presets {
        presets.read(path).map_err(Failure::bad_input)?;
    }
    Ok(presets)
}

fn peer_settings() -> Result<PeerSettings, Failure> {
    let options = options()?;
    let args = ["launch", "--memory-mib", &options.peer_memory_mib.to_string(), "--"].map(str::to_owned);
    Ok(PeerSettings {
        call: options.peer_limit,
        launcher: Some(WorkerCommand { program: own_path()?, args: args.to_vec() }),
        ..PeerSettings::default()
    })
}

/// The subjects that `specs` spell, the fuzzing defaults when there is none.
pub(crate) fn parse(specs: &[String]) -> Result<Vec<Box<dyn Subject>>, Failure> {
    let defaults = subject::defaults();
    let specs = if specs.is_empty() { &defaults } else { specs };
    let shelf = Shelf::default();
    let mut subjects = Vec::new();
    for spec in specs {
        if peer::is_peer(spec) {
            let started = peer::parse(spec, &presets()?, &peer_settings()?);
            subjects.push(started.map_err(|error| Failure::bad_input(format!("{spec}: {error}")))?);
        } else {
            subjects.extend(subject::parse_on(&shelf, spec).map_err(Failure::bad_input)?);
        }
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

/// The same, each in a child process of its own; peers have one already.
pub(crate) fn isolated(specs: &[String], limit: Duration) -> Result<Vec<Box<dyn Subject>>, Failure> {
    parse(specs)?
        .into_iter()
        .map(|inner| {
            if peer::is_peer(inner.name()) {
                return Ok(inner);
            }
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
    let options = options()?;
    let mut args = vec!["worker".to_owned()];
    for spec in specs {
        args.extend(["--subject".to_owned(), spec.clone()]);
    }
    if let Some(dir) = findings {
        args.extend(["--findings".to_owned(), dir.display().to_string()]);
    }
    for path in &options.presets {
        args.extend(["--peers".to_owned(), path.display().to_string()]);
    }
    for (name, value) in [
        ("--memory-mib", memory_mib.to_string()),
        ("--peer-memory-mib", options.peer_memory_mib.to_string()),
        ("--peer-limit", format!("{}ms", options.peer_limit.as_millis())),
        ("--garbage", options.garbage.to_string()),
    ] {
        args.extend([name.to_owned(), value]);
    }
    Ok(WorkerCommand { program: own_path()?, args })
}

fn own_path() -> Result<PathBuf, Failure> {
    std::env::current_exe()
        .map_err(|error| Failure::internal(format!("cannot tell the program's own path: {error}")))
}
