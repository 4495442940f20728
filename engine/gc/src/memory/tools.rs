//! What AddressSanitizer and valgrind are told about the heap: which addresses are open, and which closed.
//!
//! Feature `asan` links only together with `-Zsanitizer=address`. Feature `valgrind` costs a few instructions without
//! valgrind: its client requests are a sequence that does nothing on a real processor (`valgrind.h`, "Client requests").

/// `[address, address + len)` may be accessed; its content is undefined.
#[inline(always)]
pub(super) fn opened(address: *mut u8, len: usize) {
    #[cfg(feature = "asan")]
    // SAFETY: the caller's range lies in a reservation of ours; the call writes to the sanitizer's shadow alone.
    unsafe {
        asan::__asan_unpoison_memory_region(address.cast(), len)
    };
    #[cfg(feature = "valgrind")]
    memcheck::request(memcheck::MAKE_MEM_UNDEFINED, address, len);
    let _ = (address, len);
}

/// No byte of it may be accessed.
#[inline(always)]
pub(super) fn closed(address: *mut u8, len: usize) {
    #[cfg(feature = "asan")]
    // SAFETY: as above.
    unsafe {
        asan::__asan_poison_memory_region(address.cast(), len)
    };
    #[cfg(feature = "valgrind")]
    memcheck::request(memcheck::MAKE_MEM_NOACCESS, address, len);
    let _ = (address, len);
}

#[cfg(feature = "asan")]
mod asan {
    use std::ffi::c_void;

    // `sanitizer/asan_interface.h`.
    unsafe extern "C" {
        pub(super) fn __asan_poison_memory_region(address: *const c_void, len: usize);
        pub(super) fn __asan_unpoison_memory_region(address: *const c_void, len: usize);
    }
}

#[cfg(feature = "valgrind")]
mod memcheck {
    // `memcheck.h`: VG_USERREQ_TOOL_BASE('M', 'C') and what follows.
    pub(super) const MAKE_MEM_NOACCESS: usize = 0x4d43_0000;
    pub(super) const MAKE_MEM_UNDEFINED: usize = 0x4d43_0001;

    /// A client request about memory.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn request(code: usize, address: *mut u8, len: usize) {
        let arguments = [code, address.addr(), len, 0, 0, 0];
        // SAFETY: the four rotations by 128 bits altogether and the exchange of a register with itself leave every
        // register as it was; under valgrind they make rdx the result, which is declared, and read the arguments.
        unsafe {
            std::arch::asm!(
                "rol rdi, 3",
                "rol rdi, 13",
                "rol rdi, 61",
                "rol rdi, 51",
                "xchg rbx, rbx",
                in("rax") arguments.as_ptr(),
                inout("rdx") 0usize => _,
                options(nostack),
            );
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn request(_code: usize, _address: *mut u8, _len: usize) {}
}
