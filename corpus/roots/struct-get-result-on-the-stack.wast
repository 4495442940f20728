;;! title = "the result of struct.get, cut off from its owner and kept on the operand stack only, is not a root"
;;! observe_state = true

(module
  (type $box (struct (field $v (mut i32)) (field $more (mut anyref))))
  (type $bytes (array (mut i8)))
  (type $owner (struct (field $a (mut (ref null $box))) (field $b (mut anyref))))

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

  (func (export "field") (result i32)
    (local $o (ref $owner))
    (local.set $o (struct.new $owner (call $box (i32.const 11)) (call $box (i32.const 12))))
    (struct.get $owner $a (local.get $o))
    (struct.set $owner $a (local.get $o) (ref.null $box))
    (call $collect)
    (call $read))

  (func (export "anyref field") (result i32)
    (local $o (ref $owner))
    (local.set $o (struct.new $owner (call $box (i32.const 11)) (call $box (i32.const 12))))
    (struct.get $owner $b (local.get $o))
    (struct.set $owner $b (local.get $o) (ref.i31 (i32.const 1)))
    (call $collect)
    (call $read (ref.cast (ref $box))))

  ;; Owner and field die at once.
  (func (export "owner dies") (result i32)
    (struct.get $owner $a (struct.new $owner (call $box (i32.const 13)) (ref.null any)))
    (call $collect)
    (call $read))

  ;; The same field read before and after a collection is the same object.
  (func (export "again") (result i32)
    (local $o (ref $owner))
    (local.set $o (struct.new $owner (call $box (i32.const 11)) (ref.null any)))
    (struct.get $owner $a (local.get $o))
    (call $collect)
    (ref.eq (struct.get $owner $a (local.get $o)))))

(assert_return (invoke "field") (i32.const 44))
(assert_return (invoke "anyref field") (i32.const 48))
(assert_return (invoke "owner dies") (i32.const 52))
(assert_return (invoke "again") (i32.const 1))
