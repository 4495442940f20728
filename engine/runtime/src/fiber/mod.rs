//! Fibers: calls that can be suspended, each on a stack of its own.
//!
//! The way: [`Fiber::new`] takes a stack and what is to run there; [`Fiber::resume`] gives it a turn: it puts the
//! resumer's records aside, brings the fiber's back ([`Activation`]), and switches. The fiber comes back when it has
//! ended, when its turn is over ([`Slice`], at the points that code of an engine with
//! [`Config::yields`](crate::Config::yields) has), or when a host function suspends it ([`Caller::suspend`]). While it
//! rests its frames are roots like those that run.
//!
//! Several fibers of a store may rest at once, and one may resume another. While one rests, no builtin's frame and no
//! [`Caller`] on its stack holds a reference into the store: generated code calls the runtime with numbers, and a `Caller`
//! is an address. Frames of `Func::call` and the like do hold one. They are blocked in a call that was given it, so what
//! the compiler assumes of it stops there; formal models of aliasing are stricter than that.
//!
//! Invariants: a stack is never freed while something runs on it: a fiber is given up by an error that is raised where it
//! waits, which runs what has to be dropped ([`Resting`]'s drop checks that). A store with resting fibers stays at its
//! address; swapping it for another one ends the process. A fiber goes on in another thread only if all on its stack may
//! be sent: frames of wasm, of this crate (nothing here remembers the address of a thread-local across a switch) and of
//! asynchronous host functions, whose futures are `Send`; not those of plain host functions ([`State::pin_fiber`]).

mod asynchronous;
mod stack;
mod turn;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::ThreadId;

use corosensei::{Coroutine, CoroutineResult, Yielder};

pub(crate) use asynchronous::Waker;
pub use asynchronous::{AsyncCaller, HostFuture, OnFiber};
pub(crate) use stack::StackPool;
pub(crate) use turn::Turns;

use crate::enter::{Activation, swapped};
use crate::externs::check;
use crate::signal::Current;
use crate::stack::{Bounds, OnStack, here};
use crate::store::{State, StoreInner};
use crate::{Caller, Error, ErrorKind, FiberMisuse, Func, Resource, TrapCode, Usage, Val};

/// How long a turn of a fiber may be; with neither, until the fiber ends or suspends itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Slice {
    /// Units of fuel. The fiber yields at the first point where so much is used up, before it takes more there; one
    /// operation may overdraw it. Needs [`Config::fuel`](crate::Config::fuel).
    pub fuel: Option<u64>,
    /// Epochs: the fiber yields at the first function entry or loop header in the epoch so many after the present one, or
    /// later.
    pub epochs: Option<u64>,
}

/// Why a fiber is back before its end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Yield {
    /// The fuel of its turn is used up.
    Fuel,
    /// The epochs of its turn are over.
    Epoch,
    /// A host function suspended it.
    Host,
    /// A future that an asynchronous host function waits for is not ready.
    Pending,
}

/// What came of a turn.
#[derive(Debug)]
pub enum Turn {
    /// The fiber rests.
    Yielded(Yield),
    /// It has ended, with the results of its call.
    Done(Result<Vec<Val>, Error>),
}

/// What a store has seen of fibers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FiberStats {
    /// Turns given.
    pub resumes: u64,
    /// Turns that ended before their fiber.
    pub yields: u64,
    /// Fibers given up.
    pub cancels: u64,
    /// Visits of the roots, by collections and verifications, that came to a frame of a resting fiber.
    pub visits: u64,
    /// References in such frames that a collection has changed.
    pub moved: u64,
}

/// Advances a store's epoch, from any thread.
#[derive(Clone, Debug)]
pub struct EpochHandle(Arc<AtomicU64>);

impl EpochHandle {
    /// The next epoch begins; the one before is returned.
    pub fn advance(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// A fiber of a store. It may go on in another thread than before, unless it waits with the frame of a host function that is
/// not asynchronous, or of the body of [`Fiber::of`], on its stack.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Fiber {
    store: u64,
    index: u32,
    generation: u64,
}

/// What a fiber hears when it goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wake {
    Go,
    Cancel,
}

type Ended = Result<Result<Vec<Val>, Error>, Box<dyn Any + Send>>;
type Body = dyn FnOnce(&mut Caller<'_>) -> Result<Vec<Val>, Error> + Send;

/// A fiber that does not run.
struct Resting {
    /// None when its stack has been given back.
    coroutine: Option<Coroutine<Wake, Yield, Ended, stack::FiberStack>>,
    bounds: Bounds,
    /// How it suspends itself; set when it has started.
    yielder: *const Yielder<Wake, Yield>,
    /// Where its store was when it started.
    owner: *mut StoreInner,
    /// What it has set aside and, last, its newest activation.
    activations: Vec<Activation>,
    /// Frames on its stack that belong to a thread.
    pins: u32,
    /// The thread where it was suspended last; none before it has started.
    thread: Option<ThreadId>,
}

impl Resting {
    /// Whether it has started and not ended.
    fn is_suspended(&self) -> bool {
        self.coroutine.as_ref().is_some_and(|coroutine| coroutine.started() && !coroutine.done())
    }

    /// Whether it may go on here.
    fn may_run_here(&self) -> bool {
        self.pins == 0 || self.thread.is_none_or(|thread| thread == std::thread::current().id())
    }
}

impl Drop for Resting {
    fn drop(&mut self) {
        if self.is_suspended() {
            // Freeing the stack would unwind it by force, through generated code.
            eprintln!("assay-runtime: a suspended fiber was dropped");
            std::process::abort();
        }
    }
}

/// A fiber that runs, or waits for one that it has resumed.
struct Running {
    bounds: Bounds,
    yielder: *const Yielder<Wake, Yield>,
    cancelled: bool,
    /// Frames on its stack that belong to a thread.
    pins: u32,
    /// Futures of host functions that are being polled on its stack: it cannot be suspended inside of them.
    polls: u32,
    /// Where its activations begin among the store's.
    base: usize,
}

#[derive(Default)]
enum Place {
    #[default]
    Free,
    Running,
    Resting(Box<Resting>),
}

#[derive(Default)]
struct Slot {
    generation: u64,
    place: Place,
}

/// The fibers of a store.
pub(crate) struct Fibers {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Innermost last.
    running: Vec<Running>,
    pub(crate) turns: Turns,
    /// What wakes the innermost asynchronous call.
    pub(crate) waker: Waker,
    epoch: Arc<AtomicU64>,
    stats: FiberStats,
    /// Whether the store is being dropped.
    closing: bool,
}

impl Fibers {
    pub(crate) fn new(epoch: Arc<AtomicU64>) -> Fibers {
        Fibers {
            slots: Vec::new(),
            free: Vec::new(),
            running: Vec::new(),
            turns: Turns::default(),
            waker: Waker::default(),
            epoch,
            stats: FiberStats::default(),
            closing: false,
        }
    }

    /// How many of the store's activations do not belong to the innermost fiber.
    pub(crate) fn base(&self) -> usize {
        self.running.last().map_or(0, |running| running.base)
    }

    fn resting(&self) -> impl Iterator<Item = &Resting> {
        self.slots.iter().filter_map(|slot| match &slot.place {
            Place::Resting(fiber) => Some(&**fiber),
            Place::Free | Place::Running => None,
        })
    }

    /// Those of resting fibers.
    pub(crate) fn suspended_activations(&self) -> impl Iterator<Item = &Activation> {
        self.resting().flat_map(|fiber| fiber.activations.iter().rev())
    }

    /// A visit of the roots found so many frames of resting fibers and changed so many references there.
    pub(crate) fn count_visit(&mut self, frames: u64, moved: u64) {
        self.stats.visits += u64::from(frames > 0);
        self.stats.moved += moved;
    }

    fn count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn release(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        slot.place = Place::Free;
        slot.generation += 1;
        self.free.push(index);
    }
}

fn misuse(misuse: FiberMisuse) -> Error {
    Error::usage(Usage::Fiber(misuse))
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled)
}

impl Fiber {
    /// A fiber that will call `func`. Nothing runs yet.
    ///
    /// # Errors
    /// `Usage` for wrong arguments; `Exhausted(Fibers)`.
    pub fn new(store: &mut StoreInner, func: Func, args: &[Val]) -> Result<Fiber, Error> {
        func.check_args(store, args)?;
        let args = args.to_vec();
        Fiber::make(store, 0, move |caller| func.call(caller, &args))
    }

    /// A fiber that will run `body`: an instantiation with its start function, or several calls.
    ///
    /// # Errors
    /// `Exhausted(Fibers)`.
    pub fn of(
        store: &mut StoreInner,
        body: impl FnOnce(&mut Caller<'_>) -> Result<Vec<Val>, Error> + Send + 'static,
    ) -> Result<Fiber, Error> {
        Fiber::make(store, 1, body)
    }

    /// `pins`: whether the body's frame holds what may not be sent.
    fn make(
        store: &mut StoreInner,
        pins: u32,
        body: impl FnOnce(&mut Caller<'_>) -> Result<Vec<Val>, Error> + Send + 'static,
    ) -> Result<Fiber, Error> {
        if store.state.fibers.closing {
            return Err(misuse(FiberMisuse::Closing));
        }
        let engine = store.engine().clone();
        let fibers = &mut store.state.fibers;
        if fibers.count() >= engine.config().max_fibers {
            return Err(Error::new(ErrorKind::Exhausted(Resource::Fibers)));
        }
        let stack = engine.stacks().take(engine.config().max_wasm_stack)?;
        let bounds = stack.bounds();
        let body: Box<Body> = Box::new(body);
        let ctx = Context(store.state.ctx.as_ptr());
        // SAFETY: see `run_body`: the coroutine is resumed by `switch` only, in a store that is borrowed there.
        let coroutine =
            Coroutine::with_stack(stack, move |yielder, wake| unsafe { run_body(ctx, yielder, wake, body) });
        let fiber = Resting {
            coroutine: Some(coroutine),
            bounds,
            yielder: std::ptr::null(),
            owner: std::ptr::null_mut(),
            activations: Vec::new(),
            pins,
            thread: None,
        };
        let fibers = &mut store.state.fibers;
        let index = fibers.free.pop().unwrap_or_else(|| {
            fibers.slots.push(Slot::default());
            fibers.slots.len() as u32 - 1
        });
        let slot = &mut fibers.slots[index as usize];
        slot.place = Place::Resting(Box::new(fiber));
        let generation = slot.generation;
        Ok(Fiber { store: store.id(), index, generation })
    }

    /// Gives it a turn.
    ///
    /// # Errors
    /// `Usage` for another store's fiber, one that runs or has ended, or a slice that cannot be. What the call itself
    /// fails with stands in [`Turn::Done`].
    ///
    /// # Panics
    /// Resumes the panic of a host function.
    pub fn resume(self, store: &mut StoreInner, slice: Slice) -> Result<Turn, Error> {
        store.check_slice(slice)?;
        if store.state.fibers.closing {
            return Err(misuse(FiberMisuse::Closing));
        }
        let fiber = self.take(store)?;
        store.state.fibers.stats.resumes += 1;
        let turn = switch(store, self.index, fiber, Wake::Go, slice);
        store.state.fibers.stats.yields += u64::from(matches!(turn, Turn::Yielded(_)));
        Ok(turn)
    }

    /// Gives it up: where it waits, [`ErrorKind::Cancelled`] is raised, which no wasm code catches. A host function on it
    /// that goes on regardless cannot suspend it again.
    ///
    /// # Errors
    /// `Usage` for another store's fiber, one that runs or has ended, or waits in another thread; `Corrupt` or `Internal`
    /// when that is what it met on its way out.
    ///
    /// # Panics
    /// Resumes the panic of a host function.
    pub fn cancel(self, store: &mut StoreInner) -> Result<(), Error> {
        let fiber = self.take(store)?;
        cancel(store, self.index, fiber)
    }

    /// Whether it neither runs nor has ended.
    pub fn is_resting(self, store: &StoreInner) -> bool {
        let slot = store.state.fibers.slots.get(self.index as usize);
        self.store == store.id()
            && slot.is_some_and(|slot| {
                slot.generation == self.generation && matches!(slot.place, Place::Resting(_))
            })
    }

    fn take(self, store: &mut StoreInner) -> Result<Box<Resting>, Error> {
        check(store, self.store)?;
        let slot = &mut store.state.fibers.slots[self.index as usize];
        if slot.generation != self.generation {
            return Err(misuse(FiberMisuse::Ended));
        }
        match std::mem::take(&mut slot.place) {
            Place::Resting(fiber) if !fiber.may_run_here() => {
                slot.place = Place::Resting(fiber);
                Err(misuse(FiberMisuse::OtherThread))
            }
            Place::Resting(fiber) => {
                slot.place = Place::Running;
                Ok(fiber)
            }
            Place::Running => {
                slot.place = Place::Running;
                Err(misuse(FiberMisuse::Running))
            }
            Place::Free => Err(misuse(FiberMisuse::Ended)),
        }
    }
}

impl StoreInner {
    /// Fibers that have started and not ended, and do not run.
    pub fn suspended_fibers(&self) -> usize {
        self.state.fibers.resting().filter(|fiber| fiber.is_suspended()).count()
    }

    /// What it has seen of fibers.
    pub fn fiber_stats(&self) -> FiberStats {
        self.state.fibers.stats
    }

    /// The present epoch; the first is 0.
    pub fn epoch(&self) -> u64 {
        self.state.fibers.epoch.load(Ordering::Relaxed)
    }

    /// What advances the epoch.
    pub fn epoch_handle(&self) -> EpochHandle {
        EpochHandle(self.state.fibers.epoch.clone())
    }

    fn check_slice(&self, slice: Slice) -> Result<(), Error> {
        let config = self.engine().config();
        if slice.fuel == Some(0) || slice.epochs == Some(0) {
            return Err(misuse(FiberMisuse::EmptySlice));
        }
        if (slice.fuel.is_some() && !(config.fuel && config.yields))
            || (slice.epochs.is_some() && !config.yields)
        {
            return Err(misuse(FiberMisuse::NoYields));
        }
        Ok(())
    }
}

impl Caller<'_> {
    /// Suspends the fiber that this host function runs on until its next turn.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] when it has been given up, to be passed on; `Usage(Fiber(NotOnFiber))`.
    pub fn suspend(&mut self) -> Result<(), Error> {
        // SAFETY: a caller stands for the store that runs, and lends no reference while it is borrowed here.
        unsafe { suspend(self.address(), Yield::Host) }
    }

    /// Whether [`Self::suspend`] can do that, unless the fiber has been given up.
    pub fn on_fiber(&self) -> bool {
        self.state.running_here().is_some()
    }
}

impl State {
    /// The innermost fiber, if this is its stack and it can be suspended here: neither in the poll of a host function's
    /// future, whose context ends with the turn, nor in what a panic drops, since threads count their panics.
    fn running_here(&self) -> Option<&Running> {
        let running = self.fibers.running.last()?;
        let here = running.bounds.contains(here()) && running.polls == 0 && !std::thread::panicking();
        here.then_some(running)
    }

    /// A frame that belongs to this thread begins: the fiber cannot go on in another.
    pub(crate) fn pin_fiber(&mut self) {
        if let Some(running) = self.fibers.running.last_mut() {
            running.pins += 1;
        }
    }

    /// It ends.
    pub(crate) fn unpin_fiber(&mut self) {
        if let Some(running) = self.fibers.running.last_mut() {
            running.pins -= 1;
        }
    }

    /// Counts a poll of a host function's future on the fiber's stack: its beginning, or its end.
    pub(super) fn polling(&mut self, begins: bool) {
        if let Some(running) = self.fibers.running.last_mut() {
            running.polls = if begins { running.polls + 1 } else { running.polls - 1 };
        }
    }
}

impl Drop for StoreInner {
    fn drop(&mut self) {
        self.state.fibers.closing = true;
        let mut panic = None;
        for index in 0..self.state.fibers.slots.len() {
            let place = &mut self.state.fibers.slots[index].place;
            let Place::Resting(fiber) = std::mem::take(place) else { continue };
            if !fiber.may_run_here() {
                // Nothing will run there again, so what it refers to may go.
                std::mem::forget(fiber);
                continue;
            }
            *place = Place::Running;
            // All of them end before the state does.
            let outcome = catch_unwind(AssertUnwindSafe(|| cancel(self, index as u32, fiber)));
            panic = panic.or(outcome.err());
        }
        if let Some(payload) = panic.filter(|_| !std::thread::panicking()) {
            resume_unwind(payload);
        }
    }
}

fn cancel(store: &mut StoreInner, index: u32, fiber: Box<Resting>) -> Result<(), Error> {
    store.state.fibers.stats.cancels += 1;
    match switch(store, index, fiber, Wake::Cancel, Slice::default()) {
        Turn::Done(Err(error)) if matches!(error.kind(), ErrorKind::Corrupt(_) | ErrorKind::Internal(_)) => {
            Err(error)
        }
        // What else it would have ended with does not matter any more.
        Turn::Done(_) => Ok(()),
        Turn::Yielded(_) => Err(Error::internal("a fiber that was given up has waited again")),
    }
}

/// Gives the fiber a turn. It has left its slot, and comes back to it if it rests again.
fn switch(store: &mut StoreInner, index: u32, mut fiber: Box<Resting>, wake: Wake, slice: Slice) -> Turn {
    let owner: *mut StoreInner = store;
    if !fiber.owner.is_null() && fiber.owner != owner {
        swapped();
    }
    fiber.owner = owner;
    crate::signal::prepare_thread();
    let state = &mut store.state;
    let ctx = state.ctx.as_ptr();
    let resumer = Activation::of(&state.ctx);
    let outer_turn = state.begin_turn(slice);
    state.activations.push(resumer);
    let base = state.activations.len();
    let newest = fiber.activations.pop().unwrap_or(Activation::NONE);
    state.activations.append(&mut fiber.activations);
    newest.restore(&state.ctx);
    // SAFETY: the context is pinned and generated code is not running.
    unsafe { (*ctx).owner = owner.cast() };
    let cancelled = wake == Wake::Cancel;
    let Resting { bounds, yielder, pins, .. } = *fiber;
    let running = Running { bounds, yielder, cancelled, pins, polls: 0, base };
    state.fibers.running.push(running);

    let current = Current::set(ctx);
    let stack = OnStack::of(fiber.bounds);
    // The fiber uses the store by its address.
    let came = fiber.coroutine.as_mut().expect("a resting fiber has its stack").resume(wake);
    drop(stack);
    drop(current);

    // SAFETY: `owner` came from `store`, which this function still borrows.
    let store = unsafe { &mut *owner };
    let state = &mut store.state;
    if state.ctx.as_ptr() != ctx {
        swapped();
    }
    let running = state.fibers.running.pop().expect("pushed above");
    (fiber.yielder, fiber.pins) = (running.yielder, running.pins);
    fiber.activations = state.activations.split_off(base);
    fiber.activations.push(Activation::of(&state.ctx));
    state.activations.pop().expect("pushed above").restore(&state.ctx);
    state.end_turn(outer_turn);
    let ended = match came {
        CoroutineResult::Yield(why) => {
            fiber.thread = Some(std::thread::current().id());
            state.fibers.slots[index as usize].place = Place::Resting(fiber);
            return Turn::Yielded(why);
        }
        CoroutineResult::Return(ended) => ended,
    };
    state.fibers.release(index);
    if let Some(coroutine) = fiber.coroutine.take() {
        store.engine().stacks().give(coroutine.into_stack());
    }
    match ended {
        Ok(result) => Turn::Done(result),
        Err(payload) => resume_unwind(payload),
    }
}

/// Carries the address of a store's context to the fiber's stack.
struct Context(*mut assay_jit::vmctx::StoreCtx);

// SAFETY: an address, used only where the store is.
unsafe impl Send for Context {}

/// The first function on a fiber's stack.
///
/// # Safety
/// `ctx` is that of a store that is borrowed by whoever resumes the fiber, each time.
unsafe fn run_body(ctx: Context, yielder: &Yielder<Wake, Yield>, wake: Wake, body: Box<Body>) -> Ended {
    if wake == Wake::Cancel {
        return catch_unwind(AssertUnwindSafe(|| drop(body))).map(|()| Err(cancelled()));
    }
    // SAFETY: the resumer has set it to the store that it borrows.
    let owner = unsafe { (*ctx.0).owner }.cast::<StoreInner>();
    // SAFETY: as above; nothing of the resumer's runs now.
    let fibers = unsafe { &mut (*owner).state.fibers };
    fibers.running.last_mut().expect("it was resumed").yielder = yielder;
    catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the store lives as long as its fibers, and the resumer does not use it meanwhile.
        let mut caller = unsafe { Caller::new(owner) };
        body(&mut caller)
    }))
}

/// Suspends the running fiber until its next turn.
///
/// # Safety
/// `store` is the one that runs, and no reference into it is used across this by whoever called.
unsafe fn suspend(store: *mut StoreInner, why: Yield) -> Result<(), Error> {
    let yielder = {
        // SAFETY: the caller's promise; the borrow ends here.
        let state = unsafe { &(*store).state };
        let running = state.running_here();
        let running = running.ok_or_else(|| misuse(FiberMisuse::NotOnFiber))?;
        if running.cancelled {
            return Err(cancelled());
        }
        running.yielder
    };
    // SAFETY: the fiber has started and runs on this stack, so its yielder lives there.
    match unsafe { (*yielder).suspend(why) } {
        Wake::Go => Ok(()),
        Wake::Cancel => Err(cancelled()),
    }
}

/// The body of the builtin `Point`.
///
/// # Safety
/// That of [`suspend`].
pub(crate) unsafe fn point(owner: *mut StoreInner, cost: u32) -> Result<(), Error> {
    let why = {
        // SAFETY: the caller's promise; the borrow ends here.
        let state = unsafe { &(*owner).state };
        state.running_here().and_then(|_| state.turn_over(cost > 0))
    };
    if let Some(why) = why {
        // SAFETY: the caller's promise.
        unsafe { suspend(owner, why)? };
    }
    // SAFETY: the caller's promise.
    let store = unsafe { &mut *owner };
    if store.engine().config().fuel && store.fuel() < u64::from(cost) {
        store.state.take_fuel(cost.into());
        store.set_fuel(0);
        return Err(Error::of_trap(TrapCode::OutOfFuel));
    }
    Ok(())
}
