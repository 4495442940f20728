;;! title = "operands of struct.new are lost or stale when a later operand collects"
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

  (type $wide (struct
    (field $a (ref $box)) (field $n i64) (field $b anyref) (field $m i8) (field $c (ref null $box)) (field $d eqref)
    (field $e externref) (field $f f64) (field $g (ref $box))))
  (func $after (param $v i32) (result (ref $box))
    (local $x (ref $box))
    (local.set $x (call $box (local.get $v)))
    (call $collect)
    (local.get $x))
  (func $wide (result (ref $wide))
    (struct.new $wide
      (call $after (i32.const 1)) (i64.const 0x0123456789abcdef) (call $after (i32.const 2)) (i32.const 0x1ff)
      (call $after (i32.const 3)) (call $after (i32.const 4)) (extern.convert_any (call $after (i32.const 5)))
      (f64.const 0.25) (call $after (i32.const 6))))
  (func (export "wide") (result i32 i64 i32 f64)
    (local $w (ref $wide))
    (call $wide)
    (call $collect)
    (local.set $w)
    (call $read (struct.get $wide $a (local.get $w)))
    (i32.add (i32.mul (i32.const 10)) (call $read (ref.cast (ref $box) (struct.get $wide $b (local.get $w)))))
    (i32.add (i32.mul (i32.const 10)) (call $read (struct.get $wide $c (local.get $w))))
    (i32.add (i32.mul (i32.const 10)) (call $read (ref.cast (ref $box) (struct.get $wide $d (local.get $w)))))
    (i32.add (i32.mul (i32.const 10))
      (call $read (ref.cast (ref $box) (any.convert_extern (struct.get $wide $e (local.get $w))))))
    (i32.add (i32.mul (i32.const 10)) (call $read (struct.get $wide $g (local.get $w))))
    (struct.get $wide $n (local.get $w))
    (struct.get_s $wide $m (local.get $w))
    (struct.get $wide $f (local.get $w)))
  (func (export "show") (result (ref $wide)) (call $wide))
  ;; struct.set: the object is stacked while the value's maker collects.
  (func (export "set") (result i32)
    (local $x (ref $box))
    (local.tee $x (call $box (i32.const 7)))
    (call $after (i32.const 8))
    (struct.set $box $more)
    (call $collect)
    (struct.get $box $v (ref.cast (ref $box) (struct.get $box $more (local.get $x))))))

(assert_return (invoke "wide") (i32.const 493824) (i64.const 0x0123456789abcdef) (i32.const -1) (f64.const 0.25))
(assert_return (invoke "show") (ref.struct))
(assert_return (invoke "set") (i32.const 8))
