//! Branches among labels whose types are related: sequences that take nothing and leave nothing, right but for one type at most.

use std::borrow::Cow;

use wasm_encoder::{BlockType, Catch, HeapType, Instruction, RefType, ValType};

use super::mutate::Mutator;
use super::stack::State;
use super::typed::make;

/// A block and what a branch to it takes.
struct Label {
    opens: Instruction<'static>,
    /// What the block takes.
    params: Vec<ValType>,
    /// What a branch to it takes.
    takes: Vec<ValType>,
    /// What it leaves.
    leaves: usize,
}

/// The branch: what comes before it and takes from the operands that suit the labels, and itself.
struct Branch {
    /// What lies on the stack where it is, the condition and the index left out.
    operands: Vec<ValType>,
    /// Its instructions.
    code: Vec<Instruction<'static>>,
    /// Whether what follows can be reached.
    goes_on: bool,
}

/// Blocks in one another, and in the innermost one a branch to some of them, or handlers that go there. The labels of the place itself
/// are among those to branch to where they are known.
pub(super) fn branch(m: &mut Mutator<'_, '_, '_>, state: Option<&State>) -> Vec<Instruction<'static>> {
    let (base, outer, clauses) = base(m, state);
    let mut labels: Vec<Label> = (0..m.choices.range(1, 4)).map(|_| label(m, &base)).collect();
    if m.choices.chance(1, 3) {
        let at = m.choices.below(labels.len());
        vary(m, &mut labels[at]);
    }
    // Indices from within the innermost block.
    let mut targets: Vec<u32> = (0..labels.len() as u32).collect();
    targets.extend(outer.map(|outer| outer + labels.len() as u32));
    if m.choices.chance(1, 24) {
        targets.push(labels.len() as u32);
    }
    let mut branch = match clauses {
        Some(clauses) => handlers(m, &clauses, &targets),
        None => branch_among(m, &base, &targets),
    };
    if !branch.operands.is_empty() && m.choices.chance(1, 4) {
        let at = m.choices.below(branch.operands.len());
        branch.operands[at] = m.near_value_type(branch.operands[at]);
    }
    let mut new = Vec::new();
    for label in &labels {
        label.params.iter().for_each(|ty| new.extend(make(*ty)));
        new.push(label.opens.clone());
    }
    branch.operands.iter().for_each(|ty| new.extend(make(*ty)));
    new.append(&mut branch.code);
    // What a conditional branch leaves may be what the innermost block leaves.
    let mut reached = branch.goes_on && m.choices.chance(1, 2);
    for _ in &labels {
        if !reached {
            new.push(Instruction::Unreachable);
        }
        reached = false;
        new.push(Instruction::End);
    }
    new.extend(labels.first().into_iter().flat_map(|label| vec![Instruction::Drop; label.leaves]));
    new
}

/// Types that the labels are to take, as a rule one reference; a label of the place itself that takes them; and the clauses of handlers
/// that give them, or none for a branch.
fn base(
    m: &mut Mutator<'_, '_, '_>,
    state: Option<&State>,
) -> (Vec<ValType>, Option<u32>, Option<Vec<Clause>>) {
    match m.choices.below(16) {
        0 => return (Vec::new(), None, None),
        1 | 2 => {
            let clauses = clauses(m);
            return (clauses.0, None, Some(clauses.1));
        }
        3 | 4 if !m.spaces.kinds[0].is_empty() => {
            let ty = m.func_type_index();
            if let Some(ty) = m.spaces.func(ty) {
                let side = if ty.results().is_empty() { ty.params() } else { ty.results() };
                return (side.to_vec(), None, None);
            }
        }
        5..=7 => {
            if let Some(state) = state {
                let at = m.choices.below(state.labels.len());
                let types = state.labels[at].iter().map(|ty| m.narrower(*ty)).collect();
                return (types, Some(at as u32), None);
            }
        }
        8 => return (vec![m.any_value_type()], None, None),
        _ => {}
    }
    (vec![ValType::Ref(m.any_ref_type())], None, None)
}

/// A block to which a branch takes `types`, or wider ones.
fn label(m: &mut Mutator<'_, '_, '_>, types: &[ValType]) -> Label {
    let looped = m.choices.chance(1, 6);
    let of = |ty: BlockType| if looped { Instruction::Loop(ty) } else { Instruction::Block(ty) };
    // What takes several values has a function's type.
    if types.len() > 1 || m.choices.chance(1, 8) {
        let takes = |m: &Mutator<'_, '_, '_>, index: &u32| {
            let ty = m.spaces.func(*index)?;
            Some(if looped { ty.params().to_vec() } else { ty.results().to_vec() })
        };
        let kinds = m.spaces.kinds[0].iter();
        let same: Vec<u32> =
            kinds.clone().copied().filter(|i| takes(m, i).as_deref() == Some(types)).collect();
        let long = |ty: Vec<ValType>| ty.len() == types.len();
        let others: Vec<u32> = kinds.copied().filter(|i| takes(m, i).is_some_and(long)).collect();
        let from = if same.is_empty() || m.choices.chance(1, 4) { others } else { same };
        if !from.is_empty() {
            let index = m.choices.pick(&from);
            let (params, takes) = (
                m.spaces.func(index).map(|ty| ty.params().to_vec()).unwrap_or_default(),
                takes(m, &index).unwrap_or_default(),
            );
            let leaves = m.spaces.func(index).map_or(0, |ty| ty.results().len());
            return Label { opens: of(BlockType::FunctionType(index)), params, takes, leaves };
        }
    }
    match types {
        [ty] if !looped => {
            let ty = m.wider(*ty);
            let opens = Instruction::Block(BlockType::Result(ty));
            Label { opens, params: Vec::new(), takes: vec![ty], leaves: 1 }
        }
        _ => Label { opens: of(BlockType::Empty), params: Vec::new(), takes: Vec::new(), leaves: 0 },
    }
}

/// Makes the result of a block another one.
fn vary(m: &mut Mutator<'_, '_, '_>, label: &mut Label) {
    if let (Instruction::Block(BlockType::Result(_)), [ty]) = (&label.opens, label.takes.as_slice()) {
        let ty = m.near_value_type(*ty);
        label.opens = Instruction::Block(BlockType::Result(ty));
        label.takes = vec![ty];
    }
}

/// An instruction that branches to some of `targets`, each of which takes `types` or wider ones.
fn branch_among(m: &mut Mutator<'_, '_, '_>, types: &[ValType], targets: &[u32]) -> Branch {
    use Instruction as I;
    let target = m.choices.pick(targets);
    let operands: Vec<ValType> = types.iter().map(|ty| m.narrower(*ty)).collect();
    let plain = |operands, code, goes_on| Branch { operands, code, goes_on };
    let references = match types.last() {
        Some(ValType::Ref(ty)) => Some(*ty),
        _ => None,
    };
    match (m.choices.below(12), references) {
        (0, _) => plain(operands, vec![I::Br(target)], false),
        (1 | 2, _) => plain(operands, vec![I::I32Const(1), I::BrIf(target)], true),
        (3, _) => {
            let mut operands = operands;
            operands.push(ValType::Ref(m.any_ref_type()));
            plain(operands, vec![I::BrOnNull(target), I::Drop], true)
        }
        (4, Some(ty)) => {
            let ty = m.narrower_ref(ty);
            let operand = RefType { nullable: m.choices.chance(3, 4), ..ty };
            plain(with_last(operands, operand), vec![I::BrOnNonNull(target)], true)
        }
        (5 | 6, Some(ty)) => {
            let to_ref_type = m.narrower_ref(ty);
            let from_ref_type = m.wider_ref(to_ref_type);
            let (from_ref_type, to_ref_type) = other_cast(m, from_ref_type, to_ref_type);
            let operand = m.narrower_ref(from_ref_type);
            let cast = I::BrOnCast { relative_depth: target, from_ref_type, to_ref_type };
            plain(with_last(operands, operand), vec![cast], true)
        }
        (7 | 8, Some(ty)) => {
            let from_ref_type = m.narrower_ref(ty);
            let to_ref_type = m.narrower_ref(from_ref_type);
            let (from_ref_type, to_ref_type) = other_cast(m, from_ref_type, to_ref_type);
            let operand = m.narrower_ref(from_ref_type);
            let cast = I::BrOnCastFail { relative_depth: target, from_ref_type, to_ref_type };
            plain(with_last(operands, operand), vec![cast], true)
        }
        _ => {
            let listed: Vec<u32> = (0..m.choices.range(1, 4)).map(|_| m.choices.pick(targets)).collect();
            let code = vec![I::I32Const(1), I::BrTable(Cow::Owned(listed), target)];
            plain(operands, code, false)
        }
    }
}

fn with_last(mut operands: Vec<ValType>, last: RefType) -> Vec<ValType> {
    operands.pop();
    operands.push(ValType::Ref(last));
    operands
}

/// A cast's source and target, one of them changed at times.
fn other_cast(m: &mut Mutator<'_, '_, '_>, from: RefType, to: RefType) -> (RefType, RefType) {
    match m.choices.below(8) {
        0 => (m.near_ref_type(from), to),
        1 => (from, m.near_ref_type(to)),
        _ => (from, to),
    }
}

/// A clause without its label.
#[derive(Clone, Copy)]
enum Clause {
    One(u32),
    OneRef(u32),
    All,
    AllRef,
}

/// Clauses, and what their labels are to take.
fn clauses(m: &mut Mutator<'_, '_, '_>) -> (Vec<ValType>, Vec<Clause>) {
    let exception = ValType::Ref(RefType {
        nullable: false,
        heap_type: HeapType::Abstract { shared: false, ty: wasm_encoder::AbstractHeapType::Exn },
    });
    let tag = m.index(m.spaces.tags);
    let ty = m.spaces.tag_types.get(tag as usize).and_then(|ty| m.spaces.func(*ty));
    let mut types = ty.map(|ty| ty.params().to_vec()).unwrap_or_default();
    let clause = match m.choices.below(4) {
        0 => {
            types.clear();
            Clause::All
        }
        1 => {
            types = vec![exception];
            Clause::AllRef
        }
        2 => {
            types.push(exception);
            Clause::OneRef(tag)
        }
        _ => Clause::One(tag),
    };
    let mut clauses = vec![clause; m.choices.range(1, 3)];
    if m.choices.chance(1, 6) {
        clauses.push(m.choices.pick(&[Clause::All, Clause::AllRef, Clause::One(tag), Clause::OneRef(tag)]));
    }
    (types, clauses)
}

/// A try_table whose handlers are at some of `targets`.
fn handlers(m: &mut Mutator<'_, '_, '_>, clauses: &[Clause], targets: &[u32]) -> Branch {
    let catches = clauses.iter().map(|clause| {
        let label = m.choices.pick(targets);
        match *clause {
            Clause::One(tag) => Catch::One { tag, label },
            Clause::OneRef(tag) => Catch::OneRef { tag, label },
            Clause::All => Catch::All { label },
            Clause::AllRef => Catch::AllRef { label },
        }
    });
    let open = Instruction::TryTable(BlockType::Empty, catches.collect());
    Branch { operands: Vec::new(), code: vec![open, Instruction::Nop, Instruction::End], goes_on: true }
}
