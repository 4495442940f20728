//! What engines may differ in: the bits of NaNs that arithmetic makes, and relaxed vector instructions.
//!
//! Behind each instruction that may make a NaN stands a call that makes it the positive canonical one, which is what the
//! project's own executors give. So bits may be stored, compared and digested.

use wasm_encoder::reencode::Error;
use wasm_encoder::{Function, ValType};
use wasmparser::{Operator, Parser, Payload};

use super::additions::Additions;

/// The shape of a result that may be a NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Float {
    F32,
    F64,
    F32x4,
    F64x2,
}

/// What the bodies of a module hold.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Floats {
    made: [bool; 4],
    pub(super) relaxed: bool,
}

impl Floats {
    /// Looks through all bodies.
    pub(super) fn of(bytes: &[u8]) -> Result<Floats, Error> {
        let mut floats = Floats::default();
        for payload in Parser::new(0).parse_all(bytes) {
            if let Payload::CodeSectionEntry(body) = payload? {
                for op in body.get_operators_reader()? {
                    let op = op?;
                    floats.relaxed |= is_relaxed(&op);
                    if let Some(made) = made(&op) {
                        floats.made[made as usize] = true;
                    }
                }
            }
        }
        Ok(floats)
    }
}

/// The functions that make NaNs canonical, by [`Float`]; only those that are needed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Canonical([Option<u32>; 4]);

impl Canonical {
    /// Adds them.
    pub(super) fn add(add: &mut Additions<'_>, floats: Floats) -> Canonical {
        use Float::{F32, F32x4, F64, F64x2};
        Canonical([F32, F64, F32x4, F64x2].map(|float| {
            floats.made[float as usize].then(|| {
                let ty = match float {
                    F32 => ValType::F32,
                    F64 => ValType::F64,
                    F32x4 | F64x2 => ValType::V128,
                };
                let function = add.declare(&[ty], &[ty]);
                add.define(function, body(float));
                function
            })
        }))
    }

    /// The function to call behind an instruction.
    pub(super) fn behind(&self, op: &Operator<'_>) -> Option<u32> {
        self.0[made(op)? as usize]
    }
}

fn body(float: Float) -> Function {
    const NAN_32: u32 = 0x7fc0_0000;
    const NAN_64: u64 = 0x7ff8_0000_0000_0000;
    let mut body = Function::new([]);
    let mut f = body.instructions();
    f.local_get(0);
    match float {
        Float::F32 => f.f32_const(f32::from_bits(NAN_32).into()).local_get(0).local_get(0).f32_eq().select(),
        Float::F64 => f.f64_const(f64::from_bits(NAN_64).into()).local_get(0).local_get(0).f64_eq().select(),
        Float::F32x4 => {
            let nans = u128::from(NAN_32) * 0x1_0000_0001_0000_0001_0000_0001;
            f.v128_const(nans.cast_signed()).local_get(0).local_get(0).f32x4_eq().v128_bitselect()
        }
        Float::F64x2 => {
            let nans = u128::from(NAN_64) << 64 | u128::from(NAN_64);
            f.v128_const(nans.cast_signed()).local_get(0).local_get(0).f64x2_eq().v128_bitselect()
        }
    };
    body
}

fn made(op: &Operator<'_>) -> Option<Float> {
    use Operator as O;
    Some(match op {
        O::F32Add
        | O::F32Sub
        | O::F32Mul
        | O::F32Div
        | O::F32Sqrt
        | O::F32Ceil
        | O::F32Floor
        | O::F32Trunc
        | O::F32Nearest
        | O::F32Min
        | O::F32Max
        | O::F32DemoteF64 => Float::F32,
        O::F64Add
        | O::F64Sub
        | O::F64Mul
        | O::F64Div
        | O::F64Sqrt
        | O::F64Ceil
        | O::F64Floor
        | O::F64Trunc
        | O::F64Nearest
        | O::F64Min
        | O::F64Max
        | O::F64PromoteF32 => Float::F64,
        O::F32x4Add
        | O::F32x4Sub
        | O::F32x4Mul
        | O::F32x4Div
        | O::F32x4Sqrt
        | O::F32x4Ceil
        | O::F32x4Floor
        | O::F32x4Trunc
        | O::F32x4Nearest
        | O::F32x4Min
        | O::F32x4Max
        | O::F32x4DemoteF64x2Zero => Float::F32x4,
        O::F64x2Add
        | O::F64x2Sub
        | O::F64x2Mul
        | O::F64x2Div
        | O::F64x2Sqrt
        | O::F64x2Ceil
        | O::F64x2Floor
        | O::F64x2Trunc
        | O::F64x2Nearest
        | O::F64x2Min
        | O::F64x2Max
        | O::F64x2PromoteLowF32x4 => Float::F64x2,
        _ => return None,
    })
}

fn is_relaxed(op: &Operator<'_>) -> bool {
    use Operator as O;
    matches!(
        op,
        O::I8x16RelaxedSwizzle
            | O::I32x4RelaxedTruncF32x4S
            | O::I32x4RelaxedTruncF32x4U
            | O::I32x4RelaxedTruncF64x2SZero
            | O::I32x4RelaxedTruncF64x2UZero
            | O::F32x4RelaxedMadd
            | O::F32x4RelaxedNmadd
            | O::F64x2RelaxedMadd
            | O::F64x2RelaxedNmadd
            | O::I8x16RelaxedLaneselect
            | O::I16x8RelaxedLaneselect
            | O::I32x4RelaxedLaneselect
            | O::I64x2RelaxedLaneselect
            | O::F32x4RelaxedMin
            | O::F32x4RelaxedMax
            | O::F64x2RelaxedMin
            | O::F64x2RelaxedMax
            | O::I16x8RelaxedQ15mulrS
            | O::I16x8RelaxedDotI8x16I7x16S
            | O::I32x4RelaxedDotI8x16I7x16AddS
    )
}
