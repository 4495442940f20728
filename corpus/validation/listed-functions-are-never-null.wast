;;! title = "an element segment that lists functions does not fit a table of non-null functions"
;;! observe_state = true

;; Specification: Binary Format / Modules, element section: the short forms have the type (ref func); Validation / Modules, element
;; segments.
(module
  (type $r (func (result i32)))
  (type $functions (array (ref func)))
  (table $t (export "t") 2 (ref func) (ref.func $one))
  (elem $listed (table $t) (i32.const 1) func $two)
  (elem $passive func $two $one)
  (func $one (type $r) (i32.const 1))
  (func $two (type $r) (i32.const 2))
  (func (export "call") (param i32) (result i32) (call_indirect $t (type $r) (local.get 0)))
  (func (export "array") (result i32)
    (array.len (array.new_elem $functions $passive (i32.const 0) (i32.const 2)))))
(assert_return (invoke "call" (i32.const 0)) (i32.const 1))
(assert_return (invoke "call" (i32.const 1)) (i32.const 2))
(assert_return (invoke "array") (i32.const 2))

(assert_invalid
  (module (func $f) (table $t 1 (ref func) (ref.func $f)) (elem (table $t) (i32.const 0) funcref (item (ref.func $f))))
  "type mismatch")
(assert_invalid
  (module (type (array (ref func))) (elem $e funcref (item (ref.null func)))
    (func (drop (array.new_elem 0 $e (i32.const 0) (i32.const 0)))))
  "type mismatch")
