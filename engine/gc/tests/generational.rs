//! What is particular to the generational collector: ages, the remembered set, fresh objects outside the nursery, and
//! sliding. The contract of all collectors is tested in `contract`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use assay_gc::{
    AllocError, CARD_BYTES, CollectKind, CompositeType, FieldType, GcRef, Heap, HeapConfig, HeapType,
    RefType, RootKind, RootPhase, RootSet, Schedule, StorageType, Stress, SubType, TypeId, TypeRegistry,
    ValType, find,
};

#[derive(Default)]
struct Roots {
    state: Vec<GcRef>,
    frames: Vec<GcRef>,
}

impl RootSet for Roots {
    fn visit(&mut self, phase: RootPhase, visit: &mut dyn FnMut(RootKind, &mut GcRef)) {
        // Every slot twice.
        for _ in 0..2 {
            match phase {
                RootPhase::State => self.state.iter_mut().for_each(|slot| visit(RootKind::Global, slot)),
                RootPhase::Frames => self.frames.iter_mut().for_each(|slot| visit(RootKind::Frame, slot)),
            }
        }
    }
}

/// Offsets in a node: an array of nodes, a node, a number.
const ARRAY: u32 = 8;
const NEXT: u32 = 12;
const NUMBER: u32 = 16;
/// Offset of the first element of an array of nodes.
const FIRST: u32 = 12;
const NODE_BYTES: u64 = 24;

struct World {
    heap: Heap,
    roots: Roots,
    node: TypeId,
    nodes: TypeId,
    bytes: TypeId,
}

impl World {
    fn new(config: HeapConfig) -> World {
        let field = |storage| FieldType { storage, mutable: true };
        let reference =
            |to| field(StorageType::Val(ValType::Ref(RefType { nullable: true, heap: HeapType::Rec(to) })));
        let open = |composite| SubType { is_final: false, supertype: None, composite };
        let number = field(StorageType::Val(ValType::I32));
        let registry = TypeRegistry::new().unwrap();
        let group = registry
            .register(&[
                open(CompositeType::Struct([reference(1), reference(0), number].into())),
                open(CompositeType::Array(reference(0))),
                open(CompositeType::Array(field(StorageType::I8))),
            ])
            .unwrap();
        let mut heap = Heap::new(registry, find("generational").unwrap(), config).unwrap();
        heap.set_checked(true);
        let (node, nodes, bytes) = (group.ids()[0], group.ids()[1], group.ids()[2]);
        heap.retain_group(group);
        let roots = Roots { state: vec![GcRef::NULL; 8], frames: vec![GcRef::NULL; 64] };
        World { heap, roots, node, nodes, bytes }
    }

    fn strict() -> World {
        let stress = Stress { poison: true, verify: true, ..Stress::default() };
        World::new(HeapConfig { stress, ..HeapConfig::default() })
    }

    fn node(&mut self, number: u32) -> Result<GcRef, AllocError> {
        let node = self.heap.alloc_struct(self.node, &mut self.roots)?;
        self.heap.write(node, NUMBER, 4, number.into()).unwrap();
        Ok(node)
    }

    fn array(&mut self, len: u32) -> Result<GcRef, AllocError> {
        self.heap.alloc_array(self.nodes, len, &mut self.roots)
    }

    fn collect(&mut self, kind: CollectKind) {
        self.heap.collect(kind, &mut self.roots).unwrap();
    }

    fn minor(&mut self) {
        self.collect(CollectKind::Minor);
    }

    /// Makes what is in root `slot` old.
    fn age(&mut self, slot: usize) -> GcRef {
        self.minor();
        self.minor();
        self.roots.state[slot]
    }

    fn read(&self, object: GcRef, offset: u32) -> GcRef {
        GcRef(self.heap.read(object, offset, 4).unwrap() as u32)
    }

    fn number(&self, node: GcRef) -> u32 {
        assert_eq!(self.heap.type_of(node), Some(self.node));
        self.heap.read(node, NUMBER, 4).unwrap() as u32
    }

    fn promoted(&self) -> u64 {
        self.heap.stats().objects_promoted
    }
}

#[test]
fn an_object_is_promoted_when_it_survives_for_the_second_time() {
    let mut world = World::strict();
    world.roots.state[0] = world.node(7).unwrap();
    let born = world.roots.state[0];
    world.minor();
    let survivor = world.roots.state[0];
    assert!(survivor != born && world.promoted() == 0);
    world.roots.state[1] = world.node(8).unwrap();
    world.minor();
    let old = world.roots.state[0];
    assert!(old != survivor && world.promoted() == 1, "the younger one stays");
    world.minor();
    assert_eq!((world.roots.state[0], world.promoted()), (old, 2));
    world.minor();
    assert_eq!(world.promoted(), 2);
    assert_eq!((world.number(old), world.number(world.roots.state[1])), (7, 8));
    assert_eq!(world.heap.stats().minor, 4);
}

#[test]
fn an_old_object_keeps_a_young_one_stored_by_write_ref() {
    let mut world = World::strict();
    world.roots.state[0] = world.node(1).unwrap();
    let old = world.age(0);
    let young = world.node(2).unwrap();
    world.heap.write_ref(old, NEXT, young).unwrap();
    for age in 1..4 {
        let promoted = world.promoted();
        world.minor();
        assert_eq!(world.roots.state[0], old, "old objects stay where they are");
        assert_eq!(world.number(world.read(old, NEXT)), 2);
        assert_eq!(world.promoted() - promoted, u64::from(age == 2));
    }
}

#[test]
fn an_old_array_keeps_young_elements_of_bulk_stores() {
    for (len, index) in
        [(100, 99), (100, 0), (20_000, 19_999), (20_000, 0), (20_000, 12_345), (1 << 20, 777_777)]
    {
        let mut world = World::strict();
        world.roots.state[0] = world.array(len).unwrap();
        let array = world.age(0);
        let source = world.array(3).unwrap();
        world.roots.state[1] = source;
        let young = world.node(5).unwrap();
        world.heap.write_ref(source, FIRST + 4, young).unwrap();
        world.heap.copy_elements(array, index, source, 1, 1).unwrap();
        world.roots.state[1] = GcRef::NULL;
        world.minor();
        let element = FIRST + index * 4;
        assert_eq!(world.number(world.read(array, element)), 5, "copied to {index} of {len}");
        world.minor();
        let other = world.node(6).unwrap();
        world.heap.fill_elements(array, index, 1, other.0.into()).unwrap();
        world.minor();
        world.minor();
        assert_eq!(world.number(world.read(array, element)), 6, "filled at {index} of {len}");
        world.collect(CollectKind::Full);
        let array = world.roots.state[0];
        assert_eq!(world.number(world.read(array, element)), 6);
        assert_eq!(world.heap.retained().unwrap().0, 2);
    }
}

#[test]
fn only_dirty_cards_of_a_large_array_are_scanned() {
    let mut world = World::strict();
    world.roots.state[0] = world.array(1 << 20).unwrap();
    let array = world.age(0);
    let young = world.node(9).unwrap();
    world.heap.write_ref(array, FIRST + 4 * 500_000, young).unwrap();
    let work = world.heap.stats().barrier_work;
    world.minor();
    assert_eq!(world.heap.stats().barrier_work - work, 1);
    world.minor();
    assert_eq!(world.heap.stats().barrier_work - work, 2, "it refers to a young object still");
    world.minor();
    assert_eq!(world.heap.stats().barrier_work - work, 2, "the object has become old");
}

#[test]
fn a_fresh_large_array_holds_young_objects_without_a_barrier() {
    for len in [3000, 100_000] {
        let mut world = World::strict();
        for slot in 0..8 {
            world.roots.state[slot] = world.node(slot as u32).unwrap();
        }
        let array = world.array(len).unwrap();
        for slot in 0..8 {
            let word = world.roots.state[slot].0;
            world.heap.write(array, FIRST + 4 * (len - 1 - slot as u32), 4, word.into()).unwrap();
        }
        world.roots.state = vec![array; 1];
        for kind in [CollectKind::Minor, CollectKind::Minor, CollectKind::Full, CollectKind::Minor] {
            world.collect(kind);
            assert_eq!(world.roots.state[0], array, "large objects stay where they are");
            for slot in 0..8 {
                assert_eq!(world.number(world.read(array, FIRST + 4 * (len - 1 - slot))), slot);
            }
        }
    }
}

#[test]
fn a_minor_collection_frees_young_large_objects_and_leaves_old_garbage() {
    let mut world = World::strict();
    world.roots.state[0] = world.array(10_000).unwrap();
    world.roots.state[1] = world.node(1).unwrap();
    world.array(10_000).unwrap();
    world.minor();
    assert_eq!(world.heap.stats().large_freed, 1);
    world.minor();
    let used = world.heap.used_bytes();
    world.roots.state.fill(GcRef::NULL);
    world.minor();
    assert_eq!(world.heap.used_bytes(), used, "old garbage is a full collection's business");
    world.collect(CollectKind::Full);
    assert_eq!(world.heap.used_bytes(), 0);
    assert_eq!(world.heap.stats().large_freed, 2);
}

#[test]
fn a_young_large_object_that_only_an_old_one_refers_to_survives() {
    let mut world = World::strict();
    world.roots.state[0] = world.node(1).unwrap();
    let old = world.age(0);
    let array = world.array(5_000).unwrap();
    world.heap.write_ref(old, ARRAY, array).unwrap();
    let young = world.node(2).unwrap();
    world.heap.write_ref(array, FIRST, young).unwrap();
    for _ in 0..3 {
        world.minor();
        assert_eq!(world.read(old, ARRAY), array);
        assert_eq!(world.number(world.read(array, FIRST)), 2);
    }
}

#[test]
fn a_chain_through_the_generations() {
    let mut world = World::strict();
    world.roots.state[0] = world.node(1).unwrap();
    world.roots.state[1] = world.node(3).unwrap();
    let first = world.age(0);
    let last = world.roots.state[1];
    world.roots.state[1] = GcRef::NULL;
    let young = world.node(2).unwrap();
    world.heap.write_ref(young, NEXT, last).unwrap();
    world.heap.write_ref(first, NEXT, young).unwrap();
    for kind in [CollectKind::Minor, CollectKind::Full, CollectKind::Minor, CollectKind::Full] {
        world.collect(kind);
        let first = world.roots.state[0];
        let second = world.read(first, NEXT);
        let third = world.read(second, NEXT);
        assert_eq!([first, second, third].map(|node| world.number(node)), [1, 2, 3]);
    }
    assert_eq!(world.heap.used_bytes(), 3 * NODE_BYTES);
}

#[test]
fn dead_old_objects_keep_what_they_refer_to_until_they_go() {
    let mut world = World::strict();
    world.roots.state[0] = world.node(1).unwrap();
    let old = world.age(0);
    let young = world.node(2).unwrap();
    world.heap.write_ref(old, NEXT, young).unwrap();
    world.roots.state[0] = GcRef::NULL;
    for _ in 0..3 {
        world.minor();
        assert_eq!(world.heap.used_bytes(), 2 * NODE_BYTES);
    }
    world.collect(CollectKind::Full);
    assert_eq!(world.heap.used_bytes(), 0);
}

#[test]
fn a_store_without_a_barrier_is_reported() {
    let mut world = World::strict();
    world.roots.state[0] = world.node(1).unwrap();
    world.roots.state[1] = world.array(1000).unwrap();
    let old = world.age(0);
    let array = world.roots.state[1];
    let young = world.node(2).unwrap();
    for slot in [(old, NEXT), (array, FIRST + 999 * 4)] {
        world.heap.write(slot.0, slot.1, 4, young.0.into()).unwrap();
        world.heap.verify(&mut world.roots).unwrap_err();
        world.heap.write_ref(slot.0, slot.1, young).unwrap();
        world.heap.verify(&mut world.roots).unwrap();
    }
}

#[test]
fn compaction_slides_and_keeps_the_order() {
    let mut world = World::strict();
    world.roots.frames.clear();
    for number in 0..5000 {
        let node = world.node(number).unwrap();
        world.roots.frames.push(node);
    }
    world.collect(CollectKind::Full);
    let before = world.roots.frames.clone();
    assert!(before.is_sorted_by_key(|node| node.0));
    let kept = |number: u32| number.is_multiple_of(7) || (1000..1100).contains(&number);
    world.roots.frames.retain(|&node| kept(world.heap.read(node, NUMBER, 4).unwrap() as u32));
    world.collect(CollectKind::Full);
    let numbers: Vec<u32> = world.roots.frames.iter().map(|&node| world.number(node)).collect();
    assert_eq!(numbers, (0..5000).filter(|&number| kept(number)).collect::<Vec<_>>());
    let places = world.roots.frames.windows(2).all(|pair| u64::from(pair[1].0 - pair[0].0) == NODE_BYTES);
    assert!(places, "objects lie back to back in the order of before");
    assert_eq!(world.roots.frames[0], before[0]);
}

/// Up and down in turn; an old object's card is found wherever it has gone.
#[test]
fn everything_old_moves_at_every_full_collection_if_it_shall() {
    let stress = Stress { poison: true, verify: true, move_always: true, ..Stress::default() };
    let mut world = World::new(HeapConfig { stress, ..HeapConfig::default() });
    world.roots.frames.clear();
    for number in 0..5000 {
        let node = world.node(number).unwrap();
        world.roots.frames.push(node);
    }
    world.roots.state[0] = world.array(2000).unwrap();
    world.roots.state[1] = world.array(20_000).unwrap();
    for round in 0..8 {
        let before = world.roots.frames.clone();
        let arrays = world.roots.state.clone();
        world.collect(CollectKind::Full);
        let after = &world.roots.frames;
        assert!(before.iter().zip(after).all(|(before, after)| before != after), "round {round}");
        assert!(after.is_sorted_by_key(|node| node.0) && world.roots.state[0] != arrays[0]);
        assert_eq!(world.roots.state[1], arrays[1], "large objects stay where they are");
        // The first of all objects, one at the end, and one in a card with others get a young referent each.
        let holders = [0, after.len() - 1, after.len() / 2].map(|at| after[at]);
        for (number, holder) in (7000..).zip(holders) {
            let young = world.node(number).unwrap();
            world.heap.write_ref(holder, NEXT, young).unwrap();
        }
        world.minor();
        world.minor();
        for (number, holder) in (7000..).zip(holders) {
            assert_eq!(world.number(world.read(holder, NEXT)), number);
        }
        let mut number = 0;
        world.roots.frames.retain(|_| {
            number += 1;
            number % 7 != round
        });
    }
    let numbers: Vec<u32> = world.roots.frames.iter().map(|&node| world.number(node)).collect();
    assert!(numbers.len() > 1000 && numbers.is_sorted());
    world.roots.frames.clear();
    world.roots.state.fill(GcRef::NULL);
    for _ in 0..3 {
        world.collect(CollectKind::Full);
        assert_eq!(world.heap.used_bytes(), 0);
    }
}

#[test]
fn where_the_reservation_has_no_room_for_a_gap_the_limit_comes_first() {
    let fill = |move_always| {
        let stress = Stress { verify: true, move_always, ..Stress::default() };
        let mut world =
            World::new(HeapConfig { reservation: Some(1 << 20), stress, ..HeapConfig::default() });
        world.roots.frames.clear();
        for number in 0.. {
            match world.node(number) {
                Ok(node) => world.roots.frames.push(node),
                Err(AllocError::OutOfMemory) => break,
                Err(error) => panic!("{error:?}"),
            }
            if number % 1000 == 0 {
                world.collect(CollectKind::Full);
            }
        }
        (world.roots.frames.len(), world.heap.used_bytes())
    };
    assert_eq!(fill(true), fill(false));
}

#[test]
fn survivors_that_the_other_half_does_not_take_are_promoted() {
    let stress = Stress { poison: true, verify: true, ..Stress::default() };
    let mut world = World::new(HeapConfig { initial_bytes: 1 << 16, stress, ..HeapConfig::default() });
    let mut head = GcRef::NULL;
    for number in 0..20_000 {
        world.roots.state[0] = head;
        let node = world.node(number).unwrap();
        world.heap.write_ref(node, NEXT, world.roots.state[0]).unwrap();
        head = node;
    }
    world.roots.state[0] = head;
    let stats = world.heap.stats();
    assert!(stats.minor > 0 && stats.grown > 0, "{stats:?}");
    world.minor();
    let mut at = world.roots.state[0];
    for number in (0..20_000).rev() {
        assert_eq!(world.number(at), number);
        at = world.read(at, NEXT);
    }
    assert!(at.is_null());
}

#[test]
fn a_nursery_of_the_smallest_size_takes_an_object_of_the_largest() {
    let mut world = World::new(HeapConfig { initial_bytes: 0, max_bytes: 1 << 17, ..HeapConfig::default() });
    for round in 0..200 {
        // 8 KiB with its header.
        let array = world.array(2045).unwrap();
        world.heap.fill_elements(array, 0, 2045, 1).unwrap();
        world.roots.state[round % 8] = array;
    }
    let stats = world.heap.stats();
    assert!(stats.minor > stats.full && stats.full > 0, "{stats:?}");
}

#[test]
fn a_fragmented_space_of_large_objects_refuses_nothing() {
    let stress = Stress { poison: true, verify: true, ..Stress::default() };
    let config = HeapConfig { reservation: Some(1 << 20), stress, ..HeapConfig::default() };
    let mut world = World::new(config);
    let limit = world.heap.max_bytes();
    // 16 KiB each.
    let most = (limit / (16 << 10)) as usize;
    world.roots.frames = vec![GcRef::NULL; most];
    for slot in 0..most {
        world.roots.frames[slot] = world.array(4093).unwrap();
    }
    (0..most).step_by(2).for_each(|slot| world.roots.frames[slot] = GcRef::NULL);
    world.roots.state[0] = world.node(77).unwrap();
    let len = (limit / 2 - 4096) as u32 / 4;
    let array = world.array(len).unwrap();
    world.heap.write(array, FIRST + 4 * (len - 1), 4, world.roots.state[0].0.into()).unwrap();
    world.roots.state[0] = array;
    for kind in [CollectKind::Minor, CollectKind::Minor, CollectKind::Full, CollectKind::Minor] {
        world.collect(kind);
        let array = world.roots.state[0];
        assert_eq!(world.number(world.read(array, FIRST + 4 * (len - 1))), 77);
    }
}

#[test]
fn memory_is_given_back() {
    let mut world = World::new(HeapConfig::default());
    world.roots.frames.clear();
    for number in 0..200_000 {
        let node = world.node(number).unwrap();
        world.roots.frames.push(node);
    }
    world.collect(CollectKind::Full);
    let shrunk = world.heap.stats().shrunk;
    world.roots.frames.truncate(100);
    world.collect(CollectKind::Full);
    assert!(world.heap.stats().shrunk > shrunk);
    world.roots.frames.iter().zip(0..).for_each(|(&node, number)| assert_eq!(world.number(node), number));
    for number in 100..200_000 {
        let node = world.node(number).unwrap();
        world.roots.frames.push(node);
    }
    world.roots.frames.iter().zip(0..).for_each(|(&node, number)| assert_eq!(world.number(node), number));
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % n
    }
}

/// Nodes in the frames' slots, each with an array of nodes, all sizes of them, under a limit that is often reached.
fn run_random(seed: u64, steps: u64, stress: Stress, scheduled: bool) -> World {
    let mut random = Random(seed);
    let reservation = [None, Some(1 << 20)][(seed % 2) as usize];
    let config = HeapConfig { max_bytes: 400_000, initial_bytes: 1000 << (seed % 8), stress, reservation };
    let mut world = World::new(config);
    if scheduled {
        world.heap.set_schedule(&Schedule { events: Vec::new(), seed: Some(seed) });
    }
    // By number, what the array of a node refers to; no array without a node.
    let mut shadow: Vec<Vec<Option<u32>>> = Vec::new();
    let mut held: Vec<Option<u32>> = vec![None; world.roots.frames.len()];
    for step in 0..steps {
        let slot = random.below(64) as usize;
        match random.below(9) {
            7 => {
                let other = random.below(64) as usize;
                let (Some(one), Some(two)) = (held[slot], held[other]) else { continue };
                let nodes = [world.roots.frames[slot], world.roots.frames[other]];
                let arrays = nodes.map(|node| world.read(node, ARRAY));
                world.heap.write_ref(nodes[0], ARRAY, arrays[1]).unwrap();
                world.heap.write_ref(nodes[1], ARRAY, arrays[0]).unwrap();
                shadow.swap(one as usize, two as usize);
            }
            0..3 => {
                let len = [3, 20, 200, 2045, 2500, 20_000][random.below(6) as usize];
                let len = (random.below(len) + 1) as u32;
                let Ok(array) = world.array(len) else {
                    for (word, held) in world.roots.frames.iter_mut().zip(&mut held) {
                        if random.below(2) == 0 {
                            (*word, *held) = (GcRef::NULL, None);
                        }
                    }
                    continue;
                };
                let mut elements = vec![None; len as usize];
                for _ in 0..random.below(9) {
                    let (from, to) = (random.below(64) as usize, random.below(len.into()) as u32);
                    // No barrier: the array is fresh.
                    let word = world.roots.frames[from].0;
                    world.heap.write(array, FIRST + to * 4, 4, word.into()).unwrap();
                    elements[to as usize] = held[from];
                }
                world.roots.state[0] = array;
                let number = shadow.len() as u32;
                if let Ok(node) = world.node(number) {
                    world.heap.write(node, ARRAY, 4, world.roots.state[0].0.into()).unwrap();
                    shadow.push(elements);
                    world.roots.frames[slot] = node;
                    held[slot] = Some(number);
                }
                world.roots.state[0] = GcRef::NULL;
            }
            3 => {
                world.roots.frames[slot] = GcRef::NULL;
                held[slot] = None;
            }
            4..7 => {
                let Some(number) = held[slot] else { continue };
                let array = world.read(world.roots.frames[slot], ARRAY);
                let elements = &mut shadow[number as usize];
                let (from, to) = (random.below(64) as usize, random.below(elements.len() as u64) as usize);
                let most = (elements.len() - to).min(300) as u64;
                let len = if random.below(3) == 0 { random.below(most + 1) as usize } else { 1 };
                let word = world.roots.frames[from];
                world.heap.fill_elements(array, to as u32, len as u32, word.0.into()).unwrap();
                elements[to..to + len].fill(held[from]);
            }
            _ => {
                let other = random.below(64) as usize;
                let (Some(to), Some(from)) = (held[slot], held[other]) else { continue };
                let dst = world.read(world.roots.frames[slot], ARRAY);
                let src = world.read(world.roots.frames[other], ARRAY);
                let len = shadow[to as usize].len().min(shadow[from as usize].len());
                world.heap.copy_elements(dst, 0, src, 0, len as u32).unwrap();
                let copied = shadow[from as usize][..len].to_vec();
                shadow[to as usize][..len].copy_from_slice(&copied);
            }
        }
        world.heap.safepoint(&mut world.roots).unwrap();
        if step % 64 == 63 {
            match random.below(8) {
                0 => world.collect(CollectKind::Full),
                1 | 2 => world.minor(),
                _ => {}
            }
            compare(&world, &shadow, &held);
        }
    }
    compare(&world, &shadow, &held);
    world
}

fn compare(world: &World, shadow: &[Vec<Option<u32>>], held: &[Option<u32>]) {
    let mut places = vec![GcRef::NULL; shadow.len()];
    let mut pending: Vec<_> = world.roots.frames.iter().copied().zip(held.iter().copied()).collect();
    while let Some((word, number)) = pending.pop() {
        let Some(number) = number else {
            assert!(word.is_null());
            continue;
        };
        let place = &mut places[number as usize];
        if !place.is_null() {
            assert_eq!(*place, word);
            continue;
        }
        *place = word;
        assert_eq!(world.number(word), number);
        let array = world.read(word, ARRAY);
        let elements = &shadow[number as usize];
        assert_eq!(world.heap.array_len(array), Some(elements.len() as u32));
        pending.extend((0..).zip(elements).map(|(at, &of)| (world.read(array, FIRST + at * 4), of)));
    }
}

#[test]
fn random_mutators_of_all_sizes_under_a_tight_limit() {
    let strict = Stress { poison: true, verify: true, ..Stress::default() };
    let (mut full, mut minor, mut promoted, mut freed) = (0, 0, 0, 0);
    for seed in 0..12 {
        let stress = match seed % 3 {
            0 => Stress { move_always: seed % 2 == 0, ..strict },
            1 => Stress { every_safepoint: 29, move_always: seed % 4 == 0, ..strict },
            _ => Stress::default(),
        };
        let mut world = run_random(seed, 500, stress, seed % 4 == 3);
        world.collect(CollectKind::Full);
        assert_eq!(Ok(world.heap.live(&mut world.roots)), world.heap.retained());
        let stats = world.heap.stats();
        full += stats.full;
        minor += stats.minor;
        promoted += stats.objects_promoted;
        freed += stats.large_freed;
    }
    assert!(full > 100 && minor > 100 && promoted > 1000 && freed > 100, "{full} {minor} {promoted} {freed}");
}

#[test]
fn the_same_run_counts_the_same() {
    for seed in [3, 7] {
        let stats = || run_random(seed, 600, Stress::default(), true).heap.stats();
        assert_eq!(stats(), stats());
    }
}

#[test]
fn hostile_words_in_all_generations_never_crash() {
    for seed in 0..120 {
        let mut random = Random(seed);
        let stress = Stress { move_always: seed % 3 == 0, ..Stress::default() };
        let mut world = run_random(seed, 100 + seed % 100, stress, false);
        world.heap.set_checked(false);
        let mut objects = Vec::new();
        world.heap.for_each_object(&mut |object, _| objects.push(object));
        let types = [world.node, world.nodes, world.bytes].map(|id| id.0);
        for _ in 0..=random.below(40) {
            if objects.is_empty() {
                break;
            }
            let object = objects[random.below(objects.len() as u64) as usize];
            let other = objects[random.below(objects.len() as u64) as usize].0;
            let word = match random.below(8) {
                0 => random.below(1 << 32) as u32,
                1 => other,
                2 => other + 8 * random.below(64) as u32,
                3 => types[random.below(3) as usize],
                4 => types[random.below(3) as usize] | 1 << 31,
                5 => random.below(5000) as u32,
                6 => other.wrapping_sub(CARD_BYTES),
                _ => [u32::MAX, 1 << 31, 1 << 30, 0xffff_fff8][random.below(4) as usize],
            };
            let offset = 4 * random.below(8) as u32;
            // Some with a card, some without.
            if random.below(2) == 0 {
                let _ = world.heap.write_ref(object, offset, GcRef(word));
            } else {
                let _ = world.heap.write(object, offset, 4, word.into());
            }
        }
        let _ = world.heap.verify(&mut world.roots);
        for kind in [CollectKind::Minor, CollectKind::Minor, CollectKind::Full, CollectKind::Minor] {
            if world.heap.collect(kind, &mut world.roots).is_err() {
                break;
            }
            let _ = world.node(1);
        }
        let _ = world.heap.verify(&mut world.roots);
        world.heap.live(&mut world.roots);
    }
}
