//! What memory safety needs of a rec group before it gets ids. Full validation is the decoder's business, upstream; here
//! a group is refused when its references dangle, or when code compiled for a supertype would misread an object.

use std::sync::Arc;

use super::registry::Table;
use super::rows::Rows;
use super::{
    AbstractHeapType, CompositeType, DISPLAY_DEPTH, FieldType, FuncType, HeapType, KIND_ARRAY,
    KIND_EXCEPTION, KIND_FUNC, KIND_STRUCT, StorageType, SubType, ValType,
};
use crate::layout::{ArrayLayout, EXCEPTION_TAG_SLOT, Layout, Slot, StructLayout};
use crate::{Error, ErrorKind};

fn bad<T>(what: &'static str) -> Result<T, Error> {
    Err(Error::new(ErrorKind::BadType(what)))
}

/// The `KIND_*` of a composite type.
pub(super) fn kind_of(composite: &CompositeType) -> u32 {
    match composite {
        CompositeType::Func(_) => KIND_FUNC,
        CompositeType::Struct(_) => KIND_STRUCT,
        CompositeType::Array(_) => KIND_ARRAY,
        CompositeType::Exception(_) => KIND_EXCEPTION,
    }
}

/// The types that a definition names, its supertype included.
pub(super) fn references(ty: &SubType) -> impl Iterator<Item = HeapType> + '_ {
    let (fields, params, results): (&[FieldType], &[ValType], &[ValType]) = match &ty.composite {
        CompositeType::Func(func) => (&[], &func.params, &func.results),
        CompositeType::Struct(fields) => (fields, &[], &[]),
        CompositeType::Array(field) => (std::slice::from_ref(field), &[], &[]),
        CompositeType::Exception(payload) => (&[], payload, &[]),
    };
    let stored = fields.iter().filter_map(|field| match &field.storage {
        StorageType::Val(value) => Some(value),
        StorageType::I8 | StorageType::I16 => None,
    });
    let heaps = stored.chain(params).chain(results).filter_map(|value| match value {
        ValType::Ref(reference) => Some(reference.heap),
        _ => None,
    });
    ty.supertype.into_iter().chain(heaps)
}

/// A candidate group under the registry's lock.
pub(super) struct Candidate<'a> {
    types: &'a [SubType],
    table: &'a Table,
    rows: &'a Rows,
}

impl<'a> Candidate<'a> {
    pub(super) fn new(types: &'a [SubType], table: &'a Table, rows: &'a Rows) -> Candidate<'a> {
        Candidate { types, table, rows }
    }

    /// Checks the group and computes the layout of each type (`None` for functions).
    ///
    /// # Errors
    /// `BadType`, `TypeLimit`.
    pub(super) fn layouts(&self) -> Result<Vec<Option<Arc<Layout>>>, Error> {
        let mut layouts: Vec<Option<Arc<Layout>>> = Vec::with_capacity(self.types.len());
        let mut depths: Vec<usize> = Vec::with_capacity(self.types.len());
        for (index, ty) in self.types.iter().enumerate() {
            for heap in references(ty) {
                match heap {
                    HeapType::Rec(to) if to as usize >= self.types.len() => {
                        return bad("dangling index in a rec group");
                    }
                    HeapType::Concrete(id) if self.table.def(id).is_none() => {
                        return bad("reference to a free type id");
                    }
                    _ => {}
                }
            }
            let layout = self.layout(ty)?.map(Arc::new);
            let depth = match ty.supertype {
                None => 0,
                Some(HeapType::Concrete(id)) => {
                    let Some(parent) = self.table.def(id) else { return bad("supertype is not registered") };
                    self.extends(ty, parent, layout.as_deref(), self.table.layout(id).as_deref())?;
                    self.rows.depth(id.0) + 1
                }
                Some(HeapType::Rec(to)) if (to as usize) < index => {
                    let to = to as usize;
                    self.extends(ty, &self.types[to], layout.as_deref(), layouts[to].as_deref())?;
                    depths[to] + 1
                }
                Some(_) => return bad("supertype does not precede its subtype"),
            };
            if depth >= DISPLAY_DEPTH {
                return Err(Error::new(ErrorKind::TypeLimit { given: depth, limit: DISPLAY_DEPTH - 1 }));
            }
            layouts.push(layout);
            depths.push(depth);
        }
        Ok(layouts)
    }

    fn layout(&self, ty: &SubType) -> Result<Option<Layout>, Error> {
        let layout = match &ty.composite {
            CompositeType::Func(_) => return Ok(None),
            CompositeType::Array(field) => Layout::Array(ArrayLayout::new(self.slot(&field.storage))),
            CompositeType::Struct(fields) => {
                let slots = fields.iter().map(|field| self.slot(&field.storage));
                Layout::Struct(StructLayout::new(slots)?)
            }
            CompositeType::Exception(payload) => {
                let slots = payload.iter().map(|ty| self.slot(&StorageType::Val(*ty)));
                Layout::Struct(StructLayout::new(std::iter::once(EXCEPTION_TAG_SLOT).chain(slots))?)
            }
        };
        Ok(Some(layout))
    }

    /// Whether an object or function of `ty` can stand where `parent` is expected.
    fn extends(
        &self,
        ty: &SubType,
        parent: &SubType,
        own: Option<&Layout>,
        inherited: Option<&Layout>,
    ) -> Result<(), Error> {
        if kind_of(&ty.composite) == KIND_EXCEPTION || kind_of(&parent.composite) == KIND_EXCEPTION {
            return bad("exceptions have no declared supertypes");
        }
        let fits = match (&ty.composite, &parent.composite) {
            (CompositeType::Func(own), CompositeType::Func(inherited)) => self.same_signature(own, inherited),
            _ => match (own, inherited) {
                (Some(Layout::Struct(own)), Some(Layout::Struct(inherited))) => {
                    own.fields.starts_with(&inherited.fields)
                }
                (Some(Layout::Array(own)), Some(Layout::Array(inherited))) => own == inherited,
                _ => return bad("supertype of another kind"),
            },
        };
        if fits { Ok(()) } else { bad("layout does not extend the supertype's") }
    }

    fn same_signature(&self, own: &FuncType, inherited: &FuncType) -> bool {
        let same = |own: &[ValType], inherited: &[ValType]| {
            let slot = |value: &ValType| self.slot(&StorageType::Val(*value));
            own.len() == inherited.len() && own.iter().zip(inherited).all(|(a, b)| slot(a) == slot(b))
        };
        same(&own.params, &inherited.params) && same(&own.results, &inherited.results)
    }

    fn slot(&self, storage: &StorageType) -> Slot {
        Slot::of_with(storage, &|heap| match heap {
            HeapType::Abstract(of) => matches!(of, AbstractHeapType::Func | AbstractHeapType::NoFunc),
            HeapType::Concrete(id) => self.rows.kind(id.0) == KIND_FUNC,
            HeapType::Rec(to) => {
                self.types.get(to as usize).is_some_and(|ty| matches!(ty.composite, CompositeType::Func(_)))
            }
        })
    }
}
