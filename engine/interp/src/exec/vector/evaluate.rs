//! Vector instructions without immediates (spec: Execution / Vector Instructions; Numerics), each an arm: a function from up to three
//! operands to a result. Scalars stand in the low bits, i32 and f32 zero-extended.
//!
//! The match names every instruction, so that the compiler finds a missing one. A float lane that is the NaN result of arithmetic is
//! the positive canonical NaN, as in scalar code; comparisons, selections and sign operations work on bits. Relaxed
//! instructions behave as the deterministic profile prescribes (spec: Profiles; Relaxed Operations, every parameter 0).

use super::lanes::Half::{High, Low};
use super::lanes::{
    all, extract, map, mask, narrow, narrow_zero, pairwise, pairwise_zip, relation, replace, splat, widen,
    widen_zip, zip, zip3,
};
use crate::exec::numeric::{f32_bits, f32_max, f32_min, f64_bits, f64_max, f64_min};
use crate::syntax::vectors::{Vector, VectorLane};

/// Evaluates an instruction; it ignores the operands that it does not have.
pub(crate) fn evaluate(vector: Vector, a: u128, b: u128, c: u128) -> u128 {
    match vector {
        // Spec: vvunop, vvbinop, vvternop, vvtestop.
        Vector::V128Not => !a,
        Vector::V128And => a & b,
        Vector::V128Andnot => a & !b,
        Vector::V128Or => a | b,
        Vector::V128Xor => a ^ b,
        Vector::V128Bitselect => a & c | b & !c,
        Vector::V128AnyTrue => u128::from(a != 0),
        // Spec: splat.
        Vector::I8x16Splat => splat(a as u8),
        Vector::I16x8Splat => splat(a as u16),
        Vector::I32x4Splat | Vector::F32x4Splat => splat(a as u32),
        Vector::I64x2Splat | Vector::F64x2Splat => splat(a as u64),
        // Spec: ivswizzle; relaxed, the index out of range gives 0 as well.
        Vector::I8x16Swizzle | Vector::I8x16RelaxedSwizzle => {
            let lanes = a.to_le_bytes();
            map(b, |i: u8| lanes.get(usize::from(i)).copied().unwrap_or(0))
        }
        // Spec: vrelop of integers (ieq, ilt …).
        Vector::I8x16Eq => relation(a, b, |x: u8, y| x == y),
        Vector::I8x16Ne => relation(a, b, |x: u8, y| x != y),
        Vector::I8x16LtS => relation(a, b, |x: i8, y| x < y),
        Vector::I8x16LtU => relation(a, b, |x: u8, y| x < y),
        Vector::I8x16GtS => relation(a, b, |x: i8, y| x > y),
        Vector::I8x16GtU => relation(a, b, |x: u8, y| x > y),
        Vector::I8x16LeS => relation(a, b, |x: i8, y| x <= y),
        Vector::I8x16LeU => relation(a, b, |x: u8, y| x <= y),
        Vector::I8x16GeS => relation(a, b, |x: i8, y| x >= y),
        Vector::I8x16GeU => relation(a, b, |x: u8, y| x >= y),
        Vector::I16x8Eq => relation(a, b, |x: u16, y| x == y),
        Vector::I16x8Ne => relation(a, b, |x: u16, y| x != y),
        Vector::I16x8LtS => relation(a, b, |x: i16, y| x < y),
        Vector::I16x8LtU => relation(a, b, |x: u16, y| x < y),
        Vector::I16x8GtS => relation(a, b, |x: i16, y| x > y),
        Vector::I16x8GtU => relation(a, b, |x: u16, y| x > y),
        Vector::I16x8LeS => relation(a, b, |x: i16, y| x <= y),
        Vector::I16x8LeU => relation(a, b, |x: u16, y| x <= y),
        Vector::I16x8GeS => relation(a, b, |x: i16, y| x >= y),
        Vector::I16x8GeU => relation(a, b, |x: u16, y| x >= y),
        Vector::I32x4Eq => relation(a, b, |x: u32, y| x == y),
        Vector::I32x4Ne => relation(a, b, |x: u32, y| x != y),
        Vector::I32x4LtS => relation(a, b, |x: i32, y| x < y),
        Vector::I32x4LtU => relation(a, b, |x: u32, y| x < y),
        Vector::I32x4GtS => relation(a, b, |x: i32, y| x > y),
        Vector::I32x4GtU => relation(a, b, |x: u32, y| x > y),
        Vector::I32x4LeS => relation(a, b, |x: i32, y| x <= y),
        Vector::I32x4LeU => relation(a, b, |x: u32, y| x <= y),
        Vector::I32x4GeS => relation(a, b, |x: i32, y| x >= y),
        Vector::I32x4GeU => relation(a, b, |x: u32, y| x >= y),
        Vector::I64x2Eq => relation(a, b, |x: u64, y| x == y),
        Vector::I64x2Ne => relation(a, b, |x: u64, y| x != y),
        Vector::I64x2LtS => relation(a, b, |x: i64, y| x < y),
        Vector::I64x2GtS => relation(a, b, |x: i64, y| x > y),
        Vector::I64x2LeS => relation(a, b, |x: i64, y| x <= y),
        Vector::I64x2GeS => relation(a, b, |x: i64, y| x >= y),
        // Spec: vrelop of floats (feq, flt …).
        Vector::F32x4Eq => relation(a, b, |x: f32, y| x == y),
        Vector::F32x4Ne => relation(a, b, |x: f32, y| x != y),
        Vector::F32x4Lt => relation(a, b, |x: f32, y| x < y),
        Vector::F32x4Gt => relation(a, b, |x: f32, y| x > y),
        Vector::F32x4Le => relation(a, b, |x: f32, y| x <= y),
        Vector::F32x4Ge => relation(a, b, |x: f32, y| x >= y),
        Vector::F64x2Eq => relation(a, b, |x: f64, y| x == y),
        Vector::F64x2Ne => relation(a, b, |x: f64, y| x != y),
        Vector::F64x2Lt => relation(a, b, |x: f64, y| x < y),
        Vector::F64x2Gt => relation(a, b, |x: f64, y| x > y),
        Vector::F64x2Le => relation(a, b, |x: f64, y| x <= y),
        Vector::F64x2Ge => relation(a, b, |x: f64, y| x >= y),
        // Spec: vunop of integers (iabs, ineg, ipopcnt).
        Vector::I8x16Abs => map(a, i8::wrapping_abs),
        Vector::I8x16Neg => map(a, u8::wrapping_neg),
        Vector::I8x16Popcnt => map(a, |x: u8| x.count_ones() as u8),
        Vector::I16x8Abs => map(a, i16::wrapping_abs),
        Vector::I16x8Neg => map(a, u16::wrapping_neg),
        Vector::I32x4Abs => map(a, i32::wrapping_abs),
        Vector::I32x4Neg => map(a, u32::wrapping_neg),
        Vector::I64x2Abs => map(a, i64::wrapping_abs),
        Vector::I64x2Neg => map(a, u64::wrapping_neg),
        // Spec: vtestop, vbitmask.
        Vector::I8x16AllTrue => all(a, |x: u8| x != 0),
        Vector::I16x8AllTrue => all(a, |x: u16| x != 0),
        Vector::I32x4AllTrue => all(a, |x: u32| x != 0),
        Vector::I64x2AllTrue => all(a, |x: u64| x != 0),
        Vector::I8x16Bitmask => mask(a, |x: i8| x < 0),
        Vector::I16x8Bitmask => mask(a, |x: i16| x < 0),
        Vector::I32x4Bitmask => mask(a, |x: i32| x < 0),
        Vector::I64x2Bitmask => mask(a, |x: i64| x < 0),
        // Spec: vshiftop (ishl, ishr), the count modulo the size of a lane.
        Vector::I8x16Shl => map(a, |x: u8| x.wrapping_shl(b as u32)),
        Vector::I8x16ShrS => map(a, |x: i8| x.wrapping_shr(b as u32)),
        Vector::I8x16ShrU => map(a, |x: u8| x.wrapping_shr(b as u32)),
        Vector::I16x8Shl => map(a, |x: u16| x.wrapping_shl(b as u32)),
        Vector::I16x8ShrS => map(a, |x: i16| x.wrapping_shr(b as u32)),
        Vector::I16x8ShrU => map(a, |x: u16| x.wrapping_shr(b as u32)),
        Vector::I32x4Shl => map(a, |x: u32| x.wrapping_shl(b as u32)),
        Vector::I32x4ShrS => map(a, |x: i32| x.wrapping_shr(b as u32)),
        Vector::I32x4ShrU => map(a, |x: u32| x.wrapping_shr(b as u32)),
        Vector::I64x2Shl => map(a, |x: u64| x.wrapping_shl(b as u32)),
        Vector::I64x2ShrS => map(a, |x: i64| x.wrapping_shr(b as u32)),
        Vector::I64x2ShrU => map(a, |x: u64| x.wrapping_shr(b as u32)),
        // Spec: vbinop of integers (iadd, isub, imul, imin, imax, iavgr, iadd_sat, isub_sat, iq15mulr_sat).
        Vector::I8x16Add => zip(a, b, u8::wrapping_add),
        Vector::I8x16AddSatS => zip(a, b, i8::saturating_add),
        Vector::I8x16AddSatU => zip(a, b, u8::saturating_add),
        Vector::I8x16Sub => zip(a, b, u8::wrapping_sub),
        Vector::I8x16SubSatS => zip(a, b, i8::saturating_sub),
        Vector::I8x16SubSatU => zip(a, b, u8::saturating_sub),
        Vector::I8x16MinS => zip(a, b, |x: i8, y| x.min(y)),
        Vector::I8x16MinU => zip(a, b, |x: u8, y| x.min(y)),
        Vector::I8x16MaxS => zip(a, b, |x: i8, y| x.max(y)),
        Vector::I8x16MaxU => zip(a, b, |x: u8, y| x.max(y)),
        Vector::I8x16AvgrU => zip(a, b, |x: u8, y| (u16::from(x) + u16::from(y)).div_ceil(2) as u8),
        Vector::I16x8Add => zip(a, b, u16::wrapping_add),
        Vector::I16x8AddSatS => zip(a, b, i16::saturating_add),
        Vector::I16x8AddSatU => zip(a, b, u16::saturating_add),
        Vector::I16x8Sub => zip(a, b, u16::wrapping_sub),
        Vector::I16x8SubSatS => zip(a, b, i16::saturating_sub),
        Vector::I16x8SubSatU => zip(a, b, u16::saturating_sub),
        Vector::I16x8Mul => zip(a, b, u16::wrapping_mul),
        Vector::I16x8MinS => zip(a, b, |x: i16, y| x.min(y)),
        Vector::I16x8MinU => zip(a, b, |x: u16, y| x.min(y)),
        Vector::I16x8MaxS => zip(a, b, |x: i16, y| x.max(y)),
        Vector::I16x8MaxU => zip(a, b, |x: u16, y| x.max(y)),
        Vector::I16x8AvgrU => zip(a, b, |x: u16, y| (u32::from(x) + u32::from(y)).div_ceil(2) as u16),
        // Relaxed, the one product out of range saturates as well.
        Vector::I16x8Q15mulrSatS | Vector::I16x8RelaxedQ15mulrS => zip(a, b, q15mulr_sat),
        Vector::I32x4Add => zip(a, b, u32::wrapping_add),
        Vector::I32x4Sub => zip(a, b, u32::wrapping_sub),
        Vector::I32x4Mul => zip(a, b, u32::wrapping_mul),
        Vector::I32x4MinS => zip(a, b, |x: i32, y| x.min(y)),
        Vector::I32x4MinU => zip(a, b, |x: u32, y| x.min(y)),
        Vector::I32x4MaxS => zip(a, b, |x: i32, y| x.max(y)),
        Vector::I32x4MaxU => zip(a, b, |x: u32, y| x.max(y)),
        Vector::I64x2Add => zip(a, b, u64::wrapping_add),
        Vector::I64x2Sub => zip(a, b, u64::wrapping_sub),
        Vector::I64x2Mul => zip(a, b, u64::wrapping_mul),
        // Spec: vternop irelaxed_laneselect, which is ibitselect.
        Vector::I8x16RelaxedLaneselect
        | Vector::I16x8RelaxedLaneselect
        | Vector::I32x4RelaxedLaneselect
        | Vector::I64x2RelaxedLaneselect => a & c | b & !c,
        // Spec: vextunop (extadd_pairwise).
        Vector::I16x8ExtaddPairwiseI8x16S => pairwise(a, |x: i8, y| i16::from(x) + i16::from(y)),
        Vector::I16x8ExtaddPairwiseI8x16U => pairwise(a, |x: u8, y| u16::from(x) + u16::from(y)),
        Vector::I32x4ExtaddPairwiseI16x8S => pairwise(a, |x: i16, y| i32::from(x) + i32::from(y)),
        Vector::I32x4ExtaddPairwiseI16x8U => pairwise(a, |x: u16, y| u32::from(x) + u32::from(y)),
        // Spec: vextbinop (extmul, dot) and vextternop.
        Vector::I16x8ExtmulLowI8x16S => widen_zip(a, b, Low, |x: i8, y| i16::from(x) * i16::from(y)),
        Vector::I16x8ExtmulHighI8x16S => widen_zip(a, b, High, |x: i8, y| i16::from(x) * i16::from(y)),
        Vector::I16x8ExtmulLowI8x16U => widen_zip(a, b, Low, |x: u8, y| u16::from(x) * u16::from(y)),
        Vector::I16x8ExtmulHighI8x16U => widen_zip(a, b, High, |x: u8, y| u16::from(x) * u16::from(y)),
        Vector::I32x4ExtmulLowI16x8S => widen_zip(a, b, Low, |x: i16, y| i32::from(x) * i32::from(y)),
        Vector::I32x4ExtmulHighI16x8S => widen_zip(a, b, High, |x: i16, y| i32::from(x) * i32::from(y)),
        Vector::I32x4ExtmulLowI16x8U => widen_zip(a, b, Low, |x: u16, y| u32::from(x) * u32::from(y)),
        Vector::I32x4ExtmulHighI16x8U => widen_zip(a, b, High, |x: u16, y| u32::from(x) * u32::from(y)),
        Vector::I64x2ExtmulLowI32x4S => widen_zip(a, b, Low, |x: i32, y| i64::from(x) * i64::from(y)),
        Vector::I64x2ExtmulHighI32x4S => widen_zip(a, b, High, |x: i32, y| i64::from(x) * i64::from(y)),
        Vector::I64x2ExtmulLowI32x4U => widen_zip(a, b, Low, |x: u32, y| u64::from(x) * u64::from(y)),
        Vector::I64x2ExtmulHighI32x4U => widen_zip(a, b, High, |x: u32, y| u64::from(x) * u64::from(y)),
        Vector::I32x4DotI16x8S => pairwise_zip(a, b, |p: (i16, i16), q| {
            (i32::from(p.0) * i32::from(p.1)).wrapping_add(i32::from(q.0) * i32::from(q.1))
        }),
        Vector::I16x8RelaxedDotI8x16I7x16S => relaxed_dot(a, b),
        Vector::I32x4RelaxedDotI8x16I7x16AddS => {
            let sums = pairwise(relaxed_dot(a, b), |x: i16, y| i32::from(x) + i32::from(y));
            zip(sums, c, i32::wrapping_add)
        }
        // Spec: vnarrow.
        Vector::I8x16NarrowI16x8S => narrow(a, b, |x: i16| x.clamp(i8::MIN.into(), i8::MAX.into()) as i8),
        Vector::I8x16NarrowI16x8U => narrow(a, b, |x: i16| x.clamp(0, u8::MAX.into()) as u8),
        Vector::I16x8NarrowI32x4S => narrow(a, b, |x: i32| x.clamp(i16::MIN.into(), i16::MAX.into()) as i16),
        Vector::I16x8NarrowI32x4U => narrow(a, b, |x: i32| x.clamp(0, u16::MAX.into()) as u16),
        // Spec: vcvtop between integers (extend).
        Vector::I16x8ExtendLowI8x16S => widen(a, Low, |x: i8| i16::from(x)),
        Vector::I16x8ExtendHighI8x16S => widen(a, High, |x: i8| i16::from(x)),
        Vector::I16x8ExtendLowI8x16U => widen(a, Low, |x: u8| u16::from(x)),
        Vector::I16x8ExtendHighI8x16U => widen(a, High, |x: u8| u16::from(x)),
        Vector::I32x4ExtendLowI16x8S => widen(a, Low, |x: i16| i32::from(x)),
        Vector::I32x4ExtendHighI16x8S => widen(a, High, |x: i16| i32::from(x)),
        Vector::I32x4ExtendLowI16x8U => widen(a, Low, |x: u16| u32::from(x)),
        Vector::I32x4ExtendHighI16x8U => widen(a, High, |x: u16| u32::from(x)),
        Vector::I64x2ExtendLowI32x4S => widen(a, Low, |x: i32| i64::from(x)),
        Vector::I64x2ExtendHighI32x4S => widen(a, High, |x: i32| i64::from(x)),
        Vector::I64x2ExtendLowI32x4U => widen(a, Low, |x: u32| u64::from(x)),
        Vector::I64x2ExtendHighI32x4U => widen(a, High, |x: u32| u64::from(x)),
        // Spec: vcvtop from and to floats. Rust's casts saturate, and give 0 for NaN, as trunc_sat does; so does the
        // relaxed form.
        Vector::I32x4TruncSatF32x4S | Vector::I32x4RelaxedTruncF32x4S => map(a, |x: f32| x as i32),
        Vector::I32x4TruncSatF32x4U | Vector::I32x4RelaxedTruncF32x4U => map(a, |x: f32| x as u32),
        Vector::I32x4TruncSatF64x2SZero | Vector::I32x4RelaxedTruncF64x2SZero => {
            narrow_zero(a, |x: f64| x as i32)
        }
        Vector::I32x4TruncSatF64x2UZero | Vector::I32x4RelaxedTruncF64x2UZero => {
            narrow_zero(a, |x: f64| x as u32)
        }
        Vector::F32x4ConvertI32x4S => map(a, |x: i32| x as f32),
        Vector::F32x4ConvertI32x4U => map(a, |x: u32| x as f32),
        Vector::F64x2ConvertLowI32x4S => widen(a, Low, |x: i32| f64::from(x)),
        Vector::F64x2ConvertLowI32x4U => widen(a, Low, |x: u32| f64::from(x)),
        Vector::F32x4DemoteF64x2Zero => narrow_zero(a, |x: f64| canonical32(x as f32)),
        Vector::F64x2PromoteLowF32x4 => widen(a, Low, |x: f32| canonical64(f64::from(x))),
        // Spec: vunop and vbinop of f32 (fabs … fpmax).
        Vector::F32x4Abs => map(a, |x: u32| x & !F32_SIGN),
        Vector::F32x4Neg => map(a, |x: u32| x ^ F32_SIGN),
        Vector::F32x4Ceil => f32x4(a, f32::ceil),
        Vector::F32x4Floor => f32x4(a, f32::floor),
        Vector::F32x4Trunc => f32x4(a, f32::trunc),
        Vector::F32x4Nearest => f32x4(a, f32::round_ties_even),
        Vector::F32x4Sqrt => f32x4(a, f32::sqrt),
        Vector::F32x4Add => f32x4_zip(a, b, |x, y| x + y),
        Vector::F32x4Sub => f32x4_zip(a, b, |x, y| x - y),
        Vector::F32x4Mul => f32x4_zip(a, b, |x, y| x * y),
        Vector::F32x4Div => f32x4_zip(a, b, |x, y| x / y),
        Vector::F32x4Min | Vector::F32x4RelaxedMin => f32x4_zip(a, b, f32_min),
        Vector::F32x4Max | Vector::F32x4RelaxedMax => f32x4_zip(a, b, f32_max),
        Vector::F32x4Pmin => zip(a, b, |x: u32, y| if f32::from_bits(y) < f32::from_bits(x) { y } else { x }),
        Vector::F32x4Pmax => zip(a, b, |x: u32, y| if f32::from_bits(x) < f32::from_bits(y) { y } else { x }),
        // Spec: vternop frelaxed_madd, frelaxed_nmadd: the product is rounded.
        Vector::F32x4RelaxedMadd => zip3(a, b, c, |x: f32, y, z| f32::from_bits(canonical32(x * y + z))),
        Vector::F32x4RelaxedNmadd => zip3(a, b, c, |x: f32, y, z| f32::from_bits(canonical32(-x * y + z))),
        // Spec: vunop and vbinop of f64 (fabs … fpmax).
        Vector::F64x2Abs => map(a, |x: u64| x & !F64_SIGN),
        Vector::F64x2Neg => map(a, |x: u64| x ^ F64_SIGN),
        Vector::F64x2Ceil => f64x2(a, f64::ceil),
        Vector::F64x2Floor => f64x2(a, f64::floor),
        Vector::F64x2Trunc => f64x2(a, f64::trunc),
        Vector::F64x2Nearest => f64x2(a, f64::round_ties_even),
        Vector::F64x2Sqrt => f64x2(a, f64::sqrt),
        Vector::F64x2Add => f64x2_zip(a, b, |x, y| x + y),
        Vector::F64x2Sub => f64x2_zip(a, b, |x, y| x - y),
        Vector::F64x2Mul => f64x2_zip(a, b, |x, y| x * y),
        Vector::F64x2Div => f64x2_zip(a, b, |x, y| x / y),
        Vector::F64x2Min | Vector::F64x2RelaxedMin => f64x2_zip(a, b, f64_min),
        Vector::F64x2Max | Vector::F64x2RelaxedMax => f64x2_zip(a, b, f64_max),
        Vector::F64x2Pmin => zip(a, b, |x: u64, y| if f64::from_bits(y) < f64::from_bits(x) { y } else { x }),
        Vector::F64x2Pmax => zip(a, b, |x: u64, y| if f64::from_bits(x) < f64::from_bits(y) { y } else { x }),
        Vector::F64x2RelaxedMadd => zip3(a, b, c, |x: f64, y, z| f64::from_bits(canonical64(x * y + z))),
        Vector::F64x2RelaxedNmadd => zip3(a, b, c, |x: f64, y, z| f64::from_bits(canonical64(-x * y + z))),
    }
}

/// Spec: extract_lane, replace_lane. `None` if there is no such lane, which validation excludes.
pub(crate) fn evaluate_lane(vector: VectorLane, lane: u8, a: u128, b: u128) -> Option<u128> {
    if lane >= vector.lanes() {
        return None;
    }
    let i = usize::from(lane);
    Some(match vector {
        VectorLane::I8x16ExtractLaneS => u128::from(i32::from(extract::<i8>(a, i)) as u32),
        VectorLane::I8x16ExtractLaneU => u128::from(extract::<u8>(a, i)),
        VectorLane::I16x8ExtractLaneS => u128::from(i32::from(extract::<i16>(a, i)) as u32),
        VectorLane::I16x8ExtractLaneU => u128::from(extract::<u16>(a, i)),
        VectorLane::I32x4ExtractLane | VectorLane::F32x4ExtractLane => u128::from(extract::<u32>(a, i)),
        VectorLane::I64x2ExtractLane | VectorLane::F64x2ExtractLane => u128::from(extract::<u64>(a, i)),
        VectorLane::I8x16ReplaceLane => replace(a, i, b as u8),
        VectorLane::I16x8ReplaceLane => replace(a, i, b as u16),
        VectorLane::I32x4ReplaceLane | VectorLane::F32x4ReplaceLane => replace(a, i, b as u32),
        VectorLane::I64x2ReplaceLane | VectorLane::F64x2ReplaceLane => replace(a, i, b as u64),
    })
}

/// Spec: ivshuffle. `None` if a lane index is out of range, which validation excludes.
pub(crate) fn shuffle(lanes: [u8; 16], a: u128, b: u128) -> Option<u128> {
    let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
    let mut bytes = [0; 16];
    for (byte, lane) in bytes.iter_mut().zip(lanes) {
        let lane = usize::from(lane);
        *byte = *if lane < 16 { &a[lane] } else { b.get(lane - 16)? };
    }
    Some(u128::from_le_bytes(bytes))
}

const F32_SIGN: u32 = 1 << 31;
const F64_SIGN: u64 = 1 << 63;

#[inline(always)]
fn canonical32(x: f32) -> u32 {
    f32_bits(x) as u32
}

#[inline(always)]
fn canonical64(x: f64) -> u64 {
    f64_bits(x)
}

#[inline(always)]
fn f32x4(a: u128, f: impl Fn(f32) -> f32) -> u128 {
    map(a, |x: f32| canonical32(f(x)))
}

#[inline(always)]
fn f32x4_zip(a: u128, b: u128, f: impl Fn(f32, f32) -> f32) -> u128 {
    zip(a, b, |x: f32, y| canonical32(f(x, y)))
}

#[inline(always)]
fn f64x2(a: u128, f: impl Fn(f64) -> f64) -> u128 {
    map(a, |x: f64| canonical64(f(x)))
}

#[inline(always)]
fn f64x2_zip(a: u128, b: u128, f: impl Fn(f64, f64) -> f64) -> u128 {
    zip(a, b, |x: f64, y| canonical64(f(x, y)))
}

/// Spec: iq15mulr_sat.
fn q15mulr_sat(x: i16, y: i16) -> i16 {
    let product = (i32::from(x) * i32::from(y) + (1 << 14)) >> 15;
    product.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// Spec: relaxed_dot, both operands signed.
fn relaxed_dot(a: u128, b: u128) -> u128 {
    pairwise_zip(a, b, |p: (i8, i8), q| {
        (i16::from(p.0) * i16::from(p.1)).saturating_add(i16::from(q.0) * i16::from(q.1))
    })
}
