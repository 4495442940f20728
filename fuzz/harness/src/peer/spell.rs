//! Peers by their spelling: `proc:COMMAND`, `js:SHELL FLAGS…`, `cmd:COMMAND {}`, `peer:NAME`. Words are split as a shell does, nothing is
//! expanded. The spelling is the subject's name.

use super::{AdapterSubject, CommandSubject, PeerError, PeerSettings, Presets};
use crate::Subject;
use crate::process::WorkerCommand;
use crate::subject::proof;

/// The adapter of JavaScript shells.
const SHELL_ADAPTER: &str = include_str!("../../../adapters/shell.js");

const FAMILIES: [&str; 4] = ["proc:", "js:", "cmd:", "peer:"];

/// Whether the spelling is a peer's.
pub fn is_peer(spelling: &str) -> bool {
    FAMILIES.iter().any(|family| spelling.trim().starts_with(family))
}

/// The peer of this spelling, started, its features proven.
///
/// # Errors
/// Why there is none.
pub fn parse(
    spelling: &str,
    presets: &Presets,
    settings: &PeerSettings,
) -> Result<Box<dyn Subject>, PeerError> {
    let spelling = spelling.trim();
    let inner = match spelling.strip_prefix("peer:") {
        Some(name) => &presets.find(name).ok_or_else(|| PeerError::Unknown(name.to_owned()))?.subject,
        None => spelling,
    };
    let family = FAMILIES.iter().take(3).find(|family| inner.starts_with(**family));
    let Some((family, words)) = family.and_then(|family| Some((*family, inner.strip_prefix(family)?))) else {
        return Err(PeerError::Spelling(format!("{inner:?} is no spelling of a peer: proc:, js: or cmd:")));
    };
    let words = shlex::split(words)
        .ok_or_else(|| PeerError::Spelling(format!("{inner:?}: quotes that do not close")))?;
    let Some((program, args)) = words.split_first() else {
        return Err(PeerError::Spelling(format!("{inner:?}: a command must stand behind {family}")));
    };
    let mut command = WorkerCommand { program: program.into(), args: args.to_vec() };
    if family == "cmd:" {
        let mut subject = CommandSubject::new(spelling, command, presets.profile(inner), settings)?;
        if subject.passes(proof::FALSE).map_err(PeerError::Useless)? {
            return Err(PeerError::Judgeless);
        }
        let features = proof::find_out(&mut subject).map_err(PeerError::Useless)?;
        subject.has(features);
        return Ok(Box::new(subject));
    }
    let folder = if family == "js:" {
        let folder = tempfile::tempdir().map_err(PeerError::Folder)?;
        let file = folder.path().join("shell.js");
        std::fs::write(&file, SHELL_ADAPTER).map_err(PeerError::Folder)?;
        if command.program.file_stem().is_some_and(|name| name == "deno") {
            command.args.insert(0, "run".to_owned());
        }
        command.args.push(file.display().to_string());
        Some(folder)
    } else {
        None
    };
    let mut subject = AdapterSubject::new(spelling, command, folder, presets, settings)?;
    proof::prove(&mut subject).map_err(|(feature, why)| PeerError::Unproven(feature, why))?;
    // What it has and does not claim is used too.
    let found = proof::find_out(&mut subject).map_err(PeerError::Useless)?;
    subject.has(found);
    Ok(Box::new(subject))
}
