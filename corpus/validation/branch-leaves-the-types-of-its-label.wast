;;! title = "what a conditional branch leaves on the stack keeps the operand's own type instead of the label's"

;; Specification: Validation / Instructions, br_if, br_on_null, br_on_non_null, br_on_cast.
(module
  (func (export "same") (param i32) (result i31ref)
    (block $l (result i31ref)
      (br_if $l (ref.i31 (i32.const 3)) (local.get 0))
      br 1))
  (func (export "null goes with the target") (param anyref) (result (ref any))
    (block $l (result i31ref)
      (br_on_cast $l anyref i31ref (local.get 0))
      return)
    ref.as_non_null))
(assert_return (invoke "same" (i32.const 0)) (ref.i31))
(assert_trap (invoke "null goes with the target" (ref.null any)) "null reference")

(assert_invalid
  (module (func (result i31ref)
    (block $l (result anyref)
      (br_if $l (ref.i31 (i32.const 3)) (i32.const 0))
      br 1)
    unreachable))
  "type mismatch")
(assert_invalid
  (module (func (param anyref) (result (ref any))
    (block $l (result i31ref)
      (br_on_cast $l anyref (ref i31) (local.get 0))
      return)
    unreachable))
  "type mismatch")
(assert_invalid
  (module (func (param anyref) (result anyref) (br_on_cast 0 i31ref anyref (ref.null i31))))
  "type mismatch")
