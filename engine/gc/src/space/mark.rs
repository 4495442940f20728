//! Marking: a stack of objects that were reached and not yet scanned.
//!
//! Invariant: an object is pushed when its mark is set, so it is pushed once; only words that name an object of the
//! space are followed, so marking ends on any heap.

use super::blocks::LiveBy;
use super::cells::Cells;
use super::trace::each_reference;
use crate::header::GC_WORD;
use crate::heap::{HeapCore, measure};
use crate::{Error, GcRef, RootKind, RootPhase, RootSet};

/// Marking under way.
#[derive(Default)]
pub(crate) struct Marker {
    /// Grey objects.
    pub(crate) stack: Vec<u32>,
    /// Objects scanned so far.
    pub(crate) objects: u64,
    /// Bytes of them.
    pub(crate) bytes: u64,
    found: Vec<u32>,
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
        by: LiveBy,
        phase: RootPhase,
        roots: &mut dyn RootSet,
    ) -> Result<(), Error> {
        let mut outcome = Ok(());
        let (mut all, mut of_frames) = (0, 0);
        roots.visit(phase, &mut |kind, slot| {
            all += 1;
            of_frames += u64::from(matches!(kind, RootKind::Frame | RootKind::SuspendedFrame));
            if outcome.is_ok() {
                outcome = self.reach(core, cells, by, *slot);
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
    pub(crate) fn reach(
        &mut self,
        core: &HeapCore,
        cells: &mut Cells,
        by: LiveBy,
        word: GcRef,
    ) -> Result<(), Error> {
        if !word.is_object() {
            return Ok(());
        }
        let newly = match by {
            LiveBy::Mark => cells.mark(word.0),
            LiveBy::Word(colour) if cells.holds(core, word.0) => {
                let view = core.view_at(word.0);
                view.map(|view| {
                    let white = view.read_u32(word.0 + GC_WORD) != Some(colour);
                    if white {
                        view.write_u32(word.0 + GC_WORD, colour);
                    }
                    white
                })
            }
            LiveBy::Word(_) => None,
        };
        match newly {
            Some(true) => {
                self.stack.push(word.0);
                Ok(())
            }
            Some(false) => Ok(()),
            None => Err(Error::corrupt("reference to something that is no object", word.0)),
        }
    }

    /// Scans up to `budget` grey objects; whether none is left.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(crate) fn drain(
        &mut self,
        core: &HeapCore,
        cells: &mut Cells,
        by: LiveBy,
        budget: u64,
    ) -> Result<bool, Error> {
        for _ in 0..budget {
            let Some(at) = self.stack.pop() else { return Ok(true) };
            self.scan(core, cells, by, at)?;
        }
        Ok(self.stack.is_empty())
    }

    fn scan(&mut self, core: &HeapCore, cells: &mut Cells, by: LiveBy, at: u32) -> Result<(), Error> {
        let view = core.view_at(at).ok_or_else(|| Error::corrupt("object outside the regions", at))?;
        let (id, size) = measure(&view, &core.layouts, at)?;
        if cells.room(core, at).is_none_or(|room| size > room) {
            return Err(Error::corrupt("object reaches beyond its cell", at));
        }
        self.objects += 1;
        self.bytes += u64::from(size);
        let mut found = std::mem::take(&mut self.found);
        each_reference(&view, &core.layouts, at, id, |_, word| {
            if word.is_object() {
                found.push(word.0);
            }
            Ok(())
        })?;
        for word in found.drain(..) {
            self.reach(core, cells, by, GcRef(word))?;
        }
        self.found = found;
        Ok(())
    }
}
