//! The sizes of a module's index spaces, from which the mutations take indices.

use wasmparser::{CompositeInnerType, Parser, Payload, TypeRef};

/// Sizes of the index spaces, imports included.
#[derive(Clone, Debug, Default)]
pub(super) struct Spaces {
    pub(super) types: u32,
    /// By kind of composite type: functions, structs, arrays.
    pub(super) kinds: [Vec<u32>; 3],
    pub(super) functions: u32,
    pub(super) tables: u32,
    pub(super) memories: u32,
    pub(super) globals: u32,
    pub(super) tags: u32,
    pub(super) elements: u32,
    pub(super) data: u32,
}

impl Spaces {
    /// Of a module; none if it cannot be parsed.
    pub(super) fn of(module: &[u8]) -> Option<Spaces> {
        let mut spaces = Spaces::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload.ok()? {
                Payload::TypeSection(section) => {
                    for ty in section.into_iter().map_while(Result::ok).flat_map(|group| group.into_types()) {
                        let kind = match ty.composite_type.inner {
                            CompositeInnerType::Func(_) => 0,
                            CompositeInnerType::Struct(_) => 1,
                            CompositeInnerType::Array(_) => 2,
                            CompositeInnerType::Cont(_) => return None,
                        };
                        spaces.kinds[kind].push(spaces.types);
                        spaces.types += 1;
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        match import.ok()?.ty {
                            TypeRef::Func(_) | TypeRef::FuncExact(_) => spaces.functions += 1,
                            TypeRef::Table(_) => spaces.tables += 1,
                            TypeRef::Memory(_) => spaces.memories += 1,
                            TypeRef::Global(_) => spaces.globals += 1,
                            TypeRef::Tag(_) => spaces.tags += 1,
                        }
                    }
                }
                Payload::FunctionSection(section) => spaces.functions += section.count(),
                Payload::TableSection(section) => spaces.tables += section.count(),
                Payload::MemorySection(section) => spaces.memories += section.count(),
                Payload::GlobalSection(section) => spaces.globals += section.count(),
                Payload::TagSection(section) => spaces.tags += section.count(),
                Payload::ElementSection(section) => spaces.elements += section.count(),
                Payload::DataSection(section) => spaces.data += section.count(),
                _ => {}
            }
        }
        Some(spaces)
    }
}
