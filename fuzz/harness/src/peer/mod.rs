//! Other people's engines as subjects.
//!
//! ```text
//! case ─ selfcheck::for_peers ─ plain case ┬─ adapter (proc:, js:): a process that speaks fuzz/adapters/protocol.md, one call at a time
//!                                          └─ command (cmd:): a program that runs .wast, the interpreter's values expected
//! ```
//! A **plain** case imports nothing of the harness and passes numbers only, so that any engine can run it. `preset` names engines and
//! holds, as data, the differences that are permitted to them; `spell` turns spellings into subjects. Every peer is a child
//! process with limits: a crash, silence or nonsense on the pipe is an outcome.

mod adapter;
mod command;
mod exports;
mod preset;
pub mod protocol;
mod spell;
mod words;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use adapter::AdapterSubject;
pub use command::CommandSubject;
pub(crate) use exports::Exports;
pub use preset::{Permission, Preset, Presets, Profile};
pub use spell::{is_peer, parse};

use crate::process::{Death, WorkerCommand};

/// Limits of a peer's process.
#[derive(Clone, Debug)]
pub struct PeerSettings {
    /// For its start.
    pub start: Duration,
    /// For one request, or for one run of a command.
    pub call: Duration,
    /// What stands before the peer's command: a program that sets limits and then becomes the command.
    pub launcher: Option<WorkerCommand>,
    /// More rounds of a case behind an adapter, each over instances of its own, while the engine optimises the code for what it has
    /// seen: all must end as the first. No more begin when they have taken as long as a call may.
    pub warm_up: u32,
}

impl Default for PeerSettings {
    fn default() -> Self {
        PeerSettings {
            start: Duration::from_secs(60),
            call: Duration::from_secs(10),
            launcher: None,
            warm_up: 0,
        }
    }
}

impl PeerSettings {
    /// The command behind the launcher, if there is one.
    fn limited(&self, command: &WorkerCommand) -> WorkerCommand {
        let Some(launcher) = &self.launcher else { return command.clone() };
        let mut args = launcher.args.clone();
        args.push(command.program.display().to_string());
        args.extend(command.args.iter().cloned());
        WorkerCommand { program: launcher.program.clone(), args }
    }
}

/// Why a peer is no subject.
#[derive(Debug)]
pub enum PeerError {
    /// It died at the start.
    Death(Death),
    /// Its first reply is no hello.
    Hello(String),
    /// A spelling without a command, or with quotes that do not close.
    Spelling(String),
    /// No preset has the name.
    Unknown(String),
    /// A file of presets that cannot be used.
    Presets(PathBuf, String),
    /// No temporary folder.
    Folder(std::io::Error),
    /// It claims a feature and fails its proof.
    Unproven(&'static str, String),
    /// It passes assertions that are false.
    Judgeless,
    /// It runs nothing at all.
    Useless(String),
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerError::Death(death) => write!(f, "{death}"),
            PeerError::Hello(why) => write!(f, "the adapter's hello: {why}"),
            PeerError::Spelling(why) => f.write_str(why),
            PeerError::Unknown(name) => write!(f, "no peer is named {name:?}; `assay peers list` shows them"),
            PeerError::Presets(path, why) => write!(f, "{}: {why}", path.display()),
            PeerError::Folder(error) => write!(f, "temporary folder: {error}"),
            PeerError::Unproven(feature, why) => write!(f, "it claims {feature} and fails the proof: {why}"),
            PeerError::Judgeless => f.write_str(
                "it passes an assertion that is false: does it run scripts, and tell by its exit code?",
            ),
            PeerError::Useless(why) => write!(f, "it does not even run a module without features: {why}"),
        }
    }
}

impl std::error::Error for PeerError {}

/// Whether an import comes from the harness or from the official suite's host module.
pub(crate) fn is_host(module: &str) -> bool {
    matches!(module, "assay" | "spectest")
}
