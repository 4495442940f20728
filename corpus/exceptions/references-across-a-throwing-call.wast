;;! title = "a reference that is live across a call which throws is stale in the handler: it was not updated, or the wrong version of a local arrives"
;;! observe_state = true

(module
  (type $box (struct (field $v (mut i32)) (field $more (mut anyref))))
  (type $bytes (array (mut i8)))
  (tag $t (param (ref $box)))

  ;; Dead arrays until a small heap collects, and objects of the victim's size that take its place if it was freed.
  (func $collect
    (local $n i32)
    (local.set $n (i32.const 250))
    (loop $again
      (drop (struct.new $box (i32.const -1) (ref.null any)))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func $box (param $v i32) (result (ref $box)) (struct.new $box (local.get $v) (ref.null any)))
  (func $v (param $x (ref null $box)) (result i32) (struct.get $box $v (local.get $x)))

  ;; Collects, then gives its argument back, or throws a box of $n.
  (func $throw (param $a (ref null $box)) (param $n i32) (result (ref null $box))
    (call $collect)
    (if (local.get $n) (then (throw $t (call $box (local.get $n)))))
    (local.get $a))

  ;; A local, set before and between two calls with the same handler.
  (func (export "locals") (param $n i32) (param $m i32) (result i32 i32 i32)
    (local $a (ref null $box)) (local $b (ref null $box))
    (local.set $a (call $box (i32.const 1)))
    (local.set $b (call $box (i32.const 2)))
    (block $h (result (ref $box))
      (try_table (catch $t $h)
        (local.set $a (call $throw (local.get $a) (local.get $n)))
        (local.set $b (call $box (i32.const 3)))
        (local.set $a (call $throw (local.get $b) (local.get $m)))
        (local.set $b (ref.null $box)))
      (call $box (i32.const 0)))
    (call $collect)
    (call $v)
    (call $v (local.get $a))
    (if (result i32) (ref.is_null (local.get $b)) (then (i32.const -1)) (else (call $v (local.get $b)))))

  ;; Values below the try_table on the operand stack, and a parameter of it that the handler does not see.
  (func (export "operands") (param $n i32) (result i32 i32 i32)
    (local $a (ref null $box)) (local $b (ref null $box)) (local $c (ref null $box))
    (call $box (i32.const 10))
    (call $box (i32.const 20))
    (block $h (result (ref $box))
      (call $box (i32.const 30))
      (try_table (param (ref $box)) (result (ref $box)) (catch $t $h)
        (call $throw (local.get $n))
        (ref.as_non_null)))
    (local.set $a) (local.set $b) (local.set $c)
    (call $collect)
    (call $v (local.get $a)) (call $v (local.get $b)) (call $v (local.get $c)))

  ;; Slots are shared round a loop; each exception keeps the one before.
  (func (export "loop") (param $n i32) (result i32)
    (local $kept (ref null $box)) (local $sum i32)
    (loop $again
      (block $next
        (block $h (result (ref $box))
          (try_table (catch $t $h)
            (local.set $kept (call $throw (local.get $kept) (i32.and (local.get $n) (i32.const 1))))
            (br $next))
          (unreachable))
        (local.set $kept)
        (struct.set $box $more (local.get $kept) (call $box (local.get $n))))
      (local.set $sum (i32.add (local.get $sum)
        (call $v (ref.cast (ref $box) (struct.get $box $more (local.get $kept))))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
)

(assert_return (invoke "locals" (i32.const 0) (i32.const 0)) (i32.const 0) (i32.const 3) (i32.const -1))
(assert_return (invoke "locals" (i32.const 7) (i32.const 0)) (i32.const 7) (i32.const 1) (i32.const 2))
(assert_return (invoke "locals" (i32.const 0) (i32.const 9)) (i32.const 9) (i32.const 1) (i32.const 3))
(assert_return (invoke "operands" (i32.const 0)) (i32.const 30) (i32.const 20) (i32.const 10))
(assert_return (invoke "operands" (i32.const 5)) (i32.const 5) (i32.const 20) (i32.const 10))
(assert_return (invoke "loop" (i32.const 5)) (i32.const 17))
