//! Emits the allocation and barrier shapes that a collector declares as data. The only file of this crate that looks
//! at [`Constraints`](assay_gc::Constraints).
