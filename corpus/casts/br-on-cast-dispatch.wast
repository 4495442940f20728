;;! title = "a chain of br_on_cast and br_on_cast_fail dispatches a value to the wrong arm or loses it"
;;! observe_state = true

(module
  (type $num (sub (struct (field $v i32))))
  (type $big (sub final $num (struct (field $v i32) (field $hi i64))))
  (type $add (struct (field $l anyref) (field $r anyref)))
  (type $list (array anyref))
  (type $bytes (array (mut i8)))

  (func $garbage
    (local $n i32)
    (local.set $n (i32.const 20))
    (loop $again
      (drop (struct.new $num (i32.const -1)))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  ;; Adds up an expression of numbers, i31, sums, lists and nulls, with a collection while the branch's operand is stacked.
  (func $eval (param $x anyref) (result i64)
    (local $i i32) (local $sum i64)
    (block $null
      (block $i31 (result (ref i31))
        (block $big (result (ref $big))
          (block $num (result (ref $num))
            (block $add (result (ref $add))
              (block $list (result (ref $list))
                (local.get $x)
                (br_on_null $null)
                (br_on_cast $i31 (ref any) (ref i31))
                (br_on_cast $big (ref any) (ref $big))
                (br_on_cast $num (ref any) (ref $num))
                (br_on_cast $add (ref any) (ref $add))
                (br_on_cast $list (ref any) (ref $list))
                (drop)
                (return (i64.const -1000000)))
              (call $garbage)
              (local.set $x)
              (block $end
                (loop $next
                  (br_if $end (i32.ge_u (local.get $i) (array.len (ref.cast (ref $list) (local.get $x)))))
                  (local.set $sum
                    (i64.add (local.get $sum)
                      (call $eval (array.get $list (ref.cast (ref $list) (local.get $x)) (local.get $i)))))
                  (local.set $i (i32.add (local.get $i) (i32.const 1)))
                  (br $next)))
              (return (local.get $sum)))
            (call $garbage)
            (local.set $x)
            (return
              (i64.add
                (call $eval (struct.get $add $l (ref.cast (ref $add) (local.get $x))))
                (call $eval (struct.get $add $r (ref.cast (ref $add) (local.get $x)))))))
          (call $garbage)
          (struct.get $num $v)
          (return (i64.extend_i32_s)))
        (call $garbage)
        (struct.get $big $hi)
        (return))
      (return (i64.extend_i32_s (i31.get_s))))
    (i64.const 0))

  (func (export "sum") (param $h externref) (result i64)
    (call $eval
      (struct.new $add
        (struct.new $add (struct.new $num (i32.const 1)) (struct.new $big (i32.const 7) (i64.const 20)))
        (array.new_fixed $list 5 (ref.null any) (ref.i31 (i32.const 300)) (struct.new $num (i32.const 4000))
          (array.new_fixed $list 0) (any.convert_extern (local.get $h))))))

  ;; The failing branch takes what is not a number; the value is unchanged.
  (func (export "fail") (param $k i32) (result i32)
    (local $x anyref)
    (local.set $x
      (if (result anyref) (local.get $k)
        (then (struct.new $big (i32.const 5) (i64.const 6))) (else (ref.i31 (i32.const -3)))))
    (block $not (result anyref)
      (br_on_cast_fail $not anyref (ref $num) (local.get $x))
      (call $garbage)
      (return (struct.get $num $v)))
    (call $garbage)
    (i31.get_s (ref.cast (ref i31))))

  ;; A cast to a nullable type takes null along, one to a non-nullable does not.
  (func (export "null to nullable") (result i32)
    (block $is (result (ref null $num))
      (br_on_cast $is anyref (ref null $num) (ref.null any))
      (drop)
      (return (i32.const 0)))
    (drop)
    (i32.const 1))
  (func (export "null to non-null") (result i32)
    (block $is (result (ref $num))
      (br_on_cast $is anyref (ref $num) (ref.null any))
      (drop)
      (return (i32.const 0)))
    (drop)
    (i32.const 1))
  (func (export "null fails nullable") (result i32)
    (block $not (result (ref any))
      (br_on_cast_fail $not anyref (ref null $num) (ref.null any))
      (drop)
      (return (i32.const 1)))
    (drop)
    (i32.const 0)))

(assert_return (invoke "sum" (ref.extern 1)) (i64.const -995679))
(assert_return (invoke "sum" (ref.null extern)) (i64.const 4321))
(assert_return (invoke "fail" (i32.const 1)) (i32.const 5))
(assert_return (invoke "fail" (i32.const 0)) (i32.const -3))
(assert_return (invoke "null to nullable") (i32.const 1))
(assert_return (invoke "null to non-null") (i32.const 0))
(assert_return (invoke "null fails nullable") (i32.const 1))
