//! Exceptions between wasm and the host: thrown through host functions and by them, uncaught, mixed with traps, errors
//! and panics at each level of nesting; and what they cost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use crate::common::{engines, func, i32_of, module};
use assay_runtime::*;

fn exnref() -> ValType {
    ValType::Ref(RefType { nullable: true, heap: HeapType::Abstract(AbstractHeapType::Exn) })
}

fn anyref() -> ValType {
    ValType::Ref(RefType { nullable: true, heap: HeapType::Abstract(AbstractHeapType::Any) })
}

type Script = dyn Fn(&mut Caller<'_>, i32) -> Result<(), Error> + Send + Sync;

/// What each level does with what comes out of the host function.
const TOWER: &str = r#"(module
    (type $box (struct (field $v i32)))
    (import "host" "tag" (tag $t (param i32 anyref)))
    (tag $other (export "other"))
    (import "host" "down" (func $down (param i32)))
    (import "host" "same" (func $same (param exnref)))
    ;; catches $t, checks what was live, gives the payload
    (func (export "catch") (param $n i32) (result i32)
        (local $mine (ref null $box)) (local $got anyref)
        (local.set $mine (struct.new $box (local.get $n)))
        (block $h (result i32 anyref exnref)
            (try_table (catch_ref $t $h) (call $down (local.get $n)))
            (return (i32.const -1)))
        (call $same)
        (local.set $got)
        (drop (struct.new $box (i32.const -1)))
        (if (i32.ne (struct.get $box $v (local.get $mine)) (local.get $n)) (then unreachable))
        (i32.add (struct.get $box $v (ref.cast (ref $box) (local.get $got)))))
    ;; no handler
    (func (export "pass") (param $n i32) (call $down (local.get $n)))
    ;; catches and throws the same on
    (func (export "rethrow") (param $n i32)
        (throw_ref (block $h (result exnref) (try_table (catch_all_ref $h) (call $down (local.get $n))) (return))))
    ;; a handler that does not match
    (func (export "miss") (param $n i32)
        (block $h (try_table (catch $other $h) (call $down (local.get $n)))))
    ;; ends all exceptions
    (func (export "all") (param $n i32) (result i32)
        (block $h (try_table (catch_all $h) (call $down (local.get $n))) (return (i32.const 0)))
        (i32.const 1))
    (func (export "throw") (param $n i32)
        (throw $t (local.get $n) (struct.new $box (i32.mul (local.get $n) (i32.const 2)))))
)"#;

struct Tower {
    store: Store,
    instance: Instance,
    tag: Tag,
    /// The exceptions that wasm has shown.
    seen: Arc<Mutex<Vec<Exception>>>,
}

/// A store with the module above, whose host function `down` runs `script`.
fn tower(
    engine: &Engine,
    script: impl Fn(&mut Caller<'_>, i32) -> Result<(), Error> + Send + Sync + 'static,
) -> Tower {
    let script: Arc<Script> = Arc::new(script);
    let mut store = Store::new(engine).unwrap();
    let ty = FuncType { params: [ValType::I32, anyref()].into(), results: [].into() };
    let sub = SubType { is_final: true, supertype: None, composite: CompositeType::Func(ty) };
    let group = engine.register(&[sub]).unwrap();
    let tag = Tag::new(&mut store, group.ids()[0]).unwrap();
    let ty = FuncType { params: [ValType::I32].into(), results: [].into() };
    let down = Func::new(&mut store, ty, move |caller, args, _| {
        let Val::I32(n) = args[0] else { panic!("types are checked") };
        caller.gc(CollectKind::Full)?;
        script(caller, n)
    })
    .unwrap();
    let seen: Arc<Mutex<Vec<Exception>>> = Arc::default();
    let list = seen.clone();
    let ty = FuncType { params: [exnref()].into(), results: [].into() };
    let same = Func::new(&mut store, ty, move |caller, args, _| {
        let Val::ExnRef(Some(reference)) = &args[0] else { panic!("an exception was caught") };
        caller.gc(CollectKind::Full)?;
        list.lock().unwrap().push(Exception::of_ref(caller, reference)?);
        Ok(())
    })
    .unwrap();
    let module = module(engine, TOWER);
    let imports = [Extern::Tag(tag), Extern::Func(down), Extern::Func(same)];
    let instance = Instance::new(&mut store, &module, &imports).unwrap();
    Tower { store, instance, tag, seen }
}

impl Tower {
    fn call(&mut self, name: &str, n: i32) -> Result<Vec<Val>, Error> {
        func(&self.store, self.instance, name).call(&mut self.store, &[Val::I32(n)])
    }

    fn is_clean(&mut self) {
        self.seen.lock().unwrap().clear();
        assert_eq!(self.store.live_handles(), 0);
        self.store.verify_heap().unwrap();
        assert_eq!(i32_of(&self.call("all", 0).unwrap()), 0, "the store works on");
    }
}

/// A box in the heap, made by throwing one.
fn thrown(caller: &mut Caller<'_>, instance: Instance, n: i32) -> Error {
    instance.exported_func(caller, "throw").unwrap().call(caller, &[Val::I32(n)]).unwrap_err()
}

#[test]
fn the_same_exception_comes_out_of_every_level() {
    for (name, engine) in engines(|_| {}) {
        let place: Arc<Mutex<Option<Instance>>> = Arc::default();
        let first: Arc<Mutex<Option<Exception>>> = Arc::default();
        let (inner, kept) = (place.clone(), first.clone());
        // Goes down by "pass", "rethrow" and "miss" in turn; throws at the bottom.
        let mut tower = tower(&engine, move |caller, n| {
            if n == 0 && kept.lock().unwrap().is_some() {
                return Ok(());
            }
            let instance = inner.lock().unwrap().unwrap();
            let error = if n == 0 {
                let error = thrown(caller, instance, 21);
                *kept.lock().unwrap() = Some(error.exception().unwrap().clone());
                error
            } else {
                let name = ["pass", "rethrow", "miss"][n as usize % 3];
                instance.exported_func(caller, name)?.call(caller, &[Val::I32(n - 1)]).unwrap_err()
            };
            caller.gc(CollectKind::Full)?;
            Err(error)
        });
        *place.lock().unwrap() = Some(tower.instance);
        for depth in [0, 1, 2, 3, 17] {
            *first.lock().unwrap() = None;
            assert_eq!(i32_of(&tower.call("catch", depth).unwrap()), 21 + 42, "{name}");
            let thrown = first.lock().unwrap().take().unwrap();
            let caught = tower.seen.lock().unwrap().pop().unwrap();
            assert!(caught.reference().ref_eq(&tower.store, thrown.reference()).unwrap(), "{name}");
            assert_eq!(caught.tag(), tower.tag, "{name}");

            // Nobody catches it: the caller has the same one, too.
            let error = tower.call("pass", depth).unwrap_err();
            let thrown = first.lock().unwrap().take().unwrap();
            let last = error.exception().unwrap();
            assert!(last.reference().ref_eq(&tower.store, thrown.reference()).unwrap(), "{name}");
            assert!(error.to_string().contains("uncaught exception"), "{error}");
        }
        *first.lock().unwrap() =
            Some(Exception::new(&mut tower.store, tower.tag, &[Val::I32(1), Val::AnyRef(None)]).unwrap());
        tower.seen.lock().unwrap().clear();
        assert_eq!(tower.store.live_handles(), 1, "{name}");
        *first.lock().unwrap() = None;
        tower.store.verify_heap().unwrap();
    }
}

#[test]
fn host_functions_throw_new_exceptions() {
    for (name, engine) in engines(|_| {}) {
        let tag: Arc<Mutex<Option<(Tag, Instance)>>> = Arc::default();
        let known = tag.clone();
        let mut tower = tower(&engine, move |caller, n| {
            if n == 0 {
                return Ok(());
            }
            let (tag, instance) = known.lock().unwrap().unwrap();
            // A box, out of the payload of another exception.
            let other = thrown(caller, instance, n);
            let payload = other.exception().unwrap().payload(caller)?;
            Err(Exception::new(caller, tag, &[Val::I32(n + 1), payload[1].clone()])?.into())
        });
        *tag.lock().unwrap() = Some((tower.tag, tower.instance));
        assert_eq!(i32_of(&tower.call("catch", 5).unwrap()), 6 + 10, "{name}");
        let shown = tower.seen.lock().unwrap().pop().unwrap();
        let payload = shown.payload(&mut tower.store).unwrap();
        assert!(matches!(payload[..], [Val::I32(6), Val::AnyRef(Some(_))]), "{name} {payload:?}");
        let word = tower.store.inspect(shown.reference()).unwrap();
        let inspector = tower.store.inspector();
        assert_eq!(inspector.kind(word), Some(RefKind::Exception(tower.tag)), "{name}");
        let raw = inspector.payload(word).unwrap();
        assert!(matches!(raw[..], [RawVal::I32(6), RawVal::Ref(_)]), "{name} {raw:?}");
        assert_eq!((inspector.struct_len(word), inspector.struct_fields(word)), (None, None), "{name}");
        drop((shown, payload));
        assert_eq!(i32_of(&tower.call("all", 5).unwrap()), 1, "{name}");
        let error = tower.call("miss", 5).unwrap_err();
        assert_eq!(error.exception().unwrap().tag(), tower.tag, "{name}");
        drop(error);
        tower.is_clean();
    }
}

#[test]
fn only_exceptions_are_caught() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = catch_unwind(|| {
        for (name, engine) in engines(|_| {}) {
            let foreign: Arc<Mutex<Option<Exception>>> = Arc::default();
            let of_other_store = foreign.clone();
            let mut tower = tower(&engine, move |_, n| match n {
                0 => Ok(()),
                1 => Err(Error::new(ErrorKind::Trap(TrapCode::CastFailure))),
                2 => Err(Error::host("no luck")),
                3 => Err(Error::new(ErrorKind::Exhausted(Resource::Fuel))),
                4 => Err(of_other_store.lock().unwrap().clone().unwrap().into()),
                _ => std::panic::panic_any(42u8),
            });
            let mut other = Store::new(&engine).unwrap();
            let sub = SubType {
                is_final: true,
                supertype: None,
                composite: CompositeType::Func(FuncType::default()),
            };
            let group = engine.register(&[sub]).unwrap();
            let tag = Tag::new(&mut other, group.ids()[0]).unwrap();
            *foreign.lock().unwrap() = Some(Exception::new(&mut other, tag, &[]).unwrap());
            for function in ["all", "catch", "rethrow", "miss", "pass"] {
                let error = tower.call(function, 1).unwrap_err();
                assert_eq!(error.trap(), Some(TrapCode::CastFailure), "{name} {function}");
                let error = tower.call(function, 2).unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::Host(_)), "{name} {function}");
                let error = tower.call(function, 3).unwrap_err();
                assert_eq!(error.exhausted(), Some(Resource::Fuel), "{name} {function}");
                // Another store's exception is nothing that this store's code can hold.
                let error = tower.call(function, 4).unwrap_err();
                assert_eq!(error.exception().map(Exception::tag), Some(tag), "{name} {function}");
                let payload = catch_unwind(AssertUnwindSafe(|| tower.call(function, 5))).unwrap_err();
                assert_eq!(payload.downcast_ref::<u8>(), Some(&42), "{name} {function}");
            }
            tower.is_clean();
        }
    });
    std::panic::set_hook(hook);
    outcome.unwrap();
}

#[test]
fn mistakes_of_the_host_are_usage_errors() {
    for (name, engine) in engines(|_| {}) {
        let mut tower = tower(&engine, |_, _| Ok(()));
        let tag = tower.tag;
        let usage = |result: Result<Exception, Error>| match result.map(drop).unwrap_err().into_kind() {
            ErrorKind::Usage(usage) => usage,
            other => panic!("{name}: {other:?}"),
        };
        let store = &mut tower.store;
        assert_eq!(usage(Exception::new(store, tag, &[])), Usage::Arity { expected: 2, given: 0 });
        let swapped = [Val::AnyRef(None), Val::I32(1)];
        assert_eq!(usage(Exception::new(store, tag, &swapped)), Usage::Type { index: 0 });
        let mut other = Store::new(&engine).unwrap();
        assert_eq!(usage(Exception::new(&mut other, tag, &swapped)), Usage::WrongStore);
        let exception = Exception::new(store, tag, &[Val::I32(1), Val::AnyRef(None)]).unwrap();
        assert!(exception.payload(&mut other).is_err());

        // An exception passes for nothing else, and nothing else for one.
        let reference = exception.reference().clone();
        let i31 = Val::i31(store, 4);
        let Val::AnyRef(Some(number)) = &i31 else { panic!() };
        assert_eq!(usage(Exception::of_ref(store, number)), Usage::Type { index: 0 });
        for (ty, value) in [
            (anyref(), Val::AnyRef(Some(reference.clone()))),
            (exnref(), Val::ExnRef(Some(number.clone()))),
            (
                ValType::Ref(RefType { nullable: true, heap: HeapType::Abstract(AbstractHeapType::Extern) }),
                Val::ExternRef(Some(reference.clone())),
            ),
        ] {
            let made = Global::new(store, GlobalType { content: ty, mutable: true }, &value);
            assert!(
                matches!(made.unwrap_err().kind(), ErrorKind::Usage(Usage::Type { .. })),
                "{name} {ty:?}"
            );
        }
        let ty = GlobalType { content: exnref(), mutable: true };
        let global = Global::new(store, ty, &Val::ExnRef(Some(reference))).unwrap();
        drop(exception);
        store.gc(CollectKind::Full).unwrap();
        let Val::ExnRef(Some(back)) = global.get(store).unwrap() else { panic!("{name}") };
        assert_eq!(
            i32_of(&Exception::of_ref(store, &back).unwrap().payload(store).unwrap()[..1]),
            1,
            "{name}"
        );

        let result = FuncType { params: [].into(), results: [ValType::I32].into() };
        let sub = SubType { is_final: true, supertype: None, composite: CompositeType::Func(result) };
        let group = engine.register(&[sub]).unwrap();
        assert!(Tag::new(store, group.ids()[0]).is_err(), "{name}: tags have no results");
    }
}

#[test]
fn a_start_function_may_throw() {
    for (name, engine) in engines(|_| {}) {
        let mut store = Store::new(&engine).unwrap();
        let module =
            module(&engine, "(module (tag $t (param i64)) (func $f (throw $t (i64.const 9))) (start $f))");
        let error = Instance::new(&mut store, &module, &[]).unwrap_err();
        let payload = error.exception().unwrap().payload(&mut store).unwrap();
        assert!(matches!(payload[..], [Val::I64(9)]), "{name}");
        assert_eq!(error.backtrace().len(), 1, "{name}");
    }
}

#[test]
fn uncaught_exceptions_leave_nothing_behind() {
    for (name, engine) in engines(|config| config.gc_heap_max = 1 << 20) {
        if name.starts_with("null") {
            continue;
        }
        let mut tower = tower(&engine, |_, _| Ok(()));
        let rounds = if name.ends_with("true") { 1000 } else { 10_000 };
        for n in 0..rounds {
            let error = tower.call("throw", n).unwrap_err();
            assert_eq!(tower.store.live_handles(), 1, "{name}");
            let payload = error.exception().unwrap().payload(&mut tower.store).unwrap();
            assert_eq!(i32_of(&payload[..1]), n, "{name}");
        }
        tower.is_clean();
        assert_eq!(tower.store.live_objects().unwrap(), (0, 0), "{name}");
    }
}

/// 100,000 frames between throw and handler: none is visited twice.
#[test]
fn unwinding_is_linear_in_frames() {
    let text = r#"(module (tag $t)
        (func $down (param $n i32) (result i32)
            (if (i32.eqz (local.get $n)) (then (throw $t)))
            (i32.add (call $down (i32.sub (local.get $n) (i32.const 1))) (i32.const 1)))
        ;; handlers on the way that pass it on
        (func $misses (param $n i32) (result i32)
            (if (i32.eqz (local.get $n)) (then (throw $t)))
            (block $h (result i32 exnref)
                (try_table (catch_ref $other $h)
                    (return (i32.add (call $misses (i32.sub (local.get $n) (i32.const 1))) (i32.const 1))))
                (unreachable))
            (drop))
        (tag $other (param i32))
        (func (export "down") (param $n i32) (result i32)
            (block $h (try_table (catch $t $h) (return (call $down (local.get $n))))) (i32.const -1))
        (func (export "misses") (param $n i32) (result i32)
            (block $h (try_table (catch $t $h) (return (call $misses (local.get $n))))) (i32.const -1)))"#;
    let run = move || {
        for (name, engine) in engines(|config| config.max_wasm_stack = 96 << 20) {
            let (mut store, instance) = crate::common::instance(&engine, text);
            for export in ["down", "misses"] {
                for _ in 0..3 {
                    let values = func(&store, instance, export).call(&mut store, &[Val::I32(100_000)]);
                    assert_eq!(i32_of(&values.unwrap()), -1, "{name} {export}");
                }
            }
        }
    };
    std::thread::Builder::new().stack_size(128 << 20).spawn(run).unwrap().join().unwrap();
}
