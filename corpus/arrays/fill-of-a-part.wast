;;! title = "array.fill writes as many elements as its index says instead of its length"
;;! origin = "https://github.com/bytecodealliance/wasmtime/issues/10467"
;;! observe_state = true

;; For each element type, a function that fills every part of an array of eight that lies between two others, and tells the first
;; part (index * 100 + length, plus 1000) after which an element, or a neighbour, is not what it should be; 0 if none.
(module
  (type $bytes (array (mut i8)))
  (type $longs (array (mut i64)))
  (type $box (struct (field i32)))
  (type $anys (array (mut anyref)))
  (global $kept (export "kept") (mut (ref null $anys)) (ref.null $anys))

  (func (export "bytes") (result i32)
    (local $before (ref $bytes)) (local $a (ref $bytes)) (local $after (ref $bytes))
    (local $at i32) (local $n i32) (local $i i32)
    (loop $ats
      (local.set $n (i32.const 0))
      (loop $ns
        (local.set $before (array.new $bytes (i32.const 0x11) (i32.const 8)))
        (local.set $a (array.new $bytes (i32.const 0x22) (i32.const 8)))
        (local.set $after (array.new $bytes (i32.const 0x33) (i32.const 8)))
        (array.fill $bytes (local.get $a) (local.get $at) (i32.const 0x44) (local.get $n))
        (local.set $i (i32.const 0))
        (loop $is
          (if (i32.or
                (i32.or (i32.ne (array.get_u $bytes (local.get $before) (local.get $i)) (i32.const 0x11))
                  (i32.ne (array.get_u $bytes (local.get $after) (local.get $i)) (i32.const 0x33)))
                (i32.ne (array.get_u $bytes (local.get $a) (local.get $i))
                  (select (i32.const 0x44) (i32.const 0x22)
                    (i32.lt_u (i32.sub (local.get $i) (local.get $at)) (local.get $n)))))
            (then (return (call $code (local.get $at) (local.get $n)))))
          (br_if $is (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 8))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $ns (i32.le_u (i32.add (local.get $at) (local.get $n)) (i32.const 8))))
      (br_if $ats (i32.le_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 8))))
    (i32.const 0))

  (func (export "longs") (result i32)
    (local $before (ref $longs)) (local $a (ref $longs)) (local $after (ref $longs))
    (local $at i32) (local $n i32) (local $i i32)
    (loop $ats
      (local.set $n (i32.const 0))
      (loop $ns
        (local.set $before (array.new $longs (i64.const 0x1111111111111111) (i32.const 8)))
        (local.set $a (array.new $longs (i64.const 0x2222222222222222) (i32.const 8)))
        (local.set $after (array.new $longs (i64.const 0x3333333333333333) (i32.const 8)))
        (array.fill $longs (local.get $a) (local.get $at) (i64.const 0x4444444444444444) (local.get $n))
        (local.set $i (i32.const 0))
        (loop $is
          (if (i32.or
                (i32.or (i64.ne (array.get $longs (local.get $before) (local.get $i)) (i64.const 0x1111111111111111))
                  (i64.ne (array.get $longs (local.get $after) (local.get $i)) (i64.const 0x3333333333333333)))
                (i64.ne (array.get $longs (local.get $a) (local.get $i))
                  (select (i64.const 0x4444444444444444) (i64.const 0x2222222222222222)
                    (i32.lt_u (i32.sub (local.get $i) (local.get $at)) (local.get $n)))))
            (then (return (call $code (local.get $at) (local.get $n)))))
          (br_if $is (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 8))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $ns (i32.le_u (i32.add (local.get $at) (local.get $n)) (i32.const 8))))
      (br_if $ats (i32.le_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 8))))
    (i32.const 0))

  (func $is (param $x anyref) (param $want i32) (result i32)
    (i32.ne (struct.get $box 0 (ref.cast (ref $box) (local.get $x))) (local.get $want)))
  (func (export "references") (result i32)
    (local $before (ref $anys)) (local $a (ref $anys)) (local $after (ref $anys))
    (local $at i32) (local $n i32) (local $i i32)
    (loop $ats
      (local.set $n (i32.const 0))
      (loop $ns
        (local.set $before (array.new $anys (struct.new $box (i32.const 1)) (i32.const 8)))
        (local.set $a (array.new $anys (struct.new $box (i32.const 2)) (i32.const 8)))
        (local.set $after (array.new $anys (struct.new $box (i32.const 3)) (i32.const 8)))
        (global.set $kept (local.get $a))
        (array.fill $anys (local.get $a) (local.get $at) (struct.new $box (i32.const 4)) (local.get $n))
        (local.set $i (i32.const 0))
        (loop $is
          (if (i32.or
                (i32.or (call $is (array.get $anys (local.get $before) (local.get $i)) (i32.const 1))
                  (call $is (array.get $anys (local.get $after) (local.get $i)) (i32.const 3)))
                (call $is (array.get $anys (local.get $a) (local.get $i))
                  (select (i32.const 4) (i32.const 2)
                    (i32.lt_u (i32.sub (local.get $i) (local.get $at)) (local.get $n)))))
            (then (return (call $code (local.get $at) (local.get $n)))))
          (br_if $is (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 8))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $ns (i32.le_u (i32.add (local.get $at) (local.get $n)) (i32.const 8))))
      (br_if $ats (i32.le_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 8))))
    (i32.const 0))

  (func $code (param $at i32) (param $n i32) (result i32)
    (i32.add (i32.const 1000) (i32.add (i32.mul (local.get $at) (i32.const 100)) (local.get $n)))))

(assert_return (invoke "bytes") (i32.const 0))
(assert_return (invoke "longs") (i32.const 0))
(assert_return (invoke "references") (i32.const 0))
