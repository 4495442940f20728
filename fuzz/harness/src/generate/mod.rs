//! Generators: bytes to cases. The same bytes always give the same case, and every byte string gives a valid one.
