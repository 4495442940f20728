;;! title = "objects of a passive element segment are collected before their first use"
;;! origin = "https://github.com/bytecodealliance/wasmtime/issues/13066"
;;! observe_state = true

(module
  (type $box (struct (field $v (mut i32)) (field $more anyref)))
  (type $anys (array (mut anyref)))
  (type $bytes (array (mut i8)))
  (elem $e anyref
    (item (struct.new $box (i32.const 1) (struct.new $box (i32.const 2) (ref.null any))))
    (item (ref.i31 (i32.const -3)))
    (item (array.new_fixed $anys 2 (ref.i31 (i32.const 4)) (struct.new $box (i32.const 5) (ref.null any))))
    (item (ref.null none)))
  (elem $ext externref
    (item (extern.convert_any (ref.i31 (i32.const 6))))
    (item (extern.convert_any (struct.new $box (i32.const 7) (ref.null any)))))
  (table $t (export "t") 6 anyref)
  (table $x (export "x") 2 externref)
  (elem (table $t) (i32.const 5) anyref (item (struct.new $box (i32.const 8) (ref.null any))))

  (func (export "collect")
    (local $n i32)
    (local.set $n (i32.const 250))
    (loop $again
      (drop (struct.new $box (i32.const -1) (ref.null any)))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "init")
    (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 4))
    (table.init $x $ext (i32.const 0) (i32.const 0) (i32.const 2)))
  (func $v (param $x anyref) (result i32) (struct.get $box $v (ref.cast (ref $box) (local.get $x))))
  (func (export "read") (result i32 i32 i32 i32 i32 i32 i32 i32)
    (call $v (table.get $t (i32.const 0)))
    (call $v (struct.get $box $more (ref.cast (ref $box) (table.get $t (i32.const 0)))))
    (i31.get_s (ref.cast (ref i31) (table.get $t (i32.const 1))))
    (i31.get_s (ref.cast (ref i31) (array.get $anys (ref.cast (ref $anys) (table.get $t (i32.const 2))) (i32.const 0))))
    (call $v (array.get $anys (ref.cast (ref $anys) (table.get $t (i32.const 2))) (i32.const 1)))
    (i31.get_s (ref.cast (ref i31) (any.convert_extern (table.get $x (i32.const 0)))))
    (call $v (any.convert_extern (table.get $x (i32.const 1))))
    (call $v (table.get $t (i32.const 5)))))

(invoke "collect")
(invoke "init")
(invoke "collect")
(assert_return (invoke "read")
  (i32.const 1) (i32.const 2) (i32.const -3) (i32.const 4) (i32.const 5) (i32.const 6) (i32.const 7) (i32.const 8))
(invoke "init")
(assert_return (invoke "read")
  (i32.const 1) (i32.const 2) (i32.const -3) (i32.const 4) (i32.const 5) (i32.const 6) (i32.const 7) (i32.const 8))
