//! The JIT engine as a subject, under a configuration.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use assay_runtime as wasm;
use wasm::{
    Caller, Cpu, Engine, Error, ErrorKind, Extern, ExternRef, Fiber, Func, GcRef, Instance, Memory, Module,
    OptLevel, RawVal, RefKind, RegAlloc, Rooted, Store, StoreInner, TrapCode, Turn, TypeId, Val, Yield,
};

use super::host::{self, HostItem, HostOp, HostState, HostType};
use super::interp::{DEFAULT_GC_HEAP, MAX_MEMORY_PAGES, MAX_TABLE_ELEMENTS};
use super::script::{self, Executor, Look};
use super::turns::Turns;
use super::{Features, Shelf, Subject, stress};
use crate::case::Slice;
use crate::graph::{
    CompositeShape, FieldShape, GraphBuilder, GraphLimits, HeapGraph, HeapShape, HeapView, NodeRef,
    ObjectKind, RawValue, StorageShape, SubTypeShape, TypeKey, TypeKeys, TypeView,
};
use crate::observe::{
    Counters, Executed, FiberCounters, HeapCounters, Outcome, RejectStage, Resource, TraceEvent, TrapKind,
    Value,
};
use crate::{Case, Observation};

/// Bytes that a heap has at first, at most.
const INITIAL_GC_HEAP: u64 = 1 << 20;

/// A configuration of the JIT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JitOptions {
    /// Name of the collector.
    pub collector: String,
    /// Optimisation.
    pub opt: OptLevel,
    /// Register allocator, where it is not the level's own (see [`JitOptions::allocator`]).
    pub regalloc: Option<RegAlloc>,
    /// What of the processor the code may use.
    pub cpu: Cpu,
    /// Whether calls run on fibers that are suspended now and then.
    pub fibers: bool,
    /// The heap's testing modes; freed memory is filled unless they say otherwise.
    pub stress: wasm::Stress,
}

impl Default for JitOptions {
    fn default() -> Self {
        JitOptions {
            collector: "copying".into(),
            opt: OptLevel::Speed,
            regalloc: None,
            cpu: Cpu::Native,
            fibers: false,
            stress: wasm::Stress { poison: true, ..wasm::Stress::default() },
        }
    }
}

impl JitOptions {
    /// Sets one option by its spelling; false if there is none such.
    pub fn set(&mut self, option: &str) -> bool {
        match option {
            "opt=none" => self.opt = OptLevel::None,
            "opt=speed" => self.opt = OptLevel::Speed,
            "regalloc=single_pass" => self.regalloc = Some(RegAlloc::SinglePass),
            "regalloc=backtracking" => self.regalloc = Some(RegAlloc::Backtracking),
            "cpu=native" => self.cpu = Cpu::Native,
            "cpu=avx2" => self.cpu = Cpu::Avx2,
            "cpu=sse41" => self.cpu = Cpu::Sse41,
            "fibers" => self.fibers = true,
            mode => return stress::set(&mut self.stress, mode),
        }
        true
    }

    /// The register allocator: the quick one without optimisation, so that the default subjects cover both.
    pub fn allocator(&self) -> RegAlloc {
        self.regalloc.unwrap_or(match self.opt {
            OptLevel::None => RegAlloc::SinglePass,
            OptLevel::Speed => RegAlloc::Backtracking,
        })
    }

    /// `jit:…` with what differs from the defaults.
    pub fn name(&self) -> String {
        let mut name = format!("jit:{}", self.collector);
        let default = JitOptions { regalloc: None, ..self.clone() }.allocator();
        let other = |allocator| self.allocator() == allocator && default != allocator;
        for (given, text) in [
            (self.opt == OptLevel::None, ",opt=none"),
            (other(RegAlloc::SinglePass), ",regalloc=single_pass"),
            (other(RegAlloc::Backtracking), ",regalloc=backtracking"),
            (self.cpu == Cpu::Avx2, ",cpu=avx2"),
            (self.cpu == Cpu::Sse41, ",cpu=sse41"),
            (self.fibers, ",fibers"),
        ] {
            if given {
                name.push_str(text);
            }
        }
        name + &stress::spell(&self.stress)
    }
}

/// The JIT under a configuration.
#[derive(Debug)]
pub struct JitSubject {
    name: String,
    options: JitOptions,
    collects: bool,
    shelf: Shelf,
}

/// What a case decides of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    fuel: bool,
    /// Whether code passes safepoints of its own.
    polls: bool,
    /// Whether fibers can be suspended in code.
    yields: bool,
    barrier_slow: bool,
}

impl JitSubject {
    /// A subject on `shelf`; makes its first engine.
    ///
    /// # Errors
    /// An unknown collector, or what the machine lacks.
    pub fn new(options: JitOptions, shelf: &Shelf) -> Result<Self, Error> {
        let mut subject = JitSubject { name: options.name(), options, collects: false, shelf: shelf.clone() };
        let stress = &subject.options.stress;
        let key = Key {
            fuel: true,
            polls: stress.every_safepoint != 0,
            yields: subject.options.fibers,
            barrier_slow: stress.barrier_slow,
        };
        subject.collects = subject.engine(key)?.collector().constraints.collects;
        Ok(subject)
    }

    fn engine(&self, key: Key) -> Result<Engine, Error> {
        let options = &self.options;
        self.shelf.engine(&wasm::Config {
            collector: options.collector.clone(),
            opt: options.opt,
            regalloc: options.allocator(),
            cpu: options.cpu,
            fuel: key.fuel,
            polls: key.polls,
            yields: key.yields,
            stress: wasm::Stress { barrier_slow: key.barrier_slow, ..options.stress },
            gc_heap_max: DEFAULT_GC_HEAP,
            max_memory_pages: u64::from(MAX_MEMORY_PAGES),
            max_table_elements: u64::from(MAX_TABLE_ELEMENTS),
            // Cranelift's own check of its input: the engine's tests run it, and it takes half of a case's time.
            verifier: false,
            legacy_exceptions: true,
            ..wasm::Config::default()
        })
    }
}

impl Subject for JitSubject {
    fn name(&self) -> &str {
        &self.name
    }

    fn supports(&self) -> Features {
        Features {
            validates: true,
            gc: true,
            simd: true,
            relaxed_simd: true,
            constant_conversions: true,
            exceptions: true,
            legacy_exceptions: true,
            tail_calls: true,
            memory64: true,
            multi_memory: true,
            collects: self.collects,
            graphs: true,
            liveness: self.collects,
        }
    }

    fn observe(&mut self, case: &Case) -> Observation {
        let schedule = &case.schedule;
        let stress = schedule.stress(self.options.stress);
        let yields = self.options.fibers || schedule.fibers != 0;
        let key = Key {
            fuel: schedule.fuel.is_some() || yields,
            polls: schedule.wants_safepoints() || stress.every_safepoint != 0,
            yields,
            barrier_slow: stress.barrier_slow,
        };
        // A limit suffices for what is reachable. A collector that never collects would end nearly every limited case there.
        let limit = schedule.gc_heap_max.filter(|_| self.collects);
        let most = limit.unwrap_or(DEFAULT_GC_HEAP);
        // A limited heap must grow to its limit.
        let initial = (most / 4).min(INITIAL_GC_HEAP);
        let made =
            self.engine(key).and_then(|engine| Ok((Store::with_heap(&engine, initial, most)?, engine)));
        let (store, engine) = match made {
            Ok((mut store, engine)) => {
                store.set_stress(stress);
                store.set_schedule(&schedule.collections());
                (store, engine)
            }
            Err(error) => {
                let crash = Outcome::Crashed(format!("no store: {error}"));
                return Observation { outcomes: vec![crash; case.steps.len()], ..Observation::default() };
            }
        };
        let mut jit = Jit {
            engine,
            shelf: self.shelf.clone(),
            store,
            collects: self.collects,
            host: Arc::default(),
            boxes: Arc::default(),
            keys: TypeKeys::default(),
            turns: self.options.fibers.then(Turns::default),
        };
        script::run(&mut jit, case)
    }
}

type Shared = Arc<Mutex<HostState<Option<Rooted>>>>;

/// A host value of the harness; counts how many are alive.
struct Token {
    value: u64,
    alive: Arc<AtomicU64>,
}

impl Token {
    fn boxed(value: u64, alive: &Arc<AtomicU64>) -> Box<dyn Any + Send + Sync> {
        alive.fetch_add(1, Ordering::Relaxed);
        Box::new(Token { value, alive: alive.clone() })
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Jit {
    engine: Engine,
    shelf: Shelf,
    store: Store,
    collects: bool,
    host: Shared,
    /// Host values alive.
    boxes: Arc<AtomicU64>,
    keys: TypeKeys<TypeId>,
    /// How calls are cut into turns, if they are.
    turns: Option<Turns>,
}

impl Executor for Jit {
    type Module = Module;
    type Instance = Instance;
    type Extern = Extern;
    type Fiber = Fiber;
    type Id = u32;

    fn module(&mut self, bytes: &[u8]) -> Result<Module, Outcome> {
        self.shelf.module(&self.engine, bytes).map_err(|e| outcome(&e))
    }

    fn check(&mut self, bytes: &[u8]) -> Outcome {
        match Module::validate(&self.engine, bytes) {
            Ok(()) => Outcome::Done,
            Err(error) => outcome(&error),
        }
    }

    fn imports(&self, module: &Module) -> Vec<(String, String)> {
        module.imports().iter().map(|import| (import.module.clone(), import.name.clone())).collect()
    }

    fn instantiate(&mut self, module: &Module, imports: &[Extern]) -> Result<Instance, Outcome> {
        let made = match &mut self.turns {
            Some(turns) => turns.instantiate(&mut self.store, module, imports),
            None => Instance::new(&mut self.store, module, imports),
        };
        made.map_err(|e| self.failed(&e))
    }

    fn provide(&mut self, item: HostItem) -> Result<Extern, Outcome> {
        let store = &mut *self.store;
        let made = match item {
            HostItem::Func { name, params, results, op } => {
                let types = |types: &[HostType]| types.iter().map(|ty| val_type(*ty)).collect();
                let ty = wasm::FuncType { params: types(params), results: types(results) };
                let (host, boxes) = (self.host.clone(), self.boxes.clone());
                Func::new(store, ty, move |caller, args, results| {
                    call(&host, &boxes, caller, name, op, args, results)
                })
                .map(Extern::Func)
            }
            HostItem::Global(value) => {
                let (content, value) = match value {
                    Value::I32(v) => (wasm::ValType::I32, Val::I32(v)),
                    Value::I64(v) => (wasm::ValType::I64, Val::I64(v)),
                    Value::F32(v) => (wasm::ValType::F32, Val::F32(v)),
                    Value::F64(v) => (wasm::ValType::F64, Val::F64(v)),
                    Value::V128(_) | Value::Ref(_) => return Err(Outcome::Unsupported("host global".into())),
                };
                wasm::Global::new(store, wasm::GlobalType { content, mutable: false }, &value)
                    .map(Extern::Global)
            }
            HostItem::Table { is_64 } => {
                let element = nullable(wasm::AbstractHeapType::Func);
                let ty = wasm::TableType { element, min: 10, max: Some(20), is_64 };
                wasm::Table::new(store, ty, &Val::FuncRef(None)).map(Extern::Table)
            }
            HostItem::Memory => {
                let ty = wasm::MemoryType { min: 1, max: Some(2), is_64: false };
                Memory::new(store, ty).map(Extern::Memory)
            }
        };
        made.map_err(|e| outcome(&e))
    }

    fn number(&self, instance: Instance) -> u32 {
        instance.number()
    }

    fn export(&self, instance: Instance, name: &str) -> Option<Extern> {
        instance.export(&self.store, name).ok().flatten()
    }

    fn exports(&self, instance: Instance) -> Vec<(String, Extern)> {
        instance.exports(&self.store).unwrap_or_default()
    }

    fn set_fuel(&mut self, fuel: Option<u64>) {
        self.store.set_fuel(fuel.unwrap_or(u64::MAX));
    }

    fn invoke(&mut self, function: Extern, args: &[Value]) -> Outcome {
        let (func, values) = match self.prepare(function, args) {
            Ok(prepared) => prepared,
            Err(outcome) => return outcome,
        };
        let results = match &mut self.turns {
            Some(turns) => turns.call(&mut self.store, func, &values),
            None => func.call(&mut self.store, &values),
        };
        drop(values);
        self.ended(results)
    }

    fn start(&mut self, function: Extern, args: &[Value]) -> Result<Fiber, Outcome> {
        let (func, values) = self.prepare(function, args)?;
        Fiber::new(&mut self.store, func, &values).map_err(|e| outcome(&e))
    }

    fn resume(&mut self, fiber: Fiber, slice: Slice) -> Result<Outcome, &'static str> {
        let slice = wasm::Slice { fuel: slice.fuel, epochs: slice.epochs };
        match fiber.resume(&mut self.store, slice) {
            Ok(Turn::Yielded(Yield::Fuel)) => Err("fiber rests: fuel"),
            Ok(Turn::Yielded(Yield::Epoch)) => Err("fiber rests: epoch"),
            Ok(Turn::Yielded(Yield::Host)) => Err("fiber rests: host"),
            Ok(Turn::Yielded(Yield::Pending)) => {
                Ok(Outcome::Crashed("nothing here waits for a future".into()))
            }
            Ok(Turn::Done(results)) => Ok(self.ended(results)),
            Err(error) => Ok(Outcome::Crashed(error.to_string())),
        }
    }

    fn cancel(&mut self, fiber: Fiber) -> Outcome {
        match fiber.cancel(&mut self.store) {
            Ok(()) => Outcome::Cancelled,
            Err(error) => Outcome::Crashed(error.to_string()),
        }
    }

    fn advance_epoch(&mut self) {
        self.store.epoch_handle().advance();
    }

    fn fuel(&self) -> u64 {
        self.store.fuel()
    }

    fn record(&mut self, name: &str, args: Vec<Value>) {
        lock(&self.host).record(name, args);
    }

    fn look(&mut self, export: Extern, elements: u64) -> Result<Look<u32>, Outcome> {
        let store = &*self.store;
        Ok(match export {
            Extern::Func(_) => Look::Function,
            Extern::Tag(_) => Look::Tag,
            Extern::Global(global) => Look::Global(raw(store, global.raw(store).map_err(|e| outcome(&e))?)?),
            Extern::Table(table) => {
                let len = table.size(store).map_err(|e| outcome(&e))?;
                let mut values = Vec::new();
                for index in 0..len.min(elements) {
                    let value = table.raw(store, index).map_err(|e| outcome(&e))?;
                    values.push(raw(store, value.unwrap_or(RawVal::Ref(GcRef::NULL)))?);
                }
                Look::Table(len, values)
            }
            Extern::Memory(memory) => {
                let bytes = memory.data(store).map_err(|e| outcome(&e))?;
                Look::Memory(bytes.len() as u64, host::hash(bytes))
            }
        })
    }

    fn kept(&mut self) -> Result<Vec<RawValue<u32>>, Outcome> {
        let host = lock(&self.host);
        host.kept.iter().map(|kept| rooted(&self.store, kept.as_ref())).collect()
    }

    fn graph(&mut self, builder: GraphBuilder<u32>) -> Result<HeapGraph, Outcome> {
        let mut view = View { store: &self.store, keys: &mut self.keys, broken: None };
        let graph = builder.finish(&mut view);
        match view.broken {
            Some(outcome) => Err(outcome),
            None => Ok(graph),
        }
    }

    fn collect(&mut self) -> Result<(), Outcome> {
        self.store.gc(wasm::CollectKind::Full).map_err(|e| outcome(&e))
    }

    fn live(&mut self) -> Result<Option<u64>, Outcome> {
        if !self.collects {
            return Ok(None);
        }
        let (objects, _) = self.store.live_objects().map_err(|e| outcome(&e))?;
        // Host values are boxes in this heap; elsewhere they are no objects. The collection has swept dead ones.
        Ok(Some(objects.saturating_sub(self.boxes.load(Ordering::Relaxed))))
    }

    fn trace(&mut self) -> Vec<TraceEvent> {
        std::mem::take(&mut lock(&self.host).trace)
    }

    fn counters(&mut self) -> Counters {
        let stats = self.store.heap_stats();
        let fibers = self.store.fiber_stats();
        Counters {
            executed: Executed::default(),
            cycle_shapes: BTreeSet::new(),
            instructions: 0,
            // Inline allocations are not counted one by one.
            allocations: stats.slow_allocations.max(u64::from(stats.bytes_allocated > 0)),
            collections: stats.collections,
            frame_only_survivors: stats.survived_from_frames_only,
            frame_only_reread: 0,
            heap: HeapCounters::of(&stats).with_roots(&self.store.root_counts()),
            fibers: FiberCounters {
                resumes: fibers.resumes,
                yields: fibers.yields,
                cancels: fibers.cancels,
                visits: fibers.visits,
                moved: fibers.moved,
            },
        }
    }
}

impl Jit {
    /// The function and its arguments.
    fn prepare(&mut self, function: Extern, args: &[Value]) -> Result<(Func, Vec<Val>), Outcome> {
        let Extern::Func(func) = function else {
            return Err(Outcome::BadStep("the export is no function".into()));
        };
        let ty = func.ty(&self.store).map_err(|e| outcome(&e))?;
        if ty.params.len() != args.len() {
            return Err(Outcome::BadStep("wrong number of arguments".into()));
        }
        let mut values = Vec::with_capacity(args.len());
        for (arg, ty) in args.iter().zip(&ty.params) {
            match self.argument(*arg, ty) {
                Ok(Some(value)) => values.push(value),
                Ok(None) => {
                    return Err(Outcome::BadStep(format!("argument {arg:?} does not match its parameter")));
                }
                Err(error) => return Err(outcome(&error)),
            }
        }
        Ok((func, values))
    }

    /// The outcome of a call. The only wrong use that is left is an argument of the wrong type.
    fn ended(&mut self, results: Result<Vec<Val>, Error>) -> Outcome {
        let results = match results {
            Ok(results) => results,
            Err(error) => return self.failed(&error),
        };
        let mut builder = GraphBuilder::new(GraphLimits::default());
        let mut values = Vec::with_capacity(results.len());
        for value in &results {
            match raw_val(&self.store, value) {
                Ok(raw) => values.push(builder.root(raw)),
                Err(outcome) => return outcome,
            }
        }
        match self.graph(builder) {
            Ok(graph) => Outcome::Returned { values, graph },
            Err(outcome) => outcome,
        }
    }

    /// A call's failure; an exception with what it reaches.
    fn failed(&mut self, error: &Error) -> Outcome {
        let Some(exception) = error.exception() else { return outcome(error) };
        let mut builder = GraphBuilder::new(GraphLimits::default());
        let graph = rooted(&self.store, Some(exception.reference())).and_then(|raw| {
            builder.root(raw);
            self.graph(builder)
        });
        match graph {
            Ok(graph) => Outcome::Thrown { graph },
            Err(outcome) => outcome,
        }
    }

    /// `None` if the value cannot be of the type; what remains is checked by the call.
    fn argument(&mut self, value: Value, ty: &wasm::ValType) -> Result<Option<Val>, Error> {
        let default = Val::default_of(&self.store, ty);
        Ok(Some(match (value, &default) {
            (Value::I32(v), Val::I32(_)) => Val::I32(v),
            (Value::I64(v), Val::I64(_)) => Val::I64(v),
            (Value::F32(v), Val::F32(_)) => Val::F32(v),
            (Value::F64(v), Val::F64(_)) => Val::F64(v),
            (Value::V128(v), Val::V128(_)) => Val::V128(v),
            (
                Value::Ref(NodeRef::Null),
                Val::AnyRef(_) | Val::ExternRef(_) | Val::FuncRef(_) | Val::ExnRef(_),
            ) => default,
            (Value::Ref(NodeRef::I31(v)), Val::AnyRef(_)) => Val::i31(&mut self.store, v.cast_unsigned()),
            (Value::Ref(NodeRef::I31(v)), Val::ExternRef(_)) => {
                match Val::i31(&mut self.store, v.cast_unsigned()) {
                    Val::AnyRef(reference) => Val::ExternRef(reference),
                    _ => return Ok(None),
                }
            }
            (Value::Ref(NodeRef::Host(token)), Val::AnyRef(_) | Val::ExternRef(_)) => {
                let rooted = ExternRef::new(&mut self.store, Token::boxed(token, &self.boxes))?;
                if matches!(default, Val::AnyRef(_)) {
                    Val::AnyRef(Some(rooted))
                } else {
                    Val::ExternRef(Some(rooted))
                }
            }
            _ => return Ok(None),
        }))
    }
}

/// A host function of the harness.
fn call(
    host: &Shared,
    boxes: &Arc<AtomicU64>,
    store: &mut Caller<'_>,
    name: &str,
    op: HostOp,
    args: &[Val],
    results: &mut Vec<Val>,
) -> Result<(), Error> {
    let mut shown = Vec::with_capacity(args.len());
    for arg in args {
        shown.push(traced(store, arg)?);
    }
    lock(host).record(name, shown);
    match (op, args) {
        (HostOp::Log, _) => {}
        (HostOp::Gc, _) => store.gc(wasm::CollectKind::Full)?,
        (HostOp::Keep, [Val::AnyRef(reference)]) => lock(host).keep(reference.clone()),
        (HostOp::Kept, [Val::I32(index)]) => {
            let kept = usize::try_from(*index).ok().and_then(|index| lock(host).kept.get(index).cloned());
            results.push(Val::AnyRef(kept.flatten()));
        }
        (HostOp::Host, [Val::I32(token)]) => {
            let rooted = ExternRef::new(store, Token::boxed(host::token(*token), boxes))?;
            results.push(Val::ExternRef(Some(rooted)));
        }
        (HostOp::Wait, [value]) => {
            if store.on_fiber() {
                store.suspend()?;
            }
            results.push(value.clone());
        }
        (HostOp::Epoch, _) => {
            store.epoch_handle().advance();
        }
        (HostOp::Call, [Val::FuncRef(None)]) => {}
        (HostOp::Call, [Val::FuncRef(Some(func))]) => {
            // What was thrown is on its way through here.
            if let Err(error) = func.call(store, &[]) {
                store.gc(wasm::CollectKind::Full)?;
                return Err(error);
            }
        }
        _ => return Err(Error::host(format!("{name} called with other types"))),
    }
    Ok(())
}

/// An argument as the trace shows it.
fn traced(store: &StoreInner, value: &Val) -> Result<Value, Error> {
    Ok(match value {
        Val::I32(v) => Value::I32(*v),
        Val::I64(v) => Value::I64(*v),
        Val::F32(v) => Value::F32(*v),
        Val::F64(v) => Value::F64(*v),
        Val::V128(v) => Value::V128(*v),
        Val::AnyRef(None) | Val::ExternRef(None) | Val::FuncRef(None) | Val::ExnRef(None) => host::NULL,
        Val::AnyRef(Some(reference)) | Val::ExternRef(Some(reference)) | Val::ExnRef(Some(reference)) => {
            Value::Ref(match reference.kind(store)? {
                RefKind::Null => NodeRef::Null,
                RefKind::I31(v) => NodeRef::I31(v),
                RefKind::Struct(_) => NodeRef::Opaque(ObjectKind::Struct),
                RefKind::Array(_) => NodeRef::Opaque(ObjectKind::Array),
                RefKind::Exception(_) => NodeRef::Opaque(ObjectKind::Exn),
                RefKind::Host(_) => {
                    let token =
                        ExternRef::value(store, reference)?.and_then(|value| value.downcast_ref::<Token>());
                    NodeRef::Host(token.map_or(u64::MAX, |token| token.value))
                }
            })
        }
        // Which one it is shows in what it does.
        Val::FuncRef(Some(_)) => Value::Ref(NodeRef::Func(u32::MAX, u32::MAX)),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn rooted(store: &StoreInner, reference: Option<&Rooted>) -> Result<RawValue<u32>, Outcome> {
    match reference {
        None => Ok(RawValue::Null),
        Some(reference) => word(store, store.inspect(reference).map_err(|e| outcome(&e))?),
    }
}

fn raw_val(store: &StoreInner, value: &Val) -> Result<RawValue<u32>, Outcome> {
    match value {
        Val::I32(v) => Ok(RawValue::I32(*v)),
        Val::I64(v) => Ok(RawValue::I64(*v)),
        Val::F32(v) => Ok(RawValue::F32(*v)),
        Val::F64(v) => Ok(RawValue::F64(*v)),
        Val::V128(v) => Ok(RawValue::V128(*v)),
        Val::AnyRef(r) | Val::ExternRef(r) | Val::ExnRef(r) => rooted(store, r.as_ref()),
        Val::FuncRef(None) => Ok(RawValue::Null),
        Val::FuncRef(Some(func)) => Ok(function(&func.info(store).map_err(|e| outcome(&e))?)),
    }
}

fn raw(store: &StoreInner, value: RawVal) -> Result<RawValue<u32>, Outcome> {
    Ok(match value {
        RawVal::I8(v) => RawValue::I32(i32::from(v)),
        RawVal::I16(v) => RawValue::I32(i32::from(v)),
        RawVal::I32(v) => RawValue::I32(v),
        RawVal::I64(v) => RawValue::I64(v),
        RawVal::F32(v) => RawValue::F32(v),
        RawVal::F64(v) => RawValue::F64(v),
        RawVal::V128(v) => RawValue::V128(v),
        RawVal::Ref(reference) => word(store, reference)?,
        RawVal::Func(0) => RawValue::Null,
        RawVal::Func(id) => match store.inspector().func(id) {
            Some(info) => function(&info),
            None => return Err(Outcome::Crashed("a function id that names no function".into())),
        },
    })
}

fn word(store: &StoreInner, reference: GcRef) -> Result<RawValue<u32>, Outcome> {
    let inspector = store.inspector();
    Ok(match inspector.kind(reference) {
        None => return Err(Outcome::Crashed("a reference to no object".into())),
        Some(RefKind::Null) => RawValue::Null,
        Some(RefKind::I31(v)) => RawValue::I31(v),
        Some(RefKind::Struct(_) | RefKind::Array(_)) => RawValue::Object(reference.0),
        Some(RefKind::Exception(_)) => RawValue::Exception(reference.0),
        Some(RefKind::Host(_)) => {
            let token = inspector.host_value(reference).and_then(|value| value.downcast_ref::<Token>());
            match token {
                Some(token) => RawValue::Host(token.value),
                None => return Err(Outcome::Crashed("a host box without its value".into())),
            }
        }
    })
}

fn function(info: &wasm::FuncInfo) -> RawValue<u32> {
    RawValue::Func(info.instance.unwrap_or(u32::MAX), info.index)
}

fn nullable(heap: wasm::AbstractHeapType) -> wasm::RefType {
    wasm::RefType { nullable: true, heap: wasm::HeapType::Abstract(heap) }
}

fn val_type(ty: HostType) -> wasm::ValType {
    match ty {
        HostType::I32 => wasm::ValType::I32,
        HostType::I64 => wasm::ValType::I64,
        HostType::F32 => wasm::ValType::F32,
        HostType::F64 => wasm::ValType::F64,
        HostType::Func => wasm::ValType::Ref(nullable(wasm::AbstractHeapType::Func)),
        HostType::Any => wasm::ValType::Ref(nullable(wasm::AbstractHeapType::Any)),
        HostType::Extern => wasm::ValType::Ref(nullable(wasm::AbstractHeapType::Extern)),
    }
}

fn outcome(error: &Error) -> Outcome {
    match error.kind() {
        ErrorKind::Malformed { .. } => Outcome::Rejected(RejectStage::Malformed, error.to_string()),
        ErrorKind::Invalid { .. } => Outcome::Rejected(RejectStage::Invalid, error.to_string()),
        ErrorKind::Unsupported { .. } | ErrorKind::Limit { .. } => Outcome::Unsupported(error.to_string()),
        ErrorKind::Link { .. } => Outcome::Rejected(RejectStage::Unlinkable, error.to_string()),
        ErrorKind::Trap(code) => match trap(*code) {
            Some(kind) => Outcome::Trapped(kind),
            None => Outcome::Crashed(error.to_string()),
        },
        // Thrown where nothing can be called: see `Jit::failed`.
        ErrorKind::Exception(_) => Outcome::Thrown { graph: HeapGraph::default() },
        ErrorKind::Cancelled => Outcome::Cancelled,
        // No case has so many: they leak.
        ErrorKind::Exhausted(wasm::Resource::Fibers) => Outcome::Crashed(error.to_string()),
        ErrorKind::Exhausted(resource) => Outcome::Exhausted(match resource {
            wasm::Resource::CallStack => Resource::CallStack,
            wasm::Resource::Fuel => Resource::Fuel,
            wasm::Resource::GcHeap => Resource::GcHeap,
            // The interpreter does not keep them apart.
            wasm::Resource::Memory | wasm::Resource::Table | wasm::Resource::Fibers => Resource::Memory,
        }),
        ErrorKind::Usage(_) => Outcome::BadStep(error.to_string()),
        _ => Outcome::Crashed(error.to_string()),
    }
}

fn trap(code: TrapCode) -> Option<TrapKind> {
    Some(match code {
        TrapCode::Unreachable => TrapKind::Unreachable,
        TrapCode::IntegerDivideByZero => TrapKind::IntegerDivideByZero,
        TrapCode::IntegerOverflow => TrapKind::IntegerOverflow,
        TrapCode::InvalidConversionToInteger => TrapKind::InvalidConversionToInteger,
        TrapCode::MemoryOutOfBounds => TrapKind::MemoryOutOfBounds,
        TrapCode::TableOutOfBounds => TrapKind::TableOutOfBounds,
        TrapCode::UninitializedElement => TrapKind::UninitializedElement,
        TrapCode::IndirectCallTypeMismatch => TrapKind::IndirectCallTypeMismatch,
        TrapCode::NullReference => TrapKind::NullReference,
        TrapCode::ArrayOutOfBounds => TrapKind::ArrayOutOfBounds,
        TrapCode::CastFailure => TrapKind::CastFailure,
        TrapCode::AllocationTooLarge => TrapKind::AllocationTooLarge,
        // These are errors of another kind.
        TrapCode::StackOverflow | TrapCode::OutOfFuel | TrapCode::GcHeapExhausted | TrapCode::CorruptHeap => {
            return None;
        }
    })
}

/// The heap as graphs see it; identities are words, which nothing moves while the view stands.
struct View<'a> {
    store: &'a StoreInner,
    keys: &'a mut TypeKeys<TypeId>,
    /// What was impossible.
    broken: Option<Outcome>,
}

impl View<'_> {
    fn untyped(&mut self, why: String) -> TypeKey {
        self.broken = Some(Outcome::Crashed(why));
        TypeKey { group: 0, index: 0 }
    }
}

impl HeapView for View<'_> {
    type Id = u32;

    fn kind(&self, id: u32) -> ObjectKind {
        match self.store.inspector().kind(GcRef(id)) {
            Some(RefKind::Array(_)) => ObjectKind::Array,
            Some(RefKind::Exception(_)) => ObjectKind::Exn,
            _ => ObjectKind::Struct,
        }
    }

    fn type_key(&mut self, id: u32) -> TypeKey {
        match self.store.inspector().kind(GcRef(id)) {
            Some(RefKind::Struct(ty) | RefKind::Array(ty)) => self.keys.key(&Types(self.store), ty),
            // An exception has the type of its tag.
            Some(RefKind::Exception(tag)) => match tag.type_id(self.store) {
                Ok(ty) => self.keys.key(&Types(self.store), ty),
                Err(error) => self.untyped(error.to_string()),
            },
            _ => self.untyped("an object without a type".into()),
        }
    }

    fn slots(&mut self, id: u32, limit: usize, out: &mut Vec<RawValue<u32>>) -> bool {
        let inspector = self.store.inspector();
        let word = GcRef(id);
        // An exception shows its tag first.
        let tag = match inspector.kind(word) {
            Some(RefKind::Exception(tag)) => Some(tag),
            _ => None,
        };
        if let Some(tag) = tag.filter(|_| limit > 0) {
            out.push(match tag.origin(self.store) {
                Ok(Some((instance, index))) => RawValue::Tag(instance, index),
                _ => RawValue::Tag(u32::MAX, tag.number()),
            });
        }
        let limit = limit.saturating_sub(usize::from(tag.is_some()));
        let mut push = |value: RawVal| match raw(self.store, value) {
            Ok(value) => out.push(value),
            Err(outcome) => self.broken = Some(outcome),
        };
        if let Some(fields) = inspector.struct_fields(word).or_else(|| inspector.payload(word)) {
            let all = fields.len() <= limit;
            fields.into_iter().take(limit).for_each(&mut push);
            return all;
        }
        let len = inspector.array_len(word).unwrap_or(0);
        for index in 0..len.min(u32::try_from(limit).unwrap_or(u32::MAX)) {
            match inspector.array_elem(word, index) {
                Some(value) => push(value),
                None => break,
            }
        }
        len as usize <= limit
    }
}

struct Types<'a>(&'a StoreInner);

impl TypeView for Types<'_> {
    type Id = TypeId;

    fn group(&self, id: TypeId) -> Vec<TypeId> {
        match self.0.types().group_of(id) {
            Some((group, _)) => group.ids().to_vec(),
            None => vec![id],
        }
    }

    fn shape(&self, id: TypeId) -> SubTypeShape<TypeId> {
        let Some(ty) = self.0.types().get(id) else {
            return SubTypeShape {
                is_final: true,
                supertype: None,
                composite: CompositeShape::Struct(Vec::new()),
            };
        };
        let supertype = match ty.supertype {
            Some(wasm::HeapType::Concrete(id)) => Some(id),
            _ => None,
        };
        let values = |types: &[wasm::ValType]| types.iter().map(|ty| value_shape(*ty)).collect();
        let composite = match &ty.composite {
            wasm::CompositeType::Struct(fields) => {
                CompositeShape::Struct(fields.iter().map(field_shape).collect())
            }
            wasm::CompositeType::Array(field) => CompositeShape::Array(field_shape(field)),
            wasm::CompositeType::Func(ty) => CompositeShape::Func(values(&ty.params), values(&ty.results)),
            // Hidden; exceptions are shown with their tag's type.
            wasm::CompositeType::Exception(payload) => CompositeShape::Func(values(payload), Vec::new()),
        };
        SubTypeShape { is_final: ty.is_final, supertype, composite }
    }
}

fn field_shape(field: &wasm::FieldType) -> FieldShape<TypeId> {
    let storage = match field.storage {
        wasm::StorageType::I8 => StorageShape::I8,
        wasm::StorageType::I16 => StorageShape::I16,
        wasm::StorageType::Val(ty) => value_shape(ty),
    };
    FieldShape { mutable: field.mutable, storage }
}

fn value_shape(ty: wasm::ValType) -> StorageShape<TypeId> {
    use wasm::AbstractHeapType as A;
    match ty {
        wasm::ValType::I32 => StorageShape::I32,
        wasm::ValType::I64 => StorageShape::I64,
        wasm::ValType::F32 => StorageShape::F32,
        wasm::ValType::F64 => StorageShape::F64,
        wasm::ValType::V128 => StorageShape::V128,
        wasm::ValType::Ref(ty) => {
            let heap = match ty.heap {
                wasm::HeapType::Concrete(id) => HeapShape::Type(id),
                // Registered types hold no places; none is the least wrong.
                wasm::HeapType::Rec(_) => HeapShape::None,
                wasm::HeapType::Abstract(heap) => match heap {
                    A::Any => HeapShape::Any,
                    A::Eq => HeapShape::Eq,
                    A::I31 => HeapShape::I31,
                    A::Struct => HeapShape::Struct,
                    A::Array => HeapShape::Array,
                    A::None => HeapShape::None,
                    A::Func => HeapShape::Func,
                    A::NoFunc => HeapShape::NoFunc,
                    A::Extern => HeapShape::Extern,
                    A::NoExtern => HeapShape::NoExtern,
                    A::Exn => HeapShape::Exn,
                    A::NoExn => HeapShape::NoExn,
                },
            };
            StorageShape::Ref { nullable: ty.nullable, heap }
        }
    }
}
