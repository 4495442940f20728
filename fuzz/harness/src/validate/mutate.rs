//! Structural mutations of a module, on the level of its types and instructions.
//!
//! The module is re-encoded; each place where something can be changed is a *site* of some [`Kind`]. A first pass counts
//! the sites of each kind, so that the choice is even over the kinds that the module has and rare ones are hit as often as
//! common ones; a second pass changes the chosen site. What comes out is well formed in most cases and valid in some.

use std::convert::Infallible;

use arbitrary::Unstructured;
use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    AbstractHeapType, CodeSection, ConstExpr, ElementSection, ExportSection, FieldType, FuncType, GlobalType,
    HeapType, Instruction, MemoryType, Module, RefType, StorageType, StructType, SubType, TableSection,
    TableType, TypeSection, ValType,
};
use wasmparser::{CompositeInnerType, Parser, Payload, TypeRef};

use super::instructions;
use crate::generate::Choices;

type Encoded<T> = Result<T, reencode::Error<Infallible>>;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident,)*) => {
        /// What a mutation changes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            /// All kinds.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind,)*];
        }
    };
}

kinds! {
    /// The heap type of a reference type or of an instruction becomes another one.
    HeapType,
    /// `null` comes or goes.
    Nullability,
    /// A value type becomes another one.
    ValueType,
    /// A field is packed, unpacked, or of another type.
    StorageType,
    /// A field's `mut` comes or goes.
    FieldMutability,
    /// A field is dropped, doubled, swapped with its neighbour, or added.
    Fields,
    /// A parameter or result is dropped, doubled, swapped, added, or changes sides.
    Signature,
    /// `final` comes or goes.
    Finality,
    /// A supertype is dropped, added, or becomes another one.
    Supertype,
    /// A recursion group is taken apart, joined with the next, made explicit, or follows an empty one.
    Group,
    /// A type index.
    TypeIndex,
    /// A function index.
    FunctionIndex,
    /// A global index.
    GlobalIndex,
    /// A memory index.
    MemoryIndex,
    /// A table index.
    TableIndex,
    /// A tag index.
    TagIndex,
    /// A data segment index.
    DataIndex,
    /// An element segment index.
    ElementIndex,
    /// The limits or the address type of a memory.
    Memory,
    /// The limits or the address type of a table.
    Table,
    /// A table's initial value comes, goes, or changes.
    TableInit,
    /// A global's `mut` comes or goes.
    GlobalMutability,
    /// A constant expression.
    Constant,
    /// A segment is passive, declarative or active.
    ElementMode,
    /// An export takes another's name.
    ExportName,
    /// The start section comes.
    Start,
    /// The data count.
    DataCount,
    /// An immediate: a label, a local, a lane, an alignment, an offset, a field, a form of the same instruction.
    Immediate,
    /// Any instruction becomes another one.
    Instruction,
    /// An instruction of a body is dropped, doubled, inserted, or swapped with its neighbour.
    Order,
    /// `unreachable` in a body, and a change after it.
    Unreachable,
    /// A block, loop, conditional or handler around instructions of a body.
    Wrap,
}

/// Sizes of the index spaces, imports included.
#[derive(Clone, Debug, Default)]
pub(super) struct Spaces {
    pub(super) types: u32,
    /// By kind of composite type: functions, structs, arrays.
    kinds: [Vec<u32>; 3],
    pub(super) functions: u32,
    pub(super) tables: u32,
    pub(super) memories: u32,
    pub(super) globals: u32,
    pub(super) tags: u32,
    pub(super) elements: u32,
    pub(super) data: u32,
    exports: bool,
}

impl Spaces {
    fn of(module: &[u8]) -> Option<Spaces> {
        let mut spaces = Spaces::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload.ok()? {
                Payload::TypeSection(section) => {
                    for ty in section.into_iter().map_while(Result::ok).flat_map(|group| group.into_types()) {
                        let kind = match ty.composite_type.inner {
                            CompositeInnerType::Func(_) => 0,
                            CompositeInnerType::Struct(_) => 1,
                            CompositeInnerType::Array(_) => 2,
                            CompositeInnerType::Cont(_) => return None,
                        };
                        spaces.kinds[kind].push(spaces.types);
                        spaces.types += 1;
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        match import.ok()?.ty {
                            TypeRef::Func(_) | TypeRef::FuncExact(_) => spaces.functions += 1,
                            TypeRef::Table(_) => spaces.tables += 1,
                            TypeRef::Memory(_) => spaces.memories += 1,
                            TypeRef::Global(_) => spaces.globals += 1,
                            TypeRef::Tag(_) => spaces.tags += 1,
                        }
                    }
                }
                Payload::FunctionSection(section) => spaces.functions += section.count(),
                Payload::TableSection(section) => spaces.tables += section.count(),
                Payload::MemorySection(section) => spaces.memories += section.count(),
                Payload::GlobalSection(section) => spaces.globals += section.count(),
                Payload::TagSection(section) => spaces.tags += section.count(),
                Payload::ElementSection(section) => spaces.elements += section.count(),
                Payload::DataSection(section) => spaces.data += section.count(),
                Payload::ExportSection(section) => spaces.exports |= section.count() > 1,
                _ => {}
            }
        }
        Some(spaces)
    }
}

/// `module` encoded as its mutants are; none if it cannot be parsed.
pub(super) fn normal(module: &[u8]) -> Option<Vec<u8>> {
    // Nothing is chosen where nothing is changed.
    let mut none = Unstructured::new(&[]);
    Mutator::new(Spaces::of(module)?, None, &mut Choices::new(&mut none)).encode(module)
}

/// Changes one site of `module`; none if the module cannot be parsed, has nothing to change, or the change is none (an
/// index becomes itself, two equal items are swapped).
pub(super) fn mutate(module: &[u8], choices: &mut Choices<'_, '_>) -> Option<(Kind, Vec<u8>)> {
    let spaces = Spaces::of(module)?;
    let mut counter = Mutator::new(spaces.clone(), None, choices);
    let unchanged = counter.encode(module)?;
    let sites = counter.sites;
    let present: Vec<Kind> = Kind::ALL.iter().copied().filter(|kind| sites[*kind as usize] > 0).collect();
    if present.is_empty() {
        return None;
    }
    let kind = choices.pick(&present);
    let at = choices.below((sites[kind as usize] as usize).min(1 << 16)) as u32;
    let mutant = Mutator::new(spaces, Some((kind, at)), choices).encode(module)?;
    (mutant != unchanged).then_some((kind, mutant))
}

/// The re-encoder that counts sites and changes one.
pub(super) struct Mutator<'m, 'c, 'u> {
    pub(super) spaces: Spaces,
    sites: [u32; Kind::ALL.len()],
    target: Option<(Kind, u32)>,
    pub(super) choices: &'m mut Choices<'c, 'u>,
    names: Vec<String>,
    started: bool,
}

impl<'m, 'c, 'u> Mutator<'m, 'c, 'u> {
    fn new(spaces: Spaces, target: Option<(Kind, u32)>, choices: &'m mut Choices<'c, 'u>) -> Self {
        let sites = [0; Kind::ALL.len()];
        Mutator { spaces, sites, target, choices, names: Vec::new(), started: false }
    }

    fn encode(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut module = Module::new();
        self.parse_core_module(&mut module, Parser::new(0), bytes).ok()?;
        Some(module.finish())
    }

    /// Counts a site; true if it is the one to change.
    pub(super) fn at(&mut self, kind: Kind) -> bool {
        let site = &mut self.sites[kind as usize];
        *site += 1;
        self.target == Some((kind, *site - 1))
    }

    /// Another index: of the space as a rule, else just beyond it.
    pub(super) fn index(&mut self, size: u32) -> u32 {
        match self.choices.below(12) {
            0 => size,
            _ => self.choices.below(size.clamp(1, 1 << 16) as usize) as u32,
        }
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
        Ok(if self.at(kind) { self.index(size) } else { index })
    }

    pub(super) fn any_heap_type(&mut self) -> HeapType {
        use AbstractHeapType as A;
        if self.spaces.types > 0 && self.choices.chance(1, 2) {
            return HeapType::Concrete(self.index(self.spaces.types));
        }
        let ty = self.choices.pick(&[
            A::Func,
            A::Extern,
            A::Any,
            A::None,
            A::NoExtern,
            A::NoFunc,
            A::Eq,
            A::Struct,
            A::Array,
            A::I31,
            A::Exn,
            A::NoExn,
        ]);
        HeapType::Abstract { shared: false, ty }
    }

    pub(super) fn any_ref_type(&mut self) -> RefType {
        RefType { nullable: self.choices.chance(1, 2), heap_type: self.any_heap_type() }
    }

    pub(super) fn any_value_type(&mut self) -> ValType {
        match self.choices.below(8) {
            0 => ValType::I32,
            1 => ValType::I64,
            2 => ValType::F32,
            3 => ValType::F64,
            4 => ValType::V128,
            _ => ValType::Ref(self.any_ref_type()),
        }
    }

    fn any_field(&mut self) -> FieldType {
        let element_type = match self.choices.below(4) {
            0 => StorageType::I8,
            1 => StorageType::I16,
            _ => StorageType::Val(self.any_value_type()),
        };
        FieldType { element_type, mutable: self.choices.chance(1, 2) }
    }

    /// Drops, doubles or swaps an item of a list, or puts `new` into it.
    fn edit<T: Clone>(&mut self, list: &mut Vec<T>, new: T) {
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

    fn limits(&mut self, minimum: &mut u64, maximum: &mut Option<u64>, wide: &mut bool) {
        match self.choices.below(6) {
            0 => *wide = !*wide,
            1 => *maximum = None,
            2 => *maximum = Some(minimum.saturating_sub(1)),
            3 => {
                let edges =
                    [0, 1, 0xffff, 0x1_0000, 0x1_0001, u64::from(u32::MAX), 1 << 32, 1 << 48, (1 << 48) + 1];
                *minimum = self.choices.pick(&edges);
            }
            4 => {
                let edges =
                    [0x1_0000, 0x1_0001, u64::from(u32::MAX), 1 << 32, 1 << 48, (1 << 48) + 1, u64::MAX];
                *maximum = Some(self.choices.pick(&edges));
            }
            _ => *maximum = Some(*minimum),
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
            Some(kind) if self.choices.chance(3, 4) => self.index_of_kind(kind),
            _ => self.index(self.spaces.types),
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
        Ok(if self.at(Kind::HeapType) { self.any_heap_type() } else { ty })
    }

    fn ref_type(&mut self, ty: wasmparser::RefType) -> Encoded<RefType> {
        let ty = utils::ref_type(self, ty)?;
        let flip = self.at(Kind::Nullability);
        Ok(RefType { nullable: ty.nullable != flip, ..ty })
    }

    fn val_type(&mut self, ty: wasmparser::ValType) -> Encoded<ValType> {
        let ty = utils::val_type(self, ty)?;
        Ok(if self.at(Kind::ValueType) { self.any_value_type() } else { ty })
    }

    fn field_type(&mut self, ty: wasmparser::FieldType) -> Encoded<FieldType> {
        let mut ty = utils::field_type(self, ty)?;
        if self.at(Kind::StorageType) {
            ty.element_type = self.any_field().element_type;
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
            let new = self.index(self.spaces.types);
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
        for group in groups {
            let group = group?;
            let mut explicit = group.is_explicit_rec_group() || !joined.is_empty();
            let mut types = std::mem::take(&mut joined);
            for ty in group.into_types() {
                types.push(self.sub_type(ty)?);
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
        let stolen = if self.spaces.exports && self.at(Kind::ExportName) && !self.names.is_empty() {
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
        let place = matches!(
            before,
            Some(
                wasm_encoder::SectionId::Element
                    | wasm_encoder::SectionId::DataCount
                    | wasm_encoder::SectionId::Code
            )
        );
        if place && !self.started {
            self.started = true;
            if self.at(Kind::Start) {
                let function_index = self.index(self.spaces.functions);
                module.section(&wasm_encoder::StartSection { function_index });
            }
        }
        Ok(())
    }

    fn instruction<'a>(&mut self, operator: wasmparser::Operator<'a>) -> Encoded<Instruction<'a>> {
        let instruction = utils::instruction(self, operator)?;
        if instructions::has_immediate(&instruction) && self.at(Kind::Immediate) {
            return Ok(instructions::other_immediate(self, instruction));
        }
        if self.at(Kind::Instruction) {
            return Ok(instructions::any(self));
        }
        Ok(instruction)
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: wasmparser::FunctionBody<'_>,
    ) -> Encoded<()> {
        let mut function = self.new_function_with_parsed_locals(&body)?;
        let mut reader = body.get_operators_reader()?;
        let mut list: Vec<Instruction<'_>> = Vec::new();
        while !reader.eof() {
            list.push(self.parse_instruction(&mut reader)?);
        }
        if self.at(Kind::Order) {
            let new = instructions::any(self);
            self.edit(&mut list, new);
        }
        if self.at(Kind::Wrap) {
            instructions::wrap(self, &mut list);
        }
        if self.at(Kind::Unreachable) && !list.is_empty() {
            let at = self.choices.below(list.len());
            let mut rest = list.split_off(at);
            list.push(Instruction::Unreachable);
            // The final `end` stays, else the body is not even well formed.
            let end = rest.pop();
            for _ in 0..=self.choices.below(3) {
                let new = instructions::any(self);
                self.edit(&mut rest, new);
            }
            list.append(&mut rest);
            list.extend(end);
        }
        for instruction in &list {
            function.instruction(instruction);
        }
        code.function(&function);
        Ok(())
    }
}
