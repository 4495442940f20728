//! What the embedder can see of objects, functions and canonical types, for comparing heap graphs.

use super::heap::Payload;
use super::store::{FuncKind, Store};
use super::types::GroupId;
use super::value::{FuncAddr, InstanceAddr, ObjectAddr, TagAddr, Value};
use crate::syntax::types::{CompositeType, RecGroup, SubType, TypeId, ValType};

/// Kind of a heap object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// A struct.
    Struct,
    /// An array.
    Array,
    /// An exception.
    Exn,
}

/// Where a function comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FuncOrigin {
    /// Defined by an instance, with its index in that instance's function index space.
    Wasm {
        /// The defining instance.
        instance: InstanceAddr,
        /// Index in its function index space.
        index: u32,
    },
    /// Allocated by the host.
    Host,
}

/// Place of a canonical type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypePlace {
    /// Its rec group.
    pub group: GroupId,
    /// Position in the group.
    pub index: u32,
}

impl Store {
    /// Kind of an object; `None` if it has been freed.
    pub fn object_kind(&self, object: ObjectAddr) -> Option<ObjectKind> {
        match self.heap.get(object.0)?.payload {
            Payload::Struct(_) => Some(ObjectKind::Struct),
            Payload::Exception { .. } => Some(ObjectKind::Exn),
            _ => Some(ObjectKind::Array),
        }
    }

    /// All objects that have not been freed, reachable or not, in no particular order.
    pub fn objects(&self) -> impl Iterator<Item = ObjectAddr> + '_ {
        self.heap.indices().map(ObjectAddr)
    }

    /// The tag of an exception.
    pub fn exception_tag(&self, object: ObjectAddr) -> Option<TagAddr> {
        Some(TagAddr(self.heap.exception(object.0)?.0))
    }

    /// The runtime type of an object; of an exception, the function type of its tag.
    pub fn object_type(&self, object: ObjectAddr) -> Option<TypeId> {
        Some(self.heap.get(object.0)?.ty)
    }

    /// Number of fields, elements or payload values.
    pub fn object_len(&self, object: ObjectAddr) -> Option<usize> {
        let object = self.heap.get(object.0)?;
        match &self.types.get(object.ty)?.ty.composite {
            CompositeType::Struct(fields) => Some(fields.len()),
            CompositeType::Array(_) => Some(object.payload.len()),
            CompositeType::Func(ty) => Some(ty.params.len()),
        }
    }

    /// A field, element or payload value, packed ones zero-extended to i32; `None` beyond the end.
    pub fn object_get(&self, object: ObjectAddr, index: usize) -> Option<Value> {
        let object = self.heap.get(object.0)?;
        let ty = self.types.get(object.ty)?;
        let (storage, slot) = match &ty.ty.composite {
            CompositeType::Struct(fields) => (fields.get(index)?.storage, ty.field_slot(index)),
            CompositeType::Array(field) => (field.storage, index),
            CompositeType::Func(ty) => {
                let Payload::Exception { fields, .. } = &object.payload else { return None };
                return self.from_slots(fields, &ty.params).ok()?.get(index).copied();
            }
        };
        match storage.unpack() {
            ValType::V128 => object.payload.get_wide(slot).map(Value::V128),
            ty => self.from_bits(object.payload.get(slot)?, ty).ok(),
        }
    }

    /// All fields or elements, packed ones zero-extended to i32.
    pub fn object_values(&self, object: ObjectAddr) -> Option<Vec<Value>> {
        (0..self.object_len(object)?).map(|index| self.object_get(object, index)).collect()
    }

    /// Where a canonical type stands in its rec group.
    pub fn type_place(&self, id: TypeId) -> Option<TypePlace> {
        let ty = self.types.get(id)?;
        Some(TypePlace { group: ty.group, index: ty.place })
    }

    /// A canonical rec group: members refer to each other by [`crate::HeapType::Rec`], to other groups' types by
    /// [`crate::HeapType::Canon`].
    pub fn rec_group(&self, group: GroupId) -> Option<&RecGroup> {
        Some(&self.types.group(group)?.1)
    }

    /// The type at a place.
    pub fn type_at(&self, place: TypePlace) -> Option<TypeId> {
        let (first, group) = self.types.group(place.group)?;
        ((place.index as usize) < group.types.len()).then(|| TypeId(first.0 + place.index))
    }

    /// A canonical type unrolled: every concrete heap type in it is [`crate::HeapType::Canon`].
    pub fn type_def(&self, id: TypeId) -> Option<&SubType> {
        Some(&self.types.get(id)?.ty)
    }

    /// Whether one canonical type is a subtype of another.
    pub fn is_subtype(&self, sub: TypeId, sup: TypeId) -> bool {
        self.types.is_subtype(sub, sup)
    }

    /// The instance that defines a tag and its index there; none for one that the embedder made. It looks through the
    /// instances: the first that has it is the one that others import it from.
    pub fn tag_origin(&self, tag: TagAddr) -> Option<(InstanceAddr, u32)> {
        self.instances.iter().enumerate().find_map(|(number, instance)| {
            let index = instance.tags.iter().position(|addr| *addr == tag.0)?;
            Some((InstanceAddr(number as u32), index as u32))
        })
    }

    /// Where a function comes from.
    pub fn func_origin(&self, func: FuncAddr) -> Option<FuncOrigin> {
        Some(match self.funcs.get(func.index())?.kind {
            FuncKind::Wasm { instance, index } => {
                FuncOrigin::Wasm { instance: InstanceAddr(instance), index }
            }
            FuncKind::Host(_) | FuncKind::SharedHost(_) => FuncOrigin::Host,
        })
    }
}
