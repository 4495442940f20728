//! What validation knows at a place in a body: what lies on the stack, what the labels take, the locals. wasmparser tells it; the
//! mutations put something there that is right but for one thing.

use std::convert::Infallible;

use wasm_encoder::ValType;
use wasm_encoder::reencode::{Error, Reencode};
use wasmparser::types::CoreTypeId;
use wasmparser::{
    BlockType, FrameKind, FuncToValidate, FuncValidatorAllocations, FunctionBody, Parser, UnpackedIndex,
    ValidPayload, Validator, ValidatorResources,
};

use super::features;
use super::spaces::Spaces;

/// Most locals that are looked at: a group can stand for many thousands.
const LOCALS: u32 = 256;

/// The types at a place, in indices of the module.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    /// The operands of the innermost block, the top last; none for a bottom type.
    pub(super) operands: Vec<Option<ValType>>,
    /// What a branch to each label takes, the innermost first. The last one takes what the function returns.
    pub(super) labels: Vec<Vec<ValType>>,
    /// Parameters and locals, the first [`LOCALS`].
    pub(super) locals: Vec<ValType>,
}

/// The state before the instruction `at` of `body`, which is one of `module`; none if validation does not get there.
pub(super) fn before(
    at: usize,
    module: &[u8],
    body: &FunctionBody<'_>,
    spaces: &Spaces,
    legacy: bool,
) -> Option<State> {
    let mut validator = Validator::new_with_features(features(legacy));
    for payload in Parser::new(0).parse_all(module) {
        let ValidPayload::Func(function, found) = validator.payload(&payload.ok()?).ok()? else { continue };
        if found.range() == body.range() {
            let types = validator.types(0)?;
            let ids = (0..types.core_type_count_in_module()).map(|i| types.core_type_at_in_module(i));
            return in_body(at, function, body, spaces, Names { ids: ids.collect() });
        }
    }
    None
}

fn in_body(
    at: usize,
    function: FuncToValidate<ValidatorResources>,
    body: &FunctionBody<'_>,
    spaces: &Spaces,
    mut names: Names,
) -> Option<State> {
    let mut validator = function.into_validator(FuncValidatorAllocations::default());
    validator.read_locals(&mut body.get_binary_reader()).ok()?;
    let mut operators = body.get_operators_reader().ok()?;
    for _ in 0..at {
        let (operator, offset) = operators.read_with_offset().ok()?;
        validator.op(offset, &operator).ok()?;
    }
    let base = validator.get_control_frame(0)?.height;
    let height = (validator.operand_stack_height() as usize).checked_sub(base)?;
    let operands = (0..height).rev().map(|depth| validator.get_operand_type(depth)?).map(|ty| {
        let ty: Option<wasmparser::ValType> = ty;
        ty.and_then(|ty| names.val_type(ty).ok())
    });
    let operands = operands.collect();
    let mut labels = Vec::new();
    while let Some(frame) = validator.get_control_frame(labels.len()) {
        labels.push(match frame.block_type {
            BlockType::Empty => Vec::new(),
            BlockType::Type(_) if frame.kind == FrameKind::Loop => Vec::new(),
            BlockType::Type(ty) => vec![names.val_type(ty).ok()?],
            BlockType::FuncType(ty) => {
                let ty = spaces.func(ty)?;
                let takes = if frame.kind == FrameKind::Loop { ty.params() } else { ty.results() };
                takes.to_vec()
            }
        });
    }
    let locals = (0..validator.len_locals().min(LOCALS)).map_while(|index| validator.get_local_type(index));
    let locals = locals.map(|ty| names.val_type(ty)).collect::<Result<_, _>>().ok()?;
    Some(State { operands, labels, locals })
}

/// Gives canonical types their index in the module, the first one where several are the same type.
struct Names {
    ids: Vec<CoreTypeId>,
}

impl Reencode for Names {
    type Error = Infallible;

    fn type_index_unpacked(&mut self, index: UnpackedIndex) -> Result<u32, Error<Infallible>> {
        let index = match index {
            UnpackedIndex::Module(index) => Some(index),
            UnpackedIndex::RecGroup(_) => None,
            UnpackedIndex::Id(id) => self.ids.iter().position(|known| *known == id).map(|index| index as u32),
        };
        index.ok_or(Error::CanonicalizedHeapTypeReference)
    }
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{HeapType, RefType};
    use wasmparser::Payload;

    use super::*;

    /// The state in the last body of the module.
    fn state(text: &str, at: usize) -> Option<State> {
        let module = wat::parse_str(text).unwrap();
        let bodies = Parser::new(0).parse_all(&module).filter_map(|payload| match payload.unwrap() {
            Payload::CodeSectionEntry(body) => Some(body),
            _ => None,
        });
        before(at, &module, &bodies.last().unwrap(), &Spaces::of(&module).unwrap(), false)
    }

    fn reference(nullable: bool, index: u32) -> ValType {
        ValType::Ref(RefType { nullable, heap_type: HeapType::Concrete(index) })
    }

    #[test]
    fn operands_labels_and_locals_have_the_module_s_types() {
        let text = "(module
          (type $a (sub (struct)))
          (type $b (sub $a (struct (field i32))))
          (type $f (func (param i64) (result f32 i32)))
          (func)
          (func (param (ref $b)) (result i32) (local f64)
            i32.const 1
            block (result (ref null $a))
              i64.const 2
              loop (param i64) (result (ref null $a))
                local.get 0
                local.get 0
                ref.as_non_null
                br 1
              end
            end
            drop))";
        let in_loop = state(text, 6).unwrap();
        assert_eq!(
            in_loop.operands,
            [Some(ValType::I64), Some(reference(false, 1)), Some(reference(false, 1))]
        );
        assert_eq!(in_loop.labels, [vec![ValType::I64], vec![reference(true, 0)], vec![ValType::I32]]);
        assert_eq!(in_loop.locals, [reference(false, 1), ValType::F64]);
        let behind = state(text, 10).unwrap();
        assert_eq!(behind.operands, [Some(ValType::I32), Some(reference(true, 0))]);
        assert_eq!(behind.labels, [vec![ValType::I32]]);
    }

    #[test]
    fn what_is_not_reached_has_no_types() {
        let text = "(module (func (result i32) unreachable ref.as_non_null drop i32.const 1))";
        assert_eq!(state(text, 2).unwrap().operands, [None]);
        let text = "(module (func (result i32) i64.const 0 i32.eqz))";
        assert!(state(text, 1).is_some());
        assert_eq!(state(text, 2), None);
        assert_eq!(state("(module (func (call 7)))", 1), None);
    }
}
