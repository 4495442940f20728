//! A subject in a child process: its crash is an outcome.

use std::time::Duration;

use crate::observe::Outcome;
use crate::subject::{Features, Subject};
use crate::{Case, Observation};

use super::findings::write_whole;
use super::pool::{Death, Worker, WorkerCommand};
use super::protocol::{Reply, Request};

/// A subject that runs in a child worker of its own, restarted after a death.
#[derive(Debug)]
pub struct IsolatedSubject {
    name: String,
    features: Features,
    command: WorkerCommand,
    worker: Option<Worker>,
    limit: Duration,
    folder: tempfile::TempDir,
}

impl IsolatedSubject {
    /// Isolates the subject that `command` serves; `name` and `features` are the inner subject's.
    ///
    /// # Errors
    /// When no temporary folder can be made.
    pub fn new(
        name: &str,
        features: Features,
        command: WorkerCommand,
        limit: Duration,
    ) -> std::io::Result<Self> {
        let folder = tempfile::tempdir()?;
        Ok(IsolatedSubject { name: name.to_owned(), features, command, worker: None, limit, folder })
    }

    fn ask(&mut self, case: &Case) -> Result<Reply, Death> {
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => Worker::start(&self.command)?,
        };
        let path = self.folder.path().join("case.wast");
        write_whole(&path, &case.to_wast_binary()).map_err(|error| Death::NotStarted(error.to_string()))?;
        let (worker, reply) = worker.ask(&Request::Observe { path }, self.limit)?;
        self.worker = Some(worker);
        Ok(reply)
    }
}

impl Subject for IsolatedSubject {
    fn name(&self) -> &str {
        &self.name
    }

    fn supports(&self) -> Features {
        self.features
    }

    fn observe(&mut self, case: &Case) -> Observation {
        let crashed = |what: String| Observation {
            outcomes: vec![Outcome::Crashed(what); case.steps.len()],
            ..Observation::default()
        };
        match self.ask(case) {
            Ok(Reply::Observed(observations)) => observations
                .into_iter()
                .next()
                .unwrap_or_else(|| crashed("the worker serves no subject".into())),
            Ok(Reply::Refused(why)) => crashed(format!("the worker refused the case: {why}")),
            Ok(other) => crashed(format!("unexpected reply {other:?}")),
            Err(death) => crashed(death.to_string()),
        }
    }
}
