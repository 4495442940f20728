//! Heaps, object layouts and precise collectors.
//!
//! The way of the data: the JIT asks this crate for layouts and for a collector's [`Constraints`], the runtime owns
//! one [`Heap`] per store and shows it the roots through [`RootSet`]; nothing here knows of frames or of code.

pub mod collector;
pub mod error;
pub mod header;
pub mod heap;
pub mod layout;
pub mod reference;
pub mod roots;
pub mod types;

pub use collector::{AllocShape, BarrierShape, Collector, CollectorEntry, Constraints, registry};
pub use error::{Error, ErrorKind};
pub use heap::{AllocError, BumpWindow, CollectKind, Heap, HeapConfig, Stats, Stress};
pub use reference::GcRef;
pub use roots::{RootKind, RootPhase, RootSet};
pub use types::{
    AbstractHeapType, CompositeType, FieldType, FuncType, HeapType, RecGroup, RefType, StorageType, SubType, TypeId,
    TypeRegistry, TypeRow, ValType,
};
