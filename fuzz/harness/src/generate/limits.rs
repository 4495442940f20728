//! Heap limits.

#[cfg(test)]
mod tests {
    use crate::generate::from_seed;
    use crate::observe::{Outcome, Resource};
    use crate::subject::{self, JitOptions, JitSubject, Subject};

    #[test]
    #[ignore = "a measurement"]
    fn what_each_collector_needs() {
        let seeds: u64 = std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(200);
        let collectors = assay_gc::registry().iter().filter(|entry| entry.constraints.collects);
        let mut rows: Vec<(u64, u64, Vec<u64>)> = Vec::new();
        let mut subjects: Vec<JitSubject> = collectors
            .map(|entry| {
                let mut options =
                    JitOptions { collector: entry.constraints.name.into(), ..JitOptions::default() };
                options.set("opt=none");
                JitSubject::new(options).unwrap()
            })
            .collect();
        for seed in 0..seeds {
            let mut case = from_seed("objects", seed).unwrap();
            case.schedule.gc_heap_max = None;
            let Some(most) = subject::most_reachable(&case) else { continue };
            let mut needs = Vec::new();
            for subject in &mut subjects {
                let mut passes = |limit: u64| {
                    case.schedule.gc_heap_max = Some(limit);
                    let seen = subject.observe(&case);
                    !seen.outcomes.contains(&Outcome::Exhausted(Resource::GcHeap))
                };
                let (mut low, mut high) = (most / 4 / 8 * 8, most * 4);
                if !passes(high) {
                    high = u64::MAX;
                }
                while high != u64::MAX && high - low > (most / 64).max(64) {
                    let middle = (low + high) / 2;
                    if passes(middle) { high = middle } else { low = middle }
                }
                needs.push(high);
            }
            rows.push((seed, most, needs));
        }
        println!("{} cases", rows.len());
        let mut sizes: Vec<u64> = rows.iter().map(|row| row.1).collect();
        sizes.sort_unstable();
        println!("reachable: median {}, 90 % {}, most {}", sizes[sizes.len() / 2], sizes[sizes.len() * 9 / 10], sizes[sizes.len() - 1]);
        for (at, subject) in subjects.iter().enumerate() {
            let mut percents: Vec<(u64, u64, u64)> =
                rows.iter().map(|(seed, most, needs)| (needs[at].saturating_mul(100) / most, *most, *seed)).collect();
            percents.sort_unstable();
            let pick = |share: usize| percents[percents.len() * share / 100];
            println!(
                "{}: percent of the reachable bytes: median {}, 90 % {}, 99 % {}, most {:?}",
                subject.name(),
                pick(50).0,
                pick(90).0,
                pick(99).0,
                &percents[percents.len().saturating_sub(6)..]
            );
        }
    }
}
