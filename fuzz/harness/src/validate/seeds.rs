//! Modules to mutate that all validators are known to accept: a mutant that is refused then is so for its mutation.

use super::{Verdict, judge, mutate};

/// A module that all validators accept.
#[derive(Clone, Debug)]
pub struct Seed {
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
    pub fn new(module: &[u8]) -> Result<Seed, [Verdict; 2]> {
        let verdicts = [false, true].map(|legacy| judge(module, legacy));
        let Some(at) = verdicts.iter().position(Verdict::accepted) else { return Err(verdicts) };
        let legacy = at == 1;
        let normal = mutate::normal(module).filter(|normal| judge(normal, legacy).accepted());
        let normal = normal.unwrap_or_else(|| module.to_vec());
        Ok(Seed { module: module.to_vec(), normal, legacy })
    }
}
