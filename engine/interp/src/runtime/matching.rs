//! External typing (spec: Validation / Matching, external types): whether a definition satisfies an import.

use super::store::{PAGE_SIZE, Store};
use super::value::Extern;
use crate::error::{Error, Result};
use crate::syntax::module::ImportDesc;
use crate::syntax::types::{GlobalType, Limits, MapHeapTypes, RefType, TypeId};

impl Store {
    /// Checks one import; `ids` are the canonical types of the importing module.
    pub(crate) fn check_import(
        &self,
        desc: &ImportDesc,
        ids: &[TypeId],
        given: Extern,
        name: (&str, &str),
    ) -> Result<()> {
        let error = || Err(Error::link(format!("incompatible import type for {:?} {:?}", name.0, name.1)));
        let unknown = || Error::usage("unknown address among the imports");
        let type_id = |index: crate::syntax::types::TypeIndex| {
            ids.get(index.0 as usize).copied().ok_or_else(|| Error::crash("unknown type of an import"))
        };
        let matches = match (*desc, given) {
            (ImportDesc::Func(index), Extern::Func(addr)) => {
                let func = self.funcs.get(addr.index()).ok_or_else(unknown)?;
                self.types.is_subtype(func.ty, type_id(index)?)
            }
            (ImportDesc::Tag(index), Extern::Tag(addr)) => {
                *self.tags.get(addr.index()).ok_or_else(unknown)? == type_id(index)?
            }
            (ImportDesc::Table(wanted), Extern::Table(addr)) => {
                let table = self.tables.get(addr.index()).ok_or_else(unknown)?;
                let element = canonical_ref(wanted.element, ids);
                table.ty.addr == wanted.addr
                    && limits_match(table.elements.len() as u64, table.ty.limits.max, wanted.limits)
                    && self.types.ref_matches(table.ty.element, element)
                    && self.types.ref_matches(element, table.ty.element)
            }
            (ImportDesc::Memory(wanted), Extern::Memory(addr)) => {
                let memory = self.memories.get(addr.index()).ok_or_else(unknown)?;
                let pages = memory.size as u64 / PAGE_SIZE;
                memory.ty.addr == wanted.addr && limits_match(pages, memory.ty.limits.max, wanted.limits)
            }
            (ImportDesc::Global(wanted), Extern::Global(addr)) => {
                let global = self.globals.get(addr.index()).ok_or_else(unknown)?;
                let wanted = canonical_global(wanted, ids);
                global.ty.mutable == wanted.mutable
                    && self.types.val_matches(global.ty.value, wanted.value)
                    && (!wanted.mutable || self.types.val_matches(wanted.value, global.ty.value))
            }
            _ => false,
        };
        if matches { Ok(()) } else { error() }
    }
}

/// Spec: limits matching.
fn limits_match(size: u64, max: Option<u64>, wanted: Limits) -> bool {
    size >= wanted.min
        && match (max, wanted.max) {
            (_, None) => true,
            (Some(max), Some(wanted)) => max <= wanted,
            (None, Some(_)) => false,
        }
}

/// Replaces module type indices by canonical ids; the indices have been checked by the decoder.
pub(crate) fn canonical_ref(ty: RefType, ids: &[TypeId]) -> RefType {
    ty.map_heap_types(&mut |heap| canonical_heap(heap, ids))
}

pub(crate) fn canonical_global(ty: GlobalType, ids: &[TypeId]) -> GlobalType {
    GlobalType { mutable: ty.mutable, value: ty.value.map_heap_types(&mut |heap| canonical_heap(heap, ids)) }
}

pub(crate) fn canonical_heap(
    heap: crate::syntax::types::HeapType,
    ids: &[TypeId],
) -> crate::syntax::types::HeapType {
    use crate::syntax::types::HeapType;
    match heap {
        HeapType::Index(index) => ids.get(index.0 as usize).map_or(HeapType::None, |&id| HeapType::Canon(id)),
        other => other,
    }
}
