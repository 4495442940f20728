//! Functions of a store, and host functions.
//!
//! A host function's code is its signature's host thunk; the thunk spills the arguments and calls the builtin
//! `HostCall`, which lifts them to [`Val`]s, rooted at once, and calls the closure with a [`Caller`].

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use assay_gc::{CompositeType, FuncType, SubType, TypeId};
use assay_jit::vmctx::{FuncEntry, VmCtx};

use crate::enter::{enter, swapped};
use crate::externs::check;
use crate::pinned::Pinned;
use crate::store::{Signature, StoreInner};
use crate::typed::{TypedFunc, WasmList};
use crate::value::lower;
use crate::{Error, FuncInfo, Usage, Val};

/// What a host function is made of.
pub(crate) type HostFn = dyn Fn(&mut Caller<'_>, &[Val], &mut Vec<Val>) -> Result<(), Error> + Send + Sync;

/// What a store keeps of a host function.
pub(crate) struct HostFunc {
    pub(crate) call: Arc<HostFn>,
    pub(crate) signature: Arc<Signature>,
    /// Whether its frame may go to another thread while it waits: it holds nothing but what may be sent.
    sendable: bool,
    /// Parameter 0 of its thunk.
    vmctx: Pinned<VmCtx>,
}

/// The store as a host function sees it; dereferences to [`StoreInner`].
///
/// It holds no reference, so that none is held while the fiber is suspended by it.
#[derive(Debug)]
pub struct Caller<'a> {
    store: *mut StoreInner,
    borrow: PhantomData<&'a mut StoreInner>,
}

// SAFETY: it stands for an exclusive borrow of a `StoreInner`, which may be sent.
unsafe impl Send for Caller<'_> {}

impl Caller<'_> {
    /// # Safety
    /// While the caller is used, `store` lives at that address and is used through it alone, but for what runs while it is
    /// suspended.
    pub(crate) unsafe fn new<'a>(store: *mut StoreInner) -> Caller<'a> {
        Caller { store, borrow: PhantomData }
    }

    pub(crate) fn address(&self) -> *mut StoreInner {
        self.store
    }
}

impl Deref for Caller<'_> {
    type Target = StoreInner;
    fn deref(&self) -> &StoreInner {
        // SAFETY: the promise of `new`.
        unsafe { &*self.store }
    }
}

impl DerefMut for Caller<'_> {
    fn deref_mut(&mut self) -> &mut StoreInner {
        // SAFETY: the promise of `new`.
        unsafe { &mut *self.store }
    }
}

/// A function of a store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Func {
    pub(crate) store: u64,
    pub(crate) id: u32,
}

impl Func {
    /// A host function of type `ty` (its concrete types are live in the store's engine). The closure pushes its results
    /// onto the empty vector. A panic in it is carried through wasm to the outermost host call and resumed there.
    ///
    /// # Errors
    /// `Usage(WrongEngine)`, `Limit`.
    pub fn new(
        store: &mut StoreInner,
        ty: FuncType,
        call: impl Fn(&mut Caller<'_>, &[Val], &mut Vec<Val>) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<Func, Error> {
        Func::of_host(store, ty, false, call)
    }

    pub(crate) fn of_host(
        store: &mut StoreInner,
        ty: FuncType,
        sendable: bool,
        call: impl Fn(&mut Caller<'_>, &[Val], &mut Vec<Val>) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<Func, Error> {
        let sub = SubType { is_final: true, supertype: None, composite: CompositeType::Func(ty) };
        let group = store.engine().register(std::slice::from_ref(&sub))?;
        Func::make(store, group.ids()[0], sendable, call)
    }

    /// The same, of a registered function type (which may be a non-final one or have a supertype).
    ///
    /// # Errors
    /// `Usage(WrongEngine)`, `Internal` when `ty` is no function type.
    pub fn with_type(
        store: &mut StoreInner,
        ty: TypeId,
        call: impl Fn(&mut Caller<'_>, &[Val], &mut Vec<Val>) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<Func, Error> {
        Func::make(store, ty, false, call)
    }

    fn make(
        store: &mut StoreInner,
        ty: TypeId,
        sendable: bool,
        call: impl Fn(&mut Caller<'_>, &[Val], &mut Vec<Val>) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<Func, Error> {
        store.retain_type(ty)?;
        let signature = store.state.signature(ty.0)?;
        let host_func = store.state.hosts.len() as u32;
        let vmctx = Pinned::new(VmCtx { host_func, ..store.bare_vmctx() });
        let code = std::ptr::with_exposed_provenance(signature.trampolines.host_thunk);
        let entry = FuncEntry {
            code,
            vmctx: vmctx.as_ptr(),
            type_id: ty.0,
            instance: u32::MAX,
            index: host_func,
            reserved: 0,
        };
        store.state.hosts.push(HostFunc { call: Arc::new(call), signature, sendable, vmctx });
        let id = store.state.add_funcs([entry]);
        Ok(Func { store: store.id(), id })
    }

    pub(crate) fn entry(self, store: &StoreInner) -> Result<FuncEntry, Error> {
        check(store, self.store)?;
        Ok(store.state.funcs[self.id as usize])
    }
    /// Its canonical type.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn type_id(self, store: &StoreInner) -> Result<TypeId, Error> {
        Ok(TypeId(self.entry(store)?.type_id))
    }
    /// Its function type.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn ty(self, store: &StoreInner) -> Result<FuncType, Error> {
        let id = self.type_id(store)?;
        match store.types().get(id).as_deref().map(|def| &def.composite) {
            Some(CompositeType::Func(ty)) => Ok(ty.clone()),
            _ => Err(Error::internal("function of no function type")),
        }
    }
    /// Where it was defined.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn info(self, store: &StoreInner) -> Result<FuncInfo, Error> {
        check(store, self.store)?;
        store.inspector().func(self.id).ok_or_else(|| Error::internal("no such function"))
    }
    /// Calls it.
    ///
    /// # Errors
    /// `Trap`, `Exhausted`, a host function's error; `Usage` for wrong arguments.
    ///
    /// # Panics
    /// Resumes the panic of a host function.
    pub fn call(self, store: &mut StoreInner, args: &[Val]) -> Result<Vec<Val>, Error> {
        let entry = self.entry(store)?;
        let signature = store.state.signature(entry.type_id)?;
        let ty = &signature.ty;
        let mut small = [0u128; 16];
        let mut large;
        let count = ty.params.len().max(ty.results.len());
        let values: &mut [u128] = if count <= small.len() {
            &mut small
        } else {
            large = vec![0; count];
            &mut large
        };
        lower(store, args, &ty.params, values)?;
        enter(store, self.id, &signature.trampolines, values)?;
        Ok(ty.results.iter().zip(&*values).map(|(ty, bits)| Val::from_bits(store, *bits, ty)).collect())
    }
    /// Whether it can be called with `args`.
    pub(crate) fn check_args(self, store: &mut StoreInner, args: &[Val]) -> Result<(), Error> {
        let entry = self.entry(store)?;
        let signature = store.state.signature(entry.type_id)?;
        let mut values = vec![0; signature.ty.params.len()];
        lower(store, args, &signature.ty.params, &mut values)
    }
    /// A view of it with static types.
    ///
    /// # Errors
    /// `WrongStore`, `Type`, `Arity` when the types differ.
    pub fn typed<P: WasmList, R: WasmList>(self, store: &StoreInner) -> Result<TypedFunc<P, R>, Error> {
        TypedFunc::new(self, store)
    }
}

/// The body of the builtin `HostCall`: calls host function `host`, whose spilled arguments lie at `values`.
///
/// While the closure runs the fiber may be suspended, so no reference into the store is held then.
///
/// # Safety
/// `values` has room for the signature's parameters and results and holds the parameters; nobody else uses it. `owner`
/// is the store that runs, to which the caller holds no reference.
pub(crate) unsafe fn host_call(owner: *mut StoreInner, host: u32, values: *mut u128) -> Result<(), Error> {
    // SAFETY: the caller's promise.
    let store = unsafe { &mut *owner };
    let function =
        store.state.hosts.get(host as usize).ok_or_else(|| Error::internal("no such host function"))?;
    debug_assert!(!function.vmctx.as_ptr().is_null());
    let (call, signature, sendable) = (function.call.clone(), function.signature.clone(), function.sendable);
    let ty = &signature.ty;
    let count = ty.params.len().max(ty.results.len());
    let mut args = Vec::with_capacity(ty.params.len());
    if count > 0 {
        // SAFETY: the caller's promise.
        let slots = unsafe { std::slice::from_raw_parts(values, ty.params.len()) };
        args.extend(ty.params.iter().zip(slots).map(|(ty, bits)| Val::from_bits(store, *bits, ty)));
    }
    let mut results = Vec::with_capacity(ty.results.len());
    let (ctx, depth) = (store.state.ctx.as_ptr(), store.state.depth());
    if !sendable {
        store.state.pin_fiber();
    }
    // SAFETY: the store lives as long as its code runs, and is used through the caller alone.
    let mut caller = unsafe { Caller::new(owner) };
    // However the closure ends: when it has put another store in the place of this one, nothing can be trusted.
    let outcome = catch_unwind(AssertUnwindSafe(|| call(&mut caller, &args, &mut results)));
    // SAFETY: as above; a store with suspended fibers stays where it is.
    let store = unsafe { &mut *owner };
    if store.state.ctx.as_ptr() != ctx || store.state.depth() != depth {
        swapped();
    }
    if !sendable {
        store.state.unpin_fiber();
    }
    outcome.unwrap_or_else(|payload| resume_unwind(payload))?;
    if results.len() != ty.results.len() {
        return Err(Error::usage(Usage::Arity { expected: ty.results.len(), given: results.len() }));
    }
    if count > 0 {
        // SAFETY: the caller's promise; the arguments are not read any more.
        let slots = unsafe { std::slice::from_raw_parts_mut(values, ty.results.len()) };
        lower(store, &results, &ty.results, slots)?;
    }
    Ok(())
}
