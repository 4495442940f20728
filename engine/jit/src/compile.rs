//! Whole modules: validation, translation, Cranelift, code memory.

use std::sync::Arc;

use assay_gc::{Constraints, TypeRegistry};

use crate::module::ModuleInfo;
use crate::{CodeMap, Error};

/// Cranelift's optimisation level.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OptLevel {
    /// None.
    None,
    /// For speed.
    Speed,
}

/// Cranelift's register allocator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RegAlloc {
    /// Quick.
    SinglePass,
    /// Good.
    Backtracking,
}

/// How code is made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CompileOptions {
    /// Optimisation level.
    pub opt: OptLevel,
    /// Register allocator.
    pub regalloc: RegAlloc,
    /// Whether code counts fuel.
    pub fuel: bool,
    /// Whether Cranelift's verifier runs.
    pub verifier: bool,
    /// Whether Cranelift's alias analysis runs (a bisect switch).
    pub alias_analysis: bool,
}

impl Default for CompileOptions {
    fn default() -> Self {
        CompileOptions {
            opt: OptLevel::Speed,
            regalloc: RegAlloc::Backtracking,
            fuel: false,
            verifier: cfg!(debug_assertions),
            alias_analysis: true,
        }
    }
}

/// Compiles modules for one engine configuration. Thread-safe.
#[derive(Debug)]
pub struct Compiler {}

impl Compiler {
    /// A compiler for this machine.
    ///
    /// # Errors
    /// `Internal` when Cranelift refuses the settings.
    pub fn new(
        options: CompileOptions,
        constraints: &'static Constraints,
        types: Arc<TypeRegistry>,
    ) -> Result<Compiler, Error> {
        let _ = (options, constraints, types);
        unimplemented!()
    }
    /// Decodes, validates and compiles `wasm` (binary format).
    ///
    /// # Errors
    /// See [`ErrorKind`](crate::ErrorKind).
    pub fn compile(&self, wasm: &[u8]) -> Result<CompiledModule, Error> {
        let _ = wasm;
        unimplemented!()
    }
    /// Decodes and validates only.
    ///
    /// # Errors
    /// See [`ErrorKind`](crate::ErrorKind).
    pub fn validate(&self, wasm: &[u8]) -> Result<(), Error> {
        let _ = wasm;
        unimplemented!()
    }
}

/// A compiled module. Dropping it frees its code: the runtime keeps it as long as any frame, instance or function
/// entry may use it.
#[derive(Debug)]
pub struct CompiledModule {
    /// Everything but code.
    pub info: ModuleInfo,
    /// Code and tables.
    pub map: CodeMap,
    /// Entry point of each *defined* function.
    pub entries: Vec<usize>,
    // the implementation adds the code memory
}
