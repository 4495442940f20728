;;! title = "objects that an active segment or table.init wrote into a table are freed, and what they are written over is kept or freed twice"
;;! origin = "found in Wasmtime 32.0.0 (drc) by the typed generator in November 2026; https://github.com/bytecodealliance/wasmtime/pull/11416 (37.0.0) says that table.init had no write barriers; wrong in 32, 33, 35 and 36, gone in 37"
;;! observe_state = true
;; An active segment is table.init followed by elem.drop when its module is instantiated (core specification, "Execution", instantiation of modules),
;; and table.init writes each element as table.set does ("Execution", table.init). So the table alone keeps these objects, and nothing else need.

(module
  (type $box (struct (field $v (mut i32)) (field $more (mut anyref))))
  (type $bytes (array (mut i8)))
  (table $t (export "t") 4 (ref null $box))
  (table $anys (export "anys") 4 anyref)
  (elem (table $t) (i32.const 0) (ref null $box)
    (item (struct.new $box (i32.const 5) (ref.null any)))
    (item (struct.new $box (i32.const 6) (struct.new $box (i32.const 7) (ref.i31 (i32.const 8))))))
  (elem (table $anys) (i32.const 1) anyref (item (struct.new $box (i32.const 9) (ref.null any))))
  ;; Each of them is written once, so that it does not matter here whether an engine makes them anew each time.
  (elem $e (ref null $box)
    (item (struct.new $box (i32.const 10) (ref.null any)))
    (item (ref.null $box))
    (item (struct.new $box (i32.const 13) (ref.null any)))
    (item (struct.new $box (i32.const 14) (ref.null any))))

  ;; More than 512 KiB, so that a small heap is filled again; freed boxes are taken by those with -1.
  (func $collect
    (local $n i32)
    (local.set $n (i32.const 600))
    (loop $again
      (drop (struct.new $box (i32.const -1) (ref.null any)))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func $v (param $x anyref) (result i32) (struct.get $box $v (ref.cast (ref $box) (local.get $x))))
  (func (export "read") (result i32 i32 i32 i32)
    (call $collect)
    (call $v (table.get $t (i32.const 0)))
    (call $v (table.get $t (i32.const 1)))
    (call $v (struct.get $box $more (table.get $t (i32.const 1))))
    (call $v (table.get $anys (i32.const 1))))
  (func (export "init") (param i32 i32 i32)
    (table.init $t $e (local.get 0) (local.get 1) (local.get 2))
    (call $collect))
  (func (export "held") (param $i i32) (result i32)
    (call $collect)
    (call $v (table.get $t (local.get $i))))
  ;; The old box of the slot is overwritten twice, once by each kind of write.
  (func (export "over") (param $i i32) (param $from i32) (result i32)
    (table.set $t (local.get $i) (struct.new $box (i32.const 11) (ref.null any)))
    (table.init $t $e (local.get $i) (local.get $from) (i32.const 1))
    (table.set $t (local.get $i) (struct.new $box (i32.const 12) (table.get $t (local.get $i))))
    (call $collect)
    (i32.add
      (i32.mul (call $v (table.get $t (local.get $i))) (i32.const 100))
      (call $v (struct.get $box $more (table.get $t (local.get $i)))))))

;;@ collect
(assert_return (invoke "read") (i32.const 5) (i32.const 6) (i32.const 7) (i32.const 9))
;;@ collect
(assert_return (invoke "read") (i32.const 5) (i32.const 6) (i32.const 7) (i32.const 9))
(invoke "init" (i32.const 2) (i32.const 0) (i32.const 2))
;;@ collect
(assert_return (invoke "held" (i32.const 2)) (i32.const 10))
(assert_return (invoke "over" (i32.const 3) (i32.const 2)) (i32.const 1213))
;;@ collect
(assert_return (invoke "over" (i32.const 2) (i32.const 3)) (i32.const 1214))
;;@ collect
(assert_return (invoke "read") (i32.const 5) (i32.const 6) (i32.const 7) (i32.const 9))
