//! The 32-bit reference word that heaps, frames, tables and globals hold.
//!
//! 0 is null; a set low bit tags an i31 (value in the upper 31 bits); anything else is the byte offset of an object
//! in the store's heap reservation, a multiple of 8. Function references are *not* `GcRef`s: they are indices into the
//! store's function table ("func ids", 0 is null) and no collector looks at them.

/// A reference of the `any` or `extern` hierarchy as stored in a slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(transparent)]
pub struct GcRef(pub u32);

impl GcRef {
    /// The null reference.
    pub const NULL: GcRef = GcRef(0);

    /// An i31 of the low 31 bits of `value`.
    pub const fn i31(value: u32) -> GcRef {
        GcRef((value << 1) | 1)
    }
    /// Whether this is null.
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }
    /// Whether this is a tagged i31.
    pub const fn is_i31(self) -> bool {
        self.0 & 1 == 1
    }
    /// Whether this points at an object of the heap.
    pub const fn is_object(self) -> bool {
        self.0 != 0 && self.0 & 1 == 0
    }
    /// The i31's value sign-extended from 31 bits (meaningless for other references).
    pub const fn i31_signed(self) -> i32 {
        (self.0 as i32) >> 1
    }
}
