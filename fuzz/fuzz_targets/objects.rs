//! `cargo fuzz run objects`: the typed generator's programs, whose inputs are mutated by sections: types, functions,
//! statements, script, schedule.
//!
//! It can find: wrong results, traps, exceptions, heap graphs and numbers of live objects in one module that builds, changes
//! and reads back object graphs while collections, fibers and heap limits come as the input says; whatever a collector
//! gets wrong between them. It cannot find what needs several modules (`linking`), instructions that the generator does
//! not know (`smith`), invalid modules (`validate`), or an embedder (`embedding`).
#![no_main]

mod glue;
#[path = "glue/sections.rs"]
mod sections;

use assay_harness::generate::{input::Input, objects};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| glue::examine(&objects::of(&Input::decode(data), &objects::Options::default())));
