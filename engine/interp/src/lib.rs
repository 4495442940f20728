//! The reference interpreter: decode, execute and store of its own.
