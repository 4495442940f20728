//! The script around the module: calls of the entry functions with arguments, collections between them, the schedule.

use wasm_encoder::ValType;

use super::Generator;
use crate::generate::choices::Choices;
use crate::generate::input::Section;
use crate::generate::schedule;
use crate::graph::NodeRef;
use crate::{Action, Case, Expect, Schedule, Source, Step, Value};

/// Fuel of each step; programs stay well below. Elements of large arrays take most of it.
pub(in crate::generate) const FUEL: u64 = 3_000_000;

impl Generator<'_, '_> {
    /// The schedule, and the steps that follow the module's.
    pub(super) fn script(&mut self) -> (Schedule, Vec<Step>) {
        self.c.enter(Section::Schedule);
        let mut schedule = Schedule {
            origin: Some("generator objects".to_owned()),
            fuel: Some(FUEL),
            observe_state: true,
            ..schedule::collections(&mut self.c)
        };
        self.c.enter(Section::Script);
        let mut steps = Vec::new();
        let calls = if self.fibers { self.c.range(2, 4) } else { self.p.entries.len() + self.c.below(3) };
        for call in 0..calls {
            let entry = if call < self.p.entries.len() { call } else { self.c.below(self.p.entries.len()) };
            let entry = &self.p.entries[entry];
            let params = self.p.function(entry.function).params.clone();
            let field = entry.name.clone();
            let args = params.iter().map(|ty| argument(&mut self.c, *ty)).collect();
            steps.push(step(Action::Invoke { module: None, field, args }));
            if !self.fibers && self.c.chance(1, 4) {
                steps.push(step(Action::Collect));
            }
        }
        if self.fibers {
            schedule.fibers = steps.len() as u32;
            self.c.enter(Section::Schedule);
            schedule.turns = schedule::turns(&mut self.c, schedule.fibers);
        }
        (schedule, steps)
    }
}

/// The case of a module and the steps after it.
pub(super) fn case(schedule: Schedule, module: Vec<u8>, calls: Vec<Step>) -> Case {
    let module = step(Action::Module { name: None, source: Source::Binary(module) });
    Case { schedule, steps: std::iter::once(module).chain(calls).collect() }
}

/// A step without expectation: subjects are compared with each other.
pub(in crate::generate) fn step(action: Action) -> Step {
    let expect = match action {
        Action::Invoke { .. } => Expect::Any,
        _ => Expect::Success,
    };
    Step { action, expect, line: 0 }
}

/// A value to call an entry function with.
fn argument(c: &mut Choices<'_, '_>, ty: ValType) -> Value {
    match ty {
        ValType::I32 => Value::I32(c.i32()),
        ValType::I64 => Value::I64(c.i64()),
        ValType::F32 => Value::F32(c.f32()),
        ValType::F64 => Value::F64(c.f64()),
        ValType::V128 => Value::V128(0),
        ValType::Ref(ty) => Value::Ref(match c.below(3) {
            0 => NodeRef::Null,
            1 if ty == wasm_encoder::RefType::EXTERNREF => NodeRef::Host(u64::from(c.byte())),
            _ if ty == wasm_encoder::RefType::ANYREF => {
                let value = c.i31();
                NodeRef::I31(value << 1 >> 1)
            }
            _ => NodeRef::Null,
        }),
    }
}
