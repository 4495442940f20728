//! The counters of a collector's heap by name, so that what a heap counts is listed in one place only.

use std::collections::BTreeMap;

use assay_gc::Stats;
use assay_runtime::RootCounts;
use serde::{Deserialize, Serialize, Serializer};

/// What a heap counted, by the names of [`Stats::each`]; empty for subjects without such a heap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct HeapCounters(BTreeMap<String, u64>);

/// Without those that are 0, which are most, and a campaign sends those of each heap in each case.
impl Serialize for HeapCounters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().filter(|(_, count)| **count != 0))
    }
}

impl HeapCounters {
    /// All counters of `stats`.
    pub fn of(stats: &Stats) -> HeapCounters {
        let mut counters = BTreeMap::new();
        stats.each(|name, count| {
            counters.insert(name.to_owned(), count);
        });
        HeapCounters(counters)
    }

    /// Besides, what the roots held.
    pub fn with_roots(mut self, roots: &RootCounts) -> HeapCounters {
        let RootCounts { globals, tables, segments, handles, frames, suspended } = *roots;
        for (name, count) in [
            ("held_by_globals", globals),
            ("held_by_tables", tables),
            ("held_by_segments", segments),
            ("held_by_handles", handles),
            ("held_by_frames", frames),
            ("held_by_suspended_frames", suspended),
        ] {
            self.0.insert(name.to_owned(), count);
        }
        self
    }

    /// The counter of that name; 0 if there is none.
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// All counts, in an order that is the same for all heaps of this process: those that were sent lack their zeros.
    pub fn counts(&self) -> impl Iterator<Item = u64> {
        self.0.values().copied()
    }

    /// Adds another heap's.
    pub fn add(&mut self, other: &HeapCounters) {
        for (name, count) in &other.0 {
            // Without a copy of the name where it is known.
            match self.0.get_mut(name) {
                Some(sum) => *sum += count,
                None => drop(self.0.insert(name.clone(), *count)),
            }
        }
    }

    /// What the collector did, in short: the counters that are not 0 of those that tell collectors apart.
    pub fn told(&self) -> String {
        let parts = TOLD.iter().filter_map(|(name, word)| match self.get(name) {
            0 => None,
            count => Some(format!("{word} {}", short(count))),
        });
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// Counters of [`HeapCounters::told`] and their words there.
const TOLD: &[(&str, &str)] = &[
    ("minor", "minor"),
    ("full", "full"),
    ("slices", "slices"),
    ("cycles", "cycles"),
    ("degenerate", "degenerate"),
    ("objects_promoted", "promoted"),
    ("objects_freed", "freed"),
    ("cyclic_freed", "cyclic"),
    ("blocks_swept", "swept"),
    ("barrier_work", "barrier"),
    ("log_lost", "lost"),
    ("limit_hits", "limit"),
];

/// `9999`, `123k`, `45M`.
fn short(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..10_000_000 => format!("{}k", count / 1000),
        _ => format!("{}M", count / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_add_up_and_are_told() {
        let stats = Stats { full: 9_999, objects_freed: 5_000, grown: 1, ..Stats::default() };
        let mut sum = HeapCounters::default();
        assert_eq!((sum.told().as_str(), sum.get("full")), ("", 0));
        sum.add(&HeapCounters::of(&stats));
        assert_eq!(sum.told(), "full 9999, freed 5000");
        sum.add(&HeapCounters::of(&stats));
        assert_eq!(sum.told(), "full 19k, freed 10k");
        assert_eq!(sum.get("grown"), 2);
        let text = serde_json::to_string(&sum).unwrap();
        assert_eq!(text, r#"{"full":19998,"grown":2,"objects_freed":10000}"#);
        let read: HeapCounters = serde_json::from_str(&text).unwrap();
        assert!(sum.0.keys().all(|name| read.get(name) == sum.get(name)));
    }

    #[test]
    fn every_counter_is_there_by_its_name() {
        let counters = HeapCounters::of(&Stats::default());
        let mut names = Vec::new();
        Stats::default().each(|name, _| names.push(name));
        assert!(names.iter().all(|name| counters.0.contains_key(*name)));
        assert!(TOLD.iter().all(|(name, _)| names.contains(name)));
    }
}
