//! Several cases as one, for who runs a script at a time: each case's names are its own.
//!
//! Nothing is shared but the store: instances, definitions and what is registered have the case's number before their names, in the imports
//! of modules too. The host's modules keep theirs, so cases that import them share the state of those.

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{ImportSection, Module, RawSection};
use wasmparser::{BinaryReaderError, Parser, Payload};

use super::{Action, Case, Schedule, Source, Step};
use crate::peer;

impl Case {
    /// The steps of all cases in their order. Of schedules it takes the most fuel, and collects as often as any of them.
    pub fn together<'c>(cases: impl IntoIterator<Item = &'c Case>) -> Case {
        let mut all = Case { schedule: Schedule { fuel: Some(0), ..Schedule::default() }, steps: Vec::new() };
        for (number, case) in cases.into_iter().enumerate() {
            let Schedule { fuel, collect_every, .. } = case.schedule;
            all.schedule.fuel = all.schedule.fuel.zip(fuel).map(|(most, fuel)| most.max(fuel));
            let often = [all.schedule.collect_every, collect_every].into_iter().flatten().min();
            all.schedule.collect_every = often;
            all.steps.extend(case.steps.iter().map(|step| apart(step, number)));
        }
        all
    }
}

/// The step in a script where the case is number `number`.
fn apart(step: &Step, number: usize) -> Step {
    let own = |name: &String| format!("{number}.{name}");
    let mut step = step.clone();
    match &mut step.action {
        Action::Module { name, source } | Action::Define { name, source } => {
            *name = name.as_ref().map(own);
            linked_apart(source, number);
        }
        Action::Link { source } => linked_apart(source, number),
        Action::Instantiate { name, definition } => {
            *name = name.as_ref().map(own);
            *definition = definition.as_ref().map(own);
        }
        Action::Register { as_name, module } => {
            *as_name = own(as_name);
            *module = module.as_ref().map(own);
        }
        Action::Invoke { module, .. } | Action::Get { module, .. } => *module = module.as_ref().map(own),
        Action::Check { .. } | Action::Collect => {}
    }
    step
}

/// What cannot be read imports nothing, and is refused as it stands.
fn linked_apart(source: &mut Source, number: usize) {
    if let Source::Binary(bytes) = source
        && let Ok(Some(linked)) = imports_apart(bytes, number)
    {
        *bytes = linked;
    }
}

/// The module with other module names in its imports, section by section; none if it imports nothing.
fn imports_apart(bytes: &[u8], number: usize) -> Result<Option<Vec<u8>>, BinaryReaderError> {
    let mut module = Module::new();
    let mut any = false;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        if let Payload::ImportSection(section) = payload {
            let mut imports = ImportSection::new();
            for import in section.into_imports() {
                let import = import?;
                let Ok(ty) = RoundtripReencoder.entity_type(import.ty) else { return Ok(None) };
                if peer::is_host(import.module) {
                    imports.import(import.module, import.name, ty);
                } else {
                    any = true;
                    imports.import(&format!("{number}.{}", import.module), import.name, ty);
                }
            }
            module.section(&imports);
        } else if let Some((id, range)) = payload.as_section() {
            module.section(&RawSection { id, data: &bytes[range.start as usize..range.end as usize] });
        }
    }
    Ok(any.then(|| module.finish()))
}

#[cfg(test)]
mod tests {
    use crate::observe::{Outcome, Value};
    use crate::subject::{InterpSubject, Subject};
    use crate::{Case, generate, selfcheck};

    /// Both cases use the same names, and the second one's module is found by the second one alone.
    fn counting(from: i32) -> Case {
        let text = format!(
            ";;! fuel = {}
            (module $a (global $g (export \"g\") (mut i32) (i32.const {from})) (func (export \"up\")
              (global.set $g (i32.add (global.get $g) (i32.const 1)))))
            (register \"M\" $a)
            (module definition $d (import \"M\" \"up\" (func $up)) (func (export \"two\") (call $up) (call $up)))
            (module instance $b $d)
            (invoke $b \"two\")
            (invoke \"two\")
            (assert_return (get $a \"g\") (i32.const 0))",
            from + 100
        );
        Case::parse(&text, "case").unwrap()
    }

    #[test]
    fn cases_do_not_see_each_other() {
        let both = Case::together([&counting(10), &counting(70)]);
        assert_eq!(both.schedule.fuel, Some(170));
        let again = Case::parse(&both.to_wast(), "both").unwrap();
        for case in [&both, &again] {
            let outcomes = InterpSubject::default().observe(case).outcomes;
            let numbers: Vec<_> = outcomes
                .iter()
                .filter_map(|outcome| match outcome {
                    Outcome::Returned { values, .. } => values.first().copied(),
                    _ => None,
                })
                .collect();
            assert_eq!(numbers, [Value::I32(14), Value::I32(74)], "{outcomes:?}");
        }
        // What only the first one registers is not there for the second.
        let lost = Case::parse("(module (import \"M\" \"up\" (func)))", "case").unwrap();
        let outcomes = InterpSubject::default().observe(&Case::together([&counting(1), &lost])).outcomes;
        assert!(matches!(outcomes.last(), Some(Outcome::Rejected(..))), "{outcomes:?}");
    }

    #[test]
    fn generated_cases_come_out_the_same_together() {
        let generated = |(generator, seed)| {
            let case = generate::from_seed(generator, seed)?;
            selfcheck::for_peers(&case, 1).ok().map(|(case, _)| case)
        };
        let seeds = (0..4).flat_map(|seed| [("objects", seed), ("linking", seed)]);
        let cases: Vec<Case> = seeds.filter_map(generated).collect();
        let alone: Vec<Outcome> =
            cases.iter().flat_map(|case| InterpSubject::default().observe(case).outcomes).collect();
        assert!(cases.len() > 5);
        assert_eq!(InterpSubject::default().observe(&Case::together(&cases)).outcomes, alone);
    }
}
