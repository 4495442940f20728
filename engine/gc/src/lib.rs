//! Heaps, object layouts and precise collectors.
//!
//! The way of the data: the JIT asks this crate for layouts and for a collector's [`Constraints`], the runtime owns
//! one [`Heap`] per store and shows it the roots through [`RootSet`]; nothing here knows of frames or of code.

mod bits;
pub mod collector;
mod copying;
pub mod error;
pub mod header;
pub mod heap;
pub mod layout;
pub mod layout_table;
pub mod memory;
mod null;
pub mod reference;
pub mod roots;
pub mod types;
mod verify;

pub use collector::{AllocShape, BarrierShape, Collector, CollectorEntry, Constraints, find, registry};
pub use error::{Error, ErrorKind};
pub use heap::{AllocError, BumpWindow, CollectKind, Heap, HeapConfig, HeapCore, Stats, Stress};
pub use reference::GcRef;
pub use roots::{RootKind, RootPhase, RootSet};
pub use types::{
    AbstractHeapType, CompositeType, FieldType, FuncType, HeapType, RecGroup, RefType, StorageType, SubType,
    TypeId, TypeRegistry, TypeRow, ValType,
};
