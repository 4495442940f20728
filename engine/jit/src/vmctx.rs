//! The structures that generated code reads and writes at run time. The runtime allocates them at stable addresses;
//! the translator addresses their fields by `offset_of!`.
//!
//! Every wasm function has `CallConv::Tail` and takes `*mut VmCtx` of its own instance as parameter 0. All references
//! (traced ones and func ids) are `i32` values.

use assay_gc::{Mutator, TypeRow};

use crate::builtins::Builtins;

/// One instance's context; parameter 0 of each of its functions. A host function has one of its own, too.
/// Pointer fields are constant for the instance's life unless said otherwise.
#[repr(C)]
#[derive(Debug)]
pub struct VmCtx {
    /// The store's shared part. Must stay the first field: the exit stubs read it at offset 0.
    pub store: *mut StoreCtx,
    /// Addresses of the runtime's builtins.
    pub builtins: *const Builtins,
    /// Address of heap offset 0.
    pub heap_base: *mut u8,
    /// Row 0 of the canonical types.
    pub type_rows: *const TypeRow,
    /// What the heap shares with code: allocation, marking state, the barrier's log and cards.
    pub mutator: *mut Mutator,
    /// Per memory index.
    pub memories: *const *mut MemoryDef,
    /// Per table index.
    pub tables: *const *mut TableDef,
    /// Per global index: the address of its 16-byte cell (low bytes hold the value; references take 4).
    pub globals: *const *mut u8,
    /// Per *imported* function index.
    pub imported_funcs: *const ImportedFunc,
    /// Per function index (imported ones included): its func id in the store.
    pub func_ids: *const u32,
    /// Per tag index: its number in the store.
    pub tags: *const u32,
    /// The instance's number in its store (runtime only).
    pub instance: u32,
    /// The host function's number in its store, for a host function's context (runtime only).
    pub host_func: u32,
}

/// What all instances of a store share.
#[repr(C)]
#[derive(Debug)]
pub struct StoreCtx {
    /// Lowest stack address that wasm code may use; changes with the activation.
    pub stack_limit: usize,
    /// Frame pointer of the youngest wasm frame, recorded by the exit stubs.
    pub exit_fp: usize,
    /// Return address into that frame.
    pub exit_pc: usize,
    /// Frame pointer of the entry trampoline of the newest activation.
    pub entry_fp: usize,
    /// Stack pointer of it.
    pub entry_sp: usize,
    /// Landing pad of it: traps continue there.
    pub entry_handler: usize,
    /// Fuel left of the present turn, or of all where there are no turns; negative = used up, or a turn that took more.
    /// Unused unless the code was compiled with fuel.
    pub fuel: i64,
    /// Fuel beyond that: `fuel + fuel_reserve` is what is left altogether.
    pub fuel_reserve: i64,
    /// The store's epoch, which any thread may advance.
    pub epoch: *const u64,
    /// Code with yields calls [`Builtin::Point`](crate::builtins::Builtin::Point) from this epoch on.
    pub epoch_deadline: u64,
    /// Func id → entry; entry 0 is never valid. Moves when functions are added: never hoist this load over a call.
    pub funcs: *const FuncEntry,
    /// Number of entries.
    pub func_count: u32,
    /// The trap code that the signal handler or the raise builtin recorded.
    pub trap: u32,
    /// The runtime's store.
    pub owner: *mut core::ffi::c_void,
}

/// A function of a store: 32 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct FuncEntry {
    /// Its code (`CallConv::Tail`), or its host thunk.
    pub code: *const u8,
    /// Parameter 0.
    pub vmctx: *mut VmCtx,
    /// Canonical type.
    pub type_id: u32,
    /// Defining instance's number.
    pub instance: u32,
    /// Function index in it.
    pub index: u32,
    /// Padding, 0.
    pub reserved: u32,
}

/// log2 of the size of a [`FuncEntry`].
pub const FUNC_ENTRY_SHIFT: u32 = 5;

/// An imported function as direct calls need it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ImportedFunc {
    /// Its code.
    pub code: *const u8,
    /// Its parameter 0.
    pub vmctx: *mut VmCtx,
}

/// A linear memory. `base` is constant: 32-bit memories reserve 4 GiB of index space plus 4 GiB of offsets plus a guard
/// of 64 KiB, so an access at `base + zext(index) + offset` needs no check; 64-bit memories are checked against `len`.
#[repr(C)]
#[derive(Debug)]
pub struct MemoryDef {
    /// Address of byte 0.
    pub base: *mut u8,
    /// Length in bytes; changes with growth.
    pub len: u64,
}

/// A table of references, 4 bytes an element. Both fields change with growth.
#[repr(C)]
#[derive(Debug)]
pub struct TableDef {
    /// Address of element 0.
    pub base: *mut u32,
    /// Number of elements.
    pub len: u64,
}
