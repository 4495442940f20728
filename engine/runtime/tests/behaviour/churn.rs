//! The programs that collectors are measured with (`ci/measure-collectors.sh`), small, in heaps that make them collect:
//! every collector gives the same results. Dead cycles are reclaimed: ten million objects in rings of 64 pass through
//! a heap of 16 MiB.

use assay_runtime::{Config, Engine, Instance, Module, OptLevel, Store, Val};

/// Runs `program` with `argument` on every collector in a heap of `heap` bytes, with an initial size of `initial`, and
/// compares the results; then `after` looks at each collector's store.
fn on_every_collector(
    program: &str,
    argument: i32,
    (initial, heap): (u64, u64),
    mut after: impl FnMut(&str, &mut Store),
) {
    let wasm = wat::parse_str(program).unwrap();
    let mut results = Vec::new();
    for entry in assay_gc::registry() {
        let name = entry.constraints.name;
        let config = Config {
            collector: name.to_owned(),
            opt: OptLevel::None,
            gc_heap_initial: initial,
            gc_heap_max: if entry.constraints.collects { heap } else { 1 << 30 },
            ..Config::default()
        };
        let engine = Engine::new(config).unwrap();
        let mut store = Store::new(&engine).unwrap();
        let instance = Instance::new(&mut store, &Module::new(&engine, &wasm).unwrap(), &[]).unwrap();
        let run = instance.exported_func(&store, "run").unwrap();
        let result = run.call(&mut store, &[Val::I32(argument)]).unwrap();
        results.push(format!("{result:?}"));
        if entry.constraints.collects {
            let stats = store.heap_stats();
            assert!(stats.collections > 0 && store.heap_used() <= heap, "{name}: {stats:?}");
            assert_eq!(store.pauses().count(), stats.collections, "{name}: {stats:?}");
        }
        after(name, &mut store);
    }
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{results:?}");
}

#[test]
fn rings_in_a_fixed_heap() {
    // The unoptimised collectors get a tenth.
    let rings = if cfg!(debug_assertions) { 15_625 } else { 156_250 };
    let program = include_str!("../../benches/programs/rings.wat");
    on_every_collector(program, rings, (1 << 20, 16 << 20), |name, store| {
        let stats = store.heap_stats();
        assert!(stats.bytes_allocated >= 64 * 24 * rings as u64, "{name}: {stats:?}");
        assert_eq!(store.live_objects().unwrap(), (0, 0), "{name}");
    });
}

#[test]
fn trees_in_a_small_heap() {
    // What lives on is one tree of depth 10, of two words and a header a node.
    let nodes = (1 << 11) - 1;
    on_every_collector(
        include_str!("../../benches/programs/trees.wat"),
        10,
        (1 << 16, 1 << 18),
        |name, store| {
            assert_eq!(store.live_objects().unwrap(), (nodes, nodes * 16), "{name}");
        },
    );
}

#[test]
fn table_in_a_small_heap() {
    // The table hangs on a local; the large array, on a global.
    on_every_collector(
        include_str!("../../benches/programs/table.wat"),
        20_000,
        (1 << 18, 4 << 20),
        |name, store| {
            assert_eq!(store.live_objects().unwrap().0, 1, "{name}");
        },
    );
}
