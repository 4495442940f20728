//! What a campaign and its child workers say to each other: one JSON object a line, requests on the child's standard
//! input, replies on its standard output.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Observation;
use crate::compare::Compared;
use crate::observe::{Counters, FiberCounters, HeapCounters, Outcome};

/// A request to a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Request {
    /// Examine cases, which subjects get all at once.
    Examine(Vec<Wanted>),
    /// Run the case in a file on each subject and show the observations.
    Observe {
        /// The file.
        path: PathBuf,
    },
}

/// A case to examine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Wanted {
    /// Generate it, write it to `running` before any subject gets it.
    Generate {
        /// Name in [`generate::registry`](crate::generate::registry).
        generator: String,
        /// Seed.
        seed: u64,
        /// Number of the schedule that the program runs under (see [`under_schedule`](crate::generate::under_schedule)).
        schedule: u64,
        /// Where the case stands while it runs.
        running: PathBuf,
    },
    /// The case in a file.
    File {
        /// The file.
        path: PathBuf,
    },
}

/// A worker's reply.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The worker stands; sent once at the start.
    Ready {
        /// Names of its subjects.
        subjects: Vec<String>,
        /// What those call themselves that are someone else's.
        engines: Vec<Option<String>>,
    },
    /// Cases were examined.
    Examined(Examined),
    /// A case was observed, one observation per subject.
    Observed(Vec<Observation>),
    /// The request cannot be served (unreadable file, unknown generator).
    Refused(String),
}

/// What came of cases that subjects got at once.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Examined {
    /// Of each case, in order.
    pub reports: Vec<Report>,
    /// What is wrong with several of them together that none shows alone.
    pub company: Vec<FindingRecord>,
}

/// What came of one case.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// What is wrong.
    pub findings: Vec<FindingRecord>,
    /// Comparisons that permitted differences cut short, by kind.
    pub discards: BTreeMap<String, u64>,
    /// How far each subject was compared, in the order of the subjects; the first is what the others are compared with.
    pub compared: Vec<Compared>,
    /// Whether the case was given to the subjects.
    pub ran: bool,
    /// How the calls ended on the first subject.
    pub ends: Ends,
    /// The interpreter's counters, or the first subject's.
    pub reference: Counters,
    /// Collections over all subjects.
    pub collections: u64,
    /// Frame-only survivors as the collectors counted them, over all subjects.
    pub frame_only_survivors: u64,
    /// Microseconds that each subject took, in the order of the subjects.
    pub micros: Vec<u64>,
    /// What each subject's heap counted, in the same order.
    pub heaps: Vec<HeapCounters>,
    /// What happened to each subject's fibers, in the same order.
    pub fibers: Vec<FiberCounters>,
}

/// How the steps of a case ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ends {
    /// All did what they were for.
    Returned,
    /// Some trapped or threw, the others returned.
    Trapped,
    /// Some ended otherwise, or nothing was run.
    #[default]
    Otherwise,
}

impl Ends {
    /// Of these outcomes.
    pub fn of(outcomes: &[Outcome]) -> Ends {
        let returned = |outcome: &Outcome| matches!(outcome, Outcome::Done | Outcome::Returned { .. });
        let trapped = |outcome: &Outcome| {
            matches!(outcome, Outcome::Trapped(_) | Outcome::TrappedSomehow(..) | Outcome::Thrown { .. })
        };
        if outcomes.iter().all(returned) {
            Ends::Returned
        } else if outcomes.iter().all(|outcome| returned(outcome) || trapped(outcome)) {
            Ends::Trapped
        } else {
            Ends::Otherwise
        }
    }
}

/// A finding on its way to disk and to people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingRecord {
    /// Kind, in one word.
    pub kind: String,
    /// Same key = same finding.
    pub key: String,
    /// The subjects concerned.
    pub subjects: Vec<String>,
    /// Step of the script.
    pub step: Option<usize>,
    /// For people.
    pub text: String,
}

impl FindingRecord {
    /// Whether a smaller case that shows `self` shows the fault that `wanted` is. Where the key's words say how things ended, they stay; where a
    /// value differs they name its sort, which changes as a program shrinks.
    pub fn is_still(&self, wanted: &FindingRecord) -> bool {
        let value_differs = matches!(
            wanted.kind.as_str(),
            "ValueMismatch" | "GraphMismatch" | "StateMismatch" | "TraceMismatch"
        );
        let alike = self.kind == wanted.kind && self.subjects == wanted.subjects;
        alike && (value_differs || self.key == wanted.key)
    }
}

#[cfg(test)]
mod tests {
    use super::FindingRecord;

    fn record(kind: &str, words: &str) -> FindingRecord {
        FindingRecord {
            kind: kind.into(),
            key: format!("{kind}|interp,peer|{words}"),
            subjects: vec!["interp".into(), "peer".into()],
            step: None,
            text: String::new(),
        }
    }

    #[test]
    fn a_fault_stays_the_same_while_its_case_shrinks() {
        for kind in ["ExpectationFailed", "OutcomeMismatch", "Crash", "LiveMismatch", "Verifier"] {
            assert!(record(kind, "result # against #").is_still(&record(kind, "result # against #")));
            assert!(
                !record(kind, "expected a module").is_still(&record(kind, "result # against #")),
                "{kind}"
            );
        }
        let null = record("GraphMismatch", "Struct slot i31 against null");
        assert!(null.is_still(&record("GraphMismatch", "Struct slot object against null")));
        assert!(!null.is_still(&record("StateMismatch", "Struct slot i31 against null")));
        let other = FindingRecord { subjects: vec!["interp".into(), "another".into()], ..null.clone() };
        assert!(!other.is_still(&null));
    }
}
