//! `assay export`: self-checking `.wast` files for other engines, from generated cases or from files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use assay_harness::{Case, generate, selfcheck};
use clap::Args;
use indicatif::ProgressBar;

use super::fuzz::{generators, random_seed};
use crate::exit::{Exit, Failure};

/// Arguments of `assay export`.
#[derive(Args)]
pub(crate) struct ExportArguments {
    /// Cases (.wast) to export instead of generated ones.
    files: Vec<PathBuf>,
    /// Output folder.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Generators, taken in turn [default: objects].
    #[arg(long = "generator", value_name = "NAME", conflicts_with = "files")]
    generators: Vec<String>,
    /// Seed of the first case, the next one's is one more; printed when it is not given.
    #[arg(long, conflicts_with = "files")]
    seed: Option<u64>,
    /// How many cases to generate.
    #[arg(long, default_value_t = 100, conflicts_with = "files")]
    cases: u64,
    /// Dead arrays of 1,000 bytes that stand for each collection.
    #[arg(long, default_value_t = selfcheck::GARBAGE, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    garbage: u32,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Default)]
struct Summary {
    cases: u64,
    /// Sizes of the files written, in bytes.
    sizes: Vec<u64>,
    /// Cases and calls left out, by reason.
    left_out: BTreeMap<String, u64>,
    calls_left_out: BTreeMap<String, u64>,
}

/// Exports.
pub(crate) fn run(arguments: &ExportArguments) -> Result<Exit, Failure> {
    let mut asked = arguments.generators.clone();
    if asked.is_empty() {
        asked.push("objects".to_owned());
    }
    let generators = generators(&asked)?;
    fs::create_dir_all(&arguments.out).map_err(|error| unusable(&arguments.out, &error))?;
    let seed = arguments.seed.unwrap_or_else(random_seed);
    let total = if arguments.files.is_empty() { arguments.cases } else { arguments.files.len() as u64 };
    if arguments.files.is_empty() {
        eprintln!("assay export: seed {seed}, {total} cases");
    }
    let start = Instant::now();
    let bar = ProgressBar::new(total);
    let mut summary = Summary::default();
    let mut written = std::collections::HashSet::new();
    for at in 0..total {
        let (case, name) = match arguments.files.get(at as usize) {
            Some(path) => (read(path)?, stem(path)),
            None => {
                let generator = &generators[(at % generators.len() as u64) as usize];
                let seed = seed.wrapping_add(at);
                let case = generate::from_seed(generator, seed)
                    .ok_or_else(|| Failure::internal(format!("no generator {generator:?}")))?;
                (case, format!("{generator}-{seed}"))
            }
        };
        let name = unused(&mut written, &name);
        one(&case, &arguments.out.join(format!("{name}.wast")), arguments.garbage, &mut summary)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    show(&mut summary, start.elapsed().as_secs_f64(), seed, arguments)?;
    if summary.sizes.is_empty() {
        return Err(Failure::bad_input("no case could be exported"));
    }
    Ok(Exit::Fine)
}

fn one(case: &Case, path: &Path, garbage: u32, summary: &mut Summary) -> Result<(), Failure> {
    summary.cases += 1;
    let exported = match selfcheck::export(case, garbage) {
        Ok(exported) => exported,
        Err(reason) => {
            *summary.left_out.entry(reason.to_string()).or_default() += 1;
            return Ok(());
        }
    };
    for reason in &exported.dropped {
        *summary.calls_left_out.entry(reason.to_string()).or_default() += 1;
    }
    let text = exported.to_wast();
    summary.sizes.push(text.len() as u64);
    fs::write(path, text).map_err(|error| unusable(path, &error))
}

fn read(path: &Path) -> Result<Case, Failure> {
    let text = fs::read_to_string(path).map_err(|error| unusable(path, &error))?;
    Case::parse(&text, &path.display().to_string()).map_err(Failure::bad_input)
}

fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(|| "case".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// The name, or it with a number behind where files of two folders share one.
fn unused(written: &mut std::collections::HashSet<String>, name: &str) -> String {
    let numbered = (2u64..).map(|n| format!("{name}-{n}"));
    let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !written.contains(name));
    let free = free.unwrap_or_else(|| name.to_owned());
    written.insert(free.clone());
    free
}

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::bad_input(format!("{}: {error}", path.display()))
}

fn show(summary: &mut Summary, seconds: f64, seed: u64, arguments: &ExportArguments) -> Result<(), Failure> {
    summary.sizes.sort_unstable();
    let exported = summary.sizes.len();
    let median = summary.sizes.get(exported / 2).copied().unwrap_or(0);
    if arguments.json {
        let value = serde_json::json!({
            "cases": summary.cases,
            "exported": exported,
            "seed": arguments.files.is_empty().then_some(seed),
            "seconds": seconds,
            "median_bytes": median,
            "left_out": summary.left_out,
            "calls_left_out": summary.calls_left_out,
        });
        println!("{}", serde_json::to_string_pretty(&value).map_err(Failure::internal)?);
        return Ok(());
    }
    println!(
        "{exported} of {} cases exported to {} in {seconds:.1} s ({:.1} cases/s), median {median} bytes",
        summary.cases,
        arguments.out.display(),
        summary.cases as f64 / seconds.max(0.001),
    );
    for (reason, n) in &summary.left_out {
        println!("  left out: {reason}: {n}");
    }
    for (reason, n) in &summary.calls_left_out {
        println!("  calls left out: {reason}: {n}");
    }
    Ok(())
}
