;;! title = "a stack slot that held a reference is reused for an i32 and scanned as a reference"
;;! origin = "https://github.com/wasm-micro-runtime/wasm-micro-runtime/issues/5070"
;;! observe_state = true

(module
  (type $box (struct (field $v (mut i32)) (field $more (mut anyref))))
  (type $bytes (array (mut i8)))

  ;; Dead arrays until a small heap collects, and objects of the victim's size that take its place if it was freed.
  (func $collect
    (local $n i32)
    (local.set $n (i32.const 250))
    (loop $again
      (drop (struct.new $box (i32.const -1) (ref.null any)))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func $box (param $v i32) (result (ref $box))
    (struct.new $box (local.get $v) (struct.new $box (i32.mul (local.get $v) (i32.const 3)) (ref.null any))))

  ;; 4 * v of a box made by $box.
  (func $read (param $x (ref null $box)) (result i32)
    (i32.add (struct.get $box $v (local.get $x))
      (struct.get $box $v (ref.cast (ref $box) (struct.get $box $more (local.get $x))))))

  ;; References come and go on the operand stack; then integers, among them ones that look like addresses, take
  ;; their slots while a collection runs.
  (func (export "reuse") (param $n i32) (result i32)
    (local $sum i32)
    (loop $again
      (call $box (local.get $n))
      (call $box (i32.const 2))
      (drop)
      (call $read)
      (local.set $sum (i32.add (local.get $sum)))
      (i32.const 0x41414141)
      (i32.mul (local.get $n) (i32.const 0x01000193))
      (i32.add (local.get $n) (i32.const 8))
      (call $collect)
      (i32.xor)
      (i32.xor)
      (local.set $sum (i32.xor (local.get $sum)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))

  ;; The same slot: a reference, then an i64, then a reference, with a collection at each.
  (func (export "alternate") (result i32)
    (local $sum i64)
    (call $box (i32.const 5))
    (call $collect)
    (i64.extend_i32_s (call $read))
    (call $collect)
    (local.set $sum)
    (call $box (i32.const 6))
    (call $collect)
    (i64.extend_i32_s (call $read))
    (call $collect)
    (i32.wrap_i64 (i64.add (local.get $sum))))

  ;; A reference dies in one arm; an integer from the other arm arrives in the block's result.
  (func (export "merge") (param $c i32) (result i32)
    (block $end (result i32)
      (call $box (i32.const 9))
      (drop (br_if $end (i32.const 0x7ffffff0) (local.get $c)))
      (call $read))
    (call $collect)))

(assert_return (invoke "reuse" (i32.const 1)) (i32.const 0x404140df))
(assert_return (invoke "reuse" (i32.const 3)) (i32.const 0x414144b5))
(assert_return (invoke "alternate") (i32.const 44))
(assert_return (invoke "merge" (i32.const 0)) (i32.const 36))
(assert_return (invoke "merge" (i32.const 1)) (i32.const 0x7ffffff0))
