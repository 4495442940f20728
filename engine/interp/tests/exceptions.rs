//! Exceptions on the public interface: hosts that throw, catch and throw on, payloads across collections, deep unwinding, fuel,
//! and what the legacy instructions add.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::sync::{Arc, Mutex};

use assay_interp::*;

fn decode(text: &str) -> Module {
    Module::new(&wat::parse_str(text).unwrap(), &Features::default()).unwrap()
}

fn instance(store: &mut Store, text: &str, imports: &[Extern]) -> InstanceAddr {
    store.instantiate(&decode(text), imports).unwrap()
}

fn call(store: &mut Store, instance: InstanceAddr, name: &str, args: &[Value]) -> Result<Vec<Value>> {
    match store.export(instance, name) {
        Some(Extern::Func(func)) => store.invoke(func, args),
        other => panic!("{name}: {other:?}"),
    }
}

fn thrown(result: Result<Vec<Value>>) -> Exception {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exception, "{error}");
    error.exception().unwrap().clone()
}

/// A host function `(param i32)`: 0 throws a new exception of the tag, 1 calls `f` and hands its error on, 2 calls `f`, drops its
/// exception, collects and throws a new one, 3 calls `f` and throws its exception on after a collection that spares it, 4 after
/// one that does not.
fn host(store: &mut Store, tag: TagAddr, f: &Arc<Mutex<Option<FuncAddr>>>) -> FuncAddr {
    let f = f.clone();
    let host = move |store: &mut Store, args: &[Value]| {
        let inner = |store: &mut Store| store.invoke(f.lock().unwrap().unwrap(), &[]);
        match args {
            [Value::I32(0)] => {
                let exception = store.alloc_exception(tag, &[Value::I32(70), Value::Ref(Ref::Null)])?;
                Err(store.throw(exception).into())
            }
            [Value::I32(1)] => Ok(inner(store)?),
            [Value::I32(2)] => {
                inner(store).unwrap_err();
                store.collect(&[]);
                let exception = store.alloc_exception(tag, &[Value::I32(71), Value::Ref(Ref::Null)])?;
                Err(store.throw(exception).into())
            }
            [Value::I32(how)] => {
                let error = inner(store).unwrap_err();
                let root = Value::Ref(error.exception().unwrap().reference);
                store.collect(if *how == 3 { std::slice::from_ref(&root) } else { &[] });
                Err(error.into())
            }
            _ => Err(HostError::Message("wrong call".to_owned())),
        }
    };
    store.alloc_shared_host_func(FuncType::new([ValType::I32], []), Arc::new(host)).unwrap()
}

#[test]
fn exceptions_cross_hosts() {
    let text = r#"(module
        (type $s (struct (field (mut i32))))
        (import "" "tag" (tag $e (param i32 anyref)))
        (import "" "host" (func $host (param i32)))
        (func (export "inner") (throw $e (i32.const 7) (struct.new $s (i32.const 1))))
        (func (export "outer") (param i32) (result i32 anyref)
            (block $l (result i32 anyref)
                (try_table (catch $e $l) (call $host (local.get 0)))
                (unreachable)))
        (func (export "through") (param i32) (call $host (local.get 0)))
        (func (export "tail") (param i32) (result i32 anyref)
            (block $l (result i32 anyref)
                (try_table (catch $e $l) (return_call $tail (local.get 0)))
                (unreachable)))
        (func $tail (param i32) (result i32 anyref)
            (call $host (local.get 0)) (unreachable)))"#;
    let mut store = Store::new(Config::default());
    let any = ValType::Ref(RefType::nullable(HeapType::Any));
    let tag = store.alloc_tag(FuncType::new([ValType::I32, any], [])).unwrap();
    let f = Arc::new(Mutex::new(None));
    let host = host(&mut store, tag, &f);
    let instance = instance(&mut store, text, &[Extern::Tag(tag), Extern::Func(host)]);
    let Some(Extern::Func(inner)) = store.export(instance, "inner") else { panic!() };
    *f.lock().unwrap() = Some(inner);
    for (how, value) in [(0, 70), (1, 7), (2, 71), (3, 7)] {
        let outer = call(&mut store, instance, "outer", &[Value::I32(how)]).unwrap();
        assert_eq!(outer[0], Value::I32(value), "{how}");
        assert_eq!(matches!(outer[1], Value::Ref(Ref::Struct(_))), value == 7, "{how}");
        // Uncaught, and not caught by the frame that a tail call replaced.
        for name in ["through", "tail"] {
            let exception = thrown(call(&mut store, instance, name, &[Value::I32(how)]));
            assert_eq!((exception.tag, exception.values[0]), (tag, Value::I32(value)), "{name} {how}");
        }
    }
    // The host let its exception die.
    assert_eq!(call(&mut store, instance, "outer", &[Value::I32(4)]).unwrap_err().kind(), ErrorKind::Host);
    // Null, and what is no exception.
    assert_eq!(store.throw(Ref::Null).kind(), ErrorKind::Trap(TrapKind::NullReference));
    assert_eq!(store.throw(Ref::I31(1)).kind(), ErrorKind::Usage);
    assert_eq!(store.alloc_exception(tag, &[Value::I32(1)]).unwrap_err().kind(), ErrorKind::Usage);
}

/// What `collect` finds alive, called from wasm.
fn collector(store: &mut Store, log: &Arc<Mutex<Vec<u64>>>) -> Extern {
    let log = log.clone();
    let host = move |store: &mut Store, _: &[Value]| {
        log.lock().unwrap().push(store.collect(&[]).objects);
        Ok(Vec::new())
    };
    Extern::Func(store.alloc_shared_host_func(FuncType::default(), Arc::new(host)).unwrap())
}

#[test]
fn a_thrown_exception_is_one_object_for_host_and_wasm() {
    let text = r#"(module
        (type $s (struct (field (mut i32))))
        (tag $e (export "e") (param (ref $s) v128 i64))
        (global $kept (export "kept") (mut exnref) (ref.null exn))
        (func (export "throw")
            (throw $e (struct.new $s (i32.const 5)) (v128.const i64x2 1 2) (i64.const 3)))
        (func (export "keep") (param exnref) (global.set $kept (local.get 0)))
        (func $caught (param exnref) (result (ref $s))
            (block $l (result (ref $s) v128 i64)
                (try_table (catch $e $l) (throw_ref (local.get 0)))
                (unreachable))
            (drop) (drop))
        (func (export "add") (result i32) (local $s (ref $s))
            (local.set $s (call $caught (global.get $kept)))
            (struct.set $s 0 (local.get $s) (i32.add (struct.get $s 0 (local.get $s)) (i32.const 1)))
            (struct.get $s 0 (call $caught (global.get $kept))))
        (func (export "tests") (param exnref) (result i32)
            (i32.or (ref.test (ref exn) (local.get 0))
                (i32.shl (ref.test nullexnref (local.get 0)) (i32.const 1))))
        (func (export "throw_ref") (throw_ref (global.get $kept))))"#;
    let mut store = Store::new(Config::default());
    let instance = instance(&mut store, text, &[]);
    let exception = thrown(call(&mut store, instance, "throw", &[]));
    assert_eq!(store.export(instance, "e"), Some(Extern::Tag(exception.tag)));
    assert_eq!(exception.values[1..], [Value::V128(2 << 64 | 1), Value::I64(3)]);
    let Ref::Exn(addr) = exception.reference else { panic!() };
    let reference = Value::Ref(exception.reference);
    assert_eq!(store.object_kind(addr), Some(ObjectKind::Exn));
    assert_eq!(store.exception_tag(addr), Some(exception.tag));
    assert_eq!(store.object_values(addr), Some(exception.values.clone()));
    // 12 + 4 + 16 + 8 for the exception, 8 + 4 for the struct, rounded up to 8.
    let live = LiveSet { objects: 2, bytes: 56 };
    assert_eq!(store.collect(&[reference]), live);
    call(&mut store, instance, "keep", &[reference]).unwrap();
    assert_eq!(store.collect(&[]), live);
    assert_eq!(call(&mut store, instance, "add", &[]).unwrap(), [Value::I32(6)]);
    assert_eq!(thrown(call(&mut store, instance, "throw_ref", &[])), exception);
    let null = Value::Ref(Ref::Null);
    assert_eq!(call(&mut store, instance, "tests", &[reference]).unwrap(), [Value::I32(1)]);
    assert_eq!(call(&mut store, instance, "tests", &[null]).unwrap(), [Value::I32(2)]);
    call(&mut store, instance, "keep", &[null]).unwrap();
    assert_eq!(store.collect(&[]).objects, 0);
    let error = call(&mut store, instance, "throw_ref", &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trap(TrapKind::NullReference));
    // Not an exception at all.
    assert_eq!(
        call(&mut store, instance, "keep", &[Value::Ref(Ref::I31(0))]).unwrap_err().kind(),
        ErrorKind::Usage
    );
}

#[test]
fn caught_values_are_roots() {
    let text = r#"(module
        (type $s (struct (field i32)))
        (import "" "collect" (func $collect))
        (tag $e (param (ref $s) (ref $s)))
        (func $throw (throw $e (struct.new $s (i32.const 40)) (struct.new $s (i32.const 2))))
        (func (export "payload") (result i32)
            (block $l (result (ref $s) (ref $s))
                (try_table (catch $e $l) (call $throw))
                (unreachable))
            (call $collect)
            (struct.get $s 0) (drop) (struct.get $s 0))
        (func (export "exnref") (result i32) (local $x exnref)
            (block $l (result exnref)
                (try_table (catch_all_ref $l) (call $throw))
                (unreachable))
            (call $collect)
            (local.set $x)
            (block $l (result (ref $s) (ref $s))
                (try_table (catch $e $l) (throw_ref (local.get $x)))
                (unreachable))
            (struct.get $s 0) (drop) (struct.get $s 0)))"#;
    let legacy = r#"(module
        (type $s (struct (field i32)))
        (import "" "collect" (func $collect))
        (tag $e (param (ref $s) (ref $s)))
        (func (export "rethrow") (result i32)
            try (result (ref $s) (ref $s))
                try
                    (throw $e (struct.new $s (i32.const 40)) (struct.new $s (i32.const 2)))
                catch_all
                    (call $collect)
                    rethrow 0
                end
                unreachable
            catch $e
            end
            (struct.get $s 0) (drop) (struct.get $s 0)))"#;
    let log = Arc::default();
    let mut store = Store::new(Config::default());
    let collect = collector(&mut store, &log);
    let modern = instance(&mut store, text, &[collect]);
    for name in ["payload", "exnref"] {
        assert_eq!(call(&mut store, modern, name, &[]).unwrap(), [Value::I32(40)]);
    }
    let bytes = wat::parse_str(legacy).unwrap();
    assert_eq!(Module::new(&bytes, &Features::default()).unwrap_err().kind(), ErrorKind::Malformed);
    let module = Module::new(&bytes, &Features { legacy_exceptions: true }).unwrap();
    let legacy = store.instantiate(&module, &[collect]).unwrap();
    assert_eq!(call(&mut store, legacy, "rethrow", &[]).unwrap(), [Value::I32(40)]);
    // The structs alone; with the exception; with the exception of the frame's hidden slot. Slots of frames that are gone keep
    // nothing alive.
    assert_eq!(log.lock().unwrap()[..], [2, 3, 3]);
}

#[test]
fn deep_unwinding_is_linear() {
    let text = r#"(module
        (tag $e (param i32)) (tag $other)
        (func $plain (param i32)
            (if (local.get 0) (then (call $plain (i32.sub (local.get 0) (i32.const 1)))) (else (throw $e (i32.const 9)))))
        (func $guarded (param i32)
            (block $l
                (try_table (catch $other $l)
                    (try_table (catch $other $l)
                        (if (local.get 0)
                            (then (call $guarded (i32.sub (local.get 0) (i32.const 1))))
                            (else (throw $e (i32.const 9))))))))
        (func $again (param i32)
            (block $l (result exnref)
                (try_table (catch_all_ref $l)
                    (if (local.get 0)
                        (then (call $again (i32.sub (local.get 0) (i32.const 1))))
                        (else (throw $e (i32.const 9)))))
                (unreachable))
            (throw_ref))
        (func (export "plain") (result i32)
            (block $l (result i32) (try_table (catch $e $l) (call $plain (i32.const 100000))) (i32.const 0)))
        (func (export "guarded") (result i32)
            (block $l (result i32) (try_table (catch $e $l) (call $guarded (i32.const 100000))) (i32.const 0)))
        (func (export "again") (result i32)
            (block $l (result i32) (try_table (catch $e $l) (call $again (i32.const 100000))) (i32.const 0)))
        (func (export "uncaught") (call $guarded (i32.const 100000))))"#;
    let mut store = Store::new(Config { max_call_depth: 200_000, max_values: 1 << 22, ..Config::default() });
    let instance = instance(&mut store, text, &[]);
    let start = std::time::Instant::now();
    for name in ["plain", "guarded", "again"] {
        assert_eq!(call(&mut store, instance, name, &[]).unwrap(), [Value::I32(9)], "{name}");
    }
    assert_eq!(thrown(call(&mut store, instance, "uncaught", &[])).values, [Value::I32(9)]);
    // Quadratic would be 10^10 steps.
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    assert_eq!(store.stats().allocations, 4);
}

#[test]
fn exceptions_cost_no_fuel_and_exhaustion_is_not_caught() {
    let text = r#"(module
        (import "" "host" (func $host))
        (tag $e)
        (func $throw (throw $e))
        (func (export "caught") (block $l (try_table (catch_all $l) (call $throw))))
        (func $forever (call $forever))
        (func $spin (loop $l (br $l)))
        (func (export "forever") (block $l (try_table (catch_all $l) (call $forever))))
        (func (export "spin") (block $l (try_table (catch_all $l) (call $spin))))
        (func (export "host") (block $l (try_table (catch_all $l) (call $host))))
        (func (export "trap") (block $l (try_table (catch_all $l) (drop (i32.div_u (i32.const 1) (i32.const 0)))))))"#;
    let mut store = Store::new(Config::default());
    let failing = |_: &mut Store, _: &[Value]| Err(HostError::Message("no".to_owned()));
    let failing = store.alloc_host_func(FuncType::default(), Box::new(failing)).unwrap();
    let instance = instance(&mut store, text, &[Extern::Func(failing)]);
    store.set_fuel(Some(10));
    assert_eq!(call(&mut store, instance, "caught", &[]).unwrap(), []);
    assert_eq!(store.fuel(), Some(8));
    let mut kind = |name: &str, fuel| {
        store.set_fuel(fuel);
        call(&mut store, instance, name, &[]).unwrap_err().kind()
    };
    assert_eq!(kind("spin", Some(1000)), ErrorKind::Exhausted(Resource::Fuel));
    assert_eq!(kind("forever", None), ErrorKind::Exhausted(Resource::CallStack));
    assert_eq!(kind("host", None), ErrorKind::Host);
    assert_eq!(kind("trap", None), ErrorKind::Trap(TrapKind::IntegerDivideByZero));
}

#[test]
fn tags_have_identity() {
    let owner = r#"(module (tag (export "e")) (func (export "throw") (throw 0)))"#;
    let user = r#"(module
        (import "" "a" (tag $a)) (import "" "b" (tag $b)) (import "" "throw" (func $throw))
        (export "a again" (tag $a))
        (func (export "which") (result i32)
            (block $hb (block $ha (try_table (catch $b $hb) (catch $a $ha) (call $throw))) (return (i32.const 1)))
            (i32.const 2)))"#;
    let mut store = Store::new(Config::default());
    let [one, two] = [(); 2].map(|()| instance(&mut store, owner, &[]));
    let get = |store: &Store, instance, name| store.export(instance, name).unwrap();
    let (a, b, throw) = (get(&store, one, "e"), get(&store, two, "e"), get(&store, two, "throw"));
    assert_ne!(a, b);
    let first = instance(&mut store, user, &[a, b, throw]);
    assert_eq!(call(&mut store, first, "which", &[]).unwrap(), [Value::I32(2)]);
    let second = instance(&mut store, user, &[b, a, throw]);
    assert_eq!(call(&mut store, second, "which", &[]).unwrap(), [Value::I32(1)]);
    assert_eq!(get(&store, second, "a again"), b);
    // The start function throws.
    let starts = decode(r#"(module (import "" "throw" (func $throw)) (start $throw))"#);
    let error = store.instantiate(&starts, &[throw]).unwrap_err();
    assert_eq!(Extern::Tag(error.exception().unwrap().tag), b);
}

/// Clauses to labels of every kind, with values below and above.
#[test]
fn catches_reach_every_kind_of_label() {
    let text = r#"(module
        (tag $e (param i32 i64))
        (func $throw (param i32 i64) (throw $e (local.get 0) (local.get 1)))
        (func (export "function") (param i32) (result i32 i64)
            (i32.const 1) (i32.const 2)
            (try_table (catch $e 0) (call $throw (local.get 0) (i64.const 3)))
            (unreachable))
        (func (export "back") (param $n i32) (result i32 i64)
            (local.get $n) (i64.const 0)
            (loop $l (param i32 i64) (result i32 i64)
                (if (param i32 i64) (result i32 i64) (i32.eqz (local.get $n))
                    (then)
                    (else
                        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                        (try_table (param i32 i64) (result i32 i64) (catch $e $l)
                            (i64.add (i64.const 10)) (throw $e)))))))"#;
    let mut store = Store::new(Config::default());
    let instance = instance(&mut store, text, &[]);
    let mut run = |name, n| call(&mut store, instance, name, &[Value::I32(n)]).unwrap();
    assert_eq!(run("function", 8), [Value::I32(8), Value::I64(3)]);
    assert_eq!(run("back", 4), [Value::I32(4), Value::I64(40)]);
    assert_eq!(run("back", 0), [Value::I32(0), Value::I64(0)]);
}

#[test]
fn legacy_tries() {
    let text = r#"(module
        (tag $e (param i32)) (tag $f)
        (func $throw (param i32) (throw $e (local.get 0)))
        ;; A catch's operands lie above its exception; its results move down to the block's place.
        (func (export "results") (param i32) (result i32 i32 i32)
            i32.const 1
            try (param i32) (result i32 i32)
                drop
                (call $throw (local.get 0))
                (i32.const 2) (i32.const 3)
            catch $f
                (i32.const 4) (i32.const 5)
            catch $e
                (i32.mul (i32.const 2)) (i32.const 6)
            end
            i32.const 7)
        (func (export "branch") (param i32) (result i32 i32)
            i32.const 1
            try (result i32)
                (call $throw (local.get 0)) (i32.const 0)
            catch_all
                (i32.const 10) (i32.const 11)
                (br_if 0 (local.get 0))
                drop
            end)
        ;; The first clause that fits, not one of an inner catch.
        (func (export "nested") (param i32) (result i32)
            try (result i32)
                (call $throw (local.get 0)) (i32.const 0)
            catch $e
                try (param i32) (result i32)
                    drop
                    (throw $f)
                catch_all
                    try (result i32)
                        rethrow 2
                    catch $e
                        (i32.add (i32.const 100))
                    end
                end
            catch_all
                (i32.const -1)
            end)
        (func (export "dead") (result i32)
            try (result i32)
                unreachable
                try catch $e drop end
                try delegate 0
            catch $e
            catch_all
                try (result i32) (return (i32.const 5)) delegate 0
            end)
        ;; Past a try_table whose clause would fit, to the one around.
        (func (export "delegate") (param i32) (result i32)
            (block $out (result i32)
                (try_table (result i32) (catch $e $out)
                    (block $skipped (result i32)
                        (block $in (result i32)
                            (try_table (result i32) (catch $e $in)
                                try (result i32)
                                    (call $throw (local.get 0)) (i32.const 0)
                                delegate $skipped)
                            (return))
                        (i32.add (i32.const 1000))
                        (return)))
                (return))
            (i32.add (i32.const 1)))
        (func (export "delegate to try_table") (param i32) (result i32)
            (block $out (result i32)
                (try_table $t (result i32) (catch $e $out)
                    (block (result i32)
                        try (result i32)
                            (call $throw (local.get 0)) (i32.const 0)
                        delegate $t))
                (return))
            (i32.add (i32.const 2)))
        (func (export "delegate to the caller") (param i32) (result i32)
            try (result i32)
                try (result i32)
                    (call $throw (local.get 0)) (i32.const 0)
                delegate 1
            catch_all
                (i32.const -2)
            end))"#;
    let mut store = Store::new(Config::default());
    let features = Features { legacy_exceptions: true };
    let module = Module::new(&wat::parse_str(text).unwrap(), &features).unwrap();
    let instance = store.instantiate(&module, &[]).unwrap();
    let mut run = |name, args: &[i32]| -> Vec<i32> {
        let args: Vec<_> = args.iter().map(|&arg| Value::I32(arg)).collect();
        let values = call(&mut store, instance, name, &args).unwrap();
        values.iter().map(|value| if let Value::I32(value) = value { *value } else { panic!() }).collect()
    };
    assert_eq!(run("results", &[20]), [40, 6, 7]);
    assert_eq!(run("branch", &[1]), [1, 11]);
    assert_eq!(run("branch", &[0]), [1, 10]);
    assert_eq!(run("nested", &[3]), [103]);
    assert_eq!(run("delegate", &[3]), [4]);
    assert_eq!(run("delegate to try_table", &[3]), [5]);
    let exception = thrown(call(&mut store, instance, "delegate to the caller", &[Value::I32(3)]));
    assert_eq!(exception.values, [Value::I32(3)]);
    let error = call(&mut store, instance, "dead", &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trap(TrapKind::Unreachable));
}

/// Hand-made binaries: a body's bytes after its locals.
fn body(bytes: &[u8]) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0".to_vec();
    let leb = |mut n: usize| {
        let mut out = Vec::new();
        while n >= 0x80 {
            out.push(n as u8 | 0x80);
            n >>= 7;
        }
        out.push(n as u8);
        out
    };
    let mut code = vec![0];
    code.extend(bytes);
    let mut section = vec![1];
    section.extend(leb(code.len()));
    section.extend(code);
    module.push(10);
    module.extend(leb(section.len()));
    module.extend(section);
    module
}

#[test]
fn clauses_out_of_place_are_malformed() {
    let features = Features { legacy_exceptions: true };
    let kind = |bytes: &[u8]| Module::new(&body(bytes), &features).map(drop).map_err(|e| e.kind());
    assert_eq!(kind(&[0x06, 0x40, 0x19, 0x0b, 0x0b]), Ok(()));
    assert_eq!(kind(&[0x06, 0x40, 0x18, 0x00, 0x0b]), Ok(()));
    for bytes in [
        &[0x19, 0x0b][..],                                             // catch_all outside
        &[0x18, 0x00, 0x0b],                                           // delegate outside
        &[0x02, 0x40, 0x19, 0x0b, 0x0b],                               // catch_all in a block
        &[0x06, 0x40, 0x19, 0x19, 0x0b, 0x0b],                         // two of them
        &[0x06, 0x40, 0x19, 0x18, 0x00, 0x0b],                         // delegate after catch_all
        &[0x06, 0x40, 0x05, 0x0b, 0x0b],                               // else
        &[0x1f, 0x40, 0x01, 0x04, 0x00, 0x0b, 0x0b],                   // unknown kind of clause
        &[0x1f, 0x40, 0x01, 0x00, 0x00, 0x0b],                         // too short
        &[0x1f, 0x40, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x0b, 0x0b], // huge count
    ] {
        assert_eq!(kind(bytes), Err(ErrorKind::Malformed), "{bytes:x?}");
    }
}

#[test]
fn very_deep_nesting_needs_no_rust_stack() {
    let n = 200_000;
    let mut bytes = [0x06, 0x40].repeat(n);
    bytes.extend([0x18, 0x00].repeat(n));
    bytes.push(0x0b);
    let features = Features { legacy_exceptions: true };
    let module = Module::new(&body(&bytes), &features).unwrap();
    let mut bytes = [0x1f, 0x40, 0x01, 0x02, 0x00].repeat(n);
    bytes.extend([0x0b].repeat(n + 1));
    let other = Module::new(&body(&bytes), &Features::default()).unwrap();
    let mut store = Store::new(Config::default());
    store.instantiate(&module, &[]).unwrap();
    store.instantiate(&other, &[]).unwrap();
}
