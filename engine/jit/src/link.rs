//! Cranelift functions to code in memory, with the tables that belong to it.
//!
//! Each function is compiled by itself ([`Linker::compile`]); [`Linker::finish`] then reserves an arena of the right
//! size, places the functions in order and relocates calls between them.

use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::Function;
use cranelift_codegen::isa::{OwnedTargetIsa, TargetIsa};
use cranelift_codegen::{CodegenError, Context, FinalizedMachCallSite, FinalizedMachExceptionHandler};
use cranelift_jit::{ArenaMemoryProvider, JITBuilder, JITModule};
use cranelift_module::{FuncId, Module, ModuleReloc, ModuleRelocTarget};

use crate::convert::internal;
use crate::translate::trap_of;
use crate::{CodeMap, Error, ErrorKind, Landing, StackMap};

/// Most machine code of a module: near calls reach everything.
const MAX_CODE: u64 = 1 << 30;

/// The register allocator's limit.
const MAX_VIRTUAL_REGISTERS: u64 = 1 << 21;

/// Owns mapped code and frees it when dropped.
pub(crate) struct CodeMemory {
    module: Option<JITModule>,
    bytes: usize,
}

// SAFETY: the module is only kept to be freed. No method gives access to it through a shared reference, and freeing
// memory maps is possible on any thread; the memory provider inside is `Send` by its own bound.
unsafe impl Send for CodeMemory {}
// SAFETY: as above: a shared reference gives access to the byte count only.
unsafe impl Sync for CodeMemory {}

impl std::fmt::Debug for CodeMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeMemory").field("bytes", &self.bytes).finish()
    }
}

impl Drop for CodeMemory {
    fn drop(&mut self) {
        if let Some(module) = self.module.take() {
            // SAFETY: the owner of the code drops; it promises (see `CompiledModule`) that no frame, instance or
            // function entry can still reach it.
            unsafe { module.free_memory() };
        }
    }
}

/// A compiled function that has no address yet.
struct Piece {
    bytes: Vec<u8>,
    alignment: u64,
    relocs: Vec<ModuleReloc>,
    stack_maps: Vec<StackMap>,
    landings: Vec<Landing>,
    traps: Vec<(u32, u8)>,
    /// For backtraces.
    index: u32,
}

/// Collects functions, then places them.
pub(crate) struct Linker {
    isa: OwnedTargetIsa,
    pub(crate) context: Context,
    pieces: Vec<Piece>,
    bytes: u64,
}

/// What [`Linker::finish`] yields.
pub(crate) struct Linked {
    pub(crate) map: CodeMap,
    /// Address of each function.
    pub(crate) entries: Vec<usize>,
    pub(crate) memory: CodeMemory,
}

impl Linker {
    pub(crate) fn new(isa: OwnedTargetIsa) -> Linker {
        Linker { isa, context: Context::new(), pieces: Vec::new(), bytes: 0 }
    }

    /// Compiles `context.func`, the next function, for `isa`; `index` names it in backtraces. Functions refer to each
    /// other by their place in the order of these calls.
    pub(crate) fn compile(&mut self, isa: &dyn TargetIsa, index: u32) -> Result<(), Error> {
        let id = FuncId::from_u32(self.pieces.len() as u32);
        if let Err(error) = self.context.compile(isa, &mut ControlPlane::default()) {
            return Err(codegen_error(&error.inner, error.func, index));
        }
        let code = self.context.compiled_code().ok_or_else(|| internal("compiled code is missing"))?;
        let buffer = &code.buffer;
        let relocs = buffer.relocs().iter().map(|r| ModuleReloc::from_mach_reloc(r, &self.context.func, id));
        let stack_maps = buffer.user_stack_maps().iter().map(|(return_offset, span, map)| StackMap {
            return_offset: *return_offset,
            span: *span,
            slots: map.entries().map(|(_, offset)| offset).collect(),
        });
        let landings = buffer.call_sites().filter_map(landing).collect::<Result<_, _>>()?;
        let traps = buffer
            .traps()
            .iter()
            .map(|trap| match trap_of(trap.code) {
                Some(code) => Ok((trap.offset, code as u8)),
                None => Err(internal(&format!("an unexpected trap code: {}", trap.code))),
            })
            .collect::<Result<_, _>>()?;
        let piece = Piece {
            bytes: code.code_buffer().to_vec(),
            alignment: u64::from(buffer.alignment).max(16),
            relocs: relocs.collect(),
            stack_maps: stack_maps.collect(),
            landings,
            traps,
            index,
        };
        self.bytes += (piece.bytes.len() as u64).next_multiple_of(piece.alignment);
        if self.bytes > MAX_CODE {
            let what = "bytes of machine code";
            return Err(Error::new(ErrorKind::Limit {
                what,
                given: self.bytes,
                limit: MAX_CODE,
                place: None,
            }));
        }
        self.pieces.push(piece);
        self.context.clear();
        Ok(())
    }

    /// Places all functions and makes them executable.
    pub(crate) fn finish(self) -> Result<Linked, Error> {
        let jit = |error: cranelift_module::ModuleError| internal(&format!("linking: {error}"));
        // The arena grows by whole pages for each function that does not fit, so its free space can be as large as
        // the largest function.
        let reserve = 2 * self.bytes as usize + (1 << 16);
        let arena = ArenaMemoryProvider::new_with_size(reserve)
            .map_err(|error| internal(&format!("code memory of {reserve} bytes: {error}")))?;
        let mut builder = JITBuilder::with_isa(self.isa, cranelift_module::default_libcall_names());
        builder.memory_provider(Box::new(arena));
        let mut memory = CodeMemory { module: Some(JITModule::new(builder)), bytes: self.bytes as usize };
        let module = memory.module.as_mut().ok_or_else(|| internal("no code memory"))?;

        let empty = cranelift_codegen::ir::Signature::new(cranelift_codegen::isa::CallConv::Tail);
        for number in 0..self.pieces.len() {
            let id = module.declare_anonymous_function(&empty).map_err(jit)?;
            if id.as_u32() as usize != number {
                return Err(internal("functions are not numbered in order"));
            }
        }
        for (number, piece) in (0..).zip(&self.pieces) {
            if let Some(reloc) = piece.relocs.iter().find(|r| matches!(r.name, ModuleRelocTarget::LibCall(_)))
            {
                return Err(internal(&format!("code calls a library function: {:?}", reloc.name)));
            }
            let id = FuncId::from_u32(number);
            module.define_function_bytes(id, piece.alignment, &piece.bytes, &piece.relocs).map_err(jit)?;
        }
        module.finalize_definitions().map_err(jit)?;
        let entries: Vec<usize> = (0..self.pieces.len() as u32)
            .map(|number| module.get_finalized_function(FuncId::from_u32(number)) as usize)
            .collect();
        let map = code_map(self.pieces, &entries)?;
        Ok(Linked { map, entries, memory })
    }
}

/// The landing of a call site that has one.
fn landing(site: FinalizedMachCallSite<'_>) -> Option<Result<Landing, Error>> {
    match (site.exception_handlers, site.frame_offset) {
        ([], _) => None,
        (&[FinalizedMachExceptionHandler::Default(handler)], Some(span)) => {
            Some(Ok(Landing { return_offset: site.ret_addr, handler, span }))
        }
        _ => Some(Err(internal("an exception table of another form"))),
    }
}

/// The tables in address order.
fn code_map(pieces: Vec<Piece>, entries: &[usize]) -> Result<CodeMap, Error> {
    let mut placed: Vec<(usize, Piece)> = entries.iter().copied().zip(pieces).collect();
    placed.sort_by_key(|(address, _)| *address);
    let mut map = CodeMap { base: placed.first().map_or(0, |(address, _)| *address), ..CodeMap::default() };
    for (address, piece) in placed {
        let start = u32::try_from(address - map.base).map_err(|_| internal("code is spread too far"))?;
        if (start as usize) < map.len {
            return Err(internal("functions overlap"));
        }
        map.len = start as usize + piece.bytes.len();
        map.functions.push((start, piece.index));
        map.stack_maps.extend(
            piece.stack_maps.into_iter().map(|m| StackMap { return_offset: m.return_offset + start, ..m }),
        );
        map.landings.extend(piece.landings.into_iter().map(|l| Landing {
            return_offset: l.return_offset + start,
            handler: l.handler + start,
            ..l
        }));
        map.traps.extend(piece.traps.into_iter().map(|(offset, code)| (offset + start, code)));
    }
    // Each function's tables come in code order; a lookup must not depend on it.
    map.stack_maps.sort_by_key(|m| m.return_offset);
    map.landings.sort_by_key(|l| l.return_offset);
    map.traps.sort_by_key(|t| t.0);
    Ok(map)
}

fn codegen_error(error: &CodegenError, func: &Function, index: u32) -> Error {
    let size = func.dfg.num_values() as u64;
    // What Cranelift counts after lowering is not told; values before it are the nearest measure.
    let limit =
        |what| Error::new(ErrorKind::Limit { what, given: size, limit: MAX_VIRTUAL_REGISTERS, place: None });
    match error {
        CodegenError::CodeTooLarge => limit("values of a function (its code is too large)"),
        CodegenError::ImplLimitExceeded => limit("values of a function (a limit of the code generator)"),
        CodegenError::Verifier(errors) => {
            let list: String = errors.0.iter().take(4).map(|e| format!("; {e}")).collect();
            internal(&format!("function {index} fails Cranelift's verifier{list}"))
        }
        other => internal(&format!("function {index}: {other}")),
    }
}
