//! Random and particular object graphs survive collections unchanged.

use assay_gc::{GcRef, HeapConfig, Stress, registry};

use crate::model::{BYTES, LIST, NODE, NODES, REFS, Random, SPECIAL, Value, WIDE, World};

#[test]
fn random_graphs_stay_isomorphic() {
    for collector in registry() {
        for seed in 0..30 {
            let mut random = Random(seed);
            let stress =
                Stress { barrier_slow: seed % 4 == 2, move_always: seed % 5 == 3, ..Stress::default() };
            let config = HeapConfig { initial_bytes: 8192, stress, ..HeapConfig::default() };
            let mut world = World::new(collector, config);
            world.roots.twice = seed % 3 == 0;
            for round in 0..40 {
                for _ in 0..60 {
                    world.step(&mut random).unwrap();
                }
                world.check();
                if round % 2 == 0 {
                    world.collect();
                    world.check();
                    world.heap.verify(&mut world.roots).unwrap();
                }
            }
            let reachable = world.check() as u64;
            let (live, bytes) = world.heap.live(&mut world.roots);
            assert_eq!(live, reachable);
            world.collect();
            if collector.constraints.collects {
                assert_eq!(
                    world.heap.retained(),
                    Ok((live, bytes)),
                    "something survived that nothing reaches"
                );
                // Cells are up to a quarter larger than their objects.
                let used = world.heap.used_bytes();
                assert!(bytes <= used && used <= bytes * 5 / 4, "{used} bytes for {bytes}");
            }
            assert!(world.inline > 0);
        }
    }
}

#[test]
fn a_deep_list_and_a_cycle() {
    for collector in registry() {
        let mut world = World::new(collector, HeapConfig::default());
        for index in 0..100_000 {
            world.create(LIST, 0, 1, index % 2 == 0).unwrap();
            let (previous, shadow) = world.root(0);
            world.store(1, 0, previous, shadow);
            world.store(1, 1, GcRef::NULL, Value::Bits(index));
            let (head, shadow) = world.root(1);
            world.set_root(0, head, shadow);
            if index == 0 {
                world.set_root(2, head, shadow);
            }
        }
        world.collect();
        assert_eq!(world.check(), 100_000);
        // Close the ring, keep it by one frame slot only.
        let (head, shadow) = world.root(0);
        world.store(2, 0, head, shadow);
        world.set_root(0, GcRef::NULL, Value::Null);
        world.set_root(2, GcRef::NULL, Value::Null);
        let before = world.heap.stats().survived_from_frames_only;
        world.collect();
        assert_eq!(world.check(), 100_000);
        if collector.constraints.collects {
            assert_eq!(world.heap.stats().survived_from_frames_only - before, 100_000);
        }
        world.set_root(1, GcRef::NULL, Value::Null);
        world.collect();
        if collector.constraints.collects {
            assert_eq!(world.heap.used_bytes(), 0);
        }
    }
}

#[test]
fn self_references_and_the_last_object_an_array() {
    for collector in registry() {
        let mut world = World::new(collector, HeapConfig::default());
        world.create(NODE, 0, 0, false).unwrap();
        let (node, shadow) = world.root(0);
        world.store(0, 0, node, shadow);
        world.store(0, 2, node, shadow);
        world.create(SPECIAL, 0, 1, true).unwrap();
        // The array is the last object to be copied, and it alone refers to the special node.
        world.create(REFS, 3, 2, true).unwrap();
        let (special, shadow) = world.root(1);
        world.store(2, 2, special, shadow);
        let (array, shadow) = world.root(2);
        world.store(2, 0, array, shadow);
        world.store(2, 1, GcRef::i31(0x7fff_ffff), Value::I31(0x7fff_ffff));
        world.set_root(1, GcRef::NULL, Value::Null);
        for _ in 0..3 {
            world.collect();
            assert_eq!(world.check(), 3);
        }
    }
}

#[test]
fn large_arrays_move_and_grow_the_heap() {
    for collector in registry() {
        let mut world = World::new(collector, HeapConfig { initial_bytes: 4096, ..HeapConfig::default() });
        world.create(BYTES, 3_000_001, 0, false).unwrap();
        world.create(NODES, 200_000, 2, false).unwrap();
        world.create(NODE, 0, 1, true).unwrap();
        let (node, shadow) = world.root(1);
        world.store(2, 199_999, node, shadow);
        world.store(0, 3_000_000, GcRef::NULL, Value::Bits(0xa5));
        world.collect();
        world.heap.verify(&mut world.roots).unwrap();
        assert_eq!(world.check(), 3);
    }
}

#[test]
fn large_objects_come_and_go() {
    for collector in registry() {
        for poison in [true, false] {
            let stress = Stress { poison, ..Stress::default() };
            let mut world =
                World::new(collector, HeapConfig { stress, initial_bytes: 1 << 18, ..HeapConfig::default() });
            let mut random = Random(17);
            for step in 0..600 {
                let slot = random.below(32);
                match random.below(5) {
                    0 => world.set_root(slot, GcRef::NULL, Value::Null),
                    1 => world.collect_as(&mut random),
                    some => {
                        let ty = if some == 2 { NODES } else { WIDE };
                        let most = if random.below(4) == 0 { 6000 } else { 400 };
                        world.create(ty, 60 + random.below(most) as u32, slot, false).map(drop).unwrap();
                    }
                }
                if step % 4 == 0 {
                    world.heap.verify(&mut world.roots).unwrap();
                }
                if step % 40 == 0 {
                    world.check();
                }
            }
            let stats = world.heap.stats();
            assert!(stats.large_freed == 0 || stats.shrunk > 0, "{stats:?}");
        }
    }
}

#[test]
fn bulk_operations() {
    for collector in registry() {
        let mut world = World::new(collector, HeapConfig::default());
        world.create(NODES, 5, 0, false).unwrap();
        world.create(BYTES, 5, 2, false).unwrap();
        world.create(NODE, 0, 1, false).unwrap();
        let ((nodes, _), (bytes, _), (node, _)) = (world.root(0), world.root(2), world.root(1));
        let heap = &mut world.heap;
        heap.fill_elements(nodes, 1, 3, u128::from(node.0)).unwrap();
        assert_eq!(heap.read(nodes, 12 + 4, 4), Some(u128::from(node.0)));
        assert_eq!(heap.read(nodes, 12 + 16, 4), Some(0));
        assert_eq!(heap.fill_elements(nodes, 4, 2, 0), None);
        assert_eq!(heap.fill_elements(nodes, u32::MAX, 2, 0), None);
        assert_eq!(heap.copy_elements(nodes, 0, bytes, 0, 1), None, "slots differ");
        assert_eq!(heap.copy_elements(nodes, 3, nodes, 0, 3), None);
        heap.copy_elements(nodes, 0, nodes, 1, 4).unwrap();
        assert_eq!(heap.read(nodes, 12, 4), Some(u128::from(node.0)));
        heap.fill_elements(bytes, 0, 5, 7).unwrap();
        let mut read = [0; 5];
        heap.read_bytes(bytes, 12, &mut read).unwrap();
        assert_eq!(read, [7; 5]);
        assert_eq!(heap.read(bytes, u32::MAX, 8), None);
        assert_eq!(heap.read(GcRef::i31(3), 0, 4), None);
        assert_eq!(heap.read(GcRef::NULL, 0, 4), None);
        assert_eq!(heap.type_of(GcRef(nodes.0 + 4)), None);
        assert_eq!(heap.host_index(nodes), None);
    }
}
