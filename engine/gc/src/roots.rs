//! What the runtime shows a collector: every root as a mutable slot. Collectors never see frames.

use crate::GcRef;

/// Where a root slot lies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum RootKind {
    /// A stack-map slot of a frame of the running activation(s).
    Frame,
    /// A stack-map slot of a frame on a suspended fiber.
    SuspendedFrame,
    /// A global of a reference type of the `any`/`extern` hierarchies.
    Global,
    /// A table element of such a type.
    Table,
    /// An element of a passive, not dropped element segment.
    Segment,
    /// A pending or caught exception's payload.
    Exception,
    /// A host handle.
    Handle,
}

/// Roots are shown in two phases, so that a collector can count what only frames keep alive.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RootPhase {
    /// Everything but frames.
    State,
    /// `Frame` and `SuspendedFrame` slots.
    Frames,
}

/// The roots of one store at one safepoint.
pub trait RootSet {
    /// Calls `visit` with each root slot of `phase`. A slot may be shown twice; the collector must cope with a slot
    /// that it has updated already. Slots of globals and tables are shown in place: the address tells them apart.
    fn visit(&mut self, phase: RootPhase, visit: &mut dyn FnMut(RootKind, &mut GcRef));
}
