//! A case: modules, a script and a schedule; what every subject receives, byte for byte.
//!
//! A `.wast` file is a case: each directive is one [`Step`], its assertion is the step's [`Expect`]. The schedule and
//! limits stand in a TOML header in lines that begin with `;;!`. Storing a case as text and reading it again gives the
//! same bytes of every module. [`parse`](Case::parse) reads, `write` writes, `words` holds the scripts' words for traps, `together` makes one case of several.

mod collect;
mod error;
mod mode;
mod parse;
mod signature;
mod together;
mod turn;
mod words;
mod write;

pub use collect::{Collection, CollectionError};
pub use error::{CaseError, CaseErrorKind};
pub use mode::{Mode, ModeError};
pub use turn::{Slice, Turn, TurnError};

use assay_gc::Stress;
use serde::{Deserialize, Serialize};

use crate::observe::{RejectStage, Resource, TrapKind, Value};
use crate::subject::stress;

/// A whole case.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Case {
    /// The header.
    pub schedule: Schedule,
    /// The script.
    pub steps: Vec<Step>,
}

impl Case {
    /// Where the steps begin that run as fibers; the number of steps if none does.
    pub fn first_fiber(&self) -> usize {
        let most = self.schedule.fibers as usize;
        let calls = self.steps.iter().rev().take(most);
        self.steps.len() - calls.take_while(|step| matches!(step.action, Action::Invoke { .. })).count()
    }
}

/// The TOML header: everything beside the script. Unknown keys are an error.
///
/// What it says of collections goes together with a subject's own stress modes. It cannot be observed (a subject that never
/// collects, or not at such places, ignores it), and the same schedule on the same configuration collects at the same
/// places each time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// One line for people: the symptom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where the case comes from: a link, or a generator and seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Fuel of each step; none = unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// Collect at every n-th allocation of the configuration at hand (1 = every); none = when the heap asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collect_every: Option<u32>,
    /// Collect at every n-th safepoint (function entries, loop headers, calls of the runtime).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collect_every_safepoint: Option<u32>,
    /// Collections of random kinds at random allocations and safepoints, one in sixteen; the number picks which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collect_seed: Option<u32>,
    /// Single collections, e.g. `["minor@alloc:7", "slice:5@safepoint:31"]`, in any order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub collect: Vec<Collection>,
    /// Testing modes of the heap beside the subject's own, e.g. `["verify", "no-poison"]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub modes: Vec<Mode>,
    /// Bytes of GC heap, on executors that collect while a program runs. A step that expects the GC heap to be exhausted
    /// must run out of it there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gc_heap_max: Option<u64>,
    /// How many of the last steps, as far as they are calls, run as fibers that rest and go on by `turns`.
    #[serde(skip_serializing_if = "is_zero")]
    pub fibers: u32,
    /// What happens to the fibers, e.g. `["resume 0 for 25", "resume 1", "cancel 0"]`. When all has happened, those that are
    /// left go on in turn, each until a host function suspends it, to their ends.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<Turn>,
    /// Whether exported state and heap graph are observed after the script (always for generated cases; off for plain
    /// spec scripts).
    pub observe_state: bool,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Schedule {
    /// Whether it collects at safepoints, which code passes only if it is compiled so.
    pub fn wants_safepoints(&self) -> bool {
        self.collect_every_safepoint.unwrap_or(0) != 0
            || self.collect_seed.is_some()
            || self.collect.iter().any(Collection::at_safepoint)
            || self.stress(Stress::default()).every_safepoint != 0
    }

    /// A subject's testing modes together with its own. What frees memory more quietly (`no-poison`) does not count
    /// where the subject is under stress.
    pub fn stress(&self, subject: Stress) -> Stress {
        let mut both = subject;
        self.modes.iter().for_each(|mode| mode.apply(&mut both));
        both.poison |= subject.poison && stress::collects(&subject);
        let collect_every = self.collect_every.unwrap_or(0);
        both.every_alloc |= collect_every == 1;
        both.every_nth = if both.every_alloc { 0 } else { collect_every };
        let safepoints = [both.every_safepoint, self.collect_every_safepoint.unwrap_or(0)];
        both.every_safepoint = safepoints.into_iter().filter(|&n| n != 0).min().unwrap_or(0);
        both
    }

    /// Its single and random collections, as a heap takes them.
    pub fn collections(&self) -> assay_gc::Schedule {
        assay_gc::Schedule {
            events: self.collect.iter().map(|collection| collection.0).collect(),
            seed: self.collect_seed.map(u64::from),
        }
    }
}

/// One step of the script.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What to do.
    pub action: Action,
    /// What must come of it.
    pub expect: Expect,
    /// Line in the source file, 0 if none.
    pub line: u32,
}

/// A module's source.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Encoded bytes.
    Binary(Vec<u8>),
    /// Text that the `wast` parser rejected (only under `assert_malformed`/`assert_invalid` of quoted text): no subject
    /// ever sees it. It stands here escaped, as between the quotes of `(module quote "…")`: it need not be UTF-8.
    RejectedText(String),
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Decode, validate, instantiate; the instance becomes the current one.
    Module {
        /// `$name` without the dollar.
        name: Option<String>,
        /// The module.
        source: Source,
    },
    /// `module definition`: decode and validate, keep for `Instantiate`.
    Define {
        /// `$name`.
        name: Option<String>,
        /// The module.
        source: Source,
    },
    /// `module instance`.
    Instantiate {
        /// Name of the instance.
        name: Option<String>,
        /// Name of the definition; none = the latest.
        definition: Option<String>,
    },
    /// Decode and validate only (`assert_malformed`, `assert_invalid`).
    Check {
        /// The module.
        source: Source,
    },
    /// Instantiate without becoming current (`assert_unlinkable`, `assert_trap (module …)`).
    Link {
        /// The module.
        source: Source,
    },
    /// Makes an instance importable.
    Register {
        /// Import module name.
        as_name: String,
        /// The instance; none = the current one.
        module: Option<String>,
    },
    /// Calls an export.
    Invoke {
        /// The instance; none = the current one.
        module: Option<String>,
        /// Export name.
        field: String,
        /// Arguments; references are null, host tokens or i31.
        args: Vec<Value>,
    },
    /// Reads an exported global.
    Get {
        /// The instance; none = the current one.
        module: Option<String>,
        /// Export name.
        field: String,
    },
    /// Forces a full collection between steps.
    Collect,
}

/// What must come of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Expect {
    /// Anything (recorded and compared across subjects only).
    Any,
    /// It succeeds (a module directive, an action without assertion).
    Success,
    /// It returns values that match.
    Return(Vec<Pattern>),
    /// It traps. The text is the script's.
    Trap(TrapKind),
    /// It exhausts a resource (`assert_exhaustion`).
    Exhaustion(Resource),
    /// It throws (`assert_exception`).
    Exception,
    /// The module is refused at this stage.
    Reject(RejectStage),
}

/// A result pattern.
#[derive(Clone, Debug, PartialEq)]
pub enum Pattern {
    /// Exactly this value (bits for floats).
    Value(Value),
    /// A canonical NaN, 32 bits.
    F32CanonicalNan,
    /// An arithmetic NaN, 32 bits.
    F32ArithmeticNan,
    /// A canonical NaN, 64 bits.
    F64CanonicalNan,
    /// An arithmetic NaN, 64 bits.
    F64ArithmeticNan,
    /// A v128 by lanes of patterns (`I8x16` … as their i32/i64 values).
    V128(Vec<Pattern>, LaneShape),
    /// Any null reference (`ref.null` of whatever type).
    RefNull,
    /// Non-null reference of this kind (`ref.struct`, `ref.func`, `ref.extern` without payload …).
    Ref(RefPattern),
    /// One of several (`either`).
    Either(Vec<Pattern>),
}

/// Lanes of a [`Pattern::V128`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum LaneShape {
    I8x16,
    I16x8,
    I32x4,
    I64x2,
    F32x4,
    F64x2,
}

/// Kinds of references in results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum RefPattern {
    Any,
    Eq,
    I31,
    Struct,
    Array,
    Func,
    Extern,
    Exn,
    Host(u64),
}
