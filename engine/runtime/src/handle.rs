//! Host handles of traced references: a slot table per store that every collection updates.
//!
//! Invariant: a slot with a count above 0 is shown to each collection as a root. The lock is held while a collection
//! visits the slots; collectors never drop a handle.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use assay_gc::GcRef;

use crate::store::StoreInner;
use crate::{Error, RefKind, Usage, Val};

#[derive(Clone, Copy, Debug)]
struct Slot {
    value: GcRef,
    /// Handles that name this slot; 0 = free.
    count: u32,
}

#[derive(Debug, Default)]
struct Slots {
    entries: Vec<Slot>,
    free: Vec<u32>,
}

/// The slot table of one store.
#[derive(Debug)]
pub(crate) struct Handles {
    store: u64,
    slots: Mutex<Slots>,
}

impl Handles {
    /// An empty table.
    pub(crate) fn new(store: u64) -> Arc<Handles> {
        Arc::new(Handles { store, slots: Mutex::default() })
    }
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Roots `value`.
    pub(crate) fn root(self: &Arc<Self>, value: GcRef) -> Rooted {
        let mut slots = self.lock();
        let slot = Slot { value, count: 1 };
        let index = match slots.free.pop() {
            Some(index) => {
                slots.entries[index as usize] = slot;
                index
            }
            None => {
                slots.entries.push(slot);
                slots.entries.len() as u32 - 1
            }
        };
        drop(slots);
        Rooted { table: self.clone(), index }
    }
    /// Shows each live slot.
    pub(crate) fn visit(&self, visit: &mut dyn FnMut(&mut GcRef)) {
        for slot in self.lock().entries.iter_mut().filter(|slot| slot.count > 0) {
            visit(&mut slot.value);
        }
    }
    /// Live slots.
    pub(crate) fn live(&self) -> usize {
        let slots = self.lock();
        slots.entries.len() - slots.free.len()
    }
}

/// A rooted reference of the `any`, `extern` or `exn` hierarchy, never null. Keeps its object alive and follows its moves;
/// cheap to clone; dropping it frees the root. Sending it to another thread is fine, reading it needs its store.
pub struct Rooted {
    table: Arc<Handles>,
    index: u32,
}

impl Rooted {
    /// The reference word at this moment.
    ///
    /// # Errors
    /// `WrongStore`.
    pub(crate) fn get(&self, store: &StoreInner) -> Result<GcRef, Error> {
        if self.table.store != store.id() {
            return Err(Error::usage(Usage::WrongStore));
        }
        Ok(self.table.lock().entries[self.index as usize].value)
    }
    /// What it refers to.
    ///
    /// # Errors
    /// `Usage` for another store's handle, `Corrupt` when the word is impossible.
    pub fn kind(&self, store: &StoreInner) -> Result<RefKind, Error> {
        let word = self.get(store)?;
        store.inspector().kind(word).ok_or_else(|| Error::corrupt("handle to no object"))
    }
    /// Whether both are the same object, or equal i31s.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn ref_eq(&self, store: &StoreInner, other: &Rooted) -> Result<bool, Error> {
        Ok(self.get(store)? == other.get(store)?)
    }
    /// Number of fields of a struct; `None` for anything else.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn struct_len(&self, store: &StoreInner) -> Result<Option<u32>, Error> {
        let word = self.get(store)?;
        Ok(store.inspector().struct_len(word))
    }
    /// Field `index` of a struct (packed fields zero-extended); `None` when there is none.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn field(&self, store: &mut StoreInner, index: u32) -> Result<Option<Val>, Error> {
        let word = self.get(store)?;
        let Some((ty, raw)) = store.inspector().struct_field_typed(word, index) else { return Ok(None) };
        Ok(Some(Val::of_raw(store, raw, &ty)))
    }
    /// Length of an array; `None` for anything else.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn array_len(&self, store: &StoreInner) -> Result<Option<u32>, Error> {
        let word = self.get(store)?;
        Ok(store.inspector().array_len(word))
    }
    /// Element `index` of an array (packed ones zero-extended); `None` when there is none.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn elem(&self, store: &mut StoreInner, index: u32) -> Result<Option<Val>, Error> {
        let word = self.get(store)?;
        let Some((ty, raw)) = store.inspector().array_elem_typed(word, index) else { return Ok(None) };
        Ok(Some(Val::of_raw(store, raw, &ty)))
    }
    /// The value of an i31, sign-extended; `None` for anything else.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn i31(&self, store: &StoreInner) -> Result<Option<i32>, Error> {
        let word = self.get(store)?;
        Ok(word.is_i31().then(|| word.i31_signed()))
    }
}

impl std::fmt::Debug for Rooted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rooted").field("store", &self.table.store).field("slot", &self.index).finish()
    }
}

impl Clone for Rooted {
    fn clone(&self) -> Rooted {
        self.table.lock().entries[self.index as usize].count += 1;
        Rooted { table: self.table.clone(), index: self.index }
    }
}

impl Drop for Rooted {
    fn drop(&mut self) {
        let mut slots = self.table.lock();
        let slot = &mut slots.entries[self.index as usize];
        slot.count -= 1;
        if slot.count == 0 {
            slot.value = GcRef::NULL;
            slots.free.push(self.index);
        }
    }
}
