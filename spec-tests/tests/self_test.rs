//! The runner's own test: a subject that answers right passes a script with every kind of directive; each wrong answer,
//! one at a time, is reported at the line of its directive.

use std::borrow::Cow;

use assay_harness::graph::{HeapGraph, Node, NodeRef, ObjectKind, TypeKey};
use assay_harness::observe::Value;
use assay_harness::{Case, Features, Observation, Outcome, RejectStage, Resource, Subject, TrapKind};
use assay_spec_tests::{ErrorKind, FileResult, FileState, SubjectSpec, TestFile, report, run, suite_run};

/// One directive per line from line 3 on, so that a line names a directive.
const SCRIPT: &str = r#"(module (func (export "f")) (global (export "g") i32 (i32.const 7)))
(register "m")
(assert_return (invoke "i32") (i32.const 1))
(assert_return (invoke "i64") (i64.const -2))
(assert_return (invoke "f32") (f32.const 1.5))
(assert_return (invoke "f64") (f64.const -0.0))
(assert_return (invoke "f32-canonical") (f32.const nan:canonical))
(assert_return (invoke "f32-arithmetic") (f32.const nan:arithmetic))
(assert_return (invoke "f64-canonical") (f64.const nan:canonical))
(assert_return (invoke "f64-arithmetic") (f64.const nan:arithmetic))
(assert_return (invoke "v128") (v128.const i32x4 1 2 3 4))
(assert_return (invoke "v128-lanes") (v128.const f32x4 1 nan:canonical nan:arithmetic 0))
(assert_return (invoke "null") (ref.null any))
(assert_return (invoke "any-null") (ref.null))
(assert_return (invoke "i31") (ref.i31))
(assert_return (invoke "struct") (ref.struct))
(assert_return (invoke "array") (ref.array))
(assert_return (invoke "eq") (ref.eq))
(assert_return (invoke "any") (ref.any))
(assert_return (invoke "func") (ref.func))
(assert_return (invoke "extern") (ref.extern))
(assert_return (invoke "host") (ref.extern 9))
(assert_return (invoke "either") (either (i32.const 1) (i32.const 2)))
(assert_return (invoke "two") (i32.const 1) (i32.const 2))
(assert_return (invoke "nothing"))
(assert_return (get "g") (i32.const 7))
(assert_trap (invoke "trap") "integer divide by zero")
(assert_exhaustion (invoke "deep") "call stack exhausted")
(assert_exception (invoke "throw"))
(assert_malformed (module binary "\00asm\01\00\00") "unexpected end")
(assert_malformed (module quote "(func") "unexpected token")
(assert_invalid (module (func (result i32))) "type mismatch")
(assert_unlinkable (module (import "none" "such" (func))) "unknown import")
(assert_trap (module (func $s unreachable) (start $s)) "unreachable")
(invoke "i32")
"#;

/// Lines 3 to 34 assert.
const ASSERTIONS: u64 = 32;

const CANONICAL_32: u32 = 0x7fc0_0000;
const CANONICAL_64: u64 = 0x7ff8_0000_0000_0000;

/// Answers with prepared outcomes, one per step.
struct Canned {
    outcomes: Vec<Outcome>,
    validates: bool,
}

impl Subject for Canned {
    fn name(&self) -> &str {
        "canned"
    }

    fn supports(&self) -> Features {
        Features {
            validates: self.validates,
            gc: true,
            simd: true,
            relaxed_simd: true,
            constant_conversions: true,
            exceptions: true,
            tail_calls: true,
            memory64: true,
            multi_memory: true,
            graphs: true,
            ..Features::default()
        }
    }

    fn observe(&mut self, _case: &Case) -> Observation {
        Observation { outcomes: self.outcomes.clone(), ..Observation::default() }
    }
}

fn returned(values: &[Value]) -> Outcome {
    Outcome::Returned { values: values.to_vec(), graph: HeapGraph::default() }
}

fn reference(node: NodeRef) -> Outcome {
    returned(&[Value::Ref(node)])
}

/// A returned object of this kind.
fn object(kind: ObjectKind) -> Outcome {
    let graph = HeapGraph {
        types: vec![TypeKey { group: 1, index: 0 }],
        nodes: vec![Node { kind, ty: 0, slots: Vec::new() }],
        truncated: false,
    };
    Outcome::Returned { values: vec![Value::Ref(NodeRef::Node(0))], graph }
}

fn rejected(stage: RejectStage) -> Outcome {
    Outcome::Rejected(stage, "because".to_owned())
}

fn lanes(lanes: [u32; 4]) -> Outcome {
    let bits = lanes.iter().rev().fold(0_u128, |bits, lane| bits << 32 | u128::from(*lane));
    returned(&[Value::V128(bits)])
}

/// The right answer to each directive of [`SCRIPT`], in order.
fn right() -> Vec<Outcome> {
    vec![
        Outcome::Done,
        Outcome::Done,
        returned(&[Value::I32(1)]),
        returned(&[Value::I64(-2)]),
        returned(&[Value::F32(1.5_f32.to_bits())]),
        returned(&[Value::F64((-0.0_f64).to_bits())]),
        returned(&[Value::F32(CANONICAL_32 | 1 << 31)]),
        returned(&[Value::F32(CANONICAL_32 | 5)]),
        returned(&[Value::F64(CANONICAL_64)]),
        returned(&[Value::F64(CANONICAL_64 | 5)]),
        lanes([1, 2, 3, 4]),
        lanes([1.0_f32.to_bits(), CANONICAL_32, CANONICAL_32 | 3, 0]),
        reference(NodeRef::Null),
        reference(NodeRef::Null),
        reference(NodeRef::I31(-1)),
        object(ObjectKind::Struct),
        object(ObjectKind::Array),
        reference(NodeRef::I31(0)),
        object(ObjectKind::Struct),
        reference(NodeRef::Func(0, 0)),
        reference(NodeRef::Host(3)),
        reference(NodeRef::Host(9)),
        returned(&[Value::I32(2)]),
        returned(&[Value::I32(1), Value::I32(2)]),
        returned(&[]),
        returned(&[Value::I32(7)]),
        Outcome::Trapped(TrapKind::IntegerDivideByZero),
        Outcome::Exhausted(Resource::CallStack),
        Outcome::Thrown { graph: HeapGraph::default() },
        rejected(RejectStage::Malformed),
        Outcome::Unchecked,
        rejected(RejectStage::Invalid),
        rejected(RejectStage::Unlinkable),
        Outcome::Trapped(TrapKind::Unreachable),
        returned(&[Value::I32(1)]),
    ]
}

fn file() -> TestFile {
    TestFile { dir: String::new(), name: "self.wast".to_owned(), text: Cow::Borrowed(SCRIPT), path: None }
}

fn run_with(outcomes: Vec<Outcome>) -> FileResult {
    run(&file(), &mut Canned { outcomes, validates: true })
}

#[test]
fn right_answers_pass() {
    let result = run_with(right());
    assert_eq!(result.failures, []);
    assert!(result.ok());
    assert_eq!(result.counts.assertions, ASSERTIONS);
    assert_eq!(result.counts.pass, ASSERTIONS - 1);
    assert_eq!(result.counts.text, 1);
}

/// Wrong answers by line.
fn wrong() -> Vec<(u32, Outcome)> {
    let int = |value| returned(&[Value::I32(value)]);
    let mut wrong = vec![
        (1, rejected(RejectStage::Invalid)),
        (1, rejected(RejectStage::Unlinkable)),
        (1, Outcome::Trapped(TrapKind::Unreachable)),
        (2, Outcome::BadStep("no instance".to_owned())),
        (3, int(2)),
        (3, returned(&[Value::I64(1)])),
        (3, returned(&[Value::F32(1)])),
        (3, returned(&[])),
        (3, returned(&[Value::I32(1), Value::I32(1)])),
        (3, Outcome::Done),
        (3, Outcome::Unchecked),
        (4, returned(&[Value::I64(2)])),
        (4, int(-2)),
        (5, returned(&[Value::F32(2.5_f32.to_bits())])),
        (6, returned(&[Value::F64(0)])),
        // An arithmetic NaN is not canonical, a number is neither, and a signalling NaN is not arithmetic.
        (7, returned(&[Value::F32(CANONICAL_32 | 1)])),
        (7, returned(&[Value::F32(0)])),
        (7, returned(&[Value::F64(CANONICAL_64)])),
        (8, returned(&[Value::F32(0x7f80_0001)])),
        (8, returned(&[Value::F32(0x7f80_0000)])),
        (9, returned(&[Value::F64(CANONICAL_64 | 1)])),
        (9, returned(&[Value::F32(CANONICAL_32)])),
        (10, returned(&[Value::F64(0x7ff0_0000_0000_0001)])),
        (11, lanes([1, 2, 3, 5])),
        (11, lanes([4, 3, 2, 1])),
        (12, lanes([1.0_f32.to_bits(), CANONICAL_32 | 1, CANONICAL_32, 0])),
        (12, lanes([1.0_f32.to_bits(), CANONICAL_32, 0x7f80_0001, 0])),
        (12, lanes([1.0_f32.to_bits(), CANONICAL_32, CANONICAL_32, 1])),
        (13, reference(NodeRef::I31(0))),
        (13, object(ObjectKind::Struct)),
        (13, int(0)),
        (14, object(ObjectKind::Array)),
        (15, reference(NodeRef::Null)),
        (15, object(ObjectKind::Struct)),
        (15, int(1)),
        (16, object(ObjectKind::Array)),
        (16, reference(NodeRef::I31(1))),
        (16, reference(NodeRef::Null)),
        (17, object(ObjectKind::Struct)),
        (17, reference(NodeRef::Null)),
        (18, reference(NodeRef::Null)),
        (18, reference(NodeRef::Host(1))),
        (18, reference(NodeRef::Func(0, 0))),
        (19, reference(NodeRef::Null)),
        (19, reference(NodeRef::Func(0, 0))),
        (20, reference(NodeRef::Null)),
        (20, reference(NodeRef::Host(1))),
        (20, object(ObjectKind::Struct)),
        (21, reference(NodeRef::Null)),
        (21, reference(NodeRef::Func(0, 0))),
        (22, reference(NodeRef::Host(8))),
        (22, reference(NodeRef::Null)),
        (23, int(3)),
        (24, returned(&[Value::I32(2), Value::I32(1)])),
        (24, returned(&[Value::I32(1)])),
        (25, int(0)),
        (26, int(8)),
        (27, Outcome::Trapped(TrapKind::IntegerOverflow)),
        (27, int(0)),
        (27, Outcome::Exhausted(Resource::CallStack)),
        (28, Outcome::Trapped(TrapKind::Unreachable)),
        (28, returned(&[])),
        (28, Outcome::Exhausted(Resource::Fuel)),
        (28, Outcome::Exhausted(Resource::GcHeap)),
        (29, returned(&[])),
        (29, Outcome::Trapped(TrapKind::Unreachable)),
        // The stages are kept apart.
        (30, rejected(RejectStage::Invalid)),
        (30, rejected(RejectStage::Unlinkable)),
        (30, Outcome::Done),
        (30, Outcome::Unchecked),
        (32, rejected(RejectStage::Malformed)),
        (32, rejected(RejectStage::Unlinkable)),
        (32, Outcome::Done),
        (32, Outcome::Unchecked),
        (33, rejected(RejectStage::Invalid)),
        (33, rejected(RejectStage::Malformed)),
        (33, Outcome::Done),
        (33, Outcome::Trapped(TrapKind::Unreachable)),
        (33, Outcome::Unchecked),
        (34, Outcome::Done),
        (34, rejected(RejectStage::Unlinkable)),
        (34, rejected(RejectStage::Invalid)),
        (34, Outcome::Trapped(TrapKind::NullReference)),
        (34, Outcome::Unchecked),
        // A bare invocation must succeed.
        (35, Outcome::Trapped(TrapKind::Unreachable)),
        (35, Outcome::Thrown { graph: HeapGraph::default() }),
        (35, Outcome::Exhausted(Resource::CallStack)),
    ];
    for line in (1..=35).filter(|line| *line != 31) {
        wrong.push((line, Outcome::Crashed("signal 11".to_owned())));
        wrong.push((line, Outcome::BadStep("no such export".to_owned())));
        if line < 30 {
            wrong.push((line, Outcome::Exhausted(Resource::Memory)));
            wrong.push((line, rejected(RejectStage::Malformed)));
        }
        if (3..=26).contains(&line) {
            wrong.push((line, Outcome::Thrown { graph: HeapGraph::default() }));
            wrong.push((line, Outcome::Trapped(TrapKind::CastFailure)));
        }
    }
    wrong
}

#[test]
fn each_wrong_answer_is_reported_at_its_line() {
    for (line, outcome) in wrong() {
        let mut outcomes = right();
        outcomes[line as usize - 1] = outcome.clone();
        let result = run_with(outcomes);
        assert!(!result.ok(), "line {line}: {outcome:?} passed");
        let lines: Vec<u32> = result.failures.iter().map(|failure| failure.line).collect();
        assert_eq!(lines, [line], "{outcome:?}: {:?}", result.failures);
        let assertion = (3..=34).contains(&line);
        assert_eq!(result.failures[0].assertion, assertion);
        assert_eq!(result.counts.fail, u64::from(assertion), "{outcome:?}");
        assert_eq!(result.counts.pass, ASSERTIONS - 1 - u64::from(assertion), "{outcome:?}");
        let text = report::human(&suite_of(result));
        assert!(text.contains(&format!("FAIL self.wast:{line}: ")), "{text}");
    }
}

#[test]
fn unsupported_fails_a_file_in_scope() {
    for line in (1..=35).filter(|line| *line != 31) {
        let mut outcomes = right();
        outcomes[line as usize - 1] = Outcome::Unsupported("simd".to_owned());
        let result = run_with(outcomes);
        assert!(!result.ok(), "line {line}");
        assert_eq!(result.counts.unsupported, u64::from((3..=34).contains(&line)), "line {line}");
    }
}

#[test]
fn missing_outcomes_are_failures() {
    let mut outcomes = right();
    outcomes.truncate(10);
    let result = run_with(outcomes);
    assert_eq!(result.counts.assertions, ASSERTIONS);
    assert!(result.counts.fail >= ASSERTIONS - 9, "{:?}", result.counts);
}

#[test]
fn without_a_validator_validity_is_unchecked() {
    let mut outcomes = right();
    outcomes[29] = Outcome::Unchecked;
    outcomes[31] = Outcome::Unchecked;
    let result = run(&file(), &mut Canned { outcomes, validates: false });
    assert_eq!(result.failures, []);
    assert_eq!(result.counts.unchecked, 2);
    assert_eq!(result.counts.pass, ASSERTIONS - 3);
}

#[test]
fn a_file_that_is_no_script_fails() {
    let bad = TestFile { text: Cow::Borrowed("(assert_return (invoke"), ..file() };
    let result = run(&bad, &mut Canned { outcomes: Vec::new(), validates: true });
    assert!(matches!(result.state, FileState::Unreadable(_)), "{result:?}");
    assert!(!result.ok());
    assert!(!suite_of(result).ok());
}

#[test]
fn a_panicking_subject_fails_the_file() {
    struct Panics;
    impl Subject for Panics {
        fn name(&self) -> &str {
            "panics"
        }
        fn supports(&self) -> Features {
            Features::default()
        }
        fn observe(&mut self, _case: &Case) -> Observation {
            panic!("on purpose")
        }
    }
    let result = run(&file(), &mut Panics);
    assert!(result.poisoned && !result.ok());
    assert_eq!(result.counts.fail, ASSERTIONS);
    assert!(result.failures[0].text.contains("on purpose"));
}

#[test]
fn files_out_of_scope_are_listed_in_every_report() {
    let simd = TestFile { dir: "core/simd".to_owned(), name: "simd_x.wast".to_owned(), ..file() };
    let threads = TestFile { dir: "proposals/threads".to_owned(), name: "atomic.wast".to_owned(), ..file() };
    let plain = || -> Result<Box<dyn Subject>, String> {
        Ok(Box::new(Canned { outcomes: right(), validates: true }))
    };
    let features = Features { gc: true, ..Features::default() };
    let subjects = [SubjectSpec::new("canned", features, plain)];
    let options = suite_run::Options { jobs: 2, filters: Vec::new() };
    let seen = std::sync::atomic::AtomicUsize::new(0);
    let result = suite_run::run_suite(vec![simd, threads, file()], &subjects, &options, &|progress| {
        assert_eq!(progress.total, 3);
        seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(seen.into_inner(), 3);
    assert!(result.ok());
    assert_eq!(result.subjects[0].out_of_scope(), 2);
    assert_eq!(result.subjects[0].counts.assertions, ASSERTIONS);
    let human = report::human(&result);
    assert!(human.contains("out of scope: core/simd: 1 files: needs simd"), "{human}");
    assert!(human.contains("out of scope: proposals/threads: 1 files: a proposal beyond"), "{human}");
    let json = report::json(&result).unwrap();
    assert!(json.contains("\"out-of-scope\": \"needs simd\""), "{json}");
    let junit = report::junit(&result).unwrap();
    assert!(junit.contains("skipped=\"2\"") && junit.contains("needs simd"), "{junit}");
}

#[test]
fn filters_match_directory_and_file() {
    let files =
        || vec![file(), TestFile { dir: "core/gc".to_owned(), name: "array.wast".to_owned(), ..file() }];
    let labels = |filter: &str| -> Vec<String> {
        let kept = suite_run::filter(files(), &[filter.to_owned()]).expect("a glob");
        kept.iter().map(TestFile::label).collect()
    };
    assert_eq!(labels("core/gc/*"), ["core/gc/array.wast"]);
    assert_eq!(labels("**/arr*"), ["core/gc/array.wast"]);
    assert_eq!(labels("self*"), ["self.wast"]);
    let kind =
        |filter: &str| suite_run::filter(files(), &[filter.to_owned()]).map_err(|error| error.kind()).err();
    assert_eq!(kind("a["), Some(ErrorKind::Filter));
    assert_eq!(kind("core/simd/*"), Some(ErrorKind::EmptyFilter));
}

/// One result as a whole suite's.
fn suite_of(result: FileResult) -> suite_run::SuiteResult {
    let subject = suite_run::SubjectResult {
        subject: result.subject.clone(),
        counts: result.counts,
        counters: result.counters.clone(),
        files: vec![result],
    };
    suite_run::SuiteResult { subjects: vec![subject] }
}
