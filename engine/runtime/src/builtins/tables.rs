//! Table instructions that generated code does not inline (spec "Table Instructions").

use assay_gc::GcRef;
use assay_jit::TrapCode;

use crate::Error;
use crate::instance::segment_range;
use crate::store::StoreInner;

fn out_of_bounds() -> Error {
    Error::of_trap(TrapCode::TableOutOfBounds)
}

impl StoreInner {
    fn table_number(&self, instance: u32, table: u32) -> usize {
        self.state.instances[instance as usize].tables[table as usize] as usize
    }

    /// `table.grow`: the old size, or -1.
    pub(super) fn table_grow(
        &mut self,
        instance: u32,
        table: u32,
        delta: u64,
        init: u32,
    ) -> Result<u64, Error> {
        let at = self.table_number(instance, table);
        if !self.state.tables[at].may_grow(delta) || !self.state.may_add_elements(delta) {
            return Ok(u64::MAX);
        }
        self.charge(delta)?;
        Ok(self.grow_table(at, delta, GcRef(init)).unwrap_or(u64::MAX))
    }

    /// `table.copy`.
    pub(super) fn table_copy(
        &mut self,
        instance: u32,
        dst_table: u32,
        src_table: u32,
        dst: u64,
        src: u64,
        len: u64,
    ) -> Result<(), Error> {
        let (to, from) = (self.table_number(instance, dst_table), self.table_number(instance, src_table));
        let dst = self.state.tables[to].range(dst, len).ok_or_else(out_of_bounds)?;
        let src = self.state.tables[from].range(src, len).ok_or_else(out_of_bounds)?;
        self.charge(len)?;
        self.table_barrier(to, dst.clone(), |state, index| state.tables[from].elements()[src.start + index]);
        match self.state.tables.get_disjoint_mut([to, from]) {
            Ok([to, from]) => to.elements_mut()[dst].copy_from_slice(&from.elements()[src]),
            Err(_) => self.state.tables[to].elements_mut().copy_within(src, dst.start),
        }
        Ok(())
    }

    /// `table.fill`.
    pub(super) fn table_fill(
        &mut self,
        instance: u32,
        table: u32,
        dst: u64,
        value: u32,
        len: u64,
    ) -> Result<(), Error> {
        let at = self.table_number(instance, table);
        let range = self.state.tables[at].range(dst, len).ok_or_else(out_of_bounds)?;
        self.charge(len)?;
        self.table_barrier(at, range.clone(), |_, _| GcRef(value));
        self.state.tables[at].elements_mut()[range].fill(GcRef(value));
        Ok(())
    }

    /// `table.init`.
    pub(super) fn table_init_charged(
        &mut self,
        instance: u32,
        table: u32,
        elem: u32,
        dst: u64,
        src: u32,
        len: u32,
    ) -> Result<(), Error> {
        let at = self.table_number(instance, table);
        self.state.tables[at].range(dst, u64::from(len)).ok_or_else(out_of_bounds)?;
        let segment = &self.state.instances[instance as usize].elements[elem as usize];
        segment_range(segment.items.len(), u64::from(src), u64::from(len)).ok_or_else(out_of_bounds)?;
        self.charge(u64::from(len))?;
        self.table_init(instance, table, elem, dst, u64::from(src), u64::from(len))
    }
}
