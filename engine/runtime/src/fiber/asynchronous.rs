//! Asynchronous calls over `std::future`, with any executor: a future that gives a fiber a turn each time it is polled.
//!
//! An asynchronous host function polls its own future with the waker of the poll at hand and suspends the fiber while
//! that is not ready. The future reaches the store only inside of [`AsyncCaller::with`], so it holds nothing of it while
//! it waits; and while it is polled the fiber cannot be suspended, so a poll lies within a turn.
//!
//! Dropping a call's future at whatever point cancels its fiber. Forgetting it leaves the fiber to the store, which
//! cancels it when it is dropped.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use assay_gc::FuncType;

use super::{Fiber, Slice, Turn, Yield, misuse, suspend};
use crate::store::{Store, StoreInner};
use crate::{Caller, Error, FiberMisuse, Func, Instance, Module, Val};

/// The context of the innermost poll, while it lasts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waker(*mut Context<'static>);

impl Default for Waker {
    fn default() -> Waker {
        Waker(ptr::null_mut())
    }
}

type Slot<R> = Arc<Mutex<Option<R>>>;

/// A future that runs something on a fiber of a store, which it borrows: made by [`Func::call_async`],
/// [`Instance::new_async`], [`Store::on_fiber`].
#[must_use = "a future does nothing unless it is polled"]
pub struct OnFiber<'a, R> {
    store: &'a mut StoreInner,
    /// None when it has ended.
    fiber: Option<Fiber>,
    slice: Slice,
    result: Slot<R>,
}

impl<R> std::fmt::Debug for OnFiber<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnFiber")
            .field("fiber", &self.fiber)
            .field("slice", &self.slice)
            .finish_non_exhaustive()
    }
}

impl<R> OnFiber<'_, R> {
    /// Limits each turn: when it is over, the executor may run others before this goes on.
    pub fn in_turns(mut self, slice: Slice) -> Self {
        self.slice = slice;
        self
    }
}

impl<R> Future for OnFiber<'_, R> {
    type Output = Result<R, Error>;

    /// # Panics
    /// Resumes the panic of a host function.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<R, Error>> {
        let this = &mut *self;
        let Some(fiber) = this.fiber else { return Poll::Ready(Err(misuse(FiberMisuse::Ended))) };
        let outer = this.store.state.fibers.waker;
        this.store.state.fibers.waker = Waker(ptr::from_mut(context).cast());
        let guard = Restore { store: this.store, outer };
        let turn = fiber.resume(guard.store, this.slice);
        drop(guard);
        match turn {
            Ok(Turn::Yielded(Yield::Pending)) => Poll::Pending,
            Ok(Turn::Yielded(Yield::Fuel | Yield::Epoch | Yield::Host)) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Ok(Turn::Done(done)) => {
                this.fiber = None;
                let result = this.result.lock().unwrap_or_else(PoisonError::into_inner).take();
                Poll::Ready(
                    done.and_then(|_| result.ok_or_else(|| Error::internal("a fiber without a result"))),
                )
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl<R> Drop for OnFiber<'_, R> {
    fn drop(&mut self) {
        // One that has ended by a panic is not there any more.
        let Some(fiber) = self.fiber.take().filter(|fiber| fiber.is_resting(self.store)) else { return };
        // A fiber that waits in another thread is left to the store; there is nobody to hear of it.
        let outcome = catch_unwind(AssertUnwindSafe(|| drop(fiber.cancel(self.store))));
        if let Err(payload) = outcome
            && !std::thread::panicking()
        {
            resume_unwind(payload);
        }
    }
}

/// Puts the outer poll's context back, whatever happens.
struct Restore<'a> {
    store: &'a mut StoreInner,
    outer: Waker,
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        self.store.state.fibers.waker = self.outer;
    }
}

impl Store {
    /// Runs `body` on a fiber; what it calls may wait.
    ///
    /// # Errors
    /// `Exhausted(Fibers)`; the future gives the body's error.
    pub fn on_fiber<R: Send + 'static>(
        &mut self,
        body: impl FnOnce(&mut Caller<'_>) -> Result<R, Error> + Send + 'static,
    ) -> Result<OnFiber<'_, R>, Error> {
        on_fiber(self, 1, body)
    }
}

fn on_fiber<R: Send + 'static>(
    store: &mut StoreInner,
    pins: u32,
    body: impl FnOnce(&mut Caller<'_>) -> Result<R, Error> + Send + 'static,
) -> Result<OnFiber<'_, R>, Error> {
    let result: Slot<R> = Arc::default();
    let into = result.clone();
    let fiber = Fiber::make(store, pins, move |caller| {
        let value = body(caller)?;
        *into.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        Ok(Vec::new())
    })?;
    Ok(OnFiber { store, fiber: Some(fiber), slice: Slice::default(), result })
}

/// The store as the future of an asynchronous host function reaches it.
#[derive(Debug)]
pub struct AsyncCaller<'a>(Caller<'a>);

impl AsyncCaller<'_> {
    /// Uses the store; nothing in `f` can wait.
    pub fn with<R>(&mut self, f: impl FnOnce(&mut Caller<'_>) -> R) -> R {
        f(&mut self.0)
    }
}

/// What an asynchronous host function gives: a future that may use the caller.
pub type HostFuture<'a> = Pin<Box<dyn Future<Output = Result<Vec<Val>, Error>> + Send + 'a>>;

impl Func {
    /// Calls it on a fiber.
    ///
    /// # Errors
    /// `Usage` for wrong arguments, `Exhausted(Fibers)`; the future gives the errors of [`Func::call`].
    pub fn call_async<'a>(
        self,
        store: &'a mut StoreInner,
        args: &[Val],
    ) -> Result<OnFiber<'a, Vec<Val>>, Error> {
        self.check_args(store, args)?;
        let args = args.to_vec();
        on_fiber(store, 0, move |caller| self.call(caller, &args))
    }

    /// A host function of type `ty` that may wait. It has to be called, through however many frames, by an asynchronous
    /// call; it gets its own copies of the arguments.
    ///
    /// # Errors
    /// Those of [`Func::new`].
    pub fn new_async(
        store: &mut StoreInner,
        ty: FuncType,
        call: impl for<'a> Fn(AsyncCaller<'a>, Vec<Val>) -> HostFuture<'a> + Send + Sync + 'static,
    ) -> Result<Func, Error> {
        Func::of_host(store, ty, true, move |caller, args, results| {
            let address = caller.address();
            // SAFETY: the caller at hand is not used while the future has this one.
            let lent = AsyncCaller(unsafe { Caller::new(address) });
            let mut future = call(lent, args.to_vec());
            let mut waited = false;
            loop {
                // SAFETY: the store lives; the future, which holds no more than its address, does not run now.
                let state = unsafe { &mut (*address).state };
                // SAFETY: set by the poll that runs this turn, which lasts as long as the turn.
                let waker = unsafe { state.fibers.waker.0.as_ref() }.map(|context| context.waker().clone());
                match waker {
                    Some(waker) => {
                        state.polling(true);
                        let poll =
                            AssertUnwindSafe(|| future.as_mut().poll(&mut Context::from_waker(&waker)));
                        let outcome = catch_unwind(poll);
                        // SAFETY: as above.
                        unsafe { (*address).state.polling(false) };
                        match outcome {
                            Ok(Poll::Ready(done)) => {
                                results.extend(done?);
                                return Ok(());
                            }
                            Ok(Poll::Pending) => waited = true,
                            Err(payload) => resume_unwind(payload),
                        }
                    }
                    // Resumed by other means than a poll: it goes on waiting.
                    None if waited => {}
                    None => return Err(misuse(FiberMisuse::NotAsync)),
                }
                // SAFETY: the store runs; what the future holds of it is an address.
                unsafe { suspend(address, Yield::Pending)? };
            }
        })
    }
}

impl Instance {
    /// Instantiates on a fiber, so that the start function may wait; `imports` in the order of the module's.
    ///
    /// # Errors
    /// `Exhausted(Fibers)`; the future gives the errors of [`Instance::new`].
    pub fn new_async<'a>(
        store: &'a mut StoreInner,
        module: &Module,
        imports: &[crate::Extern],
    ) -> Result<OnFiber<'a, Instance>, Error> {
        let (module, imports) = (module.clone(), imports.to_vec());
        on_fiber(store, 0, move |caller| Instance::new(caller, &module, &imports))
    }
}
