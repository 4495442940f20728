//! What a case did to heaps and fibers, as a fixed array of small counters that a fuzzer takes for coverage.
//!
//! Code coverage hardly tells one collection from another. Here each counter is an event: so many of something that a
//! collector counts (collections by kind, objects moved, promoted and freed, what barriers left to do, limits hit, root
//! slots of each kind that held an object), by powers of two; something together with what the case asked for that may
//! have triggered it; what happened to fibers. Configurations of one collector count as one: how code is compiled is no
//! event of the heap.
//!
//! What the heaps do not count is missing: which root alone kept an object alive (but for frames), and the kind of object
//! that moved or died.

use crate::Case;
use crate::campaign::protocol::Report;

/// Collectors that have counters of their own.
const COLLECTORS: usize = 8;

/// Things counted by a heap, at most.
const STATS: usize = 48;

/// Things counted of fibers.
const FIBERS: usize = 5;

/// Sorts of triggers that a schedule has.
const TRIGGERS: usize = 8;

/// Counters of one collector: two for each amount, one for each thing together with each trigger.
const OF_COLLECTOR: usize = STATS * (2 + TRIGGERS) + FIBERS * 2;

/// How many counters there are.
pub const LEN: usize = COLLECTORS * OF_COLLECTOR + KINDS.len();

/// Ways of a case to end early, and to be judged, by the words of a report.
const KINDS: [&str; 7] = [
    "call stack exhausted",
    "heap of a null collector exhausted",
    "heap exhausted where it must be",
    "heap of the reference exhausted",
    "unsupported",
    "validity unchecked",
    "graph truncated",
];

/// The counters of a case that the subjects of these names have run, in the order of the report.
pub fn counters(case: &Case, names: &[&str], report: &Report) -> Box<[u8; LEN]> {
    let mut counters = Box::new([0; LEN]);
    let triggers = triggers(case);
    for ((name, heap), fibers) in names.iter().zip(&report.heaps).zip(&report.fibers) {
        let Some(collector) = collector(name) else { continue };
        let own = &mut counters[collector * OF_COLLECTOR..][..OF_COLLECTOR];
        let (stats, of_fibers) = own.split_at_mut(STATS * (2 + TRIGGERS));
        for (stat, count) in stats.chunks_exact_mut(2 + TRIGGERS).zip(heap.counts()) {
            let (amount, together) = stat.split_at_mut(2);
            put(amount, count);
            for (counter, asked) in together.iter_mut().zip(triggers) {
                *counter = (*counter).max(u8::from(asked && count > 0));
            }
        }
        let counts = [fibers.resumes, fibers.yields, fibers.cancels, fibers.visits, fibers.moved];
        of_fibers.chunks_exact_mut(2).zip(counts).for_each(|(amount, count)| put(amount, count));
    }
    for (counter, kind) in counters[COLLECTORS * OF_COLLECTOR..].iter_mut().zip(KINDS) {
        *counter = u8::from(report.discards.contains_key(kind));
    }
    counters
}

/// Which collector the subject of this name has.
fn collector(name: &str) -> Option<usize> {
    let name = name.strip_prefix("jit:")?.split(',').next()?;
    assay_gc::registry().iter().position(|entry| entry.constraints.name == name).filter(|at| *at < COLLECTORS)
}

/// What the case asks for that makes collectors work: single collections by place and kind, regular ones, a limit, fibers.
fn triggers(case: &Case) -> [bool; TRIGGERS] {
    let schedule = &case.schedule;
    let minor = |kind| matches!(kind, assay_gc::CollectKind::Minor);
    [
        schedule.collect_every.is_some(),
        schedule.collect_every_safepoint.is_some(),
        schedule.collect_seed.is_some(),
        schedule.collect.iter().any(|single| single.at_safepoint()),
        schedule.collect.iter().any(|single| !single.at_safepoint()),
        schedule.collect.iter().any(|single| minor(single.0.kind)),
        schedule.gc_heap_max.is_some(),
        schedule.fibers > 0,
    ]
}

/// Puts an amount into two counters. libFuzzer tells eight ranges of a counter's values apart; the first counter stands for
/// the first eight powers of two, the second one for the others.
fn put(counters: &mut [u8], count: u64) {
    /// One of each range.
    const RANGES: [u8; 8] = [1, 2, 3, 4, 8, 16, 32, 128];
    let Some(power) = count.checked_ilog2() else { return };
    let (which, range) = (usize::from(power >= 8), (power as usize).min(15) % 8);
    counters[which] = counters[which].max(RANGES[range]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::worker::examine;
    use crate::generate::from_seed;
    use crate::subject;

    #[test]
    fn powers_of_two_differ_and_the_rest_of_a_power_does_not() {
        let of = |count| {
            let mut counters = [0; 2];
            put(&mut counters, count);
            counters
        };
        let powers: std::collections::HashSet<[u8; 2]> = (0..16).map(|power| of(1 << power)).collect();
        assert_eq!(powers.len(), 16);
        assert_eq!((of(0), of(5), of(u64::MAX)), ([0, 0], of(7), of(1 << 15)));
    }

    #[test]
    fn there_is_room() {
        let mut count = 0;
        assay_gc::Stats::default().each(|_, _| count += 1);
        assert!(count + 6 <= STATS && assay_gc::registry().len() <= COLLECTORS);
    }

    /// Cases differ in what they do to heaps, and a case that is run again does not.
    #[test]
    fn cases_have_events_of_their_own() {
        let mut subjects: Vec<_> =
            ["interp", "jit:*"].iter().flat_map(|spec| subject::parse(spec).unwrap()).collect();
        let mut seen = std::collections::HashSet::new();
        let mut fresh = 0;
        const CASES: usize = 24;
        for seed in 0..CASES as u64 {
            let case = from_seed("objects", seed).unwrap();
            let mut run = || {
                let report = examine(&mut subjects, &case);
                let names: Vec<&str> = subjects.iter().map(|subject| subject.name()).collect();
                counters(&case, &names, &report)
            };
            let first = run();
            assert_eq!(first, run(), "seed {seed}");
            let events: Vec<(usize, u8)> = first.iter().copied().enumerate().filter(|at| at.1 > 0).collect();
            assert!(events.len() > 50, "seed {seed}: {} events", events.len());
            fresh += usize::from(events.into_iter().filter(|event| seen.insert(*event)).count() > 0);
        }
        println!("{} events of {CASES} cases, {fresh} of which had a new one", seen.len());
        assert!(fresh > CASES / 2, "{fresh}");
    }
}
