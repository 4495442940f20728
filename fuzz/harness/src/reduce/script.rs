//! Smaller scripts: steps, the schedule (in `schedule`), arguments.

use super::{Run, schedule};
use crate::case::Action;
use crate::observe::Value;

/// Drops what the script does not need.
pub(super) fn shrink(run: &mut Run<'_>) {
    run.drop_ranges(&|case| case.steps.len(), &mut |case, range| {
        let mut case = case.clone();
        case.steps.drain(range);
        Some(case)
    });
    schedule::shrink(run);
    arguments(run);
}

/// Zero for each numeric argument.
fn arguments(run: &mut Run<'_>) {
    for step in 0..run.best.steps.len() {
        let Action::Invoke { args, .. } = &run.best.steps[step].action else { continue };
        for (i, arg) in args.clone().iter().enumerate() {
            let zero = match arg {
                Value::I32(v) if *v != 0 => Value::I32(0),
                Value::I64(v) if *v != 0 => Value::I64(0),
                Value::F32(v) if *v != 0 => Value::F32(0),
                Value::F64(v) if *v != 0 => Value::F64(0),
                _ => continue,
            };
            let mut case = run.best.clone();
            if let Action::Invoke { args, .. } = &mut case.steps[step].action {
                args[i] = zero;
            }
            run.attempt(case);
        }
    }
}
