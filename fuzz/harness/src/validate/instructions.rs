//! Random instructions, and instructions with another immediate, for the structural mutations.
//!
//! Each index lies within its space as a rule; nothing is arranged to be valid.

use std::borrow::Cow;

use wasm_encoder::{BlockType, Catch, ConstExpr, Encode, Instruction, MemArg, ValType};

use super::mutate::Mutator;

/// Labels, locals and fields are taken from below this.
pub(super) const SMALL: usize = 6;

/// A short constant expression, seldom of the type that is wanted.
pub(super) fn constant(m: &mut Mutator<'_, '_, '_>) -> ConstExpr {
    let mut bytes = Vec::new();
    for _ in 0..=m.choices.below(3) / 2 {
        let instruction = match m.choices.below(12) {
            0 => Instruction::I32Const(m.choices.i32()),
            1 => Instruction::I64Const(m.choices.i64()),
            2 => Instruction::V128Const(0),
            3 => Instruction::RefNull(m.any_heap_type()),
            4 => Instruction::RefFunc(m.index(m.spaces.functions)),
            5 => Instruction::GlobalGet(m.index(m.spaces.globals)),
            6 => Instruction::StructNewDefault(m.struct_type_index()),
            7 => Instruction::ArrayNewFixed { array_type_index: m.array_type_index(), array_size: 0 },
            8 => Instruction::F32Const(1.5.into()),
            9 => Instruction::RefI31,
            _ => any(m),
        };
        instruction.encode(&mut bytes);
    }
    ConstExpr::raw(bytes)
}

/// Any instruction of WebAssembly 3.0 that has a typing rule of its own.
pub(super) fn any(m: &mut Mutator<'_, '_, '_>) -> Instruction<'static> {
    match m.choices.below(6) {
        0 => plain(m),
        1 => control(m),
        2 => variable(m),
        3 => reference(m),
        4 => aggregate(m),
        _ => storage(m),
    }
}

fn plain(m: &mut Mutator<'_, '_, '_>) -> Instruction<'static> {
    use Instruction as I;
    let lane = m.choices.below(18) as u8;
    match m.choices.below(27) {
        0 => I::Nop,
        1 | 2 => I::Drop,
        3 | 24 | 25 => I::Select,
        4 => I::TypedSelect(m.any_value_type()),
        26 => I::TypedSelectMulti((0..m.choices.below(3)).map(|_| m.any_value_type()).collect()),
        5 | 6 => I::I32Const(m.choices.i32()),
        7 => I::I64Const(m.choices.i64()),
        8 => I::F32Const(1.5.into()),
        9 => I::F64Const(1.5.into()),
        10 => I::V128Const(1),
        11 => I::I32Eqz,
        12 => I::I32Add,
        13 => I::I64Add,
        14 => I::F64Add,
        15 => I::I32WrapI64,
        16 => I::I64ExtendI32U,
        17 => I::I8x16ExtractLaneS(lane),
        18 => I::F64x2ReplaceLane(lane),
        19 => I::I8x16Shuffle([lane * 2; 16]),
        20 => I::I32x4Add,
        21 => I::V128Bitselect,
        22 => I::I32x4Splat,
        _ => I::I32x4RelaxedTruncF32x4S,
    }
}

fn control(m: &mut Mutator<'_, '_, '_>) -> Instruction<'static> {
    use Instruction as I;
    let label = m.choices.below(SMALL) as u32;
    match m.choices.below(26) {
        0 => I::Unreachable,
        1 => I::Block(block_type(m)),
        2 => I::Loop(block_type(m)),
        3 => I::If(block_type(m)),
        4 => I::Else,
        5 => I::End,
        6 => I::Br(label),
        7 => I::BrIf(label),
        8 => {
            let labels = (0..m.choices.below(4)).map(|_| m.choices.below(SMALL) as u32);
            I::BrTable(labels.collect(), label)
        }
        9 => I::Return,
        10 => I::Call(m.index(m.spaces.functions)),
        11 => I::CallRef(m.func_type_index()),
        12 => I::CallIndirect { type_index: m.func_type_index(), table_index: m.index(m.spaces.tables) },
        13 => I::ReturnCall(m.index(m.spaces.functions)),
        14 => I::ReturnCallRef(m.func_type_index()),
        15 => {
            I::ReturnCallIndirect { type_index: m.func_type_index(), table_index: m.index(m.spaces.tables) }
        }
        16 => I::BrOnNull(label),
        17 => I::BrOnNonNull(label),
        18 => I::BrOnCast {
            relative_depth: label,
            from_ref_type: m.any_ref_type(),
            to_ref_type: m.any_ref_type(),
        },
        19 => I::BrOnCastFail {
            relative_depth: label,
            from_ref_type: m.any_ref_type(),
            to_ref_type: m.any_ref_type(),
        },
        20 | 21 => I::Throw(m.index(m.spaces.tags)),
        22 => I::ThrowRef,
        23 if m.legacy => I::Rethrow(label),
        24 if m.legacy => I::CatchAll,
        _ => try_table(m),
    }
}

pub(super) fn try_table(m: &mut Mutator<'_, '_, '_>) -> Instruction<'static> {
    let label = m.choices.below(SMALL) as u32;
    let catch = match m.choices.below(4) {
        0 => Catch::One { tag: m.index(m.spaces.tags), label },
        1 => Catch::OneRef { tag: m.index(m.spaces.tags), label },
        2 => Catch::All { label },
        _ => Catch::AllRef { label },
    };
    Instruction::TryTable(block_type(m), Cow::Owned(vec![catch]))
}

pub(super) fn block_type(m: &mut Mutator<'_, '_, '_>) -> BlockType {
    match m.choices.below(4) {
        0 | 1 => BlockType::Empty,
        2 => BlockType::Result(m.any_value_type()),
        _ => BlockType::FunctionType(m.func_type_index()),
    }
}

fn variable(m: &mut Mutator<'_, '_, '_>) -> Instruction<'static> {
    use Instruction as I;
    let local = m.choices.below(SMALL) as u32;
    match m.choices.below(8) {
        0..=2 => I::LocalGet(local),
        3 => I::LocalSet(local),
        4 => I::LocalTee(local),
        5 | 6 => I::GlobalGet(m.index(m.spaces.globals)),
        _ => I::GlobalSet(m.index(m.spaces.globals)),
    }
}

fn reference(m: &mut Mutator<'_, '_, '_>) -> Instruction<'static> {
    use Instruction as I;
    match m.choices.below(15) {
        0 | 1 => I::RefNull(m.any_heap_type()),
        2 => I::RefIsNull,
        3 => I::RefFunc(m.index(m.spaces.functions)),
        4 => I::RefEq,
        5 => I::RefAsNonNull,
        6 => I::RefTestNonNull(m.any_heap_type()),
        7 => I::RefTestNullable(m.any_heap_type()),
        8 => I::RefCastNonNull(m.any_heap_type()),
        9 => I::RefCastNullable(m.any_heap_type()),
        10 => I::RefI31,
        11 => I::I31GetS,
        12 => I::I31GetU,
        13 => I::AnyConvertExtern,
        _ => I::ExternConvertAny,
    }
}

fn aggregate(m: &mut Mutator<'_, '_, '_>) -> Instruction<'static> {
    use Instruction as I;
    let struct_type_index = m.struct_type_index();
    let array_type_index = m.array_type_index();
    let field_index = m.choices.below(SMALL) as u32;
    match m.choices.below(21) {
        0 => I::StructNew(struct_type_index),
        1 => I::StructNewDefault(struct_type_index),
        2 => I::StructGet { struct_type_index, field_index },
        3 => I::StructGetS { struct_type_index, field_index },
        4 => I::StructGetU { struct_type_index, field_index },
        5 => I::StructSet { struct_type_index, field_index },
        6 => I::ArrayNew(array_type_index),
        7 => I::ArrayNewDefault(array_type_index),
        8 => I::ArrayNewFixed { array_type_index, array_size: field_index },
        9 => I::ArrayNewData { array_type_index, array_data_index: m.index(m.spaces.data) },
        10 => I::ArrayNewElem { array_type_index, array_elem_index: m.index(m.spaces.elements) },
        11 => I::ArrayGet(array_type_index),
        12 => I::ArrayGetS(array_type_index),
        13 => I::ArrayGetU(array_type_index),
        14 => I::ArraySet(array_type_index),
        15 => I::ArrayLen,
        16 => I::ArrayFill(array_type_index),
        17 => I::ArrayCopy {
            array_type_index_dst: array_type_index,
            array_type_index_src: m.array_type_index(),
        },
        18 => I::ArrayInitData { array_type_index, array_data_index: m.index(m.spaces.data) },
        19 => I::ArrayInitElem { array_type_index, array_elem_index: m.index(m.spaces.elements) },
        _ => I::ArrayNewFixed { array_type_index, array_size: 0 },
    }
}

fn storage(m: &mut Mutator<'_, '_, '_>) -> Instruction<'static> {
    use Instruction as I;
    let (table, mem) = (m.index(m.spaces.tables), m.index(m.spaces.memories));
    match m.choices.below(20) {
        0 => I::I32Load(memory(m)),
        1 => I::I64Load16U(memory(m)),
        2 => I::F64Store(memory(m)),
        3 => I::I32Store8(memory(m)),
        4 => I::V128Load(memory(m)),
        5 => I::V128Load64Lane { memarg: memory(m), lane: m.choices.below(4) as u8 },
        6 => I::MemorySize(mem),
        7 => I::MemoryGrow(mem),
        8 => I::MemoryInit { mem, data_index: m.index(m.spaces.data) },
        9 => I::DataDrop(m.index(m.spaces.data)),
        10 => I::MemoryCopy { src_mem: mem, dst_mem: m.index(m.spaces.memories) },
        11 => I::MemoryFill(mem),
        12 => I::TableGet(table),
        13 => I::TableSet(table),
        14 => I::TableSize(table),
        15 => I::TableGrow(table),
        16 => I::TableFill(table),
        17 => I::TableCopy { src_table: table, dst_table: m.index(m.spaces.tables) },
        18 => I::TableInit { elem_index: m.index(m.spaces.elements), table },
        _ => I::ElemDrop(m.index(m.spaces.elements)),
    }
}

fn memory(m: &mut Mutator<'_, '_, '_>) -> MemArg {
    let index = m.index(m.spaces.memories);
    let offset = m.choices.pick(&[0, 0, 8, u64::from(u32::MAX), 1 << 32]);
    let align = m.choices.below(5) as u32;
    MemArg { offset, align, target: wasm_encoder::MemArgTarget::Memory(index), ordering: None }
}

/// Whether [`other_immediate`] changes it.
pub(super) fn has_immediate(instruction: &Instruction<'_>) -> bool {
    use Instruction as I;
    matches!(
        instruction,
        I::Br(_)
            | I::BrIf(_)
            | I::BrTable(..)
            | I::BrOnNull(_)
            | I::BrOnNonNull(_)
            | I::BrOnCast { .. }
            | I::BrOnCastFail { .. }
            | I::TryTable(..)
            | I::Block(_)
            | I::Loop(_)
            | I::If(_)
            | I::Call(_)
            | I::CallRef(_)
            | I::CallIndirect { .. }
            | I::ReturnCall(_)
            | I::ReturnCallRef(_)
            | I::ReturnCallIndirect { .. }
            | I::Select
            | I::TypedSelect(_)
            | I::LocalGet(_)
            | I::LocalSet(_)
            | I::LocalTee(_)
            | I::StructNew(_)
            | I::StructNewDefault(_)
            | I::StructGet { .. }
            | I::StructGetS { .. }
            | I::StructGetU { .. }
            | I::StructSet { .. }
            | I::ArrayNew(_)
            | I::ArrayNewDefault(_)
            | I::ArrayNewFixed { .. }
            | I::ArrayGet(_)
            | I::ArrayGetS(_)
            | I::ArrayGetU(_)
            | I::RefTestNonNull(_)
            | I::RefTestNullable(_)
            | I::RefCastNonNull(_)
            | I::RefCastNullable(_)
            | I::Try(_)
            | I::Catch(_)
            | I::CatchAll
            | I::Rethrow(_)
            | I::Delegate(_)
    )
}

/// The same kind of instruction with another immediate, or another form of it.
pub(super) fn other_immediate<'a>(
    m: &mut Mutator<'_, '_, '_>,
    instruction: Instruction<'a>,
) -> Instruction<'a> {
    use Instruction as I;
    let small = m.choices.below(SMALL) as u32;
    let swap = m.choices.chance(1, 2);
    match instruction {
        I::Br(label) => I::Br(near(label, small)),
        I::BrIf(label) if swap => I::BrIf(near(label, small)),
        I::BrIf(label) => I::Br(label),
        I::BrTable(labels, default) => {
            let (mut labels, mut default) = (labels.into_owned(), default);
            match m.choices.below(4) {
                0 => default = near(default, small),
                1 if !labels.is_empty() => {
                    let at = m.choices.below(labels.len());
                    labels[at] = near(labels[at], small);
                }
                2 if !labels.is_empty() => {
                    let at = m.choices.below(labels.len());
                    std::mem::swap(&mut labels[at], &mut default);
                }
                _ => m.edit(&mut labels, small),
            }
            I::BrTable(Cow::Owned(labels), default)
        }
        I::BrOnNull(label) => {
            if swap {
                I::BrOnNonNull(label)
            } else {
                I::BrOnNull(near(label, small))
            }
        }
        I::BrOnNonNull(label) => {
            if swap {
                I::BrOnNull(label)
            } else {
                I::BrOnNonNull(near(label, small))
            }
        }
        I::BrOnCast { relative_depth, from_ref_type, to_ref_type } => match m.choices.below(4) {
            0 => I::BrOnCast { relative_depth, from_ref_type: to_ref_type, to_ref_type: from_ref_type },
            1 => I::BrOnCastFail { relative_depth, from_ref_type, to_ref_type },
            2 => {
                let to_ref_type = m.near_ref_type(to_ref_type);
                I::BrOnCast { relative_depth, from_ref_type, to_ref_type }
            }
            _ => I::BrOnCast { relative_depth: near(relative_depth, small), from_ref_type, to_ref_type },
        },
        I::BrOnCastFail { relative_depth, from_ref_type, to_ref_type } => match m.choices.below(4) {
            0 => I::BrOnCastFail { relative_depth, from_ref_type: to_ref_type, to_ref_type: from_ref_type },
            1 => I::BrOnCast { relative_depth, from_ref_type, to_ref_type },
            2 => {
                let to_ref_type = m.near_ref_type(to_ref_type);
                I::BrOnCastFail { relative_depth, from_ref_type, to_ref_type }
            }
            _ => I::BrOnCastFail { relative_depth: near(relative_depth, small), from_ref_type, to_ref_type },
        },
        I::TryTable(ty, catches) => {
            let mut catches = catches.into_owned();
            if let Some(catch) = catches.pop() {
                catches.push(match catch {
                    Catch::One { tag, label } if swap => Catch::OneRef { tag, label },
                    Catch::One { tag, label } => Catch::One { tag, label: near(label, small) },
                    Catch::OneRef { tag, label } if swap => Catch::One { tag, label },
                    Catch::OneRef { tag, label } => Catch::OneRef { tag, label: near(label, small) },
                    Catch::All { label } if swap => Catch::AllRef { label },
                    Catch::All { label } => Catch::All { label: near(label, small) },
                    Catch::AllRef { label } if swap => Catch::All { label },
                    Catch::AllRef { label } => Catch::AllRef { label: near(label, small) },
                });
            }
            I::TryTable(ty, Cow::Owned(catches))
        }
        I::Block(ty) => {
            if swap {
                I::Loop(ty)
            } else {
                I::Block(block_type(m))
            }
        }
        I::Loop(ty) => {
            if swap {
                I::Block(ty)
            } else {
                I::Loop(block_type(m))
            }
        }
        I::If(ty) => {
            if swap {
                I::Block(ty)
            } else {
                I::If(block_type(m))
            }
        }
        I::Call(function) => I::ReturnCall(function),
        I::ReturnCall(function) => I::Call(function),
        I::CallRef(ty) => I::ReturnCallRef(ty),
        I::ReturnCallRef(ty) => I::CallRef(ty),
        I::CallIndirect { type_index, table_index } => I::ReturnCallIndirect { type_index, table_index },
        I::ReturnCallIndirect { type_index, table_index } => I::CallIndirect { type_index, table_index },
        I::Select => I::TypedSelect(m.any_value_type()),
        I::TypedSelect(ValType::Ref(_)) if swap => I::Select,
        I::TypedSelect(ty) if swap => I::TypedSelectMulti(Cow::Owned(vec![ty, ty])),
        I::TypedSelect(ty) => I::TypedSelect(m.near_value_type(ty)),
        I::LocalGet(local) => {
            if swap {
                I::LocalGet(near(local, small))
            } else {
                I::LocalTee(local)
            }
        }
        I::LocalSet(local) => {
            if swap {
                I::LocalSet(near(local, small))
            } else {
                I::LocalTee(local)
            }
        }
        I::LocalTee(local) => {
            if swap {
                I::LocalTee(near(local, small))
            } else {
                I::LocalSet(local)
            }
        }
        I::StructNew(ty) => I::StructNewDefault(ty),
        I::StructNewDefault(ty) => I::StructNew(ty),
        I::StructGet { struct_type_index, field_index } if swap => {
            I::StructGetS { struct_type_index, field_index }
        }
        I::StructGet { struct_type_index, field_index } => {
            I::StructGet { struct_type_index, field_index: near(field_index, small) }
        }
        I::StructGetS { struct_type_index, field_index } if swap => {
            I::StructGetU { struct_type_index, field_index }
        }
        I::StructGetS { struct_type_index, field_index }
        | I::StructGetU { struct_type_index, field_index } => I::StructGet { struct_type_index, field_index },
        I::StructSet { struct_type_index, field_index } => {
            I::StructSet { struct_type_index, field_index: near(field_index, small) }
        }
        I::ArrayNew(ty) => I::ArrayNewDefault(ty),
        I::ArrayNewDefault(ty) => I::ArrayNew(ty),
        I::ArrayNewFixed { array_type_index, array_size } => {
            I::ArrayNewFixed { array_type_index, array_size: near(array_size, small) }
        }
        I::ArrayGet(ty) => I::ArrayGetU(ty),
        I::ArrayGetS(ty) | I::ArrayGetU(ty) => I::ArrayGet(ty),
        I::RefTestNonNull(ty) => I::RefTestNullable(ty),
        I::RefTestNullable(ty) => I::RefTestNonNull(ty),
        I::RefCastNonNull(ty) => I::RefCastNullable(ty),
        I::RefCastNullable(ty) => I::RefCastNonNull(ty),
        I::Try(ty) => match m.choices.below(3) {
            0 => I::Block(ty),
            _ => I::Try(block_type(m)),
        },
        I::Catch(_) if swap => I::CatchAll,
        I::Catch(_) => I::Catch(m.index(m.spaces.tags)),
        I::CatchAll => I::Catch(m.index(m.spaces.tags)),
        I::Rethrow(label) if swap => I::Rethrow(near(label, small)),
        I::Rethrow(label) => I::Br(label),
        I::Delegate(_) if small == 0 => I::End,
        I::Delegate(label) => I::Delegate(near(label, small)),
        // `has_immediate` names no other.
        other => other,
    }
}

/// One more or less, or something else.
fn near(index: u32, other: u32) -> u32 {
    match other {
        0 | 1 => index.wrapping_add(1),
        2 | 3 => index.saturating_sub(1),
        _ => other,
    }
}

/// The access with another alignment or offset.
pub(super) fn other_access(m: &mut Mutator<'_, '_, '_>, arg: MemArg) -> MemArg {
    match m.choices.below(3) {
        0 => MemArg { align: arg.align + 1, ..arg },
        1 => MemArg { offset: m.choices.pick(&[0, u64::from(u32::MAX), 1 << 32, u64::MAX]), ..arg },
        _ => MemArg { align: arg.align.saturating_sub(1), ..arg },
    }
}

/// The lanes that an instruction names.
pub(super) fn lanes<'i>(instruction: &'i mut Instruction<'_>) -> &'i mut [u8] {
    use Instruction as I;
    match instruction {
        I::I8x16Shuffle(lanes) => lanes,
        I::I8x16ExtractLaneS(lane)
        | I::I8x16ExtractLaneU(lane)
        | I::I8x16ReplaceLane(lane)
        | I::I16x8ExtractLaneS(lane)
        | I::I16x8ExtractLaneU(lane)
        | I::I16x8ReplaceLane(lane)
        | I::I32x4ExtractLane(lane)
        | I::I32x4ReplaceLane(lane)
        | I::I64x2ExtractLane(lane)
        | I::I64x2ReplaceLane(lane)
        | I::F32x4ExtractLane(lane)
        | I::F32x4ReplaceLane(lane)
        | I::F64x2ExtractLane(lane)
        | I::F64x2ReplaceLane(lane)
        | I::V128Load8Lane { lane, .. }
        | I::V128Load16Lane { lane, .. }
        | I::V128Load32Lane { lane, .. }
        | I::V128Load64Lane { lane, .. }
        | I::V128Store8Lane { lane, .. }
        | I::V128Store16Lane { lane, .. }
        | I::V128Store32Lane { lane, .. }
        | I::V128Store64Lane { lane, .. } => std::slice::from_mut(lane),
        _ => &mut [],
    }
}

/// Another lane, at or near an edge of the number of lanes as a rule.
pub(super) fn change_lane(m: &mut Mutator<'_, '_, '_>, instruction: &mut Instruction<'_>) {
    let lane = m.choices.pick(&[0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 127, 128, 255]);
    let lanes = lanes(instruction);
    let at = m.choices.below(lanes.len());
    lanes[at] = lane;
}

/// An instruction that needs no operand and pushes one value.
pub(super) fn push(m: &mut Mutator<'_, '_, '_>) -> Instruction<'static> {
    use Instruction as I;
    match m.choices.below(11) {
        0 | 1 => I::I32Const(m.choices.i32()),
        2 => I::I64Const(m.choices.i64()),
        3 => I::F32Const(1.5.into()),
        4 => I::F64Const(1.5.into()),
        5 => I::V128Const(1),
        6 | 7 => I::RefNull(m.any_heap_type()),
        8 => I::RefFunc(m.index(m.spaces.functions)),
        9 => I::GlobalGet(m.index(m.spaces.globals)),
        _ => I::LocalGet(m.choices.below(SMALL) as u32),
    }
}

/// Whether it is like those of [`push`].
pub(super) fn is_push(instruction: &Instruction<'_>) -> bool {
    use Instruction as I;
    matches!(
        instruction,
        I::I32Const(_)
            | I::I64Const(_)
            | I::F32Const(_)
            | I::F64Const(_)
            | I::V128Const(_)
            | I::RefNull(_)
            | I::RefFunc(_)
            | I::GlobalGet(_)
            | I::LocalGet(_)
    )
}
