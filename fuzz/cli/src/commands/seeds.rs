//! `assay seeds`: inputs to start libFuzzer's targets with, from the generators and the embedded official suite.

use std::fs;
use std::path::PathBuf;

use assay_harness::Case;
use assay_harness::generate::input::Input;
use assay_harness::generate::{from_seed, seed_bytes};
use assay_spec_tests::suite;
use clap::Args;

use crate::exit::{Exit, Failure};

/// Arguments of `assay seeds`.
#[derive(Args)]
pub(crate) struct SeedsArguments {
    /// Folder that gets one folder for each target.
    dir: PathBuf,
    /// Inputs of each target, at most.
    #[arg(long, default_value_t = 32)]
    count: usize,
}

/// Bytes of an input, at most: what the targets are run with.
const LONGEST: usize = 4096;

/// Targets whose inputs are any bytes.
const PLAIN: [&str; 8] =
    ["collectors", "fibers", "linking", "smith", "validate", "wast_mutate", "heap", "embedding"];

/// Writes the inputs.
pub(crate) fn run(arguments: &SeedsArguments) -> Result<Exit, Failure> {
    let count = arguments.count;
    let bytes = |seed: usize| seed_bytes(seed as u64);
    for target in PLAIN {
        let inputs = (0..count).map(|seed| {
            let mut input = bytes(seed);
            input.truncate(LONGEST / 2);
            input
        });
        write(arguments, target, inputs)?;
    }
    for target in ["objects", "exceptions"] {
        let inputs = (0..count).map(|seed| Input::decode(&bytes(seed)[..LONGEST * 3 / 4]).encode());
        write(arguments, target, inputs)?;
    }
    // Headers, and scripts and modules that fit.
    let headers = (0..).filter_map(|seed| from_seed("objects", seed)).map(|case| {
        let header = Case { schedule: case.schedule, steps: Vec::new() };
        header.to_wast().into_bytes()
    });
    let files = suite::embedded();
    let scripts = files.iter().filter(|file| file.dir == "core/gc").map(|file| file.text.as_bytes().to_vec());
    let modules = suite::modules(&files);
    let spread = (modules.len() / count.max(1)).max(1);
    let fits = |input: &Vec<u8>| input.len() <= LONGEST;
    let mut inputs: Vec<Vec<u8>> = headers.take(count / 4).collect();
    inputs.extend(scripts.filter(fits).take(count / 4));
    inputs.extend(modules.into_iter().step_by(spread).filter(fits).take(count / 2));
    write(arguments, "decode", inputs.into_iter())?;
    Ok(Exit::Fine)
}

fn write(
    arguments: &SeedsArguments,
    target: &str,
    inputs: impl Iterator<Item = Vec<u8>>,
) -> Result<(), Failure> {
    let dir = arguments.dir.join(target);
    fs::create_dir_all(&dir).map_err(Failure::bad_input)?;
    for (number, input) in inputs.enumerate() {
        fs::write(dir.join(format!("seed-{number}")), input).map_err(Failure::bad_input)?;
    }
    Ok(())
}
