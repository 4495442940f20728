//! Instantiation (spec "Modules", "Instantiation") and what an instance exports.
//!
//! The order is the specification's: imports are checked, then globals, tables and segments are evaluated, then
//! active segments are written, then the start function runs. A trap on the way leaves earlier effects in place; the
//! half-made instance stays in the store, since tables may refer to its functions.

use std::sync::Arc;

use assay_gc::GcRef;
use assay_jit::TrapCode;
use assay_jit::module::{ElementMode, ExportItem};
use assay_jit::vmctx::{FuncEntry, ImportedFunc, MemoryDef, TableDef, VmCtx};

use crate::externs::check;
use crate::link::check_import;
use crate::pinned::Pinned;
use crate::store::{State, StoreInner};
use crate::value::is_traced;
use crate::{Error, Extern, Func, Global, Memory, Module, Table, Tag, Usage};

/// An instance of a store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Instance {
    store: u64,
    index: u32,
}

/// An element segment at run time; dropped = empty.
#[derive(Debug)]
pub(crate) struct ElementData {
    /// Reference words, or func ids.
    pub(crate) items: Vec<GcRef>,
    pub(crate) traced: bool,
}

/// What a store keeps of an instance. The pointers of the context lead into the fields beside it.
pub(crate) struct InstanceData {
    pub(crate) module: Module,
    _vmctx: Pinned<VmCtx>,
    _memory_defs: Pinned<[*mut MemoryDef]>,
    _table_defs: Pinned<[*mut TableDef]>,
    _global_cells: Pinned<[*mut u8]>,
    _imported: Pinned<[ImportedFunc]>,
    func_ids: Pinned<[u32]>,
    /// Numbers in the store, by index in the module.
    pub(crate) memories: Box<[u32]>,
    pub(crate) tables: Box<[u32]>,
    pub(crate) globals: Box<[u32]>,
    tags: Pinned<[u32]>,
    pub(crate) data: Vec<Arc<[u8]>>,
    pub(crate) elements: Vec<ElementData>,
}

impl InstanceData {
    /// Func id of function `index`.
    pub(crate) fn func_id(&self, index: u32) -> Option<u32> {
        // SAFETY: written once, before the instance was published.
        let ids = unsafe { &*self.func_ids.as_ptr() };
        ids.get(index as usize).copied()
    }

    /// Index of the tag that has this number in the store.
    pub(crate) fn index_of_tag(&self, number: u32) -> Option<u32> {
        // SAFETY: written once, before the instance was published.
        let tags = unsafe { &*self.tags.as_ptr() };
        tags.iter().position(|tag| *tag == number).map(|index| index as u32)
    }

    /// Number in the store of tag `index`.
    pub(crate) fn tag(&self, index: u32) -> Option<u32> {
        // SAFETY: written once, before the instance was published.
        let tags = unsafe { &*self.tags.as_ptr() };
        tags.get(index as usize).copied()
    }
}

/// The store numbers of a module's items, imported ones first.
#[derive(Default)]
struct Items {
    funcs: Vec<u32>,
    tables: Vec<u32>,
    memories: Vec<u32>,
    globals: Vec<u32>,
    tags: Vec<u32>,
}

impl Instance {
    /// Instantiates `module` with `imports` in the order of its imports, and runs its start function.
    ///
    /// # Errors
    /// `Link` for an import of another type; `Exhausted`; what initialisers and the start function trap with; `Usage`.
    ///
    /// # Panics
    /// Resumes the panic of a host function.
    pub fn new(store: &mut StoreInner, module: &Module, imports: &[Extern]) -> Result<Instance, Error> {
        if !module.engine().shares_code_with(store.engine()) {
            return Err(Error::usage(Usage::WrongEngine));
        }
        let wanted = module.imports();
        if wanted.len() != imports.len() {
            return Err(Error::usage(Usage::Arity { expected: wanted.len(), given: imports.len() }));
        }
        let mut items = Items::default();
        for (import, given) in wanted.iter().zip(imports) {
            check_import(store, import, given)?;
            match given {
                Extern::Func(func) => items.funcs.push(func.id),
                Extern::Table(table) => items.tables.push(table.index),
                Extern::Memory(memory) => items.memories.push(memory.index),
                Extern::Global(global) => items.globals.push(global.index),
                Extern::Tag(tag) => items.tags.push(tag.index),
            }
        }
        let index = allocate(store, module, items)?;
        let instance = Instance { store: store.id(), index };
        initialise(store, module, index)?;
        if let Some(start) = module.info().start {
            instance.func(store, start)?.call(store, &[])?;
        }
        Ok(instance)
    }

    fn data(self, store: &StoreInner) -> Result<&InstanceData, Error> {
        check(store, self.store)?;
        Ok(&store.state.instances[self.index as usize])
    }
    /// Its number in the store, as in [`FuncInfo`](crate::FuncInfo).
    pub fn number(self) -> u32 {
        self.index
    }
    /// Its module.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn module(self, store: &StoreInner) -> Result<Module, Error> {
        Ok(self.data(store)?.module.clone())
    }
    /// The export named `name`.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn export(self, store: &StoreInner, name: &str) -> Result<Option<Extern>, Error> {
        let data = self.data(store)?;
        let export = data.module.info().exports.iter().find(|export| export.name == name);
        Ok(export.map(|export| self.item(store.id(), data, export.item)))
    }
    /// All exports, in order.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn exports(self, store: &StoreInner) -> Result<Vec<(String, Extern)>, Error> {
        let data = self.data(store)?;
        let exports = data.module.info().exports.iter();
        Ok(exports.map(|export| (export.name.clone(), self.item(store.id(), data, export.item))).collect())
    }
    /// The exported function `name`.
    ///
    /// # Errors
    /// `WrongStore`, `NotFound`.
    pub fn exported_func(self, store: &StoreInner, name: &str) -> Result<Func, Error> {
        let found = self.export(store, name)?.and_then(Extern::func);
        found.ok_or_else(|| Error::usage(Usage::NotFound(name.to_owned())))
    }
    /// Function `index`, exported or not.
    ///
    /// # Errors
    /// `WrongStore`, `OutOfRange`.
    pub fn func(self, store: &StoreInner, index: u32) -> Result<Func, Error> {
        let data = self.data(store)?;
        let id = data.func_id(index);
        let size = data.module.info().funcs.len() as u64;
        let id = id.ok_or_else(|| Error::usage(Usage::OutOfRange { given: index.into(), size }))?;
        Ok(Func { store: self.store, id })
    }
    /// All globals, exported or not.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn globals(self, store: &StoreInner) -> Result<Vec<Global>, Error> {
        Ok(self.data(store)?.globals.iter().map(|&index| Global { store: self.store, index }).collect())
    }
    /// All tables, exported or not.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn tables(self, store: &StoreInner) -> Result<Vec<Table>, Error> {
        Ok(self.data(store)?.tables.iter().map(|&index| Table { store: self.store, index }).collect())
    }
    /// All memories, exported or not.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn memories(self, store: &StoreInner) -> Result<Vec<Memory>, Error> {
        Ok(self.data(store)?.memories.iter().map(|&index| Memory { store: self.store, index }).collect())
    }

    fn item(self, store: u64, data: &InstanceData, item: ExportItem) -> Extern {
        match item {
            ExportItem::Func(index) => {
                let id = data.func_id(index).expect("exports name existing functions");
                Extern::Func(Func { store, id })
            }
            ExportItem::Table(index) => Extern::Table(Table { store, index: data.tables[index as usize] }),
            ExportItem::Memory(index) => {
                Extern::Memory(Memory { store, index: data.memories[index as usize] })
            }
            ExportItem::Global(index) => {
                Extern::Global(Global { store, index: data.globals[index as usize] })
            }
            ExportItem::Tag(index) => {
                let index = data.tag(index).expect("exports name existing tags");
                Extern::Tag(Tag { store, index })
            }
        }
    }
}

/// Makes the instance with zeroed globals and null tables; returns its number.
fn allocate(store: &mut StoreInner, module: &Module, mut items: Items) -> Result<u32, Error> {
    let info = module.info();
    store.state.add_module(module);
    for group in &info.rec_groups {
        store.heap.retain_group(group.clone());
    }
    for ty in &info.memories[info.imported_memories as usize..] {
        items.memories.push(Memory::new(store, *ty)?.index);
    }
    for ty in &info.tables[info.imported_tables as usize..] {
        items.tables.push(Table::alloc(store, *ty)?.index);
    }
    for ty in &info.globals[info.imported_globals as usize..] {
        items.globals.push(Global::alloc(store, *ty, 0).index);
    }
    let defined = info.tags.iter().zip(&info.exceptions).skip(info.imported_tags as usize);
    for (ty, exception) in defined {
        items.tags.push(Tag::with_exception(store, *ty, *exception)?.index);
    }
    let index = store.state.instances.len() as u32;
    let vmctx = Pinned::new(VmCtx { instance: index, ..store.bare_vmctx() });

    let code = module.compiled().entries.iter();
    let defined = (info.imported_funcs..).zip(code).map(|(func, &entry)| FuncEntry {
        code: std::ptr::with_exposed_provenance(entry),
        vmctx: vmctx.as_ptr(),
        type_id: info.funcs[func as usize].0,
        instance: index,
        index: func,
        reserved: 0,
    });
    let count = module.compiled().entries.len();
    let first = store.state.add_funcs(defined);
    items.funcs.extend(first..first + count as u32);

    let state = &store.state;
    let imported = items.funcs[..info.imported_funcs as usize].iter().map(|&id| {
        let entry = &state.funcs[id as usize];
        ImportedFunc { code: entry.code, vmctx: entry.vmctx }
    });
    let imported = Pinned::slice(imported.collect());
    let memory_defs = items.memories.iter().map(|&at| state.memories[at as usize].def.as_ptr());
    let memory_defs = Pinned::slice(memory_defs.collect());
    let table_defs =
        Pinned::slice(items.tables.iter().map(|&at| state.tables[at as usize].def.as_ptr()).collect());
    let cells = items.globals.iter().map(|&at| state.globals[at as usize].cell.as_ptr().cast::<u8>());
    let global_cells = Pinned::slice(cells.collect());
    let func_ids = Pinned::slice(items.funcs);
    let tags = Pinned::slice(items.tags);
    // SAFETY: pinned, and no code runs on it yet.
    let context = unsafe { &mut *vmctx.as_ptr() };
    context.memories = memory_defs.first();
    context.tables = table_defs.first();
    context.globals = global_cells.first();
    context.imported_funcs = imported.first();
    context.func_ids = func_ids.first();
    context.tags = tags.first();

    let elements = info.elements.iter().map(|segment| {
        let traced = is_traced(store, &assay_gc::ValType::Ref(segment.ty));
        ElementData { items: Vec::new(), traced }
    });
    let elements = elements.collect();
    store.state.instances.push(InstanceData {
        module: module.clone(),
        _vmctx: vmctx,
        _memory_defs: memory_defs,
        _table_defs: table_defs,
        _global_cells: global_cells,
        _imported: imported,
        func_ids,
        memories: items.memories.into(),
        tables: items.tables.into(),
        globals: items.globals.into(),
        tags,
        data: info.data.iter().map(|segment| segment.bytes.clone()).collect(),
        elements,
    });
    Ok(index)
}

/// Evaluates initialisers and writes active segments.
fn initialise(store: &mut StoreInner, module: &Module, instance: u32) -> Result<(), Error> {
    let info = module.info();
    for (at, expr) in (info.imported_globals as usize..).zip(&info.global_inits) {
        let bits = store.evaluate(instance, expr)?.bits();
        let global = store.state.instances[instance as usize].globals[at];
        store.set_global(global as usize, bits);
    }
    for (at, expr) in (info.imported_tables as usize..).zip(&info.table_inits) {
        let Some(expr) = expr else { continue };
        let word = store.evaluate(instance, expr)?.word();
        let table = store.state.instances[instance as usize].tables[at];
        store.fill_table(table as usize, word);
    }
    for (at, segment) in info.elements.iter().enumerate() {
        if matches!(segment.mode, ElementMode::Declarative) {
            continue;
        }
        for expr in &segment.items {
            let word = store.evaluate(instance, expr)?.word();
            // Pushed one by one: the segment is a root while the next items are evaluated.
            store.state.instances[instance as usize].elements[at].items.push(word);
        }
    }
    for (at, segment) in info.elements.iter().enumerate() {
        if let ElementMode::Active(table, offset) = &segment.mode {
            let start = store.evaluate(instance, offset)?.bits() as u64;
            store.table_init(instance, *table, at as u32, start, 0, segment.items.len() as u64)?;
            store.elem_drop(instance, at as u32);
        }
    }
    for (at, segment) in info.data.iter().enumerate() {
        if let Some((memory, offset)) = &segment.active {
            let start = store.evaluate(instance, offset)?.bits() as u64;
            store.memory_init(instance, *memory, at as u32, start, 0, segment.bytes.len() as u64)?;
            store.data_drop(instance, at as u32);
        }
    }
    Ok(())
}

impl StoreInner {
    /// `table.init` without fuel (spec "table.init").
    pub(crate) fn table_init(
        &mut self,
        instance: u32,
        table: u32,
        elem: u32,
        dst: u64,
        src: u64,
        len: u64,
    ) -> Result<(), Error> {
        let (number, elem) = (instance as usize, elem as usize);
        let instance = &self.state.instances[number];
        let at = instance.tables[table as usize] as usize;
        let out_of_bounds = || Error::of_trap(TrapCode::TableOutOfBounds);
        let to = self.state.tables[at].range(dst, len).ok_or_else(out_of_bounds)?;
        let from = segment_range(instance.elements[elem].items.len(), src, len).ok_or_else(out_of_bounds)?;
        self.table_barrier(at, to.clone(), |state, index| {
            state.instances[number].elements[elem].items[from.start + index]
        });
        let State { instances, tables, .. } = &mut self.state;
        tables[at].elements_mut()[to].copy_from_slice(&instances[number].elements[elem].items[from]);
        Ok(())
    }
    /// `elem.drop`.
    pub(crate) fn elem_drop(&mut self, instance: u32, elem: u32) {
        self.state.instances[instance as usize].elements[elem as usize].items = Vec::new();
    }
    /// `memory.init` without fuel (spec "memory.init").
    pub(crate) fn memory_init(
        &mut self,
        instance: u32,
        memory: u32,
        data: u32,
        dst: u64,
        src: u64,
        len: u64,
    ) -> Result<(), Error> {
        let state = &mut self.state;
        let instance = &state.instances[instance as usize];
        let memory = &mut state.memories[instance.memories[memory as usize] as usize];
        let bytes = &instance.data[data as usize];
        let out_of_bounds = || Error::of_trap(TrapCode::MemoryOutOfBounds);
        let to = memory.range(dst, len).ok_or_else(out_of_bounds)?;
        let from = segment_range(bytes.len(), src, len).ok_or_else(out_of_bounds)?;
        memory.bytes_mut()[to].copy_from_slice(&bytes[from]);
        Ok(())
    }
    /// `data.drop`.
    pub(crate) fn data_drop(&mut self, instance: u32, data: u32) {
        self.state.instances[instance as usize].data[data as usize] = Arc::new([]);
    }
}

/// `[start, start + len)` if it lies in a segment of `size` items.
pub(crate) fn segment_range(size: usize, start: u64, len: u64) -> Option<std::ops::Range<usize>> {
    let end = start.checked_add(len)?;
    (end <= size as u64).then_some(start as usize..end as usize)
}
