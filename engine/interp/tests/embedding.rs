//! Behaviour of the public interface: host functions, fuel, limits, collection, survey, what the host sees of the heap.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::sync::{Arc, Mutex};

use assay_interp::*;

fn module(text: &str) -> Module {
    Module::new(&wat::parse_str(text).unwrap(), &Features::default()).unwrap()
}

fn instance(store: &mut Store, text: &str) -> InstanceAddr {
    store.instantiate(&module(text), &[]).unwrap()
}

fn func(store: &Store, instance: InstanceAddr, name: &str) -> FuncAddr {
    match store.export(instance, name) {
        Some(Extern::Func(func)) => func,
        other => panic!("{name}: {other:?}"),
    }
}

fn call(store: &mut Store, instance: InstanceAddr, name: &str, args: &[Value]) -> Result<Vec<Value>> {
    let func = func(store, instance, name);
    store.invoke(func, args)
}

fn kind(result: Result<Vec<Value>>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn host_functions_nest_collect_and_survey() {
    let mut store = Store::new(Config::default());
    let log = Arc::new(Mutex::new(Vec::new()));
    let seen = log.clone();
    let host = move |store: &mut Store, args: &[Value]| {
        let found = store.survey();
        let live = store.collect(&[]);
        seen.lock().unwrap().push((found, live));
        if let [Value::I32(depth), Value::Ref(Ref::Func(f))] = args
            && *depth > 0
        {
            store.invoke(*f, &[Value::I32(depth - 1)])?;
        }
        Ok(Vec::new())
    };
    let ty = FuncType::new([ValType::I32, ValType::Ref(RefType::nullable(HeapType::Func))], []);
    let host = store.alloc_shared_host_func(ty, Arc::new(host)).unwrap();
    let m = module(
        r#"(module
            (type $s (struct (field i32) (field anyref)))
            (import "" "" (func $host (param i32 funcref)))
            (elem declare func $run)
            (func $run (export "run") (param i32) (result i32)
                (local $dead anyref)
                (drop (struct.new $s (i32.const 1) (ref.null any)))
                (struct.new $s (i32.const 7) (ref.i31 (i32.const 5)))
                (call $host (local.get 0) (ref.func $run))
                (struct.get $s 0)))"#,
    );
    let instance = store.instantiate(&m, &[Extern::Func(host)]).unwrap();
    assert_eq!(call(&mut store, instance, "run", &[Value::I32(2)]).unwrap(), [Value::I32(7)]);
    let size = 16;
    let log: Vec<_> =
        log.lock().unwrap().iter().map(|(found, live)| (*found, live.objects, live.bytes)).collect();
    assert_eq!(log, [(1, 1, size), (1, 2, 2 * size), (1, 3, 3 * size)]);
    let stats = store.stats();
    assert_eq!((stats.survey_found, stats.survey_read, stats.allocations), (3, 3, 6));
    assert_eq!(store.collect(&[]), LiveSet { objects: 0, bytes: 0 });
    assert!(stats.instructions > 10 && stats.peak_bytes == 4 * size);
}

#[test]
fn errors_and_panics_of_hosts_pass_through() {
    let mut store = Store::new(Config::default());
    let ty = FuncType::new([ValType::I32], []);
    let host = |_: &mut Store, args: &[Value]| match args {
        [Value::I32(0)] => Err(HostError::Message("no".to_owned())),
        [Value::I32(1)] => panic!("on purpose"),
        _ => Ok(vec![Value::I32(1)]),
    };
    let host = store.alloc_host_func(ty, Box::new(host)).unwrap();
    let m = module(
        r#"(module (import "" "" (func $h (param i32))) (func (export "f") (param i32) (call $h (local.get 0))))"#,
    );
    let instance = store.instantiate(&m, &[Extern::Func(host)]).unwrap();
    assert_eq!(kind(call(&mut store, instance, "f", &[Value::I32(0)])), ErrorKind::Host);
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        call(&mut store, instance, "f", &[Value::I32(1)])
    }));
    assert!(panic.is_err());
    // Not its declared results.
    assert_eq!(kind(call(&mut store, instance, "f", &[Value::I32(2)])), ErrorKind::Host);
    assert_eq!(kind(call(&mut store, instance, "f", &[])), ErrorKind::Usage);
    assert_eq!(kind(call(&mut store, instance, "f", &[Value::I64(0)])), ErrorKind::Usage);
}

#[test]
fn an_exclusive_host_function_is_not_entered_twice() {
    let mut store = Store::new(Config::default());
    let ty = FuncType::new([ValType::Ref(RefType::nullable(HeapType::Func))], []);
    let host = |store: &mut Store, args: &[Value]| {
        if let [Value::Ref(Ref::Func(f))] = args {
            store.invoke(*f, &[])?;
        }
        Ok(Vec::new())
    };
    let host = store.alloc_host_func(ty, Box::new(host)).unwrap();
    let m = module(
        r#"(module (import "" "" (func $h (param funcref))) (elem declare func $f)
            (func $f (export "f") (call $h (ref.func $f))))"#,
    );
    let instance = store.instantiate(&m, &[Extern::Func(host)]).unwrap();
    assert_eq!(kind(call(&mut store, instance, "f", &[])), ErrorKind::Usage);
}

#[test]
fn endless_nesting_through_the_host_is_exhaustion() {
    let mut store = Store::new(Config::default());
    let ty = FuncType::new([ValType::Ref(RefType::nullable(HeapType::Func))], []);
    let host = |store: &mut Store, args: &[Value]| {
        let [Value::Ref(Ref::Func(f))] = args else { return Ok(Vec::new()) };
        Ok(store.invoke(*f, &[])?)
    };
    let host = store.alloc_shared_host_func(ty, Arc::new(host)).unwrap();
    let m = module(
        r#"(module (import "" "" (func $h (param funcref))) (elem declare func $f)
            (func $f (export "f") (call $h (ref.func $f))))"#,
    );
    let instance = store.instantiate(&m, &[Extern::Func(host)]).unwrap();
    for _ in 0..3 {
        assert_eq!(kind(call(&mut store, instance, "f", &[])), ErrorKind::Exhausted(Resource::CallStack));
    }
}

#[test]
fn fuel_is_charged_by_the_documented_table() {
    let text = r#"(module
        (type $a (array (mut i32)))
        (memory 1 4) (table 10 funcref)
        (func (export "entry"))
        (func (export "loop") (param i32)
            (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
        (func (export "array") (drop (array.new $a (i32.const 1) (i32.const 100))))
        (func (export "fill") (memory.fill (i32.const 0) (i32.const 1) (i32.const 65)))
        (func (export "fill_out") (memory.fill (i32.const 65536) (i32.const 1) (i32.const 65)))
        (func (export "grow") (result i32) (memory.grow (i32.const 3)))
        (func (export "grow_out") (result i32) (memory.grow (i32.const 4)))
        (func (export "table") (table.fill (i32.const 0) (ref.null func) (i32.const 10))))"#;
    let mut store = Store::new(Config::default());
    let instance = instance(&mut store, text);
    let mut cost = |name: &str, args: &[Value]| {
        store.set_fuel(Some(1000));
        let _ = call(&mut store, instance, name, args);
        1000 - store.fuel().unwrap()
    };
    assert_eq!(cost("entry", &[]), 1);
    assert_eq!(cost("loop", &[Value::I32(5)]), 6);
    assert_eq!(cost("array", &[]), 101);
    assert_eq!(cost("fill", &[]), 3);
    assert_eq!(cost("fill_out", &[]), 1);
    assert_eq!(cost("table", &[]), 11);
    assert_eq!(cost("grow_out", &[]), 1);
    assert_eq!(cost("grow", &[]), 4);
    // Out of fuel: no effect.
    store.set_fuel(Some(50));
    assert_eq!(kind(call(&mut store, instance, "array", &[])), ErrorKind::Exhausted(Resource::Fuel));
    assert_eq!(store.stats().allocations, 1);
}

#[test]
fn hostile_sizes_end_in_clear_errors() {
    let mut store = Store::new(Config::default());
    let big =
        ["(module (table 0xffffffff funcref))", "(module (memory 65536))", "(module (memory i64 0x1000000))"];
    for text in big {
        let error = store.instantiate(&module(text), &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exhausted(Resource::Memory), "{text}");
    }
    let instance = instance(
        &mut store,
        r#"(module
            (type $a (array (mut i8))) (type $w (array (mut i64)))
            (func (export "bytes") (param i32) (drop (array.new_default $a (local.get 0))))
            (func (export "words") (param i32) (drop (array.new_default $w (local.get 0))))
            (func $deep (export "deep") (result i32) (i32.add (call $deep) (i32.const 1)))
            (func $tail (export "tail") (param i32) (result i32)
                (if (result i32) (local.get 0)
                    (then (return_call $tail (i32.sub (local.get 0) (i32.const 1))))
                    (else (i32.const 9)))))"#,
    );
    let mut run = |name: &str, args: &[Value]| call(&mut store, instance, name, args);
    assert_eq!(kind(run("bytes", &[Value::I32(1 << 29)])), ErrorKind::Exhausted(Resource::GcHeap));
    assert_eq!(kind(run("bytes", &[Value::I32(-1)])), ErrorKind::Trap(TrapKind::AllocationTooLarge));
    assert_eq!(kind(run("words", &[Value::I32(1 << 30)])), ErrorKind::Trap(TrapKind::AllocationTooLarge));
    assert_eq!(kind(run("deep", &[])), ErrorKind::Exhausted(Resource::CallStack));
    assert_eq!(run("tail", &[Value::I32(1_000_000)]).unwrap(), [Value::I32(9)]);
}

#[test]
fn deep_nesting_costs_no_rust_stack() {
    let depth = 200_000;
    let mut body = vec![0u8];
    body.extend(std::iter::repeat_n([0x02, 0x40], depth).flatten());
    body.extend(std::iter::repeat_n(0x0b, depth + 1));
    let mut section = vec![1];
    leb(&mut section, body.len());
    section.extend(body);
    let mut bytes = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x05\x01\x01f\0\0\x0a".to_vec();
    leb(&mut bytes, section.len());
    bytes.extend(section);
    let mut store = Store::new(Config::default());
    let instance = store.instantiate(&Module::new(&bytes, &Features::default()).unwrap(), &[]).unwrap();
    assert_eq!(call(&mut store, instance, "f", &[]).unwrap(), []);
}

fn leb(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[test]
fn a_long_list_is_marked_without_recursion() {
    let mut store = Store::new(Config::default());
    let instance = instance(
        &mut store,
        r#"(module
            (type $l (struct (field (mut i32)) (field (ref null $l))))
            (global $g (export "g") (mut (ref null $l)) (ref.null $l))
            (func (export "build") (param i32)
                (loop $again
                    (global.set $g (struct.new $l (local.get 0) (global.get $g)))
                    (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
            (func (export "head") (result (ref null $l)) (global.get $g))
            (func (export "clear") (global.set $g (ref.null $l))))"#,
    );
    call(&mut store, instance, "build", &[Value::I32(300_000)]).unwrap();
    assert_eq!(store.collect(&[]).objects, 300_000);
    let head = call(&mut store, instance, "head", &[]).unwrap();
    call(&mut store, instance, "clear", &[]).unwrap();
    assert_eq!(store.reachable(&[]).objects, 0);
    assert_eq!(store.collect(&head).objects, 300_000);
    assert_eq!(store.collect(&[]), LiveSet::default());
    // Freed places are used again.
    call(&mut store, instance, "build", &[Value::I32(3)]).unwrap();
    assert_eq!(store.stats().bytes, 3 * 16);
    let Value::Ref(Ref::Struct(addr)) = call(&mut store, instance, "head", &[]).unwrap()[0] else { panic!() };
    assert_eq!(store.object_get(addr, 0), Some(Value::I32(1)));
}

#[test]
fn the_heap_and_its_types_can_be_seen() {
    let mut store = Store::new(Config::default());
    let text = r#"(module
        (rec (type $s (sub (struct (field (ref null $a)) (field i8)))) (type $a (array (mut (ref null $s)))))
        (type $t (sub $s (struct (field (ref null $a)) (field i8) (field (mut f64)))))
        (func (export "make") (result (ref $t))
            (struct.new $t (array.new_default $a (i32.const 2)) (i32.const 511) (f64.const 1))))"#;
    let one = instance(&mut store, text);
    let two = instance(&mut store, text);
    assert_eq!(store.instance_types(one), store.instance_types(two));
    let Value::Ref(Ref::Struct(addr)) = call(&mut store, one, "make", &[]).unwrap()[0] else { panic!() };
    let ty = store.object_type(addr).unwrap();
    assert_eq!(store.object_kind(addr), Some(ObjectKind::Struct));
    assert_eq!(store.type_place(ty).unwrap().index, 0);
    let def = store.type_def(ty).unwrap();
    let Some(HeapType::Canon(parent)) = def.supertype else { panic!("{def:?}") };
    assert!(!def.is_final && store.is_subtype(ty, parent) && !store.is_subtype(parent, ty));
    let place = store.type_place(parent).unwrap();
    let group = store.rec_group(place.group).unwrap();
    assert_eq!((place.index, group.types.len()), (0, 2));
    let CompositeType::Array(element) = &group.types[1].composite else { panic!() };
    let expected = StorageType::Val(ValType::Ref(RefType::nullable(HeapType::Rec(0))));
    assert_eq!((element.storage, element.mutable), (expected, true));
    assert_eq!(store.type_at(place), Some(parent));
    let values = store.object_values(addr).unwrap();
    assert_eq!(values[1..], [Value::I32(255), Value::F64(1f64.to_bits())]);
    let Value::Ref(Ref::Array(array)) = values[0] else { panic!() };
    assert_eq!(store.object_values(array).unwrap(), [Value::Ref(Ref::Null); 2]);
    let f = func(&store, two, "make");
    assert_eq!(store.func_origin(f), Some(FuncOrigin::Wasm { instance: two, index: 0 }));
}

#[test]
fn conversions_to_external_references_keep_identity() {
    let mut store = Store::new(Config::default());
    let instance = instance(
        &mut store,
        r#"(module
            (type $s (struct))
            (func (export "out") (result externref) (extern.convert_any (struct.new $s)))
            (func (export "back") (param externref) (result anyref) (any.convert_extern (local.get 0)))
            (func (export "is_struct") (param externref) (result i32)
                (ref.test (ref struct) (any.convert_extern (local.get 0)))))"#,
    );
    let out = call(&mut store, instance, "out", &[]).unwrap()[0];
    let Value::Ref(Ref::Extern(ExternRef::Struct(addr))) = out else { panic!("{out:?}") };
    assert_eq!(call(&mut store, instance, "back", &[out]).unwrap(), [Value::Ref(Ref::Struct(addr))]);
    let host = Value::Ref(Ref::Extern(ExternRef::Host(u64::MAX)));
    assert_eq!(call(&mut store, instance, "back", &[host]).unwrap(), [Value::Ref(Ref::Host(u64::MAX))]);
    assert_eq!(call(&mut store, instance, "is_struct", &[out]).unwrap(), [Value::I32(1)]);
    assert_eq!(call(&mut store, instance, "is_struct", &[host]).unwrap(), [Value::I32(0)]);
    let internal = Value::Ref(Ref::Struct(addr));
    assert_eq!(kind(call(&mut store, instance, "back", &[internal])), ErrorKind::Usage);
}

#[test]
fn a_trapping_segment_leaves_earlier_effects() {
    let mut store = Store::new(Config::default());
    let owner = instance(&mut store, r#"(module (memory (export "m") 1))"#);
    let memory = store.export(owner, "m").unwrap();
    let m =
        module(r#"(module (import "" "" (memory 1)) (data (i32.const 3) "x") (data (i32.const 65536) "y"))"#);
    let error = store.instantiate(&m, &[memory]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trap(TrapKind::MemoryOutOfBounds));
    let Extern::Memory(memory) = memory else { panic!() };
    assert_eq!(store.memory(memory).unwrap()[3], b'x');
}

/// Locals that change while their old value is still on the stack, across every kind of join.
#[test]
fn pending_reads_of_locals_see_the_old_value() {
    let mut store = Store::new(Config::default());
    let instance = instance(
        &mut store,
        r#"(module
            (func (export "tee") (param i32) (result i32)
                (i32.sub (local.get 0) (local.tee 0 (i32.add (local.get 0) (i32.const 5)))))
            (func (export "block") (param i32) (result i32)
                (local.get 0)
                (block $b (br_if $b (local.get 0)) (local.set 0 (i32.const 9)))
                (i32.mul (local.get 0) (i32.const 100))
                (i32.add))
            (func (export "swap") (param i32 i32) (result i32)
                (local.get 0) (local.get 1) (local.set 0) (local.set 1)
                (i32.add (i32.mul (local.get 0) (i32.const 10)) (local.get 1)))
            (func (export "carry") (param i32) (result i32)
                (local i32)
                (block (result i32)
                    (local.get 1) (local.get 0) (local.set 1) (local.get 1)
                    (br_if 0 (i32.eqz (local.get 0))) (i32.sub)))
            (func (export "if") (param i32) (result i32)
                (local.get 0)
                (if (param i32) (result i32) (local.get 0)
                    (then (local.set 0 (i32.const 3)) (i32.add (local.get 0)))
                    (else (local.set 0 (i32.const 4)) (i32.sub (local.get 0))))))"#,
    );
    let mut run = |name: &str, args: &[i32]| {
        let args: Vec<_> = args.iter().map(|&arg| Value::I32(arg)).collect();
        match call(&mut store, instance, name, &args).unwrap()[..] {
            [Value::I32(value)] => value,
            ref other => panic!("{other:?}"),
        }
    };
    assert_eq!(run("tee", &[7]), -5);
    assert_eq!((run("block", &[1]), run("block", &[0])), (101, 900));
    assert_eq!(run("swap", &[1, 2]), 21);
    assert_eq!((run("carry", &[0]), run("carry", &[6])), (0, -6));
    assert_eq!((run("if", &[1]), run("if", &[0])), (4, -4));
}

/// Vectors wherever a value can be, beside values of one slot.
#[test]
fn vectors_take_two_slots_everywhere() {
    let text = r#"(module
        (type $a (array (mut v128)))
        (type $s (struct (field i8) (field $v (mut v128)) (field (ref null $a)) (field (mut v128)) (field i64)))
        (type $f (func (param i32 v128 i64 v128) (result v128 i32 v128)))
        (import "" "host" (func $host (type $f)))
        (import "" "global" (global $imported v128))
        (data $d "\01\00\00\00\00\00\00\00\02\00\00\00\00\00\00\00\03\00\00\00\00\00\00\00\04\00\00\00\00\00\00\00")
        (table funcref (elem $host))
        (global $own (export "own") (mut v128) (v128.const i64x2 5 6))
        (global $copy (export "copy") v128 (global.get $imported))
        (global $made (export "made") (ref $a) (array.new $a (v128.const i64x2 7 8) (i32.const 2)))
        (func (export "call") (type $f)
            (call $host (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
        (func (export "tail") (type $f)
            (return_call_indirect (type $f)
                (local.get 0) (local.get 1) (local.get 2) (local.get 3) (i32.const 0)))
        (func (export "struct") (param v128) (result (ref $s))
            (local $s (ref $s))
            (local.set $s (struct.new $s (i32.const 0x1ff) (local.get 0)
                (array.new_data $a $d (i32.const 0) (i32.const 2)) (global.get $own) (i64.const -1)))
            (struct.set $s $v (local.get $s) (i64x2.add (local.get 0) (struct.get $s $v (local.get $s))))
            (local.get $s))
        (func (export "default") (result (ref $s)) (struct.new_default $s))
        (func (export "array") (param v128) (result (ref $a))
            (local $a (ref $a))
            (local.set $a (array.new_fixed $a 3 (local.get 0) (global.get $own) (v128.const i64x2 1 1)))
            (array.set $a (local.get $a) (i32.const 2) (array.get $a (local.get $a) (i32.const 1)))
            (array.fill $a (local.get $a) (i32.const 1) (local.get 0) (i32.const 1))
            (array.copy $a $a (local.get $a) (i32.const 0) (local.get $a) (i32.const 2) (i32.const 1))
            (array.init_data $a $d (local.get $a) (i32.const 2) (i32.const 16) (i32.const 1))
            (local.get $a))
        (func (export "beyond") (result v128) (array.get $a (global.get $made) (i32.const 2)))
        (func (export "select") (param v128 v128 i32) (result v128)
            (select (local.get 0) (local.get 1) (local.get 2)))
        (func (export "swap") (param v128 v128) (result v128 v128)
            (local.get 0) (local.get 1) (local.set 0) (local.set 1)
            (local.get 0) (local.get 1) (global.set $own) (global.get $own))
        (func (export "branch") (param i32 v128) (result v128)
            (i32.const 1) (local.get 1)
            (block $b (param i32 v128) (result v128 v128)
                (local.set 1) (drop)
                (v128.const i64x2 1 1) (local.get 1)
                (br_table $b $b (local.get 0)))
            (i64x2.add)))"#;
    let vector = |low: u64, high: u64| Value::V128(u128::from(high) << 64 | u128::from(low));
    let mut store = Store::new(Config::default());
    let ty = FuncType::new(
        [ValType::I32, ValType::V128, ValType::I64, ValType::V128],
        [ValType::V128, ValType::I32, ValType::V128],
    );
    let host = |_: &mut Store, args: &[Value]| match args {
        &[a, b, c, d] => {
            assert_eq!((a, c), (Value::I32(-1), Value::I64(-2)));
            Ok(vec![d, a, b])
        }
        _ => panic!("{args:?}"),
    };
    let host = store.alloc_shared_host_func(ty, Arc::new(host)).unwrap();
    let ty = GlobalType { mutable: false, value: ValType::V128 };
    let global = store.alloc_global(ty, vector(3, 4)).unwrap();
    let instance = store.instantiate(&module(text), &[Extern::Func(host), Extern::Global(global)]).unwrap();

    let args = [Value::I32(-1), vector(1, 2), Value::I64(-2), vector(3, 4)];
    let expected = [vector(3, 4), Value::I32(-1), vector(1, 2)];
    assert_eq!(call(&mut store, instance, "call", &args).unwrap(), expected);
    assert_eq!(call(&mut store, instance, "tail", &args).unwrap(), expected);

    let object = |store: &mut Store, name: &str, args: &[Value]| match call(store, instance, name, args)
        .unwrap()[..]
    {
        [Value::Ref(Ref::Struct(addr) | Ref::Array(addr))] => addr,
        ref other => panic!("{other:?}"),
    };
    let addr = object(&mut store, "struct", &[vector(10, 20)]);
    let values = store.object_values(addr).unwrap();
    let Value::Ref(Ref::Array(array)) = values[2] else { panic!("{values:?}") };
    assert_eq!(values[..2], [Value::I32(255), vector(20, 40)]);
    assert_eq!(values[3..], [vector(5, 6), Value::I64(-1)]);
    assert_eq!(store.object_len(addr), Some(5));
    // 8 + 1, 16 + 16 + 4, 40 + 16 + 8 and 12 + 2 × 16, rounded up to 8.
    assert_eq!(store.collect(&[Value::Ref(Ref::Struct(addr))]).bytes, 64 + 48 + 48);
    assert_eq!(store.object_values(array).unwrap(), [vector(1, 2), vector(3, 4)]);
    let addr = object(&mut store, "default", &[]);
    assert_eq!(store.object_values(addr).unwrap()[2..4], [Value::Ref(Ref::Null), vector(0, 0)]);
    let addr = object(&mut store, "array", &[vector(8, 9)]);
    assert_eq!(store.object_values(addr).unwrap(), [vector(5, 6), vector(8, 9), vector(3, 4)]);
    assert_eq!(kind(call(&mut store, instance, "beyond", &[])), ErrorKind::Trap(TrapKind::ArrayOutOfBounds));

    for (condition, chosen) in [(0, vector(3, 4)), (7, vector(1, 2))] {
        let args = [vector(1, 2), vector(3, 4), Value::I32(condition)];
        assert_eq!(call(&mut store, instance, "select", &args).unwrap(), [chosen]);
    }
    let swapped = call(&mut store, instance, "swap", &[vector(1, 2), vector(3, 4)]).unwrap();
    assert_eq!(swapped, [vector(3, 4), vector(1, 2)]);
    let branched = call(&mut store, instance, "branch", &[Value::I32(1), vector(1, 2)]).unwrap();
    assert_eq!(branched, [vector(2, 3)]);

    let get = |store: &Store, name: &str| match store.export(instance, name) {
        Some(Extern::Global(global)) => (global, store.global_get(global).unwrap()),
        other => panic!("{other:?}"),
    };
    let (own, value) = get(&store, "own");
    assert_eq!((value, get(&store, "copy").1), (vector(1, 2), vector(3, 4)));
    store.global_set(own, vector(u64::MAX, 1)).unwrap();
    assert_eq!(get(&store, "own").1, vector(u64::MAX, 1));
    assert_eq!(store.global_set(own, Value::I64(0)).unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(kind(call(&mut store, instance, "swap", &[vector(1, 2), Value::I32(3)])), ErrorKind::Usage);
}
