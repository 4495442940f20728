//! The harness's imports for Wasmtime, and what a store of it holds for them.

use ::wasmtime::{
    AnyRef, AsContextMut, Caller, Error, ExternRef, Func, FuncType, Global, GlobalType, HeapType, Memory,
    MemoryType, Mutability, OwnedRooted, Ref, RefType, Result, Store, StoreContextMut, Table, TableType, Val,
    ValType,
};

use super::super::host::{self, HostItem, HostOp, HostState, HostType};
use super::executor::Item;
use super::limits::Limits;
use super::values::{self, Shown};
use crate::graph::{NodeRef, ObjectKind};
use crate::observe::Value;

/// A host value of the harness.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token(pub(super) u64);

/// What a store holds beside Wasmtime's own.
pub(super) struct Data {
    pub(super) host: HostState<Option<OwnedRooted<AnyRef>>>,
    pub(super) limits: Limits,
    /// Collections that the harness has asked for.
    pub(super) collections: u64,
    /// Checks of the epoch that called the host.
    pub(super) safepoints: u64,
}

/// Makes an item; `None` for a global of a type that no item has.
///
/// # Errors
/// Wasmtime's.
pub(super) fn item(store: &mut Store<Data>, item: HostItem, asynchronous: bool) -> Result<Option<Item>> {
    Ok(Some(match item {
        HostItem::Func { name, params, results, op } => {
            let types = |types: &'static [HostType]| types.iter().map(|ty| val_type(*ty));
            let ty = FuncType::new(store.engine(), types(params), types(results));
            // The only one that calls back: where calls can be suspended, it must be one of them.
            Item::Func(if asynchronous && op == HostOp::Call {
                Func::new_async(store, ty, move |mut caller, args, _results| {
                    Box::new(async move {
                        begin(&mut caller, name, args)?;
                        let Some(func) = callee(args)? else { return Ok(()) };
                        let ended = func.call_async(&mut caller, &[], &mut []).await;
                        passed_on(&mut caller, ended)
                    })
                })
            } else {
                Func::new(store, ty, move |caller, args, results| call(caller, name, op, args, results))
            })
        }
        HostItem::Global(value) => {
            let (content, value) = match value {
                Value::I32(v) => (ValType::I32, Val::I32(v)),
                Value::I64(v) => (ValType::I64, Val::I64(v)),
                Value::F32(v) => (ValType::F32, Val::F32(v)),
                Value::F64(v) => (ValType::F64, Val::F64(v)),
                Value::V128(_) | Value::Ref(_) => return Ok(None),
            };
            Item::Global(Global::new(store, GlobalType::new(content, Mutability::Const), value)?)
        }
        HostItem::Table { is_64 } => {
            let ty = if is_64 {
                TableType::new64(RefType::FUNCREF, 10, Some(20))
            } else {
                TableType::new(RefType::FUNCREF, 10, Some(20))
            };
            Item::Table(Table::new(store, ty, Ref::Func(None))?)
        }
        HostItem::Memory => Item::Memory(Memory::new(store, MemoryType::new(1, Some(2)))?),
    }))
}

fn val_type(ty: HostType) -> ValType {
    match ty {
        HostType::I32 => ValType::I32,
        HostType::I64 => ValType::I64,
        HostType::F32 => ValType::F32,
        HostType::F64 => ValType::F64,
        HostType::Any => ValType::Ref(RefType::new(true, HeapType::Any)),
        HostType::Extern => ValType::EXTERNREF,
        HostType::Func => ValType::FUNCREF,
    }
}

/// A host function of the harness.
fn call(
    mut caller: Caller<'_, Data>,
    name: &str,
    op: HostOp,
    args: &[Val],
    results: &mut [Val],
) -> Result<()> {
    begin(&mut caller, name, args)?;
    match (op, args) {
        (HostOp::Log, _) => {}
        (HostOp::Gc, _) => collect(&mut caller.as_context_mut())?,
        (HostOp::Keep, [Val::AnyRef(reference)]) => {
            let owned = match reference {
                Some(rooted) => Some(rooted.to_owned_rooted(&mut caller)?),
                None => None,
            };
            caller.data_mut().host.keep(owned);
        }
        (HostOp::Kept, [Val::I32(index)]) => {
            let index = usize::try_from(*index).ok();
            let kept = index.and_then(|index| caller.data().host.kept.get(index).cloned()).flatten();
            results[0] = Val::AnyRef(kept.map(|owned| owned.to_rooted(&mut caller)));
        }
        (HostOp::Host, [Val::I32(token)]) => {
            let made = ExternRef::new(&mut caller, Token(host::token(*token)))?;
            results[0] = Val::ExternRef(Some(made));
        }
        // Nothing is a fiber here.
        (HostOp::Wait, [value]) => results[0] = *value,
        (HostOp::Epoch, _) => caller.engine().increment_epoch(),
        (HostOp::Call, _) => {
            let Some(func) = callee(args)? else { return Ok(()) };
            let ended = func.call(&mut caller, &[], &mut []);
            passed_on(&mut caller, ended)?;
        }
        _ => return Err(Error::msg(format!("{name} called with other types"))),
    }
    Ok(())
}

/// Writes the call to the trace.
fn begin(caller: &mut Caller<'_, Data>, name: &str, args: &[Val]) -> Result<()> {
    let mut shown = Vec::with_capacity(args.len());
    for arg in args {
        shown.push(traced(&mut caller.as_context_mut(), arg)?);
    }
    caller.data_mut().host.record(name, shown);
    Ok(())
}

fn callee(args: &[Val]) -> Result<Option<Func>> {
    match args {
        [Val::FuncRef(func)] => Ok(*func),
        _ => Err(Error::msg("called with other types")),
    }
}

/// What was thrown is on its way through here while the heap is collected.
fn passed_on(caller: &mut Caller<'_, Data>, ended: Result<()>) -> Result<()> {
    if ended.is_err() {
        collect(&mut caller.as_context_mut())?;
    }
    ended
}

/// A full collection.
pub(super) fn collect(store: &mut StoreContextMut<'_, Data>) -> Result<()> {
    store.data_mut().collections += 1;
    store.gc(None)
}

/// An argument as the trace shows it.
fn traced(store: &mut StoreContextMut<'_, Data>, value: &Val) -> Result<Value> {
    let reference = match value {
        Val::I32(v) => return Ok(Value::I32(*v)),
        Val::I64(v) => return Ok(Value::I64(*v)),
        Val::F32(v) => return Ok(Value::F32(*v)),
        Val::F64(v) => return Ok(Value::F64(*v)),
        Val::V128(v) => return Ok(Value::V128(v.as_u128())),
        // Which one it is shows in what it does.
        Val::FuncRef(Some(_)) => NodeRef::Func(u32::MAX, u32::MAX),
        Val::ExnRef(Some(_)) => NodeRef::Opaque(ObjectKind::Exn),
        Val::FuncRef(None) | Val::ExnRef(None) | Val::AnyRef(None) | Val::ExternRef(None) => {
            return Ok(host::NULL);
        }
        Val::AnyRef(Some(reference)) => opaque(values::shown(store, *reference)?),
        Val::ExternRef(Some(reference)) => {
            let reference = AnyRef::convert_extern(&mut *store, *reference)?;
            opaque(values::shown(store, reference)?)
        }
        Val::ContRef(_) => return Err(Error::msg("a continuation, which the harness asks for nowhere")),
    };
    Ok(Value::Ref(reference))
}

fn opaque(shown: Shown) -> NodeRef {
    match shown {
        Shown::I31(v) => NodeRef::I31(v),
        Shown::Struct => NodeRef::Opaque(ObjectKind::Struct),
        Shown::Array => NodeRef::Opaque(ObjectKind::Array),
        Shown::Host(token) => NodeRef::Host(token),
    }
}
