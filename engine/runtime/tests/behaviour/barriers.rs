//! Write barriers of generated code: logs, filled by loops of stores that allocate nothing, so that no collection comes in
//! between, and cards.

use crate::common::*;
use assay_gc::{BarrierShape, CollectKind, Stats};
use assay_runtime::*;

/// Cells in an array and, if told so, one below each of them. A chain runs from the last one to the first. What a first
/// unit of marking looks at, if there is such a thing, is the holder, so that no cell is marked by it.
const PROGRAM: &str = r#"(module
    (type $cell (struct (field $below (mut (ref null $cell))) (field $number i32)))
    (type $cells (array (mut (ref null $cell))))
    (type $holder (struct (field (ref $cells))))
    (global $holder (mut (ref null $holder)) (ref.null $holder))
    (global $chain (mut (ref null $cell)) (ref.null $cell))

    (func $cells (result (ref $cells)) (struct.get $holder 0 (global.get $holder)))

    (func (export "make") (param $n i32) (param $two i32) (local $i i32)
        (global.set $holder (struct.new $holder (array.new_default $cells (local.get $n))))
        (loop $next
            (array.set $cells (call $cells) (local.get $i) (struct.new $cell
                (if (result (ref null $cell)) (local.get $two)
                    (then (struct.new $cell (ref.null $cell) (local.get $i)))
                    (else (ref.null $cell)))
                (local.get $i)))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $i) (local.get $n)))))

    ;; Moves each cell out of the array, in front of the chain.
    (func (export "chain-elements") (local $i i32) (local $cell (ref null $cell)) (local $chain (ref null $cell))
        (loop $next
            (local.set $cell (array.get $cells (call $cells) (local.get $i)))
            (struct.set $cell $below (local.get $cell) (local.get $chain))
            (array.set $cells (call $cells) (local.get $i) (ref.null $cell))
            (local.set $chain (local.get $cell))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $i) (array.len (call $cells)))))
        (global.set $chain (local.get $chain)))

    ;; Moves each cell that is below another out of that one, in front of the chain.
    (func (export "chain-fields") (local $i i32) (local $cell (ref null $cell)) (local $chain (ref null $cell))
        (loop $next
            (local.set $cell (struct.get $cell $below (array.get $cells (call $cells) (local.get $i))))
            (struct.set $cell $below (local.get $cell) (local.get $chain))
            (struct.set $cell $below (array.get $cells (call $cells) (local.get $i)) (ref.null $cell))
            (local.set $chain (local.get $cell))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $i) (array.len (call $cells)))))
        (global.set $chain (local.get $chain)))

    ;; Exchanges elements of the array so many times.
    (func (export "exchange") (param $times i32) (local $a i32) (local $b i32) (local $cell (ref null $cell))
        (loop $next
            (local.set $a (local.get $b))
            (local.set $b (i32.rem_u (i32.add (i32.mul (local.get $times) (i32.const 7919)) (local.get $b))
                (array.len (call $cells))))
            (local.set $cell (array.get $cells (call $cells) (local.get $a)))
            (array.set $cells (call $cells) (local.get $a)
                (array.get $cells (call $cells) (local.get $b)))
            (array.set $cells (call $cells) (local.get $b) (local.get $cell))
            (local.set $times (i32.sub (local.get $times) (i32.const 1)))
            (br_if $next (local.get $times))))

    (func (export "sum-of-array") (result i32) (local $i i32) (local $sum i32)
        (loop $next
            (local.set $sum (i32.add (local.get $sum)
                (struct.get $cell $number (array.get $cells (call $cells) (local.get $i)))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $i) (array.len (call $cells)))))
        (local.get $sum))

    ;; The numbers in the chain fall by one.
    (func (export "chained") (result i32) (local $cell (ref null $cell)) (local $count i32)
        (local.set $cell (global.get $chain))
        (loop $next
            (if (i32.eqz (ref.is_null (local.get $cell))) (then
                (if (i32.ne (i32.add (struct.get $cell $number (local.get $cell)) (local.get $count))
                        (i32.sub (array.len (call $cells)) (i32.const 1)))
                    (then (unreachable)))
                (local.set $count (i32.add (local.get $count) (i32.const 1)))
                (local.set $cell (struct.get $cell $below (local.get $cell)))
                (br $next))))
        (local.get $count))

    (func (export "drop") (global.set $holder (ref.null $holder)) (global.set $chain (ref.null $cell))))"#;

/// More objects than any log has room for.
const MANY: i32 = 40_000;

/// A store of a collector with a log, and what a test does to it.
struct Machine {
    name: String,
    store: Store,
    instance: Instance,
    shape: BarrierShape,
}

impl Machine {
    fn call(&mut self, export: &str, arguments: &[Val]) -> Vec<Val> {
        let called = func(&self.store, self.instance, export);
        called
            .call(&mut self.store, arguments)
            .unwrap_or_else(|error| panic!("{}: {export}: {error}", self.name))
    }

    fn stats(&self) -> Stats {
        self.store.heap_stats()
    }

    /// Makes the cells, with nothing in the log afterwards and, if there are cycles, one under way.
    fn make(&mut self, cells: i32, two: bool) {
        self.call("make", &[Val::I32(cells), Val::I32(two.into())]);
        self.store.gc(CollectKind::Full).unwrap();
        self.store.gc(CollectKind::Slice { objects: 1 }).unwrap();
        self.store.verify_heap().unwrap();
    }

    /// Slices up to the end of the cycle under way, or a minor collection.
    fn collect(&mut self) {
        let before = self.stats();
        loop {
            self.store.gc(CollectKind::Slice { objects: 1000 }).unwrap();
            let now = self.stats();
            if (now.cycles, now.minor, now.full) != (before.cycles, before.minor, before.full) {
                break;
            }
        }
        self.store.verify_heap().unwrap();
    }
}

/// Every collector with a log, and both optimisation levels.
fn machines() -> Vec<Machine> {
    let mut machines = Vec::new();
    for entry in assay_gc::registry() {
        let shape = entry.constraints.code.write_barrier;
        match shape {
            BarrierShape::None | BarrierShape::Card => continue,
            BarrierShape::Count | BarrierShape::Snapshot => {}
        }
        for (opt, regalloc) in
            [(OptLevel::None, RegAlloc::SinglePass), (OptLevel::Speed, RegAlloc::Backtracking)]
        {
            let collector = entry.constraints.name.to_owned();
            let name = format!("{collector} {opt:?}");
            let stress = Stress { poison: true, ..Stress::default() };
            let config = Config { collector, opt, regalloc, stress, ..Config::default() };
            let (store, instance) = instance(&Engine::new(config).unwrap(), PROGRAM);
            machines.push(Machine { name, store, instance, shape });
        }
    }
    assert!(machines.len() >= 4);
    machines
}

#[test]
fn a_log_that_generated_code_overflows_loses_nothing() {
    for mut machine in machines() {
        for (chain, two) in [("chain-elements", false), ("chain-fields", true)] {
            machine.make(MANY, two);
            let before = machine.stats();
            machine.call(chain, &[]);
            assert_eq!(machine.stats().slow_allocations, before.slow_allocations, "{}", machine.name);
            machine.store.verify_heap().unwrap();
            machine.collect();
            let after = machine.stats();
            // Each cell is logged or lost: the log ends where it should.
            assert_eq!(after.log_overflows - before.log_overflows, 1, "{}: {after:?}", machine.name);
            let lost = after.log_lost - before.log_lost;
            let logged = after.barrier_work - before.barrier_work;
            assert_eq!(lost + logged, MANY as u64, "{}, {chain}: {lost} lost", machine.name);
            assert!(lost > 0 && logged > 0);
            let gave_up = u64::from(machine.shape == BarrierShape::Snapshot);
            assert_eq!(after.degenerate - before.degenerate, gave_up, "{}", machine.name);
            // All of them are in the chain, which hangs on a global that was set in the end.
            assert_eq!(i32_of(&machine.call("chained", &[])), MANY, "{}", machine.name);
            let kept = if two { 2 * MANY } else { MANY } as u64;
            assert_eq!(machine.store.live_objects().unwrap().0, kept + 2, "{}", machine.name);
            assert_eq!(i32_of(&machine.call("chained", &[])), MANY, "{}", machine.name);
            machine.call("drop", &[]);
            machine.collect();
            assert_eq!(machine.store.live_objects().unwrap(), (0, 0), "{}", machine.name);
        }
    }
}

#[test]
fn a_million_stores_over_a_thousand_objects_log_each_once() {
    const LEN: i32 = 1000;
    for mut machine in machines() {
        machine.make(LEN, false);
        let before = machine.stats();
        machine.call("exchange", &[Val::I32(500_000)]);
        machine.store.verify_heap().unwrap();
        machine.collect();
        let after = machine.stats();
        assert_eq!(after.slow_allocations, before.slow_allocations, "{}", machine.name);
        assert_eq!((after.log_overflows, after.degenerate), (0, 0), "{}: {after:?}", machine.name);
        let cycles = u64::from(machine.shape == BarrierShape::Snapshot);
        assert_eq!((after.cycles - before.cycles, after.full), (cycles, before.full), "{}", machine.name);
        let logged = after.barrier_work - before.barrier_work;
        assert!((1..=LEN as u64).contains(&logged), "{}: {logged} logged", machine.name);
        assert_eq!(i32_of(&machine.call("sum-of-array", &[])), (0..LEN).sum::<i32>(), "{}", machine.name);
        assert_eq!(machine.store.live_objects().unwrap().0, LEN as u64 + 2, "{}", machine.name);
    }
}

#[test]
fn a_card_is_marked_for_a_reference_and_not_for_a_null() {
    const PROGRAM: &str = r#"(module
        (type $cell (struct (field $below (mut (ref null $cell)))))
        (type $cells (array (mut (ref null $cell))))
        (global $cell (mut (ref null $cell)) (ref.null $cell))
        (global $cells (mut (ref null $cells)) (ref.null $cells))
        (func (export "make")
            (global.set $cell (struct.new_default $cell))
            (global.set $cells (array.new_default $cells (i32.const 4))))
        (func (export "null-field") (struct.set $cell $below (global.get $cell) (ref.null none)))
        (func (export "null-element") (array.set $cells (global.get $cells) (i32.const 1) (ref.null $cell)))
        (func (export "field")
            (struct.set $cell $below (global.get $cell) (struct.new_default $cell)))
        (func (export "element")
            (array.set $cells (global.get $cells) (i32.const 1) (struct.new_default $cell))))"#;
    let mut machines = 0;
    for entry in assay_gc::registry() {
        if entry.constraints.code.write_barrier != BarrierShape::Card {
            continue;
        }
        for opt in [OptLevel::None, OptLevel::Speed] {
            let collector = entry.constraints.name.to_owned();
            let (mut store, instance) =
                instance(&Engine::new(Config { collector, opt, ..Config::default() }).unwrap(), PROGRAM);
            let mut scanned = |export: &str| {
                func(&store, instance, export).call(&mut store, &[]).unwrap();
                store.verify_heap().unwrap();
                let before = store.heap_stats().barrier_work;
                store.gc(CollectKind::Minor).unwrap();
                store.gc(CollectKind::Full).unwrap();
                store.verify_heap().unwrap();
                store.heap_stats().barrier_work - before
            };
            scanned("make");
            for (export, marks) in
                [("null-field", false), ("field", true), ("null-element", false), ("element", true)]
            {
                assert_eq!(scanned(export) > 0, marks, "{} {opt:?}: {export}", entry.constraints.name);
            }
            assert_eq!(store.live_objects().unwrap().0, 4);
            machines += 1;
        }
    }
    assert!(machines >= 2);
}
