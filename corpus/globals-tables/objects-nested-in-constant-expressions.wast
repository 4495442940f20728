;;! title = "an object that only another object of the same constant expression holds is freed by the first collection"
;;! origin = "https://github.com/bytecodealliance/wasmtime/issues/10182"
;;! observe_state = true

(module
  (type $box (struct (field $v (mut i32)) (field $more (mut anyref))))
  (type $anys (array (mut anyref)))
  (type $bytes (array (mut i8)))

  (global $inner (ref $box) (struct.new $box (i32.const 5) (ref.null any)))
  (global $struct (export "struct") (ref $box)
    (struct.new $box (i32.const 1) (struct.new $box (i32.const 2) (struct.new $box (i32.const 3) (ref.null any)))))
  (global $array (export "array") (mut (ref null $anys))
    (array.new_fixed $anys 3
      (struct.new $box (i32.const 11) (ref.null any))
      (array.new $bytes (i32.const 12) (i32.const 4))
      (global.get $inner)))
  (global $same (export "same") (ref $anys) (array.new $anys (struct.new $box (i32.const 31) (ref.i31 (i32.const 32))) (i32.const 3)))

  ;; Dead arrays until a small heap collects, and objects of the victims' sizes that take their places if they were freed.
  (func $collect (export "collect")
    (local $n i32)
    (local.set $n (i32.const 700))
    (loop $again
      (drop (struct.new $box (i32.const -1) (ref.null any)))
      (drop (array.new $anys (ref.null any) (i32.const 1)))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 4)))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func $box (param $x anyref) (result (ref $box)) (ref.cast (ref $box) (local.get $x)))
  (func $v (param $x anyref) (result i32) (struct.get $box $v (call $box (local.get $x))))
  (func $more (param $x anyref) (result anyref) (struct.get $box $more (call $box (local.get $x))))

  (func (export "read struct") (result i32 i32 i32 i32)
    (call $v (global.get $struct))
    (call $v (call $more (global.get $struct)))
    (call $v (call $more (call $more (global.get $struct))))
    (ref.is_null (call $more (call $more (call $more (global.get $struct))))))
  (func (export "read array") (result i32 i32 i32 i32)
    (call $v (array.get $anys (global.get $array) (i32.const 0)))
    (array.get_u $bytes (ref.cast (ref $bytes) (array.get $anys (global.get $array) (i32.const 1))) (i32.const 3))
    (call $v (array.get $anys (global.get $array) (i32.const 2)))
    (ref.eq (global.get $inner) (ref.cast eqref (array.get $anys (global.get $array) (i32.const 2)))))
  (func (export "read same") (result i32 i32 i32)
    (call $v (array.get $anys (global.get $same) (i32.const 2)))
    (i31.get_s (ref.cast i31ref (call $more (array.get $anys (global.get $same) (i32.const 0)))))
    (ref.eq (ref.cast eqref (array.get $anys (global.get $same) (i32.const 0)))
      (ref.cast eqref (array.get $anys (global.get $same) (i32.const 1)))))

  ;; What the expression made is let go: nothing else may be freed with it.
  (func (export "let go") (result i32)
    (global.set $array (ref.null $anys))
    (call $collect)
    (call $v (global.get $inner))))

(invoke "collect")
(assert_return (invoke "read struct") (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 1))
(assert_return (invoke "read array") (i32.const 11) (i32.const 12) (i32.const 5) (i32.const 1))
(assert_return (invoke "read same") (i32.const 31) (i32.const 32) (i32.const 1))
(invoke "collect")
(assert_return (invoke "read struct") (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 1))
(assert_return (invoke "let go") (i32.const 5))
(assert_return (invoke "read same") (i32.const 31) (i32.const 32) (i32.const 1))
