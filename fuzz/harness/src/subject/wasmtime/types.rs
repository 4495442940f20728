//! Keys of Wasmtime's types. Its interface shows a type's structure and whether two are the same, but not its rec group, which
//! is part of what it is.
//!
//! So a module's type section is read here, which gives each of its types a key; and Wasmtime compiles a **probe**, a module
//! of nothing but that section and a global for each type, whose exports show the types as Wasmtime knows them. An object's
//! type, which Wasmtime tells at run time, is found among those.

use std::collections::HashSet;
use std::ops::Range;

use ::wasmtime::{ArrayType, Engine, ExternType, FuncType, HeapType, Module, StructType};
use wasm_encoder::{ConstExpr, ExportKind, ExportSection, GlobalSection, GlobalType, RawSection, SectionId};
use wasmparser::{
    AbstractHeapType as A, BinaryReader, CompositeInnerType, RecGroup, StorageType, SubType,
    TypeSectionReader, UnpackedIndex,
};

use crate::graph::{
    CompositeShape, FieldShape, HeapShape, StorageShape, SubTypeShape, TypeKey, TypeKeys, TypeView,
};
use crate::observe::Outcome;

/// Types of the modules that a store has.
pub(super) struct Types {
    engine: Engine,
    /// Type sections that no type was looked for in.
    waiting: Vec<Vec<u8>>,
    seen: HashSet<Vec<u8>>,
    structs: Vec<(StructType, TypeKey)>,
    arrays: Vec<(ArrayType, TypeKey)>,
    funcs: Vec<(FuncType, TypeKey)>,
}

impl Types {
    pub(super) fn new(engine: Engine) -> Types {
        Types {
            engine,
            waiting: Vec::new(),
            seen: HashSet::new(),
            structs: Vec::new(),
            arrays: Vec::new(),
            funcs: Vec::new(),
        }
    }

    /// Takes note of a module's type section, its content without the header.
    pub(super) fn add(&mut self, section: &[u8]) {
        if self.seen.insert(section.to_vec()) {
            self.waiting.push(section.to_vec());
        }
    }

    pub(super) fn of_struct(&mut self, ty: &StructType) -> Result<TypeKey, Outcome> {
        self.look()?;
        known(self.structs.iter().find(|(known, _)| StructType::eq(known, ty)).map(|(_, key)| *key), ty)
    }

    pub(super) fn of_array(&mut self, ty: &ArrayType) -> Result<TypeKey, Outcome> {
        self.look()?;
        known(self.arrays.iter().find(|(known, _)| ArrayType::eq(known, ty)).map(|(_, key)| *key), ty)
    }

    pub(super) fn of_func(&mut self, ty: &FuncType) -> Result<TypeKey, Outcome> {
        self.look()?;
        known(self.funcs.iter().find(|(known, _)| FuncType::eq(known, ty)).map(|(_, key)| *key), ty)
    }

    /// Reads the sections that wait.
    fn look(&mut self) -> Result<(), Outcome> {
        for bytes in std::mem::take(&mut self.waiting) {
            let section = Section::read(&bytes).map_err(|error| Outcome::Crashed(error.to_string()))?;
            let probe = Module::new(&self.engine, probe(&bytes, section.types.len()))
                .map_err(|error| Outcome::Crashed(format!("the probe of a module's types: {error:#}")))?;
            let mut keys = TypeKeys::default();
            for (index, export) in (0..).zip(probe.exports()) {
                let key = keys.key(&section, index);
                let ExternType::Global(global) = export.ty() else { continue };
                match global.content().as_ref().map(|ty| ty.heap_type()) {
                    Some(HeapType::ConcreteStruct(ty)) => self.structs.push((ty.clone(), key)),
                    Some(HeapType::ConcreteArray(ty)) => self.arrays.push((ty.clone(), key)),
                    Some(HeapType::ConcreteFunc(ty)) => self.funcs.push((ty.clone(), key)),
                    other => return Err(Outcome::Crashed(format!("type {index} shown as {other:?}"))),
                }
            }
        }
        Ok(())
    }
}

fn known(key: Option<TypeKey>, ty: &impl std::fmt::Display) -> Result<TypeKey, Outcome> {
    key.ok_or_else(|| Outcome::Crashed(format!("an object of type {ty}, which no module has")))
}

/// A module with this type section of `types` types, and an exported global of each.
fn probe(section: &[u8], types: usize) -> Vec<u8> {
    let (mut globals, mut exports) = (GlobalSection::new(), ExportSection::new());
    for index in 0..u32::try_from(types).unwrap_or(u32::MAX) {
        let heap_type = wasm_encoder::HeapType::Concrete(index);
        let val_type = wasm_encoder::ValType::Ref(wasm_encoder::RefType { nullable: true, heap_type });
        let ty = GlobalType { val_type, mutable: false, shared: false };
        globals.global(ty, &ConstExpr::ref_null(heap_type));
        exports.export(&index.to_string(), ExportKind::Global, index);
    }
    let mut module = wasm_encoder::Module::new();
    module.section(&RawSection { id: SectionId::Type.into(), data: section });
    module.section(&globals).section(&exports);
    module.finish()
}

/// A type section; names are indices.
struct Section {
    types: Vec<SubType>,
    /// The group of each.
    groups: Vec<Range<u32>>,
}

impl Section {
    fn read(bytes: &[u8]) -> wasmparser::Result<Section> {
        let mut section = Section { types: Vec::new(), groups: Vec::new() };
        for group in TypeSectionReader::new(BinaryReader::new(bytes, 0))? {
            let group: RecGroup = group?;
            let start = section.groups.len() as u32;
            let end = start + group.types().len() as u32;
            section.groups.extend(group.types().map(|_| start..end));
            section.types.extend(group.types().cloned());
        }
        Ok(section)
    }
}

/// What Wasmtime has accepted has no types of proposals that are off, so their shapes are never asked for.
const OFF: &str = "a type of a proposal that is off";

impl TypeView for Section {
    type Id = u32;

    fn group(&self, id: u32) -> Vec<u32> {
        self.groups[id as usize].clone().collect()
    }

    fn shape(&self, id: u32) -> SubTypeShape<u32> {
        let ty = &self.types[id as usize];
        let values = |types: &[wasmparser::ValType]| types.iter().map(|ty| value(*ty)).collect();
        let composite = match &ty.composite_type.inner {
            CompositeInnerType::Func(ty) => CompositeShape::Func(values(ty.params()), values(ty.results())),
            CompositeInnerType::Array(ty) => CompositeShape::Array(field(&ty.0)),
            CompositeInnerType::Struct(ty) => CompositeShape::Struct(ty.fields.iter().map(field).collect()),
            CompositeInnerType::Cont(_) => unreachable!("{OFF}"),
        };
        let supertype = ty.supertype_idxs.first().map(|supertype| index(supertype.unpack()));
        SubTypeShape { is_final: ty.is_final, supertype, composite }
    }
}

fn field(field: &wasmparser::FieldType) -> FieldShape<u32> {
    let storage = match field.element_type {
        StorageType::I8 => StorageShape::I8,
        StorageType::I16 => StorageShape::I16,
        StorageType::Val(ty) => value(ty),
    };
    FieldShape { mutable: field.mutable, storage }
}

fn value(ty: wasmparser::ValType) -> StorageShape<u32> {
    use wasmparser::ValType as V;
    match ty {
        V::I32 => StorageShape::I32,
        V::I64 => StorageShape::I64,
        V::F32 => StorageShape::F32,
        V::F64 => StorageShape::F64,
        V::V128 => StorageShape::V128,
        V::Ref(ty) => StorageShape::Ref { nullable: ty.is_nullable(), heap: heap(ty.heap_type()) },
    }
}

fn heap(ty: wasmparser::HeapType) -> HeapShape<u32> {
    match ty {
        wasmparser::HeapType::Concrete(at) => HeapShape::Type(index(at)),
        wasmparser::HeapType::Exact(_) => unreachable!("{OFF}"),
        wasmparser::HeapType::Abstract { ty, .. } => match ty {
            A::Any => HeapShape::Any,
            A::Eq => HeapShape::Eq,
            A::I31 => HeapShape::I31,
            A::Struct => HeapShape::Struct,
            A::Array => HeapShape::Array,
            A::None => HeapShape::None,
            A::Func => HeapShape::Func,
            A::NoFunc => HeapShape::NoFunc,
            A::Extern => HeapShape::Extern,
            A::NoExtern => HeapShape::NoExtern,
            A::Exn => HeapShape::Exn,
            A::NoExn => HeapShape::NoExn,
            A::Cont | A::NoCont => unreachable!("{OFF}"),
        },
    }
}

fn index(index: UnpackedIndex) -> u32 {
    match index {
        UnpackedIndex::Module(index) => index,
        UnpackedIndex::RecGroup(_) | UnpackedIndex::Id(_) => {
            unreachable!("a section as it is read has indices")
        }
    }
}
