//! Numeric instructions (spec: Execution / Numerics). Every one maps slots to a slot; i32 and f32 stay zero-extended.
//! The integer instructions that cannot trap are arms of the loop itself (`run`), which saves them a second dispatch.
//! A float result that is a NaN is the positive canonical NaN, so that executors agree bit by bit.

use super::code::{Code, Op};
use crate::error::TrapKind;

/// Why a numeric instruction had no result.
pub(crate) enum NoResult {
    Trap(TrapKind),
    /// The operation is none of this family.
    NotNumeric,
}

impl From<TrapKind> for NoResult {
    fn from(trap: TrapKind) -> NoResult {
        NoResult::Trap(trap)
    }
}

/// Evaluates one numeric instruction over a frame's slots.
#[inline(always)]
#[expect(
    clippy::manual_range_contains,
    reason = "the bounds read like the others, some of which are exclusive"
)]
pub(crate) fn evaluate(op: Op, regs: &[u64]) -> Result<u64, NoResult> {
    macro_rules! with {
        ($a:ident => $result:expr) => {{
            let $a = regs[op.a as usize];
            $result
        }};
        ($a:ident $b:ident => $result:expr) => {{
            let $a = regs[op.a as usize];
            let $b = regs[op.b as usize];
            $result
        }};
    }
    Ok(match op.code {
        // Spec: f32 comparisons (feq, flt …).
        Code::F32Eq => with!(a b => test(f32_of(a) == f32_of(b))),
        Code::F32Ne => with!(a b => test(f32_of(a) != f32_of(b))),
        Code::F32Lt => with!(a b => test(f32_of(a) < f32_of(b))),
        Code::F32Gt => with!(a b => test(f32_of(a) > f32_of(b))),
        Code::F32Le => with!(a b => test(f32_of(a) <= f32_of(b))),
        Code::F32Ge => with!(a b => test(f32_of(a) >= f32_of(b))),
        // Spec: f64 comparisons (feq, flt …).
        Code::F64Eq => with!(a b => test(f64_of(a) == f64_of(b))),
        Code::F64Ne => with!(a b => test(f64_of(a) != f64_of(b))),
        Code::F64Lt => with!(a b => test(f64_of(a) < f64_of(b))),
        Code::F64Gt => with!(a b => test(f64_of(a) > f64_of(b))),
        Code::F64Le => with!(a b => test(f64_of(a) <= f64_of(b))),
        Code::F64Ge => with!(a b => test(f64_of(a) >= f64_of(b))),
        // Spec: idiv, irem.
        Code::I32DivS => with!(a b => u32_bits(i32_div(a as i32, b as i32)?)),
        Code::I32DivU => {
            with!(a b => u64::from((a as u32).checked_div(b as u32).ok_or(TrapKind::IntegerDivideByZero)?))
        }
        Code::I32RemS => with!(a b => u32_bits(i32_rem(a as i32, b as i32)?)),
        Code::I32RemU => {
            with!(a b => u64::from((a as u32).checked_rem(b as u32).ok_or(TrapKind::IntegerDivideByZero)?))
        }
        Code::I64DivS => with!(a b => i64_div(a as i64, b as i64)? as u64),
        Code::I64DivU => with!(a b => a.checked_div(b).ok_or(TrapKind::IntegerDivideByZero)?),
        Code::I64RemS => with!(a b => i64_rem(a as i64, b as i64)? as u64),
        Code::I64RemU => with!(a b => a.checked_rem(b).ok_or(TrapKind::IntegerDivideByZero)?),
        // Spec: f32 arithmetic (fabs … fcopysign); results that are NaN are the canonical NaN.
        Code::F32Abs => with!(a => a & !0x8000_0000),
        Code::F32Neg => with!(a => a ^ 0x8000_0000),
        Code::F32Ceil => with!(a => f32_bits(f32_of(a).ceil())),
        Code::F32Floor => with!(a => f32_bits(f32_of(a).floor())),
        Code::F32Trunc => with!(a => f32_bits(f32_of(a).trunc())),
        Code::F32Nearest => with!(a => f32_bits(f32_of(a).round_ties_even())),
        Code::F32Sqrt => with!(a => f32_bits(f32_of(a).sqrt())),
        Code::F32Add => with!(a b => f32_bits(f32_of(a) + f32_of(b))),
        Code::F32Sub => with!(a b => f32_bits(f32_of(a) - f32_of(b))),
        Code::F32Mul => with!(a b => f32_bits(f32_of(a) * f32_of(b))),
        Code::F32Div => with!(a b => f32_bits(f32_of(a) / f32_of(b))),
        Code::F32Min => with!(a b => f32_bits(f32_min(f32_of(a), f32_of(b)))),
        Code::F32Max => with!(a b => f32_bits(f32_max(f32_of(a), f32_of(b)))),
        Code::F32Copysign => with!(a b => a & !0x8000_0000 | b & 0x8000_0000),
        // Spec: f64 arithmetic (fabs … fcopysign); results that are NaN are the canonical NaN.
        Code::F64Abs => with!(a => a & !0x8000_0000_0000_0000),
        Code::F64Neg => with!(a => a ^ 0x8000_0000_0000_0000),
        Code::F64Ceil => with!(a => f64_bits(f64_of(a).ceil())),
        Code::F64Floor => with!(a => f64_bits(f64_of(a).floor())),
        Code::F64Trunc => with!(a => f64_bits(f64_of(a).trunc())),
        Code::F64Nearest => with!(a => f64_bits(f64_of(a).round_ties_even())),
        Code::F64Sqrt => with!(a => f64_bits(f64_of(a).sqrt())),
        Code::F64Add => with!(a b => f64_bits(f64_of(a) + f64_of(b))),
        Code::F64Sub => with!(a b => f64_bits(f64_of(a) - f64_of(b))),
        Code::F64Mul => with!(a b => f64_bits(f64_of(a) * f64_of(b))),
        Code::F64Div => with!(a b => f64_bits(f64_of(a) / f64_of(b))),
        Code::F64Min => with!(a b => f64_bits(f64_min(f64_of(a), f64_of(b)))),
        Code::F64Max => with!(a b => f64_bits(f64_max(f64_of(a), f64_of(b)))),
        Code::F64Copysign => with!(a b => a & !0x8000_0000_0000_0000 | b & 0x8000_0000_0000_0000),
        // Spec: conversions.
        Code::I32TruncF32S => with!(a => {
            let x = truncatable(f64::from(f32_of(a)), |x| x > -2147483649.0 && x < 2147483648.0)?;
            u32_bits(x as i32)
        }),
        Code::I32TruncSatF32S => with!(a => u32_bits(f32_of(a) as i32)),
        Code::I32TruncF32U => with!(a => {
            let x = truncatable(f64::from(f32_of(a)), |x| x > -1.0 && x < 4294967296.0)?;
            u64::from(x as u32)
        }),
        Code::I32TruncSatF32U => with!(a => u64::from(f32_of(a) as u32)),
        Code::I32TruncF64S => with!(a => {
            let x = truncatable(f64_of(a), |x| x > -2147483649.0 && x < 2147483648.0)?;
            u32_bits(x as i32)
        }),
        Code::I32TruncSatF64S => with!(a => u32_bits(f64_of(a) as i32)),
        Code::I32TruncF64U => with!(a => {
            let x = truncatable(f64_of(a), |x| x > -1.0 && x < 4294967296.0)?;
            u64::from(x as u32)
        }),
        Code::I32TruncSatF64U => with!(a => u64::from(f64_of(a) as u32)),
        Code::I64TruncF32S => with!(a => {
            let x = truncatable(f64::from(f32_of(a)), |x| x >= -9223372036854775808.0 && x < 9223372036854775808.0)?;
            x as i64 as u64
        }),
        Code::I64TruncSatF32S => with!(a => f32_of(a) as i64 as u64),
        Code::I64TruncF32U => with!(a => {
            let x = truncatable(f64::from(f32_of(a)), |x| x > -1.0 && x < 18446744073709551616.0)?;
            x as u64
        }),
        Code::I64TruncSatF32U => with!(a => f32_of(a) as u64),
        Code::I64TruncF64S => with!(a => {
            let x = truncatable(f64_of(a), |x| x >= -9223372036854775808.0 && x < 9223372036854775808.0)?;
            x as i64 as u64
        }),
        Code::I64TruncSatF64S => with!(a => f64_of(a) as i64 as u64),
        Code::I64TruncF64U => with!(a => {
            let x = truncatable(f64_of(a), |x| x > -1.0 && x < 18446744073709551616.0)?;
            x as u64
        }),
        Code::I64TruncSatF64U => with!(a => f64_of(a) as u64),
        Code::F32ConvertI32S => with!(a => f32_bits(a as i32 as f32)),
        Code::F32ConvertI32U => with!(a => f32_bits(a as u32 as f32)),
        Code::F32ConvertI64S => with!(a => f32_bits(a as i64 as f32)),
        Code::F32ConvertI64U => with!(a => f32_bits(a as f32)),
        Code::F64ConvertI32S => with!(a => f64_bits(a as i32 as f64)),
        Code::F64ConvertI32U => with!(a => f64_bits(a as u32 as f64)),
        Code::F64ConvertI64S => with!(a => f64_bits(a as i64 as f64)),
        Code::F64ConvertI64U => with!(a => f64_bits(a as f64)),
        Code::F32DemoteF64 => with!(a => f32_bits(f64_of(a) as f32)),
        Code::F64PromoteF32 => with!(a => f64_bits(f64::from(f32_of(a)))),
        Code::I32ReinterpretF32 => with!(a => a),
        Code::I64ReinterpretF64 => with!(a => a),
        Code::F32ReinterpretI32 => with!(a => a),
        Code::F64ReinterpretI64 => with!(a => a),
        _ => return Err(NoResult::NotNumeric),
    })
}

#[inline(always)]
pub(super) fn test(condition: bool) -> u64 {
    u64::from(condition)
}

#[inline(always)]
pub(super) fn u32_bits(value: i32) -> u64 {
    u64::from(value as u32)
}

#[inline(always)]
fn f32_of(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}

#[inline(always)]
fn f64_of(bits: u64) -> f64 {
    f64::from_bits(bits)
}

#[inline(always)]
pub(crate) fn f32_bits(value: f32) -> u64 {
    if value.is_nan() { 0x7fc0_0000 } else { u64::from(value.to_bits()) }
}

#[inline(always)]
pub(crate) fn f64_bits(value: f64) -> u64 {
    if value.is_nan() { 0x7ff8_0000_0000_0000 } else { value.to_bits() }
}

macro_rules! signed_division {
    ($div:ident, $rem:ident, $ty:ty) => {
        /// Spec: idiv_s.
        #[inline(always)]
        fn $div(a: $ty, b: $ty) -> Result<$ty, TrapKind> {
            if b == 0 {
                return Err(TrapKind::IntegerDivideByZero);
            }
            a.checked_div(b).ok_or(TrapKind::IntegerOverflow)
        }

        /// Spec: irem_s.
        #[inline(always)]
        fn $rem(a: $ty, b: $ty) -> Result<$ty, TrapKind> {
            if b == 0 {
                return Err(TrapKind::IntegerDivideByZero);
            }
            Ok(a.wrapping_rem(b))
        }
    };
}
signed_division!(i32_div, i32_rem, i32);
signed_division!(i64_div, i64_rem, i64);

macro_rules! extremes {
    ($min:ident, $max:ident, $ty:ty) => {
        /// Spec: fmin. Of two zeros, the negative one is smaller.
        #[inline(always)]
        pub(crate) fn $min(a: $ty, b: $ty) -> $ty {
            if a.is_nan() || b.is_nan() {
                <$ty>::NAN
            } else if a == b {
                <$ty>::from_bits(a.to_bits() | b.to_bits())
            } else if a < b {
                a
            } else {
                b
            }
        }

        /// Spec: fmax.
        #[inline(always)]
        pub(crate) fn $max(a: $ty, b: $ty) -> $ty {
            if a.is_nan() || b.is_nan() {
                <$ty>::NAN
            } else if a == b {
                <$ty>::from_bits(a.to_bits() & b.to_bits())
            } else if a > b {
                a
            } else {
                b
            }
        }
    };
}
extremes!(f32_min, f32_max, f32);
extremes!(f64_min, f64_max, f64);

/// Spec: trunc. f32 operands are widened first, which is exact.
#[inline(always)]
fn truncatable(x: f64, in_range: impl Fn(f64) -> bool) -> Result<f64, TrapKind> {
    if x.is_nan() {
        Err(TrapKind::InvalidConversionToInteger)
    } else if in_range(x) {
        Ok(x)
    } else {
        Err(TrapKind::IntegerOverflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(code: Code, a: u64, b: u64) -> Result<u64, TrapKind> {
        match evaluate(Op::new(code, 0, 0, 1), &[a, b]) {
            Ok(value) => Ok(value),
            Err(NoResult::Trap(trap)) => Err(trap),
            Err(NoResult::NotNumeric) => panic!("not numeric"),
        }
    }

    #[test]
    fn nan_results_are_canonical_but_sign_operations_keep_bits() {
        let payload = 0xffa0_1234;
        assert_eq!(eval(Code::F32Add, payload, 0), Ok(0x7fc0_0000));
        assert_eq!(eval(Code::F32Neg, payload, 0), Ok(0x7fa0_1234));
        assert_eq!(eval(Code::F64PromoteF32, payload, 0), Ok(0x7ff8_0000_0000_0000));
        assert_eq!(eval(Code::F32Min, 0x8000_0000, 0), Ok(0x8000_0000));
        assert_eq!(eval(Code::F32Max, 0x8000_0000, 0), Ok(0));
    }

    #[test]
    fn divisions_and_truncations_at_their_bounds() {
        let min = i32::MIN as u32 as u64;
        assert_eq!(eval(Code::I32DivS, min, 0xffff_ffff), Err(TrapKind::IntegerOverflow));
        assert_eq!(eval(Code::I32RemS, min, 0xffff_ffff), Ok(0));
        assert_eq!(eval(Code::I64DivU, 1, 0), Err(TrapKind::IntegerDivideByZero));
        assert_eq!(eval(Code::I32TruncF64S, (-2147483648.9f64).to_bits(), 0), Ok(min));
        assert_eq!(eval(Code::I32TruncF64S, (-2147483649.0f64).to_bits(), 0), Err(TrapKind::IntegerOverflow));
        assert_eq!(
            eval(Code::I64TruncF64U, f64::NAN.to_bits(), 0),
            Err(TrapKind::InvalidConversionToInteger)
        );
        assert_eq!(eval(Code::I32TruncSatF32U, u64::from((-5f32).to_bits()), 0), Ok(0));
    }
}
