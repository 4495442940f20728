//! Values as the host sees them, and their machine form: 128 bits, of which references use the low 32.
//!
//! Invariant: a reference leaves machine form only by being rooted at once, and enters it with no allocation between
//! that and its use.

use std::any::Any;

use assay_gc::types::{KIND_EXCEPTION, KIND_FUNC};
use assay_gc::{AbstractHeapType, GcRef, HeapType, RefType, ValType};

use crate::handle::Rooted;
use crate::store::StoreInner;
use crate::{Error, Func, RawVal, Usage};

/// A WebAssembly value.
#[derive(Clone, Debug)]
pub enum Val {
    /// An i32.
    I32(i32),
    /// An i64.
    I64(i64),
    /// An f32 as its bits.
    F32(u32),
    /// An f64 as its bits.
    F64(u64),
    /// A v128, lane 0 lowest.
    V128(u128),
    /// A reference of the `any` hierarchy.
    AnyRef(Option<Rooted>),
    /// A reference of the `extern` hierarchy.
    ExternRef(Option<Rooted>),
    /// A reference of the `func` hierarchy.
    FuncRef(Option<Func>),
    /// A reference of the `exn` hierarchy.
    ExnRef(Option<Rooted>),
}

/// The four hierarchies of reference types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hierarchy {
    Any,
    Extern,
    Func,
    Exn,
}

impl Hierarchy {
    /// That of a heap type.
    pub(crate) fn of(store: &StoreInner, heap: HeapType) -> Hierarchy {
        use AbstractHeapType as A;
        match heap {
            HeapType::Abstract(A::Func | A::NoFunc) => Hierarchy::Func,
            HeapType::Abstract(A::Extern | A::NoExtern) => Hierarchy::Extern,
            HeapType::Abstract(A::Exn | A::NoExn) => Hierarchy::Exn,
            HeapType::Concrete(id) => match store.types().kind(id) {
                KIND_FUNC => Hierarchy::Func,
                KIND_EXCEPTION => Hierarchy::Exn,
                _ => Hierarchy::Any,
            },
            _ => Hierarchy::Any,
        }
    }
}

/// Whether slots of `ty` are traced.
pub(crate) fn is_traced(store: &StoreInner, ty: &ValType) -> bool {
    matches!(ty, ValType::Ref(of) if Hierarchy::of(store, of.heap) != Hierarchy::Func)
}

impl Val {
    /// The default value of a defaultable type: zero or null.
    pub fn default_of(store: &StoreInner, ty: &ValType) -> Val {
        match ty {
            ValType::I32 => Val::I32(0),
            ValType::I64 => Val::I64(0),
            ValType::F32 => Val::F32(0),
            ValType::F64 => Val::F64(0),
            ValType::V128 => Val::V128(0),
            ValType::Ref(of) => match Hierarchy::of(store, of.heap) {
                Hierarchy::Any => Val::AnyRef(None),
                Hierarchy::Extern => Val::ExternRef(None),
                Hierarchy::Func => Val::FuncRef(None),
                Hierarchy::Exn => Val::ExnRef(None),
            },
        }
    }

    /// An i31 reference of the low 31 bits of `value`.
    pub fn i31(store: &mut StoreInner, value: u32) -> Val {
        Val::AnyRef(Some(store.root(GcRef::i31(value))))
    }

    /// Machine form, if this is a value of `ty`; `Ok(None)` if it is not.
    ///
    /// # Errors
    /// `WrongStore`.
    pub(crate) fn to_bits(&self, store: &StoreInner, ty: &ValType) -> Result<Option<u128>, Error> {
        Ok(match (self, ty) {
            (Val::I32(value), ValType::I32) => Some(u128::from(*value as u32)),
            (Val::I64(value), ValType::I64) => Some(u128::from(*value as u64)),
            (Val::F32(bits), ValType::F32) => Some(u128::from(*bits)),
            (Val::F64(bits), ValType::F64) => Some(u128::from(*bits)),
            (Val::V128(bits), ValType::V128) => Some(*bits),
            (Val::FuncRef(func), ValType::Ref(of)) if Hierarchy::of(store, of.heap) == Hierarchy::Func => {
                let Some(func) = func else { return Ok(of.nullable.then_some(0)) };
                let entry = func.entry(store)?;
                let actual = HeapType::Concrete(assay_gc::TypeId(entry.type_id));
                store.types().heap_matches(actual, of.heap).then_some(u128::from(func.id))
            }
            (Val::AnyRef(value), ValType::Ref(of)) => traced_bits(store, value.as_ref(), of, Hierarchy::Any)?,
            (Val::ExternRef(value), ValType::Ref(of)) => {
                traced_bits(store, value.as_ref(), of, Hierarchy::Extern)?
            }
            (Val::ExnRef(value), ValType::Ref(of)) => traced_bits(store, value.as_ref(), of, Hierarchy::Exn)?,
            _ => None,
        })
    }

    /// From machine form; roots references.
    pub(crate) fn from_bits(store: &mut StoreInner, bits: u128, ty: &ValType) -> Val {
        match ty {
            ValType::I32 => Val::I32(bits as i32),
            ValType::I64 => Val::I64(bits as i64),
            ValType::F32 => Val::F32(bits as u32),
            ValType::F64 => Val::F64(bits as u64),
            ValType::V128 => Val::V128(bits),
            ValType::Ref(of) => {
                let hierarchy = Hierarchy::of(store, of.heap);
                let word = GcRef(bits as u32);
                match hierarchy {
                    Hierarchy::Func => {
                        Val::FuncRef((word.0 != 0).then(|| Func { store: store.id(), id: word.0 }))
                    }
                    Hierarchy::Any => Val::AnyRef(store.root_nullable(word)),
                    Hierarchy::Extern => Val::ExternRef(store.root_nullable(word)),
                    Hierarchy::Exn => Val::ExnRef(store.root_nullable(word)),
                }
            }
        }
    }

    /// From a raw field or element of type `ty`.
    pub(crate) fn of_raw(store: &mut StoreInner, raw: RawVal, ty: &ValType) -> Val {
        Val::from_bits(store, raw.bits(), ty)
    }
}

fn traced_bits(
    store: &StoreInner,
    value: Option<&Rooted>,
    of: &RefType,
    hierarchy: Hierarchy,
) -> Result<Option<u128>, Error> {
    if Hierarchy::of(store, of.heap) != hierarchy {
        return Ok(None);
    }
    let Some(value) = value else { return Ok(of.nullable.then_some(0)) };
    let word = value.get(store)?;
    Ok(word_matches(store, word, of).then_some(u128::from(word.0)))
}

/// Whether the reference `word` is a value of `of` (`any`, `extern` and `exn` hierarchies).
pub(crate) fn word_matches(store: &StoreInner, word: GcRef, of: &RefType) -> bool {
    if word.is_null() {
        return of.nullable;
    }
    let types = store.types();
    let kind = |word| store.heap.type_of(word).map(|ty| types.kind(ty));
    match Hierarchy::of(store, of.heap) {
        Hierarchy::Extern => {
            of.heap == HeapType::Abstract(AbstractHeapType::Extern)
                && (word.is_i31() || kind(word).is_some_and(|kind| kind != KIND_EXCEPTION))
        }
        Hierarchy::Exn => {
            of.heap == HeapType::Abstract(AbstractHeapType::Exn) && kind(word) == Some(KIND_EXCEPTION)
        }
        Hierarchy::Func => false,
        Hierarchy::Any if word.is_i31() => {
            types.heap_matches(HeapType::Abstract(AbstractHeapType::I31), of.heap)
        }
        Hierarchy::Any => store
            .heap
            .type_of(word)
            .is_some_and(|actual| types.heap_matches(HeapType::Concrete(actual), of.heap)),
    }
}

/// A nullable reference of the `any` hierarchy, for typed calls.
#[derive(Clone, Debug)]
pub struct AnyRef(pub Option<Rooted>);

/// A nullable reference of the `extern` hierarchy, for typed calls; and the maker of host values.
#[derive(Clone, Debug)]
pub struct ExternRef(pub Option<Rooted>);

impl ExternRef {
    /// Boxes a host value in the store's heap. The value drops after the box has died, at the latest with the store.
    ///
    /// # Errors
    /// `Exhausted(GcHeap)`.
    #[expect(clippy::new_ret_no_self, reason = "the handle is what callers put into values")]
    pub fn new(store: &mut StoreInner, value: Box<dyn Any + Send + Sync>) -> Result<Rooted, Error> {
        let word = store.alloc_host(value)?;
        Ok(store.root(word))
    }
    /// The host value behind `handle`; `None` when it refers to no host box.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn value<'s>(
        store: &'s StoreInner,
        handle: &Rooted,
    ) -> Result<Option<&'s (dyn Any + Send + Sync)>, Error> {
        let word = handle.get(store)?;
        Ok(store.inspector().host_value(word))
    }
}

/// Checks `values` against `types` and writes their machine form to `slots`.
///
/// # Errors
/// `Usage`: `Arity`, `Type`, `WrongStore`.
pub(crate) fn lower(
    store: &StoreInner,
    values: &[Val],
    types: &[ValType],
    slots: &mut [u128],
) -> Result<(), Error> {
    if values.len() != types.len() {
        return Err(Error::usage(Usage::Arity { expected: types.len(), given: values.len() }));
    }
    for (index, (value, ty)) in values.iter().zip(types).enumerate() {
        slots[index] = value.to_bits(store, ty)?.ok_or_else(|| Error::usage(Usage::Type { index }))?;
    }
    Ok(())
}
