//! Functions that read graphs back: one walker per struct and array type, and a dispatcher over anyref. A small program has a dispatcher
//! alone, which looks no further than a number of an object; what that reaches is seen in results, globals and tables.
//!
//! A walker folds scalar fields, null-ness, i31 values, lengths and what the references reach into an i64. All share a
//! budget of visits in a global, so cycles end.

use wasm_encoder::{
    AbstractHeapType as Abstract, BlockType, HeapType, Ieee32, RefType, StorageType, ValType,
};

use super::Generator;
use super::body::Cost;
use super::program::BUDGET;
use super::types::{ANYREF, EXNREF, Top, heap, non_null};

/// Visits of one checksum.
pub(super) const VISITS: i32 = 40;

/// Elements of an array that are read.
const ELEMENTS: i32 = 8;

impl Generator<'_, '_> {
    /// Declares the walkers, so that any function may call them, and defines them.
    pub(super) fn walkers(&mut self) {
        self.p.walk = self.p.declare(&[ValType::Ref(ANYREF)], &[ValType::I64]);
        let exceptions = self.c.within.exceptions;
        if exceptions {
            self.p.unthrow = self.p.declare(&[ValType::Ref(EXNREF)], &[ValType::I64]);
        }
        let mut types: Vec<u32> = self.p.types.structs.iter().chain(&self.p.types.arrays).copied().collect();
        if self.small {
            types.clear();
        }
        for &ty in &types {
            let param = ValType::Ref(non_null(HeapType::Concrete(ty)));
            let function = self.p.declare(&[param], &[ValType::I64]);
            self.p.walkers.push((ty, function));
        }
        let walk = self.p.walk;
        self.define(walk, usize::MAX, |g| g.dispatcher());
        let unthrow = self.p.unthrow;
        if exceptions {
            self.define(unthrow, usize::MAX, |g| g.unthrow());
        }
        for (ty, function) in self.p.walkers.clone() {
            self.define(function, usize::MAX, |g| {
                if g.p.types.is_struct(ty) { g.struct_walker(ty) } else { g.array_walker(ty) }
            });
        }
        for (_, function) in self.p.walkers.clone() {
            self.p.function_mut(function).cost = Cost { work: 60 * VISITS as usize, collections: 0 };
        }
        if exceptions {
            self.p.function_mut(unthrow).cost = Cost { work: 60 * VISITS as usize, collections: 0 };
        }
        let visits = if self.small { 1 } else { VISITS as usize };
        self.p.function_mut(walk).cost = Cost { work: 80 * visits, collections: 0 };
    }

    /// `(anyref) -> i64`: finds the most derived type by casts, subtypes first.
    fn dispatcher(&mut self) {
        if self.small {
            return self.glance();
        }
        self.f.op().global_get(BUDGET);
        self.f.op().i32_eqz();
        self.if_(BlockType::Empty);
        self.f.op().i64_const(0x5eed);
        self.f.op().return_();
        self.end();
        self.f.op().global_get(BUDGET);
        self.f.op().i32_const(1);
        self.f.op().i32_sub();
        self.f.op().global_set(BUDGET);
        let mut order = self.p.walkers.clone();
        order.reverse();
        for (ty, function) in order {
            self.case_of(ty, |g| {
                g.f.op().call(function);
            });
        }
        self.neither();
    }

    /// The same without walkers: some types, and a number of an object.
    fn glance(&mut self) {
        let types = &self.p.types;
        let mut order = vec![types.node, self.c.pick(&types.structs), self.c.pick(&types.arrays)];
        order.sort_unstable();
        order.dedup();
        for ty in order.into_iter().rev() {
            self.case_of(ty, |g| g.a_number(ty));
        }
        self.neither();
    }

    /// Takes a reference to an object of type `ty`, or null, and leaves an i64: what `a_number` leaves of it.
    fn read(&mut self, ty: u32, have: RefType) {
        if !have.nullable {
            return self.a_number(ty);
        }
        let local = self.f.scratch(ValType::Ref(have));
        self.f.op().local_tee(local).ref_is_null();
        self.if_(BlockType::Result(ValType::I64));
        self.f.op().i64_const(-5);
        self.else_();
        self.f.op().local_get(local).ref_as_non_null();
        self.a_number(ty);
        self.end();
    }

    /// Takes an object of type `ty` and leaves an i64: an array's length, a number of a struct, else whether its first reference is null.
    pub(super) fn a_number(&mut self, ty: u32) {
        if !self.p.types.is_struct(ty) {
            self.f.op().array_len().i64_extend_i32_u();
            return;
        }
        let fields = self.p.types.fields(ty).to_vec();
        let numbers: Vec<usize> = (0..fields.len())
            .filter(|field| !matches!(fields[*field].element_type.unpack(), ValType::Ref(_)))
            .collect();
        match (numbers.is_empty(), fields.is_empty()) {
            (false, _) => {
                let field = self.c.pick(&numbers);
                self.struct_get(ty, field as u32);
                self.as_i64(fields[field].element_type);
            }
            (true, false) => {
                self.f.op().struct_get(ty, 0).ref_is_null().i64_extend_i32_u();
            }
            (true, true) => {
                self.f.op().drop().i64_const(i64::from(ty) + 1);
            }
        }
    }

    /// Returns what `emit` leaves for the parameter, an anyref, if it is of type `ty`.
    fn case_of(&mut self, ty: u32, emit: impl FnOnce(&mut Self)) {
        let target = non_null(self.aliased(HeapType::Concrete(ty)));
        match self.c.below(3) {
            0 => {
                self.block(BlockType::Result(ValType::Ref(ANYREF)));
                self.f.op().local_get(0);
                self.f.op().br_on_cast_fail(0, ANYREF, target);
                emit(self);
                self.f.op().return_();
                self.end();
                self.f.op().drop();
            }
            1 => {
                self.block(BlockType::Empty);
                self.block(BlockType::Result(ValType::Ref(target)));
                self.f.op().local_get(0);
                self.f.op().br_on_cast(0, ANYREF, target);
                self.f.op().drop();
                self.f.op().br(1);
                self.end();
                emit(self);
                self.f.op().return_();
                self.end();
            }
            _ => {
                self.f.op().local_get(0);
                self.f.op().ref_test_non_null(target.heap_type);
                self.if_(BlockType::Empty);
                self.f.op().local_get(0);
                self.f.op().ref_cast_non_null(target.heap_type);
                emit(self);
                self.f.op().return_();
                self.end();
            }
        }
    }

    /// Leaves an i64 for the parameter where it is no object that was asked for: an i31's value, else whether it is null.
    fn neither(&mut self) {
        let signed = self.c.chance(1, 2);
        self.block(BlockType::Result(ValType::Ref(ANYREF)));
        self.f.op().local_get(0);
        self.f.op().br_on_cast_fail(0, ANYREF, non_null(HeapType::I31));
        if signed {
            self.f.op().i31_get_s();
            self.f.op().i64_extend_i32_s();
        } else {
            self.f.op().i31_get_u();
            self.f.op().i64_extend_i32_u();
        }
        self.f.op().i64_const(0x1357_9bdf_0246);
        self.f.op().i64_xor();
        self.f.op().return_();
        self.end();
        // Null, or a host value.
        self.f.op().ref_is_null();
        self.f.op().i64_extend_i32_u();
    }

    /// `(ref $struct) -> i64`: what the supertype's walker gives, then the own fields.
    fn struct_walker(&mut self, ty: u32) {
        let fields = self.p.types.fields(ty).to_vec();
        let base = self.p.types.defs[ty as usize].supertype;
        let inherited = match base.and_then(|base| self.p.walkers.iter().find(|(of, _)| *of == base)) {
            Some(&(base, walker)) => {
                self.f.op().local_get(0);
                self.f.op().call(walker);
                self.p.types.fields(base).len()
            }
            None => {
                self.f.op().i64_const(i64::from(ty) + 1);
                0
            }
        };
        for (field, def) in fields.iter().enumerate().skip(inherited) {
            self.f.op().local_get(0);
            self.struct_get(ty, field as u32);
            self.as_i64(def.element_type);
            self.f.op().i64_xor();
            let factor = i64::from(self.c.byte()) * 2 + 3;
            self.f.op().i64_const(factor);
            self.f.op().i64_mul();
        }
    }

    /// `(ref $array) -> i64`: the length and the first elements.
    fn array_walker(&mut self, ty: u32) {
        let element = self.p.types.element(ty).element_type;
        let [at, end, sum] = [ValType::I32, ValType::I32, ValType::I64].map(|ty| self.f.scratch(ty));
        self.f.op().local_get(0);
        self.f.op().array_len();
        self.f.op().local_tee(end);
        self.f.op().i64_extend_i32_u();
        self.f.op().local_set(sum);
        self.block(BlockType::Empty);
        self.loop_(BlockType::Empty);
        self.f.op().local_get(at);
        self.f.op().local_get(end);
        self.f.op().i32_ge_u();
        self.f.op().br_if(1);
        self.f.op().local_get(sum);
        self.f.op().i64_const(31);
        self.f.op().i64_mul();
        self.f.op().local_get(0);
        self.f.op().local_get(at);
        self.array_get(ty);
        self.as_i64(element);
        self.f.op().i64_add();
        self.f.op().local_set(sum);
        self.f.op().local_get(at);
        self.f.op().i32_const(1);
        self.f.op().i32_add();
        self.f.op().local_tee(at);
        self.f.op().i32_const(ELEMENTS);
        self.f.op().i32_lt_u();
        self.f.op().br_if(0);
        self.end();
        self.end();
        self.f.op().local_get(sum);
    }

    /// Turns the field value on the stack into an i64, by a walk where it is a reference.
    pub(super) fn as_i64(&mut self, storage: StorageType) {
        match storage.unpack() {
            ValType::I64 => {}
            ValType::F32 => {
                self.f.op().i32_reinterpret_f32();
                self.f.op().i64_extend_i32_u();
            }
            ValType::F64 => {
                self.f.op().i64_reinterpret_f64();
            }
            ValType::V128 => {
                let local = self.f.scratch(ValType::V128);
                self.f.op().local_tee(local).i64x2_extract_lane(0);
                self.f.op().local_get(local).i64x2_extract_lane(1).i64_const(7).i64_mul().i64_xor();
            }
            ValType::Ref(ty) => self.walk_reference(ty),
            ValType::I32 => {
                self.f.op().i64_extend_i32_s();
            }
        }
    }

    /// Takes a reference and leaves an i64, without renewing the budget.
    fn walk_reference(&mut self, ty: RefType) {
        match self.p.types.top(ty.heap_type) {
            Top::Any => {
                self.f.op().call(self.p.walk);
            }
            Top::Extern => {
                self.f.op().any_convert_extern();
                self.f.op().call(self.p.walk);
            }
            Top::Func => {
                if self.c.chance(1, 2) {
                    self.f.op().ref_is_null();
                } else {
                    self.f.op().ref_test_non_null(HeapType::Concrete(self.p.types.callback));
                }
                self.f.op().i64_extend_i32_u();
            }
            Top::Exn => {
                self.f.op().call(self.p.unthrow);
            }
        }
    }

    /// Takes a value of type `ty` and leaves an i64 that depends on what it reaches; in a small program on its first level.
    pub(super) fn consume(&mut self, ty: ValType) {
        let ValType::Ref(have) = ty else {
            if ty == ValType::F32 && self.c.chance(1, 2) {
                self.f.op().f32_const(Ieee32::from(1.5));
                self.f.op().f32_mul();
            }
            return self.as_i64(StorageType::Val(ty));
        };
        if self.p.types.top(have.heap_type) == Top::Func {
            return self.consume_function(have);
        }
        if let (HeapType::Concrete(ty), true) = (have.heap_type, self.small && self.c.chance(3, 4)) {
            return self.read(ty, have);
        }
        let local = self.f.scratch(ValType::Ref(RefType { nullable: true, ..have }));
        match self.c.below(4) {
            // Which types it has, then its content.
            0 if self.p.types.top(have.heap_type) == Top::Any => {
                self.f.op().local_set(local);
                self.classify(local);
                self.f.op().local_get(local);
                self.checksum(have);
                self.f.op().i64_add();
            }
            1 if self.p.types.top(have.heap_type) != Top::Exn => {
                self.f.op().local_tee(local);
                self.checksum(have);
                self.f.op().local_get(local);
                if self.p.types.top(have.heap_type) == Top::Extern {
                    self.f.op().any_convert_extern();
                }
                self.f.op().call(super::program::LOG_REF);
            }
            // The type's own walker, without casts.
            2 if !have.nullable => {
                let walker = self.p.walkers.iter().find(|(of, _)| have.heap_type == HeapType::Concrete(*of));
                match walker {
                    Some(&(_, walker)) => {
                        self.renew_budget();
                        self.f.op().call(walker);
                        let cost = self.p.function(walker).cost;
                        self.f.spend(cost);
                    }
                    None => self.checksum(have),
                }
            }
            _ => self.checksum(have),
        }
    }

    fn checksum(&mut self, have: RefType) {
        self.renew_budget();
        self.walk_reference(have);
        let cost = self.p.function(self.p.walk).cost;
        self.f.spend(cost);
    }

    fn renew_budget(&mut self) {
        if self.small {
            return;
        }
        self.f.op().i32_const(VISITS);
        self.f.op().global_set(BUDGET);
    }

    /// Leaves an i64 of `ref.test` bits of the object in `local`, against several types.
    pub(super) fn classify(&mut self, local: u32) {
        let ValType::Ref(have) = self.f.locals[local as usize].ty else { return };
        self.f.op().i32_const(0);
        for _ in 0..self.c.range(2, 6) {
            let ty = self.any_heap_type();
            self.f.op().i32_const(1);
            self.f.op().i32_shl();
            self.f.op().local_get(local);
            let ty = if self.c.chance(1, 2) { non_null(ty) } else { super::types::nullable(ty) };
            match self.p.types.heap_subtype(have.heap_type, heap(Abstract::Eq)) && self.c.chance(1, 6) {
                true => {
                    self.f.op().local_get(local);
                    self.f.op().ref_eq();
                }
                false => self.test(ty),
            }
            self.f.op().i32_or();
        }
        self.f.op().i64_extend_i32_u();
    }

    /// Takes a function reference, calls it if it has the callback type, and leaves an i64.
    fn consume_function(&mut self, have: RefType) {
        let callback = HeapType::Concrete(self.p.types.callback);
        let wanted = RefType { nullable: true, heap_type: callback };
        let Some(&first) = self.p.callbacks.first() else {
            self.f.op().ref_is_null();
            self.f.op().i64_extend_i32_u();
            return;
        };
        let cost = self.p.function(first).cost;
        let local = self.f.scratch(ValType::Ref(wanted));
        let result = BlockType::Result(ValType::I64);
        if have.heap_type == callback {
            self.f.op().local_tee(local);
            self.f.op().ref_is_null();
            self.if_(result);
            self.f.op().i64_const(-7);
            self.else_();
        } else {
            let all = self.f.scratch(ValType::Ref(RefType { nullable: true, ..have }));
            self.f.op().local_tee(all);
            self.f.op().ref_test_non_null(callback);
            self.f.op().i32_eqz();
            self.if_(result);
            self.f.op().local_get(all);
            self.f.op().ref_is_null();
            self.f.op().i64_extend_i32_u();
            self.else_();
            self.f.op().local_get(all);
            self.f.op().ref_cast_nullable(callback);
            self.f.op().local_set(local);
        }
        let node = RefType { nullable: true, heap_type: HeapType::Concrete(self.p.types.node) };
        self.reference(node, 1);
        self.maybe_hold();
        self.numeric(ValType::I32, 0);
        self.f.op().local_get(local);
        self.f.op().call_ref(self.p.types.callback);
        self.f.spend(cost);
        self.end();
    }
}
