//! Bytes to [`ModuleInfo`]: first the structure alone (what fails here is malformed), then validation (what fails here
//! is invalid), then the contents with canonical types.
//!
//! wasmparser reports both failures as one error type; reading every section and every instruction once before the
//! validator runs tells them apart.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use assay_gc::{AbstractHeapType, CompositeType, HeapType, RefType, SubType, TypeId, TypeRegistry};
use wasmparser::{
    BinaryReader, DataKind, ElementItems, ElementKind, Encoding, ExternalKind, FromReader,
    FuncValidatorAllocations, FunctionBody, KnownCustom, Name, NameSectionReader, Operator, Parser, Payload,
    SectionLimited, TableInit, TypeRef, ValidPayload, Validator, WasmFeatures,
};

use crate::convert::{Convert, internal};
use crate::module::{
    ConstExpr, ConstOp, DataSegment, ElementMode, ElementSegment, Export, ExportItem, ExternType, Import,
    ModuleInfo,
};
use crate::translate::Definitions;
use crate::{Error, ErrorKind, foreign, limit};

/// What this engine runs.
const FEATURES: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::FUNCTION_REFERENCES)
    .union(WasmFeatures::GC)
    .union(WasmFeatures::GC_TYPES)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::EXCEPTIONS);

/// What the engine runs, perhaps with the legacy exception instructions.
fn features(legacy_exceptions: bool) -> WasmFeatures {
    let mut features = FEATURES;
    features.set(WasmFeatures::LEGACY_EXCEPTIONS, legacy_exceptions);
    features
}

/// What decoding yields.
pub(crate) struct Decoded<'a> {
    pub(crate) info: ModuleInfo,
    pub(crate) defs: Definitions,
    pub(crate) bodies: Vec<FunctionBody<'a>>,
    /// By function type, the type of the exceptions of its tags: a tag takes two bytes, its type can have 1,000
    /// parameters.
    exceptions: HashMap<TypeId, TypeId>,
}

fn malformed(wasm: &[u8], error: &wasmparser::Error) -> Error {
    let (offset, message) = (error.offset() as usize, error.message().to_owned());
    Error::new(limit::of(wasm, error).unwrap_or(ErrorKind::Malformed { offset, message }))
}

fn invalid(wasm: &[u8], error: &wasmparser::Error) -> Error {
    let (offset, message) = (error.offset() as usize, error.message().to_owned());
    Error::new(match (limit::of(wasm, error), error.missing_wasm_feature()) {
        (Some(kind), _) => kind,
        // Well-formed: of stack switching, wasmparser asks for this typing rule alone outside of new encodings.
        (None, Some(_)) if message.contains("non-empty tag result type") => {
            ErrorKind::Invalid { offset, message }
        }
        // The encoding does not exist in WebAssembly 3.0.
        (None, Some(_)) => ErrorKind::Malformed { offset, message },
        (None, None) => ErrorKind::Invalid { offset, message },
    })
}

fn unread(error: wasmparser::Error) -> Error {
    internal(&format!("a validated module cannot be read: {error}"))
}

fn parser(legacy_exceptions: bool) -> Parser {
    let mut parser = Parser::new(0);
    parser.set_features(features(legacy_exceptions));
    parser
}

/// Reads everything and checks nothing.
///
/// # Errors
/// `Malformed`; `Invalid` and `Limit` where wasmparser does not read on (see [`limit`]).
pub(crate) fn structure(wasm: &[u8], legacy_exceptions: bool) -> Result<(), Error> {
    let mut structure = Structure { legacy_exceptions, data_count: false, fault: None };
    for payload in parser(legacy_exceptions).parse_all(wasm) {
        payload.and_then(|payload| structure.payload(payload)).map_err(|error| malformed(wasm, &error))?;
        if let Some((offset, message)) = structure.fault {
            return Err(Error::new(ErrorKind::Malformed {
                offset: offset as usize,
                message: message.to_owned(),
            }));
        }
    }
    Ok(())
}

/// The reader behind [`structure`].
struct Structure {
    legacy_exceptions: bool,
    data_count: bool,
    /// What wasmparser does not report: (offset, what is wrong).
    fault: Option<(u64, &'static str)>,
}

impl Structure {
    fn fault(&mut self, offset: u64, what: &'static str) {
        self.fault.get_or_insert((offset, what));
    }

    /// A fault unless WebAssembly 3.0 has what was read (see [`foreign`]).
    fn known(&mut self, foreign: bool, offset: u64, what: &'static str) {
        if foreign {
            self.fault(offset, what);
        }
    }

    /// Reads items; `foreign` tells whether one is.
    fn items<'a, T: FromReader<'a>>(
        &mut self,
        section: SectionLimited<'a, T>,
        foreign: impl Fn(&T) -> bool,
        what: &'static str,
    ) -> wasmparser::Result<()> {
        for item in section.into_iter_with_offsets() {
            let (offset, item) = item?;
            self.known(foreign(&item), offset, what);
        }
        Ok(())
    }

    /// Reads instructions; true when one of them names a data segment.
    fn operators(&mut self, reader: BinaryReader<'_>) -> wasmparser::Result<bool> {
        let mut reader = wasmparser::OperatorsReader::new(reader);
        let mut names_data = false;
        while !reader.eof() {
            let offset = reader.original_position();
            let operator = reader.read()?;
            self.known(foreign::operator(&operator, self.legacy_exceptions), offset, "illegal opcode");
            names_data |= matches!(
                operator,
                Operator::MemoryInit { .. }
                    | Operator::DataDrop { .. }
                    | Operator::ArrayNewData { .. }
                    | Operator::ArrayInitData { .. }
            );
        }
        reader.finish()?;
        Ok(names_data)
    }

    fn constant(&mut self, expr: &wasmparser::ConstExpr<'_>) -> wasmparser::Result<()> {
        self.operators(expr.get_binary_reader()).map(drop)
    }

    fn payload(&mut self, payload: Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::TypeSection(section) => {
                self.items(section, |group| group.types().any(foreign::sub_type), "malformed type")?;
            }
            Payload::ImportSection(section) => {
                let start = section.range().start;
                for import in section.into_imports() {
                    self.known(foreign::import(import?.ty), start, "malformed import");
                }
            }
            Payload::FunctionSection(section) => self.items(section, |_| false, "")?,
            Payload::TableSection(section) => {
                for table in section.into_iter_with_offsets() {
                    let (offset, table) = table?;
                    self.known(foreign::table_type(table.ty), offset, "malformed table type");
                    if let TableInit::Expr(expr) = table.init {
                        self.constant(&expr)?;
                    }
                }
            }
            Payload::MemorySection(section) => {
                self.items(section, |ty| foreign::memory_type(*ty), "malformed limits flags")?;
            }
            Payload::TagSection(section) => self.items(section, |_| false, "")?,
            Payload::GlobalSection(section) => {
                for global in section.into_iter_with_offsets() {
                    let (offset, global) = global?;
                    self.known(foreign::global_type(global.ty), offset, "malformed global type");
                    self.constant(&global.init_expr)?;
                }
            }
            Payload::ExportSection(section) => {
                let exact = |export: &wasmparser::Export<'_>| export.kind == ExternalKind::FuncExact;
                self.items(section, exact, "malformed export kind")?;
            }
            Payload::ElementSection(section) => {
                for element in section.into_iter_with_offsets() {
                    let (offset, element) = element?;
                    if let ElementKind::Active { offset_expr, .. } = &element.kind {
                        self.constant(offset_expr)?;
                    }
                    match element.items {
                        ElementItems::Functions(section) => self.items(section, |_| false, "")?,
                        ElementItems::Expressions(ty, section) => {
                            self.known(foreign::ref_type(ty), offset, "malformed reference type");
                            for expr in section {
                                self.constant(&expr?)?;
                            }
                        }
                    }
                }
            }
            Payload::DataCountSection { .. } => self.data_count = true,
            Payload::DataSection(section) => {
                for data in section {
                    if let DataKind::Active { offset_expr, .. } = data?.kind {
                        self.constant(&offset_expr)?;
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                let start = body.range().start;
                for local in body.get_locals_reader()? {
                    let (_, ty) = local?;
                    self.known(foreign::val_type(ty), start, "malformed value type");
                }
                let names_data = self.operators(body.get_binary_reader_for_operators()?)?;
                self.known(names_data && !self.data_count, start, "data count section required");
            }
            Payload::UnknownSection { range, .. } => self.fault(range.start, "malformed section id"),
            Payload::Version { encoding: Encoding::Component, range, .. } => {
                self.fault(range.start, "unknown binary version: a component, not a module");
            }
            _ => {}
        }
        Ok(())
    }
}

/// Validates a well-formed module.
///
/// # Errors
/// `Invalid`, `Malformed`, `Limit`.
pub(crate) fn validate(wasm: &[u8], legacy_exceptions: bool) -> Result<(), Error> {
    validate_all(wasm, legacy_exceptions).map_err(|error| invalid(wasm, &error))
}

/// [`Validator::validate_all`], but for the types of groups of no locals, which need not be valid (spec: Binary Format /
/// Code Section: the group stands for so many locals).
fn validate_all(wasm: &[u8], legacy_exceptions: bool) -> wasmparser::Result<()> {
    let mut validator = Validator::new_with_features(features(legacy_exceptions));
    let mut functions = Vec::new();
    for payload in parser(legacy_exceptions).parse_all(wasm) {
        if let ValidPayload::Func(function, body) = validator.payload(&payload?)? {
            functions.push((function, body));
        }
    }
    let mut allocations = FuncValidatorAllocations::default();
    for (function, body) in functions {
        let mut validator = function.into_validator(allocations);
        let mut locals = body.get_locals_reader()?;
        for _ in 0..locals.get_count() {
            let offset = locals.original_position();
            let (count, ty) = locals.read()?;
            if count > 0 {
                validator.define_locals(offset, count, ty)?;
            }
        }
        let mut operators = body.get_binary_reader_for_operators()?;
        while !operators.eof() {
            operators.visit_operator(&mut validator.visitor(operators.original_position()))??;
        }
        operators.finish_expression(&validator.visitor(operators.original_position()))?;
        allocations = validator.into_allocations();
    }
    Ok(())
}

/// Reads a valid module.
///
/// # Errors
/// `Types` when the registry refuses, `Internal`.
pub(crate) fn module<'a>(
    wasm: &'a [u8],
    types: &Arc<TypeRegistry>,
    legacy_exceptions: bool,
) -> Result<Decoded<'a>, Error> {
    let mut decoded = Decoded {
        info: ModuleInfo::default(),
        defs: BTreeMap::new(),
        bodies: Vec::new(),
        exceptions: HashMap::new(),
    };
    for payload in parser(legacy_exceptions).parse_all(wasm) {
        decoded.payload(payload.map_err(unread)?, types)?;
    }
    Ok(decoded)
}

impl<'a> Decoded<'a> {
    fn payload(&mut self, payload: Payload<'a>, types: &Arc<TypeRegistry>) -> Result<(), Error> {
        let info = &mut self.info;
        match payload {
            Payload::TypeSection(section) => {
                for group in section {
                    self.rec_group(group.map_err(unread)?, types)?;
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    self.import(import.map_err(unread)?, types)?;
                }
            }
            Payload::FunctionSection(section) => {
                for index in section {
                    info.funcs.push(info.types[index.map_err(unread)? as usize]);
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    let table = table.map_err(unread)?;
                    info.tables.push(Convert::new(&info.types).table(&table.ty)?);
                    let init = match &table.init {
                        TableInit::RefNull => None,
                        TableInit::Expr(expr) => Some(const_expr(info, expr)?),
                    };
                    info.table_inits.push(init);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    let memory = Convert::new(&info.types).memory(&memory.map_err(unread)?);
                    info.memories.push(memory);
                }
            }
            Payload::TagSection(section) => {
                for tag in section {
                    let ty = self.info.types[tag.map_err(unread)?.func_type_idx as usize];
                    self.tag(ty, types)?;
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    let global = global.map_err(unread)?;
                    let init = const_expr(info, &global.init_expr)?;
                    info.globals.push(Convert::new(&info.types).global(&global.ty)?);
                    info.global_inits.push(init);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.map_err(unread)?;
                    let item = match export.kind {
                        ExternalKind::Func | ExternalKind::FuncExact => ExportItem::Func(export.index),
                        ExternalKind::Table => ExportItem::Table(export.index),
                        ExternalKind::Memory => ExportItem::Memory(export.index),
                        ExternalKind::Global => ExportItem::Global(export.index),
                        ExternalKind::Tag => ExportItem::Tag(export.index),
                    };
                    info.exports.push(Export { name: export.name.to_owned(), item });
                }
            }
            Payload::StartSection { func, .. } => info.start = Some(func),
            Payload::ElementSection(section) => {
                for element in section {
                    self.element(element.map_err(unread)?)?;
                }
            }
            Payload::DataSection(section) => {
                for data in section {
                    let data = data.map_err(unread)?;
                    let active = match &data.kind {
                        DataKind::Passive => None,
                        DataKind::Active { memory_index, offset_expr } => {
                            info.has_active_segments = true;
                            Some((*memory_index, const_expr(info, offset_expr)?))
                        }
                    };
                    info.data.push(DataSegment { bytes: data.data.into(), active });
                }
            }
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(section) = section.as_known() {
                    info.func_names = function_names(section);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn rec_group(&mut self, group: wasmparser::RecGroup, types: &Arc<TypeRegistry>) -> Result<(), Error> {
        let info = &mut self.info;
        let pending = group.types().len() as u32;
        let convert = Convert { types: &info.types, pending };
        let described = group.types().map(|ty| convert.sub_type(ty)).collect::<Result<Vec<_>, _>>()?;
        let group = types.register(&described)?;
        for id in group.ids() {
            let def =
                types.get(*id).ok_or_else(|| internal("a type that was just registered is not live"))?;
            self.defs.insert(*id, def);
        }
        info.types.extend_from_slice(group.ids());
        info.rec_groups.push(group);
        Ok(())
    }

    /// Adds a tag of function type `ty`, and the type of its exceptions.
    fn tag(&mut self, ty: TypeId, types: &Arc<TypeRegistry>) -> Result<(), Error> {
        let Some(CompositeType::Func(func)) = self.defs.get(&ty).map(|def| &def.composite) else {
            return Err(internal("a tag of no function type"));
        };
        let exception = match self.exceptions.get(&ty) {
            Some(exception) => *exception,
            None => {
                let group = types.register(&[SubType::exception(&func.params)])?;
                let exception = group.ids()[0];
                self.exceptions.insert(ty, exception);
                self.info.rec_groups.push(group);
                exception
            }
        };
        self.info.tags.push(ty);
        self.info.exceptions.push(exception);
        Ok(())
    }

    fn import(&mut self, import: wasmparser::Import<'_>, types: &Arc<TypeRegistry>) -> Result<(), Error> {
        let info = &mut self.info;
        let convert = Convert::new(&info.types);
        let ty = match import.ty {
            TypeRef::Func(index) | TypeRef::FuncExact(index) => ExternType::Func(info.types[index as usize]),
            TypeRef::Table(ty) => ExternType::Table(convert.table(&ty)?),
            TypeRef::Memory(ty) => ExternType::Memory(convert.memory(&ty)),
            TypeRef::Global(ty) => ExternType::Global(convert.global(&ty)?),
            TypeRef::Tag(ty) => ExternType::Tag(info.types[ty.func_type_idx as usize]),
        };
        match ty {
            ExternType::Func(ty) => {
                info.funcs.push(ty);
                info.imported_funcs += 1;
            }
            ExternType::Table(ty) => {
                info.tables.push(ty);
                info.imported_tables += 1;
            }
            ExternType::Memory(ty) => {
                info.memories.push(ty);
                info.imported_memories += 1;
            }
            ExternType::Global(ty) => {
                info.globals.push(ty);
                info.imported_globals += 1;
            }
            ExternType::Tag(ty) => {
                self.tag(ty, types)?;
                self.info.imported_tags += 1;
            }
        }
        self.info.imports.push(Import { module: import.module.to_owned(), name: import.name.to_owned(), ty });
        Ok(())
    }

    fn element(&mut self, element: wasmparser::Element<'_>) -> Result<(), Error> {
        let info = &mut self.info;
        let mode = match &element.kind {
            ElementKind::Passive => ElementMode::Passive,
            ElementKind::Declared => ElementMode::Declarative,
            ElementKind::Active { table_index, offset_expr } => {
                info.has_active_segments = true;
                ElementMode::Active(table_index.unwrap_or(0), const_expr(info, offset_expr)?)
            }
        };
        let (ty, items) = match element.items {
            ElementItems::Functions(section) => {
                let func = HeapType::Abstract(AbstractHeapType::Func);
                let items = section
                    .into_iter()
                    .map(|index| Ok(ConstExpr(vec![ConstOp::RefFunc(index.map_err(unread)?)])))
                    .collect::<Result<_, Error>>()?;
                (RefType { nullable: false, heap: func }, items)
            }
            ElementItems::Expressions(ty, section) => {
                let items = section
                    .into_iter()
                    .map(|expr| const_expr(info, &expr.map_err(unread)?))
                    .collect::<Result<_, Error>>()?;
                (Convert::new(&info.types).reference(ty)?, items)
            }
        };
        info.elements.push(ElementSegment { ty, items, mode });
        Ok(())
    }
}

fn const_expr(info: &ModuleInfo, expr: &wasmparser::ConstExpr<'_>) -> Result<ConstExpr, Error> {
    use Operator as O;
    let ty = |index: u32| info.types[index as usize];
    let mut ops = Vec::new();
    for op in expr.get_operators_reader() {
        ops.push(match op.map_err(unread)? {
            O::I32Const { value } => ConstOp::I32Const(value),
            O::I64Const { value } => ConstOp::I64Const(value),
            O::F32Const { value } => ConstOp::F32Const(value.bits()),
            O::F64Const { value } => ConstOp::F64Const(value.bits()),
            O::V128Const { value } => ConstOp::V128Const(u128::from_le_bytes(*value.bytes())),
            O::I32Add => ConstOp::I32Add,
            O::I32Sub => ConstOp::I32Sub,
            O::I32Mul => ConstOp::I32Mul,
            O::I64Add => ConstOp::I64Add,
            O::I64Sub => ConstOp::I64Sub,
            O::I64Mul => ConstOp::I64Mul,
            O::GlobalGet { global_index } => ConstOp::GlobalGet(global_index),
            O::RefNull { .. } => ConstOp::RefNull,
            O::RefFunc { function_index } => ConstOp::RefFunc(function_index),
            O::RefI31 => ConstOp::RefI31,
            O::StructNew { struct_type_index } => ConstOp::StructNew(ty(struct_type_index)),
            O::StructNewDefault { struct_type_index } => ConstOp::StructNewDefault(ty(struct_type_index)),
            O::ArrayNew { array_type_index } => ConstOp::ArrayNew(ty(array_type_index)),
            O::ArrayNewDefault { array_type_index } => ConstOp::ArrayNewDefault(ty(array_type_index)),
            O::ArrayNewFixed { array_type_index, array_size } => {
                ConstOp::ArrayNewFixed(ty(array_type_index), array_size)
            }
            O::AnyConvertExtern | O::ExternConvertAny => ConstOp::Convert,
            O::End => break,
            op => return Err(internal(&format!("not a constant instruction: {op:?}"))),
        });
    }
    Ok(ConstExpr(ops))
}

/// Names of functions; a malformed name section is no error, what can be read of it is taken.
fn function_names(section: NameSectionReader<'_>) -> Vec<(u32, String)> {
    let mut names = Vec::new();
    for subsection in section.into_iter().map_while(Result::ok) {
        if let Name::Function(map) = subsection {
            names
                .extend(map.into_iter().map_while(Result::ok).map(|name| (name.index, name.name.to_owned())));
        }
    }
    names.sort_by_key(|(index, _)| *index);
    names.dedup_by_key(|(index, _)| *index);
    names
}
