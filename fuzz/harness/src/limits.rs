//! Heap limits that every collector must get by with, derived from the reference.
//!
//! Engines differ in what they need for the same objects, so running out of memory says something about a collector only
//! where the limit is generous enough for it, and much only where it is tight. [`most_reachable`] gives an upper bound of the
//! bytes that a program reaches at once, by a size formula that agrees with the layout of our heaps; a collector states
//! in percent of that what it runs in (`Constraints::headroom`); [`enough`] is what the most demanding one asks for.
//!
//! The percentages are measured by `what_each_collector_needs` below, which searches the smallest limit at which each
//! collector still runs a generated case. Of 160 cases the worst needed 99 % under `copying` and `generational`, and 111 %
//! under the others; half of them needed 65 % or less, since the figure is a bound. What moves objects needs no more
//! than what is reachable; a free list's cell is at most a quarter larger than its object (`space/classes.rs`), so 125 % is
//! what those collectors are designed for. The rest is margin, for code that keeps a reference longer than it needs to.
//!
//! ```text
//! nice cargo test --release --lib what_each_collector_needs -- --ignored --nocapture
//! ```

use crate::case::{Case, Expect};
use crate::observe::Resource;
pub(crate) use crate::subject::most_reachable;

/// Bytes beside the share of what is reachable: arguments and results of the call at hand, which handles hold.
const SLACK: u64 = 1 << 10;
/// Bytes of the smallest limit.
const LEAST: u64 = 4 << 10;
/// Bytes of the largest limit that is worth setting: a larger heap is not filled in a short run.
pub(crate) const MOST: u64 = 512 << 10;

/// Bytes of heap in which every collector runs a program that reaches `most` bytes at once.
pub(crate) fn enough(most: u64) -> u64 {
    let percent = assay_gc::registry().iter().map(|entry| u64::from(entry.constraints.headroom)).max();
    let share = most.saturating_mul(percent.unwrap_or(100).max(100)) / 100;
    share.saturating_add(SLACK).max(LEAST).next_multiple_of(8)
}

/// Whether the case has a limit and keeps what its script says of it: it suffices, but for the steps that expect to exhaust the
/// heap, and not for those.
pub(crate) fn hold(case: &Case) -> bool {
    let Some(limit) = case.schedule.gc_heap_max else { return false };
    let mut rest = case.clone();
    rest.steps.retain(|step| step.expect != Expect::Exhaustion(Resource::GcHeap));
    let exhausts = rest.steps.len() < case.steps.len();
    most_reachable(&rest).is_some_and(|most| enough(most) <= limit)
        && (!exhausts || most_reachable(case).is_some_and(|most| most > limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::worker::examine;
    use crate::generate::from_seed;
    use crate::observe::Outcome;
    use crate::subject::{self, JitOptions, JitSubject, Shelf, Subject};

    /// The first limited cases of the typed generator.
    fn limited() -> impl Iterator<Item = (u64, Case)> {
        let cases = (0u64..).filter_map(|seed| Some((seed, from_seed("objects", seed)?)));
        cases.filter(|(_, case)| case.schedule.gc_heap_max.is_some())
    }

    fn exhausting(case: &Case) -> usize {
        case.steps.iter().filter(|step| step.expect == Expect::Exhaustion(Resource::GcHeap)).count()
    }

    #[test]
    fn a_limit_grows_with_what_is_reachable_and_has_a_floor() {
        assert_eq!(enough(0), LEAST);
        assert!(enough(100_000) >= 125_000 && enough(100_000) <= 200_000);
        assert_eq!(enough(12_345) % 8, 0);
        for entry in assay_gc::registry() {
            let asks = entry.constraints.headroom;
            assert_eq!(asks >= 100, entry.constraints.collects, "{}", entry.constraints.name);
        }
    }

    /// Each runs everywhere, and each heap that is collected hits its limit; the wrong limit would show.
    #[test]
    fn limited_cases_agree_and_every_heap_hits_its_limit() {
        let mut subjects: Vec<Box<dyn Subject>> =
            subject::defaults().iter().flat_map(|name| subject::parse(name).unwrap()).collect();
        let mut hits = vec![0; subjects.len()];
        let mut must = 0;
        for (seed, case) in limited().take(12) {
            let report = examine(&mut subjects, &case);
            assert!(report.findings.is_empty(), "seed {seed}: {:?}", report.findings);
            must += exhausting(&case);
            for (hits, heap) in hits.iter_mut().zip(&report.heaps) {
                *hits += heap.get("limit_hits");
            }
        }
        assert!(must >= 4, "{must}");
        for (hits, subject) in hits.iter().zip(&subjects).skip(1) {
            assert_eq!(*hits as usize >= must, subject.supports().collects, "{}: {hits}", subject.name());
        }
    }

    #[test]
    fn limits_hold_as_generated_and_not_when_they_are_changed() {
        let (mut exhaust, mut reached) = (0, 0);
        for (seed, mut case) in limited().take(40) {
            assert!(hold(&case), "seed {seed}");
            assert!(case.schedule.gc_heap_max.is_some_and(|limit| limit <= MOST), "seed {seed}");
            reached += usize::from(most_reachable(&case).is_some());
            if exhausting(&case) > 0 {
                exhaust += 1;
                case.schedule.gc_heap_max = Some(4 * MOST);
                assert!(!hold(&case), "seed {seed}: a chain that fits");
            }
            case.schedule.gc_heap_max = Some(64);
            assert!(!hold(&case), "seed {seed}: nothing fits");
            case.schedule.gc_heap_max = None;
            assert!(!hold(&case));
        }
        assert_eq!(reached, 40);
        assert!((15..38).contains(&exhaust), "{exhaust}");
    }

    #[test]
    #[ignore = "a measurement of some minutes"]
    fn what_each_collector_needs() {
        let seeds: u64 = std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(200);
        let mut subjects: Vec<JitSubject> = assay_gc::registry()
            .iter()
            .filter(|entry| entry.constraints.collects)
            .map(|entry| {
                let collector = entry.constraints.name.into();
                let mut options = JitOptions { collector, ..JitOptions::default() };
                options.set("opt=none");
                JitSubject::new(options, &Shelf::default()).unwrap()
            })
            .collect();
        // Percent of the reachable bytes, those bytes, the seed.
        let mut needs: Vec<Vec<(u64, u64, u64)>> = vec![Vec::new(); subjects.len()];
        for seed in 0..seeds {
            let mut case = from_seed("objects", seed).unwrap();
            case.steps.retain(|step| step.expect != Expect::Exhaustion(Resource::GcHeap));
            let Some(most) = most_reachable(&case) else { continue };
            for (subject, needs) in subjects.iter_mut().zip(&mut needs) {
                let mut passes = |limit: u64| {
                    case.schedule.gc_heap_max = Some(limit);
                    !subject.observe(&case).outcomes.contains(&Outcome::Exhausted(Resource::GcHeap))
                };
                let (mut low, mut high) = (most / 4, most * 4);
                assert!(passes(high), "seed {seed}");
                while high - low > (most / 64).max(64) {
                    let middle = (low + high) / 2;
                    if passes(middle) { high = middle } else { low = middle }
                }
                needs.push((high * 100 / most, most, seed));
            }
        }
        for (subject, needs) in subjects.iter().zip(&mut needs) {
            needs.sort_unstable();
            let [half, most, worst] = [50, 90, 99].map(|share| needs[needs.len() * share / 100].0);
            let last = &needs[needs.len().saturating_sub(4)..];
            println!(
                "{}: of {} cases half need {half} %, 90 % need {most} %, 99 % {worst} %; the worst (percent, bytes, seed) \
                 {last:?}",
                subject.name(),
                needs.len()
            );
        }
    }
}
