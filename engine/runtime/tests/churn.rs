//! Dead cycles are reclaimed: ten million objects in rings of 64 pass through a heap of 16 MiB.

use assay_runtime::{Config, Engine, Instance, Module, OptLevel, Store, Val};

const PROGRAM: &str = include_str!("../benches/programs/rings.wat");
const HEAP: u64 = 16 << 20;
/// Rings of 64; the unoptimised collectors get a tenth.
const RINGS: i32 = if cfg!(debug_assertions) { 15_625 } else { 156_250 };

#[test]
fn rings_in_a_fixed_heap() {
    let wasm = wat::parse_str(PROGRAM).unwrap();
    let mut sums = Vec::new();
    for entry in assay_gc::registry() {
        let name = entry.constraints.name;
        let config = Config {
            collector: name.to_owned(),
            opt: OptLevel::None,
            gc_heap_max: if entry.constraints.collects { HEAP } else { 1 << 30 },
            ..Config::default()
        };
        let engine = Engine::new(config).unwrap();
        let mut store = Store::new(&engine).unwrap();
        let instance = Instance::new(&mut store, &Module::new(&engine, &wasm).unwrap(), &[]).unwrap();
        let run = instance.exported_func(&store, "run").unwrap();
        let result = run.call(&mut store, &[Val::I32(RINGS)]).unwrap();
        sums.push(format!("{result:?}"));
        let stats = store.heap_stats();
        assert!(stats.bytes_allocated >= 64 * 24 * RINGS as u64, "{name}: {stats:?}");
        if entry.constraints.collects {
            assert!(stats.collections > 0 && store.heap_used() <= HEAP, "{name}: {stats:?}");
            assert_eq!(store.live_objects().unwrap(), (0, 0), "{name}");
        }
    }
    assert!(sums.windows(2).all(|pair| pair[0] == pair[1]), "{sums:?}");
}
