//! The table of proposals in ARCHITECTURE.md says what the executors do: each row's module is shown to both.

use assay_interp as interp;
use assay_runtime as jit;

/// Proposal and a module that needs it.
const PROPOSALS: &[(&str, &str)] = &[
    ("mutable globals", r#"(module (global (export "g") (mut i32) (i32.const 1)))"#),
    ("sign extension", "(module (func (result i32) (i32.extend8_s (i32.const 200))))"),
    ("non-trapping conversions", "(module (func (result i32) (i32.trunc_sat_f32_s (f32.const 1e20))))"),
    ("multiple values", "(module (func (result i32 i64) (i32.const 1) (i64.const 2)))"),
    ("bulk memory", "(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 1) (i32.const 2))))"),
    ("reference types", "(module (table 1 externref) (func (result externref) (table.get 0 (i32.const 0))))"),
    (
        "extended constants",
        "(module (global i32 (i32.add (i32.const 1) (i32.mul (i32.const 2) (i32.const 3)))))",
    ),
    ("fixed-width SIMD", "(module (func (result v128) (i32x4.splat (i32.const 1))))"),
    (
        "relaxed SIMD",
        "(module (func (param v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 0))))",
    ),
    ("tail calls", "(module (func $f (return_call $f)))"),
    ("multiple memories", "(module (memory 1) (memory 1))"),
    ("64-bit memories and tables", "(module (memory i64 1) (table i64 1 funcref))"),
    (
        "typed function references",
        "(module (type $t (func)) (func (param (ref $t)) (call_ref $t (local.get 0))))",
    ),
    (
        "garbage collection",
        "(module (type $s (struct (field i8))) (func (result i32) (struct.get_u $s 0 (struct.new $s (i32.const 1)))))",
    ),
    (
        "exception handling (exnref)",
        "(module (tag $t) (func (block $l (result exnref) (try_table (catch_all_ref $l) (throw $t)) (unreachable)) (throw_ref)))",
    ),
    ("custom annotations, branch hints", r#"(module (@custom "metadata.code.branch_hint" "\00") (func))"#),
    ("legacy exception handling", "(module (tag $t) (func try throw $t catch $t end))"),
    ("threads", "(module (memory 1 1 shared) (func (drop (i32.atomic.load (i32.const 0)))))"),
    ("wide arithmetic", "(module (func (result i64 i64) (i64.mul_wide_s (i64.const 1) (i64.const 2))))"),
    ("custom page sizes", "(module (memory 1 (pagesize 1)))"),
    ("stack switching", "(module (type $f (func)) (type $c (cont $f)))"),
    (
        "custom descriptors",
        "(module (rec (type $a (descriptor $b) (struct)) (type $b (describes $a) (struct))))",
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
        .map(|(name, text)| {
            let module = wat::parse_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
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
