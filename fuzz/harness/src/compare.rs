//! Comparison: pure, and the only home of permitted differences.
//!
//! [`compare`] takes each subject against the first that judges (the reference; put `interp` first) and says which
//! subjects agree and which differ. What it may overlook is listed here and nowhere else; each time is counted:
//! - the call stack ran out on either side: the rest of the case is discarded for that pair;
//! - the GC heap or the memory ran out on a collector that never collects, or the reference's heap ran out: likewise;
//! - a step that must run out of the case's heap limit did so on one side, and returned on one that keeps no limit: that
//!   step is discarded;
//! - one side lacks a feature that a step needs: likewise;
//! - what `peers` says of engines of other people: another count of fuel, collectors that leak;
//! - a module check that one side could not judge (a subject without a validator): that step is discarded;
//! - a graph beyond the node limit: it is compared up to there;
//! - what is declared for a peer ([`Permit`](crate::observe::Permit)): its heap, memory or other limits are reached, it keeps what is not reachable,
//!   it calls traps otherwise; a trap that an engine cannot name fits each of the kinds that it may be;
//! - of an exception that one side shows nothing of only that it is there;
//! - texts of refusals and of faulty steps, and counters, are never compared.
//!
//! [`check_expectations`] holds outcomes against the script's own assertions.

mod difference;
mod expect;
mod peers;
mod permit;

pub use expect::{Verdict, check_expectations};

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::frames::place_of_death;
use crate::observe::Outcome;
use crate::{Case, Observation};
use difference::{Cut, Pair, Side, pair};

/// What came of a comparison.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// What must not be.
    pub findings: Vec<Finding>,
    /// What was overlooked, by kind.
    pub discards: BTreeMap<DiscardKind, u64>,
    /// Subjects that agree with each other, the reference's group first; a subject whose case was cut short stands with
    /// those it agreed with until then.
    pub groups: Vec<Vec<String>>,
    /// For each subject but the first, how far it was compared.
    pub compared: BTreeMap<String, Compared>,
}

/// How far a subject was compared with another before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// Steps with outcomes on both sides.
    pub steps: usize,
    /// Whether to the end, or to a finding: nothing cut it short.
    pub whole: bool,
}

/// Kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FindingKind {
    /// A subject died or broke an internal invariant.
    Crash,
    /// A heap verifier spoke.
    Verifier,
    /// Outcomes of different kinds: a value and a trap, two traps.
    OutcomeMismatch,
    /// Different numbers, or references of different kinds.
    ValueMismatch,
    /// The results' heap graphs are not isomorphic.
    GraphMismatch,
    /// The exported state differs.
    StateMismatch,
    /// The calls of the harness's functions differ.
    TraceMismatch,
    /// The number of live objects differs.
    LiveMismatch,
    /// A heap did not run out under the case's limit, where it must.
    LimitNotKept,
    /// An assertion of the script fails.
    ExpectationFailed,
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Kinds of permitted differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DiscardKind {
    /// The call stack ran out.
    CallStack,
    /// The GC heap of a collector that never collects ran out.
    NullHeap,
    /// A step ran out of the case's heap limit, as it must.
    HeapLimit,
    /// The reference's GC heap ran out.
    ReferenceHeap,
    /// Fuel ran out on one side, the other counts it otherwise.
    Fuel,
    /// The heap of a collector that leaks cycles ran out.
    LeakedCycles,
    /// A step needs a feature that one side lacks.
    Unsupported,
    /// One side does not judge validity.
    Unchecked,
    /// A heap graph was cut at the node limit.
    TruncatedGraph,
    /// A peer's GC heap ran out.
    PeerHeap,
    /// A peer's memory or tables ran out.
    PeerMemory,
    /// Another limit of a peer.
    PeerLimits,
    /// A peer calls a trap otherwise.
    PeerTrapKinds,
    /// A peer keeps more objects, as is declared.
    PeerLeaks,
    /// A known fault or lack of a peer.
    PeerKnown,
}

impl fmt::Display for DiscardKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DiscardKind::CallStack => "call stack exhausted",
            DiscardKind::NullHeap => "heap of a null collector exhausted",
            DiscardKind::HeapLimit => "heap exhausted where it must be",
            DiscardKind::ReferenceHeap => "heap of the reference exhausted",
            DiscardKind::Fuel => "fuel exhausted, counted otherwise",
            DiscardKind::LeakedCycles => "heap of a collector that leaks cycles exhausted",
            DiscardKind::Unsupported => "unsupported",
            DiscardKind::Unchecked => "validity unchecked",
            DiscardKind::TruncatedGraph => "graph truncated",
            DiscardKind::PeerHeap => "heap of a peer exhausted",
            DiscardKind::PeerMemory => "memory of a peer exhausted",
            DiscardKind::PeerLimits => "beyond a peer's limits",
            DiscardKind::PeerTrapKinds => "trap of another name on a peer",
            DiscardKind::PeerKnown => "known fault of a peer",
            DiscardKind::PeerLeaks => "more objects alive on a peer that may leak",
        })
    }
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind.
    pub kind: FindingKind,
    /// The reference, then the subjects that differ from it in this way; of a crash only those that crashed.
    pub subjects: Vec<String>,
    /// Step of the script, from 0.
    pub step: Option<usize>,
    /// What was seen, first line a summary.
    pub text: String,
    /// The part of `text` that does not hang on values.
    what: String,
}

impl Finding {
    /// A finding that `compare` did not make (an expectation of the script that failed).
    pub fn expectation(subject: &str, step: usize, text: &str) -> Finding {
        Finding {
            kind: FindingKind::ExpectationFailed,
            subjects: vec![subject.to_owned()],
            step: Some(step),
            text: format!("step {step} on {subject}: {text}"),
            what: without_numbers(text),
        }
    }

    /// Stable for the same bug: kind, subjects and the message without numbers and addresses.
    pub fn key(&self) -> String {
        format!("{}|{}|{}", self.kind, self.subjects.join(","), self.what)
    }
}

/// Compares what the subjects showed of `case`. The first is the reference.
pub fn compare(case: &Case, observations: &[(&str, &Observation)]) -> Comparison {
    let mut result = Comparison::default();
    crashes(case, observations, &mut result);
    let judging: Vec<Side<'_>> = observations
        .iter()
        .map(|(name, observation)| Side { name, observation })
        .filter(|side| !side.observation.outcomes.iter().any(|o| matches!(o, Outcome::Crashed(_))))
        .collect();
    // Which group each judging subject is in.
    let mut group_of: Vec<usize> = Vec::new();
    let mut groups: Vec<Vec<String>> = Vec::new();
    for (i, side) in judging.iter().enumerate() {
        let mut own = None;
        for (r, reference) in judging[..i].iter().enumerate() {
            let Pair { difference, cut, discards, steps } = pair(case, *reference, *side, r == 0);
            let compared = result.compared.entry(side.name.to_owned()).or_default();
            compared.steps = compared.steps.max(steps);
            compared.whole |= cut.is_none();
            for kind in discards {
                *result.discards.entry(kind).or_default() += 1;
            }
            if let Some(difference) = difference {
                add(&mut result.findings, reference.name, side.name, difference);
                break;
            }
            own.get_or_insert(group_of[r]);
            if cut != Some(Cut::Reference) {
                break;
            }
        }
        let group = own.unwrap_or_else(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[group].push(side.name.to_owned());
        group_of.push(group);
    }
    for finding in &mut result.findings {
        let agreeing: Vec<String> = groups.iter().map(|group| group.join(", ")).collect();
        if groups.len() > 1 {
            finding.text.push_str(&format!("\nwho agrees with whom: {}", agreeing.join(" | ")));
        }
    }
    result.groups = groups;
    result
}

/// Whether two outcomes of one step are the same end, whatever words it is told in.
pub(crate) fn ends_alike(x: &Outcome, y: &Outcome) -> bool {
    difference::outcomes(x, y).is_none() || permit::same_trap(&[], x, y).is_some()
}

/// A subject crashes once at most in the findings; nothing after it is compared.
fn crashes(case: &Case, observations: &[(&str, &Observation)], result: &mut Comparison) {
    for (name, observation) in observations {
        let crash = observation.outcomes.iter().enumerate().find_map(|(step, outcome)| match outcome {
            Outcome::Crashed(how) => Some((step, how)),
            _ => None,
        });
        let Some((step, how)) = crash else { continue };
        if observation.known.iter().any(|(known, _)| *known == step) {
            *result.discards.entry(DiscardKind::PeerKnown).or_default() += 1;
            continue;
        }
        let kind = if how.contains("verifier") { FindingKind::Verifier } else { FindingKind::Crash };
        let text = format!("step {step} ({}): {name} crashed: {how}", difference::action(case, step));
        // Crashes that begin alike differ by where they happened.
        let what = [without_numbers(how), without_numbers(&place_of_death(how))].join(" ");
        let what = what.trim_end().to_owned();
        let known =
            result.findings.iter_mut().find(|f| f.kind == kind && f.what == what && f.step == Some(step));
        if let Some(finding) = known {
            finding.subjects.push((*name).to_owned());
        } else {
            let subjects = vec![(*name).to_owned()];
            result.findings.push(Finding { kind, subjects, step: Some(step), text, what });
        }
    }
}

fn add(findings: &mut Vec<Finding>, reference: &str, subject: &str, difference: difference::Difference) {
    let difference::Difference { kind, step, text, what } = difference;
    let same = |f: &&mut Finding| {
        f.kind == kind
            && f.step == step
            && f.what == what
            && f.subjects.first().is_some_and(|s| s == reference)
    };
    if let Some(finding) = findings.iter_mut().find(same) {
        finding.subjects.push(subject.to_owned());
        return;
    }
    let subjects = vec![reference.to_owned(), subject.to_owned()];
    findings.push(Finding { kind, subjects, step, text, what });
}

/// The text's first line with each number, its sign included, as `#`; at most 200 characters of it.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.lines().next().unwrap_or_default().chars().peekable();
    let mut count = 0;
    while let Some(c) = chars.next() {
        count += 1;
        if count > 200 {
            break;
        }
        let sign = c == '-' && (out.is_empty() || out.ends_with([' ', '(', '[', ',', '"']));
        if c.is_ascii_digit() || sign && chars.peek().is_some_and(char::is_ascii_digit) {
            while chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_').is_some() {}
            out.push('#');
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests;
