//! Regression cases: engine-neutral `.wast` files by area, one symptom each.
//!
//! A file lies in `AREA/SYMPTOM.wast`, opens with a TOML header in `;;!` lines (`title`, and `origin` where the bug is
//! somebody's), and imports nothing that only this project has, so that any engine with a `.wast` runner can take it. To
//! make an engine collect, a case allocates garbage in a loop until a small heap is full, and objects of the victim's
//! size that would take its place; our own subjects also run it with a collection at every allocation.
//!
//! `tests/replay.rs` replays every file on every subject. A fixed bug adds a file that fails without the fix.

#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The areas, which are the folders.
pub const AREAS: &[&str] = &[
    "anyref-fields",
    "arrays",
    "casts",
    "cycles",
    "exceptions",
    "fibers",
    "globals-tables",
    "i31",
    "roots",
    "segments",
    "validation",
    "vectors",
];

/// One file of the corpus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorpusFile {
    /// Its folder.
    pub area: String,
    /// Its name without extension: the symptom.
    pub symptom: String,
    /// Where it is.
    pub path: PathBuf,
}

impl CorpusFile {
    /// `area/symptom`.
    pub fn label(&self) -> String {
        format!("{}/{}", self.area, self.symptom)
    }
}

/// The folder of the corpus in the checkout that this crate was built from.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `root`, sorted by label.
///
/// # Errors
/// A folder that cannot be read.
pub fn files(root: &Path) -> io::Result<Vec<CorpusFile>> {
    let mut files = Vec::new();
    for area in AREAS {
        for entry in fs::read_dir(root.join(area))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "wast") {
                let symptom = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                files.push(CorpusFile { area: (*area).to_owned(), symptom, path });
            }
        }
    }
    files.sort_by_key(CorpusFile::label);
    Ok(files)
}
