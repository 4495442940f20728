;;! title = "tagged integers used as they are in compiled languages: sums, indices, comparisons over anyref"
;;! observe_state = true

(module
  (type $block (array (mut (ref eq))))
  (global $last (export "last") (mut (ref eq)) (ref.i31 (i32.const 0)))

  (func $int (param $x (ref eq)) (result i32) (i31.get_s (ref.cast (ref i31) (local.get $x))))

  ;; block[i] = i * i - 3, with block[0] the number of stores done.
  (func $make (param $n i32) (result (ref $block))
    (local $b (ref $block)) (local $i (ref eq))
    (local.set $b (array.new $block (ref.i31 (i32.const 0)) (local.get $n)))
    (local.set $i (ref.i31 (i32.const 1)))
    (loop $next
      (array.set $block (local.get $b) (call $int (local.get $i))
        (ref.i31 (i32.sub (i32.mul (call $int (local.get $i)) (call $int (local.get $i))) (i32.const 3))))
      (array.set $block (local.get $b) (i32.const 0)
        (ref.i31 (i32.add (call $int (array.get $block (local.get $b) (i32.const 0))) (i32.const 1))))
      (local.set $i (ref.i31 (i32.add (call $int (local.get $i)) (i32.const 1))))
      (br_if $next (i32.lt_s (call $int (local.get $i)) (local.get $n))))
    (local.get $b))

  (func (export "sum") (param $n i32) (result i32)
    (local $b (ref $block)) (local $i i32) (local $sum (ref eq))
    (local.set $b (call $make (local.get $n)))
    (local.set $sum (ref.i31 (i32.const 0)))
    (loop $next
      (local.set $sum
        (ref.i31 (i32.add (call $int (local.get $sum))
                          (call $int (array.get $block (local.get $b) (local.get $i))))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (array.len (local.get $b)))))
    (global.set $last (local.get $b))
    (call $int (local.get $sum)))

  ;; An i31 out of range as an index traps, a negative one too.
  (func (export "at") (param $i i32) (result i32)
    (call $int
      (array.get $block (ref.cast (ref $block) (global.get $last))
        (i31.get_s (ref.i31 (local.get $i))))))

  ;; A block is not an integer.
  (func (export "block as int") (result i32) (call $int (global.get $last))))

(assert_return (invoke "sum" (i32.const 2)) (i32.const -1))
(assert_return (invoke "sum" (i32.const 10)) (i32.const 267))
(assert_return (invoke "at" (i32.const 9)) (i32.const 78))
(assert_return (invoke "at" (i32.const 0x80000009)) (i32.const 78))
(assert_trap (invoke "at" (i32.const 10)) "out of bounds array access")
(assert_trap (invoke "at" (i32.const -1)) "out of bounds array access")
(assert_trap (invoke "at" (i32.const 0x40000000)) "out of bounds array access")
(assert_trap (invoke "block as int") "cast failure")
