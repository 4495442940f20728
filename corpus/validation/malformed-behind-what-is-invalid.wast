;;! title = "a module that is malformed behind a list or an index that no valid module has is called invalid"

;; Specification: Introduction / Overview, Semantic Phases: validation is of a module that has been decoded, so that one that is both
;; is malformed. Binary Format / Conventions, Lists: a list has as many items as its count says; Binary Format / Types, Recursive
;; Types: a sub type has a list of supertypes; Binary Format / Instructions: select has a list of types; Binary Format / Types, Heap
;; Types: an index is any that s33 can represent. How many or how large is left to Validation / Types, Recursive Types (at most one
;; supertype), Validation / Instructions, select (one type), Validation / Types, Heap Types (the type is there).
;; wasmparser 0.263 reads 5 supertypes, 10 types and indices below 2^20 and stops at more, so that assay-jit, which reads with it, calls
;; such a module invalid whatever follows (`corpus/tests/replay.rs`, SETTLED).

;; More than wasmparser reads, then a type of a form that does not exist, an opcode that does not exist.
(assert_malformed
  (module binary
    "\00asm\01\00\00\00"
    "\01\11\03\50\00\5f\00\50\06\00\00\00\00\00\00\5f\00\40\00")
  "malformed type")
(assert_malformed
  (module binary
    "\00asm\01\00\00\00"
    "\01\04\01\60\00\00"
    "\03\02\01\00"
    "\0a\13\01\11\00\00\1c\0b\7f\7f\7f\7f\7f\7f\7f\7f\7f\7f\7f\ff\0b")
  "illegal opcode")
(assert_malformed
  (module binary
    "\00asm\01\00\00\00"
    "\01\04\01\60\00\00"
    "\03\02\01\00"
    "\0a\0b\01\09\00\d0\80\80\c0\00\1a\ff\0b")
  "illegal opcode")

;; The same behind as much as it reads.
(assert_malformed
  (module binary
    "\00asm\01\00\00\00"
    "\01\10\03\50\00\5f\00\50\05\00\00\00\00\00\5f\00\40\00")
  "malformed type")
(assert_malformed
  (module binary
    "\00asm\01\00\00\00"
    "\01\04\01\60\00\00"
    "\03\02\01\00"
    "\0a\12\01\10\00\00\1c\0a\7f\7f\7f\7f\7f\7f\7f\7f\7f\7f\ff\0b")
  "illegal opcode")
(assert_malformed
  (module binary
    "\00asm\01\00\00\00"
    "\01\04\01\60\00\00"
    "\03\02\01\00"
    "\0a\0a\01\08\00\d0\ff\ff\3f\1a\ff\0b")
  "illegal opcode")

;; More than it reads, and nothing malformed.
(assert_invalid
  (module binary
    "\00asm\01\00\00\00"
    "\01\0f\02\50\00\5f\00\50\06\00\00\00\00\00\00\5f\00")
  "at most one supertype")
(assert_invalid
  (module binary
    "\00asm\01\00\00\00"
    "\01\04\01\60\00\00"
    "\03\02\01\00"
    "\0a\1d\01\1b\00\00\1c\0b\7f\7f\7f\7f\7f\7f\7f\7f\7f\7f\7f\1a\1a\1a\1a\1a\1a\1a\1a\1a\1a\1a\0b")
  "invalid result arity")
(assert_invalid
  (module binary
    "\00asm\01\00\00\00"
    "\01\04\01\60\00\00"
    "\03\02\01\00"
    "\0a\0a\01\08\00\d0\80\80\c0\00\1a\0b")
  "unknown type")
