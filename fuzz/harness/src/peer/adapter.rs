//! A subject behind an adapter: a program that speaks the protocol of `fuzz/adapters/protocol.md`.
//!
//! It runs plain cases: modules that import nothing of the harness, calls with numbers, no observed state. What is not plain
//! is `Unsupported`; [`selfcheck`](crate::selfcheck) makes plain cases of all others.

use std::collections::HashMap;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::exports::Exports;
use super::protocol::{Number, NumberType, Numbered, Reply, Request, VERSION, features};
use super::{PeerError, PeerSettings, Presets, Profile};
use crate::case::{Action, Source};
use crate::compare::ends_alike;
use crate::observe::{Outcome, RejectStage};
use crate::process::{Death, LineProcess, WorkerCommand};
use crate::subject::{Features, Subject};
use crate::{Case, HeapGraph, Observation};

/// An engine behind an adapter.
#[derive(Debug)]
pub struct AdapterSubject {
    name: String,
    command: WorkerCommand,
    settings: PeerSettings,
    profile: Profile,
    features: Features,
    engine: String,
    process: Option<LineProcess>,
    /// Requests so far.
    asked: u64,
    /// Rounds of a case behind the first.
    warm_up: u32,
    /// Where the adapter's own program stands, if it came with us.
    _folder: Option<tempfile::TempDir>,
}

impl AdapterSubject {
    /// Starts the adapter and asks what it is. `folder` is kept as long as the subject.
    ///
    /// # Errors
    /// How the adapter failed.
    pub fn new(
        name: &str,
        command: WorkerCommand,
        folder: Option<tempfile::TempDir>,
        presets: &Presets,
        settings: &PeerSettings,
    ) -> Result<Self, PeerError> {
        let mut subject = AdapterSubject {
            name: name.to_owned(),
            command: settings.limited(&command),
            settings: settings.clone(),
            profile: Profile::default(),
            features: Features::default(),
            engine: String::new(),
            process: None,
            asked: 0,
            warm_up: 0,
            _folder: folder,
        };
        subject.start()?;
        subject.profile = presets.profile(&subject.engine);
        Ok(subject)
    }

    /// What it was found to have beside what it claims. From here on cases run in rounds, if they are to: no small program needs that.
    pub(super) fn has(&mut self, found: Features) {
        let Features { collects, graphs, liveness, .. } = self.features;
        self.features = Features { collects, graphs, liveness, ..found };
        self.warm_up = self.settings.warm_up;
    }

    /// Starts the process; the first time it tells its features.
    fn start(&mut self) -> Result<(), PeerError> {
        let process = LineProcess::start(&self.command).map_err(PeerError::Death)?;
        let hello = self.line(&Request::Hello { version: VERSION });
        let (process, reply) = process.ask(&hello, self.settings.start).map_err(PeerError::Death)?;
        let reply: Reply =
            serde_json::from_str(&reply).map_err(|error| PeerError::Hello(format!("{error}: {reply}")))?;
        let (Some(VERSION), Some(engine), Some(names)) = (reply.version, reply.engine, reply.features) else {
            return Err(PeerError::Hello(format!("it does not speak version {VERSION} of the protocol")));
        };
        let features = features(&names).map_err(|name| PeerError::Hello(format!("no feature {name:?}")))?;
        if self.engine.is_empty() {
            (self.features, self.engine) = (features, engine);
        }
        self.process = Some(process);
        Ok(())
    }

    /// The next request, under its number.
    fn line(&mut self, request: &Request) -> Vec<u8> {
        self.asked += 1;
        // Strings and numbers always have a form in JSON.
        ascii(
            &serde_json::to_string(&Numbered { id: self.asked, request: request.clone() })
                .unwrap_or_default(),
        )
    }

    /// One question. A process that died is started again for the next.
    fn ask(&mut self, request: &Request) -> Result<Reply, Outcome> {
        if self.process.is_none() {
            self.start().map_err(|error| Outcome::Crashed(error.to_string()))?;
        }
        let Some(process) = self.process.take() else {
            return Err(Outcome::Crashed("not started".into()));
        };
        let crashed = |death: Death| Outcome::Crashed(death.to_string());
        let line = self.line(request);
        let (process, reply) = process.ask(&line, self.settings.call).map_err(crashed)?;
        match serde_json::from_str::<Reply>(&reply) {
            // What cannot be read as a request has no number to answer under.
            Ok(reply) if reply.id == Some(self.asked) || reply.error.is_some() => {
                self.process = Some(process);
                Ok(reply)
            }
            Ok(_) => {
                let shown: String = reply.chars().take(200).collect();
                Err(crashed(process.garbled(&format!("wrote a reply that nobody asked for: {shown}"))))
            }
            Err(error) => {
                let shown: String = reply.chars().take(200).collect();
                Err(crashed(process.garbled(&format!("wrote no reply ({error}): {shown}"))))
            }
        }
    }

    /// A request that succeeds with `ok`, or ends otherwise.
    fn done(&mut self, request: &Request) -> Result<Reply, Outcome> {
        let reply = self.ask(request)?;
        match reply.end() {
            Some(end) => Err(end),
            None if reply.ok == Some(true) => Ok(reply),
            None => Err(off_protocol(request, &reply)),
        }
    }
}

impl Subject for AdapterSubject {
    fn name(&self) -> &str {
        &self.name
    }

    fn supports(&self) -> Features {
        self.features
    }

    fn plain_cases_only(&self) -> bool {
        true
    }

    fn engine(&self) -> Option<&str> {
        Some(&self.engine)
    }

    fn keeps_its_engine(&self) -> bool {
        true
    }

    fn observe_afresh(&mut self, case: &Case) -> Observation {
        self.process = None;
        self.observe(case)
    }

    fn observe(&mut self, case: &Case) -> Observation {
        let mut seen = Observation { permits: self.profile.permits(), ..Observation::default() };
        let rounds = self.warm_up + 1;
        let mut script = Script::new(self);
        // A process that died since the last case is no fault of this one.
        let fresh =
            script.subject.done(&Request::Case).or_else(|_| script.subject.done(&Request::Case)).err();
        let end = fresh.or_else(|| {
            let steps = case.schedule.observe_state || case.first_fiber() < case.steps.len();
            steps.then(|| Outcome::Unsupported("observed state and fibers".into()))
        });
        let mut crashed = false;
        if let Some(end) = &end {
            seen.outcomes = vec![end.clone(); case.steps.len()];
        } else {
            let start = Instant::now();
            for round in 0..rounds {
                // A limit for one call is enough for them all; each step has its own besides.
                if round > 0 && start.elapsed() > script.subject.settings.call {
                    break;
                }
                let outcomes = script.round(case);
                crashed = outcomes.iter().any(|outcome| matches!(outcome, Outcome::Crashed(_)));
                if round == 0 || crashed {
                    seen.outcomes = outcomes;
                } else if let Some(step) = differing(&seen.outcomes, &outcomes) {
                    let (before, after) = (&seen.outcomes[step], &outcomes[step]);
                    let ran_out = |outcome: &Outcome| matches!(outcome, Outcome::Exhausted(_));
                    // What earlier rounds have left behind may fill its heap: no fault of an engine.
                    if !ran_out(before) && !ran_out(after) {
                        let text = format!(
                            "round {round} ended otherwise than the first: {after:?} against {before:?}"
                        );
                        seen.outcomes[step] = Outcome::Refuted(text);
                        let behind = Outcome::Unsupported("behind a step that ended in two ways".into());
                        seen.outcomes[step + 1..].fill(behind);
                    }
                    break;
                }
                if crashed {
                    break;
                }
            }
        }
        if end.is_none() && !crashed {
            // What an engine finds wrong with its heap when it is collected or dropped belongs to this case.
            let live = script.subject.done(&Request::Gc);
            let dropped = script.subject.done(&Request::Case);
            if let Ok(reply) = &live {
                // Earlier rounds' instances may live on with what they hold.
                seen.live_objects = reply.live.filter(|_| script.subject.features.liveness && rounds == 1);
            }
            for after in [live, dropped] {
                if let (Err(Outcome::Crashed(how)), Some(last)) = (after, seen.outcomes.last_mut()) {
                    *last = Outcome::Crashed(format!("after the case: {how}"));
                    break;
                }
            }
        }
        seen.known = script.subject.profile.known(&seen.outcomes);
        seen
    }
}

/// The first step that two rounds end differently.
fn differing(before: &[Outcome], after: &[Outcome]) -> Option<usize> {
    before.iter().zip(after).position(|(before, after)| !ends_alike(before, after))
}

/// JSON with everything beyond ASCII, which stands in strings only, escaped: some shells read lines as Latin-1.
fn ascii(json: &str) -> Vec<u8> {
    let mut line = Vec::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            line.push(c as u8);
        } else {
            c.encode_utf16(&mut [0; 2])
                .iter()
                .for_each(|unit| line.extend(format!("\\u{unit:04x}").into_bytes()));
        }
    }
    line
}

/// A case under way.
struct Script<'s> {
    subject: &'s mut AdapterSubject,
    /// By number, what the engine made of them too; they stay from round to round.
    modules: Vec<(Exports, Option<Outcome>)>,
    /// How many of them this round has come to.
    compiled: usize,
    /// The module of each.
    instances: Vec<usize>,
    named: HashMap<String, usize>,
    definitions: Vec<(Option<String>, usize)>,
    registered: HashMap<String, usize>,
    current: Option<usize>,
}

impl<'s> Script<'s> {
    fn new(subject: &'s mut AdapterSubject) -> Script<'s> {
        Script {
            subject,
            modules: Vec::new(),
            compiled: 0,
            instances: Vec::new(),
            named: HashMap::new(),
            definitions: Vec::new(),
            registered: HashMap::new(),
            current: None,
        }
    }

    /// All steps, over instances of their own; nothing after a crash.
    fn round(&mut self, case: &Case) -> Vec<Outcome> {
        self.compiled = 0;
        self.instances.clear();
        self.named.clear();
        self.definitions.clear();
        self.registered.clear();
        self.current = None;
        let mut outcomes = Vec::with_capacity(case.steps.len());
        for step in &case.steps {
            let (Ok(outcome) | Err(outcome)) = self.step(&step.action);
            let crashed = matches!(outcome, Outcome::Crashed(_));
            outcomes.push(outcome);
            if crashed {
                let rest = Outcome::Crashed("not run: crashed in an earlier step".into());
                outcomes.resize(case.steps.len(), rest);
                break;
            }
        }
        outcomes
    }

    fn step(&mut self, action: &Action) -> Result<Outcome, Outcome> {
        match action {
            Action::Module { name, source } => {
                let module = self.compile(source)?;
                let instance = self.instantiate(module)?;
                self.made(name.as_deref(), instance);
            }
            Action::Define { name, source } => {
                let module = self.compile(source)?;
                self.definitions.push((name.clone(), module));
            }
            Action::Instantiate { name, definition } => {
                let known =
                    |(known, _): &&(Option<String>, usize)| definition.is_none() || known == definition;
                let module = self.definitions.iter().rev().find(known).map(|(_, module)| *module);
                let module = module.ok_or_else(|| Outcome::BadStep("no such definition".into()))?;
                let instance = self.instantiate(module)?;
                self.made(name.as_deref(), instance);
            }
            Action::Check { source } => {
                self.compile(source)?;
            }
            Action::Link { source } => {
                let module = self.compile(source)?;
                self.instantiate(module)?;
            }
            Action::Register { as_name, module } => {
                let instance = self.instance(module.as_deref())?;
                self.registered.insert(as_name.clone(), instance);
            }
            Action::Invoke { module, field, args } => {
                let instance = self.instance(module.as_deref())?;
                return self.invoke(instance, field, args);
            }
            Action::Get { module, field } => {
                let instance = self.instance(module.as_deref())?;
                return self.get(instance, field);
            }
            Action::Collect => {
                self.subject.done(&Request::Gc)?;
            }
        }
        Ok(Outcome::Done)
    }

    fn compile(&mut self, source: &Source) -> Result<usize, Outcome> {
        let bytes = match source {
            Source::Binary(bytes) => bytes,
            Source::RejectedText(_) => {
                return Err(Outcome::Rejected(RejectStage::Malformed, "text".into()));
            }
        };
        let module = self.compiled;
        self.compiled += 1;
        if module == self.modules.len() {
            let refused = self.subject.done(&Request::Compile { module, bytes: BASE64.encode(bytes) }).err();
            // What cannot be read has no exports; the engine refuses it, or its calls find nothing.
            self.modules.push((Exports::read(bytes).unwrap_or_default(), refused));
        }
        self.modules[module].1.clone().map_or(Ok(module), Err)
    }

    fn instantiate(&mut self, module: usize) -> Result<usize, Outcome> {
        let instance = self.instances.len();
        let wanted = &self.modules[module].0.imports;
        if let Some(host) =
            wanted.iter().find(|name| !self.registered.contains_key(*name) && super::is_host(name))
        {
            return Err(Outcome::Unsupported(format!("imports of {host}")));
        }
        let mut imports: Vec<(String, usize)> =
            wanted.iter().filter_map(|name| Some((name.clone(), *self.registered.get(name)?))).collect();
        imports.sort();
        self.instances.push(module);
        self.subject.done(&Request::Instantiate { module, instance, imports })?;
        Ok(instance)
    }

    fn made(&mut self, name: Option<&str>, instance: usize) {
        if let Some(name) = name {
            self.named.insert(name.to_owned(), instance);
        }
        self.current = Some(instance);
    }

    fn instance(&self, name: Option<&str>) -> Result<usize, Outcome> {
        let found = match name {
            Some(name) => self.named.get(name).copied(),
            None => self.current,
        };
        found.ok_or_else(|| Outcome::BadStep("no such instance".into()))
    }

    fn invoke(&mut self, instance: usize, field: &str, args: &[crate::Value]) -> Result<Outcome, Outcome> {
        let (exports, _) = &self.modules[self.instances[instance]];
        let (params, results) =
            exports.functions.get(field).ok_or_else(|| Outcome::BadStep("no such function".into()))?;
        let numbers = |types: &[wasmparser::ValType]| -> Option<Vec<NumberType>> {
            types.iter().map(|ty| NumberType::of(*ty)).collect()
        };
        let plain = numbers(params)
            .zip(numbers(results))
            .zip(args.iter().map(|arg| Number::of(*arg)).collect::<Option<Vec<_>>>());
        let Some(((params, results), args)) = plain else {
            return Err(Outcome::Unsupported("arguments or results that are no numbers".into()));
        };
        if !args.iter().map(|arg| arg.0).eq(params) {
            return Err(Outcome::BadStep("wrong arguments".into()));
        }
        let request = Request::Invoke { instance, field: field.to_owned(), args, results: results.clone() };
        let reply = self.subject.ask(&request)?;
        returned(&request, &reply, reply.values.as_deref(), &results)
    }

    fn get(&mut self, instance: usize, field: &str) -> Result<Outcome, Outcome> {
        let (exports, _) = &self.modules[self.instances[instance]];
        let ty = exports.globals.get(field).ok_or_else(|| Outcome::BadStep("no such global".into()))?;
        let Some(ty) = NumberType::of(*ty) else {
            return Err(Outcome::Unsupported("a global that is no number".into()));
        };
        let request = Request::State { instance, globals: vec![(field.to_owned(), ty)] };
        let reply = self.subject.ask(&request)?;
        returned(&request, &reply, reply.globals.as_deref(), &[ty])
    }
}

fn returned(
    request: &Request,
    reply: &Reply,
    numbers: Option<&[Number]>,
    types: &[NumberType],
) -> Result<Outcome, Outcome> {
    if let Some(end) = reply.end() {
        return Err(end);
    }
    let numbers = numbers.ok_or_else(|| off_protocol(request, reply))?;
    // Another number or other types of results are the engine's fault as much as a wrong value.
    let values: Result<Vec<_>, _> = numbers.iter().map(Number::value).collect();
    match values {
        Ok(values) if numbers.iter().map(|number| number.0).eq(types.iter().copied()) => {
            Ok(Outcome::Returned { values, graph: HeapGraph::default() })
        }
        Ok(_) | Err(_) => Err(off_protocol(request, reply)),
    }
}

fn off_protocol(request: &Request, reply: &Reply) -> Outcome {
    // The first line tells crashes apart: what was asked for, without the module or the values.
    let whole = format!("{request:?}");
    let asked = whole.split([' ', '{', '(']).next().unwrap_or_default();
    Outcome::Crashed(format!("the reply does not fit the request, {asked}\n{whole}: {reply:?}"))
}

#[cfg(test)]
mod tests {
    use super::ascii;

    #[test]
    fn what_is_escaped_reads_back() {
        let text = "plain \" \\ \u{1} Å ŊX2 \u{1f600}";
        let line = ascii(&serde_json::to_string(text).unwrap());
        assert!(line.is_ascii());
        assert_eq!(serde_json::from_slice::<String>(&line).unwrap(), text);
    }
}
