;;! title = "the code of a null function reference is read before a loop that calls it, ahead of the check for null"
;;! origin = "https://github.com/bytecodealliance/wasmtime/pull/10340"

(module
  (type $f (func (result i32)))
  (type $s (struct))

  ;; The reference is the same in every round, so an optimiser may read what it points to once, before the loop.
  (func $call (param $f (ref null $f)) (param $n i32) (result i32)
    (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (call_ref $f (local.get $f))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func $three (export "three") (result i32) (i32.const 3))
  (elem declare func $three)

  (func (export "function") (param $n i32) (result i32)
    (call $call (ref.func $three) (local.get $n)))
  (func (export "null") (param $n i32) (result i32)
    (call $call (ref.null $f) (local.get $n)))

  ;; The null is a constant and the loop runs once.
  (func (export "once") (result i32)
    (loop $again (result i32)
      (drop (struct.new $s))
      (call_ref $f (ref.null $f))
      (br_if $again (i32.const 0))))

  ;; The call is behind a condition: with 0 nothing is called, and nothing traps.
  (func (export "perhaps") (param $calls i32) (result i32)
    (local $f (ref null $f)) (local $n i32) (local $sum i32)
    (local.set $n (i32.const 4))
    (loop $again
      (if (local.get $calls) (then (local.set $sum (i32.add (local.get $sum) (call_ref $f (local.get $f))))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))

  (func (export "tail") (param $n i32) (result i32)
    (loop $again
      (if (i32.eqz (local.get $n)) (then (return_call_ref $f (ref.null $f))))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br $again))
    (unreachable)))

(assert_return (invoke "function" (i32.const 5)) (i32.const 15))
(assert_return (invoke "perhaps" (i32.const 0)) (i32.const 0))
(assert_trap (invoke "null" (i32.const 5)) "null function reference")
(assert_trap (invoke "once") "null function reference")
(assert_trap (invoke "perhaps" (i32.const 1)) "null function reference")
(assert_trap (invoke "tail" (i32.const 2)) "null function reference")
