//! What instances import and export, and tags.

use assay_gc::{CompositeType, SubType, TypeId};
use assay_jit::module::ExternType;

use crate::store::StoreInner;
use crate::{Error, Func, Global, Memory, Table, Usage};

/// An external value: a handle into its store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum Extern {
    Func(Func),
    Table(Table),
    Memory(Memory),
    Global(Global),
    Tag(Tag),
}

impl Extern {
    /// Its current type: limits have the current size as their minimum.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn ty(&self, store: &StoreInner) -> Result<ExternType, Error> {
        Ok(match self {
            Extern::Func(func) => ExternType::Func(func.type_id(store)?),
            Extern::Table(table) => ExternType::Table(table.ty(store)?),
            Extern::Memory(memory) => ExternType::Memory(memory.ty(store)?),
            Extern::Global(global) => ExternType::Global(global.ty(store)?),
            Extern::Tag(tag) => ExternType::Tag(tag.type_id(store)?),
        })
    }
    /// The function, if it is one.
    pub fn func(self) -> Option<Func> {
        if let Extern::Func(func) = self { Some(func) } else { None }
    }
    /// The table, if it is one.
    pub fn table(self) -> Option<Table> {
        if let Extern::Table(table) = self { Some(table) } else { None }
    }
    /// The memory, if it is one.
    pub fn memory(self) -> Option<Memory> {
        if let Extern::Memory(memory) = self { Some(memory) } else { None }
    }
    /// The global, if it is one.
    pub fn global(self) -> Option<Global> {
        if let Extern::Global(global) = self { Some(global) } else { None }
    }
    /// The tag, if it is one.
    pub fn tag(self) -> Option<Tag> {
        if let Extern::Tag(tag) = self { Some(tag) } else { None }
    }
}

/// An exception tag of a store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tag {
    pub(crate) store: u64,
    pub(crate) index: u32,
}

/// What a store keeps of a tag.
#[derive(Debug)]
pub(crate) struct TagData {
    pub(crate) ty: TypeId,
    /// Hidden type of its exceptions.
    pub(crate) exception: TypeId,
}

impl Tag {
    /// A new tag of a function type without results.
    ///
    /// # Errors
    /// `WrongEngine` when the type is not live in the store's engine; `Type` when it is no such type; `Limit`.
    pub fn new(store: &mut StoreInner, ty: TypeId) -> Result<Tag, Error> {
        let definition = store.types().get(ty).ok_or_else(|| Error::usage(Usage::WrongEngine))?;
        let params = match &definition.composite {
            CompositeType::Func(func) if func.results.is_empty() => &func.params,
            _ => return Err(Error::usage(Usage::Type { index: 0 })),
        };
        let group = store.engine().register(&[SubType::exception(params)])?;
        Tag::with_exception(store, ty, group.ids()[0])
    }
    /// A new tag of a function type whose type of exceptions is known, and live.
    pub(crate) fn with_exception(
        store: &mut StoreInner,
        ty: TypeId,
        exception: TypeId,
    ) -> Result<Tag, Error> {
        store.retain_type(ty)?;
        store.retain_type(exception)?;
        store.state.tags.push(TagData { ty, exception });
        Ok(Tag { store: store.id(), index: store.state.tags.len() as u32 - 1 })
    }
    /// Its number in the store, in the order of creation.
    pub fn number(self) -> u32 {
        self.index
    }
    /// The number of the instance that defines it and its index there; none if the embedder made it. It looks through the
    /// instances: the first that has it is the one that others import it from.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn origin(self, store: &StoreInner) -> Result<Option<(u32, u32)>, Error> {
        check(store, self.store)?;
        let mut instances = (0u32..).zip(&store.state.instances);
        Ok(instances.find_map(|(number, instance)| Some((number, instance.index_of_tag(self.index)?))))
    }
    /// Its function type.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn type_id(self, store: &StoreInner) -> Result<TypeId, Error> {
        check(store, self.store)?;
        Ok(store.state.tags[self.index as usize].ty)
    }
}

/// Refuses a handle of another store.
pub(crate) fn check(store: &StoreInner, of: u64) -> Result<(), Error> {
    if of == store.id() { Ok(()) } else { Err(Error::usage(Usage::WrongStore)) }
}
