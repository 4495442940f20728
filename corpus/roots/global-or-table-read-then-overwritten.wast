;;! title = "a reference read from a global or a table, which is then overwritten, is not a root while it is stacked"
;;! observe_state = true

(module
  (type $box (struct (field $v (mut i32)) (field $more (mut anyref))))
  (type $bytes (array (mut i8)))

  ;; Dead arrays until a small heap collects, and objects of the victim's size that take its place if it was freed.
  (func $collect
    (local $n i32)
    (local.set $n (i32.const 250))
    (loop $again
      (drop (struct.new $box (i32.const -1) (ref.null any)))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func $box (param $v i32) (result (ref $box))
    (struct.new $box (local.get $v) (struct.new $box (i32.mul (local.get $v) (i32.const 3)) (ref.null any))))

  ;; 4 * v of a box made by $box.
  (func $read (param $x (ref null $box)) (result i32)
    (i32.add (struct.get $box $v (local.get $x))
      (struct.get $box $v (ref.cast (ref $box) (struct.get $box $more (local.get $x))))))

  (global $g (export "g") (mut (ref null $box)) (ref.null $box))
  (global $a (export "a") (mut anyref) (ref.null any))
  (table $t (export "t") 4 (ref null $box))

  (func (export "global") (result i32)
    (global.set $g (call $box (i32.const 81)))
    (global.get $g)
    (global.set $g (ref.null $box))
    (call $collect)
    (call $read))
  (func (export "global by another") (result i32)
    (global.set $a (call $box (i32.const 82)))
    (global.get $a)
    (global.set $a (call $box (i32.const 1)))
    (call $collect)
    (i32.sub (call $read (ref.cast (ref $box))) (call $read (ref.cast (ref $box) (global.get $a)))))
  (func (export "table") (param $i i32) (result i32)
    (table.set $t (local.get $i) (call $box (i32.const 83)))
    (table.get $t (local.get $i))
    (table.fill $t (i32.const 0) (ref.null $box) (i32.const 4))
    (call $collect)
    (call $read))
  ;; The same global is read before and after a collection that moves its object.
  (func (export "read twice") (result i32 i32)
    (global.set $g (call $box (i32.const 84)))
    (global.get $g)
    (call $collect)
    (ref.eq (global.get $g))
    (call $read (global.get $g)))
  ;; The callee overwrites the global that the caller has read.
  (func $overwrite (global.set $g (ref.null $box)) (call $collect))
  (func (export "by callee") (result i32)
    (global.set $g (call $box (i32.const 85)))
    (global.get $g)
    (call $overwrite)
    (call $read)))

(assert_return (invoke "global") (i32.const 324))
(assert_return (invoke "global by another") (i32.const 324))
(assert_return (invoke "table" (i32.const 0)) (i32.const 332))
(assert_return (invoke "table" (i32.const 3)) (i32.const 332))
(assert_return (invoke "read twice") (i32.const 1) (i32.const 336))
(assert_return (invoke "by callee") (i32.const 340))
(assert_return (get "g") (ref.null))
