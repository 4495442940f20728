//! A scripted random mutator over every collector, for tools that watch memory (`ci/gc-memory.sh`).
//!
//! `mutator [STEPS]` ends well if no collector touches what it must not. `mutator --plant-stale-read COLLECTOR` reads
//! through a reference to a freed object, which the tool must report. `mutator --collectors` lists those that free.

#![expect(clippy::unwrap_used, reason = "it fails by panicking")]

#[expect(dead_code, reason = "shared with the contract suite, which uses all of it")]
#[path = "../tests/contract/model.rs"]
mod model;

use assay_gc::header::HEADER_SIZE;
use assay_gc::{CollectKind, CollectorEntry, GcRef, HeapConfig, Schedule, Stress, find, registry};

use model::{BYTES, NODE, NODES, Random, Value, World};

/// Tools may refuse, or be slow with, huge mappings.
const RESERVATION: u64 = 32 << 20;
const SEEDS: u64 = 6;

fn world(collector: &CollectorEntry, stress: Stress) -> World {
    let config = HeapConfig {
        stress,
        initial_bytes: 1 << 14,
        reservation: Some(RESERVATION),
        ..HeapConfig::default()
    };
    World::new(collector, config)
}

/// Each seed has its mix of modes; schedules bring every kind of collection.
fn run(collector: &CollectorEntry, seed: u64, steps: usize) {
    let stress = Stress {
        poison: seed & 1 != 0,
        verify: seed & 2 != 0,
        settle: seed & 4 != 0,
        every_nth: if seed == 4 { 5 } else { 0 },
        barrier_slow: seed == 3 || seed == 4,
        move_always: seed == 2 || seed == 3,
        ..Stress::default()
    };
    let mut world = world(collector, stress);
    world.roots.twice = seed.is_multiple_of(3);
    if seed % 2 == 1 {
        world.heap.set_schedule(&Schedule { events: Vec::new(), seed: Some(seed) });
    }
    let mut random = Random(seed);
    for step in 1..=steps {
        world.step(&mut random).unwrap();
        match step % 250 {
            0 => {
                world.check();
                world.collect();
            }
            100 => world.create(BYTES, 70_000, 30, false).map(drop).unwrap(),
            150 => world.create(NODES, 1_000, 31, false).map(drop).unwrap(),
            200 => {
                world.set_root(30, GcRef::NULL, Value::Null);
                world.heap.collect(CollectKind::Slice { objects: 8 }, &mut world.roots).unwrap();
                world.heap.safepoint(&mut world.roots).unwrap();
            }
            _ => {}
        }
    }
    world.check();
    world.heap.verify(&mut world.roots).unwrap();
}

/// Reads a field of an object that has been collected, as code with a root missing from its stack map would.
fn plant(collector: &CollectorEntry) {
    let mut world = world(collector, Stress::default());
    world.create(NODE, 0, 0, true).unwrap();
    let (stale, _) = world.root(0);
    world.set_root(0, GcRef::NULL, Value::Null);
    world.collect();
    // SAFETY: committed memory of the heap, which lives; that nothing may be read there is the point.
    let field = unsafe { world.heap.base().add((stale.0 + HEADER_SIZE) as usize) };
    // SAFETY: as above, and aligned.
    let word = unsafe { field.cast::<u32>().read_volatile() };
    println!("the stale read went through: {word:#x}");
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--collectors"] => {
            for collector in registry().iter().filter(|entry| entry.constraints.collects) {
                println!("{}", collector.constraints.name);
            }
        }
        ["--plant-stale-read", name] => plant(find(name).unwrap()),
        [] => run_all(2_000),
        [steps] => run_all(steps.parse().unwrap()),
        _ => panic!("usage: mutator [STEPS | --collectors | --plant-stale-read COLLECTOR]"),
    }
}

fn run_all(steps: usize) {
    for collector in registry() {
        (0..SEEDS).for_each(|seed| run(collector, seed, steps));
        println!("{}: {SEEDS} seeds of {steps} steps", collector.constraints.name);
    }
}
