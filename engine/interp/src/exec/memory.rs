//! Memory instructions (spec: Execution / Memory Instructions). The effective address is the whole 64-bit sum of operand
//! and offset, whatever the address type, as i32 operands are kept zero-extended.

use super::meter::{Meter, Point, Stop};
use crate::error::{Error, Result, TrapKind};
use crate::runtime::store::{Config, Memory, PAGE_SIZE};
use crate::syntax::types::AddrType;

/// The bytes of an access of `N` bytes.
#[inline(always)]
pub(crate) fn bytes<const N: usize>(memory: &Memory, address: u64, offset: u32) -> Option<&[u8; N]> {
    let start = usize::try_from(address.checked_add(u64::from(offset))?).ok()?;
    memory.reserved.get(..memory.size)?.get(start..)?.first_chunk()
}

#[inline(always)]
pub(crate) fn bytes_mut<const N: usize>(
    memory: &mut Memory,
    address: u64,
    offset: u32,
) -> Option<&mut [u8; N]> {
    let start = usize::try_from(address.checked_add(u64::from(offset))?).ok()?;
    memory.reserved.get_mut(..memory.size)?.get_mut(start..)?.first_chunk_mut()
}

/// The range of `len` items at `start` if it ends by `size`.
pub(crate) fn range(start: u64, len: u64, size: usize) -> Option<std::ops::Range<usize>> {
    let end = start.checked_add(len)?;
    if end <= size as u64 { Some(start as usize..end as usize) } else { None }
}

/// Spec: memory.init, without the charge; `None` if out of bounds.
pub(crate) fn init(memory: &mut Memory, data: &[u8], at: u64, from: u64, len: u64) -> Option<()> {
    let source = range(from, len, data.len())?;
    let target = range(at, len, memory.size)?;
    memory.reserved[target].copy_from_slice(&data[source]);
    Some(())
}

/// Fuel of a bulk operation over bytes: one per started 64.
pub(crate) fn byte_cost(len: u64) -> u64 {
    len.div_ceil(64)
}

/// Spec: memory.fill.
pub(crate) fn fill(
    memory: &mut Memory,
    at: u64,
    value: u64,
    len: u64,
    meter: &mut Meter,
) -> Result<(), Stop> {
    let target = range(at, len, memory.size).ok_or_else(|| Error::trap(TrapKind::MemoryOutOfBounds))?;
    meter.charge(byte_cost(len), Point::Bulk)?;
    memory.reserved[target].fill(value as u8);
    Ok(())
}

/// Spec: memory.copy; `dst` and `src` are addresses of memories.
pub(crate) fn copy(
    memories: &mut [Memory],
    (dst, src): (usize, usize),
    (at, from, len): (u64, u64, u64),
    meter: &mut Meter,
) -> Result<(), Stop> {
    let out = || Error::trap(TrapKind::MemoryOutOfBounds);
    let source = range(from, len, memories[src].size).ok_or_else(out)?;
    let target = range(at, len, memories[dst].size).ok_or_else(out)?;
    meter.charge(byte_cost(len), Point::Bulk)?;
    if dst == src {
        memories[dst].reserved.copy_within(source, target.start);
    } else if let Ok([dst, src]) = memories.get_disjoint_mut([dst, src]) {
        dst.reserved[target].copy_from_slice(&src.reserved[source]);
    }
    Ok(())
}

/// Spec: memory.grow. Gives the old size in pages, or −1 of the address type.
pub(crate) fn grow(
    memory: &mut Memory,
    pages: u64,
    config: &Config,
    total_pages: &mut u64,
    meter: &mut Meter,
) -> Result<u64, Stop> {
    let old = memory.size as u64 / PAGE_SIZE;
    let by_type = match memory.ty.addr {
        AddrType::I32 => 65_536,
        AddrType::I64 => 1 << 48,
    };
    let limit = memory.ty.limits.max.unwrap_or(by_type).min(by_type).min(u64::from(config.max_memory_pages));
    let fits = old.checked_add(pages).is_some_and(|new| new <= limit)
        && total_pages.checked_add(pages).is_some_and(|total| total <= config.max_total_pages);
    if !fits {
        return Ok(minus_one(memory.ty.addr));
    }
    meter.charge(pages, Point::Bulk)?;
    *total_pages += pages;
    let size = ((old + pages) * PAGE_SIZE) as usize;
    if size > memory.reserved.len() {
        // Fresh zero pages cost nothing until touched, unlike a resize.
        let reserve = size.max(memory.reserved.len() * 2).min((limit * PAGE_SIZE) as usize);
        let mut reserved = vec![0; reserve];
        reserved[..memory.size].copy_from_slice(&memory.reserved[..memory.size]);
        memory.reserved = reserved;
    }
    memory.size = size;
    Ok(old)
}

/// −1 in a slot.
pub(crate) fn minus_one(addr: AddrType) -> u64 {
    match addr {
        AddrType::I32 => u64::from(u32::MAX),
        AddrType::I64 => u64::MAX,
    }
}
