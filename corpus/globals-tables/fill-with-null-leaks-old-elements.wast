;;! title = "table.fill with null over an object leaks it: nothing is computed wrong, memory runs out"
;;! origin = "https://github.com/bytecodealliance/wasmtime/issues/14325"
;;! observe_state = true

;; Each turn drops 64 KiB: a collector that keeps them needs 19 MB for the first call. Live at any time: one array.
(module
  (type $bytes (array (mut i8)))
  (table $t (export "t") 8 anyref)

  (func $big (param $n i32) (result (ref $bytes))
    (array.new $bytes (local.get $n) (i32.const 65536)))
  (func $check (param $n i32) (param $i i32) (result i32)
    (i32.eq (array.get_u $bytes (ref.cast (ref $bytes) (table.get $t (local.get $i))) (i32.const 65535))
      (i32.and (local.get $n) (i32.const 255))))

  (func (export "repeat fill with null") (param $n i32) (result i32)
    (local $good i32) (local $i i32)
    (loop $again
      (local.set $i (i32.and (local.get $n) (i32.const 7)))
      (table.set $t (local.get $i) (call $big (local.get $n)))
      (local.set $good (i32.add (local.get $good) (call $check (local.get $n) (local.get $i))))
      (table.fill $t (local.get $i) (ref.null any) (i32.const 1))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $good))

  ;; The same by table.fill with an object, table.copy, table.set and table.init over the object.
  (elem $none anyref (item (ref.null any)) (item (ref.i31 (i32.const 5))))
  (func (export "repeat other writes") (param $n i32) (result i32)
    (local $good i32)
    (loop $again
      (table.fill $t (i32.const 0) (call $big (local.get $n)) (i32.const 4))
      (local.set $good (i32.add (local.get $good) (call $check (local.get $n) (i32.const 3))))
      (table.copy $t $t (i32.const 2) (i32.const 4) (i32.const 2))
      (table.set $t (i32.const 0) (ref.null any))
      (table.init $t $none (i32.const 1) (i32.const 0) (i32.const 1))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $good)))

(assert_return (invoke "repeat fill with null" (i32.const 200)) (i32.const 200))
(assert_return (invoke "repeat other writes" (i32.const 100)) (i32.const 100))
