//! One subject against another: the first difference that is not permitted.

use super::{DiscardKind, FindingKind, peers, permit};
use crate::Observation;
use crate::case::{Action, Case, Expect};
use crate::frames;
use crate::graph::{HeapGraph, NodeRef};
use crate::observe::{InstanceState, MAX_TRACE, Outcome, Permit, Resource, TraceEvent, Value};
use crate::selfcheck::{self, DIGEST};
use crate::subject::collector_of;

/// A subject and what it showed.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) name: &'a str,
    pub(super) observation: &'a Observation,
}

/// Which side ended the comparison early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The reference alone: another reference may go on.
    Reference,
    /// The subject, or both.
    Subject,
}

pub(super) struct Difference {
    pub(super) kind: FindingKind,
    pub(super) step: Option<usize>,
    pub(super) text: String,
    pub(super) what: String,
}

#[derive(Default)]
pub(super) struct Pair {
    pub(super) difference: Option<Difference>,
    pub(super) cut: Option<Cut>,
    pub(super) discards: Vec<DiscardKind>,
    /// Steps that were compared.
    pub(super) steps: usize,
}

/// Compares `subject` with `reference`, which is the case's own reference if `first`.
pub(super) fn pair(case: &Case, reference: Side<'_>, subject: Side<'_>, first: bool) -> Pair {
    let mut pair = Pair::default();
    let (a, b) = (reference.observation, subject.observation);
    let permits = [&a.permits[..], &b.permits[..]].concat();
    for step in 0..a.outcomes.len().max(b.outcomes.len()) {
        let (x, y) = (a.outcomes.get(step), b.outcomes.get(step));
        let (Some(x), Some(y)) = (x, y) else {
            let text = format!(
                "{} shows {} steps, {} {}",
                reference.name,
                a.outcomes.len(),
                subject.name,
                b.outcomes.len()
            );
            pair.difference = Some(Difference {
                kind: FindingKind::OutcomeMismatch,
                step: Some(step),
                text,
                what: "number of steps".into(),
            });
            return pair;
        };
        if let Some(difference) = leak(case, step, (reference, x), (subject, y)) {
            pair.difference = Some(difference);
            return pair;
        }
        // Fibers run at the same time: what ends one early may show in all.
        let together = if step == case.first_fiber() { case.steps.len() } else { step + 1 };
        for (x, y) in (step..together).filter_map(|step| Some((a.outcomes.get(step)?, b.outcomes.get(step)?)))
        {
            if let Some((cut, discard)) = permitted_end(reference, x, subject, y, first) {
                pair.discards.push(discard);
                pair.cut = Some(cut);
                return pair;
            }
        }
        if let (Outcome::Unchecked, other) | (other, Outcome::Unchecked) = (x, y)
            && matches!(other, Outcome::Rejected(..) | Outcome::Done | Outcome::Unchecked)
        {
            if x != y {
                pair.discards.push(DiscardKind::Unchecked);
            }
            continue;
        }
        if truncated(x) || truncated(y) {
            pair.discards.push(DiscardKind::TruncatedGraph);
        }
        let must = must_run_out(case, step);
        let limited = must && keeps_limits(subject.name);
        // Whoever has a heap may run out of it there, even if it does not keep the limit to the byte.
        if must && !keeps_limits(reference.name) && *y == Outcome::Exhausted(Resource::GcHeap) {
            pair.discards.push(DiscardKind::HeapLimit);
            continue;
        }
        // A peer that shows nothing of an exception says only that there is one.
        let hidden = |side: Side<'_>, outcome: &Outcome| {
            !side.observation.permits.is_empty()
                && matches!(outcome, Outcome::Thrown { graph } if graph.nodes.is_empty())
        };
        let thrown = |outcome: &Outcome| matches!(outcome, Outcome::Thrown { .. });
        let same_exception = thrown(x) && thrown(y) && (hidden(reference, x) || hidden(subject, y));
        let difference = match outcomes(x, y).filter(|_| !same_exception) {
            None if limited && *y != Outcome::Exhausted(Resource::GcHeap) => {
                Some((FindingKind::LimitNotKept, "the heap did not run out".to_owned()))
            }
            difference => difference,
        };
        pair.steps += 1;
        if let Some((kind, what)) = difference {
            let known = |side: Side<'_>| side.observation.known.iter().any(|(known, _)| *known == step);
            if known(subject) || known(reference) {
                pair.discards.push(DiscardKind::PeerKnown);
                pair.cut = Some(if known(subject) { Cut::Subject } else { Cut::Reference });
                return pair;
            }
            if let Some(discard) = permit::same_trap(&permits, x, y) {
                pair.discards.extend(discard);
                continue;
            }
            // Digests all look alike: what they are of tells one fault from another.
            let of = match case.steps.get(step).map(|step| &step.action) {
                Some(Action::Invoke { field, .. }) if field.starts_with(DIGEST) => format!(" in {field}"),
                _ => String::new(),
            };
            let text = format!(
                "step {step} ({}): {what}{of}\n{}: {}\n{}: {}",
                action(case, step),
                reference.name,
                show(x),
                subject.name,
                show(y)
            );
            let what = super::without_numbers(&what) + &super::without_numbers(&of);
            pair.difference = Some(Difference { kind, step: Some(step), text, what });
            return pair;
        }
    }
    if state_cut(a) || state_cut(b) {
        pair.discards.push(DiscardKind::TruncatedGraph);
    }
    pair.difference = after(reference, subject);
    let leaks =
        pair.difference.as_ref().is_some_and(|difference| difference.kind == FindingKind::LiveMismatch);
    if leaks && permits.contains(&Permit::Leaks) {
        pair.difference = None;
        pair.discards.push(DiscardKind::PeerLeaks);
    }
    pair
}

/// The difference where a heap runs out in a repeated call that leaves nothing behind: whatever its size, that is a leak.
fn leak(
    case: &Case,
    step: usize,
    (reference, x): (Side<'_>, &Outcome),
    (subject, y): (Side<'_>, &Outcome),
) -> Option<Difference> {
    let Some(Action::Invoke { field, .. }) = case.steps.get(step).map(|step| &step.action) else {
        return None;
    };
    let full = |outcome: &Outcome| *outcome == Outcome::Exhausted(Resource::GcHeap);
    let collects = |side: Side<'_>| {
        !is_null_collector(side.name) && !side.observation.permits.contains(&Permit::NeverCollects)
    };
    // The script may say itself that a limit does not suffice.
    let repeated = selfcheck::is_repeat(field) && !must_run_out(case, step);
    let leaks = repeated && !full(x) && full(y) && collects(subject);
    leaks.then(|| Difference {
        kind: FindingKind::LiveMismatch,
        step: Some(step),
        text: format!(
            "step {step} ({}): the heap runs out where a call is repeated that leaves nothing behind\n{}: {}\n{}: {}",
            action(case, step),
            reference.name,
            show(x),
            subject.name,
            show(y)
        ),
        what: "leak in a repeated call".into(),
    })
}

/// Whether the step ends the comparison by a permitted difference.
fn permitted_end(
    reference: Side<'_>,
    x: &Outcome,
    subject: Side<'_>,
    y: &Outcome,
    first: bool,
) -> Option<(Cut, DiscardKind)> {
    let by = |on_reference: bool, on_subject: bool| match (on_reference, on_subject) {
        (true, false) => Some(Cut::Reference),
        (_, true) => Some(Cut::Subject),
        (false, false) => None,
    };
    let stack = |o: &Outcome| *o == Outcome::Exhausted(Resource::CallStack);
    if let Some(cut) = by(stack(x), stack(y)) {
        return Some((cut, DiscardKind::CallStack));
    }
    let heap = |o: &Outcome| *o == Outcome::Exhausted(Resource::GcHeap);
    let null = |side: Side<'_>, o: &Outcome| is_null_collector(side.name) && heap(o);
    if x != y
        && let Some(cut) = by(null(reference, x), null(subject, y))
    {
        return Some((cut, DiscardKind::NullHeap));
    }
    if first && *x == Outcome::Exhausted(Resource::GcHeap) {
        return Some((if heap(y) { Cut::Subject } else { Cut::Reference }, DiscardKind::ReferenceHeap));
    }
    if let Some(discard) = permit::ends(&subject.observation.permits, x, y) {
        return Some((Cut::Subject, discard));
    }
    if let Some(discard) = permit::ends(&reference.observation.permits, y, x) {
        return Some((Cut::Reference, discard));
    }
    if let Some(kind) = peers::permitted(subject.name, y, x) {
        return Some((Cut::Subject, kind));
    }
    if let Some(kind) = peers::permitted(reference.name, x, y) {
        return Some((Cut::Reference, kind));
    }
    let lacks = |o: &Outcome| matches!(o, Outcome::Unsupported(_));
    by(lacks(x), lacks(y)).map(|cut| (cut, DiscardKind::Unsupported))
}

/// Whether the subject's collector never collects.
pub(super) fn is_null_collector(name: &str) -> bool {
    collector_of(name).is_some_and(|constraints| !constraints.collects) || peers::is_null_collector(name)
}

/// Whether the subject runs a case under its heap limit. The interpreter does not, and no collector that never collects.
pub(super) fn keeps_limits(name: &str) -> bool {
    collector_of(name).is_some_and(|constraints| constraints.collects)
}

/// Whether the script says that the heap limit does not suffice for this step.
pub(super) fn must_run_out(case: &Case, step: usize) -> bool {
    case.schedule.gc_heap_max.is_some()
        && case.steps.get(step).is_some_and(|step| step.expect == Expect::Exhaustion(Resource::GcHeap))
}

/// Whether the observed state or trace is not the whole of it.
fn state_cut(seen: &Observation) -> bool {
    let table_cut = |(_, len, elements): &(String, u64, Vec<_>)| *len > elements.len() as u64;
    seen.graph.truncated
        || seen.trace.len() >= MAX_TRACE
        || seen.state.iter().any(|state| state.tables.iter().any(table_cut))
}

fn truncated(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Returned { graph, .. } | Outcome::Thrown { graph } if graph.truncated)
}

/// How two outcomes differ; the text names no values.
pub(super) fn outcomes(x: &Outcome, y: &Outcome) -> Option<(FindingKind, String)> {
    let mismatch = || Some((FindingKind::OutcomeMismatch, format!("{} against {}", class(x), class(y))));
    match (x, y) {
        (Outcome::Returned { values: xs, graph: g }, Outcome::Returned { values: ys, graph: h }) => {
            if xs.len() != ys.len() {
                return Some((FindingKind::ValueMismatch, "number of results".into()));
            }
            for (a, b) in xs.iter().zip(ys) {
                if a != b {
                    return Some((
                        FindingKind::ValueMismatch,
                        format!("result {} against {}", sort(*a), sort(*b)),
                    ));
                }
            }
            graphs(g, h).map(|what| (FindingKind::GraphMismatch, what))
        }
        (Outcome::Thrown { graph: g }, Outcome::Thrown { graph: h }) => {
            graphs(g, h).map(|what| (FindingKind::GraphMismatch, format!("exception: {what}")))
        }
        (Outcome::Rejected(a, _), Outcome::Rejected(b, _)) if a == b => None,
        (Outcome::BadStep(_), Outcome::BadStep(_)) => None,
        (Outcome::Refuted(text), _) | (_, Outcome::Refuted(text)) => {
            Some((FindingKind::ExpectationFailed, super::without_numbers(&frames::without_frames(text))))
        }
        (a, b) if a == b => None,
        _ => mismatch(),
    }
}

/// How two graphs differ, without values.
fn graphs(a: &HeapGraph, b: &HeapGraph) -> Option<String> {
    if a == b {
        return None;
    }
    for (n, (x, y)) in a.nodes.iter().zip(&b.nodes).enumerate() {
        if x.kind != y.kind {
            return Some(format!("object kind {:?} against {:?}", x.kind, y.kind));
        }
        if a.types.get(x.ty as usize) != b.types.get(y.ty as usize) {
            return Some(format!("runtime type of a {:?} (object {n} of the graph)", x.kind));
        }
        if x.slots.len() != y.slots.len() {
            return Some(format!("length of a {:?}", x.kind));
        }
        for (v, w) in x.slots.iter().zip(&y.slots) {
            if v != w {
                return Some(format!("{:?} slot {} against {}", x.kind, sort(*v), sort(*w)));
            }
        }
    }
    if a.nodes.len() != b.nodes.len() {
        return Some("number of objects".into());
    }
    Some(if a.truncated == b.truncated { "types".into() } else { "truncation".into() })
}

/// Trace, exported state and liveness.
fn after(reference: Side<'_>, subject: Side<'_>) -> Option<Difference> {
    let (a, b) = (reference.observation, subject.observation);
    let difference = |kind, what: String, x: String, y: String| {
        let text = format!("after the script: {what}\n{}: {x}\n{}: {y}", reference.name, subject.name);
        Some(Difference { kind, step: None, text, what })
    };
    if a.trace != b.trace {
        let at = a.trace.iter().zip(&b.trace).take_while(|(x, y)| x == y).count();
        let (x, y) = (a.trace.get(at), b.trace.get(at));
        let name = |e: Option<&TraceEvent>| e.map_or("end", |e| e.name.as_str()).to_owned();
        let what = format!("trace: {} against {}", name(x), name(y));
        let whole = |e: Option<&TraceEvent>| format!("call {at}: {e:?}");
        return difference(FindingKind::TraceMismatch, what, whole(x), whole(y));
    }
    if a.state != b.state {
        let (what, x, y) = states(&a.state, &b.state);
        return difference(FindingKind::StateMismatch, what, x, y);
    }
    if let Some(what) = graphs(&a.graph, &b.graph) {
        let what = format!("graph of the exported state: {what}");
        return difference(
            FindingKind::StateMismatch,
            what,
            show_graphs(&a.graph, &b.graph),
            show_graphs(&b.graph, &a.graph),
        );
    }
    match (a.live_objects, b.live_objects) {
        (Some(x), Some(y)) if x != y => {
            let what = if x < y { "more objects alive" } else { "fewer objects alive" };
            difference(FindingKind::LiveMismatch, what.into(), x.to_string(), y.to_string())
        }
        _ => None,
    }
}

/// The first difference of two states: what it concerns, and both sides of it.
fn states(a: &[InstanceState], b: &[InstanceState]) -> (String, String, String) {
    for (x, y) in a.iter().zip(b) {
        if x.instance != y.instance {
            break;
        }
        let n = x.instance;
        for (p, q) in x.globals.iter().zip(&y.globals) {
            if p != q {
                let what = format!("global {} against {}", sort(p.1), sort(q.1));
                return (what, format!("instance {n}: {p:?}"), format!("instance {n}: {q:?}"));
            }
        }
        for (p, q) in x.memories.iter().zip(&y.memories) {
            if p != q {
                let what = if p.1 == q.1 { "memory content" } else { "memory size" };
                return (what.into(), format!("instance {n}: {p:?}"), format!("instance {n}: {q:?}"));
            }
        }
        for (p, q) in x.tables.iter().zip(&y.tables) {
            if (&p.0, p.1) != (&q.0, q.1) {
                return (
                    "table size".into(),
                    format!("instance {n}: {} {}", p.0, p.1),
                    format!("{} {}", q.0, q.1),
                );
            }
            if let Some(at) = p.2.iter().zip(&q.2).position(|(v, w)| v != w) {
                let (v, w) = (p.2[at], q.2[at]);
                let what = format!("table element {} against {}", sort(v), sort(w));
                let place = format!("instance {n}: {}[{at}]", p.0);
                return (what, format!("{place} = {v:?}"), format!("{place} = {w:?}"));
            }
        }
        if x != y {
            return ("exports".into(), short(&format!("{x:?}")), short(&format!("{y:?}")));
        }
    }
    ("instances".into(), format!("{} instances", a.len()), format!("{} instances", b.len()))
}

/// A value's sort, for keys.
fn sort(value: Value) -> &'static str {
    match value {
        Value::I32(_) => "i32",
        Value::I64(_) => "i64",
        Value::F32(_) => "f32",
        Value::F64(_) => "f64",
        Value::V128(_) => "v128",
        Value::Ref(NodeRef::Null) => "null",
        Value::Ref(NodeRef::I31(_)) => "i31",
        Value::Ref(NodeRef::Node(_)) => "object",
        Value::Ref(NodeRef::Func(..)) => "function",
        Value::Ref(NodeRef::Tag(..)) => "tag",
        Value::Ref(NodeRef::Host(_)) => "host value",
        Value::Ref(NodeRef::Opaque(_)) => "opaque object",
        Value::Ref(NodeRef::Cut) => "cut object",
    }
}

/// An outcome without its values.
fn class(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done => "done".into(),
        Outcome::Returned { .. } => "returned".into(),
        Outcome::Trapped(kind) => format!("trap {kind:?}"),
        Outcome::TrappedSomehow(kinds, _) => format!("trap, one of {kinds:?}"),
        Outcome::Refuted(_) => "refuted".into(),
        Outcome::Thrown { .. } => "exception".into(),
        Outcome::Cancelled => "cancelled".into(),
        Outcome::Exhausted(what) => format!("exhausted {what:?}"),
        Outcome::Rejected(stage, _) => format!("rejected as {stage:?}"),
        Outcome::Unchecked => "unchecked".into(),
        Outcome::BadStep(_) => "faulty step".into(),
        Outcome::Unsupported(_) => "unsupported".into(),
        Outcome::Crashed(_) => "crash".into(),
    }
}

fn show_nodes(out: &mut String, graph: &HeapGraph) {
    for (n, node) in graph.nodes.iter().take(12).enumerate() {
        out.push_str(&format!("\n    node {n}: {:?} type {} {:?}", node.kind, node.ty, node.slots));
    }
}

/// An outcome for people.
pub(super) fn show(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Returned { values, graph } => {
            let mut out = format!("returned {values:?}");
            if !graph.nodes.is_empty() {
                out.push_str(&format!(", which reach {} objects:", graph.nodes.len()));
                show_nodes(&mut out, graph);
            }
            short(&out)
        }
        Outcome::Thrown { graph } => {
            let mut out = "exception:".to_owned();
            show_nodes(&mut out, graph);
            short(&out)
        }
        Outcome::Rejected(_, why)
        | Outcome::BadStep(why)
        | Outcome::Unsupported(why)
        | Outcome::TrappedSomehow(_, why)
        | Outcome::Refuted(why)
        | Outcome::Crashed(why) => short(&format!("{}: {why}", class(outcome))),
        _ => class(outcome),
    }
}

/// The nodes of `a` from the first that differs in `b`.
fn show_graphs(a: &HeapGraph, b: &HeapGraph) -> String {
    let at = a.nodes.iter().zip(&b.nodes).take_while(|(x, y)| x == y).count();
    let mut out = format!("{} objects, {} types", a.nodes.len(), a.types.len());
    if let Some(node) = a.nodes.get(at) {
        out.push_str(&format!("; node {at}: {node:?} of {:?}", a.types.get(node.ty as usize)));
    }
    short(&out)
}

/// At most 2,000 characters.
fn short(text: &str) -> String {
    match text.char_indices().nth(2000) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A step in a few words.
pub(super) fn action(case: &Case, step: usize) -> String {
    match case.steps.get(step).map(|step| &step.action) {
        None => "?".into(),
        Some(Action::Module { .. }) => "module".into(),
        Some(Action::Define { .. }) => "module definition".into(),
        Some(Action::Instantiate { .. }) => "module instance".into(),
        Some(Action::Check { .. }) => "check".into(),
        Some(Action::Link { .. }) => "link".into(),
        Some(Action::Register { as_name, .. }) => format!("register {as_name:?}"),
        Some(Action::Invoke { field, .. }) => format!("invoke {field:?}"),
        Some(Action::Get { field, .. }) => format!("get {field:?}"),
        Some(Action::Collect) => "collect".into(),
    }
}
