;;! title = "labels of blocks in unreachable code count for the branches in them"
;;! origin = "found in JavaScriptCore (bun 1.4.5) by wasm-smith's modules in November 2026: br_on_null is refused with a label that is too far out without them"
;; Unreachable code is validated like any other, only that its operands may come out of nothing (core specification, "Validation",
;; instructions: stack-polymorphic; appendix "Validation Algorithm"): a block in it has a label. JSC counts the blocks outside only,
;; for br_on_null, and not for br and try_table.
(module
  (func (export "br_on_null") (result i32)
    (return (i32.const 1)) (block (block (drop (br_on_null 1 (ref.null any))))) (i32.const 2))
  (func (export "br_on_non_null") (result i32)
    (return (i32.const 3))
    (drop (block (result (ref any)) (block (br_on_non_null 1 (ref.null any))) (unreachable)))
    (i32.const 4))
  (func (export "br_on_cast") (result i32)
    (return (i32.const 5))
    (drop (block (result anyref) (block (drop (br_on_cast 1 anyref i31ref (ref.null any)))) (unreachable)))
    (i32.const 6))
  (func (export "br") (result i32) (return (i32.const 7)) (block (block (br 1))) (i32.const 8)))
(assert_return (invoke "br_on_null") (i32.const 1))
(assert_return (invoke "br_on_non_null") (i32.const 3))
(assert_return (invoke "br_on_cast") (i32.const 5))
(assert_return (invoke "br") (i32.const 7))
