//! Comparison: pure, and the only home of permitted differences.
