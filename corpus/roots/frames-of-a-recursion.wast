;;! title = "references in the frames of a deep recursion are lost when its innermost call collects"
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

  ;; Each frame keeps an object in a local, one on the operand stack across the call, and one as an argument.
  (func $down (param $n i32) (param $arg (ref $box)) (result i32)
    (local $mine (ref $box))
    (local.set $mine (call $box (local.get $n)))
    (if (i32.eqz (local.get $n))
      (then
        (call $collect)
        (return (call $read (local.get $arg)))))
    (call $box (i32.add (local.get $n) (i32.const 1000)))
    (call $down (i32.sub (local.get $n) (i32.const 1)) (local.get $mine))
    (i32.add (call $read (local.get $mine)))
    (i32.add (call $read (local.get $arg)))
    (call $swap)
    (i32.add (call $read)))
  (func $swap (param $b (ref $box)) (param $n i32) (result i32 (ref $box)) (local.get $n) (local.get $b))
  (func (export "down") (param $n i32) (result i32) (call $down (local.get $n) (call $box (i32.const 0))))

  ;; Collections at every depth, on the way up.
  (func $up (param $n i32) (result (ref $box))
    (local $below (ref null $box)) (local $v i32)
    (if (i32.eqz (local.get $n)) (then (return (call $box (i32.const 0)))))
    (call $box (local.get $n))
    (local.set $below (call $up (i32.sub (local.get $n) (i32.const 1))))
    (call $collect)
    (local.set $v (struct.get $box $v))
    (struct.set $box $v (local.get $below)
      (i32.add (struct.get $box $v (local.get $below)) (local.get $v)))
    (ref.as_non_null (local.get $below)))
  (func (export "up") (param $n i32) (result i32) (struct.get $box $v (call $up (local.get $n)))))

(assert_return (invoke "down" (i32.const 0)) (i32.const 0))
(assert_return (invoke "down" (i32.const 3)) (i32.const 12072))
(assert_return (invoke "down" (i32.const 100)) (i32.const 460600))
(assert_return (invoke "up" (i32.const 20)) (i32.const 210))
