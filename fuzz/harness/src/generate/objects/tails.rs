//! Tail calls: two functions that replace themselves and each other, as often as their argument says, with a list that grows.
//!
//! While a call replaces a frame, its arguments are all that holds the list; a collector that sees the old frame, or the new one
//! with the old one's map, loses it. There are more arguments than registers now and then, and the two functions have
//! different numbers of them, so that frames of different sizes take each other's place.

use wasm_encoder::{BlockType, HeapType, StorageType, ValType};

use super::Generator;
use super::body::Cost;
use super::program::FUNCTIONS;
use super::types::{ANYREF, nullable};

/// Rounds of one call, at most.
const ROUNDS: usize = 24;

/// Parameters before the further ones: rounds left, and the list.
const LEFT: u32 = 0;
const LIST: u32 = 1;

/// A function of the two.
#[derive(Clone)]
pub(super) struct Hop {
    pub(super) function: u32,
    params: Vec<ValType>,
}

impl Generator<'_, '_> {
    /// Defines the two functions, in some of the cases.
    pub(super) fn tails(&mut self) {
        if !self.c.chance(1, 3) || !self.c.within.tail_calls {
            return;
        }
        let list = ValType::Ref(nullable(HeapType::Concrete(self.p.types.node)));
        let mut hops = Vec::new();
        for most in [3, 14] {
            let mut params = vec![ValType::I32, list];
            for _ in 0..self.c.below(most) {
                params.push(self.c.pick(&[
                    ValType::Ref(ANYREF),
                    ValType::I64,
                    list,
                    ValType::F64,
                    if self.c.within.simd { ValType::V128 } else { ValType::I32 },
                ]));
            }
            let function = self.p.declare(&params, &[ValType::I64]);
            hops.push(Hop { function, params });
        }
        // Before they are defined: a call through the table needs the slot.
        self.p.table_functions.extend(hops.iter().map(|hop| hop.function));
        for (at, hop) in hops.iter().enumerate() {
            let next = hops[if self.c.chance(1, 3) { at } else { 1 - at }].clone();
            self.define(hop.function, 120, |g| g.hop(&hop.params, &next));
        }
        for hop in &hops {
            let walk = self.p.function(self.p.walk).cost.work;
            self.p.function_mut(hop.function).cost = Cost { work: 60 * ROUNDS + walk, collections: 2 };
        }
        self.p.hops = hops;
    }

    /// At the end of the rounds a checksum of the arguments, else the next one with a cell more.
    fn hop(&mut self, params: &[ValType], next: &Hop) {
        let round = self.c.chance(1, 2);
        self.f.op().local_get(LEFT).i32_eqz();
        self.if_(BlockType::Empty);
        self.f.op().local_get(LIST).call(self.p.sum_list);
        for (at, &ty) in params.iter().enumerate().skip(LIST as usize + 1) {
            self.f.op().local_get(at as u32);
            self.as_i64(StorageType::Val(ty));
            self.f.op().i64_xor().i64_const(5).i64_mul();
        }
        self.f.op().return_();
        self.end();
        self.f.op().local_get(LEFT).i32_const(1).i32_sub();
        self.cell();
        if round {
            self.f.op().call(self.p.pulse);
        }
        let mut used = vec![false; params.len()];
        for &ty in &next.params[LIST as usize + 1..] {
            let own = (LIST as usize + 1..params.len()).find(|&at| params[at] == ty && !used[at]);
            match own {
                Some(at) if self.c.chance(3, 4) => {
                    used[at] = true;
                    self.f.op().local_get(at as u32);
                }
                _ => self.value(ty, 1),
            }
        }
        self.tail_call(next.function);
    }

    /// A node before the list.
    fn cell(&mut self) {
        let (node, next, key) = (self.p.types.node, self.p.types.next, self.p.types.key);
        for (field, def) in self.p.types.fields(node).to_vec().into_iter().enumerate() {
            match (field as u32, def.element_type.unpack()) {
                (at, _) if at == next => {
                    self.f.op().local_get(LIST);
                }
                (at, _) if at == key => {
                    self.f.op().local_get(LEFT);
                }
                (_, ValType::Ref(want)) => self.leaf(want),
                (_, ty) => self.numeric(ty, 0),
            }
        }
        self.f.op().struct_new(node);
    }

    /// One of the three instructions.
    fn tail_call(&mut self, function: u32) {
        let ty = self.p.function(function).ty;
        let slot = self.p.table_functions.iter().position(|known| *known == function);
        let by = self.c.below(3);
        if slot.is_some() && by == 0 {
            self.f.by_slot.push(function);
        }
        match (slot, by) {
            (Some(slot), 0) => {
                self.known(slot as i32);
                self.f.op().return_call_indirect(FUNCTIONS, ty);
            }
            (Some(slot), 1) => {
                self.function_value(function, slot);
                self.f.op().return_call_ref(ty);
            }
            _ => {
                self.f.op().return_call(function);
            }
        }
        self.dead_code();
    }

    /// A call of one of the two, summed up.
    pub(super) fn tail(&mut self) {
        let hop = self.p.hops[self.c.below(self.p.hops.len())].clone();
        let rounds = self.c.range(1, ROUNDS) as i32;
        self.f.op().i32_const(rounds);
        for &ty in &hop.params[LIST as usize..] {
            self.value(ty, 1);
            self.maybe_hold();
        }
        self.call_somehow(hop.function);
        self.fold();
    }
}
