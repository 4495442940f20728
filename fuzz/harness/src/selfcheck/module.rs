//! A module as the rewriting sees it: its types with their numbers, and what its index spaces hold.
//!
//! Only valid modules come here; what does not fit is an error all the same, never a panic.

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{HeapType, RefType, StorageType, ValType};
use wasmparser::{
    CompositeInnerType, ExternalKind, GlobalType, Import, MemoryType, Parser, Payload, RecGroup, TableType,
    TypeRef, Validator, WasmFeatures,
};

use super::error::LeftOut;
use super::numbers::Numbers;

/// What a composite type is made of, in the encoder's terms.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// Fields.
    Struct(Vec<StorageType>),
    /// The element.
    Array(StorageType),
    /// Parameters and results.
    Func(Vec<ValType>, Vec<ValType>),
}

/// A type.
#[derive(Clone, Debug)]
pub(super) struct Type {
    pub(super) shape: Shape,
    /// How many supertypes it has.
    pub(super) depth: u32,
    /// The same for structurally equal types, of this module or another.
    pub(super) number: i64,
}

/// The four hierarchies of references.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Top {
    Any,
    Func,
    Extern,
    Exn,
}

/// A module's bytes and what they say.
#[derive(Debug)]
pub(super) struct Module<'b> {
    pub(super) bytes: &'b [u8],
    pub(super) types: Vec<Type>,
    pub(super) imports: Vec<Import<'b>>,
    /// Type of each function, imported ones first; so for what follows.
    pub(super) functions: Vec<u32>,
    pub(super) imported_functions: u32,
    pub(super) tables: Vec<TableType>,
    pub(super) memories: Vec<MemoryType>,
    pub(super) globals: Vec<GlobalType>,
    /// Type of each tag.
    pub(super) tags: Vec<u32>,
    pub(super) exports: Vec<(String, ExternalKind, u32)>,
}

impl<'b> Module<'b> {
    /// Reads a module of WebAssembly 3.0.
    pub(super) fn read(bytes: &'b [u8]) -> Result<Module<'b>, LeftOut> {
        Validator::new_with_features(features()).validate_all(bytes).map_err(|_| LeftOut::InvalidModule)?;
        read(bytes).map_err(|_| LeftOut::InvalidModule)
    }

    /// The export of this name and kind.
    pub(super) fn export(&self, name: &str, kind: ExternalKind) -> Option<u32> {
        self.exports.iter().find(|(known, k, _)| known == name && *k == kind).map(|(_, _, index)| *index)
    }

    /// Parameters and results of a function type; empty ones for what is none.
    pub(super) fn signature(&self, ty: u32) -> (&[ValType], &[ValType]) {
        match self.types.get(ty as usize).map(|ty| &ty.shape) {
            Some(Shape::Func(params, results)) => (params, results),
            Some(Shape::Struct(_) | Shape::Array(_)) | None => (&[], &[]),
        }
    }

    /// The hierarchy of a reference type.
    pub(super) fn top(&self, ty: RefType) -> Top {
        use wasm_encoder::AbstractHeapType as A;
        match ty.heap_type {
            HeapType::Abstract { ty, .. } => match ty {
                A::Any | A::Eq | A::I31 | A::Struct | A::Array | A::None => Top::Any,
                A::Func | A::NoFunc | A::Cont | A::NoCont => Top::Func,
                A::Extern | A::NoExtern => Top::Extern,
                A::Exn | A::NoExn => Top::Exn,
            },
            HeapType::Concrete(index) | HeapType::Exact(index) => {
                match self.types.get(index as usize).map(|ty| &ty.shape) {
                    Some(Shape::Func(..)) => Top::Func,
                    Some(Shape::Struct(_) | Shape::Array(_)) | None => Top::Any,
                }
            }
        }
    }

    /// Types of this sort, each number once, most derived first: who passes the test of an earlier one is of that type,
    /// as far as the module knows.
    pub(super) fn most_derived_first(&self, wanted: impl Fn(&Shape) -> bool) -> Vec<u32> {
        let mut found: Vec<u32> = Vec::new();
        for (index, ty) in (0u32..).zip(&self.types) {
            let twin = found.iter().any(|&known| self.types[known as usize].number == ty.number);
            if wanted(&ty.shape) && !twin {
                found.push(index);
            }
        }
        found.sort_by_key(|&index| std::cmp::Reverse(self.types[index as usize].depth));
        found
    }

    /// Whether vectors occur in what is digested.
    pub(super) fn has_vectors(&self) -> bool {
        let vector = |ty: &StorageType| matches!(ty, StorageType::Val(ValType::V128));
        self.types.iter().any(|ty| match &ty.shape {
            Shape::Struct(fields) => fields.iter().any(vector),
            Shape::Array(element) => vector(element),
            Shape::Func(params, results) => params.iter().chain(results).any(|ty| *ty == ValType::V128),
        }) || self.globals.iter().any(|global| global.content_type == wasmparser::ValType::V128)
    }
}

/// What the subjects take: WebAssembly 3.0.
pub(crate) fn features() -> WasmFeatures {
    WasmFeatures::WASM3.difference(WasmFeatures::THREADS)
}

fn read(bytes: &[u8]) -> Result<Module<'_>, wasm_encoder::reencode::Error> {
    let mut module = Module {
        bytes,
        types: Vec::new(),
        imports: Vec::new(),
        functions: Vec::new(),
        imported_functions: 0,
        tables: Vec::new(),
        memories: Vec::new(),
        globals: Vec::new(),
        tags: Vec::new(),
        exports: Vec::new(),
    };
    let mut groups: Vec<RecGroup> = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::TypeSection(section) => {
                for group in section {
                    groups.push(group?);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    match import.ty {
                        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => module.functions.push(ty),
                        TypeRef::Table(ty) => module.tables.push(ty),
                        TypeRef::Memory(ty) => module.memories.push(ty),
                        TypeRef::Global(ty) => module.globals.push(ty),
                        TypeRef::Tag(ty) => module.tags.push(ty.func_type_idx),
                    }
                    module.imports.push(import);
                }
                module.imported_functions = module.functions.len() as u32;
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    module.functions.push(ty?);
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    module.tables.push(table?.ty);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    module.memories.push(memory?);
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    module.globals.push(global?.ty);
                }
            }
            Payload::TagSection(section) => {
                for tag in section {
                    module.tags.push(tag?.func_type_idx);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    module.exports.push((export.name.to_owned(), export.kind, export.index));
                }
            }
            _ => {}
        }
    }
    module.types = types(&groups)?;
    Ok(module)
}

fn types(groups: &[RecGroup]) -> Result<Vec<Type>, wasm_encoder::reencode::Error> {
    let mut numbers = Numbers::new(groups);
    let mut types: Vec<Type> = Vec::new();
    for ty in groups.iter().flat_map(RecGroup::types) {
        let shape = match &ty.composite_type.inner {
            CompositeInnerType::Struct(ty) => Shape::Struct(
                ty.fields
                    .iter()
                    .map(|field| RoundtripReencoder.storage_type(field.element_type))
                    .collect::<Result<_, _>>()?,
            ),
            CompositeInnerType::Array(ty) => {
                Shape::Array(RoundtripReencoder.storage_type(ty.0.element_type)?)
            }
            CompositeInnerType::Func(ty) => Shape::Func(values(ty.params())?, values(ty.results())?),
            // Not of WebAssembly 3.0: the validator has refused it.
            CompositeInnerType::Cont(_) => Shape::Func(Vec::new(), Vec::new()),
        };
        let supertype = ty.supertype_idxs.first().and_then(|index| index.as_module_index());
        let depth = supertype.and_then(|index| types.get(index as usize)).map_or(0, |ty| ty.depth + 1);
        let number = numbers.of(types.len() as u32);
        types.push(Type { shape, depth, number });
    }
    Ok(types)
}

fn values(types: &[wasmparser::ValType]) -> Result<Vec<ValType>, wasm_encoder::reencode::Error> {
    types.iter().map(|ty| RoundtripReencoder.val_type(*ty)).collect()
}

/// A value type in the encoder's terms; each of a module that was read has one.
pub(super) fn value(ty: wasmparser::ValType) -> Option<ValType> {
    RoundtripReencoder.val_type(ty).ok()
}
