//! Whether a campaign has reached what it is for: a collector that was never at work has not been tested.
//!
//! What a collector must have done follows from its [`Constraints`]: each kind of collection that stress goes through,
//! work for its write barrier, if it has one (a barrier whose log has no room, `barrier-slow`, must have lost words
//! instead), and what is in the nature of its spaces (`wanted`). Each that collects must have hit the limit of its heap; the
//! others run without one.

use std::fmt;

use assay_gc::{AllocShape, BarrierShape, CollectKind, Constraints, Stress};
use serde::Serialize;

use super::Summary;
use crate::observe::FiberCounters;
use crate::subject::{collector_of, stress};

/// A counter that stayed 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreached {
    /// The subject.
    pub subject: String,
    /// The counter's name in [`assay_gc::Stats::each`], what of fibers was counted, or an instruction.
    pub counter: &'static str,
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} is 0", self.subject, self.counter)
    }
}

/// What the subjects with a heap should have counted and have not, in the order of the subjects.
pub fn unreached(summary: &Summary) -> Vec<Unreached> {
    let mut missing = Vec::new();
    for (at, subject) in summary.subjects.iter().enumerate() {
        let Some(constraints) = collector_of(subject) else { continue };
        let heap = summary.subject_heaps.get(at);
        let stress = stress::of(subject);
        for counter in wanted(constraints, &stress) {
            if heap.is_none_or(|heap| heap.get(counter) == 0) {
                missing.push(Unreached { subject: subject.clone(), counter });
            }
        }
        let fibers = summary.subject_fibers.get(at).copied().unwrap_or_default();
        for (counter, n) in of_fibers(&fibers, constraints) {
            if n == 0 {
                missing.push(Unreached { subject: subject.clone(), counter });
            }
        }
    }
    // The interpreter alone tells what was executed.
    if summary.subjects.iter().any(|subject| subject == "interp") && summary.subjects.len() > 1 {
        let idle = summary.executed.contexts().filter(|(_, contexts)| *contexts == 0);
        missing.extend(idle.map(|(counter, _)| Unreached { subject: EACH_PAIR.to_owned(), counter }));
    }
    missing
}

/// Stands for the subject where a case counts only if no pair of subjects stopped comparing in it.
const EACH_PAIR: &str = "each pair of subjects";

/// What must have happened to fibers: collections found them suspended and, where objects move, updated them.
fn of_fibers(fibers: &FiberCounters, constraints: &Constraints) -> Vec<(&'static str, u64)> {
    let mut counts = vec![("yields of fibers", fibers.yields), ("cancelled fibers", fibers.cancels)];
    if constraints.collects {
        counts.push(("visits of suspended frames", fibers.visits));
    }
    if constraints.moves {
        counts.push(("references moved in suspended frames", fibers.moved));
    }
    counts
}

/// Counters that a campaign must move under such a collector in these modes.
fn wanted(constraints: &Constraints, stress: &Stress) -> Vec<&'static str> {
    if !constraints.collects {
        return Vec::new();
    }
    let mut wanted = vec!["limit_hits", "collections", "survived_from_frames_only", "bytes_freed"];
    for kind in constraints.stress_kinds {
        wanted.push(match kind {
            CollectKind::Minor => "minor",
            CollectKind::Full => "full",
            CollectKind::Slice { .. } => "slices",
        });
    }
    let kind = |wanted: fn(&CollectKind) -> bool| constraints.stress_kinds.iter().any(wanted);
    let slices = kind(|kind| matches!(kind, CollectKind::Slice { .. }));
    let barrier = constraints.code.write_barrier;
    let counts = barrier == BarrierShape::Count;
    // A log that has no room loses all that is told to it.
    let lost = stress.barrier_slow && matches!(barrier, BarrierShape::Count | BarrierShape::Snapshot);
    for (does, counter) in [
        (barrier != BarrierShape::None && !lost, "barrier_work"),
        (lost, "log_lost"),
        // Free cells come from sweeping, or from counts.
        (constraints.code.alloc == AllocShape::FreeList, "objects_freed"),
        (constraints.code.alloc == AllocShape::FreeList, "blocks_swept"),
        // Large objects stand apart.
        (constraints.code.inline_max != u32::MAX, "large_freed"),
        // Young objects move out of the nursery when they are old.
        (constraints.moves && kind(|kind| *kind == CollectKind::Minor), "objects_promoted"),
        // Slices end in a cycle, and a cycle that has lost words of its log is given up.
        (slices, "cycles"),
        (slices && lost, "degenerate"),
        // Counts alone do not free cycles.
        (counts, "cyclic_freed"),
    ] {
        if does {
            wanted.push(counter);
        }
    }
    wanted.sort_unstable();
    wanted.dedup();
    wanted
}

#[cfg(test)]
mod tests {
    use assay_gc::{CodeShape, Stats};

    use crate::observe::Executed;

    use super::*;
    use crate::observe::HeapCounters;

    /// A collector of each kind of need, by the registry's first one that collects.
    fn constraints() -> Constraints {
        let first = assay_gc::registry().iter().find(|entry| entry.constraints.collects);
        *first.expect("a collector that collects").constraints
    }

    #[test]
    fn what_is_wanted_follows_from_the_constraints() {
        let kinds = &[CollectKind::Minor, CollectKind::Slice { objects: 3 }, CollectKind::Full];
        let with = |write_barrier| {
            let code = CodeShape { write_barrier, ..constraints().code };
            Constraints { stress_kinds: kinds, code, ..constraints() }
        };
        let all = with(BarrierShape::Card);
        let plain = Stress::default();
        let names = wanted(&all, &plain);
        assert!(["minor", "slices", "full", "barrier_work"].iter().all(|name| names.contains(name)));
        let mut known = Vec::new();
        Stats::default().each(|name, _| known.push(name));
        assert!(names.iter().all(|name| known.contains(name)));
        assert!(wanted(&Constraints { collects: false, ..all }, &plain).is_empty());
        let of = |name: &str| wanted(assay_gc::find(name).unwrap().constraints, &plain);
        assert!(
            of("generational").contains(&"objects_promoted") && !of("copying").contains(&"objects_promoted")
        );
        assert!(of("marksweep").contains(&"blocks_swept") && of("drc").contains(&"cyclic_freed"));
        assert!(of("incremental").contains(&"cycles") && !of("marksweep").contains(&"cycles"));
        assert!(!of("incremental").contains(&"degenerate") && !of("drc").contains(&"cycles"));
        let slow = Stress { barrier_slow: true, ..plain };
        for entry in assay_gc::registry() {
            for stress in [&plain, &slow] {
                assert!(wanted(entry.constraints, stress).iter().all(|name| known.contains(name)));
            }
        }
        assert_eq!(wanted(&all, &slow), names);
        let names = wanted(&with(BarrierShape::Count), &slow);
        assert!(names.contains(&"log_lost") && !names.contains(&"barrier_work"));
        assert!(wanted(&with(BarrierShape::Snapshot), &slow).contains(&"degenerate"));
    }

    #[test]
    fn an_idle_collector_is_told() {
        let subject = format!("jit:{},opt=none", constraints().name);
        let mut summary = Summary { subjects: vec!["interp".into(), subject.clone()], ..Summary::default() };
        let missing = unreached(&summary);
        let idle = Unreached { subject: EACH_PAIR.to_owned(), counter: "return_call_ref" };
        assert!(missing.contains(&idle), "{missing:?}");
        summary.executed = Executed::all();
        let missing = unreached(&summary);
        assert!(!missing.contains(&idle));
        let collections = Unreached { subject: subject.clone(), counter: "collections" };
        assert!(missing.contains(&collections), "{missing:?}");
        assert_eq!(collections.to_string(), format!("{subject}: collections is 0"));
        let busy = Stats {
            collections: 1,
            minor: 1,
            full: 1,
            slices: 1,
            barrier_work: 1,
            bytes_freed: 1,
            objects_freed: 1,
            blocks_swept: 1,
            large_freed: 1,
            limit_hits: 1,
            ..Stats::default()
        };
        summary.subject_heaps = vec![HeapCounters::default(), HeapCounters::of(&busy)];
        summary.subject_fibers =
            vec![FiberCounters { yields: 1, cancels: 1, visits: 1, moved: 1, ..FiberCounters::default() }; 2];
        let alone = Unreached { subject: subject.clone(), counter: "survived_from_frames_only" };
        assert_eq!(unreached(&summary), std::slice::from_ref(&alone));
        summary.subject_fibers[1].visits = 0;
        assert_eq!(
            unreached(&summary),
            [alone, Unreached { subject, counter: "visits of suspended frames" }]
        );
    }
}
