//! From one reference type to another without a trap: null checks, tests, casts and the `br_on_*` instructions.

use wasm_encoder::{BlockType, HeapType, RefType, ValType};

use super::Generator;
use super::types::nullable;

impl Generator<'_, '_> {
    /// Emits a value of type `have` and brings it to type `want` of the same hierarchy; where the value does not fit, a
    /// leaf takes its place.
    pub(super) fn converted(&mut self, have: RefType, want: RefType, emit: impl FnOnce(&mut Self)) {
        let result = BlockType::Result(ValType::Ref(want));
        if self.p.types.ref_subtype(have, want) {
            return emit(self);
        }
        if self.p.types.heap_subtype(have.heap_type, want.heap_type) {
            match self.c.below(3) {
                0 => {
                    self.block(result);
                    emit(self);
                    self.maybe_hold();
                    self.f.op().br_on_non_null(0);
                    self.leaf(want);
                    self.end();
                }
                1 => {
                    self.block(result);
                    self.block(BlockType::Empty);
                    emit(self);
                    self.f.op().br_on_null(0);
                    self.maybe_hold();
                    self.f.op().br(1);
                    self.end();
                    self.leaf(want);
                    self.end();
                }
                _ => {
                    let local = self.f.scratch(ValType::Ref(have));
                    emit(self);
                    self.f.op().local_tee(local);
                    self.f.op().ref_is_null();
                    self.if_(result);
                    self.leaf(want);
                    self.else_();
                    self.f.op().local_get(local);
                    self.f.op().ref_as_non_null();
                    self.end();
                }
            }
            return;
        }
        if !self.p.types.heap_subtype(want.heap_type, have.heap_type) {
            emit(self);
            self.f.op().drop();
            return self.leaf(want);
        }
        let target = RefType { nullable: want.nullable && have.nullable, ..want };
        match self.c.below(3) {
            0 => {
                self.block(result);
                emit(self);
                self.f.op().br_on_cast(0, have, target);
                self.maybe_hold();
                self.f.op().drop();
                self.leaf(want);
                self.end();
            }
            1 => {
                self.block(result);
                self.block(BlockType::Result(ValType::Ref(have)));
                emit(self);
                self.f.op().br_on_cast_fail(0, have, target);
                self.maybe_hold();
                self.f.op().br(1);
                self.end();
                self.f.op().drop();
                self.leaf(want);
                self.end();
            }
            _ => {
                let local = self.f.scratch(ValType::Ref(nullable(have.heap_type)));
                emit(self);
                self.f.op().local_tee(local);
                self.test(target);
                self.if_(result);
                self.f.op().local_get(local);
                self.cast(target);
                self.else_();
                self.leaf(want);
                self.end();
            }
        }
    }

    /// `ref.test`, by a structurally equal type at times.
    pub(super) fn test(&mut self, ty: RefType) {
        let target = self.aliased(ty.heap_type);
        if ty.nullable {
            self.f.op().ref_test_nullable(target);
        } else {
            self.f.op().ref_test_non_null(target);
        }
    }

    /// `ref.cast`, likewise.
    pub(super) fn cast(&mut self, ty: RefType) {
        let target = self.aliased(ty.heap_type);
        if ty.nullable {
            self.f.op().ref_cast_nullable(target);
        } else {
            self.f.op().ref_cast_non_null(target);
        }
    }

    pub(super) fn aliased(&mut self, ty: HeapType) -> HeapType {
        match ty {
            HeapType::Concrete(index) => HeapType::Concrete(self.p.types.alias(&mut self.c, index)),
            other => other,
        }
    }
}
