//! Blocks and large objects together: the space of a collector that does not move objects.

use super::blocks::{Blocks, LiveBy};
use super::large::Large;
use crate::Error;
use crate::collector::Account;
use crate::header::TYPE_WORD;
use crate::heap::{HeapCore, measure};
use crate::memory::{GRANULE, NULL_PAGE, View};
use crate::space::classes::size_class;
use crate::types::TypeId;

/// A non-moving heap.
pub(crate) struct Cells {
    pub(crate) blocks: Blocks,
    pub(crate) large: Large,
}

/// Type and size of the object at `at` by its header, which lies in its `room` bytes.
///
/// # Errors
/// `Corrupt`.
#[inline]
pub(crate) fn measured_in(
    core: &HeapCore,
    view: &View<'_>,
    at: u32,
    room: u32,
) -> Result<(TypeId, u32), Error> {
    let (id, size) = measure(view, &core.layouts, at)?;
    if size > room {
        return Err(Error::corrupt("object reaches beyond its cell", at));
    }
    Ok((id, size))
}

/// An object that was found and measured.
pub(crate) struct Measured<'c> {
    /// Of its space.
    pub(crate) view: View<'c>,
    /// Bytes that it may take.
    pub(crate) room: u32,
    pub(crate) id: TypeId,
    /// Bytes that it takes.
    pub(crate) size: u32,
}

impl Cells {
    /// Divides the reservation: half for blocks, half for large objects; lowers the heap's limit to either.
    ///
    /// # Errors
    /// `Reservation`.
    pub(crate) fn start(core: &mut HeapCore) -> Result<Cells, Error> {
        let half = (core.memory.span() - NULL_PAGE) / 2 / GRANULE * GRANULE;
        core.limit_bytes(half);
        let blocks = Blocks::new(core, NULL_PAGE, NULL_PAGE + half)?;
        let large = Large::new(core, NULL_PAGE + half, NULL_PAGE + 2 * half)?;
        Ok(Cells { blocks, large })
    }

    /// Takes `size` bytes within the heap's limit, sweeping if need be.
    pub(crate) fn alloc(&mut self, core: &mut HeapCore, size: u32) -> Option<u32> {
        loop {
            let room = core.max_bytes().saturating_sub(self.taken());
            let taken = match size_class(size) {
                Some(class) => self.blocks.alloc(core, class, room),
                None if u64::from(size) <= room => self.large.alloc(core, size),
                None => None,
            };
            // What is not swept yet counts as taken; so do the free cells of lists of other classes.
            if taken.is_some() || !self.reclaim(core) {
                return taken;
            }
        }
    }

    /// Makes room under the limit without a collection; whether it did.
    fn reclaim(&mut self, core: &mut HeapCore) -> bool {
        let before = self.taken();
        self.blocks.sweep_now(core);
        self.blocks.retire(core);
        self.taken() < before
    }

    /// Bytes that objects and lists take: quickly known, and at most some blocks more than [`Cells::account`] says.
    pub(crate) fn taken(&self) -> u64 {
        self.blocks.taken() + self.large.used()
    }

    /// Bytes that objects and lists have ever taken: the clock that allocation drives, whatever is swept when.
    pub(crate) fn clock(&self, core: &HeapCore) -> u64 {
        self.taken() + core.stats.bytes_freed
    }

    /// Bytes in use.
    pub(crate) fn account(&self, core: &HeapCore) -> Account {
        let Account { used, uncounted } = self.blocks.account(core);
        Account { used: used + self.large.used(), uncounted }
    }

    /// The object at `at`: a view of its space and its room. `None` if there is none.
    #[inline]
    pub(crate) fn find<'c>(&self, core: &'c HeapCore, at: u32) -> Option<(View<'c>, u32)> {
        match self.blocks.cell_size(at) {
            Some(size) => {
                let view = self.blocks.view(core);
                (view.read_u32(at + TYPE_WORD)? != 0).then_some((view, size))
            }
            None => Some((self.large.view(core), self.large.get(at)?.size)),
        }
    }

    /// Whether an object starts at `at`, as far as can be said without believing more than one word.
    pub(crate) fn holds(&self, core: &HeapCore, at: u32) -> bool {
        self.room(core, at).is_some()
    }

    /// The bytes that the object at `at` may take; `None` if there is none.
    pub(crate) fn room(&self, core: &HeapCore, at: u32) -> Option<u32> {
        self.find(core, at).map(|(_, room)| room)
    }

    /// The object at `at`, measured by its header, which lies in its room.
    ///
    /// # Errors
    /// `Corrupt`.
    #[inline]
    pub(crate) fn measured<'c>(&self, core: &'c HeapCore, at: u32) -> Result<Measured<'c>, Error> {
        let (view, room) = self.find(core, at).ok_or_else(|| Error::corrupt("no object", at))?;
        let (id, size) = measured_in(core, &view, at, room)?;
        Ok(Measured { view, room, id, size })
    }

    /// Marks the object at `at`: whether it was not marked yet. `None` if there is none.
    #[inline]
    pub(crate) fn mark(&mut self, at: u32) -> Option<bool> {
        match self.blocks.mark(at) {
            Some(newly) => Some(newly),
            None => self.large.get_mut(at).map(|object| !std::mem::replace(&mut object.marked, true)),
        }
    }

    /// Takes the mark of the object at `at` away.
    pub(crate) fn unmark(&mut self, at: u32) {
        if self.blocks.is_cell(at) {
            self.blocks.unmark(at);
        } else if let Some(object) = self.large.get_mut(at) {
            object.marked = false;
        }
    }

    /// Whether the object at `at` is marked.
    #[inline]
    pub(crate) fn is_marked(&self, at: u32) -> bool {
        let large = || self.large.get(at).is_some_and(|object| object.marked);
        self.blocks.is_marked(at).unwrap_or_else(large)
    }

    /// Calls `f` with each object that is not marked, a view of it and its room.
    ///
    /// # Errors
    /// Those of `f`.
    pub(crate) fn unmarked(
        &self,
        core: &HeapCore,
        f: &mut impl FnMut(&View<'_>, u32, u32) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.blocks.unmarked(core, f)?;
        let view = self.large.view(core);
        let mut large = self.large.iter().filter(|(_, object)| !object.marked);
        large.try_for_each(|(at, object)| f(&view, at, object.size))
    }

    /// Clears all marks.
    pub(crate) fn clear_marks(&mut self) {
        self.blocks.clear_marks();
        self.large.iter_mut().for_each(|(_, object)| object.marked = false);
    }

    /// Frees one object.
    pub(crate) fn free(&mut self, core: &mut HeapCore, at: u32) {
        if !self.blocks.free_cell(core, at) {
            self.large.free(core, at);
        }
    }

    /// Frees what is not marked: large objects at once, blocks when their cells are needed. The lists were retired.
    pub(crate) fn sweep_marked(&mut self, core: &mut HeapCore) {
        self.large.sweep(core, |_, object| object.marked);
        self.blocks.begin_sweep(LiveBy::Mark);
    }

    /// Completes the sweep and gives memory back.
    pub(crate) fn settle(&mut self, core: &mut HeapCore) {
        self.blocks.sweep_all(core);
        if self.blocks.shrink(core) {
            core.stats.shrunk += 1;
        }
    }

    /// Checks free lists and the division of the large-object space.
    ///
    /// # Errors
    /// `Verify`.
    pub(crate) fn check(&self, core: &HeapCore) -> Result<(), Error> {
        self.blocks.check_lists(core)?;
        self.large.check()
    }

    /// Calls `f` with each object and its room.
    ///
    /// # Errors
    /// Those of `f`.
    pub(crate) fn cells(
        &self,
        core: &HeapCore,
        f: &mut dyn FnMut(u32, u32) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.blocks.cells(core, f)?;
        self.large.iter().try_for_each(|(at, object)| f(at, object.size))
    }
}
