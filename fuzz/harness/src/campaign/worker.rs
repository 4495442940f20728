//! The child's side: examine cases until standard input ends.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::compare::{self, Finding};
use crate::subject::Subject;
use crate::{Case, Features, Observation, generate, selfcheck};

use super::findings;
use super::protocol::{Ends, FindingRecord, Reply, Report, Request};

/// A worker's settings.
#[derive(Clone, Debug, Default)]
pub struct WorkerConfig {
    /// Folder that findings are written to; none = only reported.
    pub findings: Option<PathBuf>,
    /// Bytes of memory that the process may have writable, 0 = no limit.
    pub memory_limit: u64,
    /// Whether generated cases take their self-checking form; with peers all cases do.
    pub self_checking: bool,
    /// Dead arrays of 1,000 bytes that stand for a collection where a subject is a peer.
    pub garbage: u32,
}

/// Serves requests until `input` ends.
///
/// # Errors
/// Those of the pipes.
pub fn serve(
    subjects: &mut [Box<dyn Subject>],
    config: &WorkerConfig,
    input: impl BufRead,
    mut output: impl Write,
) -> io::Result<()> {
    limit_process(config.memory_limit)?;
    subjects.iter_mut().for_each(|subject| subject.tell_reach());
    let names = subjects.iter().map(|s| s.name().to_owned()).collect();
    let engines = subjects.iter().map(|s| s.engine().map(str::to_owned)).collect();
    send(&mut output, &Reply::Ready { subjects: names, engines })?;
    let mut program = Program::default();
    for line in input.lines() {
        let reply = match serde_json::from_str::<Request>(&line?) {
            Ok(request) => answer(subjects, config, &mut program, request),
            Err(error) => Reply::Refused(format!("not a request: {error}")),
        };
        send(&mut output, &reply)?;
    }
    Ok(())
}

/// Runs `case` on each subject and compares.
pub fn examine(subjects: &mut [Box<dyn Subject>], case: &Case) -> Report {
    let mut observations: Vec<Observation> = Vec::with_capacity(subjects.len());
    let mut micros = Vec::with_capacity(subjects.len());
    for subject in subjects.iter_mut() {
        let start = Instant::now();
        observations.push(subject.observe(case));
        micros.push(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    let named: Vec<(&str, &Observation)> = subjects.iter().map(|s| s.name()).zip(&observations).collect();
    let comparison = compare::compare(case, &named);
    Report {
        findings: comparison.findings.iter().map(record).collect(),
        discards: comparison
            .discards
            .iter()
            .map(|(kind, n)| (kind.to_string(), *n))
            .collect::<BTreeMap<_, _>>(),
        ran: true,
        compared: subjects
            .iter()
            .map(|s| comparison.compared.get(s.name()).copied().unwrap_or_default())
            .collect(),
        ends: observations.first().map(|o| Ends::of(&o.outcomes)).unwrap_or_default(),
        reference: observations.first().map(|o| o.counters.clone()).unwrap_or_default(),
        collections: observations.iter().map(|o| o.counters.collections).sum(),
        frame_only_survivors: observations.iter().skip(1).map(|o| o.counters.frame_only_survivors).sum(),
        micros,
        fibers: observations.iter().map(|o| o.counters.fibers).collect(),
        heaps: observations.into_iter().map(|o| o.counters.heap).collect(),
    }
}

/// A finding as it goes to disk.
pub fn record(finding: &Finding) -> FindingRecord {
    FindingRecord {
        kind: format!("{:?}", finding.kind),
        key: finding.key(),
        subjects: finding.subjects.clone(),
        step: finding.step,
        text: finding.text.clone(),
    }
}

/// The latest program, which is asked for again with other schedules.
#[derive(Debug, Default)]
struct Program(Option<(String, u64, Case)>);

impl Program {
    /// What `generator` makes of `seed`; none if there is no such generator.
    fn of(&mut self, generator: &str, seed: u64, within: Features) -> Option<&Case> {
        let known = matches!(&self.0, Some((of, from, _)) if of == generator && *from == seed);
        if !known {
            self.0 = Some((generator.to_owned(), seed, generate::from_seed_within(generator, seed, within)?));
        }
        self.0.as_ref().map(|(.., case)| case)
    }
}

fn answer(
    subjects: &mut [Box<dyn Subject>],
    config: &WorkerConfig,
    program: &mut Program,
    request: Request,
) -> Reply {
    match request {
        Request::Generate { generator, seed, schedule, running } => {
            let Some(first) = program.of(&generator, seed, common(subjects)) else {
                return Reply::Refused(format!("no generator named {generator:?}"));
            };
            let case = generate::under_schedule(first, schedule);
            let form = if plain_only(subjects) {
                selfcheck::for_peers(&case, config.garbage)
            } else if config.self_checking {
                selfcheck::for_campaign(&case)
            } else {
                Ok((case, Vec::new()))
            };
            let (case, left_out) = match form {
                Ok(form) => form,
                Err(reason) => return Reply::Examined(Box::new(without(reason))),
            };
            if let Err(error) = findings::write_whole(&running, &case.to_wast_binary()) {
                return Reply::Refused(format!("cannot write {}: {error}", running.display()));
            }
            examine_and_save(subjects, config, case, &left_out)
        }
        Request::Examine { path } => match read_case(&path).and_then(|case| fit(subjects, config, case)) {
            Ok(case) => examine_and_save(subjects, config, case, &[]),
            Err(why) => Reply::Refused(why),
        },
        Request::Observe { path } => match read_case(&path) {
            Ok(case) => Reply::Observed(subjects.iter_mut().map(|s| s.observe(&case)).collect()),
            Err(why) => Reply::Refused(why),
        },
    }
}

/// What every subject has of what programs may use.
pub fn common(subjects: &[Box<dyn Subject>]) -> Features {
    let common =
        subjects.iter().fold(Features::OF_PROGRAMS, |common, subject| common.and(subject.supports()));
    // Engines may differ in relaxed results, which digests cannot tell from faults.
    Features { relaxed_simd: common.relaxed_simd && !plain_only(subjects), ..common }
}

/// Whether some subject runs plain cases only.
pub fn plain_only(subjects: &[Box<dyn Subject>]) -> bool {
    subjects.iter().any(|subject| subject.plain_cases_only())
}

/// The case, plain if a subject needs that.
fn fit(subjects: &[Box<dyn Subject>], config: &WorkerConfig, case: Case) -> Result<Case, String> {
    if !plain_only(subjects) || selfcheck::is_plain(&case) {
        return Ok(case);
    }
    match selfcheck::for_peers(&case, config.garbage) {
        Ok((case, _)) => Ok(case),
        Err(reason) => Err(format!("the case has no self-checking form: {reason}")),
    }
}

/// The report of a case without self-checking form.
fn without(reason: selfcheck::LeftOut) -> Report {
    Report {
        discards: BTreeMap::from([(format!("no self-checking form: {reason}"), 1)]),
        ..Report::default()
    }
}

/// `left_out` are the steps that the case had before it became self-checking, and has not now.
fn examine_and_save(
    subjects: &mut [Box<dyn Subject>],
    config: &WorkerConfig,
    case: Case,
    left_out: &[selfcheck::LeftOut],
) -> Reply {
    let mut report = examine(subjects, &case);
    for reason in left_out {
        *report.discards.entry(format!("not in the self-checking form: {reason}")).or_default() += 1;
    }
    if let Some(dir) = &config.findings {
        for finding in &report.findings {
            if let Err(error) = findings::save(dir, &case, finding) {
                return Reply::Refused(format!("cannot write a finding to {}: {error}", dir.display()));
            }
        }
    }
    Reply::Examined(Box::new(report))
}

fn read_case(path: &Path) -> Result<Case, String> {
    let shown = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    Case::parse(&text, &shown).map_err(|error| error.to_string())
}

fn send(output: &mut impl Write, reply: &Reply) -> io::Result<()> {
    serde_json::to_writer(&mut *output, reply)?;
    output.write_all(b"\n")?;
    output.flush()
}

/// This process dies with its parent, writes no core files and cannot have more than `memory` bytes writable (0: as many as it likes).
///
/// # Errors
/// The system's.
pub fn limit_process(memory: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit};
    set_parent_process_death_signal(Some(Signal::KILL))?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    if memory != 0 {
        // What it starts may have a limit of its own, and that may be higher.
        let Rlimit { maximum, .. } = getrlimit(Resource::Data);
        let current = Some(maximum.map_or(memory, |maximum| memory.min(maximum)));
        setrlimit(Resource::Data, Rlimit { current, maximum })?;
    }
    Ok(())
}
