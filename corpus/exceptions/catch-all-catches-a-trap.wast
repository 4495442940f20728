;;! title = "catch_all takes a trap for an exception"
;;! observe_state = true

(module
  (type $s (struct (field (mut i32))))
  (type $a (array (mut i32)))
  (type $t (func))
  (memory 1)
  (table 2 funcref)
  (tag $e)
  (global $after (export "after") (mut i32) (i32.const 0))

  (func $trap (param i32)
    (block $8 (block $7 (block $6 (block $5 (block $4 (block $3 (block $2 (block $1 (block $0
      (br_table $0 $1 $2 $3 $4 $5 $6 $7 $8 (local.get 0)))
      (unreachable))
      (drop (i32.div_s (i32.const 1) (i32.const 0))) (return))
      (drop (i32.trunc_f32_s (f32.const nan))) (return))
      (drop (i32.load (i32.const 65533))) (return))
      (drop (struct.get $s 0 (ref.null $s))) (return))
      (drop (array.get $a (array.new_default $a (i32.const 2)) (i32.const 2))) (return))
      (drop (ref.cast (ref i31) (struct.new_default $s))) (return))
      (call_indirect (type $t) (i32.const 1)) (return))
    (throw $e))

  (func (export "run") (param i32) (result i32)
    (block $h (result exnref)
      (block $l
        (try_table (catch_all $l)
          (try_table (catch_all_ref $h) (catch $e $l)
            (call $trap (local.get 0)))
          (global.set $after (i32.const 1)))
        (return (i32.const 0)))
      (return (i32.const 2)))
    (drop)
    (i32.const 1)))

(assert_trap (invoke "run" (i32.const 0)) "unreachable")
(assert_trap (invoke "run" (i32.const 1)) "integer divide by zero")
(assert_trap (invoke "run" (i32.const 2)) "invalid conversion to integer")
(assert_trap (invoke "run" (i32.const 3)) "out of bounds memory access")
(assert_trap (invoke "run" (i32.const 4)) "null structure reference")
(assert_trap (invoke "run" (i32.const 5)) "out of bounds array access")
(assert_trap (invoke "run" (i32.const 6)) "cast failure")
(assert_trap (invoke "run" (i32.const 7)) "uninitialized element")
(assert_return (invoke "run" (i32.const 8)) (i32.const 1))
(assert_return (get "after") (i32.const 0))
