;;! title = "an object that is reached over several paths is split in two, or two equal ones are merged"
;;! observe_state = true

(module
  (type $leaf (struct (field $v (mut i64))))
  (type $side (struct (field $leaf (ref $leaf)) (field $pad f64)))
  (type $top (struct (field $l (ref $side)) (field $r (ref $side)) (field $direct (ref $leaf))))
  (type $bytes (array (mut i8)))
  (type $leaves (array (mut (ref null $leaf))))
  (global $g (export "g") (mut (ref null $top)) (ref.null $top))
  (global $twins (export "twins") (mut (ref null $leaves)) (ref.null $leaves))

  (func $garbage
    (local $n i32)
    (local.set $n (i32.const 300))
    (loop $again
      (drop (struct.new $leaf (i64.const -1)))
      (drop (array.new $bytes (i32.const 0xaa) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func (export "make")
    (local $leaf (ref $leaf))
    (local.set $leaf (struct.new $leaf (i64.const 17)))
    (global.set $g
      (struct.new $top
        (struct.new $side (local.get $leaf) (f64.const 0.5))
        (struct.new $side (local.get $leaf) (f64.const 0.5))
        (local.get $leaf)))
    ;; Equal in content, different in identity; the last element shares the first.
    (global.set $twins
      (array.new_fixed $leaves 3 (struct.new $leaf (i64.const 3)) (struct.new $leaf (i64.const 3)) (ref.null $leaf)))
    (array.set $leaves (global.get $twins) (i32.const 2)
      (array.get $leaves (global.get $twins) (i32.const 0))))

  (func (export "shared") (result i32 i32 i32)
    (call $garbage)
    (ref.eq
      (struct.get $side $leaf (struct.get $top $l (global.get $g)))
      (struct.get $side $leaf (struct.get $top $r (global.get $g))))
    (ref.eq (struct.get $side $leaf (struct.get $top $l (global.get $g))) (struct.get $top $direct (global.get $g)))
    (ref.eq (struct.get $top $l (global.get $g)) (struct.get $top $r (global.get $g))))

  ;; A write over one path is seen over the others.
  (func (export "write") (param $v i64) (result i64 i64)
    (struct.set $leaf $v (struct.get $side $leaf (struct.get $top $r (global.get $g))) (local.get $v))
    (call $garbage)
    (struct.get $leaf $v (struct.get $side $leaf (struct.get $top $l (global.get $g))))
    (struct.get $leaf $v (struct.get $top $direct (global.get $g))))

  (func (export "twins apart") (result i32 i32)
    (call $garbage)
    (ref.eq (array.get $leaves (global.get $twins) (i32.const 0)) (array.get $leaves (global.get $twins) (i32.const 1)))
    (ref.eq (array.get $leaves (global.get $twins) (i32.const 0)) (array.get $leaves (global.get $twins) (i32.const 2))))

  (func (export "write twin") (param $v i64) (result i64 i64 i64)
    (struct.set $leaf $v (array.get $leaves (global.get $twins) (i32.const 0)) (local.get $v))
    (call $garbage)
    (struct.get $leaf $v (array.get $leaves (global.get $twins) (i32.const 0)))
    (struct.get $leaf $v (array.get $leaves (global.get $twins) (i32.const 1)))
    (struct.get $leaf $v (array.get $leaves (global.get $twins) (i32.const 2)))))

(invoke "make")
(assert_return (invoke "shared") (i32.const 1) (i32.const 1) (i32.const 0))
(assert_return (invoke "write" (i64.const 0x123456789abcdef0)) (i64.const 0x123456789abcdef0) (i64.const 0x123456789abcdef0))
(assert_return (invoke "shared") (i32.const 1) (i32.const 1) (i32.const 0))
(assert_return (invoke "twins apart") (i32.const 0) (i32.const 1))
(assert_return (invoke "write twin" (i64.const -8)) (i64.const -8) (i64.const 3) (i64.const -8))
(assert_return (invoke "twins apart") (i32.const 0) (i32.const 1))
