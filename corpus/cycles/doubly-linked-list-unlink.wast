;;! title = "unlinking from a doubly linked list frees a neighbour that is still linked"
;;! observe_state = true

(module
  (type $node (struct (field $key i32) (field $prev (mut (ref null $node))) (field $next (mut (ref null $node)))))
  (type $bytes (array (mut i8)))
  (global $head (export "head") (mut (ref null $node)) (ref.null $node))

  (func $garbage
    (local $n i32)
    (local.set $n (i32.const 200))
    (loop $again
      (drop (struct.new $node (i32.const -1) (ref.null $node) (ref.null $node)))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func $push (param $key i32)
    (local $old (ref null $node))
    (local.set $old (global.get $head))
    (global.set $head (struct.new $node (local.get $key) (ref.null $node) (local.get $old)))
    (if (i32.eqz (ref.is_null (local.get $old)))
      (then (struct.set $node $prev (local.get $old) (global.get $head)))))

  (func (export "fill") (param $n i32)
    (global.set $head (ref.null $node))
    (loop $again
      (call $push (local.get $n))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func $find (param $key i32) (result (ref null $node))
    (local $at (ref null $node))
    (local.set $at (global.get $head))
    (block $end
      (loop $next
        (br_if $end (ref.is_null (local.get $at)))
        (br_if $end (i32.eq (struct.get $node $key (local.get $at)) (local.get $key)))
        (local.set $at (struct.get $node $next (local.get $at)))
        (br $next)))
    (local.get $at))

  ;; Takes the node with this key out; the node itself keeps its links.
  (func $unlink (param $key i32) (result (ref null $node))
    (local $x (ref null $node)) (local $p (ref null $node)) (local $n (ref null $node))
    (local.set $x (call $find (local.get $key)))
    (local.set $p (struct.get $node $prev (local.get $x)))
    (local.set $n (struct.get $node $next (local.get $x)))
    (if (ref.is_null (local.get $p))
      (then (global.set $head (local.get $n)))
      (else (struct.set $node $next (local.get $p) (local.get $n))))
    (if (i32.eqz (ref.is_null (local.get $n)))
      (then (struct.set $node $prev (local.get $n) (local.get $p))))
    (local.get $x))

  ;; The unlinked node lies on the operand stack only, its neighbours are read through it.
  (func (export "neighbours of unlinked") (param $key i32) (result i32)
    (local $x (ref null $node))
    (call $unlink (local.get $key))
    (call $garbage)
    (local.set $x)
    (i32.add
      (i32.mul (struct.get $node $key (struct.get $node $prev (local.get $x))) (i32.const 100))
      (struct.get $node $key (struct.get $node $next (local.get $x)))))

  (func (export "drop key") (param $key i32)
    (drop (call $unlink (local.get $key)))
    (call $garbage))

  ;; Sum of key * position forwards plus, from the last node, the number of steps back.
  (func (export "walk") (result i32 i32)
    (local $at (ref null $node)) (local $last (ref null $node)) (local $i i32) (local $sum i32) (local $back i32)
    (local.set $at (global.get $head))
    (block $end
      (loop $next
        (br_if $end (ref.is_null (local.get $at)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (local.set $sum (i32.add (local.get $sum) (i32.mul (local.get $i) (struct.get $node $key (local.get $at)))))
        (local.set $last (local.get $at))
        (local.set $at (struct.get $node $next (local.get $at)))
        (br $next)))
    (block $end
      (loop $next
        (br_if $end (ref.is_null (local.get $last)))
        (local.set $back (i32.add (local.get $back) (i32.const 1)))
        (local.set $last (struct.get $node $prev (local.get $last)))
        (br $next)))
    (local.get $sum)
    (local.get $back)))

(invoke "fill" (i32.const 10))
(assert_return (invoke "walk") (i32.const 385) (i32.const 10))
(assert_return (invoke "neighbours of unlinked" (i32.const 5)) (i32.const 406))
(assert_return (invoke "walk") (i32.const 320) (i32.const 9))
(invoke "drop key" (i32.const 1))
(invoke "drop key" (i32.const 10))
(invoke "drop key" (i32.const 6))
(assert_return (invoke "walk") (i32.const 142) (i32.const 6))
(assert_return (invoke "neighbours of unlinked" (i32.const 7)) (i32.const 408))
