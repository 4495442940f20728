//! Every file of the corpus on every subject: the script's assertions hold, the observations agree, and a stress run
//! has collected. One trial per file; a subject's crash ends the process, its trial's name is the last one printed.

use std::process::ExitCode;

use assay_corpus::CorpusFile;
use assay_harness::case::{Action, Expect, Source};
use assay_harness::compare::{Verdict, check_expectations, compare};
use assay_harness::subject::{self, Shelf};
use assay_harness::{Case, Observation, Outcome, RejectStage, Subject, validate};
use assay_spec_tests::check_stress;
use assay_spec_tests::stress::is_stress;
use libtest_mimic::{Arguments, Failed, Trial};

/// The reference comes first. `jit:*` is every collector with and without optimisation, under stress those that collect;
/// the register allocator is named because its default depends on the optimisation.
const SUBJECTS: &[&str] = &[
    "interp",
    "jit:*,regalloc=backtracking",
    "jit:*,regalloc=single_pass",
    "jit:*,regalloc=backtracking,gc-stress",
    "jit:*,regalloc=single_pass,gc-stress",
    "jit:*,every-safepoint,verify",
    "jit:*,opt=speed,gc-stress=all",
    "jit:*,fibers",
];

/// Cases that a run with a collection at every allocation or safepoint would take minutes for, since each walks along all
/// of them: they say themselves when to collect, and a smaller one beside them runs under stress.
const TOO_DEEP_FOR_STRESS: &[&str] = &["cycles/deep-list"];

/// Files with malformed modules that the JIT calls invalid, and the settled deviation of `assay validate` that accounts for it.
/// Without such a module in a file, the trial fails, as without a JIT that calls it so.
const SETTLED: &[(&str, &str)] =
    &[("validation/malformed-behind-what-is-invalid", "malformed behind what wasmparser does not read")];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let files = match assay_corpus::files(&assay_corpus::root()) {
        Ok(files) => files,
        Err(error) => {
            eprintln!("the corpus: {error}");
            return ExitCode::FAILURE;
        }
    };
    let trials = files.into_iter().map(|file| Trial::test(file.label(), move || replay(&file))).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn replay(file: &CorpusFile) -> Result<(), Failed> {
    let text = std::fs::read_to_string(&file.path)?;
    let case = Case::parse(&text, &file.path.display().to_string())?;
    let mut wrong = Vec::new();
    let mut seen: Vec<(String, Observation)> = Vec::new();
    let shelf = Shelf::default();
    let settled = settled(file, &case);
    if settled.is_empty() && SETTLED.iter().any(|(label, _)| *label == file.label()) {
        wrong.push("nothing is settled any more".to_owned());
    }
    for spelling in SUBJECTS {
        for mut subject in subject::parse_on(&shelf, spelling)? {
            let name = subject.name().to_owned();
            let stress = is_stress(&name);
            if stress && TOO_DEEP_FOR_STRESS.contains(&file.label().as_str()) {
                continue;
            }
            let mut observation = observe(subject.as_mut(), &case);
            if name != "interp" {
                take_as_malformed(&settled, &case, &name, &mut observation, &mut wrong);
            }
            failures(&case, &name, &observation, &mut wrong);
            if stress && let Err(idle) = check_stress(&observation.counters) {
                wrong.push(format!("{name}: {idle}"));
            }
            seen.push((name, observation));
        }
    }
    let sides: Vec<(&str, &Observation)> = seen.iter().map(|(name, seen)| (name.as_str(), seen)).collect();
    let comparison = compare(&case, &sides);
    wrong.extend(comparison.findings.iter().map(|finding| format!("{}: {}", finding.kind, finding.text)));
    // A case of the corpus is small enough to be compared whole.
    wrong.extend(comparison.discards.iter().map(|(kind, count)| format!("cut short {count} times: {kind}")));
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

fn observe(subject: &mut dyn Subject, case: &Case) -> Observation {
    subject.observe(case)
}

/// The steps with a module on which a settled deviation is met, one that [`SETTLED`] has for the file.
fn settled(file: &CorpusFile, case: &Case) -> Vec<usize> {
    let label = file.label();
    let Some((_, name)) = SETTLED.iter().find(|(settled, _)| *settled == label) else { return Vec::new() };
    let met = |index: &usize| match &case.steps[*index].action {
        Action::Check { source: Source::Binary(module) } => {
            validate::judge(module, false).settled == Some(*name)
        }
        _ => false,
    };
    (0..case.steps.len()).filter(met).collect()
}

/// Has the JIT call invalid what is settled, and takes that for malformed.
fn take_as_malformed(
    settled: &[usize],
    case: &Case,
    name: &str,
    observation: &mut Observation,
    wrong: &mut Vec<String>,
) {
    for &index in settled {
        let line = case.steps[index].line;
        assert_eq!(case.steps[index].expect, Expect::Reject(RejectStage::Malformed), "line {line}");
        match &mut observation.outcomes[index] {
            Outcome::Rejected(stage @ RejectStage::Invalid, _) => *stage = RejectStage::Malformed,
            other => wrong.push(format!("line {line}: {name}: settled as invalid, but {other:?}")),
        }
    }
}

fn failures(case: &Case, name: &str, observation: &Observation, wrong: &mut Vec<String>) {
    for (step, verdict) in case.steps.iter().zip(check_expectations(case, name, observation)) {
        match verdict {
            Verdict::Pass => {}
            Verdict::Fail(text) => wrong.push(format!("line {}: {name}: {text}", step.line)),
            other => wrong.push(format!("line {}: {name}: {other:?}", step.line)),
        }
    }
}
