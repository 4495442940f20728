//! The instructions of the GC proposal: everything behind the prefix 0xFB, and `br_on_cast*`.
//!
//! The way of the data: [`FuncTranslator`]'s operator dispatch hands such an operator to
//! [`FuncTranslator::translate_gc`]; the families `structs`, `arrays`, `exceptions`, `i31` and `casts` pop their operands, emit CLIF
//! and push their results; `slots` is the only place that knows how a field is loaded and stored, and
//! [`barrier`](crate::barrier) the only one that knows how objects are allocated and references written.
//!
//! Invariants:
//! 1. A traced reference that an instruction produces is pushed by `push_ref`, so it is in every stack map that it
//!    outlives, and a fresh object's slots hold traceable values before the next safepoint.
//! 2. No address (heap base + reference) outlives a call. A reference that is popped before a call and used after it
//!    was declared when it was pushed, so the use sees the object's new place.
//! 3. Heap words are not trusted: a reference is added to the heap base as 32 bits, type ids are masked, and accesses
//!    carry [`TrapCode::CorruptHeap`](crate::TrapCode).

mod arrays;
mod casts;
mod exceptions;
mod i31;
mod slots;
mod structs;

use wasmparser::Operator;

use super::FuncTranslator;
use crate::Error;
use crate::convert::internal;
use slots::Extend;

impl FuncTranslator<'_> {
    /// Translates one operator of the GC proposal; the operator is validated and reachable.
    ///
    /// # Errors
    /// `Internal` for an operator of another family.
    pub(crate) fn translate_gc(&mut self, op: &Operator<'_>) -> Result<(), Error> {
        match *op {
            Operator::StructNew { struct_type_index } => self.struct_new(struct_type_index),
            Operator::StructNewDefault { struct_type_index } => self.struct_new_default(struct_type_index),
            Operator::StructGet { struct_type_index, field_index } => {
                self.struct_get(struct_type_index, field_index, Extend::None)
            }
            Operator::StructGetS { struct_type_index, field_index } => {
                self.struct_get(struct_type_index, field_index, Extend::Signed)
            }
            Operator::StructGetU { struct_type_index, field_index } => {
                self.struct_get(struct_type_index, field_index, Extend::Unsigned)
            }
            Operator::StructSet { struct_type_index, field_index } => {
                self.struct_set(struct_type_index, field_index)
            }

            Operator::ArrayNew { array_type_index } => self.array_new(array_type_index),
            Operator::ArrayNewDefault { array_type_index } => self.array_new_default(array_type_index),
            Operator::ArrayNewFixed { array_type_index, array_size } => {
                self.array_new_fixed(array_type_index, array_size)
            }
            Operator::ArrayNewData { array_type_index, array_data_index } => {
                self.array_new_data(array_type_index, array_data_index)
            }
            Operator::ArrayNewElem { array_type_index, array_elem_index } => {
                self.array_new_elem(array_type_index, array_elem_index)
            }
            Operator::ArrayGet { array_type_index } => self.array_get(array_type_index, Extend::None),
            Operator::ArrayGetS { array_type_index } => self.array_get(array_type_index, Extend::Signed),
            Operator::ArrayGetU { array_type_index } => self.array_get(array_type_index, Extend::Unsigned),
            Operator::ArraySet { array_type_index } => self.array_set(array_type_index),
            Operator::ArrayLen => self.array_len(),
            Operator::ArrayFill { array_type_index } => self.array_fill(array_type_index),
            Operator::ArrayCopy { array_type_index_dst: _, array_type_index_src: _ } => self.array_copy(),
            Operator::ArrayInitData { array_type_index: _, array_data_index } => {
                self.array_init_data(array_data_index)
            }
            Operator::ArrayInitElem { array_type_index: _, array_elem_index } => {
                self.array_init_elem(array_elem_index)
            }

            Operator::RefI31 => self.ref_i31(),
            Operator::I31GetS => self.i31_get_s(),
            Operator::I31GetU => self.i31_get_u(),

            Operator::RefTestNonNull { hty } => self.ref_test(hty, false),
            Operator::RefTestNullable { hty } => self.ref_test(hty, true),
            Operator::RefCastNonNull { hty } => self.ref_cast(hty, false),
            Operator::RefCastNullable { hty } => self.ref_cast(hty, true),
            Operator::BrOnCast { relative_depth, from_ref_type, to_ref_type } => {
                self.br_on_cast(relative_depth, from_ref_type, to_ref_type)
            }
            Operator::BrOnCastFail { relative_depth, from_ref_type, to_ref_type } => {
                self.br_on_cast_fail(relative_depth, from_ref_type, to_ref_type)
            }
            Operator::AnyConvertExtern | Operator::ExternConvertAny => self.convert_reference(),

            ref other => Err(internal(&format!("not an instruction of the GC proposal: {other:?}"))),
        }
    }
}
