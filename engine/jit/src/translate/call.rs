//! Calls. A func id is resolved to its entry in the store's table; the entry's canonical type is checked wherever the
//! id comes from memory.

use std::mem::offset_of;

use assay_gc::header::TYPE_ID_MASK;
use assay_gc::types::ROW_SHIFT;
use assay_gc::{FuncType, TypeId, TypeRow, ValType};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{self, AbiParam, ArgumentPurpose, FuncRef, InstBuilder, SigRef, Value};
use cranelift_codegen::isa::CallConv;

use super::{FuncTranslator, Region, Values, clif_type};
use crate::vmctx::{FuncEntry, ImportedFunc, VmCtx};
use crate::{Error, TrapCode};

/// The machine-level signature of wasm functions with these types.
pub(crate) fn wasm_signature(params: &[ValType], results: &[ValType]) -> ir::Signature {
    let mut sig = ir::Signature::new(CallConv::Tail);
    sig.params.push(AbiParam::special(I64, ArgumentPurpose::VMContext));
    sig.params.extend(params.iter().map(|ty| AbiParam::new(clif_type(ty))));
    sig.returns.extend(results.iter().map(|ty| AbiParam::new(clif_type(ty))));
    sig
}

/// Whom a call calls.
#[derive(Clone, Copy, Debug)]
enum Callee {
    Direct(FuncRef),
    Indirect(SigRef, Value),
}

impl FuncTranslator<'_> {
    fn signature(&mut self, id: TypeId, ty: &FuncType) -> SigRef {
        if let Some(sig) = self.wasm_sigs.get(&id) {
            return *sig;
        }
        let sig = self.b.import_signature(wasm_signature(&ty.params, &ty.results));
        self.wasm_sigs.insert(id, sig);
        sig
    }

    /// `call` and `return_call`.
    pub(super) fn call(&mut self, index: u32, tail: bool) -> Result<(), Error> {
        let id = self.m.funcs[index as usize];
        let ty = self.func_type(id)?;
        let sig = self.signature(id, ty);
        if index < self.m.imported_funcs {
            let imports = self.vmctx_field(offset_of!(VmCtx, imported_funcs));
            let at = index as i32 * size_of::<ImportedFunc>() as i32;
            let code = self.constant_field(I64, imports, at + offset_of!(ImportedFunc, code) as i32);
            let vmctx = self.constant_field(I64, imports, at + offset_of!(ImportedFunc, vmctx) as i32);
            return self.emit_call(Callee::Indirect(sig, code), vmctx, ty, tail);
        }
        let func = match self.func_refs.get(&index) {
            Some(func) => *func,
            None => {
                let defined = index - self.m.imported_funcs;
                let name = self.b.func.declare_imported_user_function(ir::UserExternalName::new(0, defined));
                let func = self.b.import_function(ir::ExtFuncData {
                    name: ir::ExternalName::user(name),
                    signature: sig,
                    colocated: true,
                    patchable: false,
                });
                self.func_refs.insert(index, func);
                func
            }
        };
        self.emit_call(Callee::Direct(func), self.vmctx, ty, tail)
    }

    /// `call_indirect` and `return_call_indirect`.
    pub(super) fn call_indirect(&mut self, type_index: u32, table: u32, tail: bool) -> Result<(), Error> {
        let id = self.type_id(type_index);
        let ty = self.func_type(id)?;
        let index = self.pop();
        let func_id = self.table_load(table, index);
        self.trap_if_zero(func_id, TrapCode::UninitializedElement);
        let entry = self.resolve_func(func_id);
        self.check_func_type(entry, id, TrapCode::IndirectCallTypeMismatch)?;
        self.call_entry(entry, id, ty, tail)
    }

    /// `call_ref` and `return_call_ref`.
    pub(super) fn call_ref(&mut self, type_index: u32, tail: bool) -> Result<(), Error> {
        let id = self.type_id(type_index);
        let ty = self.func_type(id)?;
        let func_id = self.pop();
        self.trap_if_zero(func_id, TrapCode::NullReference);
        let entry = self.resolve_func(func_id);
        self.check_func_type(entry, id, TrapCode::CorruptHeap)?;
        self.call_entry(entry, id, ty, tail)
    }

    /// Traps with `code` unless the type of the function at `entry` is `expected` or a subtype of it.
    fn check_func_type(&mut self, entry: Value, expected: TypeId, code: TrapCode) -> Result<(), Error> {
        let flags = self.flags(Region::Store);
        let actual = self.b.ins().load(I32, flags, entry, offset_of!(FuncEntry, type_id) as i32);
        let equal = self.compare_to(IntCC::Equal, actual, i64::from(expected.0));
        if self.def(expected)?.is_final {
            self.trap_if_zero(equal, code);
            return Ok(());
        }
        let (slow, good) = (self.b.create_block(), self.b.create_block());
        let before = self.mark();
        self.b.ins().brif(equal, good, &[], slow, &[]);
        self.enter(slow);
        let depth = self.type_depth(expected)?;
        let rows = self.type_rows();
        let masked = self.masked(actual, i64::from(TYPE_ID_MASK));
        let masked = self.b.ins().uextend(I64, masked);
        let offset = self.shifted(masked, ROW_SHIFT);
        let row = self.b.ins().iadd(rows, offset);
        let flags = self.flags(Region::TypeRow);
        let at = offset_of!(TypeRow, display) as i32 + 4 * depth as i32;
        let ancestor = self.b.ins().load(I32, flags, row, at);
        let equal = self.compare_to(IntCC::Equal, ancestor, i64::from(expected.0));
        self.trap_if_zero(equal, code);
        self.b.ins().jump(good, &[]);
        self.b.seal_block(good);
        self.join(good, before);
        Ok(())
    }

    /// Calls the function at `entry`, whose type has been checked.
    fn call_entry(&mut self, entry: Value, id: TypeId, ty: &FuncType, tail: bool) -> Result<(), Error> {
        let flags = self.flags(Region::Store);
        let code = self.b.ins().load(I64, flags, entry, offset_of!(FuncEntry, code) as i32);
        let vmctx = self.b.ins().load(I64, flags, entry, offset_of!(FuncEntry, vmctx) as i32);
        let sig = self.signature(id, ty);
        self.emit_call(Callee::Indirect(sig, code), vmctx, ty, tail)
    }

    /// Calls with the arguments on the stack and pushes the results; a tail call ends the block.
    fn emit_call(&mut self, callee: Callee, vmctx: Value, ty: &FuncType, tail: bool) -> Result<(), Error> {
        self.count_passed(ty.params.len() + ty.results.len())?;
        let mut args = Values::with_capacity(ty.params.len() + 1);
        args.push(vmctx);
        args.extend(self.pop_n(ty.params.len()));
        if tail {
            match callee {
                Callee::Direct(func) => self.b.ins().return_call(func, &args),
                Callee::Indirect(sig, code) => self.b.ins().return_call_indirect(sig, code, &args),
            };
            self.die();
            return Ok(());
        }
        if let Some(handler) = self.active_handler() {
            self.emit_try_call(handler, callee, &args, ty);
            return Ok(());
        }
        self.forget_references();
        let call = match callee {
            Callee::Direct(func) => self.b.ins().call(func, &args),
            Callee::Indirect(sig, code) => self.b.ins().call_indirect(sig, code, &args),
        };
        let results: Values = self.b.inst_results(call).into();
        for (value, ty) in results.into_iter().zip(&ty.results) {
            self.push_typed(value, ty);
        }
        Ok(())
    }

    /// Calls where `handler` is active: the call ends its block, and the results are parameters of the next.
    fn emit_try_call(&mut self, handler: usize, callee: Callee, args: &[Value], ty: &FuncType) {
        let sig = match callee {
            Callee::Direct(func) => self.b.func.dfg.ext_funcs[func].signature,
            Callee::Indirect(sig, _) => sig,
        };
        let normal = self.block_of(&ty.results);
        let table = self.exception_table(handler, sig, normal, ty.results.len());
        match callee {
            Callee::Direct(func) => self.b.ins().try_call(func, args, table),
            Callee::Indirect(_, code) => self.b.ins().try_call_indirect(code, args, table),
        };
        self.forget_references();
        self.enter(normal);
        self.stack.extend_from_slice(self.b.block_params(normal));
    }
}
