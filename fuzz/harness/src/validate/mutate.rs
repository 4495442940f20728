//! Structural mutations of a module, on the level of its types and instructions.
//!
//! The module is re-encoded; each place where something can be changed is a *site* of some [`Kind`] (see [`super::sites`]). A
//! first pass counts the sites, a second one changes the chosen one. What comes out is well formed in most cases and valid in
//! some. What is changed in bodies as lists of instructions stands in [`super::bodies`].

use std::convert::Infallible;

use arbitrary::Unstructured;
use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    CodeSection, CompositeInnerType, ConstExpr, ElementSection, ExportSection, FieldType, FuncType, Function,
    GlobalType, HeapType, Instruction, MemArg, MemoryType, Module, RefType, StructType, SubType,
    TableSection, TableType, TypeSection, ValType,
};
use wasmparser::Parser;

use super::bodies::{self, Body};
use super::instructions;
use super::kind::Kind;
use super::sites::{Place, Site, Sites};
use super::spaces::Spaces;
use crate::generate::Choices;

type Encoded<T> = Result<T, reencode::Error<Infallible>>;

/// `module` encoded as its mutants are; none if it cannot be parsed.
pub(super) fn normal(module: &[u8]) -> Option<Vec<u8>> {
    // Nothing is chosen where nothing is changed.
    let mut none = Unstructured::new(&[]);
    Mutator::new(module, Spaces::of(module)?, false, None, &mut Choices::new(&mut none)).encode()
}

/// Changes one site of `module`, with legacy exceptions if it may have them; none if the module cannot be parsed, has nothing
/// to change, or the change is none (an index becomes itself, two equal items are swapped).
pub(crate) fn mutate(module: &[u8], legacy: bool, choices: &mut Choices<'_, '_>) -> Option<(Kind, Vec<u8>)> {
    let mut counter = Mutator::new(module, Spaces::of(module)?, legacy, None, choices);
    let unchanged = counter.encode()?;
    let Mutator { spaces, sites, .. } = counter;
    let target = sites.choose(choices)?;
    let mutant = Mutator::new(module, spaces, legacy, Some(target), choices).encode()?;
    (mutant != unchanged).then_some((target.kind, mutant))
}

/// The re-encoder that counts sites and changes one.
pub(super) struct Mutator<'m, 'c, 'u> {
    /// The module at hand.
    pub(super) module: &'m [u8],
    pub(super) spaces: Spaces,
    /// Whether instructions of the legacy exceptions may be put in.
    pub(super) legacy: bool,
    sites: Sites,
    target: Option<Site>,
    /// The section at hand.
    pub(super) section: Place,
    /// The section, or the instruction at hand.
    place: Place,
    pub(super) choices: &'m mut Choices<'c, 'u>,
    names: Vec<String>,
    started: bool,
}

impl<'m, 'c, 'u> Mutator<'m, 'c, 'u> {
    fn new(
        module: &'m [u8],
        spaces: Spaces,
        legacy: bool,
        target: Option<Site>,
        choices: &'m mut Choices<'c, 'u>,
    ) -> Mutator<'m, 'c, 'u> {
        Mutator {
            module,
            spaces,
            legacy,
            sites: Sites::new(),
            target,
            section: Place::default(),
            place: Place::default(),
            choices,
            names: Vec::new(),
            started: false,
        }
    }

    fn encode(&mut self) -> Option<Vec<u8>> {
        let mut module = Module::new();
        self.parse_core_module(&mut module, Parser::new(0), self.module).ok()?;
        Some(module.finish())
    }

    /// Counts a site at the place at hand; true if it is the one to change.
    pub(super) fn at(&mut self, kind: Kind) -> bool {
        self.at_place(kind, self.place)
    }

    /// The same for another place.
    pub(super) fn at_place(&mut self, kind: Kind, place: Place) -> bool {
        match &mut self.target {
            None => {
                self.sites.add(kind, place);
                false
            }
            Some(target) if target.kind != kind || target.place != place => false,
            // Counted down; behind the site no other one is met.
            Some(target) => {
                let hit = target.at == 0;
                target.at = target.at.wrapping_sub(1);
                hit
            }
        }
    }

    /// An index of a space as a rule, else just beyond it.
    pub(super) fn index(&mut self, size: u32) -> u32 {
        match self.choices.below(12) {
            0 => size,
            _ => self.choices.below(size.clamp(1, 1 << 16) as usize) as u32,
        }
    }

    /// Another index than this one, which may stay where there is no other one in the space.
    fn other_index(&mut self, index: u32, size: u32) -> u32 {
        let others = size.min(1 << 16).saturating_sub(1);
        if others == 0 || self.choices.chance(1, 12) {
            return if self.choices.chance(1, 3) { size } else { index };
        }
        let other = self.choices.below(others as usize) as u32;
        if other < index { other } else { other + 1 }
    }

    pub(super) fn func_type_index(&mut self) -> u32 {
        self.index_of_kind(0)
    }

    pub(super) fn struct_type_index(&mut self) -> u32 {
        self.index_of_kind(1)
    }

    pub(super) fn array_type_index(&mut self) -> u32 {
        self.index_of_kind(2)
    }

    /// The index of a type of this kind as a rule.
    fn index_of_kind(&mut self, kind: usize) -> u32 {
        let len = self.spaces.kinds[kind].len();
        if len == 0 || self.choices.chance(1, 8) {
            return self.index(self.spaces.types);
        }
        let at = self.choices.below(len);
        self.spaces.kinds[kind][at]
    }

    fn indexed(&mut self, kind: Kind, index: u32, size: u32) -> Encoded<u32> {
        Ok(if self.at(kind) { self.other_index(index, size) } else { index })
    }

    /// Drops, doubles or swaps an item of a list, or puts `new` into it.
    pub(super) fn edit<T: Clone>(&mut self, list: &mut Vec<T>, new: T) {
        if list.is_empty() {
            return list.push(new);
        }
        let at = self.choices.below(list.len());
        match self.choices.below(5) {
            0 | 1 => drop(list.remove(at)),
            2 => list.insert(at, list[at].clone()),
            3 if list.len() > 1 => {
                let next = (at + 1) % list.len();
                list.swap(at, next);
            }
            _ => list.insert(at + self.choices.below(2), new),
        }
    }
}

impl Reencode for Mutator<'_, '_, '_> {
    type Error = Infallible;

    fn type_index(&mut self, ty: u32) -> Encoded<u32> {
        if !self.at(Kind::TypeIndex) {
            return Ok(ty);
        }
        let kind = self.spaces.kinds.iter().position(|indices| indices.binary_search(&ty).is_ok());
        Ok(match kind {
            Some(kind) if self.choices.chance(1, 2) => self.index_of_kind(kind),
            _ => self.other_index(ty, self.spaces.types),
        })
    }

    fn function_index(&mut self, func: u32) -> Encoded<u32> {
        self.indexed(Kind::FunctionIndex, func, self.spaces.functions)
    }

    fn global_index(&mut self, global: u32) -> Encoded<u32> {
        self.indexed(Kind::GlobalIndex, global, self.spaces.globals)
    }

    fn memory_index(&mut self, memory: u32) -> Encoded<u32> {
        self.indexed(Kind::MemoryIndex, memory, self.spaces.memories)
    }

    fn table_index(&mut self, table: u32) -> Encoded<u32> {
        self.indexed(Kind::TableIndex, table, self.spaces.tables)
    }

    fn tag_index(&mut self, tag: u32) -> Encoded<u32> {
        self.indexed(Kind::TagIndex, tag, self.spaces.tags)
    }

    fn data_index(&mut self, data: u32) -> Encoded<u32> {
        self.indexed(Kind::DataIndex, data, self.spaces.data)
    }

    fn element_index(&mut self, element: u32) -> Encoded<u32> {
        self.indexed(Kind::ElementIndex, element, self.spaces.elements)
    }

    fn heap_type(&mut self, ty: wasmparser::HeapType) -> Encoded<HeapType> {
        let ty = utils::heap_type(self, ty)?;
        Ok(if self.at(Kind::HeapType) { self.near_heap_type(ty) } else { ty })
    }

    fn ref_type(&mut self, ty: wasmparser::RefType) -> Encoded<RefType> {
        let ty = utils::ref_type(self, ty)?;
        let flip = self.at(Kind::Nullability);
        Ok(RefType { nullable: ty.nullable != flip, ..ty })
    }

    fn val_type(&mut self, ty: wasmparser::ValType) -> Encoded<ValType> {
        let ty = utils::val_type(self, ty)?;
        Ok(if self.at(Kind::ValueType) { self.near_value_type(ty) } else { ty })
    }

    fn field_type(&mut self, ty: wasmparser::FieldType) -> Encoded<FieldType> {
        let mut ty = utils::field_type(self, ty)?;
        if self.at(Kind::StorageType) {
            ty.element_type = self.near_storage(ty.element_type);
        }
        ty.mutable ^= self.at(Kind::FieldMutability);
        Ok(ty)
    }

    fn struct_type(&mut self, ty: wasmparser::StructType) -> Encoded<StructType> {
        let mut ty = utils::struct_type(self, ty)?;
        if self.at(Kind::Fields) {
            let mut fields = ty.fields.into_vec();
            let new = self.any_field();
            self.edit(&mut fields, new);
            ty.fields = fields.into();
        }
        Ok(ty)
    }

    fn func_type(&mut self, ty: wasmparser::FuncType) -> Encoded<FuncType> {
        let ty = utils::func_type(self, ty)?;
        if !self.at(Kind::Signature) {
            return Ok(ty);
        }
        let (mut params, mut results) = (ty.params().to_vec(), ty.results().to_vec());
        let new = self.any_value_type();
        match self.choices.below(3) {
            0 => self.edit(&mut params, new),
            1 => self.edit(&mut results, new),
            _ => std::mem::swap(&mut params, &mut results),
        }
        Ok(FuncType::new(params, results))
    }

    fn sub_type(&mut self, ty: wasmparser::SubType) -> Encoded<SubType> {
        let mut ty = utils::sub_type(self, ty)?;
        ty.is_final ^= self.at(Kind::Finality);
        if self.at(Kind::Supertype) {
            let kind = match ty.composite_type.inner {
                CompositeInnerType::Func(_) => 0,
                CompositeInnerType::Struct(_) => 1,
                CompositeInnerType::Array(_) | CompositeInnerType::Cont(_) => 2,
            };
            let new = self.index_of_kind(kind);
            match self.choices.below(4) {
                0 => drop(ty.supertype_idxs.pop()),
                1 => ty.supertype_idxs.push(new),
                _ => ty.supertype_idxs = vec![new],
            }
        }
        Ok(ty)
    }

    fn parse_type_section(
        &mut self,
        section: &mut TypeSection,
        groups: wasmparser::TypeSectionReader<'_>,
    ) -> Encoded<()> {
        // What a group before this one left over, to be joined with it.
        let mut joined: Vec<SubType> = Vec::new();
        let mut all: Vec<SubType> = Vec::new();
        for group in groups {
            let group = group?;
            let mut explicit = group.is_explicit_rec_group() || !joined.is_empty();
            let mut types = std::mem::take(&mut joined);
            for ty in group.into_types() {
                types.push(self.sub_type(ty)?);
                all.extend(types.last().cloned());
            }
            if self.at(Kind::Group) {
                match self.choices.below(4) {
                    // Taken apart: indices stay, identity changes.
                    0 | 1 if explicit => {
                        for ty in types.drain(..) {
                            section.ty().subtype(&ty);
                        }
                        continue;
                    }
                    2 => {
                        section.ty().rec([]);
                    }
                    3 => {
                        joined = types;
                        continue;
                    }
                    _ => explicit = true,
                }
            }
            match types.as_slice() {
                [ty] if !explicit => section.ty().subtype(ty),
                _ => section.ty().rec(types),
            }
        }
        if !joined.is_empty() {
            section.ty().rec(joined);
        }
        if self.at(Kind::Subtype) {
            let new = self.subtype(&all);
            if self.choices.chance(1, 3) {
                section.ty().rec(new);
            } else {
                new.iter().for_each(|ty| section.ty().subtype(ty));
            }
        }
        Ok(())
    }

    fn memory_type(&mut self, ty: wasmparser::MemoryType) -> Encoded<MemoryType> {
        let mut ty = utils::memory_type(self, ty);
        if self.at(Kind::Memory) {
            self.limits(&mut ty.minimum, &mut ty.maximum, &mut ty.memory64);
        }
        Ok(ty)
    }

    fn table_type(&mut self, ty: wasmparser::TableType) -> Encoded<TableType> {
        let mut ty = utils::table_type(self, ty)?;
        if self.at(Kind::Table) {
            self.limits(&mut ty.minimum, &mut ty.maximum, &mut ty.table64);
        }
        Ok(ty)
    }

    fn parse_table(&mut self, tables: &mut TableSection, table: wasmparser::Table<'_>) -> Encoded<()> {
        if !self.at(Kind::TableInit) {
            return utils::parse_table(self, tables, table);
        }
        let ty = self.table_type(table.ty)?;
        if matches!(table.init, wasmparser::TableInit::Expr(_)) && self.choices.chance(1, 2) {
            tables.table(ty);
        } else {
            tables.table_with_init(ty, &instructions::constant(self));
        }
        Ok(())
    }

    fn global_type(&mut self, ty: wasmparser::GlobalType) -> Encoded<GlobalType> {
        let mut ty = utils::global_type(self, ty)?;
        ty.mutable ^= self.at(Kind::GlobalMutability);
        Ok(ty)
    }

    fn const_expr(&mut self, expr: wasmparser::ConstExpr<'_>) -> Encoded<ConstExpr> {
        let expr = utils::const_expr(self, expr)?;
        Ok(if self.at(Kind::Constant) { instructions::constant(self) } else { expr })
    }

    fn parse_element(
        &mut self,
        section: &mut ElementSection,
        element: wasmparser::Element<'_>,
    ) -> Encoded<()> {
        if !self.at(Kind::ElementMode) {
            return utils::parse_element(self, section, element);
        }
        let items = self.element_items(element.items)?;
        match self.choices.below(3) {
            0 => section.passive(items),
            1 => section.declared(items),
            _ => {
                let table = self.index(self.spaces.tables);
                section.active(Some(table), &instructions::constant(self), items)
            }
        };
        Ok(())
    }

    fn parse_export(&mut self, exports: &mut ExportSection, export: wasmparser::Export<'_>) -> Encoded<()> {
        let kind = self.export_kind(export.kind)?;
        let index = self.external_index(export.kind, export.index)?;
        let stolen = if !self.names.is_empty() && self.at(Kind::ExportName) {
            let at = self.choices.below(self.names.len());
            Some(self.names[at].clone())
        } else {
            None
        };
        exports.export(stolen.as_deref().unwrap_or(export.name), kind, index);
        self.names.push(export.name.to_owned());
        Ok(())
    }

    fn start_section(&mut self, start: u32) -> Encoded<u32> {
        self.started = true;
        self.function_index(start)
    }

    fn data_count(&mut self, count: u32) -> Encoded<u32> {
        Ok(if self.at(Kind::DataCount) { count.wrapping_add(1) } else { count })
    }

    fn intersperse_section_hook(
        &mut self,
        module: &mut Module,
        _after: Option<wasm_encoder::SectionId>,
        before: Option<wasm_encoder::SectionId>,
    ) -> Encoded<()> {
        self.section = Place::section(before.map_or(0, u8::from));
        self.place = self.section;
        let may_start = matches!(
            before,
            Some(
                wasm_encoder::SectionId::Element
                    | wasm_encoder::SectionId::DataCount
                    | wasm_encoder::SectionId::Code
            )
        );
        if may_start && !self.started {
            self.started = true;
            if self.at(Kind::Start) {
                let function_index = self.index(self.spaces.functions);
                module.section(&wasm_encoder::StartSection { function_index });
            }
        }
        Ok(())
    }

    fn mem_arg(&mut self, arg: wasmparser::MemArg) -> Encoded<MemArg> {
        let arg = utils::mem_arg(self, arg)?;
        Ok(if self.at(Kind::Access) { instructions::other_access(self, arg) } else { arg })
    }

    fn instruction<'a>(&mut self, operator: wasmparser::Operator<'a>) -> Encoded<Instruction<'a>> {
        self.place = self.section.instruction(&operator);
        let mut instruction = utils::instruction(self, operator)?;
        if !instructions::lanes(&mut instruction).is_empty() && self.at(Kind::Lane) {
            instructions::change_lane(self, &mut instruction);
        }
        if instructions::has_immediate(&instruction) && self.at(Kind::Immediate) {
            instruction = instructions::other_immediate(self, instruction);
        }
        if self.at(Kind::Instruction) {
            instruction = instructions::any(self);
        }
        self.place = self.section;
        Ok(instruction)
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        source: wasmparser::FunctionBody<'_>,
    ) -> Encoded<()> {
        let mut locals = Vec::new();
        for group in source.get_locals_reader()? {
            let (count, ty) = group?;
            locals.push((count, self.val_type(ty)?));
        }
        if self.at(Kind::Locals) {
            let new = (self.choices.below(3) as u32, self.any_value_type());
            self.edit(&mut locals, new);
        }
        let mut reader = source.get_operators_reader()?;
        let mut instructions: Vec<Instruction<'_>> = Vec::new();
        while !reader.eof() {
            instructions.push(self.parse_instruction(&mut reader)?);
        }
        let params = self.spaces.of_body(code.len()).map_or(0, |ty| ty.params().len() as u32);
        let mut body = Body { source, params, locals, instructions };
        bodies::change(self, &mut body);
        let mut function = Function::new(body.locals);
        for instruction in &body.instructions {
            function.instruction(instruction);
        }
        code.function(&function);
        Ok(())
    }
}
