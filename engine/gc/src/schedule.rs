//! When to collect, and how: stress modes and schedules, as data.
//!
//! Safepoints and slow-path allocations are counted per heap, from 1. Counting all allocations needs each of them on the
//! slow path, so generated code's window is closed while a mode or a schedule counts allocations; it is the same code
//! that runs then. The same schedule on the same program and configuration collects at the same places.

use crate::CollectKind;

/// Random collections after which they come half as often, and how many times that happens.
const RANDOMS: u32 = 32;
const MOST_RARE: u32 = 16;

/// Testing modes; all can be combined.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stress {
    /// Collect at every allocation.
    pub every_alloc: bool,
    /// Collect at every n-th allocation (0 = off).
    pub every_nth: u32,
    /// Collect at every n-th safepoint (0 = off).
    pub every_safepoint: u32,
    /// Fill freed memory with a pattern.
    pub poison: bool,
    /// Verify the heap before and after each collection.
    pub verify: bool,
    /// Finish lazy sweeping at the end of each collection, so that dead objects are poisoned at once.
    pub settle: bool,
    /// Every write barrier takes its slow path, as far as its [`BarrierShape`](crate::BarrierShape) has one: the log has
    /// no room, so that each word is lost and collections find their way without it; snapshots are taken again as soon
    /// as the last one is done with, and nothing passes for marked.
    pub barrier_slow: bool,
    /// Each object that a collection covers goes to another place, where the collector moves objects at all
    /// ([`Constraints::moves`](crate::Constraints)).
    pub move_always: bool,
}

impl Stress {
    /// Whether every allocation must take the slow path.
    pub fn closes_window(&self) -> bool {
        self.every_alloc || self.every_nth != 0
    }
}

/// Where an event of a schedule takes place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Trigger {
    /// Before the n-th allocation on the slow path; see [`Heap::set_schedule`](crate::Heap::set_schedule).
    Allocation(u64),
    /// At the n-th safepoint.
    Safepoint(u64),
}

/// A collection at a place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Event {
    /// Where.
    pub at: Trigger,
    /// Which.
    pub kind: CollectKind,
}

/// Collections at chosen places.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Schedule {
    /// In any order; those at one place run in this order.
    pub events: Vec<Event>,
    /// Besides, collections of random kinds at random allocations and safepoints: one in sixteen, and half as often after
    /// each 32 of them (sixteen times), so that a long run stays quick.
    pub seed: Option<u64>,
}

impl Schedule {
    /// Whether nothing is scheduled.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.seed.is_none()
    }
}

/// A schedule on its way, with the stress modes.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    allocations: Vec<(u64, CollectKind)>,
    safepoints: Vec<(u64, CollectKind)>,
    random: Option<u64>,
    /// Random collections so far.
    randoms: u32,
    allocation: u64,
    safepoint: u64,
}

impl Agenda {
    /// Starts `schedule`; what has been counted so far stays.
    pub(crate) fn set(&mut self, schedule: &Schedule) {
        self.allocations.clear();
        self.safepoints.clear();
        // Stable sorts, latest first, so that `pop` takes the next one.
        for event in schedule.events.iter().rev() {
            match event.at {
                Trigger::Allocation(at) => self.allocations.push((at, event.kind)),
                Trigger::Safepoint(at) => self.safepoints.push((at, event.kind)),
            }
        }
        self.allocations.sort_by_key(|&(at, _)| std::cmp::Reverse(at));
        self.safepoints.sort_by_key(|&(at, _)| std::cmp::Reverse(at));
        (self.random, self.randoms) = (schedule.seed, 0);
    }

    /// Whether allocations must be counted.
    pub(crate) fn counts_allocations(&self) -> bool {
        !self.allocations.is_empty() || self.random.is_some()
    }

    /// Counts an allocation; calls `collect` for each collection that is due before it.
    pub(crate) fn allocation(&mut self, stress: &Stress, kinds: &[CollectKind]) -> Vec<CollectKind> {
        self.allocation += 1;
        let now = self.allocation;
        let nth = stress.every_nth != 0 && now.is_multiple_of(u64::from(stress.every_nth));
        let mut due = Agenda::take(&mut self.allocations, now);
        due.extend(self.chance());
        if due.is_empty() && (stress.every_alloc || nth) {
            let turn = if stress.every_alloc { now } else { now / u64::from(stress.every_nth) };
            due.extend(kinds.get(turn as usize % kinds.len().max(1)));
        }
        due
    }

    /// Counts a safepoint, likewise.
    pub(crate) fn safepoint(&mut self, stress: &Stress, kinds: &[CollectKind]) -> Vec<CollectKind> {
        self.safepoint += 1;
        let now = self.safepoint;
        let mut due = Agenda::take(&mut self.safepoints, now);
        due.extend(self.chance());
        let every = u64::from(stress.every_safepoint);
        if due.is_empty() && every != 0 && now.is_multiple_of(every) {
            due.extend(kinds.get((now / every) as usize % kinds.len().max(1)));
        }
        due
    }

    fn take(events: &mut Vec<(u64, CollectKind)>, now: u64) -> Vec<CollectKind> {
        let mut due = Vec::new();
        while let Some(&(at, kind)) = events.last()
            && at <= now
        {
            events.pop();
            if at == now {
                due.push(kind);
            }
        }
        due
    }

    /// One time in sixteen at first a collection of a random kind (SplitMix64).
    fn chance(&mut self) -> Option<CollectKind> {
        let state = self.random.as_mut()?;
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bits = mixed ^ (mixed >> 31);
        let rarer = (self.randoms / RANDOMS).min(MOST_RARE);
        if !bits.is_multiple_of(16 << rarer) {
            return None;
        }
        self.randoms += 1;
        let bits = bits >> (4 + rarer);
        Some(match bits & 7 {
            0 => CollectKind::Full,
            1..4 => CollectKind::Minor,
            _ => CollectKind::Slice { objects: 1 + (bits >> 4 & 15) as u32 },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order_and_once() {
        let event = |at, kind| Event { at, kind };
        let slice = CollectKind::Slice { objects: 5 };
        let schedule = Schedule {
            events: vec![
                event(Trigger::Allocation(3), CollectKind::Full),
                event(Trigger::Safepoint(1), slice),
                event(Trigger::Allocation(1), CollectKind::Minor),
                event(Trigger::Allocation(3), slice),
            ],
            seed: None,
        };
        let mut agenda = Agenda::default();
        agenda.set(&schedule);
        let stress = Stress::default();
        let kinds = [CollectKind::Full];
        assert!(agenda.counts_allocations());
        assert_eq!(agenda.allocation(&stress, &kinds), [CollectKind::Minor]);
        assert_eq!(agenda.allocation(&stress, &kinds), []);
        assert_eq!(agenda.allocation(&stress, &kinds), [CollectKind::Full, slice]);
        assert!(!agenda.counts_allocations());
        assert_eq!(agenda.allocation(&stress, &kinds), []);
        assert_eq!(agenda.safepoint(&stress, &kinds), [slice]);
        assert_eq!(agenda.safepoint(&stress, &kinds), []);
    }

    #[test]
    fn a_seed_gives_the_same_collections_again() {
        let run = |seed| {
            let mut agenda = Agenda::default();
            agenda.set(&Schedule { events: Vec::new(), seed: Some(seed) });
            (0..200).map(|_| agenda.allocation(&Stress::default(), &[])).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        assert!((2..60).contains(&run(7).iter().flatten().count()));
    }

    #[test]
    fn random_collections_become_rare() {
        let mut agenda = Agenda::default();
        agenda.set(&Schedule { events: Vec::new(), seed: Some(7) });
        let mut run =
            |places| -> usize { (0..places).map(|_| agenda.safepoint(&Stress::default(), &[]).len()).sum() };
        let (first, rest) = (run(400), run(100_000));
        assert!((10..40).contains(&first) && (100..400).contains(&rest), "{first} {rest}");
    }

    #[test]
    fn stress_goes_through_the_kinds() {
        let mut agenda = Agenda::default();
        let stress = Stress { every_nth: 2, every_safepoint: 3, ..Stress::default() };
        let kinds = [CollectKind::Minor, CollectKind::Full];
        let taken: Vec<_> = (0..8).flat_map(|_| agenda.allocation(&stress, &kinds)).collect();
        assert_eq!(taken, [CollectKind::Full, CollectKind::Minor, CollectKind::Full, CollectKind::Minor]);
        let taken: Vec<_> = (0..6).flat_map(|_| agenda.safepoint(&stress, &kinds)).collect();
        assert_eq!(taken, [CollectKind::Full, CollectKind::Minor]);
    }
}
