//! Fused operations: what the translator makes of an operation and the one before it, to save a dispatch. No instruction of the
//! specification stands for them alone; each does exactly what the two do.
//!
//! A constant operand becomes an immediate (`…K`), a comparison whose result only decides a branch becomes the branch.

use super::code::{Code, Op};

impl Code {
    /// The form whose second operand is the constant `value`, with the immediate.
    pub(crate) fn with_immediate(self, value: u64) -> Option<(Code, u32)> {
        let code = match self {
            Code::I64Add => {
                let narrow = i32::try_from(value as i64).ok()?;
                return Some((Code::I64AddK, narrow as u32));
            }
            Code::I64Sub => {
                let narrow = i32::try_from((value as i64).checked_neg()?).ok()?;
                return Some((Code::I64AddK, narrow as u32));
            }
            Code::I32Sub => return Some((Code::I32AddK, (value as u32).wrapping_neg())),
            Code::I32Add => Code::I32AddK,
            Code::I32Mul => Code::I32MulK,
            Code::I32And => Code::I32AndK,
            Code::I32Or => Code::I32OrK,
            Code::I32Xor => Code::I32XorK,
            Code::I32Shl => Code::I32ShlK,
            Code::I32ShrS => Code::I32ShrSK,
            Code::I32ShrU => Code::I32ShrUK,
            Code::I32Rotl => Code::I32RotlK,
            Code::I32Eq => Code::I32EqK,
            Code::I32Ne => Code::I32NeK,
            Code::I32LtS => Code::I32LtSK,
            Code::I32LtU => Code::I32LtUK,
            Code::I32GtS => Code::I32GtSK,
            Code::I32GtU => Code::I32GtUK,
            Code::I32LeS => Code::I32LeSK,
            Code::I32LeU => Code::I32LeUK,
            Code::I32GeS => Code::I32GeSK,
            Code::I32GeU => Code::I32GeUK,
            _ => return None,
        };
        Some((code, value as u32))
    }

    /// The form of a store whose value is a constant of 32 bits, in `d`.
    pub(crate) fn store_of_constant(self) -> Option<Code> {
        Some(match self {
            Code::I32Store | Code::F32Store | Code::I64Store32 => Code::I32StoreK,
            Code::I32Store8 | Code::I64Store8 => Code::I32Store8K,
            Code::I32Store16 | Code::I64Store16 => Code::I32Store16K,
            _ => return None,
        })
    }

    /// Whether it is a form with an immediate that sets slot `d`.
    pub(crate) fn is_immediate(self) -> bool {
        matches!(
            self,
            Code::I32EqK
                | Code::I32NeK
                | Code::I32LtSK
                | Code::I32LtUK
                | Code::I32GtSK
                | Code::I32GtUK
                | Code::I32LeSK
                | Code::I32LeUK
                | Code::I32GeSK
                | Code::I32GeUK
                | Code::I32AddK
                | Code::I32MulK
                | Code::I32AndK
                | Code::I32OrK
                | Code::I32XorK
                | Code::I32ShlK
                | Code::I32ShrSK
                | Code::I32ShrUK
                | Code::I32RotlK
                | Code::I64AddK
        )
    }

    /// The branch that is taken where this comparison holds; its target is in `d`.
    fn branch(self) -> Option<Code> {
        Some(match self {
            Code::I32Eq => Code::BrI32Eq,
            Code::I32Ne => Code::BrI32Ne,
            Code::I32LtS => Code::BrI32LtS,
            Code::I32LtU => Code::BrI32LtU,
            Code::I32GtS => Code::BrI32GtS,
            Code::I32GtU => Code::BrI32GtU,
            Code::I32LeS => Code::BrI32LeS,
            Code::I32LeU => Code::BrI32LeU,
            Code::I32GeS => Code::BrI32GeS,
            Code::I32GeU => Code::BrI32GeU,
            Code::I32EqK => Code::BrI32EqK,
            Code::I32NeK => Code::BrI32NeK,
            Code::I32LtSK => Code::BrI32LtSK,
            Code::I32LtUK => Code::BrI32LtUK,
            Code::I32GtSK => Code::BrI32GtSK,
            Code::I32GtUK => Code::BrI32GtUK,
            Code::I32LeSK => Code::BrI32LeSK,
            Code::I32LeUK => Code::BrI32LeUK,
            Code::I32GeSK => Code::BrI32GeSK,
            Code::I32GeUK => Code::BrI32GeUK,
            _ => return None,
        })
    }

    /// The conditional branch of the same operands that is taken where this one is not.
    pub(crate) fn inverse(self) -> Option<Code> {
        Some(match self {
            Code::BrIf => Code::BrIfNot,
            Code::BrIfNot => Code::BrIf,
            Code::BrOnNull => Code::BrOnNonNull,
            Code::BrOnNonNull => Code::BrOnNull,
            Code::BrOnCast => Code::BrOnCastFail,
            Code::BrOnCastFail => Code::BrOnCast,
            Code::BrI32Eq => Code::BrI32Ne,
            Code::BrI32Ne => Code::BrI32Eq,
            Code::BrI32LtS => Code::BrI32GeS,
            Code::BrI32LtU => Code::BrI32GeU,
            Code::BrI32GtS => Code::BrI32LeS,
            Code::BrI32GtU => Code::BrI32LeU,
            Code::BrI32LeS => Code::BrI32GtS,
            Code::BrI32LeU => Code::BrI32GtU,
            Code::BrI32GeS => Code::BrI32LtS,
            Code::BrI32GeU => Code::BrI32LtU,
            Code::BrI32EqK => Code::BrI32NeK,
            Code::BrI32NeK => Code::BrI32EqK,
            Code::BrI32LtSK => Code::BrI32GeSK,
            Code::BrI32LtUK => Code::BrI32GeUK,
            Code::BrI32GtSK => Code::BrI32LeSK,
            Code::BrI32GtUK => Code::BrI32LeUK,
            Code::BrI32LeSK => Code::BrI32GtSK,
            Code::BrI32LeUK => Code::BrI32GtUK,
            Code::BrI32GeSK => Code::BrI32LtSK,
            Code::BrI32GeUK => Code::BrI32LtUK,
            _ => return None,
        })
    }

    /// Whether it is a fused branch.
    fn targets_d(self) -> bool {
        matches!(
            self,
            Code::BrI32Eq
                | Code::BrI32EqK
                | Code::BrI32Ne
                | Code::BrI32NeK
                | Code::BrI32LtS
                | Code::BrI32LtSK
                | Code::BrI32LtU
                | Code::BrI32LtUK
                | Code::BrI32GtS
                | Code::BrI32GtSK
                | Code::BrI32GtU
                | Code::BrI32GtUK
                | Code::BrI32LeS
                | Code::BrI32LeSK
                | Code::BrI32LeU
                | Code::BrI32LeUK
                | Code::BrI32GeS
                | Code::BrI32GeSK
                | Code::BrI32GeU
                | Code::BrI32GeUK
        )
    }
}

impl Op {
    /// The branch on the result of this operation, taken where it is not 0.
    pub(crate) fn fused_branch(self) -> Option<Op> {
        if self.code == Code::I32Eqz {
            return Some(Op::new(Code::BrIfNot, 0, self.a, 0));
        }
        Some(Op { code: self.code.branch()?, ..self })
    }

    /// Sets the target of a branch.
    pub(crate) fn set_target(&mut self, target: u32) {
        if self.code.targets_d() {
            self.d = target;
        } else {
            self.b = target;
        }
    }
}
