//! A function body under construction: code, typed locals, and an estimate of what a call of it costs.
//!
//! Invariant: a local is read only where validation knows it to be set: defaultable ones anywhere, others after a set at
//! nesting depth 0.

use wasm_encoder::{InstructionSink, ValType};

/// One local or parameter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local {
    pub(super) ty: ValType,
    /// Whether it may be read.
    pub(super) ready: bool,
    /// Whether any statement may overwrite it (not counters and accumulators).
    pub(super) writable: bool,
    /// Whether any expression may read it (not scratch, whose content has no meaning later).
    pub(super) readable: bool,
}

/// Rough cost of a call: bytes of code executed, and collections forced.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    pub(super) work: usize,
    pub(super) collections: usize,
}

/// The body.
#[derive(Default)]
pub(super) struct Body {
    pub(super) code: Vec<u8>,
    pub(super) locals: Vec<Local>,
    pub(super) params: usize,
    /// Nesting depth of blocks, loops and ifs.
    pub(super) depth: usize,
    /// Functions that the code calls by their slots.
    pub(super) by_slot: Vec<u32>,
    /// Bytes of code after which only leaves are emitted.
    pub(super) limit: usize,
    /// Iterations of the loops around the current position, multiplied.
    pub(super) multiplier: usize,
    /// Cost of loops and calls beyond the code itself.
    extra: Cost,
}

impl Body {
    pub(super) fn new(params: &[ValType], limit: usize) -> Body {
        let locals =
            params.iter().map(|ty| Local { ty: *ty, ready: true, writable: true, readable: true }).collect();
        Body { locals, params: params.len(), limit, multiplier: 1, ..Body::default() }
    }

    /// Where the next instruction goes.
    pub(super) fn op(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.code)
    }

    /// Whether larger expressions are still welcome.
    pub(super) fn room(&self) -> bool {
        self.code.len() < self.limit
    }

    /// A new local that programs use freely.
    pub(super) fn local(&mut self, ty: ValType) -> u32 {
        self.add(ty, true, true)
    }

    /// A new local for the emitter alone: no expression reads it, no statement overwrites it.
    pub(super) fn scratch(&mut self, ty: ValType) -> u32 {
        self.add(ty, false, false)
    }

    fn add(&mut self, ty: ValType, writable: bool, readable: bool) -> u32 {
        self.locals.push(Local { ty, ready: ty.is_defaultable(), writable, readable });
        self.locals.len() as u32 - 1
    }

    /// `local.set`, which makes the local ready where it stands at nesting depth 0.
    pub(super) fn set(&mut self, local: u32) {
        self.op().local_set(local);
        if self.depth == 0 {
            self.locals[local as usize].ready = true;
        }
    }

    /// Notes a call, or anything else that costs more than its code.
    pub(super) fn spend(&mut self, cost: Cost) {
        self.extra.work += cost.work * self.multiplier;
        self.extra.collections += cost.collections * self.multiplier;
    }

    /// Begins a loop of about `times` iterations; give the result to [`Body::end_repeat`].
    pub(super) fn begin_repeat(&mut self, times: usize) -> usize {
        self.multiplier *= times.max(1);
        self.code.len()
    }

    pub(super) fn end_repeat(&mut self, start: usize, times: usize) {
        let times = times.max(1);
        self.extra.work += (self.code.len() - start) * (self.multiplier - self.multiplier / times);
        self.multiplier /= times;
    }

    /// The estimate for one call.
    pub(super) fn cost(&self) -> Cost {
        Cost { work: self.code.len() + self.extra.work, collections: self.extra.collections }
    }
}
