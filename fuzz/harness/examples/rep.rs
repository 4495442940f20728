//! x
use assay_harness::{Features, generate, subject};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let n: u64 = args[2].parse().unwrap();
    let shelf = subject::Shelf::default();
    let mut s = subject::parse_on(&shelf, &args[1]).unwrap();
    s[0].tell_reach();
    let reps: u64 = args[3].parse().unwrap();
    for seed in 0..n {
        let Some(first) = generate::from_seed_within("objects", seed, Features::OF_PROGRAMS) else {
            continue;
        };
        for number in 0..reps {
            let case = generate::under_schedule(&first, number);
            std::hint::black_box(s[0].observe(&case));
        }
    }
}
