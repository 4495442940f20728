//! Digests of small graphs: what must differ differs, what is isomorphic is equal; and of all generated cases and the corpus:
//! the form is valid, and the interpreter's expectations hold for a JIT subject.

use super::*;
use crate::case::{Expect, Pattern, Schedule};
use crate::compare::{Verdict, check_expectations};
use crate::observe::Value;
use crate::subject;
use crate::{Step, generate};

const TYPES: &str = "
  (type $cell (sub (struct (field (mut i32)) (field (mut anyref)) (field (mut anyref)))))
  (type $same (sub $cell (struct (field (mut i32)) (field (mut anyref)) (field (mut anyref)))))
  (rec (type $twin_a (struct (field (mut i32)))) (type $pad_a (struct)))
  (rec (type $twin_b (struct (field (mut i32)))) (type $pad_b (struct)))
  (type $bytes (array (mut i8)))
  (type $packed (struct (field (mut i8)) (field (mut i16))))
  (type $floats (struct (field (mut f32)) (field (mut f64)) (field (mut v128))))
  (type $refs (array (mut anyref)))
  (type $others (struct (field (mut externref)) (field (mut funcref)) (field (mut exnref))))
  (type $thunk (func)) (type $unary (func (param i32)))
  (func $thunk (type $thunk)) (func $unary (type $unary))
  (elem declare func $thunk $unary)";

fn case(text: &str) -> Case {
    let module = Source::Binary(wat::parse_str(text).unwrap_or_else(|e| panic!("{e}\n{text}")));
    let invoke = Action::Invoke { module: None, field: "f".into(), args: Vec::new() };
    let step = |action, expect| Step { action, expect, line: 0 };
    Case {
        schedule: Schedule::default(),
        steps: vec![
            step(Action::Module { name: None, source: module }, Expect::Success),
            step(invoke, Expect::Any),
        ],
    }
}

/// The digest of what the body leaves, an anyref.
fn digest(body: &str) -> i64 {
    let text = format!(
        "(module {TYPES} (func (export \"f\") (result anyref) (local $a (ref null $cell)) (local $b (ref null $cell)) {body}))"
    );
    first_value(&export(&case(&text), 1).unwrap_or_else(|e| panic!("{e}: {body}")))
}

fn first_value(exported: &Exported) -> i64 {
    validate(&exported.case).expect("valid");
    let digest =
        |step: &&Step| matches!(&step.action, Action::Invoke { field, .. } if field.starts_with("digest"));
    match &exported.case.steps.iter().find(digest).expect("a digest").expect {
        Expect::Return(values) => match values[..] {
            [Pattern::Value(Value::I64(digest))] => digest,
            _ => panic!("{values:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_difference_gives_another_digest() {
    let cell = |number: i32, left: &str, right: &str| {
        format!("(struct.new $cell (i32.const {number}) {left} {right})")
    };
    let null = "(ref.null none)";
    let i31 = |v: i64| format!("(ref.i31 (i32.const {v}))");
    let leaf = cell(1, null, null);
    let ring = |len: usize| {
        let grow =
            "(local.set $b (struct.new $cell (i32.const 1) (local.get $b) (ref.null none)))".repeat(len - 1);
        format!(
            "(local.set $a (struct.new $cell (i32.const 1) (ref.null none) (ref.null none))) (local.set $b (local.get $a)) {grow}
             (struct.set $cell 1 (local.get $a) (local.get $b)) (local.get $a)"
        )
    };
    let shared = format!("(local.set $a {leaf}) {}", cell(0, "(local.get $a)", "(local.get $a)"));
    let pairs = [
        ("a scalar", cell(1, null, null), cell(2, null, null)),
        ("an i31", cell(1, &i31(0), null), cell(1, &i31(1 << 30), null)),
        ("an i31's sign", i31(-1), i31(0x3fff_ffff)),
        ("null or i31", cell(1, null, null), cell(1, &i31(0), null)),
        ("i31 or a cell", cell(1, &leaf, null), cell(1, &i31(1), null)),
        ("which field", cell(1, &leaf, null), cell(1, null, &leaf)),
        ("shared or a copy", shared, cell(0, &leaf, &leaf)),
        ("the length of a cycle", ring(1), ring(2)),
        ("the length of a longer cycle", ring(3), ring(6)),
        ("an end deep below", cell(0, &cell(0, &cell(0, &leaf, null), null), null), cell(0, &cell(0, &cell(0, null, null), null), null)),
        ("a declared subtype", leaf.clone(), leaf.replace("$cell", "$same")),
        ("an array's length", "(array.new $bytes (i32.const 3) (i32.const 4))".into(), "(array.new $bytes (i32.const 3) (i32.const 5))".into()),
        ("an array's last element", "(array.new_default $bytes (i32.const 1000))".into(),
         "(local $x (ref null $bytes)) (local.set $x (array.new_default $bytes (i32.const 1000)))
          (array.set $bytes (local.get $x) (i32.const 999) (i32.const 1)) (local.get $x)".into()),
        ("empty arrays of two types", "(array.new_default $bytes (i32.const 0))".into(), "(array.new_default $refs (i32.const 0))".into()),
        ("a packed sign", "(struct.new $packed (i32.const 0x80) (i32.const 0))".into(), "(struct.new $packed (i32.const 0x7f) (i32.const 0))".into()),
        ("a packed i16", "(struct.new $packed (i32.const 0) (i32.const 0x8000))".into(), "(struct.new $packed (i32.const 0) (i32.const 0))".into()),
        ("a float's sign", "(struct.new $floats (f32.const 0) (f64.const 0) (v128.const i64x2 0 0))".into(),
         "(struct.new $floats (f32.const -0) (f64.const 0) (v128.const i64x2 0 0))".into()),
        ("a vector's lane", "(struct.new $floats (f32.const 0) (f64.const 0) (v128.const i64x2 0 1))".into(),
         "(struct.new $floats (f32.const 0) (f64.const 0) (v128.const i64x2 1 0))".into()),
        ("what is external", "(struct.new $others (extern.convert_any (ref.i31 (i32.const 1))) (ref.null func) (ref.null exn))".into(),
         "(struct.new $others (extern.convert_any (ref.i31 (i32.const 2))) (ref.null func) (ref.null exn))".into()),
        ("a function's type", "(struct.new $others (ref.null extern) (ref.func $thunk) (ref.null exn))".into(),
         "(struct.new $others (ref.null extern) (ref.func $unary) (ref.null exn))".into()),
    ];
    for (what, one, other) in pairs {
        // A local stands in front of the body's instructions.
        assert_ne!(digest(&one), digest(&other), "{what}");
    }
}

#[test]
fn the_order_of_construction_does_not_matter() {
    let leaf = |n: i32| format!("(struct.new $cell (i32.const {n}) (ref.null none) (ref.null none))");
    let forward = format!(
        "(local.set $a {}) (local.set $b {}) (struct.new $cell (i32.const 0) (local.get $a) (local.get $b))",
        leaf(1),
        leaf(2)
    );
    let backward = format!(
        "(local.set $b {}) (local.set $a {}) (struct.new $cell (i32.const 0) (local.get $a) (local.get $b))",
        leaf(2),
        leaf(1)
    );
    assert_eq!(digest(&forward), digest(&backward));
    let knot = |first: &str, second: &str| {
        format!(
            "(local.set $a {}) (local.set $b {}) (struct.set $cell {first}) (struct.set $cell {second}) (local.get $a)",
            leaf(1),
            leaf(2)
        )
    };
    let (to, from) = ("1 (local.get $a) (local.get $b)", "2 (local.get $b) (local.get $a)");
    assert_eq!(digest(&knot(to, from)), digest(&knot(from, to)));
    // Structurally equal types are one type.
    assert_eq!(digest("(struct.new $twin_a (i32.const 7))"), digest("(struct.new $twin_b (i32.const 7))"));
    // NaNs count alike.
    let float =
        |nan: &str| format!("(struct.new $floats (f32.const {nan}) (f64.const 0) (v128.const i64x2 0 0))");
    assert_eq!(digest(&float("nan")), digest(&float("-nan:0x400001")));
    assert_ne!(digest(&float("nan")), digest(&float("inf")));
}

#[test]
fn exceptions_count_by_tag_and_payload_and_traps_stay_traps() {
    let thrown = |tag: &str, number: i32| {
        let text = format!(
            "(module (tag $a (param i32 anyref)) (tag $b (param i32 anyref))
              (func (export \"f\") (throw {tag} (i32.const {number}) (ref.i31 (i32.const 1)))))"
        );
        first_value(&export(&case(&text), 1).expect("exported"))
    };
    assert_eq!(thrown("$a", 1), thrown("$a", 1));
    assert_ne!(thrown("$a", 1), thrown("$a", 2));
    assert_ne!(thrown("$a", 1), thrown("$b", 1));
    let trap = export(&case("(module (tag) (func (export \"f\") (unreachable)))"), 1).expect("exported");
    assert_eq!(trap.case.steps[1].expect, Expect::Trap(crate::TrapKind::Unreachable));
    let forever = case("(module (func (export \"f\") (loop (br 0))))");
    let left = export(&forever, 1).expect("its state is left");
    assert_eq!((left.dropped.as_slice(), left.case.steps.len()), (&[LeftOut::Fuel][..], 2));
}

#[test]
fn imports_of_the_harness_are_replaced_and_others_refused() {
    let text = "(module
        (import \"assay\" \"log_i32\" (func $log (param i32)))
        (import \"assay\" \"host\" (func $host (param i32) (result externref)))
        (import \"assay\" \"keep\" (func $keep (param anyref)))
        (import \"assay\" \"kept\" (func $kept (param i32) (result anyref)))
        (import \"assay\" \"call\" (func $call (param funcref)))
        (global $n (mut i32) (i32.const 0))
        (func $up (global.set $n (i32.add (global.get $n) (i32.const 1))))
        (elem declare func $up $log)
        (func (export \"f\") (result i32 externref anyref)
          (call $log (i32.const 7)) (call $call (ref.func $up)) (call $call (ref.null func)) (call $call (ref.func $log))
          (call $keep (any.convert_extern (call $host (i32.const 5))))
          (global.get $n) (call $host (i32.const 8)) (call $kept (i32.const 0))))";
    let exported = export(&case(text), 3).expect("exported");
    validate(&exported.case).expect("valid");
    assert!(!exported.to_wast().contains("(import"));
    assert_eq!(exported.dropped, []);
    let logged = export(&case(&text.replace("i32.const 7", "i32.const 9")), 3).expect("exported");
    assert_eq!(first_value(&exported), first_value(&logged));
    assert_eq!(exported.case.steps[1].expect, logged.case.steps[1].expect);
    assert_ne!(exported.case.steps[2].expect, logged.case.steps[2].expect, "the state has the log");
    for outside in ["(import \"env\" \"f\" (func))", "(import \"assay\" \"gc\" (func (param i32)))"] {
        let text = format!("(module {outside} (func (export \"f\")))");
        assert_eq!(transform(&case(&text), 1), Err(LeftOut::Import));
    }
}

/// The text parses, and its assertions hold on the interpreter and on a JIT subject; garbage as written.
fn holds(name: &str, exported: &Exported) {
    validate(&exported.case).unwrap_or_else(|error| panic!("{name}: {error}"));
    let text = exported.to_wast();
    let case = Case::parse(&text, name).unwrap_or_else(|error| panic!("{error}"));
    for spelling in ["interp", "jit:copying"] {
        for mut subject in subject::parse(spelling).expect("a subject") {
            let observation = subject.observe(&case);
            for (at, verdict) in check_expectations(&case, spelling, &observation).iter().enumerate() {
                assert_eq!(*verdict, Verdict::Pass, "{name}, step {at} on {spelling}");
            }
        }
    }
}

#[test]
fn generated_cases_hold_on_both_executors() {
    let seeds = if cfg!(debug_assertions) { 8 } else { 200 };
    let objects = |part: u64| {
        for seed in (0..seeds).filter(|seed| seed % 2 == part) {
            let case = generate::from_seed("objects", seed).expect("a generator");
            let exported = export(&case, 4).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            holds(&format!("objects {seed}"), &exported);
            validate(&for_campaign(&case).expect("a form").0).expect("valid");
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| objects(0));
        objects(1);
    });
    let mut linked = 0;
    for seed in 0..seeds / 5 {
        let case = generate::from_seed("linking", seed).expect("a generator");
        if let Ok(exported) = export(&case, 4) {
            holds(&format!("linking {seed}"), &exported);
            linked += 1;
        }
    }
    assert!(linked >= seeds / 10, "{linked}");
    let mut smith = 0;
    for seed in 0..seeds / 5 {
        let case = generate::from_seed("smith", seed).expect("a generator");
        if let Ok(exported) = export(&case, 4) {
            holds(&format!("smith {seed}"), &exported);
            smith += 1;
        }
    }
    // Most have relaxed vector instructions.
    assert!(smith >= seeds / 100, "{smith}");
}

#[test]
fn the_corpus_holds_on_both_executors() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus");
    let mut exported = 0;
    for area in [
        "anyref-fields",
        "arrays",
        "casts",
        "exceptions",
        "fibers",
        "globals-tables",
        "i31",
        "roots",
        "segments",
    ] {
        for entry in std::fs::read_dir(root.join(area)).expect("an area").flatten() {
            let name = entry.path().display().to_string();
            let text = std::fs::read_to_string(entry.path()).expect("a file");
            let case = Case::parse(&text, &name).expect("a case");
            match export(&case, 4) {
                Ok(case) => {
                    holds(&name, &case);
                    exported += 1;
                }
                Err(reason) => assert_eq!(reason, LeftOut::Import, "{name}"),
            }
        }
    }
    assert!(exported >= 30, "{exported}");
}

#[test]
fn a_call_that_leaves_nothing_behind_is_repeated() {
    let repeated = |body: &str| {
        let text = format!(
            "(module (type $s (struct (field (mut (ref null $s)))))
               (table $t 4 (ref null $s))
               (global $kept (mut (ref null $s)) (ref.null $s))
               (tag $e)
               (func (export \"f\") (local $a (ref null $s)) {body}))"
        );
        // One case in four repeats a call: the length of a name says which.
        let padded = |n: usize| {
            case(&text.replace("(tag $e)", &format!("(tag $e) (memory (export \"{}\") 0)", "m".repeat(n))))
        };
        let exported = (1..5).map(|n| export(&padded(n), 1).expect("exported"));
        let repeats =
            |step: &Step| matches!(&step.action, Action::Invoke { field, .. } if field.starts_with(REPEAT));
        let exported: Vec<Exported> = exported.collect();
        let which = exported.iter().position(|exported| exported.case.steps.iter().any(repeats)).unwrap_or(0);
        let exported = &exported[which];
        validate(&exported.case).expect("valid");
        exported.case.steps.iter().find_map(|step| match &step.action {
            Action::Invoke { field, args, .. } if field.starts_with(REPEAT) => {
                assert_eq!(step.expect, Expect::Return(vec![Pattern::Value(Value::I64(0))]));
                args.last().copied()
            }
            _ => None,
        })
    };
    let often = Some(Value::I32(10_000));
    assert_eq!(repeated("(local.set $a (struct.new $s (ref.null $s)))"), often);
    assert_eq!(repeated("(table.set $t (i32.const 1) (struct.new $s (ref.null $s)))"), often);
    assert_eq!(repeated("(global.set $kept (struct.new $s (struct.new $s (ref.null $s))))"), often);
    assert_eq!(repeated("(local.set $a (struct.new $s (ref.null $s))) (throw $e)"), often);
    // A ring that becomes garbage, a list that grows, a trap.
    assert_eq!(
        repeated(
            "(local.set $a (struct.new $s (ref.null $s))) (struct.set $s 0 (local.get $a) (local.get $a))"
        ),
        None
    );
    assert_eq!(repeated("(global.set $kept (struct.new $s (global.get $kept)))"), None);
    assert_eq!(repeated("(unreachable)"), None);
}
