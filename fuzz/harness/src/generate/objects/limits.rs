//! Heap limits, in a few of the cases: one that suffices for the program, and at times one step that it cannot suffice for.
//!
//! A program that builds moderate graphs and collects all the time is not short of memory, so such a case gets a function
//! `fill` for the purpose, which makes a chain of arrays, each held by the next and by nothing else, and lets go of the
//! whole chain every so many rounds. Called with short chains it makes [`TURNOVER`] times the limit of garbage: a heap
//! that loses memory, or that grows where it should collect, does not get by. Called with one chain that is longer
//! than the limit it must run out of memory, on every collector; its frame alone holds the chain, so that what comes
//! after it in the script must find the heap as if nothing had been.
//!
//! The limit follows from the bytes that the reference reaches in the case (`crate::limits`). Those runs come before the
//! case is on disk; they take no more fuel and memory than an examination, a panic ends no more than the run, and without
//! a clean end there is no limit.

use wasm_encoder::{BlockType, HeapType, ValType};

use super::Generator;
use super::program::{Entry, LOG_I32};
use super::script::step;
use super::types::nullable;
use crate::case::{Action, Case, Expect, Step};
use crate::limits;
use crate::observe::{Resource, Value};

/// One case in so many is limited.
const ODDS: usize = 6;

/// Garbage of one call, as a multiple of the limit, about.
const TURNOVER: u64 = 4;

/// Arrays of a short chain.
const CHAIN: u64 = 2;

/// Bytes of an array before its elements, which take 4 each.
const HEADER: u64 = 12;

/// The name of the function.
const NAME: &str = "fill";

/// What was chosen for a limited case.
pub(super) struct Limits {
    /// Arrays of the call that gets by with the limit, and the index of the step that it comes before.
    turnover: (u64, usize),
    /// Arrays of the call that does not, and likewise.
    exhaustion: Option<(u64, usize)>,
}

impl Generator<'_, '_> {
    /// Limits for a script of `calls` steps after the module, and the function for them.
    pub(super) fn limits(&mut self, calls: usize) -> Option<Limits> {
        if !self.c.chance(1, ODDS) {
            return None;
        }
        let function = self.p.declare(&[ValType::I32; 3], &[ValType::I32]);
        let cyclic = self.c.chance(1, 2);
        self.define(function, usize::MAX, |g| g.fill(cyclic));
        self.p.entries.push(Entry { name: NAME.to_owned(), function });
        let turnover = (self.c.range(100, 300) as u64, 1 + self.c.below(calls + 1));
        let exhaustion = self.c.chance(2, 3).then(|| {
            // One array that is larger than the heap, a few, or many.
            let arrays = match self.c.below(8) {
                0 => 1,
                1..4 => self.c.range(2, 10),
                _ => self.c.range(20, 200),
            };
            // Something comes after it.
            (arrays as u64, 1 + self.c.below(calls))
        });
        Some(Limits { turnover, exhaustion })
    }

    /// `(rounds, chain, len) -> i32`: makes `rounds` arrays of `len` elements, at least 2, each of which holds the one
    /// before (and itself, if `cyclic`), and lets go of them when the rounds left are a multiple of `chain`. It calls the
    /// host then, so that the reference can say what is reachable.
    fn fill(&mut self, cyclic: bool) {
        let any_array = self.p.types.any_array;
        let array = ValType::Ref(nullable(HeapType::Concrete(any_array)));
        let [head, fresh] = [array; 2].map(|ty| self.f.scratch(ty));
        let (rounds, chain, len) = (0, 1, 2);
        self.loop_(BlockType::Empty);
        self.f.op().local_get(len).array_new_default(any_array).local_tee(fresh);
        self.f.op().i32_const(0).local_get(head).array_set(any_array);
        if cyclic {
            self.f.op().local_get(fresh).i32_const(1).local_get(fresh).array_set(any_array);
        }
        self.f.op().local_get(fresh).local_set(head);
        self.f.op().local_get(rounds).local_get(chain).i32_rem_u().i32_eqz();
        self.if_(BlockType::Empty);
        self.f.op().ref_null(HeapType::Concrete(any_array)).local_set(head);
        self.f.op().local_get(rounds).call(LOG_I32);
        self.end();
        self.f.op().local_get(rounds).i32_const(1).i32_sub().local_tee(rounds).br_if(0);
        self.end();
        self.f.op().local_get(head).ref_is_null();
    }
}

impl Limits {
    /// Gives the case its limit, and the steps that go with it. As it is if the reference does not come to a clean end, or
    /// if the limit would be too large to be reached soon.
    pub(super) fn impose(self, case: Case) -> Case {
        self.imposed(&case).unwrap_or(case)
    }

    fn imposed(self, case: &Case) -> Option<Case> {
        let most = limits::most_reachable(case)?;
        let (rounds, before) = self.turnover;
        // Arrays large enough that all of them are the garbage wanted of a limit that has room for those of two chains.
        let mut len = 2;
        while rounds * bytes(len) < TURNOVER * limits::enough(most + 2 * CHAIN * bytes(len)) {
            len += len.div_ceil(8);
        }
        let mut limited = case.clone();
        limited.steps.insert(before.min(case.steps.len()), fill(rounds, CHAIN, len, Expect::Any));
        let limit = limits::enough(limits::most_reachable(&limited)?);
        if limit > limits::MOST {
            return None;
        }
        limited.schedule.gc_heap_max = Some(limit);
        if let Some((arrays, before)) = self.exhaustion {
            let len = (limit / arrays).div_ceil(4).max(2);
            let call = fill(arrays + 1, u64::from(u16::MAX), len, Expect::Exhaustion(Resource::GcHeap));
            limited.steps.insert(before, call);
        }
        Some(limited)
    }
}

/// Bytes of an array of `len` references.
fn bytes(len: u64) -> u64 {
    (HEADER + 4 * len).next_multiple_of(8)
}

/// A call of the function.
fn fill(rounds: u64, chain: u64, len: u64, expect: Expect) -> Step {
    let args = [rounds, chain, len].map(|n| Value::I32(i32::try_from(n).unwrap_or(i32::MAX))).to_vec();
    Step { expect, ..step(Action::Invoke { module: None, field: NAME.to_owned(), args }) }
}
