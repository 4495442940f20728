//! What programs do on the engine, by area; each module says what it tests.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod barriers;
mod basics;
mod churn;
#[path = "../common/mod.rs"]
mod common;
mod exceptions;
mod exceptions_host;
mod host_tables;
mod nesting;
mod values;
mod vector_programs;
mod vector_results;
mod vectors;
