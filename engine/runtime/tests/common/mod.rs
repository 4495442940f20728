//! Shared by the behaviour tests: engines of every configuration, and modules from text.
#![allow(dead_code, reason = "each test binary uses its part")]

use assay_runtime::{Config, Engine, Extern, Func, Instance, Module, OptLevel, RegAlloc, Store, Stress, Val};

/// Engines of every collector, optimisation level and stress mode.
pub(crate) fn engines(change: impl Fn(&mut Config)) -> Vec<(String, Engine)> {
    let mut engines = Vec::new();
    for entry in assay_gc::registry() {
        for opt in [OptLevel::None, OptLevel::Speed] {
            for every_alloc in [false, true] {
                let stress = Stress { every_alloc, poison: true, verify: true, ..Stress::default() };
                let regalloc =
                    if opt == OptLevel::None { RegAlloc::SinglePass } else { RegAlloc::Backtracking };
                let collector = entry.constraints.name.to_owned();
                let name = format!("{collector} {opt:?} {every_alloc}");
                let mut config = Config { collector, opt, regalloc, stress, ..Config::default() };
                change(&mut config);
                engines.push((name, Engine::new(config).unwrap()));
            }
        }
    }
    engines
}

/// A module from text.
pub(crate) fn module(engine: &Engine, text: &str) -> Module {
    Module::new(engine, &wat::parse_str(text).unwrap()).unwrap()
}

/// A store with one instance of the text.
pub(crate) fn instance(engine: &Engine, text: &str) -> (Store, Instance) {
    let mut store = Store::new(engine).unwrap();
    let module = module(engine, text);
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    (store, instance)
}

/// The exported function.
pub(crate) fn func(store: &Store, instance: Instance, name: &str) -> Func {
    instance
        .export(store, name)
        .unwrap()
        .and_then(Extern::func)
        .unwrap_or_else(|| panic!("no function {name}"))
}

/// An i32 result.
pub(crate) fn i32_of(values: &[Val]) -> i32 {
    match values {
        [Val::I32(value)] => *value,
        other => panic!("not one i32: {other:?}"),
    }
}
