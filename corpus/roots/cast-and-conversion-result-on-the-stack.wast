;;! title = "results of ref.cast, ref.as_non_null, any.convert_extern and extern.convert_any, kept on the operand stack only, are not roots"
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

  (func (export "ref.cast") (result i32)
    (ref.cast (ref $box) (struct.get $box $more (struct.new $box (i32.const 0) (call $box (i32.const 71)))))
    (call $collect)
    (call $read))
  (func (export "ref.cast null") (result i32)
    (ref.cast (ref null $box) (struct.get $box $more (struct.new $box (i32.const 0) (call $box (i32.const 72)))))
    (call $collect)
    (call $read))
  (func (export "ref.as_non_null") (result i32)
    (local $x (ref null $box))
    (local.set $x (call $box (i32.const 73)))
    (ref.as_non_null (local.get $x))
    (local.set $x (ref.null $box))
    (call $collect)
    (call $read))
  (func (export "extern.convert_any") (result i32)
    (extern.convert_any (call $box (i32.const 74)))
    (call $collect)
    (call $read (ref.cast (ref $box) (any.convert_extern))))
  (func (export "any.convert_extern") (result i32)
    (any.convert_extern (extern.convert_any (call $box (i32.const 75))))
    (call $collect)
    (call $read (ref.cast (ref $box))))
  ;; Before and after conversion it is the same object.
  (func (export "identity") (result i32)
    (local $x (ref $box)) (local $e externref)
    (local.set $x (call $box (i32.const 76)))
    (local.set $e (extern.convert_any (local.get $x)))
    (call $collect)
    (ref.eq (local.get $x) (ref.cast (ref $box) (any.convert_extern (local.get $e))))))

(assert_return (invoke "ref.cast") (i32.const 284))
(assert_return (invoke "ref.cast null") (i32.const 288))
(assert_return (invoke "ref.as_non_null") (i32.const 292))
(assert_return (invoke "extern.convert_any") (i32.const 296))
(assert_return (invoke "any.convert_extern") (i32.const 300))
(assert_return (invoke "identity") (i32.const 1))
