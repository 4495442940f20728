;;! title = "a trap, a throw and a return leave a fiber to its own resumer after siblings were entered and suspended above it"
;;! fuel = 100000
;;! fibers = 4
;;! turns = ["resume 0", "resume 1", "resume 2", "resume 3", "resume 2", "resume 0", "resume 3", "resume 1"]
;;! observe_state = true

(module
  (import "assay" "wait" (func $wait (param anyref) (result anyref)))
  (import "assay" "call" (func $call (param funcref)))
  (type $box (struct (field $v i32)))
  (tag $e (param i32))
  (global $seen (export "seen") (mut i32) (i32.const 0))
  (func $note (param i32) (global.set $seen (i32.add (i32.mul (global.get $seen) (i32.const 10)) (local.get 0))))
  (func $pause (drop (call $wait (struct.new $box (i32.const 1)))))
  (elem declare func $pause)
  (func $twice (call $call (ref.func $pause)))
  (func (export "returns") (result i32) (call $twice) (call $note (i32.const 1)) (i32.const 1))
  (func (export "traps") (result i32) (call $twice) (call $note (i32.const 2))
    (i32.div_s (i32.const 1) (i32.eqz (i32.const 1))))
  (func (export "throws") (result i32) (call $twice) (call $note (i32.const 3)) (throw $e (i32.const 3)))
  (func $forever (param i32) (result i32)
    (i32.add (call $forever (local.get 0)) (i32.const 1)))
  (func (export "null") (result i32) (call $twice) (call $note (i32.const 4))
    (struct.get $box $v (ref.null $box))))

(assert_return (invoke "returns") (i32.const 1))
(assert_trap (invoke "traps") "integer divide by zero")
(assert_exception (invoke "throws"))
(assert_trap (invoke "null") "null structure reference")
