//! The cycles that a program has built by the time it has its heap collected, by their shapes.
//!
//! A cycle is a strongly connected part of the graph of reachable objects, with more than one object or one that refers
//! to itself. Its shape says of each object what it is, how many fields (or whether no, one or more elements) it has, and where in it the
//! references into the cycle stand; which types there are and what else the objects hold is no part of it.

use std::collections::{BTreeSet, HashMap, HashSet};

use assay_interp as wasm;
use wasm::{ExternRef, ObjectAddr, Ref, Store};

use crate::observe::hash;

/// Collections of one run that are looked at.
const MAX_LOOKS: usize = 12;

/// Objects of a heap that is looked at.
const MAX_OBJECTS: usize = 3000;

/// Rounds in which an object's neighbours become part of its description.
const ROUNDS: usize = 4;

/// The shapes that one run has shown.
#[derive(Debug, Default)]
pub(super) struct Cycles {
    looks: usize,
    pub(super) shapes: BTreeSet<u32>,
}

impl Cycles {
    /// The program has its heap collected.
    pub(super) fn look(&mut self, store: &mut Store, extra_roots: &[wasm::Value]) {
        if self.looks == MAX_LOOKS || store.stats().objects > MAX_OBJECTS as u64 {
            return;
        }
        self.looks += 1;
        let objects = store.reachable_objects(extra_roots);
        let places: HashMap<ObjectAddr, usize> =
            objects.iter().enumerate().map(|(place, &object)| (object, place)).collect();
        let edges: Vec<Vec<(u32, usize)>> =
            objects.iter().map(|object| references(store, *object, &places)).collect();
        for part in components(&edges) {
            let of_itself = |at: usize| edges[at].iter().any(|&(_, to)| to == at);
            if part.len() > 1 || of_itself(part[0]) {
                let what: Vec<u32> = part
                    .iter()
                    .map(|&at| {
                        let array = matches!(store.object_kind(objects[at]), Some(wasm::ObjectKind::Array));
                        let len = store.object_len(objects[at]).unwrap_or(0);
                        hash(&(array, if array { len.min(2) } else { len }))
                    })
                    .collect();
                self.shapes.insert(shape(&part, &what, &edges));
            }
        }
    }
}

/// Whether a cycle is among the objects that nothing reaches and nothing has freed. What is garbage cannot change, so reference counts
/// alone free all of it unless there is one.
pub(super) fn left(store: &mut Store) -> bool {
    let live: HashSet<ObjectAddr> = store.reachable_objects(&[]).into_iter().collect();
    let dead: Vec<ObjectAddr> = store.objects().filter(|object| !live.contains(object)).collect();
    let places: HashMap<ObjectAddr, usize> =
        dead.iter().enumerate().map(|(place, &object)| (object, place)).collect();
    let edges: Vec<Vec<(u32, usize)>> =
        dead.iter().map(|object| references(store, *object, &places)).collect();
    let of_itself = |at: usize| edges[at].iter().any(|&(_, to)| to == at);
    components(&edges).into_iter().any(|part| part.len() > 1 || of_itself(part[0]))
}

/// Where in the object references to which other objects stand.
fn references(store: &Store, object: ObjectAddr, places: &HashMap<ObjectAddr, usize>) -> Vec<(u32, usize)> {
    let values = store.object_values(object).unwrap_or_default();
    let target = |value| match value {
        wasm::Value::Ref(
            Ref::Struct(to)
            | Ref::Array(to)
            | Ref::Exn(to)
            | Ref::Extern(ExternRef::Struct(to) | ExternRef::Array(to)),
        ) => places.get(&to).copied(),
        _ => None,
    };
    let found = values.into_iter().zip(0..).filter_map(|(value, at)| Some((at, target(value)?)));
    found.collect()
}

/// The description of one part: each object's own, and its neighbours' by the places of the references.
fn shape(part: &[usize], what: &[u32], edges: &[Vec<(u32, usize)>]) -> u32 {
    let mut colours: HashMap<usize, u32> = part.iter().copied().zip(what.iter().copied()).collect();
    for _ in 0..ROUNDS {
        let refined = part.iter().map(|at| {
            let inside: Vec<(u32, u32)> =
                edges[*at].iter().filter_map(|(place, to)| Some((*place, *colours.get(to)?))).collect();
            (*at, hash(&(colours[at], inside)))
        });
        colours = refined.collect();
    }
    let mut all: Vec<u32> = colours.into_values().collect();
    all.sort_unstable();
    hash(&all)
}

/// Strongly connected components (Tarjan, "Depth-first search and linear graph algorithms", 1972), on a stack of its own.
fn components(edges: &[Vec<(u32, usize)>]) -> Vec<Vec<usize>> {
    const NEW: usize = usize::MAX;
    let mut numbers = vec![NEW; edges.len()];
    let mut lowest = vec![0; edges.len()];
    let mut open = vec![false; edges.len()];
    let (mut stack, mut next, mut found) = (Vec::new(), 0, Vec::new());
    for root in 0..edges.len() {
        if numbers[root] != NEW {
            continue;
        }
        // Node, and which of its edges comes next.
        let mut work = vec![(root, 0)];
        while let Some((at, edge)) = work.pop() {
            if edge == 0 {
                (numbers[at], lowest[at]) = (next, next);
                next += 1;
                open[at] = true;
                stack.push(at);
            }
            match edges[at].get(edge) {
                Some(&(_, to)) if numbers[to] == NEW => work.extend([(at, edge + 1), (to, 0)]),
                Some(&(_, to)) => {
                    if open[to] {
                        lowest[at] = lowest[at].min(numbers[to]);
                    }
                    work.push((at, edge + 1));
                }
                None => {
                    if let Some(&(parent, _)) = work.last() {
                        lowest[parent] = lowest[parent].min(lowest[at]);
                    }
                    if lowest[at] == numbers[at] {
                        let start = stack.iter().rposition(|&of| of == at).unwrap_or(0);
                        let part = stack.split_off(start);
                        part.iter().for_each(|&of| open[of] = false);
                        found.push(part);
                    }
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(edges: &[&[usize]]) -> Vec<Vec<usize>> {
        let edges: Vec<Vec<(u32, usize)>> =
            edges.iter().map(|to| to.iter().map(|&to| (0, to)).collect()).collect();
        let mut parts = components(&edges);
        parts.iter_mut().for_each(|part| part.sort_unstable());
        parts.sort();
        parts
    }

    #[test]
    fn parts_are_what_reaches_each_other() {
        assert_eq!(parts(&[&[1], &[2], &[0], &[0, 3]]), [vec![0, 1, 2], vec![3]]);
        assert_eq!(parts(&[&[1], &[], &[1]]), [vec![0], vec![1], vec![2]]);
        // Two rings with a bridge; the second is entered in its middle.
        assert_eq!(parts(&[&[1], &[0, 3], &[3], &[2]]), [vec![0, 1], vec![2, 3]]);
    }

    #[test]
    fn shapes_differ_by_length_and_place() {
        let ring = |len: usize, place: u32| {
            let edges: Vec<Vec<(u32, usize)>> = (0..len).map(|at| vec![(place, (at + 1) % len)]).collect();
            let part: Vec<usize> = (0..len).collect();
            shape(&part, &vec![7; len], &edges)
        };
        assert_eq!(ring(3, 0), ring(3, 0));
        assert_ne!(ring(3, 0), ring(4, 0));
        assert_ne!(ring(3, 0), ring(3, 1));
        let order = [vec![(0, 2)], vec![(0, 0)], vec![(0, 1)]];
        assert_eq!(shape(&[0, 1, 2], &[7; 3], &order), ring(3, 0));
    }
}
