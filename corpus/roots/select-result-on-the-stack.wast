;;! title = "the result of select, kept on the operand stack only, is not a root of a collection"
;;! origin = "https://github.com/bytecodealliance/wasmtime/pull/12862"
;;! observe_state = true

(module
  (type $box (struct (field $v (mut i32)) (field $more (mut anyref))))
  (type $bytes (array (mut i8)))

  ;; Dead arrays until a small heap collects, and objects of the victim's size that take its place if it was freed.
  (func $collect
    (local $n i32)
    (local.set $n (i32.const 250))
    (loop $again
      (drop (struct.new $box (i32.const -1) (ref.null any)))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func $box (param $v i32) (result (ref $box))
    (struct.new $box (local.get $v) (struct.new $box (i32.mul (local.get $v) (i32.const 3)) (ref.null any))))

  ;; 4 * v of a box made by $box.
  (func $read (param $x (ref null $box)) (result i32)
    (i32.add (struct.get $box $v (local.get $x))
      (struct.get $box $v (ref.cast (ref $box) (struct.get $box $more (local.get $x))))))

  (func (export "untyped") (param $c i32) (result i32)
    (local $d i32)
    (local.set $d (local.get $c))
    (select (result (ref $box)) (call $box (i32.const 10)) (call $box (i32.const 20)) (local.get $c))
    (call $collect)
    (call $read)
    (i32.add (local.get $d)))

  (func (export "anyref") (param $c i32) (result i32)
    (select (result anyref) (call $box (i32.const 10)) (ref.i31 (i32.const 7)) (local.get $c))
    (call $collect)
    (call $read (ref.cast (ref $box))))

  ;; Two results at once, each the only reference to its object, read in the other order.
  (func (export "two") (param $c i32) (result i32)
    (local $first (ref null $box)) (local $second (ref null $box))
    (select (result (ref null $box)) (call $box (i32.const 1)) (call $box (i32.const 2)) (local.get $c))
    (select (result (ref null $box)) (call $box (i32.const 3)) (call $box (i32.const 4)) (local.get $c))
    (call $collect)
    (local.set $second)
    (local.set $first)
    (i32.add (i32.mul (call $read (local.get $first)) (i32.const 100)) (call $read (local.get $second))))

  ;; In a loop: the select's result goes through the back edge's collection each time.
  (func (export "loop") (param $n i32) (result i32)
    (local $sum i32)
    (loop $again
      (select (result (ref $box)) (call $box (local.get $n)) (call $box (i32.const 100)) (i32.and (local.get $n) (i32.const 1)))
      (call $collect)
      (local.set $sum (i32.add (call $read) (local.get $sum)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))

(assert_return (invoke "untyped" (i32.const 1)) (i32.const 41))
(assert_return (invoke "untyped" (i32.const 0)) (i32.const 80))
(assert_return (invoke "anyref" (i32.const 1)) (i32.const 40))
(assert_trap (invoke "anyref" (i32.const 0)) "cast failure")
(assert_return (invoke "two" (i32.const 1)) (i32.const 412))
(assert_return (invoke "two" (i32.const 0)) (i32.const 816))
(assert_return (invoke "loop" (i32.const 4)) (i32.const 816))
