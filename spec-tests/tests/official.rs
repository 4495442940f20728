//! The official suite on our own subjects: the embedded files, and a checkout beside the project when there is one.
//!
//! In release every file in scope runs on every subject. In debug, where the subjects are about twenty times slower, the
//! interpreter runs everything and each JIT configuration the GC files plus a spread of core files (see
//! [`in_debug`]); `ci/check.sh` runs release. A floor on the number of assertions per subject fails when coverage
//! falls, whatever the reason.

use std::path::Path;
use std::process::ExitCode;

use assay_spec_tests::suite_run::SubjectResult;
use assay_spec_tests::{Options, SubjectSpec, TestFile, report, run_suite, suite};
use libtest_mimic::{Arguments, Failed, Trial};

/// Subjects that run the whole suite.
const EVERYTHING: &[&str] = &["interp", "jit:*,regalloc=*"];

/// Subjects that run every file that mentions a reference type.
const STRESS: &[&str] = &["jit:*,regalloc=*,gc-stress"];

/// Subjects that run the GC and exception files with a collection at every safepoint: each function's entry, each arrival
/// at a loop's header, each call of the runtime. Then with the modes that change what barriers and collections do, first
/// with inline allocation, then with every mode there is; and each call on a fiber.
const SAFEPOINTS: &[&str] = &[
    "jit:*,every-safepoint,verify",
    "jit:*,every-safepoint,barrier-slow,verify",
    "jit:*,every-safepoint,move-always,verify",
    "jit:*,gc-stress=all",
    "jit:*,fibers,every-safepoint,verify",
];

/// Subjects that run what depends on the processor with code for older ones.
const PROCESSORS: &[&str] = &["jit:copying,opt=*,cpu=sse41", "jit:copying,opt=*,cpu=avx2"];

/// Assertions of the 17 official GC files.
const GC_ASSERTIONS: u64 = 657;

/// Floors on the number of assertions in scope, the same for each subject: all of WebAssembly 3.0 and, in the checkout, the
/// legacy exceptions. They may only rise.
const FLOOR_EMBEDDED: u64 = 55_128;
const FLOOR_CHECKOUT: u64 = 62_687;
const FLOOR_STRESS: u64 = 7_913;
const FLOOR_STRESS_CHECKOUT: u64 = 10_671;
const FLOOR_SAFEPOINTS: u64 = 747;
const FLOOR_PROCESSORS: u64 = 39_303;
const FLOOR_SAFEPOINTS_CHECKOUT: u64 = 836;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each trial uses all processors itself.
    arguments.test_threads = Some(1);
    let mut trials = Vec::new();
    for name in names(EVERYTHING) {
        trials.push(Trial::test(format!("embedded::{name}"), move || {
            whole(suite::embedded(), &name, FLOOR_EMBEDDED)
        }));
    }
    for name in names(STRESS) {
        trials.push(Trial::test(format!("embedded::{name}"), move || {
            stress(suite::embedded(), TestFile::mentions_references, &name, FLOOR_STRESS)
        }));
    }
    for name in names(SAFEPOINTS) {
        trials.push(Trial::test(format!("embedded::{name}"), move || {
            stress(suite::embedded(), of_objects, &name, FLOOR_SAFEPOINTS)
        }));
    }
    for name in names(PROCESSORS) {
        trials.push(Trial::test(format!("embedded::{name}"), move || processor(&name)));
    }
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/spec-suite");
    if checkout.exists() {
        for name in names(EVERYTHING) {
            let root = checkout.clone();
            trials.push(Trial::test(format!("checkout::{name}"), move || {
                whole(suite::directory(&root).map_err(Failed::from)?, &name, FLOOR_CHECKOUT)
            }));
        }
        for name in names(STRESS) {
            let root = checkout.clone();
            trials.push(Trial::test(format!("checkout::{name}"), move || {
                let files = suite::directory(&root).map_err(Failed::from)?;
                stress(files, TestFile::mentions_references, &name, FLOOR_STRESS_CHECKOUT)
            }));
        }
        for name in names(SAFEPOINTS) {
            let root = checkout.clone();
            trials.push(Trial::test(format!("checkout::{name}"), move || {
                let files = suite::directory(&root).map_err(Failed::from)?;
                stress(files, of_objects, &name, FLOOR_SAFEPOINTS_CHECKOUT)
            }));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The subjects that the spellings stand for, each by its own.
fn names(spellings: &[&str]) -> Vec<String> {
    let specs = spellings.iter().map(|spelling| SubjectSpec::parse(spelling).expect("known subjects"));
    specs.flatten().map(|spec| spec.name().to_owned()).collect()
}

/// Whether the file runs in a debug build on a JIT subject: all of GC, and of the rest every fourth, none of them long.
fn in_debug(file: &TestFile) -> bool {
    let spread = file.name.bytes().map(u32::from).sum::<u32>() % 4 == 0;
    file.dir == "core/gc" || (spread && file.text.len() < 60_000)
}

fn whole(files: Vec<TestFile>, name: &str, floor: u64) -> Result<(), Failed> {
    let partial = cfg!(debug_assertions) && name != "interp";
    let files = if partial { files.into_iter().filter(in_debug).collect() } else { files };
    let result = observe(files, name)?;
    let seen = result.counts.assertions;
    if !partial && seen < floor {
        return Err(format!("{name}: {seen} assertions in scope, the floor is {floor}").into());
    }
    gc_files(&result)
}

/// The files about GC and exceptions.
fn of_objects(file: &TestFile) -> bool {
    ["core/gc", "core/exceptions", "legacy/exceptions-core"].contains(&file.dir.as_str())
}

fn stress(
    files: Vec<TestFile>,
    about: impl Fn(&TestFile) -> bool,
    name: &str,
    floor: u64,
) -> Result<(), Failed> {
    let partial = cfg!(debug_assertions);
    let wanted = |file: &TestFile| about(file) && (!partial || in_debug(file));
    let files = files.into_iter().filter(wanted).collect();
    let result = observe(files, name)?;
    let seen = result.counts.assertions;
    if !partial && seen < floor {
        return Err(format!("{name}: {seen} assertions under stress, the floor is {floor}").into());
    }
    if result.counters.allocations == 0 || result.counters.collections == 0 {
        return Err(format!("{name}: the files ran without a collection: {:?}", result.counters).into());
    }
    gc_files(&result)
}

/// Vectors, rounding, bit counting: the files whose names say so.
fn processor(name: &str) -> Result<(), Failed> {
    let concerned = |file: &TestFile| {
        file.dir == "core/simd"
            || file.dir == "core/relaxed-simd"
            || (file.dir == "core" && file.name.starts_with(['f', 'i']))
    };
    let partial = cfg!(debug_assertions);
    let wanted = |file: &TestFile| concerned(file) && (!partial || in_debug(file));
    let result = observe(suite::embedded().into_iter().filter(wanted).collect(), name)?;
    let seen = result.counts.assertions;
    if !partial && seen < FLOOR_PROCESSORS {
        return Err(format!("{name}: {seen} assertions, the floor is {FLOOR_PROCESSORS}").into());
    }
    Ok(())
}

fn gc_files(result: &SubjectResult) -> Result<(), Failed> {
    let of_gc = result.files.iter().filter(|file| file.dir == "core/gc");
    let seen: u64 = of_gc.map(|file| file.counts.assertions).sum();
    if seen != GC_ASSERTIONS {
        return Err(format!("{}: {seen} assertions of GC, not {GC_ASSERTIONS}", result.subject).into());
    }
    Ok(())
}

fn observe(files: Vec<TestFile>, name: &str) -> Result<SubjectResult, Failed> {
    let subjects = SubjectSpec::parse(name)?;
    if subjects.len() != 1 {
        return Err(format!("`{name}` stands for {} subjects", subjects.len()).into());
    }
    let result = run_suite(files, &subjects, &Options::default(), &|_| {})?;
    if !result.ok() {
        return Err(report::human(&result).into());
    }
    result.subjects.into_iter().next().ok_or_else(|| "no subject".into())
}
