//! Walks over an object's traced slots: of an object that is measured on the way, so that a collection looks at its
//! header and its layout once, and of a part of an object, which is what a dirty card asks for.

use std::ops::Range;

use crate::header::{ARRAY_LENGTH, TYPE_ID_MASK, TYPE_WORD};
use crate::layout::{HOST_SIZE, Layout, Slot};
use crate::layout_table::LayoutTable;
use crate::memory::View;
use crate::types::TypeId;
use crate::{Error, GcRef};

/// Measures the object at `at`, which has `room` bytes at most, and calls `f(slot offset, word)` with each traced slot.
/// Its bytes.
///
/// # Errors
/// Those of `f`; `Corrupt` unless the header is clean, names a type of objects, and the object fits its room.
#[inline(always)]
pub(super) fn scan(
    view: &View<'_>,
    layouts: &LayoutTable,
    at: u32,
    room: u32,
    mut f: impl FnMut(u32, GcRef) -> Result<(), Error>,
) -> Result<u32, Error> {
    let outside = || Error::corrupt("object reaches out of its space", at);
    let word = view.read_u32(at + TYPE_WORD).ok_or_else(outside)?;
    if word & !TYPE_ID_MASK != 0 {
        return Err(Error::corrupt("flags in a type word", at));
    }
    match layouts.get(TypeId(word)) {
        Some(Layout::Struct(layout)) => {
            if layout.size > room {
                return Err(outside());
            }
            for &offset in &layout.ref_offsets {
                let slot = at + offset;
                f(slot, GcRef(view.read_u32(slot).ok_or_else(outside)?))?;
            }
            Ok(layout.size)
        }
        Some(Layout::Array(layout)) => {
            let len = view.read_u32(at + ARRAY_LENGTH).ok_or_else(outside)?;
            let size = layout.size(len).filter(|&size| size <= room).ok_or_else(outside)?;
            if layout.element == Slot::Ref {
                let first = at + layout.base;
                for slot in (first..first + len * 4).step_by(4) {
                    f(slot, GcRef(view.read_u32(slot).ok_or_else(outside)?))?;
                }
            }
            Ok(size)
        }
        Some(Layout::Host) if HOST_SIZE <= room => Ok(HOST_SIZE),
        Some(Layout::Host) => Err(outside()),
        None => Err(Error::corrupt("type id", at)),
    }
}

/// Calls `f(slot offset, word)` with each traced slot in `range` of the object at `at`, which is of type `id` and was
/// measured. `range` starts at a multiple of 4.
///
/// # Errors
/// Those of `f`, and `Corrupt` where a slot lies outside the view.
#[inline]
pub(super) fn each_reference_within(
    view: &View<'_>,
    layouts: &LayoutTable,
    at: u32,
    id: TypeId,
    range: &Range<u32>,
    mut f: impl FnMut(u32, GcRef) -> Result<(), Error>,
) -> Result<(), Error> {
    let outside = || Error::corrupt("field outside the heap", at);
    match layouts.get(id) {
        Some(Layout::Struct(layout)) => {
            let before = range.start.saturating_sub(at);
            let first = layout.ref_offsets.partition_point(|&offset| offset < before);
            for &offset in layout.ref_offsets.iter().skip(first) {
                let slot = at + offset;
                if slot >= range.end {
                    break;
                }
                f(slot, GcRef(view.read_u32(slot).ok_or_else(outside)?))?;
            }
        }
        Some(Layout::Array(layout)) if layout.element == Slot::Ref => {
            let len = view.read_u32(at + ARRAY_LENGTH).ok_or_else(outside)?;
            let first = u64::from(at) + u64::from(layout.base);
            let behind = (first + u64::from(len) * 4).min(u64::from(range.end)) as u32;
            let mut slot = (at + layout.base).max(range.start);
            while slot < behind {
                f(slot, GcRef(view.read_u32(slot).ok_or_else(outside)?))?;
                slot += 4;
            }
        }
        Some(Layout::Array(_) | Layout::Host) => {}
        None => return Err(Error::corrupt("type id", at)),
    }
    Ok(())
}
