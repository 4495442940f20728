//! Fuel. Wasmtime counts instructions, at other places than the harness's table, so the two cannot run out at the same point.
//!
//! It is given so much that it runs out after the reference only. Between two charges of the table at functions' entries and
//! loops' headers each instruction of a function runs once at most, since nothing else goes back; and where the table charges
//! a bulk operation 1, Wasmtime charges 64 at most (it counts a memory's bytes). So running out of fuel here alone is a finding, but where the
//! reference has trapped at a bulk operation beyond some bound, for which Wasmtime charges first; and on the reference alone it
//! ends the comparison (see `compare/peers.rs`).

/// What a step has.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// By the harness's table; none = unlimited.
    step: Option<u64>,
    /// Instructions of the longest function.
    longest: u64,
}

/// Units of Wasmtime's for a unit of a bulk operation.
const BULK: u64 = 64;
/// Units beside a function's own instructions: its entry, and what calls it.
const BESIDE: u64 = 16;

impl Budget {
    /// A module with functions of so many instructions at most may run from now on.
    pub(super) fn compiled(&mut self, longest: u64) {
        self.longest = self.longest.max(longest);
    }

    /// A step begins.
    pub(super) fn step(&mut self, fuel: Option<u64>) {
        self.step = fuel;
    }

    /// Wasmtime's units.
    pub(super) fn for_wasmtime(&self) -> u64 {
        let each = self.longest.saturating_add(BULK + BESIDE);
        self.step.map_or(u64::MAX, |fuel| fuel.saturating_add(1).saturating_mul(each))
    }
}
