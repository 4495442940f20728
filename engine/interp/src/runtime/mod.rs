//! The store and what lives in it, the spec's chapter "Execution / Runtime Structure" and "Modules".

pub(crate) mod collect;
pub(crate) mod exception;
pub(crate) mod heap;
pub(crate) mod instance;
pub(crate) mod introspect;
pub(crate) mod matching;
pub(crate) mod store;
pub(crate) mod types;
pub(crate) mod value;
