//! The reservation of one heap, and the only place where heap words are read and written.
//!
//! Address space is reserved once, without access; a collector declares extents in it and commits them from their
//! start upwards. A [`View`] of an extent reads and writes its committed part by heap offset.
//!
//! Invariants: offsets below [`NULL_PAGE`] are never committed; an extent's committed part only grows; a view checks
//! each access against the part that was committed when it was made. Offsets and lengths come from an untrusted heap.
//!
//! Contents: [`Memory`] and its extents, [`View`]; `watch`, where space is freed and handed out, with what `tools` are
//! told of it; `shadow`, against which feature `checked` holds each access.

#[cfg(feature = "checked")]
mod shadow;
mod tools;
mod watch;

use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::{self, NonNull};

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

#[cfg(feature = "checked")]
use self::shadow::{Access, By, Event, Shadow};
pub(crate) use self::watch::WATCHED;
use crate::layout::Layout;
use crate::{Error, ErrorKind};

/// Heap offsets below this are never mapped, so that a null dereference faults.
pub const NULL_PAGE: u64 = 1 << 16;

/// Bytes of a page of the operating system, on the machines that there is a JIT for. Asking for it reads the auxiliary vector,
/// which valgrind does not stand. Where pages are larger, giving back what is none fails, and the memory stays.
pub(crate) const PAGE: u32 = 4096;
/// Extents start, and grow, by multiples of this; every host's page size divides it.
pub const GRANULE: u64 = 1 << 16;
/// Never-mapped bytes behind the heap: more than the largest struct.
pub const GUARD: u64 = 1 << 20;
/// Addressable bytes unless configured smaller.
pub const FULL_SPAN: u64 = 1 << 32;

const _: () = assert!(crate::layout::MAX_STRUCT_SIZE as u64 + 16 < GUARD);

/// Names an extent of one [`Memory`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExtentId(usize);

/// A part of the reservation that grows at its end.
#[derive(Clone, Copy, Debug)]
struct Extent {
    start: u64,
    committed: u64,
    limit: u64,
}

/// A heap's address range.
#[derive(Debug)]
pub struct Memory {
    base: NonNull<u8>,
    span: u64,
    extents: Vec<Extent>,
    #[cfg(feature = "checked")]
    shadow: Shadow,
}

// SAFETY: the mapping belongs to this value alone; nothing about it is tied to a thread.
unsafe impl Send for Memory {}

impl Memory {
    /// Reserves `span` addressable bytes (at most 4 GiB, rounded to granules) and the guard behind them.
    ///
    /// # Errors
    /// `Reservation`.
    pub fn reserve(span: u64) -> Result<Memory, Error> {
        let span = span.clamp(NULL_PAGE + 2 * GRANULE, FULL_SPAN).next_multiple_of(GRANULE);
        let bytes = (span + GUARD) as usize;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice disturbs nothing.
        let mapped = unsafe { mmap_anonymous(ptr::null_mut(), bytes, ProtFlags::empty(), flags) };
        let os = match mapped {
            Ok(address) => match NonNull::new(address.cast()) {
                Some(base) => {
                    return Ok(Memory {
                        base,
                        span,
                        extents: Vec::new(),
                        #[cfg(feature = "checked")]
                        shadow: Shadow::new(),
                    });
                }
                None => 0,
            },
            Err(errno) => errno.raw_os_error(),
        };
        Err(Error::new(ErrorKind::Reservation { bytes, os }))
    }

    /// Address of heap offset 0.
    pub fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Addressable bytes, guard not counted.
    pub fn span(&self) -> u64 {
        self.span
    }

    /// The reserved addresses, guard included.
    pub fn addresses(&self) -> Range<usize> {
        let start = self.base.as_ptr().addr();
        start..start + (self.span + GUARD) as usize
    }

    /// Declares that `[start, limit)` is to be committed piece by piece; `None` unless it lies behind the null page,
    /// in the reservation, apart from the other extents, and on granules.
    pub fn extent(&mut self, start: u64, limit: u64) -> Option<ExtentId> {
        let inside = NULL_PAGE <= start && start <= limit && limit <= self.span;
        let aligned = start.is_multiple_of(GRANULE) && limit.is_multiple_of(GRANULE);
        let apart = self.extents.iter().all(|other| limit <= other.start || other.limit <= start);
        (inside && aligned && apart).then(|| {
            self.extents.push(Extent { start, committed: start, limit });
            ExtentId(self.extents.len() - 1)
        })
    }

    /// Makes an extent accessible up to heap offset `end` at least; new memory is zero. Whether it was not yet.
    ///
    /// # Errors
    /// `Reservation` beyond the extent's limit, or when the operating system has no memory.
    pub fn commit(&mut self, id: ExtentId, end: u64) -> Result<bool, Error> {
        let extent = &mut self.extents[id.0];
        let end = end.next_multiple_of(GRANULE);
        if end <= extent.committed {
            return Ok(false);
        }
        let bytes = (end - extent.committed) as usize;
        if end > extent.limit {
            return Err(Error::new(ErrorKind::Reservation { bytes, os: 0 }));
        }
        // SAFETY: `committed` is at most `limit`, which is in the reservation.
        let address = unsafe { self.base.add(extent.committed as usize) };
        let access = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: the pages lie in this reservation, between an extent's committed part and its limit.
        unsafe { mprotect(address.as_ptr().cast(), bytes, access) }
            .map_err(|errno| Error::new(ErrorKind::Reservation { bytes, os: errno.raw_os_error() }))?;
        extent.committed = end;
        tools::closed(address.as_ptr(), bytes);
        Ok(true)
    }

    /// Gives the whole pages within a committed range back to the operating system; they read as zeros afterwards.
    /// Whether there were any.
    pub fn discard(&mut self, id: ExtentId, range: Range<u32>) -> bool {
        let extent = &self.extents[id.0];
        let page = u64::from(PAGE);
        let start = u64::from(range.start).next_multiple_of(page);
        let end = u64::from(range.end) / page * page;
        if start >= end || start < extent.start || end > extent.committed {
            return false;
        }
        // SAFETY: `start` lies in the reservation.
        let address = unsafe { self.base.add(start as usize) };
        let advice = rustix::mm::Advice::LinuxDontNeed;
        #[cfg(feature = "checked")]
        self.shadow.change(start as u32..end as u32, Event::Discarded);
        // SAFETY: the pages are committed memory of this reservation, and no Rust reference into the heap exists.
        unsafe { rustix::mm::madvise(address.as_ptr().cast(), (end - start) as usize, advice) }.is_ok()
    }

    /// A view of an extent's committed part.
    pub fn view(&self, id: ExtentId) -> View<'_> {
        let extent = self.extents[id.0];
        let len = (extent.committed - extent.start) as usize;
        View {
            base: self.base.as_ptr(),
            start: extent.start as usize,
            len,
            memory: PhantomData,
            #[cfg(feature = "checked")]
            shadow: &self.shadow,
            #[cfg(feature = "checked")]
            by: By::Collector,
        }
    }

    /// Turns the checks of feature `checked` on or off; nothing without it.
    pub(crate) fn set_checked(&self, on: bool) {
        #[cfg(feature = "checked")]
        self.shadow.set_on(on);
        let _ = on;
    }

    /// A fresh object of `size` bytes lies at heap offset `at`, which the shadow is told; an array has `len` elements.
    #[inline(always)]
    pub(crate) fn made(&self, at: u32, size: u32, layout: &Layout, len: u32) {
        #[cfg(feature = "checked")]
        self.shadow.made(at, size, layout, len);
        let _ = (at, size, layout, len);
    }

    /// A view of the committed memory around `at`, whatever it is used for.
    #[cfg(all(test, feature = "checked"))]
    pub(crate) fn view_around(&self, at: u32) -> View<'_> {
        let around = |extent: &Extent| (extent.start..extent.committed).contains(&u64::from(at));
        self.view(ExtentId(self.extents.iter().position(around).expect("a committed offset")))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        for extent in &self.extents {
            // SAFETY: extents lie in the reservation.
            let address = unsafe { self.base.add(extent.start as usize) };
            // Whatever is mapped there next is no heap of ours.
            tools::opened(address.as_ptr(), (extent.committed - extent.start) as usize);
        }
        let bytes = (self.span + GUARD) as usize;
        // SAFETY: `reserve` made the mapping with this size; views borrow `self`, so none is left.
        let unmapped = unsafe { munmap(self.base.as_ptr().cast(), bytes) };
        debug_assert!(unmapped.is_ok(), "munmap of an own mapping");
    }
}

/// Checked access to the committed part of an extent. All offsets are heap offsets; `None` means outside.
#[derive(Clone, Copy, Debug)]
pub struct View<'m> {
    base: *mut u8,
    start: usize,
    len: usize,
    memory: PhantomData<&'m Memory>,
    #[cfg(feature = "checked")]
    shadow: &'m Shadow,
    #[cfg(feature = "checked")]
    by: By,
}

impl View<'_> {
    /// The same, for the runtime instead of a collector: it may access other words.
    #[inline(always)]
    #[cfg_attr(not(feature = "checked"), expect(unused_mut, reason = "nobody asks for whom it is then"))]
    pub(crate) fn for_runtime(mut self) -> Self {
        #[cfg(feature = "checked")]
        {
            self.by = By::Runtime;
        }
        self
    }

    /// The address of `[offset, offset + len)`.
    #[inline(always)]
    fn at(&self, offset: u32, len: usize) -> Option<*mut u8> {
        let from_start = (offset as usize).wrapping_sub(self.start);
        if from_start > self.len || len > self.len - from_start {
            return None;
        }
        // SAFETY: start <= offset <= start + len, all within the reservation that `base` points at.
        Some(unsafe { self.base.add(offset as usize) })
    }

    /// Reads a word.
    #[inline(always)]
    pub fn read_u32(&self, offset: u32) -> Option<u32> {
        #[cfg(feature = "checked")]
        self.check(Access::Read, offset, 4)?;
        self.word(offset)
    }

    /// Writes a word.
    #[inline(always)]
    pub fn write_u32(&self, offset: u32, value: u32) -> Option<()> {
        #[cfg(feature = "checked")]
        self.check(Access::Write, offset, 4)?;
        let word = self.at(offset, 4)?.cast::<u32>();
        // SAFETY: `at` checked that the word is committed memory; no Rust reference into the heap exists.
        unsafe { word.write_unaligned(value) };
        Some(())
    }

    /// Reads `bytes.len()` bytes.
    pub fn read_bytes(&self, offset: u32, bytes: &mut [u8]) -> Option<()> {
        #[cfg(feature = "checked")]
        self.check(Access::Read, offset, bytes.len())?;
        let from = self.at(offset, bytes.len())?;
        // SAFETY: `at` checked the source; a slice outside the heap cannot overlap it.
        unsafe { ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) };
        Some(())
    }

    /// Writes `bytes`.
    pub fn write_bytes(&self, offset: u32, bytes: &[u8]) -> Option<()> {
        #[cfg(feature = "checked")]
        self.check(Access::Write, offset, bytes.len())?;
        let to = self.at(offset, bytes.len())?;
        // SAFETY: `at` checked the destination; a slice outside the heap cannot overlap it.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        Some(())
    }

    /// Fills `len` bytes.
    pub fn fill(&self, offset: u32, len: usize, byte: u8) -> Option<()> {
        #[cfg(feature = "checked")]
        self.check(Access::Write, offset, len)?;
        self.set(offset, len, byte)
    }

    /// Copies `len` bytes from `from` of another view (or of this one, overlap allowed) to `to` of this one.
    #[inline]
    pub fn copy(&self, to: u32, source: &View<'_>, from: u32, len: usize) -> Option<()> {
        let target = self.at(to, len)?;
        let origin = source.at(from, len)?;
        #[cfg(feature = "checked")]
        match self.by {
            By::Collector => self.shadow.copy_object(to, from, len as u32, self.start == source.start),
            By::Runtime => {
                source.check(Access::Read, from, len)?;
                self.check(Access::Write, to, len)?;
            }
        }
        // SAFETY: `at` checked both ranges; `copy` allows overlap.
        unsafe { ptr::copy(origin, target, len) };
        Some(())
    }

    /// Reads a word, unchecked by the shadow.
    #[inline(always)]
    fn word(&self, offset: u32) -> Option<u32> {
        let word = self.at(offset, 4)?.cast::<u32>();
        // SAFETY: `at` checked that the word is committed memory, which any bits initialise.
        Some(unsafe { word.read_unaligned() })
    }

    /// Fills bytes, unchecked by the shadow.
    fn set(&self, offset: u32, len: usize, byte: u8) -> Option<()> {
        let to = self.at(offset, len)?;
        // SAFETY: `at` checked the range; no Rust reference into the heap exists.
        unsafe { ptr::write_bytes(to, byte, len) };
        Some(())
    }

    /// Holds an access against the shadow; what lies outside the view is refused anyway.
    #[cfg(feature = "checked")]
    fn check(&self, access: Access, offset: u32, len: usize) -> Option<()> {
        self.at(offset, len)?;
        self.shadow.access(self.by, access, offset, len);
        Some(())
    }
}
