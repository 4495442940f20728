//! Module instances and instantiation (spec: Execution / Modules).

use super::matching::{canonical_global, canonical_ref};
use super::store::{Func, FuncKind, Global, Store};
use super::value::{
    Bits, Extern, FuncAddr, GlobalAddr, InstanceAddr, MemoryAddr, TableAddr, TagAddr, Value, slots,
};
use crate::Module;
use crate::error::{Error, Result, TrapKind};
use crate::exec::{memory, table};
use crate::syntax::module::{ElemItems, ExternIndex, SegmentMode};
use crate::syntax::types::TypeId;

/// A module instance: for each index space, addresses.
pub(crate) struct Instance {
    pub(crate) module: Module,
    pub(crate) types: Vec<TypeId>,
    pub(crate) funcs: Vec<u32>,
    pub(crate) tables: Vec<u32>,
    pub(crate) memories: Vec<u32>,
    pub(crate) globals: Vec<u32>,
    pub(crate) tags: Vec<u32>,
    /// Address of the first element segment; the others follow.
    pub(crate) first_elem: usize,
    /// Address of the first data segment; the others follow.
    pub(crate) first_data: usize,
}

impl Store {
    /// Instantiates a module; `imports` answer its imports by position. Fuel is not charged for constant expressions and
    /// segments, only for the start function. When an active segment or the start function traps, the effects up to
    /// there stay, as the spec has it.
    pub fn instantiate(&mut self, module: &Module, imports: &[Extern]) -> Result<InstanceAddr> {
        if !module.0.is_complete {
            return Err(Error::usage("the module is decoded but not validated: make it by Module::new"));
        }
        let fuel = self.fuel();
        self.set_fuel(None);
        let instance = self.instantiate_without_start(module, imports);
        self.set_fuel(fuel);
        let instance = instance?;
        if let Some(start) = module.0.start {
            let func = FuncAddr(self.instances[instance.index()].funcs[start as usize]);
            self.invoke(func, &[])?;
        }
        Ok(instance)
    }

    fn instantiate_without_start(&mut self, module: &Module, imports: &[Extern]) -> Result<InstanceAddr> {
        let data = &module.0;
        let ids = self.types.add_module(&data.groups)?;
        if imports.len() != data.imports.len() {
            return Err(Error::link(format!(
                "unknown import: the module has {} imports, {} are given",
                data.imports.len(),
                imports.len()
            )));
        }
        let addr = InstanceAddr(self.instances.len() as u32);
        let mut instance = Instance {
            module: module.clone(),
            types: Vec::new(),
            funcs: Vec::new(),
            tables: Vec::new(),
            memories: Vec::new(),
            globals: Vec::new(),
            tags: Vec::new(),
            first_elem: self.elems.len(),
            first_data: self.datas.len(),
        };
        for (import, &given) in data.imports.iter().zip(imports) {
            self.check_import(&import.desc, &ids, given, (&import.module, &import.name))?;
            match given {
                Extern::Func(FuncAddr(addr)) => instance.funcs.push(addr),
                Extern::Table(TableAddr(addr)) => instance.tables.push(addr),
                Extern::Memory(MemoryAddr(addr)) => instance.memories.push(addr),
                Extern::Global(GlobalAddr(addr)) => instance.globals.push(addr),
                Extern::Tag(TagAddr(addr)) => instance.tags.push(addr),
            }
        }
        // Functions and memories.
        for (index, ty) in data.funcs.iter().enumerate().skip(data.imported_funcs as usize) {
            let ty = ids[ty.0 as usize];
            let kind = FuncKind::Wasm { instance: addr.0, index: index as u32 };
            instance.funcs.push(self.add_func(Func { ty, kind }).0);
        }
        for &ty in &data.memories[instance.memories.len()..] {
            instance.memories.push(self.alloc_memory(ty)?.0);
        }
        for ty in &data.tags[instance.tags.len()..] {
            self.tags.push(ids[ty.0 as usize]);
            instance.tags.push(self.tags.len() as u32 - 1);
        }
        instance.types = ids;
        self.instances.push(instance);

        // Globals, whose initial values may use the ones before; tables; element segments.
        for global in &data.global_defs {
            let (value, high) = self.evaluate_wide(&global.init, addr.0)?;
            let ty = canonical_global(global.ty, &self.instances[addr.index()].types);
            self.globals.push(Global { ty, value, high });
            let global = self.globals.len() as u32 - 1;
            self.instances[addr.index()].globals.push(global);
        }
        for def in &data.table_defs {
            let init = match &def.init {
                Some(init) => self.evaluate(init, addr.0)?,
                None => Bits::NULL.0,
            };
            let mut ty = def.ty;
            ty.element = canonical_ref(ty.element, &self.instances[addr.index()].types);
            let table = self.add_table(ty, init)?;
            self.instances[addr.index()].tables.push(table.0);
        }
        let first_elem = self.elems.len();
        self.instances[addr.index()].first_elem = first_elem;
        for elem in &data.elems {
            let mut refs = Vec::new();
            match &elem.items {
                ElemItems::Funcs(funcs) => {
                    let known = &self.instances[addr.index()].funcs;
                    refs.extend(funcs.iter().map(|&func| Bits::func(known[func as usize]).0));
                }
                ElemItems::Exprs(exprs) => {
                    for expr in exprs {
                        refs.push(self.evaluate(expr, addr.0)?);
                    }
                }
            }
            self.elems.push(refs);
        }
        self.datas.extend(data.datas.iter().map(|data| data.bytes.clone()));

        // Active segments, in order; element segments first.
        for (i, elem) in data.elems.iter().enumerate() {
            if let SegmentMode::Active { index, offset } = &elem.mode {
                let at = self.evaluate(offset, addr.0)?;
                let table = self.instances[addr.index()].tables[*index as usize] as usize;
                let refs = &self.elems[first_elem + i];
                table::init(&mut self.tables[table].elements, refs, at, 0, refs.len() as u64)
                    .ok_or_else(|| Error::trap(TrapKind::TableOutOfBounds))?;
                // `table.init` comes before `elem.drop` (spec "Instantiation"): after a trap the segment is still there
                // for functions of this instance that an earlier segment put into a table.
                self.elems[first_elem + i] = Vec::new();
            } else if matches!(elem.mode, SegmentMode::Declarative) {
                self.elems[first_elem + i] = Vec::new();
            }
        }
        let first_data = self.instances[addr.index()].first_data;
        for (i, data) in data.datas.iter().enumerate() {
            if let SegmentMode::Active { index, offset } = &data.mode {
                let at = self.evaluate(offset, addr.0)?;
                let target = self.instances[addr.index()].memories[*index as usize] as usize;
                let len = data.bytes.len() as u64;
                memory::init(&mut self.memories[target], &data.bytes, at, 0, len)
                    .ok_or_else(|| Error::trap(TrapKind::MemoryOutOfBounds))?;
                self.datas[first_data + i] = std::sync::Arc::from(&[][..]);
            }
        }
        Ok(addr)
    }

    /// An export by name.
    pub fn export(&self, instance: InstanceAddr, name: &str) -> Option<Extern> {
        let instance = self.instances.get(instance.index())?;
        let export = instance.module.0.exports.iter().find(|export| export.name == name)?;
        instance.extern_value(export.index)
    }

    /// All exports of an instance, in order.
    pub fn exports(&self, instance: InstanceAddr) -> Vec<(String, Extern)> {
        let Some(instance) = self.instances.get(instance.index()) else { return Vec::new() };
        let exports = instance.module.0.exports.iter();
        exports
            .filter_map(|export| Some((export.name.clone(), instance.extern_value(export.index)?)))
            .collect()
    }

    /// The module of an instance.
    pub fn module(&self, instance: InstanceAddr) -> Option<&Module> {
        Some(&self.instances.get(instance.index())?.module)
    }

    /// The canonical ids of an instance's type indices.
    pub fn instance_types(&self, instance: InstanceAddr) -> Option<&[TypeId]> {
        Some(&self.instances.get(instance.index())?.types)
    }

    /// Calls a function with arguments of its parameter types.
    pub fn invoke(&mut self, func: FuncAddr, args: &[Value]) -> Result<Vec<Value>> {
        let (args, results) = self.check_call(func, args)?;
        let results = self.call_from_host(func, &args, results)?;
        let ty = self.func_type(func).ok_or_else(|| Error::crash("unknown function"))?;
        self.from_slots(&results, &ty.results)
    }

    /// Slots of the arguments of a call, and how many its results take. Wrong arguments are errors of use.
    pub(crate) fn check_call(&mut self, func: FuncAddr, args: &[Value]) -> Result<(Vec<u64>, usize)> {
        let ty = self.func_type(func).ok_or_else(|| Error::usage("unknown function"))?.clone();
        if ty.params.len() != args.len() {
            return Err(Error::usage(format!("{} arguments for {} parameters", args.len(), ty.params.len())));
        }
        Ok((self.to_slots(args, &ty.params)?, slots(&ty.results)))
    }
}

impl Instance {
    fn extern_value(&self, index: ExternIndex) -> Option<Extern> {
        Some(match index {
            ExternIndex::Func(i) => Extern::Func(FuncAddr(*self.funcs.get(i as usize)?)),
            ExternIndex::Table(i) => Extern::Table(TableAddr(*self.tables.get(i as usize)?)),
            ExternIndex::Memory(i) => Extern::Memory(MemoryAddr(*self.memories.get(i as usize)?)),
            ExternIndex::Global(i) => Extern::Global(GlobalAddr(*self.globals.get(i as usize)?)),
            ExternIndex::Tag(i) => Extern::Tag(TagAddr(*self.tags.get(i as usize)?)),
        })
    }
}
