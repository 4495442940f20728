use assay_harness::{Features, generate, subject};
use std::time::Instant;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let generator = &args[1];
    let n: u64 = args[2].parse().unwrap();
    let names: Vec<String> = ["interp".to_string()]
        .into_iter()
        .chain(
            ["null", "copying", "marksweep", "drc", "generational", "incremental"]
                .iter()
                .map(|c| format!("jit:{c},opt=none")),
        )
        .collect();
    let mut subjects = Vec::new();
    let shelf = subject::Shelf::default();
    for name in &names {
        subjects.extend(subject::parse_on(&shelf, name).unwrap());
    }
    for s in subjects.iter_mut() {
        s.tell_reach();
    }
    for seed in 0..n {
        let t = Instant::now();
        let Some(first) = generate::from_seed_within(generator, seed, Features::OF_PROGRAMS) else {
            continue;
        };
        let gen_us = t.elapsed().as_micros();
        let bytes: usize = first
            .steps
            .iter()
            .map(|s| match &s.action {
                assay_harness::Action::Module { source: assay_harness::Source::Binary(b), .. } => b.len(),
                _ => 0,
            })
            .sum();
        for number in 0..generate::SCHEDULES {
            let case = generate::under_schedule(&first, number);
            let mut us = Vec::new();
            let mut obs = Vec::new();
            for s in subjects.iter_mut() {
                let t = Instant::now();
                obs.push(s.observe(&case));
                us.push(t.elapsed().as_micros());
            }
            let t = Instant::now();
            let named: Vec<(&str, &assay_harness::Observation)> =
                subjects.iter().map(|s| s.name()).zip(&obs).collect();
            let c = assay_harness::compare::compare(&case, &named);
            assert!(c.findings.is_empty());
            let cmp = t.elapsed().as_micros();
            println!(
                "{seed} {number} {bytes} {} {} {} {} {gen_us} {cmp} {} {}",
                obs[0].counters.instructions,
                obs[0].counters.allocations,
                obs.iter().map(|o| o.counters.collections).sum::<u64>(),
                obs.iter().map(|o| o.counters.frame_only_survivors).sum::<u64>(),
                case.schedule.gc_heap_max.is_some(),
                us.iter().map(|u| u.to_string()).collect::<Vec<_>>().join(" ")
            );
        }
    }
}
