//! What a collector is: constraints as data, an allocator's slow path and a collection. A collector is one folder and
//! one line of [`registry`](crate::registry).

use crate::heap::HeapCore;
use crate::verify::Facts;
use crate::{CollectKind, Error, ErrorKind, RootSet};

/// How objects are allocated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AllocShape {
    /// Inline: take `[next, next + size)` of the [`Mutator`](crate::Mutator) if it fits below `end`, else call.
    Bump,
    /// Inline: take the first cell of the list of the object's [size class](crate::size_class), else call.
    FreeList,
    /// Always call.
    Call,
}

/// What is done at a store of a reference, by generated code without a call and by the heap's own stores. What is said of
/// [`Stress::barrier_slow`](crate::Stress) is the slow path that each store takes then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BarrierShape {
    /// A plain store.
    None,
    /// Mark the card of the slot; a store that is known to be of null need not. Stores into objects made after the last
    /// safepoint mark nothing; under `barrier_slow` they do, which promises no less: a card may be dirty without need, in
    /// the nursery too.
    Card,
    /// Count the new referent up and the old one down in the collector's word, by [`COUNT_ONE`](crate::COUNT_ONE). When the
    /// old one's word becomes 0, which says that nothing is counted and the log does not hold it, push it into the log and,
    /// if there was room, make the word [`COUNT_LOGGED`](crate::COUNT_LOGGED). Stores into fresh objects count up only.
    /// Under `barrier_slow` the log has no room: the words are lost, and the collection looks at every object for those of
    /// count 0. A fresh object's slot has no old value (its memory may hold anything), so its store is the whole barrier
    /// already.
    Count,
    /// While marking: unless the old referent's collector's word has the marked colour, push it into the log and, if there
    /// was room, give it the colour of fresh objects. Stores into fresh objects do nothing. Under `barrier_slow` the
    /// collector is marking all the time, its marked colour is no object's, and the log has no room, so each store over a
    /// reference loses a word: the next slice gives its cycle up, marks at once, and begins another. A fresh object's slot
    /// has no old value that a snapshot could hold.
    Snapshot,
}

/// All that generated code knows of its collector: two collectors of one shape run the same code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CodeShape {
    /// Allocation.
    pub alloc: AllocShape,
    /// Larger objects (bytes) are never allocated inline.
    pub inline_max: u32,
    /// Stores of references into objects.
    pub write_barrier: BarrierShape,
    /// Whether references in globals and tables count too (`BarrierShape::Count` only). The slots are shown as roots all
    /// the same.
    pub barrier_on_roots: bool,
    /// Whether the collector's header word may be anything but 0 while the mutator runs.
    pub gc_word: bool,
}

/// A collector's needs: what the JIT builds in, and what the runtime, the heap and the harness ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Constraints {
    /// Name in subjects and flags.
    pub name: &'static str,
    /// What the JIT builds into code.
    pub code: CodeShape,
    /// Whether a collection moves objects. Larger ones than `code.inline_max` may stay where they are all the
    /// same; [`Stress::move_always`](crate::Stress) is about the others.
    pub moves: bool,
    /// Whether it ever collects (`null` does not).
    pub collects: bool,
    /// Flags that may be set in an object's type word while the mutator runs.
    pub header_flags: u32,
    /// The collections that stress modes go through, in turn.
    pub stress_kinds: &'static [CollectKind],
    /// The heap limit that it runs a program in, in percent of the most bytes (by its [`layout`](crate::layout)) that the
    /// program reaches at once; 0 if it never collects. The harness gives such limits to generated cases, and a
    /// collector that runs out of memory in one is at fault. Measured, with a margin (`fuzz/harness/src/limits.rs`).
    pub headroom: u32,
}

/// A line of the registry.
#[derive(Clone, Copy, Debug)]
pub struct CollectorEntry {
    /// Its needs.
    pub constraints: &'static Constraints,
    /// One sentence for help texts.
    pub about: &'static str,
    pub(crate) make: fn() -> Box<dyn Collector>,
}

/// Bytes as a collector counts them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Account {
    /// Taken by objects, live or not yet reclaimed.
    pub used: u64,
    /// Handed out to inline allocation and used there, but not yet in [`Stats::bytes_allocated`](crate::Stats).
    pub uncounted: u64,
}

/// A collector of one heap. The heap calls it at safepoints only, with no generated code running on the store.
///
/// Concept: the collector owns the division of the reservation into extents and the policy of when they grow; the heap
/// owns the reservation, layouts, mutator state and counters ([`HeapCore`]), and runs stress modes, schedules and the
/// verifier around it. Before objects are made or copied somewhere the collector claims the space, and it frees the
/// space of dead and of moved objects (`memory/watch.rs`), which is where poison and the tools that watch memory come in.
///
/// # Safety
/// Generated code trusts the references that it finds after a collection. An implementation promises:
/// 1. [`alloc`](Collector::alloc) returns a multiple of 8 such that the `size` bytes from there are committed, lie in
///    a region of [`HeapCore`] afterwards, and overlap no other object.
/// 2. After a successful [`collect`](Collector::collect) every root slot and every traced field of a reachable object
///    refers to the object that it referred to before: null stays null, an i31 stays itself, two references are equal
///    if and only if they were equal before, and all other content is unchanged.
/// 3. It asks for the roots of [`RootPhase::State`](crate::RootPhase) first and follows them before it asks for those
///    of `Frames`; it copes with a slot that is shown twice.
/// 4. In a linear region the objects lie back to back, in address order, from its start to its end. Objects of other
///    regions are those that [`cells`](Collector::cells) shows.
/// 5. Outside a collection header words are clear but for what its [`Constraints`] declare.
/// 6. It trusts no word of the heap: type ids are masked, sizes and references are checked against the space. A bad
///    word ends in [`ErrorKind::Corrupt`], never in a panic, an endless loop or an access outside the extents.
/// 7. Inline allocation may use exactly the window and the free cells that it has opened through [`HeapCore`], and no
///    byte of them is in use.
/// 8. When `collect` fails with [`ErrorKind::Reservation`], no object has moved and no slot has changed.
pub unsafe trait Collector: Send {
    /// Its needs.
    fn constraints(&self) -> &'static Constraints;

    /// Declares extents and regions in the fresh reservation, commits [`HeapCore::initial_bytes`], and opens what
    /// inline allocation may use.
    ///
    /// # Errors
    /// `Reservation`.
    fn start(&mut self, core: &mut HeapCore) -> Result<(), Error>;

    /// Takes `size` bytes (a multiple of 8, not 0) without a collection; it may grow the heap. `None` if none are left.
    /// The content is undefined, except that the heap writes the collector's word of the object afterwards
    /// ([`HeapCore::fresh`]).
    fn alloc(&mut self, core: &mut HeapCore, size: u32) -> Option<u32>;

    /// The collection that its policy wants before an allocation of `size` bytes on the slow path.
    fn due(&self, core: &HeapCore, size: u32) -> Option<CollectKind> {
        let _ = (core, size);
        None
    }

    /// Collects, and makes room for `need` bytes if the limit allows. Does nothing if it never collects. A kind that it
    /// has not is the next larger one that it has.
    ///
    /// # Errors
    /// `Corrupt`, after which the heap is not used again; `Reservation`.
    fn collect(
        &mut self,
        core: &mut HeapCore,
        kind: CollectKind,
        need: u32,
        roots: &mut dyn RootSet,
    ) -> Result<(), Error>;

    /// Completes what a collection has put off (lazy sweeping), so that only survivors are left.
    ///
    /// # Errors
    /// `Corrupt`.
    fn settle(&mut self, core: &mut HeapCore) -> Result<(), Error> {
        let _ = core;
        Ok(())
    }

    /// Calls `f` with each place of the regions that are not linear that holds an object, dead or alive: its offset and
    /// the bytes of its cell (of its size class, or just its own if it is large). In address order within a region.
    ///
    /// # Errors
    /// Those of `f`; `Corrupt`.
    fn cells(&self, core: &HeapCore, f: &mut dyn FnMut(u32, u32) -> Result<(), Error>) -> Result<(), Error> {
        let _ = (core, f);
        Ok(())
    }

    /// Bytes in use.
    fn account(&self, core: &HeapCore) -> Account {
        core.bump_account()
    }

    /// Checks the collector's own invariants against what the verifier found by itself.
    ///
    /// # Errors
    /// `Verify`.
    fn check(&self, core: &HeapCore, facts: &Facts<'_>) -> Result<(), Error> {
        let _ = (core, facts);
        Ok(())
    }
}

/// The collector of that name.
///
/// # Errors
/// `UnknownCollector`.
pub fn find(name: &str) -> Result<&'static CollectorEntry, Error> {
    let found = crate::registry().iter().find(|entry| entry.constraints.name == name);
    found.ok_or_else(|| Error::new(ErrorKind::UnknownCollector(name.to_owned())))
}
