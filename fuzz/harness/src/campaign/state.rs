//! Where a campaign stands, on disk: what a killed one needs to go on.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::findings::write_whole;

/// The state, as JSON in the output folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The campaign's seed.
    pub seed: u64,
    /// Names of the generators, taken in turn.
    pub generators: Vec<String>,
    /// Spellings of the subjects.
    pub subjects: Vec<String>,
    /// Whether cases take their self-checking form.
    pub self_checking: bool,
    /// Number of the next case.
    pub next: u64,
    /// What it runs under; files of before it was kept have none.
    #[serde(default)]
    pub settings: Settings,
}

/// Limits and what concerns peers; none = as the program at hand has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Milliseconds for one case on all subjects, without what is added for peers.
    pub case_limit_ms: Option<u64>,
    /// Writable memory of a worker in MiB, 0 = no limit.
    pub memory_mib: Option<u64>,
    /// Cases that a worker gets at once.
    pub batch: Option<u32>,
    /// Schedules of each program, by which `next` says which program is the next.
    pub schedules: Option<u64>,
    /// Files of presets, their absolute paths.
    pub peers: Vec<PathBuf>,
    /// Milliseconds for one call of a peer, or one run of a command.
    pub peer_limit_ms: Option<u64>,
    /// Writable memory of a peer in MiB, 0 = no limit.
    pub peer_memory_mib: Option<u64>,
    /// Dead arrays of 1,000 bytes that stand for a collection.
    pub garbage: Option<u32>,
    /// More rounds on peers behind adapters.
    pub warm_up: Option<u32>,
}

impl State {
    /// The file in an output folder.
    pub fn path(out: &Path) -> PathBuf {
        out.join("campaign.json")
    }

    /// Reads it.
    ///
    /// # Errors
    /// Those of the file, and JSON that is none.
    pub fn read(out: &Path) -> io::Result<State> {
        Ok(serde_json::from_str(&std::fs::read_to_string(Self::path(out))?)?)
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// Those of the file.
    pub fn write(&self, out: &Path) -> io::Result<()> {
        write_whole(&Self::path(out), &serde_json::to_string_pretty(self)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_before_settings_were_kept_are_read() {
        let old =
            r#"{"seed":7,"generators":["objects"],"subjects":["interp"],"self_checking":false,"next":3}"#;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(State::path(dir.path()), old).unwrap();
        let mut state = State::read(dir.path()).unwrap();
        assert_eq!((state.next, &state.settings), (3, &Settings::default()));
        state.settings = Settings { garbage: Some(9), peers: vec!["/a.toml".into()], ..Settings::default() };
        state.write(dir.path()).unwrap();
        assert_eq!(State::read(dir.path()).unwrap(), state);
    }
}
