//! `assay diff`: one module or case on several subjects.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use assay_harness::{Case, Observation, Outcome, compare, generate, selfcheck};
use clap::Args;

use super::fuzz::parse_time;
use crate::exit::{Exit, Failure};
use crate::subjects;

/// Arguments of `assay diff`.
#[derive(Args)]
pub(crate) struct DiffArguments {
    /// A module (.wasm, .wat: each exported function is called with made-up arguments) or a case (.wast: its script is run).
    file: PathBuf,
    /// Subjects [default: as for fuzz].
    #[arg(long = "subject", value_name = "SUBJECT")]
    subjects: Vec<String>,
    /// Limit for one subject.
    #[arg(long, default_value = "20s", value_parser = parse_time)]
    case_limit: Duration,
    /// Print observations and findings as JSON.
    #[arg(long)]
    json: bool,
}

/// Compares.
pub(crate) fn run(arguments: &DiffArguments) -> Result<Exit, Failure> {
    let case = read(&arguments.file)?;
    if case.steps.is_empty() {
        return Err(Failure::bad_input(format!("{}: a script without steps", arguments.file.display())));
    }
    let mut subjects = subjects::isolated(&arguments.subjects, arguments.case_limit)?;
    subjects::at_least_two(&subjects.iter().map(|s| s.name().to_owned()).collect::<Vec<_>>())?;
    let case = if subjects.iter().any(|s| s.plain_cases_only()) && !selfcheck::is_plain(&case) {
        let form = selfcheck::for_peers(&case, subjects::options()?.garbage).map_err(|reason| {
            Failure::bad_input(format!("{}: no self-checking form: {reason}", arguments.file.display()))
        })?;
        println!("in its self-checking form, without {} of its steps", form.1.len());
        form.0
    } else {
        case
    };
    let observations: Vec<_> = subjects.iter_mut().map(|s| (s.name().to_owned(), s.observe(&case))).collect();
    let named: Vec<_> = observations.iter().map(|(name, seen)| (name.as_str(), seen)).collect();
    // Nothing runs without its module; that it is refused everywhere is no agreement about a program.
    let refused = |seen: &Observation| {
        matches!(seen.outcomes.first(), Some(Outcome::Rejected(..) | Outcome::Unsupported(_)))
            && seen.outcomes.iter().skip(1).all(|outcome| matches!(outcome, Outcome::BadStep(_)))
    };
    let ran = |outcome: &Outcome| matches!(outcome, Outcome::Done);
    if let Some((name, seen)) = observations.iter().find(|(name, seen)| name != "interp" && refused(seen)) {
        let why = match &seen.outcomes[0] {
            Outcome::Rejected(stage, why) => format!("{stage:?}: {why}"),
            other => format!("{other:?}"),
        };
        // Who alone refuses what the reference runs is a finding.
        let reference = observations.iter().find(|(name, _)| name == "interp");
        let others = observations.iter().all(|(other, seen)| other == "interp" || refused(seen));
        if others && reference.is_none_or(|(_, seen)| refused(seen) || !seen.outcomes.iter().any(ran)) {
            return Err(Failure::bad_input(format!("{}: {name}: {why}", arguments.file.display())));
        }
    }
    let mut comparison = compare::compare(&case, &named);
    // A comparison that was cut short says why; expectations behind that place say nothing more.
    let whole = |(at, (name, _)): &(usize, &(String, Observation))| {
        *at == 0 || comparison.compared.get(name).is_none_or(|compared| compared.whole)
    };
    let judged: Vec<_> = observations.iter().enumerate().filter(whole).map(|(_, seen)| seen).collect();
    for (name, seen) in judged {
        for (step, verdict) in compare::check_expectations(&case, name, seen).into_iter().enumerate() {
            if let compare::Verdict::Fail(text) = verdict {
                let text = format!("line {}: {text}", case.steps[step].line);
                comparison.findings.push(compare::Finding::expectation(name, step, &text));
            }
        }
    }
    if arguments.json {
        let findings: Vec<_> =
            comparison.findings.iter().map(assay_harness::campaign::worker::record).collect();
        let value = serde_json::json!({ "observations": observations, "findings": findings });
        println!("{}", serde_json::to_string_pretty(&value).map_err(Failure::internal)?);
    } else {
        println!("{} steps on {} subjects", case.steps.len(), observations.len());
        for (name, seen) in &observations {
            let graph: usize = seen.graph.nodes.len();
            println!(
                "  {name:<40} {} collections, final graph of {graph} objects",
                seen.counters.collections
            );
        }
        for (kind, n) in &comparison.discards {
            println!("cut short: {kind}: {n}");
        }
        for finding in &comparison.findings {
            println!("FINDING {:?} [{}] {}", finding.kind, finding.subjects.join(" | "), finding.text);
        }
        if comparison.findings.is_empty() {
            println!("all agree");
        }
    }
    Ok(if comparison.findings.is_empty() { Exit::Fine } else { Exit::Finding })
}

fn read(path: &Path) -> Result<Case, Failure> {
    let shown = path.display();
    let bytes = fs::read(path).map_err(|error| Failure::bad_input(format!("{shown}: {error}")))?;
    if path.extension().is_some_and(|e| e == "wast") {
        let text =
            String::from_utf8(bytes).map_err(|error| Failure::bad_input(format!("{shown}: {error}")))?;
        return Case::parse(&text, &shown.to_string()).map_err(Failure::bad_input);
    }
    let bytes = super::run::to_binary(path, bytes)?;
    Ok(generate::exports_of(&bytes))
}
