//! Canonical types: rec groups are registered once per engine and get ids that headers, code and checks use.
//!
//! Two rec groups that are equal up to their own indices (iso-recursive equality, spec "Type Equivalence") get the
//! same ids. Groups are counted: when the last [`RecGroup`] handle drops, the ids are free again. A handle keeps the
//! groups that it refers to alive.

mod check;
mod matching;
mod registry;
mod rows;

pub use registry::{RecGroup, TypeRegistry};

/// A canonical type's id: 1 ..[`MAX_TYPES`](crate::header::MAX_TYPES); 0 is never a type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TypeId(pub u32);

/// Abstract heap types.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum AbstractHeapType {
    Func,
    NoFunc,
    Extern,
    NoExtern,
    Any,
    Eq,
    I31,
    Struct,
    Array,
    None,
    Exn,
    NoExn,
}

/// A heap type. `Rec` occurs only in descriptions given to [`TypeRegistry::register`]; registered types hold `Concrete`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum HeapType {
    /// An abstract one.
    Abstract(AbstractHeapType),
    /// A registered type.
    Concrete(TypeId),
    /// Type `.0` of the rec group being registered.
    Rec(u32),
}

/// A reference type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RefType {
    /// Whether null is a value of it.
    pub nullable: bool,
    /// What it refers to.
    pub heap: HeapType,
}

/// A value type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum ValType {
    I32,
    I64,
    F32,
    F64,
    V128,
    Ref(RefType),
}

/// A storage type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StorageType {
    /// Packed 8 bits.
    I8,
    /// Packed 16 bits.
    I16,
    /// A value.
    Val(ValType),
}

/// A field of a struct, or an array's element.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FieldType {
    /// What it stores.
    pub storage: StorageType,
    /// Whether it can be set.
    pub mutable: bool,
}

/// A function type.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct FuncType {
    /// Parameters.
    pub params: Box<[ValType]>,
    /// Results.
    pub results: Box<[ValType]>,
}

/// A composite type.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum CompositeType {
    /// `(func …)`
    Func(FuncType),
    /// `(struct …)`
    Struct(Box<[FieldType]>),
    /// `(array …)`
    Array(FieldType),
    /// The objects behind exception references: a hidden type for each list of payload types. No wasm type definition
    /// makes it; it has no supertype but `exn` and no subtypes. Made by [`SubType::exception`].
    Exception(Box<[ValType]>),
}

/// A type definition.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SubType {
    /// Whether it can have no subtypes.
    pub is_final: bool,
    /// Its declared supertype: `Concrete` or `Rec`.
    pub supertype: Option<HeapType>,
    /// Its shape.
    pub composite: CompositeType,
}

impl SubType {
    /// The type of the exceptions that hold a payload of these types.
    pub fn exception(payload: &[ValType]) -> SubType {
        SubType { is_final: true, supertype: None, composite: CompositeType::Exception(payload.into()) }
    }
}

/// Number of ancestors (itself included) that a [`TypeRow`] can name.
pub const DISPLAY_DEPTH: usize = 63;

/// What generated code reads of a canonical type: 256 bytes, at `rows_base + 256 * id`; all zero for a free id.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TypeRow {
    /// `KIND_*` in bits 0..8, depth of the type in its supertype chain in bits 8..16 (0 = no supertype).
    pub kind_depth: u32,
    /// `display[d]` is the id of the ancestor at depth d, itself at its own depth, 0 beyond.
    pub display: [u32; DISPLAY_DEPTH],
}

/// [`TypeRow::kind_depth`] kind: a function type.
pub const KIND_FUNC: u32 = 1;
/// A struct type.
pub const KIND_STRUCT: u32 = 2;
/// An array type.
pub const KIND_ARRAY: u32 = 3;
/// The type of boxes that hold a host's externref: a subtype of `any` and `extern` only, not of `eq`.
pub const KIND_HOST: u32 = 4;
/// The type of exceptions: a subtype of `exn` only.
pub const KIND_EXCEPTION: u32 = 5;
/// log2 of the size of a [`TypeRow`].
pub const ROW_SHIFT: u32 = 8;
