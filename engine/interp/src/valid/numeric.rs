//! Signatures of the numeric instructions and of the scalar loads and stores (spec: Validation / Numeric Instructions, Memory
//! Instructions): the rule, the type of all operands, the type of the result. A pure table.

use super::Rule;
use crate::syntax::opcodes::{MemoryAccess, Numeric};
use crate::syntax::types::ValType;

/// Rule, operand type and result type.
pub(super) fn signature(numeric: Numeric) -> (Rule, ValType, ValType) {
    use Numeric::*;
    use Rule::{Binop, Cvtop, Relop, Testop, Unop};
    use ValType::{F32, F64, I32, I64};
    match numeric {
        I32Eqz => (Testop, I32, I32),
        I64Eqz => (Testop, I64, I32),
        I32Eq | I32Ne | I32LtS | I32LtU | I32GtS | I32GtU | I32LeS | I32LeU | I32GeS | I32GeU => {
            (Relop, I32, I32)
        }
        I64Eq | I64Ne | I64LtS | I64LtU | I64GtS | I64GtU | I64LeS | I64LeU | I64GeS | I64GeU => {
            (Relop, I64, I32)
        }
        F32Eq | F32Ne | F32Lt | F32Gt | F32Le | F32Ge => (Relop, F32, I32),
        F64Eq | F64Ne | F64Lt | F64Gt | F64Le | F64Ge => (Relop, F64, I32),
        I32Clz | I32Ctz | I32Popcnt | I32Extend8S | I32Extend16S => (Unop, I32, I32),
        I64Clz | I64Ctz | I64Popcnt | I64Extend8S | I64Extend16S | I64Extend32S => (Unop, I64, I64),
        F32Abs | F32Neg | F32Ceil | F32Floor | F32Trunc | F32Nearest | F32Sqrt => (Unop, F32, F32),
        F64Abs | F64Neg | F64Ceil | F64Floor | F64Trunc | F64Nearest | F64Sqrt => (Unop, F64, F64),
        I32Add | I32Sub | I32Mul | I32DivS | I32DivU | I32RemS | I32RemU | I32And | I32Or | I32Xor
        | I32Shl | I32ShrS | I32ShrU | I32Rotl | I32Rotr => (Binop, I32, I32),
        I64Add | I64Sub | I64Mul | I64DivS | I64DivU | I64RemS | I64RemU | I64And | I64Or | I64Xor
        | I64Shl | I64ShrS | I64ShrU | I64Rotl | I64Rotr => (Binop, I64, I64),
        F32Add | F32Sub | F32Mul | F32Div | F32Min | F32Max | F32Copysign => (Binop, F32, F32),
        F64Add | F64Sub | F64Mul | F64Div | F64Min | F64Max | F64Copysign => (Binop, F64, F64),
        I32WrapI64 => (Cvtop, I64, I32),
        I32TruncF32S | I32TruncF32U | I32TruncSatF32S | I32TruncSatF32U | I32ReinterpretF32 => {
            (Cvtop, F32, I32)
        }
        I32TruncF64S | I32TruncF64U | I32TruncSatF64S | I32TruncSatF64U => (Cvtop, F64, I32),
        I64ExtendI32S | I64ExtendI32U => (Cvtop, I32, I64),
        I64TruncF32S | I64TruncF32U | I64TruncSatF32S | I64TruncSatF32U => (Cvtop, F32, I64),
        I64TruncF64S | I64TruncF64U | I64TruncSatF64S | I64TruncSatF64U | I64ReinterpretF64 => {
            (Cvtop, F64, I64)
        }
        F32ConvertI32S | F32ConvertI32U | F32ReinterpretI32 => (Cvtop, I32, F32),
        F32ConvertI64S | F32ConvertI64U => (Cvtop, I64, F32),
        F32DemoteF64 => (Cvtop, F64, F32),
        F64ConvertI32S | F64ConvertI32U => (Cvtop, I32, F64),
        F64ConvertI64S | F64ConvertI64U | F64ReinterpretI64 => (Cvtop, I64, F64),
        F64PromoteF32 => (Cvtop, F32, F64),
    }
}

/// Value type and bytes accessed.
pub(super) fn access(access: MemoryAccess) -> (ValType, u32) {
    use MemoryAccess::*;
    use ValType::{F32, F64, I32, I64};
    match access {
        I32Load8S | I32Load8U | I32Store8 => (I32, 1),
        I32Load16S | I32Load16U | I32Store16 => (I32, 2),
        I32Load | I32Store => (I32, 4),
        I64Load8S | I64Load8U | I64Store8 => (I64, 1),
        I64Load16S | I64Load16U | I64Store16 => (I64, 2),
        I64Load32S | I64Load32U | I64Store32 => (I64, 4),
        I64Load | I64Store => (I64, 8),
        F32Load | F32Store => (F32, 4),
        F64Load | F64Store => (F64, 8),
    }
}
