//! Exceptions with references in their payloads: functions that throw, and statements that catch what they threw.
//!
//! Between throw and handler lie frames of wasm and, where the host calls the thrower, of the host; while the handler
//! waits its frame's references are live, and the payload is held by the exception alone. A caught exception is thrown
//! on at times, after a collection while only its reference is held.

use wasm_encoder::{BlockType, Catch, ValType};

use super::Generator;
use super::program::CALL;
use super::types::{ANYREF, EXNREF};

/// The only tag.
const TAG: u32 = 0;

impl Generator<'_, '_> {
    /// Defines the tag and the functions `() -> ()` that throw it.
    pub(super) fn throwers(&mut self) {
        let mut payload = vec![ValType::Ref(ANYREF)];
        for _ in 0..self.c.below(3) {
            payload.push(self.c.pick(&[ValType::I32, ValType::I64, ValType::Ref(ANYREF), ValType::F64]));
        }
        self.p.payload.clone_from(&payload);
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
        let payload = self.p.payload.clone();
        let thrower = self.c.pick(&self.p.throwers);
        let (host, again) = (self.c.chance(1, 2), self.c.chance(1, 2));
        if again {
            self.catch_and_throw_on(thrower, host);
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

    /// Leaves the payload of an exception that was caught by reference, held while others go first, and thrown on.
    fn catch_and_throw_on(&mut self, thrower: u32, host: bool) {
        let payload = self.p.payload.clone();
        let held = self.f.scratch(ValType::Ref(EXNREF));
        self.block(BlockType::Result(ValType::Ref(EXNREF)));
        self.try_(Catch::AllRef { label: 0 });
        self.call_thrower(thrower, host);
        self.end();
        self.f.op().unreachable();
        self.end();
        self.f.op().local_set(held);
        self.hold();
        let results = BlockType::FunctionType(self.p.types.function(&[], &payload));
        self.block(results);
        self.try_(Catch::One { tag: TAG, label: 0 });
        self.f.op().local_get(held).throw_ref();
        self.end();
        self.f.op().unreachable();
        self.end();
    }

    fn try_(&mut self, catch: Catch) {
        self.f.op().try_table(BlockType::Empty, [catch]);
        self.f.depth += 1;
    }
}
