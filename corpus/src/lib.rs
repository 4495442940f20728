//! Regression cases, replayed on every subject.
