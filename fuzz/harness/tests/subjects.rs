//! Each subject proves each feature that it claims, and all of them agree.

use assay_harness::compare::{Verdict, check_expectations, compare};
use assay_harness::subject::proof::{PROOFS, find_out, prove};
use assay_harness::subject::{defaults, parse};
use assay_harness::{Case, Observation, Outcome, Subject};

/// Objects that only the operand stack keeps alive across a collection, and the host's functions.
const COLLECTION: &str = r#";;! observe_state = true
(module
  (type $s (struct (field (mut i32)) (field (mut anyref))))
  (import "assay" "gc" (func $gc))
  (import "assay" "log_i32" (func $log_i32 (param i32)))
  (import "assay" "log_ref" (func $log_ref (param anyref)))
  (import "assay" "keep" (func $keep (param anyref)))
  (import "assay" "kept" (func $kept (param i32) (result anyref)))
  (import "assay" "host" (func $host (param i32) (result externref)))
  (import "spectest" "global_i32" (global i32))
  (import "spectest" "table" (table 10 funcref))
  (import "spectest" "memory" (memory 1))
  (global $g (export "g0") (mut anyref) (ref.null any))
  (table $t (export "t0") 3 anyref)
  (memory $m (export "m0") 1)
  (elem declare func $f)
  (func $f (export "f0") (result i32)
    (local $x (ref null $s))
    (struct.get $s 0 (block (result (ref $s)) (struct.new $s (i32.const 42) (ref.i31 (i32.const -3))) (call $gc)))
    (call $log_i32 (global.get 0))
    (local.set $x (struct.new $s (i32.const 1) (any.convert_extern (call $host (i32.const 9)))))
    (struct.set $s 1 (local.get $x) (struct.new $s (i32.const 2) (local.get $x)))
    (call $log_ref (struct.get $s 1 (local.get $x)))
    (call $keep (local.get $x))
    (global.set $g (call $kept (i32.const 0)))
    (table.set $t (i32.const 1) (global.get $g))
    (table.set $t (i32.const 2) (any.convert_extern (call $host (i32.const 10))))
    (call $log_ref (call $kept (i32.const 1)))
    (i32.store $m (i32.const 100) (i32.const 77)))
  (func (export "f1") (result funcref anyref anyref) (ref.func $f) (global.get $g) (table.get $t (i32.const 1))))
(assert_return (invoke "f0") (i32.const 42))
;;@ collect
(assert_return (invoke "f1") (ref.func) (ref.struct) (ref.struct))
(assert_return (get "g0") (ref.struct))
"#;

const OUTCOMES: &str = r#";;! fuel = 5000
(module $M
  (type $f (func))
  (type $a (array (mut i32)))
  (table $t (export "t") 2 funcref)
  (func (export "spin") (loop (br 0)))
  (func $deep (export "deep") (call $deep))
  (func (export "unreachable") unreachable)
  (func (export "div") (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0)))
  (func (export "ovf") (result i32) (i32.div_s (i32.const 0x80000000) (i32.const -1)))
  (func (export "conv") (result i32) (i32.trunc_f32_s (f32.const nan)))
  (func (export "tab") (param i32) (call_indirect (type $f) (local.get 0)))
  (func (export "null") (drop (array.len (ref.null array))))
  (func (export "oob") (drop (array.get $a (array.new $a (i32.const 0) (i32.const 2)) (i32.const 2))))
  (func (export "big") (drop (array.new_default $a (i32.const -1)))))
(register "M" $M)
(assert_exhaustion (invoke "spin") "fuel exhausted")
(assert_trap (invoke "unreachable") "unreachable")
(assert_trap (invoke "div" (i32.const 0)) "integer divide by zero")
(assert_trap (invoke "ovf") "integer overflow")
(assert_trap (invoke "conv") "invalid conversion to integer")
(assert_trap (invoke "tab" (i32.const 2)) "undefined element")
(assert_trap (invoke "tab" (i32.const 1)) "uninitialized element")
(assert_trap (invoke "null") "null reference")
(assert_trap (invoke "oob") "out of bounds array access")
(assert_trap (invoke "big") "allocation size too large")
(assert_unlinkable (module (import "M" "nothing" (func))) "unknown import")
(assert_unlinkable (module (import "M" "t" (func))) "incompatible import type")
(assert_unlinkable (module (import "spectest" "nothing" (func))) "unknown import")
(assert_trap (module (func $s unreachable) (start $s)) "unreachable")
(module definition $D (global (export "g") i32 (i32.const 3)))
(module instance $I $D)
(assert_return (get $I "g") (i32.const 3))
(module (import "M" "spin" (func)) (import "M" "t" (table 1 funcref)))
"#;

const DEEP: &str = r#"(module (func $deep (export "deep") (call $deep)) (func (export "f") (result i32) (i32.const 1)))
(assert_exhaustion (invoke "deep") "call stack exhausted")
(assert_return (invoke "f") (i32.const 1))"#;

fn subjects() -> Vec<Box<dyn Subject>> {
    let mut names = defaults();
    for extra in
        ["jit:copying,opt=none,gc-stress", "jit:copying,regalloc=single_pass", "jit:copying,verify,no-poison"]
    {
        names.push(extra.to_owned());
    }
    names.iter().flat_map(|name| parse(name).expect("a subject")).collect()
}

fn observe(subject: &mut dyn Subject, text: &str) -> Observation {
    let case = Case::parse(text, "proof").expect("a case");
    let observation = subject.observe(&case);
    assert_eq!(observation.outcomes.len(), case.steps.len(), "{}", subject.name());
    for (i, verdict) in check_expectations(&case, subject.name(), &observation).into_iter().enumerate() {
        assert_eq!(verdict, Verdict::Pass, "{}: step {i} (line {})", subject.name(), case.steps[i].line);
    }
    observation
}

#[test]
fn each_subject_proves_what_it_claims() {
    for mut subject in subjects() {
        let features = subject.supports();
        for proof in PROOFS.iter().filter(|proof| proof.claimed(features)) {
            observe(&mut *subject, proof.case);
        }
        prove(&mut *subject).unwrap_or_else(|(name, why)| panic!("{}: {name}: {why}", subject.name()));
        assert_eq!(find_out(&mut *subject).map(|f| f.gc), Ok(true), "{}", subject.name());
        let seen = observe(&mut *subject, COLLECTION);
        assert_eq!(features.collects, seen.counters.collections > 0, "{}", subject.name());
        assert_eq!(features.liveness, seen.live_objects.is_some(), "{}", subject.name());
        if features.graphs {
            assert_eq!(seen.graph.nodes.len(), 2, "{}", subject.name());
        }
    }
}

#[test]
fn what_is_not_claimed_is_said_to_be_unsupported() {
    for mut subject in subjects() {
        let features = subject.supports();
        for proof in PROOFS.iter().filter(|proof| !proof.claimed(features)) {
            let case = Case::parse(proof.case, "proof").unwrap();
            let seen = subject.observe(&case);
            let unsupported = |o: &Outcome| matches!(o, Outcome::Unsupported(_) | Outcome::Unchecked);
            assert!(
                seen.outcomes.iter().any(unsupported),
                "{} on {}: {:?}",
                proof.name,
                subject.name(),
                seen.outcomes
            );
        }
    }
}

#[test]
fn outcomes_have_their_kinds_and_all_subjects_agree() {
    for text in [COLLECTION, OUTCOMES, DEEP] {
        let case = Case::parse(text, "case").unwrap();
        let mut names = Vec::new();
        let mut seen = Vec::new();
        for mut subject in subjects() {
            seen.push(observe(&mut *subject, text));
            names.push(subject.name().to_owned());
        }
        let pairs: Vec<(&str, &Observation)> = names.iter().map(String::as_str).zip(&seen).collect();
        let comparison = compare(&case, &pairs);
        assert!(comparison.findings.is_empty(), "{:#?}", comparison.findings);
        if text == COLLECTION {
            assert_eq!(seen[0].live_objects, Some(2));
            assert!(seen[0].counters.frame_only_survivors > 0 && seen[0].counters.frame_only_reread > 0);
            assert_eq!(seen[0].trace.len(), 9);
        }
    }
}

#[test]
fn a_schedule_collects_at_allocations() {
    let text = format!(";;! collect_every = 2\n{COLLECTION}");
    let case = Case::parse(&text, "case").unwrap();
    let mut plain = parse("jit:copying").unwrap().remove(0);
    let often = plain.observe(&case).counters.collections;
    let seldom = plain.observe(&Case::parse(COLLECTION, "case").unwrap()).counters.collections;
    assert!(often > seldom, "{often} {seldom}");
}
