//! The internal code: a flat array of 16-byte operations over numbered 64-bit *slots* of a frame.
//!
//! A frame's slots are its parameters, its other locals, then its operand stack; since validation makes the height of
//! the operand stack a constant at each instruction, every operand has a fixed slot, and no operation
//! pushes or pops. i32 and f32 values are kept zero-extended, references as [`crate::runtime::value::Bits`].
//! Invariant (the translator's): each slot named by an operation is below [`Body::frame_size`], each branch target
//! inside the body, each module index inside its index space.

use super::cover::Stretch;
use crate::syntax::opcodes::{MemoryAccess, Numeric, opcode_tables};
use crate::syntax::types::RefType;

macro_rules! define_code {
    (numeric { $($nop:literal $numeric:ident $narity:literal,)* }
     access { $($aop:literal $access:ident $aarity:literal,)* }) => {
        /// What an operation does. Operand fields: `d` destination, `a` and `b` sources, unless said otherwise.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        pub(crate) enum Code {
            // Numeric: d := op(a, b).
            $($numeric,)*
            // Loads: d := memory m [a + offset b]; stores: memory m [a + offset b] := d.
            $($access,)*
            // Control. Branches: `b` is the target.
            Unreachable, Loop, Br, BrIf, BrIfNot, BrTable, Return, Return0, Return1,
            // d: first argument and result; b: function index, or type index with m = table, a = index or reference.
            Call, CallIndirect, CallRef, ReturnCall, ReturnCallIndirect, ReturnCallRef,
            BrOnNull, BrOnNonNull,
            // Fused (see `fused`). With K, b is an immediate. Branches on a comparison of a and b: `d` is the target.
            BrI32Eq, BrI32Ne, BrI32LtS, BrI32LtU, BrI32GtS, BrI32GtU, BrI32LeS, BrI32LeU, BrI32GeS, BrI32GeU,
            BrI32EqK, BrI32NeK, BrI32LtSK, BrI32LtUK, BrI32GtSK, BrI32GtUK, BrI32LeSK, BrI32LeUK, BrI32GeSK, BrI32GeUK,
            I32EqK, I32NeK, I32LtSK, I32LtUK, I32GtSK, I32GtUK, I32LeSK, I32LeUK, I32GeSK, I32GeUK,
            I32AddK, I32MulK, I32AndK, I32OrK, I32XorK, I32ShlK, I32ShrSK, I32ShrUK, I32RotlK, I64AddK,
            // Stores of the constant `d`.
            I32StoreK, I32Store8K, I32Store16K,
            // Throw: d first operand, a their slots, b tag. ThrowRef: a.
            Throw, ThrowRef,
            // d: index of the cast's type in `ref_types`.
            BrOnCast, BrOnCastFail,
            // b: a stretch of code that control enters here (see `cover`).
            Cover,
            // Moves. Const: value in a (low) and b (high). CopyRange: d.. := a.., b slots, d < a.
            Const, Copy, CopyRange,
            // d := if slot (d + 2) then a else b; the wide form for two-slot values at d, d + 2 with condition d + 4.
            Select, SelectWide,
            GlobalGet, GlobalSet, GlobalGetWide, GlobalSetWide,
            // Address d := a + (64-bit constant pool[b]), trapping on overflow.
            OffsetAddress,
            // Memory m; bulk operands in a, a + 1, a + 2; b = data segment or source memory.
            MemorySize, MemoryGrow, MemoryInit, DataDrop, MemoryCopy, MemoryFill,
            // Table b. TableSet: table b [a] := d. Bulk: operands from a on; d = element segment or source table.
            TableGet, TableSet, TableSize, TableGrow, TableFill, TableCopy, TableInit, ElemDrop,
            // Vectors, `vector`; m = number of the instruction. Vector: d := m(a, b), of three operands from a on.
            // Lane: b = scalar; shuffle: d := (a, a + 2), lanes in pool[b]; access: address a, the rest in pool[b], d result or stored.
            Vector, VectorLane, VectorShuffle, VectorLoad, VectorStore,
            // References. b = function index, or index in `ref_types`.
            RefFunc, RefIsNull, RefEq, RefAsNonNull, RefTest, RefCast, RefI31, I31GetS, I31GetU,
            // Structs: d result (or stored value of set), a object, b slot of the field; new: operands from d on, b = type.
            StructNew, StructNewDefault, StructGet, StructGetS8, StructGetS16, StructSet, StructSet8, StructSet16,
            StructGetWide, StructSetWide,
            // Arrays: d result, a object, b index (get, set: d value). Others: operands from a on, b = type, m/d = segment.
            ArrayNew, ArrayNewDefault, ArrayNewFixed, ArrayNewData, ArrayNewElem,
            ArrayGet, ArrayGetS8, ArrayGetS16, ArraySet, ArrayGetWide, ArraySetWide, ArrayLen, ArrayFill, ArrayCopy, ArrayInitData, ArrayInitElem,
        }

        impl From<Numeric> for Code {
            fn from(numeric: Numeric) -> Code {
                match numeric { $(Numeric::$numeric => Code::$numeric,)* }
            }
        }

        impl From<MemoryAccess> for Code {
            fn from(access: MemoryAccess) -> Code {
                match access { $(MemoryAccess::$access => Code::$access,)* }
            }
        }

        impl Code {
            /// Whether its only effect on the frame is to set its result at `d`, so that `d` may be renamed.
            pub(crate) fn sets_only_d(self) -> bool {
                match self {
                    $(Code::$numeric => true,)*
                    $(Code::$access => $aarity == 1,)*
                    code if code.is_immediate() => true,
                    Code::Const | Code::Copy | Code::GlobalGet | Code::MemorySize | Code::MemoryGrow
                    | Code::TableGet | Code::TableSize | Code::RefFunc | Code::RefIsNull | Code::RefEq
                    | Code::RefAsNonNull | Code::RefTest | Code::RefCast | Code::RefI31 | Code::I31GetS
                    | Code::I31GetU | Code::StructGet | Code::StructGetS8 | Code::StructGetS16 | Code::ArrayGet
                    | Code::ArrayGetS8 | Code::ArrayGetS16 | Code::ArrayLen | Code::GlobalGetWide | Code::StructGetWide
                    | Code::ArrayGetWide | Code::Vector | Code::VectorLane | Code::VectorShuffle | Code::VectorLoad => true,
                    _ => false,
                }
            }
        }
    };
}
opcode_tables!(define_code);

/// One operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Op {
    pub(crate) code: Code,
    pub(crate) m: u16,
    pub(crate) d: u32,
    pub(crate) a: u32,
    pub(crate) b: u32,
}

impl Op {
    pub(crate) fn new(code: Code, d: u32, a: u32, b: u32) -> Op {
        Op { code, m: 0, d, a, b }
    }
}

/// What happens to an exception that a handler catches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clause {
    /// The module's index of the only tag that is caught; `None` catches all, without values.
    pub(crate) tag: Option<u32>,
    /// The operation to go on with.
    pub(crate) target: u32,
    /// Slot of the first value.
    pub(crate) values: u32,
    /// Slot of the exception itself, where that is wanted.
    pub(crate) exnref: Option<u32>,
}

/// An exception handler of a body.
#[derive(Clone, Debug)]
pub(crate) struct Handler {
    /// In the order in which they are tried.
    pub(crate) clauses: Vec<Clause>,
    /// The handler to go to where no clause fits; none if beyond the table. Always of a smaller index.
    pub(crate) outer: u32,
}

/// A function body or constant expression in internal code.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) ops: Vec<Op>,
    /// Branch tables' targets, wide constants.
    pub(crate) pool: Vec<u32>,
    /// Types of tests and casts, with the module's type indices.
    pub(crate) ref_types: Vec<RefType>,
    /// Stretches of code, where it is asked which have been executed.
    pub(crate) stretches: Vec<Stretch>,
    /// Exception handlers.
    pub(crate) handlers: Vec<Handler>,
    /// Where the innermost handler in force changes: first operation and handler, by operation.
    pub(crate) regions: Vec<(u32, u32)>,
    /// Slots of the parameters.
    pub(crate) params: u32,
    /// Slots of parameters and other locals.
    pub(crate) locals: u32,
    /// Slots of the results.
    pub(crate) results: u32,
    /// All slots.
    pub(crate) frame_size: u32,
}
