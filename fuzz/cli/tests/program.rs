//! The program as people and scripts meet it: exit codes, deaths of workers and of the parent.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn assay(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_assay")).args(args).output().expect("the program starts")
}

fn code(args: &[&str]) -> i32 {
    let output = assay(args);
    let code = output.status.code().unwrap_or(-1);
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(!shown.contains("panicked"), "{args:?}: {shown}");
    code
}

fn file(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).expect("a temporary file");
    path.display().to_string()
}

fn wasts(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "wast"))
        .collect()
}

const FACTORIAL: &str = "(module (func (export \"fac\") (param i64) (result i64)
    (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 1))
      (else (i64.mul (local.get 0) (call 0 (i64.sub (local.get 0) (i64.const 1)))))))
  (func (export \"die\") unreachable))";

#[test]
fn run_prints_results_and_tells_failures_apart() {
    let dir = tempfile::tempdir().unwrap();
    let module = file(dir.path(), "fac.wat", FACTORIAL);
    let output = assay(&["run", "-C", "gc-stress", &module, "--invoke", "fac", "10"]);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"3628800\n"[..]));
    assert_eq!(code(&["run", &module, "--invoke", "die"]), 1);
    assert_eq!(code(&["run", &module, "--invoke", "nothing"]), 2);
    assert_eq!(code(&["run", &module, "--invoke", "fac"]), 2);
    assert_eq!(code(&["run", &module, "--invoke", "fac", "ten"]), 2);
    assert_eq!(code(&["run", "-C", "collector=quick", &module]), 2);
    assert_eq!(code(&["run", "-O", "opt=fast", &module]), 2);
    assert_eq!(code(&["run", "there/is/no.wat"]), 2);
    assert_eq!(code(&["run", &file(dir.path(), "bad.wat", "(module (func")]), 2);
    assert_eq!(code(&["run", &file(dir.path(), "bad.wasm", "\0asm\x01\0\0\0\x01")]), 2);
    assert_eq!(code(&["run", &file(dir.path(), "invalid.wat", "(module (func (result i32)))")]), 2);
    assert_eq!(code(&["run"]), 2);
}

const LIST: &str = "(module
  (type $s (struct (field i32) (field (ref null $s))))
  (func (export \"list\") (param $n i32) (result i32)
    (local $list (ref null $s))
    (loop $more
      (local.set $list (struct.new $s (local.get $n) (local.get $list)))
      (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (struct.get $s 0 (local.get $list))))";

#[test]
fn run_takes_schedules_and_shows_statistics() {
    let dir = tempfile::tempdir().unwrap();
    let module = file(dir.path(), "list.wat", LIST);
    let run = |settings: &[&str]| {
        let mut args = vec!["run", "--stats", "--json"];
        args.extend(settings.iter().flat_map(|setting| ["-C", *setting]));
        args.extend([&*module, "--invoke", "list", "100"]);
        let output = assay(&args);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(value["results"], serde_json::json!(["1"]));
        assert_eq!(value["counters"]["forced"], value["pauses"]["count"], "{value}");
        value["counters"]["forced"].as_u64().expect("a counter")
    };
    assert_eq!(run(&[]), 0);
    assert_eq!(run(&["schedule=minor@alloc:7,full@safepoint:31", "schedule=slice:5@alloc:100"]), 3);
    assert_eq!(run(&["polls"]), 0);
    assert_eq!(run(&["every-alloc", "verify"]), 100);
    assert_eq!(run(&["collect-every=10"]), 10);
    assert_eq!(run(&["barrier-slow", "move-always"]), 0);
    assert!(run(&["every-safepoint"]) > 100 && run(&["gc-stress=all"]) > 200);
    assert!(run(&["collect-every-safepoint=10"]) >= 10 && run(&["collect-seed=3"]) > 0);
    for wrong in ["schedule=minor@7", "collect-seed=x", "gc-stress=some", "polls=1"] {
        let output = assay(&["run", "-C", wrong, &module]);
        let shown = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{shown}");
        assert!(shown.contains(wrong.trim_start_matches("schedule=")), "{shown}");
    }
    let output = assay(&["run", "--stats", "-C", "every-alloc", &module, "--invoke", "list", "100"]);
    let shown = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.stdout, b"1\n");
    for word in ["collections", "bytes_allocated", "100 pauses", "p50", "p90", "p99", "longest", "#"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    // The statistics are shown of a failure too.
    let output = assay(&["run", "--stats", "--json", &module, "--invoke", "none"]);
    assert_eq!(output.status.code(), Some(2));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(value["results"].is_null() && value["counters"]["collections"].is_u64(), "{value}");
}

#[test]
fn diff_judges_scripts_and_modules() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(code(&["diff", &file(dir.path(), "fac.wat", FACTORIAL)]), 0);
    let right = "(module (func (export \"f\") (result i32) (i32.const 4)))\n(assert_return (invoke \"f\") (i32.const 4))";
    assert_eq!(code(&["diff", &file(dir.path(), "right.wast", right)]), 0);
    let wrong = right.replacen("const 4", "const 5", 1);
    assert_eq!(code(&["diff", &file(dir.path(), "wrong.wast", &wrong)]), 1);
    assert_eq!(code(&["diff", &file(dir.path(), "invalid.wat", "(module (func (result i32)))")]), 2);
    assert_eq!(code(&["diff", &file(dir.path(), "bad.wasm", "\0asm\x01\0\0\0\x01")]), 2);
    assert_eq!(code(&["diff", &file(dir.path(), "empty.wast", "")]), 2);
    assert_eq!(code(&["diff", &file(dir.path(), "header.wast", ";;! colour = \"red\"\n(module)")]), 2);
    assert_eq!(code(&["diff", &file(dir.path(), "one.wat", FACTORIAL), "--subject", "interp"]), 2);
}

#[test]
fn wast_and_spec_fail_on_a_wrong_assertion() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = "(module (func (export \"f\") (result i32) (i32.const 4)))\n(assert_return (invoke \"f\") (i32.const 5))";
    assert_eq!(code(&["wast", &file(dir.path(), "wrong.wast", wrong), "--subject", "interp"]), 1);
    let right = wrong.replace("const 5", "const 4");
    let path = file(dir.path(), "right.wast", &right);
    assert_eq!(code(&["wast", &path, "--subject", "interp", "--subject", "jit:copying,gc-stress"]), 0);
    assert_eq!(code(&["wast", &path, "--subject", "jit:nothing"]), 2);
    assert_eq!(code(&["wast", "there/is/no.wast"]), 2);
    assert_eq!(code(&["spec", "--subject", "interp", "--filter", "core/nop.wast"]), 0);
    assert_eq!(code(&["spec", "--subject", "interp", "--filter", "no/such"]), 2);
}

#[test]
fn fuzz_refuses_wrong_use() {
    assert_eq!(code(&["fuzz", "--generator", "nothing"]), 2);
    assert_eq!(code(&["fuzz", "--subject", "interp"]), 2);
    assert_eq!(code(&["fuzz", "--time", "soon"]), 2);
    assert_eq!(code(&["fuzz", "--cases", "1", "--out", "/proc/nowhere"]), 2);
}

#[test]
fn a_campaign_that_reaches_too_little_fails_where_that_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out").display().to_string();
    let few = ["fuzz", "--seed", "7", "--cases", "1", "--jobs", "1", "--out", &out];
    assert_eq!(code(&few), 0);
    let output = assay(&[&few[..], &["--require-reach"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("has not reached all") && text.contains(" is 0"), "{text}");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains("no finding"), "the summary comes first: {shown}");
}

#[test]
fn the_same_seed_gives_the_same_cases() {
    let counts = || {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out").display().to_string();
        let output = assay(&["fuzz", "--seed", "7", "--cases", "6", "--jobs", "1", "--json", "--out", &out]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(summary["cases"], 6);
        summary["by_generator"].clone()
    };
    assert_eq!(counts(), counts());
}

#[test]
fn a_workers_death_is_a_finding_with_its_case_and_the_campaign_goes_on() {
    for batch in ["1", "2"] {
        let dir = tempfile::tempdir().unwrap();
        let shown = dir.path().join("out").display().to_string();
        // So little memory that every worker dies of its first case.
        let few = ["--seed", "1", "--cases", "3", "--jobs", "1", "--generator", "objects"];
        let more = ["--memory-mib", "10", "--batch", batch, "--json", "--out", &shown];
        let output = assay(&[&["fuzz"], &few[..], &more].concat());
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(summary["cases"], 3);
        let found = summary["findings"].as_object().expect("findings");
        assert!(found.keys().all(|key| !key.contains("in company")), "{found:?}");
        let path = found.values().next().expect("a finding")["path"].as_str().expect("a path");
        assert!(Path::new(path).exists(), "{path}");
    }
}

#[test]
fn what_a_killed_campaign_was_running_is_examined_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let shown = out.display().to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_assay"))
        .args(["fuzz", "--jobs", "1", "--out", &shown])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let patience = Instant::now() + Duration::from_secs(60);
    while wasts(&out.join("running")).is_empty() && Instant::now() < patience {
        std::thread::yield_now();
    }
    child.kill().expect("kill -9");
    child.wait().expect("dead");
    // It may have been between two cases; then one is put in its place.
    let running = out.join("running");
    if wasts(&running).is_empty() {
        fs::write(running.join("0.wast"), "(module (func (export \"f\")))\n(invoke \"f\")").unwrap();
    }
    fs::write(running.join("9.wast"), "(bogus").unwrap();
    let output = assay(&["fuzz", "--jobs", "1", "--cases", "1", "--json", "--out", &shown]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(summary["by_generator"]["left over"]["cases"], 1, "{summary}");
    // The unreadable one is kept for people, and the folder stays usable.
    assert!(
        fs::read_dir(&running)
            .unwrap()
            .flatten()
            .any(|e| e.path().extension().is_some_and(|e| e == "unreadable"))
    );
    assert_eq!(code(&["fuzz", "--jobs", "1", "--cases", "1", "--out", &shown]), 0);
}

#[test]
fn two_campaigns_do_not_share_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let shown = out.display().to_string();
    let mut first = Command::new(env!("CARGO_BIN_EXE_assay"))
        .args(["fuzz", "--jobs", "1", "--out", &shown])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let patience = Instant::now() + Duration::from_secs(60);
    while wasts(&out.join("running")).is_empty() && Instant::now() < patience {
        std::thread::yield_now();
    }
    let second = code(&["fuzz", "--jobs", "1", "--cases", "1", "--out", &shown]);
    first.kill().expect("kill -9");
    first.wait().expect("dead");
    assert_eq!(second, 2);
}

/// Each target of libFuzzer has inputs to start with.
#[test]
fn seeds_are_written_for_every_target() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("seeds").display().to_string();
    assert_eq!(code(&["seeds", "--count", "8", &out]), 0);
    let targets = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz_targets")).unwrap();
    let files = targets.map(|entry| entry.unwrap().path());
    let names: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "rs")).collect();
    assert!(names.len() >= 10, "{names:?}");
    for target in names {
        let name = target.file_stem().unwrap().to_str().unwrap();
        let inputs: Vec<_> = fs::read_dir(Path::new(&out).join(name)).unwrap().map(Result::unwrap).collect();
        assert!((4..=8).contains(&inputs.len()), "{name}: {} inputs", inputs.len());
        assert!(inputs.iter().all(|input| input.metadata().unwrap().len() <= 4096), "{name}");
    }
}

#[test]
fn export_writes_scripts_that_check_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out").display().to_string();
    let output = assay(&["export", "--out", &out, "--seed", "3", "--cases", "4", "--garbage", "2", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let written = wasts(Path::new(&out));
    assert_eq!(summary["exported"], written.len() as u64);
    let text = fs::read_to_string(&written[0]).unwrap();
    assert!(text.contains("generator objects, seed ") && text.contains("Written by assay "), "{text:.400}");
    assert!(!text.contains("(import"));
    assert_eq!(code(&["wast", &out, "--subject", "interp", "--subject", "jit:copying,every-alloc"]), 0);
    // A wrong number is noticed.
    let from = text.find("(i64.const").map(|at| text[..at].len());
    assert!(from.is_some());
    let tampered = text.replacen(
        "(assert_return (invoke $m0 \"assay_state\") (i64.const ",
        "(assert_return (invoke $m0 \"assay_state\") (i64.const 1",
        1,
    );
    assert_ne!(tampered, text);
    assert_eq!(code(&["wast", &file(dir.path(), "tampered.wast", &tampered), "--subject", "interp"]), 1);
    // Files instead of generated cases.
    let given = file(
        dir.path(),
        "given.wast",
        "(module (func (export \"f\") (result i32) (i32.const 4)))\n(invoke \"f\")",
    );
    assert_eq!(code(&["export", "--out", &out, &given]), 0);
    assert!(Path::new(&out).join("given.wast").exists());
}

#[test]
fn export_refuses_what_it_cannot_use() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out").display().to_string();
    assert_eq!(code(&["export"]), 2);
    assert_eq!(code(&["export", "--out", "/proc/nowhere"]), 2);
    assert_eq!(code(&["export", "--out", &out, "--generator", "nothing"]), 2);
    assert_eq!(code(&["export", "--out", &out, "there/is/no.wast"]), 2);
    assert_eq!(code(&["export", "--out", &out, &file(dir.path(), "bad.wast", "(module")]), 2);
    let outside = "(module (import \"env\" \"f\" (func)) (func (export \"f\")))\n(invoke \"f\")";
    let output = assay(&["export", "--out", &out, &file(dir.path(), "outside.wast", outside)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stdout).contains("left out: import from outside: 1"));
}

#[test]
fn a_campaign_over_self_checking_forms_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out").display().to_string();
    let output = assay(&[
        "fuzz",
        "--self-checking",
        "--seed",
        "7",
        "--cases",
        "5",
        "--jobs",
        "1",
        "--json",
        "--out",
        &out,
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}
