//! The modules that fibers are measured with, as text.

/// `host` calls its import without end; `spin` is an endless loop without calls.
pub const ENDLESS: &str = r#"(module
    (import "host" "pause" (func $pause))
    (func (export "host") (loop $l (call $pause) (br $l)))
    (func (export "spin") (loop $l (br $l))))"#;

/// `down n` calls its import below n frames that hold a reference each, all to the same object.
pub const DEEP: &str = r#"(module
    (type $box (struct (field $v i32)))
    (import "host" "pause" (func $pause))
    (func $below (param $n i32) (param $box (ref $box)) (result i32)
        (if (i32.eqz (local.get $n)) (then (call $pause) (return (i32.const 0))))
        (i32.add (call $below (i32.sub (local.get $n) (i32.const 1)) (local.get $box)) (struct.get $box $v (local.get $box))))
    (func (export "down") (param $n i32) (result i32)
        (call $below (local.get $n) (struct.new $box (i32.const 1)))))"#;

/// `empty` does nothing; `wait` calls its import once.
pub const CALLS: &str = r#"(module
    (import "host" "wait" (func $wait))
    (func (export "empty"))
    (func (export "wait") (call $wait)))"#;
