//! Stress modes, and that the counters tell whether they worked.

use std::collections::HashMap;

use assay_gc::header::{HEADER_SIZE, POISON_WORD};
use assay_gc::{AllocShape, BarrierShape, CollectKind, GcRef, HeapConfig, Stress, registry};

use crate::model::{BYTES, EMPTY, LIST, NODE, REFS, Random, Value, World};

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
            barrier_slow: true,
            move_always: true,
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
fn every_combination_of_modes() {
    for bits in 0u32..1 << 8 {
        let on = |bit: u32| bits >> bit & 1 != 0;
        let stress = Stress {
            every_alloc: on(0),
            every_nth: if on(1) { 3 } else { 0 },
            every_safepoint: u32::from(on(2)),
            poison: on(3),
            verify: on(4),
            barrier_slow: on(5),
            move_always: on(6),
            settle: on(7),
        };
        for collector in registry() {
            // Small, so that what watches all memory that is handed out can keep up.
            let config = HeapConfig { initial_bytes: 1 << 13, stress, ..HeapConfig::default() };
            let mut world = World::new(collector, config);
            let mut random = Random(u64::from(bits));
            for step in 0..180 {
                world.step(&mut random).unwrap();
                world.heap.safepoint(&mut world.roots).unwrap();
                if step % 60 == 0 {
                    let slice = CollectKind::Slice { objects: 3 };
                    let kind = [CollectKind::Full, CollectKind::Minor, slice][random.below(3)];
                    world.heap.collect(kind, &mut world.roots).unwrap();
                    world.check();
                }
            }
            world.check();
            let live = world.heap.live(&mut world.roots);
            world.collect();
            world.heap.verify(&mut world.roots).unwrap();
            if collector.constraints.collects {
                assert_eq!(world.heap.retained(), Ok(live), "{} {stress:?}", collector.constraints.name);
            }
        }
    }
}

#[test]
fn the_modes_can_be_changed_at_any_time() {
    for collector in registry() {
        for seed in 0..8 {
            let mut world = World::with_stress(collector, Stress { verify: true, ..Stress::default() });
            let mut random = Random(seed);
            for step in 0..600 {
                world.step(&mut random).unwrap();
                if step % 20 == 0 {
                    let [barrier_slow, move_always] = [(); 2].map(|()| random.below(2) == 0);
                    let stress = Stress { verify: true, barrier_slow, move_always, ..Stress::default() };
                    world.heap.set_stress(stress);
                    world.heap.verify(&mut world.roots).unwrap();
                    let slice = CollectKind::Slice { objects: 3 };
                    let kind = [CollectKind::Full, CollectKind::Minor, slice][random.below(3)];
                    world.heap.collect(kind, &mut world.roots).unwrap();
                }
            }
            world.check();
            let live = world.heap.live(&mut world.roots);
            world.collect();
            if collector.constraints.collects {
                assert_eq!(world.heap.retained(), Ok(live));
            }
        }
    }
}

/// Each store here takes the last counted reference of an object away, which is white if anything is marking.
#[test]
fn a_log_without_room_loses_every_word_and_no_object() {
    const CELLS: usize = 500;
    for collector in registry() {
        for kind in [CollectKind::Minor, CollectKind::Full] {
            let barrier_slow = true;
            let mut world = World::with_stress(collector, Stress { barrier_slow, ..Stress::default() });
            world.create(REFS, CELLS as u32, 1, false).unwrap();
            for index in 0..CELLS {
                world.create(LIST, 0, 3, true).unwrap();
                let (cell, shadow) = world.root(3);
                world.store(1, index, cell, shadow);
            }
            for index in 0..CELLS {
                world.store(1, index, GcRef::NULL, Value::Null);
            }
            world.heap.verify(&mut world.roots).unwrap();
            let counted = world.heap.stats().log_lost;
            world.heap.collect(kind, &mut world.roots).unwrap();
            let name = collector.constraints.name;
            let logs = matches!(
                collector.constraints.code.write_barrier,
                BarrierShape::Count | BarrierShape::Snapshot
            );
            let lost = if logs { CELLS as u64 } else { 0 };
            assert_eq!([counted, world.heap.stats().log_lost], [lost; 2], "{name}");
            assert_eq!(world.heap.stats().log_overflows > 0, logs, "{name}");
            // A frame has kept the last cell.
            let (kept, shadow) = world.root(3);
            world.store(1, 0, kept, shadow);
            assert_eq!(world.check(), 2);
            world.collect();
            if collector.constraints.collects {
                assert_eq!(world.heap.retained().unwrap().0, 2, "{name}");
            }
            // With the mode off there is room again.
            world.heap.set_stress(Stress::default());
            world.collect();
            let lost = world.heap.stats().log_lost;
            world.store(1, 0, GcRef::NULL, Value::Null);
            world.collect();
            assert_eq!(world.heap.stats().log_lost, lost, "{name}");
        }
    }
}

/// The words of the list from root 0 on, by the numbers of its cells.
fn list(world: &World) -> HashMap<u32, GcRef> {
    let mut words = HashMap::new();
    let mut at = world.root(0).0;
    while !at.is_null() {
        let number = world.heap.read(at, world.place(LIST, 1).0, 4).unwrap() as u32;
        assert_eq!(words.insert(number, at), None, "the list has become a ring");
        at = GcRef(world.heap.read(at, world.place(LIST, 0).0, 4).unwrap() as u32);
    }
    words
}

#[test]
fn every_survivor_moves_where_objects_move() {
    const CELLS: u128 = 3000;
    for collector in registry() {
        let stress = Stress { move_always: true, poison: true, verify: true, ..Stress::default() };
        let mut world = World::with_stress(collector, stress);
        // Garbage of 8 bytes and more is in between.
        for number in 0..CELLS {
            world.create(LIST, 0, 1, true).unwrap();
            let (last, shadow) = world.root(0);
            world.store(1, 0, last, shadow);
            world.store(1, 1, GcRef::NULL, Value::Bits(number));
            let (cell, shadow) = world.root(1);
            world.set_root(0, cell, shadow);
            if number % 3 == 0 {
                world.create(EMPTY, 0, 3, true).unwrap();
            }
            if number % 100 == 0 {
                world.create(BYTES, number as u32, 3, true).unwrap();
            }
        }
        let mut random = Random(5);
        for round in 0..8 {
            // From the third collection on cells die: one, and then more of them.
            let dying = [0, 0, 1, 1, 500, 2, 900, 40][round];
            for _ in 0..dying {
                unlink(&mut world, &mut random);
            }
            let before = list(&world);
            world.collect();
            let after = list(&world);
            assert_eq!(before.len(), after.len());
            for (number, word) in &after {
                let moved = before[number] != *word;
                assert_eq!(
                    moved, collector.constraints.moves,
                    "{}, round {round}: cell {number} of {dying} unlinked is at {word:?}",
                    collector.constraints.name
                );
            }
            if collector.constraints.collects {
                assert_eq!(Ok(world.heap.live(&mut world.roots)), world.heap.retained());
            }
        }
    }
}

/// Takes a random cell behind the first out of the list from root 0 on, if the list has two.
fn unlink(world: &mut World, random: &mut Random) {
    let next = world.place(LIST, 0).0;
    let mut at = world.root(0).0;
    let read = |world: &World, at: GcRef| GcRef(world.heap.read(at, next, 4).unwrap() as u32);
    for _ in 0..random.below(400) {
        let behind = read(world, at);
        if behind.is_null() || read(world, behind).is_null() {
            break;
        }
        at = behind;
    }
    let gone = read(world, at);
    if !gone.is_null() {
        let rest = read(world, gone);
        world.heap.write_ref(at, next, rest).unwrap();
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
