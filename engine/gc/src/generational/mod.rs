//! `generational`: a copying nursery in front of a mark-compact old space.
//!
//! Concept: most objects die young (Ungar, "Generation scavenging", 1984), so a minor collection looks at the nursery
//! alone. Mechanism: the mutator bumps through one half of the nursery. A minor collection ([`minor`]) copies what is
//! reachable from roots and from dirty cards: to the other half what has not survived a collection yet, to the end of
//! the old space what has. Age is told by position: survivors lie below a boundary in their half, so that headers stay
//! clean. A full collection promotes everything, marks ([`mark`]), and slides the old space together in address order
//! ([`compact`]), so it keeps nothing that is dead. Objects above [`INLINE_MAX`] lie apart and never move, under
//! [`Stress::move_always`](crate::Stress) neither; those that were allocated since the last collection are young, too, and
//! a minor collection frees those that it does not reach.
//!
//! Policy: see [`policy`].
//!
//! Invariants, checked by [`check`]: bytes of nursery, old space and large objects never exceed the limit together. A
//! slot of an old object (or of a large one that is not young) that refers into the nursery or to a young large object
//! lies in a dirty card; objects that are made outside the nursery are young, or have all their cards dirty, since the
//! stores that initialise them mark nothing. Each slot of each object, dead or alive, is valid: a minor collection
//! keeps what dead old objects refer to, a full one leaves none of those behind.

mod check;
mod compact;
mod mark;
mod minor;
mod nursery;
mod old;
mod policy;
mod slots;

use crate::collector::{
    Account, AllocShape, BarrierShape, CodeShape, Collector, CollectorEntry, Constraints,
};
use crate::heap::HeapCore;
use crate::memory::{GRANULE, NULL_PAGE};
use crate::space::large::Large;
use crate::verify::Facts;
use crate::{CollectKind, Error, ErrorKind, RootSet};
use minor::RootWords;
use nursery::Nursery;
use old::Old;

/// Objects of more bytes are large.
const INLINE_MAX: u32 = 8 << 10;

const CONSTRAINTS: Constraints = Constraints {
    name: "generational",
    code: CodeShape {
        alloc: AllocShape::Bump,
        inline_max: INLINE_MAX,
        write_barrier: BarrierShape::Card,
        barrier_on_roots: false,
        gc_word: false,
    },
    moves: true,
    collects: true,
    header_flags: 0,
    stress_kinds: &[CollectKind::Minor, CollectKind::Minor, CollectKind::Full, CollectKind::Minor],
    headroom: 120,
};

/// The registry's line.
pub(crate) const ENTRY: CollectorEntry = CollectorEntry {
    constraints: &CONSTRAINTS,
    about: "copying nursery, promotion by age, card marking, mark-compact old space, large objects apart",
    make: || Box::new(Generational::default()),
};

#[derive(Default)]
struct Generational {
    /// None before `start`.
    spaces: Option<Spaces>,
}

/// The generations and the policy's state.
struct Spaces {
    nursery: Nursery,
    old: Old,
    large: Large,
    /// Bytes of old and large objects that ask for a full collection.
    trigger: u64,
    /// Bytes of old and large objects after the last full collection.
    floor: u64,
    /// Bytes of large objects allocated since the last collection.
    young_large: u64,
}

fn not_started() -> Error {
    Error::new(ErrorKind::Reservation { bytes: 0, os: 0 })
}

impl Spaces {
    /// Divides the reservation.
    fn new(core: &mut HeapCore) -> Result<Spaces, Error> {
        let room = core.memory.span() - NULL_PAGE;
        let half = (room / 16).clamp(GRANULE, policy::MOST_NURSERY) / GRANULE * GRANULE;
        let large = room.saturating_sub(2 * half) / 2 / GRANULE * GRANULE;
        let old = room.saturating_sub(2 * half + large) / GRANULE * GRANULE;
        if large == 0 {
            return Err(Error::new(ErrorKind::Reservation { bytes: room as usize, os: 0 }));
        }
        // The old space may have to take everything: large objects lie there if their own space is too fragmented.
        core.limit_bytes(old);
        core.make_cards()?;
        let old_start = NULL_PAGE + 2 * half;
        let nursery = Nursery::new(core, NULL_PAGE, half)?;
        let old_space = Old::new(core, old_start, old_start + old)?;
        let large = Large::new(core, old_start + old, old_start + old + large)?;
        let trigger = core.initial_bytes();
        let (floor, young_large) = (0, 0);
        Ok(Spaces { nursery, old: old_space, large, trigger, floor, young_large })
    }

    /// Bytes of old and large objects.
    fn tenured(&self) -> u64 {
        u64::from(self.old.used()) + self.large.used()
    }

    /// Bytes that the nursery may take under the limit.
    fn nursery_room(&self, core: &HeapCore) -> u64 {
        core.max_bytes().saturating_sub(self.tenured())
    }

    /// Takes room for an object that the nursery does not take.
    fn alloc_large(&mut self, core: &mut HeapCore, size: u32) -> Option<u32> {
        let used = core.used();
        if u64::from(size) + u64::from(used.end - used.start) > self.nursery_room(core) {
            return None;
        }
        let at = match self.large.alloc(core, size) {
            Some(at) => {
                self.young_large += u64::from(size);
                at
            }
            None => {
                let at = self.old.alloc(core, size)?;
                core.stats.bytes_allocated += u64::from(size);
                // It is written without barriers until the next collection.
                core.cards()?.mark(at..at + size);
                at
            }
        };
        let room = self.nursery_room(core);
        self.nursery.open(core, used.end, room);
        Some(at)
    }

    /// Everything but the policy of a minor collection.
    fn minor(&mut self, core: &mut HeapCore, roots: &mut dyn RootSet) -> Result<(), Error> {
        let survived = self.scavenge(core, None, roots)?;
        core.stats.minor += 1;
        core.stats.objects_survived += survived.objects;
        core.stats.bytes_survived += survived.bytes;
        core.stats.survived_from_frames_only += survived.from_frames;
        self.resize_nursery(core, survived.nursery_bytes, survived.copied_bytes);
        let room = self.nursery_room(core);
        self.nursery.open(core, survived.next, room);
        Ok(())
    }

    /// A full collection: promotes what is young, marks, slides.
    fn full(&mut self, core: &mut HeapCore, need: u32, roots: &mut dyn RootSet) -> Result<(), Error> {
        let mut words = RootWords::default();
        let survived = self.scavenge(core, Some(&mut words), roots)?;
        self.mark_compact(core, &words, roots)?;
        core.stats.full += 1;
        self.after_full(core, need);
        let room = self.nursery_room(core);
        self.nursery.open(core, survived.next, room);
        Ok(())
    }
}

// SAFETY: 1: the nursery is committed up to the window's end, the old space and a large object when they are extended;
// the spaces are apart. 2: see `minor` and `compact`, and the remembered set in the module's invariant. 3: see
// `Spaces::scavenge`; it asks again for slots that it updates, and tells updated ones by a tag or by where they refer.
// 4: the nursery's survivors and the old space are filled back to back; `cells` shows the large objects. 5: flags and
// collector's words are written in the abandoned half alone. 6: see `minor`, `mark`. 7: `Nursery::open`. 8: memory for
// copies and promotion is committed before anything changes; what follows commits nothing that it needs.
unsafe impl Collector for Generational {
    fn constraints(&self) -> &'static Constraints {
        &CONSTRAINTS
    }

    fn start(&mut self, core: &mut HeapCore) -> Result<(), Error> {
        let mut spaces = Spaces::new(core)?;
        let room = spaces.nursery_room(core);
        let start = spaces.nursery.active().start;
        spaces.nursery.open(core, start, room);
        self.spaces = Some(spaces);
        Ok(())
    }

    fn alloc(&mut self, core: &mut HeapCore, size: u32) -> Option<u32> {
        let spaces = self.spaces.as_mut()?;
        if size <= INLINE_MAX { core.bump(size) } else { spaces.alloc_large(core, size) }
    }

    fn due(&self, core: &HeapCore, size: u32) -> Option<CollectKind> {
        self.spaces.as_ref()?.due(core, size)
    }

    fn collect(
        &mut self,
        core: &mut HeapCore,
        kind: CollectKind,
        need: u32,
        roots: &mut dyn RootSet,
    ) -> Result<(), Error> {
        let spaces = self.spaces.as_mut().ok_or_else(not_started)?;
        match kind {
            CollectKind::Minor | CollectKind::Slice { .. } => spaces.minor(core, roots),
            CollectKind::Full => spaces.full(core, need, roots),
        }
    }

    fn cells(&self, _core: &HeapCore, f: &mut dyn FnMut(u32, u32) -> Result<(), Error>) -> Result<(), Error> {
        let spaces = self.spaces.as_ref().ok_or_else(not_started)?;
        spaces.large.iter().try_for_each(|(at, object)| f(at, object.size))
    }

    fn account(&self, core: &HeapCore) -> Account {
        let Account { used, uncounted } = core.bump_account();
        Account { used: used + self.spaces.as_ref().map_or(0, Spaces::tenured), uncounted }
    }

    fn check(&self, core: &HeapCore, facts: &Facts<'_>) -> Result<(), Error> {
        self.spaces.as_ref().ok_or_else(not_started)?.check(core, facts)
    }
}
