//! Wasmtime under the script.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use assay_runtime as ours;

use ::wasmtime::{
    AsContextMut, Engine, Error, Extern, Func, Global, Instance, Memory, Module, RootScope, Store,
    StoreContextMut, Table, Tag, ThrownException, Val,
};
use wasmparser::TypeRef;

use super::super::Shelf;
use super::super::host::{self, HostItem};
use super::super::script::{Executor, Look};
use super::fuel;
use super::graph::{Books, View};
use super::host::{Data, collect};
use super::origins::{Exposed, expose};
use super::outcome::{instantiation, outcome};
use super::values::{argument, raw};
use crate::case::Slice;
use crate::graph::{GraphBuilder, GraphLimits, HeapGraph, RawValue};
use crate::observe::{Counters, Outcome, RejectStage, TraceEvent, Value};

/// An importable or exported item.
#[derive(Clone, Copy)]
pub(super) enum Item {
    Func(Func),
    Global(Global),
    Table(Table),
    Memory(Memory),
    Tag(Tag),
}

/// A module, and what is known of it.
#[derive(Clone)]
pub(super) struct PeerModule {
    module: Module,
    exposed: Arc<Exposed>,
}

/// An instance: its place among those that could be made.
#[derive(Clone, Copy)]
pub(super) struct PeerInstance(usize);

/// An instance's number and its own exports.
struct Made {
    number: u32,
    exports: Vec<(String, Item)>,
}

/// Wasmtime with one fresh store.
pub(super) struct Peer {
    pub(super) engine: Engine,
    pub(super) store: Store<Data>,
    pub(super) books: Books,
    /// For the front end that tells malformed modules from invalid ones.
    pub(super) shelf: Shelf,
    /// Whether fuel is counted.
    pub(super) counts: bool,
    /// Whether calls are suspended under way.
    pub(super) yields: bool,
    instances: Vec<Made>,
    /// Instances so far, those that failed to start as well.
    numbers: u32,
    fuel: fuel::Budget,
}

impl Peer {
    pub(super) fn new(
        engine: Engine,
        store: Store<Data>,
        books: Books,
        shelf: Shelf,
        (counts, yields): (bool, bool),
    ) -> Peer {
        Peer {
            engine,
            store,
            books,
            shelf,
            counts,
            yields,
            instances: Vec::new(),
            numbers: 0,
            fuel: fuel::Budget::default(),
        }
    }

    /// Why Wasmtime refuses a module. It does not tell what is malformed from what is invalid: that the JIT's front end says.
    fn refused(&self, bytes: &[u8], error: &Error) -> Outcome {
        let text = format!("{error:#}");
        let judged = self
            .shelf
            .engine(&ours::Config { legacy_exceptions: true, ..ours::Config::default() })
            .and_then(|engine| ours::Module::validate(&engine, bytes));
        let lacks = ["not enabled", "unsupported", "not supported", "limit", "too large", "too many"];
        match judged {
            Err(error) => match error.kind() {
                ours::ErrorKind::Malformed { .. } => Outcome::Rejected(RejectStage::Malformed, text),
                _ => Outcome::Rejected(RejectStage::Invalid, text),
            },
            Ok(()) if lacks.iter().any(|lacks| text.contains(lacks)) => Outcome::Unsupported(text),
            Ok(()) => Outcome::Rejected(RejectStage::Invalid, text),
        }
    }

    /// Takes down where an instance's functions and tags come from, and gives its own exports.
    fn register(&mut self, instance: Instance, number: u32, exposed: &Exposed, imports: &[Item]) -> Made {
        let mut imported = (Vec::new(), Vec::new());
        for (item, ty) in imports.iter().zip(&exposed.imports) {
            match (item, ty) {
                (Item::Func(func), TypeRef::Func(_) | TypeRef::FuncExact(_)) => {
                    imported.0.push(self.books.origins.func(func.to_raw(&mut self.store)).ok());
                }
                (Item::Tag(tag), TypeRef::Tag(_)) => imported.1.push(*tag),
                _ => {}
            }
        }
        for &index in &exposed.funcs {
            let Some(func) = instance.get_func(&mut self.store, &exposed.func(index)) else { continue };
            let origin = match imported.0.get(index as usize) {
                Some(origin) => *origin,
                None => Some((number, index)),
            };
            if let Some(origin) = origin {
                self.books.origins.add_func(func.to_raw(&mut self.store), origin);
            }
        }
        for index in imported.1.len() as u32..exposed.tags {
            if let Some(tag) = instance.get_tag(&mut self.store, &exposed.tag(index)) {
                self.books.origins.add_tag(tag, (number, index));
            }
        }
        let exports = instance.exports(&mut self.store).map(|export| {
            let name = export.name().to_owned();
            (name, export.into_extern())
        });
        let own = exports.filter(|(name, _)| !name.starts_with(&exposed.prefix));
        let exports = own.filter_map(|(name, item)| Some((name, of_extern(item)?))).collect();
        Made { number, exports }
    }
}

/// An export as an item; none for those of proposals that are off.
fn of_extern(item: Extern) -> Option<Item> {
    match item {
        Extern::Func(func) => Some(Item::Func(func)),
        Extern::Global(global) => Some(Item::Global(global)),
        Extern::Table(table) => Some(Item::Table(table)),
        Extern::Memory(memory) => Some(Item::Memory(memory)),
        Extern::Tag(tag) => Some(Item::Tag(tag)),
        Extern::SharedMemory(_) => None,
    }
}

fn to_extern(item: Item) -> Extern {
    match item {
        Item::Func(func) => Extern::Func(func),
        Item::Global(global) => Extern::Global(global),
        Item::Table(table) => Extern::Table(table),
        Item::Memory(memory) => Extern::Memory(memory),
        Item::Tag(tag) => Extern::Tag(tag),
    }
}

impl Executor for Peer {
    type Module = PeerModule;
    type Instance = PeerInstance;
    type Extern = Item;
    type Fiber = Infallible;
    type Id = u32;

    fn module(&mut self, bytes: &[u8]) -> Result<PeerModule, Outcome> {
        let exposed = match expose(bytes) {
            Ok(exposed) => exposed,
            // Wasmtime's word counts, not that of the parser here.
            Err(unread) => {
                return Err(match Module::validate(&self.engine, bytes) {
                    Err(error) => self.refused(bytes, &error),
                    Ok(()) => Outcome::Crashed(format!("accepted what cannot be read: {unread}")),
                });
            }
        };
        let module = Module::new(&self.engine, &exposed.bytes).map_err(|e| self.refused(bytes, &e))?;
        if exposed.fuses {
            return Err(Outcome::Unsupported("relaxed_madd: Wasmtime rounds once, the profile twice".into()));
        }
        self.fuel.compiled(exposed.longest);
        self.books.types.add(&exposed.types);
        Ok(PeerModule { module, exposed: Arc::new(exposed) })
    }

    fn check(&mut self, bytes: &[u8]) -> Outcome {
        match Module::validate(&self.engine, bytes) {
            Ok(()) => Outcome::Done,
            Err(error) => self.refused(bytes, &error),
        }
    }

    fn imports(&self, module: &PeerModule) -> Vec<(String, String)> {
        module.module.imports().map(|import| (import.module().to_owned(), import.name().to_owned())).collect()
    }

    fn instantiate(&mut self, module: &PeerModule, imports: &[Item]) -> Result<PeerInstance, Outcome> {
        self.refuel();
        let externs: Vec<Extern> = imports.iter().map(|item| to_extern(*item)).collect();
        let yields = self.yields;
        let mut scope = RootScope::new(&mut self.store);
        let made = if yields {
            finish(Instance::new_async(&mut scope, &module.module, &externs))
        } else {
            Instance::new(&mut scope, &module.module, &externs)
        };
        let made = made.map_err(|error| {
            if error.is::<ThrownException>() {
                return thrown(&mut scope.as_context_mut(), &mut self.books);
            }
            instantiation(&error)
        });
        drop(scope);
        let instance = match made {
            Ok(instance) => instance,
            Err(outcome) => {
                self.numbers += u32::from(!matches!(outcome, Outcome::Rejected(..)));
                return Err(outcome);
            }
        };
        let made = self.register(instance, self.numbers, &module.exposed, imports);
        self.numbers += 1;
        self.instances.push(made);
        Ok(PeerInstance(self.instances.len() - 1))
    }

    fn provide(&mut self, item: HostItem) -> Result<Item, Outcome> {
        let made = super::host::item(&mut self.store, item, self.yields).map_err(|e| outcome(&e))?;
        if let Some(Item::Func(func)) = &made {
            self.books.origins.add_host(func.to_raw(&mut self.store));
        }
        made.ok_or_else(|| Outcome::Unsupported("host global".into()))
    }

    fn number(&self, instance: PeerInstance) -> u32 {
        self.instances[instance.0].number
    }

    fn export(&self, instance: PeerInstance, name: &str) -> Option<Item> {
        self.instances[instance.0].exports.iter().find(|(known, _)| known == name).map(|(_, item)| *item)
    }

    fn exports(&self, instance: PeerInstance) -> Vec<(String, Item)> {
        self.instances[instance.0].exports.clone()
    }

    fn set_fuel(&mut self, fuel: Option<u64>) {
        self.books.release();
        self.fuel.step(fuel);
    }

    fn invoke(&mut self, function: Item, args: &[Value]) -> Outcome {
        let Item::Func(func) = function else {
            return Outcome::BadStep("the export is no function".into());
        };
        self.refuel();
        let ty = func.ty(&self.store);
        if ty.params().len() != args.len() {
            return Outcome::BadStep("wrong number of arguments".into());
        }
        let mut scope = RootScope::new(&mut self.store);
        let mut values = Vec::with_capacity(args.len());
        for (arg, ty) in args.iter().zip(ty.params()) {
            match argument(&mut scope.as_context_mut(), *arg, &ty) {
                Ok(Some(value)) => values.push(value),
                Ok(None) => {
                    return Outcome::BadStep(format!("argument {arg:?} does not match its parameter"));
                }
                Err(error) => return outcome(&error),
            }
        }
        let mut results = vec![Val::I32(0); ty.results().len()];
        let ended = if self.yields {
            finish(func.call_async(&mut scope, &values, &mut results))
        } else {
            func.call(&mut scope, &values, &mut results)
        };
        let store = &mut scope.as_context_mut();
        match ended {
            Ok(()) => returned(store, &mut self.books, &results).unwrap_or_else(|outcome| outcome),
            Err(error) if error.is::<ThrownException>() => thrown(store, &mut self.books),
            Err(error) => outcome(&error),
        }
    }

    /// A future of Wasmtime's borrows its store, so two calls of one store cannot both wait while a third runs.
    fn start(&mut self, _function: Item, _args: &[Value]) -> Result<Infallible, Outcome> {
        Err(Outcome::Unsupported("fibers: one call at a time may wait in a store of Wasmtime's".into()))
    }

    fn resume(&mut self, fiber: Infallible, _slice: Slice) -> Result<Outcome, &'static str> {
        match fiber {}
    }

    fn cancel(&mut self, fiber: Infallible) -> Outcome {
        match fiber {}
    }

    fn advance_epoch(&mut self) {
        self.engine.increment_epoch();
    }

    /// Asked for between turns of fibers only, which there are none of.
    fn fuel(&self) -> u64 {
        0
    }

    fn record(&mut self, name: &str, args: Vec<Value>) {
        self.store.data_mut().host.record(name, args);
    }

    fn look(&mut self, export: Item, elements: u64) -> Result<Look<u32>, Outcome> {
        let mut scope = RootScope::new(&mut self.store);
        let store = &mut scope.as_context_mut();
        Ok(match export {
            Item::Func(_) => Look::Function,
            Item::Tag(_) => Look::Tag,
            Item::Global(global) => {
                let value = global.get(&mut *store);
                Look::Global(raw(store, &mut self.books, value)?)
            }
            Item::Table(table) => {
                let len = table.size(&*store);
                let mut values = Vec::new();
                for index in 0..len.min(elements) {
                    let Some(value) = table.get(&mut *store, index) else { break };
                    values.push(raw(store, &mut self.books, value.into())?);
                }
                Look::Table(len, values)
            }
            Item::Memory(memory) => {
                let bytes = memory.data(&*store);
                Look::Memory(bytes.len() as u64, host::hash(bytes))
            }
        })
    }

    fn kept(&mut self) -> Result<Vec<RawValue<u32>>, Outcome> {
        let kept = self.store.data().host.kept.clone();
        let mut scope = RootScope::new(&mut self.store);
        let store = &mut scope.as_context_mut();
        let mut values = Vec::with_capacity(kept.len());
        for reference in kept {
            let rooted = reference.map(|reference| reference.to_rooted(&mut *store));
            values.push(raw(store, &mut self.books, Val::AnyRef(rooted))?);
        }
        Ok(values)
    }

    fn graph(&mut self, builder: GraphBuilder<u32>) -> Result<HeapGraph, Outcome> {
        graph(&mut self.store.as_context_mut(), &mut self.books, builder)
    }

    fn collect(&mut self) -> Result<(), Outcome> {
        self.books.release();
        collect(&mut self.store.as_context_mut()).map_err(|e| outcome(&e))
    }

    /// Wasmtime does not tell.
    fn live(&mut self) -> Result<Option<u64>, Outcome> {
        Ok(None)
    }

    fn trace(&mut self) -> Vec<TraceEvent> {
        std::mem::take(&mut self.store.data_mut().host.trace)
    }

    fn counters(&mut self) -> Counters {
        Counters { collections: self.store.data().collections, ..Counters::default() }
    }
}

impl Peer {
    /// Gives Wasmtime what the step has of fuel.
    fn refuel(&mut self) {
        if self.counts {
            let set = self.store.set_fuel(self.fuel.for_wasmtime());
            debug_assert!(set.is_ok(), "fuel is counted");
        }
    }
}

/// A call's results.
fn returned(
    store: &mut StoreContextMut<'_, Data>,
    books: &mut Books,
    results: &[Val],
) -> Result<Outcome, Outcome> {
    let mut builder = GraphBuilder::new(GraphLimits::default());
    let mut values = Vec::with_capacity(results.len());
    for value in results {
        values.push(builder.root(raw(store, books, *value)?));
    }
    Ok(Outcome::Returned { values, graph: graph(store, books, builder)? })
}

/// What was thrown, with what it reaches.
fn thrown(store: &mut StoreContextMut<'_, Data>, books: &mut Books) -> Outcome {
    let Some(exception) = store.take_pending_exception() else {
        return Outcome::Crashed("thrown, but nothing is pending".into());
    };
    let mut builder = GraphBuilder::new(GraphLimits::default());
    let made = raw(store, books, Val::ExnRef(Some(exception))).and_then(|raw| {
        builder.root(raw);
        graph(store, books, builder)
    });
    match made {
        Ok(graph) => Outcome::Thrown { graph },
        Err(outcome) => outcome,
    }
}

fn graph(
    store: &mut StoreContextMut<'_, Data>,
    books: &mut Books,
    builder: GraphBuilder<u32>,
) -> Result<HeapGraph, Outcome> {
    let mut view = View { store, books, broken: None };
    let graph = builder.finish(&mut view);
    let broken = view.broken.take();
    books.release();
    match broken {
        Some(outcome) => Err(outcome),
        None => Ok(graph),
    }
}

/// Goes on with a call whenever it waits: nothing here waits for anything.
fn finish<T>(call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(ended) = call.as_mut().poll(&mut context) {
            return ended;
        }
    }
}
