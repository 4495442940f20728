//! A store: one heap and everything that was instantiated over it.
//!
//! Ownership: generated code sees raw pointers to [`StoreCtx`], `VmCtx`, memories, tables and global cells; all of
//! them are [`Pinned`] values owned by [`State`], which lives as long as the store and only ever adds to them.
//!
//! Invariant: `heap` and `state` are apart, so that a collection can borrow both: the heap, and the state as its roots.

use std::any::Any;
use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use assay_gc::{
    AllocError, CollectKind, FuncType, GcRef, Heap, HeapConfig, HeapType, Pauses, RecGroup, RefType,
    Schedule, Stats, Stress, TypeId, TypeRegistry, ValType,
};
use assay_jit::trampoline::{AbiSignature, Trampolines};
use assay_jit::vmctx::{FuncEntry, StoreCtx, VmCtx};
use assay_jit::{CodeMap, TrapCode};

use crate::constant::ConstVal;
use crate::enter::{Activation, Pending, TrapRecord};
use crate::externs::TagData;
use crate::fiber::Fibers;
use crate::func::HostFunc;
use crate::global::GlobalData;
use crate::handle::{Handles, Rooted};
use crate::instance::InstanceData;
use crate::memory::MemoryData;
use crate::pinned::Pinned;
use crate::roots::{RootCounts, Roots};
use crate::table::TableData;
use crate::{Engine, Error, ErrorKind, Frame, Inspector, Module, Resource, Usage};

static NEXT_STORE: AtomicU64 = AtomicU64::new(1);

/// A store. Used by one thread at a time; may move between threads while no wasm code of it is active. A fiber that waits in
/// a host function goes on in the thread that it waits in only (see [`Fiber`](crate::Fiber)); dropped in another thread, the
/// store leaks it.
#[derive(Debug)]
pub struct Store(Box<StoreInner>);

impl Store {
    /// An empty store.
    ///
    /// # Errors
    /// `Exhausted(Memory)` when address space is out.
    pub fn new(engine: &Engine) -> Result<Store, Error> {
        let config = engine.config();
        Store::with_heap(engine, config.gc_heap_initial, config.gc_heap_max)
    }

    /// An empty store with its own initial size and limit of the heap (bytes), in the place of
    /// [`Config::gc_heap_initial`](crate::Config) and [`Config::gc_heap_max`](crate::Config).
    ///
    /// # Errors
    /// Those of [`Store::new`].
    pub fn with_heap(engine: &Engine, initial_bytes: u64, max_bytes: u64) -> Result<Store, Error> {
        let config = engine.config();
        let heap_config =
            HeapConfig { max_bytes, initial_bytes, stress: config.stress, ..HeapConfig::default() };
        let heap = Heap::new(engine.types().clone(), engine.collector(), heap_config)?;
        let state = State::new(engine.clone());
        Ok(Store(Box::new(StoreInner { heap, state })))
    }
}

impl Deref for Store {
    type Target = StoreInner;
    fn deref(&self) -> &StoreInner {
        &self.0
    }
}

impl DerefMut for Store {
    fn deref_mut(&mut self) -> &mut StoreInner {
        &mut self.0
    }
}

/// What [`Store`] and [`Caller`](crate::Caller) dereference to: the context of every operation.
pub struct StoreInner {
    pub(crate) heap: Heap,
    pub(crate) state: State,
}

// SAFETY: the raw pointers inside lead to values that the store itself owns; nothing in it is tied to a thread (the
// thread-local pointer of the signal handler is set and reset around each entry); host functions and host values are
// `Send + Sync` by their constructors' bounds; fibers that hold frames of host functions run in their own thread only.
unsafe impl Send for StoreInner {}

impl std::fmt::Debug for StoreInner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let instances = self.state.instances.len();
        f.debug_struct("Store")
            .field("id", &self.state.id)
            .field("instances", &instances)
            .finish_non_exhaustive()
    }
}

/// Everything of a store but its heap.
pub(crate) struct State {
    pub(crate) id: u64,
    pub(crate) engine: Engine,
    pub(crate) ctx: Pinned<StoreCtx>,
    pub(crate) record: Pinned<TrapRecord>,
    /// By func id; entry 0 is never valid.
    pub(crate) funcs: Vec<FuncEntry>,
    pub(crate) instances: Vec<InstanceData>,
    pub(crate) hosts: Vec<HostFunc>,
    pub(crate) tables: Vec<TableData>,
    pub(crate) memories: Vec<MemoryData>,
    pub(crate) globals: Vec<GlobalData>,
    pub(crate) tags: Vec<TagData>,
    pub(crate) handles: Arc<Handles>,
    /// Values of the constant expressions being evaluated.
    pub(crate) const_stack: Vec<ConstVal>,
    /// What each active entry has set aside, outermost first.
    pub(crate) activations: Vec<Activation>,
    pub(crate) fibers: Fibers,
    /// What the newest activation will report, once its frames are gone.
    pub(crate) pending: Option<Pending>,
    /// Sorted by address.
    code: Vec<Code>,
    /// By function type id.
    signatures: HashMap<u32, Arc<Signature>>,
    /// Keeps host-made types alive.
    groups: HashMap<TypeId, RecGroup>,
    host_values: HostValues,
    pub(crate) root_counts: RootCounts,
}

/// A function type as calls need it.
pub(crate) struct Signature {
    pub(crate) ty: FuncType,
    pub(crate) trampolines: Arc<Trampolines>,
}

enum CodeOwner {
    Module(Module),
    Trampolines(Arc<Trampolines>),
}

/// Code that frames of this store may run.
struct Code {
    base: usize,
    owner: CodeOwner,
}

impl Code {
    fn map(&self) -> &CodeMap {
        match &self.owner {
            CodeOwner::Module(module) => &module.compiled().map,
            CodeOwner::Trampolines(trampolines) => &trampolines.map,
        }
    }
}

/// Host values by the index that their boxes hold.
#[derive(Default)]
struct HostValues {
    values: Vec<Option<Box<dyn Any + Send + Sync>>>,
    free: Vec<u32>,
    /// Sweep when this many are live.
    sweep_at: usize,
    /// Collections seen at the last sweep.
    swept_after: u64,
}

impl State {
    /// Whether the store's memories may have `pages` more together.
    pub(crate) fn may_add_pages(&self, pages: u64) -> bool {
        let total: u64 = self.memories.iter().map(|memory| memory.pages()).sum();
        total.checked_add(pages).is_some_and(|total| total <= self.engine.config().max_total_pages)
    }

    /// Whether the store's tables may have `elements` more together.
    pub(crate) fn may_add_elements(&self, elements: u64) -> bool {
        let total: u64 = self.tables.iter().map(|table| table.len()).sum();
        total
            .checked_add(elements)
            .is_some_and(|total| total <= self.engine.config().max_total_table_elements)
    }

    fn new(engine: Engine) -> State {
        let id = NEXT_STORE.fetch_add(1, Ordering::Relaxed);
        let epoch = Arc::new(AtomicU64::new(0));
        let ctx = StoreCtx {
            stack_limit: 0,
            exit_fp: 0,
            exit_pc: 0,
            entry_fp: 0,
            entry_sp: 0,
            entry_handler: 0,
            fuel: 0,
            fuel_reserve: 0,
            epoch: epoch.as_ptr(),
            epoch_deadline: u64::MAX,
            funcs: std::ptr::null(),
            func_count: 0,
            trap: 0,
            owner: std::ptr::null_mut(),
        };
        let invalid = FuncEntry {
            code: std::ptr::null(),
            vmctx: std::ptr::null_mut(),
            type_id: 0,
            instance: u32::MAX,
            index: 0,
            reserved: 0,
        };
        let mut state = State {
            id,
            engine,
            ctx: Pinned::new(ctx),
            record: Pinned::new(TrapRecord::default()),
            funcs: Vec::new(),
            instances: Vec::new(),
            hosts: Vec::new(),
            tables: Vec::new(),
            memories: Vec::new(),
            globals: Vec::new(),
            tags: Vec::new(),
            handles: Handles::new(id),
            const_stack: Vec::new(),
            activations: Vec::new(),
            fibers: Fibers::new(epoch),
            pending: None,
            code: Vec::new(),
            signatures: HashMap::new(),
            groups: HashMap::new(),
            host_values: HostValues { sweep_at: 1024, ..HostValues::default() },
            root_counts: RootCounts::default(),
        };
        state.add_funcs([invalid]);
        state
    }

    /// Adds function entries; returns the id of the first.
    pub(crate) fn add_funcs(&mut self, entries: impl IntoIterator<Item = FuncEntry>) -> u32 {
        let first = self.funcs.len() as u32;
        self.funcs.extend(entries);
        let ctx = self.ctx.as_ptr();
        // SAFETY: the context is pinned and generated code is not running on it now.
        unsafe { (*ctx).funcs = self.funcs.as_ptr() };
        // SAFETY: as above.
        unsafe { (*ctx).func_count = self.funcs.len() as u32 };
        first
    }

    /// The tables of the code that `pc` lies in.
    pub(crate) fn code_at(&self, pc: usize) -> Option<&CodeMap> {
        let map = self.code_behind(pc)?.map();
        map.contains(pc).then_some(map)
    }

    fn code_behind(&self, pc: usize) -> Option<&Code> {
        let behind = self.code.partition_point(|code| code.base <= pc);
        Some(&self.code[behind.checked_sub(1)?])
    }

    fn add_code(&mut self, base: usize, owner: CodeOwner) {
        let at = self.code.partition_point(|code| code.base < base);
        if self.code.get(at).is_none_or(|code| code.base != base) {
            self.code.insert(at, Code { base, owner });
        }
    }

    /// Keeps the module's code and types for the store's life.
    pub(crate) fn add_module(&mut self, module: &Module) {
        self.add_code(module.compiled().map.base, CodeOwner::Module(module.clone()));
    }

    /// The function type `id` with its trampolines.
    pub(crate) fn signature(&mut self, id: u32) -> Result<Arc<Signature>, Error> {
        if let Some(found) = self.signatures.get(&id) {
            return Ok(found.clone());
        }
        let definition = self.engine.types().get(TypeId(id));
        let Some(assay_gc::CompositeType::Func(ty)) = definition.as_deref().map(|def| &def.composite) else {
            return Err(Error::internal("function of no function type"));
        };
        let trampolines = self.engine.trampolines(AbiSignature::of(ty))?;
        self.add_code(trampolines.map.base, CodeOwner::Trampolines(trampolines.clone()));
        let signature = Arc::new(Signature { ty: ty.clone(), trampolines });
        self.signatures.insert(id, signature.clone());
        Ok(signature)
    }

    /// How many activations the running fiber, or the thread, has under the newest one.
    pub(crate) fn depth(&self) -> usize {
        self.activations.len() - self.fibers.base()
    }

    /// Calls `f(return address, frame pointer, whether it is one of a suspended fiber)` for each wasm frame: those that
    /// run, youngest first, then those of each suspended fiber.
    pub(crate) fn for_each_frame(&self, f: &mut dyn FnMut(usize, usize, bool)) {
        let newest = Activation::of(&self.ctx);
        for activation in std::iter::once(&newest).chain(self.activations.iter().rev()) {
            activation.for_each_frame(&mut |pc, fp| {
                f(pc, fp, false);
                true
            });
        }
        for activation in self.fibers.suspended_activations() {
            activation.for_each_frame(&mut |pc, fp| {
                f(pc, fp, true);
                true
            });
        }
    }

    /// Describes a frame by an address in its code.
    pub(crate) fn describe(&self, pc: usize) -> Option<Frame> {
        let code = self.code_behind(pc)?;
        if !code.map().contains(pc) {
            return None;
        }
        let CodeOwner::Module(module) = &code.owner else {
            return Some(Frame { instance: None, function: None, name: None });
        };
        let mut of_module =
            (0u32..).zip(&self.instances).filter(|(_, instance)| instance.module.same(module));
        let instance = of_module.next().map(|(number, _)| number).filter(|_| of_module.next().is_none());
        let info = module.info();
        // Code maps name functions by their index in the module.
        let function = code.map().function(pc).filter(|index| (*index as usize) < info.funcs.len())?;
        Some(Frame {
            instance,
            function: Some(function),
            name: module.func_name(function).map(str::to_owned),
        })
    }

    /// Drops host values whose boxes are gone; returns them, so that they drop when the store is whole.
    fn sweep_host_values(&mut self, heap: &Heap) -> Vec<Box<dyn Any + Send + Sync>> {
        let mut alive = vec![false; self.host_values.values.len()];
        let host_type = self.engine.types().host_type();
        heap.for_each_object(&mut |object, ty| {
            if ty == host_type
                && let Some(flag) = heap.host_index(object).and_then(|index| alive.get_mut(index as usize))
            {
                *flag = true;
            }
        });
        let table = &mut self.host_values;
        let mut dead = Vec::new();
        for (index, flag) in (0u32..).zip(alive) {
            if !flag && let Some(value) = table.values[index as usize].take() {
                dead.push(value);
                table.free.push(index);
            }
        }
        let live = table.values.len() - table.free.len();
        table.sweep_at = (2 * live).max(1024);
        table.swept_after = heap.stats().collections;
        dead
    }

    pub(crate) fn host_value(&self, index: u32) -> Option<&(dyn Any + Send + Sync)> {
        self.host_values.values.get(index as usize)?.as_deref()
    }
}

impl StoreInner {
    /// The store's number in this process.
    pub fn id(&self) -> u64 {
        self.state.id
    }
    /// Its engine.
    pub fn engine(&self) -> &Engine {
        &self.state.engine
    }
    /// The engine's canonical types.
    pub fn types(&self) -> &Arc<TypeRegistry> {
        self.state.engine.types()
    }
    /// Sets the fuel left (at most `i64::MAX`); counts only in an engine with [`Config::fuel`](crate::Config::fuel).
    /// On a fiber the turn does not become longer.
    pub fn set_fuel(&mut self, fuel: u64) {
        self.state.set_fuel(i64::try_from(fuel).unwrap_or(i64::MAX));
    }
    /// The fuel left; 0 after it ran out.
    pub fn fuel(&self) -> u64 {
        u64::try_from(self.state.fuel()).unwrap_or(0)
    }
    /// Collects, wasm frames of all activations included. Host values whose boxes died are dropped.
    ///
    /// # Errors
    /// `Corrupt` when the heap verifier finds a broken invariant.
    pub fn gc(&mut self, kind: CollectKind) -> Result<(), Error> {
        let StoreInner { heap, state } = self;
        heap.collect(kind, &mut Roots { state })?;
        if kind == CollectKind::Full && state.engine.collector().constraints.collects {
            drop(state.sweep_host_values(heap));
        }
        Ok(())
    }
    /// Starts a schedule of collections, whose places count from the store's creation; allocations that were made inline
    /// before are not among them. See [`Heap::set_schedule`].
    pub fn set_schedule(&mut self, schedule: &Schedule) {
        self.heap.set_schedule(schedule);
    }
    /// How long the heap's collections took.
    pub fn pauses(&self) -> &Pauses {
        self.heap.pauses()
    }
    /// Changes the heap's testing modes, for schedules of collections.
    pub fn set_stress(&mut self, stress: Stress) {
        self.heap.set_stress(stress);
    }
    /// The heap's counters.
    pub fn heap_stats(&self) -> Stats {
        self.heap.stats()
    }
    /// What the heap's roots held.
    pub fn root_counts(&self) -> RootCounts {
        self.state.root_counts
    }
    /// Bytes of the heap in use, garbage included.
    pub fn heap_used(&self) -> u64 {
        self.heap.used_bytes()
    }
    /// Passes a safepoint of generated code: collects if the schedule or a stress mode says so.
    pub(crate) fn safepoint(&mut self) -> Result<(), Error> {
        let StoreInner { heap, state } = self;
        Ok(heap.safepoint(&mut Roots { state })?)
    }
    /// Collects fully and counts what is left: (objects, bytes). That is what the store's roots (handles included)
    /// reach, or the collector leaks; under one that never collects, what they reach is counted.
    ///
    /// # Errors
    /// `Usage(Active)` while wasm code is active, or suspended on a fiber; `Corrupt`.
    pub fn live_objects(&mut self) -> Result<(u64, u64), Error> {
        if !self.state.activations.is_empty() || self.suspended_fibers() > 0 {
            return Err(Error::usage(Usage::Active));
        }
        self.gc(CollectKind::Full)?;
        let StoreInner { heap, state } = self;
        if !heap.constraints().collects {
            return Ok(heap.live(&mut Roots { state }));
        }
        Ok(heap.retained()?)
    }
    /// Re-traces the heap from freshly computed roots and checks every object.
    ///
    /// # Errors
    /// `Corrupt` with the verifier's finding.
    pub fn verify_heap(&mut self) -> Result<(), Error> {
        let StoreInner { heap, state } = self;
        Ok(heap.verify(&mut Roots { state })?)
    }
    /// How many host handles are live.
    pub fn live_handles(&self) -> usize {
        self.state.handles.live()
    }
    /// Reads heap objects without making handles.
    pub fn inspector(&self) -> Inspector<'_> {
        Inspector::new(self)
    }
    /// The word behind a handle, for an [`Inspector`]; valid until the next allocation or collection.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn inspect(&self, handle: &Rooted) -> Result<GcRef, Error> {
        handle.get(self)
    }
    /// Roots a word that an [`Inspector`] read just now; `None` for null.
    ///
    /// # Errors
    /// `Corrupt` when it is no reference.
    pub fn root_word(&mut self, word: GcRef) -> Result<Option<Rooted>, Error> {
        if self.inspector().kind(word).is_none() {
            return Err(Error::corrupt("not a reference"));
        }
        Ok(self.root_nullable(word))
    }

    pub(crate) fn root(&mut self, word: GcRef) -> Rooted {
        self.state.handles.root(word)
    }
    pub(crate) fn root_nullable(&mut self, word: GcRef) -> Option<Rooted> {
        (!word.is_null()).then(|| self.root(word))
    }

    /// Allocates a zeroed struct; may collect.
    pub(crate) fn alloc_struct(&mut self, ty: TypeId) -> Result<GcRef, Error> {
        let StoreInner { heap, state } = self;
        heap.alloc_struct(ty, &mut Roots { state }).map_err(|error| alloc_error(heap, error))
    }
    /// Allocates a zeroed array; may collect.
    pub(crate) fn alloc_array(&mut self, ty: TypeId, len: u32) -> Result<GcRef, Error> {
        let StoreInner { heap, state } = self;
        heap.alloc_array(ty, len, &mut Roots { state }).map_err(|error| alloc_error(heap, error))
    }
    /// Boxes a host value; may collect.
    pub(crate) fn alloc_host(&mut self, value: Box<dyn Any + Send + Sync>) -> Result<GcRef, Error> {
        let StoreInner { heap, state } = self;
        let table = &state.host_values;
        let due = table.values.len() - table.free.len() >= table.sweep_at;
        if due
            && heap.stats().collections > table.swept_after
            && state.engine.collector().constraints.collects
        {
            drop(state.sweep_host_values(heap));
        }
        let table = &mut state.host_values;
        let index = match table.free.pop() {
            Some(index) => {
                table.values[index as usize] = Some(value);
                index
            }
            None => {
                table.values.push(Some(value));
                table.values.len() as u32 - 1
            }
        };
        heap.alloc_host(index, &mut Roots { state }).map_err(|error| {
            state.host_values.values[index as usize] = None;
            state.host_values.free.push(index);
            alloc_error(heap, error)
        })
    }

    /// Takes `cost` fuel, or takes all of it and fails.
    pub(crate) fn charge(&mut self, cost: u64) -> Result<(), Error> {
        if !self.state.engine.config().fuel {
            return Ok(());
        }
        if self.fuel() < cost {
            self.state.take_fuel(cost);
            self.set_fuel(0);
            return Err(Error::of_trap(TrapCode::OutOfFuel));
        }
        self.state.take_fuel(cost);
        Ok(())
    }

    /// Keeps the group of a type alive as long as the store.
    pub(crate) fn retain_type(&mut self, id: TypeId) -> Result<(), Error> {
        if !self.state.groups.contains_key(&id) {
            let group = self.types().group_of(id);
            let (group, _) = group.ok_or_else(|| Error::usage(Usage::WrongEngine))?;
            self.state.groups.insert(id, group);
        }
        Ok(())
    }

    /// Keeps the groups that a value type names alive.
    pub(crate) fn retain_val_type(&mut self, ty: &ValType) -> Result<(), Error> {
        match ty {
            ValType::Ref(RefType { heap: HeapType::Concrete(id), .. }) => self.retain_type(*id),
            ValType::Ref(RefType { heap: HeapType::Rec(_), .. }) => {
                Err(Error::usage(Usage::Type { index: 0 }))
            }
            _ => Ok(()),
        }
    }

    /// A context without an instance, for a host function.
    pub(crate) fn bare_vmctx(&mut self) -> VmCtx {
        VmCtx {
            store: self.state.ctx.as_ptr(),
            builtins: crate::builtins::table(),
            heap_base: self.heap.base(),
            type_rows: self.state.engine.types().rows_base(),
            mutator: self.heap.mutator(),
            memories: std::ptr::null(),
            tables: std::ptr::null(),
            globals: std::ptr::null(),
            imported_funcs: std::ptr::null(),
            func_ids: std::ptr::null(),
            tags: std::ptr::null(),
            instance: u32::MAX,
            host_func: u32::MAX,
        }
    }
}

fn alloc_error(heap: &Heap, error: AllocError) -> Error {
    match error {
        AllocError::OutOfMemory => Error::new(ErrorKind::Exhausted(Resource::GcHeap)),
        AllocError::TooLarge => Error::of_trap(TrapCode::AllocationTooLarge),
        AllocError::Corrupt => match heap.verify_failure() {
            Some(failure) => Error::from(failure.clone()),
            None => Error::corrupt("allocation met a corrupt heap"),
        },
    }
}
