;;! title = "table.init, array.new_elem and memory.init check their segments when they go on, not before they were suspended"
;;! origin = "WebAssembly 3.0, Execution: the checks are part of the instruction; here they follow the point at which it waits"
;;! fuel = 100000
;;! fibers = 3
;;! turns = ["resume 0 for 1", "resume 1 for 1", "resume 2"]
;;! observe_state = true

(module
  (type $box (struct (field $v i32)))
  (type $boxes (array (mut (ref null $box))))
  (memory (export "m") 1)
  (data $bytes "abc")
  (table $t (export "t") 4 (ref null $box))
  (elem $seg (ref null $box) (struct.new $box (i32.const 6)) (struct.new $box (i32.const 8)))
  (func (export "table") (table.init $t $seg (i32.const 0) (i32.const 0) (i32.const 2)))
  (func (export "memory") (memory.init $bytes (i32.const 0) (i32.const 0) (i32.const 3)))
  (func (export "drop") (elem.drop $seg) (data.drop $bytes)))

(assert_trap (invoke "table") "out of bounds table access")
(assert_trap (invoke "memory") "out of bounds memory access")
(assert_return (invoke "drop"))
