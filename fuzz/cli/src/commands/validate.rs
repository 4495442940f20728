//! `assay validate`: the interpreter's validator against wasmparser and the JIT's front end, on files or on generated and mutated modules.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use assay_harness::validate::{self, Config, Share, Summary, Verdict};
use assay_spec_tests::suite;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::fuzz::{parse_time, random_seed};
use crate::exit::{Exit, Failure};

/// Arguments of `assay validate`.
#[derive(Args)]
pub(crate) struct ValidateArguments {
    /// Modules (.wasm or .wat) to judge; none = a campaign.
    files: Vec<PathBuf>,
    /// How long the campaign runs, e.g. 60s, 1h; without it until Ctrl-C.
    #[arg(long, value_parser = parse_time)]
    time: Option<Duration>,
    /// End after this many modules.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    cases: u64,
    /// Seed; printed when it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Threads [default: one per core].
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    jobs: usize,
    /// A checkout of the official suite whose modules the campaign mutates; without it the embedded one.
    #[arg(long, value_name = "DIR")]
    suite: Option<PathBuf>,
    /// Folder for disagreements.
    #[arg(long, default_value = "findings/validate", value_name = "DIR")]
    out: PathBuf,
    /// Take legacy exceptions in the files given; a campaign does in every fourth module.
    #[arg(long)]
    legacy_exceptions: bool,
    /// Stop at the first disagreement.
    #[arg(long)]
    stop_at_first: bool,
    /// Fail when a rule refused no mutant of a valid module, or when fewer than a quarter of those mutants are accepted or
    /// refused by validation proper.
    #[arg(long)]
    require_coverage: bool,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(crate) fn run(arguments: &ValidateArguments) -> Result<Exit, Failure> {
    if arguments.files.is_empty() { campaign(arguments) } else { files(arguments) }
}

fn files(arguments: &ValidateArguments) -> Result<Exit, Failure> {
    let mut exit = Exit::Fine;
    let mut rows = Vec::new();
    for path in &arguments.files {
        let verdict = validate::judge(&module(path)?, arguments.legacy_exceptions);
        if !verdict.agrees() {
            exit = Exit::Finding;
        }
        if arguments.json {
            rows.push(row(path, &verdict));
        } else {
            println!("{}: {}", path.display(), if verdict.agrees() { "agreed" } else { "DISAGREEMENT" });
            print!("{verdict}");
        }
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&rows).map_err(Failure::internal)?);
    }
    Ok(exit)
}

fn row(path: &Path, verdict: &Verdict) -> serde_json::Value {
    serde_json::json!({
        "path": path,
        "agrees": verdict.agrees(),
        "assay-interp": verdict.ours.to_string(),
        "wasmparser": verdict.theirs.to_string(),
        "assay-jit": verdict.jit.to_string(),
        "settled": verdict.settled,
        "uncompared": verdict.uncompared(),
    })
}

/// The bytes to judge: those of a binary as they are, however broken.
fn module(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = fs::read(path).map_err(|e| Failure::bad_input(format!("{}: {e}", path.display())))?;
    if path.extension().is_some_and(|extension| extension == "wasm") || bytes.starts_with(b"\0asm") {
        return Ok(bytes);
    }
    let text =
        std::str::from_utf8(&bytes).map_err(|e| Failure::bad_input(format!("{}: {e}", path.display())))?;
    wat::parse_str(text).map_err(|e| Failure::bad_input(format!("{}: {e}", path.display())))
}

fn campaign(arguments: &ValidateArguments) -> Result<Exit, Failure> {
    let seed = arguments.seed.unwrap_or_else(random_seed);
    let files = match &arguments.suite {
        Some(dir) => suite::directory(dir).map_err(Failure::bad_input)?,
        None => suite::embedded(),
    };
    let seeds = suite::modules(&files);
    let config = Config {
        time: arguments.time,
        cases: arguments.cases,
        seed,
        jobs: arguments.jobs,
        out: arguments.out.clone(),
        seeds,
        stop_at_first: arguments.stop_at_first,
        limit: Duration::from_secs(20),
    };
    eprintln!("assay validate: seed {seed}, {} modules of the official suite", config.seeds.len());
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = stop.clone();
    ctrlc::set_handler(move || stopping.store(true, Ordering::Relaxed))
        .map_err(|error| Failure::internal(format!("cannot handle Ctrl-C: {error}")))?;
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
        bar.set_style(style);
    }
    let interrupted = || stop.load(Ordering::Relaxed);
    let summary = validate::run(&config, &interrupted, &mut |at| {
        bar.set_message(format!(
            "{} modules, {} rules have rejected, {} disagreements",
            at.modules, at.rules, at.disagreements
        ));
        bar.tick();
    })
    .map_err(|e| Failure::bad_input(format!("{}: {e}", config.out.display())))?;
    bar.finish_and_clear();
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&summary).map_err(Failure::internal)?);
    } else {
        print!("{}", table(&summary));
    }
    if summary.modules == 0 {
        return Err(Failure::bad_input("no module was judged in the time or number given"));
    }
    if arguments.require_coverage && !summary.covers() {
        return Err(Failure::finding(
            "the campaign does not cover the rules, or its mutants are too seldom valid or invalid",
        ));
    }
    Ok(if summary.disagreements.is_empty() { Exit::Fine } else { Exit::Finding })
}

fn table(summary: &Summary) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{} modules in {:.1} s: {:.0}/s, seed {}",
        summary.modules,
        summary.seconds,
        summary.modules as f64 / summary.seconds.max(0.001),
        summary.seed
    );
    let percent = |part: u64, share: &Share| part as f64 * 100.0 / share.modules.max(1) as f64;
    let mutants = summary.mutants();
    let shares = summary.origins.iter().map(|(name, share)| (name.as_str(), share));
    for (name, share) in shares.chain([("all mutants", &mutants)]) {
        let _ = writeln!(
            text,
            "  {name:<14} {:>9}: {:>5.1} % accepted, {:>5.1} % invalid, {:>5.1} % malformed, {:>5.1} % beyond a limit",
            share.modules,
            percent(share.accepted, share),
            percent(share.invalid, share),
            percent(share.malformed, share),
            percent(share.limit, share)
        );
    }
    let _ = writeln!(
        text,
        "  mutants are those of {} valid seeds and of valid generated modules; {} of others were judged too",
        summary.seeds, summary.baseless
    );
    let rules = summary.rules.len();
    let _ = writeln!(text, "  rules that refused a mutant: {rules} of {}", rules + summary.silent.len());
    let mut slowest: Vec<_> = summary.rules.iter().collect();
    slowest.sort_by(|a, b| b.1.after.total_cmp(&a.1.after));
    for (name, refusals) in slowest.into_iter().take(5) {
        let _ = writeln!(text, "  {:>7} times, first after {:.1} s: {name}", refusals.count, refusals.after);
    }
    for name in &summary.silent {
        let _ = writeln!(text, "  never refused a mutant: {name}");
    }
    for (name, count) in &summary.settled {
        let _ = writeln!(text, "  settled, {count} times: {name}");
    }
    for (pair, count) in &summary.uncompared {
        let _ = writeln!(text, "  not compared, {count} times: {pair}");
    }
    if summary.disagreements.is_empty() {
        let _ = writeln!(text, "no disagreement");
    }
    for found in summary.disagreements.values() {
        let _ = writeln!(
            text,
            "DISAGREEMENT after {:.1} s, {} times: {}\n  assay-interp: {}\n  wasmparser:   {}\n  assay-jit:    {}",
            found.after,
            found.count,
            found.path.display(),
            found.ours,
            found.theirs,
            found.jit
        );
    }
    text
}
