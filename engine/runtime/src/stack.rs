//! The native stack: its bounds, on this thread or on the fiber that runs on it, and how deep wasm may go.

use std::cell::Cell;

/// Native stack that stays free below wasm's limit, for builtins, host functions and panics.
pub(crate) const HOST_RESERVE: usize = 384 << 10;

/// Bounds of a thread's stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bounds {
    /// Lowest usable address.
    pub(crate) low: usize,
    /// Address behind the highest byte.
    pub(crate) high: usize,
}

impl Bounds {
    /// Whether `address` lies on this stack.
    pub(crate) fn contains(&self, address: usize) -> bool {
        (self.low..self.high).contains(&address)
    }
}

thread_local! {
    static BOUNDS: Cell<Option<Bounds>> = const { Cell::new(None) };
    /// Of the fiber that this thread runs.
    static FIBER: Cell<Option<Bounds>> = const { Cell::new(None) };
}

/// Says which fiber's stack this thread runs on; the former answer comes back on drop.
pub(crate) struct OnStack(Option<Bounds>);

impl OnStack {
    /// From now on the stack with these bounds.
    #[inline(never)]
    pub(crate) fn of(bounds: Bounds) -> OnStack {
        OnStack(FIBER.with(|fiber| fiber.replace(Some(bounds))))
    }
}

impl Drop for OnStack {
    #[inline(never)]
    fn drop(&mut self) {
        FIBER.with(|fiber| fiber.set(self.0));
    }
}

/// The bounds of the present stack; `None` when the system does not tell.
#[inline(never)]
pub(crate) fn bounds() -> Option<Bounds> {
    if let Some(fiber) = FIBER.with(Cell::get) {
        return Some(fiber);
    }
    BOUNDS.with(|known| {
        if known.get().is_none() {
            known.set(ask());
        }
        known.get()
    })
}

/// The stack pointer. (AddressSanitizer may keep locals elsewhere, so the address of one would not do.)
#[inline(always)]
pub(crate) fn here() -> usize {
    let address: usize;
    // SAFETY: copies a register.
    unsafe {
        std::arch::asm!("mov {}, rsp", out(reg) address, options(nomem, nostack, preserves_flags));
    }
    address
}

fn ask() -> Option<Bounds> {
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: asking which thread this is has no preconditions.
    let thread = unsafe { libc::pthread_self() };
    // SAFETY: the out pointer is valid; the call initialises it on success.
    if unsafe { libc::pthread_getattr_np(thread, attributes.as_mut_ptr()) } != 0 {
        return None;
    }
    let mut low = std::ptr::null_mut();
    let mut size = 0usize;
    // SAFETY: the attributes were initialised above and both out pointers are valid.
    let status = unsafe { libc::pthread_attr_getstack(attributes.as_ptr(), &mut low, &mut size) };
    // SAFETY: initialised above, destroyed once.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    (status == 0 && size > 0).then(|| Bounds { low: low.addr(), high: low.addr() + size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_frame_lies_within_the_bounds() {
        assert!(bounds().unwrap().contains(here()));
        std::thread::spawn(|| assert!(bounds().unwrap().contains(here()))).join().unwrap();
    }
}
