//! Alias regions: which accesses can touch the same bytes. Two accesses of different regions never do, which Cranelift
//! uses to forward stores and to merge loads; a call ends all such knowledge.

use std::borrow::Cow;

use cranelift_codegen::ir::{AliasRegion, AliasRegionData, MemFlagsData};

use super::{FuncTranslator, clif_trap};
use crate::TrapCode;

/// A kind of memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Region {
    /// What never changes during a function: vmctx fields, builtin addresses, type rows, arrays of pointers.
    Constant,
    /// Fields of the store context that calls may change, function entries included.
    Store,
    /// The fuel counter.
    Fuel,
    /// Rows of the canonical types.
    TypeRow,
    /// The mutator's state: allocation, marking.
    Mutator,
    /// Entries of the barrier's log.
    Log,
    /// The card table.
    Cards,
    /// Type words of objects.
    Header,
    /// The collector's words of objects.
    GcWord,
    /// Array lengths.
    ArrayLength,
    /// Traced reference fields and elements.
    FieldRef,
    /// Func id fields and elements.
    FieldFunc,
    /// 8-bit fields and elements.
    FieldI8,
    /// 16-bit fields and elements.
    FieldI16,
    /// 32-bit integer fields and elements.
    FieldI32,
    /// 64-bit integer fields and elements.
    FieldI64,
    /// 32-bit float fields and elements.
    FieldF32,
    /// 64-bit float fields and elements.
    FieldF64,
    /// 128-bit fields and elements.
    FieldV128,
    /// Base and length of tables and memories.
    Def,
    /// Elements of all tables.
    Table,
    /// The frame slots of live references.
    Spill,
    /// Imported memories: several imports can be the same one.
    ImportedMemory,
    /// The defined memory of this number (of all defined ones above a limit together).
    Memory(u32),
    /// Imported globals: several imports can be the same one.
    ImportedGlobal,
    /// The defined global of this number (of all defined ones above a limit together).
    Global(u32),
}

/// Defined memories and globals from this number on share one region, so that a function has a bounded number.
const NUMBERED: u32 = 1000;

impl Region {
    /// The region of memory `index`.
    pub(crate) fn memory(index: u32, imported: u32) -> Region {
        if index < imported { Region::ImportedMemory } else { Region::Memory(index.min(NUMBERED)) }
    }

    /// The region of global `index`.
    pub(crate) fn global(index: u32, imported: u32) -> Region {
        match index.checked_sub(imported) {
            None => Region::ImportedGlobal,
            Some(number) => Region::Global(number.min(NUMBERED)),
        }
    }

    /// Its number among all regions, and what CLIF shows of it. Defined memories and globals take turns after the others.
    fn number(self) -> (usize, &'static str) {
        match self {
            Region::Constant => (0, "Constant"),
            Region::Store => (1, "Store"),
            Region::Fuel => (2, "Fuel"),
            Region::TypeRow => (3, "TypeRow"),
            Region::Mutator => (4, "Mutator"),
            Region::Log => (5, "Log"),
            Region::Cards => (6, "Cards"),
            Region::Header => (7, "Header"),
            Region::GcWord => (8, "GcWord"),
            Region::ArrayLength => (9, "ArrayLength"),
            Region::FieldRef => (10, "FieldRef"),
            Region::FieldFunc => (11, "FieldFunc"),
            Region::FieldI8 => (12, "FieldI8"),
            Region::FieldI16 => (13, "FieldI16"),
            Region::FieldI32 => (14, "FieldI32"),
            Region::FieldI64 => (15, "FieldI64"),
            Region::FieldF32 => (16, "FieldF32"),
            Region::FieldF64 => (17, "FieldF64"),
            Region::FieldV128 => (18, "FieldV128"),
            Region::Def => (19, "Def"),
            Region::Table => (20, "Table"),
            Region::Spill => (21, "Spill"),
            Region::ImportedMemory => (22, "ImportedMemory"),
            Region::ImportedGlobal => (23, "ImportedGlobal"),
            Region::Memory(number) => (24 + 2 * number as usize, "Memory"),
            Region::Global(number) => (25 + 2 * number as usize, "Global"),
        }
    }
}

impl FuncTranslator<'_> {
    /// Flags of an access that cannot trap and is aligned.
    pub(crate) fn flags(&mut self, region: Region) -> MemFlagsData {
        MemFlagsData::trusted().with_alias_region(Some(self.alias_region(region)))
    }

    /// Flags of an access through a heap reference: a corrupt reference faults into a trap. It may be unaligned and
    /// cannot move above its null check.
    pub(crate) fn heap_flags(&mut self, region: Region) -> MemFlagsData {
        MemFlagsData::new()
            .with_trap_code(Some(clif_trap(TrapCode::CorruptHeap)))
            .with_alias_region(Some(self.alias_region(region)))
    }

    /// The Cranelift region of `region`.
    pub(crate) fn alias_region(&mut self, region: Region) -> AliasRegion {
        let (number, description) = region.number();
        if let Some(known) = self.regions.get(number).copied().flatten() {
            return known;
        }
        let data = AliasRegionData { user_id: number as u32, description: Cow::Borrowed(description) };
        let made = self.b.func.dfg.alias_regions.insert(data);
        if self.regions.len() <= number {
            self.regions.resize(number + 1, None);
        }
        self.regions[number] = Some(made);
        made
    }
}
