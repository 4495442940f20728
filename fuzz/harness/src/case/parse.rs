//! `.wast` text to a case, by the crate `wast`; nothing is validated here.
//!
//! Two things go beyond the official script language, both in comments, so that other engines read the same file:
//! the TOML header in leading `;;!` lines, and annotations outside of all parentheses: `;;@ collect` is a step of its
//! own; `;;@ any` and `;;@ success` replace the expectation of the directive before them.
//! A host token with its top bit set, `(ref.host 0x8000_0005)`, spells the i31 of the other 31 bits (here 5), since
//! scripts have no words for an i31 argument.

use wast::core::{NanPattern, V128Const, V128Pattern, WastArgCore, WastRetCore};
use wast::lexer::{Lexer, TokenKind};
use wast::parser::{self, ParseBuffer};
use wast::token::Id;
use wast::{QuoteWat, QuoteWatTest, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, Wat};

use super::error::{CaseError, Kind};
use super::words::{resource_of, trap_of};
use super::{Action, Case, Expect, LaneShape, Pattern, RefPattern, Schedule, Source, Step};
use crate::graph::NodeRef;
use crate::observe::{RejectStage, TrapKind, Value};

/// Top bit of a host token that spells an i31.
pub(super) const I31_TOKEN: u32 = 1 << 31;

impl Case {
    /// Reads a case. `path` only stands in errors.
    ///
    /// # Errors
    /// Text that the `wast` parser refuses, a wrong header, a directive that cases do not have, an unknown trap text;
    /// each with its line.
    pub fn parse(text: &str, path: &str) -> Result<Case, CaseError> {
        let lines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1).collect();
        Parser { text, path, lines }.case()
    }
}

struct Parser<'t> {
    text: &'t str,
    path: &'t str,
    /// Offsets of the second line's first byte and so on.
    lines: Vec<usize>,
}

/// A `;;@` comment outside of parentheses.
struct Annotation {
    offset: usize,
    word: Word,
}

#[derive(Clone, Copy, PartialEq)]
enum Word {
    Collect,
    Any,
    Success,
}

impl Parser<'_> {
    fn case(&self) -> Result<Case, CaseError> {
        let schedule = self.header()?;
        let annotations = self.annotations()?;
        let buffer = ParseBuffer::new_with_lexer(lexer(self.text)).map_err(|e| self.syntax(&e))?;
        let wast = if self.has_directives()? {
            parser::parse::<Wast<'_>>(&buffer).map_err(|e| self.syntax(&e))?
        } else {
            Wast { directives: Vec::new() }
        };
        let mut steps: Vec<Step> = Vec::new();
        let mut annotations = annotations.into_iter().peekable();
        let mut annotate = |steps: &mut Vec<Step>, before: usize| {
            while let Some(annotation) = annotations.next_if(|a| a.offset < before) {
                self.apply(&annotation, steps)?;
            }
            Ok(())
        };
        for directive in wast.directives {
            let offset = directive.span().offset();
            annotate(&mut steps, offset)?;
            let (action, expect) = self.directive(directive)?;
            steps.push(Step { action, expect, line: self.position(offset).0 });
        }
        annotate(&mut steps, usize::MAX)?;
        Ok(Case { schedule, steps })
    }

    fn header(&self) -> Result<Schedule, CaseError> {
        let mut toml = String::new();
        for rest in self.text.lines().map_while(|line| line.strip_prefix(";;!")) {
            toml.push_str(rest.strip_prefix(' ').unwrap_or(rest));
            toml.push('\n');
        }
        // A setting that nobody reads is worse than none.
        let header = toml.lines().count();
        let mut below = self.text.lines().skip(header);
        if let Some(stray) = below.position(|line| line.trim_start().starts_with(";;!")) {
            let line = narrow(header + stray + 1);
            let kind = Kind::Header {
                message: "a header line below the header, which ends at the first other line".into(),
            };
            return Err(CaseError { path: self.path.to_owned(), line, column: 1, kind });
        }
        toml::from_str(&toml).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(toml.len()));
            let before = toml.get(..start).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 5;
            let kind = Kind::Header { message: error.message().to_owned() };
            CaseError { path: self.path.to_owned(), line: narrow(line), column: narrow(column), kind }
        })
    }

    fn annotations(&self) -> Result<Vec<Annotation>, CaseError> {
        let mut found = Vec::new();
        // The text of a comment is looked for before the lexer is started: most files have none.
        if !self.text.contains(";;@") {
            return Ok(found);
        }
        let mut depth = 0usize;
        for token in lexer(self.text).iter(0) {
            let token = token.map_err(|e| self.syntax(&e))?;
            match token.kind {
                TokenKind::LParen => depth += 1,
                TokenKind::RParen => depth = depth.saturating_sub(1),
                TokenKind::LineComment if depth == 0 => {
                    let Some(text) = token.src(self.text).strip_prefix(";;@") else { continue };
                    let word = match text.trim() {
                        "collect" => Word::Collect,
                        "any" => Word::Any,
                        "success" => Word::Success,
                        other => {
                            return Err(self.error(token.offset, Kind::Annotation { text: other.to_owned() }));
                        }
                    };
                    found.push(Annotation { offset: token.offset, word });
                }
                _ => {}
            }
        }
        Ok(found)
    }

    fn apply(&self, annotation: &Annotation, steps: &mut Vec<Step>) -> Result<(), CaseError> {
        let (line, _) = self.position(annotation.offset);
        if annotation.word == Word::Collect {
            steps.push(Step { action: Action::Collect, expect: Expect::Success, line });
            return Ok(());
        }
        let Some(step) = steps.last_mut() else {
            return Err(
                self.error(annotation.offset, Kind::Annotation { text: "without a directive".into() })
            );
        };
        step.expect = if annotation.word == Word::Any { Expect::Any } else { Expect::Success };
        Ok(())
    }

    /// A file of comments only is an empty case (the `wast` parser takes it for an empty module).
    fn has_directives(&self) -> Result<bool, CaseError> {
        for token in lexer(self.text).iter(0) {
            match token.map_err(|e| self.syntax(&e))?.kind {
                TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment => {}
                _ => return Ok(true),
            }
        }
        Ok(false)
    }

    fn directive(&self, directive: WastDirective<'_>) -> Result<(Action, Expect), CaseError> {
        let offset = directive.span().offset();
        Ok(match directive {
            WastDirective::Module(module) => {
                let (name, source) = self.module(module)?;
                (Action::Module { name, source }, Expect::Success)
            }
            WastDirective::ModuleDefinition(module) => {
                let (name, source) = self.module(module)?;
                (Action::Define { name, source }, Expect::Success)
            }
            WastDirective::ModuleInstance { instance, module, .. } => {
                (Action::Instantiate { name: id(instance), definition: id(module) }, Expect::Success)
            }
            WastDirective::AssertMalformed { module, .. } => {
                (Action::Check { source: self.checked(module)? }, Expect::Reject(RejectStage::Malformed))
            }
            WastDirective::AssertInvalid { module, .. } => {
                (Action::Check { source: self.checked(module)? }, Expect::Reject(RejectStage::Invalid))
            }
            WastDirective::AssertUnlinkable { module, .. } => {
                (Action::Link { source: self.linked(module)? }, Expect::Reject(RejectStage::Unlinkable))
            }
            WastDirective::Register { name, module, .. } => {
                (Action::Register { as_name: name.to_owned(), module: id(module) }, Expect::Success)
            }
            WastDirective::Invoke(invoke) => (self.invoke(invoke)?, Expect::Success),
            WastDirective::AssertTrap { exec, message, .. } => {
                (self.execute(exec)?, Expect::Trap(self.trap(offset, message)?))
            }
            WastDirective::AssertReturn { exec, results, .. } => {
                let patterns: Result<Vec<_>, _> =
                    results.into_iter().map(|r| self.result(offset, r)).collect();
                (self.execute(exec)?, Expect::Return(patterns?))
            }
            WastDirective::AssertExhaustion { call, message, .. } => {
                let resource = resource_of(message)
                    .ok_or_else(|| self.error(offset, Kind::UnknownTrap { text: message.to_owned() }))?;
                (self.invoke(call)?, Expect::Exhaustion(resource))
            }
            WastDirective::AssertException { exec, .. } => (self.execute(exec)?, Expect::Exception),
            WastDirective::AssertInvalidCustom { .. } | WastDirective::AssertMalformedCustom { .. } => {
                return Err(self.unsupported(offset, "assertions about custom sections"));
            }
            WastDirective::AssertSuspension { .. } => {
                return Err(self.unsupported(offset, "assert_suspension"));
            }
            WastDirective::Thread(_) | WastDirective::Wait { .. } => {
                return Err(self.unsupported(offset, "threads"));
            }
        })
    }

    /// A module that must be readable.
    fn module(&self, mut module: QuoteWat<'_>) -> Result<(Option<String>, Source), CaseError> {
        self.no_component(&module)?;
        let offset = module.span().offset();
        let name = id(module.name());
        match self.encode(&mut module) {
            Ok(bytes) => Ok((name, Source::Binary(bytes))),
            Err(Some(error)) => Err(self.syntax(&error)),
            Err(None) => {
                Err(self.error(offset, Kind::Syntax { message: "quoted text that is not a module".into() }))
            }
        }
    }

    /// A module under `assert_malformed` or `assert_invalid`.
    fn checked(&self, mut module: QuoteWat<'_>) -> Result<Source, CaseError> {
        self.no_component(&module)?;
        if let Ok(bytes) = self.encode(&mut module) {
            return Ok(Source::Binary(bytes));
        }
        Ok(Source::RejectedText(match module.to_test() {
            // The parser ends each quoted string with a space.
            Ok(QuoteWatTest::Text(text)) => escape(text.strip_suffix(b" ").unwrap_or(&text)),
            // Not quoted, but its names do not resolve: the form as it stands in the file.
            _ => escape(self.form_at(module.span().offset()).as_bytes()),
        }))
    }

    fn linked(&self, mut module: Wat<'_>) -> Result<Source, CaseError> {
        if let Wat::Component(_) = module {
            return Err(self.unsupported(module.span().offset(), "components"));
        }
        module.encode().map(Source::Binary).map_err(|e| self.syntax(&e))
    }

    fn no_component(&self, module: &QuoteWat<'_>) -> Result<(), CaseError> {
        match module {
            QuoteWat::Wat(Wat::Component(_)) | QuoteWat::QuoteComponent(..) => {
                Err(self.unsupported(module.span().offset(), "components"))
            }
            QuoteWat::Wat(Wat::Module(_)) | QuoteWat::QuoteModule(..) => Ok(()),
        }
    }

    /// The module's bytes; for quoted text an error has no place in the file.
    fn encode(&self, module: &mut QuoteWat<'_>) -> Result<Vec<u8>, Option<wast::Error>> {
        match module.to_test().map_err(Some)? {
            QuoteWatTest::Binary(bytes) => Ok(bytes),
            QuoteWatTest::Text(text) => encode_text(&text).ok_or(None),
        }
    }

    fn execute(&self, exec: WastExecute<'_>) -> Result<Action, CaseError> {
        Ok(match exec {
            WastExecute::Invoke(invoke) => self.invoke(invoke)?,
            WastExecute::Wat(module) => Action::Link { source: self.linked(module)? },
            WastExecute::Get { module, global, .. } => {
                Action::Get { module: id(module), field: global.to_owned() }
            }
        })
    }

    fn invoke(&self, invoke: WastInvoke<'_>) -> Result<Action, CaseError> {
        let offset = invoke.span.offset();
        let args: Result<Vec<_>, _> = invoke.args.into_iter().map(|arg| self.argument(offset, arg)).collect();
        Ok(Action::Invoke { module: id(invoke.module), field: invoke.name.to_owned(), args: args? })
    }

    fn argument(&self, offset: usize, arg: WastArg<'_>) -> Result<Value, CaseError> {
        let WastArg::Core(arg) = arg else {
            return Err(self.unsupported(offset, "component values"));
        };
        Ok(match arg {
            WastArgCore::I32(v) => Value::I32(v),
            WastArgCore::I64(v) => Value::I64(v),
            WastArgCore::F32(v) => Value::F32(v.bits),
            WastArgCore::F64(v) => Value::F64(v.bits),
            WastArgCore::V128(v) => Value::V128(v128(&v)),
            WastArgCore::RefNull(_) => Value::Ref(NodeRef::Null),
            WastArgCore::RefExtern(n) => Value::Ref(NodeRef::Host(u64::from(n))),
            WastArgCore::RefHost(n) => Value::Ref(host_or_i31(n)),
        })
    }

    fn result(&self, offset: usize, result: WastRet<'_>) -> Result<Pattern, CaseError> {
        match result {
            WastRet::Core(result) => self.core_result(offset, result),
            _ => Err(self.unsupported(offset, "component values")),
        }
    }

    fn core_result(&self, offset: usize, result: WastRetCore<'_>) -> Result<Pattern, CaseError> {
        Ok(match result {
            WastRetCore::I32(v) => Pattern::Value(Value::I32(v)),
            WastRetCore::I64(v) => Pattern::Value(Value::I64(v)),
            WastRetCore::F32(v) => f32_pattern(&v),
            WastRetCore::F64(v) => f64_pattern(&v),
            WastRetCore::V128(v) => v128_pattern(v),
            WastRetCore::RefNull(_) => Pattern::RefNull,
            WastRetCore::RefExtern(Some(n)) => Pattern::Value(Value::Ref(NodeRef::Host(u64::from(n)))),
            WastRetCore::RefExtern(None) => Pattern::Ref(RefPattern::Extern),
            WastRetCore::RefHost(n) => match host_or_i31(n) {
                NodeRef::Host(token) => Pattern::Ref(RefPattern::Host(token)),
                i31 => Pattern::Value(Value::Ref(i31)),
            },
            WastRetCore::RefFunc(_) => Pattern::Ref(RefPattern::Func),
            WastRetCore::RefAny => Pattern::Ref(RefPattern::Any),
            WastRetCore::RefEq => Pattern::Ref(RefPattern::Eq),
            WastRetCore::RefArray => Pattern::Ref(RefPattern::Array),
            WastRetCore::RefStruct => Pattern::Ref(RefPattern::Struct),
            WastRetCore::RefI31 => Pattern::Ref(RefPattern::I31),
            WastRetCore::RefI31Shared => return Err(self.unsupported(offset, "shared references")),
            WastRetCore::Either(cases) => {
                let cases: Result<Vec<_>, _> =
                    cases.into_iter().map(|c| self.core_result(offset, c)).collect();
                Pattern::Either(cases?)
            }
        })
    }

    fn trap(&self, offset: usize, text: &str) -> Result<TrapKind, CaseError> {
        trap_of(text).ok_or_else(|| self.error(offset, Kind::UnknownTrap { text: text.to_owned() }))
    }

    /// The parenthesised form whose first word stands at `offset`.
    fn form_at(&self, offset: usize) -> String {
        let mut depth = 1usize;
        let mut end = self.text.len();
        for token in lexer(self.text).iter(offset) {
            let Ok(token) = token else { break };
            match token.kind {
                TokenKind::LParen => depth += 1,
                TokenKind::RParen => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                end = token.offset;
                break;
            }
        }
        format!("({})", self.text.get(offset..end).unwrap_or_default())
    }

    /// Line and column, from 1.
    fn position(&self, offset: usize) -> (u32, u32) {
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).map_or(0, |line| self.lines[line]);
        (narrow(line + 1), narrow(offset - start + 1))
    }

    fn error(&self, offset: usize, kind: Kind) -> CaseError {
        let (line, column) = self.position(offset);
        CaseError { path: self.path.to_owned(), line, column, kind }
    }

    fn syntax(&self, error: &wast::Error) -> CaseError {
        self.error(error.span().offset(), Kind::Syntax { message: error.message() })
    }

    fn unsupported(&self, offset: usize, what: &str) -> CaseError {
        self.error(offset, Kind::Unsupported { what: what.to_owned() })
    }
}

/// A lexer that takes the official suite's odd characters in names.
fn lexer(text: &str) -> Lexer<'_> {
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    lexer
}

/// The module that `text` (with or without `(module …)` around it) stands for; `None` if the `wast` parser refuses it.
pub(super) fn encode_text(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let buffer = ParseBuffer::new_with_lexer(lexer(text)).ok()?;
    match parser::parse::<Wat<'_>>(&buffer).ok()? {
        Wat::Component(_) => None,
        mut module @ Wat::Module(_) => module.encode().ok(),
    }
}

/// The bytes as the inside of a string literal: printable ASCII as it is.
pub(super) fn escape(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            0x20..=0x7e => out.push(char::from(byte)),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\{byte:02x}");
            }
        }
    }
    out
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn id(id: Option<Id<'_>>) -> Option<String> {
    id.map(|id| id.name().to_owned())
}

fn host_or_i31(token: u32) -> NodeRef {
    if token & I31_TOKEN == 0 {
        return NodeRef::Host(u64::from(token));
    }
    // Drop the mark, then sign-extend from bit 30.
    NodeRef::I31((token << 1).cast_signed() >> 1)
}

fn v128(v: &V128Const) -> u128 {
    u128::from_le_bytes(v.to_le_bytes())
}

fn f32_pattern(v: &NanPattern<wast::token::F32>) -> Pattern {
    match v {
        NanPattern::CanonicalNan => Pattern::F32CanonicalNan,
        NanPattern::ArithmeticNan => Pattern::F32ArithmeticNan,
        NanPattern::Value(v) => Pattern::Value(Value::F32(v.bits)),
    }
}

fn f64_pattern(v: &NanPattern<wast::token::F64>) -> Pattern {
    match v {
        NanPattern::CanonicalNan => Pattern::F64CanonicalNan,
        NanPattern::ArithmeticNan => Pattern::F64ArithmeticNan,
        NanPattern::Value(v) => Pattern::Value(Value::F64(v.bits)),
    }
}

fn v128_pattern(v: V128Pattern) -> Pattern {
    let i32s = |v: &[i32]| v.iter().map(|v| Pattern::Value(Value::I32(*v))).collect();
    match v {
        V128Pattern::I8x16(v) => Pattern::V128(i32s(&v.map(i32::from)), LaneShape::I8x16),
        V128Pattern::I16x8(v) => Pattern::V128(i32s(&v.map(i32::from)), LaneShape::I16x8),
        V128Pattern::I32x4(v) => Pattern::V128(i32s(&v), LaneShape::I32x4),
        V128Pattern::I64x2(v) => {
            Pattern::V128(v.iter().map(|v| Pattern::Value(Value::I64(*v))).collect(), LaneShape::I64x2)
        }
        V128Pattern::F32x4(v) => Pattern::V128(v.iter().map(f32_pattern).collect(), LaneShape::F32x4),
        V128Pattern::F64x2(v) => Pattern::V128(v.iter().map(f64_pattern).collect(), LaneShape::F64x2),
    }
}
