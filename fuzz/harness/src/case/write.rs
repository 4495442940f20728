//! A case to `.wast` text. Reading it again gives the same case but for line numbers.
//!
//! A module stands as text where encoding that text gives its bytes again, else as `(module binary …)`. Scripts have no
//! words for a module directive, or a step of ours, that is expected to fail: `Expect`s that no directive can carry
//! are written as `;;@ any`.

use std::collections::HashMap;

use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::{Wast, WastDirective};

use super::parse::{I31_TOKEN, escape};
use super::signature::{self, Spelling};
use super::words::{resource_text, trap_text};
use super::{Action, Case, Expect, LaneShape, Pattern, RefPattern, Source, Step};
use crate::graph::NodeRef;
use crate::observe::{RejectStage, Value};

impl Case {
    /// The case as `.wast` text with readable modules.
    pub fn to_wast(&self) -> String {
        Writer { readable: true, ..Writer::default() }.case(self)
    }

    /// The same with every module as bytes: quick, for machines.
    pub fn to_wast_binary(&self) -> String {
        Writer::default().case(self)
    }
}

#[derive(Default)]
struct Writer<'c> {
    readable: bool,
    out: String,
    /// What the steps so far have made: bytes of the current module, of named ones, of definitions.
    current: Option<&'c [u8]>,
    named: HashMap<&'c str, &'c [u8]>,
    definition: Option<&'c [u8]>,
    definitions: HashMap<&'c str, &'c [u8]>,
}

impl<'c> Writer<'c> {
    fn case(mut self, case: &'c Case) -> String {
        if case.schedule != super::Schedule::default() {
            // A schedule has only strings, lists of them and numbers, which TOML always has words for.
            let header = toml::to_string(&case.schedule).unwrap_or_default();
            for line in header.lines() {
                self.out.push_str(";;!");
                if !line.is_empty() {
                    self.out.push(' ');
                    self.out.push_str(line);
                }
                self.out.push('\n');
            }
        }
        for step in &case.steps {
            self.step(step);
        }
        self.out
    }

    fn step(&mut self, step: &'c Step) {
        let text = match &step.action {
            Action::Module { name, source } => {
                let text = self.module("module", name.as_deref(), source);
                self.made(name.as_deref(), source);
                text
            }
            Action::Define { name, source } => {
                if let Source::Binary(bytes) = source {
                    self.definition = Some(bytes);
                    if let Some(name) = name {
                        self.definitions.insert(name, bytes);
                    }
                }
                self.module("module definition", name.as_deref(), source)
            }
            Action::Instantiate { name, definition } => {
                let bytes = match definition {
                    Some(name) => self.definitions.get(name.as_str()).copied(),
                    None => self.definition,
                };
                self.current = bytes;
                if let (Some(name), Some(bytes)) = (name, bytes) {
                    self.named.insert(name, bytes);
                }
                let definition_id = id(definition.as_deref());
                // One name alone would be the instance's.
                let name = if definition.is_some() { name.as_deref().or(Some("_")) } else { name.as_deref() };
                format!("(module instance{}{definition_id})", id(name))
            }
            Action::Check { source } => {
                // Runners that compare messages take any: each engine has its own.
                let (word, module) = match step.expect {
                    Expect::Reject(RejectStage::Malformed) => ("malformed", binary("module", None, source)),
                    _ => ("invalid", self.module("module", None, source)),
                };
                format!("(assert_{word} {module} \"\")")
            }
            Action::Link { source } => {
                let module = self.module("module", None, source);
                match step.expect {
                    Expect::Trap(kind) => format!("(assert_trap {module} \"{}\")", trap_text(kind)),
                    _ => format!("(assert_unlinkable {module} \"\")"),
                }
            }
            Action::Register { as_name, module } => {
                format!("(register {}{})", quoted(as_name), id(module.as_deref()))
            }
            Action::Invoke { module, field, args } => {
                let mut call = format!("(invoke{} {}", id(module.as_deref()), quoted(field));
                let spellings = self.spellings(module.as_deref(), field, args);
                for (i, arg) in args.iter().enumerate() {
                    let spelling = spellings.get(i).copied().unwrap_or(signature::UNKNOWN);
                    call.push(' ');
                    call.push_str(&argument(*arg, spelling));
                }
                call.push(')');
                asserted(&call, &step.expect, false)
            }
            Action::Get { module, field } => {
                asserted(&format!("(get{} {})", id(module.as_deref()), quoted(field)), &step.expect, true)
            }
            Action::Collect => ";;@ collect".to_owned(),
        };
        self.out.push_str(&text);
        self.out.push_str(annotation(step));
        self.out.push('\n');
    }

    fn made(&mut self, name: Option<&'c str>, source: &'c Source) {
        let Source::Binary(bytes) = source else { return };
        self.current = Some(bytes);
        if let Some(name) = name {
            self.named.insert(name, bytes);
        }
    }

    /// The types by which to spell reference arguments.
    fn spellings(&self, module: Option<&str>, field: &str, args: &[Value]) -> Vec<Spelling> {
        if !args.iter().any(|arg| matches!(arg, Value::Ref(_))) {
            return Vec::new();
        }
        let bytes = match module {
            Some(name) => self.named.get(name).copied(),
            None => self.current,
        };
        bytes.map(|bytes| signature::parameters(bytes, field)).unwrap_or_default()
    }

    fn module(&self, word: &str, name: Option<&str>, source: &Source) -> String {
        if self.readable
            && let Source::Binary(bytes) = source
            && let Some(text) = as_text(word, name, bytes)
        {
            return text;
        }
        binary(word, name, source)
    }
}

/// The module as text if reading that gives the same bytes and name.
fn as_text(word: &str, name: Option<&str>, bytes: &[u8]) -> Option<String> {
    let printed = wasmprinter::print_bytes(bytes).ok()?;
    let text = format!("({word}{}", printed.trim_end().strip_prefix("(module")?);
    let mut lexer = Lexer::new(&text);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer).ok()?;
    let mut wast = parser::parse::<Wast<'_>>(&buffer).ok()?;
    let (WastDirective::Module(module) | WastDirective::ModuleDefinition(module)) =
        wast.directives.first_mut()?
    else {
        return None;
    };
    let same_name = module.name().map(|id| id.name().to_owned()).as_deref() == name;
    let same = same_name && module.encode().is_ok_and(|again| again == bytes);
    drop(wast);
    drop(buffer);
    same.then_some(text)
}

fn binary(word: &str, name: Option<&str>, source: &Source) -> String {
    match source {
        Source::RejectedText(escaped) => format!("({word} quote \"{escaped}\")"),
        Source::Binary(bytes) => {
            let mut out = format!("({word}{} binary", id(name));
            let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
            for line in bytes.chunks(32) {
                out.push_str("\n  \"");
                for byte in line {
                    out.extend(['\\', digit(byte >> 4), digit(byte & 15)]);
                }
                out.push('"');
            }
            out.push(')');
            out
        }
    }
}

fn asserted(action: &str, expect: &Expect, get: bool) -> String {
    match expect {
        Expect::Return(patterns) => {
            let mut out = format!("(assert_return {action}");
            for pattern in patterns {
                out.push(' ');
                out.push_str(&pattern_text(pattern));
            }
            out.push(')');
            out
        }
        Expect::Trap(kind) => format!("(assert_trap {action} \"{}\")", trap_text(*kind)),
        Expect::Exhaustion(resource) => {
            format!("(assert_exhaustion {action} \"{}\")", resource_text(*resource))
        }
        Expect::Exception => format!("(assert_exception {action})"),
        // There is no bare `get`.
        Expect::Any | Expect::Success | Expect::Reject(_) if get => format!("(assert_return {action})"),
        Expect::Any | Expect::Success | Expect::Reject(_) => action.to_owned(),
    }
}

/// What the directive's own words leave unsaid.
fn annotation(step: &Step) -> &'static str {
    let said = match (&step.action, &step.expect) {
        (Action::Collect, _) => true,
        (_, Expect::Any) => false,
        (Action::Check { .. }, expect) => {
            matches!(expect, Expect::Reject(RejectStage::Malformed | RejectStage::Invalid))
        }
        (Action::Link { .. }, expect) => {
            matches!(expect, Expect::Reject(RejectStage::Unlinkable) | Expect::Trap(_))
        }
        (Action::Get { .. }, expect) => !matches!(expect, Expect::Success | Expect::Reject(_)),
        (Action::Invoke { .. }, expect) => !matches!(expect, Expect::Reject(_)),
        (_, expect) => *expect == Expect::Success,
    };
    match (said, &step.expect) {
        (true, _) => "",
        (false, Expect::Success) => " ;;@ success",
        (false, _) => " ;;@ any",
    }
}

fn argument(value: Value, spelling: Spelling) -> String {
    match value {
        Value::I32(v) => format!("(i32.const {v})"),
        Value::I64(v) => format!("(i64.const {v})"),
        Value::F32(bits) => format!("(f32.const {})", f32_text(bits)),
        Value::F64(bits) => format!("(f64.const {})", f64_text(bits)),
        Value::V128(bits) => {
            let lane = |at: u32| (bits >> (64 * at)) as u64;
            format!("(v128.const i64x2 0x{:016x} 0x{:016x})", lane(0), lane(1))
        }
        Value::Ref(NodeRef::Host(token)) if spelling.internal => format!("(ref.host {token})"),
        Value::Ref(NodeRef::Host(token)) => format!("(ref.extern {token})"),
        Value::Ref(NodeRef::I31(v)) => format!("(ref.host {})", i31_token(v)),
        // No other reference can be an argument.
        Value::Ref(_) => format!("(ref.null {})", spelling.null),
    }
}

fn i31_token(v: i32) -> u32 {
    v.cast_unsigned() | I31_TOKEN
}

fn pattern_text(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Value(Value::Ref(NodeRef::Null)) | Pattern::RefNull => "(ref.null)".into(),
        Pattern::Value(value) => argument(*value, signature::UNKNOWN),
        Pattern::F32CanonicalNan => "(f32.const nan:canonical)".into(),
        Pattern::F32ArithmeticNan => "(f32.const nan:arithmetic)".into(),
        Pattern::F64CanonicalNan => "(f64.const nan:canonical)".into(),
        Pattern::F64ArithmeticNan => "(f64.const nan:arithmetic)".into(),
        Pattern::V128(lanes, shape) => {
            let mut out = format!("(v128.const {}", lane_word(*shape));
            for lane in lanes {
                out.push(' ');
                out.push_str(&lane_text(lane));
            }
            out.push(')');
            out
        }
        Pattern::Ref(RefPattern::Host(token)) => format!("(ref.host {token})"),
        Pattern::Ref(kind) => format!("(ref.{})", ref_word(*kind)),
        Pattern::Either(cases) => {
            let mut out = "(either".to_owned();
            for case in cases {
                out.push(' ');
                out.push_str(&pattern_text(case));
            }
            out.push(')');
            out
        }
    }
}

fn lane_text(lane: &Pattern) -> String {
    match lane {
        Pattern::Value(Value::I32(v)) => v.to_string(),
        Pattern::Value(Value::I64(v)) => v.to_string(),
        Pattern::Value(Value::F32(bits)) => f32_text(*bits),
        Pattern::Value(Value::F64(bits)) => f64_text(*bits),
        Pattern::F32CanonicalNan | Pattern::F64CanonicalNan => "nan:canonical".into(),
        Pattern::F32ArithmeticNan | Pattern::F64ArithmeticNan => "nan:arithmetic".into(),
        // Lanes are numbers.
        _ => "0".into(),
    }
}

fn lane_word(shape: LaneShape) -> &'static str {
    match shape {
        LaneShape::I8x16 => "i8x16",
        LaneShape::I16x8 => "i16x8",
        LaneShape::I32x4 => "i32x4",
        LaneShape::I64x2 => "i64x2",
        LaneShape::F32x4 => "f32x4",
        LaneShape::F64x2 => "f64x2",
    }
}

fn ref_word(kind: RefPattern) -> &'static str {
    match kind {
        RefPattern::Any => "any",
        RefPattern::Eq => "eq",
        RefPattern::I31 => "i31",
        RefPattern::Struct => "struct",
        RefPattern::Array => "array",
        RefPattern::Func => "func",
        RefPattern::Extern => "extern",
        RefPattern::Exn => "exn",
        RefPattern::Host(_) => "host",
    }
}

fn f32_text(bits: u32) -> String {
    let value = f32::from_bits(bits);
    let sign = if bits >> 31 == 1 { "-" } else { "" };
    if value.is_nan() {
        format!("{sign}nan:0x{:x}", bits & 0x7f_ffff)
    } else if value.is_infinite() {
        format!("{sign}inf")
    } else {
        format!("{value:?}")
    }
}

fn f64_text(bits: u64) -> String {
    let value = f64::from_bits(bits);
    let sign = if bits >> 63 == 1 { "-" } else { "" };
    if value.is_nan() {
        format!("{sign}nan:0x{:x}", bits & 0xf_ffff_ffff_ffff)
    } else if value.is_infinite() {
        format!("{sign}inf")
    } else {
        format!("{value:?}")
    }
}

/// ` $name`, or nothing.
fn id(name: Option<&str>) -> String {
    let Some(name) = name else { return String::new() };
    let plain = |c: char| c.is_ascii_graphic() && !"\"(),;[]{}".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        format!(" ${name}")
    } else {
        format!(" $\"{}\"", escape(name.as_bytes()))
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", escape(name.as_bytes()))
}
