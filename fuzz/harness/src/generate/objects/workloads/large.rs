//! Large arrays: of references, written and read at both ends and at steps between; of bytes; and such that die at once.

use wasm_encoder::{HeapType, StorageType, ValType};

use super::SENTINEL;
use crate::generate::objects::Generator;
use crate::generate::objects::types::nullable;

impl Generator<'_, '_> {
    pub(super) fn large(&mut self, scale: usize) {
        self.large_references(scale);
        if self.c.chance(2, 3) {
            self.large_scalars();
        }
        self.large_garbage(scale);
    }

    /// A length as `(steps, stride)`: elements 0, stride, … steps · stride, the last of them the array's last.
    fn large_length(&mut self, limit: usize) -> (usize, usize) {
        let steps = self.c.range(3, 11);
        // Some in a nursery's reach, some beyond 8 KiB, some beyond 64 KiB, if references have four bytes.
        let len = match self.c.below(9) {
            0..=3 => self.c.range(200, 1100),
            4..=7 => self.c.range(2048, 4200),
            _ => self.c.range(16_400, 18_000),
        };
        (steps, (len.min(limit) / steps).max(1))
    }

    fn large_references(&mut self, scale: usize) {
        let types = &self.p.types;
        let ty = if self.c.chance(2, 3) { types.any_array } else { types.node_array };
        let node = types.node;
        let (steps, stride) = self.large_length(usize::MAX);
        let len = steps * stride + 1;
        let array = self.scratch_ref(ty);
        // Kept until the next call, or dead when this one returns.
        let global = self.c.chance(1, 2).then(|| self.own_global(nullable(HeapType::Concrete(ty))));
        if let Some(global) = global {
            self.f.op().global_get(global).local_set(array);
        }
        self.f.op().local_get(array).ref_is_null();
        self.if_(wasm_encoder::BlockType::Empty);
        self.f.op().i32_const(len as i32).array_new_default(ty).local_set(array);
        if let Some(global) = global {
            self.f.op().local_get(array).global_set(global);
        }
        self.end();
        for turn in 0..self.c.range(1, 2) {
            if turn > 0 || self.c.chance(2, 3) {
                self.collect();
            }
            self.rounds(steps + 1, |g, counter| {
                g.f.op().local_get(array);
                g.step_index(counter, stride);
                g.node(None, Some(counter), None);
                g.f.op().array_set(ty);
            });
            for at in [1, len / 2, len - 2] {
                self.f.op().local_get(array).i32_const(at as i32);
                self.node(None, None, None);
                self.f.op().array_set(ty);
            }
            self.garbage();
            self.collect();
            self.read_steps(array, ty, steps, stride);
        }
        let half = (len / 2) as i32;
        match self.c.below(4) {
            // Most of it dies.
            0 => {
                self.f.op().local_get(array).i32_const(1).ref_null(HeapType::Concrete(node));
                self.f.op().i32_const(len as i32 - 2).array_fill(ty);
            }
            // Overlapping, up and down.
            1 | 2 => {
                let (to, from) = if self.c.chance(1, 2) { (1, 0) } else { (0, 1) };
                self.f.op().local_get(array).i32_const(to).local_get(array).i32_const(from);
                self.f.op().i32_const(len as i32 - 1).array_copy(ty, ty);
            }
            // One fresh object in many places.
            _ => {
                self.f.op().local_get(array).i32_const(half);
                self.node(None, None, None);
                self.f.op().i32_const(len as i32 - half).array_fill(ty);
            }
        }
        self.garbage();
        self.collect();
        self.read_steps(array, ty, steps, stride);
        // Objects that only the last elements hold, dropped with the array many times where the script calls again.
        if let (Some(global), true) = (global, scale > 1 || self.c.chance(1, 3)) {
            self.f.op().ref_null(HeapType::Concrete(ty)).global_set(global);
        }
    }

    /// Leaves `(counter - 1) * stride`.
    fn step_index(&mut self, counter: u32, stride: usize) {
        self.f.op().local_get(counter).i32_const(1).i32_sub().i32_const(stride as i32).i32_mul();
    }

    fn read_steps(&mut self, array: u32, ty: u32, steps: usize, stride: usize) {
        self.rounds(steps + 1, |g, counter| {
            g.f.op().local_get(array);
            g.step_index(counter, stride);
            g.f.op().array_get(ty);
            g.peek();
            g.f.op().local_get(array);
            g.f.op().i32_const((steps * stride) as i32).local_get(counter).i32_sub().array_get(ty);
            g.peek();
        });
    }

    /// An array of numbers: written throughout, then at steps, read at the same after others came and went.
    fn large_scalars(&mut self) {
        let storage = self.c.pick(&[StorageType::I8, StorageType::I16, StorageType::Val(ValType::I64)]);
        let ty = self.p.types.own_array(storage);
        let wide = storage == StorageType::Val(ValType::I64);
        let (steps, mut stride) = self.large_length(if wide { 9000 } else { usize::MAX });
        if storage == StorageType::I8 && self.c.chance(1, 2) {
            stride *= 4;
        }
        let len = (steps * stride + 1) as i32;
        let array = self.scratch_ref(ty);
        let number = |g: &mut Self, counter: Option<u32>| {
            match counter {
                Some(counter) => g.f.op().local_get(counter),
                None => g.f.op().i32_const(SENTINEL),
            };
            if wide {
                g.f.op().i64_extend_i32_s();
            }
        };
        number(self, None);
        self.f.op().i32_const(len).array_new(ty).local_set(array);
        self.rounds(steps + 1, |g, counter| {
            g.f.op().local_get(array);
            g.step_index(counter, stride);
            number(g, Some(counter));
            g.f.op().array_set(ty);
            // Of the same size, at once garbage.
            g.every(counter, 6, |g| {
                number(g, Some(counter));
                g.f.op().i32_const(len).array_new(ty).drop();
            });
        });
        self.collect();
        self.rounds(steps + 1, |g, counter| {
            for back in [0, 1] {
                g.f.op().local_get(array);
                g.step_index(counter, stride);
                if back == 1 {
                    // The neighbour on the left, or the last one's.
                    g.f.op().i32_const(len - 1).i32_add().i32_const(len).i32_rem_u();
                }
                g.array_get(ty);
                g.as_i64(storage);
                g.fold();
            }
        });
    }

    /// Large arrays that die at once, with something at their ends.
    fn large_garbage(&mut self, scale: usize) {
        let any_array = self.p.types.any_array;
        let len = match self.c.below(8) {
            0..=3 => self.c.range(300, 1200),
            4..=6 => self.c.range(2049, 3000),
            _ => 16_500,
        } as i32;
        let rounds = (self.c.range(3, 10) * scale).min(if len > 10_000 { 20 } else { 100 });
        let latest = self.scratch_ref(any_array);
        self.rounds(rounds, |g, counter| {
            g.f.op()
                .i32_const(len)
                .local_get(counter)
                .i32_sub()
                .array_new_default(any_array)
                .local_set(latest);
            for end in [true, false] {
                g.f.op().local_get(latest);
                if end {
                    g.f.op().local_get(latest).array_len().i32_const(1).i32_sub();
                } else {
                    g.f.op().i32_const(0);
                }
                g.node(None, Some(counter), None);
                g.f.op().array_set(any_array);
            }
            g.pace(counter, rounds);
            g.f.op().local_get(latest).local_get(latest).array_len().i32_const(1).i32_sub();
            g.f.op().array_get(any_array);
            g.peek();
        });
    }
}
