//! Reduction: a smaller case with the same finding.
