//! What counts tell: frees the objects of count 0 that no deferred root refers to, and what only they refer to.
//!
//! An object is marked while it is pinned. What hangs on a freed object goes on a stack, so a long list needs no
//! recursion. A stack entry is a suspicion and no more: it may be an object that was freed in the meantime, that is
//! pinned, or whose count has left 0 again (stored somewhere after it was logged); each is looked at when it is popped.
//!
//! Invariant: all candidates lie in the space as long as nothing is allocated, so an entry never names another object
//! than it did; an object is freed once, since a free cell holds none.

use super::{count, lose, unlog};
use crate::header::GC_WORD;
use crate::heap::HeapCore;
use crate::space::cells::{Cells, measured_in};
use crate::space::trace::each_reference;
use crate::{Error, RootKind, RootPhase, RootSet};

/// What deferred roots refer to, each object once.
#[derive(Default)]
pub(super) struct Pins {
    /// Those of [`RootPhase::State`] first.
    pub(super) objects: Vec<u32>,
    /// How many of them state roots refer to.
    pub(super) of_state: usize,
}

/// Frees by counts. The lists were retired and no object is marked, before and after; `zeros` is empty afterwards, and
/// the objects of count 0 that are left are pins.
///
/// # Errors
/// `Corrupt`.
pub(super) fn collect(
    core: &mut HeapCore,
    cells: &mut Cells,
    zeros: &mut Vec<u32>,
    roots: &mut dyn RootSet,
) -> Result<Pins, Error> {
    let pins = pin(core, cells, roots)?;
    let (log, lost) = core.take_log();
    core.stats.barrier_work += log.len() as u64;
    log.iter().for_each(|&at| unlog(core, cells, at));
    let fresh = cells.blocks.take_fresh();
    let mut stack = Vec::new();
    if lost {
        zeros.clear();
        cells.cells(core, &mut |at, _| {
            stack.extend((count(core, cells, at) == Some(0)).then_some(at));
            Ok(())
        })?;
        drain(core, cells, &mut stack)?;
    } else {
        stack.extend(log);
        drain(core, cells, &mut stack)?;
        stack.append(zeros);
        drain(core, cells, &mut stack)?;
        for block in fresh {
            let view = cells.blocks.view(core);
            cells.blocks.each_in_block(core, block, |at| {
                stack.extend((view.read_u32(at + GC_WORD) == Some(0)).then_some(at));
            });
            drain(core, cells, &mut stack)?;
        }
    }
    cells.blocks.release_empty(core);
    pins.objects.iter().for_each(|&at| cells.unmark(at));
    Ok(pins)
}

/// Marks what deferred roots refer to.
fn pin(core: &mut HeapCore, cells: &mut Cells, roots: &mut dyn RootSet) -> Result<Pins, Error> {
    let mut pins = Pins::default();
    let mut outcome = Ok(());
    let (mut all, mut of_frames) = (0, 0);
    for phase in [RootPhase::State, RootPhase::Frames] {
        roots.visit(phase, &mut |kind, slot| {
            all += 1;
            of_frames += u64::from(matches!(kind, RootKind::Frame | RootKind::SuspendedFrame));
            if matches!(kind, RootKind::Global | RootKind::Table) || !slot.is_object() || outcome.is_err() {
                return;
            }
            if !cells.holds(core, slot.0) {
                outcome = Err(Error::corrupt("root of something that is no object", slot.0));
            } else if cells.mark(slot.0) == Some(true) {
                pins.objects.push(slot.0);
            }
        });
        if phase == RootPhase::State {
            pins.of_state = pins.objects.len();
        }
    }
    core.stats.roots += all;
    core.stats.frame_roots += of_frames;
    outcome.map(|()| pins)
}

/// Frees what `stack` names, if it is dead by its count, and what dies with it.
fn drain(core: &mut HeapCore, cells: &mut Cells, stack: &mut Vec<u32>) -> Result<(), Error> {
    while let Some(at) = stack.pop() {
        let Some((view, room)) = cells.find(core, at) else { continue };
        if view.read_u32(at + GC_WORD) != Some(0) || cells.is_marked(at) {
            continue;
        }
        let (id, _) = measured_in(core, &view, at, room)?;
        each_reference(&view, &core.layouts, at, id, |_, word| {
            if word.is_object() && lose(core, cells, word.0)? == 0 {
                stack.push(word.0);
            }
            Ok(())
        })?;
        cells.free(core, at);
    }
    Ok(())
}
