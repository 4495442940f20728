//! What a campaign did, added up.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::protocol::{Ends, Report};
use crate::observe::{Executed, FiberCounters, HeapCounters};

/// Totals of a campaign.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Seed of the campaign; case n of generator g has a seed derived from it.
    pub seed: u64,
    /// Names of the subjects.
    pub subjects: Vec<String>,
    /// What those call themselves that are someone else's.
    pub engines: Vec<Option<String>>,
    /// How far each subject was compared with the first, or another before it.
    pub pairs: Vec<PairTotals>,
    /// Cases run.
    pub cases: u64,
    /// Cases by generator.
    pub by_generator: BTreeMap<String, GeneratorTotals>,
    /// Seconds.
    pub seconds: f64,
    /// Collections over all subjects.
    pub collections: u64,
    /// Objects that only a frame kept alive through a collection, as the collectors counted them.
    pub frame_only_survivors: u64,
    /// Comparisons cut short by permitted differences, by kind.
    pub discards: BTreeMap<String, u64>,
    /// Milliseconds spent in each subject.
    pub subject_millis: Vec<u64>,
    /// What each subject's heaps counted together.
    pub subject_heaps: Vec<HeapCounters>,
    /// What happened to each subject's fibers.
    pub subject_fibers: Vec<FiberCounters>,
    /// What was executed in cases that no comparison was cut short in: each pair of subjects agrees on its results.
    #[serde(skip)]
    pub executed: Executed,
    /// The number of different contexts of each instruction of `executed`.
    pub contexts: BTreeMap<&'static str, usize>,
    /// Distinct findings: key → how often, where, what.
    pub findings: BTreeMap<String, FoundAgain>,
}

/// How far a subject was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PairTotals {
    /// Cases of which some step was compared.
    pub cases: u64,
    /// Cases that were compared to the end.
    pub whole: u64,
    /// Steps compared.
    pub steps: u64,
}

/// Totals of one generator.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GeneratorTotals {
    /// Cases.
    pub cases: u64,
    /// Cases in which an object survived a collection while only a frame reached it, and was read afterwards.
    pub useful: u64,
    /// Cases with a cycle among the reachable objects when the program had its heap collected.
    pub cyclic: u64,
    /// Different shapes of such cycles.
    pub cycle_shapes: usize,
    #[serde(skip)]
    shapes: BTreeSet<u32>,
    /// Cases in which a comparison was cut short.
    pub cut_short: u64,
    /// Cases in which some call trapped, or threw to the host.
    pub trapped: u64,
    /// Cases whose calls all returned.
    pub returned: u64,
    /// Executed instructions (interpreter) of each case; the median is printed.
    #[serde(skip)]
    pub instructions: Vec<u64>,
    /// Allocations of each case.
    #[serde(skip)]
    pub allocations: Vec<u64>,
    /// Median of `instructions`.
    pub median_instructions: u64,
    /// Median of `allocations`.
    pub median_allocations: u64,
}

/// A distinct finding.
#[derive(Clone, Debug, Serialize)]
pub struct FoundAgain {
    /// How often.
    pub times: u64,
    /// Where the first stands.
    pub path: PathBuf,
    /// What it is, one line.
    pub text: String,
    /// Seconds after the start.
    pub after: f64,
}

impl Summary {
    /// Adds a case of `generator`.
    pub fn add(&mut self, generator: &str, report: &Report) {
        self.cases += 1;
        self.collections += report.collections;
        self.frame_only_survivors += report.frame_only_survivors;
        for (kind, n) in &report.discards {
            *self.discards.entry(kind.clone()).or_default() += n;
        }
        self.subject_millis.resize(self.subject_millis.len().max(report.micros.len()), 0);
        for (total, micros) in self.subject_millis.iter_mut().zip(&report.micros) {
            *total += micros;
        }
        self.pairs.resize(self.pairs.len().max(report.compared.len()), PairTotals::default());
        for (total, compared) in self.pairs.iter_mut().zip(&report.compared) {
            total.cases += u64::from(compared.steps > 0);
            total.whole += u64::from(compared.whole);
            total.steps += compared.steps as u64;
        }
        self.subject_heaps.resize(self.subject_heaps.len().max(report.heaps.len()), HeapCounters::default());
        for (total, heap) in self.subject_heaps.iter_mut().zip(&report.heaps) {
            total.add(heap);
        }
        let subjects = self.subject_fibers.len().max(report.fibers.len());
        self.subject_fibers.resize(subjects, FiberCounters::default());
        for (total, fibers) in self.subject_fibers.iter_mut().zip(&report.fibers) {
            total.add(fibers);
        }
        // The first subject is compared with no other.
        let cut_short = report.compared.iter().skip(1).any(|compared| !compared.whole);
        if !cut_short && report.findings.is_empty() {
            self.executed.merge(&report.reference.executed);
        }
        let totals = self.by_generator.entry(generator.to_owned()).or_default();
        totals.cases += 1;
        totals.useful += u64::from(report.reference.frame_only_reread > 0);
        let shapes = &report.reference.cycle_shapes;
        totals.cyclic += u64::from(!shapes.is_empty());
        totals.shapes.extend(shapes);
        totals.cut_short += u64::from(cut_short);
        totals.trapped += u64::from(report.ends == Ends::Trapped);
        totals.returned += u64::from(report.ends == Ends::Returned);
        if report.ran {
            totals.instructions.push(report.reference.instructions);
            totals.allocations.push(report.reference.allocations);
        }
    }

    /// Sets the medians, the time, and turns microseconds into milliseconds; once, at the end.
    pub fn close(&mut self, elapsed: Duration) {
        self.seconds = elapsed.as_secs_f64();
        self.contexts = self.executed.contexts().collect();
        for millis in &mut self.subject_millis {
            *millis /= 1000;
        }
        for totals in self.by_generator.values_mut() {
            totals.cycle_shapes = totals.shapes.len();
            totals.median_instructions = median(&mut totals.instructions);
            totals.median_allocations = median(&mut totals.allocations);
        }
    }
}

fn median(values: &mut [u64]) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}
