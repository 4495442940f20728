//! Types (spec: Validation / Types): rec groups, sub types and their supertypes, limits.

use super::context::Context;
use super::{MAX_ARITY, MAX_FIELDS, Rule};
use crate::error::{Error, Result};
use crate::runtime::types::Types;
use crate::syntax::types::{
    AddrType, CompositeType, FieldType, GlobalType, HeapType, Limits, MapHeapTypes, MemoryType, RecGroup,
    RefType, StorageType, TableType, TypeId, TypeIndex, ValType,
};

/// Which premise of `comptype <: comptype` fails, if one does (spec: Matching / Composite Types).
fn composite_mismatch(types: &Types, sub: &CompositeType, sup: &CompositeType) -> Option<Rule> {
    match (sub, sup) {
        (CompositeType::Func(sub), CompositeType::Func(sup)) => {
            if !types.vals_match(&sup.params, &sub.params) {
                Some(Rule::SubtypeParams)
            } else if !types.vals_match(&sub.results, &sup.results) {
                Some(Rule::SubtypeResults)
            } else {
                None
            }
        }
        (CompositeType::Struct(sub), CompositeType::Struct(sup)) => {
            if sub.len() < sup.len() {
                return Some(Rule::SubtypeFields);
            }
            sub.iter().zip(sup).find_map(|(&sub, &sup)| field_mismatch(types, sub, sup))
        }
        (CompositeType::Array(sub), CompositeType::Array(sup)) => field_mismatch(types, *sub, *sup),
        (CompositeType::Func(_) | CompositeType::Struct(_) | CompositeType::Array(_), _) => {
            Some(Rule::SubtypeKind)
        }
    }
}

/// Spec: Matching / Field Types: constant fields are covariant, mutable ones invariant.
fn field_mismatch(types: &Types, sub: FieldType, sup: FieldType) -> Option<Rule> {
    if sub.mutable != sup.mutable {
        Some(Rule::SubtypeMutability)
    } else if !types.storage_matches(sub.storage, sup.storage) {
        Some(Rule::SubtypeStorage)
    } else if sup.mutable && !types.storage_matches(sup.storage, sub.storage) {
        Some(Rule::SubtypeStorageMutable)
    } else {
        None
    }
}

impl Context {
    /// Spec: recursive types. `several_supers` is where a member with more than one supertype stands; those beyond the
    /// first are not in the syntax.
    pub(crate) fn rec_group(
        &mut self,
        group: &RecGroup,
        several_supers: Option<usize>,
        at: usize,
    ) -> Result<()> {
        if let Some(at) = several_supers {
            return Err(Error::invalid(Rule::SupertypeCount, at, "sub type with several supertypes"));
        }
        let first = self.ids.len();
        let end = first + group.types.len();
        for (place, ty) in group.types.iter().enumerate() {
            if let Err(limit) = within_limits(&ty.composite, at) {
                self.meet(limit);
            }
            let mut unknown = None;
            ty.map_heap_types(&mut |heap| {
                if let HeapType::Index(TypeIndex(index)) = heap
                    && index as usize >= end
                {
                    unknown = Some(index);
                }
                heap
            });
            if let Some(index) = unknown {
                return Err(Error::invalid(Rule::UnknownType, at, format!("unknown type {index}")));
            }
            if let Some(HeapType::Index(TypeIndex(index))) = ty.supertype
                && index as usize >= first + place
            {
                let message = format!("sub type: unknown type {index}, supertypes are declared before");
                return Err(Error::invalid(Rule::SupertypeOrder, at, message));
            }
        }
        self.types.add_rec_group(group, &mut self.ids)?;
        self.defaultable.extend(group.types.iter().map(|ty| has_default(&ty.composite)));
        let ids = &self.ids[first..];
        for (place, (&id, ty)) in ids.iter().zip(&group.types).enumerate() {
            let Some(HeapType::Index(TypeIndex(sup))) = ty.supertype else { continue };
            let (Some(sub), Some(sup)) =
                (self.types.get(id), self.ids.get(sup as usize).and_then(|&id| self.types.get(id)))
            else {
                return Err(Error::crash_at(at, "a type without an id"));
            };
            let index = first + place;
            if sup.ty.is_final {
                let message = format!("sub type {index} does not match its super type, which is final");
                return Err(Error::invalid(Rule::SupertypeFinal, at, message));
            }
            if let Some(rule) = composite_mismatch(&self.types, &sub.ty.composite, &sup.ty.composite) {
                return Err(Error::invalid(
                    rule,
                    at,
                    format!("sub type {index} does not match its super type"),
                ));
            }
        }
        Ok(())
    }

    /// The canonical form of a heap type, if it is valid.
    pub(super) fn heap_type(&self, heap: HeapType, at: usize) -> Result<HeapType> {
        match heap {
            HeapType::Index(index) => Ok(HeapType::Canon(self.type_id(index, at)?)),
            other => Ok(other),
        }
    }

    pub(super) fn ref_type(&self, ty: RefType, at: usize) -> Result<RefType> {
        Ok(RefType { nullable: ty.nullable, heap: self.heap_type(ty.heap, at)? })
    }

    pub(crate) fn val_type(&self, ty: ValType, at: usize) -> Result<ValType> {
        Ok(match ty {
            ValType::Ref(ty) => ValType::Ref(self.ref_type(ty, at)?),
            other => other,
        })
    }

    /// The id of a type index (spec: type uses).
    pub(super) fn type_id(&self, index: TypeIndex, at: usize) -> Result<TypeId> {
        match self.ids.get(index.0 as usize) {
            Some(&id) => Ok(id),
            None => Err(Error::invalid(Rule::UnknownType, at, format!("unknown type {}", index.0))),
        }
    }

    pub(super) fn global_type(&self, ty: GlobalType, at: usize) -> Result<GlobalType> {
        Ok(GlobalType { mutable: ty.mutable, value: self.val_type(ty.value, at)? })
    }

    /// Spec: memory types: at most 2^16 pages of a 32-bit memory, 2^48 of a 64-bit one.
    pub(super) fn memory_type(&self, ty: MemoryType, at: usize) -> Result<MemoryType> {
        let range = match ty.addr {
            AddrType::I32 => 1 << 16,
            AddrType::I64 => 1 << 48,
        };
        limits(ty.limits, range, Rule::MemoryLimits, "memory size", at)?;
        Ok(ty)
    }

    /// Spec: table types.
    pub(super) fn table_type(&self, ty: TableType, at: usize) -> Result<TableType> {
        let range = match ty.addr {
            AddrType::I32 => u64::from(u32::MAX),
            AddrType::I64 => u64::MAX,
        };
        limits(ty.limits, range, Rule::TableLimits, "table size", at)?;
        Ok(TableType { element: self.ref_type(ty.element, at)?, ..ty })
    }
}

/// Spec: limits.
fn limits(limits: Limits, range: u64, rule: Rule, what: &'static str, at: usize) -> Result<()> {
    if limits.min > range || limits.max.is_some_and(|max| max > range) {
        return Err(Error::invalid(rule, at, format!("{what} must be at most {range:#x}")));
    }
    if limits.max.is_some_and(|max| limits.min > max) {
        let message = "size minimum must not be greater than maximum";
        return Err(Error::invalid(Rule::LimitsOrder, at, message));
    }
    Ok(())
}

/// Implementation limits, without which a short module would need long work.
fn within_limits(ty: &CompositeType, at: usize) -> Result<()> {
    let message = match ty {
        CompositeType::Func(ty) if ty.params.len().max(ty.results.len()) > MAX_ARITY => {
            format!("more than {MAX_ARITY} parameters or results")
        }
        CompositeType::Struct(fields) if fields.len() > MAX_FIELDS => {
            format!("more than {MAX_FIELDS} fields")
        }
        CompositeType::Func(_) | CompositeType::Struct(_) | CompositeType::Array(_) => return Ok(()),
    };
    Err(Error::unsupported(at, message))
}

/// Spec: defaultable types.
pub(super) fn is_defaultable(ty: ValType) -> bool {
    match ty {
        ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 | ValType::V128 => true,
        ValType::Ref(ty) => ty.nullable,
    }
}

/// Whether it is a struct type whose fields all have default values.
fn has_default(ty: &CompositeType) -> bool {
    match ty {
        CompositeType::Struct(fields) => fields.iter().all(|field| is_defaultable(field.storage.unpack())),
        CompositeType::Func(_) | CompositeType::Array(_) => false,
    }
}

/// Whether an element can come from a data segment.
pub(super) fn is_numeric_or_vector(storage: StorageType) -> bool {
    match storage.unpack() {
        ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 | ValType::V128 => true,
        ValType::Ref(_) => false,
    }
}
