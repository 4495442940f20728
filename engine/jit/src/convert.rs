//! wasmparser's types to canonical types. The only file that reads wasmparser's type representation.
//!
//! A type index below `types.len()` is a registered type; the `pending` indices above belong to the rec group that is
//! about to be registered and become [`HeapType::Rec`].

use assay_gc::{
    AbstractHeapType, CompositeType, FieldType, FuncType, HeapType, RefType, StorageType, SubType, TypeId,
    ValType,
};
use wasmparser::{CompositeInnerType, UnpackedIndex};

use crate::module::{GlobalType, MemoryType, TableType};
use crate::{Error, ErrorKind};

/// Converts types of one module.
#[derive(Clone, Copy)]
pub(crate) struct Convert<'a> {
    /// Canonical id of each registered type index.
    pub(crate) types: &'a [TypeId],
    /// How many indices above them belong to the group being registered.
    pub(crate) pending: u32,
}

impl<'a> Convert<'a> {
    /// Outside of type definitions: every index is registered.
    pub(crate) fn new(types: &'a [TypeId]) -> Convert<'a> {
        Convert { types, pending: 0 }
    }

    fn index(&self, index: UnpackedIndex) -> Result<HeapType, Error> {
        let known = self.types.len() as u32;
        let index = match index {
            UnpackedIndex::Module(index) => index,
            UnpackedIndex::RecGroup(index) => known.saturating_add(index),
            UnpackedIndex::Id(_) => return Err(internal("a type identifier outside of the validator")),
        };
        match self.types.get(index as usize) {
            Some(&id) => Ok(HeapType::Concrete(id)),
            None if index - known < self.pending => Ok(HeapType::Rec(index - known)),
            None => Err(internal("a type index out of range in a validated module")),
        }
    }

    /// A heap type.
    pub(crate) fn heap(&self, ty: wasmparser::HeapType) -> Result<HeapType, Error> {
        use wasmparser::AbstractHeapType as W;
        let ty = match ty {
            wasmparser::HeapType::Abstract { shared: false, ty } => match ty {
                W::Func => AbstractHeapType::Func,
                W::NoFunc => AbstractHeapType::NoFunc,
                W::Extern => AbstractHeapType::Extern,
                W::NoExtern => AbstractHeapType::NoExtern,
                W::Any => AbstractHeapType::Any,
                W::Eq => AbstractHeapType::Eq,
                W::I31 => AbstractHeapType::I31,
                W::Struct => AbstractHeapType::Struct,
                W::Array => AbstractHeapType::Array,
                W::None => AbstractHeapType::None,
                W::Exn => AbstractHeapType::Exn,
                W::NoExn => AbstractHeapType::NoExn,
                W::Cont | W::NoCont => return Err(internal("a continuation type in a validated module")),
            },
            wasmparser::HeapType::Concrete(index) => return self.index(index),
            wasmparser::HeapType::Abstract { shared: true, .. } | wasmparser::HeapType::Exact(_) => {
                return Err(internal("a shared or exact type in a validated module"));
            }
        };
        Ok(HeapType::Abstract(ty))
    }

    /// A reference type.
    pub(crate) fn reference(&self, ty: wasmparser::RefType) -> Result<RefType, Error> {
        Ok(RefType { nullable: ty.is_nullable(), heap: self.heap(ty.heap_type())? })
    }

    /// A value type.
    pub(crate) fn value(&self, ty: wasmparser::ValType) -> Result<ValType, Error> {
        Ok(match ty {
            wasmparser::ValType::I32 => ValType::I32,
            wasmparser::ValType::I64 => ValType::I64,
            wasmparser::ValType::F32 => ValType::F32,
            wasmparser::ValType::F64 => ValType::F64,
            wasmparser::ValType::V128 => ValType::V128,
            wasmparser::ValType::Ref(ty) => ValType::Ref(self.reference(ty)?),
        })
    }

    fn field(&self, ty: &wasmparser::FieldType) -> Result<FieldType, Error> {
        let storage = match ty.element_type {
            wasmparser::StorageType::I8 => StorageType::I8,
            wasmparser::StorageType::I16 => StorageType::I16,
            wasmparser::StorageType::Val(ty) => StorageType::Val(self.value(ty)?),
        };
        Ok(FieldType { storage, mutable: ty.mutable })
    }

    /// A type definition.
    pub(crate) fn sub_type(&self, ty: &wasmparser::SubType) -> Result<SubType, Error> {
        let composite = match &ty.composite_type.inner {
            CompositeInnerType::Func(ty) => CompositeType::Func(FuncType {
                params: ty.params().iter().map(|ty| self.value(*ty)).collect::<Result<_, _>>()?,
                results: ty.results().iter().map(|ty| self.value(*ty)).collect::<Result<_, _>>()?,
            }),
            CompositeInnerType::Struct(ty) => {
                CompositeType::Struct(ty.fields.iter().map(|ty| self.field(ty)).collect::<Result<_, _>>()?)
            }
            CompositeInnerType::Array(ty) => CompositeType::Array(self.field(&ty.0)?),
            CompositeInnerType::Cont(_) => return Err(internal("a continuation type in a validated module")),
        };
        let supertype = match ty.supertype_idxs.as_slice() {
            [] => None,
            [index] => Some(self.index(index.unpack())?),
            _ => return Err(internal("several supertypes in a validated module")),
        };
        Ok(SubType { is_final: ty.is_final, supertype, composite })
    }

    /// A table type.
    pub(crate) fn table(&self, ty: &wasmparser::TableType) -> Result<TableType, Error> {
        let element = self.reference(ty.element_type)?;
        Ok(TableType { element, min: ty.initial, max: ty.maximum, is_64: ty.table64 })
    }

    /// A memory type.
    pub(crate) fn memory(&self, ty: &wasmparser::MemoryType) -> MemoryType {
        MemoryType { min: ty.initial, max: ty.maximum, is_64: ty.memory64 }
    }

    /// A global type.
    pub(crate) fn global(&self, ty: &wasmparser::GlobalType) -> Result<GlobalType, Error> {
        Ok(GlobalType { content: self.value(ty.content_type)?, mutable: ty.mutable })
    }
}

/// A fault of this crate.
pub(crate) fn internal(message: &str) -> Error {
    Error::new(ErrorKind::Internal(message.to_owned()))
}
