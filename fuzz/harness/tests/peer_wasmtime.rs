//! Wasmtime as a subject: what it shows is what the reference shows. `cargo test --features peer-wasmtime --test peer_wasmtime`.

#![cfg(feature = "peer-wasmtime")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use assay_harness::campaign::worker::examine;
use assay_harness::compare::{Verdict, check_expectations, compare};
use assay_harness::generate::{self, from_seed};
use assay_harness::subject::parse;
use assay_harness::{Case, Observation, Outcome, Subject, selfcheck};

/// Cases of each generator.
const CASES: u64 = 40;

fn subjects(specs: &[&str]) -> Vec<Box<dyn Subject>> {
    specs.iter().flat_map(|spec| parse(spec).expect("a subject")).collect()
}

/// What differs from the reference or from the script's assertions, and how often a comparison was cut short.
fn differences(subjects: &mut [Box<dyn Subject>], case: &Case) -> (Vec<String>, BTreeMap<String, u64>) {
    let seen: Vec<Observation> = subjects.iter_mut().map(|subject| subject.observe(case)).collect();
    let named: Vec<(&str, &Observation)> = subjects.iter().map(|s| s.name()).zip(&seen).collect();
    let comparison = compare(case, &named);
    let mut wrong: Vec<String> =
        comparison.findings.iter().map(|f| format!("{}: {}", f.kind, f.text)).collect();
    for (name, observation) in &named {
        let unsupported = |step: usize| matches!(observation.outcomes[step], Outcome::Unsupported(_));
        // What follows a step that is unsupported has nothing to stand on.
        let first = (0..observation.outcomes.len()).find(|step| unsupported(*step));
        for (step, verdict) in check_expectations(case, name, observation).iter().enumerate() {
            if let Verdict::Fail(text) = verdict
                && first.is_none_or(|first| step < first)
            {
                wrong.push(format!("{name}: step {step}: {text}"));
            }
        }
    }
    (wrong, comparison.discards.iter().map(|(kind, n)| (kind.to_string(), *n)).collect())
}

fn agree(specs: &[&str], text: &str) -> Vec<Observation> {
    let case = Case::parse(text, "case").expect("a case");
    let mut subjects = subjects(specs);
    let (wrong, cut) = differences(&mut subjects, &case);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cut.is_empty(), "{cut:?}");
    subjects.iter_mut().map(|subject| subject.observe(&case)).collect()
}

/// All collectors and levels, and each other option once.
const ALL: &[&str] = &[
    "interp",
    "wasmtime:*",
    "wasmtime:*,every-safepoint",
    "wasmtime:*,yields,opt=none",
    "wasmtime:copying,yields,every-safepoint",
    "wasmtime:drc,checked,verify",
    "wasmtime:copying,inlining,regalloc=single_pass",
];

const HEAP: &str = r#";;! observe_state = true
(module $A
  (rec (type $node (sub (struct (field $key (mut i32)) (field $next (mut (ref null $node))) (field $any (mut anyref)))))
       (type $wide (sub $node (struct (field (mut i32)) (field (mut (ref null $node))) (field (mut anyref))
         (field (mut i8)) (field (mut i16)) (field i64) (field f32) (field f64) (field v128) (field (mut externref))))))
  (rec (type $twin (struct (field i32))) (type $other (struct (field i32))))
  (type $bytes (array (mut i8)))
  (type $shorts (array i16))
  (type $refs (array (mut (ref null any))))
  (type $fs (array (mut funcref)))
  (import "assay" "host" (func $host (param i32) (result externref)))
  (import "assay" "keep" (func $keep (param anyref)))
  (import "assay" "log_ref" (func $log (param anyref)))
  (import "assay" "gc" (func $gc))
  (elem declare func $hidden $host)
  (func $hidden)
  (global $g (export "g") (mut anyref) (ref.null none))
  (global (export "ext") (mut externref) (ref.null noextern))
  (table (export "t") 5 anyref)
  (func $ring (export "ring") (param i32) (result (ref $node))
    (local $first (ref $node)) (local $at (ref $node))
    (local.set $at (local.tee $first (struct.new $node (i32.const 0) (ref.null $node) (ref.i31 (i32.const -7)))))
    (loop $more
      (local.set $at (struct.new $node (local.get 0) (local.get $at) (local.get $first)))
      (br_if $more (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (struct.set $node $next (local.get $first) (local.get $at))
    (local.get $first))
  (func (export "wide") (result (ref struct) anyref)
    (local $w (ref $wide))
    (local.set $w (struct.new $wide (i32.const 9) (call $ring (i32.const 3)) (ref.null none) (i32.const -1) (i32.const -2)
      (i64.const -3) (f32.const nan) (f64.const -0.5) (v128.const i32x4 1 2 3 4) (call $host (i32.const 77))))
    (struct.set $wide 2 (local.get $w) (local.get $w))
    (call $gc)
    (local.get $w) (struct.get $wide 2 (local.get $w)))
  (func (export "arrays") (result (ref array) (ref array) (ref array) (ref array))
    (array.new_fixed $bytes 3 (i32.const 255) (i32.const 128) (i32.const 0))
    (array.new $shorts (i32.const -1) (i32.const 4))
    (array.new_fixed $refs 5 (ref.i31 (i32.const 0x3fffffff)) (ref.null any) (struct.new $twin (i32.const 1))
      (struct.new $other (i32.const 1)) (any.convert_extern (call $host (i32.const -1))))
    (array.new_fixed $fs 3 (ref.func $hidden) (ref.func $host) (ref.null func)))
  (func (export "share") (result anyref anyref)
    (local $r (ref $refs)) (local $s (ref $twin))
    (local.set $s (struct.new $twin (i32.const 5)))
    (local.set $r (array.new $refs (local.get $s) (i32.const 3)))
    (array.set $refs (local.get $r) (i32.const 1) (struct.new $twin (i32.const 5)))
    (array.set $refs (local.get $r) (i32.const 2) (local.get $r))
    (global.set $g (local.get $r)) (global.set 1 (extern.convert_any (local.get $r)))
    (table.set (i32.const 2) (local.get $s)) (table.set (i32.const 3) (ref.i31 (i32.const 3)))
    (call $keep (local.get $r)) (call $keep (ref.null any)) (call $log (local.get $r))
    (local.get $s) (local.get $r))
  (func (export "ext31") (param externref) (result anyref) (any.convert_extern (local.get 0)))
  (func (export "any") (param anyref) (result externref) (extern.convert_any (local.get 0))))
(assert_return (invoke "ring" (i32.const 5)) (ref.struct))
(assert_return (invoke "wide") (ref.struct) (ref.struct))
(assert_return (invoke "arrays") (ref.array) (ref.array) (ref.array) (ref.array))
(assert_return (invoke "share") (ref.struct) (ref.array))
(invoke "ext31" (ref.extern 5))
(invoke "any" (ref.host 4294967295))
(invoke "any" (ref.null any))
(assert_return (get "g") (ref.array))
"#;

#[test]
fn heaps_are_shown_alike() {
    let seen = agree(ALL, HEAP);
    let Outcome::Returned { graph, .. } = &seen[1].outcomes[3] else { panic!("{:?}", seen[1].outcomes[3]) };
    // Two struct types that only their places in a group tell apart.
    assert_eq!((graph.types.len(), graph.nodes.len()), (6, 6), "{graph:?}");
    let reference = &seen[0];
    assert_eq!(reference.state.len(), 2, "the instance's and the host's");
    assert!(seen.iter().all(|each| each.state == reference.state && each.graph == reference.graph));
}

const LINKED: &str = r#";;! observe_state = true
(module $A
  (type $s (struct (field i32)))
  (tag $e (export "e") (param i32 (ref null $s)))
  (tag $own (param f64))
  (elem declare func $f $own_throw)
  (func $f (result i32) (i32.const 1))
  (func $own_throw (throw $own (f64.const 2)))
  (table (export "t") 4 funcref)
  (func (export "throw") (param i32) (throw $e (local.get 0) (struct.new $s (i32.const 4))))
  (func (export "throw_own") (call $own_throw))
  (func (export "fill") (table.set (i32.const 0) (ref.func $f)) (table.set (i32.const 1) (ref.func $own_throw))))
(register "A" $A)
(module $B
  (type $s (struct (field i32)))
  (import "A" "throw" (func $throw (param i32)))
  (import "A" "t" (table 4 funcref))
  (import "A" "e" (tag $e (param i32 (ref null $s))))
  (import "assay" "call" (func $call (param funcref)))
  (tag $e2 (param i32))
  (elem (table 0) (i32.const 2) func $throw $g)
  (elem declare func $again)
  (func $g)
  (func $again (throw $e2 (i32.const 8)))
  (func (export "catch") (result exnref)
    (block $h (result exnref) (try_table (catch_all_ref $h) (call $throw (i32.const 3))) (unreachable)))
  (func (export "host") (result i32)
    (block $h (result i32) (try_table (catch $e2 $h) (call $call (ref.func $again))) (i32.const 0)))
  (func (export "out") (call $call (ref.func $again)))
  (func (export "both") (result funcref funcref funcref)
    (table.get (i32.const 0)) (table.get (i32.const 2)) (ref.func $throw)))
(invoke $A "fill")
(invoke $B "both")
(invoke $B "catch")
(assert_return (invoke $B "host") (i32.const 8))
(assert_exception (invoke $B "out"))
(assert_exception (invoke $A "throw" (i32.const 2)))
(assert_exception (invoke $A "throw_own"))
(assert_exception (module (import "A" "throw" (func $t (param i32))) (func $s (call $t (i32.const 1))) (start $s)))
"#;

#[test]
fn functions_tags_and_exceptions_have_their_origins() {
    agree(ALL, LINKED);
}

const OUTCOMES: &str = r#"(module $M
  (type $f (func))
  (type $a (array (mut i32)))
  (type $s (struct (field i32)))
  (table $t (export "t") 2 funcref)
  (memory 1)
  (data $d "abc")
  (elem $e func 0)
  (func (export "unreachable") unreachable)
  (func (export "div") (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0)))
  (func (export "ovf") (result i32) (i32.div_s (i32.const 0x80000000) (i32.const -1)))
  (func (export "conv") (result i32) (i32.trunc_f32_s (f32.const nan)))
  (func (export "mem") (result i32) (i32.load (i32.const 65533)))
  (func (export "tab") (param i32) (call_indirect (type $f) (local.get 0)))
  (func (export "type") (table.set (i32.const 0) (ref.func 0)) (call_indirect (param i32) (i32.const 0) (i32.const 0)))
  (func (export "set") (table.set (i32.const 7) (ref.null func)))
  (func (export "null") (drop (array.len (ref.null array))))
  (func (export "callnull") (call_ref $f (ref.null $f)))
  (func (export "field") (drop (struct.get $s 0 (ref.null $s))))
  (func (export "as") (drop (ref.as_non_null (ref.null any))))
  (func (export "cast") (drop (ref.cast (ref $s) (ref.i31 (i32.const 1)))))
  (func (export "oob") (drop (array.get $a (array.new $a (i32.const 0) (i32.const 2)) (i32.const 2))))
  (func (export "data") (drop (array.new_data $a $d (i32.const 0) (i32.const 2))))
  (func (export "elem") (table.init $e (i32.const 1) (i32.const 0) (i32.const 2)))
  (func (export "copy") (local $x (ref $a)) (local.set $x (array.new $a (i32.const 0) (i32.const 2)))
    (array.copy $a $a (local.get $x) (i32.const 1) (local.get $x) (i32.const 0) (i32.const 2)))
  (func (export "big") (drop (array.new_default $a (i32.const -1)))))
(register "M" $M)
(assert_trap (invoke "unreachable") "unreachable")
(assert_trap (invoke "div" (i32.const 0)) "integer divide by zero")
(assert_trap (invoke "ovf") "integer overflow")
(assert_trap (invoke "conv") "invalid conversion to integer")
(assert_trap (invoke "mem") "out of bounds memory access")
(assert_trap (invoke "tab" (i32.const 2)) "undefined element")
(assert_trap (invoke "tab" (i32.const 1)) "uninitialized element")
(assert_trap (invoke "type") "indirect call type mismatch")
(assert_trap (invoke "set") "out of bounds table access")
(assert_trap (invoke "null") "null reference")
(assert_trap (invoke "callnull") "null function reference")
(assert_trap (invoke "field") "null structure reference")
(assert_trap (invoke "as") "null reference")
(assert_trap (invoke "cast") "cast failure")
(assert_trap (invoke "oob") "out of bounds array access")
(assert_trap (invoke "data") "out of bounds memory access")
(assert_trap (invoke "elem") "out of bounds table access")
(assert_trap (invoke "copy") "out of bounds array access")
(assert_trap (invoke "big") "allocation size too large")
(assert_unlinkable (module (import "M" "nothing" (func))) "unknown import")
(assert_unlinkable (module (import "M" "t" (func))) "incompatible import type")
(assert_trap (module (func $s unreachable) (start $s)) "unreachable")
(assert_invalid (module (func (result i32))) "type mismatch")
(assert_malformed (module binary "\00asm\01\00\00") "unexpected end")
(module definition $D (global (export "g") i32 (i32.const 3)))
(module instance $I $D)
(assert_return (get $I "g") (i32.const 3))
(module (import "M" "t" (table 1 funcref)))
"#;

#[test]
fn outcomes_are_told_apart() {
    agree(ALL, OUTCOMES);
}

#[test]
fn what_runs_out_ends_the_comparison_as_it_should() {
    let ends = |specs: &[&str], text: &str| {
        let case = Case::parse(text, "case").unwrap();
        let mut subjects = subjects(specs);
        let (wrong, cut) = differences(&mut subjects, &case);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        cut.into_keys().collect::<Vec<_>>()
    };
    let deep = "(module (func $f (export \"f\") (call $f))) (assert_exhaustion (invoke \"f\") \"call stack exhausted\")";
    assert_eq!(ends(&["interp", "wasmtime:*"], deep), ["call stack exhausted"]);
    let spin = ";;! fuel = 5000\n(module (func (export \"f\") (loop (br 0)))) (invoke \"f\")";
    let mut all = subjects(&["interp", "wasmtime:*"]);
    for subject in &mut all {
        let seen = subject.observe(&Case::parse(spin, "spin").unwrap());
        assert_eq!(seen.outcomes[1], Outcome::Exhausted(assay_harness::Resource::Fuel), "{}", subject.name());
    }
    // 200,000 rings of two, each garbage at once: those that leak fill four mebibytes.
    let rings = r#"(module (type $n (struct (field (mut (ref null $n))) (field i64)))
      (func (export "f") (param i32) (local $a (ref $n)) (local $b (ref $n))
        (loop (local.set $a (struct.new $n (ref.null $n) (i64.const 1)))
          (struct.set $n 0 (local.get $a) (struct.new $n (local.get $a) (i64.const 2)))
          (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))
      (assert_return (invoke "f" (i32.const 200000)))"#;
    assert!(ends(&["interp", "wasmtime:copying,heap=4"], rings).is_empty());
    let case = Case::parse(rings, "rings").unwrap();
    for (spec, why) in [
        ("wasmtime:drc,heap=4", "heap of a collector that leaks cycles exhausted"),
        ("wasmtime:null,heap=4", "heap of a null collector exhausted"),
    ] {
        let mut pair = subjects(&["interp", spec]);
        let report = examine(&mut pair, &case);
        assert!(report.findings.is_empty(), "{spec}: {:?}", report.findings);
        assert_eq!(report.discards.keys().map(String::as_str).collect::<Vec<_>>(), [why], "{spec}");
    }
}

/// The reference uses its fuel up to the last unit, and so many instructions for each unit that counting alike would not do.
#[test]
fn fuel_that_suffices_for_the_reference_suffices() {
    let adds = "(local.set 1 (i32.add (local.get 1) (i32.const 3)))".repeat(200);
    let fills = "(memory.fill (i32.const 0) (i32.const 7) (i32.const 6400))".repeat(3);
    let text = format!(
        r#";;! fuel = 1511
        (module (memory 1)
          (func (export "f") (param i32) (result i32) (local i32)
            {fills}
            (loop {adds} (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (local.get 1)))
        (assert_return (invoke "f" (i32.const 1210)) (i32.const 726000))"#
    );
    agree(ALL, &text);
    let less = Case::parse(&text.replace("1511", "1510"), "less").unwrap();
    let seen = subjects(&["interp"])[0].observe(&less);
    assert_eq!(seen.outcomes[1], Outcome::Exhausted(assay_harness::Resource::Fuel));
}

fn names(spec: &str) -> Vec<String> {
    subjects(&[spec]).iter().map(|subject| subject.name().to_owned()).collect()
}

#[test]
fn spellings_name_subjects_and_names_are_spellings() {
    assert_eq!(names("wasmtime:drc"), ["wasmtime:drc"]);
    assert_eq!(names("wasmtime:copying,opt=*"), ["wasmtime:copying,opt=none", "wasmtime:copying"]);
    assert_eq!(names("wasmtime:*").len(), 6);
    assert_eq!(names("wasmtime:*,opt=none").len(), 3);
    let all = "opt=none,regalloc=single_pass,every-safepoint,yields,checked,inlining,verify,heap=4";
    for options in [all, "heap=256,opt=speed"] {
        for name in names(&format!("wasmtime:*,{options}")) {
            assert_eq!(names(&name), [name]);
        }
    }
    let error = |spec: &str| parse(spec).err().unwrap().to_string();
    assert!(error("wasmtime:mark").contains("copying"));
    assert!(error("wasmtime:drc,heap=0").contains("heap=MEBIBYTES"));
    assert!(error("wasmtime:drc,opt=size").contains("none|speed"));
    // Where Wasmtime was not built for it, its own words say so.
    match parse("wasmtime:drc,gc-zeal=3") {
        Ok(subjects) => assert_eq!(subjects[0].name(), "wasmtime:drc,gc-zeal=3"),
        Err(error) => assert!(error.to_string().contains("gc_zeal"), "{error}"),
    }
}

fn generated(name: &str, cases: u64, specs: &[&str]) {
    let mut subjects = subjects(specs);
    let mut cut = BTreeMap::new();
    for seed in 0..cases {
        let Some(case) = from_seed(name, seed) else { continue };
        let report = examine(&mut subjects, &case);
        assert!(report.findings.is_empty(), "{name} {seed}: {:#?}", report.findings);
        report.discards.iter().for_each(|(kind, n)| *cut.entry(kind.clone()).or_insert(0u64) += n);
    }
    println!("{name}: {cases} cases, cut short: {cut:?}");
    // Whatever ends comparisons early must not become the rule.
    let unsupported = cut.get("unsupported").copied().unwrap_or_default();
    assert!(unsupported * 2 < cases * (subjects.len() as u64 - 1), "{name}: {cut:?}");
}

#[test]
fn generated_cases_agree() {
    for generator in generate::registry() {
        generated(generator.name, CASES, &["interp", "wasmtime:*"]);
    }
}

#[test]
fn generated_cases_agree_under_each_option() {
    for generator in generate::registry() {
        generated(generator.name, CASES / 4, ALL);
    }
}

#[test]
fn self_checking_cases_hold() {
    let mut subjects = subjects(&["interp", "wasmtime:*,opt=none"]);
    let mut made = 0;
    for seed in 0..CASES / 2 {
        let Some(case) = from_seed("objects", seed) else { continue };
        let Ok((case, _)) = selfcheck::for_campaign(&case) else { continue };
        made += 1;
        let (wrong, _) = differences(&mut subjects, &case);
        assert!(wrong.is_empty(), "seed {seed}: {}", wrong.join("\n"));
    }
    assert!(made * 2 > CASES / 2, "{made}");
}

/// Files on which Wasmtime differs, and why it may or should not.
const KNOWN: &[(&str, &str)] = &[
    (
        "segments/trapped-segment-is-not-dropped",
        "Wasmtime drops active segments before it has copied from them",
    ),
    ("validation/a-group-of-no-locals-has-no-type", "wasmparser refuses a type that no local has"),
    ("validation/malformed-behind-what-is-invalid", "wasmparser does not read on behind its limits"),
];

fn corpus(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the corpus") {
        let path = entry.expect("the corpus").path();
        if path.is_dir() {
            corpus(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "wast") {
            files.push(path);
        }
    }
}

#[test]
fn the_corpus_agrees() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus");
    let mut files = Vec::new();
    corpus(&root, &mut files);
    files.sort();
    assert!(files.len() > 50, "{}", files.len());
    let mut subjects = subjects(&["interp", "wasmtime:*"]);
    let (mut wrong, mut cut_short) = (Vec::new(), Vec::new());
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        let label = file.strip_prefix(&root).unwrap().with_extension("").display().to_string();
        let case = Case::parse(&text, &label).unwrap();
        let (differ, cut) = differences(&mut subjects, &case);
        match KNOWN.iter().find(|(known, _)| *known == label) {
            Some((_, why)) if differ.is_empty() => {
                wrong.push(format!("{label} agrees: no longer so that {why}"))
            }
            Some(_) => {}
            None => wrong.extend(differ.iter().map(|text| format!("{label}: {text}"))),
        }
        if !cut.is_empty() {
            cut_short.push(format!("{label}: {cut:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{} files, cut short:\n{}", files.len(), cut_short.join("\n"));
    // Those of fibers, and few others.
    assert!(cut_short.len() * 4 < files.len(), "{}", cut_short.join("\n"));
}
