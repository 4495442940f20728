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

#[test]
fn ten_thousand_stores_leave_nothing() {
    let sources: Vec<Vec<u8>> = (0..40).map(|salt| wat::parse_str(text(salt)).unwrap()).collect();
    for entry in assay_gc::registry() {
        let engine = Engine::new(Config {
            collector: entry.constraints.name.to_owned(),
            opt: OptLevel::None,
            regalloc: RegAlloc::SinglePass,
            verifier: false,
            ..Config::default()
        })
        .unwrap();
        let base = engine.types().live_types();
        let cases = if cfg!(debug_assertions) { 1_000 } else { 10_000 };
        let mut early = 0;
        for case in 0..cases {
            one_case(&engine, &sources[case % sources.len()]);
            if case == cases / 10 {
                early = resident_kib();
            }
        }
        assert_eq!(engine.types().live_types(), base, "{}", entry.constraints.name);
        let late = resident_kib();
        assert!(
            late <= early + early / 10 + 1024,
            "{}: {early} KiB, later {late} KiB",
            entry.constraints.name
        );
    }
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
