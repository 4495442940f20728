//! Outcomes against the script's assertions.

use super::difference::{keeps_limits, must_run_out, show};
use crate::Observation;
use crate::case::{Action, Case, Expect, LaneShape, Pattern, RefPattern, Source};
use crate::graph::{HeapGraph, NodeRef, ObjectKind};
use crate::observe::{Outcome, TrapKind, Value};

/// How a step stands to its assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As asserted.
    Pass,
    /// Not as asserted.
    Fail(String),
    /// The subject does not judge validity.
    Unchecked,
    /// Quoted text that the `wast` parser refused: no subject saw it.
    Text,
    /// The subject lacks a feature that the step needs.
    Unsupported,
}

/// One verdict per step of `case`. `name` is the subject's.
pub fn check_expectations(case: &Case, name: &str, observation: &Observation) -> Vec<Verdict> {
    let verdict = |(i, step): (usize, &crate::Step)| {
        if let Action::Check { source: Source::RejectedText(_) } = step.action {
            return Verdict::Text;
        }
        let Some(outcome) = observation.outcomes.get(i) else {
            return Verdict::Fail(format!("{name} shows no outcome of the step"));
        };
        match outcome {
            Outcome::Unsupported(_) => Verdict::Unsupported,
            Outcome::Unchecked if matches!(step.action, Action::Check { .. }) => Verdict::Unchecked,
            Outcome::Returned { .. } if must_run_out(case, i) && !keeps_limits(name) => Verdict::Pass,
            // A case itself says which of its fibers are given up.
            Outcome::Cancelled if i >= case.first_fiber() && step.expect == Expect::Success => Verdict::Pass,
            outcome if holds(&step.expect, outcome) => Verdict::Pass,
            outcome => Verdict::Fail(format!("expected {}, got {}", wanted(&step.expect), show(outcome))),
        }
    };
    case.steps.iter().enumerate().map(verdict).collect()
}

fn holds(expect: &Expect, outcome: &Outcome) -> bool {
    match (expect, outcome) {
        (_, Outcome::Crashed(_) | Outcome::BadStep(_)) => false,
        (Expect::Any, _) => true,
        (Expect::Success, outcome) => matches!(outcome, Outcome::Done | Outcome::Returned { .. }),
        (Expect::Return(patterns), Outcome::Returned { values, graph }) => {
            patterns.len() == values.len() && patterns.iter().zip(values).all(|(p, v)| matches(p, *v, graph))
        }
        (Expect::Trap(TrapKind::UncaughtException) | Expect::Exception, Outcome::Thrown { .. }) => true,
        (Expect::Trap(kind), Outcome::Trapped(seen)) => kind == seen,
        (Expect::Trap(kind), Outcome::TrappedSomehow(seen, _)) => seen.is_empty() || seen.contains(kind),
        (Expect::Exhaustion(what), Outcome::Exhausted(seen)) => what == seen,
        (Expect::Reject(stage), Outcome::Rejected(seen, _)) => stage == seen,
        _ => false,
    }
}

fn matches(pattern: &Pattern, value: Value, graph: &HeapGraph) -> bool {
    match (pattern, value) {
        (Pattern::Value(wanted), value) => *wanted == value,
        (Pattern::F32CanonicalNan, Value::F32(bits)) => bits & 0x7fff_ffff == 0x7fc0_0000,
        (Pattern::F32ArithmeticNan, Value::F32(bits)) => bits & 0x7fc0_0000 == 0x7fc0_0000,
        (Pattern::F64CanonicalNan, Value::F64(bits)) => bits & (u64::MAX >> 1) == 0x7ff8_0000_0000_0000,
        (Pattern::F64ArithmeticNan, Value::F64(bits)) => {
            bits & 0x7ff8_0000_0000_0000 == 0x7ff8_0000_0000_0000
        }
        (Pattern::V128(lanes, shape), Value::V128(bits)) => {
            let seen = split(bits, *shape);
            lanes.len() == seen.len()
                && lanes.iter().zip(seen).all(|(lane, value)| matches(lane, value, graph))
        }
        (Pattern::RefNull, Value::Ref(NodeRef::Null)) => true,
        (Pattern::Ref(kind), Value::Ref(reference)) => is_a(*kind, reference, graph),
        (Pattern::Either(cases), value) => cases.iter().any(|case| matches(case, value, graph)),
        _ => false,
    }
}

/// The lanes as scripts write them.
fn split(bits: u128, shape: LaneShape) -> Vec<Value> {
    let bytes = bits.to_le_bytes();
    let word = |chunk: &[u8]| chunk.iter().rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    let (width, lane): (usize, fn(u64) -> Value) = match shape {
        LaneShape::I8x16 => (1, |w| Value::I32(i32::from((w as u8).cast_signed()))),
        LaneShape::I16x8 => (2, |w| Value::I32(i32::from((w as u16).cast_signed()))),
        LaneShape::I32x4 => (4, |w| Value::I32((w as u32).cast_signed())),
        LaneShape::I64x2 => (8, |w| Value::I64(w.cast_signed())),
        LaneShape::F32x4 => (4, |w| Value::F32(w as u32)),
        LaneShape::F64x2 => (8, Value::F64),
    };
    bytes.chunks(width).map(|chunk| lane(word(chunk))).collect()
}

fn is_a(kind: RefPattern, reference: NodeRef, graph: &HeapGraph) -> bool {
    let object = match reference {
        NodeRef::Node(n) => graph.nodes.get(n as usize).map(|node| node.kind),
        NodeRef::Opaque(kind) => Some(kind),
        _ => None,
    };
    let aggregate = matches!(object, Some(ObjectKind::Struct | ObjectKind::Array));
    let i31 = matches!(reference, NodeRef::I31(_));
    let host = matches!(reference, NodeRef::Host(_));
    match kind {
        // An internal value may be externalised and the other way round.
        RefPattern::Any | RefPattern::Extern => aggregate || i31 || host,
        RefPattern::Eq => aggregate || i31,
        RefPattern::I31 => i31,
        RefPattern::Struct => object == Some(ObjectKind::Struct),
        RefPattern::Array => object == Some(ObjectKind::Array),
        RefPattern::Exn => object == Some(ObjectKind::Exn),
        RefPattern::Func => matches!(reference, NodeRef::Func(..)),
        RefPattern::Host(token) => reference == NodeRef::Host(token),
    }
}

fn wanted(expect: &Expect) -> String {
    match expect {
        Expect::Any => "no crash".into(),
        Expect::Success => "success".into(),
        Expect::Return(patterns) => format!("results {patterns:?}"),
        Expect::Trap(kind) => format!("trap {kind:?}"),
        Expect::Exhaustion(what) => format!("exhausted {what:?}"),
        Expect::Exception => "an exception".into(),
        Expect::Reject(stage) => format!("rejected as {stage:?}"),
    }
}
