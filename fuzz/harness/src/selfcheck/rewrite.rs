//! A module with its additions, as bytes: its own sections again, function indices mapped, imports of the harness gone.
//!
//! Custom sections are dropped: their indices would no longer hold.

use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{
    CodeSection, DataCountSection, DataSection, ElementSection, ExportKind, ExportSection, FunctionSection,
    GlobalSection, ImportSection, Instruction, MemorySection, StartSection, TableSection, TagSection,
    TypeSection,
};
use wasmparser::{ExternalKind, FunctionBody, Parser, Payload, TypeRef};

use super::additions::Additions;
use super::calls::{self, Call};
use super::digest::Digest;
use super::error::LeftOut;
use super::floats::{Canonical, Floats};
use super::imports;
use super::module::Module;

/// What a module is rewritten for.
pub(super) struct Wanted<'w> {
    /// Names under which the case registers instances.
    pub(super) linked: &'w [&'w str],
    /// Exports to add.
    pub(super) calls: &'w [(String, Call)],
    /// Dead arrays that each collection of the program becomes.
    pub(super) garbage: u32,
    /// Whether exceptions may leave functions.
    pub(super) throws: bool,
}

/// The module rewritten, and for each export that was wanted whether there is one.
pub(super) fn rewrite(module: &Module<'_>, wanted: &Wanted<'_>) -> Result<(Vec<u8>, Vec<bool>), LeftOut> {
    let replaced = imports::replaced(module, wanted.linked)?;
    let floats = Floats::of(module.bytes).map_err(|_| LeftOut::InvalidModule)?;
    if floats.relaxed {
        return Err(LeftOut::RelaxedVectors);
    }
    let indices: Vec<u32> = replaced.iter().map(|(index, _)| *index).collect();
    let mut add = Additions::new(module, &indices);
    let canonical = Canonical::add(&mut add, floats);
    let digest = Digest::add(&mut add);
    for replacement in replaced {
        imports::define(&mut add, &digest, replacement, wanted.garbage);
    }
    let mut exports = Vec::new();
    let mut made = Vec::new();
    for (name, call) in wanted.calls {
        let function = match call {
            Call::Invoke { field, made } => module
                .export(field, ExternalKind::Func)
                .and_then(|index| calls::invoke(&mut add, &digest, index, made, wanted.throws)),
            Call::Repeat { field, made } => module
                .export(field, ExternalKind::Func)
                .and_then(|index| calls::repeat(&mut add, index, made, wanted.throws, wanted.garbage)),
            Call::Get { field } => module
                .export(field, ExternalKind::Global)
                .and_then(|index| calls::get(&mut add, &digest, index)),
            Call::State => Some(calls::state(&mut add, &digest)),
            Call::Collect => Some(calls::collect(&mut add, wanted.garbage)),
        };
        made.push(function.is_some());
        exports.extend(function.map(|function| (name.as_str(), function)));
    }
    let mut rewriting = Rewriting { add: &add, canonical, replaced: &indices };
    let bytes = rewriting.module(&exports).map_err(|_| LeftOut::InvalidModule)?;
    Ok((bytes, made))
}

struct Rewriting<'a, 'm> {
    add: &'a Additions<'m>,
    canonical: Canonical,
    replaced: &'a [u32],
}

impl Reencode for Rewriting<'_, '_> {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error> {
        // Valid modules have no other indices.
        Ok(self.add.function_map.get(function as usize).copied().unwrap_or(function))
    }

    fn parse_function_body(&mut self, code: &mut CodeSection, body: FunctionBody<'_>) -> Result<(), Error> {
        let mut function = self.new_function_with_parsed_locals(&body)?;
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            let op = reader.read()?;
            let behind = self.canonical.behind(&op);
            function.instruction(&self.instruction(op)?);
            if let Some(canonical) = behind {
                function.instruction(&Instruction::Call(canonical));
            }
        }
        code.function(&function);
        Ok(())
    }
}

impl Rewriting<'_, '_> {
    fn module(&mut self, added: &[(&str, u32)]) -> Result<Vec<u8>, Error> {
        let mut types = TypeSection::new();
        let mut imports = ImportSection::new();
        let mut functions = FunctionSection::new();
        let mut tables = TableSection::new();
        let mut memories = MemorySection::new();
        let mut tags = TagSection::new();
        let mut globals = GlobalSection::new();
        let mut exports = ExportSection::new();
        let mut start = None;
        let mut elements = ElementSection::new();
        let mut data_count = None;
        let mut code = CodeSection::new();
        let mut data = DataSection::new();
        for payload in Parser::new(0).parse_all(self.add.module.bytes) {
            match payload? {
                Payload::TypeSection(section) => self.parse_type_section(&mut types, section)?,
                Payload::ImportSection(section) => {
                    let mut function = 0;
                    for import in section.into_imports() {
                        let import = import?;
                        let is_function = matches!(import.ty, TypeRef::Func(_) | TypeRef::FuncExact(_));
                        if !(is_function && self.replaced.contains(&function)) {
                            self.parse_import(&mut imports, import)?;
                        }
                        function += u32::from(is_function);
                    }
                }
                Payload::FunctionSection(section) => self.parse_function_section(&mut functions, section)?,
                Payload::TableSection(section) => self.parse_table_section(&mut tables, section)?,
                Payload::MemorySection(section) => self.parse_memory_section(&mut memories, section)?,
                Payload::TagSection(section) => self.parse_tag_section(&mut tags, section)?,
                Payload::GlobalSection(section) => self.parse_global_section(&mut globals, section)?,
                Payload::ExportSection(section) => self.parse_export_section(&mut exports, section)?,
                Payload::StartSection { func, .. } => {
                    start = Some(StartSection { function_index: self.function_index(func)? });
                }
                Payload::ElementSection(section) => self.parse_element_section(&mut elements, section)?,
                Payload::DataCountSection { count, .. } => data_count = Some(DataCountSection { count }),
                Payload::CodeSectionEntry(body) => self.parse_function_body(&mut code, body)?,
                Payload::DataSection(section) => self.parse_data_section(&mut data, section)?,
                _ => {}
            }
        }
        self.add.add_types(&mut types);
        self.add.add_functions(&mut functions);
        self.add.add_tables(&mut tables);
        self.add.add_globals(&mut globals);
        for (name, function) in added {
            exports.export(name, ExportKind::Func, *function);
        }
        self.add.add_code(&mut code);
        let mut module = wasm_encoder::Module::new();
        module.section(&types);
        if !imports.is_empty() {
            module.section(&imports);
        }
        module.section(&functions).section(&tables);
        if !memories.is_empty() {
            module.section(&memories);
        }
        if !tags.is_empty() {
            module.section(&tags);
        }
        module.section(&globals).section(&exports);
        if let Some(start) = start {
            module.section(&start);
        }
        if !elements.is_empty() {
            module.section(&elements);
        }
        if let Some(count) = data_count {
            module.section(&count);
        }
        module.section(&code);
        if !data.is_empty() {
            module.section(&data);
        }
        Ok(module.finish())
    }
}
