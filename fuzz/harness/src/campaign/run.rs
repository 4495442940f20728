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
use crate::frames::place_of_death;

use super::findings;
use super::pool::{Death, Worker, WorkerCommand};
use super::protocol::{Examined, FindingRecord, Reply, Request, Wanted};
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
    /// Cases that a worker gets at once.
    pub batch: usize,
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
        left_over.sort();
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
        let mut worker = None;
        let mut numbers = 0..0;
        while !self.over() {
            // Before cases are taken, so that none is lost when workers do not start.
            let Some(alive) = worker.take().or_else(|| self.start()) else { return };
            let tasks = self.take(job, &mut numbers);
            if tasks.is_empty() {
                alive.finish();
                return;
            }
            worker = self.examine(alive, &tasks);
            if lock(&self.failure).is_some() {
                // They may not have been examined.
                return;
            }
            for task in &tasks {
                if let Some(number) = task.number {
                    lock(&self.under_way).remove(&number);
                }
                // It has been examined and its findings are saved; failing to remove it only repeats that work. A missing file is as good.
                let _ = fs::remove_file(&task.case);
            }
        }
        if let Some(alive) = worker {
            alive.finish();
        }
    }

    /// A new worker; none, and the campaign fails, when none starts.
    fn start(&self) -> Option<Worker> {
        let mut tries = 1;
        loop {
            match Worker::start(&self.config.worker) {
                Ok(alive) => {
                    self.note_subjects(&alive);
                    return Some(alive);
                }
                Err(death) if tries >= 3 => {
                    self.fail(CampaignError::Worker(death.to_string()));
                    return None;
                }
                Err(_) => tries += 1,
            }
        }
    }

    /// Has the cases examined, all at once; the worker, if it is still good.
    fn examine(&self, alive: Worker, tasks: &[Task]) -> Option<Worker> {
        let request = Request::Examine(tasks.iter().map(|task| task.wanted.clone()).collect());
        let limit = self.config.case_limit * u32::try_from(tasks.len()).unwrap_or(u32::MAX);
        match (alive.ask(&request, limit), tasks) {
            (Ok((alive, Reply::Examined(Examined { reports, company }))), _)
                if reports.len() == tasks.len() =>
            {
                for (task, report) in tasks.iter().zip(&reports) {
                    lock(&self.summary).add(&task.generator, report);
                    for finding in &report.findings {
                        self.found(finding, &task.describe(), None);
                    }
                }
                for finding in &company {
                    self.found(finding, &describe(tasks), None);
                }
                Some(alive)
            }
            (Ok((alive, Reply::Refused(why))), [task]) if task.left_over => {
                // Kept for people, under a name that no campaign takes up again.
                eprintln!("{}: not examined: {why}", task.case.display());
                if let Err(error) = fs::rename(&task.case, task.case.with_extension("unreadable")) {
                    self.fail(CampaignError::Folder(task.case.clone(), error));
                }
                Some(alive)
            }
            (Ok((alive, Reply::Refused(_))), [_, _, ..]) => {
                self.one_by_one(Some(alive), tasks);
                None
            }
            (Ok((_, reply)), _) => {
                self.fail(CampaignError::Worker(format!("worker: {reply:?}")));
                None
            }
            (Err(death), [task]) => {
                lock(&self.summary).cases += 1;
                self.found_dead(&death, |finding| finding, &task.describe(), task.read().as_ref());
                None
            }
            (Err(death), _) => {
                if self.one_by_one(None, tasks) {
                    let cases: Option<Vec<Case>> = tasks.iter().map(Task::read).collect();
                    let together = cases.map(|cases| Case::together(&cases));
                    let of_company = |finding| findings::of_company(tasks.len(), finding);
                    self.found_dead(&death, of_company, &describe(tasks), together.as_ref());
                }
                None
            }
        }
    }

    /// Has each case examined by itself; whether no worker died of it.
    fn one_by_one(&self, mut worker: Option<Worker>, tasks: &[Task]) -> bool {
        let mut all_well = true;
        for task in tasks {
            let Some(alive) = worker.take().or_else(|| self.start()) else { return false };
            worker = self.examine(alive, std::slice::from_ref(task));
            all_well &= worker.is_some();
        }
        if let Some(alive) = worker {
            alive.finish();
        }
        all_well
    }

    fn over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.config.time.is_some_and(|limit| self.elapsed() >= limit)
    }

    /// The next cases of a job; none when there are no more. Its `numbers` are whole programs with all their schedules: the job's worker has
    /// them compiled.
    fn take(&self, job: usize, numbers: &mut Range<u64>) -> Vec<Task> {
        let batch = self.config.batch.max(1);
        let left_over = {
            let mut left_over = lock(&self.left_over);
            // Those that were under way together.
            let job = left_over.last().map(|path| job_of(path));
            let others =
                left_over.iter().rev().take(batch).take_while(|path| Some(job_of(path)) == job).count();
            let first = left_over.len() - others;
            left_over.split_off(first)
        };
        if !left_over.is_empty() {
            let task = |path: PathBuf| Task {
                generator: "left over".into(),
                wanted: Wanted::File { path: path.clone() },
                case: path,
                left_over: true,
                number: None,
            };
            return left_over.into_iter().map(task).collect();
        }
        let schedules = self.config.schedules.max(1);
        if numbers.is_empty() {
            // Numbers are under way before others can be taken.
            let mut under_way = lock(&self.under_way);
            let first = self.next.load(Ordering::Relaxed);
            let unit = schedules.max(batch as u64);
            let end = (first / unit + 1) * unit;
            let end = self.config.cases.map_or(end, |limit| end.min(limit)).max(first);
            self.next.store(end, Ordering::Relaxed);
            under_way.extend(first..end);
            *numbers = first..end;
        }
        let taken = numbers.start..numbers.end.min(numbers.start + batch as u64);
        numbers.start = taken.end;
        let running = self.config.out.join("running");
        let task = |(place, number): (usize, u64)| {
            let case = if batch == 1 { format!("{job}.wast") } else { format!("{job}.{place:03}.wast") };
            let case = running.join(case);
            // The last case's file must not pass for this one's; it is missing before the first.
            let _ = fs::remove_file(&case);
            let (program, schedule) = (number / schedules, number % schedules);
            let turn = (program % self.config.generators.len() as u64) as usize;
            let generator = self.config.generators[turn].clone();
            let seed = case_seed(self.config.seed, program);
            let wanted =
                Wanted::Generate { generator: generator.clone(), seed, schedule, running: case.clone() };
            Task { generator, wanted, case, left_over: false, number: Some(number) }
        };
        taken.enumerate().map(|(place, number)| task((place, number))).collect()
    }

    /// A worker died of what it was given, which is a finding: the case as it stands where it was running.
    fn found_dead(
        &self,
        death: &Death,
        told: impl Fn(FindingRecord) -> FindingRecord,
        described: &str,
        case: Option<&Case>,
    ) {
        let text = death.to_string();
        let kind = match death {
            Death::Timeout(_) => HANG,
            Death::NotStarted(_) | Death::Signal { .. } | Death::Exit { .. } | Death::Garbled { .. } => {
                WORKER_DIED
            }
        };
        let first_line = text.lines().next().unwrap_or_default().to_owned();
        let finding = told(FindingRecord {
            kind: kind.into(),
            key: format!("{kind}: {first_line} {}", place_of_death(&text)),
            subjects: lock(&self.summary).subjects.clone(),
            step: None,
            text,
        });
        self.found(&finding, described, case);
    }

    fn found(&self, finding: &FindingRecord, described: &str, case: Option<&Case>) {
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
                let text = format!("{described}\n{}: {}\n", finding.kind, finding.text);
                findings::write_whole(&path, &text).map(|()| path)
            }
        };
        let path = match path {
            Ok(path) => path,
            Err(error) => return self.fail(CampaignError::Folder(dir, error)),
        };
        let after = self.elapsed().as_secs_f64();
        let text =
            format!("{} [{described}] {}", finding.kind, finding.text.lines().next().unwrap_or_default());
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
    wanted: Wanted,
    case: PathBuf,
    /// By a campaign that was killed.
    left_over: bool,
    /// Of a generated case.
    number: Option<u64>,
}

impl Task {
    fn describe(&self) -> String {
        match &self.wanted {
            Wanted::Generate { generator, seed, schedule: 0, .. } => format!("{generator} seed {seed}"),
            Wanted::Generate { generator, seed, schedule, .. } => {
                format!("{generator} seed {seed} schedule {schedule}")
            }
            Wanted::File { path } => path.display().to_string(),
        }
    }

    /// The case, if it is on disk.
    fn read(&self) -> Option<Case> {
        Case::parse(&fs::read_to_string(&self.case).ok()?, "running case").ok()
    }
}

/// The job that was running the case in this file, by its name.
fn job_of(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.split('.').next().unwrap_or_default().to_owned()
}

fn describe(tasks: &[Task]) -> String {
    tasks.iter().map(Task::describe).collect::<Vec<_>>().join(", ")
}

/// Seed of program `number` (splitmix64 of both).
pub(crate) fn case_seed(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
