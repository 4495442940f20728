//! The cycles that a program has built by the time it has its heap collected, by their shapes.
//!
//! A cycle is a strongly connected part of the graph of reachable objects, with more than one object or one that refers
//! to itself. Its shape says of each object what it is, how many fields (or whether no, one or more elements) it has, and where in it the
//! references into the cycle stand; which types there are and what else the objects hold is no part of it.

use std::collections::{BTreeSet, HashSet};

use assay_interp as wasm;
use wasm::{ExternRef, ObjectAddr, Ref, Store};

use crate::observe::hash;

/// Collections of one run that are looked at.
const MAX_LOOKS: usize = 8;

/// Objects of a heap that is looked at.
const MAX_OBJECTS: usize = 1000;

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
        let edges = Edges::among(store, &objects);
        let mut colours = vec![None; objects.len()];
        for part in components(&edges) {
            if edges.is_cycle(&part) {
                for &at in &part {
                    let array = matches!(store.object_kind(objects[at]), Some(wasm::ObjectKind::Array));
                    let len = store.object_len(objects[at]).unwrap_or(0);
                    colours[at] = Some(hash(&(array, if array { len.min(2) } else { len })));
                }
                self.shapes.insert(shape(&part, &mut colours, &edges));
                part.iter().for_each(|&at| colours[at] = None);
            }
        }
    }
}

/// Whether a cycle is among the objects that nothing reaches and nothing has freed. What is garbage cannot change, so reference counts
/// alone free all of it unless there is one.
pub(super) fn left(store: &mut Store) -> bool {
    let live: HashSet<ObjectAddr> = store.reachable_objects(&[]).into_iter().collect();
    let dead: Vec<ObjectAddr> = store.objects().filter(|object| !live.contains(object)).collect();
    let edges = Edges::among(store, &dead);
    components(&edges).into_iter().any(|part| edges.is_cycle(&part))
}

/// Where in the objects of a set references to which of them stand.
#[derive(Default)]
struct Edges {
    /// Where each object's references end in the list.
    ends: Vec<usize>,
    /// Places in the objects, and objects.
    list: Vec<(u32, usize)>,
}

impl Edges {
    fn among(store: &Store, objects: &[ObjectAddr]) -> Edges {
        let mut places: Vec<(ObjectAddr, usize)> = objects.iter().copied().zip(0..).collect();
        places.sort_unstable();
        let mut edges = Edges::default();
        for &object in objects {
            for at in 0..store.object_len(object).unwrap_or(0) {
                let to = match store.object_get(object, at) {
                    Some(wasm::Value::Ref(
                        Ref::Struct(to)
                        | Ref::Array(to)
                        | Ref::Exn(to)
                        | Ref::Extern(ExternRef::Struct(to) | ExternRef::Array(to)),
                    )) => to,
                    Some(wasm::Value::Ref(_)) => continue,
                    // An array of numbers holds nothing else.
                    _ if store.object_kind(object) == Some(wasm::ObjectKind::Array) => break,
                    _ => continue,
                };
                if let Ok(found) = places.binary_search_by_key(&to, |&(object, _)| object) {
                    edges.list.push((at as u32, places[found].1));
                }
            }
            edges.ends.push(edges.list.len());
        }
        edges
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn of(&self, at: usize) -> &[(u32, usize)] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.list[start..self.ends[at]]
    }

    /// Whether a part has more than one object, or one that refers to itself.
    fn is_cycle(&self, part: &[usize]) -> bool {
        part.len() > 1 || self.of(part[0]).iter().any(|&(_, to)| to == part[0])
    }
}

/// The description of one part, whose objects have these colours and no others have any: each object's own, and its neighbours' by the places of the references.
fn shape(part: &[usize], colours: &mut [Option<u32>], edges: &Edges) -> u32 {
    let mut inside = Vec::new();
    let mut refined = Vec::new();
    for _ in 0..ROUNDS {
        refined.clear();
        for &at in part {
            inside.clear();
            inside.extend(edges.of(at).iter().filter_map(|&(place, to)| Some((place, colours[to]?))));
            refined.push(hash(&(colours[at].unwrap_or(0), &inside)));
        }
        part.iter().zip(&refined).for_each(|(&at, colour)| colours[at] = Some(*colour));
    }
    refined.sort_unstable();
    hash(&refined)
}

/// Strongly connected components (Tarjan, "Depth-first search and linear graph algorithms", 1972), on a stack of its own.
fn components(edges: &Edges) -> Vec<Vec<usize>> {
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
            match edges.of(at).get(edge) {
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

    fn edges(of: &[Vec<(u32, usize)>]) -> Edges {
        let mut edges = Edges::default();
        for from in of {
            edges.list.extend(from);
            edges.ends.push(edges.list.len());
        }
        edges
    }

    fn parts(of: &[&[usize]]) -> Vec<Vec<usize>> {
        let of: Vec<_> = of.iter().map(|to| to.iter().map(|&to| (0, to)).collect()).collect();
        let mut parts = components(&edges(&of));
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
        let of = |of: &[Vec<(u32, usize)>]| {
            let part: Vec<usize> = (0..of.len()).collect();
            shape(&part, &mut vec![Some(7); of.len()], &edges(of))
        };
        let ring = |len: usize, place: u32| {
            of(&(0..len).map(|at| vec![(place, (at + 1) % len)]).collect::<Vec<_>>())
        };
        assert_eq!(ring(3, 0), ring(3, 0));
        assert_ne!(ring(3, 0), ring(4, 0));
        assert_ne!(ring(3, 0), ring(3, 1));
        assert_eq!(of(&[vec![(0, 2)], vec![(0, 0)], vec![(0, 1)]]), ring(3, 0));
    }
}
