//! x
use assay_harness::{Action, Features, Source, generate};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let seed: u64 = args[2].parse().unwrap();
    let case = generate::from_seed_within(&args[1], seed, Features::OF_PROGRAMS).unwrap();
    let case = generate::under_schedule(&case, args.get(4).map_or(0, |n| n.parse().unwrap()));
    for s in &case.steps {
        if let Action::Module { source: Source::Binary(b), .. } = &s.action {
            std::fs::write(&args[3], b).unwrap();
        }
    }
    println!("{}", wasmprinter::print_bytes(std::fs::read(&args[3]).unwrap()).unwrap());
}
