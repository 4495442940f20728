;;! title = "references that br_on_null, br_on_non_null, br_on_cast and br_on_cast_fail carry or leave are not roots"
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

  (func (export "br_on_null") (param $c i32) (result i32)
    (block $null
      (br_on_null $null (if (result (ref null $box)) (local.get $c) (then (call $box (i32.const 61))) (else (ref.null $box))))
      (call $collect)
      (return (call $read)))
    (i32.const -1))
  (func (export "br_on_non_null") (param $c i32) (result i32)
    (block $there (result (ref $box))
      (br_on_non_null $there (if (result (ref null $box)) (local.get $c) (then (call $box (i32.const 62))) (else (ref.null $box))))
      (return (i32.const -1)))
    (call $collect)
    (call $read))
  (func $any (param $c i32) (result anyref)
    (if (result anyref) (local.get $c) (then (call $box (i32.const 63))) (else (array.new $bytes (i32.const 64) (i32.const 9)))))
  (func (export "br_on_cast") (param $c i32) (result i32)
    (block $is (result (ref $box))
      (br_on_cast $is anyref (ref $box) (call $any (local.get $c)))
      (call $collect)
      (return (array.get_u $bytes (ref.cast (ref $bytes)) (i32.const 8))))
    (call $collect)
    (call $read))
  (func (export "br_on_cast_fail") (param $c i32) (result i32)
    (block $not (result anyref)
      (br_on_cast_fail $not anyref (ref $box) (call $any (local.get $c)))
      (call $collect)
      (return (call $read)))
    (call $collect)
    (array.get_u $bytes (ref.cast (ref $bytes)) (i32.const 8)))
  ;; A second reference lies below the one that decides.
  (func (export "below") (param $c i32) (result i32)
    (local $x (ref null $box)) (local $y anyref)
    (block $is (result (ref $box) (ref $box))
      (call $box (i32.const 65))
      (call $any (local.get $c))
      (br_on_cast $is anyref (ref $box))
      (call $collect)
      (local.set $y)
      (return (call $read)))
    (call $collect)
    (local.set $x)
    (i32.add (call $read) (call $read (local.get $x)))))

(assert_return (invoke "br_on_null" (i32.const 1)) (i32.const 244))
(assert_return (invoke "br_on_null" (i32.const 0)) (i32.const -1))
(assert_return (invoke "br_on_non_null" (i32.const 1)) (i32.const 248))
(assert_return (invoke "br_on_non_null" (i32.const 0)) (i32.const -1))
(assert_return (invoke "br_on_cast" (i32.const 1)) (i32.const 252))
(assert_return (invoke "br_on_cast" (i32.const 0)) (i32.const 64))
(assert_return (invoke "br_on_cast_fail" (i32.const 1)) (i32.const 252))
(assert_return (invoke "br_on_cast_fail" (i32.const 0)) (i32.const 64))
(assert_return (invoke "below" (i32.const 1)) (i32.const 512))
(assert_return (invoke "below" (i32.const 0)) (i32.const 260))
