;;! title = "a fiber is given up while it holds a caught exception and another waits in a handler: what they hold is freed, the rest stays"
;;! fuel = 100000
;;! fibers = 3
;;! turns = ["resume 0", "resume 1 for 4", "resume 2", "collect", "cancel 0", "collect", "resume 1 for 3", "cancel 1", "collect", "resume 2"]
;;! observe_state = true

(module
  (import "assay" "wait" (func $wait (param anyref) (result anyref)))
  (type $box (struct (field $v i32) (field $next anyref)))
  (tag $e (param (ref $box)))
  (global $kept (export "kept") (mut anyref) (ref.null any))
  (func $throw (param $v i32) (throw $e (struct.new $box (local.get $v) (global.get $kept))))
  ;; The exception is caught, and only the operand stack holds it while the host waits.
  (func (export "caught") (param $v i32) (result i32)
    (local $ref exnref)
    (block $h (result (ref $box) (ref exn))
      (try_table (catch_ref $e $h) (call $throw (local.get $v)))
      (unreachable))
    (local.set $ref)
    (drop (call $wait (ref.i31 (local.get $v))))
    (struct.get $box $v)
    ;; Thrown on, it is the same.
    (block $again (result (ref $box))
      (try_table (catch $e $again) (throw_ref (local.get $ref)))
      (unreachable))
    (i32.add (struct.get $box $v)))
  ;; Suspended by fuel between catching and throwing on.
  (func (export "looping") (param $v i32) (result i32)
    (local $ref exnref) (local $n i32)
    (loop $l
      (block $h (result exnref)
        (try_table (catch_all_ref $h) (call $throw (local.get $v)))
        (unreachable))
      (local.set $ref)
      (global.set $kept (struct.new $box (local.get $n) (ref.null any)))
      (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 50))))
    (local.get $n)))

(invoke "caught" (i32.const 11))
(invoke "looping" (i32.const 12))
(assert_return (invoke "caught" (i32.const 13)) (i32.const 26))
