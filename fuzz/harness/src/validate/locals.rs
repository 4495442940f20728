//! Locals that are set here and read there: whether one is set where it is read is all that can be wrong (spec: Validation /
//! Instructions, instruction sequences).

use std::borrow::Cow;

use wasm_encoder::{BlockType, Catch, Instruction, ValType};

use super::mutate::Mutator;
use super::typed::make;

/// How deep the blocks lie in one another.
const DEPTH: usize = 3;

/// Sets and reads `local`, of type `ty`, in blocks and between them.
pub(super) fn uses_of(m: &mut Mutator<'_, '_, '_>, local: u32, ty: ValType) -> Vec<Instruction<'static>> {
    let mut new = Vec::new();
    uses(m, local, ty, DEPTH, &mut new);
    new
}

fn uses(
    m: &mut Mutator<'_, '_, '_>,
    local: u32,
    ty: ValType,
    depth: usize,
    new: &mut Vec<Instruction<'static>>,
) {
    use Instruction as I;
    let part = |m: &mut Mutator<'_, '_, '_>, new: &mut Vec<Instruction<'static>>| {
        uses(m, local, ty, depth - 1, new);
    };
    for _ in 0..m.choices.range(1, 3) {
        match m.choices.below(if depth == 0 { 7 } else { 14 }) {
            0 | 1 => {
                new.extend(make(ty));
                new.push(I::LocalSet(local));
            }
            2 => {
                new.extend(make(ty));
                new.extend([I::LocalTee(local), I::Drop]);
            }
            3..=5 => new.extend([I::LocalGet(local), I::Drop]),
            // Out of a block of these.
            6 if depth < DEPTH && m.choices.chance(1, 3) => new.push(I::Br(0)),
            6 if depth < DEPTH => new.extend([I::I32Const(0), I::BrIf(0)]),
            7..=9 => {
                new.extend([I::I32Const(0), I::If(BlockType::Empty)]);
                part(m, new);
                if m.choices.chance(4, 5) {
                    new.push(I::Else);
                    part(m, new);
                }
                new.push(I::End);
            }
            10 if m.legacy => {
                new.push(I::Try(BlockType::Empty));
                part(m, new);
                let tag = m.index(m.spaces.tags);
                let params = m.spaces.tag_types.get(tag as usize).and_then(|ty| m.spaces.func(*ty));
                if let Some(params) = params.map(|ty| ty.params().len())
                    && m.choices.chance(1, 2)
                {
                    new.push(I::Catch(tag));
                    new.extend(vec![I::Drop; params]);
                    part(m, new);
                }
                if m.choices.chance(1, 4) {
                    new.push(I::Delegate(0));
                } else {
                    new.push(I::CatchAll);
                    part(m, new);
                    new.push(I::End);
                }
            }
            11 => {
                new.push(I::Loop(BlockType::Empty));
                part(m, new);
                new.push(I::End);
            }
            12 => {
                // Its handler is behind it.
                new.extend([
                    I::Block(BlockType::Empty),
                    I::TryTable(BlockType::Empty, Cow::Owned(vec![Catch::All { label: 0 }])),
                ]);
                part(m, new);
                new.push(I::End);
                uses(m, local, ty, 0, new);
                new.push(I::End);
            }
            _ if depth > 0 => {
                new.push(I::Block(BlockType::Empty));
                part(m, new);
                new.push(I::End);
            }
            _ => new.push(I::Nop),
        }
    }
}
