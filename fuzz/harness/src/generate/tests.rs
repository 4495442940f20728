//! Every case is valid, the same bytes give the same case, and the typed generator emits every instruction of its set.

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::Unstructured;
use wasmparser::{CompositeInnerType, Operator, Parser, Payload, Validator, WasmFeatures};

use super::choices::{Choices, SMALL_I31};
use super::input::Input;
use super::{GeneratorEntry, another, from_seed, objects, registry, seed_bytes};
use crate::graph::NodeRef;
use crate::observe::Executed;
use crate::subject::InterpSubject;
use crate::{Action, Case, Expect, Features, Outcome, Resource, Source, Subject, Value};

fn modules(case: &Case) -> impl Iterator<Item = &[u8]> {
    case.steps.iter().filter_map(|step| match &step.action {
        Action::Module { source: Source::Binary(bytes), .. }
        | Action::Define { source: Source::Binary(bytes), .. }
        | Action::Link { source: Source::Binary(bytes) } => Some(&bytes[..]),
        _ => None,
    })
}

fn check(entry: &GeneratorEntry, bytes: &[u8], what: &str) -> Case {
    let case = (entry.generate)(&mut Unstructured::new(bytes), Features::OF_PROGRAMS);
    for module in modules(&case) {
        if let Err(error) = Validator::new_with_features(WasmFeatures::WASM3).validate_all(module) {
            panic!("{} of {what}: {error}", entry.name);
        }
    }
    case
}

#[test]
fn cases_of_seeds_are_valid_and_repeatable() {
    for entry in registry() {
        for seed in 0..1500 {
            let bytes = seed_bytes(seed);
            let case = check(entry, &bytes, &format!("seed {seed}"));
            if seed % 50 == 0 {
                assert_eq!(case, (entry.generate)(&mut Unstructured::new(&bytes), Features::OF_PROGRAMS));
            }
        }
    }
}

#[test]
fn cases_of_short_inputs_are_valid() {
    for entry in registry() {
        check(entry, &[], "nothing");
        for byte in 0..=255 {
            check(entry, &[byte], &format!("byte {byte}"));
            check(entry, &[byte; 300], &format!("300 times byte {byte}"));
        }
        let bytes = seed_bytes(7);
        for len in (0..1000).step_by(7) {
            check(entry, &bytes[..len], &format!("{len} bytes"));
        }
    }
}

#[test]
fn typed_cases_emit_every_instruction_of_the_set() {
    let mut seen = BTreeSet::new();
    for seed in 0..500 {
        let case = from_seed("objects", seed).unwrap();
        for module in modules(&case) {
            let text = wasmprinter::print_bytes(module).unwrap();
            let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_'));
            seen.extend(words.filter(|word| EXPECTED.contains(word)).map(str::to_owned));
        }
    }
    let missing: Vec<&&str> = EXPECTED.iter().filter(|word| !seen.contains(**word)).collect();
    assert!(missing.is_empty(), "never emitted: {missing:?}");
}

#[test]
fn typed_modules_are_of_moderate_size() {
    let mut sizes: Vec<usize> =
        (0..200).map(|seed| modules(&from_seed("objects", seed).unwrap()).map(<[u8]>::len).sum()).collect();
    sizes.sort_unstable();
    println!("module bytes: median {}, most {}", sizes[100], sizes[199]);
    assert!((800..2500).contains(&sizes[100]), "median {}", sizes[100]);
    assert!(sizes[199] < 12_000, "most {}", sizes[199]);
}

/// What the workloads of one kind consist of.
#[derive(Default)]
struct Pattern {
    modules: usize,
    /// Names of operators, as wasmparser has them.
    operators: BTreeSet<String>,
    /// Constant lengths of `array.new_default`.
    lengths: BTreeSet<i32>,
    /// Numbers of fields of the structs that are made.
    fields: BTreeSet<usize>,
}

/// Adds the functions of this module that are exported under another name than entry functions have.
fn workloads(module: &[u8], patterns: &mut BTreeMap<String, Pattern>) {
    let (mut imported, mut body) = (0, 0);
    let (mut fields, mut names) = (Vec::new(), BTreeMap::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload.unwrap() {
            Payload::TypeSection(types) => {
                for ty in types.into_iter().flat_map(|group| group.unwrap().into_types()) {
                    fields.push(match ty.composite_type.inner {
                        CompositeInnerType::Struct(ty) => ty.fields.len(),
                        _ => 0,
                    });
                }
            }
            Payload::ImportSection(imports) => imported = imports.into_imports().count() as u32,
            Payload::ExportSection(exports) => {
                for export in exports.into_iter().map(Result::unwrap) {
                    let entry = export.name.starts_with('f') && export.name.len() == 2;
                    if export.kind == wasmparser::ExternalKind::Func && !entry {
                        names.insert(export.index, export.name.to_owned());
                    }
                }
            }
            Payload::CodeSectionEntry(code) => {
                if let Some(name) = names.get(&(imported + body)) {
                    let pattern = patterns.entry(name.clone()).or_default();
                    pattern.modules += 1;
                    let mut before = None;
                    for operator in code.get_operators_reader().unwrap() {
                        let operator = operator.unwrap();
                        match (&before, &operator) {
                            (Some(Operator::I32Const { value }), Operator::ArrayNewDefault { .. }) => {
                                pattern.lengths.insert(*value);
                            }
                            (_, Operator::StructNewDefault { struct_type_index }) => {
                                pattern.fields.insert(fields[*struct_type_index as usize]);
                            }
                            _ => {}
                        }
                        let text = format!("{operator:?}");
                        pattern.operators.insert(text.split([' ', '{']).next().unwrap().to_owned());
                        before = Some(operator);
                    }
                }
                body += 1;
            }
            _ => {}
        }
    }
}

#[test]
fn each_kind_of_workload_occurs_with_its_instructions() {
    let mut patterns = BTreeMap::new();
    const SEEDS: usize = 800;
    for seed in 0..SEEDS as u64 {
        for module in modules(&from_seed("objects", seed).unwrap()) {
            workloads(module, &mut patterns);
        }
    }
    for (name, expected) in WORKLOADS {
        let pattern = &patterns[*name];
        println!("{name}: in {} of {SEEDS} modules", pattern.modules);
        assert!(
            pattern.modules >= if *name == "fill" { SEEDS / 12 } else { SEEDS / 30 },
            "{name}: in {} of {SEEDS} modules",
            pattern.modules
        );
        for operator in *expected {
            assert!(pattern.operators.contains(*operator), "{name}: no {operator}");
        }
    }
    assert_eq!(patterns.len(), WORKLOADS.len(), "a kind without expectation");
    // References have four bytes: beyond 8 KiB, and beyond 64.
    let lengths = &patterns["large"].lengths;
    for least in [200, 2048, 16_384] {
        assert!(lengths.range(least..least * 2).next().is_some(), "{lengths:?}");
    }
    let fields = &patterns["sizes"].fields;
    for wanted in [0, 1, 2, 8, 16, 33, 64, 128] {
        assert!(fields.contains(&wanted), "no struct of {wanted} fields: {fields:?}");
    }
}

/// The figures that a campaign is held to, with a margin: work done, objects made, and objects that only a frame held
/// during a forced collection and that were read afterwards.
#[test]
fn typed_cases_do_enough() {
    let mut interp = InterpSubject::new();
    let (mut instructions, mut allocations) = (Vec::new(), Vec::new());
    let (mut read_again, mut trapped, mut calls) = (0, 0, 0);
    for seed in 0..100 {
        let case = from_seed("objects", seed).unwrap();
        let observation = interp.observe(&case);
        instructions.push(observation.counters.instructions);
        allocations.push(observation.counters.allocations);
        read_again += usize::from(observation.counters.frame_only_reread > 0);
        for (step, outcome) in case.steps.iter().zip(&observation.outcomes) {
            calls += usize::from(matches!(step.action, Action::Invoke { .. }));
            match outcome {
                Outcome::Done | Outcome::Returned { .. } => {}
                Outcome::Trapped(_) => trapped += 1,
                Outcome::Cancelled | Outcome::Exhausted(Resource::CallStack) if case.schedule.fibers > 0 => {}
                other => panic!("seed {seed}: {other:?}"),
            }
        }
    }
    instructions.sort_unstable();
    allocations.sort_unstable();
    let figures = format!(
        "instructions {} (most {}), allocations {} (most {}), read again {read_again} %, {trapped} of {calls} calls trap",
        instructions[50], instructions[99], allocations[50], allocations[99]
    );
    println!("{figures}");
    // A few workloads are heavy.
    assert!((1_200..5_000).contains(&instructions[50]), "{figures}");
    assert!(instructions[90] < 200_000 && instructions[99] < 3_000_000, "{figures}");
    assert!((120..480).contains(&allocations[50]) && allocations[99] < 60_000, "{figures}");
    assert!(read_again >= 95, "{figures}");
    assert!((1..calls / 5).contains(&trapped), "{figures}");
}

/// Without the functions that nothing calls a program does the same.
#[test]
fn nothing_is_missed_of_what_is_not_called() {
    let mut interp = InterpSubject::new();
    let (mut smaller, mut same) = (0, 0);
    for seed in 0..150 {
        let input = Input::decode(&seed_bytes(seed));
        let whole =
            objects::of(&input, &objects::Options { keeps_uncalled: true, ..objects::Options::default() });
        let case = objects::of(&input, &objects::Options::default());
        let size = |case: &Case| modules(case).map(<[u8]>::len).sum::<usize>();
        smaller += usize::from(size(&case) < size(&whole));
        let (a, b) = (interp.observe(&whole), interp.observe(&case));
        assert_eq!(a.trace, b.trace, "seed {seed}");
        // Functions have other numbers, and slots others of them.
        for (x, y) in a.outcomes.iter().zip(&b.outcomes) {
            match (x, y) {
                (Outcome::Returned { values: x, .. }, Outcome::Returned { values: y, .. }) => {
                    assert_eq!(x, y, "seed {seed}");
                    same += 1;
                }
                _ => assert_eq!(
                    std::mem::discriminant(x),
                    std::mem::discriminant(y),
                    "seed {seed}: {x:?} {y:?}"
                ),
            }
        }
        assert_eq!(a.counters.instructions, b.counters.instructions, "seed {seed}");
        assert_eq!(a.live_objects, b.live_objects, "seed {seed}");
    }
    assert!(smaller > 140 && same > 200, "{smaller} smaller, {same} results");
}

/// What a campaign must reach, and by how much: the instructions on references, objects, tables and exceptions and the tail
/// calls are executed in few cases, between different others; and programs build cycles of many shapes.
#[test]
fn typed_cases_execute_every_instruction_and_build_cycles() {
    const SEEDS: usize = 150;
    let mut interp = InterpSubject::new();
    interp.tell_reach();
    let mut executed = Executed::default();
    let (mut cyclic, mut shapes) = (0, BTreeSet::new());
    for seed in 0..SEEDS as u64 {
        let counters = interp.observe(&from_seed("objects", seed).unwrap()).counters;
        executed.merge(&counters.executed);
        cyclic += usize::from(!counters.cycle_shapes.is_empty());
        shapes.extend(counters.cycle_shapes);
    }
    let mut rare: Vec<(&str, usize)> = executed.contexts().filter(|(_, contexts)| *contexts < 10).collect();
    rare.sort_by_key(|(_, contexts)| *contexts);
    println!("cycles in {cyclic} of {SEEDS}, of {} shapes; fewer than 10 contexts: {rare:?}", shapes.len());
    let never: Vec<_> = rare.iter().filter(|(_, contexts)| *contexts == 0).collect();
    assert!(never.is_empty(), "never executed: {never:?}");
    assert!(
        cyclic >= SEEDS * 6 / 10 && shapes.len() >= SEEDS / 5,
        "{cyclic} with cycles, {} shapes",
        shapes.len()
    );
}

/// The interpreter keeps the modules of the latest case: what an earlier case has executed of them is not told again.
#[test]
fn what_is_executed_is_told_of_one_case() {
    let text = r#"(module
      (func (export "a") (result anyref) (ref.i31 (i32.const 1)))
      (func (export "b") (result i32) (ref.is_null (ref.null any))))
    "#;
    let mut interp = InterpSubject::new();
    interp.tell_reach();
    let mut executed = |call: &str| {
        let case = Case::parse(&format!("{text}(invoke \"{call}\")"), "case.wast").unwrap();
        let executed = interp.observe(&case).counters.executed;
        let contexts: BTreeMap<_, _> = executed.contexts().collect();
        (contexts["ref.i31"], contexts["ref.is_null"])
    };
    assert_eq!([executed("a"), executed("b"), executed("a")], [(1, 0), (0, 1), (1, 0)]);
}

/// Values that take an argument's place are of its type, i31s in 31 bits and as small as it is.
#[test]
fn other_arguments_fit_where_the_first_did() {
    let bytes = seed_bytes(5);
    let mut unstructured = Unstructured::new(&bytes);
    let c = &mut Choices::new(&mut unstructured);
    let numbers = [Value::I32(1), Value::I64(1), Value::F32(1), Value::F64(1)];
    let references =
        [NodeRef::I31(3), NodeRef::I31(-1 << 30), NodeRef::Host(7), NodeRef::Null].map(Value::Ref);
    let mut changed = BTreeSet::new();
    for _ in 0..40 {
        for (at, &value) in numbers.iter().chain(&references).chain(&[Value::V128(9)]).enumerate() {
            let other = another(c, value);
            match (value, other) {
                (Value::I32(_), Value::I32(_))
                | (Value::I64(_), Value::I64(_))
                | (Value::F32(_), Value::F32(_))
                | (Value::F64(_), Value::F64(_))
                | (Value::Ref(NodeRef::Host(_)), Value::Ref(NodeRef::Host(_))) => {}
                (Value::Ref(NodeRef::I31(3)), Value::Ref(NodeRef::I31(small))) => {
                    assert!((0..SMALL_I31).contains(&small));
                }
                (Value::Ref(NodeRef::I31(_)), Value::Ref(NodeRef::I31(any))) => {
                    assert!((-1 << 30..1 << 30).contains(&any));
                }
                _ => assert_eq!(other, value),
            }
            if other != value {
                changed.insert(at);
            }
        }
    }
    assert_eq!(changed, BTreeSet::from_iter(0..7));
}

/// Most of wasm-smith's cases run into something soon, but each case that has a function to call calls it.
#[test]
fn smith_cases_run() {
    let mut interp = InterpSubject::new();
    let (mut ran, mut returned) = (0, 0);
    for seed in 0..100 {
        let case = from_seed("smith", seed).unwrap();
        let observation = interp.observe(&case);
        ran += usize::from(observation.counters.instructions > 0);
        for outcome in &observation.outcomes {
            returned += usize::from(matches!(outcome, Outcome::Returned { .. }));
            assert!(
                !matches!(outcome, Outcome::Crashed(_) | Outcome::Rejected(..) | Outcome::Unsupported(_)),
                "seed {seed}: {outcome:?}"
            );
        }
    }
    assert!(ran >= 80 && returned >= 50, "{ran} cases ran something, {returned} calls returned");
}

/// With the option for it most cases catch, and some let exceptions out.
#[test]
fn cases_can_be_biased_to_exceptions() {
    let mut interp = InterpSubject::new();
    let (mut catching, mut thrown) = ([0; 2], [0; 2]);
    const SEEDS: usize = 60;
    for seed in 0..SEEDS as u64 {
        for (which, catch) in [0, 50].into_iter().enumerate() {
            let case = objects::of(
                &Input::decode(&seed_bytes(seed)),
                &objects::Options { catch, ..objects::Options::default() },
            );
            for module in modules(&case) {
                let text = wasmprinter::print_bytes(module).unwrap();
                catching[which] += text.matches("try_table").count();
                Validator::new_with_features(WasmFeatures::WASM3).validate_all(module).unwrap();
            }
            let outcomes = interp.observe(&case).outcomes;
            thrown[which] += usize::from(outcomes.iter().any(|o| matches!(o, Outcome::Thrown { .. })));
        }
    }
    println!("{catching:?} handlers, {thrown:?} of {SEEDS} cases let exceptions out");
    assert!(catching[1] > catching[0] * 3 && thrown[0] == 0 && thrown[1] > SEEDS / 10);
}

/// About one case in six has a limit, most of those a step that it cannot suffice for; the others have neither.
#[test]
fn a_known_share_of_typed_cases_has_a_heap_limit() {
    let (mut limited, mut exhausting) = (0, 0);
    const SEEDS: usize = 300;
    for seed in 0..SEEDS as u64 {
        let case = from_seed("objects", seed).unwrap();
        let exhausts =
            case.steps.iter().filter(|step| step.expect == Expect::Exhaustion(Resource::GcHeap)).count();
        assert!(exhausts == 0 || case.schedule.gc_heap_max.is_some(), "seed {seed}");
        limited += usize::from(case.schedule.gc_heap_max.is_some());
        exhausting += exhausts;
        if let Some(last) = case.steps.last() {
            assert_ne!(
                last.expect,
                Expect::Exhaustion(Resource::GcHeap),
                "seed {seed}: nothing comes after it"
            );
        }
    }
    println!("{limited} limited cases of {SEEDS}, {exhausting} exhaust the heap");
    assert!((SEEDS / 10..SEEDS / 4).contains(&limited), "{limited} of {SEEDS}");
    assert!((limited / 2..limited).contains(&exhausting), "{exhausting} of {limited}");
}

/// Workloads, and the function of limited cases, and what each must contain, as wasmparser names it.
const WORKLOADS: &[(&str, &[&str])] = &[
    (
        "old_to_young",
        &[
            "StructSet",
            "ArraySet",
            "ArrayCopy",
            "ArrayFill",
            "ArrayInitElem",
            "ArrayNewFixed",
            "GlobalGet",
            "TableGet",
        ],
    ),
    (
        "large",
        &["ArrayNew", "ArrayNewDefault", "ArraySet", "ArrayGet", "ArrayFill", "ArrayCopy", "GlobalSet"],
    ),
    (
        "tables",
        &[
            "TableSet",
            "TableGet",
            "TableFill",
            "TableGrow",
            "TableCopy",
            "TableInit",
            "TableSize",
            "ElemDrop",
            "ArrayNewElem",
            "ArrayInitElem",
            "RefI31",
            "RefNull",
        ],
    ),
    ("cycles", &["StructSet", "ArrayNew", "ArraySet", "RefNull", "Call"]),
    (
        "sizes",
        &["StructNewDefault", "StructSet", "StructGetU", "ArrayNew", "ArrayGetU", "ArraySet", "I32Shl"],
    ),
    ("fill", &["ArrayNewDefault", "ArraySet", "I32RemU", "RefNull", "Call"]),
    ("moves", &["StructSet", "StructGet", "ArraySet", "ArrayGet", "ArrayCopy", "RefNull", "RefI31"]),
    (
        "unlinking",
        &["StructSet", "ArraySet", "ArrayFill", "GlobalSet", "TableSet", "TableFill", "ArrayNewFixed"],
    ),
];

/// Names in the text format.
const EXPECTED: &[&str] = &[
    "struct.new",
    "struct.new_default",
    "struct.get",
    "struct.get_s",
    "struct.get_u",
    "struct.set",
    "array.new",
    "array.new_default",
    "array.new_fixed",
    "array.new_data",
    "array.new_elem",
    "array.get",
    "array.get_s",
    "array.get_u",
    "array.set",
    "array.len",
    "array.fill",
    "array.copy",
    "array.init_data",
    "array.init_elem",
    "ref.i31",
    "i31.get_s",
    "i31.get_u",
    "ref.test",
    "ref.cast",
    "br_on_null",
    "br_on_non_null",
    "br_on_cast",
    "br_on_cast_fail",
    "ref.eq",
    "ref.is_null",
    "ref.func",
    "ref.null",
    "ref.as_non_null",
    "call_ref",
    "call_indirect",
    "call",
    "return_call",
    "return_call_indirect",
    "return_call_ref",
    "try_table",
    "catch",
    "catch_ref",
    "catch_all",
    "catch_all_ref",
    "throw",
    "throw_ref",
    "i64x2.extract_lane",
    "exnref",
    "nullexnref",
    "nullref",
    "any.convert_extern",
    "extern.convert_any",
    "table.get",
    "table.set",
    "table.grow",
    "table.fill",
    "table.copy",
    "table.init",
    "table.size",
    "elem.drop",
    "data.drop",
    "global.get",
    "global.set",
    "memory.grow",
    "memory.fill",
    "memory.copy",
    "memory.init",
    "memory.size",
    "select",
    "br_if",
    "br_table",
    "loop",
    "local.tee",
    "unreachable",
    "i64.store",
    "i32.load8_s",
    "f32.demote_f64",
    "i32.trunc_sat_f64_s",
];

#[test]
fn programs_use_no_more_than_they_may() {
    type Lack = (WasmFeatures, fn(&mut Features));
    let lacks: [Lack; 6] = [
        (WasmFeatures::EXCEPTIONS, |f| f.exceptions = false),
        (WasmFeatures::TAIL_CALL, |f| f.tail_calls = false),
        (WasmFeatures::SIMD.union(WasmFeatures::RELAXED_SIMD), |f| (f.simd, f.relaxed_simd) = (false, false)),
        (WasmFeatures::RELAXED_SIMD, |f| f.relaxed_simd = false),
        (WasmFeatures::MEMORY64, |f| f.memory64 = false),
        (WasmFeatures::MULTI_MEMORY, |f| f.multi_memory = false),
    ];
    for (wasm, lack) in lacks {
        let mut features = Features::OF_PROGRAMS;
        lack(&mut features);
        let mut validated = 0;
        for entry in registry() {
            for seed in 0..10 {
                let case = super::from_seed_within(entry.name, seed, features).expect("a generator");
                let plain = crate::selfcheck::export(&case, 1).map(|exported| exported.case);
                for case in [Ok(case), plain].into_iter().flatten() {
                    for bytes in modules(&case) {
                        let features = crate::selfcheck::features() & !wasm;
                        let valid = Validator::new_with_features(features).validate_all(bytes);
                        valid.unwrap_or_else(|error| {
                            panic!("{} {seed} without {wasm:?}: {error}", entry.name)
                        });
                        validated += 1;
                    }
                }
            }
        }
        assert!(validated > 40, "{validated}");
    }
}
