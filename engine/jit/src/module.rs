//! What the runtime needs to know of a module besides its code: types, imports, exports, segments, constant expressions.

use std::sync::Arc;

use assay_gc::{RecGroup, RefType, TypeId, ValType};

/// A decoded and validated module, with canonical types.
#[derive(Debug, Default)]
pub struct ModuleInfo {
    /// Keeps the canonical types alive.
    pub rec_groups: Vec<RecGroup>,
    /// Canonical id of each type index.
    pub types: Vec<TypeId>,
    /// Imports in order.
    pub imports: Vec<Import>,
    /// Exports in order.
    pub exports: Vec<Export>,
    /// Canonical function type of each function, imported ones first.
    pub funcs: Vec<TypeId>,
    /// How many of `funcs` are imported.
    pub imported_funcs: u32,
    /// All tables, imported ones first.
    pub tables: Vec<TableType>,
    /// How many of `tables` are imported.
    pub imported_tables: u32,
    /// Initial element of each defined table (null when absent).
    pub table_inits: Vec<Option<ConstExpr>>,
    /// All memories, imported ones first.
    pub memories: Vec<MemoryType>,
    /// How many of `memories` are imported.
    pub imported_memories: u32,
    /// All globals, imported ones first.
    pub globals: Vec<GlobalType>,
    /// How many of `globals` are imported.
    pub imported_globals: u32,
    /// Initial value of each defined global.
    pub global_inits: Vec<ConstExpr>,
    /// Function types of tags, imported ones first.
    pub tags: Vec<TypeId>,
    /// Hidden type of the exceptions of each tag.
    pub exceptions: Vec<TypeId>,
    /// How many of `tags` are imported.
    pub imported_tags: u32,
    /// Data segments.
    pub data: Vec<DataSegment>,
    /// Element segments.
    pub elements: Vec<ElementSegment>,
    /// The start function.
    pub start: Option<u32>,
    /// Function names of the name section, by function index, for backtraces.
    pub func_names: Vec<(u32, String)>,
    /// Initialisation order: spec runs element segments, then data segments, then start.
    pub has_active_segments: bool,
}

/// An import.
#[derive(Clone, Debug)]
pub struct Import {
    /// Module name.
    pub module: String,
    /// Field name.
    pub name: String,
    /// Its type.
    pub ty: ExternType,
}

/// An export.
#[derive(Clone, Debug)]
pub struct Export {
    /// Name.
    pub name: String,
    /// Kind and index.
    pub item: ExportItem,
}

/// What an export names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each variant holds the index of its kind")]
pub enum ExportItem {
    Func(u32),
    Table(u32),
    Memory(u32),
    Global(u32),
    Tag(u32),
}

/// An external type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum ExternType {
    Func(TypeId),
    Table(TableType),
    Memory(MemoryType),
    Global(GlobalType),
    Tag(TypeId),
}

/// A table type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableType {
    /// Element type.
    pub element: RefType,
    /// Minimum.
    pub min: u64,
    /// Maximum.
    pub max: Option<u64>,
    /// i64-indexed.
    pub is_64: bool,
}

/// A memory type, in 64 KiB pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryType {
    /// Minimum.
    pub min: u64,
    /// Maximum.
    pub max: Option<u64>,
    /// i64-indexed.
    pub is_64: bool,
}

/// A global type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GlobalType {
    /// Content.
    pub content: ValType,
    /// Mutability.
    pub mutable: bool,
}

/// A data segment.
#[derive(Clone, Debug)]
pub struct DataSegment {
    /// Bytes.
    pub bytes: Arc<[u8]>,
    /// Memory and offset, when active.
    pub active: Option<(u32, ConstExpr)>,
}

/// An element segment.
#[derive(Clone, Debug)]
pub struct ElementSegment {
    /// Element type.
    pub ty: RefType,
    /// Its elements.
    pub items: Vec<ConstExpr>,
    /// Passive, active or declarative.
    pub mode: ElementMode,
}

/// An element segment's mode.
#[derive(Clone, Debug)]
pub enum ElementMode {
    /// Kept for `table.init` and `array.*_elem`.
    Passive,
    /// Copied into a table at instantiation.
    Active(u32, ConstExpr),
    /// Only declares functions; dropped at instantiation.
    Declarative,
}

/// A validated constant expression; evaluated by the runtime on a value stack.
#[derive(Clone, Debug, Default)]
pub struct ConstExpr(pub Vec<ConstOp>);

/// An instruction of a constant expression. Types are canonical.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum ConstOp {
    I32Const(i32),
    I64Const(i64),
    F32Const(u32),
    F64Const(u64),
    V128Const(u128),
    I32Add,
    I32Sub,
    I32Mul,
    I64Add,
    I64Sub,
    I64Mul,
    GlobalGet(u32),
    RefNull,
    RefFunc(u32),
    RefI31,
    StructNew(TypeId),
    StructNewDefault(TypeId),
    ArrayNew(TypeId),
    ArrayNewDefault(TypeId),
    ArrayNewFixed(TypeId, u32),
    /// `any.convert_extern`, `extern.convert_any`: nothing to do in this representation.
    Convert,
}
