//! The comparison's own power: every single edit of an observation is reported.

use super::*;
use crate::case::{Action, Expect, LaneShape, Pattern, RefPattern, Source, Step};
use crate::graph::{HeapGraph, Node, NodeRef, ObjectKind, TypeKey};
use crate::observe::{Counters, InstanceState, Permit, RejectStage, Resource, TraceEvent, TrapKind, Value};

fn object(n: u32) -> Value {
    Value::Ref(NodeRef::Node(n))
}

fn graph() -> HeapGraph {
    let slots = [
        vec![object(1), object(2), Value::I32(7), Value::F64(3)],
        vec![object(0), Value::Ref(NodeRef::I31(-3)), Value::Ref(NodeRef::Null)],
        vec![object(1), object(3), Value::Ref(NodeRef::Host(4)), Value::Ref(NodeRef::Func(0, 2))],
        vec![Value::I64(5), Value::F32(9), Value::V128(1 << 90)],
    ];
    let kinds = [ObjectKind::Struct, ObjectKind::Struct, ObjectKind::Array, ObjectKind::Struct];
    HeapGraph {
        types: vec![
            TypeKey { group: 5, index: 0 },
            TypeKey { group: 5, index: 1 },
            TypeKey { group: 6, index: 0 },
        ],
        nodes: slots
            .into_iter()
            .zip(kinds)
            .zip([0, 1, 2, 1])
            .map(|((slots, kind), ty)| Node { kind, ty, slots })
            .collect(),
        truncated: false,
    }
}

fn observation() -> Observation {
    Observation {
        outcomes: vec![
            Outcome::Done,
            Outcome::Returned { values: vec![object(0), Value::I32(1), Value::F32(2)], graph: graph() },
            Outcome::Trapped(TrapKind::CastFailure),
            Outcome::Thrown { graph: graph() },
            Outcome::Exhausted(Resource::Fuel),
            Outcome::Rejected(RejectStage::Invalid, "a".into()),
        ],
        trace: vec![
            TraceEvent { name: "gc".into(), args: vec![] },
            TraceEvent {
                name: "log_ref".into(),
                args: vec![Value::Ref(NodeRef::Opaque(ObjectKind::Struct))],
            },
        ],
        state: vec![InstanceState {
            instance: 0,
            globals: vec![("g0".into(), object(0)), ("g1".into(), Value::I64(1))],
            tables: vec![("t0".into(), 2, vec![Value::Ref(NodeRef::Null), object(2)])],
            memories: vec![("m0".into(), 65536, 99)],
        }],
        graph: graph(),
        live_objects: Some(4),
        counters: Counters::default(),
        known: Vec::new(),
        permits: Vec::new(),
    }
}

fn case() -> Case {
    let action = Action::Invoke { module: None, field: "f".into(), args: vec![] };
    Case { steps: vec![Step { action, expect: Expect::Any, line: 0 }; 6], ..Case::default() }
}

/// All single edits of a value.
fn values(value: Value) -> Vec<Value> {
    let mut out = match value {
        Value::I32(v) => vec![Value::I32(v ^ 1), Value::I32(v ^ i32::MIN), Value::I64(i64::from(v))],
        Value::I64(v) => vec![Value::I64(v ^ 1), Value::I64(v ^ i64::MIN)],
        Value::F32(v) => vec![Value::F32(v ^ 1), Value::F32(v ^ 1 << 31)],
        Value::F64(v) => vec![Value::F64(v ^ 1), Value::F64(v ^ 1 << 63)],
        Value::V128(v) => vec![Value::V128(v ^ 1), Value::V128(v ^ 1 << 127)],
        Value::Ref(_) => vec![],
    };
    let references = [
        NodeRef::Null,
        NodeRef::I31(-3),
        NodeRef::I31(1),
        NodeRef::Node(0),
        NodeRef::Node(1),
        NodeRef::Node(2),
        NodeRef::Node(3),
        NodeRef::Func(0, 2),
        NodeRef::Func(1, 2),
        NodeRef::Func(0, 3),
        NodeRef::Host(4),
        NodeRef::Host(5),
        NodeRef::Opaque(ObjectKind::Struct),
        NodeRef::Opaque(ObjectKind::Array),
        NodeRef::Cut,
    ];
    out.extend(references.into_iter().map(Value::Ref).filter(|v| *v != value));
    out
}

/// All single edits of a graph: slots (edges redirected, sharing split or merged), types, kinds, objects.
fn graphs() -> Vec<HeapGraph> {
    let base = graph();
    let mut out = Vec::new();
    let mut edit = |f: &dyn Fn(&mut HeapGraph)| {
        let mut graph = base.clone();
        f(&mut graph);
        assert_ne!(graph, base, "an edit that edits nothing");
        out.push(graph);
    };
    for (n, node) in base.nodes.iter().enumerate() {
        for (s, slot) in node.slots.iter().enumerate() {
            for value in values(*slot) {
                edit(&|g| g.nodes[n].slots[s] = value);
            }
            edit(&|g| _ = g.nodes[n].slots.remove(s));
            edit(&|g| g.nodes[n].slots.insert(s, Value::I32(0)));
            // Sharing split: this edge gets a copy of what it points to.
            if let Value::Ref(NodeRef::Node(to)) = slot {
                edit(&|g| {
                    let copy = g.nodes[*to as usize].clone();
                    g.nodes.push(copy);
                    g.nodes[n].slots[s] = object(g.nodes.len() as u32 - 1);
                });
            }
        }
        for kind in [ObjectKind::Struct, ObjectKind::Array, ObjectKind::Exn] {
            if kind != node.kind {
                edit(&|g| g.nodes[n].kind = kind);
            }
        }
        for ty in 0..3 {
            if ty != node.ty {
                edit(&|g| g.nodes[n].ty = ty);
            }
        }
        edit(&|g| drop(g.nodes.remove(n)));
        edit(&|g| g.nodes.insert(n, Node { kind: ObjectKind::Struct, ty: 0, slots: vec![] }));
    }
    for t in 0..base.types.len() {
        edit(&|g| g.types[t].group ^= 1);
        edit(&|g| g.types[t].index ^= 1);
    }
    edit(&|g| g.types.swap(0, 1));
    edit(&|g| g.types.push(TypeKey { group: 9, index: 9 }));
    edit(&|g| g.truncated = true);
    out
}

/// All single edits of the observation.
fn edits() -> Vec<Observation> {
    let base = observation();
    let mut out = Vec::new();
    let mut edit = |f: &dyn Fn(&mut Observation)| {
        let mut observation = base.clone();
        f(&mut observation);
        assert_ne!(observation, base, "an edit that edits nothing");
        out.push(observation);
    };
    let Outcome::Returned { values: returned, .. } = base.outcomes[1].clone() else { unreachable!() };
    for graph in graphs() {
        edit(&|o| o.graph = graph.clone());
        edit(&|o| o.outcomes[1] = Outcome::Returned { values: returned.clone(), graph: graph.clone() });
        edit(&|o| o.outcomes[3] = Outcome::Thrown { graph: graph.clone() });
    }
    for (i, value) in returned.iter().enumerate() {
        for value in values(*value) {
            edit(&|o| {
                if let Outcome::Returned { values, .. } = &mut o.outcomes[1] {
                    values[i] = value;
                }
            });
        }
    }
    let outcomes = [
        Outcome::Done,
        Outcome::Returned { values: vec![], graph: HeapGraph::default() },
        Outcome::Trapped(TrapKind::Unreachable),
        Outcome::Trapped(TrapKind::NullReference),
        Outcome::Thrown { graph: HeapGraph::default() },
        Outcome::Exhausted(Resource::Fuel),
        Outcome::Exhausted(Resource::GcHeap),
        Outcome::Exhausted(Resource::Memory),
        Outcome::Exhausted(Resource::Table),
        Outcome::Rejected(RejectStage::Malformed, String::new()),
        Outcome::Rejected(RejectStage::Unlinkable, String::new()),
        Outcome::BadStep(String::new()),
        Outcome::Cancelled,
        Outcome::Crashed("by 0x1234".into()),
    ];
    for step in 0..base.outcomes.len() {
        for outcome in &outcomes {
            if *outcome != base.outcomes[step] {
                edit(&|o| o.outcomes[step] = outcome.clone());
            }
        }
        edit(&|o| drop(o.outcomes.remove(step)));
        edit(&|o| o.outcomes.insert(step, Outcome::Trapped(TrapKind::Unreachable)));
    }
    edit(&|o| o.trace[0].name = "log_i32".into());
    edit(&|o| drop(o.trace.pop()));
    edit(&|o| o.trace.swap(0, 1));
    edit(&|o| o.trace[1].args[0] = Value::Ref(NodeRef::Null));
    edit(&|o| o.trace[1].args.push(Value::I32(0)));
    for value in values(object(0)) {
        edit(&|o| o.state[0].globals[0].1 = value);
        edit(&|o| o.state[0].globals[1].1 = value);
    }
    for value in values(object(2)) {
        edit(&|o| o.state[0].tables[0].2[1] = value);
    }
    edit(&|o| o.state[0].globals[0].0 = "g9".into());
    edit(&|o| drop(o.state[0].globals.pop()));
    edit(&|o| o.state[0].tables[0].1 = 3);
    edit(&|o| _ = o.state[0].tables[0].2.pop());
    edit(&|o| drop(o.state[0].tables.pop()));
    edit(&|o| o.state[0].memories[0].1 = 131_072);
    edit(&|o| o.state[0].memories[0].2 = 98);
    edit(&|o| drop(o.state[0].memories.pop()));
    edit(&|o| o.state[0].instance = 1);
    edit(&|o| drop(o.state.pop()));
    edit(&|o| o.live_objects = Some(5));
    edit(&|o| o.live_objects = Some(3));
    out
}

#[test]
fn every_single_edit_is_reported() {
    let (case, base) = (case(), observation());
    let edits = edits();
    assert!(edits.len() > 700, "{} edits", edits.len());
    for edit in edits {
        for pair in [[("interp", &base), ("jit:copying", &edit)], [("interp", &edit), ("jit:copying", &base)]]
        {
            let comparison = compare(&case, &pair);
            // That the reference's own heap ran out is the one permitted difference among the edits.
            let reference_out = pair[0].1.outcomes.contains(&Outcome::Exhausted(Resource::GcHeap));
            if reference_out {
                assert!(comparison.discards.contains_key(&DiscardKind::ReferenceHeap));
            } else {
                assert_eq!(comparison.findings.len(), 1, "not reported: {edit:?}");
            }
        }
    }
}

#[test]
fn equal_observations_agree_and_counters_do_not_count() {
    let (case, a) = (case(), observation());
    let mut b = observation();
    b.counters.allocations = 77;
    b.outcomes[5] = Outcome::Rejected(RejectStage::Invalid, "other words".into());
    let comparison = compare(&case, &[("interp", &a), ("jit:null", &b), ("jit:copying", &a)]);
    assert!(comparison.findings.is_empty() && comparison.discards.is_empty());
    assert_eq!(comparison.groups, [["interp", "jit:null", "jit:copying"]]);
}

fn with(step: usize, outcome: Outcome) -> Observation {
    let mut observation = observation();
    observation.outcomes[step] = outcome;
    observation
}

#[test]
fn permitted_differences_are_counted() {
    let (case, base) = (case(), observation());
    let check = |name: &str, outcome: Outcome, kind: DiscardKind| {
        let mut edit = with(2, outcome);
        // What comes after is another program's.
        if kind != DiscardKind::Unchecked {
            edit.outcomes[3] = Outcome::Done;
            edit.live_objects = Some(77);
        }
        let comparison = compare(&case, &[("interp", &base), (name, &edit)]);
        assert!(comparison.findings.is_empty(), "{:?}", comparison.findings);
        assert_eq!(comparison.discards.get(&kind), Some(&1));
    };
    check("jit:copying", Outcome::Exhausted(Resource::CallStack), DiscardKind::CallStack);
    check("jit:null", Outcome::Exhausted(Resource::GcHeap), DiscardKind::NullHeap);
    check("jit:copying", Outcome::Unsupported("simd".into()), DiscardKind::Unsupported);
    let unchecked = with(5, Outcome::Unchecked);
    let comparison = compare(&case, &[("interp", &unchecked), ("jit:copying", &base)]);
    assert!(comparison.findings.is_empty());
    assert_eq!(comparison.discards.get(&DiscardKind::Unchecked), Some(&1));
    let mut truncated = observation();
    truncated.graph.truncated = true;
    let comparison = compare(&case, &[("interp", &truncated), ("jit:copying", &truncated)]);
    assert!(comparison.findings.is_empty());
    assert_eq!(comparison.discards.get(&DiscardKind::TruncatedGraph), Some(&1));
    let mut cut = observation();
    cut.state[0].tables[0].1 = 3;
    let comparison = compare(&case, &[("interp", &cut), ("jit:copying", &cut)]);
    assert_eq!(comparison.discards.get(&DiscardKind::TruncatedGraph), Some(&1), "a table shown in part");
    let mut exempt = observation();
    exempt.live_objects = None;
    assert!(compare(&case, &[("interp", &base), ("jit:null", &exempt)]).findings.is_empty());
}

#[test]
fn a_step_that_must_exhaust_the_heap_does_so_wherever_limits_are_kept() {
    let mut case = case();
    case.schedule.gc_heap_max = Some(4096);
    case.steps[1].expect = Expect::Exhaustion(Resource::GcHeap);
    let (base, out) = (observation(), with(1, Outcome::Exhausted(Resource::GcHeap)));
    let comparison = compare(&case, &[("interp", &base), ("jit:copying", &out), ("jit:drc", &out)]);
    assert!(comparison.findings.is_empty(), "{:?}", comparison.findings);
    assert_eq!(comparison.discards.get(&DiscardKind::HeapLimit), Some(&2));
    assert_eq!(comparison.groups, [["interp", "jit:copying", "jit:drc"]]);
    // What comes after it is compared.
    let mut after = out.clone();
    after.outcomes[3] = Outcome::Done;
    let finding = &compare(&case, &[("interp", &base), ("jit:copying", &after)]).findings[0];
    assert_eq!((finding.kind, finding.step), (FindingKind::OutcomeMismatch, Some(3)));
    // It is a fault to have room for what there is no room for, and no other end will do.
    let comparison = compare(&case, &[("interp", &base), ("jit:copying", &out), ("jit:drc", &base)]);
    assert_eq!(comparison.findings.len(), 1);
    assert_eq!(comparison.findings[0].kind, FindingKind::LimitNotKept);
    assert_eq!(comparison.findings[0].subjects, ["interp", "jit:drc"]);
    let trapped = with(1, Outcome::Trapped(TrapKind::Unreachable));
    assert_eq!(compare(&case, &[("interp", &base), ("jit:drc", &trapped)]).findings.len(), 1);
    // Without a limit, or at another step, running out is a difference, but for a collector that never collects.
    case.schedule.gc_heap_max = None;
    let finding = &compare(&case, &[("interp", &base), ("jit:copying", &out)]).findings[0];
    assert_eq!(finding.kind, FindingKind::OutcomeMismatch);
    let comparison = compare(&case, &[("interp", &base), ("jit:null", &out)]);
    assert_eq!(comparison.discards.get(&DiscardKind::NullHeap), Some(&1));
}

#[test]
fn an_executor_without_limits_may_return_from_a_step_that_must_exhaust_the_heap() {
    let step = Step { action: Action::Collect, expect: Expect::Exhaustion(Resource::GcHeap), line: 1 };
    let mut case = Case { steps: vec![step], ..Case::default() };
    let verdict = |case: &Case, name: &str, outcome: Outcome| {
        let seen = Observation { outcomes: vec![outcome], ..Observation::default() };
        check_expectations(case, name, &seen).remove(0)
    };
    let done = || returned(Value::I32(1));
    assert!(matches!(verdict(&case, "interp", done()), Verdict::Fail(_)), "there is no limit");
    case.schedule.gc_heap_max = Some(4096);
    assert_eq!(verdict(&case, "interp", done()), Verdict::Pass);
    assert!(matches!(verdict(&case, "interp", Outcome::Trapped(TrapKind::Unreachable)), Verdict::Fail(_)));
    assert!(matches!(verdict(&case, "jit:copying", done()), Verdict::Fail(_)));
    assert_eq!(verdict(&case, "jit:copying", Outcome::Exhausted(Resource::GcHeap)), Verdict::Pass);
}

#[test]
fn others_go_on_when_the_reference_is_cut_short() {
    let case = case();
    let cut = with(2, Outcome::Exhausted(Resource::CallStack));
    let (one, other) = (observation(), with(3, Outcome::Done));
    let comparison = compare(&case, &[("interp", &cut), ("jit:null", &one), ("jit:copying", &other)]);
    assert_eq!(comparison.findings.len(), 1);
    assert_eq!(comparison.findings[0].subjects, ["jit:null", "jit:copying"]);
}

#[test]
fn subjects_that_differ_alike_share_a_finding_with_a_stable_key() {
    let case = case();
    let base = observation();
    let edit = |n| {
        with(1, Outcome::Returned { values: vec![object(0), Value::I32(n), Value::F32(2)], graph: graph() })
    };
    let (five, six) = (edit(5), edit(6));
    let comparison =
        compare(&case, &[("interp", &base), ("jit:null", &base), ("jit:a", &five), ("jit:b", &five)]);
    assert_eq!(comparison.findings.len(), 1);
    let finding = &comparison.findings[0];
    assert_eq!((finding.kind, finding.step), (FindingKind::ValueMismatch, Some(1)));
    assert_eq!(finding.subjects, ["interp", "jit:a", "jit:b"]);
    let again = compare(&case, &[("interp", &base), ("jit:null", &base), ("jit:a", &six), ("jit:b", &six)]);
    assert_eq!(again.findings[0].key(), finding.key());
    let crash = |how: &str| {
        let crashed = with(0, Outcome::Crashed(how.into()));
        compare(&case, &[("interp", &base), ("jit:a", &crashed)]).findings[0].clone()
    };
    assert_eq!(crash("assertion at 0x7f12 failed").key(), crash("assertion at 0x99aa failed").key());
    assert_ne!(crash("assertion at 0x7f12 failed").key(), crash("another").key());
    assert_eq!(crash("heap verifier: bad").kind, FindingKind::Verifier);
    let frames = |name: &str| {
        crash(&format!(
            "died of signal 6\npanicked at gc.rs:1:2:\nstack backtrace:\n   0: core::panic\n   1: {name}"
        ))
    };
    assert_eq!(frames("gc::sweep").key(), frames("gc::sweep").key());
    assert_ne!(frames("gc::sweep").key(), frames("gc::mark").key());
}

fn verdict(expect: Expect, outcome: Outcome) -> Verdict {
    let action = Action::Invoke { module: None, field: "f".into(), args: vec![] };
    let case = Case { steps: vec![Step { action, expect, line: 1 }], ..Case::default() };
    let observation = Observation { outcomes: vec![outcome], ..Observation::default() };
    check_expectations(&case, "x", &observation).remove(0)
}

fn returned(value: Value) -> Outcome {
    Outcome::Returned { values: vec![value], graph: graph() }
}

#[test]
fn patterns_match_what_they_say_and_nothing_else() {
    let v = Pattern::Value;
    let lanes = |n: usize, p: Pattern| vec![p; n];
    let table: Vec<(Pattern, Value, Value)> = vec![
        (v(Value::I32(1)), Value::I32(1), Value::I32(2)),
        (v(Value::I32(1)), Value::I32(1), Value::I64(1)),
        (v(Value::F32(0x8000_0000)), Value::F32(0x8000_0000), Value::F32(0)),
        (Pattern::F32CanonicalNan, Value::F32(0xffc0_0000), Value::F32(0x7fc0_0001)),
        (Pattern::F32ArithmeticNan, Value::F32(0x7fc0_0001), Value::F32(0x7fa0_0000)),
        (Pattern::F64CanonicalNan, Value::F64(0x7ff8 << 48), Value::F64(0x7ff8 << 48 | 1)),
        (Pattern::F64ArithmeticNan, Value::F64(0xfff8 << 48 | 1), Value::F64(0x7ff4 << 48)),
        (
            Pattern::V128(lanes(16, v(Value::I32(-1))), LaneShape::I8x16),
            Value::V128(u128::MAX),
            Value::V128(u128::MAX - 1),
        ),
        (
            Pattern::V128(lanes(8, v(Value::I32(-1))), LaneShape::I16x8),
            Value::V128(u128::MAX),
            Value::V128(0),
        ),
        (
            Pattern::V128(lanes(4, v(Value::I32(-1))), LaneShape::I32x4),
            Value::V128(u128::MAX),
            Value::V128(u128::MAX >> 1),
        ),
        (
            Pattern::V128(lanes(2, v(Value::I64(-1))), LaneShape::I64x2),
            Value::V128(u128::MAX),
            Value::V128(u128::MAX >> 1),
        ),
        (
            Pattern::V128(lanes(4, Pattern::F32ArithmeticNan), LaneShape::F32x4),
            Value::V128(u128::MAX),
            Value::V128(0),
        ),
        (
            Pattern::V128(lanes(2, Pattern::F64ArithmeticNan), LaneShape::F64x2),
            Value::V128(u128::MAX),
            Value::V128(0),
        ),
        (Pattern::RefNull, Value::Ref(NodeRef::Null), object(0)),
        (Pattern::Ref(RefPattern::Struct), object(0), object(2)),
        (Pattern::Ref(RefPattern::Array), object(2), object(0)),
        (Pattern::Ref(RefPattern::Eq), object(2), Value::Ref(NodeRef::Host(1))),
        (Pattern::Ref(RefPattern::Any), Value::Ref(NodeRef::I31(1)), Value::Ref(NodeRef::Func(0, 0))),
        (Pattern::Ref(RefPattern::Extern), Value::Ref(NodeRef::Host(1)), Value::Ref(NodeRef::Null)),
        (Pattern::Ref(RefPattern::I31), Value::Ref(NodeRef::I31(1)), object(0)),
        (Pattern::Ref(RefPattern::Func), Value::Ref(NodeRef::Func(0, 0)), object(0)),
        (Pattern::Ref(RefPattern::Exn), Value::Ref(NodeRef::Opaque(ObjectKind::Exn)), object(0)),
        (Pattern::Ref(RefPattern::Host(3)), Value::Ref(NodeRef::Host(3)), Value::Ref(NodeRef::Host(4))),
        (Pattern::Either(vec![v(Value::I32(1)), v(Value::I32(2))]), Value::I32(2), Value::I32(3)),
    ];
    for (pattern, good, bad) in table {
        assert_eq!(
            verdict(Expect::Return(vec![pattern.clone()]), returned(good)),
            Verdict::Pass,
            "{pattern:?}"
        );
        assert!(matches!(verdict(Expect::Return(vec![pattern]), returned(bad)), Verdict::Fail(_)));
    }
}

#[test]
fn each_expectation_wants_its_outcome() {
    let outcomes = [
        Outcome::Done,
        returned(Value::I32(1)),
        Outcome::Trapped(TrapKind::Unreachable),
        Outcome::Trapped(TrapKind::CastFailure),
        Outcome::Exhausted(Resource::CallStack),
        Outcome::Exhausted(Resource::Fuel),
        Outcome::Thrown { graph: HeapGraph::default() },
        Outcome::Rejected(RejectStage::Malformed, String::new()),
        Outcome::Rejected(RejectStage::Invalid, String::new()),
        Outcome::Rejected(RejectStage::Unlinkable, String::new()),
        Outcome::Crashed(String::new()),
        Outcome::BadStep(String::new()),
    ];
    let expects: [(Expect, &[usize]); 9] = [
        (Expect::Any, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (Expect::Success, &[0, 1]),
        (Expect::Return(vec![Pattern::Value(Value::I32(1))]), &[1]),
        (Expect::Trap(TrapKind::Unreachable), &[2]),
        (Expect::Exhaustion(Resource::CallStack), &[4]),
        (Expect::Exception, &[6]),
        (Expect::Reject(RejectStage::Malformed), &[7]),
        (Expect::Reject(RejectStage::Invalid), &[8]),
        (Expect::Reject(RejectStage::Unlinkable), &[9]),
    ];
    for (expect, good) in expects {
        for (i, outcome) in outcomes.iter().enumerate() {
            let pass = verdict(expect.clone(), outcome.clone()) == Verdict::Pass;
            assert_eq!(pass, good.contains(&i), "{expect:?} and {outcome:?}");
        }
        assert_eq!(verdict(expect, Outcome::Unsupported("x".into())), Verdict::Unsupported);
    }
    let check = |source, outcome| {
        let step =
            Step { action: Action::Check { source }, expect: Expect::Reject(RejectStage::Invalid), line: 1 };
        let case = Case { steps: vec![step], ..Case::default() };
        let observation = Observation { outcomes: vec![outcome], ..Observation::default() };
        check_expectations(&case, "x", &observation).remove(0)
    };
    assert_eq!(check(Source::Binary(vec![]), Outcome::Unchecked), Verdict::Unchecked);
    assert_eq!(check(Source::RejectedText(String::new()), Outcome::Unchecked), Verdict::Text);
    assert!(matches!(check(Source::Binary(vec![]), Outcome::Done), Verdict::Fail(_)));
    assert!(matches!(verdict(Expect::Success, Outcome::Unchecked), Verdict::Fail(_)));
}

/// A fiber that runs out of stack, or of a heap that is never collected, ends the comparison of those before it too.
#[test]
fn what_ends_one_fiber_early_ends_the_comparison_of_all() {
    let call = || crate::Step {
        action: crate::Action::Invoke { module: None, field: "f".into(), args: Vec::new() },
        expect: crate::Expect::Any,
        line: 0,
    };
    let case = |fibers| Case {
        schedule: crate::Schedule { fibers, ..crate::Schedule::default() },
        steps: (0..3).map(|_| call()).collect(),
    };
    let shows = |first: TrapKind, last: Outcome| Observation {
        outcomes: vec![Outcome::Done, Outcome::Trapped(first), last],
        ..Observation::default()
    };
    let a = shows(TrapKind::Unreachable, Outcome::Done);
    let b = shows(TrapKind::CastFailure, Outcome::Exhausted(Resource::CallStack));
    let compared = |fibers| compare(&case(fibers), &[("interp", &a), ("jit:copying", &b)]);
    assert_eq!(compared(2).findings, []);
    assert_eq!(compared(2).discards.get(&DiscardKind::CallStack), Some(&1));
    for fibers in [0, 1] {
        assert_eq!(compared(fibers).findings.len(), 1, "{fibers}");
    }
}

#[test]
fn a_heap_that_runs_out_in_a_repeated_call_is_a_leak() {
    let mut full = with(1, Outcome::Exhausted(Resource::GcHeap));
    full.permits = vec![Permit::GcHeap];
    let named = |name: &str| {
        let mut case = case();
        case.steps[1].action = Action::Invoke { module: None, field: name.into(), args: vec![] };
        case
    };
    for name in ["repeat f", "digest repeat f"] {
        let comparison = compare(&named(name), &[("interp", &observation()), ("proc:peer", &full)]);
        let [finding] = &comparison.findings[..] else { panic!("{name}: {:?}", comparison.findings) };
        assert_eq!((finding.kind, finding.step), (FindingKind::LiveMismatch, Some(1)));
    }
    for name in ["digest f", "f repeat ", "digest global repeat f"] {
        let comparison = compare(&named(name), &[("interp", &observation()), ("proc:peer", &full)]);
        assert!(comparison.findings.is_empty(), "{name}: {:?}", comparison.findings);
        assert_eq!(comparison.discards.get(&DiscardKind::PeerHeap), Some(&1));
    }
    // Nor is one that the script expects.
    let mut expected = named("repeat f");
    expected.schedule.gc_heap_max = Some(4096);
    expected.steps[1].expect = Expect::Exhaustion(Resource::GcHeap);
    assert!(compare(&expected, &[("interp", &observation()), ("proc:peer", &full)]).findings.is_empty());
    full.permits = vec![Permit::NeverCollects];
    assert!(
        compare(&named("repeat f"), &[("interp", &observation()), ("proc:peer", &full)]).findings.is_empty()
    );
}

#[test]
fn a_key_has_no_numbers_and_no_signs() {
    let key = |text: &str| Finding::expectation("peer", 1, text).key();
    assert_eq!(key("expected -17 / 0xfe, actual 4"), key("expected 3 / 0x1, actual -40"));
    assert_eq!(key("Number(I32, \"-17\")"), key("Number(I32, \"4\")"));
    assert_ne!(key("left-17"), key("left17"));
    assert_ne!(key("expected - 17"), key("expected 17"));
}
