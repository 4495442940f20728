//! `cargo fuzz run heap`: a scripted mutator straight on each collector, without wasm, beside a model in plain values.
//!
//! The mutator is the one of the collectors' contract suite: it allocates inline and by the slow path, writes with barriers,
//! copies ranges, drops roots. It can find: objects that are lost, split, merged, kept or overwritten, in any order of
//! collections and modes, at any limit. It cannot find what generated code does wrong, nor anything about objects that are
//! too large for the collectors' size classes: its arrays have fewer than 20 elements.
#![no_main]

#[path = "../../engine/gc/tests/contract/model.rs"]
#[allow(dead_code, reason = "a suite of tests uses more of it")]
mod model;

use assay_gc::{AllocError, CollectorEntry, HeapConfig, Stress, registry};
use libfuzzer_sys::fuzz_target;
use model::{Choose, EMPTY, World};

/// Bytes that each collector can divide.
const LEAST_RESERVATION: u64 = 320 << 10;

/// The input; zeros behind its end.
struct Bytes<'a>(std::slice::Iter<'a, u8>);

impl Choose for Bytes<'_> {
    fn next(&mut self) -> u64 {
        (0..4).fold(0, |bits, _| bits << 8 | u64::from(self.byte()))
    }

    fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }
}

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }
}

fn script(collector: &CollectorEntry, data: &[u8]) {
    let mut bytes = Bytes(data.iter());
    let modes = bytes.byte();
    let mode = |n: u8| modes >> n & 1 == 1;
    let stress = Stress {
        barrier_slow: mode(0),
        move_always: mode(1),
        verify: mode(2) && mode(3),
        poison: mode(4),
        every_nth: if mode(5) { 1 + bytes.below(40) as u32 } else { 0 },
        ..Stress::default()
    };
    let size = bytes.byte();
    let max_bytes = 1 << (14 + size % 7);
    // A few blocks of cells, so that they run out before the limit does.
    let reservation = (size >= 128).then_some(LEAST_RESERVATION << (size % 3));
    let mut world =
        World::new(collector, HeapConfig { initial_bytes: 1 << 14, max_bytes, stress, reservation });
    world.roots.twice = mode(6);
    while !bytes.0.as_slice().is_empty() {
        match bytes.below(16) {
            0 => world.collect_as(&mut bytes),
            1 => world.heap.verify(&mut world.roots).expect("a sound heap"),
            2 => world.heap.safepoint(&mut world.roots).expect("a sound heap"),
            3 => _ = world.check(),
            _ => match world.step(&mut bytes) {
                Ok(()) => {}
                Err(AllocError::OutOfMemory) => {
                    world.check();
                    world.clear();
                    world.collect();
                    let again = world.alloc(EMPTY, 0);
                    assert!(again.is_ok() || !collector.constraints.collects, "no room in an empty heap");
                }
                Err(error) => panic!("{}: {error:?}", collector.constraints.name),
            },
        }
    }
    world.collect();
    let reachable = world.check() as u64;
    if collector.constraints.collects {
        assert_eq!(
            world.heap.retained().expect("a sound heap").0,
            reachable,
            "{}",
            collector.constraints.name
        );
    }
}

fuzz_target!(|data: &[u8]| registry().iter().for_each(|collector| script(collector, data)));
