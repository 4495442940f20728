//! Numbers of types, by structure: iso-recursively equal types of one module or of two have one number, and others have
//! different ones (but for collisions of 64 bits).

use std::ops::Range;

use wasmparser::{AbstractHeapType, CompositeInnerType, HeapType, RecGroup, StorageType, SubType, ValType};

use crate::graph::{CompositeShape, FieldShape, HeapShape, StorageShape, SubTypeShape, TypeKeys, TypeView};

/// The types of a module by index.
pub(super) struct Numbers<'m> {
    keys: TypeKeys<u32>,
    view: View<'m>,
}

impl<'m> Numbers<'m> {
    pub(super) fn new(groups: &'m [RecGroup]) -> Numbers<'m> {
        let mut view = View { types: Vec::new(), ranges: Vec::new() };
        for group in groups {
            let start = view.types.len() as u32;
            view.types.extend(group.types());
            view.ranges.extend(group.types().map(|_| start..start + group.types().len() as u32));
        }
        Numbers { keys: TypeKeys::default(), view }
    }

    /// The number of a type.
    pub(super) fn of(&mut self, index: u32) -> i64 {
        let key = self.keys.key(&self.view, index);
        let folded = (key.group >> 64) as u64 ^ key.group as u64;
        (folded.rotate_left(key.index % 64) ^ u64::from(key.index)).cast_signed()
    }
}

struct View<'m> {
    types: Vec<&'m SubType>,
    /// The group of each type.
    ranges: Vec<Range<u32>>,
}

impl TypeView for View<'_> {
    type Id = u32;

    fn group(&self, id: u32) -> Vec<u32> {
        self.ranges.get(id as usize).cloned().unwrap_or(id..id + 1).collect()
    }

    fn shape(&self, id: u32) -> SubTypeShape<u32> {
        let Some(ty) = self.types.get(id as usize) else {
            return SubTypeShape {
                is_final: true,
                supertype: None,
                composite: CompositeShape::Struct(Vec::new()),
            };
        };
        let values = |types: &[ValType]| types.iter().map(|ty| value(*ty)).collect();
        let field = |field: &wasmparser::FieldType| FieldShape {
            mutable: field.mutable,
            storage: match field.element_type {
                StorageType::I8 => StorageShape::I8,
                StorageType::I16 => StorageShape::I16,
                StorageType::Val(ty) => value(ty),
            },
        };
        let composite = match &ty.composite_type.inner {
            CompositeInnerType::Struct(ty) => CompositeShape::Struct(ty.fields.iter().map(field).collect()),
            CompositeInnerType::Array(ty) => CompositeShape::Array(field(&ty.0)),
            CompositeInnerType::Func(ty) => CompositeShape::Func(values(ty.params()), values(ty.results())),
            // Not of WebAssembly 3.0.
            CompositeInnerType::Cont(_) => CompositeShape::Func(Vec::new(), Vec::new()),
        };
        SubTypeShape {
            is_final: ty.is_final,
            supertype: ty.supertype_idxs.first().and_then(|index| index.as_module_index()),
            composite,
        }
    }
}

fn value(ty: ValType) -> StorageShape<u32> {
    match ty {
        ValType::I32 => StorageShape::I32,
        ValType::I64 => StorageShape::I64,
        ValType::F32 => StorageShape::F32,
        ValType::F64 => StorageShape::F64,
        ValType::V128 => StorageShape::V128,
        ValType::Ref(ty) => StorageShape::Ref { nullable: ty.is_nullable(), heap: heap(ty.heap_type()) },
    }
}

fn heap(ty: HeapType) -> HeapShape<u32> {
    use AbstractHeapType as A;
    match ty {
        HeapType::Concrete(index) | HeapType::Exact(index) => {
            // Indices of a module that was read are its own.
            index.as_module_index().map_or(HeapShape::None, HeapShape::Type)
        }
        HeapType::Abstract { ty, .. } => match ty {
            A::Any => HeapShape::Any,
            A::Eq => HeapShape::Eq,
            A::I31 => HeapShape::I31,
            A::Struct => HeapShape::Struct,
            A::Array => HeapShape::Array,
            A::None => HeapShape::None,
            A::Func | A::Cont => HeapShape::Func,
            A::NoFunc | A::NoCont => HeapShape::NoFunc,
            A::Extern => HeapShape::Extern,
            A::NoExtern => HeapShape::NoExtern,
            A::Exn => HeapShape::Exn,
            A::NoExn => HeapShape::NoExn,
        },
    }
}
