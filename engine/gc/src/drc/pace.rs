//! When to collect.
//!
//! Minor: when the log is three quarters full, or when a quarter of what the last collection left (at least
//! [`STEP`], and up to the initial size at first) has been handed out. Its work is in proportion to what was handed
//! out, to the log and to the deferred roots. Full: when a minor collection leaves more than twice what was left at the
//! lowest point since the last full one, which is either growth or dead cycles; near the limit, half of what is left of
//! the way there. An allocation that finds no room asks for a full one by itself.
//!
//! Invariant: a collection moves the thresholds away from what it left, so that none is due before bytes were handed
//! out or the log was filled again, however much is alive.

use super::taken;
use crate::CollectKind;
use crate::heap::HeapCore;
use crate::space::cells::Cells;

/// Least bytes between minor collections.
const STEP: u64 = 1 << 15;

/// Thresholds, in bytes.
#[derive(Default)]
pub(super) struct Pace {
    /// In use after the last collection.
    left: u64,
    /// More in use asks for a minor collection.
    minor: u64,
    /// More left by a minor collection asks for a full one.
    full: u64,
}

impl Pace {
    pub(super) fn start(&mut self, core: &HeapCore) {
        *self = Pace { left: 0, minor: core.initial_bytes(), full: core.initial_bytes() };
    }

    /// What is due before an allocation of `size` bytes.
    pub(super) fn due(&self, core: &HeapCore, cells: &Cells, size: u32) -> Option<CollectKind> {
        if self.left > self.full {
            return Some(CollectKind::Full);
        }
        let (entries, room) = core.log_fill();
        if entries * 4 >= room * 3 {
            return Some(CollectKind::Minor);
        }
        let limit = self.minor.saturating_sub(u64::from(size));
        // Lists are walked only when their cells decide.
        if taken(cells) <= limit {
            return None;
        }
        let used = cells.account(core).used;
        let handed_out = used.saturating_sub(self.left);
        (used > limit && handed_out >= STEP / 2).then_some(CollectKind::Minor)
    }

    /// Sets the thresholds after a collection that left `left` bytes in use and is followed by an allocation of `need`.
    pub(super) fn collected(&mut self, core: &HeapCore, left: u64, need: u32, full: bool) {
        let (initial, most) = (core.initial_bytes(), core.max_bytes());
        self.left = left;
        self.minor = (left + u64::from(need) + (left / 4).max(STEP)).max(initial).min(most);
        let next = (left * 2).max(initial);
        let next = if next <= most {
            next
        } else if most.saturating_sub(left) > most / 16 {
            left + (most - left) / 2
        } else {
            most
        };
        self.full = if full { next } else { self.full.min(next) };
    }
}
