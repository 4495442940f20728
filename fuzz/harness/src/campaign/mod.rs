//! Campaigns: cases run in child workers, so that a crash, a hang or a full memory is an observation and not the end.
//!
//! The way of the data: [`Campaign`] hands seeds to [`pool::Worker`]s (one thread and one child process a job), one or a batch at a time; the child
//! ([`worker`]) generates the cases, puts them on disk, runs them on every subject, compares, writes each finding itself and
//! replies with a [`protocol::Report`] each; the parent adds reports up ([`summary`]) and keeps what a dead child was running. [`reach`] tells
//! whether each collector has really been at work.
//!
//! Invariant: a case is on disk before it is examined, and a finding is on disk before it is reported. So neither the death of
//! a child nor `kill -9` of the parent loses one: what a killed campaign left under `running/` is examined first by
//! the next campaign with the same output folder. Of a batch that a child died of each case is examined alone.

pub mod findings;
pub mod isolated;
pub mod pool;
pub mod protocol;
pub mod reach;
mod run;
pub mod state;
pub mod summary;
pub mod worker;

pub use isolated::IsolatedSubject;
pub use reach::{Unreached, unreached};
pub use run::{Campaign, CampaignConfig, CampaignError};
pub use state::{Settings, State};
pub use summary::Summary;
