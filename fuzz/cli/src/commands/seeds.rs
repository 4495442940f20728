//! `assay seeds`: inputs to start libFuzzer's targets with, from the generators and the embedded official suite.

use std::fs;
use std::path::PathBuf;

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
const PLAIN: [&str; 7] = ["collectors", "fibers", "smith", "validate", "wast_mutate", "heap", "embedding"];

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
    let cases = (0..count / 4).filter_map(|seed| from_seed("objects", seed as u64));
    let texts = cases.map(|case| case.to_wast().into_bytes());
    let files = suite::embedded();
    let scripts = files.iter().filter(|file| file.dir == "core/gc").map(|file| file.text.as_bytes().to_vec());
    let short = |inputs: &mut dyn Iterator<Item = Vec<u8>>| -> Vec<Vec<u8>> {
        inputs
            .map(|mut input| {
                input.truncate(LONGEST);
                input
            })
            .take(count / 4)
            .collect()
    };
    let modules = suite::modules(&files);
    let spread = modules.len().div_ceil(count.max(1));
    let mut modules = modules.into_iter().step_by(spread.max(1));
    let mut inputs = short(&mut texts.into_iter());
    inputs.extend(short(&mut scripts.into_iter()));
    inputs.extend(short(&mut modules));
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
