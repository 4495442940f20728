;;! title = "an active element segment that did not fit is dropped although table.init comes before elem.drop"
;;! observe_state = true
;; Instantiation traps at the second segment; the function that the first one put into the imported table still
;; initialises from it (spec, execution of modules, "Instantiation"): a segment is dropped after its initialisation, and there is
;; no after. In Wasmtime 48.0.8 an active segment is empty from the beginning, so `again` traps (seen with `wasmtime:*`).

(module $tables
  (table (export "calls") 4 funcref)
  (table (export "other") 4 funcref))
(register "tables" $tables)

(assert_trap
  (module
    (import "tables" "calls" (table $calls 4 funcref))
    (import "tables" "other" (table $other 4 funcref))
    (func $again (table.init $other $late (i32.const 0) (i32.const 0) (i32.const 1)))
    (elem (table $calls) (i32.const 0) func $again)
    (elem $late (table $other) (i32.const 9) func $again))
  "out of bounds table access")

(module
  (type $nothing (func))
  (import "tables" "calls" (table $calls 4 funcref))
  (import "tables" "other" (table $other 4 funcref))
  (func (export "again") (call_indirect $calls (type $nothing) (i32.const 0)))
  (func (export "filled") (result i32) (i32.eqz (ref.is_null (table.get $other (i32.const 0))))))
(assert_return (invoke "again"))
(assert_return (invoke "filled") (i32.const 1))
