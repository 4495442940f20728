//! The rules that a file of the corpus keeps: a header with a title, valid modules, no import that only this project
//! has, an assertion at least, and areas without strays. Fibers are this project's own: their area may count fuel and import
//! what suspends them, and other engines leave it out.

use assay_harness::case::{Action, Expect, Source};
use assay_harness::{Case, RejectStage, selfcheck};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// What the subjects take: WebAssembly 3.0.
fn features() -> WasmFeatures {
    WasmFeatures::WASM3.difference(WasmFeatures::THREADS)
}

/// Files with a valid module that wasmparser refuses, against the specification.
const REFUSED_BY_WASMPARSER: &[&str] = &["validation/a-group-of-no-locals-has-no-type"];

#[test]
fn every_file_keeps_the_rules() {
    let files = assay_corpus::files(&assay_corpus::root()).expect("a readable corpus");
    assert!(files.len() >= 25, "only {} files", files.len());
    for file in files {
        let label = file.label();
        let text = std::fs::read_to_string(&file.path).expect("a readable file");
        let case = Case::parse(&text, &label).unwrap_or_else(|error| panic!("{error}"));
        assert!(case.schedule.title.is_some(), "{label}: no title");
        let fibers = file.area == "fibers";
        assert_eq!(case.schedule.fibers > 0, fibers, "{label}: fibers have their own area");
        assert!(
            fibers || case.schedule.fuel.is_none() && case.schedule.gc_heap_max.is_none(),
            "{label}: needs settings that other engines lack"
        );
        // In such a call an engine's exhaustion is a finding, so nothing may be left behind.
        assert_ne!(
            selfcheck::steady(&case),
            Some(false),
            "{label}: a call named \"repeat ...\" leaves objects or cycles behind"
        );
        let mut refused = 0;
        let asserts = case.steps.iter().filter(|step| !matches!(step.expect, Expect::Any | Expect::Success));
        assert!(asserts.count() > 0, "{label}: asserts nothing");
        for step in &case.steps {
            let (Action::Module { source, .. }
            | Action::Define { source, .. }
            | Action::Link { source }
            | Action::Check { source }) = &step.action
            else {
                continue;
            };
            let Source::Binary(bytes) = source else { continue };
            let wanted =
                !matches!(step.expect, Expect::Reject(RejectStage::Malformed | RejectStage::Invalid));
            let validated = Validator::new_with_features(features()).validate_all(bytes).map(|_| ());
            if wanted && validated.is_err() && REFUSED_BY_WASMPARSER.contains(&label.as_str()) {
                refused += 1;
                continue;
            }
            assert_eq!(validated.is_ok(), wanted, "{label}:{}: {validated:?}", step.line);
            for payload in Parser::new(0).parse_all(bytes) {
                let Ok(Payload::ImportSection(imports)) = payload else { continue };
                for import in imports.into_imports() {
                    let import = import.expect("validated");
                    let own = import.module == "assay";
                    assert!(fibers || !own, "{label}:{}: imports from the harness", step.line);
                }
            }
        }
        assert_eq!(
            refused > 0,
            REFUSED_BY_WASMPARSER.contains(&label.as_str()),
            "{label}: {refused} refused"
        );
    }
}

#[test]
fn every_folder_is_an_area() {
    for entry in std::fs::read_dir(assay_corpus::root()).expect("a readable folder") {
        let entry = entry.expect("a readable entry");
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() && !["src", "tests"].contains(&name.as_str()) {
            assert!(assay_corpus::AREAS.contains(&name.as_str()), "{name} is no area");
        }
    }
}
