//! What the specification has settled against wasmparser. Each entry is as narrow as its cause: all else about the module has to
//! agree.

use std::convert::Infallible;

use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{Function, Module};
use wasmparser::{FunctionBody, Parser};

use super::{Judgement, Verdict, judge};

/// A disagreement that is settled.
pub(super) struct Settled {
    /// Its name in summaries.
    pub(super) name: &'static str,
    /// Whether it accounts for what is said about a module, with legacy exceptions or without.
    accounts: fn(&[u8], bool, &Verdict) -> bool,
}

const SETTLED: [Settled; 2] = [
    // Corpus: validation/a-group-of-no-locals-has-no-type.wast.
    Settled { name: "the type of a group of no locals", accounts: empty_groups },
    // A module can be both: it is malformed then (Introduction / Overview, Semantic Phases: validation is of what has been
    // decoded). Corpus: validation/malformed-behind-what-is-invalid.wast.
    Settled { name: "malformed behind what wasmparser does not read", accounts: unread },
];

/// The entry that accounts for a disagreement.
pub(super) fn find(module: &[u8], legacy: bool, verdict: &Verdict) -> Option<&'static str> {
    SETTLED.iter().find(|entry| (entry.accounts)(module, legacy, verdict)).map(|entry| entry.name)
}

/// wasmparser asks of a group of locals that its type is valid however many there are; the specification (Binary Format /
/// Code Section: `locals`) expands the group to so many locals, whose types have to be valid. Without the groups of none the
/// verdicts are the same.
fn empty_groups(module: &[u8], legacy: bool, verdict: &Verdict) -> bool {
    match &verdict.theirs {
        Judgement::Rejected(text) if text.contains("unknown type") => {}
        _ => return false,
    }
    let mut without = WithoutEmptyGroups { left_out: false };
    let mut rest = Module::new();
    if without.parse_core_module(&mut rest, Parser::new(0), module).is_err() || !without.left_out {
        return false;
    }
    let rest = judge(&rest.finish(), legacy);
    rest.settled.is_none()
        && rest.agrees()
        && verdict.ours.agrees(&rest.ours)
        && verdict.jit.agrees(&rest.jit)
}

struct WithoutEmptyGroups {
    left_out: bool,
}

impl Reencode for WithoutEmptyGroups {
    type Error = Infallible;

    fn new_function_with_parsed_locals(
        &mut self,
        body: &FunctionBody<'_>,
    ) -> Result<Function, reencode::Error<Infallible>> {
        let mut locals = Vec::new();
        for group in body.get_locals_reader()? {
            let (count, ty) = group?;
            if count == 0 {
                self.left_out = true;
            } else {
                locals.push((count, self.val_type(ty)?));
            }
        }
        Ok(Function::new(locals))
    }
}

/// At a list or an index that no valid module has, and that is too large for its representation, wasmparser stops reading:
/// the JIT calls the module invalid, which it is, and cannot see that it is malformed further on.
fn unread(_: &[u8], _: bool, verdict: &Verdict) -> bool {
    let stops = |text: &str| {
        [
            "supertype idxs size is out of bounds",
            "select types size is out of bounds",
            "type index greater than implementation limits",
            "type index too large",
        ]
        .iter()
        .any(|stop| text.contains(stop))
    };
    match (&verdict.ours, &verdict.theirs, &verdict.jit) {
        (
            Judgement::Malformed(_),
            Judgement::Rejected(_) | Judgement::Limit(_),
            Judgement::Invalid(_, text),
        ) => stops(text),
        _ => false,
    }
}
