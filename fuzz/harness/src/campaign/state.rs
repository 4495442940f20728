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
