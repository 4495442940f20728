//! The heap's testing modes by their spellings, for subjects and for `assay run`.

use assay_gc::Stress;

/// What [`set`] knows, for messages.
pub const MODES: &str = "gc-stress[=all], every-alloc, every-safepoint, poison, no-poison, verify";

/// Sets one mode by its spelling; false if there is none such. `gc-stress` is `every-alloc`, `poison` and `verify`
/// together, `gc-stress=all` has `every-safepoint` too.
pub fn set(stress: &mut Stress, mode: &str) -> bool {
    match mode {
        "gc-stress" | "gc-stress=all" => {
            stress.every_alloc = true;
            stress.poison = true;
            stress.verify = true;
            if mode == "gc-stress=all" {
                stress.every_safepoint = 1;
            }
        }
        "every-alloc" => stress.every_alloc = true,
        "every-safepoint" => stress.every_safepoint = 1,
        "poison" => stress.poison = true,
        "no-poison" => stress.poison = false,
        "verify" => stress.verify = true,
        _ => return false,
    }
    true
}

/// Whether the modes collect by themselves.
pub fn collects(stress: &Stress) -> bool {
    stress.every_alloc || stress.every_nth != 0 || stress.every_safepoint != 0
}

/// Whether a subject of this name has modes that do.
pub fn is_stress(subject: &str) -> bool {
    let mut stress = Stress::default();
    for part in subject.split([':', ',']) {
        set(&mut stress, part);
    }
    collects(&stress)
}

/// The shortest spelling of the modes in a subject's name, where poison is what goes without saying.
pub(super) fn spell(stress: &Stress) -> String {
    let all = stress.every_alloc && stress.poison && stress.verify;
    let safepoints = stress.every_safepoint != 0;
    [
        (all && safepoints, ",gc-stress=all"),
        (all && !safepoints, ",gc-stress"),
        (!all && stress.every_alloc, ",every-alloc"),
        (!all && safepoints, ",every-safepoint"),
        (!all && stress.verify, ",verify"),
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
        for bits in 0..16u32 {
            let stress = Stress {
                every_alloc: bits & 1 != 0,
                every_safepoint: bits >> 1 & 1,
                poison: bits & 4 != 0,
                verify: bits & 8 != 0,
                every_nth: 0,
                settle: false,
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
        assert!(!set(&mut Stress::default(), "gc-stress=none"));
    }
}
