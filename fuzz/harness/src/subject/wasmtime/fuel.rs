//! Fuel. Wasmtime counts instructions, at other places than the harness's table, so the two cannot run out at the same point.
//!
//! It is given so much that it runs out after the reference only: between two charges of the table (a function's entry, an
//! arrival at a loop's header) each instruction of a function runs once at most, since nothing else goes back, and a module
//! has no more instructions in a function than bytes. With [`super::options`]' costs an instruction is one unit at most. So
//! running out of fuel here alone is a finding, and on the reference alone it ends the comparison (see `compare`).

/// What a step has.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// By the harness's table; none = unlimited.
    step: Option<u64>,
    /// Bytes of the largest module.
    largest: u64,
}

/// Instructions beside a function's own: its entry, and what calls it.
const BESIDE: u64 = 16;

impl Budget {
    /// A module of so many bytes may run from now on.
    pub(super) fn compiled(&mut self, bytes: usize) {
        self.largest = self.largest.max(bytes as u64);
    }

    /// A step begins.
    pub(super) fn step(&mut self, fuel: Option<u64>) {
        self.step = fuel;
    }

    /// Wasmtime's units.
    pub(super) fn for_wasmtime(&self) -> u64 {
        let each = self.largest.saturating_add(BESIDE);
        self.step.map_or(u64::MAX, |fuel| fuel.saturating_add(1).saturating_mul(each))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_covers_the_longest_function_for_each_charge() {
        let mut budget = Budget::default();
        assert_eq!(budget.for_wasmtime(), u64::MAX);
        budget.compiled(100);
        budget.compiled(10);
        budget.step(Some(9));
        assert_eq!(budget.for_wasmtime(), 10 * 116);
        budget.step(Some(u64::MAX));
        assert_eq!(budget.for_wasmtime(), u64::MAX);
    }
}
