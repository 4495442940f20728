//! Table instructions (spec: Execution / Table Instructions).

use super::memory::{minus_one, range};
use super::meter::{Meter, Point, Stop};
use crate::error::{Error, Result, TrapKind};
use crate::runtime::store::{Config, Table};
use crate::syntax::types::AddrType;

fn out_of_bounds() -> Error {
    Error::trap(TrapKind::TableOutOfBounds)
}

/// Spec: table.get.
pub(crate) fn get(table: &Table, index: u64) -> Result<u64> {
    let place = usize::try_from(index).ok().and_then(|index| table.elements.get(index));
    place.copied().ok_or_else(out_of_bounds)
}

/// Spec: table.set.
pub(crate) fn set(table: &mut Table, index: u64, value: u64) -> Result<()> {
    let place = usize::try_from(index).ok().and_then(|index| table.elements.get_mut(index));
    *place.ok_or_else(out_of_bounds)? = value;
    Ok(())
}

/// Spec: table.init, without the charge; `None` if out of bounds.
pub(crate) fn init(elements: &mut [u64], refs: &[u64], at: u64, from: u64, len: u64) -> Option<()> {
    let source = range(from, len, refs.len())?;
    let target = range(at, len, elements.len())?;
    elements[target].copy_from_slice(&refs[source]);
    Some(())
}

/// Spec: table.grow. Gives the old size, or −1 of the address type.
pub(crate) fn grow(
    table: &mut Table,
    value: u64,
    count: u64,
    config: &Config,
    total: &mut u64,
    meter: &mut Meter,
) -> Result<u64, Stop> {
    let old = table.elements.len() as u64;
    let by_type = match table.ty.addr {
        AddrType::I32 => u64::from(u32::MAX),
        AddrType::I64 => u64::MAX,
    };
    let limit = table.ty.limits.max.unwrap_or(by_type).min(u64::from(config.max_table_elements));
    let fits = old.checked_add(count).is_some_and(|new| new <= limit)
        && total.checked_add(count).is_some_and(|total| total <= config.max_total_table_elements);
    if !fits {
        return Ok(minus_one(table.ty.addr));
    }
    meter.charge(count, Point::Bulk)?;
    *total += count;
    table.elements.resize((old + count) as usize, value);
    Ok(old)
}

/// Spec: table.fill.
pub(crate) fn fill(table: &mut Table, at: u64, value: u64, len: u64, meter: &mut Meter) -> Result<(), Stop> {
    let target = range(at, len, table.elements.len()).ok_or_else(out_of_bounds)?;
    meter.charge(len, Point::Bulk)?;
    table.elements[target].fill(value);
    Ok(())
}

/// Spec: table.copy; `dst` and `src` are addresses of tables.
pub(crate) fn copy(
    tables: &mut [Table],
    (dst, src): (usize, usize),
    (at, from, len): (u64, u64, u64),
    meter: &mut Meter,
) -> Result<(), Stop> {
    let source = range(from, len, tables[src].elements.len()).ok_or_else(out_of_bounds)?;
    let target = range(at, len, tables[dst].elements.len()).ok_or_else(out_of_bounds)?;
    meter.charge(len, Point::Bulk)?;
    if dst == src {
        tables[dst].elements.copy_within(source, target.start);
    } else if let Ok([dst, src]) = tables.get_disjoint_mut([dst, src]) {
        dst.elements[target].copy_from_slice(&src.elements[source]);
    }
    Ok(())
}
