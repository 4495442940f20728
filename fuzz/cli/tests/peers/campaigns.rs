//! The program with peers: campaigns, comparisons of files, lists and probes.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};

use super::{CASE, own_path, runner};

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, test: fn() -> Result<(), Failed>| Trial::test(name.to_owned(), test);
    vec![
        trial("a_campaign_with_an_honest_peer_finds_nothing", honest),
        trial("a_campaign_goes_on_after_crashes_and_its_finding_reproduces", crashes),
        trial("what_a_peer_shows_only_after_other_cases_is_told_so", after_others),
        trial("a_killed_campaign_is_resumed", resumed),
        trial("a_campaign_gives_a_program_many_cases_at_once", batches),
        trial("what_fails_in_company_alone_is_a_finding_with_its_batch", company),
        trial("a_campaign_killed_within_a_batch_loses_none_of_its_cases", killed_in_a_batch),
        trial("what_a_campaign_ran_under_holds_when_it_is_resumed", settings),
        trial("a_campaign_that_does_not_say_its_schedules_is_not_resumed", schedules),
        trial("a_file_is_compared_with_a_peer", diff),
        trial("peers_are_listed_and_probed", peers),
    ]
}

fn assay(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_assay")).args(args).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn spelled(mode: &str) -> String {
    format!("proc:'{}' fake-adapter {mode}", own_path())
}

fn fuzz(out: &Path, mode: &str, more: &[&str]) -> Output {
    let (peer, out) = (spelled(mode), out.display().to_string());
    let mut args = vec!["fuzz", "--seed", "5", "--jobs", "1", "--garbage", "1", "--subject", "interp"];
    args.extend(["--subject", &peer, "--out", &out]);
    args.extend(more);
    assay(&args)
}

fn honest() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let output = fuzz(folder.path(), "honest", &["--cases", "12", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(summary["engines"][1], "fake 1.0");
    let pair = &summary["pairs"][1];
    assert!(pair["cases"].as_u64() > Some(5) && pair["whole"].as_u64() > Some(5), "{pair}");
    assert_eq!(summary["without"], serde_json::json!({}));
    Ok(())
}

fn crashes() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    // Every module of a case says how its calls are named: `digest NAME`.
    let output = fuzz(folder.path(), "aborts", &["--cases", "4"]);
    assert_eq!(output.status.code(), Some(0), "nothing triggers it: {}", text(&output));
    let file = folder.path().join("case.wast");
    std::fs::write(&file, CASE)?;
    let running = folder.path().join("running");
    std::fs::create_dir_all(&running)?;
    std::fs::copy(&file, running.join("0.wast"))?;
    let output = fuzz(folder.path(), "aborts", &["--cases", "3"]);
    let shown = text(&output);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(shown.contains("Crash") && shown.contains("4 cases"), "{shown}");
    let found: Vec<_> = std::fs::read_dir(folder.path().join("findings"))?.flatten().collect();
    assert_eq!(found.len(), 1, "{shown}");
    let path = found[0].path().display().to_string();
    let written = std::fs::read_to_string(&path)?;
    assert!(written.contains("at frame_of_the_peer") && !written.contains(ALONE_NOT), "{written}");
    let peer = spelled("aborts");
    let output = assay(&["diff", &path, "--subject", "interp", "--subject", &peer]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let output = assay(&["diff", &path, "--subject", "interp", "--subject", &spelled("honest")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let output = assay(&["reduce", &path, "--subject", "interp", "--subject", &peer, "--time", "20s"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    // A written case takes its self-checking form for a peer, and what has none is no smaller case.
    let written = folder.path().join("written.wast");
    std::fs::write(
        &written,
        CASE.replace("(global", "(global (export \"s\") (ref $s) (struct.new $s (i32.const 1))) (global"),
    )?;
    let start = Instant::now();
    let written = written.display().to_string();
    let output = assay(&["reduce", &written, "--subject", "interp", "--subject", &peer, "--time", "2s"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let output = assay(&["reduce", &written, "--subject", "interp", "--subject", &peer, "--time", "0s"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("(0 attempts)"), "{}", text(&output));
    Ok(())
}

const ALONE_NOT: &str = "after other cases of the same process, not by this one alone in a new one";

fn after_others() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let output = fuzz(folder.path(), "wrong-after-others", &["--cases", "300", "--generator", "objects"]);
    let shown = text(&output);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    let found: Vec<_> = std::fs::read_dir(folder.path().join("findings"))?.flatten().collect();
    assert!(!found.is_empty(), "{shown}");
    for file in found {
        let case = std::fs::read_to_string(file.path())?;
        assert!(case.contains(ALONE_NOT), "{case}");
        let path = file.path().display().to_string();
        let peer = spelled("wrong-after-others");
        let output = assay(&["diff", &path, "--subject", "interp", "--subject", &peer]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        let output = assay(&["reduce", &path, "--subject", "interp", "--subject", &peer]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    }
    Ok(())
}

fn resumed() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().display().to_string();
    let peer = spelled("honest");
    let mut child = Command::new(env!("CARGO_BIN_EXE_assay"))
        .args(["fuzz", "--seed", "7", "--jobs", "1", "--garbage", "1", "--generator", "objects"])
        .args(["--subject", "interp", "--subject", &peer, "--out", &out])
        .spawn()?;
    let state = folder.path().join("campaign.json");
    let next = || -> u64 {
        let text = std::fs::read_to_string(&state).unwrap_or_default();
        serde_json::from_str::<serde_json::Value>(&text)
            .ok()
            .and_then(|state| state["next"].as_u64())
            .unwrap_or(0)
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while next() < 3 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill()?;
    child.wait()?;
    let before = next();
    assert!(before >= 3, "{before}");
    // The case under way when it was killed comes first, then three new ones.
    let cases = (before + 3).to_string();
    let output = assay(&["fuzz", "--resume", &out, "--cases", &cases, "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(summary["seed"], 7);
    assert_eq!(summary["subjects"][1], peer.as_str());
    let ran = summary["cases"].as_u64().unwrap();
    assert!((3..=4).contains(&ran), "{ran} after {before}");
    let output = assay(&["fuzz", "--resume", "/no/such/folder"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    Ok(())
}

fn settings() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("mine.toml");
    let peer = format!("subject = {:?}", spelled("honest"));
    std::fs::write(&file, format!("[[peer]]\nname = \"mine\"\nabout = \"\"\n{peer}\ninstall = \"\"\n"))?;
    let out = folder.path().join("out").display().to_string();
    // The file by a relative path: whoever goes on may do so elsewhere.
    let output = Command::new(env!("CARGO_BIN_EXE_assay"))
        .args(["fuzz", "--seed", "5", "--jobs", "1", "--cases", "2", "--generator", "objects", "--out", &out])
        .args(["--subject", "interp", "--subject", "peer:mine", "--peers", "mine.toml", "--garbage", "3"])
        .args([
            "--peer-limit",
            "7s",
            "--peer-memory-mib",
            "3000",
            "--case-limit",
            "11s",
            "--memory-mib",
            "2900",
        ])
        .args(["--batch", "2", "--warm-up", "2"])
        .current_dir(folder.path())
        .output()?;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let kept = || -> Result<serde_json::Value, Failed> {
        let state = std::fs::read_to_string(Path::new(&out).join("campaign.json"))?;
        Ok(serde_json::from_str::<serde_json::Value>(&state)?["settings"].clone())
    };
    let mut expected = serde_json::json!({
        "case_limit_ms": 11_000, "memory_mib": 2900, "batch": 2, "peers": [file],
        "peer_limit_ms": 7000, "peer_memory_mib": 3000, "garbage": 3, "schedules": 1, "warm_up": 2,
    });
    assert_eq!(kept()?, expected);
    let resume = |more: &[&str]| assay(&[&["fuzz", "--resume", &out, "--jobs", "1"], more].concat());
    // Without the file there is no such peer.
    let output = resume(&["--cases", "4"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(kept()?, expected);
    let output = resume(&["--cases", "6", "--garbage", "4", "--memory-mib", "2800", "--peer-limit", "8s"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    expected["garbage"] = 4.into();
    expected["memory_mib"] = 2800.into();
    expected["peer_limit_ms"] = 8000.into();
    assert_eq!(kept()?, expected);
    // They reach the worker: with so little memory it does not live.
    let output = resume(&["--cases", "8", "--memory-mib", "1"]);
    assert_ne!(output.status.code(), Some(0), "{}", text(&output));
    let output = resume(&["--cases", "9"]);
    assert_ne!(output.status.code(), Some(0), "{}", text(&output));
    let output = resume(&["--cases", "20", "--memory-mib", "0"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    Ok(())
}

/// Which program case N is of depends on how many schedules a program has: whoever goes on must know.
fn schedules() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out").display().to_string();
    let own = ["--jobs", "1", "--cases", "2", "--generator", "objects", "--out", &out];
    let output =
        assay(&[&["fuzz", "--seed", "5", "--subject", "interp", "--subject", "jit:null"], &own[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let path = Path::new(&out).join("campaign.json");
    let mut state: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    assert!(state["settings"]["schedules"].as_u64() > Some(1), "{state}");
    let resume = || assay(&["fuzz", "--resume", &out, "--jobs", "1", "--cases", "3"]);
    state["settings"].as_object_mut().unwrap().remove("schedules");
    std::fs::write(&path, state.to_string())?;
    let output = resume();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("how many schedules"), "{}", text(&output));
    state["settings"]["schedules"] = 4.into();
    std::fs::write(&path, state.to_string())?;
    let output = resume();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    state = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    assert_eq!(state["settings"]["schedules"], 4);
    Ok(())
}

/// A campaign with a program that runs scripts.
fn fuzz_runner(out: &Path, spelling: &str, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_assay"));
    command
        .args(["fuzz", "--seed", "5", "--jobs", "1", "--garbage", "1", "--json", "--subject", "interp"])
        .args(["--subject", spelling, "--out"])
        .arg(out)
        .args(more);
    command
}

fn batches() -> Result<(), Failed> {
    let mut same = Vec::new();
    for (batch, cases_in_a_run) in [("1", 1.0..1.2), ("8", 2.0..8.0)] {
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("log");
        let spelling = format!("{} '{}'", runner::spelled("honest"), log.display());
        // What the start takes.
        assert!(assay(&["peers", "probe", &spelling]).status.success());
        let before = std::fs::read_to_string(&log)?.lines().count();
        std::fs::write(&log, "")?;
        let arguments = ["--cases", "20", "--batch", batch];
        let output = fuzz_runner(&folder.path().join("out"), &spelling, &arguments).output()?;
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        assert_eq!(summary["cases"], 20);
        let whole = summary["pairs"][1]["whole"].as_f64().unwrap();
        // The program itself and the worker start the peer.
        let runs = std::fs::read_to_string(&log)?.lines().count() - 2 * before;
        let each = whole / runs as f64;
        assert!(
            whole > 15.0 && cases_in_a_run.contains(&each),
            "batch {batch}: {whole} cases in {runs} runs"
        );
        assert_eq!(std::fs::read_dir(folder.path().join("out/running"))?.count(), 0);
        same.push((summary["pairs"].clone(), summary["by_generator"].clone(), summary["discards"].clone()));
    }
    assert_eq!(same[0], same[1]);
    Ok(())
}

fn company() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let running = folder.path().join("running");
    std::fs::create_dir_all(&running)?;
    for (number, case) in runner::cases(&[1, 2]).iter().take(5).enumerate() {
        std::fs::write(running.join(format!("0.{number:03}.wast")), case.to_wast())?;
    }
    let peer = runner::spelled("aborts-on-the-second");
    let output = fuzz_runner(folder.path(), &peer, &["--cases", "3"]).output()?;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(summary["by_generator"]["left over"]["cases"], 5);
    assert_eq!(summary["pairs"][1]["whole"], 8);
    let findings = summary["findings"].as_object().unwrap();
    let (key, found) = findings.iter().next().unwrap();
    let told = found["text"].as_str().unwrap();
    assert!(findings.len() == 1 && key.starts_with("in company: Crash|"), "{findings:?}");
    assert!(told.contains("cases together, none of them alone: ") && told.contains("SIGABRT"), "{told}");
    let path = found["path"].as_str().unwrap();
    let kept = std::fs::read_to_string(path)?;
    assert!(kept.contains("(module $0.m") && kept.contains(";; subjects: "), "{kept}");
    for (mode, code) in [("aborts-on-the-second", 1), ("honest", 0)] {
        let output = assay(&["diff", path, "--subject", "interp", "--subject", &runner::spelled(mode)]);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
    }
    Ok(())
}

fn killed_in_a_batch() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let running = folder.path().join("running");
    let limits = ["--cases", "4", "--generator", "objects", "--peer-limit", "90s"];
    let mut child = fuzz_runner(folder.path(), &runner::spelled("hangs-in-company"), &limits)
        .stdout(std::process::Stdio::null())
        .spawn()?;
    let count = || std::fs::read_dir(&running).map_or(0, Iterator::count);
    let deadline = Instant::now() + Duration::from_secs(60);
    while count() < 4 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill()?;
    child.wait()?;
    assert_eq!(count(), 4);
    // The next one has them in company again.
    let mode = runner::spelled("hangs-in-company");
    let output = fuzz_runner(folder.path(), &mode, &["--cases", "1", "--peer-limit", "2s"]).output()?;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(summary["by_generator"]["left over"]["cases"], 4, "{summary}");
    let findings = summary["findings"].as_object().unwrap();
    assert!(findings.keys().all(|key| key.starts_with("in company: Crash|")) && findings.len() == 1);
    assert_eq!(count(), 0);
    Ok(())
}

fn diff() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("references.wast");
    std::fs::write(
        &file,
        r#"(module (type $s (struct (field (ref null $s)) (field i32)))
             (func (export "f") (result (ref $s)) (struct.new $s (ref.null $s) (i32.const 3))))
           (invoke "f")"#,
    )?;
    let path = file.display().to_string();
    let peer = spelled("honest");
    let output =
        assay(&["diff", &path, "--subject", "interp", "--subject", "jit:copying", "--subject", &peer]);
    let shown = text(&output);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    assert!(shown.contains("self-checking form") && shown.contains("all agree"), "{shown}");
    let output = assay(&["diff", &path, "--subject", "interp", "--subject", "proc:/no/such/program"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    Ok(())
}

fn peers() -> Result<(), Failed> {
    let output = assay(&["peers", "list"]);
    let shown = text(&output);
    assert!(output.status.success() && shown.contains("peer:node") && shown.contains("permitted"), "{shown}");
    let toml = text(&assay(&["peers", "list", "--toml"]));
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("again.toml");
    std::fs::write(&file, &toml)?;
    let path = file.display().to_string();
    assert!(assay(&["peers", "list", "--peers", &path]).status.success());
    let output = assay(&["peers", "probe", &spelled("honest"), "interp", "--json"]);
    let probed: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(probed[0]["engine"], "fake 1.0");
    assert!(probed[0]["has"].as_array().unwrap().iter().any(|name| name == "gc"));
    assert!(probed[0]["has"].as_array().unwrap().iter().any(|name| name == "validation"));
    assert!(probed[0]["lacks"].as_array().unwrap().iter().any(|name| name == "legacy exceptions"));
    let output = assay(&["peers", "probe", &spelled("old-version")]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    Ok(())
}
