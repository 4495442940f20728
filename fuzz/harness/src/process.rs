//! A child process that answers lines with lines: start, ask with a deadline, tell how it died.
//!
//! Whatever the child does (a crash, silence, an endless line, a pipe closed while it lives on), [`LineProcess::ask`] ends within the
//! limit and a few seconds, and the child and what it started are gone when a [`Death`] is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// Bytes of a line, at most.
const MAX_LINE: u64 = 256 << 20;

/// How long a child whose output has ended may take to end itself.
const GRACE: Duration = Duration::from_secs(5);

/// How to start a child: program and arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerCommand {
    /// The program.
    pub program: std::path::PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
}

/// A running child.
#[derive(Debug)]
pub struct LineProcess {
    child: Child,
    /// To the thread that writes: a child that does not read must not stop who asks.
    input: Option<Sender<Vec<u8>>>,
    lines: Receiver<Line>,
    stderr: Receiver<String>,
}

#[derive(Debug)]
enum Line {
    Text(String),
    Garbled(&'static str),
}

/// Why a child gave no reply.
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
    /// What it wrote is no line of text, or it closed its output and lived on; it was killed.
    Garbled {
        /// What was wrong.
        what: String,
        /// The end of what it wrote to standard error.
        stderr: String,
    },
}

impl std::fmt::Display for Death {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (stderr, first) = match self {
            Death::NotStarted(why) => ("", format!("not started: {why}")),
            Death::Signal { signal, stderr } => {
                (&**stderr, format!("died of signal {signal} ({})", signal_name(*signal)))
            }
            Death::Exit { code, stderr } => (&**stderr, format!("exited with code {code}")),
            Death::Timeout(limit) => ("", format!("no reply within {} s", limit.as_secs_f64())),
            Death::Garbled { what, stderr } => (&**stderr, what.clone()),
        };
        f.write_str(&first)?;
        if stderr.is_empty() { Ok(()) } else { write!(f, "\n{stderr}") }
    }
}

/// The usual name of a signal.
pub fn signal_name(signal: i32) -> &'static str {
    match signal {
        4 => "SIGILL, illegal instruction",
        5 => "SIGTRAP",
        6 => "SIGABRT, abort",
        7 => "SIGBUS, bus error",
        8 => "SIGFPE, arithmetic",
        9 => "SIGKILL, killed or out of memory",
        11 => "SIGSEGV, segmentation fault",
        15 => "SIGTERM",
        _ => "signal",
    }
}

impl LineProcess {
    /// Starts a child, the head of a process group of its own.
    ///
    /// # Errors
    /// `NotStarted`.
    pub fn start(command: &WorkerCommand) -> Result<LineProcess, Death> {
        let mut child = Command::new(&command.program)
            .args(&command.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Crashes are told apart by their frames; of errors nobody needs them.
            .env("RUST_BACKTRACE", "1")
            .env("RUST_LIB_BACKTRACE", "0")
            .process_group(0)
            .spawn()
            .map_err(|error| Death::NotStarted(format!("{}: {error}", command.program.display())))?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Death::NotStarted("no pipes".into()));
        };
        let (input, to_write) = mpsc::channel();
        thread::spawn(move || write_all(stdin, &to_write));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut output = BufReader::new(stdout);
            while let Some(line) = read_line(&mut output) {
                let last = matches!(line, Line::Garbled(_));
                if sender.send(line).is_err() || last {
                    return;
                }
            }
        });
        let (tail, tails) = mpsc::channel();
        // Who has stopped waiting does not mind.
        thread::spawn(move || tail.send(tail_of(stderr)));
        Ok(LineProcess { child, input: Some(input), lines, stderr: tails })
    }

    /// Sends `line`, which has no newline inside, and waits for the reply.
    ///
    /// # Errors
    /// How the child died; it is gone then.
    pub fn ask(mut self, line: &[u8], limit: Duration) -> Result<(LineProcess, String), Death> {
        if let Ok(line) = self.lines.try_recv() {
            return Err(self.garbled(match line {
                Line::Text(_) => "wrote a line that nobody asked for",
                Line::Garbled(what) => what,
            }));
        }
        let sent = self.input.as_ref().map(|input| input.send([line, b"\n"].concat()));
        // A broken pipe says only that the child is dying; its burial says how.
        match sent {
            Some(Ok(())) => self.receive(limit),
            Some(Err(_)) | None => Err(self.ended()),
        }
    }

    /// Waits for a line without asking.
    ///
    /// # Errors
    /// How the child died; it is gone then.
    pub fn receive(mut self, limit: Duration) -> Result<(LineProcess, String), Death> {
        match self.lines.recv_timeout(limit) {
            Ok(Line::Text(line)) => Ok((self, line)),
            Ok(Line::Garbled(what)) => Err(self.garbled(what)),
            Err(RecvTimeoutError::Timeout) => {
                self.kill();
                Err(Death::Timeout(limit))
            }
            Err(RecvTimeoutError::Disconnected) => Err(self.ended()),
        }
    }

    /// Kills a child that said something it should not have.
    pub fn garbled(mut self, what: &str) -> Death {
        self.kill();
        Death::Garbled { what: what.to_owned(), stderr: self.stderr() }
    }

    /// Lets the child end by itself.
    pub fn finish(mut self) {
        drop(self.input.take());
        // Its exit code says nothing that its replies did not say.
        let _ = self.waited();
    }

    /// Its output has ended: so has it, or it is made to.
    fn ended(&mut self) -> Death {
        drop(self.input.take());
        match self.waited() {
            Some(status) => {
                let stderr = self.stderr();
                match (status.signal(), status.code()) {
                    (Some(signal), _) => Death::Signal { signal, stderr },
                    (None, code) => Death::Exit { code: code.unwrap_or(-1), stderr },
                }
            }
            None => {
                let what = "closed its output and did not end".to_owned();
                Death::Garbled { what, stderr: self.stderr() }
            }
        }
    }

    /// Waits a while for the child's own end, then makes one; its status if it was its own.
    fn waited(&mut self) -> Option<ExitStatus> {
        let deadline = Instant::now() + GRACE;
        let mut pause = Duration::from_millis(1);
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(Some(status)) => {
                    self.kill();
                    return Some(status);
                }
                Ok(None) => thread::sleep(pause),
                Err(_) => break,
            }
            pause = (pause * 2).min(Duration::from_millis(50));
        }
        self.kill();
        None
    }

    /// Ends the child and what it started.
    fn kill(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // Nobody may be left in it.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The end of its standard error; nothing if someone it has started still holds that open.
    fn stderr(&mut self) -> String {
        self.stderr.recv_timeout(GRACE).unwrap_or_default()
    }
}

impl Drop for LineProcess {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}

fn write_all(mut stdin: ChildStdin, lines: &Receiver<Vec<u8>>) {
    for line in lines {
        if stdin.write_all(&line).and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}

fn read_line(output: &mut impl BufRead) -> Option<Line> {
    let mut bytes = Vec::new();
    // A broken pipe is the end.
    output.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes).ok()?;
    match bytes.pop() {
        None => None,
        Some(b'\n') => {
            Some(String::from_utf8(bytes).map_or(Line::Garbled("wrote what is not UTF-8"), Line::Text))
        }
        Some(_) if bytes.len() as u64 + 1 >= MAX_LINE => Some(Line::Garbled("wrote a line without end")),
        // It died in the middle of a line.
        Some(_) => None,
    }
}

/// The last 16,000 bytes of a pipe: room for two panics with their backtraces, the second one while the first is under way.
fn tail_of(mut pipe: impl Read) -> String {
    const KEEP: usize = 16_000;
    let mut kept: Vec<u8> = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = pipe.read(&mut buffer) {
        kept.extend_from_slice(&buffer[..read]);
        if kept.len() > 4 * KEEP {
            kept.drain(..kept.len() - KEEP);
        }
    }
    let from = kept.len().saturating_sub(KEEP);
    String::from_utf8_lossy(&kept[from..]).trim_end().to_owned()
}
