//! Which of the processor's instructions code may use.
//!
//! Cranelift chooses other instructions on other processors, for vectors most of all. Results must not depend on it, so
//! an engine can be told to do without the newer ones: a bisect switch, and the way to test the choices for processors
//! that nobody has at hand.

use cranelift_codegen::isa::Builder;
use cranelift_codegen::settings::Configurable;

use crate::{Error, ErrorKind};

/// The newest extensions that code uses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Cpu {
    /// Everything that this processor has and Cranelift knows.
    #[default]
    Native,
    /// At most AVX2, FMA and BMI: no AVX-512.
    Avx2,
    /// SSE up to 4.1 only, which the engine demands.
    Sse41,
}

/// What the engine demands: without them Cranelift has no code for some vector instructions, or calls of a library.
const REQUIRED: [&str; 4] = ["sse2", "sse3", "ssse3", "sse4.1"];

/// Cranelift's names of what [`Cpu::Sse41`] allows.
const SSE41: [&str; 3] = ["has_sse3", "has_ssse3", "has_sse41"];

/// Cranelift's names of what [`Cpu::Avx2`] allows besides, where the processor has it.
const AVX2: [&str; 8] =
    ["has_sse42", "has_popcnt", "has_avx", "has_avx2", "has_fma", "has_bmi1", "has_bmi2", "has_lzcnt"];

impl Cpu {
    /// Cranelift's builder for this processor, cut down to what `self` allows.
    ///
    /// # Errors
    /// `Machine` when the processor lacks what the engine demands.
    pub(crate) fn builder(self) -> Result<Builder, Error> {
        let refuse = |why: &str| Error::new(ErrorKind::Machine(why.to_owned()));
        if let Some(missing) = REQUIRED.into_iter().find(|name| !has(name)) {
            return Err(refuse(&format!("the processor lacks {}", missing.to_uppercase())));
        }
        let native = || cranelift_native::builder_with_options(self == Cpu::Native).map_err(refuse);
        let mut builder = native()?;
        let allowed: &[&[&str]] = match self {
            Cpu::Native => &[],
            Cpu::Avx2 => &[&SSE41, &AVX2],
            Cpu::Sse41 => &[&SSE41],
        };
        for name in allowed.concat() {
            if has(extension(name)) {
                builder
                    .enable(name)
                    .map_err(|error| refuse(&format!("Cranelift refuses {name}: {error}")))?;
            }
        }
        Ok(builder)
    }
}

/// The extension behind one of Cranelift's names.
fn extension(name: &str) -> &str {
    match name.trim_start_matches("has_") {
        "sse41" => "sse4.1",
        "sse42" => "sse4.2",
        other => other,
    }
}

/// Whether the processor has `extension`.
#[cfg(target_arch = "x86_64")]
fn has(extension: &str) -> bool {
    use std::arch::is_x86_feature_detected as detected;
    match extension {
        "sse2" => detected!("sse2"),
        "sse3" => detected!("sse3"),
        "ssse3" => detected!("ssse3"),
        "sse4.1" => detected!("sse4.1"),
        "sse4.2" => detected!("sse4.2"),
        "popcnt" => detected!("popcnt"),
        "avx" => detected!("avx"),
        "avx2" => detected!("avx2"),
        "fma" => detected!("fma"),
        "bmi1" => detected!("bmi1"),
        "bmi2" => detected!("bmi2"),
        "lzcnt" => detected!("lzcnt"),
        _ => false,
    }
}

/// The runtime's stubs are written for x86-64.
#[cfg(not(target_arch = "x86_64"))]
fn has(_: &str) -> bool {
    false
}
