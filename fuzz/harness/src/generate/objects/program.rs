//! The module under construction: index spaces beside the types, and the names of the parts that every program has.
//!
//! Invariant: a function calls only functions that are already defined, itself with a smaller argument, or walkers,
//! which share a budget; so every program ends.

use wasm_encoder::{RefType, ValType};

use super::body::{Body, Cost};
use super::tails::Hop;
use super::types::{EXTERNREF, Types};

/// Imports from module `assay`, in index order.
pub(super) const IMPORTS: [&str; 12] = [
    "gc", "log_i32", "log_i64", "log_f32", "log_f64", "log_ref", "keep", "kept", "host", "wait", "epoch",
    "call",
];
pub(super) const GC: u32 = 0;
pub(super) const LOG_I32: u32 = 1;
pub(super) const LOG_I64: u32 = 2;
pub(super) const LOG_F32: u32 = 3;
pub(super) const LOG_F64: u32 = 4;
pub(super) const LOG_REF: u32 = 5;
pub(super) const KEEP: u32 = 6;
pub(super) const KEPT: u32 = 7;
pub(super) const HOST: u32 = 8;
pub(super) const WAIT: u32 = 9;
pub(super) const EPOCH: u32 = 10;
pub(super) const CALL: u32 = 11;

/// Mutable i32 globals that steer a run: visits left to the walkers, calls of `pulse` until it collects, whether the
/// droppable segments are gone, and what tangles are made of.
pub(super) const BUDGET: u32 = 0;
pub(super) const TICK: u32 = 1;
pub(super) const DROPPED: u32 = 2;
pub(super) const STIR: u32 = 3;

/// The table of functions, and the one of objects.
pub(super) const FUNCTIONS: u32 = 0;
pub(super) const OBJECTS: u32 = 1;

/// Parameters and results of an import.
pub(super) fn import_type(name: &str) -> (Vec<ValType>, Vec<ValType>) {
    let any = ValType::Ref(RefType::ANYREF);
    match name {
        "log_i32" => (vec![ValType::I32], vec![]),
        "log_i64" => (vec![ValType::I64], vec![]),
        "log_f32" => (vec![ValType::F32], vec![]),
        "log_f64" => (vec![ValType::F64], vec![]),
        "log_ref" | "keep" => (vec![any], vec![]),
        "kept" => (vec![ValType::I32], vec![any]),
        "wait" => (vec![any], vec![any]),
        "call" => (vec![ValType::Ref(RefType::FUNCREF)], vec![]),
        "host" => (vec![ValType::I32], vec![ValType::Ref(EXTERNREF)]),
        _ => (vec![], vec![]),
    }
}

/// A defined function.
pub(super) struct Function {
    pub(super) ty: u32,
    pub(super) params: Vec<ValType>,
    pub(super) results: Vec<ValType>,
    /// None until it is defined.
    pub(super) body: Option<Body>,
    pub(super) cost: Cost,
}

/// A constant expression without its `end`.
pub(super) type Constant = Vec<u8>;

/// A global.
pub(super) struct Global {
    pub(super) ty: ValType,
    pub(super) mutable: bool,
    pub(super) init: Constant,
    pub(super) exported: bool,
}

/// A table.
pub(super) struct Table {
    pub(super) ty: RefType,
    pub(super) min: u32,
    pub(super) max: u32,
    pub(super) init: Option<Constant>,
}

/// Items of an element segment.
pub(super) enum Items {
    Functions(Vec<u32>),
    Expressions(RefType, Vec<Constant>),
}

/// An element segment.
pub(super) struct Element {
    /// Table and offset; none for passive ones.
    pub(super) active: Option<(u32, u32)>,
    pub(super) items: Items,
}

impl Element {
    pub(super) fn ty(&self) -> RefType {
        match &self.items {
            Items::Functions(_) => RefType::FUNCREF,
            Items::Expressions(ty, _) => *ty,
        }
    }

    pub(super) fn len(&self) -> u32 {
        match &self.items {
            Items::Functions(items) => items.len() as u32,
            Items::Expressions(_, items) => items.len() as u32,
        }
    }
}

/// A data segment.
pub(super) struct Data {
    /// Offset in memory 0; none for passive ones.
    pub(super) active: Option<u32>,
    pub(super) bytes: Vec<u8>,
}

/// An exported function that the script calls.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) function: u32,
}

/// A function `(i32) -> (ref $type)` that builds an object of a size that grows with its argument.
#[derive(Clone, Copy)]
pub(super) struct Maker {
    pub(super) ty: u32,
    pub(super) function: u32,
}

/// The module.
#[derive(Default)]
pub(super) struct Program {
    pub(super) types: Types,
    pub(super) functions: Vec<Function>,
    pub(super) globals: Vec<Global>,
    pub(super) tables: Vec<Table>,
    pub(super) elements: Vec<Element>,
    pub(super) data: Vec<Data>,
    pub(super) entries: Vec<Entry>,
    /// `() -> ()`: collects at some calls.
    pub(super) pulse: u32,
    /// `() -> ()`: collects, then fills freed room with sentinels.
    pub(super) churn: u32,
    /// What exceptions hold.
    pub(super) payload: Vec<ValType>,
    /// `() -> ()`: throw.
    pub(super) throwers: Vec<u32>,
    /// `(exnref) -> i64`: what the exception holds.
    pub(super) unthrow: u32,
    /// Functions that end in tail calls.
    pub(super) hops: Vec<Hop>,
    /// `() -> ()`: suspends the fiber; and `(i32) -> i32`: exhausts the call stack.
    pub(super) pause: u32,
    pub(super) deep: u32,
    /// `(anyref) -> i64`: deep checksum, or in a small program the first level.
    pub(super) walk: u32,
    /// Per array and struct type of a large program, `(ref $type) -> i64`.
    pub(super) walkers: Vec<(u32, u32)>,
    pub(super) makers: Vec<Maker>,
    /// Functions of the callback type.
    pub(super) callbacks: Vec<u32>,
    /// Items of table 0, slot by slot.
    pub(super) table_functions: Vec<u32>,
    /// Functions without parameters that return one reference.
    pub(super) fresh: Vec<u32>,
    /// `(i32) -> (ref null $node)`, `(ref null $node) -> i64` and `(ref null $node) -> (ref null $node)`.
    pub(super) build_list: u32,
    pub(super) sum_list: u32,
    pub(super) reverse_list: u32,
    /// Whether there is memory 0.
    pub(super) memory: bool,
    /// `(anyref) -> i64`: the first level of an object; and `(i32) -> (ref null $node)`: a ring of so many nodes.
    pub(super) peek: u32,
    pub(super) ring: u32,
    /// `(i32) -> (ref null $node)`: nodes that refer to each other at random.
    pub(super) tangle: u32,
    /// `() -> i64`: workloads that are light enough to be called by entry functions.
    pub(super) workloads: Vec<u32>,
    /// Globals and tables below these indices are for all; those above are the workloads' own.
    pub(super) common_globals: usize,
    pub(super) common_tables: usize,
    /// Data segments that are never dropped.
    pub(super) lasting_data: u32,
    /// Element segments that are never dropped, and never active.
    pub(super) lasting_elements: Vec<u32>,
    /// Segments that the first taker drops.
    pub(super) droppable_element: u32,
    pub(super) droppable_data: u32,
}

impl Program {
    /// Reserves an index for a function that is defined later.
    pub(super) fn declare(&mut self, params: &[ValType], results: &[ValType]) -> u32 {
        let ty = self.types.function(params, results);
        self.declare_typed(ty, params, results)
    }

    pub(super) fn declare_typed(&mut self, ty: u32, params: &[ValType], results: &[ValType]) -> u32 {
        self.functions.push(Function {
            ty,
            params: params.to_vec(),
            results: results.to_vec(),
            body: None,
            cost: Cost::default(),
        });
        (IMPORTS.len() + self.functions.len()) as u32 - 1
    }

    /// The defined function of this index.
    pub(super) fn function(&self, index: u32) -> &Function {
        &self.functions[index as usize - IMPORTS.len()]
    }

    /// The same, to change.
    pub(super) fn function_mut(&mut self, index: u32) -> &mut Function {
        &mut self.functions[index as usize - IMPORTS.len()]
    }
}
