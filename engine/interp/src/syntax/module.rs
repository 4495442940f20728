//! Modules (spec: Structure / Modules): what the decoder produces and instantiation reads. Immutable
//! and shared; function bodies are here already in internal code.

use std::ops::Range;
use std::sync::Arc;

use super::features::Features;
use super::types::{
    CompositeType, ExternType, FuncType, GlobalType, MemoryType, RecGroup, SubType, TableType, TypeIndex,
};
use crate::binary::module::Phase;
use crate::error::Result;
use crate::exec::code::Body;

/// A decoded module. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Module(pub(crate) Arc<ModuleData>);

/// An import of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportType {
    /// Name of the module it comes from.
    pub module: String,
    /// Its name there.
    pub name: String,
    /// What is needed.
    pub ty: ExternType,
}

/// An export of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportType {
    /// Its name.
    pub name: String,
    /// Its declared type.
    pub ty: ExternType,
}

/// A definition by kind and index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExternIndex {
    Func(u32),
    Table(u32),
    Memory(u32),
    Global(u32),
    Tag(u32),
}

#[derive(Clone, Debug)]
pub(crate) struct Import {
    pub(crate) module: String,
    pub(crate) name: String,
    pub(crate) desc: ImportDesc,
}

/// An import's type; functions and tags by type index.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ImportDesc {
    Func(TypeIndex),
    Table(TableType),
    Memory(MemoryType),
    Global(GlobalType),
    Tag(TypeIndex),
}

#[derive(Clone, Debug)]
pub(crate) struct Export {
    pub(crate) name: String,
    pub(crate) index: ExternIndex,
}

#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) ty: TableType,
    pub(crate) init: Option<Arc<Body>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Global {
    pub(crate) ty: GlobalType,
    pub(crate) init: Arc<Body>,
}

/// How a segment is used.
#[derive(Clone, Debug)]
pub(crate) enum SegmentMode {
    Passive,
    Active { index: u32, offset: Arc<Body> },
    Declarative,
}

#[derive(Clone, Debug)]
pub(crate) enum ElemItems {
    Funcs(Vec<u32>),
    Exprs(Vec<Arc<Body>>),
}

#[derive(Clone, Debug)]
pub(crate) struct Elem {
    pub(crate) items: ElemItems,
    pub(crate) mode: SegmentMode,
}

#[derive(Clone, Debug)]
pub(crate) struct Data {
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) mode: SegmentMode,
}

/// The content of a module. Index spaces list imports first.
#[derive(Debug, Default)]
pub(crate) struct ModuleData {
    pub(crate) groups: Vec<RecGroup>,
    /// For each type index, its group and the position in it.
    pub(crate) type_places: Vec<(u32, u32)>,
    /// For each type index of a struct with vectors among its fields, each field's slot; empty for other types.
    pub(crate) field_slots: Vec<Box<[u32]>>,
    pub(crate) imports: Vec<Import>,
    /// Type index of each function.
    pub(crate) funcs: Vec<TypeIndex>,
    pub(crate) tables: Vec<TableType>,
    pub(crate) memories: Vec<MemoryType>,
    pub(crate) globals: Vec<GlobalType>,
    pub(crate) tags: Vec<TypeIndex>,
    pub(crate) imported_funcs: u32,
    pub(crate) imported_globals: u32,
    pub(crate) table_defs: Vec<Table>,
    pub(crate) global_defs: Vec<Global>,
    pub(crate) exports: Vec<Export>,
    pub(crate) start: Option<u32>,
    pub(crate) elems: Vec<Elem>,
    pub(crate) datas: Vec<Data>,
    /// Whether it has been found valid and translated; only then are bodies and constant expressions here.
    pub(crate) is_complete: bool,
    /// Bodies of the functions that are not imported.
    pub(crate) bodies: Vec<Body>,
}

impl ModuleData {
    pub(crate) fn sub_type(&self, index: TypeIndex) -> Option<&SubType> {
        let &(group, place) = self.type_places.get(index.0 as usize)?;
        self.groups.get(group as usize)?.types.get(place as usize)
    }

    pub(crate) fn func_type(&self, index: TypeIndex) -> Option<&FuncType> {
        match &self.sub_type(index)?.composite {
            CompositeType::Func(ty) => Some(ty),
            _ => None,
        }
    }

    /// The slot of a struct's field: vectors take two, everything else one.
    pub(crate) fn field_slot(&self, index: TypeIndex, field: u32) -> u32 {
        let slots = self.field_slots.get(index.0 as usize).and_then(|slots| slots.get(field as usize));
        slots.copied().unwrap_or(field)
    }

    fn extern_func_type(&self, index: TypeIndex) -> FuncType {
        self.func_type(index).cloned().unwrap_or_default()
    }

    fn extern_type(&self, index: ExternIndex) -> Option<ExternType> {
        Some(match index {
            ExternIndex::Func(i) => ExternType::Func(self.extern_func_type(*self.funcs.get(i as usize)?)),
            ExternIndex::Table(i) => ExternType::Table(*self.tables.get(i as usize)?),
            ExternIndex::Memory(i) => ExternType::Memory(*self.memories.get(i as usize)?),
            ExternIndex::Global(i) => ExternType::Global(*self.globals.get(i as usize)?),
            ExternIndex::Tag(i) => ExternType::Tag(self.extern_func_type(*self.tags.get(i as usize)?)),
        })
    }
}

impl Module {
    /// Decodes and validates a binary module. Malformed bytes give [`crate::ErrorKind::Malformed`], else a module that breaks a
    /// typing rule [`crate::ErrorKind::Invalid`], both with an offset; a valid one that goes beyond a fixed limit of this
    /// interpreter gives [`crate::ErrorKind::Unsupported`].
    pub fn new(bytes: &[u8], features: &Features) -> Result<Module> {
        crate::binary::module::decode(bytes, features, Phase::Translate)
    }

    /// The same as [`Module::new`], with code that tells what of it has been executed: see [`Module::covered`].
    pub fn covering(bytes: &[u8], features: &Features) -> Result<Module> {
        crate::binary::module::decode(bytes, features, Phase::Cover)
    }

    /// What of the functions has been executed, in any instance: ranges of the module's bytes, in order, in which the offsets of
    /// executed instructions lie. Empty unless the module comes from [`Module::covering`]. Instructions that follow one that has
    /// trapped, up to the next branch, call or label, count as executed.
    pub fn covered(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.0.bodies.iter().flat_map(|body| &body.stretches).filter_map(|stretch| stretch.entered())
    }

    /// Nothing counts as executed any more.
    pub fn forget_covered(&self) {
        self.0.bodies.iter().flat_map(|body| &body.stretches).for_each(|stretch| stretch.forget());
    }

    /// Only judges a binary module: the same errors as [`Module::new`], but for limits of execution.
    pub fn validate(bytes: &[u8], features: &Features) -> Result<()> {
        crate::binary::module::decode(bytes, features, Phase::Validate).map(drop)
    }

    /// Decodes a binary module without judging whether it is valid: it can be looked at, but not instantiated.
    pub fn decode(bytes: &[u8]) -> Result<Module> {
        Module::decode_with(bytes, &Features::default())
    }

    /// The same with extensions beyond the specification's core.
    pub fn decode_with(bytes: &[u8], features: &Features) -> Result<Module> {
        crate::binary::module::decode(bytes, features, Phase::Decode)
    }

    /// The imports, in order. Concrete heap types are type indices of this module.
    pub fn imports(&self) -> Vec<ImportType> {
        let ty = |desc: &ImportDesc| match *desc {
            ImportDesc::Func(index) => ExternType::Func(self.0.extern_func_type(index)),
            ImportDesc::Table(ty) => ExternType::Table(ty),
            ImportDesc::Memory(ty) => ExternType::Memory(ty),
            ImportDesc::Global(ty) => ExternType::Global(ty),
            ImportDesc::Tag(index) => ExternType::Tag(self.0.extern_func_type(index)),
        };
        let import = |import: &Import| ImportType {
            module: import.module.clone(),
            name: import.name.clone(),
            ty: ty(&import.desc),
        };
        self.0.imports.iter().map(import).collect()
    }

    /// The exports, in order. Concrete heap types are type indices of this module.
    pub fn exports(&self) -> Vec<ExportType> {
        let export = |export: &Export| {
            Some(ExportType { name: export.name.clone(), ty: self.0.extern_type(export.index)? })
        };
        self.0.exports.iter().filter_map(export).collect()
    }

    /// The rec groups of the type section, in order.
    pub fn rec_groups(&self) -> &[RecGroup] {
        &self.0.groups
    }

    /// A type of the type section.
    pub fn sub_type(&self, index: TypeIndex) -> Option<&SubType> {
        self.0.sub_type(index)
    }
}
