//! Spaces that several collectors build on: `blocks` of equal cells for small objects, `large` for the others, `cells`
//! of both, [`classes`] that say which is which, `mark` and `trace`, the walks over what refers to what.

pub(crate) mod blocks;
pub(crate) mod cells;
pub mod classes;
pub(crate) mod large;
pub(crate) mod mark;
pub(crate) mod trace;
