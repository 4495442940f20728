//! Checked access to objects for the runtime: everything is `Option`, since the heap's content is untrusted.
//!
//! Invariant: an access lies in a region that holds objects. It is not checked against the wasm type of the object; that is the
//! caller's business.

use super::Heap;
use super::barrier::words;
use crate::GcRef;
use crate::collector::BarrierShape;
use crate::header::{ARRAY_LENGTH, HOST_INDEX, OBJECT_ALIGN, TYPE_ID_MASK, TYPE_WORD};
use crate::layout::{ArrayLayout, Layout, Slot};
use crate::memory::View;
use crate::types::{KIND_ARRAY, KIND_FUNC, KIND_HOST, TypeId};

/// Bytes that a fill writes at a time: a multiple of each element's size.
const FILL_PIECE: u32 = 512;

impl Heap {
    /// The object's type id, checked: `None` when `object` is null, an i31, outside the heap, or its header is corrupt.
    pub fn type_of(&self, object: GcRef) -> Option<TypeId> {
        let (view, at) = self.span(object, TYPE_WORD, 4)?;
        let word = view.read_u32(at)?;
        let id = TypeId(word & TYPE_ID_MASK);
        let clean = word & !TYPE_ID_MASK & !self.collector.constraints().header_flags == 0;
        let kind = self.core.layouts.registry().kind(id);
        (clean && kind != 0 && kind != KIND_FUNC).then_some(id)
    }

    /// Length of an array; `None` for anything else.
    pub fn array_len(&self, array: GcRef) -> Option<u32> {
        self.array(array).map(|(_, len)| len)
    }

    /// Host index of a host box; `None` for anything else.
    pub fn host_index(&self, object: GcRef) -> Option<u32> {
        self.kind_is(object, KIND_HOST)?;
        let (view, at) = self.span(object, HOST_INDEX, 4)?;
        view.read_u32(at)
    }

    /// Reads `size` (1, 2, 4, 8 or 16) bytes at `offset` of the object, checked to lie inside the used heap.
    pub fn read(&self, object: GcRef, offset: u32, size: u32) -> Option<u128> {
        let mut bits = [0; 16];
        let bytes = bits.get_mut(..size as usize)?;
        let (view, at) = self.span(object, offset, size)?;
        view.read_bytes(at, bytes)?;
        Some(u128::from_le_bytes(bits))
    }

    /// Writes `size` bytes at `offset`, checked likewise; `None` when refused. Values that are references go through
    /// [`Heap::write_ref`].
    pub fn write(&mut self, object: GcRef, offset: u32, size: u32, bits: u128) -> Option<()> {
        let bits = bits.to_le_bytes();
        let bytes = bits.get(..size as usize)?;
        let (view, at) = self.span(object, offset, size)?;
        view.write_bytes(at, bytes)
    }

    /// Reads `bytes.len()` bytes at `offset`, checked likewise.
    pub fn read_bytes(&self, object: GcRef, offset: u32, bytes: &mut [u8]) -> Option<()> {
        let (view, at) = self.span(object, offset, u32::try_from(bytes.len()).ok()?)?;
        view.read_bytes(at, bytes)
    }

    /// Writes `bytes` at `offset`, checked likewise; not for references.
    pub fn write_bytes(&mut self, object: GcRef, offset: u32, bytes: &[u8]) -> Option<()> {
        let (view, at) = self.span(object, offset, u32::try_from(bytes.len()).ok()?)?;
        view.write_bytes(at, bytes)
    }

    /// Stores a traced reference with the collector's write barrier.
    pub fn write_ref(&mut self, object: GcRef, offset: u32, value: GcRef) -> Option<()> {
        let (_, at) = self.span(object, offset, 4)?;
        self.store_reference(at, value)
    }

    /// Copies `len` elements between arrays of equal slot size (overlap allowed, barrier included), unchecked against
    /// wasm bounds but checked against the heap; `None` when refused.
    pub fn copy_elements(
        &mut self,
        dst: GcRef,
        dst_index: u32,
        src: GcRef,
        src_index: u32,
        len: u32,
    ) -> Option<()> {
        let (to, to_len) = self.array(dst)?;
        let (from, from_len) = self.array(src)?;
        let same_slot = to.element.size() == from.element.size()
            && (to.element == Slot::Ref) == (from.element == Slot::Ref);
        if !same_slot || dst_index.checked_add(len)? > to_len || src_index.checked_add(len)? > from_len {
            return None;
        }
        let bytes = len.checked_mul(to.element.size())?;
        let (to_base, from_base) = (to.base, from.base);
        let (target, to_at) = self.span(dst, to_base + dst_index * to.element.size(), bytes)?;
        let (origin, from_at) = self.span(src, from_base + src_index * from.element.size(), bytes)?;
        if to.element == Slot::Ref {
            match self.constraints().code.write_barrier {
                BarrierShape::None => {}
                BarrierShape::Card => self.mark_cards(to_at, bytes),
                BarrierShape::Snapshot if !self.core.marking().0 => {}
                BarrierShape::Count | BarrierShape::Snapshot => {
                    let (old, new) = (words(&target, to_at, len)?, words(&origin, from_at, len)?);
                    self.before_stores(to_at, &old, &new);
                }
            }
        }
        let (target, _) = self.span(dst, to_base + dst_index * to.element.size(), bytes)?;
        let (origin, _) = self.span(src, from_base + src_index * from.element.size(), bytes)?;
        target.copy(to_at, &origin, from_at, bytes as usize)
    }

    /// Sets `len` elements from `index` on to the low bits of `bits` (a reference's word for traced elements, barrier
    /// included); `None` when refused.
    pub fn fill_elements(&mut self, array: GcRef, index: u32, len: u32, bits: u128) -> Option<()> {
        let (layout, actual) = self.array(array)?;
        if index.checked_add(len)? > actual {
            return None;
        }
        let size = layout.element.size();
        let (offset, bytes) = (layout.base + index * size, len.checked_mul(size)?);
        let (view, at) = self.span(array, offset, bytes)?;
        if layout.element == Slot::Ref {
            match self.constraints().code.write_barrier {
                BarrierShape::None => {}
                BarrierShape::Card => self.mark_cards(at, bytes),
                BarrierShape::Snapshot if !self.core.marking().0 => {}
                BarrierShape::Count | BarrierShape::Snapshot => {
                    let (old, new) = (words(&view, at, len)?, vec![GcRef(bits as u32); len as usize]);
                    self.before_stores(at, &old, &new);
                }
            }
        }
        let (view, at) = self.span(array, offset, bytes)?;
        let bits = bits.to_le_bytes();
        let pattern = &bits[..size as usize];
        if pattern.iter().all(|&byte| byte == pattern[0]) {
            return view.fill(at, bytes as usize, pattern[0]);
        }
        // In pieces of whole elements: each size divides the buffer's.
        let mut piece = [0; FILL_PIECE as usize];
        piece.chunks_exact_mut(size as usize).for_each(|element| element.copy_from_slice(pattern));
        (0..bytes).step_by(FILL_PIECE as usize).try_for_each(|done| {
            let now = (bytes - done).min(FILL_PIECE);
            view.write_bytes(at + done, &piece[..now as usize])
        })
    }

    /// The layout of an array type; `None` for another type.
    pub fn array_layout(&self, ty: TypeId) -> Option<&ArrayLayout> {
        match self.core.layouts.get(ty) {
            Some(Layout::Array(layout)) => Some(layout),
            _ => None,
        }
    }

    /// The heap range `[object + offset, + size)`, checked to lie in one region.
    fn span(&self, object: GcRef, offset: u32, size: u32) -> Option<(View<'_>, u32)> {
        if !object.is_object() || !object.0.is_multiple_of(OBJECT_ALIGN) {
            return None;
        }
        let region = self.core.region_at(object.0)?;
        let at = object.0.checked_add(offset)?;
        let inside = at.checked_add(size)? <= region.end;
        inside.then(|| (self.core.memory.view(region.extent).for_runtime(), at))
    }

    fn kind_is(&self, object: GcRef, kind: u32) -> Option<TypeId> {
        let id = self.type_of(object)?;
        (self.core.layouts.registry().kind(id) == kind).then_some(id)
    }

    /// Layout and length of an array that lies in one region as a whole.
    fn array(&self, array: GcRef) -> Option<(ArrayLayout, u32)> {
        let id = self.kind_is(array, KIND_ARRAY)?;
        let layout = self.array_layout(id)?;
        let (view, at) = self.span(array, ARRAY_LENGTH, 4)?;
        let len = view.read_u32(at)?;
        self.span(array, 0, layout.size(len)?)?;
        Some((layout.clone(), len))
    }
}
