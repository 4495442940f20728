//! What the mutations change: the only list of them.

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $weight:literal,)*) => {
        /// What a mutation changes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            /// All kinds.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind,)*];

            /// How often it is chosen beside others.
            pub(super) fn weight(self) -> usize {
                match self { $(Kind::$kind => $weight,)* }
            }
        }
    };
}

kinds! {
    /// The heap type of a reference type or of an instruction becomes another one.
    HeapType 1,
    /// `null` comes or goes.
    Nullability 1,
    /// A value type becomes another one.
    ValueType 1,
    /// A field is packed, unpacked, or of another type.
    StorageType 1,
    /// A field's `mut` comes or goes.
    FieldMutability 1,
    /// A field is dropped, doubled, swapped with its neighbour, or added.
    Fields 1,
    /// A parameter or result is dropped, doubled, swapped, added, or changes sides.
    Signature 1,
    /// `final` comes or goes.
    Finality 1,
    /// A supertype is dropped, added, or becomes another one.
    Supertype 1,
    /// A subtype of a type, right but for something, comes behind the others.
    Subtype 3,
    /// A recursion group is taken apart, joined with the next, made explicit, or follows an empty one.
    Group 1,
    /// A type index.
    TypeIndex 2,
    /// A function index.
    FunctionIndex 1,
    /// A global index.
    GlobalIndex 1,
    /// A memory index.
    MemoryIndex 1,
    /// A table index.
    TableIndex 1,
    /// A tag index.
    TagIndex 1,
    /// A data segment index.
    DataIndex 1,
    /// An element segment index.
    ElementIndex 1,
    /// The limits or the address type of a memory.
    Memory 1,
    /// The limits or the address type of a table.
    Table 1,
    /// A table's initial value comes, goes, or changes.
    TableInit 1,
    /// A global's `mut` comes or goes.
    GlobalMutability 1,
    /// A constant expression.
    Constant 1,
    /// A segment is passive, declarative or active.
    ElementMode 1,
    /// An export takes another's name.
    ExportName 1,
    /// The start section comes.
    Start 1,
    /// The data count.
    DataCount 1,
    /// The groups of a function's locals.
    Locals 1,
    /// An immediate: a label, a local, a field, a form of the same instruction.
    Immediate 1,
    /// The alignment, the offset or the memory of an access.
    Access 1,
    /// The lane of an access or a vector instruction.
    Lane 1,
    /// Any instruction becomes another one.
    Instruction 1,
    /// An instruction of a body is dropped, doubled, inserted, or swapped with its neighbour.
    Order 1,
    /// `unreachable` in a body, and a change after it.
    Unreachable 1,
    /// A block, loop, conditional or handler around instructions of a body.
    Wrap 1,
    /// What makes an operand of an instruction.
    Operand 2,
    /// The operands of an instruction, made anew with the types that they have, but for one.
    Operands 3,
    /// An instruction with operands of its own, and a block around it, right but for one type.
    Typed 4,
    /// A branch, or handlers, among labels of its own whose types are related, right but for one type.
    Branch 3,
    /// A local without a default value, set and read in blocks of several kinds.
    Initialization 2,
    /// An instruction of its own, with no operands but what is wrong with some: its premises decide.
    Premise 4,
}
