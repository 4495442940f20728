//! Trap codes: how generated code names the reason of a trap, in trap tables and in calls of the raise builtin.

/// The reason of a trap. The numbers are part of the code/runtime seam (Cranelift user trap codes, so 1..=250).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum TrapCode {
    /// `unreachable`.
    Unreachable = 1,
    /// Division or remainder by zero.
    IntegerDivideByZero = 2,
    /// Signed division overflow, or a float out of an integer's range in a trapping conversion.
    IntegerOverflow = 3,
    /// A NaN in a trapping conversion.
    InvalidConversionToInteger = 4,
    /// A memory (or data segment) access out of bounds.
    MemoryOutOfBounds = 5,
    /// A table (or element segment) access out of bounds.
    TableOutOfBounds = 6,
    /// `call_indirect` of a null element.
    UninitializedElement = 7,
    /// `call_indirect` of another type.
    IndirectCallTypeMismatch = 8,
    /// A null dereference.
    NullReference = 9,
    /// An array access out of bounds.
    ArrayOutOfBounds = 10,
    /// `ref.cast` failed.
    CastFailure = 11,
    /// An array larger than the implementation's limit.
    AllocationTooLarge = 12,
    /// The stack limit; reported as exhaustion.
    StackOverflow = 13,
    /// Fuel is used up; reported as exhaustion.
    OutOfFuel = 14,
    /// The GC heap's limit; reported as exhaustion.
    GcHeapExhausted = 15,
    /// The heap holds a word that no valid program writes; an internal error and a finding.
    CorruptHeap = 16,
}

impl TrapCode {
    /// All codes, in numeric order.
    pub const ALL: [TrapCode; 16] = [
        TrapCode::Unreachable,
        TrapCode::IntegerDivideByZero,
        TrapCode::IntegerOverflow,
        TrapCode::InvalidConversionToInteger,
        TrapCode::MemoryOutOfBounds,
        TrapCode::TableOutOfBounds,
        TrapCode::UninitializedElement,
        TrapCode::IndirectCallTypeMismatch,
        TrapCode::NullReference,
        TrapCode::ArrayOutOfBounds,
        TrapCode::CastFailure,
        TrapCode::AllocationTooLarge,
        TrapCode::StackOverflow,
        TrapCode::OutOfFuel,
        TrapCode::GcHeapExhausted,
        TrapCode::CorruptHeap,
    ];

    /// The code numbered `raw`.
    pub fn from_raw(raw: u8) -> Option<TrapCode> {
        Self::ALL.get(usize::from(raw).checked_sub(1)?).copied()
    }
}
