//! The script of a case over an executor: names, the current instance, what is registered, fuel for each step, and what is
//! looked at after the last. Both adapters run through here, so that they cannot differ in it.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::host::{self, HostItem};
use crate::case::{Action, Case, Slice, Source};
use crate::graph::{GraphBuilder, GraphLimits, HeapGraph, RawValue};
use crate::observe::{Counters, InstanceState, Observation, Outcome, RejectStage, TraceEvent, Value};

/// Elements of a table that are shown.
const MAX_ELEMENTS: u64 = 20_000;

/// Instances of `state` that stand for no instance: what the host holds.
const HOST_INSTANCE: u32 = u32::MAX;

/// An export as [`Executor::look`] shows it.
pub(super) enum Look<Id> {
    Function,
    Tag,
    Global(RawValue<Id>),
    /// Length, and the first elements.
    Table(u64, Vec<RawValue<Id>>),
    /// Bytes and hash.
    Memory(u64, u64),
}

/// An executor with one fresh store.
pub(super) trait Executor {
    /// A module, decoded or compiled.
    type Module: Clone;
    /// An instance.
    type Instance: Copy;
    /// An importable value.
    type Extern: Copy;
    /// A call that can be suspended.
    type Fiber: Copy;
    /// Identity of a heap object while nothing runs.
    type Id: Copy + Eq + std::hash::Hash;

    /// Decodes (and validates, if it can).
    fn module(&mut self, bytes: &[u8]) -> Result<Self::Module, Outcome>;
    /// Judges without instantiating.
    fn check(&mut self, bytes: &[u8]) -> Outcome;
    /// Module and field names of the imports, in order.
    fn imports(&self, module: &Self::Module) -> Vec<(String, String)>;
    /// Instantiates and runs the start function.
    fn instantiate(
        &mut self,
        module: &Self::Module,
        imports: &[Self::Extern],
    ) -> Result<Self::Instance, Outcome>;
    /// Makes an item of the harness.
    fn provide(&mut self, item: HostItem) -> Result<Self::Extern, Outcome>;
    /// The instance's number in order of instantiation.
    fn number(&self, instance: Self::Instance) -> u32;
    /// An export.
    fn export(&self, instance: Self::Instance, name: &str) -> Option<Self::Extern>;
    /// All exports in order.
    fn exports(&self, instance: Self::Instance) -> Vec<(String, Self::Extern)>;
    /// Sets the fuel; `None` = unlimited.
    fn set_fuel(&mut self, fuel: Option<u64>);
    /// Calls a function; results as a snapshot.
    fn invoke(&mut self, function: Self::Extern, args: &[Value]) -> Outcome;
    /// The same as a fiber, which has not begun.
    fn start(&mut self, function: Self::Extern, args: &[Value]) -> Result<Self::Fiber, Outcome>;
    /// Gives a fiber a turn; its outcome when it has ended, else why it rests.
    fn resume(&mut self, fiber: Self::Fiber, slice: Slice) -> Result<Outcome, &'static str>;
    /// Gives a fiber up.
    fn cancel(&mut self, fiber: Self::Fiber) -> Outcome;
    /// Lets the next epoch begin.
    fn advance_epoch(&mut self);
    /// The fuel left, if it is counted.
    fn fuel(&self) -> u64;
    /// Writes to the trace.
    fn record(&mut self, name: &str, args: Vec<Value>);
    /// What an export holds; at most `elements` of a table. Nothing runs until the graph is built.
    fn look(&mut self, export: Self::Extern, elements: u64) -> Result<Look<Self::Id>, Outcome>;
    /// What the host holds.
    fn kept(&mut self) -> Result<Vec<RawValue<Self::Id>>, Outcome>;
    /// Walks from the builder's roots.
    fn graph(&mut self, builder: GraphBuilder<Self::Id>) -> Result<HeapGraph, Outcome>;
    /// A full collection between steps.
    fn collect(&mut self) -> Result<(), Outcome>;
    /// Objects alive after a full collection, if the executor can tell.
    fn live(&mut self) -> Result<Option<u64>, Outcome>;
    /// The trace, taken.
    fn trace(&mut self) -> Vec<TraceEvent>;
    /// Counters so far.
    fn counters(&mut self) -> Counters;
}

/// Runs `case`. A panic of the executor is a crash; nothing runs after one.
pub(super) fn run<E: Executor>(executor: &mut E, case: &Case) -> Observation {
    let mut observation = Observation::default();
    let mut script = Script::<E> {
        fuel: case.schedule.fuel,
        current: None,
        instances: Vec::new(),
        named: HashMap::new(),
        latest: None,
        definitions: HashMap::new(),
        registered: HashMap::new(),
        provided: HashMap::new(),
    };
    let mut crashed = false;
    let (steps, fibers) = case.steps.split_at(case.first_fiber());
    for step in steps {
        if crashed {
            observation.outcomes.push(not_run());
            continue;
        }
        let outcome = caught(|| script.step(executor, &step.action));
        crashed = matches!(outcome, Outcome::Crashed(_));
        observation.outcomes.push(outcome);
    }
    if crashed {
        observation.outcomes.extend(fibers.iter().map(|_| not_run()));
    } else {
        observation.outcomes.extend(script.fibers(executor, fibers, &case.schedule.turns));
        crashed = observation.outcomes.iter().any(|outcome| matches!(outcome, Outcome::Crashed(_)));
    }
    if crashed {
        return observation;
    }
    let mut counters = None;
    if case.schedule.observe_state {
        let mut seen = Observation::default();
        let outcome = caught(|| match script.observe(executor, &mut seen) {
            Ok(()) => Outcome::Done,
            Err(outcome) => outcome,
        });
        (observation.state, observation.graph) = (seen.state, seen.graph);
        observation.live_objects = seen.live_objects;
        if outcome != Outcome::Done {
            crash_after(&mut observation, outcome);
        }
    } else {
        // That the objects are counted is no work of the case's.
        counters = Some(executor.counters());
        let mut live = None;
        let outcome = caught(|| match executor.live() {
            Ok(objects) => {
                live = objects;
                Outcome::Done
            }
            Err(outcome) => outcome,
        });
        observation.live_objects = live;
        if outcome != Outcome::Done {
            crash_after(&mut observation, outcome);
        }
    }
    observation.trace = executor.trace();
    observation.counters = counters.unwrap_or_else(|| executor.counters());
    observation
}

fn not_run() -> Outcome {
    Outcome::Crashed("not run: crashed in an earlier step".into())
}

/// What went wrong after the script stands as the outcome of the last step, since a crash is one of a step; so does what the
/// executor cannot show.
fn crash_after(observation: &mut Observation, outcome: Outcome) {
    const WHEN: &str = "(while the state was observed)";
    let crash = match outcome {
        Outcome::Unsupported(what) => Outcome::Unsupported(format!("{what} {WHEN}")),
        Outcome::Crashed(how) => Outcome::Crashed(format!("{how} {WHEN}")),
        other => Outcome::Crashed(format!("{other:?} {WHEN}")),
    };
    match observation.outcomes.last_mut() {
        Some(last) => *last = crash,
        None => observation.outcomes.push(crash),
    }
}

pub(super) fn caught(f: impl FnOnce() -> Outcome) -> Outcome {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Outcome::Crashed(format!("panicked: {}", text.unwrap_or_else(|| "no message".into())))
    })
}

pub(super) struct Script<'c, E: Executor> {
    pub(super) fuel: Option<u64>,
    current: Option<E::Instance>,
    /// All, in order.
    instances: Vec<E::Instance>,
    named: HashMap<&'c str, E::Instance>,
    latest: Option<E::Module>,
    definitions: HashMap<&'c str, E::Module>,
    registered: HashMap<&'c str, E::Instance>,
    /// Items of the harness that this case has imported.
    provided: HashMap<(String, String), E::Extern>,
}

impl<'c, E: Executor> Script<'c, E> {
    fn step(&mut self, executor: &mut E, action: &'c Action) -> Outcome {
        executor.set_fuel(self.fuel);
        let done = match action {
            Action::Module { name, source } => self.module(executor, name.as_deref(), source),
            Action::Define { name, source } => self.define(executor, name.as_deref(), source),
            Action::Instantiate { name, definition } => {
                self.instantiate_definition(executor, name.as_deref(), definition.as_deref())
            }
            Action::Check { source } => match source {
                Source::Binary(bytes) => return executor.check(bytes),
                Source::RejectedText(_) => {
                    Err(Outcome::Rejected(RejectStage::Malformed, "refused by the text parser".into()))
                }
            },
            Action::Link { source } => self.link(executor, source).map(|_| ()),
            Action::Register { as_name, module } => self.instance(module.as_deref()).map(|instance| {
                self.registered.insert(as_name, instance);
            }),
            Action::Invoke { module, field, args } => match self.export(executor, module.as_deref(), field) {
                Ok(function) => return executor.invoke(function, args),
                Err(outcome) => Err(outcome),
            },
            Action::Get { module, field } => match self.get(executor, module.as_deref(), field) {
                Ok(outcome) => return outcome,
                Err(outcome) => Err(outcome),
            },
            Action::Collect => executor.collect(),
        };
        match done {
            Ok(()) => Outcome::Done,
            Err(outcome) => outcome,
        }
    }

    fn module(&mut self, executor: &mut E, name: Option<&'c str>, source: &Source) -> Result<(), Outcome> {
        let instance = self.link(executor, source)?;
        self.made(name, instance);
        Ok(())
    }

    fn made(&mut self, name: Option<&'c str>, instance: E::Instance) {
        self.current = Some(instance);
        if let Some(name) = name {
            self.named.insert(name, instance);
        }
    }

    fn define(&mut self, executor: &mut E, name: Option<&'c str>, source: &Source) -> Result<(), Outcome> {
        let module = executor.module(bytes(source)?)?;
        if let Some(name) = name {
            self.definitions.insert(name, module.clone());
        }
        self.latest = Some(module);
        Ok(())
    }

    fn instantiate_definition(
        &mut self,
        executor: &mut E,
        name: Option<&'c str>,
        definition: Option<&str>,
    ) -> Result<(), Outcome> {
        let module = match definition {
            Some(name) => self.definitions.get(name).cloned(),
            None => self.latest.clone(),
        };
        let module =
            module.ok_or_else(|| Outcome::BadStep(format!("no module definition {definition:?}")))?;
        let instance = self.instantiate(executor, &module)?;
        self.made(name, instance);
        Ok(())
    }

    fn link(&mut self, executor: &mut E, source: &Source) -> Result<E::Instance, Outcome> {
        let module = executor.module(bytes(source)?)?;
        self.instantiate(executor, &module)
    }

    fn instantiate(&mut self, executor: &mut E, module: &E::Module) -> Result<E::Instance, Outcome> {
        let mut imports = Vec::new();
        for (module, name) in executor.imports(module) {
            imports.push(self.resolve(executor, &module, &name)?);
        }
        let instance = executor.instantiate(module, &imports)?;
        self.instances.push(instance);
        Ok(instance)
    }

    fn resolve(&mut self, executor: &mut E, module: &str, name: &str) -> Result<E::Extern, Outcome> {
        let unknown =
            || Outcome::Rejected(RejectStage::Unlinkable, format!("unknown import {module:?} {name:?}"));
        if let Some(instance) = self.registered.get(module) {
            return executor.export(*instance, name).ok_or_else(unknown);
        }
        let key = (module.to_owned(), name.to_owned());
        if let Some(known) = self.provided.get(&key) {
            return Ok(*known);
        }
        let made = executor.provide(host::item(module, name).ok_or_else(unknown)?)?;
        self.provided.insert(key, made);
        Ok(made)
    }

    fn instance(&self, name: Option<&str>) -> Result<E::Instance, Outcome> {
        let found = match name {
            Some(name) => self.named.get(name).copied(),
            None => self.current,
        };
        found.ok_or_else(|| Outcome::BadStep(format!("no instance {}", name.unwrap_or("at hand"))))
    }

    pub(super) fn export(
        &self,
        executor: &E,
        module: Option<&str>,
        field: &str,
    ) -> Result<E::Extern, Outcome> {
        let instance = self.instance(module)?;
        executor.export(instance, field).ok_or_else(|| Outcome::BadStep(format!("no export {field:?}")))
    }

    fn get(&mut self, executor: &mut E, module: Option<&str>, field: &str) -> Result<Outcome, Outcome> {
        let export = self.export(executor, module, field)?;
        let Look::Global(value) = executor.look(export, 0)? else {
            return Err(Outcome::BadStep(format!("export {field:?} is no global")));
        };
        let mut builder = GraphBuilder::new(GraphLimits::default());
        let values = vec![builder.root(value)];
        Ok(Outcome::Returned { values, graph: executor.graph(builder)? })
    }

    /// Exported state, graph, liveness.
    fn observe(&mut self, executor: &mut E, seen: &mut Observation) -> Result<(), Outcome> {
        let mut builder = GraphBuilder::new(GraphLimits::default());
        for &instance in &self.instances {
            let number = executor.number(instance);
            let mut state = InstanceState {
                instance: number,
                globals: Vec::new(),
                tables: Vec::new(),
                memories: Vec::new(),
            };
            for (name, export) in executor.exports(instance) {
                match executor.look(export, MAX_ELEMENTS)? {
                    Look::Function | Look::Tag => {}
                    Look::Global(value) => state.globals.push((name, builder.root(value))),
                    Look::Table(len, elements) => {
                        let elements = elements.into_iter().map(|value| builder.root(value)).collect();
                        state.tables.push((name, len, elements));
                    }
                    Look::Memory(len, hash) => state.memories.push((name, len, hash)),
                }
            }
            seen.state.push(state);
        }
        let kept = executor.kept()?;
        if !kept.is_empty() {
            let globals =
                kept.into_iter().enumerate().map(|(i, v)| (format!("kept {i}"), builder.root(v))).collect();
            seen.state.push(InstanceState {
                instance: HOST_INSTANCE,
                globals,
                tables: Vec::new(),
                memories: Vec::new(),
            });
        }
        seen.graph = executor.graph(builder)?;
        seen.live_objects = executor.live()?;
        Ok(())
    }
}

fn bytes(source: &Source) -> Result<&[u8], Outcome> {
    match source {
        Source::Binary(bytes) => Ok(bytes),
        Source::RejectedText(_) => {
            Err(Outcome::Rejected(RejectStage::Malformed, "refused by the text parser".into()))
        }
    }
}
