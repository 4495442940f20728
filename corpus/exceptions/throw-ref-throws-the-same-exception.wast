;;! title = "throw_ref, or a handler that hands on, makes a copy: a change to an object in the payload is not seen"
;;! observe_state = true

(module
  (type $box (struct (field $v (mut i32))))
  (type $bytes (array (mut i8)))
  (tag $e (export "e") (param (ref $box)))
  (tag $other (param i32))
  (global $first (export "first") (mut exnref) (ref.null exn))
  (global $box (mut (ref null $box)) (ref.null $box))

  ;; Dead arrays until a small heap collects, and objects of the victim's size that take its place if it was freed.
  (func $collect
    (local $n i32)
    (local.set $n (i32.const 250))
    (loop $again
      (drop (struct.new $box (i32.const -1)))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func $throw
    (global.set $box (struct.new $box (i32.const 1)))
    (throw $e (ref.as_non_null (global.get $box))))

  ;; Each level catches it in another way, adds a digit to its box and throws it on.
  (func $one
    (block $other (result i32)
      (block $l (result (ref $box) exnref)
        (try_table (catch $other $other) (catch_ref $e $l) (call $throw))
        (return))
      (global.set $first)
      (drop)
      (call $add (i32.const 2))
      (throw_ref (global.get $first)))
    (drop))
  (func $two (local $x exnref)
    (block $l (result exnref)
      (try_table (catch_all_ref $l) (call $one))
      (return))
    (local.set $x)
    (call $collect)
    (call $add (i32.const 3))
    (throw_ref (local.get $x)))
  (func $three
    (block $l (result i32)
      (try_table (catch $other $l) (call $two))
      (return))
    (drop))

  (func $add (param $digit i32)
    (local $b (ref null $box))
    (local.set $b (global.get $box))
    (struct.set $box $v (local.get $b)
      (i32.add (i32.mul (struct.get $box $v (local.get $b)) (i32.const 10)) (local.get $digit))))

  (func (export "value") (result i32)
    (block $l (result (ref $box))
      (try_table (catch $e $l) (call $three))
      (return (i32.const -1)))
    (struct.get $box $v))
  (func (export "box is the same") (result i32)
    (block $l (result (ref $box))
      (try_table (catch $e $l) (call $three))
      (return (i32.const -1)))
    (ref.eq (global.get $box)))
  (func (export "kept") (result i32)
    (call $add (i32.const 4))
    (call $collect)
    (block $l (result (ref $box))
      (try_table (catch $e $l) (throw_ref (global.get $first)))
      (unreachable))
    (struct.get $box $v))
  (func (export "null") (throw_ref (ref.null exn)))
  (func (export "null in a try") (result i32)
    (block $l
      (try_table (catch_all $l) (throw_ref (ref.null exn))))
    (i32.const 1))
  (func (export "uncaught") (call $three)))

(assert_return (invoke "value") (i32.const 123))
(assert_return (invoke "box is the same") (i32.const 1))
(assert_return (invoke "kept") (i32.const 1234))
(assert_trap (invoke "null") "null exception reference")
(assert_trap (invoke "null in a try") "null exception reference")
(assert_exception (invoke "uncaught"))
(assert_return (invoke "kept") (i32.const 1234))
