//! Generators: bytes to cases. The same bytes always give the same case, and every byte string gives a valid one.
//!
//! [`objects`] is the typed generator: programs that build, change and read back real object graphs while collections
//! are forced; its [`input`] is a list of sections. [`linking`] makes several modules whose
//! instances share objects. [`smith`] is wasm-smith, tuned towards GC instructions. [`registry`] is the only list of them. All choose
//! the schedule of collections in `schedule`.

use arbitrary::Unstructured;

use crate::graph::NodeRef;
use crate::{Action, Case, Features, Value};
pub(crate) use choices::{Choices, SplitMix64};

mod choices;
pub mod input;
pub mod interleave;
pub mod linking;
pub mod objects;
pub(crate) mod schedule;
pub mod smith;
#[cfg(test)]
mod tests;

/// A generator and how people call it.
pub struct GeneratorEntry {
    /// Its name on the command line.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// Bytes to a case whose programs use no more than these features; total, and the same for the same bytes.
    pub generate: fn(&mut Unstructured<'_>, Features) -> Case,
}

/// Every generator.
pub fn registry() -> &'static [GeneratorEntry] {
    &[
        GeneratorEntry {
            name: "objects",
            about: "typed programs over object graphs, with collections while references are only on the stack",
            generate: objects::within,
        },
        GeneratorEntry {
            name: "linking",
            about: "several modules and instances that share objects, functions, tables and tags through imports",
            generate: linking::within,
        },
        GeneratorEntry {
            name: "smith",
            about: "wasm-smith with all of WebAssembly 3.0 on and NaNs canonical",
            generate: smith::within,
        },
    ]
}

/// The generator of this name.
pub fn find(name: &str) -> Option<&'static GeneratorEntry> {
    registry().iter().find(|entry| entry.name == name)
}

/// The case that generator `name` makes of `seed`, which is expanded into 4 to 8 KiB; none if there is no such
/// generator. The case's origin names both.
pub fn from_seed(name: &str, seed: u64) -> Option<Case> {
    from_seed_within(name, seed, Features::OF_PROGRAMS)
}

/// As [`from_seed`], with programs that use no more than these features.
pub fn from_seed_within(name: &str, seed: u64, within: Features) -> Option<Case> {
    let entry = find(name)?;
    let mut case = (entry.generate)(&mut Unstructured::new(&seed_bytes(seed)), within);
    case.schedule.origin = Some(format!("generator {name}, seed {seed}"));
    Some(case)
}

/// Schedules that a campaign runs each program under, one after the other: when the program is compiled, another schedule costs little, and
/// when a collection happens, and what a function is called with, decides as much as what is collected.
pub const SCHEDULES: u64 = 8;

/// The case under its schedule of this number. Number 0 is the one that the generator chose; the others differ from it in when collections
/// happen, what they do, and whose turn it is, and in what functions are called with, unless the case has a heap limit, which is for
/// certain objects.
pub fn under_schedule(case: &Case, number: u64) -> Case {
    if number == 0 {
        return case.clone();
    }
    let origin = case.schedule.origin.clone().unwrap_or_default();
    // Cases of the same number have different origins, and so different schedules.
    let seed = origin.bytes().fold(number, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let bytes = seed_bytes(seed);
    let mut unstructured = Unstructured::new(&bytes);
    let c = &mut Choices::new(&mut unstructured);
    let mut schedule = schedule::again(&case.schedule, c);
    schedule.origin = Some(format!("{origin}, schedule {number}"));
    let mut steps = case.steps.clone();
    if schedule.gc_heap_max.is_none() {
        for step in &mut steps {
            if let Action::Invoke { args, .. } = &mut step.action {
                args.iter_mut().for_each(|arg| *arg = another(c, *arg));
            }
        }
    }
    Case { schedule, steps }
}

/// Another value that fits where this one does.
fn another(c: &mut Choices<'_, '_>, value: Value) -> Value {
    match value {
        Value::I32(_) => Value::I32(c.i32()),
        Value::I64(_) => Value::I64(c.i64()),
        Value::F32(_) => Value::F32(c.f32()),
        Value::F64(_) => Value::F64(c.f64()),
        Value::Ref(NodeRef::I31(value)) => {
            c.small_i31 = (0..choices::SMALL_I31).contains(&value);
            let value = c.i31();
            Value::Ref(NodeRef::I31(value << 1 >> 1))
        }
        Value::Ref(NodeRef::Host(_)) => Value::Ref(NodeRef::Host(u64::from(c.byte()))),
        // Of a null nothing says what else would fit.
        other @ (Value::V128(_) | Value::Ref(_)) => other,
    }
}

/// A case of a user's module: each export is called with made-up arguments, the same ones each time.
pub fn exports_of(module: &[u8]) -> Case {
    let bytes = seed_bytes(0);
    let mut case = smith::script(
        module.to_vec(),
        4,
        usize::MAX,
        &mut choices::Choices::new(&mut Unstructured::new(&bytes)),
    );
    case.schedule.origin = None;
    case.schedule.fuel = Some(1_000_000_000);
    case
}

/// The bytes that [`from_seed`] gives to a generator.
pub fn seed_bytes(seed: u64) -> Vec<u8> {
    let mut random = SplitMix64::new(seed);
    let words = 512 + (random.next() % 513) as usize;
    (0..words).flat_map(|_| random.next().to_le_bytes()).collect()
}
