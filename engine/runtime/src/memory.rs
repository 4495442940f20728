//! Linear memories: reserved address space, committed by growth.
//!
//! A 32-bit memory reserves all that an index plus a static offset can reach, so generated code needs no checks; a
//! 64-bit one reserves its maximum and is checked. The base never moves.

use std::ops::Range;

use assay_jit::module::MemoryType;
use assay_jit::vmctx::MemoryDef;

use crate::externs::check;
use crate::pinned::Pinned;
use crate::reserve::Reservation;
use crate::store::StoreInner;
use crate::{Error, ErrorKind, Resource, Usage};

/// Bytes of a page.
pub(crate) const PAGE: u64 = 1 << 16;
/// Index and offset space of a 32-bit memory, and a guard for the access's own width.
const FULL_RESERVATION: usize = (8 << 30) + (64 << 10);

/// A memory of a store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Memory {
    pub(crate) store: u64,
    pub(crate) index: u32,
}

/// What a store keeps of a memory.
pub(crate) struct MemoryData {
    pub(crate) def: Pinned<MemoryDef>,
    map: Reservation,
    pub(crate) ty: MemoryType,
    /// Most pages it may have.
    limit: u64,
}

impl MemoryData {
    fn new(ty: MemoryType, max_pages: u64) -> Option<MemoryData> {
        let architectural = if ty.is_64 { u64::MAX / PAGE } else { 1 << 16 };
        let limit = ty.max.unwrap_or(u64::MAX).min(max_pages).min(architectural);
        if ty.min > limit {
            return None;
        }
        let bytes = if ty.is_64 {
            usize::try_from(limit.checked_mul(PAGE)?).ok()?.max(1 << 16)
        } else {
            FULL_RESERVATION
        };
        let mut map = Reservation::new(bytes)?;
        if !map.commit((ty.min * PAGE) as usize) {
            return None;
        }
        let def = Pinned::new(MemoryDef { base: map.base(), len: ty.min * PAGE });
        Some(MemoryData { def, map, ty, limit })
    }
    /// Bytes.
    pub(crate) fn len(&self) -> u64 {
        // SAFETY: pinned; generated code is not running while the store is borrowed.
        unsafe { (*self.def.as_ptr()).len }
    }
    /// Pages.
    pub(crate) fn pages(&self) -> u64 {
        self.len() / PAGE
    }
    /// Whether growth by `delta` pages stays within the limits.
    pub(crate) fn may_grow(&self, delta: u64) -> bool {
        self.pages().checked_add(delta).is_some_and(|pages| pages <= self.limit)
    }
    /// Grows; false when over the limits or when the system refuses.
    pub(crate) fn grow(&mut self, delta: u64) -> bool {
        if !self.may_grow(delta) {
            return false;
        }
        let bytes = (self.pages() + delta) * PAGE;
        if !self.map.commit(bytes as usize) {
            return false;
        }
        // SAFETY: pinned; generated code is not running while the store is borrowed.
        unsafe { (*self.def.as_ptr()).len = bytes };
        true
    }
    /// The addresses that belong to it, guards included.
    pub(crate) fn reserved(&self) -> Range<usize> {
        self.map.addresses()
    }
    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the first `len` bytes are committed; the store is borrowed, so nothing writes them meanwhile.
        unsafe { std::slice::from_raw_parts(self.map.base(), self.len() as usize) }
    }
    /// Its bytes, to write.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the first `len` bytes are committed; the store is borrowed mutably, so nothing else sees them.
        unsafe { std::slice::from_raw_parts_mut(self.map.base(), self.len() as usize) }
    }
    /// The index range `[start, start + len)` if it lies inside.
    pub(crate) fn range(&self, start: u64, len: u64) -> Option<Range<usize>> {
        let end = start.checked_add(len)?;
        (end <= self.len()).then_some(start as usize..end as usize)
    }
}

impl Memory {
    /// A new memory.
    ///
    /// # Errors
    /// `Exhausted(Memory)` above the configured limit.
    pub fn new(store: &mut StoreInner, ty: MemoryType) -> Result<Memory, Error> {
        let fits = store.state.may_add_pages(ty.min);
        let data = fits.then(|| MemoryData::new(ty, store.engine().config().max_memory_pages)).flatten();
        let data = data.ok_or_else(|| Error::new(ErrorKind::Exhausted(Resource::Memory)))?;
        store.state.memories.push(data);
        Ok(Memory { store: store.id(), index: store.state.memories.len() as u32 - 1 })
    }
    fn data_of(self, store: &StoreInner) -> Result<&MemoryData, Error> {
        check(store, self.store)?;
        Ok(&store.state.memories[self.index as usize])
    }
    /// Its type; the minimum is the current size.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn ty(self, store: &StoreInner) -> Result<MemoryType, Error> {
        let data = self.data_of(store)?;
        Ok(MemoryType { min: data.pages(), ..data.ty })
    }
    /// Pages.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn size(self, store: &StoreInner) -> Result<u64, Error> {
        Ok(self.data_of(store)?.pages())
    }
    /// Its bytes.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn data(self, store: &StoreInner) -> Result<&[u8], Error> {
        Ok(self.data_of(store)?.bytes())
    }
    /// Its bytes, to write.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn data_mut(self, store: &mut StoreInner) -> Result<&mut [u8], Error> {
        check(store, self.store)?;
        Ok(store.state.memories[self.index as usize].bytes_mut())
    }
    /// Reads into `bytes`.
    ///
    /// # Errors
    /// `WrongStore`, `OutOfRange`.
    pub fn read(self, store: &StoreInner, at: u64, bytes: &mut [u8]) -> Result<(), Error> {
        let data = self.data_of(store)?;
        let range = data.range(at, bytes.len() as u64);
        let range = range.ok_or_else(|| Error::usage(Usage::OutOfRange { given: at, size: data.len() }))?;
        bytes.copy_from_slice(&data.bytes()[range]);
        Ok(())
    }
    /// Writes `bytes`.
    ///
    /// # Errors
    /// `WrongStore`, `OutOfRange`.
    pub fn write(self, store: &mut StoreInner, at: u64, bytes: &[u8]) -> Result<(), Error> {
        check(store, self.store)?;
        let data = &mut store.state.memories[self.index as usize];
        let range = data.range(at, bytes.len() as u64);
        let range = range.ok_or_else(|| Error::usage(Usage::OutOfRange { given: at, size: data.len() }))?;
        data.bytes_mut()[range].copy_from_slice(bytes);
        Ok(())
    }
    /// Grows by `delta` pages; returns the old size.
    ///
    /// # Errors
    /// `WrongStore`, `Exhausted(Memory)`.
    pub fn grow(self, store: &mut StoreInner, delta: u64) -> Result<u64, Error> {
        check(store, self.store)?;
        let data = &mut store.state.memories[self.index as usize];
        let old = data.pages();
        if data.grow(delta) { Ok(old) } else { Err(Error::new(ErrorKind::Exhausted(Resource::Memory))) }
    }
}
