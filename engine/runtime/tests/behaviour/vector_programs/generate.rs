//! Makes programs: seven parameters, some statements that set six vector locals, and those locals as results.

/// A program.
pub(crate) struct Program {
    /// Its text: exports `f`.
    pub(crate) text: String,
    /// What to call it with, in turn.
    pub(crate) arguments: Vec<Arguments>,
}

/// Arguments of a call.
pub(crate) struct Arguments {
    pub(crate) vectors: [u128; 3],
    pub(crate) i32: u32,
    pub(crate) i64: u64,
    pub(crate) f32: u32,
    pub(crate) f64: u64,
}

/// From a vector to a vector.
const UNARY: &str = "\
    f32x4.abs f32x4.ceil f32x4.convert_i32x4_s f32x4.convert_i32x4_u f32x4.demote_f64x2_zero f32x4.floor \
    f32x4.nearest f32x4.neg f32x4.sqrt f32x4.trunc f64x2.abs f64x2.ceil f64x2.convert_low_i32x4_s \
    f64x2.convert_low_i32x4_u f64x2.floor f64x2.nearest f64x2.neg f64x2.promote_low_f32x4 f64x2.sqrt \
    f64x2.trunc i16x8.abs i16x8.extadd_pairwise_i8x16_s i16x8.extadd_pairwise_i8x16_u \
    i16x8.extend_high_i8x16_s i16x8.extend_high_i8x16_u i16x8.extend_low_i8x16_s \
    i16x8.extend_low_i8x16_u i16x8.neg i32x4.abs i32x4.extadd_pairwise_i16x8_s \
    i32x4.extadd_pairwise_i16x8_u i32x4.extend_high_i16x8_s i32x4.extend_high_i16x8_u \
    i32x4.extend_low_i16x8_s i32x4.extend_low_i16x8_u i32x4.neg i32x4.relaxed_trunc_f32x4_s \
    i32x4.relaxed_trunc_f32x4_u i32x4.relaxed_trunc_f64x2_s_zero i32x4.relaxed_trunc_f64x2_u_zero \
    i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u i32x4.trunc_sat_f64x2_s_zero \
    i32x4.trunc_sat_f64x2_u_zero i64x2.abs i64x2.extend_high_i32x4_s i64x2.extend_high_i32x4_u \
    i64x2.extend_low_i32x4_s i64x2.extend_low_i32x4_u i64x2.neg i8x16.abs i8x16.neg i8x16.popcnt \
    v128.not";
/// From two vectors to one.
const BINARY: &str = "\
    f32x4.add f32x4.div f32x4.eq f32x4.ge f32x4.gt f32x4.le f32x4.lt f32x4.max f32x4.min f32x4.mul \
    f32x4.ne f32x4.pmax f32x4.pmin f32x4.relaxed_max f32x4.relaxed_min f32x4.sub f64x2.add f64x2.div \
    f64x2.eq f64x2.ge f64x2.gt f64x2.le f64x2.lt f64x2.max f64x2.min f64x2.mul f64x2.ne f64x2.pmax \
    f64x2.pmin f64x2.relaxed_max f64x2.relaxed_min f64x2.sub i16x8.add i16x8.add_sat_s i16x8.add_sat_u \
    i16x8.avgr_u i16x8.eq i16x8.extmul_high_i8x16_s i16x8.extmul_high_i8x16_u i16x8.extmul_low_i8x16_s \
    i16x8.extmul_low_i8x16_u i16x8.ge_s i16x8.ge_u i16x8.gt_s i16x8.gt_u i16x8.le_s i16x8.le_u \
    i16x8.lt_s i16x8.lt_u i16x8.max_s i16x8.max_u i16x8.min_s i16x8.min_u i16x8.mul i16x8.narrow_i32x4_s \
    i16x8.narrow_i32x4_u i16x8.ne i16x8.q15mulr_sat_s i16x8.relaxed_dot_i8x16_i7x16_s \
    i16x8.relaxed_q15mulr_s i16x8.sub i16x8.sub_sat_s i16x8.sub_sat_u i32x4.add i32x4.dot_i16x8_s \
    i32x4.eq i32x4.extmul_high_i16x8_s i32x4.extmul_high_i16x8_u i32x4.extmul_low_i16x8_s \
    i32x4.extmul_low_i16x8_u i32x4.ge_s i32x4.ge_u i32x4.gt_s i32x4.gt_u i32x4.le_s i32x4.le_u \
    i32x4.lt_s i32x4.lt_u i32x4.max_s i32x4.max_u i32x4.min_s i32x4.min_u i32x4.mul i32x4.ne i32x4.sub \
    i64x2.add i64x2.eq i64x2.extmul_high_i32x4_s i64x2.extmul_high_i32x4_u i64x2.extmul_low_i32x4_s \
    i64x2.extmul_low_i32x4_u i64x2.ge_s i64x2.gt_s i64x2.le_s i64x2.lt_s i64x2.mul i64x2.ne i64x2.sub \
    i8x16.add i8x16.add_sat_s i8x16.add_sat_u i8x16.avgr_u i8x16.eq i8x16.ge_s i8x16.ge_u i8x16.gt_s \
    i8x16.gt_u i8x16.le_s i8x16.le_u i8x16.lt_s i8x16.lt_u i8x16.max_s i8x16.max_u i8x16.min_s \
    i8x16.min_u i8x16.narrow_i16x8_s i8x16.narrow_i16x8_u i8x16.ne i8x16.relaxed_swizzle i8x16.sub \
    i8x16.sub_sat_s i8x16.sub_sat_u i8x16.swizzle v128.and v128.andnot v128.or v128.xor";
/// From three vectors to one.
const TERNARY: &str = "\
    f32x4.relaxed_madd f32x4.relaxed_nmadd f64x2.relaxed_madd f64x2.relaxed_nmadd \
    i16x8.relaxed_laneselect i32x4.relaxed_dot_i8x16_i7x16_add_s i32x4.relaxed_laneselect \
    i64x2.relaxed_laneselect i8x16.relaxed_laneselect v128.bitselect";
/// From a vector and an i32 to a vector.
const SHIFTS: &str = "\
    i16x8.shl i16x8.shr_s i16x8.shr_u i32x4.shl i32x4.shr_s i32x4.shr_u i64x2.shl i64x2.shr_s \
    i64x2.shr_u i8x16.shl i8x16.shr_s i8x16.shr_u";
/// From a vector to an i32.
const TESTS: &str = "\
    i16x8.all_true i16x8.bitmask i32x4.all_true i32x4.bitmask i64x2.all_true i64x2.bitmask \
    i8x16.all_true i8x16.bitmask v128.any_true";
/// From an address to a vector.
const LOADS: &str = "\
    v128.load v128.load16_splat v128.load16x4_s v128.load16x4_u v128.load32_splat v128.load32_zero \
    v128.load32x2_s v128.load32x2_u v128.load64_splat v128.load64_zero v128.load8_splat v128.load8x8_s \
    v128.load8x8_u";
/// All the rest.
const OTHERS: &str = "\
    f32x4.extract_lane f32x4.replace_lane f32x4.splat f64x2.extract_lane f64x2.replace_lane f64x2.splat \
    i16x8.extract_lane_s i16x8.extract_lane_u i16x8.replace_lane i16x8.splat i32x4.extract_lane \
    i32x4.replace_lane i32x4.splat i64x2.extract_lane i64x2.replace_lane i64x2.splat \
    i8x16.extract_lane_s i8x16.extract_lane_u i8x16.replace_lane i8x16.shuffle i8x16.splat v128.const \
    v128.load16_lane v128.load32_lane v128.load64_lane v128.load8_lane v128.store v128.store16_lane \
    v128.store32_lane v128.store64_lane v128.store8_lane";

/// Names of all vector instructions.
pub(crate) fn instructions() -> impl Iterator<Item = &'static str> {
    [UNARY, BINARY, TERNARY, SHIFTS, TESTS, LOADS, OTHERS].into_iter().flat_map(str::split_whitespace)
}

/// (shape, number of lanes, type of a lane's value, suffixes of `extract_lane`)
const SHAPES: [(&str, u32, &str, &[&str]); 6] = [
    ("i8x16", 16, "i32", &["_s", "_u"]),
    ("i16x8", 8, "i32", &["_s", "_u"]),
    ("i32x4", 4, "i32", &[""]),
    ("i64x2", 2, "i64", &[""]),
    ("f32x4", 4, "f32", &[""]),
    ("f64x2", 2, "f64", &[""]),
];

/// A program that `seed` stands for.
pub(crate) fn program(seed: u64) -> Program {
    let mut choice = Choice(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut text = String::from(
        "(module (memory (export \"m\") 1)
  (func (export \"f\") (param v128 v128 v128) (param $i i32) (param $l i64) (param $s f32) (param $d f64)
    (result v128 v128 v128 v128 v128 v128) (local v128 v128 v128)\n",
    );
    for _ in 0..4 + choice.below(10) {
        let statement = choice.statement();
        text += &format!("    {statement}\n");
    }
    text += "    (local.get 0) (local.get 1) (local.get 2) (local.get 7) (local.get 8) (local.get 9)))";
    let arguments = (0..3).map(|_| choice.arguments()).collect();
    Program { text, arguments }
}

/// A source of choices (xorshift).
struct Choice(u64);

impl Choice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 32) % n
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }

    fn word(&mut self, list: &'static str) -> &'static str {
        let count = list.split_whitespace().count() as u64;
        let at = self.below(count) as usize;
        list.split_whitespace().nth(at).unwrap()
    }

    fn f32(&mut self) -> u32 {
        match self.below(4) {
            0 => self.next() as u32,
            1 => self.of(&[
                0,
                1 << 31,
                1,
                0x7f80_0000,
                0xff80_0000,
                0x7fc0_0000,
                0xffc0_0000,
                0x7fa0_0001,
                0xff80_0001,
            ]),
            2 => self
                .of(&[
                    2147483648f32,
                    -2147483648.0,
                    2147483520.0,
                    4294967296.0,
                    4294967040.0,
                    -1.0,
                    -0.5,
                    65535.5,
                ])
                .to_bits(),
            _ => (self.below(64) as f32 / 4.0 - 8.0).to_bits(),
        }
    }

    fn f64(&mut self) -> u64 {
        match self.below(4) {
            0 => self.next(),
            1 => self.of(&[
                0,
                1 << 63,
                1,
                0x7ff << 52,
                0xfff << 52,
                0x7ff8 << 48,
                0xfff8 << 48,
                0x7ff4_0000_0000_0001,
            ]),
            2 => self
                .of(&[
                    2147483648f64,
                    -2147483649.5,
                    2147483647.5,
                    4294967295.5,
                    4294967296.0,
                    -1.0,
                    -0.5,
                    1e300,
                ])
                .to_bits(),
            _ => (self.below(64) as f64 / 4.0 - 8.0).to_bits(),
        }
    }

    /// Bits that mean something in one of the shapes.
    fn bits(&mut self) -> u128 {
        let mut bits = 0;
        match self.below(6) {
            0 => return self.of(&[0, u128::MAX]),
            1 => (0..4).for_each(|_| bits = bits << 32 | u128::from(self.f32())),
            2 => (0..2).for_each(|_| bits = bits << 64 | u128::from(self.f64())),
            3 => (0..16)
                .for_each(|_| bits = bits << 8 | self.of(&[0, 1, 2, 15, 16, 0x7f, 0x80, 0x81, 0xfe, 0xff])),
            4 => (0..8).for_each(|_| {
                bits = bits << 16 | self.of(&[0, 1, 0x7fff, 0x8000, 0x8001, 0xff, 0xff00, 0xffff])
            }),
            _ => return u128::from(self.next()) << 64 | u128::from(self.next()),
        }
        bits
    }

    fn arguments(&mut self) -> Arguments {
        Arguments {
            vectors: [self.bits(), self.bits(), self.bits()],
            i32: self.bits() as u32,
            i64: self.bits() as u64,
            f32: self.f32(),
            f64: self.f64(),
        }
    }

    fn constant(&mut self) -> String {
        let bits = self.bits();
        format!("(v128.const i64x2 {:#x} {:#x})", bits as u64, (bits >> 64) as u64)
    }

    fn statement(&mut self) -> String {
        let (address, offset) = (self.address(), self.below(64));
        match self.below(8) {
            0 => format!("(v128.store offset={offset} {address} {})", self.vector(3)),
            1 => {
                let (bits, lanes) = self.of(&[(8, 16), (16, 8), (32, 4), (64, 2)]);
                let lane = self.below(lanes);
                format!("(v128.store{bits}_lane offset={offset} {lane} {address} {})", self.vector(3))
            }
            _ => {
                let local = self.of(&[0, 1, 2, 7, 8, 9]);
                format!("(local.set {local} {})", self.vector(4))
            }
        }
    }

    fn address(&mut self) -> String {
        if self.below(2) == 0 {
            return format!("(i32.const {})", self.below(64));
        }
        format!("(i32.and (i32.const 63) {})", self.scalar("i32", 1))
    }

    /// An expression of a vector, at most `depth` deep.
    fn vector(&mut self, depth: u32) -> String {
        if depth == 0 {
            return match self.below(4) {
                0 => self.constant(),
                _ => format!("(local.get {})", self.of(&[0, 1, 2, 7, 8, 9])),
            };
        }
        let less = depth - 1;
        match self.below(16) {
            0 => self.constant(),
            1 | 2 => self.vector(0),
            3..=5 => format!("({} {})", self.word(UNARY), self.vector(less)),
            6..=9 => format!("({} {} {})", self.word(BINARY), self.vector(less), self.vector(less)),
            10 => {
                format!(
                    "({} {} {} {})",
                    self.word(TERNARY),
                    self.vector(less),
                    self.vector(less),
                    self.vector(less)
                )
            }
            11 => format!("({} {} {})", self.word(SHIFTS), self.vector(less), self.scalar("i32", less)),
            12 => {
                let (shape, _, ty, _) = self.of(&SHAPES);
                format!("({shape}.splat {})", self.scalar(ty, less))
            }
            13 => {
                let (shape, lanes, ty, _) = self.of(&SHAPES);
                let lane = self.below(lanes.into());
                format!("({shape}.replace_lane {lane} {} {})", self.vector(less), self.scalar(ty, less))
            }
            14 => {
                let pattern = self.below(4);
                let first = self.below(32);
                let lane = |choice: &mut Choice, at: u64| match pattern {
                    0 => choice.below(32),
                    1 => (first + at) % 32,
                    2 => first,
                    _ => at / 2 + at % 2 * 16,
                };
                let lanes: Vec<String> = (0..16).map(|at| lane(self, at).to_string()).collect();
                format!("(i8x16.shuffle {} {} {})", lanes.join(" "), self.vector(less), self.vector(less))
            }
            _ if self.below(2) == 0 => {
                format!("({} offset={} {})", self.word(LOADS), self.below(64), self.address())
            }
            _ => {
                let (bits, lanes) = self.of(&[(8, 16), (16, 8), (32, 4), (64, 2)]);
                let (lane, offset) = (self.below(lanes), self.below(64));
                format!(
                    "(v128.load{bits}_lane offset={offset} {lane} {} {})",
                    self.address(),
                    self.vector(less)
                )
            }
        }
    }

    /// An expression of a scalar type.
    fn scalar(&mut self, ty: &'static str, depth: u32) -> String {
        match self.below(4) {
            0 => match ty {
                "i32" => format!("(i32.const {:#x})", self.bits() as u32),
                "i64" => format!("(i64.const {:#x})", self.bits() as u64),
                "f32" => format!("(f32.reinterpret_i32 (i32.const {:#x}))", self.f32()),
                _ => format!("(f64.reinterpret_i64 (i64.const {:#x}))", self.f64()),
            },
            1 if depth > 0 && ty == "i32" => format!("({} {})", self.word(TESTS), self.vector(depth - 1)),
            1 | 2 if depth > 0 => {
                let of_type: Vec<_> = SHAPES.into_iter().filter(|shape| shape.2 == ty).collect();
                let (shape, lanes, _, suffixes) = self.of(&of_type);
                let (suffix, lane) = (self.of(suffixes), self.below(lanes.into()));
                format!("({shape}.extract_lane{suffix} {lane} {})", self.vector(depth - 1))
            }
            _ => match ty {
                "i32" => "(local.get $i)".to_owned(),
                "i64" => "(local.get $l)".to_owned(),
                "f32" => "(local.get $s)".to_owned(),
                _ => "(local.get $d)".to_owned(),
            },
        }
    }
}
