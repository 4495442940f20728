//! `cargo fuzz run exceptions`: `objects` with a throw or a catch in every second statement.
//!
//! It can find: payloads that a collector loses or moves wrong, handlers that are missed or chosen wrong, frames of wasm and
//! of the host that unwinding leaves in disorder, exceptions that are thrown on by reference after collections. It
//! cannot find what needs several tags, or exceptions of one module that another catches.
#![no_main]

mod glue;
#[path = "glue/sections.rs"]
mod sections;

use assay_harness::Features;
use assay_harness::generate::{input::Input, objects};
use libfuzzer_sys::fuzz_target;

const OPTIONS: objects::Options =
    objects::Options { catch: 50, keeps_uncalled: false, within: Features::OF_PROGRAMS };

fuzz_target!(|data: &[u8]| glue::examine(&objects::of(&Input::decode(data), &OPTIONS)));
