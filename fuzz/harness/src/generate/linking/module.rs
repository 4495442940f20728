//! A module under construction: what it imports, defines and exports, each thing in a role that programs know.

use std::borrow::Cow;

use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ElementSection, Elements, EntityType, ExportKind, ExportSection,
    FunctionSection, GlobalSection, GlobalType, ImportSection, MemorySection, MemoryType, RefType, Section,
    StartSection, TableSection, TableType, TagKind, TagSection, TagType, ValType,
};

use super::body::Body;
use super::view::View;
use super::world::World;
use crate::generate::choices::Choices;

/// Functions of module `assay` that each module imports, in index order, with their types.
const HOST: [(&str, &[ValType], &[ValType]); 8] = [
    ("gc", &[], &[]),
    ("log_i32", &[ValType::I32], &[]),
    ("log_ref", &[ValType::Ref(RefType::ANYREF)], &[]),
    ("keep", &[ValType::Ref(RefType::ANYREF)], &[]),
    ("kept", &[ValType::I32], &[ValType::Ref(RefType::ANYREF)]),
    ("host", &[ValType::I32], &[ValType::Ref(RefType::EXTERNREF)]),
    ("wait", &[ValType::Ref(RefType::ANYREF)], &[ValType::Ref(RefType::ANYREF)]),
    ("call", &[ValType::Ref(RefType::FUNCREF)], &[]),
];
pub(super) const GC: u32 = 0;
pub(super) const LOG_I32: u32 = 1;
pub(super) const LOG_REF: u32 = 2;
pub(super) const KEEP: u32 = 3;
pub(super) const KEPT: u32 = 4;
pub(super) const HOST_VALUE: u32 = 5;
pub(super) const WAIT: u32 = 6;
pub(super) const CALL: u32 = 7;

/// What a thing is for. Things of one role are used alike, whoever defined them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Mutable i32: calls of callbacks that are left.
    Budget,
    /// Mutable i32: collections that programs have asked for.
    Epoch,
    /// Mutable global, the head of a list.
    Head,
    /// Mutable global of anything.
    Anything,
    /// Immutable global, an object of a constant expression.
    Root,
    /// Mutable global, a callback.
    Held,
    /// Table of objects.
    Objects,
    /// Table of functions.
    Functions,
    Memory,
    /// Tag of a node and a number.
    Tag,
    /// `(i32) -> (ref $chain)`.
    Maker,
    /// Callback.
    Callback,
    /// `(ref null $node) -> (ref null $node)`: gives its argument back after others have run.
    Relay,
    /// `(i32) -> ()`: throws.
    Thrower,
    /// `() -> ()`: changes what is shared.
    Notify,
}

impl Role {
    pub(super) const ALL: [Role; 15] = [
        Role::Budget,
        Role::Epoch,
        Role::Head,
        Role::Anything,
        Role::Root,
        Role::Held,
        Role::Objects,
        Role::Functions,
        Role::Memory,
        Role::Tag,
        Role::Maker,
        Role::Callback,
        Role::Relay,
        Role::Thrower,
        Role::Notify,
    ];
}

/// The type of something that can be imported, by common indices.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Entity {
    /// A function of a common type.
    Typed(u32),
    /// A function of a final type of its own group.
    Function(Vec<ValType>, Vec<ValType>),
    Global {
        ty: ValType,
        mutable: bool,
    },
    Table {
        element: RefType,
        min: u32,
        max: u32,
    },
    Memory {
        min: u32,
        max: u32,
    },
    /// Of a function type without results.
    Tag(Vec<ValType>),
}

/// Something of a module.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) role: Role,
    pub(super) index: u32,
    pub(super) entity: Entity,
    /// Name under which it is exported.
    pub(super) export: Option<String>,
}

/// Index spaces: functions, tables, memories, globals, tags.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    functions: u32,
    tables: u32,
    memories: u32,
    globals: u32,
    tags: u32,
}

/// The module.
#[derive(Default)]
pub(super) struct Module {
    pub(super) number: usize,
    pub(super) view: View,
    pub(super) items: Vec<Item>,
    /// Exported functions that the script calls.
    pub(super) entries: Vec<String>,
    /// Elements of the passive segment of nodes, if there is one; it is segment 0.
    pub(super) segment: Option<u32>,
    pub(super) start: Option<u32>,
    counts: Counts,
    imports: ImportSection,
    functions: FunctionSection,
    code: CodeSection,
    tables: TableSection,
    memories: MemorySection,
    tags: TagSection,
    globals: GlobalSection,
    exports: ExportSection,
    elements: ElementSection,
    data: DataSection,
    /// Functions that `ref.func` names.
    referenced: Vec<u32>,
}

impl Module {
    /// A module with its types and the host's functions.
    pub(super) fn new(c: &mut Choices<'_, '_>, world: &World, number: usize) -> Module {
        let mut module = Module { number, view: View::new(c, world), ..Module::default() };
        for (name, params, results) in HOST {
            let ty = module.view.function(c, params, results);
            module.imports.import("assay", name, EntityType::Function(ty));
            module.counts.functions += 1;
        }
        module
    }

    /// Imports something under a type that it matches, or must not match. All imports come before the first definition.
    pub(super) fn import(&mut self, c: &mut Choices<'_, '_>, from: (&str, &str), entity: &Entity) -> u32 {
        let ty = self.entity(c, entity);
        self.imports.import(from.0, from.1, ty);
        self.next(entity)
    }

    /// The index of the next thing of the entity's kind, which it takes.
    fn next(&mut self, entity: &Entity) -> u32 {
        let counts = &mut self.counts;
        let next = match entity {
            Entity::Typed(_) | Entity::Function(..) => &mut counts.functions,
            Entity::Global { .. } => &mut counts.globals,
            Entity::Table { .. } => &mut counts.tables,
            Entity::Memory { .. } => &mut counts.memories,
            Entity::Tag(_) => &mut counts.tags,
        };
        *next += 1;
        *next - 1
    }

    fn entity(&mut self, c: &mut Choices<'_, '_>, entity: &Entity) -> EntityType {
        match entity {
            Entity::Typed(ty) => EntityType::Function(self.view.index(c, *ty)),
            Entity::Function(params, results) => EntityType::Function(self.view.function(c, params, results)),
            Entity::Global { ty, mutable } => EntityType::Global(GlobalType {
                val_type: self.view.value(c, *ty),
                mutable: *mutable,
                shared: false,
            }),
            Entity::Table { element, min, max } => EntityType::Table(TableType {
                element_type: self.view.reference(c, *element),
                table64: false,
                minimum: u64::from(*min),
                maximum: Some(u64::from(*max)),
                shared: false,
            }),
            Entity::Memory { min, max } => EntityType::Memory(MemoryType {
                minimum: u64::from(*min),
                maximum: Some(u64::from(*max)),
                memory64: false,
                shared: false,
                page_size_log2: None,
            }),
            Entity::Tag(payload) => EntityType::Tag(TagType {
                kind: TagKind::Exception,
                func_type_idx: self.view.function(c, payload, &[]),
            }),
        }
    }

    /// Defines anything but a function; `init` is a global's initial value.
    pub(super) fn define(&mut self, c: &mut Choices<'_, '_>, entity: &Entity, init: Vec<u8>) -> u32 {
        match self.entity(c, entity) {
            EntityType::Global(ty) => {
                self.globals.global(ty, &ConstExpr::raw(init));
            }
            EntityType::Table(ty) => {
                self.tables.table(ty);
            }
            EntityType::Memory(ty) => {
                self.memories.memory(ty);
            }
            EntityType::Tag(ty) => {
                self.tags.tag(ty);
            }
            EntityType::Function(_) | EntityType::FunctionExact(_) => {
                unreachable!("functions are defined by bodies")
            }
        }
        self.next(entity)
    }

    /// Defines a function of a type of the module.
    pub(super) fn function(&mut self, ty: u32, body: &Body) -> u32 {
        self.functions.function(ty);
        self.code.function(&body.encode());
        self.counts.functions += 1;
        self.counts.functions - 1
    }

    pub(super) fn export(&mut self, name: &str, entity: &Entity, index: u32) {
        let kind = match entity {
            Entity::Typed(_) | Entity::Function(..) => ExportKind::Func,
            Entity::Global { .. } => ExportKind::Global,
            Entity::Table { .. } => ExportKind::Table,
            Entity::Memory { .. } => ExportKind::Memory,
            Entity::Tag(_) => ExportKind::Tag,
        };
        self.exports.export(name, kind, index);
    }

    /// Notes that `ref.func` names a function.
    pub(super) fn refer(&mut self, function: u32) {
        if !self.referenced.contains(&function) {
            self.referenced.push(function);
        }
    }

    /// An element segment of functions, active at an offset of a table.
    pub(super) fn functions_at(&mut self, table: u32, offset: u32, functions: &[u32]) {
        let at = ConstExpr::i32_const(offset as i32);
        self.elements.active(Some(table), &at, Elements::Functions(Cow::Borrowed(functions)));
    }

    /// One of expressions; passive without a place.
    pub(super) fn objects_at(&mut self, place: Option<(u32, u32)>, ty: RefType, items: &[Vec<u8>]) {
        let items: Vec<ConstExpr> = items.iter().map(|code| ConstExpr::raw(code.iter().copied())).collect();
        let items = Elements::Expressions(ty, Cow::Borrowed(&items));
        match place {
            Some((table, offset)) => {
                self.elements.active(Some(table), &ConstExpr::i32_const(offset as i32), items)
            }
            None => self.elements.passive(items),
        };
    }

    /// An active data segment.
    pub(super) fn data_at(&mut self, memory: u32, offset: i32, bytes: &[u8]) {
        self.data.active(memory, &ConstExpr::i32_const(offset), bytes.iter().copied());
    }

    /// Items of a role.
    pub(super) fn of(&self, role: Role) -> Vec<Item> {
        self.items.iter().filter(|item| item.role == role).cloned().collect()
    }

    /// The module's bytes, without empty sections, so that its text gives the same bytes again.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut elements = self.elements.clone();
        if !self.referenced.is_empty() {
            elements.declared(Elements::Functions(Cow::Borrowed(&self.referenced)));
        }
        let mut module = wasm_encoder::Module::new();
        module.section(&self.view.section());
        module.section(&self.imports);
        section(&mut module, self.functions.is_empty(), &self.functions);
        section(&mut module, self.tables.is_empty(), &self.tables);
        section(&mut module, self.memories.is_empty(), &self.memories);
        section(&mut module, self.tags.is_empty(), &self.tags);
        section(&mut module, self.globals.is_empty(), &self.globals);
        section(&mut module, self.exports.is_empty(), &self.exports);
        if let Some(function_index) = self.start {
            module.section(&StartSection { function_index });
        }
        section(&mut module, elements.is_empty(), &elements);
        section(&mut module, self.code.is_empty(), &self.code);
        section(&mut module, self.data.is_empty(), &self.data);
        module.finish()
    }
}

/// Adds a section that is not empty.
fn section(module: &mut wasm_encoder::Module, empty: bool, section: &impl Section) {
    if !empty {
        module.section(section);
    }
}
