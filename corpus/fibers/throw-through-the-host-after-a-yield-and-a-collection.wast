;;! title = "wasm, host, wasm, yield, collect, throw: the exception passes the host's frame to a handler whose frame was suspended with it"
;;! fuel = 100000
;;! fibers = 2
;;! turns = ["resume 0", "collect", "resume 1 for 7", "resume 0", "collect", "resume 1 for 7", "resume 0 for 2", "collect", "resume 1", "resume 0"]
;;! observe_state = true

(module
  (import "assay" "wait" (func $wait (param anyref) (result anyref)))
  (import "assay" "call" (func $call (param funcref)))
  (type $box (struct (field $v i32)))
  (tag $e (param (ref $box) anyref))
  (global $out (export "out") (mut anyref) (ref.null any))
  (func $inner
    (local $mine (ref $box)) (local $n i32)
    (local.set $mine (struct.new $box (i32.const 20)))
    (loop $l
      (global.set $out (struct.new $box (local.get $n)))
      (if (ref.is_null (call $wait (local.get $mine))) (then unreachable))
      (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 2))))
    (throw $e (local.get $mine) (call $wait (struct.new $box (i32.const 300)))))
  (func $middle (call $call (ref.func $inner)) (unreachable))
  (elem declare func $inner $middle)
  (func (export "outer") (result i32)
    (local $mine (ref $box)) (local $passed anyref)
    (local.set $mine (struct.new $box (i32.const 1)))
    (block $h (result (ref $box) anyref)
      (try_table (catch $e $h) (call $call (ref.func $middle)))
      (unreachable))
    (local.set $passed)
    (struct.get $box $v)
    (i32.add (struct.get $box $v (ref.cast (ref $box) (local.get $passed))))
    (i32.add (struct.get $box $v (local.get $mine))))
  (func (export "sibling") (result i32)
    (local $n i32) (local $mine (ref $box))
    (local.set $mine (struct.new $box (i32.const 9)))
    (loop $l
      (drop (struct.new $box (local.get $n)))
      (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 20))))
    (struct.get $box $v (local.get $mine))))

(assert_return (invoke "outer") (i32.const 321))
(assert_return (invoke "sibling") (i32.const 9))
