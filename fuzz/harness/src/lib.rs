//! The harness: cases, subjects, observations, comparison, generators, reduction. It knows nothing of libFuzzer.
//!
//! The way of the data: [`generate`] or a `.wast` file → [`Case`] → each [`subject::Subject`] → [`Observation`] →
//! [`compare`] → finding → [`reduce`] → report. Beside it stand what fuzz targets need: [`mutate`], [`feedback`],
//! [`scripts`], [`embedding`], [`decode`], [`validate`].

#![forbid(unsafe_code)]

pub mod campaign;
pub mod case;
pub mod compare;
pub mod decode;
pub mod embedding;
pub mod feedback;
mod frames;
pub mod generate;
pub mod graph;
mod limits;
pub mod mutate;
pub mod observe;
pub mod peer;
pub mod process;
pub mod reduce;
pub mod scripts;
pub mod selfcheck;
pub mod subject;
pub mod validate;

pub use case::{Action, Case, Expect, Pattern, Schedule, Source, Step};
pub use graph::HeapGraph;
pub use observe::{Observation, Outcome, RejectStage, Resource, TrapKind, Value};
pub use subject::{Features, Subject};
