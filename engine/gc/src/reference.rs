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

#[cfg(test)]
mod tests {
    use super::GcRef;

    #[test]
    fn i31_keeps_31_bits_and_their_sign() {
        for (value, signed) in [
            (0, 0),
            (1, 1),
            (0x3fff_ffff, 0x3fff_ffff),
            (0x4000_0000, -0x4000_0000),
            (0x7fff_ffff, -1),
            (0x8000_0000, 0),
            (u32::MAX, -1),
            (0xbfff_ffff, 0x3fff_ffff),
        ] {
            let reference = GcRef::i31(value);
            assert!(reference.is_i31() && !reference.is_null() && !reference.is_object());
            assert_eq!(reference.i31_signed(), signed);
            assert_eq!(reference.0 >> 1, value & 0x7fff_ffff);
        }
        assert!(GcRef::NULL.is_null() && !GcRef::NULL.is_object() && !GcRef::NULL.is_i31());
        assert!(GcRef(0x1_0000).is_object());
    }
}
