//! What a subject shows of a run: one outcome per step, then the exported state and the heap graph.

mod executed;
mod heap;

pub(crate) use executed::hash;
pub use executed::{Executed, INSTRUCTIONS, MAX_CONTEXTS};
pub use heap::HeapCounters;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::graph::{HeapGraph, NodeRef};

/// A value as the harness sees it. References point into the observation's graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum Value {
    I32(i32),
    I64(i64),
    /// Bits.
    F32(u32),
    /// Bits.
    F64(u64),
    V128(u128),
    Ref(NodeRef),
}

/// A step's outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done, nothing to show (module, register, collect).
    Done,
    /// Returned (or read) values; references are into `graph`, a snapshot taken right after the step that holds what
    /// the values reach.
    Returned {
        /// In order.
        values: Vec<Value>,
        /// Empty when no value is an object.
        graph: HeapGraph,
    },
    /// Trapped.
    Trapped(TrapKind),
    /// Trapped in one of these ways; the engine does not tell them apart. The text is the engine's. No kinds: any.
    TrappedSomehow(Vec<TrapKind>, String),
    /// An exception reached the host.
    Thrown {
        /// What it reaches; the exception itself is the first node: its tag, then its payload.
        graph: HeapGraph,
    },
    /// A fiber was given up.
    Cancelled,
    /// Ran out of something.
    Exhausted(Resource),
    /// The module was refused.
    Rejected(RejectStage, String),
    /// The executor has no validator and did not judge (`Check`).
    Unchecked,
    /// The step names something that does not exist, or has wrong arguments: a fault of the case, the same on each subject.
    BadStep(String),
    /// The subject lacks a feature that the step needs.
    Unsupported(String),
    /// The subject runs the script by itself, and says that the step does not end as the script expects; its own words.
    Refuted(String),
    /// The subject died or broke an internal invariant: always a finding.
    Crashed(String),
}

/// Trap kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum TrapKind {
    Unreachable,
    IntegerDivideByZero,
    IntegerOverflow,
    InvalidConversionToInteger,
    MemoryOutOfBounds,
    TableOutOfBounds,
    UninitializedElement,
    IndirectCallTypeMismatch,
    NullReference,
    ArrayOutOfBounds,
    CastFailure,
    AllocationTooLarge,
    UncaughtException,
}

/// A difference that may be declared for a peer, and is then cut short or overlooked, and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permit {
    /// Its GC heap may run out where others go on: it is capped, or its collector frees no cycles.
    GcHeap,
    /// Its linear memories and tables may run out.
    Memory,
    /// Objects, arrays and other things have limits of its own: allocations and instantiations may fail.
    Limits,
    /// It may call any trap by another name.
    TrapKinds,
    /// It keeps objects alive that are not reachable.
    Leaks,
    /// Its heap runs out, since nothing is ever collected.
    NeverCollects,
    /// A fault or a lack that is known by the words of its message.
    Known,
}

/// What can run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Resource {
    CallStack,
    Fuel,
    GcHeap,
    Memory,
    Table,
}

/// Where a module was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum RejectStage {
    Malformed,
    Invalid,
    Unlinkable,
}

/// A run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// One per step of the case.
    pub outcomes: Vec<Outcome>,
    /// Calls of imported `assay.*` functions, in order.
    pub trace: Vec<TraceEvent>,
    /// Exported state after the script, per named or numbered instance, when asked for.
    pub state: Vec<InstanceState>,
    /// What `state` reaches.
    pub graph: HeapGraph,
    /// Objects that are alive after a full collection without frames (count), where the subject can tell.
    pub live_objects: Option<u64>,
    /// Counters; never compared.
    pub counters: Counters,
    /// Steps whose outcome is known as a fault or a lack of the subject, and the reason.
    #[serde(default)]
    pub known: Vec<(usize, String)>,
    /// Differences that are declared for the subject.
    #[serde(default)]
    pub permits: Vec<Permit>,
}

/// Calls that a trace holds at most; a full trace counts as truncated.
pub const MAX_TRACE: usize = 100_000;

/// A call of an imported function of the harness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEvent {
    /// Import name.
    pub name: String,
    /// Arguments; references only by kind (see [`NodeRef`]), without a graph.
    pub args: Vec<Value>,
}

/// An instance's exported state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceState {
    /// Number in order of instantiation.
    pub instance: u32,
    /// Exported globals by name.
    pub globals: Vec<(String, Value)>,
    /// Exported tables: length and elements (cut at the graph's limit).
    pub tables: Vec<(String, u64, Vec<Value>)>,
    /// Exported memories: length in bytes and a hash of the content.
    pub memories: Vec<(String, u64, u64)>,
}

/// What a run did; added up for the summary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Instructions executed (interpreter only).
    pub instructions: u64,
    /// Objects allocated.
    pub allocations: u64,
    /// Collections run.
    pub collections: u64,
    /// Objects that survived a collection while only frames reached them (JIT: from the collector; interp: survey).
    pub frame_only_survivors: u64,
    /// Of those, read again afterwards (interpreter's survey).
    pub frame_only_reread: u64,
    /// Instructions on references and objects that were executed (interpreter only).
    pub executed: Executed,
    /// Shapes of the cycles that were reachable when the program had its heap collected, as hashes (interpreter only).
    pub cycle_shapes: BTreeSet<u32>,
    /// All counters of the JIT's heap.
    pub heap: HeapCounters,
    /// What happened to fibers.
    pub fibers: FiberCounters,
}

/// What happened to a run's fibers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FiberCounters {
    /// Turns given.
    pub resumes: u64,
    /// Turns that ended before their fiber.
    pub yields: u64,
    /// Fibers given up.
    pub cancels: u64,
    /// Visits of the roots, by collections and verifications, that came to a frame of a resting fiber (JIT only).
    pub visits: u64,
    /// References in such frames that a collection has changed (JIT only).
    pub moved: u64,
}

impl FiberCounters {
    /// Adds another run's.
    pub fn add(&mut self, other: &FiberCounters) {
        self.resumes += other.resumes;
        self.yields += other.yields;
        self.cancels += other.cancels;
        self.visits += other.visits;
        self.moved += other.moved;
    }
}

impl Counters {
    /// Adds another run's.
    pub fn add(&mut self, other: &Counters) {
        self.instructions += other.instructions;
        self.allocations += other.allocations;
        self.collections += other.collections;
        self.frame_only_survivors += other.frame_only_survivors;
        self.frame_only_reread += other.frame_only_reread;
        self.executed.merge(&other.executed);
        self.cycle_shapes.extend(&other.cycle_shapes);
        self.heap.add(&other.heap);
        self.fibers.add(&other.fibers);
    }
}
