;;! title = "a fiber goes on below a try_table whose frame a collection has updated, and its handler reads what the frame held before"
;;! fuel = 100000
;;! fibers = 2
;;! turns = ["resume 0 for 3", "collect", "resume 1", "resume 0 for 2", "collect", "resume 1", "resume 0 for 2", "collect"]
;;! observe_state = true

(module
  (import "assay" "wait" (func $wait (param anyref) (result anyref)))
  (import "assay" "gc" (func $gc))
  (type $box (struct (field $v (mut i32))))
  (tag $e (param (ref $box)))
  (global $shared (export "shared") (mut (ref null $box)) (ref.null $box))
  (func $deep (param $n i32) (param $mine (ref $box))
    (if (i32.eqz (local.get $n))
      (then
        (drop (call $wait (local.get $mine)))
        (throw $e (struct.new $box (i32.const 40)))))
    (call $deep (i32.sub (local.get $n) (i32.const 1)) (struct.new $box (local.get $n))))
  ;; The handler's frame holds one box in a local and one on the operand stack under the try_table.
  (func (export "catch") (result i32)
    (local $local (ref $box)) (local $caught (ref $box))
    (local.set $local (struct.new $box (i32.const 300)))
    (struct.new $box (i32.const 7000))
    (block $caught (result (ref $box))
      (try_table (catch $e $caught)
        (call $deep (i32.const 4) (local.get $local)))
      (unreachable))
    (local.set $caught)
    (struct.get $box $v)
    (i32.add (struct.get $box $v (local.get $local)))
    (i32.add (struct.get $box $v (local.get $caught))))
  (func (export "sibling") (result i32)
    (global.set $shared (struct.new $box (i32.const 1)))
    (call $gc)
    (drop (call $wait (global.get $shared)))
    (call $gc)
    (drop (call $wait (ref.i31 (i32.const 5))))
    (struct.get $box $v (global.get $shared))))

(assert_return (invoke "catch") (i32.const 7340))
(assert_return (invoke "sibling") (i32.const 1))
