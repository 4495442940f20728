//! What the specification's scripts leave open of the results of vector instructions: NaN bits, and which results of the
//! relaxed operations the deterministic profile has; on each kind of processor, of parameters and of constants.

use crate::common::*;
use assay_runtime::*;

fn v128(bits: u128) -> String {
    format!("(v128.const i64x2 {:#x} {:#x})", bits as u64, (bits >> 64) as u64)
}

fn call(store: &mut Store, instance: Instance, name: &str, args: &[u128]) -> Result<Vec<u128>, Error> {
    let args: Vec<Val> = args.iter().map(|bits| Val::V128(*bits)).collect();
    let results = func(store, instance, name).call(store, &args)?;
    let bits = |val| if let Val::V128(bits) = val { bits } else { panic!("not a v128: {val:?}") };
    Ok(results.into_iter().map(bits).collect())
}

/// Lanes of 32 bits, lowest first.
fn x4(lanes: [u32; 4]) -> u128 {
    lanes.into_iter().rev().fold(0, |bits, lane| bits << 32 | u128::from(lane))
}

/// Lanes of 64 bits, lowest first.
fn x2(lanes: [u64; 2]) -> u128 {
    u128::from(lanes[1]) << 64 | u128::from(lanes[0])
}

/// Runs one-line functions of three vectors on every kind of processor: (body, operands, result).
fn check<S: AsRef<str>>(cases: &[(S, [u128; 3], u128)]) {
    let mut text = String::from("(module");
    for (index, (body, ..)) in cases.iter().enumerate() {
        let body = body.as_ref();
        text += &format!(
            "(func (export \"{index}\") (param $a v128) (param $b v128) (param $c v128) (result v128) {body})"
        );
        let constants = body.replace("(local.get $a)", &v128(cases[index].1[0]));
        let constants = constants.replace("(local.get $b)", &v128(cases[index].1[1]));
        let constants = constants.replace("(local.get $c)", &v128(cases[index].1[2]));
        text += &format!("(func (export \"constant {index}\") (result v128) {constants})");
    }
    text += ")";
    for cpu in [Cpu::Native, Cpu::Avx2, Cpu::Sse41] {
        for opt in [OptLevel::None, OptLevel::Speed] {
            let engine = Engine::new(Config { cpu, opt, ..Config::default() }).unwrap();
            let (mut store, instance) = instance(&engine, &text);
            for (index, (body, operands, expected)) in cases.iter().enumerate() {
                let body = body.as_ref();
                for (name, args) in [(format!("{index}"), &operands[..]), (format!("constant {index}"), &[])]
                {
                    let result = call(&mut store, instance, &name, args).unwrap()[0];
                    assert_eq!(result, *expected, "{cpu:?} {opt:?} {body}: {result:#x}, not {expected:#x}");
                }
            }
        }
    }
}

const UNARY: &str = "(local.get $a)";
const BINARY: &str = "(local.get $a) (local.get $b)";
const TERNARY: &str = "(local.get $a) (local.get $b) (local.get $c)";

#[test]
fn arithmetic_makes_canonical_nans_and_the_rest_keeps_bits() {
    const NAN32: u32 = 0x7fc0_0000;
    const NAN64: u64 = 0x7ff8 << 48;
    // Signalling, quiet with payload, negative; and a number.
    let odd32 = x4([0x7fa0_0001, 0xffc1_2345, 0xff80_0001, 0x4080_0000]);
    let odd64 = x2([0xfff4_0000_0000_0001, 0x7ff8_0000_0000_0001]);
    let four32 = x4([0x4080_0000; 4]);
    let four64 = x2([4f64.to_bits(); 2]);
    let mut cases = Vec::new();
    let mut add = |op: &str, operands: &str, values: [u128; 3], expected: u128| {
        cases.push((format!("({op} {operands})"), values, expected));
    };
    for (op, four) in [("ceil", 4f32), ("floor", 4.0), ("trunc", 4.0), ("nearest", 4.0), ("sqrt", 2.0)] {
        let expected = x4([NAN32, NAN32, NAN32, four.to_bits()]);
        add(&format!("f32x4.{op}"), UNARY, [odd32, 0, 0], expected);
        add(&format!("f64x2.{op}"), UNARY, [odd64, 0, 0], x2([NAN64; 2]));
    }
    for (op, number) in [("add", 8f32), ("sub", 0.0), ("mul", 16.0), ("div", 1.0), ("min", 4.0), ("max", 4.0)]
    {
        let expected = x4([NAN32, NAN32, NAN32, number.to_bits()]);
        for (a, b) in [(odd32, four32), (four32, odd32), (odd32, odd32)] {
            add(&format!("f32x4.{op}"), BINARY, [a, b, 0], expected);
        }
        for (a, b) in [(odd64, four64), (four64, odd64)] {
            add(&format!("f64x2.{op}"), BINARY, [a, b, 0], x2([NAN64; 2]));
        }
    }
    let infinities = x4([0x7f80_0000, 0xff80_0000, 0x7f80_0000, 0xff80_0000]);
    add("f32x4.sub", BINARY, [infinities, infinities, 0], x4([NAN32; 4]));
    add("f32x4.div", BINARY, [0, 0, 0], x4([NAN32; 4]));
    add("f64x2.sqrt", UNARY, [x2([(-1f64).to_bits(); 2]), 0, 0], x2([NAN64; 2]));
    add("f64x2.promote_low_f32x4", UNARY, [odd32, 0, 0], x2([NAN64; 2]));
    add("f32x4.demote_f64x2_zero", UNARY, [odd64, 0, 0], x4([NAN32, NAN32, 0, 0]));
    for op in ["madd", "nmadd"] {
        for operands in [[odd32, four32, four32], [four32, odd32, four32]] {
            let sign = if op == "madd" { 20f32 } else { -12.0 };
            let expected = x4([NAN32, NAN32, NAN32, sign.to_bits()]);
            add(&format!("f32x4.relaxed_{op}"), TERNARY, operands, expected);
        }
    }

    let signs32 = x4([1 << 31; 4]);
    let signs64 = x2([1 << 63; 2]);
    add("f32x4.neg", UNARY, [odd32, 0, 0], odd32 ^ signs32);
    add("f64x2.neg", UNARY, [odd64, 0, 0], odd64 ^ signs64);
    add("f32x4.abs", UNARY, [odd32, 0, 0], odd32 & !signs32);
    add("f64x2.abs", UNARY, [odd64, 0, 0], odd64 & !signs64);
    // A comparison with a NaN does not hold, so the first operand it is.
    for op in ["pmin", "pmax"] {
        for (a, b) in [(odd32, four32), (four32, odd32)] {
            add(&format!("f32x4.{op}"), BINARY, [a, b, 0], a);
        }
        for (a, b) in [(odd64, four64), (four64, odd64)] {
            add(&format!("f64x2.{op}"), BINARY, [a, b, 0], a);
        }
        // Zeroes of either sign are equal.
        add(&format!("f32x4.{op}"), BINARY, [signs32, 0, 0], signs32);
        add(&format!("f32x4.{op}"), BINARY, [0, signs32, 0], 0);
    }
    check(&cases);
}

/// Every parameter R is 0.
#[test]
fn relaxed_operations_are_those_of_the_deterministic_profile() {
    let bytes = |byte: u8| u128::from_le_bytes([byte; 16]);
    let mixed = x4([0x0f0f_0f0f, 0x8000_0001, 0x7fff_fffe, 0xffff_0000]);
    let select = |a: u128, b: u128, c: u128| a & c | b & !c;
    let lanes = (0x0123_4567_89ab_cdef_u128 * 0x1_0000_0001_0000_0003, !0 / 7 * 3);
    let select = ([lanes.0, lanes.1, mixed], select(lanes.0, lanes.1, mixed));
    // (1 + 2^-23)^2 is 1 + 2^-22 + 2^-46: its last bit lives on in a fused result only.
    let (near, square) = (1f32 + f32::EPSILON, 1f32 + 2.0 * f32::EPSILON);
    let (near64, square64) = (1f64 + f64::EPSILON, 1f64 + 2.0 * f64::EPSILON);
    let f32s = |value: f32| x4([value.to_bits(); 4]);
    let f64s = |value: f64| x2([value.to_bits(); 2]);
    let out32 = x4([f32::NAN.to_bits(), 3e9f32.to_bits(), (-3e9f32).to_bits(), (-1.5f32).to_bits()]);
    let zeroes = (x4([0, 1 << 31, 0, 1 << 31]), x4([1 << 31, 0, 1 << 31, 0]));
    let indices = u128::from_le_bytes([0, 15, 16, 17, 31, 32, 127, 128, 129, 240, 255, 1, 2, 3, 4, 5]);
    let table = u128::from_le_bytes(std::array::from_fn(|at| at as u8 + 100));
    let picked = u128::from_le_bytes([100, 115, 0, 0, 0, 0, 0, 0, 0, 0, 0, 101, 102, 103, 104, 105]);
    let least = u128::from_le_bytes([0x80; 16]);
    check(&[
        ("(i8x16.relaxed_laneselect (local.get $a) (local.get $b) (local.get $c))", select.0, select.1),
        ("(i16x8.relaxed_laneselect (local.get $a) (local.get $b) (local.get $c))", select.0, select.1),
        ("(i32x4.relaxed_laneselect (local.get $a) (local.get $b) (local.get $c))", select.0, select.1),
        ("(i64x2.relaxed_laneselect (local.get $a) (local.get $b) (local.get $c))", select.0, select.1),
        (
            "(f32x4.relaxed_madd (local.get $a) (local.get $b) (local.get $c))",
            [f32s(near), f32s(near), f32s(-square)],
            0,
        ),
        (
            "(f32x4.relaxed_nmadd (local.get $a) (local.get $b) (local.get $c))",
            [f32s(near), f32s(near), f32s(square)],
            0,
        ),
        (
            "(f64x2.relaxed_madd (local.get $a) (local.get $b) (local.get $c))",
            [f64s(near64), f64s(near64), f64s(-square64)],
            0,
        ),
        (
            "(f64x2.relaxed_nmadd (local.get $a) (local.get $b) (local.get $c))",
            [f64s(near64), f64s(near64), f64s(square64)],
            0,
        ),
        ("(f32x4.relaxed_min (local.get $a) (local.get $b))", [zeroes.0, zeroes.1, 0], x4([1 << 31; 4])),
        ("(f32x4.relaxed_max (local.get $a) (local.get $b))", [zeroes.0, zeroes.1, 0], 0),
        ("(f32x4.relaxed_min (local.get $a) (local.get $b))", [out32, f32s(1.0), 0], {
            x4([0x7fc0_0000, 1f32.to_bits(), (-3e9f32).to_bits(), (-1.5f32).to_bits()])
        }),
        (
            "(f64x2.relaxed_max (local.get $a) (local.get $b))",
            [f64s(1.0), x2([0xfff8_0000_0000_0001, 0]), 0],
            { x2([0x7ff8 << 48, 1f64.to_bits()]) },
        ),
        ("(i32x4.relaxed_trunc_f32x4_s (local.get $a))", [out32, 0, 0], {
            x4([0, i32::MAX as u32, i32::MIN as u32, u32::MAX])
        }),
        ("(i32x4.relaxed_trunc_f32x4_u (local.get $a))", [out32, 0, 0], x4([0, 3_000_000_000, 0, 0])),
        (
            "(i32x4.relaxed_trunc_f64x2_s_zero (local.get $a))",
            [x2([f64::NAN.to_bits(), 1e10f64.to_bits()]), 0, 0],
            x4([0, i32::MAX as u32, 0, 0]),
        ),
        (
            "(i32x4.relaxed_trunc_f64x2_u_zero (local.get $a))",
            [x2([1e10f64.to_bits(), (-1f64).to_bits()]), 0, 0],
            x4([u32::MAX, 0, 0, 0]),
        ),
        ("(i8x16.relaxed_swizzle (local.get $a) (local.get $b))", [table, indices, 0], picked),
        ("(i16x8.relaxed_q15mulr_s (local.get $a) (local.get $b))", [x4([0x8000_8000; 4]); 3], {
            x4([0x7fff_7fff; 4])
        }),
        // Both operands are signed, and the sum of two products saturates.
        (
            "(i16x8.relaxed_dot_i8x16_i7x16_s (local.get $a) (local.get $b))",
            [least, least, 0],
            x4([0x7fff_7fff; 4]),
        ),
        (
            "(i16x8.relaxed_dot_i8x16_i7x16_s (local.get $a) (local.get $b))",
            [least, bytes(127), 0],
            x4([0x8100_8100; 4]),
        ),
        (
            "(i16x8.relaxed_dot_i8x16_i7x16_s (local.get $a) (local.get $b))",
            [bytes(1), bytes(0xff), 0],
            x4([0xfffe_fffe; 4]),
        ),
        (
            "(i32x4.relaxed_dot_i8x16_i7x16_add_s (local.get $a) (local.get $b) (local.get $c))",
            [least, least, x4([1, u32::MAX, i32::MAX as u32, 0])],
            x4([65535, 65533, 0x8000_fffd, 65534]),
        ),
    ]);
}
