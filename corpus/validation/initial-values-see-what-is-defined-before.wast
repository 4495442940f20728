;;! title = "an initial value refers to a global that is mutable, comes later, or, from a table, is not imported"
;;! observe_state = true

;; Specification: Validation / Modules: the context of a global has the globals before it, that of a table only the imported ones;
;; element and data segments see all. Constant expressions read immutable globals only.
(module
  (global $a i32 (i32.const 2))
  (global $b (export "b") i32 (i32.mul (global.get $a) (i32.const 21)))
  (memory (export "m") 1)
  (data (global.get $b) "x")
  (table $t (export "t") 4 funcref)
  (elem (table $t) (global.get $a) func $f)
  (func $f (export "f") (result i32) (global.get $b)))
(assert_return (invoke "f") (i32.const 42))

(assert_invalid (module (global $a i32 (global.get $a))) "unknown global")
(assert_invalid (module (global i32 (global.get 1)) (global i32 (i32.const 0))) "unknown global")
(assert_invalid
  (module (global $g i31ref (ref.i31 (i32.const 0))) (table 1 i31ref (global.get $g)))
  "unknown global")
(assert_invalid
  (module (global $g (mut i32) (i32.const 0)) (memory 1) (data (global.get $g) ""))
  "constant expression required")
