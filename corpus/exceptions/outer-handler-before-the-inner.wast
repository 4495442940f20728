;;! title = "of nested handlers for one tag, an outer one, a later clause, or one whose block is over is taken"
;;! observe_state = true

(module
  (type $box (struct (field $v (mut i32))))
  (tag $e (param (ref $box)))
  (tag $f)

  (func $throw (param i32) (throw $e (struct.new $box (local.get 0))))
  (func $put (param $b (ref $box)) (param $digit i32) (result (ref $box))
    (struct.set $box $v (local.get $b)
      (i32.add (i32.mul (struct.get $box $v (local.get $b)) (i32.const 10)) (local.get $digit)))
    (local.get $b))

  ;; The inner one first; what it throws on goes to the outer one.
  (func (export "inner then outer") (param i32) (result i32)
    (block $outer (result (ref $box))
      (try_table (catch $e $outer)
        (block $inner (result (ref $box))
          (try_table (catch $e $inner) (call $throw (local.get 0)))
          (unreachable))
        (throw $e (call $put (i32.const 1))))
      (unreachable))
    (struct.get $box $v (call $put (i32.const 2))))

  ;; The clauses of one handler in their order, catch_all among them.
  (func (export "first clause") (param i32) (result i32)
    (block $all
      (block $second (result (ref $box))
        (block $first (result (ref $box))
          (try_table (catch $f $all) (catch $e $first) (catch $e $second) (catch_all $all)
            (call $throw (local.get 0)))
          (unreachable))
        (return (struct.get $box $v (call $put (i32.const 1)))))
      (return (struct.get $box $v (call $put (i32.const 2)))))
    (i32.const -1))
  (func (export "catch_all first") (param i32) (result i32)
    (block $all
      (block $first (result (ref $box))
        (try_table (catch_all $all) (catch $e $first) (call $throw (local.get 0)))
        (unreachable))
      (return (struct.get $box $v)))
    (i32.const 3))

  ;; The inner block is over, was left by a branch, or is not the right tag's.
  (func (export "after the inner") (param i32) (result i32)
    (block $outer (result (ref $box))
      (try_table (catch $e $outer)
        (block $inner (result (ref $box))
          (try_table (catch $e $inner) (nop))
          (block $left (try_table (catch $e $inner) (br $left)))
          (block $never (try_table (catch $f $never) (call $throw (local.get 0))))
          (unreachable))
        (drop) (return (i32.const -2)))
      (unreachable))
    (struct.get $box $v (call $put (i32.const 4))))

  ;; The label of a clause is a loop around it: each round is one exception.
  (func (export "loop") (param $n i32) (result i32)
    (local $r i32)
    (struct.new $box (i32.const 0))
    (loop $l (param (ref $box)) (result i32)
      (local.set $r (struct.get $box $v (call $put (i32.const 7))))
      (if (i32.eqz (local.tee $n (i32.sub (local.get $n) (i32.const 1)))) (then (return (local.get $r))))
      (try_table (result i32) (catch $e $l)
        (call $throw (local.get $n))
        (i32.const -3)))))

(assert_return (invoke "inner then outer" (i32.const 5)) (i32.const 512))
(assert_return (invoke "first clause" (i32.const 6)) (i32.const 61))
(assert_return (invoke "catch_all first" (i32.const 6)) (i32.const 3))
(assert_return (invoke "after the inner" (i32.const 8)) (i32.const 84))
(assert_return (invoke "loop" (i32.const 3)) (i32.const 17))
