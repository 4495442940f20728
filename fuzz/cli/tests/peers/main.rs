//! The peer machinery, against peers that misbehave in each way. This program is the peers too: with `fake-adapter MODE` it speaks the
//! protocol of adapters, with `fake-runner MODE FILE` it runs `.wast` scripts.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod campaigns;
mod fake;
mod runner;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use assay_harness::compare::{Comparison, DiscardKind, FindingKind, compare};
use assay_harness::observe::Permit;
use assay_harness::peer::{self, PeerError, PeerSettings, Presets};
use assay_harness::subject::InterpSubject;
use assay_harness::{Case, Features, Observation, Outcome, Subject, generate, selfcheck};
use libtest_mimic::{Arguments, Failed, Trial};

const CASE: &str = r#"(module $m
  (type $s (struct (field i32)))
  (func (export "before") (param i32) (result i64) (i64.extend_i32_s (local.get 0)))
  (func (export "trigger") (param i64 f32) (result i64)
    (i64.add (local.get 0) (i64.extend_i32_s (struct.get $s 0 (struct.new $s (i32.const 7))))))
  (func (export "after") (result f64) (f64.const -0.5))
  (global (export "g") i32 (i32.const 9)))
(invoke "before" (i32.const -3))
(invoke $m "trigger" (i64.const 5) (f32.const 1.5))
(assert_return (get "g") (i32.const 9))
(invoke "after")"#;

/// What a pipe does not hold.
fn long_case() -> Case {
    let data = "x".repeat(200_000);
    let text = CASE.replace("(type $s", &format!("(memory 4) (data (i32.const 0) \"{data}\") (type $s"));
    Case::parse(&text, "case").unwrap()
}

const TRAPPING: &str = r#"(module
  (func (export "trigger") (result i32) (i32.div_u (i32.const 1) (i32.const 0))))
(invoke "trigger")"#;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "fake-adapter", mode, ..] => {
            let mode = fake::MODES.iter().find(|(name, _)| *name == mode).unwrap().1;
            fake::serve(mode);
            return ExitCode::SUCCESS;
        }
        [_, "fake-runner", mode, file] => return runner::run(mode, file, None),
        [_, "fake-runner", mode, file, log] => return runner::run(mode, file, Some(log)),
        _ => {}
    }
    let arguments = Arguments::from_args();
    let mut trials = campaigns::trials();
    let mut add =
        |name: &str, test: fn() -> Result<(), Failed>| trials.push(Trial::test(name.to_owned(), test));
    add("an_honest_peer_agrees_on_generated_cases", honest);
    add("each_misbehaviour_of_an_adapter_is_a_finding", misbehaviours);
    add("what_is_permitted_is_counted", permitted);
    add("rounds_before_the_one_that_counts_warm_up", warm_up);
    add("hellos_that_do_not_hold", hellos);
    add("spellings_and_presets", spellings);
    add("a_closed_pipe_is_no_end", closed_pipe);
    add("what_is_not_plain_is_unsupported", not_plain);
    add("each_misbehaviour_of_a_runner_is_a_finding", runner::misbehaviours);
    add("cases_in_batches_show_what_they_show_alone", runner::batches);
    add("a_case_that_asserts_nothing_is_not_run", runner::nothing_to_run);
    add("modules_that_make_no_instance_are_asserted_to_make_none", runner::modules_that_fail);
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn own_path() -> String {
    std::env::current_exe().unwrap().display().to_string()
}

fn settings() -> PeerSettings {
    PeerSettings { call: Duration::from_millis(700), ..PeerSettings::default() }
}

fn adapter(mode: &str) -> Result<Box<dyn Subject>, PeerError> {
    let spelling = format!("proc:'{}' fake-adapter {mode}", own_path());
    let mut settings = settings();
    if mode == "endless-line" {
        // Reading so much takes a while where much else runs.
        settings.call = Duration::from_secs(10);
    }
    peer::parse(&spelling, &Presets::built_in().unwrap(), &settings)
}

/// The interpreter and the peer on a case.
fn against(peer: &mut dyn Subject, case: &Case) -> (Comparison, Observation) {
    let reference = InterpSubject::default().observe(case);
    let seen = peer.observe(case);
    (compare(case, &[("interp", &reference), (peer.name(), &seen)]), seen)
}

fn honest() -> Result<(), Failed> {
    let mut peer = adapter("honest").unwrap();
    assert_eq!(peer.engine(), Some("fake 1.0"));
    let features = Features::OF_PROGRAMS.and(peer.supports());
    assert!(features.gc && features.exceptions && features.simd);
    let mut steps = 0;
    for generator in ["objects", "linking"] {
        for seed in 0..12 {
            let case = generate::from_seed_within(generator, seed, features).unwrap();
            let Ok((case, _)) = selfcheck::for_peers(&case, 1) else { continue };
            assert!(selfcheck::is_plain(&case), "{generator} {seed}");
            let (comparison, _) = against(&mut *peer, &case);
            assert!(comparison.findings.is_empty(), "{generator} {seed}: {:#?}", comparison.findings);
            steps += comparison.compared[peer.name()].steps;
        }
    }
    assert!(steps > 100, "{steps}");
    let case = Case::parse(CASE, "case").unwrap();
    let (comparison, seen) = against(&mut *peer, &case);
    assert!(comparison.findings.is_empty() && comparison.compared[peer.name()].whole, "{comparison:#?}");
    assert!(matches!(seen.outcomes[..], [Outcome::Done, ..]) && seen.outcomes.len() == 5);
    Ok(())
}

fn misbehaviours() -> Result<(), Failed> {
    let case = Case::parse(CASE, "case").unwrap();
    for (mode, kind, text) in [
        ("aborts", FindingKind::Crash, "signal 6 (SIGABRT"),
        ("aborts", FindingKind::Crash, "at frame_of_the_peer"),
        ("exits", FindingKind::Crash, "exited with code 7\ncannot go on"),
        ("exits-quietly", FindingKind::Crash, "exited with code 0"),
        ("hangs", FindingKind::Crash, "no reply within 0.7 s"),
        ("wrong-value", FindingKind::ValueMismatch, "12345"),
        ("wrong-type", FindingKind::Crash, "does not fit the request"),
        ("two-values", FindingKind::Crash, "does not fit the request"),
        ("no-number", FindingKind::Crash, "does not fit the request"),
        ("garbage", FindingKind::Crash, "Segmentation fault, or so"),
        ("talks-twice", FindingKind::Crash, "that nobody asked for"),
        ("dies-later", FindingKind::Crash, "after the case: died of signal 6"),
        ("stops-reading", FindingKind::Crash, "no reply within 0.7 s"),
        ("not-utf8", FindingKind::Crash, "not UTF-8"),
        ("endless-line", FindingKind::Crash, "a line without end"),
        ("empty", FindingKind::Crash, "does not fit the request"),
        ("admits-a-fault", FindingKind::Crash, "division by cucumber"),
        ("refuses-modules", FindingKind::OutcomeMismatch, "I do not like it"),
        ("traps-often", FindingKind::OutcomeMismatch, "returned against trap Unreachable"),
    ] {
        let mut peer = adapter(mode).unwrap_or_else(|error| panic!("{mode}: {error}"));
        let start = Instant::now();
        let long = long_case();
        let case = if mode == "stops-reading" { &long } else { &case };
        let (comparison, seen) = against(&mut *peer, case);
        let found =
            comparison.findings.iter().find(|finding| finding.kind == kind && finding.text.contains(text));
        assert!(found.is_some(), "{mode}: {:#?}", comparison.findings);
        assert_eq!(seen.outcomes.len(), case.steps.len(), "{mode}");
        assert!(start.elapsed() < Duration::from_secs(20), "{mode}: {:?}", start.elapsed());
        // The next case finds a peer that works: the same fault again, and no other.
        let (again, _) = against(&mut *peer, case);
        assert_eq!(again.findings.len(), comparison.findings.len(), "{mode}: {:#?}", again.findings);
        let harmless = Case::parse(&CASE.replace("trigger", "another"), "case").unwrap();
        let (comparison, _) = against(&mut *peer, &harmless);
        assert!(comparison.findings.is_empty(), "{mode}: {:#?}", comparison.findings);
    }
    let mut loud = adapter("shouts").unwrap();
    assert!(against(&mut *loud, &case).0.findings.is_empty());
    Ok(())
}

fn warm_up() -> Result<(), Failed> {
    let limited = |mode: &str, rounds, call| {
        let spelling = format!("proc:'{}' fake-adapter {mode}", own_path());
        let settings = PeerSettings { warm_up: rounds, call, ..settings() };
        peer::parse(&spelling, &Presets::built_in().unwrap(), &settings).unwrap()
    };
    let warm = |mode: &str, rounds| limited(mode, rounds, settings().call);
    let case = Case::parse(CASE, "case").unwrap();
    for (mode, rounds, found) in [
        ("wrong-when-hot", 0, None),
        ("wrong-when-hot", 3, None),
        ("wrong-when-hot", 20, Some((FindingKind::ExpectationFailed, "ended otherwise than the first"))),
        ("wrong-when-cold", 0, Some((FindingKind::ValueMismatch, "12345"))),
        ("wrong-when-cold", 20, Some((FindingKind::ExpectationFailed, "ended otherwise than the first"))),
        ("aborts", 5, Some((FindingKind::Crash, "SIGABRT"))),
        ("aborts-when-hot", 5, None),
        ("aborts-when-hot", 20, Some((FindingKind::Crash, "SIGABRT"))),
        // What an earlier round has seen stands.
        ("runs-out-when-hot", 20, None),
        ("honest", 100, None),
    ] {
        let (comparison, seen) = against(&mut *warm(mode, rounds), &case);
        let shown: Vec<_> = comparison.findings.iter().map(|found| (found.kind, &found.text)).collect();
        assert!(
            match found {
                None =>
                    shown.is_empty()
                        && comparison.discards.is_empty()
                        && comparison.compared.values().all(|pair| pair.whole),
                Some((kind, text)) => matches!(shown[..], [(k, t)] if k == kind && t.contains(text)),
            },
            "{mode} {rounds}: {comparison:#?}"
        );
        assert_eq!(seen.outcomes.len(), case.steps.len());
    }
    // The limit of a call ends them all.
    let start = Instant::now();
    let (comparison, _) = against(&mut *limited("honest", 1_000_000, Duration::from_secs(3)), &case);
    assert!(comparison.findings.is_empty() && start.elapsed() < Duration::from_secs(20), "{comparison:#?}");
    let trapping = Case::parse(TRAPPING, "case").unwrap();
    let (comparison, _) = against(&mut *warm("traps-in-new-words", 5), &trapping);
    assert!(comparison.findings.is_empty(), "{comparison:#?}");
    // Instances share nothing from round to round: generated cases end as if there had been one.
    let (mut peer, mut cold) = (warm("honest", 4), warm("honest", 0));
    let features = Features::OF_PROGRAMS.and(peer.supports());
    let mut cases = 0;
    for generator in ["objects", "linking"] {
        for seed in 0..6 {
            let case = generate::from_seed_within(generator, seed, features).unwrap();
            let Ok((case, _)) = selfcheck::for_peers(&case, 1) else { continue };
            assert_eq!(peer.observe(&case).outcomes, cold.observe(&case).outcomes, "{generator} {seed}");
            cases += 1;
        }
    }
    assert!(cases > 6, "{cases}");
    Ok(())
}

fn permitted() -> Result<(), Failed> {
    let case = Case::parse(CASE, "case").unwrap();
    let mut peer = adapter("runs-out-of-heap").unwrap();
    let (comparison, seen) = against(&mut *peer, &case);
    assert!(comparison.findings.is_empty(), "{:#?}", comparison.findings);
    assert!(seen.permits.contains(&Permit::GcHeap));
    assert_eq!(comparison.discards.get(&DiscardKind::PeerHeap), Some(&1));
    let compared = comparison.compared[peer.name()];
    assert!(!compared.whole && compared.steps == 2, "{compared:?}");
    // Without the permission it is a finding.
    let unpermitted = Observation { permits: Vec::new(), ..seen };
    let reference = InterpSubject::default().observe(&case);
    let comparison = compare(&case, &[("interp", &reference), ("peer", &unpermitted)]);
    assert_eq!(comparison.findings[0].kind, FindingKind::OutcomeMismatch);

    let trapping = Case::parse(TRAPPING, "case").unwrap();
    let mut peer = adapter("traps-somehow").unwrap();
    let (comparison, _) = against(&mut *peer, &trapping);
    assert!(comparison.findings.is_empty(), "{:#?}", comparison.findings);
    let wrong =
        Case::parse(&TRAPPING.replace("(i32.div_u (i32.const 1) (i32.const 0))", "unreachable"), "case")
            .unwrap();
    assert_eq!(against(&mut *peer, &wrong).0.findings.len(), 1);

    // A heap that runs out where nothing is left behind is a finding whatever is permitted, unless nothing is ever collected.
    let churn = "(module (type $s (struct (field i32)))
        (func (export \"trigger\") (drop (struct.new $s (i32.const 1)))))\n(invoke \"trigger\")";
    let churn = repeating(churn);
    let mut peer = adapter("runs-out-of-heap").unwrap();
    let (comparison, mut seen) = against(&mut *peer, &churn);
    assert_eq!(comparison.findings[0].kind, FindingKind::LiveMismatch, "{comparison:#?}");
    seen.permits.push(Permit::NeverCollects);
    let reference = InterpSubject::default().observe(&churn);
    let comparison = compare(&churn, &[("interp", &reference), ("peer", &seen)]);
    assert!(comparison.findings.is_empty() && comparison.discards.contains_key(&DiscardKind::NullHeap));
    let rings = churn_text_with_rings();
    let rings = repeating(&rings);
    assert!(against(&mut *peer, &rings).0.findings.is_empty());

    let reference = InterpSubject::default().observe(&case);
    let mut peer = adapter("leaks").unwrap();
    let (comparison, seen) = against(&mut *peer, &case);
    assert_eq!(comparison.findings[0].kind, FindingKind::LiveMismatch, "{:#?}", comparison.findings);
    let declared = Observation { permits: vec![Permit::Leaks], ..seen };
    let comparison = compare(&case, &[("interp", &reference), ("peer", &declared)]);
    assert!(comparison.findings.is_empty() && comparison.discards.contains_key(&DiscardKind::PeerLeaks));
    Ok(())
}

/// The plain form; of several lengths of the module, which decide whether a call is repeated, one in which it is, if there is one.
fn repeating(text: &str) -> Case {
    let forms: Vec<Case> = (1..5)
        .map(|n| {
            let memory = format!("(module (memory (export \"{}\") 0)", "m".repeat(n));
            let case = Case::parse(&text.replacen("(module", &memory, 1), "case").unwrap();
            selfcheck::for_peers(&case, 1).unwrap().0
        })
        .collect();
    let repeats = |case: &&Case| case.to_wast().contains("invoke $m0 \"repeat ");
    forms.iter().find(repeats).unwrap_or(&forms[0]).clone()
}

/// What leaves a ring behind with each call, which reference counts do not free.
fn churn_text_with_rings() -> String {
    "(module (type $s (struct (field (mut (ref null $s)))))
        (func (export \"trigger\") (local $a (ref null $s))
          (local.set $a (struct.new $s (ref.null $s)))
          (struct.set $s 0 (local.get $a) (local.get $a))))\n(invoke \"trigger\")"
        .to_owned()
}

fn hellos() -> Result<(), Failed> {
    let refused = |mode: &str| adapter(mode).err().unwrap().to_string();
    assert!(refused("old-version").contains("version 1"), "{}", refused("old-version"));
    assert!(refused("unknown-feature").contains("telepathy"));
    let why = refused("claims-what-it-lacks");
    assert!(why.contains("claims exceptions"), "{why}");
    Ok(())
}

fn spellings() -> Result<(), Failed> {
    let mut presets = Presets::built_in().unwrap();
    let parse = |spelling: &str, presets: &Presets| peer::parse(spelling, presets, &settings());
    for (spelling, text) in [
        ("proc:", "a command must stand behind proc:"),
        ("cmd:'wasmtime", "quotes that do not close"),
        ("peer:nobody", "assay peers list"),
        ("proc:/no/such/program", "/no/such/program"),
        ("proc:true", "exited with code 0"),
        ("cmd:/no/such/program {}", "not even run a module"),
        ("cmd:true", "an assertion that is false"),
    ] {
        let why = parse(spelling, &presets).err().unwrap().to_string();
        assert!(why.contains(text), "{spelling}: {why}");
    }
    for peer in &presets.peers {
        assert!(peer::is_peer(&peer.subject) && !peer.install.is_empty(), "{}", peer.name);
    }
    assert!(!peer::is_peer("interp") && !peer::is_peer("jit:copying"));
    let leaks = |engine: &str| presets.profile(engine).permits().contains(&Permit::Leaks);
    assert!(leaks("wasmtime 49.0.4") && !leaks("node 26"));
    let null = presets.profile("cmd:wasmtime wast -C collector=null {}").permits();
    assert!(null.contains(&Permit::NeverCollects) && !null.is_empty());
    let refused = Outcome::Rejected(
        assay_harness::RejectStage::Invalid,
        "constant expression required: non-constant operator: visit_extern_convert_any (at 1)".into(),
    );
    let known = |engine: &str| presets.profile(engine).known(&[Outcome::Done, refused.clone()]);
    assert!(matches!(&known("wasmtime 31.0.0")[..], [(1, why)] if why.contains("constant")));
    assert_eq!(known("node 26"), []);

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("mine.toml");
    let own = own_path();
    std::fs::write(
        &file,
        format!(
            "[[peer]]\nname = \"mine\"\nabout = \"\"\nsubject = \"proc:'{own}' fake-adapter honest\"\ninstall = \"\"\n\n[[engine]]\nengine = [\"fake\"]\n[[engine.permit]]\nkind = \"leaks\"\nreason = \"a test\"\nlink = \"none\"\n"
        ),
    )?;
    presets.read(&file).unwrap();
    let mut peer = parse("peer:mine", &presets).unwrap();
    assert_eq!(peer.name(), "peer:mine");
    let seen = peer.observe(&Case::parse(CASE, "case").unwrap());
    assert!(seen.permits.contains(&Permit::Leaks));
    std::fs::write(&file, "[[peer]]\nname = \"mine\"\nshoe_size = 44\n")?;
    let why = presets.read(&file).err().unwrap().to_string();
    assert!(why.contains("mine.toml") && why.contains("shoe_size"), "{why}");
    assert!(presets.read(std::path::Path::new("/no/such/file.toml")).is_err());
    Ok(())
}

fn closed_pipe() -> Result<(), Failed> {
    let hello = r#"{"id":1,"version":1,"engine":"sh","features":["gc"]}"#;
    let spelling = format!("proc:sh -c 'read line; echo '\"'\"'{hello}'\"'\"'; exec >&-; sleep 100'");
    let start = Instant::now();
    let why = peer::parse(&spelling, &Presets::built_in().unwrap(), &settings()).err().unwrap().to_string();
    assert!(why.contains("closed its output"), "{why}");
    assert!(start.elapsed() < Duration::from_secs(20));
    Ok(())
}

fn not_plain() -> Result<(), Failed> {
    let mut peer = adapter("honest").unwrap();
    for text in [
        r#"(module (import "assay" "gc" (func)))"#,
        r#"(module (func (export "f") (result funcref) (ref.null func))) (invoke "f")"#,
        r#"(module (func (export "f") (param v128))) (invoke "f" (v128.const i64x2 0 0))"#,
        r#"(module (global (export "g") anyref (ref.null any))) (assert_return (get "g") (ref.null any))"#,
        ";;! observe_state = true\n(module)",
    ] {
        let case = Case::parse(text, "case").unwrap();
        let seen = peer.observe(&case);
        assert!(matches!(seen.outcomes.last(), Some(Outcome::Unsupported(_))), "{text}: {:?}", seen.outcomes);
    }
    Ok(())
}
