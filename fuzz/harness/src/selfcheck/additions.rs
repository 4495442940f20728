//! What a module gets beside its own: types, functions, globals and tables, all behind those it has, so that no index of
//! its own changes but those of functions.

use wasm_encoder::{
    AbstractHeapType, BlockType, CodeSection, ConstExpr, FieldType, Function, FunctionSection, GlobalSection,
    GlobalType, HeapType, RefType, StorageType, TableSection, TableType, TypeSection, ValType,
};

use super::module::Module;

/// Objects that one digest numbers, at most: the slots of the table of seen ones. Further ones count by their type.
pub(super) const MAX_OBJECTS: u32 = 256;
/// References that one digest follows, at most.
pub(super) const MAX_VISITS: u32 = 2048;
/// Elements of an array or a table that one digest looks at, about: each if there are no more, else some at equal
/// distances, and the last.
pub(super) const MAX_ELEMENTS: u32 = 64;
/// References that a module holds in place of the host, at most.
pub(super) const MAX_KEPT: u32 = 1000;

pub(super) const fn heap(ty: AbstractHeapType) -> HeapType {
    HeapType::Abstract { shared: false, ty }
}

pub(super) const ANYREF: ValType = ValType::Ref(RefType::ANYREF);
pub(super) const EQREF: ValType = ValType::Ref(RefType::EQREF);

/// Globals that are added, in order.
#[derive(Clone, Copy)]
pub(super) enum Added {
    /// i64: the digest of what was logged.
    Log,
    /// i32: objects seen by the digest at hand, and at most.
    Seen,
    SeenLimit,
    /// i32: references that the digest at hand may still follow.
    Visits,
    /// i32: references held.
    Kept,
    /// i32: whether collections are to be none at the moment.
    Quiet,
    /// The latest dead array, so that no optimiser does without it.
    Garbage,
}

/// The additions to a module.
pub(super) struct Additions<'m> {
    pub(super) module: &'m Module<'m>,
    /// Indices of the module's functions of before, to those of now.
    pub(super) function_map: Vec<u32>,
    /// Signatures of the added function types; the special types come first.
    signatures: Vec<(Vec<ValType>, Vec<ValType>)>,
    /// Type and body of each added function.
    functions: Vec<(u32, Option<Function>)>,
    first_function: u32,
}

/// Types that are added before function types: 125 i64, and what stands for a host value.
const SPECIAL_TYPES: u32 = 2;

impl<'m> Additions<'m> {
    /// `replaced` are the imported functions that become functions of the module.
    pub(super) fn new(module: &'m Module<'m>, replaced: &[u32]) -> Additions<'m> {
        let kept = module.imported_functions - replaced.len() as u32;
        let own = module.functions.len() as u32 - module.imported_functions;
        let mut additions = Additions {
            module,
            function_map: Vec::new(),
            signatures: Vec::new(),
            functions: Vec::new(),
            first_function: kept + own,
        };
        let mut next = 0;
        for index in 0..module.functions.len() as u32 {
            let now = if replaced.contains(&index) {
                additions.declare_typed(module.functions[index as usize])
            } else {
                next += 1;
                next - 1
            };
            additions.function_map.push(now);
        }
        additions
    }

    /// The index of a function type.
    pub(super) fn signature(&mut self, params: &[ValType], results: &[ValType]) -> u32 {
        let known = self.signatures.iter().position(|(p, r)| p == params && r == results);
        let at = known.unwrap_or_else(|| {
            self.signatures.push((params.to_vec(), results.to_vec()));
            self.signatures.len() - 1
        });
        self.module.types.len() as u32 + SPECIAL_TYPES + at as u32
    }

    /// What a block of these results has for a type.
    pub(super) fn block(&mut self, results: &[ValType]) -> BlockType {
        match results {
            [] => BlockType::Empty,
            [one] => BlockType::Result(*one),
            more => BlockType::FunctionType(self.signature(&[], more)),
        }
    }

    /// A function that is defined later.
    pub(super) fn declare(&mut self, params: &[ValType], results: &[ValType]) -> u32 {
        let ty = self.signature(params, results);
        self.declare_typed(ty)
    }

    fn declare_typed(&mut self, ty: u32) -> u32 {
        self.functions.push((ty, None));
        self.first_function + self.functions.len() as u32 - 1
    }

    /// Defines a declared function; `body` lacks its `end`.
    pub(super) fn define(&mut self, function: u32, mut body: Function) {
        body.instructions().end();
        if let Some(slot) = self.functions.get_mut((function - self.first_function) as usize) {
            slot.1 = Some(body);
        }
    }

    /// The array type of dead arrays: 125 times 8 bytes.
    pub(super) fn garbage_type(&self) -> u32 {
        self.module.types.len() as u32
    }

    /// The struct type of host values.
    pub(super) fn host_type(&self) -> u32 {
        self.module.types.len() as u32 + 1
    }

    pub(super) fn global(&self, which: Added) -> u32 {
        self.module.globals.len() as u32 + which as u32
    }

    /// The table of objects that a digest has seen.
    pub(super) fn seen(&self) -> u32 {
        self.module.tables.len() as u32
    }

    /// The table of held references.
    pub(super) fn kept(&self) -> u32 {
        self.module.tables.len() as u32 + 1
    }

    pub(super) fn add_types(&self, section: &mut TypeSection) {
        section.ty().array(&StorageType::Val(ValType::I64), true);
        section.ty().struct_([FieldType { element_type: StorageType::Val(ValType::I32), mutable: false }]);
        for (params, results) in &self.signatures {
            section.ty().function(params.iter().copied(), results.iter().copied());
        }
    }

    pub(super) fn add_functions(&self, section: &mut FunctionSection) {
        for (ty, _) in &self.functions {
            section.function(*ty);
        }
    }

    pub(super) fn add_tables(&self, section: &mut TableSection) {
        for (element_type, len) in [(RefType::EQREF, MAX_OBJECTS), (RefType::ANYREF, MAX_KEPT)] {
            section.table(TableType {
                element_type,
                table64: false,
                minimum: u64::from(len),
                maximum: Some(u64::from(len)),
                shared: false,
            });
        }
    }

    pub(super) fn add_globals(&self, section: &mut GlobalSection) {
        let global = |val_type| GlobalType { val_type, mutable: true, shared: false };
        section.global(global(ValType::I64), &ConstExpr::i64_const(0));
        for _ in [Added::Seen, Added::SeenLimit, Added::Visits, Added::Kept, Added::Quiet] {
            section.global(global(ValType::I32), &ConstExpr::i32_const(0));
        }
        let garbage = HeapType::Concrete(self.garbage_type());
        let ty = ValType::Ref(RefType { nullable: true, heap_type: garbage });
        section.global(global(ty), &ConstExpr::ref_null(heap(AbstractHeapType::None)));
    }

    pub(super) fn add_code(&self, section: &mut CodeSection) {
        for (_, body) in &self.functions {
            match body {
                Some(body) => section.function(body),
                None => section.function(&unreachable()),
            };
        }
    }
}

/// The body of a function that was declared and not defined; there is none.
fn unreachable() -> Function {
    let mut body = Function::new([]);
    body.instructions().unreachable().end();
    body
}
