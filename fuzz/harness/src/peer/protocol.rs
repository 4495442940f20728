//! What an adapter is asked and what it answers: `fuzz/adapters/protocol.md`, as types. One JSON object a line.

use serde::{Deserialize, Serialize};

use crate::observe::{Outcome, RejectStage, Resource, TrapKind, Value};
use crate::subject::Features;

/// The version of the protocol.
pub const VERSION: u32 = 1;

/// A request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
#[expect(missing_docs, reason = "fuzz/adapters/protocol.md says what they are")]
pub enum Request {
    Hello { version: u32 },
    Case,
    Compile { module: usize, bytes: String },
    Instantiate { module: usize, instance: usize, imports: Vec<(String, usize)> },
    Invoke { instance: usize, field: String, args: Vec<Number>, results: Vec<NumberType> },
    State { instance: usize, globals: Vec<(String, NumberType)> },
    Gc,
}

/// A request under its number, which its reply bears too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "fuzz/adapters/protocol.md says what they are")]
pub struct Numbered {
    pub id: u64,
    #[serde(flatten)]
    pub request: Request,
}

/// A number and its type: signed decimal for integers, the bits in decimal for floats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number(pub NumberType, pub String);

/// Types of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum NumberType {
    I32,
    I64,
    F32,
    F64,
}

impl NumberType {
    /// Of a value type, if it is one of a number.
    pub fn of(ty: wasmparser::ValType) -> Option<NumberType> {
        match ty {
            wasmparser::ValType::I32 => Some(NumberType::I32),
            wasmparser::ValType::I64 => Some(NumberType::I64),
            wasmparser::ValType::F32 => Some(NumberType::F32),
            wasmparser::ValType::F64 => Some(NumberType::F64),
            wasmparser::ValType::V128 | wasmparser::ValType::Ref(_) => None,
        }
    }
}

impl Number {
    /// Of a value, if it is a number.
    pub fn of(value: Value) -> Option<Number> {
        match value {
            Value::I32(n) => Some(Number(NumberType::I32, n.to_string())),
            Value::I64(n) => Some(Number(NumberType::I64, n.to_string())),
            Value::F32(bits) => Some(Number(NumberType::F32, bits.to_string())),
            Value::F64(bits) => Some(Number(NumberType::F64, bits.to_string())),
            Value::V128(_) | Value::Ref(_) => None,
        }
    }

    /// The value.
    ///
    /// # Errors
    /// Digits that are no number of the type.
    pub fn value(&self) -> Result<Value, std::num::ParseIntError> {
        Ok(match self.0 {
            NumberType::I32 => Value::I32(self.1.parse()?),
            NumberType::I64 => Value::I64(self.1.parse()?),
            NumberType::F32 => Value::F32(self.1.parse()?),
            NumberType::F64 => Value::F64(self.1.parse()?),
        })
    }
}

/// A reply: which of its parts are there depends on the request and on how it went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "fuzz/adapters/protocol.md says what they are")]
pub struct Reply {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ok: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<Number>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub globals: Option<Vec<Number>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trap: Option<Vec<Trap>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exhausted: Option<Exhausted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thrown: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsupported: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Stages of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum Refused {
    Malformed,
    Invalid,
    Unlinkable,
}

/// What ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Exhausted {
    CallStack,
    GcHeap,
    Memory,
    Table,
    Fuel,
}

/// Kinds of traps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum Trap {
    Unreachable,
    IntegerDivideByZero,
    IntegerOverflow,
    InvalidConversionToInteger,
    MemoryOutOfBounds,
    TableOutOfBounds,
    UninitializedElement,
    IndirectCallTypeMismatch,
    NullReference,
    ArrayOutOfBounds,
    CastFailure,
    AllocationTooLarge,
}

impl From<Trap> for TrapKind {
    fn from(trap: Trap) -> TrapKind {
        match trap {
            Trap::Unreachable => TrapKind::Unreachable,
            Trap::IntegerDivideByZero => TrapKind::IntegerDivideByZero,
            Trap::IntegerOverflow => TrapKind::IntegerOverflow,
            Trap::InvalidConversionToInteger => TrapKind::InvalidConversionToInteger,
            Trap::MemoryOutOfBounds => TrapKind::MemoryOutOfBounds,
            Trap::TableOutOfBounds => TrapKind::TableOutOfBounds,
            Trap::UninitializedElement => TrapKind::UninitializedElement,
            Trap::IndirectCallTypeMismatch => TrapKind::IndirectCallTypeMismatch,
            Trap::NullReference => TrapKind::NullReference,
            Trap::ArrayOutOfBounds => TrapKind::ArrayOutOfBounds,
            Trap::CastFailure => TrapKind::CastFailure,
            Trap::AllocationTooLarge => TrapKind::AllocationTooLarge,
        }
    }
}

impl Reply {
    /// The outcome that it tells instead of success, if it does.
    pub fn end(&self) -> Option<Outcome> {
        let text = || self.text.clone().unwrap_or_default();
        if let Some(error) = &self.error {
            return Some(Outcome::Crashed(format!("the adapter failed: {error}")));
        }
        if let Some(stage) = self.refused {
            let stage = match stage {
                Refused::Malformed => RejectStage::Malformed,
                Refused::Invalid => RejectStage::Invalid,
                Refused::Unlinkable => RejectStage::Unlinkable,
            };
            return Some(Outcome::Rejected(stage, text()));
        }
        if let Some(kinds) = &self.trap {
            let kinds: Vec<TrapKind> = kinds.iter().map(|kind| TrapKind::from(*kind)).collect();
            return Some(match kinds[..] {
                [kind] => Outcome::Trapped(kind),
                _ => Outcome::TrappedSomehow(kinds, text()),
            });
        }
        if let Some(what) = self.exhausted {
            return Some(Outcome::Exhausted(match what {
                Exhausted::CallStack => Resource::CallStack,
                Exhausted::GcHeap => Resource::GcHeap,
                Exhausted::Memory => Resource::Memory,
                Exhausted::Table => Resource::Table,
                Exhausted::Fuel => Resource::Fuel,
            }));
        }
        if self.thrown == Some(true) {
            return Some(Outcome::Thrown { graph: crate::HeapGraph::default() });
        }
        if let Some(what) = &self.unsupported {
            return Some(Outcome::Unsupported(what.clone()));
        }
        self.missing.as_ref().map(|what| Outcome::BadStep(what.clone()))
    }
}

/// The features of these names.
///
/// # Errors
/// The first name that is none.
pub fn features(names: &[String]) -> Result<Features, String> {
    let mut features = Features::default();
    for name in names {
        match name.as_str() {
            "validates" => features.validates = true,
            "gc" => features.gc = true,
            "simd" => features.simd = true,
            "relaxed-simd" => features.relaxed_simd = true,
            "constant-conversions" => features.constant_conversions = true,
            "exceptions" => features.exceptions = true,
            "legacy-exceptions" => features.legacy_exceptions = true,
            "tail-calls" => features.tail_calls = true,
            "memory64" => features.memory64 = true,
            "multi-memory" => features.multi_memory = true,
            "collects" => features.collects = true,
            "liveness" => features.liveness = true,
            other => return Err(other.to_owned()),
        }
    }
    Ok(features)
}
