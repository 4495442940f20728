//! One file per command.

pub(crate) mod diff;
pub(crate) mod export;
pub(crate) mod fuzz;
pub(crate) mod launch;
pub(crate) mod peers;
pub(crate) mod reduce;
pub(crate) mod run;
pub(crate) mod seeds;
pub(crate) mod spec;
pub(crate) mod validate;
pub(crate) mod wast;
pub(crate) mod worker;
