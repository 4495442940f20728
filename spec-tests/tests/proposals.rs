//! The table of proposals in ARCHITECTURE.md says what the executors do: each row's module is shown to both, with the flag for
//! legacy exceptions and without it, and where an executor takes it, what it computes is asserted.

use assay_harness::compare::{Verdict, check_expectations};
use assay_harness::{Case, subject};
use assay_interp as interp;
use assay_runtime as jit;

/// A row of the table.
struct Proposal {
    name: &'static str,
    /// A module that needs it.
    module: &'static str,
    /// Assertions about the module's exports; none where nothing takes it.
    script: &'static str,
}

const fn proposal(name: &'static str, module: &'static str, script: &'static str) -> Proposal {
    Proposal { name, module, script }
}

const PROPOSALS: [Proposal; 22] = [
    proposal(
        "mutable globals",
        r#"(module
             (global $g (export "g") (mut i32) (i32.const 1))
             (func (export "f") (result i32) (global.set $g (i32.const 7)) (global.get $g)))"#,
        r#"(assert_return (get "g") (i32.const 1)) (assert_return (invoke "f") (i32.const 7))
           (assert_return (get "g") (i32.const 7))"#,
    ),
    proposal(
        "sign extension",
        r#"(module (func (export "f") (param i32) (result i32) (i32.extend8_s (local.get 0))))"#,
        r#"(assert_return (invoke "f" (i32.const 200)) (i32.const -56))"#,
    ),
    proposal(
        "non-trapping conversions",
        r#"(module (func (export "f") (param f32) (result i32) (i32.trunc_sat_f32_s (local.get 0))))"#,
        r#"(assert_return (invoke "f" (f32.const 1e20)) (i32.const 0x7fffffff))
           (assert_return (invoke "f" (f32.const nan)) (i32.const 0))"#,
    ),
    proposal(
        "multiple values",
        r#"(module (func (export "f") (result i32 i64) (i32.const 1) (i64.const 2)))"#,
        r#"(assert_return (invoke "f") (i32.const 1) (i64.const 2))"#,
    ),
    proposal(
        "bulk memory",
        r#"(module
             (memory 1)
             (func (export "f") (result i32)
               (memory.fill (i32.const 8) (i32.const 5) (i32.const 2))
               (memory.copy (i32.const 1) (i32.const 8) (i32.const 3))
               (i32.load (i32.const 1))))"#,
        r#"(assert_return (invoke "f") (i32.const 0x0505))"#,
    ),
    proposal(
        "reference types",
        r#"(module
             (table 1 externref)
             (func (export "f") (param externref) (result externref)
               (table.set 0 (i32.const 0) (local.get 0))
               (table.get 0 (i32.const 0))))"#,
        r#"(assert_return (invoke "f" (ref.extern 5)) (ref.extern 5))"#,
    ),
    proposal(
        "extended constants",
        r#"(module
             (global (export "g") i32 (i32.add (i32.const 1) (i32.mul (i32.const 2) (i32.const 3)))))"#,
        r#"(assert_return (get "g") (i32.const 7))"#,
    ),
    proposal(
        "fixed-width SIMD",
        r#"(module
             (func (export "f") (param i32) (result v128)
               (i32x4.replace_lane 2 (i32x4.splat (local.get 0)) (i32.const 1))))"#,
        r#"(assert_return (invoke "f" (i32.const 9)) (v128.const i32x4 9 9 1 9))"#,
    ),
    proposal(
        "relaxed SIMD",
        r#"(module
             (func (export "f") (param v128) (result v128)
               (i8x16.relaxed_swizzle
                 (local.get 0)
                 (v128.const i8x16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0))))"#,
        r#"(assert_return
             (invoke "f" (v128.const i8x16 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16))
             (v128.const i8x16 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1))"#,
    ),
    proposal(
        "tail calls",
        r#"(module
             (func $f (export "f") (param i32) (result i32)
               (if (i32.eqz (local.get 0)) (then (return (i32.const 42))))
               (return_call $f (i32.sub (local.get 0) (i32.const 1)))))"#,
        r#"(assert_return (invoke "f" (i32.const 1000000)) (i32.const 42))"#,
    ),
    proposal(
        "multiple memories",
        r#"(module
             (memory $a 1)
             (memory $b 1)
             (func (export "f") (result i32 i32)
               (i32.store $b (i32.const 0) (i32.const 3))
               (i32.load $a (i32.const 0))
               (i32.load $b (i32.const 0))))"#,
        r#"(assert_return (invoke "f") (i32.const 0) (i32.const 3))"#,
    ),
    proposal(
        "64-bit memories and tables",
        r#"(module
             (memory i64 1)
             (table i64 3 funcref)
             (func (export "f") (param i64) (result i32 i64)
               (i32.store (local.get 0) (i32.const 4))
               (i32.load (local.get 0))
               (table.size 0)))"#,
        r#"(assert_return (invoke "f" (i64.const 8)) (i32.const 4) (i64.const 3))
           (assert_trap (invoke "f" (i64.const 0x100000000)) "out of bounds memory access")"#,
    ),
    proposal(
        "typed function references",
        r#"(module
             (type $t (func (result i32)))
             (func $a (result i32) (i32.const 42))
             (elem declare func $a)
             (func $call (param (ref $t)) (result i32) (call_ref $t (local.get 0)))
             (func (export "f") (result i32) (call $call (ref.func $a))))"#,
        r#"(assert_return (invoke "f") (i32.const 42))"#,
    ),
    proposal(
        "garbage collection",
        r#"(module
             (type $s (struct (field i8)))
             (func (export "f") (param i32) (result i32)
               (struct.get_u $s 0 (struct.new $s (local.get 0)))))"#,
        r#"(assert_return (invoke "f" (i32.const 300)) (i32.const 44))"#,
    ),
    proposal(
        "exception handling (exnref)",
        r#"(module
             (tag $t (param i32))
             (func $again (param i32)
               (block $l (result exnref)
                 (try_table (catch_all_ref $l) (throw $t (local.get 0)))
                 (unreachable))
               (throw_ref))
             (func (export "f") (param i32) (result i32)
               (block $l (result i32)
                 (try_table (catch $t $l) (call $again (local.get 0)))
                 (i32.const 0))))"#,
        r#"(assert_return (invoke "f" (i32.const 6)) (i32.const 6))"#,
    ),
    proposal(
        "custom annotations, branch hints",
        r#"(module
             (func (export "f") (param i32) (result i32)
               (@metadata.code.branch_hint "\01")
               (if (result i32) (local.get 0) (then (i32.const 3)) (else (i32.const 4))))
             (@custom "other" "what it says"))"#,
        r#"(assert_return (invoke "f" (i32.const 1)) (i32.const 3))
           (assert_return (invoke "f" (i32.const 0)) (i32.const 4))"#,
    ),
    proposal(
        "legacy exception handling",
        r#"(module
             (tag $t (param i32))
             (func (export "f") (param i32) (result i32)
               try (result i32)
                 local.get 0
                 throw $t
               catch $t
               end))"#,
        r#"(assert_return (invoke "f" (i32.const 8)) (i32.const 8))"#,
    ),
    proposal("threads", "(module (memory 1 1 shared) (func (drop (i32.atomic.load (i32.const 0)))))", ""),
    proposal(
        "wide arithmetic",
        "(module (func (result i64 i64) (i64.mul_wide_s (i64.const 1) (i64.const 2))))",
        "",
    ),
    proposal("custom page sizes", "(module (memory 1 (pagesize 1)))", ""),
    proposal("stack switching", "(module (type $f (func)) (type $c (cont $f)))", ""),
    proposal(
        "custom descriptors",
        "(module (rec (type $a (descriptor $b) (struct)) (type $b (describes $a) (struct))))",
        "",
    ),
];

/// `yes`, `flag` (only with `legacy_exceptions`), or `no`.
fn state(accepts: impl Fn(bool) -> bool) -> &'static str {
    match (accepts(false), accepts(true)) {
        (true, true) => "yes",
        (false, true) => "flag",
        (false, false) => "no",
        (true, false) => "less with the flag",
    }
}

#[test]
fn the_table_says_what_the_executors_do() {
    let expected: Vec<String> = PROPOSALS
        .iter()
        .map(|Proposal { name, module, .. }| {
            let module = wat::parse_str(module).unwrap_or_else(|error| panic!("{name}: {error}"));
            let of_interp = state(|legacy_exceptions| {
                interp::Module::new(&module, &interp::Features { legacy_exceptions }).is_ok()
            });
            let of_jit = state(|legacy_exceptions| {
                let config = jit::Config { legacy_exceptions, ..jit::Config::default() };
                let engine = jit::Engine::new(config).expect("an engine");
                jit::Module::new(&engine, &module).is_ok()
            });
            format!("| {name} | {of_interp} | {of_jit} |")
        })
        .collect();
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../ARCHITECTURE.md"))
        .expect("ARCHITECTURE.md");
    let rows = text.lines().skip_while(|line| !line.starts_with("| Proposal |")).skip(2);
    let rows: Vec<&str> = rows.take_while(|line| line.starts_with('|')).collect();
    assert_eq!(rows, expected, "the table should be:\n{}", expected.join("\n"));
}

/// What the table calls `yes` or `flag` is computed, on every optimisation level and register allocator of the JIT.
#[test]
fn what_the_executors_take_they_run() {
    let mut wrong = Vec::new();
    for Proposal { name, module, script } in &PROPOSALS {
        let case =
            Case::parse(&format!("{module}\n{script}"), name).unwrap_or_else(|error| panic!("{error}"));
        for spelling in ["interp", "jit:null,opt=*,regalloc=*"] {
            for mut subject in subject::parse(spelling).expect("a subject") {
                let (of, observation) = (subject.name().to_owned(), subject.observe(&case));
                let verdicts = check_expectations(&case, &of, &observation);
                let passed = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Pass)).count();
                let taken = passed == verdicts.len() && verdicts.len() > 1;
                if taken == script.is_empty() {
                    wrong.push(format!("{name}: {of}: {verdicts:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
