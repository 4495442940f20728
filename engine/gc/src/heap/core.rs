//! What a heap and its collector share: reservation, layouts, allocation window, limits, counters.
//!
//! Invariant: `used` ends where the window begins. The window lies outside every Rust value, since generated code
//! writes it, and its words are checked whenever they are read back.

use std::ops::Range;
use std::ptr::NonNull;

use super::{BumpWindow, HeapConfig, Stats, Stress};
use crate::header::{ARRAY_LENGTH, OBJECT_ALIGN, TYPE_ID_MASK, TYPE_WORD};
use crate::layout::{HOST_SIZE, Layout};
use crate::layout_table::LayoutTable;
use crate::memory::{ExtentId, FULL_SPAN, GRANULE, Memory, View};
use crate::types::TypeId;
use crate::{Error, ErrorKind};

/// Largest heap offset behind a space: the last multiple of 8 of 32 bits.
const MAX_LIMIT: u64 = FULL_SPAN - OBJECT_ALIGN as u64;

/// The stable home of a [`BumpWindow`].
struct WindowCell(NonNull<BumpWindow>);

// SAFETY: the window belongs to this value alone and is not tied to a thread.
unsafe impl Send for WindowCell {}

impl WindowCell {
    fn new() -> WindowCell {
        WindowCell(NonNull::from(Box::leak(Box::new(BumpWindow { next: 0, end: 0 }))))
    }

    fn next(&self) -> u32 {
        // SAFETY: allocated by `new`, freed by `drop` only; generated code that writes it is not running now.
        unsafe { (&raw const (*self.0.as_ptr()).next).read() }
    }

    fn set(&self, window: BumpWindow) {
        // SAFETY: as in `next`.
        unsafe { self.0.write(window) };
    }
}

impl Drop for WindowCell {
    fn drop(&mut self) {
        // SAFETY: `new` leaked this box, and nothing else frees it.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// The space that the mutator allocates in.
#[derive(Clone, Copy)]
struct Space {
    extent: ExtentId,
    start: u32,
    limit: u32,
}

/// What a heap and its collector share.
pub struct HeapCore {
    /// The reservation.
    pub memory: Memory,
    /// Layouts by type id.
    pub layouts: LayoutTable,
    /// Counters; a collector adds what it copied or marked and the root slots that it saw.
    pub stats: Stats,
    config: HeapConfig,
    window: WindowCell,
    space: Option<Space>,
    /// Where the window began when it was set last.
    counted: u32,
}

impl HeapCore {
    pub(super) fn new(memory: Memory, layouts: LayoutTable, mut config: HeapConfig) -> HeapCore {
        let lowest = u64::from(OBJECT_ALIGN);
        config.max_bytes = (config.max_bytes / lowest * lowest).max(lowest);
        config.initial_bytes = config.initial_bytes.next_multiple_of(lowest).clamp(lowest, config.max_bytes);
        let (window, stats) = (WindowCell::new(), Stats::default());
        HeapCore { memory, layouts, stats, config, window, space: None, counted: 0 }
    }

    /// Lowers the heap's limit to what a collector can hold in the reservation.
    pub fn limit_bytes(&mut self, most: u64) {
        let most = most.min(MAX_LIMIT - crate::memory::NULL_PAGE);
        self.config.max_bytes = self.config.max_bytes.min(most);
        self.config.initial_bytes = self.config.initial_bytes.min(most);
    }

    /// Most bytes of objects that the mutator may see.
    pub fn max_bytes(&self) -> u64 {
        self.config.max_bytes
    }

    /// Bytes to start with.
    pub fn initial_bytes(&self) -> u64 {
        self.config.initial_bytes
    }

    /// The testing modes.
    pub fn stress(&self) -> Stress {
        self.config.stress
    }

    /// Rounds up to granules.
    pub fn granules(&self, bytes: u64) -> u64 {
        bytes.next_multiple_of(GRANULE)
    }

    /// Declares an extent of the reservation.
    ///
    /// # Errors
    /// `Reservation` if it is too small.
    pub fn extent(&mut self, start: u64, limit: u64) -> Result<ExtentId, Error> {
        let bytes = limit.saturating_sub(start) as usize;
        self.memory.extent(start, limit).ok_or_else(|| Error::new(ErrorKind::Reservation { bytes, os: 0 }))
    }

    /// Makes `[start, limit)` of `extent` the mutator's space, of which `[start, next)` is in use. The window gets the
    /// rest, or nothing while a stress mode wants every allocation on the slow path.
    pub fn open(&mut self, extent: ExtentId, start: u32, next: u32, limit: u32) {
        self.stats.bytes_allocated += self.uncounted();
        self.space = Some(Space { extent, start, limit });
        self.set_window(next);
    }

    /// Takes `size` bytes of the mutator's space; `None` if it is full.
    pub fn bump(&mut self, size: u32) -> Option<u32> {
        let space = self.space?;
        let next = self.used().end;
        if size > space.limit - next {
            return None;
        }
        self.stats.bytes_allocated += self.uncounted() + u64::from(size);
        self.set_window(next + size);
        Some(next)
    }

    /// Where the mutator's objects lie, back to back.
    pub fn used(&self) -> Range<u32> {
        match self.space {
            Some(space) => space.start..self.window.next().clamp(space.start, space.limit) / 8 * 8,
            None => 0..0,
        }
    }

    /// A view of the mutator's space.
    pub fn view(&self) -> Option<View<'_>> {
        self.space.map(|space| self.memory.view(space.extent))
    }

    /// Calls `f` with each object of the used space, in address order: offset, type, bytes.
    ///
    /// # Errors
    /// `Corrupt` where an object is not well-formed.
    pub fn walk(&self, mut f: impl FnMut(u32, TypeId, u32)) -> Result<(), Error> {
        let used = self.used();
        let Some(view) = self.view() else { return Ok(()) };
        let mut at = used.start;
        while at < used.end {
            let (id, size) = measure(&view, &self.layouts, at)?;
            if size > used.end - at {
                return Err(Error::corrupt("object reaches beyond the used space", at));
            }
            f(at, id, size);
            at += size;
        }
        Ok(())
    }

    pub(super) fn window(&self) -> *mut BumpWindow {
        self.window.0.as_ptr()
    }

    /// Refuses a window that generated code has moved where it cannot be.
    pub(super) fn check_window(&self) -> Result<(), Error> {
        let next = self.window.next();
        let fits = self.space.is_some_and(|space| space.start <= next && next <= space.limit);
        if fits && next.is_multiple_of(OBJECT_ALIGN) {
            Ok(())
        } else {
            Err(Error::corrupt("allocation window out of bounds", next))
        }
    }

    pub(super) fn set_stress(&mut self, stress: Stress) {
        self.stats.bytes_allocated += self.uncounted();
        self.config.stress = stress;
        self.set_window(self.used().end);
    }

    /// Bytes that inline allocation has taken since the window was set.
    pub(super) fn uncounted(&self) -> u64 {
        u64::from(self.used().end.saturating_sub(self.counted))
    }

    fn set_window(&mut self, next: u32) {
        let limit = self.space.map_or(next, |space| space.limit);
        let end = if self.config.stress.closes_window() { next } else { limit };
        self.window.set(BumpWindow { next, end });
        self.counted = next;
    }
}

/// Type and size of the object at `at`, from its header.
///
/// # Errors
/// `Corrupt` unless the header is clean and names a type of objects, and an array's length is possible.
#[inline]
pub(crate) fn measure(view: &View<'_>, layouts: &LayoutTable, at: u32) -> Result<(TypeId, u32), Error> {
    let Some(word) = view.read_u32(at + TYPE_WORD) else {
        return Err(Error::corrupt("object outside the heap", at));
    };
    let id = TypeId(word & TYPE_ID_MASK);
    if word != id.0 {
        return Err(Error::corrupt("flags in a type word", at));
    }
    let size = match layouts.get(id) {
        Some(Layout::Struct(layout)) => Some(layout.size),
        Some(Layout::Array(layout)) => view.read_u32(at + ARRAY_LENGTH).and_then(|len| layout.size(len)),
        Some(Layout::Host) => Some(HOST_SIZE),
        None => return Err(Error::corrupt("type id", at)),
    };
    size.map(|size| (id, size)).ok_or_else(|| Error::corrupt("array length", at))
}
