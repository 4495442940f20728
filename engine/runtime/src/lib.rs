//! Stores, instances, host functions and traps: the embedding API of Assay's JIT engine.
