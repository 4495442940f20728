//! A cycle: the snapshot, slices of marking, the sweep; and marking all at once.
//!
//! *Colours.* An object is marked when its collector's word is `live`. There are three colours. At the beginning of a
//! cycle the lazy sweep of the one before is completed, so every object has the colour `live`; then another becomes
//! `live`, and all objects are white at once. Fresh objects get the `live` of the time: they are black while a cycle is
//! under way and count as survivors of the last one otherwise.
//!
//! *Why what is reachable gets marked* (Yuasa 1990). At the beginning all roots are taken down, so that each object that
//! is reachable then (the snapshot) hangs on a grey one by a path of white ones. A path is cut only by a store into a
//! slot of the heap; the barrier gives the old referent the colour if it is white and logs it, and the log counts as grey,
//! so the rest of the path hangs on it. Hence every object of the snapshot gets marked in the end, whatever becomes of it; what is reachable
//! later is of the snapshot or fresh, for a mutator gets references from nowhere else. So roots and fresh objects need no
//! barrier, and a slot that is stored into may be of any colour. A cycle logs an object once at most, however often it is
//! stored over.
//!
//! *Giving up.* What finds no room in the log stays white. When that has happened, the lost words may be the only grey ones on the paths to some white objects,
//! and a reference to such an object may stand in an object that is black already, or fresh: shading the roots again and
//! going on would never look there. So the marks made so far are worth nothing. The third colour, which no object has,
//! becomes `live`, and everything is marked anew, at once, from the roots as they are now: a collection without mutator
//! in between, which is right whatever the colours were. A full collection does the same, and leaves no floating garbage.

use super::marking::{Marking, Space};
use super::pace::Pace;
use crate::header::GC_WORD;
use crate::heap::HeapCore;
use crate::space::blocks::{BLOCK, LiveBy};
use crate::space::cells::Cells;
use crate::{Error, RootPhase, RootSet};

/// The colours; none of them is what free or poisoned memory holds.
pub(super) const COLOURS: [u32; 3] = [1, 2, 3];
/// What the mutator takes for the marked colour if the barrier shall pass no object over.
pub(super) const NO_COLOUR: u32 = 0;
/// Words that barriers may log from slice to slice.
const LOG: usize = 1 << 13;

/// Blocks that are swept for each block's worth of allocation.
const AHEAD: u32 = 6;

/// The collector of one heap, started.
pub(super) struct Cycles {
    pub(super) cells: Cells,
    /// The marked colour.
    pub(super) live: u32,
    /// While a cycle is under way, the colour of what is not marked.
    pub(super) white: u32,
    /// What the mutator was told to be the marked colour: `live`, or none under `Stress::barrier_slow`.
    pub(super) told: u32,
    /// Whether a cycle is under way. All blocks are swept then.
    pub(super) active: bool,
    pub(super) marking: Marking,
    pub(super) pace: Pace,
    /// What the clock of allocation showed when the sweep was as far as it should be.
    swept_at: u64,
}

impl Cycles {
    pub(super) fn new(core: &mut HeapCore) -> Result<Cycles, Error> {
        let cells = Cells::start(core)?;
        core.make_log(LOG);
        let [live, white, _] = COLOURS;
        core.set_fresh(live);
        core.set_marking(false, live);
        let pace = Pace::new(core);
        Ok(Cycles {
            cells,
            live,
            white,
            told: live,
            active: false,
            marking: Marking::default(),
            pace,
            swept_at: 0,
        })
    }

    /// Sweeps as far as allocation, with `size` bytes more, asks for.
    pub(super) fn sweep_ahead(&mut self, core: &mut HeapCore, size: u32) {
        let ahead = u64::from(AHEAD);
        let behind = (self.cells.clock(core) + u64::from(size)).saturating_sub(self.swept_at);
        let blocks = behind * ahead / u64::from(BLOCK);
        if blocks > 0 {
            self.swept_at += blocks * u64::from(BLOCK) / ahead;
            self.cells.blocks.sweep_some(core, u32::try_from(blocks).unwrap_or(u32::MAX));
        }
    }

    /// Bytes that objects, dead ones too, and lists take.
    pub(super) fn taken(&self) -> u64 {
        self.cells.blocks.taken() + self.cells.large.used()
    }

    /// Does `units` of marking, after the snapshot if no cycle is under way; sweeps when nothing is left to mark.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(super) fn slice(
        &mut self,
        core: &mut HeapCore,
        units: u32,
        need: u32,
        roots: &mut dyn RootSet,
    ) -> Result<(), Error> {
        if !self.active {
            self.activate(core, roots)?;
        }
        let (words, lost) = core.take_log();
        core.stats.barrier_work += words.len() as u64;
        if lost {
            core.stats.degenerate += 1;
            return self.at_once(core, need, roots);
        }
        let space = Space::new(core, &self.cells, self.live);
        self.marking.logged(&space, &words);
        let done = self.marking.drain(&space, u64::from(units.max(1)))?;
        core.stats.slices += 1;
        self.pace.sliced(core);
        if done {
            core.stats.cycles += 1;
            self.end(core, need);
            self.again(core, roots)?;
        }
        Ok(())
    }

    /// Begins a cycle whose marking is left to slices.
    fn activate(&mut self, core: &mut HeapCore, roots: &mut dyn RootSet) -> Result<(), Error> {
        self.begin(core);
        self.snapshot(core, RootPhase::State, roots)?;
        self.snapshot(core, RootPhase::Frames, roots)?;
        self.told = if core.stress().barrier_slow { NO_COLOUR } else { self.live };
        core.set_marking(true, self.told);
        self.active = true;
        Ok(())
    }

    /// Begins the next cycle when one has ended, if the mutator is to meet nothing but active barriers. What the last one
    /// found dead is swept by that, so a full collection still leaves nothing behind.
    fn again(&mut self, core: &mut HeapCore, roots: &mut dyn RootSet) -> Result<(), Error> {
        if core.stress().barrier_slow { self.activate(core, roots) } else { Ok(()) }
    }

    /// Marks everything at once and anew, giving up a cycle under way.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(super) fn at_once(
        &mut self,
        core: &mut HeapCore,
        need: u32,
        roots: &mut dyn RootSet,
    ) -> Result<(), Error> {
        core.stats.full += 1;
        // The log of a cycle that is given up means nothing.
        core.take_log();
        self.begin(core);
        for phase in [RootPhase::State, RootPhase::Frames] {
            self.snapshot(core, phase, roots)?;
            self.marking.drain(&Space::new(core, &self.cells, self.live), u64::MAX)?;
        }
        self.end(core, need);
        self.again(core, roots)
    }

    /// Makes all objects white.
    fn begin(&mut self, core: &mut HeapCore) {
        self.retire(core);
        // Sweeping tells the dead by the colour that is about to change.
        self.cells.settle(core);
        let unused = |colour: &u32| *colour != self.live && (!self.active || *colour != self.white);
        let next = COLOURS.into_iter().find(unused).unwrap_or(self.white);
        (self.white, self.live) = (self.live, next);
        core.set_fresh(self.live);
        self.marking = Marking::default();
        self.pace.begin(core);
    }

    fn snapshot(
        &mut self,
        core: &mut HeapCore,
        phase: RootPhase,
        roots: &mut dyn RootSet,
    ) -> Result<(), Error> {
        let space = Space::new(core, &self.cells, self.live);
        let (all, of_frames) = self.marking.roots(&space, phase, roots)?;
        core.stats.roots += all;
        core.stats.frame_roots += of_frames;
        Ok(())
    }

    /// Nothing is grey: what is white is dead. Large objects are freed at once, blocks swept when cells are needed.
    fn end(&mut self, core: &mut HeapCore, need: u32) {
        self.active = false;
        self.told = self.live;
        core.set_marking(false, self.told);
        self.retire(core);
        let view = self.cells.large.view(core);
        let is_dead = |at: u32| view.read_u32(at + GC_WORD) != Some(self.live);
        let dead: Vec<u32> = self.cells.large.iter().map(|(at, _)| at).filter(|&at| is_dead(at)).collect();
        dead.into_iter().for_each(|at| self.cells.large.free(core, at));
        self.cells.blocks.begin_sweep(LiveBy::Word(self.live));
        self.swept_at = self.cells.clock(core);
        let marked = std::mem::take(&mut self.marking);
        core.stats.objects_survived += marked.objects;
        core.stats.bytes_survived += marked.bytes;
        core.stats.survived_from_frames_only += marked.frames_only();
        self.pace.end(core, marked.objects, marked.room, need);
    }

    fn retire(&mut self, core: &mut HeapCore) {
        self.cells.blocks.retire(core);
        // Which blocks had lists matters to nobody here.
        self.cells.blocks.take_fresh();
    }
}
