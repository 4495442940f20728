//! Asynchronous calls and host functions over `std::future`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use assay_runtime::*;
use common::*;

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// A future that is ready when its gate is open.
#[derive(Clone, Default)]
struct Gate(Arc<Mutex<(bool, Option<Waker>)>>);

impl Gate {
    fn open(&self) {
        let mut gate = self.0.lock().unwrap();
        gate.0 = true;
        if let Some(waker) = gate.1.take() {
            waker.wake();
        }
    }
}

impl Future for Gate {
    type Output = ();
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut gate = self.0.lock().unwrap();
        if gate.0 {
            return Poll::Ready(());
        }
        gate.1 = Some(context.waker().clone());
        Poll::Pending
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Woken::default()));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
    }
}

/// `f(n)`: keeps a box of n while the host waits with it, then adds what came back to its content.
const TEXT: &str = r#"(module
    (type $box (struct (field $v (mut i32))))
    (import "host" "wait" (func $wait (param anyref) (result anyref)))
    (global $shared (export "shared") (mut (ref null $box)) (ref.null $box))
    (func (export "f") (param $n i32) (result i32)
        (local $mine (ref $box)) (local $got (ref $box))
        (local.set $mine (struct.new $box (local.get $n)))
        (global.set $shared (local.get $mine))
        (local.set $got (ref.cast (ref $box) (call $wait (local.get $mine))))
        (if (i32.eqz (ref.eq (local.get $got) (local.get $mine))) (then unreachable))
        (i32.add (struct.get $box $v (local.get $mine)) (struct.get $box $v (global.get $shared))))
    (func (export "spin") (param $n i32) (result i32)
        (local $made i32)
        (loop $l
            (drop (struct.new $box (local.get $n)))
            (local.set $made (i32.add (local.get $made) (i32.const 1)))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $made))
)"#;

fn anyref() -> ValType {
    ValType::Ref(RefType { nullable: true, heap: HeapType::Abstract(AbstractHeapType::Any) })
}

/// A store whose host function waits for the gate with its argument, collects, and gives the argument back.
fn waiting(engine: &Engine, gate: &Gate, dropped: &Arc<AtomicU32>) -> (Store, Instance) {
    struct Held(Arc<AtomicU32>);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.fetch_add(1, Relaxed);
        }
    }
    let mut store = Store::new(engine).unwrap();
    let ty = FuncType { params: [anyref()].into(), results: [anyref()].into() };
    let (gate, dropped) = (gate.clone(), dropped.clone());
    let host = Func::new_async(&mut store, ty, move |mut caller, args| {
        let (gate, held) = (gate.clone(), Held(dropped.clone()));
        Box::pin(async move {
            gate.await;
            drop(held);
            caller.with(|caller| caller.gc(CollectKind::Full))?;
            Ok(args)
        })
    })
    .unwrap();
    let module = module(engine, TEXT);
    let instance = Instance::new(&mut store, &module, &[Extern::Func(host)]).unwrap();
    (store, instance)
}

#[test]
fn a_call_waits_for_its_host_function() {
    for (name, engine) in engines(|_| {}) {
        let (gate, dropped) = (Gate::default(), Arc::default());
        let (mut store, instance) = waiting(&engine, &gate, &dropped);
        let f = func(&store, instance, "f");
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut context = Context::from_waker(&waker);
        {
            let mut call = pin!(f.call_async(&mut store, &[Val::I32(4)]).unwrap());
            for _ in 0..3 {
                assert!(call.as_mut().poll(&mut context).is_pending(), "{name}");
            }
            assert_eq!(woken.0.load(Relaxed), 0, "{name}: nobody has opened the gate");
            gate.open();
            assert_eq!(woken.0.load(Relaxed), 1, "{name}");
            let Poll::Ready(result) = call.as_mut().poll(&mut context) else {
                panic!("{name}: the gate is open")
            };
            assert_eq!(i32_of(&result.unwrap()), 8, "{name}");
            let Poll::Ready(again) = call.as_mut().poll(&mut context) else { panic!("{name}: it has ended") };
            assert!(again.is_err(), "{name}");
        }
        assert_eq!(dropped.load(Relaxed), 1, "{name}");
        // The gate is open: the next call does not wait.
        assert_eq!(
            i32_of(&block_on(f.call_async(&mut store, &[Val::I32(1)]).unwrap()).unwrap()),
            2,
            "{name}"
        );
        assert_eq!((store.live_handles(), store.suspended_fibers()), (0, 0), "{name}");
    }
}

#[test]
fn a_dropped_call_is_cancelled_at_whatever_point() {
    for (name, engine) in engines(|config| (config.fuel, config.yields) = (true, true)) {
        for polls in 0..6 {
            let (gate, dropped) = (Gate::default(), Arc::default());
            let (mut store, instance) = waiting(&engine, &gate, &dropped);
            store.set_fuel(1 << 40);
            let (f, spin) = (func(&store, instance, "f"), func(&store, instance, "spin"));
            let waker = Waker::from(Arc::new(Woken::default()));
            for function in [f, spin] {
                let slice = Slice { fuel: Some(3), epochs: None };
                let mut call =
                    Box::pin(function.call_async(&mut store, &[Val::I32(100)]).unwrap().in_turns(slice));
                for _ in 0..polls {
                    assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending(), "{name}");
                }
                drop(call);
                assert_eq!((store.live_handles(), store.suspended_fibers()), (0, 0), "{name} {polls}");
                store.gc(CollectKind::Full).unwrap();
                store.verify_heap().unwrap();
            }
            assert_eq!(dropped.load(Relaxed), u32::from(polls > 0), "{name}: the host's future is dropped");
            assert_eq!(i32_of(&spin.call(&mut store, &[Val::I32(9)]).unwrap()), 9, "{name}");
        }
    }
}

#[test]
fn turns_let_others_go_first() {
    let config = Config { fuel: true, yields: true, ..Config::default() };
    let engine = Engine::new(config).unwrap();
    let (gate, dropped) = (Gate::default(), Arc::default());
    let (mut store, instance) = waiting(&engine, &gate, &dropped);
    store.set_fuel(1 << 40);
    let spin = func(&store, instance, "spin");
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let slice = Slice { fuel: Some(10), epochs: None };
    let mut call = pin!(spin.call_async(&mut store, &[Val::I32(100)]).unwrap().in_turns(slice));
    let mut polls = 0;
    let result = loop {
        polls += 1;
        match call.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => break result,
            // It asks to be polled again.
            Poll::Pending => assert_eq!(woken.0.load(Relaxed), polls),
        }
    };
    assert_eq!(i32_of(&result.unwrap()), 100);
    assert_eq!(polls, 11);
}

#[test]
fn one_future_after_another_from_different_threads() {
    for (name, engine) in engines(|_| {}) {
        let (gate, dropped) = (Gate::default(), Arc::default());
        let (mut store, instance) = waiting(&engine, &gate, &dropped);
        let f = func(&store, instance, "f");
        let waker = Waker::from(Arc::new(Woken::default()));
        {
            // Polled first here, then in another thread.
            let mut call = Box::pin(f.call_async(&mut store, &[Val::I32(5)]).unwrap());
            assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending(), "{name}");
            gate.open();
            let result = std::thread::scope(|scope| scope.spawn(|| block_on(call)).join().unwrap());
            assert_eq!(i32_of(&result.unwrap()), 10, "{name}");
        }
        for n in 0..3 {
            let result = std::thread::scope(|scope| {
                scope.spawn(|| block_on(f.call_async(&mut store, &[Val::I32(n)]).unwrap())).join().unwrap()
            });
            assert_eq!(i32_of(&result.unwrap()), 2 * n, "{name}");
        }
    }
}

#[test]
fn several_calls_and_an_instantiation_on_one_fiber() {
    for (name, engine) in engines(|_| {}) {
        let (gate, dropped) = (Gate::default(), Arc::default());
        let (mut store, instance) = waiting(&engine, &gate, &dropped);
        let f = func(&store, instance, "f");
        gate.open();
        let sum = store.on_fiber(move |caller| {
            let mut sum = 0;
            for n in 0..4 {
                sum += i32_of(&f.call(caller, &[Val::I32(n)])?);
            }
            Ok(sum)
        });
        assert_eq!(block_on(sum.unwrap()).unwrap(), 12, "{name}");
        // A start function that waits.
        let closed = Gate::default();
        let inner = closed.clone();
        let ty = FuncType { params: Box::default(), results: Box::default() };
        let wait = Func::new_async(&mut store, ty, move |_, _| {
            let gate = inner.clone();
            Box::pin(async move {
                gate.await;
                Ok(Vec::new())
            })
        })
        .unwrap();
        let starting = module(
            &engine,
            r#"(module (import "host" "wait" (func $wait)) (start $wait)
                (func (export "f") (result i32) (i32.const 7)))"#,
        );
        let waker = Waker::from(Arc::new(Woken::default()));
        let mut made = Box::pin(Instance::new_async(&mut store, &starting, &[Extern::Func(wait)]).unwrap());
        assert!(made.as_mut().poll(&mut Context::from_waker(&waker)).is_pending(), "{name}");
        closed.open();
        let instance = block_on(made).unwrap();
        let f = func(&store, instance, "f");
        assert_eq!(i32_of(&f.call(&mut store, &[]).unwrap()), 7, "{name}");
    }
}

#[test]
fn an_asynchronous_host_function_needs_an_asynchronous_call() {
    let engine = Engine::new(Config::default()).unwrap();
    let (gate, dropped) = (Gate::default(), Arc::default());
    let (mut store, instance) = waiting(&engine, &gate, &dropped);
    let f = func(&store, instance, "f");
    let error = f.call(&mut store, &[Val::I32(1)]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Usage(Usage::Fiber(FiberMisuse::NotAsync))), "{error}");
    let fiber = Fiber::new(&mut store, f, &[Val::I32(1)]).unwrap();
    let Turn::Done(Err(error)) = fiber.resume(&mut store, Slice::default()).unwrap() else {
        panic!("it cannot wait")
    };
    assert!(matches!(error.kind(), ErrorKind::Usage(Usage::Fiber(FiberMisuse::NotAsync))), "{error}");
    assert_eq!(dropped.load(Relaxed), 2, "the futures are dropped");
}

#[test]
fn a_panic_of_an_asynchronous_host_function_comes_out_of_the_poll() {
    let engine = Engine::new(Config::default()).unwrap();
    let mut store = Store::new(&engine).unwrap();
    let ty = FuncType { params: [anyref()].into(), results: [anyref()].into() };
    let host = Func::new_async(&mut store, ty, |_, _| Box::pin(async { panic!("no") })).unwrap();
    let module = module(&engine, TEXT);
    let instance = Instance::new(&mut store, &module, &[Extern::Func(host)]).unwrap();
    let f = func(&store, instance, "f");
    let call = f.call_async(&mut store, &[Val::I32(1)]).unwrap();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| block_on(call)));
    assert_eq!(outcome.unwrap_err().downcast_ref::<&str>(), Some(&"no"));
    assert_eq!((store.live_handles(), store.suspended_fibers()), (0, 0));
    assert_eq!(i32_of(&func(&store, instance, "spin").call(&mut store, &[Val::I32(3)]).unwrap()), 3);
}

#[test]
fn a_host_functions_future_is_polled_within_one_turn() {
    for (name, engine) in engines(|config| (config.fuel, config.yields) = (true, true)) {
        let gate = Gate::default();
        let target: Arc<std::sync::OnceLock<Func>> = Arc::default();
        let mut store = Store::new(&engine).unwrap();
        store.set_fuel(1 << 40);
        let ty = FuncType { params: [anyref()].into(), results: [anyref()].into() };
        let (inner, spin) = (gate.clone(), target.clone());
        let host = Func::new_async(&mut store, ty, move |mut caller, args| {
            let (gate, spin) = (inner.clone(), *spin.get().unwrap());
            Box::pin(async move {
                // It would use up many turns, and cannot wait.
                let spun = caller.with(|caller| {
                    assert!(!caller.on_fiber());
                    assert!(caller.suspend().is_err());
                    spin.call(caller, &[Val::I32(500)])
                })?;
                assert_eq!(i32_of(&spun), 500);
                gate.await;
                Ok(args)
            })
        })
        .unwrap();
        let module = module(&engine, TEXT);
        let instance = Instance::new(&mut store, &module, &[Extern::Func(host)]).unwrap();
        target.set(func(&store, instance, "spin")).unwrap();
        let f = func(&store, instance, "f");
        let slice = Slice { fuel: Some(10), epochs: None };
        let waker = Waker::from(Arc::new(Woken::default()));
        let mut call = Box::pin(f.call_async(&mut store, &[Val::I32(4)]).unwrap().in_turns(slice));
        for _ in 0..3 {
            assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending(), "{name}");
        }
        gate.open();
        assert_eq!(i32_of(&block_on(call).unwrap()), 8, "{name}");
    }
}

#[test]
fn a_forgotten_call_rests_until_its_store_is_dropped() {
    for (name, engine) in engines(|_| {}) {
        let (gate, dropped) = (Gate::default(), Arc::default());
        let (mut store, instance) = waiting(&engine, &gate, &dropped);
        let f = func(&store, instance, "f");
        let waker = Waker::from(Arc::new(Woken::default()));
        let mut call = Box::pin(f.call_async(&mut store, &[Val::I32(4)]).unwrap());
        assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending(), "{name}");
        std::mem::forget(call);
        assert_eq!(store.suspended_fibers(), 1, "{name}");
        gate.open();
        store.gc(CollectKind::Full).unwrap();
        store.verify_heap().unwrap();
        assert_eq!(
            i32_of(&block_on(f.call_async(&mut store, &[Val::I32(1)]).unwrap()).unwrap()),
            2,
            "{name}"
        );
        assert_eq!(dropped.load(Relaxed), 1, "{name}");
        drop(store);
        assert_eq!(dropped.load(Relaxed), 2, "{name}");
    }
}
