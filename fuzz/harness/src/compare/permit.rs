//! Differences that are declared for a peer: they end a comparison, or are overlooked, and are counted.

use super::DiscardKind;
use crate::observe::{Outcome, Permit, Resource, TrapKind};

/// Whether two outcomes, of which one is a peer's with these permissions, differ in a way that ends the comparison.
pub(super) fn ends(permits: &[Permit], reference: &Outcome, peer: &Outcome) -> Option<DiscardKind> {
    if reference == peer {
        return None;
    }
    if permits.contains(&Permit::NeverCollects) && *peer == Outcome::Exhausted(Resource::GcHeap) {
        return Some(DiscardKind::NullHeap);
    }
    let (permit, discard) = match peer {
        Outcome::Exhausted(Resource::GcHeap) => (Permit::GcHeap, DiscardKind::PeerHeap),
        Outcome::Exhausted(Resource::Memory | Resource::Table) => (Permit::Memory, DiscardKind::PeerMemory),
        Outcome::Trapped(TrapKind::AllocationTooLarge) => (Permit::Limits, DiscardKind::PeerLimits),
        Outcome::TrappedSomehow(kinds, _) if kinds.contains(&TrapKind::AllocationTooLarge) => {
            (Permit::Limits, DiscardKind::PeerLimits)
        }
        _ => return None,
    };
    permits.contains(&permit).then_some(discard)
}

/// Whether two outcomes are traps that count as one, and what is counted for it.
pub(super) fn same_trap(permits: &[Permit], a: &Outcome, b: &Outcome) -> Option<Option<DiscardKind>> {
    let (a, b) = (kinds(a)?, kinds(b)?);
    if a.is_empty() || b.is_empty() || a.iter().any(|kind| b.contains(kind)) {
        return Some(None);
    }
    permits.contains(&Permit::TrapKinds).then_some(Some(DiscardKind::PeerTrapKinds))
}

/// The kinds that a trap may be of; all of them if there is none.
fn kinds(outcome: &Outcome) -> Option<&[TrapKind]> {
    match outcome {
        Outcome::Trapped(kind) => Some(std::slice::from_ref(kind)),
        Outcome::TrappedSomehow(kinds, _) => Some(kinds),
        _ => None,
    }
}
