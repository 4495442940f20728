//! The heap's testing modes by their spellings, for subjects and for `assay run`.

use assay_gc::Stress;

/// What [`set`] knows, for messages.
pub const MODES: &str = "gc-stress[=all], every-alloc, every-safepoint, barrier-slow, move-always, settle, poison, \
                         no-poison, verify";

/// Sets one mode by its spelling; false if there is none such. `gc-stress` is `every-alloc`, `settle`, `poison` and `verify`
/// together, `gc-stress=all` is every mode there is.
pub fn set(stress: &mut Stress, mode: &str) -> bool {
    match mode {
        "gc-stress" => [stress.every_alloc, stress.settle, stress.poison, stress.verify] = [true; 4],
        "gc-stress=all" => *stress = Stress { every_nth: stress.every_nth, ..ALL },
        "every-alloc" => stress.every_alloc = true,
        "every-safepoint" => stress.every_safepoint = 1,
        "barrier-slow" => stress.barrier_slow = true,
        "move-always" => stress.move_always = true,
        "settle" => stress.settle = true,
        "poison" => stress.poison = true,
        "no-poison" => stress.poison = false,
        "verify" => stress.verify = true,
        _ => return false,
    }
    true
}

/// Every mode.
const ALL: Stress = Stress {
    every_alloc: true,
    every_nth: 0,
    every_safepoint: 1,
    poison: true,
    verify: true,
    settle: true,
    barrier_slow: true,
    move_always: true,
};

/// Whether the modes collect by themselves, whatever the collector.
pub fn collects(stress: &Stress) -> bool {
    stress.every_alloc || stress.every_nth != 0 || stress.every_safepoint != 0
}

/// The modes that a subject's name spells.
pub fn of(subject: &str) -> Stress {
    let mut stress = Stress::default();
    for part in subject.split([':', ',']) {
        set(&mut stress, part);
    }
    stress
}

/// Whether a subject of this name has modes that collect by themselves.
pub fn is_stress(subject: &str) -> bool {
    collects(&of(subject))
}

/// The shortest spelling of the modes in a subject's name, where poison is what goes without saying.
pub(super) fn spell(stress: &Stress) -> String {
    let most = stress.every_alloc && stress.settle && stress.poison && stress.verify;
    let safepoints = stress.every_safepoint != 0;
    let all = most && safepoints && stress.barrier_slow && stress.move_always;
    [
        (all, ",gc-stress=all"),
        (!all && most, ",gc-stress"),
        (!most && stress.every_alloc, ",every-alloc"),
        (!all && safepoints, ",every-safepoint"),
        (!all && stress.barrier_slow, ",barrier-slow"),
        (!all && stress.move_always, ",move-always"),
        (!most && stress.settle, ",settle"),
        (!most && stress.verify, ",verify"),
        (!stress.poison, ",no-poison"),
    ]
    .into_iter()
    .filter_map(|(given, text)| given.then_some(text))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_has_a_spelling() {
        for bits in 0..128u32 {
            let stress = Stress {
                every_alloc: bits & 1 != 0,
                every_safepoint: bits >> 1 & 1,
                poison: bits & 4 != 0,
                verify: bits & 8 != 0,
                every_nth: 0,
                settle: bits & 64 != 0,
                barrier_slow: bits & 16 != 0,
                move_always: bits & 32 != 0,
            };
            let mut again = Stress { poison: true, ..Stress::default() };
            let text = spell(&stress);
            for mode in text.split(',').skip(1) {
                assert!(set(&mut again, mode), "{text}");
                let name = mode.split('=').next().unwrap();
                assert!(MODES.contains(name), "{mode}");
            }
            assert_eq!(again, stress, "{text}");
            assert_eq!(is_stress(&format!("jit:x{text}")), bits & 3 != 0, "{text}");
        }
        assert_eq!(spell(&ALL), ",gc-stress=all");
        assert!(!set(&mut Stress::default(), "gc-stress=none"));
    }
}
