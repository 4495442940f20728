//! Encodings that WebAssembly 3.0 does not have, and that wasmparser reads all the same, for proposals beyond it.
//!
//! wasmparser refuses them when it validates, for the first fault in the module; the specification calls a module with one malformed
//! wherever else it is invalid. So the reader behind [`structure`](crate::decode::structure) asks here. Each function tells whether
//! what it is given is foreign.

use wasmparser::{
    AbstractHeapType, BlockType, CompositeInnerType, FieldType, FuncType, GlobalType, HeapType, MemoryType,
    Operator, RefType, StorageType, SubType, TableType, TypeRef, ValType,
};

/// Whose an instruction is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Core,
    /// Of the exception handling before 3.0.
    Legacy,
    Foreign,
}

/// By wasmparser's name of a proposal.
macro_rules! part {
    (mvp) => {
        Part::Core
    };
    (sign_extension) => {
        Part::Core
    };
    (saturating_float_to_int) => {
        Part::Core
    };
    (bulk_memory) => {
        Part::Core
    };
    (reference_types) => {
        Part::Core
    };
    (function_references) => {
        Part::Core
    };
    (gc) => {
        Part::Core
    };
    (tail_call) => {
        Part::Core
    };
    (simd) => {
        Part::Core
    };
    (relaxed_simd) => {
        Part::Core
    };
    (exceptions) => {
        Part::Core
    };
    (legacy_exceptions) => {
        Part::Legacy
    };
    ($other:ident) => {
        Part::Foreign
    };
}

macro_rules! define_part_of {
    ($(@$proposal:ident $op:ident $({ $($payload:tt)* })? => $visit:ident ($($annotation:tt)*))*) => {
        fn part_of(operator: &Operator<'_>) -> Part {
            match operator {
                $(Operator::$op { .. } => part!($proposal),)*
                // The enumeration is not exhaustive; the macro names all.
                _ => Part::Foreign,
            }
        }
    };
}

wasmparser::for_each_operator!(define_part_of);

/// An instruction with its types; those of the exception handling before 3.0 count where `legacy` says so.
pub(crate) fn operator(operator: &Operator<'_>, legacy: bool) -> bool {
    use Operator as O;
    match part_of(operator) {
        Part::Foreign => return true,
        Part::Legacy if !legacy => return true,
        Part::Legacy | Part::Core => {}
    }
    match operator {
        O::Block { blockty } | O::Loop { blockty } | O::If { blockty } | O::Try { blockty } => {
            block_type(*blockty)
        }
        O::TryTable { try_table } => block_type(try_table.ty),
        O::TypedSelect { ty } => val_type(*ty),
        O::TypedSelectMulti { tys } => tys.iter().copied().any(val_type),
        O::RefNull { hty }
        | O::RefTestNonNull { hty }
        | O::RefTestNullable { hty }
        | O::RefCastNonNull { hty }
        | O::RefCastNullable { hty } => heap_type(*hty),
        O::BrOnCast { from_ref_type, to_ref_type, .. }
        | O::BrOnCastFail { from_ref_type, to_ref_type, .. } => {
            ref_type(*from_ref_type) || ref_type(*to_ref_type)
        }
        // The others have no types, or type indices.
        _ => false,
    }
}

fn block_type(ty: BlockType) -> bool {
    match ty {
        BlockType::Empty | BlockType::FuncType(_) => false,
        BlockType::Type(ty) => val_type(ty),
    }
}

fn heap_type(ty: HeapType) -> bool {
    use AbstractHeapType as A;
    match ty {
        HeapType::Abstract { shared, ty } => shared || matches!(ty, A::Cont | A::NoCont),
        HeapType::Concrete(_) => false,
        HeapType::Exact(_) => true,
    }
}

pub(crate) fn ref_type(ty: RefType) -> bool {
    heap_type(ty.heap_type())
}

pub(crate) fn val_type(ty: ValType) -> bool {
    match ty {
        ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 | ValType::V128 => false,
        ValType::Ref(ty) => ref_type(ty),
    }
}

fn field_type(ty: &FieldType) -> bool {
    match ty.element_type {
        StorageType::I8 | StorageType::I16 => false,
        StorageType::Val(ty) => val_type(ty),
    }
}

fn func_type(ty: &FuncType) -> bool {
    ty.params().iter().chain(ty.results()).copied().any(val_type)
}

pub(crate) fn sub_type(ty: &SubType) -> bool {
    let composite = &ty.composite_type;
    composite.shared
        || composite.descriptor_idx.is_some()
        || composite.describes_idx.is_some()
        || match &composite.inner {
            CompositeInnerType::Func(ty) => func_type(ty),
            CompositeInnerType::Array(ty) => field_type(&ty.0),
            CompositeInnerType::Struct(ty) => ty.fields.iter().any(field_type),
            CompositeInnerType::Cont(_) => true,
        }
}

pub(crate) fn global_type(ty: GlobalType) -> bool {
    ty.shared || val_type(ty.content_type)
}

pub(crate) fn table_type(ty: TableType) -> bool {
    ty.shared || ref_type(ty.element_type)
}

pub(crate) fn memory_type(ty: MemoryType) -> bool {
    ty.shared || ty.page_size_log2.is_some()
}

pub(crate) fn import(ty: TypeRef) -> bool {
    match ty {
        TypeRef::Func(_) | TypeRef::Tag(_) => false,
        TypeRef::Table(ty) => table_type(ty),
        TypeRef::Memory(ty) => memory_type(ty),
        TypeRef::Global(ty) => global_type(ty),
        TypeRef::FuncExact(_) => true,
    }
}
