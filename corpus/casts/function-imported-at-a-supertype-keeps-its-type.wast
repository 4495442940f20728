;;! title = "a function that is imported at a supertype is called through a table at its own type"
;;! origin = "found in V8 14.6 (node 26.10.0) and 15.0 (deno 2.9.6), and in Wasmtime 27.0.2 and 44.0.1 (gone in 45.0.2), by the linking generator in November 2026"
;; A function has the type it was defined with, whatever type an import gives it (core specification, "Execution", instantiation of modules: an
;; import is the same function address), and call_indirect compares that type with the wanted one ("Execution", call_indirect:
;; the function instance's type must match). V8 says "null function or function signature mismatch" where the function
;; came into the table by an element segment, with Liftoff and with Turbofan; table.set and ref.test of the same function are right there.
(module $a
  (type $s (sub (func (result i32))))
  (type $t (sub $s (func (result i32))))
  (func (export "f") (type $t) (i32.const 7)))
(register "a" $a)
(module
  (type $s (sub (func (result i32))))
  (type $t (sub $s (func (result i32))))
  (import "a" "f" (func $f (type $s)))
  (table 3 funcref)
  (elem (i32.const 0) func $f)
  (elem $later func $f)
  (func (export "of a segment") (result i32) (call_indirect (type $t) (i32.const 0)))
  (func (export "at the import's type") (result i32) (call_indirect (type $s) (i32.const 0)))
  (func (export "set") (result i32)
    (table.set 0 (i32.const 1) (ref.func $f))
    (call_indirect (type $t) (i32.const 1)))
  (func (export "init") (result i32)
    (table.init $later (i32.const 2) (i32.const 0) (i32.const 1))
    (call_indirect (type $t) (i32.const 2)))
  (func (export "test") (result i32) (ref.test (ref $t) (ref.func $f)))
  (func (export "test of a segment's") (result i32) (ref.test (ref $t) (table.get 0 (i32.const 0))))
  (func (export "call_ref") (result i32) (call_ref $t (ref.cast (ref $t) (table.get 0 (i32.const 0))))))
(assert_return (invoke "at the import's type") (i32.const 7))
(assert_return (invoke "set") (i32.const 7))
(assert_return (invoke "test") (i32.const 1))
(assert_return (invoke "test of a segment's") (i32.const 1))
(assert_return (invoke "call_ref") (i32.const 7))
(assert_return (invoke "of a segment") (i32.const 7))
(assert_return (invoke "init") (i32.const 7))
