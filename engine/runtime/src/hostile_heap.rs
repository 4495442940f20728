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
            (br_if $l (local.get $n))))
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

#[test]
fn overwritten_words_never_lead_outside() {
    let wasm = wat::parse_str(PROGRAM).unwrap();
    let mut corrupt = 0;
    for entry in assay_gc::registry() {
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
            let module = Module::new(&engine, &wasm).unwrap();
            for seed in 1..=60u64 {
                corrupt += round(&engine, &module, &mut Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            }
        }
    }
    assert!(corrupt > 100, "only {corrupt} rounds met their corrupt words");
}

/// Overwrites words of one heap, then uses it; gives how many uses reported corruption.
fn round(engine: &Engine, module: &Module, random: &mut Random) -> u32 {
    let mut store = Store::new(engine).unwrap();
    let instance = Instance::new(&mut store, module, &[]).unwrap();
    let call = |store: &mut Store, name: &str, args: &[Val]| {
        store.set_fuel(10_000);
        instance.exported_func(store, name).unwrap().call(store, args)
    };
    call(&mut store, "build", &[Val::I32(20)]).unwrap();
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
    for _ in 0..2 {
        for (name, args) in [
            ("walk", vec![]),
            ("arrays", vec![]),
            ("far", vec![Val::I32(random.next() as i32)]),
            ("write", vec![Val::I32(random.next() as i32)]),
        ] {
            match call(&mut store, name, &args) {
                Ok(_) => {}
                Err(error) => match error.kind() {
                    ErrorKind::Corrupt(_) => corrupt += 1,
                    ErrorKind::Trap(_) | ErrorKind::Exhausted(_) => {}
                    other => panic!("{other:?}"),
                },
            }
        }
        // The host's readers are as careful.
        for &object in &objects {
            let inspector = store.inspector();
            let _ =
                (inspector.kind(object), inspector.struct_fields(object), inspector.array_elem(object, 3));
            let _ = inspector.kind(GcRef(random.next()));
        }
        corrupt += u32::from(store.gc(CollectKind::Full).is_err());
    }
    corrupt
}
