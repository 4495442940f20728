;;! title = "table.init over elements keeps the objects that were there: nothing is computed wrong, memory runs out"
;;! origin = "found in Wasmtime 32.0.0 (drc) by the typed generator in November 2026; https://github.com/bytecodealliance/wasmtime/pull/11416 (37.0.0) says that table.init had no write barriers; leaks in 32, 33, 35 and 36, not in 37"
;;! observe_state = true
;; table.init writes as table.set does (core specification, "Execution", table.init): what was in the table is garbage if nothing else refers to it.

;; Each turn drops 4,000 bytes: an engine that keeps them needs 4 MB. Live at any time: two arrays of 2,000.
(module
  (type $bytes (array (mut i8)))
  (table $t 3 anyref)
  (table $x 2 externref)
  (elem $none anyref (item (ref.i31 (i32.const 5))) (item (ref.null any)))
  (elem $outside externref (item (ref.null extern)))

  (func $big (param $n i32) (result (ref $bytes)) (array.new $bytes (local.get $n) (i32.const 2000)))

  (func (export "repeat init") (param $n i32) (result i32)
    (local $good i32)
    (loop $again
      (table.set $t (i32.and (local.get $n) (i32.const 1)) (call $big (local.get $n)))
      (table.set $x (i32.const 1) (extern.convert_any (call $big (local.get $n))))
      (table.init $t $none (i32.const 0) (i32.const 0) (i32.const 2))
      (table.init $x $outside (i32.const 1) (i32.const 0) (i32.const 1))
      (local.set $good
        (i32.add (local.get $good)
          (i32.and (ref.is_null (table.get $x (i32.const 1)))
            (ref.eq (ref.cast i31ref (table.get $t (i32.const 0))) (ref.i31 (i32.const 5))))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $good)))

(assert_return (invoke "repeat init" (i32.const 1000)) (i32.const 1000))
