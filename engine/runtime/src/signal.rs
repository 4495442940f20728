//! Faults of generated code become traps.
//!
//! One handler for SIGSEGV, SIGBUS, SIGILL and SIGFPE, installed once per process, on an alternate stack. It takes a
//! fault only when the program counter lies in code of the store that this thread runs, that code has a trap record
//! there, and, for memory and heap traps, the address lies in a reservation of the store. Anything else goes to the
//! handler that was there before: it is a real crash.
//!
//! Invariant: async-signal-safe: no allocation, no lock; it reads a store that rests, since its own code is running.

use std::cell::{Cell, RefCell};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::{Once, OnceLock};

use assay_jit::TrapCode;
use assay_jit::vmctx::StoreCtx;

use crate::enter::{RECORDED_FRAMES, caller};
use crate::store::StoreInner;

thread_local! {
    static CURRENT: Cell<*mut StoreCtx> = const { Cell::new(ptr::null_mut()) };
    static ALTERNATE: RefCell<Option<AlternateStack>> = const { RefCell::new(None) };
    static PREPARED: Cell<bool> = const { Cell::new(false) };
}

/// Says whose code this thread runs; the former answer comes back on drop.
pub(crate) struct Current(*mut StoreCtx);

impl Current {
    /// Makes `ctx` the current store. Not inlined, like what undoes it: between the two a fiber may have come to another
    /// thread, whose thread-locals have other addresses.
    #[inline(never)]
    pub(crate) fn set(ctx: *mut StoreCtx) -> Current {
        Current(CURRENT.with(|current| current.replace(ctx)))
    }
}

impl Drop for Current {
    #[inline(never)]
    fn drop(&mut self) {
        CURRENT.with(|current| current.set(self.0));
    }
}

const SIGNALS: [i32; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];
static PREVIOUS: [OnceLock<libc::sigaction>; 4] = [const { OnceLock::new() }; 4];

/// Installs the handler, once.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for (signal, previous) in SIGNALS.into_iter().zip(&PREVIOUS) {
            let mut old = MaybeUninit::<libc::sigaction>::uninit();
            // SAFETY: a null new action only asks; the out pointer is valid.
            if unsafe { libc::sigaction(signal, ptr::null(), old.as_mut_ptr()) } != 0 {
                continue;
            }
            // SAFETY: initialised by the successful call.
            let _ = previous.set(unsafe { old.assume_init() });
            // SAFETY: all zero is a valid sigaction: default action, empty mask.
            let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            action.sa_sigaction = (handler as *const ()).expose_provenance();
            // SAFETY: the handler has the signature that SA_SIGINFO asks for.
            unsafe { libc::sigaction(signal, &action, ptr::null_mut()) };
        }
    });
}

const ALTERNATE_BYTES: usize = 64 << 10;

struct AlternateStack(Box<[u8]>);

impl Drop for AlternateStack {
    fn drop(&mut self) {
        let off = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
        // SAFETY: this thread is not on its alternate stack, since it runs a thread-local destructor.
        unsafe { libc::sigaltstack(&off, ptr::null_mut()) };
    }
}

/// Gives this thread an alternate signal stack, unless it has one.
#[inline(never)]
pub(crate) fn prepare_thread() {
    if PREPARED.with(|done| done.replace(true)) {
        return;
    }
    let mut old = MaybeUninit::<libc::stack_t>::uninit();
    // SAFETY: a null new stack only asks; the out pointer is valid.
    if unsafe { libc::sigaltstack(ptr::null(), old.as_mut_ptr()) } != 0 {
        return;
    }
    // SAFETY: initialised by the successful call.
    if unsafe { old.assume_init() }.ss_flags & libc::SS_DISABLE == 0 {
        return;
    }
    let mut stack = vec![0u8; ALTERNATE_BYTES].into_boxed_slice();
    let new = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: stack.len() };
    // SAFETY: the memory lives until the thread-local is dropped, which disables the stack first.
    unsafe { libc::sigaltstack(&new, ptr::null_mut()) };
    // During thread exit there may be no thread-locals any more; then the stack stays allocated.
    let mut kept = Some(AlternateStack(stack));
    let _ = ALTERNATE.try_with(|slot| *slot.borrow_mut() = kept.take());
    if let Some(AlternateStack(stack)) = kept.as_mut() {
        Box::leak(std::mem::take(stack));
        std::mem::forget(kept);
    }
}

extern "C" fn handler(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes valid pointers for the handler's duration.
    let taken = unsafe { take(signal, info, context.cast()) };
    if !taken {
        chain(signal, info, context);
    }
}

/// Turns the fault into a trap if it is one.
///
/// # Safety
/// The arguments are those of a signal handler.
unsafe fn take(signal: i32, info: *const libc::siginfo_t, context: *mut libc::ucontext_t) -> bool {
    let ctx = CURRENT.with(Cell::get);
    if ctx.is_null() {
        return false;
    }
    // SAFETY: valid for the handler's duration, and nobody else uses it.
    let registers = unsafe { &mut (*context).uc_mcontext.gregs };
    let pc = registers[libc::REG_RIP as usize] as usize;
    let fp = registers[libc::REG_RBP as usize] as usize;
    // SAFETY: the current store's context is live while its code runs.
    let owner = unsafe { (*ctx).owner }.cast::<StoreInner>().cast_const();
    // SAFETY: set at entry to the store that this thread runs; if the pc is ours, no Rust code is using it now, and
    // if it is not, we read its list of code, which is only written outside of signals' reach at entry.
    let store = unsafe { &*owner };
    let Some(code) = store.state.code_at(pc).and_then(|map| map.trap(pc)) else { return false };
    // SAFETY: the kernel filled the structure for this signal.
    let address = unsafe { (*info).si_addr() }.addr();
    let memory_fault = signal == libc::SIGSEGV || signal == libc::SIGBUS;
    let plausible = match code {
        _ if !memory_fault => true,
        TrapCode::MemoryOutOfBounds => {
            store.state.memories.iter().any(|memory| memory.reserved().contains(&address))
        }
        TrapCode::CorruptHeap => store.heap.reservation().contains(&address),
        _ => false,
    };
    if !plausible {
        return false;
    }
    let record = store.state.record.as_ptr();
    // SAFETY: pinned, and used by this handler and after it only.
    let record = unsafe { &mut *record };
    record.pcs[0] = pc;
    record.len = 1;
    // SAFETY: live, see above.
    let entry_fp = unsafe { (*ctx).entry_fp };
    let mut frame = fp;
    while record.len < RECORDED_FRAMES
        && frame < entry_fp
        && frame >= registers[libc::REG_RSP as usize] as usize
    {
        let (back, next) = caller(frame);
        if next >= entry_fp || next <= frame {
            break;
        }
        // The call lies before its return address.
        record.pcs[record.len] = back - 1;
        record.len += 1;
        frame = next;
    }
    // SAFETY: live, see above.
    unsafe { (*ctx).trap = code as u32 };
    // SAFETY: live, see above.
    let (handler, sp) = unsafe { ((*ctx).entry_handler, (*ctx).entry_sp) };
    registers[libc::REG_RIP as usize] = handler as i64;
    registers[libc::REG_RSP as usize] = sp as i64;
    registers[libc::REG_RBP as usize] = entry_fp as i64;
    registers[libc::REG_RAX as usize] = 0;
    registers[libc::REG_RDX as usize] = 0;
    true
}

/// Gives the signal to whoever had it before.
fn chain(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let index = SIGNALS.iter().position(|of| *of == signal);
    let previous = index.and_then(|index| PREVIOUS[index].get());
    match previous {
        Some(action) if action.sa_sigaction != libc::SIG_DFL && action.sa_sigaction != libc::SIG_IGN => {
            let address = ptr::with_exposed_provenance::<()>(action.sa_sigaction);
            if action.sa_flags & libc::SA_SIGINFO != 0 {
                type Full = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);
                // SAFETY: an action with SA_SIGINFO holds a function of this type.
                let function = unsafe { std::mem::transmute::<*const (), Full>(address) };
                function(signal, info, context);
            } else {
                // SAFETY: an action without SA_SIGINFO holds a function of this type.
                let function = unsafe { std::mem::transmute::<*const (), extern "C" fn(i32)>(address) };
                function(signal);
            }
        }
        _ => {
            // SAFETY: the default action; returning runs the faulting instruction again, which ends the process.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}
