//! Self-checking cases: modules that walk their own object graph and return digests of it, as plain numbers.
//!
//! ```text
//! case ─ transform ─ case without imports of the harness ─ interpreter ─ expected numbers ─ .wast for any engine
//! ```
//! [`transform`] works on the bytes of any module: `module` reads them (`numbers` names the types), `imports` replaces the
//! host's functions by functions of the module, `floats` makes NaNs canonical, `digest` adds the walk, `calls` the exports that
//! the new `script` calls, `rewrite` puts it together. [`export`] runs the result and writes the expectations down.
//!
//! A transformed case is a program of its own, not the same one: what the interpreter finds there is what is
//! expected. Fibers become calls in order, limits of heap and the calls that are to exhaust something go; a collection that
//! the program asks for becomes garbage, so that an engine with little heap collects by itself. Digests see every value, the
//! runtime types as far as the module at hand knows them, sharing and cycles, within bounds that stand in `additions`. Of
//! exceptions that stand in fields, globals and tables they see only whether they are null, of functions only the type; how many objects are
//! alive shows where a call is repeated ([`REPEAT`]) and the heap is small.

use wasmparser::Validator;

mod additions;
mod calls;
mod digest;
mod error;
mod export;
mod floats;
mod imports;
mod leaks;
mod module;
mod numbers;
mod rewrite;
mod script;
#[cfg(test)]
mod tests;

pub use error::LeftOut;
pub use export::{Exported, export};
pub use leaks::steady;

#[cfg(test)]
pub(crate) use module::features;

use crate::Case;
use crate::case::{Action, Source, Step};
use crate::observe::Value;
use crate::peer::{self, Exports};

/// Dead arrays of 1,000 bytes that stand for a collection, unless told otherwise: more than a heap of 192 KiB holds.
pub const GARBAGE: u32 = 200;

/// How the name of an export begins that repeats a call which leaves nothing behind: no cycle ever becomes garbage, and as many objects are alive
/// after a few calls as after more. An engine whose heap runs out in it leaks, whatever its collector.
pub const REPEAT: &str = "repeat ";

/// How the name of an export begins that gives the digest of a call or a global.
pub const DIGEST: &str = "digest ";

/// Whether the export repeats a call that leaves nothing behind, be it by its digest: that of a written case which has such a call is taken too.
pub fn is_repeat(field: &str) -> bool {
    field.strip_prefix(DIGEST).unwrap_or(field).starts_with(REPEAT)
}

/// A case in its self-checking form.
#[derive(Clone, Debug, PartialEq)]
pub struct SelfChecking {
    /// The case; its calls expect anything so far.
    pub case: Case,
    /// Why calls were left out, one each.
    pub dropped: Vec<LeftOut>,
}

/// The self-checking form of a case, `garbage` dead arrays of 1,000 bytes for each collection it asks for. The
/// same case gives the same form.
///
/// # Errors
/// Why it has none.
pub fn transform(case: &Case, garbage: u32) -> Result<SelfChecking, LeftOut> {
    script::transform(case, garbage, None)
}

/// The form that a campaign gives to the project's own subjects: little garbage, since a schedule can say when they
/// collect, and fuel for the digests. With it, the steps that it leaves out.
///
/// # Errors
/// Why it has none.
pub fn for_campaign(case: &Case) -> Result<(Case, Vec<LeftOut>), LeftOut> {
    let SelfChecking { mut case, dropped, .. } = transform(case, 2)?;
    case.schedule.fuel = case.schedule.fuel.map(|fuel| fuel + DIGEST_FUEL);
    case.schedule.collect_every.get_or_insert(COLLECT_EVERY);
    Ok((case, dropped))
}

/// The form that a campaign with peers gives to every case: plain, and without the calls that the interpreter cannot end. What stands in
/// for a collection is `garbage` dead arrays of 1,000 bytes. With it, the steps that it leaves out.
///
/// # Errors
/// Why it has none.
pub fn for_peers(case: &Case, garbage: u32) -> Result<(Case, Vec<LeftOut>), LeftOut> {
    let Exported { mut case, dropped, .. } = export(case, garbage)?;
    case.schedule.collect_every.get_or_insert(COLLECT_EVERY);
    // In half of the cases engines that can are asked to collect behind each call as well.
    if (leaks::bytes(&case) / 2).is_multiple_of(2) {
        let collect = Step { action: Action::Collect, expect: crate::case::Expect::Success, line: 0 };
        let is_call = |step: &Step| matches!(step.action, Action::Invoke { .. });
        let steps = case.steps.into_iter();
        case.steps = steps
            .flat_map(|step| {
                let collect = is_call(&step).then(|| collect.clone());
                [Some(step), collect]
            })
            .flatten()
            .collect();
    }
    Ok((case, dropped))
}

/// Whether a case is plain already: nothing of the harness is imported, what is called and read has numbers only, no state is observed and nothing
/// is a fiber.
pub fn is_plain(case: &Case) -> bool {
    let used = |name: &str| {
        case.steps.iter().any(|step| match &step.action {
            Action::Invoke { field, .. } | Action::Get { field, .. } => field == name,
            _ => false,
        })
    };
    let number = |value: &Value| !matches!(value, Value::Ref(_) | Value::V128(_));
    let step = |step: &Step| match &step.action {
        Action::Module { source, .. }
        | Action::Define { source, .. }
        | Action::Check { source }
        | Action::Link { source } => match source {
            Source::Binary(bytes) => {
                let exports = Exports::read(bytes).unwrap_or_default();
                !exports.imports.iter().any(|module| peer::is_host(module)) && exports.numbers_only(used)
            }
            Source::RejectedText(_) => true,
        },
        Action::Invoke { args, .. } => args.iter().all(number),
        Action::Instantiate { .. } | Action::Register { .. } | Action::Get { .. } | Action::Collect => true,
    };
    !case.schedule.observe_state && case.schedule.fibers == 0 && case.steps.iter().all(step)
}

/// Fuel that the digests of one call use up, at most.
const DIGEST_FUEL: u64 = 2_000_000;

/// Allocations between two collections of a case that says nothing of its own.
const COLLECT_EVERY: u32 = 17;

/// Whether each module of a case is valid WebAssembly 3.0; the first one's error.
///
/// # Errors
/// wasmparser's.
pub fn validate(case: &Case) -> Result<(), wasmparser::BinaryReaderError> {
    for step in &case.steps {
        if let Action::Module { source: Source::Binary(bytes), .. }
        | Action::Define { source: Source::Binary(bytes), .. } = &step.action
        {
            Validator::new_with_features(module::features()).validate_all(bytes)?;
        }
    }
    Ok(())
}
