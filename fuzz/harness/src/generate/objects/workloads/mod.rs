//! Workloads: loops that do to the heap what collectors get wrong, each a function `() -> i64` that is exported under its
//! kind's name and that entry functions call.
//!
//! Statements of entry functions are many and run a few times; a workload is little code that runs often, since the
//! hazards here need age, numbers or repetition. Each reads back what it wrote, with a [`peek`](Program::peek) that does
//! not follow references, so that a long loop stays cheap, and leaves a bounded set of objects alive.
//!
//! One kind is one file, one variant of [`Workload`], one line of [`WORKLOADS`] and one arm of `workload`.

use wasm_encoder::{AbstractHeapType, BlockType, HeapType, RefType, ValType};

use super::Generator;
use super::program::{Entry, GC, Global, Table};
use super::types::{ANYREF, heap, non_null, nullable};

mod cycles;
mod large;
mod moves;
mod old_to_young;
mod sizes;
mod tables;
mod unlinking;

/// Kinds of workloads.
#[derive(Clone, Copy, PartialEq)]
enum Workload {
    OldToYoung,
    Large,
    Tables,
    Cycles,
    Sizes,
    Moves,
    Unlinking,
}

/// Every kind by its weight, and the name under which it is exported.
const WORKLOADS: &[(usize, (Workload, &str))] = &[
    (4, (Workload::OldToYoung, "old_to_young")),
    (3, (Workload::Large, "large")),
    (3, (Workload::Tables, "tables")),
    (4, (Workload::Cycles, "cycles")),
    (3, (Workload::Sizes, "sizes")),
    (4, (Workload::Moves, "moves")),
    (3, (Workload::Unlinking, "unlinking")),
];

/// One workload in so many is heavy: about [`HEAVY`] times as many rounds.
const HEAVY_ODDS: usize = 24;
const HEAVY: usize = 24;

/// The key of garbage.
const SENTINEL: i32 = 0x5a5a_a5a5;

/// Where the old objects of a workload hang.
#[derive(Clone, Copy)]
enum Root {
    Global(u32),
    Table(u32),
    Local,
}

/// Locals of the old objects of a workload.
#[derive(Clone, Copy)]
struct Old {
    /// An array of anyref, not null; its element 0 is `owner` and stays it.
    shelf: u32,
    /// Its length, at least 4.
    len: u32,
    /// A node, not null.
    owner: u32,
}

impl Generator<'_, '_> {
    /// Defines the workloads of the program: one or two kinds, few of a small one.
    pub(super) fn workloads(&mut self) {
        self.define_peek();
        self.define_ring();
        self.define_tangle();
        let mut chosen: Vec<Workload> = Vec::new();
        let count = self.c.weighted(if self.small { &[(5, 0), (2, 1)] } else { &[(4, 1), (3, 2)] });
        for _ in 0..count {
            let (kind, name) = self.c.weighted(WORKLOADS);
            if chosen.contains(&kind) {
                continue;
            }
            chosen.push(kind);
            let heavy = self.c.chance(1, HEAVY_ODDS);
            let function = self.p.declare(&[], &[ValType::I64]);
            self.define(function, usize::MAX, |g| {
                g.sum = g.f.scratch(ValType::I64);
                g.workload(kind, if heavy { HEAVY } else { 1 });
                g.f.op().local_get(g.sum);
            });
            // Estimates of single collections say little here; an entry function has room for one workload or two.
            self.p.function_mut(function).cost.collections = 4;
            self.p.entries.push(Entry { name: name.to_owned(), function });
            if !heavy {
                self.p.workloads.push(function);
            }
        }
    }

    fn workload(&mut self, kind: Workload, scale: usize) {
        match kind {
            Workload::OldToYoung => self.old_to_young(scale),
            Workload::Large => self.large(scale),
            Workload::Tables => self.tables(scale),
            Workload::Cycles => self.cycles(scale),
            Workload::Sizes => self.sizes(scale),
            Workload::Moves => self.moves(scale),
            Workload::Unlinking => self.unlinking(scale),
        }
    }

    /// `(anyref) -> i64`: the key of a node, the value of an i31, the length of an array, else whether it is null.
    fn define_peek(&mut self) {
        self.p.peek = self.p.declare(&[ValType::Ref(ANYREF)], &[ValType::I64]);
        let (node, key) = (self.p.types.node, self.p.types.key);
        self.define(self.p.peek, usize::MAX, |g| {
            let array = heap(AbstractHeapType::Array);
            for target in [HeapType::Concrete(node), HeapType::I31, array] {
                g.block(BlockType::Result(ValType::Ref(ANYREF)));
                g.f.op().local_get(0).br_on_cast_fail(0, ANYREF, non_null(target));
                match target {
                    HeapType::Concrete(_) => g.f.op().struct_get(node, key),
                    HeapType::I31 => g.f.op().i31_get_s(),
                    _ => g.f.op().array_len(),
                };
                g.f.op().i64_extend_i32_s().return_();
                g.end();
                g.f.op().drop();
            }
            g.f.op().local_get(0).ref_is_null().i64_extend_i32_u();
        });
    }

    /// `(i32) -> (ref null $node)`: a ring of so many nodes, at least 1; the last one's `next` is the first.
    fn define_ring(&mut self) {
        let (node, next) = (self.p.types.node, self.p.types.next);
        let list = ValType::Ref(nullable(HeapType::Concrete(node)));
        self.p.ring = self.p.declare(&[ValType::I32], &[list]);
        self.define(self.p.ring, usize::MAX, |g| {
            let [head, last] = [list; 2].map(|ty| g.f.scratch(ty));
            g.node(None, Some(0), None);
            g.f.op().local_tee(head).local_set(last);
            g.block(BlockType::Empty);
            g.loop_(BlockType::Empty);
            g.f.op().local_get(0).i32_const(1).i32_le_s().br_if(1);
            g.node(Some(head), Some(0), None);
            g.f.op().local_set(head);
            g.f.op().local_get(0).i32_const(1).i32_sub().local_set(0).br(0);
            g.end();
            g.end();
            g.f.op().local_get(last).local_get(head).struct_set(node, next);
            g.f.op().local_get(head);
        });
    }

    /// A loop of so many rounds; `emit` gets the local that counts them down to 1.
    pub(super) fn rounds(&mut self, rounds: usize, emit: impl FnOnce(&mut Self, u32)) {
        let counter = self.f.scratch(ValType::I32);
        self.f.op().i32_const(rounds as i32).local_set(counter);
        let start = self.f.begin_repeat(rounds);
        self.loop_(BlockType::Empty);
        emit(self, counter);
        self.f.op().local_get(counter).i32_const(1).i32_sub().local_tee(counter).br_if(0);
        self.end();
        self.f.end_repeat(start, rounds);
    }

    /// A collection in a few of the `rounds` rounds that `counter` counts.
    fn pace(&mut self, counter: u32, rounds: usize) {
        let every = (rounds / self.c.range(1, 4)).max(1);
        self.every(counter, every, |g| {
            let function = g.c.weighted(&[(3, GC), (2, g.p.churn)]);
            g.f.op().call(function);
        });
    }

    /// In one of `every` rounds.
    fn every(&mut self, counter: u32, every: usize, emit: impl FnOnce(&mut Self)) {
        self.f.op().local_get(counter).i32_const(every as i32).i32_rem_u().i32_eqz();
        self.if_(BlockType::Empty);
        emit(self);
        self.end();
    }

    /// Leaves an i32 from `low` to `high - 1` that depends on the counter.
    fn spread(&mut self, counter: u32, low: u32, high: u32) {
        let factor = self.c.pick(&[1, 1, 3, 7]);
        self.f.op().local_get(counter);
        if factor != 1 {
            self.f.op().i32_const(factor).i32_mul();
        }
        self.f.op().i32_const((high - low) as i32).i32_rem_u();
        if low != 0 {
            self.f.op().i32_const(low as i32).i32_add();
        }
    }

    /// Makes a node of these locals: its next, its key (else the sentinel) and its payload (else null). References of
    /// other fields are null where they may be.
    pub(super) fn node(&mut self, next: Option<u32>, key: Option<u32>, payload: Option<u32>) {
        let node = self.p.types.node;
        let (next_field, key_field, payload_field) = (self.p.types.next, self.p.types.key, self.payload());
        for (field, def) in self.p.types.fields(node).to_vec().into_iter().enumerate() {
            let given = match field as u32 {
                at if at == next_field => next,
                at if at == key_field => key,
                at if at == payload_field => payload,
                _ => None,
            };
            match (given, def.element_type.unpack()) {
                (Some(local), _) => {
                    self.f.op().local_get(local);
                }
                (None, ValType::Ref(ty)) if ty.nullable => self.null(ty),
                (None, ValType::Ref(ty)) => self.leaf(ty),
                (None, ValType::I32) => {
                    self.f.op().i32_const(SENTINEL);
                }
                (None, ty) => self.numeric(ty, 0),
            }
        }
        let ty = self.p.types.alias(&mut self.c, node);
        self.f.op().struct_new(ty);
    }

    /// The node's field of type anyref: it stands after the key, around the end.
    pub(super) fn payload(&self) -> u32 {
        (self.p.types.key + 1) % self.p.types.fields(self.p.types.node).len() as u32
    }

    /// Allocates a few objects that nothing holds.
    fn garbage(&mut self) {
        let any_array = self.p.types.any_array;
        let count = self.c.range(1, 3);
        let arrays = self.c.chance(1, 3);
        self.rounds(count, |g, counter| {
            if arrays {
                g.f.op().local_get(counter).array_new_default(any_array).drop();
            } else {
                g.node(None, None, None);
                g.f.op().drop();
            }
        });
    }

    /// Takes an anyref and folds what lies at its first level into the sum.
    fn peek(&mut self) {
        self.f.op().call(self.p.peek);
        self.fold();
    }

    /// A local of this reference type, null at first.
    pub(super) fn scratch_ref(&mut self, ty: u32) -> u32 {
        self.f.scratch(ValType::Ref(nullable(HeapType::Concrete(ty))))
    }

    /// An exported mutable global that only workloads use, null at first.
    fn own_global(&mut self, ty: RefType) -> u32 {
        let mut init = Vec::new();
        wasm_encoder::InstructionSink::new(&mut init).ref_null(ty.heap_type);
        let ty = ValType::Ref(ty);
        self.p.globals.push(Global { ty, mutable: true, init, exported: true });
        self.p.globals.len() as u32 - 1
    }

    /// An exported table that only workloads use, of nulls.
    fn own_table(&mut self, ty: RefType, min: u32, max: u32) -> u32 {
        self.p.tables.push(Table { ty, min, max, init: None });
        self.p.tables.len() as u32 - 1
    }

    /// Objects that were made by an earlier call or in the beginning of this one, and have seen collections since.
    fn old(&mut self) -> Old {
        let types = &self.p.types;
        let (node, any_array) = (types.node, types.any_array);
        let len = self.c.range(4, 40) as u32;
        let array = nullable(HeapType::Concrete(any_array));
        let root = match self.c.below(4) {
            0 | 1 => Root::Global(self.own_global(array)),
            2 => Root::Table(self.own_table(array, 1, 1)),
            _ => Root::Local,
        };
        let (shelf, owner) = (self.scratch_ref(any_array), self.scratch_ref(node));
        match root {
            Root::Global(global) => self.f.op().global_get(global),
            Root::Table(table) => self.f.op().i32_const(0).table_get(table),
            Root::Local => self.f.op().local_get(shelf),
        };
        self.f.op().local_tee(shelf).ref_is_null();
        self.if_(BlockType::Empty);
        self.f.op().i32_const(len as i32).array_new_default(any_array).local_set(shelf);
        self.f.op().local_get(shelf).i32_const(0);
        self.node(None, None, None);
        self.f.op().array_set(any_array);
        match root {
            Root::Global(global) => self.f.op().local_get(shelf).global_set(global),
            Root::Table(table) => self.f.op().i32_const(0).local_get(shelf).table_set(table),
            Root::Local => self.f.op().nop(),
        };
        for _ in 0..self.c.range(1, 3) {
            self.garbage();
            self.f.op().call(GC);
        }
        self.end();
        self.f.op().local_get(shelf).i32_const(0).array_get(any_array);
        self.f.op().ref_cast_non_null(HeapType::Concrete(node)).local_set(owner);
        Old { shelf, len, owner }
    }

    /// Several of a list, none of them twice, in no order.
    fn several<T: Copy>(&mut self, of: &[T], count: usize) -> Vec<T> {
        let mut rest = of.to_vec();
        (0..count.min(of.len())).map(|_| rest.swap_remove(self.c.below(rest.len()))).collect()
    }
}
