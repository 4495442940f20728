//! What programs that run `.wast` say of a step that failed, as far as it stands for something that ran out: facts about their
//! messages, taken from their sources and runs.

use crate::observe::Resource;

/// Parts of messages, in small letters, and what ran out.
const EXHAUSTED: &[(&str, Resource)] = &[
    // Wasmtime: `GcHeapOutOfMemory`, and its trap code of later versions.
    ("gc heap out of memory", Resource::GcHeap),
    ("heap out of memory", Resource::GcHeap),
    // Wasmtime, the specification's interpreter, Wizard.
    ("call stack exhausted", Resource::CallStack),
    ("stack overflow", Resource::CallStack),
    ("all fuel consumed", Resource::Fuel),
    // Wasmtime's pooling allocator has a number of tables, memories and bytes for each module.
    ("does not fit in pooling allocator", Resource::Memory),
    ("maximum concurrent", Resource::Memory),
];

/// What Wasmtime's null collector says of every allocation that its heap has no room for, and others of those that no heap has room for.
const TOO_LARGE: &str = "allocation size too large";

/// What ran out, by a message of an engine that frees nothing if `never_collects`.
pub(super) fn exhausted(message: &str, never_collects: bool) -> Option<Resource> {
    let message = message.to_lowercase();
    if never_collects && message.contains(TOO_LARGE) {
        return Some(Resource::GcHeap);
    }
    EXHAUSTED.iter().find(|(words, _)| message.contains(words)).map(|(_, resource)| *resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heap_that_is_never_collected_has_no_room_in_other_words() {
        let large = "wasm trap: Allocation size too large";
        assert_eq!(exhausted(large, true), Some(Resource::GcHeap));
        assert_eq!(exhausted(large, false), None);
        for never in [false, true] {
            assert_eq!(exhausted("GC heap out of memory", never), Some(Resource::GcHeap));
            assert_eq!(exhausted("call stack exhausted", never), Some(Resource::CallStack));
            assert_eq!(exhausted("integer divide by zero", never), None);
        }
    }
}
