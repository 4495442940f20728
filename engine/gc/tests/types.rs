//! The registry of canonical types: identity of groups, their life, matching, limits.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::sync::Arc;
use std::time::Instant;

use assay_gc::header::MAX_TYPES;
use assay_gc::layout::{ArrayLayout, Layout, Slot};
use assay_gc::types::{DISPLAY_DEPTH, KIND_ARRAY, KIND_EXCEPTION, KIND_FUNC, KIND_HOST, KIND_STRUCT};
use assay_gc::{
    AbstractHeapType, CompositeType, ErrorKind, FieldType, FuncType, Heap, HeapType, RecGroup, RefType,
    StorageType, SubType, TypeId, TypeRegistry, ValType,
};

fn open(supertype: Option<HeapType>, composite: CompositeType) -> SubType {
    SubType { is_final: false, supertype, composite }
}
fn field(of: ValType) -> FieldType {
    FieldType { storage: StorageType::Val(of), mutable: true }
}
fn reference(heap: HeapType) -> ValType {
    ValType::Ref(RefType { nullable: true, heap })
}
fn structure(fields: &[FieldType]) -> SubType {
    open(None, CompositeType::Struct(fields.into()))
}
fn func(params: &[ValType]) -> SubType {
    open(None, CompositeType::Func(FuncType { params: params.into(), results: [].into() }))
}
fn one(registry: &Arc<TypeRegistry>, ty: SubType) -> (RecGroup, TypeId) {
    let group = registry.register(&[ty]).unwrap();
    let id = group.ids()[0];
    (group, id)
}
/// A struct that holds `n` and so differs from that of another `n`.
fn numbered(n: usize) -> SubType {
    let bits = (0..17).map(|bit| if n >> bit & 1 == 1 { ValType::I32 } else { ValType::I64 });
    structure(&bits.map(field).collect::<Vec<_>>())
}

#[test]
fn equal_groups_share_ids_and_others_do_not() {
    let registry = TypeRegistry::new().unwrap();
    let pair = |second: HeapType| {
        [structure(&[field(reference(HeapType::Rec(1)))]), structure(&[field(reference(second))])]
    };
    let a = registry.register(&pair(HeapType::Rec(0))).unwrap();
    let b = registry.register(&pair(HeapType::Rec(0))).unwrap();
    let c = registry.register(&pair(HeapType::Rec(1))).unwrap();
    assert_eq!(a.ids(), b.ids());
    assert_ne!(a.ids(), c.ids());
    assert_eq!(registry.live_types(), 4);
    // A reference from outside into an equal group is another type than one within.
    let (_d, d) = one(&registry, structure(&[field(reference(HeapType::Concrete(a.ids()[1])))]));
    assert_ne!(d, a.ids()[0]);
    let def = registry.get(a.ids()[0]).unwrap();
    let CompositeType::Struct(fields) = &def.composite else { panic!() };
    assert_eq!(fields[0], field(reference(HeapType::Concrete(a.ids()[1]))));
    let (group, index) = registry.group_of(a.ids()[1]).unwrap();
    assert_eq!((group.ids(), index), (a.ids(), 1));
    // Mutability and nullability count.
    let (_e, e) = one(&registry, structure(&[field(ValType::I32)]));
    let fixed = FieldType { storage: StorageType::Val(ValType::I32), mutable: false };
    let (_f, f) = one(&registry, structure(&[fixed]));
    assert_ne!(e, f);
    assert!(registry.register(&[]).unwrap().ids().is_empty());
}

#[test]
fn groups_die_with_their_last_handle() {
    let registry = TypeRegistry::new().unwrap();
    let (inner, inner_id) = one(&registry, numbered(1));
    let (outer, outer_id) = one(&registry, structure(&[field(reference(HeapType::Concrete(inner_id)))]));
    drop(inner);
    assert!(registry.get(inner_id).is_some(), "the outer group holds it");
    let again = outer.clone();
    drop(outer);
    assert_eq!(registry.live_types(), 2);
    drop(again);
    assert_eq!(registry.live_types(), 0);
    for id in [inner_id, outer_id] {
        assert!(
            registry.get(id).is_none() && registry.layout(id).is_none() && registry.group_of(id).is_none()
        );
        assert_eq!(registry.kind(id), 0);
        // SAFETY: rows_base points at MAX_TYPES rows.
        let row = unsafe { registry.rows_base().add(id.0 as usize).read() };
        assert!(row.kind_depth == 0 && row.display.iter().all(|&word| word == 0));
        assert!(!registry.is_subtype(id, id));
    }
    let (_group, id) = one(&registry, numbered(2));
    assert!(id == inner_id || id == outer_id, "ids are used again");
    let gone = registry.register(&[structure(&[field(reference(HeapType::Concrete(TypeId(77))))])]);
    assert!(matches!(gone.unwrap_err().kind(), ErrorKind::BadType(_)));
}

#[test]
fn a_long_chain_of_groups_dies_without_recursion() {
    let registry = TypeRegistry::new().unwrap();
    let (mut last, mut id) = one(&registry, numbered(0));
    for _ in 0..100_000 {
        (last, id) = one(&registry, structure(&[field(reference(HeapType::Concrete(id)))]));
    }
    assert_eq!(registry.live_types(), 100_001);
    drop(last);
    assert_eq!(registry.live_types(), 0);
}

#[test]
fn many_types_at_once_are_quick() {
    let registry = TypeRegistry::new().unwrap();
    let started = Instant::now();
    let groups: Vec<_> = (0..50_000).map(|n| one(&registry, numbered(n)).0).collect();
    let next = |n: u32| [field(reference(HeapType::Rec((n + 1) % 50_000))), field(ValType::I32)];
    let big: Vec<_> = (0..50_000).map(|n| structure(&next(n))).collect();
    let big = registry.register(&big).unwrap();
    assert_eq!(registry.live_types(), 100_000);
    let over: Vec<_> = (0..40_000).map(|_| structure(&[])).collect();
    let error = registry.register(&over).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::TypeLimit { given: 140_000, limit: MAX_TYPES as usize - 2 });
    drop((groups, big));
    assert_eq!(registry.live_types(), 0);
    // Generous, for a busy machine and a debug build: a quadratic scan would take minutes.
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

#[test]
fn displays_and_subtyping() {
    let registry = TypeRegistry::new().unwrap();
    let mut groups = Vec::new();
    let mut chain: Vec<TypeId> = Vec::new();
    for depth in 0..DISPLAY_DEPTH {
        let parent = chain.last().map(|&id| HeapType::Concrete(id));
        let fields = vec![field(ValType::I32); depth];
        let (group, id) = one(&registry, open(parent, CompositeType::Struct(fields.into())));
        groups.push(group);
        chain.push(id);
    }
    for (depth, &id) in chain.iter().enumerate() {
        // SAFETY: rows_base points at MAX_TYPES rows.
        let row = unsafe { registry.rows_base().add(id.0 as usize).read() };
        assert_eq!(row.kind_depth, KIND_STRUCT | (depth as u32) << 8);
        for (level, &ancestor) in row.display.iter().enumerate() {
            assert_eq!(ancestor, if level <= depth { chain[level].0 } else { 0 });
        }
        for (other, &sup) in chain.iter().enumerate() {
            assert_eq!(registry.is_subtype(id, sup), other <= depth);
        }
    }
    let parent = Some(HeapType::Concrete(chain[DISPLAY_DEPTH - 1]));
    let too_deep = open(parent, CompositeType::Struct(vec![field(ValType::I32); DISPLAY_DEPTH].into()));
    let error = registry.register(&[too_deep]).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::TypeLimit { given: DISPLAY_DEPTH, limit: DISPLAY_DEPTH - 1 });
    // In one group.
    let group = registry
        .register(&[
            structure(&[]),
            open(Some(HeapType::Rec(0)), CompositeType::Struct([field(ValType::F32)].into())),
        ])
        .unwrap();
    assert!(registry.is_subtype(group.ids()[1], group.ids()[0]));
    assert!(!registry.is_subtype(group.ids()[0], group.ids()[1]));
    assert!(!registry.is_subtype(group.ids()[1], chain[0]));
    assert!(
        !registry.is_subtype(TypeId(u32::MAX), chain[0]) && !registry.is_subtype(chain[0], TypeId(u32::MAX))
    );
}

#[test]
fn layouts_that_do_not_extend_are_refused() {
    let registry = TypeRegistry::new().unwrap();
    let structure_of = |of: &[ValType]| CompositeType::Struct(of.iter().map(|&of| field(of)).collect());
    let (_s, s) = one(&registry, open(None, structure_of(&[ValType::I32, ValType::I64])));
    let (_a, a) = one(&registry, open(None, CompositeType::Array(field(ValType::I32))));
    let (_f, f) = one(&registry, func(&[ValType::I32]));
    let sub = |sup: TypeId, composite| open(Some(HeapType::Concrete(sup)), composite);
    let signature = |of: &[ValType]| CompositeType::Func(FuncType { params: of.into(), results: [].into() });
    let any = reference(HeapType::Abstract(AbstractHeapType::Any));
    for bad in [
        sub(s, structure_of(&[ValType::I32])),
        sub(s, structure_of(&[ValType::I64, ValType::I64])),
        sub(s, structure_of(&[ValType::I32, any])),
        sub(s, CompositeType::Array(field(ValType::I32))),
        sub(s, signature(&[])),
        sub(a, CompositeType::Array(field(ValType::F32))),
        sub(f, signature(&[ValType::I32, ValType::I32])),
        sub(f, signature(&[any])),
        open(Some(HeapType::Rec(0)), structure_of(&[])),
        open(Some(HeapType::Rec(9)), structure_of(&[])),
        open(Some(HeapType::Abstract(AbstractHeapType::Any)), structure_of(&[])),
        sub(registry.host_type(), structure_of(&[])),
        structure(&[field(reference(HeapType::Rec(1)))]),
        structure(&vec![field(ValType::V128); 40_000]),
    ] {
        let error = registry.register(std::slice::from_ref(&bad)).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::BadType(_)), "{bad:?}");
    }
    assert_eq!(registry.live_types(), 3);
    registry.register(&[sub(s, structure_of(&[ValType::I32, ValType::I64, any]))]).unwrap();
    registry.register(&[sub(f, signature(&[ValType::I32]))]).unwrap();
}

#[test]
fn layouts_of_fields() {
    let registry = TypeRegistry::new().unwrap();
    let (_f, f) = one(&registry, func(&[]));
    let packed = |storage| FieldType { storage, mutable: true };
    let (_s, s) = one(
        &registry,
        structure(&[
            packed(StorageType::I8),
            packed(StorageType::I16),
            field(reference(HeapType::Rec(0))),
            packed(StorageType::I8),
            field(ValType::V128),
            field(reference(HeapType::Concrete(f))),
            field(reference(HeapType::Abstract(AbstractHeapType::Exn))),
            field(ValType::F32),
        ]),
    );
    let layout = registry.layout(s).unwrap();
    let Layout::Struct(layout) = &*layout else { panic!() };
    let expected = [
        (8, Slot::I8),
        (10, Slot::I16),
        (12, Slot::Ref),
        (16, Slot::I8),
        (24, Slot::V128),
        (40, Slot::Func),
        (44, Slot::Ref),
        (48, Slot::F32),
    ];
    assert_eq!(*layout.fields, expected);
    assert_eq!(*layout.ref_offsets, [12, 44]);
    assert_eq!(layout.size, 56);
    assert_eq!(ArrayLayout::new(Slot::I8), ArrayLayout { element: Slot::I8, base: 12 });
    assert_eq!(ArrayLayout::new(Slot::Ref).base, 12);
    assert_eq!(ArrayLayout::new(Slot::F64).base, 16);
    assert_eq!(ArrayLayout::new(Slot::V128).base, 16);
    assert_eq!(ArrayLayout::new(Slot::I8).size(0), Some(16));
    assert_eq!(registry.layout(f), None);
    assert_eq!(registry.layout(registry.host_type()).as_deref(), Some(&Layout::Host));
}

#[test]
fn matching_over_the_three_hierarchies() {
    use AbstractHeapType::*;
    let registry = TypeRegistry::new().unwrap();
    let (_s, s) = one(&registry, structure(&[]));
    let (_a, a) = one(&registry, open(Option::None, CompositeType::Array(field(ValType::I32))));
    let (_f, f) = one(&registry, func(&[]));
    let host = registry.host_type();
    assert_eq!([s, a, f, host].map(|id| registry.kind(id)), [KIND_STRUCT, KIND_ARRAY, KIND_FUNC, KIND_HOST]);
    let all = [Func, NoFunc, Extern, NoExtern, Any, Eq, I31, Struct, Array, None, Exn, NoExn];
    let above = |sub: AbstractHeapType| -> &'static [AbstractHeapType] {
        match sub {
            Func => &[Func],
            NoFunc => &[NoFunc, Func],
            Extern => &[Extern],
            NoExtern => &[NoExtern, Extern],
            Any => &[Any],
            Eq => &[Eq, Any],
            I31 => &[I31, Eq, Any],
            Struct => &[Struct, Eq, Any],
            Array => &[Array, Eq, Any],
            None => &[None, I31, Struct, Array, Eq, Any],
            Exn => &[Exn],
            NoExn => &[NoExn, Exn],
        }
    };
    let concrete: [(TypeId, &[AbstractHeapType], Option<AbstractHeapType>); 4] = [
        (s, &[Struct, Eq, Any], Some(None)),
        (a, &[Array, Eq, Any], Some(None)),
        (f, &[Func], Some(NoFunc)),
        (host, &[Any, Extern], Option::None),
    ];
    for sub in all {
        for sup in all {
            let matches = registry.heap_matches(HeapType::Abstract(sub), HeapType::Abstract(sup));
            assert_eq!(matches, above(sub).contains(&sup), "{sub:?} {sup:?}");
        }
        for (id, sups, bottom) in concrete {
            let up = registry.heap_matches(HeapType::Concrete(id), HeapType::Abstract(sub));
            assert_eq!(up, sups.contains(&sub), "{id:?} {sub:?}");
            let down = registry.heap_matches(HeapType::Abstract(sub), HeapType::Concrete(id));
            assert_eq!(down, bottom == Some(sub), "{sub:?} {id:?}");
        }
    }
    let reference = |nullable, heap| ValType::Ref(RefType { nullable, heap: HeapType::Abstract(heap) });
    assert!(registry.matches(&reference(false, Eq), &reference(true, Any)));
    assert!(!registry.matches(&reference(true, Eq), &reference(false, Any)));
    assert!(
        registry.matches(&ValType::I32, &ValType::I32) && !registry.matches(&ValType::I32, &ValType::F32)
    );
    assert!(!registry.matches(&ValType::I32, &reference(true, Any)));
}

#[test]
fn threads_register_and_drop_the_same_groups() {
    let registry = TypeRegistry::new().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let registry = &registry;
            scope.spawn(move || {
                let mut held = Vec::new();
                for round in 0..3000 {
                    let (inner, id) = one(registry, numbered(round % 5));
                    let outer = structure(&[field(reference(HeapType::Concrete(id)))]);
                    let (outer, outer_id) = one(registry, outer);
                    assert!(registry.get(outer_id).is_some() && registry.is_subtype(id, id));
                    let twin = registry.register(&[numbered(round % 5)]).unwrap();
                    assert_eq!(twin.ids(), inner.ids());
                    held.push(outer);
                    if (round + thread) % 7 == 0 {
                        held.clear();
                    }
                }
            });
        }
    });
    assert_eq!(registry.live_types(), 0);
}

#[test]
fn a_heap_holds_the_types_that_it_has_seen() {
    let registry = TypeRegistry::new().unwrap();
    let collector = assay_gc::find("copying").unwrap();
    assert!(matches!(assay_gc::find("none").unwrap_err().kind(), ErrorKind::UnknownCollector(_)));
    let mut heap = Heap::new(registry.clone(), collector, assay_gc::HeapConfig::default()).unwrap();
    let (group, id) = one(&registry, numbered(3));
    heap.retain_group(group);
    assert!(registry.get(id).is_some());
    drop(heap);
    assert_eq!(registry.live_types(), 0);
}

#[test]
fn heaps_and_types_may_move_between_threads() {
    fn sent<T: Send>() {}
    fn shared<T: Sync>() {}
    sent::<Heap>();
    sent::<RecGroup>();
    shared::<RecGroup>();
    shared::<TypeRegistry>();
}

#[test]
fn exceptions_are_hidden_types_under_exn_alone() {
    use AbstractHeapType::{Any, Array, Eq, Exn, Extern, Func, I31, NoExn, NoExtern, NoFunc, None, Struct};
    let registry = TypeRegistry::new().unwrap();
    let payload = [ValType::I64, reference(HeapType::Abstract(Any)), ValType::I32];
    let (_a, exception) = one(&registry, SubType::exception(&payload));
    let (_b, again) = one(&registry, SubType::exception(&payload));
    let (_c, other) = one(&registry, SubType::exception(&payload[..2]));
    // Neither the function type nor a struct of the same fields.
    let (_d, function) = one(&registry, func(&payload));
    let fields = [ValType::I32, payload[0], payload[1], payload[2]].map(field);
    let final_struct =
        SubType { is_final: true, supertype: Option::None, composite: CompositeType::Struct(fields.into()) };
    let (_e, structure) = one(&registry, final_struct);
    assert_eq!(exception, again);
    assert!(![other, function, structure].contains(&exception));
    assert_eq!(registry.kind(exception), KIND_EXCEPTION);

    let layout = registry.layout(exception).unwrap();
    let Layout::Struct(layout) = &*layout else { panic!("{layout:?}") };
    assert_eq!(*layout.fields, [(8, Slot::I32), (16, Slot::I64), (24, Slot::Ref), (28, Slot::I32)]);
    assert_eq!(*layout.ref_offsets, [24]);
    assert_eq!(layout.size, 32);

    let concrete = HeapType::Concrete(exception);
    for sup in [Any, Array, Eq, Exn, Extern, Func, I31, NoExn, NoExtern, NoFunc, None, Struct] {
        let sup = HeapType::Abstract(sup);
        assert_eq!(registry.heap_matches(concrete, sup), sup == HeapType::Abstract(Exn), "{sup:?}");
        assert_eq!(registry.heap_matches(sup, concrete), sup == HeapType::Abstract(NoExn), "{sup:?}");
    }
    assert!(registry.heap_matches(concrete, concrete));
    assert!(!registry.heap_matches(concrete, HeapType::Concrete(other)));

    // It has no subtypes and no supertypes.
    for (supertype, composite) in [
        (exception, CompositeType::Struct(fields.into())),
        (structure, CompositeType::Exception(payload.into())),
        (exception, CompositeType::Exception(payload.into())),
    ] {
        let ty = open(Some(HeapType::Concrete(supertype)), composite);
        let error = registry.register(&[ty]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::BadType(_)), "{error}");
    }
}
