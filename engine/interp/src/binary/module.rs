//! Modules and sections (spec: Binary Format / Modules). Bodies and constant expressions go instruction by instruction
//! through [`Translator`]; what the translator finds wrong is reported only when the whole binary has been
//! read, so that a malformed binary is always called malformed.

use std::sync::Arc;

use super::instructions::instruction;
use super::reader::Reader;
use super::types::{global_type, memory_type, rec_group, ref_type, table_type, tag_type, val_type};
use crate::Module;
use crate::error::{Error, Result};
use crate::exec::code::Body;
use crate::exec::translate::Translator;
use crate::syntax::features::Features;
use crate::syntax::instructions::Instr;
use crate::syntax::module::{
    Data, Elem, ElemItems, Export, ExternIndex, Global, Import, ImportDesc, ModuleData, SegmentMode, Table,
};
use crate::syntax::types::{FuncType, HeapType, RefType, TypeIndex, ValType};

/// Most locals of one function, parameters included.
pub(crate) const MAX_LOCALS: u64 = 50_000;

const CUSTOM: u8 = 0;
const DATA: u8 = 11;

/// Place of each section id in the prescribed order; custom sections are free.
fn section_order(id: u8) -> Option<u8> {
    Some(match id {
        1..=5 => id,
        13 => 6,
        6..=9 => id + 1,
        12 => 11,
        10 => 12,
        11 => 13,
        _ => return None,
    })
}

struct Decoder {
    features: Features,
    module: ModuleData,
    defined_funcs: Vec<TypeIndex>,
    data_count: Option<u32>,
    uses_data: Option<usize>,
    /// First thing wrong with the meaning of the module; malformed bytes further on take precedence.
    semantic: Option<Error>,
    saw_code: bool,
}

pub(crate) fn decode(bytes: &[u8], features: &Features) -> Result<Module> {
    let mut r = Reader::new(bytes);
    if r.remaining() < 4 {
        return Err(r.error(if b"\0asm".starts_with(bytes) {
            "unexpected end"
        } else {
            "magic header not detected"
        }));
    }
    if r.bytes(4)? != b"\0asm" {
        return Err(Error::malformed(0, "magic header not detected"));
    }
    let version = r.position();
    if r.bytes(4)? != [1, 0, 0, 0] {
        return Err(Error::malformed(version, "unknown binary version"));
    }
    let mut decoder = Decoder {
        features: *features,
        module: ModuleData::default(),
        defined_funcs: Vec::new(),
        data_count: None,
        uses_data: None,
        semantic: None,
        saw_code: false,
    };
    decoder.sections(&mut r)?;
    decoder.finish(&r)
}

impl Decoder {
    fn sections(&mut self, r: &mut Reader<'_>) -> Result<()> {
        let mut last = 0;
        while !r.is_empty() {
            let start = r.position();
            let id = r.byte()?;
            if id != CUSTOM && section_order(id).is_none() {
                return Err(Error::malformed(start, "malformed section id"));
            }
            let len = r.u32()? as usize;
            let mut section = r.part(len)?;
            if id == CUSTOM {
                section.name()?;
                continue;
            }
            let order = section_order(id).unwrap_or(0);
            if order <= last {
                return Err(Error::malformed(start, "unexpected content after last section"));
            }
            last = order;
            self.section(id, &mut section)?;
            if !section.is_empty() {
                return Err(section.error("section size mismatch"));
            }
        }
        Ok(())
    }

    fn section(&mut self, id: u8, r: &mut Reader<'_>) -> Result<()> {
        match id {
            8 => {
                self.module.start = Some(r.u32()?);
                return Ok(());
            }
            12 => {
                self.data_count = Some(r.u32()?);
                return Ok(());
            }
            _ => {}
        }
        let count = if id == 10 || id == DATA { r.u32()? as usize } else { r.count()? };
        if id == 10 {
            self.saw_code = true;
            if count != self.defined_funcs.len() {
                return Err(r.error("function and code section have inconsistent lengths"));
            }
        }
        if id == DATA && self.data_count.is_some_and(|expected| expected as usize != count) {
            return Err(r.error("data count and data section have inconsistent lengths"));
        }
        for i in 0..count {
            match id {
                1 => self.type_group(r)?,
                2 => self.import(r)?,
                3 => {
                    let ty = TypeIndex(r.u32()?);
                    self.check_func_type(r, ty);
                    self.module.funcs.push(ty);
                    self.defined_funcs.push(ty);
                }
                4 => self.table(r)?,
                5 => {
                    let ty = memory_type(r)?;
                    self.module.memories.push(ty);
                }
                13 => {
                    let ty = tag_type(r)?;
                    self.check_func_type(r, ty);
                    self.module.tags.push(ty);
                }
                6 => self.global(r)?,
                7 => self.export(r)?,
                9 => self.elem(r)?,
                10 => self.code(r, i)?,
                _ => self.data(r)?,
            }
        }
        Ok(())
    }

    fn finish(mut self, r: &Reader<'_>) -> Result<Module> {
        if !self.saw_code && !self.defined_funcs.is_empty() {
            return Err(r.error("function and code section have inconsistent lengths"));
        }
        let datas = self.module.datas.len();
        if self.data_count.is_some_and(|count| count as usize != datas) {
            return Err(r.error("data count and data section have inconsistent lengths"));
        }
        if let (Some(offset), None) = (self.uses_data, self.data_count) {
            return Err(Error::malformed(offset, "data count section required"));
        }
        if let Some(start) = self.module.start
            && start as usize >= self.module.funcs.len()
        {
            self.semantic(Error::crash("unknown start function"));
        }
        let spaces = [
            self.module.funcs.len(),
            self.module.tables.len(),
            self.module.memories.len(),
            self.module.globals.len(),
            self.module.tags.len(),
        ];
        let unknown = self.module.exports.iter().any(|export| match export.index {
            ExternIndex::Func(i) => i as usize >= spaces[0],
            ExternIndex::Table(i) => i as usize >= spaces[1],
            ExternIndex::Memory(i) => i as usize >= spaces[2],
            ExternIndex::Global(i) => i as usize >= spaces[3],
            ExternIndex::Tag(i) => i as usize >= spaces[4],
        });
        if unknown {
            self.semantic(Error::crash("export of an unknown definition"));
        }
        match self.semantic {
            Some(error) => Err(error),
            None => Ok(Module(Arc::new(self.module))),
        }
    }

    fn semantic(&mut self, error: Error) {
        self.semantic.get_or_insert(error);
    }

    fn check_func_type(&mut self, r: &Reader<'_>, ty: TypeIndex) {
        if self.module.func_type(ty).is_none() {
            self.semantic(Error::crash_at(r.position(), "unknown function type"));
        }
    }

    /// Remembers a concrete type outside of the type section as wrong.
    fn check_val_type(&mut self, r: &Reader<'_>, ty: ValType) {
        if let ValType::Ref(RefType { heap: HeapType::Index(index), .. }) = ty
            && index.0 as usize >= self.module.type_places.len()
        {
            self.semantic(Error::crash_at(r.position(), "unknown type"));
        }
    }

    /// Spec: type section.
    fn type_group(&mut self, r: &mut Reader<'_>) -> Result<()> {
        let start = r.position();
        let group = rec_group(r)?;
        let group_index = self.module.groups.len() as u32;
        let first = self.module.type_places.len();
        for place in 0..group.types.len() {
            self.module.type_places.push((group_index, place as u32));
        }
        let end = self.module.type_places.len();
        let mut unknown = false;
        for (place, ty) in group.types.iter().enumerate() {
            if let Some(HeapType::Index(index)) = ty.supertype {
                unknown |= index.0 as usize >= first + place;
            }
            use crate::syntax::types::MapHeapTypes;
            self.module.field_slots.push(ty.field_slots());
            ty.map_heap_types(&mut |heap| {
                if let HeapType::Index(index) = heap {
                    unknown |= index.0 as usize >= end;
                }
                heap
            });
        }
        if unknown {
            self.semantic(Error::crash_at(start, "unknown type"));
        }
        self.module.groups.push(group);
        Ok(())
    }

    /// Spec: import section.
    fn import(&mut self, r: &mut Reader<'_>) -> Result<()> {
        let module = r.name()?.to_owned();
        let name = r.name()?.to_owned();
        let start = r.position();
        let desc = match r.byte()? {
            0 => {
                let ty = TypeIndex(r.u32()?);
                self.check_func_type(r, ty);
                self.module.funcs.push(ty);
                self.module.imported_funcs += 1;
                ImportDesc::Func(ty)
            }
            1 => {
                let ty = table_type(r)?;
                self.check_val_type(r, ValType::Ref(ty.element));
                self.module.tables.push(ty);
                ImportDesc::Table(ty)
            }
            2 => {
                let ty = memory_type(r)?;
                self.module.memories.push(ty);
                ImportDesc::Memory(ty)
            }
            3 => {
                let ty = global_type(r)?;
                self.check_val_type(r, ty.value);
                self.module.globals.push(ty);
                self.module.imported_globals += 1;
                ImportDesc::Global(ty)
            }
            4 => {
                let ty = tag_type(r)?;
                self.check_func_type(r, ty);
                self.module.tags.push(ty);
                ImportDesc::Tag(ty)
            }
            _ => return Err(Error::malformed(start, "malformed import kind")),
        };
        self.module.imports.push(Import { module, name, desc });
        Ok(())
    }

    /// Spec: table section.
    fn table(&mut self, r: &mut Reader<'_>) -> Result<()> {
        let mut init = None;
        let ty = if r.peek() == Some(0x40) {
            r.byte()?;
            let start = r.position();
            if r.byte()? != 0 {
                return Err(Error::malformed(start, "malformed table"));
            }
            let ty = table_type(r)?;
            init = Some(self.const_expr(r, ValType::Ref(ty.element))?);
            ty
        } else {
            table_type(r)?
        };
        self.check_val_type(r, ValType::Ref(ty.element));
        self.module.tables.push(ty);
        self.module.table_defs.push(Table { ty, init });
        Ok(())
    }

    /// Spec: global section.
    fn global(&mut self, r: &mut Reader<'_>) -> Result<()> {
        let ty = global_type(r)?;
        self.check_val_type(r, ty.value);
        let init = self.const_expr(r, ty.value)?;
        self.module.globals.push(ty);
        self.module.global_defs.push(Global { ty, init });
        Ok(())
    }

    /// Spec: export section.
    fn export(&mut self, r: &mut Reader<'_>) -> Result<()> {
        let name = r.name()?.to_owned();
        let start = r.position();
        let kind = r.byte()?;
        let i = r.u32()?;
        let index = match kind {
            0 => ExternIndex::Func(i),
            1 => ExternIndex::Table(i),
            2 => ExternIndex::Memory(i),
            3 => ExternIndex::Global(i),
            4 => ExternIndex::Tag(i),
            _ => return Err(Error::malformed(start, "malformed export kind")),
        };
        self.module.exports.push(Export { name, index });
        Ok(())
    }

    /// Spec: element section.
    fn elem(&mut self, r: &mut Reader<'_>) -> Result<()> {
        let start = r.position();
        let flags = r.u32()?;
        if flags > 7 {
            return Err(Error::malformed(start, "malformed elements segment kind"));
        }
        let mode = if flags & 1 == 0 {
            let index = if flags & 2 != 0 { r.u32()? } else { 0 };
            let addr = self.module.tables.get(index as usize).map(|table| table.addr.val_type());
            if addr.is_none() {
                self.semantic(Error::crash_at(start, "unknown table"));
            }
            SegmentMode::Active { index, offset: self.const_expr(r, addr.unwrap_or(ValType::I32))? }
        } else if flags & 2 != 0 {
            SegmentMode::Declarative
        } else {
            SegmentMode::Passive
        };
        let by_expression = flags & 4 != 0;
        let mut ty = RefType::nullable(HeapType::Func);
        if flags & 3 != 0 {
            if by_expression {
                ty = ref_type(r)?;
                self.check_val_type(r, ValType::Ref(ty));
            } else {
                let start = r.position();
                if r.byte()? != 0 {
                    return Err(Error::malformed(start, "malformed element kind"));
                }
            }
        }
        let count = r.count()?;
        let items = if by_expression {
            let mut exprs = Vec::with_capacity(count.min(1024));
            for _ in 0..count {
                exprs.push(self.const_expr(r, ValType::Ref(ty))?);
            }
            ElemItems::Exprs(exprs)
        } else {
            let mut funcs = Vec::with_capacity(count);
            for _ in 0..count {
                let func = r.u32()?;
                if func as usize >= self.module.funcs.len() {
                    self.semantic(Error::crash_at(start, "unknown function in element segment"));
                }
                funcs.push(func);
            }
            ElemItems::Funcs(funcs)
        };
        self.module.elems.push(Elem { items, mode });
        Ok(())
    }

    /// Spec: data section.
    fn data(&mut self, r: &mut Reader<'_>) -> Result<()> {
        let start = r.position();
        let flags = r.u32()?;
        let mode = match flags {
            0 | 2 => {
                let index = if flags == 2 { r.u32()? } else { 0 };
                let addr = self.module.memories.get(index as usize).map(|memory| memory.addr.val_type());
                if addr.is_none() {
                    self.semantic(Error::crash_at(start, "unknown memory"));
                }
                SegmentMode::Active { index, offset: self.const_expr(r, addr.unwrap_or(ValType::I32))? }
            }
            1 => SegmentMode::Passive,
            _ => return Err(Error::malformed(start, "malformed data segment kind")),
        };
        let len = r.u32()? as usize;
        let bytes = Arc::from(r.bytes(len)?);
        self.module.datas.push(Data { bytes, mode });
        Ok(())
    }

    /// Spec: code section.
    fn code(&mut self, r: &mut Reader<'_>, i: usize) -> Result<()> {
        let size = r.u32()? as usize;
        let mut r = r.part(size)?;
        let start = r.position();
        let groups = r.count()?;
        let mut locals: Vec<(u32, ValType)> = Vec::with_capacity(groups.min(1024));
        let mut total = 0u64;
        for _ in 0..groups {
            let count = r.u32()?;
            let ty = val_type(&mut r)?;
            total += u64::from(count);
            if total > u64::from(u32::MAX) {
                return Err(Error::malformed(start, "too many locals"));
            }
            self.check_val_type(&r, ty);
            locals.push((count, ty));
        }
        let empty = FuncType::default();
        let ty = self.module.func_type(self.defined_funcs[i]).unwrap_or(&empty).clone();
        if total + ty.params.len() as u64 > MAX_LOCALS {
            self.semantic(Error::unsupported(start, format!("more than {MAX_LOCALS} locals in a function")));
            locals.clear();
        }
        let body = self.expression(&mut r, ExprContext::Function { ty: &ty, locals: &locals })?;
        if !r.is_empty() {
            return Err(r.error("section size mismatch: END opcode expected"));
        }
        self.module.bodies.push(body);
        Ok(())
    }

    fn const_expr(&mut self, r: &mut Reader<'_>, ty: ValType) -> Result<Arc<Body>> {
        Ok(Arc::new(self.expression(r, ExprContext::Constant(ty))?))
    }

    /// Reads instructions up to the `end` that closes the expression, translating them while they make sense.
    fn expression(&mut self, r: &mut Reader<'_>, context: ExprContext<'_>) -> Result<Body> {
        let data_count = self.data_count.unwrap_or(u32::MAX);
        let mut uses_data = None;
        // Only the code section's data indices need a count (spec "Modules", binary grammar of `module`).
        let in_code = matches!(context, ExprContext::Function { .. });
        let mut failed = None;
        let mut translator = match context {
            ExprContext::Function { ty, locals } => {
                Translator::function(&self.module, data_count, ty, locals)
            }
            ExprContext::Constant(ty) => Translator::constant(&self.module, ty),
        };
        let mut open: Vec<Opened> = vec![Opened::Block];
        while !open.is_empty() {
            let at = r.position();
            if r.is_empty() {
                return Err(r.error("unexpected end: END opcode expected"));
            }
            let instr = instruction(r)?;
            match instr {
                Instr::Try(_)
                | Instr::Catch(_)
                | Instr::CatchAll
                | Instr::Rethrow(_)
                | Instr::Delegate(_)
                    if !self.features.legacy_exceptions =>
                {
                    return Err(Error::malformed(at, "illegal opcode"));
                }
                Instr::Block(_) | Instr::Loop(_) | Instr::TryTable { .. } => open.push(Opened::Block),
                Instr::If(_) => open.push(Opened::If),
                Instr::Else => match open.last_mut() {
                    Some(top @ Opened::If) => *top = Opened::Block,
                    _ => return Err(Error::malformed(at, "END opcode expected")),
                },
                Instr::Try(_) => open.push(Opened::Try),
                Instr::Catch(_) | Instr::CatchAll => match open.last_mut() {
                    Some(top @ (Opened::Try | Opened::Catch)) => {
                        *top = if instr == Instr::CatchAll { Opened::Block } else { Opened::Catch };
                    }
                    _ => return Err(Error::malformed(at, "END opcode expected")),
                },
                Instr::Delegate(_) => match open.pop() {
                    Some(Opened::Try) => {}
                    _ => return Err(Error::malformed(at, "END opcode expected")),
                },
                Instr::End => {
                    open.pop();
                }
                Instr::MemoryInit { .. }
                | Instr::DataDrop(_)
                | Instr::ArrayNewData { .. }
                | Instr::ArrayInitData { .. }
                    if in_code =>
                {
                    uses_data.get_or_insert(at);
                }
                _ => {}
            }
            if failed.is_none()
                && let Err(error) = translator.instruction(instr, at)
            {
                failed = Some(error);
            }
        }
        let body = match failed {
            None => translator.finish(),
            Some(error) => Err(error),
        };
        if self.uses_data.is_none() {
            self.uses_data = uses_data;
        }
        match body {
            Ok(body) => Ok(body),
            Err(error) => {
                self.semantic(error);
                Ok(Body::default())
            }
        }
    }
}

enum ExprContext<'a> {
    Function { ty: &'a FuncType, locals: &'a [(u32, ValType)] },
    Constant(ValType),
}

/// What the innermost open block may go on with beside its `end`.
enum Opened {
    Block,
    If,
    /// A legacy `try` before its first clause: catches, or `delegate` as its end.
    Try,
    /// A legacy `try` after a `catch`: more catches.
    Catch,
}
