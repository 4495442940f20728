//! The reference interpreter as a subject.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

mod cycles;
mod reach;

use assay_interp as wasm;
use wasm::{ErrorKind, Extern, ExternRef, FuncAddr, InstanceAddr, Module, ObjectAddr, Ref, Store, TypeId};

use super::host::{self, HostItem, HostOp, HostState, HostType};
use super::script::{self, Executor, Look};
use super::{Features, Subject};
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
use cycles::Cycles;
use reach::Reach;

/// Limits that both executors must share.
pub(super) const MAX_MEMORY_PAGES: u32 = 1 << 14;
/// Elements of a table.
pub(super) const MAX_TABLE_ELEMENTS: u32 = 10_000_000;
/// Bytes of one heap object.
const MAX_OBJECT_BYTES: u64 = 1 << 30;
/// Bytes of heap where the case sets no limit; the interpreter never collects while a program runs.
pub(super) const DEFAULT_GC_HEAP: u64 = 256 << 20;

/// The interpreter.
#[derive(Clone, Debug, Default)]
pub struct InterpSubject {
    tells_reach: bool,
    /// Modules of the latest case: the next is often the same program under another schedule.
    latest: Vec<(Vec<u8>, Module)>,
}

impl InterpSubject {
    /// The interpreter with the harness's limits.
    pub fn new() -> Self {
        InterpSubject::default()
    }
}

/// What it takes beyond 3.0.
const FEATURES: wasm::Features = wasm::Features { legacy_exceptions: true };

impl Subject for InterpSubject {
    fn name(&self) -> &str {
        "interp"
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
            collects: false,
            graphs: true,
            liveness: true,
        }
    }

    fn tell_reach(&mut self) {
        self.tells_reach = true;
        // Their code does not tell.
        self.latest.clear();
    }

    fn observe(&mut self, case: &Case) -> Observation {
        let known = std::mem::take(&mut self.latest);
        let mut interp = Interp { covers: self.tells_reach, known, ..Interp::new() };
        let observation = script::run(&mut interp, case);
        self.latest = interp.modules;
        observation
    }
}

/// Upper bound of the bytes that `case` reaches at once on any executor that does not hold what is unreachable, by the
/// interpreter's size formula and [`reach::HOST_BOX`] bytes for each host value. None if a step ends otherwise than by a
/// result, a trap or an exception.
pub(crate) fn most_reachable(case: &Case) -> Option<u64> {
    let mut interp = Interp::new();
    let reach = Rc::new(RefCell::new(Reach::default()));
    interp.reach = Some(reach.clone());
    let observation = script::run(&mut interp, case);
    let ended = |outcome: &Outcome| {
        matches!(
            outcome,
            Outcome::Done | Outcome::Returned { .. } | Outcome::Trapped(_) | Outcome::Thrown { .. }
        )
    };
    let most = reach.borrow().most();
    observation.outcomes.iter().all(ended).then_some(most)
}

/// What a plain case has left behind in the interpreter's heap, which nothing has collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Garbage {
    /// Whether there is a cycle among the objects that nothing reaches.
    pub(crate) cyclic: bool,
    /// Objects that something reaches.
    pub(crate) live: u64,
    /// Instructions executed.
    pub(crate) instructions: u64,
    /// Bytes allocated, by the interpreter's size formula.
    pub(crate) bytes: u64,
}

/// Objects and their bytes, at most, that are looked at for cycles.
const MAX_WATCHED: (u64, u64) = (20_000, 4 << 20);

/// Runs a plain case and looks at what is left; none if a step ends otherwise than it should, or if too much is left.
pub(crate) fn garbage(case: &Case) -> Option<Garbage> {
    let mut interp = Interp { watches: true, ..Interp::new() };
    let observation = script::run(&mut interp, case);
    let ended = |outcome: &Outcome| matches!(outcome, Outcome::Done | Outcome::Returned { .. });
    if !observation.outcomes.iter().all(ended) {
        return None;
    }
    Some(Garbage {
        cyclic: interp.left_cyclic?,
        bytes: interp.store.stats().peak_bytes,
        live: observation.live_objects?,
        instructions: observation.counters.instructions,
    })
}

type Shared = Rc<RefCell<HostState<Ref>>>;

struct Interp {
    store: Store,
    host: Shared,
    /// While the reachable bytes are measured.
    reach: Option<Rc<RefCell<Reach>>>,
    /// Whether what was executed of the modules is told in the end, and they.
    covers: bool,
    /// Whether the garbage is looked at in the end, and whether there was a cycle in it.
    watches: bool,
    left_cyclic: Option<bool>,
    modules: Vec<(Vec<u8>, Module)>,
    /// Modules that an earlier case had decoded.
    known: Vec<(Vec<u8>, Module)>,
    cycles: Rc<RefCell<Cycles>>,
    /// Host functions in order of creation; their place is their number.
    host_funcs: Vec<FuncAddr>,
    keys: TypeKeys<TypeId>,
    fibers: FiberCounters,
}

impl Executor for Interp {
    type Module = Module;
    type Instance = InstanceAddr;
    type Extern = Extern;
    type Fiber = wasm::Fiber;
    type Id = ObjectAddr;

    fn module(&mut self, bytes: &[u8]) -> Result<Module, Outcome> {
        if let Some((_, module)) = self.modules.iter().find(|(of, _)| of == bytes) {
            return Ok(module.clone());
        }
        let (of, module) = match self.known.iter().position(|(of, _)| of == bytes) {
            Some(at) => {
                let known = self.known.swap_remove(at);
                known.1.forget_covered();
                known
            }
            None => {
                let decode = if self.covers { Module::covering } else { Module::new };
                (bytes.to_vec(), decode(bytes, &FEATURES).map_err(|e| outcome(&e))?)
            }
        };
        self.modules.push((of, module.clone()));
        Ok(module)
    }

    fn check(&mut self, bytes: &[u8]) -> Outcome {
        match self.module(bytes) {
            Ok(_) => Outcome::Done,
            Err(outcome) => outcome,
        }
    }

    fn imports(&self, module: &Module) -> Vec<(String, String)> {
        module.imports().into_iter().map(|import| (import.module, import.name)).collect()
    }

    fn instantiate(&mut self, module: &Module, imports: &[Extern]) -> Result<InstanceAddr, Outcome> {
        let made = self.store.instantiate(module, imports);
        if let Some(reach) = &self.reach {
            reach.borrow_mut().stepped(&[], &mut self.store, &self.host);
        }
        made.map_err(|e| self.failed(&e))
    }

    fn provide(&mut self, item: HostItem) -> Result<Extern, Outcome> {
        let made = match item {
            HostItem::Func { name, params, results, op } => {
                let types = |types: &[HostType]| types.iter().map(|ty| val_type(*ty)).collect::<Vec<_>>();
                let ty = wasm::FuncType::new(types(params), types(results));
                let number = self.host_funcs.len();
                let (host, reach) = (self.host.clone(), self.reach.clone());
                let cycles = self.covers.then(|| self.cycles.clone());
                let function = move |store: &mut Store, args: &[wasm::Value]| {
                    if let (HostOp::Gc, Some(cycles)) = (op, &cycles) {
                        cycles.borrow_mut().look(store, &kept_roots(&host));
                    }
                    let results = call(&host, store, name, op, args);
                    if let Some(reach) = &reach {
                        reach.borrow_mut().called(op, store, &host);
                    }
                    results
                };
                #[expect(
                    clippy::arc_with_non_send_sync,
                    reason = "the interpreter's interface asks for an Arc"
                )]
                let function = Arc::new(function);
                self.store.alloc_shared_host_func(ty, function).map(|func| {
                    debug_assert_eq!(number, self.host_funcs.len());
                    self.host_funcs.push(func);
                    Extern::Func(func)
                })
            }
            HostItem::Global(value) => {
                let (ty, value) = match value {
                    Value::I32(v) => (wasm::ValType::I32, wasm::Value::I32(v)),
                    Value::I64(v) => (wasm::ValType::I64, wasm::Value::I64(v)),
                    Value::F32(v) => (wasm::ValType::F32, wasm::Value::F32(v)),
                    Value::F64(v) => (wasm::ValType::F64, wasm::Value::F64(v)),
                    Value::V128(_) | Value::Ref(_) => return Err(Outcome::Unsupported("host global".into())),
                };
                self.store
                    .alloc_global(wasm::GlobalType { mutable: false, value: ty }, value)
                    .map(Extern::Global)
            }
            HostItem::Table { is_64 } => {
                let addr = if is_64 { wasm::AddrType::I64 } else { wasm::AddrType::I32 };
                let limits = wasm::Limits { min: 10, max: Some(20) };
                let element = wasm::RefType::nullable(wasm::HeapType::Func);
                self.store
                    .alloc_table(wasm::TableType { addr, limits, element }, Ref::Null)
                    .map(Extern::Table)
            }
            HostItem::Memory => {
                let limits = wasm::Limits { min: 1, max: Some(2) };
                self.store
                    .alloc_memory(wasm::MemoryType { addr: wasm::AddrType::I32, limits })
                    .map(Extern::Memory)
            }
        };
        made.map_err(|e| outcome(&e))
    }

    fn number(&self, instance: InstanceAddr) -> u32 {
        narrow(instance.index())
    }

    fn export(&self, instance: InstanceAddr, name: &str) -> Option<Extern> {
        self.store.export(instance, name)
    }

    fn exports(&self, instance: InstanceAddr) -> Vec<(String, Extern)> {
        self.store.exports(instance)
    }

    fn set_fuel(&mut self, fuel: Option<u64>) {
        self.store.set_fuel(fuel);
    }

    fn invoke(&mut self, function: Extern, args: &[Value]) -> Outcome {
        let (func, values) = match self.prepare(function, args) {
            Ok(prepared) => prepared,
            Err(outcome) => return outcome,
        };
        let results = self.store.invoke(func, &values);
        if let Some(reach) = &self.reach {
            reach.borrow_mut().stepped(args, &mut self.store, &self.host);
        }
        self.ended(results)
    }

    fn start(&mut self, function: Extern, args: &[Value]) -> Result<wasm::Fiber, Outcome> {
        let (func, values) = self.prepare(function, args)?;
        self.store.start_fiber(func, &values).map_err(|e| outcome(&e))
    }

    fn resume(&mut self, fiber: wasm::Fiber, slice: Slice) -> Result<Outcome, &'static str> {
        let slice = wasm::Slice { fuel: slice.fuel, epochs: slice.epochs };
        self.fibers.resumes += 1;
        let why = match self.store.resume(fiber, slice) {
            Ok(wasm::Turn::Done(results)) => return Ok(self.ended(results)),
            Ok(wasm::Turn::Yielded(why)) => why,
            Err(error) => return Ok(Outcome::Crashed(error.to_string())),
        };
        self.fibers.yields += 1;
        Err(match why {
            wasm::Yield::Fuel => "fiber rests: fuel",
            wasm::Yield::Epoch => "fiber rests: epoch",
            wasm::Yield::Host => "fiber rests: host",
        })
    }

    fn cancel(&mut self, fiber: wasm::Fiber) -> Outcome {
        self.fibers.cancels += 1;
        match self.store.cancel(fiber) {
            Ok(()) => Outcome::Cancelled,
            Err(error) => Outcome::Crashed(error.to_string()),
        }
    }

    fn advance_epoch(&mut self) {
        self.store.advance_epoch();
    }

    fn fuel(&self) -> u64 {
        // As the JIT's counter has it, whose largest number is that of an i64.
        self.store.fuel().unwrap_or(u64::MAX >> 1)
    }

    fn record(&mut self, name: &str, args: Vec<Value>) {
        self.host.borrow_mut().record(name, args);
    }

    fn look(&mut self, export: Extern, elements: u64) -> Result<Look<ObjectAddr>, Outcome> {
        let shown = |e: &wasm::Error| outcome(e);
        Ok(match export {
            Extern::Func(_) => Look::Function,
            Extern::Tag(_) => Look::Tag,
            Extern::Global(global) => {
                let value = self.store.global_get(global).map_err(|e| shown(&e))?;
                Look::Global(self.raw(value))
            }
            Extern::Table(table) => {
                let len = self.store.table_size(table).map_err(|e| shown(&e))?;
                let mut values = Vec::new();
                for index in 0..len.min(elements) {
                    let value = self.store.table_get(table, index).map_err(|e| shown(&e))?;
                    values.push(self.raw(wasm::Value::Ref(value.unwrap_or(Ref::Null))));
                }
                Look::Table(len, values)
            }
            Extern::Memory(memory) => {
                let bytes = self.store.memory(memory).map_err(|e| shown(&e))?;
                Look::Memory(bytes.len() as u64, host::hash(bytes))
            }
        })
    }

    fn kept(&mut self) -> Result<Vec<RawValue<ObjectAddr>>, Outcome> {
        let kept = self.host.borrow().kept.clone();
        Ok(kept.into_iter().map(|reference| self.raw(wasm::Value::Ref(reference))).collect())
    }

    fn graph(&mut self, builder: GraphBuilder<ObjectAddr>) -> Result<HeapGraph, Outcome> {
        let mut keys = std::mem::take(&mut self.keys);
        let mut view = View { interp: self, keys: &mut keys, broken: false };
        let graph = builder.finish(&mut view);
        let broken = view.broken;
        self.keys = keys;
        if broken { Err(Outcome::Crashed("a reference to a freed object".into())) } else { Ok(graph) }
    }

    fn collect(&mut self) -> Result<(), Outcome> {
        self.freed();
        Ok(())
    }

    fn live(&mut self) -> Result<Option<u64>, Outcome> {
        let stats = self.store.stats();
        if self.watches && stats.objects <= MAX_WATCHED.0 && stats.bytes <= MAX_WATCHED.1 {
            self.left_cyclic = Some(cycles::left(&mut self.store));
        }
        Ok(Some(self.freed().objects))
    }

    fn trace(&mut self) -> Vec<TraceEvent> {
        std::mem::take(&mut self.host.borrow_mut().trace)
    }

    fn counters(&mut self) -> Counters {
        let stats = self.store.stats();
        let mut executed = Executed::default();
        for (bytes, module) in &self.modules {
            executed.see(bytes, module.covered().map(|range| range.start as u64..range.end as u64));
        }
        Counters {
            executed,
            cycle_shapes: std::mem::take(&mut self.cycles.borrow_mut().shapes),
            instructions: stats.instructions,
            allocations: stats.allocations,
            collections: 0,
            frame_only_survivors: stats.survey_found,
            frame_only_reread: stats.survey_read,
            heap: HeapCounters::default(),
            fibers: self.fibers,
        }
    }
}

impl Interp {
    /// A fresh store with the harness's limits.
    fn new() -> Interp {
        let config = wasm::Config {
            max_memory_pages: MAX_MEMORY_PAGES,
            max_table_elements: MAX_TABLE_ELEMENTS,
            max_object_bytes: MAX_OBJECT_BYTES,
            max_gc_bytes: DEFAULT_GC_HEAP,
            ..wasm::Config::default()
        };
        Interp {
            store: Store::new(config),
            host: Rc::default(),
            reach: None,
            covers: false,
            watches: false,
            left_cyclic: None,
            modules: Vec::new(),
            known: Vec::new(),
            cycles: Rc::default(),
            host_funcs: Vec::new(),
            keys: TypeKeys::default(),
            fibers: FiberCounters::default(),
        }
    }

    /// The function and its arguments.
    fn prepare(&self, function: Extern, args: &[Value]) -> Result<(FuncAddr, Vec<wasm::Value>), Outcome> {
        let Extern::Func(func) = function else {
            return Err(Outcome::BadStep("the export is no function".into()));
        };
        let ty = self.store.func_type(func).ok_or_else(|| Outcome::BadStep("no function type".into()))?;
        if ty.params.len() != args.len() {
            return Err(Outcome::BadStep("wrong number of arguments".into()));
        }
        let mut values = Vec::with_capacity(args.len());
        for (arg, ty) in args.iter().zip(&ty.params) {
            match self.argument(*arg, *ty) {
                Some(value) => values.push(value),
                None => {
                    return Err(Outcome::BadStep(format!("argument {arg:?} does not match its parameter")));
                }
            }
        }
        Ok((func, values))
    }

    /// The outcome of a call.
    fn ended(&mut self, results: Result<Vec<wasm::Value>, wasm::Error>) -> Outcome {
        let results = match results {
            Ok(results) => results,
            Err(error) => return self.failed(&error),
        };
        let mut builder = GraphBuilder::new(GraphLimits::default());
        let values = results.iter().map(|value| builder.root(self.raw(*value))).collect();
        match self.graph(builder) {
            Ok(graph) => Outcome::Returned { values, graph },
            Err(outcome) => outcome,
        }
    }

    /// Frees what nothing reaches.
    fn freed(&mut self) -> wasm::LiveSet {
        if let Some(reach) = &self.reach {
            reach.borrow_mut().stepped(&[], &mut self.store, &self.host);
        }
        let live = self.store.collect(&kept_roots(&self.host));
        if let Some(reach) = &self.reach {
            reach.borrow_mut().collected(&self.store);
        }
        live
    }

    /// A call's failure; an exception with what it reaches.
    fn failed(&mut self, error: &wasm::Error) -> Outcome {
        let Some(exception) = error.exception() else { return outcome(error) };
        let mut builder = GraphBuilder::new(GraphLimits::default());
        builder.root(self.raw(wasm::Value::Ref(exception.reference)));
        match self.graph(builder) {
            Ok(graph) => Outcome::Thrown { graph },
            Err(outcome) => outcome,
        }
    }

    fn argument(&self, value: Value, ty: wasm::ValType) -> Option<wasm::Value> {
        let external = matches!(
            ty,
            wasm::ValType::Ref(wasm::RefType { heap: wasm::HeapType::Extern | wasm::HeapType::NoExtern, .. })
        );
        let made = match value {
            Value::I32(v) => wasm::Value::I32(v),
            Value::I64(v) => wasm::Value::I64(v),
            Value::F32(v) => wasm::Value::F32(v),
            Value::F64(v) => wasm::Value::F64(v),
            Value::V128(v) => wasm::Value::V128(v),
            Value::Ref(reference) => wasm::Value::Ref(match (reference, external) {
                (NodeRef::Null, _) => Ref::Null,
                (NodeRef::I31(v), false) => Ref::I31(v),
                (NodeRef::I31(v), true) => Ref::Extern(ExternRef::I31(v)),
                (NodeRef::Host(token), false) => Ref::Host(token),
                (NodeRef::Host(token), true) => Ref::Extern(ExternRef::Host(token)),
                _ => return None,
            }),
        };
        self.store.value_matches(made, ty).then_some(made)
    }

    fn raw(&self, value: wasm::Value) -> RawValue<ObjectAddr> {
        match value {
            wasm::Value::I32(v) => RawValue::I32(v),
            wasm::Value::I64(v) => RawValue::I64(v),
            wasm::Value::F32(v) => RawValue::F32(v),
            wasm::Value::F64(v) => RawValue::F64(v),
            wasm::Value::V128(v) => RawValue::V128(v),
            wasm::Value::Ref(reference) => match reference {
                Ref::Null => RawValue::Null,
                Ref::I31(v) | Ref::Extern(ExternRef::I31(v)) => RawValue::I31(v),
                Ref::Struct(id) | Ref::Array(id) => RawValue::Object(id),
                Ref::Exn(id) => RawValue::Exception(id),
                Ref::Extern(ExternRef::Struct(id) | ExternRef::Array(id)) => RawValue::Object(id),
                Ref::Host(token) | Ref::Extern(ExternRef::Host(token)) => RawValue::Host(token),
                Ref::Func(func) => match self.store.func_origin(func) {
                    Some(wasm::FuncOrigin::Wasm { instance, index }) => {
                        RawValue::Func(narrow(instance.index()), index)
                    }
                    Some(wasm::FuncOrigin::Host) | None => {
                        let number = self.host_funcs.iter().position(|f| *f == func);
                        RawValue::Func(u32::MAX, number.map_or(u32::MAX, narrow))
                    }
                },
            },
        }
    }
}

/// A host function of the harness.
fn call(
    host: &Shared,
    store: &mut Store,
    name: &str,
    op: HostOp,
    args: &[wasm::Value],
) -> Result<Vec<wasm::Value>, wasm::HostError> {
    host.borrow_mut().record(name, args.iter().map(|value| traced(*value)).collect());
    match (op, args) {
        (HostOp::Log, _) => Ok(Vec::new()),
        (HostOp::Gc, _) => {
            store.survey();
            Ok(Vec::new())
        }
        (HostOp::Keep, [wasm::Value::Ref(reference)]) => {
            host.borrow_mut().keep(*reference);
            Ok(Vec::new())
        }
        (HostOp::Kept, [wasm::Value::I32(index)]) => {
            let kept = &host.borrow().kept;
            let found = usize::try_from(*index).ok().and_then(|index| kept.get(index).copied());
            Ok(vec![wasm::Value::Ref(found.unwrap_or(Ref::Null))])
        }
        (HostOp::Host, [wasm::Value::I32(token)]) => {
            Ok(vec![wasm::Value::Ref(Ref::Extern(ExternRef::Host(host::token(*token))))])
        }
        (HostOp::Wait, [value]) => Err(wasm::HostError::Yield(vec![*value])),
        (HostOp::Epoch, _) => {
            store.advance_epoch();
            Ok(Vec::new())
        }
        (HostOp::Call, [wasm::Value::Ref(Ref::Null)]) => Ok(Vec::new()),
        (HostOp::Call, [wasm::Value::Ref(Ref::Func(func))]) => {
            Err(wasm::HostError::Call { func: *func, args: Vec::new() })
        }
        _ => Err(wasm::HostError::Message(format!("{name} called with {args:?}"))),
    }
}

/// An argument as the trace shows it.
fn traced(value: wasm::Value) -> Value {
    match value {
        wasm::Value::I32(v) => Value::I32(v),
        wasm::Value::I64(v) => Value::I64(v),
        wasm::Value::F32(v) => Value::F32(v),
        wasm::Value::F64(v) => Value::F64(v),
        wasm::Value::V128(v) => Value::V128(v),
        wasm::Value::Ref(reference) => match reference {
            Ref::Null => host::NULL,
            Ref::I31(v) | Ref::Extern(ExternRef::I31(v)) => Value::Ref(NodeRef::I31(v)),
            Ref::Struct(_) | Ref::Extern(ExternRef::Struct(_)) => {
                Value::Ref(NodeRef::Opaque(ObjectKind::Struct))
            }
            Ref::Array(_) | Ref::Extern(ExternRef::Array(_)) => {
                Value::Ref(NodeRef::Opaque(ObjectKind::Array))
            }
            Ref::Exn(_) => Value::Ref(NodeRef::Opaque(ObjectKind::Exn)),
            Ref::Host(token) | Ref::Extern(ExternRef::Host(token)) => Value::Ref(NodeRef::Host(token)),
            // Which one it is shows in what it does.
            Ref::Func(_) => Value::Ref(NodeRef::Func(u32::MAX, u32::MAX)),
        },
    }
}

fn kept_roots(host: &Shared) -> Vec<wasm::Value> {
    host.borrow().kept.iter().map(|reference| wasm::Value::Ref(*reference)).collect()
}

fn val_type(ty: HostType) -> wasm::ValType {
    match ty {
        HostType::I32 => wasm::ValType::I32,
        HostType::I64 => wasm::ValType::I64,
        HostType::F32 => wasm::ValType::F32,
        HostType::F64 => wasm::ValType::F64,
        HostType::Func => wasm::ValType::Ref(wasm::RefType::nullable(wasm::HeapType::Func)),
        HostType::Any => wasm::ValType::Ref(wasm::RefType::nullable(wasm::HeapType::Any)),
        HostType::Extern => wasm::ValType::Ref(wasm::RefType::nullable(wasm::HeapType::Extern)),
    }
}

fn outcome(error: &wasm::Error) -> Outcome {
    let text = error.to_string();
    match error.kind() {
        ErrorKind::Malformed => Outcome::Rejected(RejectStage::Malformed, text),
        ErrorKind::Invalid => Outcome::Rejected(RejectStage::Invalid, text),
        ErrorKind::Unsupported => Outcome::Unsupported(text),
        ErrorKind::Link => Outcome::Rejected(RejectStage::Unlinkable, text),
        ErrorKind::Trap(kind) => Outcome::Trapped(trap(kind)),
        // Thrown where nothing can be called: see `Interp::failed`.
        ErrorKind::Exception => Outcome::Thrown { graph: HeapGraph::default() },
        ErrorKind::Exhausted(resource) => Outcome::Exhausted(match resource {
            wasm::Resource::CallStack => Resource::CallStack,
            wasm::Resource::Fuel => Resource::Fuel,
            wasm::Resource::GcHeap => Resource::GcHeap,
            wasm::Resource::Memory => Resource::Memory,
        }),
        ErrorKind::Usage => Outcome::BadStep(text),
        ErrorKind::Host | ErrorKind::Crash => Outcome::Crashed(text),
    }
}

fn trap(kind: wasm::TrapKind) -> TrapKind {
    use wasm::TrapKind as T;
    match kind {
        T::Unreachable => TrapKind::Unreachable,
        T::IntegerDivideByZero => TrapKind::IntegerDivideByZero,
        T::IntegerOverflow => TrapKind::IntegerOverflow,
        T::InvalidConversionToInteger => TrapKind::InvalidConversionToInteger,
        T::MemoryOutOfBounds => TrapKind::MemoryOutOfBounds,
        T::TableOutOfBounds => TrapKind::TableOutOfBounds,
        T::UninitializedElement => TrapKind::UninitializedElement,
        T::IndirectCallTypeMismatch => TrapKind::IndirectCallTypeMismatch,
        T::NullReference => TrapKind::NullReference,
        T::ArrayOutOfBounds => TrapKind::ArrayOutOfBounds,
        T::CastFailure => TrapKind::CastFailure,
        T::AllocationTooLarge => TrapKind::AllocationTooLarge,
    }
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The heap as graphs see it.
struct View<'a> {
    interp: &'a Interp,
    keys: &'a mut TypeKeys<TypeId>,
    /// Whether something was not there.
    broken: bool,
}

impl HeapView for View<'_> {
    type Id = ObjectAddr;

    fn kind(&self, id: ObjectAddr) -> ObjectKind {
        match self.interp.store.object_kind(id) {
            Some(wasm::ObjectKind::Array) => ObjectKind::Array,
            Some(wasm::ObjectKind::Exn) => ObjectKind::Exn,
            Some(wasm::ObjectKind::Struct) | None => ObjectKind::Struct,
        }
    }

    fn type_key(&mut self, id: ObjectAddr) -> TypeKey {
        match self.interp.store.object_type(id) {
            Some(ty) => self.keys.key(&Types(&self.interp.store), ty),
            None => {
                self.broken = true;
                TypeKey { group: 0, index: 0 }
            }
        }
    }

    fn slots(&mut self, id: ObjectAddr, limit: usize, out: &mut Vec<RawValue<ObjectAddr>>) -> bool {
        let len = self.interp.store.object_len(id).unwrap_or(0);
        // An exception shows its tag first.
        let tag = self.interp.store.exception_tag(id);
        out.extend(tag.filter(|_| limit > 0).map(|tag| match self.interp.store.tag_origin(tag) {
            Some((instance, index)) => RawValue::Tag(narrow(instance.index()), index),
            None => RawValue::Tag(u32::MAX, narrow(tag.index())),
        }));
        let limit = limit.saturating_sub(usize::from(tag.is_some()));
        for index in 0..len.min(limit) {
            match self.interp.store.object_get(id, index) {
                Some(value) => out.push(self.interp.raw(value)),
                None => self.broken = true,
            }
        }
        len <= limit
    }
}

struct Types<'a>(&'a Store);

impl TypeView for Types<'_> {
    type Id = TypeId;

    fn group(&self, id: TypeId) -> Vec<TypeId> {
        let Some(place) = self.0.type_place(id) else { return vec![id] };
        let at = |index| self.0.type_at(wasm::TypePlace { group: place.group, index });
        (0..).map_while(at).collect()
    }

    fn shape(&self, id: TypeId) -> SubTypeShape<TypeId> {
        let Some(ty) = self.0.type_def(id) else {
            return SubTypeShape {
                is_final: true,
                supertype: None,
                composite: CompositeShape::Struct(Vec::new()),
            };
        };
        let supertype = match ty.supertype {
            Some(wasm::HeapType::Canon(id)) => Some(id),
            _ => None,
        };
        let values = |types: &[wasm::ValType]| types.iter().map(|ty| value_shape(*ty)).collect();
        let composite = match &ty.composite {
            wasm::CompositeType::Struct(fields) => {
                CompositeShape::Struct(fields.iter().map(field_shape).collect())
            }
            wasm::CompositeType::Array(field) => CompositeShape::Array(field_shape(field)),
            wasm::CompositeType::Func(ty) => CompositeShape::Func(values(&ty.params), values(&ty.results)),
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
    use wasm::HeapType as H;
    match ty {
        wasm::ValType::I32 => StorageShape::I32,
        wasm::ValType::I64 => StorageShape::I64,
        wasm::ValType::F32 => StorageShape::F32,
        wasm::ValType::F64 => StorageShape::F64,
        wasm::ValType::V128 => StorageShape::V128,
        wasm::ValType::Ref(ty) => {
            let heap = match ty.heap {
                H::Any => HeapShape::Any,
                H::Eq => HeapShape::Eq,
                H::I31 => HeapShape::I31,
                H::Struct => HeapShape::Struct,
                H::Array => HeapShape::Array,
                // Canonical types hold neither indices nor places; none is the least wrong.
                H::None | H::Index(_) | H::Rec(_) => HeapShape::None,
                H::Func => HeapShape::Func,
                H::NoFunc => HeapShape::NoFunc,
                H::Extern => HeapShape::Extern,
                H::NoExtern => HeapShape::NoExtern,
                H::Exn => HeapShape::Exn,
                H::NoExn => HeapShape::NoExn,
                H::Canon(id) => HeapShape::Type(id),
            };
            StorageShape::Ref { nullable: ty.nullable, heap }
        }
    }
}
