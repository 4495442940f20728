//! What a collector is: constraints as data, an allocator's slow path and a collection. A collector is one folder and
//! one line of [`registry`].

use crate::heap::HeapCore;
use crate::{CollectKind, Error, ErrorKind, RootSet, copying, null};

/// How objects are allocated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AllocShape {
    /// Inline: take `[window.next, window.next + size)` if it fits below `window.end`, else call the slow path.
    Bump,
    /// Always call.
    Call,
}

/// What generated code does at a store of a reference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BarrierShape {
    /// A plain store.
    None,
}

/// A collector's needs, read by the JIT and by the runtime.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Constraints {
    /// Name in subjects and flags.
    pub name: &'static str,
    /// Allocation.
    pub alloc: AllocShape,
    /// Stores of references.
    pub write_barrier: BarrierShape,
    /// Whether a collection moves objects.
    pub moves: bool,
    /// Whether it ever collects (`null` does not).
    pub collects: bool,
    /// Flags that may be set in an object's type word while the mutator runs.
    pub header_flags: u32,
    /// Whether the collector's header word may be anything but 0 while the mutator runs.
    pub gc_word: bool,
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

/// A collector of one heap. The heap calls it at safepoints only, with no generated code running on the store.
///
/// Concept: the collector owns the division of the reservation into extents and the policy of when they grow; the heap
/// owns the reservation, layouts, window and counters ([`HeapCore`]), and runs stress modes and the verifier around it.
///
/// # Safety
/// Generated code trusts the references that it finds after a collection. An implementation promises:
/// 1. [`alloc`](Collector::alloc) returns a multiple of 8 such that the `size` bytes from there are committed, lie in
///    [`HeapCore::used`] afterwards, and overlap no other object.
/// 2. After a successful [`collect`](Collector::collect) every root slot and every traced field of a reachable object
///    refers to the object that it referred to before: null stays null, an i31 stays itself, two references are equal
///    if and only if they were equal before, and all other content is unchanged.
/// 3. It asks for the roots of [`RootPhase::State`](crate::RootPhase) first and follows them before it asks for those
///    of `Frames`; it copes with a slot that is shown twice.
/// 4. The objects in [`HeapCore::used`] lie back to back, in address order, from its start to its end.
/// 5. Outside a collection header words are clear but for what its [`Constraints`] declare.
/// 6. It trusts no word of the heap: type ids are masked, sizes and references are checked against the space. A bad
///    word ends in [`ErrorKind::Corrupt`], never in a panic, an endless loop or an access outside the extents.
/// 7. Inline allocation may use exactly the window, set through [`HeapCore::open`], and no byte behind it is in use.
/// 8. When `collect` fails with [`ErrorKind::Reservation`], no object has moved and no slot has changed.
pub unsafe trait Collector: Send {
    /// Its needs.
    fn constraints(&self) -> &'static Constraints;

    /// Declares extents in the fresh reservation, commits [`HeapCore::initial_bytes`], and opens the window.
    ///
    /// # Errors
    /// `Reservation`.
    fn start(&mut self, core: &mut HeapCore) -> Result<(), Error>;

    /// Takes `size` bytes (a multiple of 8, not 0) without a collection; it may grow the heap. `None` if none are left.
    /// The content is undefined.
    fn alloc(&mut self, core: &mut HeapCore, size: u32) -> Option<u32>;

    /// Collects, and makes room for `need` bytes if the limit allows. Does nothing if it never collects.
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
}

/// All collectors.
pub fn registry() -> &'static [CollectorEntry] {
    &[null::ENTRY, copying::ENTRY]
}

/// The collector of that name.
///
/// # Errors
/// `UnknownCollector`.
pub fn find(name: &str) -> Result<&'static CollectorEntry, Error> {
    let found = registry().iter().find(|entry| entry.constraints.name == name);
    found.ok_or_else(|| Error::new(ErrorKind::UnknownCollector(name.to_owned())))
}
