//! The heap verifier: re-traces the heap from roots that it asks for itself, and checks each object that it reaches.
//!
//! It stands beside the collectors and shares none of their tracing: where fields lie and which of them are traced it
//! derives anew from the type definitions. What it checks:
//! 1. the used space divides into objects, back to back, whose headers name live types of objects and carry no flag
//!    (and no collector's word) that the collector does not declare;
//! 2. each root, and each traced field of a reachable object, is null, an i31, or the start of one of these objects;
//! 3. a field's referent matches the field's declared type, so that a reference to a wrong object shows;
//! 4. no reference is the poison that freed memory is filled with.
//!
//! Invariant: it writes nothing to the heap and ends on any content.

use std::collections::HashMap;

use crate::bits::Bits;
use crate::collector::Constraints;
use crate::header::{
    ARRAY_LENGTH, EXCEPTION_TAG, GC_WORD, HEADER_SIZE, POISON_WORD, TYPE_ID_MASK, TYPE_WORD,
};
use crate::heap::HeapCore;
use crate::layout::{HOST_SIZE, MAX_OBJECT_SIZE};
use crate::memory::View;
use crate::types::{
    AbstractHeapType, CompositeType, HeapType, KIND_EXCEPTION, KIND_FUNC, RefType, StorageType, TypeId,
    TypeRegistry, ValType,
};
use crate::{Error, ErrorKind, GcRef, RootPhase, RootSet};

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
        constraints: &Constraints,
        roots: &mut dyn RootSet,
    ) -> Result<(), Error> {
        let Some(view) = core.view() else { return Ok(()) };
        let used = core.used();
        let mut trace = Trace {
            registry: core.layouts.registry(),
            view,
            start: used.start,
            starts: Bits::new(used.end - used.start),
            reached: Bits::new(used.end - used.start),
            pending: Vec::new(),
        };
        let mut at = used.start;
        while at < used.end {
            let size = self.object(core, constraints, &view, at)?;
            if size > u64::from(used.end - at) {
                return broken(at, "object reaches beyond the used space");
            }
            trace.starts.insert(at - used.start);
            at += size as u32;
        }
        let mut outcome = Ok(());
        for phase in [RootPhase::State, RootPhase::Frames] {
            roots.visit(phase, &mut |kind, slot| {
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
            let shape = self.shapes.get(&trace.type_at(at)).unwrap_or(&Shape::Host);
            shape.each_reference(&view, at, &mut |offset, declared| trace.field(at, offset, declared))?;
        }
        Ok(())
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
        if gc_word != 0 && !constraints.gc_word {
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

fn broken<T>(at: u32, what: &str) -> Result<T, Error> {
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
    registry: &'h TypeRegistry,
    view: View<'h>,
    start: u32,
    /// Where objects start, by a linear walk.
    starts: Bits,
    reached: Bits,
    pending: Vec<u32>,
}

impl Trace<'_> {
    /// Marks the object that `reference`, neither null nor an i31, points at.
    fn reach(&mut self, reference: GcRef) -> Result<(), &'static str> {
        if reference.0 == POISON_WORD {
            return Err("poison");
        }
        let Some(at) = reference.0.checked_sub(self.start) else {
            return Err("a reference below the used space");
        };
        if !self.starts.contains(at) {
            return Err("not the start of an object");
        }
        if self.reached.insert(at) {
            self.pending.push(reference.0);
        }
        Ok(())
    }

    /// Checks the field at `offset` of the object at `at`.
    fn field(&mut self, at: u32, offset: u32, declared: RefType) -> Result<(), Error> {
        let value = GcRef(self.view.read_u32(at + offset).unwrap_or(POISON_WORD));
        let outcome = if value.is_null() {
            if declared.nullable { Ok(()) } else { Err("null in a field that cannot be null") }
        } else if value.is_i31() {
            if self.holds_i31(declared.heap) { Ok(()) } else { Err("i31 in a field of another type") }
        } else {
            self.reach(value).and_then(|()| {
                let fits = self.holds(declared.heap, self.type_at(value.0));
                if fits { Ok(()) } else { Err("an object that is not of the field's type") }
            })
        };
        outcome.or_else(|what| {
            let id = self.type_at(at).0;
            broken(
                at,
                &format!("type {id}, field at {offset}, declared {declared:?}, holds {:#x}: {what}", value.0),
            )
        })
    }

    fn type_at(&self, at: u32) -> TypeId {
        TypeId(self.view.read_u32(at + TYPE_WORD).unwrap_or(0) & TYPE_ID_MASK)
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
