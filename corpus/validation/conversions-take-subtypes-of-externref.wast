;;! title = "conversions between externref and anyref take the bottom types too"
;;! origin = "found in JavaScriptCore (bun 1.4.5) by the typed generator in November 2026: any.convert_extern of a noexternref is refused"
;; any.convert_extern takes (ref null extern) (core specification, "Validation", reference instructions), and an operand of a subtype
;; is taken as well ("Validation", instruction sequences: subsumption); noextern is below extern.
(module
  (func (export "null") (result i32) (ref.is_null (any.convert_extern (ref.null noextern))))
  (func (export "of a local") (param nullexternref) (result i32)
    (ref.is_null (any.convert_extern (local.get 0))))
  (func (export "the other way") (result i32) (ref.is_null (extern.convert_any (ref.null none))))
  (func (export "of i31") (result i32)
    (i31.get_s (ref.cast (ref i31) (any.convert_extern (extern.convert_any (ref.i31 (i32.const -5))))))))
(assert_return (invoke "null") (i32.const 1))
(assert_return (invoke "of a local" (ref.null noextern)) (i32.const 1))
(assert_return (invoke "the other way") (i32.const 1))
(assert_return (invoke "of i31") (i32.const -5))
