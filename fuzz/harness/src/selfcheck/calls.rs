//! The added exports: a call of a function, many calls of it, a read of a global, the state, a collection. They take numbers and return one.

use wasm_encoder::{
    AbstractHeapType as Abstract, BlockType, Catch, Function, InstructionSink, MemArg, MemArgTarget, RefType,
    ValType,
};

use super::additions::{ANYREF, Added, Additions, MAX_ELEMENTS, MAX_OBJECTS, heap};
use super::digest::{Digest, Word};
use super::imports::make_garbage;
use super::module::Top;
use crate::graph::NodeRef;
use crate::observe::Value;

/// What an export that is added does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Call {
    /// Calls the exported function with these arguments; those that are none are the export's own parameters.
    Invoke { field: String, made: Vec<Option<Value>> },
    /// Calls the exported function as often as a further i32 says, and forgets its results.
    Repeat { field: String, made: Vec<Option<Value>> },
    /// Reads the exported global.
    Get { field: String },
    /// The digest of the instance's state.
    State,
    /// Makes garbage.
    Collect,
}

/// An argument that the export makes itself; numbers are its parameters.
pub(super) fn made(arg: Value) -> Option<Value> {
    match arg {
        Value::I32(_) | Value::I64(_) | Value::F32(_) | Value::F64(_) => None,
        Value::V128(_) | Value::Ref(_) => Some(arg),
    }
}

/// Adds a function that calls the function `index` (as the module numbered it); none if the arguments do not fit.
pub(super) fn invoke(
    add: &mut Additions<'_>,
    digest: &Digest,
    index: u32,
    made: &[Option<Value>],
    throws: bool,
) -> Option<u32> {
    let ty = *add.module.functions.get(index as usize)?;
    let (params, results) = add.module.signature(ty);
    let (params, results) = (params.to_vec(), results.to_vec());
    let own = numbers(&params, made)?;
    let mut locals: Vec<ValType> = Vec::new();
    let mut local = |ty: ValType| {
        // What a thrown exception holds comes in non-null types, which have no default.
        locals.push(match ty {
            ValType::Ref(ty) => ValType::Ref(RefType { nullable: true, ..ty }),
            other => other,
        });
        (own.len() + locals.len() - 1) as u32
    };
    let result_locals: Vec<u32> = results.iter().map(|ty| local(*ty)).collect();
    let tags: Vec<Vec<ValType>> = if throws {
        add.module.tags.iter().map(|ty| add.module.signature(*ty).0.to_vec()).collect()
    } else {
        Vec::new()
    };
    let tag_locals: Vec<Vec<u32>> =
        tags.iter().map(|tag| tag.iter().map(|ty| local(*ty)).collect()).collect();
    let blocks: Vec<BlockType> = tags.iter().map(|tag| add.block(tag)).collect();
    let mut body = Function::new_with_locals_types(locals);
    let mut f = body.instructions();
    if throws {
        f.block(BlockType::Empty);
        for block in blocks.iter().rev() {
            f.block(*block);
        }
        let catches: Vec<Catch> = (0..tags.len() as u32)
            .map(|tag| Catch::One { tag, label: tag })
            .chain([Catch::All { label: tags.len() as u32 }])
            .collect();
        f.try_table(BlockType::Empty, catches);
    }
    arguments(add, &mut f, &params, made)?;
    f.call(*add.function_map.get(index as usize)?);
    for local in result_locals.iter().rev() {
        f.local_set(*local);
    }
    values(add, digest, &mut f, Word::Start.bits(), &results, &result_locals);
    if throws {
        f.return_().end().unreachable();
        for ((tag, locals), number) in tags.iter().zip(&tag_locals).zip(1i64..) {
            f.end();
            for local in locals.iter().rev() {
                f.local_set(*local);
            }
            values(add, digest, &mut f, Word::Thrown.bits() ^ number, tag, locals);
            f.return_();
        }
        f.end().i64_const(Word::Foreign.bits());
    }
    let function = add.declare(&own, &[ValType::I64]);
    add.define(function, body);
    Some(function)
}

/// Adds a function that calls the function `index` (as the module numbered it) as often as its last parameter says; none if
/// the arguments do not fit. What the program would have collected meanwhile is collected in the end.
pub(super) fn repeat(
    add: &mut Additions<'_>,
    index: u32,
    made: &[Option<Value>],
    throws: bool,
    garbage: u32,
) -> Option<u32> {
    let ty = *add.module.functions.get(index as usize)?;
    let (params, results) = add.module.signature(ty);
    let (params, results) = (params.to_vec(), results.len());
    let mut own = numbers(&params, made)?;
    own.push(ValType::I32);
    let (left, at) = (own.len() as u32 - 1, own.len() as u32);
    let mut body = Function::new([(1, ValType::I32)]);
    let mut f = body.instructions();
    f.i32_const(1).global_set(add.global(Added::Quiet));
    f.block(BlockType::Empty).loop_(BlockType::Empty);
    f.local_get(left).i32_eqz().br_if(1);
    if throws {
        f.block(BlockType::Empty).try_table(BlockType::Empty, [Catch::All { label: 0 }]);
    }
    arguments(add, &mut f, &params, made)?;
    f.call(*add.function_map.get(index as usize)?);
    for _ in 0..results {
        f.drop();
    }
    if throws {
        f.end().end();
    }
    f.local_get(left).i32_const(1).i32_sub().local_set(left).br(0).end().end();
    f.i32_const(0).global_set(add.global(Added::Quiet));
    make_garbage(add, &mut f, at, garbage);
    f.i64_const(0);
    let function = add.declare(&own, &[ValType::I64]);
    add.define(function, body);
    Some(function)
}

/// The export's own parameters: those of the function for which no argument is made. None if they are no numbers.
fn numbers(params: &[ValType], made: &[Option<Value>]) -> Option<Vec<ValType>> {
    if params.len() != made.len() {
        return None;
    }
    let own: Vec<ValType> =
        params.iter().zip(made).filter(|(_, made)| made.is_none()).map(|(ty, _)| *ty).collect();
    (!own.iter().any(|ty| matches!(ty, ValType::V128 | ValType::Ref(_)))).then_some(own)
}

/// Leaves all arguments: those that are made, and the export's own parameters.
fn arguments(
    add: &Additions<'_>,
    f: &mut InstructionSink<'_>,
    params: &[ValType],
    made: &[Option<Value>],
) -> Option<()> {
    let mut next = 0;
    for (ty, made) in params.iter().zip(made) {
        match made {
            Some(value) => argument(add, f, *value, *ty)?,
            None => {
                f.local_get(next);
                next += 1;
            }
        }
    }
    Some(())
}

/// Leaves the digest of some locals.
fn values(
    add: &Additions<'_>,
    digest: &Digest,
    f: &mut InstructionSink<'_>,
    kind: i64,
    types: &[ValType],
    locals: &[u32],
) {
    f.i32_const(MAX_OBJECTS.cast_signed()).call(digest.begin).i64_const(kind).call(digest.mix);
    for (ty, local) in types.iter().zip(locals) {
        f.local_get(*local);
        digest.word(add, f, *ty);
        f.call(digest.mix);
    }
    f.call(digest.finish);
}

/// Makes an argument; none if there is no such value of the type.
fn argument(add: &Additions<'_>, f: &mut InstructionSink<'_>, value: Value, ty: ValType) -> Option<()> {
    let reference = match (value, ty) {
        (Value::V128(bits), ValType::V128) => {
            f.v128_const(bits.cast_signed());
            return Some(());
        }
        (Value::Ref(reference), ValType::Ref(_)) => reference,
        _ => return None,
    };
    let ValType::Ref(ty) = ty else { return None };
    let takes = |heaps: &[Abstract]| heaps.iter().any(|known| ty.heap_type == heap(*known));
    let top = add.module.top(ty);
    match reference {
        NodeRef::Null if ty.nullable => {
            f.ref_null(match top {
                Top::Any => heap(Abstract::None),
                Top::Func => heap(Abstract::NoFunc),
                Top::Extern => heap(Abstract::NoExtern),
                Top::Exn => heap(Abstract::NoExn),
            });
        }
        NodeRef::I31(v) if takes(&[Abstract::Any, Abstract::Eq, Abstract::I31]) => {
            f.i32_const(v).ref_i31();
        }
        NodeRef::I31(v) if takes(&[Abstract::Extern]) => {
            f.i32_const(v).ref_i31().extern_convert_any();
        }
        NodeRef::Host(token) if takes(&[Abstract::Any, Abstract::Extern]) => {
            f.i32_const((token as u32).cast_signed()).struct_new(add.host_type());
            if top == Top::Extern {
                f.extern_convert_any();
            }
        }
        _ => return None,
    }
    Some(())
}

/// Adds a function that reads a global.
pub(super) fn get(add: &mut Additions<'_>, digest: &Digest, global: u32) -> Option<u32> {
    let ty = add.module.globals.get(global as usize)?.content_type;
    let ty = super::module::value(ty)?;
    let mut body = Function::new([]);
    let mut f = body.instructions();
    f.i32_const(MAX_OBJECTS.cast_signed()).call(digest.begin).global_get(global);
    digest.word(add, &mut f, ty);
    f.call(digest.mix).call(digest.finish);
    let function = add.declare(&[], &[ValType::I64]);
    add.define(function, body);
    Some(function)
}

/// Adds a function that makes garbage and returns 0.
pub(super) fn collect(add: &mut Additions<'_>, garbage: u32) -> u32 {
    let mut body = Function::new([(1, ValType::I32)]);
    let mut f = body.instructions();
    make_garbage(add, &mut f, 0, garbage);
    f.i64_const(0);
    let function = add.declare(&[], &[ValType::I64]);
    add.define(function, body);
    function
}

/// Adds a function that digests what was logged and all globals, tables, memories and held references.
pub(super) fn state(add: &mut Additions<'_>, digest: &Digest) -> u32 {
    let module = add.module;
    let mut body = Function::new([(4, ValType::I64)]);
    let mut f = body.instructions();
    f.i32_const(MAX_OBJECTS.cast_signed()).call(digest.begin);
    f.global_get(add.global(Added::Log)).call(digest.mix);
    for (index, global) in (0u32..).zip(&module.globals) {
        let Some(ty) = super::module::value(global.content_type) else { continue };
        f.global_get(index);
        digest.word(add, &mut f, ty);
        f.call(digest.mix);
    }
    f.local_set(STATE);
    for (index, table) in (0u32..).zip(&module.tables) {
        let Some(ty) = super::module::value(wasmparser::ValType::Ref(table.element_type)) else { continue };
        f.table_size(index);
        if !table.table64 {
            f.i64_extend_i32_u();
        }
        f.local_set(LEN);
        walk(digest, &mut f, Word::Table, i64::from(MAX_ELEMENTS), |f| {
            f.local_get(AT);
            if !table.table64 {
                f.i32_wrap_i64();
            }
            f.table_get(index);
            digest.word(add, f, ty);
        });
    }
    for (index, memory) in (0u32..).zip(&module.memories) {
        f.memory_size(index);
        if !memory.memory64 {
            f.i64_extend_i32_u();
        }
        f.i64_const(13).i64_shl().local_set(LEN);
        walk(digest, &mut f, Word::Memory, MAX_WORDS, |f| {
            f.local_get(AT).i64_const(3).i64_shl();
            if !memory.memory64 {
                f.i32_wrap_i64();
            }
            f.i64_load(MemArg { offset: 0, align: 0, target: MemArgTarget::Memory(index), ordering: None });
        });
    }
    f.global_get(add.global(Added::Kept)).i64_extend_i32_u().local_set(LEN);
    let kept = add.kept();
    walk(digest, &mut f, Word::Kept, i64::from(MAX_ELEMENTS), |f| {
        f.local_get(AT).i32_wrap_i64().table_get(kept);
        digest.word(add, f, ANYREF);
    });
    f.local_get(STATE).call(digest.finish);
    let function = add.declare(&[], &[ValType::I64]);
    add.define(function, body);
    function
}

/// Words of a memory that the state's digest looks at, about; all of 16 pages.
const MAX_WORDS: i64 = 16 << 13;

const STATE: u32 = 0;
const LEN: u32 = 1;
const AT: u32 = 2;
const STRIDE: u32 = 3;

/// Mixes some of `LEN` words into the state: about `most` at equal distances, and the last.
fn walk(
    digest: &Digest,
    f: &mut InstructionSink<'_>,
    kind: Word,
    most: i64,
    mut word: impl FnMut(&mut InstructionSink<'_>),
) {
    f.local_get(STATE)
        .i64_const(kind.bits())
        .call(digest.mix)
        .local_get(LEN)
        .call(digest.mix)
        .local_set(STATE);
    f.local_get(LEN).i64_const(most).i64_div_u().i64_const(1).i64_add().local_set(STRIDE);
    f.i64_const(0).local_set(AT);
    f.block(BlockType::Empty).loop_(BlockType::Empty);
    f.local_get(AT).local_get(LEN).i64_ge_u().br_if(1);
    f.local_get(STATE);
    word(f);
    f.call(digest.mix).local_set(STATE);
    f.local_get(AT).local_get(STRIDE).i64_add().local_set(AT).br(0).end().end();
    f.local_get(LEN).i64_eqz().i32_eqz().if_(BlockType::Empty);
    f.local_get(LEN).i64_const(1).i64_sub().local_set(AT);
    f.local_get(STATE);
    word(f);
    f.call(digest.mix).local_set(STATE).end();
}
