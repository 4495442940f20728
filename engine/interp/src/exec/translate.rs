//! From syntax to internal code, one instruction at a time, while the body is decoded.
//!
//! The translator keeps the operand stack's shape. A `local.get` emits nothing: its entry stays *pending* and the
//! operation that consumes it reads the local itself; before the local is written, and before control flow forks or joins
//! or a call is made, pending entries are copied to their own slots. Unreachable code is skipped.
//! There is no validation here: what would make the code meaningless (underflow, unknown index) is a crash
//! error; a wrong operand type is not noticed. Longer than 600 lines because the translation is one state machine.

use super::code::{Body, Code, Op};
use crate::error::{Error, Result};
use crate::syntax::instructions::{BlockType, Extension, Instr, MemArg};
use crate::syntax::module::ModuleData;
use crate::syntax::opcodes::MemoryAccess;
use crate::syntax::types::{
    CompositeType, FieldType, FuncType, HeapType, RefType, StorageType, TypeIndex, ValType,
};

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
}

/// A use of a label that is not yet placed.
enum Fixup {
    Target(usize),
    Pool(usize),
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
}

pub(crate) struct Translator<'m> {
    module: &'m ModuleData,
    body: Body,
    data_count: u32,
    globals_visible: usize,
    constant: bool,
    /// Slot and width of each local; empty where all have width 1.
    local_slots: Vec<(u32, u32)>,
    entries: Vec<Entry>,
    pending: Vec<usize>,
    labels: Vec<Label<'m>>,
    /// Blocks opened inside unreachable code, or none while the code is reachable.
    skipping: Option<u32>,
    /// Operations before this one may be jumped over, so they must not be changed.
    barrier: usize,
    at: usize,
}

impl<'m> Translator<'m> {
    pub(crate) fn function(
        module: &'m ModuleData,
        data_count: u32,
        ty: &FuncType,
        locals: &[(u32, ValType)],
    ) -> Translator<'m> {
        let mut t = Translator::new(module, data_count, module.globals.len(), ty.results.clone());
        for param in &ty.params {
            t.declare_local(param.slots());
        }
        t.body.params = t.body.locals;
        for &(count, ty) in locals {
            for _ in 0..count {
                t.declare_local(ty.slots());
            }
        }
        t.open_function();
        t
    }

    pub(crate) fn constant(module: &'m ModuleData, ty: ValType) -> Translator<'m> {
        let mut t = Translator::new(module, u32::MAX, module.globals.len(), vec![ty]);
        t.constant = true;
        t.open_function();
        t
    }

    fn new(module: &'m ModuleData, data_count: u32, globals: usize, results: Vec<ValType>) -> Translator<'m> {
        let function = Label {
            kind: Kind::Function,
            base: 0,
            slot: 0,
            params: Types::Of(&[]),
            results: Types::Own(results),
            fixups: Vec::new(),
            start: 0,
            else_jump: None,
        };
        Translator {
            module,
            body: Body::default(),
            data_count,
            globals_visible: globals,
            constant: false,
            local_slots: Vec::new(),
            entries: Vec::new(),
            pending: Vec::new(),
            labels: vec![function],
            skipping: None,
            barrier: 0,
            at: 0,
        }
    }

    fn declare_local(&mut self, width: u32) {
        self.local_slots.push((self.body.locals, width));
        self.body.locals += width;
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

    /// Pops `n` one-slot values that lie in their own slots and gives the first one's slot.
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

    fn local(&self, index: u32) -> Result<(u32, u32)> {
        self.local_slots.get(index as usize).copied().ok_or_else(|| self.crash("unknown local"))
    }

    fn known(&self, index: u32, len: usize, what: &'static str) -> Result<u32> {
        if (index as usize) < len { Ok(index) } else { Err(self.crash(what)) }
    }

    fn memory(&self, index: u32) -> Result<u16> {
        self.index_m(self.known(index, self.module.memories.len(), "unknown memory")?)
    }

    fn table(&self, index: u32) -> Result<u16> {
        self.index_m(self.known(index, self.module.tables.len(), "unknown table")?)
    }

    fn data(&self, index: u32) -> Result<u32> {
        self.known(index, self.data_count as usize, "unknown data segment")
    }

    fn elem(&self, index: u32) -> Result<u32> {
        self.known(index, self.module.elems.len(), "unknown elem segment")
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

    fn heap_type(&self, heap: HeapType) -> Result<HeapType> {
        match heap {
            HeapType::Index(index) => {
                self.known(index.0, self.module.type_places.len(), "unknown type").map(|_| heap)
            }
            _ => Ok(heap),
        }
    }

    fn ref_type(&mut self, ty: RefType) -> Result<u32> {
        self.heap_type(ty.heap)?;
        if let Some(i) = self.body.ref_types.iter().rev().take(8).position(|&known| known == ty) {
            return Ok((self.body.ref_types.len() - 1 - i) as u32);
        }
        self.body.ref_types.push(ty);
        Ok(self.body.ref_types.len() as u32 - 1)
    }

    fn block_type(&self, ty: BlockType) -> Result<(Types<'m>, Types<'m>)> {
        Ok(match ty {
            BlockType::Empty => (Types::Of(&[]), Types::Of(&[])),
            BlockType::Result(ty) => {
                if let ValType::Ref(ty) = ty {
                    self.heap_type(ty.heap)?;
                }
                (Types::Of(&[]), Types::One(ty))
            }
            BlockType::Type(index) => {
                let ty = self.func_type(index.0)?;
                (Types::Of(&ty.params), Types::Of(&ty.results))
            }
        })
    }

    // Blocks and branches.

    fn open(&mut self, kind: Kind, ty: BlockType, condition: Option<u32>) -> Result<()> {
        let (params, results) = self.block_type(ty)?;
        self.settle_all();
        let floor = self.labels.last().map_or(0, |label| label.base);
        if self.entries.len() < floor + params.len() {
            return Err(self.crash("operand stack underflow"));
        }
        let base = self.entries.len() - params.len();
        let slot = self.entries.get(base).map_or(self.top_slot(), |entry| entry.slot);
        let start = self.here();
        if kind == Kind::Loop {
            self.emit(Code::Loop, 0, 0, 0);
            self.here();
        }
        let else_jump = condition.map(|reg| self.emit(Code::BrIfNot, 0, reg, UNPATCHED));
        self.labels.push(Label { kind, base, slot, params, results, fixups: Vec::new(), start, else_jump });
        Ok(())
    }

    fn else_(&mut self) -> Result<()> {
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
            self.body.ops[jump].b = here;
        }
        self.skipping = None;
        self.reset(depth, true)
    }

    /// Makes the operand stack that of label `depth` with its parameters or results on it.
    fn reset(&mut self, depth: usize, params: bool) -> Result<()> {
        let base = self.labels[depth].base;
        self.entries.truncate(base);
        while self.pending.last().is_some_and(|&index| index >= base) {
            self.pending.pop();
        }
        let mut i = 0;
        loop {
            let label = &self.labels[depth];
            let types = if params { &label.params } else { &label.results };
            let Some(ty) = types.as_slice().get(i) else { return Ok(()) };
            self.push(ty.slots())?;
            i += 1;
        }
    }

    /// Brings the results of the innermost block to their places at its end.
    fn fall_through(&mut self) -> Result<()> {
        let label = self.labels.last().ok_or_else(|| self.crash("no block"))?;
        let (base, results) = (label.base, label.results.len());
        if self.entries.len() != base + results {
            return Err(self.crash("wrong operand stack height at the end of a block"));
        }
        self.settle_top(results)
    }

    fn end(&mut self) -> Result<()> {
        let reachable = self.skipping.is_none();
        let depth = self.labels.len().checked_sub(1).ok_or_else(|| self.crash("end outside of a block"))?;
        if self.labels[depth].kind == Kind::Function {
            if reachable {
                self.fall_through()?;
                self.return_()?;
            }
            self.labels.pop();
            return Ok(());
        }
        if reachable {
            self.fall_through()?;
        }
        let here = self.here();
        let fixups = std::mem::take(&mut self.labels[depth].fixups);
        for fixup in fixups {
            match fixup {
                Fixup::Target(op) => self.body.ops[op].b = here,
                Fixup::Pool(entry) => self.body.pool[entry] = here,
            }
        }
        if let Some(jump) = self.labels[depth].else_jump {
            if self.labels[depth].params.len() != self.labels[depth].results.len() {
                return Err(self.crash("if without else changes the stack"));
            }
            self.body.ops[jump].b = here;
        }
        self.skipping = None;
        self.reset(depth, false)?;
        self.labels.pop();
        Ok(())
    }

    fn unreachable(&mut self) {
        self.skipping = Some(0);
    }

    fn label_index(&self, label: u32) -> Result<usize> {
        (self.labels.len() as u64)
            .checked_sub(1 + u64::from(label))
            .map(|index| index as usize)
            .ok_or_else(|| self.crash("unknown label"))
    }

    /// Widths of the values that a branch to the label takes.
    fn label_arity(&self, index: usize) -> usize {
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
    fn jump(&mut self, index: usize) -> Result<()> {
        let arity = self.label_arity(index);
        if self.labels[index].kind == Kind::Function {
            return self.return_();
        }
        self.settle_top(arity)?;
        let from = self.entries.len() - arity;
        if let Some(first) = self.entries.get(from) {
            let (src, dst) = (first.slot, self.labels[index].slot);
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
        let op = self.emit(Code::Br, 0, 0, UNPATCHED);
        self.target(index, op);
        Ok(())
    }

    fn target(&mut self, index: usize, op: usize) {
        let label = &mut self.labels[index];
        if label.kind == Kind::Loop {
            self.body.ops[op].b = label.start;
        } else {
            label.fixups.push(Fixup::Target(op));
        }
    }

    /// Emits a conditional branch; `code` jumps when the branch is taken, `inverse` when it is not.
    fn branch_if(&mut self, index: usize, code: Code, inverse: Code, d: u32, reg: u32) -> Result<()> {
        if self.is_plain_jump(index)? {
            let op = self.emit(code, d, reg, UNPATCHED);
            self.target(index, op);
        } else {
            let skip = self.emit(inverse, d, reg, UNPATCHED);
            self.jump(index)?;
            self.body.ops[skip].b = self.here();
        }
        Ok(())
    }

    /// Emits the return of the top values, keeping the operand stack as it is.
    fn return_(&mut self) -> Result<()> {
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
                self.settle_top(results)?;
                self.emit(Code::Return, 0, entry.slot, self.body.results)
            }
        };
        Ok(())
    }

    fn br_table(&mut self, labels: &[u32], default: u32) -> Result<()> {
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

    fn call(&mut self, code: Code, ty: &FuncType, a: u32, b: u32, m: u16) -> Result<()> {
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

    // Regular shapes.

    /// d := code(a) with `b` as immediate.
    fn unary(&mut self, code: Code, b: u32) -> Result<()> {
        let a = self.pop_reg()?;
        let d = self.push(1)?;
        self.emit(code, d, a, b);
        Ok(())
    }

    fn binary(&mut self, code: Code) -> Result<()> {
        let b = self.pop_reg()?;
        let a = self.pop_reg()?;
        let d = self.push(1)?;
        self.emit(code, d, a, b);
        Ok(())
    }

    fn constant_value(&mut self, bits: u64) -> Result<()> {
        let d = self.push(1)?;
        self.emit(Code::Const, d, bits as u32, (bits >> 32) as u32);
        Ok(())
    }

    /// An operation over `n` settled operands that has `results` results in the same place.
    fn bulk(&mut self, code: Code, n: usize, results: u32, d: u32, b: u32, m: u16) -> Result<()> {
        let a = self.pop_settled(n)?;
        if results == 1 {
            self.push(1)?;
        }
        let op = self.emit(code, d, a, b);
        self.body.ops[op].m = m;
        Ok(())
    }

    fn access(&mut self, access: MemoryAccess, arg: MemArg) -> Result<()> {
        let m = self.memory(arg.memory)?;
        let value = if access.is_store() { Some(self.pop_reg()?) } else { None };
        let mut a = self.pop_reg()?;
        let mut offset = arg.offset;
        if offset > u64::from(u32::MAX) {
            let pool = self.body.pool.len() as u32;
            self.body.pool.extend([offset as u32, (offset >> 32) as u32]);
            // The slot above both operands is free.
            let free = self.top_slot() + 2;
            self.body.frame_size = self.body.frame_size.max(free + 1);
            self.emit(Code::OffsetAddress, free, a, pool);
            a = free;
            offset = 0;
        }
        let d = match value {
            Some(reg) => reg,
            None => self.push(1)?,
        };
        let op = self.emit(access.into(), d, a, offset as u32);
        self.body.ops[op].m = m;
        Ok(())
    }

    fn local_set(&mut self, index: u32) -> Result<(u32, u32)> {
        let (slot, width) = self.local(index)?;
        let entry = self.pop()?;
        if entry.width != width {
            return Err(self.crash("local of another width"));
        }
        self.settle_local(slot);
        let last = self.body.ops.len();
        if entry.local != NO_LOCAL {
            self.emit_copy(slot, entry.local, width);
        } else if width == 1
            && last > self.barrier
            && self.body.ops[last - 1].code.sets_only_d()
            && self.body.ops[last - 1].d == entry.slot
        {
            self.body.ops[last - 1].d = slot;
        } else {
            self.emit_copy(slot, entry.slot, width);
        }
        Ok((slot, width))
    }

    fn push_local(&mut self, slot: u32, width: u32) -> Result<()> {
        if self.pending.len() >= MAX_PENDING {
            self.settle_all();
        }
        self.push(width)?;
        let index = self.entries.len() - 1;
        self.entries[index].local = slot;
        self.pending.push(index);
        Ok(())
    }

    fn select(&mut self) -> Result<()> {
        self.settle_top(1)?;
        self.pop()?;
        let b = self.pop()?;
        let a = self.pop()?;
        if a.width != b.width {
            return Err(self.crash("select of values of different width"));
        }
        let reg = |entry: Entry| if entry.local == NO_LOCAL { entry.slot } else { entry.local };
        let d = self.push(a.width)?;
        let code = if a.width == 1 { Code::Select } else { Code::SelectWide };
        self.emit(code, d, reg(a), reg(b));
        Ok(())
    }

    fn field(&self, ty: u32, field: u32) -> Result<(u32, StorageType)> {
        let fields = self.struct_type(ty)?;
        let found = fields.get(field as usize).ok_or_else(|| self.crash("unknown field"))?;
        // One slot a field while there are no vectors.
        Ok((field, found.storage))
    }

    /// Translates the next instruction, found at byte `at`.
    pub(crate) fn instruction(&mut self, instr: Instr, at: usize) -> Result<()> {
        self.at = at;
        if let Some(depth) = self.skipping {
            match instr {
                Instr::Block(_) | Instr::Loop(_) | Instr::If(_) => self.skipping = Some(depth + 1),
                Instr::End if depth > 0 => self.skipping = Some(depth - 1),
                Instr::End => return self.end(),
                Instr::Else if depth == 0 => return self.else_(),
                _ => {}
            }
            return Ok(());
        }
        if self.constant && !is_constant(&instr) {
            return Err(self.crash("constant expression required"));
        }
        match instr {
            Instr::Unreachable => {
                self.emit(Code::Unreachable, 0, 0, 0);
                self.unreachable();
            }
            Instr::Nop => {}
            Instr::Block(ty) => self.open(Kind::Block, ty, None)?,
            Instr::Loop(ty) => self.open(Kind::Loop, ty, None)?,
            Instr::If(ty) => {
                let reg = self.pop_reg()?;
                self.open(Kind::If, ty, Some(reg))?;
            }
            Instr::Else => self.else_()?,
            Instr::End => self.end()?,
            Instr::Br(label) => {
                let index = self.label_index(label)?;
                self.jump(index)?;
                self.unreachable();
            }
            Instr::BrIf(label) => {
                let index = self.label_index(label)?;
                let reg = self.pop_reg()?;
                self.branch_if(index, Code::BrIf, Code::BrIfNot, 0, reg)?;
            }
            Instr::BrTable { labels, default } => self.br_table(&labels, default)?,
            Instr::Return => {
                self.return_()?;
                self.unreachable();
            }
            Instr::Call(func) | Instr::ReturnCall(func) => {
                let ty =
                    *self.module.funcs.get(func as usize).ok_or_else(|| self.crash("unknown function"))?;
                let code = if matches!(instr, Instr::Call(_)) { Code::Call } else { Code::ReturnCall };
                let ty = self.func_type(ty.0)?;
                self.call(code, ty, 0, func, 0)?;
            }
            Instr::CallIndirect { ty, table } | Instr::ReturnCallIndirect { ty, table } => {
                let code = if matches!(instr, Instr::CallIndirect { .. }) {
                    Code::CallIndirect
                } else {
                    Code::ReturnCallIndirect
                };
                let m = self.table(table)?;
                let func_type = self.func_type(ty)?;
                let a = self.pop_reg()?;
                self.call(code, func_type, a, ty, m)?;
            }
            Instr::CallRef(ty) | Instr::ReturnCallRef(ty) => {
                let code =
                    if matches!(instr, Instr::CallRef(_)) { Code::CallRef } else { Code::ReturnCallRef };
                let func_type = self.func_type(ty)?;
                let a = self.pop_reg()?;
                self.call(code, func_type, a, ty, 0)?;
            }
            Instr::BrOnNull(label) => {
                let index = self.label_index(label)?;
                // The reference stays above the branch's values, which must be settled without it.
                let entry = self.pop()?;
                let reg = if entry.local == NO_LOCAL { entry.slot } else { entry.local };
                self.branch_if(index, Code::BrOnNull, Code::BrOnNonNull, 0, reg)?;
                let d = self.push(1)?;
                self.emit_copy(d, reg, 1);
            }
            Instr::BrOnNonNull(label) => {
                let index = self.label_index(label)?;
                self.settle_top(1)?;
                let slot = self.top_slot().wrapping_sub(1);
                self.branch_if(index, Code::BrOnNonNull, Code::BrOnNull, 0, slot)?;
                self.pop()?;
            }
            Instr::BrOnCast { label, from, to, on_fail } => {
                let index = self.label_index(label)?;
                self.heap_type(from.heap)?;
                let ty = self.ref_type(to)?;
                self.settle_top(1)?;
                let slot = self.top_slot().wrapping_sub(1);
                let (code, inverse) = (Code::BrOnCast, Code::BrOnCastFail);
                let (code, inverse) = if on_fail { (inverse, code) } else { (code, inverse) };
                self.branch_if(index, code, inverse, ty, slot)?;
            }
            Instr::Drop => {
                self.pop()?;
            }
            Instr::Select(_) => self.select()?,
            Instr::LocalGet(index) => {
                let (slot, width) = self.local(index)?;
                self.push_local(slot, width)?;
            }
            Instr::LocalSet(index) => {
                self.local_set(index)?;
            }
            Instr::LocalTee(index) => {
                let (slot, width) = self.local_set(index)?;
                self.push_local(slot, width)?;
            }
            Instr::GlobalGet(index) => {
                self.known(index, self.globals_visible, "unknown global")?;
                let d = self.push(1)?;
                self.emit(Code::GlobalGet, d, 0, index);
            }
            Instr::GlobalSet(index) => {
                self.known(index, self.globals_visible, "unknown global")?;
                let a = self.pop_reg()?;
                self.emit(Code::GlobalSet, 0, a, index);
            }
            Instr::I32Const(value) => self.constant_value(u64::from(value as u32))?,
            Instr::I64Const(value) => self.constant_value(value as u64)?,
            Instr::F32Const(bits) => self.constant_value(u64::from(bits))?,
            Instr::F64Const(bits) => self.constant_value(bits)?,
            Instr::Numeric(numeric) if numeric.arity() == 1 => self.unary(numeric.into(), 0)?,
            Instr::Numeric(numeric) => self.binary(numeric.into())?,
            Instr::Access(access, arg) => self.access(access, arg)?,
            other => self.store_instruction(other)?,
        }
        Ok(())
    }

    /// Memory, table, reference and aggregate instructions.
    fn store_instruction(&mut self, instr: Instr) -> Result<()> {
        match instr {
            Instr::MemorySize(memory) => {
                let m = self.memory(memory)?;
                let d = self.push(1)?;
                let op = self.emit(Code::MemorySize, d, 0, 0);
                self.body.ops[op].m = m;
            }
            Instr::MemoryGrow(memory) => {
                let m = self.memory(memory)?;
                self.unary(Code::MemoryGrow, 0)?;
                if let Some(op) = self.body.ops.last_mut() {
                    op.m = m;
                }
            }
            Instr::MemoryInit { data, memory } => {
                let (m, b) = (self.memory(memory)?, self.data(data)?);
                self.bulk(Code::MemoryInit, 3, 0, 0, b, m)?;
            }
            Instr::DataDrop(data) => {
                let b = self.data(data)?;
                self.emit(Code::DataDrop, 0, 0, b);
            }
            Instr::MemoryCopy { dst, src } => {
                let (m, b) = (self.memory(dst)?, u32::from(self.memory(src)?));
                self.bulk(Code::MemoryCopy, 3, 0, 0, b, m)?;
            }
            Instr::MemoryFill(memory) => {
                let m = self.memory(memory)?;
                self.bulk(Code::MemoryFill, 3, 0, 0, 0, m)?;
            }
            Instr::TableGet(table) => {
                let b = u32::from(self.table(table)?);
                self.unary(Code::TableGet, b)?;
            }
            Instr::TableSet(table) => {
                let b = u32::from(self.table(table)?);
                let d = self.pop_reg()?;
                let a = self.pop_reg()?;
                self.emit(Code::TableSet, d, a, b);
            }
            Instr::TableSize(table) => {
                let b = u32::from(self.table(table)?);
                let d = self.push(1)?;
                self.emit(Code::TableSize, d, 0, b);
            }
            Instr::TableGrow(table) => {
                let b = u32::from(self.table(table)?);
                self.bulk(Code::TableGrow, 2, 1, 0, b, 0)?;
            }
            Instr::TableFill(table) => {
                let b = u32::from(self.table(table)?);
                self.bulk(Code::TableFill, 3, 0, 0, b, 0)?;
            }
            Instr::TableCopy { dst, src } => {
                let (b, d) = (u32::from(self.table(dst)?), u32::from(self.table(src)?));
                self.bulk(Code::TableCopy, 3, 0, d, b, 0)?;
            }
            Instr::TableInit { elem, table } => {
                let (b, d) = (u32::from(self.table(table)?), self.elem(elem)?);
                self.bulk(Code::TableInit, 3, 0, d, b, 0)?;
            }
            Instr::ElemDrop(elem) => {
                let b = self.elem(elem)?;
                self.emit(Code::ElemDrop, 0, 0, b);
            }
            Instr::RefNull(heap) => {
                self.heap_type(heap)?;
                self.constant_value(0)?;
            }
            Instr::RefIsNull => self.unary(Code::RefIsNull, 0)?,
            Instr::RefFunc(func) => {
                self.known(func, self.module.funcs.len(), "unknown function")?;
                let d = self.push(1)?;
                self.emit(Code::RefFunc, d, 0, func);
            }
            Instr::RefEq => self.binary(Code::RefEq)?,
            Instr::RefAsNonNull => self.unary(Code::RefAsNonNull, 0)?,
            Instr::RefTest(ty) => {
                let b = self.ref_type(ty)?;
                self.unary(Code::RefTest, b)?;
            }
            Instr::RefCast(ty) => {
                let b = self.ref_type(ty)?;
                self.unary(Code::RefCast, b)?;
            }
            Instr::RefI31 => self.unary(Code::RefI31, 0)?,
            Instr::I31GetS => self.unary(Code::I31GetS, 0)?,
            Instr::I31GetU => self.unary(Code::I31GetU, 0)?,
            // Both conversions keep the bits; see `runtime::value`.
            Instr::AnyConvertExtern | Instr::ExternConvertAny => {
                self.unary(Code::Copy, 0)?;
            }
            other => self.aggregate_instruction(other)?,
        }
        Ok(())
    }

    fn aggregate_instruction(&mut self, instr: Instr) -> Result<()> {
        match instr {
            Instr::StructNew(ty) => {
                let fields = self.struct_type(ty)?.len();
                self.settle_top(fields)?;
                for _ in 0..fields {
                    self.pop()?;
                }
                let d = self.push(1)?;
                self.emit(Code::StructNew, d, 0, ty);
            }
            Instr::StructNewDefault(ty) => {
                self.struct_type(ty)?;
                let d = self.push(1)?;
                self.emit(Code::StructNewDefault, d, 0, ty);
            }
            Instr::StructGet { ty, field, extension } => {
                let (slot, storage) = self.field(ty, field)?;
                let code = match (extension, storage) {
                    (Extension::Signed, StorageType::I8) => Code::StructGetS8,
                    (Extension::Signed, StorageType::I16) => Code::StructGetS16,
                    _ => Code::StructGet,
                };
                self.unary(code, slot)?;
            }
            Instr::StructSet { ty, field } => {
                let (slot, storage) = self.field(ty, field)?;
                let code = match storage {
                    StorageType::I8 => Code::StructSet8,
                    StorageType::I16 => Code::StructSet16,
                    StorageType::Val(_) => Code::StructSet,
                };
                let d = self.pop_reg()?;
                let a = self.pop_reg()?;
                self.emit(code, d, a, slot);
            }
            Instr::ArrayNew(ty) => {
                self.array_type(ty)?;
                self.bulk(Code::ArrayNew, 2, 1, 0, ty, 0)?;
            }
            Instr::ArrayNewDefault(ty) => {
                self.array_type(ty)?;
                self.bulk(Code::ArrayNewDefault, 1, 1, 0, ty, 0)?;
            }
            Instr::ArrayNewFixed { ty, len } => {
                self.array_type(ty)?;
                self.bulk(Code::ArrayNewFixed, len as usize, 1, len, ty, 0)?;
            }
            Instr::ArrayNewData { ty, data } => {
                self.array_type(ty)?;
                let d = self.data(data)?;
                self.bulk(Code::ArrayNewData, 2, 1, d, ty, 0)?;
            }
            Instr::ArrayNewElem { ty, elem } => {
                self.array_type(ty)?;
                let d = self.elem(elem)?;
                self.bulk(Code::ArrayNewElem, 2, 1, d, ty, 0)?;
            }
            Instr::ArrayGet { ty, extension } => {
                let code = match (extension, self.array_type(ty)?.storage) {
                    (Extension::Signed, StorageType::I8) => Code::ArrayGetS8,
                    (Extension::Signed, StorageType::I16) => Code::ArrayGetS16,
                    _ => Code::ArrayGet,
                };
                self.binary(code)?;
            }
            Instr::ArraySet(ty) => {
                self.array_type(ty)?;
                let d = self.pop_reg()?;
                let b = self.pop_reg()?;
                let a = self.pop_reg()?;
                self.emit(Code::ArraySet, d, a, b);
            }
            Instr::ArrayLen => self.unary(Code::ArrayLen, 0)?,
            Instr::ArrayFill(ty) => {
                self.array_type(ty)?;
                self.bulk(Code::ArrayFill, 4, 0, 0, ty, 0)?;
            }
            Instr::ArrayCopy { dst, src } => {
                self.array_type(dst)?;
                self.array_type(src)?;
                self.bulk(Code::ArrayCopy, 5, 0, 0, dst, 0)?;
            }
            Instr::ArrayInitData { ty, data } => {
                self.array_type(ty)?;
                let d = self.data(data)?;
                self.bulk(Code::ArrayInitData, 4, 0, d, ty, 0)?;
            }
            Instr::ArrayInitElem { ty, elem } => {
                self.array_type(ty)?;
                let d = self.elem(elem)?;
                self.bulk(Code::ArrayInitElem, 4, 0, d, ty, 0)?;
            }
            _ => return Err(self.crash("instruction without a translation")),
        }
        Ok(())
    }
}

/// Spec: constant expressions.
fn is_constant(instr: &Instr) -> bool {
    use crate::syntax::opcodes::Numeric as N;
    matches!(
        instr,
        Instr::I32Const(_)
            | Instr::I64Const(_)
            | Instr::F32Const(_)
            | Instr::F64Const(_)
            | Instr::Numeric(N::I32Add | N::I32Sub | N::I32Mul | N::I64Add | N::I64Sub | N::I64Mul)
            | Instr::GlobalGet(_)
            | Instr::RefNull(_)
            | Instr::RefFunc(_)
            | Instr::RefI31
            | Instr::StructNew(_)
            | Instr::StructNewDefault(_)
            | Instr::ArrayNew(_)
            | Instr::ArrayNewDefault(_)
            | Instr::ArrayNewFixed { .. }
            | Instr::AnyConvertExtern
            | Instr::ExternConvertAny
            | Instr::End
    )
}
