;;! title = "the result of array.get, cut off from its array and kept on the operand stack only, is not a root"
;;! observe_state = true

(module
  (type $box (struct (field $v (mut i32)) (field $more (mut anyref))))
  (type $bytes (array (mut i8)))
  (type $boxes (array (mut (ref null $box))))

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

  (func (export "element") (param $i i32) (result i32)
    (local $a (ref $boxes))
    (local.set $a (array.new_default $boxes (i32.const 4)))
    (array.set $boxes (local.get $a) (local.get $i) (call $box (i32.const 21)))
    (array.get $boxes (local.get $a) (local.get $i))
    (array.fill $boxes (local.get $a) (i32.const 0) (ref.null $box) (i32.const 4))
    (call $collect)
    (call $read))

  (func (export "array dies") (result i32)
    (array.get $boxes (array.new $boxes (call $box (i32.const 22)) (i32.const 3)) (i32.const 2))
    (call $collect)
    (call $read))

  ;; Operands of array.set: array and index are stacked while the value is made, which collects.
  (func (export "set") (result i32)
    (local $a (ref $boxes))
    (array.new_default $boxes (i32.const 2))
    (local.tee $a)
    (i32.const 1)
    (call $box (i32.const 23))
    (call $collect)
    (array.set $boxes)
    (call $collect)
    (call $read (array.get $boxes (local.get $a) (i32.const 1)))))

(assert_return (invoke "element" (i32.const 0)) (i32.const 84))
(assert_return (invoke "element" (i32.const 3)) (i32.const 84))
(assert_return (invoke "array dies") (i32.const 88))
(assert_return (invoke "set") (i32.const 92))
