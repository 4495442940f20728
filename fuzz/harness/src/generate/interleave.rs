//! The typed generator's cases with their last calls as fibers, whether the generator meant them so or not.
//!
//! A generated case that has fibers already keeps its own turns, which its module calls on to suspend itself; one with a
//! heap limit has no fibers, since that suffices for calls one after another. The others get turns of calls which share
//! globals and tables with each other and are cut off by fuel and epochs only, within statements that no generator of
//! fibers writes.

use super::choices::SplitMix64;
use super::input::Input;
use super::objects;
use crate::case::{Action, Case, Slice, Turn};

/// Fibers of one case, at most.
const MAX_FIBERS: usize = 6;

/// Turns, at most, before the fibers go on in order.
const MAX_TURNS: usize = 60;

/// Makes a case of the bytes, the first eighth of which are turns.
pub fn generate(bytes: &[u8]) -> Case {
    let (turns, program) = bytes.split_at(bytes.len() / 8);
    let mut case = objects::of(&Input::decode(program), &objects::Options::default());
    if case.schedule.fibers == 0 && case.schedule.gc_heap_max.is_none() {
        on_fibers(&mut case, &mut turns.iter().copied().chain(tail()));
    }
    case
}

/// The case's calls become fibers with turns from the bytes, which do not run out.
fn on_fibers(case: &mut Case, bytes: &mut impl Iterator<Item = u8>) {
    // Collections between calls would part the fibers.
    case.steps.retain(|step| !matches!(step.action, Action::Collect));
    let calls =
        case.steps.iter().rev().take_while(|step| matches!(step.action, Action::Invoke { .. })).count();
    case.schedule.fibers = calls.min(MAX_FIBERS) as u32;
    let turns = bytes.next().map_or(0, usize::from) % MAX_TURNS;
    case.schedule.turns = (0..turns).filter_map(|_| turn(bytes, case.schedule.fibers)).collect();
}

/// An event from two bytes.
fn turn(bytes: &mut impl Iterator<Item = u8>, fibers: u32) -> Option<Turn> {
    let (what, length) = (u32::from(bytes.next()?), u64::from(bytes.next()?) + 1);
    let fiber = what / 16 % fibers.max(1);
    Some(match what % 16 {
        0 => Turn::Cancel(fiber),
        1 | 2 => Turn::Collect,
        3 => Turn::Epoch,
        4 => Turn::Resume(fiber, Slice::default()),
        5 => Turn::Resume(fiber, Slice { fuel: None, epochs: Some(1 + length % 3) }),
        6 => Turn::Resume(fiber, Slice { fuel: Some(length), epochs: Some(1 + length % 3) }),
        _ => Turn::Resume(fiber, Slice { fuel: Some(length), epochs: None }),
    })
}

/// A fixed sequence for short inputs.
fn tail() -> impl Iterator<Item = u8> {
    let mut random = SplitMix64::new(1);
    std::iter::repeat_with(move || (random.next() >> 24) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::seed_bytes;

    #[test]
    fn most_cases_have_fibers_and_turns() {
        let cases: Vec<Case> = (0..60).map(|seed| generate(&seed_bytes(seed)[..3000])).collect();
        let with = cases.iter().filter(|case| case.schedule.fibers > 1 && !case.schedule.turns.is_empty());
        assert!(with.count() > 30);
        for case in &cases {
            assert!(case.steps.len() - case.first_fiber() == case.schedule.fibers as usize);
        }
        assert_eq!(generate(&[]), generate(&[]));
    }
}
