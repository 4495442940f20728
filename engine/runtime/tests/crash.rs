//! Real crashes stay crashes: the signal handler takes faults of generated code only. Each case runs in a child.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use assay_runtime::*;
use common::*;

/// Runs this test again in a child, where `body` runs; gives what became of it.
fn in_child(test: &str, body: fn()) -> Option<Output> {
    if std::env::var_os("ASSAY_CRASH_CHILD").is_some() {
        body();
        return None;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env("ASSAY_CRASH_CHILD", "1")
        .output()
        .unwrap();
    Some(output)
}

/// Runs `host` as a host function below wasm code.
fn below_wasm(host: fn()) {
    let engine = Engine::new(Config::default()).unwrap();
    let mut store = Store::new(&engine).unwrap();
    let ty = FuncType { params: [].into(), results: [].into() };
    let host = Func::new(&mut store, ty, move |_, _, _| {
        host();
        Ok(())
    })
    .unwrap();
    let text = r#"(module (import "h" "f" (func $f)) (func (export "g") (call $f)))"#;
    let instance = Instance::new(&mut store, &module(&engine, text), &[Extern::Func(host)]).unwrap();
    func(&store, instance, "g").call(&mut store, &[]).unwrap();
}

#[test]
fn a_wild_access_of_a_host_function_ends_the_process() {
    let child = in_child("a_wild_access_of_a_host_function_ends_the_process", || {
        below_wasm(|| {
            let wild = std::ptr::without_provenance::<u8>(8);
            // SAFETY: none, on purpose: this runs in a child that is meant to crash.
            unsafe { wild.read_volatile() };
        });
    });
    if let Some(output) = child {
        assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{output:?}");
    }
}

#[test]
fn a_native_stack_overflow_is_reported_by_rust() {
    fn deeper(n: u64) -> u64 {
        let local = std::hint::black_box([n; 64]);
        if n == u64::MAX { 0 } else { deeper(n + 1) + local[3] }
    }
    let child = in_child("a_native_stack_overflow_is_reported_by_rust", || {
        below_wasm(|| {
            deeper(0);
        });
    });
    if let Some(output) = child {
        assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(message.contains("has overflowed its stack"), "{message}");
    }
}
