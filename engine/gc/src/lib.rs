//! Heaps, object layouts and precise collectors.
//!
//! The way of the data: the JIT asks this crate for layouts and for a collector's [`CodeShape`], the runtime owns
//! one [`Heap`] per store and shows it the roots through [`RootSet`]; nothing here knows of frames or of code.

mod bits;
mod cards;
pub mod collector;
pub mod error;
pub mod header;
pub mod heap;
pub mod layout;
pub mod layout_table;
pub mod memory;
pub mod mutator;
pub mod reference;
pub mod roots;
pub mod schedule;
pub mod space;
pub mod types;
pub mod verify;

/// Declares each collector's module, the folder of that name, and lists their entries.
macro_rules! collectors {
    ($($name:ident,)*) => {
        $(mod $name;)*

        /// All collectors.
        pub fn registry() -> &'static [CollectorEntry] {
            &[$($name::ENTRY,)*]
        }
    };
}

// One line each.
collectors! {
    null,
    copying,
    marksweep,
    drc,
    generational,
    incremental,
}

pub use collector::{
    Account, AllocShape, BarrierShape, CodeShape, Collector, CollectorEntry, Constraints, find,
};
pub use error::{Error, ErrorKind};
pub use heap::{AllocError, CollectKind, Heap, HeapConfig, HeapCore, Pauses, Region, RegionId, Stats};
pub use mutator::{CARD_BYTES, CARD_SHIFT, COUNT_LOGGED, COUNT_ONE, Mutator};
pub use reference::GcRef;
pub use roots::{RootKind, RootPhase, RootSet};
pub use schedule::{Event, Schedule, Stress, Trigger};
pub use space::classes::{CELL_SIZES, SIZE_CLASSES, size_class};
pub use types::{
    AbstractHeapType, CompositeType, FieldType, FuncType, HeapType, RecGroup, RefType, StorageType, SubType,
    TypeId, TypeRegistry, TypeRow, ValType,
};
