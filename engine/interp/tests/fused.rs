//! Operations that the translator fuses give what the plain ones give: constant operands, comparisons that decide a branch,
//! and neighbours that must not be fused.
#![expect(clippy::unwrap_used, reason = "a test")]

use assay_interp::{Config, Extern, Features, InstanceAddr, Module, Store, Value};

fn instance(store: &mut Store, text: &str) -> InstanceAddr {
    let module = Module::new(&wat::parse_str(text).unwrap(), &Features::default()).unwrap();
    store.instantiate(&module, &[]).unwrap()
}

fn call(store: &mut Store, instance: InstanceAddr, name: &str, args: &[Value]) -> i64 {
    let Some(Extern::Func(func)) = store.export(instance, name) else { panic!("{name}") };
    match store.invoke(func, args).unwrap()[..] {
        [Value::I32(value)] => i64::from(value),
        [Value::I64(value)] => value,
        ref other => panic!("{name}: {other:?}"),
    }
}

const EDGES: [i32; 9] = [0, 1, -1, 31, 33, 0x7fff_ffff, i32::MIN, -128, 0x1234_5678];

#[test]
fn comparisons_and_branches() {
    type Compare = fn(i32, i32) -> bool;
    let rows: [(&str, Compare); 10] = [
        ("eq", |a, b| a == b),
        ("ne", |a, b| a != b),
        ("lt_s", |a, b| a < b),
        ("lt_u", |a, b| (a as u32) < b as u32),
        ("gt_s", |a, b| a > b),
        ("gt_u", |a, b| a as u32 > b as u32),
        ("le_s", |a, b| a <= b),
        ("le_u", |a, b| a as u32 <= b as u32),
        ("ge_s", |a, b| a >= b),
        ("ge_u", |a, b| a as u32 >= b as u32),
    ];
    let mut store = Store::new(Config::default());
    for (name, expected) in rows {
        for k in EDGES {
            let mut text = String::from("(module ");
            for (form, b) in [("reg", "(local.get 1)".to_owned()), ("imm", format!("(i32.const {k})"))] {
                let compare = format!("(i32.{name} (local.get 0) {b})");
                text += &format!(
                    r#"(func (export "{form} value") (param i32 i32) (result i32) {compare})
                    (func (export "{form} if") (param i32 i32) (result i32)
                        (if (result i32) {compare} (then (i32.const 1)) (else (i32.const 0))))
                    (func (export "{form} br_if") (param i32 i32) (result i32)
                        (block (br_if 0 {compare}) (return (i32.const 0))) (i32.const 1))
                    (func (export "{form} br_if eqz") (param i32 i32) (result i32)
                        (block (br_if 0 (i32.eqz {compare})) (return (i32.const 1))) (i32.const 0))
                    ;; Takes a value along, so it is a branch over a move.
                    (func (export "{form} br_if value") (param i32 i32) (result i32)
                        (i32.add (i32.const 100)
                            (block (result i32)
                                (i32.const 7) (i32.const -99) (br_if 0 {compare}) (drop) (drop)
                                (i32.const -100))))
                    (func (export "{form} return") (param i32 i32) (result i32)
                        (i32.const 1) (br_if 0 {compare}) (drop) (i32.const 0))
                    (func (export "{form} loop") (param i32 i32) (result i32) (local $n i32)
                        (loop $l
                            (local.set $n (i32.add (local.get $n) (i32.const 1)))
                            (if (i32.eq (local.get $n) (i32.const 2)) (then (return (i32.const 1))))
                            (br_if $l {compare}))
                        (i32.const 0))
                    ;; The comparison's result is a local, which outlives the branch.
                    (func (export "{form} kept") (param i32 i32) (result i32) (local $c i32)
                        (block (br_if 0 (local.tee $c {compare})) (return (local.get $c))) (local.get $c))"#
                );
            }
            let instance = instance(&mut store, &(text + ")"));
            for a in EDGES {
                for shape in ["value", "if", "br_if", "br_if eqz", "br_if value", "return", "loop", "kept"] {
                    for form in ["reg", "imm"] {
                        let got = call(
                            &mut store,
                            instance,
                            &format!("{form} {shape}"),
                            &[Value::I32(a), Value::I32(k)],
                        );
                        assert_eq!(got, i64::from(expected(a, k)), "{name} {form} {shape} {a} {k}");
                    }
                }
            }
        }
    }
}

#[test]
fn operations_with_a_constant() {
    let mut store = Store::new(Config::default());
    let ops = ["add", "sub", "mul", "and", "or", "xor", "shl", "shr_s", "shr_u", "rotl", "rotr"];
    for k in EDGES {
        let mut text = String::from("(module ");
        for op in ops {
            // Widened, to see the upper half of a slot.
            text += &format!(
                r#"(func (export "i32.{op}") (param i32 i32) (result i64)
                    (i64.extend_i32_u (i32.{op} (local.get 0) (local.get 1))))
                (func (export "i32.{op} k") (param i32 i32) (result i64)
                    (i64.extend_i32_u (i32.{op} (local.get 0) (i32.const {k}))))
                (func (export "i64.{op}") (param i32 i32) (result i64)
                    (i64.{op} (i64.extend_i32_s (local.get 0)) (i64.extend_i32_s (local.get 1))))
                (func (export "i64.{op} k") (param i32 i32) (result i64)
                    (i64.{op} (i64.extend_i32_s (local.get 0)) (i64.const {k})))"#
            );
        }
        let instance = instance(&mut store, &(text + ")"));
        for a in EDGES {
            for op in ops {
                for ty in ["i32", "i64"] {
                    let args = [Value::I32(a), Value::I32(k)];
                    let plain = call(&mut store, instance, &format!("{ty}.{op}"), &args);
                    let constant = call(&mut store, instance, &format!("{ty}.{op} k"), &args);
                    assert_eq!(plain, constant, "{ty}.{op} {a} {k}");
                    assert!(ty == "i64" || (0..1 << 32).contains(&plain), "{ty}.{op} {a} {k}: {plain:x}");
                }
            }
        }
    }
    let text = r#"(module
        (func (export "wide add") (param i64) (result i64)
            (i64.add (local.get 0) (i64.const 0x180000000)))
        (func (export "least") (param i64) (result i64)
            (i64.sub (local.get 0) (i64.const 0x8000000000000000)))
        (func (export "edge") (param i64) (result i64)
            (i64.sub (local.get 0) (i64.const -0x80000000)))
        ;; A constant that is also a local, and one that a branch jumps over.
        (func (export "local") (param i64) (result i64) (local i64)
            (local.set 1 (i64.const 5)) (i64.add (i64.mul (local.get 1) (local.get 1)) (local.get 1)))
        (func (export "join") (param i64) (result i64)
            (i64.add (local.get 0)
                (block (result i64) (br_if 0 (i64.const 1) (i64.eqz (local.get 0))) (drop) (i64.const 2)))))"#;
    let instance = instance(&mut store, text);
    let mut run = |name, a| call(&mut store, instance, name, &[Value::I64(a)]);
    assert_eq!(run("wide add", 1), 0x1_8000_0001);
    assert_eq!(run("least", -1), i64::MAX);
    assert_eq!(run("edge", 1), 0x8000_0001);
    assert_eq!(run("local", 0), 30);
    assert_eq!((run("join", 0), run("join", 40)), (1, 42));
}

#[test]
fn stores_of_a_constant() {
    let mut store = Store::new(Config::default());
    let stores =
        ["i32.store", "i32.store8", "i32.store16", "i64.store", "i64.store8", "i64.store16", "i64.store32"];
    for k in EDGES {
        let mut text = String::from("(module (memory 1) ");
        for name in stores {
            let ty = &name[..3];
            let widen = if ty == "i64" { "i64.extend_i32_s" } else { "i32.or (i32.const 0)" };
            text += &format!(
                r#"(func (export "{name}") (param i32) (result i64)
                    (i64.store (i32.const 8) (i64.const -1))
                    ({name} offset=1 (i32.const 8) ({widen} (local.get 0)))
                    (i64.load (i32.const 8)))
                (func (export "{name} k") (param i32) (result i64)
                    (i64.store (i32.const 8) (i64.const -1))
                    ({name} offset=1 (i32.const 8) ({ty}.const {k}))
                    (i64.load (i32.const 8)))"#
            );
        }
        let instance = instance(&mut store, &(text + ")"));
        for name in stores {
            let plain = call(&mut store, instance, name, &[Value::I32(k)]);
            let constant = call(&mut store, instance, &format!("{name} k"), &[Value::I32(k)]);
            assert_eq!(plain, constant, "{name} {k}");
        }
    }
}
