//! Exceptions (spec: Execution / Control Instructions, `throw`, `throw_ref`, `try_table`): making an exception, and
//! finding its handler by walking the machine's frames and the handler tables of their bodies.
//!
//! Invariant: a frame's `pc` is the operation after the one that it is suspended in, so the handlers in force are those
//! of the operation before. A tail call has taken its frame away, and with it the handlers around the call. (A fiber that
//! is suspended at a fuel point is to start its operation over; nothing is thrown there before it does.)

use super::code::{Body, Clause};
use super::run::Machine;
use crate::error::{Error, Result, TrapKind};
use crate::runtime::heap::{Heap, Payload};
use crate::runtime::store::Store;
use crate::runtime::types::Types;
use crate::runtime::value::{Bits, TagAddr, Unpacked};
use crate::syntax::types::TypeId;

/// No handler.
pub(crate) const NO_HANDLER: u32 = u32::MAX;

fn crash() -> Error {
    Error::crash("exception that is not of its tag's type")
}

/// Spec: throw, without the search for a handler. Makes an exception of slots; `tag` is an address, `tags` the store's.
#[inline(never)]
pub(crate) fn allocate(
    heap: &mut Heap,
    types: &Types,
    tags: &[TypeId],
    tag: u32,
    fields: &[u64],
) -> Result<u32> {
    let ty = *tags.get(tag as usize).ok_or_else(crash)?;
    let size = types.get(ty).ok_or_else(crash)?.struct_size;
    // Room comes before the copy of the operands.
    heap.reserve(size)?;
    heap.allocate(ty, size, Payload::Exception { tag, fields: fields.into() })
}

/// Spec: throw_ref, without the search for a handler. The exception that a reference refers to.
#[inline(never)]
pub(super) fn referenced(heap: &Heap, bits: u64) -> Result<u32> {
    match Bits(bits).unpack() {
        Unpacked::Null => Err(Error::trap(TrapKind::NullReference)),
        Unpacked::Object(index) if heap.exception(index).is_some() => Ok(index),
        _ => Err(Error::crash("throw_ref of something that is no exception")),
    }
}

impl Store {
    /// Where a call has failed: if the error is an exception that a host function throws, looks for its handler.
    #[cold]
    pub(super) fn throw_on(&mut self, machine: &mut Machine, entry: usize, error: Error) -> Result<()> {
        match self.thrown_by(&error)? {
            Some(exception) => self.unwind(machine, entry, exception),
            None => Err(error),
        }
    }

    /// Gives an exception to the innermost handler among the frames from depth `entry` on. Where there is none, these
    /// frames are gone and the exception is the error.
    #[cold]
    pub(super) fn unwind(&mut self, machine: &mut Machine, entry: usize, exception: u32) -> Result<()> {
        let (tag, fields) = self.heap.exception(exception).ok_or_else(crash)?;
        while machine.frames.len() > entry {
            let Some(frame) = machine.frames.last_mut() else { break };
            let instance = self.instances.get(frame.instance as usize).ok_or_else(crash)?;
            // A constant expression has no body in the module, and no handlers.
            let body = instance.module.0.bodies.get(frame.body as usize);
            let found = body.and_then(|body| {
                let caught = |clause: &Clause| {
                    clause.tag.is_none_or(|index| instance.tags.get(index as usize) == Some(&tag))
                };
                body.clause_at(frame.pc.saturating_sub(1), caught)
            });
            let Some(clause) = found else {
                machine.frames.pop();
                continue;
            };
            let regs = machine.stack.get_mut(frame.base as usize..).ok_or_else(crash)?;
            if clause.tag.is_some() {
                let start = clause.values as usize;
                regs.get_mut(start..start + fields.len()).ok_or_else(crash)?.copy_from_slice(fields);
            }
            if let Some(slot) = clause.exnref {
                *regs.get_mut(slot as usize).ok_or_else(crash)? = Bits::object(exception).0;
            }
            frame.pc = clause.target;
            return Ok(());
        }
        Err(self.exception_error(exception))
    }

    /// The error that stands for an exception outside of wasm.
    pub(crate) fn exception_error(&self, exception: u32) -> Error {
        let parts = || {
            let (tag, fields) = self.heap.exception(exception)?;
            let ty = self.types.func_type(*self.tags.get(tag as usize)?)?;
            Some((TagAddr(tag), self.from_slots(fields, &ty.params).ok()?))
        };
        match parts() {
            Some((tag, values)) => Error::exception_of(tag, values, exception),
            None => crash(),
        }
    }
}

impl Body {
    /// The first clause that is `caught` by, among the handlers around an operation, from the innermost outwards.
    fn clause_at(&self, pc: u32, caught: impl Fn(&Clause) -> bool) -> Option<Clause> {
        let region = self.regions.partition_point(|&(start, _)| start <= pc).checked_sub(1)?;
        let mut at = self.regions[region].1;
        while let Some(handler) = self.handlers.get(at as usize) {
            if let Some(clause) = handler.clauses.iter().find(|clause| caught(clause)) {
                return Some(*clause);
            }
            at = handler.outer;
        }
        None
    }
}
