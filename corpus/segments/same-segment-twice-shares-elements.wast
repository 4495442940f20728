;;! title = "array.new_elem makes the objects of a segment anew at each use, or only the first use sees them"
;;! origin = "Wasmtime 44.0.1 (gone in 45.0.2) and JavaScriptCore of WebKitGTK 2.50.6 (not in bun 1.4.5) make them anew, found by the typed generator in November 2026"
;;! observe_state = true

(module
  (type $box (struct (field $v (mut i32))))
  (type $boxes (array (mut (ref null $box))))
  (type $anys (array (mut anyref)))
  (type $bytes (array (mut i8)))
  (elem $e (ref null $box) (item (struct.new $box (i32.const 5))) (item (struct.new $box (i32.const 5))) (item (ref.null $box)))
  (table $t (export "t") 4 (ref null $box))
  (global $first (export "first") (mut (ref null $boxes)) (ref.null $boxes))

  (func $collect
    (local $n i32)
    (local.set $n (i32.const 250))
    (loop $again
      (drop (struct.new $box (i32.const -1)))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func (export "keep") (global.set $first (array.new_elem $boxes $e (i32.const 0) (i32.const 3))) (call $collect))
  ;; A second array is another object, but its elements are the first one's.
  (func (export "twice") (result i32)
    (local $second (ref $boxes))
    (local.set $second (array.new_elem $boxes $e (i32.const 0) (i32.const 3)))
    (call $collect)
    (ref.eq (local.get $second) (global.get $first))
    (i32.shl
      (ref.eq (array.get $boxes (local.get $second) (i32.const 0)) (array.get $boxes (global.get $first) (i32.const 0)))
      (i32.const 1))
    (i32.shl
      (ref.eq (array.get $boxes (local.get $second) (i32.const 1)) (array.get $boxes (global.get $first) (i32.const 1)))
      (i32.const 2))
    (i32.shl
      (ref.eq (array.get $boxes (local.get $second) (i32.const 0)) (array.get $boxes (local.get $second) (i32.const 1)))
      (i32.const 3))
    (i32.shl (ref.is_null (array.get $boxes (local.get $second) (i32.const 2))) (i32.const 4))
    (i32.or) (i32.or) (i32.or) (i32.or))
  ;; array.init_elem and table.init take the same objects too, a part of the segment and at an offset.
  (func (export "init") (result i32 i32 i32)
    (local $third (ref $anys))
    (local.set $third (array.new_default $anys (i32.const 5)))
    (array.init_elem $anys $e (local.get $third) (i32.const 3) (i32.const 1) (i32.const 2))
    (table.init $t $e (i32.const 2) (i32.const 0) (i32.const 2))
    (call $collect)
    (ref.eq (ref.cast eqref (array.get $anys (local.get $third) (i32.const 3)))
      (array.get $boxes (global.get $first) (i32.const 1)))
    (ref.eq (table.get $t (i32.const 2)) (array.get $boxes (global.get $first) (i32.const 0)))
    (ref.is_null (array.get $anys (local.get $third) (i32.const 4))))
  ;; A write through one array is seen through a later one.
  (func (export "write") (param $v i32) (result i32)
    (struct.set $box $v (array.get $boxes (global.get $first) (i32.const 1)) (local.get $v))
    (call $collect)
    (struct.get $box $v (array.get $boxes (array.new_elem $boxes $e (i32.const 1) (i32.const 1)) (i32.const 0))))
  ;; The segment alone keeps its objects.
  (func (export "forget") (global.set $first (ref.null $boxes)) (table.fill $t (i32.const 0) (ref.null $box) (i32.const 4)) (call $collect))
  (func (export "value") (param $i i32) (result i32)
    (struct.get $box $v (array.get $boxes (array.new_elem $boxes $e (local.get $i) (i32.const 1)) (i32.const 0))))
  (func (export "drop") (elem.drop $e) (call $collect)))

(invoke "keep")
(assert_return (invoke "twice") (i32.const 0x16))
(assert_return (invoke "init") (i32.const 1) (i32.const 1) (i32.const 1))
(assert_return (invoke "write" (i32.const 77)) (i32.const 77))
(invoke "forget")
(assert_return (invoke "value" (i32.const 0)) (i32.const 5))
(assert_return (invoke "value" (i32.const 1)) (i32.const 77))
(invoke "keep")
(invoke "drop")
(assert_trap (invoke "value" (i32.const 0)) "out of bounds table access")
