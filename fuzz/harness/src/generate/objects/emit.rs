//! From the finished program to the bytes of a module.

use std::borrow::Cow;

use wasm_encoder::{
    ArrayType, CodeSection, CompositeInnerType, CompositeType, ConstExpr, DataCountSection, DataSection,
    ElementSection, Elements, EntityType, ExportKind, ExportSection, FuncType, Function, FunctionSection,
    GlobalSection, GlobalType, ImportSection, MemorySection, MemoryType, Module, StructType, SubType,
    TableSection, TableType, TagKind, TagSection, TagType, TypeSection,
};

use super::program::{Constant, IMPORTS, Items, Program, import_type};
use super::types::{Shape, TypeDef};

/// Pages of memory 0: at first, and at most.
pub(super) const MEMORY_PAGES: (u64, u64) = (1, 3);

/// Encodes the program.
pub(super) fn encode(program: &mut Program) -> Vec<u8> {
    let imports: Vec<u32> = IMPORTS
        .iter()
        .map(|name| {
            let (params, results) = import_type(name);
            program.types.function(&params, &results)
        })
        .collect();
    let payload = program.payload.clone();
    let tag = program.types.function(&payload, &[]);
    let mut module = Module::new();
    module.section(&types(program));
    let mut section = ImportSection::new();
    for (name, ty) in IMPORTS.iter().zip(imports) {
        section.import("assay", name, EntityType::Function(ty));
    }
    module.section(&section);
    let mut section = FunctionSection::new();
    for function in &program.functions {
        section.function(function.ty);
    }
    module.section(&section);
    module.section(&tables(program));
    if program.memory {
        let mut section = MemorySection::new();
        section.memory(MemoryType {
            minimum: MEMORY_PAGES.0,
            maximum: Some(MEMORY_PAGES.1),
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        module.section(&section);
    }
    if !program.throwers.is_empty() {
        let mut section = TagSection::new();
        section.tag(TagType { kind: TagKind::Exception, func_type_idx: tag });
        module.section(&section);
    }
    let mut section = GlobalSection::new();
    for global in &program.globals {
        let ty = GlobalType { val_type: global.ty, mutable: global.mutable, shared: false };
        section.global(ty, &constant(&global.init));
    }
    module.section(&section);
    module.section(&exports(program));
    module.section(&elements(program));
    module.section(&DataCountSection { count: program.data.len() as u32 });
    module.section(&code(program));
    let mut section = DataSection::new();
    for data in &program.data {
        match data.active {
            Some(offset) => section.active(0, &ConstExpr::i32_const(offset as i32), data.bytes.clone()),
            None => section.passive(data.bytes.clone()),
        };
    }
    module.section(&section);
    module.finish()
}

fn constant(bytes: &Constant) -> ConstExpr {
    ConstExpr::raw(bytes.iter().copied())
}

fn types(program: &Program) -> TypeSection {
    let mut section = TypeSection::new();
    let mut next = 0;
    for &len in &program.types.groups {
        let group: Vec<SubType> = program.types.defs[next..next + len].iter().map(subtype).collect();
        next += len;
        match <[SubType; 1]>::try_from(group) {
            Ok([single]) => section.ty().subtype(&single),
            Err(group) => section.ty().rec(group),
        }
    }
    section
}

fn subtype(def: &TypeDef) -> SubType {
    let inner = match &def.shape {
        Shape::Struct(fields) => {
            CompositeInnerType::Struct(StructType { fields: fields.clone().into_boxed_slice() })
        }
        Shape::Array(element) => CompositeInnerType::Array(ArrayType(*element)),
        Shape::Func(params, results) => {
            CompositeInnerType::Func(FuncType::new(params.iter().copied(), results.iter().copied()))
        }
    };
    SubType {
        is_final: def.is_final,
        supertype_idxs: def.supertype.into_iter().collect(),
        composite_type: CompositeType { inner, shared: false, descriptor: None, describes: None },
    }
}

fn tables(program: &Program) -> TableSection {
    let mut section = TableSection::new();
    for table in &program.tables {
        let ty = TableType {
            element_type: table.ty,
            table64: false,
            minimum: u64::from(table.min),
            maximum: Some(u64::from(table.max)),
            shared: false,
        };
        match &table.init {
            Some(init) => section.table_with_init(ty, &constant(init)),
            None => section.table(ty),
        };
    }
    section
}

fn exports(program: &Program) -> ExportSection {
    let mut section = ExportSection::new();
    for entry in &program.entries {
        section.export(&entry.name, ExportKind::Func, entry.function);
    }
    for (index, global) in program.globals.iter().enumerate() {
        if global.exported {
            section.export(&format!("g{index}"), ExportKind::Global, index as u32);
        }
    }
    for index in 0..program.tables.len() {
        section.export(&format!("t{index}"), ExportKind::Table, index as u32);
    }
    if program.memory {
        section.export("m0", ExportKind::Memory, 0);
    }
    section
}

fn elements(program: &Program) -> ElementSection {
    let mut section = ElementSection::new();
    for element in &program.elements {
        let expressions: Vec<ConstExpr>;
        let items = match &element.items {
            Items::Functions(functions) => Elements::Functions(Cow::Borrowed(functions)),
            Items::Expressions(ty, items) => {
                expressions = items.iter().map(constant).collect();
                Elements::Expressions(*ty, Cow::Borrowed(&expressions))
            }
        };
        match element.active {
            Some((table, offset)) => section.active(Some(table), &ConstExpr::i32_const(offset as i32), items),
            None => section.passive(items),
        };
    }
    section
}

fn code(program: &Program) -> CodeSection {
    let mut section = CodeSection::new();
    for function in &program.functions {
        let Some(body) = &function.body else { continue };
        let locals = body.locals[body.params..].iter().map(|local| local.ty);
        let mut encoded = Function::new_with_locals_types(locals);
        encoded.raw(body.code.iter().copied());
        encoded.instructions().end();
        section.function(&encoded);
    }
    section
}
