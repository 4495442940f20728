//! What a collector is: constraints as data, an allocator's slow path and a collection. A collector is one folder and
//! one line of [`registry`].

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
}

/// A line of the registry.
#[derive(Clone, Copy, Debug)]
pub struct CollectorEntry {
    /// Its needs.
    pub constraints: &'static Constraints,
    /// One sentence for help texts.
    pub about: &'static str,
    // the implementation adds the constructor
}

/// A collector. (The contract is completed by the implementation.)
///
/// # Safety
/// See the numbered contract.
pub unsafe trait Collector: Send {}

/// All collectors.
pub fn registry() -> &'static [CollectorEntry] {
    unimplemented!()
}
