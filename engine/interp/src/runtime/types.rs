//! Canonical types of a store (spec: Types / Recursive types, rolling and unrolling; Validation / Matching).
//!
//! Each rec group is closed over canonical ids and looked up by structure, so two types are equal exactly if their ids
//! are. Subtyping of concrete types is the declared chain of supertypes, with skip pointers: a chain
//! of depth n costs O(log n) and no recursion.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::syntax::types::{
    CompositeType, FuncType, HeapType, MapHeapTypes, RecGroup, RefType, StorageType, SubType, TypeId,
    TypeIndex, ValType,
};

/// A canonical rec group of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub(crate) u32);

impl GroupId {
    /// A dense number, unique in the store.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The four hierarchies of heap types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hierarchy {
    Any,
    Func,
    Extern,
    Exn,
}

/// How objects of an aggregate type are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ElementKind {
    Bits8,
    Bits16,
    Bits32,
    Bits64,
    Bits128,
    Ref,
}

impl ElementKind {
    fn of(storage: StorageType) -> ElementKind {
        match storage {
            StorageType::I8 => ElementKind::Bits8,
            StorageType::I16 => ElementKind::Bits16,
            StorageType::Val(ValType::I32 | ValType::F32) => ElementKind::Bits32,
            StorageType::Val(ValType::Ref(_)) => ElementKind::Ref,
            StorageType::Val(ValType::I64 | ValType::F64) => ElementKind::Bits64,
            StorageType::Val(ValType::V128) => ElementKind::Bits128,
        }
    }

    /// Bytes of an element in segments and in the size formula.
    pub(crate) fn size(self) -> u64 {
        match self {
            ElementKind::Bits8 => 1,
            ElementKind::Bits16 => 2,
            ElementKind::Bits32 | ElementKind::Ref => 4,
            ElementKind::Bits64 => 8,
            ElementKind::Bits128 => 16,
        }
    }

    /// Slots of an element on the operand stack.
    pub(crate) fn slots(self) -> usize {
        if self == ElementKind::Bits128 { 2 } else { 1 }
    }
}

pub(crate) struct CanonicalType {
    pub(crate) group: GroupId,
    pub(crate) place: u32,
    /// With canonical ids throughout.
    pub(crate) ty: SubType,
    supertype: Option<TypeId>,
    depth: u32,
    /// An ancestor further up (itself at the root).
    skip: TypeId,
    /// Slots of a struct.
    pub(crate) slots: u32,
    /// See [`SubType::field_slots`].
    field_slots: Box<[u32]>,
    /// Slots of a struct's reference fields; of a function type's reference parameters.
    pub(crate) ref_fields: Box<[u32]>,
    /// Slots of a struct's packed fields, with the bits that are kept.
    pub(crate) packed_fields: Box<[(u32, u64)]>,
    /// Bytes of a struct, or of an exception with a function type's parameters, by the size formula.
    pub(crate) struct_size: u64,
    /// Kind of an array's elements.
    pub(crate) element: Option<ElementKind>,
}

impl CanonicalType {
    /// The slot of a struct's field.
    pub(crate) fn field_slot(&self, field: usize) -> usize {
        self.field_slots.get(field).map_or(field, |&slot| slot as usize)
    }
}

#[derive(Default)]
pub(crate) struct Types {
    types: Vec<CanonicalType>,
    groups: Vec<(TypeId, Arc<RecGroup>)>,
    by_structure: HashMap<Arc<RecGroup>, GroupId>,
}

impl Types {
    pub(crate) fn new() -> Types {
        Types { types: Vec::new(), groups: Vec::new(), by_structure: HashMap::new() }
    }

    /// Gives ids to a module's rec groups; the result maps type indices to ids.
    pub(crate) fn add_module(&mut self, groups: &[RecGroup]) -> Result<Vec<TypeId>> {
        let mut ids: Vec<TypeId> = Vec::new();
        for group in groups {
            self.add_rec_group(group, &mut ids)?;
        }
        Ok(ids)
    }

    /// Gives ids to a module's next rec group; `ids` has those of the groups before.
    pub(crate) fn add_rec_group(&mut self, group: &RecGroup, ids: &mut Vec<TypeId>) -> Result<()> {
        let first_index = ids.len() as u32;
        let mut failed = false;
        let mut close = |heap| match heap {
            HeapType::Index(TypeIndex(index)) => match ids.get(index as usize) {
                Some(&id) => HeapType::Canon(id),
                None => {
                    let place = index - first_index;
                    failed |= place as usize >= group.types.len();
                    HeapType::Rec(place)
                }
            },
            other => other,
        };
        let types = group.types.iter().map(|ty| ty.map_heap_types(&mut close)).collect();
        if failed {
            return Err(Error::crash("unknown type in a rec group"));
        }
        let id = self.add_group(RecGroup { types })?;
        let first = self.groups[id.index()].0;
        ids.extend((0..group.types.len() as u32).map(|place| TypeId(first.0 + place)));
        Ok(())
    }

    /// Gives an id to a function type whose concrete heap types are canonical, as a group of its own.
    pub(crate) fn add_func_type(&mut self, ty: &FuncType) -> Result<TypeId> {
        let mut unknown = false;
        ty.map_heap_types(&mut |heap| {
            unknown |= match heap {
                HeapType::Canon(id) => id.index() >= self.types.len(),
                HeapType::Index(_) | HeapType::Rec(_) => true,
                _ => false,
            };
            heap
        });
        if unknown {
            return Err(Error::usage("function type with a concrete heap type that is not of this store"));
        }
        let ty = SubType { is_final: true, supertype: None, composite: CompositeType::Func(ty.clone()) };
        let id = self.add_group(RecGroup { types: vec![ty] })?;
        Ok(self.groups[id.index()].0)
    }

    /// `group` refers to its own members by `Rec`, to others by `Canon`.
    fn add_group(&mut self, group: RecGroup) -> Result<GroupId> {
        if let Some(&id) = self.by_structure.get(&group) {
            return Ok(id);
        }
        let id = GroupId(self.groups.len() as u32);
        let first = TypeId(self.types.len() as u32);
        let group = Arc::new(group);
        let mut open = |heap| match heap {
            HeapType::Rec(place) => HeapType::Canon(TypeId(first.0 + place)),
            other => other,
        };
        for (place, ty) in group.types.iter().enumerate() {
            let ty = ty.map_heap_types(&mut open);
            let this = TypeId(first.0 + place as u32);
            let supertype = match ty.supertype {
                Some(HeapType::Canon(id)) if id < this => Some(id),
                None => None,
                _ => return Err(Error::crash("supertype that is not declared before its subtype")),
            };
            let (depth, skip) = match supertype {
                None => (0, this),
                Some(parent) => {
                    // Skew-binary skip pointers: two equal jumps in a row merge into one of twice the length.
                    let p = &self.types[parent.index()];
                    let q = &self.types[p.skip.index()];
                    let r = &self.types[q.skip.index()];
                    let merge = p.depth - q.depth == q.depth - r.depth;
                    (p.depth + 1, if merge { q.skip } else { parent })
                }
            };
            let (mut ref_fields, mut packed_fields) = (Vec::new(), Vec::new());
            let (mut slots, mut struct_size, mut element) = (0, 0, None);
            match &ty.composite {
                // Of the exceptions whose tag has this type.
                CompositeType::Func(ty) => {
                    struct_size = 12;
                    let mut slot = 0;
                    for &param in &ty.params {
                        struct_size = StorageType::Val(param).end(struct_size);
                        if matches!(param, ValType::Ref(_)) {
                            ref_fields.push(slot);
                        }
                        slot += param.slots();
                    }
                    struct_size = struct_size.next_multiple_of(8);
                }
                CompositeType::Struct(fields) => {
                    struct_size = 8;
                    for field in fields {
                        struct_size = field.storage.end(struct_size);
                        match field.storage {
                            StorageType::I8 => packed_fields.push((slots, 0xff)),
                            StorageType::I16 => packed_fields.push((slots, 0xffff)),
                            StorageType::Val(ValType::Ref(_)) => ref_fields.push(slots),
                            StorageType::Val(_) => {}
                        }
                        slots += field.storage.unpack().slots();
                    }
                    struct_size = struct_size.next_multiple_of(8);
                }
                CompositeType::Array(field) => element = Some(ElementKind::of(field.storage)),
            }
            self.types.push(CanonicalType {
                group: id,
                place: place as u32,
                slots,
                field_slots: ty.field_slots(),
                ty,
                supertype,
                depth,
                skip,
                ref_fields: ref_fields.into(),
                packed_fields: packed_fields.into(),
                struct_size,
                element,
            });
        }
        self.groups.push((first, group.clone()));
        self.by_structure.insert(group, id);
        Ok(id)
    }

    pub(crate) fn get(&self, id: TypeId) -> Option<&CanonicalType> {
        self.types.get(id.index())
    }

    pub(crate) fn group(&self, id: GroupId) -> Option<&(TypeId, Arc<RecGroup>)> {
        self.groups.get(id.index())
    }

    pub(crate) fn func_type(&self, id: TypeId) -> Option<&FuncType> {
        match &self.get(id)?.ty.composite {
            CompositeType::Func(ty) => Some(ty),
            _ => None,
        }
    }

    /// Whether `sub` is `sup` or a declared descendant of it.
    pub(crate) fn is_subtype(&self, sub: TypeId, sup: TypeId) -> bool {
        if sub == sup {
            return true;
        }
        let (Some(mut at), Some(target)) = (self.get(sub), self.get(sup)) else { return false };
        let mut id = sub;
        while at.depth > target.depth {
            let skipped = &self.types[at.skip.index()];
            id = if skipped.depth >= target.depth { at.skip } else { at.supertype.unwrap_or(at.skip) };
            at = &self.types[id.index()];
        }
        id == sup
    }

    pub(crate) fn hierarchy(&self, heap: HeapType) -> Hierarchy {
        match heap {
            HeapType::Func | HeapType::NoFunc => Hierarchy::Func,
            HeapType::Extern | HeapType::NoExtern => Hierarchy::Extern,
            HeapType::Exn | HeapType::NoExn => Hierarchy::Exn,
            HeapType::Canon(id) => match self.get(id).map(|ty| &ty.ty.composite) {
                Some(CompositeType::Func(_)) => Hierarchy::Func,
                _ => Hierarchy::Any,
            },
            _ => Hierarchy::Any,
        }
    }

    /// Spec: heap type matching.
    pub(crate) fn heap_matches(&self, sub: HeapType, sup: HeapType) -> bool {
        use HeapType::*;
        if sub == sup {
            return true;
        }
        match (sub, sup) {
            (Canon(sub), Canon(sup)) => self.is_subtype(sub, sup),
            (Canon(id), _) => match self.get(id).map(|ty| &ty.ty.composite) {
                Some(CompositeType::Func(_)) => sup == Func,
                Some(CompositeType::Struct(_)) => matches!(sup, Struct | Eq | Any),
                Some(CompositeType::Array(_)) => matches!(sup, Array | Eq | Any),
                Option::None => false,
            },
            (None, _) => self.hierarchy(sup) == Hierarchy::Any,
            (NoFunc, _) => self.hierarchy(sup) == Hierarchy::Func,
            (NoExtern, _) => sup == Extern,
            (NoExn, _) => sup == Exn,
            (I31 | Struct | Array, Eq | Any) | (Eq, Any) => true,
            _ => false,
        }
    }

    /// Spec: reference type matching.
    pub(crate) fn ref_matches(&self, sub: RefType, sup: RefType) -> bool {
        (sup.nullable || !sub.nullable) && self.heap_matches(sub.heap, sup.heap)
    }

    /// Spec: value type matching.
    pub(crate) fn val_matches(&self, sub: ValType, sup: ValType) -> bool {
        match (sub, sup) {
            (ValType::Ref(sub), ValType::Ref(sup)) => self.ref_matches(sub, sup),
            _ => sub == sup,
        }
    }

    /// Spec: result type matching.
    pub(crate) fn vals_match(&self, sub: &[ValType], sup: &[ValType]) -> bool {
        sub.len() == sup.len() && sub.iter().zip(sup).all(|(&sub, &sup)| self.val_matches(sub, sup))
    }

    /// Spec: storage type matching.
    pub(crate) fn storage_matches(&self, sub: StorageType, sup: StorageType) -> bool {
        match (sub, sup) {
            (StorageType::Val(sub), StorageType::Val(sup)) => self.val_matches(sub, sup),
            (StorageType::I8 | StorageType::I16 | StorageType::Val(_), _) => sub == sup,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::types::FieldType;

    fn structure(supertype: Option<u32>, fields: &[ValType]) -> SubType {
        let field = |&ty| FieldType { storage: StorageType::Val(ty), mutable: false };
        SubType {
            is_final: false,
            supertype: supertype.map(|index| HeapType::Index(TypeIndex(index))),
            composite: CompositeType::Struct(fields.iter().map(field).collect()),
        }
    }

    fn reference(index: u32) -> ValType {
        ValType::Ref(RefType::nullable(HeapType::Index(TypeIndex(index))))
    }

    #[test]
    fn equal_groups_are_one_type() {
        let mut types = Types::new();
        let list = |index| RecGroup { types: vec![structure(None, &[ValType::I32, reference(index)])] };
        let ids = types.add_module(&[list(0), list(1)]).unwrap();
        assert_eq!(ids[0], ids[1]);
        // Refers to the group before instead of to itself: another type.
        let ids = types.add_module(&[list(0), list(0)]).unwrap();
        assert_ne!(ids[0], ids[1]);
    }

    #[test]
    fn a_place_in_another_group_is_another_type() {
        let mut types = Types::new();
        let pair = RecGroup { types: vec![structure(None, &[]), structure(None, &[])] };
        let single = RecGroup { types: vec![structure(None, &[])] };
        let ids = types.add_module(&[pair, single]).unwrap();
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    }

    #[test]
    fn subtyping_along_a_deep_chain() {
        let mut types = Types::new();
        let chain = |i: u32| RecGroup { types: vec![structure(i.checked_sub(1), &[])] };
        let groups: Vec<_> = (0..20_000).map(chain).collect();
        let ids = types.add_module(&groups).unwrap();
        for (sub, sup) in [(19_999, 0), (19_999, 1), (12_345, 12_344), (8_191, 4_095), (77, 77)] {
            assert!(types.is_subtype(ids[sub], ids[sup]), "{sub} {sup}");
            assert!(sub == sup || !types.is_subtype(ids[sup], ids[sub]));
        }
    }
}
