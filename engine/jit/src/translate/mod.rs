//! Wasm functions to CLIF. One file per instruction family, in the specification's grouping; this one holds the
//! translator's state and what every family needs: the value stack, traps, builtins, addresses of run-time structures.
//!
//! Invariant: every CLIF value that holds a traced reference is declared for stack maps when it is made. Values reach
//! the stack through [`FuncTranslator::push_ref`] or [`FuncTranslator::push_typed`], or were declared before.

pub(crate) mod gc;

mod call;
mod control;
mod dispatch;
mod exceptions;
mod fuel;
mod func;
mod known;
mod memory;
mod numeric;
mod reference;
mod region;
mod simd;
mod table;
mod variable;
mod work;

use std::collections::BTreeMap;
use std::mem::offset_of;
use std::sync::Arc;

use assay_gc::{
    AbstractHeapType, CodeShape, CompositeType, FuncType, HeapType, RefType, SubType, TypeId, TypeRegistry,
    ValType,
};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F32, F64, I8X16, I32, I64};
use cranelift_codegen::ir::{self, AbiParam, Block, BlockArg, FuncRef, InstBuilder, SigRef, Type, Value};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::FunctionBuilder;
use smallvec::SmallVec;

use crate::builtins::Builtin;
use crate::compile::CompileOptions;
use crate::convert::{Convert, internal};
use crate::module::ModuleInfo;
use crate::vmctx::{FUNC_ENTRY_SHIFT, StoreCtx, VmCtx};
use crate::{Error, TrapCode};

pub(crate) use func::{Module, translate_function, trap_of};
pub(crate) use known::Mark;
pub(crate) use region::Region;
pub(crate) use work::Work;

/// Definitions of a module's canonical types.
pub(crate) type Definitions = BTreeMap<TypeId, Arc<SubType>>;

/// Values of an instruction; few in nearly all cases.
pub(crate) type Values = SmallVec<[Value; 8]>;

/// Translates one function.
pub(crate) struct FuncTranslator<'a> {
    pub(crate) b: FunctionBuilder<'a>,
    pub(crate) m: &'a ModuleInfo,
    /// The engine's types; [`FuncTranslator::def`] finds the module's own without a lock.
    pub(crate) types: &'a TypeRegistry,
    pub(crate) defs: &'a Definitions,
    pub(crate) shape: CodeShape,
    pub(crate) options: CompileOptions,
    /// Parameter 0.
    pub(crate) vmctx: Value,
    pub(crate) stack: Vec<Value>,
    control: Vec<control::Label>,
    /// Active exception handlers, innermost last.
    handlers: Vec<exceptions::Handler>,
    /// Whether the code at hand is unreachable, and how many blocks it has opened.
    dead: bool,
    dead_depth: u32,
    /// Values passed to blocks and calls so far.
    passed: u64,
    traced_locals: u64,
    /// References pushed so far, and the greatest height of the stack at a block.
    traced_pushed: u64,
    greatest_height: u64,
    /// Legacy clauses that are open and hold an exception, and the most that were.
    catches: u64,
    greatest_catches: u64,
    work: Work,
    locals: Vec<Option<variable::Local>>,
    traps: Vec<(TrapCode, Block)>,
    /// By builtin.
    builtin_sigs: [Option<SigRef>; Builtin::ALL.len()],
    wasm_sigs: BTreeMap<TypeId, SigRef>,
    func_refs: BTreeMap<u32, FuncRef>,
    /// By the region's number.
    regions: Vec<Option<ir::AliasRegion>>,
    known: known::Known,
}

/// The value stack.
impl FuncTranslator<'_> {
    /// Pushes a number or a func id: not traced.
    pub(crate) fn push(&mut self, v: Value) {
        self.stack.push(v);
    }

    /// Pushes a traced reference and declares it for stack maps.
    pub(crate) fn push_ref(&mut self, v: Value) {
        self.b.declare_value_needs_stack_map(v);
        self.traced_pushed += 1;
        self.stack.push(v);
    }

    /// Pushes a value of type `ty`.
    pub(crate) fn push_typed(&mut self, v: Value, ty: &ValType) {
        if self.is_traced(ty) { self.push_ref(v) } else { self.push(v) }
    }

    /// Pops a value. An empty stack cannot happen in valid code; it panics like any broken invariant.
    pub(crate) fn pop(&mut self) -> Value {
        self.stack.pop().expect("validated code has its operands on the stack")
    }

    /// Pops the `n` top values, the deepest first.
    pub(crate) fn pop_n(&mut self, n: usize) -> Values {
        let at = self.stack.len() - n;
        self.stack.drain(at..).collect()
    }

    /// The top of the stack.
    pub(crate) fn peek(&self) -> Value {
        *self.stack.last().expect("validated code has its operands on the stack")
    }
}

/// Types.
impl<'a> FuncTranslator<'a> {
    /// Converts types of this module.
    pub(crate) fn convert(&self) -> Convert<'_> {
        Convert::new(&self.m.types)
    }

    /// The canonical id of a type index.
    pub(crate) fn type_id(&self, index: u32) -> TypeId {
        self.m.types[index as usize]
    }

    /// The definition of a type of this module.
    pub(crate) fn def(&self, id: TypeId) -> Result<&'a SubType, Error> {
        self.defs.get(&id).map(|def| &**def).ok_or_else(|| internal("a type that the module does not define"))
    }

    /// How many supertypes a type of this module has: its own place in its display.
    pub(crate) fn type_depth(&self, id: TypeId) -> Result<u32, Error> {
        let mut depth = 0;
        let mut supertype = self.def(id)?.supertype;
        while let Some(HeapType::Concrete(id)) = supertype {
            depth += 1;
            supertype = self.def(id)?.supertype;
        }
        Ok(depth)
    }

    /// Whether values of `ty` are traced: references of the `any`, `extern` and `exn` hierarchies.
    pub(crate) fn is_traced(&self, ty: &ValType) -> bool {
        is_traced(self.defs, ty)
    }

    /// The function type `id`.
    pub(crate) fn func_type(&self, id: TypeId) -> Result<&'a FuncType, Error> {
        match &self.def(id)?.composite {
            CompositeType::Func(ty) => Ok(ty),
            _ => Err(internal("not a function type")),
        }
    }
}

/// Whether values of `ty` are traced.
pub(crate) fn is_traced(defs: &Definitions, ty: &ValType) -> bool {
    match ty {
        ValType::Ref(RefType { heap: HeapType::Abstract(ty), .. }) => {
            !matches!(ty, AbstractHeapType::Func | AbstractHeapType::NoFunc)
        }
        ValType::Ref(RefType { heap: HeapType::Concrete(id), .. }) => {
            !matches!(defs.get(id).map(|def| &def.composite), Some(CompositeType::Func(_)))
        }
        _ => false,
    }
}

/// The CLIF type of a value type.
pub(crate) fn clif_type(ty: &ValType) -> Type {
    match ty {
        ValType::I32 | ValType::Ref(_) => I32,
        ValType::I64 => I64,
        ValType::F32 => F32,
        ValType::F64 => F64,
        ValType::V128 => I8X16,
    }
}

/// Traps and calls of the runtime.
impl FuncTranslator<'_> {
    /// Traps with `code` if `cond` is not zero.
    pub(crate) fn trap_if(&mut self, cond: Value, code: TrapCode) {
        let trap = self.trap_block(code);
        let next = self.b.create_block();
        self.b.ins().brif(cond, trap, &[], next, &[]);
        self.enter(next);
    }

    /// Traps with `code` if `v` is zero.
    pub(crate) fn trap_if_zero(&mut self, v: Value, code: TrapCode) {
        let trap = self.trap_block(code);
        let next = self.b.create_block();
        self.b.ins().brif(v, next, &[], trap, &[]);
        self.enter(next);
    }

    /// Traps always; the current block ends.
    pub(crate) fn trap(&mut self, code: TrapCode) {
        let trap = self.trap_block(code);
        self.b.ins().jump(trap, &[]);
    }

    /// The one cold block of the function that raises `code`; filled when the function ends.
    fn trap_block(&mut self, code: TrapCode) -> Block {
        if let Some((_, block)) = self.traps.iter().find(|(known, _)| *known == code) {
            return *block;
        }
        let block = self.b.create_block();
        self.b.set_cold_block(block);
        self.traps.push((code, block));
        block
    }

    /// Fills the trap blocks; the last thing of a function.
    fn finish_traps(&mut self) {
        for (code, block) in std::mem::take(&mut self.traps) {
            self.b.seal_block(block);
            self.b.switch_to_block(block);
            let raw = self.iconst32(u32::from(code as u8));
            self.builtin(Builtin::Raise, &[raw]);
            self.b.ins().trap(clif_trap(code));
        }
    }

    /// Calls a builtin with the vmctx and `args`. A safepoint. The result is not declared: push it by `push_ref` if it
    /// is a reference.
    pub(crate) fn builtin(&mut self, builtin: Builtin, args: &[Value]) -> Option<Value> {
        let sig = match self.builtin_sigs[builtin as usize] {
            Some(sig) => sig,
            None => {
                let sig = self.b.import_signature(builtin_signature(builtin));
                *self.builtin_sigs[builtin as usize].insert(sig)
            }
        };
        let table = self.vmctx_field(offset_of!(VmCtx, builtins));
        let code = self.constant_field(I64, table, builtin as i32 * 8);
        let mut all: Values = SmallVec::with_capacity(args.len() + 1);
        all.push(self.vmctx);
        all.extend_from_slice(args);
        let call = self.b.ins().call_indirect(sig, code, &all);
        self.forget_references();
        self.b.inst_results(call).first().copied()
    }
}

/// Addresses of run-time structures.
impl FuncTranslator<'_> {
    /// A pointer field of the vmctx: constant for the function's life.
    pub(crate) fn vmctx_field(&mut self, offset: usize) -> Value {
        self.constant_field(I64, self.vmctx, offset as i32)
    }

    /// Address of heap offset 0.
    pub(crate) fn heap_base(&mut self) -> Value {
        self.vmctx_field(offset_of!(VmCtx, heap_base))
    }

    /// Address of row 0 of the canonical types.
    pub(crate) fn type_rows(&mut self) -> Value {
        self.vmctx_field(offset_of!(VmCtx, type_rows))
    }

    /// Address of the [`Mutator`](assay_gc::Mutator).
    pub(crate) fn mutator(&mut self) -> Value {
        self.vmctx_field(offset_of!(VmCtx, mutator))
    }

    /// Address of the [`StoreCtx`].
    pub(crate) fn store(&mut self) -> Value {
        self.vmctx_field(offset_of!(VmCtx, store))
    }

    /// Address of the [`FuncEntry`](crate::vmctx::FuncEntry) of a func id that the caller has found not to be null.
    pub(crate) fn resolve_func(&mut self, func_id: Value) -> Value {
        let store = self.store();
        let flags = self.flags(Region::Store);
        let count = self.b.ins().load(I32, flags, store, offset_of!(StoreCtx, func_count) as i32);
        let bad = self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, func_id, count);
        self.trap_if(bad, TrapCode::CorruptHeap);
        let funcs = self.b.ins().load(I64, flags, store, offset_of!(StoreCtx, funcs) as i32);
        let index = self.b.ins().uextend(I64, func_id);
        let offset = self.shifted(index, FUNC_ENTRY_SHIFT);
        self.b.ins().iadd(funcs, offset)
    }
}

/// The SystemV signature of a builtin.
pub(crate) fn builtin_signature(builtin: Builtin) -> ir::Signature {
    let clif = |kind| AbiParam::new(if kind == 'l' { I64 } else { I32 });
    let (params, result) = builtin.signature();
    let mut sig = ir::Signature::new(CallConv::SystemV);
    sig.params.push(AbiParam::new(I64));
    sig.params.extend(params.chars().map(clif));
    sig.returns.extend(result.map(clif));
    sig
}

/// The Cranelift trap code of a trap.
pub(crate) fn clif_trap(code: TrapCode) -> ir::TrapCode {
    ir::TrapCode::unwrap_user(code as u8)
}

/// Block arguments of `values`.
pub(crate) fn block_args(values: &[Value]) -> SmallVec<[BlockArg; 8]> {
    values.iter().map(|v| BlockArg::from(*v)).collect()
}
