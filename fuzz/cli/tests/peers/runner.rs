//! A program that runs `.wast` scripts, with the reference interpreter or not at all, and what comes of each way to fail.

use std::process::ExitCode;
use std::time::Duration;

use assay_harness::compare::{FindingKind, Verdict, check_expectations};
use assay_harness::peer::{self, Presets};
use assay_harness::subject::InterpSubject;
use assay_harness::{Case, Outcome, Subject};
use libtest_mimic::Failed;

use super::{CASE, against, fake::TRIGGER, own_path, settings};

/// Runs `file` as the mode says; scripts that do not call the trigger are run honestly.
pub(crate) fn run(mode: &str, file: &str) -> ExitCode {
    let text = std::fs::read_to_string(file).unwrap();
    let case = Case::parse(&text, file).unwrap();
    let line = |needle: &str| text.lines().position(|line| line.contains(needle)).map(|at| at + 1);
    if let Some(line) = line(TRIGGER) {
        match mode {
            "fails" => {
                eprintln!("Error: failed directive on {file}:{line}\n  expected 1, got 2");
                return ExitCode::from(1);
            }
            "fails-silently" => return ExitCode::from(1),
            "runs-out-of-heap" => {
                eprintln!("Error: {file}:{line}: GC heap out of memory");
                return ExitCode::from(1);
            }
            "aborts" => std::process::abort(),
            "panics" => {
                eprintln!("thread 'main' panicked at engine.rs:1:1");
                return ExitCode::from(101);
            }
            "hangs" => std::thread::sleep(Duration::from_secs(100)),
            _ => {}
        }
    }
    let seen = InterpSubject::default().observe(&case);
    for (step, verdict) in check_expectations(&case, "interp", &seen).into_iter().enumerate() {
        if verdict != Verdict::Pass {
            eprintln!("{file}:{}: {verdict:?}", case.steps[step].line);
            return ExitCode::from(1);
        }
    }
    ExitCode::SUCCESS
}

pub(crate) fn misbehaviours() -> Result<(), Failed> {
    let case = Case::parse(CASE, "case").unwrap();
    for (mode, kind, text, step) in [
        ("honest", None, "", None),
        ("fails", Some(FindingKind::ExpectationFailed), "expected 1, got 2", Some(2)),
        ("fails-silently", Some(FindingKind::ExpectationFailed), "refuted", Some(0)),
        ("aborts", Some(FindingKind::Crash), "SIGABRT", Some(0)),
        ("panics", Some(FindingKind::Crash), "panicked at engine.rs", Some(0)),
        ("hangs", Some(FindingKind::Crash), "no reply within", Some(0)),
        ("runs-out-of-heap", None, "", None),
    ] {
        let spelling = format!("cmd:'{}' fake-runner {mode} {{}}", own_path());
        let mut peer = peer::parse(&spelling, &Presets::built_in().unwrap(), &settings()).unwrap();
        assert!(peer.supports().gc && peer.supports().exceptions, "{mode}");
        let (comparison, seen) = against(&mut *peer, &case);
        assert_eq!(seen.outcomes.len(), case.steps.len());
        let found = comparison.findings.first();
        assert_eq!(found.map(|finding| finding.kind), kind, "{mode}: {:#?}", comparison.findings);
        assert!(
            found.is_none_or(|finding| finding.text.contains(text) && finding.step == step),
            "{mode}: {found:#?}"
        );
        if mode == "honest" {
            assert!(comparison.compared[peer.name()].whole, "{:?}", seen.outcomes);
        }
        if mode == "runs-out-of-heap" {
            assert!(comparison.discards.len() == 1 && !comparison.compared[peer.name()].whole);
        }
        if mode == "fails" {
            assert!(
                matches!(seen.outcomes[1], Outcome::Returned { .. })
                    && matches!(seen.outcomes[3], Outcome::Unsupported(_))
            );
        }
    }
    Ok(())
}
