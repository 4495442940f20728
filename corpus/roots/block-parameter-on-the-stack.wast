;;! title = "references that are parameters or results of block, loop and if, kept on the operand stack only, are not roots"
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

  (func (export "block") (param $c i32) (result i32)
    (block $out (result (ref $box))
      (call $box (i32.const 51))
      (br_if $out (local.get $c))
      (drop)
      (call $box (i32.const 52)))
    (call $collect)
    (call $read))
  (func (export "block parameter") (result i32)
    (call $box (i32.const 53))
    (block (param (ref $box)) (result i32)
      (call $collect)
      (call $read)))
  (func (export "if") (param $c i32) (result i32)
    (if (result anyref) (local.get $c) (then (call $box (i32.const 54))) (else (call $box (i32.const 55))))
    (call $collect)
    (call $read (ref.cast (ref null $box))))
  (func (export "if parameter") (param $c i32) (result i32)
    (call $box (i32.const 56))
    (if (param (ref $box)) (result i32) (local.get $c)
      (then (call $collect) (call $read))
      (else (call $collect) (i32.add (call $read) (i32.const 1)))))
  ;; The loop's parameter is a list that grows at each turn; a collection runs with it stacked.
  (func (export "loop parameter") (param $n i32) (result i32)
    (local $sum i32) (local $x anyref)
    (ref.null any)
    (loop $again (param anyref) (result anyref)
      (call $collect)
      (local.set $x)
      (struct.new $box (local.get $n) (local.get $x))
      (call $collect)
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.set $x)
    (block $end
      (loop $next
        (br_if $end (ref.is_null (local.get $x)))
        (local.set $sum
          (i32.add (i32.mul (local.get $sum) (i32.const 10)) (struct.get $box $v (ref.cast (ref $box) (local.get $x)))))
        (local.set $x (struct.get $box $more (ref.cast (ref $box) (local.get $x))))
        (br $next)))
    (local.get $sum))
  ;; br_table brings the value to one of three blocks.
  (func (export "br_table") (param $i i32) (result i32)
    (block $a (result (ref $box))
      (block $b (result (ref $box))
        (block $c (result (ref $box))
          (br_table $a $b $c (call $box (i32.const 57)) (local.get $i)))
        (call $collect)
        (return (i32.add (call $read) (i32.const 2))))
      (call $collect)
      (return (i32.add (call $read) (i32.const 1))))
    (call $collect)
    (call $read)))

(assert_return (invoke "block" (i32.const 0)) (i32.const 208))
(assert_return (invoke "block" (i32.const 1)) (i32.const 204))
(assert_return (invoke "block parameter") (i32.const 212))
(assert_return (invoke "if" (i32.const 0)) (i32.const 220))
(assert_return (invoke "if" (i32.const 1)) (i32.const 216))
(assert_return (invoke "if parameter" (i32.const 0)) (i32.const 225))
(assert_return (invoke "if parameter" (i32.const 1)) (i32.const 224))
(assert_return (invoke "loop parameter" (i32.const 5)) (i32.const 12345))
(assert_return (invoke "br_table" (i32.const 0)) (i32.const 228))
(assert_return (invoke "br_table" (i32.const 1)) (i32.const 229))
(assert_return (invoke "br_table" (i32.const 7)) (i32.const 230))
