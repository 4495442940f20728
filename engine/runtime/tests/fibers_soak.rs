//! A soak of fibers, in one process: many are started, suspended by fuel and by a host function, left to rest beside
//! others, resumed or cancelled, all at random, in small heaps of every collector. What ends gives the right result, and
//! nothing is left behind: no handles, no objects, no stacks, no memory.
//!
//! `ASSAY_SOAK_FIBERS` says how many fibers there are altogether (20,000). What is random is the same each time.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use assay_runtime::*;
use common::*;

/// Fibers of one store that are there at once, at most. An engine keeps more stacks than that.
const AT_ONCE: usize = 50;

/// Fibers after which a store makes way for a new one; the collector that never collects needs that.
const PER_STORE: u64 = 1000;

/// Levels of recursion of one fiber, at most.
const MAX_LEVELS: u64 = 6;

/// Each level of `run` holds a chain of four boxes, and an array of the same ones, in its frame only; every other one is
/// called through the host. At the bottom it returns, traps in two ways, or throws what `go` catches. On the way back
/// each level checks its objects and adds them up.
const TEXT: &str = r#"(module
    (type $box (struct (field $v i32) (field $next (ref null $box))))
    (type $boxes (array (mut (ref null $box))))
    (tag $thrown (param (ref $box)))
    (import "host" "pause" (func $pause (param i32 anyref)))
    (import "host" "again" (func $again (param i32 i32 i32) (result i32)))
    (func $bottom (param $seed i32) (param $end i32) (param $chain (ref null $box)) (result i32)
        (if (i32.eq (local.get $end) (i32.const 1)) (then unreachable))
        (if (i32.eq (local.get $end) (i32.const 2)) (then (throw $thrown (ref.as_non_null (local.get $chain)))))
        (if (i32.eq (local.get $end) (i32.const 3)) (then (drop (struct.get $box $v (ref.null $box)))))
        (local.get $seed))
    (func $run (export "run") (param $levels i32) (param $seed i32) (param $end i32) (result i32)
        (local $chain (ref null $box)) (local $all (ref $boxes)) (local $i i32) (local $sum i32) (local $below i32)
        (local.set $all (array.new_default $boxes (i32.const 4)))
        (loop $more
            (drop (array.new_default $boxes (i32.const 60)))
            (local.set $chain (struct.new $box (i32.add (local.get $seed) (local.get $i)) (local.get $chain)))
            (array.set $boxes (local.get $all) (local.get $i) (local.get $chain))
            (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4))))
        (call $pause (i32.add (local.get $seed) (i32.const 3)) (local.get $chain))
        (local.set $below (i32.add (i32.mul (local.get $seed) (i32.const 31)) (local.get $levels)))
        (local.set $sum
            (if (result i32) (i32.eqz (local.get $levels))
                (then (call $bottom (local.get $seed) (local.get $end) (local.get $chain)))
                (else (if (result i32) (i32.and (local.get $levels) (i32.const 1))
                    (then (call $again (i32.sub (local.get $levels) (i32.const 1)) (local.get $below) (local.get $end)))
                    (else (call $run (i32.sub (local.get $levels) (i32.const 1)) (local.get $below) (local.get $end)))))))
        (call $pause (local.get $seed) (array.get $boxes (local.get $all) (i32.const 0)))
        (loop $add
            (local.set $i (i32.sub (local.get $i) (i32.const 1)))
            (if (i32.eqz (ref.eq (local.get $chain) (array.get $boxes (local.get $all) (local.get $i)))) (then unreachable))
            (local.set $sum (i32.xor (i32.mul (local.get $sum) (i32.const 33)) (struct.get $box $v (local.get $chain))))
            (local.set $chain (struct.get $box $next (local.get $chain)))
            (br_if $add (local.get $i)))
        (local.get $sum))
    (func (export "go") (param $levels i32) (param $seed i32) (param $end i32) (result i32)
        (i32.add (i32.const 7) (struct.get $box $v
            (block $caught (result (ref $box))
                (try_table (catch $thrown $caught)
                    (return (call $run (local.get $levels) (local.get $seed) (local.get $end))))
                (unreachable)))))
)"#;

/// What a call of `go` does at the bottom.
const ENDS: [i32; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 2, 3];

/// What `go` comes to; none = it traps.
fn expected(levels: i32, seed: i32, end: i32) -> Option<i32> {
    let mut seeds = vec![seed];
    for level in (1..=levels).rev() {
        let seed = seeds[seeds.len() - 1];
        seeds.push(seed.wrapping_mul(31).wrapping_add(level));
    }
    let bottom = seeds[seeds.len() - 1];
    match end {
        0 => Some(seeds.iter().rev().fold(bottom, |sum, seed| {
            (0..4).rev().fold(sum, |sum, i| sum.wrapping_mul(33) ^ seed.wrapping_add(i))
        })),
        2 => Some(bottom.wrapping_add(3 + 7)),
        _ => None,
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % n
    }
}

/// Calls of host functions that have begun and not ended.
#[derive(Clone, Default)]
struct Inside(Arc<AtomicI64>);

struct Call(Inside);

impl Inside {
    fn begin(&self) -> Call {
        self.0.fetch_add(1, Relaxed);
        Call(self.clone())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

struct Expected {
    fiber: Fiber,
    result: Option<i32>,
}

/// One collector's store and fibers.
struct World {
    name: String,
    engine: Engine,
    module: Module,
    store: Store,
    go: Func,
    inside: Inside,
    fibers: Vec<Expected>,
    started: u64,
    stats: FiberStats,
    collections: u64,
}

impl World {
    fn new(engine: Engine, name: &str) -> World {
        let module = module(&engine, TEXT);
        let inside = Inside::default();
        let (store, go) = store(&engine, &module, &inside);
        World {
            name: name.to_owned(),
            engine,
            module,
            store,
            go,
            inside,
            fibers: Vec::new(),
            started: 0,
            stats: FiberStats::default(),
            collections: 0,
        }
    }

    /// Starts a fiber.
    fn start(&mut self, random: &mut Random) {
        if self.started > 0 && self.started.is_multiple_of(PER_STORE) {
            self.renew(random.below(2) == 0);
        }
        let levels = random.below(MAX_LEVELS) as i32;
        let seed = random.below(1 << 31) as i32;
        let end = ENDS[random.below(ENDS.len() as u64) as usize];
        let args = [levels, seed, end].map(Val::I32);
        let fiber = Fiber::new(&mut self.store, self.go, &args).unwrap();
        self.fibers.push(Expected { fiber, result: expected(levels, seed, end) });
        self.started += 1;
    }

    /// Something happens to one of the fibers, or to the heap.
    fn event(&mut self, random: &mut Random) {
        match random.below(2048) {
            0..2 => self.store.gc(CollectKind::Full).unwrap(),
            2..6 => self.store.gc(CollectKind::Minor).unwrap(),
            6..12 => self.store.gc(CollectKind::Slice { objects: 9 }).unwrap(),
            12 => self.store.verify_heap().unwrap(),
            _ => {}
        }
        let at = random.below(self.fibers.len() as u64) as usize;
        if random.below(64) == 0 {
            self.fibers.swap_remove(at).fiber.cancel(&mut self.store).unwrap();
            return;
        }
        let most = 1 << (1 + random.below(7));
        let fuel = (random.below(8) > 0).then(|| 1 + random.below(most));
        let turn = self.fibers[at].fiber.resume(&mut self.store, Slice { fuel, epochs: None }).unwrap();
        let Turn::Done(result) = turn else { return };
        let result = match result {
            Ok(values) => Some(i32_of(&values)),
            Err(error) => match error.trap() {
                Some(TrapCode::Unreachable | TrapCode::NullReference) => None,
                _ => panic!("{}: {error}", self.name),
            },
        };
        assert_eq!(result, self.fibers.swap_remove(at).result, "{}", self.name);
    }

    /// A new store instead of the old one, whose fibers are cancelled one by one or by its end.
    fn renew(&mut self, one_by_one: bool) {
        if one_by_one {
            for fiber in self.fibers.drain(..) {
                fiber.fiber.cancel(&mut self.store).unwrap();
            }
            assert_eq!((self.store.suspended_fibers(), self.store.live_handles()), (0, 0), "{}", self.name);
            let collects = self.engine.collector().constraints.collects;
            assert!(!collects || self.store.live_objects().unwrap().0 == 0, "{}", self.name);
        }
        self.fibers.clear();
        let stats = self.store.fiber_stats();
        self.stats.resumes += stats.resumes;
        self.stats.yields += stats.yields;
        self.stats.cancels += stats.cancels;
        self.stats.visits += stats.visits;
        self.stats.moved += stats.moved;
        self.collections += self.store.heap_stats().collections;
        (self.store, self.go) = store(&self.engine, &self.module, &self.inside);
        assert_eq!(self.inside.0.load(Relaxed), 0, "{}: host functions that were not left", self.name);
    }
}

fn store(engine: &Engine, module: &Module, inside: &Inside) -> (Store, Func) {
    let mut store = Store::new(engine).unwrap();
    store.set_fuel(1 << 40);
    let any = ValType::Ref(RefType { nullable: true, heap: HeapType::Abstract(AbstractHeapType::Any) });
    let ty = FuncType { params: [ValType::I32, any].into(), results: Box::default() };
    let (random, calls) = (AtomicU64::new(1), inside.clone());
    let pause = Func::new(&mut store, ty, move |caller, args, _| {
        let _call = calls.begin();
        let [Val::I32(value), Val::AnyRef(Some(given))] = args else { panic!("types are checked") };
        let next = random.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
        if (next ^ (next >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 62 == 0 {
            caller.suspend()?;
        }
        assert!(matches!(given.field(caller, 0)?, Some(Val::I32(v)) if v == *value));
        Ok(())
    })
    .unwrap();
    let ty = FuncType { params: [ValType::I32; 3].into(), results: [ValType::I32].into() };
    let (run, calls) = (Arc::new(OnceLock::<Func>::new()), inside.clone());
    let found = run.clone();
    let again = Func::new(&mut store, ty, move |caller, args, results| {
        let _call = calls.begin();
        results.extend(run.get().unwrap().call(caller, args)?);
        Ok(())
    })
    .unwrap();
    let imports = [Extern::Func(pause), Extern::Func(again)];
    let instance = Instance::new(&mut store, module, &imports).unwrap();
    found.set(func(&store, instance, "run")).unwrap();
    let go = func(&store, instance, "go");
    (store, go)
}

/// What the process uses: KiB resident, and mappings.
#[derive(Clone, Copy, Debug)]
struct Used {
    resident: u64,
    mappings: usize,
}

fn used() -> Used {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let resident = pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4;
    Used { resident, mappings: std::fs::read_to_string("/proc/self/maps").unwrap().lines().count() }
}

fn worlds() -> Vec<World> {
    assay_gc::registry()
        .iter()
        .map(|entry| {
            let config = Config {
                collector: entry.constraints.name.to_owned(),
                fuel: true,
                yields: true,
                max_fibers: AT_ONCE,
                gc_heap_initial: 32 << 10,
                gc_heap_max: if entry.constraints.collects { 128 << 10 } else { 64 << 20 },
                ..Config::default()
            };
            World::new(Engine::new(config).unwrap(), entry.constraints.name)
        })
        .collect()
}

#[test]
fn many_fibers_leave_nothing_behind() {
    let total: u64 = std::env::var("ASSAY_SOAK_FIBERS").map_or(20_000, |text| text.parse().unwrap());
    let begin = Instant::now();
    let mut worlds = worlds();
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut early = None;
    let mut started = 0;
    while started < total {
        let chosen = random.below(worlds.len() as u64) as usize;
        let world = &mut worlds[chosen];
        // Waves of different heights.
        let wanted = random.below(1 + AT_ONCE as u64) as usize;
        while world.fibers.len() < wanted && started < total {
            world.start(&mut random);
            started += 1;
        }
        for _ in 0..random.below(200) {
            if !world.fibers.is_empty() {
                world.event(&mut random);
            }
        }
        if early.is_none() && started >= total / 10 {
            early = Some(used());
        }
    }
    let (early, late) = (early.unwrap(), used());
    for world in &mut worlds {
        while !world.fibers.is_empty() {
            world.event(&mut random);
        }
        world.renew(true);
        let (name, stats) = (&world.name, world.stats);
        println!("{name}: {} fibers, {} collections, {stats:?}", world.started, world.collections);
        if world.engine.collector().constraints.collects && total >= 20_000 {
            assert!(stats.visits > 100 && world.collections > 100, "{name}: {stats:?}");
        }
    }
    println!(
        "{started} fibers in {:.1} s; {early:?} after a tenth, {late:?} at the end",
        begin.elapsed().as_secs_f64()
    );
    assert!(late.resident <= early.resident / 10 * 11 + (8 << 10), "KiB: {early:?}, {late:?}");
    assert!(late.mappings <= early.mappings + 2 * AT_ONCE, "{early:?}, {late:?}");
}
