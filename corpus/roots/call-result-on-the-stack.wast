;;! title = "results of call, call_indirect and call_ref, kept on the operand stack only, are not roots"
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

  (type $make (func (param i32) (result (ref $box))))
  (type $pair (func (param i32) (result (ref $box) (ref $box) anyref)))
  (func $make (type $make) (call $box (local.get 0)))
  (func $pair (type $pair)
    (call $box (local.get 0))
    (call $box (i32.add (local.get 0) (i32.const 1)))
    (ref.i31 (local.get 0)))
  (table $t funcref (elem $make $pair))

  (func (export "call") (param $v i32) (result i32)
    (call $make (local.get $v))
    (call $collect)
    (call $read))
  (func (export "call_indirect") (param $v i32) (result i32)
    (call_indirect $t (type $make) (local.get $v) (i32.const 0))
    (call $collect)
    (call $read))
  (func (export "call_ref") (param $v i32) (result i32)
    (call_ref $make (local.get $v) (ref.func $make))
    (call $collect)
    (call $read))
  ;; Several results: each is read after a collection of its own.
  (func (export "several") (param $v i32) (result i32)
    (local $i anyref) (local $b (ref null $box))
    (call $pair (local.get $v))
    (call $collect)
    (local.set $i)
    (call $collect)
    (local.set $b)
    (call $collect)
    (call $read)
    (i32.mul (i32.const 1000))
    (i32.add (call $read (local.get $b)))
    (i32.add (i31.get_s (ref.cast (ref i31) (local.get $i)))))
  ;; Results of a call are stacked while the next call collects, eight deep.
  (func (export "eight") (result i32)
    (call $make (i32.const 1)) (call $collect) (call $make (i32.const 2)) (call $collect)
    (call $make (i32.const 3)) (call $collect) (call $make (i32.const 4)) (call $collect)
    (call $make (i32.const 5)) (call $collect) (call $make (i32.const 6)) (call $collect)
    (call $make (i32.const 7)) (call $collect) (call $make (i32.const 8)) (call $collect)
    (call $fold) (call $fold) (call $fold) (call $fold) (call $fold) (call $fold) (call $fold)
    (call $read))
  ;; A box of v(left) + 10 * v(right), modulo 10007.
  (func $fold (param $l (ref $box)) (param $r (ref $box)) (result (ref $box))
    (call $collect)
    (call $box
      (i32.rem_u
        (i32.add (struct.get $box $v (local.get $l)) (i32.mul (struct.get $box $v (local.get $r)) (i32.const 10)))
        (i32.const 10007)))))

(assert_return (invoke "call" (i32.const 41)) (i32.const 164))
(assert_return (invoke "call_indirect" (i32.const 42)) (i32.const 168))
(assert_return (invoke "call_ref" (i32.const 43)) (i32.const 172))
(assert_return (invoke "several" (i32.const 2)) (i32.const 8014))
(assert_return (invoke "eight") (i32.const 12032))
