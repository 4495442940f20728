//! What the mutations change in a body as a list of instructions.

use wasm_encoder::{BlockType, Instruction, RefType, ValType};
use wasmparser::FunctionBody;

use super::instructions::{self, SMALL, any, block_type, is_push, push, try_table};
use super::mutate::Mutator;
use super::stack::{self, State};
use super::typed::{make, typed};
use super::{Kind, branches, locals};

/// A function as the mutations see it.
pub(super) struct Body<'a> {
    /// The body in the module at hand. Until something is changed it has the same instructions, one for one.
    pub(super) source: FunctionBody<'a>,
    /// How many parameters the function has.
    pub(super) params: u32,
    /// Groups of locals.
    pub(super) locals: Vec<(u32, ValType)>,
    /// The last one is the final `end`.
    pub(super) instructions: Vec<Instruction<'a>>,
}

/// Counts the sites of a body and changes the one that is to be changed.
pub(super) fn change(m: &mut Mutator<'_, '_, '_>, body: &mut Body<'_>) {
    if body.instructions.is_empty() {
        return;
    }
    if m.at(Kind::Order) {
        let new = any(m);
        m.edit(&mut body.instructions, new);
    }
    if m.at(Kind::Wrap) {
        wrap(m, &mut body.instructions);
    }
    if m.at(Kind::Unreachable) {
        unreachable(m, &mut body.instructions);
    }
    if m.at(Kind::Premise) {
        premise(m, &mut body.instructions);
    }
    if m.at(Kind::Typed) {
        insert(m, body, typed);
    }
    if m.at(Kind::Branch) {
        insert(m, body, branches::branch);
    }
    if m.at(Kind::Initialization) {
        initialization(m, body);
    }
    let (mut before, mut anew) = (None, None);
    for (index, instruction) in body.instructions.iter().enumerate() {
        let place = m.section.instruction(instruction);
        if m.at_place(Kind::Operand, place) {
            before = Some(index);
        }
        if m.at_place(Kind::Operands, place) {
            anew = Some(index);
        }
    }
    if let Some(index) = before {
        operand(m, &mut body.instructions, index);
    }
    if let Some(index) = anew {
        operands(m, body, index);
    }
}

/// The types before an instruction of a body of which nothing has been changed.
fn state(m: &Mutator<'_, '_, '_>, body: &Body<'_>, index: usize) -> Option<State> {
    stack::before(index, m.module, &body.source, &m.spaces, m.legacy)
}

/// Puts a sequence that takes nothing and leaves nothing somewhere.
fn insert(
    m: &mut Mutator<'_, '_, '_>,
    body: &mut Body<'_>,
    make: fn(&mut Mutator<'_, '_, '_>, Option<&State>) -> Vec<Instruction<'static>>,
) {
    let at = m.choices.below(body.instructions.len());
    let state = state(m, body, at);
    let new = make(m, state.as_ref());
    body.instructions.splice(at..at, new);
}

/// Sets and reads a local somewhere: a new one without a default value as a rule.
fn initialization(m: &mut Mutator<'_, '_, '_>, body: &mut Body<'_>) {
    let declared = body.locals.iter().fold(body.params, |sum, (count, _)| sum.saturating_add(*count));
    let nullable = m.choices.chance(1, 8);
    let ty = ValType::Ref(RefType { nullable, ..m.any_ref_type() });
    body.locals.push((1, ty));
    let at = m.choices.below(body.instructions.len());
    let new = locals::uses_of(m, declared, ty);
    body.instructions.splice(at..at, new);
}

/// Makes the last operands before an instruction anew, with the types that they have, but for one or for two that are swapped. Where
/// the types are not known, [`operand`].
fn operands(m: &mut Mutator<'_, '_, '_>, body: &mut Body<'_>, index: usize) {
    let known = state(m, body, index).map(|state| state.operands).unwrap_or_default();
    let most = known.len().min(4);
    if most == 0 {
        return operand(m, &mut body.instructions, index);
    }
    let count = m.choices.weighted(&[(4, 1), (3, 2), (2, 3), (1, 4)]).min(most);
    let types = known[known.len() - count..].iter();
    let mut types: Vec<ValType> = types.map(|ty| ty.unwrap_or_else(|| m.any_value_type())).collect();
    match m.choices.below(8) {
        0 if count > 1 => types.swap(0, 1),
        1 | 2 => types[0] = m.narrower(types[0]),
        _ => types[0] = m.near_value_type(types[0]),
    }
    let mut new = vec![Instruction::Drop; count];
    types.iter().for_each(|ty| new.extend(make(*ty)));
    body.instructions.splice(index..index, new);
}

/// Puts `unreachable` somewhere, and edits what follows.
fn unreachable(m: &mut Mutator<'_, '_, '_>, body: &mut Vec<Instruction<'_>>) {
    let at = m.choices.below(body.len());
    let mut rest = body.split_off(at);
    body.push(Instruction::Unreachable);
    // The final `end` stays, else the body is not even well formed.
    let end = rest.pop();
    for _ in 0..=m.choices.below(3) {
        let new = any(m);
        m.edit(&mut rest, new);
    }
    body.append(&mut rest);
    body.extend(end);
}

/// Changes what an instruction takes: its last operand, one before it, or their number.
fn operand(m: &mut Mutator<'_, '_, '_>, body: &mut Vec<Instruction<'_>>, index: usize) {
    let pushes: Vec<usize> = (0..index).rev().filter(|&at| is_push(&body[at])).take(4).collect();
    match m.choices.below(5) {
        0 => {
            let new = push(m);
            body.splice(index..index, [Instruction::Drop, new]);
        }
        1 => {
            let new = push(m);
            body.insert(index, new);
        }
        2 if pushes.len() > 1 => body.swap(pushes[0], pushes[1]),
        _ if pushes.is_empty() => body.insert(index, Instruction::Drop),
        _ => {
            let at = m.choices.pick(&pushes);
            body[at] = push(m);
        }
    }
}

/// Puts an instruction into a block of its own that takes nothing and leaves nothing, in code that is not reached: there is
/// whatever operands it needs, below those that are put in. So it is valid as a rule if its premises are.
fn premise(m: &mut Mutator<'_, '_, '_>, body: &mut Vec<Instruction<'_>>) {
    use Instruction as I;
    let at = m.choices.below(body.len());
    let result = m.choices.chance(1, 3).then(|| m.any_value_type());
    let mut new = vec![I::Block(result.map_or(BlockType::Empty, BlockType::Result)), I::Unreachable];
    for _ in 0..m.choices.weighted(&[(4, 0), (2, 1), (1, 2), (1, 3)]) {
        new.push(push(m));
    }
    // Many take an i32 last: a condition, an index, a length.
    if m.choices.chance(1, 3) {
        new.push(I::I32Const(1));
    }
    match alone(m, body) {
        block @ (I::Block(_) | I::Loop(_) | I::If(_) | I::TryTable(..)) => {
            new.extend([block, I::Unreachable, I::End]);
        }
        block @ I::Try(_) => {
            let tag = m.index(m.spaces.tags);
            let rethrow = I::Rethrow(m.choices.below(3) as u32);
            new.extend([block, I::Unreachable, I::Catch(tag), rethrow, I::End]);
        }
        // The rest of a block that is not there.
        I::Else | I::End | I::Catch(_) | I::CatchAll | I::Delegate(_) => {}
        instruction => new.push(instruction),
    }
    new.extend([I::Unreachable, I::End]);
    new.extend(result.map(|_| I::Drop));
    body.splice(at..at, new);
}

/// Any instruction, or one of the body with another immediate.
fn alone<'a>(m: &mut Mutator<'_, '_, '_>, body: &[Instruction<'a>]) -> Instruction<'a> {
    let at = m.choices.below(body.len());
    if m.choices.chance(1, 3) && instructions::has_immediate(&body[at]) {
        return instructions::other_immediate(m, body[at].clone());
    }
    any(m)
}

/// Puts a block of some kind around a few instructions of a body that are balanced.
fn wrap(m: &mut Mutator<'_, '_, '_>, body: &mut Vec<Instruction<'_>>) {
    use Instruction as I;
    let start = m.choices.below(body.len());
    let mut end = start;
    let (mut depth, mut last) = (0i32, m.choices.below(12));
    while let Some(instruction) = body.get(end) {
        match instruction {
            I::Block(_) | I::Loop(_) | I::If(_) | I::TryTable(..) | I::Try(_) => depth += 1,
            I::Else | I::Catch(_) | I::CatchAll if depth == 0 => break,
            I::End | I::Delegate(_) if depth == 0 => break,
            I::End | I::Delegate(_) => depth -= 1,
            _ => {}
        }
        end += 1;
        if depth == 0 && last == 0 {
            break;
        }
        last = last.saturating_sub(1);
    }
    let ty = block_type(m);
    let mut tail = vec![I::End];
    let head = match m.choices.below(if m.legacy { 8 } else { 5 }) {
        0 => I::Block(ty),
        1 => I::Loop(ty),
        2 => I::If(ty),
        3 | 4 => try_table(m),
        _ => {
            tail = match m.choices.below(3) {
                0 => vec![I::Delegate(m.choices.below(SMALL) as u32)],
                1 => vec![
                    I::Catch(m.index(m.spaces.tags)),
                    any(m),
                    I::Rethrow(m.choices.below(3) as u32),
                    I::End,
                ],
                _ => vec![I::Catch(m.index(m.spaces.tags)), I::CatchAll, any(m), I::End],
            };
            I::Try(ty)
        }
    };
    body.splice(end..end, tail);
    body.insert(start, head);
}
