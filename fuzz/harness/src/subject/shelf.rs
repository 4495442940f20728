//! Compiled code that the subjects of one process share.
//!
//! Compilation is most of a case's time, and what the JIT emits depends on a collector's code shape, not on the
//! collector: `jit:null` and `jit:copying` run the same code, and so do a subject and itself under stress. Subjects
//! that stand on one shelf compile a case's module once for each code that there is, and validate it once.
//!
//! What could hide a fault (a module that is changed by running it) would show as soon as a subject runs alone: a
//! finding's subjects are started one by one in their own processes when it is reduced.

use std::sync::{Arc, Mutex, PoisonError};

use assay_runtime::{Config, Engine, Error, Module, Validated};

/// Engines kept: five code shapes, two levels, with and without fuel and polls, and some heap limits.
const MAX_ENGINES: usize = 64;
/// Modules kept: those of a case, for each code.
const MAX_MODULES: usize = 64;
/// A larger module (bytes) is compiled by each subject for itself.
const MAX_MODULE_SIZE: usize = 1 << 20;

/// Engines and the modules of late, for subjects that run the same cases one after another.
#[derive(Clone, Debug, Default)]
pub struct Shelf(Arc<Mutex<Content>>);

#[derive(Debug, Default)]
struct Content {
    /// Latest use last.
    engines: Vec<Engine>,
    /// Oldest first: the valid bytes, and what became of them.
    modules: Vec<(Validated, Module)>,
}

impl Shelf {
    /// An engine of this configuration, which shares its code with others as far as it can.
    ///
    /// # Errors
    /// Those of [`Engine::new`].
    pub(super) fn engine(&self, config: &Config) -> Result<Engine, Error> {
        let mut content = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let engine = match content.engines.iter().position(|engine| engine.config() == config) {
            Some(at) => content.engines.remove(at),
            None => content.new_engine(config)?,
        };
        if content.engines.len() >= MAX_ENGINES {
            content.engines.remove(0);
        }
        content.engines.push(engine.clone());
        Ok(engine)
    }

    /// `wasm` compiled for `engine`.
    ///
    /// # Errors
    /// Those of [`Module::new`].
    pub(super) fn module(&self, engine: &Engine, wasm: &[u8]) -> Result<Module, Error> {
        let mut valid = None;
        for (validated, module) in &self.0.lock().unwrap_or_else(PoisonError::into_inner).modules {
            if validated.bytes() == wasm {
                if module.engine().shares_code_with(engine) {
                    return Ok(module.clone());
                }
                valid = Some(validated.clone());
            }
        }
        let valid = match valid {
            Some(valid) => valid,
            None => Module::validated(engine, wasm)?,
        };
        let module = Module::of_validated(engine, &valid)?;
        if wasm.len() <= MAX_MODULE_SIZE {
            let mut content = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if content.modules.len() >= MAX_MODULES {
                content.modules.remove(0);
            }
            content.modules.push((valid, module.clone()));
        }
        Ok(module)
    }
}

impl Content {
    fn new_engine(&self, config: &Config) -> Result<Engine, Error> {
        for engine in &self.engines {
            if let Some(sibling) = engine.sibling(config.clone())? {
                return Ok(sibling);
            }
        }
        for engine in &self.engines {
            if let Some(neighbour) = engine.neighbour(config.clone())? {
                return Ok(neighbour);
            }
        }
        Engine::new(config.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(collector: &str, gc_heap_max: u64) -> Config {
        Config { collector: collector.into(), gc_heap_max, ..Config::default() }
    }

    #[test]
    fn subjects_share_the_code_of_one_shape_and_no_other() {
        let shelf = Shelf::default();
        let wasm = b"\0asm\x01\0\0\0";
        let engine = |collector: &str, max| shelf.engine(&config(collector, max)).unwrap();
        for first in assay_gc::registry() {
            for second in assay_gc::registry() {
                let (a, b) =
                    (engine(first.constraints.name, 1 << 20), engine(second.constraints.name, 1 << 24));
                let same = first.constraints.code == second.constraints.code;
                assert_eq!(
                    a.shares_code_with(&b),
                    same,
                    "{} {}",
                    first.constraints.name,
                    second.constraints.name
                );
                assert!(a.shares_trampolines_with(&b), "one machine");
                assert_eq!(a.collector().constraints.name, first.constraints.name);
                assert_eq!(b.config().gc_heap_max, 1 << 24);
                let (a, b) = (shelf.module(&a, wasm).unwrap(), shelf.module(&b, wasm).unwrap());
                assert_eq!(a.engine().shares_code_with(b.engine()), same);
            }
        }
        let shapes: std::collections::HashSet<_> =
            assay_gc::registry().iter().map(|entry| format!("{:?}", entry.constraints.code)).collect();
        assert!(shapes.len() < assay_gc::registry().len(), "null and copying are of one shape");
        assert_eq!(shelf.0.lock().unwrap().modules.len(), shapes.len());
    }

    #[test]
    fn a_shelf_forgets() {
        let shelf = Shelf::default();
        let engine = shelf.engine(&config("copying", 1 << 20)).unwrap();
        for n in 0..100u8 {
            let custom = [b"\0asm\x01\0\0\0\0\x02\x01".as_slice(), &[n]].concat();
            shelf.module(&engine, &custom).unwrap();
            shelf.engine(&config("copying", (1 << 20) + (u64::from(n) << 16))).unwrap();
        }
        let content = shelf.0.lock().unwrap();
        assert_eq!((content.engines.len(), content.modules.len()), (MAX_ENGINES, MAX_MODULES));
        assert!(content.engines.iter().all(|kept| kept.shares_code_with(&engine)));
        drop(content);
        assert!(shelf.module(&engine, b"\0asm\x02\0\0\0").is_err());
    }
}
