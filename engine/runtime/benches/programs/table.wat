;; A hash table of 65,536 buckets with lists that are rewritten at random: long-lived objects that receive young ones.
;; Every 1,024th step also replaces a large array. (run steps) gives a sum of what was found.
(module
  (type $entry (struct (field $next (mut (ref null $entry))) (field $key i32) (field $value (mut (ref null any)))))
  (type $box (struct (field i64)))
  (type $buckets (array (mut (ref null $entry))))
  (type $bytes (array (mut i8)))
  (global $state (mut i32) (i32.const 12345))
  (global $large (mut (ref null $bytes)) (ref.null $bytes))

  (func $random (result i32)
    (global.set $state (i32.add (i32.mul (global.get $state) (i32.const 1664525)) (i32.const 1013904223)))
    (i32.xor (global.get $state) (i32.shr_u (global.get $state) (i32.const 15))))

  (func (export "run") (param $steps i32) (result i32)
    (local $buckets (ref null $buckets)) (local $at i32) (local $key i32)
    (local $entry (ref null $entry)) (local $sum i32)
    (local.set $buckets (array.new_default $buckets (i32.const 65536)))
    (loop $step
      (local.set $key (i32.and (call $random) (i32.const 0x1ffff)))
      (local.set $at (i32.and (local.get $key) (i32.const 0xffff)))
      ;; Look it up.
      (local.set $entry (array.get $buckets (local.get $buckets) (local.get $at)))
      (block $found
        (block $absent
          (loop $search
            (br_if $absent (ref.is_null (local.get $entry)))
            (br_if $found (i32.eq (struct.get $entry $key (local.get $entry)) (local.get $key)))
            (local.set $entry (struct.get $entry $next (local.get $entry)))
            (br $search)))
        ;; Absent: a new entry, in the place of the whole list when it would have three.
        (local.set $entry (array.get $buckets (local.get $buckets) (local.get $at)))
        (if (i32.eqz (ref.is_null (local.get $entry)))
          (then
            (if (i32.eqz (ref.is_null (struct.get $entry $next (local.get $entry))))
              (then (local.set $entry (ref.null $entry))))))
        (array.set $buckets (local.get $buckets) (local.get $at)
          (struct.new $entry (local.get $entry) (local.get $key)
            (ref.i31 (local.get $steps))))
        (local.set $entry (array.get $buckets (local.get $buckets) (local.get $at))))
      ;; Found or new: a new value.
      (local.set $sum
        (i32.add (local.get $sum) (i32.add (i32.const 1) (ref.test (ref $box) (struct.get $entry $value (local.get $entry))))))
      (struct.set $entry $value (local.get $entry) (struct.new $box (i64.extend_i32_u (local.get $steps))))
      (if (i32.eqz (i32.and (local.get $steps) (i32.const 0x3ff)))
        (then (global.set $large (array.new $bytes (local.get $steps) (i32.const 100000)))))
      (local.set $steps (i32.sub (local.get $steps) (i32.const 1)))
      (br_if $step (local.get $steps)))
    (local.get $sum)))
