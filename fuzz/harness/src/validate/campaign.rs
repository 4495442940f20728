//! Many modules on all validators, on every core, counted; each disagreement written down once.
//!
//! Jobs are threads: no validator may run for ever, so a module that takes longer than [`Config::limit`] ends the
//! campaign as a finding. Disagreements are written when they are found, so an interrupt loses none.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use assay_interp::Rule;
use serde::Serialize;

use super::{Base, Input, Judgement, Kind, Origin, Seeds, Stage, Verdict, input, judge_watched};
use crate::generate::SplitMix64;

/// Bytes that make one module.
const INPUT_BYTES: usize = 1 << 12;

/// A campaign's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// When to end; none = when interrupted.
    pub time: Option<Duration>,
    /// End after this many modules, 0 = no limit.
    pub cases: u64,
    /// Seed of the inputs.
    pub seed: u64,
    /// Threads, 0 = one per core.
    pub jobs: usize,
    /// Folder for disagreements.
    pub out: PathBuf,
    /// Modules to mutate beside the crate's own; those that a validator refuses are judged and left out.
    pub seeds: Vec<Vec<u8>>,
    /// End at the first disagreement.
    pub stop_at_first: bool,
    /// Time for one module.
    pub limit: Duration,
}

/// A module on which the validators disagree.
#[derive(Clone, Debug, Serialize)]
pub struct Disagreement {
    /// What the interpreter's validator says.
    pub ours: String,
    /// What wasmparser says.
    pub theirs: String,
    /// What the JIT's front end says.
    pub jit: String,
    /// Seconds since the start.
    pub after: f64,
    /// How many modules had the same key.
    pub count: u64,
    /// The smallest of them.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: usize,
}

/// How often a rule refused a mutant that wasmparser refuses too.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Refusals {
    /// Mutants.
    pub count: u64,
    /// Seconds since the start until the first.
    pub after: f64,
}

/// What became of the modules of one origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Modules.
    pub modules: u64,
    /// Valid for all.
    pub accepted: u64,
    /// Refused by our decoder.
    pub malformed: u64,
    /// Refused by our validation proper.
    pub invalid: u64,
    /// Beyond a limit of one of them.
    pub limit: u64,
}

impl std::ops::AddAssign for Share {
    fn add_assign(&mut self, other: Share) {
        self.modules += other.modules;
        self.accepted += other.accepted;
        self.malformed += other.malformed;
        self.invalid += other.invalid;
        self.limit += other.limit;
    }
}

/// What a campaign did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Seed.
    pub seed: u64,
    /// Seconds.
    pub seconds: f64,
    /// Modules judged.
    pub modules: u64,
    /// Seeds that were mutated.
    pub seeds: usize,
    /// By origin: whole modules, and the mutants of modules that all accept.
    pub origins: BTreeMap<String, Share>,
    /// Mutants of modules that a validator refuses, which are judged and not counted further.
    pub baseless: u64,
    /// The mutants counted, by what was mutated first.
    pub kinds: BTreeMap<String, Share>,
    /// By rule, what it refused of the mutants counted.
    pub rules: BTreeMap<&'static str, Refusals>,
    /// Rules that refused no such mutant.
    pub silent: Vec<&'static str>,
    /// Disagreements that the specification has settled, by name.
    pub settled: BTreeMap<&'static str, u64>,
    /// Pairs of verdicts on modules, on bases that are not seeds, and on modules that were to be seeds, of which a limit of one left
    /// nothing to compare: by pair and limit.
    pub uncompared: BTreeMap<String, u64>,
    /// By key.
    pub disagreements: BTreeMap<String, Disagreement>,
}

impl Summary {
    /// All mutants of modules that all accept.
    pub fn mutants(&self) -> Share {
        let mut sum = Share::default();
        for origin in [Origin::Types, Origin::Bytes] {
            sum += self.origins.get(&origin.to_string()).copied().unwrap_or_default();
        }
        sum
    }

    /// Whether each rule has refused a mutant and of the mutants a quarter was accepted and a quarter refused by validation
    /// proper.
    pub fn covers(&self) -> bool {
        let mutants = self.mutants();
        self.silent.is_empty()
            && mutants.accepted * 4 >= mutants.modules
            && mutants.invalid * 4 >= mutants.modules
    }

    fn count_uncompared(&mut self, verdict: &Verdict) {
        for pair in verdict.uncompared() {
            *self.uncompared.entry(pair).or_default() += 1;
        }
    }

    /// Counts a module that was judged `after` seconds; `based` unless it is a mutant of a module that one of them refuses.
    fn count(&mut self, input: &Input, based: bool, verdict: &Verdict, after: f64) {
        self.modules += 1;
        if let Some(name) = verdict.settled {
            *self.settled.entry(name).or_default() += 1;
        }
        if !based {
            self.baseless += 1;
            return;
        }
        let mut shares = vec![self.origins.entry(input.origin.to_string()).or_default()];
        if let Some(kind) = input.kinds.first() {
            shares.push(self.kinds.entry(format!("{kind:?}")).or_default());
        }
        for share in shares {
            share.modules += 1;
            match (&verdict.ours, &verdict.theirs) {
                (Judgement::Limit(_), _) | (_, Judgement::Limit(_)) => share.limit += 1,
                (Judgement::Accepted, _) => share.accepted += 1,
                (Judgement::Malformed(_), _) => share.malformed += 1,
                (Judgement::Invalid(..) | Judgement::Rejected(_), _) => share.invalid += 1,
                (Judgement::Crashed(_), _) => {}
            }
        }
        if let (Origin::Types | Origin::Bytes, Judgement::Invalid(Some(rule), _), Judgement::Rejected(_)) =
            (input.origin, &verdict.ours, &verdict.theirs)
        {
            self.rules.entry(rule.name()).or_insert(Refusals { count: 0, after }).count += 1;
        }
    }
}

/// Where a campaign stands.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Modules judged.
    pub modules: u64,
    /// Different disagreements.
    pub disagreements: usize,
    /// Rules that have rejected something.
    pub rules: usize,
}

struct Shared {
    summary: Mutex<Summary>,
    stop: AtomicBool,
    failed: Mutex<Option<io::Error>>,
    current: Vec<Current>,
    seeds: Seeds,
    config: Config,
    start: Instant,
}

/// What a job works on, for the watch.
type Current = Mutex<Option<Work>>;

#[derive(Clone, Debug)]
struct Work {
    since: Instant,
    /// The module's number, which with the campaign's seed and seeds makes it again.
    number: u64,
    stage: Stage,
    /// Whether it is the module that the mutant was made from.
    is_base: bool,
    /// None while it is made.
    input: Option<Input>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a campaign until its time or its cases are over or `interrupted` says so. `progress` is called every
/// 50 ms.
///
/// # Errors
/// Those of writing disagreements.
pub fn run(
    config: &Config,
    interrupted: &(dyn Fn() -> bool + Sync),
    progress: &mut dyn FnMut(Progress),
) -> io::Result<Summary> {
    fs::create_dir_all(&config.out)?;
    let start = Instant::now();
    let jobs = match config.jobs {
        0 => thread::available_parallelism().map_or(1, usize::from),
        jobs => jobs,
    };
    let mut summary = Summary { seed: config.seed, ..Summary::default() };
    let seeds = seeds(config, &mut summary, start)?;
    summary.seeds = seeds.count();
    let shared = Arc::new(Shared {
        summary: Mutex::new(summary),
        stop: AtomicBool::new(false),
        failed: Mutex::new(None),
        current: (0..jobs).map(|_| Mutex::new(None)).collect(),
        seeds,
        config: config.clone(),
        start,
    });
    let mut threads = Vec::new();
    for job in 0..jobs {
        let shared = Arc::clone(&shared);
        let builder = thread::Builder::new().name(format!("validate-{job}"));
        threads.push(builder.spawn(move || work(&shared, job))?);
    }
    loop {
        thread::sleep(Duration::from_millis(50));
        let done = {
            let summary = lock(&shared.summary);
            progress(Progress {
                modules: summary.modules,
                disagreements: summary.disagreements.len(),
                rules: summary.rules.len(),
            });
            config.cases > 0 && summary.modules >= config.cases
        };
        if done || interrupted() || config.time.is_some_and(|time| start.elapsed() >= time) {
            shared.stop.store(true, Ordering::Relaxed);
        }
        if let Some(work) = shared.current.iter().find_map(|current| overdue(current, config.limit)) {
            // Its thread cannot be stopped and is left behind.
            shared.stop.store(true, Ordering::Relaxed);
            note(&mut lock(&shared.summary), &config.out, &timeout(work, config.limit), start)?;
            break;
        }
        if threads.iter().all(thread::JoinHandle::is_finished) {
            break;
        }
    }
    if let Some(error) = lock(&shared.failed).take() {
        return Err(error);
    }
    let mut summary = std::mem::take(&mut *lock(&shared.summary));
    summary.seconds = start.elapsed().as_secs_f64();
    let names = Rule::ALL.iter().map(|rule| rule.name());
    summary.silent = names.filter(|name| !summary.rules.contains_key(name)).collect();
    Ok(summary)
}

fn overdue(current: &Current, limit: Duration) -> Option<Work> {
    lock(current).as_ref().filter(|work| work.since.elapsed() > limit).cloned()
}

/// What is noted of work that does not end: nobody's answer is known.
fn timeout(work: Work, limit: Duration) -> Found {
    let (what, stage) = (if work.is_base { "the base" } else { "the module" }, work.stage);
    let crashed = || Judgement::Crashed(format!("{stage:?} of {what} did not end within {limit:?}"));
    let verdict = Verdict { ours: crashed(), theirs: crashed(), jit: crashed(), settled: None };
    let input = work.input.unwrap_or_else(|| whole(Vec::new(), false));
    let input = match input.base {
        Base::Module(base) if work.is_base => whole(base, input.legacy),
        _ => input,
    };
    Found { input, verdict, number: Some(work.number) }
}

fn work(shared: &Shared, job: usize) {
    let (config, current) = (&shared.config, &shared.current[job]);
    let mut bytes = vec![0; INPUT_BYTES];
    let mut next = job as u64;
    while !shared.stop.load(Ordering::Relaxed) {
        // Each module has a number, so the set of modules does not depend on the number of jobs.
        let number = next;
        next += shared.current.len() as u64;
        let mut random = SplitMix64::new(config.seed ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d));
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&random.next().to_le_bytes()[..chunk.len()]);
        }
        let since = Instant::now();
        *lock(current) = Some(Work { since, number, stage: Stage::Making, is_base: false, input: None });
        let input = input(&bytes, &shared.seeds);
        if let Some(work) = &mut *lock(current) {
            work.input = Some(input.clone());
        }
        let judged = |module: &[u8], is_base: bool| {
            judge_watched(module, input.legacy, &|stage| {
                if let Some(work) = &mut *lock(current) {
                    (work.since, work.stage, work.is_base) = (Instant::now(), stage, is_base);
                }
            })
        };
        let verdict = judged(&input.module, false);
        let base = match &input.base {
            Base::None | Base::Seed => None,
            Base::Module(base) => Some((base.clone(), judged(base, true))),
        };
        *lock(current) = None;
        let mut summary = lock(&shared.summary);
        let based = base.as_ref().is_none_or(|(_, verdict)| verdict.accepted());
        summary.count(&input, based, &verdict, shared.start.elapsed().as_secs_f64());
        let base = base.map(|(base, verdict)| (whole(base, input.legacy), verdict));
        for (input, verdict) in base.into_iter().chain([(input, verdict)]) {
            summary.count_uncompared(&verdict);
            if verdict.agrees() {
                continue;
            }
            let found = Found { input, verdict, number: Some(number) };
            if let Err(error) = note(&mut summary, &config.out, &found, shared.start) {
                *lock(&shared.failed) = Some(error);
                shared.stop.store(true, Ordering::Relaxed);
            }
            if config.stop_at_first {
                shared.stop.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// The seeds that can be mutated; a disagreement on another is noted.
fn seeds(config: &Config, summary: &mut Summary, start: Instant) -> io::Result<Seeds> {
    let mut seeds = Seeds::default();
    for module in &config.seeds {
        let Err(verdicts) = seeds.add(module) else { continue };
        for (legacy, verdict) in [false, true].into_iter().zip(*verdicts) {
            summary.count_uncompared(&verdict);
            if !verdict.agrees() {
                let input = whole(module.clone(), legacy);
                note(summary, &config.out, &Found { input, verdict, number: None }, start)?;
            }
        }
    }
    Ok(seeds)
}

fn whole(module: Vec<u8>, legacy: bool) -> Input {
    Input { module, origin: Origin::Whole, kinds: Vec::new(), legacy, base: Base::None }
}

/// A disagreement to note.
struct Found {
    input: Input,
    verdict: Verdict,
    /// The module's number in the campaign; none for a seed.
    number: Option<u64>,
}

/// Keeps the smallest module of each key.
fn note(summary: &mut Summary, out: &Path, found: &Found, start: Instant) -> io::Result<()> {
    let Found { input, verdict, .. } = found;
    let key = verdict.key();
    if let Some(known) = summary.disagreements.get_mut(&key) {
        known.count += 1;
        if known.bytes <= input.module.len() {
            return Ok(());
        }
        fs::write(&known.path, &input.module)?;
        known.bytes = input.module.len();
        (known.ours, known.theirs) = (verdict.ours.to_string(), verdict.theirs.to_string());
        known.jit = verdict.jit.to_string();
        return fs::write(known.path.with_extension("txt"), text(found, summary.seed));
    }
    let slug: String =
        key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(60).collect();
    let path = out.join(format!("{:03}-{slug}.wasm", summary.disagreements.len()));
    fs::write(&path, &input.module)?;
    fs::write(path.with_extension("txt"), text(found, summary.seed))?;
    let disagreement = Disagreement {
        ours: verdict.ours.to_string(),
        theirs: verdict.theirs.to_string(),
        jit: verdict.jit.to_string(),
        after: start.elapsed().as_secs_f64(),
        count: 1,
        path,
        bytes: input.module.len(),
    };
    summary.disagreements.insert(key, disagreement);
    Ok(())
}

fn text(found: &Found, seed: u64) -> String {
    let Found { input, verdict, number } = found;
    let kinds: Vec<String> = input.kinds.iter().map(|kind: &Kind| format!("{kind:?}")).collect();
    let number = number.map_or_else(|| "a seed".to_owned(), |number| format!("{number} of seed {seed}"));
    let (origin, legacy) = (input.origin, input.legacy);
    format!(
        "{verdict}origin:       {origin} {}\nlegacy:       {legacy}\nnumber:       {number}\n",
        kinds.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_counts_for_a_mutant_of_a_valid_base_that_both_refuse() {
        let ours = || Judgement::Invalid(Some(Rule::Drop), String::new());
        let refused = || Judgement::Rejected(String::new());
        let verdict = |theirs: Judgement| Verdict { ours: ours(), theirs, jit: ours(), settled: None };
        let mutant = Input { origin: Origin::Types, base: Base::Seed, ..whole(Vec::new(), false) };
        let mut summary = Summary::default();
        summary.count(&whole(Vec::new(), false), true, &verdict(refused()), 1.0);
        summary.count(&mutant, false, &verdict(refused()), 2.0);
        summary.count(&mutant, true, &verdict(Judgement::Accepted), 3.0);
        assert!(summary.rules.is_empty(), "{:?}", summary.rules);
        summary.count(&mutant, true, &verdict(refused()), 4.0);
        summary.count(&mutant, true, &verdict(refused()), 5.0);
        assert_eq!(summary.rules[Rule::Drop.name()], Refusals { count: 2, after: 4.0 });
        assert_eq!((summary.mutants().modules, summary.baseless, summary.modules), (3, 1, 5));
    }

    #[test]
    fn a_timeout_keeps_what_makes_it_again() {
        let mutant = Input {
            module: vec![1],
            origin: Origin::Types,
            kinds: vec![Kind::Order],
            legacy: true,
            base: Base::Module(vec![2]),
        };
        let work = |is_base, input| {
            let since = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
            Mutex::new(Some(Work { since, number: 7, stage: Stage::Jit, is_base, input }))
        };
        let current = work(false, Some(mutant.clone()));
        assert!(overdue(&current, Duration::from_secs(3600)).is_none());
        let found = timeout(overdue(&current, Duration::ZERO).unwrap(), Duration::ZERO);
        assert_eq!((&found.input.module, found.input.legacy), (&vec![1], true));
        let text = text(&found, 5);
        for line in ["crashed: Jit of the module did not end", "type-mutated Order", "true", "7 of seed 5"] {
            assert!(text.contains(line), "{text}");
        }
        let found = timeout(lock(&work(true, Some(mutant))).clone().unwrap(), Duration::ZERO);
        assert_eq!((&found.input.module, found.input.origin), (&vec![2], Origin::Whole));
        assert!(found.verdict.to_string().contains("of the base"), "{}", found.verdict);
        let found = timeout(lock(&work(false, None)).clone().unwrap(), Duration::ZERO);
        assert_eq!((found.input.module.len(), found.number), (0, Some(7)));
    }

    #[test]
    fn origins_have_names() {
        assert_eq!(Origin::ALL.map(|origin| origin.to_string()), ["whole", "type-mutated", "byte-mutated"]);
    }
}
