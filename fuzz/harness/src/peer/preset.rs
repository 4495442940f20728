//! Presets: engines by name, how to get and start them, and what is permitted to them. Data, in `peers.toml` and in the user's own files.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::PeerError;
use crate::observe::{Outcome, Permit};

/// Ours.
const BUILT_IN: &str = include_str!("peers.toml");

/// A file of presets.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presets {
    /// Peers by name.
    #[serde(default, rename = "peer")]
    pub peers: Vec<Preset>,
    /// Permissions of engines, whatever they are called.
    #[serde(default, rename = "engine")]
    pub engines: Vec<Profile>,
}

/// A peer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// `peer:NAME`.
    pub name: String,
    /// One line for people.
    pub about: String,
    /// Its spelling.
    pub subject: String,
    /// How to install it.
    pub install: String,
}

/// What is permitted to an engine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Words that all occur in the engine's own name, or in the spelling of one that tells none; none = any engine.
    pub engine: Vec<String>,
    /// What is permitted.
    #[serde(default, rename = "permit")]
    pub permissions: Vec<Permission>,
}

/// A permitted difference.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// Which.
    pub kind: Permit,
    /// With `known`: words that all stand in the message, of a refusal, a crash or a failed assertion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    /// Why it is no fault, or a known one.
    pub reason: String,
    /// Where that can be read.
    pub link: String,
}

impl Presets {
    /// Ours.
    ///
    /// # Errors
    /// None, unless the program was built with a broken file; a test reads it.
    pub fn built_in() -> Result<Presets, PeerError> {
        toml::from_str(BUILT_IN).map_err(|error| PeerError::Presets("peers.toml".into(), error.to_string()))
    }

    /// Adds those of a file; of two peers of one name the file's counts.
    ///
    /// # Errors
    /// `Presets`.
    pub fn read(&mut self, path: &Path) -> Result<(), PeerError> {
        let failed = |why: String| PeerError::Presets(path.to_owned(), why);
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let Presets { peers, engines } = toml::from_str(&text).map_err(|error| failed(error.to_string()))?;
        self.peers.retain(|old| !peers.iter().any(|new| new.name == old.name));
        self.peers.extend(peers);
        self.engines.extend(engines);
        Ok(())
    }

    /// The text of a file that holds them.
    ///
    /// # Errors
    /// None is known.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// The peer of this name.
    pub fn find(&self, name: &str) -> Option<&Preset> {
        self.peers.iter().find(|peer| peer.name == name)
    }

    /// All that is permitted to an engine that calls itself this, or, where it cannot, that is spelled so.
    pub fn profile(&self, engine: &str) -> Profile {
        let told = engine.to_lowercase();
        let fits = |profile: &&Profile| profile.engine.iter().all(|word| told.contains(&word.to_lowercase()));
        let permissions = self.engines.iter().filter(fits).flat_map(|profile| profile.permissions.clone());
        Profile { engine: vec![told.clone()], permissions: permissions.collect() }
    }
}

impl Profile {
    /// For each outcome that has the words of a known fault or lack, its place and the reason.
    pub fn known(&self, outcomes: &[Outcome]) -> Vec<(usize, String)> {
        let places = outcomes.iter().enumerate();
        places.filter_map(|(step, outcome)| Some((step, self.reason(outcome)?.to_owned()))).collect()
    }

    fn reason(&self, outcome: &Outcome) -> Option<&str> {
        let (Outcome::Rejected(_, text)
        | Outcome::Crashed(text)
        | Outcome::Refuted(text)
        | Outcome::TrappedSomehow(_, text)) = outcome
        else {
            return None;
        };
        let known = self.permissions.iter().find(|permission| {
            permission.kind == Permit::Known
                && !permission.words.is_empty()
                && permission.words.iter().all(|words| text.contains(words))
        });
        known.map(|known| known.reason.as_str())
    }

    /// The kinds.
    pub fn permits(&self) -> Vec<Permit> {
        let mut kinds: Vec<Permit> = self.permissions.iter().map(|permission| permission.kind).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }
}
