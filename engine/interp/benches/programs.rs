//! The programs that the interpreter is measured with, as text: each exports `run (param i32) (result i32)`.

/// A program with its argument and what it must answer.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its name in the report.
    pub name: &'static str,
    /// The module.
    pub text: &'static str,
    /// The argument.
    pub argument: i32,
    /// The result.
    pub result: i32,
}

/// The sieve of Eratosthenes over bytes, then a checksum of the memory: i32 loops, loads and stores.
pub const SIEVE: Program = Program {
    name: "sieve",
    text: r#"(module
        (memory 4)
        (func (export "run") (param $n i32) (result i32)
            (local $i i32) (local $j i32) (local $sum i32)
            (memory.fill (i32.const 0) (i32.const 1) (local.get $n))
            (local.set $i (i32.const 2))
            (block $done
                (loop $outer
                    (br_if $done (i32.gt_u (i32.mul (local.get $i) (local.get $i)) (local.get $n)))
                    (if (i32.load8_u (local.get $i))
                        (then
                            (local.set $j (i32.mul (local.get $i) (local.get $i)))
                            (loop $inner
                                (i32.store8 (local.get $j) (i32.const 0))
                                (local.set $j (i32.add (local.get $j) (local.get $i)))
                                (br_if $inner (i32.lt_u (local.get $j) (local.get $n))))))
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (br $outer)))
            ;; Adler-like checksum over words.
            (local.set $i (i32.const 0))
            (loop $words
                (local.set $sum
                    (i32.add (i32.rotl (local.get $sum) (i32.const 5))
                        (i32.xor (i32.load (local.get $i)) (local.get $i))))
                (i32.store offset=200000 (i32.and (local.get $i) (i32.const 0xfff)) (local.get $sum))
                (br_if $words
                    (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (local.get $n))))
            (local.get $sum)))"#,
    argument: 150_000,
    result: -381_674_244,
};

/// The Fibonacci numbers by double recursion: calls.
pub const FIB: Program = Program {
    name: "fib",
    text: r#"(module
        (func $fib (export "run") (param $n i32) (result i32)
            (if (result i32) (i32.lt_s (local.get $n) (i32.const 2))
                (then (local.get $n))
                (else
                    (i32.add
                        (call $fib (i32.sub (local.get $n) (i32.const 1)))
                        (call $fib (i32.sub (local.get $n) (i32.const 2))))))))"#,
    argument: 24,
    result: 46_368,
};
