//! What a heap and its collector share: reservation, layouts, mutator state, regions, limits, counters.
//!
//! A *region* is a part of an extent that holds objects. The bump space, if a collector opens one, is a region whose
//! end is the mutator's window; the others are set by the collector. Regions do not overlap.
//!
//! Invariant: the bump space's used part ends where the window begins. The mutator's words are checked whenever they
//! are read back.

use std::ops::Range;

use super::{HeapConfig, Pauses, Stats};
use crate::cards::Cards;
use crate::collector::Account;
use crate::header::{ARRAY_LENGTH, OBJECT_ALIGN, TYPE_ID_MASK, TYPE_WORD};
use crate::layout::{HOST_SIZE, Layout};
use crate::layout_table::LayoutTable;
use crate::memory::{ExtentId, FULL_SPAN, GRANULE, Memory, View};
use crate::mutator::{Log, Mutator, MutatorCell};
use crate::schedule::Stress;
use crate::space::classes::SIZE_CLASSES;
use crate::types::TypeId;
use crate::{Error, ErrorKind, GcRef};

/// Largest heap offset behind a space: the last multiple of 8 of 32 bits.
const MAX_LIMIT: u64 = FULL_SPAN - OBJECT_ALIGN as u64;

/// The space that the mutator bumps through.
#[derive(Clone, Copy)]
struct Space {
    extent: ExtentId,
    start: u32,
    limit: u32,
}

/// A part of an extent that holds objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// Where it lies.
    pub extent: ExtentId,
    /// Heap offset of its start.
    pub start: u32,
    /// Heap offset behind it.
    pub end: u32,
    /// Whether its objects lie back to back.
    pub linear: bool,
}

impl Region {
    /// Whether heap offset `at` lies in it.
    pub fn contains(&self, at: u32) -> bool {
        self.start <= at && at < self.end
    }
}

/// Names a region of a [`HeapCore`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegionId(usize);

/// What a heap and its collector share.
pub struct HeapCore {
    /// The reservation.
    pub memory: Memory,
    /// Layouts by type id.
    pub layouts: LayoutTable,
    /// Counters; a collector adds what it copied or marked and the root slots that it saw.
    pub stats: Stats,
    /// The heap adds its collections, spaces what allocations wait for besides.
    pub(crate) pauses: Pauses,
    config: HeapConfig,
    mutator: MutatorCell,
    space: Option<Space>,
    /// Where the window began when it was set last.
    counted: u32,
    regions: Vec<Region>,
    /// Heads of the free lists while they are closed to the mutator.
    held: [u32; SIZE_CLASSES],
    /// Whether every allocation must take the slow path.
    closed: bool,
    log: Option<Log>,
    cards: Option<Cards>,
}

impl HeapCore {
    pub(super) fn new(memory: Memory, layouts: LayoutTable, mut config: HeapConfig) -> HeapCore {
        let lowest = u64::from(OBJECT_ALIGN);
        config.max_bytes = (config.max_bytes / lowest * lowest).max(lowest);
        config.initial_bytes = config.initial_bytes.next_multiple_of(lowest).clamp(lowest, config.max_bytes);
        let closed = config.stress.closes_window();
        HeapCore {
            memory,
            layouts,
            stats: Stats::default(),
            pauses: Pauses::default(),
            config,
            mutator: MutatorCell::new(),
            space: None,
            counted: 0,
            regions: Vec::new(),
            held: [0; SIZE_CLASSES],
            closed,
            log: None,
            cards: None,
        }
    }

    /// One that no heap has, of full span.
    #[cfg(test)]
    pub(crate) fn bare(config: HeapConfig) -> HeapCore {
        let registry = crate::types::TypeRegistry::new().expect("the host's type");
        HeapCore::new(Memory::reserve(FULL_SPAN).expect("address space"), LayoutTable::new(registry), config)
    }

    /// Lowers the heap's limit to what a collector can hold in the reservation.
    pub fn limit_bytes(&mut self, most: u64) {
        let most = most.min(MAX_LIMIT - crate::memory::NULL_PAGE) / 8 * 8;
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

    // Regions.

    /// Adds a region, empty at first.
    pub fn add_region(&mut self, extent: ExtentId, start: u32, linear: bool) -> RegionId {
        self.regions.push(Region { extent, start, end: start, linear });
        RegionId(self.regions.len() - 1)
    }

    /// Moves a region's end.
    pub fn set_region_end(&mut self, region: RegionId, end: u32) {
        let region = &mut self.regions[region.0];
        region.end = end.max(region.start);
    }

    /// Moves a region within its extent.
    pub fn move_region(&mut self, region: RegionId, range: Range<u32>) {
        self.regions[region.0].start = range.start;
        self.set_region_end(region, range.end);
    }

    /// The regions, the used part of the bump space first.
    pub fn regions(&self) -> impl Iterator<Item = Region> + '_ {
        let bump = self.space.map(|space| {
            let used = self.used();
            Region { extent: space.extent, start: used.start, end: used.end, linear: true }
        });
        bump.into_iter().chain(self.regions.iter().copied())
    }

    /// The region that holds heap offset `at`.
    pub fn region_at(&self, at: u32) -> Option<Region> {
        self.regions().find(|region| region.contains(at))
    }

    /// A view of the extent of the region that holds `at`.
    pub fn view_at(&self, at: u32) -> Option<View<'_>> {
        self.region_at(at).map(|region| self.memory.view(region.extent))
    }

    /// The same, for what the runtime does.
    pub(super) fn runtime_view_at(&self, at: u32) -> Option<View<'_>> {
        self.view_at(at).map(View::for_runtime)
    }

    // The bump space.

    /// Makes `[start, limit)` of `extent` the mutator's bump space, of which `[start, next)` is in use. The window gets
    /// the rest, or nothing while every allocation takes the slow path. The rest is claimed by this; what was left of
    /// the bump space before is withdrawn.
    pub fn open(&mut self, extent: ExtentId, start: u32, next: u32, limit: u32) {
        self.stats.bytes_allocated += self.uncounted();
        if let Some(before) = self.space {
            self.memory.view(before.extent).withdrawn(self.used().end..before.limit);
        }
        self.memory.view(extent).claimed(next..limit);
        self.space = Some(Space { extent, start, limit });
        self.set_window(next);
    }

    /// Takes `size` bytes of the bump space; `None` if it is full.
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

    /// Where the objects of the bump space lie, back to back.
    pub fn used(&self) -> Range<u32> {
        match self.space {
            Some(space) => {
                let next = self.mutator.with(|mutator| mutator.next);
                space.start..next.clamp(space.start, space.limit) / 8 * 8
            }
            None => 0..0,
        }
    }

    /// The account of a collector that has nothing but a bump space.
    pub fn bump_account(&self) -> Account {
        let used = self.used();
        Account { used: u64::from(used.end - used.start), uncounted: self.uncounted() }
    }

    // Free lists.

    /// Gives the list of `class` that starts at `head` (0 = empty) to the mutator.
    pub fn set_head(&mut self, class: usize, head: u32) {
        let (open, held) = if self.closed { (0, head) } else { (head, 0) };
        self.held[class] = held;
        self.mutator.with(|mutator| mutator.heads[class] = open);
    }

    /// The first free cell of `class`, not checked; 0 = none.
    pub fn head(&self, class: usize) -> u32 {
        match self.held[class] {
            0 => self.mutator.with(|mutator| mutator.heads[class]),
            held => held,
        }
    }

    // Marking, log and cards.

    /// What the collector's word of a fresh object is.
    pub fn fresh(&self) -> u32 {
        self.mutator.with(|mutator| mutator.fresh)
    }

    /// Sets what the collector's word of a fresh object is.
    pub fn set_fresh(&mut self, word: u32) {
        self.mutator.with(|mutator| mutator.fresh = word);
    }

    /// Turns the snapshot barrier on or off, and says which word marked objects have.
    pub fn set_marking(&mut self, on: bool, colour: u32) {
        self.mutator.with(|mutator| {
            mutator.marking = u32::from(on);
            mutator.colour = colour;
        });
    }

    /// Whether the snapshot barrier is on, and the marked colour.
    pub fn marking(&self) -> (bool, u32) {
        self.mutator.with(|mutator| (mutator.marking != 0, mutator.colour))
    }

    /// Makes the barrier's log.
    pub fn make_log(&mut self, entries: usize) {
        self.log = Some(Log::new(entries, self.config.stress.barrier_slow, &self.mutator));
    }

    /// Entries in the log, and its room.
    pub fn log_fill(&self) -> (usize, usize) {
        self.log.as_ref().map_or((0, 0), |log| (log.len(&self.mutator), log.capacity()))
    }

    /// Whether the log has lost an entry.
    pub fn log_overflowed(&self) -> bool {
        self.log_lost() != 0
    }

    /// Words that the log has lost since it was emptied.
    pub(super) fn log_lost(&self) -> u64 {
        self.mutator.with(|mutator| mutator.log_lost)
    }

    /// Adds a word to the log, as a barrier does; whether there was room.
    pub fn log(&mut self, word: GcRef) -> bool {
        self.log.as_ref().is_some_and(|log| log.push(&self.mutator, word.0))
    }

    /// Empties the log: its words (not trusted), and whether others were lost.
    pub fn take_log(&mut self) -> (Vec<u32>, bool) {
        let (words, lost) = self.log.as_ref().map_or_else(Default::default, |log| log.take(&self.mutator));
        self.stats.log_lost += lost;
        self.stats.log_overflows += u64::from(lost != 0);
        (words, lost != 0)
    }

    /// The words in the log, not trusted.
    pub fn log_words(&self) -> Vec<u32> {
        self.log.as_ref().map_or_else(Vec::new, |log| log.words(&self.mutator))
    }

    /// Makes the card table.
    ///
    /// # Errors
    /// `Reservation`.
    pub fn make_cards(&mut self) -> Result<(), Error> {
        let cards = Cards::new(self.memory.span())?;
        self.mutator.with(|mutator| mutator.cards = cards.base());
        self.cards = Some(cards);
        Ok(())
    }

    /// The card table, if there is one.
    pub(crate) fn cards(&self) -> Option<&Cards> {
        self.cards.as_ref()
    }

    // The heap's own.

    pub(super) fn mutator(&self) -> *mut Mutator {
        self.mutator.as_ptr()
    }

    /// Tells the checks that a fresh object of type `ty`, with `len` elements if it is an array, is about to be written
    /// at `at`.
    pub(super) fn made(&self, at: u32, ty: TypeId, len: u32) {
        if cfg!(feature = "checked")
            && self.region_at(at).is_some()
            && let Some(layout) = self.layouts.get(ty)
            && let Some(size) = layout.size(len)
        {
            self.memory.made(at, size, layout, len);
        }
    }

    /// Refuses a window or a log that generated code has moved where it cannot be.
    pub(super) fn check_mutator(&self) -> Result<(), Error> {
        if self.log.as_ref().is_some_and(|log| !log.is_inside(&self.mutator)) {
            return Err(Error::corrupt("log out of bounds", 0));
        }
        let Some(space) = self.space else { return Ok(()) };
        let next = self.mutator.with(|mutator| mutator.next);
        if space.start <= next && next <= space.limit && next.is_multiple_of(OBJECT_ALIGN) {
            Ok(())
        } else {
            Err(Error::corrupt("allocation window out of bounds", next))
        }
    }

    pub(super) fn set_stress(&mut self, stress: Stress) {
        self.config.stress = stress;
        if let Some(log) = &mut self.log {
            log.close(stress.barrier_slow, &self.mutator);
        }
    }

    /// Closes inline allocation, or opens it again.
    pub(super) fn close(&mut self, closed: bool) {
        if self.closed == closed {
            return;
        }
        self.stats.bytes_allocated += self.uncounted();
        let next = self.used().end;
        let heads: [u32; SIZE_CLASSES] = std::array::from_fn(|class| self.head(class));
        self.closed = closed;
        if self.space.is_some() {
            self.set_window(next);
        }
        (0..SIZE_CLASSES).for_each(|class| self.set_head(class, heads[class]));
    }

    /// Bytes that inline allocation has bumped since the window was set.
    fn uncounted(&self) -> u64 {
        u64::from(self.used().end.saturating_sub(self.counted))
    }

    fn set_window(&mut self, next: u32) {
        let limit = self.space.map_or(next, |space| space.limit);
        let end = if self.closed { next } else { limit };
        self.mutator.with(|mutator| {
            mutator.next = next;
            mutator.end = end;
        });
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
