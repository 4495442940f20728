//! What comes of any mutation is a valid case, within its size, and differs only where it was changed.

use wasmparser::{Parser, Payload, Validator, WasmFeatures};

use super::{any_bytes, cross, mutate};
use crate::generate::input::{ENTRIES, Input};
use crate::generate::{objects, seed_bytes};
use crate::{Action, Case, Source};

fn case(bytes: &[u8]) -> Case {
    objects::of(&Input::decode(bytes), &objects::Options::default())
}

fn module(case: &Case) -> &[u8] {
    match &case.steps[0].action {
        Action::Module { source: Source::Binary(bytes), .. } => bytes,
        other => panic!("{other:?}"),
    }
}

fn assert_valid(bytes: &[u8]) {
    let case = case(bytes);
    if let Err(error) = Validator::new_with_features(WasmFeatures::WASM3).validate_all(module(&case)) {
        panic!("{bytes:02x?}: {error}");
    }
}

#[test]
fn every_mutant_is_valid() {
    for start in 0..30 {
        let mut bytes = seed_bytes(start);
        for seed in 0..40 {
            let other = seed_bytes(start + seed);
            bytes = mutate(&bytes, seed, 4096, &mut any_bytes);
            if seed % 4 == 3 {
                bytes = cross(&bytes, &other, seed, 4096);
            }
            assert!(bytes.len() <= 4096);
            assert_valid(&bytes);
        }
    }
}

#[test]
fn anything_can_be_mutated_into_little() {
    for input in [&[][..], b"x", b"aso1", b"aso1\x0d\xff", &[0; 900]] {
        for most in [0, 1, 3, 4, 7, 20, 60, 300] {
            for seed in 0..30 {
                let mutant = mutate(input, seed, most, &mut any_bytes);
                let child = cross(input, &mutant, seed, most);
                assert!(mutant.len() <= most && child.len() <= most, "{} {}", mutant.len(), child.len());
                if seed == 0 {
                    assert_valid(&mutant);
                    assert_valid(&child);
                }
            }
        }
    }
}

#[test]
fn the_same_seed_mutates_alike_and_others_do_not() {
    let (bytes, other) = (seed_bytes(1), seed_bytes(2));
    let mut mutants = std::collections::HashSet::new();
    for seed in 0..200 {
        let mutant = mutate(&bytes, seed, 1 << 16, &mut any_bytes);
        assert_eq!(mutant, mutate(&bytes, seed, 1 << 16, &mut any_bytes));
        assert_ne!(Input::decode(&mutant), Input::decode(&bytes), "seed {seed}");
        mutants.insert(mutant);
        let child = cross(&bytes, &other, seed, 1 << 16);
        assert_eq!(child, cross(&bytes, &other, seed, 1 << 16));
        mutants.insert(child);
    }
    assert!(mutants.len() > 200, "{}", mutants.len());
}

/// Bodies of functions, and the types.
fn parts(module: &[u8]) -> (Vec<Vec<u8>>, Vec<String>) {
    let (mut bodies, mut types) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload.unwrap() {
            Payload::CodeSectionEntry(body) => bodies.push(body.as_bytes().to_vec()),
            Payload::TypeSection(section) => {
                types = section.into_iter().map(|group| format!("{:?}", group.unwrap())).collect();
            }
            _ => {}
        }
    }
    (bodies, types)
}

#[test]
fn a_statement_changes_its_function_alone() {
    let (mut compared, mut changed) = (0, 0);
    let options = objects::Options { keeps_uncalled: true, ..objects::Options::default() };
    for seed in 0..60 {
        let input = Input::decode(&seed_bytes(seed));
        let before = objects::of(&input, &options);
        let (bodies, types) = parts(module(&before));
        for entry in 0..ENTRIES {
            for at in [0, 1] {
                let mut mutant = input.clone();
                mutant.entries[entry][at] = seed_bytes(seed + 1000);
                let after = objects::of(&mutant, &options);
                let (others, other_types) = parts(module(&after));
                // A type that a block needs moves those behind it; a limit follows from what the program reaches.
                if types != other_types || bodies.len() != others.len() {
                    continue;
                }
                let differing = bodies.iter().zip(&others).filter(|(a, b)| a != b).count();
                assert!(differing <= 1, "seed {seed}: {differing} functions differ");
                compared += 1;
                changed += differing;
                assert_eq!(before.schedule.turns, after.schedule.turns);
                assert_eq!(before.schedule.collect, after.schedule.collect);
            }
        }
    }
    println!("{compared} compared, {changed} changed");
    assert!(compared > 150 && changed > compared / 4, "{compared} compared, {changed} changed");
}
