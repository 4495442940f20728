//! Honesty of stress runs: a run that means to collect all the time must have collected.

use std::fmt;

use assay_harness::observe::Counters;
pub use assay_harness::subject::stress::is_stress;

/// A stress run that allocated and never collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleStress {
    /// Objects allocated.
    pub allocations: u64,
}

impl fmt::Display for IdleStress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a stress run allocated {} objects and did not collect once", self.allocations)
    }
}

impl std::error::Error for IdleStress {}

/// Checks the sum of the counters of a stress run.
///
/// # Errors
/// It allocated without collecting.
pub fn check_stress(sum: &Counters) -> Result<(), IdleStress> {
    if sum.allocations > 0 && sum.collections == 0 {
        return Err(IdleStress { allocations: sum.allocations });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_stress_is_refused() {
        let idle = Counters { allocations: 3, ..Counters::default() };
        assert_eq!(check_stress(&idle), Err(IdleStress { allocations: 3 }));
        assert_eq!(check_stress(&Counters { collections: 1, ..idle }), Ok(()));
        assert_eq!(check_stress(&Counters::default()), Ok(()));
    }

    #[test]
    fn stress_is_read_from_the_name() {
        assert!(is_stress("jit:copying,opt=none,gc-stress"));
        assert!(is_stress("jit:copying,gc-stress=all") && is_stress("jit:copying,every-safepoint,verify"));
        assert!(!is_stress("jit:copying") && !is_stress("jit:copying,verify"));
    }
}
