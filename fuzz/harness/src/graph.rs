//! Heap graphs: everything reachable from some values, without addresses. Sharing and identity of objects is kept;
//! equality of two graphs is isomorphism from the same roots, which canonical numbering turns into plain equality.
//!
//! [`build`] walks a subject's heap, [`types`] turns a subject's types into keys that mean the same everywhere.

pub mod build;
pub mod types;

pub use build::{GraphBuilder, GraphLimits, HeapView, RawValue};
pub use types::{CompositeShape, FieldShape, HeapShape, StorageShape, SubTypeShape, TypeKeys, TypeView};

use serde::{Deserialize, Serialize};

use crate::observe::Value;

/// A reference value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NodeRef {
    /// Null.
    Null,
    /// An i31, sign-extended.
    I31(i32),
    /// Node of the graph at hand; `u32::MAX` where only the kind is shown (see [`NodeRef::Opaque`]).
    Node(u32),
    /// A function: defining instance (order of instantiation; `u32::MAX` = host) and index in it.
    Func(u32, u32),
    /// A tag, as an exception's first slot: defining instance and index, as for functions.
    Tag(u32, u32),
    /// A host value, by the harness's token.
    Host(u64),
    /// An object shown by kind only (in traces).
    Opaque(ObjectKind),
    /// Reachable, but beyond the graph's node limit.
    Cut,
}

/// Kind of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum ObjectKind {
    Struct,
    Array,
    Exn,
}

/// Objects numbered in breadth-first order from the roots in order, fields in order: isomorphic graphs are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeapGraph {
    /// Runtime types that occur, in order of first occurrence, as structural keys (see [`TypeKey`]).
    pub types: Vec<TypeKey>,
    /// The objects.
    pub nodes: Vec<Node>,
    /// Whether the node limit cut something off.
    pub truncated: bool,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Kind.
    pub kind: ObjectKind,
    /// Index into [`HeapGraph::types`].
    pub ty: u32,
    /// Fields or elements, packed ones zero-extended as I32; of an exception its tag, then its payload.
    pub slots: Vec<Value>,
}

/// A type up to iso-recursive equality: a 128-bit digest of its rec group's structure and its index in the group, the
/// same on every subject; each subject computes it from its own description of the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TypeKey {
    /// Digest of the group.
    pub group: u128,
    /// Index in the group.
    pub index: u32,
}
