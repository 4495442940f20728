//! All files on all subjects, in parallel over the files.
//!
//! A job takes a file, makes it a case once and shows it to each subject in turn; each job has subjects of its own, made
//! when first needed and made anew after a panic. Results come out in the order of files and subjects, whatever the
//! number of jobs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use assay_harness::observe::Counters;
use assay_harness::{Case, Features, Subject, subject};
use glob::{Pattern, PatternError};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::run::{Counts, FileResult, FileState, run_case};
use crate::stress::{IdleStress, check_stress, is_stress};
use crate::suite::TestFile;

/// Native stack of a job: deep recursion of a subject must meet the subject's own limit first.
const JOB_STACK: usize = 32 << 20;

/// Makes a subject.
type Make = Box<dyn Fn() -> Result<Box<dyn Subject>, String> + Send + Sync>;

/// A subject that can be made as often as there are jobs.
pub struct SubjectSpec {
    name: String,
    features: Features,
    make: Make,
}

impl SubjectSpec {
    /// A subject by name and features, made by `make`, e.g. in a process of its own.
    pub fn new(
        name: &str,
        features: Features,
        make: impl Fn() -> Result<Box<dyn Subject>, String> + Send + Sync + 'static,
    ) -> SubjectSpec {
        SubjectSpec { name: name.to_owned(), features, make: Box::new(make) }
    }

    /// The subjects that a spelling such as `interp` or `jit:*` stands for, run in this process.
    ///
    /// # Errors
    /// The spelling is wrong; the text lists what exists.
    pub fn parse(spelling: &str) -> Result<Vec<SubjectSpec>, Error> {
        let subjects = subject::parse(spelling).map_err(|e| Error::subject(spelling, e))?;
        let specs = subjects.iter().map(|subject| {
            let name = subject.name().to_owned();
            let again = name.clone();
            SubjectSpec::new(&name, subject.supports(), move || {
                let made = subject::parse(&again).map_err(|e| e.to_string())?;
                made.into_iter().next().ok_or_else(|| format!("`{again}` stands for no subject"))
            })
        });
        Ok(specs.collect())
    }

    /// Its spelling.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it claims.
    pub fn features(&self) -> Features {
        self.features
    }
}

impl std::fmt::Debug for SubjectSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SubjectSpec").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How to run a suite.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Files at a time; 0 = one per processor.
    pub jobs: usize,
    /// Only files whose `dir/file` matches one of these globs; none = all.
    pub filters: Vec<String>,
}

/// Where a run stands, after each file on each subject.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Files times subjects done, this one included.
    pub done: usize,
    /// Of how many.
    pub total: usize,
    /// What was just done.
    pub result: &'a FileResult,
}

/// All results of one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubjectResult {
    /// The subject.
    pub subject: String,
    /// Sum over the files that ran.
    pub counts: Counts,
    /// Sum over the files that ran.
    pub counters: Counters,
    /// In the order of the files.
    pub files: Vec<FileResult>,
}

impl SubjectResult {
    /// Whether a stress run was idle (always fine for subjects without stress).
    ///
    /// # Errors
    /// It allocated without collecting.
    pub fn check_stress(&self) -> Result<(), IdleStress> {
        if is_stress(&self.subject) { check_stress(&self.counters) } else { Ok(()) }
    }

    /// Whether each file is and a stress run was not idle.
    pub fn ok(&self) -> bool {
        self.files.iter().all(FileResult::ok) && self.check_stress().is_ok()
    }

    /// Number of files that were not run.
    pub fn out_of_scope(&self) -> usize {
        self.files.iter().filter(|file| matches!(file.state, FileState::OutOfScope(_))).count()
    }
}

/// A suite on some subjects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SuiteResult {
    /// In the order given.
    pub subjects: Vec<SubjectResult>,
}

impl SuiteResult {
    /// Whether each subject is.
    pub fn ok(&self) -> bool {
        self.subjects.iter().all(SubjectResult::ok)
    }
}

/// The files that `filters` let through.
///
/// # Errors
/// A filter is not a glob, or they let nothing through: a run of nothing must not look like a success.
pub fn filter(files: Vec<TestFile>, filters: &[String]) -> Result<Vec<TestFile>, Error> {
    if filters.is_empty() {
        return Ok(files);
    }
    let mut globs = Vec::new();
    for filter in filters {
        // Taken literally they would quietly match nothing.
        if let Some(pos) = filter.find(['{', '}']) {
            return Err(Error::filter(
                filter,
                PatternError { pos, msg: "no alternatives in braces: give several filters" },
            ));
        }
        globs.push(Pattern::new(filter).map_err(|e| Error::filter(filter, e))?);
    }
    let keep = |file: &TestFile| globs.iter().any(|glob| glob.matches(&file.label()));
    let kept: Vec<TestFile> = files.into_iter().filter(keep).collect();
    if kept.is_empty() { Err(Error::empty_filter(filters)) } else { Ok(kept) }
}

/// Runs `files` on `subjects`. `progress` is called from the jobs' threads, one call at a time.
///
/// # Errors
/// A filter is not a glob or nothing matches. What goes wrong in a file is a result.
pub fn run_suite(
    files: Vec<TestFile>,
    subjects: &[SubjectSpec],
    options: &Options,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<SuiteResult, Error> {
    let files = filter(files, &options.filters)?;
    let jobs = match options.jobs {
        0 => thread::available_parallelism().map_or(1, usize::from),
        jobs => jobs,
    };
    // Long files first, so that no job ends alone with one.
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|&index| (std::cmp::Reverse(files[index].text.len()), index));

    let next = AtomicUsize::new(0);
    let slots: Mutex<Slots> = Mutex::new(Slots { rows: vec![Vec::new(); files.len()], done: 0 });
    let total = files.len() * subjects.len();
    let job = || {
        let mut made: Vec<Option<Box<dyn Subject>>> = subjects.iter().map(|_| None).collect();
        while let Some(&index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let file = &files[index];
            let case = file.case().map_err(|e| e.to_string());
            for (spec, made) in subjects.iter().zip(&mut made) {
                let result = run_on(file, &case, spec, made);
                let mut slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
                slots.done += 1;
                progress(Progress { done: slots.done, total, result: &result });
                slots.rows[index].push(result);
            }
        }
    };
    thread::scope(|scope| {
        for number in 0..jobs.clamp(1, files.len().max(1)) {
            let builder = thread::Builder::new().name(format!("spec-{number}")).stack_size(JOB_STACK);
            if builder.spawn_scoped(scope, job).is_err() && number == 0 {
                // No thread to be had: the caller's own does it.
                job();
            }
        }
    });

    let rows = slots.into_inner().unwrap_or_else(PoisonError::into_inner).rows;
    Ok(collect(subjects, rows))
}

/// Results as they come: per file, in the order of the subjects.
struct Slots {
    rows: Vec<Vec<FileResult>>,
    done: usize,
}

fn run_on(
    file: &TestFile,
    case: &Result<Case, String>,
    spec: &SubjectSpec,
    made: &mut Option<Box<dyn Subject>>,
) -> FileResult {
    if let Some(reason) = file.scope(&spec.features).reason() {
        return FileResult::out_of_scope(file, &spec.name, reason);
    }
    let case = match case {
        Ok(case) => case,
        Err(why) => return FileResult::unreadable(file, &spec.name, why.clone()),
    };
    if made.is_none() {
        match (spec.make)() {
            Ok(subject) => *made = Some(subject),
            Err(why) => return FileResult::unreadable(file, &spec.name, format!("no subject: {why}")),
        }
    }
    let Some(subject) = made.as_mut() else {
        return FileResult::unreadable(file, &spec.name, "no subject".to_owned());
    };
    let result = run_case(file, case, subject.as_mut());
    if result.poisoned {
        *made = None;
    }
    result
}

fn collect(subjects: &[SubjectSpec], rows: Vec<Vec<FileResult>>) -> SuiteResult {
    let mut results: Vec<SubjectResult> = subjects
        .iter()
        .map(|spec| SubjectResult {
            subject: spec.name.clone(),
            counts: Counts::default(),
            counters: Counters::default(),
            files: Vec::new(),
        })
        .collect();
    for row in rows {
        for (result, file) in results.iter_mut().zip(row) {
            result.counts += file.counts;
            result.counters.add(&file.counters);
            result.files.push(file);
        }
    }
    SuiteResult { subjects: results }
}

#[cfg(test)]
mod tests {
    use super::filter;
    use crate::error::ErrorKind;

    #[test]
    fn a_filter_that_says_nothing_is_an_error() {
        let given = |filters: &[&str]| {
            let filters: Vec<String> = filters.iter().map(|filter| (*filter).to_owned()).collect();
            filter(crate::suite::embedded(), &filters).map(|files| files.len()).map_err(|error| error.kind())
        };
        let all = given(&[]).expect("all");
        let (gc, i31) = (given(&["core/gc/*"]).expect("a folder"), given(&["*i31*"]).expect("a file"));
        assert!(i31 > 0 && i31 < gc && gc < all, "{i31} {gc} {all}");
        assert_eq!(given(&["core/gc/*", "core/gc/i31*"]).expect("both"), gc);
        for wrong in ["core/{gc,simd}/*", "[a"] {
            assert!(matches!(given(&[wrong]), Err(ErrorKind::Filter)), "{wrong}");
        }
        assert!(matches!(given(&["no/such*"]), Err(ErrorKind::EmptyFilter)));
    }
}
