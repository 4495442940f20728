//! The limits of wasmparser, which the specification's appendix "Implementation Limitations" allows: what it refuses for
//! one of them need not be malformed or invalid.
//!
//! wasmparser tells them from other refusals by its words alone; this is the only place that reads them.
//! `tests/limits.rs` has a module beyond each, so that a version with other words fails there.

use wasmparser::BinaryReader;

use crate::ErrorKind;

/// Where the number stands that is too large.
#[derive(Clone, Copy)]
enum Given {
    /// At the error's offset; as many items of a byte or more follow.
    Here,
    /// It ends at the error's offset; as many bytes follow.
    Before,
    /// Elsewhere, in what was found well-formed.
    Read,
}

/// A limit.
struct Limit {
    /// How wasmparser's message begins.
    text: &'static str,
    /// Of what it is.
    what: &'static str,
    /// The most that wasmparser takes (its file `limits.rs`).
    most: u64,
    given: Given,
}

const MAX_TYPES: u64 = 1_000_000;

const fn limit(text: &'static str, what: &'static str, most: u64, given: Given) -> Limit {
    Limit { text, what, most, given }
}

const LIMITS: [Limit; 23] = [
    limit("string size out of bounds", "bytes of a name", 100_000, Given::Before),
    limit("rec group types size is out", "types of a recursion group", MAX_TYPES, Given::Here),
    limit("function params size is out", "parameters of a function type", 1000, Given::Here),
    limit("function returns size is out", "results of a function type", 1000, Given::Here),
    limit("struct fields size is out", "fields of a structure", 10_000, Given::Here),
    limit("catches size is out", "clauses of a try_table", 10_000, Given::Here),
    limit("br_table size is out", "targets of a br_table", 7_654_321, Given::Here),
    limit("types count exceeds", "types", MAX_TYPES, Given::Read),
    limit("imports count exceeds", "imports", 1_000_000, Given::Read),
    limit("functions count exceeds", "functions", 1_000_000, Given::Read),
    limit("tables count exceeds", "tables", 100_000, Given::Read),
    limit("memories count exceeds", "memories", 100, Given::Read),
    limit("tags count exceeds", "tags", 1_000_000, Given::Read),
    limit("globals count exceeds", "globals", 1_000_000, Given::Read),
    limit("exports count exceeds", "exports", 1_000_000, Given::Read),
    limit("element segments count exceeds", "element segments", 100_000, Given::Read),
    limit("data segments count exceeds", "data segments", 100_000, Given::Read),
    limit("data count section specifies too many", "data segments", 100_000, Given::Read),
    limit("number of elements is out", "elements of a segment", 10_000_000, Given::Read),
    limit("function body size count exceeds", "bytes of a function's body", 7_654_321, Given::Read),
    limit("too many locals: locals exceed maximum", "locals of a function", 50_000, Given::Read),
    limit("sub type hierarchy too deep", "supertypes of a type", 63, Given::Read),
    // The types of imported and exported functions and tags together.
    limit("effective type size exceeds", "values in the types of imports and exports", 999_999, Given::Read),
];

/// Lists that wasmparser refuses to read beyond a few items, and of which the specification reads any number and takes
/// one.
const RULES: [&str; 2] = ["supertype idxs size is out", "select types size is out"];

/// Type indices above [`MAX_TYPES`], that wasmparser cannot represent.
const INDICES: [&str; 4] = [
    "type index greater than implementation limits",
    "type index too large",
    "implementation error: type index too large",
    "implementation limit: ",
];

fn begins(message: &str, texts: &[&str]) -> bool {
    texts.iter().any(|text| message.starts_with(text))
}

/// What a refusal of `wasm` is when it is one for a limit of wasmparser, or has the words of one: `Limit`, or what the
/// specification says instead (`Malformed` when the list that is too long ends behind the module, `Invalid` when the
/// limit is below what a rule of validation allows). None for any other refusal.
pub fn of(wasm: &[u8], error: &wasmparser::Error) -> Option<ErrorKind> {
    let (offset, message) = (error.offset() as usize, error.message());
    let rest = wasm.get(offset..).unwrap_or_default();
    let count = || BinaryReader::new(rest, 0).read_var_u32().map_or(u64::MAX, u64::from);
    let malformed = || ErrorKind::Malformed { offset, message: message.to_owned() };
    let invalid = || ErrorKind::Invalid { offset, message: message.to_owned() };
    if let Some(limit) = LIMITS.iter().find(|limit| message.starts_with(limit.text)) {
        let (given, follows) = match limit.given {
            Given::Here => (count(), true),
            Given::Before => (limit.most + 1, true),
            Given::Read => (limit.most + 1, false),
        };
        let fits = !follows || given <= rest.len() as u64;
        return Some(if fits {
            ErrorKind::Limit { what: limit.what, given, limit: limit.most, place: None }
        } else {
            malformed()
        });
    }
    if begins(message, &RULES) {
        return Some(if count() <= rest.len() as u64 { invalid() } else { malformed() });
    }
    // A module of fewer bytes has fewer types: nothing has the index.
    begins(message, &INDICES).then(|| match wasm.len() as u64 {
        ..=MAX_TYPES => invalid(),
        _ => ErrorKind::Limit { what: "types", given: MAX_TYPES + 1, limit: MAX_TYPES, place: None },
    })
}
