//! The two bridges between host and wasm, one pair per signature: entry (SystemV → Tail, catches traps) and host thunk
//! (Tail → `Builtin::HostCall`).

use assay_gc::FuncType;

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
        let _ = ty;
        unimplemented!()
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
    // the implementation adds the code memory
}

impl Compiler {
    /// Compiles the trampolines of `signature`.
    ///
    /// # Errors
    /// `Internal`.
    pub fn trampolines(&self, signature: &AbiSignature) -> Result<Trampolines, Error> {
        let _ = signature;
        unimplemented!()
    }
}
