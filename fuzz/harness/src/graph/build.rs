//! From a subject's heap to a [`HeapGraph`]: breadth-first from the roots in order, slots in order.
//!
//! Invariant: the numbering depends on nothing but the roots and the shape of what they reach. The identity that a
//! [`HeapView`] shows is used to recognise an object and never leaves this file.

use std::collections::HashMap;
use std::hash::Hash;

use super::{HeapGraph, Node, NodeRef, ObjectKind, TypeKey};
use crate::observe::Value;

/// A value as an executor shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in `Value`")]
pub enum RawValue<Id> {
    I32(i32),
    I64(i64),
    /// Bits.
    F32(u32),
    /// Bits.
    F64(u64),
    V128(u128),
    Null,
    I31(i32),
    /// Defining instance and index.
    Func(u32, u32),
    /// The harness's token.
    Host(u64),
    /// The tag of an exception: defining instance and index.
    Tag(u32, u32),
    /// A struct or array.
    Object(Id),
    /// An exception. No program can tell whether two references are to the same one, so each is a node of its own.
    Exception(Id),
}

/// A heap that can be walked while it stands still.
pub trait HeapView {
    /// Identity of an object.
    type Id: Copy + Eq + Hash;
    /// Its kind.
    fn kind(&self, id: Self::Id) -> ObjectKind;
    /// Its runtime type; of an exception that of its tag.
    fn type_key(&mut self, id: Self::Id) -> TypeKey;
    /// Appends its fields or elements (of an exception its tag, then its payload) to `out`, at most `limit` of them; packed ones zero-extended as I32. Whether
    /// that was all.
    fn slots(&mut self, id: Self::Id, limit: usize, out: &mut Vec<RawValue<Self::Id>>) -> bool;
}

/// Limits of a graph.
#[derive(Clone, Copy, Debug)]
pub struct GraphLimits {
    /// Objects.
    pub nodes: usize,
    /// Slots of all objects together.
    pub slots: usize,
}

impl Default for GraphLimits {
    fn default() -> Self {
        GraphLimits { nodes: 20_000, slots: 200_000 }
    }
}

/// Collects roots, then walks.
#[derive(Debug)]
pub struct GraphBuilder<Id> {
    limits: GraphLimits,
    numbers: HashMap<Id, u32>,
    order: Vec<Id>,
    truncated: bool,
}

impl<Id: Copy + Eq + Hash> GraphBuilder<Id> {
    /// A builder without roots.
    pub fn new(limits: GraphLimits) -> Self {
        GraphBuilder { limits, numbers: HashMap::new(), order: Vec::new(), truncated: false }
    }

    /// The value as it stands in the observation; an object gets the next number.
    pub fn root(&mut self, value: RawValue<Id>) -> Value {
        match value {
            RawValue::I32(v) => Value::I32(v),
            RawValue::I64(v) => Value::I64(v),
            RawValue::F32(v) => Value::F32(v),
            RawValue::F64(v) => Value::F64(v),
            RawValue::V128(v) => Value::V128(v),
            RawValue::Null => Value::Ref(NodeRef::Null),
            RawValue::I31(v) => Value::Ref(NodeRef::I31(v)),
            RawValue::Func(instance, index) => Value::Ref(NodeRef::Func(instance, index)),
            RawValue::Host(token) => Value::Ref(NodeRef::Host(token)),
            RawValue::Tag(instance, index) => Value::Ref(NodeRef::Tag(instance, index)),
            RawValue::Object(id) => Value::Ref(self.number(id)),
            RawValue::Exception(id) => Value::Ref(self.append(id)),
        }
    }

    /// Walks everything that the roots reach.
    pub fn finish<H: HeapView<Id = Id>>(mut self, heap: &mut H) -> HeapGraph {
        let mut types = Vec::new();
        let mut type_numbers = HashMap::new();
        let mut nodes = Vec::new();
        let mut raw = Vec::new();
        let mut slots_left = self.limits.slots;
        let mut next = 0;
        while let Some(&id) = self.order.get(next) {
            next += 1;
            let key = heap.type_key(id);
            let ty = *type_numbers.entry(key).or_insert_with(|| {
                types.push(key);
                narrow(types.len() - 1)
            });
            raw.clear();
            let all = heap.slots(id, slots_left, &mut raw);
            slots_left = slots_left.saturating_sub(raw.len());
            let mut slots: Vec<Value> = raw.iter().map(|value| self.root(*value)).collect();
            if !all {
                self.truncated = true;
                slots.push(Value::Ref(NodeRef::Cut));
            }
            nodes.push(Node { kind: heap.kind(id), ty, slots });
        }
        HeapGraph { types, nodes, truncated: self.truncated }
    }

    fn number(&mut self, id: Id) -> NodeRef {
        if let Some(&number) = self.numbers.get(&id) {
            return NodeRef::Node(number);
        }
        let node = self.append(id);
        if let NodeRef::Node(number) = node {
            self.numbers.insert(id, number);
        }
        node
    }

    fn append(&mut self, id: Id) -> NodeRef {
        if self.order.len() >= self.limits.nodes {
            self.truncated = true;
            return NodeRef::Cut;
        }
        let number = narrow(self.order.len());
        self.order.push(id);
        NodeRef::Node(number)
    }
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Objects are indices into a list of slots; everything is of one type.
    struct Toy(Vec<Vec<RawValue<usize>>>);

    impl HeapView for Toy {
        type Id = usize;
        fn kind(&self, _: usize) -> ObjectKind {
            ObjectKind::Struct
        }
        fn type_key(&mut self, _: usize) -> TypeKey {
            TypeKey { group: 1, index: 0 }
        }
        fn slots(&mut self, id: usize, limit: usize, out: &mut Vec<RawValue<usize>>) -> bool {
            out.extend(self.0[id].iter().take(limit));
            self.0[id].len() <= limit
        }
    }

    fn graph(mut heap: Toy, root: usize, limits: GraphLimits) -> HeapGraph {
        let mut builder = GraphBuilder::new(limits);
        builder.root(RawValue::Object(root));
        builder.finish(&mut heap)
    }

    use RawValue::{I32, Object};

    #[test]
    fn isomorphic_heaps_give_equal_graphs() {
        let a = Toy(vec![vec![Object(1), Object(2)], vec![Object(0), I32(1)], vec![Object(2), I32(2)]]);
        let b = Toy(vec![vec![Object(0), I32(2)], vec![Object(2), Object(0)], vec![Object(1), I32(1)]]);
        let limits = GraphLimits::default();
        assert_eq!(graph(a, 0, limits), graph(b, 1, limits));
    }

    #[test]
    fn sharing_is_seen() {
        let shared = Toy(vec![vec![Object(1), Object(1)], vec![]]);
        let split = Toy(vec![vec![Object(1), Object(2)], vec![], vec![]]);
        let limits = GraphLimits::default();
        assert_ne!(graph(shared, 0, limits), graph(split, 0, limits));
    }

    #[test]
    fn sharing_of_exceptions_is_not_seen() {
        let exception = RawValue::Exception;
        let shared = Toy(vec![vec![exception(1), exception(1)], vec![I32(7)]]);
        let split = Toy(vec![vec![exception(1), exception(2)], vec![I32(7)], vec![I32(7)]]);
        let limits = GraphLimits::default();
        let graphs = (graph(shared, 0, limits), graph(split, 0, limits));
        assert_eq!(graphs.0, graphs.1);
        assert_eq!(graphs.0.nodes.len(), 3);
    }

    #[test]
    fn limits_cut_and_say_so() {
        let chain = |n: usize| Toy((0..n).map(|i| vec![Object((i + 1) % n)]).collect());
        let limits = GraphLimits { nodes: 10, slots: 100 };
        let cut = graph(chain(50), 0, limits);
        assert!(cut.truncated);
        assert_eq!(cut.nodes.len(), 10);
        assert_eq!(cut.nodes[9].slots, [Value::Ref(NodeRef::Cut)]);
        assert!(!graph(chain(10), 0, limits).truncated);
        let wide = Toy(vec![vec![I32(1); 1000]]);
        let cut = graph(wide, 0, limits);
        assert!(cut.truncated);
        assert_eq!(cut.nodes[0].slots.len(), 101);
    }

    #[test]
    fn a_long_list_needs_no_stack() {
        let n = 200_000;
        let list =
            Toy((0..n).map(|i| vec![if i + 1 < n { Object(i + 1) } else { RawValue::Null }]).collect());
        let limits = GraphLimits { nodes: n, slots: n };
        assert_eq!(graph(list, 0, limits).nodes.len(), n);
    }
}
