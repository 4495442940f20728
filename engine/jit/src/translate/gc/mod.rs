//! Instructions of the GC proposal.

use wasmparser::Operator;

use super::FuncTranslator;
use crate::Error;
use crate::convert::internal;

impl FuncTranslator<'_> {
    /// Translates an instruction of the GC proposal.
    pub(crate) fn translate_gc(&mut self, op: &Operator<'_>) -> Result<(), Error> {
        Err(internal(&format!("not translated: {op:?}")))
    }
}
