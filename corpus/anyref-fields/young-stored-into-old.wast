;;! title = "a young object whose only reference is a field of an old object is freed or not moved with it"
;;! observe_state = true

(module
  (type $old (struct (field $a (mut anyref)) (field $b (mut (ref null $old))) (field $n (mut i32))))
  (type $young (struct (field $v i32) (field $more anyref)))
  (type $olds (array (mut anyref)))
  (type $bytes (array (mut i8)))
  (global $o (export "o") (mut (ref null $old)) (ref.null $old))
  (global $v (export "v") (mut (ref null $olds)) (ref.null $olds))

  (func $garbage (param $n i32)
    (loop $again
      (drop (struct.new $young (i32.const -1) (ref.null any)))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  ;; Makes the holders and lets them grow old.
  (func (export "age")
    (global.set $o (struct.new_default $old))
    (struct.set $old $b (global.get $o) (global.get $o))
    (global.set $v (array.new_default $olds (i32.const 40)))
    (call $garbage (i32.const 300))
    (call $garbage (i32.const 300)))

  (func (export "store") (param $x i32) (result i32)
    (struct.set $old $a (global.get $o)
      (struct.new $young (local.get $x) (struct.new $young (i32.mul (local.get $x) (i32.const 2)) (ref.null any))))
    (array.set $olds (global.get $v) (i32.and (local.get $x) (i32.const 31))
      (struct.new $young (i32.sub (local.get $x) (i32.const 1)) (global.get $o)))
    (call $garbage (i32.const 30))
    (i32.add (call $value (struct.get $old $a (global.get $o)))
      (i32.add
        (call $value (struct.get $young $more (ref.cast (ref $young) (struct.get $old $a (global.get $o)))))
        (call $value (array.get $olds (global.get $v) (i32.and (local.get $x) (i32.const 31)))))))

  (func $value (param $x anyref) (result i32) (struct.get $young $v (ref.cast (ref $young) (local.get $x))))

  ;; Fills, copies over itself, then reads each element.
  (func (export "bulk") (result i32)
    (local $i i32) (local $sum i32)
    (array.fill $olds (global.get $v) (i32.const 0) (struct.new $young (i32.const 3) (ref.null any)) (i32.const 40))
    (array.set $olds (global.get $v) (i32.const 39) (struct.new $young (i32.const 1000) (ref.null any)))
    (call $garbage (i32.const 30))
    (array.copy $olds $olds (global.get $v) (i32.const 10) (global.get $v) (i32.const 20) (i32.const 20))
    (array.set $olds (global.get $v) (i32.const 39) (ref.null any))
    (call $garbage (i32.const 30))
    (array.set $olds (global.get $v) (i32.const 39) (struct.new $young (i32.const 7) (ref.null any)))
    (call $garbage (i32.const 30))
    (loop $next
      (local.set $sum
        (i32.add (local.get $sum) (call $value (array.get $olds (global.get $v) (local.get $i)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 40))))
    (local.get $sum)))

(invoke "age")
(assert_return (invoke "store" (i32.const 5)) (i32.const 19))
(assert_return (invoke "store" (i32.const 6)) (i32.const 23))
(assert_return (invoke "store" (i32.const -7)) (i32.const -29))
(assert_return (invoke "bulk") (i32.const 1121))
(assert_return (invoke "store" (i32.const 100)) (i32.const 399))
