//! libFuzzer's hooks for inputs with sections: the harness's mutations, and libFuzzer's own within one section.

use assay_harness::mutate;
use libfuzzer_sys::{fuzz_crossover, fuzz_mutator, fuzzer_mutate};

/// Bytes that a section may grow by at once.
const GROWTH: usize = 32;

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mutant = mutate::mutate(&data[..size], seed.into(), max_size, &mut |section, rng| {
        // Now and then without what libFuzzer has learnt.
        if rng.gen_index(4) == Some(0) {
            return mutate::any_bytes(section, rng);
        }
        let size = section.len();
        section.resize(size + GROWTH, 0);
        let size = fuzzer_mutate(section, size, size + GROWTH);
        section.truncate(size);
    });
    data[..mutant.len()].copy_from_slice(&mutant);
    mutant.len()
});

fuzz_crossover!(|data1: &[u8], data2: &[u8], out: &mut [u8], seed: u32| {
    let child = mutate::cross(data1, data2, seed.into(), out.len());
    out[..child.len()].copy_from_slice(&child);
    child.len()
});
