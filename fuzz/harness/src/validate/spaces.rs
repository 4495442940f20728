//! A module's index spaces, from which the mutations take indices, and the types of what is in them.

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{CompositeInnerType, FieldType, FuncType, GlobalType, RefType, SubType, TableType};
use wasmparser::{ElementItems, Parser, Payload, TypeRef};

/// The index spaces, imports included. As many types as there are items, but where a section cannot be read to its end.
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
    /// Whether instructions may name data segments: without it they are malformed.
    pub(super) data_count: bool,
    /// The types as they are declared.
    pub(super) declared: Vec<SubType>,
    /// By function, the index of its type.
    pub(super) function_types: Vec<u32>,
    /// How many functions are imported.
    imported_functions: u32,
    pub(super) table_types: Vec<TableType>,
    pub(super) global_types: Vec<GlobalType>,
    /// By tag, the index of its type.
    pub(super) tag_types: Vec<u32>,
    pub(super) element_types: Vec<RefType>,
}

impl Spaces {
    /// Of a module; none if it cannot be parsed.
    pub(super) fn of(module: &[u8]) -> Option<Spaces> {
        let mut spaces = Spaces::default();
        for payload in Parser::new(0).parse_all(module) {
            spaces.add(payload.ok()?)?;
        }
        Some(spaces)
    }

    fn add(&mut self, payload: Payload<'_>) -> Option<()> {
        let encoder = &mut RoundtripReencoder;
        match payload {
            Payload::TypeSection(section) => {
                for ty in section.into_iter().map_while(Result::ok).flat_map(|group| group.into_types()) {
                    let ty = encoder.sub_type(ty).ok()?;
                    let kind = match ty.composite_type.inner {
                        CompositeInnerType::Func(_) => 0,
                        CompositeInnerType::Struct(_) => 1,
                        CompositeInnerType::Array(_) => 2,
                        CompositeInnerType::Cont(_) => return None,
                    };
                    self.kinds[kind].push(self.types);
                    self.types += 1;
                    self.declared.push(ty);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    match import.ok()?.ty {
                        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                            self.functions += 1;
                            self.imported_functions += 1;
                            self.function_types.push(ty);
                        }
                        TypeRef::Table(ty) => {
                            self.tables += 1;
                            self.table_types.extend(encoder.table_type(ty));
                        }
                        TypeRef::Memory(_) => self.memories += 1,
                        TypeRef::Global(ty) => {
                            self.globals += 1;
                            self.global_types.extend(encoder.global_type(ty));
                        }
                        TypeRef::Tag(ty) => {
                            self.tags += 1;
                            self.tag_types.push(ty.func_type_idx);
                        }
                    }
                }
            }
            Payload::FunctionSection(section) => {
                self.functions += section.count();
                self.function_types.extend(section.into_iter().map_while(Result::ok));
            }
            Payload::TableSection(section) => {
                self.tables += section.count();
                for table in section.into_iter().map_while(Result::ok) {
                    self.table_types.extend(encoder.table_type(table.ty));
                }
            }
            Payload::MemorySection(section) => self.memories += section.count(),
            Payload::GlobalSection(section) => {
                self.globals += section.count();
                for global in section.into_iter().map_while(Result::ok) {
                    self.global_types.extend(encoder.global_type(global.ty));
                }
            }
            Payload::TagSection(section) => {
                self.tags += section.count();
                self.tag_types.extend(section.into_iter().map_while(Result::ok).map(|tag| tag.func_type_idx));
            }
            Payload::ElementSection(section) => {
                self.elements += section.count();
                for element in section.into_iter().map_while(Result::ok) {
                    self.element_types.extend(match element.items {
                        ElementItems::Expressions(ty, _) => encoder.ref_type(ty).ok(),
                        // Binary Format / Element Section: function indices make `(ref func)`.
                        ElementItems::Functions(_) => {
                            Some(RefType { nullable: false, heap_type: wasm_encoder::HeapType::FUNC })
                        }
                    });
                }
            }
            Payload::DataCountSection { .. } => self.data_count = true,
            Payload::DataSection(section) => self.data += section.count(),
            _ => {}
        }
        Some(())
    }

    /// The function type of this index.
    pub(super) fn func(&self, ty: u32) -> Option<&FuncType> {
        match &self.declared.get(ty as usize)?.composite_type.inner {
            CompositeInnerType::Func(ty) => Some(ty),
            _ => None,
        }
    }

    /// The fields of the struct type of this index; an array type has one.
    pub(super) fn fields(&self, ty: u32) -> &[FieldType] {
        match self.declared.get(ty as usize).map(|ty| &ty.composite_type.inner) {
            Some(CompositeInnerType::Struct(ty)) => &ty.fields,
            Some(CompositeInnerType::Array(ty)) => std::slice::from_ref(&ty.0),
            _ => &[],
        }
    }

    /// The type of a function.
    pub(super) fn function(&self, function: u32) -> Option<&FuncType> {
        self.func(*self.function_types.get(function as usize)?)
    }

    /// The type of the function of the body at this place among the bodies.
    pub(super) fn of_body(&self, body: u32) -> Option<&FuncType> {
        self.function(self.imported_functions.checked_add(body)?)
    }
}
