//! The script: modules one after the other, some instantiated twice, calls of entry functions between and after them.

use super::Generator;
use super::interface::Offer;
use super::module::Module;
use crate::generate::objects::step;
use crate::generate::schedule;
use crate::{Action, Case, Schedule, Source, Step, Value};

/// Fuel of each step; programs stay well below.
const FUEL: u64 = 1_000_000;

/// An instance that can be called.
struct Linked {
    name: String,
    entries: Vec<String>,
}

impl Generator<'_, '_> {
    pub(super) fn case(&mut self) -> Case {
        let mut schedule = Schedule {
            origin: Some("generator linking".to_owned()),
            fuel: Some(FUEL),
            observe_state: true,
            ..schedule::collections(&mut self.c)
        };
        let mut steps = Vec::new();
        let mut linked: Vec<Linked> = Vec::new();
        let modules =
            self.c.weighted(if self.large { &[(4, 2), (4, 3), (2, 4)] } else { &[(8, 2), (2, 3), (1, 4)] });
        let failing = if self.c.chance(1, 4) { Some(self.c.range(1, modules)) } else { None };
        for number in 0..modules {
            if failing == Some(number) {
                steps.push(self.failing(modules));
            }
            self.module(number);
            self.instantiate(number, &mut steps, &mut linked);
            for _ in 0..self.c.below(2) {
                steps.push(self.call(&linked));
            }
        }
        if failing == Some(modules) {
            steps.push(self.failing(modules));
        }
        let fibers = self.c.chance(1, 8);
        for instance in &linked {
            for field in &instance.entries {
                if self.c.chance(3, 5) {
                    steps.push(self.invoke(&instance.name, field));
                    if self.c.chance(1, 5) && !fibers {
                        steps.push(step(Action::Collect));
                    }
                }
            }
        }
        let last = self.c.range(1, 3);
        (0..last).for_each(|_| steps.push(self.call(&linked)));
        if fibers {
            let calls = steps.iter().rev().take_while(|step| matches!(step.action, Action::Invoke { .. }));
            schedule.fibers = calls.count().min(4) as u32;
            schedule.turns = schedule::turns(&mut self.c, schedule.fibers);
        }
        Case { schedule, steps }
    }

    /// Builds the next module and offers what it exports.
    fn module(&mut self, number: usize) {
        self.m = Module::new(&mut self.c, &self.world, number);
        self.imports();
        self.definitions();
        self.functions();
        self.fill_functions();
        self.entries();
        self.start();
        for item in &self.m.items {
            if let Some(field) = &item.export {
                let (role, entity) = (item.role, item.entity.clone());
                self.offers.push(Offer { module: format!("m{number}"), field: field.clone(), role, entity });
            }
        }
    }

    /// One instance of the module at hand, or two; later modules import from one of them. The first module has one, whose
    /// steering globals all share.
    fn instantiate(&mut self, number: usize, steps: &mut Vec<Step>, linked: &mut Vec<Linked>) {
        let source = Source::Binary(self.m.encode());
        let name = format!("m{number}");
        let defined = self.c.chance(1, 3);
        let instance = |name: &str| {
            let name = Some(name.to_owned());
            match defined {
                true => step(Action::Instantiate { name, definition: Some(format!("d{number}")) }),
                false => step(Action::Module { name, source: source.clone() }),
            }
        };
        if defined {
            steps.push(step(Action::Define { name: Some(format!("d{number}")), source: source.clone() }));
        }
        let register = |instance: &str| {
            step(Action::Register { as_name: name.clone(), module: Some(instance.to_owned()) })
        };
        steps.push(instance(&name));
        steps.push(register(&name));
        linked.push(Linked { name: name.clone(), entries: self.m.entries.clone() });
        if number > 0 && self.c.chance(2, 5) {
            let second = format!("m{number}b");
            if self.c.chance(1, 2) {
                steps.push(self.call(linked));
            }
            steps.push(instance(&second));
            if self.c.chance(2, 3) {
                steps.push(register(&second));
            }
            linked.push(Linked { name: second, entries: self.m.entries.clone() });
        }
    }

    /// A call of any entry function.
    fn call(&mut self, linked: &[Linked]) -> Step {
        let instance = &linked[self.c.below(linked.len())];
        let field = &instance.entries[self.c.below(instance.entries.len())];
        self.invoke(&instance.name, field)
    }

    fn invoke(&mut self, instance: &str, field: &str) -> Step {
        let args = vec![Value::I32(self.c.i32())];
        step(Action::Invoke { module: Some(instance.to_owned()), field: field.to_owned(), args })
    }
}
