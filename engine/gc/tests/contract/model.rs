//! The mutator and its shadow.

use std::collections::HashMap;
use std::sync::Arc;

use assay_gc::header::{ARRAY_LENGTH, GC_WORD, TYPE_WORD};
use assay_gc::layout::{Layout, Slot};
use assay_gc::{
    AbstractHeapType, AllocError, AllocShape, CollectKind, CollectorEntry, CompositeType, FieldType, GcRef,
    Heap, HeapConfig, HeapType, RecGroup, RefType, RootKind, RootPhase, RootSet, StorageType, Stress,
    SubType, TypeId, TypeRegistry, ValType, size_class,
};

/// Where a mutator's choices come from.
pub(crate) trait Choose {
    fn next(&mut self) -> u64;
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// A seeded generator (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

impl Choose for Random {
    fn next(&mut self) -> u64 {
        Random::next(self)
    }
}

/// Root slots, as a runtime would show them.
#[derive(Default)]
pub(crate) struct Roots {
    pub(crate) globals: Vec<GcRef>,
    pub(crate) frames: Vec<GcRef>,
    /// Shows each slot twice.
    pub(crate) twice: bool,
}

impl RootSet for Roots {
    fn visit(&mut self, phase: RootPhase, visit: &mut dyn FnMut(RootKind, &mut GcRef)) {
        for _ in 0..1 + usize::from(self.twice) {
            match phase {
                RootPhase::State => self.globals.iter_mut().for_each(|slot| visit(RootKind::Global, slot)),
                RootPhase::Frames => self.frames.iter_mut().for_each(|slot| visit(RootKind::Frame, slot)),
            }
        }
    }
}

pub(crate) const NODE: usize = 0;
pub(crate) const SPECIAL: usize = 1;
pub(crate) const REFS: usize = 2;
pub(crate) const NODES: usize = 3;
pub(crate) const BYTES: usize = 4;
pub(crate) const WIDE: usize = 5;
pub(crate) const EMPTY: usize = 6;
pub(crate) const LIST: usize = 7;
/// An exception.
pub(crate) const THROWN: usize = 8;
/// Not a type of the group.
pub(crate) const HOST: usize = 9;

pub(crate) fn field(storage: StorageType) -> FieldType {
    FieldType { storage, mutable: true }
}
pub(crate) fn value(of: ValType) -> FieldType {
    field(StorageType::Val(of))
}
pub(crate) fn nullable(heap: HeapType) -> FieldType {
    value(ValType::Ref(RefType { nullable: true, heap }))
}
pub(crate) fn open(supertype: Option<HeapType>, composite: CompositeType) -> SubType {
    SubType { is_final: false, supertype, composite }
}

fn types() -> Vec<SubType> {
    use AbstractHeapType::{Any, Eq, Exn, Extern, Func, I31};
    let any = nullable(HeapType::Abstract(Any));
    let node = vec![
        any,
        field(StorageType::I8),
        nullable(HeapType::Rec(NODE as u32)),
        value(ValType::I64),
        nullable(HeapType::Abstract(Extern)),
        field(StorageType::I16),
        value(ValType::V128),
        nullable(HeapType::Abstract(Func)),
    ];
    let mut special = node.clone();
    special.extend([
        nullable(HeapType::Abstract(Eq)),
        nullable(HeapType::Abstract(I31)),
        nullable(HeapType::Rec(REFS as u32)),
    ]);
    let reference = |heap| ValType::Ref(RefType { nullable: true, heap });
    let payload = [
        reference(HeapType::Abstract(Any)),
        ValType::I64,
        reference(HeapType::Abstract(Exn)),
        ValType::V128,
        reference(HeapType::Rec(NODE as u32)),
        reference(HeapType::Abstract(Func)),
    ];
    vec![
        open(None, CompositeType::Struct(node.into())),
        open(Some(HeapType::Rec(NODE as u32)), CompositeType::Struct(special.into())),
        open(None, CompositeType::Array(any)),
        open(None, CompositeType::Array(nullable(HeapType::Rec(NODE as u32)))),
        open(None, CompositeType::Array(field(StorageType::I8))),
        open(None, CompositeType::Array(value(ValType::V128))),
        open(None, CompositeType::Struct([].into())),
        open(None, CompositeType::Struct([nullable(HeapType::Rec(LIST as u32)), value(ValType::I32)].into())),
        SubType::exception(&payload),
    ]
}

/// A shadow value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    Bits(u128),
    Null,
    I31(u32),
    Object(usize),
}

#[derive(Clone, Debug)]
struct Shadow {
    ty: usize,
    /// Fields, elements, or the host index.
    values: Vec<Value>,
}

/// A heap, its roots, and the shadow of both.
pub(crate) struct World {
    pub(crate) heap: Heap,
    pub(crate) roots: Roots,
    pub(crate) group: RecGroup,
    pub(crate) registry: Arc<TypeRegistry>,
    objects: Vec<Shadow>,
    /// What the global and frame slots hold.
    globals: Vec<Value>,
    frames: Vec<Value>,
    /// Windowed allocations done as generated code does them.
    pub(crate) inline: u64,
}

impl World {
    pub(crate) fn new(collector: &CollectorEntry, config: HeapConfig) -> World {
        let registry = TypeRegistry::new().unwrap();
        let group = registry.register(&types()).unwrap();
        let mut heap = Heap::new(registry.clone(), collector, config).unwrap();
        heap.retain_group(group.clone());
        heap.set_checked(true);
        let roots = Roots { globals: vec![GcRef::NULL; 16], frames: vec![GcRef::NULL; 16], twice: false };
        let (globals, frames) = (vec![Value::Null; 16], vec![Value::Null; 16]);
        World { heap, roots, group, registry, objects: Vec::new(), globals, frames, inline: 0 }
    }

    pub(crate) fn with_stress(collector: &CollectorEntry, stress: Stress) -> World {
        World::new(collector, HeapConfig { stress, ..HeapConfig::default() })
    }

    pub(crate) fn id(&self, ty: usize) -> TypeId {
        if ty == HOST { self.registry.host_type() } else { self.group.ids()[ty] }
    }

    pub(crate) fn collect(&mut self) {
        self.heap.collect(CollectKind::Full, &mut self.roots).unwrap();
    }

    /// A collection of some kind.
    #[allow(dead_code, reason = "of the suites that share this model only some use it")]
    pub(crate) fn collect_as(&mut self, random: &mut impl Choose) {
        let kind = match random.below(6) {
            0 => CollectKind::Full,
            1..4 => CollectKind::Minor,
            _ => CollectKind::Slice { objects: 1 + random.below(8) as u32 },
        };
        self.heap.collect(kind, &mut self.roots).unwrap();
    }

    /// Offset and slot of field or element `index`.
    pub(crate) fn place(&self, ty: usize, index: usize) -> (u32, Slot) {
        match &*self.registry.layout(self.id(ty)).unwrap() {
            Layout::Struct(layout) => layout.fields[index],
            Layout::Array(layout) => (layout.base + index as u32 * layout.element.size(), layout.element),
            Layout::Host => (8, Slot::I32),
        }
    }

    fn declared(&self, ty: usize, index: usize) -> StorageType {
        match &self.registry.get(self.id(ty)).unwrap().composite {
            CompositeType::Struct(fields) => fields[index].storage,
            CompositeType::Array(element) => element.storage,
            CompositeType::Exception(_) if index == 0 => StorageType::Val(ValType::I32),
            CompositeType::Exception(payload) => StorageType::Val(payload[index - 1]),
            CompositeType::Func(_) => unreachable!(),
        }
    }

    /// Allocates by the slow path, zeroed.
    pub(crate) fn alloc(&mut self, ty: usize, len: u32) -> Result<GcRef, AllocError> {
        let id = self.id(ty);
        match &*self.registry.layout(id).unwrap() {
            Layout::Struct(_) => self.heap.alloc_struct(id, &mut self.roots),
            Layout::Array(_) => self.heap.alloc_array(id, len, &mut self.roots),
            Layout::Host => self.heap.alloc_host(len, &mut self.roots),
        }
    }

    /// Allocates as generated code does: bumps the window if the object fits and writes every word.
    fn alloc_inline(&mut self, ty: usize, len: u32) -> Option<GcRef> {
        let id = self.id(ty);
        let (size, array) = match &*self.registry.layout(id).unwrap() {
            Layout::Struct(layout) => (layout.size, false),
            Layout::Array(layout) => (layout.size(len).unwrap(), true),
            Layout::Host => return None,
        };
        let (object, fresh) = self.take_inline(size)?;
        self.heap.declare_object(object, id, len);
        self.heap.write_bytes(object, 0, &vec![0; size as usize]).unwrap();
        self.heap.write(object, TYPE_WORD, 4, u128::from(id.0)).unwrap();
        self.heap.write(object, GC_WORD, 4, fresh.into()).unwrap();
        if array {
            self.heap.write(object, ARRAY_LENGTH, 4, u128::from(len)).unwrap();
        }
        self.inline += 1;
        Some(object)
    }

    /// Takes room as generated code does, by the shape that the collector declares; the fresh collector's word with it.
    fn take_inline(&mut self, size: u32) -> Option<(GcRef, u32)> {
        let constraints = self.heap.constraints();
        if size > constraints.code.inline_max {
            return None;
        }
        let mutator = self.heap.mutator();
        // SAFETY: the mutator's state is valid while the heap lives, and nothing else uses it now.
        let mutator = unsafe { &mut *mutator };
        let fresh = mutator.fresh;
        match constraints.code.alloc {
            AllocShape::Call => None,
            AllocShape::Bump => {
                if u64::from(mutator.next) + u64::from(size) > u64::from(mutator.end) {
                    return None;
                }
                let object = GcRef(mutator.next);
                mutator.next += size;
                Some((object, fresh))
            }
            AllocShape::FreeList => {
                let head = &mut mutator.heads[size_class(size)?];
                if *head == 0 {
                    return None;
                }
                let object = GcRef(*head);
                *head = self.heap.read(object, GC_WORD, 4).unwrap() as u32;
                Some((object, fresh))
            }
        }
    }

    /// A new object in the heap and in the shadow, in root `slot` of the globals (even) or frames (odd).
    pub(crate) fn create(
        &mut self,
        ty: usize,
        len: u32,
        slot: usize,
        inline: bool,
    ) -> Result<usize, AllocError> {
        let fast = if inline { self.alloc_inline(ty, len) } else { None };
        let object = match fast {
            Some(object) => object,
            None => self.alloc(ty, len)?,
        };
        let count = match &*self.registry.layout(self.id(ty)).unwrap() {
            Layout::Struct(layout) => layout.fields.len(),
            Layout::Array(_) => len as usize,
            Layout::Host => 0,
        };
        let mut values = Vec::with_capacity(count);
        for index in 0..count {
            let zero = if self.place(ty, index).1 == Slot::Ref { Value::Null } else { Value::Bits(0) };
            values.push(zero);
        }
        if ty == HOST {
            values.push(Value::Bits(u128::from(len)));
        }
        self.objects.push(Shadow { ty, values });
        let index = self.objects.len() - 1;
        self.set_root(slot, object, Value::Object(index));
        Ok(index)
    }

    pub(crate) fn set_root(&mut self, slot: usize, word: GcRef, shadow: Value) {
        let (slots, shadows) = if slot.is_multiple_of(2) {
            (&mut self.roots.globals, &mut self.globals)
        } else {
            (&mut self.roots.frames, &mut self.frames)
        };
        let at = slot / 2 % slots.len();
        let old = std::mem::replace(&mut slots[at], word);
        shadows[at] = shadow;
        if slot.is_multiple_of(2) {
            self.heap.root_slot_written(old, word);
        }
    }

    pub(crate) fn root(&self, slot: usize) -> (GcRef, Value) {
        let (slots, shadows) = if slot.is_multiple_of(2) {
            (&self.roots.globals, &self.globals)
        } else {
            (&self.roots.frames, &self.frames)
        };
        let at = slot / 2 % slots.len();
        (slots[at], shadows[at])
    }

    /// The type of the object in root `slot`, and what the shadow of its field `index` holds.
    #[allow(dead_code, reason = "of the suites that share this model only some use it")]
    pub(crate) fn field(&self, slot: usize, index: usize) -> (usize, Value) {
        let (_, Value::Object(of)) = self.root(slot) else { panic!("root {slot} holds no object") };
        (self.objects[of].ty, self.objects[of].values[index])
    }

    /// Writes the value of root `from` (or `bits`) into field `index` of the object in root `slot`.
    pub(crate) fn store(&mut self, slot: usize, index: usize, word: GcRef, shadow: Value) {
        let (object, Value::Object(of)) = self.root(slot) else { return };
        let (offset, kind) = self.place(self.objects[of].ty, index);
        match shadow {
            Value::Bits(bits) => self.heap.write(object, offset, kind.size(), bits).unwrap(),
            _ => self.heap.write_ref(object, offset, word).unwrap(),
        }
        self.objects[of].values[index] = shadow;
    }

    fn fits(&self, value: Value, declared: HeapType) -> bool {
        let actual = match value {
            Value::Object(of) => HeapType::Concrete(self.id(self.objects[of].ty)),
            Value::I31(_) => HeapType::Abstract(AbstractHeapType::I31),
            _ => return true,
        };
        let is_exception = matches!(value, Value::Object(of) if self.objects[of].ty == THROWN);
        (declared == HeapType::Abstract(AbstractHeapType::Extern) && !is_exception)
            || self.registry.heap_matches(actual, declared)
    }

    /// One random action of a mutator.
    pub(crate) fn step(&mut self, random: &mut impl Choose) -> Result<(), AllocError> {
        let slot = random.below(32);
        match random.below(10) {
            0..4 => {
                let ty = random.below(HOST + 1);
                let len = if ty == HOST { random.next() as u32 } else { random.below(20) as u32 };
                let inline = random.below(2) == 0;
                self.create(ty, len, slot, inline)?;
            }
            4 => self.set_root(slot, GcRef::NULL, Value::Null),
            5 => {
                let bits = random.next() as u32 & 0x7fff_ffff;
                self.set_root(slot, GcRef::i31(bits), Value::I31(bits));
            }
            6 => self.copy(random),
            _ => {
                let (_, Value::Object(of)) = self.root(slot) else { return Ok(()) };
                let Shadow { ty, ref values } = self.objects[of];
                if ty == HOST || values.is_empty() {
                    return Ok(());
                }
                let index = random.below(values.len());
                let (_, kind) = self.place(ty, index);
                if kind == Slot::Ref {
                    let (word, shadow) = self.root(random.below(32));
                    let StorageType::Val(ValType::Ref(declared)) = self.declared(ty, index) else {
                        unreachable!()
                    };
                    if self.fits(shadow, declared.heap) {
                        self.store(slot, index, word, shadow);
                    }
                } else {
                    let bits = u128::from(random.next()) << 64 | u128::from(random.next());
                    let bits = if kind.size() == 16 { bits } else { bits & ((1 << (8 * kind.size())) - 1) };
                    self.store(slot, index, GcRef::NULL, Value::Bits(bits));
                }
            }
        }
        Ok(())
    }

    /// Copies a range between two arrays of one type, perhaps the same.
    fn copy(&mut self, random: &mut impl Choose) {
        let (dst, Value::Object(to)) = self.root(random.below(32)) else { return };
        let (src, Value::Object(from)) = self.root(random.below(32)) else { return };
        let ty = self.objects[to].ty;
        if ty != self.objects[from].ty || !matches!(ty, REFS | NODES | BYTES | WIDE) {
            return;
        }
        let (to_len, from_len) = (self.objects[to].values.len(), self.objects[from].values.len());
        let (to_at, from_at) = (random.below(to_len + 1), random.below(from_len + 1));
        let len = random.below((to_len - to_at).min(from_len - from_at) + 1);
        let copied = self.heap.copy_elements(dst, to_at as u32, src, from_at as u32, len as u32);
        copied.unwrap();
        let values = self.objects[from].values[from_at..from_at + len].to_vec();
        self.objects[to].values[to_at..to_at + len].copy_from_slice(&values);
    }

    /// Compares heap and shadow: values, sharing and identity of everything reachable. Returns how many objects.
    pub(crate) fn check(&self) -> usize {
        let mut by_word: HashMap<GcRef, usize> = HashMap::new();
        let mut by_shadow: HashMap<usize, GcRef> = HashMap::new();
        let mut pending: Vec<(GcRef, Value)> = Vec::new();
        pending.extend(self.roots.globals.iter().copied().zip(self.globals.iter().copied()));
        pending.extend(self.roots.frames.iter().copied().zip(self.frames.iter().copied()));
        while let Some((word, shadow)) = pending.pop() {
            let of = match shadow {
                Value::Object(of) => of,
                Value::Null => {
                    assert!(word.is_null(), "null became {word:?}");
                    continue;
                }
                Value::I31(bits) => {
                    assert_eq!(word, GcRef::i31(bits));
                    continue;
                }
                Value::Bits(_) => unreachable!(),
            };
            assert!(word.is_object(), "an object became {word:?}");
            let known = by_word.insert(word, of);
            assert_eq!(
                by_shadow.insert(of, word).is_some(),
                known.is_some(),
                "an object was split or merged"
            );
            if let Some(known) = known {
                assert_eq!(known, of, "two objects were merged");
                continue;
            }
            let Shadow { ty, values } = &self.objects[of];
            assert_eq!(self.heap.type_of(word), Some(self.id(*ty)));
            if *ty == HOST {
                assert_eq!(
                    self.heap.host_index(word).map(|index| Value::Bits(index.into())),
                    Some(values[0])
                );
                continue;
            }
            if matches!(*ty, REFS | NODES | BYTES | WIDE) {
                assert_eq!(self.heap.array_len(word), Some(values.len() as u32));
            } else {
                assert_eq!(self.heap.array_len(word), None);
            }
            for (index, &value) in values.iter().enumerate() {
                let (offset, kind) = self.place(*ty, index);
                let bits = self.heap.read(word, offset, kind.size()).unwrap();
                match value {
                    Value::Bits(expected) => assert_eq!(bits, expected),
                    _ => pending.push((GcRef(bits as u32), value)),
                }
            }
        }
        by_word.len()
    }

    /// Drops shadows that nothing reaches from memory would change indices, so only forgets all when roots are empty.
    pub(crate) fn clear(&mut self) {
        for slot in 0..32 {
            self.set_root(slot, GcRef::NULL, Value::Null);
        }
        self.objects.clear();
    }
}
