//! Modules to mutate that all validators are known to accept: a mutant that is refused then is so for its mutation.
//!
//! Beside those that a campaign is given stand this crate's own in `seeds/`, which have every kind of definition and
//! instruction, so that a mutation finds whatever it needs.

use super::{Verdict, judge, mutate};

/// Own modules, as text.
const OWN: [&str; 7] = [
    include_str!("seeds/aggregates.wat"),
    include_str!("seeds/branches.wat"),
    include_str!("seeds/control.wat"),
    include_str!("seeds/memories.wat"),
    include_str!("seeds/references.wat"),
    include_str!("seeds/tables.wat"),
    include_str!("seeds/types.wat"),
];

/// The same, valid with legacy exceptions only.
const LEGACY: [&str; 3] = [
    include_str!("seeds/legacy-catch.wat"),
    include_str!("seeds/legacy-delegate.wat"),
    include_str!("seeds/legacy-rethrow.wat"),
];

/// A module that all validators accept.
#[derive(Clone, Debug)]
pub(super) struct Seed {
    /// As it came.
    pub(super) module: Vec<u8>,
    /// Encoded in the way of the mutations on types, so that a mutant differs from it in what was mutated alone.
    pub(super) normal: Vec<u8>,
    /// Whether it is valid with legacy exceptions only.
    pub(super) legacy: bool,
}

impl Seed {
    /// Of a module that is valid, perhaps only with legacy exceptions.
    ///
    /// # Errors
    /// What was said about the module without and with them: it is refused, or the validators do not agree.
    fn new(module: &[u8]) -> Result<Seed, Box<[Verdict; 2]>> {
        let verdicts = [false, true].map(|legacy| judge(module, legacy));
        let Some(at) = verdicts.iter().position(Verdict::accepted) else {
            return Err(Box::new(verdicts));
        };
        let legacy = at == 1;
        let normal = mutate::normal(module).filter(|normal| judge(normal, legacy).accepted());
        let normal = normal.unwrap_or_else(|| module.to_vec());
        Ok(Seed { module: module.to_vec(), normal, legacy })
    }
}

/// The modules that a campaign mutates.
#[derive(Clone, Debug)]
pub struct Seeds {
    /// Those that it was given.
    pub(super) given: Vec<Seed>,
    pub(super) own: Vec<Seed>,
    /// Those, of either, that need legacy exceptions.
    pub(super) legacy: Vec<Seed>,
}

impl Default for Seeds {
    /// This crate's own.
    fn default() -> Seeds {
        let mut seeds = Seeds { given: Vec::new(), own: Vec::new(), legacy: Vec::new() };
        for text in OWN.iter().chain(&LEGACY) {
            // A test makes sure that each is one.
            let Some(seed) = wat::parse_str(text).ok().and_then(|module| Seed::new(&module).ok()) else {
                continue;
            };
            if seed.legacy { seeds.legacy.push(seed) } else { seeds.own.push(seed) }
        }
        seeds
    }
}

impl Seeds {
    /// Adds a module that is valid, perhaps only with legacy exceptions.
    ///
    /// # Errors
    /// What was said about the module without and with them: it is refused, or the validators do not agree.
    pub fn add(&mut self, module: &[u8]) -> Result<(), Box<[Verdict; 2]>> {
        let seed = Seed::new(module)?;
        if seed.legacy {
            self.legacy.push(seed)
        } else {
            self.given.push(seed)
        }
        Ok(())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.given.len() + self.own.len() + self.legacy.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_seeds_are_valid() {
        let seeds = Seeds::default();
        assert_eq!((seeds.own.len(), seeds.legacy.len()), (OWN.len(), LEGACY.len()));
        for text in OWN.iter().chain(&LEGACY) {
            let seed = Seed::new(&wat::parse_str(text).unwrap()).unwrap();
            assert_eq!(seed.legacy, LEGACY.contains(text));
        }
    }

    #[test]
    fn a_seed_is_valid_for_all() {
        let mut seeds = Seeds::default();
        let count = seeds.count();
        assert!(seeds.add(&wat::parse_str("(module)").unwrap()).is_ok());
        assert!(seeds.add(&wat::parse_str("(module (func try catch_all end))").unwrap()).is_ok());
        assert_eq!((seeds.given.len(), seeds.count()), (1, count + 2));
        for refused in [wat::parse_str("(module (func (result i32)))").unwrap(), b"\0asm".to_vec()] {
            let verdicts = seeds.add(&refused).unwrap_err();
            assert!(verdicts.iter().all(|verdict| verdict.agrees() && !verdict.accepted()), "{verdicts:?}");
        }
        assert_eq!(seeds.count(), count + 2);
    }
}
