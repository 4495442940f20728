//! Into wasm and out of it: activations, and how a trap, an error or a panic leaves generated code.
//!
//! The way: [`enter`] saves the outer activation's records, sets a stack limit, calls the entry trampoline. A builtin
//! that fails stores what happened in [`State::pending`](crate::store::State) and jumps to the trampoline's landing pad
//! ([`Departure`]); a fault does the same through the signal handler and its [`TrapRecord`]. Back in `enter`, the outer
//! records are restored, then the pending error is returned or the panic resumed.
//!
//! Invariant: nothing unwinds through generated code, and nothing is jumped over that has a destructor.

use std::any::Any;
use std::panic::resume_unwind;

use assay_jit::TrapCode;
use assay_jit::trampoline::Trampolines;
use assay_jit::vmctx::{StoreCtx, VmCtx};

use crate::pinned::Pinned;
use crate::signal::Current;
use crate::stack::{self, HOST_RESERVE};
use crate::store::StoreInner;
use crate::{Error, ErrorKind, Frame, Resource};

/// What leaves an activation besides results.
pub(crate) enum Pending {
    Error(Error),
    Panic(Box<dyn Any + Send>),
}

/// Most frames that a trap records.
pub(crate) const RECORDED_FRAMES: usize = 64;

/// What the signal handler writes: the addresses of the frames that trapped.
#[derive(Debug)]
pub(crate) struct TrapRecord {
    pub(crate) pcs: [usize; RECORDED_FRAMES],
    pub(crate) len: usize,
}

impl Default for TrapRecord {
    fn default() -> TrapRecord {
        TrapRecord { pcs: [0; RECORDED_FRAMES], len: 0 }
    }
}

/// The part of [`StoreCtx`] that belongs to one activation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Activation {
    exit_fp: usize,
    exit_pc: usize,
    entry_fp: usize,
    entry_sp: usize,
    entry_handler: usize,
    stack_limit: usize,
    owner: *mut core::ffi::c_void,
}

impl Activation {
    /// That of a host which no wasm code has called.
    pub(crate) const NONE: Activation = Activation {
        exit_fp: 0,
        exit_pc: 0,
        entry_fp: 0,
        entry_sp: 0,
        entry_handler: 0,
        stack_limit: 0,
        owner: std::ptr::null_mut(),
    };

    /// The newest activation's records.
    pub(crate) fn of(ctx: &Pinned<StoreCtx>) -> Activation {
        // SAFETY: the context is pinned; only generated code of this thread writes it, which is not running.
        unsafe { Activation::of_raw(ctx.as_ptr()) }
    }

    /// # Safety
    /// `ctx` is live and generated code is not running on it.
    unsafe fn of_raw(ctx: *const StoreCtx) -> Activation {
        // SAFETY: the caller's promise.
        let ctx = unsafe { &*ctx };
        Activation {
            exit_fp: ctx.exit_fp,
            exit_pc: ctx.exit_pc,
            entry_fp: ctx.entry_fp,
            entry_sp: ctx.entry_sp,
            entry_handler: ctx.entry_handler,
            stack_limit: ctx.stack_limit,
            owner: ctx.owner,
        }
    }

    pub(crate) fn restore(&self, ctx: &Pinned<StoreCtx>) {
        // SAFETY: the context is pinned and generated code is not running.
        let ctx = unsafe { &mut *ctx.as_ptr() };
        ctx.exit_fp = self.exit_fp;
        ctx.exit_pc = self.exit_pc;
        ctx.entry_fp = self.entry_fp;
        ctx.entry_sp = self.entry_sp;
        ctx.entry_handler = self.entry_handler;
        ctx.stack_limit = self.stack_limit;
        ctx.owner = self.owner;
    }

    /// Walks its wasm frames, youngest first; false when `f` has had enough.
    pub(crate) fn for_each_frame(&self, f: &mut dyn FnMut(usize, usize) -> bool) -> bool {
        if self.entry_fp == 0 || self.exit_fp == 0 {
            return true;
        }
        let (mut pc, mut fp) = (self.exit_pc, self.exit_fp);
        while fp < self.entry_fp {
            if !f(pc, fp) {
                return false;
            }
            (pc, fp) = caller(fp);
        }
        debug_assert_eq!(fp, self.entry_fp, "the walk ends at the entry trampoline");
        true
    }
}

/// Return address and frame pointer of the caller of the frame at `fp`.
pub(crate) fn caller(fp: usize) -> (usize, usize) {
    let frame = std::ptr::with_exposed_provenance::<usize>(fp);
    // SAFETY: `fp` is the frame pointer of a live frame that keeps the frame-pointer chain: [fp] is the caller's.
    let next = unsafe { frame.read() };
    // SAFETY: as above: the return address lies one word higher.
    let pc = unsafe { frame.add(1).read() };
    (pc, next)
}

/// The stack limit of an activation that starts here.
fn stack_limit(store: &StoreInner, outer: &Activation) -> usize {
    let here = stack::here();
    let own = here.saturating_sub(store.engine().config().max_wasm_stack);
    let Some(bounds) = stack::bounds().filter(|bounds| bounds.contains(here)) else {
        return own.max(outer.stack_limit);
    };
    let own = own.max(bounds.low + HOST_RESERVE);
    // An outer activation on another thread's stack sets no limit on this one.
    if bounds.contains(outer.stack_limit) { own.max(outer.stack_limit) } else { own }
}

/// Calls function `func` of the store. `values` holds the arguments and receives the results; references in it are
/// not rooted, so the caller neither allocates between lowering and this, nor between this and lifting.
///
/// # Errors
/// What the call traps or fails with.
pub(crate) fn enter(
    store: &mut StoreInner,
    func: u32,
    trampolines: &Trampolines,
    values: &mut [u128],
) -> Result<(), Error> {
    let entry = store.state.funcs[func as usize];
    let outer = Activation::of(&store.state.ctx);
    let limit = stack_limit(store, &outer);
    if stack::here() <= limit {
        return Err(Error::new(ErrorKind::Exhausted(Resource::CallStack)));
    }
    crate::signal::prepare_thread();
    store.state.activations.push(outer);
    let ctx = store.state.ctx.as_ptr();
    let owner: *mut StoreInner = store;
    // SAFETY: pinned; generated code is not running.
    unsafe { (*ctx).stack_limit = limit };
    // SAFETY: as above.
    unsafe { (*ctx).exit_fp = 0 };
    // SAFETY: as above.
    unsafe { (*ctx).entry_fp = 0 };
    // SAFETY: as above.
    unsafe { (*ctx).owner = owner.cast() };
    // SAFETY: the trampoline of the callee's signature has this type by its contract.
    let code = unsafe {
        std::mem::transmute::<usize, extern "C" fn(*mut VmCtx, *const u8, *mut u128) -> u8>(trampolines.entry)
    };
    let current = Current::set(ctx);
    let returned = code(entry.vmctx, entry.code, values.as_mut_ptr());
    drop(current);
    // From here on the store is reached through `owner`, as the builtins did.
    // SAFETY: `owner` came from `store`, which this function still borrows.
    let store = unsafe { &mut *owner };
    if store.state.ctx.as_ptr() != ctx {
        swapped();
    }
    let outer = store.state.activations.pop();
    outer.as_ref().expect("pushed above").restore(&store.state.ctx);
    if returned != 0 {
        return Ok(());
    }
    match store.state.pending.take() {
        Some(Pending::Error(error)) => Err(error),
        Some(Pending::Panic(payload)) => resume_unwind(payload),
        None => Err(recorded_trap(store)),
    }
}

/// The error of a trap that the signal handler recorded.
fn recorded_trap(store: &mut StoreInner) -> Error {
    // SAFETY: the context is pinned and generated code is not running.
    let raw = unsafe { (*store.state.ctx.as_ptr()).trap };
    let Some(code) = u8::try_from(raw).ok().and_then(TrapCode::from_raw) else {
        return Error::internal("generated code left without a reason");
    };
    let record = store.state.record.as_ptr();
    // SAFETY: pinned; the handler is done with it.
    let record = unsafe { &*record };
    let mut error = Error::of_trap(code);
    error.push_frames(record.pcs[..record.len].iter().filter_map(|&pc| store.state.describe(pc)));
    if code == TrapCode::OutOfFuel {
        store.set_fuel(0);
    }
    error
}

/// A store may not change places with another while its code is active: pointers of both would be mixed up.
pub(crate) fn swapped() -> ! {
    eprintln!("assay-runtime: a store was swapped with another while wasm code was active in it");
    std::process::abort()
}

/// Adds the frames of the newest activation to an error that is about to be raised.
pub(crate) fn add_backtrace(store: &StoreInner, error: &mut Error) {
    let mut frames: Vec<Frame> = Vec::new();
    let mut count = 0;
    Activation::of(&store.state.ctx).for_each_frame(&mut |pc, _| {
        // A return address may lie behind the end of its function; the call lies before it.
        frames.extend(store.state.describe(pc - 1));
        count += 1;
        count < RECORDED_FRAMES
    });
    error.push_frames(frames);
}

/// Tells AddressSanitizer, where it is linked in, that the frames down to the entry are left without their epilogues:
/// the poison around their locals would else stay on the stack.
fn forget_stack_poison() {
    let address: usize;
    // SAFETY: reads a slot of the global offset table; the linker fills it with 0 when nobody defines the weak symbol.
    unsafe {
        std::arch::asm!(
            ".weak __asan_handle_no_return",
            "mov {address}, qword ptr [rip + __asan_handle_no_return@GOTPCREL]",
            address = out(reg) address,
            options(nomem, nostack, preserves_flags),
        );
    }
    if address != 0 {
        // SAFETY: the sanitizer's interface defines it as a function without parameters and result.
        let handle = unsafe { std::mem::transmute::<usize, extern "C" fn()>(address) };
        handle();
    }
}

/// Where generated code continues instead of behind its call of a builtin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Departure {
    /// A landing pad.
    pub(crate) pc: usize,
    /// Stack pointer of its frame.
    pub(crate) sp: usize,
    /// Frame pointer of its frame.
    pub(crate) fp: usize,
    /// What it takes in the first payload register.
    pub(crate) payload: usize,
}

impl Departure {
    /// To the entry trampoline of the newest activation, for what is pending.
    pub(crate) fn to_entry(ctx: &Pinned<StoreCtx>) -> Departure {
        let Activation { entry_handler, entry_sp, entry_fp, .. } = Activation::of(ctx);
        Departure { pc: entry_handler, sp: entry_sp, fp: entry_fp, payload: 0 }
    }

    /// Goes there.
    ///
    /// # Safety
    /// Called from a builtin of the newest activation, with nothing to drop between here and the frame, which is one of
    /// that activation's generated code; the departure is [`to_entry`](Departure::to_entry) with `pending` set, or a
    /// handler's landing and its exception.
    pub(crate) unsafe fn go(self) -> ! {
        forget_stack_poison();
        // SAFETY: the pad expects the stack and frame pointers of its frame and the payload, nothing else; the frame is
        // live; the frames below it have no destructors (caller's promise and generated code).
        unsafe {
            std::arch::asm!(
                "mov rsp, rcx",
                "mov rbp, rsi",
                "jmp rdi",
                in("rax") self.payload,
                in("rdx") 0usize,
                in("rcx") self.sp,
                in("rsi") self.fp,
                in("rdi") self.pc,
                options(noreturn)
            )
        }
    }
}
