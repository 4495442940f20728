//! Stress modes, and that the counters tell whether they worked.

use assay_gc::header::{HEADER_SIZE, POISON_WORD};
use assay_gc::{AllocShape, CollectKind, GcRef, Stress, registry};

use crate::model::{NODE, Random, Value, World};

fn run(stress: Stress, steps: usize) -> Vec<(World, bool)> {
    registry()
        .iter()
        .map(|collector| {
            let mut world = World::with_stress(collector, stress);
            let mut random = Random(11);
            for step in 0..steps {
                world.step(&mut random).unwrap();
                if step % 100 == 0 {
                    world.check();
                }
            }
            world.check();
            (world, collector.constraints.collects)
        })
        .collect()
}

#[test]
fn every_allocation_collects() {
    for (mut world, collects) in run(Stress { every_alloc: true, ..Stress::default() }, 1500) {
        let stats = world.heap.stats();
        assert_eq!(world.inline, 0, "the window is closed");
        assert!(stats.slow_allocations > 300);
        // A collector that is asked for and does not run shows here.
        assert_eq!(stats.collections, if collects { stats.slow_allocations } else { 0 });
        assert_eq!(stats.forced, stats.collections);
        if collects {
            assert!(
                stats.survived_from_frames_only > 0
                    && stats.objects_survived > stats.survived_from_frames_only
            );
            assert!(stats.roots > stats.frame_roots && stats.frame_roots > 0);
        }
        world.heap.set_stress(Stress::default());
        // The first object of a size class may have to ask for a list.
        world.create(NODE, 0, 0, true).unwrap();
        world.create(NODE, 0, 0, true).unwrap();
        assert!(world.inline >= 1, "the window is open again");
    }
}

#[test]
fn every_nth_allocation_collects() {
    for (world, collects) in run(Stress { every_nth: 7, ..Stress::default() }, 1500) {
        let stats = world.heap.stats();
        assert_eq!(world.inline, 0);
        assert_eq!(stats.collections, if collects { stats.slow_allocations / 7 } else { 0 });
    }
}

#[test]
fn all_modes_at_once() {
    for settle in [true, false] {
        let stress = Stress {
            every_alloc: true,
            every_nth: 3,
            every_safepoint: 2,
            poison: true,
            verify: true,
            settle,
        };
        for (world, collects) in run(stress, 800) {
            let stats = world.heap.stats();
            assert_eq!(stats.verifications, stats.collections * 2);
            assert_eq!(stats.collections > 0, collects);
        }
    }
}

#[test]
fn now_and_then_a_collection_over_blocks_that_are_not_swept() {
    for settle in [true, false] {
        let stress = Stress { every_nth: 61, poison: true, verify: true, settle, ..Stress::default() };
        for (mut world, collects) in run(stress, 4000) {
            assert_eq!(world.heap.stats().collections > 0, collects);
            world.collect();
            let live = world.heap.live(&mut world.roots);
            assert!(!collects || world.heap.retained() == Ok(live));
        }
    }
}

#[test]
fn a_stale_reference_reads_poison() {
    for collector in registry().iter().filter(|entry| entry.constraints.moves) {
        let mut world = World::with_stress(collector, Stress { poison: true, ..Stress::default() });
        world.create(NODE, 0, 1, true).unwrap();
        world.create(NODE, 0, 0, true).unwrap();
        let (stale, _) = world.root(0);
        world.collect();
        // SAFETY: from-space stays committed.
        let word = unsafe { world.heap.base().add(stale.0 as usize).cast::<u32>().read() };
        assert_eq!(word, POISON_WORD);
        assert_eq!(world.heap.type_of(stale), None);
    }
}

#[test]
fn with_settle_any_collection_poisons_the_dead() {
    for collector in registry().iter().filter(|entry| entry.constraints.collects) {
        let stress = Stress { poison: true, settle: true, ..Stress::default() };
        let mut world = World::with_stress(collector, stress);
        world.create(NODE, 0, 1, true).unwrap();
        world.create(NODE, 0, 0, true).unwrap();
        let (stale, _) = world.root(0);
        world.set_root(0, GcRef::NULL, Value::Null);
        world.heap.collect(CollectKind::Minor, &mut world.roots).unwrap();
        // SAFETY: where objects have been stays committed.
        let body = unsafe { world.heap.base().add((stale.0 + HEADER_SIZE) as usize).cast::<u32>().read() };
        assert_eq!(body, POISON_WORD, "{}", collector.constraints.name);
    }
}

#[test]
fn counters_count_inline_allocation() {
    for collector in registry() {
        let mut world = World::with_stress(collector, Stress::default());
        for _ in 0..10 {
            world.create(NODE, 0, 0, true).unwrap();
        }
        let asked = u64::from(collector.constraints.code.alloc == AllocShape::FreeList);
        assert_eq!(world.inline, 10 - asked);
        let node = world.heap.used_bytes() / 10;
        assert_eq!(world.heap.stats().bytes_allocated, node * 10);
        world.set_root(0, GcRef::NULL, Value::Null);
        world.collect();
        world.create(NODE, 0, 0, false).unwrap();
        assert_eq!(world.heap.stats().bytes_allocated, node * 11);
        assert_eq!(world.heap.stats().slow_allocations, 1 + asked);
    }
}
