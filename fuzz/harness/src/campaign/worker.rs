//! The child's side: examine cases until standard input ends.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::compare::{self, Finding};
use crate::subject::{Company, Subject};
use crate::{Case, Features, Observation, generate, selfcheck};

use super::findings;
use super::protocol::{Ends, Examined, FindingRecord, Reply, Report, Request, Wanted};

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
    /// More rounds on peers behind adapters; findings tell it, for they may not show without.
    pub warm_up: u32,
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
    let (mut program, mut checked) = (Program::default(), Checked::default());
    for line in input.lines() {
        let reply = match serde_json::from_str::<Request>(&line?) {
            Ok(request) => answer(subjects, config, (&mut program, &mut checked), request),
            Err(error) => Reply::Refused(format!("not a request: {error}")),
        };
        send(&mut output, &reply)?;
    }
    Ok(())
}

/// Runs `case` on each subject and compares.
pub fn examine(subjects: &mut [Box<dyn Subject>], case: &Case) -> Report {
    examine_all(subjects, std::slice::from_ref(case)).0.pop().unwrap_or_default()
}

/// Runs cases on each subject, which gets all of them at once, and compares; a report of each case, and cases that fail together and not alone.
fn examine_all(subjects: &mut [Box<dyn Subject>], cases: &[Case]) -> (Vec<Report>, Vec<Together>) {
    let mut observed: Vec<Vec<Observation>> = cases.iter().map(|_| Vec::new()).collect();
    let mut micros = Vec::with_capacity(subjects.len());
    let mut companies = Vec::new();
    for (place, subject) in subjects.iter_mut().enumerate() {
        let start = Instant::now();
        let batch = subject.observe_batch(cases);
        micros.push(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
        observed.iter_mut().zip(batch.observations).for_each(|(seen, new)| seen.push(new));
        companies.extend(batch.company.into_iter().map(|company| (place, company)));
    }
    let each = cases.len().max(1) as u64;
    let mut reports = Vec::with_capacity(cases.len());
    for (case, observations) in cases.iter().zip(observed) {
        let micros = micros.iter().map(|micros| micros / each).collect();
        reports.push(report(subjects, case, observations, micros));
    }
    let together = companies.into_iter().map(|(place, company)| together(subjects, place, company)).collect();
    (reports, together)
}

/// What the subjects showed of a case, compared.
fn report(
    subjects: &[Box<dyn Subject>],
    case: &Case,
    observations: Vec<Observation>,
    micros: Vec<u64>,
) -> Report {
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

/// Cases that a subject fails together, as one.
struct Together {
    case: Case,
    findings: Vec<FindingRecord>,
    discards: BTreeMap<String, u64>,
}

/// Compares what the subject at `place` did in company with what the others make of the same cases.
fn together(subjects: &mut [Box<dyn Subject>], place: usize, company: Company) -> Together {
    let Company { members, case, observation } = company;
    let mut seen = Some(observation);
    let observations = subjects
        .iter_mut()
        .enumerate()
        .map(|(at, subject)| seen.take_if(|_| at == place).unwrap_or_else(|| subject.observe(&case)));
    let observations = observations.collect();
    let Report { findings, discards, .. } = report(subjects, &case, observations, Vec::new());
    let name = subjects[place].name();
    let findings = findings
        .into_iter()
        .filter(|finding| finding.subjects.iter().any(|subject| subject == name))
        .map(|finding| findings::of_company(members, finding))
        .collect();
    Together { case, findings, discards }
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

/// The names of subjects that keep their engine from case to case.
fn behind_adapters(subjects: &[Box<dyn Subject>]) -> Vec<String> {
    subjects.iter().filter(|s| s.keeps_its_engine()).map(|s| s.name().to_owned()).collect()
}

/// Findings that were looked for again, by their keys.
#[derive(Debug, Default)]
struct Checked(HashMap<String, Again>);

#[derive(Clone, Copy, Debug, Default)]
struct Again {
    looked: u32,
    /// The case alone showed it too.
    seen: u32,
}

/// Findings of one key that are looked for again, at least: as many as are kept. Until one was seen alone, all are.
const AGAIN: u32 = 4;

impl Checked {
    /// Says so of findings that a subject which keeps its engine from case to case does not show when it has run nothing before.
    fn alone(&mut self, subjects: &mut [Box<dyn Subject>], case: &Case, found: &mut [FindingRecord]) {
        let keeps = behind_adapters(subjects);
        let concerned =
            |finding: &&mut FindingRecord| finding.subjects.iter().any(|name| keeps.contains(name));
        let mut found: Vec<&mut FindingRecord> = found.iter_mut().filter(concerned).collect();
        let settled = |known: &Again| known.seen > 0 && known.looked >= AGAIN;
        if found.iter().all(|finding| self.0.get(&finding.key).is_some_and(settled)) {
            return;
        }
        let observations = subjects.iter_mut().map(|subject| subject.observe_afresh(case)).collect();
        let again = report(subjects, case, observations, Vec::new()).findings;
        for finding in &mut found {
            let known = self.0.entry(finding.key.clone()).or_default();
            if settled(known) {
                continue;
            }
            let alone = again.iter().any(|again| again.is_still(finding));
            known.looked += 1;
            known.seen += u32::from(alone);
            // A process that did not start, or died of something else, shows nothing of this.
            let told = alone || again.iter().any(|again| again.kind == "Crash");
            if !told {
                **finding = findings::after_others((*finding).clone());
            }
        }
    }
}

fn answer(
    subjects: &mut [Box<dyn Subject>],
    config: &WorkerConfig,
    (program, checked): (&mut Program, &mut Checked),
    request: Request,
) -> Reply {
    match request {
        Request::Examine(wanted) => match examine_and_save(subjects, config, (program, checked), wanted) {
            Ok(examined) => Reply::Examined(examined),
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

/// A case in the form that subjects get, and the steps that it had before it became self-checking, and has not now.
type Formed = (Case, Vec<selfcheck::LeftOut>);

/// The wanted case; a generated one is on disk then. The inner error is the report of one that has no self-checking form.
fn formed(
    subjects: &[Box<dyn Subject>],
    config: &WorkerConfig,
    program: &mut Program,
    wanted: Wanted,
) -> Result<Result<Formed, Report>, String> {
    let (generator, seed, schedule, running) = match wanted {
        Wanted::File { path } => {
            let case = read_case(&path).and_then(|case| fit(subjects, config, case))?;
            return Ok(Ok((case, Vec::new())));
        }
        Wanted::Generate { generator, seed, schedule, running } => (generator, seed, schedule, running),
    };
    let first = program
        .of(&generator, seed, common(subjects))
        .ok_or_else(|| format!("no generator named {generator:?}"))?;
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
        Err(reason) => return Ok(Err(without(reason))),
    };
    findings::write_whole(&running, &case.to_wast_binary())
        .map_err(|error| format!("cannot write {}: {error}", running.display()))?;
    Ok(Ok((case, left_out)))
}

/// All cases are on disk before the first is given to a subject.
fn examine_and_save(
    subjects: &mut [Box<dyn Subject>],
    config: &WorkerConfig,
    (program, checked): (&mut Program, &mut Checked),
    wanted: Vec<Wanted>,
) -> Result<Examined, String> {
    let in_rounds = behind_adapters(subjects);
    let mut cases = Vec::with_capacity(wanted.len());
    let mut forms = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        forms.push(formed(subjects, config, program, wanted)?.map(|(case, left_out)| {
            cases.push(case);
            left_out
        }));
    }
    let (reports, together) = examine_all(subjects, &cases);
    let mut examined = Examined::default();
    let mut reports = cases.iter().zip(reports);
    for form in forms {
        examined.reports.push(match form {
            Err(without) => without,
            Ok(left_out) => {
                let Some((case, mut report)) = reports.next() else { break };
                for reason in left_out {
                    let kind = format!("not in the self-checking form: {reason}");
                    *report.discards.entry(kind).or_default() += 1;
                }
                if config.findings.is_some() {
                    checked.alone(subjects, case, &mut report.findings);
                }
                save(config, &in_rounds, case, &report.findings)?;
                report
            }
        });
    }
    for Together { case, findings, discards } in together {
        save(config, &in_rounds, &case, &findings)?;
        examined.company.extend(findings);
        if let Some(report) = examined.reports.first_mut() {
            for (kind, n) in discards {
                *report.discards.entry(kind).or_default() += n;
            }
        }
    }
    Ok(examined)
}

/// Writes findings; `in_rounds` are the subjects that run a case more than once, if any are asked to.
fn save(
    config: &WorkerConfig,
    in_rounds: &[String],
    case: &Case,
    findings: &[FindingRecord],
) -> Result<(), String> {
    let Some(dir) = &config.findings else { return Ok(()) };
    for finding in findings {
        let mut finding = finding.clone();
        if config.warm_up > 0 && finding.subjects.iter().any(|name| in_rounds.contains(name)) {
            finding.text.push_str(&format!("\nfound with --warm-up {}", config.warm_up));
        }
        findings::save(dir, case, &finding)
            .map_err(|error| format!("cannot write a finding to {}: {error}", dir.display()))?;
    }
    Ok(())
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
