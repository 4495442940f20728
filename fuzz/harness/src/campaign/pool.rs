//! The parent's side of one child worker: start, ask with a deadline, tell how it died.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::protocol::{Reply, Request};

/// How to start a worker: program and arguments.
#[derive(Clone, Debug)]
pub struct WorkerCommand {
    /// The program, normally this one.
    pub program: std::path::PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
}

/// A running child.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    replies: Receiver<Reply>,
    stderr: thread::JoinHandle<String>,
    /// Names of its subjects.
    pub subjects: Vec<String>,
}

/// Why a worker gave no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Death {
    /// It could not be started.
    NotStarted(String),
    /// It died of a signal.
    Signal {
        /// Number.
        signal: i32,
        /// The end of what it wrote to standard error.
        stderr: String,
    },
    /// It exited.
    Exit {
        /// Exit code.
        code: i32,
        /// The end of what it wrote to standard error.
        stderr: String,
    },
    /// It did not reply within the limit and was killed.
    Timeout(Duration),
}

/// Why no reply came.
#[derive(Clone, Copy)]
enum Silence {
    /// Its output is closed: it is dead or dying.
    Closed,
    /// It does not answer.
    Hung(Duration),
}

impl std::fmt::Display for Death {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Death::NotStarted(why) => write!(f, "worker not started: {why}"),
            Death::Signal { signal, stderr } => {
                write!(f, "died of signal {signal} ({})", signal_name(*signal))?;
                write_tail(f, stderr)
            }
            Death::Exit { code, stderr } => {
                write!(f, "exited with code {code}")?;
                write_tail(f, stderr)
            }
            Death::Timeout(limit) => write!(f, "no reply within {} s", limit.as_secs_f64()),
        }
    }
}

fn write_tail(f: &mut std::fmt::Formatter<'_>, stderr: &str) -> std::fmt::Result {
    if stderr.is_empty() { Ok(()) } else { write!(f, "\n{stderr}") }
}

/// The usual name of a signal.
pub fn signal_name(signal: i32) -> &'static str {
    match signal {
        4 => "SIGILL, illegal instruction",
        6 => "SIGABRT, abort",
        7 => "SIGBUS, bus error",
        8 => "SIGFPE, arithmetic",
        9 => "SIGKILL, killed or out of memory",
        11 => "SIGSEGV, segmentation fault",
        5 => "SIGTRAP",
        15 => "SIGTERM",
        _ => "signal",
    }
}

impl Worker {
    /// Starts a child and waits until it stands.
    ///
    /// # Errors
    /// How it died.
    pub fn start(command: &WorkerCommand) -> Result<Worker, Death> {
        let mut child = Command::new(&command.program)
            .args(&command.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| Death::NotStarted(format!("{}: {error}", command.program.display())))?;
        let input = child.stdin.take();
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Death::NotStarted("no pipes".into()));
        };
        let (sender, replies) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let reply = serde_json::from_str(&line)
                    .unwrap_or_else(|error| Reply::Refused(format!("not a reply ({error}): {line}")));
                if sender.send(reply).is_err() {
                    return;
                }
            }
        });
        let stderr = thread::spawn(move || tail_of(stderr));
        let mut worker = Worker { child, input, replies, stderr, subjects: Vec::new() };
        match worker.receive(Duration::from_secs(60)) {
            Ok(Reply::Ready { subjects }) => {
                worker.subjects = subjects;
                Ok(worker)
            }
            Ok(other) => Err(Death::NotStarted(format!("unexpected first reply {other:?}"))),
            Err(silence) => Err(worker.bury(silence)),
        }
    }

    /// Sends `request` and waits for the reply.
    ///
    /// # Errors
    /// How the worker died; it is gone then.
    pub fn ask(mut self, request: &Request, limit: Duration) -> Result<(Worker, Reply), Death> {
        let mut line = serde_json::to_vec(request).map_err(|error| Death::NotStarted(error.to_string()))?;
        line.push(b'\n');
        let sent = self.input.as_mut().map(|input| input.write_all(&line).and_then(|()| input.flush()));
        // A broken pipe says only that the child is dying; the wait in `bury` says how.
        let silence = match sent {
            Some(Ok(())) => match self.receive(limit) {
                Ok(reply) => return Ok((self, reply)),
                Err(silence) => silence,
            },
            Some(Err(_)) | None => Silence::Closed,
        };
        Err(self.bury(silence))
    }

    fn receive(&mut self, limit: Duration) -> Result<Reply, Silence> {
        self.replies.recv_timeout(limit).map_err(|error| match error {
            RecvTimeoutError::Timeout => Silence::Hung(limit),
            RecvTimeoutError::Disconnected => Silence::Closed,
        })
    }

    /// Waits for the child's end, or ends it, and tells how it went.
    fn bury(mut self, silence: Silence) -> Death {
        drop(self.input.take());
        if let Silence::Hung(limit) = silence {
            // It may have died in between, then there is nothing to kill.
            let _ = self.child.kill();
            let _ = self.child.wait();
            return Death::Timeout(limit);
        }
        let status = self.child.wait();
        let stderr = self.stderr.join().unwrap_or_default();
        match status {
            Ok(status) => death_of(status, stderr),
            Err(error) => Death::NotStarted(format!("wait: {error}")),
        }
    }

    /// Lets the child end by itself.
    pub fn finish(mut self) {
        drop(self.input.take());
        // Its exit code says nothing that its replies did not say.
        let _ = self.child.wait();
    }
}

fn death_of(status: ExitStatus, stderr: String) -> Death {
    match (status.signal(), status.code()) {
        (Some(signal), _) => Death::Signal { signal, stderr },
        (None, code) => Death::Exit { code: code.unwrap_or(-1), stderr },
    }
}

/// The last 4,000 bytes of a pipe.
fn tail_of(pipe: impl std::io::Read) -> String {
    const KEEP: usize = 4000;
    let mut kept: Vec<u8> = Vec::new();
    for chunk in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
        kept.extend_from_slice(&chunk);
        kept.push(b'\n');
        if kept.len() > 2 * KEEP {
            kept.drain(..kept.len() - KEEP);
        }
    }
    let from = kept.len().saturating_sub(KEEP);
    String::from_utf8_lossy(&kept[from..]).trim_end().to_owned()
}
