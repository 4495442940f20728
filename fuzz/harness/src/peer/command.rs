//! A subject that runs `.wast` scripts: any program that takes a file and exits with 0 if all assertions hold.
//!
//! It sees the values that the interpreter finds, as assertions, and what it shows is whether it agrees: where it does, the
//! outcomes are the interpreter's. A step that fails is found by the line in the program's message, else all
//! that is known is that one of them did. A signal and silence are crashes. Several cases are one script as long as all goes well: `batch`.

mod batch;

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::words;
use super::{PeerError, PeerSettings, Profile};
use crate::case::{Action, Case, Expect, Pattern, Schedule, Step};
use crate::observe::{Observation, Outcome, Permit, RejectStage, Resource, TrapKind, Value};
use crate::process::{Death, WorkerCommand, signal_name};
use crate::subject::{Batch, Features, InterpSubject, Subject};

/// Stands for the script's file in a command.
const PLACE: &str = "{}";

/// Fuel of each call on the interpreter: a program has no limit of its own but time.
const FUEL: u64 = 20_000_000;

/// Bytes of a program's output that are kept.
const KEEP: u64 = 64 << 10;

/// A program that runs scripts.
#[derive(Debug)]
pub struct CommandSubject {
    name: String,
    command: WorkerCommand,
    settings: PeerSettings,
    profile: Profile,
    features: Features,
    folder: tempfile::TempDir,
    /// Says what to expect.
    reference: InterpSubject,
}

/// A case as the program gets it.
struct Asked {
    /// The steps that it runs, the case's first ones, with assertions.
    script: Case,
    /// Of each of the case's steps, if all assertions hold.
    outcomes: Vec<Outcome>,
    /// Whether it is run at all.
    runs: bool,
}

/// How a run ended.
enum Run {
    Passed,
    Failed(String),
    Died(Death),
    /// The system's fault.
    Impossible(String),
}

impl CommandSubject {
    /// A program; `{}` in its arguments stands for the script, at the end if there is none. Its features are found out by running it.
    ///
    /// # Errors
    /// `Folder`.
    pub fn new(
        name: &str,
        mut command: WorkerCommand,
        profile: Profile,
        settings: &PeerSettings,
    ) -> Result<Self, PeerError> {
        if !command.args.iter().any(|arg| arg.contains(PLACE)) {
            command.args.push(PLACE.to_owned());
        }
        Ok(CommandSubject {
            name: name.to_owned(),
            command: settings.limited(&command),
            settings: settings.clone(),
            profile,
            features: Features::default(),
            folder: tempfile::tempdir().map_err(PeerError::Folder)?,
            reference: InterpSubject::default(),
        })
    }

    /// What it was found to have.
    pub(super) fn has(&mut self, features: Features) {
        self.features = features;
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("case.wast")
    }

    /// Whether it passes a script as it stands.
    ///
    /// # Errors
    /// When it does not run.
    pub(super) fn passes(&self, text: &str) -> Result<bool, String> {
        match self.run(text, self.settings.call) {
            Run::Passed => Ok(true),
            Run::Failed(_) => Ok(false),
            Run::Died(death) => Err(death.to_string()),
            Run::Impossible(why) => Err(why),
        }
    }

    fn run(&self, text: &str, limit: Duration) -> Run {
        self.try_run(text, limit).unwrap_or_else(Run::Impossible)
    }

    fn try_run(&self, text: &str, limit: Duration) -> Result<Run, String> {
        let path = self.file();
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        let shown = path.display().to_string();
        let mut child = Command::new(&self.command.program)
            .args(self.command.args.iter().map(|arg| arg.replace(PLACE, &shown)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Crashes are told apart by their frames; of errors nobody needs them.
            .env("RUST_BACKTRACE", "1")
            .env("RUST_LIB_BACKTRACE", "0")
            .process_group(0)
            .spawn()
            .map_err(|error| format!("{}: {error}", self.command.program.display()))?;
        let (sender, outputs) = mpsc::channel();
        let read = |place: usize, pipe: Option<Box<dyn Read + Send>>| {
            let sender = sender.clone();
            // Who has stopped waiting does not mind.
            thread::spawn(move || pipe.map(|pipe| sender.send((place, kept(pipe)))));
        };
        read(0, child.stderr.take().map(|pipe| Box::new(pipe) as _));
        read(1, child.stdout.take().map(|pipe| Box::new(pipe) as _));
        drop(sender);
        let deadline = Instant::now() + limit;
        let mut pause = Duration::from_millis(1);
        let status = loop {
            match child.try_wait().map_err(|error| format!("wait: {error}"))? {
                Some(status) => break Some(status),
                None if Instant::now() >= deadline => break None,
                None => thread::sleep(pause),
            }
            pause = (pause * 2).min(Duration::from_millis(20));
        };
        if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            // Nobody may be left in it.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let Some(status) = status else {
            let _ = child.wait();
            return Ok(Run::Died(Death::Timeout(limit)));
        };
        // Someone whom the program has started may hold the pipes open.
        let mut output: Vec<(usize, String)> =
            (0..2).filter_map(|_| outputs.recv_timeout(Duration::from_secs(2)).ok()).collect();
        // Whoever was read first: the same run says the same.
        output.sort();
        let output: Vec<String> = output.into_iter().map(|(_, text)| text).collect();
        let output = output.join("\n").trim().to_owned();
        Ok(match (status.signal(), status.code()) {
            (Some(signal), _) => Run::Died(Death::Signal { signal, stderr: output }),
            // A shell, or a launcher script, tells a signal of its child so.
            (None, Some(code @ 129..=159)) if signal_name(code - 128) != "signal" => {
                Run::Died(Death::Signal { signal: code - 128, stderr: output })
            }
            (None, Some(0)) => Run::Passed,
            (None, code) if output.contains("panicked at") => {
                Run::Died(Death::Exit { code: code.unwrap_or(-1), stderr: output })
            }
            (None, _) => Run::Failed(output),
        })
    }
}

impl Subject for CommandSubject {
    fn name(&self) -> &str {
        &self.name
    }

    fn supports(&self) -> Features {
        self.features
    }

    fn plain_cases_only(&self) -> bool {
        true
    }

    fn observe(&mut self, case: &Case) -> Observation {
        let asked = self.ask(case);
        let run = self.alone(&asked);
        self.judge(&asked, &run)
    }

    fn batch(&self) -> usize {
        batch::CASES
    }

    fn observe_batch(&mut self, cases: &[Case]) -> Batch {
        let asked: Vec<Asked> = cases.iter().map(|case| self.ask(case)).collect();
        self.settle(cases, &asked)
    }
}

impl CommandSubject {
    /// What the program is to run of a case, with what the reference finds there.
    fn ask(&mut self, case: &Case) -> Asked {
        let script = Case { schedule: Schedule::default(), steps: Vec::new() };
        if case.schedule.observe_state || case.first_fiber() < case.steps.len() {
            let outcome = Outcome::Unsupported("observed state and fibers".into());
            return Asked { script, outcomes: vec![outcome; case.steps.len()], runs: false };
        }
        // What is expected of the script and what of it is run; the case's own expectations may be of another form of it.
        let mut asked = Asked { script, outcomes: Vec::new(), runs: true };
        let reference = self.reference.observe(&limited(case));
        for (step, outcome) in case.steps.iter().zip(&reference.outcomes) {
            // What comes behind a step that the program does not run may depend on it.
            let whole = asked.script.steps.len() == asked.outcomes.len();
            let expect = if whole { expectation(&step.action, outcome) } else { None };
            asked.outcomes.push(match &expect {
                Some(_) => outcome.clone(),
                None if whole => {
                    Outcome::Unsupported("no assertion can say how the reference ends here".into())
                }
                None => Outcome::Unsupported("behind a step that no assertion can say the end of".into()),
            });
            asked.script.steps.extend(expect.map(|expect| Step {
                action: assertable(&step.action, &expect),
                expect,
                ..*step
            }));
        }
        // An empty file is no script to every program, nor one of comments.
        asked.runs = asked.script.steps.iter().any(|step| !matches!(step.action, Action::Collect));
        asked
    }

    /// Runs it in a process of its own.
    fn alone(&self, asked: &Asked) -> Run {
        if asked.runs { self.run(&asked.script.to_wast_binary(), self.settings.call) } else { Run::Passed }
    }

    /// What such a run shows.
    fn judge(&self, asked: &Asked, run: &Run) -> Observation {
        let mut outcomes = asked.outcomes.clone();
        let all = |outcome: Outcome| vec![outcome; asked.outcomes.len()];
        match run {
            Run::Passed => {}
            Run::Impossible(why) => outcomes = all(Outcome::Crashed(why.clone())),
            Run::Died(death) => outcomes = all(Outcome::Crashed(death.to_string())),
            Run::Failed(message) => {
                let outcome = match self.exhausted(message) {
                    Some(resource) => Outcome::Exhausted(resource),
                    None => Outcome::Refuted(self.without_path(message)),
                };
                match self.step_of(&asked.script, message).filter(|step| *step < outcomes.len()) {
                    None => outcomes = all(outcome),
                    Some(failed) => {
                        outcomes[failed] = outcome;
                        outcomes[failed + 1..]
                            .fill(Outcome::Unsupported("not run: the script ends where it fails".into()));
                    }
                }
            }
        }
        let known = self.profile.known(&outcomes);
        Observation { outcomes, known, permits: self.profile.permits(), ..Observation::default() }
    }

    /// What ran out, by a message.
    fn exhausted(&self, message: &str) -> Option<Resource> {
        words::exhausted(message, self.profile.permits().contains(&Permit::NeverCollects))
    }

    /// The script's step that stands at the line that the message names, as `FILE:LINE`.
    fn step_of(&self, script: &Case, message: &str) -> Option<usize> {
        let path = self.file().display().to_string();
        let line: u32 = message.split(&path).skip(1).find_map(|behind| {
            let digits = behind.strip_prefix(':')?;
            digits[..digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len())].parse().ok()
        })?;
        let read = Case::parse(&script.to_wast_binary(), "case.wast").ok()?;
        read.steps.iter().rposition(|step| step.line <= line)
    }

    /// Messages name a file of this run: the finding's case stands elsewhere. Backtraces of the program's own say nothing here.
    fn without_path(&self, message: &str) -> String {
        let message = message.split("Stack backtrace:").next().unwrap_or_default().trim_end();
        message.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

/// The case as the interpreter runs it: every call ends.
fn limited(case: &Case) -> Case {
    let mut case = case.clone();
    case.schedule.fuel = Some(case.schedule.fuel.map_or(FUEL, |fuel| fuel.min(FUEL)));
    case
}

/// The assertion that says that a step ends like this; none if there is none, or if engines need not agree.
fn expectation(action: &Action, outcome: &Outcome) -> Option<Expect> {
    let is_call = matches!(action, Action::Invoke { .. } | Action::Get { .. });
    // Scripts have no words for definitions that are none, and instances of theirs that are none.
    let definition = matches!(action, Action::Define { .. } | Action::Instantiate { .. });
    match outcome {
        Outcome::Done => Some(Expect::Success),
        _ if definition => None,
        Outcome::Returned { values, .. } => {
            let number = |value: &Value| (!matches!(value, Value::Ref(_))).then_some(Pattern::Value(*value));
            Some(Expect::Return(values.iter().map(number).collect::<Option<_>>()?))
        }
        Outcome::Trapped(TrapKind::AllocationTooLarge) => None,
        Outcome::Trapped(kind) => Some(Expect::Trap(*kind)),
        Outcome::Thrown { graph } if is_call && graph.nodes.len() <= 1 => Some(Expect::Exception),
        Outcome::Rejected(stage, _) => Some(Expect::Reject(*stage)),
        Outcome::Thrown { .. }
        | Outcome::TrappedSomehow(..)
        | Outcome::Cancelled
        | Outcome::Exhausted(_)
        | Outcome::Unchecked
        | Outcome::BadStep(_)
        | Outcome::Unsupported(_)
        | Outcome::Refuted(_)
        | Outcome::Crashed(_) => None,
    }
}

/// The action with the end that it has: a script can say of a module that makes no instance, but not of one that has a name.
fn assertable(action: &Action, expect: &Expect) -> Action {
    match (action, expect) {
        (Action::Module { source, .. }, Expect::Reject(RejectStage::Unlinkable) | Expect::Trap(_)) => {
            Action::Link { source: source.clone() }
        }
        (Action::Module { source, .. }, Expect::Reject(RejectStage::Malformed | RejectStage::Invalid)) => {
            Action::Check { source: source.clone() }
        }
        _ => action.clone(),
    }
}

/// The beginning of a pipe; the rest is read and forgotten.
fn kept(mut pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    // A broken pipe is the end.
    let _ = pipe.by_ref().take(KEEP).read_to_end(&mut bytes);
    let _ = std::io::copy(&mut pipe, &mut std::io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}
