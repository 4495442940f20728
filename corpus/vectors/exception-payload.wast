;;! title = "a vector in an exception's payload loses a half, or shifts the reference behind it"
;;! observe_state = true

(module
  (type $box (struct (field $v (mut i32)) (field $more (mut anyref))))
  (type $bytes (array (mut i8)))
  (tag $e (export "e") (param i32 v128 (ref null $box) v128 i64))
  (tag $v (param v128))
  (global $kept (mut exnref) (ref.null exn))

  (func $collect
    (local $n i32)
    (local.set $n (i32.const 150))
    (loop $again
      (drop (struct.new $box (i32.const -1) (ref.null any)))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func $throw (param $x v128)
    (i32.const 3) (local.get $x) (struct.new $box (i32.const 41) (ref.i31 (i32.const 2)))
    (i32x4.neg (local.get $x)) (i64.const -7)
    (call $collect)
    (throw $e))

  ;; A vector of the handler's frame is live across the throwing call.
  (func (export "catch") (param $x v128) (result i32 v128 i32 v128 i64 v128)
    (local $y v128) (local $i i32) (local $a v128) (local $b (ref null $box)) (local $c v128) (local $n i64)
    (local.set $y (i32x4.mul (local.get $x) (local.get $x)))
    (block $caught (result i32 v128 (ref null $box) v128 i64)
      (try_table (catch $e $caught) (call $throw (local.get $x)))
      (unreachable))
    (local.set $n) (local.set $c) (local.set $b) (local.set $a) (local.set $i)
    (call $collect)
    (local.get $i) (local.get $a) (struct.get $box $v (local.get $b)) (local.get $c) (local.get $n) (local.get $y))

  ;; The exception is kept over collections and thrown again.
  (func (export "keep") (param $x v128)
    (block $caught (result exnref)
      (try_table (catch_all_ref $caught) (call $throw (local.get $x)))
      (unreachable))
    (global.set $kept)
    (call $collect))
  (func (export "again") (result v128 i32)
    (local $c v128) (local $b (ref null $box)) (local $e exnref)
    (block $caught (result i32 v128 (ref null $box) v128 i64 exnref)
      (try_table (catch_ref $e $caught) (throw_ref (global.get $kept)))
      (unreachable))
    (local.set $e) (drop) (local.set $c) (local.set $b) (drop) (drop)
    (call $collect)
    (local.get $c) (struct.get $box $v (local.get $b)))

  (func (export "alone") (param v128) (result v128)
    (block $caught (result v128)
      (try_table (catch $v $caught) (throw $v (v128.not (local.get 0))))
      (unreachable)))
  (func (export "uncaught") (throw $v (v128.const i64x2 1 2))))

(assert_return (invoke "catch" (v128.const i32x4 1 2 3 4))
  (i32.const 3) (v128.const i32x4 1 2 3 4) (i32.const 41) (v128.const i32x4 -1 -2 -3 -4) (i64.const -7)
  (v128.const i32x4 1 4 9 16))
(assert_return (invoke "keep" (v128.const i32x4 5 6 7 8)))
(assert_return (invoke "again") (v128.const i32x4 -5 -6 -7 -8) (i32.const 41))
(assert_return (invoke "again") (v128.const i32x4 -5 -6 -7 -8) (i32.const 41))
(assert_return (invoke "alone" (v128.const i64x2 0 -1)) (v128.const i64x2 -1 0))
(assert_exception (invoke "uncaught"))
