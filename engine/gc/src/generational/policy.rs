//! When to collect, and how large the nursery is.
//!
//! A minor collection runs when an object does not fit the window, or when large objects of twice the nursery's
//! capacity are young. A full one runs in its place when old and large objects have reached the trigger: twice what
//! survived the last full collection, at least the initial size; and when the limit leaves the nursery less than half
//! of its capacity and at least as many bytes have been promoted since as it leaves. The capacity doubles when more
//! than a quarter of a full nursery survives, and is halved by full collections that find less than one nursery alive.

use super::{INLINE_MAX, Spaces};
use crate::CollectKind;
use crate::heap::HeapCore;

/// Bytes of the largest half.
pub(super) const MOST_NURSERY: u64 = 4 << 20;
/// Bytes of the smallest: survivors may take a half of it, and any object that is not large fits the rest.
const LEAST_NURSERY: u64 = 4 * INLINE_MAX as u64;
/// A half is a multiple of this.
const STEP: u64 = 4096;

/// The smallest (and first) and the largest capacity for a heap's initial size and limit, and halves of `half` bytes.
pub(super) fn nursery_bounds(initial: u64, limit: u64, half: u64) -> (u32, u32) {
    let most = (limit / 4).clamp(LEAST_NURSERY, half) / STEP * STEP;
    let least = (initial / 2).clamp(LEAST_NURSERY, most) / STEP * STEP;
    (least as u32, most as u32)
}

impl Spaces {
    /// The collection that should run before an object of `size` bytes is allocated.
    pub(super) fn due(&self, core: &HeapCore, size: u32) -> Option<CollectKind> {
        let small = size <= INLINE_MAX;
        let fits = size <= self.nursery.limit().saturating_sub(core.used().end);
        if (small && fits) || u64::from(size) > core.max_bytes() {
            return None;
        }
        let tenured = self.tenured();
        let room = core.max_bytes().saturating_sub(tenured);
        let grown = tenured.saturating_sub(self.floor);
        let capacity = u64::from(self.nursery.capacity());
        let wanted = if small { tenured } else { tenured + u64::from(size) };
        if wanted > self.trigger && self.trigger < core.max_bytes() {
            let mostly_young = self.young_large > 0 && self.young_large >= grown / 2;
            return Some(if mostly_young { CollectKind::Minor } else { CollectKind::Full });
        }
        if !small {
            return (self.young_large >= 2 * capacity).then_some(CollectKind::Minor);
        }
        let pressed = room < capacity / 2 && grown >= room;
        Some(if pressed { CollectKind::Full } else { CollectKind::Minor })
    }

    /// Sizes the nursery after a minor collection that copied `copied` of its `used` bytes.
    pub(super) fn resize_nursery(&mut self, core: &mut HeapCore, used: u32, copied: u64) {
        let capacity = self.nursery.capacity();
        let full = used >= capacity / 2;
        if full && copied > u64::from(used / 4) && capacity < self.nursery.most() {
            let larger = (capacity * 2).min(self.nursery.most());
            // Without memory for that it stays as it is.
            if self.nursery.set_capacity(core, larger).is_ok() {
                core.stats.grown += 1;
            }
        }
    }

    /// Sets the trigger, and gives memory back.
    pub(super) fn after_full(&mut self, core: &mut HeapCore, need: u32) {
        let tenured = self.tenured();
        self.floor = tenured;
        self.trigger = ((tenured + u64::from(need)) * 2).max(core.initial_bytes()).min(core.max_bytes());
        let capacity = self.nursery.capacity();
        if tenured < u64::from(capacity) && capacity > self.nursery.least() {
            let smaller = (capacity / 2).max(self.nursery.least());
            // Memory that is committed already.
            self.nursery.set_capacity(core, smaller).unwrap_or(());
        }
        let mut gave = self.old.shrink(core);
        let (active, idle) = (self.nursery.active(), self.nursery.idle());
        if capacity > self.nursery.capacity() {
            let behind = active.start + self.nursery.capacity()..active.start + capacity;
            gave |= core.memory.discard(active.extent, behind);
            gave |= core.memory.discard(idle.extent, idle.start..idle.start + capacity);
        }
        core.stats.shrunk += u64::from(gave);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nursery_takes_any_small_object_beside_its_survivors() {
        for (initial, limit, half) in
            [(0, 8, 1 << 16), (1 << 20, 1 << 30, 4 << 20), (1 << 40, 1 << 20, 1 << 22)]
        {
            let (least, most) = nursery_bounds(initial, limit, half);
            assert!(least / 2 >= INLINE_MAX && least <= most && u64::from(most) <= half);
        }
        assert_eq!(nursery_bounds(1 << 20, 1 << 30, 4 << 20), (1 << 19, 4 << 20));
    }
}
