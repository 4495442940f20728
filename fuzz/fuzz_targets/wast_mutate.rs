//! `cargo fuzz run wast_mutate`: scripts of the official suite that are about objects and exceptions, and those of the corpus, with
//! changed types, instructions, bytes, arguments, calls and schedules.
//!
//! It can find: faults a step beside what people thought of testing, in constructs that no generator emits and in modules
//! that are linked; invalid modules that one side takes. It cannot find what needs large programs. What the scripts
//! assert is not held against a mutant: subjects are compared with each other.
#![no_main]

mod glue;

use std::path::Path;
use std::sync::OnceLock;

use assay_harness::{Case, scripts};
use assay_spec_tests::suite;
use libfuzzer_sys::fuzz_target;

/// Folders of the official suite whose files are all taken.
const FOLDERS: [&str; 2] = ["core/gc", "core/exceptions"];

/// In the order of their names, the embedded ones first. Without a checkout around the program there is no corpus.
fn seeds() -> Vec<Case> {
    let corpus = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../corpus"));
    let embedded = suite::embedded().into_iter().filter(|file| FOLDERS.contains(&file.dir.as_str()));
    let files = embedded.chain(suite::directory(corpus).unwrap_or_default());
    let cases: Vec<Case> = files.filter_map(|file| file.case().ok()).collect();
    assert!(cases.len() > 20, "nothing to mutate: {} scripts", cases.len());
    cases
}

static SCRIPTS: OnceLock<Vec<Case>> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    if let Some(case) = scripts::mutant(data, SCRIPTS.get_or_init(seeds)) {
        glue::examine(&case);
    }
});
