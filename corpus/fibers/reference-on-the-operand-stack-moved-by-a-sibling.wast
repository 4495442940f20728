;;! title = "a reference that only a suspended operand stack holds is stale after a sibling's collection has moved it"
;;! fuel = 100000
;;! fibers = 2
;;! turns = ["resume 0 for 2", "resume 1 for 3", "resume 0 for 3", "collect", "resume 1 for 5", "resume 0 for 4", "collect", "resume 0", "resume 1"]
;;! observe_state = true

(module
  (import "assay" "gc" (func $gc))
  (type $box (struct (field $v i32)))
  (type $boxes (array (mut (ref null $box))))
  (func $id (param anyref) (result anyref) (local.get 0))
  (func $garbage (param $n i32)
    (loop $again
      (drop (struct.new $box (i32.const -1)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  ;; Each operand is on the stack, and nowhere else, while the calls and loops behind it suspend the fiber.
  (func (export "hold") (result i32 i32 i32)
    (local $first i32) (local $second i32)
    (struct.new $box (i32.const 3))
    (array.get $boxes (array.new $boxes (struct.new $box (i32.const 5)) (i32.const 2)) (i32.const 1))
    (ref.cast (ref $box) (call $id (struct.new $box (i32.const 7))))
    (call $garbage (i32.const 4))
    (local.set $first (struct.get $box $v))
    (call $garbage (i32.const 3))
    (local.set $second (struct.get $box $v))
    (call $garbage (i32.const 2))
    (struct.get $box $v)
    (local.get $second)
    (local.get $first))
  (func (export "churn") (result i32)
    (call $garbage (i32.const 5))
    (call $gc)
    (call $garbage (i32.const 5))
    (call $gc)
    (i32.const 1)))

(assert_return (invoke "hold") (i32.const 3) (i32.const 5) (i32.const 7))
(assert_return (invoke "churn") (i32.const 1))
