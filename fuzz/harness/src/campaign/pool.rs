//! The parent's side of one child worker.

use std::time::Duration;

use super::protocol::{Reply, Request};
use crate::process::LineProcess;
pub use crate::process::{Death, WorkerCommand};

/// How long a worker may take to stand: it starts peers and makes them prove their features.
const START: Duration = Duration::from_secs(120);

/// A running child.
#[derive(Debug)]
pub struct Worker {
    process: LineProcess,
    /// Names of its subjects.
    pub subjects: Vec<String>,
    /// What those call themselves that are someone else's.
    pub engines: Vec<Option<String>>,
}

impl Worker {
    /// Starts a child and waits until it stands.
    ///
    /// # Errors
    /// How it died.
    pub fn start(command: &WorkerCommand) -> Result<Worker, Death> {
        let (process, line) = LineProcess::start(command)?.receive(START)?;
        match read(&line) {
            Reply::Ready { subjects, engines } => Ok(Worker { process, subjects, engines }),
            other => Err(Death::NotStarted(format!("unexpected first reply {other:?}"))),
        }
    }

    /// Sends `request` and waits for the reply.
    ///
    /// # Errors
    /// How the worker died; it is gone then.
    pub fn ask(self, request: &Request, limit: Duration) -> Result<(Worker, Reply), Death> {
        let line = serde_json::to_vec(request).map_err(|error| Death::NotStarted(error.to_string()))?;
        let (process, line) = self.process.ask(&line, limit)?;
        Ok((Worker { process, ..self }, read(&line)))
    }

    /// Lets the child end by itself.
    pub fn finish(self) {
        self.process.finish();
    }
}

fn read(line: &str) -> Reply {
    serde_json::from_str(line)
        .unwrap_or_else(|error| Reply::Refused(format!("not a reply ({error}): {line}")))
}
