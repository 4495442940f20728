;;! title = "a vector among a struct's or an array's fields shifts the references beside it, or is taken for one by a collection"
;;! observe_state = true

(module
  (type $box (struct (field $v (mut i32))))
  (type $bytes (array (mut i8)))
  (type $vectors (array (mut v128)))
  ;; Packed, vector, reference, vector, narrow, reference: every kind of neighbour.
  (type $s (sub (struct
    (field $tiny (mut i8)) (field $x (mut v128)) (field $p (mut (ref null $box))) (field $y (mut v128))
    (field $n (mut i32)) (field $q (mut anyref)))))
  (type $t (sub $s (struct
    (field $tiny (mut i8)) (field $x (mut v128)) (field $p (mut (ref null $box))) (field $y (mut v128))
    (field $n (mut i32)) (field $q (mut anyref)) (field $z (mut v128)) (field $r (mut (ref null $s))))))
  (global $kept (export "kept") (mut (ref null $s)) (ref.null $s))

  ;; Dead objects of the victims' sizes until a small heap collects; their bytes look like references.
  (func $collect
    (local $n i32)
    (local.set $n (i32.const 150))
    (loop $again
      (drop (array.new $vectors (v128.const i32x4 0x18 0x20 0x28 0x30) (i32.const 60)))
      (drop (struct.new $box (i32.const -1)))
      (drop (array.new $bytes (i32.const 0x18) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func (export "make") (param $v v128) (result i32)
    (global.set $kept
      (struct.new $t (i32.const 0x1ff) (local.get $v) (struct.new $box (i32.const 11))
        (i32x4.add (local.get $v) (v128.const i32x4 8 8 8 8)) (i32.const -3)
        (array.new $vectors (local.get $v) (i32.const 3))
        (i64x2.neg (local.get $v))
        (struct.new $s (i32.const 1) (v128.const i64x2 0 0) (struct.new $box (i32.const 12)) (local.get $v)
          (i32.const 4) (ref.i31 (i32.const 5)))))
    (call $collect)
    (struct.get_u $s $tiny (global.get $kept)))

  ;; Writing a vector must leave its neighbours alone, and the other way round.
  (func (export "write") (param $v v128)
    (struct.set $s $x (global.get $kept) (local.get $v))
    (struct.set $s $p (global.get $kept) (struct.new $box (i32.const 21)))
    (call $collect)
    (struct.set $s $y (global.get $kept) (v128.not (local.get $v)))
    (array.set $vectors (ref.cast (ref $vectors) (struct.get $s $q (global.get $kept))) (i32.const 1) (local.get $v))
    (call $collect))

  (func (export "vectors") (result v128 v128 v128 v128)
    (local $a (ref $vectors))
    (local.set $a (ref.cast (ref $vectors) (struct.get $s $q (global.get $kept))))
    (struct.get $s $x (global.get $kept))
    (struct.get $s $y (global.get $kept))
    (struct.get $t $z (ref.cast (ref $t) (global.get $kept)))
    (array.get $vectors (local.get $a) (i32.const 1)))

  (func (export "others") (result i32 i32 i32 i32 i32)
    (local $r (ref null $s))
    (local.set $r (struct.get $t $r (ref.cast (ref $t) (global.get $kept))))
    (struct.get_s $s $tiny (global.get $kept))
    (struct.get $box $v (struct.get $s $p (global.get $kept)))
    (struct.get $s $n (global.get $kept))
    (struct.get $box $v (struct.get $s $p (local.get $r)))
    (i31.get_u (ref.cast (ref i31) (struct.get $s $q (local.get $r)))))

  (func (export "default") (result v128 i32)
    (local $s (ref $s))
    (local.set $s (struct.new_default $s))
    (call $collect)
    (struct.get $s $y (local.get $s))
    (ref.is_null (struct.get $s $q (local.get $s)))))

(assert_return (invoke "make" (v128.const i32x4 0x18 0x20 0x28 1)) (i32.const 255))
(assert_return (invoke "vectors")
  (v128.const i32x4 0x18 0x20 0x28 1) (v128.const i32x4 0x20 0x28 0x30 9)
  (v128.const i32x4 -0x18 -0x21 -0x28 -2) (v128.const i32x4 0x18 0x20 0x28 1))
(assert_return (invoke "others") (i32.const -1) (i32.const 11) (i32.const -3) (i32.const 12) (i32.const 5))
(assert_return (invoke "write" (v128.const i64x2 0 -1)))
(assert_return (invoke "vectors")
  (v128.const i64x2 0 -1) (v128.const i64x2 -1 0) (v128.const i32x4 -0x18 -0x21 -0x28 -2) (v128.const i64x2 0 -1))
(assert_return (invoke "others") (i32.const -1) (i32.const 21) (i32.const -3) (i32.const 12) (i32.const 5))
(assert_return (invoke "default") (v128.const i64x2 0 0) (i32.const 1))
