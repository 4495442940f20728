//! Constant expressions (spec: Execution / Expressions). They run on the same machine as functions; the
//! commonest, a lone constant or function reference, is read off.

use super::code::{Body, Code, Op};
use crate::error::{Error, Result};
use crate::runtime::store::Store;
use crate::runtime::value::Bits;

impl Store {
    /// Evaluates a constant expression of one result in an instance.
    pub(crate) fn evaluate(&mut self, body: &std::sync::Arc<Body>, instance: u32) -> Result<u64> {
        match body.ops[..] {
            [Op { code: Code::Const, a, b, .. }, Op { code: Code::Return1, .. }] => {
                Ok(u64::from(b) << 32 | u64::from(a))
            }
            [Op { code: Code::RefFunc, b, .. }, Op { code: Code::Return1, .. }] => self.instances
                [instance as usize]
                .funcs
                .get(b as usize)
                .map(|&func| Bits::func(func).0)
                .ok_or_else(|| Error::crash("unknown function")),
            _ => self.run_constant(body, instance),
        }
    }
}
