//! The generator of several modules: instances that share objects, functions, globals, tables, memories and tags.
//!
//! Reading order: `world` (the types that all modules have in common), `view` (a module's own order of them), `module` and
//! `body` (what is under construction), `interface` (imports, and definitions of what can be imported), `expressions`,
//! `statements`, `functions`, `failing` (modules that cannot be linked, or trap half way), `script` (the case).
//!
//! Invariant: modules are valid, and each that is meant to be linked can be; calls go to functions that were defined
//! earlier, or to callbacks, whose number of calls a budget bounds; so every call ends within the fuel of the schedule.

use arbitrary::Unstructured;

use super::choices::Choices;
use crate::{Case, Features};
use body::Body;
use interface::Offer;
use module::Module;
use world::World;

mod body;
mod expressions;
mod failing;
mod functions;
mod interface;
mod module;
mod script;
mod statements;
#[cfg(test)]
mod tests;
mod view;
mod world;

/// One case in so many is large: more modules, more of each type read back, longer functions. Compiling is most of what a case costs.
const LARGE_ODDS: usize = 12;

/// Makes a case of the bytes.
pub fn generate(input: &mut Unstructured<'_>) -> Case {
    within(input, Features::OF_PROGRAMS)
}

/// The same, with modules that use no more than these features.
pub fn within(input: &mut Unstructured<'_>, features: Features) -> Case {
    let mut c = Choices::new(input).within(features);
    c.small_i31 = c.chance(1, 4);
    let world = World::generate(&mut c);
    let (m, f) = (Module::default(), Body::default());
    let large = c.chance(1, LARGE_ODDS);
    Generator { c, world, m, f, walk: 0, offers: Vec::new(), large }.case()
}

/// The state of generation: choices, the common types, the module and the function at hand.
struct Generator<'a, 'u> {
    c: Choices<'a, 'u>,
    world: World,
    m: Module,
    f: Body,
    /// The module's `(anyref) -> i64`.
    walk: u32,
    /// What earlier modules export.
    offers: Vec<Offer>,
    large: bool,
}
