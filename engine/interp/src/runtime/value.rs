//! Values and addresses (spec: Runtime Structure / Values), outside and inside.
//!
//! Inside, a value is a 64-bit slot, a vector two of them, the low half first. A reference ([`Bits`]) has a tag in its upper half and an index in its lower one;
//! null is 0. `extern.convert_any` and `any.convert_extern` keep the bits, since whether a reference is
//! seen as internal or external is known from its static type; so both keep identity.

use super::types::Hierarchy;
use crate::syntax::types::ValType;

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub(crate) u32);

        impl $name {
            /// A dense number, unique in the store.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

address!(
    /// Address of a module instance.
    InstanceAddr
);
address!(
    /// Address of a function.
    FuncAddr
);
address!(
    /// Address of a table.
    TableAddr
);
address!(
    /// Address of a memory.
    MemoryAddr
);
address!(
    /// Address of a global.
    GlobalAddr
);
address!(
    /// Address of a tag.
    TagAddr
);
address!(
    /// Address of a struct, array or exception; valid until a collection finds the object unreachable.
    ObjectAddr
);

/// An external value: what an import needs and an export gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extern {
    /// A function.
    Func(FuncAddr),
    /// A table.
    Table(TableAddr),
    /// A memory.
    Memory(MemoryAddr),
    /// A global.
    Global(GlobalAddr),
    /// A tag.
    Tag(TagAddr),
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// 32-bit integer.
    I32(i32),
    /// 64-bit integer.
    I64(i64),
    /// 32-bit float, as bits.
    F32(u32),
    /// 64-bit float, as bits.
    F64(u64),
    /// 128-bit vector, as bits.
    V128(u128),
    /// Reference.
    Ref(Ref),
}

/// A reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ref {
    /// Null, of whatever type.
    Null,
    /// An unboxed scalar, sign-extended from 31 bits.
    I31(i32),
    /// A struct.
    Struct(ObjectAddr),
    /// An array.
    Array(ObjectAddr),
    /// A function.
    Func(FuncAddr),
    /// An exception.
    Exn(ObjectAddr),
    /// A host value seen as internal reference (`any.convert_extern` of [`ExternRef::Host`]).
    Host(u64),
    /// Anything non-null seen as external reference.
    Extern(ExternRef),
}

/// A non-null external reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExternRef {
    /// A value of the host's: its token.
    Host(u64),
    /// `extern.convert_any` of an unboxed scalar.
    I31(i32),
    /// `extern.convert_any` of a struct.
    Struct(ObjectAddr),
    /// `extern.convert_any` of an array.
    Array(ObjectAddr),
}

/// A reference in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bits(pub(crate) u64);

/// What [`Bits`] stand for. Host values by index in the store's token table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unpacked {
    Null,
    I31(u32),
    Object(u32),
    Func(u32),
    Host(u32),
    /// No reference at all; cannot happen in valid code.
    Invalid,
}

// Improbable as numbers, so that a conservative scan of slots rarely takes a number for an object.
const TAG_I31: u32 = 0x7FF5_1310;
const TAG_OBJECT: u32 = 0x7FF5_0B1E;
const TAG_FUNC: u32 = 0x7FF5_F00C;
const TAG_HOST: u32 = 0x7FF5_4057;

impl Bits {
    pub(crate) const NULL: Bits = Bits(0);

    fn tagged(tag: u32, index: u32) -> Bits {
        Bits(u64::from(tag) << 32 | u64::from(index))
    }

    pub(crate) fn i31(value: u32) -> Bits {
        Bits::tagged(TAG_I31, value & 0x7fff_ffff)
    }

    pub(crate) fn object(index: u32) -> Bits {
        Bits::tagged(TAG_OBJECT, index)
    }

    pub(crate) fn func(index: u32) -> Bits {
        Bits::tagged(TAG_FUNC, index)
    }

    pub(crate) fn host(index: u32) -> Bits {
        Bits::tagged(TAG_HOST, index)
    }

    pub(crate) fn unpack(self) -> Unpacked {
        let index = self.0 as u32;
        match (self.0 >> 32) as u32 {
            TAG_OBJECT => Unpacked::Object(index),
            TAG_I31 => Unpacked::I31(index),
            TAG_FUNC => Unpacked::Func(index),
            TAG_HOST => Unpacked::Host(index),
            _ if self.0 == 0 => Unpacked::Null,
            _ => Unpacked::Invalid,
        }
    }

    /// The arena index, if it refers to an object.
    pub(crate) fn as_object(self) -> Option<u32> {
        if (self.0 >> 32) as u32 == TAG_OBJECT { Some(self.0 as u32) } else { None }
    }
}

/// Sign-extends an i31.
pub(crate) fn i31_signed(value: u32) -> i32 {
    ((value << 1) as i32) >> 1
}

impl Ref {
    /// The same reference seen from the hierarchy of a type: external ones are wrapped.
    pub(crate) fn seen_from(self, hierarchy: Hierarchy) -> Ref {
        match (hierarchy, self) {
            (Hierarchy::Extern, Ref::Host(token)) => Ref::Extern(ExternRef::Host(token)),
            (Hierarchy::Extern, Ref::I31(value)) => Ref::Extern(ExternRef::I31(value)),
            (Hierarchy::Extern, Ref::Struct(addr)) => Ref::Extern(ExternRef::Struct(addr)),
            (Hierarchy::Extern, Ref::Array(addr)) => Ref::Extern(ExternRef::Array(addr)),
            (_, other) => other,
        }
    }
}

/// Slots of values of some types.
pub(crate) fn slots(types: &[ValType]) -> usize {
    types.iter().map(|ty| ty.slots() as usize).sum()
}
