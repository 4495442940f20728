//! One store's heap: reservation with guards, allocation window, collector, statistics.

use std::sync::Arc;

use crate::types::{TypeId, TypeRegistry};
use crate::{CollectorEntry, Error, GcRef, RootSet};

/// The inline allocation window; generated code reads and bumps it. Lies at a stable address owned by the [`Heap`].
/// While "collect at every allocation" is on, `next == end`, so that each inline allocation takes the slow path.
#[repr(C)]
#[derive(Debug)]
pub struct BumpWindow {
    /// Heap offset of the next object.
    pub next: u32,
    /// Heap offset behind the window.
    pub end: u32,
}

/// Why an allocation failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AllocError {
    /// The limit is reached even after a full collection.
    OutOfMemory,
    /// Larger than [`MAX_OBJECT_SIZE`](crate::layout::MAX_OBJECT_SIZE).
    TooLarge,
    /// The verifier found a broken invariant (kept in [`Heap::verify_failure`]).
    Corrupt,
}

/// Which collection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CollectKind {
    /// Young objects only, where the collector has generations; else full.
    Minor,
    /// Everything.
    Full,
}

/// Testing modes; all can be combined.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stress {
    /// Collect at every allocation.
    pub every_alloc: bool,
    /// Collect at every n-th allocation (0 = off), counted on the slow path, which then takes every allocation.
    pub every_nth: u32,
    /// Fill freed memory with a pattern.
    pub poison: bool,
    /// Verify the heap before and after each collection.
    pub verify: bool,
}

/// A heap's configuration.
#[derive(Clone, Debug)]
pub struct HeapConfig {
    /// Bytes of live and dead objects that the mutator may see at most (a semi-space counts once).
    pub max_bytes: u64,
    /// Bytes to start with.
    pub initial_bytes: u64,
    /// Testing modes.
    pub stress: Stress,
}

impl Default for HeapConfig {
    fn default() -> Self {
        HeapConfig { max_bytes: 1 << 30, initial_bytes: 1 << 20, stress: Stress::default() }
    }
}

/// Counters since the heap's creation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Collections run, and those of them that a stress mode or schedule forced.
    pub collections: u64,
    /// Collections forced by a stress mode or by `Heap::collect`.
    pub forced: u64,
    /// Objects copied or marked, over all collections.
    pub objects_survived: u64,
    /// Bytes of those.
    pub bytes_survived: u64,
    /// Objects that a collection reached only from frames.
    pub survived_from_frames_only: u64,
    /// Root slots visited, and those of frames.
    pub roots: u64,
    /// Root slots of frames.
    pub frame_roots: u64,
    /// Allocations that took the slow path.
    pub slow_allocations: u64,
    /// Bytes handed out (inline bumps included, as far as windows were used).
    pub bytes_allocated: u64,
    /// Verifier runs.
    pub verifications: u64,
}

/// A store's heap. Offset 0 is null; the first pages of the reservation are never mapped. The reservation is 4 GiB
/// plus guards, so that base + any u32 + any field offset stays inside it.
pub struct Heap {}

impl Heap {
    /// Reserves a heap for `collector`.
    ///
    /// # Errors
    /// `Reservation`.
    pub fn new(types: Arc<TypeRegistry>, collector: &CollectorEntry, config: HeapConfig) -> Result<Heap, Error> {
        let _ = (types, collector, config);
        unimplemented!()
    }
    /// Address of heap offset 0 (constant).
    pub fn base(&self) -> *mut u8 {
        unimplemented!()
    }
    /// The reserved address range, guards included (for a signal handler).
    pub fn reservation(&self) -> std::ops::Range<usize> {
        unimplemented!()
    }
    /// The inline allocation window (stable address).
    pub fn window(&mut self) -> *mut BumpWindow {
        unimplemented!()
    }
    /// Allocates a zeroed struct; may collect first, so every reference that the caller still needs is in `roots`.
    ///
    /// # Errors
    /// See [`AllocError`].
    pub fn alloc_struct(&mut self, ty: TypeId, roots: &mut dyn RootSet) -> Result<GcRef, AllocError> {
        let _ = (ty, roots);
        unimplemented!()
    }
    /// Allocates a zeroed array with its length set; may collect first.
    ///
    /// # Errors
    /// See [`AllocError`].
    pub fn alloc_array(&mut self, ty: TypeId, len: u32, roots: &mut dyn RootSet) -> Result<GcRef, AllocError> {
        let _ = (ty, len, roots);
        unimplemented!()
    }
    /// Allocates a host box of index `host`; may collect first.
    ///
    /// # Errors
    /// See [`AllocError`].
    pub fn alloc_host(&mut self, host: u32, roots: &mut dyn RootSet) -> Result<GcRef, AllocError> {
        let _ = (host, roots);
        unimplemented!()
    }
    /// Forces a collection.
    ///
    /// # Errors
    /// `Verify` when a verifier run around it fails.
    pub fn collect(&mut self, kind: CollectKind, roots: &mut dyn RootSet) -> Result<(), Error> {
        let _ = (kind, roots);
        unimplemented!()
    }
    /// Re-traces from `roots` and checks every object; independent of the collector.
    ///
    /// # Errors
    /// `Verify`.
    pub fn verify(&mut self, roots: &mut dyn RootSet) -> Result<(), Error> {
        let _ = roots;
        unimplemented!()
    }
    /// The verifier's finding behind [`AllocError::Corrupt`].
    pub fn verify_failure(&self) -> Option<&Error> {
        unimplemented!()
    }
    /// Counters.
    pub fn stats(&self) -> Stats {
        unimplemented!()
    }
    /// The object's type id, checked: `None` when `object` is null, an i31, outside the heap, or its header is corrupt.
    pub fn type_of(&self, object: GcRef) -> Option<TypeId> {
        let _ = object;
        unimplemented!()
    }
    /// Length of an array; `None` for anything else.
    pub fn array_len(&self, array: GcRef) -> Option<u32> {
        let _ = array;
        unimplemented!()
    }
    /// Reads `size` (1, 2, 4, 8 or 16) bytes at `offset` of the object, checked to lie inside the used heap.
    pub fn read(&self, object: GcRef, offset: u32, size: u32) -> Option<u128> {
        let _ = (object, offset, size);
        unimplemented!()
    }
    /// Writes `size` bytes at `offset`, checked likewise; `None` when refused. Values that are references go through
    /// [`Heap::write_ref`].
    pub fn write(&mut self, object: GcRef, offset: u32, size: u32, bits: u128) -> Option<()> {
        let _ = (object, offset, size, bits);
        unimplemented!()
    }
    /// Stores a traced reference with the collector's write barrier.
    pub fn write_ref(&mut self, object: GcRef, offset: u32, value: GcRef) -> Option<()> {
        let _ = (object, offset, value);
        unimplemented!()
    }
    /// Copies `len` elements between arrays of equal slot size (overlap allowed, barrier included), unchecked against
    /// wasm bounds but checked against the heap; `None` when refused.
    pub fn copy_elements(&mut self, dst: GcRef, dst_index: u32, src: GcRef, src_index: u32, len: u32) -> Option<()> {
        let _ = (dst, dst_index, src, src_index, len);
        unimplemented!()
    }
    /// Host index of a host box; `None` for anything else.
    pub fn host_index(&self, object: GcRef) -> Option<u32> {
        let _ = object;
        unimplemented!()
    }
    /// Calls `f` with each object in the used heap (live or not yet reclaimed), in address order.
    pub fn for_each_object(&self, f: &mut dyn FnMut(GcRef, TypeId)) {
        let _ = f;
        unimplemented!()
    }
    /// Every object reachable from `roots`: (objects, bytes). Iterative; does not move anything.
    pub fn live(&mut self, roots: &mut dyn RootSet) -> (u64, u64) {
        let _ = roots;
        unimplemented!()
    }
    /// Mutator-visible bytes in use.
    pub fn used_bytes(&self) -> u64 {
        unimplemented!()
    }
}
