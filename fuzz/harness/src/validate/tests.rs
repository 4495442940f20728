//! Mutants are many, mostly well formed, and the same for the same bytes.

use super::*;
use crate::generate::SplitMix64;

fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut random = SplitMix64::new(seed);
    (0..len).map(|_| (random.next() >> 33) as u8).collect()
}

#[test]
fn the_same_bytes_give_the_same_module() {
    let seeds = Seeds::default();
    for seed in 0..200 {
        let bytes = random(seed, 2048);
        assert_eq!(input(&bytes, &seeds).module, input(&bytes, &seeds).module, "seed {seed}");
    }
}

#[test]
fn short_inputs_give_modules() {
    let seeds = Seeds::default();
    for len in 0..64 {
        assert!(!input(&random(7, len), &seeds).module.is_empty());
    }
}

#[test]
fn every_kind_of_mutation_happens_and_most_mutants_are_well_formed() {
    let seeds = Seeds::default();
    let mut seen = std::collections::BTreeSet::new();
    let (mut malformed, mut total) = (0, 0);
    for seed in 0..1200 {
        let input = input(&random(seed, 4096), &seeds);
        seen.extend(input.kinds.iter().copied());
        if input.origin == Origin::Types {
            total += 1;
            malformed +=
                u32::from(matches!(judge(&input.module, input.legacy).ours, Judgement::Malformed(_)));
        }
    }
    let missing: Vec<Kind> = Kind::ALL.iter().copied().filter(|kind| !seen.contains(kind)).collect();
    assert_eq!(missing, []);
    assert!(malformed * 5 < total, "{malformed} of {total} mutants are malformed");
}

#[test]
fn mutants_differ_from_a_base_that_both_accept() {
    let seeds = Seeds::default();
    let mut mutants = 0;
    for seed in 0..400 {
        let input = input(&random(seed, 4096), &seeds);
        let base = match &input.base {
            Base::None => {
                assert_eq!((input.origin, &input.kinds), (Origin::Whole, &Vec::new()));
                continue;
            }
            Base::Seed => {
                let all = seeds.own.iter().chain(&seeds.legacy);
                let same = all.filter(|seed| [&seed.module, &seed.normal].contains(&&input.module)).count();
                assert_eq!(same, 0, "seed {seed}: {:?}", input.kinds);
                mutants += 1;
                continue;
            }
            Base::Module(base) => base,
        };
        assert_ne!(input.module, *base, "seed {seed}: {:?}", input.kinds);
        assert!(judge(base, input.legacy).accepted(), "seed {seed}");
        mutants += 1;
    }
    assert!(mutants > 300, "{mutants} mutants");
}

/// What is made right but for one thing is well formed, and as often valid as not.
#[test]
fn what_is_nearly_valid_is_valid_and_invalid_by_turns() {
    let nearly = [Kind::Subtype, Kind::Operands, Kind::Typed, Kind::Branch, Kind::Initialization];
    let mut counts = std::collections::BTreeMap::new();
    let seeds = Seeds::default();
    for (number, seed) in seeds.own.iter().enumerate() {
        for at in 0..700 {
            let bytes = random((number * 1000 + at) as u64, 512);
            let mut unstructured = Unstructured::new(&bytes);
            let Some((kind, mutant)) =
                mutate::mutate(&seed.normal, false, &mut Choices::new(&mut unstructured))
            else {
                continue;
            };
            if !nearly.contains(&kind) {
                continue;
            }
            let (valid, invalid) = counts.entry(kind).or_insert((0, 0));
            match judge(&mutant, false).ours {
                Judgement::Accepted => *valid += 1,
                Judgement::Invalid(..) => *invalid += 1,
                other => panic!("{kind:?}: {other}"),
            }
        }
    }
    assert_eq!(counts.len(), nearly.len(), "{counts:?}");
    for (kind, (valid, invalid)) in &counts {
        let all = valid + invalid;
        assert!(
            valid * 5 > all && invalid * 5 > all,
            "{kind:?}: {valid} valid, {invalid} invalid; {counts:?}"
        );
    }
}

/// The choices of a mutation come from the input as far as it has bytes, not from the tail that all inputs share.
#[test]
fn inputs_of_one_beginning_give_different_mutants() {
    let seeds = Seeds::default();
    let differs = |beginning: u64| {
        let mutants = (0..8).map(|seed| {
            // A type-mutated own seed, the same 24 bytes of choices, then others.
            let mut bytes = vec![0x26, 0, 0x80];
            bytes.extend(random(beginning, 24));
            bytes.extend(random(seed, 4096));
            input(&bytes, &seeds).module
        });
        mutants.collect::<std::collections::BTreeSet<_>>().len() > 1
    };
    assert!((0..2000).any(differs), "what follows 24 bytes makes no difference");
}

/// What a change that is none leaves behind is no mutant: here nothing but the same index can be chosen as a rule.
#[test]
fn a_mutation_without_effect_is_none() {
    let base =
        mutate::normal(&module("(module (global i32 (i32.const 1)) (export \"g\" (global 0)))")).unwrap();
    let (mut same, mut changed) = (0, 0);
    for seed in 0..400 {
        let bytes = random(seed, 64);
        match mutate::mutate(&base, false, &mut Choices::new(&mut Unstructured::new(&bytes))) {
            None => same += 1,
            Some((_, mutant)) => {
                assert_ne!(mutant, base);
                changed += 1;
            }
        }
    }
    assert!(same > 0 && changed > 0, "{same} without effect, {changed} with");
}

#[test]
fn a_verdict_is_about_acceptance_and_with_the_jit_about_its_class() {
    let text = || "why".to_owned();
    let (malformed, invalid) = (|| Judgement::Malformed(text()), || Judgement::Invalid(None, text()));
    let (rejected, limit) = (|| Judgement::Rejected(text()), || Judgement::Limit(text()));
    let accepted = || Judgement::Accepted;
    let verdict = |ours, theirs, jit| Verdict { ours, theirs, jit, settled: None }.agrees();
    assert!(verdict(malformed(), rejected(), malformed()));
    assert!(verdict(invalid(), rejected(), invalid()));
    assert!(!verdict(malformed(), rejected(), invalid()));
    assert!(!verdict(invalid(), rejected(), malformed()));
    assert!(verdict(accepted(), accepted(), accepted()));
    assert!(!verdict(accepted(), rejected(), accepted()));
    assert!(!verdict(accepted(), accepted(), invalid()));
    assert!(!verdict(invalid(), accepted(), invalid()));
    assert!(!verdict(invalid(), rejected(), accepted()));
    assert!(verdict(limit(), accepted(), malformed()));
    assert!(verdict(accepted(), limit(), limit()));
    assert!(!verdict(accepted(), limit(), malformed()));
    assert!(!verdict(invalid(), rejected(), Judgement::Crashed(text())));
    assert!(!verdict(Judgement::Crashed(text()), rejected(), limit()));
}

/// What is not compared is told, by pair and by limit.
#[test]
fn uncompared_pairs_have_a_reason() {
    let limit = |text: &str| Judgement::Limit(text.into());
    let verdict = |ours, theirs, jit| Verdict { ours, theirs, jit, settled: None }.uncompared();
    let accepted = || Judgement::Accepted;
    assert!(verdict(accepted(), accepted(), accepted()).is_empty());
    assert!(verdict(accepted(), Judgement::Rejected("count exceeds".into()), accepted()).is_empty());
    assert_eq!(
        verdict(accepted(), limit("100 too many (at offset 0x12)"), limit("101 types, 100 at most")),
        [
            "assay-interp and wasmparser, a limit of wasmparser: 0 too many",
            "assay-interp and assay-jit, a limit of assay-jit: 0 types, 0 at most",
        ]
    );
    assert_eq!(
        verdict(limit("mine"), limit("yours"), Judgement::Crashed(String::new())),
        ["assay-interp and wasmparser, a limit of assay-interp: mine"]
    );
}

/// An index beyond wasmparser's limit of types is one of no type, in a module of fewer bytes.
#[test]
fn an_index_of_no_type_is_against_a_rule() {
    // The type (ref null 0x10_0000) of a local.
    let verdict = judge(&function(b"\x01\x01\x63\x80\x80\xc0\0\x0b"), false);
    assert!(matches!(verdict.ours, Judgement::Invalid(Some(Rule::UnknownType), _)), "{verdict}");
    assert!(matches!(verdict.theirs, Judgement::Rejected(_)), "{verdict}");
    assert!(verdict.agrees() && verdict.uncompared().is_empty(), "{verdict}");
}

#[test]
fn keys_leave_numbers_out() {
    let verdict = |text: &str| Verdict {
        ours: Judgement::Accepted,
        theirs: Judgement::Rejected(text.into()),
        jit: Judgement::Invalid(None, text.into()),
        settled: None,
    };
    assert_eq!(verdict("at offset 0x12: type 7").key(), verdict("at offset 0xfe5: type 21").key());
    assert_ne!(verdict("type 7").key(), verdict("tag 7").key());
}

/// Two causes under one rule are two disagreements.
#[test]
fn keys_have_the_words_of_the_other_side() {
    let verdict = |ours: &str, theirs: &str| {
        Verdict {
            ours: Judgement::Invalid(Some(Rule::Drop), ours.into()),
            theirs: Judgement::Rejected(theirs.into()),
            jit: Judgement::Malformed("more".into()),
            settled: None,
        }
        .key()
    };
    assert_ne!(verdict("a", "unknown local 1"), verdict("a", "unknown tag 1"));
    assert_eq!(verdict("a", "unknown local 1"), verdict("b", "unknown local 20"));
}

fn module(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// Beyond a limit of wasmparser and valid for us: nothing to compare, rather than a disagreement.
#[test]
fn limits_of_wasmparser_are_no_disagreement() {
    let chain: String = (1..70).map(|i| format!("(type (sub {} (struct)))", i - 1)).collect();
    let name = "n".repeat(100_001);
    let fields = "(field i32)".repeat(10_001);
    for text in [
        format!("(module (type (sub (struct))) {chain})"),
        format!("(module (func (export \"{name}\")))"),
        format!("(module (type (struct {fields})))"),
        format!("(module (func (param{})))", " i32".repeat(1001)),
        format!("(module (func try_table {} end))", "(catch_all 0)".repeat(10_001)),
        format!("(module (func (result{}) unreachable))", " i32".repeat(1001)),
        "(module (func (local i64) (local i32)))".replace("(local i64)", &"(local i64)".repeat(50_001)),
        "(module (memory 1) MORE)".replace("MORE", &"(memory 1)".repeat(100)),
    ] {
        let verdict = judge(&module(&text), false);
        let short: String = text.chars().take(60).collect();
        assert!(verdict.agrees(), "{short}: {verdict:?}");
        assert!(matches!(verdict.theirs, Judgement::Limit(_)), "{short}: {:?}", verdict.theirs);
    }
}

/// A refusal by a rule is not to be taken for one by a limit, which would hide that we accept.
#[test]
fn rules_of_wasmparser_are_no_limits() {
    for text in [
        "(module (func unreachable select (result i32 i32) drop drop))",
        "(module (memory 65537))",
        "(module (table 2 1 funcref))",
        "(module (func (br 1)))",
        "(module (func (local.get 0)))",
        "(module (type (sub 0 (struct))))",
        "(module (type (sub (struct))) (type (sub (struct))) (type (sub 0 1 (struct))))",
    ] {
        let verdict = judge(&module(text), false);
        assert!(matches!(verdict.theirs, Judgement::Rejected(_)), "{text}: {verdict:?}");
        assert!(verdict.agrees(), "{text}: {verdict:?}");
    }
}

/// Threads are not in 3.0, though wasmparser's set of that name has them.
#[test]
fn threads_are_not_part_of_3_0() {
    for text in [
        "(module (memory 1 1 shared))",
        "(module (import \"\" \"\" (memory 1 1 shared)))",
        "(module (memory 1 1) (func (drop (i32.atomic.load (i32.const 0)))))",
        "(module (func atomic.fence))",
    ] {
        let verdict = judge(&module(text), false);
        assert!(verdict.agrees() && verdict.theirs != Judgement::Accepted, "{text}: {verdict:?}");
    }
}

/// What 3.0 has no encoding for is malformed, also behind something invalid.
#[test]
fn encodings_of_other_proposals_are_malformed() {
    for text in [
        "(module INVALID (func try catch_all end))",
        "(module INVALID (memory 1 1 shared))",
        "(module INVALID (memory 1 (pagesize 1)))",
        "(module INVALID (table 1 1 (ref null (shared func))))",
        "(module INVALID (func (local (ref null cont))))",
        "(module INVALID (type (cont 0)))",
        "(module INVALID (func (i64.const 0) (i64.const 0) i64.mul_wide_s drop drop))",
        "(module INVALID (func atomic.fence))",
        "(module INVALID (func (result (ref null (exact 0))) unreachable))",
    ] {
        for invalid in ["", "(type (sub 7 (struct)))"] {
            let verdict = judge(&module(&text.replace("INVALID", invalid)), false);
            assert!(verdict.agrees(), "{text}: {verdict}");
            assert!(matches!(verdict.jit, Judgement::Malformed(_)), "{text}: {verdict}");
        }
    }
}

/// A module of one function of type `[] → []`; its locals and its body.
fn function(code: &[u8]) -> Vec<u8> {
    let size = code.len() as u8;
    let head = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a";
    [&head[..], &[size + 2, 1, size], code].concat()
}

/// wasmparser refuses the type of a group of no locals; that alone is settled.
#[test]
fn a_group_of_no_locals_has_no_type() {
    let verdict = judge(&function(b"\x01\0\x63\x09\x0b"), false);
    assert_eq!(verdict.ours, Judgement::Accepted, "{verdict}");
    assert_eq!(verdict.settled, Some("the type of a group of no locals"), "{verdict}");
    // One local of that type.
    let verdict = judge(&function(b"\x01\x01\x63\x09\x0b"), false);
    assert!(matches!(verdict.ours, Judgement::Invalid(Some(Rule::UnknownType), _)), "{verdict}");
    assert!(verdict.agrees() && verdict.settled.is_none(), "{verdict}");
    // Another unknown type, in a module that a validator accepts wrongly.
    let module = function(b"\x01\0\x63\x09\xd0\x09\x1a\x0b");
    let mut wrong = judge(&module, false);
    assert!(wrong.agrees() && wrong.settled.is_none(), "{wrong}");
    wrong.ours = Judgement::Accepted;
    assert_eq!(settled::find(&module, false, &wrong), None);
}
