//! Calls of host functions (spec: Function Calls, invocation of host functions), the only place where Rust recursion can
//! happen: when a host function calls back.

use super::fiber::Yield;
use super::meter::Stop;
use super::run::{Machine, unknown};
use crate::error::{Error, HostError, Resource, Result};
use crate::runtime::store::{FuncKind, Store};
use crate::runtime::value::{FuncAddr, Value, slots};
use crate::syntax::types::FuncType;

impl Store {
    /// Calls a host function with its arguments at `base`, where its results go too, and then the function that it ends in.
    /// A chain of host functions that end in each other is no longer than calls from hosts may be deep.
    pub(super) fn call_host(
        &mut self,
        machine: &mut Machine,
        mut func: u32,
        base: usize,
    ) -> Result<(), Stop> {
        for _ in 0..self.config.max_host_depth.max(1) {
            let ty = self.func_type(FuncAddr(func)).ok_or_else(unknown)?.clone();
            let params = slots(&ty.params);
            machine.reserve(base + params.max(slots(&ty.results)), &self.config)?;
            let args = self.from_slots(&machine.stack[base..base + params], &ty.params)?;
            machine.top = base + params;
            std::mem::swap(&mut self.machine, machine);
            let outcome = self.run_host(func, &args);
            std::mem::swap(&mut self.machine, machine);
            let (callee, args) = match outcome {
                Ok(Ok(values)) => return Ok(self.return_from_host(machine, base, &ty, &values)?),
                Ok(Err(HostError::Yield(values))) => {
                    self.return_from_host(machine, base, &ty, &values)?;
                    machine.top = base + slots(&ty.results);
                    return if self.meter.is_in_turn() { Err(Stop::Suspend(Yield::Host)) } else { Ok(()) };
                }
                Ok(Err(HostError::Call { func, args })) => (func, args),
                Ok(Err(HostError::Message(message))) => return Err(Error::host(message).into()),
                Ok(Err(HostError::Nested(error))) => return Err(error.into()),
                Err(panic) => {
                    machine.panic = Some(panic);
                    return Err(Error::host("host function panicked").into());
                }
            };
            self.put_call_from_host(machine, base, &ty, (callee, &args))?;
            if self.funcs.get(callee.index()).is_some_and(|func| matches!(func.kind, FuncKind::Wasm { .. })) {
                return self.enter(machine, callee.0, base);
            }
            func = callee.0;
        }
        Err(Error::exhausted(Resource::CallStack).into())
    }

    /// Writes a host function's results to their slots.
    fn return_from_host(
        &mut self,
        machine: &mut Machine,
        base: usize,
        ty: &FuncType,
        values: &[Value],
    ) -> Result<()> {
        if values.len() != ty.results.len() {
            return Err(Error::host("host function returned a wrong number of values"));
        }
        let results = self
            .to_slots(values, &ty.results)
            .map_err(|error| Error::host(format!("result of a host function: {}", error.message())))?;
        machine.stack[base..base + results.len()].copy_from_slice(&results);
        Ok(())
    }

    /// Writes the arguments of the call that a host function of type `ty` ends in.
    fn put_call_from_host(
        &mut self,
        machine: &mut Machine,
        base: usize,
        ty: &FuncType,
        (callee, args): (FuncAddr, &[Value]),
    ) -> Result<()> {
        let wrong = |error: Error| Error::host(format!("call by a host function: {}", error.message()));
        let (args, _) = self.check_call(callee, args).map_err(wrong)?;
        if self.func_type(callee).is_none_or(|callee| callee.results != ty.results) {
            return Err(Error::host("host function ended in a call with other results"));
        }
        machine.reserve(base + args.len(), &self.config)?;
        machine.stack[base..base + args.len()].copy_from_slice(&args);
        Ok(())
    }

    fn run_host(&mut self, func: u32, args: &[Value]) -> std::thread::Result<Result<Vec<Value>, HostError>> {
        use std::panic::{AssertUnwindSafe, catch_unwind};
        match &mut self.funcs[func as usize].kind {
            FuncKind::SharedHost(host) => {
                let host = host.clone();
                catch_unwind(AssertUnwindSafe(|| host(self, args)))
            }
            FuncKind::Host(place) => {
                let Some(mut host) = place.take() else {
                    return Ok(Err(Error::usage("host function entered again while it runs").into()));
                };
                let outcome = catch_unwind(AssertUnwindSafe(|| host(self, args)));
                self.funcs[func as usize].kind = FuncKind::Host(Some(host));
                outcome
            }
            FuncKind::Wasm { .. } => Ok(Err(Error::crash("no host function").into())),
        }
    }
}
