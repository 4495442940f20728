//! Parameter types of exported functions, read from a module without validating it: a script spells a null or a host
//! value by the parameter's type, which a [`super::Case`] does not keep.

use wasmparser::{
    AbstractHeapType, CompositeInnerType, ExternalKind, HeapType, Parser, Payload, TypeRef, UnpackedIndex,
    ValType,
};

/// How to spell a reference argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spelling {
    /// Heap type after `ref.null`.
    pub(super) null: &'static str,
    /// Whether the type is in the `any` hierarchy: `ref.host`, not `ref.extern`.
    pub(super) internal: bool,
}

/// For parameters whose type is not known.
pub(super) const UNKNOWN: Spelling = Spelling { null: "extern", internal: false };

/// Spellings of the parameters of the function that `module` exports as `field`; empty if there is none.
pub(super) fn parameters(module: &[u8], field: &str) -> Vec<Spelling> {
    find(module, field).unwrap_or_default()
}

/// A function type of the module, or the kind of another composite type.
enum Defined {
    Func(Vec<ValType>),
    Struct,
    Array,
    Cont,
}

fn find(module: &[u8], field: &str) -> Option<Vec<Spelling>> {
    let mut types = Vec::new();
    let mut functions: Vec<u32> = Vec::new();
    let mut exported = None;
    for payload in Parser::new(0).parse_all(module) {
        match payload.ok()? {
            Payload::TypeSection(section) => {
                for group in section {
                    types.extend(group.ok()?.into_types().map(|ty| match ty.composite_type.inner {
                        CompositeInnerType::Func(ty) => Defined::Func(ty.params().to_vec()),
                        CompositeInnerType::Struct(_) => Defined::Struct,
                        CompositeInnerType::Array(_) => Defined::Array,
                        CompositeInnerType::Cont(_) => Defined::Cont,
                    }));
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    if let TypeRef::Func(ty) | TypeRef::FuncExact(ty) = import.ok()?.ty {
                        functions.push(ty);
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    functions.push(ty.ok()?);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.ok()?;
                    if export.name == field && export.kind == ExternalKind::Func {
                        exported = Some(export.index);
                    }
                }
            }
            Payload::CodeSectionStart { .. } => break,
            _ => {}
        }
    }
    let ty = *functions.get(exported? as usize)?;
    let Defined::Func(params) = types.get(ty as usize)? else { return None };
    Some(params.iter().map(|param| spelling(param, &types)).collect())
}

fn spelling(param: &ValType, types: &[Defined]) -> Spelling {
    use AbstractHeapType as A;
    let ValType::Ref(param) = param else { return UNKNOWN };
    let (null, internal) = match param.heap_type() {
        HeapType::Abstract { ty, .. } => match ty {
            A::Func => ("func", false),
            A::NoFunc => ("nofunc", false),
            A::Extern => ("extern", false),
            A::NoExtern => ("noextern", false),
            A::Exn => ("exn", false),
            A::NoExn => ("noexn", false),
            A::Any => ("any", true),
            A::Eq => ("eq", true),
            A::I31 => ("i31", true),
            A::Struct => ("struct", true),
            A::Array => ("array", true),
            A::None => ("none", true),
            A::Cont => ("cont", false),
            A::NoCont => ("nocont", false),
        },
        HeapType::Concrete(index) | HeapType::Exact(index) => {
            let defined = match index {
                UnpackedIndex::Module(index) => types.get(index as usize),
                _ => None,
            };
            match defined {
                Some(Defined::Func(_)) => ("nofunc", false),
                Some(Defined::Struct | Defined::Array) => ("none", true),
                Some(Defined::Cont) => ("nocont", false),
                None => return UNKNOWN,
            }
        }
    };
    Spelling { null, internal }
}
