;;! title = "a knot of structs and arrays over anyref fields keeps its identities across collections"
;;! observe_state = true

(module
  (type $node (struct (field $tag i32) (field $left (mut anyref)) (field $right (mut anyref))))
  (type $anys (array (mut anyref)))
  (type $bytes (array (mut i8)))
  (global $root (export "root") (mut anyref) (ref.null any))

  (func $garbage
    (local $n i32)
    (local.set $n (i32.const 300))
    (loop $again
      (drop (struct.new $node (i32.const -1) (ref.null any) (ref.null any)))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  ;; a.left = b, a.right = array[a, b, array itself, i31]; b.left = a, b.right = b.
  (func (export "tie")
    (local $a (ref $node)) (local $b (ref $node)) (local $v (ref $anys))
    (local.set $a (struct.new $node (i32.const 1) (ref.null any) (ref.null any)))
    (local.set $b (struct.new $node (i32.const 2) (local.get $a) (ref.null any)))
    (local.set $v (array.new_default $anys (i32.const 4)))
    (struct.set $node $left (local.get $a) (local.get $b))
    (struct.set $node $right (local.get $a) (local.get $v))
    (struct.set $node $right (local.get $b) (local.get $b))
    (array.set $anys (local.get $v) (i32.const 0) (local.get $a))
    (array.set $anys (local.get $v) (i32.const 1) (local.get $b))
    (array.set $anys (local.get $v) (i32.const 2) (local.get $v))
    (array.set $anys (local.get $v) (i32.const 3) (ref.i31 (i32.const -9)))
    (global.set $root (local.get $a)))

  (func $node (param $x anyref) (result (ref $node)) (ref.cast (ref $node) (local.get $x)))
  (func $same (param $x anyref) (param $y anyref) (result i32)
    (ref.eq (ref.cast eqref (local.get $x)) (ref.cast eqref (local.get $y))))

  ;; Each identity is one bit.
  (func (export "identities") (result i32)
    (local $a (ref $node)) (local $b (ref $node)) (local $v (ref $anys))
    (call $garbage)
    (local.set $a (call $node (global.get $root)))
    (local.set $b (call $node (struct.get $node $left (local.get $a))))
    (local.set $v (ref.cast (ref $anys) (struct.get $node $right (local.get $a))))
    (call $same (struct.get $node $left (local.get $b)) (local.get $a))
    (i32.shl (call $same (struct.get $node $right (local.get $b)) (local.get $b)) (i32.const 1))
    (i32.shl (call $same (array.get $anys (local.get $v) (i32.const 0)) (local.get $a)) (i32.const 2))
    (i32.shl (call $same (array.get $anys (local.get $v) (i32.const 1)) (local.get $b)) (i32.const 3))
    (i32.shl (call $same (array.get $anys (local.get $v) (i32.const 2)) (local.get $v)) (i32.const 4))
    (i32.shl (i32.eqz (call $same (local.get $a) (local.get $b))) (i32.const 5))
    (i32.or (i32.or (i32.or (i32.or (i32.or))))))

  (func (export "tags") (result i32 i32 i32)
    (local $a (ref $node))
    (local.set $a (call $node (global.get $root)))
    (struct.get $node $tag (local.get $a))
    (struct.get $node $tag (call $node (struct.get $node $left (local.get $a))))
    (i31.get_s
      (ref.cast i31ref
        (array.get $anys (ref.cast (ref $anys) (struct.get $node $right (local.get $a))) (i32.const 3)))))

  ;; Takes a out of the knot: only b, which refers to itself and to a, stays.
  (func (export "turn")
    (global.set $root (struct.get $node $left (call $node (global.get $root)))))

  (func (export "show") (result anyref) (global.get $root)))

(invoke "tie")
(assert_return (invoke "identities") (i32.const 0x3f))
(assert_return (invoke "tags") (i32.const 1) (i32.const 2) (i32.const -9))
(assert_return (invoke "show") (ref.struct))
(assert_return (invoke "identities") (i32.const 0x3f))
(invoke "turn")
(assert_return (invoke "show") (ref.struct))
(invoke "tie")
(assert_return (invoke "identities") (i32.const 0x3f))
