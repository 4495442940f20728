//! The heap verifier: re-traces the heap from roots that it asks for itself, and checks each object that it reaches.
//!
//! It stands beside the collectors and shares none of their tracing: where fields lie and which of them are traced it
//! derives anew from the type definitions. What it checks:
//! 1. each linear region divides into objects, back to back, and the collector's cells lie apart and hold one each; headers name live
//!    types of objects and carry no flag (and no collector's word) that the collector does not declare;
//! 2. each root, and each traced field of a reachable object, is null, an i31, or the start of one of these objects;
//! 3. a field's referent matches the field's declared type, so that a reference to a wrong object shows;
//! 4. no reference is the poison that freed memory is filled with;
//! 5. what the collector claims of itself ([`Collector::check`]), against the [`Facts`] found here.
//!
//! Invariant: it writes nothing to the heap and ends on any content.

use std::collections::{HashMap, HashSet};

use crate::bits::Bits;
use crate::collector::{Collector, Constraints};
use crate::header::{
    ARRAY_LENGTH, EXCEPTION_TAG, GC_WORD, HEADER_SIZE, POISON_WORD, TYPE_ID_MASK, TYPE_WORD,
};
use crate::heap::HeapCore;
use crate::layout::{HOST_SIZE, MAX_OBJECT_SIZE};
use crate::memory::View;
use crate::space::classes::cell_bytes;
use crate::types::{
    AbstractHeapType, CompositeType, HeapType, KIND_EXCEPTION, KIND_FUNC, RefType, StorageType, TypeId,
    TypeRegistry, ValType,
};
use crate::{Error, ErrorKind, GcRef, RootKind, RootPhase, RootSet};

/// The verifier of one heap; remembers the shapes of the types that it has met there.
#[derive(Debug, Default)]
pub(crate) struct Verifier {
    shapes: HashMap<TypeId, Shape>,
}

impl Verifier {
    /// Checks the heap.
    ///
    /// # Errors
    /// `Verify` at the first broken invariant.
    pub(crate) fn run(
        &mut self,
        core: &HeapCore,
        collector: &dyn Collector,
        roots: &mut dyn RootSet,
    ) -> Result<(), Error> {
        let constraints = collector.constraints();
        let mut trace = Trace {
            core,
            registry: core.layouts.registry(),
            starts: Bits::new(core),
            reached: Bits::new(core),
            pending: Vec::new(),
        };
        let mut objects = Vec::new();
        for region in core.regions().filter(|region| region.linear) {
            let view = core.memory.view(region.extent);
            let mut at = region.start;
            while at < region.end {
                let size = self.object(core, constraints, &view, at)?;
                if size > u64::from(region.end - at) {
                    return broken(at, "object reaches beyond its region");
                }
                trace.starts.insert(at);
                objects.push(at);
                at += size as u32;
            }
        }
        let (mut region_before, mut end_before) = (None, 0);
        let in_cells = collector.cells(core, &mut |at, room| {
            let Some(region) = core.region_at(at).filter(|region| !region.linear) else {
                return broken(at, "a cell outside the regions of cells");
            };
            let size = self.object(core, constraints, &core.memory.view(region.extent), at)?;
            if region_before.replace(region) == Some(region) && u64::from(at) < end_before {
                return broken(at, "a cell that overlaps the one before, or is out of order");
            }
            end_before = u64::from(at) + u64::from(room);
            if size > u64::from(region.end - at) || cell_bytes(size as u32) != room {
                return broken(at, "object in a cell of another size");
            }
            if !trace.starts.insert(at) {
                return broken(at, "a cell that is shown twice, or misaligned");
            }
            objects.push(at);
            Ok(())
        });
        in_cells.map_err(|error| match error.kind() {
            ErrorKind::Verify(_) => error,
            _ => Error::new(ErrorKind::Verify(format!("the collector's cells: {error}"))),
        })?;
        let mut outcome = Ok(());
        let (mut seen, mut slots) = (Vec::new(), HashSet::new());
        for phase in [RootPhase::State, RootPhase::Frames] {
            roots.visit(phase, &mut |kind, slot| {
                // Globals and tables are shown in place; what else has one address may be a passing copy.
                let lasting = matches!(kind, RootKind::Global | RootKind::Table);
                if !lasting || slots.insert(std::ptr::from_ref(slot).addr()) {
                    seen.push((kind, *slot));
                }
                if outcome.is_ok() && slot.is_object() {
                    outcome = trace.reach(*slot).map_err(|what| {
                        let what = format!("root {kind:?} holds {:#x}: {what}", slot.0);
                        Error::new(ErrorKind::Verify(what))
                    });
                }
            });
        }
        outcome?;
        while let Some(at) = trace.pending.pop() {
            let shape = self.shapes.get(&type_at(core, at)).unwrap_or(&Shape::Host);
            let view = trace.view(at)?;
            shape.each_reference(&view, at, &mut |offset, declared| trace.field(at, offset, declared))?;
        }
        let Trace { starts, reached, .. } = trace;
        collector.check(core, &Facts { core, shapes: &self.shapes, objects, starts, reached, roots: seen })
    }

    /// Checks the header at `at`; returns the object's bytes.
    fn object(
        &mut self,
        core: &HeapCore,
        constraints: &Constraints,
        view: &View<'_>,
        at: u32,
    ) -> Result<u64, Error> {
        let (Some(word), Some(gc_word)) = (view.read_u32(at + TYPE_WORD), view.read_u32(at + GC_WORD)) else {
            return broken(at, "header outside the heap");
        };
        if word == POISON_WORD {
            return broken(at, "poison in the place of a header");
        }
        if word & !TYPE_ID_MASK & !constraints.header_flags != 0 {
            return broken(at, &format!("type word {word:#x} carries a flag"));
        }
        if gc_word != 0 && !constraints.code.gc_word {
            return broken(at, &format!("the collector's word is {gc_word:#x}"));
        }
        let id = TypeId(word & TYPE_ID_MASK);
        let shape = match self.shapes.get(&id) {
            Some(shape) => shape,
            None => {
                // The table holds the type from here on, so that the id keeps its meaning.
                let held = core.layouts.get(id).and_then(|_| Shape::of(id, core.layouts.registry()));
                let Some(shape) = held else {
                    return broken(at, &format!("type id {} is no live type of objects", id.0));
                };
                self.shapes.entry(id).or_insert(shape)
            }
        };
        match shape.size(view, at) {
            Some(size) if size <= u64::from(MAX_OBJECT_SIZE) => Ok(size),
            _ => broken(at, "impossible array length"),
        }
    }
}

fn type_at(core: &HeapCore, at: u32) -> TypeId {
    let word = core.view_at(at).and_then(|view| view.read_u32(at + TYPE_WORD));
    TypeId(word.unwrap_or(0) & TYPE_ID_MASK)
}

/// What the verifier has found by itself, for a collector to compare its own books with.
pub struct Facts<'h> {
    core: &'h HeapCore,
    shapes: &'h HashMap<TypeId, Shape>,
    objects: Vec<u32>,
    starts: Bits,
    reached: Bits,
    roots: Vec<(RootKind, GcRef)>,
}

impl Facts<'_> {
    /// Every object, dead or alive.
    pub fn objects(&self) -> &[u32] {
        &self.objects
    }

    /// Every root slot's word, in the order in which they were shown; those of globals and tables once.
    pub fn roots(&self) -> &[(RootKind, GcRef)] {
        &self.roots
    }

    /// Whether an object starts at `at`.
    pub fn is_object(&self, at: u32) -> bool {
        self.starts.contains(at)
    }

    /// Whether the object at `at` can be reached from the roots.
    pub fn is_reached(&self, at: u32) -> bool {
        self.reached.contains(at)
    }

    /// The collector's word of the object at `at`.
    pub fn gc_word(&self, at: u32) -> u32 {
        self.core.view_at(at).and_then(|view| view.read_u32(at + GC_WORD)).unwrap_or(0)
    }

    /// Calls `f(slot offset, word)` with each traced slot of the object at `at`.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn each_reference(
        &self,
        at: u32,
        f: &mut dyn FnMut(u32, GcRef) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(view) = self.core.view_at(at) else { return broken(at, "object outside the regions") };
        let shape = self.shapes.get(&type_at(self.core, at)).unwrap_or(&Shape::Host);
        shape.each_reference(&view, at, &mut |offset, _| {
            f(at + offset, GcRef(view.read_u32(at + offset).unwrap_or(POISON_WORD)))
        })
    }
}

/// A finding of [`Collector::check`] at the object or slot `at`.
///
/// # Errors
/// Always `Verify`.
pub(crate) fn broken<T>(at: u32, what: &str) -> Result<T, Error> {
    Err(Error::new(ErrorKind::Verify(format!("object {at:#x}: {what}"))))
}

/// Where the verifier finds a type's traced fields.
#[derive(Debug)]
enum Shape {
    Struct { size: u64, references: Vec<(u32, RefType)> },
    Array { base: u32, stride: u32, element: Option<RefType> },
    Host,
}

impl Shape {
    fn of(id: TypeId, registry: &TypeRegistry) -> Option<Shape> {
        if id == registry.host_type() {
            return Some(Shape::Host);
        }
        match &registry.get(id)?.composite {
            CompositeType::Func(_) => None,
            CompositeType::Struct(fields) => {
                Some(Shape::of_fields(HEADER_SIZE, fields.iter().map(|field| &field.storage), registry))
            }
            CompositeType::Exception(payload) => {
                let payload: Vec<StorageType> = payload.iter().copied().map(StorageType::Val).collect();
                // The tag's number comes first; only the store knows which ones exist.
                Some(Shape::of_fields(EXCEPTION_TAG + 4, payload.iter(), registry))
            }
            CompositeType::Array(element) => {
                let stride = width(&element.storage);
                let base = if stride > 4 { 16 } else { 12 };
                Some(Shape::Array { base, stride, element: traced(&element.storage, registry) })
            }
        }
    }

    /// Fields one after the other from offset `end`.
    fn of_fields<'t>(
        mut end: u32,
        fields: impl Iterator<Item = &'t StorageType>,
        registry: &TypeRegistry,
    ) -> Shape {
        let mut references = Vec::new();
        for field in fields {
            let width = width(field);
            let at = end.next_multiple_of(width.min(8));
            references.extend(traced(field, registry).map(|reference| (at, reference)));
            end = at + width;
        }
        Shape::Struct { size: u64::from(end).next_multiple_of(8), references }
    }

    fn size(&self, view: &View<'_>, at: u32) -> Option<u64> {
        match self {
            Shape::Struct { size, .. } => Some(*size),
            Shape::Array { base, stride, .. } => {
                let len = view.read_u32(at + ARRAY_LENGTH)?;
                Some((u64::from(*base) + u64::from(len) * u64::from(*stride)).next_multiple_of(8))
            }
            Shape::Host => Some(u64::from(HOST_SIZE)),
        }
    }

    /// Calls `f` with the offset in the object and the declared type of each traced field.
    fn each_reference(
        &self,
        view: &View<'_>,
        at: u32,
        f: &mut dyn FnMut(u32, RefType) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self {
            Shape::Struct { references, .. } => {
                references.iter().try_for_each(|&(offset, declared)| f(offset, declared))
            }
            Shape::Array { base, stride, element: Some(declared) } => {
                let len = view.read_u32(at + ARRAY_LENGTH).unwrap_or(0);
                (0..len).try_for_each(|element| f(base + element * stride, *declared))
            }
            Shape::Array { .. } | Shape::Host => Ok(()),
        }
    }
}

/// Bytes of a stored field.
fn width(field: &StorageType) -> u32 {
    match field {
        StorageType::I8 => 1,
        StorageType::I16 => 2,
        StorageType::Val(ValType::I32 | ValType::F32 | ValType::Ref(_)) => 4,
        StorageType::Val(ValType::I64 | ValType::F64) => 8,
        StorageType::Val(ValType::V128) => 16,
    }
}

/// The declared type of a traced field. Functions are no business of a collector's.
fn traced(field: &StorageType, registry: &TypeRegistry) -> Option<RefType> {
    let StorageType::Val(ValType::Ref(reference)) = *field else { return None };
    let func = match reference.heap {
        HeapType::Abstract(of) => matches!(of, AbstractHeapType::Func | AbstractHeapType::NoFunc),
        HeapType::Concrete(id) => registry.kind(id) == KIND_FUNC,
        HeapType::Rec(_) => false,
    };
    (!func).then_some(reference)
}

struct Trace<'h> {
    core: &'h HeapCore,
    registry: &'h TypeRegistry,
    /// Where objects start, by the walk.
    starts: Bits,
    reached: Bits,
    pending: Vec<u32>,
}

impl<'h> Trace<'h> {
    /// Marks the object that `reference`, neither null nor an i31, points at.
    fn reach(&mut self, reference: GcRef) -> Result<(), &'static str> {
        if reference.0 == POISON_WORD {
            return Err("poison");
        }
        if !self.starts.contains(reference.0) {
            return Err("not the start of an object");
        }
        if self.reached.insert(reference.0) {
            self.pending.push(reference.0);
        }
        Ok(())
    }

    /// Checks the field at `offset` of the object at `at`.
    fn field(&mut self, at: u32, offset: u32, declared: RefType) -> Result<(), Error> {
        let value = GcRef(self.view(at)?.read_u32(at + offset).unwrap_or(POISON_WORD));
        let outcome = if value.is_null() {
            if declared.nullable { Ok(()) } else { Err("null in a field that cannot be null") }
        } else if value.is_i31() {
            if self.holds_i31(declared.heap) { Ok(()) } else { Err("i31 in a field of another type") }
        } else {
            self.reach(value).and_then(|()| {
                let fits = self.holds(declared.heap, type_at(self.core, value.0));
                if fits { Ok(()) } else { Err("an object that is not of the field's type") }
            })
        };
        outcome.or_else(|what| {
            let id = type_at(self.core, at).0;
            broken(
                at,
                &format!("type {id}, field at {offset}, declared {declared:?}, holds {:#x}: {what}", value.0),
            )
        })
    }

    fn view(&self, at: u32) -> Result<View<'h>, Error> {
        self.core.view_at(at).ok_or_else(|| Error::new(ErrorKind::Verify(format!("{at:#x} is in no region"))))
    }

    /// Whether a field of heap type `declared` may hold an i31. Anything internal may have become external.
    fn holds_i31(&self, declared: HeapType) -> bool {
        use AbstractHeapType::{Any, Eq, Extern, I31};
        matches!(declared, HeapType::Abstract(Any | Eq | I31 | Extern))
    }

    /// Whether a field of heap type `declared` may hold an object of type `actual`. Anything internal may have become
    /// external; an exception is neither.
    fn holds(&self, declared: HeapType, actual: TypeId) -> bool {
        match declared {
            HeapType::Abstract(AbstractHeapType::Extern) => self.registry.kind(actual) != KIND_EXCEPTION,
            _ => self.registry.heap_matches(HeapType::Concrete(actual), declared),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{GRANULE, NULL_PAGE};
    use crate::types::{FieldType, SubType};
    use crate::{CollectKind, HeapConfig};

    /// Shows these cells.
    struct Cells(Vec<(u32, u32)>);

    // SAFETY: it never allocates.
    unsafe impl Collector for Cells {
        fn constraints(&self) -> &'static Constraints {
            crate::find("marksweep").unwrap().constraints
        }
        fn start(&mut self, _: &mut HeapCore) -> Result<(), Error> {
            Ok(())
        }
        fn alloc(&mut self, _: &mut HeapCore, _: u32) -> Option<u32> {
            None
        }
        fn collect(
            &mut self,
            _: &mut HeapCore,
            _: CollectKind,
            _: u32,
            _: &mut dyn RootSet,
        ) -> Result<(), Error> {
            Ok(())
        }
        fn cells(&self, _: &HeapCore, f: &mut dyn FnMut(u32, u32) -> Result<(), Error>) -> Result<(), Error> {
            self.0.iter().try_for_each(|&(at, room)| f(at, room))
        }
    }

    struct NoRoots;

    impl RootSet for NoRoots {
        fn visit(&mut self, _: RootPhase, _: &mut dyn FnMut(RootKind, &mut GcRef)) {}
    }

    #[test]
    fn cells_lie_apart_and_in_order() {
        const SIZE: u32 = 2048;
        let mut core = HeapCore::bare(HeapConfig::default());
        let extent = core.extent(NULL_PAGE, NULL_PAGE + GRANULE).unwrap();
        core.memory.commit(extent, NULL_PAGE + GRANULE).unwrap();
        let start = NULL_PAGE as u32;
        let region = core.add_region(extent, start, false);
        core.set_region_end(region, start + 4 * SIZE);
        let element = FieldType { storage: StorageType::I8, mutable: true };
        let bytes = SubType { is_final: true, supertype: None, composite: CompositeType::Array(element) };
        let group = core.layouts.registry().register(&[bytes]).unwrap();
        let view = core.memory.view(extent);
        view.claimed(start..start + 4 * SIZE);
        for at in (start..start + 3 * SIZE).step_by(SIZE as usize / 2) {
            view.write_u32(at + TYPE_WORD, group.ids()[0].0).unwrap();
            view.write_u32(at + ARRAY_LENGTH, SIZE - ARRAY_LENGTH - 4).unwrap();
        }
        let verify = |at: &[u32]| {
            let cells = Cells(at.iter().map(|&halves| (start + halves * SIZE / 2, SIZE)).collect());
            Verifier::default().run(&core, &cells, &mut NoRoots)
        };
        verify(&[0, 2, 4]).unwrap();
        verify(&[1, 5]).unwrap();
        for apart in [&[0, 1][..], &[2, 0], &[0, 3, 4], &[0, 0]] {
            let error = verify(apart).unwrap_err();
            assert!(error.to_string().contains("overlaps"), "{apart:?}: {error}");
        }
    }
}
