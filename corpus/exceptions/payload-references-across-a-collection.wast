;;! title = "references in the payload of an exception are lost when a collection happens before, in or after its handler"
;;! observe_state = true

(module
  (type $box (struct (field $v (mut i32))))
  (type $bytes (array (mut i8)))
  (tag $e (param i32 (ref $box) anyref externref i64 (ref null $box)))
  (global $kept (export "kept") (mut exnref) (ref.null exn))
  (table $t (export "t") 2 exnref)

  ;; Dead arrays until a small heap collects, and objects of the victim's size that take its place if it was freed.
  (func $collect
    (local $n i32)
    (local.set $n (i32.const 250))
    (loop $again
      (drop (struct.new $box (i32.const -1)))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  ;; An operand of the throw lies on the stack while those after it are made.
  (func $throw (param $v i32) (param $host externref)
    (throw $e
      (local.get $v)
      (struct.new $box (local.get $v))
      (block (result anyref) (call $collect) (struct.new $box (i32.add (local.get $v) (i32.const 1))))
      (local.get $host)
      (i64.const 0x7ff50b1e00000001)
      (block (result (ref null $box)) (call $collect) (ref.null $box))))

  (func $sum (param i32 (ref $box) anyref externref i64 (ref null $box)) (result i32)
    (if (i32.eqz (ref.is_null (local.get 5))) (then (return (i32.const -5))))
    (if (i64.ne (local.get 4) (i64.const 0x7ff50b1e00000001)) (then (return (i32.const -4))))
    (if (ref.is_null (local.get 3)) (then (return (i32.const -3))))
    (i32.add
      (i32.mul (local.get 0) (i32.const 100))
      (i32.add (struct.get $box $v (local.get 1))
        (struct.get $box $v (ref.cast (ref $box) (local.get 2))))))

  (func (export "operand stack") (param $v i32) (param $host externref) (result i32)
    (block $l (result i32 (ref $box) anyref externref i64 (ref null $box))
      (try_table (catch $e $l) (call $throw (local.get $v) (local.get $host)))
      (unreachable))
    (call $collect)
    (call $sum))

  ;; The exception alone holds them, in a local, a global, a table.
  (func $caught (param $v i32) (param $host externref) (result exnref)
    (block $l (result exnref)
      (try_table (catch_all_ref $l) (call $throw (local.get $v) (local.get $host)))
      (unreachable)))
  (func $open (param $x exnref) (result i32)
    (block $l (result i32 (ref $box) anyref externref i64 (ref null $box))
      (try_table (catch $e $l) (throw_ref (local.get $x)))
      (unreachable))
    (call $sum))
  (func (export "local") (param $v i32) (param $host externref) (result i32)
    (local $x exnref)
    (local.set $x (call $caught (local.get $v) (local.get $host)))
    (call $collect)
    (call $open (local.get $x)))
  (func (export "global and table") (param $v i32) (param $host externref) (result i32)
    (global.set $kept (call $caught (local.get $v) (local.get $host)))
    (table.set $t (i32.const 1) (call $caught (i32.add (local.get $v) (i32.const 1)) (local.get $host)))
    (call $collect)
    (i32.sub (call $open (table.get $t (i32.const 1))) (call $open (global.get $kept))))

  ;; A reference of the frame that catches, alive across the call that throws and collects.
  (func (export "frame") (param $v i32) (param $host externref) (result i32)
    (local $mine (ref null $box))
    (local.set $mine (struct.new $box (i32.const 7)))
    (struct.new $box (i32.const 11))
    (block $l
      (try_table (catch_all $l) (call $throw (local.get $v) (local.get $host)))
      (unreachable))
    (call $collect)
    (i32.mul (struct.get $box $v) (struct.get $box $v (local.get $mine))))

  (func (export "again") (result i32) (call $collect) (call $open (global.get $kept))))

(assert_return (invoke "operand stack" (i32.const 3) (ref.extern 1)) (i32.const 307))
(assert_return (invoke "local" (i32.const 4) (ref.extern 2)) (i32.const 409))
(assert_return (invoke "global and table" (i32.const 5) (ref.extern 3)) (i32.const 102))
(assert_return (invoke "frame" (i32.const 6) (ref.extern 4)) (i32.const 77))
(assert_return (invoke "again") (i32.const 511))
