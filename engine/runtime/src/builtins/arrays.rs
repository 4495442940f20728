//! Array instructions that generated code does not inline (spec "Aggregate Instructions").

use std::ops::Range;

use assay_gc::layout::{ArrayLayout, Slot};
use assay_gc::{GcRef, TypeId};
use assay_jit::TrapCode;

use crate::Error;
use crate::instance::segment_range;
use crate::store::StoreInner;

fn trap(code: TrapCode) -> impl FnOnce() -> Error {
    move || Error::of_trap(code)
}

fn corrupt() -> Error {
    Error::corrupt("not an array")
}

/// `[start, start + len)` must lie in an array of `size` elements.
fn in_array(size: u32, start: u32, len: u32) -> Result<(), Error> {
    let end = u64::from(start) + u64::from(len);
    if end <= u64::from(size) { Ok(()) } else { Err(Error::of_trap(TrapCode::ArrayOutOfBounds)) }
}

impl StoreInner {
    /// A non-null array operand and its length.
    fn array_operand(&self, word: u32) -> Result<(GcRef, u32), Error> {
        let array = GcRef(word);
        if array.is_null() {
            return Err(Error::of_trap(TrapCode::NullReference));
        }
        let len = if array.is_object() { self.heap.array_len(array) } else { None };
        Ok((array, len.ok_or_else(corrupt)?))
    }

    fn layout_of_array(&self, array: GcRef) -> Result<ArrayLayout, Error> {
        self.array_layout(self.heap.type_of(array).ok_or_else(corrupt)?)
    }

    fn array_layout(&self, ty: TypeId) -> Result<ArrayLayout, Error> {
        self.heap.array_layout(ty).cloned().ok_or_else(corrupt)
    }

    /// `array.new_default`.
    pub(super) fn array_new(&mut self, ty: TypeId, len: u32) -> Result<GcRef, Error> {
        let layout = self.array_layout(ty)?;
        layout.size(len).ok_or_else(trap(TrapCode::AllocationTooLarge))?;
        self.charge(u64::from(len))?;
        self.alloc_array(ty, len)
    }

    /// `array.fill`.
    pub(super) fn array_fill(&mut self, array: u32, start: u32, bits: u128, len: u32) -> Result<(), Error> {
        let (array, size) = self.array_operand(array)?;
        in_array(size, start, len)?;
        self.charge(u64::from(len))?;
        self.heap.fill_elements(array, start, len, bits).ok_or_else(corrupt)
    }

    /// `array.copy`.
    pub(super) fn array_copy(
        &mut self,
        dst: u32,
        dst_start: u32,
        src: u32,
        src_start: u32,
        len: u32,
    ) -> Result<(), Error> {
        let (dst, dst_size) = self.array_operand(dst)?;
        let (src, src_size) = self.array_operand(src)?;
        in_array(dst_size, dst_start, len)?;
        in_array(src_size, src_start, len)?;
        self.charge(u64::from(len))?;
        if len == 0 {
            return Ok(());
        }
        self.heap.copy_elements(dst, dst_start, src, src_start, len).ok_or_else(corrupt)
    }

    /// The bytes of `len` elements of `size` bytes at `start` of a data segment.
    fn data_bytes(
        &self,
        instance: u32,
        data: u32,
        start: u32,
        len: u32,
        size: u32,
    ) -> Result<Range<usize>, Error> {
        let segment = &self.state.instances[instance as usize].data[data as usize];
        let bytes = u64::from(len) * u64::from(size);
        segment_range(segment.len(), u64::from(start), bytes).ok_or_else(trap(TrapCode::MemoryOutOfBounds))
    }

    /// `array.new_data`.
    pub(super) fn array_new_data(
        &mut self,
        instance: u32,
        ty: TypeId,
        data: u32,
        start: u32,
        len: u32,
    ) -> Result<GcRef, Error> {
        let layout = self.array_layout(ty)?;
        let range = self.data_bytes(instance, data, start, len, layout.element.size())?;
        let array = self.array_new(ty, len)?;
        self.write_data(instance, data, range, array, 0, &layout)?;
        Ok(array)
    }

    /// `array.init_data`.
    pub(super) fn array_init_data(
        &mut self,
        instance: u32,
        array: u32,
        dst: u32,
        data: u32,
        src: u32,
        len: u32,
    ) -> Result<(), Error> {
        let (array, size) = self.array_operand(array)?;
        in_array(size, dst, len)?;
        let layout = self.layout_of_array(array)?;
        let range = self.data_bytes(instance, data, src, len, layout.element.size())?;
        self.charge(u64::from(len))?;
        self.write_data(instance, data, range, array, dst, &layout)
    }

    fn write_data(
        &mut self,
        instance: u32,
        data: u32,
        range: Range<usize>,
        array: GcRef,
        first: u32,
        layout: &ArrayLayout,
    ) -> Result<(), Error> {
        if matches!(layout.element, Slot::Ref | Slot::Func) {
            return Err(Error::internal("data segment for references"));
        }
        // Elements lie in an array as they lie in a segment: packed, the low byte first.
        let segment = &self.state.instances[instance as usize].data[data as usize];
        let at = layout.base + first * layout.element.size();
        self.heap.write_bytes(array, at, &segment[range]).ok_or_else(corrupt)
    }

    fn elem_range(&self, instance: u32, elem: u32, start: u32, len: u32) -> Result<Range<usize>, Error> {
        let segment = &self.state.instances[instance as usize].elements[elem as usize];
        let range = segment_range(segment.items.len(), u64::from(start), u64::from(len));
        range.ok_or_else(trap(TrapCode::TableOutOfBounds))
    }

    /// `array.new_elem`.
    pub(super) fn array_new_elem(
        &mut self,
        instance: u32,
        ty: TypeId,
        elem: u32,
        start: u32,
        len: u32,
    ) -> Result<GcRef, Error> {
        let layout = self.array_layout(ty)?;
        let range = self.elem_range(instance, elem, start, len)?;
        let array = self.array_new(ty, len)?;
        self.write_elems(instance, elem, range, array, 0, &layout)?;
        Ok(array)
    }

    /// `array.init_elem`.
    pub(super) fn array_init_elem(
        &mut self,
        instance: u32,
        array: u32,
        dst: u32,
        elem: u32,
        src: u32,
        len: u32,
    ) -> Result<(), Error> {
        let (array, size) = self.array_operand(array)?;
        in_array(size, dst, len)?;
        let range = self.elem_range(instance, elem, src, len)?;
        let layout = self.layout_of_array(array)?;
        self.charge(u64::from(len))?;
        self.write_elems(instance, elem, range, array, dst, &layout)
    }

    /// Reads the segment only now: an allocation before may have moved what it refers to.
    fn write_elems(
        &mut self,
        instance: u32,
        elem: u32,
        range: Range<usize>,
        array: GcRef,
        first: u32,
        layout: &ArrayLayout,
    ) -> Result<(), Error> {
        for (index, at) in (first..).zip(range) {
            let word = self.state.instances[instance as usize].elements[elem as usize].items[at];
            self.store_slot(array, layout.base + index * 4, layout.element, u128::from(word.0))?;
        }
        Ok(())
    }
}
