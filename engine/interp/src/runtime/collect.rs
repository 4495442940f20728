//! Collection of unreachable objects, at the host's request only: marking from every root of the store with an
//! explicit work list, then sweeping. Also the survey, which tells objects that only frames hold.
//!
//! Roots in frames are found by scanning slots without types; a number that looks like a reference to an object
//! can keep that object alive, which is harmless and improbable.

use super::heap::{Heap, Payload, object_size};
use super::store::Store;
use super::types::Types;
use super::value::{Bits, ExternRef, ObjectAddr, Ref, Value};
use crate::exec::run::Machine;

/// What a collection left alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveSet {
    /// Number of objects.
    pub objects: u64,
    /// Their bytes by the size formula.
    pub bytes: u64,
}

impl Store {
    /// Frees every object that cannot be reached from globals, tables, element segments that are not dropped, the
    /// frames below a running host function, suspended fibers, and `extra_roots`. Addresses of freed objects become invalid.
    pub fn collect(&mut self, extra_roots: &[Value]) -> LiveSet {
        let mut work = self.store_roots();
        work.extend(self.frame_roots());
        work.extend(extra_roots.iter().filter_map(object_of));
        mark(&self.types, &mut self.heap, work, |_| {});
        let types = &self.types;
        self.heap.sweep(|object| types.get(object.ty).map_or(0, |ty| object_size(ty, &object.payload)));
        LiveSet { objects: self.heap.stats.objects, bytes: self.heap.stats.bytes }
    }

    /// The objects reachable from `extra_roots` and the roots of the store, in no particular order; frees nothing.
    pub fn reachable_objects(&mut self, extra_roots: &[Value]) -> Vec<ObjectAddr> {
        let mut work = self.store_roots();
        work.extend(self.frame_roots());
        work.extend(extra_roots.iter().filter_map(object_of));
        let marked = mark(&self.types, &mut self.heap, work, |_| {});
        for &index in &marked {
            if let Some(object) = self.heap.get_mut(index) {
                object.marked = false;
            }
        }
        marked.into_iter().map(ObjectAddr).collect()
    }

    /// Counts objects reachable from `extra_roots` and the roots of the store, and frees nothing.
    pub fn reachable(&mut self, extra_roots: &[Value]) -> LiveSet {
        let mut work = self.store_roots();
        work.extend(self.frame_roots());
        work.extend(extra_roots.iter().filter_map(object_of));
        let mut live = LiveSet::default();
        let marked = mark(&self.types, &mut self.heap, work, |_| {});
        for index in marked {
            if let Some(object) = self.heap.get_mut(index) {
                object.marked = false;
                live.objects += 1;
                live.bytes += self.types.get(object.ty).map_or(0, |ty| object_size(ty, &object.payload));
            }
        }
        live
    }

    /// To be called by a host function, where the program under test is made to collect: marks the objects that are
    /// reachable from frames but from no global, table or segment. [`super::store::Stats`] counts them and those
    /// that the program reads later. Gives the number of objects newly marked.
    pub fn survey(&mut self) -> u64 {
        let roots = self.store_roots();
        let mut marked = mark(&self.types, &mut self.heap, roots, |_| {});
        let frames = self.frame_roots().collect();
        let mut found = 0;
        marked.extend(mark(&self.types, &mut self.heap, frames, |object| {
            found += u64::from(!object.surveyed);
            object.surveyed = true;
        }));
        for index in marked {
            if let Some(object) = self.heap.get_mut(index) {
                object.marked = false;
            }
        }
        self.heap.stats.survey_found += found;
        found
    }

    /// What the frames refer to: those below the running host function, of whatever fibers, and the suspended fibers'.
    fn frame_roots(&self) -> impl Iterator<Item = u32> {
        let machines = self.fibers.machines().chain([&self.machine]);
        machines.flat_map(Machine::live_slots).filter_map(|&bits| Bits(bits).as_object())
    }

    fn store_roots(&self) -> Vec<u32> {
        let globals = self
            .globals
            .iter()
            .filter(|global| matches!(global.ty.value, crate::syntax::types::ValType::Ref(_)));
        let tables = self.tables.iter().flat_map(|table| &table.elements);
        let elems = self.elems.iter().flatten();
        let slots = globals.map(|global| &global.value).chain(tables).chain(elems);
        slots.filter_map(|&bits| Bits(bits).as_object()).collect()
    }
}

fn object_of(value: &Value) -> Option<u32> {
    match value {
        Value::Ref(
            Ref::Struct(addr)
            | Ref::Array(addr)
            | Ref::Exn(addr)
            | Ref::Extern(ExternRef::Struct(addr) | ExternRef::Array(addr)),
        ) => Some(addr.0),
        _ => None,
    }
}

/// Marks what is reachable from `work` and not yet marked; `visit` sees each such object. Gives their indices.
fn mark(
    types: &Types,
    heap: &mut Heap,
    mut work: Vec<u32>,
    mut visit: impl FnMut(&mut super::heap::Object),
) -> Vec<u32> {
    let mut marked = Vec::new();
    while let Some(index) = work.pop() {
        let Some(object) = heap.get_mut(index) else { continue };
        if object.marked {
            continue;
        }
        object.marked = true;
        visit(object);
        marked.push(index);
        match &object.payload {
            Payload::Struct(fields) | Payload::Exception { fields, .. } => {
                let ref_fields = types.get(object.ty).map_or(&[][..], |ty| &ty.ref_fields);
                work.extend(
                    ref_fields.iter().filter_map(|&slot| Bits(*fields.get(slot as usize)?).as_object()),
                );
            }
            Payload::Refs(items) => work.extend(items.iter().filter_map(|&bits| Bits(bits).as_object())),
            Payload::Bits8(_)
            | Payload::Bits16(_)
            | Payload::Bits32(_)
            | Payload::Bits64(_)
            | Payload::Bits128(_)
            | Payload::Free(_) => {}
        }
    }
    marked
}
