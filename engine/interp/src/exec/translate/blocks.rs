//! Blocks, branches, returns and calls: where control flow forks and joins, every live value lies in its own slot.

use super::{Fixup, Kind, Label, NO_LOCAL, Translator, UNPATCHED};
use crate::error::Result;
use crate::exec::code::{Code, Op};
use crate::exec::exception::NO_HANDLER;
use crate::syntax::instructions::BlockType;
use crate::syntax::types::FuncType;

impl Translator<'_> {
    pub(super) fn open(&mut self, kind: Kind, ty: BlockType, condition: Option<u32>) -> Result<()> {
        let (params, results) = self.block_type(ty)?;
        self.settle_all();
        let floor = self.labels.last().map_or(0, |label| label.base);
        if self.entries.len() < floor + params.len() {
            return Err(self.crash("operand stack underflow"));
        }
        let base = self.entries.len() - params.len();
        let slot = self.entries.get(base).map_or(self.top_slot(), |entry| entry.slot);
        let jump = match condition {
            Some(reg) => {
                let branch = self.fused(Op::new(Code::BrIf, 0, reg, UNPATCHED));
                Some(self.inverse(branch)?)
            }
            None => None,
        };
        let start = self.here();
        if kind == Kind::Loop {
            self.emit(Code::Loop, 0, 0, 0);
            self.here();
        }
        let else_jump = jump.map(|op| self.emit_branch(op));
        let handler = self.handler();
        self.labels.push(Label {
            kind,
            base,
            slot,
            params,
            results,
            fixups: Vec::new(),
            start,
            else_jump,
            handler,
            own_handler: NO_HANDLER,
        });
        Ok(())
    }

    pub(super) fn else_(&mut self) -> Result<()> {
        let reachable = self.skipping.is_none();
        if reachable {
            self.fall_through()?;
        }
        let depth = self.labels.len().checked_sub(1).ok_or_else(|| self.crash("else outside of an if"))?;
        if reachable {
            let jump = self.emit(Code::Br, 0, 0, UNPATCHED);
            self.labels[depth].fixups.push(Fixup::Target(jump));
        }
        let here = self.here();
        if let Some(jump) = self.labels[depth].else_jump.take() {
            self.body.ops[jump].set_target(here);
        }
        self.skipping = None;
        self.reset(depth, true)
    }

    /// Makes the operand stack that of label `depth` with its parameters or results on it.
    fn reset(&mut self, depth: usize, params: bool) -> Result<()> {
        self.truncate(depth);
        let mut i = 0;
        loop {
            let label = &self.labels[depth];
            let types = if params { &label.params } else { &label.results };
            let Some(ty) = types.as_slice().get(i) else { return Ok(()) };
            self.push(ty.slots())?;
            i += 1;
        }
    }

    /// Takes away what label `depth` has on the operand stack.
    pub(super) fn truncate(&mut self, depth: usize) {
        let base = self.labels[depth].base;
        self.entries.truncate(base);
        while self.pending.last().is_some_and(|&index| index >= base) {
            self.pending.pop();
        }
    }

    /// Brings the results of the innermost block to their places at its end.
    pub(super) fn fall_through(&mut self) -> Result<()> {
        let label = self.labels.last().ok_or_else(|| self.crash("no block"))?;
        let (base, results, slot, kind) = (label.base, label.results.len(), label.slot, label.kind);
        if self.entries.len() != base + results {
            return Err(self.crash("wrong operand stack height at the end of a block"));
        }
        self.settle_top(results)?;
        if kind == Kind::Catch {
            self.move_top(results, slot);
        }
        Ok(())
    }

    /// Copies the top `n` settled values to a slot below or at theirs.
    fn move_top(&mut self, n: usize, dst: u32) {
        if let Some(first) = self.entries.get(self.entries.len() - n) {
            let src = first.slot;
            let len = self.top_slot() - src;
            match len {
                _ if src == dst => {}
                1 => {
                    self.emit(Code::Copy, dst, src, 0);
                }
                _ => {
                    self.emit(Code::CopyRange, dst, src, len);
                }
            }
        }
    }

    pub(super) fn end(&mut self) -> Result<()> {
        let reachable = self.skipping.is_none();
        let depth = self.labels.len().checked_sub(1).ok_or_else(|| self.crash("end outside of a block"))?;
        if self.labels[depth].kind == Kind::Function {
            if reachable {
                self.fall_through()?;
                self.return_()?;
            }
            if !self.labels[depth].fixups.is_empty() {
                // Clauses of exception handlers whose label is the function.
                self.patch(depth);
                let (slot, results) = (self.labels[depth].slot, self.body.results);
                self.emit(Code::Return, 0, slot, results);
            }
            self.labels.pop();
            return Ok(());
        }
        if reachable {
            self.fall_through()?;
        }
        if self.labels[depth].handler != self.labels[depth - 1].handler {
            self.enter_region(self.labels[depth - 1].handler);
        }
        let here = self.patch(depth);
        if self.labels[depth].kind == Kind::Catch {
            self.labels[depth].base -= 1;
        }
        if let Some(jump) = self.labels[depth].else_jump {
            if self.labels[depth].params.len() != self.labels[depth].results.len() {
                return Err(self.crash("if without else changes the stack"));
            }
            self.body.ops[jump].set_target(here);
        }
        self.skipping = None;
        self.reset(depth, false)?;
        self.labels.pop();
        Ok(())
    }

    /// Makes this place the target of the branches to a label that is no loop.
    fn patch(&mut self, depth: usize) -> u32 {
        let here = self.here();
        for fixup in std::mem::take(&mut self.labels[depth].fixups) {
            match fixup {
                Fixup::Target(op) => self.body.ops[op].set_target(here),
                Fixup::Pool(entry) => self.body.pool[entry] = here,
                Fixup::Clause(handler, clause) => self.body.handlers[handler].clauses[clause].target = here,
            }
        }
        here
    }

    pub(super) fn unreachable(&mut self) {
        self.skipping = Some(0);
    }

    pub(super) fn label_index(&self, label: u32) -> Result<usize> {
        (self.labels.len() as u64)
            .checked_sub(1 + u64::from(label))
            .map(|index| index as usize)
            .ok_or_else(|| self.crash("unknown label"))
    }

    /// Widths of the values that a branch to the label takes.
    pub(super) fn label_arity(&self, index: usize) -> usize {
        let label = &self.labels[index];
        if label.kind == Kind::Loop { label.params.len() } else { label.results.len() }
    }

    /// Whether a branch is a mere jump: its values (already settled) lie where the label wants them.
    fn is_plain_jump(&mut self, index: usize) -> Result<bool> {
        let arity = self.label_arity(index);
        self.settle_top(arity)?;
        let label = &self.labels[index];
        if label.kind == Kind::Function {
            return Ok(false);
        }
        let from = self.entries.len() - arity;
        Ok(self.entries.get(from).is_none_or(|entry| entry.slot == label.slot))
    }

    /// Emits an unconditional branch, keeping the operand stack as it is.
    pub(super) fn jump(&mut self, index: usize) -> Result<()> {
        let arity = self.label_arity(index);
        if self.labels[index].kind == Kind::Function {
            return self.return_();
        }
        self.settle_top(arity)?;
        self.move_top(arity, self.labels[index].slot);
        let op = self.emit(Code::Br, 0, 0, UNPATCHED);
        self.target(index, op);
        Ok(())
    }

    fn target(&mut self, index: usize, op: usize) {
        let label = &mut self.labels[index];
        if label.kind == Kind::Loop {
            self.body.ops[op].set_target(label.start);
        } else {
            label.fixups.push(Fixup::Target(op));
        }
    }

    /// The last operation, if all it does is to give the operand that has just been popped from `reg`.
    pub(super) fn fusible(&self, reg: u32) -> Option<Op> {
        let last = *self.body.ops.last()?;
        let gives = reg >= self.body.locals && last.d == reg && last.code.sets_only_d();
        (gives && self.body.ops.len() > self.barrier).then_some(last)
    }

    /// A branch whose condition, where that is the operation before, is taken into it.
    fn fused(&mut self, branch: Op) -> Op {
        let condition = if branch.code == Code::BrIf { self.fusible(branch.a) } else { None };
        match condition.and_then(Op::fused_branch) {
            Some(fused) => {
                self.body.ops.pop();
                fused
            }
            None => branch,
        }
    }

    fn inverse(&self, branch: Op) -> Result<Op> {
        let code = branch.code.inverse().ok_or_else(|| self.crash("no conditional branch"))?;
        Ok(Op { code, ..branch })
    }

    fn emit_branch(&mut self, branch: Op) -> usize {
        self.body.ops.push(branch);
        self.body.ops.len() - 1
    }

    /// Emits a conditional branch.
    pub(super) fn branch_if(&mut self, index: usize, code: Code, d: u32, reg: u32) -> Result<()> {
        let plain = self.is_plain_jump(index)?;
        let branch = self.fused(Op::new(code, d, reg, UNPATCHED));
        if plain {
            let op = self.emit_branch(branch);
            self.target(index, op);
        } else {
            let branch = self.inverse(branch)?;
            let skip = self.emit_branch(branch);
            self.jump(index)?;
            let here = self.here();
            self.body.ops[skip].set_target(here);
        }
        Ok(())
    }

    /// Emits the return of the top values, keeping the operand stack as it is.
    pub(super) fn return_(&mut self) -> Result<()> {
        let results = self.labels.first().map_or(0, |label| label.results.len());
        let base = self.labels.last().map_or(0, |label| label.base);
        if self.entries.len() < base + results {
            return Err(self.crash("operand stack underflow"));
        }
        let from = self.entries.len() - results;
        match self.entries.get(from) {
            None => self.emit(Code::Return0, 0, 0, 0),
            Some(&entry) if results == 1 && entry.width == 1 => {
                let reg = if entry.local == NO_LOCAL { entry.slot } else { entry.local };
                self.emit(Code::Return1, 0, reg, 0)
            }
            Some(&entry) => {
                if self.top_slot() - entry.slot != self.body.results {
                    return Err(self.crash("results of another width"));
                }
                self.settle_top(results)?;
                self.emit(Code::Return, 0, entry.slot, self.body.results)
            }
        };
        Ok(())
    }

    pub(super) fn br_table(&mut self, labels: &[u32], default: u32) -> Result<()> {
        let reg = self.pop_reg()?;
        // A label needs a stub if its values must move; equal labels share one.
        let mut stubs: std::collections::HashMap<usize, u32> = std::collections::HashMap::new();
        let first = self.body.pool.len();
        self.settle_all();
        self.emit(Code::BrTable, labels.len() as u32, reg, first as u32);
        self.body.pool.resize(first + labels.len() + 1, UNPATCHED);
        for (i, &label) in labels.iter().chain([&default]).enumerate() {
            let index = self.label_index(label)?;
            if self.is_plain_jump(index)? {
                let label = &mut self.labels[index];
                if label.kind == Kind::Loop {
                    self.body.pool[first + i] = label.start;
                } else {
                    label.fixups.push(Fixup::Pool(first + i));
                }
                continue;
            }
            let stub = match stubs.get(&index) {
                Some(&stub) => stub,
                None => {
                    let stub = self.here();
                    self.jump(index)?;
                    stubs.insert(index, stub);
                    stub
                }
            };
            self.body.pool[first + i] = stub;
        }
        self.unreachable();
        Ok(())
    }

    // Calls.

    pub(super) fn call(&mut self, code: Code, ty: &FuncType, a: u32, b: u32, m: u16) -> Result<()> {
        self.settle_all();
        for _ in 0..ty.params.len() {
            self.pop()?;
        }
        let d = self.top_slot();
        let op = self.emit(code, d, a, b);
        self.body.ops[op].m = m;
        if matches!(code, Code::ReturnCall | Code::ReturnCallIndirect | Code::ReturnCallRef) {
            self.unreachable();
            return Ok(());
        }
        self.push_types(&ty.results)
    }
}
