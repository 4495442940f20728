//! From operator to translation: one arm for each instruction outside of the numeric table, the GC proposal and SIMD.

use cranelift_codegen::ir::types::{F32, F64, I32, I64};
use cranelift_codegen::ir::{InstBuilder, Opcode};
use wasmparser::Operator;

use super::FuncTranslator;
use super::control::LabelOp;
use super::fuel::is_bulk;
use crate::convert::internal;
use crate::{Error, TrapCode};

impl FuncTranslator<'_> {
    /// Translates `op`. True when it was the function's last `end`.
    pub(super) fn translate(&mut self, op: &Operator<'_>) -> Result<bool, Error> {
        use Operator as O;
        // Nesting is followed in dead code, too.
        match op {
            O::Block { blockty } => return self.open(LabelOp::Block, *blockty).map(|()| false),
            O::Loop { blockty } => return self.open(LabelOp::Loop, *blockty).map(|()| false),
            O::If { blockty } => return self.open(LabelOp::If, *blockty).map(|()| false),
            O::Else => return self.open_else().map(|()| false),
            O::TryTable { try_table } => {
                return self.open(LabelOp::TryTable(try_table), try_table.ty).map(|()| false);
            }
            O::Try { blockty } => return self.open(LabelOp::Try, *blockty).map(|()| false),
            O::Catch { tag_index } => return self.open_catch(Some(*tag_index)).map(|()| false),
            O::CatchAll => return self.open_catch(None).map(|()| false),
            O::Delegate { relative_depth } => return self.delegate(*relative_depth).map(|()| false),
            O::End => return self.close(),
            _ if self.dead => return Ok(false),
            _ => {}
        }
        if self.translate_numeric(op) {
            return Ok(false);
        }
        if is_bulk(op) {
            self.bulk_point();
        }
        match op {
            O::Nop => {}
            O::Unreachable => {
                self.trap(TrapCode::Unreachable);
                self.die();
            }
            O::Br { relative_depth } => self.branch(*relative_depth)?,
            O::BrIf { relative_depth } => {
                let cond = self.pop();
                self.branch_if(cond, *relative_depth)?;
            }
            O::BrTable { targets } => self.branch_table(targets)?,
            O::BrOnNull { relative_depth } => self.br_on_null(*relative_depth)?,
            O::BrOnNonNull { relative_depth } => self.br_on_non_null(*relative_depth)?,
            O::Return => self.return_values(),
            O::Throw { tag_index } => self.throw(*tag_index)?,
            O::ThrowRef => self.throw_ref(),
            O::Rethrow { relative_depth } => self.rethrow(*relative_depth)?,
            O::Call { function_index } => self.call(*function_index, false)?,
            O::CallIndirect { type_index, table_index } => {
                self.call_indirect(*type_index, *table_index, false)?
            }
            O::CallRef { type_index } => self.call_ref(*type_index, false)?,
            O::ReturnCall { function_index } => self.call(*function_index, true)?,
            O::ReturnCallIndirect { type_index, table_index } => {
                self.call_indirect(*type_index, *table_index, true)?;
            }
            O::ReturnCallRef { type_index } => self.call_ref(*type_index, true)?,

            O::Drop => {
                self.pop();
            }
            O::Select => {
                let value = self.select();
                self.push(value); // untyped: numbers and vectors only
            }
            O::TypedSelect { ty } => {
                let ty = self.convert().value(*ty)?;
                let value = self.select();
                self.push_typed(value, &ty);
            }

            O::LocalGet { local_index } => self.local_get(*local_index)?,
            O::LocalSet { local_index } => {
                let value = self.pop();
                self.local_set(*local_index, value)?;
            }
            O::LocalTee { local_index } => {
                let value = self.peek();
                self.local_set(*local_index, value)?;
            }
            O::GlobalGet { global_index } => self.global_get(*global_index),
            O::GlobalSet { global_index } => self.global_set(*global_index),

            O::I32Load { memarg } => self.load(memarg, I32)?,
            O::I64Load { memarg } => self.load(memarg, I64)?,
            O::F32Load { memarg } => self.load(memarg, F32)?,
            O::F64Load { memarg } => self.load(memarg, F64)?,
            O::I32Load8S { memarg } => self.load_extend(memarg, I32, Opcode::Sload8)?,
            O::I32Load8U { memarg } => self.load_extend(memarg, I32, Opcode::Uload8)?,
            O::I32Load16S { memarg } => self.load_extend(memarg, I32, Opcode::Sload16)?,
            O::I32Load16U { memarg } => self.load_extend(memarg, I32, Opcode::Uload16)?,
            O::I64Load8S { memarg } => self.load_extend(memarg, I64, Opcode::Sload8)?,
            O::I64Load8U { memarg } => self.load_extend(memarg, I64, Opcode::Uload8)?,
            O::I64Load16S { memarg } => self.load_extend(memarg, I64, Opcode::Sload16)?,
            O::I64Load16U { memarg } => self.load_extend(memarg, I64, Opcode::Uload16)?,
            O::I64Load32S { memarg } => self.load_extend(memarg, I64, Opcode::Sload32)?,
            O::I64Load32U { memarg } => self.load_extend(memarg, I64, Opcode::Uload32)?,
            O::I32Store { memarg } | O::F32Store { memarg } | O::I64Store32 { memarg } => {
                self.store_value(memarg, 4)?;
            }
            O::I64Store { memarg } | O::F64Store { memarg } => self.store_value(memarg, 8)?,
            O::I32Store8 { memarg } | O::I64Store8 { memarg } => self.store_value(memarg, 1)?,
            O::I32Store16 { memarg } | O::I64Store16 { memarg } => self.store_value(memarg, 2)?,
            O::MemorySize { mem } => self.memory_size(*mem),
            O::MemoryGrow { mem } => self.memory_grow(*mem)?,
            O::MemoryCopy { dst_mem, src_mem } => self.memory_copy(*dst_mem, *src_mem),
            O::MemoryFill { mem } => self.memory_fill(*mem),
            O::MemoryInit { data_index, mem } => self.memory_init(*data_index, *mem),
            O::DataDrop { data_index } => self.data_drop(*data_index),

            O::TableGet { table } => self.table_get(*table),
            O::TableSet { table } => self.table_set(*table),
            O::TableSize { table } => self.table_size(*table),
            O::TableGrow { table } => self.table_grow(*table)?,
            O::TableFill { table } => self.table_fill(*table),
            O::TableCopy { dst_table, src_table } => self.table_copy(*dst_table, *src_table),
            O::TableInit { elem_index, table } => self.table_init(*elem_index, *table),
            O::ElemDrop { elem_index } => self.elem_drop(*elem_index),

            O::RefNull { .. } => self.ref_null(),
            O::RefIsNull => self.ref_is_null(),
            O::RefFunc { function_index } => self.ref_func(*function_index),
            O::RefAsNonNull => self.ref_as_non_null(),
            O::RefEq => self.ref_eq(),

            O::StructNew { .. }
            | O::StructNewDefault { .. }
            | O::StructGet { .. }
            | O::StructGetS { .. }
            | O::StructGetU { .. }
            | O::StructSet { .. }
            | O::ArrayNew { .. }
            | O::ArrayNewDefault { .. }
            | O::ArrayNewFixed { .. }
            | O::ArrayNewData { .. }
            | O::ArrayNewElem { .. }
            | O::ArrayGet { .. }
            | O::ArrayGetS { .. }
            | O::ArrayGetU { .. }
            | O::ArraySet { .. }
            | O::ArrayLen
            | O::ArrayFill { .. }
            | O::ArrayCopy { .. }
            | O::ArrayInitData { .. }
            | O::ArrayInitElem { .. }
            | O::RefTestNonNull { .. }
            | O::RefTestNullable { .. }
            | O::RefCastNonNull { .. }
            | O::RefCastNullable { .. }
            | O::BrOnCast { .. }
            | O::BrOnCastFail { .. }
            | O::AnyConvertExtern
            | O::ExternConvertAny
            | O::RefI31
            | O::I31GetS
            | O::I31GetU => self.translate_gc(op)?,
            _ if self.translate_simd(op)? => {}
            _ => return Err(internal(&format!("an instruction of a feature that is off: {op:?}"))),
        }
        Ok(false)
    }

    fn select(&mut self) -> cranelift_codegen::ir::Value {
        let cond = self.pop();
        let b = self.pop();
        let a = self.pop();
        self.b.ins().select(cond, a, b)
    }
}
