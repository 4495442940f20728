//! Choices from the input bytes, and from a fixed sequence when they are used up.
//!
//! The fixed tail makes short inputs give programs as rich as long ones, and changing one byte of the input leaves the
//! tail alone. No choice can fail. The bytes are one stream, or those of an [`Input`]'s sections.

use arbitrary::Unstructured;

use super::input::{Cursors, Input, Section};
use crate::Features;

/// A 64-bit generator by Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (2014). Its sequence is
/// part of what a seed means, so it stays as it is.
pub(crate) struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    pub(crate) fn new(seed: u64) -> Self {
        SplitMix64 { state: seed }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The choices of one case.
pub(crate) struct Choices<'a, 'u> {
    bytes: Bytes<'a, 'u>,
    /// What the program may use.
    pub(crate) within: Features,
    /// Whether the i31s that are chosen are less than [`SMALL_I31`]; positions and counters of loops may be more.
    pub(crate) small_i31: bool,
}

/// Where small i31s end. Read as a reference, one of them is not beyond a small heap: it names some object there, or the inside of one.
pub(crate) const SMALL_I31: i32 = 64;

enum Bytes<'a, 'u> {
    Stream(&'a mut Unstructured<'u>, SplitMix64),
    Sections(Box<Cursors>),
}

impl<'a, 'u> Choices<'a, 'u> {
    pub(crate) fn new(input: &'a mut Unstructured<'u>) -> Self {
        Choices {
            bytes: Bytes::Stream(input, SplitMix64::new(0)),
            within: Features::OF_PROGRAMS,
            small_i31: false,
        }
    }

    /// Those of sections, from the first section at first.
    pub(crate) fn of_sections(input: &Input) -> Self {
        let bytes = Bytes::Sections(Box::new(Cursors::new(input)));
        Choices { bytes, within: Features::OF_PROGRAMS, small_i31: false }
    }

    /// The same, for a program that uses no more than this. Where nothing is missing the choices stay what they are.
    pub(crate) fn within(self, within: Features) -> Self {
        Choices { within, ..self }
    }

    /// What follows comes from this section, where it was left; without effect on a stream.
    pub(crate) fn enter(&mut self, section: Section) {
        match &mut self.bytes {
            Bytes::Stream(..) => {}
            Bytes::Sections(cursors) => cursors.enter(section),
        }
    }

    /// The next byte.
    pub(crate) fn byte(&mut self) -> u8 {
        match &mut self.bytes {
            Bytes::Stream(input, tail) => match input.bytes(1) {
                Ok(bytes) => bytes[0],
                Err(_) => (tail.next() >> 24) as u8,
            },
            Bytes::Sections(cursors) => cursors.byte(),
        }
    }

    /// A number below `n`, which is not 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        match n {
            0 | 1 => 0,
            2..=256 => usize::from(self.byte()) % n,
            _ => (usize::from(self.byte()) << 8 | usize::from(self.byte())) % n,
        }
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn range(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// True in about `numerator` of `denominator` cases.
    pub(crate) fn chance(&mut self, numerator: usize, denominator: usize) -> bool {
        self.below(denominator) < numerator
    }

    /// One of a non-empty list.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// One of a non-empty list by its weights.
    pub(crate) fn weighted<T: Copy>(&mut self, of: &[(usize, T)]) -> T {
        let mut at = self.below(of.iter().map(|(weight, _)| weight).sum());
        for &(weight, value) in of {
            if at < weight {
                return value;
            }
            at -= weight;
        }
        of[0].1
    }

    /// 32 bits, edges more often than not.
    pub(crate) fn i32(&mut self) -> i32 {
        match self.below(8) {
            0..=2 => self.below(17) as i32,
            3 => -(self.below(17) as i32),
            4 | 5 => self.pick(&[
                i32::MAX,
                i32::MIN,
                -1,
                0x7f,
                0x80,
                0xff,
                0x7fff,
                0x8000,
                0xffff,
                0x3fff_ffff,
                0x4000_0000,
                0x5555_5555,
                -0x4000_0000,
                -0x4000_0001,
            ]),
            _ => self.bits(4) as i32,
        }
    }

    /// A value for `ref.i31`: the edges of 31 bits, where zero and sign extension differ.
    pub(crate) fn i31(&mut self) -> i32 {
        if self.small_i31 {
            return self.below(SMALL_I31 as usize) as i32;
        }
        match self.below(4) {
            0 => self.below(9) as i32,
            1 | 2 => self.pick(&[
                0,
                1,
                2,
                -1,
                -2,
                0x3fff_ffff,
                0x4000_0000,
                0x7fff_ffff,
                -0x4000_0000,
                -0x4000_0001,
                i32::MIN,
            ]),
            _ => self.i32(),
        }
    }

    /// 64 bits, edges more often than not.
    pub(crate) fn i64(&mut self) -> i64 {
        match self.below(4) {
            0 | 1 => i64::from(self.i32()),
            2 => self.pick(&[i64::MAX, i64::MIN, -1, 1 << 31, 1 << 32, (1 << 32) - 1, -(1 << 31) - 1]),
            _ => self.bits(8) as i64,
        }
    }

    /// The bits of an f32.
    pub(crate) fn f32(&mut self) -> u32 {
        match self.below(4) {
            0 | 1 => (self.below(64) as f32 / 4.0 - 6.0).to_bits(),
            2 => self.pick(&[
                0,
                0x8000_0000,
                1,
                0x7f80_0000,
                0xff80_0000,
                0x7fc0_0000,
                0x7f7f_ffff,
                0x4f00_0000,
                0x7fe1_2345,
            ]),
            _ => 0x3f00_0000 | (self.bits(3) as u32),
        }
    }

    /// The bits of an f64.
    pub(crate) fn f64(&mut self) -> u64 {
        match self.below(4) {
            0 | 1 => (self.below(64) as f64 / 4.0 - 6.0).to_bits(),
            2 => self.pick(&[
                0,
                1 << 63,
                1,
                0x7ff0_0000_0000_0000,
                0xfff0_0000_0000_0000,
                0x7ff8_0000_0000_0000,
                0x41e0_0000_0000_0000,
                0x7fef_ffff_ffff_ffff,
                0xfffc_0000_0000_1234,
            ]),
            _ => 0x3fe0_0000_0000_0000 | self.bits(6),
        }
    }

    /// 128 bits.
    pub(crate) fn v128(&mut self) -> i128 {
        i128::from(self.i64()) << 64 | i128::from(self.i64() as u64)
    }

    fn bits(&mut self, bytes: usize) -> u64 {
        (0..bytes).fold(0, |bits, _| bits << 8 | u64::from(self.byte()))
    }
}
