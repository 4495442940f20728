//! Instructions (spec: Structure / Instructions) as the decoder yields them, one at a time: the
//! structured ones (`block … end`) are markers in a flat sequence, so nesting costs no recursion.

use super::opcodes::{MemoryAccess, Numeric};
use super::types::{HeapType, RefType, TypeIndex, ValType};
use super::vectors::{Vector, VectorAccess, VectorLane};

/// Type of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockType {
    /// Nothing in, nothing out.
    Empty,
    /// One result.
    Result(ValType),
    /// As a function type.
    Type(TypeIndex),
}

/// Memory index, offset and alignment (power of two) of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemArg {
    pub(crate) memory: u32,
    pub(crate) offset: u64,
    pub(crate) align: u32,
}

/// How a packed field is widened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extension {
    None,
    Signed,
    Unsigned,
}

/// One clause of a `try_table` (spec: Structure / Control Instructions, `catch`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CatchClause {
    /// Exceptions of this tag only; `None` catches all.
    pub(crate) tag: Option<u32>,
    /// Whether the exception itself is the label's last value.
    pub(crate) exnref: bool,
    /// Counted from outside of the `try_table`.
    pub(crate) label: u32,
}

/// One instruction. Indices are the module's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Instr {
    // Control.
    Unreachable,
    Nop,
    Block(BlockType),
    Loop(BlockType),
    If(BlockType),
    Else,
    End,
    Br(u32),
    BrIf(u32),
    BrTable { labels: Vec<u32>, default: u32 },
    Return,
    Call(u32),
    CallIndirect { ty: u32, table: u32 },
    CallRef(u32),
    ReturnCall(u32),
    ReturnCallIndirect { ty: u32, table: u32 },
    ReturnCallRef(u32),
    BrOnNull(u32),
    BrOnNonNull(u32),
    BrOnCast { label: u32, from: RefType, to: RefType, on_fail: bool },
    // Exceptions.
    Throw(u32),
    ThrowRef,
    TryTable { ty: BlockType, catches: Vec<CatchClause> },
    // Legacy exceptions: `Catch`, `CatchAll` and `Delegate` are markers, the last in the place of an `End`.
    Try(BlockType),
    Catch(u32),
    CatchAll,
    Rethrow(u32),
    Delegate(u32),
    // Parametric and variable.
    Drop,
    Select(Option<Vec<ValType>>),
    LocalGet(u32),
    LocalSet(u32),
    LocalTee(u32),
    GlobalGet(u32),
    GlobalSet(u32),
    // Numeric.
    I32Const(i32),
    I64Const(i64),
    F32Const(u32),
    F64Const(u64),
    Numeric(Numeric),
    // Memory.
    Access(MemoryAccess, MemArg),
    MemorySize(u32),
    MemoryGrow(u32),
    MemoryInit { data: u32, memory: u32 },
    DataDrop(u32),
    MemoryCopy { dst: u32, src: u32 },
    MemoryFill(u32),
    // Vector; constants in little-endian order. Lane indices are as decoded (their range is for validation), 0 where an
    // access has none.
    V128Const([u8; 16]),
    I8x16Shuffle([u8; 16]),
    Vector(Vector),
    VectorLane(VectorLane, u8),
    VectorAccess(VectorAccess, MemArg, u8),
    // Table.
    TableGet(u32),
    TableSet(u32),
    TableSize(u32),
    TableGrow(u32),
    TableFill(u32),
    TableCopy { dst: u32, src: u32 },
    TableInit { elem: u32, table: u32 },
    ElemDrop(u32),
    // Reference.
    RefNull(HeapType),
    RefIsNull,
    RefFunc(u32),
    RefEq,
    RefAsNonNull,
    RefTest(RefType),
    RefCast(RefType),
    RefI31,
    I31GetS,
    I31GetU,
    AnyConvertExtern,
    ExternConvertAny,
    // Aggregate.
    StructNew(u32),
    StructNewDefault(u32),
    StructGet { ty: u32, field: u32, extension: Extension },
    StructSet { ty: u32, field: u32 },
    ArrayNew(u32),
    ArrayNewDefault(u32),
    ArrayNewFixed { ty: u32, len: u32 },
    ArrayNewData { ty: u32, data: u32 },
    ArrayNewElem { ty: u32, elem: u32 },
    ArrayGet { ty: u32, extension: Extension },
    ArraySet(u32),
    ArrayLen,
    ArrayFill(u32),
    ArrayCopy { dst: u32, src: u32 },
    ArrayInitData { ty: u32, data: u32 },
    ArrayInitElem { ty: u32, elem: u32 },
}
