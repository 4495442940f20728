//! Limits: a full heap is an error that leaves the heap whole; sizes are refused, not wrapped.

use assay_gc::layout::MAX_OBJECT_SIZE;
use assay_gc::{AllocError, GcRef, Heap, HeapConfig, TypeRegistry, find, registry};

use crate::model::{BYTES, EMPTY, LIST, NODE, REFS, Random, Value, WIDE, World};

#[test]
fn out_of_memory_leaves_the_heap_whole() {
    for collector in registry() {
        let config = HeapConfig { max_bytes: 40_000, initial_bytes: 1000, ..HeapConfig::default() };
        let mut world = World::new(collector, config);
        let mut made = 0;
        loop {
            match world.create(LIST, 0, 1, made % 2 == 0) {
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error, AllocError::OutOfMemory);
                    break;
                }
            }
            let (previous, shadow) = world.root(0);
            world.store(1, 0, previous, shadow);
            let (head, shadow) = world.root(1);
            world.set_root(0, head, shadow);
            made += 1;
        }
        assert_eq!(made, 40_000 / 16, "every byte up to the limit is used");
        assert_eq!(world.check(), made);
        world.heap.verify(&mut world.roots).unwrap();
        assert_eq!(world.alloc(BYTES, 30_000), Err(AllocError::OutOfMemory));
        assert_eq!(world.alloc(BYTES, 1_000_000), Err(AllocError::OutOfMemory));
        assert_eq!(world.heap.verify_failure(), None);
        world.clear();
        if collector.constraints.collects {
            // What died makes room again.
            world.create(BYTES, 39_000, 0, false).unwrap();
            assert_eq!(world.check(), 1);
        }
    }
}

#[test]
fn too_large_is_refused() {
    for collector in registry() {
        let mut world = World::new(collector, HeapConfig { max_bytes: 1 << 20, ..HeapConfig::default() });
        for len in [u32::MAX, MAX_OBJECT_SIZE, 1 << 31, MAX_OBJECT_SIZE - 11] {
            assert_eq!(world.alloc(BYTES, len), Err(AllocError::TooLarge));
            assert_eq!(world.alloc(REFS, len), Err(AllocError::TooLarge));
            assert_eq!(world.alloc(WIDE, len), Err(AllocError::TooLarge));
        }
        assert_eq!(world.alloc(REFS, 1 << 28), Err(AllocError::TooLarge));
        // The largest object there is: only the heap's limit is in its way.
        assert_eq!(world.alloc(BYTES, MAX_OBJECT_SIZE - 12), Err(AllocError::OutOfMemory));
    }
}

#[test]
fn tiny_heaps() {
    for collector in registry() {
        for max_bytes in [0, 1, 8, 16, 24] {
            let config = HeapConfig { max_bytes, initial_bytes: 0, ..HeapConfig::default() };
            let mut world = World::new(collector, config);
            assert_eq!(world.alloc(NODE, 0), Err(AllocError::OutOfMemory));
            assert!(world.alloc(EMPTY, 0).is_ok());
        }
    }
}

#[test]
fn the_largest_heap_reserves_and_small_reservations_bound_it() {
    for collector in registry() {
        let config = HeapConfig { max_bytes: u64::MAX, ..HeapConfig::default() };
        let world = World::new(collector, config);
        assert!(world.heap.max_bytes() > 1 << 30);
        assert!(world.heap.reservation().len() > 1 << 32);

        let config = HeapConfig { reservation: Some(1 << 20), ..HeapConfig::default() };
        let mut world = World::new(collector, config);
        assert!(world.heap.max_bytes() < 1 << 20);
        let mut random = Random(7);
        assert_eq!(world.alloc(BYTES, 1 << 20), Err(AllocError::OutOfMemory));
        if collector.constraints.collects {
            world.collect();
            for _ in 0..5000 {
                world.step(&mut random).unwrap();
            }
            world.check();
        }
    }
}

/// What the collectors can divide, in bytes: a few dozen blocks, where there are blocks.
const SMALL: u64 = 704 << 10;

/// Elements of arrays that fill no block of cells: the limit leaves room when there is no block any more.
const UNEVEN: u32 = 221;

/// Puts another array of references in front of the list in root 0, whose link is element 0.
fn prepend(world: &mut World, len: u32) -> Result<(), AllocError> {
    world.create(REFS, len, 1, true)?;
    let (rest, shadow) = world.root(0);
    world.store(1, 0, rest, shadow);
    let (head, shadow) = world.root(1);
    world.set_root(0, head, shadow);
    world.set_root(1, GcRef::NULL, Value::Null);
    Ok(())
}

#[test]
fn in_a_full_reservation_the_room_of_one_dead_object_is_found() {
    for collector in registry().iter().filter(|collector| collector.constraints.collects) {
        let config = HeapConfig { reservation: Some(SMALL), ..HeapConfig::default() };
        let mut world = World::new(collector, config);
        prepend(&mut world, UNEVEN).unwrap();
        prepend(&mut world, UNEVEN).unwrap();
        let (second, shadow) = world.root(0);
        world.set_root(2, second, shadow);
        let mut made = 2;
        while prepend(&mut world, UNEVEN).is_ok() {
            made += 1;
        }
        assert_eq!(world.check(), made);
        // The first one dies.
        world.store(2, 0, GcRef::NULL, Value::Null);
        prepend(&mut world, UNEVEN).unwrap();
        assert_eq!(world.check(), made);
        assert_eq!(prepend(&mut world, UNEVEN), Err(AllocError::OutOfMemory));
        world.heap.verify(&mut world.roots).unwrap();
    }
}

#[test]
fn a_full_reservation_of_dead_objects_serves_other_sizes() {
    for collector in registry().iter().filter(|collector| collector.constraints.collects) {
        let config = HeapConfig { reservation: Some(SMALL), initial_bytes: SMALL, ..HeapConfig::default() };
        let mut world = World::new(collector, config);
        for len in [UNEVEN, 1, UNEVEN, 20, UNEVEN, 300, UNEVEN] {
            let mut made = 0;
            while prepend(&mut world, len).is_ok() {
                made += 1;
            }
            assert!(made > 0 && world.check() == made, "{} {len}: {made}", collector.constraints.name);
            world.set_root(0, GcRef::NULL, Value::Null);
        }
        world.heap.verify(&mut world.roots).unwrap();
    }
}

#[test]
fn heaps_are_returned() {
    // 4 GiB each: only returned address space lets so many be made.
    let registry = TypeRegistry::new().unwrap();
    for round in 0..40_000 {
        let collector = find(if round % 2 == 0 { "null" } else { "copying" }).unwrap();
        let config = HeapConfig { initial_bytes: 4096, ..HeapConfig::default() };
        drop(Heap::new(registry.clone(), collector, config).unwrap());
    }
}

#[test]
fn garbage_does_not_grow_the_heap() {
    for collector in registry().iter().filter(|entry| entry.constraints.collects) {
        let config = HeapConfig { max_bytes: 1 << 20, initial_bytes: 1 << 16, ..HeapConfig::default() };
        let mut world = World::new(collector, config);
        world.create(BYTES, 1000, 0, true).unwrap();
        for _ in 0..5000 {
            world.create(BYTES, 1000, 2, true).unwrap();
            world.set_root(2, GcRef::NULL, Value::Null);
        }
        let stats = world.heap.stats();
        assert!(stats.bytes_allocated >= 5_000_000);
        assert!(stats.collections >= 50 && stats.forced == 0, "{stats:?}");
        assert!(world.heap.used_bytes() <= 1 << 16);
        assert_eq!(world.check(), 1);
    }
}
