//! Cases, subjects, observations, comparison, generators and reduction.
