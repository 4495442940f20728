//! References on the host's side: handles, host values, inspection, what leaves and enters a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::common::*;
use assay_runtime::*;

const SHAPES: &str = r#"(module
    (rec (type $node (struct (field i8) (field i16) (field (mut i32)) (field i64) (field f32) (field f64)
        (field (mut (ref null $node))) (field (mut anyref)) (field funcref) (field externref))))
    (type $bytes (array i8))
    (type $refs (array (mut anyref)))
    (func $self (export "self") (result funcref) (ref.func $self))
    (func (export "node") (param externref) (result (ref $node)) (local $n (ref $node))
        (local.set $n (struct.new $node (i32.const -1) (i32.const -2) (i32.const 3) (i64.const 4) (f32.const 5)
            (f64.const 6) (ref.null $node) (ref.i31 (i32.const -7)) (ref.func $self) (local.get 0)))
        (struct.set $node 6 (local.get $n) (local.get $n))
        (local.get $n))
    (func (export "bytes") (result (ref $bytes)) (array.new_fixed $bytes 3 (i32.const 1) (i32.const -1) (i32.const 3)))
    (func (export "refs") (param anyref) (result (ref $refs))
        (array.new_fixed $refs 3 (local.get 0) (ref.i31 (i32.const 9)) (ref.null any)))
    (func (export "id") (param anyref) (result anyref) (local.get 0))
    (func (export "typed") (param (ref $node)))
    (func (export "in") (param externref) (result anyref) (any.convert_extern (local.get 0)))
    (func (export "out") (param anyref) (result externref) (extern.convert_any (local.get 0)))
    (global (export "g") (mut anyref) (ref.null any))
    (table (export "t") 3 anyref)
)"#;

fn any(values: &[Val]) -> Rooted {
    match values {
        [Val::AnyRef(Some(handle)) | Val::ExternRef(Some(handle))] => handle.clone(),
        other => panic!("not one reference: {other:?}"),
    }
}

#[test]
fn objects_are_read_through_handles_and_inspectors() {
    for (name, engine) in engines(|_| {}) {
        let (mut store, instance) = instance(&engine, SHAPES);
        let host = ExternRef::new(&mut store, Box::new("token")).unwrap();
        let node =
            func(&store, instance, "node").call(&mut store, &[Val::ExternRef(Some(host.clone()))]).unwrap();
        let node = any(&node);
        store.gc(CollectKind::Full).unwrap();
        assert!(matches!(node.kind(&store).unwrap(), RefKind::Struct(_)), "{name}");
        assert_eq!(node.struct_len(&store).unwrap(), Some(10));
        let word = store.inspect(&node).unwrap();
        let inspector = store.inspector();
        let fields = inspector.struct_fields(word).unwrap();
        assert_eq!(
            fields[..8],
            [
                RawVal::I8(255),
                RawVal::I16(65534),
                RawVal::I32(3),
                RawVal::I64(4),
                RawVal::F32(5f32.to_bits()),
                RawVal::F64(6f64.to_bits()),
                RawVal::Ref(word),
                RawVal::Ref(GcRef::i31(-7i32 as u32)),
            ],
            "{name}"
        );
        let RawVal::Func(id) = fields[8] else { panic!("{name}: {:?}", fields[8]) };
        let info = inspector.func(id).unwrap();
        assert_eq!((info.instance, info.index), (Some(instance.number()), 0), "{name}");
        let RawVal::Ref(token) = fields[9] else { panic!("{name}: {:?}", fields[9]) };
        assert_eq!(inspector.host_value(token).unwrap().downcast_ref::<&str>(), Some(&"token"), "{name}");
        // The same by handles.
        let Some(Val::AnyRef(Some(me))) = node.field(&mut store, 6).unwrap() else { panic!("{name}") };
        assert!(me.ref_eq(&store, &node).unwrap());
        let Some(Val::AnyRef(Some(seven))) = node.field(&mut store, 7).unwrap() else { panic!("{name}") };
        assert_eq!(seven.i31(&store).unwrap(), Some(-7), "{name}");
        assert_eq!(seven.kind(&store).unwrap(), RefKind::I31(-7));
        assert!(node.field(&mut store, 10).unwrap().is_none());
        let Some(Val::FuncRef(Some(this))) = node.field(&mut store, 8).unwrap() else { panic!("{name}") };
        assert_eq!(this, func(&store, instance, "self"), "{name}");

        let bytes = any(&func(&store, instance, "bytes").call(&mut store, &[]).unwrap());
        let word = store.inspect(&bytes).unwrap();
        assert_eq!(store.inspector().array_elems(word).unwrap(), [1, 255, 3].map(RawVal::I8), "{name}");
        assert_eq!(bytes.array_len(&store).unwrap(), Some(3));
        assert!(matches!(bytes.elem(&mut store, 1).unwrap(), Some(Val::I32(255))), "{name}");
        assert!(bytes.elem(&mut store, 3).unwrap().is_none());
        let refs =
            func(&store, instance, "refs").call(&mut store, &[Val::AnyRef(Some(bytes.clone()))]).unwrap();
        let refs = any(&refs);
        let Some(Val::AnyRef(Some(first))) = refs.elem(&mut store, 0).unwrap() else { panic!("{name}") };
        assert!(first.ref_eq(&store, &bytes).unwrap(), "{name}");
    }
}

#[test]
fn conversions_keep_identity() {
    for (name, engine) in engines(|_| {}) {
        let (mut store, instance) = instance(&engine, SHAPES);
        let host = ExternRef::new(&mut store, Box::new(5u64)).unwrap();
        let inside =
            func(&store, instance, "in").call(&mut store, &[Val::ExternRef(Some(host.clone()))]).unwrap();
        assert!(matches!(inside[0], Val::AnyRef(_)));
        store.gc(CollectKind::Full).unwrap();
        let inside = any(&inside);
        assert!(inside.ref_eq(&store, &host).unwrap(), "{name}");
        let back = func(&store, instance, "out").call(&mut store, &[Val::AnyRef(Some(inside))]).unwrap();
        assert!(matches!(back[0], Val::ExternRef(_)));
        assert!(any(&back).ref_eq(&store, &host).unwrap(), "{name}");
        assert_eq!(
            ExternRef::value(&store, &any(&back)).unwrap().unwrap().downcast_ref::<u64>(),
            Some(&5),
            "{name}"
        );
        // An internal object outside and in again.
        let one = Val::i31(&mut store, 1);
        let out = func(&store, instance, "out").call(&mut store, &[one]).unwrap();
        assert_eq!(any(&out).i31(&store).unwrap(), Some(1), "{name}");
    }
}

#[test]
fn arguments_of_another_type_are_refused() {
    for (name, engine) in engines(|_| {}) {
        let (mut store, instance) = instance(&engine, SHAPES);
        let typed = func(&store, instance, "typed");
        let host = ExternRef::new(&mut store, Box::new(0u8)).unwrap();
        let node = func(&store, instance, "node").call(&mut store, &[Val::ExternRef(None)]).unwrap();
        let bytes = func(&store, instance, "bytes").call(&mut store, &[]).unwrap();
        let small = Val::i31(&mut store, 3);
        typed.call(&mut store, &node).unwrap();
        for refused in
            [bytes[0].clone(), small, Val::AnyRef(None), Val::AnyRef(Some(host.clone())), Val::I32(0)]
        {
            let error = typed.call(&mut store, &[refused]).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Usage(Usage::Type { index: 0 })), "{name}: {error}");
        }
        let error = typed.call(&mut store, &[]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Usage(Usage::Arity { expected: 1, given: 0 })), "{name}");
        // A host function that returns the wrong thing is told so, and wasm does not see it.
        let ty = typed.ty(&store).unwrap();
        let ty = FuncType { params: [].into(), results: ty.params };
        let liar = Func::new(&mut store, ty, move |_, _, results| {
            results.push(Val::AnyRef(None));
            Ok(())
        })
        .unwrap();
        let error = liar.call(&mut store, &[]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Usage(Usage::Type { index: 0 })), "{name}");
    }
}

#[test]
fn globals_and_tables_hold_references() {
    for (name, engine) in engines(|_| {}) {
        let (mut store, instance) = instance(&engine, SHAPES);
        let node = func(&store, instance, "node").call(&mut store, &[Val::ExternRef(None)]).unwrap();
        let global = instance.export(&store, "g").unwrap().and_then(Extern::global).unwrap();
        let table = instance.export(&store, "t").unwrap().and_then(Extern::table).unwrap();
        global.set(&mut store, &node[0]).unwrap();
        table.set(&mut store, 2, &node[0]).unwrap();
        drop(node);
        store.gc(CollectKind::Full).unwrap();
        let held = any(&[global.get(&mut store).unwrap()]);
        let also = any(&[table.get(&mut store, 2).unwrap().unwrap()]);
        assert!(held.ref_eq(&store, &also).unwrap(), "{name}");
        assert_eq!(global.raw(&store).unwrap(), table.raw(&store, 2).unwrap().unwrap(), "{name}");
        assert_eq!(table.grow(&mut store, 2, &Val::AnyRef(Some(held.clone()))).unwrap(), 3);
        assert_eq!(table.size(&store).unwrap(), 5);
        assert!(table.get(&mut store, 5).unwrap().is_none());
        assert!(table.set(&mut store, 5, &Val::AnyRef(None)).is_err());
        drop((held, also));
        assert_eq!(store.live_handles(), 0, "{name}");
        assert_eq!(store.live_objects().unwrap().0, 1, "{name}");
        global.set(&mut store, &Val::AnyRef(None)).unwrap();
        for index in 0..5 {
            table.set(&mut store, index, &Val::AnyRef(None)).unwrap();
        }
        assert_eq!(store.live_objects().unwrap().0, 0, "{name}");
    }
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn host_values_drop_with_their_boxes() {
    for (name, engine) in engines(|_| {}) {
        let dropped = Arc::new(AtomicUsize::new(0));
        let mut store = Store::new(&engine).unwrap();
        let kept = ExternRef::new(&mut store, Box::new(Counted(dropped.clone()))).unwrap();
        for _ in 0..100 {
            ExternRef::new(&mut store, Box::new(Counted(dropped.clone()))).unwrap();
        }
        store.gc(CollectKind::Full).unwrap();
        let expected = if name.starts_with("null") { 0 } else { 100 };
        assert_eq!(dropped.load(Relaxed), expected, "{name}");
        assert!(ExternRef::value(&store, &kept).unwrap().is_some());
        drop(store);
        assert_eq!(dropped.load(Relaxed), 101, "{name}");
        drop(kept);
    }
}

#[test]
fn host_types_are_made_by_description() {
    for (name, engine) in engines(|_| {}) {
        let field = FieldType { storage: StorageType::Val(ValType::I32), mutable: true };
        let pair = SubType {
            is_final: true,
            supertype: None,
            composite: CompositeType::Struct([field, field].into()),
        };
        let group = engine.register(&[pair]).unwrap();
        let reference = ValType::Ref(RefType { nullable: true, heap: HeapType::Concrete(group.ids()[0]) });
        let mut store = Store::new(&engine).unwrap();
        let ty = FuncType { params: [reference].into(), results: [reference].into() };
        let host = Func::new(&mut store, ty, |_, args, results| {
            results.push(args[0].clone());
            Ok(())
        })
        .unwrap();
        drop(group);
        let module = module(
            &engine,
            r#"(module (type $pair (struct (field (mut i32)) (field (mut i32))))
                (import "h" "f" (func $f (param (ref null $pair)) (result (ref null $pair))))
                (func (export "g") (result i32)
                    (struct.get $pair 1 (call $f (struct.new $pair (i32.const 1) (i32.const 2))))))"#,
        );
        let instance = Instance::new(&mut store, &module, &[Extern::Func(host)]).unwrap();
        assert_eq!(i32_of(&func(&store, instance, "g").call(&mut store, &[]).unwrap()), 2, "{name}");
    }
}

#[test]
fn constants_and_segments_build_objects_under_collection() {
    for (name, engine) in engines(|_| {}) {
        let (mut store, instance) = instance(
            &engine,
            r#"(module
                (type $p (struct (field i32) (field anyref)))
                (type $a (array (mut anyref)))
                (global $g (ref $p) (struct.new $p (i32.const 1)
                    (array.new_fixed $a 3 (struct.new $p (i32.const 2) (ref.null any)) (ref.i31 (i32.const 3))
                        (struct.new $p (i32.const 4) (ref.null any)))))
                (global $h anyref (array.new $a (global.get $g) (i32.const 5)))
                (table $t 3 anyref (struct.new $p (i32.const 6) (ref.i31 (i32.const 1))))
                (elem $e anyref (item (struct.new $p (i32.const 7) (global.get $h))) (item (global.get $g))
                    (item (struct.new $p (i32.const 8) (ref.null any))))
                (elem (table $t) (i32.const 1) anyref (item (struct.new $p (i32.const 9) (ref.null any))))
                (func $v (param anyref) (result i32) (struct.get $p 0 (ref.cast (ref $p) (local.get 0))))
                (func (export "sum") (result i32) (local $a (ref $a)) (local $b (ref $a))
                    (local.set $a (array.new_elem $a $e (i32.const 0) (i32.const 3)))
                    (local.set $b (ref.cast (ref $a) (struct.get $p 1 (global.get $g))))
                    (i32.add (call $v (array.get $a (local.get $a) (i32.const 0)))          ;; 7
                    (i32.add (call $v (array.get $a (local.get $a) (i32.const 1)))          ;; 1
                    (i32.add (call $v (array.get $a (local.get $a) (i32.const 2)))          ;; 8
                    (i32.add (call $v (array.get $a (local.get $b) (i32.const 0)))          ;; 2
                    (i32.add (call $v (array.get $a (local.get $b) (i32.const 2)))          ;; 4
                    (i32.add (call $v (table.get $t (i32.const 0)))                         ;; 6
                    (i32.add (call $v (table.get $t (i32.const 1)))                         ;; 9
                    (call $v (array.get $a (ref.cast (ref $a) (global.get $h)) (i32.const 4))))))))))) ;; 1
                (func (export "drop") (elem.drop $e)))"#,
        );
        let sum = func(&store, instance, "sum");
        assert_eq!(i32_of(&sum.call(&mut store, &[]).unwrap()), 38, "{name}");
        let (before, _) = store.live_objects().unwrap();
        func(&store, instance, "drop").call(&mut store, &[]).unwrap();
        assert_eq!(store.live_objects().unwrap().0, before - 2, "{name}: items 7 and 8 are gone");
        let error = sum.call(&mut store, &[]).unwrap_err();
        assert_eq!(error.trap(), Some(TrapCode::TableOutOfBounds), "{name}");
    }
}
