//! What cases of several modules consist of and do.

use std::collections::{BTreeMap, BTreeSet};

use wasmparser::{Parser, Payload, TypeRef};

use crate::generate::from_seed;
use crate::subject::InterpSubject;
use crate::{Action, Case, Expect, Outcome, RejectStage, Resource, Source, Subject, Value};

fn case(seed: u64) -> Case {
    from_seed("linking", seed).unwrap()
}

fn module(action: &Action) -> Option<&[u8]> {
    match action {
        Action::Module { source: Source::Binary(bytes), .. }
        | Action::Define { source: Source::Binary(bytes), .. }
        | Action::Link { source: Source::Binary(bytes) } => Some(bytes),
        _ => None,
    }
}

/// Kinds of a module's imports from other modules.
fn imports(bytes: &[u8], seen: &mut BTreeSet<&'static str>) {
    for payload in Parser::new(0).parse_all(bytes) {
        let Payload::ImportSection(section) = payload.unwrap() else { continue };
        for import in section.into_imports().map(Result::unwrap).filter(|import| import.module != "assay") {
            seen.insert(match import.ty {
                TypeRef::Func(_) | TypeRef::FuncExact(_) => "function",
                TypeRef::Table(_) => "table",
                TypeRef::Memory(_) => "memory",
                TypeRef::Global(ty) if ty.mutable => "mutable global",
                TypeRef::Global(_) => "immutable global",
                TypeRef::Tag(_) => "tag",
            });
        }
    }
}

#[test]
fn every_kind_of_import_and_every_instruction_occurs() {
    let (mut kinds, mut words) = (BTreeSet::new(), BTreeSet::new());
    let mut sizes = Vec::new();
    for seed in 0..120 {
        let case = case(seed);
        let modules = case.steps.iter().filter_map(|step| module(&step.action));
        sizes.push(modules.clone().map(<[u8]>::len).sum::<usize>());
        for bytes in modules {
            imports(bytes, &mut kinds);
            let text = wasmprinter::print_bytes(bytes).unwrap();
            let split = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_'));
            words.extend(split.filter(|word| EXPECTED.contains(word)).map(str::to_owned));
        }
    }
    sizes.sort_unstable();
    println!("bytes of all modules: median {}, most {}", sizes[60], sizes[119]);
    assert!(sizes[60] < 9_000 && sizes[119] < 25_000, "median {}, most {}", sizes[60], sizes[119]);
    assert_eq!(kinds.len(), 6, "{kinds:?}");
    let missing: Vec<&&str> = EXPECTED.iter().filter(|word| !words.contains(**word)).collect();
    assert!(missing.is_empty(), "never emitted: {missing:?}");
}

/// Every module that is meant to be linked is; objects pass between instances and outlive collections; a known share cannot
/// be linked; nothing else goes wrong.
#[test]
fn instances_are_linked_and_share_objects() {
    const SEEDS: usize = 300;
    let mut interp = InterpSubject::new();
    let (mut linked, mut shared, mut unlinkable, mut halfway, mut fibers) = (0, 0, 0, 0, 0);
    let (mut calls, mut ends) = (0, BTreeMap::new());
    let (mut instructions, mut collections) = (Vec::new(), Vec::new());
    for seed in 0..SEEDS as u64 {
        let case = case(seed);
        let observation = interp.observe(&case);
        let (mut all, mut instances) = (true, 0);
        for (step, outcome) in case.steps.iter().zip(&observation.outcomes) {
            match &step.action {
                Action::Module { .. } | Action::Instantiate { .. } => {
                    assert_eq!(step.expect, Expect::Success);
                    all &= *outcome == Outcome::Done;
                    instances += 1;
                    if *outcome != Outcome::Done {
                        println!("seed {seed}: {outcome:?}");
                    }
                }
                Action::Link { .. } => {
                    assert_ne!(*outcome, Outcome::Exhausted(Resource::Fuel), "seed {seed}");
                    unlinkable +=
                        usize::from(matches!(outcome, Outcome::Rejected(RejectStage::Unlinkable, _)));
                    halfway += usize::from(matches!(outcome, Outcome::Trapped(_) | Outcome::Thrown { .. }));
                }
                Action::Invoke { .. } => {
                    calls += 1;
                    let end = match outcome {
                        Outcome::Returned { .. } => "returned".to_owned(),
                        Outcome::Thrown { .. } => "thrown".to_owned(),
                        Outcome::Trapped(kind) => format!("{kind:?}"),
                        Outcome::Cancelled => "cancelled".to_owned(),
                        other => panic!("seed {seed}: {other:?}"),
                    };
                    *ends.entry(end).or_insert(0) += 1;
                }
                _ => assert_eq!(*outcome, Outcome::Done, "seed {seed}"),
            }
        }
        linked += usize::from(all);
        // Walkers log the keys of other modules' nodes that are older than the latest collection.
        let foreign = |event: &crate::observe::TraceEvent| {
            event.name == "log_i32" && matches!(event.args[..], [Value::I32(key)] if key >> 20 < 8)
        };
        shared += usize::from(observation.trace.iter().any(foreign));
        fibers += usize::from(case.schedule.fibers > 0);
        instructions.push(observation.counters.instructions);
        collections.push(observation.trace.iter().filter(|event| event.name == "gc").count());
        let states = observation.state.iter().filter(|state| state.instance != u32::MAX).count();
        assert!(!all || states == instances, "seed {seed}: the state of {states} of {instances} instances");
    }
    instructions.sort_unstable();
    collections.sort_unstable();
    let figures = format!(
        "of {SEEDS}: {linked} linked, {shared} share objects across a collection, {unlinkable} with an unlinkable module, \
         {halfway} with one that ends half way, {fibers} with fibers; {calls} calls: {ends:?}; instructions {} (most {}), \
         collections {} (most {})",
        instructions[SEEDS / 2],
        instructions[SEEDS - 1],
        collections[SEEDS / 2],
        collections[SEEDS - 1],
    );
    println!("{figures}");
    assert!(linked * 10 >= SEEDS * 9, "{figures}");
    assert!(shared * 10 >= SEEDS * 6, "{figures}");
    assert!((SEEDS * 3 / 100..=SEEDS * 15 / 100).contains(&unlinkable), "{figures}");
    assert!(halfway * 100 >= SEEDS * 3, "{figures}");
    assert!(ends["returned"] * 10 >= calls * 7, "{figures}");
    assert!(
        ends["CastFailure"] > 0 && ends["IndirectCallTypeMismatch"] > 0 && ends["thrown"] > 0,
        "{figures}"
    );
}

/// Names in the text format.
const EXPECTED: &[&str] = &[
    "ref.test",
    "ref.cast",
    "br_on_cast",
    "br_on_cast_fail",
    "call_ref",
    "call_indirect",
    "return_call",
    "return_call_ref",
    "return_call_indirect",
    "throw",
    "throw_ref",
    "try_table",
    "catch",
    "catch_all",
    "catch_all_ref",
    "table.get",
    "table.set",
    "table.grow",
    "table.fill",
    "table.copy",
    "table.init",
    "table.size",
    "struct.new",
    "struct.get",
    "struct.get_s",
    "struct.get_u",
    "struct.set",
    "array.new",
    "array.new_fixed",
    "array.get",
    "array.set",
    "array.fill",
    "array.copy",
    "array.len",
    "global.get",
    "global.set",
    "ref.eq",
    "ref.func",
    "ref.i31",
    "i31.get_s",
    "i31.get_u",
    "any.convert_extern",
    "extern.convert_any",
    "memory.grow",
    "memory.fill",
    "memory.copy",
    "start",
    "elem",
    "rec",
];
