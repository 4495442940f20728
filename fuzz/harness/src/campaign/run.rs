//! The campaign itself: one thread and one child a job.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::Case;

use super::findings;
use super::pool::{Death, Worker, WorkerCommand};
use super::protocol::{FindingRecord, Reply, Request};
use super::state::State;
use super::summary::{FoundAgain, Summary};

/// A campaign's settings.
#[derive(Clone, Debug)]
pub struct CampaignConfig {
    /// How long; none = until stopped.
    pub time: Option<Duration>,
    /// How many cases at most; none = no limit.
    pub cases: Option<u64>,
    /// Seed; the same seed and generators give the same cases in the same order of numbers.
    pub seed: u64,
    /// Child workers.
    pub jobs: usize,
    /// Names of the generators, taken in turn.
    pub generators: Vec<String>,
    /// Schedules that each program runs under, at least 1.
    pub schedules: u64,
    /// How to start a worker.
    pub worker: WorkerCommand,
    /// Output folder: `findings/*.wast`, `running/*.wast`.
    pub out: PathBuf,
    /// Limit for one case on all subjects.
    pub case_limit: Duration,
    /// Stop at the first finding.
    pub stop_at_first: bool,
    /// What is written down for a campaign that goes on where this one was killed; its `next` is the first case's number.
    pub state: State,
}

/// Why a campaign could not go on. What was found so far is on disk.
#[derive(Debug)]
pub enum CampaignError {
    /// The output folder cannot be used.
    Folder(PathBuf, std::io::Error),
    /// Workers do not start, or refuse requests.
    Worker(String),
}

impl std::fmt::Display for CampaignError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CampaignError::Folder(path, error) => write!(f, "{}: {error}", path.display()),
            CampaignError::Worker(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for CampaignError {}

/// A campaign under way; shared by its threads and whoever shows progress.
#[derive(Debug)]
pub struct Campaign {
    config: CampaignConfig,
    start: Instant,
    next: AtomicU64,
    /// Numbers of the cases under way.
    under_way: Mutex<BTreeSet<u64>>,
    stop: AtomicBool,
    left_over: Mutex<Vec<PathBuf>>,
    summary: Mutex<Summary>,
    failure: Mutex<Option<CampaignError>>,
    /// Held while the campaign lives: two campaigns in one folder would take each other's cases.
    _lock: fs::File,
}

impl Campaign {
    /// Prepares the output folder; cases that a killed campaign left in `running/` will be examined first.
    ///
    /// # Errors
    /// `Folder`.
    pub fn new(config: CampaignConfig) -> Result<Campaign, CampaignError> {
        let in_folder = |path: &Path, error| CampaignError::Folder(path.to_owned(), error);
        let (running, found) = (config.out.join("running"), config.out.join("findings"));
        for dir in [&running, &found] {
            fs::create_dir_all(dir).map_err(|error| in_folder(dir, error))?;
        }
        let lock_path = config.out.join("lock");
        let lock = fs::File::create(&lock_path).map_err(|error| in_folder(&lock_path, error))?;
        if let Err(error) = lock.try_lock() {
            let error = match error {
                fs::TryLockError::WouldBlock => std::io::Error::other("another campaign uses this folder"),
                fs::TryLockError::Error(error) => error,
            };
            return Err(in_folder(&lock_path, error));
        }
        let mut left_over = Vec::new();
        for entry in fs::read_dir(&running).map_err(|error| in_folder(&running, error))? {
            let path = entry.map_err(|error| in_folder(&running, error))?.path();
            if path.extension().is_some_and(|e| e == "wast" || e == "left-over") {
                left_over.push(path);
            }
        }
        // Out of the way of the new campaign's own files, under names that no older one has.
        for path in left_over.iter_mut().filter(|path| path.extension().is_some_and(|e| e == "wast")) {
            let kept = (0u64..)
                .map(|n| path.with_extension(format!("{n}.left-over")))
                .find(|kept| !kept.exists())
                .unwrap_or_else(|| path.clone());
            fs::rename(&*path, &kept).map_err(|error| in_folder(path, error))?;
            *path = kept;
        }
        let summary = Summary { seed: config.seed, ..Summary::default() };
        let first = config.state.next;
        Ok(Campaign {
            config,
            start: Instant::now(),
            next: AtomicU64::new(first),
            under_way: Mutex::default(),
            stop: AtomicBool::new(false),
            left_over: Mutex::new(left_over),
            summary: Mutex::new(summary),
            failure: Mutex::new(None),
            _lock: lock,
        })
    }

    /// Where findings go.
    pub fn findings_dir(&self) -> PathBuf {
        self.config.out.join("findings")
    }

    /// Asks the campaign to end after the cases at hand.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// A copy of the totals so far.
    pub fn snapshot(&self) -> Summary {
        lock(&self.summary).clone()
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Runs to the end; `progress` is called from the calling thread about four times a second.
    ///
    /// # Errors
    /// `Worker` when children cannot work at all; findings made until then are on disk.
    pub fn run(&self, mut progress: impl FnMut(&Campaign)) -> Result<Summary, CampaignError> {
        thread::scope(|scope| {
            let jobs: Vec<_> =
                (0..self.config.jobs.max(1)).map(|job| scope.spawn(move || self.work(job))).collect();
            let mut written = Instant::now();
            while !jobs.iter().all(|job| job.is_finished()) {
                thread::sleep(Duration::from_millis(50));
                progress(self);
                if written.elapsed() > Duration::from_millis(500) {
                    self.write_state();
                    written = Instant::now();
                }
            }
        });
        self.write_state();
        if let Some(failure) = lock(&self.failure).take() {
            return Err(failure);
        }
        let mut summary = self.snapshot();
        summary.close(self.elapsed());
        Ok(summary)
    }

    /// Whoever goes on begins with the first case that is not done.
    fn write_state(&self) {
        let under_way = lock(&self.under_way).first().copied();
        let next = under_way.unwrap_or(u64::MAX).min(self.next.load(Ordering::Relaxed));
        let next = self.config.cases.map_or(next, |limit| next.min(limit.max(self.config.state.next)));
        let state = State { next, ..self.config.state.clone() };
        if let Err(error) = state.write(&self.config.out) {
            self.fail(CampaignError::Folder(State::path(&self.config.out), error));
        }
    }

    fn work(&self, job: usize) {
        let running = self.config.out.join("running").join(format!("{job}.wast"));
        let mut worker = None;
        let mut starts_failed = 0;
        let mut numbers = 0..0;
        while !self.over() {
            // Before a case is taken, so that none is lost when workers do not start.
            let alive = match worker.take().map_or_else(|| Worker::start(&self.config.worker), Ok) {
                Ok(alive) => alive,
                Err(death) => {
                    starts_failed += 1;
                    if starts_failed >= 3 {
                        return self.fail(CampaignError::Worker(death.to_string()));
                    }
                    continue;
                }
            };
            self.note_subjects(&alive);
            let Some(task) = self.take(&running, &mut numbers) else {
                alive.finish();
                break;
            };
            if task.left_over.is_none() {
                // The last case's file must not pass for this one's; it is missing before the first.
                let _ = fs::remove_file(&running);
            }
            match alive.ask(&task.request, self.config.case_limit) {
                Ok((alive, Reply::Examined(report))) => {
                    starts_failed = 0;
                    worker = Some(alive);
                    lock(&self.summary).add(&task.generator, &report);
                    for finding in &report.findings {
                        self.found(finding, &task, None);
                    }
                }
                Ok((alive, Reply::Refused(why))) if task.left_over.is_some() => {
                    // Kept for people, under a name that no campaign takes up again.
                    worker = Some(alive);
                    eprintln!("{}: not examined: {why}", task.case.display());
                    if let Err(error) = fs::rename(&task.case, task.case.with_extension("unreadable")) {
                        return self.fail(CampaignError::Folder(task.case, error));
                    }
                }
                Ok((_, reply)) => return self.fail(CampaignError::Worker(format!("worker: {reply:?}"))),
                Err(death) => self.buried(&task, &death),
            }
            if let Some(number) = task.number {
                lock(&self.under_way).remove(&number);
            }
            if let Some(left_over) = &task.left_over {
                // It has been examined and its findings are saved; failing to remove it only repeats that work.
                let _ = fs::remove_file(left_over);
            }
        }
        if let Some(alive) = worker {
            alive.finish();
        }
        // Nothing is running here any more; a missing file is as good.
        let _ = fs::remove_file(&running);
    }

    fn over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.config.time.is_some_and(|limit| self.elapsed() >= limit)
    }

    /// The next case of a job, whose `numbers` are all of one program: the job's worker has it compiled.
    fn take(&self, running: &Path, numbers: &mut Range<u64>) -> Option<Task> {
        if let Some(path) = lock(&self.left_over).pop() {
            let request = Request::Examine { path: path.clone() };
            return Some(Task {
                generator: "left over".into(),
                request,
                case: path.clone(),
                left_over: Some(path),
                number: None,
            });
        }
        let schedules = self.config.schedules.max(1);
        if numbers.is_empty() {
            // Numbers are under way before others can be taken.
            let mut under_way = lock(&self.under_way);
            let first = self.next.load(Ordering::Relaxed);
            let behind = (first / schedules + 1) * schedules;
            self.next.store(behind, Ordering::Relaxed);
            *numbers = first..behind;
            under_way.extend(numbers.clone());
        }
        let number = numbers.next()?;
        if self.config.cases.is_some_and(|limit| number >= limit) {
            lock(&self.under_way).remove(&number);
            return None;
        }
        let (program, schedule) = (number / schedules, number % schedules);
        let generator =
            self.config.generators[(program % self.config.generators.len() as u64) as usize].clone();
        let seed = case_seed(self.config.seed, program);
        let running_case = running.to_owned();
        let request =
            Request::Generate { generator: generator.clone(), seed, schedule, running: running_case };
        Some(Task { generator, request, case: running.to_owned(), left_over: None, number: Some(number) })
    }

    /// A worker died of a case: that is a finding, whose case stands where it was running.
    fn buried(&self, task: &Task, death: &Death) {
        let text = death.to_string();
        let kind = match death {
            Death::Timeout(_) => HANG,
            Death::NotStarted(_) | Death::Signal { .. } | Death::Exit { .. } | Death::Garbled { .. } => {
                WORKER_DIED
            }
        };
        let first_line = text.lines().next().unwrap_or_default().to_owned();
        let finding = FindingRecord {
            kind: kind.into(),
            key: format!("{kind}: {first_line} {}", panic_place(&text)),
            subjects: lock(&self.summary).subjects.clone(),
            step: None,
            text,
        };
        let case =
            fs::read_to_string(&task.case).ok().and_then(|text| Case::parse(&text, "running case").ok());
        lock(&self.summary).cases += 1;
        self.found(&finding, task, case.as_ref());
    }

    fn found(&self, finding: &FindingRecord, task: &Task, case: Option<&Case>) {
        let dir = self.findings_dir();
        let path = match case {
            Some(case) => findings::save(&dir, case, finding).map(|(path, _)| path),
            // The worker wrote it.
            None if finding.step.is_some() || !is_death(finding) => {
                Ok(dir.join(findings::file_name(finding)))
            }
            // The worker died before the case was on disk: what is known is the seed.
            None => {
                let path = dir.join(findings::file_name(finding)).with_extension("txt");
                let text = format!("{}\n{}: {}\n", task.describe(), finding.kind, finding.text);
                findings::write_whole(&path, &text).map(|()| path)
            }
        };
        let path = match path {
            Ok(path) => path,
            Err(error) => return self.fail(CampaignError::Folder(dir, error)),
        };
        let after = self.elapsed().as_secs_f64();
        let text = format!(
            "{} [{}] {}",
            finding.kind,
            task.describe(),
            finding.text.lines().next().unwrap_or_default()
        );
        let mut summary = lock(&self.summary);
        summary
            .findings
            .entry(finding.key.clone())
            .and_modify(|known| known.times += 1)
            .or_insert(FoundAgain { times: 1, path, text, after });
        if self.config.stop_at_first {
            self.stop();
        }
    }

    fn note_subjects(&self, worker: &Worker) {
        let mut summary = lock(&self.summary);
        if summary.subjects.is_empty() {
            summary.subjects = worker.subjects.clone();
            summary.engines = worker.engines.clone();
        }
    }

    fn fail(&self, error: CampaignError) {
        lock(&self.failure).get_or_insert(error);
        self.stop();
    }
}

fn is_death(finding: &FindingRecord) -> bool {
    finding.kind == HANG || finding.kind == WORKER_DIED
}

/// Kind of a finding: no reply in time.
const HANG: &str = "Hang";
/// Kind of a finding: the worker is dead.
const WORKER_DIED: &str = "WorkerDied";

/// One case to examine.
struct Task {
    generator: String,
    request: Request,
    case: PathBuf,
    left_over: Option<PathBuf>,
    /// Of a generated case.
    number: Option<u64>,
}

impl Task {
    fn describe(&self) -> String {
        match &self.request {
            Request::Generate { generator, seed, schedule: 0, .. } => format!("{generator} seed {seed}"),
            Request::Generate { generator, seed, schedule, .. } => {
                format!("{generator} seed {seed} schedule {schedule}")
            }
            Request::Examine { path } | Request::Observe { path } => path.display().to_string(),
        }
    }
}

/// Seed of program `number` (splitmix64 of both).
pub(crate) fn case_seed(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `file:line` of a panic message, so that different panics are different findings.
fn panic_place(stderr: &str) -> &str {
    stderr
        .lines()
        .find_map(|line| line.split_once("panicked at ").map(|(_, place)| place.trim_end_matches(':')))
        .unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
