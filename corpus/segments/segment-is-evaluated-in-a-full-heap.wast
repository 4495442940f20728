;;! title = "table.init of an object ends the process when the heap is full of dead objects"
;;! origin = "found in Wasmtime 32.0.0 (drc) by the typed generator in November 2026; https://github.com/bytecodealliance/wasmtime/pull/11416 and /11557 (37.0.0): constant expressions could not collect, and running out of memory in one was a panic; in 32 with its heap of 512 KiB, in 33, 35 and 36 with one capped to that, not in 37"
;;! observe_state = true
;; An engine that makes the objects of a passive segment at each table.init (which is wrong, see same-segment-twice-shares-elements.wast) allocates
;; there, where all that it made before is dead: it may collect, and must not run out.

(module
  (type $bytes (array (mut i8)))
  (table $t 2 anyref)
  (elem $e (ref null $bytes) (item (array.new $bytes (i32.const 3) (i32.const 20000))))

  (func (export "repeat init") (param $n i32) (result i32)
    (local $sum i32)
    (loop $again
      (table.init $t $e (i32.const 1) (i32.const 0) (i32.const 1))
      (local.set $sum
        (i32.add (local.get $sum)
          (array.get_u $bytes (ref.cast (ref $bytes) (table.get $t (i32.const 1))) (i32.const 19999))))
      (drop (array.new $bytes (i32.const 4) (i32.const 20000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))

(assert_return (invoke "repeat init" (i32.const 200)) (i32.const 600))
