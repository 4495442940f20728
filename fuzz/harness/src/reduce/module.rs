//! Smaller modules: exports, bodies, and whole items. An item that something still refers to stays, since re-encoding a
//! reference to a dropped index fails; so the order below (exports, bodies, items) opens up the later ones.

use std::ops::Range;

use wasm_encoder::reencode::{Error as Reencoding, Reencode, RoundtripReencoder, utils};
use wasm_encoder::{CodeSection, HeapType, Instruction, Module, RawSection};
use wasmparser::{CodeSectionReader, FunctionBody, Parser, Payload, TypeRef, ValType};

use super::{Run, module_at, valid_modules, with_module};
use crate::Case;

/// Drops what modules do not need.
pub(super) fn shrink(run: &mut Run<'_>) {
    for step in valid_modules(&run.best) {
        if let Some(bare) = module_at(&run.best, step).and_then(|bytes| rebuild(bytes, false, None))
            && let Some(candidate) = with_module(&run.best, step, bare)
        {
            run.attempt(candidate);
        }
        if let Some(bare) = module_at(&run.best, step).and_then(|bytes| rebuild(bytes, true, None))
            && let Some(candidate) = with_module(&run.best, step, bare)
        {
            run.attempt(candidate);
        }
        items(run, step, Space::Export);
        bodies(run, step);
        for space in [
            Space::Element,
            Space::Data,
            Space::Function,
            Space::Global,
            Space::Table,
            Space::Memory,
            Space::Tag,
            Space::Function,
            Space::TypeGroup,
        ] {
            items(run, step, space);
        }
    }
}

/// The sections of a module as they are, but: custom sections dropped, the start section too if `no_start`, and other
/// bodies if given (one per body, without the size).
pub(super) fn rebuild(bytes: &[u8], no_start: bool, new_bodies: Option<&[Vec<u8>]>) -> Option<Vec<u8>> {
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.ok()?;
        match &payload {
            Payload::CustomSection(_) => continue,
            Payload::StartSection { .. } if no_start => continue,
            Payload::CodeSectionStart { .. } if new_bodies.is_some() => {
                let mut section = CodeSection::new();
                for body in new_bodies? {
                    section.raw(body);
                }
                module.section(&section);
                continue;
            }
            _ => {}
        }
        if let Some((id, range)) = payload.as_section() {
            let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
            module.section(&RawSection { id, data: bytes.get(range)? });
        }
    }
    Some(module.finish())
}

/// Function bodies, without their sizes.
pub(super) fn body_bytes(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::CodeSectionEntry(body) = payload.ok()? {
            bodies.push(body.as_bytes().to_vec());
        }
    }
    Some(bodies)
}

/// Replaces bodies by constants of the result types, where that is not what they are.
fn bodies(run: &mut Run<'_>, step: usize) {
    let count = |case: &Case| module_at(case, step).and_then(body_bytes).map_or(0, |bodies| bodies.len());
    run.drop_ranges(&count, &mut |case, range| {
        let bytes = module_at(case, step)?;
        let stubs = stubs(bytes)?;
        let mut bodies = body_bytes(bytes)?;
        for i in range {
            *bodies.get_mut(i)? = stubs.get(i)?.clone();
        }
        with_module(case, step, rebuild(bytes, false, Some(&bodies))?)
    });
}

/// For each defined function a body that returns zeros and nulls, or traps if it cannot.
fn stubs(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut results: Vec<Option<Vec<ValType>>> = Vec::new();
    let mut stubs = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.ok()? {
            Payload::TypeSection(section) => {
                for group in section {
                    results.extend(group.ok()?.into_types().map(|ty| match ty.composite_type.inner {
                        wasmparser::CompositeInnerType::Func(ty) => Some(ty.results().to_vec()),
                        _ => None,
                    }));
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    stubs.push(stub(results.get(ty.ok()? as usize)?.as_deref()?)?);
                }
            }
            _ => {}
        }
    }
    Some(stubs)
}

fn stub(results: &[ValType]) -> Option<Vec<u8>> {
    let mut body = wasm_encoder::Function::new([]);
    for ty in results {
        let instruction = match ty {
            ValType::I32 => Instruction::I32Const(0),
            ValType::I64 => Instruction::I64Const(0),
            ValType::F32 => Instruction::F32Const(0.0.into()),
            ValType::F64 => Instruction::F64Const(0.0.into()),
            ValType::V128 => Instruction::V128Const(0),
            ValType::Ref(ty) if ty.is_nullable() => {
                let heap: HeapType = RoundtripReencoder.heap_type(ty.heap_type()).ok()?;
                Instruction::RefNull(heap)
            }
            ValType::Ref(_) => Instruction::Unreachable,
        };
        body.instruction(&instruction);
    }
    body.instruction(&Instruction::End);
    Some(body.into_raw_body())
}

/// Index spaces of what can be dropped; exports and type groups by position in their section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Space {
    Export,
    TypeGroup,
    Function,
    Table,
    Memory,
    Global,
    Tag,
    Element,
    Data,
}

fn items(run: &mut Run<'_>, step: usize, space: Space) {
    let count = |case: &Case| module_at(case, step).and_then(|bytes| count_items(bytes, space)).unwrap_or(0);
    run.drop_ranges(&count, &mut |case, range| {
        with_module(case, step, without_items(module_at(case, step)?, space, range)?)
    });
}

fn count_items(bytes: &[u8], space: Space) -> Option<usize> {
    let mut count = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        let n = match (payload.ok()?, space) {
            (Payload::ExportSection(section), Space::Export) => section.count(),
            (Payload::TypeSection(section), Space::TypeGroup) => section.count(),
            (Payload::FunctionSection(section), Space::Function) => section.count(),
            (Payload::TableSection(section), Space::Table) => section.count(),
            (Payload::MemorySection(section), Space::Memory) => section.count(),
            (Payload::GlobalSection(section), Space::Global) => section.count(),
            (Payload::TagSection(section), Space::Tag) => section.count(),
            (Payload::ElementSection(section), Space::Element) => section.count(),
            (Payload::DataSection(section), Space::Data) => section.count(),
            (Payload::ImportSection(section), _) => {
                let mut n = 0;
                for import in section.into_imports() {
                    n += u32::from(import_space(&import.ok()?.ty) == space);
                }
                n
            }
            _ => 0,
        };
        count += n as usize;
    }
    Some(count)
}

fn import_space(ty: &TypeRef) -> Space {
    match ty {
        TypeRef::Func(_) | TypeRef::FuncExact(_) => Space::Function,
        TypeRef::Table(_) => Space::Table,
        TypeRef::Memory(_) => Space::Memory,
        TypeRef::Global(_) => Space::Global,
        TypeRef::Tag(_) => Space::Tag,
    }
}

/// The module without those items; `None` if something refers to one of them.
fn without_items(bytes: &[u8], space: Space, range: Range<usize>) -> Option<Vec<u8>> {
    let range = u32::try_from(range.start).ok()?..u32::try_from(range.end).ok()?;
    let types = if space == Space::TypeGroup { types_of_groups(bytes, &range)? } else { 0..0 };
    let mut dropper = Dropper { space, range, types, seen: [0; 5] };
    let mut module = Module::new();
    dropper.parse_core_module(&mut module, Parser::new(0), bytes).ok()?;
    Some(module.finish())
}

/// The type indices of groups.
fn types_of_groups(bytes: &[u8], groups: &Range<u32>) -> Option<Range<u32>> {
    let mut types = 0..0;
    let mut next = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::TypeSection(section) = payload.ok()? {
            for (i, group) in (0u32..).zip(section) {
                if i == groups.start {
                    types.start = next;
                }
                next += u32::try_from(group.ok()?.into_types().count()).ok()?;
                if i + 1 == groups.end {
                    types.end = next;
                }
            }
        }
    }
    Some(types)
}

/// Something refers to a dropped item.
#[derive(Debug)]
struct Gone;

/// Re-encodes a module without a range of items of one space, renumbering the rest.
struct Dropper {
    space: Space,
    range: Range<u32>,
    /// Type indices, when type groups are dropped.
    types: Range<u32>,
    /// Functions, tables, memories, globals, tags met so far, imported ones included.
    seen: [u32; 5],
}

impl Dropper {
    fn index(&self, space: Space, index: u32) -> Result<u32, Reencoding<Gone>> {
        if self.space == space { renumbered(&self.range, index) } else { Ok(index) }
    }

    /// Counts an item of a space with imports; whether it stays.
    fn meets(&mut self, space: Space) -> bool {
        let place = match space {
            Space::Function => 0,
            Space::Table => 1,
            Space::Memory => 2,
            Space::Global => 3,
            _ => 4,
        };
        let index = self.seen[place];
        self.seen[place] += 1;
        self.space != space || !self.range.contains(&index)
    }

    /// Whether item `index` of a space without imports stays.
    fn stays(&self, space: Space, index: u32) -> bool {
        self.space != space || !self.range.contains(&index)
    }
}

fn renumbered(dropped: &Range<u32>, index: u32) -> Result<u32, Reencoding<Gone>> {
    if dropped.contains(&index) {
        return Err(Reencoding::UserError(Gone));
    }
    Ok(if index >= dropped.end { index - (dropped.end - dropped.start) } else { index })
}

impl Reencode for Dropper {
    type Error = Gone;

    fn function_index(&mut self, index: u32) -> Result<u32, Reencoding<Gone>> {
        self.index(Space::Function, index)
    }
    fn table_index(&mut self, index: u32) -> Result<u32, Reencoding<Gone>> {
        self.index(Space::Table, index)
    }
    fn memory_index(&mut self, index: u32) -> Result<u32, Reencoding<Gone>> {
        self.index(Space::Memory, index)
    }
    fn global_index(&mut self, index: u32) -> Result<u32, Reencoding<Gone>> {
        self.index(Space::Global, index)
    }
    fn tag_index(&mut self, index: u32) -> Result<u32, Reencoding<Gone>> {
        self.index(Space::Tag, index)
    }
    fn element_index(&mut self, index: u32) -> Result<u32, Reencoding<Gone>> {
        self.index(Space::Element, index)
    }
    fn data_index(&mut self, index: u32) -> Result<u32, Reencoding<Gone>> {
        self.index(Space::Data, index)
    }
    fn type_index(&mut self, index: u32) -> Result<u32, Reencoding<Gone>> {
        renumbered(&self.types, index)
    }

    fn data_count(&mut self, count: u32) -> Result<u32, Reencoding<Gone>> {
        let dropped = if self.space == Space::Data { self.range.end - self.range.start } else { 0 };
        Ok(count.saturating_sub(dropped))
    }

    fn parse_type_section(
        &mut self,
        types: &mut wasm_encoder::TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Result<(), Reencoding<Gone>> {
        for (i, group) in (0..).zip(section) {
            let group = group?;
            if self.stays(Space::TypeGroup, i) {
                self.parse_recursive_type_group(types.ty(), group)?;
            }
        }
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut wasm_encoder::ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Result<(), Reencoding<Gone>> {
        for import in section.into_imports() {
            let import = import?;
            if self.meets(import_space(&import.ty)) {
                self.parse_import(imports, import)?;
            }
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut wasm_encoder::FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result<(), Reencoding<Gone>> {
        for ty in section {
            let ty = ty?;
            if self.meets(Space::Function) {
                functions.function(self.type_index(ty)?);
            }
        }
        Ok(())
    }

    fn parse_table_section(
        &mut self,
        tables: &mut wasm_encoder::TableSection,
        section: wasmparser::TableSectionReader<'_>,
    ) -> Result<(), Reencoding<Gone>> {
        for table in section {
            let table = table?;
            if self.meets(Space::Table) {
                self.parse_table(tables, table)?;
            }
        }
        Ok(())
    }

    fn parse_memory_section(
        &mut self,
        memories: &mut wasm_encoder::MemorySection,
        section: wasmparser::MemorySectionReader<'_>,
    ) -> Result<(), Reencoding<Gone>> {
        for memory in section {
            let memory = memory?;
            if self.meets(Space::Memory) {
                memories.memory(self.memory_type(memory)?);
            }
        }
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut wasm_encoder::GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Result<(), Reencoding<Gone>> {
        for global in section {
            let global = global?;
            if self.meets(Space::Global) {
                self.parse_global(globals, global)?;
            }
        }
        Ok(())
    }

    fn parse_tag_section(
        &mut self,
        tags: &mut wasm_encoder::TagSection,
        section: wasmparser::TagSectionReader<'_>,
    ) -> Result<(), Reencoding<Gone>> {
        for tag in section {
            let tag = tag?;
            if self.meets(Space::Tag) {
                tags.tag(self.tag_type(tag)?);
            }
        }
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut wasm_encoder::ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> Result<(), Reencoding<Gone>> {
        for (i, export) in (0..).zip(section) {
            let export = export?;
            if self.stays(Space::Export, i) {
                self.parse_export(exports, export)?;
            }
        }
        Ok(())
    }

    fn parse_element_section(
        &mut self,
        elements: &mut wasm_encoder::ElementSection,
        section: wasmparser::ElementSectionReader<'_>,
    ) -> Result<(), Reencoding<Gone>> {
        for (i, element) in (0..).zip(section) {
            let element = element?;
            if self.stays(Space::Element, i) {
                self.parse_element(elements, element)?;
            }
        }
        Ok(())
    }

    fn parse_data_section(
        &mut self,
        data: &mut wasm_encoder::DataSection,
        section: wasmparser::DataSectionReader<'_>,
    ) -> Result<(), Reencoding<Gone>> {
        for (i, datum) in (0..).zip(section) {
            let datum = datum?;
            if self.stays(Space::Data, i) {
                self.parse_data(data, datum)?;
            }
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Reencoding<Gone>> {
        // The bodies are those of the last functions; imported ones come first.
        let first = self.seen[0] - section.count();
        for (i, body) in (first..).zip(section) {
            let body: FunctionBody<'_> = body?;
            if self.stays(Space::Function, i) {
                utils::parse_function_body(self, code, body)?;
            }
        }
        Ok(())
    }

    fn parse_custom_section(
        &mut self,
        _: &mut Module,
        _: wasmparser::CustomSectionReader<'_>,
    ) -> Result<(), Reencoding<Gone>> {
        Ok(())
    }
}

/// Exports that steps of the script name; for tests.
#[cfg(test)]
pub(super) fn export_names(bytes: &[u8]) -> std::collections::HashSet<String> {
    let mut names = std::collections::HashSet::new();
    for payload in Parser::new(0).parse_all(bytes) {
        if let Ok(Payload::ExportSection(section)) = payload {
            names.extend(section.into_iter().flatten().map(|export| export.name.to_owned()));
        }
    }
    names
}
