//! The context *C* and the definitions that extend it (spec: Validation / Conventions, Contexts; Validation / Modules).
//!
//! The decoder calls one method for each definition, in the order of the binary. That order makes each index space just as long
//! as the rule at hand may see it: a global's initial value finds the globals before it, a table's the imported ones,
//! function bodies everything. All types in here are canonical.

use std::cell::{Cell, OnceCell};
use std::collections::HashSet;

use super::expression::{Buffers, Expression};
use super::{MAX_ARITY, MAX_WIDE, Rule};
use crate::error::{Error, Result};
use crate::runtime::types::Types;
use crate::syntax::module::{ExternIndex, Import, ImportDesc};
use crate::syntax::types::{
    CompositeType, FieldType, FuncType, GlobalType, HeapType, MemoryType, RefType, TableType, TypeId,
    TypeIndex, ValType,
};

/// A place where a constant expression stands; it gives the rule for the type of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConstantPlace {
    Global,
    Table,
    ElemOffset,
    ElemItem,
    DataOffset,
}

/// The context of a module.
#[derive(Default)]
pub(crate) struct Context {
    pub(super) types: Types,
    /// Canonical type of each type index.
    pub(super) ids: Vec<TypeId>,
    /// By type index, whether it is a struct type whose fields all have default values.
    pub(super) defaultable: Vec<bool>,
    pub(super) funcs: Vec<TypeId>,
    pub(super) tables: Vec<TableType>,
    pub(super) memories: Vec<MemoryType>,
    pub(super) globals: Vec<GlobalType>,
    /// How many globals the module defines and imports, also those that come later.
    all_globals: u32,
    pub(super) tags: Vec<TypeId>,
    pub(super) elems: Vec<RefType>,
    pub(super) datas: u32,
    /// Functions that occur outside of function bodies, by index (spec: *C*.refs).
    refs: Vec<bool>,
    /// Names of the exports so far.
    exports: HashSet<String>,
    /// The first limit met; nothing that it stands for is a reason to stop looking for what is invalid.
    limit: OnceCell<Error>,
    /// How many types were handled for instructions of more than [`MAX_ARITY`] of them.
    wide: Cell<u64>,
    /// Memory of the expression at hand, kept for the next one.
    pub(crate) buffers: Buffers,
}

impl Context {
    // Limits.

    /// Notes a limit of this implementation.
    pub(crate) fn meet(&self, limit: Error) {
        // The first one stays.
        let _ = self.limit.set(limit);
    }

    /// Whether there is one, so that the module is not to be used.
    pub(crate) fn is_limited(&self) -> bool {
        self.limit.get().is_some()
    }

    /// The limit met, if there is one.
    pub(crate) fn into_limit(self) -> Option<Error> {
        self.limit.into_inner()
    }

    /// Counts the work for an instruction of `count` types: beyond [`MAX_ARITY`] only so much is done in a module.
    pub(super) fn charge(&self, count: usize, at: usize) -> Result<()> {
        if count <= MAX_ARITY {
            return Ok(());
        }
        self.wide.set(self.wide.get().saturating_add(count as u64));
        if self.wide.get() > MAX_WIDE {
            return Err(Error::unsupported(at, "too many instructions of too many operands"));
        }
        Ok(())
    }

    // Index spaces.

    pub(super) fn func_type(&self, id: TypeId, at: usize) -> Result<&FuncType> {
        match self.types.func_type(id) {
            Some(ty) => Ok(ty),
            None => Err(Error::invalid(Rule::ExpandFunc, at, "unknown type: not a function type")),
        }
    }

    fn composite(&self, index: u32, at: usize) -> Result<(TypeId, Option<&CompositeType>)> {
        let id = self.type_id(TypeIndex(index), at)?;
        Ok((id, self.types.get(id).map(|ty| &ty.ty.composite)))
    }

    pub(super) fn struct_type(&self, index: u32, at: usize) -> Result<(TypeId, &[FieldType])> {
        match self.composite(index, at)? {
            (id, Some(CompositeType::Struct(fields))) => Ok((id, fields)),
            _ => Err(Error::invalid(Rule::ExpandStruct, at, "type mismatch: not a struct type")),
        }
    }

    pub(super) fn array_type(&self, index: u32, at: usize) -> Result<(TypeId, FieldType)> {
        match self.composite(index, at)? {
            (id, Some(CompositeType::Array(field))) => Ok((id, *field)),
            _ => Err(Error::invalid(Rule::ExpandArray, at, "type mismatch: not an array type")),
        }
    }

    pub(super) fn func(&self, index: u32, at: usize) -> Result<TypeId> {
        known(&self.funcs, index, Rule::UnknownFunc, "function", at)
    }

    pub(super) fn table(&self, index: u32, at: usize) -> Result<TableType> {
        known(&self.tables, index, Rule::UnknownTable, "table", at)
    }

    pub(super) fn memory(&self, index: u32, at: usize) -> Result<MemoryType> {
        known(&self.memories, index, Rule::UnknownMemory, "memory", at)
    }

    pub(super) fn global(&self, index: u32, at: usize) -> Result<GlobalType> {
        known(&self.globals, index, Rule::UnknownGlobal, "global", at)
    }

    /// A global in a constant expression, which sees those defined before it.
    pub(super) fn global_before(&self, index: u32, at: usize) -> Result<GlobalType> {
        let later = index >= self.globals.len() as u32 && index < self.all_globals;
        let rule = if later { Rule::ConstantGlobalOrder } else { Rule::UnknownGlobal };
        known(&self.globals, index, rule, "global", at)
    }

    /// The payload of a tag.
    pub(super) fn tag(&self, index: u32, at: usize) -> Result<&[ValType]> {
        let id = known(&self.tags, index, Rule::UnknownTag, "tag", at)?;
        Ok(&self.func_type(id, at)?.params)
    }

    pub(super) fn elem(&self, index: u32, at: usize) -> Result<RefType> {
        known(&self.elems, index, Rule::UnknownElem, "elem segment", at)
    }

    pub(super) fn data(&self, index: u32, at: usize) -> Result<()> {
        if index < self.datas {
            return Ok(());
        }
        Err(Error::invalid(Rule::UnknownData, at, format!("unknown data segment {index}")))
    }

    pub(super) fn is_declared(&self, func: u32) -> bool {
        self.refs.get(func as usize).copied().unwrap_or(false)
    }

    /// Makes a function one that bodies may refer to.
    fn declare(&mut self, func: u32) {
        let index = func as usize;
        if index >= self.refs.len() {
            self.refs.resize(self.funcs.len().max(index + 1), false);
        }
        self.refs[index] = true;
    }

    // Definitions.

    /// Spec: external types, of an import.
    pub(crate) fn import(&mut self, import: &Import, at: usize) -> Result<()> {
        match import.desc {
            ImportDesc::Func(ty) => self.add_func(ty, Rule::ImportFunc, at),
            ImportDesc::Table(ty) => self.add_table(ty, at),
            ImportDesc::Memory(ty) => self.add_memory(ty, at),
            ImportDesc::Global(ty) => {
                self.all_globals = self.all_globals.saturating_add(1);
                self.add_global(ty, at)
            }
            ImportDesc::Tag(ty) => self.add_tag(ty, at),
        }
    }

    /// Declares a function of the module; its body comes later.
    pub(crate) fn function(&mut self, ty: TypeIndex, at: usize) -> Result<()> {
        self.add_func(ty, Rule::FuncType, at)
    }

    fn add_func(&mut self, ty: TypeIndex, rule: Rule, at: usize) -> Result<()> {
        let id = self.type_id(ty, at)?;
        if self.types.func_type(id).is_none() {
            return Err(Error::invalid(
                rule,
                at,
                "unknown type: function of a type that is no function type",
            ));
        }
        self.funcs.push(id);
        Ok(())
    }

    pub(crate) fn add_table(&mut self, ty: TableType, at: usize) -> Result<()> {
        let ty = self.table_type(ty, at)?;
        self.tables.push(ty);
        Ok(())
    }

    /// Spec: tables without an initial value, which stands for a null reference.
    pub(crate) fn table_default(&mut self, ty: TableType, at: usize) -> Result<()> {
        if !ty.element.nullable {
            let message = "type mismatch: table of non-nullable references without an initial value";
            return Err(Error::invalid(Rule::TableDefault, at, message));
        }
        Ok(())
    }

    pub(crate) fn add_memory(&mut self, ty: MemoryType, at: usize) -> Result<()> {
        let ty = self.memory_type(ty, at)?;
        self.memories.push(ty);
        Ok(())
    }

    pub(crate) fn add_global(&mut self, ty: GlobalType, at: usize) -> Result<()> {
        let ty = self.global_type(ty, at)?;
        self.globals.push(ty);
        Ok(())
    }

    /// Spec: tag types.
    pub(crate) fn add_tag(&mut self, ty: TypeIndex, at: usize) -> Result<()> {
        let id = self.type_id(ty, at)?;
        match self.types.func_type(id) {
            None => {
                Err(Error::invalid(Rule::TagType, at, "unknown type: tag of a type that is no function type"))
            }
            Some(ty) if !ty.results.is_empty() => {
                Err(Error::invalid(Rule::TagResults, at, "non-empty tag result type"))
            }
            Some(_) => {
                self.tags.push(id);
                Ok(())
            }
        }
    }

    /// Spec: exports.
    pub(crate) fn export(&mut self, name: &str, index: ExternIndex, at: usize) -> Result<()> {
        match index {
            ExternIndex::Func(func) => {
                self.func(func, at)?;
                self.declare(func);
            }
            ExternIndex::Table(table) => drop(self.table(table, at)?),
            ExternIndex::Memory(memory) => drop(self.memory(memory, at)?),
            ExternIndex::Global(global) => drop(self.global(global, at)?),
            ExternIndex::Tag(tag) => drop(self.tag(tag, at)?),
        }
        if !self.exports.insert(name.to_owned()) {
            return Err(Error::invalid(Rule::ExportName, at, "duplicate export name"));
        }
        Ok(())
    }

    /// Spec: start function.
    pub(crate) fn start(&self, func: u32, at: usize) -> Result<()> {
        let ty = self.func_type(self.func(func, at)?, at)?;
        if !ty.params.is_empty() || !ty.results.is_empty() {
            return Err(Error::invalid(Rule::StartType, at, "start function with parameters or results"));
        }
        Ok(())
    }

    /// Spec: element segments, active mode: the table exists.
    pub(crate) fn table_index(&self, table: u32, at: usize) -> Result<()> {
        self.table(table, at).map(drop)
    }

    /// Spec: element segments; `table` where it is active.
    pub(crate) fn add_elem(&mut self, ty: RefType, table: Option<u32>, at: usize) -> Result<()> {
        let ty = self.ref_type(ty, at)?;
        if let Some(table) = table {
            let element = self.table(table, at)?.element;
            if !self.types.ref_matches(ty, element) {
                let message = "type mismatch: element segment does not match the type of its table";
                return Err(Error::invalid(Rule::ElemTable, at, message));
            }
        }
        self.elems.push(ty);
        Ok(())
    }

    /// Spec: an element segment's item in its short form, a function index.
    pub(crate) fn elem_func(&mut self, func: u32, at: usize) -> Result<()> {
        self.func(func, at)?;
        self.declare(func);
        Ok(())
    }

    /// Spec: data segments, active mode: the memory exists.
    pub(crate) fn memory_index(&self, memory: u32, at: usize) -> Result<()> {
        self.memory(memory, at).map(drop)
    }

    /// The number of globals that the module defines, which tells what comes later from what does not exist.
    pub(crate) fn expect_globals(&mut self, count: u32) {
        self.all_globals = count;
    }

    /// The number of data segments, known before the bodies.
    pub(crate) fn set_datas(&mut self, count: u32) {
        self.datas = count;
    }

    // Expressions.

    /// Begins a constant expression of a type, which must have been checked.
    pub(crate) fn constant(
        &self,
        ty: ValType,
        place: ConstantPlace,
        buffers: Buffers,
        at: usize,
    ) -> Result<Expression<'_>> {
        Ok(Expression::constant(self, self.val_type(ty, at)?, place, buffers))
    }

    /// Begins the body of a function.
    pub(crate) fn body(
        &self,
        func: u32,
        locals: &[(u32, ValType)],
        buffers: Buffers,
        at: usize,
    ) -> Result<Expression<'_>> {
        Expression::body(self, self.func(func, at)?, locals, buffers, at)
    }

    /// Ends an expression: takes back its memory and the functions that a constant expression refers to.
    pub(crate) fn finish(&mut self, buffers: Buffers) {
        self.buffers = buffers;
        let named = std::mem::take(&mut self.buffers.named);
        for &func in &named {
            self.declare(func);
        }
        self.buffers.named = named;
        self.buffers.named.clear();
    }

    /// The canonical form of a reference to a type.
    pub(super) fn non_null(id: TypeId) -> ValType {
        ValType::Ref(RefType::non_null(HeapType::Canon(id)))
    }

    pub(super) fn nullable(id: TypeId) -> ValType {
        ValType::Ref(RefType::nullable(HeapType::Canon(id)))
    }
}

fn known<T: Copy>(space: &[T], index: u32, rule: Rule, what: &'static str, at: usize) -> Result<T> {
    match space.get(index as usize) {
        Some(&found) => Ok(found),
        None => Err(Error::invalid(rule, at, format!("unknown {what} {index}"))),
    }
}

impl ConstantPlace {
    /// The rule for the type of the value.
    pub(super) fn rule(self) -> Rule {
        match self {
            ConstantPlace::Global => Rule::GlobalInit,
            ConstantPlace::Table => Rule::TableInitValue,
            ConstantPlace::ElemOffset => Rule::ElemOffset,
            ConstantPlace::ElemItem => Rule::ElemItem,
            ConstantPlace::DataOffset => Rule::DataOffset,
        }
    }
}
