;;! title = "arrays made by array.new_elem, array.new_data, array.new_fixed and array.new, kept on the operand stack only, are not roots"
;;! observe_state = true

(module
  (type $box (struct (field $v (mut i32)) (field $more (mut anyref))))
  (type $bytes (array (mut i8)))
  (type $boxes (array (mut (ref null $box))))
  (type $ints (array (mut i32)))

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

  (elem $e (ref null $box)
    (item (struct.new $box (i32.const 31) (struct.new $box (i32.const 93) (ref.null any))))
    (item (ref.null $box))
    (item (struct.new $box (i32.const 32) (struct.new $box (i32.const 96) (ref.null any)))))
  (data $d "\01\00\00\00\02\00\00\00\ff\ff\ff\ff")

  (func (export "new_elem") (param $i i32) (result i32)
    (array.new_elem $boxes $e (i32.const 0) (i32.const 3))
    (call $collect)
    (call $read (array.get $boxes (local.get $i))))
  ;; The segment is dropped: only the array holds the elements.
  (func (export "new_elem, then drop") (param $i i32) (result i32)
    (array.new_elem $boxes $e (i32.const 0) (i32.const 3))
    (elem.drop $e)
    (call $collect)
    (call $read (array.get $boxes (local.get $i))))
  (func (export "new_data") (param $i i32) (result i32)
    (array.new_data $ints $d (i32.const 0) (i32.const 3))
    (call $collect)
    (array.get $ints (local.get $i)))
  (func (export "new_fixed") (param $i i32) (result i32)
    (array.new_fixed $boxes 4 (call $box (i32.const 1)) (call $box (i32.const 2)) (call $box (i32.const 3)) (call $box (i32.const 4)))
    (call $collect)
    (call $read (array.get $boxes (local.get $i))))
  ;; The operands of new_fixed are stacked while the next one is made.
  (func (export "new_fixed operands") (param $i i32) (result i32)
    (call $box (i32.const 5))
    (call $collect)
    (call $box (i32.const 6))
    (call $collect)
    (call $box (i32.const 7))
    (call $collect)
    (array.new_fixed $boxes 3)
    (call $read (array.get $boxes (local.get $i))))
  (func (export "new") (param $i i32) (result i32)
    (array.new $boxes (call $box (i32.const 8)) (i32.const 100))
    (call $collect)
    (call $read (array.get $boxes (local.get $i))))
  (func (export "new_default") (param $i i32) (result i32)
    (array.new_default $boxes (i32.const 100))
    (call $collect)
    (ref.is_null (array.get $boxes (local.get $i)))))

(assert_return (invoke "new_elem" (i32.const 0)) (i32.const 124))
(assert_return (invoke "new_elem" (i32.const 2)) (i32.const 128))
(assert_trap (invoke "new_elem" (i32.const 1)) "null structure reference")
(assert_return (invoke "new_elem, then drop" (i32.const 2)) (i32.const 128))
(assert_trap (invoke "new_elem" (i32.const 0)) "out of bounds table access")
(assert_return (invoke "new_data" (i32.const 0)) (i32.const 1))
(assert_return (invoke "new_data" (i32.const 2)) (i32.const -1))
(assert_return (invoke "new_fixed" (i32.const 0)) (i32.const 4))
(assert_return (invoke "new_fixed" (i32.const 3)) (i32.const 16))
(assert_return (invoke "new_fixed operands" (i32.const 0)) (i32.const 20))
(assert_return (invoke "new_fixed operands" (i32.const 1)) (i32.const 24))
(assert_return (invoke "new" (i32.const 99)) (i32.const 32))
(assert_return (invoke "new_default" (i32.const 99)) (i32.const 1))
