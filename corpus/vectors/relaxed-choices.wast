;;! title = "a relaxed vector instruction gives what none of its permitted choices is"
;;! observe_state = true

;; Each result is one that the specification permits; under its deterministic profile, the first.
(module
  (func (export "swizzle") (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1)))
  (func (export "trunc s") (param v128) (result v128) (i32x4.relaxed_trunc_f32x4_s (local.get 0)))
  (func (export "trunc u zero") (param v128) (result v128) (i32x4.relaxed_trunc_f64x2_u_zero (local.get 0)))
  (func (export "madd") (param v128 v128 v128) (result v128)
    (f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2)))
  (func (export "nmadd") (param v128 v128 v128) (result v128)
    (f64x2.relaxed_nmadd (local.get 0) (local.get 1) (local.get 2)))
  (func (export "laneselect") (param v128 v128 v128) (result v128)
    (i16x8.relaxed_laneselect (local.get 0) (local.get 1) (local.get 2)))
  (func (export "min") (param v128 v128) (result v128) (f32x4.relaxed_min (local.get 0) (local.get 1)))
  (func (export "q15mulr") (param v128 v128) (result v128) (i16x8.relaxed_q15mulr_s (local.get 0) (local.get 1)))
  (func (export "dot") (param v128 v128) (result v128)
    (i16x8.relaxed_dot_i8x16_i7x16_s (local.get 0) (local.get 1)))
  (func (export "dot add") (param v128 v128 v128) (result v128)
    (i32x4.relaxed_dot_i8x16_i7x16_add_s (local.get 0) (local.get 1) (local.get 2))))

(assert_return
  (invoke "swizzle" (v128.const i8x16 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35)
    (v128.const i8x16 0 15 16 31 32 127 128 129 255 240 1 2 3 4 5 6))
  (either
    (v128.const i8x16 20 35 0 0 0 0 0 0 0 0 21 22 23 24 25 26)
    (v128.const i8x16 20 35 20 35 20 35 0 0 0 0 21 22 23 24 25 26)))
(assert_return (invoke "trunc s" (v128.const f32x4 1.9 -1.9 2147483520 -2147483648))
  (v128.const i32x4 1 -1 2147483520 -2147483648))
(assert_return (invoke "trunc u zero" (v128.const f64x2 4294967295.9 0.9)) (v128.const i32x4 -1 0 0 0))
;; (1 + 2^-12)^2 - (1 + 2^-11): 0 with a rounded product, 2^-24 fused.
(assert_return
  (invoke "madd" (v128.const f32x4 0x1.001p0 0x1.001p0 2 -0.0) (v128.const f32x4 0x1.001p0 0x1.001p0 3 0.0)
    (v128.const f32x4 -0x1.002p0 0 4 -0.0))
  (either (v128.const f32x4 0 0x1.002p0 10 -0.0) (v128.const f32x4 0x1p-24 0x1.002p0 10 -0.0)))
(assert_return
  (invoke "nmadd" (v128.const f64x2 0x1.00000008p0 2) (v128.const f64x2 0x1.00000008p0 3)
    (v128.const f64x2 0x1.0000001p0 10))
  (either (v128.const f64x2 0 4) (v128.const f64x2 -0x1p-58 4)))
(assert_return
  (invoke "laneselect" (v128.const i16x8 0x1234 0x1234 0x1234 0x1234 1 1 1 1)
    (v128.const i16x8 0x5678 0x5678 0x5678 0x5678 2 2 2 2) (v128.const i16x8 0 -1 0x7fff 0x8000 -1 0 -1 0))
  (either
    (v128.const i16x8 0x5678 0x1234 0x1234 0x5678 1 2 1 2)
    (v128.const i16x8 0x5678 0x1234 0x5678 0x1234 1 2 1 2)))
(assert_return (invoke "min" (v128.const f32x4 1 -2 -0.0 3) (v128.const f32x4 2 -3 -1 inf)) (v128.const f32x4 1 -3 -1 3))
(assert_return (invoke "q15mulr" (v128.const i16x8 -32768 -32768 32767 16384 1 -1 100 0)
    (v128.const i16x8 -32768 32767 32767 1 16384 16384 -327 5))
  (either
    (v128.const i16x8 32767 -32767 32766 1 1 0 -1 0)
    (v128.const i16x8 -32768 -32767 32766 1 1 0 -1 0)))
(assert_return
  (invoke "dot" (v128.const i8x16 -128 -128 127 127 1 2 3 4 5 6 7 8 -1 -2 -3 -4)
    (v128.const i8x16 127 127 127 127 5 6 7 8 0 1 0 1 1 1 127 127))
  (v128.const i16x8 -32512 32258 17 53 6 8 -3 -889))
(assert_return
  (invoke "dot add" (v128.const i8x16 -128 -128 127 127 1 2 3 4 5 6 7 8 -1 -2 -3 -4)
    (v128.const i8x16 127 127 127 127 5 6 7 8 0 1 0 1 1 1 127 127) (v128.const i32x4 1000 2000 -3000 2147483647))
  (v128.const i32x4 746 2070 -2986 2147482755))
