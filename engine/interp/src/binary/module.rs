//! Modules and sections (spec: Binary Format / Modules). Each definition and each instruction is handed to the validator
//! ([`Context`], [`Expression`]) as soon as it is read, and an instruction that is valid to the [`Translator`]: one pass for the three.
//!
//! Here only the grammar is judged. What the validator finds wrong is reported when the whole binary has been read, so
//! that a malformed binary is always called malformed, and a limit of the validator or of the translator only for a module in
//! which nothing is found to be invalid. After the first error of the validator, or when only decoding is wanted, the rest is
//! read for its grammar alone.

use std::sync::Arc;

use super::instructions::instruction;
use super::reader::Reader;
use super::types::{global_type, memory_type, rec_group, ref_type, table_type, tag_type, val_type};
use crate::Module;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::code::Body;
use crate::exec::translate::Translator;
use crate::syntax::features::Features;
use crate::syntax::instructions::Instr;
use crate::syntax::module::{
    Data, Elem, ElemItems, Export, ExternIndex, Global, Import, ImportDesc, ModuleData, SegmentMode, Table,
};
use crate::syntax::types::{HeapType, RefType, SubType, TypeIndex, ValType};
use crate::valid::context::{ConstantPlace, Context};
use crate::valid::expression::Expression;

const CUSTOM: u8 = 0;
const GLOBAL: u8 = 6;
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
    phase: Phase,
    /// The validator, while it has found nothing wrong; none for decoding only.
    context: Option<Context>,
    /// What the validator has found wrong; malformed bytes further on take precedence.
    invalid: Option<Error>,
    /// Why a valid expression could not be translated.
    untranslated: Option<Error>,
    saw_code: bool,
}

/// How many globals the module's own section announces; 0 where the sections cannot be told.
fn defined_globals(mut r: Reader<'_>) -> u32 {
    let mut count = || -> Result<Option<u32>> {
        while !r.is_empty() {
            let id = r.byte()?;
            let len = r.u32()? as usize;
            let mut section = r.part(len)?;
            if id == GLOBAL {
                return section.u32().map(Some);
            }
        }
        Ok(None)
    };
    count().ok().flatten().unwrap_or(0)
}

/// How far a module is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Decode,
    Validate,
    Translate,
    /// With code that tells which of its stretches are entered.
    Cover,
}

/// Takes a module's bytes through the phases up to `phase`.
pub(crate) fn decode(bytes: &[u8], features: &Features, phase: Phase) -> Result<Module> {
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
        phase,
        context: (phase >= Phase::Validate).then(|| {
            let mut context = Context::default();
            context.expect_globals(defined_globals(r.clone()));
            context
        }),
        invalid: None,
        untranslated: None,
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
                let at = r.position();
                let start = r.u32()?;
                self.check(|context| context.start(start, at));
                self.module.start = Some(start);
                return Ok(());
            }
            12 => {
                let count = r.u32()?;
                self.check(|context| {
                    context.set_datas(count);
                    Ok(())
                });
                self.data_count = Some(count);
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
                    let at = r.position();
                    let ty = TypeIndex(r.u32()?);
                    self.check(|context| context.function(ty, at));
                    self.module.funcs.push(ty);
                    self.defined_funcs.push(ty);
                }
                4 => self.table(r)?,
                5 => {
                    let at = r.position();
                    let ty = memory_type(r)?;
                    self.check(|context| context.add_memory(ty, at));
                    self.module.memories.push(ty);
                }
                13 => {
                    let at = r.position();
                    let ty = tag_type(r)?;
                    self.check(|context| context.add_tag(ty, at));
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
        let limit = self.context.and_then(Context::into_limit);
        if let Some(error) = self.invalid.or(limit).or(self.untranslated) {
            return Err(error);
        }
        self.module.is_complete = self.phase >= Phase::Translate;
        Ok(Module(Arc::new(self.module)))
    }

    /// Lets the validator check a definition, if it has found nothing wrong yet.
    fn check(&mut self, rule: impl FnOnce(&mut Context) -> Result<()>) {
        if let Some(context) = &mut self.context
            && let Err(error) = rule(context)
        {
            self.invalid = Some(error);
            self.context = None;
        }
    }

    /// Spec: type section.
    fn type_group(&mut self, r: &mut Reader<'_>) -> Result<()> {
        let at = r.position();
        let (group, several_supers) = rec_group(r)?;
        self.check(|context| context.rec_group(&group, several_supers, at));
        let group_index = self.module.groups.len() as u32;
        for place in 0..group.types.len() {
            self.module.type_places.push((group_index, place as u32));
        }
        self.module.field_slots.extend(group.types.iter().map(SubType::field_slots));
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
                self.module.funcs.push(ty);
                self.module.imported_funcs += 1;
                ImportDesc::Func(ty)
            }
            1 => {
                let ty = table_type(r)?;
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
                self.module.globals.push(ty);
                self.module.imported_globals += 1;
                ImportDesc::Global(ty)
            }
            4 => {
                let ty = tag_type(r)?;
                self.module.tags.push(ty);
                ImportDesc::Tag(ty)
            }
            _ => return Err(Error::malformed(start, "malformed import kind")),
        };
        let import = Import { module, name, desc };
        self.check(|context| context.import(&import, start));
        self.module.imports.push(import);
        Ok(())
    }

    /// Spec: table section.
    fn table(&mut self, r: &mut Reader<'_>) -> Result<()> {
        let at = r.position();
        let mut init = None;
        let ty = if r.peek() == Some(0x40) {
            r.byte()?;
            let start = r.position();
            if r.byte()? != 0 {
                return Err(Error::malformed(start, "malformed table"));
            }
            let ty = table_type(r)?;
            init = Some(self.const_expr(r, ValType::Ref(ty.element), ConstantPlace::Table)?);
            ty
        } else {
            let ty = table_type(r)?;
            self.check(|context| context.table_default(ty, at));
            ty
        };
        self.check(|context| context.add_table(ty, at));
        self.module.tables.push(ty);
        self.module.table_defs.push(Table { ty, init });
        Ok(())
    }

    /// Spec: global section.
    fn global(&mut self, r: &mut Reader<'_>) -> Result<()> {
        let at = r.position();
        let ty = global_type(r)?;
        let init = self.const_expr(r, ty.value, ConstantPlace::Global)?;
        self.check(|context| context.add_global(ty, at));
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
        self.check(|context| context.export(&name, index, start));
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
            self.check(|context| context.table_index(index, start));
            let addr = self.module.tables.get(index as usize).map(|table| table.addr.val_type());
            let offset = self.const_expr(r, addr.unwrap_or(ValType::I32), ConstantPlace::ElemOffset)?;
            SegmentMode::Active { index, offset }
        } else if flags & 2 != 0 {
            SegmentMode::Declarative
        } else {
            SegmentMode::Passive
        };
        let by_expression = flags & 4 != 0;
        // The short form lists functions, none of which is null.
        let mut ty = RefType { nullable: by_expression, heap: HeapType::Func };
        if flags & 3 != 0 {
            if by_expression {
                ty = ref_type(r)?;
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
                exprs.push(self.const_expr(r, ValType::Ref(ty), ConstantPlace::ElemItem)?);
            }
            ElemItems::Exprs(exprs)
        } else {
            let mut funcs = Vec::with_capacity(count);
            for _ in 0..count {
                let at = r.position();
                let func = r.u32()?;
                self.check(|context| context.elem_func(func, at));
                funcs.push(func);
            }
            ElemItems::Funcs(funcs)
        };
        let table = match mode {
            SegmentMode::Active { index, .. } => Some(index),
            SegmentMode::Passive | SegmentMode::Declarative => None,
        };
        self.check(|context| context.add_elem(ty, table, start));
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
                self.check(|context| context.memory_index(index, start));
                let addr = self.module.memories.get(index as usize).map(|memory| memory.addr.val_type());
                let offset = self.const_expr(r, addr.unwrap_or(ValType::I32), ConstantPlace::DataOffset)?;
                SegmentMode::Active { index, offset }
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
            locals.push((count, ty));
        }
        let body = self.expression(&mut r, ExprContext::Function { defined: i, locals: &locals }, start)?;
        if !r.is_empty() {
            return Err(r.error("section size mismatch: END opcode expected"));
        }
        self.module.bodies.push(body);
        Ok(())
    }

    fn const_expr(&mut self, r: &mut Reader<'_>, ty: ValType, place: ConstantPlace) -> Result<Arc<Body>> {
        let at = r.position();
        Ok(Arc::new(self.expression(r, ExprContext::Constant(ty, place), at)?))
    }

    /// Reads instructions up to the `end` that closes the expression, validating them, and translating them while they are
    /// valid.
    fn expression(&mut self, r: &mut Reader<'_>, expr: ExprContext<'_>, start: usize) -> Result<Body> {
        let mut uses_data = None;
        // Only the code section's data indices need a count (spec "Modules", binary grammar of `module`).
        let in_code = matches!(expr, ExprContext::Function { .. });
        let mut context = self.context.take();
        let mut typing = None;
        let mut invalid = None;
        let is_limited = context.as_ref().is_some_and(Context::is_limited);
        if let Some(context) = &mut context {
            let buffers = std::mem::take(&mut context.buffers);
            let begun = match expr {
                ExprContext::Function { defined, locals } => {
                    let index = self.module.imported_funcs + defined as u32;
                    context.body(index, locals, buffers, start)
                }
                ExprContext::Constant(ty, place) => context.constant(ty, place, buffers, start),
            };
            match begun {
                Ok(expression) => typing = Some(expression),
                Err(error) if error.kind() == ErrorKind::Unsupported => context.meet(error),
                Err(error) => invalid = Some(error),
            }
        }
        let mut untranslated = None;
        let mut translator = None;
        if typing.is_some() && self.phase >= Phase::Translate && !is_limited && self.untranslated.is_none() {
            translator = match expr {
                ExprContext::Function { defined, locals } => self
                    .defined_funcs
                    .get(defined)
                    .and_then(|&ty| self.module.func_type(ty))
                    .map(|ty| Translator::function(&self.module, ty, locals))
                    .map(|body| if self.phase == Phase::Cover { body.covering() } else { body }),
                ExprContext::Constant(ty, _) => Some(Translator::constant(&self.module, ty)),
            };
        }
        // The limit for which typing has stopped.
        let (mut stopped, mut limit) = (false, None);
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
            if !stopped
                && let Some(expression) = &mut typing
                && let Err(error) = expression.instruction(&instr, at)
            {
                translator = None;
                if error.kind() == ErrorKind::Unsupported {
                    stopped = true;
                    limit = Some(error);
                } else {
                    invalid = Some(error);
                    typing = None;
                }
            }
            if let Some(current) = &mut translator
                && let Err(error) = current.instruction(instr, at)
            {
                untranslated = Some(error);
                translator = None;
            }
        }
        let body = translator.map(Translator::finish).unwrap_or_else(|| Ok(Body::default()));
        let buffers = typing.map(Expression::into_buffers);
        if let Some(mut context) = context
            && invalid.is_none()
        {
            buffers.into_iter().for_each(|buffers| context.finish(buffers));
            limit.into_iter().for_each(|limit| context.meet(limit));
            self.context = Some(context);
        }
        if self.uses_data.is_none() {
            self.uses_data = uses_data;
        }
        if self.invalid.is_none() {
            self.invalid = invalid;
        }
        let body = match untranslated {
            None => body,
            Some(error) => Err(error),
        };
        Ok(body.unwrap_or_else(|error| {
            self.untranslated.get_or_insert(error);
            Body::default()
        }))
    }
}

#[derive(Clone, Copy)]
enum ExprContext<'a> {
    /// The function defined at this place, its locals without the parameters.
    Function {
        defined: usize,
        locals: &'a [(u32, ValType)],
    },
    Constant(ValType, ConstantPlace),
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
