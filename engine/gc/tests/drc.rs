//! `drc` by itself: what minor collections free, what they keep and why, cycles, overflow of the log, exact counts.
//!
//! The verifier recounts the whole heap each time that it runs, so most tests say little more than where it should.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

#[path = "contract/model.rs"]
#[expect(dead_code, reason = "the contract's suite uses all of it")]
mod model;

use assay_gc::header::{GC_WORD, HEADER_SIZE, TYPE_WORD};
use assay_gc::{
    COUNT_LOGGED, COUNT_ONE, CollectKind, ErrorKind, GcRef, Heap, HeapConfig, Schedule, Stress, find,
    size_class,
};
use model::{BYTES, EMPTY, LIST, NODE, NODES, REFS, Random, Roots, Value, World};

/// The log holds fewer entries than this.
const BEYOND_LOG: u32 = 100_000;

fn world(config: HeapConfig) -> World {
    World::new(find("drc").unwrap(), config)
}

fn minor(world: &mut World) {
    world.heap.verify(&mut world.roots).unwrap();
    world.heap.collect(CollectKind::Minor, &mut world.roots).unwrap();
    world.heap.verify(&mut world.roots).unwrap();
}

fn objects(world: &World) -> u64 {
    world.heap.retained().unwrap().0
}

fn count(world: &World, object: GcRef) -> u32 {
    world.heap.read(object, GC_WORD, 4).unwrap() as u32 / COUNT_ONE
}

/// Entries that barriers have logged so far.
fn logged(world: &World) -> u64 {
    world.heap.stats().barrier_work
}

/// A list cell as generated code makes it, by the slow path where it must.
fn cell(world: &mut World) -> GcRef {
    let id = world.id(LIST);
    let mutator = world.heap.mutator();
    let class = size_class(16).unwrap();
    // SAFETY: valid while the heap lives, and nothing else uses it now.
    let mutator = unsafe { &mut *mutator };
    let object = GcRef(mutator.heads[class]);
    if object.is_null() {
        return world.heap.alloc_struct(id, &mut world.roots).unwrap();
    }
    mutator.heads[class] = world.heap.read(object, GC_WORD, 4).unwrap() as u32;
    world.heap.declare_object(object, id, 0);
    world.heap.write_bytes(object, 0, &[0; 16]).unwrap();
    world.heap.write(object, TYPE_WORD, 4, u128::from(id.0)).unwrap();
    world.heap.write(object, GC_WORD, 4, u128::from(mutator.fresh)).unwrap();
    object
}

fn link(heap: &mut Heap, from: GcRef, to: GcRef) {
    heap.write_ref(from, HEADER_SIZE, to).unwrap();
}

#[test]
fn rings_run_in_a_fixed_heap() {
    let mut world = world(HeapConfig { max_bytes: 16 << 20, ..HeapConfig::default() });
    for _ in 0..(1 << 20) / 64 {
        let first = cell(&mut world);
        world.roots.frames[0] = first;
        for _ in 1..64 {
            let next = cell(&mut world);
            let last = world.roots.frames[0];
            link(&mut world.heap, next, last);
            world.roots.frames[0] = next;
            world.roots.frames[1] = first;
        }
        let last = world.roots.frames[0];
        link(&mut world.heap, first, last);
        world.roots.frames[0] = GcRef::NULL;
        world.roots.frames[1] = GcRef::NULL;
    }
    let stats = world.heap.stats();
    assert!(stats.cyclic_freed > 900_000 && stats.full < 40, "{stats:?}");
    world.heap.verify(&mut world.roots).unwrap();
    world.collect();
    assert_eq!(objects(&world), 0);
}

#[test]
fn rings_run_beside_a_heap_that_is_nearly_full() {
    let mut world = world(HeapConfig { max_bytes: 1 << 20, ..HeapConfig::default() });
    world.create(BYTES, 900_000, 0, false).unwrap();
    for _ in 0..100_000 {
        let object = cell(&mut world);
        link(&mut world.heap, object, object);
    }
    let stats = world.heap.stats();
    assert!(stats.collections < 100, "{stats:?}");
}

#[test]
fn a_growing_heap_is_not_collected_in_a_row() {
    let mut world = world(HeapConfig { max_bytes: 16 << 20, ..HeapConfig::default() });
    for _ in 0..600_000 {
        let next = cell(&mut world);
        let last = world.roots.frames[0];
        link(&mut world.heap, next, last);
        world.roots.frames[0] = next;
    }
    let stats = world.heap.stats();
    assert!(stats.minor < 40 && stats.full < 10, "{stats:?}");
    assert_eq!(stats.limit_hits, 0);
    assert_eq!(stats.objects_freed, 0);
    world.roots.frames[0] = GcRef::NULL;
    minor(&mut world);
    assert_eq!(objects(&world), 0, "a long list dies in one go, by its counts");
    assert_eq!(world.heap.stats().cyclic_freed, 0);
}

#[test]
fn counts_stay_exact_whatever_a_program_does() {
    for seed in 0..12 {
        let stress = Stress { verify: true, poison: seed % 2 == 0, ..Stress::default() };
        let mut world = world(HeapConfig { stress, initial_bytes: 1 << 14, ..HeapConfig::default() });
        world.roots.twice = seed % 3 == 0;
        world.heap.set_schedule(&Schedule { events: Vec::new(), seed: Some(seed) });
        let mut random = Random(seed);
        for _ in 0..3000 {
            world.step(&mut random).unwrap();
        }
        world.check();
        let stats = world.heap.stats();
        assert!(stats.minor > 10 && stats.full > 2 && stats.cyclic_freed > 0, "{stats:?}");
        let (live, bytes) = world.heap.live(&mut world.roots);
        world.collect();
        assert_eq!(world.heap.retained(), Ok((live, bytes)));
    }
}

#[test]
fn counts_stay_exact_where_everything_is_entangled() {
    let mut cyclic = 0;
    for seed in 0..12 {
        let stress = Stress { verify: true, poison: seed % 2 == 0, ..Stress::default() };
        let mut world = world(HeapConfig { stress, ..HeapConfig::default() });
        world.roots.twice = seed % 3 == 0;
        world.heap.set_schedule(&Schedule { events: Vec::new(), seed: Some(seed) });
        let mut random = Random(seed);
        for _ in 0..3000 {
            let slot = random.below(32);
            match random.below(16) {
                0..3 => {
                    world.create(REFS, 5, slot, true).unwrap();
                }
                3..6 => world.set_root(slot, GcRef::NULL, Value::Null),
                6 => {
                    let (word, shadow) = world.root(random.below(32));
                    world.set_root(slot, word, shadow);
                }
                _ => {
                    let (word, shadow) = world.root(random.below(32));
                    world.store(slot, random.below(5), word, shadow);
                }
            }
        }
        world.check();
        cyclic += world.heap.stats().cyclic_freed;
        let (live, bytes) = world.heap.live(&mut world.roots);
        world.collect();
        assert_eq!(world.heap.retained(), Ok((live, bytes)));
    }
    assert!(cyclic > 500, "{cyclic}");
}

#[test]
fn deferred_roots_keep_what_has_no_count() {
    let mut world = world(HeapConfig::default());
    for slot in [1, 3, 5] {
        world.create(NODE, 0, slot, true).unwrap();
    }
    world.create(BYTES, 5000, 7, false).unwrap();
    // A second frame slot for an object is no second survivor.
    let (node, shadow) = world.root(5);
    world.set_root(9, node, shadow);
    for _ in 0..3 {
        let before = world.heap.stats();
        minor(&mut world);
        let after = world.heap.stats();
        assert_eq!(after.objects_survived - before.objects_survived, 4);
        assert_eq!(after.survived_from_frames_only - before.survived_from_frames_only, 4);
        assert_eq!((objects(&world), world.check()), (4, 4));
    }
    // What a global refers to as well is counted.
    world.set_root(0, node, shadow);
    let before = world.heap.stats().objects_survived;
    minor(&mut world);
    assert_eq!(world.heap.stats().objects_survived - before, 3);
    assert_eq!(count(&world, node), 1);
    (1..10).step_by(2).for_each(|slot| world.set_root(slot, GcRef::NULL, Value::Null));
    minor(&mut world);
    assert_eq!(objects(&world), 1);
    world.set_root(0, GcRef::NULL, Value::Null);
    minor(&mut world);
    assert_eq!((objects(&world), world.heap.used_bytes()), (0, 0));
}

#[test]
fn what_hangs_on_the_dead_dies_unless_it_is_pinned() {
    let mut world = world(HeapConfig::default());
    // Root 1 → first → second → third; the frame slot of root 3 refers to second too.
    world.create(LIST, 0, 1, true).unwrap();
    world.create(LIST, 0, 3, true).unwrap();
    world.create(LIST, 0, 5, true).unwrap();
    let (second, shadow) = world.root(3);
    world.store(1, 0, second, shadow);
    let (third, shadow) = world.root(5);
    world.store(3, 0, third, shadow);
    world.set_root(5, GcRef::NULL, Value::Null);
    world.set_root(1, GcRef::NULL, Value::Null);
    minor(&mut world);
    assert_eq!((objects(&world), count(&world, second), count(&world, third)), (2, 0, 1));
    world.set_root(3, GcRef::NULL, Value::Null);
    minor(&mut world);
    assert_eq!(objects(&world), 0);
}

#[test]
fn resurrection_and_second_death() {
    let mut world = world(HeapConfig::default());
    world.create(LIST, 0, 0, true).unwrap();
    world.create(LIST, 0, 1, true).unwrap();
    let (target, shadow) = world.root(1);
    for round in 0..200 {
        world.store(0, 0, target, shadow);
        if round % 3 == 0 {
            minor(&mut world);
            assert_eq!(count(&world, target), 1);
        }
        world.store(0, 0, GcRef::NULL, Value::Null);
        if round % 7 == 0 {
            minor(&mut world);
            assert_eq!(count(&world, target), 0);
        }
    }
    // Logged many times, alive by a counted reference alone.
    world.store(0, 0, target, shadow);
    world.set_root(1, GcRef::NULL, Value::Null);
    minor(&mut world);
    assert_eq!((objects(&world), world.check()), (2, 2));
    world.store(0, 0, GcRef::NULL, Value::Null);
    minor(&mut world);
    assert_eq!(objects(&world), 1);
}

#[test]
fn references_to_oneself_and_copies_onto_oneself() {
    let mut world = world(HeapConfig::default());
    world.create(REFS, 10, 1, true).unwrap();
    let (array, shadow) = world.root(1);
    for index in 0..10 {
        world.store(1, index, array, shadow);
    }
    assert_eq!(count(&world, array), 10);
    for (to, from, len) in [(0, 0, 10), (0, 3, 7), (3, 0, 7), (5, 5, 0)] {
        world.heap.copy_elements(array, to, array, from, len).unwrap();
        minor(&mut world);
        assert_eq!(count(&world, array), 10);
    }
    // Another object in the middle, spread over the array by copies that overlap.
    world.create(LIST, 0, 3, true).unwrap();
    let (other, shadow) = world.root(3);
    world.store(1, 4, other, shadow);
    world.heap.copy_elements(array, 5, array, 4, 5).unwrap();
    world.heap.copy_elements(array, 0, array, 1, 5).unwrap();
    minor(&mut world);
    assert_eq!(count(&world, other), 3);
    world.set_root(3, GcRef::NULL, Value::Null);
    world.set_root(1, GcRef::NULL, Value::Null);
    minor(&mut world);
    assert_eq!(objects(&world), 2, "a self-reference is a cycle");
    world.collect();
    assert_eq!((objects(&world), world.heap.stats().cyclic_freed), (0, 2));
}

#[test]
fn a_million_references() {
    const MANY: u32 = 1_000_000;
    let mut world = world(HeapConfig::default());
    world.create(NODE, 0, 1, false).unwrap();
    world.create(NODES, MANY, 3, false).unwrap();
    let ((node, _), (array, _)) = (world.root(1), world.root(3));
    world.heap.fill_elements(array, 0, MANY, u128::from(node.0)).unwrap();
    minor(&mut world);
    assert_eq!(count(&world, node), MANY);
    world.set_root(1, GcRef::NULL, Value::Null);
    minor(&mut world);
    assert_eq!(objects(&world), 2);
    world.heap.copy_elements(array, 0, array, 1, MANY - 1).unwrap();
    world.heap.fill_elements(array, 1, MANY - 1, 0).unwrap();
    minor(&mut world);
    assert_eq!(count(&world, node), 1);
    world.heap.fill_elements(array, 1, MANY - 1, u128::from(node.0)).unwrap();
    world.set_root(3, GcRef::NULL, Value::Null);
    minor(&mut world);
    assert_eq!((objects(&world), world.heap.used_bytes()), (0, 0));
}

#[test]
fn a_log_that_overflows_loses_nothing() {
    let mut world = world(HeapConfig { initial_bytes: 64 << 20, ..HeapConfig::default() });
    world.create(NODES, BEYOND_LOG, 0, false).unwrap();
    let (array, _) = world.root(0);
    let id = world.id(NODE);
    for index in 0..BEYOND_LOG {
        let node = world.heap.alloc_struct(id, &mut world.roots).unwrap();
        world.heap.write_ref(array, 12 + 4 * index, node).unwrap();
    }
    minor(&mut world);
    assert_eq!(objects(&world), u64::from(BEYOND_LOG) + 1);
    // All of them once, and all are back in their places when it comes to a collection; then all but one for good.
    let kept = GcRef(world.heap.read(array, 12, 4).unwrap() as u32);
    for index in 0..BEYOND_LOG {
        let node = GcRef(world.heap.read(array, 12 + 4 * index, 4).unwrap() as u32);
        world.heap.write_ref(array, 12 + 4 * index, GcRef::NULL).unwrap();
        world.heap.write_ref(array, 12 + 4 * index, node).unwrap();
    }
    minor(&mut world);
    assert_eq!((objects(&world), world.heap.stats().log_overflows), (u64::from(BEYOND_LOG) + 1, 1));
    world.heap.fill_elements(array, 0, BEYOND_LOG, 0).unwrap();
    world.roots.frames[0] = kept;
    minor(&mut world);
    assert_eq!((objects(&world), world.heap.stats().log_overflows), (2, 2));
    minor(&mut world);
    assert_eq!(world.heap.stats().log_overflows, 2);
}

#[test]
fn however_often_a_count_falls_to_0_it_is_logged_once() {
    let mut world = world(HeapConfig::default());
    world.create(LIST, 0, 0, true).unwrap();
    world.create(LIST, 0, 1, true).unwrap();
    let (target, shadow) = world.root(1);
    for round in 1..4 {
        for _ in 0..BEYOND_LOG {
            world.store(0, 0, target, shadow);
            world.store(0, 0, GcRef::NULL, Value::Null);
        }
        assert_eq!(world.heap.read(target, GC_WORD, 4), Some(COUNT_LOGGED.into()));
        minor(&mut world);
        assert_eq!((logged(&world), world.heap.stats().log_overflows), (round, 0));
        assert_eq!(world.heap.read(target, GC_WORD, 4), Some(0));
    }
    // Logged, and stored elsewhere before the collection.
    world.store(0, 0, target, shadow);
    world.store(0, 0, GcRef::NULL, Value::Null);
    world.store(0, 0, target, shadow);
    world.set_root(1, GcRef::NULL, Value::Null);
    minor(&mut world);
    assert_eq!((objects(&world), world.check(), count(&world, target)), (2, 2, 1));
    world.store(0, 0, GcRef::NULL, Value::Null);
    minor(&mut world);
    assert_eq!((objects(&world), logged(&world)), (1, 5));
}

#[test]
fn wrong_marks_of_the_logged_are_found() {
    for (falls, word) in [(false, COUNT_ONE + COUNT_LOGGED), (true, 0), (true, COUNT_ONE)] {
        let mut world = world(HeapConfig::default());
        world.create(LIST, 0, 0, true).unwrap();
        world.create(LIST, 0, 1, true).unwrap();
        let (target, shadow) = world.root(1);
        world.store(0, 0, target, shadow);
        minor(&mut world);
        if falls {
            world.store(0, 0, GcRef::NULL, Value::Null);
        }
        world.heap.verify(&mut world.roots).unwrap();
        world.heap.write(target, GC_WORD, 4, word.into()).unwrap();
        world.heap.verify(&mut world.roots).unwrap_err();
    }
}

#[test]
fn dead_cycles_let_go_of_the_living() {
    let mut world = world(HeapConfig::default());
    // Two nodes that refer to each other and both to a third, which a frame keeps, and to a fourth.
    for slot in [1, 3, 5, 7] {
        world.create(REFS, 4, slot, true).unwrap();
    }
    let refs: Vec<_> = [1, 3, 5, 7].map(|slot| world.root(slot)).into();
    for (slot, other) in [(1, 1), (3, 0)] {
        world.store(slot, 0, refs[other].0, refs[other].1);
        world.store(slot, 1, refs[2].0, refs[2].1);
        world.store(slot, 2, refs[2].0, refs[2].1);
        world.store(slot, 3, refs[3].0, refs[3].1);
    }
    assert_eq!(count(&world, refs[2].0), 4);
    [1, 3, 7].into_iter().for_each(|slot| world.set_root(slot, GcRef::NULL, Value::Null));
    minor(&mut world);
    assert_eq!(objects(&world), 4);
    world.collect();
    world.heap.verify(&mut world.roots).unwrap();
    let stats = world.heap.stats();
    assert_eq!((objects(&world), count(&world, refs[2].0)), (1, 0));
    assert_eq!((stats.cyclic_freed, stats.full, stats.cycles), (3, 1, 0));
    world.set_root(5, GcRef::NULL, Value::Null);
    minor(&mut world);
    assert_eq!(objects(&world), 0);
}

#[test]
fn wrong_counts_are_found() {
    for (delta, after_collection) in [(1, false), (-1, false), (1, true), (-1, true)] {
        let mut world = world(HeapConfig::default());
        world.create(LIST, 0, 0, true).unwrap();
        world.create(LIST, 0, 1, true).unwrap();
        let (target, shadow) = world.root(1);
        world.store(0, 0, target, shadow);
        if after_collection {
            minor(&mut world);
        }
        let wrong = count(&world, target).wrapping_add_signed(delta);
        world.heap.write(target, GC_WORD, 4, (wrong * COUNT_ONE).into()).unwrap();
        let found = world.heap.verify(&mut world.roots).unwrap_err();
        assert!(matches!(found.kind(), ErrorKind::Verify(_)));
        // Too low a count ends the collection that would take more away.
        world.set_root(1, GcRef::NULL, Value::Null);
        let collected = world.heap.collect(CollectKind::Minor, &mut world.roots);
        if delta < 0 && !after_collection {
            assert_eq!(objects(&world), 1, "freed under a reference, as its count said");
            assert!(collected.is_ok());
            world.set_root(0, GcRef::NULL, Value::Null);
            let found = world.heap.collect(CollectKind::Minor, &mut world.roots).unwrap_err();
            assert!(matches!(found.kind(), ErrorKind::Corrupt { .. }), "{found}");
        }
    }
}

#[test]
fn a_dead_object_that_nothing_will_look_at_is_found() {
    let mut world = world(HeapConfig::default());
    world.create(LIST, 0, 0, true).unwrap();
    world.create(LIST, 0, 1, true).unwrap();
    let (target, shadow) = world.root(1);
    world.store(0, 0, target, shadow);
    minor(&mut world);
    // The reference goes away with an exact count, but past the log.
    let (list, _) = world.root(0);
    world.heap.write(list, HEADER_SIZE, 4, 0).unwrap();
    world.heap.write(target, GC_WORD, 4, 0).unwrap();
    world.heap.verify(&mut world.roots).unwrap_err();
    // While a frame keeps it a collection pins it, and it is known from then on.
    world.collect();
    assert_eq!(objects(&world), 2);
    world.set_root(1, GcRef::NULL, Value::Null);
    world.collect();
    assert_eq!(objects(&world), 1);
}

#[test]
fn a_trace_does_not_heal_what_was_not_logged() {
    let mut world = world(HeapConfig::default());
    world.create(LIST, 0, 0, true).unwrap();
    world.create(LIST, 0, 1, true).unwrap();
    let (target, shadow) = world.root(1);
    world.store(0, 0, target, shadow);
    world.set_root(1, GcRef::NULL, Value::Null);
    minor(&mut world);
    let (list, _) = world.root(0);
    world.heap.write(list, HEADER_SIZE, 4, 0).unwrap();
    world.heap.write(target, GC_WORD, 4, 0).unwrap();
    // Counts alone do not see it.
    world.heap.collect(CollectKind::Minor, &mut world.roots).unwrap();
    assert_eq!(objects(&world), 2);
    let found = world.heap.collect(CollectKind::Full, &mut world.roots).unwrap_err();
    assert!(
        matches!(found.kind(), ErrorKind::Corrupt { .. }) && found.to_string().contains("logged"),
        "{found}"
    );
}

#[test]
fn hostile_words_never_crash_minor_collections() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let mut world =
            world(HeapConfig { initial_bytes: 1 << 14, max_bytes: 1 << 17, ..HeapConfig::default() });
        world.heap.set_checked(false);
        for _ in 0..120 {
            world.step(&mut random).unwrap();
        }
        let mut all = Vec::new();
        world.heap.for_each_object(&mut |object, _| all.push(object));
        for _ in 0..1 + random.below(40) {
            let object = all[random.below(all.len())];
            let word = match random.below(5) {
                0 => random.next() as u32,
                1 => all[random.below(all.len())].0,
                2 => random.below(3) as u32,
                3 => world.id(random.below(9)).0,
                _ => object.0 + 8 * random.below(16) as u32,
            };
            let offset = [TYPE_WORD, GC_WORD, 8, 12, 16, 20, 24][random.below(7)];
            world.heap.write(object, offset, 4, word.into());
        }
        let _ = world.heap.verify(&mut world.roots);
        for _ in 0..4 {
            let collected = world.heap.collect(CollectKind::Minor, &mut world.roots);
            let _ = world.heap.verify(&mut world.roots);
            if collected.is_err() || world.alloc(EMPTY, 0).is_err() {
                break;
            }
            let object = all[random.below(all.len())];
            world.heap.write_ref(object, HEADER_SIZE, all[random.below(all.len())]);
            world.heap.root_slot_written(all[random.below(all.len())], GcRef(random.next() as u32));
        }
        let _ = world.heap.collect(CollectKind::Full, &mut world.roots);
        let _ = world.heap.verify(&mut world.roots);
    }
}

#[test]
fn segments_and_handles_are_deferred_too() {
    use assay_gc::{RootKind, RootPhase, RootSet};
    struct Kinds(Vec<(RootKind, GcRef)>);
    impl RootSet for Kinds {
        fn visit(&mut self, phase: RootPhase, visit: &mut dyn FnMut(RootKind, &mut GcRef)) {
            for (kind, slot) in &mut self.0 {
                let of_frames = matches!(kind, RootKind::Frame | RootKind::SuspendedFrame);
                if of_frames == (phase == RootPhase::Frames) {
                    visit(*kind, slot);
                }
            }
        }
    }
    let mut world = world(HeapConfig::default());
    let mut objects = Vec::new();
    for kind in
        [RootKind::Segment, RootKind::Handle, RootKind::Exception, RootKind::Frame, RootKind::SuspendedFrame]
    {
        let id = world.id(LIST);
        let object = world.heap.alloc_struct(id, &mut Roots::default()).unwrap();
        objects.push((kind, object));
    }
    // A handle and a frame for one object: not kept by frames only.
    objects.push((RootKind::Frame, objects[1].1));
    let mut kinds = Kinds(objects);
    for _ in 0..2 {
        let before = world.heap.stats();
        world.heap.collect(CollectKind::Minor, &mut kinds).unwrap();
        world.heap.verify(&mut kinds).unwrap();
        let after = world.heap.stats();
        assert_eq!(after.objects_survived - before.objects_survived, 5);
        assert_eq!(after.survived_from_frames_only - before.survived_from_frames_only, 2);
        assert_eq!(after.frame_roots - before.frame_roots, 3);
    }
    // A full collection goes through them twice and counts them once.
    let before = world.heap.stats();
    world.heap.collect(CollectKind::Full, &mut kinds).unwrap();
    let after = world.heap.stats();
    assert_eq!((after.roots - before.roots, after.frame_roots - before.frame_roots), (6, 3));
}
