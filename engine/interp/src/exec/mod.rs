//! Execution, the spec's chapter "Execution / Instructions", one file per instruction family, over an internal code
//! ([`code`]) that [`translate`] makes while the module is decoded. [`run`] is the loop.

pub(crate) mod aggregate;
pub(crate) mod code;
pub(crate) mod constant;
pub(crate) mod cover;
pub(crate) mod exception;
pub(crate) mod fiber;
pub(crate) mod fused;
pub(crate) mod host;
pub(crate) mod memory;
pub(crate) mod meter;
pub(crate) mod numeric;
pub(crate) mod reference;
pub(crate) mod run;
pub(crate) mod table;
pub(crate) mod translate;
pub(crate) mod vector;
