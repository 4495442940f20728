//! From syntax to internal code, one instruction at a time, while the body is decoded.
//!
//! The translator keeps the operand stack's shape. A `local.get` emits nothing: its entry stays *pending* and the
//! operation that consumes it reads the local itself; before the local is written, and before control flow forks or joins
//! or a call is made, pending entries are copied to their own slots. Unreachable code is skipped.
//! Validation has gone before: what it rules out and would be met here anyway (underflow, unknown index) is a crash
//! error, the rest is not looked at. Here is the state; [`blocks`] has control flow, [`exceptions`] handlers, [`instructions`] the rest.

mod blocks;
mod exceptions;
mod instructions;
mod vectors;

use super::code::{Body, Code, Op};
use super::cover::{Stretch, ends_stretch};
use super::exception::NO_HANDLER;
use crate::error::{Error, Result};
use crate::syntax::instructions::{BlockType, Instr};
use crate::syntax::module::ModuleData;
use crate::syntax::types::{CompositeType, FieldType, FuncType, RefType, TypeIndex, ValType};

/// Most slots of one frame.
const MAX_FRAME: u32 = 1 << 24;
/// Pending entries kept at once; more are copied out, which bounds the work per `local.set`.
const MAX_PENDING: usize = 16;
const NO_LOCAL: u32 = u32::MAX;
const UNPATCHED: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Entry {
    /// Its own place in the frame.
    slot: u32,
    /// The local that still holds its value, or `NO_LOCAL`.
    local: u32,
    width: u32,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Function,
    Block,
    Loop,
    If,
    /// A legacy try before its clauses.
    Try,
    /// A legacy try from its first clause on; the caught exception is the entry below `base`.
    Catch,
}

/// A use of a label that is not yet placed.
enum Fixup {
    Target(usize),
    Pool(usize),
    /// Handler and clause.
    Clause(usize, usize),
}

/// Types of a block's parameters or results; borrowed, since there may be many blocks.
enum Types<'m> {
    Of(&'m [ValType]),
    One(ValType),
    Own(Vec<ValType>),
}

impl Types<'_> {
    fn as_slice(&self) -> &[ValType] {
        match self {
            Types::Of(types) => types,
            Types::One(ty) => std::slice::from_ref(ty),
            Types::Own(types) => types,
        }
    }

    fn len(&self) -> usize {
        self.as_slice().len()
    }

    fn slots(&self) -> u32 {
        self.as_slice().iter().map(|ty| ty.slots()).sum()
    }
}

struct Label<'m> {
    kind: Kind,
    /// Entries below the block's parameters.
    base: usize,
    /// Slot of the first parameter and first result.
    slot: u32,
    params: Types<'m>,
    results: Types<'m>,
    fixups: Vec<Fixup>,
    /// Start of a loop.
    start: u32,
    /// The jump over an if's first arm.
    else_jump: Option<usize>,
    /// The exception handler in force inside.
    handler: u32,
    /// The handler that a legacy try's clauses belong to.
    own_handler: u32,
}

pub(crate) struct Translator<'m> {
    module: &'m ModuleData,
    body: Body,
    /// The locals as runs of one width: index and slot after the run, width. Few, since only vectors take two slots; and
    /// nothing here may depend on the number of locals, which takes a module's author a few bytes.
    local_runs: Vec<(u32, u32, u32)>,
    entries: Vec<Entry>,
    pending: Vec<usize>,
    labels: Vec<Label<'m>>,
    /// Blocks opened inside unreachable code, or none while the code is reachable.
    skipping: Option<u32>,
    /// Whether code tells which of its stretches are entered, and whether the last one goes on.
    covers: bool,
    in_stretch: bool,
    /// Operations before this one may be jumped over, so they must not be changed.
    barrier: usize,
    at: usize,
}

impl<'m> Translator<'m> {
    pub(crate) fn function(
        module: &'m ModuleData,
        ty: &FuncType,
        locals: &[(u32, ValType)],
    ) -> Translator<'m> {
        let mut t = Translator::new(module, ty.results.clone());
        for param in &ty.params {
            t.declare_locals(1, param.slots());
        }
        t.body.params = t.body.locals;
        for &(count, ty) in locals {
            t.declare_locals(count, ty.slots());
        }
        t.open_function();
        t
    }

    pub(crate) fn constant(module: &'m ModuleData, ty: ValType) -> Translator<'m> {
        let mut t = Translator::new(module, vec![ty]);
        t.open_function();
        t
    }

    /// The body's code tells which of its stretches are entered.
    pub(crate) fn covering(mut self) -> Translator<'m> {
        self.covers = true;
        self
    }

    fn new(module: &'m ModuleData, results: Vec<ValType>) -> Translator<'m> {
        let function = Label {
            kind: Kind::Function,
            base: 0,
            slot: 0,
            params: Types::Of(&[]),
            results: Types::Own(results),
            fixups: Vec::new(),
            start: 0,
            else_jump: None,
            handler: NO_HANDLER,
            own_handler: NO_HANDLER,
        };
        Translator {
            module,
            body: Body::default(),
            local_runs: Vec::new(),
            entries: Vec::new(),
            pending: Vec::new(),
            labels: vec![function],
            skipping: None,
            covers: false,
            in_stretch: false,
            barrier: 0,
            at: 0,
        }
    }

    fn declare_locals(&mut self, count: u32, width: u32) {
        self.body.locals += count * width;
        let slot = self.body.locals;
        match self.local_runs.last_mut() {
            Some(run) if run.2 == width => (run.0, run.1) = (run.0 + count, slot),
            last => {
                let end = last.map_or(0, |run| run.0) + count;
                self.local_runs.push((end, slot, width));
            }
        }
    }

    fn open_function(&mut self) {
        self.labels[0].slot = self.body.locals;
        self.body.results = self.labels[0].results.slots();
        self.body.frame_size = self.body.locals.max(self.body.results);
    }

    /// The finished body, once the last `end` has been given.
    pub(crate) fn finish(mut self) -> Result<Body> {
        if !self.labels.is_empty() {
            return Err(self.crash("body without its end"));
        }
        self.body.ops.shrink_to_fit();
        Ok(self.body)
    }

    fn crash(&self, message: &'static str) -> Error {
        Error::crash_at(self.at, message)
    }

    /// Counts an instruction to a stretch of code.
    fn cover(&mut self, instr: &Instr, at: usize) {
        match self.body.stretches.last_mut() {
            Some(stretch) if self.in_stretch => stretch.extend(at),
            _ => {
                let index = self.body.stretches.len() as u32;
                self.body.stretches.push(Stretch::new(at));
                self.emit(Code::Cover, 0, 0, index);
            }
        }
        self.in_stretch = !ends_stretch(instr);
    }

    // Emission.

    fn emit(&mut self, code: Code, d: u32, a: u32, b: u32) -> usize {
        self.body.ops.push(Op::new(code, d, a, b));
        self.body.ops.len() - 1
    }

    fn here(&mut self) -> u32 {
        self.barrier = self.body.ops.len();
        self.body.ops.len() as u32
    }

    fn index_m(&self, index: u32) -> Result<u16> {
        u16::try_from(index)
            .map_err(|_| Error::unsupported(self.at, "more than 65,536 memories, tables or segments"))
    }

    // The operand stack.

    fn top_slot(&self) -> u32 {
        self.entries.last().map_or(self.body.locals, |entry| entry.slot + entry.width)
    }

    /// Pushes a value of `width` slots and gives its slot.
    fn push(&mut self, width: u32) -> Result<u32> {
        let slot = self.top_slot();
        let end = slot + width;
        if end > MAX_FRAME {
            return Err(Error::unsupported(self.at, "operand stack too high"));
        }
        // One or two slots above the top may be named by operations (condition of a select).
        self.body.frame_size = self.body.frame_size.max(end + 4);
        self.entries.push(Entry { slot, local: NO_LOCAL, width });
        Ok(slot)
    }

    fn push_types(&mut self, types: &[ValType]) -> Result<()> {
        types.iter().try_for_each(|ty| self.push(ty.slots()).map(drop))
    }

    fn pop(&mut self) -> Result<Entry> {
        let base = self.labels.last().map_or(0, |label| label.base);
        if self.entries.len() <= base {
            return Err(self.crash("operand stack underflow"));
        }
        let entry = self.entries.pop().ok_or_else(|| self.crash("operand stack underflow"))?;
        if self.pending.last() == Some(&self.entries.len()) {
            self.pending.pop();
        }
        Ok(entry)
    }

    /// Pops one value and gives the slot to read it from.
    fn pop_reg(&mut self) -> Result<u32> {
        let entry = self.pop()?;
        Ok(if entry.local == NO_LOCAL { entry.slot } else { entry.local })
    }

    /// Pops `n` values that lie in their own slots and gives the first one's slot.
    fn pop_settled(&mut self, n: usize) -> Result<u32> {
        self.settle_top(n)?;
        for _ in 0..n {
            self.pop()?;
        }
        Ok(self.top_slot())
    }

    fn settle(&mut self, index: usize) {
        let entry = self.entries[index];
        if entry.local != NO_LOCAL {
            self.emit_copy(entry.slot, entry.local, entry.width);
            self.entries[index].local = NO_LOCAL;
        }
    }

    fn emit_copy(&mut self, d: u32, a: u32, width: u32) {
        for i in 0..width {
            if d != a {
                self.emit(Code::Copy, d + i, a + i, 0);
            }
        }
    }

    fn settle_all(&mut self) {
        for index in std::mem::take(&mut self.pending) {
            self.settle(index);
        }
    }

    /// Copies the top `n` entries to their own slots.
    fn settle_top(&mut self, n: usize) -> Result<()> {
        let base = self.labels.last().map_or(0, |label| label.base);
        if self.entries.len() < base + n {
            return Err(self.crash("operand stack underflow"));
        }
        let from = self.entries.len() - n;
        while let Some(&index) = self.pending.last()
            && index >= from
        {
            self.pending.pop();
            self.settle(index);
        }
        Ok(())
    }

    /// Copies out the entries that still live in a local which is about to change.
    fn settle_local(&mut self, slot: u32) {
        let mut i = 0;
        while i < self.pending.len() {
            let index = self.pending[i];
            if self.entries[index].local == slot {
                self.settle(index);
                self.pending.remove(i);
            } else {
                i += 1;
            }
        }
    }

    // Index spaces.

    /// Slot and width of a local.
    fn local(&self, index: u32) -> Result<(u32, u32)> {
        let runs = &self.local_runs;
        let run = match runs.first() {
            Some(run) if index < run.0 => Some(run),
            _ => runs.get(runs.partition_point(|run| run.0 <= index)),
        };
        match run {
            Some(&(end, slot, width)) => Ok((slot - (end - index) * width, width)),
            None => Err(self.crash("unknown local")),
        }
    }

    fn memory(&self, index: u32) -> Result<u16> {
        self.index_m(index)
    }

    fn table(&self, index: u32) -> Result<u16> {
        self.index_m(index)
    }

    fn func_type(&self, index: u32) -> Result<&'m FuncType> {
        self.module.func_type(TypeIndex(index)).ok_or_else(|| self.crash("unknown function type"))
    }

    fn struct_type(&self, index: u32) -> Result<&'m [FieldType]> {
        match self.module.sub_type(TypeIndex(index)).map(|ty| &ty.composite) {
            Some(CompositeType::Struct(fields)) => Ok(fields),
            _ => Err(self.crash("unknown struct type")),
        }
    }

    fn array_type(&self, index: u32) -> Result<FieldType> {
        match self.module.sub_type(TypeIndex(index)).map(|ty| &ty.composite) {
            Some(CompositeType::Array(field)) => Ok(*field),
            _ => Err(self.crash("unknown array type")),
        }
    }

    fn ref_type(&mut self, ty: RefType) -> u32 {
        if let Some(i) = self.body.ref_types.iter().rev().take(8).position(|&known| known == ty) {
            return (self.body.ref_types.len() - 1 - i) as u32;
        }
        self.body.ref_types.push(ty);
        self.body.ref_types.len() as u32 - 1
    }

    fn block_type(&self, ty: BlockType) -> Result<(Types<'m>, Types<'m>)> {
        Ok(match ty {
            BlockType::Empty => (Types::Of(&[]), Types::Of(&[])),
            BlockType::Result(ty) => (Types::Of(&[]), Types::One(ty)),
            BlockType::Type(index) => {
                let ty = self.func_type(index.0)?;
                (Types::Of(&ty.params), Types::Of(&ty.results))
            }
        })
    }
}
