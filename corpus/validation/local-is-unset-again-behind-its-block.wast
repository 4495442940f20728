;;! title = "a local without a default value that was set in a block counts as set behind the block"

;; Specification: Validation / Instructions, instruction sequences: a block's type does not name the locals set in it. That holds
;; for dead code too.
(module
  (func (export "inside") (result (ref i31)) (local $r (ref i31))
    (block (result (ref i31)) (local.set $r (ref.i31 (i32.const 4))) (local.get $r)))
  (func (export "before") (result (ref i31)) (local $r (ref i31))
    (local.set $r (ref.i31 (i32.const 5)))
    (loop (result (ref i31)) (if (result (ref i31)) (i32.const 1) (then (local.get $r)) (else (local.get $r))))))
(assert_return (invoke "inside") (ref.i31))
(assert_return (invoke "before") (ref.i31))

(assert_invalid
  (module (func (local $r (ref i31)) (block (local.set $r (ref.i31 (i32.const 0)))) (drop (local.get $r))))
  "uninitialized local")
(assert_invalid
  (module (func (local $r (ref i31))
    (if (i32.const 0) (then (local.set $r (ref.i31 (i32.const 0)))) (else (drop (local.get $r))))))
  "uninitialized local")
(assert_invalid
  (module (func (local $r (ref i31))
    (if (i32.const 0) (then (local.set $r (ref.i31 (i32.const 0)))) (else (local.set $r (ref.i31 (i32.const 0)))))
    (drop (local.get $r))))
  "uninitialized local")
(assert_invalid
  (module (func (local $r (ref i31)) (try_table (local.set $r (ref.i31 (i32.const 0)))) (drop (local.get $r))))
  "uninitialized local")
(assert_invalid (module (func (local $r (ref i31)) unreachable (drop (local.get $r)))) "uninitialized local")
