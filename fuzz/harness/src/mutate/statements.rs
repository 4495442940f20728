//! Mutations of the statements of entry functions.

use mutatis::{Candidates, Rng};

use super::{ByMutator, bytes_of, fresh};
use crate::generate::input::{Input, STATEMENTS};

/// Registers the mutations on statements, as far as `room` bytes more allow.
pub(super) fn candidates(
    candidates: &mut Candidates<'_>,
    input: &mut Input,
    of_bytes: &mut ByMutator<'_>,
    room: usize,
) -> mutatis::Result<()> {
    let places: Vec<(usize, usize)> = places(input).collect();
    let grows: Vec<usize> = (0..input.entries.len())
        .filter(|entry| room > 0 && input.entries[*entry].len() < STATEMENTS)
        .collect();
    // Each statement's bytes are a candidate, so that long functions are changed more often.
    candidates.mutation_group(places.len() as u32, |context, which| {
        let (entry, at) = places[which as usize];
        bytes_of(&mut input.entries[entry][at], of_bytes, context.rng());
        Ok(())
    })?;
    candidates.mutation_group(3 * grows.len() as u32, |context, which| {
        let statements = &mut input.entries[grows[which as usize % grows.len()]];
        let at = context.rng().gen_index(statements.len() + 1).unwrap_or(0);
        statements.insert(at, fresh(context.rng()));
        Ok(())
    })?;
    if places.is_empty() {
        return Ok(());
    }
    candidates.mutation_group(4, |context, _| {
        let (entry, at) = one(&places, context.rng());
        input.entries[entry].remove(at);
        Ok(())
    })?;
    // Again, perhaps in another function.
    candidates.mutation_group(3 * grows.len() as u32, |context, which| {
        let (entry, at) = one(&places, context.rng());
        let statement = input.entries[entry][at].clone();
        let statements = &mut input.entries[grows[which as usize % grows.len()]];
        let at = context.rng().gen_index(statements.len() + 1).unwrap_or(0);
        statements.insert(at, statement);
        Ok(())
    })?;
    candidates.mutation_group(4, |context, _| {
        let [(entry, at), (other, behind)] = [(); 2].map(|()| one(&places, context.rng()));
        let first = std::mem::take(&mut input.entries[entry][at]);
        let second = std::mem::replace(&mut input.entries[other][behind], first);
        // The same place twice leaves its statement where it is.
        if (entry, at) != (other, behind) {
            input.entries[entry][at] = second;
        }
        Ok(())
    })?;
    candidates.mutation_group(3, |context, _| {
        let (entry, at) = one(&places, context.rng());
        let statement = input.entries[entry].remove(at);
        let statements = &mut input.entries[entry];
        let to = context.rng().gen_index(statements.len() + 1).unwrap_or(0);
        statements.insert(to, statement);
        Ok(())
    })?;
    candidates.mutation_group(2, |context, _| {
        let (entry, at) = one(&places, context.rng());
        input.entries[entry][at] = fresh(context.rng());
        Ok(())
    })
}

/// Puts a run of the other's statements in the place of a run of these, or between them.
pub(super) fn splice(input: &mut Input, other: &Input, rng: &mut Rng) {
    let entries = input.entries.len();
    let (to, from) = (rng.gen_index(entries).unwrap_or(0), rng.gen_index(entries).unwrap_or(0));
    let (given, statements) = (&other.entries[from], &mut input.entries[to]);
    let (first, last) = run(given.len(), rng);
    let (start, end) = run(statements.len(), rng);
    let end = if rng.gen_bool() { start } else { end };
    statements.splice(start..end, given[first..last].iter().cloned());
    statements.truncate(STATEMENTS);
}

/// Part of a list, not empty if the list is not.
fn run(length: usize, rng: &mut Rng) -> (usize, usize) {
    let first = rng.gen_index(length).unwrap_or(0);
    let most = length - first;
    (first, first + most.min(1 + rng.gen_index(most).unwrap_or(0)))
}

/// All statements: entry function, and place in it.
fn places(input: &Input) -> impl Iterator<Item = (usize, usize)> {
    let entries = input.entries.iter().enumerate();
    entries.flat_map(|(entry, statements)| (0..statements.len()).map(move |at| (entry, at)))
}

/// One of a list that is not empty.
fn one(places: &[(usize, usize)], rng: &mut Rng) -> (usize, usize) {
    places[rng.gen_index(places.len()).unwrap_or(0)]
}
