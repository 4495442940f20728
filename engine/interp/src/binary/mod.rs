//! The decoder, the spec's chapter "Binary Format". Bytes in, [`crate::Module`] out. It reads every byte through one
//! bounds-checked reader, never allocates more than the remaining bytes justify, and does not recurse.

pub(crate) mod instructions;
pub(crate) mod module;
pub(crate) mod reader;
pub(crate) mod types;
