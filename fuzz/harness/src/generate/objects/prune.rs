//! Functions that nothing calls go: a program is compiled once for each kind of code, and compiling is most of what a case costs.
//!
//! What an entry function, a constant or a call through a slot names stays, and what that names; and where code takes functions out of
//! table 0, those of the callback type, which it calls. A slot whose function goes holds another one: it is only ever asked for its
//! type. A memory that no instruction uses goes too, since every subject's is made, read whole and unmapped in each case.

use std::collections::BTreeMap;

use wasmparser::{BinaryReader, Operator, OperatorsReader};

use super::program::{Constant, FUNCTIONS, IMPORTS, Items, Program};

/// Opcodes before the index of a function.
const CALL: u8 = 0x10;
const RETURN_CALL: u8 = 0x12;
const REF_FUNC: u8 = 0xd2;

impl Program {
    /// Drops the functions that nothing calls, and renumbers the others; drops the memory if nothing uses it.
    pub(super) fn prune(&mut self) {
        self.prune_functions();
        self.memory = self
            .functions
            .iter()
            .filter_map(|function| function.body.as_ref())
            .any(|body| uses_memory(&body.code));
        if !self.memory {
            self.data.iter_mut().for_each(|data| data.active = None);
        }
    }

    fn prune_functions(&mut self) {
        let imported = IMPORTS.len() as u32;
        let mut waiting: Vec<u32> = self.entries.iter().map(|entry| entry.function).collect();
        self.constants().for_each(|constant| waiting.extend(named(constant)));
        let mut alive = vec![false; self.functions.len()];
        while let Some(function) = waiting.pop() {
            let Some(at) = function.checked_sub(imported) else { continue };
            if !std::mem::replace(&mut alive[at as usize], true)
                && let Some(body) = &self.functions[at as usize].body
            {
                waiting.extend(named(&body.code));
                waiting.extend(&body.by_slot);
                if takes_functions(&body.code) {
                    waiting.extend(&self.callbacks);
                }
            }
        }
        let kept = (0..).zip(&alive).filter(|(_, alive)| **alive).map(|(at, _): (u32, _)| imported + at);
        let numbers: BTreeMap<u32, u32> = (0..imported).chain(kept).zip(0..).collect();
        let Some(&stand_in) = self.entries.first().and_then(|entry| numbers.get(&entry.function)) else {
            return;
        };

        let mut alive = alive.into_iter();
        self.functions.retain(|_| alive.next().unwrap_or(true));
        for function in &mut self.functions {
            if let Some(body) = &mut function.body {
                body.code = renumbered(&body.code, &numbers);
            }
        }
        for entry in &mut self.entries {
            entry.function = numbers[&entry.function];
        }
        for global in &mut self.globals {
            global.init = renumbered(&global.init, &numbers);
        }
        for init in self.tables.iter_mut().filter_map(|table| table.init.as_mut()) {
            *init = renumbered(init, &numbers);
        }
        for element in &mut self.elements {
            match &mut element.items {
                Items::Functions(functions) => {
                    for function in functions {
                        *function = numbers.get(function).copied().unwrap_or(stand_in);
                    }
                }
                Items::Expressions(_, items) => {
                    for item in items {
                        *item = renumbered(item, &numbers);
                    }
                }
            }
        }
    }

    fn constants(&self) -> impl Iterator<Item = &Constant> {
        let items = self.elements.iter().flat_map(|element| match &element.items {
            Items::Functions(_) => [].iter(),
            Items::Expressions(_, items) => items.iter(),
        });
        let tables = self.tables.iter().filter_map(|table| table.init.as_ref());
        self.globals.iter().map(|global| &global.init).chain(tables).chain(items)
    }
}

/// Whether there is a `table.get` of table 0.
fn takes_functions(code: &[u8]) -> bool {
    instructions(code).any(|(operator, _)| matches!(operator, Operator::TableGet { table: FUNCTIONS }))
}

/// Whether an instruction is of memory 0.
fn uses_memory(code: &[u8]) -> bool {
    /// Loads, stores, `memory.size` and `memory.grow`.
    const PLAIN: std::ops::RangeInclusive<u8> = 0x28..=0x40;
    instructions(code).any(|(operator, start)| {
        PLAIN.contains(&code[start])
            // Loads and stores of vectors, and of their lanes.
            || matches!(code[start..], [0xfd, 0..=11 | 84..=93, ..])
            || matches!(
                operator,
                Operator::MemoryInit { .. } | Operator::MemoryCopy { .. } | Operator::MemoryFill { .. }
            )
    })
}

fn instructions(code: &[u8]) -> impl Iterator<Item = (Operator<'_>, usize)> {
    let reader = OperatorsReader::new(BinaryReader::new(code, 0));
    reader.into_iter_with_offsets().map(|entry| {
        let (operator, start) = entry.expect("own code can be read");
        (operator, start as usize)
    })
}

/// Instructions that name a function: the opcode, the function, and the bytes that they take.
fn names(code: &[u8]) -> impl Iterator<Item = (u8, u32, std::ops::Range<usize>)> {
    let mut operators = instructions(code).peekable();
    std::iter::from_fn(move || {
        loop {
            let (operator, start) = operators.next()?;
            let end = operators.peek().map_or(code.len(), |(_, next)| *next);
            let (opcode, function) = match operator {
                Operator::Call { function_index } => (CALL, function_index),
                Operator::ReturnCall { function_index } => (RETURN_CALL, function_index),
                Operator::RefFunc { function_index } => (REF_FUNC, function_index),
                _ => continue,
            };
            return Some((opcode, function, start..end));
        }
    })
}

fn named(code: &[u8]) -> impl Iterator<Item = u32> {
    names(code).map(|(_, function, _)| function)
}

fn renumbered(code: &[u8], numbers: &BTreeMap<u32, u32>) -> Vec<u8> {
    let mut out = Vec::with_capacity(code.len());
    let mut copied = 0;
    for (opcode, function, at) in names(code) {
        out.extend(&code[copied..at.start]);
        out.push(opcode);
        wasm_encoder::Encode::encode(&numbers[&function], &mut out);
        copied = at.end;
    }
    out.extend(&code[copied..]);
    out
}
