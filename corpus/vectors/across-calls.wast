;;! title = "vectors among scalars and references are passed, returned or kept across a call in the wrong place"
;;! observe_state = true

(module
  (type $box (struct (field $v (mut i32)) (field $more (mut anyref))))
  (type $bytes (array (mut i8)))
  (type $many (func
    (param i32 v128 (ref null $box) v128 i64 v128 f32 v128 v128 v128 v128 v128 v128 v128)
    (result v128 i32 v128 (ref null $box) v128 v128)))
  (type $step (func (param v128 i32) (result v128)))
  (table funcref (elem $many $direct))
  (elem declare func $many $step)

  (func $collect
    (local $n i32)
    (local.set $n (i32.const 150))
    (loop $again
      (drop (struct.new $box (i32.const -1) (ref.null any)))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func $many (type $many)
    (call $collect)
    (i32x4.add (local.get 1) (local.get 13))
    (i32.add (local.get 0) (i32.wrap_i64 (local.get 4)))
    (i32x4.add (local.get 3) (i32x4.splat (i32.trunc_f32_s (local.get 6))))
    (local.get 2)
    (i32x4.sub (local.get 12) (local.get 5))
    (i32x4.add (i32x4.add (local.get 7) (local.get 8)) (i32x4.add (local.get 9) (i32x4.add (local.get 10) (local.get 11)))))

  ;; More vectors than registers are live across a call that collects.
  (func $direct (type $many)
    (local $x v128)
    (local.set $x (i64x2.splat (local.get 4)))
    (call $many (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (local.get 6)
      (local.get 7) (local.get 8) (local.get 9) (local.get 10) (local.get 11) (local.get 12) (local.get 13))
    (call $collect)
    (i64x2.add (local.get $x)))

  (func $arguments (param $how i32) (result v128 i32 v128 (ref null $box) v128 v128)
    (i32.const 7) (v128.const i32x4 1 2 3 4) (struct.new $box (i32.const 31) (ref.i31 (i32.const 1)))
    (v128.const i32x4 10 20 30 40) (i64.const -5) (v128.const i32x4 5 5 5 5) (f32.const 2.5)
    (v128.const i32x4 1 0 0 0) (v128.const i32x4 0 1 0 0) (v128.const i32x4 0 0 1 0) (v128.const i32x4 0 0 0 1)
    (v128.const i32x4 100 100 100 100) (v128.const i32x4 9 8 7 6) (v128.const i32x4 -1 -1 -1 -1)
    (return_call_indirect (type $many) (local.get $how)))

  (func (export "many") (param $how i32) (result v128 i32 v128 i32 v128 v128)
    (local $a v128) (local $b v128) (local $c v128) (local $i i32) (local $r (ref null $box)) (local $d v128)
    (call $arguments (local.get $how))
    (local.set $d) (local.set $c) (local.set $r) (local.set $b) (local.set $i) (local.set $a)
    (call $collect)
    (local.get $a) (local.get $i) (local.get $b)
    (struct.get $box $v (local.get $r))
    (local.get $c) (local.get $d))

  ;; A vector through tail calls.
  (func $step (type $step)
    (if (i32.eqz (local.get 1)) (then (return (local.get 0))))
    (if (i32.and (local.get 1) (i32.const 1))
      (then (return_call $step (i16x8.add (local.get 0) (i16x8.splat (local.get 1))) (i32.sub (local.get 1) (i32.const 1)))))
    (return_call_ref $step
      (i8x16.shuffle 2 3 4 5 6 7 8 9 10 11 12 13 14 15 0 1 (local.get 0) (local.get 0))
      (i32.sub (local.get 1) (i32.const 1))
      (ref.func $step)))
  (func (export "steps") (param v128 i32) (result v128) (call $step (local.get 0) (local.get 1)))

  ;; A vector in each frame of a recursion, with a reference beside it.
  (func $sum (export "sum") (param $n i32) (result v128)
    (local $v v128) (local $b (ref $box))
    (if (i32.eqz (local.get $n)) (then (call $collect) (return (v128.const i64x2 0 0))))
    (local.set $b (struct.new $box (local.get $n) (ref.null any)))
    (local.set $v (i32x4.replace_lane 2 (i32x4.splat (local.get $n)) (i32.const 1)))
    (i32x4.add (call $sum (i32.sub (local.get $n) (i32.const 1))) (local.get $v))
    (i32x4.replace_lane 3 (v128.const i32x4 0 0 0 0) (struct.get $box $v (local.get $b)))
    (i32x4.add)))

(assert_return (invoke "many" (i32.const 0))
  (v128.const i32x4 0 1 2 3) (i32.const 2) (v128.const i32x4 12 22 32 42) (i32.const 31)
  (v128.const i32x4 4 3 2 1) (v128.const i32x4 101 101 101 101))
(assert_return (invoke "many" (i32.const 1))
  (v128.const i32x4 0 1 2 3) (i32.const 2) (v128.const i32x4 12 22 32 42) (i32.const 31)
  (v128.const i32x4 4 3 2 1) (v128.const i32x4 96 101 96 101))
(assert_return (invoke "steps" (v128.const i16x8 1 2 3 4 5 6 7 8) (i32.const 0)) (v128.const i16x8 1 2 3 4 5 6 7 8))
(assert_return (invoke "steps" (v128.const i16x8 1 2 3 4 5 6 7 8) (i32.const 5)) (v128.const i16x8 12 13 14 15 16 17 10 11))
(assert_return (invoke "sum" (i32.const 50)) (v128.const i32x4 1275 1275 50 2550))
