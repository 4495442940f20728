//! The validator (spec: Validation): decides from the typing rules alone whether a decoded module is valid.
//!
//! It stands between `binary/`, which hands it each definition and instruction as it is read, and `exec/translate`, which trusts
//! what it has let through. [`context`] holds the specification's context *C* with its index spaces and is where definitions are
//! checked, [`types`] has type definitions and limits, [`expression`] the operand and control stacks over which the instructions
//! are typed: [`control`], [`plain`], [`aggregate`]; [`numeric`] has the signatures. [`rule`] names the rules.
//!
//! Subtyping is not defined here: types are canonicalised by [`crate::runtime::types::Types`], the same relation that casts and
//! imports use, so a type inside the validator never holds a module's type index.
//!
//! Invariants: one pass, in which the work for an instruction is bounded by the arity of the types it names (up to [`MAX_ARITY`]; beyond
//! it, [`MAX_WIDE`] bounds the work for all of them) and the memory by [`MAX_OPERANDS`]; no recursion; an error is of kind
//! [`crate::ErrorKind::Invalid`] and names its [`Rule`]. Limits, of kind [`crate::ErrorKind::Unsupported`], are noted apart, and
//! validation goes on: a module that is invalid is called so. Only the rest of an expression that meets one by itself
//! ([`MAX_LOCALS`], [`MAX_OPERANDS`], [`MAX_WIDE`]) is not typed.

mod aggregate;
pub(crate) mod context;
mod control;
pub(crate) mod expression;
mod numeric;
mod plain;
pub(crate) mod rule;
mod types;

pub use rule::Rule;

/// Most parameters and most results of a function type.
pub(crate) const MAX_ARITY: usize = 1_000;
/// Most fields of a struct type.
pub(crate) const MAX_FIELDS: usize = 10_000;
/// Most types handled in a module for instructions of more than [`MAX_ARITY`] of them.
pub(crate) const MAX_WIDE: u64 = 1 << 24;
/// Most operands on the stack, where an instruction pushes several.
pub(crate) const MAX_OPERANDS: usize = 1 << 24;
/// Most locals of one function, parameters included.
pub(crate) const MAX_LOCALS: u64 = 50_000;
