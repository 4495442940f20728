;; Rings of 64 objects, linked both ways, made and dropped: nothing but dead cycles.
;; (run rings) gives a sum over all objects.
(module
  (type $link (struct (field $next (mut (ref null $link))) (field $last (mut (ref null $link))) (field $value i32)))

  (func (export "run") (param $rings i32) (result i32)
    (local $first (ref null $link)) (local $at (ref null $link)) (local $new (ref null $link))
    (local $left i32) (local $sum i32)
    (loop $ring
      (local.set $first (struct.new $link (ref.null $link) (ref.null $link) (local.get $rings)))
      (local.set $at (local.get $first))
      (local.set $left (i32.const 63))
      (loop $object
        (local.set $new (struct.new $link (ref.null $link) (local.get $at) (local.get $left)))
        (struct.set $link $next (local.get $at) (local.get $new))
        (local.set $at (local.get $new))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br_if $object (local.get $left)))
      (struct.set $link $next (local.get $at) (local.get $first))
      (struct.set $link $last (local.get $first) (local.get $at))
      ;; Around once.
      (local.set $at (local.get $first))
      (loop $walk
        (local.set $sum (i32.add (local.get $sum) (struct.get $link $value (local.get $at))))
        (local.set $at (struct.get $link $next (local.get $at)))
        (br_if $walk (i32.eqz (ref.eq (local.get $at) (local.get $first)))))
      (local.set $rings (i32.sub (local.get $rings) (i32.const 1)))
      (br_if $ring (local.get $rings)))
    (local.get $sum)))
