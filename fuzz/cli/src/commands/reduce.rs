//! `assay reduce`: a smaller case with the same finding.

use std::cell::Cell;
use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use assay_harness::campaign::findings::{self, with_explanation};
use assay_harness::campaign::pool::Worker;
use assay_harness::campaign::protocol::{FindingRecord, Reply, Request, Wanted};
use assay_harness::process::Death;
use assay_harness::{Action, Case, Source, Step, reduce};
use clap::Args;
use indicatif::ProgressBar;

use super::fuzz::parse_time;
use crate::exit::{Exit, Failure};
use crate::subjects;

/// Arguments of `assay reduce`.
#[derive(Args)]
pub(crate) struct ReduceArguments {
    /// The case (.wast), as `assay fuzz` wrote it.
    case: PathBuf,
    /// Subjects [default: as for fuzz].
    #[arg(long = "subject", value_name = "SUBJECT")]
    subjects: Vec<String>,
    /// Where the smaller case goes [default: CASE with `.reduced.wast`].
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// End after this time with what has been reached.
    #[arg(long, default_value = "5m", value_parser = parse_time)]
    time: Duration,
    /// Limit for one attempt.
    #[arg(long, default_value = "20s", value_parser = parse_time)]
    case_limit: Duration,
}

/// Reduces.
pub(crate) fn run(arguments: &ReduceArguments) -> Result<Exit, Failure> {
    let shown = arguments.case.display().to_string();
    let text = fs::read_to_string(&arguments.case)
        .map_err(|error| Failure::bad_input(format!("{shown}: {error}")))?;
    let case = Case::parse(&text, &shown).map_err(Failure::bad_input)?;
    let specs: Vec<String> =
        subjects::parse(&arguments.subjects)?.iter().map(|s| s.name().to_owned()).collect();
    let mut judge = Judge::new(specs, arguments.case_limit)?;
    let found = judge.findings(&case)?;
    if let Some(why) = &judge.refused {
        return Err(Failure::bad_input(format!("{shown}: {why}")));
    }
    let Some(wanted) = found.into_iter().next() else {
        println!("{shown}: no finding on {}; nothing to reduce", judge.specs.join(" | "));
        return Ok(Exit::Fine);
    };
    eprintln!("reducing {} on {}", wanted.kind, wanted.subjects.join(" | "));
    let deadline = Instant::now()
        .checked_add(arguments.time)
        .ok_or_else(|| Failure::bad_input("--time is beyond what the clock can tell"))?;
    let mut kept = wanted.clone();
    let bar = ProgressBar::new_spinner();
    let mut trouble = None;
    let mut tried = 0u64;
    let failed = Cell::new(false);
    let mut on_time = |_: &reduce::Progress| {
        let over = failed.get() || Instant::now() >= deadline;
        if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut still = |candidate: &Case| {
        tried += 1;
        bar.set_message(format!("{tried} attempts"));
        bar.tick();
        match judge.findings(candidate) {
            Ok(found) => {
                let same = found.into_iter().find(|found| found.is_still(&wanted));
                same.inspect(|same| kept.clone_from(same)).is_some()
            }
            Err(failure) => {
                trouble = Some(failure);
                failed.set(true);
                false
            }
        }
    };
    let smaller = reduce::reduce_with(&case, &mut still, &mut on_time);
    bar.finish_and_clear();
    if let Some(failure) = trouble {
        return Err(failure);
    }
    let output = arguments.output.clone().unwrap_or_else(|| arguments.case.with_extension("reduced.wast"));
    findings::write_whole(&output, &with_explanation(&smaller, &kept))
        .map_err(|error| Failure::bad_input(format!("{}: {error}", output.display())))?;
    println!(
        "{}: {} bytes of modules, was {} ({tried} attempts)",
        output.display(),
        module_bytes(&smaller),
        module_bytes(&case)
    );
    Ok(Exit::Finding)
}

fn module_bytes(case: &Case) -> usize {
    let bytes = |step: &Step| match &step.action {
        Action::Module { source: Source::Binary(bytes), .. }
        | Action::Define { source: Source::Binary(bytes), .. } => bytes.len(),
        _ => 0,
    };
    case.steps.iter().map(bytes).sum()
}

/// Judges candidates in a child worker.
struct Judge {
    specs: Vec<String>,
    worker: Option<Worker>,
    limit: Duration,
    folder: tempfile::TempDir,
    /// Why the latest case that was refused was.
    refused: Option<String>,
}

impl Judge {
    fn new(specs: Vec<String>, limit: Duration) -> Result<Judge, Failure> {
        let folder =
            tempfile::tempdir().map_err(|error| Failure::internal(format!("temporary folder: {error}")))?;
        Ok(Judge { specs, worker: None, limit, folder, refused: None })
    }

    fn findings(&mut self, case: &Case) -> Result<Vec<FindingRecord>, Failure> {
        let path = self.folder.path().join("candidate.wast");
        findings::write_whole(&path, &case.to_wast_binary()).map_err(Failure::internal)?;
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => Worker::start(&subjects::worker_command(&self.specs, None, 4096)?)
                .map_err(Failure::internal)?,
        };
        match worker.ask(&Request::Examine(vec![Wanted::File { path }]), self.limit) {
            Ok((worker, Reply::Examined(examined))) => {
                self.worker = Some(worker);
                Ok(examined.reports.into_iter().flat_map(|report| report.findings).collect())
            }
            // It has no form that all subjects take.
            Ok((worker, Reply::Refused(why))) => {
                self.worker = Some(worker);
                self.refused = Some(why);
                Ok(Vec::new())
            }
            Ok((_, reply)) => Err(Failure::internal(format!("worker: {reply:?}"))),
            Err(death) => Ok(vec![died(&death, &self.specs)]),
        }
    }
}

fn died(death: &Death, specs: &[String]) -> FindingRecord {
    let text = death.to_string();
    let kind = match death {
        Death::Timeout(_) => "Hang",
        Death::NotStarted(_) | Death::Signal { .. } | Death::Exit { .. } | Death::Garbled { .. } => {
            "WorkerDied"
        }
    };
    FindingRecord { kind: kind.into(), key: kind.into(), subjects: specs.to_vec(), step: None, text }
}
