//! The stores of a script with everything that was made in them, and the calls.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use assay_gc::Stress;
use assay_runtime::{
    AbstractHeapType, Caller, CollectKind, Error, ErrorKind, Exception, ExternRef, Fiber, Func, FuncType,
    Global, GlobalType, HeapType, Instance, Linker, Memory, MemoryType, Module, RefType, Rooted, Slice,
    Store, StoreInner, Table, TableType, Tag, Turn, Usage, Val, ValType,
};

use super::{Done, Engines, STORES, is_permitted};

/// Values that are kept, at most.
const VALUES: usize = 24;

/// Fuel of a call.
const FUEL: u64 = 20_000;

/// Bytes that do not run out where a call needs one: then it is 0, and the script ends.
struct Bytes {
    bytes: Vec<u8>,
    at: usize,
}

impl Bytes {
    fn byte(&mut self) -> usize {
        self.at += 1;
        self.bytes.get(self.at - 1).copied().map_or(0, usize::from)
    }

    fn below(&mut self, n: usize) -> usize {
        if n < 2 { 0 } else { self.byte() % n }
    }
}

/// What host functions share with the script.
#[derive(Clone)]
struct Shared {
    bytes: Arc<Mutex<Bytes>>,
    values: Arc<Mutex<Vec<Val>>>,
    nested: Arc<AtomicU64>,
    /// What a host function saw that must not be.
    wrong: Arc<Mutex<Option<String>>>,
}

/// One store, with what is its own.
struct Place {
    store: Store,
    module: Module,
    tag: Tag,
}

/// A handle, and the store that it is of.
type Of<T> = (u64, T);

/// Everything.
pub(super) struct World {
    shared: Shared,
    places: Vec<Place>,
    /// Modules and engines of later stores.
    kinds: Vec<(assay_runtime::Engine, Module)>,
    instances: Vec<Of<Instance>>,
    funcs: Vec<Of<Func>>,
    tables: Vec<Of<Table>>,
    globals: Vec<Of<Global>>,
    memories: Vec<Of<Memory>>,
    tags: Vec<Of<Tag>>,
    fibers: Vec<Of<Fiber>>,
    exceptions: Vec<Exception>,
    done: Done,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn reference(heap: AbstractHeapType) -> ValType {
    ValType::Ref(RefType { nullable: true, heap: HeapType::Abstract(heap) })
}

/// The store that a value's handle is of; none of plain values and null, `Some(false)` of another store.
fn is_of(store: &StoreInner, value: &Val) -> Option<bool> {
    match value {
        Val::AnyRef(Some(handle)) | Val::ExternRef(Some(handle)) | Val::ExnRef(Some(handle)) => {
            Some(store.inspect(handle).is_ok())
        }
        Val::FuncRef(Some(func)) => Some(func.type_id(store).is_ok()),
        _ => None,
    }
}

fn handle(value: &Val) -> Option<&Rooted> {
    match value {
        Val::AnyRef(handle) | Val::ExternRef(handle) | Val::ExnRef(handle) => handle.as_ref(),
        _ => None,
    }
}

/// Whether both are the same in this store.
fn equal(store: &StoreInner, a: &Val, b: &Val) -> bool {
    match (handle(a), handle(b)) {
        (Some(a), Some(b)) => a.ref_eq(store, b).unwrap_or(false),
        (None, None) => match (a, b) {
            (Val::I64(a), Val::I64(b)) => a == b,
            (Val::I32(a), Val::I32(b)) => a == b,
            (Val::FuncRef(a), Val::FuncRef(b)) => a == b,
            _ => std::mem::discriminant(a) == std::mem::discriminant(b),
        },
        _ => false,
    }
}

impl World {
    pub(super) fn new(bytes: &[u8], engines: &Engines) -> Result<World, Error> {
        let mut bytes = Bytes { bytes: bytes.to_vec(), at: 0 };
        let kinds = [bytes.byte(), bytes.byte()].map(|byte| engines.get(byte));
        let kinds = kinds.into_iter().collect::<Result<Vec<_>, Error>>()?;
        let shared = Shared {
            bytes: Arc::new(Mutex::new(bytes)),
            values: Arc::default(),
            nested: Arc::default(),
            wrong: Arc::default(),
        };
        let mut world = World {
            shared,
            places: Vec::new(),
            kinds,
            instances: Vec::new(),
            funcs: Vec::new(),
            tables: Vec::new(),
            globals: Vec::new(),
            memories: Vec::new(),
            tags: Vec::new(),
            fibers: Vec::new(),
            exceptions: Vec::new(),
            done: Done::default(),
        };
        world.open()?;
        world.open()?;
        Ok(world)
    }

    fn byte(&self) -> usize {
        lock(&self.shared.bytes).byte()
    }

    fn below(&self, n: usize) -> usize {
        lock(&self.shared.bytes).below(n)
    }

    /// Another store, with an instance.
    fn open(&mut self) -> Result<(), Error> {
        let (engine, module) = self.kinds[self.below(self.kinds.len())].clone();
        let mut store = Store::new(&engine)?;
        let modes = self.byte();
        store.set_stress(Stress {
            poison: true,
            every_alloc: modes & 3 == 3,
            verify: modes & 12 == 12,
            barrier_slow: modes & 48 == 48,
            move_always: modes & 64 == 64,
            ..Stress::default()
        });
        store.set_fuel(FUEL);
        let any = reference(AbstractHeapType::Any);
        let func = FuncType { params: [any].into(), results: [].into() };
        let group = engine.register(&[assay_runtime::SubType {
            is_final: true,
            supertype: None,
            composite: assay_runtime::CompositeType::Func(func),
        }])?;
        let tag = Tag::new(&mut store, group.ids()[0])?;
        self.tags.push((store.id(), tag));
        self.places.push(Place { store, module, tag });
        self.instantiate(self.places.len() - 1)
    }

    fn instantiate(&mut self, at: usize) -> Result<(), Error> {
        let host = self.host_function(at)?;
        let Place { store, module, tag } = &mut self.places[at];
        let mut linker = Linker::new();
        linker.define("host", "call", assay_runtime::Extern::Func(host));
        linker.define("host", "tag", assay_runtime::Extern::Tag(*tag));
        let instance = linker.instantiate(store, module)?;
        let id = store.id();
        self.instances.push((id, instance));
        for (_, export) in instance.exports(store)? {
            self.funcs.extend(export.func().map(|func| (id, func)));
            self.tables.extend(export.table().map(|table| (id, table)));
            self.globals.extend(export.global().map(|global| (id, global)));
            self.memories.extend(export.memory().map(|memory| (id, memory)));
        }
        Ok(())
    }

    /// `(anyref, i32) -> anyref`, which does what the script says next.
    fn host_function(&mut self, at: usize) -> Result<Func, Error> {
        let shared = self.shared.clone();
        let any = reference(AbstractHeapType::Any);
        let ty = FuncType { params: [any, ValType::I32].into(), results: [any].into() };
        let own = self.places[at].store.id();
        let callable: Vec<Func> = self.funcs.iter().filter(|of| of.0 == own).map(|of| of.1).collect();
        let tag = self.places[at].tag;
        let store = &mut self.places[at].store;
        let func = Func::new(store, ty, move |caller, args, results| {
            nested(&shared, caller, &callable, tag, args, results)
        })?;
        self.funcs.push((own, func));
        Ok(func)
    }

    /// One of these, mostly of store `id`; the byte is taken even if there is none.
    fn pick<T: Copy>(&self, of: &[Of<T>], id: u64) -> Option<Of<T>> {
        let byte = self.byte();
        let own: Vec<Of<T>> = of.iter().copied().filter(|item| item.0 == id).collect();
        let from = if byte >= 224 || own.is_empty() { of } else { &own };
        from.get(byte % from.len().max(1)).copied()
    }

    /// A value that some call gave, or a new one.
    fn value(&self) -> Val {
        let values = lock(&self.shared.values);
        let which = self.byte();
        match which % 8 {
            0 => Val::AnyRef(None),
            1 => Val::I64(which as i64),
            2 => match self.funcs.get(which % self.funcs.len().max(1)) {
                Some((_, func)) => Val::FuncRef(Some(*func)),
                None => Val::FuncRef(None),
            },
            _ => values.get(self.below(values.len())).cloned().unwrap_or(Val::ExternRef(None)),
        }
    }

    /// The same, of the store at hand more often than not.
    fn value_for(&self, at: usize) -> Val {
        let value = self.value();
        match is_of(&self.places[at].store, &value) {
            Some(false) if self.below(4) != 0 => Val::AnyRef(None),
            _ => value,
        }
    }

    fn keep(&self, values: impl IntoIterator<Item = Val>) {
        let mut kept = lock(&self.shared.values);
        for value in values {
            if kept.len() >= VALUES {
                kept.remove(0);
            }
            kept.push(value);
        }
    }

    /// Judges what a call came to. `foreign`: whether its handle is another store's, so that it must be refused for that.
    fn judge<T>(&mut self, what: &str, foreign: bool, result: Result<T, Error>) -> Result<Option<T>, String> {
        self.done.calls += 1;
        if let Some(wrong) = lock(&self.shared.wrong).take() {
            return Err(format!("in a host function: {wrong}"));
        }
        match result {
            Ok(_) if foreign => Err(format!("{what}: a handle of another store is taken")),
            Ok(value) => {
                self.done.fine += 1;
                Ok(Some(value))
            }
            Err(error) => {
                let refused = matches!(error.kind(), ErrorKind::Usage(Usage::WrongStore));
                self.done.foreign += u64::from(refused);
                if foreign && !refused {
                    return Err(format!("{what}: a handle of another store gives {error}"));
                }
                if !is_permitted(error.kind()) {
                    return Err(format!("{what}: {error}"));
                }
                if let ErrorKind::Exception(exception) = error.into_kind() {
                    self.keep([Val::ExnRef(Some(exception.reference().clone()))]);
                    self.exceptions.truncate(8);
                    self.exceptions.insert(0, exception);
                }
                Ok(None)
            }
        }
    }

    /// One call; false at the end of the script.
    pub(super) fn step(&mut self) -> Result<bool, String> {
        if self.places.is_empty() {
            self.open().map_err(|error| error.to_string())?;
        }
        let at = self.below(self.places.len());
        let id = self.places[at].store.id();
        match self.below(24) {
            0..6 => self.call(at, id)?,
            6 | 7 => self.global(at, id)?,
            8 | 9 => self.table(at, id)?,
            10 => self.memory(at, id)?,
            11 | 12 => self.look(at)?,
            13..16 => self.fiber(at, id)?,
            16 => self.exception(at, id)?,
            17 => {
                let kind = match self.byte() {
                    byte if byte.is_multiple_of(3) => CollectKind::Full,
                    byte if byte % 3 == 1 => CollectKind::Minor,
                    byte => CollectKind::Slice { objects: byte as u32 },
                };
                let collected = self.places[at].store.gc(kind);
                self.judge("gc", false, collected)?;
            }
            18 => {
                let live = self.places[at].store.live_objects();
                self.judge("live_objects", false, live)?;
                let sound = self.places[at].store.verify_heap();
                self.judge("verify_heap", false, sound)?;
            }
            19 => {
                let value = Box::new(self.byte());
                let boxed = ExternRef::new(&mut self.places[at].store, value);
                let boxed = self.judge("ExternRef::new", false, boxed)?;
                self.keep(boxed.map(|handle| Val::ExternRef(Some(handle))));
            }
            20 => {
                let number = self.byte() as u32;
                let value = Val::i31(&mut self.places[at].store, number);
                self.keep([value]);
            }
            21 if self.instances.len() < 12 => {
                let made = self.instantiate(at);
                self.judge("instantiate", false, made)?;
            }
            22 if self.places.len() < STORES => {
                let opened = self.open();
                self.judge("open", false, opened)?;
            }
            // Handles outlive their store.
            22 if self.byte().is_multiple_of(4) => drop(self.places.remove(at)),
            _ => {
                let mut values = lock(&self.shared.values);
                if !values.is_empty() {
                    let which = self.below(values.len());
                    values.swap_remove(which);
                }
            }
        }
        let bytes = lock(&self.shared.bytes);
        Ok(bytes.at < bytes.bytes.len())
    }

    fn call(&mut self, at: usize, id: u64) -> Result<(), String> {
        let Some((owner, func)) = self.pick(&self.funcs, id) else { return Ok(()) };
        let number = Val::I32(self.byte() as i32);
        let mut args = vec![self.value_for(at), number];
        if self.byte().is_multiple_of(16) {
            args.pop();
        }
        let store = &mut self.places[at].store;
        store.set_fuel(FUEL);
        let strange = is_of(store, &args[0]) == Some(false);
        let results = func.call(store, &args);
        if owner == id && strange && results.is_ok() {
            return Err("call: an argument of another store is taken".to_owned());
        }
        let results = self.judge("call", owner != id, results)?;
        self.keep(results.into_iter().flatten());
        Ok(())
    }

    fn global(&mut self, at: usize, id: u64) -> Result<(), String> {
        let value = self.value_for(at);
        if self.globals.is_empty() || self.byte().is_multiple_of(4) {
            let heap = [
                AbstractHeapType::Any,
                AbstractHeapType::Eq,
                AbstractHeapType::Extern,
                AbstractHeapType::Exn,
            ];
            let content = reference(heap[self.below(4)]);
            let ty = GlobalType { content, mutable: self.below(4) != 0 };
            let store = &mut self.places[at].store;
            let made = Global::new(store, ty, &value);
            let made = self.judge("Global::new", false, made)?;
            self.globals.extend(made.map(|global| (id, global)));
            return Ok(());
        }
        let Some((owner, global)) = self.pick(&self.globals, id) else { return Ok(()) };
        let store = &mut self.places[at].store;
        let set = global.set(store, &value);
        if self.judge("Global::set", owner != id, set)?.is_some() {
            let store = &mut self.places[at].store;
            let _ = store.gc(CollectKind::Minor);
            let read = global.get(store);
            let read = self.judge("Global::get", false, read)?;
            if read.is_none_or(|read| !equal(&self.places[at].store, &read, &value)) {
                return Err(format!("a global does not hold what it was set to: {value:?}"));
            }
        } else {
            let read = global.get(&mut self.places[at].store);
            let read = self.judge("Global::get", owner != id, read)?;
            self.keep(read);
        }
        Ok(())
    }

    fn table(&mut self, at: usize, id: u64) -> Result<(), String> {
        let value = self.value_for(at);
        let (what, number) = (self.byte(), self.byte() as u64);
        let number = if what >= 240 { number << 56 } else { number % 24 };
        let store = &mut self.places[at].store;
        if self.tables.is_empty() || what.is_multiple_of(8) {
            let heap = [AbstractHeapType::Any, AbstractHeapType::Func, AbstractHeapType::Extern];
            let element = RefType { nullable: true, heap: HeapType::Abstract(heap[what / 8 % 3]) };
            let ty = TableType { element, min: number, max: None, is_64: what % 16 == 8 };
            let made = Table::new(store, ty, &value);
            let made = self.judge("Table::new", false, made)?;
            self.tables.extend(made.map(|table| (id, table)));
            return Ok(());
        }
        let Some((owner, table)) = self.pick(&self.tables, id) else { return Ok(()) };
        let store = &mut self.places[at].store;
        if what % 8 == 1 {
            let before = table.size(store);
            let grown = table.grow(store, number, &value);
            let grown = self.judge("Table::grow", owner != id, grown)?;
            if grown.is_some() && before.ok() != grown {
                return Err("a table grew from another size".to_owned());
            }
            return Ok(());
        }
        let set = table.set(store, number, &value);
        let set = self.judge("Table::set", owner != id, set)?;
        let store = &mut self.places[at].store;
        let _ = store.gc(CollectKind::Minor);
        let read = table.get(store, number);
        let read = self.judge("Table::get", owner != id, read)?.flatten();
        if set.is_some() && read.as_ref().is_none_or(|read| !equal(&self.places[at].store, read, &value)) {
            return Err(format!("a table does not hold what it was set to: {value:?}"));
        }
        self.keep(read);
        Ok(())
    }

    fn memory(&mut self, at: usize, id: u64) -> Result<(), String> {
        let (what, number) = (self.byte(), self.byte() as u64);
        let store = &mut self.places[at].store;
        if self.memories.is_empty() || what.is_multiple_of(8) {
            let made = Memory::new(store, MemoryType { min: number % 20, max: None, is_64: what % 16 == 8 });
            let made = self.judge("Memory::new", false, made)?;
            self.memories.extend(made.map(|memory| (id, memory)));
            return Ok(());
        }
        let Some((owner, memory)) = self.pick(&self.memories, id) else { return Ok(()) };
        let store = &mut self.places[at].store;
        if what % 8 == 1 {
            let grown = memory.grow(store, number % 8);
            self.judge("Memory::grow", owner != id, grown)?;
            return Ok(());
        }
        let place = if what >= 240 { u64::MAX - number } else { number << (what % 16) };
        let written = memory.write(store, place, b"assay");
        let written = self.judge("Memory::write", owner != id, written)?;
        let mut bytes = [0; 5];
        let read = memory.read(&self.places[at].store, place, &mut bytes);
        let read = self.judge("Memory::read", owner != id, read)?;
        if written.is_some() != read.is_some() || (written.is_some() && bytes != *b"assay") {
            return Err("a memory does not hold what was written".to_owned());
        }
        Ok(())
    }

    /// Looks into an object.
    fn look(&mut self, at: usize) -> Result<(), String> {
        let value = self.value();
        let index = self.byte() as u32;
        let Some(handle) = handle(&value) else { return Ok(()) };
        let store = &mut self.places[at].store;
        let foreign = store.inspect(handle).is_err();
        let copy = handle.clone();
        let kind = handle.kind(store);
        let (fields, length) = (handle.struct_len(store), handle.array_len(store));
        let (field, element) = (handle.field(store, index % 5), handle.elem(store, index));
        let (number, same) = (handle.i31(store), handle.ref_eq(store, &copy));
        self.judge("Rooted::kind", foreign, kind)?;
        let fields = self.judge("Rooted::struct_len", foreign, fields)?.flatten();
        let length = self.judge("Rooted::array_len", foreign, length)?.flatten();
        let field = self.judge("Rooted::field", foreign, field)?.flatten();
        let element = self.judge("Rooted::elem", foreign, element)?.flatten();
        self.judge("Rooted::i31", foreign, number)?;
        if self.judge("Rooted::ref_eq", foreign, same)? == Some(false) {
            return Err("a handle is not what its copy is".to_owned());
        }
        if field.is_some() != fields.is_some_and(|count| index % 5 < count)
            || element.is_some() != length.is_some_and(|count| index < count)
        {
            return Err(format!("a handle has {fields:?} fields, {length:?} elements, and none at {index}"));
        }
        self.keep(field.into_iter().chain(element));
        Ok(())
    }

    fn fiber(&mut self, at: usize, id: u64) -> Result<(), String> {
        let (what, number) = (self.byte(), self.byte());
        if self.fibers.is_empty() || what.is_multiple_of(4) {
            let Some((owner, func)) = self.pick(&self.funcs, id) else { return Ok(()) };
            let args = [self.value_for(at), Val::I32(number as i32)];
            let made = Fiber::new(&mut self.places[at].store, func, &args);
            let made = self.judge("Fiber::new", owner != id, made)?;
            self.fibers.extend(made.map(|fiber| (id, fiber)));
            return Ok(());
        }
        let Some((owner, fiber)) = self.pick(&self.fibers, id) else { return Ok(()) };
        let store = &mut self.places[at].store;
        store.set_fuel(FUEL);
        if what % 16 == 1 {
            let cancelled = fiber.cancel(store);
            self.judge("Fiber::cancel", owner != id, cancelled)?;
            return Ok(());
        }
        let fuel = (what % 16 != 2).then_some(number as u64 % 40);
        let slice = Slice { fuel, epochs: (what % 16 == 3).then_some(1) };
        let turn = fiber.resume(store, slice);
        // A slice of nothing is refused before anything else is looked at.
        let foreign = owner != id && fuel != Some(0);
        if let Some(Turn::Done(ended)) = self.judge("Fiber::resume", foreign, turn)? {
            let results = self.judge("a fiber", false, ended)?;
            self.keep(results.into_iter().flatten());
            // One that has ended is resumed once more now and then.
            if !self.byte().is_multiple_of(4) {
                self.fibers.retain(|of| *of != (owner, fiber));
            }
        }
        Ok(())
    }

    fn exception(&mut self, at: usize, id: u64) -> Result<(), String> {
        let value = self.value_for(at);
        let Some((owner, tag)) = self.pick(&self.tags, id) else { return Ok(()) };
        let made = Exception::new(&mut self.places[at].store, tag, &[value]);
        let made = self.judge("Exception::new", owner != id, made)?;
        if let Some(made) = made {
            self.exceptions.truncate(8);
            self.exceptions.insert(0, made);
        }
        let Some(exception) = self.exceptions.first() else { return Ok(()) };
        let reference = exception.reference().clone();
        let store = &mut self.places[at].store;
        let foreign = store.inspect(&reference).is_err();
        let payload = exception.payload(store);
        let again = Exception::of_ref(store, &reference);
        let payload = self.judge("Exception::payload", foreign, payload)?;
        self.judge("Exception::of_ref", foreign, again)?;
        self.keep(payload.into_iter().flatten());
        Ok(())
    }

    /// All heaps are sound.
    pub(super) fn end(mut self) -> Result<Done, String> {
        for at in 0..self.places.len() {
            let sound = self.places[at].store.verify_heap();
            self.judge("verify_heap", false, sound)?;
        }
        self.fibers.clear();
        self.places.clear();
        self.done.nested = self.shared.nested.load(Ordering::Relaxed);
        Ok(self.done)
    }
}

/// What a host function does: the script's next bytes say it.
fn nested(
    shared: &Shared,
    caller: &mut Caller<'_>,
    callable: &[Func],
    tag: Tag,
    args: &[Val],
    results: &mut Vec<Val>,
) -> Result<(), Error> {
    let count = shared.nested.fetch_add(1, Ordering::Relaxed);
    let (what, number) = {
        let mut bytes = lock(&shared.bytes);
        (bytes.byte(), bytes.byte())
    };
    let argument = args[0].clone();
    let mut result = argument.clone();
    match what % 12 {
        0 => caller.gc(CollectKind::Full)?,
        1 => caller.gc(CollectKind::Minor)?,
        2 => return Err(Exception::new(caller, tag, &[argument])?.into()),
        3 => return Err(Error::host("the host says no")),
        4 => caller.suspend()?,
        // Into wasm again; not for ever.
        5..8 if count < 1000 => {
            if let Some(func) = callable.get(number % callable.len().max(1)) {
                let given = func.call(caller, &[argument, Val::I32(number as i32)])?;
                result = given.into_iter().next().unwrap_or(Val::I32(0));
            }
        }
        // Of another type or store, or too many.
        8 => {
            let values = lock(&shared.values);
            result = values.get(number % values.len().max(1)).cloned().unwrap_or(Val::I32(1));
        }
        9 => results.push(Val::I32(0)),
        10 => {
            let live = caller.live_objects();
            if live.is_ok() {
                *lock(&shared.wrong) = Some("live objects were counted while wasm code is active".to_owned());
            }
            caller.verify_heap()?;
        }
        _ => {
            let mut values = lock(&shared.values);
            if values.len() < VALUES {
                values.push(argument);
            }
        }
    }
    results.push(result);
    Ok(())
}
