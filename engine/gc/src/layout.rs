//! Where fields and elements lie. Fields keep declaration order (a subtype's layout extends its supertype's), each at
//! its natural alignment (i8 1, i16 2, i32/f32/every reference 4, i64/f64 8, v128 aligned to 8), from offset 8.

use crate::header::{ARRAY_LENGTH, HEADER_SIZE, OBJECT_ALIGN};
use crate::types::{AbstractHeapType, HeapType, KIND_FUNC, StorageType, TypeRegistry, ValType};
use crate::{Error, ErrorKind};

/// A field's or element's representation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Slot {
    /// 8 bits.
    I8,
    /// 16 bits.
    I16,
    /// 32 bits.
    I32,
    /// 64 bits.
    I64,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 128 bits.
    V128,
    /// A traced reference (`any`, `extern`, `exn` hierarchies).
    Ref,
    /// A func id, not traced.
    Func,
}

impl Slot {
    /// The slot of a storage type. `Concrete` heap types need to know whether they are functions; a `Rec` index, which
    /// no registered type holds, counts as a traced reference.
    pub fn of(storage: &StorageType, registry: &TypeRegistry) -> Slot {
        Slot::of_with(storage, &|heap| match heap {
            HeapType::Abstract(of) => matches!(of, AbstractHeapType::Func | AbstractHeapType::NoFunc),
            HeapType::Concrete(id) => registry.kind(id) == KIND_FUNC,
            HeapType::Rec(_) => false,
        })
    }
    /// The same, given whether a heap type is of the `func` hierarchy.
    pub(crate) fn of_with(storage: &StorageType, is_func: &dyn Fn(HeapType) -> bool) -> Slot {
        match storage {
            StorageType::I8 => Slot::I8,
            StorageType::I16 => Slot::I16,
            StorageType::Val(ValType::I32) => Slot::I32,
            StorageType::Val(ValType::I64) => Slot::I64,
            StorageType::Val(ValType::F32) => Slot::F32,
            StorageType::Val(ValType::F64) => Slot::F64,
            StorageType::Val(ValType::V128) => Slot::V128,
            StorageType::Val(ValType::Ref(reference)) if is_func(reference.heap) => Slot::Func,
            StorageType::Val(ValType::Ref(_)) => Slot::Ref,
        }
    }
    /// Alignment in bytes: the size, at most [`OBJECT_ALIGN`].
    pub const fn align(self) -> u32 {
        if self.size() < OBJECT_ALIGN { self.size() } else { OBJECT_ALIGN }
    }
    /// Bytes.
    pub const fn size(self) -> u32 {
        match self {
            Slot::I8 => 1,
            Slot::I16 => 2,
            Slot::I32 | Slot::F32 | Slot::Ref | Slot::Func => 4,
            Slot::I64 | Slot::F64 => 8,
            Slot::V128 => 16,
        }
    }
}

/// The layout of a struct, array or host box.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Layout {
    /// A struct, or an exception: its tag ([`EXCEPTION_TAG_SLOT`]), then its payload.
    Struct(StructLayout),
    /// An array.
    Array(ArrayLayout),
    /// A host box: 16 bytes, u32 index at [`header::HOST_INDEX`](crate::header::HOST_INDEX).
    Host,
}

impl Layout {
    /// Bytes of an object of it; of one with `len` elements if it is an array. `None` above [`MAX_OBJECT_SIZE`].
    pub fn size(&self, len: u32) -> Option<u32> {
        match self {
            Layout::Struct(layout) => Some(layout.size),
            Layout::Array(layout) => layout.size(len),
            Layout::Host => Some(HOST_SIZE),
        }
    }
}

/// Layout of a struct.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StructLayout {
    /// Bytes, header included, a multiple of 8.
    pub size: u32,
    /// Offset from the object's start and representation of each field.
    pub fields: Box<[(u32, Slot)]>,
    /// Offsets of the traced fields, ascending.
    pub ref_offsets: Box<[u32]>,
}

/// Layout of an array.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArrayLayout {
    /// Representation of an element.
    pub element: Slot,
    /// Offset of element 0 from the object's start: 12 for elements of at most 4 bytes, else 16.
    pub base: u32,
}

impl StructLayout {
    /// Places fields of these slots.
    ///
    /// # Errors
    /// `BadType` above [`MAX_STRUCT_SIZE`].
    pub fn new(slots: impl Iterator<Item = Slot>) -> Result<StructLayout, Error> {
        let mut end = HEADER_SIZE;
        let mut fields = Vec::new();
        let mut ref_offsets = Vec::new();
        for slot in slots {
            let at = end.next_multiple_of(slot.align());
            end = at + slot.size();
            if end > MAX_STRUCT_SIZE {
                return Err(Error::new(ErrorKind::BadType("struct is too large")));
            }
            fields.push((at, slot));
            if slot == Slot::Ref {
                ref_offsets.push(at);
            }
        }
        let size = end.next_multiple_of(OBJECT_ALIGN);
        Ok(StructLayout { size, fields: fields.into(), ref_offsets: ref_offsets.into() })
    }
}

impl ArrayLayout {
    /// The layout of arrays of `element`.
    pub const fn new(element: Slot) -> ArrayLayout {
        let after_length = ARRAY_LENGTH + 4;
        ArrayLayout { element, base: after_length.next_multiple_of(element.align()) }
    }
    /// Bytes of an array of `len` elements, header included, rounded up to 8; `None` above [`MAX_OBJECT_SIZE`].
    pub fn size(&self, len: u32) -> Option<u32> {
        let bytes = u64::from(self.base) + u64::from(len) * u64::from(self.element.size());
        let bytes = bytes.next_multiple_of(8);
        (bytes <= u64::from(MAX_OBJECT_SIZE)).then_some(bytes as u32)
    }
}

/// Field 0 of an exception: the store's number of its tag. The payload's fields follow.
pub const EXCEPTION_TAG_SLOT: Slot = Slot::I32;

/// Bytes of a host box.
pub const HOST_SIZE: u32 = 16;

/// Largest struct: field offsets stay far below the guard behind the reservation.
pub const MAX_STRUCT_SIZE: u32 = 1 << 19;

/// Largest object; a larger array traps as "allocation too large".
pub const MAX_OBJECT_SIZE: u32 = 1 << 30;
