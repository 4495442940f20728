//! What a module exports and imports, as far as the script of a peer needs it: the types of calls, and whose exports it links.

use std::collections::{BTreeSet, HashMap};

use wasmparser::{CompositeInnerType, ExternalKind, Parser, Payload, TypeRef, ValType};

/// Parameters and results.
type Signature = (Vec<ValType>, Vec<ValType>);

/// Exports and imports of one module.
#[derive(Debug, Default)]
pub(crate) struct Exports {
    /// Exported functions by name.
    pub(crate) functions: HashMap<String, Signature>,
    /// Exported globals by name.
    pub(crate) globals: HashMap<String, ValType>,
    /// Module names of the imports.
    pub(crate) imports: BTreeSet<String>,
}

impl Exports {
    /// Whether the exports of the names that are `used` have numbers only in their types.
    pub(crate) fn numbers_only(&self, used: impl Fn(&str) -> bool) -> bool {
        let number = |ty: &ValType| !matches!(ty, ValType::V128 | ValType::Ref(_));
        let numbers = |(params, results): &Signature| params.iter().chain(results).all(number);
        self.functions.iter().all(|(name, signature)| !used(name) || numbers(signature))
            && self.globals.iter().all(|(name, ty)| !used(name) || number(ty))
    }

    /// Reads them from the module's bytes.
    ///
    /// # Errors
    /// wasmparser's; a module may be invalid and still be read.
    pub(crate) fn read(bytes: &[u8]) -> Result<Exports, wasmparser::BinaryReaderError> {
        let mut exports = Exports::default();
        let mut types: Vec<Option<Signature>> = Vec::new();
        let mut functions: Vec<u32> = Vec::new();
        let mut globals: Vec<ValType> = Vec::new();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::TypeSection(section) => {
                    for group in section {
                        types.extend(group?.into_types().map(|ty| match ty.composite_type.inner {
                            CompositeInnerType::Func(ty) => {
                                Some((ty.params().to_vec(), ty.results().to_vec()))
                            }
                            CompositeInnerType::Array(_)
                            | CompositeInnerType::Struct(_)
                            | CompositeInnerType::Cont(_) => None,
                        }));
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        exports.imports.insert(import.module.to_owned());
                        match import.ty {
                            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => functions.push(ty),
                            TypeRef::Global(global) => globals.push(global.content_type),
                            TypeRef::Table(_) | TypeRef::Memory(_) | TypeRef::Tag(_) => {}
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    for ty in section {
                        functions.push(ty?);
                    }
                }
                Payload::GlobalSection(section) => {
                    for global in section {
                        globals.push(global?.ty.content_type);
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        let index = export.index as usize;
                        match export.kind {
                            ExternalKind::Func | ExternalKind::FuncExact => {
                                let ty = functions.get(index).and_then(|ty| types.get(*ty as usize)?.clone());
                                exports.functions.extend(ty.map(|ty| (export.name.to_owned(), ty)));
                            }
                            ExternalKind::Global => {
                                let ty = globals.get(index).copied();
                                exports.globals.extend(ty.map(|ty| (export.name.to_owned(), ty)));
                            }
                            ExternalKind::Table | ExternalKind::Memory | ExternalKind::Tag => {}
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(exports)
    }
}
