//! `assay fuzz`: a campaign, its live line and its summary.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use assay_harness::campaign::{
    Campaign, CampaignConfig, CampaignError, Settings, State, Summary, Unreached, unreached,
};
use assay_harness::generate;
use assay_harness::observe::{FiberCounters, HeapCounters};
use assay_harness::subject::proof::PROOFS;
use assay_harness::{Features, Subject};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::exit::{Exit, Failure};
use crate::subjects;

/// Arguments of `assay fuzz`.
#[derive(Args)]
pub(crate) struct FuzzArguments {
    /// How long, e.g. 60s, 10m, 2h; without it the campaign runs until Ctrl-C.
    #[arg(long, value_parser = parse_time)]
    time: Option<Duration>,
    /// End after this many cases.
    #[arg(long)]
    cases: Option<u64>,
    /// Seed; printed when it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Child workers [default: one per core].
    #[arg(long)]
    jobs: Option<usize>,
    /// Generators, taken in turn [default: objects eight times, then linking, then smith].
    #[arg(long = "generator", value_name = "NAME")]
    generators: Vec<String>,
    /// Subjects [default: interp, and jit with each collector, opt none and speed].
    #[arg(long = "subject", value_name = "SUBJECT")]
    subjects: Vec<String>,
    /// Output folder: findings/, running/ and campaign.json.
    #[arg(long, default_value = "findings", value_name = "DIR")]
    out: PathBuf,
    /// Go on with the campaign of this output folder: its seed, generators, subjects, limits and what concerns peers, as far as
    /// nothing else is given, and the cases after those it began. `--cases` counts from its beginning.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["out", "seed", "generators", "subjects", "self_checking"])]
    resume: Option<PathBuf>,
    /// Limit for one case on all subjects together; twice --peer-limit is added for each peer, and all of it doubles with an adapter [default: 20s, of
    /// self-checking cases 120s].
    #[arg(long, value_parser = parse_time)]
    case_limit: Option<Duration>,
    /// Cases that subjects get at once; programs that run `.wast` (`cmd:`) then run as many in one process, and where that fails they are taken
    /// apart [default: 16 with such a program, else 1].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    batch: Option<u32>,
    /// Writable memory of a worker in MiB, 0 = no limit [default: 4096].
    #[arg(long)]
    memory_mib: Option<u64>,
    /// Stop at the first finding.
    #[arg(long)]
    stop_at_first: bool,
    /// Fail when a collector did not do something that it can do: collections of each of its kinds, barrier work, promotion,
    /// sweeping, freeing of cycles and of large objects, hitting its heap limit.
    #[arg(long)]
    require_reach: bool,
    /// Run the self-checking form of each generated case, so that subjects are compared by digests that the programs
    /// compute themselves.
    #[arg(long)]
    self_checking: bool,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs a campaign.
pub(crate) fn run(arguments: &FuzzArguments) -> Result<Exit, Failure> {
    let folder = arguments.resume.as_ref().unwrap_or(&arguments.out);
    let resumed = match &arguments.resume {
        Some(folder) => Some(
            State::read(folder)
                .map_err(|error| Failure::bad_input(format!("{}: {error}", State::path(folder).display())))?,
        ),
        None => None,
    };
    let kept = resumed.as_ref().map(|state| state.settings.clone()).unwrap_or_default();
    subjects::resume(kept.clone());
    let asked = resumed.as_ref().map_or(&arguments.subjects, |state| &state.subjects);
    let parsed = subjects::parse(asked)?;
    let specs: Vec<String> = parsed.iter().map(|s| s.name().to_owned()).collect();
    let lacking = lacking(&parsed)?;
    // A peer that hangs is found before its worker counts as hanging.
    let peers = parsed.iter().filter(|subject| subject.plain_cases_only()).count();
    let own_limit = arguments.case_limit.or(kept.case_limit_ms.map(Duration::from_millis));
    // A self-checking case has two million units of fuel more, for its digests, and a program that allocates without end spends them.
    let self_checking = resumed.as_ref().map_or(arguments.self_checking, |state| state.self_checking);
    let own_limit = own_limit.unwrap_or(Duration::from_secs(if self_checking { 120 } else { 20 }));
    // What an adapter shows is looked for once more before it is told.
    let runs = if parsed.iter().any(|subject| subject.keeps_its_engine()) { 2 } else { 1 };
    let case_limit = (own_limit + subjects::options()?.peer_limit * 2 * peers as u32) * runs;
    let best = parsed.iter().map(|subject| subject.batch()).max().unwrap_or(1);
    let batch = arguments.batch.or(kept.batch).unwrap_or(best as u32);
    let memory_mib = arguments.memory_mib.or(kept.memory_mib).unwrap_or(4096);
    // Nobody tells a peer when to collect.
    let usual = if peers == 0 { generate::SCHEDULES } else { 1 };
    let schedules = match (kept.schedules, &resumed) {
        (Some(schedules), _) => schedules,
        (None, Some(state)) if usual != 1 && state.next != 0 => {
            return Err(Failure::bad_input(format!(
                "{}: it does not say how many schedules each program has, so which case is the next is not known; under \"settings\" \
                 there must be \"schedules\": a number (1, 4 or 8, as the program had it that began)",
                State::path(folder).display()
            )));
        }
        (None, _) => usual,
    };
    drop(parsed);
    subjects::at_least_two(&specs)?;
    let generators = generators(resumed.as_ref().map_or(&arguments.generators, |state| &state.generators))?;
    let seed = resumed.as_ref().map(|state| state.seed).or(arguments.seed).unwrap_or_else(random_seed);
    let jobs = arguments.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let out = std::path::absolute(folder)
        .map_err(|error| Failure::bad_input(format!("{}: {error}", folder.display())))?;
    let mut worker = subjects::worker_command(&specs, Some(out.join("findings")), memory_mib)?;
    if self_checking {
        worker.args.push("--self-checking".to_owned());
    }
    let state = State {
        seed,
        generators: generators.clone(),
        subjects: specs.clone(),
        self_checking,
        next: resumed.map_or(0, |state| state.next),
        settings: Settings {
            case_limit_ms: Some(subjects::millis(own_limit)),
            memory_mib: Some(memory_mib),
            batch: Some(batch),
            schedules: Some(schedules),
            ..subjects::settings()?
        },
    };
    let config = CampaignConfig {
        time: arguments.time,
        cases: arguments.cases,
        seed,
        jobs,
        generators,
        schedules,
        worker,
        out,
        case_limit,
        batch: batch as usize,
        stop_at_first: arguments.stop_at_first,
        state,
    };
    for (feature, subjects) in &lacking {
        eprintln!("assay fuzz: programs without {feature}, which {} lacks", subjects.join(", "));
    }
    eprintln!("assay fuzz: seed {seed}, {jobs} jobs, subjects {}", specs.join(" | "));
    let campaign = std::sync::Arc::new(Campaign::new(config).map_err(as_failure)?);
    let stopping = campaign.clone();
    ctrlc::set_handler(move || stopping.stop())
        .map_err(|error| Failure::internal(format!("cannot handle Ctrl-C: {error}")))?;
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    let summary = campaign
        .run(|campaign| {
            bar.set_message(live_line(&campaign.snapshot(), campaign.elapsed()));
            bar.tick();
        })
        .map_err(as_failure)?;
    bar.finish_and_clear();
    if arguments.json {
        let mut value = serde_json::to_value(&summary).map_err(Failure::internal)?;
        value["unreached"] = serde_json::to_value(unreached(&summary)).map_err(Failure::internal)?;
        value["without"] = serde_json::to_value(&lacking).map_err(Failure::internal)?;
        println!("{}", serde_json::to_string_pretty(&value).map_err(Failure::internal)?);
    } else {
        print!("{}", table(&summary));
        for (feature, subjects) in &lacking {
            println!("  not compared: {feature}, which {} lacks", subjects.join(", "));
        }
    }
    if summary.cases == 0 {
        return Err(Failure::bad_input("no case was run in the time or number given"));
    }
    if !summary.findings.is_empty() {
        return Ok(Exit::Finding);
    }
    let missing: Vec<String> = unreached(&summary).iter().map(ToString::to_string).collect();
    if arguments.require_reach && !missing.is_empty() {
        return Err(Failure::finding(format!("the campaign has not reached all: {}", missing.join("; "))));
    }
    Ok(Exit::Fine)
}

/// Features that programs go without, and because of whom.
fn lacking(parsed: &[Box<dyn Subject>]) -> Result<BTreeMap<&'static str, Vec<String>>, Failure> {
    let mut lacking: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for proof in PROOFS.iter().filter(|proof| proof.claimed(Features::OF_PROGRAMS)) {
        for subject in parsed.iter().filter(|subject| !proof.claimed(subject.supports())) {
            lacking.entry(proof.name).or_default().push(subject.name().to_owned());
        }
    }
    match lacking.get("gc") {
        Some(subjects) => Err(Failure::bad_input(format!(
            "{} cannot run WebAssembly GC: nothing to compare",
            subjects.join(", ")
        ))),
        None => Ok(lacking),
    }
}

fn as_failure(error: CampaignError) -> Failure {
    match error {
        CampaignError::Folder(..) => Failure::bad_input(error),
        CampaignError::Worker(_) => Failure::internal(error),
    }
}

pub(crate) fn generators(asked: &[String]) -> Result<Vec<String>, Failure> {
    if asked.is_empty() {
        // A case of several modules takes five times as long as one of `objects`, and few of `smith` touch the heap.
        let mut turns = vec!["objects"; 8];
        turns.extend(["linking", "smith"]);
        return Ok(turns.into_iter().map(str::to_owned).collect());
    }
    let known: Vec<&str> = generate::registry().iter().map(|g| g.name).collect();
    match asked.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => {
            Err(Failure::bad_input(format!("no generator {name:?}; there are {}", known.join(", "))))
        }
        None => Ok(asked.to_vec()),
    }
}

/// The clock's low bits: a different campaign each time, and the seed is printed.
pub(crate) fn random_seed() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    since.as_nanos() as u64 % 1_000_000_007
}

/// `90s`, `10m`, `2h`, or plain seconds.
pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        other => return Err(format!("unknown unit {other:?}; use ms, s, m or h")),
    };
    let number: f64 = digits.parse().map_err(|_| format!("not a time: {text:?}; write 60s, 10m or 2h"))?;
    Duration::try_from_secs_f64(number * unit).map_err(|error| error.to_string())
}

fn live_line(summary: &Summary, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let (useful, typed) = useful(summary);
    format!(
        "{:.0}s  {} cases  {:.0}/s  useful {:.0} %  collections {}  findings {}",
        seconds,
        summary.cases,
        summary.cases as f64 / seconds,
        percent(useful, typed),
        summary.collections,
        summary.findings.len()
    )
}

fn useful(summary: &Summary) -> (u64, u64) {
    summary.by_generator.get("objects").map_or((0, 0), |totals| (totals.useful, totals.cases))
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

fn table(summary: &Summary) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{} cases in {:.1} s: {:.1} cases/s, seed {}",
        summary.cases,
        summary.seconds,
        summary.cases as f64 / summary.seconds.max(0.001),
        summary.seed
    );
    for (name, totals) in &summary.by_generator {
        let _ = writeln!(
            text,
            "  {name:<10} {:>7} cases ({} returned, {} trapped or threw, {:.1} % cut short)  median {} instructions, {} \
             allocations; {:.1} % read an object that only a frame kept alive through a collection; {:.1} % had a cycle at \
             one, of {} shapes in all",
            totals.cases,
            totals.returned,
            totals.trapped,
            percent(totals.cut_short, totals.cases),
            totals.median_instructions,
            totals.median_allocations,
            percent(totals.useful, totals.cases),
            percent(totals.cyclic, totals.cases),
            totals.cycle_shapes
        );
    }
    let _ = writeln!(
        text,
        "  collections {}, objects kept by frames only {}",
        summary.collections, summary.frame_only_survivors
    );
    if let Some(text_of_instructions) = instructions(summary) {
        let _ = writeln!(text, "  {text_of_instructions}");
    }
    if let Some(text_of_fibers) = fibers(&summary.subject_fibers) {
        let _ = writeln!(text, "  {text_of_fibers}");
    }
    for (at, (name, millis)) in summary.subjects.iter().zip(&summary.subject_millis).enumerate() {
        let mut did = summary.subject_heaps.get(at).map(HeapCounters::told).unwrap_or_default();
        if let Some(engine) = summary.engines.get(at).and_then(Option::as_ref) {
            let _ = write!(did, "{engine}");
        }
        if let Some(pair) = summary.pairs.get(at).filter(|_| at > 0) {
            let _ = write!(did, "  compared: {} cases, {} to the end", pair.cases, pair.whole);
        }
        let line = format!("  {name:<34} {:>8.1} s  {did}", *millis as f64 / 1000.0);
        let _ = writeln!(text, "{}", line.trim_end());
    }
    for (subject, counters) in by_subject(&unreached(summary)) {
        let _ = writeln!(text, "  not reached: {subject}: {}", counters.join(", "));
    }
    for (kind, n) in &summary.discards {
        let _ = writeln!(text, "  cut short: {kind}: {n}");
    }
    if summary.findings.is_empty() {
        let _ = writeln!(text, "no finding");
    }
    for found in summary.findings.values() {
        let _ = writeln!(
            text,
            "FINDING after {:.1} s, {} times: {}\n  {}",
            found.after,
            found.times,
            found.text,
            found.path.display()
        );
    }
    text
}

fn by_subject(missing: &[Unreached]) -> BTreeMap<&str, Vec<&'static str>> {
    let mut by_subject: BTreeMap<&str, Vec<&'static str>> = BTreeMap::new();
    for one in missing {
        by_subject.entry(&one.subject).or_default().push(one.counter);
    }
    by_subject
}

/// How many of the instructions that count were executed in cases that all subjects agree on, and the rarest.
fn instructions(summary: &Summary) -> Option<String> {
    let executed = summary.contexts.values().filter(|contexts| **contexts > 0).count();
    let (name, fewest) = summary.contexts.iter().min_by_key(|(_, contexts)| **contexts)?;
    (executed > 0).then(|| {
        format!(
            "{executed} of {} instructions on references, objects, tables and exceptions executed and compared; the rarest, \
             {name}, between {fewest} pairs of others",
            summary.contexts.len()
        )
    })
}

/// What happened to fibers: what the schedule says is the same on each subject, what collectors did is added up.
fn fibers(subjects: &[FiberCounters]) -> Option<String> {
    let mut all = FiberCounters::default();
    subjects.iter().for_each(|fibers| all.add(fibers));
    (all.resumes > 0).then(|| {
        format!(
            "fibers: {} turns, {} yields, {} cancelled; {} visits of the roots came to suspended frames and changed {} \
             references there",
            all.resumes, all.yields, all.cancels, all.visits, all.moved
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(parse_time("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(parse_time("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_time("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_time("7"), Ok(Duration::from_secs(7)));
        assert!(parse_time("7 weeks").is_err() && parse_time("").is_err() && parse_time("-1s").is_err());
    }
}
