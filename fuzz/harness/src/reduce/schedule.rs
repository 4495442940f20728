//! Smaller schedules: fewer collections and turns of fibers, then smaller numbers.
//!
//! Fuel stays: without it a smaller program may never end. Single collections count allocations and safepoints, which
//! shift when the program shrinks, so a collection at each allocation is tried in their place: it stays where it is.

use assay_gc::{CollectKind, Event, Trigger};

use super::Run;
use crate::Schedule;
use crate::case::{Collection, Slice, Turn};

/// Drops what the schedule does not need.
pub(super) fn shrink(run: &mut Run<'_>) {
    run.drop_ranges(&|case| case.schedule.collect.len(), &mut |case, range| {
        let mut case = case.clone();
        case.schedule.collect.drain(range);
        Some(case)
    });
    change(run, |schedule| schedule.collect_seed = None);
    change(run, |schedule| schedule.collect_every_safepoint = None);
    change(run, |schedule| schedule.collect_every = None);
    change(run, |schedule| schedule.gc_heap_max = None);
    run.drop_ranges(&|case| case.schedule.modes.len(), &mut |case, range| {
        let mut case = case.clone();
        case.schedule.modes.drain(range);
        Some(case)
    });
    change(run, |schedule| {
        schedule.fibers = 0;
        schedule.turns.clear();
    });
    run.drop_ranges(&|case| case.schedule.turns.len(), &mut |case, range| {
        let mut case = case.clone();
        case.schedule.turns.drain(range);
        Some(case)
    });
    while run.best.schedule.fibers > 1 {
        let fewer = run.best.schedule.fibers - 1;
        change(run, |schedule| schedule.fibers = fewer);
        if run.best.schedule.fibers != fewer {
            break;
        }
    }
    change(run, |schedule| schedule.observe_state = false);
    change(run, |schedule| {
        if schedule.collect_seed.take().is_some() | !std::mem::take(&mut schedule.collect).is_empty() {
            schedule.collect_every_safepoint = None;
            schedule.collect_every = Some(1);
        }
    });
    numbers(run);
    turns(run);
}

/// Tries the schedule with `edit` made; one that changes nothing is no candidate.
fn change(run: &mut Run<'_>, edit: impl FnOnce(&mut Schedule)) {
    let mut case = run.best.clone();
    edit(&mut case.schedule);
    run.attempt(case);
}

/// The smallest numbers, each by itself.
fn numbers(run: &mut Run<'_>) {
    let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    lower(run, 0, |s| s.collect_seed.map(u64::from), |s, n| s.collect_seed = Some(narrow(n)));
    lower(run, 1, |s| s.collect_every.map(u64::from), |s, n| s.collect_every = Some(narrow(n)));
    lower(
        run,
        1,
        |s| s.collect_every_safepoint.map(u64::from),
        |s, n| s.collect_every_safepoint = Some(narrow(n)),
    );
    for index in 0..run.best.schedule.collect.len() {
        lower(
            run,
            1,
            |s| match s.collect.get(index)?.0.kind {
                CollectKind::Slice { objects } => Some(u64::from(objects)),
                CollectKind::Minor | CollectKind::Full => None,
            },
            |s, n| set(s, index, |event| event.kind = CollectKind::Slice { objects: narrow(n) }),
        );
        lower(
            run,
            1,
            |s| match s.collect.get(index)?.0.at {
                Trigger::Allocation(n) | Trigger::Safepoint(n) => Some(n),
            },
            |s, n| {
                set(s, index, |event| match &mut event.at {
                    Trigger::Allocation(at) | Trigger::Safepoint(at) => *at = n,
                });
            },
        );
    }
}

/// Turns without limits, or shorter ones.
fn turns(run: &mut Run<'_>) {
    for index in 0..run.best.schedule.turns.len() {
        let Some(Turn::Resume(fiber, slice)) = run.best.schedule.turns.get(index).copied() else { continue };
        for simpler in [Slice::default(), Slice { epochs: None, ..slice }, Slice { fuel: None, ..slice }] {
            let mut case = run.best.clone();
            case.schedule.turns[index] = Turn::Resume(fiber, simpler);
            if simpler != slice && run.attempt(case) {
                break;
            }
        }
        lower(
            run,
            1,
            |s| match s.turns.get(index)? {
                Turn::Resume(_, Slice { fuel, .. }) => *fuel,
                Turn::Cancel(_) | Turn::Collect | Turn::Epoch => None,
            },
            |s, n| {
                if let Some(Turn::Resume(_, slice)) = s.turns.get_mut(index) {
                    slice.fuel = Some(n);
                }
            },
        );
    }
}

fn set(schedule: &mut Schedule, index: usize, edit: impl FnOnce(&mut Event)) {
    if let Some(Collection(event)) = schedule.collect.get_mut(index) {
        edit(event);
    }
}

/// Makes the number that `get` reads as small as may be, but at least `least`: at once, or step by step with ever smaller
/// steps.
fn lower(
    run: &mut Run<'_>,
    least: u64,
    get: impl Fn(&Schedule) -> Option<u64>,
    put: impl Fn(&mut Schedule, u64),
) {
    let Some(now) = get(&run.best.schedule) else { return };
    let mut step = now.saturating_sub(least);
    while step > 0 && !run.ended {
        let Some(now) = get(&run.best.schedule) else { return };
        let wanted = now.saturating_sub(step).max(least);
        let mut case = run.best.clone();
        put(&mut case.schedule, wanted);
        if !run.attempt(case) {
            step /= 2;
        } else if wanted == least {
            return;
        }
    }
}
