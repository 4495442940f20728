//! Marking: a stack of objects that were reached and not yet scanned.
//!
//! Invariant: an object is pushed when its mark is set, so it is pushed once; only words that name an object of the
//! space are followed, so marking ends on any heap.

use super::cells::{Cells, Measured};
use super::trace::each_reference;
use crate::heap::HeapCore;
use crate::{Error, GcRef, RootKind, RootPhase, RootSet};

/// Marking under way.
#[derive(Default)]
pub(crate) struct Marker {
    /// Grey objects.
    stack: Vec<u32>,
    /// Objects scanned so far.
    pub(crate) objects: u64,
    /// Bytes of them.
    pub(crate) bytes: u64,
    /// Bytes of their cells.
    pub(crate) room: u64,
}

impl Marker {
    /// Marks what the roots of `phase` refer to.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(crate) fn roots(
        &mut self,
        core: &mut HeapCore,
        cells: &mut Cells,
        phase: RootPhase,
        roots: &mut dyn RootSet,
    ) -> Result<(), Error> {
        let mut outcome = Ok(());
        let (mut all, mut of_frames) = (0, 0);
        roots.visit(phase, &mut |kind, slot| {
            all += 1;
            of_frames += u64::from(matches!(kind, RootKind::Frame | RootKind::SuspendedFrame));
            if outcome.is_ok() {
                outcome = self.reach(cells, *slot);
            }
        });
        core.stats.roots += all;
        core.stats.frame_roots += of_frames;
        outcome
    }

    /// Marks what `word` refers to.
    ///
    /// # Errors
    /// `Corrupt` when it is neither null, nor an i31, nor an object.
    #[inline]
    pub(crate) fn reach(&mut self, cells: &mut Cells, word: GcRef) -> Result<(), Error> {
        reach(&mut self.stack, cells, word)
    }

    /// Scans grey objects until none is left.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(crate) fn drain(&mut self, core: &HeapCore, cells: &mut Cells) -> Result<(), Error> {
        while let Some(at) = self.stack.pop() {
            self.scan(core, cells, at)?;
        }
        Ok(())
    }

    fn scan(&mut self, core: &HeapCore, cells: &mut Cells, at: u32) -> Result<(), Error> {
        let Measured { view, room, id, size } = cells.measured(core, at)?;
        self.objects += 1;
        self.bytes += u64::from(size);
        self.room += u64::from(room);
        each_reference(&view, &core.layouts, at, id, |_, word| reach(&mut self.stack, cells, word))
    }
}

#[inline]
fn reach(stack: &mut Vec<u32>, cells: &mut Cells, word: GcRef) -> Result<(), Error> {
    if !word.is_object() {
        return Ok(());
    }
    match cells.mark(word.0) {
        Some(true) => {
            stack.push(word.0);
            Ok(())
        }
        Some(false) => Ok(()),
        None => Err(Error::corrupt("reference to something that is no object", word.0)),
    }
}
