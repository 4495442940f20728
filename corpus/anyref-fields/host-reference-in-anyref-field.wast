;;! title = "a host reference in an anyref field, array, global or table loses its identity across a collection"
;;! observe_state = true

(module
  (type $holder (struct (field $v (mut anyref)) (field $x (mut externref))))
  (type $anys (array (mut anyref)))
  (type $bytes (array (mut i8)))
  (global $g (export "g") (mut (ref null $holder)) (ref.null $holder))
  (global $a (export "a") (mut (ref null $anys)) (ref.null $anys))
  (table $t (export "t") 2 externref)

  (func $garbage
    (local $n i32)
    (local.set $n (i32.const 200))
    (loop $again
      (drop (struct.new_default $holder))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func (export "keep") (param $x externref) (param $y externref)
    (global.set $g (struct.new $holder (any.convert_extern (local.get $x)) (local.get $y)))
    (global.set $a
      (array.new_fixed $anys 3 (any.convert_extern (local.get $y)) (ref.i31 (i32.const 1))
        (any.convert_extern (local.get $x))))
    (table.set $t (i32.const 1) (extern.convert_any (struct.get $holder $v (global.get $g))))
    (call $garbage))

  (func (export "field any") (result externref) (extern.convert_any (struct.get $holder $v (global.get $g))))
  (func (export "field extern") (result externref) (struct.get $holder $x (global.get $g)))
  (func (export "element") (param $i i32) (result externref)
    (call $garbage)
    (extern.convert_any (array.get $anys (global.get $a) (local.get $i))))
  (func (export "table") (result externref) (table.get $t (i32.const 1)))
  (func (export "swap")
    (local $v anyref)
    (local.set $v (struct.get $holder $v (global.get $g)))
    (struct.set $holder $v (global.get $g) (any.convert_extern (struct.get $holder $x (global.get $g))))
    (call $garbage)
    (struct.set $holder $x (global.get $g) (extern.convert_any (local.get $v))))
  ;; Only the operand stack holds it.
  (func (export "stacked") (param $x externref) (result externref)
    (any.convert_extern (local.get $x))
    (local.set $x (ref.null extern))
    (call $garbage)
    (extern.convert_any))
  (func (export "kinds") (param $x externref) (result i32)
    (i32.or
      (i32.or
        (ref.test eqref (any.convert_extern (local.get $x)))
        (i32.shl (ref.test (ref any) (any.convert_extern (local.get $x))) (i32.const 1)))
      (i32.or
        (i32.shl (ref.test anyref (any.convert_extern (local.get $x))) (i32.const 2))
        (i32.shl (ref.test (ref extern) (local.get $x)) (i32.const 3))))))

(invoke "keep" (ref.extern 0) (ref.extern 255))
(assert_return (invoke "field any") (ref.extern 0))
(assert_return (invoke "field extern") (ref.extern 255))
(assert_return (invoke "element" (i32.const 0)) (ref.extern 255))
(assert_return (invoke "element" (i32.const 2)) (ref.extern 0))
(assert_return (invoke "table") (ref.extern 0))
(invoke "swap")
(assert_return (invoke "field any") (ref.extern 255))
(assert_return (invoke "field extern") (ref.extern 0))
(invoke "keep" (ref.null extern) (ref.extern 3))
(assert_return (invoke "field any") (ref.null extern))
(assert_return (invoke "element" (i32.const 0)) (ref.extern 3))
(assert_return (invoke "stacked" (ref.extern 9)) (ref.extern 9))
(assert_return (invoke "stacked" (ref.null extern)) (ref.null extern))
(assert_return (invoke "kinds" (ref.extern 1)) (i32.const 0xe))
(assert_return (invoke "kinds" (ref.null extern)) (i32.const 0x5))
