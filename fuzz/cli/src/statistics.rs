//! What `assay run --stats` shows of a heap: every counter, and how long the program stood still.

use std::fmt::Write;

use assay_runtime::{Pauses, Stats, StoreInner};
use serde_json::{Map, Value, json};

/// Characters of the longest bar of the histogram.
const BAR: u64 = 40;

/// A heap's counters and pauses at some time.
pub(crate) struct Statistics {
    stats: Stats,
    pauses: Pauses,
}

/// Those of the store's heap now.
pub(crate) fn of(store: &StoreInner) -> Statistics {
    Statistics { stats: store.heap_stats(), pauses: *store.pauses() }
}

impl Statistics {
    /// Lines for people.
    pub(crate) fn human(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        self.stats.each(|name, count| {
            let _ = writeln!(text, "{name:<26} {count:>14}");
        });
        let pauses = &self.pauses;
        let count = pauses.count();
        if count == 0 {
            text.push_str("no pause\n");
            return text;
        }
        if pauses.sweeping > 0 {
            let _ = writeln!(text, "sweeping at allocations: {}", time(pauses.sweeping));
        }
        let _ = writeln!(
            text,
            "{count} pauses, {} together: p50 {}, p90 {}, p99 {}, longest {}",
            time(pauses.total),
            time(pauses.quantile(0.5)),
            time(pauses.quantile(0.9)),
            time(pauses.quantile(0.99)),
            time(pauses.longest)
        );
        let most = pauses.buckets.iter().copied().max().unwrap_or(1).max(1);
        for (from, below, count) in self.buckets() {
            // A bar of each bucket that holds any.
            let bar = "#".repeat((count * BAR).div_ceil(most) as usize);
            let _ = writeln!(text, "{:>9} to {:>9} {count:>10}  {bar}", time(from), time(below));
        }
        text
    }

    /// Counters by name.
    pub(crate) fn counters_json(&self) -> Value {
        let mut counters = Map::new();
        self.stats.each(|name, count| drop(counters.insert(name.to_owned(), json!(count))));
        Value::Object(counters)
    }

    /// Pauses in nanoseconds; quantiles are upper bounds.
    pub(crate) fn pauses_json(&self) -> Value {
        let pauses = &self.pauses;
        let buckets: Vec<Value> = self
            .buckets()
            .filter(|(.., count)| *count > 0)
            .map(|(from, below, count)| json!({ "from": from, "below": below, "count": count }))
            .collect();
        json!({
            "count": pauses.count(),
            "total": pauses.total,
            "p50": pauses.quantile(0.5),
            "p90": pauses.quantile(0.9),
            "p99": pauses.quantile(0.99),
            "longest": pauses.longest,
            "sweeping": pauses.sweeping,
            "buckets": buckets,
        })
    }

    /// From the first bucket that holds any to the last: bounds in ns and pauses.
    fn buckets(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        let buckets = &self.pauses.buckets;
        let first = buckets.iter().position(|count| *count > 0).unwrap_or(0);
        let behind = buckets.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        (first..behind).map(|n| (1 << n, 1 << (n + 1), buckets[n]))
    }
}

/// `850 ns`, `1.2 µs`, `34.0 ms`, `5.6 s`.
fn time(nanoseconds: u64) -> String {
    let n = nanoseconds as f64;
    match nanoseconds {
        0..1_000 => format!("{nanoseconds} ns"),
        1_000..1_000_000 => format!("{:.1} µs", n / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", n / 1e6),
        _ => format!("{:.1} s", n / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_a_histogram_without_empty_ends() {
        let mut pauses = Pauses::default();
        (pauses.buckets[10], pauses.buckets[12]) = (80, 1);
        (pauses.longest, pauses.total) = (5_000, 100_000);
        let statistics = Statistics { stats: Stats { full: 81, ..Stats::default() }, pauses };
        let text = statistics.human();
        assert!(
            text.contains("81 pauses, 100.0 µs together: p50 2.0 µs, p90 2.0 µs, p99 5.0 µs, longest 5.0 µs"),
            "{text}"
        );
        let bars: Vec<usize> = text.lines().rev().take(3).map(|line| line.matches('#').count()).collect();
        assert_eq!(bars, [1, 0, 40], "{text}");
        assert_eq!(statistics.counters_json()["full"], 81);
        assert_eq!(statistics.pauses_json()["buckets"].as_array().map(Vec::len), Some(2));
        assert!(
            Statistics { stats: Stats::default(), pauses: Pauses::default() }.human().ends_with("no pause\n")
        );
    }

    #[test]
    fn times_have_units() {
        assert_eq!(
            [850, 1_200, 34_000_000, 5_600_000_000].map(time),
            ["850 ns", "1.2 µs", "34.0 ms", "5.6 s"]
        );
    }
}
