//! The harness's limits, as Wasmtime asks for them.

use ::wasmtime::{ResourceLimiter, Result};

use super::super::interp::{MAX_MEMORY_PAGES, MAX_TABLE_ELEMENTS};

/// Bytes of a memory at most.
const MAX_MEMORY_BYTES: usize = (MAX_MEMORY_PAGES as usize) << 16;
/// Bytes of what has no maximum of its own; the heap has none.
const NO_MAXIMUM: usize = 1 << 32;

/// Limits of a store.
#[derive(Debug)]
pub(super) struct Limits {
    /// Bytes of heap at most.
    pub(super) heap: usize,
}

impl ResourceLimiter for Limits {
    /// Memories and the heap come here alike. The heap grows by doubling, up to the last; a memory that has no maximum and
    /// grows in just this way beyond the heap's limit fares like it.
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let doubles = current > 0 && desired == current.saturating_mul(2);
        let heap = doubles && maximum.is_none_or(|maximum| maximum == NO_MAXIMUM);
        Ok(desired <= if heap { self.heap } else { MAX_MEMORY_BYTES })
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS as usize)
    }
}
