//! What stands in for the host's functions of module `assay`, and the printing ones of `spectest`: functions of the module.
//!
//! They do not do the same as the host's, only something of the same kind that every engine can do.

use wasm_encoder::{
    AbstractHeapType as Abstract, BlockType, Function, HeapType, InstructionSink, RefType, ValType,
};

use super::additions::{ANYREF, Added, Additions, MAX_KEPT, heap};
use super::digest::{Digest, Word};
use super::error::LeftOut;
use super::module::Module;
use wasmparser::TypeRef;

/// Objects that the digest of one logged reference numbers.
const LOGGED_OBJECTS: i32 = 16;

/// What a replacement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replacement {
    /// Makes garbage, so that an engine with little heap collects.
    Gc,
    /// Mixes its arguments into the digest of what was logged.
    Log,
    /// Puts a reference into a table.
    Keep,
    /// Takes one out of it.
    Kept,
    /// Makes an i31 of an even number, a struct of an odd one.
    Host,
    /// Gives its argument back.
    Wait,
    /// Does nothing.
    Epoch,
    /// Calls a function of no parameters and results.
    Call,
}

const EXTERNREF: ValType = ValType::Ref(RefType::EXTERNREF);
const FUNCREF: ValType = ValType::Ref(RefType::FUNCREF);

/// The replacement of an import, and the signature that it must have.
fn of(module: &str, name: &str) -> Option<(Replacement, Vec<ValType>, Vec<ValType>)> {
    use Replacement as R;
    use ValType::{F32, F64, I32, I64};
    let log = |params: &[ValType]| (R::Log, params.to_vec(), Vec::new());
    Some(match (module, name) {
        ("spectest", "print") => log(&[]),
        ("assay", "log_i32") | ("spectest", "print_i32") => log(&[I32]),
        ("assay", "log_i64") | ("spectest", "print_i64") => log(&[I64]),
        ("assay", "log_f32") | ("spectest", "print_f32") => log(&[F32]),
        ("assay", "log_f64") | ("spectest", "print_f64") => log(&[F64]),
        ("spectest", "print_i32_f32") => log(&[I32, F32]),
        ("spectest", "print_f64_f64") => log(&[F64, F64]),
        ("assay", "log_ref") => log(&[ANYREF]),
        ("assay", "gc") => (R::Gc, vec![], vec![]),
        ("assay", "keep") => (R::Keep, vec![ANYREF], vec![]),
        ("assay", "kept") => (R::Kept, vec![I32], vec![ANYREF]),
        ("assay", "host") => (R::Host, vec![I32], vec![EXTERNREF]),
        ("assay", "wait") => (R::Wait, vec![ANYREF], vec![ANYREF]),
        ("assay", "epoch") => (R::Epoch, vec![], vec![]),
        ("assay", "call") => (R::Call, vec![FUNCREF], vec![]),
        _ => return None,
    })
}

/// The imported functions that are replaced, by index. `linked` are the names under which the case itself registers
/// instances.
///
/// # Errors
/// Other imports that the case does not give itself.
pub(super) fn replaced(module: &Module<'_>, linked: &[&str]) -> Result<Vec<(u32, Replacement)>, LeftOut> {
    let mut replaced = Vec::new();
    let mut index = 0;
    for import in &module.imports {
        let function = match import.ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => Some(ty),
            TypeRef::Table(_) | TypeRef::Memory(_) | TypeRef::Global(_) | TypeRef::Tag(_) => None,
        };
        if !linked.contains(&import.module) {
            let (replacement, params, results) = of(import.module, import.name).ok_or(LeftOut::Import)?;
            let ty = function.ok_or(LeftOut::Import)?;
            if module.signature(ty) != (&params[..], &results[..]) {
                return Err(LeftOut::Import);
            }
            replaced.push((index, replacement));
        }
        index += u32::from(function.is_some());
    }
    Ok(replaced)
}

/// Defines the replacement of the imported function `index`.
pub(super) fn define(
    add: &mut Additions<'_>,
    digest: &Digest,
    (index, replacement): (u32, Replacement),
    garbage: u32,
) {
    let (Some(&ty), Some(&function)) =
        (add.module.functions.get(index as usize), add.function_map.get(index as usize))
    else {
        return;
    };
    let mut body = match replacement {
        Replacement::Gc => Function::new([(1, ValType::I32)]),
        _ => Function::new([]),
    };
    let mut f = body.instructions();
    match replacement {
        Replacement::Gc => {
            f.global_get(add.global(Added::Quiet)).i32_eqz().if_(BlockType::Empty);
            make_garbage(add, &mut f, 0, garbage);
            f.end();
        }
        Replacement::Log => log(add, digest, &mut f, ty),
        Replacement::Keep => {
            let kept = add.global(Added::Kept);
            f.global_get(kept).i32_const(MAX_KEPT.cast_signed()).i32_lt_u().if_(BlockType::Empty);
            f.global_get(kept).local_get(0).table_set(add.kept());
            f.global_get(kept).i32_const(1).i32_add().global_set(kept).end();
        }
        Replacement::Kept => {
            let any = BlockType::Result(ANYREF);
            f.local_get(0).global_get(add.global(Added::Kept)).i32_lt_u().if_(any);
            f.local_get(0).table_get(add.kept());
            f.else_().ref_null(heap(Abstract::Any)).end();
        }
        Replacement::Host => {
            f.local_get(0).i32_const(1).i32_and().if_(BlockType::Result(ANYREF));
            f.local_get(0).struct_new(add.host_type());
            f.else_().local_get(0).ref_i31().end();
            f.extern_convert_any();
        }
        Replacement::Wait => {
            f.local_get(0);
        }
        Replacement::Epoch => {}
        Replacement::Call => {
            let callee = add.signature(&[], &[]);
            f.local_get(0).ref_test_non_null(HeapType::Concrete(callee)).if_(BlockType::Empty);
            f.local_get(0).ref_cast_non_null(HeapType::Concrete(callee)).call_ref(callee).end();
        }
    }
    add.define(function, body);
}

/// So many dead arrays of 1,000 bytes; `at` is an i32 local that is 0.
pub(super) fn make_garbage(add: &Additions<'_>, f: &mut InstructionSink<'_>, at: u32, garbage: u32) {
    let (ty, latest) = (add.garbage_type(), add.global(Added::Garbage));
    f.block(BlockType::Empty).loop_(BlockType::Empty);
    f.local_get(at).i32_const(garbage.cast_signed()).i32_ge_u().br_if(1);
    f.i32_const(125).array_new_default(ty).global_set(latest);
    f.local_get(at).i32_const(1).i32_add().local_set(at).br(0).end().end();
    f.ref_null(HeapType::Concrete(ty)).global_set(latest);
}

fn log(add: &Additions<'_>, digest: &Digest, f: &mut InstructionSink<'_>, ty: u32) {
    let log = add.global(Added::Log);
    let params = add.module.signature(ty).0.to_vec();
    let objects = params.iter().any(|ty| matches!(ty, ValType::Ref(_)));
    f.global_get(log).i64_const(Word::Logged.bits()).call(digest.mix);
    if objects {
        f.i32_const(LOGGED_OBJECTS).call(digest.begin).call(digest.mix);
    }
    for (at, ty) in (0u32..).zip(params) {
        f.local_get(at);
        digest.word(add, f, ty);
        f.call(digest.mix);
    }
    if objects {
        f.call(digest.finish);
    }
    f.global_set(log);
}
