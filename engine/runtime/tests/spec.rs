//! Drives the embedding API with the official scripts, legacy exceptions included where they are on. The real
//! runner is the crate `assay-spec-tests`; this one is small and knows the API directly. Does nothing where the suite
//! is absent. `SPEC_FILTER` and `SPEC_CONFIG` narrow it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../spec-tests/src/legacy_text.rs"]
#[expect(unreachable_pub, reason = "public in its own crate")]
mod legacy_text;

use std::collections::HashMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use assay_runtime::*;
use wast::core::{
    AbstractHeapType as Abstract, HeapType as WastHeap, NanPattern, V128Pattern, WastArgCore, WastRetCore,
};
use wast::parser::{ParseBuffer, parse};
use wast::{QuoteWat, QuoteWatTest, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, Wat};

const SUITE: &str = "/work/shared/spec-suite";

/// Why a directive failed; quoted text that the text parser refuses is no matter of ours.
enum Failure {
    Text,
    Wrong(String),
}

impl<E: Debug> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Wrong(format!("{error:?}"))
    }
}

struct Runner {
    store: Store,
    linker: Linker,
    instances: HashMap<String, Instance>,
    modules: HashMap<String, Module>,
    current: Option<Instance>,
    latest: Option<Module>,
    hosts: HashMap<u32, Rooted>,
}

fn wrong<T>(what: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Wrong(what.into()))
}

impl Runner {
    fn new(engine: &Engine) -> Runner {
        let mut store = Store::new(engine).unwrap();
        store.set_fuel(u64::MAX);
        let mut linker = Linker::new();
        let s = &mut store;
        for (name, ty, value) in [
            ("global_i32", ValType::I32, Val::I32(666)),
            ("global_i64", ValType::I64, Val::I64(666)),
            ("global_f32", ValType::F32, Val::F32(666.6f32.to_bits())),
            ("global_f64", ValType::F64, Val::F64(666.6f64.to_bits())),
        ] {
            let global = Global::new(s, GlobalType { content: ty, mutable: false }, &value).unwrap();
            linker.define("spectest", name, Extern::Global(global));
        }
        let element = RefType { nullable: true, heap: HeapType::Abstract(AbstractHeapType::Func) };
        for (name, is_64) in [("table", false), ("table64", true)] {
            let ty = TableType { element, min: 10, max: Some(20), is_64 };
            let table = Table::new(s, ty, &Val::FuncRef(None)).unwrap();
            linker.define("spectest", name, Extern::Table(table));
        }
        let memory = Memory::new(s, MemoryType { min: 1, max: Some(2), is_64: false }).unwrap();
        linker.define("spectest", "memory", Extern::Memory(memory));
        for (name, params) in [
            ("print", vec![]),
            ("print_i32", vec![ValType::I32]),
            ("print_i64", vec![ValType::I64]),
            ("print_f32", vec![ValType::F32]),
            ("print_f64", vec![ValType::F64]),
            ("print_i32_f32", vec![ValType::I32, ValType::F32]),
            ("print_f64_f64", vec![ValType::F64, ValType::F64]),
        ] {
            let ty = FuncType { params: params.into(), results: [].into() };
            let func = Func::new(s, ty, |_, _, _| Ok(())).unwrap();
            linker.define("spectest", name, Extern::Func(func));
        }
        Runner {
            store,
            linker,
            instances: HashMap::new(),
            modules: HashMap::new(),
            current: None,
            latest: None,
            hosts: HashMap::new(),
        }
    }

    fn compile(&self, bytes: &[u8]) -> Result<Module, Error> {
        Module::new(self.store.engine(), bytes)
    }

    fn instance_of(&self, name: Option<wast::token::Id<'_>>) -> Result<Instance, Failure> {
        let found = match name {
            Some(name) => self.instances.get(name.name()).copied(),
            None => self.current,
        };
        found.map_or_else(|| wrong("no such instance"), Ok)
    }

    fn host(&mut self, value: u32) -> Result<Rooted, Error> {
        if let Some(known) = self.hosts.get(&value) {
            return Ok(known.clone());
        }
        let made = ExternRef::new(&mut self.store, Box::new(value))?;
        self.hosts.insert(value, made.clone());
        Ok(made)
    }

    fn arg(&mut self, arg: &WastArg<'_>) -> Result<Val, Failure> {
        let WastArg::Core(arg) = arg else { return wrong("component argument") };
        Ok(match arg {
            WastArgCore::I32(value) => Val::I32(*value),
            WastArgCore::I64(value) => Val::I64(*value),
            WastArgCore::F32(value) => Val::F32(value.bits),
            WastArgCore::F64(value) => Val::F64(value.bits),
            WastArgCore::RefNull(heap) => null(heap),
            WastArgCore::RefExtern(value) => Val::ExternRef(Some(self.host(*value)?)),
            WastArgCore::RefHost(value) => Val::AnyRef(Some(self.host(*value)?)),
            WastArgCore::V128(value) => Val::V128(u128::from_le_bytes(value.to_le_bytes())),
        })
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Result<Result<Vec<Val>, Error>, Failure> {
        let instance = self.instance_of(invoke.module)?;
        let func = instance.exported_func(&self.store, invoke.name)?;
        let args = invoke.args.iter().map(|arg| self.arg(arg)).collect::<Result<Vec<_>, _>>()?;
        Ok(func.call(&mut self.store, &args))
    }

    fn execute(&mut self, exec: &mut WastExecute<'_>) -> Result<Result<Vec<Val>, Error>, Failure> {
        match exec {
            WastExecute::Invoke(invoke) => self.invoke(invoke),
            WastExecute::Wat(wat) => {
                let module = self.compile(&wat.encode()?)?;
                Ok(self.linker.instantiate(&mut self.store, &module).map(|_| Vec::new()))
            }
            WastExecute::Get { module, global, .. } => {
                let instance = self.instance_of(*module)?;
                let Some(Extern::Global(global)) = instance.export(&self.store, global)? else {
                    return wrong("no such global");
                };
                Ok(Ok(vec![global.get(&mut self.store)?]))
            }
        }
    }

    fn directive(&mut self, directive: &mut WastDirective<'_>) -> Result<(), Failure> {
        match directive {
            WastDirective::Module(quoted) => {
                let name = quoted.name().map(|name| name.name().to_owned());
                self.current = None;
                let module = self.compile(&bytes_of(quoted)?)?;
                let instance = self.linker.instantiate(&mut self.store, &module)?;
                self.current = Some(instance);
                self.latest = Some(module);
                if let Some(name) = name {
                    self.instances.insert(name, instance);
                }
            }
            WastDirective::ModuleDefinition(quoted) => {
                let name = quoted.name().map(|name| name.name().to_owned());
                let module = self.compile(&bytes_of(quoted)?)?;
                self.latest = Some(module.clone());
                if let Some(name) = name {
                    self.modules.insert(name, module);
                }
            }
            WastDirective::ModuleInstance { instance, module, .. } => {
                let module = match module {
                    Some(name) => self.modules.get(name.name()).cloned(),
                    None => self.latest.clone(),
                };
                let Some(module) = module else { return wrong("no such module") };
                let made = self.linker.instantiate(&mut self.store, &module)?;
                self.current = Some(made);
                if let Some(name) = instance {
                    self.instances.insert(name.name().to_owned(), made);
                }
            }
            WastDirective::Register { name, module, .. } => {
                let instance = self.instance_of(*module)?;
                self.linker.instance(&self.store, name, instance)?;
            }
            WastDirective::Invoke(invoke) => {
                self.invoke(invoke)??;
            }
            WastDirective::AssertReturn { exec, results, .. } => {
                let values = self.execute(exec)??;
                if values.len() != results.len() {
                    return wrong(format!("{} results instead of {}", values.len(), results.len()));
                }
                for (value, expected) in values.iter().zip(&*results) {
                    let WastRet::Core(expected) = expected else { return wrong("component result") };
                    if !self.is(value, expected) {
                        return wrong(format!("{value:?} instead of {expected:?}"));
                    }
                }
            }
            WastDirective::AssertTrap { exec, message, .. } => {
                let outcome = self.execute(exec)?;
                match outcome {
                    Err(error) if error.trap().is_some_and(|code| trap_is(code, message)) => {}
                    Err(error) => return wrong(format!("{error} instead of {message}")),
                    Ok(_) => return wrong(format!("returned instead of {message}")),
                }
            }
            WastDirective::AssertException { exec, .. } => match self.execute(exec)? {
                Err(error) if error.exception().is_some() => {}
                other => return wrong(format!("{other:?} instead of an exception")),
            },
            WastDirective::AssertExhaustion { call, message, .. } => match self.invoke(call)? {
                Err(error) if error.exhausted() == Some(Resource::CallStack) => {}
                other => return wrong(format!("{other:?} instead of {message}")),
            },
            WastDirective::AssertUnlinkable { module, message, .. } => {
                let module = self.compile(&module.encode()?)?;
                match self.linker.instantiate(&mut self.store, &module) {
                    Err(error) => {
                        let ErrorKind::Link { why, .. } = error.kind() else {
                            return wrong(format!("{error} instead of {message}"));
                        };
                        let expected = match why {
                            LinkReason::Unknown => "unknown import",
                            LinkReason::Incompatible => "incompatible import type",
                        };
                        if !message.starts_with(expected) {
                            return wrong(format!("{expected} instead of {message}"));
                        }
                    }
                    Ok(_) => return wrong(format!("linked instead of {message}")),
                }
            }
            WastDirective::AssertMalformed { module, message, .. } => {
                let bytes = bytes_of(module)?;
                match self.compile(&bytes) {
                    Err(error) if matches!(error.kind(), ErrorKind::Malformed { .. }) => {}
                    other => return wrong(format!("{other:?} instead of malformed: {message}")),
                }
            }
            WastDirective::AssertInvalid { module, message, .. } => {
                let bytes = bytes_of(module)?;
                match self.compile(&bytes) {
                    Err(error) if matches!(error.kind(), ErrorKind::Invalid { .. }) => {}
                    other => return wrong(format!("{other:?} instead of invalid: {message}")),
                }
            }
            WastDirective::AssertInvalidCustom { .. } | WastDirective::AssertMalformedCustom { .. } => {
                return Err(Failure::Text);
            }
            other => return wrong(format!("directive not run: {other:?}")),
        }
        Ok(())
    }

    fn is(&self, value: &Val, expected: &WastRetCore<'_>) -> bool {
        let inspect = |handle: &Rooted| handle.kind(&self.store).unwrap();
        match (value, expected) {
            (_, WastRetCore::Either(cases)) => cases.iter().any(|case| self.is(value, case)),
            (Val::I32(value), WastRetCore::I32(expected)) => value == expected,
            (Val::I64(value), WastRetCore::I64(expected)) => value == expected,
            (Val::F32(bits), WastRetCore::F32(pattern)) => f32_is(*bits, pattern),
            (Val::F64(bits), WastRetCore::F64(pattern)) => f64_is(*bits, pattern),
            (Val::V128(bits), WastRetCore::V128(pattern)) => v128_is(*bits, pattern),
            (
                Val::AnyRef(None) | Val::ExternRef(None) | Val::FuncRef(None) | Val::ExnRef(None),
                WastRetCore::RefNull(heap),
            ) => heap
                .as_ref()
                .is_none_or(|heap| std::mem::discriminant(&null(heap)) == std::mem::discriminant(value)),
            (Val::FuncRef(Some(_)), WastRetCore::RefFunc(None)) => true,
            (Val::ExternRef(Some(handle)), WastRetCore::RefExtern(expected)) => {
                expected.is_none_or(|expected| {
                    let host = ExternRef::value(&self.store, handle).unwrap();
                    host.and_then(|host| host.downcast_ref::<u32>()).is_some_and(|host| *host == expected)
                })
            }
            (Val::AnyRef(Some(handle)), WastRetCore::RefHost(expected)) => {
                let host = ExternRef::value(&self.store, handle).unwrap();
                host.and_then(|host| host.downcast_ref::<u32>()).is_some_and(|host| host == expected)
            }
            (Val::AnyRef(Some(_)), WastRetCore::RefAny) => true,
            (Val::AnyRef(Some(handle)), WastRetCore::RefEq) => !matches!(inspect(handle), RefKind::Host(_)),
            (Val::AnyRef(Some(handle)), WastRetCore::RefArray) => {
                matches!(inspect(handle), RefKind::Array(_))
            }
            (Val::AnyRef(Some(handle)), WastRetCore::RefStruct) => {
                matches!(inspect(handle), RefKind::Struct(_))
            }
            (Val::AnyRef(Some(handle)), WastRetCore::RefI31) => matches!(inspect(handle), RefKind::I31(_)),
            _ => false,
        }
    }
}

fn f32_is(bits: u32, pattern: &NanPattern<wast::token::F32>) -> bool {
    match pattern {
        NanPattern::Value(expected) => bits == expected.bits,
        NanPattern::CanonicalNan => bits == 0x7fc0_0000,
        NanPattern::ArithmeticNan => bits & 0x7fc0_0000 == 0x7fc0_0000,
    }
}

fn f64_is(bits: u64, pattern: &NanPattern<wast::token::F64>) -> bool {
    match pattern {
        NanPattern::Value(expected) => bits == expected.bits,
        NanPattern::CanonicalNan => bits == 0x7ff8 << 48,
        NanPattern::ArithmeticNan => bits & (0x7ff8 << 48) == 0x7ff8 << 48,
    }
}

/// A canonical NaN of either sign will do: the scripts expect one of `neg`, too.
fn v128_is(bits: u128, pattern: &V128Pattern) -> bool {
    let lane = |index: usize, width: usize| (bits >> (index * width)) as u64;
    let mut lanes = 0..;
    let mut next = |width| lane(lanes.next().unwrap(), width);
    match pattern {
        V128Pattern::I8x16(expected) => expected.iter().all(|e| next(8) as i8 == *e),
        V128Pattern::I16x8(expected) => expected.iter().all(|e| next(16) as i16 == *e),
        V128Pattern::I32x4(expected) => expected.iter().all(|e| next(32) as i32 == *e),
        V128Pattern::I64x2(expected) => expected.iter().all(|e| next(64) as i64 == *e),
        V128Pattern::F32x4(expected) => expected.iter().all(|e| {
            let bits = next(32) as u32;
            f32_is(bits, e) || f32_is(bits ^ 1 << 31, e) && !matches!(e, NanPattern::Value(_))
        }),
        V128Pattern::F64x2(expected) => expected.iter().all(|e| {
            let bits = next(64);
            f64_is(bits, e) || f64_is(bits ^ 1 << 63, e) && !matches!(e, NanPattern::Value(_))
        }),
    }
}

fn null(heap: &WastHeap<'_>) -> Val {
    match heap {
        WastHeap::Abstract { ty: Abstract::Func | Abstract::NoFunc, .. } => Val::FuncRef(None),
        WastHeap::Abstract { ty: Abstract::Extern | Abstract::NoExtern, .. } => Val::ExternRef(None),
        WastHeap::Abstract { ty: Abstract::Exn | Abstract::NoExn, .. } => Val::ExnRef(None),
        _ => Val::AnyRef(None),
    }
}

/// Bytes of a module; text that does not parse is not our matter.
fn bytes_of(quoted: &mut QuoteWat<'_>) -> Result<Vec<u8>, Failure> {
    match quoted.to_test().map_err(|_| Failure::Text)? {
        QuoteWatTest::Binary(bytes) => Ok(bytes),
        QuoteWatTest::Text(text) => {
            let text = String::from_utf8(text).map_err(|_| Failure::Text)?;
            let buffer = ParseBuffer::new(&text).map_err(|_| Failure::Text)?;
            let mut wat = parse::<Wat<'_>>(&buffer).map_err(|_| Failure::Text)?;
            wat.encode().map_err(|_| Failure::Text)
        }
    }
}

fn trap_is(code: TrapCode, message: &str) -> bool {
    let any = |prefixes: &[&str]| prefixes.iter().any(|prefix| message.starts_with(prefix));
    match code {
        TrapCode::Unreachable => any(&["unreachable"]),
        TrapCode::IntegerDivideByZero => any(&["integer divide by zero"]),
        TrapCode::IntegerOverflow => any(&["integer overflow"]),
        TrapCode::InvalidConversionToInteger => any(&["invalid conversion to integer"]),
        TrapCode::MemoryOutOfBounds => any(&["out of bounds memory access"]),
        TrapCode::TableOutOfBounds => any(&["out of bounds table access", "undefined element"]),
        TrapCode::UninitializedElement => any(&["uninitialized element"]),
        TrapCode::IndirectCallTypeMismatch => any(&["indirect call type mismatch"]),
        TrapCode::NullReference => message.starts_with("null") && message.ends_with("reference"),
        TrapCode::ArrayOutOfBounds => any(&["out of bounds array access"]),
        TrapCode::CastFailure => any(&["cast failure"]),
        _ => false,
    }
}

fn files(dir: &Path, into: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            files(&path, into);
        } else if name.ends_with(".wast") {
            into.push(path);
        }
    }
}

/// Passed, failed and text-only directives of a file.
fn run_file(path: &Path, engine: &Engine, failures: &mut Vec<String>) -> (u32, u32, u32) {
    let mut source = std::fs::read_to_string(path).unwrap();
    if path.components().any(|part| part.as_os_str() == "legacy") {
        source = legacy_text::flatten(&source);
    }
    let buffer = ParseBuffer::new_with_lexer({
        let mut lexer = wast::lexer::Lexer::new(&source);
        lexer.allow_confusing_unicode(true);
        lexer
    })
    .unwrap();
    let script = match parse::<Wast<'_>>(&buffer) {
        Ok(script) => script,
        Err(error) => {
            failures.push(format!("{}: {error}", path.display()));
            return (0, 1, 0);
        }
    };
    let mut runner = Runner::new(engine);
    let (mut passed, mut failed, mut text) = (0, 0, 0);
    for mut directive in script.directives {
        let (line, _) = directive.span().linecol_in(&source);
        match runner.directive(&mut directive) {
            Ok(()) => passed += 1,
            Err(Failure::Text) => text += 1,
            Err(Failure::Wrong(what)) => {
                failed += 1;
                failures.push(format!("{}:{}: {what:.300}", path.display(), line + 1));
            }
        }
    }
    (passed, failed, text)
}

fn run(name: &str, filter: &str, config: Config) {
    if std::env::var("SPEC_CONFIG").is_ok_and(|only| only != name) || !Path::new(SUITE).exists() {
        return;
    }
    let engine = Engine::new(config).unwrap();
    let mut paths = Vec::new();
    files(Path::new(SUITE), &mut paths);
    let narrow = std::env::var("SPEC_FILTER").unwrap_or_default();
    let mut failures = Vec::new();
    let mut total = (0, 0, 0);
    for path in paths {
        let shown = path.display().to_string();
        let off = shown.contains("/legacy/") && !engine.config().legacy_exceptions;
        if off || !shown.contains(filter) || !shown.contains(&narrow) {
            continue;
        }
        if std::env::var_os("SPEC_VERBOSE").is_some() {
            eprintln!("{shown}");
        }
        let counts = run_file(&path, &engine, &mut failures);
        total = (total.0 + counts.0, total.1 + counts.1, total.2 + counts.2);
    }
    eprintln!("{name}: {} passed, {} failed, {} text", total.0, total.1, total.2);
    for failure in failures.iter().take(300) {
        eprintln!("  {failure}");
    }
    assert!(failures.is_empty(), "{} failures", failures.len());
}

fn config(collector: &str, opt: OptLevel, regalloc: RegAlloc) -> Config {
    Config { collector: collector.to_owned(), opt, regalloc, verifier: false, ..Config::default() }
}

#[test]
fn null_none() {
    run("null_none", "", config("null", OptLevel::None, RegAlloc::SinglePass));
}

#[test]
fn copying_speed() {
    let fuel = true;
    run("copying_speed", "", Config { fuel, ..config("copying", OptLevel::Speed, RegAlloc::Backtracking) });
}

#[test]
#[cfg_attr(debug_assertions, ignore = "an unoptimised Cranelift takes a minute for each")]
fn other_configurations() {
    run("null_speed", "", config("null", OptLevel::Speed, RegAlloc::Backtracking));
    run("copying_none", "", config("copying", OptLevel::None, RegAlloc::SinglePass));
    run("copying_none_backtracking", "", config("copying", OptLevel::None, RegAlloc::Backtracking));
    let stress = Stress { every_alloc: true, poison: true, verify: true, ..Stress::default() };
    run("copying_stress", "", Config { stress, ..config("copying", OptLevel::Speed, RegAlloc::SinglePass) });
}

#[test]
fn gc_files_under_stress() {
    let stress = Stress { every_alloc: true, poison: true, verify: true, ..Stress::default() };
    for (opt, regalloc) in [
        (OptLevel::None, RegAlloc::SinglePass),
        (OptLevel::None, RegAlloc::Backtracking),
        (OptLevel::Speed, RegAlloc::SinglePass),
        (OptLevel::Speed, RegAlloc::Backtracking),
    ] {
        run("stress", "/gc/", Config { stress, verifier: true, ..config("copying", opt, regalloc) });
    }
}

/// With the two tests of everything above: each optimisation level with each register allocator, and each kind of
/// processor.
#[test]
fn vectors() {
    let cpu = Cpu::Sse41;
    run("vectors_none", "simd/", Config { cpu, ..config("copying", OptLevel::None, RegAlloc::Backtracking) });
    let cpu = Cpu::Avx2;
    run("vectors_speed", "simd/", Config { cpu, ..config("null", OptLevel::Speed, RegAlloc::SinglePass) });
}

#[test]
#[cfg_attr(debug_assertions, ignore = "an unoptimised Cranelift takes a quarter of a minute for each")]
fn vectors_in_other_configurations() {
    for (collector, opt, regalloc) in [
        ("null", OptLevel::None, RegAlloc::Backtracking),
        ("null", OptLevel::Speed, RegAlloc::Backtracking),
        ("copying", OptLevel::None, RegAlloc::SinglePass),
        ("copying", OptLevel::Speed, RegAlloc::SinglePass),
    ] {
        run("vectors", "simd/", config(collector, opt, regalloc));
    }
}

/// Exceptions in every configuration, the legacy instructions too.
#[test]
fn exceptions() {
    let stress = Stress { every_alloc: true, poison: true, verify: true, ..Stress::default() };
    for collector in ["null", "copying"] {
        for opt in [OptLevel::None, OptLevel::Speed] {
            for regalloc in [RegAlloc::SinglePass, RegAlloc::Backtracking] {
                let plain =
                    Config { legacy_exceptions: true, verifier: true, ..config(collector, opt, regalloc) };
                for filter in
                    ["/exceptions", "/core/imports.wast", "/core/instance.wast", "/core/ref_null.wast"]
                {
                    run("exceptions", filter, plain.clone());
                    run("exceptions", filter, Config { stress, ..plain.clone() });
                }
            }
        }
    }
}

/// What Cranelift chooses for older processors.
#[test]
#[cfg_attr(debug_assertions, ignore = "an unoptimised Cranelift takes a quarter of a minute for each")]
fn older_processors() {
    for cpu in [Cpu::Sse41, Cpu::Avx2] {
        for opt in [OptLevel::None, OptLevel::Speed] {
            // What depends on the processor: vectors, rounding and bit counting.
            for filter in ["simd/", "/core/f", "/core/i"] {
                run("older", filter, Config { cpu, ..config("copying", opt, RegAlloc::SinglePass) });
            }
        }
    }
}
