//! Numeric instructions. What can trap is checked before, by branches to the function's raise blocks, so the machine
//! instruction itself never faults. NaN results are made canonical by Cranelift's pass (`enable_nan_canonicalization`),
//! which covers all float arithmetic, rounding and the two float conversions; bit-level operations keep their bits.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::types::{F32, F64, I8, I16, I32, I64};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value};
use wasmparser::Operator;

use super::FuncTranslator;
use crate::TrapCode;

/// An instruction that takes two values and gives one.
type Binary = fn(&mut FuncTranslator<'_>, Value, Value) -> Value;
/// An instruction that takes one value and gives one.
type Unary = fn(&mut FuncTranslator<'_>, Value) -> Value;

/// The bounds of a trapping conversion: (comparison that holds for values below the range, bound, bound above which
/// and at which values are out of range).
struct Range {
    below: FloatCC,
    low: f64,
    high: f64,
}

const TWO_31: f64 = 2147483648.0;
const TWO_32: f64 = 4294967296.0;
const TWO_63: f64 = 9223372036854775808.0;
const TWO_64: f64 = 18446744073709551616.0;

/// The range of a conversion from `from` to `to`. A bound one below the range is used where the type represents it
/// (with "or equal"), else the least value of the range.
fn conversion_range(from: Type, to: Type, signed: bool) -> Range {
    match (signed, to == I32, from == F32) {
        (true, true, false) => Range { below: FloatCC::LessThanOrEqual, low: -TWO_31 - 1.0, high: TWO_31 },
        (true, true, true) => Range { below: FloatCC::LessThan, low: -TWO_31, high: TWO_31 },
        (true, false, _) => Range { below: FloatCC::LessThan, low: -TWO_63, high: TWO_63 },
        (false, true, _) => Range { below: FloatCC::LessThanOrEqual, low: -1.0, high: TWO_32 },
        (false, false, _) => Range { below: FloatCC::LessThanOrEqual, low: -1.0, high: TWO_64 },
    }
}

impl FuncTranslator<'_> {
    fn unary(&mut self, f: Unary) {
        let a = self.pop();
        let result = f(self, a);
        self.push(result);
    }

    fn binary(&mut self, f: Binary) {
        let b = self.pop();
        let a = self.pop();
        let result = f(self, a, b);
        self.push(result);
    }

    fn compare(&mut self, cc: IntCC) {
        let b = self.pop();
        let a = self.pop();
        let result = self.b.ins().icmp(cc, a, b);
        self.push_bool(result);
    }

    fn compare_float(&mut self, cc: FloatCC) {
        let b = self.pop();
        let a = self.pop();
        let result = self.b.ins().fcmp(cc, a, b);
        self.push_bool(result);
    }

    /// Pushes a truth value as an i32.
    pub(crate) fn push_bool(&mut self, v: Value) {
        let v = self.b.ins().uextend(I32, v);
        self.push(v);
    }

    fn float_constant(&mut self, ty: Type, value: f64) -> Value {
        if ty == F32 {
            self.b.ins().f32const(Ieee32::with_float(value as f32))
        } else {
            self.b.ins().f64const(Ieee64::with_float(value))
        }
    }

    /// Traps for division by zero, and for the one overflow when `overflow`.
    fn check_division(&mut self, a: Value, b: Value, overflow: bool) {
        self.trap_if_zero(b, TrapCode::IntegerDivideByZero);
        if overflow {
            let ty = self.b.func.dfg.value_type(a);
            let least = self.iconst(ty, if ty == I32 { i64::from(i32::MIN as u32) } else { i64::MIN });
            let is_least = self.b.ins().icmp(IntCC::Equal, a, least);
            let minus_one = self.iconst(ty, if ty == I32 { i64::from(u32::MAX) } else { -1 });
            let is_minus_one = self.b.ins().icmp(IntCC::Equal, b, minus_one);
            let both = self.b.ins().band(is_least, is_minus_one);
            self.trap_if(both, TrapCode::IntegerOverflow);
        }
    }

    /// A trapping conversion to an integer.
    fn truncate(&mut self, to: Type, signed: bool) {
        let value = self.peek();
        let from = self.b.func.dfg.value_type(value);
        let nan = self.b.ins().fcmp(FloatCC::Unordered, value, value);
        self.trap_if(nan, TrapCode::InvalidConversionToInteger);
        let range = conversion_range(from, to, signed);
        let low = self.float_constant(from, range.low);
        let below = self.b.ins().fcmp(range.below, value, low);
        self.trap_if(below, TrapCode::IntegerOverflow);
        let high = self.float_constant(from, range.high);
        let above = self.b.ins().fcmp(FloatCC::GreaterThanOrEqual, value, high);
        self.trap_if(above, TrapCode::IntegerOverflow);
        self.truncate_saturating(to, signed);
    }

    fn truncate_saturating(&mut self, to: Type, signed: bool) {
        let value = self.pop();
        let result = if signed {
            self.b.ins().fcvt_to_sint_sat(to, value)
        } else {
            self.b.ins().fcvt_to_uint_sat(to, value)
        };
        self.push(result);
    }

    fn extend_low(&mut self, low: Type) {
        let value = self.pop();
        let ty = self.b.func.dfg.value_type(value);
        let low = self.b.ins().ireduce(low, value);
        let value = self.b.ins().sextend(ty, low);
        self.push(value);
    }

    fn convert_int(&mut self, to: Type, signed: bool) {
        let value = self.pop();
        let result = if signed {
            self.b.ins().fcvt_from_sint(to, value)
        } else {
            self.b.ins().fcvt_from_uint(to, value)
        };
        self.push(result);
    }

    fn reinterpret(&mut self, to: Type) {
        let value = self.pop();
        let result = self.b.ins().bitcast(to, MemFlagsData::new(), value);
        self.push(result);
    }

    /// Translates `op` if it is a numeric instruction; false if not.
    pub(super) fn translate_numeric(&mut self, op: &Operator<'_>) -> bool {
        use Operator as O;
        match op {
            O::I32Const { value } => {
                let value = self.iconst32(*value as u32);
                self.push(value);
            }
            O::I64Const { value } => {
                let value = self.iconst(I64, *value);
                self.push(value);
            }
            O::F32Const { value } => {
                let value = self.b.ins().f32const(Ieee32::with_bits(value.bits()));
                self.push(value);
            }
            O::F64Const { value } => {
                let value = self.b.ins().f64const(Ieee64::with_bits(value.bits()));
                self.push(value);
            }

            O::I32Eqz | O::I64Eqz => {
                let value = self.pop();
                let zero = self.compare_to(IntCC::Equal, value, 0);
                self.push_bool(zero);
            }
            O::I32Eq | O::I64Eq => self.compare(IntCC::Equal),
            O::I32Ne | O::I64Ne => self.compare(IntCC::NotEqual),
            O::I32LtS | O::I64LtS => self.compare(IntCC::SignedLessThan),
            O::I32LtU | O::I64LtU => self.compare(IntCC::UnsignedLessThan),
            O::I32GtS | O::I64GtS => self.compare(IntCC::SignedGreaterThan),
            O::I32GtU | O::I64GtU => self.compare(IntCC::UnsignedGreaterThan),
            O::I32LeS | O::I64LeS => self.compare(IntCC::SignedLessThanOrEqual),
            O::I32LeU | O::I64LeU => self.compare(IntCC::UnsignedLessThanOrEqual),
            O::I32GeS | O::I64GeS => self.compare(IntCC::SignedGreaterThanOrEqual),
            O::I32GeU | O::I64GeU => self.compare(IntCC::UnsignedGreaterThanOrEqual),
            O::F32Eq | O::F64Eq => self.compare_float(FloatCC::Equal),
            O::F32Ne | O::F64Ne => self.compare_float(FloatCC::NotEqual),
            O::F32Lt | O::F64Lt => self.compare_float(FloatCC::LessThan),
            O::F32Gt | O::F64Gt => self.compare_float(FloatCC::GreaterThan),
            O::F32Le | O::F64Le => self.compare_float(FloatCC::LessThanOrEqual),
            O::F32Ge | O::F64Ge => self.compare_float(FloatCC::GreaterThanOrEqual),

            O::I32Clz | O::I64Clz => self.unary(|t, a| t.b.ins().clz(a)),
            O::I32Ctz | O::I64Ctz => self.unary(|t, a| t.b.ins().ctz(a)),
            O::I32Popcnt | O::I64Popcnt => self.unary(|t, a| t.b.ins().popcnt(a)),
            O::I32Add | O::I64Add => self.binary(|t, a, b| t.b.ins().iadd(a, b)),
            O::I32Sub | O::I64Sub => self.binary(|t, a, b| t.b.ins().isub(a, b)),
            O::I32Mul | O::I64Mul => self.binary(|t, a, b| t.b.ins().imul(a, b)),
            O::I32DivS | O::I64DivS => self.binary(|t, a, b| {
                t.check_division(a, b, true);
                t.b.ins().sdiv(a, b)
            }),
            O::I32DivU | O::I64DivU => self.binary(|t, a, b| {
                t.check_division(a, b, false);
                t.b.ins().udiv(a, b)
            }),
            O::I32RemS | O::I64RemS => self.binary(|t, a, b| {
                t.check_division(a, b, false);
                t.b.ins().srem(a, b)
            }),
            O::I32RemU | O::I64RemU => self.binary(|t, a, b| {
                t.check_division(a, b, false);
                t.b.ins().urem(a, b)
            }),
            O::I32And | O::I64And => self.binary(|t, a, b| t.b.ins().band(a, b)),
            O::I32Or | O::I64Or => self.binary(|t, a, b| t.b.ins().bor(a, b)),
            O::I32Xor | O::I64Xor => self.binary(|t, a, b| t.b.ins().bxor(a, b)),
            O::I32Shl | O::I64Shl => self.binary(|t, a, b| t.b.ins().ishl(a, b)),
            O::I32ShrS | O::I64ShrS => self.binary(|t, a, b| t.b.ins().sshr(a, b)),
            O::I32ShrU | O::I64ShrU => self.binary(|t, a, b| t.b.ins().ushr(a, b)),
            O::I32Rotl | O::I64Rotl => self.binary(|t, a, b| t.b.ins().rotl(a, b)),
            O::I32Rotr | O::I64Rotr => self.binary(|t, a, b| t.b.ins().rotr(a, b)),

            O::F32Abs | O::F64Abs => self.unary(|t, a| t.b.ins().fabs(a)),
            O::F32Neg | O::F64Neg => self.unary(|t, a| t.b.ins().fneg(a)),
            O::F32Ceil | O::F64Ceil => self.unary(|t, a| t.b.ins().ceil(a)),
            O::F32Floor | O::F64Floor => self.unary(|t, a| t.b.ins().floor(a)),
            O::F32Trunc | O::F64Trunc => self.unary(|t, a| t.b.ins().trunc(a)),
            O::F32Nearest | O::F64Nearest => self.unary(|t, a| t.b.ins().nearest(a)),
            O::F32Sqrt | O::F64Sqrt => self.unary(|t, a| t.b.ins().sqrt(a)),
            O::F32Add | O::F64Add => self.binary(|t, a, b| t.b.ins().fadd(a, b)),
            O::F32Sub | O::F64Sub => self.binary(|t, a, b| t.b.ins().fsub(a, b)),
            O::F32Mul | O::F64Mul => self.binary(|t, a, b| t.b.ins().fmul(a, b)),
            O::F32Div | O::F64Div => self.binary(|t, a, b| t.b.ins().fdiv(a, b)),
            O::F32Min | O::F64Min => self.binary(|t, a, b| t.b.ins().fmin(a, b)),
            O::F32Max | O::F64Max => self.binary(|t, a, b| t.b.ins().fmax(a, b)),
            O::F32Copysign | O::F64Copysign => self.binary(|t, a, b| t.b.ins().fcopysign(a, b)),

            O::I32WrapI64 => self.unary(|t, a| t.b.ins().ireduce(I32, a)),
            O::I64ExtendI32S => self.unary(|t, a| t.b.ins().sextend(I64, a)),
            O::I64ExtendI32U => self.unary(|t, a| t.b.ins().uextend(I64, a)),
            O::I32Extend8S | O::I64Extend8S => self.extend_low(I8),
            O::I32Extend16S | O::I64Extend16S => self.extend_low(I16),
            O::I64Extend32S => self.extend_low(I32),
            O::I32TruncF32S | O::I32TruncF64S => self.truncate(I32, true),
            O::I32TruncF32U | O::I32TruncF64U => self.truncate(I32, false),
            O::I64TruncF32S | O::I64TruncF64S => self.truncate(I64, true),
            O::I64TruncF32U | O::I64TruncF64U => self.truncate(I64, false),
            O::I32TruncSatF32S | O::I32TruncSatF64S => self.truncate_saturating(I32, true),
            O::I32TruncSatF32U | O::I32TruncSatF64U => self.truncate_saturating(I32, false),
            O::I64TruncSatF32S | O::I64TruncSatF64S => self.truncate_saturating(I64, true),
            O::I64TruncSatF32U | O::I64TruncSatF64U => self.truncate_saturating(I64, false),
            O::F32ConvertI32S | O::F32ConvertI64S => self.convert_int(F32, true),
            O::F32ConvertI32U | O::F32ConvertI64U => self.convert_int(F32, false),
            O::F64ConvertI32S | O::F64ConvertI64S => self.convert_int(F64, true),
            O::F64ConvertI32U | O::F64ConvertI64U => self.convert_int(F64, false),
            O::F32DemoteF64 => self.unary(|t, a| t.b.ins().fdemote(F32, a)),
            O::F64PromoteF32 => self.unary(|t, a| t.b.ins().fpromote(F64, a)),
            O::I32ReinterpretF32 => self.reinterpret(I32),
            O::I64ReinterpretF64 => self.reinterpret(I64),
            O::F32ReinterpretI32 => self.reinterpret(F32),
            O::F64ReinterpretI64 => self.reinterpret(F64),
            _ => return false,
        }
        true
    }
}
