//! Tables that the host makes.

use crate::common::*;
use assay_gc::{AbstractHeapType, CollectKind, HeapType, RefType};
use assay_runtime::*;

const MAKER: &str = r#"(module (type $s (struct (field i32)))
    (func (export "make") (result anyref) (struct.new $s (i32.const 7))))"#;

const READER: &str = r#"(module (type $s (struct (field i32))) (import "host" "table" (table $t 3 anyref))
    (func (export "read") (param i32) (result i32)
        (struct.get $s 0 (ref.cast (ref $s) (table.get $t (local.get 0)))))
    (func (export "same") (result i32)
        (ref.eq (ref.cast eqref (table.get $t (i32.const 0))) (ref.cast eqref (table.get $t (i32.const 2))))))"#;

#[test]
fn the_initial_value_lives_as_long_as_an_element_holds_it() {
    for (name, engine) in engines(|_| {}) {
        let (mut store, maker) = instance(&engine, MAKER);
        let made = func(&store, maker, "make").call(&mut store, &[]).unwrap().remove(0);
        let element = RefType { nullable: true, heap: HeapType::Abstract(AbstractHeapType::Any) };
        let ty = TableType { element, min: 3, max: None, is_64: false };
        let table = Table::new(&mut store, ty, &made).unwrap();
        store.verify_heap().unwrap();
        drop(made);
        assert_eq!(store.live_handles(), 0, "{name}");
        for kind in [CollectKind::Minor, CollectKind::Full, CollectKind::Minor] {
            store.gc(kind).unwrap();
            store.verify_heap().unwrap();
        }
        let reader = module(&engine, READER);
        let reader = Instance::new(&mut store, &reader, &[Extern::Table(table)]).unwrap();
        assert_eq!(i32_of(&func(&store, reader, "same").call(&mut store, &[]).unwrap()), 1, "{name}");
        for index in 0..3 {
            assert_eq!(store.live_objects().unwrap().0, 1, "{name}");
            let read = func(&store, reader, "read").call(&mut store, &[Val::I32(index)]).unwrap();
            assert_eq!(i32_of(&read), 7, "{name}");
            table.set(&mut store, index as u64, &Val::AnyRef(None)).unwrap();
            store.gc(CollectKind::Minor).unwrap();
            store.verify_heap().unwrap();
        }
        assert_eq!(store.live_objects().unwrap(), (0, 0), "{name}");
    }
}
