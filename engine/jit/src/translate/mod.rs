//! Wasm functions to CLIF. One file per instruction family, in the specification's grouping.
