//! A peer that is no engine of anyone's: an adapter over the reference interpreter, and its misbehaviours.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::time::Duration;

use assay_harness::peer::protocol::{Exhausted, Number, NumberType, Numbered, Refused, Reply, Request, Trap};
use assay_interp::{
    Config, ErrorKind, Extern, Features, InstanceAddr, Module, Resource, Store, TrapKind, Value,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// What the peer does instead of its work, once it is asked to call something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Honest,
    Aborts,
    Exits,
    ExitsQuietly,
    Hangs,
    WrongValue,
    WrongType,
    TwoValues,
    NoNumber,
    Garbage,
    TalksTwice,
    DiesLater,
    StopsReading,
    NotUtf8,
    EndlessLine,
    Empty,
    AdmitsAFault,
    RefusesModules,
    TrapsOften,
    TrapsSomehow,
    RunsOutOfHeap,
    Leaks,
    WrongWhenHot,
    WrongWhenCold,
    AbortsWhenHot,
    RunsOutWhenHot,
    WrongAfterOthers,
    TrapsInNewWords,
    Shouts,
    OldVersion,
    UnknownFeature,
    ClaimsWhatItLacks,
}

pub(crate) const MODES: &[(&str, Mode)] = &[
    ("honest", Mode::Honest),
    ("aborts", Mode::Aborts),
    ("exits", Mode::Exits),
    ("exits-quietly", Mode::ExitsQuietly),
    ("hangs", Mode::Hangs),
    ("wrong-value", Mode::WrongValue),
    ("wrong-type", Mode::WrongType),
    ("two-values", Mode::TwoValues),
    ("no-number", Mode::NoNumber),
    ("garbage", Mode::Garbage),
    ("talks-twice", Mode::TalksTwice),
    ("dies-later", Mode::DiesLater),
    ("stops-reading", Mode::StopsReading),
    ("not-utf8", Mode::NotUtf8),
    ("endless-line", Mode::EndlessLine),
    ("empty", Mode::Empty),
    ("admits-a-fault", Mode::AdmitsAFault),
    ("refuses-modules", Mode::RefusesModules),
    ("traps-often", Mode::TrapsOften),
    ("traps-somehow", Mode::TrapsSomehow),
    ("runs-out-of-heap", Mode::RunsOutOfHeap),
    ("leaks", Mode::Leaks),
    ("wrong-when-hot", Mode::WrongWhenHot),
    ("wrong-when-cold", Mode::WrongWhenCold),
    ("aborts-when-hot", Mode::AbortsWhenHot),
    ("runs-out-when-hot", Mode::RunsOutWhenHot),
    ("wrong-after-others", Mode::WrongAfterOthers),
    ("traps-in-new-words", Mode::TrapsInNewWords),
    ("shouts", Mode::Shouts),
    ("old-version", Mode::OldVersion),
    ("unknown-feature", Mode::UnknownFeature),
    ("claims-what-it-lacks", Mode::ClaimsWhatItLacks),
];

/// The name of the function that a peer misbehaves at: features are proven with others.
pub(crate) const TRIGGER: &str = "trigger";

/// Calls of a trigger before it is hot.
const HOT: u32 = 10;

/// Cases that a process has room for, those that prove features included.
const MANY: u32 = 50;

struct Peer {
    store: Store,
    modules: HashMap<usize, Module>,
    instances: HashMap<usize, InstanceAddr>,
    /// Whether it dies before the next case.
    doomed: bool,
    /// Calls of the trigger in this case.
    heat: u32,
    /// Cases of this process.
    cases: u32,
    /// Of the request at hand.
    id: u64,
}

/// Serves until standard input ends.
pub(crate) fn serve(mode: Mode) {
    let mut peer = Peer {
        store: store(),
        modules: HashMap::new(),
        instances: HashMap::new(),
        doomed: false,
        heat: 0,
        cases: 0,
        id: 0,
    };
    let mut input = std::io::stdin().lock();
    loop {
        let head = input.fill_buf().unwrap();
        if mode == Mode::StopsReading && head.len() > 4000 {
            std::thread::sleep(Duration::from_secs(100));
        }
        let mut line = String::new();
        if input.read_line(&mut line).unwrap() == 0 {
            return;
        }
        let reply = match serde_json::from_str::<Numbered>(&line) {
            Ok(Numbered { id, request }) => {
                peer.id = id;
                Reply { id: Some(id), ..peer.answer(mode, request) }
            }
            Err(error) => Reply { error: Some(error.to_string()), ..Reply::default() },
        };
        say(&serde_json::to_string(&reply).unwrap());
    }
}

fn store() -> Store {
    let mut store = Store::new(Config::default());
    store.set_fuel(Some(50_000_000));
    store
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()).unwrap();
}

fn ok() -> Reply {
    Reply { ok: Some(true), ..Reply::default() }
}

impl Peer {
    fn answer(&mut self, mode: Mode, request: Request) -> Reply {
        match request {
            Request::Hello { .. } => {
                let mut names = vec![
                    "gc",
                    "simd",
                    "relaxed-simd",
                    "tail-calls",
                    "memory64",
                    "multi-memory",
                    "exceptions",
                ];
                if mode == Mode::Leaks {
                    names.push("liveness");
                }
                if mode == Mode::UnknownFeature {
                    names.push("telepathy");
                }
                Reply {
                    version: Some(if mode == Mode::OldVersion { 0 } else { 1 }),
                    engine: Some("fake 1.0".into()),
                    features: Some(names.into_iter().map(str::to_owned).collect()),
                    ..Reply::default()
                }
            }
            Request::Case if self.doomed => std::process::abort(),
            Request::Case => {
                self.store = store();
                self.heat = 0;
                self.cases += 1;
                self.modules.clear();
                self.instances.clear();
                ok()
            }
            Request::Compile { module, bytes } => {
                let bytes = BASE64.decode(bytes).unwrap();
                if self.modules.contains_key(&module) {
                    return Reply { error: Some("compiled twice".into()), ..Reply::default() };
                }
                let has_trigger = bytes.windows(TRIGGER.len()).any(|window| window == TRIGGER.as_bytes());
                if mode == Mode::RefusesModules && has_trigger {
                    return refused(Refused::Invalid, "I do not like it");
                }
                let tags = |payload| matches!(payload, Ok(wasmparser::Payload::TagSection(_)));
                if mode == Mode::ClaimsWhatItLacks && wasmparser::Parser::new(0).parse_all(&bytes).any(tags) {
                    return refused(Refused::Invalid, "no such section");
                }
                match Module::new(&bytes, &Features::default()) {
                    Ok(compiled) => {
                        self.modules.insert(module, compiled);
                        ok()
                    }
                    Err(error) => {
                        let malformed = error.kind() == ErrorKind::Malformed;
                        refused(
                            if malformed { Refused::Malformed } else { Refused::Invalid },
                            &error.to_string(),
                        )
                    }
                }
            }
            Request::Instantiate { module, instance, imports } => {
                self.instantiate(module, instance, &imports)
            }
            Request::Invoke { instance, field, args, .. } if field.contains(TRIGGER) => {
                self.misbehave(mode, instance, &field, &args)
            }
            Request::Invoke { instance, field, args, .. } => {
                let mut reply = self.invoke(instance, &field, &args);
                if mode == Mode::WrongAfterOthers && self.cases > MANY {
                    reply.values.iter_mut().flatten().for_each(|value| value.1 = "12345".into());
                }
                reply
            }
            Request::State { instance, globals } => {
                let value = |(name, _): &(String, NumberType)| match self.export(instance, name) {
                    Some(Extern::Global(global)) => number(self.store.global_get(global).unwrap()),
                    other => panic!("{other:?}"),
                };
                Reply { globals: globals.iter().map(value).collect(), ..Reply::default() }
            }
            Request::Gc => {
                let live = self.store.collect(&[]).objects;
                Reply { live: (mode == Mode::Leaks).then_some(live + 3), ..ok() }
            }
        }
    }

    fn misbehave(&mut self, mode: Mode, instance: usize, field: &str, args: &[Number]) -> Reply {
        let honest = self.invoke(instance, field, args);
        let changed = |change: fn(&mut Vec<Number>)| {
            let mut reply = honest.clone();
            reply.values.iter_mut().for_each(change);
            reply
        };
        match mode {
            Mode::Honest | Mode::Leaks | Mode::RefusesModules => honest,
            Mode::Aborts => {
                eprintln!("about to abort\n  at frame_of_the_peer");
                std::process::abort()
            }
            Mode::Exits => {
                eprintln!("cannot go on");
                std::process::exit(7)
            }
            Mode::ExitsQuietly => std::process::exit(0),
            Mode::Hangs => loop {
                std::thread::sleep(Duration::from_secs(1));
            },
            Mode::WrongValue => changed(|values| values[0].1 = "12345".into()),
            Mode::WrongWhenHot | Mode::WrongWhenCold | Mode::AbortsWhenHot | Mode::RunsOutWhenHot => {
                self.heat += 1;
                match (mode, self.heat > HOT) {
                    (Mode::WrongWhenHot, true) | (Mode::WrongWhenCold, false) => {
                        changed(|values| values[0].1 = "12345".into())
                    }
                    (Mode::AbortsWhenHot, true) => std::process::abort(),
                    (Mode::RunsOutWhenHot, true) => {
                        Reply { exhausted: Some(Exhausted::GcHeap), ..Reply::default() }
                    }
                    _ => honest,
                }
            }
            Mode::WrongType => changed(|values| values[0].0 = NumberType::F64),
            Mode::TwoValues => changed(|values| values.push(values[0].clone())),
            Mode::NoNumber => changed(|values| values[0].1 = "seven".into()),
            Mode::Garbage => {
                say("Segmentation fault, or so");
                honest
            }
            Mode::TalksTwice => {
                let first = Reply { id: Some(self.id), ..honest.clone() };
                say(&serde_json::to_string(&first).unwrap());
                honest
            }
            Mode::DiesLater => {
                self.doomed = true;
                honest
            }
            Mode::StopsReading => honest,
            Mode::NotUtf8 => {
                std::io::stdout().write_all(b"\xff\xfe\n").unwrap();
                honest
            }
            Mode::EndlessLine => {
                let chunk = vec![b'x'; 1 << 20];
                while std::io::stdout().write_all(&chunk).is_ok() {}
                std::process::exit(0)
            }
            Mode::Empty => Reply::default(),
            Mode::AdmitsAFault => Reply { error: Some("division by cucumber".into()), ..Reply::default() },
            Mode::TrapsOften => Reply { trap: Some(vec![Trap::Unreachable]), ..Reply::default() },
            Mode::TrapsSomehow => {
                let trap = Some(vec![Trap::CastFailure, Trap::IntegerDivideByZero]);
                Reply { trap, text: Some("some trap".into()), ..Reply::default() }
            }
            Mode::TrapsInNewWords => {
                self.heat += 1;
                let trap = Some(vec![Trap::CastFailure, Trap::IntegerDivideByZero]);
                Reply { trap, text: Some(format!("trap number {}", self.heat)), ..Reply::default() }
            }
            Mode::RunsOutOfHeap => Reply { exhausted: Some(Exhausted::GcHeap), ..Reply::default() },
            Mode::Shouts => {
                eprintln!("{}", "noise ".repeat(500_000));
                honest
            }
            Mode::OldVersion | Mode::UnknownFeature | Mode::ClaimsWhatItLacks | Mode::WrongAfterOthers => {
                honest
            }
        }
    }

    fn instantiate(&mut self, module: usize, instance: usize, imports: &[(String, usize)]) -> Reply {
        let Some(module) = self.modules.get(&module) else { return missing("module") };
        let mut externs = Vec::new();
        for import in module.imports() {
            let from = imports.iter().find(|(name, _)| *name == import.module);
            let from = from.and_then(|(_, instance)| self.instances.get(instance));
            let Some(found) = from.and_then(|from| self.store.export(*from, &import.name)) else {
                return refused(Refused::Unlinkable, "unknown import");
            };
            externs.push(found);
        }
        match self.store.instantiate(module, &externs) {
            Ok(made) => {
                self.instances.insert(instance, made);
                ok()
            }
            Err(error) => end(&error),
        }
    }

    fn export(&self, instance: usize, name: &str) -> Option<Extern> {
        self.store.export(*self.instances.get(&instance)?, name)
    }

    fn invoke(&mut self, instance: usize, field: &str, args: &[Number]) -> Reply {
        let Some(Extern::Func(func)) = self.export(instance, field) else { return missing(field) };
        let args: Vec<Value> = args
            .iter()
            .map(|Number(ty, digits)| match ty {
                NumberType::I32 => Value::I32(digits.parse().unwrap()),
                NumberType::I64 => Value::I64(digits.parse().unwrap()),
                NumberType::F32 => Value::F32(digits.parse().unwrap()),
                NumberType::F64 => Value::F64(digits.parse().unwrap()),
            })
            .collect();
        match self.store.invoke(func, &args) {
            Ok(values) => Reply { values: values.into_iter().map(number).collect(), ..Reply::default() },
            Err(error) => end(&error),
        }
    }
}

fn number(value: Value) -> Option<Number> {
    match value {
        Value::I32(n) => Some(Number(NumberType::I32, n.to_string())),
        Value::I64(n) => Some(Number(NumberType::I64, n.to_string())),
        Value::F32(bits) => Some(Number(NumberType::F32, bits.to_string())),
        Value::F64(bits) => Some(Number(NumberType::F64, bits.to_string())),
        Value::V128(_) | Value::Ref(_) => None,
    }
}

fn refused(stage: Refused, text: &str) -> Reply {
    Reply { refused: Some(stage), text: Some(text.to_owned()), ..Reply::default() }
}

fn missing(what: &str) -> Reply {
    Reply { missing: Some(what.to_owned()), ..Reply::default() }
}

fn end(error: &assay_interp::Error) -> Reply {
    let trap = |kind| Reply { trap: Some(vec![kind]), ..Reply::default() };
    match error.kind() {
        ErrorKind::Malformed => refused(Refused::Malformed, &error.to_string()),
        ErrorKind::Invalid => refused(Refused::Invalid, &error.to_string()),
        ErrorKind::Link => refused(Refused::Unlinkable, &error.to_string()),
        ErrorKind::Exception => Reply { thrown: Some(true), ..Reply::default() },
        ErrorKind::Trap(kind) => trap(match kind {
            TrapKind::Unreachable => Trap::Unreachable,
            TrapKind::IntegerDivideByZero => Trap::IntegerDivideByZero,
            TrapKind::IntegerOverflow => Trap::IntegerOverflow,
            TrapKind::InvalidConversionToInteger => Trap::InvalidConversionToInteger,
            TrapKind::MemoryOutOfBounds => Trap::MemoryOutOfBounds,
            TrapKind::TableOutOfBounds => Trap::TableOutOfBounds,
            TrapKind::UninitializedElement => Trap::UninitializedElement,
            TrapKind::IndirectCallTypeMismatch => Trap::IndirectCallTypeMismatch,
            TrapKind::NullReference => Trap::NullReference,
            TrapKind::ArrayOutOfBounds => Trap::ArrayOutOfBounds,
            TrapKind::CastFailure => Trap::CastFailure,
            TrapKind::AllocationTooLarge => Trap::AllocationTooLarge,
        }),
        ErrorKind::Exhausted(resource) => Reply {
            exhausted: Some(match resource {
                Resource::CallStack => Exhausted::CallStack,
                Resource::Fuel => Exhausted::Fuel,
                Resource::GcHeap => Exhausted::GcHeap,
                Resource::Memory => Exhausted::Memory,
            }),
            ..Reply::default()
        },
        other => Reply { error: Some(format!("{other:?}: {error}")), ..Reply::default() },
    }
}
