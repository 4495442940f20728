//! Generated code under `Stress::barrier_slow`, by the shape of the collector's barrier: each word that the log has no room
//! for is counted, fresh objects' cards are marked, and what lives and dies is the same.

use assay_gc::{BarrierShape, CARD_SHIFT};

use crate::*;

const PROGRAM: &str = r#"(module
    (type $s (struct (field $next (mut (ref null $s)))))
    (global $list (mut (ref null $s)) (ref.null $s))
    ;; a list of n cells, whose links are stored when they are made
    (func (export "list") (param $n i32) (local $list (ref null $s))
        (loop $more
            (local.set $list (struct.new $s (local.get $list)))
            (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (global.set $list (local.get $list)))
    ;; n stores, each over the only reference to an object
    (func (export "overwrite") (param $n i32) (local $holder (ref $s))
        (local.set $holder (struct.new $s (struct.new $s (ref.null $s))))
        (loop $more
            (struct.set $s $next (local.get $holder) (struct.new $s (ref.null $s)))
            (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
    (func (export "forget") (global.set $list (ref.null $s))))"#;

const CELLS: u32 = 300;

/// Whether a store into a field of each object, all of them fresh, has marked its card.
fn marked_cards(store: &mut Store) -> Vec<bool> {
    let mut objects = Vec::new();
    store.heap.for_each_object(&mut |object, _| objects.push(object));
    // SAFETY: the mutator's state is valid while the heap lives, and no generated code runs now.
    let cards = unsafe { (*store.heap.mutator()).cards };
    let marked = |at: u32| {
        // SAFETY: the table has a card for every heap offset.
        unsafe { cards.add((at >> CARD_SHIFT) as usize).read() != 0 }
    };
    objects.iter().map(|object| marked(object.0 + assay_gc::header::HEADER_SIZE)).collect()
}

#[test]
fn inline_barriers_take_their_slow_paths() {
    let wasm = wat::parse_str(PROGRAM).unwrap();
    for entry in assay_gc::registry() {
        for opt in [OptLevel::None, OptLevel::Speed] {
            for barrier_slow in [false, true] {
                let collector = entry.constraints.name.to_owned();
                let what = format!("{collector} {opt:?} {barrier_slow}");
                let stress = Stress { barrier_slow, verify: true, ..Stress::default() };
                let engine = Engine::new(Config { collector, opt, stress, ..Config::default() }).unwrap();
                let module = Module::new(&engine, &wasm).unwrap();
                let mut store = Store::new(&engine).unwrap();
                let instance = Instance::new(&mut store, &module, &[]).unwrap();
                let call = |store: &mut Store, name: &str, args: &[Val]| {
                    instance.exported_func(store, name).unwrap().call(store, args).unwrap();
                };
                let shape = entry.constraints.code.write_barrier;
                call(&mut store, "list", &[Val::I32(CELLS as i32)]);
                assert_eq!(store.heap.stats().log_lost, 0, "{what}: nothing was overwritten");
                if shape == BarrierShape::Card {
                    let marked = marked_cards(&mut store);
                    assert_eq!(marked, [barrier_slow; CELLS as usize], "{what}");
                }
                call(&mut store, "overwrite", &[Val::I32(CELLS as i32)]);
                let logs = matches!(shape, BarrierShape::Count | BarrierShape::Snapshot);
                let lost = if barrier_slow && logs { u64::from(CELLS) } else { 0 };
                assert_eq!(store.heap.stats().log_lost, lost, "{what}");
                store.gc(CollectKind::Minor).unwrap();
                if entry.constraints.collects {
                    assert_eq!(store.live_objects().unwrap().0, u64::from(CELLS), "{what}");
                    call(&mut store, "forget", &[]);
                    assert_eq!(store.live_objects().unwrap(), (0, 0), "{what}");
                }
            }
        }
    }
}
