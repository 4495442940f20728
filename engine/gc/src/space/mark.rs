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
        reach(&mut self.stack, core, cells, by, word)
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
        let Some((view, room)) = cells.find(core, at) else {
            return Err(Error::corrupt("a marked object is gone", at));
        };
        let (id, size) = measure(&view, &core.layouts, at)?;
        if size > room {
            return Err(Error::corrupt("object reaches beyond its cell", at));
        }
        self.objects += 1;
        self.bytes += u64::from(size);
        self.room += u64::from(room);
        each_reference(&view, &core.layouts, at, id, |_, word| reach(&mut self.stack, core, cells, by, word))
    }
}

#[inline]
fn reach(
    stack: &mut Vec<u32>,
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
        LiveBy::Word(colour) => cells.find(core, word.0).map(|(view, _)| {
            let white = view.read_u32(word.0 + GC_WORD) != Some(colour);
            if white {
                view.write_u32(word.0 + GC_WORD, colour);
            }
            white
        }),
    };
    match newly {
        Some(true) => {
            stack.push(word.0);
            Ok(())
        }
        Some(false) => Ok(()),
        None => Err(Error::corrupt("reference to something that is no object", word.0)),
    }
}
