;;! title = "a moved object has its v128 fields where its references were, or the other way round"
;;! observe_state = true

(module
  (type $vectors (array (mut v128)))
  (type $node (sub (struct
    (field $tag (mut i8)) (field $a (mut v128)) (field $next (mut (ref null $node))) (field $b (mut v128))
    (field $any (mut anyref)) (field $half i16) (field $c v128))))
  (type $wide (sub $node (struct
    (field (mut i8)) (field (mut v128)) (field (mut (ref null $node))) (field (mut v128))
    (field (mut anyref)) (field i16) (field v128) (field $more (ref $vectors)) (field $d (mut v128)))))
  (global $list (export "list") (mut (ref null $node)) (ref.null $node))

  (func $of (param $i i32) (result v128)
    (i32x4.add (v128.const i32x4 0x1000 0x2001 0x30000000 0x4fffffff) (i32x4.splat (local.get $i))))
  (func (export "fill") (param $n i32)
    (loop $l
      (global.set $list (struct.new $wide
        (local.get $n) (call $of (local.get $n)) (global.get $list) (v128.not (call $of (local.get $n)))
        (ref.i31 (local.get $n)) (local.get $n) (i64x2.neg (call $of (local.get $n)))
        (array.new $vectors (call $of (local.get $n)) (i32.const 3)) (i16x8.neg (call $of (local.get $n)))))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  ;; The fields of node `at`, read after more objects were made.
  (func $node (param $at i32) (result (ref $wide)) (local $n (ref null $node))
    (local.set $n (global.get $list))
    (block $found
      (loop $l
        (br_if $found (i32.eqz (local.get $at)))
        (local.set $n (struct.get $node $next (local.get $n)))
        (local.set $at (i32.sub (local.get $at) (i32.const 1)))
        (br $l)))
    (ref.cast (ref $wide) (local.get $n)))
  (func (export "read") (param $at i32) (result i32 v128 v128 v128 v128 v128) (local $n (ref $wide))
    (local.set $n (call $node (local.get $at)))
    (drop (struct.new_default $node))
    (struct.get_u $node $tag (local.get $n))
    (struct.get $node $a (local.get $n))
    (struct.get $node $b (local.get $n))
    (struct.get $node $c (local.get $n))
    (struct.get $wide $d (local.get $n))
    (array.get $vectors (struct.get $wide $more (local.get $n)) (i32.const 2)))
  (func (export "write") (param $at i32) (param $v v128) (local $n (ref $wide))
    (local.set $n (call $node (local.get $at)))
    (struct.set $node $a (local.get $n) (f32x4.neg (local.get $v)))
    (struct.set $node $any (local.get $n) (struct.new_default $node))
    (struct.set $node $b (local.get $n) (struct.get $node $c (local.get $n)))
    (array.set $vectors (struct.get $wide $more (local.get $n)) (i32.const 2) (local.get $v))))

(invoke "fill" (i32.const 20))
(assert_return (invoke "read" (i32.const 0)) (i32.const 1)
  (v128.const i32x4 0x1001 0x2002 0x30000001 0x50000000)
  (v128.const i32x4 0xffffeffe 0xffffdffd 0xcffffffe 0xafffffff)
  (v128.const i32x4 0xffffefff 0xffffdffd 0xcfffffff 0xafffffff)
  (v128.const i16x8 0xefff 0 0xdffe 0 0xffff 0xd000 0 0xb000)
  (v128.const i32x4 0x1001 0x2002 0x30000001 0x50000000))
(assert_return (invoke "write" (i32.const 7) (v128.const i32x4 1 0x80000002 3 0x80000004)))
(assert_return (invoke "read" (i32.const 7)) (i32.const 8)
  (v128.const i32x4 0x80000001 2 0x80000003 4)
  (v128.const i32x4 0xffffeff8 0xffffdff6 0xcffffff8 0xaffffff8)
  (v128.const i32x4 0xffffeff8 0xffffdff6 0xcffffff8 0xaffffff8)
  (v128.const i16x8 0xeff8 0 0xdff7 0 0xfff8 0xd000 0xfff9 0xb000)
  (v128.const i32x4 1 0x80000002 3 0x80000004))
(assert_trap (invoke "read" (i32.const 20)) "cast failure")
