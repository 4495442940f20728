//! Instructions with operands of the types that they take, and a block around them of what they leave: valid, or but for one type. They
//! take nothing from the place and leave nothing there, so that they fit anywhere.

use wasm_encoder::{
    AbstractHeapType, BlockType, FieldType, HeapType, Instruction, RefType, StorageType, ValType,
};

use super::instructions::other_immediate;
use super::mutate::Mutator;
use super::stack::State;

/// A value of exactly this type.
pub(super) fn make(ty: ValType) -> Vec<Instruction<'static>> {
    use Instruction as I;
    match ty {
        ValType::I32 => vec![I::I32Const(1)],
        ValType::I64 => vec![I::I64Const(1)],
        ValType::F32 => vec![I::F32Const(1.5.into())],
        ValType::F64 => vec![I::F64Const(1.5.into())],
        ValType::V128 => vec![I::V128Const(1)],
        ValType::Ref(RefType { nullable: true, heap_type }) => vec![I::RefNull(heap_type)],
        ValType::Ref(RefType { nullable: false, heap_type }) => {
            vec![I::RefNull(heap_type), I::RefAsNonNull]
        }
    }
}

/// An instruction and its type.
struct Typed {
    takes: Vec<ValType>,
    instruction: Instruction<'static>,
    /// None when what follows it cannot be reached.
    leaves: Option<Vec<ValType>>,
}

/// How often a form of instruction that the module has no types for is replaced.
const TRIES: usize = 6;

/// Some instruction with its operands, in a block of what it leaves.
pub(super) fn typed(m: &mut Mutator<'_, '_, '_>, state: Option<&State>) -> Vec<Instruction<'static>> {
    use Instruction as I;
    let Some(Typed { takes, mut instruction, leaves }) = (0..TRIES).find_map(|_| any(m, state)) else {
        return Vec::new();
    };
    let mut operands: Vec<ValType> =
        takes.iter().map(|ty| if m.choices.chance(1, 2) { *ty } else { m.narrower(*ty) }).collect();
    let mut result = match leaves.as_deref() {
        Some([ty]) => Some(m.wider(*ty)),
        _ => None,
    };
    match (m.choices.below(16), &mut result) {
        (0..=4, _) => {}
        (5..=7, Some(ty)) => *ty = m.near_value_type(*ty),
        (8, _) => {
            if super::instructions::has_immediate(&instruction) {
                instruction = other_immediate(m, instruction);
            }
        }
        (9, _) if operands.len() > 1 => {
            let at = m.choices.below(operands.len() - 1);
            operands.swap(at, at + 1);
        }
        (10, _) => {
            let new = m.any_value_type();
            m.edit(&mut operands, new);
        }
        _ if operands.is_empty() => {}
        _ => {
            let at = m.choices.below(operands.len());
            operands[at] = m.near_value_type(operands[at]);
        }
    }
    let mut new = vec![I::Block(result.map_or(BlockType::Empty, BlockType::Result))];
    operands.iter().for_each(|ty| new.extend(make(*ty)));
    let rest = match instruction {
        I::If(_) => vec![I::Unreachable, I::Else, I::Unreachable, I::End],
        I::Block(_) | I::Loop(_) => vec![I::Unreachable, I::End],
        _ => Vec::new(),
    };
    new.push(instruction);
    new.extend(rest);
    if result.is_none() {
        new.extend(leaves.iter().flatten().map(|_| I::Drop));
    }
    new.push(I::End);
    new.extend(result.map(|_| I::Drop));
    new
}

fn null(ty: u32) -> ValType {
    ValType::Ref(RefType { nullable: true, heap_type: HeapType::Concrete(ty) })
}

fn non_null(ty: u32) -> ValType {
    ValType::Ref(RefType { nullable: false, heap_type: HeapType::Concrete(ty) })
}

fn null_of(ty: AbstractHeapType) -> ValType {
    ValType::Ref(RefType { nullable: true, heap_type: HeapType::Abstract { shared: false, ty } })
}

/// What a field of this type is on the stack.
fn unpacked(ty: StorageType) -> ValType {
    match ty {
        StorageType::I8 | StorageType::I16 => ValType::I32,
        StorageType::Val(ty) => ty,
    }
}

fn any(m: &mut Mutator<'_, '_, '_>, state: Option<&State>) -> Option<Typed> {
    match m.choices.below(9) {
        0 => structs(m),
        1..=3 => arrays(m),
        4 => Some(references(m)),
        5 => calls(m, state),
        6 => tables(m),
        7 => variables(m, state),
        _ => control(m, state),
    }
}

fn plain(takes: Vec<ValType>, instruction: Instruction<'static>, leaves: Vec<ValType>) -> Typed {
    Typed { takes, instruction, leaves: Some(leaves) }
}

fn structs(m: &mut Mutator<'_, '_, '_>) -> Option<Typed> {
    use Instruction as I;
    let struct_type_index = m.struct_type_index();
    let fields = m.spaces.fields(struct_type_index).to_vec();
    let reference = null(struct_type_index);
    let form = m.choices.below(6);
    if form == 0 {
        let takes = fields.iter().map(|field| unpacked(field.element_type)).collect();
        return Some(plain(takes, I::StructNew(struct_type_index), vec![non_null(struct_type_index)]));
    }
    if form == 1 {
        let leaves = vec![non_null(struct_type_index)];
        return Some(plain(Vec::new(), I::StructNewDefault(struct_type_index), leaves));
    }
    let places: Vec<u32> = (0..fields.len() as u32).collect();
    let mutable: Vec<u32> = places.iter().copied().filter(|&at| fields[at as usize].mutable).collect();
    let set = form > 3;
    let from = if set && !mutable.is_empty() && m.choices.chance(7, 8) { &mutable } else { &places };
    if from.is_empty() {
        return None;
    }
    let field_index = m.choices.pick(from);
    let ty = fields[field_index as usize].element_type;
    if set {
        let instruction = I::StructSet { struct_type_index, field_index };
        return Some(plain(vec![reference, unpacked(ty)], instruction, Vec::new()));
    }
    let instruction = match (ty, m.choices.chance(1, 2)) {
        (StorageType::Val(_), _) => I::StructGet { struct_type_index, field_index },
        (_, true) => I::StructGetS { struct_type_index, field_index },
        (_, false) => I::StructGetU { struct_type_index, field_index },
    };
    Some(plain(vec![reference], instruction, vec![unpacked(ty)]))
}

fn arrays(m: &mut Mutator<'_, '_, '_>) -> Option<Typed> {
    use Instruction as I;
    use ValType::I32;
    let ty = m.array_type_index();
    let FieldType { element_type, .. } = *m.spaces.fields(ty).first()?;
    let (element, array, new) = (unpacked(element_type), null(ty), vec![non_null(ty)]);
    Some(match m.choices.below(13) {
        0 => plain(vec![element, I32], I::ArrayNew(ty), new),
        1 => plain(vec![I32], I::ArrayNewDefault(ty), new),
        2 => {
            let array_size = m.choices.below(4) as u32;
            let takes = vec![element; array_size as usize];
            plain(takes, I::ArrayNewFixed { array_type_index: ty, array_size }, new)
        }
        3 if m.spaces.data_count => {
            let array_data_index = m.index(m.spaces.data);
            plain(vec![I32, I32], I::ArrayNewData { array_type_index: ty, array_data_index }, new)
        }
        4 => {
            let array_elem_index = m.index(m.spaces.elements);
            plain(vec![I32, I32], I::ArrayNewElem { array_type_index: ty, array_elem_index }, new)
        }
        5 => {
            let instruction = match (element_type, m.choices.chance(1, 2)) {
                (StorageType::Val(_), _) => I::ArrayGet(ty),
                (_, true) => I::ArrayGetS(ty),
                (_, false) => I::ArrayGetU(ty),
            };
            plain(vec![array, I32], instruction, vec![element])
        }
        6 => plain(vec![array, I32, element], I::ArraySet(ty), Vec::new()),
        7 => plain(vec![null_of(AbstractHeapType::Array)], I::ArrayLen, vec![I32]),
        8 => plain(vec![array, I32, element, I32], I::ArrayFill(ty), Vec::new()),
        9 | 10 => {
            let source = m.array_type_index();
            let takes = vec![array, I32, null(source), I32, I32];
            let copy = I::ArrayCopy { array_type_index_dst: ty, array_type_index_src: source };
            plain(takes, copy, Vec::new())
        }
        11 if m.spaces.data_count => {
            let array_data_index = m.index(m.spaces.data);
            let init = I::ArrayInitData { array_type_index: ty, array_data_index };
            plain(vec![array, I32, I32, I32], init, Vec::new())
        }
        _ => {
            let array_elem_index = m.index(m.spaces.elements);
            let init = I::ArrayInitElem { array_type_index: ty, array_elem_index };
            plain(vec![array, I32, I32, I32], init, Vec::new())
        }
    })
}

fn references(m: &mut Mutator<'_, '_, '_>) -> Typed {
    use AbstractHeapType as A;
    use Instruction as I;
    use ValType::I32;
    let ty = m.any_ref_type();
    let wide = ValType::Ref(m.wider_ref(RefType { nullable: true, ..ty }));
    let i31 = ValType::Ref(RefType { nullable: false, heap_type: HeapType::I31 });
    match m.choices.below(12) {
        0 => {
            plain(Vec::new(), I::RefNull(ty.heap_type), vec![ValType::Ref(RefType { nullable: true, ..ty })])
        }
        1 => plain(vec![ValType::Ref(ty)], I::RefIsNull, vec![I32]),
        2 => {
            let non_null = ValType::Ref(RefType { nullable: false, ..ty });
            plain(vec![ValType::Ref(ty)], I::RefAsNonNull, vec![non_null])
        }
        3 => plain(vec![null_of(A::Eq); 2], I::RefEq, vec![I32]),
        4 | 5 => {
            let test = if ty.nullable { I::RefTestNullable } else { I::RefTestNonNull };
            plain(vec![wide], test(ty.heap_type), vec![I32])
        }
        6 | 7 => {
            let cast = if ty.nullable { I::RefCastNullable } else { I::RefCastNonNull };
            plain(vec![wide], cast(ty.heap_type), vec![ValType::Ref(ty)])
        }
        8 => plain(vec![I32], I::RefI31, vec![i31]),
        9 => plain(vec![null_of(A::I31)], I::I31GetS, vec![I32]),
        10 => {
            let nullable = m.choices.chance(1, 2);
            let of =
                |ty| ValType::Ref(RefType { nullable, heap_type: HeapType::Abstract { shared: false, ty } });
            plain(vec![of(A::Any)], I::ExternConvertAny, vec![of(A::Extern)])
        }
        _ => {
            let nullable = m.choices.chance(1, 2);
            let of =
                |ty| ValType::Ref(RefType { nullable, heap_type: HeapType::Abstract { shared: false, ty } });
            plain(vec![of(A::Extern)], I::AnyConvertExtern, vec![of(A::Any)])
        }
    }
}

/// Calls; tail calls of functions that return what the function around returns as a rule, where that is known.
fn calls(m: &mut Mutator<'_, '_, '_>, state: Option<&State>) -> Option<Typed> {
    use Instruction as I;
    let returned = state.and_then(|state| state.labels.last());
    let tail = returned.is_some() && m.choices.chance(1, 3);
    let suits = |m: &Mutator<'_, '_, '_>, ty: u32| {
        !tail || m.spaces.func(ty).map(wasm_encoder::FuncType::results) == returned.map(Vec::as_slice)
    };
    if m.choices.chance(1, 3) {
        let functions =
            (0..m.spaces.function_types.len()).filter(|&at| suits(m, m.spaces.function_types[at]));
        let functions: Vec<u32> = functions.map(|at| at as u32).collect();
        let function =
            if functions.is_empty() { m.index(m.spaces.functions) } else { m.choices.pick(&functions) };
        let ty = m.spaces.function(function)?;
        let (takes, leaves) = (ty.params().to_vec(), ty.results().to_vec());
        return Some(if tail {
            Typed { takes, instruction: I::ReturnCall(function), leaves: None }
        } else {
            plain(takes, I::Call(function), leaves)
        });
    }
    let types: Vec<u32> = m.spaces.kinds[0].iter().copied().filter(|ty| suits(m, *ty)).collect();
    let type_index = if types.is_empty() { m.func_type_index() } else { m.choices.pick(&types) };
    let ty = m.spaces.func(type_index)?;
    let (mut takes, leaves) = (ty.params().to_vec(), ty.results().to_vec());
    let by_reference = m.choices.chance(1, 2);
    let table_index = m.index(m.spaces.tables);
    takes.push(if by_reference { null(type_index) } else { address(m, table_index)? });
    Some(match (by_reference, tail) {
        (true, false) => plain(takes, I::CallRef(type_index), leaves),
        (false, false) => plain(takes, I::CallIndirect { type_index, table_index }, leaves),
        (true, true) => Typed { takes, instruction: I::ReturnCallRef(type_index), leaves: None },
        (false, true) => {
            Typed { takes, instruction: I::ReturnCallIndirect { type_index, table_index }, leaves: None }
        }
    })
}

/// The type of a table's indices.
fn address(m: &Mutator<'_, '_, '_>, table: u32) -> Option<ValType> {
    let ty = m.spaces.table_types.get(table as usize)?;
    Some(if ty.table64 { ValType::I64 } else { ValType::I32 })
}

fn tables(m: &mut Mutator<'_, '_, '_>) -> Option<Typed> {
    use Instruction as I;
    use ValType::{I32, I64};
    let table = m.index(m.spaces.tables);
    let address_type = address(m, table)?;
    let element = ValType::Ref(m.spaces.table_types.get(table as usize)?.element_type);
    Some(match m.choices.below(8) {
        0 => plain(vec![address_type], I::TableGet(table), vec![element]),
        1 => plain(vec![address_type, element], I::TableSet(table), Vec::new()),
        2 => plain(Vec::new(), I::TableSize(table), vec![address_type]),
        3 => plain(vec![element, address_type], I::TableGrow(table), vec![address_type]),
        4 => plain(vec![address_type, element, address_type], I::TableFill(table), Vec::new()),
        5 | 6 => {
            let source = m.index(m.spaces.tables);
            let source_address = address(m, source)?;
            let length = if (address_type, source_address) == (I64, I64) { I64 } else { I32 };
            let copy = I::TableCopy { src_table: source, dst_table: table };
            plain(vec![address_type, source_address, length], copy, Vec::new())
        }
        _ => {
            let elem_index = m.index(m.spaces.elements);
            plain(vec![address_type, I32, I32], I::TableInit { elem_index, table }, Vec::new())
        }
    })
}

fn variables(m: &mut Mutator<'_, '_, '_>, state: Option<&State>) -> Option<Typed> {
    use Instruction as I;
    let locals = state.map_or(&[][..], |state| &state.locals);
    if locals.is_empty() || m.choices.chance(1, 2) {
        let global = m.index(m.spaces.globals);
        let ty = m.spaces.global_types.get(global as usize)?;
        let value = ty.val_type;
        let set = ty.mutable && m.choices.chance(2, 3);
        return Some(if set {
            plain(vec![value], I::GlobalSet(global), Vec::new())
        } else {
            plain(Vec::new(), I::GlobalGet(global), vec![value])
        });
    }
    let at = m.choices.below(locals.len());
    let (local, ty) = (at as u32, locals[at]);
    Some(match m.choices.below(3) {
        0 => plain(Vec::new(), I::LocalGet(local), vec![ty]),
        1 => plain(vec![ty], I::LocalSet(local), Vec::new()),
        // What it leaves is of the local's type, not the operand's.
        _ => plain(vec![ty], I::LocalTee(local), vec![ty]),
    })
}

fn control(m: &mut Mutator<'_, '_, '_>, state: Option<&State>) -> Option<Typed> {
    use Instruction as I;
    use ValType::I32;
    Some(match m.choices.below(12) {
        0 | 1 => {
            let tag = m.index(m.spaces.tags);
            let ty = m.spaces.func(*m.spaces.tag_types.get(tag as usize)?)?;
            Typed { takes: ty.params().to_vec(), instruction: I::Throw(tag), leaves: None }
        }
        2 => Typed { takes: vec![null_of(AbstractHeapType::Exn)], instruction: I::ThrowRef, leaves: None },
        3 => Typed { takes: state?.labels.last()?.clone(), instruction: I::Return, leaves: None },
        4..=6 => {
            let ty = m.any_value_type();
            plain(vec![ty, ty, I32], I::Select, vec![ty])
        }
        7 | 8 => {
            let ty = m.any_value_type();
            plain(vec![ty, ty, I32], I::TypedSelect(ty), vec![ty])
        }
        form => {
            let index = m.func_type_index();
            let ty = m.spaces.func(index)?;
            let (mut takes, leaves) = (ty.params().to_vec(), ty.results().to_vec());
            let block_type = BlockType::FunctionType(index);
            let instruction = match form {
                9 => I::Block(block_type),
                10 => I::Loop(block_type),
                _ => {
                    takes.push(I32);
                    I::If(block_type)
                }
            };
            plain(takes, instruction, leaves)
        }
    })
}
