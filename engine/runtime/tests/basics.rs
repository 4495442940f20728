//! One engine, one store: calls, traps, limits, errors.

mod common;

use assay_runtime::*;
use common::*;

#[test]
fn adds() {
    for (name, engine) in engines(|_| {}) {
        let (mut store, instance) = instance(
            &engine,
            r#"(module (func (export "add") (param i32 i64) (result i64) (i64.add (i64.extend_i32_s (local.get 0)) (local.get 1))))"#,
        );
        let add = func(&store, instance, "add").typed::<(i32, i64), i64>(&store).unwrap();
        assert_eq!(add.call(&mut store, (-2, 44)).unwrap(), 42, "{name}");
    }
}
