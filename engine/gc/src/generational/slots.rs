//! The walk over the traced slots of a part of an object: what a dirty card asks for.

use std::ops::Range;

use crate::header::ARRAY_LENGTH;
use crate::layout::{Layout, Slot};
use crate::layout_table::LayoutTable;
use crate::memory::View;
use crate::types::TypeId;
use crate::{Error, GcRef};

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
