//! Mutants are many, mostly well formed, and the same for the same bytes.

use super::*;
use crate::generate::SplitMix64;

fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut random = SplitMix64::new(seed);
    (0..len).map(|_| (random.next() >> 33) as u8).collect()
}

#[test]
fn the_same_bytes_give_the_same_module() {
    for seed in 0..200 {
        let bytes = random(seed, 2048);
        assert_eq!(input(&bytes, &[]).module, input(&bytes, &[]).module, "seed {seed}");
    }
}

#[test]
fn short_inputs_give_modules() {
    for len in 0..64 {
        assert!(!input(&random(7, len), &[]).module.is_empty());
    }
}

#[test]
fn every_kind_of_mutation_happens_and_most_mutants_are_well_formed() {
    let mut seen = std::collections::BTreeSet::new();
    let (mut malformed, mut total) = (0, 0);
    for seed in 0..1200 {
        let input = input(&random(seed, 4096), &[]);
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
fn a_verdict_is_about_acceptance() {
    let invalid = |text: &str| Judgement::Invalid(None, text.to_owned());
    let verdict = |ours: Judgement, theirs: Judgement| Verdict { ours, theirs }.agrees();
    assert!(verdict(Judgement::Malformed("a".into()), invalid("b")));
    assert!(verdict(Judgement::Accepted, Judgement::Accepted));
    assert!(!verdict(Judgement::Accepted, invalid("b")));
    assert!(!verdict(invalid("b"), Judgement::Accepted));
    assert!(verdict(Judgement::Limit("a".into()), Judgement::Accepted));
    assert!(!verdict(Judgement::Crashed("a".into()), invalid("b")));
}

#[test]
fn threads_are_not_part_of_3_0() {
    let shared = wat::parse_str("(module (memory 1 1 shared))").unwrap();
    let verdict = judge(&shared, false);
    assert!(verdict.agrees() && verdict.ours != Judgement::Accepted, "{verdict:?}");
}

#[test]
fn keys_leave_numbers_out() {
    let verdict =
        |text: &str| Verdict { ours: Judgement::Accepted, theirs: Judgement::Invalid(None, text.into()) };
    assert_eq!(verdict("at offset 0x12: type 7").key(), verdict("at offset 0x345: type 21").key());
    assert_ne!(verdict("type 7").key(), verdict("tag 7").key());
}
