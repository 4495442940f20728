//! Whether a campaign has reached what it is for: a collector that was never at work has not been tested.
//!
//! What a collector must have done follows from its [`Constraints`]: each kind of collection that stress goes through,
//! and work for its write barrier, if it has one. A barrier whose log has no room (`barrier-slow`) must have lost words instead.

use std::fmt;

use assay_gc::{BarrierShape, CollectKind, Constraints, Stress};
use serde::Serialize;

use super::Summary;
use crate::subject::{collector_of, stress};

/// A counter that stayed 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreached {
    /// The subject.
    pub subject: String,
    /// The counter's name in [`assay_gc::Stats::each`].
    pub counter: &'static str,
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} is 0", self.subject, self.counter)
    }
}

/// What the subjects that collect should have counted and have not, in the order of the subjects.
pub fn unreached(summary: &Summary) -> Vec<Unreached> {
    let mut missing = Vec::new();
    for (at, subject) in summary.subjects.iter().enumerate() {
        let Some(constraints) = collector_of(subject) else { continue };
        let heap = summary.subject_heaps.get(at);
        for counter in wanted(constraints, &stress::of(subject)) {
            if heap.is_none_or(|heap| heap.get(counter) == 0) {
                missing.push(Unreached { subject: subject.clone(), counter });
            }
        }
    }
    missing
}

/// Counters that a campaign must move under such a collector in these modes.
fn wanted(constraints: &Constraints, stress: &Stress) -> Vec<&'static str> {
    if !constraints.collects {
        return Vec::new();
    }
    let mut wanted = vec!["collections", "survived_from_frames_only"];
    for kind in constraints.stress_kinds {
        wanted.push(match kind {
            CollectKind::Minor => "minor",
            CollectKind::Full => "full",
            CollectKind::Slice { .. } => "slices",
        });
    }
    match constraints.write_barrier {
        BarrierShape::None => {}
        BarrierShape::Count | BarrierShape::Snapshot if stress.barrier_slow => wanted.push("log_lost"),
        BarrierShape::Card | BarrierShape::Count | BarrierShape::Snapshot => wanted.push("barrier_work"),
    }
    wanted.dedup();
    wanted
}

#[cfg(test)]
mod tests {
    use assay_gc::Stats;

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
        let all = Constraints { stress_kinds: kinds, write_barrier: BarrierShape::Card, ..constraints() };
        let plain = Stress::default();
        let names = wanted(&all, &plain);
        assert!(["minor", "slices", "full", "barrier_work"].iter().all(|name| names.contains(name)));
        let mut known = Vec::new();
        Stats::default().each(|name, _| known.push(name));
        assert!(names.iter().all(|name| known.contains(name)));
        assert_eq!(wanted(&Constraints { collects: false, ..all }, &plain), [""; 0]);
        let slow = Stress { barrier_slow: true, ..plain };
        assert_eq!(wanted(&all, &slow), names);
        let logs = Constraints { write_barrier: BarrierShape::Count, ..all };
        let names = wanted(&logs, &slow);
        assert!(names.contains(&"log_lost") && !names.contains(&"barrier_work"));
    }

    #[test]
    fn an_idle_collector_is_told() {
        let subject = format!("jit:{},opt=none", constraints().name);
        let mut summary = Summary { subjects: vec!["interp".into(), subject.clone()], ..Summary::default() };
        let missing = unreached(&summary);
        assert_eq!(missing[0], Unreached { subject: subject.clone(), counter: "collections" });
        assert_eq!(missing[0].to_string(), format!("{subject}: collections is 0"));
        let busy =
            Stats { collections: 1, minor: 1, full: 1, slices: 1, barrier_work: 1, ..Stats::default() };
        summary.subject_heaps = vec![HeapCounters::default(), HeapCounters::of(&busy)];
        assert_eq!(unreached(&summary), [Unreached { subject, counter: "survived_from_frames_only" }]);
    }
}
