//! One function's body: locals, fuel, instructions, trap blocks.
//!
//! A first pass over the body finds the locals that it names (unnamed ones cost nothing, however many are declared)
//! and how many blocks it has, which bounds the work of building SSA form.

use assay_gc::{CodeShape, FuncType, TypeRegistry, ValType};
use cranelift_codegen::ir::{self, InstBuilder, UserFuncName};
use cranelift_codegen::isa::TargetFrontendConfig;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use std::collections::BTreeMap;
use std::mem::offset_of;
use wasmparser::{FunctionBody, Operator};

use super::call::wasm_signature;
use super::{Definitions, FuncTranslator, Region, Work};
use crate::builtins::Builtin;
use crate::compile::CompileOptions;
use crate::convert::{Convert, internal};
use crate::module::ModuleInfo;
use crate::vmctx::{StoreCtx, VmCtx};
use crate::{Error, ErrorKind, TrapCode};

/// What is the same for all functions of a module.
#[derive(Clone, Copy)]
pub(crate) struct Module<'a> {
    pub(crate) info: &'a ModuleInfo,
    pub(crate) types: &'a TypeRegistry,
    pub(crate) defs: &'a Definitions,
    pub(crate) shape: CodeShape,
    pub(crate) options: CompileOptions,
    pub(crate) frontend: TargetFrontendConfig,
}

/// Most (local variable, block) pairs of a function: SSA construction may make a block parameter for each.
const MAX_LOCAL_BLOCKS: u64 = 1 << 24;
/// Most (local variable, local variable, loop) triples: all variables wait for a loop's end as parameters of its header,
/// and taking one of them back moves the others.
const MAX_LOCAL_PAIR_LOOPS: u64 = 1 << 33;
/// Most (local variable, instruction that branches) pairs: its table may have an entry for each.
const MAX_LOCAL_BRANCHES: u64 = 1 << 26;
/// Most (traced value, CLIF block) pairs of a function: the liveness of stack maps may hold each.
const MAX_TRACED_BLOCKS: u64 = 1 << 24;
/// Most (clause, clause, CLIF block) triples, of legacy clauses within each other: each holds an exception for `rethrow`,
/// and the liveness of stack maps visits a block again for each path to one.
const MAX_CATCH_PAIR_BLOCKS: u64 = 1 << 26;

/// What the first pass finds.
#[derive(Debug, Default)]
struct Scan {
    /// Whether the body names a local, by index.
    named: Vec<bool>,
    named_count: u64,
    /// Blocks that the body opens, and how many of them are loops.
    blocks: u64,
    loops: u64,
    /// Instructions that may branch, if only to a trap.
    branches: u64,
}

impl Scan {
    /// Whether `locals` locals are too many to be in SSA form.
    fn is_too_large(&self, locals: u64) -> bool {
        locals * self.blocks > MAX_LOCAL_BLOCKS
            || locals * locals * self.loops > MAX_LOCAL_PAIR_LOOPS
            || locals * self.branches > MAX_LOCAL_BRANCHES
    }
}

fn read_error(error: wasmparser::Error) -> Error {
    internal(&format!("a validated function body cannot be read: {error}"))
}

fn scan(body: &FunctionBody<'_>) -> Result<Scan, Error> {
    let mut scan = Scan::default();
    let mut reader = body.get_operators_reader().map_err(read_error)?;
    while !reader.eof() {
        match reader.read().map_err(read_error)? {
            Operator::LocalGet { local_index }
            | Operator::LocalSet { local_index }
            | Operator::LocalTee { local_index } => {
                let index = local_index as usize;
                if scan.named.len() <= index {
                    scan.named.resize(index + 1, false);
                }
                scan.named_count += u64::from(!std::mem::replace(&mut scan.named[index], true));
            }
            Operator::I32Const { .. } | Operator::I64Const { .. } | Operator::I32Add | Operator::I64Add => {}
            Operator::Block { .. } => scan.blocks += 1,
            Operator::Loop { .. } => {
                scan.blocks += 1;
                scan.loops += 1;
            }
            Operator::If { .. } => scan.blocks += 2,
            // Landing, dispatch and end; a test and a jump for each clause.
            Operator::TryTable { try_table } => scan.blocks += 3 + 2 * try_table.catches.len() as u64,
            Operator::Try { .. } => scan.blocks += 3,
            Operator::Catch { .. } | Operator::CatchAll => scan.blocks += 2,
            _ => scan.branches += 1,
        }
    }
    Ok(scan)
}

fn check(what: &'static str, given: u64, limit: u64) -> Result<(), Error> {
    if given > limit { Err(Error::new(ErrorKind::Limit { what, given, limit, place: None })) } else { Ok(()) }
}

/// Translates the defined function `index` into `func`; what comes back is how much work the rest is.
///
/// # Errors
/// `Limit`; `Internal` when validated code does not translate.
pub(crate) fn translate_function(
    module: Module<'_>,
    index: u32,
    body: &FunctionBody<'_>,
    func: &mut ir::Function,
    context: &mut FunctionBuilderContext,
) -> Result<Work, Error> {
    let info = module.info;
    let id = *info
        .funcs
        .get((info.imported_funcs + index) as usize)
        .ok_or_else(|| internal("a body without function"))?;
    let ty = match module.defs.get(&id).map(|def| &def.composite) {
        Some(assay_gc::CompositeType::Func(ty)) => ty,
        _ => return Err(internal("a function without function type")),
    };
    let scan = scan(body)?;

    *func = ir::Function::with_name_signature(
        UserFuncName::user(0, index),
        wasm_signature(&ty.params, &ty.results),
    );
    let mut b = FunctionBuilder::new(func, context);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    b.seal_block(entry);
    let vmctx = b.block_params(entry)[0];
    let mut translator = FuncTranslator {
        b,
        m: info,
        types: module.types,
        defs: module.defs,
        shape: module.shape,
        options: module.options,
        vmctx,
        stack: Vec::new(),
        control: Vec::new(),
        handlers: Vec::new(),
        dead: false,
        dead_depth: 0,
        passed: 0,
        traced_locals: 0,
        traced_pushed: 0,
        greatest_height: 0,
        catches: 0,
        greatest_catches: 0,
        work: Work::default(),
        locals: vec![None; scan.named.len()],
        traps: Vec::new(),
        builtin_sigs: [None; Builtin::ALL.len()],
        wasm_sigs: BTreeMap::new(),
        func_refs: BTreeMap::new(),
        regions: Vec::new(),
        known: super::known::Known::default(),
    };
    translator.body(ty, body, &scan)?;
    let traced = translator.traced_locals + translator.traced_pushed.min(translator.greatest_height);
    let blocks = translator.b.func.dfg.num_blocks() as u64;
    check("pairs of a live reference and a block", traced * blocks, MAX_TRACED_BLOCKS)?;
    let catches = translator.greatest_catches.pow(2);
    check("catch clauses within each other, squared, by blocks", catches * blocks, MAX_CATCH_PAIR_BLOCKS)?;
    let spill = translator.alias_region(Region::Spill);
    translator.b.make_stack_map_alias_region(Box::new(move |_, _, _, _| Some(spill)));
    let mut work = translator.work;
    (work.blocks, work.insts) = (blocks, translator.b.func.dfg.num_insts() as u64);
    translator.b.finalize(module.frontend);
    Ok(work)
}

impl FuncTranslator<'_> {
    fn body(&mut self, ty: &FuncType, body: &FunctionBody<'_>, scan: &Scan) -> Result<(), Error> {
        self.set_stack_limit()?;
        self.declare_locals(ty, body, scan)?;
        self.fuel_point();
        self.poll();
        self.open_body(&ty.results);
        let mut reader = body.get_operators_reader().map_err(read_error)?;
        loop {
            let op = reader.read().map_err(read_error)?;
            if self.translate(&op)? {
                break;
            }
            let blocks = self.b.func.dfg.num_blocks() as u64;
            self.work.count(blocks, self.stack.len(), self.control.len())?;
        }
        if !self.dead {
            let values = self.peek_n(ty.results.len());
            self.b.ins().return_(&values);
        }
        self.finish_traps();
        Ok(())
    }

    fn declare_locals(&mut self, ty: &FuncType, body: &FunctionBody<'_>, scan: &Scan) -> Result<(), Error> {
        let entry = self.b.current_block().ok_or_else(|| internal("no entry block"))?;
        let params: Vec<ir::Value> = self.b.block_params(entry)[1..].to_vec();
        let in_slot = scan.is_too_large(scan.named_count);
        self.work.locals = if in_slot { 0 } else { scan.named_count };
        let named = |index: u32| scan.named.get(index as usize).copied().unwrap_or(false);
        for (index, (ty, value)) in (0..).zip(ty.params.iter().zip(params)) {
            if named(index) {
                self.declare_local(index, ty, Some(value), in_slot);
            }
        }
        let mut index = ty.params.len() as u32;
        let types = &self.m.types;
        for run in body.get_locals_reader().map_err(read_error)? {
            let (count, ty) = run.map_err(read_error)?;
            if count == 0 {
                // Its type need not exist.
                continue;
            }
            let ty: ValType = Convert::new(types).value(ty)?;
            for local in index..index + count {
                if local as usize >= scan.named.len() {
                    break;
                }
                if named(local) {
                    self.declare_local(local, &ty, None, in_slot);
                }
            }
            index += count;
        }
        if in_slot && scan.is_too_large(self.traced_locals) {
            let what = "pairs of a reference local and a block or branch";
            let given = self.traced_locals * scan.blocks.max(scan.branches);
            return Err(Error::new(ErrorKind::Limit { what, given, limit: MAX_LOCAL_BLOCKS, place: None }));
        }
        Ok(())
    }

    /// The prologue compares the stack pointer with `vmctx.store.stack_limit`.
    fn set_stack_limit(&mut self) -> Result<(), Error> {
        let constant = self.flags(Region::Constant).with_readonly();
        let changing = self.flags(Region::Store);
        let dfg = &mut self.b.func.dfg;
        let constant = dfg.mem_flags.insert(constant);
        let changing = dfg.mem_flags.insert(changing);
        let (Ok(constant), Ok(changing)) = (constant, changing) else {
            return Err(internal("too many kinds of memory access"));
        };
        let vmctx = self.b.create_global_value(ir::GlobalValueData::VMContext);
        let pointer = ir::types::I64;
        let store = self.b.create_global_value(ir::GlobalValueData::Load {
            base: vmctx,
            offset: (offset_of!(VmCtx, store) as i32).into(),
            global_type: pointer,
            flags: constant,
        });
        let limit = self.b.create_global_value(ir::GlobalValueData::Load {
            base: store,
            offset: (offset_of!(StoreCtx, stack_limit) as i32).into(),
            global_type: pointer,
            flags: changing,
        });
        self.b.func.stack_limit = Some(limit);
        Ok(())
    }
}

/// The trap of a Cranelift trap code.
pub(crate) fn trap_of(code: ir::TrapCode) -> Option<TrapCode> {
    match code {
        ir::TrapCode::STACK_OVERFLOW => Some(TrapCode::StackOverflow),
        ir::TrapCode::INTEGER_DIVISION_BY_ZERO => Some(TrapCode::IntegerDivideByZero),
        ir::TrapCode::INTEGER_OVERFLOW => Some(TrapCode::IntegerOverflow),
        ir::TrapCode::BAD_CONVERSION_TO_INTEGER => Some(TrapCode::InvalidConversionToInteger),
        code => TrapCode::from_raw(code.as_raw().get()),
    }
}
