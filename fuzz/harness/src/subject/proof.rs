//! Proofs of features: for each a case that cannot pass without it, which any subject can run (modules without the harness's imports, calls
//! with numbers). A subject proves what it claims; of a program that can claim nothing it is found out.

use crate::compare::{Verdict, check_expectations};
use crate::{Case, Features, Subject};

/// A feature and its case.
#[derive(Debug)]
pub struct Proof {
    /// Its name for people.
    pub name: &'static str,
    /// A script.
    pub case: &'static str,
    claim: fn(&mut Features) -> &mut bool,
}

impl Proof {
    /// Whether it is claimed.
    pub fn claimed(&self, features: Features) -> bool {
        let mut features = features;
        *(self.claim)(&mut features)
    }
}

/// What no engine passes.
pub(crate) const FALSE: &str = r#"(module (func (export "f") (param i32) (result i64) (i64.extend_i32_s (local.get 0))))
    (assert_return (invoke "f" (i32.const -7)) (i64.const 7))"#;

/// What every engine runs.
const PLAIN: &str = r#"(module (func (export "f") (param i32) (result i64) (i64.extend_i32_s (local.get 0))))
    (assert_return (invoke "f" (i32.const -7)) (i64.const -7))"#;

/// All of them.
pub const PROOFS: &[Proof] = &[
    Proof {
        name: "validation",
        claim: |f| &mut f.validates,
        case: r#"(assert_invalid (module (func (result i32))) "type mismatch")
           (assert_malformed (module binary "\00asm\01\00\00") "unexpected end")"#,
    },
    Proof {
        name: "gc",
        claim: |f| &mut f.gc,
        case: r#"(module
             (type $s (struct (field (mut i32)) (field (ref null $s))))
             (type $a (array (mut i16)))
             (func (export "sum") (result i32)
               (local $x (ref $s))
               (local.set $x (struct.new $s (i32.const 5) (struct.new $s (i32.const 6) (ref.null $s))))
               (i32.add (struct.get $s 0 (local.get $x)) (struct.get $s 0 (struct.get $s 1 (local.get $x)))))
             (func (export "array") (result i32)
               (array.get_s $a (array.new $a (i32.const -1) (i32.const 3)) (i32.const 2)))
             (func (export "i31") (param i32) (result i32) (i31.get_s (ref.i31 (local.get 0))))
             (func (export "test") (result i32) (ref.test (ref $s) (array.new_default $a (i32.const 1))))
             (func (export "cast") (result i32) (struct.get $s 0 (ref.cast (ref $s) (ref.i31 (i32.const 1))))))
           (assert_return (invoke "sum") (i32.const 11))
           (assert_return (invoke "array") (i32.const -1))
           (assert_return (invoke "i31" (i32.const -1)) (i32.const -1))
           (assert_return (invoke "test") (i32.const 0))
           (assert_trap (invoke "cast") "cast failure")"#,
    },
    Proof {
        name: "tail calls",
        claim: |f| &mut f.tail_calls,
        case: r#"(module (func $f (export "f") (param i32) (result i32)
             (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 7))
               (else (return_call $f (i32.sub (local.get 0) (i32.const 1)))))))
           (assert_return (invoke "f" (i32.const 1000000)) (i32.const 7))"#,
    },
    Proof {
        name: "memory64",
        claim: |f| &mut f.memory64,
        case: r#"(module (memory i64 1) (func (export "f") (param i64) (result i32) (i32.load (local.get 0))))
           (assert_return (invoke "f" (i64.const 0)) (i32.const 0))
           (assert_trap (invoke "f" (i64.const 0x100000000)) "out of bounds memory access")"#,
    },
    Proof {
        name: "several memories",
        claim: |f| &mut f.multi_memory,
        case: r#"(module (memory 1) (memory $m 2) (func (export "f") (result i32) (memory.size $m)))
           (assert_return (invoke "f") (i32.const 2))"#,
    },
    Proof {
        name: "simd",
        claim: |f| &mut f.simd,
        case: r#"(module
             (func (export "f") (param i32) (result i32)
               (i32x4.extract_lane 2
                 (i32x4.add (i32x4.splat (local.get 0))
                   (i8x16.swizzle (v128.const i32x4 1 2 3 4) (i32x4.splat (i32.const 0x03020100)))))))
           (assert_return (invoke "f" (i32.const 4)) (i32.const 5))"#,
    },
    Proof {
        name: "relaxed simd",
        claim: |f| &mut f.relaxed_simd,
        case: r#"(module (func (export "f") (result i32)
             (i32x4.extract_lane 0 (i32x4.relaxed_trunc_f32x4_s (f32x4.splat (f32.const 7.5))))))
           (assert_return (invoke "f") (i32.const 7))"#,
    },
    Proof {
        name: "conversions in constants",
        claim: |f| &mut f.constant_conversions,
        case: r#"(module
             (global $e externref (extern.convert_any (ref.i31 (i32.const 5))))
             (global $a anyref (any.convert_extern (global.get $e)))
             (func (export "f") (result i32) (i31.get_s (ref.cast (ref i31) (global.get $a)))))
           (assert_return (invoke "f") (i32.const 5))"#,
    },
    Proof {
        name: "exceptions",
        claim: |f| &mut f.exceptions,
        case: r#"(module
             (tag $e (param i32))
             (func $f (export "f") (param i32) (throw $e (local.get 0)))
             (func (export "g") (param i32) (result i32)
               (block $caught (result i32)
                 (try_table (catch $e $caught) (call $f (local.get 0)))
                 (i32.const 0)))
             (func (export "h") (param i32) (result i32)
               (block $again (result i32)
                 (try_table (catch $e $again)
                   (block $caught (result exnref)
                     (try_table (catch_all_ref $caught) (call $f (local.get 0)))
                     (unreachable))
                   (throw_ref))
                 (unreachable))))
           (assert_return (invoke "g" (i32.const 5)) (i32.const 5))
           (assert_return (invoke "h" (i32.const 6)) (i32.const 6))"#,
    },
    Proof {
        name: "legacy exceptions",
        claim: |f| &mut f.legacy_exceptions,
        case: r#"(module
             (tag $e (param i32))
             (func (export "f") (result i32) try (result i32) i32.const 6 throw $e catch $e end))
           (assert_return (invoke "f") (i32.const 6))"#,
    },
];

/// Makes `subject` prove each feature that it claims, and that it runs anything.
///
/// # Errors
/// The feature that it failed, and how.
pub fn prove(subject: &mut dyn Subject) -> Result<(), (&'static str, String)> {
    passes(subject, PLAIN).map_err(|why| ("a module without features", why))?;
    for proof in PROOFS {
        if proof.claimed(subject.supports()) {
            passes(subject, proof.case).map_err(|why| (proof.name, why))?;
        }
    }
    Ok(())
}

/// The features of a subject that claims none: those whose cases pass. Validity is not judged by what cannot tell why it refuses.
///
/// # Errors
/// When it runs nothing.
pub fn find_out(subject: &mut dyn Subject) -> Result<Features, String> {
    passes(subject, PLAIN)?;
    let mut features = Features::default();
    for proof in PROOFS {
        *(proof.claim)(&mut features) = passes(subject, proof.case).is_ok();
    }
    Ok(features)
}

fn passes(subject: &mut dyn Subject, text: &str) -> Result<(), String> {
    let case = Case::parse(text, "proof").map_err(|error| error.to_string())?;
    let seen = subject.observe(&case);
    for (step, verdict) in check_expectations(&case, subject.name(), &seen).into_iter().enumerate() {
        match verdict {
            Verdict::Pass => {}
            other => return Err(format!("step {step}: {other:?}: {:?}", seen.outcomes.get(step))),
        }
    }
    if let Some(bad) = seen
        .outcomes
        .iter()
        .find(|outcome| matches!(outcome, crate::Outcome::Crashed(_) | crate::Outcome::Unsupported(_)))
    {
        return Err(format!("{bad:?}"));
    }
    Ok(())
}
