//! Subjects from their spellings on the command line, and how to start a worker that serves them.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use assay_harness::campaign::{IsolatedSubject, Settings};
use assay_harness::peer::{self, PeerSettings, Presets};
use assay_harness::process::WorkerCommand;
use assay_harness::selfcheck;
use assay_harness::subject::{self, Shelf, Subject};
use clap::Args;

use crate::commands::fuzz::parse_time;
use crate::exit::Failure;

/// What concerns peers, of any command, as far as it is given.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Peers (other engines)")]
pub(crate) struct PeerArguments {
    /// More presets, in the form of `assay peers list --toml`.
    #[arg(long = "peers", value_name = "FILE", global = true)]
    presets: Vec<PathBuf>,
    /// Limit for one call of a peer, or one run of a command [default: 10s].
    #[arg(long, value_parser = parse_time, value_name = "TIME", global = true)]
    peer_limit: Option<Duration>,
    /// Writable memory of a peer in MiB, 0 = no limit [default: 4096].
    #[arg(long, value_name = "MIB", global = true)]
    peer_memory_mib: Option<u64>,
    /// Dead arrays of 1,000 bytes that stand for a collection in cases for peers [default: 200].
    #[arg(long, value_name = "N", global = true)]
    garbage: Option<u32>,
    /// More rounds of a case on `js:` and `proc:` peers, each over instances of its own, so that engines optimise: all must end
    /// as the first. Leaks are not looked for then [default: 0].
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u32).range(..=1000))]
    warm_up: Option<u32>,
}

/// What concerns peers.
#[derive(Clone, Debug)]
pub(crate) struct PeerOptions {
    presets: Vec<PathBuf>,
    pub(crate) peer_limit: Duration,
    peer_memory_mib: u64,
    pub(crate) garbage: u32,
    pub(crate) warm_up: u32,
}

/// Those of this process.
static ARGUMENTS: OnceLock<PeerArguments> = OnceLock::new();

/// Those of the campaign that goes on.
static RESUMED: OnceLock<Settings> = OnceLock::new();

/// Sets what the command line says of peers, once.
pub(crate) fn configure(arguments: PeerArguments) {
    // There is one command line.
    let _ = ARGUMENTS.set(arguments);
}

/// Sets what a campaign ran under that goes on, once; the command line goes before it.
pub(crate) fn resume(settings: Settings) {
    // One campaign goes on.
    let _ = RESUMED.set(settings);
}

/// What holds of peers: by the command line, the campaign that goes on, or by default.
pub(crate) fn options() -> Result<PeerOptions, Failure> {
    let given = ARGUMENTS.get().ok_or_else(|| Failure::internal("no options of peers"))?;
    let resumed = RESUMED.get().cloned().unwrap_or_default();
    let presets = if given.presets.is_empty() { resumed.peers } else { given.presets.clone() };
    let limit = given.peer_limit.or(resumed.peer_limit_ms.map(Duration::from_millis));
    Ok(PeerOptions {
        presets,
        peer_limit: limit.unwrap_or(Duration::from_secs(10)),
        peer_memory_mib: given.peer_memory_mib.or(resumed.peer_memory_mib).unwrap_or(4096),
        garbage: given.garbage.or(resumed.garbage).unwrap_or(selfcheck::GARBAGE),
        warm_up: given.warm_up.or(resumed.warm_up).unwrap_or(0),
    })
}

/// The same, for the campaign's state; its other settings are none.
pub(crate) fn settings() -> Result<Settings, Failure> {
    let PeerOptions { presets, peer_limit, peer_memory_mib, garbage, warm_up } = options()?;
    let absolute = |path: &PathBuf| {
        std::path::absolute(path).map_err(|error| Failure::bad_input(format!("{}: {error}", path.display())))
    };
    Ok(Settings {
        peers: presets.iter().map(absolute).collect::<Result<_, _>>()?,
        peer_limit_ms: Some(millis(peer_limit)),
        peer_memory_mib: Some(peer_memory_mib),
        garbage: Some(garbage),
        warm_up: Some(warm_up),
        ..Settings::default()
    })
}

/// Whole milliseconds.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
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
        warm_up: options.warm_up,
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
        ("--warm-up", options.warm_up.to_string()),
    ] {
        args.extend([name.to_owned(), value]);
    }
    Ok(WorkerCommand { program: own_path()?, args })
}

fn own_path() -> Result<PathBuf, Failure> {
    std::env::current_exe()
        .map_err(|error| Failure::internal(format!("cannot tell the program's own path: {error}")))
}
