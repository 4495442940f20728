//! Bitwise operations on whole vectors (spec "vvunop", "vvbinop", "vvternop", "vvtestop").

use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::types::I8X16;
use wasmparser::Operator;

use crate::translate::FuncTranslator;

impl FuncTranslator<'_> {
    /// Translates `op` if it is of this family; false if not.
    pub(super) fn vector_bits(&mut self, op: &Operator<'_>) -> bool {
        use Operator as O;
        match op {
            O::V128Not => self.vector_unary(I8X16, |t, a| t.b.ins().bnot(a)),
            O::V128And => self.vector_binary(I8X16, |t, a, b| t.b.ins().band(a, b)),
            O::V128AndNot => self.vector_binary(I8X16, |t, a, b| t.b.ins().band_not(a, b)),
            O::V128Or => self.vector_binary(I8X16, |t, a, b| t.b.ins().bor(a, b)),
            O::V128Xor => self.vector_binary(I8X16, |t, a, b| t.b.ins().bxor(a, b)),
            O::V128Bitselect => self.vector_select(),
            O::V128AnyTrue => {
                let a = self.pop();
                let any = self.b.ins().vany_true(a);
                self.push_bool(any);
            }
            _ => return false,
        }
        true
    }
}
