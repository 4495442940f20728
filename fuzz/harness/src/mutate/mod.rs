//! Mutations of the typed generator's inputs, over their sections rather than their bytes.
//!
//! [`mutate`] changes one input, [`cross`] puts parts of another into it: statements are inserted, removed, repeated,
//! exchanged, moved and taken over, the schedule is chosen anew, sections are exchanged whole, bytes change within one
//! section. Both are total (what they get need not be an input with sections), the same for the same seed, and keep to
//! the size that they are given. Nothing here knows who asks; libFuzzer's hooks call it in the targets.

mod statements;
#[cfg(test)]
mod tests;

use mutatis::{Candidates, Mutate, Rng, Session};

use crate::generate::input::{ENTRIES, Input, LONGEST, Section};

/// Bytes of a section that is chosen anew, at most.
const FRESH: usize = 64;

/// Bytes of a mutated section, at most; choices beyond are hardly ever drawn.
const SECTION: usize = 1 << 10;

/// What changes bytes within a section; libFuzzer's own mutator can stand in for [`any_bytes`].
pub type ByMutator<'m> = dyn FnMut(&mut Vec<u8>, &mut Rng) + 'm;

/// Mutates the input that `bytes` mean, with `of_bytes` within sections. The result has at most `most` bytes, and sections
/// as soon as `most` has room for them.
pub fn mutate(bytes: &[u8], seed: u64, most: usize, of_bytes: &mut ByMutator<'_>) -> Vec<u8> {
    let mut input = Input::decode(bytes);
    // It cannot fail: there is always a candidate, and none of them refuses.
    let mutated = Session::new().seed(seed).mutate_with(&mut Sections { of_bytes, most }, &mut input);
    debug_assert!(mutated.is_ok());
    shorten(&mut input, most);
    cut(input.encode(), most)
}

/// Puts parts of `other` into the input that `bytes` mean. The result has at most `most` bytes.
pub fn cross(bytes: &[u8], other: &[u8], seed: u64, most: usize) -> Vec<u8> {
    let mut input = Input::decode(bytes);
    let mutated = Session::new().seed(seed).mutate_with(&mut Of(&Input::decode(other)), &mut input);
    debug_assert!(mutated.is_ok());
    shorten(&mut input, most);
    cut(input.encode(), most)
}

/// Changes a byte or a few: a bit, a value, a copy of others, one more, one less.
pub fn any_bytes(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let byte = rng.gen_u8();
    let Some(at) = rng.gen_index(bytes.len()) else { return bytes.push(byte) };
    match rng.gen_index(6) {
        Some(0) => bytes[at] ^= 1 << (byte % 8),
        Some(1) => bytes[at] = byte,
        Some(2) => bytes[at] = bytes[at].wrapping_add(if byte < 128 { 1 } else { 255 }),
        Some(3) if bytes.len() < SECTION => bytes.insert(at, byte),
        Some(4) => drop(bytes.remove(at)),
        _ => {
            let length = 1 + usize::from(byte) % 8;
            let from = rng.gen_index(bytes.len()).unwrap_or(0);
            for offset in 0..length.min(bytes.len() - at.max(from)) {
                bytes[at + offset] = bytes[from + offset];
            }
        }
    }
}

/// Mutates a whole input.
struct Sections<'m, 'f> {
    of_bytes: &'m mut ByMutator<'f>,
    most: usize,
}

impl Mutate<Input> for Sections<'_, '_> {
    fn mutate(&mut self, candidates: &mut Candidates<'_>, input: &mut Input) -> mutatis::Result<()> {
        let room = self.most.saturating_sub(input.encoded_len());
        statements::candidates(candidates, input, self.of_bytes, room)?;
        // Of the other sections the schedule is the one that matters most to a collector.
        candidates.mutation_group(3, |context, _| {
            let schedule = fixed(input, Section::Schedule);
            *schedule = fresh(context.rng());
            Ok(())
        })?;
        candidates.mutation_group(3, |context, _| {
            bytes_of(fixed(input, Section::Schedule), self.of_bytes, context.rng());
            Ok(())
        })?;
        candidates.mutation_group(Section::FIXED.len() as u32, |context, which| {
            bytes_of(&mut input.fixed[which as usize], self.of_bytes, context.rng());
            Ok(())
        })?;
        candidates.mutation_group(2, |context, _| {
            let at = context.rng().gen_index(Section::FIXED.len()).unwrap_or(0);
            input.fixed[at] = fresh(context.rng());
            Ok(())
        })
    }
}

/// Mutates an input by parts of another.
struct Of<'o>(&'o Input);

impl Mutate<Input> for Of<'_> {
    fn mutate(&mut self, candidates: &mut Candidates<'_>, input: &mut Input) -> mutatis::Result<()> {
        let Of(other) = *self;
        candidates.mutation_group(6, |context, _| {
            statements::splice(input, other, context.rng());
            Ok(())
        })?;
        // An entry function with all that it does.
        candidates.mutation_group(2, |context, _| {
            let entry = context.rng().gen_index(ENTRIES).unwrap_or(0);
            input.entries[entry].clone_from(&other.entries[entry]);
            let head = Section::Entry(entry);
            *fixed(input, head) = other.section(head).to_vec();
            Ok(())
        })?;
        candidates.mutation_group(Section::FIXED.len() as u32, |_, which| {
            input.fixed[which as usize].clone_from(&other.fixed[which as usize]);
            Ok(())
        })?;
        // All statements on the other's types, or under its schedule.
        for section in [Section::Types, Section::Schedule] {
            candidates.mutation(|_| {
                *fixed(input, section) = other.section(section).to_vec();
                Ok(())
            })?;
        }
        candidates.mutation(|_| {
            input.entries.clone_from(&other.entries);
            Ok(())
        })
    }
}

/// A section that is not a statement.
fn fixed(input: &mut Input, section: Section) -> &mut Vec<u8> {
    let at = Section::FIXED.iter().position(|known| *known == section);
    &mut input.fixed[at.unwrap_or(0)]
}

/// A section chosen anew.
fn fresh(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = vec![0; 1 + rng.gen_index(FRESH).unwrap_or(0)];
    rng.gen_bytes(&mut bytes);
    bytes
}

/// Changes bytes within a section, which keeps a moderate length. One that is as it was is chosen anew.
fn bytes_of(section: &mut Vec<u8>, of_bytes: &mut ByMutator<'_>, rng: &mut Rng) {
    let before = section.clone();
    of_bytes(section, rng);
    section.truncate(SECTION);
    if *section == before {
        *section = fresh(rng);
    }
}

/// Halves the longest section until the input fits; then statements go, from the last.
fn shorten(input: &mut Input, most: usize) {
    while input.encoded_len() > most {
        let sections = input.fixed.iter_mut().chain(input.entries.iter_mut().flatten());
        match sections.max_by_key(|section| section.len()) {
            Some(longest) if longest.len() > 1 => longest.truncate((longest.len() / 2).min(LONGEST)),
            _ => match input.entries.iter_mut().rev().find(|statements| !statements.is_empty()) {
                Some(statements) => drop(statements.pop()),
                None => return input.fixed = Default::default(),
            },
        }
    }
}

/// At most so many bytes, whatever they mean then.
fn cut(mut bytes: Vec<u8>, most: usize) -> Vec<u8> {
    bytes.truncate(most);
    bytes
}
