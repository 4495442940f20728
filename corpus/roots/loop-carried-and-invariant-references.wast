;;! title = "a reference that is invariant in a loop shares its spill slot with one defined in the loop"
;;! origin = "wrong in Wasmtime 32.0.0 to 45.0.2 too: https://github.com/bytecodealliance/wasmtime/pull/13449 (46.0.0), and its title is that of /13498"
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

  (func (export "invariant") (param $n i32) (result i32)
    (local $a (ref $box)) (local $b (ref $box)) (local $c (ref null $box)) (local $d (ref null $box)) (local $sum i32)
    (local.set $a (call $box (i32.const 1)))
    (local.set $b (call $box (i32.const 2)))
    (local.set $d (local.get $a))
    (loop $again
      (local.set $c (call $box (local.get $n)))
      (call $collect)
      (local.set $sum
        (i32.add (local.get $sum) (i32.add (call $read (local.get $a)) (call $read (local.get $c)))))
      (local.set $d (select (result (ref null $box)) (local.get $c) (local.get $d) (i32.and (local.get $n) (i32.const 1))))
      (call $collect)
      (local.set $sum (i32.add (local.get $sum) (i32.add (call $read (local.get $b)) (call $read (local.get $d)))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))

  ;; The back edge is never taken, but an optimiser may move reads across the loop's header.
  (func (export "constant false") (result i32)
    (local $a (ref $box))
    (local.set $a (call $box (i32.const 9)))
    (loop $again
      (call $collect)
      (struct.set $box $v (local.get $a) (i32.add (struct.get $box $v (local.get $a)) (i32.const 1)))
      (br_if $again (i32.const 0)))
    (struct.get $box $v (local.get $a)))

  ;; Sixteen references live across each collection.
  (func (export "sixteen") (param $n i32) (result i32)
    (local $a (ref $box)) (local $b (ref $box)) (local $c (ref $box)) (local $d (ref $box))
    (local $e (ref $box)) (local $f (ref $box)) (local $g (ref $box)) (local $h (ref $box))
    (local $i (ref $box)) (local $j (ref $box)) (local $k (ref $box)) (local $l (ref $box))
    (local $m (ref $box)) (local $o (ref $box)) (local $p (ref $box)) (local $q (ref $box)) (local $sum i32)
    (local.set $a (call $box (i32.const 1))) (local.set $b (call $box (i32.const 2)))
    (local.set $c (call $box (i32.const 3))) (local.set $d (call $box (i32.const 4)))
    (local.set $e (call $box (i32.const 5))) (local.set $f (call $box (i32.const 6)))
    (local.set $g (call $box (i32.const 7))) (local.set $h (call $box (i32.const 8)))
    (local.set $i (call $box (i32.const 9))) (local.set $j (call $box (i32.const 10)))
    (local.set $k (call $box (i32.const 11))) (local.set $l (call $box (i32.const 12)))
    (local.set $m (call $box (i32.const 13))) (local.set $o (call $box (i32.const 14)))
    (local.set $p (call $box (i32.const 15))) (local.set $q (call $box (i32.const 16)))
    (loop $again
      (call $collect)
      ;; The references rotate by one place.
      (local.get $a)
      (local.set $a (local.get $b)) (local.set $b (local.get $c)) (local.set $c (local.get $d))
      (local.set $d (local.get $e)) (local.set $e (local.get $f)) (local.set $f (local.get $g))
      (local.set $g (local.get $h)) (local.set $h (local.get $i)) (local.set $i (local.get $j))
      (local.set $j (local.get $k)) (local.set $k (local.get $l)) (local.set $l (local.get $m))
      (local.set $m (local.get $o)) (local.set $o (local.get $p)) (local.set $p (local.get $q))
      (local.set $q)
      (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 7)) (call $read (local.get $a))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.add (local.get $sum) (i32.add (call $read (local.get $q)) (call $read (local.get $h))))))

(assert_return (invoke "invariant" (i32.const 4)) (i32.const 120))
(assert_return (invoke "constant false") (i32.const 10))
(assert_return (invoke "sixteen" (i32.const 1)) (i32.const 48))
(assert_return (invoke "sixteen" (i32.const 5)) (i32.const 24344))
