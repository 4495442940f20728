//! What the harness offers to programs as imports, the same on each subject: one table of items and what they do.
//!
//! Module `spectest` is the official suite's. Module `assay` is for generated programs: `gc` forces a full collection,
//! `log_*` write to the trace, `keep`/`kept` let the host hold references, `host` makes host values by token; `wait` suspends
//! the fiber and gives its argument back, `epoch` lets the next epoch begin, `call` calls a function without parameters and
//! results.

use crate::graph::NodeRef;
use crate::observe::{MAX_TRACE, TraceEvent, Value};

/// Types of imported items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostType {
    I32,
    I64,
    F32,
    F64,
    Any,
    Extern,
    Func,
}

/// What a host function does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostOp {
    /// Nothing but its trace.
    Log,
    /// A full collection, frames included.
    Gc,
    /// Holds a reference.
    Keep,
    /// Gives back the n-th held reference, null if there is none.
    Kept,
    /// Makes an externref with this token.
    Host,
    /// Suspends the fiber, if there is one, and gives its argument back.
    Wait,
    /// The next epoch begins.
    Epoch,
    /// Calls a function of no parameters and results; null does nothing.
    Call,
}

/// An importable item.
#[derive(Clone, Copy, Debug)]
pub(super) enum HostItem {
    Func {
        name: &'static str,
        params: &'static [HostType],
        results: &'static [HostType],
        op: HostOp,
    },
    /// An immutable global.
    Global(Value),
    /// 10 to 20 funcrefs.
    Table {
        is_64: bool,
    },
    /// 1 to 2 pages.
    Memory,
}

/// References that the host holds at most; further ones are traced only.
pub(super) const MAX_KEPT: usize = 1000;

macro_rules! func {
    ($name:literal, $($param:ident)* => $($result:ident)*, $op:ident) => {
        HostItem::Func {
            name: $name,
            params: &[$(HostType::$param),*],
            results: &[$(HostType::$result),*],
            op: HostOp::$op,
        }
    };
}

/// The item named `module` `name`.
pub(super) fn item(module: &str, name: &str) -> Option<HostItem> {
    Some(match (module, name) {
        ("spectest", "print") => func!("print", => , Log),
        ("spectest", "print_i32") => func!("print_i32", I32 => , Log),
        ("spectest", "print_i64") => func!("print_i64", I64 => , Log),
        ("spectest", "print_f32") => func!("print_f32", F32 => , Log),
        ("spectest", "print_f64") => func!("print_f64", F64 => , Log),
        ("spectest", "print_i32_f32") => func!("print_i32_f32", I32 F32 => , Log),
        ("spectest", "print_f64_f64") => func!("print_f64_f64", F64 F64 => , Log),
        ("spectest", "global_i32") => HostItem::Global(Value::I32(666)),
        ("spectest", "global_i64") => HostItem::Global(Value::I64(666)),
        ("spectest", "global_f32") => HostItem::Global(Value::F32(666.6f32.to_bits())),
        ("spectest", "global_f64") => HostItem::Global(Value::F64(666.6f64.to_bits())),
        ("spectest", "table") => HostItem::Table { is_64: false },
        ("spectest", "table64") => HostItem::Table { is_64: true },
        ("spectest", "memory") => HostItem::Memory,
        ("assay", "gc") => func!("gc", => , Gc),
        ("assay", "log_i32") => func!("log_i32", I32 => , Log),
        ("assay", "log_i64") => func!("log_i64", I64 => , Log),
        ("assay", "log_f32") => func!("log_f32", F32 => , Log),
        ("assay", "log_f64") => func!("log_f64", F64 => , Log),
        ("assay", "log_ref") => func!("log_ref", Any => , Log),
        ("assay", "keep") => func!("keep", Any => , Keep),
        ("assay", "kept") => func!("kept", I32 => Any, Kept),
        ("assay", "host") => func!("host", I32 => Extern, Host),
        ("assay", "wait") => func!("wait", Any => Any, Wait),
        ("assay", "epoch") => func!("epoch", => , Epoch),
        ("assay", "call") => func!("call", Func => , Call),
        _ => return None,
    })
}

/// What host functions have seen, and the references that they hold.
#[derive(Debug)]
pub(super) struct HostState<R> {
    pub(super) trace: Vec<TraceEvent>,
    pub(super) kept: Vec<R>,
}

impl<R> Default for HostState<R> {
    fn default() -> Self {
        HostState { trace: Vec::new(), kept: Vec::new() }
    }
}

impl<R> HostState<R> {
    pub(super) fn record(&mut self, name: &str, args: Vec<Value>) {
        if self.trace.len() < MAX_TRACE {
            self.trace.push(TraceEvent { name: name.to_owned(), args });
        }
    }

    pub(super) fn keep(&mut self, reference: R) {
        if self.kept.len() < MAX_KEPT {
            self.kept.push(reference);
        }
    }
}

/// The token that `assay.host` gives for its argument.
pub(super) fn token(argument: i32) -> u64 {
    u64::from(argument.cast_unsigned())
}

/// A null argument in a trace.
pub(super) const NULL: Value = Value::Ref(NodeRef::Null);

/// A digest of a memory's bytes: any change of one word changes it.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    fn mix(state: &mut u64, word: u64) {
        *state = (*state ^ word).wrapping_mul(0xd6e8_feb8_6659_fd93);
        *state ^= *state >> 32;
    }
    // Four states, since one would wait for itself: memories are large, and each subject's is read whole.
    let mut states = [0x9e37_79b9_7f4a_7c15u64 ^ bytes.len() as u64, 1, 2, 3];
    let (words, rest) = bytes.as_chunks::<8>();
    let (fours, words) = words.as_chunks::<4>();
    for four in fours {
        for (state, word) in states.iter_mut().zip(four) {
            mix(state, u64::from_le_bytes(*word));
        }
    }
    let [mut state, others @ ..] = states;
    others.iter().for_each(|other| mix(&mut state, *other));
    words.iter().for_each(|word| mix(&mut state, u64::from_le_bytes(*word)));
    rest.iter().for_each(|byte| mix(&mut state, u64::from(*byte)));
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_sees_each_bit() {
        let mut bytes = vec![0u8; 67];
        let zero = hash(&bytes);
        assert_ne!(zero, hash(&bytes[1..]));
        for at in 0..bytes.len() * 8 {
            bytes[at / 8] ^= 1 << (at % 8);
            assert_ne!(hash(&bytes), zero);
            bytes[at / 8] ^= 1 << (at % 8);
        }
    }
}
