//! Globals: 16-byte cells that generated code reads and writes.

use assay_gc::{GcRef, ValType};
use assay_jit::module::GlobalType;

use crate::externs::check;
use crate::pinned::Pinned;
use crate::store::StoreInner;
use crate::value::is_traced;
use crate::{Error, RawVal, Usage, Val};

/// A global of a store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Global {
    pub(crate) store: u64,
    pub(crate) index: u32,
}

/// What a store keeps of a global.
pub(crate) struct GlobalData {
    pub(crate) cell: Pinned<u128>,
    pub(crate) ty: GlobalType,
    pub(crate) traced: bool,
}

impl GlobalData {
    pub(crate) fn bits(&self) -> u128 {
        // SAFETY: pinned; generated code is not running while the store is borrowed.
        let bits = unsafe { self.cell.as_ptr().read() };
        match self.ty.content {
            ValType::I64 | ValType::F64 => u128::from(bits as u64),
            ValType::V128 => bits,
            // Generated code writes the low bytes only.
            _ => u128::from(bits as u32),
        }
    }
    pub(crate) fn set_bits(&mut self, bits: u128) {
        // SAFETY: pinned; generated code is not running while the store is borrowed.
        unsafe { self.cell.as_ptr().write(bits) };
    }
}

impl StoreInner {
    /// Sets global `at`, with the heap's barrier.
    pub(crate) fn set_global(&mut self, at: usize, bits: u128) {
        let global = &mut self.state.globals[at];
        if global.traced {
            self.heap.root_slot_written(GcRef(global.bits() as u32), GcRef(bits as u32));
        }
        global.set_bits(bits);
    }
}

impl Global {
    /// A new global.
    ///
    /// # Errors
    /// `Usage(Type)` when `value` is not of the content type.
    pub fn new(store: &mut StoreInner, ty: GlobalType, value: &Val) -> Result<Global, Error> {
        store.retain_val_type(&ty.content)?;
        let bits =
            value.to_bits(store, &ty.content)?.ok_or_else(|| Error::usage(Usage::Type { index: 0 }))?;
        Ok(Global::alloc(store, ty, bits))
    }
    pub(crate) fn alloc(store: &mut StoreInner, ty: GlobalType, bits: u128) -> Global {
        let traced = is_traced(store, &ty.content);
        if traced {
            store.heap.root_gained(GcRef(bits as u32));
        }
        store.state.globals.push(GlobalData { cell: Pinned::new(bits), ty, traced });
        Global { store: store.id(), index: store.state.globals.len() as u32 - 1 }
    }
    /// Its type.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn ty(self, store: &StoreInner) -> Result<GlobalType, Error> {
        check(store, self.store)?;
        Ok(store.state.globals[self.index as usize].ty)
    }
    /// Its value.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn get(self, store: &mut StoreInner) -> Result<Val, Error> {
        check(store, self.store)?;
        let global = &store.state.globals[self.index as usize];
        let (bits, ty) = (global.bits(), global.ty.content);
        Ok(Val::from_bits(store, bits, &ty))
    }
    /// Its value without a handle, for an [`Inspector`](crate::Inspector).
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn raw(self, store: &StoreInner) -> Result<RawVal, Error> {
        check(store, self.store)?;
        let global = &store.state.globals[self.index as usize];
        let bits = global.bits();
        Ok(match global.ty.content {
            ValType::I32 => RawVal::I32(bits as i32),
            ValType::I64 => RawVal::I64(bits as i64),
            ValType::F32 => RawVal::F32(bits as u32),
            ValType::F64 => RawVal::F64(bits as u64),
            ValType::V128 => RawVal::V128(bits),
            ValType::Ref(_) if global.traced => RawVal::Ref(GcRef(bits as u32)),
            ValType::Ref(_) => RawVal::Func(bits as u32),
        })
    }
    /// Sets a mutable global.
    ///
    /// # Errors
    /// `WrongStore`, `Immutable`, `Type`.
    pub fn set(self, store: &mut StoreInner, value: &Val) -> Result<(), Error> {
        let ty = self.ty(store)?;
        if !ty.mutable {
            return Err(Error::usage(Usage::Immutable));
        }
        let bits =
            value.to_bits(store, &ty.content)?.ok_or_else(|| Error::usage(Usage::Type { index: 0 }))?;
        store.set_global(self.index as usize, bits);
        Ok(())
    }
}
