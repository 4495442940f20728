//! Random calls of the JIT engine's embedding API: what programs cannot do and embedders can.
//!
//! Two or three stores of two engines, on one collector or two; instances of one module that keeps, gives, calls back and
//! throws; tables, globals, memories, tags, host functions, fibers and handles that the script makes and mixes up: use in
//! another store, after the store is gone, of other types, out of range, from inside of host functions. Every call ends in
//! a value or in an error of the kinds that are the embedder's or the program's fault; a handle of another store is
//! refused in each; what was set is read back. An [`ErrorKind::Internal`] or [`ErrorKind::Corrupt`] is a finding, and
//! so is a panic.
//!
//! Invariant: the same bytes do the same calls.

mod world;

use std::sync::{Mutex, PoisonError};

use assay_runtime::{Config, Engine, Error, ErrorKind, Module};

use world::World;

/// Stores at a time, at most.
const STORES: usize = 3;

/// Calls of one script, at most; each takes some bytes.
const CALLS: usize = 600;

/// Functions that keep and give references, allocate, call back, throw, recurse and trap.
const MODULE: &str = r#"(module
    (type $node (struct (field $next (mut (ref null $node))) (field $any (mut anyref)) (field $v (mut i32))))
    (type $any (array (mut anyref)))
    (import "host" "call" (func $host (param anyref i32) (result anyref)))
    (import "host" "tag" (tag $tag (param anyref)))
    (table $t (export "table") 4 20 anyref)
    (table (export "funcs") 3 funcref)
    (memory (export "memory") 1 3)
    (global $g (export "global") (mut anyref) (ref.null any))
    (global (export "number") (mut i64) (i64.const 7))
    (global (export "fixed") externref (ref.null extern))
    (elem declare func $keep)
    (elem $passive anyref (item (ref.i31 (i32.const 5))) (item (struct.new_default $node)))
    (func $keep (export "keep") (param anyref i32) (result anyref)
        (struct.new $node (ref.null $node) (local.get 0) (local.get 1)))
    (func (export "array") (param anyref i32) (result anyref)
        (array.new $any (local.get 0) (i32.rem_u (local.get 1) (i32.const 70))))
    (func (export "link") (param anyref i32) (result anyref)
        (struct.set $node $any (ref.cast (ref $node) (local.get 0)) (global.get $g))
        (global.set $g (local.get 0))
        (global.get $g))
    (func (export "list") (param anyref i32) (result anyref) (local $head (ref null $node))
        (local.set 1 (i32.rem_u (local.get 1) (i32.const 200)))
        (block $done (loop $more
            (br_if $done (i32.eqz (local.get 1)))
            (local.set $head (struct.new $node (local.get $head) (local.get 0) (local.get 1)))
            (local.set 1 (i32.sub (local.get 1) (i32.const 1)))
            (br $more)))
        (local.get $head))
    (func (export "store") (param anyref i32) (result anyref)
        (table.set $t (i32.rem_u (local.get 1) (i32.const 5)) (local.get 0))
        (table.get $t (i32.const 0)))
    (func (export "segment") (param anyref i32) (result anyref)
        (array.new_elem $any $passive (i32.const 0) (i32.rem_u (local.get 1) (i32.const 4))))
    (func $back (export "back") (param anyref i32) (result anyref)
        (struct.new $node (ref.null $node) (call $host (local.get 0) (local.get 1)) (local.get 1)))
    (func (export "catch") (param anyref i32) (result anyref)
        (block $caught (result anyref)
            (try_table (catch $tag $caught) (drop (call $back (local.get 0) (local.get 1))))
            (ref.i31 (i32.const 1))))
    (func (export "throw") (param anyref i32) (result anyref) (throw $tag (local.get 0)))
    (func (export "external") (param anyref i32) (result externref) (extern.convert_any (local.get 0)))
    (func $deep (export "deep") (param anyref i32) (result anyref)
        (struct.get $node $any (ref.cast (ref $node) (call $deep (local.get 0) (local.get 1)))))
    (func (export "func") (param anyref i32) (result funcref) (ref.func $keep))
    (func (export "cast") (param anyref i32) (result anyref) (ref.cast (ref $any) (local.get 0))))"#;

/// Engines and their modules, by what of the configuration a script chooses.
#[derive(Default)]
pub struct Engines(Mutex<Vec<(usize, Engine, Module)>>);

impl Engines {
    /// The engine of a collector (counted modulo their number), with the module compiled.
    fn get(&self, collector: usize) -> Result<(Engine, Module), Error> {
        let collectors = assay_gc::registry();
        let collector = collector % collectors.len();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, engine, module)) = known.iter().find(|(at, ..)| *at == collector) {
            return Ok((engine.clone(), module.clone()));
        }
        let engine = Engine::new(Config {
            collector: collectors[collector].constraints.name.to_owned(),
            fuel: true,
            yields: true,
            polls: true,
            gc_heap_initial: 1 << 14,
            gc_heap_max: 1 << 20,
            max_wasm_stack: 64 << 10,
            max_memory_pages: 16,
            max_total_pages: 64,
            max_table_elements: 1000,
            max_total_table_elements: 5000,
            max_fibers: 6,
            ..Config::default()
        })?;
        let wasm = wat::parse_str(MODULE).map_err(Error::host)?;
        let module = Module::new(&engine, &wasm)?;
        known.push((collector, engine.clone(), module.clone()));
        Ok((engine, module))
    }
}

/// Does the calls that `bytes` say. Engines are made once for many scripts.
///
/// # Errors
/// What must not be.
///
/// # Panics
/// When a call panics that documents none.
pub fn run(bytes: &[u8], engines: &Engines) -> Result<Done, String> {
    let mut world = World::new(bytes, engines).map_err(|error| error.to_string())?;
    for _ in 0..CALLS {
        if !world.step()? {
            break;
        }
    }
    world.end()
}

/// What a script did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Calls of the API that were judged.
    pub calls: u64,
    /// Those that gave a value.
    pub fine: u64,
    /// Those that were refused since something belongs to another store.
    pub foreign: u64,
    /// Calls from inside of host functions.
    pub nested: u64,
}

/// Whether an error may come of a script.
fn is_permitted(kind: &ErrorKind) -> bool {
    !matches!(
        kind,
        ErrorKind::Corrupt(_)
            | ErrorKind::Internal(_)
            | ErrorKind::Machine(_)
            | ErrorKind::Malformed { .. }
            | ErrorKind::Invalid { .. }
            | ErrorKind::Unsupported { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::seed_bytes;

    #[test]
    fn scripts_end_in_values_and_permitted_errors() {
        let engines = Engines::default();
        let mut sum = Done::default();
        for seed in 0..600 {
            let bytes = seed_bytes(seed);
            let bytes = &bytes[..1500];
            let done = run(bytes, &engines).unwrap_or_else(|what| panic!("seed {seed}: {what}"));
            if seed % 40 == 0 {
                assert_eq!(run(bytes, &engines), Ok(done), "seed {seed}");
            }
            sum.calls += done.calls;
            sum.fine += done.fine;
            sum.foreign += done.foreign;
            sum.nested += done.nested;
        }
        println!("{sum:?}");
        assert!(sum.fine > sum.calls / 4 && sum.foreign > 1000 && sum.nested > 500, "{sum:?}");
    }

    #[test]
    fn short_scripts_are_scripts() {
        let engines = Engines::default();
        for length in 0..60 {
            run(&seed_bytes(9)[..length], &engines).unwrap();
            run(&[length as u8; 100], &engines).unwrap();
        }
    }
}
