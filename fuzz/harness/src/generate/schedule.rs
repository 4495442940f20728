//! When a generated case collects, and which of its fibers runs: a part of the input like the program itself.
//!
//! Programs force collections themselves; a schedule adds those at places that no program can name, between an
//! allocation and the next, at a loop's header, half of a cycle here and the rest there. Safepoints are many (one per
//! iteration), so what counts them uses larger numbers: a case stays quick.

use assay_gc::{CollectKind, Event, Trigger};

use super::choices::Choices;
use crate::Schedule;
use crate::case::{Collection, Mode, Slice, Turn};

/// Single collections of one case, at most.
const MAX_COLLECTIONS: usize = 8;

/// Modes that a case may ask for, each in one case of so many.
const MODES: &[(&str, usize)] =
    &[("settle", 2), ("barrier-slow", 8), ("move-always", 8), ("no-poison", 6), ("verify", 18)];

/// A schedule that says when to collect and nothing else.
pub(crate) fn collections(c: &mut Choices<'_, '_>) -> Schedule {
    drawn(c, true)
}

/// The same, without collections at safepoints if code is to pass none.
fn drawn(c: &mut Choices<'_, '_>, safepoints: bool) -> Schedule {
    let mut schedule = Schedule { modes: modes(c), ..Schedule::default() };
    match c.below(16) {
        0..6 => {}
        8..10 if safepoints => schedule.collect_every_safepoint = Some(c.range(40, 800) as u32),
        14 if safepoints => {
            schedule.collect_seed = Some(u32::from(c.byte()) << 8 | u32::from(c.byte()));
        }
        6..10 => schedule.collect_every = Some(c.range(3, 40) as u32),
        10..15 => schedule.collect = several(c, safepoints),
        _ => {
            schedule.collect = several(c, safepoints);
            schedule.collect_every = Some(c.range(20, 100) as u32);
        }
    }
    schedule
}

/// Another schedule for the program of `first`. The program stays compiled: code passes safepoints, and takes the slow way through barriers,
/// if it did so under `first`.
pub(super) fn again(first: &Schedule, c: &mut Choices<'_, '_>) -> Schedule {
    let safepoints = first.wants_safepoints();
    let mut fresh = drawn(c, safepoints);
    if safepoints && !fresh.wants_safepoints() {
        fresh.collect.push(Collection(Event { at: Trigger::Safepoint(small(c, 11)), kind: kind(c) }));
    }
    fresh.modes.retain(|mode| !mode.changes_code());
    fresh.modes.extend(first.modes.iter().filter(|mode| mode.changes_code()).cloned());
    Schedule {
        collect_every: fresh.collect_every,
        collect_every_safepoint: fresh.collect_every_safepoint,
        collect_seed: fresh.collect_seed,
        collect: fresh.collect,
        modes: fresh.modes,
        turns: if first.fibers > 0 { turns(c, first.fibers) } else { Vec::new() },
        ..first.clone()
    }
}

fn several(c: &mut Choices<'_, '_>, safepoints: bool) -> Vec<Collection> {
    (0..c.range(1, MAX_COLLECTIONS)).map(|_| collection(c, safepoints)).collect()
}

/// Modes of other ways through a collector, and of what shows a fault: eager or lazy sweeping, with or without a pattern in
/// what is freed, the verifier.
fn modes(c: &mut Choices<'_, '_>) -> Vec<Mode> {
    let mut modes = Vec::new();
    for (name, one_in) in MODES {
        if c.below(*one_in) == 0 {
            modes.extend(name.parse());
        }
    }
    modes
}

/// Turns of one case, at most, before the fibers go on in order.
const MAX_TURNS: usize = 60;

/// Turns of `fibers` fibers: short ones mostly, so that they interleave within statements.
pub(super) fn turns(c: &mut Choices<'_, '_>, fibers: u32) -> Vec<Turn> {
    let turn = |c: &mut Choices<'_, '_>| {
        let fiber = c.below(fibers as usize) as u32;
        let slice = match c.below(8) {
            0 | 1 => Slice::default(),
            2 => Slice { fuel: None, epochs: Some(small(c, 2)) },
            3 => Slice { fuel: Some(small(c, 9)), epochs: Some(small(c, 2)) },
            _ => Slice { fuel: Some(small(c, 9)), epochs: None },
        };
        match c.below(24) {
            0 => Turn::Cancel(fiber),
            1..4 => Turn::Collect,
            4 => Turn::Epoch,
            _ => Turn::Resume(fiber, slice),
        }
    };
    (0..c.range(4, MAX_TURNS)).map(|_| turn(c)).collect()
}

/// Early places more often than late ones.
fn collection(c: &mut Choices<'_, '_>, safepoints: bool) -> Collection {
    let kind = kind(c);
    let at = if c.below(2) == 1 && safepoints {
        Trigger::Safepoint(small(c, 11))
    } else {
        Trigger::Allocation(small(c, 8))
    };
    Collection(Event { at, kind })
}

fn kind(c: &mut Choices<'_, '_>) -> CollectKind {
    match c.below(8) {
        0..3 => CollectKind::Minor,
        3..5 => CollectKind::Full,
        _ => CollectKind::Slice { objects: small(c, 6) as u32 },
    }
}

/// From 1 to 2^`bits`, each length as often.
fn small(c: &mut Choices<'_, '_>, bits: usize) -> u64 {
    let most = 1 << c.range(1, bits);
    1 + c.below(most) as u64
}

#[cfg(test)]
mod tests {
    use arbitrary::Unstructured;

    use super::*;
    use crate::generate::{SCHEDULES, from_seed, registry, seed_bytes, under_schedule};
    use crate::{Action, Case, Step};

    #[test]
    fn every_sort_of_schedule_is_made() {
        let (mut none, mut allocations, mut safepoints, mut seeds) = (0, 0, 0, 0);
        let mut kinds = std::collections::HashSet::new();
        let mut modes = std::collections::HashSet::new();
        for seed in 0..300 {
            let bytes = seed_bytes(seed);
            let schedule = collections(&mut Choices::new(&mut Unstructured::new(&bytes)));
            assert_eq!(schedule, collections(&mut Choices::new(&mut Unstructured::new(&bytes))));
            none += usize::from(Schedule { modes: Vec::new(), ..schedule.clone() } == Schedule::default());
            modes.extend(schedule.modes.iter().map(|mode| mode.to_string()));
            allocations += usize::from(schedule.collect_every.is_some());
            safepoints += usize::from(schedule.collect_every_safepoint.is_some());
            seeds += usize::from(schedule.collect_seed.is_some());
            assert!(schedule.collect.len() <= MAX_COLLECTIONS);
            for collection in &schedule.collect {
                kinds.insert((std::mem::discriminant(&collection.0.kind), collection.at_safepoint()));
            }
        }
        assert!((60..180).contains(&none), "{none}");
        assert!(allocations > 20 && safepoints > 15 && seeds > 8, "{allocations} {safepoints} {seeds}");
        assert_eq!(kinds.len(), 6);
        assert_eq!(modes.len(), MODES.len());
    }

    #[test]
    fn another_schedule_leaves_the_program_compiled() {
        let mut seen = std::collections::HashSet::new();
        let program = |case: &Case| -> Vec<Step> {
            let mut steps = case.steps.clone();
            for step in &mut steps {
                if let Action::Invoke { args, .. } = &mut step.action {
                    args.clear();
                }
            }
            steps
        };
        // By generator.
        let mut called_otherwise = std::collections::BTreeMap::new();
        let seeds = registry().iter().flat_map(|entry| (0..50).map(|seed| (entry.name, seed)));
        for (generator, seed) in seeds {
            let first = from_seed(generator, seed).unwrap();
            assert_eq!(under_schedule(&first, 0), first);
            seen.insert(first.to_wast());
            for number in 1..SCHEDULES {
                let other = under_schedule(&first, number);
                assert_eq!(other, under_schedule(&first, number));
                assert_eq!(program(&other), program(&first));
                *called_otherwise.entry(generator).or_insert(0) += usize::from(other.steps != first.steps);
                assert!(
                    other.steps == first.steps || first.schedule.gc_heap_max.is_none(),
                    "the limit is for certain objects"
                );
                let (one, two) = (&first.schedule, &other.schedule);
                assert_eq!(one.wants_safepoints(), two.wants_safepoints());
                let slow = |schedule: &Schedule| schedule.stress(Default::default()).barrier_slow;
                assert_eq!(slow(one), slow(two));
                assert_eq!(
                    (one.fuel, one.fibers, one.gc_heap_max, one.observe_state),
                    (two.fuel, two.fibers, two.gc_heap_max, two.observe_state)
                );
                assert_eq!(
                    two.origin,
                    Some(format!("generator {generator}, seed {seed}, schedule {number}"))
                );
                let same =
                    Schedule { origin: None, ..one.clone() } == Schedule { origin: None, ..two.clone() };
                seen.extend((!same).then(|| other.to_wast()));
            }
        }
        // Most of 350; of smith's cases many take no arguments.
        assert!(called_otherwise.values().all(|&count| count > 100), "{called_otherwise:?}");
        assert!(seen.len() > 600, "{}", seen.len());
    }

    #[test]
    fn every_sort_of_turn_is_made() {
        let mut seen = std::collections::HashSet::new();
        for seed in 0..40 {
            let bytes = seed_bytes(seed);
            for turn in turns(&mut Choices::new(&mut Unstructured::new(&bytes)), 3) {
                seen.insert(match turn {
                    Turn::Resume(fiber, Slice { fuel, epochs }) => {
                        assert!(fiber < 3 && fuel != Some(0) && epochs != Some(0));
                        (0, fuel.is_some(), epochs.is_some())
                    }
                    Turn::Cancel(fiber) => {
                        assert!(fiber < 3);
                        (1, false, false)
                    }
                    Turn::Collect => (2, false, false),
                    Turn::Epoch => (3, false, false),
                });
            }
        }
        assert_eq!(seen.len(), 4 + 3);
    }

    #[test]
    fn a_share_of_typed_cases_has_fibers() {
        let cases: Vec<_> = (0..80).filter_map(|seed| from_seed("objects", seed)).collect();
        let with = cases.iter().filter(|case| case.schedule.fibers > 0);
        assert!(
            with.clone().all(|case| case.steps.len() - case.first_fiber() == case.schedule.fibers as usize)
        );
        assert!((8..40).contains(&with.count()));
    }

    #[test]
    fn each_generator_uses_schedules() {
        for generator in registry() {
            let cases: Vec<_> = (0..60).filter_map(|seed| from_seed(generator.name, seed)).collect();
            assert!(cases.iter().any(|case| case.schedule.collect_every.is_some()), "{}", generator.name);
            assert!(cases.iter().any(|case| !case.schedule.collect.is_empty()), "{}", generator.name);
            assert!(cases.iter().any(|case| case.schedule.wants_safepoints()), "{}", generator.name);
        }
    }
}
