//! The engine-wide table of canonical types: finds or makes rec groups, hands out ids, frees them again.
//!
//! Invariant: an id is live from the registration of its group until the group's last handle is gone. A group's handle
//! holds the groups that it refers to, so the ids in a live definition are live. No handle is dropped under the lock,
//! since dropping the last one takes it.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use super::check::{Candidate, kind_of, references};
use super::rows::Rows;
use super::{
    CompositeType, FieldType, FuncType, HeapType, KIND_HOST, RefType, StorageType, SubType, TypeId, TypeRow,
    ValType,
};
use crate::header::MAX_TYPES;
use crate::layout::Layout;
use crate::{Error, ErrorKind};

/// The id of host boxes.
const HOST: TypeId = TypeId(1);

/// Keeps a registered rec group alive; cheap to clone.
#[derive(Clone)]
pub struct RecGroup {
    inner: Arc<Group>,
}

impl RecGroup {
    /// The ids of the group's types, in order.
    pub fn ids(&self) -> &[TypeId] {
        &self.inner.ids
    }
}

impl fmt::Debug for RecGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RecGroup").field(&self.inner.ids).finish()
    }
}

/// What the handles of one group share.
struct Group {
    ids: Box<[TypeId]>,
    key: Arc<[SubType]>,
    serial: u64,
    /// The groups that this one refers to.
    holds: Vec<RecGroup>,
    registry: Arc<TypeRegistry>,
}

impl Group {
    /// Frees the ids and gives up the handles of other groups. A second call finds nothing to do.
    fn retire(&mut self) -> Vec<RecGroup> {
        let ids = std::mem::take(&mut self.ids);
        if !ids.is_empty() {
            self.registry.free(&ids, &self.key, self.serial);
        }
        std::mem::take(&mut self.holds)
    }
}

impl Drop for Group {
    /// Walks a chain of groups that die together with a list, not by recursion.
    fn drop(&mut self) {
        let mut released = self.retire();
        while let Some(handle) = released.pop() {
            if let Some(mut group) = Arc::into_inner(handle.inner) {
                released.append(&mut group.retire());
            }
        }
    }
}

/// What the lock guards.
pub(super) struct Table {
    /// By id.
    slots: Vec<Option<Entry>>,
    free: Vec<u32>,
    live: usize,
    serial: u64,
    /// From a group's description to the group and its serial.
    canonical: HashMap<Arc<[SubType]>, (Weak<Group>, u64)>,
}

struct Entry {
    def: Arc<SubType>,
    layout: Option<Arc<Layout>>,
    group: Weak<Group>,
    index: u32,
}

impl Table {
    fn entry(&self, id: TypeId) -> Option<&Entry> {
        self.slots.get(id.0 as usize)?.as_ref()
    }

    pub(super) fn def(&self, id: TypeId) -> Option<&SubType> {
        self.entry(id).map(|entry| &*entry.def)
    }

    pub(super) fn layout(&self, id: TypeId) -> Option<Arc<Layout>> {
        self.entry(id)?.layout.clone()
    }
}

/// The engine-wide table of canonical types. Thread-safe; the rows' address never changes.
pub struct TypeRegistry {
    rows: Rows,
    table: RwLock<Table>,
    host_layout: Arc<Layout>,
}

impl fmt::Debug for TypeRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypeRegistry").field("live_types", &self.live_types()).finish_non_exhaustive()
    }
}

impl TypeRegistry {
    /// Reserves the rows.
    ///
    /// # Errors
    /// `Reservation` when address space is out.
    pub fn new() -> Result<Arc<TypeRegistry>, Error> {
        let rows = Rows::new()?;
        rows.fill(HOST.0, KIND_HOST, None);
        let table = Table {
            slots: vec![None, None], // no type, host boxes
            free: Vec::new(),
            live: 0,
            serial: 0,
            canonical: HashMap::new(),
        };
        Ok(Arc::new(TypeRegistry { rows, table: RwLock::new(table), host_layout: Arc::new(Layout::Host) }))
    }

    /// Registers a rec group (or finds the equal one). `Rec(i)` in `types` means `types[i]`. The caller holds the
    /// groups of the `Concrete` ids that it names.
    ///
    /// # Errors
    /// `TypeLimit`, `BadType`.
    pub fn register(self: &Arc<Self>, types: &[SubType]) -> Result<RecGroup, Error> {
        if let Some(group) = self.read().canonical.get(types).and_then(|(group, _)| group.upgrade()) {
            return Ok(RecGroup { inner: group });
        }
        // Declared before the guard and so dropped after it: these may turn out to be the last handles.
        let mut holds = Vec::new();
        let mut table = self.write();
        if let Some(group) = table.canonical.get(types).and_then(|(group, _)| group.upgrade()) {
            return Ok(RecGroup { inner: group });
        }
        let limit = MAX_TYPES as usize - 2;
        if table.live + types.len() > limit {
            return Err(Error::new(ErrorKind::TypeLimit { given: table.live + types.len(), limit }));
        }
        self.hold_referents(&table, types, &mut holds)?;
        let layouts = Candidate::new(types, &table, &self.rows).layouts()?;

        table.serial += 1;
        let serial = table.serial;
        let ids: Box<[TypeId]> = types.iter().map(|_| table.take_id()).collect();
        let key: Arc<[SubType]> = types.into();
        let group = Arc::new(Group { ids, key: key.clone(), serial, holds, registry: self.clone() });
        table.live += types.len();
        if !types.is_empty() {
            table.canonical.insert(key, (Arc::downgrade(&group), serial));
        }
        for (index, (ty, layout)) in types.iter().zip(layouts).enumerate() {
            let id = group.ids[index].0;
            let def = resolve(ty, &group.ids);
            let parent = match def.supertype {
                Some(HeapType::Concrete(parent)) => Some(parent.0),
                _ => None,
            };
            self.rows.fill(id, kind_of(&def.composite), parent);
            let entry =
                Entry { def: Arc::new(def), layout, group: Arc::downgrade(&group), index: index as u32 };
            table.slots[id as usize] = Some(entry);
        }
        Ok(RecGroup { inner: group })
    }

    /// The definition of a live type, with `Concrete` references only; `None` for a free id and for host boxes.
    pub fn get(&self, id: TypeId) -> Option<Arc<SubType>> {
        self.read().entry(id).map(|entry| entry.def.clone())
    }

    /// The live group that `id` belongs to and its index in it; `None` for a free id and for host boxes.
    pub fn group_of(&self, id: TypeId) -> Option<(RecGroup, u32)> {
        let table = self.read();
        let entry = table.entry(id)?;
        Some((RecGroup { inner: entry.group.upgrade()? }, entry.index))
    }

    /// The layout of a live struct or array type or of host boxes (computed once, at registration).
    pub fn layout(&self, id: TypeId) -> Option<Arc<Layout>> {
        if id == HOST { Some(self.host_layout.clone()) } else { self.read().layout(id) }
    }

    /// The `KIND_*` of a live type; 0 for a free id. Takes no lock.
    pub fn kind(&self, id: TypeId) -> u32 {
        self.rows.kind(id.0)
    }

    /// The id of host boxes (`KIND_HOST`); registered at creation.
    pub fn host_type(&self) -> TypeId {
        HOST
    }

    /// Address of row 0.
    pub fn rows_base(&self) -> *const TypeRow {
        self.rows.base()
    }

    /// How many types are live, host boxes not counted (for leak tests).
    pub fn live_types(&self) -> usize {
        self.read().live
    }

    pub(super) fn rows(&self) -> &Rows {
        &self.rows
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Collects a handle of each group that `types` refers to.
    fn hold_referents(
        &self,
        table: &Table,
        types: &[SubType],
        holds: &mut Vec<RecGroup>,
    ) -> Result<(), Error> {
        let mut seen = HashSet::new();
        for heap in types.iter().flat_map(references) {
            let HeapType::Concrete(id) = heap else { continue };
            let group = table.entry(id).and_then(|entry| entry.group.upgrade());
            let Some(group) = group else {
                return Err(Error::new(ErrorKind::BadType("reference to a free type id")));
            };
            // A second handle is dropped at once, which is not the last one.
            if seen.insert(group.serial) {
                holds.push(RecGroup { inner: group });
            }
        }
        Ok(())
    }

    fn free(&self, ids: &[TypeId], key: &Arc<[SubType]>, serial: u64) {
        let mut table = self.write();
        for id in ids.iter().rev() {
            self.rows.clear(id.0);
            table.slots[id.0 as usize] = None;
            table.free.push(id.0);
        }
        table.live -= ids.len();
        // An equal group may have been registered since this one lost its last handle.
        if table.canonical.get(key).is_some_and(|(_, entry)| *entry == serial) {
            table.canonical.remove(key);
        }
    }
}

impl Table {
    fn take_id(&mut self) -> TypeId {
        if let Some(id) = self.free.pop() {
            return TypeId(id);
        }
        self.slots.push(None);
        TypeId(self.slots.len() as u32 - 1)
    }
}

/// The definition with ids in the place of indices into its own group.
fn resolve(ty: &SubType, ids: &[TypeId]) -> SubType {
    let heap = |heap: HeapType| match heap {
        HeapType::Rec(to) => HeapType::Concrete(ids[to as usize]),
        other => other,
    };
    let value = |value: &ValType| match value {
        ValType::Ref(reference) => {
            ValType::Ref(RefType { nullable: reference.nullable, heap: heap(reference.heap) })
        }
        other => *other,
    };
    let field = |field: &FieldType| FieldType {
        mutable: field.mutable,
        storage: match &field.storage {
            StorageType::Val(of) => StorageType::Val(value(of)),
            packed => *packed,
        },
    };
    SubType {
        is_final: ty.is_final,
        supertype: ty.supertype.map(heap),
        composite: match &ty.composite {
            CompositeType::Func(func) => CompositeType::Func(FuncType {
                params: func.params.iter().map(value).collect(),
                results: func.results.iter().map(value).collect(),
            }),
            CompositeType::Struct(fields) => CompositeType::Struct(fields.iter().map(field).collect()),
            CompositeType::Array(element) => CompositeType::Array(field(element)),
            CompositeType::Exception(payload) => {
                CompositeType::Exception(payload.iter().map(value).collect())
            }
        },
    }
}
