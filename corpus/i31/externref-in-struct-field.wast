;;! title = "an i31 converted to externref and stored in a struct field is taken for an object by the write barrier"
;;! origin = "https://github.com/bytecodealliance/wasmtime/issues/10181"
;;! observe_state = true

(module
  (type $holder (struct (field $value (mut externref)) (field $beside (mut anyref))))
  (type $bytes (array (mut i8)))
  (global $kept (export "kept") (mut (ref null $holder)) (ref.null $holder))

  (func $garbage
    (local $n i32)
    (local.set $n (i32.const 300))
    (loop $again
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func $out (param $x i32) (result externref)
    (extern.convert_any (ref.i31 (local.get $x))))

  (func $in (param $x externref) (result i32)
    (i31.get_s (ref.cast i31ref (any.convert_extern (local.get $x)))))

  ;; Nothing but stores and loads: the barrier alone must cope.
  (func (export "store") (param $x i32) (result i32)
    (local $h (ref $holder))
    (local.set $h (struct.new $holder (call $out (local.get $x)) (ref.null any)))
    (struct.set $holder $value (local.get $h)
      (extern.convert_any (ref.i31 (i32.add (call $in (struct.get $holder $value (local.get $h))) (i32.const 1)))))
    (struct.set $holder $beside (local.get $h) (any.convert_extern (struct.get $holder $value (local.get $h))))
    (i32.add
      (call $in (struct.get $holder $value (local.get $h)))
      (i31.get_s (ref.cast i31ref (struct.get $holder $beside (local.get $h))))))

  ;; Initialising store, then a collection, then the load.
  (func (export "new") (param $x i32) (result i32)
    (local $h (ref $holder))
    (local.set $h (struct.new $holder (call $out (local.get $x)) (ref.null any)))
    (call $garbage)
    (call $in (struct.get $holder $value (local.get $h))))

  ;; An i31 replaces null, another i31, and an object's externalised reference; then null replaces it.
  (func (export "overwrite") (param $x i32) (result i32)
    (local $h (ref $holder)) (local $sum i32)
    (local.set $h (struct.new_default $holder))
    (struct.set $holder $value (local.get $h) (call $out (local.get $x)))
    (call $garbage)
    (local.set $sum (call $in (struct.get $holder $value (local.get $h))))
    (struct.set $holder $value (local.get $h) (call $out (i32.const 1)))
    (local.set $sum (i32.add (local.get $sum) (call $in (struct.get $holder $value (local.get $h)))))
    (struct.set $holder $value (local.get $h) (extern.convert_any (local.get $h)))
    (call $garbage)
    (struct.set $holder $value (local.get $h) (call $out (i32.const 2)))
    (call $garbage)
    (local.set $sum (i32.add (local.get $sum) (call $in (struct.get $holder $value (local.get $h)))))
    (struct.set $holder $value (local.get $h) (ref.null extern))
    (i32.add (local.get $sum) (ref.is_null (struct.get $holder $value (local.get $h)))))

  ;; Many holders, each read again after all were made.
  (func (export "many") (param $count i32) (result i32)
    (local $all (ref $list)) (local $i i32) (local $sum i32)
    (local.set $all (array.new_default $list (local.get $count)))
    (loop $fill
      (array.set $list (local.get $all) (local.get $i)
        (struct.new $holder (call $out (i32.sub (local.get $i) (i32.const 50))) (ref.i31 (local.get $i))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $fill (i32.lt_u (local.get $i) (local.get $count))))
    (call $garbage)
    (loop $read
      (local.set $i (i32.sub (local.get $i) (i32.const 1)))
      (local.set $sum
        (i32.add (local.get $sum)
          (i32.xor
            (call $in (struct.get $holder $value (array.get $list (local.get $all) (local.get $i))))
            (i31.get_u
              (ref.cast i31ref (struct.get $holder $beside (array.get $list (local.get $all) (local.get $i))))))))
      (br_if $read (local.get $i)))
    (local.get $sum))
  (type $list (array (mut (ref null $holder))))

  (func (export "keep") (param $x i32)
    (global.set $kept (struct.new $holder (call $out (local.get $x)) (ref.i31 (local.get $x)))))
  (func (export "kept again") (result externref i32)
    (call $garbage)
    (struct.get $holder $value (global.get $kept))
    (call $in (struct.get $holder $value (global.get $kept)))))

(assert_return (invoke "store" (i32.const 0)) (i32.const 2))
(assert_return (invoke "store" (i32.const 41)) (i32.const 84))
(assert_return (invoke "store" (i32.const -2)) (i32.const -2))
(assert_return (invoke "store" (i32.const 0x3fffffff)) (i32.const -0x80000000))
(assert_return (invoke "new" (i32.const 0)) (i32.const 0))
(assert_return (invoke "new" (i32.const 42)) (i32.const 42))
(assert_return (invoke "new" (i32.const -1)) (i32.const -1))
(assert_return (invoke "new" (i32.const 0x3fffffff)) (i32.const 0x3fffffff))
(assert_return (invoke "new" (i32.const 0x40000000)) (i32.const -0x40000000))
(assert_return (invoke "overwrite" (i32.const 39)) (i32.const 43))
(assert_return (invoke "overwrite" (i32.const -4)) (i32.const 0))
(assert_return (invoke "many" (i32.const 100)) (i32.const 2432))
(invoke "keep" (i32.const -7))
(assert_return (invoke "kept again") (ref.extern) (i32.const -7))
