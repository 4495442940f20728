//! The store (spec: Runtime Structure / Store) and the embedding interface around it.
//!
//! Everything that instances share lives here, by address. An address is valid for the store that gave it and
//! is never reused, except an object's. One store is used by one thread at a time.

use std::collections::HashMap;
use std::sync::Arc;

use super::heap::{Heap, Payload};
use super::instance::Instance;
use super::types::Types;
use super::value::{
    Bits, Extern, ExternRef, FuncAddr, GlobalAddr, MemoryAddr, ObjectAddr, Ref, TableAddr, TagAddr, Unpacked,
    Value, i31_signed,
};
use crate::error::{Error, HostError, Resource, Result};
use crate::exec::fiber::Fibers;
use crate::exec::meter::Meter;
use crate::exec::run::Machine;
use crate::syntax::types::{
    CompositeType, ExternType, FuncType, GlobalType, HeapType, MemoryType, RefType, TableType, TypeId,
    ValType,
};

/// Bytes of a page.
pub const PAGE_SIZE: u64 = 65_536;

/// Limits of a store. Reaching one is an error of kind [`crate::ErrorKind::Exhausted`], except that `memory.grow` and
/// `table.grow` give −1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Nested wasm calls; of each fiber.
    pub max_call_depth: u32,
    /// Nested calls from the host into wasm, and turns of fibers (these use the Rust stack).
    pub max_host_depth: u32,
    /// 64-bit slots of all frames; of each fiber.
    pub max_values: u32,
    /// Pages of one memory.
    pub max_memory_pages: u32,
    /// Pages of all memories.
    pub max_total_pages: u64,
    /// Elements of one table.
    pub max_table_elements: u32,
    /// Elements of all tables.
    pub max_total_table_elements: u64,
    /// Bytes of all objects, by the documented size formula (struct 8 + fields, array 12 + elements, exception 12 +
    /// payload, fields aligned to their size or to 8, rounded up to 8, references 4).
    pub max_gc_bytes: u64,
    /// Bytes of one object, by the same formula; a larger array traps.
    pub max_object_bytes: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            max_call_depth: 10_000,
            max_host_depth: 48,
            max_values: 1 << 20,
            max_memory_pages: 16_384,
            max_total_pages: 65_536,
            max_table_elements: 10_000_000,
            max_total_table_elements: 20_000_000,
            max_gc_bytes: 256 << 20,
            max_object_bytes: 1 << 30,
        }
    }
}

/// Counters of a store since its creation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Operations of the internal code executed; somewhat fewer than wasm instructions, as `local.get` folds into its use.
    pub instructions: u64,
    /// Objects allocated.
    pub allocations: u64,
    /// Objects that exist now.
    pub objects: u64,
    /// Their bytes by the size formula.
    pub bytes: u64,
    /// Largest value of `bytes`.
    pub peak_bytes: u64,
    /// Objects that surveys found reachable from frames only.
    pub survey_found: u64,
    /// Of those, how many the program read afterwards (`struct.get*`, `array.get*`, `array.len`, source of a copy).
    pub survey_read: u64,
}

/// A host function that is not entered twice at once.
pub type HostFunc = Box<dyn FnMut(&mut Store, &[Value]) -> Result<Vec<Value>, HostError>>;

/// A host function that may be entered again while it runs.
pub type SharedHostFunc = Arc<dyn Fn(&mut Store, &[Value]) -> Result<Vec<Value>, HostError>>;

pub(crate) enum FuncKind {
    Wasm {
        instance: u32,
        index: u32,
    },
    /// Taken out while it runs.
    Host(Option<HostFunc>),
    SharedHost(SharedHostFunc),
}

pub(crate) struct Func {
    pub(crate) ty: TypeId,
    pub(crate) kind: FuncKind,
}

pub(crate) struct Table {
    /// With canonical types and the limits as declared.
    pub(crate) ty: TableType,
    pub(crate) elements: Vec<u64>,
}

pub(crate) struct Memory {
    pub(crate) ty: MemoryType,
    /// At least `size` bytes; those beyond are zero and reserved for growth.
    pub(crate) reserved: Vec<u8>,
    pub(crate) size: usize,
}

pub(crate) struct Global {
    pub(crate) ty: GlobalType,
    /// A vector's low half.
    pub(crate) value: u64,
    /// A vector's high half, 0 for other types.
    pub(crate) high: u64,
}

/// Everything that running code can reach.
pub struct Store {
    pub(crate) config: Config,
    pub(crate) types: Types,
    pub(crate) funcs: Vec<Func>,
    pub(crate) tables: Vec<Table>,
    pub(crate) memories: Vec<Memory>,
    pub(crate) globals: Vec<Global>,
    pub(crate) tags: Vec<TypeId>,
    /// Element segments; empty when dropped.
    pub(crate) elems: Vec<Vec<u64>>,
    /// Data segments; empty when dropped.
    pub(crate) datas: Vec<Arc<[u8]>>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) heap: Heap,
    pub(crate) meter: Meter,
    /// The stacks of the running host function's caller, and of those below it down to the first or a fiber's first.
    pub(crate) machine: Machine,
    pub(crate) fibers: Fibers,
    /// Calls from the host into wasm that are under way.
    pub(crate) host_depth: u32,
    pub(crate) instructions: u64,
    pub(crate) total_pages: u64,
    pub(crate) total_elements: u64,
    tokens: Vec<u64>,
    token_index: HashMap<u64, u32>,
}

impl Store {
    /// An empty store.
    pub fn new(config: Config) -> Store {
        Store {
            config,
            types: Types::new(),
            funcs: Vec::new(),
            tables: Vec::new(),
            memories: Vec::new(),
            globals: Vec::new(),
            tags: Vec::new(),
            elems: Vec::new(),
            datas: Vec::new(),
            instances: Vec::new(),
            heap: Heap::new(config.max_gc_bytes),
            meter: Meter::new(),
            machine: Machine::default(),
            fibers: Fibers::default(),
            host_depth: 0,
            instructions: 0,
            total_pages: 0,
            total_elements: 0,
            tokens: Vec::new(),
            token_index: HashMap::new(),
        }
    }

    /// The limits.
    pub fn config(&self) -> Config {
        self.config
    }

    /// Sets the fuel; `None` means that none is counted.
    pub fn set_fuel(&mut self, fuel: Option<u64>) {
        self.meter.set_budget(fuel);
    }

    /// The fuel left.
    pub fn fuel(&self) -> Option<u64> {
        self.meter.budget()
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        let heap = self.heap.stats;
        Stats {
            instructions: self.instructions,
            allocations: heap.allocations,
            objects: heap.objects,
            bytes: heap.bytes,
            peak_bytes: heap.peak_bytes,
            survey_found: heap.survey_found,
            survey_read: heap.survey_read,
        }
    }

    // Allocation by the host.

    /// Adds a host function. Concrete heap types in `ty` must be canonical types of this store. It may call back into
    /// the store; if such a call reaches the same function again, that fails with [`crate::ErrorKind::Usage`]
    /// (see [`Store::alloc_shared_host_func`]).
    pub fn alloc_host_func(&mut self, ty: FuncType, func: HostFunc) -> Result<FuncAddr> {
        let ty = self.types.add_func_type(&ty)?;
        Ok(self.add_func(Func { ty, kind: FuncKind::Host(Some(func)) }))
    }

    /// Adds a host function that may be entered again while it runs.
    pub fn alloc_shared_host_func(&mut self, ty: FuncType, func: SharedHostFunc) -> Result<FuncAddr> {
        let ty = self.types.add_func_type(&ty)?;
        Ok(self.add_func(Func { ty, kind: FuncKind::SharedHost(func) }))
    }

    pub(crate) fn add_func(&mut self, func: Func) -> FuncAddr {
        self.funcs.push(func);
        FuncAddr(self.funcs.len() as u32 - 1)
    }

    /// Adds a memory of zeros.
    pub fn alloc_memory(&mut self, ty: MemoryType) -> Result<MemoryAddr> {
        let pages = ty.limits.min;
        if ty.limits.max.is_some_and(|max| max < pages) {
            return Err(Error::usage("size minimum must not be greater than maximum"));
        }
        if pages > u64::from(self.config.max_memory_pages)
            || self.total_pages + pages > self.config.max_total_pages
        {
            return Err(Error::exhausted(Resource::Memory));
        }
        let size = usize::try_from(pages * PAGE_SIZE).map_err(|_| Error::exhausted(Resource::Memory))?;
        self.total_pages += pages;
        self.memories.push(Memory { ty, reserved: vec![0; size], size });
        Ok(MemoryAddr(self.memories.len() as u32 - 1))
    }

    /// Adds a table whose elements are all `init`. A concrete element type must be canonical.
    pub fn alloc_table(&mut self, ty: TableType, init: Ref) -> Result<TableAddr> {
        let bits = self.to_bits(Value::Ref(init), ValType::Ref(ty.element))?;
        self.add_table(ty, bits)
    }

    pub(crate) fn add_table(&mut self, ty: TableType, init: u64) -> Result<TableAddr> {
        let len = ty.limits.min;
        if ty.limits.max.is_some_and(|max| max < len) {
            return Err(Error::usage("size minimum must not be greater than maximum"));
        }
        if len > u64::from(self.config.max_table_elements)
            || self.total_elements + len > self.config.max_total_table_elements
        {
            return Err(Error::exhausted(Resource::Memory));
        }
        self.total_elements += len;
        self.tables.push(Table { ty, elements: vec![init; len as usize] });
        Ok(TableAddr(self.tables.len() as u32 - 1))
    }

    /// Adds a global. A concrete type must be canonical.
    pub fn alloc_global(&mut self, ty: GlobalType, init: Value) -> Result<GlobalAddr> {
        let (value, high) = self.to_halves(init, ty.value)?;
        self.globals.push(Global { ty, value, high });
        Ok(GlobalAddr(self.globals.len() as u32 - 1))
    }

    /// Adds a tag.
    pub fn alloc_tag(&mut self, ty: FuncType) -> Result<TagAddr> {
        let ty = self.types.add_func_type(&ty)?;
        self.tags.push(ty);
        Ok(TagAddr(self.tags.len() as u32 - 1))
    }

    // Queries and host access.

    /// The type of a function, with canonical types.
    pub fn func_type(&self, func: FuncAddr) -> Option<&FuncType> {
        self.types.func_type(self.funcs.get(func.index())?.ty)
    }

    /// The canonical type of a function.
    pub fn func_type_id(&self, func: FuncAddr) -> Option<TypeId> {
        Some(self.funcs.get(func.index())?.ty)
    }

    /// The type of an external value, with canonical types; tables and memories with their present size as minimum.
    pub fn extern_type(&self, value: Extern) -> Option<ExternType> {
        Some(match value {
            Extern::Func(addr) => ExternType::Func(self.func_type(addr)?.clone()),
            Extern::Table(addr) => {
                let table = self.tables.get(addr.index())?;
                let mut ty = table.ty;
                ty.limits.min = table.elements.len() as u64;
                ExternType::Table(ty)
            }
            Extern::Memory(addr) => {
                let memory = self.memories.get(addr.index())?;
                let mut ty = memory.ty;
                ty.limits.min = memory.size as u64 / PAGE_SIZE;
                ExternType::Memory(ty)
            }
            Extern::Global(addr) => ExternType::Global(self.globals.get(addr.index())?.ty),
            Extern::Tag(addr) => {
                ExternType::Tag(self.types.func_type(*self.tags.get(addr.index())?)?.clone())
            }
        })
    }

    /// The value of a global.
    pub fn global_get(&self, global: GlobalAddr) -> Result<Value> {
        let global = self.globals.get(global.index()).ok_or_else(|| Error::usage("unknown global"))?;
        self.from_halves((global.value, global.high), global.ty.value)
    }

    /// Writes a mutable global.
    pub fn global_set(&mut self, global: GlobalAddr, value: Value) -> Result<()> {
        let ty = self.globals.get(global.index()).ok_or_else(|| Error::usage("unknown global"))?.ty;
        if !ty.mutable {
            return Err(Error::usage("write to an immutable global"));
        }
        let (value, high) = self.to_halves(value, ty.value)?;
        let global = &mut self.globals[global.index()];
        (global.value, global.high) = (value, high);
        Ok(())
    }

    /// Number of elements of a table.
    pub fn table_size(&self, table: TableAddr) -> Result<u64> {
        let table = self.tables.get(table.index()).ok_or_else(|| Error::usage("unknown table"))?;
        Ok(table.elements.len() as u64)
    }

    /// An element of a table, or `None` beyond its end.
    pub fn table_get(&self, table: TableAddr, index: u64) -> Result<Option<Ref>> {
        let table = self.tables.get(table.index()).ok_or_else(|| Error::usage("unknown table"))?;
        let Some(&bits) = usize::try_from(index).ok().and_then(|index| table.elements.get(index)) else {
            return Ok(None);
        };
        Ok(Some(self.ref_from_bits(bits, table.ty.element)?))
    }

    /// Writes an element of a table.
    pub fn table_set(&mut self, table: TableAddr, index: u64, value: Ref) -> Result<()> {
        let ty = self.tables.get(table.index()).ok_or_else(|| Error::usage("unknown table"))?.ty;
        let bits = self.to_bits(Value::Ref(value), ValType::Ref(ty.element))?;
        let elements = &mut self.tables[table.index()].elements;
        let place = usize::try_from(index).ok().and_then(|index| elements.get_mut(index));
        *place.ok_or_else(|| Error::usage("table index out of bounds"))? = bits;
        Ok(())
    }

    /// The bytes of a memory.
    pub fn memory(&self, memory: MemoryAddr) -> Result<&[u8]> {
        let memory = self.memories.get(memory.index()).ok_or_else(|| Error::usage("unknown memory"))?;
        Ok(&memory.reserved[..memory.size])
    }

    /// The bytes of a memory, to write.
    pub fn memory_mut(&mut self, memory: MemoryAddr) -> Result<&mut [u8]> {
        let memory = self.memories.get_mut(memory.index()).ok_or_else(|| Error::usage("unknown memory"))?;
        Ok(&mut memory.reserved[..memory.size])
    }

    // Conversions between values and slots.

    /// Whether a value belongs to a type (with canonical types).
    pub fn value_matches(&self, value: Value, ty: ValType) -> bool {
        match (value, ty) {
            (Value::I32(_), ValType::I32)
            | (Value::I64(_), ValType::I64)
            | (Value::F32(_), ValType::F32)
            | (Value::F64(_), ValType::F64)
            | (Value::V128(_), ValType::V128) => true,
            (Value::Ref(value), ValType::Ref(ty)) => self.host_ref_matches(value, ty),
            _ => false,
        }
    }

    fn host_ref_matches(&self, value: Ref, ty: RefType) -> bool {
        let object = |addr: ObjectAddr, is_struct: bool| {
            let Some(object) = self.heap.get(addr.0) else { return false };
            let composite = self.types.get(object.ty).map(|ty| &ty.ty.composite);
            matches!(composite, Some(CompositeType::Struct(_))) == is_struct
        };
        match value {
            Ref::Null => ty.nullable,
            Ref::I31(_) => self.types.heap_matches(HeapType::I31, ty.heap),
            Ref::Struct(addr) | Ref::Array(addr) => {
                object(addr, matches!(value, Ref::Struct(_)))
                    && self
                        .heap
                        .get(addr.0)
                        .is_some_and(|object| self.types.heap_matches(HeapType::Canon(object.ty), ty.heap))
            }
            Ref::Func(addr) => self
                .funcs
                .get(addr.index())
                .is_some_and(|func| self.types.heap_matches(HeapType::Canon(func.ty), ty.heap)),
            Ref::Exn(addr) => ty.heap == HeapType::Exn && self.heap.exception(addr.0).is_some(),
            Ref::Host(_) => ty.heap == HeapType::Any,
            Ref::Extern(inner) => {
                ty.heap == HeapType::Extern
                    && match inner {
                        ExternRef::Struct(addr) => object(addr, true),
                        ExternRef::Array(addr) => object(addr, false),
                        ExternRef::Host(_) | ExternRef::I31(_) => true,
                    }
            }
        }
    }

    /// Values of the host's as slots; wrong types are errors of use.
    #[expect(clippy::wrong_self_convention, reason = "converts the argument, not the store")]
    pub(crate) fn to_slots(&mut self, values: &[Value], types: &[ValType]) -> Result<Vec<u64>> {
        let mut slots = Vec::with_capacity(values.len());
        for (&value, &ty) in values.iter().zip(types) {
            let (low, high) = self.to_halves(value, ty)?;
            slots.push(low);
            if ty == ValType::V128 {
                slots.push(high);
            }
        }
        Ok(slots)
    }

    /// Slots as values of some types (canonical ones).
    #[expect(clippy::wrong_self_convention, reason = "converts the argument, not the store")]
    pub(crate) fn from_slots(&self, mut slots: &[u64], types: &[ValType]) -> Result<Vec<Value>> {
        let mut values = Vec::with_capacity(types.len());
        for &ty in types {
            let (halves, rest) = match (ty, slots) {
                (ValType::V128, &[low, high, ref rest @ ..]) => ((low, high), rest),
                (_, &[low, ref rest @ ..]) => ((low, 0), rest),
                _ => return Err(Error::crash("fewer slots than values")),
            };
            values.push(self.from_halves(halves, ty)?);
            slots = rest;
        }
        Ok(values)
    }

    /// A value of the host's as low and high half, which is 0 but for a vector.
    #[expect(clippy::wrong_self_convention, reason = "converts the argument, not the store")]
    pub(crate) fn to_halves(&mut self, value: Value, ty: ValType) -> Result<(u64, u64)> {
        match (value, ty) {
            (Value::V128(bits), ValType::V128) => Ok((bits as u64, (bits >> 64) as u64)),
            _ => Ok((self.to_bits(value, ty)?, 0)),
        }
    }

    /// A low and a high half as value of a type.
    #[expect(clippy::wrong_self_convention, reason = "converts the argument, not the store")]
    pub(crate) fn from_halves(&self, (low, high): (u64, u64), ty: ValType) -> Result<Value> {
        match ty {
            ValType::V128 => Ok(Value::V128(u128::from(high) << 64 | u128::from(low))),
            _ => self.from_bits(low, ty),
        }
    }

    /// A value of the host's that is no vector as slot; wrong types are errors of use.
    #[expect(clippy::wrong_self_convention, reason = "converts the argument, not the store")]
    pub(crate) fn to_bits(&mut self, value: Value, ty: ValType) -> Result<u64> {
        if !self.value_matches(value, ty) {
            return Err(Error::usage(format!("value {value:?} is not of type {ty:?}")));
        }
        Ok(match value {
            Value::I32(value) => u64::from(value as u32),
            Value::I64(value) => value as u64,
            Value::F32(bits) => u64::from(bits),
            Value::F64(bits) => bits,
            Value::V128(_) => return Err(Error::crash("vector in one slot")),
            Value::Ref(value) => {
                match value {
                    Ref::Null => Bits::NULL,
                    Ref::I31(value) | Ref::Extern(ExternRef::I31(value)) => Bits::i31(value as u32),
                    Ref::Struct(addr)
                    | Ref::Array(addr)
                    | Ref::Exn(addr)
                    | Ref::Extern(ExternRef::Struct(addr) | ExternRef::Array(addr)) => Bits::object(addr.0),
                    Ref::Func(addr) => Bits::func(addr.0),
                    Ref::Host(token) | Ref::Extern(ExternRef::Host(token)) => Bits::host(self.intern(token)),
                }
                .0
            }
        })
    }

    fn intern(&mut self, token: u64) -> u32 {
        if let Some(&index) = self.token_index.get(&token) {
            return index;
        }
        let index = self.tokens.len() as u32;
        self.tokens.push(token);
        self.token_index.insert(token, index);
        index
    }

    /// A slot as value of a type (with canonical types) that is no vector.
    #[expect(clippy::wrong_self_convention, reason = "converts the argument, not the store")]
    pub(crate) fn from_bits(&self, bits: u64, ty: ValType) -> Result<Value> {
        Ok(match ty {
            ValType::I32 => Value::I32(bits as u32 as i32),
            ValType::I64 => Value::I64(bits as i64),
            ValType::F32 => Value::F32(bits as u32),
            ValType::F64 => Value::F64(bits),
            ValType::V128 => return Err(Error::crash("vector in one slot")),
            ValType::Ref(ty) => Value::Ref(self.ref_from_bits(bits, ty)?),
        })
    }

    pub(crate) fn ref_from_bits(&self, bits: u64, ty: RefType) -> Result<Ref> {
        let value = match Bits(bits).unpack() {
            Unpacked::Null => Ref::Null,
            Unpacked::I31(value) => Ref::I31(i31_signed(value)),
            Unpacked::Func(index) => Ref::Func(FuncAddr(index)),
            Unpacked::Host(index) => match self.tokens.get(index as usize) {
                Some(&token) => Ref::Host(token),
                None => return Err(Error::crash("unknown host value")),
            },
            Unpacked::Object(index) => {
                let object =
                    self.heap.get(index).ok_or_else(|| Error::crash("reference to a freed object"))?;
                match object.payload {
                    Payload::Struct(_) => Ref::Struct(ObjectAddr(index)),
                    Payload::Exception { .. } => Ref::Exn(ObjectAddr(index)),
                    _ => Ref::Array(ObjectAddr(index)),
                }
            }
            Unpacked::Invalid => return Err(Error::crash("a slot that is no reference")),
        };
        Ok(value.seen_from(self.types.hierarchy(ty.heap)))
    }
}
