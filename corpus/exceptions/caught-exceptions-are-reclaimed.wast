;;! title = "an exception that has been caught is never freed: nothing is computed wrong, memory runs out"
;;! origin = "found in Wasmtime 44.0.1 (drc, heap capped) by wasm-smith's modules in November 2026; https://github.com/bytecodealliance/wasmtime/pull/12860 is about this leak; leaks in 43.0.1, 44.0.1 and 45.0.2, not in 46.0.1, nor with the copying collector of 45.0.2"
;;! observe_state = true
;; A handler takes the exception away from the throw, and only "catch_ref" and "catch_all_ref" hand it on (core specification, "Execution",
;; throw_ref and exception handling): otherwise the exception is garbage at once, and its payload as soon as that is dropped.

;; Each turn drops an exception with an array of 2,000 bytes: an engine that keeps them needs 1 MB for each call. Live at any time: one.
(module
  (type $bytes (array (mut i8)))
  (tag $full (param (ref $bytes)))
  (tag $empty)

  (func $throw (param $n i32)
    (throw $full (array.new $bytes (local.get $n) (i32.const 2000))))
  (func $last (param $a (ref $bytes)) (result i32) (array.get_u $bytes (local.get $a) (i32.const 1999)))

  (func (export "repeat catch") (param $n i32) (result i32)
    (local $good i32)
    (loop $again
      (call $last
        (block $caught (result (ref $bytes))
          (try_table (catch $full $caught) (call $throw (local.get $n)))
          (unreachable)))
      (i32.eq (i32.and (local.get $n) (i32.const 255)))
      (local.set $good (i32.add (local.get $good)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $good))
  (func (export "repeat catch_all") (param $n i32) (result i32)
    (local $good i32)
    (loop $again
      (block $caught
        (try_table (catch $empty $caught) (catch_all $caught) (call $throw (local.get $n)))
        (unreachable))
      (local.set $good (i32.add (local.get $good) (i32.const 1)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $good))
  ;; The reference is dropped too; and the exception is thrown again by it before.
  (func (export "repeat throw_ref") (param $n i32) (result i32)
    (local $good i32)
    (loop $again
      (block $again-caught (result exnref)
        (try_table (catch_all_ref $again-caught)
          (block $caught (result (ref $bytes) exnref)
            (try_table (catch_ref $full $caught) (call $throw (local.get $n)))
            (unreachable))
          (throw_ref))
        (unreachable))
      (drop)
      (local.set $good (i32.add (local.get $good) (i32.const 1)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $good)))

(assert_return (invoke "repeat catch" (i32.const 500)) (i32.const 500))
(assert_return (invoke "repeat catch_all" (i32.const 500)) (i32.const 500))
(assert_return (invoke "repeat throw_ref" (i32.const 500)) (i32.const 500))
