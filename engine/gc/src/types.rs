//! Canonical types: rec groups are registered once per engine and get ids that headers, code and checks use.
//!
//! Two rec groups that are equal up to their own indices (iso-recursive equality, spec "Type Equivalence") get the
//! same ids. Groups are counted: when the last [`RecGroup`] handle drops, the ids are free again. A handle keeps the
//! groups that it refers to alive.

use std::sync::Arc;

use crate::Error;

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
/// log2 of the size of a [`TypeRow`].
pub const ROW_SHIFT: u32 = 8;

/// Keeps a registered rec group alive; cheap to clone.
#[derive(Clone, Debug)]
pub struct RecGroup {
    ids: Arc<[TypeId]>, // replaced by the implementation
}

impl RecGroup {
    /// The ids of the group's types, in order.
    pub fn ids(&self) -> &[TypeId] {
        &self.ids
    }
}

/// The engine-wide table of canonical types. Thread-safe; the rows' address never changes.
#[derive(Debug)]
pub struct TypeRegistry {}

impl TypeRegistry {
    /// Reserves the rows.
    ///
    /// # Errors
    /// `Reservation` when address space is out.
    pub fn new() -> Result<Arc<TypeRegistry>, Error> {
        unimplemented!()
    }
    /// Registers a rec group (or finds the equal one). `Rec(i)` in `types` means `types[i]`.
    ///
    /// # Errors
    /// `TypeLimit`, `BadType`.
    pub fn register(self: &Arc<Self>, types: &[SubType]) -> Result<RecGroup, Error> {
        let _ = types;
        unimplemented!()
    }
    /// The definition of a live type, with `Concrete` references only; `None` for a free id.
    pub fn get(&self, id: TypeId) -> Option<Arc<SubType>> {
        let _ = id;
        unimplemented!()
    }
    /// The live group that `id` belongs to and its index in it.
    pub fn group_of(&self, id: TypeId) -> Option<(RecGroup, u32)> {
        let _ = id;
        unimplemented!()
    }
    /// The layout of a live struct or array type (computed once).
    pub fn layout(&self, id: TypeId) -> Option<Arc<crate::layout::Layout>> {
        let _ = id;
        unimplemented!()
    }
    /// Whether `sub` is `sup` or declares it as an ancestor (constant time).
    pub fn is_subtype(&self, sub: TypeId, sup: TypeId) -> bool {
        let _ = (sub, sup);
        unimplemented!()
    }
    /// Full matching of value types (spec "Value Types" matching) over canonical types.
    pub fn matches(&self, sub: &ValType, sup: &ValType) -> bool {
        let _ = (sub, sup);
        unimplemented!()
    }
    /// Full matching of heap types.
    pub fn heap_matches(&self, sub: HeapType, sup: HeapType) -> bool {
        let _ = (sub, sup);
        unimplemented!()
    }
    /// The id of host boxes (`KIND_HOST`); registered at creation.
    pub fn host_type(&self) -> TypeId {
        unimplemented!()
    }
    /// Address of row 0.
    pub fn rows_base(&self) -> *const TypeRow {
        unimplemented!()
    }
    /// How many types are live (for leak tests).
    pub fn live_types(&self) -> usize {
        unimplemented!()
    }
}
