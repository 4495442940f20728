//! What is particular to mark and lazy sweep: when collections come, what an allocation sweeps, what the verifier knows
//! of blocks that are not swept yet, and what goes back to the operating system. The contract of all collectors is
//! tested in `contract`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

#[expect(dead_code, reason = "shared with the contract suite, which uses all of it")]
#[path = "contract/model.rs"]
mod model;

use assay_gc::{CollectKind, ErrorKind, GcRef, HeapConfig, Stats, Stress, find};

use model::{BYTES, LIST, REFS, Value, World};

/// Bytes of a block and of a list's cell.
const BLOCK: usize = 1 << 13;
const CELL: usize = 16;
const CELLS: usize = BLOCK / CELL;

fn world(initial_bytes: u64) -> World {
    World::new(find("marksweep").unwrap(), HeapConfig { initial_bytes, ..HeapConfig::default() })
}

/// Makes cells that die at once.
fn churn(world: &mut World, cells: usize) {
    for _ in 0..cells {
        world.create(LIST, 0, 5, true).unwrap();
    }
    world.set_root(5, GcRef::NULL, Value::Null);
}

/// Makes `cells` cells of which each second one lives, in an array in root 2.
fn interleaved(world: &mut World, cells: usize) {
    world.create(REFS, cells as u32 / 2, 2, false).unwrap();
    for index in 0..cells {
        world.create(LIST, 0, 5, true).unwrap();
        if index % 2 == 0 {
            let (cell, shadow) = world.root(5);
            world.store(2, index / 2, cell, shadow);
        }
    }
    world.set_root(5, GcRef::NULL, Value::Null);
}

/// A collection that leaves its blocks to be swept later.
fn collect_lazily(world: &mut World) {
    world.heap.collect(CollectKind::Minor, &mut world.roots).unwrap();
}

fn since(world: &World, before: &Stats, counter: fn(&Stats) -> u64) -> u64 {
    counter(&world.heap.stats()) - counter(before)
}

#[test]
fn survivors_spread_over_all_blocks_cost_one_collection_a_turn() {
    let mut world = world(1 << 16);
    interleaved(&mut world, 40_000);
    collect_lazily(&mut world);
    let (_, live) = world.heap.live(&mut world.roots);
    let before = world.heap.stats();
    churn(&mut world, 400_000);
    let full = since(&world, &before, |stats| stats.full);
    let turns = since(&world, &before, |stats| stats.bytes_allocated) / live;
    assert!((turns / 2..=turns + 1).contains(&full), "{full} collections for {turns} times what is alive");
}

#[test]
fn an_allocation_sweeps_no_more_than_it_needs() {
    let mut world = world(1 << 20);
    churn(&mut world, 40 * CELLS);
    collect_lazily(&mut world);
    for _ in 0..3 * CELLS {
        let before = world.heap.stats();
        world.create(LIST, 0, 5, true).unwrap();
        assert!(since(&world, &before, |stats| stats.blocks_swept) <= 1);
    }
    let half_alive = 4 * CELLS;
    interleaved(&mut world, half_alive);
    collect_lazily(&mut world);
    for _ in 0..half_alive / 2 {
        let before = world.heap.stats();
        world.create(LIST, 0, 5, true).unwrap();
        assert!(since(&world, &before, |stats| stats.blocks_swept) <= 1);
    }
}

#[test]
fn blocks_that_stay_free_go_back_without_being_asked_for() {
    let mut world = world(1 << 16);
    for _ in 0..200_000 {
        world.create(LIST, 0, 5, true).unwrap();
        let (rest, shadow) = world.root(2);
        world.store(5, 0, rest, shadow);
        let (list, shadow) = world.root(5);
        world.set_root(2, list, shadow);
    }
    world.set_root(2, GcRef::NULL, Value::Null);
    let before = world.heap.stats();
    while since(&world, &before, |stats| stats.full) < 3 {
        churn(&mut world, CELLS);
    }
    let stats = world.heap.stats();
    assert_eq!(stats.forced, 0);
    assert!(stats.shrunk > before.shrunk, "{stats:?}");
    assert_eq!(world.check(), 0);
}

#[test]
fn growth_is_counted_when_the_heap_takes_memory() {
    let mut world = world(1 << 24);
    interleaved(&mut world, 64 * CELLS);
    // Memory is taken 64 KiB at a time: eight blocks. The array takes four pieces at once.
    let blocks = 64 / 8;
    assert_eq!(world.heap.stats().grown, blocks + 1);
    for _ in 0..100 {
        // They lie behind the array, in what is committed for it, or take some more.
        world.create(BYTES, 2_000, 4, false).unwrap();
    }
    assert!(world.heap.stats().grown <= blocks + 1 + 100 * 2_048 / (1 << 16) + 1);
}

#[test]
fn poison_does_not_sweep() {
    let stress = Stress { poison: true, verify: true, ..Stress::default() };
    for (settle, swept) in [(false, 0), (true, 2)] {
        let config = HeapConfig { stress: Stress { settle, ..stress }, ..HeapConfig::default() };
        let mut world = World::new(find("marksweep").unwrap(), config);
        interleaved(&mut world, 2 * CELLS);
        collect_lazily(&mut world);
        assert_eq!(world.heap.stats().blocks_swept, swept);
        churn(&mut world, 2 * CELLS);
        assert_eq!(world.heap.stats().blocks_swept, 2);
        assert_eq!(world.check(), 1 + CELLS);
    }
}

#[test]
fn sweeping_between_collections_is_timed() {
    let config = HeapConfig { max_bytes: 1 << 18, ..HeapConfig::default() };
    let mut world = World::new(find("marksweep").unwrap(), config);
    churn(&mut world, 20 * CELLS);
    collect_lazily(&mut world);
    assert_eq!((world.heap.pauses().count(), world.heap.pauses().sweeping), (1, 0));
    churn(&mut world, 1);
    let sweeping = world.heap.pauses().sweeping;
    assert!(sweeping > 0);
    churn(&mut world, CELLS - 1);
    assert_eq!(world.heap.pauses().sweeping, sweeping, "no block was swept since");
    assert_eq!(world.heap.pauses().count(), 1);
    // The dead of other blocks stand in its way.
    world.create(BYTES, 200_000, 4, false).unwrap();
    assert_eq!(world.heap.stats().collections, 1);
    assert_eq!(world.heap.pauses().count(), 2);
}

#[test]
fn a_root_that_names_what_the_sweep_will_free_is_reported() {
    let mut world = world(1 << 20);
    world.create(LIST, 0, 1, true).unwrap();
    world.create(LIST, 0, 3, true).unwrap();
    let (stale, shadow) = world.root(1);
    world.set_root(1, GcRef::NULL, Value::Null);
    collect_lazily(&mut world);
    world.heap.verify(&mut world.roots).unwrap();
    // The object is there yet, word for word.
    world.set_root(1, stale, shadow);
    let error = world.heap.verify(&mut world.roots).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Verify(what) if what.contains("given to the sweep")),
        "{error}"
    );
}
