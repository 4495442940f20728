;;! title = "a list of 200 cells, straight and with its end tied to its middle, as collections meet it after each cell"
;;! observe_state = false

;; The same program with 10,000 cells is `deep-list`, which collects less often.
(module
  (type $cell (struct (field $value i32) (field $next (mut (ref null $cell)))))
  (type $bytes (array (mut i8)))
  (global $head (mut (ref null $cell)) (ref.null $cell))

  (func $garbage
    (local $n i32)
    (local.set $n (i32.const 100))
    (loop $again
      (drop (struct.new $cell (i32.const -1) (ref.null $cell)))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 2000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func (export "build") (param $n i32)
    (local $head (ref null $cell))
    (loop $again
      (local.set $head (struct.new $cell (local.get $n) (local.get $head)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (global.set $head (local.get $head)))

  (func (export "sum") (result i32)
    (local $at (ref null $cell)) (local $sum i32)
    (call $garbage)
    (local.set $at (global.get $head))
    (block $end
      (loop $next
        (br_if $end (ref.is_null (local.get $at)))
        (local.set $sum (i32.add (local.get $sum) (struct.get $cell $value (local.get $at))))
        (local.set $at (struct.get $cell $next (local.get $at)))
        (br $next)))
    (local.get $sum))

  ;; The cell that is $n steps from the head.
  (func $at (param $n i32) (result (ref null $cell))
    (local $at (ref null $cell))
    (local.set $at (global.get $head))
    (loop $next
      (if (local.get $n)
        (then
          (local.set $at (struct.get $cell $next (local.get $at)))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br $next))))
    (local.get $at))

  (func (export "tie") (param $end i32) (param $to i32)
    (struct.set $cell $next (call $at (local.get $end)) (call $at (local.get $to))))

  (func (export "value at") (param $n i32) (result i32)
    (call $garbage)
    (struct.get $cell $value (call $at (local.get $n))))

  (func (export "drop") (global.set $head (ref.null $cell)) (call $garbage)))

(invoke "build" (i32.const 200))
(assert_return (invoke "sum") (i32.const 20100))
(invoke "tie" (i32.const 199) (i32.const 100))
(assert_return (invoke "value at" (i32.const 199)) (i32.const 200))
(assert_return (invoke "value at" (i32.const 200)) (i32.const 101))
(assert_return (invoke "value at" (i32.const 499)) (i32.const 200))
(invoke "drop")
(assert_return (invoke "sum") (i32.const 0))
