//! Reductions by toy predicates, and one of a real difference between two executors.

use super::*;
use crate::case::{Expect, Schedule, Step};
use crate::observe::Value;

fn step(action: Action) -> Step {
    Step { action, expect: Expect::Any, line: 0 }
}

fn case(wat: &str, calls: &[(&str, Vec<Value>)]) -> Case {
    let source = Source::Binary(wat::parse_str(wat).unwrap());
    let mut steps = vec![step(Action::Module { name: None, source })];
    for (field, args) in calls {
        steps.push(step(Action::Invoke { module: None, field: (*field).into(), args: args.clone() }));
    }
    Case { schedule: Schedule { collect_every: Some(3), fuel: Some(1000), ..Schedule::default() }, steps }
}

const PROGRAM: &str = r#"(module
  (rec (type $s (struct (field (mut i32)) (field (ref null $s)))))
  (type $unused (array i8))
  (import "assay" "gc" (func $gc))
  (global $g (mut anyref) (ref.null any))
  (table 3 funcref)
  (memory 1)
  (data (i32.const 0) "abc")
  (elem (i32.const 0) func $helper $f)
  (func $helper (param i32) (result i32)
    (local i64 f64)
    (block (result i32) (i32.add (local.get 0) (i32.const 5))))
  (func $f (export "f") (param i32) (result i32)
    (local $x (ref null $s)) (local i32 i32)
    (local.set $x (struct.new $s (i32.const 1) (ref.null $s)))
    (call $gc)
    (loop
      (if (local.get 0)
        (then
          (global.set $g (local.get $x))
          (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
          (br 1))))
    (i32.div_s (call $helper (i32.const 3)) (local.get 0)))
  (func (export "other") (result i32) (i32.const 9)))"#;

/// What the interpreter makes of the first call of `f`.
fn traps(case: &Case) -> bool {
    let seen = crate::subject::InterpSubject::new();
    let mut seen = seen;
    let observation = crate::Subject::observe(&mut seen, case);
    observation.outcomes.contains(&crate::Outcome::Trapped(crate::TrapKind::IntegerDivideByZero))
}

/// A program that keeps what each call makes is not the finding of an engine that does.
#[test]
fn a_repeated_call_that_leaves_nothing_behind_goes_on_to_do_so() {
    let program = |after: &str| {
        let text = format!(
            r#"(module
              (type $s (struct (field (ref null $s))))
              (global $g (mut (ref null $s)) (ref.null $s))
              (func $f (global.set $g (struct.new $s (global.get $g))) {after})
              (func (export "repeat f") (param i32)
                (loop (call $f) (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
              (func (export "unused")))"#
        );
        case(&text, &[("repeat f", vec![Value::I32(5000)]), ("unused", vec![])])
    };
    let makes = |case: &Case| {
        let text = module_at(case, 0).map(|bytes| wasmprinter::print_bytes(bytes).unwrap());
        let called =
            |step: &Step| matches!(&step.action, Action::Invoke { field, .. } if field == "repeat f");
        text.is_some_and(|text| text.contains("struct.new")) && case.steps.iter().any(called)
    };
    let steady = program("(global.set $g (ref.null $s))");
    assert_eq!(selfcheck::steady(&steady), Some(true));
    assert_eq!(selfcheck::steady(&program("")), Some(false));
    let small = reduce(&steady, &mut { makes });
    assert_eq!(selfcheck::steady(&small), Some(true));
    assert!(small.steps.len() < steady.steps.len() && makes(&small));
    // What leaks from the beginning may go on to.
    assert_eq!(selfcheck::steady(&reduce(&program(""), &mut { makes })), Some(false));
}

/// A smaller program that wants more memory than the limit is not the same finding, whatever the predicate says.
#[test]
fn a_limit_that_suffices_goes_on_to_suffice() {
    let text = r#"(module
      (type $a (array (mut i64)))
      (import "assay" "gc" (func $gc))
      (func (export "f") (param i32) (local $x (ref null $a))
        (loop
          (local.set $x (array.new_default $a (i32.const 60)))
          (local.set $x (ref.null $a))
          (call $gc)
          (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"#;
    let mut case = case(text, &[("f", vec![Value::I32(12)])]);
    case.schedule.gc_heap_max = Some(8192);
    assert!(limits::hold(&case));
    let mut calls = |case: &Case| case.steps.iter().any(|s| matches!(s.action, Action::Invoke { .. }));
    let small = reduce(&case, &mut |case| case.schedule.gc_heap_max.is_some() && calls(case));
    assert!(limits::hold(&small));
    assert!(reduce(&case, &mut calls).schedule.gc_heap_max.is_none(), "a limit that is not needed goes");
}

#[test]
fn a_trap_is_reduced_to_little_more_than_its_instruction() {
    let five = vec![Value::I32(5)];
    let case = case(PROGRAM, &[("other", vec![]), ("f", five.clone()), ("other", vec![]), ("f", five)]);
    assert!(traps(&case));
    let mut asked = 0;
    let small = reduce(&case, &mut |candidate| {
        asked += 1;
        traps(candidate)
    });
    assert!(traps(&small));
    assert_eq!(small.steps.len(), 2, "{}", small.to_wast());
    assert_eq!(small.schedule.collect_every, None);
    let bytes = module_at(&small, 0).unwrap();
    assert_eq!(module::export_names(bytes).len(), 1);
    assert!(bytes.len() < 60, "{} bytes after {asked} attempts:\n{}", bytes.len(), small.to_wast());
    let again = reduce(&case, &mut traps);
    assert_eq!(small, again, "not deterministic");
}

#[test]
fn every_candidate_validates_and_the_best_is_kept_when_interrupted() {
    let case = case(PROGRAM, &[("f", vec![Value::I32(1)])]);
    let mut tried = 0;
    let small = reduce_with(
        &case,
        &mut |candidate| {
            assert!((0..candidate.steps.len()).filter_map(|i| module_at(candidate, i)).all(is_valid));
            traps(candidate)
        },
        &mut |progress| {
            tried = progress.tried;
            if progress.tried == 7 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        },
    );
    assert_eq!(tried, 7);
    assert!(traps(&small));
}

#[test]
fn invalid_modules_are_left_alone() {
    let source = Source::Binary(b"\0asm\x01\0\0\0\xff\0".to_vec());
    let case = Case { steps: vec![step(Action::Check { source })], ..Case::default() };
    assert_eq!(reduce(&case, &mut |candidate| !candidate.steps.is_empty()), case);
}

/// A trap that takes several modules: what the others do not need goes, each module stays valid.
#[test]
fn a_case_of_several_modules_is_reduced() {
    let mut interp = crate::subject::InterpSubject::new();
    let mut mismatch = |case: &Case| {
        let outcomes = crate::Subject::observe(&mut interp, case).outcomes;
        // A step that the case no longer makes sense of is no finding.
        let trapped = crate::Outcome::Trapped(crate::TrapKind::IndirectCallTypeMismatch);
        outcomes.contains(&trapped) && !outcomes.iter().any(|o| matches!(o, crate::Outcome::BadStep(_)))
    };
    let case = (0..100)
        .filter_map(|seed| crate::generate::from_seed("linking", seed))
        .find(|case| mismatch(case))
        .unwrap();
    let small = reduce(&case, &mut mismatch);
    assert!(mismatch(&small));
    assert!(module_bytes(&small) < 1000.min(module_bytes(&case)), "{}", small.to_wast());
    let modules = (0..small.steps.len()).filter(|step| module_at(&small, *step).is_some());
    assert_eq!(valid_modules(&small).len(), modules.count(), "{}", small.to_wast());
    assert_eq!(Case::parse(&small.to_wast(), "small").unwrap().steps.len(), small.steps.len());
}

/// A case without steps under a schedule.
fn scheduled(schedule: Schedule) -> Case {
    Case { schedule, steps: Vec::new() }
}

fn collections(texts: &[&str]) -> Vec<crate::case::Collection> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn turns(texts: &[&str]) -> Vec<crate::case::Turn> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn full_schedule() -> Schedule {
    Schedule {
        collect_every: Some(9),
        collect_every_safepoint: Some(1000),
        collect_seed: Some(77),
        collect: collections(&[
            "minor@alloc:7",
            "slice:12@safepoint:1000",
            "full@alloc:3",
            "minor@safepoint:4",
        ]),
        modes: vec!["verify".parse().unwrap(), "no-poison".parse().unwrap()],
        fibers: 4,
        turns: turns(&[
            "resume 0 for 9",
            "epoch",
            "resume 3 for 77 fuel and 2 epochs",
            "cancel 1",
            "collect",
        ]),
        ..Schedule::default()
    }
}

#[test]
fn a_schedule_that_is_not_needed_goes() {
    let mut asked = 0;
    let small = reduce(&scheduled(full_schedule()), &mut |_| {
        asked += 1;
        true
    });
    assert_eq!(small.schedule, Schedule::default());
    assert!(asked < 12, "{asked}");
}

#[test]
fn one_collection_is_left_with_the_smallest_numbers() {
    let slice_late = |case: &Case| {
        case.schedule.collect.iter().any(|collection| {
            let assay_gc::Event { kind, at } = collection.0;
            matches!(kind, assay_gc::CollectKind::Slice { objects } if objects >= 3)
                && matches!(at, assay_gc::Trigger::Safepoint(n) if n >= 600)
        })
    };
    let mut still = slice_late;
    let small = reduce(&scheduled(full_schedule()), &mut still);
    assert_eq!(
        small.schedule,
        Schedule { collect: collections(&["slice:3@safepoint:600"]), ..Schedule::default() }
    );
    assert_eq!(small, reduce(&scheduled(full_schedule()), &mut still), "not deterministic");
    assert_eq!(small, reduce(&small, &mut still), "not a fixed point");
}

#[test]
fn the_turns_that_matter_are_left_with_the_smallest_numbers() {
    let long_turn = |case: &Case| {
        case.schedule.fibers >= 2
            && case.schedule.turns.iter().any(|turn| {
                matches!(turn, crate::case::Turn::Resume(3, slice) if slice.fuel.is_some_and(|fuel| fuel >= 30))
            })
    };
    let mut still = long_turn;
    let small = reduce(&scheduled(full_schedule()), &mut still);
    let wanted = Schedule { fibers: 2, turns: turns(&["resume 3 for 30"]), ..Schedule::default() };
    assert_eq!(small.schedule, wanted);
    let epochs = |case: &Case| {
        let of =
            |turn: &crate::case::Turn| matches!(turn, crate::case::Turn::Resume(3, s) if s.epochs.is_some());
        case.schedule.turns.iter().any(of)
    };
    let small = reduce(&scheduled(full_schedule()), &mut { epochs });
    assert_eq!(small.schedule.turns, turns(&["resume 3 for 2 epochs"]));
}

#[test]
fn a_seed_becomes_a_collection_everywhere_if_nothing_less_does() {
    let often = |case: &Case| {
        case.schedule.collect_seed.is_some() || case.schedule.collect_every.is_some_and(|n| n <= 9)
    };
    let small =
        reduce(&scheduled(Schedule { collect_seed: Some(77), ..Schedule::default() }), &mut { often });
    assert_eq!(small.schedule, Schedule { collect_every: Some(1), ..Schedule::default() });
    let only_seed = |case: &Case| case.schedule.collect_seed.is_some_and(|seed| seed % 7 == 0);
    let small = reduce(&scheduled(full_schedule()), &mut { only_seed });
    assert_eq!(small.schedule, Schedule { collect_seed: Some(0), ..Schedule::default() });
}

#[test]
fn what_collects_every_so_often_is_made_as_often_as_may_be() {
    let seldom = |case: &Case| case.schedule.collect_every_safepoint.is_some_and(|n| n > 40);
    let small = reduce(&scheduled(full_schedule()), &mut { seldom });
    assert_eq!(small.schedule, Schedule { collect_every_safepoint: Some(41), ..Schedule::default() });
}
