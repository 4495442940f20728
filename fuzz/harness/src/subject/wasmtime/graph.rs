//! Wasmtime's heap as graphs see it. Its references have no numbers of their own to a host: an object is recognised by
//! Wasmtime's own comparison, by way of a hash that holds until something moves.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

use ::wasmtime::{AnyRef, AsContextMut, ExnRef, OwnedRooted, RootScope, Rooted, StoreContextMut};

use super::host::Data;
use super::origins::Origins;
use super::outcome::outcome;
use super::types::Types;
use super::values::raw;
use crate::graph::{HeapView, ObjectKind, RawValue, TypeKey};
use crate::observe::Outcome;

/// What is known of a store's functions, tags, types, and, while a graph is made, of objects.
pub(super) struct Books {
    pub(super) origins: Origins,
    pub(super) types: Types,
    /// Objects by their numbers.
    objects: Vec<Object>,
    /// Numbers of structs and arrays, by Wasmtime's hashes.
    numbers: HashMap<u64, Vec<u32>>,
}

/// An object, held.
#[derive(Clone)]
enum Object {
    Any(OwnedRooted<AnyRef>, ObjectKind),
    Exception(OwnedRooted<ExnRef>),
}

impl Books {
    pub(super) fn new(types: Types) -> Books {
        Books { origins: Origins::default(), types, objects: Vec::new(), numbers: HashMap::new() }
    }

    /// Forgets the objects: something is about to run.
    pub(super) fn release(&mut self) {
        self.objects.clear();
        self.numbers.clear();
    }

    /// The number of a struct or an array.
    pub(super) fn object(
        &mut self,
        store: &mut StoreContextMut<'_, Data>,
        reference: Rooted<AnyRef>,
    ) -> Result<u32, Outcome> {
        let failed = |e| outcome(&e);
        let mut hasher = DefaultHasher::new();
        reference.ref_hash(&*store, &mut hasher).map_err(failed)?;
        let alike = self.numbers.entry(hasher.finish()).or_default();
        for &number in alike.iter() {
            if let Some(Object::Any(known, _)) = self.objects.get(number as usize)
                && Rooted::ref_eq(&*store, &reference, known).map_err(failed)?
            {
                return Ok(number);
            }
        }
        let kind = if reference.is_struct(&*store).map_err(failed)? {
            ObjectKind::Struct
        } else {
            ObjectKind::Array
        };
        let number = narrow(self.objects.len());
        self.objects.push(Object::Any(reference.to_owned_rooted(&mut *store).map_err(failed)?, kind));
        alike.push(number);
        Ok(number)
    }

    /// A new number for an exception.
    pub(super) fn exception(
        &mut self,
        store: &mut StoreContextMut<'_, Data>,
        reference: Rooted<ExnRef>,
    ) -> Result<u32, Outcome> {
        let owned = reference.to_owned_rooted(store).map_err(|e| outcome(&e))?;
        self.objects.push(Object::Exception(owned));
        Ok(narrow(self.objects.len() - 1))
    }
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The heap while a graph is made of it.
pub(super) struct View<'a, 's> {
    pub(super) store: &'a mut StoreContextMut<'s, Data>,
    pub(super) books: &'a mut Books,
    /// What was impossible.
    pub(super) broken: Option<Outcome>,
}

impl View<'_, '_> {
    /// Takes note of what went wrong.
    fn whole<T>(&mut self, result: Result<T, Outcome>) -> Option<T> {
        result.map_err(|outcome| self.broken = Some(outcome)).ok()
    }

    fn key(&mut self, id: u32) -> Result<TypeKey, Outcome> {
        let failed = |e| outcome(&e);
        let mut scope = RootScope::new(&mut *self.store);
        match self.books.objects.get(id as usize) {
            Some(Object::Any(reference, ObjectKind::Struct)) => {
                let object = reference.to_rooted(&mut scope).unwrap_struct(&scope).map_err(failed)?;
                self.books.types.of_struct(&object.ty(&scope).map_err(failed)?)
            }
            Some(Object::Any(reference, _)) => {
                let object = reference.to_rooted(&mut scope).unwrap_array(&scope).map_err(failed)?;
                self.books.types.of_array(&object.ty(&scope).map_err(failed)?)
            }
            // An exception has the type of its tag.
            Some(Object::Exception(exception)) => {
                let tag = exception.to_rooted(&mut scope).ty(&scope).map_err(failed)?.tag_type();
                self.books.types.of_func(tag.ty())
            }
            None => Err(Outcome::Crashed("an object that was not seen".into())),
        }
    }

    /// The slots up to `limit`, and how many there are.
    fn read(&mut self, id: u32, limit: usize, out: &mut Vec<RawValue<u32>>) -> Result<usize, Outcome> {
        let failed = |e| outcome(&e);
        let mut scope = RootScope::new(&mut *self.store);
        let store = &mut scope.as_context_mut();
        match self.books.objects.get(id as usize).cloned() {
            Some(Object::Any(reference, ObjectKind::Struct)) => {
                let object = reference.to_rooted(&mut *store).unwrap_struct(&*store).map_err(failed)?;
                let len = object.ty(&*store).map_err(failed)?.fields().len();
                for index in 0..len.min(limit) {
                    let value = object.field(&mut *store, index).map_err(failed)?;
                    out.push(raw(store, self.books, value)?);
                }
                Ok(len)
            }
            Some(Object::Any(reference, _)) => {
                let object = reference.to_rooted(&mut *store).unwrap_array(&*store).map_err(failed)?;
                let len = object.len(&*store).map_err(failed)?;
                for index in 0..len.min(narrow(limit)) {
                    let value = object.get(&mut *store, index).map_err(failed)?;
                    out.push(raw(store, self.books, value)?);
                }
                Ok(len as usize)
            }
            // Its tag comes first.
            Some(Object::Exception(exception)) => {
                let exception = exception.to_rooted(&mut *store);
                let len = exception.ty(&*store).map_err(failed)?.fields().len();
                if limit > 0 {
                    let tag = exception.tag(&mut *store).map_err(failed)?;
                    let (instance, index) = self.books.origins.tag(&*store, &tag)?;
                    out.push(RawValue::Tag(instance, index));
                }
                for index in 0..len.min(limit.saturating_sub(1)) {
                    let value = exception.field(&mut *store, index).map_err(failed)?;
                    out.push(raw(store, self.books, value)?);
                }
                Ok(len + 1)
            }
            None => Err(Outcome::Crashed("an object that was not seen".into())),
        }
    }
}

impl HeapView for View<'_, '_> {
    type Id = u32;

    fn kind(&self, id: u32) -> ObjectKind {
        match self.books.objects.get(id as usize) {
            Some(Object::Any(_, kind)) => *kind,
            Some(Object::Exception(_)) => ObjectKind::Exn,
            // `key` has said so.
            None => ObjectKind::Struct,
        }
    }

    fn type_key(&mut self, id: u32) -> TypeKey {
        let key = self.key(id);
        self.whole(key).unwrap_or(TypeKey { group: 0, index: 0 })
    }

    fn slots(&mut self, id: u32, limit: usize, out: &mut Vec<RawValue<u32>>) -> bool {
        let len = self.read(id, limit, out);
        self.whole(len).is_some_and(|len| len <= limit)
    }
}
