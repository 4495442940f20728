//! What a file of the suite needs, and whether it is in scope for a subject.
//!
//! Two tables say it all: [`DIRECTORIES`] for whole directories and [`FILES`] for single files whose modules use more
//! than their directory tells. `tests/needs.rs` recomputes both with `wasmparser`, so an update of the suite that adds
//! a feature to a file fails there and does not turn into a silent skip.

use std::fmt;

use assay_harness::Features;
use serde::{Deserialize, Serialize};

/// A feature that a file may need beyond WebAssembly 2.0 without SIMD plus function references.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// Recursive types, subtyping, structs, arrays, i31, casts.
    Gc,
    /// 128-bit vectors, relaxed ones too.
    Simd,
    /// Tags, `throw`, `try_table`, `exnref`.
    Exceptions,
    /// `try`, `catch`, `rethrow`, `delegate`.
    LegacyExceptions,
    /// `return_call*`.
    TailCalls,
    /// 64-bit memories and tables.
    Memory64,
    /// More than one memory.
    MultiMemory,
}

impl Need {
    /// All of them.
    pub const ALL: [Need; 7] = [
        Need::Gc,
        Need::Simd,
        Need::Exceptions,
        Need::LegacyExceptions,
        Need::TailCalls,
        Need::Memory64,
        Need::MultiMemory,
    ];

    /// Whether `features` has it.
    pub fn met_by(self, features: &Features) -> bool {
        match self {
            Need::Gc => features.gc,
            Need::Simd => features.simd,
            Need::Exceptions => features.exceptions,
            Need::LegacyExceptions => features.legacy_exceptions,
            Need::TailCalls => features.tail_calls,
            Need::Memory64 => features.memory64,
            Need::MultiMemory => features.multi_memory,
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Need::Gc => "gc",
            Need::Simd => "simd",
            Need::Exceptions => "exceptions",
            Need::LegacyExceptions => "legacy-exceptions",
            Need::TailCalls => "tail-calls",
            Need::Memory64 => "memory64",
            Need::MultiMemory => "multi-memory",
        })
    }
}

/// What a directory of the suite is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directory {
    /// Part of WebAssembly 3.0; its files need these.
    Needs(&'static [Need]),
    /// Out of scope for every subject, and why.
    Beyond(&'static str),
}

const BEYOND: Directory = Directory::Beyond("a proposal beyond WebAssembly 3.0");
const OLDER: Directory = Directory::Beyond("an older copy of files that WebAssembly 3.0 has under core");

/// Directory label → what it is. A directory that is not in the table needs nothing (a user's own folder).
pub const DIRECTORIES: &[(&str, Directory)] = &[
    ("core", Directory::Needs(&[])),
    ("core/bulk-memory", Directory::Needs(&[])),
    ("core/exceptions", Directory::Needs(&[Need::Exceptions])),
    ("core/gc", Directory::Needs(&[Need::Gc])),
    ("core/memory64", Directory::Needs(&[Need::Memory64])),
    ("core/multi-memory", Directory::Needs(&[Need::MultiMemory])),
    ("core/relaxed-simd", Directory::Needs(&[Need::Simd])),
    ("core/simd", Directory::Needs(&[Need::Simd])),
    ("legacy/exceptions-core", Directory::Needs(&[Need::Exceptions, Need::LegacyExceptions])),
    ("proposals/annotations", OLDER),
    ("proposals/custom-descriptors", BEYOND),
    ("proposals/custom-page-sizes", BEYOND),
    ("proposals/extended-const", OLDER),
    ("proposals/function-references", OLDER),
    ("proposals/memory64", OLDER),
    ("proposals/multi-value", OLDER),
    ("proposals/mutable-global", OLDER),
    ("proposals/nontrapping-float-to-int-conversions", OLDER),
    ("proposals/reference-types", OLDER),
    ("proposals/sign-extension-ops", OLDER),
    ("proposals/tail-call", OLDER),
    ("proposals/threads", BEYOND),
    ("proposals/wide-arithmetic", BEYOND),
];

/// `directory/file` → what the file needs beside its directory's needs. Only files of WebAssembly 3.0.
pub const FILES: &[(&str, &[Need])] = &[
    // A single module each uses struct, array or i31 types.
    ("core/bulk-memory/table_init.wast", &[Need::Gc]),
    ("core/data.wast", &[Need::Gc]),
    ("core/elem.wast", &[Need::Gc]),
    ("core/global.wast", &[Need::Gc]),
    ("core/memory64/table_init64.wast", &[Need::Gc]),
    // Rec groups and declared subtypes.
    ("core/type-canon.wast", &[Need::Gc]),
    ("core/type-equivalence.wast", &[Need::Gc]),
    ("core/type-rec.wast", &[Need::Gc]),
    ("core/exceptions/tag.wast", &[Need::Gc]),
    // The module that all others import exports tags.
    ("core/imports.wast", &[Need::Exceptions]),
    // Every module imports or exports a tag and two memories.
    ("core/instance.wast", &[Need::Exceptions, Need::MultiMemory]),
    // Nulls of every heap type, `exn` and `any` too.
    ("core/ref_null.wast", &[Need::Gc, Need::Exceptions]),
    ("core/return_call.wast", &[Need::TailCalls]),
    ("core/return_call_indirect.wast", &[Need::TailCalls]),
    ("core/return_call_ref.wast", &[Need::TailCalls]),
    ("core/exceptions/try_table.wast", &[Need::TailCalls]),
    ("core/simd/simd_memory-multi.wast", &[Need::MultiMemory]),
    // Tail calls out of a `try` body, whose handlers they leave.
    ("legacy/exceptions-core/try_catch.wast", &[Need::TailCalls]),
    ("legacy/exceptions-core/try_delegate.wast", &[Need::TailCalls]),
];

/// Whether a file is run on a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// It is run.
    In,
    /// The subject lacks these features.
    Lacks(Vec<Need>),
    /// Out of scope for every subject, and why.
    Beyond(&'static str),
}

impl Scope {
    /// Why the file is not run; none when it is.
    pub fn reason(&self) -> Option<String> {
        match self {
            Scope::In => None,
            Scope::Lacks(needs) => {
                let names: Vec<String> = needs.iter().map(Need::to_string).collect();
                Some(format!("needs {}", names.join(", ")))
            }
            Scope::Beyond(why) => Some((*why).to_owned()),
        }
    }
}

/// What the file `directory/name` needs; an error says that it is out of scope everywhere.
pub fn needs(directory: &str, name: &str) -> Result<Vec<Need>, &'static str> {
    let mut needs = match DIRECTORIES.iter().find(|(label, _)| *label == directory) {
        Some((_, Directory::Beyond(why))) => return Err(why),
        Some((_, Directory::Needs(needs))) => needs.to_vec(),
        None if directory.starts_with("proposals/") => {
            return Err("a proposal that the runner does not know");
        }
        None => Vec::new(),
    };
    let full = format!("{directory}/{name}");
    if let Some((_, more)) = FILES.iter().find(|(file, _)| *file == full) {
        needs.extend_from_slice(more);
    }
    needs.sort_unstable();
    needs.dedup();
    Ok(needs)
}

/// Whether the file `directory/name` is in scope for a subject with these features.
pub fn scope(directory: &str, name: &str, features: &Features) -> Scope {
    match needs(directory, name) {
        Err(why) => Scope::Beyond(why),
        Ok(needs) => {
            let lacks: Vec<Need> = needs.into_iter().filter(|need| !need.met_by(features)).collect();
            if lacks.is_empty() { Scope::In } else { Scope::Lacks(lacks) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lacking_feature_is_named() {
        let features = Features { gc: true, ..Features::default() };
        assert_eq!(scope("core", "block.wast", &features), Scope::In);
        assert_eq!(scope("core/gc", "array.wast", &features), Scope::In);
        let lacks = scope("core", "instance.wast", &features);
        assert_eq!(lacks.reason().as_deref(), Some("needs exceptions, multi-memory"));
        assert!(matches!(scope("proposals/threads", "atomic.wast", &features), Scope::Beyond(_)));
        assert!(matches!(scope("proposals/yet-unknown", "a.wast", &features), Scope::Beyond(_)));
    }

    #[test]
    fn no_double_rows() {
        let mut files: Vec<&str> = FILES.iter().map(|row| row.0).collect();
        files.sort_unstable();
        let count = files.len();
        files.dedup();
        assert_eq!(files.len(), count);
    }
}
