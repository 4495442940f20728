;;! title = "a fiber that is suspended before array.copy, array.fill and table operations goes on with operands that have moved"
;;! fuel = 100000
;;! fibers = 2
;;! turns = ["resume 0 for 1", "collect", "resume 0 for 1", "resume 1 for 9", "resume 0 for 1", "collect", "resume 0 for 1", "resume 1 for 9", "resume 0 for 1", "collect", "resume 0 for 1", "resume 1 for 9", "resume 0 for 1", "collect", "resume 0 for 1", "resume 1 for 9", "resume 0 for 1", "collect", "resume 0 for 1"]
;;! observe_state = true

(module
  (import "assay" "gc" (func $gc))
  (type $box (struct (field $v i32)))
  (type $boxes (array (mut (ref null $box))))
  (table $t (export "t") 4 (ref null $box))
  (elem $seg (ref null $box) (struct.new $box (i32.const 6)) (struct.new $box (i32.const 8)))
  (global $g (export "g") (mut (ref null $boxes)) (ref.null $boxes))
  (func (export "bulk") (result i32)
    (local $to (ref $boxes))
    (local.set $to (array.new $boxes (struct.new $box (i32.const 1)) (i32.const 4)))
    (array.copy $boxes $boxes (local.get $to) (i32.const 1)
      (array.new_fixed $boxes 2 (struct.new $box (i32.const 2)) (struct.new $box (i32.const 3)))
      (i32.const 0) (i32.const 2))
    (array.fill $boxes (local.get $to) (i32.const 3) (struct.new $box (i32.const 4)) (i32.const 1))
    (array.init_elem $boxes $seg (local.get $to) (i32.const 0) (i32.const 0) (i32.const 1))
    (table.fill $t (i32.const 0) (struct.new $box (i32.const 5)) (i32.const 2))
    (table.init $t $seg (i32.const 2) (i32.const 0) (i32.const 2))
    (drop (table.grow $t (struct.new $box (i32.const 7)) (i32.const 1)))
    (table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 4))
    (global.set $g (local.get $to))
    (i32.add (i32.mul (i32.const 1000) (struct.get $box $v (array.get $boxes (local.get $to) (i32.const 0))))
      (i32.add (i32.mul (i32.const 100) (struct.get $box $v (array.get $boxes (local.get $to) (i32.const 1))))
        (i32.add (i32.mul (i32.const 10) (struct.get $box $v (array.get $boxes (local.get $to) (i32.const 2))))
          (struct.get $box $v (array.get $boxes (local.get $to) (i32.const 3)))))))
  (func (export "churn") (result i32)
    (local $n i32)
    (loop $l
      (drop (struct.new $box (i32.const -1)))
      (call $gc)
      (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 40))))
    (local.get $n)))

(assert_return (invoke "bulk") (i32.const 6234))
(assert_return (invoke "churn") (i32.const 40))
