//! `ref.i31` and `i31.get_s/u`: an i31 is its value shifted left by one with the low bit set, so no object is involved.

use cranelift_codegen::ir::InstBuilder;

use crate::translate::FuncTranslator;
use crate::{Error, TrapCode};

impl FuncTranslator<'_> {
    /// `ref.i31`: the upper bit of the operand is lost by the shift. The result is a traced reference like any other: it
    /// may meet objects in one block parameter, and collectors skip tagged words.
    pub(super) fn ref_i31(&mut self) -> Result<(), Error> {
        let value = self.pop();
        let shifted = self.shifted(value, 1);
        let tag = self.iconst32(1);
        let tagged = self.b.ins().bor(shifted, tag);
        self.push_ref(tagged);
        Ok(())
    }

    /// `i31.get_s`.
    pub(super) fn i31_get_s(&mut self) -> Result<(), Error> {
        let i31 = self.pop();
        self.trap_if_zero(i31, TrapCode::NullReference);
        let value = self.b.ins().sshr_imm_u(i31, 1);
        self.push(value);
        Ok(())
    }

    /// `i31.get_u`.
    pub(super) fn i31_get_u(&mut self) -> Result<(), Error> {
        let i31 = self.pop();
        self.trap_if_zero(i31, TrapCode::NullReference);
        let value = self.b.ins().ushr_imm_u(i31, 1);
        self.push(value);
        Ok(())
    }
}
