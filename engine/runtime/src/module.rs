//! A compiled module, shared by its instances and kept alive by every store that instantiated it.

use std::sync::Arc;

use assay_jit::module::{ExportItem, ExternType, Import, ModuleInfo};
use assay_jit::{CompiledModule, Validated};

use crate::{Engine, Error};

struct Inner {
    engine: Engine,
    compiled: CompiledModule,
}

/// A compiled module. Cheap to clone; shared by threads.
#[derive(Clone)]
pub struct Module(Arc<Inner>);

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module").field("functions", &self.info().funcs.len()).finish_non_exhaustive()
    }
}

impl Module {
    /// Decodes, validates and compiles `wasm` (binary format).
    ///
    /// # Errors
    /// `Malformed`, `Invalid`, `Unsupported`, `Limit`.
    pub fn new(engine: &Engine, wasm: &[u8]) -> Result<Module, Error> {
        let compiled = engine.compiler().compile(wasm)?;
        Ok(Module(Arc::new(Inner { engine: engine.clone(), compiled })))
    }
    /// Decodes and compiles what [`Module::validated`] made, for this engine or another.
    ///
    /// # Errors
    /// As [`Module::new`].
    pub fn of_validated(engine: &Engine, module: &Validated) -> Result<Module, Error> {
        let compiled = engine.compiler().compile_validated(module)?;
        Ok(Module(Arc::new(Inner { engine: engine.clone(), compiled })))
    }
    /// Decodes and validates `wasm` (binary format), once for several engines.
    ///
    /// # Errors
    /// As [`Module::new`].
    pub fn validated(engine: &Engine, wasm: &[u8]) -> Result<Validated, Error> {
        Ok(Validated::new(wasm, &engine.compiler().options())?)
    }
    /// Decodes and validates only.
    ///
    /// # Errors
    /// As [`Module::new`].
    pub fn validate(engine: &Engine, wasm: &[u8]) -> Result<(), Error> {
        Ok(engine.compiler().validate(wasm)?)
    }
    /// Its engine.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }
    /// Imports in order.
    pub fn imports(&self) -> &[Import] {
        &self.info().imports
    }
    /// Exports in order: name and type.
    pub fn exports(&self) -> impl Iterator<Item = (&str, ExternType)> {
        self.info().exports.iter().map(|export| (export.name.as_str(), self.item_type(export.item)))
    }
    /// Everything known of it besides code.
    pub fn info(&self) -> &ModuleInfo {
        &self.0.compiled.info
    }
    fn item_type(&self, item: ExportItem) -> ExternType {
        let info = self.info();
        match item {
            ExportItem::Func(index) => ExternType::Func(info.funcs[index as usize]),
            ExportItem::Table(index) => ExternType::Table(info.tables[index as usize]),
            ExportItem::Memory(index) => ExternType::Memory(info.memories[index as usize]),
            ExportItem::Global(index) => ExternType::Global(info.globals[index as usize]),
            ExportItem::Tag(index) => ExternType::Tag(info.tags[index as usize]),
        }
    }
    /// How many of its functions were too large for the engine's options and were compiled without optimisation.
    pub fn plain_functions(&self) -> u32 {
        self.0.compiled.plain
    }
    pub(crate) fn compiled(&self) -> &CompiledModule {
        &self.0.compiled
    }
    pub(crate) fn same(&self, other: &Module) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
    /// The name of a function in the name section.
    pub fn func_name(&self, index: u32) -> Option<&str> {
        let names = &self.info().func_names;
        names.iter().find(|(of, _)| *of == index).map(|(_, name)| name.as_str())
    }
}
