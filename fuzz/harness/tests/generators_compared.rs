//! A measurement, not a check: what the generators' programs do on the interpreter, beside those of wasm-smith as it comes, with GC on.
//! `cargo test --release --test generators_compared -- --ignored --nocapture` prints a table.

use std::collections::BTreeMap;
use std::time::Instant;

use arbitrary::Unstructured;
use assay_harness::graph::{HeapGraph, NodeRef};
use assay_harness::{Case, Outcome, Value, generate, subject};

const CASES: u64 = 300;

/// Instructions that read an object's content.
const READS: [&str; 10] = [
    "struct.get",
    "struct.get_s",
    "struct.get_u",
    "array.get",
    "array.get_s",
    "array.get_u",
    "array.len",
    "array.copy",
    "i31.get_s",
    "i31.get_u",
];

/// A module of wasm-smith's default configuration with GC (and what it needs) on, without imports, so that anyone can run it.
fn plain_smith(seed: u64) -> Option<Case> {
    let config = wasm_smith::Config {
        reference_types_enabled: true,
        gc_enabled: true,
        max_imports: 0,
        export_everything: true,
        ..wasm_smith::Config::default()
    };
    let bytes = generate::seed_bytes(seed);
    let module = wasm_smith::Module::new(config, &mut Unstructured::new(&bytes)).ok()?;
    let mut case = generate::exports_of(&module.to_bytes());
    case.schedule.fuel = Some(100_000);
    Some(case)
}

/// Whether some object reaches itself.
fn is_cyclic(graph: &HeapGraph) -> bool {
    let next = |node: usize| {
        graph.nodes[node].slots.iter().filter_map(|slot| match slot {
            Value::Ref(NodeRef::Node(next)) => Some(*next as usize),
            _ => None,
        })
    };
    // Objects that nothing left refers to go, until none goes.
    let mut incoming = vec![0; graph.nodes.len()];
    (0..graph.nodes.len()).flat_map(next).for_each(|node| incoming[node] += 1);
    let mut free: Vec<usize> = (0..incoming.len()).filter(|node| incoming[*node] == 0).collect();
    let mut gone = 0;
    while let Some(node) = free.pop() {
        gone += 1;
        for next in next(node) {
            incoming[next] -= 1;
            if incoming[next] == 0 {
                free.push(next);
            }
        }
    }
    gone < graph.nodes.len()
}

#[test]
#[ignore = "a measurement: figures of a machine, not a check"]
fn what_the_programs_of_each_generator_do() {
    let mut makers: BTreeMap<String, Box<dyn Fn(u64) -> Option<Case>>> = BTreeMap::new();
    for entry in generate::registry() {
        makers.insert(entry.name.to_owned(), Box::new(|seed| generate::from_seed(entry.name, seed)));
    }
    makers.insert("wasm-smith, default and GC".to_owned(), Box::new(plain_smith));
    for (name, make) in makers {
        let mut interp = subject::parse("interp").expect("a subject").remove(0);
        interp.tell_reach();
        let start = Instant::now();
        let (mut made, mut reading, mut cyclic, mut ended) = (0u32, 0u32, 0u32, 0u32);
        let (mut instructions, mut objects, mut most) = (0, 0, 0);
        for case in (0..CASES).filter_map(&make) {
            made += 1;
            let seen = interp.observe(&case);
            instructions += seen.counters.instructions;
            let reads = |(name, contexts): (&str, usize)| contexts > 0 && READS.contains(&name);
            reading += u32::from(seen.counters.executed.contexts().any(reads));
            ended += u32::from(
                seen.outcomes.iter().all(|o| matches!(o, Outcome::Done | Outcome::Returned { .. })),
            );
            let graphs = seen.outcomes.iter().filter_map(|outcome| match outcome {
                Outcome::Returned { graph, .. } | Outcome::Thrown { graph } => Some(graph),
                _ => None,
            });
            let graphs: Vec<&HeapGraph> = graphs.chain([&seen.graph]).collect();
            let largest = graphs.iter().map(|graph| graph.nodes.len()).max().unwrap_or(0);
            objects += largest;
            most = most.max(largest);
            let shown = graphs.iter().any(|graph| is_cyclic(graph));
            cyclic += u32::from(shown || !seen.counters.cycle_shapes.is_empty());
        }
        let seconds = start.elapsed().as_secs_f64();
        let share = |n: u32| 100.0 * f64::from(n) / f64::from(made);
        println!(
            "{name}: {made} cases, {:.1} % end without a trap, {:.1} % read the heap, {:.1} % with a cycle; largest graph of a case: mean {:.1}, most {most}; {:.0} instructions/s, making them included",
            share(ended),
            share(reading),
            share(cyclic),
            objects as f64 / f64::from(made),
            instructions as f64 / seconds,
        );
    }
}
