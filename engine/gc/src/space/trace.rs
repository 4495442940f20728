//! The walk over an object's traced slots, by its layout.

use crate::header::ARRAY_LENGTH;
use crate::layout::{Layout, Slot};
use crate::layout_table::LayoutTable;
use crate::memory::View;
use crate::types::TypeId;
use crate::{Error, GcRef};

/// Calls `f(slot offset, word)` with each traced slot of the object at `at`, which is of type `id` and was measured.
///
/// # Errors
/// Those of `f`, and `Corrupt` where a slot lies outside the view.
#[inline]
pub(crate) fn each_reference(
    view: &View<'_>,
    layouts: &LayoutTable,
    at: u32,
    id: TypeId,
    mut f: impl FnMut(u32, GcRef) -> Result<(), Error>,
) -> Result<(), Error> {
    let outside = || Error::corrupt("field outside the heap", at);
    match layouts.get(id) {
        Some(Layout::Struct(layout)) => {
            for &offset in &layout.ref_offsets {
                let word = view.read_u32(at + offset).ok_or_else(outside)?;
                f(at + offset, GcRef(word))?;
            }
        }
        Some(Layout::Array(layout)) if layout.element == Slot::Ref => {
            let len = view.read_u32(at + ARRAY_LENGTH).ok_or_else(outside)?;
            let first = u64::from(at) + u64::from(layout.base);
            for index in 0..u64::from(len) {
                let slot = u32::try_from(first + index * 4).map_err(|_| outside())?;
                f(slot, GcRef(view.read_u32(slot).ok_or_else(outside)?))?;
            }
        }
        Some(Layout::Array(_) | Layout::Host) => {}
        None => return Err(Error::corrupt("type id", at)),
    }
    Ok(())
}
