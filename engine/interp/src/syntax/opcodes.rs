//! The opcode tables of the regular instructions (spec: Binary Format / Instructions), one row each:
//! opcode, name, number of operands; all of them have one result, stores none. Both the syntax
//! ([`super::instructions`]) and the internal code ([`crate::exec::code`]) are made from these rows.
//! A pure table.

/// Calls `$macro` with the rows of the numeric instructions (0xFCnn stands for prefix 0xFC, opcode nn) and those of
/// the loads and stores.
macro_rules! opcode_tables {
    ($macro:ident) => {
        $macro! {
            numeric {
            0x45 I32Eqz 1,
            0x46 I32Eq 2,
            0x47 I32Ne 2,
            0x48 I32LtS 2,
            0x49 I32LtU 2,
            0x4A I32GtS 2,
            0x4B I32GtU 2,
            0x4C I32LeS 2,
            0x4D I32LeU 2,
            0x4E I32GeS 2,
            0x4F I32GeU 2,
            0x50 I64Eqz 1,
            0x51 I64Eq 2,
            0x52 I64Ne 2,
            0x53 I64LtS 2,
            0x54 I64LtU 2,
            0x55 I64GtS 2,
            0x56 I64GtU 2,
            0x57 I64LeS 2,
            0x58 I64LeU 2,
            0x59 I64GeS 2,
            0x5A I64GeU 2,
            0x5B F32Eq 2,
            0x5C F32Ne 2,
            0x5D F32Lt 2,
            0x5E F32Gt 2,
            0x5F F32Le 2,
            0x60 F32Ge 2,
            0x61 F64Eq 2,
            0x62 F64Ne 2,
            0x63 F64Lt 2,
            0x64 F64Gt 2,
            0x65 F64Le 2,
            0x66 F64Ge 2,
            0x67 I32Clz 1,
            0x68 I32Ctz 1,
            0x69 I32Popcnt 1,
            0x6A I32Add 2,
            0x6B I32Sub 2,
            0x6C I32Mul 2,
            0x6D I32DivS 2,
            0x6E I32DivU 2,
            0x6F I32RemS 2,
            0x70 I32RemU 2,
            0x71 I32And 2,
            0x72 I32Or 2,
            0x73 I32Xor 2,
            0x74 I32Shl 2,
            0x75 I32ShrS 2,
            0x76 I32ShrU 2,
            0x77 I32Rotl 2,
            0x78 I32Rotr 2,
            0x79 I64Clz 1,
            0x7A I64Ctz 1,
            0x7B I64Popcnt 1,
            0x7C I64Add 2,
            0x7D I64Sub 2,
            0x7E I64Mul 2,
            0x7F I64DivS 2,
            0x80 I64DivU 2,
            0x81 I64RemS 2,
            0x82 I64RemU 2,
            0x83 I64And 2,
            0x84 I64Or 2,
            0x85 I64Xor 2,
            0x86 I64Shl 2,
            0x87 I64ShrS 2,
            0x88 I64ShrU 2,
            0x89 I64Rotl 2,
            0x8A I64Rotr 2,
            0x8B F32Abs 1,
            0x8C F32Neg 1,
            0x8D F32Ceil 1,
            0x8E F32Floor 1,
            0x8F F32Trunc 1,
            0x90 F32Nearest 1,
            0x91 F32Sqrt 1,
            0x92 F32Add 2,
            0x93 F32Sub 2,
            0x94 F32Mul 2,
            0x95 F32Div 2,
            0x96 F32Min 2,
            0x97 F32Max 2,
            0x98 F32Copysign 2,
            0x99 F64Abs 1,
            0x9A F64Neg 1,
            0x9B F64Ceil 1,
            0x9C F64Floor 1,
            0x9D F64Trunc 1,
            0x9E F64Nearest 1,
            0x9F F64Sqrt 1,
            0xA0 F64Add 2,
            0xA1 F64Sub 2,
            0xA2 F64Mul 2,
            0xA3 F64Div 2,
            0xA4 F64Min 2,
            0xA5 F64Max 2,
            0xA6 F64Copysign 2,
            0xA7 I32WrapI64 1,
            0xA8 I32TruncF32S 1,
            0xA9 I32TruncF32U 1,
            0xAA I32TruncF64S 1,
            0xAB I32TruncF64U 1,
            0xAC I64ExtendI32S 1,
            0xAD I64ExtendI32U 1,
            0xAE I64TruncF32S 1,
            0xAF I64TruncF32U 1,
            0xB0 I64TruncF64S 1,
            0xB1 I64TruncF64U 1,
            0xB2 F32ConvertI32S 1,
            0xB3 F32ConvertI32U 1,
            0xB4 F32ConvertI64S 1,
            0xB5 F32ConvertI64U 1,
            0xB6 F32DemoteF64 1,
            0xB7 F64ConvertI32S 1,
            0xB8 F64ConvertI32U 1,
            0xB9 F64ConvertI64S 1,
            0xBA F64ConvertI64U 1,
            0xBB F64PromoteF32 1,
            0xBC I32ReinterpretF32 1,
            0xBD I64ReinterpretF64 1,
            0xBE F32ReinterpretI32 1,
            0xBF F64ReinterpretI64 1,
            0xC0 I32Extend8S 1,
            0xC1 I32Extend16S 1,
            0xC2 I64Extend8S 1,
            0xC3 I64Extend16S 1,
            0xC4 I64Extend32S 1,
            0xFC00 I32TruncSatF32S 1,
            0xFC01 I32TruncSatF32U 1,
            0xFC02 I32TruncSatF64S 1,
            0xFC03 I32TruncSatF64U 1,
            0xFC04 I64TruncSatF32S 1,
            0xFC05 I64TruncSatF32U 1,
            0xFC06 I64TruncSatF64S 1,
            0xFC07 I64TruncSatF64U 1,
            }
            access {
            0x28 I32Load 1,
            0x29 I64Load 1,
            0x2A F32Load 1,
            0x2B F64Load 1,
            0x2C I32Load8S 1,
            0x2D I32Load8U 1,
            0x2E I32Load16S 1,
            0x2F I32Load16U 1,
            0x30 I64Load8S 1,
            0x31 I64Load8U 1,
            0x32 I64Load16S 1,
            0x33 I64Load16U 1,
            0x34 I64Load32S 1,
            0x35 I64Load32U 1,
            0x36 I32Store 2,
            0x37 I64Store 2,
            0x38 F32Store 2,
            0x39 F64Store 2,
            0x3A I32Store8 2,
            0x3B I32Store16 2,
            0x3C I64Store8 2,
            0x3D I64Store16 2,
            0x3E I64Store32 2,
            }
        }
    };
}
pub(crate) use opcode_tables;

macro_rules! define_numeric {
    (numeric { $($opcode:literal $name:ident $arity:literal,)* } access { $($access:tt)* }) => {
        /// A numeric instruction.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Numeric { $($name,)* }

        impl Numeric {
            /// The instruction of an opcode.
            pub(crate) fn from_opcode(opcode: u32) -> Option<Numeric> {
                Some(match opcode { $($opcode => Numeric::$name,)* _ => return None })
            }

            /// Number of operands, 1 or 2.
            pub(crate) fn arity(self) -> usize {
                match self { $(Numeric::$name => $arity,)* }
            }
        }
    };
}
opcode_tables!(define_numeric);

macro_rules! define_memory_access {
    (numeric { $($numeric:tt)* } access { $($opcode:literal $name:ident $arity:literal,)* }) => {
        /// A load or a store.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum MemoryAccess { $($name,)* }

        impl MemoryAccess {
            /// The instruction of an opcode.
            pub(crate) fn from_opcode(opcode: u32) -> Option<MemoryAccess> {
                Some(match opcode { $($opcode => MemoryAccess::$name,)* _ => return None })
            }

            /// Whether it has a value operand and no result.
            pub(crate) fn is_store(self) -> bool {
                match self { $(MemoryAccess::$name => $arity == 2,)* }
            }
        }
    };
}
opcode_tables!(define_memory_access);
