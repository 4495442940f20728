//! Where a process died, as far as its standard error tells: the place of a panic, and the first functions of a backtrace.

/// Frames that name a crash: two crashes with the same three are taken for one.
const FRAMES: usize = 3;

/// What every backtrace begins with, who reports and not who is at fault: modules,
const REPORTERS: &[&str] = &[
    // Rust.
    "__rustc::",
    "core::",
    "<core::",
    "std::",
    "<std::",
    "alloc::",
    "<alloc::",
    "anyhow::",
    "__rust_",
    // Sanitizers.
    "__interceptor_",
    "__asan",
    "__ubsan",
    "__sanitizer",
    // V8 and Node.
    "v8::base::debug::",
    "v8::base::FatalOOM",
    "v8::base::OS::Abort",
    "node::Abort",
    "node::OnFatalError",
    "node::DumpNativeBacktrace",
];

/// and functions.
const REPORTING: &[&str] = &[
    "rust_begin_unwind",
    "abort",
    "raise",
    "gsignal",
    "__assert_fail",
    "__pthread_kill",
    "pthread_kill",
    "V8_Fatal",
    "V8_Dcheck",
];

/// The place of a panic and the functions that were being executed, innermost first, as one line without addresses; empty if nothing of
/// it is told. Understands the backtraces of Rust, of the sanitizers, of V8 and of Node. Functions of the program that the engine ran are left
/// out: how deep it was says nothing of the fault.
pub(crate) fn place_of_death(stderr: &str) -> String {
    let panic = stderr.lines().find_map(|line| line.split_once("panicked at "));
    let place = panic.map(|(_, place)| place.trim_end_matches(':'));
    // Other lists are numbered too.
    let mut in_backtrace = false;
    let frames = stderr.lines().filter_map(|line| {
        let line = line.trim();
        in_backtrace |= line == "stack backtrace:" || line.to_ascii_lowercase().contains(" stack trace ");
        if in_backtrace || line.starts_with('#') { frame(line) } else { None }
    });
    let reports = |name: &str| {
        REPORTERS.iter().any(|reporter| name.starts_with(reporter))
            || REPORTING.contains(&name.split('(').next().unwrap_or(name))
    };
    let told = frames.filter(|name| !reports(name));
    place.into_iter().chain(told.take(FRAMES)).collect::<Vec<_>>().join(" < ")
}

/// What a program says of a failure, as one line without the frames of the program that it ran: how deep it was, and what its functions are
/// called, says nothing of the fault.
pub(crate) fn without_frames(message: &str) -> String {
    let is_frame = |line: &&str| {
        let line = line.trim();
        let at_address =
            |(number, rest): (&str, &str)| is_number(number) && rest.trim_start().starts_with("0x");
        line.ends_with("wasm backtrace:") || line.split_once(':').is_some_and(at_address)
    };
    let lines = message.lines().filter(|line| !is_frame(line));
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

/// The function of the engine that a line of a backtrace names.
fn frame(line: &str) -> Option<&str> {
    let numbered = match line.strip_prefix('#') {
        Some(line) => line.split_once(' '),
        None => line.split_once(':'),
    };
    let named = match numbered {
        Some((number, rest)) if is_number(number) => without_address(rest.trim_start()),
        // V8: `/path/of/program(function+0x13) [0x7f…]`.
        _ if line.starts_with('/') && line.ends_with(']') => line.split_once('(')?.1,
        _ => return None,
    };
    let mut name = named;
    for end in [" (", " [", "+0x", " at /", " in ", "(+", " /"] {
        name = name.split(end).next().unwrap_or(name);
    }
    let name = name.trim_end();
    // Rust's old names end in a hash.
    let name = match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|c| c.is_ascii_hexdigit()) => path,
        _ => name,
    };
    let is_name = name.contains(|c: char| c.is_ascii_alphabetic())
        && !["0x", "<unknown>", "<wasm function"].iter().any(|start| name.starts_with(start))
        && !name.contains("!<wasm function");
    is_name.then_some(name)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())
}

/// Without `0x… in `, `0x… - ` or `0x… ` in front.
fn without_address(text: &str) -> &str {
    let Some((_, rest)) = text.strip_prefix("0x").and_then(|address| address.split_once(' ')) else {
        return text;
    };
    let rest = rest.trim_start();
    rest.strip_prefix("in ").or_else(|| rest.strip_prefix("- ")).unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::{place_of_death, without_frames};

    #[test]
    fn a_failure_is_told_by_its_cause_and_not_by_its_depth() {
        // As Wasmtime 44.0.1 writes it.
        let failed = |frames: &str, cause: &str| {
            without_frames(&format!(
                "Error: failed to run script file 'case.wast'\n\nCaused by:\n    0: failed directive on case.wast:7\n    \
                 1: error while executing at wasm backtrace:\n{frames}    2: {cause}\n"
            ))
        };
        let shallow = "           0:     0x57 - <unknown>!<wasm function 1>\n";
        let deep = "           0:     0x57 - m!inner\n           1:     0x62 - m!outer 0x\n          12: 0x70 - <unknown>!<wasm function 4>\n";
        let trap = "wasm trap: integer divide by zero";
        assert_eq!(failed(shallow, trap), failed(deep, trap));
        assert_ne!(
            failed(shallow, trap),
            failed(shallow, "wasm trap: wasm `unreachable` instruction executed")
        );
        assert!(
            failed(deep, trap)
                .ends_with("failed directive on case.wast:7 2: wasm trap: integer divide by zero")
        );
        assert_eq!(without_frames("expected 0x1: 0x2\n  got 3"), "expected 0x1: 0x2 got 3");
    }

    #[test]
    fn backtraces_of_all_sorts_are_read() {
        let rust = "thread '<unnamed>' panicked at crates/gc.rs:462:38:
range end index 39495365 out of range for slice of length 524288
stack backtrace:
   0: rust_begin_unwind
   1: core::panicking::panic_fmt
   2: core::slice::index::slice_end_index_len_fail
   3: engine::drc::dec_ref
             at /home/someone/gc.rs:462:38
   4: <engine::drc::Collection as engine::Collection>::step
   5: engine::collect
   6: engine::invoke";
        assert_eq!(
            place_of_death(rust),
            "crates/gc.rs:462:38 < engine::drc::dec_ref < <engine::drc::Collection as engine::Collection>::step \
             < engine::collect"
        );
        let full = "stack backtrace:
   2:     0x55d0c0ffee12 - core::panicking::panic::h0123456789abcdef
   3:     0x55d0c0ffee34 - engine::drc::dec_ref::hfedcba9876543210
   4:     0x55d0c0ffee56 - <unknown>";
        assert_eq!(place_of_death(full), "engine::drc::dec_ref");
        let sanitizer = "==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x602000000010
    #0 0x4f1a2b in __asan_memcpy /build/asan.cpp:22:3
    #1 0x4f1a2c in gc::sweep(gc::Heap&) /src/gc.cc:10:5
    #2 0x4f1a2d in main /src/main.cc:1:1";
        assert_eq!(place_of_death(sanitizer), "gc::sweep(gc::Heap&) < main");
        let v8 = "#
# Fatal error in ../../src/heap/x.cc, line 7
# Check failed: object->IsMap().
#
==== C stack trace ===============================

    /opt/node/bin/node(v8::base::debug::StackTrace::StackTrace()+0x13) [0x7f0a1b2c3d4e]
    /opt/node/bin/node(v8::internal::Heap::Scavenge()+0x213) [0x7f0a1b2c3d4f]";
        assert_eq!(place_of_death(v8), "v8::internal::Heap::Scavenge()");
        let node = "FATAL ERROR: Reached heap limit
----- Native stack trace -----

 1: 0xe16044 node::OOMErrorHandler(char const*, v8::OOMDetails const&) [node]
 2: 0x11e0dd0 v8::Utils::ReportOOMFailure(v8::internal::Isolate*, char const*) [node]";
        assert_eq!(
            place_of_death(node),
            "node::OOMErrorHandler(char const*, v8::OOMDetails const&) \
             < v8::Utils::ReportOOMFailure(v8::internal::Isolate*, char const*)"
        );
        let twice = format!(
            "{full}\nthread panicked while processing panic. aborting.\nstack backtrace:\n   0: abort_of_gc\n   1: abort"
        );
        assert_eq!(place_of_death(&twice), "engine::drc::dec_ref < abort_of_gc");
        let in_wasm = "error while executing at wasm backtrace:
    0:  0x4e2 - <unknown>!<wasm function 4>
    1:  0x4f0 - m!f

Caused by:
    0: the allocation failed
    1: out of cucumbers
12:30:45 it is late";
        let below_wasm = format!("stack backtrace:\n   0: engine::alloc\n{in_wasm}");
        assert_eq!(place_of_death(&below_wasm).split(" < ").next(), Some("engine::alloc"));
        let frames_of_wasm =
            "stack backtrace:\n   0: engine::alloc\n   1: 0x4e2 - <unknown>!<wasm function 4>";
        assert_eq!(place_of_death(frames_of_wasm), "engine::alloc");
        for nothing in
            ["", "Error: failed to run main module", "1 of 2 failed", "12: 0x7f00", "#\n# Fatal", in_wasm]
        {
            assert_eq!(place_of_death(nothing), "");
        }
    }
}
