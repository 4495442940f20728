//! Wasmtime's errors as outcomes. It tells kinds of traps apart by a type and everything else by text.

use ::wasmtime::{Error, GcHeapOutOfMemory, ThrownException, Trap};

use super::host::Token;
use crate::graph::HeapGraph;
use crate::observe::{Outcome, RejectStage, Resource, TrapKind};

/// The outcome of a call, of a collection, or of the host's own use.
pub(super) fn outcome(error: &Error) -> Outcome {
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return trapped(*trap);
    }
    if error.is::<ThrownException>() {
        // Thrown where nothing can be called: see `Peer::failed`.
        return Outcome::Thrown { graph: HeapGraph::default() };
    }
    if error.is::<GcHeapOutOfMemory<()>>() || error.is::<GcHeapOutOfMemory<Token>>() {
        return Outcome::Exhausted(Resource::GcHeap);
    }
    if let Some(unsupported) = error.downcast_ref::<Unsupported>() {
        return Outcome::Unsupported(unsupported.0.into());
    }
    Outcome::Crashed(format!("{error:#}"))
}

/// The outcome of an instantiation, which can fail before anything runs.
pub(super) fn instantiation(error: &Error) -> Outcome {
    let text = format!("{error:#}");
    if text.contains("exceeds memory limits") || text.contains("exceeds table limits") {
        return Outcome::Exhausted(Resource::Memory);
    }
    if text.contains("incompatible import type") || text.contains("imports, found") {
        return Outcome::Rejected(RejectStage::Unlinkable, text);
    }
    outcome(error)
}

/// What the adapter cannot do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unsupported(pub(super) &'static str);

impl std::fmt::Display for Unsupported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Unsupported {}

/// Traps of proposals that are off do not occur: they fall to the crashes.
fn trapped(trap: Trap) -> Outcome {
    Outcome::Trapped(match trap {
        Trap::StackOverflow => return Outcome::Exhausted(Resource::CallStack),
        Trap::OutOfFuel => return Outcome::Exhausted(Resource::Fuel),
        Trap::MemoryOutOfBounds => TrapKind::MemoryOutOfBounds,
        Trap::TableOutOfBounds => TrapKind::TableOutOfBounds,
        Trap::IndirectCallToNull => TrapKind::UninitializedElement,
        Trap::BadSignature => TrapKind::IndirectCallTypeMismatch,
        Trap::IntegerOverflow => TrapKind::IntegerOverflow,
        Trap::IntegerDivisionByZero => TrapKind::IntegerDivideByZero,
        Trap::BadConversionToInteger => TrapKind::InvalidConversionToInteger,
        Trap::UnreachableCodeReached => TrapKind::Unreachable,
        Trap::NullReference => TrapKind::NullReference,
        Trap::ArrayOutOfBounds => TrapKind::ArrayOutOfBounds,
        Trap::AllocationTooLarge => TrapKind::AllocationTooLarge,
        Trap::CastFailure => TrapKind::CastFailure,
        other => return Outcome::Crashed(other.to_string()),
    })
}
