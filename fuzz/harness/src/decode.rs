//! Whatever takes bytes or text from outside, on any bytes: nothing may panic, and what is taken can be written again.

use crate::Case;
use crate::case::{Collection, Mode, Turn};
use crate::generate::input::Input;
use crate::subject;
use crate::validate;

/// Gives `bytes` to each parser: as a module to both validators and the JIT's front end, as an input of the typed
/// generator, and, where they are text, as a case, as what stands in a case's header, and as a subject's name.
///
/// # Errors
/// What must not be: validators that disagree, or something that reads otherwise when it has been written. Panics of
/// the validators are among the disagreements, others go through.
pub fn all(bytes: &[u8]) -> Result<(), String> {
    for legacy in [false, true] {
        let verdict = validate::judge(bytes, legacy);
        if !verdict.agrees() {
            return Err(format!("{verdict}"));
        }
    }
    let input = Input::decode(bytes);
    if Input::decode(&input.encode()) != input {
        return Err("an input reads otherwise when it has been written".to_owned());
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return Ok(()) };
    // What makes a header and a script of one line each.
    let _ = Case::parse(&format!(";;! {}\n", text.lines().next().unwrap_or_default()), "input");
    if let Ok(case) = Case::parse(text, "input") {
        case_again(&case)?;
    }
    for word in text.split_whitespace().take(64) {
        same::<Collection>(word)?;
        same::<Mode>(word)?;
        let _ = subject::parse(word);
    }
    same::<Turn>(text.trim())
}

/// A case can be stored with its modules as bytes and read again.
fn case_again(case: &Case) -> Result<(), String> {
    let text = case.to_wast_binary();
    let again = Case::parse(&text, "written").map_err(|error| format!("a written case: {error}\n{text}"))?;
    if again.schedule != case.schedule || again.steps.len() != case.steps.len() {
        return Err(format!("a case reads otherwise when it has been written:\n{text}"));
    }
    if again.to_wast_binary() != text {
        return Err(format!("a case is written otherwise when it has been read:\n{text}"));
    }
    Ok(())
}

/// What is taken is the same when it has been written.
fn same<T: std::str::FromStr + std::fmt::Display + PartialEq>(text: &str) -> Result<(), String> {
    let Ok(value) = text.parse::<T>() else { return Ok(()) };
    let written = value.to_string();
    match written.parse::<T>() {
        Ok(again) if again == value => Ok(()),
        _ => Err(format!("{text:?} is written as {written:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{from_seed, seed_bytes};

    #[test]
    fn any_bytes_are_taken_or_refused() {
        for seed in 0..200 {
            let bytes = seed_bytes(seed);
            all(&bytes[..seed as usize * 3]).unwrap();
            all(&[b"\0asm\x01\0\0\0", &bytes[..40]].concat()).unwrap();
        }
    }

    /// Cases with a few characters changed: most are refused.
    #[test]
    fn mutated_cases_are_taken_or_refused() {
        for seed in 0..60u64 {
            let case = from_seed(if seed % 2 == 0 { "objects" } else { "smith" }, seed).unwrap();
            let text = case.to_wast_binary();
            all(text.as_bytes()).unwrap();
            let mut bytes = text.into_bytes();
            for word in seed_bytes(seed).chunks(4).take(6) {
                // In the header and in the first commands, and at the end.
                let span = bytes.len().min(600);
                let at = usize::from(word[0]) * span / 256;
                let at = if word[1] % 2 == 0 { at } else { bytes.len() - 1 - at };
                bytes[at] = word[2] % 96 + 32;
            }
            all(&bytes).unwrap();
        }
    }
}
