//! Abstract syntax, the spec's chapter "Structure": types, instructions and modules as the decoder
//! hands them on. Nothing here refers to a store, except that a heap type may name a canonical type.

pub(crate) mod features;
pub(crate) mod instructions;
pub(crate) mod module;
pub(crate) mod opcodes;
pub(crate) mod types;
pub(crate) mod vectors;
