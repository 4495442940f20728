//! The `assay` program: arguments to library calls, results to text and exit codes.
//!
//! Exit codes: 0 fine, 1 a finding or a failed check, 2 wrong use or bad input, 3 an internal error.

mod commands;
mod exit;
mod statistics;
mod subjects;

use clap::{Parser, Subcommand};

use exit::Exit;

/// Differential fuzzing and conformance tests for WebAssembly GC.
///
/// Assay runs the same program on several independent engines and garbage collectors and compares everything that can be
/// observed, down to the shape of the heap.
///
/// Subjects are spelled `interp` (the reference interpreter), `jit:COLLECTOR[,opt=none|speed]
/// [,regalloc=single_pass|backtracking][,MODE…]`; a `*` stands for all: `jit:*` for every collector with and without
/// optimisation, `jit:*,regalloc=*` for both register allocators too. Modes of the heap: `every-alloc` and `every-safepoint`
/// collect there, `verify` checks the heap around each collection, `no-poison` leaves freed memory as it is, `barrier-slow`
/// sends each write barrier into its slow path (logs without room, marking all the time), `move-always` moves each survivor
/// at each collection if the collector moves at all, `settle` finishes lazy sweeping at each; `gc-stress` is `every-alloc`
/// with `settle` and `verify`, `gc-stress=all` every mode. A build with the feature peer-wasmtime has
/// `wasmtime:drc|copying|null|*[,OPTION…]` too.
///
/// Other engines are subjects too: `cmd:PROGRAM {}` (any program that runs .wast files), `js:SHELL FLAGS` (node, deno, bun, d8, jsc, …),
/// `proc:ADAPTER` (a program that speaks fuzz/adapters/protocol.md), `peer:NAME` (see `assay peers list`). All subjects then run
/// self-checking forms of the cases.
#[derive(Parser)]
#[command(name = "assay", version, max_term_width = 110, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    peers: subjects::PeerArguments,
}

const EXAMPLES: &str = "Examples:
  assay fuzz --time 60s                       look for differences for a minute
  assay spec --subject 'jit:copying'          the official test suite on one subject
  assay validate --time 60s                   two validators on mutated modules
  assay run -C collector=copying prog.wat --invoke main 42
  assay diff prog.wasm                        call each export on every subject and compare
  assay export --out exported --cases 300      self-checking scripts for other engines
  assay reduce findings/valuemismatch-….wast  a smaller case with the same finding

Exit codes: 0 fine, 1 a finding or a failed check, 2 wrong use or bad input, 3 an internal error.";

#[derive(Subcommand)]
enum Command {
    /// Run a module (.wasm or .wat) on the JIT engine.
    Run(commands::run::RunArguments),
    /// Run .wast scripts on subjects.
    Wast(commands::wast::WastArguments),
    /// Run the official test suite on subjects.
    Spec(commands::spec::SpecArguments),
    /// Run one module or case on several subjects and compare.
    Diff(commands::diff::DiffArguments),
    /// Make a case with a finding smaller.
    Reduce(commands::reduce::ReduceArguments),
    /// Generate cases, run them on subjects, compare, and write down each finding.
    Fuzz(commands::fuzz::FuzzArguments),
    /// Write self-checking .wast files, for any engine with a .wast runner.
    Export(commands::export::ExportArguments),
    /// Compare the interpreter's validator with wasmparser, on files or on mutated modules.
    Validate(commands::validate::ValidateArguments),
    /// Write inputs to start libFuzzer's targets with.
    Seeds(commands::seeds::SeedsArguments),
    /// Show other engines that are known, or what one of them has.
    Peers(commands::peers::PeersArguments),
    /// Set limits and become another program.
    #[command(hide = true)]
    Launch(commands::launch::LaunchArguments),
    /// Serve cases to a campaign over pipes.
    #[command(hide = true)]
    Worker(commands::worker::WorkerArguments),
}

/// A reader that has seen enough closes its pipe (`assay … | head`): no reason for a backtrace.
fn quiet_end_of_pipe() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let message = info.payload_as_str().unwrap_or_default();
        if message.starts_with("failed printing to std") {
            std::process::exit(if message.contains("Broken pipe") { 0 } else { 3 });
        }
        usual(info);
    }));
}

fn main() -> std::process::ExitCode {
    quiet_end_of_pipe();
    // clap ends by itself with code 2 on wrong use, 0 on help.
    let arguments = Arguments::parse();
    subjects::configure(arguments.peers);
    let outcome = std::panic::catch_unwind(|| match arguments.command {
        Command::Run(arguments) => commands::run::run(&arguments),
        Command::Wast(arguments) => commands::wast::run(&arguments),
        Command::Spec(arguments) => commands::spec::run(&arguments),
        Command::Diff(arguments) => commands::diff::run(&arguments),
        Command::Reduce(arguments) => commands::reduce::run(&arguments),
        Command::Fuzz(arguments) => commands::fuzz::run(&arguments),
        Command::Export(arguments) => commands::export::run(&arguments),
        Command::Validate(arguments) => commands::validate::run(&arguments),
        Command::Seeds(arguments) => commands::seeds::run(&arguments),
        Command::Peers(arguments) => commands::peers::run(&arguments),
        Command::Launch(arguments) => commands::launch::run(&arguments),
        Command::Worker(arguments) => commands::worker::run(&arguments),
    });
    let exit = match outcome {
        Ok(Ok(exit)) => exit,
        Ok(Err(failure)) => failure.report(),
        // The panic's message stands on standard error already.
        Err(_) => Exit::Internal,
    };
    exit.code()
}
