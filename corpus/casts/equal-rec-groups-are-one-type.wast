;;! title = "equal recursion groups of two modules are taken for different types, or unequal ones for the same"
;;! observe_state = true

(module $maker
  (rec
    (type $node (sub (struct (field $v i32) (field $kids (ref null $kids)))))
    (type $kids (array (mut (ref null $node)))))
  ;; A group of its own with the same structure as $node outside a group: a different type.
  (type $lone (sub (struct (field $v i32))))
  (func (export "node") (param $v i32) (result anyref) (struct.new $node (local.get $v) (ref.null $kids)))
  (func (export "kids") (result anyref) (array.new_default $kids (i32.const 2)))
  (func (export "lone") (result anyref) (struct.new $lone (i32.const 5)))
  (func (export "take") (param $x (ref null $node)) (result i32) (struct.get $node $v (local.get $x))))
(register "maker" $maker)

(module
  ;; The same group under other names, after an unrelated type.
  (type $unrelated (func (param f32) (result i64)))
  (rec
    (type $n (sub (struct (field i32) (field (ref null $k)))))
    (type $k (array (mut (ref null $n)))))
  ;; The two types in the other order: another group.
  (rec
    (type $k2 (array (mut (ref null $n2))))
    (type $n2 (sub (struct (field i32) (field (ref null $k2))))))
  ;; The group with one more member: another group.
  (rec
    (type $n3 (sub (struct (field i32) (field (ref null $k3)))))
    (type $k3 (array (mut (ref null $n3))))
    (type $extra (struct)))
  ;; Final instead of open, and a mutable field instead of an immutable one.
  (rec
    (type $n4 (sub final (struct (field i32) (field (ref null $k4)))))
    (type $k4 (array (mut (ref null $n4)))))
  (rec
    (type $n5 (sub (struct (field (mut i32)) (field (ref null $k5)))))
    (type $k5 (array (mut (ref null $n5)))))
  (type $lone (sub (struct (field i32))))
  (rec (type $lone-too (sub (struct (field i32)))))
  (rec (type $first (sub (struct (field i32)))) (type $second (sub (struct (field i32)))))
  (type $below (sub $n (struct (field i32) (field (ref null $k)) (field i64))))

  (import "maker" "node" (func $node (param i32) (result anyref)))
  (import "maker" "kids" (func $kids (result anyref)))
  (import "maker" "lone" (func $lone (result anyref)))
  (import "maker" "take" (func $take (param (ref null $n)) (result i32)))

  (func (export "node") (result i32)
    (local $x anyref)
    (local.set $x (call $node (i32.const 3)))
    (ref.test (ref $n) (local.get $x))
    (i32.shl (ref.test (ref $n2) (local.get $x)) (i32.const 1))
    (i32.shl (ref.test (ref $n3) (local.get $x)) (i32.const 2))
    (i32.shl (ref.test (ref $n4) (local.get $x)) (i32.const 3))
    (i32.shl (ref.test (ref $n5) (local.get $x)) (i32.const 4))
    (i32.shl (ref.test (ref $below) (local.get $x)) (i32.const 5))
    (i32.or) (i32.or) (i32.or) (i32.or) (i32.or))
  (func (export "kids") (result i32)
    (ref.test (ref $k) (call $kids))
    (i32.shl (ref.test (ref $k2) (call $kids)) (i32.const 1))
    (i32.shl (ref.test (ref $k3) (call $kids)) (i32.const 2))
    (i32.or) (i32.or))
  (func (export "lone") (result i32)
    (local $x anyref)
    (local.set $x (call $lone))
    (ref.test (ref $lone) (local.get $x))
    (i32.shl (ref.test (ref $lone-too) (local.get $x)) (i32.const 1))
    (i32.shl (ref.test (ref $first) (local.get $x)) (i32.const 2))
    (i32.shl (ref.test (ref $second) (local.get $x)) (i32.const 3))
    (i32.or) (i32.or) (i32.or))
  ;; An object made here is taken there, one of a subtype too.
  (func (export "there") (param $sub i32) (result i32)
    (call $take
      (if (result (ref $n)) (local.get $sub)
        (then (struct.new $below (i32.const 8) (ref.null $k) (i64.const 1)))
        (else (struct.new $n (i32.const 9) (array.new_default $k (i32.const 1)))))))
  (func (export "here") (result i32) (struct.get $n 0 (ref.cast (ref $n) (call $node (i32.const 6)))))
  (func (export "own") (result i32)
    (local $x anyref)
    (local.set $x (struct.new $second (i32.const 1)))
    (ref.test (ref $second) (local.get $x))
    (i32.shl (ref.test (ref $first) (local.get $x)) (i32.const 1))
    (i32.shl (ref.test (ref $lone) (local.get $x)) (i32.const 2))
    (i32.or) (i32.or))
  (func (export "show") (result anyref anyref) (call $node (i32.const 1)) (call $lone)))

(assert_return (invoke "node") (i32.const 1))
(assert_return (invoke "kids") (i32.const 1))
(assert_return (invoke "lone") (i32.const 3))
(assert_return (invoke "there" (i32.const 0)) (i32.const 9))
(assert_return (invoke "there" (i32.const 1)) (i32.const 8))
(assert_return (invoke "here") (i32.const 6))
(assert_return (invoke "own") (i32.const 1))
(assert_return (invoke "show") (ref.struct) (ref.struct))

(assert_unlinkable
  (module
    (rec
      (type $k (array (mut (ref null $n))))
      (type $n (sub (struct (field i32) (field (ref null $k))))))
    (import "maker" "take" (func (param (ref null $n)) (result i32))))
  "incompatible import type")
