//! The two bridges between host and wasm, one pair per signature: entry (SystemV → Tail, catches traps) and host thunk
//! (Tail → `Builtin::HostCall`).

use std::mem::offset_of;

use assay_gc::{FuncType, ValType};
use cranelift_codegen::ir::types::{F32, F64, I8, I8X16, I32, I64};
use cranelift_codegen::ir::{
    self, AbiParam, ArgumentPurpose, BlockArg, BlockCall, ExceptionTableData, ExceptionTableItem,
    GlobalValueData, InstBuilder, MemFlagsData, StackSlotData, StackSlotKind, Type, Value,
};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

use crate::builtins::Builtin;
use crate::convert::internal;
use crate::link::{CodeMemory, Linked, Linker};
use crate::translate::builtin_signature;
use crate::vmctx::{StoreCtx, VmCtx};
use crate::{CodeMap, Compiler, Error};

/// A machine-level value class; every reference is `I32`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum AbiType {
    I32,
    I64,
    F32,
    F64,
    V128,
}

/// A machine-level signature: the cache key of trampolines.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct AbiSignature {
    /// Parameters, without the vmctx.
    pub params: Box<[AbiType]>,
    /// Results.
    pub results: Box<[AbiType]>,
}

impl AbiSignature {
    /// The signature of a function type.
    pub fn of(ty: &FuncType) -> AbiSignature {
        let class = |ty: &ValType| match ty {
            ValType::I32 | ValType::Ref(_) => AbiType::I32,
            ValType::I64 => AbiType::I64,
            ValType::F32 => AbiType::F32,
            ValType::F64 => AbiType::F64,
            ValType::V128 => AbiType::V128,
        };
        let classes = |types: &[ValType]| types.iter().map(class).collect();
        AbiSignature { params: classes(&ty.params), results: classes(&ty.results) }
    }
}

/// Code of both trampolines of a signature; frees it when dropped.
#[derive(Debug)]
pub struct Trampolines {
    /// `extern "C" fn(vmctx: *mut VmCtx, code: *const u8, values: *mut u128) -> u8`: loads the arguments from `values[i]`,
    /// stores FP, SP and the landing pad into `vmctx.store.entry_*`, calls `code(vmctx, args…)`, stores the results
    /// into `values[i]` and returns 1; 0 when it was left by a trap. `values` has room for max(params, results).
    pub entry: usize,
    /// A function of the signature in `CallConv::Tail` that spills its arguments into a `[u128]` on its stack, calls
    /// `Builtin::HostCall(vmctx, values)` and returns the results found there.
    pub host_thunk: usize,
    /// Tables of both (no stack maps, no traps besides stack overflow).
    pub map: CodeMap,
    #[expect(dead_code, reason = "held to be freed")]
    memory: CodeMemory,
}

impl Compiler {
    /// Compiles the trampolines of `signature`.
    ///
    /// # Errors
    /// `Internal`.
    pub fn trampolines(&self, signature: &AbiSignature) -> Result<Trampolines, Error> {
        let mut linker = Linker::new(self.isa.clone());
        let mut context = FunctionBuilderContext::new();
        for (index, build) in [build_entry, build_host_thunk].into_iter().enumerate() {
            let mut b = FunctionBuilder::new(&mut linker.context.func, &mut context);
            build(&mut b, signature);
            b.finalize(self.isa.frontend_config());
            linker.compile(&*self.isa, index as u32)?;
        }
        let Linked { map, entries, memory } = linker.finish()?;
        let [entry, host_thunk] = entries[..] else { return Err(internal("trampolines are missing")) };
        Ok(Trampolines { entry, host_thunk, map, memory })
    }
}

fn clif_types(types: &[AbiType]) -> impl Iterator<Item = Type> + '_ {
    types.iter().map(|ty| match ty {
        AbiType::I32 => I32,
        AbiType::I64 => I64,
        AbiType::F32 => F32,
        AbiType::F64 => F64,
        AbiType::V128 => I8X16,
    })
}

/// The signature of wasm functions of this class.
fn tail_signature(signature: &AbiSignature) -> ir::Signature {
    let mut sig = ir::Signature::new(CallConv::Tail);
    sig.params.push(AbiParam::special(I64, ArgumentPurpose::VMContext));
    sig.params.extend(clif_types(&signature.params).map(AbiParam::new));
    sig.returns.extend(clif_types(&signature.results).map(AbiParam::new));
    sig
}

/// Opens the only block that the function's caller enters.
fn open_function(b: &mut FunctionBuilder<'_>) -> Vec<Value> {
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    b.seal_block(entry);
    b.block_params(entry).to_vec()
}

/// `entry`. The address of the landing pad is a property of the block that ends in the call, so that block starts
/// after the function's entry.
fn build_entry(b: &mut FunctionBuilder<'_>, signature: &AbiSignature) {
    b.func.signature.call_conv = CallConv::SystemV;
    b.func.signature.params.extend([I64, I64, I64].map(AbiParam::new));
    b.func.signature.returns.push(AbiParam::new(I8));
    let params = open_function(b);
    let (vmctx, code, values) = (params[0], params[1], params[2]);
    let flags = MemFlagsData::trusted();
    let call = b.create_block();
    b.ins().jump(call, &[]);
    b.switch_to_block(call);
    b.seal_block(call);

    let mut args = vec![vmctx];
    for (ty, offset) in clif_types(&signature.params).zip((0..).step_by(16)) {
        args.push(b.ins().load(ty, flags, values, offset));
    }
    let store = b.ins().load(I64, flags, vmctx, offset_of!(VmCtx, store) as i32);
    let fp = b.ins().get_frame_pointer(I64);
    b.ins().store(flags, fp, store, offset_of!(StoreCtx, entry_fp) as i32);
    let sp = b.ins().get_stack_pointer(I64);
    b.ins().store(flags, sp, store, offset_of!(StoreCtx, entry_sp) as i32);
    let handler = b.ins().get_exception_handler_address(I64, call, 0);
    b.ins().store(flags, handler, store, offset_of!(StoreCtx, entry_handler) as i32);

    let (returned, trapped) = (b.create_block(), b.create_block());
    let results: Vec<Value> =
        clif_types(&signature.results).map(|ty| b.append_block_param(returned, ty)).collect();
    let sig = b.import_signature(tail_signature(signature));
    let dfg = &mut b.func.dfg;
    let returned_args = (0..results.len()).map(|number| BlockArg::TryCallRet(number as u32));
    let normal = BlockCall::new(returned, returned_args, &mut dfg.value_lists);
    let handler = BlockCall::new(trapped, None, &mut dfg.value_lists);
    let table = ExceptionTableData::new(sig, normal, [ExceptionTableItem::Default(handler)]);
    let table = dfg.exception_tables.push(table);
    b.ins().try_call_indirect(code, &args, table);
    b.seal_block(returned);
    b.seal_block(trapped);

    b.switch_to_block(returned);
    for (value, offset) in results.into_iter().zip((0..).step_by(16)) {
        b.ins().store(flags, value, values, offset);
    }
    let done = b.ins().iconst(I8, 1);
    b.ins().return_(&[done]);

    b.switch_to_block(trapped);
    b.set_cold_block(trapped);
    let trap = b.ins().iconst(I8, 0);
    b.ins().return_(&[trap]);
}

/// `host_thunk`. Its slot holds references as raw words while the host function runs: the runtime reads the arguments
/// before it does anything that could collect, and writes the results last.
fn build_host_thunk(b: &mut FunctionBuilder<'_>, signature: &AbiSignature) {
    b.func.signature = tail_signature(signature);
    let params = open_function(b);
    let vmctx = params[0];
    set_stack_limit(b);
    let flags = MemFlagsData::trusted();
    let count = signature.params.len().max(signature.results.len()).max(1) as u32;
    let slot = b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, 16 * count, 4));
    let values = b.ins().stack_addr(I64, slot, 0);
    for (value, offset) in params[1..].iter().zip((0..).step_by(16)) {
        b.ins().store(flags, *value, values, offset);
    }
    let sig = b.import_signature(builtin_signature(Builtin::HostCall));
    let builtins = b.ins().load(I64, flags, vmctx, offset_of!(VmCtx, builtins) as i32);
    let code = b.ins().load(I64, flags, builtins, Builtin::HostCall as i32 * 8);
    b.ins().call_indirect(sig, code, &[vmctx, values]);
    let mut results = Vec::with_capacity(signature.results.len());
    for (ty, offset) in clif_types(&signature.results).zip((0..).step_by(16)) {
        results.push(b.ins().load(ty, flags, values, offset));
    }
    b.ins().return_(&results);
}

/// The prologue compares the stack pointer with `vmctx.store.stack_limit`.
fn set_stack_limit(b: &mut FunctionBuilder<'_>) {
    let flags = b.func.dfg.mem_flags.insert_unchecked(MemFlagsData::trusted());
    let vmctx = b.create_global_value(GlobalValueData::VMContext);
    let mut field = |base, offset: usize| {
        let offset = (offset as i32).into();
        b.create_global_value(GlobalValueData::Load { base, offset, global_type: I64, flags })
    };
    let store = field(vmctx, offset_of!(VmCtx, store));
    let limit = field(store, offset_of!(StoreCtx, stack_limit));
    b.func.stack_limit = Some(limit);
}
