//! Criterion groups `switch` (a turn of a fiber: there and back), `collect` (a full collection with suspended frames that
//! hold a reference each) and `call_async` (beside Wasmtime, in one run). `cargo bench -p assay-runtime-benches` (ideally
//! on an idle machine).

use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use assay_runtime::{
    CollectKind, Config, Engine, Extern, Fiber, Func, FuncType, Instance, Module, Slice, Store, Turn, Val,
};
use assay_runtime_benches::{CALLS, DEEP, ENDLESS};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};

fn nothing() -> FuncType {
    FuncType { params: Box::default(), results: Box::default() }
}

fn instance(store: &mut Store, text: &str, host: Func) -> Instance {
    let bytes = wat::parse_str(text).expect("valid text");
    let module = Module::new(store.engine(), &bytes).expect("a module");
    Instance::new(store, &module, &[Extern::Func(host)]).expect("an instance")
}

/// A store with an instance whose import suspends the fiber it is called on.
fn suspending(config: Config, text: &str) -> (Store, Instance) {
    let mut store = Store::new(&Engine::new(config).expect("an engine")).expect("a store");
    store.set_fuel(1 << 62);
    let pause = Func::new(&mut store, nothing(), |caller, _, _| caller.suspend()).expect("a host function");
    let instance = instance(&mut store, text, pause);
    (store, instance)
}

/// Gives a turn to a fiber that does not end.
fn turn(store: &mut Store, fiber: Fiber, slice: Slice) {
    let turn = fiber.resume(store, slice).expect("a turn");
    assert!(matches!(turn, Turn::Yielded(_)), "{turn:?}");
}

fn switch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("switch");
    for (name, yields, function, slice) in [
        ("host function", false, "host", Slice::default()),
        ("host function, code that counts fuel", true, "host", Slice::default()),
        ("fuel", true, "spin", Slice { fuel: Some(1), epochs: None }),
    ] {
        let config = Config { fuel: yields, yields, ..Config::default() };
        let (mut store, instance) = suspending(config, ENDLESS);
        let function = instance.exported_func(&store, function).expect("a function");
        let fiber = Fiber::new(&mut store, function, &[]).expect("a fiber");
        group.bench_function(name, |bencher| bencher.iter(|| turn(&mut store, fiber, slice)));
        fiber.cancel(&mut store).expect("it rests");
    }
    group.finish();
}

fn collect(criterion: &mut Criterion) {
    for collector in ["copying", "marksweep"] {
        let mut group = criterion.benchmark_group(format!("collect/{collector}"));
        for frames in [0, 100, 1000] {
            let config = Config { collector: collector.to_owned(), ..Config::default() };
            let (mut store, instance) = suspending(config, DEEP);
            let down = instance.exported_func(&store, "down").expect("a function");
            // No frame at all is one of a fiber that has not started.
            let fiber = Fiber::new(&mut store, down, &[Val::I32(frames)]).expect("a fiber");
            if frames > 0 {
                turn(&mut store, fiber, Slice::default());
            }
            group.bench_function(format!("{frames} frames"), |bencher| {
                bencher.iter(|| store.gc(CollectKind::Full).expect("a collection"));
            });
            fiber.cancel(&mut store).expect("it rests");
        }
        group.finish();
    }
}

/// Ready when it has been polled so many times.
struct Polls(u32);

impl Future for Polls {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        self.0 -= 1;
        if self.0 == 0 { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Polls it until it is ready.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

fn call_async(criterion: &mut Criterion) {
    for (name, function, polls) in [
        ("empty function", "empty", 1),
        ("ready future", "wait", 1),
        ("future that is pending once", "wait", 2),
    ] {
        let mut group = criterion.benchmark_group(format!("call_async/{name}"));
        ours(&mut group, function, polls);
        theirs(&mut group, function, polls);
        group.finish();
    }
}

fn ours(group: &mut BenchmarkGroup<'_, WallTime>, function: &str, polls: u32) {
    let mut store = Store::new(&Engine::new(Config::default()).expect("an engine")).expect("a store");
    let wait = Func::new_async(&mut store, nothing(), move |_, _| {
        Box::pin(async move {
            Polls(polls).await;
            Ok(Vec::new())
        })
    })
    .expect("a host function");
    let instance = instance(&mut store, CALLS, wait);
    let function = instance.exported_func(&store, function).expect("a function");
    group.bench_function("assay", |bencher| {
        bencher.iter(|| {
            let call = function.call_async(&mut store, black_box(&[])).expect("a fiber");
            block_on(call).expect("no results")
        });
    });
}

fn theirs(group: &mut BenchmarkGroup<'_, WallTime>, function: &str, polls: u32) {
    let engine = wasmtime::Engine::default();
    let module =
        wasmtime::Module::new(&engine, wat::parse_str(CALLS).expect("valid text")).expect("a module");
    let mut store = wasmtime::Store::new(&engine, ());
    let mut linker = wasmtime::Linker::new(&engine);
    linker.func_wrap_async("host", "wait", move |_, ()| Box::new(Polls(polls))).expect("a host function");
    let instance = block_on(linker.instantiate_async(&mut store, &module)).expect("an instance");
    let function = instance.get_func(&mut store, function).expect("a function");
    group.bench_function("wasmtime", |bencher| {
        bencher.iter(|| {
            block_on(function.call_async(&mut store, black_box(&[]), &mut [])).expect("no results");
        });
    });
}

criterion_group!(benches, switch, collect, call_async);
criterion_main!(benches);
