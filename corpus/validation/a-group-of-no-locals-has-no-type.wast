;;! title = "a function declares no locals of a type that does not exist"

;; Specification: Binary Format / Modules, Code Section: a group of locals, a count and a type, stands for so many locals; Validation /
;; Modules, Functions: each local's type is valid. A group of none stands for no local, so that nothing asks whether its
;; type is valid. wasmparser 0.263 asks.
;; Here: one function of type [] -> [i32], with one group, 0 times (ref null 9), that gives 42.
(module binary
  "\00asm\01\00\00\00"
  "\01\05\01\60\00\01\7f"
  "\03\02\01\00"
  "\07\05\01\01f\00\00"
  "\0a\09\01\07\01\00\63\09\41\2a\0b")
(assert_return (invoke "f") (i32.const 42))

;; One local of that type, and an unknown type elsewhere in the function with the group of none.
(assert_invalid
  (module binary
    "\00asm\01\00\00\00"
    "\01\05\01\60\00\01\7f"
    "\03\02\01\00"
    "\0a\09\01\07\01\01\63\09\41\2a\0b")
  "unknown type")
(assert_invalid
  (module binary
    "\00asm\01\00\00\00"
    "\01\05\01\60\00\01\7f"
    "\03\02\01\00"
    "\0a\0c\01\0a\01\00\63\09\d0\09\1a\41\2a\0b")
  "unknown type")

;; The encoding of the type is read all the same (7b is v128, no heap type).
(assert_malformed
  (module binary
    "\00asm\01\00\00\00"
    "\01\05\01\60\00\01\7f"
    "\03\02\01\00"
    "\0a\09\01\07\01\00\63\7b\41\2a\0b")
  "malformed")
