//! The 8-byte object header and the fixed offsets behind it. The heap's content is untrusted: a type id is masked by
//! [`TYPE_ID_MASK`] before it indexes the rows of the [`TypeRegistry`](crate::TypeRegistry).
//!
//! | bytes | content |
//! |---|---|
//! | 0..4 | type id (low 17 bits), collector flags (upper bits; all clear while the mutator runs under `null`/`copying`) |
//! | 4..8 | the collector's word (forwarding offset, count, mark); mutator code writes 0 at allocation and never reads it |
//! | 8..  | struct: fields · array: u32 length at 8, then elements · host box: u32 host index at 8 · exception: u32 tag at 8, then fields |

/// Bytes of the header.
pub const HEADER_SIZE: u32 = 8;
/// Offset of the type-id word.
pub const TYPE_WORD: u32 = 0;
/// Offset of the collector's word.
pub const GC_WORD: u32 = 4;
/// Offset of an array's length.
pub const ARRAY_LENGTH: u32 = 8;
/// Offset of a host box's u32 index into the store's table of host values.
pub const HOST_INDEX: u32 = 8;
/// Offset of an exception's tag: its u32 number in the store.
pub const EXCEPTION_TAG: u32 = 8;
/// Number of type ids; a power of two.
pub const MAX_TYPES: u32 = 1 << 17;
/// Mask that leaves a valid index of type rows of any header word.
pub const TYPE_ID_MASK: u32 = MAX_TYPES - 1;
/// Objects are multiples of this size and start at multiples of it.
pub const OBJECT_ALIGN: u32 = 8;

/// What freed memory is filled with under [`Stress::poison`](crate::Stress). The byte is even and four of them are no
/// multiple of 8, so a reference that is read from freed memory is neither null, nor an i31, nor an object's address.
pub const POISON_BYTE: u8 = 0xf4;
/// Four poison bytes.
pub const POISON_WORD: u32 = u32::from_ne_bytes([POISON_BYTE; 4]);
