//! The heap's content is untrusted: whatever word is overwritten, code and collectors end in a result, a trap or an
//! error; never in an access outside of the reservation, which would end this test by a signal.

use assay_gc::GcRef;

use crate::*;

const PROGRAM: &str = r#"(module
    (type $f (func (result i32)))
    (type $node (sub (struct (field $v (mut i32)) (field $next (mut (ref null $node))) (field $any (mut anyref))
        (field $call (mut (ref null $f))))))
    (type $wide (sub $node (struct (field (mut i32)) (field (mut (ref null $node))) (field (mut anyref))
        (field (mut (ref null $f))) (field $l (mut i64)))))
    (type $refs (array (mut anyref)))
    (type $longs (array (mut i64)))
    (global $head (mut (ref null $node)) (ref.null $node))
    (table $t 4 anyref)
    (tag $node (param i32 (ref null $node) (ref null $f)))
    (tag $any (param anyref exnref))
    (tag $wide (param i64 i64 i64 i64))
    (table $exns 4 exnref)
    (func $caught (param $which i32) (result exnref)
        (block $h (result exnref)
            (try_table (catch_all_ref $h)
                (if (local.get $which) (then (throw $any (global.get $head) (table.get $exns (i32.const 0)))))
                (throw $node (i32.const 5) (global.get $head) (ref.func $one)))
            (unreachable)))
    (func $one (export "one") (type $f) (i32.const 1))
    (func (export "build") (param $n i32) (local $a (ref null $refs))
        (local.set $a (array.new_default $refs (i32.const 8)))
        (table.set $t (i32.const 1) (local.get $a))
        (table.set $t (i32.const 2) (array.new $longs (i64.const 7) (i32.const 9)))
        (loop $l
            (global.set $head (struct.new $node (local.get $n) (global.get $head) (local.get $a) (ref.func $one)))
            (array.set $refs (local.get $a) (i32.and (local.get $n) (i32.const 7))
                (struct.new $wide (local.get $n) (global.get $head) (ref.i31 (local.get $n)) (ref.func $one)
                    (i64.const 3)))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br_if $l (local.get $n)))
        (table.set $exns (i32.const 0) (call $caught (i32.const 0)))
        (table.set $exns (i32.const 1) (call $caught (i32.const 1)))
        (table.set $exns (i32.const 2) (call $caught (i32.const 0))))
    ;; a corrupt tag is another tag's, or nobody's
    (func $throw (param $at i32) (throw_ref (table.get $exns (local.get $at))))
    (func (export "throw") (param $at i32) (result i32) (local $e exnref) (local $n (ref null $node))
        (local $c (ref null $f))
        (block $wide (result i64 i64 i64 i64)
            (block $any (result anyref exnref)
                (block $node (result i32 (ref null $node) (ref null $f))
                    (try_table (catch $node $node) (catch $any $any) (catch $wide $wide)
                        (call $throw (local.get $at)))
                    (unreachable))
                (local.set $c) (local.set $n)
                (struct.get $node $v (local.get $n)) (i32.add)
                (call_ref $f (local.get $c)) (i32.add)
                (return))
            (local.set $e)
            (if (ref.test (ref $wide) (ref.cast anyref)) (then (unreachable)))
            (throw_ref (local.get $e)))
        (drop) (drop) (drop)
        (i32.wrap_i64))
    (func (export "walk") (result i32) (local $at (ref null $node)) (local $sum i32)
        (local.set $at (global.get $head))
        (loop $l
            (local.set $sum (i32.add (local.get $sum) (struct.get $node $v (local.get $at))))
            (local.set $sum (i32.add (local.get $sum) (call_ref $f (struct.get $node $call (local.get $at)))))
            (local.set $sum (i32.add (local.get $sum) (ref.test (ref $wide) (struct.get $node $any (local.get $at)))))
            (local.set $at (struct.get $node $next (local.get $at)))
            (br_if $l (i32.eqz (ref.is_null (local.get $at)))))
        (local.get $sum))
    (func (export "arrays") (result i32) (local $a (ref null $refs)) (local $n i32) (local $sum i32)
        (local.set $a (ref.cast (ref $refs) (table.get $t (i32.const 1))))
        (loop $l
            (local.set $sum (i32.add (local.get $sum)
                (struct.get $wide 0 (ref.cast (ref $wide) (array.get $refs (local.get $a) (local.get $n))))))
            (array.set $longs (ref.cast (ref $longs) (table.get $t (i32.const 2))) (local.get $n) (i64.const -1))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $l (i32.lt_u (local.get $n) (i32.const 8))))
        (array.copy $refs $refs (local.get $a) (i32.const 1) (local.get $a) (i32.const 0) (i32.const 7))
        (array.fill $longs (ref.cast (ref $longs) (table.get $t (i32.const 2))) (i32.const 2) (i64.const 5) (i32.const 6))
        (local.get $sum))
    (func (export "far") (param i32) (result i64)
        (array.get $longs (ref.cast (ref $longs) (table.get $t (i32.const 2))) (local.get 0)))
    (func (export "write") (param i32)
        (array.set $longs (ref.cast (ref $longs) (table.get $t (i32.const 2))) (local.get 0) (i64.const -1)))
)"#;

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }
}

/// Rounds a collector.
const ROUNDS: u64 = if cfg!(debug_assertions) { 120 } else { 10_000 };

#[test]
fn overwritten_words_never_lead_outside() {
    let wasm = wat::parse_str(PROGRAM).unwrap();
    std::thread::scope(|scope| {
        for entry in assay_gc::registry() {
            let wasm = &wasm;
            scope.spawn(move || {
                let mut corrupt = 0;
                for opt in [OptLevel::None, OptLevel::Speed] {
                    let collector = entry.constraints.name.to_owned();
                    let config = Config {
                        collector,
                        opt,
                        fuel: true,
                        gc_heap_max: 1 << 20,
                        gc_heap_initial: 1 << 16,
                        ..Config::default()
                    };
                    let engine = Engine::new(config).unwrap();
                    let module = Module::new(&engine, wasm).unwrap();
                    for seed in 1..=ROUNDS / 2 {
                        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                        corrupt += u64::from(round(&engine, &module, &mut random));
                    }
                }
                let name = entry.constraints.name;
                assert!(corrupt > ROUNDS / 10, "{name}: only {corrupt} uses met their corrupt words");
            });
        }
    });
}

/// Overwrites words of one heap, then uses it; gives how many uses reported corruption.
fn round(engine: &Engine, module: &Module, random: &mut Random) -> u32 {
    let mut store = Store::new(engine).unwrap();
    if random.next().is_multiple_of(4) {
        let [barrier_slow, move_always] = [(); 2].map(|()| random.next().is_multiple_of(2));
        store.set_stress(Stress { barrier_slow, move_always, ..Stress::default() });
    }
    let instance = Instance::new(&mut store, module, &[]).unwrap();
    let call = |store: &mut Store, name: &str, args: &[Val]| {
        store.set_fuel(10_000);
        instance.exported_func(store, name).unwrap().call(store, args)
    };
    call(&mut store, "build", &[Val::I32(20)]).unwrap();
    // In the midst of whatever the collector does over several collections.
    if random.next().is_multiple_of(2) {
        let first = [CollectKind::Minor, CollectKind::Slice { objects: 9 }][random.next() as usize % 2];
        store.gc(first).unwrap();
    }
    let mut objects = Vec::new();
    store.heap.for_each_object(&mut |object, _| objects.push(object));
    for _ in 0..1 + random.next() % 4 {
        let object = objects[random.next() as usize % objects.len()];
        let word = match random.next() % 6 {
            0 => random.next(),
            1 => objects[random.next() as usize % objects.len()].0,
            2 => objects[random.next() as usize % objects.len()].0 + 4,
            3 => u32::MAX - random.next() % 64,
            4 => random.next() % 300,
            _ => 0x7fff_fff8,
        };
        let _ = store.heap.write(object, 4 * (random.next() % 6), 4, u128::from(word));
    }
    let mut corrupt = 0;
    for kind in [CollectKind::Slice { objects: 5 }, CollectKind::Minor, CollectKind::Full] {
        for (name, args) in [
            ("walk", vec![]),
            ("arrays", vec![]),
            ("far", vec![Val::I32(random.next() as i32)]),
            ("write", vec![Val::I32(random.next() as i32)]),
            ("throw", vec![Val::I32(0)]),
            ("throw", vec![Val::I32(1)]),
            ("throw", vec![Val::I32(2)]),
        ] {
            match call(&mut store, name, &args) {
                Ok(_) => {}
                Err(error) => match error.kind() {
                    ErrorKind::Corrupt(_) => corrupt += 1,
                    ErrorKind::Trap(_) | ErrorKind::Exhausted(_) => {}
                    ErrorKind::Exception(exception) => {
                        let _ = exception.payload(&mut store);
                    }
                    other => panic!("{other:?}"),
                },
            }
        }
        // The host's readers are as careful.
        for &object in &objects {
            let inspector = store.inspector();
            let _ =
                (inspector.kind(object), inspector.struct_fields(object), inspector.array_elem(object, 3));
            let _ = (inspector.kind(GcRef(random.next())), inspector.payload(object));
        }
        corrupt += u32::from(store.gc(kind).is_err());
    }
    corrupt
}

#[test]
fn exceptions_of_overwritten_tags_are_no_exceptions() {
    let wasm = wat::parse_str(PROGRAM).unwrap();
    for entry in assay_gc::registry() {
        for opt in [OptLevel::None, OptLevel::Speed] {
            let collector = entry.constraints.name.to_owned();
            let engine = Engine::new(Config { collector, opt, fuel: true, ..Config::default() }).unwrap();
            let module = Module::new(&engine, &wasm).unwrap();
            for at in 0..3 {
                for word in [0, 1, 2, 3, 77, 0x8000_0000, u32::MAX] {
                    let mut store = Store::new(&engine).unwrap();
                    let instance = Instance::new(&mut store, &module, &[]).unwrap();
                    store.set_fuel(100_000);
                    let build = instance.exported_func(&store, "build").unwrap();
                    build.call(&mut store, &[Val::I32(3)]).unwrap();
                    let table = instance.tables(&store).unwrap()[1];
                    let Some(Val::ExnRef(Some(handle))) = table.get(&mut store, at).unwrap() else {
                        panic!()
                    };
                    let object = handle.get(&store).unwrap();
                    let before = store.heap.read(object, assay_gc::header::EXCEPTION_TAG, 4).unwrap();
                    store.heap.write(object, assay_gc::header::EXCEPTION_TAG, 4, u128::from(word)).unwrap();
                    let throw = instance.exported_func(&store, "throw").unwrap();
                    let outcome = throw.call(&mut store, &[Val::I32(at as i32)]);
                    let unchanged = before == u128::from(word);
                    if word > 2 {
                        let error = outcome.map(drop).unwrap_err();
                        assert!(matches!(error.kind(), ErrorKind::Corrupt(_)), "{at} {word:#x}: {error}");
                    } else if let Err(error) = outcome {
                        // What the clause of the other tag makes of the payload.
                        let corrupt = matches!(error.kind(), ErrorKind::Corrupt(_));
                        let ends = error.exception().is_some() || error.trap().is_some();
                        assert!(ends || (!unchanged && corrupt), "{error}");
                    }
                    assert_eq!(store.inspector().payload(object).is_some(), unchanged);
                }
            }
        }
    }
}
