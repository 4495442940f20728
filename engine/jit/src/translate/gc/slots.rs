//! Fields and elements: how a [`Slot`] is loaded, stored and cleared, and where object addresses come from.
//!
//! Every access lies at heap base + zext(32-bit offset) + small constant, so it stays within the heap's reservation
//! whatever the offset is; each kind of slot has an alias region of its own, which is right because a word of the heap
//! keeps its kind between two safepoints.

use std::sync::Arc;

use assay_gc::header;
use assay_gc::layout::{ArrayLayout, Layout, Slot, StructLayout};
use cranelift_codegen::ir::types::{F32, F64, I8X16, I32, I64, I64X2};
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, Value};

use crate::Error;
use crate::convert::internal;
use crate::translate::{FuncTranslator, Region};

/// How the get of a packed slot widens; `None` for the plain `get` of unpacked ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Extend {
    /// `struct.get`, `array.get`.
    None,
    /// `…get_s`.
    Signed,
    /// `…get_u`.
    Unsigned,
}

/// The alias region of a kind of slot.
pub(super) fn region(slot: Slot) -> Region {
    match slot {
        Slot::I8 => Region::FieldI8,
        Slot::I16 => Region::FieldI16,
        Slot::I32 => Region::FieldI32,
        Slot::I64 => Region::FieldI64,
        Slot::F32 => Region::FieldF32,
        Slot::F64 => Region::FieldF64,
        Slot::V128 => Region::FieldV128,
        Slot::Ref => Region::FieldRef,
        Slot::Func => Region::FieldFunc,
    }
}

/// The struct among layouts.
///
/// # Errors
/// `Internal` for other layouts.
pub(super) fn as_struct(layout: &Layout) -> Result<&StructLayout, Error> {
    match layout {
        Layout::Struct(layout) => Ok(layout),
        _ => Err(internal("a struct instruction on a type that is no struct")),
    }
}

impl FuncTranslator<'_> {
    /// The layout of the type `index`, shared with the registry.
    pub(super) fn layout(&self, index: u32) -> Result<Arc<Layout>, Error> {
        self.types.layout(self.type_id(index)).ok_or_else(|| internal("a live type without a layout"))
    }

    /// The layout of the array type `index`.
    pub(super) fn array_layout(&self, index: u32) -> Result<ArrayLayout, Error> {
        match &*self.layout(index)? {
            Layout::Array(layout) => Ok(layout.clone()),
            _ => Err(internal("an array instruction on a type that is no array")),
        }
    }

    /// The masked type id of `object`, which is neither null nor an i31, in 64 bits.
    pub(super) fn object_type(&mut self, object: Value) -> Value {
        let address = self.heap_address(object);
        let flags = self.heap_flags(Region::Header);
        let word = self.b.ins().uload32(flags, address, header::TYPE_WORD as i32);
        self.masked(word, i64::from(header::TYPE_ID_MASK))
    }

    /// Loads a slot; packed ones widen to i32.
    pub(super) fn load_slot(
        &mut self,
        slot: Slot,
        extend: Extend,
        address: Value,
        offset: u32,
    ) -> Result<Value, Error> {
        let flags = self.heap_flags(region(slot));
        let offset = offset as i32;
        let ins = self.b.ins();
        Ok(match (slot, extend) {
            (Slot::I8, Extend::Signed) => ins.sload8(I32, flags, address, offset),
            (Slot::I8, Extend::Unsigned) => ins.uload8(I32, flags, address, offset),
            (Slot::I16, Extend::Signed) => ins.sload16(I32, flags, address, offset),
            (Slot::I16, Extend::Unsigned) => ins.uload16(I32, flags, address, offset),
            (Slot::I32 | Slot::Ref | Slot::Func, Extend::None) => ins.load(I32, flags, address, offset),
            (Slot::I64, Extend::None) => ins.load(I64, flags, address, offset),
            (Slot::F32, Extend::None) => ins.load(F32, flags, address, offset),
            (Slot::F64, Extend::None) => ins.load(F64, flags, address, offset),
            (Slot::V128, Extend::None) => ins.load(I8X16, flags, address, offset),
            (slot, extend) => return Err(internal(&format!("load of a {slot:?} slot, extended {extend:?}"))),
        })
    }

    /// Pushes what [`Self::load_slot`] gave: traced references into the stack maps, the rest plainly.
    pub(super) fn push_slot(&mut self, slot: Slot, value: Value) {
        if slot == Slot::Ref { self.push_ref(value) } else { self.push(value) }
    }

    /// Stores into a slot of an object that is reachable already: the write barrier's business for references.
    pub(super) fn store_slot(&mut self, slot: Slot, address: Value, offset: u32, value: Value) {
        if slot == Slot::Ref {
            self.emit_ref_store(address, offset, value);
        } else {
            self.store_scalar(slot, address, offset, value);
        }
    }

    /// Stores into a slot of an object that was allocated after the last safepoint.
    pub(crate) fn init_slot(&mut self, slot: Slot, address: Value, offset: u32, value: Value) {
        if slot == Slot::Ref {
            self.emit_ref_init(address, offset, value);
        } else {
            self.store_scalar(slot, address, offset, value);
        }
    }

    /// Packed values are cut off by the width of the store.
    pub(crate) fn store_scalar(&mut self, slot: Slot, address: Value, offset: u32, value: Value) {
        let flags: MemFlagsData = self.heap_flags(region(slot));
        let offset = offset as i32;
        match slot {
            Slot::I8 => self.b.ins().istore8(flags, value, address, offset),
            Slot::I16 => self.b.ins().istore16(flags, value, address, offset),
            _ => self.b.ins().store(flags, value, address, offset),
        };
    }

    /// The default value of a slot.
    pub(crate) fn slot_zero(&mut self, slot: Slot) -> Value {
        match slot {
            Slot::I64 => self.iconst(I64, 0),
            Slot::F32 => self.b.ins().f32const(0.0),
            Slot::F64 => self.b.ins().f64const(0.0),
            Slot::V128 => self.vector_constant(I8X16, 0),
            _ => self.iconst32(0),
        }
    }

    /// A slot's value as the two i64 that builtins take: its bits in the low bytes of the first, then of the second.
    pub(super) fn slot_bits(&mut self, slot: Slot, value: Value) -> (Value, Value) {
        let low = match slot {
            Slot::V128 => {
                let flags = MemFlagsData::new().with_endianness(Endianness::Little);
                let words = self.b.ins().bitcast(I64X2, flags, value);
                return (self.b.ins().extractlane(words, 0), self.b.ins().extractlane(words, 1));
            }
            Slot::I64 => value,
            Slot::F64 => self.b.ins().bitcast(I64, MemFlagsData::new(), value),
            Slot::F32 => {
                let word = self.b.ins().bitcast(I32, MemFlagsData::new(), value);
                self.b.ins().uextend(I64, word)
            }
            _ => self.b.ins().uextend(I64, value),
        };
        (low, self.iconst(I64, 0))
    }
}
