//! Entry functions: objects that live in locals, statements over them, and what is left of both.

use wasm_encoder::{AbstractHeapType as Abstract, HeapType, RefType, ValType};

use super::Generator;
use super::body::Cost;
use super::program::{Entry, GC, LOG_I64};
use super::references::{HELD, Producer};
use super::types::{ANYREF, EXTERNREF, heap, non_null, nullable};
use crate::generate::input::{STATEMENTS, Section};

/// Code bytes of all entry functions together, about, of a large program and of a small one.
const ENTRIES_LIMIT: usize = 560;
const SMALL_ENTRIES_LIMIT: usize = 64;
/// Statements of an entry function, at least: its anchors alone can be as long as it should be.
const LEAST_STATEMENTS: usize = 2;
/// Room for each of those, in bytes of code, before only leaves are emitted.
const STATEMENT_ROOM: usize = 40;
/// Estimated bytes of code that a call of an entry function executes, at most.
pub(super) const WORK_LIMIT: usize = 60_000;

impl Generator<'_, '_> {
    /// Defines the entry functions.
    pub(super) fn entries(&mut self) {
        let node = nullable(HeapType::Concrete(self.p.types.node));
        let (limit, count) = if self.small {
            (SMALL_ENTRIES_LIMIT, self.c.weighted(&[(4, 1), (1, 2)]))
        } else {
            (ENTRIES_LIMIT, self.c.range(1, 3))
        };
        for index in 0..count {
            self.c.enter(Section::Entry(index));
            // The first is what tangles are made of.
            let mut params = vec![ValType::I32];
            for _ in 0..self.c.below(3) {
                params.push(self.c.pick(&[
                    ValType::I32,
                    ValType::I64,
                    ValType::F64,
                    ValType::Ref(ANYREF),
                    ValType::Ref(EXTERNREF),
                    ValType::F32,
                ]));
            }
            let mut results = vec![ValType::I64];
            if self.small {
                // What only the frame holds is seen whole here: the anchor, and what was held alone.
                let node = HeapType::Concrete(self.p.types.node);
                results.extend([ValType::Ref(non_null(node)), ValType::Ref(ANYREF)]);
            }
            for _ in 0..self.c.below(if self.small { 2 } else { 3 }) {
                let object = non_null(HeapType::Concrete(self.c.pick(&self.p.types.structs)));
                results.push(self.c.pick(&[
                    ValType::Ref(ANYREF),
                    ValType::Ref(node),
                    ValType::Ref(object),
                    ValType::Ref(EXTERNREF),
                    ValType::F64,
                    ValType::I32,
                ]));
            }
            let function = self.p.declare(&params, &results);
            self.define(function, limit / count, |g| g.entry(index, &results));
            self.p.entries.push(Entry { name: format!("f{index}"), function });
        }
        self.c.enter(Section::Script);
    }

    /// The body of entry function `index`.
    fn entry(&mut self, index: usize, results: &[ValType]) {
        self.sum = self.f.scratch(ValType::I64);
        let types = &self.p.types;
        let mut anchors = vec![types.node];
        if !self.small {
            anchors.push(types.any_array);
        }
        anchors.push(if self.c.chance(3, 4) {
            self.c.pick(&self.p.types.structs)
        } else {
            self.c.pick(&self.p.types.arrays)
        });
        let anchors: Vec<(u32, RefType)> = anchors
            .into_iter()
            .map(|ty| {
                let ty = non_null(HeapType::Concrete(ty));
                (self.f.local(ValType::Ref(ty)), ty)
            })
            .collect();
        for (local, ty) in anchors {
            let producer = self.c.pick(&[Producer::Maker, Producer::Construct]);
            self.produce(producer, ty, 2);
            self.f.set(local);
        }
        for ty in [nullable(heap(Abstract::Eq)), ANYREF] {
            self.f.local(ValType::Ref(ty));
        }
        if self.c.chance(1, 2) {
            // What hangs on the first anchor is seen whole in the end.
            let anchor = self.f.params as u32 + 1;
            self.f.op().local_get(anchor);
            self.tangle();
            self.f.op().struct_set(self.p.types.node, self.p.types.next);
        } else {
            self.knot();
        }
        let mut count = 0;
        let mut alone = None;
        while count < STATEMENTS
            && (count < LEAST_STATEMENTS || self.f.room())
            && self.f.cost().work < WORK_LIMIT
        {
            if count < LEAST_STATEMENTS {
                self.f.limit = self.f.limit.max(self.f.code.len() + STATEMENT_ROOM);
            }
            self.c.enter(Section::Statement(index, count));
            // Turns that are said anew, so that a statement means the same behind others.
            self.held = self.c.below(HELD.len() + 2);
            if self.small && count == 0 {
                alone = Some(self.held_alone());
            } else if self.small && count == 1 && !self.p.hops.is_empty() && self.c.chance(1, 2) {
                // Few statements would seldom be of the kind.
                self.tail();
            } else if self.c.chance(1, 2) {
                self.held();
            } else {
                self.statement(2);
            }
            count += 1;
        }
        self.c.enter(Section::Entry(index));
        if self.c.chance(1, 12) {
            self.f.op().local_get(self.sum);
            self.f.op().call(LOG_I64);
            self.trap();
        }
        // An exception that reaches the host.
        if self.options.catch > 0 && !self.p.throwers.is_empty() && self.c.chance(1, 6) {
            let thrower = self.c.pick(&self.p.throwers);
            self.call(thrower);
        }
        // The comparison of the case ends there, so seldom.
        if self.fibers && self.c.chance(1, 20) {
            self.f.op().i32_const(0).call(self.p.deep).drop();
        }
        // What the anchors reach has survived whatever was collected since.
        let anchor = self.f.params as u32 + 1;
        self.f.op().local_get(anchor);
        let ValType::Ref(ty) = self.f.locals[anchor as usize].ty else { return };
        self.consume(ValType::Ref(ty));
        self.fold();
        self.f.op().local_get(self.sum);
        let mut results = &results[1..];
        if let Some(alone) = alone {
            self.f.op().local_get(anchor).local_get(alone);
            results = &results[2..];
        }
        for &result in results {
            match result {
                ValType::Ref(want) if self.p.types.heap_subtype(want.heap_type, heap(Abstract::Any)) => {
                    self.produce(Producer::Local, want, 2);
                }
                ty => self.value(ty, 2),
            }
        }
    }

    /// A new object that nothing but the frame holds during a full collection, and a reading of it. A small program has few statements, and
    /// without this one some would not have that at all. Gives the local that holds it afterwards.
    fn held_alone(&mut self) -> u32 {
        let known: Vec<u32> = self.p.types.structs.iter().chain(&self.p.types.arrays).copied().collect();
        let ty = self.c.pick(&known);
        let want = non_null(HeapType::Concrete(ty));
        let producer = self.c.pick(&[Producer::Maker, Producer::Construct]);
        self.produce(producer, want, 2);
        if self.fibers && self.c.chance(1, 2) {
            self.call(self.p.pause);
        }
        if self.c.chance(1, 2) {
            self.call(self.p.churn);
        } else {
            self.f.op().call(GC);
            self.f.spend(Cost { work: 10, collections: 1 });
        }
        let local = self.f.local(ValType::Ref(want));
        self.f.set(local);
        self.f.op().local_get(local);
        self.a_number(ty);
        self.fold();
        local
    }
}
