//! Robustness: changed bytes of valid modules may be refused or may run, but never panic, never crash in the sense of
//! [`assay_interp::ErrorKind::Crash`], and always end.

use assay_interp::{Config, Error, ErrorKind, Extern, Features, Module, Store, ValType, Value};

const MODULES: [&str; 4] = [
    r#"(module
        (rec (type $s (sub (struct (field (mut (ref null $a))) (field (mut i8)) (field i64))))
             (type $a (array (mut (ref null $s)))))
        (type $b (array (mut i16)))
        (type $f (func (param i32) (result i32)))
        (table 4 funcref) (elem (i32.const 0) func $loop $br)
        (elem $e (ref null $s) (ref.null $s) (struct.new_default $s))
        (data $d "abcdefgh")
        (global $g (mut anyref) (ref.i31 (i32.const 3)))
        (func $loop (export "loop") (type $f) (local i32)
            (loop $l (result i32)
                (local.set 1 (i32.add (local.get 1) (local.get 0)))
                (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))
                (local.get 1)))
        (func $br (export "br") (type $f)
            (block $x (result i32) (block $y (block $z
                (br_table $y $z $y (local.get 0))) (br $x (i32.const 1)))
                (i32.const 2)) (if (param i32) (result i32) (local.get 0) (then (i32.const 1) (i32.add)) (else (i32.eqz))))
        (func (export "gc") (param i32) (result i32)
            (local $s (ref null $s)) (local $a (ref null $a)) (local $b (ref null $b))
            (local.set $a (array.new_elem $a $e (i32.const 0) (i32.const 2)))
            (local.set $b (array.new_data $b $d (i32.const 0) (i32.const 4)))
            (local.set $s (struct.new $s (local.get $a) (local.get 0) (i64.const 3)))
            (array.set $a (local.get $a) (i32.const 0) (local.get $s))
            (array.copy $a $a (local.get $a) (i32.const 0) (local.get $a) (i32.const 1) (i32.const 1))
            (array.fill $b (local.get $b) (i32.const 1) (i32.const 7) (i32.const 2))
            (array.init_data $b $d (local.get $b) (i32.const 0) (i32.const 2) (i32.const 1))
            (global.set $g (local.get $b))
            (i32.add (struct.get_s $s 1 (local.get $s))
                (i32.add (array.get_u $b (ref.cast (ref $b) (global.get $g)) (i32.const 2))
                    (ref.test (ref $s) (array.get $a (local.get $a) (i32.const 1))))))
        (func (export "call") (type $f)
            (call_indirect (type $f) (local.get 0) (i32.and (local.get 0) (i32.const 1)))))"#,
    r#"(module (memory 1 3) (table $t 3 10 externref) (data $d "xyz")
        (func (export "memory") (param i32) (result i32)
            (i32.store16 offset=4 (local.get 0) (i32.const 77))
            (memory.fill (local.get 0) (i32.const 1) (i32.const 9))
            (memory.copy (i32.const 3) (local.get 0) (i32.const 5))
            (memory.init $d (i32.const 1) (i32.const 0) (i32.const 2)) (data.drop $d)
            (i32.add (memory.grow (i32.const 1)) (i32.load8_s (local.get 0))))
        (func (export "table") (param externref) (result i32)
            (table.set $t (i32.const 0) (local.get 0))
            (table.fill $t (i32.const 1) (local.get 0) (i32.const 2))
            (table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 1))
            (i32.add (table.grow $t (local.get 0) (i32.const 2)) (table.size $t)))
        (func (export "float") (param f64) (result i64)
            (i64.trunc_sat_f64_s (f64.add (f64.sqrt (local.get 0)) (f64.promote_f32 (f32.const 1.5))))))"#,
    r#"(module
        (type $a (array (mut v128)))
        (type $s (struct (field i8) (field (mut v128)) (field (mut (ref null $a)))))
        (memory 1) (data $d "0123456789abcdef0123456789abcdef")
        (global $g (mut v128) (v128.const i64x2 1 2))
        (func $pair (param v128 i32) (result v128 v128) (local v128)
            (global.get $g) (local.get 0) (local.tee 2) (global.set $g) (local.get 2))
        (func (export "lanes") (param v128) (result i32 v128)
            (i16x8.extract_lane_s 3 (i8x16.shuffle 0 17 2 19 4 21 6 23 8 25 10 27 12 29 14 31 (local.get 0) (global.get $g)))
            (call $pair (i32x4.add (local.get 0) (v128.const i32x4 1 2 3 4)) (i32.const 1))
            (select (i32.const 0)) (i32x4.replace_lane 2 (i32.const 9))
            (f32x4.relaxed_madd (local.get 0) (global.get $g)))
        (func (export "heap") (param v128) (result v128)
            (local $s (ref null $s)) (local $a (ref null $a))
            (local.set $a (array.new_data $a $d (i32.const 0) (i32.const 2)))
            (array.fill $a (local.get $a) (i32.const 0) (local.get 0) (i32.const 1))
            (local.set $s (struct.new $s (i32.const 5) (array.get $a (local.get $a) (i32.const 1)) (local.get $a)))
            (struct.set $s 1 (local.get $s) (v128.xor (local.get 0) (struct.get $s 1 (local.get $s))))
            (array.set $a (array.new_fixed $a 2 (local.get 0) (local.get 0)) (i32.const 1) (local.get 0))
            (array.copy $a $a (local.get $a) (i32.const 0) (local.get $a) (i32.const 1) (i32.const 1))
            (struct.get $s 1 (local.get $s)))
        (func (export "memory") (param i32 v128) (result v128)
            (v128.store offset=3 (local.get 0) (local.get 1))
            (v128.store16_lane 5 (i32.const 4) (local.get 1))
            (v128.load32_lane 2 (i32.const 8)
                (block (result v128) (v128.load8x8_s (local.get 0)) (br_if 0 (i8x16.all_true (local.get 1)))))))"#,
    r#"(module (type $t (func (param i32 i64) (result i64 i32)))
        (func $two (type $t) (local.get 1) (local.get 0))
        (elem declare func $two)
        (func (export "multi") (param i32) (result i64 i32)
            (call $two (local.get 0) (i64.const 5)) (call $swap) (call $two)
            (block (param i64 i32) (result i64 i32) (br_if 0 (local.get 0)) (call $swap) (call_ref $t (ref.func $two))))
        (func $swap (param i64 i32) (result i32 i64) (local.get 1) (local.get 0))
        (func (export "tail") (param i32) (result i64 i32)
            (if (local.get 0) (then (return_call $two (local.get 0) (i64.const 2))))
            (i64.const 1) (i32.const 2))
        (func (export "null") (param funcref) (result i32)
            (block $n (drop (br_on_null $n (local.get 0))) (return (i32.const 1))) (select (i32.const 1) (i32.const 0) (i32.const 1))))"#,
];

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }
}

/// What cannot happen in valid code has not happened.
fn sound(error: &Error) {
    assert_ne!(error.kind(), ErrorKind::Crash, "{error}");
}

fn exercise(bytes: &[u8]) -> bool {
    let module = match Module::new(bytes, &Features::default()) {
        Ok(module) => module,
        Err(error) => {
            sound(&error);
            return false;
        }
    };
    let config = Config { max_gc_bytes: 1 << 20, max_table_elements: 1 << 16, ..Config::default() };
    let mut store = Store::new(Config { max_memory_pages: 16, ..config });
    store.set_fuel(Some(2000));
    let instance = match store.instantiate(&module, &[]) {
        Ok(instance) => instance,
        Err(error) => {
            sound(&error);
            return true;
        }
    };
    for (_, export) in store.exports(instance) {
        let Extern::Func(func) = export else { continue };
        let Some(ty) = store.func_type(func).cloned() else { continue };
        let zero = |ty: &ValType| match ty {
            ValType::I32 => Value::I32(3),
            ValType::I64 => Value::I64(3),
            ValType::F32 => Value::F32(0x4040_0000),
            ValType::F64 => Value::F64(0x4008 << 48),
            ValType::V128 => Value::V128(0),
            ValType::Ref(_) => Value::Ref(assay_interp::Ref::Null),
        };
        let args: Vec<_> = ty.params.iter().map(zero).collect();
        store.set_fuel(Some(2000));
        if let Err(error) = store.invoke(func, &args) {
            sound(&error);
        }
    }
    store.survey();
    store.collect(&[]);
    true
}

#[test]
fn mutants_never_panic() {
    let rounds: usize = std::env::var("MUTANTS").ok().and_then(|n| n.parse().ok()).unwrap_or(6_000);
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for text in MODULES {
        let seed = wat::parse_str(text).unwrap();
        Module::new(&seed, &Features::default()).expect("the seed itself is valid");
        assert!(exercise(&seed));
        let mut decoded = 0;
        for round in 0..rounds {
            let mut bytes = seed.clone();
            for _ in 0..1 + random.below(4) {
                let at = random.below(bytes.len());
                match random.below(5) {
                    0 => bytes[at] ^= 1 << random.below(8),
                    1 => bytes[at] = random.below(256) as u8,
                    2 => bytes[at] = bytes[at].wrapping_add(1),
                    3 => {
                        let from = random.below(bytes.len());
                        bytes[at] = bytes[from];
                    }
                    _ if round % 10 == 0 => bytes.truncate(at.max(8)),
                    _ => bytes[at] = bytes[at].wrapping_sub(1),
                }
            }
            decoded += usize::from(exercise(&bytes));
        }
        assert!(decoded > rounds / 50, "only {decoded} mutants are valid");
    }
}
