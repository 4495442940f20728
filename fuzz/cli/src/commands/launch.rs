//! `assay launch`: sets limits, then becomes another program. Peers are started through it.

use std::os::unix::process::CommandExt;

use assay_harness::campaign::worker::limit_process;
use clap::Args;

use crate::exit::{Exit, Failure};

/// Arguments of the hidden launch command.
#[derive(Args)]
pub(crate) struct LaunchArguments {
    /// Limit of writable memory, 0 = none.
    #[arg(long, default_value_t = 0)]
    memory_mib: u64,
    /// The program and its arguments.
    #[arg(required = true, last = true)]
    command: Vec<String>,
}

/// Does not come back unless the program cannot be started.
pub(crate) fn run(arguments: &LaunchArguments) -> Result<Exit, Failure> {
    limit_process(arguments.memory_mib << 20)
        .map_err(|error| Failure::internal(format!("cannot set limits: {error}")))?;
    let (program, args) =
        arguments.command.split_first().ok_or_else(|| Failure::bad_input("a program is needed"))?;
    let error = std::process::Command::new(program).args(args).exec();
    Err(Failure::bad_input(format!("{program}: {error}")))
}
