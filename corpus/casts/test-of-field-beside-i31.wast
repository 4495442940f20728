;;! title = "ref.test of a struct that sits in a field beside an i31 says 0"
;;! origin = "https://github.com/bytecodealliance/wasmtime/issues/10171"
;;! observe_state = true

;; Wrong on each collector alike: comparing collectors with each other does not show it.
(module
  (type $apply (struct (field $fun anyref) (field $arg anyref)))
  (type $comb (struct (field $id i32)))
  (type $other (struct (field $id i64)))

  (func $test (param $x anyref) (result i32)
    (i32.or
      (i32.or
        (ref.test (ref $comb) (local.get $x))
        (i32.shl (ref.test (ref null $apply) (local.get $x)) (i32.const 1)))
      (i32.or
        (i32.shl (ref.test (ref i31) (local.get $x)) (i32.const 2))
        (i32.shl (ref.test (ref null $other) (local.get $x)) (i32.const 3)))))

  (func $left (param $x (ref null $apply)) (result anyref) (struct.get $apply $fun (local.get $x)))
  (func $right (param $x (ref null $apply)) (result anyref) (struct.get $apply $arg (local.get $x)))

  (func $graph (result (ref $apply))
    (struct.new $apply
      (struct.new $apply (struct.new $comb (i32.const 3)) (struct.new $comb (i32.const 4)))
      (ref.i31 (i32.const 2))))

  ;; Inline, so that an optimiser sees load, cast, load, test in one block.
  (func (export "left of left") (result i32)
    (ref.test (ref null $comb)
      (struct.get $apply $fun (ref.cast (ref null $apply) (struct.get $apply $fun (call $graph))))))
  (func (export "right of left") (result i32)
    (ref.test (ref null $comb)
      (struct.get $apply $arg (ref.cast (ref null $apply) (struct.get $apply $fun (call $graph))))))
  (func (export "not other") (result i32)
    (ref.test (ref null $other)
      (struct.get $apply $arg (ref.cast (ref null $apply) (struct.get $apply $fun (call $graph))))))
  (func (export "right") (result i32)
    (ref.test (ref null $comb) (struct.get $apply $arg (call $graph))))

  ;; Both fields of each of the four arrangements of an i31 and an object.
  (func (export "fields") (param $i31-left i32) (param $i31-right i32) (result i32 i32)
    (local $x (ref $apply))
    (local.set $x
      (struct.new $apply
        (if (result anyref) (local.get $i31-left)
          (then (ref.i31 (i32.const 2))) (else (struct.new $comb (i32.const 5))))
        (if (result anyref) (local.get $i31-right)
          (then (ref.i31 (i32.const -2))) (else (struct.new $comb (i32.const 6))))))
    (call $test (call $left (local.get $x)))
    (call $test (call $right (local.get $x)))))

(assert_return (invoke "left of left") (i32.const 1))
(assert_return (invoke "right of left") (i32.const 1))
(assert_return (invoke "not other") (i32.const 0))
(assert_return (invoke "right") (i32.const 0))
(assert_return (invoke "fields" (i32.const 0) (i32.const 0)) (i32.const 1) (i32.const 1))
(assert_return (invoke "fields" (i32.const 0) (i32.const 1)) (i32.const 1) (i32.const 4))
(assert_return (invoke "fields" (i32.const 1) (i32.const 0)) (i32.const 4) (i32.const 1))
(assert_return (invoke "fields" (i32.const 1) (i32.const 1)) (i32.const 4) (i32.const 4))
