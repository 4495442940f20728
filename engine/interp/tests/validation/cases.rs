//! The cases of the rules: [`DEFINITIONS`] are whole modules, [`FUNCTIONS`] functions among the definitions of [`PRELUDE`]; each an
//! invalid one that only the rule refuses, and a valid neighbour. A pure table.

use assay_interp::Rule;

/// Rule, invalid fields of a module, valid fields.
pub(super) const DEFINITIONS: &[(Rule, &str, &str)] = {
    use Rule::*;
    &[
        (UnknownType, "(type (array (ref 2))) (type (struct))", "(type (array (ref 0))) (type (struct))"),
        (UnknownType, "(global (ref null 0) (ref.null none))", "(global (ref null any) (ref.null none))"),
        (UnknownType, "(type (struct)) (func (type 1))", "(type (func)) (func (type 0))"),
        (
            ExpandFunc,
            "(type $s (struct)) (type $f (func)) (func block (type $s) end)",
            "(type $f (func)) (func block (type $f) end)",
        ),
        (
            ExpandStruct,
            "(type $a (array i32)) (func unreachable struct.new 0 drop)",
            "(type (struct)) (func struct.new 0 drop)",
        ),
        (
            ExpandArray,
            "(type (struct)) (func unreachable array.get 0 drop)",
            "(type (array i32)) (func unreachable array.get 0 drop)",
        ),
        (
            SupertypeOrder,
            "(rec (type $a (sub $b (struct))) (type $b (sub (struct))))",
            "(rec (type $b (sub (struct))) (type $a (sub $b (struct))))",
        ),
        (SupertypeOrder, "(type $a (sub $a (struct)))", "(type $a (sub (struct)))"),
        (
            SupertypeFinal,
            "(type $a (struct)) (type (sub $a (struct)))",
            "(type $a (sub (struct))) (type (sub $a (struct)))",
        ),
        (
            SupertypeFinal,
            "(type $a (sub (struct))) (type $b (sub final $a (struct))) (type (sub $b (struct)))",
            "(type $a (sub (struct))) (type $b (sub $a (struct))) (type (sub $b (struct)))",
        ),
        (
            SubtypeKind,
            "(type $a (sub (struct))) (type (sub $a (array i32)))",
            "(type $a (sub (array i32))) (type (sub $a (array i32)))",
        ),
        (
            SubtypeFields,
            "(type $a (sub (struct (field i32)))) (type (sub $a (struct)))",
            "(type $a (sub (struct (field i32)))) (type (sub $a (struct (field i32) (field i64))))",
        ),
        (
            SubtypeMutability,
            "(type $a (sub (array i32))) (type (sub $a (array (mut i32))))",
            "(type $a (sub (array (mut i32)))) (type (sub $a (array (mut i32))))",
        ),
        (
            SubtypeMutability,
            "(type $a (sub (struct (field (mut i32))))) (type (sub $a (struct (field i32))))",
            "(type $a (sub (struct (field i32)))) (type (sub $a (struct (field i32))))",
        ),
        (
            SubtypeStorage,
            "(type $a (sub (array eqref))) (type (sub $a (array anyref)))",
            "(type $a (sub (array anyref))) (type (sub $a (array eqref)))",
        ),
        (
            SubtypeStorage,
            "(type $a (sub (array i16))) (type (sub $a (array i8)))",
            "(type $a (sub (array i8))) (type (sub $a (array i8)))",
        ),
        (
            SubtypeStorage,
            "(type $a (sub (array i32))) (type (sub $a (array i8)))",
            "(type $a (sub (array i16))) (type (sub $a (array i16)))",
        ),
        (
            SubtypeStorageMutable,
            "(type $a (sub (array (mut anyref)))) (type (sub $a (array (mut eqref))))",
            "(type $a (sub (array (mut anyref)))) (type (sub $a (array (mut anyref))))",
        ),
        (
            SubtypeParams,
            "(type $a (sub (func (param anyref)))) (type (sub $a (func (param eqref))))",
            "(type $a (sub (func (param eqref)))) (type (sub $a (func (param anyref))))",
        ),
        (
            SubtypeParams,
            "(type $a (sub (func))) (type (sub $a (func (param i32))))",
            "(type $a (sub (func))) (type (sub $a (func)))",
        ),
        (
            SubtypeResults,
            "(type $a (sub (func (result eqref)))) (type (sub $a (func (result anyref))))",
            "(type $a (sub (func (result anyref)))) (type (sub $a (func (result eqref))))",
        ),
        (LimitsOrder, "(memory 2 1)", "(memory 1 1)"),
        (LimitsOrder, "(table 2 1 funcref)", "(table 0 1 funcref)"),
        (MemoryLimits, "(memory 0 65537)", "(memory 0 65536)"),
        (MemoryLimits, "(memory 65537)", "(import \"m\" \"\" (memory 65536))"),
        (MemoryLimits, "(memory i64 0 0x1_0000_0000_0001)", "(memory i64 0 0x1_0000_0000_0000)"),
        (TagResults, "(tag (param i32) (result i32))", "(tag (param i32))"),
        (TagResults, "(import \"m\" \"\" (tag (result i32)))", "(import \"m\" \"\" (tag))"),
        (
            ImportFunc,
            "(type (struct)) (import \"m\" \"\" (func (type 0)))",
            "(type (func)) (import \"m\" \"\" (func (type 0)))",
        ),
        (FuncType, "(type (struct)) (func (type 0))", "(type (func)) (func (type 0))"),
        (TagType, "(type (struct)) (tag (type 0))", "(type (func)) (tag (type 0))"),
        (GlobalInit, "(global i32 (i64.const 0))", "(global i64 (i64.const 0))"),
        (GlobalInit, "(global i32)", "(global i32 (i32.const 0))"),
        (
            GlobalInit,
            "(global i32 (i32.const 0) (i32.const 0))",
            "(global i32 (i32.const 0) (i32.const 0) i32.add)",
        ),
        (GlobalInit, "(global (ref any) (ref.null any))", "(global anyref (ref.null none))"),
        (
            TableInitValue,
            "(table 1 (ref i31) (ref.null i31))",
            "(import \"m\" \"\" (global $g (ref i31))) (table 1 (ref i31) (global.get $g)) (table 1 i31ref (ref.i31 (i32.const 0)))",
        ),
        (TableDefault, "(table 0 (ref func))", "(table 0 funcref)"),
        (
            ElemOffset,
            "(table 1 funcref) (elem (i64.const 0) func)",
            "(table i64 1 funcref) (elem (i64.const 0) func)",
        ),
        (ElemItem, "(elem funcref (item (ref.null extern)))", "(elem externref (item (ref.null extern)))"),
        (
            ElemItem,
            "(elem (ref func) (item (ref.null func)))",
            "(func $f) (elem (ref func) (item (ref.func $f)))",
        ),
        (
            ElemTable,
            "(table 1 externref) (elem (i32.const 0) funcref (ref.null func))",
            "(table 1 externref) (elem (i32.const 0) externref (ref.null extern))",
        ),
        (
            ElemTable,
            "(func $f) (table 1 (ref func) (ref.func $f)) (elem (i32.const 0) funcref (item (ref.func $f)))",
            "(func $f) (table 1 (ref func) (ref.func $f)) (elem (i32.const 0) func $f)",
        ),
        (DataOffset, "(memory 1) (data (i64.const 0) \"\")", "(memory i64 1) (data (i64.const 0) \"\")"),
        (
            Constant,
            "(global i32 (i32.clz (i32.const 0)))",
            "(global i32 (i32.mul (i32.const 0) (i32.const 0)))",
        ),
        (
            Constant,
            "(global i64 (i64.div_s (i64.const 1) (i64.const 1)))",
            "(global i64 (i64.sub (i64.const 1) (i64.const 1)))",
        ),
        (
            Constant,
            "(memory 1) (data (offset (i32.const 0) (nop)) \"\")",
            "(memory 1) (data (i32.const 0) \"\")",
        ),
        (
            Constant,
            "(global i31ref (ref.i31 (i32.const 0)) ref.as_non_null)",
            "(global i31ref (ref.i31 (i32.const 0)))",
        ),
        (
            ConstantGlobal,
            "(import \"m\" \"\" (global $g (mut i32))) (global i32 (global.get $g))",
            "(import \"m\" \"\" (global $g i32)) (global i32 (global.get $g))",
        ),
        (
            ConstantGlobalOrder,
            "(global $a i32 (global.get $b)) (global $b i32 (i32.const 0))",
            "(global $b i32 (i32.const 0)) (global $a i32 (global.get $b))",
        ),
        (ConstantGlobalOrder, "(global $a i32 (global.get $a))", "(global $a i32 (i32.const 0))"),
        // Tables stand before the globals of the module.
        (
            ConstantGlobalOrder,
            "(global $g i31ref (ref.i31 (i32.const 0))) (table 1 i31ref (global.get $g))",
            "(import \"m\" \"\" (global $g i31ref)) (table 1 i31ref (global.get $g))",
        ),
        (StartType, "(func $f (param i32)) (start $f)", "(func $f) (start $f)"),
        (StartType, "(func $f (result i32) (i32.const 0)) (start $f)", "(func $f (local i32)) (start $f)"),
        (
            ExportName,
            "(func $f) (memory 0) (export \"a\" (func $f)) (export \"a\" (memory 0))",
            "(func $f) (memory 0) (export \"a\" (func $f)) (export \"b\" (memory 0))",
        ),
        (UnknownFunc, "(export \"a\" (func 0))", "(func) (export \"a\" (func 0))"),
        (UnknownFunc, "(start 1) (func)", "(start 0) (func)"),
        (UnknownFunc, "(elem func 0)", "(func) (elem func 0)"),
        (
            UnknownTable,
            "(elem (table 0) (i32.const 0) func)",
            "(table 1 funcref) (elem (table 0) (i32.const 0) func)",
        ),
        (UnknownMemory, "(data (i32.const 0) \"\")", "(memory 0) (data (i32.const 0) \"\")"),
        (UnknownGlobal, "(export \"a\" (global 0))", "(global i32 (i32.const 0)) (export \"a\" (global 0))"),
        (UnknownTag, "(export \"a\" (tag 0))", "(tag) (export \"a\" (tag 0))"),
        // A function that occurs only as the start function or in a body is not declared.
        (
            RefFunc,
            "(func $f) (start $f) (func (drop (ref.func $f)))",
            "(func $f) (elem declare func $f) (func (drop (ref.func $f)))",
        ),
        (RefFunc, "(func $f (drop (ref.func $f)))", "(func $f (export \"\") (drop (ref.func $f)))"),
        (
            RefFunc,
            "(func $f (drop (ref.func $f)))",
            "(func $f (drop (ref.func $f))) (global funcref (ref.func $f))",
        ),
        (
            StructNewDefault,
            "(type (struct (field i32) (field (ref i31)))) (func (drop (struct.new_default 0)))",
            "(type (struct (field i8) (field i31ref) (field v128))) (func (drop (struct.new_default 0)))",
        ),
    ]
};

/// What the functions below refer to.
pub(super) const PRELUDE: &str = r#"
    (type $f (func (param i32) (result i64)))
    (type $v (func))
    (type $s (sub (struct (field $x i32) (field $y (mut i64)) (field $p i8))))
    (type $t (sub $s (struct (field $x i32) (field $y (mut i64)) (field $p i8) (field (ref i31)))))
    (type $const (array i32))
    (type $ints (array (mut i32)))
    (type $bytes (array (mut i8)))
    (type $anys (array (mut anyref)))
    (type $i31s (array (mut (ref i31))))
    (type $funcs (array (mut funcref)))
    (type $rf (func (result anyref)))
    (tag $e (param i32 i64)) (tag $none)
    (global $g i32 (i32.const 0)) (global $m (mut i32) (i32.const 0))
    (table $tab 1 funcref) (table $ext 1 externref) (table $long i64 1 funcref) (table $null 1 nullfuncref)
    (memory $mem 1) (memory $big i64 1)
    (data $d "x") (elem $fe funcref (ref.null func)) (elem $ae anyref (ref.null any))
    (func $id (type $f) unreachable) (func $nop) (func $any (type $rf) (ref.null any)) (elem declare func $id)
"#;

/// Rule, invalid function, valid function: what stands behind `(func`.
pub(super) const FUNCTIONS: &[(Rule, &str, &str)] = {
    use Rule::*;
    &[
        (UnknownType, "ref.null 99 drop)", "ref.null 0 drop)"),
        (UnknownFunc, "call 99)", "call $nop)"),
        (UnknownTable, "(drop (table.size 99)))", "(drop (table.size 0)))"),
        (UnknownMemory, "(drop (memory.size 9)))", "(drop (memory.size $big)))"),
        (UnknownMemory, "(drop (i32.load 9 (i32.const 0))))", "(drop (i32.load $big (i64.const 0))))"),
        (UnknownGlobal, "(drop (global.get 9)))", "(drop (global.get 1)))"),
        (UnknownTag, "throw 9)", "throw $none)"),
        (UnknownElem, "elem.drop 9)", "elem.drop $fe)"),
        (UnknownData, "data.drop 9)", "data.drop $d)"),
        (
            UnknownLocal,
            "(param i32) (local i64) (drop (local.get 2)))",
            "(param i32) (local i64) (drop (local.get 1)))",
        ),
        (UnknownLabel, "br 1)", "br 0)"),
        (UnknownLabel, "block br_on_null 3 end unreachable)", "unreachable br_on_null 0 drop)"),
        (
            UnknownField,
            "(drop (struct.get_u $s 3 (struct.new_default $s))))",
            "(drop (struct.get_u $s 2 (struct.new_default $s))))",
        ),
        // Parametric and blocks.
        (Drop, "drop)", "i32.const 0 drop)"),
        (
            Select,
            "(drop (select (i32.const 0) (i32.const 0) (i64.const 0))))",
            "(drop (select (i64.const 0) (i64.const 0) (i32.const 0))))",
        ),
        (
            Select,
            "(drop (select (result i31ref) (ref.null any) (ref.null i31) (i32.const 0))))",
            "(drop (select (result anyref) (ref.null any) (ref.null i31) (i32.const 0))))",
        ),
        (
            SelectSame,
            "(drop (select (i32.const 0) (i64.const 0) (i32.const 0))))",
            "(drop (select (f32.const 0) (f32.const 0) (i32.const 0))))",
        ),
        (
            SelectNumeric,
            "(drop (select (ref.null any) (ref.null any) (i32.const 0))))",
            "(drop (select (result anyref) (ref.null any) (ref.null any) (i32.const 0))))",
        ),
        (
            SelectNumeric,
            "unreachable ref.as_non_null (select (i32.const 0)) drop)",
            "unreachable (select (i32.const 0)) drop)",
        ),
        (SelectArity, "unreachable select (result i32 i32) drop)", "unreachable select (result i32) drop)"),
        (Block, "i64.const 0 block (param i32) drop end)", "i32.const 0 block (param i32) drop end)"),
        (Block, "block (param i32) drop end)", "unreachable block (param i32) drop end)"),
        (Loop, "i64.const 0 loop (param i32) drop end)", "i32.const 0 loop (param i32) drop end)"),
        (If, "i64.const 0 if end)", "i32.const 0 if end)"),
        (
            IfWithoutElse,
            "i32.const 0 if (result i32) i32.const 0 end drop)",
            "i32.const 0 i32.const 0 if (param i32) (result i32) end drop)",
        ),
        (
            IfWithoutElse,
            "ref.null any i32.const 0 if (param anyref) (result eqref) drop ref.null eq end drop)",
            "ref.null eq i32.const 0 if (param eqref) (result anyref) end drop)",
        ),
        (BlockEnd, "block (result i32) i64.const 0 end drop)", "block (result i64) i64.const 0 end drop)"),
        (
            BlockEnd,
            "i32.const 0 if (result i32) else i32.const 0 end drop)",
            "i32.const 0 if (result i32) i32.const 1 else i32.const 0 end drop)",
        ),
        (BlockHeight, "block i32.const 0 end)", "block i32.const 0 drop end)"),
        (
            BlockHeight,
            "block unreachable i32.const 0 end)",
            "block (result i32) unreachable i32.const 0 end drop)",
        ),
        (FuncEnd, "(result i32) i64.const 0)", "(result i32) i32.const 0)"),
        (FuncEnd, "(result i32))", "(result i32) unreachable)"),
        (FuncHeight, "i32.const 0)", "i32.const 0 drop)"),
        // Branches.
        (Br, "(result i32) i64.const 0 br 0)", "(result i32) i64.const 0 i32.const 0 br 0)"),
        (
            BrIf,
            "(result i32) i64.const 0 i32.const 0 br_if 0 unreachable)",
            "(result i32) i32.const 0 i32.const 0 br_if 0)",
        ),
        (BrIf, "i64.const 0 br_if 0)", "i32.const 0 br_if 0)"),
        // What stays after a br_if has the label's type.
        (
            Br,
            "(result i31ref) block (result anyref) (br_if 0 (ref.i31 (i32.const 0)) (i32.const 0)) br 1 end unreachable)",
            "(result i31ref) block (result i31ref) (br_if 0 (ref.i31 (i32.const 0)) (i32.const 0)) br 1 end)",
        ),
        (
            BrTable,
            "(result i32) i64.const 0 i32.const 0 br_table 0)",
            "(result i32) i32.const 0 i32.const 0 br_table 0 0)",
        ),
        (
            BrTable,
            "block (result i32) block (result f32) i32.const 0 i32.const 0 br_table 0 1 end unreachable end drop)",
            "block (result i32) block (result f32) unreachable i32.const 0 br_table 0 1 end unreachable end drop)",
        ),
        (
            BrTableArity,
            "block block (result i32) unreachable br_table 0 1 end drop end)",
            "block block unreachable br_table 0 1 end end)",
        ),
        (BrOnNull, "i32.const 0 br_on_null 0 drop)", "ref.null any br_on_null 0 drop)"),
        (
            BrOnNonNull,
            "(result (ref func)) ref.null extern br_on_non_null 0 unreachable)",
            "(result (ref func)) ref.null func br_on_non_null 0 unreachable)",
        ),
        (
            BrOnNonNullLabel,
            "ref.null any br_on_non_null 0)",
            "(result anyref) ref.null any br_on_non_null 0 ref.null any)",
        ),
        (
            BrOnNonNullLabel,
            "(result i32) ref.null any br_on_non_null 0 unreachable)",
            "(result (ref any)) ref.null any br_on_non_null 0 unreachable)",
        ),
        (
            BrOnCast,
            "(result i31ref) ref.null extern br_on_cast 0 anyref i31ref unreachable)",
            "(result i31ref) ref.null any br_on_cast 0 anyref i31ref unreachable)",
        ),
        (
            BrOnCastSubtype,
            "(result anyref) ref.null i31 br_on_cast 0 i31ref anyref)",
            "(result anyref) ref.null i31 br_on_cast 0 i31ref i31ref)",
        ),
        (
            BrOnCastSubtype,
            "(result anyref) unreachable br_on_cast 0 (ref any) i31ref)",
            "(result anyref) unreachable br_on_cast 0 (ref any) (ref i31))",
        ),
        (
            BrOnCastLabel,
            "(result structref) ref.null any br_on_cast 0 anyref i31ref unreachable)",
            "(result anyref) ref.null any br_on_cast 0 anyref i31ref)",
        ),
        (
            BrOnCastLabel,
            "ref.null any br_on_cast 0 anyref i31ref drop)",
            "(result i31ref) ref.null any br_on_cast 0 anyref i31ref unreachable)",
        ),
        // Where the target admits null, what stays does not.
        (
            Return,
            "(result (ref any)) block (result i31ref) ref.null any br_on_cast 0 anyref (ref i31) return end unreachable)",
            "(result (ref any)) block (result i31ref) ref.null any br_on_cast 0 anyref i31ref return end unreachable)",
        ),
        (
            BrOnCastFail,
            "(result anyref) ref.null extern br_on_cast_fail 0 anyref i31ref)",
            "(result anyref) ref.null any br_on_cast_fail 0 anyref i31ref)",
        ),
        (
            BrOnCastFailSubtype,
            "(result anyref) ref.null eq br_on_cast_fail 0 eqref anyref)",
            "(result anyref) ref.null eq br_on_cast_fail 0 eqref eqref)",
        ),
        (
            BrOnCastFailLabel,
            "(result (ref any)) ref.null any br_on_cast_fail 0 anyref (ref i31))",
            "(result (ref any)) ref.null any br_on_cast_fail 0 anyref i31ref ref.as_non_null)",
        ),
        // Calls.
        (Call, "(result i64) (call $id (i64.const 0)))", "(result i64) (call $id (i32.const 0)))"),
        (
            CallRef,
            "(result i64) (call_ref $f (i32.const 0) (ref.null func)))",
            "(result i64) (call_ref $f (i32.const 0) (ref.null nofunc)))",
        ),
        (
            CallIndirect,
            "(result i64) (call_indirect (type $f) (i32.const 0) (i64.const 0)))",
            "(result i64) (call_indirect $long (type $f) (i32.const 0) (i64.const 0)))",
        ),
        (
            CallIndirectTable,
            "(call_indirect $ext (type $v) (i32.const 0)))",
            "(call_indirect $null (type $v) (i32.const 0)))",
        ),
        (Return, "(result i32) i64.const 0 return)", "(result i32) i64.const 0 i32.const 0 return)"),
        (
            ReturnCall,
            "(result i64) (return_call $id (i64.const 0)))",
            "(result i64) (return_call $id (i32.const 0)))",
        ),
        (
            ReturnCallResults,
            "(result i32) (return_call $id (i32.const 0)))",
            "(result anyref) f32.const 0 return_call $any)",
        ),
        (ReturnCallResults, "(result (ref any)) return_call $any)", "return_call $nop)"),
        (
            ReturnCallRef,
            "(result i64) (return_call_ref $f (i64.const 0) (ref.func $id)))",
            "(result i64) (return_call_ref $f (i32.const 0) (ref.func $id)))",
        ),
        (
            ReturnCallRefResults,
            "(return_call_ref $f (i32.const 0) (ref.func $id)))",
            "(return_call_ref $v (ref.null $v)))",
        ),
        (
            ReturnCallIndirect,
            "(result i64) (return_call_indirect (type $f) (i64.const 0) (i32.const 0)))",
            "(result i64) (return_call_indirect (type $f) (i32.const 0) (i32.const 0)))",
        ),
        (
            ReturnCallIndirectResults,
            "(return_call_indirect (type $f) (i32.const 0) (i32.const 0)))",
            "(return_call_indirect (type $v) (i32.const 0)))",
        ),
        (
            ReturnCallIndirectTable,
            "(return_call_indirect $ext (type $v) (i32.const 0)))",
            "(return_call_indirect $tab (type $v) (i32.const 0)))",
        ),
        // Exceptions.
        (Throw, "(throw $e (i64.const 0) (i32.const 0)))", "(throw $e (i32.const 0) (i64.const 0)))"),
        (ThrowRef, "(throw_ref (ref.null any)))", "(throw_ref (ref.null noexn)))"),
        (
            TryTable,
            "i64.const 0 try_table (param i32) drop end)",
            "i32.const 0 try_table (param i32) drop end)",
        ),
        (
            CatchLabel,
            "(result i32) try_table (catch $e 0) unreachable end unreachable)",
            "(result i32 i64) try_table (catch $e 0) unreachable end unreachable)",
        ),
        // Labels are those outside of the try_table.
        (
            CatchLabel,
            "try_table (result i32 i64) (catch $e 0) unreachable end unreachable)",
            "try_table (catch $none 0) end)",
        ),
        (
            CatchRefLabel,
            "(result i32 i64 (ref any)) try_table (catch_ref $e 0) unreachable end unreachable)",
            "(result i32 i64 (ref exn)) try_table (catch_ref $e 0) unreachable end unreachable)",
        ),
        (
            CatchAllLabel,
            "(result i32) try_table (catch_all 0) unreachable end unreachable)",
            "try_table (catch_all 0) end)",
        ),
        (
            CatchAllRefLabel,
            "(result (ref noexn)) try_table (catch_all_ref 0) unreachable end unreachable)",
            "(result exnref) try_table (catch_all_ref 0) unreachable end unreachable)",
        ),
        (
            CatchAllRefLabel,
            "try_table (catch_all_ref 0) unreachable end)",
            "try_table (catch_all 0) unreachable end unreachable)",
        ),
        (Try, "i64.const 0 try (param i32) drop end)", "i32.const 0 try (param i32) drop end)"),
        (
            BlockEnd,
            "try (result i32) i32.const 0 catch $e end drop)",
            "try (result i64) i64.const 0 catch $e return end drop)",
        ),
        (BlockHeight, "try catch $e end)", "try catch $e drop drop catch_all end)"),
        (UnknownLabel, "try delegate 1)", "try delegate 0)"),
        (UnknownTag, "try catch 9 drop end)", "try catch 1 end)"),
        (RethrowLabel, "try rethrow 0 end)", "try catch_all rethrow 0 end)"),
        (RethrowLabel, "block try catch_all rethrow 1 end end)", "try catch $none block rethrow 1 end end)"),
        // References.
        (RefFunc, "(drop (ref.func $nop)))", "(drop (ref.func $id)))"),
        (RefIsNull, "(drop (ref.is_null (i32.const 0))))", "(drop (ref.is_null (ref.null extern))))"),
        (
            RefAsNonNull,
            "(drop (ref.as_non_null (i32.const 0))))",
            "(drop (ref.as_non_null (ref.null func))))",
        ),
        (
            RefEq,
            "(drop (ref.eq (ref.null any) (ref.null eq))))",
            "(drop (ref.eq (ref.null i31) (ref.null $s))))",
        ),
        (RefTest, "(drop (ref.test funcref (ref.null any))))", "(drop (ref.test (ref none) (ref.null $s))))"),
        (RefCast, "(drop (ref.cast (ref $f) (ref.null any))))", "(drop (ref.cast (ref $f) (ref.null $v))))"),
        (
            RefCast,
            "(drop (ref.cast (ref exn) (ref.null any))))",
            "(drop (ref.cast (ref exn) (ref.null noexn))))",
        ),
        (RefI31, "(drop (ref.i31 (i64.const 0))))", "(drop (ref.i31 (i32.const 0))))"),
        (I31Get, "(drop (i31.get_s (ref.null eq))))", "(drop (i31.get_u (ref.null none))))"),
        (
            AnyConvertExtern,
            "(drop (any.convert_extern (ref.null any))))",
            "(drop (any.convert_extern (ref.null extern))))",
        ),
        (
            ExternConvertAny,
            "(drop (extern.convert_any (ref.null func))))",
            "(drop (extern.convert_any (ref.null $s))))",
        ),
        // Conversions keep nullability.
        (
            FuncEnd,
            "(result (ref extern)) (extern.convert_any (ref.null any)))",
            "(result (ref extern)) (extern.convert_any (ref.i31 (i32.const 0))))",
        ),
        // Structs.
        (
            StructNew,
            "(drop (struct.new $s (i32.const 0) (i64.const 0) (i64.const 0))))",
            "(drop (struct.new $s (i32.const 0) (i64.const 0) (i32.const 0))))",
        ),
        (StructNewDefault, "(drop (struct.new_default $t)))", "(drop (struct.new_default $s)))"),
        (
            StructGet,
            "(drop (struct.get $t $x (struct.new_default $s))))",
            "(param (ref null $t)) (drop (struct.get $s $x (local.get 0))))",
        ),
        (
            StructGetSign,
            "(param (ref $s)) (drop (struct.get $s $p (local.get 0))))",
            "(param (ref $s)) (drop (struct.get_s $s $p (local.get 0))))",
        ),
        (
            StructGetSign,
            "(param (ref $s)) (drop (struct.get_u $s $x (local.get 0))))",
            "(param (ref $s)) (drop (struct.get $s $x (local.get 0))))",
        ),
        (
            StructSet,
            "(param (ref $s)) (struct.set $s $y (local.get 0) (i32.const 0)))",
            "(param (ref $s)) (struct.set $s $y (local.get 0) (i64.const 0)))",
        ),
        (
            StructSetMutable,
            "(param (ref $s)) (struct.set $s $x (local.get 0) (i32.const 0)))",
            "(param (ref $t)) (struct.set $t $y (local.get 0) (i64.const 0)))",
        ),
        // Arrays.
        (
            ArrayNew,
            "(drop (array.new $const (i64.const 0) (i32.const 0))))",
            "(drop (array.new $bytes (i32.const 0) (i32.const 0))))",
        ),
        (
            ArrayNewDefault,
            "(drop (array.new_default $const (i64.const 0))))",
            "(drop (array.new_default $const (i32.const 0))))",
        ),
        (
            ArrayNewDefaultType,
            "(drop (array.new_default $i31s (i32.const 0))))",
            "(drop (array.new_default $anys (i32.const 0))))",
        ),
        (
            ArrayNewFixed,
            "(drop (array.new_fixed $ints 2 (i32.const 0))))",
            "(drop (array.new_fixed $ints 2 (i32.const 0) (i32.const 0))))",
        ),
        (
            ArrayNewData,
            "(drop (array.new_data $ints $d (i32.const 0) (i64.const 0))))",
            "(drop (array.new_data $ints $d (i32.const 0) (i32.const 0))))",
        ),
        (
            ArrayNewDataType,
            "(drop (array.new_data $anys $d (i32.const 0) (i32.const 0))))",
            "(drop (array.new_data $bytes $d (i32.const 0) (i32.const 0))))",
        ),
        (
            ArrayNewElem,
            "(drop (array.new_elem $anys $ae (i32.const 0) (i64.const 0))))",
            "(drop (array.new_elem $anys $ae (i32.const 0) (i32.const 0))))",
        ),
        (
            ArrayNewElemType,
            "(drop (array.new_elem $anys $fe (i32.const 0) (i32.const 0))))",
            "(drop (array.new_elem $funcs $fe (i32.const 0) (i32.const 0))))",
        ),
        (
            ArrayNewElemType,
            "(drop (array.new_elem $ints $ae (i32.const 0) (i32.const 0))))",
            "(drop (array.new_elem $anys $ae (i32.const 0) (i32.const 0))))",
        ),
        (
            ArrayGet,
            "(drop (array.get $ints (ref.null $const) (i32.const 0))))",
            "(drop (array.get $ints (ref.null $ints) (i32.const 0))))",
        ),
        (
            ArrayGetSign,
            "(drop (array.get $bytes (ref.null $bytes) (i32.const 0))))",
            "(drop (array.get_u $bytes (ref.null $bytes) (i32.const 0))))",
        ),
        (
            ArrayGetSign,
            "(drop (array.get_s $ints (ref.null $ints) (i32.const 0))))",
            "(drop (array.get_s $bytes (ref.null none) (i32.const 0))))",
        ),
        (
            ArraySet,
            "(array.set $ints (ref.null $ints) (i32.const 0) (i64.const 0)))",
            "(array.set $ints (ref.null $ints) (i32.const 0) (i32.const 0)))",
        ),
        (
            ArraySetMutable,
            "(array.set $const (ref.null $const) (i32.const 0) (i32.const 0)))",
            "(array.set $bytes (ref.null $bytes) (i32.const 0) (i32.const 0)))",
        ),
        (ArrayLen, "(drop (array.len (ref.null eq))))", "(drop (array.len (ref.null $const))))"),
        (
            ArrayFill,
            "(array.fill $ints (ref.null $ints) (i32.const 0) (i64.const 0) (i32.const 0)))",
            "(array.fill $ints (ref.null $ints) (i32.const 0) (i32.const 0) (i32.const 0)))",
        ),
        (
            ArrayFillMutable,
            "(array.fill $const (ref.null $const) (i32.const 0) (i32.const 0) (i32.const 0)))",
            "(array.fill $anys (ref.null $anys) (i32.const 0) (ref.null $s) (i32.const 0)))",
        ),
        (
            ArrayCopy,
            "(array.copy $ints $const (ref.null $ints) (i32.const 0) (ref.null $ints) (i32.const 0) (i32.const 0)))",
            "(array.copy $ints $const (ref.null $ints) (i32.const 0) (ref.null $const) (i32.const 0) (i32.const 0)))",
        ),
        (ArrayCopyMutable, "unreachable array.copy $const $ints)", "unreachable array.copy $ints $const)"),
        (ArrayCopyType, "unreachable array.copy $i31s $anys)", "unreachable array.copy $anys $i31s)"),
        (ArrayCopyType, "unreachable array.copy $ints $bytes)", "unreachable array.copy $bytes $bytes)"),
        (
            ArrayInitData,
            "(array.init_data $ints $d (ref.null $ints) (i32.const 0) (i32.const 0) (i64.const 0)))",
            "(array.init_data $ints $d (ref.null $ints) (i32.const 0) (i32.const 0) (i32.const 0)))",
        ),
        (
            ArrayInitDataMutable,
            "unreachable array.init_data $const $d)",
            "unreachable array.init_data $ints $d)",
        ),
        (
            ArrayInitDataType,
            "unreachable array.init_data $anys $d)",
            "unreachable array.init_data $bytes $d)",
        ),
        (
            ArrayInitElem,
            "(array.init_elem $anys $ae (ref.null $funcs) (i32.const 0) (i32.const 0) (i32.const 0)))",
            "(array.init_elem $anys $ae (ref.null $anys) (i32.const 0) (i32.const 0) (i32.const 0)))",
        ),
        (
            ArrayInitElemMutable,
            "unreachable array.init_elem $const $ae)",
            "unreachable array.init_elem $anys $ae)",
        ),
        (
            ArrayInitElemType,
            "unreachable array.init_elem $i31s $ae)",
            "unreachable array.init_elem $anys $ae)",
        ),
        // Variables.
        (LocalGetSet, "(local (ref i31)) (drop (local.get 0)))", "(local i31ref) (drop (local.get 0)))"),
        (
            LocalGetSet,
            "(local $r (ref i31)) block (local.set $r (ref.i31 (i32.const 0))) end (drop (local.get $r)))",
            "(local $r (ref i31)) block (local.set $r (ref.i31 (i32.const 0))) (drop (local.get $r)) end)",
        ),
        (
            LocalGetSet,
            "(local $r (ref i31)) i32.const 0 if (local.set $r (ref.i31 (i32.const 0))) else (drop (local.get $r)) end)",
            "(local $r (ref i31)) (local.set $r (ref.i31 (i32.const 0))) i32.const 0 if else (drop (local.get $r)) end)",
        ),
        // Also where the code cannot be reached.
        (
            LocalGetSet,
            "(local $r (ref i31)) unreachable local.get $r drop)",
            "(local $r (ref i31)) unreachable local.tee $r drop local.get $r drop)",
        ),
        (
            LocalGetSet,
            "(local $r (ref i31)) try (local.set $r (ref.i31 (i32.const 0))) catch_all (drop (local.get $r)) end)",
            "(local $r (ref i31)) (local.set $r (ref.i31 (i32.const 0))) try catch_all (drop (local.get $r)) end)",
        ),
        (LocalSet, "(local i64) (local.set 0 (i32.const 0)))", "(local i64) (local.set 0 (i64.const 0)))"),
        (
            LocalTee,
            "(local i64) (drop (local.tee 0 (i32.const 0))))",
            "(local i64) (drop (local.tee 0 (i64.const 0))))",
        ),
        // A tee gives the local's type.
        (
            FuncEnd,
            "(result i31ref) (local anyref) (local.tee 0 (ref.null i31)))",
            "(result anyref) (local i31ref) (local.tee 0 (ref.null none)))",
        ),
        (GlobalSet, "(global.set $m (i64.const 0)))", "(global.set $m (i32.const 0)))"),
        (GlobalSetMutable, "(global.set $g (i32.const 0)))", "(global.set $m (global.get $g)))"),
        // Tables.
        (TableGet, "(drop (table.get $long (i32.const 0))))", "(drop (table.get $long (i64.const 0))))"),
        (
            TableSet,
            "(table.set $tab (i32.const 0) (ref.null extern)))",
            "(table.set $ext (i32.const 0) (ref.null extern)))",
        ),
        (
            TableGrow,
            "(drop (table.grow $tab (ref.null func) (i64.const 0))))",
            "(drop (table.grow $long (ref.null func) (i64.const 0))))",
        ),
        (
            FuncEnd,
            "(result i64) (table.grow $tab (ref.null func) (i32.const 0)))",
            "(result i64) (table.grow $long (ref.null func) (i64.const 0)))",
        ),
        (
            TableFill,
            "(table.fill $tab (i32.const 0) (ref.null any) (i32.const 0)))",
            "(table.fill $tab (i32.const 0) (ref.null $f) (i32.const 0)))",
        ),
        (
            TableCopy,
            "(table.copy $tab $long (i32.const 0) (i64.const 0) (i64.const 0)))",
            "(table.copy $tab $long (i32.const 0) (i64.const 0) (i32.const 0)))",
        ),
        (TableCopyType, "unreachable table.copy $null $tab)", "unreachable table.copy $tab $null)"),
        (
            TableInit,
            "(table.init $long $fe (i64.const 0) (i32.const 0) (i64.const 0)))",
            "(table.init $long $fe (i64.const 0) (i32.const 0) (i32.const 0)))",
        ),
        (TableInitType, "unreachable table.init $tab $ae)", "unreachable table.init $tab $fe)"),
        // Memories.
        (Load, "(drop (i32.load $mem (i64.const 0))))", "(drop (i32.load $big (i64.const 0))))"),
        (
            Store,
            "(i64.store8 $mem (i32.const 0) (i32.const 0)))",
            "(i64.store8 $mem (i32.const 0) (i64.const 0)))",
        ),
        (
            Alignment,
            "(drop (i32.load16_u align=4 (i32.const 0))))",
            "(drop (i32.load16_u align=2 (i32.const 0))))",
        ),
        (Alignment, "unreachable v128.load8x8_s align=16 drop)", "unreachable v128.load8x8_s align=8 drop)"),
        (
            Offset,
            "(drop (i32.load $mem offset=0x1_0000_0000 (i32.const 0))))",
            "(drop (i32.load $big offset=0x1_0000_0000 (i64.const 0))))",
        ),
        (MemoryGrow, "(drop (memory.grow $big (i32.const 0))))", "(drop (memory.grow $big (i64.const 0))))"),
        (
            MemoryFill,
            "(memory.fill $big (i64.const 0) (i32.const 0) (i32.const 0)))",
            "(memory.fill $big (i64.const 0) (i32.const 0) (i64.const 0)))",
        ),
        (
            MemoryCopy,
            "(memory.copy $big $mem (i64.const 0) (i32.const 0) (i64.const 0)))",
            "(memory.copy $big $mem (i64.const 0) (i32.const 0) (i32.const 0)))",
        ),
        (
            MemoryInit,
            "(memory.init $big $d (i64.const 0) (i64.const 0) (i32.const 0)))",
            "(memory.init $big $d (i64.const 0) (i32.const 0) (i32.const 0)))",
        ),
        // Numerics.
        (Unop, "(drop (f32.neg (f64.const 0))))", "(drop (f64.neg (f64.const 0))))"),
        (
            Binop,
            "(drop (i32.add (i32.const 0) (i64.const 0))))",
            "(drop (i64.add (i64.const 0) (i64.const 0))))",
        ),
        (Testop, "(drop (i64.eqz (i32.const 0))))", "(drop (i64.eqz (i64.const 0))))"),
        (
            Relop,
            "(drop (f64.lt (f64.const 0) (f32.const 0))))",
            "(drop (f64.lt (f64.const 0) (f64.const 0))))",
        ),
        (Cvtop, "(drop (f32.demote_f64 (f32.const 0))))", "(drop (f32.demote_f64 (f64.const 0))))"),
        // Vectors.
        (Vector, "unreachable i32.const 0 i8x16.add drop)", "unreachable i32.const 0 i8x16.shl drop)"),
        (
            VectorLane,
            "(param v128) (drop (i64x2.replace_lane 1 (local.get 0) (i32.const 0))))",
            "(param v128) (drop (i64x2.replace_lane 1 (local.get 0) (i64.const 0))))",
        ),
        (Lane, "unreachable i32x4.extract_lane 4 drop)", "unreachable i32x4.extract_lane 3 drop)"),
        (Lane, "unreachable v128.load16_lane 8 drop)", "unreachable v128.load16_lane 7 drop)"),
        (
            Lane,
            "unreachable i8x16.shuffle 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 32 drop)",
            "unreachable i8x16.shuffle 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 31 drop)",
        ),
        (
            Shuffle,
            "unreachable i32.const 0 i8x16.shuffle 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 drop)",
            "(param v128) local.get 0 local.get 0 i8x16.shuffle 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 drop)",
        ),
        (
            VectorLoad,
            "(drop (v128.load32_splat (i64.const 0))))",
            "(drop (v128.load32_splat (i32.const 0))))",
        ),
        (
            VectorStore,
            "(v128.store (i32.const 0) (i32.const 0)))",
            "(v128.store (i32.const 0) (v128.const i64x2 0 0)))",
        ),
    ]
};
