;; Binary trees: one long-lived tree, many short-lived ones; each is walked once and dropped.
;; (run depth) gives the number of nodes seen.
(module
  (type $node (struct (field $left (ref null $node)) (field $right (ref null $node))))
  (global $long (mut (ref null $node)) (ref.null $node))

  (func $make (param $depth i32) (result (ref $node))
    (if (result (ref $node)) (local.get $depth)
      (then
        (struct.new $node
          (call $make (i32.sub (local.get $depth) (i32.const 1)))
          (call $make (i32.sub (local.get $depth) (i32.const 1)))))
      (else (struct.new_default $node))))

  (func $count (param $node (ref null $node)) (result i32)
    (if (result i32) (ref.is_null (local.get $node))
      (then (i32.const 0))
      (else
        (i32.add (i32.const 1)
          (i32.add
            (call $count (struct.get $node $left (local.get $node)))
            (call $count (struct.get $node $right (local.get $node))))))))

  (func (export "run") (param $depth i32) (result i32)
    (local $at i32) (local $rounds i32) (local $seen i32)
    (global.set $long (call $make (local.get $depth)))
    (local.set $at (i32.const 4))
    (loop $depths
      (local.set $rounds (i32.shl (i32.const 1) (i32.sub (i32.add (local.get $depth) (i32.const 4)) (local.get $at))))
      (loop $round
        (local.set $seen (i32.add (local.get $seen) (call $count (call $make (local.get $at)))))
        (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
        (br_if $round (local.get $rounds)))
      (local.set $at (i32.add (local.get $at) (i32.const 2)))
      (br_if $depths (i32.le_u (local.get $at) (local.get $depth))))
    (i32.add (local.get $seen) (call $count (global.get $long)))))
