//! Exceptions as the host sees them, and where generated code continues when one is thrown.
//!
//! The way: `throw` allocates the object and calls the builtin `Throw`; a host function throws by returning an error
//! made of an [`Exception`], a new one or the one that an inner call gave back. Both come to [`landing`], which walks the
//! newest activation's frames by their frame pointers, youngest first, to the first call with a handler in its reach. If
//! there is none, the activation ends with an [`ErrorKind::Exception`](crate::ErrorKind::Exception), which holds the same
//! object, rooted, for the host function around it to pass on.
//!
//! Invariant: only exceptions land in wasm handlers: traps, exhaustion, host errors and panics leave by the entry
//! trampoline.

use assay_gc::header::EXCEPTION_TAG;
use assay_gc::layout::Layout;
use assay_gc::{CompositeType, GcRef, TypeId, ValType};

use crate::enter::{Activation, Departure};
use crate::externs::check;
use crate::handle::Rooted;
use crate::store::StoreInner;
use crate::{Error, ErrorKind, RefKind, Tag, Usage, Val};

/// An exception of a store; keeps its object alive. As an [`Error`] that a host function returns it is thrown in the
/// wasm code around it.
#[derive(Clone, Debug)]
pub struct Exception {
    tag: Tag,
    reference: Rooted,
}

impl Exception {
    /// A new exception of `tag` with the payload `values`.
    ///
    /// # Errors
    /// `Usage` for values of other types or stores; `Exhausted(GcHeap)`.
    pub fn new(store: &mut StoreInner, tag: Tag, values: &[Val]) -> Result<Exception, Error> {
        check(store, tag.store)?;
        let ty = store.state.tags[tag.index as usize].exception;
        let types = payload_types(store, ty)?;
        let mut bits = vec![0; types.len()];
        crate::value::lower(store, values, &types, &mut bits)?;
        let object = store.alloc_struct(ty)?;
        // The allocation may have moved what the values refer to.
        crate::value::lower(store, values, &types, &mut bits)?;
        let layout = store.types().layout(ty);
        let Some(Layout::Struct(layout)) = layout.as_deref() else {
            return Err(Error::internal("an exception without a layout"));
        };
        let fields = std::iter::once(u128::from(tag.index)).chain(bits);
        for (&(offset, slot), bits) in layout.fields.iter().zip(fields) {
            store.store_slot(object, offset, slot, bits)?;
        }
        Ok(Exception { tag, reference: store.root(object) })
    }

    /// The exception that an exception reference refers to.
    ///
    /// # Errors
    /// `Usage(WrongStore)`, `Usage(Type)` for a reference to anything else.
    pub fn of_ref(store: &StoreInner, reference: &Rooted) -> Result<Exception, Error> {
        match reference.kind(store)? {
            RefKind::Exception(tag) => Ok(Exception { tag, reference: reference.clone() }),
            _ => Err(Error::usage(Usage::Type { index: 0 })),
        }
    }

    /// The exception at `word`, which generated code has thrown.
    pub(crate) fn of_word(store: &mut StoreInner, word: GcRef) -> Result<Exception, Error> {
        match store.inspector().kind(word) {
            Some(RefKind::Exception(tag)) => Ok(Exception { tag, reference: store.root(word) }),
            _ => Err(Error::corrupt("what was thrown is no exception")),
        }
    }

    /// Its tag.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// The reference to it, as a value for wasm: `Val::ExnRef(Some(…))`.
    pub fn reference(&self) -> &Rooted {
        &self.reference
    }

    /// Its payload.
    ///
    /// # Errors
    /// `Usage(WrongStore)`; `Corrupt` when the object is not whole any more.
    pub fn payload(&self, store: &mut StoreInner) -> Result<Vec<Val>, Error> {
        let word = self.reference.get(store)?;
        let types = payload_types(store, store.state.tags[self.tag.index as usize].exception)?;
        let raw = store.inspector().payload(word).ok_or_else(|| Error::corrupt("not an exception"))?;
        Ok(raw.into_iter().zip(&types).map(|(raw, ty)| Val::of_raw(store, raw, ty)).collect())
    }

    /// The object, if it is one of `store`.
    pub(crate) fn word(&self, store: &StoreInner) -> Option<GcRef> {
        self.reference.get(store).ok()
    }
}

impl From<Exception> for Error {
    fn from(exception: Exception) -> Error {
        Error::new(ErrorKind::Exception(exception))
    }
}

fn payload_types(store: &StoreInner, exception: TypeId) -> Result<Box<[ValType]>, Error> {
    match store.types().get(exception).as_deref().map(|def| &def.composite) {
        Some(CompositeType::Exception(payload)) => Ok(payload.clone()),
        _ => Err(Error::internal("a tag without a type of exceptions")),
    }
}

/// The store's number of the tag of the exception at `word`, if that is a whole one.
pub(crate) fn tag_of(store: &StoreInner, word: GcRef, ty: TypeId) -> Option<Tag> {
    let index = u32::try_from(store.heap.read(word, EXCEPTION_TAG, 4)?).ok()?;
    let tag = store.state.tags.get(index as usize)?;
    (tag.exception == ty).then_some(Tag { store: store.id(), index })
}

/// Where the newest activation continues with the exception at `word`; `None` when none of its frames has a handler.
pub(crate) fn landing(store: &StoreInner, word: GcRef) -> Option<Departure> {
    let mut found = None;
    let mut code = None;
    Activation::of(&store.state.ctx).for_each_frame(&mut |pc, fp| {
        let map = match code {
            Some(map) if assay_jit::CodeMap::contains(map, pc) => map,
            _ => match store.state.code_at(pc) {
                Some(map) => *code.insert(map),
                None => return true,
            },
        };
        found = map.landing(pc).map(|landing| Departure {
            pc: map.base + landing.handler as usize,
            sp: fp - landing.span as usize,
            fp,
            payload: word.0 as usize,
        });
        found.is_none()
    });
    found
}
