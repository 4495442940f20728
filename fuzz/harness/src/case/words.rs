//! The words of scripts for traps and exhaustion: one table each, read and written from the same rows.

use crate::observe::{Resource, TrapKind};

/// Texts of traps. The first row of a kind is the one that is written. A script's text may go on after the row's
/// (`uninitialized element 7`).
const TRAPS: &[(&str, TrapKind)] = &[
    ("unreachable", TrapKind::Unreachable),
    ("integer divide by zero", TrapKind::IntegerDivideByZero),
    ("integer overflow", TrapKind::IntegerOverflow),
    ("invalid conversion to integer", TrapKind::InvalidConversionToInteger),
    ("out of bounds memory access", TrapKind::MemoryOutOfBounds),
    ("out of bounds table access", TrapKind::TableOutOfBounds),
    ("undefined element", TrapKind::TableOutOfBounds),
    ("uninitialized element", TrapKind::UninitializedElement),
    ("indirect call type mismatch", TrapKind::IndirectCallTypeMismatch),
    ("null reference", TrapKind::NullReference),
    ("null array reference", TrapKind::NullReference),
    ("null structure reference", TrapKind::NullReference),
    ("null i31 reference", TrapKind::NullReference),
    ("null function reference", TrapKind::NullReference),
    ("null exception reference", TrapKind::NullReference),
    ("out of bounds array access", TrapKind::ArrayOutOfBounds),
    ("cast failure", TrapKind::CastFailure),
    ("allocation size too large", TrapKind::AllocationTooLarge),
    ("uncaught exception", TrapKind::UncaughtException),
];

const RESOURCES: &[(&str, Resource)] = &[
    ("call stack exhausted", Resource::CallStack),
    ("fuel exhausted", Resource::Fuel),
    ("gc heap exhausted", Resource::GcHeap),
    ("memory exhausted", Resource::Memory),
    ("table exhausted", Resource::Table),
];

pub(super) fn trap_of(text: &str) -> Option<TrapKind> {
    lookup(TRAPS, text)
}

pub(super) fn resource_of(text: &str) -> Option<Resource> {
    lookup(RESOURCES, text)
}

pub(super) fn trap_text(kind: TrapKind) -> &'static str {
    written(TRAPS, &kind)
}

pub(super) fn resource_text(resource: Resource) -> &'static str {
    written(RESOURCES, &resource)
}

fn lookup<T: Copy>(rows: &[(&str, T)], text: &str) -> Option<T> {
    rows.iter().find(|(row, _)| text.starts_with(row)).map(|(_, value)| *value)
}

fn written<T: PartialEq>(rows: &[(&'static str, T)], value: &T) -> &'static str {
    rows.iter().find(|(_, kind)| kind == value).map_or("unknown", |(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_reads_as_its_kind_and_each_kind_has_a_text() {
        for (text, kind) in TRAPS {
            assert_eq!(trap_of(text), Some(*kind), "{text}");
            assert_eq!(trap_of(trap_text(*kind)), Some(*kind));
        }
        for (text, resource) in RESOURCES {
            assert_eq!(resource_of(text), Some(*resource));
            assert_eq!(resource_text(*resource), *text);
        }
        assert_eq!(trap_of("uninitialized element 7"), Some(TrapKind::UninitializedElement));
        assert_eq!(trap_of("something else"), None);
    }
}
