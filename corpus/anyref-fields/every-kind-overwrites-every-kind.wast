;;! title = "a write barrier mistakes the old or the new value of a field: null, i31, struct, array, host reference"
;;! observe_state = true

;; Kinds: 0 null, 1 i31, 2 struct, 3 array, 4 the host reference given. "run" writes each kind over each kind in a
;; struct field, an array element, a global and a table, with a collection after each write, and reads back.
(module
  (type $holder (struct (field $pad i64) (field $v (mut anyref))))
  (type $s (struct (field i32)))
  (type $a (array i16))
  (type $anys (array (mut anyref)))
  (type $bytes (array (mut i8)))
  (global $g (export "g") (mut anyref) (ref.null any))
  (global $host (mut externref) (ref.null extern))
  (table $t (export "t") 3 anyref)

  (func $garbage
    (local $n i32)
    (local.set $n (i32.const 20))
    (loop $again
      (drop (struct.new $s (i32.const -1)))
      (drop (struct.new $holder (i64.const -1) (ref.null any)))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 3000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func $make (param $kind i32) (result anyref)
    (if (i32.eq (local.get $kind) (i32.const 1)) (then (return (ref.i31 (i32.const -31)))))
    (if (i32.eq (local.get $kind) (i32.const 2)) (then (return (struct.new $s (i32.const 77)))))
    (if (i32.eq (local.get $kind) (i32.const 3)) (then (return (array.new $a (i32.const -2) (i32.const 3)))))
    (if (i32.eq (local.get $kind) (i32.const 4)) (then (return (any.convert_extern (global.get $host)))))
    (ref.null any))

  ;; The kind of a value whose content is as made; 100 and up when the content is wrong.
  (func $kind (param $x anyref) (result i32)
    (if (ref.is_null (local.get $x)) (then (return (i32.const 0))))
    (if (ref.test (ref i31) (local.get $x))
      (then
        (return
          (select (i32.const 1) (i32.const 101)
            (i32.eq (i31.get_s (ref.cast (ref i31) (local.get $x))) (i32.const -31))))))
    (if (ref.test (ref $s) (local.get $x))
      (then
        (return
          (select (i32.const 2) (i32.const 102)
            (i32.eq (struct.get $s 0 (ref.cast (ref $s) (local.get $x))) (i32.const 77))))))
    (if (ref.test (ref $a) (local.get $x))
      (then
        (return
          (select (i32.const 3) (i32.const 103)
            (i32.and
              (i32.eq (array.len (ref.cast (ref $a) (local.get $x))) (i32.const 3))
              (i32.eq (array.get_s $a (ref.cast (ref $a) (local.get $x)) (i32.const 2)) (i32.const -2)))))))
    ;; Neither: a host reference, which is no eqref.
    (select (i32.const 104) (i32.const 4) (ref.test eqref (local.get $x))))

  ;; Returns 0, or place * 1000 + old * 100 + new of the first wrong one.
  (func (export "run") (param $h externref) (result i32)
    (local $old i32) (local $new i32) (local $holder (ref $holder)) (local $anys (ref $anys))
    (global.set $host (local.get $h))
    (local.set $holder (struct.new $holder (i64.const 0x1111222233334444) (ref.null any)))
    (local.set $anys (array.new_default $anys (i32.const 3)))
    (loop $olds
      (local.set $new (i32.const 0))
      (loop $news
        (struct.set $holder $v (local.get $holder) (call $make (local.get $old)))
        (array.set $anys (local.get $anys) (i32.const 1) (call $make (local.get $old)))
        (global.set $g (call $make (local.get $old)))
        (table.set $t (i32.const 1) (call $make (local.get $old)))
        (call $garbage)
        (struct.set $holder $v (local.get $holder) (call $make (local.get $new)))
        (array.set $anys (local.get $anys) (i32.const 1) (call $make (local.get $new)))
        (global.set $g (call $make (local.get $new)))
        (table.set $t (i32.const 1) (call $make (local.get $new)))
        (call $garbage)
        (if (i32.ne (call $kind (struct.get $holder $v (local.get $holder))) (local.get $new))
          (then (return (call $code (i32.const 1) (local.get $old) (local.get $new)))))
        (if (i32.ne (call $kind (array.get $anys (local.get $anys) (i32.const 1))) (local.get $new))
          (then (return (call $code (i32.const 2) (local.get $old) (local.get $new)))))
        (if (i32.ne (call $kind (global.get $g)) (local.get $new))
          (then (return (call $code (i32.const 3) (local.get $old) (local.get $new)))))
        (if (i32.ne (call $kind (table.get $t (i32.const 1))) (local.get $new))
          (then (return (call $code (i32.const 4) (local.get $old) (local.get $new)))))
        (if (i64.ne (struct.get $holder $pad (local.get $holder)) (i64.const 0x1111222233334444))
          (then (return (call $code (i32.const 5) (local.get $old) (local.get $new)))))
        (local.set $new (i32.add (local.get $new) (i32.const 1)))
        (br_if $news (i32.lt_u (local.get $new) (i32.const 5))))
      (local.set $old (i32.add (local.get $old) (i32.const 1)))
      (br_if $olds (i32.lt_u (local.get $old) (i32.const 5))))
    (i32.const 0))

  (func $code (param i32 i32 i32) (result i32)
    (i32.add (i32.mul (local.get 0) (i32.const 1000))
      (i32.add (i32.mul (local.get 1) (i32.const 100)) (local.get 2))))

  (func (export "last") (result externref)
    (extern.convert_any (global.get $g))))

(assert_return (invoke "run" (ref.extern 5)) (i32.const 0))
(assert_return (invoke "last") (ref.extern 5))
(assert_return (get "g") (ref.any))
