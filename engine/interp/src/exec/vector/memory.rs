//! Loads and stores of vectors (spec: Execution / Memory Instructions). An access is checked whole before its effect, so one
//! that is partly out of bounds stores nothing.

use super::lanes::Half::Low;
use super::lanes::{extract, replace, splat, widen};
use super::{crash, read, write};
use crate::error::{Error, Result, TrapKind};
use crate::exec::code::Op;
use crate::exec::memory::{bytes, bytes_mut};
use crate::runtime::store::Memory;
use crate::syntax::vectors::VectorAccess;

/// Words of an access in the pool: memory, offset (low, high), lane, slot of the vector whose lane is replaced.
pub(crate) const POOL_WORDS: usize = 5;

/// Access number m at address a; d is the result's slot or the stored vector's; the rest stands in the pool at b.
#[inline(never)]
pub(crate) fn step(
    op: Op,
    regs: &mut [u64],
    pool: &[u32],
    memories: &mut [Memory],
    addrs: &[u32],
) -> Result<()> {
    let access = *VectorAccess::ALL.get(usize::from(op.m)).ok_or_else(crash)?;
    let &[memory, low, high, lane, vector] =
        pool.get(op.b as usize..).and_then(|words| words.first_chunk::<POOL_WORDS>()).ok_or_else(crash)?;
    let address = *addrs.get(memory as usize).ok_or_else(crash)?;
    let memory = memories.get_mut(address as usize).ok_or_else(crash)?;
    let lane = lane as usize;
    if access.lanes().is_some_and(|lanes| lane >= usize::from(lanes)) {
        return Err(crash());
    }
    let out = || Error::trap(TrapKind::MemoryOutOfBounds);
    let address = regs[op.a as usize].checked_add(u64::from(high) << 32 | u64::from(low)).ok_or_else(out)?;

    macro_rules! load {
        ($ty:ty) => {
            <$ty>::from_le_bytes(*bytes(memory, address, 0).ok_or_else(out)?)
        };
    }
    macro_rules! store {
        ($value:expr) => {{
            let value = $value.to_le_bytes();
            *bytes_mut(memory, address, 0).ok_or_else(out)? = value;
            return Ok(());
        }};
    }
    let result = match access {
        // Spec: vload, plain, splat, zero and of packed lanes.
        VectorAccess::V128Load => load!(u128),
        VectorAccess::V128Load8x8S => widen(load!(u64).into(), Low, |x: i8| i16::from(x)),
        VectorAccess::V128Load8x8U => widen(load!(u64).into(), Low, |x: u8| u16::from(x)),
        VectorAccess::V128Load16x4S => widen(load!(u64).into(), Low, |x: i16| i32::from(x)),
        VectorAccess::V128Load16x4U => widen(load!(u64).into(), Low, |x: u16| u32::from(x)),
        VectorAccess::V128Load32x2S => widen(load!(u64).into(), Low, |x: i32| i64::from(x)),
        VectorAccess::V128Load32x2U => widen(load!(u64).into(), Low, |x: u32| u64::from(x)),
        VectorAccess::V128Load8Splat => splat(load!(u8)),
        VectorAccess::V128Load16Splat => splat(load!(u16)),
        VectorAccess::V128Load32Splat => splat(load!(u32)),
        VectorAccess::V128Load64Splat => splat(load!(u64)),
        VectorAccess::V128Load32Zero => load!(u32).into(),
        VectorAccess::V128Load64Zero => load!(u64).into(),
        // Spec: vload_lane.
        VectorAccess::V128Load8Lane => replace(read(regs, vector), lane, load!(u8)),
        VectorAccess::V128Load16Lane => replace(read(regs, vector), lane, load!(u16)),
        VectorAccess::V128Load32Lane => replace(read(regs, vector), lane, load!(u32)),
        VectorAccess::V128Load64Lane => replace(read(regs, vector), lane, load!(u64)),
        // Spec: vstore, vstore_lane.
        VectorAccess::V128Store => store!(read(regs, op.d)),
        VectorAccess::V128Store8Lane => store!(extract::<u8>(read(regs, op.d), lane)),
        VectorAccess::V128Store16Lane => store!(extract::<u16>(read(regs, op.d), lane)),
        VectorAccess::V128Store32Lane => store!(extract::<u32>(read(regs, op.d), lane)),
        VectorAccess::V128Store64Lane => store!(extract::<u64>(read(regs, op.d), lane)),
    };
    write(regs, op.d, result);
    Ok(())
}
