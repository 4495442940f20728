//! Reads the heap from outside without making handles: for heap graphs, digests and debuggers.
//!
//! Words and func ids are valid until the next allocation or collection, which a shared borrow of the store excludes.
//! Identity is the word itself.

use std::any::Any;

use assay_gc::layout::{Layout, Slot};
use assay_gc::{CompositeType, FieldType, GcRef, StorageType, TypeId, ValType};

use crate::Tag;
use crate::exception::tag_of;
use crate::store::StoreInner;

/// What a reference word refers to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RefKind {
    /// Nothing.
    Null,
    /// An i31, sign-extended.
    I31(i32),
    /// A struct of that runtime type.
    Struct(TypeId),
    /// An array of that runtime type.
    Array(TypeId),
    /// A host value of that index in the store.
    Host(u32),
    /// An exception of that tag.
    Exception(Tag),
}

/// A field, element, global or table element as it lies in memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RawVal {
    /// A packed byte.
    I8(u8),
    /// A packed half word.
    I16(u16),
    /// An i32.
    I32(i32),
    /// An i64.
    I64(i64),
    /// An f32 as its bits.
    F32(u32),
    /// An f64 as its bits.
    F64(u64),
    /// A v128.
    V128(u128),
    /// A traced reference.
    Ref(GcRef),
    /// A func id; 0 is null.
    Func(u32),
}

impl RawVal {
    /// Machine form, packed values zero-extended.
    pub fn bits(self) -> u128 {
        match self {
            RawVal::I8(value) => u128::from(value),
            RawVal::I16(value) => u128::from(value),
            RawVal::I32(value) => u128::from(value as u32),
            RawVal::I64(value) => u128::from(value as u64),
            RawVal::F32(bits) => u128::from(bits),
            RawVal::F64(bits) => u128::from(bits),
            RawVal::V128(bits) => bits,
            RawVal::Ref(word) => u128::from(word.0),
            RawVal::Func(id) => u128::from(id),
        }
    }
    fn of(slot: Slot, bits: u128) -> RawVal {
        match slot {
            Slot::I8 => RawVal::I8(bits as u8),
            Slot::I16 => RawVal::I16(bits as u16),
            Slot::I32 => RawVal::I32(bits as i32),
            Slot::I64 => RawVal::I64(bits as i64),
            Slot::F32 => RawVal::F32(bits as u32),
            Slot::F64 => RawVal::F64(bits as u64),
            Slot::V128 => RawVal::V128(bits),
            Slot::Ref => RawVal::Ref(GcRef(bits as u32)),
            Slot::Func => RawVal::Func(bits as u32),
        }
    }
}

/// Where a function was defined.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FuncInfo {
    /// Number of the defining instance; `None` for a host function.
    pub instance: Option<u32>,
    /// Function index in that instance, or the host function's number.
    pub index: u32,
    /// Canonical type.
    pub ty: TypeId,
}

/// Reads a store's heap; see [`StoreInner::inspector`].
#[derive(Clone, Copy, Debug)]
pub struct Inspector<'s> {
    store: &'s StoreInner,
}

impl<'s> Inspector<'s> {
    pub(crate) fn new(store: &'s StoreInner) -> Inspector<'s> {
        Inspector { store }
    }
    /// What `word` refers to; `None` when it is no reference that a valid program makes.
    pub fn kind(&self, word: GcRef) -> Option<RefKind> {
        if word.is_null() {
            return Some(RefKind::Null);
        }
        if word.is_i31() {
            return Some(RefKind::I31(word.i31_signed()));
        }
        let ty = self.store.heap.type_of(word)?;
        match self.store.types().kind(ty) {
            assay_gc::types::KIND_STRUCT => Some(RefKind::Struct(ty)),
            assay_gc::types::KIND_ARRAY => Some(RefKind::Array(ty)),
            assay_gc::types::KIND_HOST => self.store.heap.host_index(word).map(RefKind::Host),
            assay_gc::types::KIND_EXCEPTION => tag_of(self.store, word, ty).map(RefKind::Exception),
            _ => None,
        }
    }
    /// The payload of an exception; `None` for anything else.
    pub fn payload(&self, word: GcRef) -> Option<Vec<RawVal>> {
        let RefKind::Exception(_) = self.kind(word)? else { return None };
        let layout = self.store.types().layout(self.store.heap.type_of(word)?)?;
        let Layout::Struct(layout) = &*layout else { return None };
        let fields = layout.fields.iter().skip(1);
        fields.map(|&(offset, slot)| self.read(word, offset, slot)).collect()
    }
    /// All fields of a struct; `None` for anything else.
    pub fn struct_fields(&self, word: GcRef) -> Option<Vec<RawVal>> {
        let layout = self.layout(word)?;
        let Layout::Struct(layout) = &*layout else { return None };
        let read = |&(offset, slot): &(u32, Slot)| self.read(word, offset, slot);
        layout.fields.iter().map(read).collect()
    }
    /// Number of fields of a struct; `None` for anything else.
    pub fn struct_len(&self, word: GcRef) -> Option<u32> {
        match &*self.layout(word)? {
            Layout::Struct(layout) => Some(layout.fields.len() as u32),
            _ => None,
        }
    }
    /// Field `index` of a struct.
    pub fn struct_field(&self, word: GcRef, index: u32) -> Option<RawVal> {
        let layout = self.layout(word)?;
        let Layout::Struct(layout) = &*layout else { return None };
        let &(offset, slot) = layout.fields.get(index as usize)?;
        self.read(word, offset, slot)
    }
    /// Length of an array; `None` for anything else.
    pub fn array_len(&self, word: GcRef) -> Option<u32> {
        if word.is_object() { self.store.heap.array_len(word) } else { None }
    }
    /// Element `index` of an array.
    pub fn array_elem(&self, word: GcRef, index: u32) -> Option<RawVal> {
        let layout = self.layout(word)?;
        let Layout::Array(layout) = &*layout else { return None };
        if index >= self.array_len(word)? {
            return None;
        }
        self.read(word, layout.base + index * layout.element.size(), layout.element)
    }
    /// All elements of an array; `None` for anything else.
    pub fn array_elems(&self, word: GcRef) -> Option<Vec<RawVal>> {
        let layout = self.layout(word)?;
        let Layout::Array(layout) = &*layout else { return None };
        let size = layout.element.size();
        (0..self.array_len(word)?)
            .map(|index| self.read(word, layout.base + index * size, layout.element))
            .collect()
    }
    /// Where the function of a func id was defined; `None` for 0 and for no function.
    pub fn func(&self, id: u32) -> Option<FuncInfo> {
        let entry = self.store.state.funcs.get(id as usize).filter(|_| id != 0)?;
        let instance = (entry.instance != u32::MAX).then_some(entry.instance);
        Some(FuncInfo { instance, index: entry.index, ty: TypeId(entry.type_id) })
    }
    /// The host value in the box that `word` refers to.
    pub fn host_value(&self, word: GcRef) -> Option<&'s (dyn Any + Send + Sync)> {
        match self.kind(word)? {
            RefKind::Host(index) => self.store.state.host_value(index),
            _ => None,
        }
    }

    pub(crate) fn struct_field_typed(&self, word: GcRef, index: u32) -> Option<(ValType, RawVal)> {
        let raw = self.struct_field(word, index)?;
        let definition = self.store.types().get(self.store.heap.type_of(word)?)?;
        let CompositeType::Struct(fields) = &definition.composite else { return None };
        Some((unpacked(fields.get(index as usize)?), raw))
    }
    pub(crate) fn array_elem_typed(&self, word: GcRef, index: u32) -> Option<(ValType, RawVal)> {
        let raw = self.array_elem(word, index)?;
        let definition = self.store.types().get(self.store.heap.type_of(word)?)?;
        let CompositeType::Array(element) = &definition.composite else { return None };
        Some((unpacked(element), raw))
    }

    /// The layout of a struct, an array or a host box.
    fn layout(&self, word: GcRef) -> Option<std::sync::Arc<Layout>> {
        let ty = if word.is_object() { self.store.heap.type_of(word)? } else { return None };
        if self.store.types().kind(ty) == assay_gc::types::KIND_EXCEPTION {
            return None;
        }
        self.store.types().layout(ty)
    }
    fn read(&self, word: GcRef, offset: u32, slot: Slot) -> Option<RawVal> {
        Some(RawVal::of(slot, self.store.heap.read(word, offset, slot.size())?))
    }
}

/// The value type of a field: i32 for packed ones.
fn unpacked(field: &FieldType) -> ValType {
    match field.storage {
        StorageType::Val(ty) => ty,
        StorageType::I8 | StorageType::I16 => ValType::I32,
    }
}
