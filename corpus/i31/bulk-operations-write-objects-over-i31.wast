;;! title = "a bulk operation that writes an object over an i31 takes the i31 for an object that loses a reference"
;;! origin = "https://github.com/bytecodealliance/wasmtime/pull/13307"
;;! observe_state = true

(module
  (type $box (struct (field $v (mut i32)) (field $more (mut anyref))))
  (type $anys (array (mut anyref)))
  (type $bytes (array (mut i8)))
  (global $kept (export "kept") (mut (ref null $anys)) (ref.null $anys))
  (table $t (export "t") 4 8 anyref (ref.i31 (i32.const 42)))
  (table $active (export "active table") 4 4 anyref (ref.i31 (i32.const -1)))
  (elem (table $active) (i32.const 1) anyref (item (struct.new $box (i32.const 5) (ref.null any))) (item (ref.i31 (i32.const 6))))
  (elem $boxes anyref
    (item (struct.new $box (i32.const 1) (ref.null any)))
    (item (ref.i31 (i32.const 0x3fffffff)))
    (item (struct.new $box (i32.const 3) (ref.i31 (i32.const 4)))))

  ;; Dead arrays until a small heap collects, and objects of the victim's size that take its place if it was freed.
  (func $collect
    (local $n i32)
    (local.set $n (i32.const 300))
    (loop $again
      (drop (struct.new $box (i32.const -1) (ref.null any)))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  ;; A box's value, an i31's plus 1000, -1 for null.
  (func $read (param $x anyref) (result i32)
    (if (ref.is_null (local.get $x)) (then (return (i32.const -1))))
    (if (ref.test i31ref (local.get $x))
      (then (return (i32.add (i32.const 1000) (i31.get_s (ref.cast i31ref (local.get $x)))))))
    (struct.get $box $v (ref.cast (ref $box) (local.get $x))))

  ;; Four i31s that are made at run time, so that no number is a likely address.
  (func $i31s (param $x i32) (result (ref $anys))
    (array.new_fixed $anys 4
      (ref.i31 (local.get $x)) (ref.i31 (i32.add (local.get $x) (i32.const 1)))
      (ref.i31 (i32.mul (local.get $x) (i32.const 16))) (ref.i31 (i32.sub (i32.const 0) (local.get $x)))))
  (func $show (param $a (ref $anys)) (result i32 i32 i32 i32)
    (call $collect)
    (call $read (array.get $anys (local.get $a) (i32.const 0)))
    (call $read (array.get $anys (local.get $a) (i32.const 1)))
    (call $read (array.get $anys (local.get $a) (i32.const 2)))
    (call $read (array.get $anys (local.get $a) (i32.const 3))))

  (func (export "array.init_elem") (param $x i32) (result i32 i32 i32 i32)
    (local $a (ref $anys))
    (local.set $a (call $i31s (local.get $x)))
    (array.init_elem $anys $boxes (local.get $a) (i32.const 0) (i32.const 0) (i32.const 3))
    (call $show (local.get $a)))
  (func (export "array.copy") (param $x i32) (result i32 i32 i32 i32)
    (local $a (ref $anys)) (local $b (ref $anys))
    (local.set $a (call $i31s (local.get $x)))
    (local.set $b (array.new $anys (struct.new $box (i32.const 7) (ref.null any)) (i32.const 3)))
    (global.set $kept (local.get $a))
    (array.copy $anys $anys (local.get $a) (i32.const 1) (local.get $b) (i32.const 0) (i32.const 3))
    (call $show (local.get $a)))
  ;; And i31s over objects, and both over themselves.
  (func (export "array.copy back") (param $x i32) (result i32 i32 i32 i32)
    (local $a (ref $anys)) (local $b (ref $anys))
    (local.set $a (call $i31s (local.get $x)))
    (local.set $b (array.new $anys (struct.new $box (i32.const 8) (ref.null any)) (i32.const 4)))
    (array.copy $anys $anys (local.get $b) (i32.const 2) (local.get $a) (i32.const 0) (i32.const 2))
    (array.copy $anys $anys (local.get $b) (i32.const 1) (local.get $b) (i32.const 0) (i32.const 3))
    (call $show (local.get $b)))
  (func (export "array.fill") (param $x i32) (result i32 i32 i32 i32)
    (local $a (ref $anys))
    (local.set $a (call $i31s (local.get $x)))
    (array.fill $anys (local.get $a) (i32.const 1) (struct.new $box (i32.const 9) (ref.null any)) (i32.const 2))
    (call $show (local.get $a)))

  (func $show-table (result i32 i32 i32 i32)
    (call $collect)
    (call $read (table.get $t (i32.const 0))) (call $read (table.get $t (i32.const 1)))
    (call $read (table.get $t (i32.const 2))) (call $read (table.get $t (i32.const 3))))
  (func (export "table.init") (result i32 i32 i32 i32)
    (table.init $t $boxes (i32.const 1) (i32.const 0) (i32.const 3))
    (call $show-table))
  (func (export "table.copy") (param $x i32) (result i32 i32 i32 i32)
    (table.fill $t (i32.const 0) (ref.i31 (local.get $x)) (i32.const 4))
    (table.copy $t $active (i32.const 0) (i32.const 0) (i32.const 4))
    (call $show-table))
  (func (export "table.fill") (param $x i32) (result i32 i32 i32 i32)
    (table.fill $t (i32.const 0) (ref.i31 (local.get $x)) (i32.const 4))
    (table.fill $t (i32.const 2) (struct.new $box (i32.const 10) (ref.null any)) (i32.const 2))
    (call $show-table))
  (func (export "active") (result i32 i32 i32 i32)
    (call $read (table.get $active (i32.const 0))) (call $read (table.get $active (i32.const 1)))
    (call $read (table.get $active (i32.const 2))) (call $read (table.get $active (i32.const 3)))))

(assert_return (invoke "active") (i32.const 999) (i32.const 5) (i32.const 1006) (i32.const 999))
(assert_return (invoke "array.init_elem" (i32.const 16)) (i32.const 1) (i32.const 1073742823) (i32.const 3) (i32.const 984))
(assert_return (invoke "array.copy" (i32.const 48)) (i32.const 1048) (i32.const 7) (i32.const 7) (i32.const 7))
(assert_return (invoke "array.copy back" (i32.const 3)) (i32.const 8) (i32.const 8) (i32.const 8) (i32.const 1003))
(assert_return (invoke "array.fill" (i32.const 1000)) (i32.const 2000) (i32.const 9) (i32.const 9) (i32.const 0))
(assert_return (invoke "table.init") (i32.const 1042) (i32.const 1) (i32.const 1073742823) (i32.const 3))
(assert_return (invoke "table.copy" (i32.const 64)) (i32.const 999) (i32.const 5) (i32.const 1006) (i32.const 999))
(assert_return (invoke "table.fill" (i32.const 32)) (i32.const 1032) (i32.const 1032) (i32.const 10) (i32.const 10))
(assert_return (invoke "active") (i32.const 999) (i32.const 5) (i32.const 1006) (i32.const 999))
