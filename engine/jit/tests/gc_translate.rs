//! Every GC instruction compiles under every configuration with Cranelift's verifier on, and each instruction that
//! produces a traced reference puts it into the stack map of a call that it outlives.

use std::sync::Arc;

use assay_gc::{AllocShape, BarrierShape, CodeShape, TypeRegistry};
use assay_jit::{CompileOptions, CompiledModule, Compiler, OptLevel, RegAlloc};

const BUMP: CodeShape = CodeShape {
    alloc: AllocShape::Bump,
    inline_max: u32::MAX,
    write_barrier: BarrierShape::None,
    barrier_on_roots: false,
    gc_word: false,
};

const CALL: CodeShape = CodeShape { alloc: AllocShape::Call, ..BUMP };

/// All configurations that change the code.
fn configurations() -> Vec<(CompileOptions, CodeShape)> {
    let mut all = Vec::new();
    for opt in [OptLevel::None, OptLevel::Speed] {
        for regalloc in [RegAlloc::SinglePass, RegAlloc::Backtracking] {
            for fuel in [false, true] {
                for shape in [BUMP, CALL] {
                    all.push((
                        CompileOptions { opt, regalloc, fuel, verifier: true, ..Default::default() },
                        shape,
                    ));
                }
            }
        }
    }
    all
}

fn compile_with(wat: &str, options: CompileOptions, shape: CodeShape) -> CompiledModule {
    let wasm = wat::parse_str(wat).expect("the test's text is right");
    let types = TypeRegistry::new().expect("address space for types");
    let compiler = Compiler::new(options, shape, Arc::clone(&types)).expect("a compiler");
    match compiler.compile(&wasm) {
        Ok(module) => module,
        Err(error) => panic!("{error}\n{options:?} {shape:?}\n{wat}"),
    }
}

/// Compiles the functions `body`, with types and imports in front, under every configuration.
fn compiles(body: &str) {
    let wat = module(body);
    for (options, shape) in configurations() {
        compile_with(&wat, options, shape);
    }
}

fn module(body: &str) -> String {
    format!(
        r#"(module
        (type $empty (struct))
        (type $point (sub (struct (field $x (mut i32)) (field $y (mut f64)))))
        (type $point3 (sub $point (struct (field $x (mut i32)) (field $y (mut f64)) (field $z (mut i64)))))
        (type $last (sub final $point3
            (struct (field (mut i32)) (field (mut f64)) (field (mut i64)) (field (mut f32)))))
        (type $mixed (struct
            (field $i8 (mut i8)) (field $r (mut anyref)) (field $i16 (mut i16)) (field $f32 (mut f32))
            (field $i64 (mut i64)) (field $e (mut externref)) (field $f (mut funcref)) (field $p (ref null $point))))
        (type $bytes (array (mut i8)))
        (type $shorts (array (mut i16)))
        (type $ints (array (mut i32)))
        (type $longs (array (mut i64)))
        (type $floats (array (mut f32)))
        (type $doubles (array (mut f64)))
        (type $refs (array (mut anyref)))
        (type $funcs (array (mut funcref)))
        (type $points (array (mut (ref null $point))))
        (type $sig (sub (func (param i32) (result i32))))
        (type $subsig (sub $sig (func (param i32) (result i32))))
        (import "m" "gc" (func $gc))
        (import "m" "make" (func $make (result anyref)))
        (global $g (mut anyref) (ref.null any))
        (global $gf (mut funcref) (ref.null func))
        (table $t 4 anyref)
        (table $tf 4 funcref)
        (data $d "0123456789abcdef")
        (elem $e anyref (item (ref.i31 (i32.const 1))) (item (ref.null any)))
        (elem $fs func $gc $make)
        {body})"#
    )
}

#[test]
fn struct_instructions_compile() {
    compiles(
        r#"
        (func (result (ref $empty)) (struct.new $empty))
        (func (result (ref $empty)) (struct.new_default $empty))
        (func (param i32 f64 i64 f32) (result (ref $last))
            (struct.new $last (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
        (func (param i32 anyref i32 f32 i64 externref funcref) (result (ref $mixed))
            (struct.new $mixed (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
                (local.get 6) (struct.new_default $point)))
        (func (result (ref $mixed)) (struct.new_default $mixed))
        (func (param (ref null $mixed)) (result i32 i32 i32 i32)
            (struct.get_s $mixed $i8 (local.get 0)) (struct.get_u $mixed $i8 (local.get 0))
            (struct.get_s $mixed $i16 (local.get 0)) (struct.get_u $mixed $i16 (local.get 0)))
        (func (param (ref null $mixed)) (result anyref f32 i64 externref funcref (ref null $point))
            (struct.get $mixed $r (local.get 0)) (struct.get $mixed $f32 (local.get 0))
            (struct.get $mixed $i64 (local.get 0)) (struct.get $mixed $e (local.get 0))
            (struct.get $mixed $f (local.get 0)) (struct.get $mixed $p (local.get 0)))
        (func (param $m (ref null $mixed)) (param anyref externref funcref)
            (struct.set $mixed $i8 (local.get $m) (i32.const 511))
            (struct.set $mixed $i16 (local.get $m) (i32.const 70000))
            (struct.set $mixed $f32 (local.get $m) (f32.const 1.5))
            (struct.set $mixed $i64 (local.get $m) (i64.const 1))
            (struct.set $mixed $r (local.get $m) (local.get 1))
            (struct.set $mixed $e (local.get $m) (local.get 2))
            (struct.set $mixed $f (local.get $m) (local.get 3)))
        (func (param (ref null $point3)) (result f64) (struct.get $point $y (local.get 0)))
        "#,
    );
}

#[test]
fn array_instructions_compile_for_every_element() {
    let elements = [
        ("$ints", "i32", ""),
        ("$longs", "i64", ""),
        ("$floats", "f32", ""),
        ("$doubles", "f64", ""),
        ("$refs", "anyref", ""),
        ("$funcs", "funcref", ""),
        ("$points", "(ref null $point)", ""),
        ("$bytes", "i32", "_s"),
        ("$bytes", "i32", "_u"),
        ("$shorts", "i32", "_s"),
        ("$shorts", "i32", "_u"),
    ];
    for (ty, value, suffix) in elements {
        compiles(&format!(
            r#"
            (func (param {value} i32) (result (ref {ty})) (array.new {ty} (local.get 0) (local.get 1)))
            (func (param i32) (result (ref {ty})) (array.new_default {ty} (local.get 0)))
            (func (param {value}) (result (ref {ty})) (array.new_fixed {ty} 2 (local.get 0) (local.get 0)))
            (func (result (ref {ty})) (array.new_fixed {ty} 0))
            (func (param (ref null {ty}) i32) (result {value})
                (array.get{suffix} {ty} (local.get 0) (local.get 1)))
            (func (param (ref null {ty}) i32 {value}) (array.set {ty} (local.get 0) (local.get 1) (local.get 2)))
            (func (param (ref null {ty})) (result i32) (array.len (local.get 0)))
            (func (param (ref null {ty}) i32 {value} i32)
                (array.fill {ty} (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
            (func (param (ref null {ty}) i32 i32)
                (array.copy {ty} {ty} (local.get 0) (local.get 1) (local.get 0) (local.get 2) (i32.const 3)))
            "#
        ));
    }
}

#[test]
fn array_of_constant_zeros_compiles() {
    compiles(
        r#"
        (func (param i32) (result (ref $ints)) (array.new $ints (i32.const 0) (local.get 0)))
        (func (param i32) (result (ref $ints)) (array.new $ints (i32.const 7) (local.get 0)))
        (func (param i32) (result (ref $doubles)) (array.new $doubles (f64.const 0) (local.get 0)))
        (func (param i32) (result (ref $doubles)) (array.new $doubles (f64.const -0) (local.get 0)))
        (func (param i32) (result (ref $refs)) (array.new $refs (ref.null any) (local.get 0)))
        "#,
    );
}

#[test]
fn segment_instructions_compile() {
    compiles(
        r#"
        (func (result (ref $bytes)) (array.new_data $bytes $d (i32.const 0) (i32.const 4)))
        (func (result (ref $doubles)) (array.new_data $doubles $d (i32.const 0) (i32.const 2)))
        (func (result (ref $refs)) (array.new_elem $refs $e (i32.const 0) (i32.const 2)))
        (func (result (ref $funcs)) (array.new_elem $funcs $fs (i32.const 0) (i32.const 2)))
        (func (param (ref null $bytes))
            (array.init_data $bytes $d (local.get 0) (i32.const 0) (i32.const 1) (i32.const 2)))
        (func (param (ref null $refs))
            (array.init_elem $refs $e (local.get 0) (i32.const 0) (i32.const 1) (i32.const 1)))
        "#,
    );
}

#[test]
fn i31_instructions_and_conversions_compile() {
    compiles(
        r#"
        (func (param i32) (result (ref i31)) (ref.i31 (local.get 0)))
        (func (param i31ref) (result i32 i32) (i31.get_s (local.get 0)) (i31.get_u (local.get 0)))
        (func (param externref) (result anyref) (any.convert_extern (local.get 0)))
        (func (param anyref) (result externref) (extern.convert_any (local.get 0)))
        (func (param i32) (result (ref extern)) (extern.convert_any (ref.i31 (local.get 0))))
        "#,
    );
}

/// (source, targets of its hierarchy).
const HIERARCHIES: [(&str, &[&str]); 3] = [
    (
        "any",
        &[
            "any", "eq", "i31", "struct", "array", "none", "$empty", "$point", "$point3", "$last", "$bytes",
            "$refs",
        ],
    ),
    ("extern", &["extern", "noextern"]),
    ("func", &["func", "nofunc", "$sig", "$subsig"]),
];

#[test]
fn casts_to_every_target_compile() {
    for (source, targets) in HIERARCHIES {
        for target in targets {
            for null in ["", "null"] {
                let to = format!("(ref {null} {target})");
                // The fallthrough of br_on_cast has the difference of the types: not null if the target takes null.
                let rest =
                    if null.is_empty() { format!("(ref null {source})") } else { format!("(ref {source})") };
                compiles(&format!(
                    r#"
                    (func (param (ref null {source})) (result i32) (ref.test {to} (local.get 0)))
                    (func (param (ref null {source})) (result {to}) (ref.cast {to} (local.get 0)))
                    (func (param (ref null {source})) (result i32)
                        (block $l (result {to})
                            (br_on_cast $l (ref null {source}) {to} (local.get 0))
                            (drop) (return (i32.const 0)))
                        (drop) (i32.const 1))
                    (func (param (ref null {source})) (result i32)
                        (block $l (result {rest})
                            (br_on_cast_fail $l (ref null {source}) {to} (local.get 0))
                            (drop) (return (i32.const 1)))
                        (drop) (i32.const 0))
                    (func (param (ref null {source}) i64) (result i64 {to})
                        (block $l (result i64 {to})
                            (br_on_cast $l (ref null {source}) {to} (local.get 1) (local.get 0))
                            (drop) (drop) (unreachable)))
                    "#
                ));
            }
        }
    }
}

#[test]
fn casts_of_references_that_cannot_be_null_compile() {
    compiles(
        r#"
        (func (param (ref any)) (result (ref i31)) (ref.cast (ref i31) (local.get 0)))
        (func (param (ref $point)) (result i32) (ref.test (ref $last) (local.get 0)))
        (func (param (ref $point)) (result (ref $point))
            (block $l (result (ref $point3))
                (br_on_cast $l (ref $point) (ref $point3) (local.get 0))
                (return)))
        (func (param anyref) (result i32)
            (loop $again (result i32)
                (ref.test (ref $point) (local.get 0))
                (br_if $again (ref.test (ref null struct) (local.get 0)))))
        "#,
    );
}

#[test]
fn dead_gc_code_compiles() {
    compiles(
        r#"
        (func (result anyref) (unreachable) (struct.new $point))
        (func (result i32) (return (i32.const 1)) (drop (struct.get $point $x)) (ref.test (ref i31) (ref.null any)))
        (func (result anyref) (ref.cast (ref none) (call $make)) (drop) (call $make))
        (func (result anyref) (block $l (result anyref) (br $l (call $make)) (br_on_cast $l anyref i31ref)))
        "#,
    );
}

#[test]
fn large_objects_compile() {
    let fields = "(field (mut i32) (mut anyref))".repeat(5000);
    let wat = format!(
        r#"(module (type $big (struct {fields})) (type $ints (array i32))
        (func (result (ref $big)) (struct.new_default $big))
        (func (param (ref $big)) (result anyref) (struct.get $big 9999 (local.get 0)))
        (func (result (ref $ints)) {} (array.new_fixed $ints 10000)))"#,
        "i32.const 3 ".repeat(10000)
    );
    for shape in [BUMP, CALL] {
        compile_with(&wat, CompileOptions { regalloc: RegAlloc::SinglePass, ..Default::default() }, shape);
    }
}

#[test]
fn v128_slots_are_translated() {
    let wat = module(
        r#"(type $v (struct (field (mut v128)) (field (mut anyref)) (field (mut v128))))
        (type $a (array (mut v128)))
        (data $vector "0123456789abcdef")
        (func (param $s (ref $v)) (param $a (ref $a)) (param $x v128) (result v128)
            (struct.set $v 2 (local.get $s) (struct.get $v 0 (local.get $s)))
            (array.set $a (local.get $a) (i32.const 1) (local.get $x))
            (array.fill $a (local.get $a) (i32.const 0) (f32x4.add (local.get $x) (local.get $x)) (i32.const 1))
            (drop (struct.new_default $v))
            (drop (struct.new $v (i64x2.neg (local.get $x)) (local.get $s) (local.get $x)))
            (drop (array.new $a (i16x8.neg (local.get $x)) (i32.const 3)))
            (drop (array.new $a (v128.const i64x2 0 0) (i32.const 3)))
            (drop (array.new_fixed $a 2 (local.get $x) (local.get $x)))
            (drop (array.new_data $a $vector (i32.const 0) (i32.const 1)))
            (array.init_data $a $vector (local.get $a) (i32.const 0) (i32.const 0) (i32.const 1))
            (array.get $a (local.get $a) (i32.const 0)))"#,
    );
    for (options, shape) in configurations() {
        compile_with(&wat, options, shape);
    }
}

/// The slots of all stack maps of the one function `body`, under every configuration.
fn slots(body: &str) -> Vec<usize> {
    let wat = module(body);
    configurations()
        .into_iter()
        .map(|(options, shape)| {
            compile_with(&wat, options, shape).map.stack_maps.iter().map(|map| map.slots.len()).sum()
        })
        .collect()
}

/// Checks that the reference made by `produce` (from parameter 0, an anyref that nothing uses later) lies in exactly
/// one slot across a call, and is in none without a later use.
fn is_traced(params: &str, result: &str, produce: &str) {
    let live = format!("(func (param {params}) (result {result}) {produce} (call $gc))");
    for (count, configuration) in slots(&live).into_iter().zip(configurations()) {
        assert_eq!(count, 1, "stack map slots of {live}\n{configuration:?}");
    }
    let dead = format!("(func (param {params}) {produce} (drop) (call $gc))");
    for (count, configuration) in slots(&dead).into_iter().zip(configurations()) {
        assert_eq!(count, 0, "stack map slots of {dead}\n{configuration:?}");
    }
}

#[test]
fn produced_references_are_in_the_stack_map_of_the_next_call() {
    let cases = [
        ("anyref", "anyref", "(local.get 0)"),
        ("(ref $mixed)", "anyref", "(struct.get $mixed $r (local.get 0))"),
        ("(ref $mixed)", "externref", "(struct.get $mixed $e (local.get 0))"),
        ("(ref $refs) i32", "anyref", "(array.get $refs (local.get 0) (local.get 1))"),
        ("anyref anyref i32", "anyref", "(select (result anyref) (local.get 0) (local.get 1) (local.get 2))"),
        ("i32", "(ref $empty)", "(struct.new $empty)"),
        ("i32", "(ref $mixed)", "(struct.new_default $mixed)"),
        ("i32", "(ref $ints)", "(array.new $ints (i32.const 1) (local.get 0))"),
        ("i32", "(ref $ints)", "(array.new_default $ints (local.get 0))"),
        ("i32", "(ref $ints)", "(array.new_fixed $ints 1 (local.get 0))"),
        ("i32", "(ref $bytes)", "(array.new_data $bytes $d (i32.const 0) (local.get 0))"),
        ("i32", "(ref $refs)", "(array.new_elem $refs $e (i32.const 0) (local.get 0))"),
        ("i32", "(ref i31)", "(ref.i31 (local.get 0))"),
        ("i32", "anyref", "(call $make)"),
        ("i32", "anyref", "(global.get $g)"),
        ("i32", "anyref", "(table.get $t (local.get 0))"),
        (
            "i32 anyref anyref",
            "anyref",
            "(if (result anyref) (local.get 0) (then (local.get 1)) (else (local.get 2)))",
        ),
        ("anyref", "anyref", "(loop (param anyref) (result anyref))"),
        ("anyref", "(ref any)", "(ref.as_non_null (local.get 0))"),
        ("anyref", "(ref $point)", "(ref.cast (ref $point) (local.get 0))"),
        ("anyref", "(ref null struct)", "(ref.cast (ref null struct) (local.get 0))"),
        ("externref", "anyref", "(any.convert_extern (local.get 0))"),
        ("anyref", "externref", "(extern.convert_any (local.get 0))"),
        (
            "anyref",
            "anyref",
            "(block $l (result (ref $point)) (br_on_cast $l anyref (ref $point) (local.get 0)) (call $gc) (return))",
        ),
        (
            "anyref",
            "anyref",
            "(block $l (result anyref) (br_on_cast_fail $l anyref (ref $point) (local.get 0)))",
        ),
    ];
    for (params, result, produce) in cases {
        if produce.contains("(return)") {
            // Two calls, each with the reference of its own path.
            let live = format!("(func (param {params}) (result {result}) {produce} (call $gc))");
            for (count, configuration) in slots(&live).into_iter().zip(configurations()) {
                assert_eq!(count, 2, "stack map slots of {live}\n{configuration:?}");
            }
        } else if produce.contains("(loop") {
            let produce = format!("(local.get 0) {produce}");
            is_traced(params, result, &produce);
        } else {
            is_traced(params, result, produce);
        }
    }
}

#[test]
fn operands_are_in_the_stack_map_of_the_allocation() {
    // Slow path of the allocation, and nothing else: both operands, made by instructions that do not call.
    let body = r#"(func (param anyref (ref $mixed)) (result (ref $refs))
        (array.new_fixed $refs 2 (local.get 0) (struct.get $mixed $r (local.get 1))))"#;
    for (count, configuration) in slots(body).into_iter().zip(configurations()) {
        assert_eq!(count, 2, "{configuration:?}");
    }
    let body =
        r#"(func (param anyref i32) (result (ref $refs)) (array.new $refs (local.get 0) (local.get 1)))"#;
    for (count, configuration) in slots(body).into_iter().zip(configurations()) {
        assert_eq!(count, 1, "{configuration:?}");
    }
}

#[test]
fn func_ids_are_in_no_stack_map() {
    for produce in [
        "(local.get 0)",
        "(ref.cast (ref $sig) (local.get 0))",
        "(struct.get $mixed $f (struct.new_default $mixed))",
        "(array.get $funcs (array.new_default $funcs (i32.const 1)) (i32.const 0))",
        "(block $l (result funcref) (br_on_cast_fail $l funcref (ref $subsig) (local.get 0)))",
    ] {
        let body = format!("(func (param funcref) (result funcref) {produce} (call $gc))");
        for (count, configuration) in slots(&body).into_iter().zip(configurations()) {
            assert_eq!(count, 0, "stack map slots of {body}\n{configuration:?}");
        }
    }
}
