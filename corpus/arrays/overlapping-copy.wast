;;! title = "array.copy within one array copies elements that it has just overwritten"
;;! observe_state = true

(module
  (type $refs (array (mut anyref)))
  (type $i8 (array (mut i8)))
  (type $i64 (array (mut i64)))
  (type $bytes (array (mut i8)))
  (type $box (struct (field i32)))
  (global $r (export "r") (mut (ref null $refs)) (ref.null $refs))
  (global $b (export "b") (mut (ref null $i8)) (ref.null $i8))
  (global $q (export "q") (mut (ref null $i64)) (ref.null $i64))

  (func $garbage
    (local $n i32)
    (local.set $n (i32.const 150))
    (loop $again
      (drop (struct.new $box (i32.const -1)))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  ;; Even elements are boxes, odd ones i31; the content is the index plus one.
  (func (export "make") (param $n i32)
    (local $i i32)
    (global.set $r (array.new_default $refs (local.get $n)))
    (global.set $b (array.new_default $i8 (local.get $n)))
    (global.set $q (array.new_default $i64 (local.get $n)))
    (loop $next
      (if (i32.and (local.get $i) (i32.const 1))
        (then (array.set $refs (global.get $r) (local.get $i) (ref.i31 (i32.add (local.get $i) (i32.const 1)))))
        (else (array.set $refs (global.get $r) (local.get $i) (struct.new $box (i32.add (local.get $i) (i32.const 1))))))
      (array.set $i8 (global.get $b) (local.get $i) (i32.add (local.get $i) (i32.const 1)))
      (array.set $i64 (global.get $q) (local.get $i) (i64.extend_i32_u (i32.add (local.get $i) (i32.const 1))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $n)))))

  (func (export "copy") (param $to i32) (param $from i32) (param $n i32)
    (array.copy $refs $refs (global.get $r) (local.get $to) (global.get $r) (local.get $from) (local.get $n))
    (array.copy $i8 $i8 (global.get $b) (local.get $to) (global.get $b) (local.get $from) (local.get $n))
    (array.copy $i64 $i64 (global.get $q) (local.get $to) (global.get $q) (local.get $from) (local.get $n))
    (call $garbage))

  (func $ref (param $i i32) (result i32)
    (local $x anyref)
    (local.set $x (array.get $refs (global.get $r) (local.get $i)))
    (if (result i32) (ref.test (ref i31) (local.get $x))
      (then (i31.get_u (ref.cast (ref i31) (local.get $x))))
      (else (struct.get $box 0 (ref.cast (ref $box) (local.get $x))))))

  ;; Content as decimal digits base 16, one number per array.
  (func (export "show") (result i64 i64 i64)
    (local $i i32) (local $x i64) (local $y i64) (local $z i64)
    (loop $next
      (local.set $x (i64.or (i64.shl (local.get $x) (i64.const 4)) (i64.extend_i32_u (call $ref (local.get $i)))))
      (local.set $y
        (i64.or (i64.shl (local.get $y) (i64.const 4))
          (i64.extend_i32_u (array.get_u $i8 (global.get $b) (local.get $i)))))
      (local.set $z
        (i64.or (i64.shl (local.get $z) (i64.const 4)) (array.get $i64 (global.get $q) (local.get $i))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (array.len (global.get $r)))))
    (local.get $x)
    (local.get $y)
    (local.get $z))

  ;; After a copy of box elements, both places hold the same object.
  (func (export "same") (param $i i32) (param $j i32) (result i32)
    (ref.eq (ref.cast eqref (array.get $refs (global.get $r) (local.get $i)))
      (ref.cast eqref (array.get $refs (global.get $r) (local.get $j))))))

(invoke "make" (i32.const 9))
(assert_return (invoke "show") (i64.const 0x123456789) (i64.const 0x123456789) (i64.const 0x123456789))
(invoke "copy" (i32.const 2) (i32.const 0) (i32.const 6))
(assert_return (invoke "show") (i64.const 0x121234569) (i64.const 0x121234569) (i64.const 0x121234569))
(assert_return (invoke "same" (i32.const 0) (i32.const 2)) (i32.const 1))
(assert_return (invoke "same" (i32.const 2) (i32.const 4)) (i32.const 0))
(invoke "make" (i32.const 9))
(invoke "copy" (i32.const 0) (i32.const 1) (i32.const 8))
(assert_return (invoke "show") (i64.const 0x234567899) (i64.const 0x234567899) (i64.const 0x234567899))
(assert_return (invoke "same" (i32.const 7) (i32.const 8)) (i32.const 1))
(invoke "copy" (i32.const 1) (i32.const 0) (i32.const 8))
(assert_return (invoke "show") (i64.const 0x223456789) (i64.const 0x223456789) (i64.const 0x223456789))
(invoke "copy" (i32.const 3) (i32.const 3) (i32.const 6))
(assert_return (invoke "show") (i64.const 0x223456789) (i64.const 0x223456789) (i64.const 0x223456789))
(assert_trap (invoke "copy" (i32.const 4) (i32.const 0) (i32.const 6)) "out of bounds array access")
(assert_return (invoke "show") (i64.const 0x223456789) (i64.const 0x223456789) (i64.const 0x223456789))
