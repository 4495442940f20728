//! Where fields and elements lie. Fields keep declaration order (a subtype's layout extends its supertype's), each at
//! its natural alignment (i8 1, i16 2, i32/f32/every reference 4, i64/f64 8, v128 aligned to 8), from offset 8.

use crate::types::StorageType;

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
    /// The slot of a storage type. `Concrete` heap types need to know whether they are functions.
    pub fn of(storage: &StorageType, registry: &crate::TypeRegistry) -> Slot {
        let _ = (storage, registry);
        unimplemented!()
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
    /// A struct.
    Struct(StructLayout),
    /// An array.
    Array(ArrayLayout),
    /// A host box: 16 bytes, u32 index at [`header::HOST_INDEX`](crate::header::HOST_INDEX).
    Host,
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

impl ArrayLayout {
    /// Bytes of an array of `len` elements, header included, rounded up to 8; `None` above [`MAX_OBJECT_SIZE`].
    pub fn size(&self, len: u32) -> Option<u32> {
        let bytes = u64::from(self.base) + u64::from(len) * u64::from(self.element.size());
        let bytes = bytes.next_multiple_of(8);
        (bytes <= u64::from(MAX_OBJECT_SIZE)).then_some(bytes as u32)
    }
}

/// Largest object; a larger array traps as "allocation too large".
pub const MAX_OBJECT_SIZE: u32 = 1 << 30;
