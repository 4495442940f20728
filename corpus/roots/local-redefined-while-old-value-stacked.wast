;;! title = "the old value of a local, still on the operand stack, is not a root after the local is redefined"
;;! origin = "wrong in Wasmtime 32.0.0 to 45.0.2 too: https://github.com/bytecodealliance/wasmtime/pull/13449 (46.0.0)"
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

  (func (export "redefine") (result i32)
    (local $x (ref null $box))
    (local.set $x (call $box (i32.const 91)))
    (local.get $x)
    (local.set $x (call $box (i32.const 92)))
    (call $collect)
    (i32.sub (i32.mul (call $read) (i32.const 1000)) (call $read (local.get $x))))
  (func (export "null") (result i32)
    (local $x (ref null $box))
    (local.set $x (call $box (i32.const 93)))
    (local.get $x)
    (local.set $x (ref.null $box))
    (call $collect)
    (call $read))
  (func (export "tee") (result i32)
    (local $x (ref null $box))
    (local.tee $x (call $box (i32.const 94)))
    (local.set $x (ref.null $box))
    (call $collect)
    (call $read))
  ;; Three generations of one local are stacked at once.
  (func (export "three") (result i32)
    (local $x (ref null $box)) (local $y (ref null $box))
    (local.tee $x (call $box (i32.const 1)))
    (local.tee $x (call $box (i32.const 2)))
    (local.tee $x (call $box (i32.const 3)))
    (local.set $x (ref.null $box))
    (call $collect)
    (local.set $x)
    (local.set $y)
    (call $collect)
    (call $read)
    (i32.add (i32.mul (call $read (local.get $y)) (i32.const 10)))
    (i32.add (i32.mul (call $read (local.get $x)) (i32.const 100))))
  ;; A parameter is redefined in a loop while its last value is stacked.
  (func (export "loop") (param $n i32) (result i32)
    (local $x (ref null $box)) (local $sum i32)
    (local.set $x (call $box (i32.const 7)))
    (loop $again
      (local.get $x)
      (local.set $x (call $box (local.get $n)))
      (call $collect)
      (local.set $sum (i32.add (call $read) (i32.mul (local.get $sum) (i32.const 3))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.add (i32.mul (local.get $sum) (i32.const 3)) (call $read (local.get $x))))
  ;; Two locals are swapped over and over: their slots must follow.
  (func (export "swap") (param $n i32) (result i32)
    (local $x (ref null $box)) (local $y (ref null $box))
    (local.set $x (call $box (i32.const 1)))
    (local.set $y (call $box (i32.const 2)))
    (loop $again
      (local.get $x)
      (local.get $y)
      (local.set $x)
      (call $collect)
      (local.set $y)
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.add (i32.mul (call $read (local.get $x)) (i32.const 10)) (call $read (local.get $y)))))

(assert_return (invoke "redefine") (i32.const 363632))
(assert_return (invoke "null") (i32.const 372))
(assert_return (invoke "tee") (i32.const 376))
(assert_return (invoke "three") (i32.const 1284))
(assert_return (invoke "loop" (i32.const 3)) (i32.const 892))
(assert_return (invoke "swap" (i32.const 3)) (i32.const 84))
(assert_return (invoke "swap" (i32.const 4)) (i32.const 48))
