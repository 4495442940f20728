//! A function body under construction.
//!
//! Invariant: every local is defaultable, so any may be read anywhere.

use wasm_encoder::{BlockType, Function, InstructionSink, ValType};

/// The body.
#[derive(Default)]
pub(super) struct Body {
    code: Vec<u8>,
    params: u32,
    locals: Vec<ValType>,
    /// Locals of what every body with statements has.
    pub(super) sum: u32,
    pub(super) a: u32,
    pub(super) b: u32,
    pub(super) x: u32,
    pub(super) f: u32,
    /// An i32 parameter.
    pub(super) n: Option<u32>,
    /// Whether it is a constant expression.
    pub(super) constant: bool,
    /// Whether calls of callbacks are welcome.
    pub(super) calls: bool,
}

impl Body {
    pub(super) fn new(params: u32) -> Body {
        Body { params, ..Body::default() }
    }

    /// A constant expression.
    pub(super) fn constant() -> Body {
        Body { constant: true, ..Body::default() }
    }

    /// Where the next instruction goes.
    pub(super) fn op(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.code)
    }

    /// A new local of a type of the module.
    pub(super) fn local(&mut self, ty: ValType) -> u32 {
        self.locals.push(ty);
        self.params + self.locals.len() as u32 - 1
    }

    pub(super) fn block(&mut self, result: ValType) {
        self.op().block(BlockType::Result(result));
    }

    /// The code of a constant expression.
    pub(super) fn into_code(self) -> Vec<u8> {
        self.code
    }

    pub(super) fn len(&self) -> usize {
        self.code.len()
    }

    pub(super) fn encode(&self) -> Function {
        let mut function = Function::new_with_locals_types(self.locals.iter().copied());
        function.raw(self.code.iter().copied());
        function.instructions().end();
        function
    }
}
