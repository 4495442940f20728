//! Fibers: the order of turns, roots, checks that are made again, host functions that yield, call and resume, epochs, ends and misuse.
//! That a call in turns is the same call is tested in `fiber_points.rs`.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use assay_interp::*;

fn module(text: &str) -> Module {
    Module::new(&wat::parse_str(text).unwrap(), &Features::default()).unwrap()
}

fn instance(store: &mut Store, text: &str, imports: &[Extern]) -> InstanceAddr {
    store.instantiate(&module(text), imports).unwrap()
}

fn func(store: &Store, instance: InstanceAddr, name: &str) -> FuncAddr {
    match store.export(instance, name) {
        Some(Extern::Func(func)) => func,
        other => panic!("{name}: {other:?}"),
    }
}

fn start(store: &mut Store, instance: InstanceAddr, name: &str, args: &[Value]) -> Fiber {
    let func = func(store, instance, name);
    store.start_fiber(func, args).unwrap()
}

fn call(store: &mut Store, instance: InstanceAddr, name: &str, args: &[Value]) -> Result<Vec<Value>> {
    let func = func(store, instance, name);
    store.invoke(func, args)
}

fn global(store: &Store, instance: InstanceAddr, name: &str) -> Value {
    match store.export(instance, name) {
        Some(Extern::Global(global)) => store.global_get(global).unwrap(),
        other => panic!("{name}: {other:?}"),
    }
}

/// A host function that may be entered again.
fn host(
    store: &mut Store,
    ty: FuncType,
    func: impl Fn(&mut Store, &[Value]) -> Result<Vec<Value>, HostError> + 'static,
) -> Extern {
    Extern::Func(store.alloc_shared_host_func(ty, Arc::new(func)).unwrap())
}

const FREE: Slice = Slice { fuel: None, epochs: None };

fn fuel(fuel: u64) -> Slice {
    Slice { fuel: Some(fuel), epochs: None }
}

fn epochs(epochs: u64) -> Slice {
    Slice { fuel: None, epochs: Some(epochs) }
}

fn yielded(turn: Result<Turn>) -> Yield {
    match turn.unwrap() {
        Turn::Yielded(why) => why,
        Turn::Done(result) => panic!("over: {result:?}"),
    }
}

fn done(turn: Result<Turn>) -> Result<Vec<Value>> {
    match turn.unwrap() {
        Turn::Done(result) => result,
        Turn::Yielded(why) => panic!("yielded: {why:?}"),
    }
}

fn failure(turn: Result<Turn>) -> ErrorKind {
    done(turn).unwrap_err().kind()
}

fn any() -> ValType {
    ValType::Ref(RefType::nullable(HeapType::Any))
}

fn funcref() -> ValType {
    ValType::Ref(RefType::nullable(HeapType::Func))
}

#[test]
fn two_fibers_take_turns_in_an_exact_order() {
    let text = r#"(module
        (type $order (array (mut i32)))
        (type $s (struct (field (mut i32))))
        (global $order (export "order") (ref $order) (array.new_default $order (i32.const 10)))
        (global $shared (ref $s) (struct.new $s (i32.const 0)))
        (func (export "worker") (param $id i32) (param $steps i32)
            (loop $l
                (array.set $order (global.get $order) (struct.get $s 0 (global.get $shared)) (local.get $id))
                (struct.set $s 0 (global.get $shared)
                    (i32.add (struct.get $s 0 (global.get $shared)) (i32.const 1)))
                (br_if $l (local.tee $steps (i32.sub (local.get $steps) (i32.const 1)))))))"#;
    let mut store = Store::new(Config::default());
    let instance = instance(&mut store, text, &[]);
    let one = start(&mut store, instance, "worker", &[Value::I32(1), Value::I32(5)]);
    let two = start(&mut store, instance, "worker", &[Value::I32(2), Value::I32(5)]);
    assert_eq!(store.suspended_fibers(), 2);
    // The entry is the first fuel point of each.
    assert_eq!(yielded(store.resume(one, fuel(2))), Yield::Fuel);
    assert_eq!(yielded(store.resume(two, fuel(3))), Yield::Fuel);
    assert_eq!(yielded(store.resume(one, fuel(2))), Yield::Fuel);
    assert_eq!(done(store.resume(two, fuel(3))).unwrap(), []);
    assert_eq!(done(store.resume(one, fuel(2))).unwrap(), []);
    assert_eq!(store.suspended_fibers(), 0);
    let Value::Ref(Ref::Array(order)) = global(&store, instance, "order") else { panic!() };
    let order = store.object_values(order).unwrap();
    assert_eq!(order, [1, 2, 2, 1, 1, 2, 2, 2, 1, 1].map(Value::I32));
}

#[test]
fn an_operand_of_a_suspended_fiber_is_a_root() {
    let text = r#"(module
        (type $s (struct (field i32)))
        (func $nothing)
        (func $get (param (ref $s)) (result i32) (struct.get $s 0 (local.get 0)))
        (func (export "operand") (result i32)
            (struct.new $s (i32.const 7)) (call $nothing) (struct.get $s 0))
        (func (export "argument") (result i32) (return_call $get (struct.new $s (i32.const 7)))))"#;
    for name in ["operand", "argument"] {
        let mut store = Store::new(Config::default());
        let instance = instance(&mut store, text, &[]);
        let fiber = start(&mut store, instance, name, &[]);
        assert_eq!(yielded(store.resume(fiber, fuel(1))), Yield::Fuel);
        let one = LiveSet { objects: 1, bytes: 16 };
        assert_eq!((store.reachable(&[]), store.survey()), (one, 1), "{name}");
        assert_eq!(store.collect(&[]), one, "{name}");
        // Not until it is over is the object garbage.
        assert_eq!(done(store.resume(fiber, FREE)).unwrap(), [Value::I32(7)], "{name}");
        assert_eq!(store.stats().survey_read, 1, "{name}");
        assert_eq!(store.collect(&[]).objects, 0, "{name}");
    }
}

#[test]
fn arguments_are_roots_before_the_first_turn() {
    let text = r#"(module
        (type $s (struct (field i32)))
        (func (export "make") (result anyref) (struct.new $s (i32.const 7)))
        (func (export "get") (param anyref) (result i32)
            (struct.get $s 0 (ref.cast (ref $s) (local.get 0)))))"#;
    let mut store = Store::new(Config::default());
    let instance = instance(&mut store, text, &[]);
    let made = call(&mut store, instance, "make", &[]).unwrap();
    let fiber = start(&mut store, instance, "get", &made);
    assert_eq!(store.collect(&[]).objects, 1);
    assert_eq!(done(store.resume(fiber, FREE)).unwrap(), [Value::I32(7)]);
}

#[test]
fn checks_are_made_again_when_an_operation_starts_over() {
    let text = r#"(module
        (type $v (func (result i32)))
        (type $a (array (mut funcref)))
        (table $t 4 8 funcref) (memory 1 2)
        (elem $e func $f $f $f) (data $d "abc")
        (elem (table $t) (i32.const 0) func $f)
        (func $f (type $v) (i32.const 1))
        (func (export "init") (result i32) (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 3)) (i32.const 0))
        (func (export "array") (result i32) (array.len (array.new_elem $a $e (i32.const 0) (i32.const 2))))
        (func (export "data") (result i32) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 3)) (i32.const 0))
        (func (export "indirect") (result i32) (call_indirect (type $v) (i32.const 0)))
        (func (export "tail") (result i32) (return_call_indirect (type $v) (i32.const 0)))
        (func (export "memory.grow") (result i32) (memory.grow (i32.const 1)))
        (func (export "table.grow") (result i32) (table.grow $t (ref.null func) (i32.const 4)))
        (func (export "grow") (drop (memory.grow (i32.const 1))) (drop (table.grow $t (ref.null func) (i32.const 4))))
        (func (export "drop") (elem.drop $e) (data.drop $d))
        (func (export "null") (table.set $t (i32.const 0) (ref.null func))))"#;
    let table = ErrorKind::Trap(TrapKind::TableOutOfBounds);
    let rows = [
        ("init", "drop", Err(table)),
        ("array", "drop", Err(table)),
        ("data", "drop", Err(ErrorKind::Trap(TrapKind::MemoryOutOfBounds))),
        ("indirect", "null", Err(ErrorKind::Trap(TrapKind::UninitializedElement))),
        ("tail", "null", Err(ErrorKind::Trap(TrapKind::UninitializedElement))),
        ("memory.grow", "grow", Ok(-1)),
        ("table.grow", "grow", Ok(-1)),
    ];
    for (name, other, expected) in rows {
        let mut store = Store::new(Config::default());
        let instance = instance(&mut store, text, &[]);
        let fiber = start(&mut store, instance, name, &[]);
        assert_eq!(yielded(store.resume(fiber, fuel(1))), Yield::Fuel, "{name}");
        let sibling = start(&mut store, instance, other, &[]);
        assert_eq!(done(store.resume(sibling, FREE)).unwrap(), [], "{name}");
        store.set_fuel(Some(100));
        let result = done(store.resume(fiber, fuel(1))).map_err(|error| error.kind());
        assert_eq!(result, expected.map(|value| vec![Value::I32(value)]), "{name}");
        assert_eq!(store.fuel(), Some(100), "{name}");
    }
}

#[test]
fn handlers_and_exceptions_outlast_suspension() {
    let text = r#"(module
        (type $s (struct (field i32)))
        (tag $e (export "e") (param (ref $s)))
        (func $nothing)
        (func $throw (param i32) (call $nothing) (throw $e (struct.new $s (local.get 0))))
        (func (export "caught") (result i32) (local $x exnref) (local $n i32)
            (block $h (result (ref $s) exnref)
                (try_table (catch_ref $e $h)
                    (loop (call $nothing) (call $throw (i32.const 7))))
                (unreachable))
            ;; The exception itself is a local's now, the payload an operand.
            (local.set $x) (call $nothing)
            (block $again (result (ref $s))
                (try_table (catch $e $again) (throw_ref (local.get $x)))
                (unreachable))
            (call $nothing)
            (struct.get $s 0) (local.set $n) (struct.get $s 0) (i32.add (local.get $n)))
        (func (export "uncaught") (call $throw (i32.const 8))))"#;
    let mut store = Store::new(Config::default());
    let instance = instance(&mut store, text, &[]);
    let fiber = start(&mut store, instance, "caught", &[]);
    // Up to the header, `$nothing`, `$throw`, its `$nothing`, and the two after the handlers.
    for live in [0, 0, 0, 0, 2, 2] {
        assert_eq!(yielded(store.resume(fiber, fuel(1))), Yield::Fuel);
        assert_eq!(store.collect(&[]).objects, live);
    }
    assert_eq!(done(store.resume(fiber, fuel(1))).unwrap(), [Value::I32(14)]);
    let fiber = start(&mut store, instance, "uncaught", &[]);
    assert_eq!(yielded(store.resume(fiber, fuel(2))), Yield::Fuel);
    let error = done(store.resume(fiber, FREE)).unwrap_err();
    let exception = error.exception().unwrap();
    assert_eq!(Some(Extern::Tag(exception.tag)), store.export(instance, "e"));
    assert_eq!(store.resume(fiber, FREE).unwrap_err().kind(), ErrorKind::Usage);
}

/// `(func (param anyref i32) (result anyref i32))`: yields its arguments, the second one more.
fn yielder(store: &mut Store) -> Extern {
    let ty = FuncType::new([any(), ValType::I32], [any(), ValType::I32]);
    host(store, ty, |_, args| match *args {
        [reference, Value::I32(number)] => Err(HostError::Yield(vec![reference, Value::I32(number + 1)])),
        _ => Err(HostError::Yield(Vec::new())),
    })
}

const YIELDING: &str = r#"(module
    (type $s (struct (field i32)))
    (import "" "yield" (func $yield (param anyref i32) (result anyref i32)))
    (func $sum (export "sum") (param anyref i32) (result i32)
        (i32.add (struct.get $s 0 (ref.cast (ref $s) (local.get 0))) (local.get 1)))
    (func (export "call") (result i32)
        (i32.const 100) (call $yield (struct.new $s (i32.const 10)) (i32.const 1)) (call $sum) (i32.add))
    (func (export "tail") (result anyref i32) (return_call $yield (struct.new $s (i32.const 10)) (i32.const 1)))
    (func (export "make") (result anyref) (struct.new $s (i32.const 10))))"#;

#[test]
fn a_host_function_yields_and_its_values_are_roots() {
    let mut store = Store::new(Config::default());
    let yielder = yielder(&mut store);
    let instance = instance(&mut store, YIELDING, &[yielder]);
    let fiber = start(&mut store, instance, "call", &[]);
    assert_eq!(yielded(store.resume(fiber, FREE)), Yield::Host);
    assert_eq!(store.collect(&[]).objects, 1);
    assert_eq!(done(store.resume(fiber, FREE)).unwrap(), [Value::I32(112)]);
    // Where the frame is gone, and where there never was one.
    let made = call(&mut store, instance, "make", &[]).unwrap()[0];
    let Extern::Func(root) = yielder else { panic!() };
    let tail = start(&mut store, instance, "tail", &[]);
    let root = store.start_fiber(root, &[made, Value::I32(1)]).unwrap();
    for fiber in [tail, root] {
        assert_eq!(yielded(store.resume(fiber, FREE)), Yield::Host);
        assert!(store.collect(&[]).objects >= 1);
        let results = done(store.resume(fiber, fuel(1))).unwrap();
        let [reference, Value::I32(2)] = results[..] else { panic!("{results:?}") };
        assert_eq!(call(&mut store, instance, "sum", &[reference, Value::I32(2)]).unwrap(), [Value::I32(12)]);
    }
    assert_eq!((store.collect(&[]).objects, store.suspended_fibers()), (0, 0));
    // Of a function that has more results than parameters.
    let make = func(&store, instance, "make");
    let fresh = host(&mut store, FuncType::new([], [ValType::I64, any()]), move |store, _| {
        let made = store.invoke(make, &[])?[0];
        Err(HostError::Yield(vec![Value::I64(1), made]))
    });
    let Extern::Func(fresh) = fresh else { panic!() };
    let fiber = store.start_fiber(fresh, &[]).unwrap();
    assert_eq!(yielded(store.resume(fiber, FREE)), Yield::Host);
    assert_eq!(store.collect(&[]).objects, 1);
    assert_eq!(done(store.resume(fiber, FREE)).unwrap().len(), 2);
}

#[test]
fn a_yield_outside_of_fibers_is_a_return() {
    let mut store = Store::new(Config::default());
    let yielder = yielder(&mut store);
    let instance = instance(&mut store, YIELDING, &[yielder]);
    assert_eq!(call(&mut store, instance, "call", &[]).unwrap(), [Value::I32(112)]);
    // A nested call on a fiber is outside of its turn, whose slice and deadline it neither heeds nor uses.
    let f = func(&store, instance, "call");
    let nest = host(&mut store, FuncType::new([], [ValType::I32]), move |store, _| {
        store.advance_epoch();
        Ok(store.invoke(f, &[])?)
    });
    let Extern::Func(nest) = nest else { panic!() };
    let text = r#"(module
        (import "" "nest" (func $nest (result i32))) (func $nothing)
        (func (export "run") (result i32) (call $nest) (call $nothing)))"#;
    let outer = self::instance(&mut store, text, &[Extern::Func(nest)]);
    store.set_fuel(Some(100));
    let fiber = start(&mut store, outer, "run", &[]);
    // Two entries of its own, two in the nested call.
    assert_eq!(done(store.resume(fiber, fuel(2))).unwrap(), [Value::I32(112)]);
    assert_eq!(store.fuel(), Some(96));
    let fiber = start(&mut store, outer, "run", &[]);
    assert_eq!(yielded(store.resume(fiber, epochs(1))), Yield::Epoch);
    assert_eq!((store.fuel(), store.epoch()), (Some(93), 2));
    assert_eq!(done(store.resume(fiber, epochs(1))).unwrap(), [Value::I32(112)]);
}

#[test]
fn yielded_values_are_of_the_result_types() {
    let mut store = Store::new(Config::default());
    for values in [vec![], vec![Value::I64(1)], vec![Value::I32(1), Value::I32(2)]] {
        let ty = FuncType::new([], [ValType::I32]);
        let Extern::Func(f) = host(&mut store, ty, move |_, _| Err(HostError::Yield(values.clone()))) else {
            panic!()
        };
        let fiber = store.start_fiber(f, &[]).unwrap();
        assert_eq!(failure(store.resume(fiber, FREE)), ErrorKind::Host);
        assert_eq!(store.invoke(f, &[]).unwrap_err().kind(), ErrorKind::Host);
    }
}

/// `(func (param i32 funcref) (result i32))` that ends by calling the function with the number and, if that takes it, itself.
fn caller(store: &mut Store, log: Arc<Mutex<u32>>) -> Extern {
    let ty = FuncType::new([ValType::I32, funcref()], [ValType::I32]);
    host(store, ty, move |store, args| {
        *log.lock().unwrap() += 1;
        let [number, Value::Ref(Ref::Func(func))] = *args else {
            return Err(HostError::Message("wrong call".to_owned()));
        };
        let params = store.func_type(func).unwrap().params.len();
        Err(HostError::Call { func, args: [number, args[1]][..params].to_vec() })
    })
}

const CALLING: &str = r#"(module
    (type $s (struct (field i32)))
    (import "" "call" (func $call (param i32 funcref) (result i32)))
    (tag $e (param i32))
    (elem declare func $deep $throw $wide $call $other $nullary)
    (func $deep (export "deep") (param i32) (result i32)
        (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1))
            (else (i32.add (i32.const 1)
                (call $call (i32.sub (local.get 0) (i32.const 1)) (ref.func $deep))))))
    (func $throw (param i32) (result i32) (throw $e (local.get 0)))
    (func $wide (param i32) (result i64) (i64.const 1))
    (func $other (param i64) (result i32) (i32.const 1))
    (func $nullary (result i32) (i32.const 33))
    (func (export "run") (param i32) (result i32)
        (struct.new $s (i32.const 100))
        (local.set 0 (call $call (local.get 0) (ref.func $deep)))
        (struct.get $s 0) (i32.add (local.get 0)))
    (func (export "tail") (param i32) (result i32) (return_call $call (local.get 0) (ref.func $deep)))
    (func (export "catch") (param i32) (result i32)
        (block $h (result i32) (try_table (catch $e $h) (drop (call $call (local.get 0) (ref.func $throw)))) (unreachable)))
    (func (export "nullary") (param i32) (result i32) (call $call (local.get 0) (ref.func $nullary)))
    (func (export "wide") (param i32) (result i32) (call $call (local.get 0) (ref.func $wide)))
    (func (export "other") (param i32) (result i32) (call $call (local.get 0) (ref.func $other)))
    (func (export "self") (param i32) (result i32) (call $call (local.get 0) (ref.func $call))))"#;

#[test]
fn a_host_function_ends_in_a_call_whose_frames_suspend() {
    let mut store = Store::new(Config { max_call_depth: 40, ..Config::default() });
    let log = Arc::new(Mutex::new(0));
    let caller = caller(&mut store, log.clone());
    let instance = instance(&mut store, CALLING, &[caller]);
    // The results, in turns and at once, are the same; each host function has run once.
    let rows = [("run", 3, 104, 5, 4), ("tail", 3, 4, 5, 4), ("catch", 9, 9, 2, 1), ("nullary", 1, 33, 2, 1)];
    for (name, argument, result, entries, hosts) in rows {
        *log.lock().unwrap() = 0;
        assert_eq!(
            call(&mut store, instance, name, &[Value::I32(argument)]).unwrap(),
            [Value::I32(result)],
            "{name}"
        );
        let fiber = start(&mut store, instance, name, &[Value::I32(argument)]);
        for _ in 1..entries {
            assert_eq!(yielded(store.resume(fiber, fuel(1))), Yield::Fuel, "{name}");
            store.collect(&[]);
        }
        assert_eq!(done(store.resume(fiber, fuel(1))).unwrap(), [Value::I32(result)], "{name}");
        assert_eq!(*log.lock().unwrap(), 2 * hosts, "{name}");
    }
    for (name, kind) in [
        ("wide", ErrorKind::Host),
        ("other", ErrorKind::Host),
        // A host function that ends in itself for ever.
        ("self", ErrorKind::Exhausted(Resource::CallStack)),
    ] {
        assert_eq!(call(&mut store, instance, name, &[Value::I32(1)]).unwrap_err().kind(), kind, "{name}");
        let fiber = start(&mut store, instance, name, &[Value::I32(1)]);
        *log.lock().unwrap() = 0;
        assert_eq!(failure(store.resume(fiber, FREE)), kind, "{name}");
        let hosts = if name == "self" { store.config().max_host_depth } else { 1 };
        assert_eq!(*log.lock().unwrap(), hosts, "{name}");
    }
    // No Rust recursion: deeper than calls of hosts may be, and only wasm's own depth ends it.
    assert!(store.config().max_call_depth < store.config().max_host_depth);
    let deep = Config { max_host_depth: 2, ..Config::default() };
    let mut store = Store::new(deep);
    let caller = self::caller(&mut store, log);
    let instance = self::instance(&mut store, CALLING, &[caller]);
    assert_eq!(call(&mut store, instance, "deep", &[Value::I32(5000)]).unwrap(), [Value::I32(5001)]);
    let exhausted = call(&mut store, instance, "deep", &[Value::I32(20_000)]).unwrap_err();
    assert_eq!(exhausted.kind(), ErrorKind::Exhausted(Resource::CallStack));
}

#[test]
fn a_call_that_a_host_function_ends_in_is_pending_at_a_deadline() {
    let text = r#"(module
        (type $s (struct (field i32)))
        (import "" "host" (func $host (param anyref funcref) (result i32)))
        (elem declare func $get)
        (func $get (param anyref) (result i32) (struct.get $s 0 (ref.cast (ref $s) (local.get 0))))
        (func (export "run") (result i32)
            (i32.add (i32.const 1) (call $host (struct.new $s (i32.const 6)) (ref.func $get))))
        (func (export "tail") (result i32)
            (return_call $host (struct.new $s (i32.const 7)) (ref.func $get))))"#;
    let mut store = Store::new(Config::default());
    let calls = Arc::new(Mutex::new(0));
    let log = calls.clone();
    let host = host(&mut store, FuncType::new([any(), funcref()], [ValType::I32]), move |store, args| {
        *log.lock().unwrap() += 1;
        store.advance_epoch();
        let [argument, Value::Ref(Ref::Func(func))] = *args else { return Ok(Vec::new()) };
        Err(HostError::Call { func, args: vec![argument] })
    });
    let instance = instance(&mut store, text, &[host]);
    for (i, name) in ["run", "tail"].into_iter().enumerate() {
        let fiber = start(&mut store, instance, name, &[]);
        assert_eq!(yielded(store.resume(fiber, epochs(1))), Yield::Epoch);
        assert_eq!(*calls.lock().unwrap(), i + 1);
        // The argument is held by the call alone.
        assert_eq!(store.collect(&[]).objects, 1);
        assert_eq!(done(store.resume(fiber, epochs(1))).unwrap(), [Value::I32(7)], "{name}");
        assert_eq!(*calls.lock().unwrap(), i + 1);
        assert_eq!(store.collect(&[]).objects, 0);
    }
}

/// What the host functions of the nesting test know.
#[derive(Default)]
struct Nest {
    inner: Option<Fiber>,
    outer: Option<Fiber>,
    log: Vec<String>,
}

#[test]
fn a_host_function_resumes_another_fiber() {
    let text = r#"(module
        (type $s (struct (field i32)))
        (import "" "resume" (func $resume (result i32)))
        (import "" "look" (func $look))
        (func $nothing)
        (func (export "outer") (result i32)
            (struct.new $s (i32.const 7))
            (loop $l (br_if $l (call $resume)))
            (call $nothing)
            (struct.get $s 0))
        (func (export "inner")
            (local (ref null $s)) (local.set 0 (struct.new $s (i32.const 1)))
            (call $look) (call $nothing) (call $nothing) (call $nothing)
            (drop (struct.get $s 0 (local.get 0)))))"#;
    let mut store = Store::new(Config::default());
    let nest = Arc::new(Mutex::new(Nest::default()));
    let known = nest.clone();
    let resume = host(&mut store, FuncType::new([], [ValType::I32]), move |store, _| {
        let inner = known.lock().unwrap().inner.unwrap();
        let turn = store.resume(inner, fuel(2))?;
        known.lock().unwrap().log.push(format!("{turn:?} with {:?}", store.fuel()));
        Ok(vec![Value::I32(i32::from(matches!(turn, Turn::Yielded(_))))])
    });
    let known = nest.clone();
    let look = host(&mut store, FuncType::default(), move |store, _| {
        let (inner, outer) = {
            let nest = known.lock().unwrap();
            (nest.inner.unwrap(), nest.outer.unwrap())
        };
        for fiber in [inner, outer] {
            // Both run.
            assert_eq!(store.resume(fiber, FREE).unwrap_err().kind(), ErrorKind::Usage);
            assert_eq!(store.cancel(fiber).unwrap_err().kind(), ErrorKind::Usage);
        }
        assert_eq!(store.suspended_fibers(), 0);
        assert_eq!(store.survey(), 2);
        let live = store.collect(&[]).objects;
        known.lock().unwrap().log.push(format!("{live} live"));
        Ok(Vec::new())
    });
    let instance = instance(&mut store, text, &[resume, look]);
    store.set_fuel(Some(100));
    let inner = start(&mut store, instance, "inner", &[]);
    let outer = start(&mut store, instance, "outer", &[]);
    (nest.lock().unwrap().inner, nest.lock().unwrap().outer) = (Some(inner), Some(outer));
    // Entry and two headers, which the inner fiber's four entries do not count among.
    assert_eq!(yielded(store.resume(outer, fuel(3))), Yield::Fuel);
    let log = ["2 live", "Yielded(Fuel) with Some(96)", "Done(Ok([])) with Some(93)"];
    assert_eq!(nest.lock().unwrap().log, log);
    assert_eq!(store.fuel(), Some(93));
    assert_eq!(done(store.resume(outer, fuel(1))).unwrap(), [Value::I32(7)]);
    assert_eq!(store.fuel(), Some(92));
}

#[test]
fn endless_nesting_of_turns_is_exhaustion() {
    let mut store = Store::new(Config::default());
    let depth = Arc::new(Mutex::new((0, None)));
    let known = depth.clone();
    let nest = host(&mut store, FuncType::default(), move |store, _| {
        let func = {
            let mut known = known.lock().unwrap();
            known.0 += 1;
            known.1.unwrap()
        };
        let fiber = store.start_fiber(func, &[])?;
        match store.resume(fiber, FREE)? {
            Turn::Done(result) => Ok(result?),
            Turn::Yielded(_) => Ok(Vec::new()),
        }
    });
    let Extern::Func(nest) = nest else { panic!() };
    depth.lock().unwrap().1 = Some(nest);
    for round in 1..=2 {
        let fiber = store.start_fiber(nest, &[]).unwrap();
        assert_eq!(failure(store.resume(fiber, FREE)), ErrorKind::Exhausted(Resource::CallStack));
        assert_eq!(depth.lock().unwrap().0, round * store.config().max_host_depth);
        // The innermost was refused its turn, which does not end it.
        assert_eq!(store.suspended_fibers(), round as usize);
    }
}

#[test]
fn a_cancelled_fiber_holds_nothing_and_has_done_what_it_did() {
    let text = r#"(module
        (type $s (struct (field i32)))
        (memory (export "memory") 1) (global $n (export "n") (mut i32) (i32.const 0))
        (func (export "run")
            (local (ref null $s)) (local.set 0 (struct.new $s (i32.const 1)))
            (loop $l
                (global.set $n (i32.add (global.get $n) (i32.const 1)))
                (memory.fill (i32.const 0) (i32.const 7) (i32.const 64))
                (br $l))))"#;
    let mut store = Store::new(Config::default());
    let instance = instance(&mut store, text, &[]);
    let Some(Extern::Memory(memory)) = store.export(instance, "memory") else { panic!() };
    store.set_fuel(Some(50));
    let fiber = start(&mut store, instance, "run", &[]);
    assert_eq!(yielded(store.resume(fiber, fuel(2))), Yield::Fuel);
    assert_eq!(store.collect(&[]).objects, 1);
    store.cancel(fiber).unwrap();
    assert_eq!((store.collect(&[]).objects, store.suspended_fibers(), store.fuel()), (0, 0, Some(48)));
    assert_eq!((global(&store, instance, "n"), store.memory(memory).unwrap()[0]), (Value::I32(1), 0));
    for error in [store.cancel(fiber).unwrap_err(), store.resume(fiber, FREE).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Usage);
    }
    // One that had no turn.
    let fiber = start(&mut store, instance, "run", &[]);
    store.cancel(fiber).unwrap();
    assert_eq!((store.suspended_fibers(), store.fuel()), (0, Some(48)));
}

#[test]
fn misuse_is_refused_and_changes_nothing() {
    let text = r#"(module (func (export "f") (param i32) (result i32) (local.get 0)))"#;
    let mut store = Store::new(Config::default());
    let mut other = Store::new(Config::default());
    let there = instance(&mut other, text, &[]);
    let f = func(&other, there, "f");
    assert_eq!(store.start_fiber(f, &[Value::I32(1)]).unwrap_err().kind(), ErrorKind::Usage);
    let here = instance(&mut store, text, &[]);
    let f = func(&store, here, "f");
    for args in [&[][..], &[Value::I64(1)], &[Value::I32(1), Value::I32(1)]] {
        assert_eq!(store.start_fiber(f, args).unwrap_err().kind(), ErrorKind::Usage);
    }
    assert_eq!(store.suspended_fibers(), 0);
    let fiber = store.start_fiber(f, &[Value::I32(1)]).unwrap();
    for slice in [fuel(0), epochs(0), Slice { fuel: Some(1), epochs: Some(0) }] {
        assert_eq!(store.resume(fiber, slice).unwrap_err().kind(), ErrorKind::Usage);
    }
    // Of a store that has none.
    assert_eq!(other.resume(fiber, FREE).unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(other.cancel(fiber).unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(done(store.resume(fiber, fuel(1))).unwrap(), [Value::I32(1)]);
    for _ in 0..2 {
        assert_eq!(store.resume(fiber, FREE).unwrap_err().kind(), ErrorKind::Usage);
    }
    // Too many arguments for the stack.
    let mut small = Store::new(Config { max_values: 1, ..Config::default() });
    let ty = FuncType::new([ValType::I32, ValType::I32], []);
    let Extern::Func(f) = host(&mut small, ty, |_, _| Ok(Vec::new())) else { panic!() };
    let error = small.start_fiber(f, &[Value::I32(1), Value::I32(1)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exhausted(Resource::CallStack));
}

#[test]
fn epochs_suspend_at_entries_and_headers_before_fuel() {
    let text = r#"(module
        (import "" "tick" (func $tick))
        (memory 1) (global $n (export "n") (mut i32) (i32.const 0))
        (func $f (global.set $n (i32.add (global.get $n) (i32.const 1))))
        (func (export "loop") (loop $l (call $tick)
            (memory.fill (i32.const 0) (i32.const 1) (i32.const 1000))
            (global.set $n (i32.add (global.get $n) (i32.const 1)))
            (br_if $l (i32.lt_s (global.get $n) (i32.const 6)))))
        (func (export "call") (call $tick) (call $f) (call $f))
        (func (export "tail") (call $tick) (return_call $f)))"#;
    let mut store = Store::new(Config::default());
    let tick = host(&mut store, FuncType::default(), |store, _| {
        store.advance_epoch();
        Ok(Vec::new())
    });
    let instance = instance(&mut store, text, &[tick]);
    let fiber = start(&mut store, instance, "loop", &[]);
    // The bulk operation after the tick is no epoch point.
    for n in [2, 4] {
        assert_eq!(yielded(store.resume(fiber, epochs(2))), Yield::Epoch);
        assert_eq!((store.epoch(), global(&store, instance, "n")), (n, Value::I32(n as i32)));
    }
    // Of two reasons the epoch is the first; a turn's deadline counts from its beginning.
    store.advance_epoch();
    store.set_fuel(Some(1000));
    let slice = Slice { fuel: Some(1 + 16), epochs: Some(1) };
    assert_eq!(yielded(store.resume(fiber, slice)), Yield::Epoch);
    assert_eq!((store.epoch(), store.fuel(), global(&store, instance, "n")), (6, Some(983), Value::I32(5)));
    assert_eq!(done(store.resume(fiber, epochs(1))).unwrap(), []);
    for (name, n) in [("call", 8), ("tail", 9)] {
        let fiber = start(&mut store, instance, name, &[]);
        let before = global(&store, instance, "n");
        assert_eq!(yielded(store.resume(fiber, epochs(1))), Yield::Epoch, "{name}");
        assert_eq!(global(&store, instance, "n"), before, "{name}");
        assert_eq!(
            done(store.resume(fiber, Slice { fuel: None, epochs: Some(u64::MAX) })).unwrap(),
            [],
            "{name}"
        );
        assert_eq!(global(&store, instance, "n"), Value::I32(n), "{name}");
    }
    // Outside of fibers nothing suspends.
    store.set_fuel(Some(1000));
    assert_eq!(call(&mut store, instance, "call", &[]).unwrap(), []);
}

#[test]
fn failures_end_the_fiber_and_leave_the_store_whole() {
    let text = r#"(module
        (import "" "host" (func $host (param i32)))
        (func (export "trap") (loop $l (call $host (i32.const 0))) (unreachable))
        (func (export "error") (call $host (i32.const 1)))
        (func (export "panic") (loop $l (call $host (i32.const 2))))
        (func $deep (export "deep") (call $deep))
        (func (export "fuel") (loop $l (br $l)))
        (func (export "fine") (result i32) (loop $l (call $host (i32.const 0))) (i32.const 3)))"#;
    let mut store = Store::new(Config::default());
    let host = host(&mut store, FuncType::new([ValType::I32], []), |_, args| match args {
        [Value::I32(0)] => Ok(Vec::new()),
        [Value::I32(1)] => Err(HostError::Message("no".to_owned())),
        _ => panic!("on purpose"),
    });
    let instance = instance(&mut store, text, &[host]);
    let rows = [
        ("trap", Some(ErrorKind::Trap(TrapKind::Unreachable))),
        ("error", Some(ErrorKind::Host)),
        ("panic", None),
        ("deep", Some(ErrorKind::Exhausted(Resource::CallStack))),
        ("fuel", Some(ErrorKind::Exhausted(Resource::Fuel))),
    ];
    for (name, kind) in rows {
        store.set_fuel(Some(100_000));
        let bystander = start(&mut store, instance, "fine", &[]);
        assert_eq!(yielded(store.resume(bystander, fuel(1))), Yield::Fuel);
        let fiber = start(&mut store, instance, name, &[]);
        match kind {
            Some(kind) => assert_eq!(failure(store.resume(fiber, FREE)), kind, "{name}"),
            None => {
                let panic = catch_unwind(AssertUnwindSafe(|| store.resume(fiber, fuel(2)))).unwrap_err();
                assert_eq!(panic.downcast_ref(), Some(&"on purpose"), "{name}");
            }
        }
        assert_eq!(store.resume(fiber, FREE).unwrap_err().kind(), ErrorKind::Usage, "{name}");
        assert_eq!(store.suspended_fibers(), 1, "{name}");
        store.set_fuel(Some(10));
        // No slice is left over.
        assert_eq!(call(&mut store, instance, "fine", &[]).unwrap(), [Value::I32(3)], "{name}");
        assert_eq!(done(store.resume(bystander, fuel(1))).unwrap(), [Value::I32(3)], "{name}");
        assert_eq!(store.fuel(), Some(7), "{name}");
    }
}

#[test]
fn a_panic_in_a_nested_turn_goes_through_both_fibers() {
    let mut store = Store::new(Config::default());
    let inner = Arc::new(Mutex::new(None));
    let known = inner.clone();
    let resume = host(&mut store, FuncType::default(), move |store, _| {
        let inner = known.lock().unwrap().unwrap();
        store.resume(inner, FREE)?;
        Ok(Vec::new())
    });
    let fail = host(&mut store, FuncType::default(), |_, _| panic!("on purpose"));
    let text = r#"(module (import "" "" (func $h)) (func (export "f") (call $h)))"#;
    let (below, above) = (instance(&mut store, text, &[resume]), instance(&mut store, text, &[fail]));
    let fiber = start(&mut store, above, "f", &[]);
    *inner.lock().unwrap() = Some(fiber);
    let outer = start(&mut store, below, "f", &[]);
    let bystander = start(&mut store, below, "f", &[]);
    catch_unwind(AssertUnwindSafe(|| store.resume(outer, FREE))).unwrap_err();
    assert_eq!(store.suspended_fibers(), 1);
    for over in [fiber, outer] {
        assert_eq!(store.cancel(over).unwrap_err().kind(), ErrorKind::Usage);
    }
    // Its inner fiber is over: an error of use, handed on.
    assert_eq!(failure(store.resume(bystander, FREE)), ErrorKind::Usage);
}

#[test]
fn instantiation_on_a_fiber_is_outside_of_its_turn() {
    let mut store = Store::new(Config::default());
    let inner = module(
        r#"(module (type $a (array i32))
            (global (ref $a) (array.new $a (i32.const 1) (i32.const 500)))
            (func $start (loop)) (start $start))"#,
    );
    let make = host(&mut store, FuncType::default(), move |store, _| {
        store.instantiate(&inner, &[])?;
        Ok(Vec::new())
    });
    let text = r#"(module (import "" "" (func $make)) (func (export "f") (call $make) (loop) (loop)))"#;
    let instance = instance(&mut store, text, &[make]);
    store.set_fuel(Some(100));
    let fiber = start(&mut store, instance, "f", &[]);
    assert_eq!(yielded(store.resume(fiber, fuel(2))), Yield::Fuel);
    // Entry and header of both; the constant expression is free.
    assert_eq!(store.fuel(), Some(96));
    assert_eq!(done(store.resume(fiber, fuel(1))).unwrap(), []);
}
