//! What generated code calls: a naked stub per builtin that records the exit frame, a shim behind it, the operation.
//!
//! The way: stub (exit frame → `StoreCtx`) → shim ([`run`]: the store behind the context, panics caught) → an operation
//! on [`StoreInner`] that returns a `Result`. On an error the shim has nothing to drop and leaves by a
//! [`Departure`]: to a handler if the error is an exception and there is one, else to the entry trampoline.
//!
//! Every operation checks in the contract's order: null and bounds, then fuel, then effect.

mod arrays;
mod memories;
mod tables;

use std::panic::{AssertUnwindSafe, catch_unwind};

use assay_gc::{GcRef, TypeId};
use assay_jit::TrapCode;
use assay_jit::builtins::{Builtin, Builtins};
use assay_jit::vmctx::{StoreCtx, VmCtx};

use crate::Error;
use crate::enter::{Departure, Pending, add_backtrace};
use crate::exception::{Exception, landing};
use crate::func::host_call;
use crate::store::StoreInner;

/// Why an operation does not return.
enum Leave {
    Error(Error),
    /// The exception there is thrown.
    Throw(GcRef),
}

impl From<Error> for Leave {
    fn from(error: Error) -> Leave {
        Leave::Error(error)
    }
}

impl Leave {
    /// The handler that it comes to, or else the error that ends the activation.
    fn landing(self, store: &mut StoreInner) -> Result<Departure, Error> {
        let word = match &self {
            Leave::Error(error) => error.exception().and_then(|exception| exception.word(store)),
            Leave::Throw(word) => Some(*word),
        };
        if let Some(departure) = word.and_then(|word| landing(store, word)) {
            return Ok(departure);
        }
        Err(match self {
            Leave::Error(error) => error,
            Leave::Throw(word) => match Exception::of_word(store, word) {
                Ok(exception) => exception.into(),
                Err(error) => error,
            },
        })
    }
}

/// Runs an operation on the store and instance of `vmctx`. If it fails: where to go, after storing what is pending
/// there.
///
/// # Safety
/// As for [`run_apart`].
unsafe fn run<R, E: Into<Leave>>(
    vmctx: *mut VmCtx,
    f: impl FnOnce(&mut StoreInner, u32) -> Result<R, E>,
) -> Result<R, Departure> {
    // SAFETY: the caller's promise.
    let instance = unsafe { (*vmctx).instance };
    // SAFETY: as above; the store lives, and nobody else uses it while the operation runs.
    unsafe { run_apart(vmctx, |store| f(&mut *store, instance)) }
}

/// The same for an operation in which the fiber may be suspended: it gets an address, and holds no reference into the
/// store while it is.
///
/// # Safety
/// Called from a builtin's shim: `vmctx` is generated code's own, and its store's code is what called.
unsafe fn run_apart<R, E: Into<Leave>>(
    vmctx: *mut VmCtx,
    f: impl FnOnce(*mut StoreInner) -> Result<R, E>,
) -> Result<R, Departure> {
    // SAFETY: the caller's promise.
    let ctx = unsafe { (*vmctx).store };
    // SAFETY: the store's context is pinned; `owner` was set at entry from the reference that `enter` holds and does
    // not use until generated code returns.
    let owner = unsafe { (*ctx).owner }.cast::<StoreInner>();
    let outcome = catch_unwind(AssertUnwindSafe(|| f(owner)));
    // SAFETY: as above; a store with suspended fibers stays where it is.
    let store = unsafe { &mut *owner };
    let pending = match outcome {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(leave)) => match leave.into().landing(store) {
            Ok(departure) => return Err(departure),
            Err(mut error) => {
                add_backtrace(store, &mut error);
                Pending::Error(error)
            }
        },
        Err(payload) => Pending::Panic(payload),
    };
    store.state.pending = Some(pending);
    Err(Departure::to_entry(&store.state.ctx))
}

/// The body of a stub: records the exit frame and goes on to `$shim`.
macro_rules! exit_to {
    ($shim:path) => {
        core::arch::naked_asm!(
            "mov r11, [rdi + {store}]",
            "mov rax, [rsp]",
            "mov [r11 + {pc}], rax",
            "mov [r11 + {fp}], rbp",
            "jmp {shim}",
            store = const std::mem::offset_of!(VmCtx, store),
            pc = const std::mem::offset_of!(StoreCtx, exit_pc),
            fp = const std::mem::offset_of!(StoreCtx, exit_fp),
            shim = sym $shim,
        )
    };
}

/// Defines the stub `$stub` and its shim: `$body` runs on `$store` and `$instance`.
macro_rules! builtin {
    ($stub:ident($vmctx:ident; $store:ident, $instance:pat_param $(, $arg:ident: $ty:ty)*) $(-> $result:ty)? $body:block) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $stub() {
            extern "C" fn shim($vmctx: *mut VmCtx $(, $arg: $ty)*) $(-> $result)? {
                let operation =
                    |$store: &mut StoreInner, $instance: u32| -> Result<_, Error> { $body };
                // SAFETY: this is a shim, called by its stub only.
                let outcome = unsafe { run($vmctx, operation) };
                match outcome {
                    Ok(value) => value,
                    // SAFETY: `run` stored the reason, and only copies of numbers live here.
                    Err(departure) => unsafe { departure.go() },
                }
            }
            exit_to!(shim)
        }
    };
}

builtin!(raise_trap(vmctx; _store, _, code: u32) {
    match u8::try_from(code).ok().and_then(TrapCode::from_raw) {
        Some(code) => Err::<(), Error>(Error::of_trap(code)),
        None => Err(Error::internal("raise of an unknown trap code")),
    }
});
builtin!(alloc_struct(vmctx; store, _, ty: u32) -> u32 {
    store.safepoint()?;
    Ok(store.alloc_struct(TypeId(ty))?.0)
});
builtin!(alloc_array(vmctx; store, _, ty: u32, len: u32) -> u32 {
    store.safepoint()?;
    Ok(store.array_new(TypeId(ty), len)?.0)
});
builtin!(array_fill(vmctx; store, _, array: u32, start: u32, low: u64, high: u64, len: u32) {
    store.array_fill(array, start, u128::from(high) << 64 | u128::from(low), len)?;
    store.safepoint()
});
builtin!(array_copy(vmctx; store, _, dst: u32, dst_start: u32, src: u32, src_start: u32, len: u32) {
    store.array_copy(dst, dst_start, src, src_start, len)?;
    store.safepoint()
});
builtin!(array_new_data(vmctx; store, instance, ty: u32, data: u32, start: u32, len: u32) -> u32 {
    store.safepoint()?;
    Ok(store.array_new_data(instance, TypeId(ty), data, start, len)?.0)
});
builtin!(array_new_elem(vmctx; store, instance, ty: u32, elem: u32, start: u32, len: u32) -> u32 {
    store.safepoint()?;
    Ok(store.array_new_elem(instance, TypeId(ty), elem, start, len)?.0)
});
builtin!(array_init_data(vmctx; store, instance, array: u32, dst: u32, data: u32, src: u32, len: u32) {
    store.array_init_data(instance, array, dst, data, src, len)?;
    store.safepoint()
});
builtin!(array_init_elem(vmctx; store, instance, array: u32, dst: u32, elem: u32, src: u32, len: u32) {
    store.array_init_elem(instance, array, dst, elem, src, len)?;
    store.safepoint()
});
builtin!(memory_grow(vmctx; store, instance, memory: u32, delta: u64) -> u64 {
    let old = store.memory_grow(instance, memory, delta)?;
    store.safepoint()?;
    Ok(old)
});
builtin!(memory_copy(vmctx; store, instance, dst_memory: u32, src_memory: u32, dst: u64, src: u64, len: u64) {
    store.memory_copy(instance, dst_memory, src_memory, dst, src, len)?;
    store.safepoint()
});
builtin!(memory_fill(vmctx; store, instance, memory: u32, dst: u64, byte: u32, len: u64) {
    store.memory_fill(instance, memory, dst, byte as u8, len)?;
    store.safepoint()
});
builtin!(memory_init(vmctx; store, instance, memory: u32, data: u32, dst: u64, src: u32, len: u32) {
    store.memory_init_charged(instance, memory, data, dst, src, len)?;
    store.safepoint()
});
builtin!(data_drop(vmctx; store, instance, data: u32) {
    store.data_drop(instance, data);
    store.safepoint()
});
builtin!(table_grow(vmctx; store, instance, table: u32, delta: u64, init: u32) -> u64 {
    let old = store.table_grow(instance, table, delta, init)?;
    store.safepoint()?;
    Ok(old)
});
builtin!(table_copy(vmctx; store, instance, dst_table: u32, src_table: u32, dst: u64, src: u64, len: u64) {
    store.table_copy(instance, dst_table, src_table, dst, src, len)?;
    store.safepoint()
});
builtin!(table_fill(vmctx; store, instance, table: u32, dst: u64, value: u32, len: u64) {
    store.table_fill(instance, table, dst, value, len)?;
    store.safepoint()
});
builtin!(table_init(vmctx; store, instance, table: u32, elem: u32, dst: u64, src: u32, len: u32) {
    store.table_init_charged(instance, table, elem, dst, src, len)?;
    store.safepoint()
});
builtin!(elem_drop(vmctx; store, instance, elem: u32) {
    store.elem_drop(instance, elem);
    store.safepoint()
});
builtin!(safepoint(vmctx; store, _) { store.safepoint() });

/// Defines a stub like [`builtin!`], whose body gets the store's address.
macro_rules! apart {
    ($stub:ident($vmctx:ident; $store:ident, $arg:ident: $ty:ty) $body:block) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $stub() {
            extern "C" fn shim($vmctx: *mut VmCtx, $arg: $ty) {
                let operation = |$store: *mut StoreInner| -> Result<(), Error> { $body };
                // SAFETY: this is a shim, called by its stub only.
                let outcome = unsafe { run_apart($vmctx, operation) };
                if let Err(departure) = outcome {
                    // SAFETY: `run_apart` stored the reason, and only copies of numbers live here.
                    unsafe { departure.go() }
                }
            }
            exit_to!(shim)
        }
    };
}

apart!(call_host(vmctx; store, values: *mut u128) {
    // SAFETY: generated code passes its own host function's context.
    let host = unsafe { (*vmctx).host_func };
    // SAFETY: the thunk's spill area has room for parameters and results and holds the parameters; the store is the
    // one that runs.
    unsafe { host_call(store, host, values) }
});
apart!(point(vmctx; store, cost: u32) {
    // SAFETY: the store is the one that runs, and no reference into it is held here.
    unsafe { crate::fiber::point(store, cost) }
});

/// The builtin `Throw`: no error is made unless the exception leaves the activation.
#[unsafe(naked)]
unsafe extern "C" fn throw() {
    extern "C" fn shim(vmctx: *mut VmCtx, exception: u32) {
        let operation = |_: &mut StoreInner, _: u32| Err::<(), Leave>(Leave::Throw(GcRef(exception)));
        // SAFETY: this is a shim, called by its stub only.
        let outcome = unsafe { run(vmctx, operation) };
        if let Err(departure) = outcome {
            // SAFETY: `run` found the handler or stored the reason, and only copies of numbers live here.
            unsafe { departure.go() }
        }
    }
    exit_to!(shim)
}

struct Table(Builtins);

// SAFETY: code addresses, never written.
unsafe impl Sync for Table {}

static TABLE: Table = Table(Builtins({
    let mut addresses = [std::ptr::null(); Builtin::ALL.len()];
    let mut index = 0;
    while index < addresses.len() {
        let stub: unsafe extern "C" fn() = match Builtin::ALL[index] {
            Builtin::Raise => raise_trap,
            Builtin::AllocStruct => alloc_struct,
            Builtin::AllocArray => alloc_array,
            Builtin::ArrayFill => array_fill,
            Builtin::ArrayCopy => array_copy,
            Builtin::ArrayNewData => array_new_data,
            Builtin::ArrayNewElem => array_new_elem,
            Builtin::ArrayInitData => array_init_data,
            Builtin::ArrayInitElem => array_init_elem,
            Builtin::MemoryGrow => memory_grow,
            Builtin::MemoryCopy => memory_copy,
            Builtin::MemoryFill => memory_fill,
            Builtin::MemoryInit => memory_init,
            Builtin::DataDrop => data_drop,
            Builtin::TableGrow => table_grow,
            Builtin::TableCopy => table_copy,
            Builtin::TableFill => table_fill,
            Builtin::TableInit => table_init,
            Builtin::ElemDrop => elem_drop,
            Builtin::Throw => throw,
            Builtin::Safepoint => safepoint,
            Builtin::Point => point,
            Builtin::HostCall => call_host,
        };
        addresses[index] = stub as *const u8;
        index += 1;
    }
    addresses
}));

/// The builtins' addresses.
pub(crate) fn table() -> *const Builtins {
    &raw const TABLE.0
}
