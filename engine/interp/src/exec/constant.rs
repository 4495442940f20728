//! Constant expressions (spec: Execution / Expressions). They run on the same machine as functions; the
//! commonest, a lone constant or function reference, is read off.

use super::code::{Body, Code, Op};
use crate::error::{Error, Result};
use crate::runtime::store::Store;
use crate::runtime::value::Bits;

impl Store {
    /// Evaluates a constant expression in an instance; of a vector, this is the low half.
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
            _ => {
                let slots = self.run_constant(body, instance)?;
                slots.first().copied().ok_or_else(|| Error::crash("constant expression without a value"))
            }
        }
    }

    /// Evaluates a constant expression of any type; gives low and high half, which is 0 but for a vector.
    pub(crate) fn evaluate_wide(&mut self, body: &std::sync::Arc<Body>, instance: u32) -> Result<(u64, u64)> {
        if body.results < 2 {
            return Ok((self.evaluate(body, instance)?, 0));
        }
        match self.run_constant(body, instance)?[..] {
            [low, high] => Ok((low, high)),
            _ => Err(Error::crash("constant expression without a value")),
        }
    }
}
