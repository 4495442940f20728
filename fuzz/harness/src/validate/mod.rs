//! The interpreter's validator, wasmparser, and the JIT's front end, which is made of wasmparser, on one module.
//!
//! The way of the data: bytes → [`input`] (a base module and its mutation) → [`judge`] → agreement, or a disagreement
//! that the specification settles. Invariants: no side sees what another said; what is counted of a mutant is owed to
//! its mutation, since all accept its base and it differs from it.

mod bodies;
mod branches;
mod campaign;
mod instructions;
mod kind;
mod locals;
mod matching;
pub(crate) mod mutate;
mod seeds;
mod settled;
mod sites;
mod spaces;
mod stack;
#[cfg(test)]
mod tests;
mod typed;
mod types;

use std::fmt;
use std::sync::OnceLock;

use arbitrary::Unstructured;
use assay_interp::{ErrorKind, Features, Module, Rule};
use assay_runtime::Engine;
use wasmparser::{Validator, WasmFeatures};

pub use campaign::{Config, Disagreement, Progress, Refusals, Share, Summary, run};
pub use kind::Kind;
pub use seeds::Seeds;

use seeds::Seed;

use crate::generate::{Choices, objects, smith};
use crate::{Action, Source};

/// What one validator says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Valid.
    Accepted,
    /// No module at all: refused by the decoder.
    Malformed(String),
    /// Refused by validation proper, by this rule where the validator names it.
    Invalid(Option<Rule>, String),
    /// Refused by the decoder or by validation: wasmparser does not tell.
    Rejected(String),
    /// Refused for a limit of the implementation (the spec's appendix "Implementation Limitations").
    Limit(String),
    /// The validator broke.
    Crashed(String),
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Judgement::Accepted => f.write_str("accepted"),
            Judgement::Malformed(text) => write!(f, "malformed: {text}"),
            Judgement::Invalid(Some(rule), text) => write!(f, "invalid ({}): {text}", rule.name()),
            Judgement::Invalid(None, text) => write!(f, "invalid: {text}"),
            Judgement::Rejected(text) => write!(f, "rejected: {text}"),
            Judgement::Limit(text) => write!(f, "limit: {text}"),
            Judgement::Crashed(text) => write!(f, "crashed: {text}"),
        }
    }
}

impl Judgement {
    /// Whether two validators that tell malformed from invalid say the same; a limit on either side leaves nothing to
    /// compare, a crash never agrees.
    fn agrees(&self, other: &Judgement) -> bool {
        use Judgement::{Accepted, Crashed, Invalid, Limit, Malformed, Rejected};
        match (self, other) {
            (Crashed(_), _) | (_, Crashed(_)) => false,
            (Limit(_), _) | (_, Limit(_)) => true,
            (Accepted, other) => *other == Accepted,
            (Malformed(_), other) => matches!(other, Malformed(_) | Rejected(_)),
            (Invalid(..), other) => matches!(other, Invalid(..) | Rejected(_)),
            (Rejected(_), other) => *other != Accepted,
        }
    }
}

/// What a thread is doing with a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is generated and mutated.
    Making,
    /// The interpreter's validator judges.
    Interp,
    /// wasmparser does.
    Wasmparser,
    /// The JIT's front end does.
    Jit,
    /// A disagreement is looked up among the settled ones.
    Settling,
}

/// All judgements of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Of the interpreter's validator.
    pub ours: Judgement,
    /// Of wasmparser.
    pub theirs: Judgement,
    /// Of the JIT: its decoder, then wasmparser.
    pub jit: Judgement,
    /// The name of what accounts for a disagreement that the specification has settled.
    pub settled: Option<&'static str>,
}

impl fmt::Display for Verdict {
    /// A line for each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { ours, theirs, jit, settled } = self;
        writeln!(f, "assay-interp: {ours}\nwasmparser:   {theirs}\nassay-jit:    {jit}")?;
        for pair in self.uncompared() {
            writeln!(f, "not compared: {pair}")?;
        }
        settled.map_or(Ok(()), |settled| writeln!(f, "settled:      {settled}"))
    }
}

impl Verdict {
    /// Whether wasmparser agrees with the interpreter on accepting, and the JIT also on what is malformed and what is
    /// invalid; a limit on either side leaves nothing to compare (see [`Verdict::uncompared`]), a crash never agrees. What is settled
    /// agrees.
    pub fn agrees(&self) -> bool {
        self.settled.is_some() || (self.ours.agrees(&self.theirs) && self.ours.agrees(&self.jit))
    }

    /// Whether all accept.
    pub fn accepted(&self) -> bool {
        [&self.ours, &self.theirs, &self.jit].into_iter().all(|judgement| *judgement == Judgement::Accepted)
    }

    /// The pairs of which a limit of one leaves nothing to compare: which pair, and the limit, without numbers.
    pub fn uncompared(&self) -> Vec<String> {
        use Judgement::{Crashed, Limit};
        let interp = ("assay-interp", &self.ours);
        let others = [("wasmparser", &self.theirs), ("assay-jit", &self.jit)];
        let limit = |other: (&str, &Judgement)| {
            let (whose, text) = match (interp, other) {
                ((_, Crashed(_)), _) | (_, (_, Crashed(_))) => return None,
                ((whose, Limit(text)), _) | (_, (whose, Limit(text))) => (whose, text),
                _ => return None,
            };
            let text = text.split_once(" (at offset").map_or(text.as_str(), |(text, _)| text);
            Some(format!("assay-interp and {}, a limit of {whose}: {}", other.0, without_numbers(text)))
        };
        others.into_iter().filter_map(limit).collect()
    }

    /// The disagreement with what differs from module to module (numbers) left out; the same for the same cause as a rule.
    /// The interpreter's words are left out where it names a rule.
    pub fn key(&self) -> String {
        let ours = match &self.ours {
            Judgement::Invalid(Some(rule), _) => format!("invalid: {}", rule.name()),
            other => other.to_string(),
        };
        without_numbers(&format!("{ours} | {} | {}", self.theirs, self.jit))
    }
}

/// The text with 0 for each number.
fn without_numbers(text: &str) -> String {
    let mut rest = String::new();
    let mut in_number = false;
    for c in text.chars() {
        // A number may be hexadecimal; letters that a name begins with are none.
        let goes_on = in_number && (c.is_ascii_hexdigit() || c == 'x');
        if !goes_on {
            in_number = c.is_ascii_digit();
            rest.push(if in_number { '0' } else { c });
        }
    }
    rest
}

/// Shows `module` to the validators, which take the exception handling of before 3.0 too if `legacy` says so.
pub fn judge(module: &[u8], legacy: bool) -> Verdict {
    judge_watched(module, legacy, &|_| {})
}

/// [`judge`]; `watch` is told who is at work.
fn judge_watched(module: &[u8], legacy: bool, watch: &dyn Fn(Stage)) -> Verdict {
    let on = |stage, judge: fn(&[u8], bool) -> Judgement| {
        watch(stage);
        guarded(|| judge(module, legacy))
    };
    let (ours, theirs, jit) = (on(Stage::Interp, ours), on(Stage::Wasmparser, theirs), on(Stage::Jit, jit));
    let mut verdict = Verdict { ours, theirs, jit, settled: None };
    if !verdict.agrees() {
        watch(Stage::Settling);
        verdict.settled = settled::find(module, legacy, &verdict);
    }
    verdict
}

fn guarded(judge: impl FnOnce() -> Judgement) -> Judgement {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(judge)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Judgement::Crashed(text.unwrap_or_else(|| "a panic without text".to_owned()))
    })
}

fn ours(module: &[u8], legacy: bool) -> Judgement {
    match Module::new(module, &Features { legacy_exceptions: legacy }) {
        Ok(_) => Judgement::Accepted,
        Err(error) => {
            let text = error.to_string();
            match error.kind() {
                ErrorKind::Malformed => Judgement::Malformed(text),
                ErrorKind::Invalid => Judgement::Invalid(error.rule(), text),
                ErrorKind::Unsupported | ErrorKind::Exhausted(_) => Judgement::Limit(text),
                _ => Judgement::Crashed(text),
            }
        }
    }
}

/// wasmparser's features for what is judged.
fn features(legacy: bool) -> WasmFeatures {
    // wasmparser's 3.0 has threads, the specification's has not ("Binary Format / Types / Limits" knows no shared flag).
    let mut features = WasmFeatures::WASM3.difference(WasmFeatures::THREADS);
    features.set(WasmFeatures::LEGACY_EXCEPTIONS, legacy);
    features
}

fn theirs(module: &[u8], legacy: bool) -> Judgement {
    match Validator::new_with_features(features(legacy)).validate_all(module) {
        Ok(_) => Judgement::Accepted,
        Err(error) => {
            let text = error.to_string();
            // What has fewer bytes has fewer types: nothing has an index beyond that limit.
            let no_type = text.contains("type index") && module.len() <= MOST_TYPES;
            if is_limit(&text) && !no_type { Judgement::Limit(text) } else { Judgement::Rejected(text) }
        }
    }
}

fn jit(module: &[u8], legacy: bool) -> Judgement {
    static ENGINES: [OnceLock<Result<Engine, String>>; 2] = [const { OnceLock::new() }; 2];
    let engine = ENGINES[usize::from(legacy)].get_or_init(|| {
        let config = assay_runtime::Config { legacy_exceptions: legacy, ..assay_runtime::Config::default() };
        Engine::new(config).map_err(|error| error.to_string())
    });
    let error = match engine {
        Ok(engine) => match assay_runtime::Module::validate(engine, module) {
            Ok(()) => return Judgement::Accepted,
            Err(error) => error,
        },
        Err(text) => return Judgement::Crashed(text.clone()),
    };
    let text = error.to_string();
    match error.kind() {
        assay_runtime::ErrorKind::Malformed { .. } => Judgement::Malformed(text),
        assay_runtime::ErrorKind::Invalid { .. } => Judgement::Invalid(None, text),
        assay_runtime::ErrorKind::Limit { .. } => Judgement::Limit(text),
        _ => Judgement::Crashed(text),
    }
}

/// wasmparser's limit of types (its module `limits`).
const MOST_TYPES: usize = 1_000_000;

/// wasmparser's limits (its module `limits`), which the specification allows an implementation to have. `validate/tests.rs`
/// has a module for each.
fn is_limit(text: &str) -> bool {
    [
        "implementation limit",
        "count exceeds limit",
        // Not so the types of a select and the supertypes of a type, of which several are against a rule.
        "br_table size is out of bounds",
        "catches size is out of bounds",
        "rec group types size is out of bounds",
        "function params size is out of bounds",
        "function returns size is out of bounds",
        "struct fields size is out of bounds",
        "number of elements is out of bounds",
        "string size out of bounds",
        "sub type hierarchy too deep",
        "too many",
        "limit of",
    ]
    .iter()
    .any(|limit| text.contains(limit))
}

/// Where a module comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// As a generator or a seed has it.
    Whole,
    /// Types and instructions mutated.
    Types,
    /// Bytes mutated.
    Bytes,
}

impl Origin {
    /// All of them.
    pub const ALL: [Origin; 3] = [Origin::Whole, Origin::Types, Origin::Bytes];
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Whole => "whole",
            Origin::Types => "type-mutated",
            Origin::Bytes => "byte-mutated",
        })
    }
}

/// What a mutant was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// Nothing: it is whole.
    None,
    /// A seed, which all validators accept.
    Seed,
    /// This module of a generator, from which the mutant differs.
    Module(Vec<u8>),
}

/// A module to judge.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its bytes.
    pub module: Vec<u8>,
    /// How it was made.
    pub origin: Origin,
    /// What was mutated.
    pub kinds: Vec<Kind>,
    /// Whether legacy exceptions are to be taken.
    pub legacy: bool,
    /// What it was made from.
    pub base: Base,
}

/// Most bytes for the choices of the mutation: so many that the fixed tail, which all would share, is hardly reached.
const CHOICES: usize = 1 << 10;
/// How often a mutation is made until it changes something.
const TRIES: usize = 8;

/// Makes a module of `bytes`: a base from a generator or from `seeds`, mutated or not. Total, and the same for the same
/// bytes and seeds. A base on which no mutation changes anything comes out whole.
pub fn input(bytes: &[u8], seeds: &Seeds) -> Input {
    let mut source = Unstructured::new(bytes);
    let choice = source.arbitrary::<u8>().unwrap_or(0);
    let origin = match choice >> 4 {
        0 => Origin::Whole,
        // Most mutated bytes are not even well formed.
        1 => Origin::Bytes,
        _ => Origin::Types,
    };
    let pick = source.arbitrary::<u16>().unwrap_or(0);
    // The mutation's choices come first: a base that eats all bytes would leave it none.
    let mut first = Unstructured::new(source.bytes((source.len() / 4).min(CHOICES)).unwrap_or_default());
    let mut choices = Choices::new(&mut first);
    // Seeds are small and cost nothing to make.
    let seed = match choice & 15 {
        0..=5 => pick_of(&seeds.given, pick),
        6..=8 => pick_of(&seeds.own, pick),
        9 => pick_of(&seeds.legacy, pick),
        _ => None,
    };
    let legacy = pick >> 14 == 0 || seed.is_some_and(|seed| seed.legacy);
    let base = match (seed, choice & 15) {
        (Some(seed), _) if origin == Origin::Types => seed.normal.clone(),
        (Some(seed), _) => seed.module.clone(),
        (None, 10) => typed(&mut source),
        (None, _) => smith::module_of_everything(&mut source),
    };
    let base = match origin {
        Origin::Types if seed.is_none() => mutate::normal(&base).unwrap_or(base),
        Origin::Types | Origin::Bytes | Origin::Whole => base,
    };
    for _ in 0..TRIES {
        let (module, kinds) = match origin {
            Origin::Whole => break,
            Origin::Types => types_of(&base, legacy, &mut choices),
            Origin::Bytes => (mutated_bytes(&base, &mut choices), Vec::new()),
        };
        if module != base {
            let base = if seed.is_some() { Base::Seed } else { Base::Module(base) };
            return Input { module, origin, kinds, legacy, base };
        }
    }
    Input { module: base, origin: Origin::Whole, kinds: Vec::new(), legacy, base: Base::None }
}

fn pick_of(seeds: &[Seed], pick: u16) -> Option<&Seed> {
    seeds.get(usize::from(pick) % seeds.len().max(1))
}

/// The module of a case of the typed generator.
fn typed(source: &mut Unstructured<'_>) -> Vec<u8> {
    let case = objects::generate(source);
    let module = case.steps.into_iter().find_map(|step| match step.action {
        Action::Module { source: Source::Binary(module), .. } => Some(module),
        _ => None,
    });
    module.unwrap_or_else(|| b"\0asm\x01\0\0\0".to_vec())
}

/// One to three mutations on types and instructions.
fn types_of(base: &[u8], legacy: bool, choices: &mut Choices<'_, '_>) -> (Vec<u8>, Vec<Kind>) {
    let (mut module, mut kinds) = (base.to_vec(), Vec::new());
    for _ in 0..choices.weighted(&[(8, 1), (2, 2), (1, 3)]) {
        if let Some((kind, mutant)) = mutate::mutate(&module, legacy, choices) {
            kinds.push(kind);
            module = mutant;
        }
    }
    (module, kinds)
}

/// One to three mutations on bytes.
pub(crate) fn mutated_bytes(base: &[u8], choices: &mut Choices<'_, '_>) -> Vec<u8> {
    let mut module = base.to_vec();
    for _ in 0..=choices.below(3) {
        // Behind the magic number and the version as a rule: they are soon tested.
        let low = if choices.chance(1, 64) { 0 } else { module.len().min(8) };
        let at = low + choices.below((module.len() - low).clamp(1, 1 << 16));
        let byte = choices.byte();
        match choices.below(6) {
            _ if at >= module.len() => module.push(byte),
            0 | 1 => module[at] ^= 1 << (byte % 8),
            2 => module[at] = byte,
            3 => module.insert(at, byte),
            4 => drop(module.remove(at)),
            _ => module[at] = module[at].wrapping_add(if byte.is_multiple_of(2) { 1 } else { 0xff }),
        }
    }
    module
}
