//! What an embedder chooses once per engine: collector, code generation, limits, testing modes.

use assay_gc::Stress;
use assay_jit::{Cpu, OptLevel, RegAlloc};

/// An engine's configuration. All stores of an engine share it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Name of the collector, from [`assay_gc::registry`].
    pub collector: String,
    /// Cranelift's optimisation level.
    pub opt: OptLevel,
    /// Cranelift's register allocator.
    pub regalloc: RegAlloc,
    /// Which of the processor's instructions code may use.
    pub cpu: Cpu,
    /// Whether code counts fuel; a new store then has none until [`StoreInner::set_fuel`](crate::StoreInner::set_fuel).
    pub fuel: bool,
    /// Whether code passes a safepoint at each function's entry and at each arrival at a loop's header, so that
    /// [`Stress::every_safepoint`] and schedules can collect there.
    pub polls: bool,
    /// Whether fibers may be suspended in wasm code, by [`Slice`](crate::Slice): at functions' entries, at arrivals at loops'
    /// headers and before bulk operations. Without it they are suspended in host functions only.
    pub yields: bool,
    /// Whether Cranelift's verifier runs.
    pub verifier: bool,
    /// Whether Cranelift's alias analysis runs.
    pub alias_analysis: bool,
    /// Whether modules may use the exception instructions that WebAssembly 3.0 left out.
    pub legacy_exceptions: bool,
    /// Testing modes of the heap.
    pub stress: Stress,
    /// Most bytes of objects in a store's heap.
    pub gc_heap_max: u64,
    /// Bytes that a store's heap starts with.
    pub gc_heap_initial: u64,
    /// Most pages (64 KiB) of a linear memory.
    pub max_memory_pages: u64,
    /// Most elements of a table.
    pub max_table_elements: u64,
    /// Most pages of all linear memories of a store together.
    pub max_total_pages: u64,
    /// Most elements of all tables of a store together.
    pub max_total_table_elements: u64,
    /// Bytes of native stack that wasm code may use, nested activations included.
    pub max_wasm_stack: usize,
    /// Most fibers of a store at a time, each with a stack of `max_wasm_stack` and about 0.5 MiB for the host.
    pub max_fibers: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            collector: "copying".to_owned(),
            opt: OptLevel::Speed,
            regalloc: RegAlloc::Backtracking,
            cpu: Cpu::Native,
            fuel: false,
            polls: false,
            yields: false,
            verifier: cfg!(debug_assertions),
            alias_analysis: true,
            legacy_exceptions: false,
            stress: Stress::default(),
            gc_heap_max: 1 << 30,
            gc_heap_initial: 1 << 20,
            max_memory_pages: 1 << 16,
            max_table_elements: 10_000_000,
            max_total_pages: 1 << 16,
            max_total_table_elements: 20_000_000,
            max_wasm_stack: 512 << 10,
            max_fibers: 1000,
        }
    }
}
