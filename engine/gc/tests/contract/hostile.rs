//! The heap's content is untrusted: whatever words lie there, everything ends, in an error if need be.

use assay_gc::header::MAX_TYPES;
use assay_gc::{AllocError, CollectKind, GcRef, HeapConfig, Stress, registry};

use crate::model::{BYTES, EMPTY, HOST, NODES, REFS, Random, World};

/// A word that may do harm.
fn hostile(random: &mut Random, world: &World, used: u32) -> u32 {
    let somewhere = 0x1_0000 + random.below(used as usize + 64) as u32;
    match random.below(9) {
        0 => random.next() as u32,
        1 => somewhere,
        2 => somewhere / 8 * 8,
        3 => world.id(random.below(HOST + 1)).0,
        4 => world.id(random.below(HOST + 1)).0 | 1 << 31,
        5 => world.id([BYTES, NODES, REFS][random.below(3)]).0,
        6 => random.below(MAX_TYPES as usize) as u32,
        7 => random.below(5000) as u32,
        _ => [0, 1, u32::MAX, 0xffff_fff8, 1 << 31, 1 << 30][random.below(6)],
    }
}

#[test]
fn hostile_words_never_crash() {
    for collector in registry() {
        let mut sound_ones = 0;
        for seed in 0..400 {
            let mut random = Random(seed);
            let stress = Stress {
                barrier_slow: seed / 2 % 2 == 1,
                move_always: seed / 4 % 2 == 1,
                ..Stress::default()
            };
            let config =
                HeapConfig { initial_bytes: 1 << 14, max_bytes: 1 << 17, stress, ..HeapConfig::default() };
            let mut world = World::new(collector, config);
            world.heap.set_checked(false);
            for _ in 0..120 {
                world.step(&mut random).unwrap();
            }
            if seed % 2 == 0 {
                world.collect();
            }
            let used = world.heap.used_bytes() as u32;
            let mut start = u32::MAX;
            world.heap.for_each_object(&mut |object, _| start = start.min(object.0));
            if start == u32::MAX {
                continue;
            }
            // Some heaps are damaged so little that the verifier may find nothing.
            let gentle = seed % 4 < 2;
            for _ in 0..1 + random.below(if gentle { 2 } else { 60 }) {
                let word = hostile(&mut random, &world, used);
                let offset = random.below(used as usize / 4) as u32 * 4;
                world.heap.write(GcRef(start), offset, 4, word.into()).unwrap();
            }
            for _ in 0..if gentle { 0 } else { random.below(4) } {
                let slot = random.below(16);
                world.roots.frames[slot] = GcRef(hostile(&mut random, &world, used));
            }
            let _ = world.heap.verify(&mut world.roots);
            world.heap.live(&mut world.roots);
            world.heap.for_each_object(&mut |object, _| {
                world.heap.type_of(object);
                world.heap.array_len(object);
                world.heap.host_index(object);
            });
            for _ in 0..if gentle { 2 } else { 50 } {
                let word = GcRef(hostile(&mut random, &world, used));
                let (a, b) = (random.next() as u32, hostile(&mut random, &world, used));
                world.heap.read(word, b, 16);
                world.heap.write(word, a % 64, 8, 0);
                world.heap.fill_elements(word, 0, b, 0);
                world.heap.copy_elements(word, a, GcRef(b), 0, 9);
                world.heap.write_ref(word, b, GcRef(a));
            }
            let sound = world.heap.verify(&mut world.roots).is_ok();
            sound_ones += u32::from(sound);
            assert_collects_or_refuses(&mut world, sound);
        }
        let name = collector.constraints.name;
        assert!((20..380).contains(&sound_ones), "{name}: {sound_ones} heaps were sound");
    }
}

/// A heap that the verifier has found `sound` is collected. When a collection fails all the same, nothing is allocated
/// any more.
fn assert_collects_or_refuses(world: &mut World, sound: bool) {
    let name = world.heap.constraints().name;
    let collected = world.heap.collect(CollectKind::Full, &mut world.roots);
    assert!(!sound || collected.is_ok(), "{name}: {collected:?}, but the verifier had found nothing");
    assert_eq!(world.heap.verify_failure(), collected.as_ref().err());
    match collected {
        // What lay in wait may have been kept.
        Ok(()) => _ = world.alloc(EMPTY, 0),
        Err(_) => assert_eq!(world.alloc(EMPTY, 0), Err(AllocError::Corrupt), "{name}"),
    }
    let failed = world.heap.verify_failure().cloned();
    let again = world.heap.collect(CollectKind::Full, &mut world.roots);
    assert!(failed.is_none() || again.err() == failed, "{name}: a heap that has failed was collected");
    let _ = world.heap.verify(&mut world.roots);
}
