//! The script of the self-checking form: which export of which instance each step calls.

use std::collections::HashSet;

use super::calls::{Call, made};
use super::error::LeftOut;
use super::leaks::Repeated;
use super::module::Module;
use super::rewrite::{Wanted, rewrite};
use super::{DIGEST, REPEAT, SelfChecking};
use crate::case::{Action, Case, Expect, Schedule, Source, Step};
use crate::observe::Value;

/// A step of the new script.
enum Planned {
    /// As it was, with the instance's name.
    Module {
        name: Option<String>,
        module: usize,
    },
    Define {
        name: Option<String>,
        module: usize,
    },
    Plain(Action),
    /// A call of an added export of an instance.
    Call {
        instance: String,
        module: usize,
        call: usize,
        args: Vec<Value>,
    },
}

/// A module of the case, and the exports that it gets.
struct Part<'c> {
    module: Module<'c>,
    calls: Vec<(String, Call)>,
}

#[derive(Default)]
struct Plan<'c> {
    parts: Vec<Part<'c>>,
    steps: Vec<Planned>,
    /// Instances by name, and their modules.
    instances: Vec<(String, usize)>,
    current: Option<(String, usize)>,
    definitions: Vec<(Option<String>, usize)>,
    linked: Vec<&'c str>,
    names: HashSet<String>,
    /// Names that instances are registered under, anywhere in the case.
    registered: HashSet<&'c str>,
    dropped: Vec<LeftOut>,
}

/// The self-checking form of `case`; see [`super::transform`].
pub(super) fn transform(
    case: &Case,
    garbage: u32,
    repeated: Option<Repeated>,
) -> Result<SelfChecking, LeftOut> {
    let registered = case.steps.iter().filter_map(|step| match &step.action {
        Action::Register { as_name, .. } => Some(as_name.as_str()),
        _ => None,
    });
    let mut plan = Plan { names: names(case), registered: registered.collect(), ..Plan::default() };
    for step in &case.steps {
        plan.step(step)?;
    }
    for (instance, module) in plan.instances.clone() {
        plan.call(instance, module, Call::State, Vec::new());
    }
    if let Some(repeated) = repeated {
        plan.repeat(repeated);
    }
    let throws = plan.parts.iter().any(|part| !part.module.tags.is_empty());
    let mut rewritten = Vec::new();
    for part in &plan.parts {
        let wanted = Wanted { linked: &plan.linked, calls: &part.calls, garbage, throws };
        rewritten.push(rewrite(&part.module, &wanted)?);
    }
    let mut steps = Vec::new();
    for planned in plan.steps {
        let source = |module: usize| Source::Binary(rewritten[module].0.clone());
        let (action, expect) = match planned {
            Planned::Module { name, module } => {
                (Action::Module { name, source: source(module) }, Expect::Success)
            }
            Planned::Define { name, module } => {
                (Action::Define { name, source: source(module) }, Expect::Success)
            }
            Planned::Plain(action) => (action, Expect::Success),
            Planned::Call { module, call, .. } if !rewritten[module].1[call] => {
                plan.dropped.push(LeftOut::BadCall);
                continue;
            }
            Planned::Call { instance, module, call, args } => {
                let field = plan.parts[module].calls[call].0.clone();
                (Action::Invoke { module: Some(instance), field, args }, Expect::Any)
            }
        };
        steps.push(Step { action, expect, line: 0 });
    }
    let schedule = Schedule {
        gc_heap_max: None,
        fibers: 0,
        turns: Vec::new(),
        observe_state: false,
        ..case.schedule.clone()
    };
    Ok(SelfChecking { case: Case { schedule, steps }, dropped: plan.dropped })
}

impl<'c> Plan<'c> {
    fn step(&mut self, step: &'c Step) -> Result<(), LeftOut> {
        match &step.action {
            Action::Module { name, source: Source::Binary(bytes) } => {
                let module = self.part(bytes)?;
                let name = self.name(name.as_deref());
                self.instance(&name, module);
                self.steps.push(Planned::Module { name: Some(name), module });
            }
            Action::Define { name, source: Source::Binary(bytes) } => {
                let module = self.part(bytes)?;
                self.definitions.push((name.clone(), module));
                self.steps.push(Planned::Define { name: name.clone(), module });
            }
            Action::Instantiate { name, definition } => {
                let known =
                    |(known, _): &&(Option<String>, usize)| definition.is_none() || known == definition;
                let module = self.definitions.iter().rev().find(known).map(|(_, module)| *module);
                let module = module.ok_or(LeftOut::BadCall)?;
                let name = self.name(name.as_deref());
                self.instance(&name, module);
                let definition = definition.clone();
                self.steps.push(Planned::Plain(Action::Instantiate { name: Some(name), definition }));
            }
            Action::Register { as_name, module } => {
                self.linked.push(as_name);
                let current = || self.current.as_ref().map(|(name, _)| name.clone());
                let module = module.as_deref().map(|name| self.apart(name)).or_else(current);
                self.steps.push(Planned::Plain(Action::Register { as_name: as_name.clone(), module }));
            }
            Action::Invoke { .. } | Action::Get { .. } if matches!(step.expect, Expect::Exhaustion(_)) => {
                self.dropped.push(LeftOut::ExpectedExhaustion);
            }
            Action::Invoke { module, field, args } => {
                let Some((name, part)) = self.resolve(module.as_deref()) else {
                    self.dropped.push(LeftOut::BadCall);
                    return Ok(());
                };
                let call =
                    Call::Invoke { field: field.clone(), made: args.iter().map(|arg| made(*arg)).collect() };
                let numbers = args.iter().copied().filter(|arg| made(*arg).is_none()).collect();
                self.call(name, part, call, numbers);
            }
            Action::Get { module, field } => match self.resolve(module.as_deref()) {
                Some((name, part)) => self.call(name, part, Call::Get { field: field.clone() }, Vec::new()),
                None => self.dropped.push(LeftOut::BadCall),
            },
            Action::Collect => {
                if let Some((name, part)) = self.current.clone() {
                    self.call(name, part, Call::Collect, Vec::new());
                }
            }
            // Nothing of them is left to compare; what they change in other instances is not needed.
            Action::Check { .. } | Action::Link { .. } => {}
            Action::Module { source: Source::RejectedText(_), .. }
            | Action::Define { source: Source::RejectedText(_), .. } => return Err(LeftOut::InvalidModule),
        }
        Ok(())
    }

    fn part(&mut self, bytes: &'c [u8]) -> Result<usize, LeftOut> {
        self.parts.push(Part { module: Module::read(bytes)?, calls: Vec::new() });
        Ok(self.parts.len() - 1)
    }

    /// A name of its own for an instance without one.
    fn name(&mut self, given: Option<&str>) -> String {
        if let Some(name) = given {
            return self.apart(name);
        }
        let mut n = self.instances.len();
        loop {
            let name = format!("m{n}");
            if self.names.insert(name.clone()) {
                return name;
            }
            n += 1;
        }
    }

    fn instance(&mut self, name: &str, module: usize) {
        // A later instance of a name hides the earlier one.
        self.instances.retain(|(known, _)| known != name);
        self.instances.push((name.to_owned(), module));
        self.current = Some((name.to_owned(), module));
    }

    /// An instance's name, which none is registered under: Wasmtime's runner takes both from one table.
    fn apart(&self, name: &str) -> String {
        if self.registered.contains(name) { format!("instance_{name}") } else { name.to_owned() }
    }

    fn resolve(&self, name: Option<&str>) -> Option<(String, usize)> {
        match name {
            Some(name) => {
                let name = self.apart(name);
                self.instances.iter().find(|(known, _)| *known == name).cloned()
            }
            None => self.current.clone(),
        }
    }

    /// Puts the repetition of a call before all calls. Where several instances share what they do, none is repeated.
    fn repeat(&mut self, Repeated { call: which, times }: Repeated) {
        if self.instances.len() != 1 {
            return;
        }
        let mut calls = self.steps.iter().filter_map(|step| match step {
            Planned::Call { instance, module, call, args } => match &self.parts[*module].calls[*call].1 {
                Call::Invoke { field, made } => Some((instance, *module, field, made, args)),
                _ => None,
            },
            _ => None,
        });
        let Some((instance, module, field, made, args)) = calls.nth(which) else { return };
        let call = Call::Repeat { field: field.clone(), made: made.clone() };
        let (instance, mut args) = (instance.clone(), args.clone());
        args.push(Value::I32(times.cast_signed()));
        self.call(instance, module, call, args);
        let first = self.steps.iter().position(|step| matches!(step, Planned::Call { .. }));
        if let (Some(first), Some(step)) = (first, self.steps.pop()) {
            self.steps.insert(first, step);
        }
    }

    fn call(&mut self, instance: String, module: usize, call: Call, args: Vec<Value>) {
        let part = &mut self.parts[module];
        let known = part.calls.iter().position(|(_, known)| *known == call);
        let call = known.unwrap_or_else(|| {
            let mut name = match &call {
                Call::Invoke { field, .. } => format!("{DIGEST}{field}"),
                Call::Repeat { field, .. } => format!("{REPEAT}{field}"),
                Call::Get { field } => format!("{DIGEST}global {field}"),
                Call::State => "assay_state".to_owned(),
                Call::Collect => "assay_collect".to_owned(),
            };
            let taken = |name: &String, part: &Part<'_>| {
                part.calls.iter().any(|(known, _)| known == name)
                    || part.module.exports.iter().any(|(known, _, _)| known == name)
            };
            while taken(&name, part) {
                name.push('\'');
            }
            part.calls.push((name, call));
            part.calls.len() - 1
        });
        self.steps.push(Planned::Call { instance, module, call, args });
    }
}

/// Names of instances in the case.
fn names(case: &Case) -> HashSet<String> {
    let name = |step: &Step| match &step.action {
        Action::Module { name, .. } | Action::Define { name, .. } | Action::Instantiate { name, .. } => {
            name.clone()
        }
        Action::Check { .. }
        | Action::Link { .. }
        | Action::Register { .. }
        | Action::Invoke { .. }
        | Action::Get { .. }
        | Action::Collect => None,
    };
    case.steps.iter().filter_map(name).collect()
}
