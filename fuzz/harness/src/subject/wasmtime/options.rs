//! What of Wasmtime a subject runs with, and its spelling.

use std::num::NonZeroU32;

use ::wasmtime::{
    Collector, Config, Engine, Inlining, OperatorCost, OptLevel, RegallocAlgorithm, VariableOperatorCost,
};

use super::super::interp::DEFAULT_GC_HEAP;

/// Its collectors by their spellings.
pub(super) const COLLECTORS: [(&str, Collector); 3] = [
    ("drc", Collector::DeferredReferenceCounting),
    ("copying", Collector::Copying),
    ("null", Collector::Null),
];

/// What [`WasmtimeOptions::set`] knows, for messages.
pub(super) const OPTIONS: &str = "opt=none|speed|*, regalloc=single_pass|backtracking, every-safepoint, yields, \
                                  checked, inlining, verify, heap=MEBIBYTES, gc-zeal=ALLOCATIONS";

/// The smallest cap of a heap, in bytes: [`super::limits::Limits`] tells a heap from a memory by how it grows.
pub(super) const LEAST_HEAP: u64 = 1 << 20;

/// A configuration of Wasmtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WasmtimeOptions {
    /// Name of the collector: `drc`, `copying`, `null`.
    pub collector: String,
    /// Cranelift's optimisation.
    pub optimize: bool,
    /// The quick register allocator.
    pub single_pass: bool,
    /// A full collection at each function entry and loop header: Wasmtime calls the host there when an epoch has passed.
    pub every_safepoint: bool,
    /// Calls run on a stack of their own, which they leave every few instructions.
    pub yields: bool,
    /// Bounds are checked by instructions, not by signals.
    pub checked: bool,
    /// Functions are inlined.
    pub inlining: bool,
    /// Cranelift's verifier, and Wasmtime's checks of itself in the code.
    pub verify: bool,
    /// Bytes of heap, where the case sets no limit.
    pub heap: u64,
    /// A collection at each n-th allocation, 0 = none. Only a Wasmtime that was built with `--cfg gc_zeal` can do it.
    pub gc_zeal: u32,
}

impl Default for WasmtimeOptions {
    fn default() -> Self {
        WasmtimeOptions {
            collector: "copying".into(),
            optimize: true,
            single_pass: false,
            every_safepoint: false,
            yields: false,
            checked: false,
            inlining: false,
            verify: false,
            heap: DEFAULT_GC_HEAP,
            gc_zeal: 0,
        }
    }
}

impl WasmtimeOptions {
    /// Sets one option by its spelling; false if there is none such.
    pub fn set(&mut self, option: &str) -> bool {
        match option {
            "opt=none" => self.optimize = false,
            "opt=speed" => self.optimize = true,
            "regalloc=single_pass" => self.single_pass = true,
            "regalloc=backtracking" => self.single_pass = false,
            "every-safepoint" => self.every_safepoint = true,
            "yields" => self.yields = true,
            "checked" => self.checked = true,
            "inlining" => self.inlining = true,
            "verify" => self.verify = true,
            other => {
                let number = |prefix| other.strip_prefix(prefix).and_then(|n: &str| n.parse::<u32>().ok());
                match (number("heap="), number("gc-zeal=")) {
                    (Some(mebibytes @ 1..=4096), _) => self.heap = u64::from(mebibytes) << 20,
                    (_, Some(allocations @ 1..)) => self.gc_zeal = allocations,
                    _ => return false,
                }
            }
        }
        true
    }

    /// `wasmtime:…` with what differs from the defaults.
    pub fn name(&self) -> String {
        let mut name = format!("wasmtime:{}", self.collector);
        for (given, text) in [
            (!self.optimize, ",opt=none"),
            (self.single_pass, ",regalloc=single_pass"),
            (self.every_safepoint, ",every-safepoint"),
            (self.yields, ",yields"),
            (self.checked, ",checked"),
            (self.inlining, ",inlining"),
            (self.verify, ",verify"),
        ] {
            if given {
                name.push_str(text);
            }
        }
        if self.heap != DEFAULT_GC_HEAP {
            name.push_str(&format!(",heap={}", self.heap >> 20));
        }
        if self.gc_zeal != 0 {
            name.push_str(&format!(",gc-zeal={}", self.gc_zeal));
        }
        name
    }

    /// An engine, which counts fuel or does not.
    ///
    /// # Errors
    /// What Wasmtime says: an option that it was not built for, a machine that it does not run on.
    pub(super) fn engine(&self, fuel: bool) -> ::wasmtime::Result<Engine> {
        let mut config = Config::new();
        let collector = COLLECTORS.iter().find(|(name, _)| *name == self.collector);
        let (_, collector) =
            collector.ok_or_else(|| ::wasmtime::format_err!("no collector {:?}", self.collector))?;
        config
            .collector(*collector)
            .wasm_gc(true)
            .wasm_function_references(true)
            .wasm_exceptions(true)
            .wasm_tail_call(true)
            .wasm_memory64(true)
            .wasm_multi_memory(true)
            .wasm_extended_const(true)
            .wasm_relaxed_simd(true)
            // As every subject has it.
            .relaxed_simd_deterministic(true)
            .cranelift_nan_canonicalization(true)
            .cranelift_opt_level(if self.optimize { OptLevel::Speed } else { OptLevel::None })
            .cranelift_regalloc_algorithm(if self.single_pass {
                RegallocAlgorithm::SinglePass
            } else {
                RegallocAlgorithm::Backtracking
            })
            .cranelift_debug_verifier(self.verify)
            .cranelift_wasmtime_debug_checks(self.verify)
            .epoch_interruption(self.every_safepoint)
            .consume_fuel(fuel || self.yields)
            .operator_cost(costs())
            // Nobody reads backtraces here.
            .wasm_backtrace_max_frames(None)
            .native_unwind_info(false)
            .generate_address_map(false);
        if self.checked {
            config.signals_based_traps(false).gc_heap_reservation(0).gc_heap_guard_size(0);
            config.memory_reservation(0).memory_guard_size(0);
        }
        if self.inlining {
            config.compiler_inlining(Inlining::Yes);
        }
        if self.gc_zeal != 0 {
            config.gc_zeal_alloc_counter(NonZeroU32::new(self.gc_zeal))?;
        }
        Engine::new(&config)
    }
}

/// A unit for each instruction, and for each byte or element of a bulk operation: what [`super::fuel`] relies on. Growth, which can
/// fail, costs nothing beside: Wasmtime charges before it looks whether there is room.
fn costs() -> OperatorCost {
    let variable = VariableOperatorCost {
        memory_grow_per_page: 0,
        table_grow_per_element: 0,
        ..VariableOperatorCost::new()
    };
    OperatorCost { variable, ..OperatorCost::new() }
}
