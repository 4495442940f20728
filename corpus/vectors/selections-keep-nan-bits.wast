;;! title = "pmin, pmax, neg, abs, splats, lanes or fields change the bits of a NaN"
;;! observe_state = true

(module
  (type $box (struct (field v128)))
  (func $kept (param $v v128) (result v128) (struct.get $box 0 (struct.new $box (local.get $v))))
  (func (export "pmin32") (param $a v128) (param $b v128) (result v128)
    (call $kept (f32x4.pmin (local.get $a) (local.get $b))))
  (func (export "pmax32") (param $a v128) (param $b v128) (result v128)
    (call $kept (f32x4.pmax (local.get $a) (local.get $b))))
  (func (export "pmin64") (param $a v128) (param $b v128) (result v128)
    (call $kept (f64x2.pmin (local.get $a) (local.get $b))))
  (func (export "pmax64") (param $a v128) (param $b v128) (result v128)
    (call $kept (f64x2.pmax (local.get $a) (local.get $b))))
  (func (export "neg32") (param $a v128) (result v128) (call $kept (f32x4.neg (local.get $a))))
  (func (export "abs64") (param $a v128) (result v128) (call $kept (f64x2.abs (local.get $a))))
  (func (export "lanes") (param $a v128) (result v128)
    (f32x4.replace_lane 3
      (call $kept (f32x4.splat (f32x4.extract_lane 1 (local.get $a))))
      (f32.neg (f32x4.extract_lane 2 (local.get $a))))))

(assert_return
  (invoke "pmin32" (v128.const i32x4 0x7fa00001 1 0x80000000 0) (v128.const i32x4 2 0xffa00001 0 0x80000000))
  (v128.const i32x4 0x7fa00001 1 0x80000000 0))
(assert_return
  (invoke "pmax32" (v128.const i32x4 0x7fa00001 1 0x80000000 0) (v128.const i32x4 2 0xffa00001 0 0x80000000))
  (v128.const i32x4 0x7fa00001 1 0x80000000 0))
(assert_return (invoke "pmin32" (v128.const f32x4 1 2 -1 -inf) (v128.const f32x4 2 1 -2 inf)) (v128.const f32x4 1 1 -2 -inf))
(assert_return (invoke "pmax32" (v128.const f32x4 1 2 -1 -inf) (v128.const f32x4 2 1 -2 inf)) (v128.const f32x4 2 2 -1 inf))
(assert_return
  (invoke "pmin64" (v128.const i64x2 0xfff4000000000001 1) (v128.const i64x2 1 0x7ff4000000000001))
  (v128.const i64x2 0xfff4000000000001 1))
(assert_return
  (invoke "pmax64" (v128.const i64x2 0xfff4000000000001 1) (v128.const i64x2 1 0x7ff4000000000001))
  (v128.const i64x2 0xfff4000000000001 1))
(assert_return (invoke "neg32" (v128.const i32x4 0x7fa00001 0xffc12345 0x7f800001 0))
  (v128.const i32x4 0xffa00001 0x7fc12345 0xff800001 0x80000000))
(assert_return (invoke "abs64" (v128.const i64x2 0xfff4000000000001 0x7ff0000000000001))
  (v128.const i64x2 0x7ff4000000000001 0x7ff0000000000001))
(assert_return (invoke "lanes" (v128.const i32x4 0 0x7fa00001 0xff812345 0))
  (v128.const i32x4 0x7fa00001 0x7fa00001 0x7fa00001 0x7f812345))
