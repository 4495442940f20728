//! The checked memory notices a stale read, whichever collector has freed or moved the object.

#![cfg(feature = "checked")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Heap, HeapConfig};
use crate::types::{CompositeType, FieldType, StorageType, SubType, TypeRegistry, ValType};
use crate::{CollectKind, GcRef, RootKind, RootPhase, RootSet, registry};

/// A root, and a place that holds a reference but is no root.
struct Forgetful {
    shown: GcRef,
    forgotten: GcRef,
}

impl RootSet for Forgetful {
    fn visit(&mut self, phase: RootPhase, visit: &mut dyn FnMut(RootKind, &mut GcRef)) {
        if phase == RootPhase::Frames {
            visit(RootKind::Frame, &mut self.shown);
        }
    }
}

/// A heap after a full collection that did not see one reference, and that reference. Its object is dead, or it is
/// alive (`shown`) and has moved.
fn stale(collector: &crate::CollectorEntry, shown: bool) -> (Heap, GcRef) {
    let registry = TypeRegistry::new().unwrap();
    let fields =
        [ValType::I64, ValType::I32].map(|of| FieldType { storage: StorageType::Val(of), mutable: true });
    let ty = SubType { is_final: true, supertype: None, composite: CompositeType::Struct(fields.into()) };
    let group = registry.register(&[ty]).unwrap();
    let ty = group.ids()[0];
    let mut heap = Heap::new(registry, collector, HeapConfig::default()).unwrap();
    heap.retain_group(group);
    heap.set_checked(true);
    let mut roots = Forgetful { shown: GcRef::NULL, forgotten: GcRef::NULL };
    // What it moves over.
    heap.alloc_struct(ty, &mut roots).unwrap();
    roots.forgotten = heap.alloc_struct(ty, &mut roots).unwrap();
    roots.shown = if shown { roots.forgotten } else { heap.alloc_struct(ty, &mut roots).unwrap() };
    heap.collect(CollectKind::Full, &mut roots).unwrap();
    assert!(!shown || roots.shown != roots.forgotten, "it has not moved");
    assert_eq!(heap.read(roots.shown, 8, 8), Some(0), "what is known to the collector can be read");
    (heap, roots.forgotten)
}

fn assert_noticed(name: &str, read: impl FnOnce()) {
    let panic = catch_unwind(AssertUnwindSafe(read)).expect_err(name);
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.starts_with("checked memory: "), "{name}: {message}");
}

#[test]
fn a_read_of_a_freed_object_panics() {
    for collector in registry().iter().filter(|entry| entry.constraints.collects) {
        let (heap, stale) = stale(collector, false);
        let view = heap.core.memory.view_around(stale.0);
        assert_noticed(collector.constraints.name, || _ = view.for_runtime().read_u32(stale.0 + 8));
        assert_noticed(collector.constraints.name, || _ = view.read_u32(stale.0 + 8));
        if !collector.constraints.moves {
            assert_noticed(collector.constraints.name, || _ = heap.read(stale, 8, 8));
            assert_noticed(collector.constraints.name, || _ = heap.type_of(stale));
        }
    }
}

#[test]
fn a_read_where_an_object_was_panics() {
    for collector in registry().iter().filter(|entry| entry.constraints.moves) {
        let (heap, stale) = stale(collector, true);
        let view = heap.core.memory.view_around(stale.0);
        assert_noticed(collector.constraints.name, || _ = view.for_runtime().read_u32(stale.0 + 8));
    }
}
