//! Subjects: whatever can run a case and show an observation.
//!
//! [`parse`] turns a spelling into subjects; `script` drives the steps of a case over an executor, `fibers` its last ones, `interp` and `jit` adapt
//! our two executors to it (and `wasmtime`, behind a feature, another engine), `host` holds what both offer to programs, [`Shelf`] the code that subjects share, [`stress`] the spellings of the heap's testing modes.

mod fibers;
mod host;
mod interp;
mod jit;
pub mod proof;
mod script;
mod shelf;
mod spell;
pub mod stress;
mod turns;
#[cfg(feature = "peer-wasmtime")]
mod wasmtime;

#[cfg(feature = "peer-wasmtime")]
pub use self::wasmtime::{WasmtimeOptions, WasmtimeSubject};
pub use interp::InterpSubject;
pub(crate) use interp::{Garbage, garbage, most_reachable};
pub use jit::{JitOptions, JitSubject};
pub use shelf::Shelf;
pub use spell::{SubjectError, collector_of, defaults, parse, parse_on};

use crate::{Case, Observation};

/// What a subject can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Features {
    /// Judges validity (`Check` steps).
    pub validates: bool,
    /// GC proposal.
    pub gc: bool,
    /// SIMD.
    pub simd: bool,
    /// Relaxed SIMD, in the deterministic profile.
    pub relaxed_simd: bool,
    /// Conversions between `anyref` and `externref` in constant expressions.
    pub constant_conversions: bool,
    /// Exceptions with exnref.
    pub exceptions: bool,
    /// The exception handling of before 3.0 (`try`, `catch`, `rethrow`, `delegate`).
    pub legacy_exceptions: bool,
    /// Tail calls.
    pub tail_calls: bool,
    /// 64-bit memories and tables.
    pub memory64: bool,
    /// Several memories.
    pub multi_memory: bool,
    /// Runs collections.
    pub collects: bool,
    /// Shows heap graphs.
    pub graphs: bool,
    /// Tells the number of live objects after a full collection.
    pub liveness: bool,
}

impl Features {
    /// What programs may use: all of WebAssembly 3.0, without the exceptions of before.
    pub const OF_PROGRAMS: Features = Features {
        validates: false,
        gc: true,
        simd: true,
        relaxed_simd: true,
        constant_conversions: true,
        exceptions: true,
        legacy_exceptions: false,
        tail_calls: true,
        memory64: true,
        multi_memory: true,
        collects: false,
        graphs: false,
        liveness: false,
    };

    /// What both have.
    #[must_use]
    pub fn and(self, other: Features) -> Features {
        Features {
            validates: self.validates && other.validates,
            gc: self.gc && other.gc,
            simd: self.simd && other.simd,
            relaxed_simd: self.relaxed_simd && other.relaxed_simd,
            constant_conversions: self.constant_conversions && other.constant_conversions,
            exceptions: self.exceptions && other.exceptions,
            legacy_exceptions: self.legacy_exceptions && other.legacy_exceptions,
            tail_calls: self.tail_calls && other.tail_calls,
            memory64: self.memory64 && other.memory64,
            multi_memory: self.multi_memory && other.multi_memory,
            collects: self.collects && other.collects,
            graphs: self.graphs && other.graphs,
            liveness: self.liveness && other.liveness,
        }
    }
}

/// What came of several cases that were given to a subject at once.
#[derive(Debug, Default)]
pub struct Batch {
    /// Of each case, as if it had been alone.
    pub observations: Vec<Observation>,
    /// What none of the cases shows alone.
    pub company: Vec<Company>,
}

/// Cases that one process ran one after the other, and did not end as each of them does alone.
#[derive(Debug)]
pub struct Company {
    /// How many they are.
    pub members: usize,
    /// All of them.
    pub case: Case,
    /// What was seen of that.
    pub observation: Observation,
}

/// An executor under some configuration.
pub trait Subject: Send {
    /// Its spelling, e.g. `jit:copying,opt=none`.
    fn name(&self) -> &str;
    /// What it claims; a smoke test makes it prove each.
    fn supports(&self) -> Features;
    /// Whether it runs plain cases only: no imports of the harness, numbers as arguments and results, no observed state.
    fn plain_cases_only(&self) -> bool {
        false
    }
    /// What it calls itself and its version, if it is someone else's.
    fn engine(&self) -> Option<&str> {
        None
    }
    /// From now on counters tell which instructions are executed and which cycles are built, if the subject can: that costs time.
    fn tell_reach(&mut self) {}
    /// Runs `case`. A fresh store each time; nothing is kept between cases that a case can see.
    fn observe(&mut self, case: &Case) -> Observation;
    /// Whether a case may see something of those before it after all: a process of someone else's goes on from case to case.
    fn keeps_its_engine(&self) -> bool {
        false
    }
    /// Runs `case` with nothing left of earlier ones: what is kept is started anew.
    fn observe_afresh(&mut self, case: &Case) -> Observation {
        self.observe(case)
    }
    /// How many cases it is best given at once; 1 where nothing is gained by more.
    fn batch(&self) -> usize {
        1
    }
    /// Runs several cases, with less effort than one by one if it can.
    fn observe_batch(&mut self, cases: &[Case]) -> Batch {
        Batch { observations: cases.iter().map(|case| self.observe(case)).collect(), company: Vec::new() }
    }
}
