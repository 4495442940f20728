//! `assay peers`: which other engines are known, and what one of them has.

use assay_harness::subject::proof::PROOFS;
use clap::{Args, Subcommand};

use crate::exit::{Exit, Failure};
use crate::subjects;

/// Arguments of `assay peers`.
#[derive(Args)]
pub(crate) struct PeersArguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the presets: names, spellings, how to install, what is permitted.
    List {
        /// As TOML: the form of files for --peers.
        #[arg(long, conflicts_with = "json")]
        toml: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Start subjects and show which features they prove.
    Probe {
        /// Subjects, e.g. peer:node or 'proc:python3 adapter.py'.
        #[arg(required = true)]
        subjects: Vec<String>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Lists or probes.
pub(crate) fn run(arguments: &PeersArguments) -> Result<Exit, Failure> {
    match &arguments.command {
        Command::List { toml, json } => list(*toml, *json)?,
        Command::Probe { subjects, json } => probe(subjects, *json)?,
    }
    Ok(Exit::Fine)
}

fn list(toml: bool, json: bool) -> Result<(), Failure> {
    let presets = subjects::presets()?;
    if toml {
        print!("{}", presets.to_toml().map_err(Failure::internal)?);
    } else if json {
        println!("{}", serde_json::to_string_pretty(&presets).map_err(Failure::internal)?);
    } else {
        for peer in &presets.peers {
            println!("peer:{:<20} {}", peer.name, peer.about);
            println!("  {}", peer.subject);
            println!("  install: {}", peer.install);
        }
        println!("\npermitted differences:");
        for engine in &presets.engines {
            let whose =
                if engine.engine.is_empty() { "any engine".to_owned() } else { engine.engine.join(" ") };
            for permission in &engine.permissions {
                println!("  {whose}: {:?}: {} ({})", permission.kind, permission.reason, permission.link);
            }
        }
    }
    Ok(())
}

fn probe(specs: &[String], json: bool) -> Result<(), Failure> {
    let mut shown = Vec::new();
    for subject in subjects::parse(specs)? {
        let features = subject.supports();
        let (has, lacks): (Vec<_>, Vec<_>) = PROOFS.iter().partition(|proof| proof.claimed(features));
        let names = |proofs: Vec<&assay_harness::subject::proof::Proof>| -> Vec<&str> {
            proofs.iter().map(|proof| proof.name).collect()
        };
        let (has, lacks) = (names(has), names(lacks));
        if json {
            shown.push(serde_json::json!({
                "subject": subject.name(), "engine": subject.engine(), "has": has, "lacks": lacks,
            }));
        } else {
            println!("{}: {}", subject.name(), subject.engine().unwrap_or("(does not tell its name)"));
            println!("  proven: {}", has.join(", "));
            println!("  lacks: {}", lacks.join(", "));
        }
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&shown).map_err(Failure::internal)?);
    }
    Ok(())
}
