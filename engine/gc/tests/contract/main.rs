//! The contract of [`Collector`](assay_gc::Collector), tested on every line of the registry.
//!
//! A mutator with a shadow of its heap in plain Rust values does what wasm code may do, inline allocation included;
//! whatever a collector does in between, heap and shadow stay isomorphic.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod graphs;
mod hostile;
mod limits;
mod model;
mod stress;
mod verifier;
