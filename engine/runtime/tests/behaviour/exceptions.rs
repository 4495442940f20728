//! Exceptions within wasm: payloads, clauses, what is live across throwing calls, tail calls, tags, the legacy
//! instructions. Each test on every collector, optimisation level and register allocator, plain and with a collection at
//! every allocation.

use crate::common::{func, i32_of, instance, module};
use assay_runtime::*;

fn every() -> Vec<(String, Engine)> {
    let mut engines = Vec::new();
    for entry in assay_gc::registry() {
        for opt in [OptLevel::None, OptLevel::Speed] {
            for regalloc in [RegAlloc::SinglePass, RegAlloc::Backtracking] {
                for every_alloc in [false, true] {
                    let collector = entry.constraints.name.to_owned();
                    let name = format!("{collector} {opt:?} {regalloc:?} {every_alloc}");
                    let stress = Stress { every_alloc, poison: true, verify: true, ..Stress::default() };
                    let legacy_exceptions = true;
                    let config =
                        Config { collector, opt, regalloc, stress, legacy_exceptions, ..Config::default() };
                    engines.push((name, Engine::new(config).unwrap()));
                }
            }
        }
    }
    engines
}

/// Runs each exported function of `text` that takes nothing: its i32 results are all 1.
fn all_true(text: &str) {
    let wasm = wat::parse_str(text).unwrap();
    for (name, engine) in every() {
        let module = Module::new(&engine, &wasm).unwrap();
        let mut store = Store::new(&engine).unwrap();
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        for (export, item) in instance.exports(&store).unwrap() {
            let Some(func) = item.func() else { continue };
            for round in 0..2 {
                let values = func.call(&mut store, &[]).unwrap_or_else(|e| panic!("{name} {export}: {e}"));
                for (at, value) in values.iter().enumerate() {
                    assert!(
                        matches!(value, Val::I32(1)),
                        "{name} {export} {round}: result {at} is {value:?}"
                    );
                }
            }
            store.verify_heap().unwrap();
        }
        assert_eq!(store.live_handles(), 0, "{name}");
    }
}

#[test]
fn payloads_of_every_type() {
    all_true(
        r#"(module
        (type $box (struct (field $v i32)))
        (type $f (func (result i32)))
        (tag $all (param i32 i64 f32 f64 v128 anyref (ref null $box) externref i31ref funcref exnref (ref null $f)))
        (tag $none)
        (func $one (type $f) (i32.const 1))
        (elem declare func $one)
        (func $box (param i32) (result (ref $box))
            (drop (struct.new $box (i32.const -1)))
            (struct.new $box (local.get 0)))
        (func $exn (result exnref)
            (block $h (result exnref) (try_table (catch_all_ref $h) (throw $none)) (unreachable)))
        (func $throw
            (throw $all (i32.const -7) (i64.const 0x123456789abcdef0) (f32.const 1.5) (f64.const -2.5)
                (v128.const i32x4 1 2 3 4) (call $box (i32.const 5)) (call $box (i32.const 6))
                (extern.convert_any (call $box (i32.const 7))) (ref.i31 (i32.const 8)) (ref.func $one) (call $exn)
                (ref.func $one)))
        (func (export "payload") (result i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
            (local $f (ref null $f)) (local $e exnref) (local $g funcref) (local $i i31ref) (local $x externref)
            (local $b (ref null $box)) (local $a anyref) (local $v v128) (local $d f64) (local $s f32) (local $l i64)
            (local $n i32)
            (block $h (result i32 i64 f32 f64 v128 anyref (ref null $box) externref i31ref funcref exnref (ref null $f))
                (try_table (catch $all $h) (call $throw)) (unreachable))
            (local.set $f) (local.set $e) (local.set $g) (local.set $i) (local.set $x) (local.set $b) (local.set $a)
            (local.set $v) (local.set $d) (local.set $s) (local.set $l) (local.set $n)
            ;; everything moves once more
            (drop (call $box (i32.const 0)))
            (i32.eq (local.get $n) (i32.const -7))
            (i64.eq (local.get $l) (i64.const 0x123456789abcdef0))
            (f32.eq (local.get $s) (f32.const 1.5))
            (f64.eq (local.get $d) (f64.const -2.5))
            (i32x4.all_true (i32x4.eq (local.get $v) (v128.const i32x4 1 2 3 4)))
            (i32.eq (struct.get $box $v (ref.cast (ref $box) (local.get $a))) (i32.const 5))
            (i32.eq (struct.get $box $v (local.get $b)) (i32.const 6))
            (i32.eq (struct.get $box $v (ref.cast (ref $box) (any.convert_extern (local.get $x)))) (i32.const 7))
            (i32.eq (i31.get_u (local.get $i)) (i32.const 8))
            (ref.test (ref $f) (local.get $g))
            (i32.eqz (ref.is_null (local.get $e)))
            (call_ref $f (local.get $f)))
        (func (export "nested-exnref") (result i32 i32)
            ;; the exnref in the payload is the one that $exn caught
            (block $h
                (block $outer (result exnref)
                    (block $p (result i32 i64 f32 f64 v128 anyref (ref null $box) externref i31ref funcref exnref (ref null $f))
                        (try_table (catch $all $p) (call $throw)) (unreachable))
                    (drop) (br $outer))
                (try_table (param exnref) (catch $none $h) (throw_ref)))
            (i32.const 1) (i32.const 1))
    )"#,
    );
}

#[test]
fn the_first_clause_that_matches_takes_it() {
    all_true(
        r#"(module
        (tag $a (param i32)) (tag $b (param i32)) (tag $c)
        (func $throw (param $which i32)
            (block $c (block $b (block $a (br_table $a $b $c (local.get $which)))
                (throw $a (i32.const 10))) (throw $b (i32.const 20))) (throw $c))
        (func $order (param $which i32) (result i32)
            (block $all (block $r (result i32 exnref) (block $v (result i32)
                (try_table (catch $a $v) (catch_ref $b $r) (catch $b $v) (catch_all $all)
                    (call $throw (local.get $which)))
                (return (i32.const 0))) (return)) (drop) (return (i32.add (i32.const 1)))) (i32.const 99))
        (func $nested (param $which i32) (result i32)
            (block $outer (result i32)
                (try_table (catch $b $outer)
                    (block $inner (result i32)
                        (try_table (catch $a $inner) (call $throw (local.get $which)))
                        (return (i32.const 0)))
                    (return (i32.add (i32.const 1000))))
                (unreachable)))
        (func $both (param $which i32) (result i32)
            (block $h (result i32)
                (try_table (catch $a $h) (catch $b $h) (call $throw (local.get $which)))
                (i32.const 0)))
        (func $leaves (param $which i32) (result i32)
            (block $h (try_table (catch_all $h) (drop (call $nested (local.get $which)))) (return (i32.const 0)))
            (i32.const 7))
        ;; a throw in its own function goes the same way
        (func $local (param $which i32) (result i32)
            (block $outer (result i32)
                (try_table (catch $b $outer)
                    (block $inner (result i32)
                        (try_table (catch $a $inner)
                            (if (local.get $which) (then (throw $b (i32.const 20))))
                            (throw $a (i32.const 10)))
                        (unreachable))
                    (return (i32.add (i32.const 1000))))
                (unreachable)))
        (func (export "clauses") (result i32 i32 i32 i32 i32 i32 i32 i32 i32)
            (i32.eq (call $order (i32.const 0)) (i32.const 10))
            (i32.eq (call $order (i32.const 1)) (i32.const 21))
            (i32.eq (call $order (i32.const 2)) (i32.const 99))
            (i32.eq (call $nested (i32.const 0)) (i32.const 1010))
            (i32.eq (call $nested (i32.const 1)) (i32.const 20))
            (i32.eq (call $both (i32.const 1)) (i32.const 20))
            (i32.eq (call $leaves (i32.const 2)) (i32.const 7))
            (i32.eq (call $local (i32.const 0)) (i32.const 1010))
            (i32.eq (call $local (i32.const 1)) (i32.const 20)))
    )"#,
    );
}

/// What a callee that collects and then throws must leave whole: locals, operands, what was set before and between the
/// calls, arguments, values round a loop. References reach the landing pad as block arguments of `try_call`s.
#[test]
fn references_survive_throwing_calls() {
    all_true(
        r#"(module
        (type $box (struct (field $v (mut i32)) (field $next (ref null $box))))
        (tag $t (param (ref $box)))
        (func $new (param $v i32) (param $next (ref null $box)) (result (ref $box))
            (struct.new $box (local.get $v) (local.get $next)))
        ;; moves everything, if allocations collect
        (func $churn (drop (struct.new $box (i32.const -1) (ref.null $box))))
        (func $throw (param $a (ref $box)) (param $n i32) (result (ref $box))
            (call $churn)
            (if (i32.eqz (local.get $n)) (then (return (local.get $a))))
            (throw $t (call $new (local.get $n) (local.get $a))))
        (func $v (param (ref null $box)) (result i32) (struct.get $box $v (local.get 0)))

        (func (export "locals") (result i32 i32 i32 i32)
            (local $a (ref null $box)) (local $b (ref null $box)) (local $c anyref)
            (local.set $a (call $new (i32.const 1) (ref.null $box)))
            (local.set $b (call $new (i32.const 2) (local.get $a)))
            (local.set $c (ref.i31 (i32.const 3)))
            (block $h (result (ref $box))
                (try_table (catch $t $h)
                    (drop (call $throw (ref.as_non_null (local.get $a)) (i32.const 0)))
                    ;; between two calls that share the landing pad
                    (local.set $b (call $new (i32.const 4) (local.get $b)))
                    (local.set $c (local.get $a))
                    (drop (call $throw (ref.as_non_null (local.get $b)) (i32.const 9)))
                    (local.set $a (ref.null $box)))
                (unreachable))
            (call $churn)
            (i32.eq (call $v) (i32.const 9))
            (i32.eq (call $v (local.get $a)) (i32.const 1))
            (i32.eq (call $v (struct.get $box $next (local.get $b))) (i32.const 2))
            (ref.eq (ref.cast (ref $box) (local.get $c)) (local.get $a)))

        (func (export "operands") (result i32)
            (local $s i32)
            (call $new (i32.const 1) (ref.null $box))
            (call $new (i32.const 2) (ref.null $box))
            (block $h (result (ref $box))
                (call $new (i32.const 77) (ref.null $box))
                (try_table (param (ref $box)) (catch $t $h)
                    (drop (call $throw (i32.const 5))))
                (unreachable))
            (call $churn)
            (local.set $s (i32.mul (call $v) (i32.const 100)))
            (call $v) (local.set $s (i32.add (i32.mul (i32.const 10)) (local.get $s)))
            (call $v) (local.set $s (i32.add (local.get $s)))
            (i32.eq (local.get $s) (i32.const 521)))

        (func (export "results") (result i32 i32)
            (local $x (ref null $box)) (local $y (ref null $box))
            (local.set $y (call $new (i32.const 5) (ref.null $box)))
            (block $h (result (ref $box))
                (try_table (result (ref $box)) (catch $t $h)
                    (call $throw (ref.as_non_null (local.get $y)) (i32.const 0)))
                (local.set $x)
                (call $new (i32.const 3) (ref.null $box)))
            (drop)
            (call $churn)
            (ref.eq (local.get $x) (local.get $y))
            (i32.eq (call $v (local.get $x)) (i32.const 5)))

        (func (export "loop") (result i32 i32)
            (local $n i32) (local $list (ref null $box)) (local $last (ref null $box)) (local $sum i32)
            (local.set $n (i32.const 20))
            (loop $again
                (block $next
                    (block $h (result (ref $box))
                        (try_table (catch $t $h)
                            (local.set $last (call $throw
                                (call $new (local.get $n) (local.get $list)) (i32.and (local.get $n) (i32.const 3))))
                            (local.set $list (local.get $last)))
                        (br $next))
                    (local.set $list)
                    (local.set $list (call $new (local.get $n) (struct.get $box $next (local.get $list)))))
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (br_if $again (local.get $n)))
            (loop $walk
                (local.set $sum (i32.add (local.get $sum) (call $v (local.get $list))))
                (local.set $list (struct.get $box $next (local.get $list)))
                (br_if $walk (i32.eqz (ref.is_null (local.get $list)))))
            ;; each number once, and what was caught once more
            (i32.eq (local.get $sum) (i32.const 360))
            (i32.eq (call $v (local.get $last)) (i32.const 4)))

        ;; the reference is one of the exception, of a result and of a variable that the call redefines
        (func (export "redefined") (result i32 i32)
            (local $a (ref null $box)) (local $n i32)
            (local.set $a (call $new (i32.const 30) (ref.null $box)))
            (local.set $n (i32.const 2))
            (loop $again
                (block $h (result (ref $box))
                    (try_table (result (ref $box)) (catch $t $h)
                        (local.set $a (call $throw (ref.as_non_null (local.get $a)) (i32.const 0)))
                        (local.set $a (call $throw (ref.as_non_null (local.get $a)) (local.get $n)))
                        (local.get $a) (ref.as_non_null)))
                (local.set $a)
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (br_if $again (i32.ge_s (local.get $n) (i32.const 0))))
            (call $churn)
            (i32.eq (call $v (local.get $a)) (i32.const 1))
            (i32.eq (call $v (struct.get $box $next (struct.get $box $next (local.get $a)))) (i32.const 30)))
    )"#,
    );
}

#[test]
fn many_arguments_and_results() {
    let list = |what: &str, count: usize| vec![what; count].join(" ");
    let (count, ints) = (24, list("i32", 24));
    let gets: String = (0..2 * count).map(|at| format!("(local.get {at})")).collect();
    let args: String =
        (0..count).map(|at| format!("(i32.const {at}) (call $box (i32.const {}))", 100 + at)).collect();
    let pairs = list("i32 (ref null $box)", count);
    let sets: String = (0..2 * count).rev().map(|at| format!("(local.set {at})")).collect();
    let checks: String = (0..count)
        .map(|at| {
            let (a, b) = (2 * at, 2 * at + 1);
            format!(
                "(i32.and (i32.eq (local.get {a}) (i32.const {at}))
                    (i32.eq (struct.get $box 0 (local.get {b})) (i32.const {})))",
                100 + at
            )
        })
        .collect();
    all_true(&format!(
        r#"(module
        (type $box (struct (field i32)))
        (type $many (func (param {pairs} i32) (result {pairs})))
        (tag $t (param {pairs}))
        (table funcref (elem $give))
        (func $box (param i32) (result (ref $box)) (struct.new $box (local.get 0)))
        (func $give (type $many)
            (drop (call $box (i32.const 0)))
            (if (local.get {last}) (then {gets} (throw $t)))
            {gets})
        (func $call (param $way i32) (param $throws i32) (result {ints})
            (local {pairs}) (local $way2 i32) (local $throws2 i32)
            (return (call $locals {zeros} (local.get $way) (local.get $throws))))
        (func $locals (param {pairs}) (param $way i32) (param $throws i32) (result {ints})
            (block $h (result {pairs})
                (try_table (result {pairs}) (catch $t $h)
                    (if (result {pairs}) (local.get $way)
                        (then {args} (call $give (local.get $throws)))
                        (else {args} (call_indirect (type $many) (local.get $throws) (i32.const 0))))))
            {sets}
            {checks})
        (func (export "direct") (result {ints}) (call $call (i32.const 1) (i32.const 0)))
        (func (export "direct throws") (result {ints}) (call $call (i32.const 1) (i32.const 1)))
        (func (export "indirect") (result {ints}) (call $call (i32.const 0) (i32.const 0)))
        (func (export "indirect throws") (result {ints}) (call $call (i32.const 0) (i32.const 1)))
    )"#,
        last = 2 * count,
        zeros = list("(i32.const -1) (ref.null $box)", count),
    ));
}

#[test]
fn tail_calls_leave_the_handlers_of_their_function() {
    all_true(
        r#"(module
        (type $f (func (result i32)))
        (tag $t)
        (table funcref (elem $throw))
        (func $throw (type $f) (throw $t))
        (func $direct (result i32)
            (block $h (try_table (catch_all $h) (return_call $throw))) (i32.const 0))
        (func $indirect (result i32)
            (block $h (try_table (catch_all $h) (return_call_indirect (type $f) (i32.const 0)))) (i32.const 0))
        (func $ref (result i32)
            (block $h (try_table (catch_all $h) (return_call_ref $f (ref.func $throw)))) (i32.const 0))
        (func $plain (result i32) (block $h (try_table (catch_all $h) (drop (call $throw)))) (i32.const 1))
        (func (export "direct") (result i32)
            (block $h (try_table (catch $t $h) (return (call $direct)))) (i32.const 1))
        (func (export "indirect") (result i32)
            (block $h (try_table (catch $t $h) (return (call $indirect)))) (i32.const 1))
        (func (export "ref") (result i32)
            (block $h (try_table (catch $t $h) (return (call $ref)))) (i32.const 1))
        (func (export "plain") (result i32)
            (block $h (try_table (catch $t $h) (return (call $plain)))) (i32.const 0))
    )"#,
    );
}

#[test]
fn exception_references_are_traced_in_globals_tables_structs_and_exceptions() {
    all_true(
        r#"(module
        (type $box (struct (field i32)))
        (type $holder (struct (field (mut exnref))))
        (tag $t (param (ref $box)))
        (tag $wrap (param exnref))
        (global $g (mut exnref) (ref.null exn))
        (global $s (mut (ref null $holder)) (ref.null $holder))
        (table $tab 3 exnref)
        (func $make (param i32) (result exnref)
            (block $h (result exnref)
                (try_table (catch_all_ref $h) (throw $t (struct.new $box (local.get 0))))
                (unreachable)))
        (func $open (param exnref) (result i32)
            (block $h (result (ref $box))
                (block $w (result exnref)
                    (try_table (catch $t $h) (catch $wrap $w) (throw_ref (local.get 0)))
                    (unreachable))
                (return_call $open))
            (struct.get $box 0))
        (func (export "everywhere") (result i32 i32 i32 i32)
            (global.set $g (call $make (i32.const 1)))
            (table.set $tab (i32.const 2) (call $make (i32.const 2)))
            (global.set $s (struct.new $holder (call $make (i32.const 3))))
            (table.set $tab (i32.const 1)
                (block $h (result exnref)
                    (try_table (catch_all_ref $h) (throw $wrap (call $make (i32.const 4)))) (unreachable)))
            (drop (call $make (i32.const 0)))
            (i32.eq (call $open (global.get $g)) (i32.const 1))
            (i32.eq (call $open (table.get $tab (i32.const 2))) (i32.const 2))
            (i32.eq (call $open (struct.get $holder 0 (global.get $s))) (i32.const 3))
            (i32.eq (call $open (table.get $tab (i32.const 1))) (i32.const 4)))
    )"#,
    );
}

#[test]
fn traps_are_not_exceptions() {
    let text = r#"(module
        (memory 1) (tag $t)
        (type $s (struct (field i32)))
        (func $deep (result i32) (i32.add (call $deep) (i32.const 1)))
        (func $endless (loop $l (br $l)))
        (func $do (param $which i32)
            (block $6 (block $5 (block $4 (block $3 (block $2 (block $1 (block $0
                (br_table $0 $1 $2 $3 $4 $5 $6 (local.get $which)))
                (unreachable))
                (drop (i32.div_s (i32.const 1) (i32.sub (local.get $which) (i32.const 1)))))
                (drop (i32.load (i32.const -4))))
                (drop (struct.get $s 0 (ref.null $s))))
                (throw_ref (ref.null exn)))
                (drop (call $deep)))
                (call $endless))
        (func (export "run") (param $which i32) (result i32)
            (block $all (block $t
                (try_table (catch $t $t) (catch_all $all) (call $do (local.get $which)))
                (return (i32.const 0)))
                (return (i32.const 1)))
            (i32.const 2)))"#;
    for (name, engine) in crate::common::engines(|config| config.fuel = true) {
        let (mut store, instance) = instance(&engine, text);
        for round in 0..2 {
            for (which, expected) in [
                (0, Some(TrapCode::Unreachable)),
                (1, Some(TrapCode::IntegerDivideByZero)),
                (2, Some(TrapCode::MemoryOutOfBounds)),
                (3, Some(TrapCode::NullReference)),
                (4, Some(TrapCode::NullReference)),
                (5, None),
                (6, None),
            ] {
                store.set_fuel(1_000_000);
                let error = func(&store, instance, "run").call(&mut store, &[Val::I32(which)]).unwrap_err();
                assert_eq!(error.trap(), expected, "{name} {round} {which}: {error}");
                if expected.is_none() {
                    let resource = if which == 5 { Resource::CallStack } else { Resource::Fuel };
                    assert_eq!(error.exhausted(), Some(resource), "{name} {which}: {error}");
                }
            }
        }
    }
}

#[test]
fn tags_are_told_apart_by_identity() {
    let tags = r#"(module (tag (export "a") (param i32)) (tag (export "b") (param i32)))"#;
    let thrower = r#"(module (import "" "t" (tag $t (param i32)))
        (func (export "throw") (throw $t (i32.const 5))))"#;
    let catcher = r#"(module
        (import "" "x" (tag $x (param i32))) (import "" "y" (tag $y (param i32))) (import "" "f" (func $f))
        (func (export "which") (result i32)
            (block $y (result i32) (block $x (result i32)
                (try_table (catch $x $x) (catch $y $y) (call $f)) (return (i32.const 0)))
                (return (i32.add (i32.const 10)))) (i32.add (i32.const 20))))"#;
    for (name, engine) in every() {
        let mut store = Store::new(&engine).unwrap();
        let tags = module(&engine, tags);
        let first = Instance::new(&mut store, &tags, &[]).unwrap();
        let second = Instance::new(&mut store, &tags, &[]).unwrap();
        let get = |store: &Store, of: Instance, name: &str| of.export(store, name).unwrap().unwrap();
        let (a1, b1) = (get(&store, first, "a"), get(&store, first, "b"));
        let a2 = get(&store, second, "a");
        assert_ne!(a1, a2, "{name}");
        let thrower = module(&engine, thrower);
        let catcher = module(&engine, catcher);
        for (thrown, x, y, expected) in
            [(a1, a1, b1, Some(15)), (b1, a1, b1, Some(25)), (a2, a1, a2, Some(25)), (a2, a1, b1, None)]
        {
            let of = Instance::new(&mut store, &thrower, &[thrown]).unwrap();
            let f = get(&store, of, "throw");
            let instance = Instance::new(&mut store, &catcher, &[x, y, f]).unwrap();
            let outcome = func(&store, instance, "which").call(&mut store, &[]);
            match expected {
                Some(expected) => assert_eq!(i32_of(&outcome.unwrap()), expected, "{name}"),
                None => {
                    let error = outcome.unwrap_err();
                    let exception = error.exception().unwrap();
                    assert_eq!(Some(exception.tag()), a2.tag(), "{name}");
                    assert_eq!(i32_of(&exception.payload(&mut store).unwrap()), 5, "{name}");
                }
            }
        }
        assert_eq!(store.live_handles(), 0, "{name}");
    }
}

#[test]
fn legacy_clauses_rethrow_and_delegate() {
    all_true(
        r#"(module
        (type $box (struct (field $v i32)))
        (tag $a (param (ref $box))) (tag $b (param i32)) (tag $c)
        (func $box (param i32) (result (ref $box)) (struct.new $box (local.get 0)))
        (func $throw (param $which i32) (result i32)
            (drop (call $box (i32.const -1)))
            (if (i32.eq (local.get $which) (i32.const 1)) (then (throw $a (call $box (i32.const 10)))))
            (if (i32.eq (local.get $which) (i32.const 2)) (then (throw $b (i32.const 20))))
            (if (i32.eq (local.get $which) (i32.const 3)) (then (throw $c)))
            (i32.const 0))
        (func $clauses (param $which i32) (result i32) (local $kept (ref null $box))
            (local.set $kept (call $box (i32.const 100)))
            try (result i32)
                (local.set $kept (call $box (i32.const 200)))
                (call $throw (local.get $which))
            catch $a
                (drop (call $box (i32.const -1)))
                (struct.get $box $v)
            catch $b
                (drop (call $box (i32.const -1)))
            catch_all
                (i32.const 30)
            end
            (i32.add (struct.get $box $v (local.get $kept))))
        ;; the outer of two caught exceptions is thrown on, out of a try whose own clauses are over
        (func $rethrow (result i32)
            try (result i32)
                try $outer (result i32)
                    (call $throw (i32.const 1))
                catch $a
                    drop
                    try $inner (result i32)
                        (call $throw (i32.const 2))
                    catch $b
                        drop
                        (drop (call $box (i32.const -1)))
                        (rethrow $outer)
                    end
                end
            catch $a
                (struct.get $box $v)
            catch_all
                (i32.const 0)
            end)
        ;; past the middle try, whose clauses would match
        (func $delegate (result i32)
            try $t (result i32)
                try (result i32)
                    try (result i32)
                        (call $throw (i32.const 2))
                    delegate $t
                catch_all
                    (i32.const 1)
                end
            catch $b
                (i32.add (i32.const 5))
            end)
        ;; to a try whose clauses are running: they are over
        (func $delegate-out (result i32)
            try (result i32)
                try $t (result i32)
                    (call $throw (i32.const 3))
                catch $c
                    try (result i32)
                        (call $throw (i32.const 2))
                    delegate $t
                catch_all
                    (i32.const 1)
                end
            catch $b
                (i32.add (i32.const 6))
            end)
        (func $delegate-to-caller (result i32)
            try (result i32)
                try (result i32)
                    (call $throw (i32.const 2))
                delegate 1
            catch_all
                (i32.const 1)
            end)
        (func $no-clause (result i32) try (result i32) (call $throw (i32.const 2)) end)
        ;; nothing in the body can throw: the clauses are dead, with all that is in them
        (func $dead (result i32)
            try (result i32) (i32.const 1)
            catch $a (struct.get $box $v) try (result i32) (i32.const 3) catch_all (rethrow 1) end drop
            catch_all try try nop delegate 0 catch_all (rethrow 0) end (i32.const 0)
            end)
        (func $unreachable (result i32)
            (block (br 0) try (drop (call $throw (i32.const 2))) catch $b drop catch_all (rethrow 0) end
                try delegate 0)
            (i32.const 1))
        ;; both kinds in one function
        (func $mixed (result i32)
            (block $h (result (ref $box) exnref)
                (try_table (catch_ref $a $h)
                    try (drop (call $throw (i32.const 1)))
                    catch_all (rethrow 0) end)
                (unreachable))
            (drop) (struct.get $box $v))
        (func $caught (param $f i32) (result i32)
            try (result i32)
                (if (result i32) (local.get $f) (then (call $no-clause)) (else (call $delegate-to-caller)))
            catch $b
            end)
        (func (export "legacy") (result i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
            (i32.eq (call $clauses (i32.const 0)) (i32.const 200))
            (i32.eq (call $clauses (i32.const 1)) (i32.const 210))
            (i32.eq (call $clauses (i32.const 2)) (i32.const 220))
            (i32.eq (call $clauses (i32.const 3)) (i32.const 230))
            (i32.eq (call $rethrow) (i32.const 10))
            (i32.eq (call $delegate) (i32.const 25))
            (i32.eq (call $delegate-out) (i32.const 26))
            (i32.eq (call $caught (i32.const 0)) (i32.const 20))
            (i32.eq (call $caught (i32.const 1)) (i32.const 20))
            (call $dead) (call $unreachable)
            (i32.eq (call $mixed) (i32.const 10)))
    )"#,
    );
}
