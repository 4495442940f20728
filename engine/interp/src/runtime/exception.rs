//! Exceptions as the embedder sees and throws them.
//!
//! An exception that leaves wasm is an error of kind [`crate::ErrorKind::Exception`]; a host function that returns that
//! error throws the same exception on in its caller. The error does not keep the exception alive over a collection:
//! give [`Exception::reference`] as an extra root to [`Store::collect`].

use super::store::Store;
use super::value::{ObjectAddr, Ref, TagAddr, Value};
use crate::error::{Error, Result, TrapKind};
use crate::exec::exception;

/// An exception outside of wasm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Its tag.
    pub tag: TagAddr,
    /// Its payload.
    pub values: Vec<Value>,
    /// The exception itself.
    pub reference: Ref,
}

impl Store {
    /// Makes an exception; the values must be of the tag's parameter types.
    pub fn alloc_exception(&mut self, tag: TagAddr, values: &[Value]) -> Result<Ref> {
        let ty = self.tags.get(tag.index()).and_then(|&ty| self.types.func_type(ty));
        let params = ty.ok_or_else(|| Error::usage("unknown tag"))?.params.clone();
        if params.len() != values.len() {
            return Err(Error::usage(format!("{} values for {} of the tag", values.len(), params.len())));
        }
        let fields = self.to_slots(values, &params)?;
        let exception = exception::allocate(&mut self.heap, &self.types, &self.tags, tag.0, &fields)?;
        Ok(Ref::Exn(ObjectAddr(exception)))
    }

    /// The error by which a host function throws an exception (spec: throw_ref). Null gives a trap.
    pub fn throw(&self, exception: Ref) -> Error {
        match exception {
            Ref::Exn(addr) if self.heap.exception(addr.0).is_some() => self.exception_error(addr.0),
            Ref::Null => Error::trap(TrapKind::NullReference),
            _ => Error::usage("throw of something that is no exception"),
        }
    }

    /// The exception that a host function's error throws on, if it does.
    pub(crate) fn thrown_by(&self, error: &Error) -> Result<Option<u32>> {
        let Some(exception) = error.exception() else { return Ok(None) };
        match exception.reference {
            Ref::Exn(addr) if self.heap.exception(addr.0).is_some_and(|(tag, _)| tag == exception.tag.0) => {
                Ok(Some(addr.0))
            }
            _ => Err(Error::host("the exception thrown on is gone: it was no root of a collection")),
        }
    }
}
