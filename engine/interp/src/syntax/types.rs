//! Types (spec: Structure / Types). The same definitions serve three places: a module's type section,
//! where a concrete heap type is a [`TypeIndex`]; a canonical rec group, where it is a position in the
//! same group or another canonical type; and the store, where it is always a canonical [`TypeId`].

/// Index of a type in a module's type section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeIndex(pub u32);

/// A canonical defined type of one store. Equal types of any module have the same id in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub(crate) u32);

impl TypeId {
    /// A dense number, unique in the store.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Heap types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeapType {
    /// Common supertype of all functions.
    Func,
    /// Bottom of functions.
    NoFunc,
    /// Top of external references.
    Extern,
    /// Bottom of external references.
    NoExtern,
    /// Top of exceptions.
    Exn,
    /// Bottom of exceptions.
    NoExn,
    /// Top of internal references.
    Any,
    /// Internal references that can be compared.
    Eq,
    /// Unboxed scalars.
    I31,
    /// All structs.
    Struct,
    /// All arrays.
    Array,
    /// Bottom of internal references.
    None,
    /// A type of the module (only in modules).
    Index(TypeIndex),
    /// A type of the same rec group, by position (only in canonical rec groups).
    Rec(u32),
    /// A canonical type of the store.
    Canon(TypeId),
}

/// Reference types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RefType {
    /// Whether null is a value of the type.
    pub nullable: bool,
    /// What it refers to.
    pub heap: HeapType,
}

impl RefType {
    /// `(ref null heap)`.
    pub const fn nullable(heap: HeapType) -> RefType {
        RefType { nullable: true, heap }
    }

    /// `(ref heap)`.
    pub const fn non_null(heap: HeapType) -> RefType {
        RefType { nullable: false, heap }
    }
}

/// Value types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 128-bit vector.
    V128,
    /// Reference.
    Ref(RefType),
}

impl ValType {
    /// How many 64-bit stack slots a value takes.
    pub(crate) fn slots(self) -> u32 {
        if self == ValType::V128 { 2 } else { 1 }
    }
}

/// Storage types of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StorageType {
    /// Packed 8-bit integer.
    I8,
    /// Packed 16-bit integer.
    I16,
    /// A value.
    Val(ValType),
}

impl StorageType {
    /// Bytes that the documented size formula counts for it (references 4).
    pub fn size(self) -> u64 {
        match self {
            StorageType::I8 => 1,
            StorageType::I16 => 2,
            StorageType::Val(ValType::I32 | ValType::F32 | ValType::Ref(_)) => 4,
            StorageType::Val(ValType::I64 | ValType::F64) => 8,
            StorageType::Val(ValType::V128) => 16,
        }
    }

    /// Where a field that follows `start` bytes of its object ends by that formula: it is aligned to its size, to 8 bytes
    /// at most.
    pub(crate) fn end(self, start: u64) -> u64 {
        start.next_multiple_of(self.size().min(8)) + self.size()
    }

    /// The value type that an access yields.
    pub fn unpack(self) -> ValType {
        match self {
            StorageType::I8 | StorageType::I16 => ValType::I32,
            StorageType::Val(ty) => ty,
        }
    }
}

/// Field types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FieldType {
    /// What is stored.
    pub storage: StorageType,
    /// Whether it may be written.
    pub mutable: bool,
}

/// Function types.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FuncType {
    /// Parameter types.
    pub params: Vec<ValType>,
    /// Result types.
    pub results: Vec<ValType>,
}

impl FuncType {
    /// A function type.
    pub fn new(params: impl Into<Vec<ValType>>, results: impl Into<Vec<ValType>>) -> FuncType {
        FuncType { params: params.into(), results: results.into() }
    }
}

/// Composite types.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CompositeType {
    /// A function type.
    Func(FuncType),
    /// A struct type: its fields.
    Struct(Vec<FieldType>),
    /// An array type: its element.
    Array(FieldType),
}

/// Sub types: a composite type with its place in the declared hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SubType {
    /// Whether it can have subtypes.
    pub is_final: bool,
    /// Its declared supertype (always a concrete heap type).
    pub supertype: Option<HeapType>,
    /// Its structure.
    pub composite: CompositeType,
}

impl SubType {
    /// The slot of each field of a struct that has vectors among its fields, of which each takes two; empty for any other
    /// type, where a field's slot is its index.
    pub(crate) fn field_slots(&self) -> Box<[u32]> {
        let CompositeType::Struct(fields) = &self.composite else { return Box::default() };
        if !fields.iter().any(|field| field.storage == StorageType::Val(ValType::V128)) {
            return Box::default();
        }
        let mut next = 0;
        let slot = |field: &FieldType| {
            let slot = next;
            next += field.storage.unpack().slots();
            slot
        };
        fields.iter().map(slot).collect()
    }
}

/// A group of mutually recursive types.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecGroup {
    /// The members, in order.
    pub types: Vec<SubType>,
}

/// Type of the addresses of a memory or table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddrType {
    /// 32-bit addresses.
    I32,
    /// 64-bit addresses.
    I64,
}

impl AddrType {
    /// The value type of an address.
    pub fn val_type(self) -> ValType {
        match self {
            AddrType::I32 => ValType::I32,
            AddrType::I64 => ValType::I64,
        }
    }
}

/// Limits of a memory (in pages) or of a table (in elements).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Initial size.
    pub min: u64,
    /// Largest size.
    pub max: Option<u64>,
}

/// Memory types; sizes in pages of 64 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemoryType {
    /// Type of addresses.
    pub addr: AddrType,
    /// Sizes.
    pub limits: Limits,
}

/// Table types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableType {
    /// Type of indices.
    pub addr: AddrType,
    /// Sizes.
    pub limits: Limits,
    /// Type of the elements.
    pub element: RefType,
}

/// Global types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GlobalType {
    /// Whether it may be written.
    pub mutable: bool,
    /// Type of the value.
    pub value: ValType,
}

/// Types of imports and exports. A module's use module type indices inside; a store's use canonical types.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ExternType {
    /// A function.
    Func(FuncType),
    /// A table.
    Table(TableType),
    /// A memory.
    Memory(MemoryType),
    /// A global.
    Global(GlobalType),
    /// A tag, with the function type of its payload.
    Tag(FuncType),
}

/// Replaces each concrete heap type in a type by what `f` gives for it.
pub(crate) trait MapHeapTypes {
    fn map_heap_types(&self, f: &mut dyn FnMut(HeapType) -> HeapType) -> Self;
}

impl MapHeapTypes for RefType {
    fn map_heap_types(&self, f: &mut dyn FnMut(HeapType) -> HeapType) -> Self {
        RefType { nullable: self.nullable, heap: f(self.heap) }
    }
}

impl MapHeapTypes for ValType {
    fn map_heap_types(&self, f: &mut dyn FnMut(HeapType) -> HeapType) -> Self {
        match self {
            ValType::Ref(ty) => ValType::Ref(ty.map_heap_types(f)),
            other => *other,
        }
    }
}

impl MapHeapTypes for FieldType {
    fn map_heap_types(&self, f: &mut dyn FnMut(HeapType) -> HeapType) -> Self {
        let storage = match self.storage {
            StorageType::Val(ty) => StorageType::Val(ty.map_heap_types(f)),
            packed => packed,
        };
        FieldType { storage, mutable: self.mutable }
    }
}

impl MapHeapTypes for FuncType {
    fn map_heap_types(&self, f: &mut dyn FnMut(HeapType) -> HeapType) -> Self {
        FuncType {
            params: self.params.iter().map(|ty| ty.map_heap_types(f)).collect(),
            results: self.results.iter().map(|ty| ty.map_heap_types(f)).collect(),
        }
    }
}

impl MapHeapTypes for SubType {
    fn map_heap_types(&self, f: &mut dyn FnMut(HeapType) -> HeapType) -> Self {
        SubType {
            is_final: self.is_final,
            supertype: self.supertype.map(&mut *f),
            composite: match &self.composite {
                CompositeType::Func(ty) => CompositeType::Func(ty.map_heap_types(f)),
                CompositeType::Struct(fields) => {
                    CompositeType::Struct(fields.iter().map(|field| field.map_heap_types(f)).collect())
                }
                CompositeType::Array(field) => CompositeType::Array(field.map_heap_types(f)),
            },
        }
    }
}
