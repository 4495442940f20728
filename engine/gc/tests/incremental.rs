//! `incremental`: what a mutator can do to a cycle between its slices. A cycle is driven by hand here, the verifier
//! checks the tri-colour invariant after each slice, and the shadow tells whether anything was lost.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

#[expect(dead_code, reason = "shared with the contract suite, which uses all of it")]
#[path = "contract/model.rs"]
mod model;

use assay_gc::header::{GC_WORD, HEADER_SIZE, TYPE_WORD};
use assay_gc::{AllocError, CollectKind, ErrorKind, GcRef, HeapConfig, Stress, find};

use model::{BYTES, EMPTY, LIST, NODE, REFS, Random, Value, World};

/// More entries than the log has room for.
const OVERFLOW: usize = 10_000;
/// More slices than any cycle of these tests takes.
const ENOUGH: usize = 200_000;

fn world() -> World {
    World::new(find("incremental").unwrap(), HeapConfig::default())
}

fn slice(world: &mut World, objects: u32) {
    world.heap.collect(CollectKind::Slice { objects }, &mut world.roots).unwrap();
}

/// Whether a cycle is under way.
fn marking(world: &mut World) -> bool {
    // SAFETY: the mutator's state is valid while the heap lives, and nothing else uses it now.
    unsafe { (*world.heap.mutator()).marking != 0 }
}

fn finish(world: &mut World) {
    for _ in 0..ENOUGH {
        if !marking(world) {
            return;
        }
        slice(world, 1);
    }
    panic!("the cycle does not end");
}

fn verify(world: &mut World) {
    world.heap.verify(&mut world.roots).unwrap();
}

/// Objects of the marked colour.
fn marked(world: &mut World) -> u64 {
    // SAFETY: as above.
    let colour = unsafe { (*world.heap.mutator()).colour };
    let mut count = 0;
    world.heap.for_each_object(&mut |object, _| {
        count += u64::from(world.heap.read(object, GC_WORD, 4) == Some(colour.into()));
    });
    count
}

/// Stores what root `from` holds into field `index` of the object in root `to`.
fn put(world: &mut World, to: usize, index: usize, from: usize) {
    let (word, shadow) = world.root(from);
    world.store(to, index, word, shadow);
}

fn null(world: &mut World, to: usize, index: usize) {
    world.store(to, index, GcRef::NULL, Value::Null);
}

fn drop_root(world: &mut World, slot: usize) {
    world.set_root(slot, GcRef::NULL, Value::Null);
}

fn copy_root(world: &mut World, to: usize, from: usize) {
    let (word, shadow) = world.root(from);
    world.set_root(to, word, shadow);
}

/// A list of `len` cells in root `slot`; the words and shadows of its cells, the first one first.
fn list(world: &mut World, slot: usize, len: usize) -> Vec<(GcRef, Value)> {
    let mut cells = Vec::new();
    drop_root(world, slot);
    for _ in 0..len {
        world.create(LIST, 0, 31, true).unwrap();
        put(world, 31, 0, slot);
        copy_root(world, slot, 31);
        cells.push(world.root(31));
    }
    drop_root(world, 31);
    cells.reverse();
    cells
}

/// Runs `change` between slice `at` and the next one, for each `at`, and checks that nothing is lost.
fn at_each_slice(prepare: fn(&mut World), change: fn(&mut World)) {
    for at in 0.. {
        let mut world = world();
        prepare(&mut world);
        let before = world.heap.stats();
        for _ in 0..=at {
            slice(&mut world, 1);
        }
        if !marking(&mut world) {
            assert!(at > 1, "the cycle takes more than a slice");
            return;
        }
        change(&mut world);
        verify(&mut world);
        finish(&mut world);
        verify(&mut world);
        world.check();
        let stats = world.heap.stats();
        assert_eq!((stats.cycles - before.cycles, stats.full, stats.degenerate), (1, 0, 0));
        // What looks alive must not be handed out again.
        for _ in 0..500 {
            world.create(LIST, 0, 29, true).unwrap();
        }
        world.check();
        world.collect();
        world.check();
        let live = world.heap.live(&mut world.roots);
        assert_eq!(world.heap.retained(), Ok(live));
    }
}

/// Two nodes, of which the first has a list.
fn two_nodes(world: &mut World) {
    world.create(NODE, 0, 0, true).unwrap();
    world.create(NODE, 0, 2, true).unwrap();
    list(world, 4, 3);
    put(world, 0, 0, 4);
    drop_root(world, 4);
}

#[test]
fn the_only_reference_is_hidden_in_a_black_object() {
    // Whichever of the two is scanned first.
    for (from, to) in [(0, 2), (2, 0)] {
        let prepare: fn(&mut World) = if from == 0 {
            two_nodes
        } else {
            |world| {
                two_nodes(world);
                let ((a, of_a), (b, of_b)) = (world.root(0), world.root(2));
                world.set_root(0, b, of_b);
                world.set_root(2, a, of_a);
            }
        };
        let change: fn(&mut World) = match to {
            2 => |world| hide(world, 0, 2),
            _ => |world| hide(world, 2, 0),
        };
        at_each_slice(prepare, change);
    }
}

fn hide(world: &mut World, from: usize, to: usize) {
    let (word, shadow) = field(world, from, 0);
    world.store(to, 0, word, shadow);
    null(world, from, 0);
}

/// The reference in field `index` of the object in root `slot`.
fn field(world: &World, slot: usize, index: usize) -> (GcRef, Value) {
    let (ty, shadow) = world.field(slot, index);
    let word = world.heap.read(world.root(slot).0, world.place(ty, index).0, 4).unwrap();
    (GcRef(word as u32), shadow)
}

#[test]
fn the_only_reference_moves_into_a_fresh_object() {
    at_each_slice(two_nodes, |world| {
        world.create(NODE, 0, 6, true).unwrap();
        hide(world, 0, 6);
        // The fresh object is all that holds it, and hangs on a frame.
        copy_root(world, 7, 6);
        drop_root(world, 6);
    });
}

#[test]
fn a_subgraph_is_cut_off_and_kept_by_a_root_set_after_the_snapshot() {
    at_each_slice(two_nodes, |world| {
        let (word, shadow) = field(world, 0, 0);
        world.set_root(5, word, shadow);
        null(world, 0, 0);
        // Further down it is cut again: its middle hangs on a global, its end on nothing.
        let (word, shadow) = field(world, 5, 0);
        world.set_root(8, word, shadow);
        null(world, 5, 0);
        null(world, 8, 0);
    });
}

#[test]
fn references_move_along_a_chain_in_front_of_the_marker() {
    for ahead in 0..6 {
        let mut world = world();
        world.create(REFS, 200, 0, true).unwrap();
        let cells = list(&mut world, 2, 120);
        slice(&mut world, 1);
        for step in 0..100 {
            let at = step + ahead;
            // Cuts the list in front of cell `at + 1`, which goes into the array.
            let ((word, shadow), (next, of_next)) = (cells[at], cells[at + 1]);
            world.set_root(5, word, shadow);
            world.store(0, step * 2 % 200, next, of_next);
            null(&mut world, 5, 0);
            drop_root(&mut world, 5);
            slice(&mut world, 1);
            verify(&mut world);
        }
        finish(&mut world);
        verify(&mut world);
        world.check();
        for _ in 0..1000 {
            world.create(LIST, 0, 29, true).unwrap();
        }
        world.check();
    }
}

#[test]
fn an_overflown_log_gives_the_cycle_up_and_loses_nothing() {
    let mut world = world();
    world.create(REFS, OVERFLOW as u32, 0, false).unwrap();
    for index in 0..OVERFLOW {
        world.create(LIST, 0, 2, true).unwrap();
        put(&mut world, 0, index, 2);
    }
    drop_root(&mut world, 2);
    slice(&mut world, 1);
    assert!(marking(&mut world));
    // A fresh array is black; it takes all that the old one had, and the log cannot hold what the old one lost. Even the
    // roots do not lead to what is lost but through that black object.
    world.create(REFS, OVERFLOW as u32, 4, false).unwrap();
    for index in 0..OVERFLOW {
        let (word, shadow) = field(&world, 0, index);
        world.store(4, index, word, shadow);
        null(&mut world, 0, index);
    }
    verify(&mut world);
    slice(&mut world, 1);
    let stats = world.heap.stats();
    assert_eq!((stats.log_overflows, stats.degenerate, stats.cycles), (1, 1, 0));
    assert!(!marking(&mut world));
    verify(&mut world);
    for _ in 0..2 * OVERFLOW {
        world.create(LIST, 0, 29, true).unwrap();
    }
    assert_eq!(world.check(), OVERFLOW + 3);
}

#[test]
fn however_often_an_object_is_overwritten_it_is_logged_once() {
    const LEN: usize = 1000;
    const STORES: usize = 1_000_000;
    let mut world = world();
    world.create(REFS, LEN as u32, 0, false).unwrap();
    for index in 0..LEN {
        world.create(LIST, 0, 2, true).unwrap();
        put(&mut world, 0, index, 2);
    }
    drop_root(&mut world, 2);
    slice(&mut world, 1);
    let mut random = Random(1);
    for _ in 0..STORES / 2 {
        let (a, b) = (random.below(LEN), random.below(LEN));
        let ((word_a, of_a), (word_b, of_b)) = (field(&world, 0, a), field(&world, 0, b));
        world.store(0, a, word_b, of_b);
        world.store(0, b, word_a, of_a);
    }
    // In bulk, too.
    let (array, _) = world.root(0);
    world.heap.copy_elements(array, 0, array, 0, LEN as u32).unwrap();
    verify(&mut world);
    finish(&mut world);
    verify(&mut world);
    let stats = world.heap.stats();
    assert_eq!((stats.log_overflows, stats.degenerate, stats.cycles), (0, 0, 1));
    assert!(stats.barrier_work <= LEN as u64, "{stats:?}");
    assert_eq!(world.check(), LEN + 1);
    world.collect();
    assert_eq!(world.heap.retained().unwrap().0, LEN as u64 + 1);
}

/// With `barrier_slow` the next cycle begins when one ends, whichever way it ends, and what is dead is gone all the same.
#[test]
fn the_mutator_meets_nothing_but_active_barriers() {
    let stress = Stress { barrier_slow: true, verify: true, ..Stress::default() };
    let mut world = World::new(find("incremental").unwrap(), HeapConfig { stress, ..HeapConfig::default() });
    let mut random = Random(4);
    world.create(NODE, 0, 0, true).unwrap();
    for step in 0..3000 {
        assert!(marking(&mut world), "step {step}");
        world.step(&mut random).unwrap();
        if step % 10 == 0 {
            slice(&mut world, 60);
        }
        if step % 30 == 5 {
            // A word is lost, black or white.
            world.create(REFS, 1, 2, true).unwrap();
            let (array, shadow) = world.root(2);
            world.store(2, 0, array, shadow);
            null(&mut world, 2, 0);
        }
        if step % 500 == 0 {
            world.collect();
            assert_eq!(Ok(world.heap.live(&mut world.roots)), world.heap.retained());
        }
    }
    world.check();
    let stats = world.heap.stats();
    assert!(stats.log_lost >= 100 && stats.log_overflows >= 100 && stats.cycles > 10, "{stats:?}");
    world.heap.set_stress(Stress::default());
    finish(&mut world);
    assert!(!marking(&mut world));
    verify(&mut world);
}

#[test]
fn a_long_array_is_scanned_in_pieces_while_its_elements_move() {
    const LEN: usize = 3000;
    for seed in 0..6 {
        let mut random = Random(seed);
        let mut world = world();
        world.create(REFS, LEN as u32, 0, false).unwrap();
        for index in 0..LEN {
            world.create(LIST, 0, 2, true).unwrap();
            put(&mut world, 0, index, 2);
        }
        drop_root(&mut world, 2);
        slice(&mut world, 1);
        let mut slices = 0;
        while marking(&mut world) {
            for _ in 0..60 {
                let (a, b) = (random.below(LEN), random.below(LEN));
                let ((word_a, of_a), (word_b, of_b)) = (field(&world, 0, a), field(&world, 0, b));
                match random.below(4) {
                    0 => null(&mut world, 0, a),
                    1 => {
                        world.create(LIST, 0, 4, true).unwrap();
                        put(&mut world, 0, a, 4);
                    }
                    _ => {
                        world.store(0, a, word_b, of_b);
                        world.store(0, b, word_a, of_a);
                    }
                }
            }
            slice(&mut world, 25);
            verify(&mut world);
            slices += 1;
        }
        assert!(slices >= LEN / 50, "{slices} slices");
        assert_eq!(world.heap.stats().cycles, 1);
        world.check();
        world.collect();
        world.check();
    }
}

#[test]
fn a_slice_is_bounded() {
    // Each cell of a list that is scanned shades one, and a piece of an array 512.
    for (objects, shades) in [(1, 1), (3, 1), (100, 1), (1, 512)] {
        let mut world = world();
        if shades == 1 {
            list(&mut world, 0, 1500);
        } else {
            world.create(REFS, 1500, 0, false).unwrap();
            for index in 0..1500 {
                world.create(EMPTY, 0, 2, true).unwrap();
                put(&mut world, 0, index, 2);
            }
            drop_root(&mut world, 2);
        }
        slice(&mut world, objects);
        let mut last = marked(&mut world);
        let mut slices = 1;
        while marking(&mut world) {
            slice(&mut world, objects);
            let now = marked(&mut world);
            assert!(now <= last + u64::from(objects * shades));
            (last, slices) = (now, slices + 1);
        }
        assert!(slices >= 1500 / objects);
        assert_eq!(world.heap.stats().slices, u64::from(slices));
    }
}

#[test]
fn random_mutators_with_a_slice_at_each_step() {
    let mut logged = 0;
    for seed in 0..24 {
        let mut random = Random(seed);
        let config = HeapConfig {
            stress: Stress { poison: seed % 2 == 0, ..Stress::default() },
            initial_bytes: if seed % 3 == 0 { 1 << 14 } else { 1 << 24 },
            ..HeapConfig::default()
        };
        let mut world = World::new(find("incremental").unwrap(), config);
        world.roots.twice = seed % 4 == 1;
        for step in 0..1500 {
            world.step(&mut random).unwrap();
            slice(&mut world, 1 + (seed % 3) as u32);
            if step % 11 == 0 {
                verify(&mut world);
            }
            if step % 50 == 0 {
                world.check();
            }
        }
        let stats = world.heap.stats();
        assert!(stats.cycles >= 3 && stats.full == 0 && stats.degenerate == 0, "{stats:?}");
        logged += stats.barrier_work;
        world.collect();
        let live = world.heap.live(&mut world.roots);
        assert_eq!(world.heap.retained(), Ok(live));
    }
    assert!(logged > 0);
}

#[test]
fn a_full_collection_leaves_no_floating_garbage() {
    let mut world = world();
    list(&mut world, 0, 100);
    slice(&mut world, 10);
    // Half of the list dies, and what is allocated and dropped now floats likewise.
    let cells = (0..49).fold(world.root(0), |_, _| {
        let next = field(&world, 0, 0);
        world.set_root(0, next.0, next.1);
        next
    });
    world.create(LIST, 0, 2, true).unwrap();
    drop_root(&mut world, 2);
    finish(&mut world);
    world.heap.collect(CollectKind::Slice { objects: 1 }, &mut world.roots).unwrap();
    let live = world.heap.live(&mut world.roots);
    assert_eq!(live.0, 51);
    assert_eq!(world.heap.retained().unwrap().0, 101, "it floats through its cycle");
    assert!(marking(&mut world));
    world.collect();
    assert_eq!(world.heap.retained(), Ok(live));
    assert_eq!(world.root(0), cells);
    assert!(!marking(&mut world));
    // The second cycle was given up because a full collection was wanted, not for want of room in the log.
    let stats = world.heap.stats();
    assert_eq!((stats.cycles, stats.full, stats.degenerate), (1, 1, 0));
}

#[test]
fn what_frames_alone_keep_is_told() {
    let mut world = world();
    list(&mut world, 0, 10);
    list(&mut world, 1, 7);
    // Shared by both.
    copy_root(&mut world, 3, 0);
    slice(&mut world, 1);
    finish(&mut world);
    let stats = world.heap.stats();
    assert_eq!((stats.objects_survived, stats.survived_from_frames_only), (17, 7));
}

#[test]
fn allocation_drives_cycles_within_the_room() {
    let config = HeapConfig { max_bytes: 16 << 20, initial_bytes: 1 << 18, ..HeapConfig::default() };
    let mut world = World::new(find("incremental").unwrap(), config);
    // 2.4 MiB that stay, and churn of small and large objects.
    world.create(REFS, 1000, 2, false).unwrap();
    list(&mut world, 0, 150_000);
    let mut random = Random(3);
    let mut most = 0;
    for round in 0..150_000 {
        let (ty, len) = match round % 100 {
            0 => (BYTES, 5000),
            odd if odd % 2 == 1 => (NODE, 0),
            _ => (LIST, 0),
        };
        world.create(ty, len, 4, true).unwrap();
        put(&mut world, 2, random.below(1000), 4);
        most = most.max(if round % 512 == 0 { world.heap.used_bytes() } else { 0 });
    }
    world.check();
    let stats = world.heap.stats();
    assert!(stats.cycles >= 2 && stats.full == 0 && stats.degenerate == 0, "{stats:?}");
    assert!(stats.slices > 20 * stats.cycles, "{stats:?}");
    assert!(most < 16 << 20, "{most}");
}

#[test]
fn a_store_without_the_barrier_is_reported() {
    let mut world = world();
    two_nodes(&mut world);
    slice(&mut world, 1);
    let word = field(&world, 0, 0).0;
    let (holder, other) = (world.root(0).0, world.root(2).0);
    // One of the two was scanned, and the list hangs on the other; to and fro, without telling anyone.
    let mut reported = 0;
    for (from, to) in [(holder, other), (other, holder)] {
        world.heap.write(to, HEADER_SIZE, 4, word.0.into()).unwrap();
        world.heap.write(from, HEADER_SIZE, 4, 0).unwrap();
        if let Err(error) = world.heap.verify(&mut world.roots) {
            assert!(matches!(error.kind(), ErrorKind::Verify(what) if what.contains("hidden")), "{error}");
            reported += 1;
        }
    }
    assert_eq!(reported, 1);
}

#[test]
fn wrong_colours_are_reported() {
    for (active, colour) in [(false, 0), (false, 2), (false, 4), (true, 0), (true, 3), (true, 1 << 20)] {
        let mut world = world();
        two_nodes(&mut world);
        if active {
            slice(&mut world, 1);
        }
        verify(&mut world);
        world.heap.write(world.root(0).0, GC_WORD, 4, colour).unwrap();
        world.heap.verify(&mut world.roots).unwrap_err();
    }
}

#[test]
fn a_barrier_that_misses_the_end_of_the_log_is_reported() {
    for entries in [1, 1 << 20, -(1 << 20)] {
        let mut world = world();
        two_nodes(&mut world);
        slice(&mut world, 1);
        verify(&mut world);
        let mutator = world.heap.mutator();
        // SAFETY: the mutator's state is valid while the heap lives, and nothing else uses it now.
        let end = unsafe { (*mutator).log_end };
        // SAFETY: as above; the pointer is not followed.
        unsafe { (*mutator).log_next = end.wrapping_offset(entries) };
        for found in [
            world.heap.verify(&mut world.roots).unwrap_err(),
            world.heap.collect(CollectKind::Minor, &mut world.roots).unwrap_err(),
        ] {
            assert!(matches!(found.kind(), ErrorKind::Corrupt { .. }), "{found}");
        }
    }
}

#[test]
fn hostile_words_between_slices_end_in_an_error_at_most() {
    for seed in 0..600 {
        let mut random = Random(seed);
        let config = HeapConfig { initial_bytes: 1 << 14, max_bytes: 1 << 17, ..HeapConfig::default() };
        let mut world = World::new(find("incremental").unwrap(), config);
        world.heap.set_checked(false);
        world.create(REFS, 2000, 0, false).unwrap();
        for _ in 0..150 {
            world.step(&mut random).unwrap();
        }
        slice(&mut world, 1 + random.below(40) as u32);
        let mut objects = Vec::new();
        world.heap.for_each_object(&mut |object, _| objects.push(object));
        for round in 0..40 {
            for _ in 0..random.below(4) {
                let object = objects[random.below(objects.len())];
                let word = match random.below(6) {
                    0 => random.next() as u32,
                    1 => objects[random.below(objects.len())].0,
                    2 => objects[random.below(objects.len())].0 + 8,
                    3 => world.id(random.below(10)).0,
                    _ => random.below(5) as u32,
                };
                let offset = [TYPE_WORD, GC_WORD, 8, 12, 16, 20, 24, 40][random.below(8)];
                if round % 4 == 0 && random.below(3) == 0 {
                    let _ = world.heap.write_ref(object, offset, GcRef(word));
                } else {
                    let _ = world.heap.write(object, offset, 4, word.into());
                }
            }
            let kind = match random.below(20) {
                0 => CollectKind::Full,
                1 => CollectKind::Minor,
                some => CollectKind::Slice { objects: some as u32 },
            };
            let _ = world.heap.verify(&mut world.roots);
            if world.heap.collect(kind, &mut world.roots).is_err() {
                break;
            }
            if let Err(error) = world.alloc(EMPTY, 0) {
                assert!(matches!(error, AllocError::Corrupt | AllocError::OutOfMemory));
            }
        }
        let _ = world.heap.verify(&mut world.roots);
        let _ = world.heap.collect(CollectKind::Full, &mut world.roots);
        let _ = world.heap.verify(&mut world.roots);
    }
}
