//! Exceptions with references in their payloads: functions that throw, and statements that catch what they threw.
//!
//! Between throw and handler lie frames of wasm and, where the host calls the thrower, of the host; while the handler
//! waits its frame's references are live, and the payload is held by the exception alone. A caught exception is thrown
//! on at times, after a collection while only its reference is held.

use wasm_encoder::{AbstractHeapType as Abstract, BlockType, Catch, RefType, StorageType, ValType};

use super::Generator;
use super::program::CALL;
use super::types::{ANYREF, EXNREF, heap, non_null};

/// The only tag.
const TAG: u32 = 0;

const NON_NULL_EXN: RefType = non_null(heap(Abstract::Exn));

impl Generator<'_, '_> {
    /// Chooses what exceptions hold.
    pub(super) fn payload_types(&mut self) {
        let mut payload = vec![ValType::Ref(ANYREF)];
        for _ in 0..self.c.below(3) {
            payload.push(self.c.pick(&[ValType::I32, ValType::I64, ValType::Ref(ANYREF), ValType::F64]));
        }
        self.p.payload = payload;
    }

    /// Defines the functions `() -> ()` that throw.
    pub(super) fn throwers(&mut self) {
        if !self.c.within.exceptions {
            return;
        }
        let payload = self.p.payload.clone();
        let direct = self.p.declare(&[], &[]);
        self.define(direct, 50, |g| {
            for ty in &payload {
                g.value(*ty, 2);
                g.maybe_hold();
            }
            g.f.op().throw(TAG);
        });
        let through = self.p.declare(&[], &[]);
        self.define(through, usize::MAX, |g| {
            let ty = g.c.pick(&g.p.types.structs);
            g.construct(ty, 1);
            let host = g.c.chance(1, 2);
            g.call_thrower(direct, host);
            // Not reached, and the object was under the call.
            g.f.op().drop();
        });
        self.p.throwers = vec![direct, through];
        self.p.table_functions.extend([direct, through]);
    }

    fn call_thrower(&mut self, thrower: u32, host: bool) {
        if host {
            self.f.op().ref_func(thrower).call(CALL);
        } else {
            self.f.op().call(thrower);
        }
        let cost = self.p.function(thrower).cost;
        self.f.spend(cost);
    }

    /// Catches what a thrower throws and sums it up.
    pub(super) fn catch(&mut self) {
        if self.p.throwers.is_empty() {
            return;
        }
        let payload = self.p.payload.clone();
        let thrower = self.c.pick(&self.p.throwers);
        let (host, again) = (self.c.chance(1, 2), self.c.chance(1, 2));
        if again {
            self.caught(thrower, host);
            self.hold();
            self.thrown_on();
        } else {
            let results = BlockType::FunctionType(self.p.types.function(&[], &payload));
            self.block(results);
            self.try_(Catch::One { tag: TAG, label: 0 });
            self.maybe_hold();
            self.call_thrower(thrower, host);
            self.end();
            self.f.op().unreachable();
            self.end();
        }
        for ty in payload.into_iter().rev() {
            self.consume(ty);
            self.fold();
        }
    }

    /// A reference to an exception: one that a local or global holds, or one that is thrown and caught for the purpose.
    pub(super) fn exception_reference(&mut self, want: RefType, depth: usize) {
        if want.heap_type != heap(Abstract::Exn) {
            return self.null(want);
        }
        if let (Some((local, have)), true) = (self.related_local(want, false), self.c.chance(1, 4)) {
            return self.converted(have, want, |g| {
                g.f.op().local_get(local);
            });
        }
        let globals: Vec<u32> = (0..self.p.globals.len() as u32)
            .filter(|global| self.p.globals[*global as usize].ty == ValType::Ref(EXNREF))
            .collect();
        if depth == 0 || self.p.throwers.is_empty() {
            return self.leaf(want);
        }
        match globals.first() {
            Some(&global) if want.nullable && self.c.chance(1, 3) => {
                if self.c.chance(1, 2) {
                    let thrower = self.c.pick(&self.p.throwers);
                    self.caught(thrower, false);
                    self.f.op().global_set(global);
                    self.hold();
                }
                self.f.op().global_get(global);
            }
            _ => {
                let thrower = self.c.pick(&self.p.throwers);
                let host = self.c.chance(1, 3);
                self.caught(thrower, host);
            }
        }
    }

    /// Leaves a reference to what the thrower throws, by one of the clauses that give one.
    fn caught(&mut self, thrower: u32, host: bool) {
        if self.c.chance(1, 2) {
            self.block(BlockType::Result(ValType::Ref(NON_NULL_EXN)));
            self.try_(Catch::AllRef { label: 0 });
            self.call_thrower(thrower, host);
            self.end();
            self.f.op().unreachable();
            self.end();
            return;
        }
        let mut results = self.p.payload.clone();
        results.push(ValType::Ref(NON_NULL_EXN));
        let ty = BlockType::FunctionType(self.p.types.function(&[], &results));
        let held = self.f.scratch(ValType::Ref(EXNREF));
        self.block(ty);
        self.try_(Catch::OneRef { tag: TAG, label: 0 });
        self.call_thrower(thrower, host);
        self.end();
        self.f.op().unreachable();
        self.end();
        self.f.op().local_set(held);
        for _ in 1..results.len() {
            self.f.op().drop();
        }
        self.f.op().local_get(held).ref_as_non_null();
    }

    /// Takes an exception, throws it on and leaves its payload.
    fn thrown_on(&mut self) {
        let payload = self.p.payload.clone();
        let held = self.f.scratch(ValType::Ref(EXNREF));
        self.f.op().local_set(held);
        let results = BlockType::FunctionType(self.p.types.function(&[], &payload));
        self.block(results);
        self.try_(Catch::One { tag: TAG, label: 0 });
        self.f.op().local_get(held);
        self.same_reference(EXNREF);
        self.same_reference(EXNREF);
        self.f.op().throw_ref();
        self.dead_code();
        self.end();
        self.f.op().unreachable();
        self.end();
    }

    /// `(exnref) -> i64`: null, or a walk over the payload, or another exception.
    pub(super) fn unthrow(&mut self) {
        let payload = self.p.payload.clone();
        self.f.op().local_get(0).ref_is_null();
        self.if_(BlockType::Result(ValType::I64));
        self.f.op().i64_const(-11);
        self.else_();
        self.block(BlockType::Empty);
        let results = BlockType::FunctionType(self.p.types.function(&[], &payload));
        self.block(results);
        self.f.op().try_table(BlockType::Empty, [Catch::One { tag: TAG, label: 0 }, Catch::All { label: 1 }]);
        self.f.depth += 1;
        self.f.op().local_get(0).throw_ref();
        self.dead_code();
        self.end();
        self.f.op().unreachable();
        self.end();
        let sum = self.f.scratch(ValType::I64);
        for ty in payload.into_iter().rev() {
            self.as_i64(StorageType::Val(ty));
            self.f.op().local_get(sum).i64_const(3).i64_mul().i64_add().local_set(sum);
        }
        self.f.op().local_get(sum).return_();
        self.end();
        self.f.op().i64_const(-12);
        self.end();
    }

    fn try_(&mut self, catch: Catch) {
        self.f.op().try_table(BlockType::Empty, [catch]);
        self.f.depth += 1;
    }
}
