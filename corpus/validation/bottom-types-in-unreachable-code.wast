;;! title = "unreachable code gets operands out of nothing, but those that it pushes itself are typed as ever"

;; Specification: Validation / Instructions, stack-polymorphic instructions; Types, bottom types. A non-null bottom reference
;; (what ref.as_non_null makes of the bottom type) matches every reference type and no number type.
(module
  (type $f (func (result i32)))
  (func (export "hierarchies") (param i32) (result i32)
    local.get 0
    if
      i32.const 7
      return
      ref.as_non_null
      call_ref $f
      drop
      ref.as_non_null
      i31.get_s
      drop
      ref.as_non_null
      throw_ref
    end
    i32.const 8)
  (func (export "select") (param i32) (result i64)
    local.get 0
    if
      i64.const 1
      return
      i64.const 0
      i32.const 0
      select
      return
    end
    i64.const 2)
  (func (export "non-null") (result (ref any))
    i32.const 5
    ref.i31
    return
    any.convert_extern))
(assert_return (invoke "hierarchies" (i32.const 1)) (i32.const 7))
(assert_return (invoke "hierarchies" (i32.const 0)) (i32.const 8))
(assert_return (invoke "select" (i32.const 1)) (i64.const 1))
(assert_return (invoke "non-null") (ref.i31))

(assert_invalid (module (func unreachable f32.const 0 i32.add drop)) "type mismatch")
(assert_invalid (module (func unreachable ref.as_non_null i32.eqz drop)) "type mismatch")
(assert_invalid (module (func unreachable ref.as_non_null i32.const 0 select drop)) "type mismatch")
(assert_invalid (module (func unreachable i32.const 0 i64.const 0 i32.const 0 select drop)) "type mismatch")
(assert_invalid (module (func unreachable i32.const 0)) "type mismatch")
(assert_invalid (module (func block unreachable end drop)) "type mismatch")
(assert_invalid (module (func $f) (func (result i32) unreachable return_call $f)) "type mismatch")
(assert_invalid (module (func block block (result i32) unreachable br_table 0 1 end drop end)) "type mismatch")
