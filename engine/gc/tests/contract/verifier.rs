//! Each broken invariant is reported, and a heap that is broken at a collection is not used again.

use assay_gc::header::{ARRAY_LENGTH, GC_WORD, POISON_WORD, TYPE_WORD};
use assay_gc::{AllocError, AllocShape, CollectKind, ErrorKind, GcRef, HeapConfig, Stress, registry};

use crate::model::{EMPTY, LIST, NODE, NODES, REFS, SPECIAL, THROWN, Value, World};

/// A node (root 0) whose first field is a list cell, an array of nodes (root 2) and an array of anything (root 4).
fn world(collector: &assay_gc::CollectorEntry) -> World {
    let mut world = World::new(collector, HeapConfig::default());
    // It is damaged in most of these tests.
    world.heap.set_checked(false);
    world.create(NODE, 0, 0, false).unwrap();
    world.create(LIST, 0, 1, false).unwrap();
    let (list, shadow) = world.root(1);
    world.store(0, 0, list, shadow);
    world.create(NODES, 4, 2, false).unwrap();
    let (node, shadow) = world.root(0);
    world.store(2, 3, node, shadow);
    world.create(REFS, 4, 4, false).unwrap();
    let (array, shadow) = world.root(2);
    world.store(4, 3, array, shadow);
    world.create(SPECIAL, 0, 6, false).unwrap();
    world.create(EMPTY, 0, 8, false).unwrap();
    world.create(THROWN, 0, 10, false).unwrap();
    let (exception, shadow) = world.root(10);
    world.store(10, 3, exception, shadow);
    world
}

type Damage = fn(&mut World);

const DAMAGES: &[(&str, Damage)] = &[
    ("field: inside an object", |w| put(w, 0, 0, |w| w.root(0).0.0 + 8)),
    ("field: misaligned", |w| put(w, 0, 0, |w| w.root(0).0.0 + 4)),
    ("field: behind the used space", |w| put(w, 0, 0, |w| w.root(8).0.0 + 8)),
    ("field: null page", |w| put(w, 0, 0, |_| 16)),
    ("field: poison", |w| put(w, 0, 0, |_| POISON_WORD)),
    ("field: object of another type", |w| put(w, 0, 2, |w| w.root(1).0.0)),
    ("field: i31 for a node", |w| put(w, 0, 2, |_| GcRef::i31(5).0)),
    ("field: array for i31ref", |w| put(w, 6, 9, |w| w.root(2).0.0)),
    ("field: supertype for a subtype's field", |w| put(w, 6, 10, |w| w.root(0).0.0)),
    ("field: exception for a node", |w| put(w, 0, 2, |w| w.root(10).0.0)),
    ("field: exception for anyref", |w| put(w, 0, 0, |w| w.root(10).0.0)),
    ("field: exception for externref", |w| put(w, 0, 4, |w| w.root(10).0.0)),
    ("payload: a struct for exnref", |w| put(w, 10, 3, |w| w.root(0).0.0)),
    ("payload: i31 for exnref", |w| put(w, 10, 3, |_| GcRef::i31(5).0)),
    ("payload: wild", |w| put(w, 10, 1, |_| 0xffff_fff8)),
    ("last element: object of another type", |w| put(w, 2, 3, |w| w.root(1).0.0)),
    ("last element: wild", |w| put(w, 4, 3, |_| 0xffff_fff8)),
    ("first element: wild", |w| put(w, 2, 0, |w| w.root(8).0.0 + 64)),
    ("root: wild", |w| w.roots.globals[0].0 = 0x7000_0000),
    ("root: inside an object", |w| w.roots.frames[0].0 += 8),
    ("root: poison", |w| w.roots.globals[0].0 = POISON_WORD),
    ("header: no type", |w| raw(w, 0, TYPE_WORD, 0)),
    ("header: free type", |w| raw(w, 0, TYPE_WORD, 0x1_0000)),
    ("header: flag", |w| flip(w, 0, TYPE_WORD, 1 << 31)),
    ("header: another flag", |w| flip(w, 0, TYPE_WORD, 1 << 17)),
    ("header: forwarding", |w| raw(w, 0, GC_WORD, w.root(2).0.0)),
    ("header: poison", |w| raw(w, 0, TYPE_WORD, POISON_WORD)),
    ("header: smaller type", |w| raw(w, 6, TYPE_WORD, w.id(LIST).0)),
    ("array length: huge", |w| raw(w, 2, ARRAY_LENGTH, u32::MAX)),
    ("array length: reaches out of the heap", |w| raw(w, 4, ARRAY_LENGTH, 1000)),
    ("array length: reaches into the next object", |w| raw(w, 2, ARRAY_LENGTH, 6)),
];

fn put(world: &mut World, slot: usize, index: usize, word: fn(&World) -> u32) {
    let (object, Value::Object(_)) = world.root(slot) else { panic!("an empty root") };
    let word = word(world);
    let ty = if slot == 0 { NODE } else { [NODE, NODES, REFS, SPECIAL, EMPTY, THROWN][slot / 2] };
    let (offset, _) = world.place(ty, index);
    world.heap.write(object, offset, 4, word.into()).unwrap();
}

fn raw(world: &mut World, slot: usize, offset: u32, word: u32) {
    world.heap.write(world.root(slot).0, offset, 4, word.into()).unwrap();
}

fn flip(world: &mut World, slot: usize, offset: u32, bits: u32) {
    let word = world.heap.read(world.root(slot).0, offset, 4).unwrap() as u32;
    raw(world, slot, offset, word ^ bits);
}

#[test]
fn the_undamaged_world_is_fine() {
    for collector in registry() {
        let mut world = world(collector);
        world.heap.verify(&mut world.roots).unwrap();
        world.check();
    }
}

#[test]
fn each_damage_is_reported() {
    for collector in registry() {
        for (what, damage) in DAMAGES {
            let mut world = world(collector);
            damage(&mut world);
            let found = world.heap.verify(&mut world.roots);
            let name = collector.constraints.name;
            let Err(error) = found else { panic!("{name}: {what} went unnoticed") };
            assert!(matches!(error.kind(), ErrorKind::Verify(_)), "{what}: {error}");
        }
    }
}

#[test]
fn a_null_in_a_field_that_cannot_be_null() {
    use assay_gc::{CompositeType, HeapType, RefType, StorageType, ValType};
    for collector in registry() {
        let mut world = world(collector);
        let of = RefType { nullable: false, heap: HeapType::Concrete(world.id(NODE)) };
        let field = crate::model::field(StorageType::Val(ValType::Ref(of)));
        let ty = crate::model::open(None, CompositeType::Struct([field].into()));
        let group = world.registry.register(&[ty]).unwrap();
        let object = world.heap.alloc_struct(group.ids()[0], &mut world.roots).unwrap();
        world.roots.frames[5] = object;
        world.heap.verify(&mut world.roots).unwrap_err();
        world.heap.write_ref(object, 8, world.roots.globals[0]).unwrap();
        world.heap.verify(&mut world.roots).unwrap();
    }
}

#[test]
fn a_heap_found_broken_is_not_used_again() {
    for collector in registry() {
        for (what, damage) in DAMAGES {
            let mut world = world(collector);
            world.heap.set_stress(Stress { every_alloc: true, verify: true, ..Stress::default() });
            damage(&mut world);
            if collector.constraints.collects {
                assert_eq!(world.alloc(EMPTY, 0), Err(AllocError::Corrupt), "{what}");
            } else {
                world.heap.collect(CollectKind::Full, &mut world.roots).unwrap_err();
            }
            assert!(world.heap.verify_failure().is_some());
            assert_eq!(world.alloc(EMPTY, 0), Err(AllocError::Corrupt));
            assert!(world.heap.collect(CollectKind::Full, &mut world.roots).is_err());
        }
    }
}

#[test]
fn a_wild_window_is_refused() {
    for collector in registry().iter().filter(|entry| entry.constraints.code.alloc == AllocShape::Bump) {
        for next in [0, 12, 0xffff_fff8, 0x1_0004] {
            let mut world = world(collector);
            let mutator = world.heap.mutator();
            // SAFETY: it is valid while the heap lives.
            unsafe { (*mutator).next = next };
            assert_eq!(world.alloc(EMPTY, 0), Err(AllocError::Corrupt));
        }
    }
}
