//! Modules that ask for too much: a clear error or a trap, within bounded memory and time.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use assay_runtime::*;
use common::*;

/// Smaller in unoptimised builds, where Cranelift is slow.
fn scaled(count: usize) -> usize {
    if cfg!(debug_assertions) { count / 20 } else { count }
}

fn quick_engine() -> Engine {
    Engine::new(Config {
        opt: OptLevel::None,
        regalloc: RegAlloc::SinglePass,
        verifier: false,
        gc_heap_max: 64 << 20,
        ..Config::default()
    })
    .unwrap()
}

#[test]
fn fifty_thousand_functions() {
    let engine = quick_engine();
    let count = scaled(50_000);
    let functions = "(func (result i32) (i32.const 1))".repeat(count - 1);
    let (mut store, instance) = instance(
        &engine,
        &format!(
            r#"(module {functions}
                (func (export "f") (result i32) (call {})) (elem declare func {}))"#,
            count - 2,
            count - 2
        ),
    );
    assert_eq!(i32_of(&func(&store, instance, "f").call(&mut store, &[]).unwrap()), 1);
}

#[test]
fn fifty_thousand_types() {
    let engine = quick_engine();
    let count = scaled(50_000);
    let before = engine.types().live_types();
    let types: String =
        (0..count).map(|index| format!("(type (struct (field (ref null {index}))))")).collect();
    let (store, _) = instance(&engine, &format!("(module (rec {types}))"));
    assert!(engine.types().live_types() > before);
    drop(store);
    assert_eq!(engine.types().live_types(), before);
}

#[test]
fn ten_thousand_locals_of_every_kind() {
    let engine = quick_engine();
    let count = scaled(10_000);
    let locals = "(local i32) (local anyref) (local f64)".repeat(count / 3);
    let uses: String =
        (0..count / 3).map(|index| format!("(local.set {} (i32.const {index}))", 3 * index)).collect();
    let sum: String = (0..count / 3).map(|index| format!("(i32.add (local.get {}))", 3 * index)).collect();
    let text = format!(r#"(module (func (export "f") (result i32) {locals} {uses} (i32.const 0) {sum}))"#);
    let (mut store, instance) = instance(&engine, &text);
    let n = (count / 3) as i32;
    let sum = i32_of(&func(&store, instance, "f").call(&mut store, &[]).unwrap());
    assert_eq!(sum, (0..n).sum::<i32>());
}

#[test]
fn deep_nesting_of_blocks_and_expressions() {
    let engine = quick_engine();
    let depth = scaled(50_000);
    let module = |open: &[u8], close: &[u8]| {
        let mut body = vec![0]; // no locals
        (0..depth).for_each(|_| body.extend_from_slice(open));
        (0..depth).for_each(|_| body.extend_from_slice(close));
        body.push(0x0b);
        let mut wasm = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0".to_vec();
        let leb = |mut value: usize, into: &mut Vec<u8>| loop {
            let byte = (value & 0x7f) as u8;
            value >>= 7;
            into.push(if value == 0 { byte } else { byte | 0x80 });
            if value == 0 {
                break;
            }
        };
        let mut code = vec![1];
        leb(body.len(), &mut code);
        code.extend(body);
        wasm.push(10);
        leb(code.len(), &mut wasm);
        wasm.extend(code);
        wasm
    };
    Module::new(&engine, &module(&[0x02, 0x40], &[0x0b])).unwrap(); // block … end
    Module::new(&engine, &module(&[0x03, 0x40], &[0x0b])).unwrap(); // loop … end
    Module::new(&engine, &module(&[0x41, 0x00, 0x04, 0x40], &[0x0b])).unwrap(); // i32.const 0, if … end
    Module::new(&engine, &module(&[0x41, 0x00], &[0x1a])).unwrap(); // i32.const 0 … drop
}

#[test]
fn arrays_of_two_to_the_31() {
    for (name, engine) in engines(|config| config.gc_heap_max = 64 << 20) {
        let (mut store, instance) = instance(
            &engine,
            r#"(module
                (type $b (array (mut i8))) (type $l (array (mut i64)))
                (global $keep (mut anyref) (ref.null any))
                (func (export "bytes") (param i32) (global.set $keep (array.new_default $b (local.get 0))))
                (func (export "longs") (param i32) (global.set $keep (array.new $l (i64.const 1) (local.get 0))))
                (func (export "init") (global.set $keep (array.new_default $b (i32.const 100)))
                    (array.fill $b (ref.cast (ref $b) (global.get $keep)) (i32.const 1) (i32.const 1) (i32.const -1))))"#,
        );
        let mut call = |export: &str, args: &[Val]| {
            func(&store, instance, export).call(&mut store, args).unwrap_err().into_kind()
        };
        for len in [i32::MIN, -1, i32::MAX] {
            for export in ["bytes", "longs"] {
                let kind = call(export, &[Val::I32(len)]);
                assert!(
                    matches!(kind, ErrorKind::Trap(TrapCode::AllocationTooLarge)),
                    "{name} {export} {len}: {kind:?}"
                );
            }
        }
        let kind = call("bytes", &[Val::I32(100 << 20)]);
        assert!(matches!(kind, ErrorKind::Exhausted(Resource::GcHeap)), "{name}: {kind:?}");
        let kind = call("init", &[]);
        assert!(matches!(kind, ErrorKind::Trap(TrapCode::ArrayOutOfBounds)), "{name}: {kind:?}");
    }
}

#[test]
fn tables_of_four_gibi_elements_and_full_memories() {
    let engine = quick_engine();
    let mut store = Store::new(&engine).unwrap();
    for text in ["(module (table 0xffffffff funcref))", "(module (table i64 0xffffffffffffffff funcref))"] {
        let error = Instance::new(&mut store, &module(&engine, text), &[]).unwrap_err();
        assert_eq!(error.exhausted(), Some(Resource::Table), "{text}");
    }
    // All of a 32-bit memory is address space only until it is touched.
    let (mut store, instance) = instance(
        &engine,
        r#"(module (memory 65536) (func (export "f") (result i32) (i32.store (i32.const -4) (i32.const 7))
            (i32.load (i32.const -4))))"#,
    );
    assert_eq!(i32_of(&func(&store, instance, "f").call(&mut store, &[]).unwrap()), 7);
}

#[test]
fn truncated_and_flipped_bytes_never_panic() {
    let engine = quick_engine();
    let wasm = wat::parse_str(
        r#"(module (type $p (struct (field i32) (field (mut anyref)))) (type $a (array (mut (ref null $p))))
            (memory 1) (table 3 anyref) (global (mut anyref) (ref.i31 (i32.const 3)))
            (func (export "f") (param i32) (result anyref) (local (ref null $a))
                (local.set 1 (array.new_default $a (local.get 0)))
                (block (loop (br_if 1 (local.get 0)) (br 0)))
                (struct.new $p (i32.load (local.get 0)) (array.get $a (local.get 1) (i32.const 0))))
            (data (i32.const 3) "abc") (elem (i32.const 0) anyref (item (ref.null none))))"#,
    )
    .unwrap();
    for end in 0..wasm.len() {
        let _ = Module::new(&engine, &wasm[..end]);
    }
    for at in 0..wasm.len() {
        for flip in [1, 0x40, 0x80, 0xff] {
            let mut bytes = wasm.clone();
            bytes[at] ^= flip;
            if let Err(error) = Module::new(&engine, &bytes) {
                assert!(!matches!(error.kind(), ErrorKind::Internal(_)), "{at} {flip}: {error}");
            }
        }
    }
}

/// A tag takes two bytes of a module, its type up to 1,000 parameters.
#[test]
fn many_tags_of_one_wide_type() {
    let engine = quick_engine();
    let before = engine.types().live_types();
    let (params, tags) = ("i64 ".repeat(1000), "(tag (type $t))".repeat(scaled(200_000)));
    let (store, _) = instance(&engine, &format!("(module (type $t (func (param {params}))) {tags})"));
    // The function type and the type of all the exceptions.
    assert_eq!(engine.types().live_types(), before + 2);
    drop(store);
    assert_eq!(engine.types().live_types(), before);
}

/// Each call of a `try_table` is an edge to its landing pad, and each local that changes between them an argument there.
#[test]
fn thousands_of_calls_in_the_reach_of_one_handler() {
    let engine = quick_engine();
    let calls: String = (0..scaled(20_000))
        .map(|n| format!("(local.set {} (call $f (local.get {})))", n % 40, n % 39))
        .collect();
    let locals = "anyref ".repeat(40);
    let (mut store, instance) = instance(
        &engine,
        &format!(
            r#"(module (tag $t)
                (func $f (param anyref) (result anyref) (if (ref.is_null (local.get 0)) (then (throw $t))) (local.get 0))
                (func (export "f") (result i32) (local {locals})
                    (block $h (try_table (catch $t $h) {calls}) (unreachable))
                    (i32.const 1)))"#
        ),
    );
    assert_eq!(i32_of(&func(&store, instance, "f").call(&mut store, &[]).unwrap()), 1);
}

/// An exception that passes through them all, one after the other.
#[test]
fn handlers_nested_by_the_thousand() {
    let engine = quick_engine();
    let depth = scaled(20_000);
    let (mut store, instance) = instance(
        &engine,
        &format!(
            r#"(module (tag $t) (tag $other)
                (func $f (throw $t))
                (func (export "f") (result i32)
                    (block $h (try_table (catch $t $h) {} (call $f) {}) (unreachable))
                    (i32.const 1)))"#,
            "try_table (catch $other 0)".repeat(depth),
            "end ".repeat(depth)
        ),
    );
    assert_eq!(i32_of(&func(&store, instance, "f").call(&mut store, &[]).unwrap()), 1);
}
