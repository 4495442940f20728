//! Values between the harness and Wasmtime.

use ::wasmtime::{
    AnyRef, AsContext, AsContextMut, ExternRef, HeapType, I31, Result, Rooted, StoreContextMut, Val, ValType,
};

use super::graph::Books;
use super::host::{Data, Token};
use super::outcome::outcome;
use crate::graph::{NodeRef, RawValue};
use crate::observe::{Outcome, Value};

/// What a reference of the `any` hierarchy refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    I31(i32),
    Struct,
    Array,
    /// A host value's token.
    Host(u64),
}

/// What `reference` refers to.
///
/// # Errors
/// Wasmtime's; a host value that is not the harness's.
pub(super) fn shown(store: &mut StoreContextMut<'_, Data>, reference: Rooted<AnyRef>) -> Result<Shown> {
    if let Some(i31) = reference.as_i31(&*store)? {
        return Ok(Shown::I31(i31.get_i32()));
    }
    if reference.is_struct(&*store)? {
        return Ok(Shown::Struct);
    }
    if reference.is_array(&*store)? {
        return Ok(Shown::Array);
    }
    let external = ExternRef::convert_any(&mut *store, reference)?;
    let token = external.data(store.as_context())?.and_then(|data| data.downcast_ref::<Token>());
    match token {
        Some(token) => Ok(Shown::Host(token.0)),
        None => Err(::wasmtime::Error::msg("a host value that the harness has not made")),
    }
}

/// A value as graphs take it.
///
/// # Errors
/// A crash where Wasmtime shows what cannot be; what the adapter cannot tell.
pub(super) fn raw(
    store: &mut StoreContextMut<'_, Data>,
    books: &mut Books,
    value: Val,
) -> Result<RawValue<u32>, Outcome> {
    Ok(match value {
        Val::I32(v) => RawValue::I32(v),
        Val::I64(v) => RawValue::I64(v),
        Val::F32(v) => RawValue::F32(v),
        Val::F64(v) => RawValue::F64(v),
        Val::V128(v) => RawValue::V128(v.as_u128()),
        Val::FuncRef(None) | Val::ExternRef(None) | Val::AnyRef(None) | Val::ExnRef(None) => RawValue::Null,
        Val::FuncRef(Some(func)) => {
            let (instance, index) = books.origins.func(func.to_raw(&mut *store))?;
            RawValue::Func(instance, index)
        }
        Val::AnyRef(Some(reference)) => any(store, books, reference)?,
        Val::ExternRef(Some(reference)) => {
            let reference = AnyRef::convert_extern(&mut *store, reference).map_err(|e| outcome(&e))?;
            any(store, books, reference)?
        }
        Val::ExnRef(Some(reference)) => RawValue::Exception(books.exception(store, reference)?),
        Val::ContRef(_) => return Err(Outcome::Crashed("a continuation, a proposal that is off".into())),
    })
}

fn any(
    store: &mut StoreContextMut<'_, Data>,
    books: &mut Books,
    reference: Rooted<AnyRef>,
) -> Result<RawValue<u32>, Outcome> {
    Ok(match shown(store, reference).map_err(|e| outcome(&e))? {
        Shown::I31(v) => RawValue::I31(v),
        Shown::Host(token) => RawValue::Host(token),
        Shown::Struct | Shown::Array => RawValue::Object(books.object(store, reference)?),
    })
}

/// An argument; `None` if the value cannot be of the type.
///
/// # Errors
/// Wasmtime's: a host value needs room in the heap.
pub(super) fn argument(
    store: &mut StoreContextMut<'_, Data>,
    value: Value,
    ty: &ValType,
) -> Result<Option<Val>> {
    let heap = ty.as_ref().map(|ty| ty.heap_type());
    let external = heap.is_some_and(|heap| matches!(heap.top(), HeapType::Extern));
    let into = |store: &mut StoreContextMut<'_, Data>, reference: Rooted<AnyRef>| {
        Ok::<_, ::wasmtime::Error>(if external {
            Val::ExternRef(Some(ExternRef::convert_any(store, reference)?))
        } else {
            Val::AnyRef(Some(reference))
        })
    };
    let made = match value {
        Value::I32(v) => Val::I32(v),
        Value::I64(v) => Val::I64(v),
        Value::F32(v) => Val::F32(v),
        Value::F64(v) => Val::F64(v),
        Value::V128(v) => Val::V128(v.into()),
        Value::Ref(NodeRef::Null) => match heap {
            Some(heap) => Val::null_ref(heap),
            None => return Ok(None),
        },
        Value::Ref(NodeRef::I31(v)) => {
            let i31 = AnyRef::from_i31(store.as_context_mut(), I31::wrapping_i32(v));
            into(store, i31)?
        }
        Value::Ref(NodeRef::Host(token)) => {
            let made = ExternRef::new(store.as_context_mut(), Token(token))?;
            let made = AnyRef::convert_extern(store.as_context_mut(), made)?;
            into(store, made)?
        }
        // No script has these for arguments.
        Value::Ref(
            NodeRef::Node(_) | NodeRef::Func(..) | NodeRef::Tag(..) | NodeRef::Opaque(_) | NodeRef::Cut,
        ) => return Ok(None),
    };
    Ok(made.matches_ty(&*store, ty)?.then_some(made))
}
