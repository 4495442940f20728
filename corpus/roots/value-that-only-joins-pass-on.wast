;;! title = "a local's value is no root where paths have joined and it is not read before they join again"
;;! origin = "https://github.com/bytecodealliance/wasmtime/pull/10456"
;;! observe_state = true

(module
  (type $box (struct (field $v (mut i32)) (field $more (mut anyref))))
  (type $bytes (array (mut i8)))

  ;; Dead arrays until a small heap collects, and objects of the victim's size that take its place if it was freed.
  (func $collect
    (local $n i32)
    (local.set $n (i32.const 300))
    (loop $again
      (drop (struct.new $box (i32.const -1) (ref.null any)))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func $twice (call $collect) (call $collect))

  (func $box (param $v i32) (result (ref $box))
    (struct.new $box (local.get $v) (struct.new $box (i32.mul (local.get $v) (i32.const 3)) (ref.null any))))

  ;; 4 * v of a box made by $box, or -1.
  (func $read (param $x (ref null $box)) (result i32)
    (if (ref.is_null (local.get $x)) (then (return (i32.const -1))))
    (i32.add (struct.get $box $v (local.get $x))
      (struct.get $box $v (ref.cast (ref $box) (struct.get $box $more (local.get $x))))))

  ;; Between the two ifs the value is live but not read.
  (func (export "ifs") (param $p i32) (param $q i32) (result i32)
    (local $x (ref null $box))
    (if (local.get $p)
      (then (local.set $x (call $box (i32.const 1))))
      (else (local.set $x (call $box (i32.const 2)))))
    (call $twice)
    (if (local.get $q) (then (local.set $x (call $box (i32.const 3)))))
    (call $read (local.get $x)))

  ;; The same with four joins in a chain.
  (func (export "chain") (param $p i32) (result i32)
    (local $x (ref null $box))
    (if (i32.and (local.get $p) (i32.const 1)) (then (local.set $x (call $box (i32.const 10)))))
    (call $twice)
    (if (i32.and (local.get $p) (i32.const 2)) (then (local.set $x (call $box (i32.const 20)))))
    (call $twice)
    (if (i32.and (local.get $p) (i32.const 4)) (then (local.set $x (call $box (i32.const 40)))))
    (call $twice)
    (if (i32.and (local.get $p) (i32.const 8)) (then (local.set $x (call $box (i32.const 80)))))
    (call $twice)
    (call $read (local.get $x)))

  ;; The arms of a br_table meet in blocks one behind the other.
  (func (export "table") (param $p i32) (result i32)
    (local $x (ref null $box))
    (local.set $x (call $box (i32.const 100)))
    (block $c (block $b (block $a
      (br_table $a $b $c (local.get $p)))
      (local.set $x (call $box (i32.const 101))) (call $twice))
      (call $twice)
      (if (i32.eq (local.get $p) (i32.const 7)) (then (local.set $x (ref.null $box)))))
    (call $twice)
    (call $read (local.get $x)))

  ;; The outer loop passes the value through the inner one, which does not read it; only some rounds replace it.
  (func (export "loops") (param $n i32) (result i32)
    (local $x (ref null $box)) (local $m i32) (local $sum i32)
    (local.set $x (call $box (i32.const 7)))
    (loop $outer
      (local.set $m (i32.const 2))
      (loop $inner
        (call $twice)
        (br_if $inner (local.tee $m (i32.sub (local.get $m) (i32.const 1)))))
      (if (i32.and (local.get $n) (i32.const 1))
        (then
          (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 3)) (call $read (local.get $x))))
          (local.set $x (call $box (local.get $n)))))
      (br_if $outer (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.add (local.get $sum) (call $read (local.get $x))))

  ;; A loop is left in the middle, with the value as it came in or as a round has set it.
  (func (export "left") (param $n i32) (param $at i32) (result i32)
    (local $x (ref null $box))
    (local.set $x (call $box (i32.const 9)))
    (block $out
      (loop $again
        (call $twice)
        (br_if $out (i32.eq (local.get $n) (local.get $at)))
        (if (i32.gt_u (local.get $n) (i32.const 2)) (then (local.set $x (call $box (local.get $n)))))
        (call $twice)
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
    (call $twice)
    (call $read (local.get $x))))

(assert_return (invoke "ifs" (i32.const 1) (i32.const 0)) (i32.const 4))
(assert_return (invoke "ifs" (i32.const 0) (i32.const 0)) (i32.const 8))
(assert_return (invoke "ifs" (i32.const 0) (i32.const 1)) (i32.const 12))
(assert_return (invoke "chain" (i32.const 0)) (i32.const -1))
(assert_return (invoke "chain" (i32.const 1)) (i32.const 40))
(assert_return (invoke "chain" (i32.const 3)) (i32.const 80))
(assert_return (invoke "chain" (i32.const 5)) (i32.const 160))
(assert_return (invoke "chain" (i32.const 9)) (i32.const 320))
(assert_return (invoke "table" (i32.const 0)) (i32.const 404))
(assert_return (invoke "table" (i32.const 1)) (i32.const 400))
(assert_return (invoke "table" (i32.const 2)) (i32.const 400))
(assert_return (invoke "table" (i32.const 7)) (i32.const 400))
(assert_return (invoke "loops" (i32.const 4)) (i32.const 100))
(assert_return (invoke "left" (i32.const 5) (i32.const 9)) (i32.const 12))
(assert_return (invoke "left" (i32.const 5) (i32.const 5)) (i32.const 36))
(assert_return (invoke "left" (i32.const 5) (i32.const 3)) (i32.const 16))
