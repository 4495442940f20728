//! Tests and casts (spec: Execution / Reference Instructions): the runtime type of a reference against a static one.

use crate::runtime::heap::{Heap, Payload};
use crate::runtime::store::Func;
use crate::runtime::types::Types;
use crate::runtime::value::{Bits, Unpacked};
use crate::syntax::types::{HeapType, RefType, TypeId};

/// Whether a reference is of a type of the module whose canonical types are `ids` (spec: reference typing).
pub(crate) fn is_of_type(
    bits: u64,
    ty: RefType,
    ids: &[TypeId],
    types: &Types,
    heap: &Heap,
    funcs: &[Func],
) -> bool {
    let concrete = |id: TypeId| match ty.heap {
        HeapType::Index(index) => {
            ids.get(index.0 as usize).is_some_and(|&wanted| types.is_subtype(id, wanted))
        }
        HeapType::Extern => true,
        heap => types.heap_matches(HeapType::Canon(id), heap),
    };
    match Bits(bits).unpack() {
        Unpacked::Null => ty.nullable,
        Unpacked::I31(_) => {
            matches!(ty.heap, HeapType::I31 | HeapType::Eq | HeapType::Any | HeapType::Extern)
        }
        Unpacked::Object(index) => heap.get(index).is_some_and(|object| match object.payload {
            Payload::Exception { .. } => ty.heap == HeapType::Exn,
            _ => concrete(object.ty),
        }),
        Unpacked::Func(index) => funcs.get(index as usize).is_some_and(|func| concrete(func.ty)),
        Unpacked::Host(_) => matches!(ty.heap, HeapType::Any | HeapType::Extern),
        Unpacked::Invalid => false,
    }
}
