//! Every vector instruction against a model written lane by lane in plain arithmetic of wide integers and of f64, on edge
//! values and on seeded random ones. The model shares nothing with the interpreter; `spec.rs` has the official suite.
//! Longer than 600 lines, as the model has 256 instructions.

#![expect(clippy::unwrap_used, reason = "a test")]
#![expect(clippy::type_complexity, reason = "tables of names and functions")]

use std::collections::BTreeSet;

use assay_interp::{
    Config, ErrorKind, Extern, Features, FuncAddr, MemoryAddr, Module, Store, TrapKind, Value,
};

/// A function of the module under test and what it should compute; scalars stand in the low bits.
struct Case {
    /// Text of the instruction.
    text: String,
    params: Vec<&'static str>,
    result: &'static str,
    /// Bits of the operands' lanes, for choosing values.
    bits: u32,
    float: bool,
    model: Box<dyn Fn(&[u128]) -> u128>,
}

#[derive(Default)]
struct Cases(Vec<Case>);

impl Cases {
    fn add(
        &mut self,
        text: String,
        params: &[&'static str],
        result: &'static str,
        bits: u32,
        float: bool,
        model: impl Fn(&[u128]) -> u128 + 'static,
    ) {
        let params = params.to_vec();
        self.0.push(Case { text, params, result, bits, float, model: Box::new(model) });
    }

    /// Vectors of integers to a vector.
    fn ints(
        &mut self,
        text: impl Into<String>,
        n: usize,
        bits: u32,
        model: impl Fn(&[u128]) -> u128 + 'static,
    ) {
        self.add(text.into(), &["v128"; 3][..n], "v128", bits, false, model);
    }

    /// Vectors of floats to a vector.
    fn floats(
        &mut self,
        text: impl Into<String>,
        n: usize,
        bits: u32,
        model: impl Fn(&[u128]) -> u128 + 'static,
    ) {
        self.add(text.into(), &["v128"; 3][..n], "v128", bits, true, model);
    }
}

// The model's view of a vector.

fn mask(bits: u32) -> u128 {
    (1 << bits) - 1
}

fn lane(v: u128, bits: u32, i: u32) -> u128 {
    (v >> (bits * i)) & mask(bits)
}

/// The unsigned or signed integer of some bits.
fn int(x: u128, bits: u32, signed: bool) -> i128 {
    let x = (x & mask(bits)) as i128;
    if signed && x >= 1 << (bits - 1) { x - (1 << bits) } else { x }
}

fn int_lane(v: u128, bits: u32, i: u32, signed: bool) -> i128 {
    int(lane(v, bits, i), bits, signed)
}

/// The vector of lanes `f(0)`, `f(1)` …, each modulo 2 to the `bits`.
fn vector(bits: u32, f: impl Fn(u32) -> i128) -> u128 {
    (0..128 / bits).fold(0, |v, i| v | ((f(i) as u128) & mask(bits)) << (bits * i))
}

fn saturate(x: i128, bits: u32, signed: bool) -> i128 {
    let (low, high) =
        if signed { (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1) } else { (0, (1i128 << bits) - 1) };
    if x < low {
        low
    } else if x > high {
        high
    } else {
        x
    }
}

/// The float of some bits, widened to f64, which is exact.
fn float(x: u128, bits: u32) -> f64 {
    if bits == 32 { f64::from(f32::from_bits(x as u32)) } else { f64::from_bits(x as u64) }
}

/// The bits of a float; of NaN, the positive canonical one's. For +, −, ×, ÷ and √ of f32, rounding a result of f64 once
/// more gives the right result, as f64 has more than twice the precision.
fn float_bits(x: f64, bits: u32) -> i128 {
    match (bits, x.is_nan()) {
        (32, true) => 0x7fc0_0000,
        (32, false) => i128::from((x as f32).to_bits()),
        (_, true) => 0x7ff8_0000_0000_0000,
        (_, false) => i128::from(x.to_bits()),
    }
}

fn with_sign_of(magnitude: f64, sign: f64) -> f64 {
    if sign.is_sign_negative() { -magnitude.abs() } else { magnitude.abs() }
}

/// Rounds to an integer: what lies between is decided by `up(integer part's magnitude, fraction, negative)`.
fn rounded(x: f64, up: impl Fn(i64, f64, bool) -> bool) -> f64 {
    if x.is_nan() || x.abs() >= 4_503_599_627_370_496.0 {
        return x;
    }
    let whole = x.abs() as i64;
    let fraction = x.abs() - whole as f64;
    let whole = if up(whole, fraction, x.is_sign_negative()) { whole + 1 } else { whole };
    with_sign_of(whole as f64, x)
}

fn minimum(x: f64, y: f64) -> f64 {
    if x.is_nan() || y.is_nan() {
        f64::NAN
    } else if x == 0.0 && y == 0.0 {
        if x.is_sign_negative() || y.is_sign_negative() { -0.0 } else { 0.0 }
    } else if x < y {
        x
    } else {
        y
    }
}

fn truncated(x: f64, signed: bool) -> i128 {
    if x.is_nan() { 0 } else { saturate(x.clamp(-1e12, 1e12) as i128, 32, signed) }
}

fn relaxed_dot(a: u128, b: u128) -> u128 {
    let product = |i| int_lane(a, 8, i, true) * int_lane(b, 8, i, true);
    vector(16, |i| saturate(product(2 * i) + product(2 * i + 1), 16, true))
}

const SIGNS: [(&str, bool); 2] = [("s", true), ("u", false)];

fn integer_cases(cases: &mut Cases) {
    for bits in [8, 16, 32, 64] {
        let shape = format!("i{bits}x{}", 128 / bits);
        let lanes = 128 / bits;
        let scalar = if bits == 64 { "i64" } else { "i32" };
        cases.add(format!("{shape}.splat"), &[scalar], "v128", bits, false, move |v| {
            vector(bits, |_| v[0] as i128)
        });
        let relations: [(&str, fn(i128, i128) -> bool); 4] =
            [("lt", |x, y| x < y), ("gt", |x, y| x > y), ("le", |x, y| x <= y), ("ge", |x, y| x >= y)];
        for (name, holds) in relations {
            for (suffix, signed) in SIGNS {
                if bits == 64 && !signed {
                    continue;
                }
                cases.ints(format!("{shape}.{name}_{suffix}"), 2, bits, move |v| {
                    let x = |k: usize, i| int_lane(v[k], bits, i, signed);
                    vector(bits, |i| -i128::from(holds(x(0, i), x(1, i))))
                });
            }
        }
        cases.ints(format!("{shape}.eq"), 2, bits, move |v| {
            vector(bits, |i| -i128::from(lane(v[0], bits, i) == lane(v[1], bits, i)))
        });
        cases.ints(format!("{shape}.ne"), 2, bits, move |v| {
            vector(bits, |i| -i128::from(lane(v[0], bits, i) != lane(v[1], bits, i)))
        });
        cases.ints(format!("{shape}.abs"), 1, bits, move |v| {
            vector(bits, |i| {
                let x = int_lane(v[0], bits, i, true);
                if x < 0 { -x } else { x }
            })
        });
        cases
            .ints(format!("{shape}.neg"), 1, bits, move |v| vector(bits, |i| -int_lane(v[0], bits, i, true)));
        cases.add(format!("{shape}.all_true"), &["v128"], "i32", bits, false, move |v| {
            u128::from(!(0..lanes).any(|i| lane(v[0], bits, i) == 0))
        });
        cases.add(format!("{shape}.bitmask"), &["v128"], "i32", bits, false, move |v| {
            (0..lanes).map(|i| (lane(v[0], bits, i) >> (bits - 1)) << i).sum()
        });
        let shifts: [(&str, bool, fn(i128, u32) -> i128); 3] = [
            ("shl", false, |x, n| x.wrapping_mul(1 << n)),
            ("shr_s", true, |x, n| x.div_euclid(1 << n)),
            ("shr_u", false, |x, n| x / (1 << n)),
        ];
        for (name, signed, shift) in shifts {
            cases.add(format!("{shape}.{name}"), &["v128", "i32"], "v128", bits, false, move |v| {
                vector(bits, |i| shift(int_lane(v[0], bits, i, signed), (v[1] % u128::from(bits)) as u32))
            });
        }
        let arithmetic: [(&str, fn(i128, i128) -> i128); 3] =
            [("add", |x, y| x + y), ("sub", |x, y| x - y), ("mul", |x, y| x.wrapping_mul(y))];
        for (name, f) in arithmetic {
            if name != "mul" || bits != 8 {
                cases.ints(format!("{shape}.{name}"), 2, bits, move |v| {
                    let x = |k: usize, i| int_lane(v[k], bits, i, true);
                    vector(bits, |i| f(x(0, i), x(1, i)))
                });
            }
            if name != "mul" && bits <= 16 {
                for (suffix, signed) in SIGNS {
                    cases.ints(format!("{shape}.{name}_sat_{suffix}"), 2, bits, move |v| {
                        let x = |k: usize, i| int_lane(v[k], bits, i, signed);
                        vector(bits, |i| saturate(f(x(0, i), x(1, i)), bits, signed))
                    });
                }
            }
        }
        for (suffix, signed) in SIGNS {
            if bits == 64 {
                continue;
            }
            let x = move |v: &[u128], k: usize, i| int_lane(v[k], bits, i, signed);
            cases.ints(format!("{shape}.min_{suffix}"), 2, bits, move |v| {
                vector(bits, |i| if x(v, 0, i) < x(v, 1, i) { x(v, 0, i) } else { x(v, 1, i) })
            });
            cases.ints(format!("{shape}.max_{suffix}"), 2, bits, move |v| {
                vector(bits, |i| if x(v, 0, i) > x(v, 1, i) { x(v, 0, i) } else { x(v, 1, i) })
            });
        }
        if bits <= 16 {
            cases.ints(format!("{shape}.avgr_u"), 2, bits, move |v| {
                let x = |k: usize, i| int_lane(v[k], bits, i, false);
                vector(bits, |i| (x(0, i) + x(1, i) + 1) / 2)
            });
        }
        lane_cases(cases, &shape, bits, scalar);
        cases.ints(format!("{shape}.relaxed_laneselect"), 3, bits, select_bits);
    }
    cases.ints("i8x16.popcnt", 1, 8, |v| {
        vector(8, |i| (0..8).map(|bit| ((v[0] >> (8 * i + bit)) & 1) as i128).sum())
    });
    for name in ["i16x8.q15mulr_sat_s", "i16x8.relaxed_q15mulr_s"] {
        cases.ints(name, 2, 16, |v| {
            let x = |k: usize, i| int_lane(v[k], 16, i, true);
            vector(16, |i| saturate((x(0, i) * x(1, i) + 16384).div_euclid(32768), 16, true))
        });
    }
}

fn select_bits(v: &[u128]) -> u128 {
    (0..128).fold(0, |out, i| out | ((if (v[2] >> i) & 1 == 1 { v[0] } else { v[1] }) >> i & 1) << i)
}

fn lane_cases(cases: &mut Cases, shape: &str, bits: u32, scalar: &'static str) {
    for i in 0..128 / bits {
        let suffixes: &[(&str, bool)] =
            if bits <= 16 { &[("_s", true), ("_u", false)] } else { &[("", false)] };
        for &(suffix, signed) in suffixes {
            let text = format!("{shape}.extract_lane{suffix} {i}");
            cases.add(text, &["v128"], scalar, bits, shape.starts_with('f'), move |v| {
                let wide = if bits == 64 { 64 } else { 32 };
                int_lane(v[0], bits, i, signed) as u128 & mask(wide)
            });
        }
        let text = format!("{shape}.replace_lane {i}");
        cases.add(text, &["v128", scalar], "v128", bits, shape.starts_with('f'), move |v| {
            vector(bits, |k| if k == i { v[1] as i128 } else { lane(v[0], bits, k) as i128 })
        });
    }
}

/// Instructions whose result has lanes of another size.
fn resizing_cases(cases: &mut Cases) {
    for bits in [16, 32, 64] {
        let half = bits / 2;
        let (shape, source) = (format!("i{bits}x{}", 128 / bits), format!("i{half}x{}", 128 / half));
        for (suffix, signed) in SIGNS {
            let x = move |v: u128, i| int_lane(v, half, i, signed);
            for (part, first) in [("low", 0), ("high", 128 / bits)] {
                cases.ints(format!("{shape}.extend_{part}_{source}_{suffix}"), 1, half, move |v| {
                    vector(bits, |i| x(v[0], first + i))
                });
                cases.ints(format!("{shape}.extmul_{part}_{source}_{suffix}"), 2, half, move |v| {
                    vector(bits, |i| x(v[0], first + i).wrapping_mul(x(v[1], first + i)))
                });
            }
            if bits < 64 {
                cases.ints(format!("{shape}.extadd_pairwise_{source}_{suffix}"), 1, half, move |v| {
                    vector(bits, |i| x(v[0], 2 * i) + x(v[0], 2 * i + 1))
                });
                cases.ints(format!("{source}.narrow_{shape}_{suffix}"), 2, bits, move |v| {
                    let n = 128 / bits;
                    vector(half, |i| saturate(int_lane(v[(i / n) as usize], bits, i % n, true), half, signed))
                });
            }
        }
    }
    cases.ints("i32x4.dot_i16x8_s", 2, 16, |v| {
        let product = |i| int_lane(v[0], 16, i, true) * int_lane(v[1], 16, i, true);
        vector(32, |i| product(2 * i) + product(2 * i + 1))
    });
    cases.ints("i16x8.relaxed_dot_i8x16_i7x16_s", 2, 8, |v| relaxed_dot(v[0], v[1]));
    cases.ints("i32x4.relaxed_dot_i8x16_i7x16_add_s", 3, 8, |v| {
        let sum = |i| int_lane(relaxed_dot(v[0], v[1]), 16, i, true);
        vector(32, |i| sum(2 * i) + sum(2 * i + 1) + int_lane(v[2], 32, i, true))
    });
}

fn bitwise_cases(cases: &mut Cases) {
    cases.ints("v128.not", 1, 8, |v| vector(1, |i| i128::from(lane(v[0], 1, i) == 0)));
    let by_bit: [(&str, fn(bool, bool) -> bool); 4] =
        [("and", |x, y| x && y), ("andnot", |x, y| x && !y), ("or", |x, y| x || y), ("xor", |x, y| x != y)];
    for (name, f) in by_bit {
        cases.ints(format!("v128.{name}"), 2, 8, move |v| {
            vector(1, |i| i128::from(f(lane(v[0], 1, i) == 1, lane(v[1], 1, i) == 1)))
        });
    }
    cases.ints("v128.bitselect", 3, 8, select_bits);
    cases.add("v128.any_true".to_owned(), &["v128"], "i32", 8, false, |v| u128::from(v[0] > 0));
    for name in ["i8x16.swizzle", "i8x16.relaxed_swizzle"] {
        cases.ints(name, 2, 8, |v| {
            vector(8, |i| match lane(v[1], 8, i) {
                index if index < 16 => lane(v[0], 8, index as u32) as i128,
                _ => 0,
            })
        });
    }
    let mut random = Random(7);
    for _ in 0..20 {
        let lanes: Vec<u32> = (0..16).map(|_| (random.next() % 32) as u32).collect();
        let text: Vec<String> = lanes.iter().map(u32::to_string).collect();
        cases.ints(format!("i8x16.shuffle {}", text.join(" ")), 2, 8, move |v| {
            vector(8, |i| {
                let index = lanes[i as usize];
                lane(v[(index / 16) as usize], 8, index % 16) as i128
            })
        });
    }
    for value in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210] {
        let text = format!("v128.const i64x2 {:#x} {:#x}", value as u64, (value >> 64) as u64);
        cases.add(text, &[], "v128", 8, false, move |_| value);
    }
}

fn float_cases(cases: &mut Cases) {
    for bits in [32, 64] {
        let shape = format!("f{bits}x{}", 128 / bits);
        let scalar = if bits == 32 { "f32" } else { "f64" };
        cases.add(format!("{shape}.splat"), &[scalar], "v128", bits, true, move |v| {
            vector(bits, |_| v[0] as i128)
        });
        lane_cases(cases, &shape, bits, scalar);
        let x = move |v: u128, i| float(lane(v, bits, i), bits);
        let relations: [(&str, fn(f64, f64) -> bool); 6] = [
            ("eq", |x, y| x == y),
            ("ne", |x, y| !(x == y)),
            ("lt", |x, y| x < y),
            ("gt", |x, y| x > y),
            ("le", |x, y| x <= y),
            ("ge", |x, y| x >= y),
        ];
        for (name, holds) in relations {
            cases.floats(format!("{shape}.{name}"), 2, bits, move |v| {
                vector(bits, |i| -i128::from(holds(x(v[0], i), x(v[1], i))))
            });
        }
        let top = 1i128 << (bits - 1);
        cases.floats(format!("{shape}.abs"), 1, bits, move |v| {
            vector(bits, |i| (lane(v[0], bits, i) as i128) % top)
        });
        cases.floats(format!("{shape}.neg"), 1, bits, move |v| {
            vector(bits, |i| lane(v[0], bits, i) as i128 + top)
        });
        let unary: [(&str, fn(f64) -> f64); 5] = [
            ("ceil", |x| rounded(x, |_, fraction, negative| !negative && fraction > 0.0)),
            ("floor", |x| rounded(x, |_, fraction, negative| negative && fraction > 0.0)),
            ("trunc", |x| rounded(x, |_, _, _| false)),
            ("nearest", |x| {
                rounded(x, |whole, fraction, _| fraction > 0.5 || fraction == 0.5 && whole % 2 == 1)
            }),
            ("sqrt", f64::sqrt),
        ];
        for (name, f) in unary {
            cases.floats(format!("{shape}.{name}"), 1, bits, move |v| {
                vector(bits, |i| float_bits(f(x(v[0], i)), bits))
            });
        }
        let binary: [(&str, fn(f64, f64) -> f64); 8] = [
            ("add", |x, y| x + y),
            ("sub", |x, y| x - y),
            ("mul", |x, y| x * y),
            ("div", |x, y| x / y),
            ("min", minimum),
            ("max", |x, y| -minimum(-x, -y)),
            ("relaxed_min", minimum),
            ("relaxed_max", |x, y| -minimum(-x, -y)),
        ];
        for (name, f) in binary {
            cases.floats(format!("{shape}.{name}"), 2, bits, move |v| {
                vector(bits, |i| float_bits(f(x(v[0], i), x(v[1], i)), bits))
            });
        }
        let selections: [(&str, fn(f64, f64) -> bool); 2] = [("pmin", |x, y| y < x), ("pmax", |x, y| x < y)];
        for (name, second) in selections {
            cases.floats(format!("{shape}.{name}"), 2, bits, move |v| {
                vector(bits, |i| {
                    let taken = usize::from(second(x(v[0], i), x(v[1], i)));
                    lane(v[taken], bits, i) as i128
                })
            });
        }
        for (name, sign) in [("relaxed_madd", 1.0), ("relaxed_nmadd", -1.0)] {
            cases.floats(format!("{shape}.{name}"), 3, bits, move |v| {
                vector(bits, |i| {
                    // The product is rounded to the type before the addition.
                    let product = float_bits(x(v[0], i) * sign * x(v[1], i), bits) as u128;
                    float_bits(float(product, bits) + x(v[2], i), bits)
                })
            });
        }
    }
    for (suffix, signed) in SIGNS {
        for name in ["trunc_sat", "relaxed_trunc"] {
            cases.floats(format!("i32x4.{name}_f32x4_{suffix}"), 1, 32, move |v| {
                vector(32, |i| truncated(float(lane(v[0], 32, i), 32), signed))
            });
            cases.floats(format!("i32x4.{name}_f64x2_{suffix}_zero"), 1, 64, move |v| {
                vector(32, |i| if i < 2 { truncated(float(lane(v[0], 64, i), 64), signed) } else { 0 })
            });
        }
        cases.ints(format!("f32x4.convert_i32x4_{suffix}"), 1, 32, move |v| {
            vector(32, |i| float_bits(int_lane(v[0], 32, i, signed) as f64, 32))
        });
        cases.ints(format!("f64x2.convert_low_i32x4_{suffix}"), 1, 32, move |v| {
            vector(64, |i| float_bits(int_lane(v[0], 32, i, signed) as f64, 64))
        });
    }
    cases.floats("f32x4.demote_f64x2_zero", 1, 64, |v| {
        vector(32, |i| if i < 2 { float_bits(float(lane(v[0], 64, i), 64), 32) } else { 0 })
    });
    cases.floats("f64x2.promote_low_f32x4", 1, 32, |v| {
        vector(64, |i| float_bits(float(lane(v[0], 32, i), 32), 64))
    });
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A lane: often an edge of its type.
    fn lane(&mut self, bits: u32, float: bool) -> u128 {
        let any = u128::from(self.next()) & mask(bits);
        match (self.next() % 4, float) {
            (0, _) => any,
            (1, false) => (any % 5).wrapping_sub(2) & mask(bits),
            (2, false) => ((1 << (bits - 1)) + any % 5 - 2) & mask(bits),
            (3, false) => 1 << (any % u128::from(bits)),
            // Floats of moderate size: with all their digits, and quarters of integers.
            (1, true) if self.next().is_multiple_of(2) => {
                let (one, digits) = if bits == 32 { (0x3f80_0000, 25) } else { (0x3ff0_0000_0000_0000, 54) };
                (one + any % (1 << digits)) ^ (any >> (bits - 1) << (bits - 1))
            }
            (1, true) => float_bits((any % 4001) as f64 / 4.0 - 500.0, bits) as u128,
            (2, true) => {
                const EDGES: [f64; 12] = [
                    0.0,
                    -0.0,
                    f64::INFINITY,
                    f64::NEG_INFINITY,
                    2_147_483_648.0,
                    -2_147_483_649.0,
                    4_294_967_296.0,
                    -1.0,
                    0.5,
                    f32::MAX as f64,
                    f64::MIN_POSITIVE,
                    8_388_609.0,
                ];
                float_bits(EDGES[self.next() as usize % EDGES.len()], bits) as u128
            }
            // NaN of either sign and any payload, quiet or signalling.
            _ => {
                let exponent = if bits == 32 { 0x7f80_0001 } else { 0x7ff0_0000_0000_0001 };
                any | exponent
            }
        }
    }

    fn value(&mut self, ty: &str, bits: u32, float: bool) -> Value {
        match ty {
            "v128" => Value::V128((0..128 / bits).fold(0, |v, i| v | self.lane(bits, float) << (bits * i))),
            "i32" => Value::I32(self.lane(32, false) as i32),
            "i64" => Value::I64(self.lane(64, false) as i64),
            "f32" => Value::F32(self.lane(32, true) as u32),
            _ => Value::F64(self.lane(64, true) as u64),
        }
    }
}

fn edges(bits: u32, float: bool) -> Vec<u128> {
    let top = 1 << (bits - 1);
    if float {
        let floats = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 2.5, f64::NAN];
        floats.iter().map(|&x| float_bits(x, bits) as u128).collect()
    } else {
        vec![0, 1, mask(bits), top, top - 1]
    }
}

fn bits_of(value: Value) -> u128 {
    match value {
        Value::I32(x) => u128::from(x as u32),
        Value::I64(x) => u128::from(x as u64),
        Value::F32(x) => x.into(),
        Value::F64(x) => x.into(),
        Value::V128(x) => x,
        Value::Ref(_) => panic!("a reference"),
    }
}

fn instance(text: &str, names: impl Iterator<Item = String>) -> (Store, Vec<FuncAddr>, Option<MemoryAddr>) {
    let mut store = Store::new(Config::default());
    let module = Module::new(&wat::parse_str(text).unwrap(), &Features::default()).unwrap();
    let instance = store.instantiate(&module, &[]).unwrap();
    let func = |name: String| match store.export(instance, &name) {
        Some(Extern::Func(func)) => func,
        other => panic!("{name}: {other:?}"),
    };
    let funcs = names.map(func).collect();
    let memory = match store.export(instance, "memory") {
        Some(Extern::Memory(memory)) => Some(memory),
        _ => None,
    };
    (store, funcs, memory)
}

fn cases() -> Vec<Case> {
    let mut cases = Cases::default();
    bitwise_cases(&mut cases);
    integer_cases(&mut cases);
    resizing_cases(&mut cases);
    float_cases(&mut cases);
    cases.0
}

#[test]
fn every_instruction_computes_what_a_scalar_loop_does() {
    let cases = cases();
    let mut text = String::from("(module");
    for case in &cases {
        let params = case.params.join(" ");
        let gets: String = (0..case.params.len()).map(|i| format!("local.get {i} ")).collect();
        let (name, result) = (&case.text, case.result);
        text.push_str(&format!(
            "(func (export \"{name}\") (param {params}) (result {result}) {gets} {name})\n"
        ));
    }
    text.push(')');
    let (mut store, funcs, _) = instance(&text, cases.iter().map(|case| case.text.clone()));
    let mut random = Random(1);
    for (case, func) in cases.iter().zip(funcs) {
        // Every combination of operands whose lanes are all the same edge of the type, then random ones.
        let edges = edges(case.bits, case.float);
        let combinations = edges.len().pow(case.params.len() as u32);
        for round in 0..combinations + 200 {
            let choose = |(i, ty): (usize, &&'static str)| match *ty {
                "v128" if round < combinations => {
                    let edge = edges[round / edges.len().pow(i as u32) % edges.len()];
                    Value::V128(vector(case.bits, |_| edge as i128))
                }
                ty => random.value(ty, case.bits, case.float),
            };
            let args: Vec<Value> = case.params.iter().enumerate().map(choose).collect();
            let operands: Vec<u128> = args.iter().map(|&arg| bits_of(arg)).collect();
            let got = bits_of(store.invoke(func, &args).unwrap()[0]);
            let wanted = (case.model)(&operands);
            assert_eq!(got, wanted, "{} of {operands:x?}: {got:032x}, not {wanted:032x}", case.text);
        }
    }
    let names: BTreeSet<&str> = cases.iter().filter_map(|case| case.text.split(' ').next()).collect();
    assert_eq!(names.len() + ACCESSES.len(), 256, "instructions without a model");
}

/// Loads and stores: name, bytes, kind.
const ACCESSES: [(&str, u64, Access); 22] = [
    ("v128.load", 16, Access::Load),
    ("v128.load8x8_s", 8, Access::Extend(8, true)),
    ("v128.load8x8_u", 8, Access::Extend(8, false)),
    ("v128.load16x4_s", 8, Access::Extend(16, true)),
    ("v128.load16x4_u", 8, Access::Extend(16, false)),
    ("v128.load32x2_s", 8, Access::Extend(32, true)),
    ("v128.load32x2_u", 8, Access::Extend(32, false)),
    ("v128.load8_splat", 1, Access::Splat),
    ("v128.load16_splat", 2, Access::Splat),
    ("v128.load32_splat", 4, Access::Splat),
    ("v128.load64_splat", 8, Access::Splat),
    ("v128.load32_zero", 4, Access::Load),
    ("v128.load64_zero", 8, Access::Load),
    ("v128.load8_lane", 1, Access::LoadLane),
    ("v128.load16_lane", 2, Access::LoadLane),
    ("v128.load32_lane", 4, Access::LoadLane),
    ("v128.load64_lane", 8, Access::LoadLane),
    ("v128.store", 16, Access::Store),
    ("v128.store8_lane", 1, Access::Store),
    ("v128.store16_lane", 2, Access::Store),
    ("v128.store32_lane", 4, Access::Store),
    ("v128.store64_lane", 8, Access::Store),
];

#[derive(Clone, Copy, PartialEq)]
enum Access {
    /// Zero above the bytes read.
    Load,
    /// Lanes of that many bits, to twice the size; signed or not.
    Extend(u32, bool),
    Splat,
    LoadLane,
    Store,
}

#[test]
fn accesses_move_whole_lanes_or_trap_without_effect() {
    const OFFSETS: [u64; 4] = [0, 5, 65_000, 0xffff_fff0];
    let mut functions = Vec::new();
    let mut text = String::from("(module (memory (export \"memory\") 1)");
    for (name, bytes, access) in ACCESSES {
        let lanes = if name.contains("lane") { 16 / bytes as u32 } else { 1 };
        for (lane, offset) in (0..lanes).flat_map(|lane| OFFSETS.map(|offset| (lane, offset))) {
            let immediate = if name.contains("lane") { lane.to_string() } else { String::new() };
            let (value, result) = match access {
                Access::Store => ("local.get 1", ""),
                Access::LoadLane => ("local.get 1", "(result v128)"),
                _ => ("", "(result v128)"),
            };
            let export = functions.len();
            text.push_str(&format!(
                "(func (export \"{export}\") (param i32 v128) {result}
                    local.get 0 {value} {name} offset={offset} {immediate})\n"
            ));
            functions.push((name, bytes, access, lane, offset));
        }
    }
    text.push(')');
    let (mut store, funcs, memory) = instance(&text, (0..functions.len()).map(|i| i.to_string()));
    let memory = memory.unwrap();
    let mut random = Random(2);
    for (&(name, bytes, access, lane, offset), func) in functions.iter().zip(funcs) {
        for round in 0..24 {
            // At the end of the page, just inside and just outside, then anywhere.
            let end = 65_536u64;
            let place = if round < 18 {
                (end - bytes + 1 + round).saturating_sub(offset + 17)
            } else {
                random.next() % end
            };
            let at = place + offset;
            let old: Vec<u8> = (0..80).map(|_| random.next() as u8).collect();
            let bottom = end as usize - old.len();
            store.memory_mut(memory).unwrap()[bottom..].copy_from_slice(&old);
            let before = store.memory(memory).unwrap().to_vec();
            let given = bits_of(random.value("v128", 32, false));
            let outcome = store.invoke(func, &[Value::I32(place as i32), Value::V128(given)]);
            let after = store.memory(memory).unwrap();
            let label = format!("{name} {lane} at {place} + {offset}");
            if at + bytes > end {
                let error = outcome.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Trap(TrapKind::MemoryOutOfBounds), "{label}");
                assert!(before == after, "{label}: a trap changed the memory");
                continue;
            }
            let place = at as usize..(at + bytes) as usize;
            let read = before[place.clone()].iter().rev().fold(0u128, |x, &byte| x << 8 | u128::from(byte));
            let bits = bytes as u32 * 8;
            let results: Vec<u128> = outcome.unwrap().into_iter().map(bits_of).collect();
            let wanted =
                match access {
                    Access::Load => Some(read),
                    Access::Extend(bits, signed) => {
                        Some(vector(2 * bits, |i| int_lane(read, bits, i, signed)))
                    }
                    Access::Splat => Some(vector(bits, |_| read as i128)),
                    Access::LoadLane => Some(vector(bits, |i| {
                        if i == lane { read as i128 } else { (given >> (bits * i)) as i128 }
                    })),
                    Access::Store => None,
                };
            assert_eq!(results, Vec::from_iter(wanted), "{label}");
            let mut expected = before;
            if access == Access::Store {
                let stored = given >> (bits * lane % 128);
                expected[place].copy_from_slice(&stored.to_le_bytes()[..bytes as usize]);
            }
            assert!(expected == after, "{label}: wrong memory");
        }
    }
}
