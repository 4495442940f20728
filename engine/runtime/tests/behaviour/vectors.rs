//! Vectors wherever a value can be: fields and elements beside references that move, globals, calls of every kind, block
//! parameters, exceptions, locals in frame slots.

use crate::common::*;
use assay_runtime::*;

/// A vector that shows which lanes went where.
fn pattern(seed: u32) -> u128 {
    let mut bits = u128::from(seed) << 64 | 0x0f1e_2d3c_4b5a_6978;
    for _ in 0..3 {
        bits = bits.wrapping_mul(0x2545_f491_4f6c_dd1d_9e37_79b9_7f4a_7c15).rotate_left(61);
    }
    bits
}

fn v128(bits: u128) -> String {
    format!("(v128.const i64x2 {:#x} {:#x})", bits as u64, (bits >> 64) as u64)
}

fn call(store: &mut Store, instance: Instance, name: &str, args: &[u128]) -> Result<Vec<u128>, Error> {
    let args: Vec<Val> = args.iter().map(|bits| Val::V128(*bits)).collect();
    let results = func(store, instance, name).call(store, &args)?;
    let bits = |val| if let Val::V128(bits) = val { bits } else { panic!("not a v128: {val:?}") };
    Ok(results.into_iter().map(bits).collect())
}

#[test]
fn fields_and_elements_move_with_their_objects() {
    let text = format!(
        r#"(module
        (type $vectors (array (mut v128)))
        (type $node (sub (struct (field $tag i8) (field $a (mut v128)) (field $next (mut (ref null $node)))
            (field $b (mut v128)) (field $more (ref $vectors)) (field $half i16) (field $c (mut v128)))))
        (type $wide (sub $node (struct (field i8) (field (mut v128)) (field (mut (ref null $node)))
            (field (mut v128)) (field (ref $vectors)) (field i16) (field (mut v128)) (field $last (mut v128)))))
        (global $list (mut (ref null $node)) (ref.null $node))
        (global $k v128 {k})
        (func $of (param $i i32) (result v128)
            (i32x4.add (global.get $k) (i32x4.mul (i32x4.splat (local.get $i)) (v128.const i32x4 1 10 100 1000))))
        (func $make (param $i i32) (local $v (ref null $vectors))
            (local.set $v (array.new $vectors (call $of (local.get $i)) (i32.const 3)))
            (array.set $vectors (local.get $v) (i32.const 1) (v128.not (call $of (local.get $i))))
            (global.set $list (struct.new $wide (local.get $i) (call $of (local.get $i)) (global.get $list)
                (i8x16.neg (call $of (local.get $i))) (ref.as_non_null (local.get $v)) (local.get $i)
                (array.get $vectors (array.new_fixed $vectors 2 (call $of (local.get $i)) (call $of (local.get $i)))
                    (i32.const 1))
                (v128.const i64x2 5 6))))
        (func (export "run") (result i32) (local $i i32) (local $bad i32) (local $n (ref null $node))
            (loop $fill
                (call $make (local.get $i))
                (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 40))))
            (local.set $n (global.get $list))
            (loop $check
                (local.set $i (i32.sub (local.get $i) (i32.const 1)))
                (call $make (i32.const 99))
                (local.set $bad (i32.add (local.get $bad) (i32.or (i32.or
                    (v128.any_true (v128.xor (call $of (local.get $i)) (struct.get $node $a (local.get $n))))
                    (v128.any_true (v128.xor (i8x16.neg (call $of (local.get $i))) (struct.get $node $b (local.get $n)))))
                    (i32.or (v128.any_true (v128.xor (call $of (local.get $i)) (struct.get $node $c (local.get $n))))
                    (v128.any_true (v128.xor (v128.not (call $of (local.get $i)))
                        (array.get $vectors (struct.get $node $more (local.get $n)) (i32.const 1))))))))
                (struct.set $node $a (local.get $n) (struct.get $node $b (local.get $n)))
                (local.set $n (struct.get $node $next (local.get $n)))
                (br_if $check (local.get $i)))
            (local.get $bad)))"#,
        k = v128(pattern(1))
    );
    for (name, engine) in engines(|_| {}) {
        let (mut store, instance) = instance(&engine, &text);
        let results = func(&store, instance, "run").call(&mut store, &[]).unwrap();
        assert_eq!(i32_of(&results), 0, "{name}");
        store.gc(CollectKind::Full).unwrap();
    }
}

#[test]
fn inspectors_and_handles_read_vectors() {
    let text = format!(
        r#"(module
        (type $s (struct (field i8) (field (mut v128)) (field anyref) (field v128)))
        (type $a (array (mut v128)))
        (global (export "s") (ref $s) (struct.new $s (i32.const 1) {x} (ref.i31 (i32.const 3)) {y}))
        (global (export "a") (ref $a) (array.new $a {x} (i32.const 3)))
        (global (export "f") (ref $a) (array.new_fixed $a 2 {x} {y}))
        (global $v (export "v") (mut v128) {y})
        (global (export "w") v128 {x})
        (global (export "z") (ref $s) (struct.new_default $s))
        (func (export "get") (result v128) (global.get $v))
        (func (export "set") (param v128) (global.set $v (i32x4.neg (local.get 0)))))"#,
        x = v128(pattern(2)),
        y = v128(pattern(3))
    );
    let (x, y) = (RawVal::V128(pattern(2)), RawVal::V128(pattern(3)));
    for (name, engine) in engines(|_| {}) {
        let (mut store, instance) = instance(&engine, &text);
        store.gc(CollectKind::Full).unwrap();
        let global = |store: &Store, name: &str| {
            instance.export(store, name).unwrap().and_then(Extern::global).unwrap()
        };
        let word = |store: &Store, name: &str| match global(store, name).raw(store).unwrap() {
            RawVal::Ref(word) => word,
            other => panic!("{other:?}"),
        };
        let fields = store.inspector().struct_fields(word(&store, "s")).unwrap();
        assert_eq!(fields, [RawVal::I8(1), x, RawVal::Ref(GcRef::i31(3)), y], "{name}");
        assert_eq!(store.inspector().array_elems(word(&store, "a")).unwrap(), [x; 3], "{name}");
        assert_eq!(store.inspector().array_elems(word(&store, "f")).unwrap(), [x, y], "{name}");
        let zero = RawVal::V128(0);
        let fields = store.inspector().struct_fields(word(&store, "z")).unwrap();
        assert_eq!(fields, [RawVal::I8(0), zero, RawVal::Ref(GcRef::NULL), zero], "{name}");
        assert_eq!(global(&store, "w").raw(&store).unwrap(), x, "{name}");

        let v = global(&store, "v");
        assert_eq!(call(&mut store, instance, "get", &[]).unwrap(), [pattern(3)]);
        v.set(&mut store, &Val::V128(pattern(4))).unwrap();
        assert_eq!(call(&mut store, instance, "get", &[]).unwrap(), [pattern(4)], "{name}");
        call(&mut store, instance, "set", &[1 | 2 << 32]).unwrap();
        let Val::V128(bits) = v.get(&mut store).unwrap() else { panic!("{name}") };
        assert_eq!(bits, u128::from(u32::MAX) | u128::from(u32::MAX - 1) << 32, "{name}");
        assert!(matches!(v.set(&mut store, &Val::I64(1)).unwrap_err().kind(), ErrorKind::Usage(_)));
    }
}

/// More vectors than registers, on both sides of a call.
#[test]
fn calls_of_every_kind_pass_vectors() {
    let many = 20;
    let types = |n: usize, ty: &str| vec![ty; n].join(" ");
    let gets: String = (0..many).map(|i| format!("(local.get {i})")).collect();
    let text = format!(
        r#"(module
        (type $many (func (param {params}) (result {params})))
        (type $mixed (func (param v128 i32 v128 f64 v128) (result v128 i64 f32 v128)))
        (import "" "many" (func $host_many (type $many)))
        (import "" "mixed" (func $host_mixed (type $mixed)))
        (table funcref (elem $host_many $rotate))
        (func $rotate (type $many) {rotated})
        (func (export "direct") (type $many) (call $rotate {gets}))
        (func (export "tail") (type $many) (return_call $rotate {gets}))
        (func (export "host") (type $many) (call $host_many {gets}))
        (func (export "tail host") (type $many) (return_call $host_many {gets}))
        (func (export "table host") (type $many) (call_indirect (type $many) {gets} (i32.const 0)))
        (func (export "table tail") (type $many) (return_call_indirect (type $many) {gets} (i32.const 1)))
        (func (export "ref") (type $many) (call_ref $many {gets} (ref.func $rotate)))
        (func (export "ref tail") (type $many) (return_call_ref $many {gets} (ref.func $rotate)))
        (func (export "mixed") (type $mixed)
            (call $host_mixed (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)))
        (func (export "swap") (param v128 v128) (result v128 v128) (local.get 1) (local.get 0)))"#,
        params = types(many, "v128"),
        rotated = (0..many).map(|i| format!("(local.get {})", (i + 1) % many)).collect::<String>(),
    );
    let args: Vec<u128> = (0..many as u32).map(pattern).collect();
    let mut rotated = args.clone();
    rotated.rotate_left(1);
    for (name, engine) in engines(|_| {}) {
        let mut store = Store::new(&engine).unwrap();
        let v = ValType::V128;
        let ty = FuncType { params: vec![v; many].into(), results: vec![v; many].into() };
        let host = Func::new(&mut store, ty, move |_, args, results| {
            results.extend_from_slice(args);
            results.rotate_left(1);
            Ok(())
        })
        .unwrap();
        let ty = FuncType {
            params: [v, ValType::I32, v, ValType::F64, v].into(),
            results: [v, ValType::I64, ValType::F32, v].into(),
        };
        let mixed = Func::new(&mut store, ty, move |_, args, results| {
            let [Val::V128(a), Val::I32(b), Val::V128(c), Val::F64(d), Val::V128(e)] = args else {
                panic!("{args:?}");
            };
            let sum = *b as u64 ^ d;
            results.extend_from_slice(&[Val::V128(*c), Val::I64(sum as i64), Val::F32(7), Val::V128(a ^ e)]);
            Ok(())
        })
        .unwrap();
        let module = module(&engine, &text);
        let instance =
            Instance::new(&mut store, &module, &[Extern::Func(host), Extern::Func(mixed)]).unwrap();
        for export in ["direct", "tail", "host", "tail host", "table host", "table tail", "ref", "ref tail"] {
            assert_eq!(call(&mut store, instance, export, &args).unwrap(), rotated, "{name} {export}");
        }
        let mixed = [Val::V128(pattern(1)), Val::I32(5), Val::V128(pattern(2)), Val::F64(6), Val::V128(3)];
        let results = func(&store, instance, "mixed").call(&mut store, &mixed).unwrap();
        let [Val::V128(a), Val::I64(3), Val::F32(7), Val::V128(b)] = results[..] else {
            panic!("{name}: {results:?}");
        };
        assert_eq!((a, b), (pattern(2), pattern(1) ^ 3), "{name}");
        let swap = func(&store, instance, "swap").typed::<(u128, u128), (u128, u128)>(&store).unwrap();
        assert_eq!(swap.call(&mut store, (1 << 127, 2)).unwrap(), (2, 1 << 127), "{name}");
    }
}

#[test]
fn ranges_of_vector_arrays() {
    let bytes: String = (0..48).map(|i| format!("\\{i:02x}")).collect();
    let text = format!(
        r#"(module
        (type $a (array (mut v128)))
        (data $d "{bytes}")
        (global $g (mut (ref null $a)) (ref.null $a))
        (func (export "at") (param i32) (result v128) (array.get $a (global.get $g) (local.get 0)))
        (func (export "data") (param i32 i32) (global.set $g (array.new_data $a $d (local.get 0) (local.get 1))))
        (func (export "init") (param i32 i32 i32)
            (array.init_data $a $d (global.get $g) (local.get 0) (local.get 1) (local.get 2)))
        (func (export "fill") (param i32 v128 i32)
            (array.fill $a (global.get $g) (local.get 0) (f64x2.neg (local.get 1)) (local.get 2)))
        (func (export "copy") (param i32 i32 i32)
            (array.copy $a $a (global.get $g) (local.get 0) (global.get $g) (local.get 1) (local.get 2)))
        (func (export "new") (param v128 i32) (global.set $g (array.new $a (i8x16.neg (local.get 0)) (local.get 1)))))"#
    );
    let segment: Vec<u8> = (0..48).collect();
    let chunk = |at: usize| u128::from_le_bytes(segment[at..at + 16].try_into().unwrap());
    let signs = 1 << 127 | 1 << 63;
    for (name, engine) in engines(|_| {}) {
        let (mut store, instance) = instance(&engine, &text);
        let int = |value: i32| Val::I32(value);
        let mut run = |export: &str, args: &[Val]| func(&store, instance, export).call(&mut store, args);
        let trap = |outcome: Result<Vec<Val>, Error>| outcome.unwrap_err().trap();
        macro_rules! is {
            ($at:expr, $bits:expr) => {
                let Val::V128(bits) = run("at", &[int($at)]).unwrap()[0] else { panic!("{name}") };
                assert_eq!(bits, $bits, "{name} {}", $at);
            };
        }
        run("data", &[int(7), int(2)]).unwrap();
        is!(0, chunk(7));
        is!(1, chunk(23));
        assert_eq!(trap(run("data", &[int(1), int(3)])), Some(TrapCode::MemoryOutOfBounds));
        assert_eq!(trap(run("at", &[int(2)])), Some(TrapCode::ArrayOutOfBounds));
        run("new", &[Val::V128(1), int(5)]).unwrap();
        is!(4, 0xff);
        run("init", &[int(1), int(16), int(2)]).unwrap();
        is!(0, 0xff);
        is!(1, chunk(16));
        is!(2, chunk(32));
        is!(3, 0xff);
        assert_eq!(trap(run("init", &[int(0), int(33), int(1)])), Some(TrapCode::MemoryOutOfBounds));
        assert_eq!(trap(run("init", &[int(4), int(0), int(2)])), Some(TrapCode::ArrayOutOfBounds));
        run("copy", &[int(2), int(1), int(3)]).unwrap();
        is!(1, chunk(16));
        is!(2, chunk(16));
        is!(3, chunk(32));
        is!(4, 0xff);
        run("fill", &[int(1), Val::V128(pattern(9)), int(3)]).unwrap();
        is!(0, 0xff);
        is!(1, pattern(9) ^ signs);
        is!(3, pattern(9) ^ signs);
        is!(4, 0xff);
        assert_eq!(trap(run("fill", &[int(5), Val::V128(0), int(1)])), Some(TrapCode::ArrayOutOfBounds));
        assert_eq!(trap(run("new", &[Val::V128(1), int(1 << 27)])), Some(TrapCode::AllocationTooLarge));
    }
}

/// Each join gets vectors of different shapes from its predecessors.
#[test]
fn control_carries_vectors_of_any_shape() {
    let text = r#"(module
        (func (export "if") (param v128 v128) (result v128)
            (if (result v128) (v128.any_true (local.get 0))
                (then (f32x4.neg (local.get 1))) (else (i64x2.neg (local.get 1)))))
        (func (export "params") (param v128 v128) (result v128)
            (f64x2.neg (local.get 1))
            (if (param v128) (result v128) (v128.any_true (local.get 0))
                (then (i16x8.neg)) (else (v128.not)))
            (i32x4.neg (local.get 0))
            (if (param v128) (result v128) (v128.any_true (local.get 0)) (then (i16x8.neg)))
            (v128.xor))
        (func (export "select") (param v128 v128) (result v128)
            (select (f32x4.neg (local.get 1)) (i64x2.neg (local.get 1)) (v128.any_true (local.get 0))))
        (func (export "typed select") (param v128 v128) (result v128)
            (select (result v128) (f32x4.neg (local.get 1)) (i64x2.neg (local.get 1)) (v128.any_true (local.get 0))))
        (func (export "table") (param v128 v128) (result v128)
            (block $a (result v128) (block $b (result v128)
                (f32x4.neg (local.get 1))
                (br_table $a $b (i32x4.extract_lane 0 (local.get 0))))
            (i8x16.neg)))
        (func (export "loop") (param v128 v128) (result v128) (local $n i32)
            (i16x8.neg (local.get 1))
            (loop $l (param v128) (result v128)
                (i32x4.add (local.get 0))
                (i64x2.neg)
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get $n) (i32.const 5)))))
        (func (export "local") (param v128 v128) (result v128) (local $v v128)
            (if (v128.any_true (local.get 0)) (then (local.set $v (f64x2.neg (local.get 1)))))
            (drop (local.tee $v (i64x2.neg (local.get $v))))
            (i8x16.add (local.get $v) (local.get $v)))
        (func (export "unreached") (param v128 v128) (result v128)
            (block $out (result v128)
                (br $out (f32x4.neg (local.get 1)))
                (unreachable) (i8x16.add) (i8x16.shl (i32.const 1)))))"#;
    let per_lane = |x: u128, width: u32, f: &dyn Fn(u64) -> u64| {
        let mask = u128::MAX >> (128 - width);
        (0..128 / width).fold(0, |all, lane| {
            let at = lane * width;
            all | (u128::from(f((x >> at & mask) as u64)) & mask) << at
        })
    };
    let neg = |x: u128, width: u32| per_lane(x, width, &|lane| lane.wrapping_neg());
    let fneg32 = |x: u128| x ^ 0x8000_0000_8000_0000_8000_0000_8000_0000;
    let fneg64 = |x: u128| x ^ 0x8000_0000_0000_0000_8000_0000_0000_0000;
    let double = |x: u128| per_lane(x, 8, &|lane| lane.wrapping_mul(2));
    let y = pattern(11);
    let add32 = |a: u128, one: u128| {
        per_lane(a, 32, &|lane| lane) & !0xffff_ffff | u128::from((a as u32).wrapping_add(one as u32))
    };
    let looped = |x: u128| (0..5).fold(neg(y, 16), |v, _| neg(add32(v, x), 64));
    for (name, engine) in engines(|_| {}) {
        let (mut store, instance) = instance(&engine, text);
        let mut run = |export: &str, x: u128| call(&mut store, instance, export, &[x, y]).unwrap()[0];
        assert_eq!((run("if", 0), run("if", 1)), (neg(y, 64), fneg32(y)), "{name}");
        assert_eq!(run("params", 0), !fneg64(y), "{name}");
        assert_eq!(run("params", 1), neg(fneg64(y), 16) ^ neg(neg(1, 32), 16), "{name}");
        for export in ["select", "typed select"] {
            assert_eq!((run(export, 0), run(export, 1)), (neg(y, 64), fneg32(y)), "{name}");
        }
        assert_eq!((run("table", 0), run("table", 1)), (fneg32(y), neg(fneg32(y), 8)), "{name}");
        assert_eq!((run("loop", 0), run("loop", 7)), (looped(0), looped(7)), "{name}");
        assert_eq!((run("local", 0), run("local", 1)), (0, double(neg(fneg64(y), 64))), "{name}");
        assert_eq!(run("unreached", 0), fneg32(y), "{name}");
    }
}

#[test]
fn exceptions_carry_vectors_beside_references() {
    let text = r#"(module
        (type $s (struct (field v128)))
        (tag $t (param i32 v128 (ref $s) v128))
        (func $throw (param v128)
            (throw $t (i32.const 1) (f32x4.neg (local.get 0)) (struct.new $s (v128.not (local.get 0)))
                (i64x2.neg (local.get 0))))
        (func $rethrow (param v128) (local $v v128)
            (local.set $v (v128.not (local.get 0)))
            (block $caught (result exnref)
                (try_table (catch_all_ref $caught) (call $throw (local.get 0)))
                (unreachable))
            (drop (struct.new $s (local.get $v)))
            (throw_ref))
        (func (export "f") (param v128) (result i32 v128 v128 v128 v128) (local $s (ref null $s)) (local $v v128)
            (local.set $v (i8x16.neg (local.get 0)))
            (block $caught (result i32 v128 (ref $s) v128)
                (try_table (catch $t $caught) (call $rethrow (local.get 0)))
                (unreachable))
            (local.set 0)
            (local.set $s)
            (drop (struct.new $s (local.get 0)))
            (struct.get $s 0 (local.get $s))
            (local.get 0)
            (local.get $v)))"#;
    let x = pattern(5);
    let negated = |bits: u128| u128::from((bits as u64).wrapping_neg());
    for (name, engine) in engines(|_| {}) {
        let (mut store, instance) = instance(&engine, text);
        let results = func(&store, instance, "f").call(&mut store, &[Val::V128(x)]).unwrap();
        let [Val::I32(1), Val::V128(a), Val::V128(b), Val::V128(c), Val::V128(d)] = results[..] else {
            panic!("{name}: {results:?}");
        };
        let bytes = u128::from_le_bytes(x.to_le_bytes().map(u8::wrapping_neg));
        assert_eq!(
            (a, b, c),
            (
                x ^ u128::from_le_bytes([0, 0, 0, 128].repeat(4).try_into().unwrap()),
                !x,
                negated(x >> 64) << 64 | negated(x)
            ),
            "{name}"
        );
        assert_eq!(d, bytes, "{name}");
    }
}

/// With so many locals and blocks, locals live in frame slots.
#[test]
fn vector_locals_in_frame_slots() {
    let count = 4200;
    let (mut sets, mut sum) = (String::new(), String::from("(v128.const i64x2 0 0)"));
    for i in 1..=count {
        if i % 300 == 0 {
            sets += &format!("(local.set {i} (i16x8.neg (local.get 0)))");
        }
        sum += &format!("(i16x8.add (local.get {i}))(block)");
    }
    let text = format!(
        "(module (func (export \"f\") (param v128) (result v128) (local {}) {sets} {sum}))",
        vec!["v128"; count].join(" ")
    );
    for opt in [OptLevel::None, OptLevel::Speed] {
        let config = Config { opt, regalloc: RegAlloc::SinglePass, verifier: false, ..Config::default() };
        let (mut store, instance) = instance(&Engine::new(config).unwrap(), &text);
        let ones = 0x0001_0001_0001_0001_0001_0001_0001_0001;
        let expected = ones * (0x10000 - count as u128 / 300);
        assert_eq!(call(&mut store, instance, "f", &[ones]).unwrap(), [expected]);
    }
}

#[test]
fn an_access_across_the_end_has_no_effect() {
    let text = r#"(module
        (memory $m 1 1) (memory $w i64 1 1)
        (func (export "last") (result v128) (v128.load offset=65520 (i32.const 0)))
        (func (export "store") (param i32 v128) (v128.store (local.get 0) (local.get 1)))
        (func (export "lane") (param i32 v128) (v128.store64_lane 1 (local.get 0) (local.get 1)))
        (func (export "store64") (param i64 v128) (v128.store $w (local.get 0) (local.get 1)))
        (func (export "lane64") (param i64 v128) (v128.store32_lane $w offset=4 3 (local.get 0) (local.get 1)))
        (func (export "last64") (result v128) (v128.load $w (i64.const 65520)))
        (func (export "load64") (param i64) (result v128) (v128.load8x8_u $w offset=0xffffffffffffffff (local.get 0))))"#;
    for (name, engine) in engines(|_| {}) {
        let (mut store, instance) = instance(&engine, text);
        let run =
            |store: &mut Store, export: &str, args: &[Val]| func(store, instance, export).call(store, args);
        let v = Val::V128(u128::MAX);
        for (export, at, ok) in
            [("store", 65520, true), ("lane", 65528, true), ("store64", 65520, true), ("lane64", 65528, true)]
        {
            let index =
                |at: u64| if export.ends_with("64") { Val::I64(at as i64) } else { Val::I32(at as i32) };
            for past in 1..8 {
                let error = run(&mut store, export, &[index(at + past), v.clone()]).unwrap_err();
                assert_eq!(error.trap(), Some(TrapCode::MemoryOutOfBounds), "{name} {export} {past}");
            }
            let last = if export.ends_with("64") { "last64" } else { "last" };
            if export.starts_with("store") {
                assert_eq!(call(&mut store, instance, last, &[]).unwrap(), [0], "{name} {export}");
            }
            assert_eq!(run(&mut store, export, &[index(at), v.clone()]).is_ok(), ok, "{name} {export}");
            assert_eq!(call(&mut store, instance, last, &[]).unwrap(), [u128::MAX], "{name} {export}");
        }
        for at in [0, 1, -1] {
            let error = run(&mut store, "load64", &[Val::I64(at)]).unwrap_err();
            assert_eq!(error.trap(), Some(TrapCode::MemoryOutOfBounds), "{name}");
        }
    }
}
