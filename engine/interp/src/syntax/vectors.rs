//! The opcode table of the vector instructions (spec: Binary Format / Vector Instructions; prefix 0xFD), one row each: opcode,
//! name, and types of operands and result. `v128.const` and `i8x16.shuffle` alone have no row, as their immediates
//! are 16 bytes. Rows with a lane index give the number of lanes, rows that access memory the bytes accessed (which is the
//! natural alignment), and the types without the address. So one typing rule and one decoding serves a whole group.
//! A pure table.

use super::types::ValType;

/// Calls `$macro` with the rows of the instructions without immediates, of those with a lane index (opcode, name,
/// lanes), and of the loads and stores (opcode, name, bytes, lanes or 0).
macro_rules! vector_tables {
    ($macro:ident) => {
        $macro! {
            plain {
            0x0E I8x16Swizzle (V128 V128 => V128),
            0x0F I8x16Splat (I32 => V128),
            0x10 I16x8Splat (I32 => V128),
            0x11 I32x4Splat (I32 => V128),
            0x12 I64x2Splat (I64 => V128),
            0x13 F32x4Splat (F32 => V128),
            0x14 F64x2Splat (F64 => V128),
            0x23 I8x16Eq (V128 V128 => V128),
            0x24 I8x16Ne (V128 V128 => V128),
            0x25 I8x16LtS (V128 V128 => V128),
            0x26 I8x16LtU (V128 V128 => V128),
            0x27 I8x16GtS (V128 V128 => V128),
            0x28 I8x16GtU (V128 V128 => V128),
            0x29 I8x16LeS (V128 V128 => V128),
            0x2A I8x16LeU (V128 V128 => V128),
            0x2B I8x16GeS (V128 V128 => V128),
            0x2C I8x16GeU (V128 V128 => V128),
            0x2D I16x8Eq (V128 V128 => V128),
            0x2E I16x8Ne (V128 V128 => V128),
            0x2F I16x8LtS (V128 V128 => V128),
            0x30 I16x8LtU (V128 V128 => V128),
            0x31 I16x8GtS (V128 V128 => V128),
            0x32 I16x8GtU (V128 V128 => V128),
            0x33 I16x8LeS (V128 V128 => V128),
            0x34 I16x8LeU (V128 V128 => V128),
            0x35 I16x8GeS (V128 V128 => V128),
            0x36 I16x8GeU (V128 V128 => V128),
            0x37 I32x4Eq (V128 V128 => V128),
            0x38 I32x4Ne (V128 V128 => V128),
            0x39 I32x4LtS (V128 V128 => V128),
            0x3A I32x4LtU (V128 V128 => V128),
            0x3B I32x4GtS (V128 V128 => V128),
            0x3C I32x4GtU (V128 V128 => V128),
            0x3D I32x4LeS (V128 V128 => V128),
            0x3E I32x4LeU (V128 V128 => V128),
            0x3F I32x4GeS (V128 V128 => V128),
            0x40 I32x4GeU (V128 V128 => V128),
            0x41 F32x4Eq (V128 V128 => V128),
            0x42 F32x4Ne (V128 V128 => V128),
            0x43 F32x4Lt (V128 V128 => V128),
            0x44 F32x4Gt (V128 V128 => V128),
            0x45 F32x4Le (V128 V128 => V128),
            0x46 F32x4Ge (V128 V128 => V128),
            0x47 F64x2Eq (V128 V128 => V128),
            0x48 F64x2Ne (V128 V128 => V128),
            0x49 F64x2Lt (V128 V128 => V128),
            0x4A F64x2Gt (V128 V128 => V128),
            0x4B F64x2Le (V128 V128 => V128),
            0x4C F64x2Ge (V128 V128 => V128),
            0x4D V128Not (V128 => V128),
            0x4E V128And (V128 V128 => V128),
            0x4F V128Andnot (V128 V128 => V128),
            0x50 V128Or (V128 V128 => V128),
            0x51 V128Xor (V128 V128 => V128),
            0x52 V128Bitselect (V128 V128 V128 => V128),
            0x53 V128AnyTrue (V128 => I32),
            0x5E F32x4DemoteF64x2Zero (V128 => V128),
            0x5F F64x2PromoteLowF32x4 (V128 => V128),
            0x60 I8x16Abs (V128 => V128),
            0x61 I8x16Neg (V128 => V128),
            0x62 I8x16Popcnt (V128 => V128),
            0x63 I8x16AllTrue (V128 => I32),
            0x64 I8x16Bitmask (V128 => I32),
            0x65 I8x16NarrowI16x8S (V128 V128 => V128),
            0x66 I8x16NarrowI16x8U (V128 V128 => V128),
            0x67 F32x4Ceil (V128 => V128),
            0x68 F32x4Floor (V128 => V128),
            0x69 F32x4Trunc (V128 => V128),
            0x6A F32x4Nearest (V128 => V128),
            0x6B I8x16Shl (V128 I32 => V128),
            0x6C I8x16ShrS (V128 I32 => V128),
            0x6D I8x16ShrU (V128 I32 => V128),
            0x6E I8x16Add (V128 V128 => V128),
            0x6F I8x16AddSatS (V128 V128 => V128),
            0x70 I8x16AddSatU (V128 V128 => V128),
            0x71 I8x16Sub (V128 V128 => V128),
            0x72 I8x16SubSatS (V128 V128 => V128),
            0x73 I8x16SubSatU (V128 V128 => V128),
            0x74 F64x2Ceil (V128 => V128),
            0x75 F64x2Floor (V128 => V128),
            0x76 I8x16MinS (V128 V128 => V128),
            0x77 I8x16MinU (V128 V128 => V128),
            0x78 I8x16MaxS (V128 V128 => V128),
            0x79 I8x16MaxU (V128 V128 => V128),
            0x7A F64x2Trunc (V128 => V128),
            0x7B I8x16AvgrU (V128 V128 => V128),
            0x7C I16x8ExtaddPairwiseI8x16S (V128 => V128),
            0x7D I16x8ExtaddPairwiseI8x16U (V128 => V128),
            0x7E I32x4ExtaddPairwiseI16x8S (V128 => V128),
            0x7F I32x4ExtaddPairwiseI16x8U (V128 => V128),
            0x80 I16x8Abs (V128 => V128),
            0x81 I16x8Neg (V128 => V128),
            0x82 I16x8Q15mulrSatS (V128 V128 => V128),
            0x83 I16x8AllTrue (V128 => I32),
            0x84 I16x8Bitmask (V128 => I32),
            0x85 I16x8NarrowI32x4S (V128 V128 => V128),
            0x86 I16x8NarrowI32x4U (V128 V128 => V128),
            0x87 I16x8ExtendLowI8x16S (V128 => V128),
            0x88 I16x8ExtendHighI8x16S (V128 => V128),
            0x89 I16x8ExtendLowI8x16U (V128 => V128),
            0x8A I16x8ExtendHighI8x16U (V128 => V128),
            0x8B I16x8Shl (V128 I32 => V128),
            0x8C I16x8ShrS (V128 I32 => V128),
            0x8D I16x8ShrU (V128 I32 => V128),
            0x8E I16x8Add (V128 V128 => V128),
            0x8F I16x8AddSatS (V128 V128 => V128),
            0x90 I16x8AddSatU (V128 V128 => V128),
            0x91 I16x8Sub (V128 V128 => V128),
            0x92 I16x8SubSatS (V128 V128 => V128),
            0x93 I16x8SubSatU (V128 V128 => V128),
            0x94 F64x2Nearest (V128 => V128),
            0x95 I16x8Mul (V128 V128 => V128),
            0x96 I16x8MinS (V128 V128 => V128),
            0x97 I16x8MinU (V128 V128 => V128),
            0x98 I16x8MaxS (V128 V128 => V128),
            0x99 I16x8MaxU (V128 V128 => V128),
            0x9B I16x8AvgrU (V128 V128 => V128),
            0x9C I16x8ExtmulLowI8x16S (V128 V128 => V128),
            0x9D I16x8ExtmulHighI8x16S (V128 V128 => V128),
            0x9E I16x8ExtmulLowI8x16U (V128 V128 => V128),
            0x9F I16x8ExtmulHighI8x16U (V128 V128 => V128),
            0xA0 I32x4Abs (V128 => V128),
            0xA1 I32x4Neg (V128 => V128),
            0xA3 I32x4AllTrue (V128 => I32),
            0xA4 I32x4Bitmask (V128 => I32),
            0xA7 I32x4ExtendLowI16x8S (V128 => V128),
            0xA8 I32x4ExtendHighI16x8S (V128 => V128),
            0xA9 I32x4ExtendLowI16x8U (V128 => V128),
            0xAA I32x4ExtendHighI16x8U (V128 => V128),
            0xAB I32x4Shl (V128 I32 => V128),
            0xAC I32x4ShrS (V128 I32 => V128),
            0xAD I32x4ShrU (V128 I32 => V128),
            0xAE I32x4Add (V128 V128 => V128),
            0xB1 I32x4Sub (V128 V128 => V128),
            0xB5 I32x4Mul (V128 V128 => V128),
            0xB6 I32x4MinS (V128 V128 => V128),
            0xB7 I32x4MinU (V128 V128 => V128),
            0xB8 I32x4MaxS (V128 V128 => V128),
            0xB9 I32x4MaxU (V128 V128 => V128),
            0xBA I32x4DotI16x8S (V128 V128 => V128),
            0xBC I32x4ExtmulLowI16x8S (V128 V128 => V128),
            0xBD I32x4ExtmulHighI16x8S (V128 V128 => V128),
            0xBE I32x4ExtmulLowI16x8U (V128 V128 => V128),
            0xBF I32x4ExtmulHighI16x8U (V128 V128 => V128),
            0xC0 I64x2Abs (V128 => V128),
            0xC1 I64x2Neg (V128 => V128),
            0xC3 I64x2AllTrue (V128 => I32),
            0xC4 I64x2Bitmask (V128 => I32),
            0xC7 I64x2ExtendLowI32x4S (V128 => V128),
            0xC8 I64x2ExtendHighI32x4S (V128 => V128),
            0xC9 I64x2ExtendLowI32x4U (V128 => V128),
            0xCA I64x2ExtendHighI32x4U (V128 => V128),
            0xCB I64x2Shl (V128 I32 => V128),
            0xCC I64x2ShrS (V128 I32 => V128),
            0xCD I64x2ShrU (V128 I32 => V128),
            0xCE I64x2Add (V128 V128 => V128),
            0xD1 I64x2Sub (V128 V128 => V128),
            0xD5 I64x2Mul (V128 V128 => V128),
            0xD6 I64x2Eq (V128 V128 => V128),
            0xD7 I64x2Ne (V128 V128 => V128),
            0xD8 I64x2LtS (V128 V128 => V128),
            0xD9 I64x2GtS (V128 V128 => V128),
            0xDA I64x2LeS (V128 V128 => V128),
            0xDB I64x2GeS (V128 V128 => V128),
            0xDC I64x2ExtmulLowI32x4S (V128 V128 => V128),
            0xDD I64x2ExtmulHighI32x4S (V128 V128 => V128),
            0xDE I64x2ExtmulLowI32x4U (V128 V128 => V128),
            0xDF I64x2ExtmulHighI32x4U (V128 V128 => V128),
            0xE0 F32x4Abs (V128 => V128),
            0xE1 F32x4Neg (V128 => V128),
            0xE3 F32x4Sqrt (V128 => V128),
            0xE4 F32x4Add (V128 V128 => V128),
            0xE5 F32x4Sub (V128 V128 => V128),
            0xE6 F32x4Mul (V128 V128 => V128),
            0xE7 F32x4Div (V128 V128 => V128),
            0xE8 F32x4Min (V128 V128 => V128),
            0xE9 F32x4Max (V128 V128 => V128),
            0xEA F32x4Pmin (V128 V128 => V128),
            0xEB F32x4Pmax (V128 V128 => V128),
            0xEC F64x2Abs (V128 => V128),
            0xED F64x2Neg (V128 => V128),
            0xEF F64x2Sqrt (V128 => V128),
            0xF0 F64x2Add (V128 V128 => V128),
            0xF1 F64x2Sub (V128 V128 => V128),
            0xF2 F64x2Mul (V128 V128 => V128),
            0xF3 F64x2Div (V128 V128 => V128),
            0xF4 F64x2Min (V128 V128 => V128),
            0xF5 F64x2Max (V128 V128 => V128),
            0xF6 F64x2Pmin (V128 V128 => V128),
            0xF7 F64x2Pmax (V128 V128 => V128),
            0xF8 I32x4TruncSatF32x4S (V128 => V128),
            0xF9 I32x4TruncSatF32x4U (V128 => V128),
            0xFA F32x4ConvertI32x4S (V128 => V128),
            0xFB F32x4ConvertI32x4U (V128 => V128),
            0xFC I32x4TruncSatF64x2SZero (V128 => V128),
            0xFD I32x4TruncSatF64x2UZero (V128 => V128),
            0xFE F64x2ConvertLowI32x4S (V128 => V128),
            0xFF F64x2ConvertLowI32x4U (V128 => V128),
            0x100 I8x16RelaxedSwizzle (V128 V128 => V128),
            0x101 I32x4RelaxedTruncF32x4S (V128 => V128),
            0x102 I32x4RelaxedTruncF32x4U (V128 => V128),
            0x103 I32x4RelaxedTruncF64x2SZero (V128 => V128),
            0x104 I32x4RelaxedTruncF64x2UZero (V128 => V128),
            0x105 F32x4RelaxedMadd (V128 V128 V128 => V128),
            0x106 F32x4RelaxedNmadd (V128 V128 V128 => V128),
            0x107 F64x2RelaxedMadd (V128 V128 V128 => V128),
            0x108 F64x2RelaxedNmadd (V128 V128 V128 => V128),
            0x109 I8x16RelaxedLaneselect (V128 V128 V128 => V128),
            0x10A I16x8RelaxedLaneselect (V128 V128 V128 => V128),
            0x10B I32x4RelaxedLaneselect (V128 V128 V128 => V128),
            0x10C I64x2RelaxedLaneselect (V128 V128 V128 => V128),
            0x10D F32x4RelaxedMin (V128 V128 => V128),
            0x10E F32x4RelaxedMax (V128 V128 => V128),
            0x10F F64x2RelaxedMin (V128 V128 => V128),
            0x110 F64x2RelaxedMax (V128 V128 => V128),
            0x111 I16x8RelaxedQ15mulrS (V128 V128 => V128),
            0x112 I16x8RelaxedDotI8x16I7x16S (V128 V128 => V128),
            0x113 I32x4RelaxedDotI8x16I7x16AddS (V128 V128 V128 => V128),
            }
            lane {
            0x15 I8x16ExtractLaneS 16 (V128 => I32),
            0x16 I8x16ExtractLaneU 16 (V128 => I32),
            0x17 I8x16ReplaceLane 16 (V128 I32 => V128),
            0x18 I16x8ExtractLaneS 8 (V128 => I32),
            0x19 I16x8ExtractLaneU 8 (V128 => I32),
            0x1A I16x8ReplaceLane 8 (V128 I32 => V128),
            0x1B I32x4ExtractLane 4 (V128 => I32),
            0x1C I32x4ReplaceLane 4 (V128 I32 => V128),
            0x1D I64x2ExtractLane 2 (V128 => I64),
            0x1E I64x2ReplaceLane 2 (V128 I64 => V128),
            0x1F F32x4ExtractLane 4 (V128 => F32),
            0x20 F32x4ReplaceLane 4 (V128 F32 => V128),
            0x21 F64x2ExtractLane 2 (V128 => F64),
            0x22 F64x2ReplaceLane 2 (V128 F64 => V128),
            }
            access {
            0x00 V128Load 16 0 (=> V128),
            0x01 V128Load8x8S 8 0 (=> V128),
            0x02 V128Load8x8U 8 0 (=> V128),
            0x03 V128Load16x4S 8 0 (=> V128),
            0x04 V128Load16x4U 8 0 (=> V128),
            0x05 V128Load32x2S 8 0 (=> V128),
            0x06 V128Load32x2U 8 0 (=> V128),
            0x07 V128Load8Splat 1 0 (=> V128),
            0x08 V128Load16Splat 2 0 (=> V128),
            0x09 V128Load32Splat 4 0 (=> V128),
            0x0A V128Load64Splat 8 0 (=> V128),
            0x0B V128Store 16 0 (V128 =>),
            0x54 V128Load8Lane 1 16 (V128 => V128),
            0x55 V128Load16Lane 2 8 (V128 => V128),
            0x56 V128Load32Lane 4 4 (V128 => V128),
            0x57 V128Load64Lane 8 2 (V128 => V128),
            0x58 V128Store8Lane 1 16 (V128 =>),
            0x59 V128Store16Lane 2 8 (V128 =>),
            0x5A V128Store32Lane 4 4 (V128 =>),
            0x5B V128Store64Lane 8 2 (V128 =>),
            0x5C V128Load32Zero 4 0 (=> V128),
            0x5D V128Load64Zero 8 0 (=> V128),
            }
        }
    };
}

macro_rules! define_vectors {
    (plain { $($popcode:literal $plain:ident ($($poperand:ident)* => $presult:ident),)* }
     lane { $($lopcode:literal $lane:ident $lanes:literal ($($loperand:ident)* => $lresult:ident),)* }
     access { $($aopcode:literal $access:ident $bytes:literal $alanes:literal ($($aoperand:ident)* => $($aresult:ident)?),)* }) => {
        /// A vector instruction without immediates.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        pub(crate) enum Vector { $($plain,)* }

        impl Vector {
            /// All of them, by their numbers.
            pub(crate) const ALL: &[Vector] = &[$(Vector::$plain,)*];

            /// The instruction of an opcode.
            pub(crate) fn from_opcode(opcode: u32) -> Option<Vector> {
                Some(match opcode { $($popcode => Vector::$plain,)* _ => return None })
            }

            /// Types of the operands, the topmost last.
            pub(crate) fn operands(self) -> &'static [ValType] {
                match self { $(Vector::$plain => &[$(ValType::$poperand),*],)* }
            }

            /// Type of the result.
            pub(crate) fn result(self) -> ValType {
                match self { $(Vector::$plain => ValType::$presult,)* }
            }
        }

        /// A vector instruction whose immediate is a lane index.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        pub(crate) enum VectorLane { $($lane,)* }

        impl VectorLane {
            /// All of them, by their numbers.
            pub(crate) const ALL: &[VectorLane] = &[$(VectorLane::$lane,)*];

            /// The instruction of an opcode.
            pub(crate) fn from_opcode(opcode: u32) -> Option<VectorLane> {
                Some(match opcode { $($lopcode => VectorLane::$lane,)* _ => return None })
            }

            /// Types of the operands, the topmost last.
            pub(crate) fn operands(self) -> &'static [ValType] {
                match self { $(VectorLane::$lane => &[$(ValType::$loperand),*],)* }
            }

            /// Type of the result.
            pub(crate) fn result(self) -> ValType {
                match self { $(VectorLane::$lane => ValType::$lresult,)* }
            }

            /// Number of lanes; a valid lane index is below.
            pub(crate) fn lanes(self) -> u8 {
                match self { $(VectorLane::$lane => $lanes,)* }
            }
        }

        /// A load or store of vectors.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        pub(crate) enum VectorAccess { $($access,)* }

        impl VectorAccess {
            /// All of them, by their numbers.
            pub(crate) const ALL: &[VectorAccess] = &[$(VectorAccess::$access,)*];

            /// The instruction of an opcode.
            pub(crate) fn from_opcode(opcode: u32) -> Option<VectorAccess> {
                Some(match opcode { $($aopcode => VectorAccess::$access,)* _ => return None })
            }

            /// Types of the operands after the address, the topmost last.
            pub(crate) fn operands(self) -> &'static [ValType] {
                match self { $(VectorAccess::$access => &[$(ValType::$aoperand),*],)* }
            }

            /// Types of the results: one of a load, none of a store.
            pub(crate) fn results(self) -> &'static [ValType] {
                match self { $(VectorAccess::$access => &[$(ValType::$aresult)?],)* }
            }

            /// Bytes accessed, a power of two; the alignment may not exceed it.
            pub(crate) fn bytes(self) -> u32 {
                match self { $(VectorAccess::$access => $bytes,)* }
            }

            /// Number of lanes, if it has a lane index.
            pub(crate) fn lanes(self) -> Option<u8> {
                match self { $(VectorAccess::$access => if $alanes == 0 { None } else { Some($alanes) },)* }
            }
        }
    };
}
vector_tables!(define_vectors);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_has_a_row_and_a_number() {
        let relaxed = (0x100..0x200).filter(|&opcode| Vector::from_opcode(opcode).is_some()).count();
        let rows = Vector::ALL.len() + VectorLane::ALL.len() + VectorAccess::ALL.len();
        assert_eq!((rows + 2 - relaxed, relaxed), (236, 20));
        assert!(Vector::ALL.iter().enumerate().all(|(i, &vector)| vector as usize == i));
        assert!(VectorLane::ALL.iter().enumerate().all(|(i, &lane)| lane as usize == i));
        assert!(VectorAccess::ALL.iter().enumerate().all(|(i, &access)| access as usize == i));
    }

    #[test]
    fn lanes_of_accesses_fill_a_vector() {
        for access in VectorAccess::ALL {
            assert!(access.bytes().is_power_of_two() && access.bytes() <= 16);
            assert!(access.lanes().is_none_or(|lanes| u32::from(lanes) * access.bytes() == 16));
        }
    }
}
