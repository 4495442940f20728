//! What generated code calls of the runtime. Each builtin is a SystemV function with `*mut VmCtx` first; the addresses
//! stand in [`Builtins`], one pointer each, in the order of [`Builtin`]. They are stubs that record the exit frame, so a
//! collection can walk from there. Every one is a safepoint, except that `Raise` and `Throw` do not return. A builtin that fails
//! does not return either: it raises the trap. Schedules and stress modes may collect at each: at the allocating ones
//! before they allocate, at the others when they are done, since their arguments are raw words.

/// The builtins. "ref" = i32 reference word, "idx" = i32 index constant, lengths and array indices i32 unsigned.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(usize)]
pub enum Builtin {
    /// `(trap code: i32)` never returns.
    Raise,
    /// `(type id: i32) -> ref`: a zeroed struct of that canonical type; slow path of inline allocation.
    AllocStruct,
    /// `(type id: i32, len: i32) -> ref`: a zeroed array; traps AllocationTooLarge; charges `len` fuel.
    AllocArray,
    /// `(array: ref, start: i32, bits: i64, high bits: i64, len: i32)`: null and bounds checks, fuel, fill; the element's
    /// bits in the low bytes of both words, lowest first.
    ArrayFill,
    /// `(dst: ref, dst start: i32, src: ref, src start: i32, len: i32)`: null and bounds checks, fuel, copy.
    ArrayCopy,
    /// `(type id: i32, data idx, start: i32, len: i32) -> ref`.
    ArrayNewData,
    /// `(type id: i32, elem idx, start: i32, len: i32) -> ref`.
    ArrayNewElem,
    /// `(array: ref, dst start: i32, data idx, src start: i32, len: i32)`.
    ArrayInitData,
    /// `(array: ref, dst start: i32, elem idx, src start: i32, len: i32)`.
    ArrayInitElem,
    /// `(memory idx, delta: i64) -> i64`: old size in pages or -1.
    MemoryGrow,
    /// `(dst memory idx, src memory idx, dst: i64, src: i64, len: i64)`.
    MemoryCopy,
    /// `(memory idx, dst: i64, byte: i32, len: i64)`.
    MemoryFill,
    /// `(memory idx, data idx, dst: i64, src: i32, len: i32)`.
    MemoryInit,
    /// `(data idx)`.
    DataDrop,
    /// `(table idx, delta: i64, init: i32) -> i64`: old size or -1.
    TableGrow,
    /// `(dst table idx, src table idx, dst: i64, src: i64, len: i64)`.
    TableCopy,
    /// `(table idx, dst: i64, value: i32, len: i64)`.
    TableFill,
    /// `(table idx, elem idx, dst: i64, src: i32, len: i32)`.
    TableInit,
    /// `(elem idx)`.
    ElemDrop,
    /// `(exception: ref)` never returns: continues at the innermost handler in the callers, or leaves wasm.
    Throw,
    /// `()`: a safepoint at which nothing else happens; emitted on demand only.
    Safepoint,
    /// `(cost: i32)`: suspends the fiber if its turn is over; then traps OutOfFuel unless `cost` fuel is left, which it does not
    /// charge. At a cost of 0, which bulk operations have here, epochs do not count.
    Point,
    /// `(values: *mut u128 as i64)`: calls host function `vmctx.host_func`; arguments at `values[i]` (low bytes), results
    /// are written there. Called by host thunks only.
    HostCall,
}

impl Builtin {
    /// All, in table order.
    pub const ALL: [Builtin; 23] = [
        Builtin::Raise,
        Builtin::AllocStruct,
        Builtin::AllocArray,
        Builtin::ArrayFill,
        Builtin::ArrayCopy,
        Builtin::ArrayNewData,
        Builtin::ArrayNewElem,
        Builtin::ArrayInitData,
        Builtin::ArrayInitElem,
        Builtin::MemoryGrow,
        Builtin::MemoryCopy,
        Builtin::MemoryFill,
        Builtin::MemoryInit,
        Builtin::DataDrop,
        Builtin::TableGrow,
        Builtin::TableCopy,
        Builtin::TableFill,
        Builtin::TableInit,
        Builtin::ElemDrop,
        Builtin::Throw,
        Builtin::Safepoint,
        Builtin::Point,
        Builtin::HostCall,
    ];
    /// CLIF-level parameter kinds after the vmctx ('i' = i32, 'l' = i64) and the result (none, 'i' or 'l').
    pub const fn signature(self) -> (&'static str, Option<char>) {
        match self {
            Builtin::Raise | Builtin::Throw | Builtin::Point => ("i", None),
            Builtin::AllocStruct => ("i", Some('i')),
            Builtin::AllocArray => ("ii", Some('i')),
            Builtin::ArrayFill => ("iilli", None),
            Builtin::ArrayCopy => ("iiiii", None),
            Builtin::ArrayNewData | Builtin::ArrayNewElem => ("iiii", Some('i')),
            Builtin::ArrayInitData | Builtin::ArrayInitElem => ("iiiii", None),
            Builtin::MemoryGrow => ("il", Some('l')),
            Builtin::MemoryCopy => ("iilll", None),
            Builtin::MemoryFill => ("ilil", None),
            Builtin::MemoryInit => ("iilii", None),
            Builtin::DataDrop | Builtin::ElemDrop => ("i", None),
            Builtin::TableGrow => ("ili", Some('l')),
            Builtin::TableCopy => ("iilll", None),
            Builtin::TableFill => ("ilil", None),
            Builtin::TableInit => ("iilii", None),
            Builtin::Safepoint => ("", None),
            Builtin::HostCall => ("l", None),
        }
    }
}

/// Addresses of the builtins, indexed by [`Builtin`] as `usize`.
#[repr(C)]
#[derive(Debug)]
pub struct Builtins(pub [*const u8; Builtin::ALL.len()]);
