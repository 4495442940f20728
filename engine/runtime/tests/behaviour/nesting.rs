//! wasm → host → wasm at every depth, with a collection, a trap, an error or a panic at each level.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::common::*;
use assay_runtime::*;

/// `down(n, box)`: keeps a fresh struct that holds n, calls the host with n and its box, then reads everything back.
/// What the host does at the bottom is the test's matter.
const DOWN: &str = r#"(module
    (type $box (struct (field $v (mut i32)) (field $next (mut anyref))))
    (import "host" "down" (func $host (param i32 anyref) (result anyref)))
    (global $kept (mut anyref) (ref.null any))
    (func $down (export "down") (param $n i32) (param $outer anyref) (result i32)
        (local $mine (ref null $box))
        (local $got anyref)
        (local.set $mine (struct.new $box (local.get $n) (local.get $outer)))
        (global.set $kept (local.get $mine))
        ;; garbage on the way
        (drop (struct.new $box (i32.const -1) (ref.i31 (i32.const 7))))
        (local.set $got (call $host (local.get $n) (local.get $mine)))
        ;; what came back is what went down, and its content is whole
        (if (i32.eqz (ref.eq (local.get $mine) (ref.cast (ref null eq) (local.get $got)))) (then unreachable))
        (if (i32.ne (struct.get $box $v (ref.cast (ref $box) (local.get $got))) (local.get $n)) (then unreachable))
        (i32.add (struct.get $box $v (local.get $mine)) (i32.const 1)))
    (func (export "kept") (result i32) (struct.get $box $v (ref.cast (ref $box) (global.get $kept))))
)"#;

fn anyref() -> ValType {
    ValType::Ref(RefType { nullable: true, heap: HeapType::Abstract(AbstractHeapType::Any) })
}

type Bottom = dyn Fn(&mut Caller<'_>) -> Result<(), Error> + Send + Sync;

/// A store whose host function goes down again until 0, collecting at every level both ways, then runs `bottom`.
fn tower(engine: &Engine, bottom: Arc<Bottom>) -> (Store, Instance) {
    let mut store = Store::new(engine).unwrap();
    let target: Arc<std::sync::OnceLock<Func>> = Arc::default();
    let ty = FuncType { params: [ValType::I32, anyref()].into(), results: [anyref()].into() };
    let down = target.clone();
    let host = Func::new(&mut store, ty, move |caller, args, results| {
        let Val::I32(n) = args[0] else { panic!("types are checked") };
        caller.gc(CollectKind::Full)?;
        if n > 0 {
            let inner = down.get().unwrap().call(caller, &[Val::I32(n - 1), args[1].clone()])?;
            assert_eq!(i32_of(&inner), n);
            caller.gc(CollectKind::Full)?;
        } else {
            bottom(caller)?;
        }
        results.push(args[1].clone());
        Ok(())
    })
    .unwrap();
    let module = module(engine, DOWN);
    let instance = Instance::new(&mut store, &module, &[Extern::Func(host)]).unwrap();
    target.set(func(&store, instance, "down")).unwrap();
    (store, instance)
}

fn down(store: &mut Store, instance: Instance, depth: i32) -> Result<Vec<Val>, Error> {
    func(store, instance, "down").call(store, &[Val::I32(depth), Val::AnyRef(None)])
}

#[test]
fn references_survive_collections_of_inner_activations() {
    for (name, engine) in engines(|_| {}) {
        let (mut store, instance) = tower(&engine, Arc::new(|_| Ok(())));
        for depth in [0, 1, 5, 20] {
            assert_eq!(i32_of(&down(&mut store, instance, depth).unwrap()), depth + 1, "{name}");
        }
        assert_eq!(i32_of(&func(&store, instance, "kept").call(&mut store, &[]).unwrap()), 0, "{name}");
        assert_eq!(store.live_handles(), 0, "{name}");
        let (objects, _) = store.live_objects().unwrap();
        assert_eq!(objects, 21, "{name}: the newest box and the chain of its outer ones");
    }
}

#[test]
fn a_trap_at_the_bottom_passes_every_level() {
    for (name, engine) in engines(|_| {}) {
        let (mut store, instance) =
            tower(&engine, Arc::new(|_| Err(Error::new(ErrorKind::Trap(TrapCode::CastFailure)))));
        let error = down(&mut store, instance, 4).unwrap_err();
        assert_eq!(error.trap(), Some(TrapCode::CastFailure), "{name}");
        let functions = error.backtrace().iter().filter(|frame| frame.function.is_some()).count();
        assert_eq!(functions, 5, "{name}: {error}");
        // The store works on, and nothing of the activations is left.
        assert_eq!(store.live_handles(), 0, "{name}");
        store.gc(CollectKind::Full).unwrap();
        assert_eq!(i32_of(&func(&store, instance, "kept").call(&mut store, &[]).unwrap()), 0, "{name}");
    }
}

#[test]
fn host_errors_keep_their_kind() {
    for (name, engine) in engines(|_| {}) {
        let (mut store, instance) = tower(&engine, Arc::new(|_| Err(Error::host("no luck"))));
        let error = down(&mut store, instance, 3).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Host(inner) if inner.to_string() == "no luck"), "{name}");
    }
}

#[test]
fn a_panic_at_the_bottom_is_resumed_at_the_top() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = catch_unwind(|| {
        for (name, engine) in engines(|_| {}) {
            let (mut store, instance) = tower(&engine, Arc::new(|_| std::panic::panic_any(42u8)));
            for depth in [0, 3] {
                let payload =
                    catch_unwind(AssertUnwindSafe(|| down(&mut store, instance, depth))).unwrap_err();
                assert_eq!(payload.downcast_ref::<u8>(), Some(&42), "{name}");
            }
            assert_eq!(store.live_handles(), 0, "{name}");
            store.gc(CollectKind::Full).unwrap();
            store.verify_heap().unwrap();
        }
    });
    std::panic::set_hook(hook);
    outcome.unwrap();
}

#[test]
fn a_host_function_may_catch_what_happens_inside() {
    for (name, engine) in engines(|_| {}) {
        let caught = Arc::new(AtomicU32::new(0));
        let seen = caught.clone();
        let (mut store, instance) = tower(
            &engine,
            Arc::new(move |caller| {
                let engine = caller.engine().clone();
                let trapping = module(&engine, r#"(module (func (export "f") unreachable))"#);
                let inner = Instance::new(caller, &trapping, &[])?;
                let error = inner.exported_func(caller, "f")?.call(caller, &[]).unwrap_err();
                assert_eq!(error.trap(), Some(TrapCode::Unreachable));
                caller.gc(CollectKind::Full)?;
                seen.fetch_add(1, Relaxed);
                Ok(())
            }),
        );
        assert_eq!(i32_of(&down(&mut store, instance, 6).unwrap()), 7, "{name}");
        assert_eq!(caught.load(Relaxed), 1, "{name}");
    }
}

#[test]
fn endless_nesting_exhausts_the_call_stack() {
    let (_, engine) = engines(|_| {}).into_iter().find(|(name, _)| name == "copying Speed false").unwrap();
    for stack in [1 << 20, 2 << 20, 8 << 20] {
        let engine = engine.clone();
        let run = move || {
            let (mut store, instance) = tower(&engine, Arc::new(|_| Ok(())));
            let error = down(&mut store, instance, i32::MAX).unwrap_err();
            assert_eq!(error.exhausted(), Some(Resource::CallStack), "{error}");
            assert_eq!(i32_of(&down(&mut store, instance, 2).unwrap()), 3);
        };
        std::thread::Builder::new().stack_size(stack).spawn(run).unwrap().join().unwrap();
    }
}

#[test]
fn the_host_may_continue_on_another_thread() {
    for (name, engine) in engines(|_| {}) {
        let (mut store, instance) = tower(
            &engine,
            Arc::new(|caller| {
                let engine = caller.engine().clone();
                let store: &mut StoreInner = caller;
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        store.gc(CollectKind::Full).unwrap();
                        let module =
                            module(&engine, r#"(module (func (export "f") (result i32) (i32.const 5)))"#);
                        let instance = Instance::new(store, &module, &[]).unwrap();
                        let five = instance.exported_func(store, "f").unwrap().call(store, &[]).unwrap();
                        assert_eq!(i32_of(&five), 5);
                    });
                });
                Ok(())
            }),
        );
        assert_eq!(i32_of(&down(&mut store, instance, 3).unwrap()), 4, "{name}");
    }
}

#[test]
fn two_stores_alternate_on_one_stack() {
    for (name, engine) in engines(|_| {}) {
        let (other, other_instance) = tower(&engine, Arc::new(|_| Ok(())));
        let other = std::sync::Mutex::new(other);
        let (mut store, instance) = tower(
            &engine,
            Arc::new(move |_| {
                let mut other = other.lock().unwrap();
                assert_eq!(i32_of(&down(&mut other, other_instance, 3)?), 4);
                Ok(())
            }),
        );
        assert_eq!(i32_of(&down(&mut store, instance, 3).unwrap()), 4, "{name}");
    }
}
