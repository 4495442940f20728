//! The verifier's second look: counts recounted from scratch, and the places where objects of count 0 must be known.

use std::collections::{HashMap, HashSet};

use crate::heap::HeapCore;
use crate::space::cells::Cells;
use crate::verify::{Facts, broken};
use crate::{COUNT_LOGGED, COUNT_ONE, Error, RootKind};

/// Each object's count is the number of fields (of any object), globals and tables that refer to it.
///
/// # Errors
/// `Verify`.
pub(super) fn counts(facts: &Facts<'_>) -> Result<(), Error> {
    let mut counts: HashMap<u32, u32> = HashMap::with_capacity(facts.objects().len());
    let mut found = |at: u32, word: u32| {
        if !facts.is_object(word) {
            return broken(at, &format!("refers to {word:#x}, which is no object"));
        }
        *counts.entry(word).or_default() += 1;
        Ok(())
    };
    for &at in facts.objects() {
        facts.each_reference(at, &mut |_, word| if word.is_object() { found(at, word.0) } else { Ok(()) })?;
    }
    for &(kind, word) in facts.roots() {
        if matches!(kind, RootKind::Global | RootKind::Table) && word.is_object() {
            found(word.0, word.0)?;
        }
    }
    for &at in facts.objects() {
        let (count, expected) = (facts.gc_word(at) / COUNT_ONE, counts.get(&at).copied().unwrap_or(0));
        if count != expected {
            return broken(at, &format!("its count is {count}, but {expected} references are counted"));
        }
    }
    Ok(())
}

/// Each object of count 0 will be looked at by the next collection, what is logged says so, and nothing is marked.
///
/// # Errors
/// `Verify`.
pub(super) fn zeros(core: &HeapCore, cells: &Cells, zeros: &[u32], facts: &Facts<'_>) -> Result<(), Error> {
    if let Some(&at) = zeros.iter().find(|&&at| !facts.is_object(at)) {
        return broken(at, "the zero-count table names something that is no object");
    }
    let listed: HashSet<u32> = zeros.iter().copied().collect();
    if listed.len() != zeros.len() {
        return broken(0, "the zero-count table names an object twice");
    }
    let mut logged = HashSet::new();
    for at in core.log_words() {
        if !facts.is_object(at) || !logged.insert(at) {
            return broken(at, "the log names something that is no object, or an object twice");
        }
    }
    for &at in facts.objects() {
        if (facts.gc_word(at) & COUNT_LOGGED != 0) != logged.contains(&at) {
            return broken(at, "the log and its count do not agree on whether it is logged");
        }
        if cells.is_marked(at) {
            return broken(at, "marked outside a collection");
        }
        let known = listed.contains(&at) || logged.contains(&at) || cells.blocks.is_fresh(at);
        if facts.gc_word(at) < COUNT_ONE && !known && !core.log_overflowed() {
            return broken(at, "its count is 0, but no collection will look at it");
        }
    }
    Ok(())
}
