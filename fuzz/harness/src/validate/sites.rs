//! Where a module can be changed. A *site* has a kind of mutation and a place: a section, or an instruction in one.
//!
//! The choice goes by kinds, then by the places of the kind, then by sites, so that what a module has once is changed as often as
//! what it has a thousand times.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::discriminant;

use super::Kind;
use crate::generate::Choices;

/// A section, or an instruction in one; equal for instructions that differ in immediates alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Place(u64);

impl Place {
    pub(super) fn section(id: u8) -> Place {
        Place(u64::from(id))
    }

    /// Of an instruction, in either representation, in this section.
    pub(super) fn instruction<T>(self, instruction: &T) -> Place {
        let mut hasher = DefaultHasher::new();
        (self, discriminant(instruction)).hash(&mut hasher);
        Place(hasher.finish())
    }
}

/// One of the sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Site {
    pub(super) kind: Kind,
    pub(super) place: Place,
    /// Which of those of this kind and place.
    pub(super) at: u32,
}

/// The sites of a module, counted.
#[derive(Debug)]
pub(super) struct Sites(Vec<Places>);

#[derive(Clone, Debug, Default)]
struct Places {
    /// In the order of the module, so that the same choices give the same site.
    counts: Vec<(Place, u32)>,
    index: HashMap<Place, usize>,
}

impl Sites {
    pub(super) fn new() -> Sites {
        Sites(vec![Places::default(); Kind::ALL.len()])
    }

    pub(super) fn add(&mut self, kind: Kind, place: Place) {
        let places = &mut self.0[kind as usize];
        let index = *places.index.entry(place).or_insert_with(|| {
            places.counts.push((place, 0));
            places.counts.len() - 1
        });
        places.counts[index].1 += 1;
    }

    /// One of them; none if there is none.
    pub(super) fn choose(&self, choices: &mut Choices<'_, '_>) -> Option<Site> {
        let kinds = Kind::ALL.iter().zip(&self.0).filter(|(_, places)| !places.counts.is_empty());
        let kinds: Vec<(usize, Kind)> = kinds.map(|(kind, _)| (kind.weight(), *kind)).collect();
        if kinds.is_empty() {
            return None;
        }
        let kind = choices.weighted(&kinds);
        let (place, count) = choices.pick(&self.0[kind as usize].counts);
        let at = choices.below((count as usize).min(1 << 16)) as u32;
        Some(Site { kind, place, at })
    }
}
