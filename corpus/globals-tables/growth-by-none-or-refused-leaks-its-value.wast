;;! title = "table.grow by 0 elements, or beyond the maximum, keeps its initial value: nothing is computed wrong, memory runs out"
;;! origin = "found in Wasmtime 32.0.0 (drc) by the typed generator in November 2026; https://github.com/bytecodealliance/wasmtime/pull/11416 (37.0.0) mends what table.grow does with the references it is given; leaks in 32, 33, 35 and 36, not in 37"
;;! observe_state = true
;; table.grow stores its value in the new elements only, and in none if it gives -1 (core specification, "Execution", table.grow), so nothing
;; reaches the value afterwards.

;; Each turn drops two arrays of 2,000 bytes: an engine that keeps one of them needs 2 MB. Live at any time: one.
(module
  (type $bytes (array (mut i8)))
  (table $t (export "t") 1 3 anyref)
  (table $x (export "x") 0 2 externref)

  (func $big (param $n i32) (result (ref $bytes)) (array.new $bytes (local.get $n) (i32.const 2000)))

  (func (export "repeat none") (param $n i32) (result i32)
    (local $good i32)
    (loop $again
      (local.set $good
        (i32.add (local.get $good) (i32.eq (table.grow $t (call $big (local.get $n)) (i32.const 0)) (i32.const 1))))
      (local.set $good
        (i32.add (local.get $good)
          (i32.eqz (table.grow $x (extern.convert_any (call $big (local.get $n))) (i32.const 0)))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $good))
  (func (export "repeat refused") (param $n i32) (result i32)
    (local $good i32)
    (loop $again
      (local.set $good
        (i32.sub (local.get $good) (table.grow $t (call $big (local.get $n)) (i32.const 3))))
      (local.set $good
        (i32.sub (local.get $good) (table.grow $x (extern.convert_any (call $big (local.get $n))) (i32.const -1))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $good))
  (func (export "size") (result i32 i32) (table.size $t) (table.size $x)))

(assert_return (invoke "repeat none" (i32.const 1000)) (i32.const 2000))
(assert_return (invoke "repeat refused" (i32.const 1000)) (i32.const 2000))
(assert_return (invoke "size") (i32.const 1) (i32.const 0))
