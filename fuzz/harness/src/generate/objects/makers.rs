//! Functions that every program has: collection points, list functions, makers of graphs, callbacks, producers.

use wasm_encoder::{BlockType, HeapType, RefType, StorageType, ValType};

use super::Generator;
use super::body::Cost;
use super::program::{EPOCH, GC, Maker, TICK, WAIT};
use super::types::{ANYREF, non_null, nullable};

/// A pattern that stands out in a dump.
const SENTINEL: i32 = 0x5a5a_a5a5;

impl Generator<'_, '_> {
    /// Defines the points where others go first, collectors and fibers. They come first: everything may call them.
    pub(super) fn collection_points(&mut self) {
        let pulse = self.p.declare(&[], &[]);
        let churn = self.p.declare(&[], &[]);
        self.p.pulse = pulse;
        self.p.churn = churn;
        let period = self.c.range(2, 9) as i32;
        self.define(pulse, usize::MAX, |g| {
            g.f.op().global_get(TICK);
            g.f.op().i32_const(1);
            g.f.op().i32_sub();
            g.f.op().global_set(TICK);
            g.f.op().global_get(TICK);
            g.f.op().i32_const(0);
            g.f.op().i32_lt_s();
            g.if_(BlockType::Empty);
            g.f.op().i32_const(period);
            g.f.op().global_set(TICK);
            g.f.op().call(GC);
            g.end();
        });
        self.p.function_mut(pulse).cost = Cost { work: 20, collections: 1 };
        self.define(churn, usize::MAX, |g| {
            g.f.op().call(GC);
            let rounds = g.c.range(2, 6);
            let counter = g.f.scratch(ValType::I32);
            g.f.op().i32_const(rounds as i32);
            g.f.op().local_set(counter);
            let start = g.f.begin_repeat(rounds);
            g.loop_(BlockType::Empty);
            let ty = g.c.pick(&g.p.types.structs);
            g.sentinel(ty);
            let array = g.c.pick(&g.p.types.arrays);
            g.sentinel_array(array);
            g.f.op().local_get(counter);
            g.f.op().i32_const(1);
            g.f.op().i32_sub();
            g.f.op().local_tee(counter);
            g.f.op().br_if(0);
            g.end();
            g.f.end_repeat(start, rounds);
        });
        self.p.function_mut(churn).cost.collections = 1;
        if self.fibers {
            let pause = self.p.declare(&[], &[]);
            self.p.pause = pause;
            let epoch = self.c.chance(1, 2);
            self.define(pause, usize::MAX, |g| {
                if epoch {
                    g.f.op().call(EPOCH);
                }
                let ty = g.c.pick(&g.p.types.structs);
                g.sentinel_of(ty);
                g.f.op().call(WAIT).drop();
            });
            // A wait counts like a collection: programs have so many points of both together.
            self.p.function_mut(pause).cost.collections = 1;
            // Calls itself for ever: fibers are suspended at every depth, and each has a stack that ends.
            let deep = self.p.declare(&[ValType::I32], &[ValType::I32]);
            self.p.deep = deep;
            self.define(deep, usize::MAX, |g| {
                g.f.op().local_get(0).call(deep).i32_const(1).i32_add();
            });
            // The host calls them by reference.
            self.p.table_functions.extend([pulse, churn, pause]);
        }
    }

    /// A struct whose scalars are the sentinel, dropped at once: it takes the place of something freed.
    fn sentinel(&mut self, ty: u32) {
        self.sentinel_of(ty);
        self.f.op().drop();
    }

    fn sentinel_of(&mut self, ty: u32) {
        for field in self.p.types.fields(ty).to_vec() {
            self.sentinel_value(field.element_type);
        }
        self.f.op().struct_new(ty);
    }

    fn sentinel_array(&mut self, ty: u32) {
        let element = self.p.types.element(ty).element_type;
        self.sentinel_value(element);
        let len = self.c.range(1, 6) as i32;
        self.f.op().i32_const(len);
        self.f.op().array_new(ty);
        self.f.op().drop();
    }

    fn sentinel_value(&mut self, storage: StorageType) {
        if let ValType::Ref(want) = storage.unpack() {
            return if self.small && want.nullable { self.null(want) } else { self.leaf(want) };
        }
        match storage.unpack() {
            ValType::I64 => self.f.op().i64_const(i64::from(SENTINEL) << 32 | i64::from(SENTINEL)),
            ValType::F32 => self.f.op().f32_const(f32::from_bits(SENTINEL as u32).into()),
            ValType::F64 => self.f.op().f64_const(12345.678.into()),
            ValType::V128 => self.f.op().v128_const(i128::from(SENTINEL) << 64 | i128::from(SENTINEL)),
            ValType::I32 | ValType::Ref(_) => self.f.op().i32_const(SENTINEL),
        };
    }

    /// Builds, sums up and reverses lists of nodes.
    pub(super) fn lists(&mut self) {
        let node = self.p.types.node;
        let (next, key) = (self.p.types.next, self.p.types.key);
        let list = nullable(HeapType::Concrete(node));
        let build = self.p.declare(&[ValType::I32], &[ValType::Ref(list)]);
        self.define(build, usize::MAX, |g| {
            let head = g.f.scratch(ValType::Ref(list));
            g.block(BlockType::Empty);
            g.loop_(BlockType::Empty);
            g.f.op().local_get(0);
            g.f.op().i32_eqz();
            g.f.op().br_if(1);
            for (field, def) in g.p.types.fields(node).to_vec().into_iter().enumerate() {
                match (field as u32, def.element_type.unpack()) {
                    (at, _) if at == next => {
                        g.f.op().local_get(head);
                    }
                    (at, _) if at == key => {
                        g.f.op().local_get(0);
                    }
                    (_, ValType::Ref(ty)) if ty == ANYREF => {
                        g.f.op().local_get(0);
                        g.f.op().ref_i31();
                    }
                    (_, ValType::Ref(want)) => g.leaf(want),
                    (_, ty) => g.numeric(ty, 0),
                }
            }
            g.f.op().struct_new(node);
            if g.c.chance(1, 2) {
                // The list lies on the stack alone.
                g.f.op().call(g.p.pulse);
            }
            g.f.op().local_set(head);
            g.f.op().local_get(0);
            g.f.op().i32_const(1);
            g.f.op().i32_sub();
            g.f.op().local_set(0);
            g.f.op().br(0);
            g.end();
            g.end();
            g.f.op().local_get(head);
        });
        self.p.function_mut(build).cost = Cost { work: 1000, collections: 4 };

        let sum = self.p.declare(&[ValType::Ref(list)], &[ValType::I64]);
        self.define(sum, usize::MAX, |g| {
            let total = g.f.scratch(ValType::I64);
            let left = g.f.scratch(ValType::I32);
            g.f.op().i32_const(70);
            g.f.op().local_set(left);
            g.block(BlockType::Empty);
            g.loop_(BlockType::Empty);
            g.f.op().local_get(left);
            g.f.op().i32_eqz();
            g.f.op().br_if(1);
            g.f.op().local_get(total);
            g.f.op().i64_const(5);
            g.f.op().i64_mul();
            g.f.op().local_get(0);
            g.f.op().br_on_null(1);
            g.f.op().struct_get(node, key);
            g.f.op().i64_extend_i32_s();
            g.f.op().i64_add();
            g.f.op().local_set(total);
            g.f.op().local_get(left);
            g.f.op().i32_const(1);
            g.f.op().i32_sub();
            g.f.op().local_set(left);
            g.f.op().local_get(0);
            g.f.op().struct_get(node, next);
            g.f.op().local_set(0);
            g.f.op().br(0);
            g.end();
            g.end();
            g.f.op().local_get(total);
        });
        self.p.function_mut(sum).cost = Cost { work: 1200, collections: 0 };

        let reverse = self.p.declare(&[ValType::Ref(list)], &[ValType::Ref(list)]);
        self.define(reverse, usize::MAX, |g| {
            let done = g.f.scratch(ValType::Ref(list));
            let rest = g.f.scratch(ValType::Ref(list));
            g.block(BlockType::Empty);
            g.loop_(BlockType::Empty);
            g.f.op().local_get(0);
            g.f.op().ref_is_null();
            g.f.op().br_if(1);
            g.f.op().local_get(0);
            g.f.op().struct_get(node, next);
            g.f.op().local_set(rest);
            g.f.op().local_get(0);
            g.f.op().local_get(done);
            g.f.op().struct_set(node, next);
            g.f.op().local_get(0);
            g.f.op().local_set(done);
            g.f.op().local_get(rest);
            g.f.op().local_set(0);
            g.f.op().br(0);
            g.end();
            g.end();
            g.f.op().local_get(done);
        });
        self.p.function_mut(reverse).cost = Cost { work: 900, collections: 0 };
        (self.p.build_list, self.p.sum_list, self.p.reverse_list) = (build, sum, reverse);
    }

    /// Makers of some types: recursive, smaller with each level, with collections between the parts.
    pub(super) fn makers(&mut self) {
        let types = &self.p.types;
        let mut chosen = vec![types.node];
        if !self.small {
            chosen.push(types.structs[types.structs.len() - 1]);
        }
        for _ in 0..self.c.below(2) {
            let known = &self.p.types;
            chosen.push(if self.c.chance(3, 4) {
                self.c.pick(&known.structs)
            } else {
                self.c.pick(&known.arrays)
            });
        }
        chosen.sort_unstable();
        chosen.dedup();
        let mut makers = Vec::new();
        for &ty in &chosen {
            let result = ValType::Ref(non_null(HeapType::Concrete(ty)));
            let function = self.p.declare(&[ValType::I32], &[result]);
            makers.push(Maker { ty, function });
        }
        // The program learns of them only below: an expression that calls one with a constant would never end here.
        for &maker in &makers {
            self.define(maker.function, 70, |g| {
                if g.p.types.is_struct(maker.ty) {
                    g.make_struct(maker.ty, &makers);
                } else {
                    g.construct(maker.ty, 2);
                }
                if g.c.chance(1, 3) {
                    g.f.op().call(g.p.pulse);
                }
            });
            let cost = &mut self.p.function_mut(maker.function).cost;
            cost.work *= 6;
            cost.collections = cost.collections.min(2) + 1;
        }
        self.p.table_functions.extend(makers.iter().map(|maker| maker.function));
        self.p.makers = makers;
    }

    fn make_struct(&mut self, ty: u32, makers: &[Maker]) {
        let mut recursive = 2;
        for field in self.p.types.fields(ty).to_vec() {
            match field.element_type.unpack() {
                ValType::Ref(want) => {
                    let types = &self.p.types;
                    let fitting: Vec<u32> = makers
                        .iter()
                        .filter(|maker| types.heap_subtype(HeapType::Concrete(maker.ty), want.heap_type))
                        .map(|maker| maker.function)
                        .collect();
                    if fitting.is_empty() || recursive == 0 {
                        self.leaf(want);
                        continue;
                    }
                    recursive -= 1;
                    let function = self.c.pick(&fitting);
                    self.f.op().local_get(0);
                    self.f.op().i32_const(0);
                    self.f.op().i32_gt_s();
                    self.if_(BlockType::Result(ValType::Ref(want)));
                    self.f.op().local_get(0);
                    self.f.op().i32_const(1);
                    self.f.op().i32_shr_u();
                    self.f.op().call(function);
                    if self.c.chance(1, 3) {
                        self.f.op().call(self.p.pulse);
                    }
                    self.else_();
                    self.leaf(want);
                    self.end();
                }
                ValType::I32 => {
                    self.f.op().local_get(0);
                    let by = self.c.i32();
                    self.f.op().i32_const(by);
                    self.f.op().i32_add();
                }
                ty => self.numeric(ty, 0),
            }
        }
        let ty = self.p.types.alias(&mut self.c, ty);
        self.f.op().struct_new(ty);
    }

    /// Functions of the callback type, and functions that return a fresh object reachable from nowhere else.
    pub(super) fn callees(&mut self) {
        let node = nullable(HeapType::Concrete(self.p.types.node));
        for _ in 0..self.c.weighted(&[(3, 1), (1, 2)]) {
            let ty = self.p.types.callback;
            let function = self.p.declare_typed(ty, &[ValType::Ref(node), ValType::I32], &[ValType::I64]);
            self.define(function, 60, |g| {
                g.numeric(ValType::I32, 2);
                g.f.op().i64_extend_i32_s();
                if g.c.chance(1, 2) {
                    g.reference(node, 2);
                } else {
                    g.f.op().local_get(0);
                    g.hold();
                }
                g.consume(ValType::Ref(node));
                g.f.op().i64_xor();
            });
            self.p.callbacks.push(function);
            self.p.table_functions.push(function);
        }
        for _ in 0..self.c.range(1, 2) {
            let result = match self.c.below(4) {
                0 => ANYREF,
                1 => {
                    let array = self.c.pick(&self.p.types.arrays);
                    RefType { nullable: self.c.chance(1, 2), heap_type: HeapType::Concrete(array) }
                }
                _ => {
                    let known = self.p.types.structs.len();
                    let index = self.p.types.structs[self.c.below(known)];
                    RefType { nullable: self.c.chance(1, 2), heap_type: HeapType::Concrete(index) }
                }
            };
            let function = self.p.declare(&[], &[ValType::Ref(result)]);
            self.define(function, 50, |g| g.construct_for(result, 2));
            self.p.fresh.push(function);
            self.p.table_functions.push(function);
        }
    }
}
