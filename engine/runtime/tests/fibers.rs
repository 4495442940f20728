//! Fibers: turns by fuel, epochs and host functions; suspended frames as roots; cancelling; nesting.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use assay_runtime::*;
use common::*;

const PLENTY: u64 = 1 << 40;

fn yielding() -> Vec<(String, Engine)> {
    engines(|config| {
        config.fuel = true;
        config.yields = true;
    })
}

fn fuel(units: u64) -> Slice {
    Slice { fuel: Some(units), epochs: None }
}

fn start(store: &mut Store, instance: Instance, export: &str, args: &[Val]) -> Fiber {
    let func = func(store, instance, export);
    Fiber::new(store, func, args).unwrap()
}

fn until_it_ends(store: &mut Store, fiber: Fiber, slice: Slice) -> (Vec<Yield>, Result<Vec<Val>, Error>) {
    let mut yields = Vec::new();
    loop {
        match fiber.resume(store, slice).unwrap() {
            Turn::Yielded(why) => yields.push(why),
            Turn::Done(result) => return (yields, result),
        }
    }
}

fn misuse(error: &Error) -> FiberMisuse {
    match error.kind() {
        ErrorKind::Usage(Usage::Fiber(misuse)) => *misuse,
        other => panic!("{other:?}"),
    }
}

/// A chain of `n` boxes that only the frame holds, built and summed with garbage between.
const CHAIN: &str = r#"(module
    (type $box (struct (field $v i32) (field $next (ref null $box))))
    (type $boxes (array (mut (ref null $box))))
    (func $push (param $v i32) (param $next (ref null $box)) (result (ref $box))
        (drop (struct.new $box (i32.const -1) (ref.null $box)))
        (struct.new $box (local.get $v) (local.get $next)))
    (func (export "sum") (param $n i32) (result i32)
        (local $chain (ref null $box)) (local $sum i32)
        (loop $more
            (local.set $chain (call $push (local.get $n) (local.get $chain)))
            (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (loop $add
            (local.set $sum (i32.add (local.get $sum) (struct.get $box $v (local.get $chain))))
            (br_if $add (i32.eqz (ref.is_null (local.tee $chain (struct.get $box $next (local.get $chain)))))))
        (local.get $sum))
    (func (export "bulk") (result i32)
        ;; references under the operands of each bulk operation
        (local $to (ref $boxes))
        (struct.new $box (i32.const 5) (ref.null $box))
        (local.set $to (array.new $boxes (struct.new $box (i32.const 7) (ref.null $box)) (i32.const 3)))
        (array.copy $boxes $boxes (local.get $to) (i32.const 1)
            (array.new_fixed $boxes 2 (struct.new $box (i32.const 1) (ref.null $box)) (struct.new $box (i32.const 2) (ref.null $box)))
            (i32.const 0) (i32.const 2))
        (array.fill $boxes (local.get $to) (i32.const 2) (struct.new $box (i32.const 9) (ref.null $box)) (i32.const 1))
        (struct.get $box $v)
        (i32.mul (i32.const 1000))
        (i32.add (i32.mul (i32.const 100) (struct.get $box $v (array.get $boxes (local.get $to) (i32.const 0)))))
        (i32.add (i32.mul (i32.const 10) (struct.get $box $v (array.get $boxes (local.get $to) (i32.const 1)))))
        (i32.add (struct.get $box $v (array.get $boxes (local.get $to) (i32.const 2)))))
)"#;

#[test]
fn turns_change_nothing_but_when_things_happen() {
    for (name, engine) in yielding() {
        let (mut store, instance) = instance(&engine, CHAIN);
        for (export, args, expected) in [("sum", vec![Val::I32(12)], 78), ("bulk", vec![], 5719)] {
            store.set_fuel(PLENTY);
            let plain = func(&store, instance, export).call(&mut store, &args).unwrap();
            assert_eq!(i32_of(&plain), expected, "{name}");
            let used = PLENTY - store.fuel();
            for units in [1, 2, 3, 7, 1000] {
                store.set_fuel(PLENTY);
                let fiber = start(&mut store, instance, export, &args);
                let mut turns = 0;
                let result = loop {
                    match fiber.resume(&mut store, fuel(units)).unwrap() {
                        Turn::Yielded(why) => assert_eq!(why, Yield::Fuel, "{name}"),
                        Turn::Done(result) => break result.unwrap(),
                    }
                    turns += 1;
                    store.gc(CollectKind::Full).unwrap();
                };
                assert_eq!(i32_of(&result), expected, "{name} {export} {units}");
                assert_eq!(PLENTY - store.fuel(), used, "{name} {export} {units}: fuel");
                assert!(
                    units == 1000 || turns >= used / (units + 3),
                    "{name} {export} {units}: {turns} turns"
                );
            }
        }
        let stats = store.fiber_stats();
        let collects = engine.collector().constraints.collects;
        assert!(stats.yields > 40 && (!collects || stats.visits > 40), "{name}: {stats:?}");
        assert!(!engine.config().collector.contains("copying") || stats.moved > 40, "{name}: {stats:?}");
        assert_eq!(
            store.live_objects().unwrap().0,
            if collects { 0 } else { store.live_objects().unwrap().0 }
        );
        assert_eq!((store.live_handles(), store.suspended_fibers()), (0, 0), "{name}");
    }
}

#[test]
fn several_fibers_rest_at_once_and_end_in_any_order() {
    for (name, engine) in yielding() {
        let (mut store, instance) = instance(&engine, CHAIN);
        store.set_fuel(PLENTY);
        let sum = func(&store, instance, "sum");
        let mut fibers: Vec<(i32, Fiber)> =
            (3..9).map(|n| (n, Fiber::new(&mut store, sum, &[Val::I32(n)]).unwrap())).collect();
        let mut at = 0;
        while !fibers.is_empty() {
            at = (at + 5) % fibers.len();
            let (n, fiber) = fibers[at];
            if let Turn::Done(result) = fiber.resume(&mut store, fuel(2 + at as u64)).unwrap() {
                assert_eq!(i32_of(&result.unwrap()), n * (n + 1) / 2, "{name}");
                fibers.remove(at);
                assert_eq!(
                    misuse(&fiber.resume(&mut store, Slice::default()).unwrap_err()),
                    FiberMisuse::Ended
                );
            }
            store.gc(if at % 2 == 0 { CollectKind::Full } else { CollectKind::Minor }).unwrap();
            store.verify_heap().unwrap();
        }
    }
}

#[test]
fn a_turn_yields_at_the_same_fuel_everywhere() {
    let mut seen: Option<Vec<u64>> = None;
    for (name, engine) in yielding() {
        let (mut store, instance) = instance(&engine, CHAIN);
        store.set_fuel(PLENTY);
        let mut left = Vec::new();
        for export in ["sum", "bulk"] {
            let args = if export == "sum" { vec![Val::I32(5)] } else { vec![] };
            let fiber = start(&mut store, instance, export, &args);
            while let Turn::Yielded(_) = fiber.resume(&mut store, fuel(2)).unwrap() {
                left.push(PLENTY - store.fuel());
            }
        }
        assert_eq!(seen.get_or_insert(left.clone()), &left, "{name}");
    }
    assert!(seen.unwrap().len() > 8);
}

#[test]
fn out_of_fuel_ends_a_fiber_whatever_its_turn() {
    for (name, engine) in yielding() {
        let (mut store, instance) = instance(&engine, CHAIN);
        for (budget, slice) in [(5, fuel(1000)), (5, fuel(2)), (5, fuel(5)), (5, Slice::default())] {
            store.set_fuel(budget);
            let fiber = start(&mut store, instance, "sum", &[Val::I32(100)]);
            let (_, result) = until_it_ends(&mut store, fiber, slice);
            assert_eq!(result.unwrap_err().exhausted(), Some(Resource::Fuel), "{name} {slice:?}");
            assert_eq!(store.fuel(), 0, "{name} {slice:?}");
        }
    }
}

#[test]
fn epochs_end_turns() {
    for (name, engine) in yielding() {
        let (mut store, instance) = instance(&engine, CHAIN);
        store.set_fuel(PLENTY);
        let sum = func(&store, instance, "sum");
        let epochs = store.epoch_handle();
        let fiber = Fiber::new(&mut store, sum, &[Val::I32(4)]).unwrap();
        let two = Slice { fuel: Some(1), epochs: Some(2) };
        assert!(matches!(fiber.resume(&mut store, two).unwrap(), Turn::Yielded(Yield::Fuel)));
        // Passed epochs do not count while it rests.
        epochs.advance();
        epochs.advance();
        assert_eq!(store.epoch(), 2);
        let turn = fiber.resume(&mut store, Slice { fuel: None, epochs: Some(1) }).unwrap();
        assert!(matches!(turn, Turn::Done(Ok(_))), "{name}");
        // Another thread's clock ends a loop that would not end.
        let (mut store, forever) =
            common::instance(&engine, r#"(module (func (export "f") (loop $l (br $l))))"#);
        store.set_fuel(u64::MAX);
        let fiber = start(&mut store, forever, "f", &[]);
        let clock = store.epoch_handle();
        // It may tick before the turn begins, so it ticks until the turn is over.
        let done = Arc::new(AtomicU32::new(0));
        let over = done.clone();
        let thread = std::thread::spawn(move || {
            while over.load(Relaxed) == 0 {
                std::thread::sleep(std::time::Duration::from_millis(1));
                clock.advance();
            }
        });
        let turn = fiber.resume(&mut store, Slice { fuel: None, epochs: Some(1) }).unwrap();
        assert!(matches!(turn, Turn::Yielded(Yield::Epoch)), "{name}");
        done.store(1, Relaxed);
        thread.join().unwrap();
        fiber.cancel(&mut store).unwrap();
    }
}

/// `walk(n)` keeps a box of n, asks the host, and adds n: recursion through the host n levels deep.
const WALK: &str = r#"(module
    (type $box (struct (field $v i32)))
    (tag $e (export "e") (param (ref $box)))
    (import "host" "step" (func $step (param i32 anyref) (result i32)))
    (func (export "walk") (param $n i32) (result i32)
        (local $mine (ref $box))
        (local.set $mine (struct.new $box (local.get $n)))
        (i32.add (call $step (local.get $n) (local.get $mine)) (struct.get $box $v (local.get $mine))))
    (func (export "throwing") (param $n i32) (result i32)
        (local $mine (ref $box))
        (local.set $mine (struct.new $box (local.get $n)))
        (i32.add (struct.get $box $v (local.get $mine))
            (struct.get $box $v (block $caught (result (ref $box))
                (try_table (catch $e $caught)
                    (drop (call $step (local.get $n) (local.get $mine))))
                (unreachable)))))
    (func (export "throw") (param anyref) (throw $e (ref.cast (ref $box) (local.get 0))))
    (func $deep (export "deep") (param i32) (result i32)
        (if (result i32) (i32.eqz (local.get 0))
            (then (call $step (i32.const 0) (ref.null any)))
            (else (i32.add (call $deep (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))))
)"#;

fn anyref() -> ValType {
    ValType::Ref(RefType { nullable: true, heap: HeapType::Abstract(AbstractHeapType::Any) })
}

type Step = dyn Fn(&mut Caller<'_>, Instance, i32, &Val) -> Result<i32, Error> + Send + Sync;

fn walker(engine: &Engine, step: Arc<Step>) -> (Store, Instance) {
    let mut store = Store::new(engine).unwrap();
    let target: Arc<std::sync::OnceLock<Instance>> = Arc::default();
    let ty = FuncType { params: [ValType::I32, anyref()].into(), results: [ValType::I32].into() };
    let known = target.clone();
    let host = Func::new(&mut store, ty, move |caller, args, results| {
        let Val::I32(n) = args[0] else { panic!("types are checked") };
        let instance = *known.get().unwrap();
        results.push(Val::I32(step(caller, instance, n, &args[1])?));
        Ok(())
    })
    .unwrap();
    let module = module(engine, WALK);
    let instance = Instance::new(&mut store, &module, &[Extern::Func(host)]).unwrap();
    target.set(instance).unwrap();
    store.set_fuel(PLENTY);
    (store, instance)
}

fn call(caller: &mut Caller<'_>, instance: Instance, name: &str, args: &[Val]) -> Result<i32, Error> {
    let found = instance.exported_func(caller, name)?;
    Ok(i32_of(&found.call(caller, args)?))
}

/// Suspends at each level on the way down and up.
fn down_and_up() -> Arc<Step> {
    Arc::new(|caller, instance, n, mine| {
        caller.suspend()?;
        let below = if n > 0 { call(caller, instance, "walk", &[Val::I32(n - 1)])? } else { 0 };
        caller.suspend()?;
        let Val::AnyRef(Some(mine)) = mine else { panic!("a box is never null") };
        assert!(matches!(mine.field(caller, 0)?, Some(Val::I32(v)) if v == n));
        Ok(below)
    })
}

#[test]
fn nested_activations_of_several_fibers_are_roots() {
    for (name, engine) in yielding() {
        let (mut store, instance) = walker(&engine, down_and_up());
        let walk = func(&store, instance, "walk");
        let mut fibers: Vec<Option<(i32, Fiber)>> =
            (2..6).map(|n| Some((n, Fiber::new(&mut store, walk, &[Val::I32(n)]).unwrap()))).collect();
        let mut host_yields = 0;
        while fibers.iter().any(Option::is_some) {
            for slot in &mut fibers {
                let Some((n, fiber)) = *slot else { continue };
                match fiber.resume(&mut store, Slice::default()).unwrap() {
                    Turn::Yielded(why) => {
                        assert_eq!(why, Yield::Host, "{name}");
                        host_yields += 1;
                    }
                    Turn::Done(result) => {
                        assert_eq!(i32_of(&result.unwrap()), n * (n + 1) / 2, "{name}");
                        *slot = None;
                    }
                }
                store.gc(CollectKind::Full).unwrap();
            }
        }
        assert_eq!(host_yields, 2 * (3 + 4 + 5 + 6), "{name}");
        assert_eq!((store.live_handles(), store.suspended_fibers()), (0, 0), "{name}");
    }
}

#[test]
fn one_fiber_resumes_another_and_each_goes_back_to_its_resumer() {
    for (name, engine) in yielding() {
        let inner: Arc<std::sync::Mutex<Option<Fiber>>> = Arc::default();
        let shared = inner.clone();
        let step: Arc<Step> = Arc::new(move |caller, _, n, _| {
            if n >= 100 {
                caller.suspend()?;
                return Ok(0);
            }
            let fiber = shared.lock().unwrap().expect("set below");
            let got = match fiber.resume(caller, Slice::default())? {
                Turn::Yielded(Yield::Host) => 1000,
                Turn::Done(result) => i32_of(&result?),
                other @ Turn::Yielded(_) => panic!("{other:?}"),
            };
            caller.gc(CollectKind::Full)?;
            caller.suspend()?;
            Ok(got)
        });
        let (mut store, instance) = walker(&engine, step);
        let walk = func(&store, instance, "walk");
        *inner.lock().unwrap() = Some(Fiber::new(&mut store, walk, &[Val::I32(100)]).unwrap());
        let outer: Vec<Fiber> =
            (1..3).map(|n| Fiber::new(&mut store, walk, &[Val::I32(n)]).unwrap()).collect();
        let mut results = Vec::new();
        for &fiber in &outer {
            let turn = fiber.resume(&mut store, Slice::default()).unwrap();
            assert!(matches!(turn, Turn::Yielded(Yield::Host)), "{name}");
        }
        for fiber in outer {
            let Turn::Done(result) = fiber.resume(&mut store, Slice::default()).unwrap() else {
                panic!("{name}")
            };
            results.push(i32_of(&result.unwrap()));
        }
        assert_eq!(results, [1001, 102], "{name}");
    }
}

#[test]
fn a_fiber_that_waits_for_another_cannot_be_resumed() {
    let engine = Engine::new(Config { fuel: true, yields: true, ..Config::default() }).unwrap();
    let own: Arc<std::sync::Mutex<Option<Fiber>>> = Arc::default();
    let shared = own.clone();
    let step: Arc<Step> = Arc::new(move |caller, _, _, _| {
        let fiber = shared.lock().unwrap().expect("set below");
        assert_eq!(misuse(&fiber.resume(caller, Slice::default()).unwrap_err()), FiberMisuse::Running);
        assert_eq!(misuse(&fiber.cancel(caller).unwrap_err()), FiberMisuse::Running);
        Ok(0)
    });
    let (mut store, instance) = walker(&engine, step);
    let fiber = start(&mut store, instance, "walk", &[Val::I32(1)]);
    *own.lock().unwrap() = Some(fiber);
    let (_, result) = until_it_ends(&mut store, fiber, Slice::default());
    assert_eq!(i32_of(&result.unwrap()), 1);
    // The same code outside of a fiber.
    let direct = start(&mut store, instance, "walk", &[Val::I32(1)]);
    *own.lock().unwrap() = Some(direct);
    direct.cancel(&mut store).unwrap();
    assert_eq!(misuse(&direct.cancel(&mut store).unwrap_err()), FiberMisuse::Ended);
}

#[test]
fn cancelling_unwinds_every_level_and_leaves_the_store_whole() {
    for (name, engine) in yielding() {
        for turns in 0..9 {
            let drops = Arc::new(AtomicU32::new(0));
            struct Count(Arc<AtomicU32>);
            impl Drop for Count {
                fn drop(&mut self) {
                    self.0.fetch_add(1, Relaxed);
                }
            }
            let counted = drops.clone();
            let made = Arc::new(AtomicU32::new(0));
            let counter = made.clone();
            let inside = down_and_up();
            let step: Arc<Step> = Arc::new(move |caller, instance, n, mine| {
                counter.fetch_add(1, Relaxed);
                let _held = Count(counted.clone());
                inside(caller, instance, n, mine)
            });
            let (mut store, instance) = walker(&engine, step);
            let walk = func(&store, instance, "walk");
            let (gone, stays) = (
                Fiber::new(&mut store, walk, &[Val::I32(4)]).unwrap(),
                Fiber::new(&mut store, walk, &[Val::I32(1)]).unwrap(),
            );
            stays.resume(&mut store, Slice::default()).unwrap();
            for _ in 0..turns {
                gone.resume(&mut store, Slice::default()).unwrap();
            }
            gone.cancel(&mut store).unwrap();
            assert_eq!(made.load(Relaxed) - 1, drops.load(Relaxed), "{name}: only the other one's is held");
            assert_eq!(store.suspended_fibers(), 1, "{name}");
            let (_, result) = until_it_ends(&mut store, stays, Slice::default());
            assert_eq!(i32_of(&result.unwrap()), 1, "{name}");
            assert_eq!(store.live_handles(), 0, "{name} after {turns}");
            if engine.collector().constraints.collects {
                assert_eq!(store.live_objects().unwrap().0, 0, "{name} after {turns}");
            }
        }
    }
}

#[test]
fn a_dropped_store_cancels_what_rests() {
    for (name, engine) in yielding() {
        let seen = Arc::new(AtomicU32::new(0));
        let count = seen.clone();
        let step: Arc<Step> = Arc::new(move |caller, _, _, _| {
            let error = caller.suspend().unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Cancelled));
            count.fetch_add(1, Relaxed);
            // It cannot wait again.
            assert!(matches!(caller.suspend().unwrap_err().kind(), ErrorKind::Cancelled));
            Err(error)
        });
        let (mut store, instance) = walker(&engine, step);
        let walk = func(&store, instance, "walk");
        for n in 0..5 {
            let fiber = Fiber::new(&mut store, walk, &[Val::I32(n)]).unwrap();
            if n != 4 {
                fiber.resume(&mut store, Slice::default()).unwrap();
            }
        }
        assert_eq!(store.suspended_fibers(), 4);
        drop(store);
        assert_eq!(seen.load(Relaxed), 4, "{name}");
    }
}

#[test]
fn exceptions_traps_errors_and_panics_leave_a_fiber_at_each_level() {
    for (name, engine) in yielding() {
        for what in 0..5 {
            let step: Arc<Step> = Arc::new(move |caller, instance, n, mine| {
                caller.suspend()?;
                caller.gc(CollectKind::Full)?;
                if n > 0 {
                    let below = call(caller, instance, "walk", &[Val::I32(n - 1)])?;
                    return Ok(below);
                }
                match what {
                    0 => call(caller, instance, "throw", std::slice::from_ref(mine)).map(|_| 0),
                    1 => Err(Error::host("no")),
                    2 => panic!("at the bottom"),
                    3 => call(caller, instance, "throw", &[Val::AnyRef(None)]),
                    _ => call(caller, instance, "deep", &[Val::I32(i32::MAX)]),
                }
            });
            let (mut store, instance) = walker(&engine, step);
            let fiber = start(&mut store, instance, "throwing", &[Val::I32(3)]);
            for _ in 0..4 {
                let turn = fiber.resume(&mut store, Slice::default()).unwrap();
                assert!(matches!(turn, Turn::Yielded(Yield::Host)), "{name}");
            }
            let last = catch_unwind(AssertUnwindSafe(|| fiber.resume(&mut store, Slice::default())));
            match (what, last) {
                (2, Err(payload)) => {
                    assert_eq!(payload.downcast_ref::<&str>(), Some(&"at the bottom"), "{name}");
                }
                // The thrown box is that of the innermost level, which holds 0.
                (0, Ok(Ok(Turn::Done(Ok(values))))) => assert_eq!(i32_of(&values), 3, "{name}"),
                (1, Ok(Ok(Turn::Done(Err(error))))) => {
                    assert!(matches!(error.kind(), ErrorKind::Host(_)), "{name}: {error}");
                    // Three of `walk` and one of `throwing`.
                    assert_eq!(
                        error.backtrace().iter().filter(|f| f.function.is_some()).count(),
                        4,
                        "{error}"
                    );
                }
                (3, Ok(Ok(Turn::Done(Err(error))))) => {
                    assert_eq!(error.trap(), Some(TrapCode::CastFailure), "{name}: {error}");
                }
                (4, Ok(Ok(Turn::Done(Err(error))))) => {
                    assert_eq!(error.exhausted(), Some(Resource::CallStack), "{name}: {error}");
                }
                (what, other) => panic!("{name} {what}: {other:?}"),
            }
            assert_eq!((store.suspended_fibers(), store.live_handles()), (0, 0), "{name} {what}");
            if engine.collector().constraints.collects {
                assert_eq!(store.live_objects().unwrap().0, 0, "{name} {what}");
            }
        }
    }
}

#[test]
fn a_fiber_goes_on_in_another_thread() {
    for (name, engine) in yielding() {
        let (mut store, chain) = instance(&engine, CHAIN);
        store.set_fuel(PLENTY);
        let fiber = start(&mut store, chain, "sum", &[Val::I32(3)]);
        let mut ended = None;
        while ended.is_none() {
            (store, ended) = std::thread::spawn(move || {
                store.gc(CollectKind::Full).unwrap();
                let turn = fiber.resume(&mut store, fuel(1)).unwrap();
                let ended = match turn {
                    Turn::Yielded(_) => None,
                    Turn::Done(result) => Some(i32_of(&result.unwrap())),
                };
                (store, ended)
            })
            .join()
            .unwrap();
        }
        assert_eq!(ended, Some(6), "{name}");
        // A trap by signal, of a fiber that started in another thread.
        let (mut store, trapping) = common::instance(
            &engine,
            r#"(module (memory 1)
                (func (export "f") (param i32) (result i32)
                    (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
                    (i32.load (i32.const 0x7fffffff))))"#,
        );
        store.set_fuel(PLENTY);
        let fiber = start(&mut store, trapping, "f", &[Val::I32(5)]);
        fiber.resume(&mut store, fuel(2)).unwrap();
        let error = std::thread::spawn(move || match fiber.resume(&mut store, Slice::default()).unwrap() {
            Turn::Done(result) => result.unwrap_err(),
            turn @ Turn::Yielded(_) => panic!("{turn:?}"),
        })
        .join()
        .unwrap();
        assert_eq!(error.trap(), Some(TrapCode::MemoryOutOfBounds), "{name}");
    }
}

#[test]
fn a_start_function_can_be_suspended_and_given_up() {
    for (name, engine) in yielding() {
        let text = r#"(module
            (type $box (struct (field i32)))
            (global $g (export "g") (mut anyref) (struct.new $box (i32.const 1)))
            (global $h (export "h") (mut i32) (i32.const 0))
            (func $start (local $i i32) (local $mine (ref $box))
                (local.set $mine (struct.new $box (i32.const 41)))
                (loop $l
                    (global.set $g (struct.new $box (local.get $i)))
                    (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 5))))
                (global.set $h (struct.get $box 0 (local.get $mine))))
            (start $start))"#;
        let module = module(&engine, text);
        for cancel_after in [None, Some(0), Some(1), Some(3)] {
            let mut store = Store::new(&engine).unwrap();
            store.set_fuel(PLENTY);
            let module = module.clone();
            let fiber = Fiber::of(&mut store, move |caller| {
                let instance = Instance::new(caller, &module, &[])?;
                let Some(Extern::Global(h)) = instance.export(caller, "h")? else { panic!("h is a global") };
                Ok(vec![h.get(caller)?])
            })
            .unwrap();
            let mut turns = 0;
            let result = loop {
                if cancel_after == Some(turns) {
                    fiber.cancel(&mut store).unwrap();
                    break None;
                }
                match fiber.resume(&mut store, fuel(1)).unwrap() {
                    Turn::Yielded(_) => store.gc(CollectKind::Full).unwrap(),
                    Turn::Done(result) => break Some(i32_of(&result.unwrap())),
                }
                turns += 1;
            };
            assert_eq!(result, cancel_after.is_none().then_some(41), "{name}");
            assert_eq!(store.live_handles(), 0, "{name}");
            store.gc(CollectKind::Full).unwrap();
            store.verify_heap().unwrap();
        }
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let plain = Engine::new(Config::default()).unwrap();
    let (mut store, chain) = instance(&plain, CHAIN);
    let sum = func(&store, chain, "sum");
    let fiber = Fiber::new(&mut store, sum, &[Val::I32(3)]).unwrap();
    for (slice, why) in [
        (fuel(0), FiberMisuse::EmptySlice),
        (Slice { fuel: None, epochs: Some(0) }, FiberMisuse::EmptySlice),
        (fuel(1), FiberMisuse::NoYields),
        (Slice { fuel: None, epochs: Some(1) }, FiberMisuse::NoYields),
    ] {
        assert_eq!(misuse(&fiber.resume(&mut store, slice).unwrap_err()), why);
    }
    assert!(matches!(fiber.resume(&mut store, Slice::default()).unwrap(), Turn::Done(Ok(_))));
    let mut other = Store::new(&plain).unwrap();
    let error = fiber.resume(&mut other, Slice::default()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Usage(Usage::WrongStore)));
    assert!(Fiber::new(&mut store, sum, &[]).is_err());
    // Outside of a fiber, and on another thread's stack.
    let engine = Engine::new(Config { max_fibers: 2, ..Config::default() }).unwrap();
    let step: Arc<Step> = Arc::new(|caller, _, n, _| {
        assert_eq!(caller.on_fiber(), n == 1);
        let elsewhere = std::thread::scope(|scope| scope.spawn(|| caller.suspend()).join().unwrap());
        assert_eq!(misuse(&elsewhere.unwrap_err()), FiberMisuse::NotOnFiber);
        if n == 0 {
            assert_eq!(misuse(&caller.suspend().unwrap_err()), FiberMisuse::NotOnFiber);
        }
        Ok(0)
    });
    let (mut store, instance) = walker(&engine, step);
    let walk = func(&store, instance, "walk");
    walk.call(&mut store, &[Val::I32(0)]).unwrap();
    let first = Fiber::new(&mut store, walk, &[Val::I32(1)]).unwrap();
    let _second = Fiber::new(&mut store, walk, &[Val::I32(1)]).unwrap();
    let third = Fiber::new(&mut store, walk, &[Val::I32(1)]).unwrap_err();
    assert_eq!(third.exhausted(), Some(Resource::Fibers));
    assert!(matches!(first.resume(&mut store, Slice::default()).unwrap(), Turn::Done(Ok(_))));
    Fiber::new(&mut store, walk, &[Val::I32(1)]).unwrap();
}

#[test]
fn a_host_functions_frame_stays_in_its_thread() {
    let engine = Engine::new(Config::default()).unwrap();
    let step: Arc<Step> = Arc::new(|caller, _, _, _| {
        // Counted without locks: it must not go to another thread.
        let local = std::rc::Rc::new(5);
        let other = local.clone();
        caller.suspend()?;
        Ok(*local + *other)
    });
    let (mut store, instance) = walker(&engine, step);
    let fiber = start(&mut store, instance, "walk", &[Val::I32(1)]);
    fiber.resume(&mut store, Slice::default()).unwrap();
    let mut store = std::thread::spawn(move || {
        for error in
            [fiber.resume(&mut store, Slice::default()).unwrap_err(), fiber.cancel(&mut store).unwrap_err()]
        {
            assert_eq!(misuse(&error), FiberMisuse::OtherThread);
        }
        store
    })
    .join()
    .unwrap();
    let (_, result) = until_it_ends(&mut store, fiber, Slice::default());
    assert_eq!(i32_of(&result.unwrap()), 11);
    // A store that is dropped elsewhere leaves it alone.
    let again = start(&mut store, instance, "walk", &[Val::I32(1)]);
    again.resume(&mut store, Slice::default()).unwrap();
    std::thread::spawn(move || drop(store)).join().unwrap();
}

#[test]
fn a_panic_while_a_store_is_dropped_comes_after_all_have_ended() {
    for (name, engine) in yielding() {
        let ended = Arc::new(AtomicU32::new(0));
        let count = ended.clone();
        let step: Arc<Step> = Arc::new(move |caller, instance, n, _| {
            let Err(error) = caller.suspend() else { panic!("it is given up") };
            count.fetch_add(1, Relaxed);
            if n == 1 {
                panic!("on the way out");
            }
            // Nothing new begins.
            let walk = instance.exported_func(caller, "walk")?;
            let refused = Fiber::new(caller, walk, &[Val::I32(0)]).unwrap_err();
            assert_eq!(misuse(&refused), FiberMisuse::Closing);
            Err(error)
        });
        let (mut store, instance) = walker(&engine, step);
        for n in [0, 1, 2, 1, 3] {
            let fiber = start(&mut store, instance, "walk", &[Val::I32(n)]);
            fiber.resume(&mut store, Slice::default()).unwrap();
        }
        let payload = catch_unwind(AssertUnwindSafe(|| drop(store))).unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"on the way out"), "{name}");
        assert_eq!(ended.load(Relaxed), 5, "{name}");
    }
}

#[test]
fn a_body_that_panics_when_dropped_leaves_the_store_whole() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let engine = Engine::new(Config { max_fibers: 1, ..Config::default() }).unwrap();
    let (mut store, chain) = instance(&engine, CHAIN);
    for _ in 0..3 {
        let bomb = Bomb;
        let fiber = Fiber::of(&mut store, move |_| {
            let _held = bomb;
            Ok(Vec::new())
        })
        .unwrap();
        let payload = catch_unwind(AssertUnwindSafe(|| fiber.cancel(&mut store))).unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"dropped"));
        assert!(!fiber.is_resting(&store));
    }
    assert_eq!(store.live_objects().unwrap().0, 0);
    let sum = func(&store, chain, "sum");
    assert_eq!(i32_of(&sum.call(&mut store, &[Val::I32(4)]).unwrap()), 10);
}

#[test]
fn fuel_that_is_set_within_a_turn_does_not_lengthen_it() {
    for (name, engine) in yielding() {
        for given in [u64::MAX, PLENTY, 3] {
            let step: Arc<Step> = Arc::new(move |caller, instance, n, _| {
                caller.set_fuel(given);
                assert_eq!(caller.fuel(), given.min(i64::MAX as u64));
                if n == 0 { Ok(0) } else { call(caller, instance, "walk", &[Val::I32(n - 1)]) }
            });
            let (mut store, instance) = walker(&engine, step);
            let fiber = start(&mut store, instance, "walk", &[Val::I32(9)]);
            let (yields, result) = until_it_ends(&mut store, fiber, fuel(2));
            assert_eq!(i32_of(&result.unwrap()), 45, "{name}");
            // Ten calls of one unit each, two a turn; the last turn needs no more.
            assert_eq!(yields, [Yield::Fuel; 4], "{name} {given}");
        }
        // A turn that one operation has overdrawn far.
        let (mut store, bulk) = common::instance(
            &engine,
            r#"(module (type $a (array (mut i32)))
                (func (export "f") (param i32) (result i32)
                    (local $a (ref $a))
                    (local.set $a (array.new $a (i32.const 1) (i32.const 100)))
                    (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
                    (array.len (local.get $a))))"#,
        );
        store.set_fuel(PLENTY);
        let fiber = start(&mut store, bulk, "f", &[Val::I32(1)]);
        assert!(matches!(fiber.resume(&mut store, fuel(10)).unwrap(), Turn::Yielded(Yield::Fuel)), "{name}");
        assert_eq!(PLENTY - store.fuel(), 101, "{name}");
        store.set_fuel(u64::MAX);
        let (yields, result) = until_it_ends(&mut store, fiber, fuel(10));
        assert_eq!((yields.len(), i32_of(&result.unwrap())), (0, 100), "{name}");
    }
}

#[test]
fn an_exception_waits_in_a_host_function_while_others_collect() {
    for (name, engine) in yielding() {
        for given_up in [false, true] {
            let step: Arc<Step> = Arc::new(|caller, instance, _, mine| {
                let error = call(caller, instance, "throw", std::slice::from_ref(mine)).unwrap_err();
                assert!(error.exception().is_some());
                // Nothing but the error holds it now.
                caller.suspend()?;
                Err(error)
            });
            let (mut store, instance) = walker(&engine, step);
            let fiber = start(&mut store, instance, "throwing", &[Val::I32(21)]);
            let turn = fiber.resume(&mut store, Slice::default()).unwrap();
            assert!(matches!(turn, Turn::Yielded(Yield::Host)), "{name}");
            let sibling = start(&mut store, instance, "deep", &[Val::I32(30)]);
            sibling.resume(&mut store, fuel(12)).unwrap();
            store.gc(CollectKind::Full).unwrap();
            store.gc(CollectKind::Slice { objects: 1 }).unwrap();
            sibling.cancel(&mut store).unwrap();
            if given_up {
                fiber.cancel(&mut store).unwrap();
            } else {
                let (_, result) = until_it_ends(&mut store, fiber, Slice::default());
                assert_eq!(i32_of(&result.unwrap()), 42, "{name}");
            }
            assert_eq!((store.suspended_fibers(), store.live_handles()), (0, 0), "{name}");
            if engine.collector().constraints.collects {
                assert_eq!(store.live_objects().unwrap().0, 0, "{name} {given_up}");
            }
        }
    }
}
