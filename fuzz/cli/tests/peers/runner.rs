//! A program that runs `.wast` scripts, with the reference interpreter or not at all, and what comes of each way to fail.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use assay_harness::compare::{FindingKind, Verdict, check_expectations, compare};
use assay_harness::peer::{self, Presets};
use assay_harness::subject::InterpSubject;
use assay_harness::{Case, Observation, Outcome, Subject};
use libtest_mimic::Failed;

use super::{CASE, against, fake::TRIGGER, own_path, settings};

/// Runs `file` as the mode says; scripts that do not call the trigger are run honestly, but by modes that look at their length. Of each run a line
/// goes to `log`.
pub(crate) fn run(mode: &str, file: &str, log: Option<&str>) -> ExitCode {
    let text = std::fs::read_to_string(file).unwrap();
    let case = Case::parse(&text, file).unwrap();
    if let Some(log) = log {
        let mut log = std::fs::File::options().append(true).create(true).open(log).unwrap();
        writeln!(log, "{}", case.steps.len()).unwrap();
    }
    let lines = |needle: &str| {
        let holds = |(_, line): &(usize, &str)| line.contains(needle);
        text.lines().enumerate().filter(holds).map(|(at, _)| at + 1).collect::<Vec<_>>()
    };
    // Each call is a line.
    let (triggers, modules) = (lines(TRIGGER), lines("(module"));
    let company = modules.len() > 1;
    let told = |line: usize, what: &str| {
        eprintln!("Error: failed directive on {file}:{line}\n  {what}");
        ExitCode::from(1)
    };
    if let Some(line) = triggers.first() {
        match mode {
            "fails" => return told(*line, "expected 1, got 2"),
            "fails-silently" => return ExitCode::from(1),
            "runs-out-of-heap" => return told(*line, "GC heap out of memory"),
            "aborts" => std::process::abort(),
            "panics" => {
                eprintln!("thread 'main' panicked at engine.rs:1:1");
                return ExitCode::from(101);
            }
            "hangs" => std::thread::sleep(Duration::from_secs(100)),
            "aborts-on-the-second" if triggers.len() > 1 => std::process::abort(),
            "fails-on-the-second" if triggers.len() > 1 => return told(triggers[1], "expected 1, got 2"),
            "hangs-on-the-second" if triggers.len() > 1 => std::thread::sleep(Duration::from_secs(100)),
            _ => {}
        }
    }
    match mode {
        "has-little-room" if modules.len() > 3 => return told(modules[3], "GC heap out of memory"),
        "has-little-room-and-says-not-where" if modules.len() > 3 => {
            eprintln!("GC heap out of memory");
            return ExitCode::from(1);
        }
        "names-the-wrong-line" if company => return told(1, "expected 1, got 2"),
        "is-slow" => std::thread::sleep(Duration::from_millis(100) * modules.len() as u32),
        "hangs-in-company" if modules.len() > 3 => std::thread::sleep(Duration::from_secs(100)),
        _ => {}
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

/// The spelling of a peer with this mode.
pub(crate) fn spelled(mode: &str) -> String {
    format!("cmd:'{}' fake-runner {mode} {{}}", own_path())
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
        let mut peer = peer::parse(&spelled(mode), &Presets::built_in().unwrap(), &settings()).unwrap();
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

/// A case of which no step's end can be asserted is no script: the program is not run for it, and nothing is found.
pub(crate) fn nothing_to_run() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log").display().to_string();
    let spelling = format!("{} '{log}'", spelled("fails-silently"));
    let mut peer = peer::parse(&spelling, &Presets::built_in().unwrap(), &settings()).unwrap();
    assert!(peer.supports().gc);
    std::fs::write(&log, "")?;
    let text = "(module (tag $tag) (func $throws (throw $tag)) (start $throws))";
    let case = Case::parse(text, "case").unwrap();
    let (comparison, seen) = against(&mut *peer, &case);
    assert!(matches!(seen.outcomes[..], [Outcome::Unsupported(_)]), "{:?}", seen.outcomes);
    assert!(comparison.findings.is_empty(), "{:#?}", comparison.findings);
    assert!(peer.observe_batch(&[case.clone(), case]).company.is_empty());
    let comment = Case::parse(";;@ collect\n", "case").unwrap();
    assert!(comment.steps.len() == 1 && against(&mut *peer, &comment).0.findings.is_empty());
    assert_eq!(std::fs::read_to_string(&log)?, "");
    Ok(())
}

/// Modules that make no instance are asserted to make none.
pub(crate) fn modules_that_fail() -> Result<(), Failed> {
    for (text, end) in [
        (r#"(module $m (import "nobody" "f" (func)))"#, "Unlinkable"),
        ("(module $m (func $f unreachable) (start $f))", "Unreachable"),
        (r#"(assert_invalid (module (func (result i32))) "")"#, "Invalid"),
        // Nothing can assert this one.
        (r#"(module definition $d (import "nobody" "f" (func))) (module instance $m $d)"#, "Done"),
    ] {
        let case = Case::parse(text, "case").unwrap();
        let mut peer = peer::parse(&spelled("honest"), &Presets::built_in().unwrap(), &settings()).unwrap();
        let (comparison, seen) = against(&mut *peer, &case);
        assert!(comparison.findings.is_empty(), "{text}: {:#?}", comparison.findings);
        assert!(format!("{:?}", seen.outcomes[0]).contains(end), "{text}: {:?}", seen.outcomes);
    }
    Ok(())
}

/// Eleven cases of one module each, of which `loud` call the trigger.
pub(crate) fn cases(loud: &[usize]) -> Vec<Case> {
    let quiet = CASE.replace(TRIGGER, "another");
    let text = |number| if loud.contains(&number) { CASE } else { quiet.as_str() };
    (0..11).map(|number| Case::parse(text(number), "case").unwrap()).collect()
}

pub(crate) fn batches() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    // How many fail, how often the program is run at most, and what is seen in company alone.
    for (mode, loud, failing, most, company) in [
        ("honest", &[4][..], 0, 1, None),
        ("fails", &[4], 1, 3, None),
        ("fails", &[0, 5, 10], 3, 6, None),
        ("fails-silently", &[4], 1, 9, None),
        ("aborts", &[4], 1, 9, None),
        ("aborts", &[0, 1, 2], 3, 12, None),
        ("panics", &[10], 1, 9, None),
        ("hangs", &[2], 1, 12, None),
        ("runs-out-of-heap", &[6], 1, 4, None),
        ("has-little-room", &[], 0, 4, None),
        ("has-little-room-and-says-not-where", &[], 0, 7, None),
        ("is-slow", &[], 0, 13, None),
        ("aborts-on-the-second", &[3, 4], 0, 20, Some((FindingKind::Crash, "SIGABRT"))),
        ("aborts-on-the-second", &[3, 9], 0, 3, Some((FindingKind::Crash, "SIGABRT"))),
        ("fails-on-the-second", &[3, 9], 0, 4, Some((FindingKind::ExpectationFailed, "expected 1, got 2"))),
        ("hangs-on-the-second", &[3, 9], 0, 13, Some((FindingKind::Crash, "no reply within"))),
        ("names-the-wrong-line", &[], 0, 21, Some((FindingKind::ExpectationFailed, "expected 1, got 2"))),
    ] {
        let log = folder.path().join(format!("{mode}-{}", loud.len())).display().to_string();
        let spelling = format!("{} '{log}'", spelled(mode));
        let mut peer = peer::parse(&spelling, &Presets::built_in().unwrap(), &settings()).unwrap();
        assert!(peer.batch() > 1);
        let cases = cases(loud);
        std::fs::write(&log, "")?;
        let seen = peer.observe_batch(&cases);
        let runs = std::fs::read_to_string(&log)?.lines().count();
        assert!(runs <= most, "{mode} {loud:?}: {runs} runs");
        let alone: Vec<Observation> = cases.iter().map(|case| peer.observe(case)).collect();
        assert_eq!(seen.observations, alone, "{mode} {loud:?}");
        let mut reference = InterpSubject::default();
        let fails = |seen: &&Observation| {
            let ends_badly = |outcome: &Outcome| {
                matches!(outcome, Outcome::Crashed(_) | Outcome::Refuted(_) | Outcome::Exhausted(_))
            };
            seen.outcomes.iter().any(ends_badly)
        };
        assert_eq!(alone.iter().filter(fails).count(), failing, "{mode} {loud:?}");
        assert_eq!(!seen.company.is_empty(), company.is_some(), "{mode} {loud:?}: {:?}", seen.company);
        for together in &seen.company {
            let expected = reference.observe(&together.case);
            let pair = [("interp", &expected), ("cmd", &together.observation)];
            let findings = compare(&together.case, &pair).findings;
            let (kind, text) = company.unwrap();
            assert!(
                matches!(&findings[..], [only] if only.kind == kind && only.text.contains(text)),
                "{mode}: {findings:#?}"
            );
            assert!(together.members > 1 && together.members <= cases.len());
            // The case by itself shows it, from its text too.
            let again = Case::parse(&together.case.to_wast(), "again").unwrap();
            let again = peer.observe(&again);
            let without_times = |seen: &Observation| match seen.outcomes.last() {
                Some(Outcome::Crashed(how)) => how.split_whitespace().next().unwrap().to_owned(),
                outcome => format!("{outcome:?}"),
            };
            assert_eq!(without_times(&again), without_times(&together.observation), "{mode}");
        }
    }
    Ok(())
}
