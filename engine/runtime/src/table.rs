//! Tables: 4-byte reference words that generated code reads and writes.
//!
//! Invariant: the elements lie in a zero-initialised allocation of `capacity` words that only raw pointers reach;
//! `def` names its start and the current length.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

use assay_gc::{GcRef, ValType};
use assay_jit::module::TableType;
use assay_jit::vmctx::TableDef;

use crate::externs::check;
use crate::pinned::Pinned;
use crate::store::{State, StoreInner};
use crate::value::is_traced;
use crate::{Error, ErrorKind, RawVal, Resource, Usage, Val};

/// A table of a store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Table {
    pub(crate) store: u64,
    pub(crate) index: u32,
}

/// What a store keeps of a table.
pub(crate) struct TableData {
    pub(crate) def: Pinned<TableDef>,
    capacity: usize,
    pub(crate) ty: TableType,
    pub(crate) traced: bool,
    /// Most elements it may have.
    limit: u64,
}

/// `capacity` zeroed words; the pages of a large allocation are not touched.
fn allocate(capacity: usize) -> Option<*mut u32> {
    if capacity == 0 {
        return Some(NonNull::dangling().as_ptr());
    }
    let layout = Layout::array::<u32>(capacity).ok()?;
    // SAFETY: the layout is not empty.
    let words = unsafe { alloc_zeroed(layout) };
    NonNull::new(words.cast()).map(NonNull::as_ptr)
}

fn free(words: *mut u32, capacity: usize) {
    if capacity > 0
        && let Ok(layout) = Layout::array::<u32>(capacity)
    {
        // SAFETY: `allocate` made it with this capacity.
        unsafe { dealloc(words.cast(), layout) };
    }
}

impl TableData {
    fn new(ty: TableType, traced: bool, max: u64) -> Option<TableData> {
        let architectural = if ty.is_64 { u64::MAX } else { u64::from(u32::MAX) };
        let limit = ty.max.unwrap_or(u64::MAX).min(max).min(architectural);
        if ty.min > limit {
            return None;
        }
        let capacity = ty.min as usize;
        let def = Pinned::new(TableDef { base: allocate(capacity)?, len: ty.min });
        Some(TableData { def, capacity, ty, traced, limit })
    }
    fn def(&self) -> (*mut u32, u64) {
        // SAFETY: pinned; generated code is not running while the store is borrowed.
        let def = unsafe { &*self.def.as_ptr() };
        (def.base, def.len)
    }
    /// Number of elements.
    pub(crate) fn len(&self) -> u64 {
        self.def().1
    }
    /// The words.
    pub(crate) fn elements(&self) -> &[GcRef] {
        let (base, len) = self.def();
        // SAFETY: `len <= capacity` words, all initialised; `GcRef` is transparent over `u32`.
        unsafe { std::slice::from_raw_parts(base.cast(), len as usize) }
    }
    /// The words, to write.
    pub(crate) fn elements_mut(&mut self) -> &mut [GcRef] {
        let (base, len) = self.def();
        // SAFETY: `len <= capacity` words, all initialised; the store is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(base.cast(), len as usize) }
    }
    /// Whether growth by `delta` stays within the limits.
    pub(crate) fn may_grow(&self, delta: u64) -> bool {
        self.len().checked_add(delta).is_some_and(|len| len <= self.limit)
    }
    /// Grows, filling with `init`; false when over the limits or out of memory.
    pub(crate) fn grow(&mut self, delta: u64, init: GcRef) -> bool {
        if !self.may_grow(delta) {
            return false;
        }
        let (base, len) = self.def();
        let new_len = len + delta;
        if new_len as usize > self.capacity {
            let most = usize::try_from(self.limit).unwrap_or(usize::MAX);
            let capacity = (new_len as usize).max(2 * self.capacity).min(most);
            let Some(words) = allocate(capacity) else { return false };
            // SAFETY: the old allocation has `len` words, the new one more; they are apart.
            unsafe { std::ptr::copy_nonoverlapping(base, words, len as usize) };
            free(base, self.capacity);
            self.capacity = capacity;
            // SAFETY: pinned; generated code is not running while the store is borrowed.
            unsafe { (*self.def.as_ptr()).base = words };
        }
        // SAFETY: as above.
        unsafe { (*self.def.as_ptr()).len = new_len };
        if !init.is_null() {
            self.elements_mut()[len as usize..].fill(init);
        }
        true
    }
    /// The index range `[start, start + len)` if it lies inside.
    pub(crate) fn range(&self, start: u64, len: u64) -> Option<std::ops::Range<usize>> {
        let end = start.checked_add(len)?;
        (end <= self.len()).then_some(start as usize..end as usize)
    }
}

impl Drop for TableData {
    fn drop(&mut self) {
        let (base, _) = self.def();
        free(base, self.capacity);
    }
}

impl StoreInner {
    /// Tells the heap, if it wants to know, that `range` of table `at` is about to hold the words `new(state, index)`,
    /// the index counted from the range's start.
    pub(crate) fn table_barrier(
        &mut self,
        at: usize,
        range: std::ops::Range<usize>,
        new: impl Fn(&State, usize) -> GcRef,
    ) {
        let StoreInner { heap, state } = self;
        if !heap.has_root_barrier() || !state.tables[at].traced {
            return;
        }
        (0..range.len()).for_each(|index| heap.root_gained(new(state, index)));
        state.tables[at].elements()[range].iter().for_each(|&old| heap.root_lost(old));
    }
    /// Sets all elements of table `at`.
    pub(crate) fn fill_table(&mut self, at: usize, word: GcRef) {
        if !word.is_null() {
            let all = 0..self.state.tables[at].elements().len();
            self.table_barrier(at, all, |_, _| word);
            self.state.tables[at].elements_mut().fill(word);
        }
    }
    /// Grows table `at` by `delta` elements of `init`: the old size, or `None` when over the limits or out of memory.
    pub(crate) fn grow_table(&mut self, at: usize, delta: u64, init: GcRef) -> Option<u64> {
        let table = &mut self.state.tables[at];
        let old = table.len();
        if !table.grow(delta, GcRef::NULL) {
            return None;
        }
        if !init.is_null() {
            let added = old as usize..self.state.tables[at].elements().len();
            self.table_barrier(at, added.clone(), |_, _| init);
            self.state.tables[at].elements_mut()[added].fill(init);
        }
        Some(old)
    }
}

impl Table {
    /// A new table filled with `init`.
    ///
    /// # Errors
    /// `Exhausted(Table)` above the configured limit; `Usage(Type)`.
    pub fn new(store: &mut StoreInner, ty: TableType, init: &Val) -> Result<Table, Error> {
        let element = ValType::Ref(ty.element);
        store.retain_val_type(&element)?;
        let word = init.to_bits(store, &element)?.ok_or_else(|| Error::usage(Usage::Type { index: 0 }))?;
        let table = Table::alloc(store, ty)?;
        store.fill_table(table.index as usize, GcRef(word as u32));
        Ok(table)
    }
    /// A new table of nulls.
    pub(crate) fn alloc(store: &mut StoreInner, ty: TableType) -> Result<Table, Error> {
        let traced = is_traced(store, &ValType::Ref(ty.element));
        let fits = store.state.may_add_elements(ty.min);
        let data =
            fits.then(|| TableData::new(ty, traced, store.engine().config().max_table_elements)).flatten();
        let data = data.ok_or_else(|| Error::new(ErrorKind::Exhausted(Resource::Table)))?;
        store.state.tables.push(data);
        Ok(Table { store: store.id(), index: store.state.tables.len() as u32 - 1 })
    }
    fn data(self, store: &StoreInner) -> Result<&TableData, Error> {
        check(store, self.store)?;
        Ok(&store.state.tables[self.index as usize])
    }
    /// Its type; the minimum is the current size.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn ty(self, store: &StoreInner) -> Result<TableType, Error> {
        let data = self.data(store)?;
        Ok(TableType { min: data.len(), ..data.ty })
    }
    /// Number of elements.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn size(self, store: &StoreInner) -> Result<u64, Error> {
        Ok(self.data(store)?.len())
    }
    /// Element `index`; `None` out of range.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn get(self, store: &mut StoreInner, index: u64) -> Result<Option<Val>, Error> {
        let Some(raw) = self.raw(store, index)? else { return Ok(None) };
        let ty = ValType::Ref(store.state.tables[self.index as usize].ty.element);
        Ok(Some(Val::of_raw(store, raw, &ty)))
    }
    /// Element `index` without a handle, for an [`Inspector`](crate::Inspector); `None` out of range.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn raw(self, store: &StoreInner, index: u64) -> Result<Option<RawVal>, Error> {
        let data = self.data(store)?;
        let word = usize::try_from(index).ok().and_then(|index| data.elements().get(index).copied());
        Ok(word.map(|word| if data.traced { RawVal::Ref(word) } else { RawVal::Func(word.0) }))
    }
    /// Sets element `index`.
    ///
    /// # Errors
    /// `WrongStore`, `Type`, `OutOfRange`.
    pub fn set(self, store: &mut StoreInner, index: u64, value: &Val) -> Result<(), Error> {
        let word = self.word(store, value)?;
        let size = self.data(store)?.len();
        if index >= size {
            return Err(Error::usage(Usage::OutOfRange { given: index, size }));
        }
        let slot = index as usize;
        store.table_barrier(self.index as usize, slot..slot + 1, |_, _| word);
        store.state.tables[self.index as usize].elements_mut()[slot] = word;
        Ok(())
    }
    /// Grows by `delta` elements of `init`; returns the old size.
    ///
    /// # Errors
    /// `WrongStore`, `Type`, `Exhausted(Table)`.
    pub fn grow(self, store: &mut StoreInner, delta: u64, init: &Val) -> Result<u64, Error> {
        let word = self.word(store, init)?;
        let grown = store.grow_table(self.index as usize, delta, word);
        grown.ok_or_else(|| Error::new(ErrorKind::Exhausted(Resource::Table)))
    }
    fn word(self, store: &StoreInner, value: &Val) -> Result<GcRef, Error> {
        let ty = ValType::Ref(self.data(store)?.ty.element);
        let bits = value.to_bits(store, &ty)?.ok_or_else(|| Error::usage(Usage::Type { index: 0 }))?;
        Ok(GcRef(bits as u32))
    }
}
