//! Memory instructions that generated code does not inline (spec "Memory Instructions").

use assay_jit::TrapCode;

use crate::Error;
use crate::instance::segment_range;
use crate::memory::MemoryData;
use crate::store::StoreInner;

/// One unit of fuel per started 64 bytes.
fn cost(bytes: u64) -> u64 {
    bytes.div_ceil(64)
}

fn out_of_bounds() -> Error {
    Error::of_trap(TrapCode::MemoryOutOfBounds)
}

impl StoreInner {
    fn memory_number(&self, instance: u32, memory: u32) -> usize {
        self.state.instances[instance as usize].memories[memory as usize] as usize
    }

    /// Two memories at once; `None` when they are the same.
    fn memory_pair(&mut self, left: usize, right: usize) -> Option<(&mut MemoryData, &mut MemoryData)> {
        let [left, right] = self.state.memories.get_disjoint_mut([left, right]).ok()?;
        Some((left, right))
    }

    /// `memory.grow`: the old size in pages, or -1.
    pub(super) fn memory_grow(&mut self, instance: u32, memory: u32, delta: u64) -> Result<u64, Error> {
        let at = self.memory_number(instance, memory);
        if !self.state.memories[at].may_grow(delta) || !self.state.may_add_pages(delta) {
            return Ok(u64::MAX);
        }
        self.charge(delta)?;
        let memory = &mut self.state.memories[at];
        let old = memory.pages();
        Ok(if memory.grow(delta) { old } else { u64::MAX })
    }

    /// `memory.copy`.
    pub(super) fn memory_copy(
        &mut self,
        instance: u32,
        dst_memory: u32,
        src_memory: u32,
        dst: u64,
        src: u64,
        len: u64,
    ) -> Result<(), Error> {
        let (to, from) = (self.memory_number(instance, dst_memory), self.memory_number(instance, src_memory));
        let dst = self.state.memories[to].range(dst, len).ok_or_else(out_of_bounds)?;
        let src = self.state.memories[from].range(src, len).ok_or_else(out_of_bounds)?;
        self.charge(cost(len))?;
        match self.memory_pair(to, from) {
            Some((to, from)) => to.bytes_mut()[dst].copy_from_slice(&from.bytes()[src]),
            None => self.state.memories[to].bytes_mut().copy_within(src, dst.start),
        }
        Ok(())
    }

    /// `memory.fill`.
    pub(super) fn memory_fill(
        &mut self,
        instance: u32,
        memory: u32,
        dst: u64,
        byte: u8,
        len: u64,
    ) -> Result<(), Error> {
        let at = self.memory_number(instance, memory);
        let range = self.state.memories[at].range(dst, len).ok_or_else(out_of_bounds)?;
        self.charge(cost(len))?;
        self.state.memories[at].bytes_mut()[range].fill(byte);
        Ok(())
    }

    /// `memory.init`.
    pub(super) fn memory_init_charged(
        &mut self,
        instance: u32,
        memory: u32,
        data: u32,
        dst: u64,
        src: u32,
        len: u32,
    ) -> Result<(), Error> {
        let at = self.memory_number(instance, memory);
        self.state.memories[at].range(dst, u64::from(len)).ok_or_else(out_of_bounds)?;
        let segment = &self.state.instances[instance as usize].data[data as usize];
        segment_range(segment.len(), u64::from(src), u64::from(len)).ok_or_else(out_of_bounds)?;
        self.charge(cost(u64::from(len)))?;
        self.memory_init(instance, memory, data, dst, u64::from(src), u64::from(len))
    }
}
