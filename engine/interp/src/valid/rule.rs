//! The typing rules, as data: each refusal of the validator names the rule (or the premise of one) that does not hold.
//!
//! The names follow the specification's chapter "Validation": an instruction's own name stands for its operands' types, further
//! premises follow after a colon. So a test or a fuzz target can count which rules have refused something. A pure table.

macro_rules! rules {
    ($($(#[doc = $doc:literal])* $name:ident $text:literal,)*) => {
        /// A typing rule, or one premise of it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = $text] $(#[doc = ""] #[doc = $doc])* $name,)*
        }

        impl Rule {
            /// All rules, in the order of the specification's chapter.
            pub const ALL: &[Rule] = &[$(Rule::$name,)*];

            /// A name that does not change: an instruction or a definition, then the premise.
            pub fn name(self) -> &'static str {
                match self { $(Rule::$name => $text,)* }
            }
        }
    };
}

rules! {
    // Types.
    UnknownType "type: index is defined",
    ExpandFunc "type: expands to a function type",
    ExpandStruct "type: expands to a struct type",
    ExpandArray "type: expands to an array type",
    SupertypeCount "subtype: at most one supertype",
    SupertypeOrder "subtype: supertype is declared before",
    SupertypeFinal "subtype: supertype is not final",
    SubtypeKind "subtype: same kind of composite type",
    SubtypeFields "subtype: all fields of the supertype",
    SubtypeMutability "subtype: same mutability",
    SubtypeStorage "subtype: storage type matches",
    SubtypeStorageMutable "subtype: mutable storage type matches both ways",
    SubtypeParams "subtype: parameters match contravariantly",
    SubtypeResults "subtype: results match covariantly",
    LimitsOrder "limits: minimum not above maximum",
    MemoryLimits "memory type: limits within the address range",
    TableLimits "table type: limits within the address range",
    TagResults "tag type: no results",
    // Definitions.
    ImportFunc "import: function type",
    FuncType "function: function type",
    TagType "tag: function type",
    GlobalInit "global: type of the initial value",
    TableInitValue "table: type of the initial value",
    TableDefault "table: element type has a default value",
    ElemOffset "element segment: type of the offset",
    ElemItem "element segment: type of an element",
    ElemTable "element segment: element type matches the table's",
    DataOffset "data segment: type of the offset",
    Constant "constant expression: only constant instructions",
    ConstantGlobal "constant expression: global is immutable",
    ConstantGlobalOrder "constant expression: global is defined before",
    StartType "start function: no parameters and no results",
    ExportName "export: name is used once",
    // Index spaces.
    UnknownFunc "function index is defined",
    UnknownTable "table index is defined",
    UnknownMemory "memory index is defined",
    UnknownGlobal "global index is defined",
    UnknownTag "tag index is defined",
    UnknownElem "element segment index is defined",
    UnknownData "data segment index is defined",
    UnknownLocal "local index is defined",
    UnknownLabel "label index is defined",
    UnknownField "field index is defined",
    // Parametric and block instructions.
    Drop "drop",
    Select "select",
    SelectSame "select: operands of one type",
    SelectNumeric "select: operands without annotation are no references",
    SelectArity "select: one annotated type",
    Block "block",
    Loop "loop",
    If "if",
    IfWithoutElse "if: without else, parameters match results",
    BlockEnd "block: type of the results",
    BlockHeight "block: no further values at its end",
    FuncEnd "function: type of the results",
    FuncHeight "function: no further values at its end",
    // Branches.
    Br "br",
    BrIf "br_if",
    BrTable "br_table",
    BrTableArity "br_table: labels of one arity",
    BrOnNull "br_on_null",
    BrOnNonNull "br_on_non_null",
    BrOnNonNullLabel "br_on_non_null: label takes a reference",
    BrOnCast "br_on_cast",
    BrOnCastSubtype "br_on_cast: target type matches source type",
    BrOnCastLabel "br_on_cast: label takes the target type",
    BrOnCastFail "br_on_cast_fail",
    BrOnCastFailSubtype "br_on_cast_fail: target type matches source type",
    BrOnCastFailLabel "br_on_cast_fail: label takes the difference type",
    // Calls.
    Call "call",
    CallRef "call_ref",
    CallIndirect "call_indirect",
    CallIndirectTable "call_indirect: table of functions",
    Return "return",
    ReturnCall "return_call",
    ReturnCallResults "return_call: results match the caller's",
    ReturnCallRef "return_call_ref",
    ReturnCallRefResults "return_call_ref: results match the caller's",
    ReturnCallIndirect "return_call_indirect",
    ReturnCallIndirectResults "return_call_indirect: results match the caller's",
    ReturnCallIndirectTable "return_call_indirect: table of functions",
    // Exceptions.
    Throw "throw",
    ThrowRef "throw_ref",
    TryTable "try_table",
    CatchLabel "catch: label takes the payload",
    CatchRefLabel "catch_ref: label takes the payload and the exception",
    CatchAllLabel "catch_all: label takes nothing",
    CatchAllRefLabel "catch_all_ref: label takes the exception",
    Try "try",
    RethrowLabel "rethrow: label of a catch clause",
    // References.
    RefFunc "ref.func: function is declared",
    RefIsNull "ref.is_null",
    RefAsNonNull "ref.as_non_null",
    RefEq "ref.eq",
    RefTest "ref.test",
    RefCast "ref.cast",
    RefI31 "ref.i31",
    I31Get "i31.get",
    AnyConvertExtern "any.convert_extern",
    ExternConvertAny "extern.convert_any",
    // Structs.
    StructNew "struct.new",
    StructNewDefault "struct.new_default: fields have default values",
    StructGet "struct.get",
    StructGetSign "struct.get: signedness exactly for packed fields",
    StructSet "struct.set",
    StructSetMutable "struct.set: field is mutable",
    // Arrays.
    ArrayNew "array.new",
    ArrayNewDefault "array.new_default",
    ArrayNewDefaultType "array.new_default: element has a default value",
    ArrayNewFixed "array.new_fixed",
    ArrayNewData "array.new_data",
    ArrayNewDataType "array.new_data: element is numeric or vector",
    ArrayNewElem "array.new_elem",
    ArrayNewElemType "array.new_elem: segment matches the element type",
    ArrayGet "array.get",
    ArrayGetSign "array.get: signedness exactly for packed elements",
    ArraySet "array.set",
    ArraySetMutable "array.set: element is mutable",
    ArrayLen "array.len",
    ArrayFill "array.fill",
    ArrayFillMutable "array.fill: element is mutable",
    ArrayCopy "array.copy",
    ArrayCopyMutable "array.copy: destination is mutable",
    ArrayCopyType "array.copy: source element matches destination element",
    ArrayInitData "array.init_data",
    ArrayInitDataMutable "array.init_data: element is mutable",
    ArrayInitDataType "array.init_data: element is numeric or vector",
    ArrayInitElem "array.init_elem",
    ArrayInitElemMutable "array.init_elem: element is mutable",
    ArrayInitElemType "array.init_elem: segment matches the element type",
    // Variables.
    LocalGetSet "local.get: local is set",
    LocalSet "local.set",
    LocalTee "local.tee",
    GlobalSet "global.set",
    GlobalSetMutable "global.set: global is mutable",
    // Tables.
    TableGet "table.get",
    TableSet "table.set",
    TableGrow "table.grow",
    TableFill "table.fill",
    TableCopy "table.copy",
    TableCopyType "table.copy: source element matches destination element",
    TableInit "table.init",
    TableInitType "table.init: segment matches the table's element",
    // Memories.
    Load "load",
    Store "store",
    Alignment "memory argument: alignment not above natural",
    Offset "memory argument: offset within the address range",
    MemoryGrow "memory.grow",
    MemoryFill "memory.fill",
    MemoryCopy "memory.copy",
    MemoryInit "memory.init",
    // Numerics.
    Unop "unop",
    Binop "binop",
    Testop "testop",
    Relop "relop",
    Cvtop "cvtop",
    // Vectors.
    Vector "vector operation",
    VectorLane "extract_lane or replace_lane",
    Lane "lane index is below the number of lanes",
    Shuffle "i8x16.shuffle",
    VectorLoad "v128.load",
    VectorStore "v128.store",
}

#[cfg(test)]
mod tests {
    use super::Rule;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Rule::ALL.len());
    }
}
