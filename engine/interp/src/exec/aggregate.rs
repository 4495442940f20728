//! Aggregate instructions (spec: Execution / Aggregate Instructions): structs and arrays. Checks come first, then the
//! charge of fuel, then the effect.

use std::sync::Arc;

use super::code::{Code, Op};
use super::memory::range;
use super::meter::{Meter, Point, Stop};
use crate::error::{Error, Result, TrapKind};
use crate::runtime::heap::{Heap, Payload, array_size};
use crate::runtime::store::Config;
use crate::runtime::types::{CanonicalType, ElementKind, Types};
use crate::runtime::value::{Bits, Unpacked};
use crate::syntax::types::TypeId;

fn crash() -> Error {
    Error::crash("object that is not of its static type")
}

fn array_out_of_bounds() -> Error {
    Error::trap(TrapKind::ArrayOutOfBounds)
}

/// The object that a reference refers to.
#[inline(always)]
fn object(bits: u64) -> Result<u32> {
    match Bits(bits).as_object() {
        Some(index) => Ok(index),
        None => Err(no_object(bits)),
    }
}

#[cold]
fn no_object(bits: u64) -> Error {
    match Bits(bits).unpack() {
        Unpacked::Null => Error::trap(TrapKind::NullReference),
        _ => crash(),
    }
}

/// Spec: struct.get.
#[inline(always)]
pub(crate) fn struct_get(heap: &mut Heap, reference: u64, field: u32) -> Result<u64> {
    let object = heap.read(object(reference)?).ok_or_else(crash)?;
    match &object.payload {
        Payload::Struct(fields) => fields.get(field as usize).copied().ok_or_else(crash),
        _ => Err(crash()),
    }
}

/// Spec: struct.set.
#[inline(always)]
pub(crate) fn struct_set(heap: &mut Heap, reference: u64, field: u32, value: u64) -> Result<()> {
    let object = heap.get_mut(object(reference)?).ok_or_else(crash)?;
    match &mut object.payload {
        Payload::Struct(fields) => *fields.get_mut(field as usize).ok_or_else(crash)? = value,
        _ => return Err(crash()),
    }
    Ok(())
}

/// Spec: array.get; packed elements zero-extended.
#[inline(always)]
pub(crate) fn array_get(heap: &mut Heap, reference: u64, index: u64) -> Result<u64> {
    let object = heap.read(object(reference)?).ok_or_else(crash)?;
    object.payload.get(index as usize).ok_or_else(array_out_of_bounds)
}

/// Spec: array.set.
#[inline(always)]
pub(crate) fn array_set(heap: &mut Heap, reference: u64, index: u64, value: u64) -> Result<()> {
    let object = heap.get_mut(object(reference)?).ok_or_else(crash)?;
    object.payload.set(index as usize, value).ok_or_else(array_out_of_bounds)
}

/// Spec: struct.get of a vector.
pub(crate) fn struct_get_wide(heap: &mut Heap, reference: u64, slot: u32) -> Result<u128> {
    let object = heap.read(object(reference)?).ok_or_else(crash)?;
    object.payload.get_wide(slot as usize).ok_or_else(crash)
}

/// Spec: struct.set of a vector.
pub(crate) fn struct_set_wide(heap: &mut Heap, reference: u64, slot: u32, value: u128) -> Result<()> {
    let object = heap.get_mut(object(reference)?).ok_or_else(crash)?;
    object.payload.set_wide(slot as usize, value).ok_or_else(crash)
}

/// Spec: array.get of a vector.
pub(crate) fn array_get_wide(heap: &mut Heap, reference: u64, index: u64) -> Result<u128> {
    let object = heap.read(object(reference)?).ok_or_else(crash)?;
    object.payload.get_wide(index as usize).ok_or_else(array_out_of_bounds)
}

/// Spec: array.set of a vector.
pub(crate) fn array_set_wide(heap: &mut Heap, reference: u64, index: u64, value: u128) -> Result<()> {
    let object = heap.get_mut(object(reference)?).ok_or_else(crash)?;
    object.payload.set_wide(index as usize, value).ok_or_else(array_out_of_bounds)
}

/// Spec: array.len.
#[inline(always)]
pub(crate) fn array_len(heap: &mut Heap, reference: u64) -> Result<u64> {
    Ok(heap.read(object(reference)?).ok_or_else(crash)?.payload.len() as u64)
}

/// What the instructions below work on: a frame's instance and the store's parts.
pub(crate) struct Context<'a> {
    pub(crate) config: &'a Config,
    pub(crate) types: &'a Types,
    pub(crate) heap: &'a mut Heap,
    pub(crate) meter: &'a mut Meter,
    /// Canonical types of the instance.
    pub(crate) ids: &'a [TypeId],
    /// Element segments of the store, from the instance's first on.
    pub(crate) elems: &'a [Vec<u64>],
    /// Data segments of the store, from the instance's first on.
    pub(crate) datas: &'a [Arc<[u8]>],
}

impl Context<'_> {
    fn id(&self, index: u32) -> Result<TypeId> {
        self.ids.get(index as usize).copied().ok_or_else(crash)
    }

    fn canonical(&self, id: TypeId) -> Result<&CanonicalType> {
        self.types.get(id).ok_or_else(crash)
    }

    fn element(&self, id: TypeId) -> Result<ElementKind> {
        self.canonical(id)?.element.ok_or_else(crash)
    }

    fn elem(&self, index: u32) -> Result<&[u64]> {
        self.elems.get(index as usize).map(Vec::as_slice).ok_or_else(crash)
    }

    fn data(&self, index: u32) -> Result<&[u8]> {
        self.datas.get(index as usize).map(|data| &data[..]).ok_or_else(crash)
    }

    /// Bytes of an array that is about to be made.
    fn checked_size(&self, element: ElementKind, len: u64) -> Result<u64> {
        let size = array_size(element, len);
        if size > self.config.max_object_bytes {
            return Err(Error::trap(TrapKind::AllocationTooLarge));
        }
        Ok(size)
    }

    /// Charges for, then makes an array.
    fn new_array(
        &mut self,
        id: TypeId,
        element: ElementKind,
        len: u64,
        fill: impl FnOnce(&Self) -> Result<Payload>,
    ) -> Result<u64, Stop> {
        let size = self.checked_size(element, len)?;
        self.meter.charge(len, Point::Bulk)?;
        self.heap.reserve(size)?;
        let payload = fill(self)?;
        Ok(Bits::object(self.heap.allocate(id, size, payload)?).0)
    }

    /// Executes an instruction whose operands start at slot `a` (of struct.new: `d`).
    #[inline(never)]
    pub(crate) fn step(&mut self, op: Op, regs: &mut [u64]) -> Result<(), Stop> {
        let at = op.a as usize;
        if !matches!(op.code, Code::StructNew | Code::StructNewDefault) {
            self.meter.begin_bulk()?;
        }
        match op.code {
            // Spec: struct.new.
            Code::StructNew => {
                let id = self.id(op.b)?;
                let ty = self.canonical(id)?;
                let (at, size) = (op.d as usize, ty.struct_size);
                self.heap.reserve(size)?;
                let mut payload: Box<[u64]> = regs.get(at..at + ty.slots as usize).ok_or_else(crash)?.into();
                for &(slot, mask) in &ty.packed_fields {
                    payload[slot as usize] &= mask;
                }
                regs[at] = Bits::object(self.heap.allocate(id, size, Payload::Struct(payload))?).0;
            }
            // Spec: struct.new_default.
            Code::StructNewDefault => {
                let id = self.id(op.b)?;
                let ty = self.canonical(id)?;
                let (size, slots) = (ty.struct_size, ty.slots as usize);
                self.heap.reserve(size)?;
                let payload = Payload::Struct(vec![0; slots].into());
                regs[op.d as usize] = Bits::object(self.heap.allocate(id, size, payload)?).0;
            }
            // Spec: array.new.
            Code::ArrayNew => {
                let id = self.id(op.b)?;
                let element = self.element(id)?;
                let (value, len) = (value(regs, at, element), regs[at + element.slots()]);
                regs[at] =
                    self.new_array(id, element, len, |_| Ok(Payload::array(element, len as usize, value)))?;
            }
            // Spec: array.new_default.
            Code::ArrayNewDefault => {
                let id = self.id(op.b)?;
                let element = self.element(id)?;
                let len = regs[at];
                regs[at] =
                    self.new_array(id, element, len, |_| Ok(Payload::array(element, len as usize, 0)))?;
            }
            // Spec: array.new_fixed.
            Code::ArrayNewFixed => {
                let id = self.id(op.b)?;
                let element = self.element(id)?;
                let (len, slots) = (op.d as usize, element.slots());
                let values = regs.get(at..at + len * slots).ok_or_else(crash)?;
                regs[at] = self.new_array(id, element, len as u64, |_| {
                    let mut payload = Payload::array(element, len, 0);
                    for i in 0..len {
                        set(&mut payload, i, element, value(values, i * slots, element));
                    }
                    Ok(payload)
                })?;
            }
            // Spec: array.new_data.
            Code::ArrayNewData => {
                let id = self.id(op.b)?;
                let element = self.element(id)?;
                let (from, len) = (regs[at], regs[at + 1]);
                let source = range(from, len.saturating_mul(element.size()), self.data(op.d)?.len())
                    .ok_or_else(|| Error::trap(TrapKind::MemoryOutOfBounds))?;
                regs[at] = self.new_array(id, element, len, |context| {
                    let mut payload = Payload::array(element, len as usize, 0);
                    write_bytes(&mut payload, 0, element, &context.data(op.d)?[source]);
                    Ok(payload)
                })?;
            }
            // Spec: array.new_elem.
            Code::ArrayNewElem => {
                let id = self.id(op.b)?;
                let element = self.element(id)?;
                let (from, len) = (regs[at], regs[at + 1]);
                let source = range(from, len, self.elem(op.d)?.len())
                    .ok_or_else(|| Error::trap(TrapKind::TableOutOfBounds))?;
                regs[at] = self.new_array(id, element, len, |context| {
                    Ok(Payload::Refs(context.elem(op.d)?[source].into()))
                })?;
            }
            // Spec: array.fill.
            Code::ArrayFill => {
                let element = self.element(self.id(op.b)?)?;
                let index = object(regs[at])?;
                let (from, value, len) =
                    (regs[at + 1], value(regs, at + 2, element), regs[at + 2 + element.slots()]);
                let payload = &mut self.heap.get_mut(index).ok_or_else(crash)?.payload;
                let target = range(from, len, payload.len()).ok_or_else(array_out_of_bounds)?;
                self.meter.charge(len, Point::Bulk)?;
                payload.fill(target, value).ok_or_else(crash)?;
            }
            // Spec: array.copy.
            Code::ArrayCopy => {
                let (dst, src) = (object(regs[at])?, object(regs[at + 2])?);
                let (to, from, len) = (regs[at + 1], regs[at + 3], regs[at + 4]);
                let to = range(to, len, self.heap.get(dst).ok_or_else(crash)?.payload.len())
                    .ok_or_else(array_out_of_bounds)?;
                let from = range(from, len, self.heap.read(src).ok_or_else(crash)?.payload.len())
                    .ok_or_else(array_out_of_bounds)?;
                self.meter.charge(len, Point::Bulk)?;
                if dst == src {
                    let payload = &mut self.heap.get_mut(dst).ok_or_else(crash)?.payload;
                    payload.copy_within(from, to.start).ok_or_else(crash)?;
                } else {
                    let (dst, src) = self.heap.pair(dst, src).ok_or_else(crash)?;
                    copy_between(&mut dst.payload, to, &src.payload, from)?;
                }
            }
            // Spec: array.init_data.
            Code::ArrayInitData => {
                let element = self.element(self.id(op.b)?)?;
                let index = object(regs[at])?;
                let (to, from, len) = (regs[at + 1], regs[at + 2], regs[at + 3]);
                let to = range(to, len, self.heap.get(index).ok_or_else(crash)?.payload.len())
                    .ok_or_else(array_out_of_bounds)?;
                let data = self.datas.get(op.d as usize).ok_or_else(crash)?;
                let source = range(from, len.saturating_mul(element.size()), data.len())
                    .ok_or_else(|| Error::trap(TrapKind::MemoryOutOfBounds))?;
                self.meter.charge(len, Point::Bulk)?;
                let payload = &mut self.heap.get_mut(index).ok_or_else(crash)?.payload;
                write_bytes(payload, to.start, element, &data[source]);
            }
            // Spec: array.init_elem.
            Code::ArrayInitElem => {
                let index = object(regs[at])?;
                let (to, from, len) = (regs[at + 1], regs[at + 2], regs[at + 3]);
                let to = range(to, len, self.heap.get(index).ok_or_else(crash)?.payload.len())
                    .ok_or_else(array_out_of_bounds)?;
                let refs = self.elems.get(op.d as usize).ok_or_else(crash)?;
                let source =
                    range(from, len, refs.len()).ok_or_else(|| Error::trap(TrapKind::TableOutOfBounds))?;
                self.meter.charge(len, Point::Bulk)?;
                match &mut self.heap.get_mut(index).ok_or_else(crash)?.payload {
                    Payload::Refs(items) => items[to].copy_from_slice(&refs[source]),
                    _ => return Err(crash().into()),
                }
            }
            _ => return Err(Error::crash("operation without an execution").into()),
        }
        Ok(())
    }
}

/// The value of an element's type at a slot.
fn value(regs: &[u64], at: usize, element: ElementKind) -> u128 {
    let low = u128::from(regs[at]);
    if element == ElementKind::Bits128 { u128::from(regs[at + 1]) << 64 | low } else { low }
}

fn set(payload: &mut Payload, i: usize, element: ElementKind, value: u128) {
    if element == ElementKind::Bits128 {
        payload.set_wide(i, value);
    } else {
        payload.set(i, value as u64);
    }
}

/// Writes little-endian elements from a segment's bytes.
fn write_bytes(payload: &mut Payload, at: usize, element: ElementKind, bytes: &[u8]) {
    for (i, chunk) in bytes.chunks_exact(element.size() as usize).enumerate() {
        let mut value = [0; 16];
        value[..chunk.len()].copy_from_slice(chunk);
        set(payload, at + i, element, u128::from_le_bytes(value));
    }
}

/// Copies between two arrays of the same element type; both ranges have been checked.
fn copy_between(
    dst: &mut Payload,
    to: std::ops::Range<usize>,
    src: &Payload,
    from: std::ops::Range<usize>,
) -> Result<()> {
    match (dst, src) {
        (Payload::Bits8(dst), Payload::Bits8(src)) => dst[to].copy_from_slice(&src[from]),
        (Payload::Bits16(dst), Payload::Bits16(src)) => dst[to].copy_from_slice(&src[from]),
        (Payload::Bits32(dst), Payload::Bits32(src)) => dst[to].copy_from_slice(&src[from]),
        (Payload::Bits64(dst), Payload::Bits64(src)) | (Payload::Refs(dst), Payload::Refs(src)) => {
            dst[to].copy_from_slice(&src[from]);
        }
        (Payload::Bits128(dst), Payload::Bits128(src)) => dst[to].copy_from_slice(&src[from]),
        _ => return Err(crash()),
    }
    Ok(())
}
