//! Ordinary calls on fibers that are suspended at random, which must change nothing (`jit:…,fibers`).
//!
//! Turns begin short and become longer, so that each call is suspended often at its beginning and in the end costs
//! little; between turns the heap is collected now and then.

use assay_runtime::{
    CollectKind, Error, Extern, Fiber, Func, Instance, Module, Slice, Store, StoreInner, Turn, Val, Yield,
};

/// Turns of one call that are short; what is left is a single one.
const SHORT: u64 = 120;

/// Random numbers for the turns of a run; the same for each run.
#[derive(Debug)]
pub(super) struct Turns(u64);

impl Default for Turns {
    fn default() -> Turns {
        Turns(0x9e37_79b9_7f4a_7c15)
    }
}

impl Turns {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Calls `func` in turns.
    ///
    /// # Errors
    /// Those of [`Func::call`].
    pub(super) fn call(&mut self, store: &mut Store, func: Func, args: &[Val]) -> Result<Vec<Val>, Error> {
        let fiber = Fiber::new(store, func, args)?;
        self.finish(store, fiber)
    }

    /// Instantiates `module`, its start function in turns.
    ///
    /// # Errors
    /// Those of [`Instance::new`].
    pub(super) fn instantiate(
        &mut self,
        store: &mut Store,
        module: &Module,
        imports: &[Extern],
    ) -> Result<Instance, Error> {
        let (module, imports) = (module.clone(), imports.to_vec());
        let made = std::sync::Arc::new(std::sync::OnceLock::new());
        let into = made.clone();
        let fiber = Fiber::of(store, move |caller| {
            let _ = into.set(Instance::new(caller, &module, &imports)?);
            Ok(Vec::new())
        })?;
        self.finish(store, fiber)?;
        Ok(*made.get().expect("the fiber has made it"))
    }

    fn finish(&mut self, store: &mut StoreInner, fiber: Fiber) -> Result<Vec<Val>, Error> {
        for turn in 0.. {
            let most = 2 + turn * turn / 16;
            let fuel = (turn < SHORT).then(|| 1 + self.next() % most);
            match fiber.resume(store, Slice { fuel, epochs: None })? {
                Turn::Done(results) => return results,
                Turn::Yielded(Yield::Fuel | Yield::Host | Yield::Epoch | Yield::Pending) => {}
            }
            match self.next() % 16 {
                0 => store.gc(CollectKind::Full)?,
                1 | 2 => store.gc(CollectKind::Minor)?,
                3 => store.gc(CollectKind::Slice { objects: 7 })?,
                _ => {}
            }
        }
        unreachable!("turns do not run out")
    }
}
