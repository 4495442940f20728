//! The typed generator: a module whose functions build real object graphs, change them and read them back.
//!
//! Reading order: `types` (the type graph), `parts` (globals, tables, segments), `walkers` (checksums), `makers` (functions
//! that every program has), `throws`, `tails`, `references`, `convert`, `construct`, `outside`, `numeric` and `disguise` (expressions), `knots` (cycles), `workloads` (loops that are
//! hard on collectors), `entries` and `statements` (entry functions), `script` (the case), `limits` (its heap limit), `prune` (what nothing calls goes), `emit` (bytes).
//!
//! Invariant: modules are valid by construction, end within the fuel of the schedule, and trap only where a statement
//! says so, as the last thing of an entry function.

use arbitrary::Unstructured;
use wasm_encoder::BlockType;

use super::choices::Choices;
use super::input::{Input, Section};
use crate::{Case, Features};
use body::Body;
use program::{CALL, GC, Program};

mod body;
mod bulk;
mod construct;
mod convert;
mod disguise;
mod emit;
mod entries;
mod knots;
mod limits;
mod makers;
mod numeric;
mod outside;
mod parts;
mod program;
mod prune;
mod references;
mod script;
pub(in crate::generate) use script::step;
mod statements;
mod tails;
mod throws;
mod types;
mod walkers;
mod workloads;

/// Collections that one call of an entry function forces, at most (an estimate).
const COLLECTION_LIMIT: usize = 14;

/// One program in so many is large: more types, deep checksums and longer entry functions.
const LARGE_ODDS: usize = 16;

/// What the bytes do not say.
#[derive(Clone, Debug)]
pub struct Options {
    /// Statements out of a hundred that throw and catch, beside the usual ones.
    pub catch: usize,
    /// Whether functions that nothing calls stay, so that programs can be compared function by function.
    pub keeps_uncalled: bool,
    /// What programs may use.
    pub within: Features,
}

impl Default for Options {
    fn default() -> Self {
        Options { catch: 0, keeps_uncalled: false, within: Features::OF_PROGRAMS }
    }
}

/// Makes a case of the bytes.
pub fn generate(input: &mut Unstructured<'_>) -> Case {
    within(input, Features::OF_PROGRAMS)
}

/// The same, with a program that uses no more than these features.
pub fn within(input: &mut Unstructured<'_>, features: Features) -> Case {
    let bytes = input.bytes(input.len()).unwrap_or_default();
    of(&Input::decode(bytes), &Options { within: features, ..Options::default() })
}

/// Makes a case of the input.
pub fn of(input: &Input, options: &Options) -> Case {
    let mut choices = Choices::of_sections(input).within(options.within);
    choices.enter(Section::Types);
    // Statements that throw need more room than a small program has.
    let small = !choices.chance(1, LARGE_ODDS) && options.catch == 0;
    choices.small_i31 = choices.chance(1, 4);
    let types = types::Types::generate(&mut choices, small);
    choices.enter(Section::Script);
    let fibers = choices.chance(1, 4);
    let mut generator = Generator {
        c: choices,
        p: Program { types, memory: true, ..Program::default() },
        f: Body::default(),
        sum: 0,
        leaf_nesting: 0,
        held: 0,
        fibers,
        small,
        options,
    };
    generator.c.enter(Section::Parts);
    generator.payload_types();
    generator.parts();
    generator.c.enter(Section::Points);
    generator.collection_points();
    generator.walkers();
    generator.lists();
    generator.c.enter(Section::Makers);
    generator.makers();
    generator.c.enter(Section::Callees);
    generator.callees();
    generator.c.enter(Section::Throwers);
    generator.throwers();
    generator.tails();
    generator.c.enter(Section::Workloads);
    generator.workloads();
    generator.c.enter(Section::Script);
    generator.entries();
    generator.finish_table();
    let (schedule, calls) = generator.script();
    generator.c.enter(Section::Limits);
    let limits = if fibers { None } else { generator.limits(calls.len()) };
    if !options.keeps_uncalled {
        generator.p.prune();
    }
    let module = emit::encode(&mut generator.p);
    let case = script::case(schedule, module, calls);
    match limits {
        Some(limits) => limits.impose(case),
        None => case,
    }
}

/// The state of generation: choices, the program so far, and the function at hand.
struct Generator<'a, 'u> {
    c: Choices<'a, 'u>,
    p: Program,
    f: Body,
    /// Local of the function at hand that sums up what it saw (entry functions only).
    sum: u32,
    /// Leaves inside leaves.
    leaf_nesting: usize,
    /// Next held producer.
    held: usize,
    /// Whether the case's last calls are fibers.
    fibers: bool,
    /// Whether the program is small: compiling is most of what a case costs.
    small: bool,
    options: &'a Options,
}

impl Generator<'_, '_> {
    /// Defines a declared function: `emit` leaves its results on the stack.
    fn define(&mut self, function: u32, limit: usize, emit: impl FnOnce(&mut Self)) {
        let body = Body::new(&self.p.function(function).params, limit);
        let outer = std::mem::replace(&mut self.f, body);
        emit(self);
        let body = std::mem::replace(&mut self.f, outer);
        let function = self.p.function_mut(function);
        function.cost = body.cost();
        function.body = Some(body);
    }

    fn block(&mut self, ty: BlockType) {
        self.f.op().block(ty);
        self.f.depth += 1;
    }

    fn loop_(&mut self, ty: BlockType) {
        self.f.op().loop_(ty);
        self.f.depth += 1;
    }

    fn if_(&mut self, ty: BlockType) {
        self.f.op().if_(ty);
        self.f.depth += 1;
    }

    fn else_(&mut self) {
        self.f.op().else_();
    }

    fn end(&mut self) {
        self.f.op().end();
        self.f.depth -= 1;
    }

    /// A collection, whatever lies on the operand stack.
    fn hold(&mut self) {
        if self.f.cost().collections >= COLLECTION_LIMIT {
            return;
        }
        self.collect();
    }

    /// The same, without regard to what was spent already.
    fn collect(&mut self) {
        let (pulse, churn) = (self.p.pulse, self.p.churn);
        let function = if self.fibers {
            self.c.weighted(&[(2, GC), (2, churn), (1, pulse), (5, self.p.pause)])
        } else {
            self.c.weighted(&[(3, GC), (4, churn), (1, pulse)])
        };
        if self.fibers && function != GC && self.c.chance(1, 3) {
            self.f.op().ref_func(function).call(CALL);
        } else {
            self.f.op().call(function);
        }
        let cost = match function {
            GC => body::Cost { work: 10, collections: 1 },
            function => self.p.function(function).cost,
        };
        self.f.spend(cost);
    }

    fn maybe_hold(&mut self) {
        if self.c.chance(1, 4) {
            self.hold();
        }
    }
}
