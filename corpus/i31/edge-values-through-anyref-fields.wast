;;! title = "i31 edge values lose bits or sign on their way through anyref fields and array elements"
;;! observe_state = true

(module
  (type $pair (struct (field $a (mut anyref)) (field $b (mut eqref))))
  (type $anys (array (mut anyref)))
  (type $i31s (array (mut i31ref)))
  (type $bytes (array (mut i8)))

  (func $garbage
    (local $n i32)
    (local.set $n (i32.const 200))
    (loop $again
      (drop (array.new $bytes (i32.const 0xff) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func (export "field") (param $x i32) (result i32 i32)
    (local $p (ref $pair))
    (local.set $p (struct.new $pair (ref.i31 (local.get $x)) (ref.i31 (local.get $x))))
    (call $garbage)
    (i31.get_s (ref.cast (ref i31) (struct.get $pair $a (local.get $p))))
    (i31.get_u (ref.cast (ref i31) (struct.get $pair $b (local.get $p)))))

  (func (export "element") (param $x i32) (result i32 i32)
    (local $a (ref $anys)) (local $i (ref $i31s))
    (local.set $a (array.new $anys (ref.i31 (local.get $x)) (i32.const 5)))
    (local.set $i (array.new_fixed $i31s 2 (ref.null i31) (ref.i31 (local.get $x))))
    (call $garbage)
    (i31.get_s (ref.cast i31ref (array.get $anys (local.get $a) (i32.const 4))))
    (i31.get_u (array.get $i31s (local.get $i) (i32.const 1))))

  ;; The reference itself, for the heap graph.
  (func (export "show") (param $x i32) (result i31ref)
    (ref.i31 (local.get $x)))

  (func (export "is-i31") (param $x i32) (result i32)
    (ref.test (ref i31) (struct.get $pair $a (struct.new $pair (ref.i31 (local.get $x)) (ref.null eq)))))
  (func (export "is-struct") (param $x i32) (result i32)
    (ref.test (ref null struct)
      (struct.get $pair $a (struct.new $pair (ref.i31 (local.get $x)) (ref.null eq))))))

(assert_return (invoke "field" (i32.const 0)) (i32.const 0) (i32.const 0))
(assert_return (invoke "field" (i32.const 1)) (i32.const 1) (i32.const 1))
(assert_return (invoke "field" (i32.const 2)) (i32.const 2) (i32.const 2))
(assert_return (invoke "field" (i32.const -1)) (i32.const -1) (i32.const 0x7fffffff))
(assert_return (invoke "field" (i32.const -2)) (i32.const -2) (i32.const 0x7ffffffe))
(assert_return (invoke "field" (i32.const 0x3fffffff)) (i32.const 0x3fffffff) (i32.const 0x3fffffff))
(assert_return (invoke "field" (i32.const 0x40000000)) (i32.const -0x40000000) (i32.const 0x40000000))
(assert_return (invoke "field" (i32.const 0x40000001)) (i32.const -0x3fffffff) (i32.const 0x40000001))
(assert_return (invoke "field" (i32.const 0x7fffffff)) (i32.const -1) (i32.const 0x7fffffff))
(assert_return (invoke "field" (i32.const 0x80000000)) (i32.const 0) (i32.const 0))
(assert_return (invoke "field" (i32.const 0x80000001)) (i32.const 1) (i32.const 1))
(assert_return (invoke "field" (i32.const 0xc0000000)) (i32.const -0x40000000) (i32.const 0x40000000))
(assert_return (invoke "field" (i32.const 0xaaaaaaaa)) (i32.const 0x2aaaaaaa) (i32.const 0x2aaaaaaa))
(assert_return (invoke "field" (i32.const 0x55555555)) (i32.const 0xd5555555) (i32.const 0x55555555))

(assert_return (invoke "element" (i32.const 0)) (i32.const 0) (i32.const 0))
(assert_return (invoke "element" (i32.const -1)) (i32.const -1) (i32.const 0x7fffffff))
(assert_return (invoke "element" (i32.const 0x3fffffff)) (i32.const 0x3fffffff) (i32.const 0x3fffffff))
(assert_return (invoke "element" (i32.const 0x40000000)) (i32.const -0x40000000) (i32.const 0x40000000))
(assert_return (invoke "element" (i32.const 0x7fffffff)) (i32.const -1) (i32.const 0x7fffffff))
(assert_return (invoke "element" (i32.const 0x80000000)) (i32.const 0) (i32.const 0))

(assert_return (invoke "show" (i32.const 0)) (ref.i31))
(assert_return (invoke "show" (i32.const -1)) (ref.i31))
(assert_return (invoke "show" (i32.const 0x40000000)) (ref.i31))
(assert_return (invoke "show" (i32.const 0x80000000)) (ref.i31))

(assert_return (invoke "is-i31" (i32.const 0)) (i32.const 1))
(assert_return (invoke "is-i31" (i32.const -1)) (i32.const 1))
(assert_return (invoke "is-struct" (i32.const 0)) (i32.const 0))
(assert_return (invoke "is-struct" (i32.const 0x7fffffff)) (i32.const 0))
