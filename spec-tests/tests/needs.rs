//! The tables of needs say exactly what the suite's modules need, as `wasmparser` sees it: a feature is in the table if
//! and only if a module that the script wants accepted is refused without it.

use std::collections::BTreeSet;

use assay_harness::Source;
use assay_harness::case::{Action, Expect};
use assay_spec_tests::{Need, TestFile, needs, suite};
use wasmparser::{Operator, Parser, Payload, Validator, WasmFeatures};

const FULL: WasmFeatures = WasmFeatures::WASM3.union(WasmFeatures::LEGACY_EXCEPTIONS);

fn flag(need: Need) -> WasmFeatures {
    match need {
        Need::Gc => WasmFeatures::GC,
        Need::Simd => WasmFeatures::SIMD.union(WasmFeatures::RELAXED_SIMD),
        Need::Exceptions => WasmFeatures::EXCEPTIONS,
        Need::LegacyExceptions => WasmFeatures::LEGACY_EXCEPTIONS,
        Need::TailCalls => WasmFeatures::TAIL_CALL,
        Need::Memory64 => WasmFeatures::MEMORY64,
        Need::MultiMemory => WasmFeatures::MULTI_MEMORY,
    }
}

fn accepts(features: WasmFeatures, bytes: &[u8]) -> bool {
    Validator::new_with_features(features).validate_all(bytes).is_ok()
}

/// `wasmparser` takes `return_call_ref` for a part of function references alone.
fn has_return_call_ref(bytes: &[u8]) -> bool {
    Parser::new(0).parse_all(bytes).any(|payload| {
        let Ok(Payload::CodeSectionEntry(body)) = payload else { return false };
        let Ok(operators) = body.get_operators_reader() else { return false };
        operators.into_iter().any(|operator| matches!(operator, Ok(Operator::ReturnCallRef { .. })))
    })
}

/// What the modules of `file` need.
fn measured(file: &TestFile) -> BTreeSet<Need> {
    let case = file.case().expect("a script of the suite");
    let mut found = BTreeSet::new();
    for step in &case.steps {
        if matches!(step.expect, Expect::Reject(stage) if stage != assay_harness::RejectStage::Unlinkable) {
            continue;
        }
        let (Action::Module { source, .. } | Action::Define { source, .. } | Action::Link { source }) =
            &step.action
        else {
            continue;
        };
        let Source::Binary(bytes) = source else { continue };
        assert!(accepts(FULL, bytes), "{}:{}: not valid in WebAssembly 3.0", file.label(), step.line);
        if has_return_call_ref(bytes) {
            found.insert(Need::TailCalls);
        }
        found.extend(Need::ALL.into_iter().filter(|need| !accepts(FULL.difference(flag(*need)), bytes)));
    }
    found
}

fn check(files: Vec<TestFile>) {
    let mut wrong = Vec::new();
    let mut labels = BTreeSet::new();
    for file in files {
        labels.insert(file.label());
        let Ok(stated) = needs::needs(&file.dir, &file.name) else { continue };
        let stated: BTreeSet<Need> = stated.into_iter().collect();
        let found = measured(&file);
        // A directory may hold a file that would do with less (`memory_size3.wast`); a row for a single file may not.
        let of_directory: BTreeSet<Need> =
            needs::needs(&file.dir, "").unwrap_or_default().into_iter().collect();
        let needless = stated.difference(&found).any(|need| !of_directory.contains(need));
        if !found.is_subset(&stated) || needless {
            wrong.push(format!("{}: stated {stated:?}, found {found:?}", file.label()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_tables_fit_the_embedded_suite() {
    check(suite::embedded());
}

#[test]
fn the_tables_fit_a_checkout() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/spec-suite");
    if root.exists() {
        let files = suite::directory(&root).expect("a readable checkout");
        assert_eq!(files.iter().filter(|file| file.dir.starts_with("core")).count(), 258);
        for (label, _) in needs::FILES {
            assert!(files.iter().any(|file| file.label() == *label), "no file for the row {label}");
        }
        check(files);
    }
}
