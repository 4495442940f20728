;;! title = "recursion groups are told apart by order, by what is inside and what outside, and by finality; a member leans on a later one"
;;! observe_state = true

;; Specification: Validation / Types (recursive types: all members are known to each, supertypes come before), Validation / Matching
;; (defined types: equal when closed and rolled up, else by the declared supertypes).
(module
  ;; Equal groups whose members refer to each other.
  (rec (type $a (sub (struct (field (ref null $b))))) (type $b (sub (struct (field (mut (ref null $a)))))))
  (rec (type $c (sub (struct (field (ref null $d))))) (type $d (sub (struct (field (mut (ref null $c)))))))
  (rec)
  ;; The supertype of $y by its name, of $y2 by that of an equal type.
  (type $x (sub (struct)))
  (rec)
  (type $x2 (sub (struct)))
  (type $y (sub $x (struct (field i32))))
  (type $y2 (sub $x2 (struct (field i32))))
  ;; That $q matches $p rests on $t1 matching $t0, which come later.
  (rec
    (type $p (sub (struct (field (ref null $t0)))))
    (type $q (sub $p (struct (field (ref null $t1)))))
    (type $t0 (sub (struct)))
    (type $t1 (sub $t0 (struct))))
  (func (export "cycle") (result i32)
    (ref.test (ref $d) (struct.get $a 0 (struct.new $a (struct.new $b (ref.null $c))))))
  (func (export "super") (result i32) (ref.test (ref $x) (struct.new $y2 (i32.const 1))))
  (func $same (param (ref $y)) (result (ref $y2)) (local.get 0))
  (func (export "same") (result i32) (struct.get $y 0 (call $same (struct.new $y2 (i32.const 7)))))
  (func (export "later") (result i32) (ref.test (ref $t0) (struct.get $p 0 (struct.new $q (struct.new $t1))))))
(assert_return (invoke "cycle") (i32.const 1))
(assert_return (invoke "super") (i32.const 1))
(assert_return (invoke "same") (i32.const 7))
(assert_return (invoke "later") (i32.const 1))

(assert_invalid
  (module
    (rec (type $a (sub (struct (field (ref null $b))))) (type $b (sub (struct (field i32)))))
    (rec (type $d (sub (struct (field i32)))) (type $c (sub (struct (field (ref null $d))))))
    (func (param (ref $a)) (result (ref $c)) (local.get 0)))
  "type mismatch")
(assert_invalid
  (module
    (type $inside (sub (struct (field (ref null $inside)))))
    (type $outside (sub (struct (field (ref null $inside)))))
    (func (param (ref $outside)) (result (ref $inside)) (local.get 0)))
  "type mismatch")
(assert_invalid
  (module
    (type $p (sub (struct)))
    (rec (type $p1 (sub (struct))) (type $q1 (sub $p1 (struct))))
    (rec (type $p2 (sub (struct))) (type $q2 (sub $p (struct))))
    (func (param (ref $q1)) (result (ref $q2)) (local.get 0)))
  "type mismatch")
(assert_invalid
  (module
    (type $final (struct))
    (type $open (sub (struct)))
    (func (param (ref $open)) (result (ref $final)) (local.get 0)))
  "type mismatch")
(assert_invalid
  (module
    (rec
      (type $p (sub (struct (field (ref null $t0)))))
      (type $q (sub $p (struct (field (ref null $t1)))))
      (type $t0 (sub (struct)))
      (type $t1 (sub (struct)))))
  "sub type")
(assert_invalid
  (module
    (rec (type $f (sub (func (param (ref $f))))) (type $g (sub $f (func (param (ref $g)))))))
  "sub type")
