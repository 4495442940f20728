;;! title = "rings of objects become garbage again and again while one ring stays alive"
;;! observe_state = true

;; Under a collector that counts references without a cycle pass this needs about 5 MB.
(module
  (type $cell (struct (field $id (mut i32)) (field $next (mut (ref null $cell)))))
  (global $alive (export "alive") (mut (ref null $cell)) (ref.null $cell))

  ;; A ring of $n cells with ids $from, $from + 1, …
  (func $ring (param $from i32) (param $n i32) (result (ref $cell))
    (local $first (ref $cell)) (local $last (ref $cell)) (local $i i32)
    (local.set $first (struct.new $cell (local.get $from) (ref.null $cell)))
    (local.set $last (local.get $first))
    (local.set $i (i32.const 1))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $n)))
        (struct.set $cell $next (local.get $last)
          (struct.new $cell (i32.add (local.get $from) (local.get $i)) (ref.null $cell)))
        (local.set $last (ref.as_non_null (struct.get $cell $next (local.get $last))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (struct.set $cell $next (local.get $last) (local.get $first))
    (local.get $first))

  ;; Length and sum of ids.
  (func $walk (param $start (ref $cell)) (result i32 i32)
    (local $at (ref $cell)) (local $n i32) (local $sum i32)
    (local.set $at (local.get $start))
    (loop $next
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (local.set $sum (i32.add (local.get $sum) (struct.get $cell $id (local.get $at))))
      (local.set $at (ref.as_non_null (struct.get $cell $next (local.get $at))))
      (br_if $next (i32.eqz (ref.eq (local.get $at) (local.get $start)))))
    (local.get $n)
    (local.get $sum))

  (func (export "keep") (param $n i32)
    (global.set $alive (call $ring (i32.const 1000) (local.get $n))))

  (func (export "churn") (param $rings i32) (result i32)
    (local $sum i32)
    (loop $again
      (call $walk (call $ring (local.get $rings) (i32.const 16)))
      (i32.add (local.get $sum))
      (local.set $sum)
      (drop)
      (br_if $again (local.tee $rings (i32.sub (local.get $rings) (i32.const 1)))))
    (local.get $sum))

  (func (export "walk alive") (result i32 i32)
    (call $walk (ref.as_non_null (global.get $alive))))
  (func (export "self") (result i32 i32)
    (call $walk (call $ring (i32.const 5) (i32.const 1)))))

(invoke "keep" (i32.const 10))
(assert_return (invoke "walk alive") (i32.const 10) (i32.const 10045))
(assert_return (invoke "churn" (i32.const 500)) (i32.const 2064000))
(assert_return (invoke "walk alive") (i32.const 10) (i32.const 10045))
(assert_return (invoke "self") (i32.const 1) (i32.const 5))
(invoke "keep" (i32.const 3))
(assert_return (invoke "churn" (i32.const 100)) (i32.const 92800))
(assert_return (invoke "walk alive") (i32.const 3) (i32.const 3003))
