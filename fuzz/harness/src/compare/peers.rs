//! What engines of other people may do that ours may not, by their subjects' names, each with its reason.

use super::DiscardKind;
use crate::observe::{Outcome, Resource, TrapKind};

/// Why a case's comparison may end where the subject `name` shows `own` and the other side `other`.
pub(super) fn permitted(name: &str, own: &Outcome, other: &Outcome) -> Option<DiscardKind> {
    let rest = name.strip_prefix("wasmtime:")?;
    let collector = rest.split(',').next().unwrap_or_default();
    match (own, other) {
        // It counts fuel in other units and has a multiple (`subject/wasmtime/fuel.rs`): it may go on for longer, but not less.
        (own, Outcome::Exhausted(Resource::Fuel)) if *own != Outcome::Exhausted(Resource::Fuel) => {
            Some(DiscardKind::Fuel)
        }
        // It charges for a bulk operation before it checks the bounds, the others after.
        (Outcome::Exhausted(Resource::Fuel), Outcome::Trapped(trap)) if is_of_bulk(*trap) => {
            Some(DiscardKind::Fuel)
        }
        // Wasmtime's documentation of `Collector::DeferredReferenceCounting`: cycles are not collected.
        (Outcome::Exhausted(Resource::GcHeap), other) if collector == "drc" && own != other => {
            Some(DiscardKind::LeakedCycles)
        }
        // Its null collector says so of every allocation that a heap which does not grow has no room for.
        (Outcome::Trapped(TrapKind::AllocationTooLarge), other) if collector == "null" && own != other => {
            Some(DiscardKind::NullHeap)
        }
        _ => None,
    }
}

/// Whether a bulk operation beyond some bound traps so.
fn is_of_bulk(trap: TrapKind) -> bool {
    use TrapKind as T;
    matches!(
        trap,
        T::MemoryOutOfBounds
            | T::TableOutOfBounds
            | T::ArrayOutOfBounds
            | T::AllocationTooLarge
            | T::NullReference
    )
}

/// Whether the subject is an engine of other people whose collector never collects.
pub(super) fn is_null_collector(name: &str) -> bool {
    name.strip_prefix("wasmtime:").and_then(|rest| rest.split(',').next()) == Some("null")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_peer_itself_is_excused() {
        let heap = Outcome::Exhausted(Resource::GcHeap);
        let fuel = Outcome::Exhausted(Resource::Fuel);
        let drc = |own: &Outcome, other: &Outcome| permitted("wasmtime:drc,opt=none", own, other);
        assert_eq!(drc(&heap, &Outcome::Done), Some(DiscardKind::LeakedCycles));
        assert_eq!(drc(&heap, &heap), None);
        assert_eq!(drc(&Outcome::Done, &heap), None);
        assert_eq!(drc(&Outcome::Done, &fuel), Some(DiscardKind::Fuel));
        assert_eq!(drc(&fuel, &Outcome::Done), None, "it has more than enough");
        assert_eq!(drc(&fuel, &fuel), None);
        for other in ["wasmtime:copying", "jit:drc", "interp"] {
            assert_eq!(permitted(other, &heap, &Outcome::Done), None, "{other}");
        }
        assert_eq!(permitted("jit:drc", &Outcome::Done, &fuel), None);
        assert_eq!(drc(&fuel, &Outcome::Trapped(TrapKind::TableOutOfBounds)), Some(DiscardKind::Fuel));
        let large = Outcome::Trapped(TrapKind::AllocationTooLarge);
        assert_eq!(permitted("wasmtime:null", &large, &Outcome::Done), Some(DiscardKind::NullHeap));
        assert_eq!(permitted("wasmtime:copying", &large, &Outcome::Done), None);
        assert!(is_null_collector("wasmtime:null,opt=none") && !is_null_collector("wasmtime:drc"));
    }
}
