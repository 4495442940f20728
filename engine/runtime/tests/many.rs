//! Many stores, many threads, and that nothing of them stays.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use assay_runtime::*;
use common::*;

/// Builds a list of `n` structs of a type that depends on `salt`, sums it, and traps in the end on odd salts.
fn text(salt: u32) -> String {
    let extra = "(field i64)".repeat((salt % 5) as usize);
    let zeros = "(i64.const 1)".repeat((salt % 5) as usize);
    format!(
        r#"(module
            (rec (type $n (struct (field i32) (field (ref null $n)) {extra})) (type $other{salt} (array (mut i{}))))
            (memory 1)
            (table 10 funcref)
            (func (export "f") (param i32) (result i32) (local $at (ref null $n)) (local $sum i32)
                (loop $l
                    (local.set $at (struct.new $n (local.get 0) (local.get $at) {zeros}))
                    (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
                    (br_if $l (local.get 0)))
                (loop $l
                    (local.set $sum (i32.add (local.get $sum) (struct.get $n 0 (local.get $at))))
                    (local.set $at (struct.get $n 1 (local.get $at)))
                    (br_if $l (i32.eqz (ref.is_null (local.get $at)))))
                (i32.store (i32.const 8) (local.get $sum))
                (i32.load (i32.const 8)))
            (func (export "trap") (i32.store (i32.const -1) (i32.const {salt}))))"#,
        [8, 16, 32, 64][(salt % 4) as usize]
    )
}

fn one_case(engine: &Engine, bytes: &[u8]) {
    let mut store = Store::new(engine).unwrap();
    let module = Module::new(engine, bytes).unwrap();
    let ty = FuncType { params: [ValType::I32].into(), results: [].into() };
    Func::new(&mut store, ty, |_, _, _| Ok(())).unwrap();
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let f = func(&store, instance, "f");
    assert_eq!(i32_of(&f.call(&mut store, &[Val::I32(100)]).unwrap()), 5050);
    let error = func(&store, instance, "trap").call(&mut store, &[]).unwrap_err();
    assert_eq!(error.trap(), Some(TrapCode::MemoryOutOfBounds));
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4
}

/// All collectors in two threads, each with its own engines: what a process holds is measured when both have done a tenth of
/// their cases, and in the end.
#[test]
fn ten_thousand_stores_leave_nothing() {
    let sources: Vec<Vec<u8>> = (0..40).map(|salt| wat::parse_str(text(salt)).unwrap()).collect();
    let engines: Vec<(&str, Engine)> = assay_gc::registry()
        .iter()
        .map(|entry| {
            let name = entry.constraints.name;
            let config = Config {
                collector: name.to_owned(),
                opt: OptLevel::None,
                regalloc: RegAlloc::SinglePass,
                verifier: false,
                ..Config::default()
            };
            (name, Engine::new(config).unwrap())
        })
        .collect();
    let types: Vec<usize> = engines.iter().map(|(_, engine)| engine.types().live_types()).collect();
    let cases = if cfg!(debug_assertions) { 1_000 } else { 10_000 };
    let run = |range: std::ops::Range<usize>| {
        std::thread::scope(|scope| {
            for half in engines.chunks(engines.len().div_ceil(2)) {
                let (sources, range) = (&sources, range.clone());
                scope.spawn(move || {
                    for (case, (_, engine)) in range.flat_map(|case| half.iter().map(move |e| (case, e))) {
                        one_case(engine, &sources[case % sources.len()]);
                    }
                });
            }
        });
        resident_kib()
    };
    let early = run(0..cases / 10);
    let late = run(cases / 10..cases);
    for ((name, engine), before) in engines.iter().zip(types) {
        assert_eq!(engine.types().live_types(), before, "{name}");
    }
    assert!(late <= early + early / 10 + 1024, "{early} KiB, later {late} KiB");
}

#[test]
fn threads_share_an_engine_and_a_module() {
    for (_, engine) in engines(|config| config.verifier = false) {
        let shared = module(&engine, &text(3));
        std::thread::scope(|scope| {
            for thread in 0..8u32 {
                let (engine, shared) = (&engine, &shared);
                scope.spawn(move || {
                    let own = wat::parse_str(text(thread)).unwrap();
                    for _ in 0..5 {
                        let mut store = Store::new(engine).unwrap();
                        let instance = Instance::new(&mut store, shared, &[]).unwrap();
                        let f = func(&store, instance, "f");
                        assert_eq!(i32_of(&f.call(&mut store, &[Val::I32(50)]).unwrap()), 1275);
                        one_case(engine, &own);
                    }
                });
            }
        });
    }
}

#[test]
fn a_store_moves_between_threads() {
    for (name, engine) in engines(|_| {}) {
        let (mut store, instance) = instance(&engine, &text(1));
        let f = func(&store, instance, "f");
        for _ in 0..4 {
            store = std::thread::spawn(move || {
                assert_eq!(i32_of(&f.call(&mut store, &[Val::I32(50)]).unwrap()), 1275);
                store
            })
            .join()
            .unwrap();
        }
        assert_eq!(store.live_objects().unwrap().0, 0, "{name}");
    }
}

#[test]
fn many_stores_live_at_once() {
    let (_, engine) = engines(|_| {}).remove(5);
    let module = module(&engine, &text(2));
    let mut stores: Vec<(Store, Instance)> = (0..200)
        .map(|_| {
            let mut store = Store::new(&engine).unwrap();
            let instance = Instance::new(&mut store, &module, &[]).unwrap();
            (store, instance)
        })
        .collect();
    for (store, instance) in &mut stores {
        let f = func(store, *instance, "f");
        assert_eq!(i32_of(&f.call(store, &[Val::I32(10)]).unwrap()), 55);
    }
}
